// SPDX-License-Identifier: GPL-2.0
/*
 * Dirty logging while the slots that log change: slid, exchanged, split, moved,
 * switched on under a guest that writes. A page that the log has told and that
 * is written to again must be told again, under whatever name it has by then.
 */
#include <linux/keel.h>
#include <linux/kvm_para.h>
#include <pthread.h>
#include <sys/mman.h>
#include "kselftest_harness.h"
#include "keel_test.h"
#include "control.h"
#include "guest.h"
#include "touch.h"

#define BASE		MMIO_GPA
#define PAGES		128
#define LOG		KVM_MEM_LOG_DIRTY_PAGES
#define ENTRIES		1024
#define RING_BYTES	(ENTRIES * sizeof(struct kvm_dirty_gfn))
#define MSR_WALL_CLOCK	0x4b564d00

struct change {
	struct keel_memory_regions head;
	struct kvm_userspace_memory_region room[8];
};

FIXTURE(dirty_slots) {
	struct vm *vm;
	struct vcpu *vcpu;
	u8 *mem;
	struct change c;
	u64 bits[2 * PAGES / 64];
	struct kvm_dirty_gfn *ring;	/* if there is one */
	u32 next;
};

typedef FIXTURE_DATA(dirty_slots) fixture_t;

FIXTURE_SETUP(dirty_slots)
{
	memset(self, 0, sizeof(*self));
	self->vm = vm_create();
	self->mem = anon_alloc(2 * PAGES * PAGE);
	memset(self->mem, 1, 2 * PAGES * PAGE);
}

FIXTURE_TEARDOWN(dirty_slots)
{
	if (self->ring)
		munmap(self->ring, RING_BYTES);
	vcpu_free(self->vcpu);
	vm_free(self->vm);
	munmap(self->mem, 2 * PAGES * PAGE);
}

static void enable(struct vm *vm, u32 which, u64 arg)
{
	struct kvm_enable_cap cap = { .cap = which, .args = { arg } };

	vm_ioctl(vm, KVM_ENABLE_CAP, &cap);
}

/* The guest's memory at page @at of BASE is that from page @from of @mem on. */
static struct kvm_userspace_memory_region region(fixture_t *self, u32 id, u64 at, u64 pages,
						 u64 from, u32 flags)
{
	return (struct kvm_userspace_memory_region){
		.slot = id, .flags = flags, .guest_phys_addr = BASE + at * PAGE,
		.memory_size = pages * PAGE,
		.userspace_addr = pages ? (unsigned long)self->mem + from * PAGE : 0,
	};
}

static void want(fixture_t *self, u32 id, u64 at, u64 pages, u64 from)
{
	self->c.head.regions[self->c.head.nr++] = region(self, id, at, pages, from, LOG);
}

static void commit(fixture_t *self)
{
	int ret = __vm_ioctl(self->vm, KEEL_SET_MEMORY_REGIONS, &self->c);

	CHECK(!ret, "%d", ret);
	self->c.head.nr = 0;
}

static void set(fixture_t *self, u32 id, u64 at, u64 pages, u64 from, u32 flags)
{
	struct kvm_userspace_memory_region r = region(self, id, at, pages, from, flags);

	vm_ioctl(self->vm, KVM_SET_USER_MEMORY_REGION, &r);
}

/* Write to page @page of BASE. */
static void write_page(fixture_t *self, u64 page)
{
	static u64 value;

	touch_write(self->vcpu, BASE + page * PAGE, ++value);
}

/* Take the log of @id; is page @page of the slot in it? */
static bool told(fixture_t *self, u32 id, u64 page)
{
	struct kvm_dirty_log log = { .slot = id, .dirty_bitmap = self->bits };

	memset(self->bits, 0, sizeof(self->bits));
	vm_ioctl(self->vm, KVM_GET_DIRTY_LOG, &log);
	return self->bits[page / 64] >> (page % 64) & 1;
}

