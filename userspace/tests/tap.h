/* SPDX-License-Identifier: GPL-2.0 */
/*
 * TAP for the library's own tests: a table of named functions, each of which says
 * with CHECK() what must hold. Exit status 0 all passed, 1 something failed, 4
 * skipped as a whole.
 */
#ifndef _KEEL_TESTS_TAP_H
#define _KEEL_TESTS_TAP_H

#include <stdbool.h>
#include <stdio.h>

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

enum { TAP_PASS = 0, TAP_FAIL = 1, TAP_SKIP = 4 };

struct tap_test {
	const char *name;
	void (*run)(void);
};

static bool tap_failed;

static inline void tap_check(bool ok, const char *what, const char *file, int line)
{
	if (ok)
		return;
	tap_failed = true;
	printf("# %s:%d: not true: %s\n", file, line, what);
}

static inline void tap_check_equal(long long got, long long want, const char *what,
				   const char *file, int line)
{
	if (got == want)
		return;
	tap_failed = true;
	printf("# %s:%d: %s is %lld (0x%llx), not %lld (0x%llx)\n", file, line, what, got, got,
	       want, want);
}

#define CHECK(x)	tap_check((x), #x, __FILE__, __LINE__)
#define EQUAL(x, want)	tap_check_equal((long long)(x), (long long)(want), #x, __FILE__, __LINE__)

static inline int tap_skip_all(const char *why)
{
	printf("TAP version 13\n1..0 # SKIP %s\n", why);
	return TAP_SKIP;
}

static inline int tap_run(const struct tap_test *tests, size_t count)
{
	int status = TAP_PASS;
	size_t i;

	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("TAP version 13\n1..%zu\n", count);
	for (i = 0; i < count; i++) {
		tap_failed = false;
		tests[i].run();
		printf("%s %zu %s\n", tap_failed ? "not ok" : "ok", i + 1, tests[i].name);
		if (tap_failed)
			status = TAP_FAIL;
	}
	return status;
}

#endif /* _KEEL_TESTS_TAP_H */
