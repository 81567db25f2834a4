// SPDX-License-Identifier: GPL-2.0
/*
 * KEEL_SET_MEMORY_REGIONS and slots changed in place: every refusal, which
 * changes nothing; what the guest sees of each change; and that what keeps its
 * host address stays mapped. reshape_test does the stress.
 */
#include <linux/keel.h>
#include <sys/mman.h>
#include "kselftest_harness.h"
#include "keel_test.h"
#include "guest.h"
#include "control.h"

#define A MMIO_GPA
#define B (A + 16 * PAGE)
#define SPARE (A + HUGE)
#define MANY 512

struct change {
	struct keel_memory_regions head;
	struct kvm_userspace_memory_region room[MANY + 1];
};

static struct {
	u64 addr, value, write;
} command;

static void guest_access(void)
{
	volatile typeof(command) *c = &command;

	for (;;) {
		if (c->write)
			guest_write64(c->addr, c->value);
		guest_sync(guest_read64(c->addr));
	}
}

FIXTURE(regions) {
	struct vm *vm;
	struct vcpu *vcpu;
	u8 *mem;			/* each page begins with its number + 1 */
	struct change c;
};

typedef FIXTURE_DATA(regions) fixture_t;

FIXTURE_SETUP(regions)
{
	u64 i;

	self->vm = vm_create();
	if (!vm_has(self->vm, KEEL_CAP_MEMORY_REGIONS))
		SKIP(longjmp(_metadata->env, 1), "slots cannot be changed as one");
	self->vcpu = vcpu_create(self->vm, 0, guest_access);
	self->mem = anon_alloc(2 * HUGE);
	for (i = 0; i < 2 * HUGE / PAGE; i++)
		*(u64 *)(self->mem + i * PAGE) = i + 1;
	self->c.head.nr = 0;
}

FIXTURE_TEARDOWN(regions)
{
	vcpu_free(self->vcpu);
	vm_free(self->vm);
	munmap(self->mem, 2 * HUGE);
}

/* One more change to be made: @page of the memory is what lies at @gpa. */
static void want(fixture_t *self, u32 id, u64 gpa, u64 pages, u64 page, u32 flags)
{
	self->c.head.regions[self->c.head.nr++] = (struct kvm_userspace_memory_region){
		.slot = id,
		.flags = flags,
		.guest_phys_addr = gpa,
		.memory_size = pages * PAGE,
		.userspace_addr = pages ? (unsigned long)self->mem + page * PAGE : 0,
	};
}

static int apply(fixture_t *self)
{
	int ret = __vm_ioctl(self->vm, KEEL_SET_MEMORY_REGIONS, &self->c);

	memset(&self->c, 0, sizeof(self->c));
	return ret;
}

#define DEVICE 0UL
#define BROKEN ~0UL

/* What a read at @gpa finds: a page's number + 1, or DEVICE. */
static u64 found(fixture_t *self, u64 gpa)
{
	int reason;

	GUEST_VAR(self->vm, command).addr = gpa;
	GUEST_VAR(self->vm, command).write = 0;
	reason = vcpu_next(self->vcpu);
	if (reason == GUEST_SYNC)
		return self->vcpu->arg[0];
	if (reason != KVM_EXIT_MMIO || self->vcpu->run->mmio.phys_addr != gpa)
		return BROKEN;
	memset(self->vcpu->run->mmio.data, 0, 8);
	return vcpu_sync(self->vcpu);
}

/* Does a write at @gpa end in memory? */
static bool writable(fixture_t *self, u64 gpa, u64 value)
{
	bool exits;

	GUEST_VAR(self->vm, command).addr = gpa;
	GUEST_VAR(self->vm, command).value = value;
	GUEST_VAR(self->vm, command).write = 1;
	exits = vcpu_next(self->vcpu) == KVM_EXIT_MMIO;
	while (exits && vcpu_next(self->vcpu) == KVM_EXIT_MMIO)
		;
	return !exits;
}

static void expect_found(struct __test_metadata *_metadata, fixture_t *self, u64 gpa, u64 pages,
			 u64 page)
{
	u64 i;

	for (i = 0; i < pages; i++)
		EXPECT_EQ(page + 1 + i, found(self, gpa + i * PAGE)) {
			TH_LOG("page %lu at %#lx", i, gpa);
		}
}