#define NEEDS_BATCHES(self)						\
	REQUIRE(vm_has((self)->vm, KEEL_CAP_MEMORY_REGIONS))

/* --- bitmaps --------------------------------------------------------------- */

TEST_F(dirty_slots, a_slot_that_slides_over_its_own_memory)
{
	NEEDS_BATCHES(self);
	self->vcpu = touch_vcpu(self->vm, 0);
	set(self, 1, 0, 64, 0, LOG);
	write_page(self, 20);
	write_page(self, 40);
	/* The same page of memory is now page 10 of the slot, and page 30. */
	want(self, 1, 10, 64, 10);
	commit(self);
	EXPECT_TRUE(told(self, 1, 10));
	EXPECT_TRUE(self->bits[0] >> 30 & 1);
	EXPECT_EQ(1UL << 10 | 1UL << 30, self->bits[0]);
	write_page(self, 20);
	EXPECT_TRUE(told(self, 1, 10));
	write_page(self, 25);
	EXPECT_TRUE(told(self, 1, 15));
	EXPECT_EQ(1UL << 15, self->bits[0]);
}

TEST_F(dirty_slots, two_ids_that_change_places)
{
	NEEDS_BATCHES(self);
	self->vcpu = touch_vcpu(self->vm, 0);
	set(self, 1, 0, 64, 0, LOG);
	set(self, 2, 64, 64, 64, LOG);
	write_page(self, 5);
	write_page(self, 64 + 7);
	want(self, 1, 64, 64, 64);
	want(self, 2, 0, 64, 0);
	commit(self);
	EXPECT_TRUE(told(self, 1, 7));
	EXPECT_EQ(1UL << 7, self->bits[0]);
	EXPECT_TRUE(told(self, 2, 5));
	EXPECT_EQ(1UL << 5, self->bits[0]);
	write_page(self, 5);
	write_page(self, 64 + 7);
	EXPECT_TRUE(told(self, 1, 7));
	EXPECT_TRUE(told(self, 2, 5));
}

TEST_F(dirty_slots, an_id_moves_away_and_another_takes_its_memory)
{
	NEEDS_BATCHES(self);
	self->vcpu = touch_vcpu(self->vm, 0);
	set(self, 1, 0, 64, 0, LOG);
	write_page(self, 5);
	want(self, 1, 128, 64, 0);
	want(self, 2, 0, 64, 0);
	commit(self);
	/* Both show it: both tell it. */
	EXPECT_TRUE(told(self, 1, 5));
	EXPECT_TRUE(told(self, 2, 5));
	write_page(self, 5);
	EXPECT_TRUE(told(self, 2, 5));
	write_page(self, 128 + 5);
	EXPECT_TRUE(told(self, 1, 5));
}

TEST_F(dirty_slots, a_slot_that_moves_takes_its_marks_along)
{
	NEEDS_BATCHES(self);
	self->vcpu = touch_vcpu(self->vm, 0);
	set(self, 1, 0, 64, 0, LOG);
	set(self, 2, 64, 64, 64, LOG);
	write_page(self, 5);
	write_page(self, 64 + 6);
	want(self, 1, 200, 64, 0);
	want(self, 2, 64, 0, 0);
	commit(self);
	EXPECT_TRUE(told(self, 1, 5));
	EXPECT_EQ(1UL << 5, self->bits[0]);
	write_page(self, 200 + 5);
	EXPECT_TRUE(told(self, 1, 5));
}

TEST_F(dirty_slots, at_odd_offsets_every_mark_is_inherited)
{
	u64 page, shift;

	NEEDS_BATCHES(self);
	self->vcpu = touch_vcpu(self->vm, 0);
	for (shift = 1; shift < 70; shift += 17) {
		set(self, 1, 0, PAGES, 0, LOG);
		for (page = shift; page < PAGES; page += 3)
			write_page(self, page);
		want(self, 1, shift, PAGES - shift, shift);
		commit(self);
		told(self, 1, 0);
		for (page = shift; page < PAGES; page++)
			EXPECT_EQ((page - shift) % 3 == 0,
				  self->bits[(page - shift) / 64] >> ((page - shift) % 64) & 1)
				TH_LOG("shift %lu, page %lu", shift, page);
		set(self, 1, 0, 0, 0, 0);
	}
}

