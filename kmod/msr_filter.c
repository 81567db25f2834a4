// SPDX-License-Identifier: GPL-2.0
/*
 * Owns userspace's filter of the guest's accesses to MSRs, and the exits that
 * hand an access to userspace. msr.c defines the registers.
 */
#include <linux/bitmap.h>
#include <linux/compat.h>
#include <linux/nospec.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "exit.h"
#include "irq.h"
#include "keel.h"
#include "msr_filter.h"

#define DIRECTIONS	(KVM_MSR_FILTER_READ | KVM_MSR_FILTER_WRITE)
#define REASONS		(KVM_MSR_EXIT_REASON_INVAL | KVM_MSR_EXIT_REASON_UNKNOWN |	\
			 KVM_MSR_EXIT_REASON_FILTER)
/* x2APIC registers belong to an interrupt controller: no filter hides them. */
#define X2APIC_FIRST	0x800
#define X2APIC_LAST	0x8ff

struct msr_range {
	u32 base, nr;
	u32 flags;		/* KVM_MSR_FILTER_READ, _WRITE: accesses that it decides */
	unsigned long *allowed;
};

/* A snapshot: built, published, read under SRCU, and never changed. */
struct msr_filter {
	bool default_allow;
	unsigned int nr;
	struct msr_range range[KVM_MSR_FILTER_MAX_RANGES];
};

/* --- asking -------------------------------------------------------------- */

static bool filter_allows(const struct msr_filter *f, u32 index, u32 direction)
{
	unsigned int i;

	for (i = 0; i < f->nr; i++) {
		const struct msr_range *r = &f->range[i];
		u32 n = index - r->base;

		/* The guest chooses @index: clamp it under speculation too. */
		if (n < r->nr && (r->flags & direction))
			return test_bit(array_index_nospec(n, r->nr), r->allowed);
	}
	return f->default_allow;
}

bool keel_msr_allowed(struct keel_vcpu *vcpu, u32 index, bool write)
{
	struct keel_vm *vm = vcpu->vm;
	const struct msr_filter *f;
	bool allowed;
	int idx;

	if (likely(!rcu_access_pointer(vm->msr_filter)))
		return true;
	if (index >= X2APIC_FIRST && index <= X2APIC_LAST)
		return true;
	idx = srcu_read_lock(&vm->srcu);
	f = srcu_dereference(vm->msr_filter, &vm->srcu);
	allowed = !f || filter_allows(f, index, write ? KVM_MSR_FILTER_WRITE : KVM_MSR_FILTER_READ);
	srcu_read_unlock(&vm->srcu, idx);
	return allowed;
}

/* --- accesses that userspace answers ------------------------------------- */

static u32 exit_reason_of(int err)
{
	switch (err) {
	case -EPERM:
		return KVM_MSR_EXIT_REASON_FILTER;
	case -ENOENT:
		return KVM_MSR_EXIT_REASON_UNKNOWN;
	default:
		return KVM_MSR_EXIT_REASON_INVAL;
	}
}

static int complete_wrmsr(struct keel_vcpu *vcpu)
{
	if (READ_ONCE(vcpu->run->msr.error))
		keel_inject_gp(vcpu);
	else
		keel_skip_insn(vcpu);
	return RUN_RESUME;
}

static int complete_rdmsr(struct keel_vcpu *vcpu)
{
	u64 val = READ_ONCE(vcpu->run->msr.data);

	if (!READ_ONCE(vcpu->run->msr.error)) {
		vcpu->vmx.gpr[GPR_RAX] = (u32)val;
		vcpu->vmx.gpr[GPR_RDX] = val >> 32;
	}
	return complete_wrmsr(vcpu);
}

bool keel_msr_to_user(struct keel_vcpu *vcpu, u32 index, u64 val, int err, bool write)
{
	struct kvm_run *run = vcpu->run;
	u32 reason = exit_reason_of(err);

	if (!(READ_ONCE(vcpu->vm->user_msr) & reason))
		return false;
	run->msr.error = 0;
	memset(run->msr.pad, 0, sizeof(run->msr.pad));
	run->msr.reason = reason;
	run->msr.index = index;
	run->msr.data = val;
	if (write)
		run->exit_reason = KVM_EXIT_X86_WRMSR;
	else
		run->exit_reason = KVM_EXIT_X86_RDMSR;
	return true;
}

