/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Instructions about which the processors that the emulator is compared with
 * are not of one mind, told by their bytes.
 */
#ifndef KEEL_UNIT_EMULATE_FOREIGN_H
#define KEEL_UNIT_EMULATE_FOREIGN_H

#include "emulate/emulate.h"

/* Whether the @len bytes of @code may be such an instruction. */
bool is_foreign(const u8 *code, unsigned int len);

/* The memory operand is @size bytes and lies on two pages. */
bool crosses_page(const struct emu_ctx *ctx, unsigned int size);

/* AMD has a meaning for LOCK before MOV CR, and looks late at it before other system opcodes. */
bool is_locked_system(const u8 *code, unsigned int len);

/* Branches with an operand-size prefix, LOCK, UD1, and VEX and EVEX prefixes after others. */
bool is_odd_at_page_end(const u8 *code, unsigned int len);

/* Whether Bochs 3.0 executes @insn, of @code, otherwise than processors do. */
bool bochs_errs(const struct emu_insn *insn, enum emu_mode mode, const u8 *code);

#endif
