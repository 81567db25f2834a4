// SPDX-License-Identifier: GPL-2.0
/*
 * The device as a 32-bit program sees it. The program is a 64-bit one that makes
 * the system calls of the other kind, by INT 0x80 and with all memory that they
 * are given below 4 GiB: so its structures are laid out here by hand, where a
 * 32-bit compiler would make other ones.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <sys/wait.h>
#include "kselftest_harness.h"
#include "keel_test.h"
#include "guest.h"
#include "rdmsr.h"

#define NR_GETPID_32		20
#define NR_IOCTL_32		54
#define MSR_SYSENTER_CS		0x174
#define LOG_SLOT		7
#define LOG_GPA			0x10000000UL

static int call32(u32 nr, u32 a, u32 b, u32 c)
{
	int ret;

	/* The kernel returns with R8 to R11 cleared. */
	asm volatile("int $0x80" : "=a"(ret) : "a"(nr), "b"(a), "c"(b), "d"(c)
		     : "r8", "r9", "r10", "r11", "memory");
	return ret;
}

static int ioctl32(int fd, u32 cmd, const void *arg)
{
	CHECK((unsigned long)arg >> 32 == 0, "%p", arg);
	return call32(NR_IOCTL_32, fd, cmd, (unsigned long)arg);
}

/* Many kernels are built or booted without: then it ends the process. */
static bool has_32bit(void)
{
	int status = -1;
	pid_t pid = fork();

	if (!pid)
		_exit(call32(NR_GETPID_32, 0, 0, 0) != getpid());
	return pid > 0 && waitpid(pid, &status, 0) == pid && !status;
}

/* What is given to the kernel lies here: static data are below 4 GiB. */
static union {
	struct {
		u32 flags;
		struct {
			u32 flags, nmsrs, base, bitmap;
		} range[16];
	} filter;
	struct {
		u32 slot, pad, bitmap, upper;
	} log;
	struct {
		u32 slot, pages;
		u64 first;
		u32 bitmap, upper;
	} clear;
	struct kvm_regs regs;
	struct kvm_enable_cap cap;
	struct {
		u32 len;
		u8 set[8];
	} mask;
} arg;

static u64 bits[64];

#define SET_FILTER_32	_IOC(_IOC_WRITE, KVMIO, 0xc6, sizeof(arg.filter))

FIXTURE(compat) {
	struct vm *vm;
	struct vcpu *vcpu;
};

FIXTURE_SETUP(compat)
{
	if (!has_32bit())
		SKIP(longjmp(_metadata->env, 1), "this kernel has no 32-bit system calls");
	memset(&arg, 0, sizeof(arg));
	memset(bits, 0, sizeof(bits));
	self->vm = vm_create();
	self->vcpu = vcpu_create(self->vm, 0, msr_guest);
}

FIXTURE_TEARDOWN(compat)
{
	vcpu_free(self->vcpu);
	vm_free(self->vm);
}

TEST_F(compat, creates_and_runs)
{
	int vm = ioctl32(self->vm->dev, KVM_CREATE_VM, NULL), vcpu;

	ASSERT_LE(0, vm);
	EXPECT_EQ(12, ioctl32(self->vm->dev, KVM_GET_API_VERSION, NULL));
	vcpu = ioctl32(vm, KVM_CREATE_VCPU, NULL);
	ASSERT_LE(0, vcpu);
	EXPECT_EQ(0, ioctl32(vcpu, KVM_GET_REGS, &arg.regs));
	EXPECT_EQ(2, arg.regs.rflags);
	EXPECT_EQ(0xfff0, arg.regs.rip);
	arg.regs.rax = 0x123456789abcdef0;
	EXPECT_EQ(0, ioctl32(vcpu, KVM_SET_REGS, &arg.regs));
	memset(&arg, 0, sizeof(arg));
	EXPECT_EQ(0, ioctl32(vcpu, KVM_GET_REGS, &arg.regs));
	EXPECT_EQ(0x123456789abcdef0, arg.regs.rax);
	close(vcpu);
	close(vm);
	/* Up to the exit that the guest begins with. */
	EXPECT_EQ(0, ioctl32(self->vcpu->fd, KVM_RUN, NULL));
	EXPECT_EQ(KVM_EXIT_IO, self->vcpu->run->exit_reason);
}