/* --- under a guest that writes ---------------------------------------------- */

static u64 count_told(fixture_t *self, u32 id)
{
	u64 i, n = 0;

	told(self, id, 0);
	for (i = 0; i < PAGES; i++)
		n += self->bits[i / 64] >> (i % 64) & 1;
	return n;
}

/* Once the ioctl has returned, all that is written is told, whenever it was mapped. */
TEST_F(dirty_slots, logging_begins_under_a_guest_that_writes)
{
	u64 offset = (TOUCH_GPA - BASE) / PAGE;
	int turn;

	self->vcpu = touch_vcpu(self->vm, 0);
	set(self, 1, offset, PAGES, 0, 0);
	touch_count(self->vcpu, TOUCH_GPA, PAGES);
	for (turn = 0; turn < 60; turn++) {
		set(self, 1, offset, PAGES, 0, LOG);
		touch_wait(self->vcpu, 2);
		EXPECT_EQ(PAGES, count_told(self, 1));
		touch_wait(self->vcpu, 2);
		/* Also of one that has not left the guest since. */
		EXPECT_EQ(PAGES, count_told(self, 1)) TH_LOG("turn %d", turn);
		set(self, 1, offset, PAGES, 0, 0);
	}
	touch_count_stop(self->vcpu);
}

/*
 * The guest counts in each page; the slot is taken to another place, and other
 * memory put in its own, and back. A copy made only of what the log told equals
 * the memory whenever nobody writes to that.
 */
TEST_F(dirty_slots, a_copy_by_the_log_is_complete_when_the_slot_has_moved)
{
	u64 offset = (TOUCH_GPA - BASE) / PAGE, page;
	u8 *copy = anon_alloc(PAGES * PAGE);
	int turn;

	NEEDS_BATCHES(self);
	self->vcpu = touch_vcpu(self->vm, 0);
	set(self, 1, offset, PAGES, 0, LOG);
	memcpy(copy, self->mem, PAGES * PAGE);
	touch_count(self->vcpu, TOUCH_GPA, PAGES);
	for (turn = 0; turn < 40; turn++) {
		touch_wait(self->vcpu, 1);
		want(self, 1, offset + 4 * PAGES, PAGES, 0);
		want(self, 2, offset, PAGES, PAGES);
		commit(self);
		told(self, 1, 0);
		for (page = 0; page < PAGES; page++) {
			if (self->bits[page / 64] >> (page % 64) & 1)
				memcpy(copy + page * PAGE, self->mem + page * PAGE, PAGE);
		}
		for (page = 0; page < PAGES; page++)
			EXPECT_EQ(0, memcmp(copy + page * PAGE, self->mem + page * PAGE, PAGE))
				TH_LOG("turn %d, page %lu", turn, page);
		want(self, 2, offset, 0, 0);
		want(self, 1, offset, PAGES, 0);
		commit(self);
	}
	touch_count_stop(self->vcpu);
	munmap(copy, PAGES * PAGE);
}

/* --- rings -------------------------------------------------------------------- */

static void use_ring(fixture_t *self)
{
	enable(self->vm, KVM_CAP_DIRTY_LOG_RING_ACQ_REL, RING_BYTES);
	self->vcpu = touch_vcpu(self->vm, 0);
	self->ring = mmap(NULL, RING_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, self->vcpu->fd,
			  KVM_DIRTY_LOG_PAGE_OFFSET * PAGE);
	CHECK(self->ring != MAP_FAILED, "no ring");
}

