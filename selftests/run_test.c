// SPDX-License-Identifier: GPL-2.0
/*
 * KVM_RUN itself: how it is interrupted, what it leaves behind half done and
 * finishes the next time, who may call it, and that nothing userspace scribbles
 * into the shared page confuses it. What single exits mean is tested elsewhere.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include "kselftest_harness.h"
#include "keel_test.h"
#include "guest.h"

#define PORT 0x40
#define KERNEL_SIGSET 8

static volatile u64 spins;

static void guest_spin(void)
{
	for (;;)
		spins++;
}

static void guest_sync_forever(void)
{
	u64 i;

	for (i = 0;; i++)
		guest_sync(i);
}

FIXTURE(run) {
	struct vm *vm;
	struct vcpu *vcpu;
};

FIXTURE_SETUP(run)
{
	self->vm = vm_create();
	self->vcpu = vcpu_create(self->vm, 0, guest_sync_forever);
}

FIXTURE_TEARDOWN(run)
{
	vcpu_free(self->vcpu);
	vm_free(self->vm);
}

struct runner {
	struct vcpu *vcpu;
	int ret;
	int reason;
};

static void *run_once(void *arg)
{
	struct runner *r = arg;

	r->ret = __vcpu_run(r->vcpu);
	r->reason = r->vcpu->run->exit_reason;
	return NULL;
}

static void on_signal(int sig)
{
}

static void install_handler(int sig)
{
	struct sigaction sa = { .sa_handler = on_signal };

	CHECK(!sigaction(sig, &sa, NULL), "sigaction");
}

/* Return once the guest is seen to run. */
static void wait_for_spins(struct vm *vm)
{
	volatile u64 *n = &GUEST_VAR(vm, spins);
	u64 before = *n;

	while (*n == before)
		sched_yield();
}

TEST_F(run, argument_must_be_zero)
{
	EXPECT_EQ(-EINVAL, __vcpu_ioctl(self->vcpu, KVM_RUN, 1));
	EXPECT_EQ(0, vcpu_sync(self->vcpu));
}

TEST_F(run, immediate_exit_runs_nothing)
{
	self->vcpu->run->immediate_exit = 1;
	EXPECT_EQ(-EINTR, __vcpu_run(self->vcpu));
	EXPECT_EQ(-EINTR, __vcpu_run(self->vcpu));
	EXPECT_EQ(1, self->vcpu->run->immediate_exit);
	self->vcpu->run->immediate_exit = 0;
	EXPECT_EQ(0, vcpu_sync(self->vcpu));
	EXPECT_EQ(1, vcpu_sync(self->vcpu));
}

TEST_F(run, signal_ends_a_running_guest)
{
	struct runner r = { .vcpu = self->vcpu };
	pthread_t thread;
	int i;

	install_handler(SIGUSR1);
	vcpu_set_long(self->vcpu, guest_spin);
	for (i = 0; i < 5; i++) {
		ASSERT_EQ(0, pthread_create(&thread, NULL, run_once, &r));
		wait_for_spins(self->vm);
		ASSERT_EQ(0, pthread_kill(thread, SIGUSR1));
		ASSERT_EQ(0, pthread_join(thread, NULL));
		EXPECT_EQ(-EINTR, r.ret);
		EXPECT_EQ(KVM_EXIT_INTR, r.reason);
	}
}

/* The kernel raises such a signal in work that it queues for the thread itself. */
TEST_F(run, signal_of_a_cpu_timer_says_that_it_is_one)
{
	const struct itimerval soon = { .it_value.tv_usec = 20000 };
	int i;

	install_handler(SIGPROF);
	for (i = 0; i < 5; i++) {
		vcpu_set_long(self->vcpu, guest_sync_forever);
		vcpu_sync(self->vcpu);
		vcpu_set_long(self->vcpu, guest_spin);
		ASSERT_EQ(0, setitimer(ITIMER_PROF, &soon, NULL));
		EXPECT_EQ(-EINTR, __vcpu_run(self->vcpu));
		EXPECT_EQ(KVM_EXIT_INTR, self->vcpu->run->exit_reason);
	}
}

