/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The ioctls that get and set general, special and debug registers, the
 * multiprocessor state and the registers that travel in kvm_run.
 */
#ifndef KEEL_REGS_H
#define KEEL_REGS_H

struct keel_vcpu;

/* KVM_GET/SET_REGS, _SREGS, _SREGS2, _DEBUGREGS, KVM_TRANSLATE: all LOAD. */
long keel_get_regs(struct keel_vcpu *vcpu, void *data);
long keel_set_regs(struct keel_vcpu *vcpu, void *data);
long keel_get_sregs(struct keel_vcpu *vcpu, void *data);
long keel_set_sregs(struct keel_vcpu *vcpu, void *data);
long keel_get_sregs2(struct keel_vcpu *vcpu, void *data);
long keel_set_sregs2(struct keel_vcpu *vcpu, void *data);
long keel_get_debugregs(struct keel_vcpu *vcpu, void *data);
long keel_set_debugregs(struct keel_vcpu *vcpu, void *data);
long keel_translate(struct keel_vcpu *vcpu, void *data);

/* KVM_GET/SET_MP_STATE. */
long keel_get_mp_state(struct keel_vcpu *vcpu, void *data);
long keel_set_mp_state(struct keel_vcpu *vcpu, void *data);

/*
 * Call at start and end of KVM_RUN, vCPU loaded: take the registers that
 * userspace has marked dirty in kvm_run, and write those that it has marked
 * valid. keel_sync_regs_in(): 0, or -EINVAL for unknown marks or illegal
 * values.
 */
int keel_sync_regs_in(struct keel_vcpu *vcpu);
void keel_sync_regs_out(struct keel_vcpu *vcpu);

#endif
