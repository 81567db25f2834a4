// SPDX-License-Identifier: GPL-2.0
/*
 * Interrupts, NMIs and exceptions: injection, windows, shadows, nesting, and
 * delivery that is cut short because a page it needs is not there.
 */
#include <sys/syscall.h>
#include "kselftest_harness.h"
#include "keel_test.h"
#include "guest.h"

#define IRQ 0x41
#define PORT 0x70

#define SYNC_IRQ 0x1000		/* + vector: a handler ran */

FIXTURE(irq) {
	struct vm *vm;
	struct vcpu *vcpu;
	struct kvm_run *run;
};

static void no_guest(void)
{
}

FIXTURE_SETUP(irq)
{
	self->vm = vm_create();
	self->vcpu = vcpu_create(self->vm, 0, no_guest);
	self->run = self->vcpu->run;
}

FIXTURE_TEARDOWN(irq)
{
	vcpu_free(self->vcpu);
	vm_free(self->vm);
}

static int interrupt(struct vcpu *vcpu, u32 vector)
{
	struct kvm_interrupt irq = { .irq = vector };

	return __vcpu_ioctl(vcpu, KVM_INTERRUPT, &irq);
}

static void report(struct guest_trap *trap)
{
	guest_sync3(SYNC_IRQ + trap->vector, trap->rip, trap->rflags);
}

static void guest_open_then_sync(void)
{
	u64 i;

	guest_handler[IRQ] = report;
	guest_handler[IRQ + 1] = report;
	guest_handler[2] = report;
	asm volatile("sti; nop");
	for (i = 0;; i++)
		guest_sync(i);
}

static void guest_closed_then_sync(void)
{
	u64 i;

	guest_handler[IRQ] = report;
	guest_handler[2] = report;
	for (i = 0;; i++)
		guest_sync(i);
}

TEST_F(irq, vector_out_of_range_is_einval)
{
	EXPECT_EQ(-EINVAL, interrupt(self->vcpu, 256));
	EXPECT_EQ(-EINVAL, interrupt(self->vcpu, ~0u));
}

TEST_F(irq, delivered_when_open)
{
	int i;

	vcpu_set_long(self->vcpu, guest_open_then_sync);
	EXPECT_EQ(0, vcpu_sync(self->vcpu));
	for (i = 1; i < 4; i++) {
		EXPECT_EQ(1, self->run->if_flag);
		EXPECT_EQ(1, self->run->ready_for_interrupt_injection);
		EXPECT_EQ(0, interrupt(self->vcpu, IRQ));
		EXPECT_EQ(SYNC_IRQ + IRQ, vcpu_sync(self->vcpu));
		/* Inside the handler the gate has closed it. */
		EXPECT_EQ(0, self->run->if_flag);
		EXPECT_EQ(0, self->run->ready_for_interrupt_injection);
		EXPECT_NE(0, self->vcpu->arg[2] & FLAG_IF);
		/* Once, not twice. */
		EXPECT_EQ(i, vcpu_sync(self->vcpu));
	}
}

TEST_F(irq, second_before_the_first_is_delivered)
{
	vcpu_set_long(self->vcpu, guest_open_then_sync);
	EXPECT_EQ(0, vcpu_sync(self->vcpu));
	EXPECT_EQ(0, interrupt(self->vcpu, IRQ));
	/* Documented so; upstream lets the second overwrite the first. */
	EXPECT_EQ(dev_is_keel() ? -EEXIST : 0, interrupt(self->vcpu, IRQ));
	EXPECT_EQ(SYNC_IRQ + IRQ, vcpu_sync(self->vcpu));
	EXPECT_EQ(1, vcpu_sync(self->vcpu));
}

TEST_F(irq, survives_immediate_exit)
{
	struct kvm_vcpu_events events;

	vcpu_set_long(self->vcpu, guest_open_then_sync);
	EXPECT_EQ(0, vcpu_sync(self->vcpu));
	EXPECT_EQ(0, interrupt(self->vcpu, IRQ));
	self->run->immediate_exit = 1;
	EXPECT_EQ(-EINTR, __vcpu_run(self->vcpu));
	EXPECT_EQ(0, self->run->ready_for_interrupt_injection);
	vcpu_ioctl(self->vcpu, KVM_GET_VCPU_EVENTS, &events);
	EXPECT_EQ(1, events.interrupt.injected);
	EXPECT_EQ(IRQ, events.interrupt.nr);
	self->run->immediate_exit = 0;
	EXPECT_EQ(SYNC_IRQ + IRQ, vcpu_sync(self->vcpu));
	EXPECT_EQ(1, vcpu_sync(self->vcpu));
}

