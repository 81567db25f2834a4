// SPDX-License-Identifier: GPL-2.0
/*
 * KVM_SET_USER_MEMORY_REGION: every refusal, what a move or deletion means to
 * the guest, and a long run of random updates checked against a model. Updates
 * that race with running vCPUs belong to churn_test and smp_test.
 */
#include <sys/syscall.h>
#include "kselftest_harness.h"
#include "keel_test.h"
#include "guest.h"

#define MAX_SLOTS 32764
#define A 0x10000000UL
#define B 0x20000000UL

FIXTURE(memslot) {
	struct vm *vm;
	struct vcpu *vcpu;
	u8 *mem;
};

static u64 guest_addr, guest_value;
static u64 guest_op;

/* One access after the other, as the host asks. */
static void guest_access(void)
{
	for (;;) {
		if (guest_op)
			guest_write64(guest_addr, guest_value);
		guest_sync(guest_read64(guest_addr));
	}
}

FIXTURE_SETUP(memslot)
{
	self->vm = vm_create();
	self->vcpu = vcpu_create(self->vm, 0, guest_access);
	self->mem = anon_alloc(HUGE);
}

FIXTURE_TEARDOWN(memslot)
{
	vcpu_free(self->vcpu);
	vm_free(self->vm);
	munmap(self->mem, HUGE);
}

static int set(struct vm *vm, u32 slot, u64 gpa, u64 size, void *hva)
{
	return __vm_set_slot(vm, slot, 0, gpa, size, hva);
}

#define NO_MEMORY ~0UL

/* Read 8 bytes through the guest; NO_MEMORY when it exits for MMIO. */
static u64 guest_peek(struct vm *vm, struct vcpu *vcpu, u64 gpa)
{
	int reason;

	GUEST_VAR(vm, guest_addr) = gpa;
	GUEST_VAR(vm, guest_op) = 0;
	reason = vcpu_next(vcpu);
	if (reason == GUEST_SYNC)
		return vcpu->arg[0];
	CHECK(reason == KVM_EXIT_MMIO, "exit %d", reason);
	CHECK(!vcpu->run->mmio.is_write, "a write");
	CHECK(vcpu->run->mmio.phys_addr == gpa, "%#llx",
	      vcpu->run->mmio.phys_addr);
	memset(vcpu->run->mmio.data, 0xff, 8);
	return vcpu_sync(vcpu);
}

static void guest_poke(struct vm *vm, struct vcpu *vcpu, u64 gpa, u64 value)
{
	GUEST_VAR(vm, guest_addr) = gpa;
	GUEST_VAR(vm, guest_value) = value;
	GUEST_VAR(vm, guest_op) = 1;
	CHECK(vcpu_sync(vcpu) == value, "%#lx", vcpu->arg[0]);
}

TEST_F(memslot, unaligned_is_einval)
{
	struct vm *vm = self->vm;

	EXPECT_EQ(-EINVAL, set(vm, 1, A + 1, PAGE, self->mem));
	EXPECT_EQ(-EINVAL, set(vm, 1, A + 0x800, PAGE, self->mem));
	EXPECT_EQ(-EINVAL, set(vm, 1, A, PAGE + 1, self->mem));
	EXPECT_EQ(-EINVAL, set(vm, 1, A, 1, self->mem));
	EXPECT_EQ(-EINVAL, set(vm, 1, A, PAGE, self->mem + 1));
	EXPECT_EQ(-EINVAL, set(vm, 1, A, PAGE, self->mem + 0x800));
	EXPECT_EQ(0, set(vm, 1, A, PAGE, self->mem));
}

TEST_F(memslot, overflow_is_einval)
{
	struct vm *vm = self->vm;

	EXPECT_EQ(-EINVAL, set(vm, 1, -PAGE, 2 * PAGE, self->mem));
	EXPECT_EQ(-EINVAL, set(vm, 1, A, -PAGE, self->mem));
	EXPECT_EQ(-EINVAL, set(vm, 1, A, -A, self->mem));
	EXPECT_EQ(-EINVAL, set(vm, 1, 1UL << 63, 1UL << 63, NULL));
	/* More pages than a slot may have, were there room for them. */
	EXPECT_EQ(-EINVAL, set(vm, 1, A, 1UL << 43, NULL));
	/* Not the caller's memory. */
	EXPECT_EQ(-EINVAL, set(vm, 1, A, PAGE, (void *)0xffff888000000000UL));
	EXPECT_EQ(-EINVAL, set(vm, 1, A, PAGE, (void *)-PAGE));
	EXPECT_EQ(-EINVAL, set(vm, 1, A, 2 * PAGE, (void *)0x7ffffffff000UL));
}

