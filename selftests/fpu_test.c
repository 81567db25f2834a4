// SPDX-License-Identifier: GPL-2.0
/*
 * Registers of guest and host keep apart: general, vector, x87, segment bases,
 * debug registers and the MSRs of system calls, across exits, preemption and
 * migration between CPUs. How they are got and set is state_test's.
 */
#define _GNU_SOURCE
#include <linux/hw_breakpoint.h>
#include <linux/perf_event.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <asm/prctl.h>
#include <sys/syscall.h>
#include "kselftest_harness.h"
#include "keel_test.h"
#include "guest.h"

FIXTURE(fpu) {
	struct vm *vm;
	struct vcpu *vcpu;
	bool avx;
};

static int use_avx;		/* the guest's copy */
static volatile u64 rounds, wrong, stop;

/* Sixteen registers of 32 bytes; xmm uses the lower halves. */
struct vectors {
	u8 reg[16][32];
} __attribute__((aligned(64)));

static struct vectors guest_want, guest_got;
u64 guest_gpr[15];		/* written by name in assembly */

static void no_guest(void)
{
}

FIXTURE_SETUP(fpu)
{
	struct kvm_cpuid2 *cpuid;
	struct kvm_cpuid_entry2 *e;

	self->vm = vm_create();
	self->vcpu = vcpu_create(self->vm, 0, no_guest);
	cpuid = cpuid_supported(self->vm->dev);
	e = cpuid_find(cpuid, 0xd, 0);
	self->avx = e && (e->eax & 7) == 7;
	GUEST_VAR(self->vm, use_avx) = self->avx;
	free(cpuid);
}

FIXTURE_TEARDOWN(fpu)
{
	vcpu_free(self->vcpu);
	vm_free(self->vm);
}

#define EACH16(f) f(0) f(1) f(2) f(3) f(4) f(5) f(6) f(7) \
	f(8) f(9) f(10) f(11) f(12) f(13) f(14) f(15)
#define LOAD_X(n) "movdqu " #n "*32(%0), %%xmm" #n "\n"
#define STORE_X(n) "movdqu %%xmm" #n ", " #n "*32(%0)\n"
#define LOAD_Y(n) "vmovdqu " #n "*32(%0), %%ymm" #n "\n"
#define STORE_Y(n) "vmovdqu %%ymm" #n ", " #n "*32(%0)\n"

/* The compiler itself touches no vector register, guest or host. */
static void load_vectors(const struct vectors *v, bool avx)
{
	if (avx)
		asm volatile(EACH16(LOAD_Y) : : "r"(v) : "memory");
	else
		asm volatile(EACH16(LOAD_X) : : "r"(v) : "memory");
}

static void store_vectors(struct vectors *v, bool avx)
{
	if (avx)
		asm volatile(EACH16(STORE_Y) : : "r"(v) : "memory");
	else
		asm volatile(EACH16(STORE_X) : : "r"(v) : "memory");
}

static void fill_vectors(struct vectors *v, u8 seed, bool avx)
{
	int i, j;

	for (i = 0; i < 16; i++)
		for (j = 0; j < 32; j++)
			v->reg[i][j] = avx || j < 16 ? seed + i * 37 + j : 0;
}

static bool same_vectors(const struct vectors *a, const struct vectors *b)
{
	const u64 *x = (const u64 *)a, *y = (const u64 *)b;
	int i;

	for (i = 0; i < sizeof(*a) / 8; i++)
		if (x[i] != y[i])
			return false;
	return true;
}

static void guest_enable_avx(void)
{
	if (!use_avx)
		return;
	guest_write_cr4(guest_read_cr4() | CR4_OSXSAVE);
	asm volatile("xsetbv" : : "a"(7), "d"(0), "c"(0));
}

/*
 * Fill the general registers with a pattern, let time pass without an exit,
 * store them. Time: so that the host's clock interrupts in the middle.
 */
