// SPDX-License-Identifier: GPL-2.0
/*
 * Dirty logging by ring: what lies in it and in which order, the exit when it
 * is full, handing entries back, every refusal, and an owner who writes
 * nonsense into it.
 */
#include <sys/mman.h>
#include "kselftest_harness.h"
#include "keel_test.h"
#include "guest.h"
#include "control.h"

#define BASE MMIO_GPA
#define PAGES 2048
#define SLOT 1
#define ENTRIES 1024
#define BYTES (ENTRIES * sizeof(struct kvm_dirty_gfn))
/* What the device keeps free: 64, and the 512 that the hardware may hold. */
#define FREE 576

static struct {
	u64 first, pages, write;
} command;

static void guest_main(void)
{
	volatile typeof(command) *c = &command;
	u64 i;

	for (;;) {
		for (i = c->first; i < c->first + c->pages; i++) {
			if (c->write)
				guest_write64(BASE + i * PAGE, i);
			else
				guest_read64(BASE + i * PAGE);
		}
		guest_sync(0);
	}
}

FIXTURE(ring) {
	struct vm *vm;
	struct vcpu *vcpu;
	u8 *mem;
	volatile struct kvm_dirty_gfn *entry;
	u32 next;			/* to be taken */
};

typedef FIXTURE_DATA(ring) fixture_t;

static int enable(struct vm *vm, u32 which, u64 bytes)
{
	struct kvm_enable_cap cap = { .cap = which, .args = { bytes } };

	return __vm_ioctl(vm, KVM_ENABLE_CAP, &cap);
}

static void *map_ring(struct vcpu *vcpu, int prot, int flags)
{
	return mmap(NULL, BYTES, prot, flags, vcpu->fd, KVM_DIRTY_LOG_PAGE_OFFSET * PAGE);
}

FIXTURE_SETUP(ring)
{
	self->vm = vm_create();
	if (!vm_has(self->vm, KVM_CAP_DIRTY_LOG_RING_ACQ_REL))
		SKIP(longjmp(_metadata->env, 1), "no dirty ring");
	ASSERT_EQ(0, enable(self->vm, KVM_CAP_DIRTY_LOG_RING_ACQ_REL, BYTES));
	self->vcpu = vcpu_create(self->vm, 0, guest_main);
	self->entry = map_ring(self->vcpu, PROT_READ | PROT_WRITE, MAP_SHARED);
	ASSERT_NE(MAP_FAILED, (void *)self->entry);
	self->next = 0;
	self->mem = anon_alloc(PAGES * PAGE);
	vm_set_slot(self->vm, SLOT, KVM_MEM_LOG_DIRTY_PAGES, BASE, PAGES * PAGE, self->mem);
}

FIXTURE_TEARDOWN(ring)
{
	munmap((void *)self->entry, BYTES);
	vcpu_free(self->vcpu);
	vm_free(self->vm);
	munmap(self->mem, PAGES * PAGE);
}

static int visit(fixture_t *self, u64 first, u64 pages, bool write)
{
	GUEST_VAR(self->vm, command) = (typeof(command)){ first, pages, write };
	return vcpu_next(self->vcpu);
}

/* Take what there is: mark in @seen, and say how many. */
static int take(fixture_t *self, u8 *seen)
{
	int n = 0;

	for (;; self->next++, n++) {
		volatile struct kvm_dirty_gfn *e = &self->entry[self->next % ENTRIES];

		if (__atomic_load_n(&e->flags, __ATOMIC_ACQUIRE) != KVM_DIRTY_GFN_F_DIRTY)
			return n;
		CHECK(e->slot == SLOT && e->offset < PAGES, "slot %u, page %llu", e->slot,
		      e->offset);
		seen[e->offset]++;
		__atomic_store_n(&e->flags, KVM_DIRTY_GFN_F_RESET, __ATOMIC_RELEASE);
	}
}

static int hand_back(fixture_t *self)
{
	return __vm_ioctl(self->vm, KVM_RESET_DIRTY_RINGS, 0);
}

