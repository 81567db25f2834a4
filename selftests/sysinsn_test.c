// SPDX-License-Identifier: GPL-2.0
/*
 * System instructions in code without paging, which the module emulates where
 * the hardware does not run it, and the processor runs where it does: both have
 * to give the same. Instructions on memory are insn_modes_test's subject.
 */
#include "kselftest_harness.h"
#include "keel_test.h"
#include "guest.h"

#define MSR_SYSENTER_CS	0x174
#define MSR_SYSENTER_ESP	0x175
#define MSR_SYSENTER_EIP	0x176
#define MSR_TSC_AUX	0xc0000103
#define FLAG_AC		(1UL << 18)
#define FLAGS_ARITH	0x8d5UL

#define IDT32		DATA_GPA
#define GDT32		(DATA_GPA + 0x1000)
#define KERNEL_STACK	(DATA_GPA + 0x3000)
#define USER_STACK	(DATA_GPA + 0x4000)
#define NO_FAULT	0x100

FIXTURE(sysinsn) {
	struct vm *vm;
	struct vcpu *vcpu;
};

FIXTURE_SETUP(sysinsn)
{
	self->vm = vm_create();
	self->vcpu = vcpu_create_bare(self->vm, 0);
	vcpu_set_cpuid(self->vcpu);
}

FIXTURE_TEARDOWN(sysinsn)
{
	vcpu_free(self->vcpu);
	vm_free(self->vm);
}

/* Handlers leave their vector in EDI; that of #DB goes back, and counts in ESI. */
GUEST_CODE32(on_db, "incl %esi\n\tiretl\n");
GUEST_CODE32(on_ud, "mov $6, %edi\n\thlt\n");
GUEST_CODE32(on_gp, "mov $13, %edi\n\thlt\n");

static void set_gate(struct vm *vm, u8 vector, const void *to)
{
	u64 at = (unsigned long)to;
	u64 *idt = vm_hva(vm, IDT32);

	idt[vector] = (at & 0xffff0000) << 32 | 0x8e0000000000 | (u64)SEL_CODE32 << 16 |
		      (at & 0xffff);
}

/* 8: CS and 10h: SS of the kernel; 18h and 20h: of its users. */
static void set_tables(struct vm *vm)
{
	u64 *gdt = vm_hva(vm, GDT32);

	set_gate(vm, 1, on_db);
	set_gate(vm, 6, on_ud);
	set_gate(vm, 13, on_gp);
	gdt[0] = 0;
	gdt[1] = 0x00cf9b000000ffffULL;
	gdt[2] = 0x00cf93000000ffffULL;
	gdt[3] = 0x00cf9b000000ffffULL;		/* SEL_CODE32: where handlers run */
	gdt[4] = 0x00cff3000000ffffULL;
}

/* Run @code to its end with @r; the vector of the exception it ended by, or NO_FAULT. */
static u32 run(struct vcpu *vcpu, const char *code, struct kvm_regs *r)
{
	struct kvm_sregs sregs;

	set_tables(vcpu->vm);
	vcpu_set_prot32(vcpu, code);
	vcpu_get_sregs(vcpu, &sregs);
	sregs.idt = (struct kvm_dtable) { .base = IDT32, .limit = 14 * 8 - 1 };
	sregs.gdt = (struct kvm_dtable) { .base = GDT32, .limit = 5 * 8 - 1 };
	vcpu_set_sregs(vcpu, &sregs);
	r->rip = (unsigned long)code;
	r->rsp = KERNEL_STACK;
	r->rdi = NO_FAULT;
	r->rsi = 0;
	r->rflags |= 2;
	vcpu_set_regs(vcpu, r);
	CHECK(vcpu_next(vcpu) == KVM_EXIT_HLT, "exit %d", vcpu->run->exit_reason);
	vcpu_get_regs(vcpu, r);
	return r->rdi;
}

static bool has(struct vcpu *vcpu, u32 fn, int reg, int bit)
{
	struct kvm_cpuid2 *cpuid = cpuid_supported(vcpu->vm->dev);
	struct kvm_cpuid_entry2 *e = cpuid_find(cpuid, fn, 0);
	u32 val[4] = { 0 };

	if (e)
		memcpy(val, &e->eax, sizeof(val));
	free(cpuid);
	return val[reg] >> bit & 1;
}