static void guest_spin_gprs(void)
{
	asm volatile("push %%rbp\n"
		     "mov $0x1111111111111111, %%rbx\n"
		     "lea 1(%%rbx), %%rcx\n"
		     "lea 2(%%rbx), %%rdx\n"
		     "lea 3(%%rbx), %%rsi\n"
		     "lea 4(%%rbx), %%rdi\n"
		     "lea 5(%%rbx), %%rbp\n"
		     "lea 6(%%rbx), %%r8\n"
		     "lea 7(%%rbx), %%r9\n"
		     "lea 8(%%rbx), %%r10\n"
		     "lea 9(%%rbx), %%r11\n"
		     "lea 10(%%rbx), %%r12\n"
		     "lea 11(%%rbx), %%r13\n"
		     "lea 12(%%rbx), %%r14\n"
		     "lea 13(%%rbx), %%r15\n"
		     "mov $3000, %%eax\n"
		     "1: dec %%eax\n"
		     "jnz 1b\n"
		     "mov %%rbx, guest_gpr\n"
		     "mov %%rcx, guest_gpr+8\n"
		     "mov %%rdx, guest_gpr+16\n"
		     "mov %%rsi, guest_gpr+24\n"
		     "mov %%rdi, guest_gpr+32\n"
		     "mov %%rbp, guest_gpr+40\n"
		     "mov %%r8, guest_gpr+48\n"
		     "mov %%r9, guest_gpr+56\n"
		     "mov %%r10, guest_gpr+64\n"
		     "mov %%r11, guest_gpr+72\n"
		     "mov %%r12, guest_gpr+80\n"
		     "mov %%r13, guest_gpr+88\n"
		     "mov %%r14, guest_gpr+96\n"
		     "mov %%r15, guest_gpr+104\n"
		     "pop %%rbp\n"
		     : : : "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9",
		       "r10", "r11", "r12", "r13", "r14", "r15", "memory", "cc");
}

#define MSR_LSTAR		0xc0000082
#define MSR_STAR		0xc0000081
#define MSR_SFMASK		0xc0000084
#define MSR_KERNEL_GS_BASE	0xc0000102
#define GUEST_LSTAR		0xffff800012345000UL

static void set_own_state(void)
{
	u32 mxcsr = 0x1fa0;
	u16 fcw = 0x27f;

	guest_enable_avx();
	fill_vectors(&guest_want, 0x40, use_avx);
	asm volatile("ldmxcsr %0; fninit; fldcw %1; fldpi" : : "m"(mxcsr), "m"(fcw));
	/* What the host's own system calls would die of. */
	guest_wrmsr(MSR_LSTAR, GUEST_LSTAR);
	guest_wrmsr(MSR_STAR, 0x0123456700000000UL);
	guest_wrmsr(MSR_SFMASK, 0xffff);
	guest_wrmsr(MSR_KERNEL_GS_BASE, 0xffff800076543000UL);
	asm volatile("mov %0, %%dr0; mov %1, %%dr3"
		     : : "r"(0x123000UL), "r"(0x456000UL));
}

static bool own_state_is_intact(void)
{
	u64 a, b, c, i;
	u32 mxcsr;
	u16 fcw;

	asm volatile("stmxcsr %0; fnstcw %1" : "=m"(mxcsr), "=m"(fcw));
	guest_rdmsr(MSR_LSTAR, &a);
	guest_rdmsr(MSR_KERNEL_GS_BASE, &b);
	asm volatile("mov %%dr0, %0" : "=r"(c));
	for (i = 0; i < 14; i++)
		if (guest_gpr[i] != 0x1111111111111111UL + i)
			return false;
	return mxcsr == 0x1fa0 && fcw == 0x27f && a == GUEST_LSTAR &&
	       b == 0xffff800076543000UL && c == 0x123000UL &&
	       same_vectors(&guest_want, &guest_got);
}

static void guest_check_registers(void)
{
	set_own_state();
	while (!stop) {
		load_vectors(&guest_want, use_avx);
		guest_spin_gprs();
		store_vectors(&guest_got, use_avx);
		if (!own_state_is_intact())
			wrong++;
		rounds++;
	}
	guest_sync3(rounds, wrong, 0);
	guest_done();
}

struct worker {
	struct vcpu *vcpu;
	int cpu, wrong;
	bool avx;
	volatile int quit, ready;
};

static void *run_guest(void *arg)
{
	struct worker *w = arg;

	vcpu_sync(w->vcpu);
	return NULL;
}

/* A rival on the same CPUs, with registers of its own. */
static void *use_registers(void *arg)
{
	struct vectors want = {}, got = {};
	struct worker *w = arg;
	u64 spin;
	u8 seed;

	for (seed = 0; !w->quit; seed += 3) {
		fill_vectors(&want, seed, w->avx);
		load_vectors(&want, w->avx);
		for (spin = 2000; spin; spin--)
			asm volatile("");
		store_vectors(&got, w->avx);
		if (!same_vectors(&want, &got))
			w->wrong++;
		w->ready = 1;
		sched_yield();
	}
	return NULL;
}

static int move_to(pthread_t thread, int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return pthread_setaffinity_np(thread, sizeof(set), &set);
}

static void wait_for_rounds(struct vm *vm, u64 n)
{
	volatile u64 *r = &GUEST_VAR(vm, rounds);
	u64 until = *r + n;

	while (*r < until)
		sched_yield();
}

