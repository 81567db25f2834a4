/* SPDX-License-Identifier: GPL-2.0 */
/*
 * TAP output for the native unit tests: count, report, and say how it ended.
 * A test program calls tap_ok() once per claim and returns tap_done().
 */
#ifndef KEEL_UNIT_TAP_H
#define KEEL_UNIT_TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

struct tap {
	unsigned int count;
	unsigned int failed;
};

/* One program, one count. */
static struct tap tap;

static inline void tap_line(const char *verdict, const char *format, va_list args)
{
	printf("%s %u - ", verdict, ++tap.count);
	vprintf(format, args);
	putchar('\n');
	fflush(stdout);
}

/* Report the claim that @format states; returns @ok. */
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

/* Print the plan and the totals; the exit status of the program. */
static inline int tap_done(void)
{
	printf("1..%u\n# %u passed, %u failed\n", tap.count, tap.count - tap.failed, tap.failed);
	return tap.failed ? 1 : 0;
}

#endif
