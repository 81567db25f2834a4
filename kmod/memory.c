// SPDX-License-Identifier: GPL-2.0
/*
 * The memslot update: makes valid changes take effect as one. The steps are told in
 * memslot.h, at KEEL_GEN_UPDATE_IN_PROGRESS. regions.c validates what userspace asks
 * for, notifier.c handles what the host takes back, memslot.c owns the snapshots and
 * mmu/ the page tables.
 */
#include <linux/kvm.h>
#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/nospec.h>
#include <linux/slab.h>

#include "dirty.h"
#include "keel.h"
#include "memory.h"
#include "notifier.h"
#include "test.h"
#include "trace.h"

/*
 * struct slot_chunk - the current slots of CHUNK_SLOTS consecutive ids; NULL: unused
 *
 * One page, allocated when one of the ids is first used and kept as long as the VM.
 */
#define CHUNK_SLOTS	(PAGE_SIZE / sizeof(void *))
#define NR_CHUNKS	DIV_ROUND_UP(KEEL_MAX_SLOTS, CHUNK_SLOTS)

struct slot_chunk {
	const struct keel_memslot *slot[CHUNK_SLOTS];
};

/*
 * struct keel_slot_index - the writer's side of a VM's slots
 * @chunk:	the current slots by id, for each address space
 * @since:	when the update in progress began; set while its tracepoint is enabled
 */
struct keel_slot_index {
	struct slot_chunk *chunk[KEEL_ADDRESS_SPACES][NR_CHUNKS];
	struct memslot_pool pool;
	u64 since[KEEL_ADDRESS_SPACES];
};

void *memslot_alloc(size_t size)
{
	return kmalloc(size, GFP_KERNEL_ACCOUNT);
}

void memslot_free(void *p)
{
	kfree(p);
}

/* The current snapshot, for the writer. Only settle() changes a published snapshot. */
static struct keel_memslots *writable_slots(struct keel_vm *vm, int as)
{
	return rcu_dereference_protected(vm->memslots[as], lockdep_is_held(&vm->slots_lock));
}

/* Userspace chose @as and @id. They have been checked; bound them under speculation, too. */
static struct slot_chunk **chunk_of(struct keel_slot_index *index, int as, unsigned int id)
{
	as = array_index_nospec(as, KEEL_ADDRESS_SPACES);
	return &index->chunk[as][array_index_nospec(id / CHUNK_SLOTS, NR_CHUNKS)];
}

const struct keel_memslot *memory_slot(struct keel_vm *vm, int as, unsigned int id)
{
	const struct slot_chunk *chunk = *chunk_of(vm->slot_index, as, id);

	lockdep_assert_held(&vm->slots_lock);
	return chunk ? chunk->slot[id % CHUNK_SLOTS] : NULL;
}

/* --- step 1 --------------------------------------------------------------- */

/* Remove old slots before new ones are inserted, so that slots may exchange places. */
static int build(struct memslot_update *u, struct slot_change *c, int n)
{
	int i, ret;

	for (i = 0; i < n; i++) {
		ret = c[i].old ? memslots_remove(u, c[i].old) : 0;
		if (ret)
			return ret;
	}
	for (i = 0; i < n; i++) {
		if (!c[i].wanted.npages)
			continue;
		if (memslots_overlap(u->next, c[i].wanted.base, c[i].wanted.npages))
			return -EEXIST;
		c[i].slot = memslots_insert(u, &c[i].wanted);
		if (!c[i].slot)
			return -ENOMEM;
	}
	return 0;
}

/* Allocate the chunks that new ids need, so that index_commit() cannot fail. */
static int index_reserve(struct keel_slot_index *index, const struct slot_change *c, int n)
{
	for (; n--; c++) {
		struct slot_chunk **chunk = chunk_of(index, c->wanted.as, c->wanted.id);

		if (!*chunk)
			*chunk = kzalloc(sizeof(**chunk), GFP_KERNEL_ACCOUNT);
		if (!*chunk)
			return -ENOMEM;
	}
	return 0;
}

