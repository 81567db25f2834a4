/* SPDX-License-Identifier: GPL-2.0 */
/* Random numbers, and random instructions made from them. */
#ifndef KEEL_UNIT_EMULATE_CODE_H
#define KEEL_UNIT_EMULATE_CODE_H

#include "emulate/emulate.h"

/* The seed, never 0. */
extern u64 random_state;

u64 random64(void);

/* A random number from 0 to @bound - 1. */
unsigned int below(unsigned int bound);

u64 random_mask(void);

/* Fill all but the pointers, MXCSR and the vector registers. */
void random_x87(struct emu_fx *fx);

/* Fill @code, of EMU_INSN_MAX bytes. */
void random_code(u8 *code, enum emu_mode mode);

#endif
