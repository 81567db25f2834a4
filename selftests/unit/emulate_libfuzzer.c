// SPDX-License-Identifier: GPL-2.0
/*
 * Run instructions from libFuzzer, guided by coverage of the emulator, in hostile
 * surroundings; emulate_hostile.c checks the results. An input is a mode, a seed
 * for the surroundings, and the instruction.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "emulate_hostile.h"

#define SEED_BYTES	4

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	u8 code[EMU_INSN_MAX] = { 0 };
	const char *broken;
	u32 seed;

	if (size < 1 + SEED_BYTES || size > 1 + SEED_BYTES + sizeof(code))
		return -1;
	memcpy(&seed, data + 1, SEED_BYTES);
	memcpy(code, data + 1 + SEED_BYTES, size - 1 - SEED_BYTES);
	broken = hostile_run(data[0] % (EMU_MODE_LONG64 + 1), code,
			     (seed + 1) * 0x9e3779b97f4a7c15ull);
	if (!broken)
		return 0;
	fprintf(stderr, "violated: %s\n", broken);
	abort();
}