static u64 faults(fixture_t *self)
{
	return counter(self->vcpu->fd, "page_faults") + counter(self->vcpu->fd, "mmio_misconfig");
}

TEST_F(regions, refusals_change_nothing)
{
	struct vm *vm = self->vm;
	int i;

	want(self, 1, A, 4, 0, 0);
	EXPECT_EQ(0, apply(self));
	EXPECT_EQ(0, apply(self));
	EXPECT_EQ(-EFAULT, __vm_ioctl(vm, KEEL_SET_MEMORY_REGIONS, 8));
	self->c.head.flags = 1;
	EXPECT_EQ(-EINVAL, apply(self));
	for (i = 0; i <= MANY; i++)
		want(self, 10 + i, B + 2 * i * PAGE, 1, i, 0);
	EXPECT_EQ(-E2BIG, apply(self));

	/* Each of these comes with a change that would be right. */
	want(self, 2, B, 1, 0, 0);
	want(self, 2, B + PAGE, 1, 1, 0);
	EXPECT_EQ(-EINVAL, apply(self));
	want(self, 2, B, 1, 0, 0);
	want(self, 1 << 16 | 3, B + PAGE, 1, 1, 0);
	EXPECT_EQ(-EINVAL, apply(self));
	want(self, 2, B, 1, 0, 0);
	want(self, 3, 0, 0, 0, 0);
	EXPECT_EQ(-EINVAL, apply(self));
	want(self, 2, B, 1, 0, 0);
	want(self, 3, B + PAGE + 1, 1, 1, 0);
	EXPECT_EQ(-EINVAL, apply(self));
	want(self, 2, B, 1, 0, 0);
	want(self, 3, B + PAGE, 1, 1, 1 << 7);
	EXPECT_EQ(-EINVAL, apply(self));
	want(self, 2, B, 1, 0, 0);
	want(self, 32764, B + PAGE, 1, 1, 0);
	EXPECT_EQ(-EINVAL, apply(self));
	want(self, 2, B, 1, 0, 0);
	want(self, 3, 1UL << 52, 1, 1, 0);
	EXPECT_EQ(-EINVAL, apply(self));
	want(self, 2, B, 2, 0, 0);
	want(self, 3, B + PAGE, 1, 1, 0);
	EXPECT_EQ(-EEXIST, apply(self));
	want(self, 1, A, 8, 0, 0);
	want(self, 2, A + 7 * PAGE, 1, 0, 0);
	EXPECT_EQ(-EEXIST, apply(self));
	want(self, 1, 0, 0, 0, 0);
	want(self, 2, 0, 4, 0, 0);
	EXPECT_EQ(-EEXIST, apply(self));

	expect_found(_metadata, self, A, 4, 0);
	EXPECT_EQ(DEVICE, found(self, A + 4 * PAGE));
	EXPECT_EQ(DEVICE, found(self, B));
	EXPECT_EQ(DEVICE, found(self, B + PAGE));
}

/* The array ends where memory does: nothing of it is applied. */
TEST_F(regions, array_that_cannot_be_read)
{
	u8 *two = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t size = sizeof(struct keel_memory_regions) + sizeof(self->c.room[0]);
	struct keel_memory_regions *head = (void *)(two + PAGE - size);

	ASSERT_NE(MAP_FAILED, two);
	ASSERT_EQ(0, mprotect(two + PAGE, PAGE, PROT_NONE));
	want(self, 1, A, 1, 0, 0);
	memcpy(head, &self->c, size);
	head->nr = 2;
	EXPECT_EQ(-EFAULT, __vm_ioctl(self->vm, KEEL_SET_MEMORY_REGIONS, head));
	EXPECT_EQ(DEVICE, found(self, A));
	head->nr = 1;
	EXPECT_EQ(0, __vm_ioctl(self->vm, KEEL_SET_MEMORY_REGIONS, head));
	expect_found(_metadata, self, A, 1, 0);
	munmap(two, 2 * PAGE);
}

