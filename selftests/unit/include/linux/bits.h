/* SPDX-License-Identifier: GPL-2.0 */
/* Bit masks for pure files that are compiled natively. */
#ifndef KEEL_UNIT_LINUX_BITS_H
#define KEEL_UNIT_LINUX_BITS_H

#define BIT(n)			(1UL << (n))
#define BIT_ULL(n)		(1ULL << (n))
#define GENMASK_ULL(h, l)	(~0ULL << (l) & ~0ULL >> (63 - (h)))

#endif
