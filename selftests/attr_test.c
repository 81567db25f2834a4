// SPDX-License-Identifier: GPL-2.0
/*
 * Device attributes: the offset of a vCPU's time stamp counter and the state
 * components that guests may be offered; what does not exist is ENXIO. And
 * which vCPU is the boot processor.
 */
#include "kselftest_harness.h"
#include "keel_test.h"
#include "guest.h"

#define MSR_TSC		0x10

FIXTURE(attr) {
	struct vm *vm;
	struct vcpu *vcpu;
};

static uint64_t tsc_now(void)
{
	uint32_t lo, hi;

	asm volatile("lfence; rdtsc" : "=a"(lo), "=d"(hi));
	return (uint64_t)hi << 32 | lo;
}

static void guest_tsc(void)
{
	for (;;)
		guest_sync(tsc_now());
}

FIXTURE_SETUP(attr)
{
	self->vm = vm_create();
	self->vcpu = vcpu_create(self->vm, 0, guest_tsc);
}

FIXTURE_TEARDOWN(attr)
{
	vcpu_free(self->vcpu);
	vm_free(self->vm);
}

static int attr(int fd, unsigned long request, u32 group, u64 number, void *value)
{
	struct kvm_device_attr a = {
		.group = group, .attr = number, .addr = (unsigned long)value,
	};

	return __fd_ioctl(fd, request, &a);
}

static int get_offset(struct vcpu *vcpu, u64 *offset)
{
	return attr(vcpu->fd, KVM_GET_DEVICE_ATTR, KVM_VCPU_TSC_CTRL, KVM_VCPU_TSC_OFFSET, offset);
}

static int set_offset(struct vcpu *vcpu, u64 offset)
{
	return attr(vcpu->fd, KVM_SET_DEVICE_ATTR, KVM_VCPU_TSC_CTRL, KVM_VCPU_TSC_OFFSET, &offset);
}

TEST_F(attr, offset_is_what_the_guest_runs_with)
{
	u64 offset, before, seen, after;
	int i;

	REQUIRE(vm_has(self->vm, KVM_CAP_VCPU_ATTRIBUTES));
	for (i = 0; i < 3; i++) {
		if (i)
			ASSERT_EQ(0, set_offset(self->vcpu, i == 1 ? 1UL << 50 : -(1UL << 30)));
		ASSERT_EQ(0, get_offset(self->vcpu, &offset));
		before = tsc_now() + offset;
		seen = vcpu_sync(self->vcpu);
		after = tsc_now() + offset;
		EXPECT_LE(0, (int64_t)(seen - before));
		EXPECT_LE(0, (int64_t)(after - seen));
	}
}

TEST_F(attr, get_is_what_was_set)
{
	static const u64 offsets[] = { 0, 1, 1UL << 63, ~0UL, 0x123456789abcdef0 };
	u64 offset;
	int i;

	REQUIRE(vm_has(self->vm, KVM_CAP_VCPU_ATTRIBUTES));
	for (i = 0; i < ARRAY_SIZE(offsets); i++) {
		EXPECT_EQ(0, set_offset(self->vcpu, offsets[i]));
		EXPECT_EQ(0, get_offset(self->vcpu, &offset));
		EXPECT_EQ(offsets[i], offset);
	}
}

/* A counter that was written has an offset, and the other way round. */
TEST_F(attr, offset_and_counter_are_one)
{
	u64 offset, value;

	REQUIRE(vm_has(self->vm, KVM_CAP_VCPU_ATTRIBUTES));
	ASSERT_EQ(1, __vcpu_set_msr(self->vcpu, MSR_TSC, 1UL << 50));
	ASSERT_EQ(0, get_offset(self->vcpu, &offset));
	EXPECT_LE(0, (int64_t)(tsc_now() + offset - (1UL << 50)));
	EXPECT_GT(1UL << 40, tsc_now() + offset - (1UL << 50));
	ASSERT_EQ(0, set_offset(self->vcpu, 1UL << 51));
	ASSERT_EQ(1, __vcpu_get_msr(self->vcpu, MSR_TSC, &value));
	EXPECT_LE(1UL << 51, value);
	EXPECT_GE(tsc_now() + (1UL << 51), value);
}

