/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Interface of the hardware room. vmx/ runs a vCPU until it exits, fills in
 * struct keel_exit and returns; it keeps the guest state that lives in the VMCS
 * or in host registers. It knows no memslot, no MMU page, no device and no
 * policy, and never calls up.
 *
 * Unless a comment says otherwise, functions that take a vCPU need it loaded on
 * this CPU: call them between vmx_load() and vmx_put(). Preemption puts and
 * loads the vCPU by itself (see vcpu.c).
 */
#ifndef KEEL_VMX_H
#define KEEL_VMX_H

#include <linux/types.h>
#include <linux/list.h>
#include <linux/kvm.h>
#include <asm/processor-flags.h>

/* Encoding order of the instruction set, also used in ModRM and exit qualifications. */
enum vmx_gpr {
	GPR_RAX, GPR_RCX, GPR_RDX, GPR_RBX, GPR_RSP, GPR_RBP, GPR_RSI, GPR_RDI,
	GPR_R8, GPR_R9, GPR_R10, GPR_R11, GPR_R12, GPR_R13, GPR_R14, GPR_R15,
	GPR_COUNT
};

/* Same order as sreg fields of instructions; TR and LDTR follow. */
enum vmx_seg {
	SEG_ES, SEG_CS, SEG_SS, SEG_DS, SEG_FS, SEG_GS, SEG_LDTR, SEG_TR,
	SEG_COUNT
};

/* MSRs that hold the guest's values, not the host's, while @host_switched. */
enum vmx_switched_msr {
	SWITCH_STAR, SWITCH_LSTAR, SWITCH_SFMASK, SWITCH_TSC_AUX,
	SWITCH_COUNT
};

/*
 * Bits of v->cached and v->dirty: read RSP, RIP and RFLAGS from the VMCS, and
 * write them, only if needed.
 */
#define VMX_CACHED_RSP		(1u << 0)
#define VMX_CACHED_RIP		(1u << 1)
#define VMX_CACHED_RFLAGS	(1u << 2)

struct vmcs;
struct vmx_perf;

/*
 * struct vmx_vcpu - what the hardware room keeps of one vCPU
 * @gpr:	guest registers in enum vmx_gpr order; offset 0 is known to
 *		vmenter.S. gpr[GPR_RSP] is a copy of a VMCS field: use
 *		vmx_rsp() and vmx_set_rsp().
 *
 * Private to vmx/, except @gpr, @cr2, @on_code, @on_data and @logging. Protected
 * by the vCPU's mutex.
 */
struct vmx_vcpu {
	unsigned long gpr[GPR_COUNT];
	unsigned long host_rsp;		/* value of HOST_RSP in the VMCS; vmenter.S */
	u64 spec_ctrl;			/* guest's IA32_SPEC_CTRL; vmenter.S */
	u64 owns_spec_ctrl;		/* guest accesses it without exits; vmenter.S */
	unsigned long cr2;
	unsigned long rip;
	unsigned long rflags;
	u32 cached;			/* VMX_CACHED_*: copy equals the VMCS */
	u32 dirty;			/* VMX_CACHED_*: VMCS must be written */

	struct vmcs *vmcs;
	struct list_head loaded_link;	/* in vmx_cpu.loaded of the CPU @cpu */
	int cpu;			/* CPU on which the VMCS is active, or -1 */
	bool launched;
	bool fresh;			/* VMCS has never been loaded: vmx_load() clears it first */
	bool host_switched;		/* guest MSRs are loaded, host segments saved */
	bool l1d_unsafe;		/* the host's data may be in the L1D */
	bool need_flush;		/* drop cached translations before entry */
	u16 vpid;
	u64 eptp;

	u64 cr0;			/* as the guest sees it */
	u64 cr4;
	u64 efer;
	u64 msr[SWITCH_COUNT];
	u64 kernel_gs_base;
	u64 xcr0;
	u64 dr[4];
	u64 dr6;
	u64 dr7;
	u64 other_dr[4], other_dr7;	/* userspace's breakpoints, in force while @other_on */
	bool other_on;
	u8 on_code, on_data;		/* masks of DR0-3 in force: on code, on data and ports */
	u64 host_fs_base, host_kernel_gs_base;
	u16 host_fs_sel, host_gs_sel, host_ldt_sel, host_ds_sel, host_es_sel;
	u64 vmcs_fs_base;		/* host values that the VMCS holds; 0 in a new one */
	u16 vmcs_fs_sel, vmcs_gs_sel;
	unsigned long host_cr3, host_cr4;
	u64 host_debugctl;
	u32 proc_ctl, entry_ctl;	/* controls that change while the vCPU runs */
	u32 exception_bitmap;
	struct vmx_perf *perf;		/* perf.c */
	u32 perf_count;			/* MSRs in its lists; value of the counts in the VMCS */
	u64 *write_log;			/* PML log: a page, or NULL without PML */
	bool all_msrs_exit;
	bool logging;
	bool table_exits;		/* UMIP is on and emulated: see vmx_caps.umip_by_exits */
	u64 tsc_offset;
	u64 tsc_ratio;			/* see VMX_TSC_RATIO_SHIFT */
};

