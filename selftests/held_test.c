// SPDX-License-Identifier: GPL-2.0
/*
 * Races that a test build of the module holds open, but for those of memory
 * updates, which are protocol_test's. With a release build all is skipped.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <time.h>
#include "kselftest_harness.h"
#include "keel_test.h"
#include "control.h"
#include "guest.h"

#define HOLD_MS			200
#define MSR_SYSTEM_TIME_NEW	0x4b564d01

#define REQUIRE_CONTROL()						\
	do {								\
		if (!has_control(self->vm))				\
			SKIP(return, "not a test build of the module");	\
	} while (0)

static void guest_count(void)
{
	u64 i;

	for (i = 0;; i++)
		guest_sync(i);
}

FIXTURE(held) {
	struct vm *vm;
};

FIXTURE_SETUP(held)
{
	self->vm = vm_create();
}

FIXTURE_TEARDOWN(held)
{
	vm_free(self->vm);
}

static u64 now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* --- a vCPU that gets no file ---------------------------------------------- */

struct creation {
	struct vm *vm;
	int id;
	int result;
	u64 end;
	pthread_t thread;
};

/* A table of descriptors of its own that is full, so that the others can go on. */
static void *create_without_fd(void *arg)
{
	struct creation *c = arg;

	CHECK(!unshare(CLONE_FILES), "unshare: %s", strerror(errno));
	while (dup(0) >= 0)
		;
	c->result = __vm_ioctl(c->vm, KVM_CREATE_VCPU, c->id);
	c->end = now_ms();
	return NULL;
}

/* Begin to create a vCPU in vain, and be held while others can find it. */
static void begin_creation(struct creation *c)
{
	struct rlimit few = { 64, 64 };

	CHECK(!setrlimit(RLIMIT_NOFILE, &few), "setrlimit");
	set_delay(c->vm, "vcpu_listed", HOLD_MS);
	CHECK(!pthread_create(&c->thread, NULL, create_without_fd, c), "no thread");
	wait_until_held(c->vm, "vcpu_listed");
	/* Far longer than the creation lasts by itself. */
	set_delay(c->vm, "vcpu_found", 10 * HOLD_MS);
}

/* Whoever found the vCPU was held from @start to @end: it must have lived as long. */
static void end_creation(struct __test_metadata *_metadata, struct creation *c, u64 start, u64 end)
{
	pthread_join(c->thread, NULL);
	EXPECT_EQ(-EMFILE, c->result);
	EXPECT_EQ(0, get_delay(c->vm, "vcpu_found"));
	EXPECT_LE(HOLD_MS, end - start);
	EXPECT_LE(end, c->end + (end - start) / 4);
}

TEST_F(held, vcpu_without_a_file_stays_while_counters_are_added_up)
{
	struct creation c = { .vm = self->vm };
	u64 sum = 1, start;

	REQUIRE_CONTROL();
	begin_creation(&c);
	start = now_ms();
	EXPECT_TRUE(debugfs_counter(self->vm, "exits", &sum));
	end_creation(_metadata, &c, start, now_ms());
	EXPECT_EQ(0, sum);
}

TEST_F(held, vcpu_without_a_file_stays_while_a_clock_is_compared)
{
	struct creation c = { .vm = self->vm, .id = 1 };
	struct vcpu *vcpu;
	u64 start;

	REQUIRE_CONTROL();
	vcpu = vcpu_create(self->vm, 0, guest_count);
	REQUIRE(__vcpu_set_msr(vcpu, MSR_SYSTEM_TIME_NEW, DATA_GPA | 1) == 1);
	vcpu_sync(vcpu);
	begin_creation(&c);
	vcpu_ioctl(vcpu, KVM_KVMCLOCK_CTRL, 0);
	start = now_ms();
	vcpu_sync(vcpu);
	end_creation(_metadata, &c, start, now_ms());
	vcpu_free(vcpu);
}

KEEL_TEST_MAIN