TEST_F(regions, as_many_as_there_may_be)
{
	int i;

	for (i = 0; i < MANY; i++)
		want(self, 1 + i, A + 2 * i * PAGE, 1, i, 0);
	EXPECT_EQ(0, apply(self));
	for (i = 0; i < MANY; i += 37) {
		EXPECT_EQ(i + 1, found(self, A + 2 * i * PAGE));
		EXPECT_EQ(DEVICE, found(self, A + (2 * i + 1) * PAGE));
	}
	for (i = 0; i < MANY; i++)
		want(self, 1 + i, 0, 0, 0, 0);
	EXPECT_EQ(0, apply(self));
	for (i = 0; i < MANY; i += 37)
		EXPECT_EQ(DEVICE, found(self, A + 2 * i * PAGE));
}

/*
 * However many mappings go, they leave the TLBs at one stroke; but where another
 * task waits for the CPU, what has gone so far is flushed first, and counted.
 */
TEST_F(regions, many_deletions_flush_once)
{
	u64 flushes, early, pages;
	int i;

	/* Collapsing them into a huge page would flush as well. */
	madvise(self->mem, 2 * HUGE, MADV_NOHUGEPAGE);
	for (i = 0; i < 64; i++)
		want(self, 1 + i, A + 2 * i * PAGE, 1, i, 0);
	EXPECT_EQ(0, apply(self));
	for (i = 0; i < 64; i++)
		EXPECT_EQ(i + 1, found(self, A + 2 * i * PAGE));
	flushes = counter(self->vm->fd, "remote_flushes");
	early = counter(self->vm->fd, "early_flushes");
	pages = counter(self->vm->fd, "pages_4k");
	for (i = 0; i < 64; i++)
		want(self, 1 + i, 0, 0, 0, 0);
	EXPECT_EQ(0, apply(self));
	flushes = counter(self->vm->fd, "remote_flushes") - flushes;
	early = counter(self->vm->fd, "early_flushes") - early;
	/* The last removal may itself have given way: then nothing is owed at the end. */
	EXPECT_LE(1, flushes);
	EXPECT_LE(early, flushes);
	EXPECT_LE(flushes, early + 1);
	EXPECT_EQ(pages - 64, counter(self->vm->fd, "pages_4k"));
	for (i = 0; i < 64; i++)
		EXPECT_EQ(DEVICE, found(self, A + 2 * i * PAGE));
}

TEST_F(regions, slots_change_places)
{
	want(self, 1, A, 4, 0, 0);
	want(self, 2, B, 4, 8, 0);
	EXPECT_EQ(0, apply(self));
	expect_found(_metadata, self, A, 4, 0);
	expect_found(_metadata, self, B, 4, 8);
	want(self, 1, B, 4, 0, 0);
	want(self, 2, A, 4, 8, 0);
	EXPECT_EQ(0, apply(self));
	expect_found(_metadata, self, A, 4, 8);
	expect_found(_metadata, self, B, 4, 0);
	/* A chain: one goes, one takes its place, a new one takes that one's. */
	want(self, 1, 0, 0, 0, 0);
	want(self, 2, B, 4, 8, 0);
	want(self, 3, A, 4, 20, 0);
	EXPECT_EQ(0, apply(self));
	expect_found(_metadata, self, A, 4, 20);
	expect_found(_metadata, self, B, 4, 8);
}

/* Other memory at the same place: nothing of the old one may stay mapped. */
TEST_F(regions, host_address_changes)
{
	want(self, 1, A, 8, 0, 0);
	EXPECT_EQ(0, apply(self));
	expect_found(_metadata, self, A, 8, 0);
	want(self, 1, A, 8, 100, 0);
	EXPECT_EQ(0, apply(self));
	expect_found(_metadata, self, A, 8, 100);
	/* Also where only a part of it changes. */
	want(self, 1, A, 3, 100, 0);
	want(self, 2, A + 3 * PAGE, 2, 7, 0);
	want(self, 3, A + 5 * PAGE, 3, 105, 0);
	EXPECT_EQ(0, apply(self));
	expect_found(_metadata, self, A, 3, 100);
	expect_found(_metadata, self, A + 3 * PAGE, 2, 7);
	expect_found(_metadata, self, A + 5 * PAGE, 3, 105);
}

