// SPDX-License-Identifier: GPL-2.0
/*
 * Dirty logging by bitmap: exactly the pages that were written to, by whom
 * ever, are told, once; every refusal; huge pages; and slots that change while
 * they log. migrate_test does the stress, dirty_ring_test the rings.
 */
#include <linux/keel.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include "kselftest_harness.h"
#include "keel_test.h"
#include "guest.h"
#include "control.h"

#define BASE MMIO_GPA
#define PAGES 300			/* no multiple of 64 */
#define WORDS ((PAGES + 63) / 64)
#define DEVICE (BASE + 64 * HUGE)	/* in no slot */
#define SLOT 1
#define MSR_CLOCK 0x4b564d01

enum how { READ, WRITE, LOCKED, FROM_DEVICE, FROM_PORT, CLOCK };

static struct {
	u64 addr, how;
} command;

static void act(u64 addr, u64 how)
{
	u64 from = DEVICE;

	switch (how) {
	case READ:
		guest_read64(addr);
		break;
	case WRITE:
		guest_write64(addr, addr);
		break;
	case LOCKED:
		asm volatile("lock incq (%0)" : : "r"(addr) : "memory");
		break;
	case FROM_DEVICE:
		asm volatile("movsq" : "+D"(addr), "+S"(from) : : "memory");
		break;
	case FROM_PORT:
		asm volatile("insb" : "+D"(addr) : "d"(0x80) : "memory");
		break;
	case CLOCK:
		guest_wrmsr(MSR_CLOCK, addr | 1);
		break;
	}
}

static void guest_main(void)
{
	volatile typeof(command) *c = &command;

	for (;;) {
		act(c->addr, c->how);
		guest_sync(0);
	}
}

static u64 stop;

/* Counts in the slot's first page, without an exit of its own making. */
static void guest_counts(void)
{
	u64 n;

	for (n = 2; !*(volatile u64 *)&stop; n++)
		guest_write64(BASE, n);
	guest_done();
}

FIXTURE(dirty) {
	struct vm *vm;
	struct vcpu *vcpu;
	u8 *mem;
	u64 bits[WORDS + 1];		/* one more, which nobody may write */
};

typedef FIXTURE_DATA(dirty) fixture_t;

FIXTURE_SETUP(dirty)
{
	self->vm = vm_create();
	self->vcpu = vcpu_create(self->vm, 0, guest_main);
	self->mem = anon_alloc(2 * HUGE);
	memset(self->mem, 1, 2 * HUGE);
}

FIXTURE_TEARDOWN(dirty)
{
	vcpu_free(self->vcpu);
	vm_free(self->vm);
	munmap(self->mem, 2 * HUGE);
}

static void touch(fixture_t *self, u64 page, enum how how)
{
	struct kvm_run *run = self->vcpu->run;

	GUEST_VAR(self->vm, command).addr = BASE + page * PAGE;
	GUEST_VAR(self->vm, command).how = how;
	while (vcpu_next(self->vcpu) != GUEST_SYNC)
		CHECK(run->exit_reason == (how == FROM_DEVICE ? KVM_EXIT_MMIO : KVM_EXIT_IO),
		      "exit %d", run->exit_reason);
}

static void touch_all(fixture_t *self, enum how how)
{
	u64 i;

	for (i = 0; i < PAGES; i++)
		touch(self, i, how);
}

static void set_slot(fixture_t *self, u32 flags)
{
	vm_set_slot(self->vm, SLOT, flags, BASE, PAGES * PAGE, self->mem);
}

static int __get_log(fixture_t *self, u32 slot)
{
	struct kvm_dirty_log log = { .slot = slot, .dirty_bitmap = self->bits };

	memset(self->bits, 0x55, sizeof(self->bits));
	return __vm_ioctl(self->vm, KVM_GET_DIRTY_LOG, &log);
}

