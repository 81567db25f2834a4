// SPDX-License-Identifier: GPL-2.0
/*
 * The paravirtual clock from both sides: KVM_GET_CLOCK and KVM_SET_CLOCK, the
 * page that tells it to the guest, the time of boot, and what a guest learns
 * that was stopped. The counter underneath has its own tests.
 */
#include <time.h>
#include "kselftest_harness.h"
#include "keel_test.h"
#include "guest.h"

#define MSR_TSC			0x10
#define MSR_WALL_CLOCK		0x11
#define MSR_SYSTEM_TIME		0x12
#define MSR_WALL_CLOCK_NEW	0x4b564d00
#define MSR_SYSTEM_TIME_NEW	0x4b564d01

#define SECOND			1000000000UL
#define STABLE			1	/* flags of the page */
#define STOPPED			2

struct page {
	uint32_t version;
	uint32_t pad;
	uint64_t tsc;
	uint64_t time;
	uint32_t mul;
	int8_t shift;
	uint8_t flags;
	uint8_t pad2[2];
};

struct wall {
	uint32_t version, sec, nsec;
};

#define PAGE_AT(id)	(DATA_GPA + 0x1000 * (id))
#define WALL_AT		(DATA_GPA + 0x8000)

static uint64_t guest_page;

static uint64_t guest_time(volatile struct page *p)
{
	uint64_t time, ticks;
	uint32_t version, lo, hi;

	do {
		version = p->version;
		asm volatile("lfence; rdtsc" : "=a"(lo), "=d"(hi) : : "memory");
		ticks = ((uint64_t)hi << 32 | lo) - p->tsc;
		ticks = p->shift < 0 ? ticks >> -p->shift : ticks << p->shift;
		/* (ticks * mul) >> 32 with a product of 96 bits */
		time = p->time + (ticks >> 32) * p->mul + ((ticks & ~0u) * p->mul >> 32);
		asm volatile("" : : : "memory");
	} while ((version & 1) || version != p->version);
	return time;
}

/* (time, flags) at every call; the vCPU's id is in its stack pointer. */
static void guest_clock(void)
{
	volatile struct page *p;
	uint64_t sp;

	asm volatile("mov %%rsp, %0" : "=r"(sp));
	p = (void *)(guest_page + 0x1000 * ((sp - STACKS_GPA) / STACK_SIZE));
	for (;;)
		guest_sync3(guest_time(p), p->flags, p->version);
}

FIXTURE(clock) {
	struct vm *vm;
	struct vcpu *vcpu;
};

FIXTURE_SETUP(clock)
{
	self->vm = vm_create();
	self->vcpu = vcpu_create(self->vm, 0, guest_clock);
	GUEST_VAR(self->vm, guest_page) = DATA_GPA;
}

FIXTURE_TEARDOWN(clock)
{
	vcpu_free(self->vcpu);
	vm_free(self->vm);
}

static u64 clock_now(struct vm *vm)
{
	struct kvm_clock_data data;

	vm_ioctl(vm, KVM_GET_CLOCK, &data);
	return data.clock;
}

static bool offered(struct vm *vm)
{
	struct kvm_cpuid2 *cpuid = cpuid_supported(vm->dev);
	struct kvm_cpuid_entry2 *e = cpuid_find(cpuid, 0x40000001, 0);
	bool clock = e && e->eax & 1 << 3;

	free(cpuid);
	return clock;
}

static struct page *use_page(struct vcpu *vcpu)
{
	CHECK(__vcpu_set_msr(vcpu, MSR_SYSTEM_TIME_NEW, PAGE_AT(vcpu->id) | 1) == 1, "no clock");
	return vm_hva(vcpu->vm, PAGE_AT(vcpu->id));
}

