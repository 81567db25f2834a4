// SPDX-License-Identifier: GPL-2.0
/*
 * Create and destroy vCPUs, get and set their state. Owns struct keel_vcpu; run.c
 * runs it, start.c sets start states.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "internal.h"

KEEL_API int keel_vcpu_create(struct keel_vm *vm, __u32 id, struct keel_vcpu **out)
{
	struct keel_vcpu *vcpu;
	int ret;

	if (!vm || !out)
		return -EINVAL;
	ret = keel_kick_init();
	if (ret)
		return ret;
	vcpu = calloc(1, sizeof(*vcpu));
	if (!vcpu)
		return -ENOMEM;
	vcpu->vm = vm;
	vcpu->id = id;
	vcpu->fd = keel_ioctl_value(vm->fd, KVM_CREATE_VCPU, id);
	if (vcpu->fd < 0) {
		ret = vcpu->fd;
		goto err_free;
	}
	vcpu->run = mmap(NULL, vm->keel->run_size, PROT_READ | PROT_WRITE, MAP_SHARED,
			 vcpu->fd, 0);
	if (vcpu->run == MAP_FAILED) {
		ret = -errno;
		goto err_close;
	}
	ret = -pthread_mutex_init(&vcpu->kick_lock, NULL);
	if (ret)
		goto err_unmap;
	*out = vcpu;
	return 0;

err_unmap:
	munmap(vcpu->run, vm->keel->run_size);
err_close:
	close(vcpu->fd);
err_free:
	free(vcpu);
	return ret;
}

KEEL_API void keel_vcpu_destroy(struct keel_vcpu *vcpu)
{
	if (!vcpu)
		return;
	pthread_mutex_destroy(&vcpu->kick_lock);
	munmap(vcpu->run, vcpu->vm->keel->run_size);
	close(vcpu->fd);
	free(vcpu);
}

KEEL_API int keel_vcpu_fd(const struct keel_vcpu *vcpu)
{
	return vcpu ? vcpu->fd : -EINVAL;
}

KEEL_API int keel_vcpu_stats_fd(const struct keel_vcpu *vcpu)
{
	return vcpu ? keel_ioctl_value(vcpu->fd, KVM_GET_STATS_FD, 0) : -EINVAL;
}

KEEL_API __u32 keel_vcpu_id(const struct keel_vcpu *vcpu)
{
	return vcpu ? vcpu->id : 0;
}

KEEL_API struct kvm_run *keel_vcpu_page(struct keel_vcpu *vcpu)
{
	return vcpu ? vcpu->run : NULL;
}

static int transfer(const struct keel_vcpu *vcpu, unsigned long request, const void *arg)
{
	if (!vcpu || !arg)
		return -EINVAL;
	return keel_ioctl(vcpu->fd, request, arg);
}

KEEL_API int keel_vcpu_get_regs(struct keel_vcpu *vcpu, struct kvm_regs *regs)
{
	return transfer(vcpu, KVM_GET_REGS, regs);
}

KEEL_API int keel_vcpu_set_regs(struct keel_vcpu *vcpu, const struct kvm_regs *regs)
{
	return transfer(vcpu, KVM_SET_REGS, regs);
}

KEEL_API int keel_vcpu_get_sregs(struct keel_vcpu *vcpu, struct kvm_sregs *sregs)
{
	return transfer(vcpu, KVM_GET_SREGS, sregs);
}

KEEL_API int keel_vcpu_set_sregs(struct keel_vcpu *vcpu, const struct kvm_sregs *sregs)
{
	return transfer(vcpu, KVM_SET_SREGS, sregs);
}

KEEL_API int keel_vcpu_get_fpu(struct keel_vcpu *vcpu, struct kvm_fpu *fpu)
{
	return transfer(vcpu, KVM_GET_FPU, fpu);
}

KEEL_API int keel_vcpu_set_fpu(struct keel_vcpu *vcpu, const struct kvm_fpu *fpu)
{
	return transfer(vcpu, KVM_SET_FPU, fpu);
}

KEEL_API int keel_vcpu_get_events(struct keel_vcpu *vcpu, struct kvm_vcpu_events *events)
{
	return transfer(vcpu, KVM_GET_VCPU_EVENTS, events);
}

KEEL_API int keel_vcpu_set_events(struct keel_vcpu *vcpu, const struct kvm_vcpu_events *events)
{
	return transfer(vcpu, KVM_SET_VCPU_EVENTS, events);
}

KEEL_API int keel_vcpu_get_mp_state(struct keel_vcpu *vcpu, struct kvm_mp_state *state)
{
	return transfer(vcpu, KVM_GET_MP_STATE, state);
}

KEEL_API int keel_vcpu_set_mp_state(struct keel_vcpu *vcpu, const struct kvm_mp_state *state)
{
	return transfer(vcpu, KVM_SET_MP_STATE, state);
}

static int transfer_msrs(const struct keel_vcpu *vcpu, unsigned long request,
			 const struct kvm_msr_entry *in, struct kvm_msr_entry *out, __u32 count)
{
	size_t bytes = count * sizeof(*in);
	struct kvm_msrs *msrs;
	int ret;

	if (!vcpu || !in)
		return -EINVAL;
	if (count > KEEL_MAX_MSRS)
		return -E2BIG;
	msrs = calloc(1, sizeof(*msrs) + bytes);
	if (!msrs)
		return -ENOMEM;
	msrs->nmsrs = count;
	memcpy(msrs->entries, in, bytes);
	ret = keel_ioctl(vcpu->fd, request, msrs);
	if (ret > 0 && out)
		memcpy(out, msrs->entries, ret * sizeof(*out));
	free(msrs);
	return ret;
}

KEEL_API int keel_vcpu_get_msrs(struct keel_vcpu *vcpu, struct kvm_msr_entry *entries,
				__u32 count)
{
	return transfer_msrs(vcpu, KVM_GET_MSRS, entries, entries, count);
}

KEEL_API int keel_vcpu_set_msrs(struct keel_vcpu *vcpu, const struct kvm_msr_entry *entries,
				__u32 count)
{
	return transfer_msrs(vcpu, KVM_SET_MSRS, entries, NULL, count);
}

/* KVM returns how many entries it accepted: 0 of 1 is a refusal. */
static int one_or_error(int taken)
{
	if (taken < 0)
		return taken;
	return taken == 1 ? 0 : -EINVAL;
}