/* How many pages the log names; it must be nothing beyond them. */
static int get_log(fixture_t *self, u32 slot, u64 pages)
{
	int i, n = 0, ret = __get_log(self, slot);

	CHECK(!ret, "%d", ret);
	for (i = 0; i < (pages + 63) / 64 * 64; i++)
		n += self->bits[i / 64] >> (i % 64) & 1;
	for (; i < 64 * (WORDS + 1); i += 64)
		CHECK(self->bits[i / 64] == 0x5555555555555555, "word %d", i / 64);
	for (i = pages; i % 64; i++)
		CHECK(!(self->bits[i / 64] >> (i % 64) & 1), "page %d", i);
	return n;
}

static bool named(fixture_t *self, u64 page)
{
	return self->bits[page / 64] >> (page % 64) & 1;
}

static const u64 some[] = { 0, 1, 63, 64, 190, PAGES - 1 };
#define SOME 6

static void expect_some(struct __test_metadata *_metadata, fixture_t *self)
{
	int i;

	EXPECT_EQ(SOME, get_log(self, SLOT, PAGES));
	for (i = 0; i < SOME; i++)
		EXPECT_TRUE(named(self, some[i])) TH_LOG("page %lu", some[i]);
}

static void touch_some(fixture_t *self, enum how how)
{
	int i;

	for (i = 0; i < SOME; i++)
		touch(self, some[i], how);
}

/* Mapped before logging began, or only after; and again after each answer. */
static void written_pages_are_told_once(struct __test_metadata *_metadata, fixture_t *self,
					bool mapped)
{
	int turn;

	if (mapped) {
		set_slot(self, 0);
		touch_all(self, WRITE);
	}
	set_slot(self, KVM_MEM_LOG_DIRTY_PAGES);
	EXPECT_EQ(0, get_log(self, SLOT, PAGES));
	touch_all(self, READ);
	EXPECT_EQ(0, get_log(self, SLOT, PAGES));
	for (turn = 0; turn < 3; turn++) {
		touch_some(self, turn == 1 ? LOCKED : WRITE);
		expect_some(_metadata, self);
		EXPECT_EQ(0, get_log(self, SLOT, PAGES));
	}
}

TEST_F(dirty, of_pages_mapped_before)
{
	written_pages_are_told_once(_metadata, self, true);
}

TEST_F(dirty, of_pages_not_mapped_yet)
{
	written_pages_are_told_once(_metadata, self, false);
}

TEST_F(dirty, by_the_kernel_for_the_guest)
{
	set_slot(self, KVM_MEM_LOG_DIRTY_PAGES);
	touch(self, 5, FROM_DEVICE);
	EXPECT_EQ(1, get_log(self, SLOT, PAGES));
	EXPECT_TRUE(named(self, 5));
	touch(self, 6, FROM_PORT);
	EXPECT_EQ(1, get_log(self, SLOT, PAGES));
	EXPECT_TRUE(named(self, 6));
	touch(self, 7, CLOCK);
	/* The clock may be told again whenever the vCPU runs. */
	EXPECT_LE(1, get_log(self, SLOT, PAGES));
	EXPECT_TRUE(named(self, 7));
}

static void *run_on(void *vcpu)
{
	vcpu_done(vcpu);
	return NULL;
}

/* What has been written when the log is asked for is told, though the guest is not out yet. */
TEST_F(dirty, by_a_guest_that_does_not_exit)
{
	struct vcpu *counts = vcpu_create(self->vm, 1, guest_counts);
	volatile u64 *written = (u64 *)self->mem;
	pthread_t thread;
	u64 before;
	int i;

	set_slot(self, KVM_MEM_LOG_DIRTY_PAGES);
	ASSERT_EQ(0, pthread_create(&thread, NULL, run_on, counts));
	for (i = 0; i < 100; i++) {
		for (before = *written; *written == before;)
			sched_yield();
		EXPECT_EQ(1, get_log(self, SLOT, PAGES)) TH_LOG("answer %d", i);
	}
	GUEST_VAR(self->vm, stop) = 1;
	pthread_join(thread, NULL);
	vcpu_free(counts);
}

