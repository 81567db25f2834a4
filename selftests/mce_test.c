// SPDX-License-Identifier: GPL-2.0
/*
 * The guest's machine-check registers: how many there are, what may be written
 * to them and by whom, and machine checks that userspace raises.
 */
#include "kselftest_harness.h"
#include "keel_test.h"
#include "guest.h"
#include "rdmsr.h"

#define MCG_CAP		0x179
#define MCG_STATUS	0x17a
#define MCG_CTL		0x17b
#define CTL(n)		(0x400 + 4 * (n))
#define STATUS(n)	(0x401 + 4 * (n))
#define ADDR(n)		(0x402 + 4 * (n))
#define MISC(n)		(0x403 + 4 * (n))

#define CTL_P		(1UL << 8)
#define SER_P		(1UL << 24)
#define VAL		(1UL << 63)
#define OVER		(1UL << 62)
#define UC		(1UL << 61)
#define EN		(1UL << 60)
#define MCIP		(1UL << 2)
#define CR4_MCE		(1UL << 6)
#define MC_VECTOR	18

FIXTURE(mce) {
	struct vm *vm;
	struct vcpu *vcpu;
};

static volatile int checks_seen;

static void count_check(struct guest_trap *trap)
{
	checks_seen++;
}

static void guest_access(void)
{
	guest_handler[MC_VECTOR] = count_check;
	msr_guest();
}

FIXTURE_SETUP(mce)
{
	self->vm = vm_create();
	self->vcpu = vcpu_create(self->vm, 0, guest_access);
}

FIXTURE_TEARDOWN(mce)
{
	vcpu_free(self->vcpu);
	vm_free(self->vm);
}

static int setup(struct vcpu *vcpu, u64 cap)
{
	return __vcpu_ioctl(vcpu, KVM_X86_SETUP_MCE, &cap);
}

static int report(struct vcpu *vcpu, u8 bank, u64 status)
{
	struct kvm_x86_mce mce = {
		.status = status, .addr = 0x1234000, .misc = 0x8c, .mcg_status = MCIP, .bank = bank,
	};

	return __vcpu_ioctl(vcpu, KVM_X86_SET_MCE, &mce);
}

static void take_checks(struct vcpu *vcpu)
{
	struct kvm_sregs sregs;

	vcpu_get_sregs(vcpu, &sregs);
	sregs.cr4 |= CR4_MCE;
	vcpu_set_sregs(vcpu, &sregs);
}

TEST_F(mce, banks_there_are_from_the_start)
{
	u64 value;

	EXPECT_EQ(0, rd(self->vcpu, MCG_CAP, &value));
	EXPECT_EQ(vm_ioctl(self->vm, KVM_CHECK_EXTENSION, KVM_CAP_MCE), value & 0xff);
	EXPECT_EQ(0, value & CTL_P);
	EXPECT_EQ(0, rd(self->vcpu, CTL(31), &value));
	EXPECT_EQ(0, value);
	EXPECT_EQ(GUEST_GP, rd(self->vcpu, MCG_CTL, &value));
	EXPECT_EQ(GUEST_GP, wr(self->vcpu, MCG_CAP, 0));
}

TEST_F(mce, what_can_be_set_up)
{
	u64 supported = 0, value;

	ASSERT_EQ(0, __fd_ioctl(self->vm->dev, KVM_X86_GET_MCE_CAP_SUPPORTED, &supported));
	EXPECT_EQ(CTL_P | SER_P, supported & (CTL_P | SER_P));
	EXPECT_EQ(-EFAULT, __fd_ioctl(self->vm->dev, KVM_X86_GET_MCE_CAP_SUPPORTED, NULL));
	EXPECT_EQ(-EINVAL, setup(self->vcpu, 0));
	EXPECT_EQ(-EINVAL, setup(self->vcpu, 33));
	EXPECT_EQ(-EINVAL, setup(self->vcpu, 0xff));
	EXPECT_EQ(-EINVAL, setup(self->vcpu, 10 | 1UL << 40));
	EXPECT_EQ(-EFAULT, __vcpu_ioctl(self->vcpu, KVM_X86_SETUP_MCE, NULL));
	ASSERT_EQ(0, setup(self->vcpu, 10 | CTL_P | SER_P));
	EXPECT_EQ(0, rd(self->vcpu, MCG_CAP, &value));
	EXPECT_EQ(10 | CTL_P | SER_P, value);
	EXPECT_EQ(1, __vcpu_get_msr(self->vcpu, MCG_CAP, &value));
	EXPECT_EQ(10 | CTL_P | SER_P, value);
	EXPECT_EQ(0, rd(self->vcpu, MCG_CTL, &value));
	EXPECT_EQ(~0UL, value);
	EXPECT_EQ(0, rd(self->vcpu, CTL(9), &value));
	EXPECT_EQ(~0UL, value);
	EXPECT_EQ(GUEST_GP, rd(self->vcpu, CTL(10), &value));
	EXPECT_EQ(0, __vcpu_get_msr(self->vcpu, CTL(10), &value));
}

