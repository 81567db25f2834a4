/* SPDX-License-Identifier: GPL-2.0 */
/* Run one instruction in hostile surroundings; shared by the fuzzers and by coverage. */
#ifndef KEEL_UNIT_EMULATE_HOSTILE_H
#define KEEL_UNIT_EMULATE_HOSTILE_H

#include "emulate/emulate.h"

/*
 * Run the EMU_INSN_MAX @bytes as an instruction in @mode. @seed determines the
 * surroundings. Returns NULL, or the promise that was broken.
 */
const char *hostile_run(enum emu_mode mode, const u8 *bytes, u64 seed);

/* Number of times that each enum emu_result was returned. */
extern unsigned long hostile_results[EMU_RETRY + 1];

#endif