TEST_F(dirty, more_than_the_hardware_can_hold)
{
	int i;

	vm_set_slot(self->vm, SLOT, KVM_MEM_LOG_DIRTY_PAGES, BASE, 2 * HUGE, self->mem);
	for (i = 0; i < 2 * HUGE / PAGE; i++)
		touch(self, i, READ);
	for (i = 0; i < 2 * HUGE / PAGE; i++)
		touch(self, i, WRITE);
	self->mem[0] = 0;
	{
		u64 bits[2 * HUGE / PAGE / 64] = {};
		struct kvm_dirty_log log = { .slot = SLOT, .dirty_bitmap = bits };

		vm_ioctl(self->vm, KVM_GET_DIRTY_LOG, &log);
		for (i = 0; i < 2 * HUGE / PAGE / 64; i++)
			EXPECT_EQ(~0UL, bits[i]);
	}
}

/* A slot that is written to only by reads of others' slots is left alone. */
TEST_F(dirty, other_slots_do_not_log)
{
	set_slot(self, KVM_MEM_LOG_DIRTY_PAGES);
	vm_set_slot(self->vm, SLOT + 1, 0, BASE + HUGE, HUGE, self->mem + HUGE);
	touch(self, HUGE / PAGE, WRITE);
	EXPECT_EQ(0, get_log(self, SLOT, PAGES));
	EXPECT_EQ(-ENOENT, __get_log(self, SLOT + 1));
}

TEST_F(dirty, off_and_on_again)
{
	set_slot(self, KVM_MEM_LOG_DIRTY_PAGES);
	touch_some(self, WRITE);
	set_slot(self, 0);
	EXPECT_EQ(-ENOENT, __get_log(self, SLOT));
	touch_some(self, WRITE);
	set_slot(self, KVM_MEM_LOG_DIRTY_PAGES);
	EXPECT_EQ(0, get_log(self, SLOT, PAGES));
	touch_some(self, WRITE);
	expect_some(_metadata, self);
}

TEST_F(dirty, a_slot_that_moves_takes_its_log_along)
{
	set_slot(self, KVM_MEM_LOG_DIRTY_PAGES);
	touch_some(self, WRITE);
	vm_set_slot(self->vm, SLOT, KVM_MEM_LOG_DIRTY_PAGES, BASE + HUGE, PAGES * PAGE, self->mem);
	expect_some(_metadata, self);
	touch(self, HUGE / PAGE + 2, WRITE);
	EXPECT_EQ(1, get_log(self, SLOT, PAGES));
	EXPECT_TRUE(named(self, 2));
}

TEST_F(dirty, read_only)
{
	set_slot(self, KVM_MEM_LOG_DIRTY_PAGES | KVM_MEM_READONLY);
	touch(self, 3, READ);
	GUEST_VAR(self->vm, command).addr = BASE;
	GUEST_VAR(self->vm, command).how = WRITE;
	EXPECT_EQ(KVM_EXIT_MMIO, vcpu_next(self->vcpu));
	EXPECT_EQ(GUEST_SYNC, vcpu_next(self->vcpu));
	EXPECT_EQ(0, get_log(self, SLOT, PAGES));
}

