// SPDX-License-Identifier: GPL-2.0
/*
 * What the delivery of traps and interrupts owes to the program: a single-step
 * trap for each iteration of a repeated instruction and none for INT n, and
 * error codes that tell whose fault it was. Where memory is a device's, or the
 * hardware does not run the mode, it is the module that delivers.
 */
#include "kselftest_harness.h"
#include "keel_test.h"
#include "guest.h"

#define PORT		0x3f8
#define COUNT		3

FIXTURE(delivery) {
	struct vm *vm;
	struct vcpu *vcpu;
};

FIXTURE_SETUP(delivery)
{
	self->vm = vm_create();
	self->vcpu = vcpu_create_bare(self->vm, 0);
	vcpu_set_cpuid(self->vcpu);
}

FIXTURE_TEARDOWN(delivery)
{
	vcpu_free(self->vcpu);
	vm_free(self->vm);
}

/* --- single steps through strings ----------------------------------------- */

static u64 string_at, behind_string;	/* the guest's */
static u32 traps_at, traps_behind;

static void on_step(struct guest_trap *trap)
{
	traps_at += trap->rip == string_at;
	traps_behind += trap->rip == behind_string;
}

/* AL matches nothing and everything is equal: comparisons go on to the end. */
#define STEP_THROUGH(name, what)						\
static void step_##name(u64 source, u64 target)					\
{										\
	asm volatile("lea 1f(%%rip), %%r8\n\tmov %%r8, %0\n\t"			\
		     "lea 2f(%%rip), %%r8\n\tmov %%r8, %1\n\t"			\
		     "pushfq\n\torl $0x100, (%%rsp)\n\tpopfq\n\t"		\
		     "1: rep " what "\n\t2: nop\n\t"				\
		     "pushfq\n\tandl $~0x100, (%%rsp)\n\tpopfq\n\t"		\
		     : "=m"(string_at), "=m"(behind_string), "+S"(source), "+D"(target)	\
		     : "c"(COUNT), "d"(PORT), "a"(0) : "r8", "memory", "cc");	\
}

STEP_THROUGH(outs, "outsb")
STEP_THROUGH(ins, "insb")
STEP_THROUGH(movs, "movsb")
STEP_THROUGH(stos, "stosw")
STEP_THROUGH(lods, "lodsw")
STEP_THROUGH(cmps, "cmpsb")
STEP_THROUGH(scas, "scasb")

static void (*const step[])(u64, u64) = {
	step_outs, step_ins, step_movs, step_stos, step_lods, step_cmps, step_scas,
};

static void guest_step_all(void)
{
	static const u64 at[] = { DATA_GPA, MMIO_GPA };
	unsigned int i, j;

	guest_handler[1] = on_step;
	for (i = 0; i < 2 * ARRAY_SIZE(step); i++) {
		for (j = 0; j < 2; j++) {
			traps_at = 0;
			traps_behind = 0;
			step[i / 2](at[i % 2], at[j]);
			guest_sync3(i, traps_at, traps_behind);
		}
	}
	guest_done();
}

/* Devices hold zeros. */
static int next_call(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	int what;

	for (;;) {
		what = vcpu_next(vcpu);
		if (what == KVM_EXIT_MMIO)
			memset(run->mmio.data, 0, sizeof(run->mmio.data));
		else if (what == KVM_EXIT_IO && run->io.direction == KVM_EXIT_IO_IN)
			memset((u8 *)run + run->io.data_offset, 0, run->io.count * run->io.size);
		else if (what != KVM_EXIT_IO)
			return what;
	}
}

TEST_F(delivery, a_repeated_string_traps_at_each_iteration)
{
	u32 cases = 0;

	vcpu_set_long(self->vcpu, guest_step_all);
	for (; next_call(self->vcpu) == GUEST_SYNC; cases++) {
		EXPECT_EQ(COUNT - 1, self->vcpu->arg[1]) {
			TH_LOG("case %lu", self->vcpu->arg[0]);
		}
		EXPECT_EQ(1, self->vcpu->arg[2]);
	}
	EXPECT_EQ(4 * ARRAY_SIZE(step), cases);
}