TEST_F(irq, wakes_hlt)
{
	extern void guest_halts(void);

	vcpu_set_long(self->vcpu, guest_halts);
	EXPECT_EQ(KVM_EXIT_HLT, vcpu_next(self->vcpu));
	EXPECT_EQ(0, interrupt(self->vcpu, IRQ));
	EXPECT_EQ(SYNC_IRQ + IRQ, vcpu_sync(self->vcpu));
	EXPECT_EQ(5, vcpu_sync(self->vcpu));
}

void guest_halts(void)
{
	guest_handler[IRQ] = report;
	asm volatile("sti; hlt");
	guest_sync(5);
	guest_done();
}

static void guest_opens_late(void)
{
	guest_handler[IRQ] = report;
	guest_sync(1);
	guest_sync(2);
	asm volatile(".globl sti_shadow_end\n"
		     "sti\n"
		     "nop\n"
		     "sti_shadow_end:\n"
		     "nop\n");
	guest_sync(3);
	guest_done();
}

extern const char sti_shadow_end[];

TEST_F(irq, window_opens_behind_the_sti_shadow)
{
	struct kvm_regs regs;

	vcpu_set_long(self->vcpu, guest_opens_late);
	self->run->request_interrupt_window = 1;
	EXPECT_EQ(1, vcpu_sync(self->vcpu));
	EXPECT_EQ(0, self->run->ready_for_interrupt_injection);
	EXPECT_EQ(0, self->run->if_flag);
	EXPECT_EQ(2, vcpu_sync(self->vcpu));
	EXPECT_EQ(KVM_EXIT_IRQ_WINDOW_OPEN, vcpu_next(self->vcpu));
	EXPECT_EQ(1, self->run->ready_for_interrupt_injection);
	EXPECT_EQ(1, self->run->if_flag);
	vcpu_get_regs(self->vcpu, &regs);
	EXPECT_EQ((unsigned long)sti_shadow_end, regs.rip);
	/* Still asked for, still open: at once again, and no step taken. */
	EXPECT_EQ(KVM_EXIT_IRQ_WINDOW_OPEN, vcpu_next(self->vcpu));
	vcpu_get_regs(self->vcpu, &regs);
	EXPECT_EQ((unsigned long)sti_shadow_end, regs.rip);
	self->run->request_interrupt_window = 0;
	EXPECT_EQ(0, interrupt(self->vcpu, IRQ));
	EXPECT_EQ(SYNC_IRQ + IRQ, vcpu_sync(self->vcpu));
	EXPECT_EQ((unsigned long)sti_shadow_end, self->vcpu->arg[1]);
	EXPECT_EQ(3, vcpu_sync(self->vcpu));
}

TEST_F(irq, no_window_exit_unless_asked_for)
{
	vcpu_set_long(self->vcpu, guest_opens_late);
	EXPECT_EQ(1, vcpu_sync(self->vcpu));
	EXPECT_EQ(2, vcpu_sync(self->vcpu));
	EXPECT_EQ(3, vcpu_sync(self->vcpu));
	EXPECT_EQ(1, self->run->ready_for_interrupt_injection);
}

TEST_F(irq, waits_for_the_guest_to_open)
{
	/* Upstream enters with it at once, and the entry fails. */
	if (!dev_is_keel())
		SKIP(return, "userspace must wait for the window there");
	vcpu_set_long(self->vcpu, guest_opens_late);
	EXPECT_EQ(1, vcpu_sync(self->vcpu));
	EXPECT_EQ(0, interrupt(self->vcpu, IRQ));
	EXPECT_EQ(2, vcpu_sync(self->vcpu));
	EXPECT_EQ(SYNC_IRQ + IRQ, vcpu_sync(self->vcpu));
	EXPECT_EQ((unsigned long)sti_shadow_end, self->vcpu->arg[1]);
	EXPECT_EQ(3, vcpu_sync(self->vcpu));
}

