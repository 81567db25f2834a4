/* SPDX-License-Identifier: GPL-2.0 */
/* Instructions on which processors differ from each other, recognized by their bytes. */
#ifndef KEEL_UNIT_EMULATE_FOREIGN_H
#define KEEL_UNIT_EMULATE_FOREIGN_H

#include "emulate/emulate.h"

/* True if the @len bytes of @code may be such an instruction. */
bool is_foreign(const u8 *code, unsigned int len);

/* True if the memory operand, of @size bytes, crosses a page. */
bool crosses_page(const struct emu_ctx *ctx, unsigned int size);

/* AMD defines LOCK before MOV CR, and checks it late before other system opcodes. */
bool is_locked_system(const u8 *code, unsigned int len);

/* Branches with an operand-size prefix, LOCK, UD1, and VEX and EVEX prefixes after others. */
bool is_odd_at_page_end(const u8 *code, unsigned int len);

/* True if Bochs 3.0 executes @insn, of @code, differently from processors. */
bool bochs_errs(const struct emu_insn *insn, enum emu_mode mode, const u8 *code);

#endif