/* --- INT n ---------------------------------------------------------------- */

/* The handler of #DB counts in DI; what INT n itself leads to is no step. */
GUEST_CODE16(int_steps,
	     "movw $(db - int_steps) + 0x1000, 4\n\tmovw $0, 6\n\t"
	     "movw $(other - int_steps) + 0x1000, 0x84\n\tmovw $0, 0x86\n\t"
	     "pushfw\n\torw $0x100, -2(%bp)\n\tpopfw\n\t"
	     "int $0x21\n\t"
	     "nop\n\t"
	     "pushfw\n\tandw $~0x100, -2(%bp)\n\tpopfw\n\t"
	     "hlt\n"
	     "db: incw %di\n\tiretw\n"
	     "other: incw %si\n\tiretw\n");

TEST_F(delivery, int_n_in_real_mode_is_no_step)
{
	struct kvm_regs regs;

	vm_load(self->vm, REAL_CODE_GPA, int_steps, int_steps_end);
	vcpu_set_real(self->vcpu, REAL_CODE_GPA);
	vcpu_get_regs(self->vcpu, &regs);
	regs.rbp = regs.rsp;
	regs.rdi = 0;
	regs.rsi = 0;
	vcpu_set_regs(self->vcpu, &regs);
	EXPECT_EQ(KVM_EXIT_HLT, vcpu_next(self->vcpu));
	vcpu_get_regs(self->vcpu, &regs);
	EXPECT_EQ(1, regs.rsi);
	/* NOP, PUSHF, AND and POPF. */
	EXPECT_EQ(4, regs.rdi);
}

/* --- error codes ---------------------------------------------------------- */

GUEST_CODE32(interrupted, "nop\n\thlt\n");
GUEST_CODE32(asks, "int $0x20\n\thlt\n");
GUEST_CODE32(on_gp, "pop %eax\n\tmov $0x77, %ebx\n\thlt\n");

static void set_gate(struct vm *vm, u8 vector, u16 sel, const void *to)
{
	u64 at = (unsigned long)to;
	u64 *idt = vm_hva(vm, DATA_GPA);

	idt[vector] = (at & 0xffff0000) << 32 | 0x8e0000000000 | (u64)sel << 16 | (at & 0xffff);
}

/* The error code of the #GP that @vector leads to. */
static u32 gp_of(struct __test_metadata *_metadata, struct vcpu *vcpu, const char *code,
		 int vector)
{
	struct kvm_interrupt irq = { .irq = vector };
	struct kvm_sregs sregs;
	struct kvm_regs regs;

	vcpu_set_prot32(vcpu, code);
	vcpu_get_sregs(vcpu, &sregs);
	sregs.idt = (struct kvm_dtable) { .base = DATA_GPA, .limit = 0x21 * 8 + 7 };
	vcpu_set_sregs(vcpu, &sregs);
	vcpu_get_regs(vcpu, &regs);
	regs.rflags |= FLAG_IF;
	vcpu_set_regs(vcpu, &regs);
	if (vector >= 0)
		vcpu_ioctl(vcpu, KVM_INTERRUPT, &irq);
	EXPECT_EQ(KVM_EXIT_HLT, vcpu_next(vcpu));
	vcpu_get_regs(vcpu, &regs);
	EXPECT_EQ(0x77, regs.rbx);
	return regs.rax;
}

TEST_F(delivery, error_codes_tell_whose_fault_it_was)
{
	set_gate(self->vm, 13, SEL_CODE32, on_gp);
	set_gate(self->vm, 0x21, SEL_DATA, on_gp);
	EXPECT_EQ(0x103, gp_of(_metadata, self->vcpu, interrupted, 0x20));
	EXPECT_EQ(SEL_DATA | 1, gp_of(_metadata, self->vcpu, interrupted, 0x21));
	EXPECT_EQ(0x113, gp_of(_metadata, self->vcpu, interrupted, 0x22));
	EXPECT_EQ(0x102, gp_of(_metadata, self->vcpu, asks, -1));
}

KEEL_TEST_MAIN
