// SPDX-License-Identifier: GPL-2.0
/*
 * The same instruction meets a device again and again, and between two times
 * its bytes or the page tables that lead to them change: what is emulated must
 * be what a processor would fetch now. The guest only stores; which store it
 * was is told by its width.
 */
#include "kselftest_harness.h"
#include "keel_test.h"
#include "guest.h"

#define CODE_GVA	0x8000123000UL
#define FIRST_GPA	DATA_GPA		/* pages that hold code */
#define OTHER_GPA	(DATA_GPA + PAGE)
#define COPIES_GPA	(DATA_GPA + 16 * PAGE)	/* other page tables */
#define SLOT_GPA	0x8000000UL		/* of a slot of its own */
#define MMIO_VALUE	0x44332211
#define FRAME		0xffffffffff000UL
#define CR4_SMEP	(1UL << 20)
#define PF_VECTOR	14

/* Stores of 1 and 4 bytes to (%rdi), for ever; all of them as long as the first. */
static const u8 store1[] = { 0x88, 0x07, 0xeb, 0xfc };
static const u8 store4[] = { 0x89, 0x07, 0xeb, 0xfc };

static void on_page_fault(struct guest_trap *trap)
{
	guest_sync3(trap->vector, trap->error, guest_read_cr2());
}

static volatile u64 guest_start;

static void guest_main(void)
{
	guest_handler[PF_VECTOR] = on_page_fault;
	asm volatile("jmp *%0" : : "r"(guest_start), "D"(MMIO_GPA), "a"(MMIO_VALUE));
}

FIXTURE(refetch) {
	struct vm *vm;
	struct vcpu *vcpu;
	u64 next_copy;
};

static void start_at(struct vm *vm, u64 gva)
{
	GUEST_VAR(vm, guest_start) = gva;
}

FIXTURE_SETUP(refetch)
{
	self->vm = vm_create();
	self->vcpu = vcpu_create(self->vm, 0, guest_main);
	self->next_copy = COPIES_GPA;
	vm_load(self->vm, FIRST_GPA, store1, store1 + sizeof(store1));
	vm_load(self->vm, OTHER_GPA, store4, store4 + sizeof(store4));
	vm_map(self->vm, CODE_GVA, FIRST_GPA, PT_P | PT_W);
	start_at(self->vm, CODE_GVA);
}

FIXTURE_TEARDOWN(refetch)
{
	vcpu_free(self->vcpu);
	vm_free(self->vm);
}

/* Run to the next store and return how wide it is. */
static unsigned int next_store(struct vcpu *vcpu)
{
	int exit = vcpu_next(vcpu);

	CHECK(exit == KVM_EXIT_MMIO, "exit %d", exit);
	CHECK(vcpu->run->mmio.is_write && vcpu->run->mmio.phys_addr == MMIO_GPA, "%#llx",
	      vcpu->run->mmio.phys_addr);
	return vcpu->run->mmio.len;
}

/* Enough for whatever is remembered to be remembered. */
static void store_some(struct vcpu *vcpu, unsigned int width)
{
	int i;

	for (i = 0; i < 4; i++) {
		unsigned int now = next_store(vcpu);

		CHECK(now == width, "%u bytes instead of %u", now, width);
	}
}

/* A store has been carried out: what cannot be fetched is the jump after it. */
#define JUMP_GVA	(CODE_GVA + 2)

/* Run to the page fault of fetching from @gva. */
static void expect_fault(struct vcpu *vcpu, u64 error, u64 gva)
{
	u64 vector = vcpu_sync(vcpu);

	CHECK(vector == PF_VECTOR, "vector %lu", vector);
	CHECK(vcpu->arg[1] == error, "error %#lx", vcpu->arg[1]);
	CHECK(vcpu->arg[2] == gva, "cr2 %#lx", vcpu->arg[2]);
}

/* The entry of level @level (4 is the top one) that leads to @gva. */
static u64 *entry(struct vm *vm, u64 gva, int level)
{
	u64 table = PML4_GPA, gpa = 0;
	int i;

	for (i = 4; i >= level; i--) {
		gpa = table + (gva >> (3 + 9 * i) & 511) * 8;
		table = *(u64 *)vm_hva(vm, gpa) & FRAME;
	}
	return vm_hva(vm, gpa);
}

