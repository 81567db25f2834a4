// SPDX-License-Identifier: GPL-2.0
/*
 * A guest is taken out of one VM and put into another, with all that the API
 * lets userspace get and set: what is got there is what was set, and the guest
 * goes on to the answer it would have come to. In every mode, at any
 * instruction, in the middle of I/O and with events on their way.
 */
#include <signal.h>
#include <sys/time.h>
#include "kselftest_harness.h"
#include "keel_test.h"
#include "control.h"
#include "guest.h"
#include "state.h"

static int enable(struct vm *vm, u32 cap)
{
	struct kvm_enable_cap e = { .cap = cap, .args = { 1 } };

	return __vm_ioctl(vm, KVM_ENABLE_CAP, &e);
}

static void enable_events(struct vm *vm)
{
	CHECK(!enable(vm, KVM_CAP_EXCEPTION_PAYLOAD), "payloads");
	CHECK(!enable(vm, KVM_CAP_X86_TRIPLE_FAULT_EVENT), "triple faults");
}

/* A VM with the memory that @old has had: it is this process's, not the VM's. */
static struct vm *successor(struct vm *old)
{
	struct vm *vm = vm_create_bare();

	enable_events(vm);
	vm->mem = old->mem;
	vm->mem_size = old->mem_size;
	old->mem = NULL;
	vm_set_slot(vm, 0, 0, 0, vm->mem_size, vm->mem);
	return vm;
}

static void discard(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;

	vcpu_free(vcpu);
	vm_free(vm);
}

/* The guest of @old in a VM of its own, and @old is gone. */
static struct vcpu *move(struct vcpu *old)
{
	struct vcpu_state *before = state_get(old), *after;
	struct vcpu *new = vcpu_create_bare(successor(old->vm), old->id);
	struct kvm_clock_data clock = {};
	const char *differs;

	vm_ioctl(old->vm, KVM_GET_CLOCK, &clock);
	discard(old);

	clock.flags = 0;
	vm_ioctl(new->vm, KVM_SET_CLOCK, &clock);
	state_set(new, before);
	after = state_get(new);
	differs = state_differs(before, after);
	CHECK(!differs, "%s: what was set is not what is got", differs);
	free(before);
	free(after);
	return new;
}

FIXTURE(save) {
	struct vcpu *vcpu;
};

FIXTURE_SETUP(save)
{
	struct vm *vm = vm_create();

	enable_events(vm);
	self->vcpu = vcpu_create_bare(vm, 0);
	vcpu_set_cpuid(self->vcpu);
}

FIXTURE_TEARDOWN(save)
{
	discard(self->vcpu);
}

/* --- all registers -------------------------------------------------------- */

static const struct {
	u32 index;
	u64 value;
} guest_msrs[] = {
	{ 0x174, 0x1b },			/* SYSENTER */
	{ 0x175, 0xffff800000001000 },
	{ 0x176, 0xffff800000002000 },
	{ 0x1d9, 2 },				/* DEBUGCTL: steps of branches */
	{ 0x1fc, 0x1234 },			/* POWER_CTL */
	{ 0x200, 0xc0000006 },			/* MTRRs */
	{ 0x201, 0xfc0000800 },
	{ 0x250, 0x0606060606060606 },
	{ 0x26f, 0x0505050505050505 },
	{ 0x277, 0x0606060606060106 },		/* PAT */
	{ 0x2ff, 0xc06 },
	{ 0xc0000081, 0x0023001000000000 },	/* SYSCALL */
	{ 0xc0000082, 0xffffffff81000000 },
	{ 0xc0000083, 0xffffffff81000100 },
	{ 0xc0000084, 0x47700 },
	{ 0xc0000100, 0xffff888000000000 },	/* FS, GS */
	{ 0xc0000101, 0x123456789000 },
	{ 0xc0000102, 0xffff888000002000 },
	{ 0x3b, 0x1000 },			/* TSC_ADJUST */
};

