// SPDX-License-Identifier: GPL-2.0
/*
 * KVM_SET_GUEST_DEBUG: single steps over every kind of instruction,
 * breakpoints in software and hardware, what the guest sees of it, and traps
 * that userspace gives back. Traps of the guest's own are tested elsewhere.
 */
#include "kselftest_harness.h"
#include "keel_test.h"
#include "guest.h"

#define ENABLE		KVM_GUESTDBG_ENABLE
#define STEP		KVM_GUESTDBG_SINGLESTEP
#define SW		KVM_GUESTDBG_USE_SW_BP
#define HW		KVM_GUESTDBG_USE_HW_BP
#define BP_VECTOR	3
#define DB_VECTOR	1
#define IRQ_VECTOR	0x40
#define DR6_BS		(1 << 14)

FIXTURE(debug) {
	struct vm *vm;
	struct vcpu *vcpu;
	struct kvm_guest_debug dbg;
};

FIXTURE_SETUP(debug)
{
	memset(self, 0, sizeof(*self));
	self->vm = vm_create();
	self->vcpu = NULL;
}

FIXTURE_TEARDOWN(debug)
{
	if (self->vcpu)
		vcpu_free(self->vcpu);
	vm_free(self->vm);
}

static int debug(struct vcpu *vcpu, struct kvm_guest_debug *dbg, u32 control)
{
	dbg->control = control;
	return __vcpu_ioctl(vcpu, KVM_SET_GUEST_DEBUG, dbg);
}

static u64 rip_of(struct vcpu *vcpu)
{
	struct kvm_regs regs;

	vcpu_get_regs(vcpu, &regs);
	return regs.rip;
}

/* --- software breakpoints ------------------------------------------------ */

static volatile int breakpoints_seen;
static volatile u64 breakpoint_rip;

static void count_breakpoint(struct guest_trap *trap)
{
	breakpoints_seen++;
	breakpoint_rip = trap->rip;
}

extern const char sw_breakpoint[];

static void guest_int3(void)
{
	guest_handler[BP_VECTOR] = count_breakpoint;
	for (;;) {
		asm volatile(".globl sw_breakpoint\nsw_breakpoint: int3");
		guest_sync3(breakpoints_seen, breakpoint_rip, 0);
	}
}

TEST_F(debug, software_breakpoint_exits)
{
	struct vcpu *vcpu = self->vcpu = vcpu_create(self->vm, 0, guest_int3);
	struct kvm_debug_exit_arch *arch = &vcpu->run->debug.arch;

	EXPECT_EQ(1, vcpu_sync(vcpu));
	ASSERT_EQ(0, debug(vcpu, &self->dbg, ENABLE | SW));
	EXPECT_EQ(KVM_EXIT_DEBUG, vcpu_next(vcpu));
	EXPECT_EQ(BP_VECTOR, arch->exception);
	EXPECT_EQ((u64)sw_breakpoint, arch->pc);
	EXPECT_EQ((u64)sw_breakpoint, rip_of(vcpu));
	/* Again, as nothing was done about it. */
	EXPECT_EQ(KVM_EXIT_DEBUG, vcpu_next(vcpu));
	/* One of the guest's own is given back to it. */
	ASSERT_EQ(0, debug(vcpu, &self->dbg, ENABLE | SW | KVM_GUESTDBG_INJECT_BP));
	EXPECT_EQ(2, vcpu_sync(vcpu));
	EXPECT_EQ((u64)sw_breakpoint + 1, vcpu->arg[1]);
	EXPECT_EQ(KVM_EXIT_DEBUG, vcpu_next(vcpu));
	ASSERT_EQ(0, debug(vcpu, &self->dbg, 0));
	EXPECT_EQ(3, vcpu_sync(vcpu));
}

/* --- single steps -------------------------------------------------------- */

extern const char step0[], step1[], step2[], step3[], step4[], step5[], step6[];
static volatile u64 step_target;

static void guest_steps(void)
{
	for (;;) {
		guest_sync(0);
		asm volatile(".globl step0\nstep0: nop\n"
			     ".globl step1\nstep1: xor %%eax, %%eax\n"
			     ".globl step2\nstep2: cpuid\n"
			     ".globl step3\nstep3: mov %%eax, %0\n"
			     ".globl step4\nstep4: nop\n"
			     ".globl step5\nstep5: nop\n"
			     ".globl step6\nstep6: nop\n"
			     : "=m"(step_target) : : "rax", "rbx", "rcx", "rdx");
	}
}

static bool steps_to(struct vcpu *vcpu, const char *where)
{
	struct kvm_debug_exit_arch *arch = &vcpu->run->debug.arch;

	return vcpu_next(vcpu) == KVM_EXIT_DEBUG && arch->exception == DB_VECTOR &&
	       arch->dr6 & DR6_BS && arch->pc == (u64)where && rip_of(vcpu) == (u64)where;
}

