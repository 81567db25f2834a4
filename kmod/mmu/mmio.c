// SPDX-License-Identifier: GPL-2.0
/*
 * MMIO verdicts in the page tables: "no slot backs this gfn", recorded in an
 * entry that makes the hardware report a misconfiguration, with the generation
 * of the snapshot that was looked up. Advancing the generation voids all verdicts
 * at once; entries are removed only when their numbers wrap. See memslot.h.
 *
 * The per-vCPU cache, which saves the guest's page walk as well, is in cache.c.
 */
#include <linux/moduleparam.h>

#include "../trace.h"
#include "fault.h"

static bool mmio_caching = true;
module_param(mmio_caching, bool, 0444);
MODULE_PARM_DESC(mmio_caching, "remember in the page tables that an address is MMIO");

static bool can_mark(gfn_t gfn)
{
	return mmio_caching && mmu_format.number_mask && gfn < mmu_max_gfn();
}

/*
 * @generation is that of the snapshot in which the look-up found no slot. If it is
 * flagged, make no entry: its number is that of an older snapshot, and an entry made
 * after mmu_zap_mmio() would match once the stored numbers have wrapped.
 */
static void put_mark(struct fault *f, u64 generation)
{
	struct keel_table *t;
	unsigned int i;
	struct zap z;
	u64 spte;

	if (generation & KEEL_GEN_UPDATE_IN_PROGRESS)
		return;
	spte = spte_make_mmio(&mmu_format, f->gfn, ACC_READ | ACC_WRITE | ACC_USER, generation);
	zap_init(&z, f->vcpu->vm);
	t = fault_descend(f, &z, 1);
	if (!t)
		return;
	i = table_index(f->gfn, 1);
	/* Flush a mapping that was here before the MMIO entry takes its place. */
	if (spte_is_present(t->spt[i])) {
		zap_entry(&z, t, i);
		zap_finish(&z);
	}
	if (trace_keel_mark_mmio_spte_enabled())
		trace_keel_mark_mmio_spte(f->vcpu->id, f->gfn, spte_mmio_access(spte), generation);
	table_set(f->vcpu->vm, t, i, spte);
}

int mmio_mark(struct fault *f)
{
	struct keel_mmu *mmu = &f->vcpu->vm->mmu;
	u64 generation = memslots_generation(f->slots);
	int ret = FAULT_RETRY;

	mmio_verdict(f->vcpu, f->gfn, ACC_READ | ACC_WRITE, generation);
	if (!can_mark(f->gfn))
		return FAULT_EMULATE;
	spin_lock(&mmu->lock);
	zap_surplus_mmio(f->vcpu->vm, f->as);
	if (fault_current(f)) {
		put_mark(f, generation);
		ret = FAULT_EMULATE;
	}
	spin_unlock(&mmu->lock);
	return ret;
}

/* The lowest entry on the way to @gfn. Without mmu.lock: RCU keeps the tables. */
static u64 read_entry(const struct keel_mmu *mmu, int as, gfn_t gfn)
{
	const struct keel_table *t = mmu->table[as];
	u64 spte;

	rcu_read_lock();
	for (;;) {
		spte = READ_ONCE(t->spt[table_index(gfn, t->level)]);
		if (t->level == 1 || !spte_is_table(spte))
			break;
		t = spte_table(spte);
	}
	rcu_read_unlock();
	return spte;
}

static enum keel_mmio_belief weigh(u64 spte, u64 generation)
{
	if (!spte_is_mmio(spte))
		return MMIO_UNCACHED;
	if (generation & KEEL_GEN_UPDATE_IN_PROGRESS)
		return MMIO_IN_WINDOW;
	if (spte_mmio_number(&mmu_format, spte) != spte_number(&mmu_format, generation))
		return MMIO_STALE;
	return MMIO_FRESH;
}

/* Can the verdict in @spte be used now? Counts and traces the outcome. */
static bool believe(struct keel_vcpu *vcpu, gfn_t gfn, u64 spte, u64 generation)
{
	enum keel_mmio_belief belief = weigh(spte, generation);

	STAT(vcpu, mmio_misconfig);
	if (trace_keel_check_mmio_spte_enabled())
		trace_keel_check_mmio_spte(vcpu->id, gfn, spte_mmio_number(&mmu_format, spte),
					   generation, belief);
	switch (belief) {
	case MMIO_FRESH:
		STAT(vcpu, mmio_spte_hit);
		return true;
	case MMIO_STALE:
		STAT(vcpu, mmio_spte_stale);
		return false;
	case MMIO_IN_WINDOW:
		STAT(vcpu, mmio_in_window);
		return false;
	case MMIO_UNCACHED:
		STAT(vcpu, mmio_uncached);
		return false;
	}
	return false;
}

int mmu_misconfig(struct keel_vcpu *vcpu, gpa_t gpa)
{
	struct keel_vm *vm = vcpu->vm;
	gfn_t gfn = gpa_to_gfn(gpa);
	int as = keel_as(vcpu);
	u64 generation = memslots_generation(keel_slots(vm, as));
	u64 spte;

	/*
	 * Read the generation before the entry: an entry read before the stored numbers
	 * wrapped could match a newer number. Pairs with mmu.lock in mmu_zap_mmio().
	 */
	smp_rmb();
	spte = read_entry(&vm->mmu, as, gfn);
	if (believe(vcpu, gfn, spte, generation)) {
		mmio_verdict(vcpu, gfn, spte_mmio_access(spte), generation);
		return FAULT_EMULATE;
	}
	/* The kind of access is unknown: assume a read. A write that needs more faults again. */
	return fault_handle(vcpu, gfn, ACC_READ);
}

bool mmu_is_mmio(struct keel_vcpu *vcpu, gpa_t gpa)
{
	const struct keel_memslots *slots = keel_slots(vcpu->vm, keel_as(vcpu));
	gfn_t gfn = gpa_to_gfn(gpa);

	if (memslots_find(slots, gfn))
		return false;
	STAT(vcpu, page_faults);
	mmio_verdict(vcpu, gfn, ACC_READ | ACC_WRITE, memslots_generation(slots));
	return true;
}

void mmu_unmark(struct keel_vcpu *vcpu, gpa_t gpa)
{
	gfn_t gfn = gpa_to_gfn(gpa);
	struct keel_vm *vm = vcpu->vm;

	spin_lock(&vm->mmu.lock);
	mmu_zap_gfns(vm, keel_as(vcpu), gfn, gfn + 1, false);
	spin_unlock(&vm->mmu.lock);
}