/*
 * struct keel_exit - why the guest stopped
 * @reason:	basic exit reason (EXIT_REASON_* of <asm/vmx.h>)
 * @raw:	the whole 32-bit exit reason; bit 31: VM entry failed on guest
 *		state
 * @vmfail:	0, or the VM-instruction error of a VMLAUNCH/VMRESUME that did
 *		not get as far as checking guest state (then @reason is void)
 * @intr_info:	exit interruption information (EXCEPTION_NMI only)
 * @vectoring:	IDT-vectoring information; 0: no event was being delivered
 *
 * Exit handlers read everything else from the VMCS.
 */
struct keel_exit {
	u16 reason;
	u32 raw;
	u32 vmfail;
	u32 intr_info;
	u32 vectoring;
};

/*
 * struct vmx_caps - what this CPU offers and the module parameters allow
 *
 * Filled once by vmx_setup(), constant afterwards.
 */
struct vmx_caps {
	u32 revision;
	u32 vmcs_size;
	u32 pin_ctl, proc_ctl, proc2_ctl, exit_ctl, entry_ctl;
	u64 cr0_fixed0, cr0_fixed1, cr4_fixed0, cr4_fixed1;
	u64 ept_vpid;
	bool vpid, ept_ad, ept_2m, ept_1g, unrestricted;
	bool invept_single, invvpid_single, tsc_scaling, ins_outs_info;
	bool load_pat, rdtscp, invpcid, pml, monitor_trap;
	bool umip_by_exits;		/* emulate UMIP, which the CPU lacks, by exits */
};

extern struct vmx_caps vmx_caps;

/*
 * Module init and exit. vmx_setup() probes the CPU and logs one line that says
 * what to do if it refuses. Process context.
 */
int vmx_setup(void);
void vmx_teardown(void);

/*
 * Enter VMX operation on all CPUs while at least one VM exists. Process
 * context. -EBUSY: another hypervisor owns VMX on some CPU, or the machine
 * reboots; -EOPNOTSUPP: the firmware has locked VMX off on some CPU; -EIO:
 * VMXON failed.
 */
int vmx_hardware_get(void);
void vmx_hardware_put(void);

/* Create and free a vCPU: process context, vCPU not loaded. */
int vmx_vcpu_init(struct vmx_vcpu *v);
void vmx_vcpu_free(struct vmx_vcpu *v);

/* Make the VMCS current on this CPU; restore the host state. Preemption off. */
void vmx_load(struct vmx_vcpu *v, int cpu);
void vmx_put(struct vmx_vcpu *v);

/* Set the guest state to that after power-on. */
void vmx_reset(struct vmx_vcpu *v);

/* Load the guest's MSRs and save the host's segments; vmx_put() undoes it. Preemption off. */
void vmx_switch_to_guest(struct vmx_vcpu *v);

/* Enter the guest, and fill in @exit at the VM exit. Interrupts off. */
void vmx_run(struct vmx_vcpu *v, struct keel_exit *exit);

/*
 * End the guest time that vmx_run() began. Call with interrupts on again, so
 * that the tick that caused the exit is accounted as guest time.
 */
void vmx_account_exit(void);

/*
 * Pass an NMI or machine check that caused this exit to the host. Interrupts
 * off, right after vmx_run().
 */
void vmx_handle_nmi(const struct keel_exit *exit);

/* Set the EPT root. @root: host physical address of the top-level EPT page. */
void vmx_set_ept_root(struct vmx_vcpu *v, u64 root);

/* Flush this vCPU's translations on this CPU before the next entry. Any context. */
static inline void vmx_flush_tlb(struct vmx_vcpu *v)
{
	v->need_flush = true;
}

/* Fields of the last exit; each call is one VMREAD. */
u64 vmx_exit_qualification(struct vmx_vcpu *v);
u64 vmx_exit_gpa(struct vmx_vcpu *v);
u64 vmx_exit_linear(struct vmx_vcpu *v);
u32 vmx_exit_insn_len(struct vmx_vcpu *v);
u32 vmx_exit_error_code(struct vmx_vcpu *v);	/* of an exception that has one */
u32 vmx_exit_insn_info(struct vmx_vcpu *v);
u32 vmx_vectoring_error_code(struct vmx_vcpu *v);