#define NR_VECTORS	16
#define VECTOR_SIZE	32
#define FCW		0x27f
#define MXCSR		0x1fa0
#define DR0		0xffff800000003000UL
#define DR7		0x402UL			/* watches DR0, which is never executed */

static bool guest_avx;
static u8 guest_vectors[NR_VECTORS][VECTOR_SIZE] __attribute__((aligned(64)));
static u8 guest_found[NR_VECTORS][VECTOR_SIZE] __attribute__((aligned(64)));
static u8 guest_st[3][10];

#define ALL_VECTORS(op)							\
	op(0) op(1) op(2) op(3) op(4) op(5) op(6) op(7)			\
	op(8) op(9) op(10) op(11) op(12) op(13) op(14) op(15)
#define LOAD_YMM(n)	"vmovdqu 32*" #n "(%0), %%ymm" #n "\n"
#define LOAD_XMM(n)	"movdqu 32*" #n "(%0), %%xmm" #n "\n"
#define STORE_YMM(n)	"vmovdqu %%ymm" #n ", 32*" #n "(%0)\n"
#define STORE_XMM(n)	"movdqu %%xmm" #n ", 32*" #n "(%0)\n"

static void guest_fill(void)
{
	const u32 mxcsr = MXCSR;
	const u16 fcw = FCW;
	int i;

	if (guest_avx) {
		guest_write_cr4(guest_read_cr4() | CR4_OSXSAVE);
		asm volatile("xsetbv" : : "c"(0), "a"(7), "d"(0));
		asm volatile(ALL_VECTORS(LOAD_YMM) : : "r"(guest_vectors) : "memory");
	} else {
		asm volatile(ALL_VECTORS(LOAD_XMM) : : "r"(guest_vectors) : "memory");
	}
	asm volatile("fninit; fldpi; fld1; fldl2e; fldcw %0; ldmxcsr %1"
		     : : "m"(fcw), "m"(mxcsr));
	for (i = 0; i < ARRAY_SIZE(guest_msrs); i++)
		GUEST_ASSERT_EQ(0, guest_wrmsr(guest_msrs[i].index, guest_msrs[i].value));
	asm volatile("mov %0, %%dr0" : : "r"(DR0));
	asm volatile("mov %0, %%dr6" : : "r"(0xffff0ff1UL));
	asm volatile("mov %0, %%dr7" : : "r"(DR7));
	asm volatile("mov %0, %%cr8" : : "r"(9UL));
}

static void guest_look(void)
{
	u64 value = 0;
	u32 mxcsr;
	u16 fcw;
	int i;

	if (guest_avx)
		asm volatile(ALL_VECTORS(STORE_YMM) : : "r"(guest_found) : "memory");
	else
		asm volatile(ALL_VECTORS(STORE_XMM) : : "r"(guest_found) : "memory");
	asm volatile("fnstcw %0; stmxcsr %1" : "=m"(fcw), "=m"(mxcsr));
	asm volatile("fstpt %0; fstpt %1; fstpt %2"
		     : "=m"(guest_st[0]), "=m"(guest_st[1]), "=m"(guest_st[2]));
	GUEST_ASSERT_EQ(fcw, FCW);
	GUEST_ASSERT_EQ(mxcsr, MXCSR);
	for (i = 0; i < ARRAY_SIZE(guest_msrs); i++) {
		GUEST_ASSERT_EQ(0, guest_rdmsr(guest_msrs[i].index, &value));
		GUEST_ASSERT_EQ(value, guest_msrs[i].value);
	}
	asm volatile("mov %%dr0, %0" : "=r"(value));
	GUEST_ASSERT_EQ(value, DR0);
	asm volatile("mov %%dr6, %0" : "=r"(value));
	GUEST_ASSERT_EQ(value, 0xffff0ff1);
	asm volatile("mov %%dr7, %0" : "=r"(value));
	GUEST_ASSERT_EQ(value, DR7);
	asm volatile("mov %%cr8, %0" : "=r"(value));
	GUEST_ASSERT_EQ(value, 9);
}

