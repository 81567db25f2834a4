// SPDX-License-Identifier: GPL-2.0
/*
 * The processor modes a guest can be in, entered from userspace and by the
 * guest's own instructions: real, 16-bit and 32-bit protected, VM86, 32-bit
 * and PAE paging, compatibility and long mode.
 */
#include "kselftest_harness.h"
#include "keel_test.h"
#include "guest.h"

#define PORT 0x60

FIXTURE(modes) {
	struct vm *vm;
	struct vcpu *vcpu;
};

FIXTURE_SETUP(modes)
{
	self->vm = vm_create();
	self->vcpu = vcpu_create_bare(self->vm, 0);
	vcpu_set_cpuid(self->vcpu);
}

FIXTURE_TEARDOWN(modes)
{
	vcpu_free(self->vcpu);
	vm_free(self->vm);
}

/* Run to an OUT of 4 bytes and return them. */
static u32 next_out(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	int got = vcpu_next(vcpu);

	CHECK(got == KVM_EXIT_IO && run->io.size == 4 && run->io.port == PORT,
	      "exit %d suberror %u", got, run->internal.suberror);
	return *(u32 *)((u8 *)run + run->io.data_offset);
}

TEST_F(modes, state_after_reset)
{
	struct kvm_sregs s;
	struct kvm_regs r;

	vcpu_get_sregs(self->vcpu, &s);
	vcpu_get_regs(self->vcpu, &r);
	EXPECT_EQ(0xfff0, r.rip);
	EXPECT_EQ(2, r.rflags);
	EXPECT_EQ(0, r.rax | r.rbx | r.rcx | r.rsi | r.rdi | r.rbp | r.rsp);
	EXPECT_EQ(0xf000, s.cs.selector);
	EXPECT_EQ(0xffff0000, s.cs.base);
	EXPECT_EQ(0xffff, s.cs.limit);
	EXPECT_EQ(1, s.cs.present);
	EXPECT_EQ(0, s.ds.selector);
	EXPECT_EQ(0, s.ds.base);
	EXPECT_EQ(0xffff, s.ds.limit);
	EXPECT_EQ(0x60000010, s.cr0);
	EXPECT_EQ(0, s.cr2);
	EXPECT_EQ(0, s.cr3);
	EXPECT_EQ(0, s.cr4);
	EXPECT_EQ(0, s.efer);
	EXPECT_EQ(0xffff, s.gdt.limit);
	EXPECT_EQ(0xffff, s.idt.limit);
	EXPECT_EQ(0xffff, s.ldt.limit);
	EXPECT_EQ(0xffff, s.tr.limit);
	EXPECT_EQ(0, s.gdt.base | s.idt.base | s.ldt.base | s.tr.base);
}

TEST_F(modes, starts_at_the_reset_vector)
{
	/* mov $0x1234abcd,%eax (16-bit code); out %eax,$0x60; ljmp to 0x1000 */
	static const u8 rom[] = "\x66\xb8\xcd\xab\x34\x12\x66\xe7\x60"
				"\xea\x00\x10\x00\x00";
	u8 *top = anon_alloc(PAGE);

	memcpy(top + 0xff0, rom, sizeof(rom) - 1);
	/* mov %cs,%eax; out; hlt */
	memcpy(vm_hva(self->vm, REAL_CODE_GPA), "\x66\x8c\xc8\x66\xe7\x60\xf4", 7);
	vm_set_slot(self->vm, 1, KVM_MEM_READONLY, 0xfffff000, PAGE, top);
	EXPECT_EQ(0x1234abcd, next_out(self->vcpu));
	EXPECT_EQ(0, next_out(self->vcpu) & 0xffff);
	EXPECT_EQ(KVM_EXIT_HLT, vcpu_next(self->vcpu));
}

/* The same bytes are two instructions in 16-bit code and one in 32-bit. */
GUEST_CODE16(width_probe,
	     ".byte 0xb8, 0x11, 0x11\n"		/* mov $imm, %eax or %ax */
	     ".byte 0x40, 0x90\n"		/* inc %ax, or the immediate's end */
	     ".byte 0xe7, 0x60\n"		/* out %ax or %eax */
	     "hlt\n");

