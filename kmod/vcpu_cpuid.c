// SPDX-License-Identifier: GPL-2.0
/*
 * Binds CPUID tables to a vCPU (values derived from them, the exit and the
 * ioctls) and to the host's processor, the source of the supported features.
 * cpuid.c interprets the tables.
 */
#include <linux/mm.h>
#include <linux/uaccess.h>
#include <asm/cpufeature.h>
#include <asm/fpu/xcr.h>
#include <asm/processor.h>

#include "clock.h"
#include "cpuid.h"
#include "exit.h"
#include "keel.h"

/* CR4 bits that need no feature bit; cr4_features[] has the rest. */
#define CR4_ALWAYS	(X86_CR4_VME | X86_CR4_PVI | X86_CR4_TSD | X86_CR4_DE |		\
			 X86_CR4_PSE | X86_CR4_PAE | X86_CR4_MCE | X86_CR4_PGE |	\
			 X86_CR4_PCE | X86_CR4_OSFXSR | X86_CR4_OSXMMEXCPT)

static const struct {
	u64 bit;
	enum cpuid_feature feature;
} cr4_features[] = {
	{ X86_CR4_FSGSBASE,	FEAT_FSGSBASE },
	{ X86_CR4_PCIDE,	FEAT_PCID },
	{ X86_CR4_OSXSAVE,	FEAT_XSAVE },
	{ X86_CR4_SMEP,		FEAT_SMEP },
	{ X86_CR4_SMAP,		FEAT_SMAP },
	{ X86_CR4_UMIP,		FEAT_UMIP },
};

bool keel_guest_has(const struct keel_vcpu *vcpu, enum cpuid_feature f)
{
	return cpuid_has(vcpu->cpuid, f);
}

bool keel_guest_has_pv(const struct keel_vcpu *vcpu, unsigned int bit)
{
	if (!vcpu->pv_enforced)
		return true;
	return vcpu->cpuid && cpuid_kvm_features(vcpu->cpuid) & BIT(bit);
}

long keel_enforce_pv(struct keel_vcpu *vcpu, const u64 *args)
{
	vcpu->pv_enforced = args[0];
	return 0;
}

u64 keel_host_xcr0(void)
{
	u64 xcr0;

	if (!boot_cpu_has(X86_FEATURE_OSXSAVE))
		return 0;
	xcr0 = xgetbv(XCR_XFEATURE_ENABLED_MASK) & XSTATE_GUEST;
	if ((xcr0 & XSTATE_AVX512) != XSTATE_AVX512)
		xcr0 &= ~XSTATE_AVX512;
	return xcr0;
}

static void query_host(u32 function, u32 index, struct cpuid_regs4 *out)
{
	cpuid_count(function, index, &out->eax, &out->ebx, &out->ecx, &out->edx);
}

/* Features as boot_cpu_data has them, without those that the kernel has disabled. */
static void describe_host(struct cpuid_host *host)
{
	static const u8 leaf[CPUID_WORDS] = {
		[WORD_1_ECX]		= CPUID_1_ECX,
		[WORD_1_EDX]		= CPUID_1_EDX,
		[WORD_7_EBX]		= CPUID_7_0_EBX,
		[WORD_7_ECX]		= CPUID_7_ECX,
		[WORD_7_EDX]		= CPUID_7_EDX,
		[WORD_7_1_EAX]		= CPUID_7_1_EAX,
		[WORD_D_1_EAX]		= CPUID_D_1_EAX,
		[WORD_80000001_ECX]	= CPUID_8000_0001_ECX,
		[WORD_80000001_EDX]	= CPUID_8000_0001_EDX,
	};
	int i;

	for (i = 0; i < CPUID_WORDS; i++)
		host->word[i] = boot_cpu_data.x86_capability[leaf[i]];
	host->query = query_host;
	host->xcr0 = keel_host_xcr0();
	host->clock = keel_clock_possible();
	host->rdtscp = vmx_caps.rdtscp;
	host->invpcid = vmx_caps.invpcid;
	host->umip_by_exits = vmx_caps.umip_by_exits;
	host->invariant_tsc = boot_cpu_data.x86_power & BIT(8);
}

static u64 legal_cr4(const struct cpuid_table *t)
{
	u64 legal = CR4_ALWAYS;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cr4_features); i++)
		if (!t || cpuid_has(t, cr4_features[i].feature))
			legal |= cr4_features[i].bit;
	return legal & (vmx_caps.cr4_fixed1 | (vmx_caps.umip_by_exits ? X86_CR4_UMIP : 0));
}

/* Read CPUID, not boot_cpu_data, from which the kernel subtracts bits used by memory encryption. */
static int host_maxphyaddr(void)
{
	return cpuid_eax(0x80000008) & 0xff;
}

static void derive(struct keel_vcpu *vcpu)
{
	const struct cpuid_table *t = vcpu->cpuid;

	vcpu->cr4_reserved = ~legal_cr4(t);
	vcpu->supported_xcr0 = t ? cpuid_xcr0(t) & keel_host_xcr0() : 0;
	vcpu->maxphyaddr = clamp_t(int, t ? cpuid_maxphyaddr(t) : 36, 32,
				   host_maxphyaddr());
}

static void update_table(struct keel_vcpu *vcpu, struct cpuid_table *t)
{
	cpuid_update(t, vmx_cr4(&vcpu->vmx) & X86_CR4_OSXSAVE, vmx_xcr0(&vcpu->vmx),
		     vcpu->apic_base & MSR_IA32_APICBASE_ENABLE);
}

