// SPDX-License-Identifier: GPL-2.0
/*
 * Run random bytes as instructions, in all modes, in hostile surroundings;
 * emulate_hostile.c checks the results. FUZZ_SECONDS bounds the run, 5 by
 * default; 0 means until interrupted, with a progress line. FUZZ_SEED repeats
 * one.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "emulate_hostile.h"
#include "tap.h"

static u64 random_state;
static u8 code[EMU_INSN_MAX];

static u64 random64(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static unsigned int below(unsigned int bound)
{
	return (random64() >> 20) % bound;
}

/* Begin every second instruction with an opcode that the emulator mostly executes. */
static void make_code(void)
{
	static const u8 starts[] = {
		0x66, 0x67, 0xf0, 0xf3, 0x0f, 0x48, 0x89, 0x8b, 0x01, 0x81, 0xa5, 0xab, 0xff, 0xf7,
		0xc5, 0x60, 0x8e, 0xca, 0xcf, 0xc8, 0x6d,
	};
	unsigned int i;

	for (i = 0; i < sizeof(code); i++)
		code[i] = random64() >> 24;
	for (i = 0; below(2) && i < 4; i++)
		code[i] = starts[below(sizeof(starts))];
}

static unsigned long setting(const char *name, unsigned long value)
{
	const char *text = getenv(name);

	return text ? strtoul(text, NULL, 0) : value;
}

static unsigned long run(unsigned long seconds, const char **broken)
{
	time_t start = time(NULL), told = start;
	unsigned long count = 0;

	while (!*broken) {
		if (count++ % 4096 == 0) {
			time_t now = time(NULL);

			if (seconds && (unsigned long)(now - start) >= seconds)
				break;
			if (!seconds && now - told >= 10) {
				tap_note("%lu instructions", count);
				told = now;
			}
		}
		make_code();
		*broken = hostile_run(below(EMU_MODE_LONG64 + 1), code, random64());
	}
	return count;
}

static void print_code(void)
{
	unsigned int i;

	printf("# code:");
	for (i = 0; i < EMU_INSN_MAX; i++)
		printf(" %02x", code[i]);
	putchar('\n');
}

int main(void)
{
	unsigned long seed = setting("FUZZ_SEED", time(NULL));
	const unsigned long *results = hostile_results;
	const char *broken = NULL;
	unsigned long count;

	random_state = seed * 0x9e3779b97f4a7c15ull + 1;
	count = run(setting("FUZZ_SECONDS", 5), &broken);
	tap_note("seed %lu; %lu done, %lu faults, %lu for userspace, %lu not executed, %lu retries",
		 seed, results[EMU_OK], results[EMU_FAULT], results[EMU_IO],
		 results[EMU_UNHANDLED], results[EMU_RETRY]);
	if (broken)
		print_code();
	tap_ok(!broken, "%lu random instructions on hostile memory%s%s", count,
	       broken ? ": violated: " : "", broken ? broken : "");
	return tap_done();
}
