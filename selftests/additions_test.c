// SPDX-License-Identifier: GPL-2.0
/*
 * Changes of slots while somebody sleeps in one of them, because its memory is
 * missing: whoever supplies it may want to add slots first, and must not wait.
 * A vCPU that has faulted on it holds up nothing; an instruction that the kernel
 * carries out holds up what takes away. The rules of generations are in
 * protocol_test.
 */
#include <sched.h>
#include <time.h>
#include <linux/keel.h>
#include "kselftest_harness.h"
#include "control.h"
#include "guest.h"
#include "order.h"

#define X		MMIO_GPA		/* in no slot */
#define MISSING		0x20000000UL		/* shows the memory that is missing */
#define ELSEWHERE	0x30000000UL		/* slots that nobody looks at */
#define MEMORY		0x3e30UL
#define OTHER		0x07e5UL
#define MANY		200
#define HOLD_MS		400

#define SPREAD		0x40000000UL		/* much memory in small pages */
#define PAGES		8192UL

FIXTURE(additions) {
	struct vm *vm;
	struct run run[2];
	struct pending missing;
	u8 *other;		/* begins with OTHER */
	bool usable;
	int added;
};

typedef FIXTURE_DATA(additions) fixture_t;

FIXTURE_SETUP(additions)
{
	int i;

	if (!test_is_wanted(_metadata->name))
		SKIP(longjmp(_metadata->env, 1), "not asked for");
	self->vm = vm_create();
	for (i = 0; i < 2; i++) {
		run_create(&self->run[i], self->vm, i);
		/* The guest's own pages are mapped from now on. */
		run_read(&self->run[i], X + (1 + i) * PAGE);
	}
	self->other = anon_alloc(PAGE);
	*(u64 *)self->other = OTHER;
	self->usable = pending_open(&self->missing, 1) && dev_is_keel();
	vm_set_slot(self->vm, 1, 0, MISSING, PAGE, self->missing.mem);
	vm_set_slot(self->vm, 2, 0, ELSEWHERE, PAGE, self->other);
}

FIXTURE_TEARDOWN(additions)
{
	int i;

	for (i = 0; i < 2; i++)
		vcpu_free(self->run[i].vcpu);
	vm_free(self->vm);
	if (self->missing.size)
		pending_close(&self->missing);
	munmap(self->other, PAGE);
}

/* On kvm-intel updates wait for every vCPU. */
#define REQUIRE_USERFAULTFD() REQUIRE(self->usable)

static void add(fixture_t *self)
{
	self->added++;
	vm_set_slot(self->vm, 100 + self->added, 0, ELSEWHERE + 2 * self->added * PAGE, PAGE,
		    self->other);
}

static void add_many(void *arg)
{
	int i;

	for (i = 0; i < MANY; i++)
		add(arg);
}

static void delete_elsewhere(void *arg)
{
	fixture_t *self = arg;

	vm_set_slot(self->vm, 2, 0, ELSEWHERE, 0, NULL);
}

/* --- a fault that waits for its page ---------------------------------------- */

/* vCPU 0 reads the missing page, and sleeps. */
static void begin_fault(fixture_t *self)
{
	run_start_read(&self->run[0], MISSING);
	pending_wait(&self->missing);
}

static void end_fault(fixture_t *self)
{
	pending_serve(&self->missing, MEMORY);
	pending_join(&self->run[0].call);
}

TEST_F(additions, many_return_while_a_fault_is_pending)
{
	struct pending_call c;

	REQUIRE_USERFAULTFD();
	begin_fault(self);
	pending_start(&c, add_many, self);
	EXPECT_TRUE(pending_returns(&c));
	EXPECT_FALSE(pending_returned(&self->run[0].call));
	end_fault(self);
	pending_join(&c);
	EXPECT_EQ(MEMORY, self->run[0].result);
}

/* The fault is no reader of the old slots, so verdicts count again at once. */
TEST_F(additions, verdicts_are_kept_while_a_fault_is_pending)
{
	struct vcpu *vcpu = self->run[1].vcpu;
	u64 hits, n;

	REQUIRE_USERFAULTFD();
	REQUIRE(counter_find(vcpu->fd, "mmio_spte_hit", &n) && parameter_is_on("mmio_caching"));
	begin_fault(self);
	add(self);
	run_read(&self->run[1], X);
	usleep(100000);
	run_read(&self->run[1], X);
	hits = counter(vcpu->fd, "mmio_spte_hit");
	EXPECT_EQ(ORDER_DEVICE, run_read(&self->run[1], X));
	EXPECT_EQ(hits + 1, counter(vcpu->fd, "mmio_spte_hit"));
	EXPECT_FALSE(pending_returned(&self->run[0].call));
	end_fault(self);
}