static void load_probe(struct vm *vm)
{
	vm_load(vm, REAL_CODE_GPA, width_probe, width_probe_end);
}

TEST_F(modes, real_mode_is_16_bit)
{
	load_probe(self->vm);
	vcpu_set_real(self->vcpu, REAL_CODE_GPA);
	EXPECT_EQ(KVM_EXIT_IO, vcpu_next(self->vcpu));
	EXPECT_EQ(2, self->vcpu->run->io.size);
	EXPECT_EQ(0x1112, *(u16 *)((u8 *)self->vcpu->run +
				   self->vcpu->run->io.data_offset));
}

TEST_F(modes, protected_16_bit)
{
	load_probe(self->vm);
	vcpu_set_prot16(self->vcpu, REAL_CODE_GPA);
	EXPECT_EQ(KVM_EXIT_IO, vcpu_next(self->vcpu));
	EXPECT_EQ(2, self->vcpu->run->io.size);
	EXPECT_EQ(0x1112, *(u16 *)((u8 *)self->vcpu->run +
				   self->vcpu->run->io.data_offset));
}

TEST_F(modes, protected_32_bit)
{
	load_probe(self->vm);
	vcpu_set_prot32(self->vcpu, (void *)REAL_CODE_GPA);
	EXPECT_EQ(0x90401111, next_out(self->vcpu));
}

/* Segment bases and limits as userspace sets them. */
GUEST_CODE16(real_segments,
	     "mov $0x1234, %ax\n"
	     "mov %ax, %es\n"
	     "movl %es:0x10, %eax\n"
	     "out %eax, $0x60\n"
	     "movl %fs:0x10, %eax\n"
	     "out %eax, $0x60\n"
	     "movl $0x00200000, %ebx\n"
	     "addr32 movl %gs:(%ebx), %eax\n"
	     "out %eax, $0x60\n"
	     "hlt\n");

TEST_F(modes, real_mode_segments)
{
	struct kvm_sregs s;

	vm_load(self->vm, REAL_CODE_GPA, real_segments, real_segments_end);
	vcpu_set_real(self->vcpu, REAL_CODE_GPA);
	vcpu_get_sregs(self->vcpu, &s);
	s.fs.selector = 0x2000;
	s.fs.base = 0x20000;
	/* Left from protected mode: real mode with a 4 GiB limit. */
	s.gs.limit = 0xffffffff;
	s.gs.g = 1;
	vcpu_set_sregs(self->vcpu, &s);
	*(u32 *)vm_hva(self->vm, 0x12350) = 0xe5e5e5e5;
	*(u32 *)vm_hva(self->vm, 0x20010) = 0xf5f5f5f5;
	*(u32 *)vm_hva(self->vm, 0x200000) = 0x95959595;
	EXPECT_EQ(0xe5e5e5e5, next_out(self->vcpu));
	EXPECT_EQ(0xf5f5f5f5, next_out(self->vcpu));
	EXPECT_EQ(0x95959595, next_out(self->vcpu));
	EXPECT_EQ(KVM_EXIT_HLT, vcpu_next(self->vcpu));
	vcpu_get_sregs(self->vcpu, &s);
	EXPECT_EQ(0x1234, s.es.selector);
	EXPECT_EQ(0x12340, s.es.base);
}

GUEST_CODE16(real_int,
	     "int $0x21\n"
	     "out %eax, $0x60\n"
	     "hlt\n"
	     ".org real_int + 0x40\n"
	     "mov $0xcafe, %eax\n"
	     "iret\n");

TEST_F(modes, real_mode_software_interrupt)
{
	u16 *ivt = vm_hva(self->vm, REAL_IVT_GPA);

	vm_load(self->vm, REAL_CODE_GPA, real_int, real_int_end);
	ivt[0x21 * 2] = REAL_CODE_GPA + 0x40;
	ivt[0x21 * 2 + 1] = 0;
	vcpu_set_real(self->vcpu, REAL_CODE_GPA);
	EXPECT_EQ(0xcafe, next_out(self->vcpu));
	EXPECT_EQ(KVM_EXIT_HLT, vcpu_next(self->vcpu));
}

/*
 * All the way up and down by the guest's own hand; an OUT marks each station.
 * Starts in real mode with the library's GDT and page tables in place.
 */
