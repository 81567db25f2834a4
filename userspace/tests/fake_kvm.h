/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A stand-in for the kernel: the answers it gives and the requests it has
 * received. One VM and one vCPU at a time.
 */
#ifndef _KEEL_TESTS_FAKE_KVM_H
#define _KEEL_TESTS_FAKE_KVM_H

#include <linux/kvm.h>

#define FAKE_RUN_SIZE	12288

struct fake_kvm {
	int api_version;
	int run_size;
	int memory_error;	/* positive errno that the next slot update gives */
	unsigned int cpuid_entries;
	unsigned int msrs_taken;	/* how many entries GET/SET_MSRS accept */
	/* Acts as the guest in KVM_RUN; returns 0 or -errno. */
	int (*run)(struct kvm_run *run);

	unsigned int memory_calls;
	struct kvm_userspace_memory_region region;
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_cpuid_entry2 cpuid[2];	/* the first entries that were set */
	unsigned int cpuid_asked;		/* nent of the last request */

	int has_state;		/* support the requests below, by capability */
	struct fake_state {
		struct kvm_sregs2 sregs2;
		struct kvm_xcrs xcrs;
		struct kvm_xsave xsave;
		struct kvm_debugregs debugregs;
		struct kvm_mp_state mp_state;
		struct kvm_vcpu_events events;
		struct kvm_clock_data clock;
		__u64 mcg_cap;
		__u64 tsc_khz;
		__u64 msr_sum;	/* of the MSRs that were set */
	} state;
	struct kvm_fpu fpu;
};

extern struct fake_kvm fake;

void fake_reset(void);

/* ioctl(2) in the programs that link this. */
int __wrap_ioctl(int fd, unsigned long request, void *arg);

#endif /* _KEEL_TESTS_FAKE_KVM_H */