TEST_F(memslot, beyond_the_physical_address_width_is_einval)
{
	struct kvm_cpuid2 *cpuid = cpuid_supported(self->vm->dev);
	struct kvm_cpuid_entry2 *e = cpuid_find(cpuid, 0x80000008, 0);
	u64 end;

	ASSERT_NE(NULL, e);
	end = 1UL << (e->eax & 0xff);
	EXPECT_EQ(-EINVAL, set(self->vm, 1, end, PAGE, self->mem));
	EXPECT_EQ(-EINVAL, set(self->vm, 1, end - PAGE, 2 * PAGE, self->mem));
	EXPECT_EQ(-EINVAL, set(self->vm, 1, 1UL << 52, PAGE, self->mem));
	EXPECT_EQ(0, set(self->vm, 1, end - PAGE, PAGE, self->mem));
	free(cpuid);
}

TEST_F(memslot, unknown_flags_are_einval)
{
	u32 bit;

	for (bit = 2; bit < 32; bit++)
		EXPECT_EQ(-EINVAL, __vm_set_slot(self->vm, 1, 1u << bit, A, PAGE,
						 self->mem));
	EXPECT_EQ(-EINVAL, __vm_set_slot(self->vm, 1, ~0u, A, PAGE, self->mem));
	EXPECT_EQ(0, __vm_set_slot(self->vm, 1, KVM_MEM_READONLY, A, PAGE,
				   self->mem));
}

TEST_F(memslot, slot_numbers)
{
	int spaces = __vm_ioctl(self->vm, KVM_CHECK_EXTENSION,
				KVM_CAP_MULTI_ADDRESS_SPACE) ?: 1;
	int as;

	EXPECT_EQ(0, set(self->vm, MAX_SLOTS - 1, A, PAGE, self->mem));
	EXPECT_EQ(-EINVAL, set(self->vm, MAX_SLOTS, B, PAGE, self->mem));
	EXPECT_EQ(-EINVAL, set(self->vm, 0xffff, B, PAGE, self->mem));
	/* The upper half is the address space: its slots are its own. */
	for (as = 1; as < 4; as++)
		EXPECT_EQ(as < spaces ? 0 : -EINVAL,
			  set(self->vm, as << 16, A, PAGE, self->mem));
	EXPECT_EQ(-EINVAL, set(self->vm, ~0u, B, PAGE, self->mem));
}

TEST_F(memslot, deleting_an_absent_slot_is_einval)
{
	EXPECT_EQ(-EINVAL, set(self->vm, 1, 0, 0, NULL));
	EXPECT_EQ(0, set(self->vm, 1, A, PAGE, self->mem));
	EXPECT_EQ(0, set(self->vm, 1, 0, 0, NULL));
	EXPECT_EQ(-EINVAL, set(self->vm, 1, 0, 0, NULL));
	/* Its number and its range are free again. */
	EXPECT_EQ(0, set(self->vm, 1, B, 2 * PAGE, self->mem));
	EXPECT_EQ(0, set(self->vm, 2, A, PAGE, self->mem));
}