static void guest_mov_ss_shadow(void)
{
	u16 ss;

	guest_handler[IRQ] = report;
	asm volatile("mov %%ss, %0" : "=r"(ss));
	asm volatile("sti\n"
		     "mov %0, %%ss\n"
		     ".globl ss_shadow_end\n"
		     "nop\n"
		     "ss_shadow_end:\n"
		     "nop\n" : : "r"(ss));
	guest_sync(3);
	guest_done();
}

extern const char ss_shadow_end[];

TEST_F(irq, window_opens_behind_the_mov_ss_shadow)
{
	struct kvm_regs regs;

	vcpu_set_long(self->vcpu, guest_mov_ss_shadow);
	self->run->request_interrupt_window = 1;
	EXPECT_EQ(KVM_EXIT_IRQ_WINDOW_OPEN, vcpu_next(self->vcpu));
	vcpu_get_regs(self->vcpu, &regs);
	EXPECT_EQ((unsigned long)ss_shadow_end, regs.rip);
}

TEST_F(irq, nmi_ignores_the_interrupt_flag)
{
	vcpu_set_long(self->vcpu, guest_closed_then_sync);
	EXPECT_EQ(0, vcpu_sync(self->vcpu));
	EXPECT_EQ(0, __vcpu_ioctl(self->vcpu, KVM_NMI, 0));
	EXPECT_EQ(SYNC_IRQ + 2, vcpu_sync(self->vcpu));
	EXPECT_EQ(1, vcpu_sync(self->vcpu));
	EXPECT_EQ(2, vcpu_sync(self->vcpu));
}

TEST_F(irq, nmi_waits_for_iret_of_the_last)
{
	struct kvm_vcpu_events events;

	vcpu_set_long(self->vcpu, guest_closed_then_sync);
	EXPECT_EQ(0, vcpu_sync(self->vcpu));
	EXPECT_EQ(0, __vcpu_ioctl(self->vcpu, KVM_NMI, 0));
	EXPECT_EQ(SYNC_IRQ + 2, vcpu_sync(self->vcpu));
	vcpu_ioctl(self->vcpu, KVM_GET_VCPU_EVENTS, &events);
	EXPECT_EQ(1, events.nmi.masked);
	/* Of all that come in the handler one is remembered. */
	EXPECT_EQ(0, __vcpu_ioctl(self->vcpu, KVM_NMI, 0));
	EXPECT_EQ(0, __vcpu_ioctl(self->vcpu, KVM_NMI, 0));
	EXPECT_EQ(0, __vcpu_ioctl(self->vcpu, KVM_NMI, 0));
	EXPECT_EQ(SYNC_IRQ + 2, vcpu_sync(self->vcpu));
	EXPECT_EQ(1, vcpu_sync(self->vcpu));
	vcpu_ioctl(self->vcpu, KVM_GET_VCPU_EVENTS, &events);
	EXPECT_EQ(0, events.nmi.masked);
	EXPECT_EQ(0, events.nmi.pending);
	EXPECT_EQ(2, vcpu_sync(self->vcpu));
}

TEST_F(irq, nmi_before_interrupt)
{
	vcpu_set_long(self->vcpu, guest_open_then_sync);
	EXPECT_EQ(0, vcpu_sync(self->vcpu));
	EXPECT_EQ(0, __vcpu_ioctl(self->vcpu, KVM_NMI, 0));
	EXPECT_EQ(0, interrupt(self->vcpu, IRQ));
	/* Each exactly once, whichever is first. */
	u64 a = vcpu_sync(self->vcpu), b = vcpu_sync(self->vcpu);

	EXPECT_EQ(2 * SYNC_IRQ + 2 + IRQ, a + b);
	EXPECT_NE(a, b);
	EXPECT_EQ(1, vcpu_sync(self->vcpu));
}

static u64 string_rcx;

static void report_rcx(struct guest_trap *trap)
{
	string_rcx = trap->rcx;
	guest_sync3(SYNC_IRQ + trap->vector, trap->rcx, trap->rdi);
}

