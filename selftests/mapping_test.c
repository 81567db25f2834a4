// SPDX-License-Identifier: GPL-2.0
/*
 * A mapping of the guest's against what happens beside it: the host takes the
 * page away just then, the slot goes or becomes read-only, logging arms the page,
 * the slot is split. No access reaches what is gone, no right outlives its end, and
 * a write that only the mapping knows of is handed to the page. Races are held
 * open by a test build of the module; other cases need none.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <time.h>
#include "kselftest_harness.h"
#include "keel_test.h"
#include <linux/keel.h>
#include "control.h"
#include "guest.h"
#include "touch.h"

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif

#define HOLD_MS	400
#define SLOT	1
#define SIZE	(2 * HUGE)
#define PAGES	(SIZE / PAGE)

#define REQUIRE_CONTROL()						\
	do {								\
		if (!has_control(self->vm))				\
			SKIP(return, "not a test build of the module");	\
	} while (0)

FIXTURE(mapping) {
	struct vm *vm;
	struct vcpu *vcpu;
	u8 *area, *mem;		/* @mem: aligned as a huge page */
};

typedef FIXTURE_DATA(mapping) fixture_t;

FIXTURE_SETUP(mapping)
{
	self->vm = vm_create();
	self->vcpu = touch_vcpu(self->vm, 0);
	self->area = anon_alloc(SIZE + HUGE);
	self->mem = (u8 *)(((u64)self->area + HUGE - 1) & ~(HUGE - 1));
	vm_set_slot(self->vm, SLOT, 0, TOUCH_GPA, SIZE, self->mem);
}

FIXTURE_TEARDOWN(mapping)
{
	vcpu_free(self->vcpu);
	vm_free(self->vm);
	munmap(self->area, SIZE + HUGE);
}

static u64 *word(u8 *mem, u64 page)
{
	return (u64 *)(mem + page * PAGE);
}

/* --- the host takes the page away ----------------------------------------- */

static void *read_page(void *vcpu)
{
	touch_read(vcpu, TOUCH_GPA);
	return NULL;
}

/* The fault has found a page that is thrown away before the fault maps it. */
TEST_F(mapping, page_that_went_after_it_was_found)
{
	pthread_t thread;

	REQUIRE_CONTROL();
	madvise(self->mem, SIZE, MADV_NOHUGEPAGE);
	*word(self->mem, 0) = 1;
	/* Afterwards no fault but the one that is meant is left to be held. */
	touch_read(self->vcpu, TOUCH_GPA + PAGE);
	set_delay(self->vm, "page_found", HOLD_MS);
	ASSERT_EQ(0, pthread_create(&thread, NULL, read_page, self->vcpu));
	wait_until_held(self->vm, "page_found");
	ASSERT_EQ(0, madvise(self->mem, PAGE, MADV_DONTNEED));
	*word(self->mem, 0) = 2;
	pthread_join(thread, NULL);
	EXPECT_EQ(2, self->vcpu->arg[0]);
	EXPECT_EQ(2, touch_read(self->vcpu, TOUCH_GPA));
}

struct going {
	struct vm *vm;
	u8 *mem;
	int begun;
};

/* Set the delay here: pages that the process copies on a write meet the point as well. */
static void *throw_away(void *arg)
{
	struct going *g = arg;

	set_delay(g->vm, "invalidating", HOLD_MS);
	__atomic_store_n(&g->begun, 1, __ATOMIC_RELEASE);
	CHECK(!madvise(g->mem, PAGE, MADV_DONTNEED), "madvise: %s", strerror(errno));
	return NULL;
}

/* Two calls take pages away at once; the second begins later and ends sooner. */
TEST_F(mapping, page_that_is_going_while_another_goes)
{
	struct going going = { .vm = self->vm, .mem = self->mem };
	pthread_t thread;

	REQUIRE_CONTROL();
	EXPECT_EQ(0, get_delay(self->vm, "invalidating"));
	madvise(self->mem, SIZE, MADV_NOHUGEPAGE);
	*word(self->mem, 0) = 1;
	EXPECT_EQ(1, touch_read(self->vcpu, TOUCH_GPA));
	touch_write(self->vcpu, TOUCH_GPA + 8 * PAGE, 1);
	ASSERT_EQ(0, pthread_create(&thread, NULL, throw_away, &going));
	while (!__atomic_load_n(&going.begun, __ATOMIC_ACQUIRE))
		sched_yield();
	wait_until_held(self->vm, "invalidating");
	ASSERT_EQ(0, madvise(self->mem + 8 * PAGE, PAGE, MADV_DONTNEED));
	/* In the middle, or after the end: both are in order here, not so below. */
	touch_read(self->vcpu, TOUCH_GPA);
	pthread_join(thread, NULL);
	*word(self->mem, 0) = 2;
	EXPECT_EQ(2, touch_read(self->vcpu, TOUCH_GPA));
}