void vmx_read_rip(struct vmx_vcpu *v);
void vmx_read_rsp(struct vmx_vcpu *v);
void vmx_read_rflags(struct vmx_vcpu *v);
/* Read those of the three that are not cached. */
void vmx_read_registers(struct vmx_vcpu *v);

static inline u64 vmx_rip(struct vmx_vcpu *v)
{
	if (!(v->cached & VMX_CACHED_RIP))
		vmx_read_rip(v);
	return v->rip;
}

static inline u64 vmx_rsp(struct vmx_vcpu *v)
{
	if (!(v->cached & VMX_CACHED_RSP))
		vmx_read_rsp(v);
	return v->gpr[GPR_RSP];
}

static inline u64 vmx_rflags(struct vmx_vcpu *v)
{
	if (!(v->cached & VMX_CACHED_RFLAGS))
		vmx_read_rflags(v);
	return v->rflags;
}

static inline void vmx_set_rip(struct vmx_vcpu *v, u64 val)
{
	v->rip = val;
	v->cached |= VMX_CACHED_RIP;
	v->dirty |= VMX_CACHED_RIP;
}

static inline void vmx_set_rsp(struct vmx_vcpu *v, u64 val)
{
	v->gpr[GPR_RSP] = val;
	v->cached |= VMX_CACHED_RSP;
	v->dirty |= VMX_CACHED_RSP;
}

static inline void vmx_set_rflags(struct vmx_vcpu *v, u64 val)
{
	v->rflags = val | X86_EFLAGS_FIXED;
	v->cached |= VMX_CACHED_RFLAGS;
	v->dirty |= VMX_CACHED_RFLAGS;
}

/* Step over the instruction that exited; clears STI/MOV-SS shadow. */
void vmx_skip_insn(struct vmx_vcpu *v);

/*
 * Control registers as the guest sees them. Setters take any value that the
 * caller has found legal; they keep the IA-32e entry control and the fixed bits
 * consistent, but do not reload PDPTEs (see vmx_set_pdptrs()).
 */
static inline u64 vmx_cr0(const struct vmx_vcpu *v)
{
	return v->cr0;
}

static inline u64 vmx_cr4(const struct vmx_vcpu *v)
{
	return v->cr4;
}

u64 vmx_cr3(struct vmx_vcpu *v);
void vmx_set_cr0(struct vmx_vcpu *v, u64 val);
void vmx_set_cr3(struct vmx_vcpu *v, u64 val);
void vmx_set_cr4(struct vmx_vcpu *v, u64 val);
/* Take LMA from @val as it is. */
void vmx_set_efer(struct vmx_vcpu *v, u64 val);
static inline u64 vmx_efer(struct vmx_vcpu *v)
{
	return v->efer;
}

void vmx_set_pdptrs(struct vmx_vcpu *v, const u64 pdptr[4]);
void vmx_get_pdptrs(struct vmx_vcpu *v, u64 pdptr[4]);

/* Segments and descriptor tables in the KVM ABI's shape. */
void vmx_get_segment(struct vmx_vcpu *v, enum vmx_seg seg, struct kvm_segment *s);
void vmx_set_segment(struct vmx_vcpu *v, enum vmx_seg seg, const struct kvm_segment *s);
int vmx_cpl(struct vmx_vcpu *v);
void vmx_get_gdt(struct vmx_vcpu *v, struct kvm_dtable *dt);
void vmx_set_gdt(struct vmx_vcpu *v, const struct kvm_dtable *dt);
void vmx_get_idt(struct vmx_vcpu *v, struct kvm_dtable *dt);
void vmx_set_idt(struct vmx_vcpu *v, const struct kvm_dtable *dt);
/* True if the guest is in 64-bit code (EFER.LMA and CS.L). */
bool vmx_in_long_mode_code(struct vmx_vcpu *v);

/* Debug registers: DR0-3 by index, 6 and 7. */
u64 vmx_dr(struct vmx_vcpu *v, int nr);
void vmx_set_dr(struct vmx_vcpu *v, int nr, u64 val);

/*
 * Put userspace's breakpoints in force instead of the guest's;
 * vmx_own_breakpoints() puts the guest's back. Meanwhile the guest's DR0-3 and
 * DR7 keep their values, without effect. @dr7 must be loadable.
 */
void vmx_other_breakpoints(struct vmx_vcpu *v, const u64 dr[4], u64 dr7);
void vmx_own_breakpoints(struct vmx_vcpu *v);
/* The DR7 in force: userspace's or the guest's. */
static inline u64 vmx_hw_dr7(const struct vmx_vcpu *v)
{
	return v->other_on ? v->other_dr7 : v->dr7;
}

/* One of the DR0-3 in force. */
static inline u64 vmx_hw_dr(const struct vmx_vcpu *v, int nr)
{
	return v->other_on ? v->other_dr[nr] : v->dr[nr];
}

