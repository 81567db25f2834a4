/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The paravirtual clock: nanoseconds since the VM began, which the guest works
 * out of its time stamp counter and a page that is kept for it.
 *
 * Offered only where the host's counter is stable. Then one pair of a host
 * counter value and a time serves all vCPUs for good, and a page changes only
 * when userspace sets the clock or a vCPU's counter.
 */
#ifndef KEEL_CLOCK_H
#define KEEL_CLOCK_H

#include <linux/spinlock.h>
#include <linux/types.h>

struct keel_vm;
struct keel_vcpu;

/*
 * struct keel_vm_clock - the clock of a VM
 * @host_tsc, @time:	at this value of the host's counter it was that time
 * @wall_clock:		what the guest wrote to ask for the time of its boot
 */
struct keel_vm_clock {
	spinlock_t lock;	/* the pair */
	u64 host_tsc;
	u64 time;
	u64 wall_clock;
};

/*
 * struct keel_vcpu_clock - a vCPU's page
 * @msr:	its address, as the guest wrote it; bit 0: in use
 * @stopped:	tell the guest that it stood still (KVM_KVMCLOCK_CTRL)
 */
struct keel_vcpu_clock {
	u64 msr;
	bool stopped;
};

/* The host's counter serves as a clock. */
bool keel_clock_possible(void);

void keel_clock_vm_init(struct keel_vm *vm);
/* The vCPU's counter has another offset or rate: pages must follow. */
void keel_clock_tsc_changed(struct keel_vcpu *vcpu);
/* REQ_CLOCK: write the vCPU's page anew. Loaded, may sleep. */
void keel_clock_update(struct keel_vcpu *vcpu);

/* The two registers, under their old and their new numbers. */
int keel_get_clock_msr(struct keel_vcpu *vcpu, u32 index, u64 *val, bool host);
int keel_set_clock_msr(struct keel_vcpu *vcpu, u32 index, u64 val, bool host);

/* KVM_GET_CLOCK, KVM_SET_CLOCK; KVM_KVMCLOCK_CTRL. */
long keel_get_clock(struct keel_vm *vm, void *data);
long keel_set_clock(struct keel_vm *vm, void *data);
long keel_kvmclock_ctrl(struct keel_vcpu *vcpu, void *data);

#endif