static void index_commit(struct keel_slot_index *index, const struct slot_change *c, int n)
{
	for (; n--; c++)
		(*chunk_of(index, c->wanted.as, c->wanted.id))->slot[c->wanted.id % CHUNK_SLOTS] =
			c->slot;
}

/* --- step 2 --------------------------------------------------------------- */

/*
 * struct piece - a part of an old slot, cut where slots of the next snapshot begin or end
 * @heir:	the slot of the next snapshot that has it at the same hva, or NULL
 */
struct piece {
	gfn_t first, end;
	const struct keel_memslot *heir;
};

/* Step to the piece of @old below *@p; start with all_of(). False: there is none. */
static bool next_piece(const struct keel_memslots *next, const struct keel_memslot *old,
		       struct piece *p)
{
	const struct keel_memslot *s;

	p->end = p->first;
	p->first = old->base;
	p->heir = NULL;
	if (p->end == old->base)
		return false;
	s = memslots_overlap(next, old->base, p->end - old->base);
	if (s && s->base + s->npages < p->end) {
		p->first = s->base + s->npages;
	} else if (s) {
		p->first = max(s->base, old->base);
		if (memslot_hva(s, p->first) == memslot_hva(old, p->first))
			p->heir = s;
	}
	return true;
}

static struct piece all_of(const struct keel_memslot *old)
{
	return (struct piece){ .first = old->base + old->npages };
}

/* Set tables aside for splitting the huge leaves that lie across an edge of a piece. */
static int prepare_splits(struct keel_vm *vm, const struct keel_memslots *next,
			  const struct slot_change *c, int n, struct list_head *tables)
{
	struct piece p;
	int ret = 0;

	for (; n--; c++) {
		if (!c->old)
			continue;
		p = all_of(c->old);
		while (next_piece(next, c->old, &p)) {
			if (p.first != c->old->base)
				ret = mmu_split_prepare(vm, c->old->as, p.first, tables);
			if (ret)
				return ret;
		}
	}
	return 0;
}

/* @p stays mapped: change its leaves as the flags of p->heir demand. */
static void adapt(struct keel_vm *vm, const struct keel_memslot *old, const struct piece *p)
{
	u32 flips = old->flags ^ p->heir->flags;

	if (flips & p->heir->flags & KVM_MEM_READONLY)
		mmu_protect_gfns(vm, old->as, p->first, p->end);
	if (!(flips & KVM_MEM_LOG_DIRTY_PAGES))
		return;
	if (old->flags & KVM_MEM_LOG_DIRTY_PAGES)
		mmu_log_no_more(vm, p->heir, p->first, p->end);
	else
		mmu_log_prepare(vm, old->as, p->first, p->end);
}

/*
 * Remove what is mapped through @old but not through @next, and rights that @next
 * does not give. Pieces with an heir stay mapped.
 */
static void withdraw(struct keel_vm *vm, const struct keel_memslots *next,
		     const struct keel_memslot *old, struct list_head *tables)
{
	struct piece p = all_of(old);

	while (next_piece(next, old, &p)) {
		if (p.first != old->base)
			mmu_split_gfn(vm, old->as, p.first, tables);
		if (p.heir)
			adapt(vm, old, &p);
		else
			mmu_zap_gfns(vm, old->as, p.first, p.end, true);
	}
}

/*
 * Must the pages of @old that stay mapped for @heir be armed for logging? Yes if
 * logging begins, unless a bitmap starts with all bits set. With dirty rings also
 * if id or base changes: a ring entry names slot and offset, so resetting an entry
 * made before would arm another page, or none.
 */