/* Run up to where the loop begins, without steps. */
static void go_to(struct vcpu *vcpu, const char *where)
{
	struct kvm_guest_debug hw = {
		.control = ENABLE | HW,
		.arch.debugreg = { [0] = (u64)where, [7] = 0x401 },
	};
	int reason;

	vcpu_ioctl(vcpu, KVM_SET_GUEST_DEBUG, &hw);
	do
		reason = vcpu_next(vcpu);
	while (reason == GUEST_SYNC);
	CHECK(reason == KVM_EXIT_DEBUG && rip_of(vcpu) == (u64)where, "stopped elsewhere");
}

TEST_F(debug, steps_one_instruction_each)
{
	struct vcpu *vcpu = self->vcpu = vcpu_create(self->vm, 0, guest_steps);

	go_to(vcpu, step0);
	ASSERT_EQ(0, debug(vcpu, &self->dbg, ENABLE | STEP));
	EXPECT_TRUE(steps_to(vcpu, step1));
	EXPECT_TRUE(steps_to(vcpu, step2));
	EXPECT_TRUE(steps_to(vcpu, step3));
	EXPECT_TRUE(steps_to(vcpu, step4));
	EXPECT_TRUE(steps_to(vcpu, step5));
	ASSERT_EQ(0, debug(vcpu, &self->dbg, 0));
	EXPECT_EQ(GUEST_SYNC, vcpu_next(vcpu));
	EXPECT_EQ(GUEST_SYNC, vcpu_next(vcpu));
}

TEST_F(debug, the_flag_is_not_shown)
{
	struct vcpu *vcpu = self->vcpu = vcpu_create(self->vm, 0, guest_steps);
	struct kvm_regs regs;

	go_to(vcpu, step0);
	ASSERT_EQ(0, debug(vcpu, &self->dbg, ENABLE | STEP));
	vcpu_get_regs(vcpu, &regs);
	EXPECT_EQ(0, regs.rflags & FLAG_TF);
	EXPECT_TRUE(steps_to(vcpu, step1));
	/* Writing registers does not end the steps. */
	vcpu_get_regs(vcpu, &regs);
	EXPECT_EQ(0, regs.rflags & FLAG_TF);
	vcpu_set_regs(vcpu, &regs);
	/* KVM forgets the step if RIP has moved since it was asked for. */
	if (!dev_is_keel())
		ASSERT_EQ(0, debug(vcpu, &self->dbg, ENABLE | STEP));
	EXPECT_TRUE(steps_to(vcpu, step2));
	ASSERT_EQ(0, debug(vcpu, &self->dbg, 0));
	vcpu_get_regs(vcpu, &regs);
	EXPECT_EQ(0, regs.rflags & FLAG_TF);
}

extern const char port0[], port1[], mmio0[], mmio1[], read0[], read1[];

static void guest_io_steps(void)
{
	for (;;) {
		guest_sync(0);
		asm volatile(".globl port0\nport0: outb %%al, %%dx\n"
			     ".globl port1\nport1: nop\n"
			     ".globl mmio0\nmmio0: movl %%eax, (%%rdi)\n"
			     ".globl mmio1\nmmio1: nop\n"
			     ".globl read0\nread0: movl (%%rdi), %%eax\n"
			     ".globl read1\nread1: nop\n"
			     : : "a"(0x5a), "d"(0x510), "D"(MMIO_GPA) : "memory");
	}
}

TEST_F(debug, steps_over_what_userspace_does)
{
	struct vcpu *vcpu = self->vcpu = vcpu_create(self->vm, 0, guest_io_steps);
	struct kvm_regs regs;

	go_to(vcpu, port0);
	ASSERT_EQ(0, debug(vcpu, &self->dbg, ENABLE | STEP));
	EXPECT_EQ(KVM_EXIT_IO, vcpu_next(vcpu));
	EXPECT_TRUE(steps_to(vcpu, port1));
	EXPECT_TRUE(steps_to(vcpu, mmio0));
	EXPECT_EQ(KVM_EXIT_MMIO, vcpu_next(vcpu));
	EXPECT_EQ(1, vcpu->run->mmio.is_write);
	/* KVM runs on after a write that userspace has answered. */
	if (!dev_is_keel())
		return;
	EXPECT_TRUE(steps_to(vcpu, mmio1));
	EXPECT_TRUE(steps_to(vcpu, read0));
	EXPECT_EQ(KVM_EXIT_MMIO, vcpu_next(vcpu));
	EXPECT_EQ(0, vcpu->run->mmio.is_write);
	memcpy(vcpu->run->mmio.data, "\x11\x22\x33\x44", 4);
	EXPECT_TRUE(steps_to(vcpu, read1));
	vcpu_get_regs(vcpu, &regs);
	EXPECT_EQ(0x44332211, regs.rax);
}