TEST_F(additions, deletion_does_not_wait_for_a_fault)
{
	struct pending_call c;

	REQUIRE_USERFAULTFD();
	begin_fault(self);
	pending_start(&c, delete_elsewhere, self);
	EXPECT_TRUE(pending_returns(&c));
	EXPECT_FALSE(pending_returned(&self->run[0].call));
	end_fault(self);
	pending_join(&c);
	EXPECT_EQ(MEMORY, self->run[0].result);
}

/* Other memory takes the place of what is missing. */
static void replace_missing(void *arg)
{
	fixture_t *self = arg;

	vm_set_slot(self->vm, 1, 0, MISSING, 0, NULL);
	vm_set_slot(self->vm, 1, 0, MISSING, PAGE, self->other);
}

TEST_F(additions, fault_that_has_waited_finds_the_slots_of_now)
{
	struct pending_call c;

	REQUIRE_USERFAULTFD();
	begin_fault(self);
	pending_start(&c, replace_missing, self);
	EXPECT_TRUE(pending_returns(&c));
	end_fault(self);
	pending_join(&c);
	EXPECT_EQ(OTHER, self->run[0].result);
	EXPECT_EQ(OTHER, run_read(&self->run[0], MISSING));
}

/* What has become of memory that no slot shows any more is no error of the vCPU's. */
TEST_F(additions, fault_outlives_the_memory_it_has_waited_for)
{
	struct pending_call c;

	REQUIRE_USERFAULTFD();
	begin_fault(self);
	pending_start(&c, replace_missing, self);
	EXPECT_TRUE(pending_returns(&c));
	pending_close(&self->missing);
	pending_join(&c);
	pending_join(&self->run[0].call);
	EXPECT_EQ(OTHER, self->run[0].result);
}

/* No memory at all: what the guest reads is a device. */
static void delete_missing(void *arg)
{
	fixture_t *self = arg;

	vm_set_slot(self->vm, 1, 0, MISSING, 0, NULL);
}

TEST_F(additions, fault_that_has_waited_finds_that_its_slot_is_gone)
{
	struct pending_call c;

	REQUIRE_USERFAULTFD();
	begin_fault(self);
	pending_start(&c, delete_missing, self);
	EXPECT_TRUE(pending_returns(&c));
	end_fault(self);
	pending_join(&c);
	EXPECT_EQ(1, self->run[0].exits);
	EXPECT_EQ(ORDER_DEVICE, self->run[0].result);
}

/* --- an instruction that waits for its page ---------------------------------- */

/* vCPU 0 copies from a device to the missing page: the kernel does, and sleeps. */
static void begin_copy(fixture_t *self)
{
	run_start_copy(&self->run[0], X, MISSING);
	pending_wait(&self->missing);
}

TEST_F(additions, many_return_while_an_instruction_is_pending)
{
	struct pending_call c;

	REQUIRE_USERFAULTFD();
	begin_copy(self);
	pending_start(&c, add_many, self);
	EXPECT_TRUE(pending_returns(&c));
	EXPECT_FALSE(pending_returned(&self->run[0].call));
	end_fault(self);
	pending_join(&c);
	EXPECT_EQ(1, self->run[0].exits);
	EXPECT_EQ(ORDER_DEVICE, *(u64 *)self->missing.mem);
	/* What has been added meanwhile is there. */
	EXPECT_EQ(OTHER, run_read(&self->run[1], ELSEWHERE + 2 * MANY * PAGE));
}

/* The instruction works with the slots that it began with, so they must stay. */
TEST_F(additions, deletion_waits_for_an_instruction)
{
	struct pending_call c;

	REQUIRE_USERFAULTFD();
	begin_copy(self);
	pending_start(&c, delete_elsewhere, self);
	usleep(HOLD_MS * 1000);
	EXPECT_FALSE(pending_returned(&c));
	end_fault(self);
	pending_join(&c);
	EXPECT_EQ(ORDER_DEVICE, *(u64 *)self->missing.mem);
}

