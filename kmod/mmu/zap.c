// SPDX-License-Identifier: GPL-2.0
/*
 * Removal from the tables: a range, MMIO entries only, everything at the end. Passes
 * the accessed and dirty bits of removed leaves on to the host's pages. Owns the
 * order of removal, flush and free.
 *
 * An unlinked table may still be walked by a CPU in the guest, until the flush, and
 * by mmu_misconfig(), until the end of its RCU read section. So: unlink, flush, wait
 * for readers, free. mmu.dead holds tables that have not been flushed. Readers use
 * RCU and not vm->srcu, because an SRCU reader may sleep in a fault for as long as a
 * process likes, and all tables unlinked meanwhile would wait.
 *
 * An update that removes several ranges flushes once, at mmu_one_flush_end(), with
 * the lock held throughout. If another task waits for this CPU or the lock, the
 * removal gives way: zap_pause() flushes first, an "early flush", so whoever takes the
 * lock finds that an entry which is not in the tables is in no TLB. A right to write
 * or a dirty bit taken from a leaf that stays mapped is flushed at the end only: the
 * caller relies on it only after that. The caller keeps the removed part from being
 * mapped again: by mmu->next for slots, by the invalidation count for host pages.
 */
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/swap.h>

#include "../test.h"
#include "table.h"

void mmu_flush(struct keel_vm *vm)
{
	lockdep_assert_held(&vm->mmu.lock);
	STAT(vm, remote_flushes);
	keel_request_all(vm, REQ_TLB_FLUSH);
}

static void flush_owed(struct keel_vm *vm)
{
	struct keel_mmu *mmu = &vm->mmu;
	struct keel_table *t, *next;

	if (mmu->flush_owed || mmu->late_owed)
		mmu_flush(vm);
	mmu->flush_owed = false;
	mmu->late_owed = false;
	list_for_each_entry_safe(t, next, &mmu->dead, dead_link)
		table_free_later(t);
	INIT_LIST_HEAD(&mmu->dead);
}

void zap_finish(struct zap *z)
{
	struct keel_mmu *mmu = &z->vm->mmu;

	lockdep_assert_held(&mmu->lock);
	mmu->flush_owed |= z->flush;
	z->flush = false;
	mmu->late_owed |= z->late;
	z->late = false;
	list_splice_init(&z->dead, &mmu->dead);
	if (!mmu->one_flush)
		flush_owed(z->vm);
}

void mmu_one_flush_begin(struct keel_vm *vm)
{
	lockdep_assert_held(&vm->mmu.lock);
	vm->mmu.one_flush = true;
}

void mmu_one_flush_end(struct keel_vm *vm)
{
	lockdep_assert_held(&vm->mmu.lock);
	vm->mmu.one_flush = false;
	flush_owed(vm);
}

void spte_hand_back(u64 spte)
{
	struct folio *folio;

	if (!(spte & SPTE_TRACKED))
		return;
	folio = page_folio(pfn_to_page(PHYS_PFN(spte_address(spte))));
	if (spte_dirty(&mmu_format, spte))
		folio_set_dirty(folio);
	if (spte_accessed(&mmu_format, spte))
		folio_mark_accessed(folio);
}

static void kill_table(struct zap *z, struct keel_table *t)
{
	list_add(&t->dead_link, &z->dead);
	if (t->level == 1) {
		list_del_init(&t->low_link);
		z->vm->mmu.nr_low--;
	}
	t->parent = NULL;
	z->flush = true;
}

static void drop_leaf(struct zap *z, struct keel_table *t, unsigned int index)
{
	u64 old = table_set(z->vm, t, index, 0);

	if (!spte_is_leaf(old))
		return;
	spte_hand_back(old);
	STAT(z->vm, zapped_ptes);
	z->flush = true;
}

/* Clear @top, an unlinked table, and all tables below it, depth first without a stack. */
static void drop_tables(struct zap *z, struct keel_table *top)
{
	struct keel_table *t = top;
	unsigned int i = 0;

	while (t != top || i < TABLE_ENTRIES) {
		if (i == TABLE_ENTRIES) {
			struct keel_table *parent = t->parent;

			i = table_index(t->gfn, parent->level);
			table_set(z->vm, parent, i++, 0);
			kill_table(z, t);
			t = parent;
		} else if (spte_is_table(t->spt[i])) {
			t = spte_table(t->spt[i]);
			i = 0;
		} else {
			drop_leaf(z, t, i++);
		}
	}
}

void zap_entry(struct zap *z, struct keel_table *t, unsigned int index)
{
	u64 spte = READ_ONCE(t->spt[index]);

	lockdep_assert_held(&z->vm->mmu.lock);
	if (!spte_is_table(spte)) {
		drop_leaf(z, t, index);
		return;
	}
	table_set(z->vm, t, index, 0);
	drop_tables(z, spte_table(spte));
	kill_table(z, spte_table(spte));
}

void zap_empty(struct zap *z, struct keel_table *t)
{
	lockdep_assert_held(&z->vm->mmu.lock);
	while (!t->used && t->parent) {
		struct keel_table *parent = t->parent;

		table_set(z->vm, parent, table_index(t->gfn, parent->level), 0);
		kill_table(z, t);
		t = parent;
	}
}

