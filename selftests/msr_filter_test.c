// SPDX-License-Identifier: GPL-2.0
/*
 * The filter before the guest's model-specific registers, and the exits that
 * let userspace answer for a register: what is denied, what becomes of it,
 * and which filters are refused.
 */
#include "kselftest_harness.h"
#include "keel_test.h"
#include "guest.h"
#include "rdmsr.h"

#define MSR_SYSENTER_CS		0x174
#define MSR_SYSENTER_ESP	0x175
#define MSR_PAT			0x277
#define MSR_APIC_ID		0x802
#define MSR_FS_BASE		0xc0000100
#define MSR_GS_BASE		0xc0000101
#define MSR_UNKNOWN		0x12345678

#define BOTH	(KVM_MSR_FILTER_READ | KVM_MSR_FILTER_WRITE)
#define RD	KVM_EXIT_X86_RDMSR
#define WR	KVM_EXIT_X86_WRMSR
#define WHY(x)	KVM_MSR_EXIT_REASON_##x

FIXTURE(msr_filter) {
	struct vm *vm;
	struct vcpu *vcpu;
	u8 bits[0x600];
	struct kvm_msr_filter filter;
};

FIXTURE_SETUP(msr_filter)
{
	memset(self, 0, sizeof(*self));
	self->vm = vm_create();
	self->vcpu = vcpu_create(self->vm, 0, msr_guest);
}

FIXTURE_TEARDOWN(msr_filter)
{
	vcpu_free(self->vcpu);
	vm_free(self->vm);
}

static int enable(struct vm *vm, u32 flags, u64 reasons)
{
	struct kvm_enable_cap cap = {
		.cap = KVM_CAP_X86_USER_SPACE_MSR, .flags = flags, .args = { reasons },
	};

	return __vm_ioctl(vm, KVM_ENABLE_CAP, &cap);
}

/* All of the range is denied, in the directions of @flags. */
static struct kvm_msr_filter_range denied(const u8 *bits, u32 base, u32 nr, u32 flags)
{
	return (struct kvm_msr_filter_range) {
		.flags = flags, .nmsrs = nr, .base = base, .bitmap = (u8 *)bits,
	};
}

TEST_F(msr_filter, refuses_what_makes_no_sense)
{
	struct kvm_msr_filter *f = &self->filter;

	REQUIRE(vm_has(self->vm, KVM_CAP_X86_MSR_FILTER));
	f->flags = 2;
	EXPECT_EQ(-EINVAL, __vm_ioctl(self->vm, KVM_X86_SET_MSR_FILTER, f));
	f->flags = KVM_MSR_FILTER_DEFAULT_DENY;
	EXPECT_EQ(-EINVAL, __vm_ioctl(self->vm, KVM_X86_SET_MSR_FILTER, f));
	f->flags = 0;
	f->ranges[0] = denied(self->bits, MSR_PAT, 1, 0);
	EXPECT_EQ(-EINVAL, __vm_ioctl(self->vm, KVM_X86_SET_MSR_FILTER, f));
	f->ranges[0].flags = 4;
	EXPECT_EQ(-EINVAL, __vm_ioctl(self->vm, KVM_X86_SET_MSR_FILTER, f));
	f->ranges[0].flags = KVM_MSR_FILTER_READ;
	f->ranges[0].nmsrs = 0x600 * 8 + 1;
	EXPECT_EQ(-EINVAL, __vm_ioctl(self->vm, KVM_X86_SET_MSR_FILTER, f));
	f->ranges[0].nmsrs = ~0u;
	EXPECT_EQ(-EINVAL, __vm_ioctl(self->vm, KVM_X86_SET_MSR_FILTER, f));
	f->ranges[0].nmsrs = 0x600 * 8;
	EXPECT_EQ(0, __vm_ioctl(self->vm, KVM_X86_SET_MSR_FILTER, f));
	f->ranges[0].bitmap = NULL;
	EXPECT_EQ(-EFAULT, __vm_ioctl(self->vm, KVM_X86_SET_MSR_FILTER, f));
	EXPECT_EQ(-EFAULT, __vm_ioctl(self->vm, KVM_X86_SET_MSR_FILTER, NULL));
}

TEST_F(msr_filter, capability_must_be_asked_for_rightly)
{
	struct kvm_enable_cap cap = { .cap = 0x7fffffff };

	REQUIRE(vm_has(self->vm, KVM_CAP_ENABLE_CAP_VM));
	EXPECT_EQ(-EINVAL, __vm_ioctl(self->vm, KVM_ENABLE_CAP, &cap));
	REQUIRE(vm_has(self->vm, KVM_CAP_X86_USER_SPACE_MSR));
	EXPECT_EQ(-EINVAL, enable(self->vm, 1, 0));
	EXPECT_EQ(-EINVAL, enable(self->vm, 0, 1UL << 40));
	EXPECT_EQ(0, enable(self->vm, 0, KVM_MSR_EXIT_REASON_INVAL | KVM_MSR_EXIT_REASON_UNKNOWN |
			    KVM_MSR_EXIT_REASON_FILTER));
	EXPECT_EQ(0, enable(self->vm, 0, 0));
	EXPECT_EQ(-EFAULT, __vm_ioctl(self->vm, KVM_ENABLE_CAP, NULL));
}

