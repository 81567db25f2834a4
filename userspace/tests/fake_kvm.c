// SPDX-License-Identifier: GPL-2.0
/*
 * A stand-in for the kernel behind ioctl(2), so that the library can be tested
 * without VMX. Answers as the KVM API documents; runs no guest.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fake_kvm.h"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

struct fake_kvm fake;

static struct kvm_run *run_page;

void fake_reset(void)
{
	memset(&fake, 0, sizeof(fake));
	fake.api_version = 12;
	fake.run_size = FAKE_RUN_SIZE;
	fake.cpuid_entries = 2;
	fake.msrs_taken = 255;
}

static int create_vcpu(void)
{
	int fd = memfd_create("vcpu", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, FAKE_RUN_SIZE))
		return -ENOMEM;
	/* Unmap the page of the previous vCPU. */
	if (run_page)
		munmap(run_page, FAKE_RUN_SIZE);
	run_page = mmap(NULL, FAKE_RUN_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	return run_page == MAP_FAILED ? -ENOMEM : fd;
}

static int set_memory(const struct kvm_userspace_memory_region *region)
{
	int error = fake.memory_error;

	fake.memory_calls++;
	fake.memory_error = 0;
	if (error)
		return -error;
	fake.region = *region;
	return 0;
}

static int get_cpuid(struct kvm_cpuid2 *cpuid)
{
	unsigned int i;

	fake.cpuid_asked = cpuid->nent;
	if (cpuid->nent < fake.cpuid_entries)
		return -E2BIG;
	cpuid->nent = fake.cpuid_entries;
	for (i = 0; i < cpuid->nent; i++)
		cpuid->entries[i] = (struct kvm_cpuid_entry2) {
			.function = i ? 0xb : 1, .ebx = ~0u, .ecx = ~0u, .edx = ~0u,
		};
	return 0;
}

static int set_cpuid(const struct kvm_cpuid2 *cpuid)
{
	unsigned int i;

	for (i = 0; i < cpuid->nent && i < 2; i++)
		fake.cpuid[i] = cpuid->entries[i];
	return 0;
}

static int msr_list(struct kvm_msr_list *list)
{
	unsigned int room = list->nmsrs;

	list->nmsrs = 3;
	if (room < 3)
		return -E2BIG;
	list->indices[0] = 0x10;
	list->indices[1] = 0x174;
	list->indices[2] = 0xc0000080;
	return 0;
}

static int msrs(struct kvm_msrs *list, int is_get)
{
	unsigned int i, n = list->nmsrs;

	if (n > fake.msrs_taken)
		n = fake.msrs_taken;
	for (i = 0; is_get && i < n; i++)
		list->entries[i].data = list->entries[i].index + 1;
	for (i = 0; !is_get && i < n; i++)
		fake.state.msr_sum += list->entries[i].data;
	return n;
}

static int translate(struct kvm_translation *walk)
{
	walk->valid = walk->linear_address < 0x1000;
	walk->physical_address = walk->linear_address + 0x5000;
	return 0;
}

/* Pairs of requests: get returns what set has stored. */
static const struct {
	unsigned long get, set;
	void *where;
	size_t size;
} stored[] = {
	{ KVM_GET_REGS, KVM_SET_REGS, &fake.regs, sizeof(fake.regs) },
	{ KVM_GET_SREGS, KVM_SET_SREGS, &fake.sregs, sizeof(fake.sregs) },
	{ KVM_GET_FPU, KVM_SET_FPU, &fake.fpu, sizeof(fake.fpu) },
	{ KVM_GET_SREGS2, KVM_SET_SREGS2, &fake.state.sregs2, sizeof(fake.state.sregs2) },
	{ KVM_GET_XCRS, KVM_SET_XCRS, &fake.state.xcrs, sizeof(fake.state.xcrs) },
	{ KVM_GET_XSAVE, KVM_SET_XSAVE, &fake.state.xsave, sizeof(fake.state.xsave) },
	{ KVM_GET_DEBUGREGS, KVM_SET_DEBUGREGS, &fake.state.debugregs,
	  sizeof(fake.state.debugregs) },
	{ KVM_GET_MP_STATE, KVM_SET_MP_STATE, &fake.state.mp_state,
	  sizeof(fake.state.mp_state) },
	{ KVM_GET_VCPU_EVENTS, KVM_SET_VCPU_EVENTS, &fake.state.events,
	  sizeof(fake.state.events) },
	{ KVM_GET_CLOCK, KVM_SET_CLOCK, &fake.state.clock, sizeof(fake.state.clock) },
};

