// SPDX-License-Identifier: GPL-2.0
/*
 * Changes of what takes a guest's writes - doorbells and coalesced zones - beside
 * vCPUs that run, ring or sleep: a change waits for none of them, and what has
 * been taken away takes nothing more. Which writes they take is in doorbell_test
 * and coalesced_test.
 */
#include <sched.h>
#include <sys/eventfd.h>
#include "kselftest_harness.h"
#include "control.h"
#include "guest.h"
#include "order.h"

#define BELL		(MMIO_GPA + 0x100)
#define ZONE		(MMIO_GPA + 0x800)
#define MANY		(MMIO_GPA + PAGE)	/* thousands, 16 bytes apart */
#define MISSING		0x20000000UL		/* shows memory that is missing */
#define THOUSANDS	4000
#define HOLD_MS		300

FIXTURE(takers) {
	struct vm *vm;
	struct run run[2];
	int fd, other;
};

typedef FIXTURE_DATA(takers) fixture_t;

FIXTURE_SETUP(takers)
{
	int i;

	if (!test_is_wanted(_metadata->name))
		SKIP(longjmp(_metadata->env, 1), "not asked for");
	self->vm = vm_create();
	for (i = 0; i < 2; i++) {
		run_create(&self->run[i], self->vm, i);
		run_write(&self->run[i], MMIO_GPA);
	}
	self->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	self->other = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
}

FIXTURE_TEARDOWN(takers)
{
	int i;

	for (i = 0; i < 2; i++)
		vcpu_free(self->run[i].vcpu);
	vm_free(self->vm);
	close(self->fd);
	close(self->other);
}

static void bell(fixture_t *self, int fd, u64 addr, u32 len, bool there)
{
	struct kvm_ioeventfd e = {
		.fd = fd, .addr = addr, .len = len,
		.flags = there ? 0 : KVM_IOEVENTFD_FLAG_DEASSIGN,
	};

	vm_ioctl(self->vm, KVM_IOEVENTFD, &e);
}

static void zone(fixture_t *self, u64 addr, bool there)
{
	struct kvm_coalesced_mmio_zone z = { .addr = addr, .size = 16 };

	if (there)
		vm_ioctl(self->vm, KVM_REGISTER_COALESCED_MMIO, &z);
	else
		vm_ioctl(self->vm, KVM_UNREGISTER_COALESCED_MMIO, &z);
}

static u64 rung(int fd)
{
	u64 n = 0;

	return read(fd, &n, sizeof(n)) == sizeof(n) ? n : 0;
}

static struct kvm_coalesced_mmio_ring *ring_of(struct vcpu *vcpu)
{
	return (void *)vcpu->run + vm_ioctl(vcpu->vm, KVM_CHECK_EXTENSION,
					    KVM_CAP_COALESCED_MMIO) * PAGE;
}

/* --- beside a vCPU that sleeps ----------------------------------------------- */

static void change_all(void *arg)
{
	fixture_t *self = arg;
	u64 i;

	for (i = 0; i < 100; i++) {
		bell(self, self->fd, MANY + 16 * i, 4, true);
		zone(self, ZONE + PAGE * i, true);
	}
	for (i = 0; i < 100; i++) {
		bell(self, self->fd, MANY + 16 * i, 4, false);
		zone(self, ZONE + PAGE * i, false);
	}
	bell(self, self->fd, BELL, 0, true);
	bell(self, self->fd, BELL, 0, false);
	bell(self, self->fd, BELL, 4, true);
	zone(self, ZONE, true);
}

/* Whoever supplies a page may register a doorbell first. */
TEST_F(takers, changes_wait_for_no_instruction)
{
	struct pending missing;
	struct pending_call c;

	REQUIRE(pending_open(&missing, 1) && dev_is_keel());
	vm_set_slot(self->vm, 1, 0, MISSING, PAGE, missing.mem);
	/* The kernel writes what comes from the device, and sleeps. */
	run_start_copy(&self->run[0], MMIO_GPA, MISSING);
	pending_wait(&missing);
	pending_start(&c, change_all, self);
	EXPECT_TRUE(pending_returns(&c));
	EXPECT_FALSE(pending_returned(&self->run[0].call));
	EXPECT_EQ(0, run_write(&self->run[1], BELL));
	EXPECT_EQ(1, rung(self->fd));
	pending_serve(&missing, 1);
	pending_join(&self->run[0].call);
	pending_join(&c);
	EXPECT_EQ(1, self->run[0].exits);
	pending_close(&missing);
}