static void set_cr4(struct vcpu *vcpu, u64 bits, bool on)
{
	struct kvm_sregs sregs;

	vcpu_get_sregs(vcpu, &sregs);
	sregs.cr4 = on ? sregs.cr4 | bits : sregs.cr4 & ~bits;
	vcpu_set_sregs(vcpu, &sregs);
}

GUEST_CODE32(do_rdpmc, "rdpmc\n\thlt\n");
GUEST_CODE32(do_vmcall, "vmcall\n\thlt\n");
GUEST_CODE32(do_syscall, ".byte 0x0f, 0x05\n\thlt\n");
GUEST_CODE32(do_fences, "lfence\n\tmfence\n\tsfence\n\thlt\n");
GUEST_CODE32(do_int1, ".byte 0xf1\n\tinc %eax\n\thlt\n");
GUEST_CODE32(do_salc, "stc\n\t.byte 0xd6\n\thlt\n");

TEST_F(sysinsn, those_that_need_no_feature)
{
	struct kvm_regs r = { .rcx = 0 };

	EXPECT_EQ(13, run(self->vcpu, do_rdpmc, &r));
	EXPECT_EQ(6, run(self->vcpu, do_syscall, &r));
	EXPECT_EQ(NO_FAULT, run(self->vcpu, do_fences, &r));
	r.rax = 100;
	EXPECT_EQ(NO_FAULT, run(self->vcpu, do_vmcall, &r));
	EXPECT_EQ((u32)-1000, r.rax);
	r.rax = 0x12345600;
	EXPECT_EQ(NO_FAULT, run(self->vcpu, do_salc, &r));
	EXPECT_EQ(0x123456ff, r.rax);
	r.rax = 5;
	EXPECT_EQ(NO_FAULT, run(self->vcpu, do_int1, &r));
	EXPECT_EQ(6, r.rax);
	EXPECT_EQ(1, r.rsi);
}

GUEST_CODE32(do_xgetbv, "xgetbv\n\thlt\n");
GUEST_CODE32(do_xsetbv, "xsetbv\n\thlt\n");

TEST_F(sysinsn, xcr0)
{
	struct kvm_xcrs xcrs = { .nr_xcrs = 0 };
	struct kvm_regs r = { .rcx = 0 };

	REQUIRE(has(self->vcpu, 1, 2, 26));
	EXPECT_EQ(6, run(self->vcpu, do_xgetbv, &r));
	EXPECT_EQ(6, run(self->vcpu, do_xsetbv, &r));
	set_cr4(self->vcpu, CR4_OSXSAVE, true);
	r = (struct kvm_regs) { .rax = 3 };
	EXPECT_EQ(NO_FAULT, run(self->vcpu, do_xsetbv, &r));
	vcpu_ioctl(self->vcpu, KVM_GET_XCRS, &xcrs);
	EXPECT_EQ(3, xcrs.xcrs[0].value);
	r = (struct kvm_regs) { .rax = ~0UL, .rdx = ~0UL };
	EXPECT_EQ(NO_FAULT, run(self->vcpu, do_xgetbv, &r));
	EXPECT_EQ(3, r.rax);
	EXPECT_EQ(0, r.rdx);
	r = (struct kvm_regs) { .rax = 2 };
	EXPECT_EQ(13, run(self->vcpu, do_xsetbv, &r));
	r = (struct kvm_regs) { .rcx = 7 };
	EXPECT_EQ(13, run(self->vcpu, do_xgetbv, &r));
	vcpu_ioctl(self->vcpu, KVM_GET_XCRS, &xcrs);
	EXPECT_EQ(3, xcrs.xcrs[0].value);
}

GUEST_CODE32(do_rdtscp, "rdtscp\n\thlt\n");
GUEST_CODE32(do_rdpid, ".byte 0xf3, 0x0f, 0xc7, 0xf8\n\thlt\n");

