// SPDX-License-Identifier: GPL-2.0
/*
 * Every allocation of every ioctl fails once: the first, the second, and so on
 * until a call needs no more. Each time the call says ENOMEM or succeeds
 * without it, and the same call then works. Needs a kernel with fault
 * injection; the leak checker of such a kernel says the rest.
 */
#include "kselftest_harness.h"
#include "keel_test.h"
#include "guest.h"

#define FAILSLAB "/sys/kernel/debug/failslab/"
#define FAIL_PAGE "/sys/kernel/debug/fail_page_alloc/"
#define FAIL_NTH "/proc/self/fail-nth"
#define MAX_ALLOCATIONS 400
#define A 0x10000000UL

struct context {
	struct vm *vm;
	struct vcpu *vcpu;
	u8 *mem;
	struct kvm_cpuid2 *cpuid;
	struct kvm_xsave xsave;
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_fpu fpu;
	struct kvm_xcrs xcrs;
	int n;
};

static void put(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0)
		return;
	if (write(fd, value, strlen(value)) < 0)
		perror(path);
	close(fd);
}

/* Opened while nothing fails: opening a file allocates. */
static int nth_fd = -1;

static void set_nth(int nth)
{
	char text[16];
	int len = sprintf(text, "%d", nth);

	if (nth_fd < 0)
		nth_fd = open(FAIL_NTH, O_RDWR | O_CLOEXEC);
	CHECK(nth_fd >= 0 && pwrite(nth_fd, text, len, 0) == len, FAIL_NTH);
}

/* What is left of the count: zero once an allocation has been failed. */
static int get_nth(void)
{
	char text[16] = {};

	CHECK(pread(nth_fd, text, sizeof(text) - 1, 0) > 0, FAIL_NTH);
	return atoi(text);
}

/* The n-th access touches a page of its own: each needs page tables. */
static volatile u64 guest_page;

static void guest_touch(void)
{
	for (;;)
		guest_sync(guest_read64(A + guest_page));
}

static int do_create_vm(struct context *c)
{
	int fd = __fd_ioctl(c->vm->dev, KVM_CREATE_VM, 0);

	if (fd >= 0)
		close(fd);
	return fd < 0 ? fd : 0;
}

static int do_create_vcpu(struct context *c)
{
	int fd = __vm_ioctl(c->vm, KVM_CREATE_VCPU, 1 + c->n);

	if (fd < 0)
		return fd;
	c->n++;
	close(fd);
	return 0;
}

static int do_add_slot(struct context *c)
{
	int err = __vm_set_slot(c->vm, 5, 0, A + HUGE, PAGE, c->mem);

	if (!err)
		vm_set_slot(c->vm, 5, 0, 0, 0, NULL);
	return err;
}

static int do_move_slot(struct context *c)
{
	int err = __vm_set_slot(c->vm, 6, 0, A + 2 * HUGE + (c->n & 1) * PAGE,
				PAGE, c->mem);

	c->n += !err;
	return err;
}

static int do_delete_slot(struct context *c)
{
	__vm_set_slot(c->vm, 7, 0, A + 3 * HUGE, PAGE, c->mem);
	return __vm_set_slot(c->vm, 7, 0, 0, 0, NULL);
}

static int do_run(struct context *c)
{
	int err;

	/* Guest memory that has never been touched, in a new gigabyte. */
	GUEST_VAR(c->vm, guest_page) = (u64)c->n << 12;
	err = __vcpu_run(c->vcpu);
	if (!err) {
		CHECK(vcpu_decode(c->vcpu) == GUEST_SYNC, "exit %d",
		      c->vcpu->run->exit_reason);
		c->n++;
	}
	return err;
}

#define SIMPLE(name, cmd, arg)						\
static int do_##name(struct context *c)					\
{									\
	return __vcpu_ioctl(c->vcpu, cmd, arg);				\
}

SIMPLE(set_cpuid, KVM_SET_CPUID2, c->cpuid)
SIMPLE(get_xsave, KVM_GET_XSAVE, &c->xsave)
SIMPLE(set_xsave, KVM_SET_XSAVE, &c->xsave)
SIMPLE(get_fpu, KVM_GET_FPU, &c->fpu)
SIMPLE(set_fpu, KVM_SET_FPU, &c->fpu)
SIMPLE(get_regs, KVM_GET_REGS, &c->regs)
SIMPLE(set_regs, KVM_SET_REGS, &c->regs)
SIMPLE(get_sregs, KVM_GET_SREGS, &c->sregs)
SIMPLE(set_sregs, KVM_SET_SREGS, &c->sregs)
SIMPLE(get_xcrs, KVM_GET_XCRS, &c->xcrs)
SIMPLE(set_xcrs, KVM_SET_XCRS, &c->xcrs)

static int do_get_cpuid(struct context *c)
{
	struct kvm_cpuid2 *copy = calloc(1, sizeof(*copy) +
					 100 * sizeof(copy->entries[0]));
	int err;

	copy->nent = 100;
	err = __vcpu_ioctl(c->vcpu, KVM_GET_CPUID2, copy);
	free(copy);
	return err;
}