static void guest_rich(void)
{
	guest_fill();
	guest_sync(1);
	guest_look();
	guest_done();
}

static bool has_avx(struct vm *vm)
{
	struct kvm_cpuid2 *cpuid = cpuid_supported(vm->dev);
	bool avx = cpuid_find(cpuid, 1, 0)->ecx & 1 << 28;

	free(cpuid);
	return avx;
}

TEST_F(save, everything_a_guest_can_set)
{
	static const u8 one[10] = { 0, 0, 0, 0, 0, 0, 0, 0x80, 0xff, 0x3f };
	u8 (*vectors)[VECTOR_SIZE] = GUEST_VAR(self->vcpu->vm, guest_vectors);
	u8 (*found)[VECTOR_SIZE];
	bool avx = has_avx(self->vcpu->vm);
	int i;

	GUEST_VAR(self->vcpu->vm, guest_avx) = avx;
	for (i = 0; i < NR_VECTORS * VECTOR_SIZE; i++)
		vectors[0][i] = i * 7 + (i >> 5);
	vcpu_set_long(self->vcpu, guest_rich);
	ASSERT_EQ(1, vcpu_sync(self->vcpu));
	ASSERT_EQ(0, vcpu_complete(self->vcpu));
	self->vcpu = move(self->vcpu);
	self->vcpu = move(self->vcpu);
	vcpu_done(self->vcpu);
	vectors = GUEST_VAR(self->vcpu->vm, guest_vectors);
	found = GUEST_VAR(self->vcpu->vm, guest_found);
	for (i = 0; i < NR_VECTORS; i++)
		EXPECT_EQ(0, memcmp(vectors[i], found[i], avx ? 32 : 16));
	EXPECT_EQ(0, memcmp(one, GUEST_VAR(self->vcpu->vm, guest_st)[1], sizeof(one)));
}

/* A copy of the state is worth as much as the original: nothing moves when it is got. */
TEST_F(save, getting_changes_nothing)
{
	struct vcpu_state *a, *b;

	GUEST_VAR(self->vcpu->vm, guest_avx) = has_avx(self->vcpu->vm);
	vcpu_set_long(self->vcpu, guest_rich);
	ASSERT_EQ(1, vcpu_sync(self->vcpu));
	ASSERT_EQ(0, vcpu_complete(self->vcpu));
	a = state_get(self->vcpu);
	b = state_get(self->vcpu);
	EXPECT_EQ(NULL, state_differs(a, b));
	vcpu_done(self->vcpu);
	free(b);
	b = state_get(self->vcpu);
	EXPECT_NE(NULL, state_differs(a, b));
	free(a);
	free(b);
}

/* --- events --------------------------------------------------------------- */

#define NMI_VECTOR	2
#define PF_VECTOR	14
#define IRQ_VECTOR	0x55
#define FAULT_ADDRESS	0x123456789000UL

static volatile u64 guest_taken[256];
static volatile u64 guest_cr2;

static void guest_take(struct guest_trap *trap)
{
	guest_taken[trap->vector]++;
	if (trap->vector == PF_VECTOR)
		guest_cr2 = guest_read_cr2();
}

static void guest_wait(void)
{
	guest_sync(1);
	guest_sync(guest_taken[IRQ_VECTOR]);
	asm volatile("sti; nop; cli");
	guest_done();
}

static void set_handlers(struct vm *vm)
{
	GUEST_VAR(vm, guest_handler)[NMI_VECTOR] = guest_take;
	GUEST_VAR(vm, guest_handler)[PF_VECTOR] = guest_take;
	GUEST_VAR(vm, guest_handler)[IRQ_VECTOR] = guest_take;
}