TEST_F(sysinsn, processor_number)
{
	struct kvm_regs r = { .rcx = 0 };

	REQUIRE(has(self->vcpu, 0x80000001, 3, 27));
	EXPECT_EQ(1, __vcpu_set_msr(self->vcpu, MSR_TSC_AUX, 0x1234567));
	EXPECT_EQ(NO_FAULT, run(self->vcpu, do_rdtscp, &r));
	EXPECT_EQ(0x1234567, r.rcx);
	EXPECT_NE(0, r.rax | r.rdx);
	REQUIRE(has(self->vcpu, 7, 2, 22));
	r.rax = ~0UL;
	EXPECT_EQ(NO_FAULT, run(self->vcpu, do_rdpid, &r));
	EXPECT_EQ(0x1234567, r.rax);
}

GUEST_CODE32(do_rdrand, "1: rdrand %eax\n\tjnc 1b\n\trdrand %cx\n\thlt\n");
GUEST_CODE32(do_rdseed, "1: rdseed %eax\n\tjnc 1b\n\thlt\n");

TEST_F(sysinsn, random_numbers)
{
	struct kvm_regs r = { .rax = 0, .rflags = FLAGS_ARITH };
	u64 first;

	REQUIRE(has(self->vcpu, 1, 2, 30));
	r.rcx = 0x12340000;
	EXPECT_EQ(NO_FAULT, run(self->vcpu, do_rdrand, &r));
	EXPECT_EQ(FLAG_CF, r.rflags & FLAGS_ARITH);
	EXPECT_EQ(0x1234, r.rcx >> 16);
	first = r.rax;
	EXPECT_EQ(NO_FAULT, run(self->vcpu, do_rdrand, &r));
	EXPECT_NE(first, r.rax);
	REQUIRE(has(self->vcpu, 7, 1, 18));
	EXPECT_EQ(NO_FAULT, run(self->vcpu, do_rdseed, &r));
	EXPECT_EQ(FLAG_CF, r.rflags & FLAGS_ARITH);
}

GUEST_CODE32(do_stac, "stac\n\tpushf\n\tpop %eax\n\tclac\n\thlt\n");

TEST_F(sysinsn, access_flag)
{
	struct kvm_regs r = { .rax = 0 };

	REQUIRE(has(self->vcpu, 7, 1, 20));
	EXPECT_EQ(NO_FAULT, run(self->vcpu, do_stac, &r));
	EXPECT_EQ(FLAG_AC, r.rax & FLAG_AC);
	EXPECT_EQ(0, r.rflags & FLAG_AC);
}

/* The kernel goes to its user, who comes back, where it stops. */
GUEST_CODE32(enter_user, "mov $user_code, %edx\n\tmov $0x104000, %ecx\n\tsysexit\n");
GUEST_CODE32(user_code, "mov %cs, %eax\n\tmov %ss, %ebx\n\tmov %esp, %ecx\n\tsysenter\n");
GUEST_CODE32(kernel_entry, "mov %cs, %edx\n\tmov %ss, %ebp\n\thlt\n");

TEST_F(sysinsn, sysenter_and_sysexit)
{
	struct kvm_regs r = { .rax = 0 };
	struct kvm_sregs sregs;

	EXPECT_EQ(13, run(self->vcpu, enter_user, &r));
	EXPECT_EQ(1, __vcpu_set_msr(self->vcpu, MSR_SYSENTER_CS, 8));
	EXPECT_EQ(1, __vcpu_set_msr(self->vcpu, MSR_SYSENTER_ESP, KERNEL_STACK));
	EXPECT_EQ(1, __vcpu_set_msr(self->vcpu, MSR_SYSENTER_EIP, (unsigned long)kernel_entry));
	r = (struct kvm_regs) { .rflags = FLAG_IF };
	EXPECT_EQ(NO_FAULT, run(self->vcpu, enter_user, &r));
	EXPECT_EQ(0x1b, r.rax);
	EXPECT_EQ(0x23, r.rbx);
	EXPECT_EQ(USER_STACK, r.rcx);
	EXPECT_EQ(8, r.rdx);
	EXPECT_EQ(0x10, r.rbp);
	EXPECT_EQ(KERNEL_STACK, r.rsp);
	EXPECT_EQ(2, r.rflags);
	vcpu_get_sregs(self->vcpu, &sregs);
	EXPECT_EQ(0, sregs.cs.base);
	EXPECT_EQ(0xffffffff, sregs.cs.limit);
	EXPECT_EQ(0, sregs.cs.dpl);
	EXPECT_EQ(0, sregs.ss.dpl);
}

KEEL_TEST_MAIN