TEST_F(regions, what_keeps_its_place_stays_mapped)
{
	u64 before, zapped;
	int round;

	want(self, 1, A, 16, 0, 0);
	EXPECT_EQ(0, apply(self));
	expect_found(_metadata, self, A, 16, 0);
	for (round = 0; round < 3; round++) {
		before = faults(self);
		zapped = counter(self->vm->fd, "zapped_ptes");
		want(self, 1, A, 5, 0, 0);
		want(self, 2, A + 5 * PAGE, 6, 5, 0);
		want(self, 3, A + 11 * PAGE, 5, 11, 0);
		EXPECT_EQ(0, apply(self));
		expect_found(_metadata, self, A, 16, 0);
		/* Merged again, by another one of them, and longer. */
		want(self, 1, 0, 0, 0, 0);
		want(self, 2, A, 20, 0, 0);
		want(self, 3, 0, 0, 0, 0);
		EXPECT_EQ(0, apply(self));
		expect_found(_metadata, self, A, 16, 0);
		EXPECT_EQ(before, faults(self));
		EXPECT_EQ(zapped, counter(self->vm->fd, "zapped_ptes"));
		/* Shorter: what is cut off goes, and no more. */
		want(self, 1, A, 16, 0, 0);
		want(self, 2, 0, 0, 0, 0);
		EXPECT_EQ(0, apply(self));
		expect_found(_metadata, self, A, 16, 0);
		EXPECT_EQ(before, faults(self));
		EXPECT_EQ(DEVICE, found(self, A + 16 * PAGE));
	}
	want(self, 1, A, 15, 0, 0);
	EXPECT_EQ(0, apply(self));
	EXPECT_EQ(zapped + 1, counter(self->vm->fd, "zapped_ptes"));
	EXPECT_EQ(DEVICE, found(self, A + 15 * PAGE));
	expect_found(_metadata, self, A, 15, 0);
}

TEST_F(regions, read_only_on_and_off_in_place)
{
	u64 before;
	int i;

	want(self, 1, A, 4, 0, 0);
	EXPECT_EQ(0, apply(self));
	EXPECT_TRUE(writable(self, A, 1));
	for (i = 0; i < 3; i++) {
		before = faults(self);
		want(self, 1, A, 4, 0, KVM_MEM_READONLY);
		EXPECT_EQ(0, apply(self));
		EXPECT_EQ(1, found(self, A));
		EXPECT_EQ(before, faults(self));
		EXPECT_FALSE(writable(self, A, 77));
		EXPECT_EQ(1, found(self, A));
		want(self, 1, A, 4, 0, 0);
		EXPECT_EQ(0, apply(self));
		EXPECT_TRUE(writable(self, A, 1));
	}
	/* Of a part only. */
	want(self, 1, A, 2, 0, 0);
	want(self, 2, A + 2 * PAGE, 2, 2, KVM_MEM_READONLY);
	EXPECT_EQ(0, apply(self));
	EXPECT_TRUE(writable(self, A + PAGE, 2));
	EXPECT_FALSE(writable(self, A + 2 * PAGE, 3));
}

/* The memory begins anew, all 0. */
static void use_huge_pages(fixture_t *self)
{
	madvise(self->mem, 2 * HUGE, MADV_DONTNEED);
	madvise(self->mem, 2 * HUGE, MADV_HUGEPAGE);
	memset(self->mem, 0, 2 * HUGE);
}

