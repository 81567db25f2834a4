/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Instructions that the emulator rightly calls undefined, but not every
 * processor that it is compared with.
 */
#ifndef KEEL_UNIT_EMULATE_FOREIGN_H
#define KEEL_UNIT_EMULATE_FOREIGN_H

#include <linux/types.h>

/* Whether the @len bytes of @code may be such an instruction. */
bool is_foreign(const u8 *code, unsigned int len);

/* AMD has a meaning for LOCK before MOV CR, and looks late at it before other system opcodes. */
bool is_locked_system(const u8 *code, unsigned int len);

/* Branches with an operand-size prefix, LOCK, and VEX prefixes after others. */
bool is_odd_at_page_end(const u8 *code, unsigned int len);

#endif
