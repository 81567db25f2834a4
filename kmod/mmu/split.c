// SPDX-License-Identifier: GPL-2.0
/*
 * Splitting a huge leaf into a table of smaller ones that map the same, where a slot
 * begins or ends within it, or begins to log. Nothing is unmapped; each part gets the
 * accessed and dirty bits of the leaf.
 */
#include "../test.h"
#include "table.h"

/* The table with the leaf that maps both @gfn and the gfn before it, or NULL. */
static struct keel_table *straddled(struct keel_vm *vm, int as, gfn_t gfn)
{
	struct keel_table *t = vm->mmu.table[as];

	lockdep_assert_held(&vm->mmu.lock);
	for (;;) {
		u64 spte = READ_ONCE(t->spt[table_index(gfn, t->level)]);

		if (spte_is_leaf(spte))
			return gfn & (level_pages(t->level) - 1) ? t : NULL;
		if (!spte_is_table(spte))
			return NULL;
		t = spte_table(spte);
	}
}

int mmu_split_prepare(struct keel_vm *vm, int as, gfn_t gfn, struct list_head *tables)
{
	struct keel_table *t;
	int need;

	spin_lock(&vm->mmu.lock);
	t = straddled(vm, as, gfn);
	need = t ? t->level - 1 : 0;
	spin_unlock(&vm->mmu.lock);
	while (need--) {
		t = table_alloc();
		if (!t)
			return -ENOMEM;
		list_add(&t->dead_link, tables);
	}
	return 0;
}

void mmu_free_unused(struct list_head *tables)
{
	struct keel_table *t, *next;

	list_for_each_entry_safe(t, next, tables, dead_link)
		table_free(t);
}

/* Replace the leaf at @index of @t by the table @part. */
static void split_leaf(struct zap *z, struct keel_table *t, unsigned int index,
		       struct keel_table *part)
{
	u64 leaf = READ_ONCE(t->spt[index]), late;
	unsigned int i;

	table_adopt(t, index, part);
	for (i = 0; i < TABLE_ENTRIES; i++)
		table_set(z->vm, part, i, spte_split(leaf, part->level, i));
	test_point_busy(TEST_SPLITTING);
	/* Pass on the bits that the hardware has set in the leaf since it was read. */
	late = (table_link(z->vm, t, index, part) ^ leaf) & (SPTE_ACCESSED | SPTE_DIRTY);
	for (i = 0; late && i < TABLE_ENTRIES; i++)
		atomic64_or(late, (atomic64_t *)&part->spt[i]);
	z->flush = true;
}

void split_or_zap(struct zap *z, struct keel_table *t, unsigned int index,
		  struct list_head *tables)
{
	struct keel_table *part = list_first_entry_or_null(tables, struct keel_table, dead_link);

	if (!part) {
		zap_entry(z, t, index);
		return;
	}
	list_del_init(&part->dead_link);
	split_leaf(z, t, index, part);
}

void mmu_split_gfn(struct keel_vm *vm, int as, gfn_t gfn, struct list_head *tables)
{
	struct keel_table *t;
	struct zap z;

	zap_init(&z, vm);
	while ((t = straddled(vm, as, gfn)))
		split_or_zap(&z, t, table_index(gfn, t->level), tables);
	zap_finish(&z);
}