TEST_F(clock, goes_on_from_what_is_set)
{
	struct kvm_clock_data data = { .clock = 1234 * SECOND };
	u64 first = clock_now(self->vm), now;

	usleep(1000);
	now = clock_now(self->vm);
	EXPECT_LT(first, now);
	EXPECT_GT(60 * SECOND, now);
	vm_ioctl(self->vm, KVM_SET_CLOCK, &data);
	now = clock_now(self->vm);
	EXPECT_LE(1234 * SECOND, now);
	EXPECT_GT(1244 * SECOND, now);
	data.clock = 0;
	vm_ioctl(self->vm, KVM_SET_CLOCK, &data);
	EXPECT_GT(10 * SECOND, clock_now(self->vm));
}

TEST_F(clock, time_of_day_is_made_up_for)
{
	struct kvm_clock_data data;
	u64 before;

	REQUIRE(vm_ioctl(self->vm, KVM_CHECK_EXTENSION, KVM_CAP_ADJUST_CLOCK) & KVM_CLOCK_REALTIME);
	vm_ioctl(self->vm, KVM_GET_CLOCK, &data);
	REQUIRE(data.flags & KVM_CLOCK_REALTIME);
	EXPECT_LE(time(NULL) - 2, data.realtime / SECOND);
	EXPECT_GE(time(NULL) + 2, data.realtime / SECOND);
	before = data.clock;
	data.flags = KVM_CLOCK_REALTIME;
	data.realtime -= 500 * SECOND;
	vm_ioctl(self->vm, KVM_SET_CLOCK, &data);
	EXPECT_LE(before + 500 * SECOND, clock_now(self->vm));
	EXPECT_GT(before + 510 * SECOND, clock_now(self->vm));
	/* A time of day that is still to come is not waited for. */
	before = clock_now(self->vm);
	data.clock = before;
	data.realtime += 1000 * SECOND;
	vm_ioctl(self->vm, KVM_SET_CLOCK, &data);
	EXPECT_GT(before + 10 * SECOND, clock_now(self->vm));
}

TEST_F(clock, unknown_flags_are_einval)
{
	struct kvm_clock_data data = { .flags = 1 };

	EXPECT_EQ(-EINVAL, __vm_ioctl(self->vm, KVM_SET_CLOCK, &data));
	data.flags = 1u << 31;
	EXPECT_EQ(-EINVAL, __vm_ioctl(self->vm, KVM_SET_CLOCK, &data));
	EXPECT_EQ(-EFAULT, __vm_ioctl(self->vm, KVM_SET_CLOCK, NULL));
	EXPECT_EQ(-EFAULT, __vm_ioctl(self->vm, KVM_GET_CLOCK, NULL));
}

TEST_F(clock, guest_and_userspace_agree)
{
	struct page *page;
	u64 before, after, time;
	int i;

	REQUIRE(offered(self->vm));
	page = use_page(self->vcpu);
	for (i = 0; i < 20; i++) {
		before = clock_now(self->vm);
		time = vcpu_sync(self->vcpu);
		after = clock_now(self->vm);
		/* The two round differently. */
		EXPECT_LE(before, time + 1000);
		EXPECT_GE(after + 1000, time);
	}
	EXPECT_EQ(0, page->version & 1);
	EXPECT_NE(0, page->version);
}

TEST_F(clock, guest_sees_what_is_set)
{
	struct kvm_clock_data data = { .clock = 5000 * SECOND };
	u64 version, time;

	REQUIRE(offered(self->vm));
	use_page(self->vcpu);
	EXPECT_GT(1000 * SECOND, vcpu_sync(self->vcpu));
	version = self->vcpu->arg[2];
	vm_ioctl(self->vm, KVM_SET_CLOCK, &data);
	time = vcpu_sync(self->vcpu);
	EXPECT_LE(5000 * SECOND, time);
	EXPECT_GT(5010 * SECOND, time);
	EXPECT_LT(version, self->vcpu->arg[2]);
	EXPECT_EQ(0, self->vcpu->arg[2] & 1);
}

