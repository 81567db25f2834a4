/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The bits of a page-table entry that the hardware walks. spte.h and spte.c own the
 * layout; other files use named bits only and never shift an spte. Pure: also
 * compiled natively by selftests/unit. Private to mmu/.
 *
 * A present EPT entry:
 *
 *   63      53 52 51              12 11 10  9 8 7  6  5 3  2 1 0
 *  | ignored  |T |  page frame      |L |  | D A PS I | MT | X W R |
 *
 *   R W X	rights; R is set in every present entry, so R alone says "present"
 *   MT, I	memory type of a leaf, and "ignore the guest's PAT"
 *   PS		a leaf above the lowest level
 *   A D	set by the hardware, where it has A/D bits
 *   L		software: a leaf, on whichever level it stands
 *   T		software: the host tracks this frame's dirty and accessed state
 *
 * An MMIO entry is an EPT misconfiguration: writable and executable but not
 * readable. The hardware ignores its other bits, which carry a verdict:
 *
 *   63                                              12 11   5  4 3  2 1 0
 *  | gfn, then upper part of number, around the guard | number | acc | 1 1 0 |
 *
 *   number	the generation without its flag, as many low bits as there is
 *		room for: SPTE_LOW_BITS of them here, the others above the gfn
 *   acc	ACC_WRITE and ACC_USER: the accesses that the verdict covers
 *   guard	On a CPU with L1TF, five ones in the top of the cacheable
 *		physical address. Such a CPU may speculatively load from the
 *		address in a faulting entry. With the guard that address is in
 *		the last 1/32 of the address space, where the host's L1TF
 *		mitigation allows no memory.
 */
#ifndef KEEL_MMU_SPTE_H
#define KEEL_MMU_SPTE_H

#include <linux/bits.h>
#include <linux/build_bug.h>

#include "../memslot.h"
#include "../types.h"
#include "access.h"

#define SPTE_READ		BIT_ULL(0)
#define SPTE_WRITE_BIT		1
#define SPTE_WRITE		BIT_ULL(SPTE_WRITE_BIT)
#define SPTE_EXEC		BIT_ULL(2)
#define SPTE_RIGHTS		(SPTE_READ | SPTE_WRITE | SPTE_EXEC)
#define SPTE_TYPE_UC		0ULL
#define SPTE_TYPE_WB		(6ULL << 3)
#define SPTE_IGNORE_PAT		BIT_ULL(6)
#define SPTE_PS			BIT_ULL(7)
#define SPTE_ACCESSED_BIT	8
#define SPTE_ACCESSED		BIT_ULL(SPTE_ACCESSED_BIT)
#define SPTE_DIRTY_BIT		9
#define SPTE_DIRTY		BIT_ULL(SPTE_DIRTY_BIT)
#define SPTE_LEAF		BIT_ULL(11)
#define SPTE_ADDRESS		GENMASK_ULL(51, 12)
#define SPTE_TRACKED		BIT_ULL(52)

#define SPTE_MMIO_VALUE		(SPTE_WRITE | SPTE_EXEC)
#define SPTE_ACC_SHIFT		3
#define SPTE_ACC_BITS		2
#define SPTE_LOW_SHIFT		5
#define SPTE_LOW_BITS		7
#define SPTE_HIGH_SHIFT		12
#define SPTE_HIGH_BITS		52
#define SPTE_GUARD_BITS		5

#define SPTE_MMIO_ACC		GENMASK_ULL(SPTE_ACC_SHIFT + SPTE_ACC_BITS - 1, SPTE_ACC_SHIFT)
#define SPTE_MMIO_LOW		GENMASK_ULL(SPTE_LOW_SHIFT + SPTE_LOW_BITS - 1, SPTE_LOW_SHIFT)
#define SPTE_MMIO_HIGH		GENMASK_ULL(SPTE_HIGH_SHIFT + SPTE_HIGH_BITS - 1, SPTE_HIGH_SHIFT)