TEST_F(attr, of_a_vcpu_that_do_not_exist)
{
	u64 value = 0;
	int fd = self->vcpu->fd;

	REQUIRE(vm_has(self->vm, KVM_CAP_VCPU_ATTRIBUTES));
	EXPECT_EQ(0, attr(fd, KVM_HAS_DEVICE_ATTR, KVM_VCPU_TSC_CTRL, KVM_VCPU_TSC_OFFSET, NULL));
	EXPECT_EQ(-ENXIO, attr(fd, KVM_HAS_DEVICE_ATTR, KVM_VCPU_TSC_CTRL, 1, NULL));
	EXPECT_EQ(-ENXIO, attr(fd, KVM_HAS_DEVICE_ATTR, 1, KVM_VCPU_TSC_OFFSET, NULL));
	EXPECT_EQ(-ENXIO, attr(fd, KVM_GET_DEVICE_ATTR, 1, 0, &value));
	EXPECT_EQ(-ENXIO, attr(fd, KVM_SET_DEVICE_ATTR, 1, 0, &value));
	EXPECT_EQ(-EFAULT, get_offset(self->vcpu, NULL));
	EXPECT_EQ(-EFAULT, attr(fd, KVM_SET_DEVICE_ATTR, KVM_VCPU_TSC_CTRL, KVM_VCPU_TSC_OFFSET,
				NULL));
	EXPECT_EQ(-EFAULT, __vcpu_ioctl(self->vcpu, KVM_GET_DEVICE_ATTR, NULL));
}

TEST_F(attr, components_are_those_of_cpuid)
{
	struct kvm_cpuid2 *cpuid = cpuid_supported(self->vm->dev);
	struct kvm_cpuid_entry2 *e = cpuid_find(cpuid, 0xd, 0);
	u64 offered = e ? e->eax | (u64)e->edx << 32 : 0, value = 0;
	int dev = self->vm->dev;

	free(cpuid);
	REQUIRE(fd_ioctl(dev, KVM_CHECK_EXTENSION, KVM_CAP_SYS_ATTRIBUTES) > 0);
	EXPECT_EQ(0, attr(dev, KVM_HAS_DEVICE_ATTR, 0, KVM_X86_XCOMP_GUEST_SUPP, NULL));
	EXPECT_EQ(0, attr(dev, KVM_GET_DEVICE_ATTR, 0, KVM_X86_XCOMP_GUEST_SUPP, &value));
	EXPECT_EQ(offered, value & offered);
	EXPECT_EQ(-ENXIO, attr(dev, KVM_HAS_DEVICE_ATTR, 0, 1, NULL));
	EXPECT_EQ(-ENXIO, attr(dev, KVM_GET_DEVICE_ATTR, 1, KVM_X86_XCOMP_GUEST_SUPP, &value));
	EXPECT_EQ(-EFAULT, attr(dev, KVM_GET_DEVICE_ATTR, 0, KVM_X86_XCOMP_GUEST_SUPP, NULL));
	EXPECT_EQ(-EFAULT, __fd_ioctl(dev, KVM_HAS_DEVICE_ATTR, NULL));
}

/* --- which vCPU is the boot processor ------------------------------------- */

#define APIC_BASE_BSP	(1 << 8)

static bool is_boot_cpu(struct vcpu *vcpu)
{
	struct kvm_sregs sregs;

	vcpu_get_sregs(vcpu, &sregs);
	return sregs.apic_base & APIC_BASE_BSP;
}

TEST(boot_cpu)
{
	struct vm *vm = vm_create_bare();
	struct vcpu *a, *b;

	REQUIRE(vm_has(vm, KVM_CAP_SET_BOOT_CPU_ID));
	EXPECT_EQ(0, __vm_ioctl(vm, KVM_SET_BOOT_CPU_ID, 3));
	EXPECT_EQ(0, __vm_ioctl(vm, KVM_SET_BOOT_CPU_ID, 1));
	a = vcpu_create_bare(vm, 0);
	b = vcpu_create_bare(vm, 1);
	EXPECT_FALSE(is_boot_cpu(a));
	EXPECT_TRUE(is_boot_cpu(b));
	EXPECT_EQ(-EBUSY, __vm_ioctl(vm, KVM_SET_BOOT_CPU_ID, 0));
	vcpu_free(a);
	vcpu_free(b);
	vm_free(vm);
}

TEST_F(attr, the_first_is_the_boot_cpu_unless_it_is_said)
{
	EXPECT_TRUE(is_boot_cpu(self->vcpu));
	EXPECT_EQ(-EBUSY, __vm_ioctl(self->vm, KVM_SET_BOOT_CPU_ID, 0));
}

KEEL_TEST_MAIN