void zap_pause(struct zap *z)
	__releases(&z->vm->mmu.lock)
{
	struct keel_mmu *mmu = &z->vm->mmu;
	bool late = z->late || mmu->late_owed;

	z->one_flush = mmu->one_flush;
	mmu->one_flush = false;
	if (z->flush || mmu->flush_owed)
		STAT(z->vm, early_flushes);
	/* Leave the late flush to this removal, not to the next task that takes the lock. */
	z->late = false;
	mmu->late_owed = false;
	zap_finish(z);
	z->late = late;
	spin_unlock(&mmu->lock);
}

void zap_resume(struct zap *z)
	__acquires(&z->vm->mmu.lock)
{
	struct keel_mmu *mmu = &z->vm->mmu;

	spin_lock(&mmu->lock);
	mmu->one_flush = z->one_flush;
	mmu->late_owed |= z->late;
	z->late = false;
}

bool zap_give_way(struct zap *z)
{
	if (!need_resched() && !spin_needbreak(&z->vm->mmu.lock) && !test_point_set(TEST_PAUSED))
		return false;
	zap_pause(z);
	test_point(TEST_PAUSED);
	cond_resched();
	zap_resume(z);
	return true;
}

void mmu_zap_gfns(struct keel_vm *vm, int as, gfn_t first, gfn_t end, bool may_yield)
{
	struct spte_iter it;
	struct zap z;

	lockdep_assert_held(&vm->mmu.lock);
	zap_init(&z, vm);
	iter_init(&it, vm->mmu.table[as], first, end);
	while (iter_find(&it)) {
		struct keel_table *t = it.table;

		drop_leaf(&z, t, it.index);
		iter_advance(&it);
		if (!t->used) {
			zap_empty(&z, t);
			iter_restart(&it);
		}
		if (may_yield && zap_give_way(&z))
			iter_restart(&it);
	}
	zap_finish(&z);
}

/* Without dirty bits a writable leaf counts as dirty: pass that on before it is protected. */
void zap_write_protect(struct zap *z, struct spte_iter *it)
{
	if (!spte_is_leaf(it->spte) || !(it->spte & SPTE_WRITE))
		return;
	if (!mmu_format.ad)
		spte_hand_back(it->spte);
	clear_bit(SPTE_WRITE_BIT, (unsigned long *)&it->table->spt[it->index]);
	z->late = true;
}

void mmu_protect_gfns(struct keel_vm *vm, int as, gfn_t first, gfn_t end)
{
	struct spte_iter it;
	struct zap z;

	lockdep_assert_held(&vm->mmu.lock);
	zap_init(&z, vm);
	iter_init(&it, vm->mmu.table[as], first, end);
	while (iter_find(&it)) {
		zap_write_protect(&z, &it);
		iter_advance(&it);
		if (zap_give_way(&z))
			iter_restart(&it);
	}
	zap_finish(&z);
}

static bool age_entry(struct zap *z, struct spte_iter *it, bool clear)
{
	bool young = spte_accessed(&mmu_format, it->spte);

	if (!young || !clear)
		return young;
	if (mmu_format.ad)
		clear_bit(SPTE_ACCESSED_BIT, (unsigned long *)&it->table->spt[it->index]);
	else
		drop_leaf(z, it->table, it->index);
	return true;
}

bool mmu_age_gfns(struct keel_vm *vm, int as, gfn_t first, gfn_t end, bool clear)
{
	struct spte_iter it;
	struct zap z;
	bool young = false;

	lockdep_assert_held(&vm->mmu.lock);
	zap_init(&z, vm);
	iter_init(&it, vm->mmu.table[as], first, end);
	while (iter_find(&it)) {
		struct keel_table *t = it.table;

		if (spte_is_leaf(it.spte))
			young |= age_entry(&z, &it, clear);
		iter_advance(&it);
		if (!t->used) {
			zap_empty(&z, t);
			iter_restart(&it);
		}
	}
	zap_finish(&z);
	return young;
}

bool mmu_number_wraps(u64 from, u64 to)
{
	return spte_number_wraps(&mmu_format, from, to);
}

static void drop_mmio(struct zap *z, struct keel_table *t)
{
	unsigned int i;

	for (i = 0; t->mmio && i < TABLE_ENTRIES; i++)
		if (spte_is_mmio(t->spt[i]))
			table_set(z->vm, t, i, 0);
	zap_empty(z, t);
}

/* Drop an eighth at a time: with a flush for each, a guest could flood its vCPUs with IPIs. */
void zap_surplus_mmio(struct keel_vm *vm, int as)
{
	struct list_head *tables = &vm->mmu.mmio[as];
	int n = MMIO_TABLES / 8;
	struct zap z;

	lockdep_assert_held(&vm->mmu.lock);
	if (likely(vm->mmu.mmio_tables[as] < MMIO_TABLES))
		return;
	zap_init(&z, vm);
	for (; n && !list_empty(tables); n--) {
		drop_mmio(&z, list_first_entry(tables, struct keel_table, mmio_link));
		STAT(vm, mmio_dropped);
	}
	zap_finish(&z);
}

/*
 * TLBs do not cache a misconfigured entry, so only tables that become empty need a
 * flush. No MMIO entry is made meanwhile: the generation is flagged, and no reader of
 * an older one is left.
 */
void mmu_zap_mmio(struct keel_vm *vm, int as)
{
	LIST_HEAD(todo);
	struct zap z;

	zap_init(&z, vm);
	spin_lock(&vm->mmu.lock);
	list_splice_init(&vm->mmu.mmio[as], &todo);
	while (!list_empty(&todo)) {
		drop_mmio(&z, list_first_entry(&todo, struct keel_table, mmio_link));
		zap_give_way(&z);
	}
	zap_finish(&z);
	spin_unlock(&vm->mmu.lock);
}
