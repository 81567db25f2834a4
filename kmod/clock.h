/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The paravirtual clock: nanoseconds since the VM began, which the guest
 * computes from its time stamp counter and a page that Keel keeps for it.
 *
 * Offered only if keel_clock_possible(). Then one pair of host TSC and time
 * serves all vCPUs, and a page changes only when userspace sets the clock or a
 * vCPU's counter.
 */
#ifndef KEEL_CLOCK_H
#define KEEL_CLOCK_H

#include <linux/spinlock.h>
#include <linux/types.h>

struct keel_vm;
struct keel_vcpu;

/*
 * struct keel_vm_clock - the clock of a VM
 * @host_tsc, @time:	the clock showed @time when the host TSC was @host_tsc
 * @wall_clock:		value of MSR_KVM_WALL_CLOCK
 */
struct keel_vm_clock {
	spinlock_t lock;	/* protects @host_tsc and @time */
	u64 host_tsc;
	u64 time;
	u64 wall_clock;
};

/*
 * struct keel_vcpu_clock - a vCPU's page
 * @msr:	MSR_KVM_SYSTEM_TIME: address of the page; bit 0: enabled
 * @stopped:	set PVCLOCK_GUEST_STOPPED at the next update (KVM_KVMCLOCK_CTRL)
 */
struct keel_vcpu_clock {
	u64 msr;
	bool stopped;
};

/* True if the host TSC is constant and stable. */
bool keel_clock_possible(void);

void keel_clock_vm_init(struct keel_vm *vm);
/* Call after the vCPU's TSC offset or rate has changed: have all pages updated. */
void keel_clock_tsc_changed(struct keel_vcpu *vcpu);
/* REQ_CLOCK: update the vCPU's page. Loaded, may sleep. */
void keel_clock_update(struct keel_vcpu *vcpu);

/* MSR_KVM_WALL_CLOCK and MSR_KVM_SYSTEM_TIME, under their old and their new numbers. */
int keel_get_clock_msr(struct keel_vcpu *vcpu, u32 index, u64 *val, bool host);
int keel_set_clock_msr(struct keel_vcpu *vcpu, u32 index, u64 val, bool host);

/* KVM_GET_CLOCK, KVM_SET_CLOCK; KVM_KVMCLOCK_CTRL. */
long keel_get_clock(struct keel_vm *vm, void *data);
long keel_set_clock(struct keel_vm *vm, void *data);
long keel_kvmclock_ctrl(struct keel_vcpu *vcpu, void *data);

#endif