/* Another slot takes the memory over, and logs as well. */
static void rename_slot(void *arg)
{
	fixture_t *self = arg;
	struct {
		struct keel_memory_regions head;
		struct kvm_userspace_memory_region old, new;
	} c = {
		.head.nr = 2,
		.old = { .slot = 1, .guest_phys_addr = MISSING },
		.new = {
			.slot = 3, .flags = KVM_MEM_LOG_DIRTY_PAGES, .guest_phys_addr = MISSING,
			.memory_size = PAGE, .userspace_addr = (u64)self->missing.mem,
		},
	};

	vm_ioctl(self->vm, KEEL_SET_MEMORY_REGIONS, &c);
}

/* What it writes at last is marked in the slot that it has found, and is known in the other. */
TEST_F(additions, mark_of_an_instruction_that_has_waited_is_passed_on)
{
	u64 bits = 0;
	struct kvm_dirty_log log = { .slot = 3, .dirty_bitmap = &bits };
	struct pending_call c;

	REQUIRE_USERFAULTFD();
	vm_set_slot(self->vm, 1, KVM_MEM_LOG_DIRTY_PAGES, MISSING, PAGE, self->missing.mem);
	begin_copy(self);
	pending_start(&c, rename_slot, self);
	usleep(HOLD_MS * 1000);
	EXPECT_FALSE(pending_returned(&c));
	end_fault(self);
	pending_join(&c);
	EXPECT_EQ(ORDER_DEVICE, *(u64 *)self->missing.mem);
	vm_ioctl(self->vm, KVM_GET_DIRTY_LOG, &log);
	EXPECT_EQ(1, bits);
}

/* --- a slot with much in it -------------------------------------------------- */

/* Those who fault on what goes must not make the removal flush for each page. */
TEST_F(additions, deletion_under_writers_flushes_for_few_pages)
{
	u8 *mem = anon_alloc(PAGES * PAGE);
	u64 early, i;

	REQUIRE(counter_find(self->vm->fd, "early_flushes", &early));
	madvise(mem, PAGES * PAGE, MADV_NOHUGEPAGE);
	vm_set_slot(self->vm, 3, 0, SPREAD, PAGES * PAGE, mem);
	for (i = 0; i < 2; i++)
		run_start_sweep(&self->run[i], SPREAD, PAGES);
	for (i = 0; i < 2; i++)
		while (run_written(&self->run[i]) < PAGES)
			sched_yield();
	early = counter(self->vm->fd, "early_flushes");
	vm_set_slot(self->vm, 3, 0, SPREAD, 0, mem);
	early = counter(self->vm->fd, "early_flushes") - early;
	TH_LOG("%lu early flushes", early);
	EXPECT_GT(PAGES / 64, early);
	for (i = 0; i < 2; i++)
		run_stop(&self->run[i]);
	munmap(mem, PAGES * PAGE);
}

/* --- readers that come one after the other, held in a test build ------------- */

static u64 now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Begin to read what nobody has touched before, and be held after the look-up. */
static void begin_held(fixture_t *self, int i)
{
	set_delay(self->vm, "looked_up", HOLD_MS);
	run_start_read(&self->run[i], X + (3 + i) * PAGE);
	wait_until_held(self->vm, "looked_up");
}

/* Add slots until @end; has there been an even generation after @before? */
static bool add_until(fixture_t *self, u64 end, u64 before)
{
	bool settled = false;

	while (now_ms() < end) {
		add(self);
		settled |= (generation(self->vm, 0) & ~1UL) > before;
		usleep(1000);
	}
	return settled;
}

/*
 * One reader that began before the first addition, and one that began between
 * two of them and outlasts it. Only the first keeps the flag set.
 */
TEST_F(additions, stream_settles_though_later_readers_are_left)
{
	u64 before, begin;

	REQUIRE(has_control(self->vm));
	before = generation(self->vm, 0);
	begin = now_ms();
	begin_held(self, 0);
	EXPECT_FALSE(add_until(self, begin + HOLD_MS / 2, before));
	begin_held(self, 1);
	EXPECT_TRUE(add_until(self, begin + HOLD_MS * 5 / 4, before));
	EXPECT_FALSE(pending_returned(&self->run[1].call));
	pending_join(&self->run[0].call);
	pending_join(&self->run[1].call);
}

KEEL_TEST_MAIN