GUEST_CODE16(the_climb,
	     "lgdtl climb_gdt - the_climb + 0x1000\n"
	     "mov $1, %eax\n"
	     "out %eax, $0x60\n"
	     "mov %cr0, %eax\n"
	     "or $1, %eax\n"
	     "mov %eax, %cr0\n"
	     "ljmp $0x20, $(0x1000 + prot16 - the_climb)\n"
	     "prot16:\n"			/* 16-bit protected mode */
	     "mov $0x28, %ax\n"
	     "mov %ax, %ds\n"
	     "mov $2, %eax\n"
	     "out %eax, $0x60\n"
	     "ljmpl $0x18, $(0x1000 + prot32 - the_climb)\n"
	     ".code32\n"
	     "prot32:\n"			/* 32-bit, no paging */
	     "mov $0x10, %ax\n"
	     "mov %ax, %ds\n"
	     "mov %ax, %es\n"
	     "mov %ax, %ss\n"
	     "mov $0x7000, %esp\n"
	     "mov $3, %eax\n"
	     "out %eax, $0x60\n"
	     "mov %cr4, %eax\n"
	     "or $0x10, %eax\n"
	     "mov %eax, %cr4\n"
	     "mov $0x17000, %eax\n"
	     "mov %eax, %cr3\n"
	     "mov %cr0, %eax\n"
	     "or $0x80000000, %eax\n"
	     "mov %eax, %cr0\n"			/* 32-bit paging */
	     "mov 0x00900000, %eax\n"		/* seen through the tables */
	     "out %eax, $0x60\n"
	     "mov %cr0, %eax\n"
	     "and $0x7fffffff, %eax\n"
	     "mov %eax, %cr0\n"
	     "mov %cr4, %eax\n"
	     "or $0x20, %eax\n"
	     "mov %eax, %cr4\n"
	     "mov $0x16000, %eax\n"
	     "mov %eax, %cr3\n"
	     "mov %cr0, %eax\n"
	     "or $0x80000000, %eax\n"
	     "mov %eax, %cr0\n"			/* PAE */
	     "mov $5, %eax\n"
	     "out %eax, $0x60\n"
	     "mov %cr0, %eax\n"
	     "and $0x7fffffff, %eax\n"
	     "mov %eax, %cr0\n"
	     "mov $0x10000, %eax\n"
	     "mov %eax, %cr3\n"
	     "mov $0xc0000080, %ecx\n"
	     "rdmsr\n"
	     "or $0x100, %eax\n"
	     "wrmsr\n"
	     "mov %cr0, %eax\n"
	     "or $0x80000000, %eax\n"
	     "mov %eax, %cr0\n"			/* long mode, 32-bit code */
	     "mov $6, %eax\n"
	     "out %eax, $0x60\n"
	     "ljmp $8, $(0x1000 + long64 - the_climb)\n"
	     ".code64\n"
	     "long64:\n"
	     "mov $0x700000000, %rax\n"
	     "shr $32, %rax\n"
	     "out %eax, $0x60\n"
	     "mov $0xc0000080, %ecx\n"
	     "rdmsr\n"
	     "out %eax, $0x60\n"		/* EFER with LMA */
	     "sub $16, %rsp\n"
	     "movl $(0x1000 + compat - the_climb), (%rsp)\n"
	     "movw $0x18, 4(%rsp)\n"
	     "ljmp *(%rsp)\n"
	     ".code32\n"
	     "compat:\n"			/* compatibility mode */
	     "mov $0xffffffff, %eax\n"
	     "inc %eax\n"			/* a REX prefix in long mode */
	     "add $9, %eax\n"
	     "out %eax, $0x60\n"
	     "mov %cr0, %eax\n"
	     "and $0x7fffffff, %eax\n"
	     "mov %eax, %cr0\n"			/* paging off: out of long mode */
	     "mov $0xc0000080, %ecx\n"
	     "rdmsr\n"
	     "out %eax, $0x60\n"
	     "and $~0x100, %eax\n"
	     "wrmsr\n"
	     "ljmp $0x20, $(0x1000 + down16 - the_climb)\n"
	     ".code16\n"
	     "down16:\n"
	     "mov $0x28, %ax\n"
	     "mov %ax, %ds\n"
	     "mov %ax, %ss\n"
	     "mov %cr0, %eax\n"
	     "and $~1, %eax\n"
	     "mov %eax, %cr0\n"
	     "ljmp $0x100, $(down_real - the_climb)\n"
	     "down_real:\n"			/* real mode again */
	     "mov $0x300, %ax\n"
	     "mov %ax, %ds\n"
	     "mov 0x20, %eax\n"			/* at 0x3020 */
	     "out %eax, $0x60\n"
	     "hlt\n"
	     ".balign 8\n"
	     "climb_gdt: .word 0x3f; .long 0x8000\n");

