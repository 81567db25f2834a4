/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One instruction in hostile surroundings; shared by the programs that think
 * up instructions at random and by coverage.
 */
#ifndef KEEL_UNIT_EMULATE_HOSTILE_H
#define KEEL_UNIT_EMULATE_HOSTILE_H

#include "emulate/emulate.h"

/*
 * Run the EMU_INSN_MAX @bytes as an instruction in @mode. Everything around it
 * follows from @seed. NULL, or what was promised and is not so.
 */
const char *hostile_run(enum emu_mode mode, const u8 *bytes, u64 seed);

/* How often each enum emu_result has come out. */
extern unsigned long hostile_results[EMU_RETRY + 1];

#endif