/* Also those that the guest otherwise reads without an exit. */
TEST_F(msr_filter, denied_is_gp)
{
	static const u32 index[] = { MSR_SYSENTER_CS, MSR_PAT, MSR_FS_BASE, MSR_GS_BASE };
	struct kvm_msr_filter *f = &self->filter;
	u64 value;
	int i;

	REQUIRE(vm_has(self->vm, KVM_CAP_X86_MSR_FILTER));
	for (i = 0; i < ARRAY_SIZE(index); i++) {
		EXPECT_EQ(0, rd(self->vcpu, index[i], &value));
		f->ranges[i] = denied(self->bits, index[i], 1, BOTH);
	}
	vm_ioctl(self->vm, KVM_X86_SET_MSR_FILTER, f);
	for (i = 0; i < ARRAY_SIZE(index); i++) {
		EXPECT_EQ(GUEST_GP, rd(self->vcpu, index[i], &value)) {
			TH_LOG("MSR %#x", index[i]);
		}
		EXPECT_EQ(GUEST_GP, wr(self->vcpu, index[i], 0));
		/* Userspace itself is not filtered. */
		EXPECT_EQ(1, __vcpu_get_msr(self->vcpu, index[i], &value));
	}
	EXPECT_EQ(0, rd(self->vcpu, MSR_SYSENTER_ESP, &value));
	memset(f, 0, sizeof(*f));
	vm_ioctl(self->vm, KVM_X86_SET_MSR_FILTER, f);
	for (i = 0; i < ARRAY_SIZE(index); i++)
		EXPECT_EQ(0, rd(self->vcpu, index[i], &value));
}

TEST_F(msr_filter, directions_are_told_apart)
{
	struct kvm_msr_filter *f = &self->filter;
	u64 value;

	REQUIRE(vm_has(self->vm, KVM_CAP_X86_MSR_FILTER));
	f->ranges[0] = denied(self->bits, MSR_SYSENTER_CS, 1, KVM_MSR_FILTER_WRITE);
	f->ranges[1] = denied(self->bits, MSR_SYSENTER_ESP, 1, KVM_MSR_FILTER_READ);
	vm_ioctl(self->vm, KVM_X86_SET_MSR_FILTER, f);
	EXPECT_EQ(0, rd(self->vcpu, MSR_SYSENTER_CS, &value));
	EXPECT_EQ(GUEST_GP, wr(self->vcpu, MSR_SYSENTER_CS, 8));
	EXPECT_EQ(GUEST_GP, rd(self->vcpu, MSR_SYSENTER_ESP, &value));
	EXPECT_EQ(0, wr(self->vcpu, MSR_SYSENTER_ESP, 8));
}

/* The bitmap is copied: changing it afterwards changes nothing. */
TEST_F(msr_filter, default_deny_and_bits)
{
	struct kvm_msr_filter *f = &self->filter;
	u64 value;

	REQUIRE(vm_has(self->vm, KVM_CAP_X86_MSR_FILTER));
	self->bits[0] = 2;
	f->flags = KVM_MSR_FILTER_DEFAULT_DENY;
	f->ranges[0] = denied(self->bits, MSR_SYSENTER_CS, 3, KVM_MSR_FILTER_READ);
	vm_ioctl(self->vm, KVM_X86_SET_MSR_FILTER, f);
	self->bits[0] = 5;
	EXPECT_EQ(GUEST_GP, rd(self->vcpu, MSR_SYSENTER_CS, &value));
	EXPECT_EQ(0, rd(self->vcpu, MSR_SYSENTER_ESP, &value));
	EXPECT_EQ(GUEST_GP, rd(self->vcpu, MSR_SYSENTER_ESP + 1, &value));
	EXPECT_EQ(GUEST_GP, rd(self->vcpu, MSR_PAT, &value));
	EXPECT_EQ(GUEST_GP, wr(self->vcpu, MSR_SYSENTER_ESP, 0));
}

TEST_F(msr_filter, a_new_vcpu_obeys_as_well)
{
	struct kvm_msr_filter *f = &self->filter;
	struct vcpu *other;
	u64 value;

	REQUIRE(vm_has(self->vm, KVM_CAP_X86_MSR_FILTER));
	f->ranges[0] = denied(self->bits, MSR_FS_BASE, 1, KVM_MSR_FILTER_READ);
	vm_ioctl(self->vm, KVM_X86_SET_MSR_FILTER, f);
	other = vcpu_create(self->vm, 1, msr_guest);
	EXPECT_EQ(GUEST_GP, rd(other, MSR_FS_BASE, &value));
	vcpu_free(other);
}

static void expect_exit(struct __test_metadata *_metadata, struct vcpu *vcpu, int reason, u32 why,
			u32 index)
{
	EXPECT_EQ(reason, vcpu_next(vcpu));
	EXPECT_EQ(why, vcpu->run->msr.reason);
	EXPECT_EQ(index, vcpu->run->msr.index);
	EXPECT_EQ(0, vcpu->run->msr.error);
}