TEST_F(dirty, refusals)
{
	struct kvm_dirty_log log = { .slot = SLOT, .dirty_bitmap = (void *)8 };
	struct kvm_enable_cap cap = { .cap = KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2 };

	EXPECT_EQ(-ENOENT, __get_log(self, SLOT));
	set_slot(self, 0);
	EXPECT_EQ(-ENOENT, __get_log(self, SLOT));
	EXPECT_EQ(-EINVAL, __get_log(self, 32764));
	EXPECT_EQ(-EINVAL, __get_log(self, 2 << 16 | SLOT));
	EXPECT_EQ(-ENOENT, __get_log(self, 1 << 16 | SLOT));
	EXPECT_EQ(-EINVAL, __vm_set_slot(self->vm, SLOT, 4, BASE, PAGES * PAGE, self->mem));
	EXPECT_EQ(-EINVAL, __vm_ioctl(self->vm, KVM_RESET_DIRTY_RINGS, 0));

	/* An answer that cannot be given is given the next time. */
	set_slot(self, KVM_MEM_LOG_DIRTY_PAGES);
	touch_some(self, WRITE);
	EXPECT_EQ(-EFAULT, __vm_ioctl(self->vm, KVM_GET_DIRTY_LOG, &log));
	if (dev_is_keel())
		expect_some(_metadata, self);

	cap.args[0] = KVM_DIRTY_LOG_INITIALLY_SET;
	EXPECT_EQ(-EINVAL, __vm_ioctl(self->vm, KVM_ENABLE_CAP, &cap));
	cap.args[0] = 4 | KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE;
	EXPECT_EQ(-EINVAL, __vm_ioctl(self->vm, KVM_ENABLE_CAP, &cap));
	cap.args[0] = 0;
	cap.flags = 1;
	EXPECT_EQ(-EINVAL, __vm_ioctl(self->vm, KVM_ENABLE_CAP, &cap));
}

/* --- asked and cleared separately ------------------------------------------- */

static void enable_manual(fixture_t *self, u64 flags)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, .args = { flags } };

	vm_ioctl(self->vm, KVM_ENABLE_CAP, &cap);
}

static int clear(fixture_t *self, u32 slot, u64 first, u32 n, u64 *bits)
{
	struct kvm_clear_dirty_log log = {
		.slot = slot, .num_pages = n, .first_page = first, .dirty_bitmap = bits,
	};

	return __vm_ioctl(self->vm, KVM_CLEAR_DIRTY_LOG, &log);
}

TEST_F(dirty, manual)
{
	u64 bits[WORDS] = { 1UL << 63, 1 };

	EXPECT_EQ(3, vm_has(self->vm, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2) *
		  __vm_ioctl(self->vm, KVM_CHECK_EXTENSION, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2));
	enable_manual(self, KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE);
	set_slot(self, KVM_MEM_LOG_DIRTY_PAGES);
	touch_some(self, WRITE);
	expect_some(_metadata, self);
	expect_some(_metadata, self);

	/* 63 and 64, of which the second is not in the range; then the rest. */
	EXPECT_EQ(0, clear(self, SLOT, 0, 64, bits));
	EXPECT_EQ(SOME - 1, get_log(self, SLOT, PAGES));
	EXPECT_FALSE(named(self, 63));
	touch(self, 63, WRITE);
	expect_some(_metadata, self);
	EXPECT_EQ(0, clear(self, SLOT, 0, PAGES, self->bits));
	EXPECT_EQ(0, get_log(self, SLOT, PAGES));
	touch_some(self, WRITE);
	expect_some(_metadata, self);

	/* What is at the end of the slot. */
	bits[0] = ~0UL;
	EXPECT_EQ(0, clear(self, SLOT, PAGES / 64 * 64, PAGES % 64, bits));
	EXPECT_EQ(SOME - 1, get_log(self, SLOT, PAGES));
	EXPECT_FALSE(named(self, PAGES - 1));
}

TEST_F(dirty, manual_refusals)
{
	u64 bits[WORDS] = {};

	enable_manual(self, KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE);
	EXPECT_EQ(-ENOENT, clear(self, SLOT, 0, 64, bits));
	set_slot(self, KVM_MEM_LOG_DIRTY_PAGES);
	touch_some(self, WRITE);
	memset(bits, 0xff, sizeof(bits));
	EXPECT_EQ(-EINVAL, clear(self, 32764, 0, 64, bits));
	EXPECT_EQ(-EINVAL, clear(self, 2 << 16, 0, 64, bits));
	EXPECT_EQ(-EINVAL, clear(self, SLOT, 1, 64, bits));
	EXPECT_EQ(-EINVAL, clear(self, SLOT, 0, 65, bits));
	EXPECT_EQ(-EINVAL, clear(self, SLOT, 0, PAGES + 1, bits));
	EXPECT_EQ(-EINVAL, clear(self, SLOT, 64, PAGES, bits));
	EXPECT_EQ(-EINVAL, clear(self, SLOT, 320, 64, bits));
	EXPECT_EQ(-EINVAL, clear(self, SLOT, ~0UL << 6, 64, bits));
	EXPECT_EQ(-EFAULT, clear(self, SLOT, 0, PAGES, (u64 *)8));
	EXPECT_EQ(0, clear(self, SLOT, 0, 0, bits));
	expect_some(_metadata, self);
}

