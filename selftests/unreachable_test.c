// SPDX-License-Identifier: GPL-2.0
/*
 * Memory of a slot that the process itself cannot access, met by the kernel on
 * behalf of the guest: it is neither a device nor a page fault of the guest's.
 * KVM_RUN ends with EFAULT, and goes on once the memory can be accessed.
 */
#include "kselftest_harness.h"
#include "keel_test.h"
#include "guest.h"

#define SLOT_GPA	0x8000000UL
#define TABLE_GVA	0x8000000000UL	/* its last table lies in the slot */
#define PORT		0x40
#define ANSWER		0x1122334455667788UL

FIXTURE(unreachable) {
	struct vm *vm;
	struct vcpu *vcpu;
	u64 *mem;
};

static void no_guest(void)
{
}

FIXTURE_SETUP(unreachable)
{
	self->vm = vm_create();
	self->vcpu = vcpu_create(self->vm, 0, no_guest);
	self->mem = anon_alloc(PAGE);
	vm_set_slot(self->vm, 1, 0, SLOT_GPA, PAGE, self->mem);
}

FIXTURE_TEARDOWN(unreachable)
{
	vcpu_free(self->vcpu);
	vm_free(self->vm);
	munmap(self->mem, PAGE);
}

static void lock_memory(u64 *mem, bool lock)
{
	CHECK(!mprotect(mem, PAGE, lock ? PROT_NONE : PROT_READ | PROT_WRITE), "%m");
}

static void answer_read(struct vcpu *vcpu)
{
	u64 value = ANSWER;

	CHECK(vcpu_next(vcpu) == KVM_EXIT_MMIO && !vcpu->run->mmio.is_write, "exit %u",
	      vcpu->run->exit_reason);
	CHECK(vcpu->run->mmio.phys_addr == MMIO_GPA, "%#llx", vcpu->run->mmio.phys_addr);
	memcpy(vcpu->run->mmio.data, &value, sizeof(value));
}

static void movsq(u64 from, u64 to)
{
	asm volatile("movsq" : "+S"(from), "+D"(to) : : "memory");
}

static void guest_move_to_memory(void)
{
	movsq(MMIO_GPA, SLOT_GPA);
	guest_done();
}

TEST_F(unreachable, destination_of_what_a_device_was_read_for)
{
	vcpu_set_long(self->vcpu, guest_move_to_memory);
	lock_memory(self->mem, true);
	answer_read(self->vcpu);
	EXPECT_EQ(-EFAULT, __vcpu_run(self->vcpu));
	/* The answer is not lost. */
	lock_memory(self->mem, false);
	vcpu_done(self->vcpu);
	EXPECT_EQ(ANSWER, self->mem[0]);
}

static void guest_compare_with_memory(void)
{
	u64 from = MMIO_GPA, to = SLOT_GPA;

	asm volatile("cmpsq" : "+S"(from), "+D"(to) : : "memory", "cc");
	guest_done();
}

TEST_F(unreachable, second_operand_after_a_device)
{
	vcpu_set_long(self->vcpu, guest_compare_with_memory);
	lock_memory(self->mem, true);
	answer_read(self->vcpu);
	EXPECT_EQ(-EFAULT, __vcpu_run(self->vcpu));
	lock_memory(self->mem, false);
	vcpu_done(self->vcpu);
}

static void guest_move_through_table(void)
{
	movsq(MMIO_GPA, TABLE_GVA);
	guest_done();
}

/* The processor stops at the source; the way to the destination is walked by the kernel. */
TEST_F(unreachable, table_on_the_way_to_a_destination)
{
	u64 gpa;

	vm_map(self->vm, TABLE_GVA, DATA_GPA, PT_P | PT_W);
	gpa = vm_pte_gpa(self->vm, TABLE_GVA) & ~(PAGE - 1);
	memcpy(self->mem, vm_hva(self->vm, gpa), PAGE);
	/* vm_map() gives the tables of one directory in a row, the last one last. */
	*(u64 *)vm_hva(self->vm, gpa - PAGE) = SLOT_GPA | PT_P | PT_W;
	vcpu_set_long(self->vcpu, guest_move_through_table);
	lock_memory(self->mem, true);
	EXPECT_EQ(-EFAULT, __vcpu_run(self->vcpu));
	lock_memory(self->mem, false);
	answer_read(self->vcpu);
	vcpu_done(self->vcpu);
}

static void guest_input(void)
{
	u64 to = SLOT_GPA;

	asm volatile("insl" : "+D"(to) : "d"(PORT) : "memory");
	guest_done();
}

TEST_F(unreachable, destination_of_a_port)
{
	vcpu_set_long(self->vcpu, guest_input);
	lock_memory(self->mem, true);
	ASSERT_EQ(KVM_EXIT_IO, vcpu_next(self->vcpu));
	memset((u8 *)self->vcpu->run + self->vcpu->run->io.data_offset, 0x5a, 4);
	EXPECT_EQ(-EFAULT, __vcpu_run(self->vcpu));
	lock_memory(self->mem, false);
	vcpu_done(self->vcpu);
	EXPECT_EQ(0x5a5a5a5a, self->mem[0]);
}

GUEST_CODE16(real_code, "hlt");

/* Where the processor does not run real mode the kernel fetches each instruction. */
TEST_F(unreachable, code)
{
	struct vcpu *real = vcpu_create_bare(self->vm, 1);

	memcpy(self->mem, real_code, real_code_end - real_code);
	vm_set_slot(self->vm, 1, 0, SLOT_GPA, 0, NULL);
	vm_set_slot(self->vm, 0, 0, 0, 0, NULL);
	vm_set_slot(self->vm, 1, 0, REAL_CODE_GPA, PAGE, self->mem);
	vcpu_set_real(real, REAL_CODE_GPA);
	lock_memory(self->mem, true);
	EXPECT_EQ(-EFAULT, __vcpu_run(real));
	lock_memory(self->mem, false);
	EXPECT_EQ(0, __vcpu_run(real));
	EXPECT_EQ(KVM_EXIT_HLT, real->run->exit_reason);
	vcpu_free(real);
}

KEEL_TEST_MAIN
