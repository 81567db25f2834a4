/* SPDX-License-Identifier: GPL-2.0 */
/* static_assert() of one argument for pure files that are compiled natively. */
#ifndef KEEL_UNIT_LINUX_BUILD_BUG_H
#define KEEL_UNIT_LINUX_BUILD_BUG_H

/* The size of an array in a declaration that may be repeated; negative if the claim is false. */
#define static_assert(claim)	extern void unit_claim(char (*)[(claim) ? 1 : -1])

#endif