TEST_F_TIMEOUT(fpu, guest_keeps_its_registers, 60)
{
	int cpus = sysconf(_SC_NPROCESSORS_ONLN), i;
	struct worker w = { .vcpu = self->vcpu, .avx = self->avx };
	pthread_t guest, rival;

	vcpu_set_long(self->vcpu, guest_check_registers);
	ASSERT_EQ(0, pthread_create(&guest, NULL, run_guest, &w));
	ASSERT_EQ(0, pthread_create(&rival, NULL, use_registers, &w));
	wait_for_rounds(self->vm, 1);
	/* Both on one CPU, then apart, then both on the next. */
	for (i = 0; i < 40; i++) {
		ASSERT_EQ(0, move_to(guest, i % cpus));
		ASSERT_EQ(0, move_to(rival, i / 2 % cpus));
		wait_for_rounds(self->vm, 2);
	}
	GUEST_VAR(self->vm, stop) = 1;
	pthread_join(guest, NULL);
	w.quit = 1;
	pthread_join(rival, NULL);
	EXPECT_LE(81, self->vcpu->arg[0]);
	EXPECT_EQ(0, self->vcpu->arg[1]);
	EXPECT_EQ(0, w.wrong);
}

static void guest_ruin_registers(void)
{
	u64 i;

	set_own_state();
	fill_vectors(&guest_want, 0xc3, use_avx);
	for (i = 0;; i++) {
		load_vectors(&guest_want, use_avx);
		guest_sync(i);
	}
}

/*
 * KVM_RUN with all vector registers loaded, by hand: the C library's wrapper
 * would be free to use them.
 */
static long raw_run(int fd, const struct vectors *in, struct vectors *out, bool avx)
{
	long ret;

	load_vectors(in, avx);
	asm volatile("syscall"
		     : "=a"(ret)
		     : "0"((long)SYS_ioctl), "D"((long)fd), "S"((long)KVM_RUN), "d"(0L)
		     : "rcx", "r11", "memory");
	store_vectors(out, avx);
	return ret;
}

TEST_F(fpu, host_keeps_its_registers)
{
	struct vectors want = {}, got = {};
	u32 mxcsr = 0x1f80, mxcsr_after;
	u16 fcw = 0x37f, fcw_after;
	int i;

	vcpu_set_long(self->vcpu, guest_ruin_registers);
	asm volatile("ldmxcsr %0; fldcw %1" : : "m"(mxcsr), "m"(fcw));
	for (i = 0; i < 20; i++) {
		fill_vectors(&want, i, self->avx);
		ASSERT_EQ(0, raw_run(self->vcpu->fd, &want, &got, self->avx));
		EXPECT_EQ(GUEST_SYNC, vcpu_decode(self->vcpu));
		EXPECT_TRUE(same_vectors(&want, &got));
		asm volatile("stmxcsr %0; fnstcw %1"
			     : "=m"(mxcsr_after), "=m"(fcw_after));
		EXPECT_EQ(mxcsr, mxcsr_after);
		EXPECT_EQ(fcw, fcw_after);
	}
}

static void guest_ruin_segments(void)
{
	guest_wrmsr(0xc0000100, 0xffff800000001000UL);
	guest_wrmsr(0xc0000101, 0xffff800000002000UL);
	guest_wrmsr(MSR_KERNEL_GS_BASE, 0xffff800000003000UL);
	for (;;) {
		asm volatile("swapgs");
		guest_sync(0);
	}
}

TEST_F(fpu, host_keeps_its_segments)
{
	unsigned long fs, gs, value[2] = { 0x1234, 0x5678 }, seen;
	u16 ds, es, fs_sel, gs_sel, after;
	int i;

	vcpu_set_long(self->vcpu, guest_ruin_segments);
	ASSERT_EQ(0, syscall(SYS_arch_prctl, ARCH_GET_FS, &fs));
	ASSERT_EQ(0, syscall(SYS_arch_prctl, ARCH_SET_GS, &value[0]));
	/* A selector that is not null must come back as it was, too. */
	asm volatile("mov %1, %%ds; mov %%ds, %0" : "=r"(ds) : "r"(0x2b));
	asm volatile("mov %1, %%es; mov %%es, %0" : "=r"(es) : "r"(0x2b));
	asm volatile("mov %%fs, %0; mov %%gs, %1" : "=r"(fs_sel), "=r"(gs_sel));
	for (i = 0; i < 8; i++) {
		vcpu_sync(self->vcpu);
		asm volatile("mov %%gs:8, %0" : "=r"(seen));
		EXPECT_EQ(0x5678, seen);
		asm volatile("mov %%ds, %0" : "=r"(after));
		EXPECT_EQ(0x2b, after);
		asm volatile("mov %%es, %0" : "=r"(after));
		EXPECT_EQ(0x2b, after);
		asm volatile("mov %%fs, %0" : "=r"(after));
		EXPECT_EQ(fs_sel, after);
		asm volatile("mov %%gs, %0" : "=r"(after));
		EXPECT_EQ(gs_sel, after);
	}
	ASSERT_EQ(0, syscall(SYS_arch_prctl, ARCH_GET_GS, &gs));
	EXPECT_EQ((unsigned long)&value[0], gs);
	ASSERT_EQ(0, syscall(SYS_arch_prctl, ARCH_GET_FS, &gs));
	EXPECT_EQ(fs, gs);
}

