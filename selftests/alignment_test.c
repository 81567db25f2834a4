// SPDX-License-Identifier: GPL-2.0
/*
 * Alignment checks. The guest's own come to its handler with their error code;
 * and one that is raised while the last is being delivered, where a processor
 * that does not exit goes round in microcode for ever, leaves the host alive.
 */
#include <signal.h>
#include <sys/time.h>

#include "kselftest_harness.h"
#include "keel_test.h"
#include "control.h"
#include "guest.h"

#define USER_CODE_GVA	0x8000123000UL
#define USER_DATA_GVA	0x8000124000UL
#define CODE_GPA	DATA_GPA
#define USER_DATA_GPA	(DATA_GPA + PAGE)
#define CR0_AM		(1UL << 18)
#define FLAG_AC		(1UL << 18)
#define AC_VECTOR	17
#define UD_VECTOR	6
#define SEL_USER_CODE	0x43
#define SEL_USER_DATA	0x4b

/* User code: read a doubleword from rdi; undefined if that was allowed. */
static const u8 user_code[] = { 0x8b, 0x07, 0x0f, 0x0b };

static void on_trap(struct guest_trap *trap)
{
	guest_sync3(trap->vector, trap->error, trap->rip);
}

static void guest_main(void)
{
	guest_handler[AC_VECTOR] = on_trap;
	guest_handler[UD_VECTOR] = on_trap;
	guest_sync(0);
}

FIXTURE(alignment) {
	struct vm *vm;
	struct vcpu *vcpu;
};

FIXTURE_SETUP(alignment)
{
	self->vm = vm_create();
	self->vcpu = vcpu_create(self->vm, 0, guest_main);
	vm_load(self->vm, CODE_GPA, user_code, user_code + sizeof(user_code));
	vm_map(self->vm, USER_CODE_GVA, CODE_GPA, PT_P | PT_W | PT_U);
	vm_map(self->vm, USER_DATA_GVA, USER_DATA_GPA, PT_P | PT_W | PT_U);
	ASSERT_EQ(0, vcpu_sync(self->vcpu));
}

FIXTURE_TEARDOWN(alignment)
{
	vcpu_free(self->vcpu);
	vm_free(self->vm);
}

static void enter_user(struct vcpu *vcpu, u64 address, u64 cr0, u64 rflags)
{
	struct kvm_sregs s;
	struct kvm_regs r;

	/* RSP0: where its handler's stack is. */
	*(u64 *)(vm_hva(vcpu->vm, TSS_GPA) + 4) = STACKS_GPA + STACK_SIZE;
	vcpu_get_sregs(vcpu, &s);
	s.cr0 |= cr0;
	s.cs.selector = SEL_USER_CODE;
	s.cs.dpl = 3;
	s.ss.selector = SEL_USER_DATA;
	s.ss.dpl = 3;
	vcpu_set_sregs(vcpu, &s);
	vcpu_get_regs(vcpu, &r);
	r.rip = USER_CODE_GVA;
	r.rsp = USER_DATA_GVA + PAGE / 2;
	r.rdi = address;
	r.rflags = 2 | rflags;
	vcpu_set_regs(vcpu, &r);
}

TEST_F(alignment, a_misaligned_read_of_user_code_traps_if_asked)
{
	enter_user(self->vcpu, USER_DATA_GVA + 1, CR0_AM, FLAG_AC);
	EXPECT_EQ(AC_VECTOR, vcpu_sync(self->vcpu));
	EXPECT_EQ(0, self->vcpu->arg[1]);
	EXPECT_EQ(USER_CODE_GVA, self->vcpu->arg[2]);
}

TEST_F(alignment, an_aligned_read_does_not)
{
	enter_user(self->vcpu, USER_DATA_GVA + 4, CR0_AM, FLAG_AC);
	EXPECT_EQ(UD_VECTOR, vcpu_sync(self->vcpu));
}

TEST_F(alignment, nor_does_any_without_the_flag)
{
	enter_user(self->vcpu, USER_DATA_GVA + 1, CR0_AM, 0);
	EXPECT_EQ(UD_VECTOR, vcpu_sync(self->vcpu));
}

static void on_alarm(int nr)
{
}

/*
 * 32-bit user code whose gate for #AC leads to user code again, on the same
 * stack: each delivery pushes to an odd address and raises the next.
 */
TEST_F(alignment, a_delivery_that_raises_the_next_can_be_interrupted)
{
	struct itimerval soon = { .it_value.tv_usec = 200000 }, off = {};
	u8 *idt = vm_hva(self->vm, IDT_GPA), *gdt = vm_hva(self->vm, GDT_GPA);
	struct sigaction action = { .sa_handler = on_alarm };
	struct vcpu *vcpu = vcpu_create_bare(self->vm, 1);
	u64 gate, exits;
	struct kvm_sregs s;
	struct kvm_regs r;

	vcpu_set_cpuid(vcpu);
	vcpu_set_prot32(vcpu, (void *)CODE_GPA);
	vcpu_get_sregs(vcpu, &s);
	*(u64 *)(gdt + (SEL_USER_CODE & ~7)) = 0x00cffb000000ffff;
	*(u64 *)(gdt + (SEL_USER_DATA & ~7)) = 0x00cff3000000ffff;
	gate = 0x0000ee0000000000 | (u64)SEL_USER_CODE << 16 | (CODE_GPA & 0xffff) |
	       (CODE_GPA >> 16) << 48;
	*(u64 *)(idt + 8 * AC_VECTOR) = gate;
	s.idt.base = IDT_GPA;
	s.idt.limit = 0x7ff;
	s.gdt.base = GDT_GPA;
	s.gdt.limit = 0x7f;
	s.cr0 |= CR0_AM;
	s.cs.selector = SEL_USER_CODE;
	s.cs.dpl = 3;
	s.ss.selector = SEL_USER_DATA;
	s.ss.dpl = 3;
	s.ds.selector = SEL_USER_DATA;
	s.ds.dpl = 3;
	vcpu_set_sregs(vcpu, &s);
	vcpu_get_regs(vcpu, &r);
	r.rip = CODE_GPA;
	r.rdi = USER_DATA_GPA + 1;
	r.rsp = USER_DATA_GPA + PAGE - 1;
	r.rflags = 2 | FLAG_AC;
	vcpu_set_regs(vcpu, &r);
	ASSERT_EQ(0, sigaction(SIGALRM, &action, NULL));
	ASSERT_EQ(0, setitimer(ITIMER_REAL, &soon, NULL));
	exits = counter(vcpu->fd, "exits");
	/* It goes round until the signal comes, or runs out of stack: never for ever. */
	EXPECT_TRUE(__vcpu_run(vcpu) == -EINTR || vcpu->run->exit_reason == KVM_EXIT_SHUTDOWN);
	ASSERT_EQ(0, setitimer(ITIMER_REAL, &off, NULL));
	/*
	 * Each exits: the host, and not the processor's microcode, decides whether to go
	 * on. Unpaged code may be emulated, though.
	 */
	if (parameter_is_on("unrestricted"))
		EXPECT_LT(100, counter(vcpu->fd, "exits") - exits);
	vcpu_free(vcpu);
}

KEEL_TEST_MAIN