/* The fields of an MMIO entry fill the 64 bits and do not overlap. */
static_assert((SPTE_RIGHTS | SPTE_MMIO_ACC | SPTE_MMIO_LOW | SPTE_MMIO_HIGH) == ~0ULL);
static_assert((SPTE_RIGHTS ^ SPTE_MMIO_ACC ^ SPTE_MMIO_LOW ^ SPTE_MMIO_HIGH) == ~0ULL);
/* An MMIO entry is not present, and the widest gfn still leaves room for a number. */
static_assert(!(SPTE_MMIO_VALUE & SPTE_READ));
static_assert(SPTE_HIGH_BITS - SPTE_GUARD_BITS - (52 - KEEL_PAGE_SHIFT) > 0);
/* The software bits of a present entry do not overlap those of the hardware. */
static_assert(!((SPTE_LEAF | SPTE_TRACKED) & (SPTE_ADDRESS | GENMASK_ULL(10, 0))));
static_assert(!(SPTE_LEAF & SPTE_TRACKED));

/*
 * struct spte_format - the part of the layout that depends on the CPU
 * @gfn_bits:	 width of a gfn
 * @guard_shift: lowest bit of the guard, or 0: no guard
 * @number_mask: the bits of the number that an MMIO entry holds; 0: there is no
 *		 room, make no MMIO entries
 * @ad:		 the hardware keeps accessed and dirty bits
 */
struct spte_format {
	u8 gfn_bits;
	u8 guard_shift;
	u64 number_mask;
	bool ad;
};

/*
 * @address_bits: width of a guest physical address, up to 52
 * @cache_bits:	  width of the physical address that the caches compare
 * @l1tf:	  the CPU has L1TF
 */
void spte_format_init(struct spte_format *f, int address_bits, int cache_bits, bool l1tf,
		      bool ad);

/* The entry that points to a table. */
static inline u64 spte_make_table(hpa_t table)
{
	return table | SPTE_RIGHTS;
}

/*
 * struct spte_leaf - what a leaf maps and how
 */
struct spte_leaf {
	hpa_t address;
	int level;		/* 1: 4 KiB, 2: 2 MiB, 3: 1 GiB */
	bool write, exec;
	bool ram;		/* write-back memory; otherwise uncached */
	bool tracked;
};

u64 spte_make_leaf(const struct spte_leaf *leaf);
/* Entry @index of a table of @level that replaces the huge leaf @spte. */
u64 spte_split(u64 spte, int level, unsigned int index);

u64 spte_make_mmio(const struct spte_format *f, gfn_t gfn, unsigned int access, u64 generation);
gfn_t spte_mmio_gfn(const struct spte_format *f, u64 spte);
unsigned int spte_mmio_access(u64 spte);
/* The number in an MMIO entry; spte_number() is the same part of a generation. */
u64 spte_mmio_number(const struct spte_format *f, u64 spte);

static inline u64 spte_number(const struct spte_format *f, u64 generation)
{
	return (generation >> 1) & f->number_mask;
}

/*
 * True if the stored part of the number wraps between two generations: entries from
 * before the wrap could match a new number.
 */
static inline bool spte_number_wraps(const struct spte_format *f, u64 from, u64 to)
{
	return ((from ^ to) >> 1) & ~f->number_mask;
}

static inline bool spte_is_present(u64 spte)
{
	return spte & SPTE_READ;
}

static inline bool spte_is_leaf(u64 spte)
{
	return spte_is_present(spte) && (spte & SPTE_LEAF);
}

static inline bool spte_is_table(u64 spte)
{
	return spte_is_present(spte) && !(spte & SPTE_LEAF);
}

static inline bool spte_is_mmio(u64 spte)
{
	return (spte & SPTE_RIGHTS) == SPTE_MMIO_VALUE;
}

static inline hpa_t spte_address(u64 spte)
{
	return spte & SPTE_ADDRESS;
}

/* Has the guest used, or written to, what @spte maps? Without A/D bits: may it have? */
static inline bool spte_accessed(const struct spte_format *f, u64 spte)
{
	return !f->ad || (spte & SPTE_ACCESSED);
}

static inline bool spte_dirty(const struct spte_format *f, u64 spte)
{
	return f->ad ? spte & SPTE_DIRTY : spte & SPTE_WRITE;
}

#endif
