/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Memory slots: an immutable set of them (a snapshot) with its generation.
 *
 * A snapshot holds two persistent trees, one by gfn for the guest's accesses
 * and one by hva for the mmu notifier. The next snapshot shares every node that
 * the update does not touch, so an update costs O(log n) and a look-up O(log n),
 * with 32,764 slots as with one. Pure: no locks, no RCU, no page tables.
 * memory.c publishes snapshots and frees what is no longer reachable.
 */
#ifndef KEEL_MEMSLOT_H
#define KEEL_MEMSLOT_H

#include "types.h"

#define KEEL_ADDRESS_SPACES	2		/* 0: normal, 1: SMM */
#define KEEL_MAX_SLOTS		32764		/* ids of one address space */

/*
 * The generation is a 64-bit number whose bit 0 is a flag: the slots are being
 * changed, believe nothing that carries this number. Address space i starts at
 * 2 * i and every update advances by KEEL_GEN_STEP, so that the sequences of
 * two address spaces never share a number.
 */
#define KEEL_GEN_UPDATE_IN_PROGRESS	1ULL
#define KEEL_GEN_STEP			(2ULL * KEEL_ADDRESS_SPACES)

/*
 * struct keel_memslot - one range of guest memory; never changes once published
 * @base:	first gfn
 * @npages:	length in 4 KiB pages, > 0
 * @hva:	address of the first page in the owner's process, far below 2^60
 * @flags:	KVM_MEM_READONLY, KVM_MEM_LOG_DIRTY_PAGES
 * @id:		0..KEEL_MAX_SLOTS-1, unique within its address space
 * @as:		address space
 * @dirty:	a bit for each page, set when it has been written to; or NULL.
 *		dirty.c's
 *
 * The address of a slot is its identity: two snapshots that hold the same
 * pointer agree on everything about the slot.
 */
struct keel_memslot {
	gfn_t base;
	u64 npages;
	hva_t hva;
	u32 flags;
	u16 id;
	u16 as;
	unsigned long *dirty;
};

struct keel_memslots;
struct slot_object;

/* @slot as userspace writes it: the id below, the address space above. */
static inline bool memslot_id_valid(u32 slot)
{
	return slot >> 16 < KEEL_ADDRESS_SPACES && (u16)slot < KEEL_MAX_SLOTS;
}

static inline bool memslot_has(const struct keel_memslot *s, gfn_t gfn)
{
	return gfn - s->base < s->npages;
}

static inline hva_t memslot_hva(const struct keel_memslot *s, gfn_t gfn)
{
	return s->hva + ((gfn - s->base) << KEEL_PAGE_SHIFT);
}

/* Memory for slots, nodes and sets: given by whoever links with memslot.c. */
void *memslot_alloc(size_t size);
void memslot_free(void *p);

enum slot_object_kind { SLOT_BOX, NODE_BOX, SLOT_SET, NR_SLOT_OBJECTS };

/*
 * struct memslot_pool - what one update no longer needs, for the next
 * @spare:	free, @count of them, by kind
 * @retired:	what only superseded snapshots refer to: readers may still be there
 *
 * An update of a large set copies some ten objects and gives as many back.
 * Zeroed is empty; one writer at a time.
 */
struct memslot_pool {
	struct slot_object *spare[NR_SLOT_OBJECTS], *retired;
	unsigned int count[NR_SLOT_OBJECTS];
};

/* Free all that is in the pool. Nobody reads a superseded snapshot any more. */
void memslots_drain(struct memslot_pool *pool);

/*
 * Take what is retired so far. It must be given to memslots_reuse() once all
 * who read superseded snapshots at this moment have ended.
 */
struct slot_object *memslots_take_retired(struct memslot_pool *pool);
void memslots_reuse(struct memslot_pool *pool, struct slot_object *retired);

/* An empty set with the first generation of address space @as, or NULL. */
struct keel_memslots *memslots_new(int as);

/* Free a set that nobody can reach any more, with all its slots. */
void memslots_destroy(struct keel_memslots *set);

/* The slot that backs @gfn, or NULL. O(log n). */
const struct keel_memslot *memslots_find(const struct keel_memslots *set, gfn_t gfn);

/* The slot with the highest gfns that shares one with [@base, @base + @npages), or NULL. */
const struct keel_memslot *memslots_overlap(const struct keel_memslots *set, gfn_t base,
					    u64 npages);

/* Call @fn for each slot that has memory in [@start, @end), in order of hva. */
void memslots_visit_hva(const struct keel_memslots *set, hva_t start, hva_t end,
			void (*fn)(const struct keel_memslot *slot, void *arg), void *arg);

unsigned int memslots_count(const struct keel_memslots *set);

/*
 * The generation is the one word of a published set that changes, and it does
 * so once: from odd to even, by memslots_settle().
 */
u64 memslots_generation(const struct keel_memslots *set);

/* The even generation that memslots_settle() will give to @set. */
u64 memslots_next_generation(const struct keel_memslots *set);

/* The grace period is over: verdicts reached with @set can be believed from now on. */
void memslots_settle(struct keel_memslots *set);

#ifdef KEEL_TEST
/* Test builds only: as if that many updates had been made. */
void memslots_jump(struct keel_memslots *set, u64 generation);
#endif

/*
 * struct memslot_update - any number of changes that make one new snapshot
 * @next:	the snapshot being built; its generation has the flag set
 * @fresh:	what was allocated for it
 * @garbage:	what only the old snapshot refers to, and behind that what was
 *		retired before
 *
 * memslots_begin(), then memslots_remove() and memslots_insert() in an order
 * that never lets two slots overlap, then memslots_commit() or, as soon as one
 * has failed, memslots_abort(), which leaves the old snapshot as it was.
 */
struct memslot_update {
	struct memslot_pool *pool;
	struct keel_memslots *next;
	struct slot_object *fresh;
	struct slot_object *garbage;
};

/* 0 or -ENOMEM. */
int memslots_begin(struct memslot_update *u, struct memslot_pool *pool,
		   struct keel_memslots *old);
/* 0, -ENOMEM, or -ENOENT: @slot is not in the snapshot. */
int memslots_remove(struct memslot_update *u, const struct keel_memslot *slot);
/* A copy of *@wanted, which is what the snapshot will hold, or NULL: no memory. */
const struct keel_memslot *memslots_insert(struct memslot_update *u,
					   const struct keel_memslot *wanted);
void memslots_abort(struct memslot_update *u);
/* The new snapshot may be published; what it replaces is retired. */
void memslots_commit(struct memslot_update *u);

#endif
