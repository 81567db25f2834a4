// SPDX-License-Identifier: GPL-2.0
/*
 * Hardware task switches of 32-bit guests, which no VMX hardware does: by call,
 * jump and return, and through task gates for interrupts and double faults,
 * with paging and without.
 */
#include "kselftest_harness.h"
#include "keel_test.h"
#include "guest.h"

#define IDT32		DATA_GPA
#define GDT32		(DATA_GPA + 0x1000)
#define TSS_A		(DATA_GPA + 0x2000)
#define TSS_B		(DATA_GPA + 0x2800)
#define STACK_A		(DATA_GPA + 0x4000)
#define STACK_B		(DATA_GPA + 0x5000)
#define PD_B		(DATA_GPA + 0x6000)	/* page directory of the second task */

#define SEL_A		0x28
#define SEL_B		0x30
#define SEL_GATE	0x38
#define SEL_ABSENT	0x40

#define FLAG_NT		(1UL << 14)
#define TYPE_TSS	0x89
#define TYPE_BUSY	0x8b

/* In a task state segment. */
enum {
	LINK = 0, CR3 = 28, EIP = 32, EFLAGS = 36, EAX = 40, ESP = 56, ES = 72, CS = 76, DS = 84,
	GS = 92, TRAP = 100,
};

FIXTURE(task) {
	struct vm *vm;
	struct vcpu *vcpu;
};

FIXTURE_VARIANT(task) {
	bool paged;
};

FIXTURE_VARIANT_ADD(task, unpaged) {
	.paged = false,
};

FIXTURE_VARIANT_ADD(task, paged) {
	.paged = true,
};

FIXTURE_SETUP(task)
{
	self->vm = vm_create();
	self->vcpu = vcpu_create_bare(self->vm, 0);
	vcpu_set_cpuid(self->vcpu);
}

FIXTURE_TEARDOWN(task)
{
	vcpu_free(self->vcpu);
	vm_free(self->vm);
}

static u32 *tss(struct vm *vm, u64 at, unsigned int offset)
{
	return (u32 *)((u8 *)vm_hva(vm, at) + offset);
}

static u8 type_of(struct vm *vm, u16 sel)
{
	return ((u8 *)vm_hva(vm, GDT32))[sel + 5];
}

static u64 tss_descriptor(u64 base, u8 type)
{
	return 0x67 | (base & 0xffffff) << 16 | (u64)type << 40 | (base >> 24) << 56;
}

static void set_gate(struct vm *vm, u8 vector, const void *to)
{
	u64 at = (unsigned long)to;
	u64 *idt = vm_hva(vm, IDT32);

	idt[vector] = (at & 0xffff0000) << 32 | 0x8e0000000000 | (u64)SEL_CODE32 << 16 |
		      (at & 0xffff);
}

static void set_task_gate(struct vm *vm, u8 vector)
{
	u64 *idt = vm_hva(vm, IDT32);

	idt[vector] = 0x850000000000 | (u64)SEL_B << 16;
}

static void set_tables(struct vm *vm)
{
	u64 *gdt = vm_hva(vm, GDT32);

	memset(vm_hva(vm, IDT32), 0, PAGE);
	gdt[0] = 0;
	gdt[1] = 0;
	gdt[SEL_DATA / 8] = 0x00cf93000000ffffULL;
	gdt[SEL_CODE32 / 8] = 0x00cf9b000000ffffULL;
	gdt[SEL_A / 8] = tss_descriptor(TSS_A, TYPE_BUSY);
	gdt[SEL_B / 8] = tss_descriptor(TSS_B, TYPE_TSS);
	gdt[SEL_GATE / 8] = 0x850000000000 | (u64)SEL_B << 16;
	gdt[SEL_ABSENT / 8] = 0x00cf13000000ffffULL;
}