/* --- a removal that gives way ---------------------------------------------- */

static void touch_two_pages(fixture_t *self)
{
	madvise(self->mem, SIZE, MADV_NOHUGEPAGE);
	touch_write(self->vcpu, TOUCH_GPA, 1);
	touch_write(self->vcpu, TOUCH_GPA + PAGE, 1);
}

static void *throw_two_away(void *mem)
{
	CHECK(!madvise(mem, 2 * PAGE, MADV_DONTNEED), "madvise: %s", strerror(errno));
	return NULL;
}

static u64 now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* It goes on with the slots that it has found, of which none may be freed before. */
TEST_F(mapping, deletion_waits_for_the_host_that_reads_the_slots)
{
	u8 *other = anon_alloc(PAGE);
	pthread_t thread;
	u64 begin;

	REQUIRE_CONTROL();
	vm_set_slot(self->vm, SLOT + 1, 0, 2 * TOUCH_GPA, PAGE, other);
	touch_two_pages(self);
	set_delay(self->vm, "paused", HOLD_MS);
	begin = now_ms();
	ASSERT_EQ(0, pthread_create(&thread, NULL, throw_two_away, self->mem));
	wait_until_held(self->vm, "paused");
	vm_set_slot(self->vm, SLOT + 1, 0, 2 * TOUCH_GPA, 0, NULL);
	EXPECT_LE(HOLD_MS, now_ms() - begin);
	pthread_join(thread, NULL);
	munmap(other, PAGE);
}

/* --- a right ends ---------------------------------------------------------- */

static u64 stop_writing;

static void guest_write_on(void)
{
	u64 i;

	for (i = 1; !__atomic_load_n(&stop_writing, __ATOMIC_RELAXED); i++)
		*(volatile u64 *)TOUCH_GPA = i;
	guest_done();
}

/* Writes come as exits while the slot is read-only. */
static void *run_writer(void *vcpu)
{
	int exit;

	while ((exit = vcpu_next(vcpu)) == KVM_EXIT_MMIO)
		;
	CHECK(exit == GUEST_DONE, "exit %d", exit);
	return NULL;
}

static bool word_changes(u8 *mem, unsigned int looks)
{
	u64 was = __atomic_load_n(word(mem, 0), __ATOMIC_RELAXED);

	while (looks--)
		if (__atomic_load_n(word(mem, 0), __ATOMIC_RELAXED) != was)
			return true;
	return false;
}

static bool word_starts_to_change(u8 *mem)
{
	int i;

	for (i = 0; i < 5000; i++) {
		if (word_changes(mem, 1000))
			return true;
		sched_yield();
	}
	return false;
}

static void *delete_slot(void *vm)
{
	vm_set_slot(vm, SLOT, 0, TOUCH_GPA, 0, NULL);
	return NULL;
}

/*
 * The lock is free while a removal gives way, and whoever takes a page then finds
 * no mapping of it: there must be none in any TLB either.
 */