/* Exit on #BP. */
void vmx_intercept_bp(struct vmx_vcpu *v, bool on);

/*
 * MSRs that live in the VMCS or in host registers: FS_BASE GS_BASE
 * KERNEL_GS_BASE SYSENTER_{CS,ESP,EIP} STAR LSTAR SFMASK TSC_AUX DEBUGCTL.
 * Return false for any other index (CSTAR is only stored; EFER, PAT and TSC
 * have functions of their own) and for writes of TSC_AUX without RDTSCP. The
 * caller of vmx_set_msr() has checked the value (canonical, reserved bits).
 */
bool vmx_get_msr(struct vmx_vcpu *v, u32 index, u64 *val);
bool vmx_set_msr(struct vmx_vcpu *v, u32 index, u64 val);

/*
 * IA32_SPEC_CTRL, if the CPU has it. The caller has checked @val. From the
 * first non-zero value on the guest accesses the register without exits.
 */
static inline u64 vmx_spec_ctrl(const struct vmx_vcpu *v)
{
	return v->spec_ctrl;
}

void vmx_set_spec_ctrl(struct vmx_vcpu *v, u64 val);

/*
 * Exit on every RDMSR and WRMSR (@all), or only on MSRs that the default bitmap
 * does not pass through.
 */
void vmx_intercept_msrs(struct vmx_vcpu *v, bool all);

/* Set the PAT that the guest runs with, if the CPU switches it. */
void vmx_set_pat(struct vmx_vcpu *v, u64 val);

/*
 * Time stamp counter: guest TSC = host TSC * ratio / 2^48 + offset. A ratio
 * other than 1:1 needs vmx_caps.tsc_scaling.
 */
#define VMX_TSC_RATIO_SHIFT	48

/*
 * Host TSC ticks lost since the module was loaded: many machines restart the
 * counter from zero at resume. Changes only while all tasks are frozen.
 */
extern u64 vmx_tsc_lost;

/*
 * The host TSC plus vmx_tsc_lost, so that it never goes back. Outside vmx/
 * "host TSC" means this value.
 */
u64 vmx_host_tsc(void);

#define VMX_TSC_RATIO_ONE	(1ull << VMX_TSC_RATIO_SHIFT)
void vmx_set_tsc(struct vmx_vcpu *v, u64 offset, u64 ratio);
u64 vmx_guest_tsc(struct vmx_vcpu *v, u64 host_tsc);

/* Guest XCR0; takes effect at the next entry. */
static inline u64 vmx_xcr0(struct vmx_vcpu *v)
{
	return v->xcr0;
}

static inline void vmx_set_xcr0(struct vmx_vcpu *v, u64 val)
{
	v->xcr0 = val;
}

/*
 * Event injection. @info has the format of the VM-entry
 * interruption-information field (INTR_INFO_* of <asm/vmx.h>); one event per
 * entry.
 */
void vmx_inject(struct vmx_vcpu *v, u32 info, u32 error_code, u32 insn_len);
void vmx_cancel_injection(struct vmx_vcpu *v);
u32 vmx_interruptibility(struct vmx_vcpu *v);		/* GUEST_INTR_STATE_* */
void vmx_set_interruptibility(struct vmx_vcpu *v, u32 state);
void vmx_irq_window(struct vmx_vcpu *v, bool on);	/* exit when IRQs open */
void vmx_nmi_window(struct vmx_vcpu *v, bool on);	/* exit when NMIs open */
/*
 * Exit after each instruction, and before the first one of an event handler.
 * Needs vmx_caps.monitor_trap.
 */
void vmx_monitor_trap(struct vmx_vcpu *v, bool on);
/*
 * The pending debug exceptions of the VMCS. sync_pending_debug() in irq.c keeps
 * them in step with RFLAGS.TF.
 */
void vmx_set_pending_debug(struct vmx_vcpu *v, u64 val);
u64 vmx_pending_debug(struct vmx_vcpu *v);

/*
 * Page-modification logging (PML): the CPU logs the gpa of each page whose EPT
 * dirty bit it sets. vmx_log_writes() turns this on or off from the next entry
 * on, if vmx_caps.pml. vmx_take_log() empties the log, returns the number of
 * its entries, up to VMX_LOG_ENTRIES, and points @gpas to them; they are valid
 * until the next entry.
 */
#define VMX_LOG_ENTRIES	512
void vmx_log_writes(struct vmx_vcpu *v, bool on);
unsigned int vmx_take_log(struct vmx_vcpu *v, const u64 **gpas);

/* Log the state that made an entry fail, rate-limited. */
void vmx_dump(struct vmx_vcpu *v, const struct keel_exit *exit);

#endif