extern const char shadow0[], shadow1[], shadow2[], shadow3[];

static void guest_shadow_steps(void)
{
	for (;;) {
		guest_sync(0);
		asm volatile(".globl shadow0\nshadow0: sti\n"
			     ".globl shadow1\nshadow1: nop\n"
			     "cli\n"
			     ".globl shadow2\nshadow2: mov %%ss, %%eax; mov %%eax, %%ss; nop\n"
			     ".globl shadow3\nshadow3: nop\n"
			     : : : "rax", "memory");
	}
}

TEST_F(debug, steps_over_interrupt_shadows)
{
	struct vcpu *vcpu = self->vcpu = vcpu_create(self->vm, 0, guest_shadow_steps);

	go_to(vcpu, shadow0);
	ASSERT_EQ(0, debug(vcpu, &self->dbg, ENABLE | STEP));
	EXPECT_TRUE(steps_to(vcpu, shadow1));
	EXPECT_TRUE(steps_to(vcpu, shadow1 + 1));
	EXPECT_TRUE(steps_to(vcpu, shadow2));
	EXPECT_TRUE(steps_to(vcpu, shadow2 + 2));
	/* The trap flag does not trap behind MOV SS, but an instruction later. */
	EXPECT_EQ(KVM_EXIT_DEBUG, vcpu_next(vcpu));
	if (rip_of(vcpu) == (u64)shadow3 - 1)
		EXPECT_TRUE(steps_to(vcpu, shadow3));
	EXPECT_EQ((u64)shadow3, rip_of(vcpu));
	ASSERT_EQ(0, debug(vcpu, &self->dbg, 0));
	EXPECT_EQ(GUEST_SYNC, vcpu_next(vcpu));
}

/* --- hardware breakpoints ------------------------------------------------ */

TEST_F(debug, hardware_breakpoint_on_code)
{
	struct vcpu *vcpu = self->vcpu = vcpu_create(self->vm, 0, guest_steps);
	struct kvm_debug_exit_arch *arch = &vcpu->run->debug.arch;
	struct kvm_debugregs own = {}, seen;
	int i;

	own.db[0] = 0x1234000;
	own.dr6 = 0xffff0ff0;
	own.dr7 = 0x400;
	vcpu_ioctl(vcpu, KVM_SET_DEBUGREGS, &own);
	for (i = 0; i < 4; i++) {
		memset(&self->dbg, 0, sizeof(self->dbg));
		self->dbg.arch.debugreg[i] = (u64)step3;
		self->dbg.arch.debugreg[7] = 1 << (2 * i);
		ASSERT_EQ(0, debug(vcpu, &self->dbg, ENABLE | HW));
		while (vcpu_next(vcpu) == GUEST_SYNC)
			;
		EXPECT_EQ(KVM_EXIT_DEBUG, vcpu->run->exit_reason);
		EXPECT_EQ(DB_VECTOR, arch->exception);
		EXPECT_EQ((u64)step3, arch->pc);
		EXPECT_EQ(1 << i, arch->dr6 & 0xf);
		EXPECT_EQ(1 << (2 * i), arch->dr7 & 0xff);
		/* The guest's own registers are as they were. */
		vcpu_ioctl(vcpu, KVM_GET_DEBUGREGS, &seen);
		EXPECT_EQ(0, memcmp(&own, &seen, sizeof(own)));
		ASSERT_EQ(0, debug(vcpu, &self->dbg, 0));
		EXPECT_EQ(GUEST_SYNC, vcpu_next(vcpu));
	}
}

TEST_F(debug, hardware_breakpoint_on_data)
{
	struct vcpu *vcpu = self->vcpu = vcpu_create(self->vm, 0, guest_steps);

	self->dbg.arch.debugreg[1] = (u64)&step_target;
	/* Slot 1, writes, four bytes. */
	self->dbg.arch.debugreg[7] = 0x400 | 1 << 2 | 0xdUL << 20;
	ASSERT_EQ(0, debug(vcpu, &self->dbg, ENABLE | HW));
	while (vcpu_next(vcpu) == GUEST_SYNC)
		;
	EXPECT_EQ(KVM_EXIT_DEBUG, vcpu->run->exit_reason);
	EXPECT_EQ((u64)step4, vcpu->run->debug.arch.pc);
	EXPECT_EQ(2, vcpu->run->debug.arch.dr6 & 0xf);
}

/* --- giving back and holding back ---------------------------------------- */

static volatile int debug_seen, irqs_seen;

static void count_debug(struct guest_trap *trap)
{
	debug_seen++;
}