/* Its range is a third shorter than that of a 64-bit program, so the number is another. */
TEST_F(compat, msr_filter)
{
	u64 value;

	REQUIRE(vm_has(self->vm, KVM_CAP_X86_MSR_FILTER));
	EXPECT_EQ(0, rd(self->vcpu, MSR_SYSENTER_CS, &value));
	arg.filter.range[3].flags = KVM_MSR_FILTER_READ;
	arg.filter.range[3].base = MSR_SYSENTER_CS;
	arg.filter.range[3].nmsrs = 1;
	arg.filter.range[3].bitmap = (unsigned long)bits;
	EXPECT_EQ(0, ioctl32(self->vm->fd, SET_FILTER_32, &arg));
	EXPECT_EQ(GUEST_GP, rd(self->vcpu, MSR_SYSENTER_CS, &value));
	EXPECT_EQ(0, wr(self->vcpu, MSR_SYSENTER_CS, 8));
	bits[0] = 1;
	EXPECT_EQ(0, ioctl32(self->vm->fd, SET_FILTER_32, &arg));
	EXPECT_EQ(0, rd(self->vcpu, MSR_SYSENTER_CS, &value));
	EXPECT_EQ(8, value);
	arg.filter.range[3].flags = 4;
	EXPECT_EQ(-EINVAL, ioctl32(self->vm->fd, SET_FILTER_32, &arg));
	EXPECT_EQ(-EFAULT, ioctl32(self->vm->fd, SET_FILTER_32, NULL));
	/* To a 64-bit program the number means nothing. */
	arg.filter.range[3].flags = KVM_MSR_FILTER_READ;
	EXPECT_EQ(-ENOTTY, __vm_ioctl(self->vm, SET_FILTER_32, &arg));
}

/* A 32-bit program leaves the upper half of the union as it is. */
TEST_F(compat, dirty_log)
{
	u8 *mem = anon_alloc(4 * PAGE);

	vm_set_slot(self->vm, LOG_SLOT, KVM_MEM_LOG_DIRTY_PAGES, LOG_GPA, 4 * PAGE, mem);
	bits[0] = ~0UL;
	arg.log.slot = LOG_SLOT;
	arg.log.bitmap = (unsigned long)bits;
	arg.log.upper = 0xdeadbeef;
	EXPECT_EQ(0, ioctl32(self->vm->fd, KVM_GET_DIRTY_LOG, &arg));
	EXPECT_EQ(0, bits[0]);
	memset(&arg, 0, sizeof(arg));
	arg.cap.cap = KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2;
	arg.cap.args[0] = 1;
	EXPECT_EQ(0, ioctl32(self->vm->fd, KVM_ENABLE_CAP, &arg));
	memset(&arg, 0, sizeof(arg));
	arg.clear.slot = LOG_SLOT;
	arg.clear.pages = 4;
	arg.clear.bitmap = (unsigned long)bits;
	arg.clear.upper = 0xdeadbeef;
	EXPECT_EQ(0, ioctl32(self->vm->fd, KVM_CLEAR_DIRTY_LOG, &arg));
}

TEST_F(compat, signal_mask)
{
	arg.mask.len = 8;
	arg.mask.set[0] = 1 << (SIGINT - 1);
	EXPECT_EQ(0, ioctl32(self->vcpu->fd, KVM_SET_SIGNAL_MASK, &arg));
	arg.mask.len = 4;
	EXPECT_EQ(-EINVAL, ioctl32(self->vcpu->fd, KVM_SET_SIGNAL_MASK, &arg));
	EXPECT_EQ(0, ioctl32(self->vcpu->fd, KVM_SET_SIGNAL_MASK, NULL));
}

KEEL_TEST_MAIN
