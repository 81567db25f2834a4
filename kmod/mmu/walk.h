/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One walk of the guest's page tables. Private to walk.c; a header because a
 * vCPU holds the walk of its last instruction fetch.
 */
#ifndef KEEL_MMU_WALK_H
#define KEEL_MMU_WALK_H

#include "../types.h"

/*
 * struct walk_start - all that a walk depends on but for the guest's entries
 * @table:	where the first table is, or INVALID_GPA
 * @width:	of a physical address of the guest's
 */
struct walk_start {
	gva_t gva;
	unsigned int access;
	int width;
	u64 cr0, cr4, efer;
	gpa_t table;
};

/*
 * struct walk - one walk
 *
 * derived: shape of the tables; bits that may be reserved, depending on the
 * level; entries in the order in which they are read, the first table's first;
 * bits that all of them have, and that any of them has.
 * out: the gpa.
 */
struct walk {
	struct keel_vcpu *vcpu;
	struct walk_start start;

	int entry_size;		/* 4 or 8 bytes */
	int index_bits;		/* of the address, to choose an entry of one table */
	int top;		/* level of the first table that is read */
	int level;		/* of the entry read last */
	int shift;		/* log2 of what an entry of that level maps */
	u64 suspect;		/* no other bit is reserved on any level */
	int count;		/* of entries read so far */
	gpa_t entry_gpa[4];
	u64 entry[4];
	u64 all, any;

	gpa_t gpa;
	bool kept;		/* walked to its end, and nothing was left to be marked */
};

#endif