TEST_F(dirty, all_is_dirty_at_first)
{
	u64 bits[WORDS] = { ~0UL };

	enable_manual(self, KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE | KVM_DIRTY_LOG_INITIALLY_SET);
	set_slot(self, 0);
	touch_all(self, WRITE);
	set_slot(self, KVM_MEM_LOG_DIRTY_PAGES);
	EXPECT_EQ(PAGES, get_log(self, SLOT, PAGES));
	EXPECT_EQ(0, clear(self, SLOT, 0, 64, bits));
	EXPECT_EQ(PAGES - 64, get_log(self, SLOT, PAGES));
	touch(self, 9, WRITE);
	EXPECT_EQ(PAGES - 63, get_log(self, SLOT, PAGES));
	EXPECT_TRUE(named(self, 9));
}

/* --- huge pages ---------------------------------------------------------------- */

TEST_F(dirty, huge_pages_are_split_and_come_back)
{
	u8 *huge = (u8 *)(((unsigned long)self->mem + HUGE - 1) & ~(HUGE - 1));
	u64 faults, pages;

	REQUIRE(dev_is_keel() && parameter_is_on("huge_pages"));
	madvise(huge, HUGE, MADV_HUGEPAGE);
	memset(huge, 2, HUGE);
	vm_set_slot(self->vm, SLOT, 0, BASE, HUGE, huge);
	touch(self, 7, WRITE);
	pages = counter(self->vm->fd, "pages_2m");
	REQUIRE(pages > 0);

	vm_set_slot(self->vm, SLOT, KVM_MEM_LOG_DIRTY_PAGES, BASE, HUGE, huge);
	EXPECT_EQ(0, counter(self->vm->fd, "pages_2m"));
	EXPECT_LE(512, counter(self->vm->fd, "pages_4k"));
	faults = counter(self->vcpu->fd, "page_faults");
	touch(self, 8, READ);
	EXPECT_EQ(faults, counter(self->vcpu->fd, "page_faults"));
	touch(self, 9, WRITE);
	{
		u64 bits[HUGE / PAGE / 64];
		struct kvm_dirty_log log = { .slot = SLOT, .dirty_bitmap = bits };
		int i;

		vm_ioctl(self->vm, KVM_GET_DIRTY_LOG, &log);
		for (i = 0; i < HUGE / PAGE / 64; i++)
			EXPECT_EQ(i ? 0 : 1UL << 9, bits[i]);
	}

	vm_set_slot(self->vm, SLOT, 0, BASE, HUGE, huge);
	touch(self, 10, WRITE);
	EXPECT_EQ(pages, counter(self->vm->fd, "pages_2m"));
}

/* --- slots that change while they log -------------------------------------------- */

struct change {
	struct keel_memory_regions head;
	struct kvm_userspace_memory_region room[4];
};

static void want(fixture_t *self, struct change *c, u32 id, u64 first, u64 pages, u32 flags)
{
	c->head.regions[c->head.nr++] = (struct kvm_userspace_memory_region){
		.slot = id,
		.flags = flags,
		.guest_phys_addr = BASE + first * PAGE,
		.memory_size = pages * PAGE,
		.userspace_addr = (unsigned long)self->mem + first * PAGE,
	};
}