TEST_F(save, events_on_their_way)
{
	struct kvm_interrupt irq = { .irq = IRQ_VECTOR };
	struct kvm_vcpu_events ev;
	volatile u64 *taken;

	set_handlers(self->vcpu->vm);
	vcpu_set_long(self->vcpu, guest_wait);
	ASSERT_EQ(1, vcpu_sync(self->vcpu));
	ASSERT_EQ(0, vcpu_complete(self->vcpu));
	vcpu_ioctl(self->vcpu, KVM_INTERRUPT, &irq);
	vcpu_ioctl(self->vcpu, KVM_NMI, 0);
	vcpu_ioctl(self->vcpu, KVM_GET_VCPU_EVENTS, &ev);
	ev.flags |= KVM_VCPUEVENT_VALID_PAYLOAD;
	ev.exception.pending = 1;
	ev.exception.nr = PF_VECTOR;
	ev.exception.has_error_code = 1;
	ev.exception.error_code = 2;
	ev.exception_has_payload = 1;
	ev.exception_payload = FAULT_ADDRESS;
	vcpu_ioctl(self->vcpu, KVM_SET_VCPU_EVENTS, &ev);
	self->vcpu = move(self->vcpu);
	taken = GUEST_VAR(self->vcpu->vm, guest_taken);
	/* The interrupt waits for the guest to take it; the others do not. */
	EXPECT_EQ(0, vcpu_sync(self->vcpu));
	EXPECT_EQ(1, taken[PF_VECTOR]);
	EXPECT_EQ(FAULT_ADDRESS, GUEST_VAR(self->vcpu->vm, guest_cr2));
	EXPECT_EQ(1, taken[NMI_VECTOR]);
	ASSERT_EQ(0, vcpu_complete(self->vcpu));
	self->vcpu = move(self->vcpu);
	taken = GUEST_VAR(self->vcpu->vm, guest_taken);
	vcpu_done(self->vcpu);
	EXPECT_EQ(1, taken[IRQ_VECTOR]);
	EXPECT_EQ(1, taken[PF_VECTOR]);
	EXPECT_EQ(1, taken[NMI_VECTOR]);
}

TEST_F(save, blocked_and_shadowed)
{
	struct kvm_vcpu_events ev;

	vcpu_set_long(self->vcpu, guest_wait);
	vcpu_ioctl(self->vcpu, KVM_GET_VCPU_EVENTS, &ev);
	ev.nmi.masked = 1;
	ev.nmi.pending = 1;
	ev.interrupt.shadow = KVM_X86_SHADOW_INT_STI;
	ev.smi.smm = 1;
	ev.smi.smm_inside_nmi = 1;
	vcpu_ioctl(self->vcpu, KVM_SET_VCPU_EVENTS, &ev);
	self->vcpu = move(self->vcpu);
	vcpu_ioctl(self->vcpu, KVM_GET_VCPU_EVENTS, &ev);
	EXPECT_EQ(1, ev.nmi.masked);
	EXPECT_EQ(1, ev.nmi.pending);
	EXPECT_EQ(KVM_X86_SHADOW_INT_STI, ev.interrupt.shadow);
	EXPECT_EQ(1, ev.smi.smm);
}

TEST_F(save, a_triple_fault_that_is_due)
{
	struct kvm_vcpu_events ev;

	vcpu_set_long(self->vcpu, guest_wait);
	vcpu_ioctl(self->vcpu, KVM_GET_VCPU_EVENTS, &ev);
	ev.triple_fault.pending = 1;
	vcpu_ioctl(self->vcpu, KVM_SET_VCPU_EVENTS, &ev);
	self->vcpu = move(self->vcpu);
	EXPECT_EQ(KVM_EXIT_SHUTDOWN, vcpu_next(self->vcpu));
}

/* --- a computation, in every mode ------------------------------------------ */

/*
 * A table of 1024 words that feeds on itself: every step depends on all before
 * it, by way of registers, flags, stack and memory. The same source is 16, 32
 * and 64-bit code.
 */
#define TABLE_WORDS	1024
#define STEP								\
	"imul $1664525, %eax, %eax\n"					\
	"add $1013904223, %eax\n"					\
	"mov %eax, %edx\n"						\
	"shr $22, %edx\n"						\
	"add %eax, (%ebp,%edx,4)\n"					\
	"adc (%ebp,%edx,4), %ebx\n"					\
	"rol $5, %ebx\n"						\
	"pushw %bx\n"							\
	"popw %si\n"							\
	"add %si, %ax\n"