TEST_F(run, pending_signal_ends_it_before_the_guest)
{
	sigset_t set;

	/* Blocked for the thread, but not while KVM_RUN runs. */
	struct {
		struct kvm_signal_mask head;
		u8 bits[KERNEL_SIGSET];
	} mask = { .head.len = KERNEL_SIGSET };

	install_handler(SIGUSR1);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	ASSERT_EQ(0, sigprocmask(SIG_BLOCK, &set, NULL));
	vcpu_ioctl(self->vcpu, KVM_SET_SIGNAL_MASK, &mask);
	EXPECT_EQ(0, vcpu_sync(self->vcpu));
	ASSERT_EQ(0, raise(SIGUSR1));
	EXPECT_EQ(-EINTR, __vcpu_run(self->vcpu));
	EXPECT_EQ(KVM_EXIT_INTR, self->vcpu->run->exit_reason);
	/* Still pending: the mask lasts no longer than the call. */
	EXPECT_EQ(-EINTR, __vcpu_run(self->vcpu));
	ASSERT_EQ(0, sigpending(&set));
	EXPECT_EQ(1, sigismember(&set, SIGUSR1));
	/* Without a mask of its own the thread's holds again. */
	vcpu_ioctl(self->vcpu, KVM_SET_SIGNAL_MASK, 0);
	EXPECT_EQ(1, vcpu_sync(self->vcpu));
}

TEST_F(run, signal_mask_can_block_more)
{
	struct {
		struct kvm_signal_mask head;
		u8 bits[KERNEL_SIGSET];
	} mask = { .head.len = KERNEL_SIGSET };

	install_handler(SIGUSR1);
	memset(mask.bits, 0xff, sizeof(mask.bits));
	vcpu_ioctl(self->vcpu, KVM_SET_SIGNAL_MASK, &mask);
	EXPECT_EQ(0, vcpu_sync(self->vcpu));
	mask.head.len = KERNEL_SIGSET - 1;
	EXPECT_EQ(-EINVAL, __vcpu_ioctl(self->vcpu, KVM_SET_SIGNAL_MASK, &mask));
	mask.head.len = 128;
	EXPECT_EQ(-EINVAL, __vcpu_ioctl(self->vcpu, KVM_SET_SIGNAL_MASK, &mask));
	mask.head.len = 0;
	EXPECT_EQ(-EINVAL, __vcpu_ioctl(self->vcpu, KVM_SET_SIGNAL_MASK, &mask));
	EXPECT_EQ(1, vcpu_sync(self->vcpu));
}

static void guest_in_then_sync(void)
{
	u64 rax = 0x1111111111111111UL;

	asm volatile("inb %1, %%al" : "+a"(rax) : "N"(PORT));
	guest_sync(rax);
	asm volatile("inl %1, %%eax" : "+a"(rax) : "N"(PORT));
	guest_sync(rax);
	guest_done();
}

TEST_F(run, pending_in_completes_on_next_run)
{
	u8 *data = (u8 *)self->vcpu->run;

	vcpu_set_long(self->vcpu, guest_in_then_sync);
	ASSERT_EQ(KVM_EXIT_IO, vcpu_next(self->vcpu));
	data += self->vcpu->run->io.data_offset;
	*data = 0xa5;
	EXPECT_EQ(0x11111111111111a5UL, vcpu_sync(self->vcpu));
	ASSERT_EQ(KVM_EXIT_IO, vcpu_next(self->vcpu));
	memcpy(data, "\x78\x56\x34\x92", 4);
	EXPECT_EQ(0x92345678UL, vcpu_sync(self->vcpu));
	vcpu_done(self->vcpu);
}

TEST_F(run, pending_in_completes_with_immediate_exit)
{
	struct kvm_run *run = self->vcpu->run;
	struct kvm_regs before, after;

	vcpu_set_long(self->vcpu, guest_in_then_sync);
	ASSERT_EQ(KVM_EXIT_IO, vcpu_next(self->vcpu));
	vcpu_get_regs(self->vcpu, &before);
	*((u8 *)run + run->io.data_offset) = 0xa5;
	run->immediate_exit = 1;
	EXPECT_EQ(-EINTR, __vcpu_run(self->vcpu));
	vcpu_get_regs(self->vcpu, &after);
	EXPECT_EQ(0x11111111111111a5UL, after.rax);
	/* Exactly once: the second call finds nothing to complete. */
	EXPECT_EQ(-EINTR, __vcpu_run(self->vcpu));
	run->immediate_exit = 0;
	EXPECT_EQ(0x11111111111111a5UL, vcpu_sync(self->vcpu));
}

TEST_F(run, out_completes_with_immediate_exit)
{
	struct kvm_run *run = self->vcpu->run;
	struct kvm_regs regs;
	u64 rip;
	int i;

	EXPECT_EQ(0, vcpu_sync(self->vcpu));
	run->immediate_exit = 1;
	EXPECT_EQ(-EINTR, __vcpu_run(self->vcpu));
	vcpu_get_regs(self->vcpu, &regs);
	rip = regs.rip;
	/* Going on from the saved registers repeats no OUT and loses none. */
	vcpu_set_regs(self->vcpu, &regs);
	run->immediate_exit = 0;
	for (i = 1; i < 4; i++)
		EXPECT_EQ(i, vcpu_sync(self->vcpu));
	run->immediate_exit = 1;
	EXPECT_EQ(-EINTR, __vcpu_run(self->vcpu));
	vcpu_get_regs(self->vcpu, &regs);
	EXPECT_EQ(rip, regs.rip);
}