static bool must_arm(const struct keel_vm *vm, const struct keel_memslot *old,
		     const struct keel_memslot *heir)
{
	if (!(heir->flags & KVM_MEM_LOG_DIRTY_PAGES))
		return false;
	if (vm->dirty_ring_entries)
		return !(old->flags & KVM_MEM_LOG_DIRTY_PAGES) || heir->id != old->id ||
		       heir->base != old->base;
	return !(old->flags & KVM_MEM_LOG_DIRTY_PAGES) &&
	       !(vm->dirty_log_flags & KVM_DIRTY_LOG_INITIALLY_SET);
}

/*
 * Arm the pages that must_arm() selects, after @now has been published: a write to a
 * page armed before could be drained from the PML buffer while its slot still is the
 * old one, which does not log. The mark would be lost.
 */
static void arm(struct keel_vm *vm, const struct keel_memslots *now, const struct slot_change *c,
		int n)
{
	struct piece p;

	for (; n--; c++) {
		if (!c->old)
			continue;
		p = all_of(c->old);
		while (next_piece(now, c->old, &p)) {
			if (!p.heir || !must_arm(vm, c->old, p.heir))
				continue;
			mmu_log_begin(vm);
			mmu_log_again(vm, p.heir->as, p.first, p.end - p.first, NULL);
			mmu_log_end(vm);
		}
	}
}

/*
 * Copy the dirty bits of slots that are gone to the slots that have the pages now,
 * and to the slot itself if it has moved; then free the old bitmaps. No reader of
 * the old snapshot may be left: it could still mark pages there.
 */
static void inherit_dirty(const struct keel_memslots *now, const struct slot_change *c, int n)
{
	struct piece p;

	for (; n--; c++) {
		if (!c->old || !c->old->dirty || (c->slot && c->slot->dirty == c->old->dirty))
			continue;
		p = all_of(c->old);
		while (next_piece(now, c->old, &p))
			if (p.heir)
				dirty_inherit(c->old, p.heir, p.first, p.end);
		if (c->slot)
			dirty_move(c->old, c->slot);
		dirty_free(c->old);
	}
}

/* The number of slots that log writes, after the changes less before. */
static int more_logging(const struct slot_change *c, int n)
{
	int more = 0;

	for (; n--; c++) {
		more += c->slot && c->slot->flags & KVM_MEM_LOG_DIRTY_PAGES;
		more -= c->old && c->old->flags & KVM_MEM_LOG_DIRTY_PAGES;
	}
	return more;
}

static bool takes_away(const struct slot_change *c, int n)
{
	while (n--)
		if (c[n].old)
			return true;
	return false;
}

/*
 * Steps 2 and 3: withdraw what is mapped through the slots that go or change, then
 * publish. mmu.lock may be dropped on the way; until the new snapshot is published
 * mmu.next keeps faults from mapping it again.
 */
static void replace_slots(struct keel_vm *vm, int as, struct keel_memslots *set,
			  const struct slot_change *c, int n, struct list_head *tables)
{
	int i;

	spin_lock(&vm->mmu.lock);
	/* Release: the set must be complete for in_vain(), which reads it without mmu.lock. */
	smp_store_release(&vm->mmu.next[as], set);
	mmu_one_flush_begin(vm);
	for (i = 0; i < n; i++)
		if (c[i].old)
			withdraw(vm, set, c[i].old, tables);
	mmu_one_flush_end(vm);
	rcu_assign_pointer(vm->memslots[as], set);
	WRITE_ONCE(vm->mmu.next[as], NULL);
	spin_unlock(&vm->mmu.lock);
}

/* --- steps 4 to 6 ---------------------------------------------------------- */

/* Trace @phase with the time since the update began. Read no clock if tracing is off. */
static void trace_phase(struct keel_vm *vm, int as, enum keel_update_phase phase,
			const struct keel_memslots *set)
{
	u64 *since = &vm->slot_index->since[as];
	u64 now;

	if (!trace_keel_memslot_update_enabled())
		return;
	now = ktime_get_ns();
	if (phase == UPDATE_BEGIN || !*since)
		*since = now;
	trace_keel_memslot_update(vm->id, as, phase, memslots_generation(set), now - *since);
}