static void guest_string_out(void)
{
	u64 rsi = DATA_GPA, rcx = 8;

	guest_handler[IRQ] = report_rcx;
	asm volatile("sti; nop");
	asm volatile("rep outsb" : "+S"(rsi), "+c"(rcx) : "d"(PORT) : "memory");
	guest_sync3(1, rsi, rcx);
	guest_done();
}

TEST_F(irq, inside_a_repeated_string_out)
{
	struct kvm_run *run = self->run;
	u8 got[8], n = 0;
	int reason, irqs = 0;

	memcpy(vm_hva(self->vm, DATA_GPA), "12345678", 8);
	vcpu_set_long(self->vcpu, guest_string_out);
	while ((reason = vcpu_next(self->vcpu)) != GUEST_DONE) {
		if (reason == KVM_EXIT_IO) {
			ASSERT_GE(8 - n, run->io.count);
			memcpy(got + n, (u8 *)run + run->io.data_offset,
			       run->io.count);
			n += run->io.count;
			if (n >= 3 && n - run->io.count < 3)
				CHECK(!interrupt(self->vcpu, IRQ), "at %d", n);
			continue;
		}
		ASSERT_EQ(GUEST_SYNC, reason);
		if (self->vcpu->arg[0] == SYNC_IRQ + IRQ) {
			irqs++;
			/* What is out is counted, what is not is not. */
			EXPECT_EQ(8 - n, self->vcpu->arg[1]);
			continue;
		}
		EXPECT_EQ(DATA_GPA + 8, self->vcpu->arg[1]);
		EXPECT_EQ(0, self->vcpu->arg[2]);
	}
	EXPECT_EQ(1, irqs);
	EXPECT_EQ(8, n);
	EXPECT_EQ(0, memcmp(got, "12345678", 8));
}

static void guest_string_mmio(void)
{
	u64 rdi = MMIO_GPA, rcx = 6;

	guest_handler[IRQ] = report_rcx;
	asm volatile("sti; nop");
	asm volatile("rep stosw" : "+D"(rdi), "+c"(rcx) : "a"(0x1234) : "memory");
	guest_sync3(1, rdi, rcx);
	guest_done();
}

TEST_F(irq, inside_a_repeated_string_to_a_device)
{
	struct kvm_run *run = self->run;
	int reason, irqs = 0, n = 0;

	vcpu_set_long(self->vcpu, guest_string_mmio);
	while ((reason = vcpu_next(self->vcpu)) != GUEST_DONE) {
		if (reason == KVM_EXIT_MMIO) {
			EXPECT_EQ(MMIO_GPA + 2 * n, run->mmio.phys_addr);
			EXPECT_EQ(2, run->mmio.len);
			if (++n == 3)
				CHECK(!interrupt(self->vcpu, IRQ), "at %d", n);
			continue;
		}
		ASSERT_EQ(GUEST_SYNC, reason);
		if (self->vcpu->arg[0] == SYNC_IRQ + IRQ) {
			irqs++;
			EXPECT_EQ(6 - n, self->vcpu->arg[1]);
			EXPECT_EQ(MMIO_GPA + 2 * n, self->vcpu->arg[2]);
			continue;
		}
		EXPECT_EQ(MMIO_GPA + 12, self->vcpu->arg[1]);
	}
	EXPECT_EQ(1, irqs);
	EXPECT_EQ(6, n);
}

/*
 * Make all of the guest's memory a shared mapping of a file, so that dropping
 * a page's mapping loses nothing: the next access by the guest faults.
 */
static void make_droppable(struct vm *vm)
{
	int fd = syscall(SYS_memfd_create, "guest", 0);
	u8 *copy = malloc(vm->mem_size);
	void *p;

	CHECK(fd >= 0 && copy, "memfd");
	CHECK(!ftruncate(fd, vm->mem_size), "ftruncate");
	memcpy(copy, vm->mem, vm->mem_size);
	p = mmap(vm->mem, vm->mem_size, PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_FIXED, fd, 0);
	CHECK(p == vm->mem, "mmap");
	memcpy(vm->mem, copy, vm->mem_size);
	free(copy);
	close(fd);
}

/* Everything, so that each step of a delivery meets a page that is missing. */
static void drop_all(struct vm *vm)
{
	CHECK(!madvise(vm->mem, vm->mem_size, MADV_DONTNEED), "madvise");
}

