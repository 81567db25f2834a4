// SPDX-License-Identifier: GPL-2.0
/*
 * Dirty logging in the tables. With PML the hardware logs the first write through a
 * leaf whose dirty bit is clear; without PML the leaf is write-protected, and the
 * first write faults. This file arms leaves accordingly; the first write, or its
 * fault, disarms them. In a slot that logs no leaf is huge.
 */
#include <linux/sched/signal.h>

#include "fault.h"

bool mmu_log_hardware __ro_after_init;

/* Tables allocated at a time. */
#define BATCH	32

static void arm(struct zap *z, struct spte_iter *it)
{
	u64 *entry = &it->table->spt[it->index];

	if (!mmu_log_hardware) {
		zap_write_protect(z, it);
	} else if (it->spte & SPTE_DIRTY) {
		spte_hand_back(it->spte);
		clear_bit(SPTE_DIRTY_BIT, (unsigned long *)entry);
		z->late = true;
	}
}

void mmu_log_begin(struct keel_vm *vm)
	__acquires(&vm->mmu.lock)
{
	spin_lock(&vm->mmu.lock);
	mmu_one_flush_begin(vm);
}

void mmu_log_end(struct keel_vm *vm)
	__releases(&vm->mmu.lock)
{
	mmu_one_flush_end(vm);
	spin_unlock(&vm->mmu.lock);
}

int mmu_log_again(struct keel_vm *vm, int as, gfn_t first, u64 npages, const unsigned long *bits)
{
	struct spte_iter it;
	struct zap z;
	int ret = 0;

	lockdep_assert_held(&vm->mmu.lock);
	zap_init(&z, vm);
	iter_init(&it, vm->mmu.table[as], first, first + npages);
	while (!ret && iter_find(&it)) {
		if (spte_is_leaf(it.spte) && (!bits || test_bit(it.gfn - first, bits)))
			arm(&z, &it);
		iter_advance(&it);
		/* Check at each step: zap_give_way() pauses only if another task waits. */
		if (bits && fatal_signal_pending(current))
			ret = -EINTR;
		else if (zap_give_way(&z))
			iter_restart(&it);
	}
	zap_finish(&z);
	return ret;
}

void mmu_log_cond_resched(struct keel_vm *vm)
{
	struct zap z;

	zap_init(&z, vm);
	zap_give_way(&z);
}

/* --- dirty logging begins ------------------------------------------------ */

static void set_aside(struct list_head *tables)
{
	int i;

	for (i = 0; i < BATCH; i++) {
		struct keel_table *t = table_alloc();

		if (!t)
			return;
		list_add(&t->dead_link, tables);
	}
}

/* Allocate with mmu.lock dropped; zap_pause() flushes what has been removed first. */
static void set_aside_unlocked(struct zap *z, struct list_head *tables)
	__must_hold(&z->vm->mmu.lock)
{
	zap_pause(z);
	set_aside(tables);
	zap_resume(z);
}

/* Split a huge leaf, or remove it if there is no memory for tables. */
static void make_small(struct zap *z, struct spte_iter *it, struct list_head *tables)
{
	if (list_empty(tables)) {
		set_aside_unlocked(z, tables);
		iter_restart(it);
		/* The lock was dropped: find the leaf again, here if there are no tables. */
		if (!list_empty(tables) || !iter_find(it) || it->table->level == 1)
			return;
	}
	split_or_zap(z, it->table, it->index, tables);
}

void mmu_log_prepare(struct keel_vm *vm, int as, gfn_t first, gfn_t end)
{
	LIST_HEAD(tables);
	struct spte_iter it;
	struct zap z;

	lockdep_assert_held(&vm->mmu.lock);
	zap_init(&z, vm);
	iter_init(&it, vm->mmu.table[as], first, end);
	while (iter_find(&it)) {
		if (spte_is_leaf(it.spte) && it.table->level > 1) {
			make_small(&z, &it, &tables);
			continue;
		}
		iter_advance(&it);
		if (zap_give_way(&z))
			iter_restart(&it);
	}
	zap_finish(&z);
	mmu_free_unused(&tables);
}

/* --- dirty logging ends --------------------------------------------------- */

static bool could_be_huge(struct keel_vm *vm, const struct keel_memslot *slot, gfn_t gfn)
{
	return mmu_max_level > 1 && slot_fits(slot, gfn, 2) &&
	       host_level(vm->mm, memslot_hva(slot, gfn)) > 1;
}

void mmu_log_no_more(struct keel_vm *vm, const struct keel_memslot *slot, gfn_t first, gfn_t end)
{
	struct spte_iter it;
	struct zap z;

	lockdep_assert_held(&vm->mmu.lock);
	zap_init(&z, vm);
	iter_init(&it, vm->mmu.table[slot->as], first, end);
	while (iter_find(&it)) {
		gfn_t gfn = it.gfn & ~(level_pages(2) - 1);
		struct keel_table *parent = it.table->parent;

		if (it.table->level == 1 && could_be_huge(vm, slot, gfn))
			zap_entry(&z, parent, table_index(gfn, 2));
		it.gfn = next_entry(it.gfn, 2);
		zap_give_way(&z);
		iter_restart(&it);
	}
	zap_finish(&z);
}
