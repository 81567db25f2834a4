// SPDX-License-Identifier: GPL-2.0
/*
 * KVM_GUESTDBG_SINGLESTEP over code that reads and writes the trap flag, enters
 * handlers or repeats: userspace stops behind each instruction, whatever the
 * guest's flag is, and the guest does not see that it is stepped. Where the CPU
 * has no monitor trap the flag is what steps are made with: what that cannot
 * give is asked for only where there is one, or where the code is emulated.
 */
#include "kselftest_harness.h"
#include "keel_test.h"
#include "control.h"
#include "guest.h"

#define STEP		(KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP)
#define DB_VECTOR	1
#define UD_VECTOR	6
#define GP_VECTOR	13
#define USER_VECTOR	0x40
#define DR6_BS		(1 << 14)
#define MSR_STAR	0xc0000081
#define MSR_LSTAR	0xc0000082
#define MSR_FMASK	0xc0000084

/* Each list of stops is in the order in which they are made, and ends with 0. */
#define STOP_AT(name, ...)	MAKE_LIST(name, __VA_ARGS__)
#define MAKE_LIST(name, ...)						\
extern const u64 name[];						\
asm(".pushsection .rodata\n"						\
	#name ": .quad " #__VA_ARGS__ ", 0\n"				\
	".popsection\n")

#define GUEST_CODE(name, body)						\
extern const char name[];						\
asm(".pushsection .text\n" #name ":\n" body "\n.popsection\n")

FIXTURE(step) {
	struct vm *vm;
	struct vcpu *vcpu;
	struct kvm_regs regs;
};

typedef FIXTURE_DATA(step) fixture_t;

FIXTURE_SETUP(step)
{
	self->vm = vm_create();
	self->vcpu = vcpu_create_bare(self->vm, 0);
	vcpu_set_cpuid(self->vcpu);
}

FIXTURE_TEARDOWN(step)
{
	vcpu_free(self->vcpu);
	vm_free(self->vm);
}

static bool has_monitor_trap(void)
{
	bool found = false;
	char line[4096];
	FILE *f = fopen("/proc/cpuinfo", "r");

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, "vmx flags", 9))
			found = strstr(line, " mtf ");
	if (f)
		fclose(f);
	return found && dev_is_keel() && parameter_is_on("monitor_trap");
}

static void control(struct vcpu *vcpu, u32 flags)
{
	struct kvm_guest_debug dbg = { .control = flags };

	vcpu_ioctl(vcpu, KVM_SET_GUEST_DEBUG, &dbg);
}

/* An interrupt gate of long mode that leads to @to. */
static void set_gate(struct vm *vm, u8 vector, const char *to)
{
	u64 *gate = vm_hva(vm, IDT_GPA + 16 * vector), addr = (u64)to;

	gate[0] = (addr & 0xffff) | SEL_CODE64 << 16 | 0x8eUL << 40 | (addr >> 16 & 0xffff) << 48;
	gate[1] = addr >> 32;
}

static void begin(fixture_t *self, const char *code)
{
	vcpu_set_long(self->vcpu, (void (*)(void))code);
	control(self->vcpu, STEP);
}

/* Stop at all of @stops. Exits for I/O on the way are nothing to stop for. */
static void walk(struct __test_metadata *_metadata, fixture_t *self, const u64 *stops)
{
	struct kvm_debug_exit_arch *arch = &self->vcpu->run->debug.arch;
	int reason, i;

	for (i = 0; stops[i]; i++) {
		do
			reason = vcpu_next(self->vcpu);
		while (reason == KVM_EXIT_IO || reason == KVM_EXIT_MMIO);
		vcpu_get_regs(self->vcpu, &self->regs);
		ASSERT_EQ(KVM_EXIT_DEBUG, reason) {
			TH_LOG("instead of stop %d, rip %llx", i, self->regs.rip);
		}
		ASSERT_EQ(stops[i], self->regs.rip) {
			TH_LOG("stop %d", i);
		}
		EXPECT_EQ(stops[i], arch->pc);
		EXPECT_EQ(DB_VECTOR, arch->exception);
		EXPECT_EQ(DR6_BS, arch->dr6 & ~0xffff0ff0);
	}
}

static void expect_no_flag(struct __test_metadata *_metadata, fixture_t *self)
{
	EXPECT_EQ(0, self->regs.rflags & FLAG_TF);
	EXPECT_EQ(2, self->regs.rbp & (FLAG_TF | 2));
	EXPECT_EQ(2, self->regs.r15 & (FLAG_TF | 2));
}

/* --- the flag ------------------------------------------------------------ */

