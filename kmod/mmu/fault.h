/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The context of one fault, and what fault.c, mmio.c and log.c share. Private to
 * mmu/.
 */
#ifndef KEEL_MMU_FAULT_H
#define KEEL_MMU_FAULT_H

#include "host.h"
#include "table.h"

/* The highest level of a leaf; constant after mmu_setup(). */
extern int mmu_max_level;
/* Huge leaves are not executable: iTLB multihit could cause a machine check. */
extern bool mmu_small_code;

/*
 * struct fault - one fault on its way to an entry or a verdict
 * @vcpu, @gfn, @access: in: what the guest tried
 * @slots:	the snapshot, and so the generation, that the fault works with; read
 *		again after waiting for the host's page
 * @slot:	the slot that backs @gfn in @slots, or NULL
 * @hva:	host address of @gfn
 * @seq:	mmu->invalidate_seq, read before the page at @hva was looked up
 * @host:	out: the page at @hva
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

/* The hardware has a dirty log, PML; constant after mmu_setup(). */
extern bool mmu_log_hardware;

/* Does a leaf of @level at @gfn lie within @slot, with gfn and hva equally aligned? */
bool slot_fits(const struct keel_memslot *slot, gfn_t gfn, int level);

/* Resolve a fault: mmu_page_fault() without counting it as one. */
int fault_handle(struct keel_vcpu *vcpu, gfn_t gfn, unsigned int access);

/*
 * Does the current snapshot, and mmu.next if there is one, still have f->slot at
 * f->gfn? mmu.lock held.
 */
bool fault_current(const struct fault *f);

/*
 * The table of @level on the way to f->gfn. Links missing tables and removes a leaf
 * that is in the way. NULL: no spare table. mmu.lock held.
 */
struct keel_table *fault_descend(struct fault *f, struct zap *z, int level);

/* Record the verdict of a fault; @generation is that of the snapshot it used. */
static inline void mmio_verdict(struct keel_vcpu *vcpu, gfn_t gfn, unsigned int access,
				u64 generation)
{
	vcpu->mmu.verdict = (struct mmio_verdict) {
		.gfn = gfn, .access = access & (ACC_READ | ACC_WRITE), .generation = generation,
	};
}

/* f->gfn is in no slot: record that in an MMIO entry. FAULT_EMULATE or FAULT_RETRY. */
int mmio_mark(struct fault *f);

#endif
