// SPDX-License-Identifier: GPL-2.0
/*
 * The machine is suspended to memory under VMs and resumes: guests go on, and
 * neither their counters nor their clocks are set back, although the host's
 * counter may start again from zero. Not part of the suite: it needs root and a
 * machine that resumes by itself, as the emulated PC does.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <x86intrin.h>
#include "kselftest_harness.h"
#include "keel_test.h"
#include "guest.h"

#define MSR_TSC			0x10
#define MSR_SYSTEM_TIME_NEW	0x4b564d01
#define SECOND			1000000000UL
#define CPUS			2

struct page {
	u32 version;
	u32 pad;
	u64 tsc;
	u64 time;
	u32 mul;
	int8_t shift;
	u8 flags;
	u8 pad2[2];
};

static void put(const char *path, const char *word)
{
	int fd = open(path, O_WRONLY);

	CHECK(fd >= 0, "%s: %s", path, strerror(errno));
	CHECK(write(fd, word, strlen(word)) > 0, "%s: %s", path, strerror(errno));
	close(fd);
}

static void suspend(void)
{
	put("/sys/power/mem_sleep", "deep");
	put("/sys/power/state", "mem");
}

static u64 guest_tsc(void)
{
	u32 lo, hi;

	asm volatile("lfence; rdtsc" : "=a"(lo), "=d"(hi) : : "memory");
	return (u64)hi << 32 | lo;
}

/* (counter, time) at every call */
static void guest_clock(void)
{
	volatile struct page *p = (void *)DATA_GPA;
	u64 tsc, ticks;

	for (;;) {
		tsc = guest_tsc();
		ticks = tsc - p->tsc;
		ticks = p->shift < 0 ? ticks >> -p->shift : ticks << p->shift;
		/* (ticks * mul) >> 32 with a product of 96 bits */
		ticks = (ticks >> 32) * p->mul + ((ticks & ~0u) * p->mul >> 32);
		guest_sync3(tsc, p->time + ticks, 0);
	}
}

static u64 spins[CPUS];

static void guest_spin0(void)
{
	for (;;)
		*(volatile u64 *)&spins[0] += 1;
}

static void guest_spin1(void)
{
	for (;;)
		*(volatile u64 *)&spins[1] += 1;
}

FIXTURE(suspend) {
	struct vm *vm;
	struct vcpu *vcpu;
};

FIXTURE_SETUP(suspend)
{
	self->vm = vm_create();
	self->vcpu = vcpu_create(self->vm, 0, guest_clock);
}

FIXTURE_TEARDOWN(suspend)
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

static u64 tsc_offset(struct vcpu *vcpu)
{
	u64 offset;
	struct kvm_device_attr attr = {
		.group = KVM_VCPU_TSC_CTRL, .attr = KVM_VCPU_TSC_OFFSET,
		.addr = (unsigned long)&offset,
	};

	vcpu_ioctl(vcpu, KVM_GET_DEVICE_ATTR, &attr);
	return offset;
}

static u64 read_tsc(struct vcpu *vcpu)
{
	u64 val;

	CHECK(__vcpu_get_msr(vcpu, MSR_TSC, &val) == 1, "no counter");
	return val;
}