GUEST_CODE(flags0,
	   "		pushfq\n"
	   "flags1:	pop %rbp\n"
	   "flags2:	push $2\n"
	   "flags3:	popfq\n"
	   "flags4:	nop\n"
	   "flags5:	mov %rsp, %rcx\n"
	   "flags6:	push $0x10\n"
	   "flags7:	push %rcx\n"
	   "flags8:	pushfq\n"
	   "flags9:	mov (%rsp), %r15\n"
	   "flags10:	push $8\n"
	   "flags11:	lea flags14(%rip), %rax\n"
	   "flags12:	push %rax\n"
	   "flags13:	iretq\n"
	   "		hlt\n"
	   "flags14:	cpuid\n"
	   "flags15:	nop\n"
	   "flags16:	hlt");

STOP_AT(flag_stops, flags1, flags2, flags3, flags4, flags5, flags6, flags7, flags8, flags9,
	flags10, flags11, flags12, flags13, flags14, flags15, flags16);

TEST_F(step, popf_and_iret_do_not_end_it)
{
	/* KVM's steps end there. */
	REQUIRE(dev_is_keel());
	begin(self, flags0);
	walk(_metadata, self, flag_stops);
	EXPECT_EQ(0, self->regs.rflags & FLAG_TF);
	EXPECT_EQ(KVM_EXIT_HLT, vcpu_next(self->vcpu));
	/* Nothing is left of it. */
	begin(self, flags0);
	walk(_metadata, self, (u64[]) { flag_stops[0], flag_stops[1], 0 });
	control(self->vcpu, 0);
	EXPECT_EQ(KVM_EXIT_HLT, vcpu_next(self->vcpu));
}

TEST_F(step, pushf_does_not_show_it)
{
	REQUIRE(has_monitor_trap());
	begin(self, flags0);
	walk(_metadata, self, flag_stops);
	expect_no_flag(_metadata, self);
}

/* --- ways into a handler ------------------------------------------------- */

GUEST_CODE(ways0,
	   "		int $0x40\n"
	   "ways1:		syscall\n"
	   "ways2:		ud2\n"
	   "ways3:		wrmsr\n"
	   "ways4:		hlt\n"
	   "int0:		pushfq\n"
	   "int1:		pop %rbp\n"
	   "int2:		iretq\n"
	   "syscall0:	mov %r11, %r15\n"
	   "syscall1:	jmp *%rcx\n"
	   "ud0:		addq $2, (%rsp)\n"
	   "ud1:		xor %ecx, %ecx\n"
	   "ud2:		not %ecx\n"
	   "ud3:		iretq\n"
	   "gp0:		pop %rax\n"
	   "gp1:		addq $2, (%rsp)\n"
	   "gp2:		iretq");

STOP_AT(way_stops, int0, int1, int2, ways1, syscall0, syscall1, ways2, ud0, ud1, ud2, ud3, ways3,
	gp0, gp1, gp2, ways4);

extern const char int0[], int1[], int2[], ud0[], gp0[], syscall0[];

static void set_ways(fixture_t *self)
{
	set_gate(self->vm, USER_VECTOR, int0);
	set_gate(self->vm, UD_VECTOR, ud0);
	set_gate(self->vm, GP_VECTOR, gp0);
	__vcpu_set_msr(self->vcpu, MSR_STAR, (u64)SEL_CODE64 << 32);
	__vcpu_set_msr(self->vcpu, MSR_LSTAR, (u64)syscall0);
	__vcpu_set_msr(self->vcpu, MSR_FMASK, FLAG_TF | FLAG_IF);
}

TEST_F(step, every_way_into_a_handler)
{
	REQUIRE(has_monitor_trap());
	set_ways(self);
	begin(self, ways0);
	walk(_metadata, self, way_stops);
	expect_no_flag(_metadata, self);
	EXPECT_EQ(KVM_EXIT_HLT, vcpu_next(self->vcpu));
}

STOP_AT(interrupt_stops, int0, int1, int2, flags0, flags1);

/* It comes before an instruction, which is then done once the handler is over. */
TEST_F(step, an_interrupt_is_entered)
{
	struct kvm_interrupt irq = { .irq = USER_VECTOR };

	REQUIRE(has_monitor_trap());
	set_ways(self);
	begin(self, flags0);
	vcpu_get_regs(self->vcpu, &self->regs);
	self->regs.rflags |= FLAG_IF;
	vcpu_set_regs(self->vcpu, &self->regs);
	vcpu_ioctl(self->vcpu, KVM_INTERRUPT, &irq);
	walk(_metadata, self, interrupt_stops);
	EXPECT_EQ(0, self->regs.rbp & FLAG_TF);
}