void keel_cpuid_update(struct keel_vcpu *vcpu)
{
	if (vcpu->cpuid)
		update_table(vcpu, vcpu->cpuid);
}

void keel_cpuid_init(struct keel_vcpu *vcpu)
{
	derive(vcpu);
}

void keel_cpuid_free(struct keel_vcpu *vcpu)
{
	kvfree(vcpu->cpuid);
	vcpu->cpuid = NULL;
}

int keel_cpuid_exit(struct keel_vcpu *vcpu)
{
	struct vmx_vcpu *v = &vcpu->vmx;
	struct cpuid_regs4 r = {};

	STAT(vcpu, cpuid_exits);
	if (likely(vcpu->cpuid))
		cpuid_query(vcpu->cpuid, v->gpr[GPR_RAX], v->gpr[GPR_RCX], &r);
	v->gpr[GPR_RAX] = r.eax;
	v->gpr[GPR_RBX] = r.ebx;
	v->gpr[GPR_RCX] = r.ecx;
	v->gpr[GPR_RDX] = r.edx;
	keel_skip_insn(vcpu);
	return RUN_RESUME;
}

/* Copy @nr entries back, then the header with the count. */
static long put_entries(struct kvm_cpuid2 __user *user, const struct kvm_cpuid_entry2 *entry,
			int nr)
{
	if (copy_to_user(user->entries, entry, array_size(nr, sizeof(*entry))))
		return -EFAULT;
	return put_user(nr, &user->nent);
}

long keel_get_supported_cpuid(void *data)
{
	struct kvm_cpuid2 __user *user = (void __user *)data;
	struct kvm_cpuid_entry2 *entry;
	struct cpuid_host host;
	u32 max;
	long r;

	if (get_user(max, &user->nent))
		return -EFAULT;
	if (!max)
		return -E2BIG;
	max = min_t(u32, max, KEEL_MAX_CPUID_ENTRIES);
	entry = kvcalloc(max, sizeof(*entry), GFP_KERNEL_ACCOUNT);
	if (!entry)
		return -ENOMEM;
	describe_host(&host);
	r = cpuid_supported(&host, entry, max);
	if (r >= 0)
		r = put_entries(user, entry, r);
	kvfree(entry);
	return r;
}

static struct cpuid_table *alloc_table(u32 nr)
{
	struct cpuid_table *t;

	if (nr > KEEL_MAX_CPUID_ENTRIES)
		return ERR_PTR(-E2BIG);
	t = kvzalloc(struct_size(t, entry, nr), GFP_KERNEL_ACCOUNT);
	if (!t)
		return ERR_PTR(-ENOMEM);
	t->nr = nr;
	return t;
}

/*
 * Make @t the vCPU's table, or free it. Once the vCPU has run, accept only a
 * table that equals the present one, as the guest may have read it.
 */
static long install(struct keel_vcpu *vcpu, struct cpuid_table *t)
{
	struct cpuid_table *old = vcpu->cpuid;
	long r;

	lockdep_assert_held(&vcpu->mutex);
	cpuid_index(t);
	update_table(vcpu, t);
	r = cpuid_check(t);
	if (!r && vcpu->has_run) {
		if (old ? !cpuid_equal(old, t) : t->nr)
			r = -EINVAL;
		goto free_table;
	}
	if (r)
		goto free_table;
	vcpu->cpuid = t;
	derive(vcpu);
	kvfree(old);
	return 0;

free_table:
	kvfree(t);
	return r;
}

long keel_set_cpuid2(struct keel_vcpu *vcpu, void *data)
{
	struct kvm_cpuid2 __user *user = (void __user *)data;
	struct cpuid_table *t;
	u32 nr;

	if (get_user(nr, &user->nent))
		return -EFAULT;
	t = alloc_table(nr);
	if (IS_ERR(t))
		return PTR_ERR(t);
	if (copy_from_user(t->entry, user->entries, array_size(nr, sizeof(*t->entry)))) {
		kvfree(t);
		return -EFAULT;
	}
	return install(vcpu, t);
}

/* The first form of the ioctl: entries without index. */
long keel_set_cpuid(struct keel_vcpu *vcpu, void *data)
{
	struct kvm_cpuid __user *user = (void __user *)data;
	struct kvm_cpuid_entry e;
	struct cpuid_table *t;
	u32 nr, i;

	if (get_user(nr, &user->nent))
		return -EFAULT;
	t = alloc_table(nr);
	if (IS_ERR(t))
		return PTR_ERR(t);
	for (i = 0; i < nr; i++) {
		if (copy_from_user(&e, &user->entries[i], sizeof(e))) {
			kvfree(t);
			return -EFAULT;
		}
		t->entry[i] = (struct kvm_cpuid_entry2) {
			.function = e.function,
			.eax = e.eax, .ebx = e.ebx, .ecx = e.ecx, .edx = e.edx,
		};
	}
	return install(vcpu, t);
}

long keel_get_cpuid2(struct keel_vcpu *vcpu, void *data)
{
	struct kvm_cpuid2 __user *user = (void __user *)data;
	int nr = vcpu->cpuid ? vcpu->cpuid->nr : 0;
	u32 max;

	if (get_user(max, &user->nent))
		return -EFAULT;
	if (max < nr)
		return -E2BIG;
	return put_entries(user, nr ? vcpu->cpuid->entry : NULL, nr);
}