TEST_F(modes, up_and_down_the_ladder)
{
	/* Virtual 0x900000 is physical 0x100000 once paging is on. */
	u32 *pd32 = vm_hva(self->vm, PD32_GPA);
	struct kvm_sregs s;

	vm_load(self->vm, REAL_CODE_GPA, the_climb, the_climb_end);
	pd32[2] = 0 | PT_P | PT_W | PT_PS;
	*(u32 *)vm_hva(self->vm, 0x100000) = 0x44444444;
	*(u32 *)vm_hva(self->vm, 0x3020) = 0xdddddddd;
	vcpu_set_real(self->vcpu, REAL_CODE_GPA);
	EXPECT_EQ(1, next_out(self->vcpu));
	EXPECT_EQ(2, next_out(self->vcpu));
	EXPECT_EQ(3, next_out(self->vcpu));
	EXPECT_EQ(0x44444444, next_out(self->vcpu));
	EXPECT_EQ(5, next_out(self->vcpu));
	EXPECT_EQ(6, next_out(self->vcpu));
	vcpu_get_sregs(self->vcpu, &s);
	EXPECT_EQ(EFER_LME | EFER_LMA, s.efer);
	EXPECT_EQ(0, s.cs.l);
	EXPECT_EQ(7, next_out(self->vcpu));
	vcpu_get_sregs(self->vcpu, &s);
	EXPECT_EQ(1, s.cs.l);
	EXPECT_EQ(EFER_LME | EFER_LMA, next_out(self->vcpu));
	EXPECT_EQ(9, next_out(self->vcpu));
	EXPECT_EQ(EFER_LME, next_out(self->vcpu));
	EXPECT_EQ(0xdddddddd, next_out(self->vcpu));
	vcpu_get_sregs(self->vcpu, &s);
	EXPECT_EQ(0, s.efer);
	EXPECT_EQ(0, s.cr0 & (CR0_PE | CR0_PG));
	EXPECT_EQ(0x1000, s.cs.base);
	EXPECT_EQ(0x3000, s.ds.base);
	EXPECT_EQ(KVM_EXIT_HLT, vcpu_next(self->vcpu));
}

/* 32-bit and PAE guests: rights of pages, 4 KiB pages, NX. */
GUEST_CODE32(paged32,
	     "mov $0x00c00123, %ebx\n"
	     "mov (%ebx), %eax\n"
	     "out %eax, $0x60\n"
	     "movl $0x5a5a5a5a, (%ebx)\n"
	     "mov (%ebx), %eax\n"
	     "out %eax, $0x60\n"
	     "hlt\n");

TEST_F(modes, paging_32_bit_with_4k_pages)
{
	u32 *pd = vm_hva(self->vm, PD32_GPA);
	u32 *pt = vm_hva(self->vm, TABLES_GPA);
	struct kvm_sregs s;

	pd[3] = TABLES_GPA | PT_P | PT_W;
	pt[0] = (DATA_GPA + PAGE) | PT_P | PT_W;
	*(u32 *)vm_hva(self->vm, DATA_GPA + PAGE + 0x123) = 0x12345678;
	vcpu_set_prot32(self->vcpu, paged32);
	vcpu_get_sregs(self->vcpu, &s);
	s.cr3 = PD32_GPA;
	s.cr4 = CR4_PSE;
	s.cr0 |= CR0_PG;
	vcpu_set_sregs(self->vcpu, &s);
	EXPECT_EQ(0x12345678, next_out(self->vcpu));
	EXPECT_EQ(0x5a5a5a5a, next_out(self->vcpu));
	EXPECT_EQ(0x5a5a5a5a, *(u32 *)vm_hva(self->vm, DATA_GPA + PAGE + 0x123));
	/* The processor walked these: it left its marks. */
	EXPECT_EQ(PT_A | PT_D, pt[0] & (PT_A | PT_D));
	EXPECT_EQ(PT_A, pd[3] & PT_A);
}