KEEL_API int keel_vcpu_get_msr(struct keel_vcpu *vcpu, __u32 index, __u64 *value)
{
	struct kvm_msr_entry entry = { .index = index };
	int ret;

	if (!value)
		return -EINVAL;
	ret = one_or_error(keel_vcpu_get_msrs(vcpu, &entry, 1));
	if (!ret)
		*value = entry.data;
	return ret;
}

KEEL_API int keel_vcpu_set_msr(struct keel_vcpu *vcpu, __u32 index, __u64 value)
{
	struct kvm_msr_entry entry = { .index = index, .data = value };

	return one_or_error(keel_vcpu_set_msrs(vcpu, &entry, 1));
}

KEEL_API int keel_vcpu_set_cpuid(struct keel_vcpu *vcpu, const struct kvm_cpuid2 *cpuid)
{
	return transfer(vcpu, KVM_SET_CPUID2, cpuid);
}

#define LEAF1_EBX_APIC_ID_SHIFT	24
#define LEAF1_ECX_X2APIC	0x00200000u
#define LEAF1_ECX_TSC_DEADLINE	0x01000000u

/*
 * The leaves have the APIC ids of the CPU that answered: set those of this vCPU,
 * and clear the features that need a local APIC in the kernel.
 */
static void personalise(struct kvm_cpuid_entry2 *entry, __u32 id)
{
	switch (entry->function) {
	case 0x1:
		entry->ebx &= (1u << LEAF1_EBX_APIC_ID_SHIFT) - 1;
		entry->ebx |= id << LEAF1_EBX_APIC_ID_SHIFT;
		entry->ecx &= ~(LEAF1_ECX_X2APIC | LEAF1_ECX_TSC_DEADLINE);
		break;
	case 0xb:
	case 0x1f:
		entry->edx = id;
		break;
	}
}

KEEL_API int keel_vcpu_set_host_cpuid(struct keel_vcpu *vcpu)
{
	struct kvm_cpuid2 *cpuid;
	__u32 i;
	int ret;

	if (!vcpu)
		return -EINVAL;
	ret = keel_supported_cpuid(vcpu->vm->keel, &cpuid);
	if (ret)
		return ret;
	for (i = 0; i < cpuid->nent; i++)
		personalise(&cpuid->entries[i], vcpu->id);
	ret = keel_vcpu_set_cpuid(vcpu, cpuid);
	free(cpuid);
	return ret;
}

KEEL_API int keel_vcpu_interrupt(struct keel_vcpu *vcpu, __u32 vector)
{
	struct kvm_interrupt interrupt = { .irq = vector };

	return transfer(vcpu, KVM_INTERRUPT, &interrupt);
}

KEEL_API int keel_vcpu_nmi(struct keel_vcpu *vcpu)
{
	return vcpu ? keel_ioctl_value(vcpu->fd, KVM_NMI, 0) : -EINVAL;
}

KEEL_API int keel_vcpu_translate(struct keel_vcpu *vcpu, __u64 gva, __u64 *gpa)
{
	struct kvm_translation walk = { .linear_address = gva };
	int ret;

	if (!gpa)
		return -EINVAL;
	ret = transfer(vcpu, KVM_TRANSLATE, &walk);
	if (ret)
		return ret;
	if (!walk.valid)
		return -EFAULT;
	*gpa = walk.physical_address;
	return 0;
}