TEST_F(dirty, a_slot_that_is_split_shares_out_its_log)
{
	struct change c = {};
	u64 mapped;

	REQUIRE(vm_has(self->vm, KEEL_CAP_MEMORY_REGIONS));
	set_slot(self, KVM_MEM_LOG_DIRTY_PAGES);
	touch_all(self, READ);
	touch_some(self, WRITE);
	mapped = counter(self->vm->fd, "pages_4k");
	want(self, &c, SLOT, 0, 64, KVM_MEM_LOG_DIRTY_PAGES);
	want(self, &c, SLOT + 1, 64, 100, 0);
	want(self, &c, SLOT + 2, 164, PAGES - 164, KVM_MEM_LOG_DIRTY_PAGES);
	vm_ioctl(self->vm, KEEL_SET_MEMORY_REGIONS, &c);
	EXPECT_EQ(mapped, counter(self->vm->fd, "pages_4k"));

	EXPECT_EQ(3, get_log(self, SLOT, 64));
	EXPECT_TRUE(named(self, 0) && named(self, 1) && named(self, 63));
	EXPECT_EQ(-ENOENT, __get_log(self, SLOT + 1));
	EXPECT_EQ(2, get_log(self, SLOT + 2, PAGES - 164));
	EXPECT_TRUE(named(self, 190 - 164) && named(self, PAGES - 1 - 164));
	touch(self, 163, WRITE);
	touch(self, 164, WRITE);
	EXPECT_EQ(0, get_log(self, SLOT, 64));
	EXPECT_EQ(1, get_log(self, SLOT + 2, PAGES - 164));
	EXPECT_TRUE(named(self, 0));
}

TEST_F(dirty, slots_that_are_merged_put_their_logs_together)
{
	struct change c = {};

	REQUIRE(vm_has(self->vm, KEEL_CAP_MEMORY_REGIONS));
	want(self, &c, SLOT, 0, 64, KVM_MEM_LOG_DIRTY_PAGES);
	want(self, &c, SLOT + 1, 64, PAGES - 64, KVM_MEM_LOG_DIRTY_PAGES);
	vm_ioctl(self->vm, KEEL_SET_MEMORY_REGIONS, &c);
	touch_all(self, READ);
	touch_some(self, WRITE);
	c = (struct change){};
	want(self, &c, SLOT, 0, PAGES, KVM_MEM_LOG_DIRTY_PAGES);
	want(self, &c, SLOT + 1, 0, 0, 0);
	vm_ioctl(self->vm, KEEL_SET_MEMORY_REGIONS, &c);
	expect_some(_metadata, self);
	touch_some(self, WRITE);
	expect_some(_metadata, self);
}

/* Logging that begins in one part of what was one slot, and ends in another. */
TEST_F(dirty, on_and_off_in_one_stroke)
{
	struct change c = {};

	REQUIRE(vm_has(self->vm, KEEL_CAP_MEMORY_REGIONS));
	want(self, &c, SLOT, 0, 64, 0);
	want(self, &c, SLOT + 1, 64, PAGES - 64, KVM_MEM_LOG_DIRTY_PAGES);
	vm_ioctl(self->vm, KEEL_SET_MEMORY_REGIONS, &c);
	touch_all(self, WRITE);
	EXPECT_EQ(PAGES - 64, get_log(self, SLOT + 1, PAGES - 64));
	c = (struct change){};
	want(self, &c, SLOT, 0, 64, KVM_MEM_LOG_DIRTY_PAGES);
	want(self, &c, SLOT + 1, 64, PAGES - 64, 0);
	vm_ioctl(self->vm, KEEL_SET_MEMORY_REGIONS, &c);
	EXPECT_EQ(-ENOENT, __get_log(self, SLOT + 1));
	EXPECT_EQ(0, get_log(self, SLOT, 64));
	touch_some(self, WRITE);
	EXPECT_EQ(3, get_log(self, SLOT, 64));
}

KEEL_TEST_MAIN
