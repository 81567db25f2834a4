/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The address types. Leaf: any file may include it, also the pure files that
 * selftests/unit compiles natively.
 */
#ifndef KEEL_TYPES_H
#define KEEL_TYPES_H

#include <linux/types.h>

typedef u64 gva_t;		/* guest virtual address */
typedef u64 gpa_t;		/* guest physical address */
typedef u64 gfn_t;		/* guest frame number: gpa >> 12 */
typedef unsigned long hva_t;	/* address in the process that owns the VM */
typedef u64 hpa_t;		/* host physical address */

#define KEEL_PAGE_SHIFT	12
#define KEEL_PAGE_SIZE	(1UL << KEEL_PAGE_SHIFT)
#define INVALID_GPA	(~(gpa_t)0)
#define INVALID_GFN	(~(gfn_t)0)

static inline gfn_t gpa_to_gfn(gpa_t gpa)
{
	return gpa >> KEEL_PAGE_SHIFT;
}

static inline gpa_t gfn_to_gpa(gfn_t gfn)
{
	return (gpa_t)gfn << KEEL_PAGE_SHIFT;
}

#endif
