/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tables of sptes, their bookkeeping and how to step through them. Private to
 * mmu/; everything here but the allocation needs mmu.lock unless it says
 * otherwise.
 */
#ifndef KEEL_MMU_TABLE_H
#define KEEL_MMU_TABLE_H

#include <linux/list.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>

#include "../keel.h"
#include "mmu.h"
#include "spte.h"

#define MMU_TOP_LEVEL	4
#define TABLE_BITS	9
#define TABLE_ENTRIES	BIT(TABLE_BITS)

/*
 * struct keel_table - one page of sptes
 * @spt:	the page; written by table_set() only, read by the hardware and,
 *		without lock, by mmu_misconfig()
 * @parent:	the table with the entry that points here; NULL: a root, or
 *		not linked
 * @gfn:	the first one mapped here
 * @used:	entries that are not 0
 * @mmio:	of which MMIO entries
 * @mmio_link:	on mmu->mmio[as] while @mmio is not 0
 * @low_link:	on mmu->low while it is linked, if it is on the lowest level
 * @dead_link:	on a list of tables that wait for a flush, or to be used
 * @rcu:	afterwards, while readers without the lock may be left
 *
 * Found from the page by its private field.
 */
struct keel_table {
	u64 *spt;
	struct keel_table *parent;
	gfn_t gfn;
	u8 level;
	u8 as;
	u16 used;
	u16 mmio;
	struct list_head mmio_link;
	struct list_head low_link;
	union {
		struct list_head dead_link;
		struct rcu_head rcu;
	};
};

extern struct spte_format mmu_format;

static inline gfn_t level_pages(int level)
{
	return 1ULL << ((level - 1) * TABLE_BITS);
}

static inline unsigned int table_index(gfn_t gfn, int level)
{
	return gfn >> ((level - 1) * TABLE_BITS) & (TABLE_ENTRIES - 1);
}

/* First gfn after the entry of @level that maps @gfn. */
static inline gfn_t next_entry(gfn_t gfn, int level)
{
	return (gfn | (level_pages(level) - 1)) + 1;
}

static inline hpa_t table_address(const struct keel_table *t)
{
	return __pa(t->spt);
}

static inline struct keel_table *spte_table(u64 spte)
{
	return (struct keel_table *)page_private(pfn_to_page(PHYS_PFN(spte_address(spte))));
}

struct keel_table *table_alloc(void);
void table_free(struct keel_table *t);
/* Once no reader without the lock is left. It is in no TLB. */
void table_free_later(struct keel_table *t);

/* Fill the vCPU's spares. Process context, no lock. */
int tables_topup(struct keel_mmu_vcpu *mv);

/*
 * Replace an entry and return what it held, accessed and dirty bits as the
 * hardware left them. Keeps all counts. The only writer of tables.
 */
u64 table_set(struct keel_vm *vm, struct keel_table *t, unsigned int index, u64 spte);

/* @t will be what entry @index of @parent points to. */
void table_adopt(struct keel_table *parent, unsigned int index, struct keel_table *t);

/* Give tables back where memory is short: from mmu_setup() on. 0 or -ENOMEM. */
int shrink_setup(void);

/* Point entry @index of @parent to @t and return what it held. */
u64 table_link(struct keel_vm *vm, struct keel_table *parent, unsigned int index,
	       struct keel_table *t);

struct spte_iter;

/*
 * struct zap - removals that have not been flushed yet
 * @flush:	something mapped has been removed
 * @late:	a right, or a dirty bit, has been taken from what stays mapped
 * @dead:	tables that the hardware may still be walking
 * @one_flush:	what mmu->one_flush is while the lock is dropped
 *
 * Ends with zap_finish() before the lock is dropped.
 */
struct zap {
	struct keel_vm *vm;
	bool flush, late, one_flush;
	struct list_head dead;
};

static inline void zap_init(struct zap *z, struct keel_vm *vm)
{
	z->vm = vm;
	z->flush = false;
	z->late = false;
	INIT_LIST_HEAD(&z->dead);
}

/*
 * A guest can have as many tables made as its addresses have room for by touching
 * what is in no slot: no memory of its process stands behind them. So there is a
 * limit to the tables with MMIO entries, and the oldest are dropped where it is
 * reached. A verdict that is gone is found again.
 */
#define MMIO_TABLES	512
void zap_surplus_mmio(struct keel_vm *vm, int as);

/* Empty one entry, a whole table below it included. */
void zap_entry(struct zap *z, struct keel_table *t, unsigned int index);
/* Unlink @t, which is empty, and each table above that gets empty by it. */
void zap_empty(struct zap *z, struct keel_table *t);
void zap_finish(struct zap *z);
/* Take the right to write from the leaf found, if it has it. */
void zap_write_protect(struct zap *z, struct spte_iter *it);

/* Flush what has been removed so far, but not @late, and drop the lock; take it again. */
void zap_pause(struct zap *z);
void zap_resume(struct zap *z);
/* Let others have the lock and the CPU, if they want it. True: tables may have changed. */
bool zap_give_way(struct zap *z);

/* Tell the host's page what the guest has done to it through @spte. */
void spte_hand_back(u64 spte);

/*
 * Let a table from @tables take the place of the huge leaf at @index of @t; if
 * there is none, nothing does.
 */
void split_or_zap(struct zap *z, struct keel_table *t, unsigned int index,
		  struct list_head *tables);

/*
 * struct spte_iter - steps through the leaves and MMIO entries of a range
 * @gfn, @end:	what is left of it
 * @root:	where to start
 * @table, @index, @spte: the entry found
 */
struct spte_iter {
	struct keel_table *root;
	gfn_t gfn, end;
	struct keel_table *table;
	unsigned int index;
	u64 spte;
};

void iter_init(struct spte_iter *it, struct keel_table *root, gfn_t first, gfn_t end);
/* Find the first entry at or after it->gfn. */
bool iter_find(struct spte_iter *it);
/* Go on after the entry found. */
void iter_advance(struct spte_iter *it);
/* Tables may have gone since the last step: find the way from the root again. */
void iter_restart(struct spte_iter *it);

#endif
