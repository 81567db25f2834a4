// SPDX-License-Identifier: GPL-2.0
/*
 * Owns the ioctls for FPU state, extended state and extended control
 * registers. Layout, sanity of the header and MXCSR are checked by the
 * kernel's fpstate code; swapping the state belongs to vcpu.c.
 */
#include <linux/slab.h>
#include <asm/fpu/api.h>
#include <asm/fpu/types.h>

#include "cpuid.h"
#include "cr.h"
#include "fpu.h"
#include "keel.h"

/*
 * State components of this guest. x87 and SSE are always there, with or without
 * XSAVE. Components that the kernel keeps but the guest has not been given,
 * such as the host's protection keys, stay hidden.
 */
static u64 guest_components(const struct keel_vcpu *vcpu)
{
	return vcpu->supported_xcr0 | XFEATURE_MASK_FPSSE;
}

static void get_state(struct keel_vcpu *vcpu, struct kvm_xsave *x)
{
	union fpregs_state *state = (void *)x->region;

	memset(x, 0, sizeof(*x));
	fpu_copy_guest_fpstate_to_uabi(&vcpu->fpu, x->region, sizeof(x->region),
				       guest_components(vcpu), 0);
	state->xsave.header.xfeatures &= guest_components(vcpu);
}

static long set_state(struct keel_vcpu *vcpu, const struct kvm_xsave *x)
{
	return fpu_copy_uabi_to_guest_fpstate(&vcpu->fpu, x->region,
					      keel_host_xcr0() | XFEATURE_MASK_FPSSE, NULL);
}

long keel_get_xsave(struct keel_vcpu *vcpu, void *data)
{
	get_state(vcpu, data);
	return 0;
}

long keel_set_xsave(struct keel_vcpu *vcpu, void *data)
{
	return set_state(vcpu, data);
}

long keel_get_fpu(struct keel_vcpu *vcpu, void *data)
{
	struct kvm_fpu *fpu = data;
	struct fxregs_state *fx;
	struct kvm_xsave *x;

	x = kmalloc(sizeof(*x), GFP_KERNEL_ACCOUNT);
	if (!x)
		return -ENOMEM;
	get_state(vcpu, x);
	fx = (void *)x->region;
	memset(fpu, 0, sizeof(*fpu));
	memcpy(fpu->fpr, fx->st_space, sizeof(fpu->fpr));
	memcpy(fpu->xmm, fx->xmm_space, sizeof(fpu->xmm));
	fpu->fcw = fx->cwd;
	fpu->fsw = fx->swd;
	fpu->ftwx = fx->twd;
	fpu->last_opcode = fx->fop;
	fpu->last_ip = fx->rip;
	fpu->last_dp = fx->rdp;
	fpu->mxcsr = fx->mxcsr;
	kfree(x);
	return 0;
}

/* Set the legacy registers and leave the rest of the state as it is. */
long keel_set_fpu(struct keel_vcpu *vcpu, void *data)
{
	const struct kvm_fpu *fpu = data;
	union fpregs_state *state;
	struct fxregs_state *fx;
	struct kvm_xsave *x;
	long r;

	x = kmalloc(sizeof(*x), GFP_KERNEL_ACCOUNT);
	if (!x)
		return -ENOMEM;
	get_state(vcpu, x);
	state = (void *)x->region;
	fx = &state->fxsave;
	memcpy(fx->st_space, fpu->fpr, sizeof(fpu->fpr));
	memcpy(fx->xmm_space, fpu->xmm, sizeof(fpu->xmm));
	fx->cwd = fpu->fcw;
	fx->swd = fpu->fsw;
	fx->twd = fpu->ftwx;
	fx->fop = fpu->last_opcode;
	fx->rip = fpu->last_ip;
	fx->rdp = fpu->last_dp;
	fx->mxcsr = fpu->mxcsr;
	state->xsave.header.xfeatures |= XFEATURE_MASK_FPSSE;
	r = set_state(vcpu, x);
	kfree(x);
	return r;
}

long keel_get_xcrs(struct keel_vcpu *vcpu, void *data)
{
	struct kvm_xcrs *xcrs = data;

	memset(xcrs, 0, sizeof(*xcrs));
	if (!keel_host_xcr0())
		return -EINVAL;
	xcrs->nr_xcrs = 1;
	xcrs->xcrs[0].value = vmx_xcr0(&vcpu->vmx);
	return 0;
}

/* Only XCR0 exists: ignore entries for others. */
long keel_set_xcrs(struct keel_vcpu *vcpu, void *data)
{
	const struct kvm_xcrs *xcrs = data;
	u32 i;

	if (!keel_host_xcr0() || xcrs->nr_xcrs > KVM_MAX_XCRS || xcrs->flags)
		return -EINVAL;
	for (i = 0; i < xcrs->nr_xcrs; i++)
		if (!xcrs->xcrs[i].xcr)
			return keel_set_xcr(vcpu, 0, xcrs->xcrs[i].value);
	return 0;
}