#define COMPUTE(n, more)						\
	#n ":\n" STEP more						\
	"dec %ecx\n"							\
	"jnz " #n "b\n"							\
	"hlt\n"

#define SUM	"movd %eax, %xmm0; paddd %xmm0, %xmm7\n"

GUEST_CODE16(compute16, COMPUTE(1, ""));
GUEST_CODE32(compute32, COMPUTE(1, ""));
GUEST_CODE32(compute32_sse, COMPUTE(1, SUM));
extern const char compute64[];
asm(".pushsection .text\n"
	"compute64:\n"
	COMPUTE(1, SUM)
	".popsection\n");

struct answer {
	u32 eax, ebx, sum;
	u32 table[TABLE_WORDS];
};

static void work_out(struct answer *a, u32 steps)
{
	u64 sum;
	u32 *word;

	for (; steps; steps--) {
		a->eax = a->eax * 1664525 + 1013904223;
		word = &a->table[a->eax >> 22];
		sum = (u64)*word + a->eax;
		*word = sum;
		a->ebx += *word + (sum >> 32);
		a->ebx = a->ebx << 5 | a->ebx >> 27;
		a->eax = (a->eax & 0xffff0000) | (u16)(a->eax + a->ebx);
		a->sum += a->eax;
	}
}

static void on_alarm(int sig)
{
}

/* The exit, or -EINTR: the time was over first. */
static int run_for(struct vcpu *vcpu, unsigned int us)
{
	struct itimerval timer = { .it_value.tv_usec = us };
	int err;

	/* Should the signal come before the run, the next run does not miss it. */
	signal(SIGALRM, on_alarm);
	setitimer(ITIMER_REAL, &timer, NULL);
	err = __vcpu_run(vcpu);
	timer.it_value.tv_usec = 0;
	setitimer(ITIMER_REAL, &timer, NULL);
	CHECK(!err || err == -EINTR, "KVM_RUN: %s", strerror(-err));
	return err ? err : vcpu_decode(vcpu);
}

#define MOVES	8
#define SEED	0x12345678

/* Run the code that the vCPU stands at, and move it when a moment has passed. */
static struct vcpu *travel(struct vcpu *vcpu, u64 table, u32 base, u32 steps)
{
	struct kvm_regs regs;
	unsigned int moves = 0;
	int exit;

	vcpu_get_regs(vcpu, &regs);
	regs.rax = SEED;
	regs.rbx = 0;
	regs.rcx = steps;
	regs.rbp = base;
	vcpu_set_regs(vcpu, &regs);
	memset(vm_hva(vcpu->vm, table), 0, TABLE_WORDS * 4);
	srand(SEED);
	while ((exit = run_for(vcpu, 50 + rand() % 2000)) == -EINTR)
		if (moves++ < MOVES)
			vcpu = move(vcpu);
	CHECK(exit == KVM_EXIT_HLT, "exit %d, suberror %u", exit, vcpu->run->internal.suberror);
	fprintf(stderr, "# moved %u times\n", moves < MOVES ? moves : MOVES);
	return vcpu;
}

static void expect_answer(struct __test_metadata *_metadata, struct vcpu *vcpu, u64 table,
			  u32 steps, bool sse)
{
	struct answer *want = calloc(1, sizeof(*want));
	struct kvm_regs regs;
	struct kvm_fpu fpu;

	want->eax = SEED;
	work_out(want, steps);
	vcpu_get_regs(vcpu, &regs);
	EXPECT_EQ(want->eax, (u32)regs.rax);
	EXPECT_EQ(want->ebx, (u32)regs.rbx);
	EXPECT_EQ(0, memcmp(want->table, vm_hva(vcpu->vm, table), sizeof(want->table)));
	if (sse) {
		vcpu_ioctl(vcpu, KVM_GET_FPU, &fpu);
		EXPECT_EQ(want->sum, *(u32 *)fpu.xmm[7]);
	}
	free(want);
}

