/* SPDX-License-Identifier: GPL-2.0 */
/* Flags of an instruction that cannot be compared with those of a processor. */
#ifndef KEEL_UNIT_EMULATE_UNDEFINED_H
#define KEEL_UNIT_EMULATE_UNDEFINED_H

#include "emulate/emulate.h"

/* Count of a shift; @rcx is the register before it. */
unsigned int shift_count(const struct emu_insn *insn, u64 rcx);

/* @faulted: the instruction has faulted. */
u64 undefined_flags(const struct emu_insn *insn, u64 rcx, bool faulted);

#endif