static void count_irq(struct guest_trap *trap)
{
	irqs_seen++;
}

static void guest_counts(void)
{
	guest_handler[DB_VECTOR] = count_debug;
	guest_handler[IRQ_VECTOR] = count_irq;
	asm volatile("sti");
	for (;;)
		guest_sync3(debug_seen, irqs_seen, 0);
}

TEST_F(debug, a_trap_is_given_to_the_guest)
{
	struct vcpu *vcpu = self->vcpu = vcpu_create(self->vm, 0, guest_counts);

	EXPECT_EQ(0, vcpu_sync(vcpu));
	ASSERT_EQ(0, debug(vcpu, &self->dbg, KVM_GUESTDBG_INJECT_DB));
	EXPECT_EQ(0, vcpu_sync(vcpu) - 1);
	EXPECT_EQ(1, vcpu_sync(vcpu));
}

TEST_F(debug, not_while_another_waits)
{
	struct vcpu *vcpu = self->vcpu = vcpu_create(self->vm, 0, guest_counts);
	struct kvm_vcpu_events events;

	/* KVM looks only for one that it has raised by itself. */
	REQUIRE(dev_is_keel());
	vcpu_sync(vcpu);
	vcpu_ioctl(vcpu, KVM_GET_VCPU_EVENTS, &events);
	events.exception.injected = 1;
	events.exception.nr = DB_VECTOR;
	vcpu_ioctl(vcpu, KVM_SET_VCPU_EVENTS, &events);
	EXPECT_EQ(-EBUSY, debug(vcpu, &self->dbg, KVM_GUESTDBG_INJECT_DB));
	EXPECT_EQ(-EBUSY, debug(vcpu, &self->dbg, KVM_GUESTDBG_INJECT_BP));
	EXPECT_EQ(0, debug(vcpu, &self->dbg, 0));
}

TEST_F(debug, interrupts_are_held_back)
{
	struct vcpu *vcpu = self->vcpu = vcpu_create(self->vm, 0, guest_counts);
	struct kvm_interrupt irq = { .irq = IRQ_VECTOR };
	int flags = vm_ioctl(self->vm, KVM_CHECK_EXTENSION, KVM_CAP_SET_GUEST_DEBUG2);

	REQUIRE(flags & KVM_GUESTDBG_BLOCKIRQ);
	/* On KVM one from KVM_INTERRUPT is under way already. */
	REQUIRE(dev_is_keel());
	vcpu_sync(vcpu);
	ASSERT_EQ(0, debug(vcpu, &self->dbg, ENABLE | KVM_GUESTDBG_BLOCKIRQ));
	vcpu_ioctl(vcpu, KVM_INTERRUPT, &irq);
	vcpu_sync(vcpu);
	vcpu_sync(vcpu);
	EXPECT_EQ(0, vcpu->arg[1]);
	ASSERT_EQ(0, debug(vcpu, &self->dbg, 0));
	vcpu_sync(vcpu);
	vcpu_sync(vcpu);
	EXPECT_EQ(1, vcpu->arg[1]);
}

/* Nothing is done without KVM_GUESTDBG_ENABLE. */
TEST_F(debug, must_be_enabled)
{
	struct vcpu *vcpu = self->vcpu = vcpu_create(self->vm, 0, guest_int3);

	ASSERT_EQ(0, debug(vcpu, &self->dbg, SW | STEP | HW));
	EXPECT_EQ(1, vcpu_sync(vcpu));
	EXPECT_EQ(2, vcpu_sync(vcpu));
}

TEST_F(debug, refuses_what_it_does_not_know)
{
	struct vcpu *vcpu = self->vcpu = vcpu_create(self->vm, 0, guest_steps);

	EXPECT_EQ(-EFAULT, __vcpu_ioctl(vcpu, KVM_SET_GUEST_DEBUG, NULL));
	/* KVM takes anything. */
	REQUIRE(dev_is_keel());
	EXPECT_EQ(-EINVAL, debug(vcpu, &self->dbg, ENABLE | 4));
	EXPECT_EQ(-EINVAL, debug(vcpu, &self->dbg, 1u << 31));
}

/* Reserved bits of DR7 must not make an entry fail. */
TEST_F(debug, any_registers_can_be_entered_with)
{
	struct vcpu *vcpu = self->vcpu = vcpu_create(self->vm, 0, guest_steps);

	REQUIRE(dev_is_keel());
	memset(&self->dbg, 0xff, sizeof(self->dbg));
	self->dbg.arch.debugreg[7] = ~0xffULL;
	ASSERT_EQ(0, debug(vcpu, &self->dbg, ENABLE | HW));
	EXPECT_EQ(GUEST_SYNC, vcpu_next(vcpu));
}

KEEL_TEST_MAIN
