/* SPDX-License-Identifier: GPL-2.0 */
/*
 * FPU and extended state of the guest as userspace sees it. The state is in the
 * kernel's guest fpstate; vcpu.c swaps it in and out around KVM_RUN, so it is
 * always in memory when these functions run.
 */
#ifndef KEEL_FPU_H
#define KEEL_FPU_H

struct keel_vcpu;

/*
 * KVM_GET/SET_FPU, KVM_GET/SET_XSAVE and KVM_GET_XSAVE2 (same size, as no
 * state is offered that needs more than struct kvm_xsave), KVM_GET/SET_XCRS.
 * keel_set_xcrs: LOAD.
 */
long keel_get_fpu(struct keel_vcpu *vcpu, void *data);
long keel_set_fpu(struct keel_vcpu *vcpu, void *data);
long keel_get_xsave(struct keel_vcpu *vcpu, void *data);
long keel_set_xsave(struct keel_vcpu *vcpu, void *data);
long keel_get_xcrs(struct keel_vcpu *vcpu, void *data);
long keel_set_xcrs(struct keel_vcpu *vcpu, void *data);

#endif