TEST_F(ring, each_page_once_until_it_is_handed_back)
{
	u8 seen[PAGES] = {};
	int turn, i;

	ASSERT_EQ(GUEST_SYNC, visit(self, 0, 100, false));
	EXPECT_EQ(0, take(self, seen));
	for (turn = 1; turn <= 8; turn++) {
		ASSERT_EQ(GUEST_SYNC, visit(self, 10, 80, true));
		ASSERT_EQ(GUEST_SYNC, visit(self, 10, 80, true));
		EXPECT_EQ(80, take(self, seen));
		for (i = 0; i < PAGES; i++)
			EXPECT_EQ(i >= 10 && i < 90 ? turn : 0, seen[i]);
		/* Taken, but not handed back: not logged again. */
		ASSERT_EQ(GUEST_SYNC, visit(self, 10, 80, true));
		EXPECT_EQ(0, take(self, seen));
		EXPECT_EQ(80, hand_back(self));
		EXPECT_EQ(0, hand_back(self));
	}
}

TEST_F(ring, full)
{
	u8 seen[PAGES] = {};
	int i, n = 0, exits = 0, exit;

	for (exit = visit(self, 0, PAGES, true); exit != GUEST_SYNC;
	     exit = vcpu_next(self->vcpu)) {
		ASSERT_EQ(KVM_EXIT_DIRTY_RING_FULL, exit);
		exits++;
		/* As long as nothing is handed back there is no going on. */
		ASSERT_EQ(KVM_EXIT_DIRTY_RING_FULL, vcpu_next(self->vcpu));
		i = take(self, seen);
		EXPECT_LE(ENTRIES - FREE, i);
		EXPECT_GE(ENTRIES, i);
		n += i;
		ASSERT_EQ(KVM_EXIT_DIRTY_RING_FULL, vcpu_next(self->vcpu));
		EXPECT_EQ(i, hand_back(self));
	}
	n += take(self, seen);
	EXPECT_LT(1, exits);
	EXPECT_LE(PAGES, n);
	for (i = 0; i < PAGES; i++)
		EXPECT_NE(0, seen[i]) TH_LOG("page %d", i);
}

TEST_F(ring, one_for_each_vcpu)
{
	struct vcpu *second = vcpu_create(self->vm, 1, guest_main);
	struct kvm_dirty_gfn *entry = map_ring(second, PROT_READ | PROT_WRITE, MAP_SHARED);
	u8 seen[PAGES] = {};

	ASSERT_NE(MAP_FAILED, entry);
	ASSERT_EQ(GUEST_SYNC, visit(self, 3, 1, true));
	GUEST_VAR(self->vm, command).first = 4;
	ASSERT_EQ(GUEST_SYNC, vcpu_next(second));
	EXPECT_EQ(1, take(self, seen));
	EXPECT_EQ(1, seen[3]);
	EXPECT_EQ(KVM_DIRTY_GFN_F_DIRTY, entry[0].flags);
	EXPECT_EQ(4, entry[0].offset);
	EXPECT_EQ(0, entry[1].flags);
	entry[0].flags = KVM_DIRTY_GFN_F_RESET;
	EXPECT_EQ(2, hand_back(self));
	munmap(entry, BYTES);
	vcpu_free(second);
}

TEST_F(ring, nonsense_in_it)
{
	u32 slot[] = { SLOT, 7, 32764, 0xffff, 1 << 16 | SLOT, 2 << 16, ~0U };
	u64 offset[] = { 0, PAGES - 1, PAGES, 1UL << 40, ~0UL };
	u8 seen[PAGES] = {};
	int i;

	/* What was never filled cannot be handed back. */
	for (i = 0; i < ENTRIES; i++)
		self->entry[i].flags = KVM_DIRTY_GFN_F_RESET;
	EXPECT_EQ(0, hand_back(self));
	ASSERT_EQ(GUEST_SYNC, visit(self, 0, 100, true));
	for (i = 0; i < 100; i++) {
		EXPECT_EQ(KVM_DIRTY_GFN_F_DIRTY, self->entry[i].flags);
		self->entry[i].slot = slot[i % 7];
		self->entry[i].offset = offset[i % 5];
		self->entry[i].flags = ~0U;
	}
	EXPECT_EQ(100, hand_back(self));
	EXPECT_EQ(0, hand_back(self));

	/* And all is as it should be. */
	self->next = 100;
	ASSERT_EQ(GUEST_SYNC, visit(self, 200, 50, true));
	EXPECT_EQ(50, take(self, seen));
	EXPECT_EQ(50, hand_back(self));
}