/* --- the guest's own flag ------------------------------------------------ */

GUEST_CODE(own0,
	   "		push $0x102\n"
	   "own1:		popfq\n"
	   "own2:		nop\n"
	   "own3:		cpuid\n"
	   "own4:		nop\n"
	   "own5:		hlt\n"
	   "trap0:		inc %rbp\n"
	   "trap1:		mov %dr6, %r15\n"
	   "trap2:		cmp $2, %rbp\n"
	   "trap3:		jne trap5\n"
	   "trap4:		andq $~0x100, 16(%rsp)\n"
	   "trap5:		iretq");

STOP_AT(own_stops, own1, own2, own3, trap0, trap1, trap2, trap3, trap5, own3, own4, trap0, trap1,
	trap2, trap3, trap4, trap5, own4, own5);

extern const char trap0[];

/* It traps as without a debugger, and userspace steps into its handler. */
TEST_F(step, the_guest_steps_itself)
{
	REQUIRE(has_monitor_trap());
	set_gate(self->vm, DB_VECTOR, trap0);
	begin(self, own0);
	walk(_metadata, self, own_stops);
	EXPECT_EQ(2, self->regs.rbp);
	EXPECT_EQ(DR6_BS, self->regs.r15 & DR6_BS);
	EXPECT_EQ(0, self->regs.rflags & FLAG_TF);
	EXPECT_EQ(KVM_EXIT_HLT, vcpu_next(self->vcpu));
}

TEST_F(step, the_guests_flag_is_shown)
{
	REQUIRE(has_monitor_trap());
	set_gate(self->vm, DB_VECTOR, trap0);
	begin(self, own0);
	walk(_metadata, self, (u64[]) { own_stops[0], own_stops[1], 0 });
	EXPECT_EQ(FLAG_TF, self->regs.rflags & FLAG_TF);
	control(self->vcpu, 0);
	EXPECT_EQ(KVM_EXIT_HLT, vcpu_next(self->vcpu));
	vcpu_get_regs(self->vcpu, &self->regs);
	EXPECT_EQ(2, self->regs.rbp);
}

/* --- repeated instructions ----------------------------------------------- */

GUEST_CODE(rep0,
	   "		mov $3, %ecx\n"
	   "rep1:		mov $0x60, %edx\n"
	   "rep2:		mov %rsp, %rsi\n"
	   "rep3:		rep outsb\n"
	   "rep4:		mov $2, %ecx\n"
	   "rep5:		mov %rsp, %rdi\n"
	   "rep6:		rep stosb\n"
	   "rep7:		mov $2, %ecx\n"
	   "rep8:		mov $0x10000000, %edi\n"
	   "rep9:		rep stosb\n"
	   "rep10:		hlt");

STOP_AT(rep_stops, rep1, rep2, rep3, rep3, rep3, rep4, rep5, rep6, rep6, rep7, rep8, rep9, rep9,
	rep10);

/* Memory, ports, and a device, where the emulator goes on by itself if it is let. */
TEST_F(step, each_iteration_is_one)
{
	/* KVM runs on after a write that userspace has answered. */
	REQUIRE(dev_is_keel());
	begin(self, rep0);
	walk(_metadata, self, rep_stops);
	EXPECT_EQ(KVM_EXIT_HLT, vcpu_next(self->vcpu));
}

GUEST_CODE(count0,
	   "		push $0x102\n"
	   "		mov $3, %ecx\n"
	   "		mov $0x60, %edx\n"
	   "		mov %rsp, %rsi\n"
	   "		mov %rsp, %rdi\n"
	   "		popfq\n"
	   "count_rep:	rep outsb\n"
	   "		nop\n"
	   "		hlt\n"
	   "count_trap:	inc %rbp\n"
	   "		cmp $3, %rbp\n"
	   "		jne 1f\n"
	   "		andq $~0x100, 16(%rsp)\n"
	   "1:		iretq");

extern const char count_rep[], count_trap[];

/* The guest's own flag, with no debugger about. */
TEST_F(step, each_iteration_traps)
{
	int i;

	/* KVM traps at the end. */
	REQUIRE(dev_is_keel());
	set_gate(self->vm, DB_VECTOR, count_trap);
	begin(self, count0);
	control(self->vcpu, 0);
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(KVM_EXIT_IO, vcpu_next(self->vcpu));
		EXPECT_EQ(1, self->vcpu->run->io.count);
		vcpu_get_regs(self->vcpu, &self->regs);
		EXPECT_EQ((u64)count_rep, self->regs.rip);
		EXPECT_EQ(i, self->regs.rbp);
	}
	EXPECT_EQ(KVM_EXIT_HLT, vcpu_next(self->vcpu));
	vcpu_get_regs(self->vcpu, &self->regs);
	EXPECT_EQ(3, self->regs.rbp);
	EXPECT_EQ(0, self->regs.rcx);
}