/* The guest's counter jumps; its clock does not. */
TEST_F(clock, does_not_follow_the_counter)
{
	u64 before, time;

	REQUIRE(offered(self->vm));
	use_page(self->vcpu);
	before = vcpu_sync(self->vcpu);
	ASSERT_EQ(1, __vcpu_set_msr(self->vcpu, MSR_TSC, 1UL << 50));
	time = vcpu_sync(self->vcpu);
	EXPECT_LE(before, time + 1000);
	EXPECT_GT(before + 10 * SECOND, time);
	EXPECT_LE(before, clock_now(self->vm) + 1000);
}

TEST_F(clock, stable_only_while_counters_agree)
{
	struct kvm_clock_data data;
	struct vcpu *other;

	vm_ioctl(self->vm, KVM_GET_CLOCK, &data);
	REQUIRE(offered(self->vm));
	REQUIRE(data.flags & KVM_CLOCK_TSC_STABLE);
	other = vcpu_create(self->vm, 1, guest_clock);
	use_page(self->vcpu);
	use_page(other);
	vcpu_sync(self->vcpu);
	EXPECT_EQ(STABLE, self->vcpu->arg[1] & STABLE);
	vcpu_sync(other);
	EXPECT_EQ(STABLE, other->arg[1] & STABLE);
	EXPECT_EQ(1, __vcpu_set_msr(other, MSR_TSC, 1UL << 50));
	vcpu_sync(self->vcpu);
	EXPECT_EQ(0, self->vcpu->arg[1] & STABLE);
	vcpu_sync(other);
	EXPECT_EQ(0, other->arg[1] & STABLE);
	vcpu_free(other);
}

TEST_F(clock, a_stopped_guest_is_told_once)
{
	struct page *page;

	REQUIRE(offered(self->vm));
	REQUIRE(vm_has(self->vm, KVM_CAP_KVMCLOCK_CTRL));
	EXPECT_EQ(-EINVAL, __vcpu_ioctl(self->vcpu, KVM_KVMCLOCK_CTRL, 0));
	page = use_page(self->vcpu);
	vcpu_sync(self->vcpu);
	EXPECT_EQ(0, self->vcpu->arg[1] & STOPPED);
	EXPECT_EQ(0, __vcpu_ioctl(self->vcpu, KVM_KVMCLOCK_CTRL, 0));
	vcpu_sync(self->vcpu);
	EXPECT_EQ(STOPPED, self->vcpu->arg[1] & STOPPED);
	/* It stays until the guest has taken notice, whatever else changes. */
	EXPECT_EQ(1, __vcpu_set_msr(self->vcpu, MSR_TSC, 1UL << 50));
	vcpu_sync(self->vcpu);
	EXPECT_EQ(STOPPED, self->vcpu->arg[1] & STOPPED);
	page->flags &= ~STOPPED;
	EXPECT_EQ(1, __vcpu_set_msr(self->vcpu, MSR_TSC, 1UL << 51));
	vcpu_sync(self->vcpu);
	EXPECT_EQ(0, self->vcpu->arg[1] & STOPPED);
	EXPECT_EQ(1, __vcpu_set_msr(self->vcpu, MSR_SYSTEM_TIME_NEW, 0));
	EXPECT_EQ(-EINVAL, __vcpu_ioctl(self->vcpu, KVM_KVMCLOCK_CTRL, 0));
}

TEST_F(clock, time_of_boot)
{
	struct wall *wall = vm_hva(self->vm, WALL_AT);
	static const u32 index[] = { MSR_WALL_CLOCK, MSR_WALL_CLOCK_NEW };
	struct kvm_clock_data data = { .clock = 100 * SECOND };
	int i;

	REQUIRE(offered(self->vm));
	vm_ioctl(self->vm, KVM_SET_CLOCK, &data);
	for (i = 0; i < ARRAY_SIZE(index); i++) {
		u64 value, boot = time(NULL) - 100;

		memset(wall, 0, sizeof(*wall));
		EXPECT_EQ(1, __vcpu_set_msr(self->vcpu, index[i], WALL_AT));
		EXPECT_LE(boot - 5, wall->sec);
		EXPECT_GE(boot + 5, wall->sec);
		EXPECT_GT(SECOND, wall->nsec);
		EXPECT_EQ(0, wall->version & 1);
		EXPECT_EQ(1, __vcpu_get_msr(self->vcpu, index[i], &value));
		EXPECT_EQ(WALL_AT, value);
	}
}