/* Let entries of @level and below be others that lead to the other page. */
static u64 other_way(struct vm *vm, int level, u64 *next_copy)
{
	u64 target = OTHER_GPA;
	int i;

	for (i = 1; i < level; i++) {
		u64 index = CODE_GVA >> (3 + 9 * i) & 511;
		u64 copy = *next_copy, flags = *entry(vm, CODE_GVA, i) & ~FRAME;

		*next_copy += PAGE;
		memcpy(vm_hva(vm, copy), entry(vm, CODE_GVA, i) - index, PAGE);
		((u64 *)vm_hva(vm, copy))[index] = target | flags;
		target = copy;
	}
	return target;
}

TEST_F(refetch, bytes_are_rewritten)
{
	store_some(self->vcpu, 1);
	vm_load(self->vm, FIRST_GPA, store4, store4 + sizeof(store4));
	store_some(self->vcpu, 4);
	vm_load(self->vm, FIRST_GPA, store1, store1 + sizeof(store1));
	EXPECT_EQ(1, next_store(self->vcpu));
	vm_load(self->vm, FIRST_GPA, store4, store4 + sizeof(store4));
	EXPECT_EQ(4, next_store(self->vcpu));
}

static void turn_at_level(struct vm *vm, struct vcpu *vcpu, int level, u64 *next_copy)
{
	u64 *e = entry(vm, CODE_GVA, level), old, other;

	store_some(vcpu, 1);
	other = other_way(vm, level, next_copy);
	old = __atomic_load_n(e, __ATOMIC_RELAXED);
	__atomic_store_n(e, other | (old & ~FRAME), __ATOMIC_RELAXED);
	CHECK(next_store(vcpu) == 4, "level %d: not the new page", level);
	store_some(vcpu, 4);
	__atomic_store_n(e, old, __ATOMIC_RELAXED);
	CHECK(next_store(vcpu) == 1, "level %d: not the old page again", level);
}

TEST_F(refetch, an_entry_of_any_level_is_rewritten)
{
	int level;

	for (level = 1; level <= 4; level++)
		turn_at_level(self->vm, self->vcpu, level, &self->next_copy);
}

TEST_F(refetch, the_root_is_another)
{
	struct kvm_sregs s;

	store_some(self->vcpu, 1);
	vcpu_get_sregs(self->vcpu, &s);
	s.cr3 = other_way(self->vm, 5, &self->next_copy);
	vcpu_set_sregs(self->vcpu, &s);
	store_some(self->vcpu, 4);
	s.cr3 = PML4_GPA;
	vcpu_set_sregs(self->vcpu, &s);
	EXPECT_EQ(1, next_store(self->vcpu));
}

TEST_F(refetch, an_entry_is_taken_away)
{
	store_some(self->vcpu, 1);
	__atomic_store_n(entry(self->vm, CODE_GVA, 1), 0, __ATOMIC_RELAXED);
	expect_fault(self->vcpu, 1 << 4, JUMP_GVA);
}

TEST_F(refetch, execution_is_forbidden)
{
	store_some(self->vcpu, 1);
	__atomic_or_fetch(entry(self->vm, CODE_GVA, 2), PT_NX, __ATOMIC_RELAXED);
	expect_fault(self->vcpu, 1 << 4 | 1, JUMP_GVA);
}

TEST_F(refetch, a_reserved_bit_is_set)
{
	store_some(self->vcpu, 1);
	__atomic_or_fetch(entry(self->vm, CODE_GVA, 1), 1UL << 51, __ATOMIC_RELAXED);
	expect_fault(self->vcpu, 1 << 4 | 1 << 3 | 1, JUMP_GVA);
}

TEST_F(refetch, a_control_register_forbids_execution)
{
	struct kvm_sregs s;

	vm_map(self->vm, CODE_GVA, FIRST_GPA, PT_P | PT_W | PT_U);
	vcpu_set_cpuid(self->vcpu);
	store_some(self->vcpu, 1);
	vcpu_get_sregs(self->vcpu, &s);
	s.cr4 |= CR4_SMEP;
	if (__vcpu_ioctl(self->vcpu, KVM_SET_SREGS, &s))
		SKIP(return, "needs SMEP");
	/* All code of the guest lies in pages that are the user's. */
	*entry(self->vm, (unsigned long)guest_main, 4) &= ~PT_U;
	expect_fault(self->vcpu, 1 << 4 | 1, JUMP_GVA);
}