/* The second task, which begins at @code. */
static void set_task(struct vm *vm, const void *code)
{
	unsigned int at;

	memset(tss(vm, TSS_A, 0), 0, 0x68);
	memset(tss(vm, TSS_B, 0), 0, 0x68);
	*tss(vm, TSS_A, CR3) = PD32_GPA;
	*tss(vm, TSS_B, CR3) = PD_B;
	*tss(vm, TSS_B, EIP) = (unsigned long)code;
	*tss(vm, TSS_B, EFLAGS) = 2;
	*tss(vm, TSS_B, ESP) = STACK_B;
	for (at = ES; at <= GS; at += 4)
		*tss(vm, TSS_B, at) = at == CS ? SEL_CODE32 : SEL_DATA;
	memcpy(vm_hva(vm, PD_B), vm_hva(vm, PD32_GPA), PAGE);
}

/* Let the first task run @code, with EAX and the like 0x11, up to HLT. */
static void run(struct vcpu *vcpu, bool paged, const void *code, struct kvm_regs *r)
{
	struct kvm_sregs sregs;

	vcpu_set_prot32(vcpu, code);
	vcpu_get_sregs(vcpu, &sregs);
	sregs.idt = (struct kvm_dtable) { .base = IDT32, .limit = 0x30 * 8 - 1 };
	sregs.gdt = (struct kvm_dtable) { .base = GDT32, .limit = 9 * 8 - 1 };
	sregs.tr.base = TSS_A;
	sregs.tr.selector = SEL_A;
	sregs.ldt.unusable = 1;
	if (paged) {
		sregs.cr0 |= CR0_PG;
		sregs.cr4 |= CR4_PSE;
		sregs.cr3 = PD32_GPA;
	}
	vcpu_set_sregs(vcpu, &sregs);
	*r = (struct kvm_regs) {
		.rax = 0x11, .rbx = 0x12, .rcx = 0x13, .rdx = 0x14, .rsi = 0x15, .rdi = 0x16,
		.rbp = 0x17, .rsp = STACK_A, .rip = (unsigned long)code, .rflags = 2,
	};
	vcpu_set_regs(vcpu, r);
	CHECK(vcpu_next(vcpu) == KVM_EXIT_HLT, "exit %d", vcpu->run->exit_reason);
	vcpu_get_regs(vcpu, r);
}

static u16 task_register(struct vcpu *vcpu)
{
	struct kvm_sregs sregs;

	vcpu_get_sregs(vcpu, &sregs);
	return sregs.tr.selector;
}

static u64 cr3(struct vcpu *vcpu)
{
	struct kvm_sregs sregs;

	vcpu_get_sregs(vcpu, &sregs);
	return sregs.cr3;
}

GUEST_CODE32(jumps, "ljmp $0x30, $0\n\thlt\n");
GUEST_CODE32(jumps_to_gate, "ljmp $0x38, $0\n\thlt\n");
GUEST_CODE32(calls, "lcall $0x30, $0\n\tinc %eax\n\tlcall $0x38, $0\n\tinc %eax\n\thlt\n");
GUEST_CODE32(interrupts, "int $0x21\n\tinc %eax\n\tint $0x21\n\tinc %eax\n\thlt\n");
GUEST_CODE32(double_faults, "int $0x22\n\thlt\n");
GUEST_CODE32(stops, "hlt\n");
GUEST_CODE32(pops, "pop %eax\n\thlt\n");
GUEST_CODE32(goes_back, "1: inc %ebx\n\tiretl\n\tjmp 1b\n");
GUEST_CODE32(on_fault, "pop %eax\n\tmov $0x77, %edi\n\thlt\n");
GUEST_CODE32(on_debug, "mov %dr6, %eax\n\tmov $0x78, %edi\n\thlt\n");

