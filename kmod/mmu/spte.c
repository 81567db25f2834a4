// SPDX-License-Identifier: GPL-2.0
/*
 * Making and reading page-table entries. The readers of an MMIO entry mirror its
 * constructor. Pure; see spte.h for the layout.
 */
#include "spte.h"

static u64 low_mask(int bits)
{
	return bits ? ~0ULL >> (64 - bits) : 0;
}

void spte_format_init(struct spte_format *f, int address_bits, int cache_bits, bool l1tf,
		      bool ad)
{
	int room = SPTE_HIGH_BITS - (l1tf ? SPTE_GUARD_BITS : 0);

	f->gfn_bits = address_bits - KEEL_PAGE_SHIFT;
	f->guard_shift = l1tf ? cache_bits - SPTE_GUARD_BITS : 0;
	f->number_mask = low_mask(SPTE_LOW_BITS + room - f->gfn_bits);
	f->ad = ad;
}

u64 spte_make_leaf(const struct spte_leaf *leaf)
{
	u64 spte = leaf->address | SPTE_READ | SPTE_LEAF;

	if (leaf->level > 1)
		spte |= SPTE_PS;
	if (leaf->write)
		spte |= SPTE_WRITE;
	if (leaf->exec)
		spte |= SPTE_EXEC;
	if (leaf->tracked)
		spte |= SPTE_TRACKED;
	return spte | (leaf->ram ? SPTE_TYPE_WB | SPTE_IGNORE_PAT : SPTE_TYPE_UC);
}

u64 spte_split(u64 spte, int level, unsigned int index)
{
	u64 size = 1ULL << (KEEL_PAGE_SHIFT + 9 * (level - 1));

	return (level > 1 ? spte : spte & ~SPTE_PS) + index * size;
}

/* Put @value into the high field, below and above the guard, which is all ones. */
static u64 spread(const struct spte_format *f, u64 value)
{
	int below = f->guard_shift - SPTE_HIGH_SHIFT;

	if (!f->guard_shift)
		return value << SPTE_HIGH_SHIFT;
	return (value & low_mask(below)) << SPTE_HIGH_SHIFT |
	       low_mask(SPTE_GUARD_BITS) << f->guard_shift |
	       value >> below << (f->guard_shift + SPTE_GUARD_BITS);
}

static u64 gather(const struct spte_format *f, u64 spte)
{
	int below = f->guard_shift - SPTE_HIGH_SHIFT;

	if (!f->guard_shift)
		return spte >> SPTE_HIGH_SHIFT;
	return (spte >> SPTE_HIGH_SHIFT & low_mask(below)) |
	       spte >> (f->guard_shift + SPTE_GUARD_BITS) << below;
}

u64 spte_make_mmio(const struct spte_format *f, gfn_t gfn, unsigned int access, u64 generation)
{
	u64 number = spte_number(f, generation);
	u64 acc = (access & ACC_WRITE ? 1 : 0) + (access & ACC_USER ? 2 : 0);

	return SPTE_MMIO_VALUE | acc << SPTE_ACC_SHIFT |
	       (number & low_mask(SPTE_LOW_BITS)) << SPTE_LOW_SHIFT |
	       spread(f, gfn | number >> SPTE_LOW_BITS << f->gfn_bits);
}

gfn_t spte_mmio_gfn(const struct spte_format *f, u64 spte)
{
	return gather(f, spte) & low_mask(f->gfn_bits);
}

unsigned int spte_mmio_access(u64 spte)
{
	u64 acc = spte >> SPTE_ACC_SHIFT;

	return ACC_READ | (acc & 1 ? ACC_WRITE : 0) | (acc & 2 ? ACC_USER : 0);
}

u64 spte_mmio_number(const struct spte_format *f, u64 spte)
{
	return gather(f, spte) >> f->gfn_bits << SPTE_LOW_BITS |
	       (spte >> SPTE_LOW_SHIFT & low_mask(SPTE_LOW_BITS));
}