/* Two numbers, one register. */
TEST_F(clock, registers_keep_what_is_written)
{
	u64 value;

	REQUIRE(offered(self->vm));
	EXPECT_EQ(1, __vcpu_set_msr(self->vcpu, MSR_SYSTEM_TIME_NEW, PAGE_AT(2) | 1));
	EXPECT_EQ(1, __vcpu_get_msr(self->vcpu, MSR_SYSTEM_TIME, &value));
	EXPECT_EQ(PAGE_AT(2) | 1, value);
	EXPECT_EQ(1, __vcpu_set_msr(self->vcpu, MSR_SYSTEM_TIME, PAGE_AT(3)));
	EXPECT_EQ(1, __vcpu_get_msr(self->vcpu, MSR_SYSTEM_TIME_NEW, &value));
	EXPECT_EQ(PAGE_AT(3), value);
}

TEST_F(clock, a_page_that_is_no_memory_does_no_harm)
{
	REQUIRE(offered(self->vm));
	use_page(self->vcpu);
	vcpu_sync(self->vcpu);
	EXPECT_EQ(1, __vcpu_set_msr(self->vcpu, MSR_SYSTEM_TIME_NEW, MMIO_GPA | 1));
	vcpu_sync(self->vcpu);
	EXPECT_EQ(1, __vcpu_set_msr(self->vcpu, MSR_SYSTEM_TIME_NEW, ~0UL));
	vcpu_sync(self->vcpu);
	__vcpu_set_msr(self->vcpu, MSR_WALL_CLOCK_NEW, MMIO_GPA);
	vcpu_sync(self->vcpu);
}

/* Without the page the guest never sees it change. */
TEST_F(clock, not_told_when_switched_off)
{
	struct kvm_clock_data data = { .clock = 5000 * SECOND };
	struct page *page, copy;

	REQUIRE(offered(self->vm));
	page = use_page(self->vcpu);
	vcpu_sync(self->vcpu);
	EXPECT_EQ(1, __vcpu_set_msr(self->vcpu, MSR_SYSTEM_TIME_NEW, PAGE_AT(0)));
	copy = *page;
	vm_ioctl(self->vm, KVM_SET_CLOCK, &data);
	vcpu_sync(self->vcpu);
	EXPECT_EQ(0, memcmp(&copy, page, sizeof(copy)));
}

static int enable(struct vcpu *vcpu, u32 cap, u32 flags, u64 arg)
{
	struct kvm_enable_cap e = { .cap = cap, .flags = flags, .args = { arg } };

	return __vcpu_ioctl(vcpu, KVM_ENABLE_CAP, &e);
}

TEST_F(clock, a_vcpu_enables_what_is_its_own)
{
	REQUIRE(vm_has(self->vm, KVM_CAP_ENABLE_CAP));
	EXPECT_EQ(1, vm_has(self->vm, KVM_CAP_ENFORCE_PV_FEATURE_CPUID));
	EXPECT_EQ(0, enable(self->vcpu, KVM_CAP_ENFORCE_PV_FEATURE_CPUID, 0, 0));
	EXPECT_EQ(-EINVAL, enable(self->vcpu, KVM_CAP_ENFORCE_PV_FEATURE_CPUID, 1, 1));
	EXPECT_EQ(-EINVAL, enable(self->vcpu, KVM_CAP_USER_MEMORY, 0, 0));
	EXPECT_EQ(-EINVAL, enable(self->vcpu, KVM_CAP_EXCEPTION_PAYLOAD, 0, 1));
	EXPECT_EQ(-EFAULT, __vcpu_ioctl(self->vcpu, KVM_ENABLE_CAP, NULL));
}

