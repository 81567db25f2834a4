// SPDX-License-Identifier: GPL-2.0
/*
 * The shrinker: under memory pressure it frees tables of the lowest level, the oldest
 * first, from all VMs in turn. The next fault makes an entry again. A table whose
 * mappings the guest has used since the last look stays: its accessed bits are passed
 * on to the host's pages and cleared.
 *
 * An allocation calls the shrinker with any lock held but mmu.lock, under which
 * nothing is allocated. So the shrinker only tries vms_lock, but may wait for mmu.lock
 * (zap_give_way()). A VM on the list has its vCPUs: a flush sends them requests.
 */
#include <linux/mutex.h>

#include "../compat/shrinker.h"
#include "table.h"

static LIST_HEAD(vms);
static DEFINE_MUTEX(vms_lock);
static struct shrinker *shrinker;

/* Has the guest used what @t maps since the last call? False without accessed bits. */
static bool used_since(struct keel_table *t)
{
	bool used = false;
	unsigned int i;

	for (i = 0; mmu_format.ad && i < TABLE_ENTRIES; i++) {
		u64 spte = READ_ONCE(t->spt[i]);

		if (!spte_is_leaf(spte) || !spte_accessed(&mmu_format, spte))
			continue;
		spte_hand_back(spte);
		/* No flush: a TLB that holds the bit only makes the page look older than it is. */
		clear_bit(SPTE_ACCESSED_BIT, (unsigned long *)&t->spt[i]);
		used = true;
	}
	return used;
}

static bool shrink_table(struct zap *z, struct keel_table *t)
{
	struct keel_table *parent = t->parent;

	list_move_tail(&t->low_link, &z->vm->mmu.low);
	if (used_since(t))
		return false;
	zap_entry(z, parent, table_index(t->gfn, parent->level));
	zap_empty(z, parent);
	STAT(z->vm, tables_shrunk);
	return true;
}

/* Look at up to @n tables; returns how many have been freed. */
static unsigned long shrink_vm(struct keel_vm *vm, unsigned long n)
{
	struct keel_mmu *mmu = &vm->mmu;
	unsigned long freed = 0;
	struct zap z;

	if (!spin_trylock(&mmu->lock))
		return 0;
	zap_init(&z, vm);
	for (; n && !list_empty(&mmu->low); n--) {
		freed += shrink_table(&z, list_first_entry(&mmu->low, struct keel_table, low_link));
		zap_give_way(&z);
	}
	zap_finish(&z);
	spin_unlock(&mmu->lock);
	return freed;
}

static unsigned long count_tables(struct shrinker *s, struct shrink_control *sc)
{
	unsigned long n = 0;
	struct keel_vm *vm;

	if (!mutex_trylock(&vms_lock))
		return 0;
	list_for_each_entry(vm, &vms, mmu.shrink_link)
		n += READ_ONCE(vm->mmu.nr_low);
	mutex_unlock(&vms_lock);
	return n;
}

/* Look at sc->nr_to_scan tables. VMs looked at go to the end, so each call begins with others. */
static unsigned long scan_tables(struct shrinker *s, struct shrink_control *sc)
{
	unsigned long left = sc->nr_to_scan, freed = 0;
	struct keel_vm *vm, *next;
	LIST_HEAD(done);

	/* spte_hand_back() may mark pages of files dirty, which needs __GFP_FS. */
	if (!(sc->gfp_mask & __GFP_FS) || !mutex_trylock(&vms_lock))
		return SHRINK_STOP;
	list_for_each_entry_safe(vm, next, &vms, mmu.shrink_link) {
		unsigned long n = min(left, READ_ONCE(vm->mmu.nr_low));

		if (!left)
			break;
		left -= n;
		freed += shrink_vm(vm, n);
		list_move_tail(&vm->mmu.shrink_link, &done);
	}
	list_splice_tail(&done, &vms);
	mutex_unlock(&vms_lock);
	return freed;
}

void mmu_shrink_begin(struct keel_vm *vm)
{
	mutex_lock(&vms_lock);
	list_add_tail(&vm->mmu.shrink_link, &vms);
	mutex_unlock(&vms_lock);
}

void mmu_shrink_end(struct keel_vm *vm)
{
	mutex_lock(&vms_lock);
	list_del(&vm->mmu.shrink_link);
	mutex_unlock(&vms_lock);
}

int shrink_setup(void)
{
	shrinker = keel_shrinker_register("keel-mmu", count_tables, scan_tables);
	return shrinker ? 0 : -ENOMEM;
}

void mmu_teardown(void)
{
	keel_shrinker_unregister(shrinker);
}
