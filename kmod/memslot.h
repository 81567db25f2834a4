/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Memory slots: an immutable set of them (a snapshot) with its generation.
 *
 * A snapshot holds two persistent trees, one by gfn for the guest's accesses
 * and one by hva for the mmu notifier. The next snapshot shares every node that
 * the update does not touch, so an update and a look-up each cost O(log n).
 * Pure: no locks, no RCU, no page tables. memory.c publishes snapshots and says
 * when no reader of a superseded one is left.
 */
#ifndef KEEL_MEMSLOT_H
#define KEEL_MEMSLOT_H

#include "types.h"

#define KEEL_ADDRESS_SPACES	2		/* 0: normal, 1: SMM */
#define KEEL_MAX_SLOTS		32764		/* ids of one address space */

/*
 * The generation of a snapshot is a 64-bit number. Address space i starts at 2 * i
 * and each update that is settled adds KEEL_GEN_STEP, so two address spaces never
 * share a number.
 *
 * Bit 0 is a flag: readers of an older snapshot may be left. While it is set, no
 * stored MMIO verdict is used, and none is stored in an MMIO spte or the vCPU cache.
 * The flagged generation has the number of the older snapshot, so verdicts from the
 * old and from the new slots could not be told apart.
 *
 * An update, memory_update(), goes through these steps under vm->slots_lock:
 *
 * 1. Build the next snapshot, with the flag set. An error can occur only here.
 * 2. If slots go or change: set mmu.next, which keeps faults from mapping what the
 *    next snapshot does not have, and remove or write-protect what it does not have.
 *    The old snapshot is still in force: its MMIO verdicts hold, other slots are not
 *    disturbed, a fault on a slot that changes retries, and the mmu notifier finds
 *    the remaining mappings.
 * 3. Publish the snapshot. The update takes effect: read sections that begin now
 *    find the new slots, and the flag voids every verdict. Arm the pages of slots
 *    that begin to log.
 * 4. No reader of an older snapshot may be left: see being_read(). If there may be
 *    one, an update that takes something away waits for an SRCU grace period; one
 *    that only adds returns, and grace_work() waits, without the lock. Then pass on
 *    the dirty bits of slots that are gone.
 * 5. If the stored part of the number wraps between the old and the next number,
 *    remove all MMIO sptes of the address space.
 * 6. Add KEEL_GEN_STEP and clear the flag, in one store. Verdicts are used again;
 *    those made before the update have an older number.
 *
 * Adding needs neither step 2 nor mmu.lock nor a wait: a fault that still uses an
 * old snapshot can only conclude "MMIO", with a number that is void. Updates that
 * follow before step 6 share the flagged number and step 6.
 *
 * docs/memory-updates.md says what would go wrong without each of these rules.
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
 * @dirty:	dirty bitmap, owned by dirty.c, or NULL
 *
 * Two snapshots that hold the same pointer agree on everything about the slot, so
 * comparing the pointers is enough.
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

/* @slot as in the ABI: id in bits 0-15, address space in bits 16-31. */
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

/* Allocate and free slots, nodes and sets. memory.c, or a unit test, defines these. */
void *memslot_alloc(size_t size);
void memslot_free(void *p);

enum slot_object_kind { SLOT_BOX, NODE_BOX, SLOT_SET, NR_SLOT_OBJECTS };

/*
 * struct memslot_pool - objects that one update no longer needs, for the next
 * @spare:	free objects by kind, @count of each
 * @retired:	objects that only superseded snapshots refer to; readers may be left
 *
 * An update of a large set copies some ten objects and retires as many. A zeroed
 * pool is empty. The caller serialises access.
 */
struct memslot_pool {
	struct slot_object *spare[NR_SLOT_OBJECTS], *retired;
	unsigned int count[NR_SLOT_OBJECTS];
};

/* Free all objects in the pool. No reader of a superseded snapshot may be left. */
void memslots_drain(struct memslot_pool *pool);

/*
 * Take the objects retired so far. Give them to memslots_reuse() when no reader of
 * the snapshots superseded so far is left.
 */
struct slot_object *memslots_take_retired(struct memslot_pool *pool);
void memslots_reuse(struct memslot_pool *pool, struct slot_object *retired);

/* An empty set with the first generation of address space @as, or NULL. */
struct keel_memslots *memslots_new(int as);

/* Free @set and all its slots. No reader may be left. */
void memslots_destroy(struct keel_memslots *set);

/* The slot that backs @gfn, or NULL. O(log n). */
const struct keel_memslot *memslots_find(const struct keel_memslots *set, gfn_t gfn);

/* The slot with the highest gfns of those that overlap [@base, @base + @npages), or NULL. */
const struct keel_memslot *memslots_overlap(const struct keel_memslots *set, gfn_t base,
					    u64 npages);

/* Call @fn for each slot that has memory in [@start, @end), in order of hva. */
void memslots_visit_hva(const struct keel_memslots *set, hva_t start, hva_t end,
			void (*fn)(const struct keel_memslot *slot, void *arg), void *arg);

unsigned int memslots_count(const struct keel_memslots *set);

/*
 * The generation is the only field of a published set that changes:
 * memslots_settle() changes it once, from odd to even.
 */
u64 memslots_generation(const struct keel_memslots *set);

/* The even generation that memslots_settle() will give to @set. */
u64 memslots_next_generation(const struct keel_memslots *set);

/* Step 6 of an update: verdicts reached with @set are used from now on. */
void memslots_settle(struct keel_memslots *set);

#ifdef KEEL_TEST
/* Test builds only: set the generation, as if updates had advanced it. */
void memslots_jump(struct keel_memslots *set, u64 generation);
#endif

/*
 * struct memslot_update - any number of changes that make one new snapshot
 * @next:	the snapshot being built; its generation has the flag set
 * @fresh:	objects allocated for this update
 * @garbage:	objects that only the old snapshot refers to, then those retired
 *		earlier
 *
 * Call memslots_begin(), then memslots_remove() and memslots_insert() in an order
 * in which no two slots ever overlap, then memslots_commit(). As soon as one of
 * them fails call memslots_abort() instead: the old snapshot is unchanged.
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
/* Returns the copy of *@wanted that the snapshot holds, or NULL: no memory. */
const struct keel_memslot *memslots_insert(struct memslot_update *u,
					   const struct keel_memslot *wanted);
void memslots_abort(struct memslot_update *u);
/* Retire what the new snapshot replaces. The new snapshot may be published. */
void memslots_commit(struct memslot_update *u);

#endif