TEST_F(memslot, size_hva_and_read_only_cannot_change)
{
	struct vm *vm = self->vm;

	EXPECT_EQ(0, set(vm, 1, A, 2 * PAGE, self->mem));
	EXPECT_EQ(0, set(vm, 1, A, 2 * PAGE, self->mem));
	EXPECT_EQ(-EINVAL, set(vm, 1, A, PAGE, self->mem));
	EXPECT_EQ(-EINVAL, set(vm, 1, A, 3 * PAGE, self->mem));
	EXPECT_EQ(-EINVAL, set(vm, 1, A, 2 * PAGE, self->mem + PAGE));
	EXPECT_EQ(-EINVAL, set(vm, 1, B, PAGE, self->mem));
	EXPECT_EQ(-EINVAL, __vm_set_slot(vm, 1, KVM_MEM_READONLY, A, 2 * PAGE,
					 self->mem));
	EXPECT_EQ(0, __vm_set_slot(vm, 2, KVM_MEM_READONLY, B, PAGE, self->mem));
	EXPECT_EQ(-EINVAL, set(vm, 2, B, PAGE, self->mem));
	/* After all the refusals the slot is what it was. */
	*(u64 *)(self->mem + PAGE) = 0x1234;
	EXPECT_EQ(0x1234, guest_peek(vm, self->vcpu, A + PAGE));
}

TEST_F(memslot, overlap_is_eexist)
{
	struct vm *vm = self->vm;
	u64 a = A, p = PAGE;

	ASSERT_EQ(0, set(vm, 1, a, 4 * p, self->mem));
	EXPECT_EQ(-EEXIST, set(vm, 2, a, 4 * p, self->mem));
	EXPECT_EQ(-EEXIST, set(vm, 2, a, p, self->mem));
	EXPECT_EQ(-EEXIST, set(vm, 2, a + 3 * p, p, self->mem));
	EXPECT_EQ(-EEXIST, set(vm, 2, a + p, p, self->mem));
	EXPECT_EQ(-EEXIST, set(vm, 2, a - p, 2 * p, self->mem));
	EXPECT_EQ(-EEXIST, set(vm, 2, a + 3 * p, 2 * p, self->mem));
	EXPECT_EQ(-EEXIST, set(vm, 2, a - p, 6 * p, self->mem));
	/* Neighbours do not overlap. */
	EXPECT_EQ(0, set(vm, 2, a - p, p, self->mem));
	EXPECT_EQ(0, set(vm, 3, a + 4 * p, p, self->mem));
	/* A move is held to the same, but not against its own old place. */
	EXPECT_EQ(-EEXIST, set(vm, 3, a + 3 * p, p, self->mem));
	EXPECT_EQ(-EEXIST, set(vm, 1, a + p, 4 * p, self->mem));
	EXPECT_EQ(0, set(vm, 3, 0, 0, NULL));
	EXPECT_EQ(0, set(vm, 1, a + p, 4 * p, self->mem));
	EXPECT_EQ(0, set(vm, 1, a + 3 * p, 4 * p, self->mem));
}

TEST_F(memslot, move_takes_the_memory_along)
{
	struct vm *vm = self->vm;

	*(u64 *)self->mem = 0xfeed;
	ASSERT_EQ(0, set(vm, 1, A, PAGE, self->mem));
	EXPECT_EQ(0xfeed, guest_peek(vm, self->vcpu, A));
	EXPECT_EQ(NO_MEMORY, guest_peek(vm, self->vcpu, B));
	ASSERT_EQ(0, set(vm, 1, B, PAGE, self->mem));
	EXPECT_EQ(NO_MEMORY, guest_peek(vm, self->vcpu, A));
	EXPECT_EQ(0xfeed, guest_peek(vm, self->vcpu, B));
	ASSERT_EQ(0, set(vm, 1, A, PAGE, self->mem));
	EXPECT_EQ(0xfeed, guest_peek(vm, self->vcpu, A));
	EXPECT_EQ(NO_MEMORY, guest_peek(vm, self->vcpu, B));
}

TEST_F(memslot, delete_leaves_device_space)
{
	struct vm *vm = self->vm;
	int i;

	for (i = 0; i < 4; i++) {
		*(u64 *)self->mem = 0x1000 + i;
		ASSERT_EQ(0, set(vm, 1, A, HUGE, self->mem));
		EXPECT_EQ(0x1000 + i, guest_peek(vm, self->vcpu, A));
		guest_poke(vm, self->vcpu, A + HUGE - 8, i);
		EXPECT_EQ(i, *(u64 *)(self->mem + HUGE - 8));
		ASSERT_EQ(0, set(vm, 1, A, 0, NULL));
		EXPECT_EQ(NO_MEMORY, guest_peek(vm, self->vcpu, A));
		EXPECT_EQ(NO_MEMORY, guest_peek(vm, self->vcpu, A + HUGE - 8));
	}
}

