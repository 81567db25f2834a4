/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One walk of the guest's page tables. Private to walk.c; in a header because a vCPU
 * keeps the walks of its last instruction fetch and its last device write.
 */
#ifndef KEEL_MMU_WALK_H
#define KEEL_MMU_WALK_H

#include "../types.h"

/*
 * struct walk_start - all that a walk depends on, except the guest's entries
 * @table:	gpa of the first table, or INVALID_GPA
 * @width:	of a guest physical address
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
 * @entry_gpa, @entry: the entries, in the order in which they were read
 * @all, @any:	bits that are set in all of them, and in any
 * @gpa:	out: what start.gva translates to
 */
struct walk {
	struct keel_vcpu *vcpu;
	struct walk_start start;

	int entry_size;		/* 4 or 8 bytes */
	int index_bits;		/* width of the index into one table */
	int top;		/* level of the first table that is read */
	int level;		/* of the entry read last */
	int shift;		/* log2 of what an entry of that level maps */
	u64 suspect;		/* bits that are reserved, or make others so, on some level */
	int count;		/* of entries read so far */
	gpa_t entry_gpa[4];
	u64 entry[4];
	u64 all, any;

	gpa_t gpa;
	bool kept;		/* complete, with accessed and dirty bits set: can be used again */
};

#endif
