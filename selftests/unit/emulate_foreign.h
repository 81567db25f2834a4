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

#endif