/* --- beside a vCPU that rings ------------------------------------------------- */

static void wait_until_written(struct run *r, u64 more)
{
	u64 until = run_written(r) + more;

	while (run_written(r) < until)
		sched_yield();
}

static u64 place(u64 i)
{
	return MANY + 16 * (i * 7 % THOUSANDS);
}

/* What is not named rings on, and what is added and taken away is so at once. */
TEST_F_TIMEOUT(takers, thousands_come_and_go_under_a_guest_that_rings, 120)
{
	struct run *ringer = &self->run[0], *probe = &self->run[1];
	u64 i;

	bell(self, self->fd, BELL, 4, true);
	run_start_sweep(ringer, BELL, 1);
	wait_until_written(ringer, 1);
	for (i = 0; i < THOUSANDS; i++) {
		bell(self, self->other, place(i), i & 1 ? 4 : 0, true);
		if (i % 500)
			continue;
		EXPECT_EQ(0, run_write(probe, place(i)));
		EXPECT_EQ(1, rung(self->other));
		EXPECT_EQ(1, run_write(probe, place(i + 1)));
	}
	wait_until_written(ringer, 1);
	for (i = 0; i < THOUSANDS; i++) {
		bell(self, self->other, place(i), i & 1 ? 4 : 0, false);
		if (i % 500)
			continue;
		EXPECT_EQ(1, run_write(probe, place(i)));
		EXPECT_EQ(0, run_write(probe, place(i + 1)));
		EXPECT_EQ(1, rung(self->other));
	}
	wait_until_written(ringer, 1);
	run_stop(ringer);
	EXPECT_EQ(0, ringer->exits);
	EXPECT_EQ(run_written(ringer), rung(self->fd));
	EXPECT_EQ(0, rung(self->other));
}

/* --- between look-up and effect, held in a test build -------------------------- */

/* vCPU 0 has found what takes its write to @addr, and is held there. */
static void begin_write(fixture_t *self, u64 addr)
{
	set_delay(self->vm, "ringing", HOLD_MS);
	run_start_write(&self->run[0], addr);
	wait_until_held(self->vm, "ringing");
}

TEST_F(takers, doorbell_that_is_gone_does_not_ring)
{
	REQUIRE(has_control(self->vm));
	bell(self, self->fd, BELL, 4, true);
	begin_write(self, BELL);
	bell(self, self->fd, BELL, 4, false);
	EXPECT_FALSE(pending_returned(&self->run[0].call));
	pending_join(&self->run[0].call);
	EXPECT_EQ(0, rung(self->fd));
	EXPECT_EQ(1, self->run[0].exits);
}

TEST_F(takers, doorbell_of_any_length_that_is_gone_does_not_ring)
{
	REQUIRE(has_control(self->vm));
	bell(self, self->fd, BELL, 0, true);
	EXPECT_EQ(0, run_write(&self->run[0], BELL));
	EXPECT_EQ(0, run_write(&self->run[0], BELL));
	EXPECT_EQ(2, rung(self->fd));
	begin_write(self, BELL);
	bell(self, self->fd, BELL, 0, false);
	pending_join(&self->run[0].call);
	EXPECT_EQ(0, rung(self->fd));
	EXPECT_EQ(1, self->run[0].exits);
}

TEST_F(takers, zone_that_is_gone_takes_nothing)
{
	struct kvm_coalesced_mmio_ring *ring = ring_of(self->run[0].vcpu);

	REQUIRE(has_control(self->vm));
	zone(self, ZONE, true);
	EXPECT_EQ(0, run_write(&self->run[0], ZONE));
	EXPECT_EQ(1, ring->last);
	begin_write(self, ZONE);
	zone(self, ZONE, false);
	pending_join(&self->run[0].call);
	EXPECT_EQ(1, ring->last);
	EXPECT_EQ(1, self->run[0].exits);
}

KEEL_TEST_MAIN