TEST_F(irq, interrupt_through_missing_pages)
{
	int i;

	vcpu_set_long(self->vcpu, guest_open_then_sync);
	make_droppable(self->vm);
	EXPECT_EQ(0, vcpu_sync(self->vcpu));
	for (i = 1; i < 20; i++) {
		EXPECT_EQ(0, interrupt(self->vcpu, IRQ));
		drop_all(self->vm);
		EXPECT_EQ(SYNC_IRQ + IRQ, vcpu_sync(self->vcpu));
		drop_all(self->vm);
		EXPECT_EQ(i, vcpu_sync(self->vcpu));
	}
}

TEST_F(irq, nmi_through_missing_pages)
{
	int i;

	vcpu_set_long(self->vcpu, guest_closed_then_sync);
	make_droppable(self->vm);
	EXPECT_EQ(0, vcpu_sync(self->vcpu));
	for (i = 1; i < 20; i++) {
		EXPECT_EQ(0, __vcpu_ioctl(self->vcpu, KVM_NMI, 0));
		drop_all(self->vm);
		EXPECT_EQ(SYNC_IRQ + 2, vcpu_sync(self->vcpu));
		/* It was delivered, so another one has to wait. */
		EXPECT_EQ(0, __vcpu_ioctl(self->vcpu, KVM_NMI, 0));
		drop_all(self->vm);
		EXPECT_EQ(SYNC_IRQ + 2, vcpu_sync(self->vcpu));
		EXPECT_EQ(i, vcpu_sync(self->vcpu));
	}
}

/* One page of what delivery reads at a time, the others are there. */
TEST_F(irq, interrupt_with_one_page_missing)
{
	static const u64 page[] = {
		IDT_GPA + (IRQ * 16 & ~(PAGE - 1)), GDT_GPA, STACKS_GPA + STACK_SIZE - PAGE,
		PML4_GPA, PDPT_GPA, PD_GPA, TSS_GPA,
	};
	int i;

	vcpu_set_long(self->vcpu, guest_open_then_sync);
	make_droppable(self->vm);
	EXPECT_EQ(0, vcpu_sync(self->vcpu));
	for (i = 0; i < ARRAY_SIZE(page); i++) {
		EXPECT_EQ(0, interrupt(self->vcpu, IRQ));
		ASSERT_EQ(0, madvise(vm_hva(self->vm, page[i]), PAGE, MADV_DONTNEED));
		EXPECT_EQ(SYNC_IRQ + IRQ, vcpu_sync(self->vcpu));
		EXPECT_EQ(i + 1, vcpu_sync(self->vcpu));
	}
}

/* What the guest does to itself, with everything missing each time. */
static volatile u64 trap_vector, trap_error, trap_rip;

static void note(struct guest_trap *trap)
{
	trap_vector = trap->vector;
	trap_error = trap->error;
	trap_rip = trap->rip;
	trap->rip = trap->rbx;
}

/* rbx: where to go on; the instruction's address is known by a label. */
#define TRAPPING(name, insn)						\
extern const char name##_at[];						\
static void guest_##name(void)						\
{									\
	asm volatile("lea 1f(%%rip), %%rbx\n"				\
		     "mov $0x8000000000, %%rdi\n"			\
		     "xor %%ecx, %%ecx\n"				\
		     "mov $1, %%eax\n"					\
		     "xor %%edx, %%edx\n"				\
		     #name "_at: " insn "\n"				\
		     "1:\n"						\
		     : : : "rax", "rbx", "rcx", "rdx", "rdi", "memory",	\
		       "cc");						\
}

TRAPPING(de, "div %%cl")
TRAPPING(ud, "ud2")
TRAPPING(bp, "int3")
TRAPPING(soft, "int $0x55")
TRAPPING(gp, "mov %%rdi, %%cr4")
TRAPPING(gp_selector, "mov $0x53, %%eax; mov %%eax, %%ds")
TRAPPING(pf_read, "movb (%%rdi), %%al")
TRAPPING(pf_write, "movb %%al, (%%rdi)")
TRAPPING(np_gate, "int $0x56")
TRAPPING(gp_canonical, "shl $20, %%rdi; movb (%%rdi), %%al")

