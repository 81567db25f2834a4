/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Memory slots: an immutable set of them (a snapshot) with its generation.
 *
 * A snapshot is a persistent tree: the next one shares every node that the
 * update does not touch, so an update costs O(log n) and a look-up O(log n),
 * with 32,764 slots as with one. Pure: no locks, no RCU, no page tables.
 * memory.c publishes snapshots and frees what is no longer reachable.
 */
#ifndef KEEL_MEMSLOT_H
#define KEEL_MEMSLOT_H

#include "types.h"

/*
 * The generation is a 64-bit number whose bit 0 is a flag: the slots are being
 * changed, believe nothing that carries this number.
 */
#define KEEL_GEN_UPDATE_IN_PROGRESS	1ULL

/*
 * struct keel_memslot - one range of guest memory; never changes once published
 * @base:	first gfn
 * @npages:	length in 4 KiB pages, > 0
 * @hva:	address of the first page in the owner's process
 * @flags:	KVM_MEM_READONLY, KVM_MEM_LOG_DIRTY_PAGES
 * @id:		0..KEEL_MAX_SLOTS-1, unique within its address space
 * @as:		address space
 */
struct keel_memslot {
	gfn_t base;
	u64 npages;
	hva_t hva;
	u32 flags;
	u16 id;
	u16 as;
};

struct keel_memslots;

static inline bool memslot_has(const struct keel_memslot *s, gfn_t gfn)
{
	return gfn - s->base < s->npages;
}

static inline hva_t memslot_hva(const struct keel_memslot *s, gfn_t gfn)
{
	return s->hva + ((gfn - s->base) << KEEL_PAGE_SHIFT);
}

/* The slot that backs @gfn, or NULL. O(log n). */
const struct keel_memslot *memslots_find(const struct keel_memslots *set, gfn_t gfn);

u64 memslots_generation(const struct keel_memslots *set);

#endif