TEST_F(modes, pae_with_4k_pages)
{
	u64 *pd = vm_hva(self->vm, PD_GPA);
	u64 *pt = vm_hva(self->vm, TABLES_GPA);
	struct kvm_sregs s;

	pd[6] = TABLES_GPA | PT_P | PT_W;
	pt[0] = (DATA_GPA + PAGE) | PT_P | PT_W;
	*(u32 *)vm_hva(self->vm, DATA_GPA + PAGE + 0x123) = 0x12345678;
	vcpu_set_prot32(self->vcpu, paged32);
	vcpu_get_sregs(self->vcpu, &s);
	s.cr3 = PAE_PDPT_GPA;
	s.cr4 = CR4_PAE;
	s.cr0 |= CR0_PG;
	vcpu_set_sregs(self->vcpu, &s);
	EXPECT_EQ(0x12345678, next_out(self->vcpu));
	EXPECT_EQ(0x5a5a5a5a, next_out(self->vcpu));
	EXPECT_EQ(PT_A | PT_D, pt[0] & (PT_A | PT_D));
}

GUEST_CODE32(pae_reload,
	     "mov 0x00c00000, %eax\n"
	     "out %eax, $0x60\n"
	     "mov %cr3, %eax\n"			/* other tables, same code */
	     "mov $0x16020, %eax\n"
	     "mov %eax, %cr3\n"
	     "mov 0x00c00000, %eax\n"
	     "out %eax, $0x60\n"
	     "hlt\n");

TEST_F(modes, pae_directory_pointers_load_with_cr3)
{
	u64 *pdpt = vm_hva(self->vm, PAE_PDPT_GPA);
	u64 *pd = vm_hva(self->vm, PD_GPA);
	u64 *other = vm_hva(self->vm, TABLES_GPA);
	struct kvm_sregs s;

	memcpy(other, pd, PAGE);
	pd[6] = 0 | PT_P | PT_W | PT_PS;
	other[6] = HUGE | PT_P | PT_W | PT_PS;
	memcpy(&pdpt[4], &pdpt[0], 32);
	pdpt[4] = TABLES_GPA | PT_P;
	*(u32 *)vm_hva(self->vm, 0) = 0x1111;
	*(u32 *)vm_hva(self->vm, HUGE) = 0x2222;
	vcpu_set_prot32(self->vcpu, pae_reload);
	vcpu_get_sregs(self->vcpu, &s);
	s.cr3 = PAE_PDPT_GPA;
	s.cr4 = CR4_PAE;
	s.cr0 |= CR0_PG;
	vcpu_set_sregs(self->vcpu, &s);
	EXPECT_EQ(0x1111, next_out(self->vcpu));
	EXPECT_EQ(0x2222, next_out(self->vcpu));
}

/* Faults of long-mode paging: the error code tells which right was missing. */
#define GVA 0x8000000000UL

static int guest_fault_read(uint64_t addr)
{
	GUEST_TRY_TRAP(trap);

	asm volatile(GUEST_TRY("mov (%1), %%eax") : "=&r"(trap) : "r"(addr) : "rax");
	return trap;
}

static int guest_fault_write(uint64_t addr)
{
	GUEST_TRY_TRAP(trap);

	asm volatile(GUEST_TRY("movl $7, (%1)") : "=&r"(trap) : "r"(addr) : "memory");
	return trap;
}

static volatile u64 fetch_error;

static void on_fetch_fault(struct guest_trap *trap)
{
	fetch_error = trap->error;
	trap->rip = *(u64 *)trap->rsp;
	trap->rsp += 8;
}

static void guest_page_rights(void)
{
	guest_sync(guest_fault_read(GVA));
	guest_sync(guest_fault_write(GVA));
	guest_sync(guest_fault_read(GVA + PAGE));
	guest_write_cr0(guest_read_cr0() & ~CR0_WP);
	guest_sync(guest_fault_write(GVA));
	guest_handler[14] = on_fetch_fault;
	((void (*)(void))(GVA + 2 * PAGE))();
	guest_sync(fetch_error);
	((void (*)(void))(GVA + 3 * PAGE))();
	guest_sync(7);
	guest_done();
}

