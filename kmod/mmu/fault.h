/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The context of one fault, and what fault.c and mmio.c do for each other.
 * Private to mmu/.
 */
#ifndef KEEL_MMU_FAULT_H
#define KEEL_MMU_FAULT_H

#include "host.h"
#include "table.h"

/* Highest level on which a leaf may stand; constant after mmu_setup(). */
extern int mmu_max_level;
/* An executable huge page could make this CPU report a machine check. */
extern bool mmu_small_code;

/*
 * struct fault - one fault on its way to an entry or a verdict
 *
 * in: @vcpu, @gfn, @access: what the guest tried.
 * derived: @as, @slots: the one snapshot, and so the one generation, that this
 *	fault works with, taken anew if it has waited for the host's page; @slot:
 *	backs @gfn, or NULL; @hva, @seq: where, and the invalidation count from
 *	before it was looked at.
 * out: @host: the page found there.
 */
struct fault {
	struct keel_vcpu *vcpu;
	gfn_t gfn;
	unsigned int access;

	int as;
	const struct keel_memslots *slots;
	const struct keel_memslot *slot;
	hva_t hva;
	unsigned long seq;

	struct host_page host;
};

/* The hardware logs first writes; constant after mmu_setup(). */
extern bool mmu_log_hardware;

/* Does an entry of @level around @gfn map nothing but this slot, and hva as aligned as gfn? */
bool slot_fits(const struct keel_memslot *slot, gfn_t gfn, int level);

/* Resolve a fault; the same as mmu_page_fault(), but counts nothing. */
int fault_handle(struct keel_vcpu *vcpu, gfn_t gfn, unsigned int access);

/*
 * Is what the fault knows of its gfn still what the slots say, and will it be
 * after the update that is being prepared? Lock held.
 */
bool fault_current(const struct fault *f);

/*
 * The table of @level on the way to the fault's gfn. Makes those that are
 * missing, removes a leaf that is in the way. NULL: no spare table. Lock held.
 */
struct keel_table *fault_descend(struct fault *f, struct zap *z, int level);

/* Record what a fault has concluded; @generation as of the snapshot it looked at. */
static inline void mmio_verdict(struct keel_vcpu *vcpu, gfn_t gfn, unsigned int access,
				u64 generation)
{
	vcpu->mmu.verdict = (struct mmio_verdict) {
		.gfn = gfn, .access = access & (ACC_READ | ACC_WRITE), .generation = generation,
	};
}

/* The fault's gfn is in no slot: record that in an MMIO entry. A verdict. */
int mmio_mark(struct fault *f);

#endif