static volatile u64 watched;

static void guest_set_breakpoints(void)
{
	u64 at = guest_read64(DATA_GPA), i;

	/* The host's own variable, as the guest's address of no meaning. */
	asm volatile("mov %0, %%dr0; mov %1, %%dr7"
		     : : "r"(at + 0x40), "r"(0xd0402UL));
	for (i = 0;; i++)
		guest_sync(i);
}

static u64 count_of(int fd)
{
	u64 n = 0;

	CHECK(read(fd, &n, 8) == 8, "perf event");
	return n;
}

TEST_F(fpu, host_keeps_its_debug_registers)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_BREAKPOINT, .size = sizeof(attr),
		.bp_type = HW_BREAKPOINT_W, .bp_addr = (unsigned long)&watched,
		.bp_len = HW_BREAKPOINT_LEN_8, .exclude_kernel = 1,
		.exclude_hv = 1,
	};
	int fd = syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);
	u64 i;

	REQUIRE(fd >= 0);
	watched = 1;
	REQUIRE(count_of(fd) == 1);
	*(u64 *)vm_hva(self->vm, DATA_GPA) = (unsigned long)&watched;
	vcpu_set_long(self->vcpu, guest_set_breakpoints);
	for (i = 0; i < 6; i++) {
		EXPECT_EQ(i, vcpu_sync(self->vcpu));
		watched = i;
		EXPECT_EQ(2 + i, count_of(fd));
	}
	close(fd);
}

/* Two guests on one CPU, each with its own values. */
TEST_F_TIMEOUT(fpu, two_guests_on_one_cpu, 60)
{
	struct vm *vm[2] = { self->vm, vm_create() };
	struct worker w[2] = {};
	pthread_t thread[2];
	int i, n;

	GUEST_VAR(vm[1], use_avx) = self->avx;
	w[0].vcpu = self->vcpu;
	w[1].vcpu = vcpu_create(vm[1], 0, guest_check_registers);
	vcpu_set_long(self->vcpu, guest_check_registers);
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, pthread_create(&thread[i], NULL, run_guest, &w[i]));
		ASSERT_EQ(0, move_to(thread[i], 0));
	}
	for (n = 0; n < 8; n++)
		for (i = 0; i < 2; i++)
			wait_for_rounds(vm[i], 1);
	for (i = 0; i < 2; i++) {
		GUEST_VAR(vm[i], stop) = 1;
		pthread_join(thread[i], NULL);
		EXPECT_LT(0, w[i].vcpu->arg[0]);
		EXPECT_EQ(0, w[i].vcpu->arg[1]);
	}
}

static void guest_tsc_forward(void)
{
	u64 last = 0, now;
	u32 lo, hi;

	while (!stop) {
		asm volatile("rdtsc" : "=a"(lo), "=d"(hi));
		now = (u64)hi << 32 | lo;
		if (now < last)
			wrong++;
		last = now;
		rounds++;
	}
	guest_sync3(rounds, wrong, 0);
	guest_done();
}

TEST_F(fpu, guest_time_never_runs_back_on_migration)
{
	int cpus = sysconf(_SC_NPROCESSORS_ONLN), i;
	struct worker w = { .vcpu = self->vcpu };
	pthread_t guest;

	vcpu_set_long(self->vcpu, guest_tsc_forward);
	ASSERT_EQ(0, pthread_create(&guest, NULL, run_guest, &w));
	for (i = 0; i < 40; i++) {
		wait_for_rounds(self->vm, 10);
		ASSERT_EQ(0, move_to(guest, i % cpus));
	}
	GUEST_VAR(self->vm, stop) = 1;
	pthread_join(guest, NULL);
	EXPECT_EQ(0, self->vcpu->arg[1]);
}

KEEL_TEST_MAIN