static int stored_request(unsigned long request, void *arg)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(stored); i++) {
		if (request == stored[i].get)
			memcpy(arg, stored[i].where, stored[i].size);
		else if (request == stored[i].set)
			memcpy(stored[i].where, arg, stored[i].size);
		else
			continue;
		return 0;
	}
	return -ENOTTY;
}

static int get_cpuid2(struct kvm_cpuid2 *cpuid)
{
	if (cpuid->nent < 2)
		return -E2BIG;
	cpuid->nent = 2;
	memcpy(cpuid->entries, fake.cpuid, sizeof(fake.cpuid));
	return 0;
}

static int vcpu_request(unsigned long request, void *arg)
{
	switch (request) {
	case KVM_RUN:
		return fake.run ? fake.run(run_page) : -EINTR;
	case KVM_SET_CPUID2:
		return set_cpuid(arg);
	case KVM_GET_CPUID2:
		return get_cpuid2(arg);
	case KVM_GET_TSC_KHZ:
		return fake.state.tsc_khz;
	case KVM_SET_TSC_KHZ:
		fake.state.tsc_khz = (unsigned long)arg;
		return 0;
	case KVM_X86_SETUP_MCE:
		fake.state.mcg_cap = *(__u64 *)arg;
		return 0;
	case KVM_GET_MSRS:
		return msrs(arg, 1);
	case KVM_SET_MSRS:
		return msrs(arg, 0);
	case KVM_TRANSLATE:
		return translate(arg);
	default:
		return stored_request(request, arg);
	}
}

static int check_extension(unsigned long cap)
{
	static const int of_state[] = {
		KVM_CAP_GET_TSC_KHZ, KVM_CAP_MCE, KVM_CAP_SREGS2, KVM_CAP_XCRS, KVM_CAP_XSAVE,
		KVM_CAP_DEBUGREGS, KVM_CAP_MP_STATE, KVM_CAP_VCPU_EVENTS, KVM_CAP_ADJUST_CLOCK,
	};
	size_t i;

	for (i = 0; fake.has_state && i < ARRAY_SIZE(of_state); i++)
		if (cap == (unsigned long)of_state[i])
			return 1;
	return cap == KVM_CAP_USER_MEMORY;
}

static int request_any(unsigned long request, void *arg)
{
	switch (request) {
	case KVM_GET_API_VERSION:
		return fake.api_version;
	case KVM_GET_VCPU_MMAP_SIZE:
		return fake.run_size;
	case KVM_CHECK_EXTENSION:
		return check_extension((unsigned long)arg);
	case KVM_CREATE_VM:
		return open("/dev/null", O_RDWR | O_CLOEXEC);
	case KVM_CREATE_VCPU:
		return create_vcpu();
	case KVM_SET_USER_MEMORY_REGION:
		return set_memory(arg);
	case KVM_GET_SUPPORTED_CPUID:
		return get_cpuid(arg);
	case KVM_GET_MSR_INDEX_LIST:
		return msr_list(arg);
	default:
		return vcpu_request(request, arg);
	}
}

int __wrap_ioctl(int fd, unsigned long request, void *arg)
{
	int ret = request_any(request, arg);

	(void)fd;
	if (ret >= 0)
		return ret;
	errno = -ret;
	return -1;
}