/* Take all entries there are; was page @page of slot @id among them? */
static bool ring_tells(fixture_t *self, u32 id, u64 page)
{
	bool found = false;

	for (;; self->next++) {
		struct kvm_dirty_gfn *e = &self->ring[self->next % ENTRIES];

		if (__atomic_load_n(&e->flags, __ATOMIC_ACQUIRE) != KVM_DIRTY_GFN_F_DIRTY)
			return found;
		found |= e->slot == id && e->offset == page;
		__atomic_store_n(&e->flags, KVM_DIRTY_GFN_F_RESET, __ATOMIC_RELEASE);
	}
}

#define NEEDS_RING(self)						\
	REQUIRE(vm_has((self)->vm, KVM_CAP_DIRTY_LOG_RING_ACQ_REL))

TEST_F(dirty_slots, a_slot_with_a_ring_is_split)
{
	NEEDS_RING(self);
	NEEDS_BATCHES(self);
	use_ring(self);
	set(self, 1, 0, PAGES, 0, LOG);
	write_page(self, 100);
	want(self, 1, 0, 64, 0);
	want(self, 2, 64, 64, 64);
	commit(self);
	EXPECT_TRUE(ring_tells(self, 1, 100));
	vm_ioctl(self->vm, KVM_RESET_DIRTY_RINGS, 0);
	write_page(self, 100);
	EXPECT_TRUE(ring_tells(self, 2, 36));
}

TEST_F(dirty_slots, a_slot_with_a_ring_slides)
{
	NEEDS_RING(self);
	NEEDS_BATCHES(self);
	use_ring(self);
	set(self, 1, 0, 64, 0, LOG);
	write_page(self, 20);
	want(self, 1, 10, 64, 10);
	commit(self);
	ring_tells(self, 1, 20);
	vm_ioctl(self->vm, KVM_RESET_DIRTY_RINGS, 0);
	write_page(self, 20);
	EXPECT_TRUE(ring_tells(self, 1, 10));
}

TEST_F(dirty_slots, a_ring_tells_pages_mapped_before_though_all_were_set_at_first)
{
	NEEDS_RING(self);
	REQUIRE(vm_has(self->vm, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2));
	enable(self->vm, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2,
	       KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE | KVM_DIRTY_LOG_INITIALLY_SET);
	use_ring(self);
	set(self, 1, 0, PAGES, 0, 0);
	write_page(self, 9);
	set(self, 1, 0, PAGES, 0, LOG);
	write_page(self, 9);
	EXPECT_TRUE(ring_tells(self, 1, 9));
}

/* Each entry of the ioctl writes to guest memory; the ring has an end, the VM has not. */
TEST_F(dirty_slots, an_ioctl_cannot_overflow_the_ring)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry[200];
	} msrs = { .head.nmsrs = 200 };
	int turn, i, done;

	NEEDS_RING(self);
	use_ring(self);
	vcpu_set_cpuid(self->vcpu);
	set(self, 1, 0, PAGES, 0, LOG);
	for (i = 0; i < 200; i++)
		msrs.entry[i] = (struct kvm_msr_entry){
			.index = MSR_WALL_CLOCK, .data = BASE + (i % PAGES) * PAGE,
		};
	for (turn = 0; turn < 8; turn++)
		done = __vcpu_ioctl(self->vcpu, KVM_SET_MSRS, &msrs);
	/* No more than there is room for; and all goes on once there is. */
	EXPECT_GT(200, done);
	ring_tells(self, 1, 0);
	vm_ioctl(self->vm, KVM_RESET_DIRTY_RINGS, 0);
	EXPECT_LT(0, __vcpu_ioctl(self->vcpu, KVM_SET_MSRS, &msrs));
	ring_tells(self, 1, 0);
	vm_ioctl(self->vm, KVM_RESET_DIRTY_RINGS, 0);
	write_page(self, 9);
	EXPECT_TRUE(ring_tells(self, 1, 9));
}

KEEL_TEST_MAIN