TEST_F(mce, what_may_be_written)
{
	u64 value;

	ASSERT_EQ(0, setup(self->vcpu, 10 | CTL_P));
	EXPECT_EQ(0, wr(self->vcpu, MCG_CTL, 0));
	EXPECT_EQ(0, wr(self->vcpu, MCG_CTL, ~0UL));
	EXPECT_EQ(GUEST_GP, wr(self->vcpu, MCG_CTL, 1));
	EXPECT_EQ(0, wr(self->vcpu, MCG_STATUS, MCIP));
	EXPECT_EQ(0, rd(self->vcpu, MCG_STATUS, &value));
	EXPECT_EQ(MCIP, value);
	EXPECT_EQ(0, wr(self->vcpu, CTL(3), 0));
	EXPECT_EQ(0, wr(self->vcpu, CTL(3), ~0UL));
	EXPECT_EQ(0, wr(self->vcpu, CTL(3), ~(1UL << 10)));
	EXPECT_EQ(0, wr(self->vcpu, CTL(3), ~1UL));
	EXPECT_EQ(GUEST_GP, wr(self->vcpu, CTL(3), 2));
	/* The guest clears a status; userspace sets it, as it restores one. */
	EXPECT_EQ(GUEST_GP, wr(self->vcpu, STATUS(3), VAL));
	EXPECT_EQ(1, __vcpu_set_msr(self->vcpu, STATUS(3), VAL | 5));
	EXPECT_EQ(0, rd(self->vcpu, STATUS(3), &value));
	EXPECT_EQ(VAL | 5, value);
	EXPECT_EQ(0, wr(self->vcpu, STATUS(3), 0));
	EXPECT_EQ(1, __vcpu_get_msr(self->vcpu, STATUS(3), &value));
	EXPECT_EQ(0, value);
	EXPECT_EQ(0, wr(self->vcpu, ADDR(3), 0x1000));
	EXPECT_EQ(0, rd(self->vcpu, ADDR(3), &value));
	EXPECT_EQ(0x1000, value);
}

TEST_F(mce, uncorrected_is_a_machine_check)
{
	u64 value;

	ASSERT_EQ(0, setup(self->vcpu, 10 | CTL_P));
	take_checks(self->vcpu);
	EXPECT_EQ(0, rd(self->vcpu, MCG_STATUS, &value));
	ASSERT_EQ(0, report(self->vcpu, 4, VAL | UC | EN | 0x85));
	rd(self->vcpu, STATUS(4), &value);
	EXPECT_EQ(0, rd(self->vcpu, STATUS(4), &value));
	EXPECT_EQ(1, GUEST_VAR(self->vm, checks_seen));
	EXPECT_EQ(VAL | UC | EN | 0x85, value);
	EXPECT_EQ(0, rd(self->vcpu, ADDR(4), &value));
	EXPECT_EQ(0x1234000, value);
	EXPECT_EQ(0, rd(self->vcpu, MISC(4), &value));
	EXPECT_EQ(0x8c, value);
	EXPECT_EQ(0, rd(self->vcpu, MCG_STATUS, &value));
	EXPECT_EQ(MCIP, value);
	/* A second one while the first is being served is the end. */
	ASSERT_EQ(0, report(self->vcpu, 4, VAL | UC | EN | 0x85));
	EXPECT_EQ(KVM_EXIT_SHUTDOWN, vcpu_next(self->vcpu));
}

TEST_F(mce, a_guest_that_takes_none_shuts_down)
{
	u64 value;

	ASSERT_EQ(0, setup(self->vcpu, 10 | CTL_P));
	EXPECT_EQ(0, rd(self->vcpu, MCG_STATUS, &value));
	ASSERT_EQ(0, report(self->vcpu, 4, VAL | UC | EN));
	EXPECT_EQ(KVM_EXIT_SHUTDOWN, vcpu_next(self->vcpu));
}

TEST_F(mce, corrected_is_only_recorded)
{
	u64 value;

	ASSERT_EQ(0, setup(self->vcpu, 10 | CTL_P));
	take_checks(self->vcpu);
	ASSERT_EQ(0, report(self->vcpu, 2, VAL | 7));
	EXPECT_EQ(0, rd(self->vcpu, STATUS(2), &value));
	EXPECT_EQ(VAL | 7, value);
	ASSERT_EQ(0, report(self->vcpu, 2, VAL | 8));
	EXPECT_EQ(0, rd(self->vcpu, STATUS(2), &value));
	EXPECT_EQ(VAL | OVER | 8, value);
	EXPECT_EQ(0, GUEST_VAR(self->vm, checks_seen));
	/* It does not replace what is graver. */
	EXPECT_EQ(1, __vcpu_set_msr(self->vcpu, STATUS(2), VAL | UC | 9));
	ASSERT_EQ(0, report(self->vcpu, 2, VAL | 8));
	EXPECT_EQ(0, rd(self->vcpu, STATUS(2), &value));
	EXPECT_EQ(VAL | UC | OVER | 9, value);
}

TEST_F(mce, not_told_where_reporting_is_off)
{
	u64 value;

	ASSERT_EQ(0, setup(self->vcpu, 10 | CTL_P));
	take_checks(self->vcpu);
	EXPECT_EQ(0, wr(self->vcpu, CTL(5), 0));
	ASSERT_EQ(0, report(self->vcpu, 5, VAL | UC));
	EXPECT_EQ(0, rd(self->vcpu, STATUS(5), &value));
	EXPECT_EQ(0, value);
	EXPECT_EQ(0, wr(self->vcpu, MCG_CTL, 0));
	ASSERT_EQ(0, report(self->vcpu, 6, VAL | UC));
	EXPECT_EQ(0, rd(self->vcpu, STATUS(6), &value));
	EXPECT_EQ(0, value);
	EXPECT_EQ(0, GUEST_VAR(self->vm, checks_seen));
}

TEST_F(mce, refuses_what_makes_no_sense)
{
	ASSERT_EQ(0, setup(self->vcpu, 10));
	EXPECT_EQ(-EINVAL, report(self->vcpu, 10, VAL));
	EXPECT_EQ(-EINVAL, report(self->vcpu, 255, VAL));
	EXPECT_EQ(-EINVAL, report(self->vcpu, 0, 7));
	EXPECT_EQ(-EFAULT, __vcpu_ioctl(self->vcpu, KVM_X86_SET_MCE, NULL));
}

KEEL_TEST_MAIN