static const struct {
	const char *name;
	void (*fn)(void);
	const char *at;
	int vector;
	u64 error;
	int past;		/* bytes the saved rip is past the label */
} traps[] = {
	{ "#DE", guest_de, de_at, 0, 0, 0 },
	{ "#UD", guest_ud, ud_at, 6, 0, 0 },
	{ "#BP", guest_bp, bp_at, 3, 0, 1 },
	{ "INT n", guest_soft, soft_at, 0x55, 0, 2 },
	{ "#GP", guest_gp, gp_at, 13, 0, 0 },
	{ "#GP selector", guest_gp_selector, gp_selector_at, 13, 0x50, 5 },
	{ "#PF read", guest_pf_read, pf_read_at, 14, 0, 0 },
	{ "#PF write", guest_pf_write, pf_write_at, 14, 2, 0 },
	{ "#NP gate", guest_np_gate, np_gate_at, 11, 0x56 * 8 + 2, 0 },
	{ "#GP address", guest_gp_canonical, gp_canonical_at, 13, 0, 4 },
};

static volatile int guest_which;

static void guest_traps(void)
{
	int i;

	for (i = 0; i < 32; i++)
		guest_handler[i] = note;
	guest_handler[0x55] = note;
	*(u8 *)(IDT_GPA + 0x56 * 16 + 5) = 0x0e;	/* not present */
	for (;;) {
		guest_sync(0);
		traps[guest_which].fn();
		guest_sync3(trap_vector, trap_error, trap_rip);
	}
}

static void check_traps(struct __test_metadata *_metadata, struct vcpu *vcpu,
			bool drop)
{
	int i;

	vcpu_set_long(vcpu, guest_traps);
	for (i = 0; i < ARRAY_SIZE(traps); i++) {
		EXPECT_EQ(0, vcpu_sync(vcpu));
		GUEST_VAR(vcpu->vm, guest_which) = i;
		if (drop)
			drop_all(vcpu->vm);
		EXPECT_EQ(traps[i].vector, vcpu_sync(vcpu)) {
			TH_LOG("%s", traps[i].name);
		}
		EXPECT_EQ(traps[i].error, vcpu->arg[1]) {
			TH_LOG("%s", traps[i].name);
		}
		EXPECT_EQ((unsigned long)traps[i].at + traps[i].past, vcpu->arg[2]) {
			TH_LOG("%s", traps[i].name);
		}
	}
}

TEST_F(irq, exceptions)
{
	check_traps(_metadata, self->vcpu, false);
}

TEST_F(irq, exceptions_through_missing_pages)
{
	make_droppable(self->vm);
	check_traps(_metadata, self->vcpu, true);
}

static void on_double_fault(struct guest_trap *trap)
{
	guest_sync3(trap->vector, trap->error, 0);
	guest_done();
}

static void guest_double_fault(void)
{
	guest_handler[8] = on_double_fault;
	guest_handler[11] = note;
	*(u8 *)(IDT_GPA + 13 * 16 + 5) = 0x0e;	/* #GP not present: #NP in #GP */
	asm volatile("mov %0, %%cr4" : : "r"(1UL << 40));
}

TEST_F(irq, double_fault)
{
	vcpu_set_long(self->vcpu, guest_double_fault);
	EXPECT_EQ(8, vcpu_sync(self->vcpu));
	EXPECT_EQ(0, self->vcpu->arg[1]);
	vcpu_done(self->vcpu);
}

TEST_F(irq, double_fault_through_missing_pages)
{
	make_droppable(self->vm);
	vcpu_set_long(self->vcpu, guest_double_fault);
	drop_all(self->vm);
	EXPECT_EQ(8, vcpu_sync(self->vcpu));
	EXPECT_EQ(0, self->vcpu->arg[1]);
}

static void guest_page_fault_twice(void)
{
	guest_handler[8] = on_double_fault;
	/* The #PF handler's own gate points nowhere. */
	*(u8 *)(IDT_GPA + 14 * 16 + 5) = 0x0e;
	*(volatile u8 *)0x8000000000UL = 1;
}

TEST_F(irq, page_fault_that_cannot_be_delivered)
{
	vcpu_set_long(self->vcpu, guest_page_fault_twice);
	EXPECT_EQ(8, vcpu_sync(self->vcpu));
	EXPECT_EQ(0, self->vcpu->arg[1]);
}