/* Code that the hardware does not run is emulated, and takes a thousand times as long. */
static u32 steps_without_paging(void)
{
	return parameter_is_on("unrestricted") ? 400000 : 2000;
}

#define STEPS	400000

TEST_F(save, real_mode)
{
	u32 steps = steps_without_paging();
	struct kvm_sregs s;

	vm_load(self->vcpu->vm, REAL_CODE_GPA, compute16, compute16_end);
	vcpu_set_real(self->vcpu, REAL_CODE_GPA);
	vcpu_get_sregs(self->vcpu, &s);
	s.ds.selector = 0x4000;
	s.ds.base = 0x40000;
	/* BP goes by SS: the table lies behind the stack's segment too. */
	s.ss.selector = 0x3000;
	s.ss.base = 0x30000;
	vcpu_set_sregs(self->vcpu, &s);
	self->vcpu = travel(self->vcpu, 0x38000, 0x8000, steps);
	expect_answer(_metadata, self->vcpu, 0x38000, steps, false);
}

TEST_F(save, protected_mode)
{
	u32 steps = steps_without_paging();

	vcpu_set_prot32(self->vcpu, compute32);
	self->vcpu = travel(self->vcpu, DATA_GPA, DATA_GPA, steps);
	expect_answer(_metadata, self->vcpu, DATA_GPA, steps, false);
}

static void set_paging(struct vcpu *vcpu, u64 cr3, u64 cr4)
{
	struct kvm_sregs s;

	vcpu_set_prot32(vcpu, compute32_sse);
	vcpu_get_sregs(vcpu, &s);
	s.cr3 = cr3;
	s.cr4 = cr4 | CR4_OSFXSR;
	s.cr0 |= CR0_PG;
	s.cr0 &= ~(CR0_EM | CR0_TS);
	vcpu_set_sregs(vcpu, &s);
}

TEST_F(save, paging_32_bit)
{
	set_paging(self->vcpu, PD32_GPA, CR4_PSE);
	self->vcpu = travel(self->vcpu, DATA_GPA, DATA_GPA, STEPS);
	expect_answer(_metadata, self->vcpu, DATA_GPA, STEPS, true);
}

/* The processor keeps the directory pointers; memory may say something else by now. */
TEST_F(save, pae_paging_with_pointers_that_are_no_longer_in_memory)
{
	set_paging(self->vcpu, PAE_PDPT_GPA, CR4_PAE);
	memset(vm_hva(self->vcpu->vm, PAE_PDPT_GPA), 0, 32);
	self->vcpu = travel(self->vcpu, DATA_GPA, DATA_GPA, STEPS);
	expect_answer(_metadata, self->vcpu, DATA_GPA, STEPS, true);
}

TEST_F(save, long_mode)
{
	vcpu_set_long(self->vcpu, (void (*)(void))compute64);
	self->vcpu = travel(self->vcpu, DATA_GPA, DATA_GPA, STEPS);
	expect_answer(_metadata, self->vcpu, DATA_GPA, STEPS, true);
}

/* --- in the middle of I/O --------------------------------------------------- */

#define PORT		0x60
#define DEVICE		(MMIO_GPA + 0x2000)
#define STRADDLE	(MMIO_GPA + 0x4ffb)

static volatile u64 guest_sum;
static u8 guest_buffer[64];

