/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which flags of an instruction cannot be compared with a processor's.
 */
#ifndef KEEL_UNIT_EMULATE_UNDEFINED_H
#define KEEL_UNIT_EMULATE_UNDEFINED_H

#include "emulate/emulate.h"

/* By how much a shift shifts; @rcx is the register before it. */
unsigned int shift_count(const struct emu_insn *insn, u64 rcx);

/* @faulted: it ended in a fault. */
u64 undefined_flags(const struct emu_insn *insn, u64 rcx, bool faulted);

#endif