TEST_F(task, jump)
{
	struct kvm_regs r;

	set_tables(self->vm);
	set_task(self->vm, stops);
	*tss(self->vm, TSS_B, EAX) = 0x55;
	run(self->vcpu, variant->paged, jumps, &r);
	EXPECT_EQ((unsigned long)stops + 1, r.rip);
	EXPECT_EQ(0x55, r.rax);
	EXPECT_EQ(0, r.rdi);
	EXPECT_EQ(STACK_B, r.rsp);
	EXPECT_EQ(2, r.rflags);
	EXPECT_EQ(SEL_B, task_register(self->vcpu));
	EXPECT_EQ(TYPE_TSS, type_of(self->vm, SEL_A));
	EXPECT_EQ(TYPE_BUSY, type_of(self->vm, SEL_B));
	EXPECT_EQ((unsigned long)jumps + 7, *tss(self->vm, TSS_A, EIP));
	EXPECT_EQ(0x11, *tss(self->vm, TSS_A, EAX));
	EXPECT_EQ(STACK_A, *tss(self->vm, TSS_A, ESP));
	EXPECT_EQ(SEL_CODE32, *(u16 *)tss(self->vm, TSS_A, CS));
	if (variant->paged)
		EXPECT_EQ(PD_B, cr3(self->vcpu));
	set_tables(self->vm);
	set_task(self->vm, stops);
	run(self->vcpu, variant->paged, jumps_to_gate, &r);
	EXPECT_EQ(SEL_B, task_register(self->vcpu));
}

/* There and back, twice: what a task was at is where it goes on. */
static void check_round_trips(struct __test_metadata *_metadata, struct vcpu *vcpu, bool paged,
			      const void *code)
{
	struct kvm_regs r;

	set_tables(vcpu->vm);
	set_task_gate(vcpu->vm, 0x21);
	set_task(vcpu->vm, goes_back);
	run(vcpu, paged, code, &r);
	EXPECT_EQ(0x13, r.rax);
	EXPECT_EQ(0x12, r.rbx);
	EXPECT_EQ(STACK_A, r.rsp);
	EXPECT_EQ(0, r.rflags & FLAG_NT);
	EXPECT_EQ(SEL_A, task_register(vcpu));
	EXPECT_EQ(TYPE_BUSY, type_of(vcpu->vm, SEL_A));
	EXPECT_EQ(TYPE_TSS, type_of(vcpu->vm, SEL_B));
	EXPECT_EQ(SEL_A, *(u16 *)tss(vcpu->vm, TSS_B, LINK));
	EXPECT_EQ(2, *tss(vcpu->vm, TSS_B, EAX + 12));
	EXPECT_EQ(0, *tss(vcpu->vm, TSS_B, EFLAGS) & FLAG_NT);
	EXPECT_EQ(STACK_B, *tss(vcpu->vm, TSS_B, ESP));
	if (paged)
		EXPECT_EQ(PD32_GPA, cr3(vcpu));
}

TEST_F(task, call_and_return)
{
	check_round_trips(_metadata, self->vcpu, variant->paged, calls);
}

TEST_F(task, int_n_and_return)
{
	check_round_trips(_metadata, self->vcpu, variant->paged, interrupts);
}

/* Vector 22h has no gate, nor has #GP: #DF comes to a task, with its error code. */
TEST_F(task, double_fault)
{
	struct kvm_regs r;

	set_tables(self->vm);
	set_task_gate(self->vm, 8);
	set_task(self->vm, pops);
	*tss(self->vm, TSS_B, EAX) = 0x55;
	run(self->vcpu, variant->paged, double_faults, &r);
	EXPECT_EQ(0, r.rax);
	EXPECT_EQ(STACK_B, r.rsp);
	EXPECT_EQ(FLAG_NT, r.rflags & FLAG_NT);
	EXPECT_EQ(SEL_B, task_register(self->vcpu));
	EXPECT_EQ(SEL_A, *(u16 *)tss(self->vm, TSS_B, LINK));
	EXPECT_EQ((unsigned long)double_faults, *tss(self->vm, TSS_A, EIP));
	EXPECT_EQ(STACK_A, *tss(self->vm, TSS_A, ESP));
}

