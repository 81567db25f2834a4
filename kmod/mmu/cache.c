// SPDX-License-Identifier: GPL-2.0
/*
 * The vCPU MMIO cache: one verdict together with the guest virtual page that
 * led to it. It lets an access skip the guest's page walk and the memslot
 * look-up. Emulation fills it from the verdict of the fault that needed
 * emulation.
 *
 * Under EPT the guest changes CR3 and invalidates its TLB without an exit, so a
 * remembered translation may be out of date. The hardware makes good for that:
 * it reports the guest physical address of the very access, translated and
 * checked with the tables as they are, and only a verdict on that frame counts.
 */
#include <linux/mm.h>

#include "../keel.h"
#include "../trace.h"
#include "mmu.h"

void mmio_cache_forget(struct keel_vcpu *vcpu)
{
	vcpu->mmu.cache.valid = false;
}

void mmio_verdict(struct keel_vcpu *vcpu, gfn_t gfn, unsigned int access, u64 generation)
{
	vcpu->mmu.verdict = (struct mmio_verdict) {
		.gfn = gfn, .access = access & (ACC_READ | ACC_WRITE), .generation = generation,
	};
}

static bool believe(struct keel_vcpu *vcpu, gva_t gva, gpa_t confirmed, unsigned int access)
{
	const struct mmio_cache *c = &vcpu->mmu.cache;
	u64 now;

	if (!c->valid || c->gva != (gva & PAGE_MASK))
		return false;
	if (c->verdict.gfn != gpa_to_gfn(confirmed) || access & ~c->verdict.access)
		return false;
	now = memslots_generation(keel_slots(vcpu->vm, keel_as(vcpu)));
	return !(now & KEEL_GEN_UPDATE_IN_PROGRESS) && now == c->verdict.generation;
}

bool mmio_cache_match(struct keel_vcpu *vcpu, gva_t gva, gpa_t confirmed, unsigned int access)
{
	if (!believe(vcpu, gva, confirmed, access))
		return false;
	STAT(vcpu, mmio_cache_hit);
	trace_keel_vcpu_match_mmio(vcpu->id, gva, gpa_to_gfn(confirmed),
				   vcpu->mmu.cache.verdict.generation,
				   memslots_generation(keel_slots(vcpu->vm, keel_as(vcpu))));
	return true;
}

/* Nothing learnt during an update is kept: bit 0 of the generation says so. */
bool mmio_cache_fill(struct keel_vcpu *vcpu, gva_t gva, gpa_t confirmed, unsigned int access)
{
	const struct mmio_verdict *v = &vcpu->mmu.verdict;

	if (v->generation & KEEL_GEN_UPDATE_IN_PROGRESS)
		return false;
	vcpu->mmu.cache = (struct mmio_cache) {
		.valid = true, .gva = gva & PAGE_MASK, .verdict = *v,
	};
	vcpu->mmu.cache.verdict.access |= access & ACC_USER;
	return believe(vcpu, gva, confirmed, access);
}
