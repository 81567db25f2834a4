/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The guest's time stamp counter: offset and ratio against the host's, and how
 * the vCPUs of one VM come to agree on one offset.
 *
 * The host's counter is taken to be constant and the same on all CPUs. Where it
 * is not (the kernel then calls it unstable), a guest sees it jump as it moves.
 * What it loses while the machine is suspended is made up for: "host" is
 * vmx_host_tsc() here, but for the offset that userspace reads and writes.
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
 * Userspace writes the same value to one vCPU after the other and means that
 * they are to be equal: a write within a second of what the last one would
 * have become by now takes over its offset. The zero that a vCPU begins with is
 * not userspace's: a guest restored when it is young must not be put back to it.
 */
struct keel_vm_tsc {
	spinlock_t lock;	/* all below */
	bool written;
	bool by_user;
	u64 host;		/* host counter at the last write */
	u64 value;		/* what was written */
	u64 offset;		/* what it came to */
	u64 khz;		/* rate of the vCPU that was written */
};

void keel_tsc_vm_init(struct keel_vm *vm);
/* Start the counter of a new vCPU: at 0, or in step with the others. Loaded. */
void keel_tsc_reset(struct keel_vcpu *vcpu);

/* Both counters show the same at any time, as far as one vCPU can tell of another. */
bool keel_tsc_equal(struct keel_vcpu *a, struct keel_vcpu *b);

u64 keel_tsc_read(struct keel_vcpu *vcpu);
/* The guest writes its counter: IA32_TSC_ADJUST follows. */
void keel_tsc_write(struct keel_vcpu *vcpu, u64 value);
/* Userspace writes it. */
void keel_tsc_synchronize(struct keel_vcpu *vcpu, u64 value);
/* Against RDTSC of the host, at the vCPU's own rate: guest = RDTSC scaled + offset. */
u64 keel_tsc_offset(struct keel_vcpu *vcpu);
void keel_tsc_set_offset(struct keel_vcpu *vcpu, u64 offset);
void keel_tsc_set_adjust(struct keel_vcpu *vcpu, u64 value);

/* KVM_GET_TSC_KHZ, KVM_SET_TSC_KHZ of a vCPU (the latter: LOAD) and of a VM. */
long keel_get_tsc_khz(struct keel_vcpu *vcpu, void *data);
long keel_set_tsc_khz(struct keel_vcpu *vcpu, void *data);
long keel_vm_get_tsc_khz(struct keel_vm *vm, void *data);
long keel_vm_set_tsc_khz(struct keel_vm *vm, void *data);

#endif