TEST_F(suspend, counters_go_on)
{
	u64 tsc, time, clock, host;

	CHECK(__vcpu_set_msr(self->vcpu, MSR_SYSTEM_TIME_NEW, DATA_GPA | 1) == 1, "no clock");
	/* So that the host's counter, which begins anew, stays behind. */
	usleep(1000000);
	host = __rdtsc();
	tsc = vcpu_sync(self->vcpu);
	time = self->vcpu->arg[1];
	clock = clock_now(self->vm);
	suspend();
	TH_LOG("the host's counter was %llu and is %llu", (unsigned long long)host, __rdtsc());
	EXPECT_LT(tsc, vcpu_sync(self->vcpu));
	EXPECT_LT(time, self->vcpu->arg[1]);
	EXPECT_GT(time + 60 * SECOND, self->vcpu->arg[1]);
	EXPECT_LT(clock, clock_now(self->vm));
	EXPECT_GT(clock + 60 * SECOND, clock_now(self->vm));
	/* Set anew, it stands in the same relation to the counter. */
	time = self->vcpu->arg[1];
	CHECK(__vcpu_set_msr(self->vcpu, MSR_SYSTEM_TIME_NEW, DATA_GPA | 1) == 1, "no clock");
	vcpu_sync(self->vcpu);
	EXPECT_LT(time, self->vcpu->arg[1]);
	EXPECT_GT(time + 10 * SECOND, self->vcpu->arg[1]);
}

/* What userspace reckons from RDTSC of its own is the guest's counter. */
TEST_F(suspend, offset_is_that_of_the_counter_there_is)
{
	u64 before, guest, after;

	suspend();
	before = __rdtsc() + tsc_offset(self->vcpu);
	guest = vcpu_sync(self->vcpu);
	after = __rdtsc() + tsc_offset(self->vcpu);
	EXPECT_LE(before, guest);
	EXPECT_GE(after, guest);
}

/* A value that is written on both sides of the suspension still joins two vCPUs. */
TEST_F(suspend, vcpus_are_joined_across_it)
{
	struct vcpu *other = vcpu_create(self->vm, 1, guest_clock);

	CHECK(__vcpu_set_msr(self->vcpu, MSR_TSC, 1000 * SECOND) == 1, "no counter");
	suspend();
	CHECK(__vcpu_set_msr(other, MSR_TSC, read_tsc(self->vcpu)) == 1, "no counter");
	EXPECT_EQ(tsc_offset(self->vcpu), tsc_offset(other));
	vcpu_free(other);
}

static void pin(pthread_t thread, int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	CHECK(!pthread_setaffinity_np(thread, sizeof(set), &set), "cpu %d", cpu);
}

static void on_kick(int sig)
{
}

/* Freezing the thread ends KVM_RUN, which the kernel starts again by itself or not at all. */
static void *run_on(void *vcpu)
{
	int err;

	do {
		err = __vcpu_run(vcpu);
	} while (err == -EINTR && !((struct vcpu *)vcpu)->run->immediate_exit);
	CHECK(err == -EINTR, "run: %d", err);
	return NULL;
}

/* The guest's count leaves @seen, sooner or later: a slow kernel takes its time to resume. */
static bool goes_on(const volatile u64 *count, u64 seen)
{
	int i;

	for (i = 0; i < 100 && *count == seen; i++)
		usleep(100000);
	return *count != seen;
}

TEST_F(suspend, guests_run_on_all_cpus)
{
	void (*const code[CPUS])(void) = { guest_spin0, guest_spin1 };
	struct vcpu *vcpu[CPUS];
	pthread_t thread[CPUS];
	u64 seen[CPUS];
	int i;

	signal(SIGUSR1, on_kick);
	for (i = 0; i < CPUS; i++) {
		vcpu[i] = vcpu_create(self->vm, 1 + i, code[i]);
		pthread_create(&thread[i], NULL, run_on, vcpu[i]);
		pin(thread[i], i);
	}
	usleep(100000);
	suspend();
	usleep(100000);
	for (i = 0; i < CPUS; i++)
		seen[i] = GUEST_VAR(self->vm, spins[i]);
	for (i = 0; i < CPUS; i++) {
		EXPECT_LT(0, seen[i]);
		EXPECT_TRUE(goes_on(&GUEST_VAR(self->vm, spins[i]), seen[i]));
		vcpu[i]->run->immediate_exit = 1;
		pthread_kill(thread[i], SIGUSR1);
		pthread_join(thread[i], NULL);
		vcpu_free(vcpu[i]);
	}
}

KEEL_TEST_MAIN