/* --- what the hardware may not run --------------------------------------- */

GUEST_CODE16(real16,
	     "		pushf\n"
	     "real1:		pop %bp\n"
	     "real2:		pushw $2\n"
	     "real3:		popf\n"
	     "real4:		int $0x40\n"
	     "real5:		pushfl\n"
	     "real6:		pop %esi\n"
	     "real7:		hlt\n"
	     "real8:		pushf\n"
	     "real9:		pop %di\n"
	     "real10:	iret");

#define REAL(label)	0x1000 + (label) - real16
STOP_AT(real_stops, REAL(real1), REAL(real2), REAL(real3), REAL(real4), REAL(real8), REAL(real9),
	REAL(real10), REAL(real5), REAL(real6), REAL(real7));

TEST_F(step, real_mode)
{
	u16 *vector = vm_hva(self->vm, REAL_IVT_GPA + 4 * USER_VECTOR);

	REQUIRE(has_monitor_trap() || (dev_is_keel() && !parameter_is_on("unrestricted")));
	vm_load(self->vm, REAL_CODE_GPA, real16, real16_end);
	vector[0] = real_stops[4];
	vector[1] = 0;
	vcpu_set_real(self->vcpu, REAL_CODE_GPA);
	control(self->vcpu, STEP);
	walk(_metadata, self, real_stops);
	EXPECT_EQ(2, self->regs.rbp & 0x102);
	EXPECT_EQ(2, self->regs.rsi & 0x102);
	EXPECT_EQ(2, self->regs.rdi & 0x102);
	EXPECT_EQ(0, self->regs.rflags & FLAG_TF);
	EXPECT_EQ(KVM_EXIT_HLT, vcpu_next(self->vcpu));
}

GUEST_CODE16(own16,
	     "		pushw $0x102\n"
	     "own16_1:	popf\n"
	     "own16_2:	nop");

#define OWN(label)	0x1000 + (label) - own16
STOP_AT(own16_stops, OWN(own16_1), OWN(own16_2));

TEST_F(step, the_guests_flag_is_shown_in_real_mode)
{
	REQUIRE(has_monitor_trap() || (dev_is_keel() && !parameter_is_on("unrestricted")));
	vm_load(self->vm, REAL_CODE_GPA, own16, own16_end);
	vcpu_set_real(self->vcpu, REAL_CODE_GPA);
	control(self->vcpu, STEP);
	walk(_metadata, self, own16_stops);
	EXPECT_EQ(FLAG_TF, self->regs.rflags & FLAG_TF);
}

/* A trap that has waited behind MOV SS till after the HLT. */
GUEST_CODE16(late16,
	     "		mov %ss, %ax\n"
	     "		pushw $0x102\n"
	     "		popf\n"
	     "		mov %ax, %ss\n"
	     "		hlt\n"
	     "		nop\n"
	     "late16_1:	nop\n"
	     "		hlt\n"
	     "late16_db:	hlt");

#define LATE(label)	0x1000 + (label) - late16
STOP_AT(late16_stops, LATE(late16_1), LATE(late16_db));

TEST_F(step, a_trap_belongs_to_the_registers_that_were)
{
	u16 *vector = vm_hva(self->vm, REAL_IVT_GPA + 4 * DB_VECTOR);

	vm_load(self->vm, REAL_CODE_GPA, late16, late16_end);
	vector[0] = late16_stops[1];
	vector[1] = 0;
	vcpu_set_real(self->vcpu, REAL_CODE_GPA);
	ASSERT_EQ(KVM_EXIT_HLT, vcpu_next(self->vcpu));
	vcpu_get_regs(self->vcpu, &self->regs);
	EXPECT_EQ(FLAG_TF, self->regs.rflags & FLAG_TF);
	self->regs.rip = late16_stops[0];
	self->regs.rflags = 2;
	vcpu_set_regs(self->vcpu, &self->regs);
	ASSERT_EQ(KVM_EXIT_HLT, vcpu_next(self->vcpu));
	vcpu_get_regs(self->vcpu, &self->regs);
	EXPECT_EQ(late16_stops[0] + 2, self->regs.rip);
}

KEEL_TEST_MAIN