TEST_F(memslot, two_slots_may_show_the_same_memory)
{
	ASSERT_EQ(0, set(self->vm, 1, A, PAGE, self->mem));
	ASSERT_EQ(0, set(self->vm, 2, B, PAGE, self->mem));
	guest_poke(self->vm, self->vcpu, A + 8, 77);
	EXPECT_EQ(77, guest_peek(self->vm, self->vcpu, B + 8));
	ASSERT_EQ(0, set(self->vm, 1, 0, 0, NULL));
	EXPECT_EQ(77, guest_peek(self->vm, self->vcpu, B + 8));
	EXPECT_EQ(NO_MEMORY, guest_peek(self->vm, self->vcpu, A + 8));
}

TEST_F(memslot, shared_file_memory)
{
	int fd = syscall(SYS_memfd_create, "slot", 0);
	u64 *one, *two;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ftruncate(fd, PAGE));
	one = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	two = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, (void *)one);
	ASSERT_NE(MAP_FAILED, (void *)two);
	two[1] = 5;
	ASSERT_EQ(0, set(self->vm, 1, A, PAGE, one));
	EXPECT_EQ(5, guest_peek(self->vm, self->vcpu, A + 8));
	guest_poke(self->vm, self->vcpu, A, 6);
	EXPECT_EQ(6, two[0]);
	two[1] = 7;
	EXPECT_EQ(7, guest_peek(self->vm, self->vcpu, A + 8));
}

TEST_F(memslot, memory_the_process_may_not_write)
{
	u64 *ro = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ro[0] = 42;
	ASSERT_EQ(0, mprotect(ro, PAGE, PROT_READ));
	ASSERT_EQ(0, set(self->vm, 1, A, 2 * PAGE, ro));
	EXPECT_EQ(42, guest_peek(self->vm, self->vcpu, A));
	GUEST_VAR(self->vm, guest_op) = 1;
	GUEST_VAR(self->vm, guest_value) = 43;
	EXPECT_EQ(-EFAULT, __vcpu_run(self->vcpu));
	EXPECT_EQ(42, ro[0]);
	/* Made writable, the same instruction goes through. */
	ASSERT_EQ(0, mprotect(ro, PAGE, PROT_READ | PROT_WRITE));
	EXPECT_EQ(43, vcpu_sync(self->vcpu));
	EXPECT_EQ(43, ro[0]);
}

