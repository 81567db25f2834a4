/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Model-specific registers of the guest: which exist, which values they take,
 * and the ioctls that carry them.
 */
#ifndef KEEL_MSR_H
#define KEEL_MSR_H

#include "types.h"

struct keel_vcpu;

/*
 * Create, free and reset vcpu->msrs. keel_msr_reset(): values after power-on;
 * LOAD, after vmx_reset().
 */
int keel_msr_init(struct keel_vcpu *vcpu);
void keel_msr_free(struct keel_vcpu *vcpu);
void keel_msr_reset(struct keel_vcpu *vcpu);

/*
 * Return 0, -ENOENT if there is no such register, or -EINVAL if it does not
 * take the value. @host: userspace asks, and may do more than the guest.
 * Loaded.
 */
int keel_get_msr(struct keel_vcpu *vcpu, u32 index, u64 *val, bool host);
int keel_set_msr(struct keel_vcpu *vcpu, u32 index, u64 val, bool host);
int keel_set_apic_base(struct keel_vcpu *vcpu, u64 val);

/* Do the guest's RDMSR or WRMSR, executed or emulated. Also -EPERM: the filter denies it. */
int keel_guest_rdmsr(struct keel_vcpu *vcpu, u32 index, u64 *val);
int keel_guest_wrmsr(struct keel_vcpu *vcpu, u32 index, u64 val);

/* Exit handlers. */
int keel_rdmsr_exit(struct keel_vcpu *vcpu);
int keel_wrmsr_exit(struct keel_vcpu *vcpu);

/* KVM_GET_MSRS, KVM_SET_MSRS: RAW and LOAD. */
long keel_get_msrs(struct keel_vcpu *vcpu, void *data);
long keel_set_msrs(struct keel_vcpu *vcpu, void *data);
/* On /dev/keel, RAW: KVM_GET_MSRS, KVM_GET_MSR_INDEX_LIST, KVM_GET_MSR_FEATURE_INDEX_LIST. */
long keel_get_feature_msrs(void *data);
long keel_get_msr_index_list(void *data);
long keel_get_msr_feature_index_list(void *data);

#endif