static void guest_io(void)
{
	u64 sum = 0, i;
	u32 in;

	for (i = 0; i < 4; i++) {
		asm volatile("outl %0, $0x60" : : "a"((u32)sum));
		asm volatile("inl $0x60, %0" : "=a"(in));
		sum = sum * 31 + in;
		sum = sum * 31 + guest_read64(DEVICE);
		asm volatile("addl $3, %0" : "+m"(*(u32 *)(DEVICE + 8)));
		sum = sum * 31 + guest_read64(STRADDLE);
		guest_write64(STRADDLE, sum);
		asm volatile("rep insb"
			     : : "D"(guest_buffer), "c"(16), "d"(PORT) : "memory");
		asm volatile("rep outsw"
			     : : "S"(guest_buffer), "c"(8), "d"(PORT) : "memory");
		asm volatile("rep movsb"
			     : : "S"(DEVICE + 16), "D"(guest_buffer + 16), "c"(8) : "memory");
		asm volatile("rep movsl"
			     : : "S"(guest_buffer), "D"(DEVICE + 64), "c"(4) : "memory");
		for (in = 0; in < sizeof(guest_buffer); in++)
			sum = sum * 31 + guest_buffer[in];
	}
	guest_sum = sum;
	guest_done();
}

#define MAX_ACCESSES	512

struct access {
	u64 addr, data;
	u32 len;
	bool is_write;
};

/* What a device saw, in order. It answers with how many accesses there were. */
struct device {
	struct access log[MAX_ACCESSES];
	int nr;
};

static void take(struct device *d, u64 addr, u32 len, bool is_write, void *data)
{
	struct access *a = &d->log[d->nr];
	u64 answer = 0x0101010101010101UL * (u8)d->nr;

	CHECK(d->nr < MAX_ACCESSES, "endless");
	if (!is_write)
		memcpy(data, &answer, len);
	*a = (struct access) { .addr = addr, .len = len, .is_write = is_write };
	memcpy(&a->data, data, len);
	d->nr++;
}

/* False if the exit is no I/O. */
static bool answer(struct vcpu *vcpu, struct device *d)
{
	struct kvm_run *run = vcpu->run;
	u8 *data = (u8 *)run + run->io.data_offset;
	u32 i;

	if (run->exit_reason == KVM_EXIT_MMIO) {
		take(d, run->mmio.phys_addr, run->mmio.len, run->mmio.is_write, run->mmio.data);
		return true;
	}
	if (run->exit_reason != KVM_EXIT_IO || run->io.port != PORT)
		return false;
	for (i = 0; i < run->io.count; i++, data += run->io.size)
		take(d, run->io.port, run->io.size, run->io.direction, data);
	return true;
}

/* To the end, and if @moves with a move at every exit that can be finished. */
static struct vcpu *run_device(struct vcpu *vcpu, struct device *d, bool moves)
{
	int n = 0;

	vcpu_set_long(vcpu, guest_io);
	for (vcpu_run(vcpu); answer(vcpu, d); vcpu_run(vcpu)) {
		if (!moves)
			continue;
		while (vcpu_complete(vcpu))
			CHECK(answer(vcpu, d), "exit %u", vcpu->run->exit_reason);
		vcpu = move(vcpu);
		n++;
	}
	CHECK(vcpu_decode(vcpu) == GUEST_DONE, "exit %u", vcpu->run->exit_reason);
	if (moves)
		fprintf(stderr, "# moved %d times in %d accesses\n", n, d->nr);
	return vcpu;
}

TEST_F_TIMEOUT(save, between_an_access_and_the_next, 120)
{
	struct device *want = calloc(1, sizeof(*want)), *got = calloc(1, sizeof(*got));
	u64 sum;
	int i;

	self->vcpu = run_device(self->vcpu, want, false);
	sum = GUEST_VAR(self->vcpu->vm, guest_sum);
	GUEST_VAR(self->vcpu->vm, guest_sum) = 0;
	self->vcpu = move(self->vcpu);
	self->vcpu = run_device(self->vcpu, got, true);
	EXPECT_EQ(sum, GUEST_VAR(self->vcpu->vm, guest_sum));
	ASSERT_EQ(want->nr, got->nr);
	for (i = 0; i < want->nr; i++)
		EXPECT_EQ(0, memcmp(&want->log[i], &got->log[i], sizeof(want->log[i]))) {
			TH_LOG("access %d: %#lx", i, got->log[i].addr);
		}
}

KEEL_TEST_MAIN