TEST_F(memslot, memory_that_is_not_there)
{
	u64 *hole = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
			 -1, 0);

	ASSERT_EQ(0, set(self->vm, 1, A, PAGE, hole));
	GUEST_VAR(self->vm, guest_addr) = A;
	EXPECT_EQ(-EFAULT, __vcpu_run(self->vcpu));
	ASSERT_EQ(0, munmap(hole, PAGE));
	EXPECT_EQ(-EFAULT, __vcpu_run(self->vcpu));
	ASSERT_EQ((void *)hole,
		  mmap(hole, PAGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	hole[0] = 9;
	EXPECT_EQ(9, vcpu_sync(self->vcpu));
}

TEST_F(memslot, program_text_as_guest_memory)
{
	/* A private, read-only mapping of a file. */
	void *text = (void *)((unsigned long)guest_access & ~(PAGE - 1));
	u64 want;

	memcpy(&want, text, 8);
	ASSERT_EQ(0, __vm_set_slot(self->vm, 1, KVM_MEM_READONLY, A, PAGE, text));
	EXPECT_EQ(want, guest_peek(self->vm, self->vcpu, A));
}

/* A model of the slots: which page of which slot shows at each guest page. */
#define MODEL_PAGES 48
#define MODEL_SLOTS 12

struct model {
	struct {
		int start, pages;
		u8 *hva;
	} slot[MODEL_SLOTS];
};

static bool model_free(struct model *m, int except, int start, int pages)
{
	int i;

	for (i = 0; i < MODEL_SLOTS; i++) {
		if (i == except || !m->slot[i].pages)
			continue;
		if (start < m->slot[i].start + m->slot[i].pages &&
		    m->slot[i].start < start + pages)
			return false;
	}
	return true;
}

static int model_set(struct model *m, int i, int start, int pages, u8 *hva)
{
	bool exists = m->slot[i].pages;

	if (!pages && !exists)
		return -EINVAL;
	if (!pages) {
		m->slot[i].pages = 0;
		return 0;
	}
	if (exists && (m->slot[i].pages != pages || m->slot[i].hva != hva))
		return -EINVAL;
	if (!model_free(m, i, start, pages))
		return -EEXIST;
	m->slot[i].start = start;
	m->slot[i].pages = pages;
	m->slot[i].hva = hva;
	return 0;
}

static u64 model_peek(struct model *m, int page)
{
	int i;

	for (i = 0; i < MODEL_SLOTS; i++)
		if (m->slot[i].pages && page >= m->slot[i].start &&
		    page < m->slot[i].start + m->slot[i].pages)
			return *(u64 *)(m->slot[i].hva +
					(page - m->slot[i].start) * PAGE);
	return NO_MEMORY;
}

TEST_F(memslot, random_updates_match_a_model)
{
	static struct model m;
	u32 seed = 1, done = 0;
	int i, page;

	for (i = 0; i < HUGE / PAGE; i++)
		*(u64 *)(self->mem + i * PAGE) = i + 1;
	for (i = 0; i < 600; i++) {
		int slot, start, pages, err;
		u8 *hva;

		seed = seed * 1664525 + 1013904223;
		slot = (seed >> 8) % MODEL_SLOTS;
		start = (seed >> 13) % (MODEL_PAGES - 8);
		pages = seed >> 30 ? m.slot[slot].pages ?: 1 + (seed >> 20) % 8 : 0;
		hva = m.slot[slot].pages ? m.slot[slot].hva :
					   self->mem + (seed >> 22) % 256 * PAGE;
		err = model_set(&m, slot, start, pages, hva);
		done += !err;
		ASSERT_EQ(err, set(self->vm, 10 + slot, A + start * PAGE,
				   pages * PAGE, hva)) {
			TH_LOG("step %d slot %d start %d pages %d", i, slot, start,
			       pages);
		}
		if (i % 20)
			continue;
		for (page = 0; page < MODEL_PAGES; page++)
			ASSERT_EQ(model_peek(&m, page),
				  guest_peek(self->vm, self->vcpu, A + page * PAGE)) {
				TH_LOG("step %d page %d", i, page);
			}
	}
	EXPECT_LT(150, done);
}

/* Neighbouring slots whose memory is scattered: looked up one by one. */
TEST_F_TIMEOUT(memslot, all_32764_slots, 150)
{
	size_t size = MAX_SLOTS * PAGE;
	u8 *mem = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	u64 n = MAX_SLOTS - 1, i, place;

	ASSERT_NE(MAP_FAILED, (void *)mem);
	/* Slot 0 is the program. Any odd factor scatters the order. */
	for (i = 0; i < n; i++) {
		place = i * 7919 % n;
		ASSERT_EQ(0, set(self->vm, 1 + i, A + place * 2 * PAGE, PAGE,
				 mem + i * PAGE));
	}
	EXPECT_EQ(-EINVAL, set(self->vm, MAX_SLOTS, 0xf0000000, PAGE, mem));
	for (i = 0; i < n; i += 397) {
		place = i * 7919 % n;
		*(u64 *)(mem + i * PAGE) = i + 5;
		EXPECT_EQ(i + 5, guest_peek(self->vm, self->vcpu,
					    A + place * 2 * PAGE));
		EXPECT_EQ(NO_MEMORY, guest_peek(self->vm, self->vcpu,
						A + place * 2 * PAGE + PAGE));
		EXPECT_EQ(-EEXIST, set(self->vm, 1 + i, A + (place ? 0 : 2) * PAGE,
				       PAGE, mem + i * PAGE));
	}
	for (i = 0; i < n; i += 1191) {
		EXPECT_EQ(0, set(self->vm, 1 + i, 0, 0, NULL));
		EXPECT_EQ(NO_MEMORY, guest_peek(self->vm, self->vcpu,
						A + i * 7919 % n * 2 * PAGE));
	}
}

KEEL_TEST_MAIN
