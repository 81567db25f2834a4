// SPDX-License-Identifier: GPL-2.0
/*
 * Tables of sptes: life cycle, table_set() and the counts it keeps, and the
 * iterator. Decides nothing about what is mapped.
 */
#include <linux/gfp.h>
#include <linux/slab.h>

#include "table.h"

struct keel_table *table_alloc(void)
{
	struct keel_table *t = kzalloc(sizeof(*t), GFP_KERNEL_ACCOUNT);

	if (!t)
		return NULL;
	t->spt = (u64 *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	if (!t->spt) {
		kfree(t);
		return NULL;
	}
	set_page_private(virt_to_page(t->spt), (unsigned long)t);
	/* Shown as SecPageTables in /proc/meminfo, and in the owner's memory cgroup. */
	mod_lruvec_page_state(virt_to_page(t->spt), NR_SECONDARY_PAGETABLE, 1);
	INIT_LIST_HEAD(&t->mmio_link);
	INIT_LIST_HEAD(&t->low_link);
	return t;
}

void table_free(struct keel_table *t)
{
	set_page_private(virt_to_page(t->spt), 0);
	mod_lruvec_page_state(virt_to_page(t->spt), NR_SECONDARY_PAGETABLE, -1);
	free_page((unsigned long)t->spt);
	kfree(t);
}

static void free_now(struct rcu_head *rcu)
{
	table_free(container_of(rcu, struct keel_table, rcu));
}

void table_free_later(struct keel_table *t)
{
	call_rcu(&t->rcu, free_now);
}

int tables_topup(struct keel_mmu_vcpu *mv)
{
	while (mv->nr_spare < MMU_SPARE_TABLES) {
		struct keel_table *t = table_alloc();

		if (!t)
			return -ENOMEM;
		mv->spare[mv->nr_spare++] = t;
	}
	return 0;
}

void mmu_vcpu_free(struct keel_vcpu *vcpu)
{
	struct keel_mmu_vcpu *mv = &vcpu->mmu;

	while (mv->nr_spare)
		table_free(mv->spare[--mv->nr_spare]);
}

static void count_mmio(struct keel_vm *vm, struct keel_table *t, int change)
{
	if (!change)
		return;
	if (!t->mmio) {
		list_add_tail(&t->mmio_link, &vm->mmu.mmio[t->as]);
		vm->mmu.mmio_tables[t->as]++;
	}
	t->mmio += change;
	if (!t->mmio) {
		list_del_init(&t->mmio_link);
		vm->mmu.mmio_tables[t->as]--;
	}
}

static void count_leaf(struct keel_vm *vm, int level, int change)
{
	switch (level) {
	case 1:
		vm->stats.pages_4k += change;
		break;
	case 2:
		vm->stats.pages_2m += change;
		break;
	case 3:
		vm->stats.pages_1g += change;
		break;
	}
}

u64 table_set(struct keel_vm *vm, struct keel_table *t, unsigned int index, u64 spte)
{
	u64 old;

	lockdep_assert_held(&vm->mmu.lock);
	old = xchg(&t->spt[index], spte);
	t->used += !!spte - !!old;
	count_mmio(vm, t, spte_is_mmio(spte) - spte_is_mmio(old));
	count_leaf(vm, t->level, spte_is_leaf(spte) - spte_is_leaf(old));
	return old;
}

void table_adopt(struct keel_table *parent, unsigned int index, struct keel_table *t)
{
	t->parent = parent;
	t->as = parent->as;
	t->level = parent->level - 1;
	t->gfn = parent->gfn + index * level_pages(parent->level);
}

u64 table_link(struct keel_vm *vm, struct keel_table *parent, unsigned int index,
	       struct keel_table *t)
{
	table_adopt(parent, index, t);
	if (t->level == 1) {
		list_add_tail(&t->low_link, &vm->mmu.low);
		vm->mmu.nr_low++;
	}
	/* xchg() in table_set() orders the contents of @t before the pointer to it. */
	return table_set(vm, parent, index, spte_make_table(table_address(t)));
}

void iter_init(struct spte_iter *it, struct keel_table *root, gfn_t first, gfn_t end)
{
	it->root = root;
	it->table = root;
	it->gfn = first;
	it->end = end;
}

void iter_restart(struct spte_iter *it)
{
	it->table = it->root;
}

void iter_advance(struct spte_iter *it)
{
	it->gfn = next_entry(it->gfn, it->table->level);
	/* Past the end of this table: find the next one from the root. */
	if (!table_index(it->gfn, it->table->level))
		iter_restart(it);
}

bool iter_find(struct spte_iter *it)
{
	while (it->gfn < it->end) {
		it->index = table_index(it->gfn, it->table->level);
		it->spte = READ_ONCE(it->table->spt[it->index]);
		if (spte_is_table(it->spte)) {
			it->table = spte_table(it->spte);
			continue;
		}
		if (it->spte)
			return true;
		iter_advance(it);
	}
	return false;
}
