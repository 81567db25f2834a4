/* SPDX-License-Identifier: GPL-2.0 */
/* Creation and end of a vCPU, loading it on a CPU, and KVM_RUN. */
#ifndef KEEL_VCPU_H
#define KEEL_VCPU_H

#include "types.h"

struct keel_vm;
struct keel_vcpu;

/* KVM_CREATE_VCPU: a file descriptor, or -errno. Takes vm->lock. */
long keel_create_vcpu(struct keel_vm *vm, void *id);
/* KVM_CAP_MAX_VCPU_ID: ids are below args[0]. */
long keel_limit_vcpu_ids(struct keel_vm *vm, const u64 *args);
/* Destroy all vCPUs of a VM that is no longer reachable. */
void keel_destroy_vcpus(struct keel_vm *vm);

/* The vCPU's hardware state can be read and written between the two. vcpu->mutex held. */
void keel_vcpu_load(struct keel_vcpu *vcpu);
void keel_vcpu_put(struct keel_vcpu *vcpu);

/* KVM_RUN, KVM_SET_SIGNAL_MASK. */
long keel_run(struct keel_vcpu *vcpu, void *arg);
long keel_set_signal_mask(struct keel_vcpu *vcpu, void *arg);

int keel_vcpu_module_init(void);
void keel_vcpu_module_exit(void);

#endif