int keel_rdmsr_failed(struct keel_vcpu *vcpu, u32 index, int err)
{
	if (!keel_msr_to_user(vcpu, index, 0, err, false)) {
		keel_inject_gp(vcpu);
		return RUN_RESUME;
	}
	vcpu->complete = complete_rdmsr;
	return RUN_USER;
}

int keel_wrmsr_failed(struct keel_vcpu *vcpu, u32 index, u64 val, int err)
{
	if (!keel_msr_to_user(vcpu, index, val, err, true)) {
		keel_inject_gp(vcpu);
		return RUN_RESUME;
	}
	vcpu->complete = complete_wrmsr;
	return RUN_USER;
}

void keel_msr_filter_changed(struct keel_vcpu *vcpu)
{
	vmx_intercept_msrs(&vcpu->vmx, rcu_access_pointer(vcpu->vm->msr_filter));
}

/* --- life ---------------------------------------------------------------- */

static void free_filter(struct msr_filter *f)
{
	unsigned int i;

	if (!f)
		return;
	for (i = 0; i < f->nr; i++)
		kfree(f->range[i].allowed);
	kfree(f);
}

void keel_msr_filter_free(struct keel_vm *vm)
{
	free_filter(rcu_dereference_protected(vm->msr_filter, true));
}

/* Copy one range. Leave out a range without registers. */
static int take_range(struct msr_filter *f, const struct kvm_msr_filter_range *in)
{
	size_t bytes = BITS_TO_LONGS((u64)in->nmsrs) * sizeof(long);
	unsigned long *allowed;

	if (!in->nmsrs)
		return 0;
	if (!in->flags || in->flags & ~DIRECTIONS || bytes > KVM_MSR_FILTER_MAX_BITMAP_SIZE)
		return -EINVAL;
	allowed = memdup_user((void __user *)in->bitmap, bytes);
	if (IS_ERR(allowed))
		return PTR_ERR(allowed);
	f->range[f->nr++] = (struct msr_range) {
		.base = in->base, .nr = in->nmsrs, .flags = in->flags, .allowed = allowed,
	};
	return 0;
}

static struct msr_filter *make_filter(const struct kvm_msr_filter *in)
{
	struct msr_filter *f;
	int i, err = 0;

	if (in->flags & ~KVM_MSR_FILTER_DEFAULT_DENY)
		return ERR_PTR(-EINVAL);
	f = kzalloc(sizeof(*f), GFP_KERNEL_ACCOUNT);
	if (!f)
		return ERR_PTR(-ENOMEM);
	f->default_allow = !(in->flags & KVM_MSR_FILTER_DEFAULT_DENY);
	for (i = 0; !err && i < KVM_MSR_FILTER_MAX_RANGES; i++)
		err = take_range(f, &in->ranges[i]);
	/* Refuse a filter that denies by default and has no range. */
	if (!err && !f->nr && !f->default_allow)
		err = -EINVAL;
	if (!err)
		return f;
	free_filter(f);
	return ERR_PTR(err);
}

/* On return no access is decided by the old filter any more. */
long keel_set_msr_filter(struct keel_vm *vm, void *data)
{
	struct msr_filter *f = make_filter(data);

	if (IS_ERR(f))
		return PTR_ERR(f);
	mutex_lock(&vm->lock);
	f = rcu_replace_pointer(vm->msr_filter, f, lockdep_is_held(&vm->lock));
	mutex_unlock(&vm->lock);
	keel_request_all(vm, REQ_MSR_FILTER);
	synchronize_srcu_expedited(&vm->srcu);
	free_filter(f);
	return 0;
}

/* Refuse a 64-bit program, which can use the number, but whose structure differs. */
long keel_set_msr_filter_compat(struct keel_vm *vm, void *data)
{
	const struct msr_filter_compat *in = data;
	struct kvm_msr_filter wide = { .flags = in->flags };
	int i;

	if (!in_compat_syscall())
		return -ENOTTY;
	for (i = 0; i < KVM_MSR_FILTER_MAX_RANGES; i++)
		wide.ranges[i] = (struct kvm_msr_filter_range) {
			.flags = in->ranges[i].flags,
			.nmsrs = in->ranges[i].nmsrs,
			.base = in->ranges[i].base,
			.bitmap = (__u8 __force *)compat_ptr(in->ranges[i].bitmap),
		};
	return keel_set_msr_filter(vm, &wide);
}

long keel_enable_user_msr(struct keel_vm *vm, const u64 *args)
{
	if (args[0] & ~(u64)REASONS)
		return -EINVAL;
	WRITE_ONCE(vm->user_msr, args[0]);
	return 0;
}