/*
 * May a reader of a snapshot older than the one just published be left? Read
 * sections that begin from now on find the new one.
 */
static bool being_read(struct keel_vm *vm)
{
	struct keel_vcpu *vcpu;
	unsigned long i;
	bool reading;

	/* Publish before reading the counts: pairs with smp_store_mb() of the readers. */
	smp_mb();
	/* Acquire: pairs with end_reading(), so 0 also shows all that the sections did. */
	reading = smp_load_acquire(&vm->notifier_reads);
	rcu_read_lock();
	for (i = 0; (vcpu = keel_vcpu_from(vm, &i)); i++) {
		if (reading)
			break;
		/* Acquire: pairs with keel_read_slots_end() in the same way. */
		reading = smp_load_acquire(&vcpu->slots_held);
	}
	rcu_read_unlock();
	return reading;
}

/*
 * Steps 5 and 6. No reader may be left of an older snapshot that had an even
 * generation.
 */
static void settle(struct keel_vm *vm, int as)
{
	struct keel_memslots *set = writable_slots(vm, as);
	u64 next = memslots_next_generation(set);

	if (!(memslots_generation(set) & KEEL_GEN_UPDATE_IN_PROGRESS))
		return;
	trace_phase(vm, as, UPDATE_GRACE, set);
	/* After the last reader that could store the number, before it can be matched. */
	if (mmu_number_wraps(memslots_generation(set), next)) {
		STAT(vm, mmio_wraps);
		trace_keel_mmio_wrap(vm->id, as, memslots_generation(set), next);
		mmu_zap_mmio(vm, as);
	}
	test_point(TEST_WINDOW);
	memslots_settle(set);
	trace_phase(vm, as, UPDATE_END, set);
}

/*
 * Steps 4 to 6 for updates that only added: wait for a grace period, reuse the
 * retired objects, settle.
 *
 * No two flagged phases share a number. If the flagged generation is the same after
 * the grace period as before it, the phase began before the grace period, so no
 * reader is left of a snapshot that had an even generation. Snapshots published
 * within the phase may still have readers. Their generation stays odd for good, and
 * a verdict with an odd generation is never stored; so nobody can have stored the
 * number that settle() gives to the last of them. Therefore verdicts are used again
 * from time to time even under a steady stream of additions.
 */
static void grace_work(struct work_struct *work)
{
	struct keel_vm *vm = container_of(work, struct keel_vm, grace);
	struct keel_slot_index *index = vm->slot_index;
	u64 seen[KEEL_ADDRESS_SPACES];
	struct slot_object *retired;
	int as;

	mutex_lock(&vm->slots_lock);
	for (as = 0; as < KEEL_ADDRESS_SPACES; as++)
		seen[as] = memslots_generation(writable_slots(vm, as));
	retired = memslots_take_retired(&index->pool);
	mutex_unlock(&vm->slots_lock);
	synchronize_srcu_expedited(&vm->srcu);
	test_point(TEST_GRACE);
	mutex_lock(&vm->slots_lock);
	memslots_reuse(&index->pool, retired);
	for (as = 0; as < KEEL_ADDRESS_SPACES; as++)
		if (memslots_generation(writable_slots(vm, as)) == seen[as])
			settle(vm, as);
	mutex_unlock(&vm->slots_lock);
}

/* Steps 4 to 6. If the update took something away, return when no reader of it is left. */
static void finish(struct keel_vm *vm, int as, const struct slot_change *c, int n)
{
	bool wait = takes_away(c, n);
	struct memslot_pool *pool = &vm->slot_index->pool;

	if (being_read(vm)) {
		if (!wait) {
			queue_work(system_highpri_wq, &vm->grace);
			return;
		}
		synchronize_srcu_expedited(&vm->srcu);
	}
	inherit_dirty(writable_slots(vm, as), c, n);
	memslots_reuse(pool, memslots_take_retired(pool));
	settle(vm, as);
}