TEST_F(msr_filter, userspace_answers_for_what_is_denied)
{
	struct kvm_msr_filter *f = &self->filter;
	struct vcpu *vcpu = self->vcpu;
	u64 value;

	REQUIRE(vm_has(self->vm, KVM_CAP_X86_MSR_FILTER));
	REQUIRE(vm_has(self->vm, KVM_CAP_X86_USER_SPACE_MSR));
	f->ranges[0] = denied(self->bits, MSR_SYSENTER_CS, 1, BOTH);
	vm_ioctl(self->vm, KVM_X86_SET_MSR_FILTER, f);
	/* Not for the other reasons. */
	ASSERT_EQ(0, enable(self->vm, 0, KVM_MSR_EXIT_REASON_INVAL | KVM_MSR_EXIT_REASON_UNKNOWN));
	EXPECT_EQ(GUEST_GP, rd(vcpu, MSR_SYSENTER_CS, &value));
	ASSERT_EQ(0, enable(self->vm, 0, KVM_MSR_EXIT_REASON_FILTER));
	msr_prepare(vcpu, MSR_SYSENTER_CS, false, 0);
	expect_exit(_metadata, vcpu, RD, WHY(FILTER), MSR_SYSENTER_CS);
	vcpu->run->msr.data = 0x1122334455667788;
	EXPECT_EQ(0, vcpu_sync(vcpu));
	EXPECT_EQ(0x1122334455667788, vcpu->arg[1]);
	expect_exit(_metadata, vcpu, RD, WHY(FILTER), MSR_SYSENTER_CS);
	vcpu->run->msr.error = 1;
	EXPECT_EQ(GUEST_GP, vcpu_sync(vcpu));
	msr_prepare(vcpu, MSR_SYSENTER_CS, true, 0x8877665544332211);
	expect_exit(_metadata, vcpu, WR, WHY(FILTER), MSR_SYSENTER_CS);
	EXPECT_EQ(0x8877665544332211, vcpu->run->msr.data);
	EXPECT_EQ(0, vcpu_sync(vcpu));
	expect_exit(_metadata, vcpu, WR, WHY(FILTER), MSR_SYSENTER_CS);
	vcpu->run->msr.error = 1;
	EXPECT_EQ(GUEST_GP, vcpu_sync(vcpu));
	EXPECT_EQ(1, __vcpu_get_msr(vcpu, MSR_SYSENTER_CS, &value));
	EXPECT_EQ(0, value);
}

TEST_F(msr_filter, userspace_answers_for_the_unknown_and_the_illegal)
{
	struct vcpu *vcpu = self->vcpu;
	u64 value;

	REQUIRE(vm_has(self->vm, KVM_CAP_X86_USER_SPACE_MSR));
	ASSERT_EQ(0, enable(self->vm, 0, KVM_MSR_EXIT_REASON_UNKNOWN));
	msr_prepare(vcpu, MSR_UNKNOWN, false, 0);
	expect_exit(_metadata, vcpu, RD, WHY(UNKNOWN), MSR_UNKNOWN);
	vcpu->run->msr.data = 7;
	EXPECT_EQ(0, vcpu_sync(vcpu));
	EXPECT_EQ(7, vcpu->arg[1]);
	EXPECT_EQ(GUEST_GP, wr(vcpu, MSR_PAT, 2));
	ASSERT_EQ(0, enable(self->vm, 0, KVM_MSR_EXIT_REASON_INVAL));
	EXPECT_EQ(GUEST_GP, rd(vcpu, MSR_UNKNOWN, &value));
	msr_prepare(vcpu, MSR_PAT, true, 2);
	expect_exit(_metadata, vcpu, WR, WHY(INVAL), MSR_PAT);
	EXPECT_EQ(2, vcpu->run->msr.data);
	EXPECT_EQ(0, vcpu_sync(vcpu));
}

/* As with a port: an exit that is half done is finished before KVM_RUN says EINTR. */
TEST_F(msr_filter, immediate_exit_finishes_the_access)
{
	struct vcpu *vcpu = self->vcpu;
	struct kvm_regs regs;

	REQUIRE(vm_has(self->vm, KVM_CAP_X86_USER_SPACE_MSR));
	ASSERT_EQ(0, enable(self->vm, 0, KVM_MSR_EXIT_REASON_UNKNOWN));
	msr_prepare(vcpu, MSR_UNKNOWN, false, 0);
	expect_exit(_metadata, vcpu, RD, WHY(UNKNOWN), MSR_UNKNOWN);
	vcpu->run->msr.data = 0x5500000066;
	vcpu->run->immediate_exit = 1;
	EXPECT_EQ(-EINTR, __vcpu_run(vcpu));
	vcpu->run->immediate_exit = 0;
	vcpu_get_regs(vcpu, &regs);
	EXPECT_EQ(0x66, regs.rax);
	EXPECT_EQ(0x55, regs.rdx);
	EXPECT_EQ(0, vcpu_sync(vcpu));
}

KEEL_TEST_MAIN
