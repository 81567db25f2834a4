// SPDX-License-Identifier: GPL-2.0
/*
 * Processors of the host that go away and come back while VMs exist and run.
 * Needs root and a second CPU that can be taken offline.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include "kselftest_harness.h"
#include "keel_test.h"
#include "guest.h"

#define ONLINE "/sys/devices/system/cpu/cpu1/online"

static volatile u64 spins;

static void guest_spin(void)
{
	for (;;)
		spins++;
}

static void guest_count(void)
{
	u64 i;

	for (i = 0;; i++)
		guest_sync(i);
}

static bool set_online(bool on)
{
	int fd = open(ONLINE, O_WRONLY);
	bool ok = fd >= 0 && write(fd, on ? "1" : "0", 1) == 1;

	if (fd >= 0)
		close(fd);
	return ok;
}

static bool can_unplug(void)
{
	return !access(ONLINE, W_OK);
}

FIXTURE(hotplug) {
	struct vm *vm;
	struct vcpu *vcpu;
};

FIXTURE_SETUP(hotplug)
{
	/* A case is skipped by itself: the framework runs it after any setup. */
	if (!can_unplug())
		return;
	self->vm = vm_create();
	self->vcpu = vcpu_create(self->vm, 0, guest_count);
}

FIXTURE_TEARDOWN(hotplug)
{
	set_online(true);
}

static void pin(pthread_t thread, int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	CHECK(!pthread_setaffinity_np(thread, sizeof(set), &set), "cpu %d", cpu);
}

static void *run_vcpu(void *vcpu)
{
	CHECK(__vcpu_run(vcpu) == -EINTR, "run");
	return NULL;
}

static void on_signal(int sig)
{
}

static void wait_for_spins(struct vm *vm)
{
	volatile u64 *n = &GUEST_VAR(vm, spins);
	u64 before = *n;

	while (*n == before)
		sched_yield();
}

TEST_F(hotplug, idle_vcpu_of_a_lost_cpu)
{
	cpu_set_t all;
	int i;

	REQUIRE(can_unplug());
	sched_getaffinity(0, sizeof(all), &all);
	for (i = 0; i < 3; i++) {
		/* Its state was last loaded on CPU 1. */
		pin(pthread_self(), 1);
		EXPECT_EQ(3 * i, vcpu_sync(self->vcpu));
		sched_setaffinity(0, sizeof(all), &all);
		ASSERT_TRUE(set_online(false));
		EXPECT_EQ(3 * i + 1, vcpu_sync(self->vcpu));
		ASSERT_TRUE(set_online(true));
		pin(pthread_self(), 1);
		EXPECT_EQ(3 * i + 2, vcpu_sync(self->vcpu));
	}
}

TEST_F(hotplug, running_vcpu_of_a_lost_cpu)
{
	struct sigaction sa = { .sa_handler = on_signal };
	pthread_t thread;
	int i;

	REQUIRE(can_unplug());
	ASSERT_EQ(0, sigaction(SIGUSR1, &sa, NULL));
	vcpu_set_long(self->vcpu, guest_spin);
	ASSERT_EQ(0, pthread_create(&thread, NULL, run_vcpu, self->vcpu));
	for (i = 0; i < 3; i++) {
		pin(thread, 1);
		wait_for_spins(self->vm);
		ASSERT_TRUE(set_online(false));
		wait_for_spins(self->vm);
		ASSERT_TRUE(set_online(true));
		wait_for_spins(self->vm);
	}
	ASSERT_EQ(0, pthread_kill(thread, SIGUSR1));
	ASSERT_EQ(0, pthread_join(thread, NULL));
}

TEST_F(hotplug, first_vm_while_a_cpu_is_away)
{
	struct vcpu *vcpu;
	struct vm *vm;
	cpu_set_t all;

	REQUIRE(can_unplug());
	sched_getaffinity(0, sizeof(all), &all);
	vcpu_free(self->vcpu);
	vm_free(self->vm);
	ASSERT_TRUE(set_online(false));
	vm = vm_create();
	vcpu = vcpu_create(vm, 0, guest_count);
	EXPECT_EQ(0, vcpu_sync(vcpu));
	/* A CPU that comes while VMs exist must be made ready for them. */
	ASSERT_TRUE(set_online(true));
	pin(pthread_self(), 1);
	EXPECT_EQ(1, vcpu_sync(vcpu));
	sched_setaffinity(0, sizeof(all), &all);
	/* And one that goes with the last VM is not missed. */
	ASSERT_TRUE(set_online(false));
	vcpu_free(vcpu);
	vm_free(vm);
	ASSERT_TRUE(set_online(true));
	vm = vm_create();
	vcpu = vcpu_create(vm, 0, guest_count);
	pin(pthread_self(), 1);
	EXPECT_EQ(0, vcpu_sync(vcpu));
}

KEEL_TEST_MAIN