TEST_F(ring, slot_gone_or_shorter_when_it_is_handed_back)
{
	u8 seen[PAGES] = {};

	ASSERT_EQ(GUEST_SYNC, visit(self, PAGES - 50, 50, true));
	EXPECT_EQ(50, take(self, seen));
	vm_set_slot(self->vm, SLOT, 0, BASE, 0, NULL);
	EXPECT_EQ(50, hand_back(self));
	vm_set_slot(self->vm, SLOT, KVM_MEM_LOG_DIRTY_PAGES, BASE, PAGES * PAGE, self->mem);
	ASSERT_EQ(GUEST_SYNC, visit(self, PAGES - 50, 50, true));
	EXPECT_EQ(50, take(self, seen));
	vm_set_slot(self->vm, SLOT, 0, BASE, 0, NULL);
	vm_set_slot(self->vm, SLOT, KVM_MEM_LOG_DIRTY_PAGES, BASE, PAGE, self->mem);
	EXPECT_EQ(50, hand_back(self));
}

TEST_F(ring, refusals)
{
	u64 bits[PAGES / 64];
	struct kvm_dirty_log log = { .slot = SLOT, .dirty_bitmap = bits };
	struct kvm_clear_dirty_log clear = {
		.slot = SLOT, .num_pages = PAGES, .dirty_bitmap = bits,
	};
	struct vm *vm = vm_create();
	long most = __vm_ioctl(vm, KVM_CHECK_EXTENSION, KVM_CAP_DIRTY_LOG_RING);
	struct vcpu *vcpu;

	/* No bitmaps beside it. */
	EXPECT_EQ(-ENXIO, __vm_ioctl(self->vm, KVM_GET_DIRTY_LOG, &log));
	EXPECT_EQ(-ENXIO, __vm_ioctl(self->vm, KVM_CLEAR_DIRTY_LOG, &clear));
	EXPECT_EQ(-EINVAL, enable(self->vm, KVM_CAP_DIRTY_LOG_RING, BYTES));
	EXPECT_EQ(MAP_FAILED, map_ring(self->vcpu, PROT_READ, MAP_PRIVATE));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(MAP_FAILED, map_ring(self->vcpu, PROT_READ | PROT_EXEC, MAP_SHARED));
	EXPECT_EQ(EINVAL, errno);

	EXPECT_EQ(most, __vm_ioctl(vm, KVM_CHECK_EXTENSION, KVM_CAP_DIRTY_LOG_RING_ACQ_REL));
	EXPECT_EQ(65536 * sizeof(struct kvm_dirty_gfn), most);
	EXPECT_EQ(-EINVAL, __vm_ioctl(vm, KVM_RESET_DIRTY_RINGS, 0));
	EXPECT_EQ(-EINVAL, enable(vm, KVM_CAP_DIRTY_LOG_RING, 0));
	EXPECT_EQ(-EINVAL, enable(vm, KVM_CAP_DIRTY_LOG_RING, PAGE));
	EXPECT_EQ(-EINVAL, enable(vm, KVM_CAP_DIRTY_LOG_RING, BYTES + PAGE));
	EXPECT_EQ(-E2BIG, enable(vm, KVM_CAP_DIRTY_LOG_RING, 2 * most));
	vcpu = vcpu_create_bare(vm, 0);
	EXPECT_EQ(-EINVAL, enable(vm, KVM_CAP_DIRTY_LOG_RING, BYTES));
	vcpu_free(vcpu);
	vm_free(vm);
}

KEEL_TEST_MAIN
