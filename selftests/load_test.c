// SPDX-License-Identifier: GPL-2.0
/*
 * The module's coming and going: loaded and removed fifty times, refused
 * removal while in use, opened while it goes. KEEL_KO names the module's file.
 */
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include "kselftest_harness.h"
#include "keel_test.h"
#include "guest.h"

#define MODULE "keel"
#define TIMES 50

static const char *module_path(void)
{
	const char *path = getenv("KEEL_KO");

	return path && *path ? path : "/keel.ko";
}

static int load(void)
{
	int fd = open(module_path(), O_RDONLY | O_CLOEXEC), ret;

	if (fd < 0)
		return -errno;
	ret = syscall(SYS_finit_module, fd, "", 0) ? -errno : 0;
	close(fd);
	return ret;
}

static int unload(void)
{
	return syscall(SYS_delete_module, MODULE, O_NONBLOCK) ? -errno : 0;
}

static bool loaded(void)
{
	return !access("/sys/module/" MODULE, F_OK);
}

#define REQUIRE_MODULE() do {						\
	REQUIRE(dev_is_keel());						\
	REQUIRE(!access(module_path(), R_OK));				\
	REQUIRE(loaded());						\
} while (0)

/* The node appears and goes with the module; udev is nobody's here. */
static int open_device(void)
{
	int fd = open(dev_path(), O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static void guest_count(void)
{
	u64 i;

	for (i = 0;; i++)
		guest_sync(i);
}

static void run_a_guest(void)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_create(vm, 0, guest_count);

	CHECK(vcpu_sync(vcpu) == 0, "guest");
	CHECK(vcpu_sync(vcpu) == 1, "guest");
	vcpu_free(vcpu);
	vm_free(vm);
}

TEST(module_in_use_cannot_be_removed)
{
	struct vcpu *vcpu;
	struct vm *vm;
	int fd;

	REQUIRE_MODULE();
	fd = open_device();
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EWOULDBLOCK, unload());
	close(fd);
	vm = vm_create();
	vcpu = vcpu_create(vm, 0, guest_count);
	close(vm->dev);
	EXPECT_EQ(-EWOULDBLOCK, unload());
	close(vm->fd);
	EXPECT_EQ(0, vcpu_sync(vcpu));
	EXPECT_EQ(-EWOULDBLOCK, unload());
	close(vcpu->fd);
	/* Held by the mapping of its page until that is gone. */
	EXPECT_EQ(-EWOULDBLOCK, unload());
	munmap(vcpu->run, vm->run_size);
	EXPECT_EQ(0, unload());
	EXPECT_FALSE(loaded());
	EXPECT_GT(0, open_device());
	EXPECT_EQ(0, load());
	EXPECT_EQ(-EEXIST, load());
	run_a_guest();
}

static volatile int quit;

static void *open_and_close(void *arg)
{
	while (!quit) {
		int fd = open_device();

		if (fd >= 0)
			close(fd);
		sched_yield();
	}
	return NULL;
}

TEST(opened_while_it_goes)
{
	pthread_t thread;
	int i, err;

	REQUIRE_MODULE();
	ASSERT_EQ(0, pthread_create(&thread, NULL, open_and_close, NULL));
	for (i = 0; i < 10; i++) {
		while ((err = unload()) == -EWOULDBLOCK)
			sched_yield();
		ASSERT_EQ(0, err);
		ASSERT_EQ(0, load());
	}
	quit = 1;
	pthread_join(thread, NULL);
	run_a_guest();
}

FIXTURE(load) {
};

FIXTURE_SETUP(load)
{
}

FIXTURE_TEARDOWN(load)
{
}

TEST_F_TIMEOUT(load, fifty_times, 120)
{
	int i;

	REQUIRE_MODULE();
	for (i = 0; i < TIMES; i++) {
		ASSERT_EQ(0, unload());
		ASSERT_EQ(0, load());
		if (i % 20 == 0)
			run_a_guest();
	}
	run_a_guest();
}

KEEL_TEST_MAIN
