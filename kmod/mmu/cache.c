// SPDX-License-Identifier: GPL-2.0
/*
 * The vCPU MMIO cache: one verdict together with the guest virtual page that
 * led to it. It lets an access skip the guest's page walk and the memslot
 * look-up. mmio_cache_match() fills it from the verdict of the fault that needed
 * emulation.
 *
 * Under EPT the guest changes CR3 and invalidates its TLB without an exit, so the
 * cached translation may be out of date. Therefore only a verdict on the gpa that
 * the hardware reported for this very access counts: the hardware translated and
 * checked it with the tables as they are.
 */
#include <linux/mm.h>

#include "../keel.h"
#include "../trace.h"
#include "mmu.h"

void mmio_cache_forget(struct keel_vcpu *vcpu)
{
	vcpu->mmu.cache.valid = false;
}

static bool covers(const struct mmio_verdict *v, gfn_t gfn, unsigned int access)
{
	return v->gfn == gfn && !(access & ~v->access);
}

static void count_hit(struct keel_vcpu *vcpu, gva_t gva, gfn_t gfn, u64 now)
{
	STAT(vcpu, mmio_cache_hit);
	if (trace_keel_vcpu_match_mmio_enabled())
		trace_keel_vcpu_match_mmio(vcpu->id, gva, gfn, vcpu->mmu.cache.verdict.generation,
					   now);
}

static void fill(struct mmio_cache *c, gva_t gva, const struct mmio_verdict *v, unsigned int access)
{
	c->valid = true;
	c->gva = gva & PAGE_MASK;
	c->verdict = *v;
	c->verdict.access |= access & ACC_USER;
}

bool mmio_cache_match(struct keel_vcpu *vcpu, gva_t gva, gpa_t confirmed, unsigned int access)
{
	u64 now = memslots_generation(keel_slots(vcpu->vm, keel_as(vcpu)));
	const struct mmio_verdict *last = &vcpu->mmu.verdict;
	struct mmio_cache *c = &vcpu->mmu.cache;
	gfn_t gfn = gpa_to_gfn(confirmed);

	/* Neither use nor keep a verdict while the flag is set: see memslot.h. */
	if (now & KEEL_GEN_UPDATE_IN_PROGRESS)
		return false;
	if (c->valid && c->gva == (gva & PAGE_MASK) && c->verdict.generation == now &&
	    covers(&c->verdict, gfn, access)) {
		count_hit(vcpu, gva, gfn, now);
		return true;
	}
	if (last->generation != now || !covers(last, gfn, access & ~ACC_USER))
		return false;
	fill(c, gva, last, access);
	return true;
}
