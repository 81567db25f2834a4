/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The host half of the helper library: open the device, build a VM with a known
 * layout, put guest code into it, run it and interpret its exits. Helpers come in
 * two tiers: vm_ioctl() ends the test on failure, __vm_ioctl() returns -errno.
 * The guest half is guest.h; test cases and results belong to the framework's
 * kselftest_harness.h.
 */
#ifndef KEEL_TEST_H
#define KEEL_TEST_H

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <linux/kvm.h>
#include "layout.h"

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;

#define PAGE 4096UL
#define HUGE (2UL << 20)

struct vm {
	int fd;			/* of the VM */
	int dev;		/* of the device */
	u8 *mem;		/* memory of slot 0, at guest physical 0 */
	size_t mem_size;
	u64 next_table;		/* next free page for page tables */
	size_t run_size;	/* of the page shared by KVM_RUN */
};

struct vcpu {
	struct vm *vm;
	int fd;
	unsigned int id;
	struct kvm_run *run;
	u64 arg[3];		/* of the last guest call, see vcpu_next() */
};

/* Return values of vcpu_next() besides KVM_EXIT_*. */
enum {
	GUEST_SYNC = 0x1000,	/* guest_sync(a, b, c): arg[] holds them */
	GUEST_DONE,		/* guest_done() */
};

/* End the test case at once, from any thread. */
void __attribute__((noreturn, format(printf, 3, 4)))
test_fail(const char *file, int line, const char *fmt, ...);

#define CHECK(cond, fmt, ...) do {					\
	if (!(cond))							\
		test_fail(__FILE__, __LINE__, "%s: " fmt, #cond, ##__VA_ARGS__);\
} while (0)

/* The environment variable TEST_CASE selects a single case to run, for mutants. */
bool test_is_wanted(const char *name);

/* SKIP the case if the device lacks a feature. */
#define REQUIRE(cond) do {						\
	if (!(cond))							\
		SKIP(return, "needs %s", #cond);			\
} while (0)

/*
 * main() of every program: skip all cases if there is no device. TEST_PATIENCE=N
 * multiplies the time limits of the cases by N, for slow kernels.
 */
#define KEEL_TEST_MAIN							\
static void be_patient(const char *times)				\
{									\
	struct __fixture_metadata *f;					\
	struct __test_metadata *t;					\
									\
	for (f = __fixture_list; times && f; f = f->next)		\
		for (t = f->tests; t; t = t->next)			\
			t->timeout *= atoi(times);			\
}									\
									\
int main(int argc, char **argv)						\
{									\
	int err = dev_probe();						\
									\
	if (err)							\
		ksft_exit_skip("%s: %s\n", dev_path(), strerror(-err));	\
	be_patient(getenv("TEST_PATIENCE"));				\
	return test_harness_run(argc, argv);				\
}

const char *dev_path(void);
int dev_probe(void);		/* 0 or -errno of open() */
int dev_open(void);
bool dev_is_keel(void);

/* Return the value of the ioctl, or -errno. */
int xioctl(int fd, unsigned long cmd, unsigned long arg);
/* The same, but a failure ends the test. */
int xioctl_ok(int fd, unsigned long cmd, unsigned long arg, const char *what,
	      const char *file, int line);

#define __fd_ioctl(fd, cmd, arg) xioctl(fd, cmd, (unsigned long)(arg))
#define __vm_ioctl(vm, cmd, arg) __fd_ioctl((vm)->fd, cmd, arg)
#define __vcpu_ioctl(vcpu, cmd, arg) __fd_ioctl((vcpu)->fd, cmd, arg)
#define fd_ioctl(fd, cmd, arg)						\
	xioctl_ok(fd, cmd, (unsigned long)(arg), #cmd, __FILE__, __LINE__)
#define vm_ioctl(vm, cmd, arg)						\
	xioctl_ok((vm)->fd, cmd, (unsigned long)(arg), #cmd, __FILE__, __LINE__)
#define vcpu_ioctl(vcpu, cmd, arg)					\
	xioctl_ok((vcpu)->fd, cmd, (unsigned long)(arg), #cmd, __FILE__, __LINE__)

/* vm.c */
struct vm *vm_create_bare(void);	/* no memory */
struct vm *vm_create(void);		/* memory as in layout.h, with this program */
void vm_free(struct vm *vm);
bool vm_has(struct vm *vm, long cap);
void *anon_alloc(size_t size);
int __vm_set_slot(struct vm *vm, u32 slot, u32 flags, u64 gpa, u64 size,
		  void *hva);
void vm_set_slot(struct vm *vm, u32 slot, u32 flags, u64 gpa, u64 size,
		 void *hva);
void *vm_hva(struct vm *vm, u64 gpa);
void vm_map(struct vm *vm, u64 gva, u64 gpa, u64 flags);
/* The gpa of the entry that maps the 4 KiB page @gva, which vm_map() has mapped. */
u64 vm_pte_gpa(struct vm *vm, u64 gva);
void vm_load(struct vm *vm, u64 gpa, const void *from, const void *end);

/* The guest's own copy of a variable of this program. */
#define GUEST_VAR(vm, var)						\
	(*(typeof(var) *)vm_hva(vm, (unsigned long)&(var)))

/* vcpu.c */
struct vcpu *vcpu_create_bare(struct vm *vm, unsigned int id);
struct vcpu *vcpu_create(struct vm *vm, unsigned int id, void (*fn)(void));
void vcpu_free(struct vcpu *vcpu);
struct kvm_cpuid2 *cpuid_supported(int dev);
struct kvm_cpuid_entry2 *cpuid_find(struct kvm_cpuid2 *cpuid, u32 fn, u32 idx);
void vcpu_set_cpuid(struct vcpu *vcpu);
void vcpu_set_long(struct vcpu *vcpu, void (*fn)(void));
void vcpu_set_real(struct vcpu *vcpu, u64 gpa);
void vcpu_set_prot16(struct vcpu *vcpu, u64 gpa);
void vcpu_set_prot32(struct vcpu *vcpu, const void *entry);
int __vcpu_run(struct vcpu *vcpu);
void vcpu_run(struct vcpu *vcpu);
/* Run to the next exit: KVM_EXIT_*, GUEST_SYNC or GUEST_DONE. */
int vcpu_next(struct vcpu *vcpu);
int vcpu_decode(struct vcpu *vcpu);
/* Run to guest_sync(a, ...) and return a; anything else fails. */
u64 vcpu_sync(struct vcpu *vcpu);
void vcpu_done(struct vcpu *vcpu);
void vcpu_get_regs(struct vcpu *vcpu, struct kvm_regs *regs);
void vcpu_set_regs(struct vcpu *vcpu, struct kvm_regs *regs);
void vcpu_get_sregs(struct vcpu *vcpu, struct kvm_sregs *sregs);
void vcpu_set_sregs(struct vcpu *vcpu, struct kvm_sregs *sregs);
int __vcpu_get_msr(struct vcpu *vcpu, u32 index, u64 *data);
int __vcpu_set_msr(struct vcpu *vcpu, u32 index, u64 data);

#endif
