/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tables of sptes, their bookkeeping, removal and iteration. Private to mmu/. All
 * functions except allocation need mmu.lock unless they say otherwise.
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
 * @spt:	the page. table_set() writes entries; single bits of a leaf are also
 *		changed by atomic bit operations. The hardware reads it and, without
 *		mmu.lock, mmu_misconfig()
 * @parent:	the table with the entry that points here; NULL: a root, or
 *		not linked
 * @gfn:	the first gfn that it maps
 * @used:	number of entries that are not 0
 * @mmio:	number of MMIO entries
 * @mmio_link:	in mmu->mmio[as] while @mmio is not 0
 * @low_link:	in mmu->low while it is linked, if it is of the lowest level
 * @dead_link:	in a list of tables that wait for a flush, or to be used
 * @rcu:	for table_free_later(), after the flush
 *
 * page_private() of the page points to this structure.
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
/* Free @t after an RCU grace period. It has been flushed from all TLBs. */
void table_free_later(struct keel_table *t);

/* Fill the vCPU's spares. Process context, no lock. */
int tables_topup(struct keel_mmu_vcpu *mv);

/*
 * Replace an entry and return the old one, with accessed and dirty bits as the
 * hardware left them. Updates all counts, so only this function writes whole entries.
 */
u64 table_set(struct keel_vm *vm, struct keel_table *t, unsigned int index, u64 spte);

/* Set the place of @t: entry @index of @parent will point to it. */
void table_adopt(struct keel_table *parent, unsigned int index, struct keel_table *t);

/* Register the shrinker; for mmu_setup(). 0 or -ENOMEM. */
int shrink_setup(void);

/* Point entry @index of @parent to @t and return what it held. */
u64 table_link(struct keel_vm *vm, struct keel_table *parent, unsigned int index,
	       struct keel_table *t);

struct spte_iter;

/*
 * struct zap - removals that have not been flushed yet
 * @flush:	a present entry has been removed
 * @late:	a right or a dirty bit has been taken from a leaf that stays mapped
 * @dead:	unlinked tables that the hardware may still be walking
 * @one_flush:	saves mmu->one_flush while the lock is dropped
 *
 * Call zap_finish() at the end, before the lock is dropped.
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
 * Most tables with MMIO entries per address space. A guest that touches gfns in no
 * slot has tables made without memory of its process behind them, as many as its
 * addresses have room for. At the limit the oldest tables lose their MMIO entries;
 * the next fault makes a lost one again.
 */
#define MMIO_TABLES	512
void zap_surplus_mmio(struct keel_vm *vm, int as);

/* Clear one entry, with the whole table below it, if there is one. */
void zap_entry(struct zap *z, struct keel_table *t, unsigned int index);
/* Unlink @t if it is empty, and each table above that becomes empty by that. */
void zap_empty(struct zap *z, struct keel_table *t);
void zap_finish(struct zap *z);
/* Take the right to write from the entry at @it, if it is a writable leaf. */
void zap_write_protect(struct zap *z, struct spte_iter *it);

/* Drop the lock, after a flush for removed entries, but not for @late; take it again. */
void zap_pause(struct zap *z);
void zap_resume(struct zap *z);
/* Pause if another task wants mmu.lock or the CPU. True: tables may have changed. */
bool zap_give_way(struct zap *z);

/* Pass the accessed and dirty state of @spte on to the host's page, if it is tracked. */
void spte_hand_back(u64 spte);

/*
 * Replace the huge leaf at @index of @t by a table from @tables; if that is empty,
 * remove the leaf.
 */
void split_or_zap(struct zap *z, struct keel_table *t, unsigned int index,
		  struct list_head *tables);

/*
 * struct spte_iter - steps through the leaves and MMIO entries of a range
 * @gfn, @end:	the rest of the range
 * @root:	the top table
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
/* Go down from the root again, because tables may have been unlinked. */
void iter_restart(struct spte_iter *it);

#endif
