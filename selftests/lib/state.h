/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The whole state of a vCPU: get it, set it in the order that the API needs,
 * compare it. The tests handle memory and the other state of a VM.
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
 * Complete the instruction of the last exit without running another. Return 0, or
 * -EBUSY if the instruction needs another access, which is in kvm_run.
 */
int vcpu_complete(struct vcpu *vcpu);

struct vcpu_state *state_get(struct vcpu *vcpu);
/* The vCPU must not have run yet. */
void state_set(struct vcpu *vcpu, struct vcpu_state *s);
/* Name the first part that differs, or NULL. The TSC of @b may be ahead. */
const char *state_differs(const struct vcpu_state *a, const struct vcpu_state *b);

#endif