static int do_supported_cpuid(struct context *c)
{
	struct kvm_cpuid2 *copy = calloc(1, sizeof(*copy) +
					 100 * sizeof(copy->entries[0]));
	int err;

	copy->nent = 100;
	err = __fd_ioctl(c->vm->dev, KVM_GET_SUPPORTED_CPUID, copy);
	free(copy);
	return err;
}

static int do_msrs(struct context *c)
{
	u64 value;
	int n = __vcpu_get_msr(c->vcpu, 0x174, &value);

	return n < 0 ? n : 0;
}

static int do_set_msrs(struct context *c)
{
	int n = __vcpu_set_msr(c->vcpu, 0x174, 0x10);

	return n < 0 ? n : 0;
}

static int do_translate(struct context *c)
{
	struct kvm_translation t = { .linear_address = 0x1000 };

	return __vcpu_ioctl(c->vcpu, KVM_TRANSLATE, &t);
}

static const struct {
	const char *name;
	int (*fn)(struct context *c);
} operations[] = {
	{ "CREATE_VM", do_create_vm },
	{ "CREATE_VCPU", do_create_vcpu },
	{ "add a slot", do_add_slot },
	{ "move a slot", do_move_slot },
	{ "delete a slot", do_delete_slot },
	{ "SET_CPUID2", do_set_cpuid },
	{ "RUN", do_run },
	{ "GET_CPUID2", do_get_cpuid },
	{ "GET_SUPPORTED_CPUID", do_supported_cpuid },
	{ "GET_XSAVE", do_get_xsave },
	{ "SET_XSAVE", do_set_xsave },
	{ "GET_FPU", do_get_fpu },
	{ "SET_FPU", do_set_fpu },
	{ "GET_REGS", do_get_regs },
	{ "SET_REGS", do_set_regs },
	{ "GET_SREGS", do_get_sregs },
	{ "SET_SREGS", do_set_sregs },
	{ "GET_XCRS", do_get_xcrs },
	{ "SET_XCRS", do_set_xcrs },
	{ "GET_MSRS", do_msrs },
	{ "SET_MSRS", do_set_msrs },
	{ "TRANSLATE", do_translate },
};

FIXTURE(failslab) {
	struct context c;
};

static bool has_fault_injection(void)
{
	return !access(FAIL_NTH, W_OK) && !access(FAILSLAB "ignore-gfp-wait", W_OK);
}

FIXTURE_SETUP(failslab)
{
	struct context *c = &self->c;

	/* A case is skipped by itself: the framework runs it after any setup. */
	if (!has_fault_injection())
		return;
	put(FAILSLAB "ignore-gfp-wait", "N");
	put(FAILSLAB "verbose", "0");
	put(FAIL_PAGE "ignore-gfp-wait", "N");
	put(FAIL_PAGE "ignore-gfp-highmem", "N");
	put(FAIL_PAGE "min-order", "0");
	put(FAIL_PAGE "verbose", "0");
	c->vm = vm_create();
	c->mem = anon_alloc(32 * HUGE);
	madvise(c->mem, 32 * HUGE, MADV_NOHUGEPAGE);
	c->cpuid = cpuid_supported(c->vm->dev);
	c->vcpu = vcpu_create(c->vm, 0, guest_touch);
	vm_set_slot(c->vm, 4, 0, A, HUGE, c->mem);
	vm_set_slot(c->vm, 6, 0, A + 2 * HUGE, PAGE, c->mem);
	do_get_xsave(c);
	do_get_fpu(c);
	do_get_sregs(c);
	do_get_regs(c);
	do_get_xcrs(c);
}

FIXTURE_TEARDOWN(failslab)
{
	if (!self->c.vm)
		return;
	set_nth(0);
	vcpu_free(self->c.vcpu);
	vm_free(self->c.vm);
}

/* Fail allocation after allocation of one operation; returns how many. */
static int fail_each(struct __test_metadata *_metadata, struct context *c, int op)
{
	int nth, err, left;

	for (nth = 1; nth < MAX_ALLOCATIONS; nth++) {
		set_nth(nth);
		err = operations[op].fn(c);
		left = get_nth();
		set_nth(0);
		if (left)
			break;
		EXPECT_TRUE(!err || err == -ENOMEM || err == -EFAULT) {
			TH_LOG("%s, allocation %d: %s", operations[op].name, nth,
			       strerror(-err));
		}
		err = operations[op].fn(c);
		EXPECT_EQ(0, err) {
			TH_LOG("%s after failure %d: %s", operations[op].name, nth,
			       strerror(-err));
		}
	}
	EXPECT_GT(MAX_ALLOCATIONS, nth);
	EXPECT_EQ(0, err) {
		TH_LOG("%s: %s", operations[op].name, strerror(-err));
	}
	return nth - 1;
}

TEST_F_TIMEOUT(failslab, every_allocation_of_every_ioctl, 600)
{
	int op, n, total = 0;

	REQUIRE(has_fault_injection());
	for (op = 0; op < ARRAY_SIZE(operations); op++) {
		self->c.n = 0;
		n = fail_each(_metadata, &self->c, op);
		TH_LOG("%s: %d allocations", operations[op].name, n);
		total += n;
	}
	EXPECT_LT(0, total);
}

KEEL_TEST_MAIN