static void guest_mmio_twice(void)
{
	guest_sync(guest_read64(MMIO_GPA + 8));
	guest_write32(MMIO_GPA + 0x10, 0x12345678);
	guest_sync(1);
	guest_done();
}

TEST_F(run, pending_mmio_completes_with_immediate_exit)
{
	struct kvm_run *run = self->vcpu->run;
	u64 value = 0x8877665544332211UL;

	vcpu_set_long(self->vcpu, guest_mmio_twice);
	ASSERT_EQ(KVM_EXIT_MMIO, vcpu_next(self->vcpu));
	memcpy(run->mmio.data, &value, 8);
	run->immediate_exit = 1;
	EXPECT_EQ(-EINTR, __vcpu_run(self->vcpu));
	memset(run->mmio.data, 0, 8);
	EXPECT_EQ(-EINTR, __vcpu_run(self->vcpu));
	run->immediate_exit = 0;
	EXPECT_EQ(value, vcpu_sync(self->vcpu));
	ASSERT_EQ(KVM_EXIT_MMIO, vcpu_next(self->vcpu));
	EXPECT_EQ(1, run->mmio.is_write);
	run->immediate_exit = 1;
	EXPECT_EQ(-EINTR, __vcpu_run(self->vcpu));
	run->immediate_exit = 0;
	EXPECT_EQ(1, vcpu_sync(self->vcpu));
	vcpu_done(self->vcpu);
}

TEST_F(run, scribbled_io_fields_change_nothing)
{
	struct kvm_run *run = self->vcpu->run;
	u64 offset;

	vcpu_set_long(self->vcpu, guest_in_then_sync);
	ASSERT_EQ(KVM_EXIT_IO, vcpu_next(self->vcpu));
	offset = run->io.data_offset;
	memset(run, 0xff, offset < PAGE ? offset : PAGE);
	run->immediate_exit = 0;
	run->cr8 = 0;
	run->kvm_valid_regs = 0;
	run->kvm_dirty_regs = 0;
	*((u8 *)run + offset) = 0x5a;
	EXPECT_EQ(0x111111111111115aUL, vcpu_sync(self->vcpu));
}

TEST_F(run, scribbled_mmio_fields_change_nothing)
{
	struct kvm_run *run = self->vcpu->run;

	vcpu_set_long(self->vcpu, guest_mmio_twice);
	ASSERT_EQ(KVM_EXIT_MMIO, vcpu_next(self->vcpu));
	run->exit_reason = KVM_EXIT_HLT;
	run->mmio.phys_addr = ~0ULL;
	run->mmio.len = 0xffffffff;
	run->mmio.is_write = 1;
	memset(run->mmio.data, 0x77, 8);
	EXPECT_EQ(0x7777777777777777UL, vcpu_sync(self->vcpu));
	ASSERT_EQ(KVM_EXIT_MMIO, vcpu_next(self->vcpu));
	EXPECT_EQ(MMIO_GPA + 0x10, run->mmio.phys_addr);
	EXPECT_EQ(4, run->mmio.len);
}

TEST_F(run, fields_filled_at_every_exit)
{
	struct kvm_run *run = self->vcpu->run;
	struct kvm_sregs sregs;

	vcpu_get_sregs(self->vcpu, &sregs);
	EXPECT_EQ(0xfee00900, sregs.apic_base);
	run->if_flag = 0xff;
	run->ready_for_interrupt_injection = 0xff;
	run->apic_base = ~0ULL;
	EXPECT_EQ(0, vcpu_sync(self->vcpu));
	EXPECT_EQ(KVM_EXIT_IO, run->exit_reason);
	EXPECT_EQ(0, run->if_flag);
	EXPECT_EQ(0, run->ready_for_interrupt_injection);
	EXPECT_EQ(0, run->cr8);
	EXPECT_EQ(sregs.apic_base, run->apic_base);
	EXPECT_EQ(0, run->flags);
}

static void guest_read_cr8(void)
{
	u64 cr8;

	asm volatile("mov %%cr8, %0" : "=r"(cr8));
	guest_sync(cr8);
	asm volatile("mov %0, %%cr8" : : "r"(3UL));
	guest_sync(0);
	guest_done();
}

TEST_F(run, cr8_goes_in_and_out)
{
	struct kvm_run *run = self->vcpu->run;

	vcpu_set_long(self->vcpu, guest_read_cr8);
	run->cr8 = 16;
	EXPECT_EQ(-EINVAL, __vcpu_run(self->vcpu));
	run->cr8 = 9;
	EXPECT_EQ(9, vcpu_sync(self->vcpu));
	EXPECT_EQ(9, run->cr8);
	/* A guest's write tells userspace, who owns the interrupt controller. */
	run->cr8 = 9;
	if (vcpu_next(self->vcpu) == KVM_EXIT_SET_TPR)
		vcpu_next(self->vcpu);
	EXPECT_EQ(GUEST_SYNC, vcpu_decode(self->vcpu));
	EXPECT_EQ(3, run->cr8);
}

