// SPDX-License-Identifier: GPL-2.0
/*
 * The host's performance counters while a guest runs. perf names the MSRs that
 * need another value in a guest; VM entry and VM exit themselves swap these, so
 * that every instruction of the host is counted. Guests have no counters of
 * their own.
 */
#include <linux/slab.h>
#include <asm/msr.h>
#include <asm/perf_event.h>
#include <asm/vmx.h>

#include "ops.h"
#include "vmcs.h"

/* perf names two today: the enabled counters and, on some CPUs, PEBS. */
#define PERF_MSRS	4

/*
 * MSR-load lists of VM entry and VM exit. They need 16-byte alignment, which
 * kzalloc() gives to any size that is a power of two.
 */
struct vmx_perf {
	struct vmx_msr_entry guest[PERF_MSRS];
	struct vmx_msr_entry host[PERF_MSRS];
};

static_assert(sizeof(struct vmx_perf) == 128);

int vmx_perf_init(struct vmx_vcpu *v)
{
	v->perf = kzalloc(sizeof(*v->perf), GFP_KERNEL_ACCOUNT);
	return v->perf ? 0 : -ENOMEM;
}

void vmx_perf_free(struct vmx_vcpu *v)
{
	kfree(v->perf);
}

void vmx_perf_reset(struct vmx_vcpu *v)
{
	v->perf_count = 0;
	vmcs_write(VM_ENTRY_MSR_LOAD_ADDR, __pa(v->perf->guest));
	vmcs_write(VM_EXIT_MSR_LOAD_ADDR, __pa(v->perf->host));
	vmcs_write(VM_ENTRY_MSR_LOAD_COUNT, 0);
	vmcs_write(VM_EXIT_MSR_LOAD_COUNT, 0);
}

static void list_msr(struct vmx_perf *p, unsigned int i, const struct perf_guest_switch_msr *msr)
{
	/*
	 * Stop PEBS before the entry: a record still in flight would be written
	 * through the guest's page tables.
	 */
	if (msr->msr == MSR_IA32_PEBS_ENABLE)
		native_wrmsrl(MSR_IA32_PEBS_ENABLE, 0);
	p->guest[i] = (struct vmx_msr_entry) { .index = msr->msr, .value = msr->guest };
	p->host[i] = (struct vmx_msr_entry) { .index = msr->msr, .value = msr->host };
}

void vmx_perf_before_entry(struct vmx_vcpu *v)
{
	unsigned int count = 0;
	int nr = 0, i;
	const struct perf_guest_switch_msr *msrs = perf_guest_get_msrs(&nr, NULL);

	/* perf returns NULL, and does not set @nr, on CPUs where it swaps nothing. */
	for (i = 0; msrs && i < nr && !WARN_ON_ONCE(count == PERF_MSRS); i++)
		if (msrs[i].host != msrs[i].guest)
			list_msr(v->perf, count++, &msrs[i]);
	if (likely(count == v->perf_count))
		return;
	v->perf_count = count;
	vmcs_write(VM_ENTRY_MSR_LOAD_COUNT, count);
	vmcs_write(VM_EXIT_MSR_LOAD_COUNT, count);
}