static void guest_triple_fault(void)
{
	*(u8 *)(IDT_GPA + 13 * 16 + 5) = 0x0e;
	*(u8 *)(IDT_GPA + 8 * 16 + 5) = 0x0e;
	asm volatile("mov %0, %%cr4" : : "r"(1UL << 40));
}

TEST_F(irq, triple_fault)
{
	vcpu_set_long(self->vcpu, guest_triple_fault);
	EXPECT_EQ(KVM_EXIT_SHUTDOWN, vcpu_next(self->vcpu));
}

/* Emulated and hardware faults alike: a fault of an emulated access. */
static void guest_mmio_faults(void)
{
	guest_handler[14] = note;
	asm volatile("lea 1f(%%rip), %%rbx\n"
		     "movl %%eax, (%0)\n"
		     "1:\n"
		     : : "r"(0x8000000ffeUL) : "rbx", "memory");
	guest_sync3(trap_vector, trap_error, guest_read_cr2());
	guest_done();
}

TEST_F(irq, page_fault_raised_by_emulation)
{
	vm_map(self->vm, 0x8000000000UL, MMIO_GPA, PT_P | PT_W);
	vcpu_set_long(self->vcpu, guest_mmio_faults);
	make_droppable(self->vm);
	drop_all(self->vm);
	EXPECT_EQ(14, vcpu_sync(self->vcpu));
	EXPECT_EQ(2, self->vcpu->arg[1]);
	EXPECT_EQ(0x8000001000UL, self->vcpu->arg[2]);
}

static void on_debug(struct guest_trap *trap)
{
	u64 dr6;

	asm volatile("mov %%dr6, %0" : "=r"(dr6));
	guest_sync3(SYNC_IRQ + trap->vector, trap->rip, dr6);
	trap->rflags &= ~FLAG_TF;
	asm volatile("mov %0, %%dr6" : : "r"(0xffff0ff0UL));
}

static void guest_single_step(void)
{
	guest_handler[1] = on_debug;
	asm volatile("pushfq\n"
		     "orl $0x100, (%%rsp)\n"
		     "popfq\n"
		     ".globl step_mmio, step_out, step_cpuid\n"
		     "movl %%eax, (%0)\n"
		     "step_mmio:\n"
		     : : "r"(MMIO_GPA) : "memory");
	asm volatile("pushfq\n"
		     "orl $0x100, (%%rsp)\n"
		     "popfq\n"
		     "cpuid\n"
		     "step_cpuid:\n"
		     : : "a"(0), "c"(0) : "rbx", "rdx", "memory");
	asm volatile("pushfq\n"
		     "orl $0x100, (%%rsp)\n"
		     "popfq\n"
		     "outb %%al, $0x70\n"
		     "step_out:\n"
		     : : : "memory");
	guest_done();
}

extern const char step_mmio[], step_out[], step_cpuid[];

/* The trap flag works across instructions that leave the guest. */
TEST_F(irq, single_step_over_emulated_instructions)
{
	vcpu_set_long(self->vcpu, guest_single_step);
	EXPECT_EQ(KVM_EXIT_MMIO, vcpu_next(self->vcpu));
	EXPECT_EQ(SYNC_IRQ + 1, vcpu_sync(self->vcpu));
	/* Upstream takes one step too many after a write to a device. */
	EXPECT_TRUE(!dev_is_keel() || self->vcpu->arg[1] == (unsigned long)step_mmio);
	EXPECT_EQ(1UL << 14, self->vcpu->arg[2] & (1UL << 14));
	EXPECT_EQ(SYNC_IRQ + 1, vcpu_sync(self->vcpu));
	EXPECT_EQ((unsigned long)step_cpuid, self->vcpu->arg[1]);
	EXPECT_EQ(KVM_EXIT_IO, vcpu_next(self->vcpu));
	EXPECT_EQ(SYNC_IRQ + 1, vcpu_sync(self->vcpu));
	EXPECT_EQ((unsigned long)step_out, self->vcpu->arg[1]);
	vcpu_done(self->vcpu);
}

KEEL_TEST_MAIN
