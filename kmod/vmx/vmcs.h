/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Private to vmx/: the VMCS as memory, the CPU on which it is active, and the
 * functions that the files of this room call in each other.
 */
#ifndef KEEL_VMX_VMCS_H
#define KEEL_VMX_VMCS_H

#include <linux/list.h>
#include <linux/percpu.h>

#include "vmx.h"

/* The start of the page that VMXON, VMCLEAR and VMPTRLD take. */
struct vmcs {
	u32 revision;
	u32 abort;
};

/*
 * struct vmx_cpu - one physical CPU
 * @vmxon:	 region for VMXON; set up for every possible CPU
 * @current_vmcs: VMCS that VMPTRLD loaded last
 * @loaded:	 vCPUs whose VMCS is active here (struct vmx_vcpu.loaded_link);
 *		 changed with interrupts off on this CPU only
 * @on:		 VMX operation was entered by Keel
 * @dying:	 going offline: the scheduler may still run a vCPU's thread here
 *		 before it moves on; vmx_load() and vmx_put() then enter and
 *		 leave VMX operation for that time
 * @host_msr:	 host values of the MSRs that struct vmx_vcpu.msr replaces
 */
struct vmx_cpu {
	struct vmcs *vmxon;
	struct vmcs *current_vmcs;
	struct list_head loaded;
	bool on;
	bool dying;
	u64 host_msr[SWITCH_COUNT];
};

DECLARE_PER_CPU(struct vmx_cpu, vmx_cpu);

/* MSR numbers in the order of enum vmx_switched_msr. */
extern const u32 vmx_switched_msrs[SWITCH_COUNT];

struct vmcs *vmcs_alloc(int cpu);
void vmcs_free(struct vmcs *vmcs);

/*
 * Allocate three MSR bitmaps, shared by all vCPUs: the default one, the same
 * with IA32_SPEC_CTRL passed through, and one where every MSR exits.
 */
int vmcs_setup(void);
void vmcs_teardown(void);

/* Write all fields that are constant for the life of the vCPU. VMCS current. */
void vmcs_write_constants(struct vmx_vcpu *v);
/* Write the host state that differs from CPU to CPU. VMCS current. */
void vmcs_write_host_cpu(struct vmx_vcpu *v);

/* Write the secondary controls from vmx_caps and the state of @v. VMCS current. */
void vmcs_write_proc2(const struct vmx_vcpu *v);

/* Make the VMCS inactive on the CPU that holds it. Process context. */
void vmcs_clear_anywhere(struct vmx_vcpu *v);
/* Make every VMCS that is active on this CPU inactive. Interrupts off. */
void vmcs_clear_all_here(void);

/* state.c: write TSC_OFFSET again, as vmx_tsc_lost may have changed. VMCS current. */
void vmx_write_tsc_offset(struct vmx_vcpu *v);

/* log.c: empty the PML log and turn it off. VMCS current. */
void vmx_log_reset(struct vmx_vcpu *v);

/*
 * perf.c: the MSR-load lists. vmx_perf_reset() empties them, VMCS current;
 * vmx_perf_before_entry() fills them as perf asks, interrupts off.
 */
int vmx_perf_init(struct vmx_vcpu *v);
void vmx_perf_free(struct vmx_vcpu *v);
void vmx_perf_reset(struct vmx_vcpu *v);
void vmx_perf_before_entry(struct vmx_vcpu *v);

/* tlb.c */
int vmx_alloc_vpid(void);
void vmx_free_vpid(u16 vpid);
void vmx_do_flush(struct vmx_vcpu *v);
void vmx_flush_everything_here(void);

/* mitigate.c */
int vmx_mitigations_setup(void);
void vmx_mitigations_teardown(void);
void vmx_flush_l1d(struct vmx_vcpu *v);
/*
 * Call after an exit, before its handler runs: note whether the handler may
 * bring in data to flush.
 */
void vmx_l1d_after_exit(struct vmx_vcpu *v, u16 reason);

/* crash.c: a kernel that panics must not leave this CPU in VMX operation. */
int vmx_crash_setup(void);
void vmx_crash_teardown(void);
void vmx_crash_arm(void);
void vmx_crash_disarm(void);

/* cpu.c: enter VMX operation here. Interrupts off. Return 0, -EBUSY, -EOPNOTSUPP or -EIO. */
int vmx_on_here(void);
/* Leave VMX operation here, if Keel entered it. Interrupts off; NMI safe. */
void vmx_off_here(void);
extern bool vmx_going_down;

#endif