/* A huge page that gets an edge is split, and so nothing is unmapped. */
TEST_F(regions, huge_pages_are_split_at_the_edge)
{
	u64 before;

	REQUIRE(parameter_is_on("huge_pages"));
	use_huge_pages(self);
	*(u64 *)(self->mem + 300 * PAGE) = 301;
	*(u64 *)(self->mem + 400 * PAGE) = 401;
	want(self, 1, A, 1024, 0, 0);
	EXPECT_EQ(0, apply(self));
	EXPECT_EQ(301, found(self, A + 300 * PAGE));
	EXPECT_EQ(0, found(self, A + 700 * PAGE));
	EXPECT_EQ(2, counter(self->vm->fd, "pages_2m"));
	before = faults(self);
	want(self, 1, A, 333, 0, 0);
	want(self, 2, A + 333 * PAGE, 1024 - 333, 333, 0);
	EXPECT_EQ(0, apply(self));
	EXPECT_EQ(1, counter(self->vm->fd, "pages_2m"));
	EXPECT_EQ(301, found(self, A + 300 * PAGE));
	EXPECT_EQ(401, found(self, A + 400 * PAGE));
	EXPECT_EQ(before, faults(self));
	/* One of the two goes: the other does not notice. */
	want(self, 2, 0, 0, 0, 0);
	EXPECT_EQ(0, apply(self));
	EXPECT_EQ(301, found(self, A + 300 * PAGE));
	EXPECT_EQ(before, faults(self));
	EXPECT_EQ(DEVICE, found(self, A + 400 * PAGE));
	EXPECT_EQ(0, counter(self->vm->fd, "pages_2m"));
}

/* Read-only while it is huge; written again, it is what it was. */
TEST_F(regions, huge_pages_become_read_only)
{
	REQUIRE(parameter_is_on("huge_pages"));
	use_huge_pages(self);
	want(self, 1, A, 1024, 0, 0);
	EXPECT_EQ(0, apply(self));
	EXPECT_TRUE(writable(self, A + 8, 5));
	want(self, 1, A, 1024, 0, KVM_MEM_READONLY);
	EXPECT_EQ(0, apply(self));
	EXPECT_FALSE(writable(self, A + 8, 6));
	EXPECT_EQ(5, found(self, A + 8));
	EXPECT_EQ(1, counter(self->vm->fd, "pages_2m"));
}

static int set(fixture_t *self, u64 pages, u64 page, u32 flags)
{
	return __vm_set_slot(self->vm, 1, flags, A, pages * PAGE, self->mem + page * PAGE);
}

/* Without the capability KVM's refusals stay what they are. */
TEST_F(regions, kvm_ioctl_changes_in_place_if_asked)
{
	struct kvm_enable_cap cap = { .cap = KEEL_CAP_MEMORY_IN_PLACE };

	EXPECT_EQ(0, set(self, 4, 0, 0));
	expect_found(_metadata, self, A, 4, 0);
	EXPECT_EQ(-EINVAL, set(self, 8, 0, 0));
	EXPECT_EQ(-EINVAL, set(self, 2, 0, 0));
	EXPECT_EQ(-EINVAL, set(self, 4, 0, KVM_MEM_READONLY));
	EXPECT_EQ(-EINVAL, set(self, 4, 1, 0));

	cap.flags = 1;
	EXPECT_EQ(-EINVAL, __vm_ioctl(self->vm, KVM_ENABLE_CAP, &cap));
	cap.flags = 0;
	cap.args[0] = 1;
	EXPECT_EQ(-EINVAL, __vm_ioctl(self->vm, KVM_ENABLE_CAP, &cap));
	cap.args[0] = 0;
	cap.cap = KVM_CAP_IRQCHIP;
	EXPECT_EQ(-EINVAL, __vm_ioctl(self->vm, KVM_ENABLE_CAP, &cap));
	EXPECT_EQ(-EINVAL, set(self, 8, 0, 0));
	cap.cap = KEEL_CAP_MEMORY_IN_PLACE;
	EXPECT_EQ(0, __vm_ioctl(self->vm, KVM_ENABLE_CAP, &cap));

	EXPECT_EQ(0, set(self, 8, 0, 0));
	expect_found(_metadata, self, A, 8, 0);
	EXPECT_EQ(0, set(self, 2, 0, 0));
	expect_found(_metadata, self, A, 2, 0);
	EXPECT_EQ(DEVICE, found(self, A + 2 * PAGE));
	EXPECT_EQ(0, set(self, 2, 0, KVM_MEM_READONLY));
	EXPECT_FALSE(writable(self, A, 9));
	EXPECT_EQ(0, set(self, 2, 0, 0));
	EXPECT_TRUE(writable(self, A, 1));
}

KEEL_TEST_MAIN