TEST_F(task, interrupt_from_outside)
{
	struct kvm_interrupt irq = { .irq = 0x21 };
	struct kvm_regs r;

	set_tables(self->vm);
	set_task_gate(self->vm, 0x21);
	set_task(self->vm, stops);
	run(self->vcpu, variant->paged, stops, &r);
	r.rflags |= FLAG_IF;
	r.rip = (unsigned long)stops;
	vcpu_set_regs(self->vcpu, &r);
	vcpu_ioctl(self->vcpu, KVM_INTERRUPT, &irq);
	EXPECT_EQ(KVM_EXIT_HLT, vcpu_next(self->vcpu));
	EXPECT_EQ(SEL_B, task_register(self->vcpu));
	EXPECT_EQ((unsigned long)stops, *tss(self->vm, TSS_A, EIP));
	EXPECT_EQ(FLAG_IF | 2, *tss(self->vm, TSS_A, EFLAGS) & ~FLAG_RF);
}

TEST_F(task, faults_before_the_switch)
{
	u64 *gdt = vm_hva(self->vm, GDT32);
	struct kvm_regs r;

	set_tables(self->vm);
	set_gate(self->vm, 13, on_fault);
	gdt[SEL_B / 8] = tss_descriptor(TSS_B, TYPE_BUSY);
	run(self->vcpu, variant->paged, jumps, &r);
	EXPECT_EQ(0x77, r.rdi);
	EXPECT_EQ(SEL_B, r.rax);
	EXPECT_EQ(SEL_A, task_register(self->vcpu));
	set_tables(self->vm);
	set_gate(self->vm, 10, on_fault);
	gdt[SEL_B / 8] = tss_descriptor(TSS_B, TYPE_TSS) - 1;
	run(self->vcpu, variant->paged, jumps, &r);
	EXPECT_EQ(0x77, r.rdi);
	EXPECT_EQ(SEL_B, r.rax);
	set_tables(self->vm);
	set_gate(self->vm, 11, on_fault);
	gdt[SEL_B / 8] = tss_descriptor(TSS_B, TYPE_TSS & ~0x80);
	run(self->vcpu, variant->paged, jumps, &r);
	EXPECT_EQ(0x77, r.rdi);
	EXPECT_EQ(SEL_B, r.rax);
	EXPECT_EQ(SEL_A, task_register(self->vcpu));
}

TEST_F(task, faults_of_the_new_task)
{
	struct kvm_regs r;

	set_tables(self->vm);
	set_gate(self->vm, 11, on_fault);
	set_task(self->vm, stops);
	*tss(self->vm, TSS_B, DS) = SEL_ABSENT;
	run(self->vcpu, variant->paged, jumps, &r);
	EXPECT_EQ(0x77, r.rdi);
	EXPECT_EQ(SEL_ABSENT, r.rax);
	EXPECT_EQ(SEL_B, task_register(self->vcpu));
	EXPECT_EQ(STACK_B - 12, r.rsp);
	set_tables(self->vm);
	set_gate(self->vm, 10, on_fault);
	set_task(self->vm, stops);
	*tss(self->vm, TSS_B, DS) = SEL_B;
	run(self->vcpu, variant->paged, jumps, &r);
	EXPECT_EQ(0x77, r.rdi);
	EXPECT_EQ(SEL_B, r.rax);
}

TEST_F(task, trap_bit)
{
	struct kvm_regs r;

	set_tables(self->vm);
	set_gate(self->vm, 1, on_debug);
	set_task(self->vm, stops);
	*tss(self->vm, TSS_B, TRAP) = 1;
	run(self->vcpu, variant->paged, jumps, &r);
	EXPECT_EQ(0x78, r.rdi);
	EXPECT_EQ(1u << 15, r.rax & (1u << 15));
	EXPECT_EQ((unsigned long)stops, *(u32 *)vm_hva(self->vm, STACK_B - 12));
}

KEEL_TEST_MAIN
