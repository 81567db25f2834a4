// SPDX-License-Identifier: GPL-2.0
/*
 * Guest modes that the hardware cannot run: without unrestricted guest, all code
 * without paging, and the code after that until VM entry accepts the segment
 * registers. Emulate it instruction by instruction, events included.
 */
#include <asm/processor-flags.h>

#include "../irq.h"
#include "../keel.h"
#include "bridge.h"

#define CODE		8
#define CONFORMING	4

static bool data_fits(struct vmx_vcpu *v, enum vmx_seg seg)
{
	struct kvm_segment s;

	vmx_get_segment(v, seg, &s);
	if (s.unusable || (s.type & (CODE | CONFORMING)) == (CODE | CONFORMING))
		return true;
	return (s.selector & 3) <= s.dpl;
}

/* Real mode leaves arbitrary selectors behind: true if VM entry accepts them. */
static bool segments_fit(struct vmx_vcpu *v)
{
	struct kvm_segment cs, ss;

	vmx_get_segment(v, SEG_CS, &cs);
	vmx_get_segment(v, SEG_SS, &ss);
	if (!(cs.type & CODE) || (!ss.unusable && (cs.selector ^ ss.selector) & 3))
		return false;
	return data_fits(v, SEG_ES) && data_fits(v, SEG_DS) && data_fits(v, SEG_FS) &&
	       data_fits(v, SEG_GS);
}

/* Check the segments only if the last instruction was emulated. */
bool keel_mode_runs(struct keel_vcpu *vcpu)
{
	u64 paged = X86_CR0_PE | X86_CR0_PG;
	bool runs;

	if (likely(vmx_caps.unrestricted))
		return true;
	runs = (vmx_cr0(&vcpu->vmx) & paged) == paged &&
	       (!vcpu->emulation.mode || segments_fit(&vcpu->vmx));
	vcpu->emulation.mode = !runs;
	return runs;
}

static int emulate_next(struct keel_vcpu *vcpu)
{
	u8 hits = unlikely(vcpu->vmx.on_code) ? keel_debug_at_code(vcpu) : 0;

	return unlikely(hits) ? keel_debug_break(vcpu, hits) :
				keel_emulate(vcpu, INVALID_GPA, false);
}

/* REQ_EVENT: the next VM entry sets up the interrupt and NMI windows. */
int keel_emulate_mode(struct keel_vcpu *vcpu)
{
	struct emu_event event;
	int r;

	keel_make_request(vcpu, REQ_EVENT);
	keel_read_slots(vcpu);
	if (keel_take_event(vcpu, &event))
		r = keel_emulate_event(vcpu, &event);
	else
		r = emulate_next(vcpu);
	keel_read_slots_end(vcpu);
	return r;
}
