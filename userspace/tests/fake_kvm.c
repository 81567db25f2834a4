// SPDX-License-Identifier: GPL-2.0
/*
 * A stand-in for the kernel behind ioctl(2), so that the library can be tested
 * where there is no VMX. Answers as the KVM API documents; runs no guest.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fake_kvm.h"

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
	return n;
}

static int translate(struct kvm_translation *walk)
{
	walk->valid = walk->linear_address < 0x1000;
	walk->physical_address = walk->linear_address + 0x5000;
	return 0;
}

static int vcpu_request(unsigned long request, void *arg)
{
	switch (request) {
	case KVM_RUN:
		return fake.run ? fake.run(run_page) : -EINTR;
	case KVM_GET_REGS:
		memcpy(arg, &fake.regs, sizeof(fake.regs));
		return 0;
	case KVM_SET_REGS:
		memcpy(&fake.regs, arg, sizeof(fake.regs));
		return 0;
	case KVM_GET_SREGS:
		memcpy(arg, &fake.sregs, sizeof(fake.sregs));
		return 0;
	case KVM_SET_SREGS:
		memcpy(&fake.sregs, arg, sizeof(fake.sregs));
		return 0;
	case KVM_SET_CPUID2:
		return set_cpuid(arg);
	case KVM_GET_MSRS:
		return msrs(arg, 1);
	case KVM_SET_MSRS:
		return msrs(arg, 0);
	case KVM_TRANSLATE:
		return translate(arg);
	default:
		return -ENOTTY;
	}
}

static int request_any(unsigned long request, void *arg)
{
	switch (request) {
	case KVM_GET_API_VERSION:
		return fake.api_version;
	case KVM_GET_VCPU_MMAP_SIZE:
		return fake.run_size;
	case KVM_CHECK_EXTENSION:
		return (unsigned long)arg == KVM_CAP_USER_MEMORY;
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
