/* SPDX-License-Identifier: GPL-2.0 */
/* static_assert() of one argument for pure files that are compiled natively. */
#ifndef KEEL_UNIT_LINUX_BUILD_BUG_H
#define KEEL_UNIT_LINUX_BUILD_BUG_H

#define static_assert(claim)	_Static_assert(claim, #claim)

#endif