struct turns {
	struct vcpu *vcpu;
	pthread_barrier_t barrier;
	int parity;
	int wrong;
};

static void *take_turns(void *arg)
{
	struct turns *t = arg;
	int i;

	for (i = 0; i < 20; i++) {
		if (i % 2 == 1 && vcpu_sync(t->vcpu) != i)
			t->wrong++;
		pthread_barrier_wait(&t->barrier);
	}
	return NULL;
}

TEST_F(run, vcpu_may_change_threads)
{
	struct turns t = { .vcpu = self->vcpu };
	pthread_t thread;
	int i;

	pthread_barrier_init(&t.barrier, NULL, 2);
	ASSERT_EQ(0, pthread_create(&thread, NULL, take_turns, &t));
	for (i = 0; i < 20; i++) {
		if (i % 2 == 0)
			EXPECT_EQ(i, vcpu_sync(self->vcpu));
		pthread_barrier_wait(&t.barrier);
	}
	ASSERT_EQ(0, pthread_join(thread, NULL));
	EXPECT_EQ(0, t.wrong);
}

static void *get_regs(void *arg)
{
	struct runner *r = arg;
	struct kvm_regs regs;

	r->ret = __vcpu_ioctl(r->vcpu, KVM_GET_REGS, &regs);
	return NULL;
}

TEST_F(run, ioctls_of_one_vcpu_are_serialised)
{
	struct runner a = { .vcpu = self->vcpu };
	struct runner b = { .vcpu = self->vcpu, .ret = 1 };
	struct runner c = { .vcpu = self->vcpu, .ret = 1 };
	pthread_t ta, tb, tc;
	int i;

	install_handler(SIGUSR1);
	vcpu_set_long(self->vcpu, guest_spin);
	ASSERT_EQ(0, pthread_create(&ta, NULL, run_once, &a));
	wait_for_spins(self->vm);
	ASSERT_EQ(0, pthread_create(&tb, NULL, get_regs, &b));
	ASSERT_EQ(0, pthread_create(&tc, NULL, run_once, &c));
	for (i = 0; i < 3; i++)
		wait_for_spins(self->vm);
	/* Each waits for the one that is in the guest, or is told so. */
	EXPECT_TRUE(b.ret == 1 || b.ret == -EBUSY);
	EXPECT_TRUE(c.ret == 1 || c.ret == -EBUSY);
	ASSERT_EQ(0, pthread_kill(ta, SIGUSR1));
	pthread_join(ta, NULL);
	/* A signal that comes before the call begins is spent: send more. */
	while (pthread_tryjoin_np(tc, NULL)) {
		pthread_kill(tc, SIGUSR1);
		sched_yield();
	}
	pthread_join(tb, NULL);
	EXPECT_EQ(-EINTR, a.ret);
	EXPECT_TRUE(b.ret == 0 || b.ret == -EBUSY);
	EXPECT_TRUE(c.ret == -EINTR || c.ret == -EBUSY);
}

TEST_F(run, waiting_for_a_busy_vcpu_can_be_killed)
{
	struct runner a = { .vcpu = self->vcpu };
	pthread_t ta, tb;
	pid_t pid;
	int status;

	/* A process whose two threads hang in one vCPU dies of one SIGKILL. */
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		struct vm *vm = vm_create();

		a.vcpu = vcpu_create(vm, 0, guest_spin);
		pthread_create(&ta, NULL, run_once, &a);
		wait_for_spins(vm);
		pthread_create(&tb, NULL, run_once, &a);
		wait_for_spins(vm);
		kill(getpid(), SIGKILL);
		_exit(0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_TRUE(WIFSIGNALED(status));
	EXPECT_EQ(SIGKILL, WTERMSIG(status));
	EXPECT_EQ(0, vcpu_sync(self->vcpu));
}

TEST_F(run, fatal_signal_to_another_thread_stops_the_guest)
{
	pid_t pid = fork();
	int status;

	ASSERT_LE(0, pid);
	if (!pid) {
		struct vm *vm = vm_create();
		struct runner a = { .vcpu = vcpu_create(vm, 0, guest_spin) };
		pthread_t ta;

		pthread_create(&ta, NULL, run_once, &a);
		wait_for_spins(vm);
		raise(SIGABRT);
		_exit(0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_TRUE(WIFSIGNALED(status));
	EXPECT_EQ(SIGABRT, WTERMSIG(status));
}

KEEL_TEST_MAIN
