// SPDX-License-Identifier: GPL-2.0
/*
 * Flushes the L1 data cache before an entry on CPUs where a guest could read
 * the host's data in it (L1TF). The other mitigations are single instructions
 * in vmenter.S, chosen by the kernel's CPU feature flags.
 */
#include <linux/gfp.h>
#include <linux/hardirq.h>
#include <linux/printk.h>
#include <linux/sched/smt.h>
#include <asm/cpufeature.h>
#include <asm/msr.h>
#include <asm/processor.h>
#include <asm/vmx.h>

#include "vmcs.h"

#define L1D_ORDER	4		/* 64 KiB: twice the largest affected L1D */

static bool l1d_needed;
static bool l1d_always;			/* l1tf=full: flush before every entry */
static u8 *l1d_fill;			/* NULL if microcode has the flush command */

static bool cpu_needs_flush(void)
{
	u64 arch_cap = 0;

	if (!boot_cpu_has_bug(X86_BUG_L1TF) || l1tf_mitigation == L1TF_MITIGATION_OFF)
		return false;
	if (boot_cpu_has(X86_FEATURE_ARCH_CAPABILITIES))
		rdmsrl(MSR_IA32_ARCH_CAPABILITIES, arch_cap);
	return !(arch_cap & ARCH_CAP_SKIP_VMENTRY_L1DFLUSH);
}

/* A sibling thread fills the L1D while the guest runs: no flush before the entry prevents that. */
static void warn_of_smt(void)
{
	if (sched_smt_active() && l1tf_mitigation != L1TF_MITIGATION_FLUSH_NOWARN)
		pr_warn("keel: L1TF: this CPU runs two threads on a core, and a guest may read what the other one does: boot with l1tf=full,force or nosmt if guests are not trusted\n");
}

int __init vmx_mitigations_setup(void)
{
	l1d_needed = cpu_needs_flush();
	l1d_always = l1tf_mitigation == L1TF_MITIGATION_FULL ||
		     l1tf_mitigation == L1TF_MITIGATION_FULL_FORCE;
	if (l1d_needed)
		warn_of_smt();
	if (!l1d_needed || boot_cpu_has(X86_FEATURE_FLUSH_L1D))
		return 0;
	l1d_fill = (u8 *)__get_free_pages(GFP_KERNEL | __GFP_ZERO, L1D_ORDER);
	return l1d_fill ? 0 : -ENOMEM;
}

void vmx_mitigations_teardown(void)
{
	free_pages((unsigned long)l1d_fill, L1D_ORDER);
}

/*
 * Exit handlers bring the host's data into the L1D. Those of the exits listed
 * here touch only the vCPU; an interrupt's own handler sets the kernel's
 * per-CPU flush flag. I/O exits are not listed: a doorbell on the port wakes
 * its waiters.
 */
static bool handler_is_harmless(u16 reason)
{
	return reason == EXIT_REASON_EXTERNAL_INTERRUPT || reason == EXIT_REASON_CPUID;
}

void vmx_l1d_after_exit(struct vmx_vcpu *v, u16 reason)
{
	if (unlikely(l1d_needed) && (l1d_always || !handler_is_harmless(reason)))
		v->l1d_unsafe = true;
}

/*
 * Flush only if v->l1d_unsafe or the kernel's per-CPU flag says that host data
 * may be in the L1D.
 */
noinstr void vmx_flush_l1d(struct vmx_vcpu *v)
{
	unsigned int i;

	if (likely(!l1d_needed))
		return;
	if (!v->l1d_unsafe && !kvm_get_cpu_l1tf_flush_l1d())
		return;
	v->l1d_unsafe = false;
	kvm_clear_cpu_l1tf_flush_l1d();
	if (!l1d_fill) {
		native_wrmsrl(MSR_IA32_FLUSH_CMD, L1D_FLUSH);
		return;
	}
	/* Read more than the cache holds: that evicts all of its contents. */
	for (i = 0; i < (PAGE_SIZE << L1D_ORDER); i += 64)
		asm volatile("movzbl (%0), %%eax" : : "r" (l1d_fill + i) : "eax");
	asm volatile("lfence" : : : "memory");
}