/* --- all steps -------------------------------------------------------------- */

static int try_build(struct keel_vm *vm, struct memslot_update *u, struct slot_change *c, int n,
		     struct list_head *tables)
{
	int ret = build(u, c, n);

	if (ret)
		return ret;
	ret = prepare_splits(vm, u->next, c, n, tables);
	if (ret)
		return ret;
	return index_reserve(vm->slot_index, c, n);
}

int memory_update(struct keel_vm *vm, int as, struct slot_change *c, int n)
{
	struct keel_slot_index *index = vm->slot_index;
	struct memslot_update u;
	LIST_HEAD(tables);
	int ret, more;

	lockdep_assert_held(&vm->slots_lock);
	ret = dirty_prepare(vm, c, n);
	if (ret)
		return ret;
	ret = memslots_begin(&u, &index->pool, writable_slots(vm, as));
	if (ret)
		goto free_bitmaps;
	ret = try_build(vm, &u, c, n, &tables);
	if (ret) {
		memslots_abort(&u);
		goto free_bitmaps;
	}
	index_commit(index, c, n);
	memslots_commit(&u);
	trace_phase(vm, as, UPDATE_BEGIN, u.next);
	more = more_logging(c, n);
	if (more > 0)
		dirty_count_slots(vm, more);
	if (takes_away(c, n))
		replace_slots(vm, as, u.next, c, n, &tables);
	else
		rcu_assign_pointer(vm->memslots[as], u.next);
	STAT(vm, memslot_updates);
	trace_phase(vm, as, UPDATE_PUBLISHED, u.next);
	test_point(TEST_PUBLISHED);
	if (vm->logging_slots)
		arm(vm, u.next, c, n);
	finish(vm, as, c, n);
	if (more < 0)
		dirty_count_slots(vm, more);
	mmu_free_unused(&tables);
	return 0;
free_bitmaps:
	dirty_abort(c, n);
	mmu_free_unused(&tables);
	return ret;
}

/* --- life ------------------------------------------------------------------- */

static void free_chunk(struct slot_chunk *chunk)
{
	int i;

	for (i = 0; chunk && i < CHUNK_SLOTS; i++)
		if (chunk->slot[i])
			dirty_free(chunk->slot[i]);
	kfree(chunk);
}

static void free_index(struct keel_slot_index *index)
{
	int as, i;

	if (!index)
		return;
	for (as = 0; as < KEEL_ADDRESS_SPACES; as++)
		for (i = 0; i < NR_CHUNKS; i++)
			free_chunk(index->chunk[as][i]);
	memslots_drain(&index->pool);
	kfree(index);
}

static void free_slots(struct keel_vm *vm)
{
	int as;

	/* Before the slots: the index finds the bitmaps through them. */
	free_index(vm->slot_index);
	vm->slot_index = NULL;
	for (as = 0; as < KEEL_ADDRESS_SPACES; as++) {
		memslots_destroy(rcu_dereference_protected(vm->memslots[as], true));
		RCU_INIT_POINTER(vm->memslots[as], NULL);
	}
}

int memory_init(struct keel_vm *vm)
{
	int as, ret = -ENOMEM;

	INIT_WORK(&vm->grace, grace_work);
	vm->slot_index = kzalloc(sizeof(*vm->slot_index), GFP_KERNEL_ACCOUNT);
	if (!vm->slot_index)
		return -ENOMEM;
	for (as = 0; as < KEEL_ADDRESS_SPACES; as++) {
		struct keel_memslots *set = memslots_new(as);

		if (!set)
			goto free;
		RCU_INIT_POINTER(vm->memslots[as], set);
	}
	ret = notifier_register(vm);
	if (ret)
		goto free;
	return 0;
free:
	free_slots(vm);
	return ret;
}

void memory_release(struct keel_vm *vm)
{
	notifier_unregister(vm);
	cancel_work_sync(&vm->grace);
	free_slots(vm);
}
