// SPDX-License-Identifier: GPL-2.0
/*
 * IA32_SPEC_CTRL and IA32_PRED_CMD, with which a guest's kernel defends one of
 * its processes against another: what is offered, what is refused, and that
 * each vCPU has a value of its own, which the host's does not mix with. Skipped
 * where the kernel of the host knows no such registers.
 */
#define _GNU_SOURCE
#include <sched.h>
#include "kselftest_harness.h"
#include "keel_test.h"
#include "guest.h"
#include "rdmsr.h"

#define MSR_SPEC_CTRL	0x48
#define MSR_PRED_CMD	0x49
#define IBRS		1UL
#define STIBP		2UL
#define SSBD		4UL
#define EDX_SPEC_CTRL	(1u << 26)
#define EDX_STIBP	(1u << 27)
#define EDX_SSBD	(1u << 31)

FIXTURE(spec_ctrl) {
	struct vm *vm;
	struct vcpu *vcpu;
	u32 edx;
};

FIXTURE_SETUP(spec_ctrl)
{
	struct kvm_cpuid2 *cpuid;

	self->vm = vm_create();
	cpuid = cpuid_supported(self->vm->dev);
	self->edx = cpuid_find(cpuid, 7, 0)->edx;
	free(cpuid);
	self->vcpu = vcpu_create(self->vm, 0, msr_guest);
}

FIXTURE_TEARDOWN(spec_ctrl)
{
	vcpu_free(self->vcpu);
	vm_free(self->vm);
}

static u64 read_it(struct vcpu *vcpu)
{
	u64 val = ~0UL;

	CHECK(!rd(vcpu, MSR_SPEC_CTRL, &val), "refused");
	return val;
}

static u64 seen_by_userspace(struct vcpu *vcpu)
{
	u64 val = ~0UL;

	CHECK(__vcpu_get_msr(vcpu, MSR_SPEC_CTRL, &val) == 1, "refused");
	return val;
}

TEST_F(spec_ctrl, what_the_guest_writes_is_there)
{
	u64 all = IBRS | (self->edx & EDX_STIBP ? STIBP : 0) | (self->edx & EDX_SSBD ? SSBD : 0);
	u64 val;

	REQUIRE(self->edx & EDX_SPEC_CTRL);
	EXPECT_EQ(0, read_it(self->vcpu));
	for (val = all; ; val = (val - 1) & all) {
		EXPECT_EQ(0, wr(self->vcpu, MSR_SPEC_CTRL, val));
		EXPECT_EQ(val, read_it(self->vcpu));
		EXPECT_EQ(val, seen_by_userspace(self->vcpu));
		if (!val)
			break;
	}
}

TEST_F(spec_ctrl, what_userspace_writes_is_there)
{
	REQUIRE(self->edx & EDX_SPEC_CTRL);
	EXPECT_EQ(1, __vcpu_set_msr(self->vcpu, MSR_SPEC_CTRL, IBRS));
	EXPECT_EQ(IBRS, read_it(self->vcpu));
	EXPECT_EQ(1, __vcpu_set_msr(self->vcpu, MSR_SPEC_CTRL, 0));
	EXPECT_EQ(0, read_it(self->vcpu));
	EXPECT_EQ(0, __vcpu_set_msr(self->vcpu, MSR_SPEC_CTRL, 1UL << 40));
	EXPECT_EQ(0, read_it(self->vcpu));
}

/* By the hypervisor before the guest has the register to itself, by the CPU afterwards. */
TEST_F(spec_ctrl, reserved_bits_are_gp)
{
	REQUIRE(self->edx & EDX_SPEC_CTRL);
	EXPECT_EQ(GUEST_GP, wr(self->vcpu, MSR_SPEC_CTRL, 1UL << 40));
	EXPECT_EQ(0, wr(self->vcpu, MSR_SPEC_CTRL, IBRS));
	EXPECT_EQ(GUEST_GP, wr(self->vcpu, MSR_SPEC_CTRL, 1UL << 40));
	EXPECT_EQ(IBRS, read_it(self->vcpu));
}

/* They take turns on one CPU: what one leaves in the register is not the other's. */
TEST_F(spec_ctrl, each_vcpu_has_its_own)
{
	struct vcpu *other = vcpu_create(self->vm, 1, msr_guest);
	cpu_set_t set;
	int i;

	REQUIRE(self->edx & EDX_SPEC_CTRL);
	CPU_ZERO(&set);
	CPU_SET(0, &set);
	CHECK(!sched_setaffinity(0, sizeof(set), &set), "no CPU 0");
	EXPECT_EQ(0, wr(self->vcpu, MSR_SPEC_CTRL, IBRS));
	EXPECT_EQ(0, wr(other, MSR_SPEC_CTRL, IBRS));
	EXPECT_EQ(0, wr(other, MSR_SPEC_CTRL, 0));
	for (i = 0; i < 20; i++) {
		EXPECT_EQ(IBRS, read_it(self->vcpu));
		EXPECT_EQ(0, read_it(other));
	}
	EXPECT_EQ(IBRS, seen_by_userspace(self->vcpu));
	EXPECT_EQ(0, seen_by_userspace(other));
	vcpu_free(other);
}

TEST_F(spec_ctrl, predictors_are_flushed_on_demand)
{
	u64 val;

	REQUIRE(self->edx & EDX_SPEC_CTRL);
	EXPECT_EQ(0, wr(self->vcpu, MSR_PRED_CMD, 1));
	EXPECT_EQ(0, wr(self->vcpu, MSR_PRED_CMD, 0));
	EXPECT_EQ(GUEST_GP, wr(self->vcpu, MSR_PRED_CMD, 2));
	EXPECT_EQ(GUEST_GP, rd(self->vcpu, MSR_PRED_CMD, &val));
}

/* A guest that is not told of them has none, whatever the CPU has. */
TEST_F(spec_ctrl, hidden_by_cpuid)
{
	struct vcpu *vcpu = vcpu_create_bare(self->vm, 1);
	struct kvm_cpuid2 *cpuid = cpuid_supported(self->vm->dev);
	u64 val;

	cpuid_find(cpuid, 7, 0)->edx &= ~(EDX_SPEC_CTRL | EDX_STIBP | EDX_SSBD);
	vcpu_ioctl(vcpu, KVM_SET_CPUID2, cpuid);
	free(cpuid);
	vcpu_set_long(vcpu, msr_guest);
	EXPECT_EQ(GUEST_GP, rd(vcpu, MSR_SPEC_CTRL, &val));
	EXPECT_EQ(GUEST_GP, wr(vcpu, MSR_SPEC_CTRL, IBRS));
	EXPECT_EQ(GUEST_GP, wr(vcpu, MSR_PRED_CMD, 1));
	vcpu_free(vcpu);
}

KEEL_TEST_MAIN
