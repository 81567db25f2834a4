/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The guest's time stamp counter: its offset and ratio to the host's, and how
 * the vCPUs of one VM agree on one offset.
 *
 * The host's counter is taken to be constant and equal on all CPUs. Where it is
 * not (the kernel then calls it unstable), a guest sees a jump when its vCPU
 * changes CPUs. Ticks lost in suspend are made up for: "host TSC" means
 * vmx_host_tsc() here, except in the offset that userspace reads and writes.
 */
#ifndef KEEL_TSC_H
#define KEEL_TSC_H

#include <linux/spinlock.h>
#include <linux/types.h>

struct keel_vm;
struct keel_vcpu;

/*
 * struct keel_vm_tsc - the last counter value that userspace wrote in this VM
 *
 * Userspace sets equal counters by writing the same value to one vCPU after the
 * other: a write within a second of what the last one would have become by now
 * takes over its offset. The zero that a new vCPU begins with does not count as
 * written by userspace (@by_user): otherwise the small counter of a young guest
 * that is restored would be taken for a continuation of it.
 */
struct keel_vm_tsc {
	spinlock_t lock;	/* protects all below */
	bool written;
	bool by_user;
	u64 host;		/* host TSC at the last write */
	u64 value;		/* the value written */
	u64 offset;		/* the offset that resulted */
	u64 khz;		/* rate of the vCPU written to */
};

void keel_tsc_vm_init(struct keel_vm *vm);
/* Start the counter of a new vCPU at 0 or in step with the others. Loaded. */
void keel_tsc_reset(struct keel_vcpu *vcpu);

/* True if both counters have the same rate and offset. */
bool keel_tsc_equal(struct keel_vcpu *a, struct keel_vcpu *b);

u64 keel_tsc_read(struct keel_vcpu *vcpu);
/* Write of the guest: IA32_TSC_ADJUST follows. */
void keel_tsc_write(struct keel_vcpu *vcpu, u64 value);
/* Write of userspace: see struct keel_vm_tsc. */
void keel_tsc_synchronize(struct keel_vcpu *vcpu, u64 value);
/* The offset to the host's RDTSC, scaled to the vCPU's rate: guest = scaled RDTSC + offset. */
u64 keel_tsc_offset(struct keel_vcpu *vcpu);
void keel_tsc_set_offset(struct keel_vcpu *vcpu, u64 offset);
void keel_tsc_set_adjust(struct keel_vcpu *vcpu, u64 value);

/* KVM_GET_TSC_KHZ, KVM_SET_TSC_KHZ of a vCPU (the latter: LOAD) and of a VM. */
long keel_get_tsc_khz(struct keel_vcpu *vcpu, void *data);
long keel_set_tsc_khz(struct keel_vcpu *vcpu, void *data);
long keel_vm_get_tsc_khz(struct keel_vm *vm, void *data);
long keel_vm_set_tsc_khz(struct keel_vm *vm, void *data);

#endif
