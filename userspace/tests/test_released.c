// SPDX-License-Identifier: GPL-2.0
/*
 * Test the shared library as a program sees it that was linked with an earlier
 * release: a function whose meaning has changed keeps the old one for that
 * program.
 */
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <keel/libkeel.h>

#include "fake_kvm.h"
#include "tap.h"

/* struct keel_run_ops of version 0.1. */
struct run_ops_0_1 {
	int (*pio)(struct keel_vcpu *vcpu, struct keel_access *access, void *opaque);
	int (*mmio)(struct keel_vcpu *vcpu, struct keel_access *access, void *opaque);
	int (*exit)(struct keel_vcpu *vcpu, struct kvm_run *run, void *opaque);
	void (*trace)(struct keel_vcpu *vcpu, const struct kvm_run *run, void *opaque);
};

int run_0_1(struct keel_vcpu *vcpu, const struct run_ops_0_1 *ops, void *opaque);
__asm__(".symver run_0_1, keel_vcpu_run@KEEL_0.1");

/* Overrides ioctl(2): the library calls this instead of the C library's. */
int ioctl(int fd, unsigned long request, ...)
{
	va_list args;
	void *arg;

	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);
	return __wrap_ioctl(fd, request, arg);
}

static int accesses;

static int play(struct kvm_run *run)
{
	run->exit_reason = accesses ? KVM_EXIT_HLT : KVM_EXIT_MMIO;
	run->mmio.len = 4;
	return 0;
}

static int count(struct keel_vcpu *vcpu, struct keel_access *access, void *opaque)
{
	(void)vcpu;
	(void)access;
	(void)opaque;
	accesses++;
	return 0;
}

static void test_run(void)
{
	const struct run_ops_0_1 before = { .mmio = count };
	const struct keel_run_ops now = { .size = sizeof(now), .mmio = count };
	struct keel_vcpu *vcpu;
	struct keel_vm *vm;
	struct keel *keel;

	fake_reset();
	fake.run = play;
	EQUAL(keel_open("/dev/null", &keel), 0);
	EQUAL(keel_vm_create(keel, &vm), 0);
	EQUAL(keel_vcpu_create(vm, 0, &vcpu), 0);
	EQUAL(run_0_1(vcpu, &before, NULL), KVM_EXIT_HLT);
	EQUAL(accesses, 1);
	accesses = 0;
	EQUAL(keel_vcpu_run(vcpu, &now, NULL), KVM_EXIT_HLT);
	EQUAL(accesses, 1);
	accesses = 0;
	EQUAL(run_0_1(vcpu, NULL, NULL), KVM_EXIT_MMIO);
	EQUAL(run_0_1(NULL, &before, NULL), -EINVAL);
	keel_vcpu_destroy(vcpu);
	keel_vm_destroy(vm);
	keel_close(keel);
}

static const struct tap_test tests[] = {
	{ "keel_vcpu_run() of 0.1: callbacks without a size", test_run },
};

int main(void)
{
	return tap_run(tests, ARRAY_SIZE(tests));
}