TEST_F_TIMEOUT(mapping, no_write_to_what_a_removal_that_gives_way_has_removed, 60)
{
	struct vcpu *writer = vcpu_create(self->vm, 1, guest_write_on);
	pthread_t thread, deletion;
	int i, late = 0;

	REQUIRE_CONTROL();
	touch_two_pages(self);
	ASSERT_EQ(0, pthread_create(&thread, NULL, run_writer, writer));
	for (i = 0; i < 20; i++) {
		ASSERT_TRUE(word_starts_to_change(self->mem));
		touch_write(self->vcpu, TOUCH_GPA + PAGE, 1);
		set_delay(self->vm, "paused", 20);
		ASSERT_EQ(0, pthread_create(&deletion, NULL, delete_slot, self->vm));
		wait_until_held(self->vm, "paused");
		late += word_changes(self->mem, 20000);
		pthread_join(deletion, NULL);
		vm_set_slot(self->vm, SLOT, 0, TOUCH_GPA, SIZE, self->mem);
	}
	EXPECT_EQ(0, late);
	__atomic_store_n(&GUEST_VAR(self->vm, stop_writing), 1, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	vcpu_free(writer);
}

/* In place, which KVM's own call refuses. */
static void set_flags(fixture_t *self, u32 flags)
{
	struct {
		struct keel_memory_regions head;
		struct kvm_userspace_memory_region region;
	} c = {
		.head.nr = 1,
		.region = {
			.slot = SLOT, .flags = flags, .guest_phys_addr = TOUCH_GPA,
			.memory_size = SIZE, .userspace_addr = (unsigned long)self->mem,
		},
	};

	vm_ioctl(self->vm, KEEL_SET_MEMORY_REGIONS, &c);
}

TEST_F_TIMEOUT(mapping, no_write_after_the_slot_is_read_only, 60)
{
	struct vcpu *writer = vcpu_create(self->vm, 1, guest_write_on);
	pthread_t thread;
	int i, late = 0;

	ASSERT_EQ(0, pthread_create(&thread, NULL, run_writer, writer));
	for (i = 0; i < 20; i++) {
		ASSERT_TRUE(word_starts_to_change(self->mem));
		set_flags(self, KVM_MEM_READONLY);
		late += word_changes(self->mem, 20000);
		set_flags(self, 0);
	}
	EXPECT_EQ(0, late);
	__atomic_store_n(&GUEST_VAR(self->vm, stop_writing), 1, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	vcpu_free(writer);
}

/* --- what only the mapping knows ------------------------------------------ */

static void write_pages(struct vcpu *vcpu, u64 pages, u64 base)
{
	u64 i;

	for (i = 0; i < pages; i++)
		touch_write(vcpu, TOUCH_GPA + i * PAGE, base + i);
}

/* Pages of which the process has said that it does not need them, unless written to again. */
static u64 lost_after_reclaim(u8 *mem, u64 pages, u64 base)
{
	u64 i, lost = 0;

	for (i = 0; i < 4; i++)
		CHECK(!madvise(mem, pages * PAGE, MADV_PAGEOUT), "%s", strerror(errno));
	for (i = 0; i < pages; i++)
		lost += *word(mem, i) != base + i;
	return lost;
}

TEST_F(mapping, write_before_the_page_is_armed_is_not_lost)
{
	static u64 bits[PAGES / 64];
	struct kvm_dirty_log log = { .slot = SLOT, .dirty_bitmap = bits };

	madvise(self->mem, SIZE, MADV_NOHUGEPAGE);
	vm_set_slot(self->vm, SLOT, KVM_MEM_LOG_DIRTY_PAGES, TOUCH_GPA, SIZE, self->mem);
	write_pages(self->vcpu, 32, 1000);
	ASSERT_EQ(0, madvise(self->mem, SIZE, MADV_FREE));
	write_pages(self->vcpu, 32, 2000);
	vm_ioctl(self->vm, KVM_GET_DIRTY_LOG, &log);
	EXPECT_EQ(0, lost_after_reclaim(self->mem, 32, 2000));
}

/* The slot ends in the midst of a huge page, of which this leaves small ones. */
static void *split_slot(void *arg)
{
	fixture_t *self = arg;
	struct {
		struct keel_memory_regions head;
		struct kvm_userspace_memory_region shorter;
	} c = { .head.nr = 1, .shorter = {
		.slot = SLOT, .guest_phys_addr = TOUCH_GPA, .memory_size = HUGE / 2,
		.userspace_addr = (u64)self->mem,
	} };

	vm_ioctl(self->vm, KEEL_SET_MEMORY_REGIONS, &c);
	return NULL;
}

static bool map_huge_page(fixture_t *self)
{
	madvise(self->mem, SIZE, MADV_HUGEPAGE);
	memset(self->mem, 0, SIZE);
	write_pages(self->vcpu, 32, 1000);
	return counter(self->vm->fd, "pages_2m");
}

TEST_F(mapping, write_before_the_slot_is_split_is_not_lost)
{
	REQUIRE(parameter_is_on("huge_pages"));
	ASSERT_TRUE(map_huge_page(self));
	ASSERT_EQ(0, madvise(self->mem, HUGE, MADV_FREE));
	write_pages(self->vcpu, 32, 2000);
	ASSERT_LT(0, counter(self->vm->fd, "pages_2m"));
	split_slot(self);
	EXPECT_EQ(0, lost_after_reclaim(self->mem, 32, 2000));
}

/* The guest has only read since the page was declared free, and writes in the midst of it. */
TEST_F(mapping, write_while_the_slot_is_split_is_not_lost)
{
	pthread_t thread;

	REQUIRE_CONTROL();
	REQUIRE(parameter_is_on("huge_pages"));
	ASSERT_TRUE(map_huge_page(self));
	ASSERT_EQ(0, madvise(self->mem, HUGE, MADV_FREE));
	touch_read(self->vcpu, TOUCH_GPA);
	ASSERT_LT(0, counter(self->vm->fd, "pages_2m"));
	set_delay(self->vm, "splitting", HOLD_MS);
	ASSERT_EQ(0, pthread_create(&thread, NULL, split_slot, self));
	wait_until_held(self->vm, "splitting");
	write_pages(self->vcpu, 32, 2000);
	pthread_join(thread, NULL);
	EXPECT_EQ(0, lost_after_reclaim(self->mem, 32, 2000));
}

KEEL_TEST_MAIN
