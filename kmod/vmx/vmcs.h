/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Private to vmx/: the VMCS as memory, which CPU holds it, and what the files
 * of this room need of each other.
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
 * @current:	 VMCS that VMPTRLD loaded last
 * @loaded:	 vCPUs whose VMCS is active here (struct vmx_vcpu.loaded_link);
 *		 changed with interrupts off on this CPU only
 * @on:		 VMX operation was entered by Keel
 * @dying:	 going offline: the scheduler may still bring a vCPU here on the
 *		 way to another CPU, which then enters VMX operation for itself
 * @host_msr:	 what struct vmx_vcpu.msr replaces
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
 * Three MSR bitmaps serve all vCPUs: what any guest may touch by itself, the
 * same and IA32_SPEC_CTRL, nothing.
 */
int vmcs_setup(void);
void vmcs_teardown(void);

/* Fill in everything that does not change while the vCPU lives. VMCS current. */
void vmcs_write_constants(struct vmx_vcpu *v);
/* Host state that differs from CPU to CPU. VMCS current. */
void vmcs_write_host_cpu(struct vmx_vcpu *v);

/* The secondary controls, as @v wants them now. VMCS current. */
void vmcs_write_proc2(const struct vmx_vcpu *v);

/* Make the VMCS inactive on the CPU that holds it. Process context. */
void vmcs_clear_anywhere(struct vmx_vcpu *v);
/* The same for every VMCS active on this CPU. Interrupts off. */
void vmcs_clear_all_here(void);

/* state.c: anew, as the host's counter may have been set back. VMCS current. */
void vmx_write_tsc_offset(struct vmx_vcpu *v);

/* log.c: empty and off. VMCS current. */
void vmx_log_reset(struct vmx_vcpu *v);

/* perf.c: the lists of MSRs; empty, VMCS current; as perf wants it now, interrupts off. */
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
/* After an exit, before it is handled: its handler may bring what must be flushed. */
void vmx_l1d_after_exit(struct vmx_vcpu *v, u16 reason);

/* crash.c: a kernel that panics must not leave this CPU in VMX operation. */
int vmx_crash_setup(void);
void vmx_crash_teardown(void);
void vmx_crash_arm(void);
void vmx_crash_disarm(void);

/* cpu.c: enter VMX operation here. Interrupts off. 0, -EBUSY, -EOPNOTSUPP, -EIO. */
int vmx_on_here(void);
/* Leave it, if Keel entered it. Interrupts off; NMI safe. */
void vmx_off_here(void);
extern bool vmx_going_down;

#endif
