/* SPDX-License-Identifier: GPL-2.0 */
/*
 * TAP output for native tests. A program of claims calls tap_ok() for each and
 * returns tap_done(). A program of cases has a table of them and returns
 * tap_run(); a case checks its claims with CHECK() and EQUAL(). Exit status 0: all
 * passed, 1: some failed, 4: skipped as a whole.
 */
#ifndef KEEL_UNIT_TAP_H
#define KEEL_UNIT_TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

#ifndef ARRAY_SIZE
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#endif

#define TAP_SKIP 4

struct tap {
	unsigned int count;
	unsigned int failed;
	bool untrue;		/* a claim of the present case */
};

/* The state of the program. */
static struct tap tap;

static inline void tap_line(const char *verdict, const char *format, va_list args)
{
	printf("%s %u - ", verdict, ++tap.count);
	vprintf(format, args);
	putchar('\n');
	fflush(stdout);
}

/* Report the claim in @format; returns @ok. */
static inline bool tap_ok(bool ok, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	tap_line(ok ? "ok" : "not ok", format, args);
	va_end(args);
	tap.failed += !ok;
	return ok;
}

static inline void tap_note(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	printf("# ");
	vprintf(format, args);
	putchar('\n');
	fflush(stdout);
	va_end(args);
}

/* Print the plan and the totals; returns the exit status of the program. */
static inline int tap_done(void)
{
	printf("1..%u\n# %u passed, %u failed\n", tap.count, tap.count - tap.failed, tap.failed);
	return tap.failed ? 1 : 0;
}

static inline int tap_skip_all(const char *why)
{
	printf("1..0 # SKIP %s\n", why);
	return TAP_SKIP;
}

/* --- cases ----------------------------------------------------------------- */

struct tap_test {
	const char *name;
	void (*run)(void);
};

static inline void tap_check(bool ok, const char *what, const char *file, int line)
{
	if (ok)
		return;
	tap.untrue = true;
	tap_note("%s:%d: not true: %s", file, line, what);
}

static inline void tap_check_equal(long long got, long long want, const char *what,
				   const char *file, int line)
{
	if (got == want)
		return;
	tap.untrue = true;
	tap_note("%s:%d: %s is %lld (0x%llx), not %lld (0x%llx)", file, line, what, got, got,
		 want, want);
}

#define CHECK(x)	tap_check((x), #x, __FILE__, __LINE__)
#define EQUAL(x, want)	tap_check_equal((long long)(x), (long long)(want), #x, __FILE__, __LINE__)

static inline int tap_run(const struct tap_test *tests, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++) {
		tap.untrue = false;
		tests[i].run();
		tap_ok(!tap.untrue, "%s", tests[i].name);
	}
	return tap_done();
}

#endif
