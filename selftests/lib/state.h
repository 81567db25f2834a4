/* SPDX-License-Identifier: GPL-2.0 */
/*
 * All that a vCPU is, got in one go, set in the order the API asks for, and
 * compared. Memory, and what a VM has besides, is the test's to carry.
 */
#ifndef KEEL_TEST_STATE_H
#define KEEL_TEST_STATE_H

#include "keel_test.h"

#define STATE_MSRS	255
#define STATE_CPUID	256

struct vcpu_state {
	struct kvm_regs regs;
	struct kvm_sregs2 sregs;
	struct kvm_xsave xsave;
	struct kvm_xcrs xcrs;
	struct kvm_debugregs debugregs;
	struct kvm_vcpu_events events;
	struct kvm_mp_state mp;
	u64 mcg_cap;
	u32 tsc_khz;
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry[STATE_MSRS];
	} msrs;
	struct {
		struct kvm_cpuid2 head;
		struct kvm_cpuid_entry2 entry[STATE_CPUID];
	} cpuid;
};

/*
 * Finish what the last exit left half done, without running on. 0, or -EBUSY:
 * the instruction asks for more, and the exit is in kvm_run.
 */
int vcpu_complete(struct vcpu *vcpu);

struct vcpu_state *state_get(struct vcpu *vcpu);
/* Of a vCPU that has not run. */
void state_set(struct vcpu *vcpu, struct vcpu_state *s);
/* The first part that differs, or NULL. The time stamp counter of @b may be ahead. */
const char *state_differs(const struct vcpu_state *a, const struct vcpu_state *b);

#endif