/* A guest that finds the register anyway, though CPUID does not name it. */
static void guest_try_clock(void)
{
	uint64_t value = 0;

	for (;;) {
		guest_sync3(guest_rdmsr(MSR_SYSTEM_TIME, &value), value, 0);
		guest_sync(guest_wrmsr(MSR_SYSTEM_TIME, DATA_GPA + 0x5000));
		guest_sync(guest_rdmsr(MSR_SYSTEM_TIME_NEW, &value));
	}
}

static void offer(struct vcpu *vcpu, u32 features)
{
	struct kvm_cpuid2 *cpuid = cpuid_supported(vcpu->vm->dev);

	cpuid_find(cpuid, 0x40000001, 0)->eax = features;
	vcpu_ioctl(vcpu, KVM_SET_CPUID2, cpuid);
	free(cpuid);
}

#define CLOCKSOURCE	(1u << 0)	/* the old registers */
#define CLOCKSOURCE2	(1u << 3)	/* the new ones */

TEST_F(clock, registers_are_there_whatever_cpuid_says)
{
	vcpu_set_long(self->vcpu, guest_try_clock);
	offer(self->vcpu, 0);
	EXPECT_EQ(0, vcpu_sync(self->vcpu));
	EXPECT_EQ(0, vcpu_sync(self->vcpu));
	EXPECT_EQ(0, vcpu_sync(self->vcpu));
}

TEST_F(clock, registers_that_cpuid_does_not_name_can_be_gp)
{
	u64 value;

	REQUIRE(vm_has(self->vm, KVM_CAP_ENFORCE_PV_FEATURE_CPUID));
	vcpu_set_long(self->vcpu, guest_try_clock);
	ASSERT_EQ(0, enable(self->vcpu, KVM_CAP_ENFORCE_PV_FEATURE_CPUID, 0, 1));
	offer(self->vcpu, CLOCKSOURCE2);
	EXPECT_EQ(GUEST_GP, vcpu_sync(self->vcpu));
	EXPECT_EQ(GUEST_GP, vcpu_sync(self->vcpu));
	EXPECT_EQ(0, vcpu_sync(self->vcpu));
	EXPECT_EQ(0, __vcpu_get_msr(self->vcpu, MSR_SYSTEM_TIME, &value));
	EXPECT_EQ(0, __vcpu_set_msr(self->vcpu, MSR_WALL_CLOCK, WALL_AT));
	EXPECT_EQ(1, __vcpu_get_msr(self->vcpu, MSR_SYSTEM_TIME_NEW, &value));
	/* It can be taken back at any time. */
	ASSERT_EQ(0, enable(self->vcpu, KVM_CAP_ENFORCE_PV_FEATURE_CPUID, 0, 0));
	EXPECT_EQ(0, vcpu_sync(self->vcpu));
	EXPECT_EQ(0, vcpu_sync(self->vcpu));
}

TEST_F(clock, old_and_new_registers_are_two_features)
{
	REQUIRE(vm_has(self->vm, KVM_CAP_ENFORCE_PV_FEATURE_CPUID));
	vcpu_set_long(self->vcpu, guest_try_clock);
	offer(self->vcpu, CLOCKSOURCE);
	ASSERT_EQ(0, enable(self->vcpu, KVM_CAP_ENFORCE_PV_FEATURE_CPUID, 0, 1));
	EXPECT_EQ(0, vcpu_sync(self->vcpu));
	EXPECT_EQ(0, vcpu_sync(self->vcpu));
	EXPECT_EQ(GUEST_GP, vcpu_sync(self->vcpu));
}

KEEL_TEST_MAIN