TEST_F(modes, long_mode_page_rights)
{
	vm_map(self->vm, GVA, DATA_GPA, PT_P);
	vm_map(self->vm, GVA + 2 * PAGE, DATA_GPA + PAGE, PT_P | PT_W | PT_NX);
	vm_map(self->vm, GVA + 3 * PAGE, DATA_GPA + PAGE, PT_P | PT_W);
	memset(vm_hva(self->vm, DATA_GPA + PAGE), 0xc3, 16);
	vcpu_set_long(self->vcpu, guest_page_rights);
	EXPECT_EQ(0, vcpu_sync(self->vcpu));
	EXPECT_EQ(14 + 1, vcpu_sync(self->vcpu));
	EXPECT_EQ(14 + 1, vcpu_sync(self->vcpu));
	EXPECT_EQ(0, vcpu_sync(self->vcpu));
	EXPECT_EQ(7, *(u32 *)vm_hva(self->vm, DATA_GPA));
	EXPECT_EQ(0x11, vcpu_sync(self->vcpu));
	EXPECT_EQ(7, vcpu_sync(self->vcpu));
	vcpu_done(self->vcpu);
}

/* A VM86 task under a 32-bit monitor that only knows #GP. */
GUEST_CODE32(vm86_monitor,
	     "mov $0x30, %ax\n"
	     "ltr %ax\n"
	     "pushl $0\n"			/* gs, fs, ds, es */
	     "pushl $0\n"
	     "pushl $0x300\n"
	     "pushl $0\n"
	     "pushl $0\n"			/* ss */
	     "pushl $0x6000\n"			/* esp */
	     "pushl $0x20002\n"			/* eflags: VM */
	     "pushl $0x100\n"			/* cs */
	     "pushl $0\n"			/* eip */
	     "iret\n");

GUEST_CODE32(vm86_on_gp,
	     "mov 4(%esp), %eax\n"		/* eip of the task */
	     "out %eax, $0x60\n"
	     "mov 12(%esp), %eax\n"		/* eflags */
	     "out %eax, $0x60\n"
	     "mov %ecx, %eax\n"
	     "out %eax, $0x60\n"
	     "hlt\n");

GUEST_CODE16(vm86_task,
	     "mov 0x10, %ecx\n"			/* ds:0x10 = 0x3010 */
	     "nop\n"
	     "hlt\n");				/* privileged: #GP */

TEST_F(modes, vm86_task_under_a_monitor)
{
	u64 *gdt = vm_hva(self->vm, GDT_GPA);
	u32 *idt32 = vm_hva(self->vm, DATA_GPA);
	u32 *tss = vm_hva(self->vm, TSS_GPA);
	u64 on_gp = (unsigned long)vm86_on_gp;
	struct kvm_sregs s;

	vm_load(self->vm, REAL_CODE_GPA, vm86_task, vm86_task_end);
	*(u32 *)vm_hva(self->vm, 0x3010) = 0x86868686;
	idt32[13 * 2] = SEL_CODE32 << 16 | (on_gp & 0xffff);
	idt32[13 * 2 + 1] = (on_gp & 0xffff0000) | 0x8e00;
	vcpu_set_prot32(self->vcpu, vm86_monitor);
	vcpu_get_sregs(self->vcpu, &s);
	/* An ordinary 32-bit TSS: stack of ring 0 for the way back. */
	gdt[SEL_TSS / 8] = 0x0000890000000067ULL | TSS_GPA << 16;
	tss[1] = STACKS_GPA + STACK_SIZE;
	tss[2] = SEL_DATA;
	s.idt.base = DATA_GPA;
	s.idt.limit = 0xff;
	vcpu_set_sregs(self->vcpu, &s);
	EXPECT_EQ(6, next_out(self->vcpu));
	EXPECT_EQ(0x20002, next_out(self->vcpu) & ~0x10000);
	EXPECT_EQ(0x86868686, next_out(self->vcpu));
	EXPECT_EQ(KVM_EXIT_HLT, vcpu_next(self->vcpu));
}

KEEL_TEST_MAIN