TEST_F(refetch, accessed_bits_are_set_again)
{
	int level;

	for (level = 1; level <= 4; level++) {
		u64 *e = entry(self->vm, CODE_GVA, level);

		store_some(self->vcpu, 1);
		EXPECT_NE(0, __atomic_load_n(e, __ATOMIC_RELAXED) & PT_A);
		__atomic_and_fetch(e, ~PT_A, __ATOMIC_RELAXED);
		next_store(self->vcpu);
		EXPECT_NE(0, __atomic_load_n(e, __ATOMIC_RELAXED) & PT_A);
	}
}

/* The last table lies in a slot of its own, which shows another page and then none. */
TEST_F(refetch, a_table_is_in_a_slot_that_changes)
{
	u64 *first = anon_alloc(PAGE), *other = anon_alloc(PAGE);
	u64 index = CODE_GVA >> 12 & 511;

	first[index] = FIRST_GPA | PT_P;
	other[index] = OTHER_GPA | PT_P;
	vm_set_slot(self->vm, 1, 0, SLOT_GPA, PAGE, first);
	*entry(self->vm, CODE_GVA, 2) = SLOT_GPA | PT_P | PT_W;
	store_some(self->vcpu, 1);
	vm_set_slot(self->vm, 1, 0, SLOT_GPA, 0, NULL);
	vm_set_slot(self->vm, 1, 0, SLOT_GPA, PAGE, other);
	store_some(self->vcpu, 4);
	vm_set_slot(self->vm, 1, 0, SLOT_GPA, 0, NULL);
	expect_fault(self->vcpu, 1 << 4, JUMP_GVA);
	munmap(first, PAGE);
	munmap(other, PAGE);
}

/* The code itself lies in such a slot. */
TEST_F(refetch, the_code_is_in_a_slot_that_changes)
{
	u8 *first = anon_alloc(PAGE), *other = anon_alloc(PAGE);

	memcpy(first, store1, sizeof(store1));
	memcpy(other, store4, sizeof(store4));
	vm_set_slot(self->vm, 1, 0, SLOT_GPA, PAGE, first);
	vm_map(self->vm, CODE_GVA, SLOT_GPA, PT_P | PT_W);
	store_some(self->vcpu, 1);
	vm_set_slot(self->vm, 1, 0, SLOT_GPA, 0, NULL);
	vm_set_slot(self->vm, 1, 0, SLOT_GPA, PAGE, other);
	store_some(self->vcpu, 4);
	munmap(first, PAGE);
	munmap(other, PAGE);
}

static u32 stored(struct vcpu *vcpu)
{
	u32 value;

	CHECK(next_store(vcpu) == 4, "%u", vcpu->run->mmio.len);
	memcpy(&value, vcpu->run->mmio.data, sizeof(value));
	return value;
}

/* movl $0x11111111, (%rdi), its last two bytes and the jump back on the next page. */
TEST_F(refetch, the_second_page_of_an_instruction_changes)
{
	static const u8 head[] = { 0xc7, 0x07, 0x11, 0x11 };
	static const u8 tail[] = { 0x11, 0x11, 0xeb, 0xf8 };
	static const u8 other[] = { 0x22, 0x22, 0xeb, 0xf8 };
	u64 start = CODE_GVA + PAGE - sizeof(head);
	int i;

	vm_load(self->vm, FIRST_GPA + PAGE - sizeof(head), head, head + sizeof(head));
	vm_load(self->vm, FIRST_GPA + 4 * PAGE, tail, tail + sizeof(tail));
	vm_load(self->vm, FIRST_GPA + 5 * PAGE, other, other + sizeof(other));
	vm_map(self->vm, CODE_GVA + PAGE, FIRST_GPA + 4 * PAGE, PT_P | PT_W);
	start_at(self->vm, start);
	for (i = 0; i < 4; i++)
		EXPECT_EQ(0x11111111, stored(self->vcpu));
	vm_map(self->vm, CODE_GVA + PAGE, FIRST_GPA + 5 * PAGE, PT_P | PT_W);
	EXPECT_EQ(0x22221111, stored(self->vcpu));
	vm_load(self->vm, FIRST_GPA + 5 * PAGE, tail, tail + sizeof(tail));
	EXPECT_EQ(0x11111111, stored(self->vcpu));
	vm_map(self->vm, CODE_GVA + PAGE, 0, 0);
	expect_fault(self->vcpu, 1 << 4, CODE_GVA + PAGE + 2);
}

KEEL_TEST_MAIN
