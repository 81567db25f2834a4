/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Userspace's filter of the MSRs that a guest may access, and the accesses that
 * userspace answers itself.
 */
#ifndef KEEL_MSR_FILTER_H
#define KEEL_MSR_FILTER_H

#include <linux/compat.h>
#include <linux/kvm.h>

#include "types.h"

struct keel_vm;
struct keel_vcpu;
struct msr_filter;

/* True if the guest may read (or write) @index. Takes SRCU if there is a filter. */
bool keel_msr_allowed(struct keel_vcpu *vcpu, u32 index, bool write);

/*
 * A RDMSR or WRMSR of the guest has failed with @err: -EPERM filtered, -ENOENT
 * unknown, -EINVAL illegal. Raise #GP, or exit with KVM_EXIT_X86_RDMSR or
 * _WRMSR where userspace has asked for it. @val: the value to write.
 */
int keel_rdmsr_failed(struct keel_vcpu *vcpu, u32 index, int err);
int keel_wrmsr_failed(struct keel_vcpu *vcpu, u32 index, u64 val, int err);

/*
 * True if userspace has asked to be told of failures like @err; kvm_run then
 * describes this access to @index. The caller completes the access with
 * userspace's answer.
 */
bool keel_msr_to_user(struct keel_vcpu *vcpu, u32 index, u64 val, int err, bool write);

/* REQ_MSR_FILTER: make all MSR accesses exit while there is a filter. Loaded. */
void keel_msr_filter_changed(struct keel_vcpu *vcpu);

void keel_msr_filter_free(struct keel_vm *vm);

/*
 * KVM_X86_SET_MSR_FILTER as a 32-bit program passes it: the structure holds
 * pointers, so its size, and with it the ioctl's number, differs.
 */
struct msr_filter_compat {
	u32 flags;
	struct {
		u32 flags, nmsrs, base;
		compat_uptr_t bitmap;
	} ranges[KVM_MSR_FILTER_MAX_RANGES];
};

#define COMPAT_SET_MSR_FILTER	_IOW(KVMIO, _IOC_NR(KVM_X86_SET_MSR_FILTER),	\
				     struct msr_filter_compat)

/* KVM_CAP_X86_USER_SPACE_MSR, KVM_X86_SET_MSR_FILTER. */
long keel_enable_user_msr(struct keel_vm *vm, const u64 *args);
long keel_set_msr_filter(struct keel_vm *vm, void *data);
long keel_set_msr_filter_compat(struct keel_vm *vm, void *data);

#endif
