// SPDX-License-Identifier: GPL-2.0
/*
 * Guest registers that live in the VMCS or in host registers: reads and writes
 * them and keeps the fields of the VMCS consistent. Callers outside vmx/ check
 * that a value is legal for the guest.
 */
#include <asm/msr.h>
#include <asm/processor-flags.h>
#include <asm/tlbflush.h>
#include <asm/trapnr.h>

#include "controls.h"
#include "ops.h"
#include "vmcs.h"

/* --- general registers -------------------------------------------------- */

void vmx_read_rip(struct vmx_vcpu *v)
{
	v->rip = vmcs_read(GUEST_RIP);
	v->cached |= VMX_CACHED_RIP;
}

void vmx_read_rsp(struct vmx_vcpu *v)
{
	v->gpr[GPR_RSP] = vmcs_read(GUEST_RSP);
	v->cached |= VMX_CACHED_RSP;
}

void vmx_read_rflags(struct vmx_vcpu *v)
{
	v->rflags = vmcs_read(GUEST_RFLAGS);
	v->cached |= VMX_CACHED_RFLAGS;
}

void vmx_read_registers(struct vmx_vcpu *v)
{
	if (!(v->cached & VMX_CACHED_RIP))
		v->rip = vmcs_read(GUEST_RIP);
	if (!(v->cached & VMX_CACHED_RSP))
		v->gpr[GPR_RSP] = vmcs_read(GUEST_RSP);
	if (!(v->cached & VMX_CACHED_RFLAGS))
		v->rflags = vmcs_read(GUEST_RFLAGS);
	v->cached |= VMX_CACHED_RIP | VMX_CACHED_RSP | VMX_CACHED_RFLAGS;
}

void vmx_skip_insn(struct vmx_vcpu *v)
{
	u64 old = vmx_rip(v), rip = old + vmx_exit_insn_len(v);
	u32 state = vmx_interruptibility(v);

	/* Outside 64-bit code EIP wraps at 4 GiB; look the mode up only if this RIP crosses it. */
	if (unlikely((rip ^ old) >> 32) && !vmx_in_long_mode_code(v))
		rip = (u32)rip;
	vmx_set_rip(v, rip);
	if (state & (GUEST_INTR_STATE_STI | GUEST_INTR_STATE_MOV_SS))
		vmx_set_interruptibility(v, state & ~(GUEST_INTR_STATE_STI |
						      GUEST_INTR_STATE_MOV_SS));
}

/* --- control registers -------------------------------------------------- */

u64 vmx_cr3(struct vmx_vcpu *v)
{
	return vmcs_read(GUEST_CR3);
}

void vmx_set_cr0(struct vmx_vcpu *v, u64 val)
{
	u64 fixed = vmx_caps.cr0_fixed0;
	/*
	 * Never set CD and NW in hardware: with CD set, all memory of the guest
	 * would be uncached.
	 */
	u64 hw = val & ~(X86_CR0_CD | X86_CR0_NW);

	if (vmx_caps.unrestricted)
		fixed &= ~(X86_CR0_PE | X86_CR0_PG);
	v->cr0 = val;
	vmcs_write(CR0_READ_SHADOW, val);
	vmcs_write(GUEST_CR0, (hw | fixed) & vmx_caps.cr0_fixed1);
}

void vmx_set_cr3(struct vmx_vcpu *v, u64 val)
{
	vmcs_write(GUEST_CR3, val);
}

/*
 * Emulate UMIP on a CPU without it: make the descriptor-table instructions
 * exit, so that the emulator can refuse them at CPL > 0.
 */
static void exit_on_tables(struct vmx_vcpu *v, bool on)
{
	if (likely(v->table_exits == on))
		return;
	v->table_exits = on;
	vmcs_write_proc2(v);
}

void vmx_set_cr4(struct vmx_vcpu *v, u64 val)
{
	/* Keep the host's CR4.MCE: a machine check with the bit clear would shut the CPU down. */
	u64 hw = val | (cr4_read_shadow() & X86_CR4_MCE) | vmx_caps.cr4_fixed0;

	if (vmx_caps.umip_by_exits) {
		hw &= ~X86_CR4_UMIP;
		exit_on_tables(v, val & X86_CR4_UMIP);
	}
	v->cr4 = val;
	vmcs_write(CR4_READ_SHADOW, val);
	vmcs_write(GUEST_CR4, hw);
}

void vmx_set_efer(struct vmx_vcpu *v, u64 val)
{
	u32 ctl = v->entry_ctl & ~ENTRY_IA32E;

	if (val & EFER_LMA)
		ctl |= ENTRY_IA32E;
	if (ctl != v->entry_ctl) {
		v->entry_ctl = ctl;
		vmcs_write(VM_ENTRY_CONTROLS, ctl);
	}
	v->efer = val;
	vmcs_write(GUEST_IA32_EFER, val);
}

void vmx_set_pdptrs(struct vmx_vcpu *v, const u64 pdptr[4])
{
	int i;

	for (i = 0; i < 4; i++)
		vmcs_write(GUEST_PDPTR0 + 2 * i, pdptr[i]);
}

void vmx_get_pdptrs(struct vmx_vcpu *v, u64 pdptr[4])
{
	int i;

	for (i = 0; i < 4; i++)
		pdptr[i] = vmcs_read(GUEST_PDPTR0 + 2 * i);
}

/* --- segments ----------------------------------------------------------- */

/* Encodings of a field are 2 apart from one segment to the next, in the order of enum vmx_seg. */
static const u8 seg_index[SEG_COUNT] = {
	[SEG_ES] = 0, [SEG_CS] = 1, [SEG_SS] = 2, [SEG_DS] = 3,
	[SEG_FS] = 4, [SEG_GS] = 5, [SEG_LDTR] = 6, [SEG_TR] = 7,
};

static unsigned long seg_field(unsigned long es_field, enum vmx_seg seg)
{
	return es_field + 2 * seg_index[seg];
}

void vmx_get_segment(struct vmx_vcpu *v, enum vmx_seg seg, struct kvm_segment *s)
{
	u32 ar = vmcs_read(seg_field(GUEST_ES_AR_BYTES, seg));

	*s = (struct kvm_segment) {
		.base = vmcs_read(seg_field(GUEST_ES_BASE, seg)),
		.limit = vmcs_read(seg_field(GUEST_ES_LIMIT, seg)),
		.selector = vmcs_read(seg_field(GUEST_ES_SELECTOR, seg)),
		.type = ar & 15,
		.s = (ar >> 4) & 1,
		.dpl = VMX_AR_DPL(ar),
		.unusable = (ar >> 16) & 1,
		.avl = (ar >> 12) & 1,
		.l = (ar >> 13) & 1,
		.db = (ar >> 14) & 1,
		.g = (ar >> 15) & 1,
	};
	/* The ABI's present bit means usable, and the CPU may clear P in an unusable segment. */
	s->present = !s->unusable;
}

static u32 access_rights(enum vmx_seg seg, const struct kvm_segment *s)
{
	u32 ar = (s->type & 15) | (s->s & 1) << 4 | (s->dpl & 3) << 5 | (s->present & 1) << 7 |
		 (s->avl & 1) << 12 | (s->l & 1) << 13 | (s->db & 1) << 14 | (s->g & 1) << 15;

	if (s->unusable || !s->present)
		ar |= VMX_AR_UNUSABLE_MASK;
	/*
	 * An unrestricted guest may start with segments not marked accessed,
	 * but VM entry demands the bit wherever a segment is usable.
	 */
	if (vmx_caps.unrestricted && seg != SEG_LDTR && seg != SEG_TR)
		ar |= VMX_AR_TYPE_ACCESSES_MASK;
	return ar;
}

void vmx_set_segment(struct vmx_vcpu *v, enum vmx_seg seg, const struct kvm_segment *s)
{
	vmcs_write(seg_field(GUEST_ES_BASE, seg), s->base);
	vmcs_write(seg_field(GUEST_ES_LIMIT, seg), s->limit);
	vmcs_write(seg_field(GUEST_ES_SELECTOR, seg), s->selector);
	vmcs_write(seg_field(GUEST_ES_AR_BYTES, seg), access_rights(seg, s));
}

int vmx_cpl(struct vmx_vcpu *v)
{
	if (!(v->cr0 & X86_CR0_PE))
		return 0;
	return VMX_AR_DPL(vmcs_read(GUEST_SS_AR_BYTES));
}

bool vmx_in_long_mode_code(struct vmx_vcpu *v)
{
	return (v->efer & EFER_LMA) && (vmcs_read(GUEST_CS_AR_BYTES) & VMX_AR_L_MASK);
}

void vmx_get_gdt(struct vmx_vcpu *v, struct kvm_dtable *dt)
{
	dt->base = vmcs_read(GUEST_GDTR_BASE);
	dt->limit = vmcs_read(GUEST_GDTR_LIMIT);
}

void vmx_set_gdt(struct vmx_vcpu *v, const struct kvm_dtable *dt)
{
	vmcs_write(GUEST_GDTR_BASE, dt->base);
	vmcs_write(GUEST_GDTR_LIMIT, dt->limit);
}

void vmx_get_idt(struct vmx_vcpu *v, struct kvm_dtable *dt)
{
	dt->base = vmcs_read(GUEST_IDTR_BASE);
	dt->limit = vmcs_read(GUEST_IDTR_LIMIT);
}

void vmx_set_idt(struct vmx_vcpu *v, const struct kvm_dtable *dt)
{
	vmcs_write(GUEST_IDTR_BASE, dt->base);
	vmcs_write(GUEST_IDTR_LIMIT, dt->limit);
}

/* --- debug registers ---------------------------------------------------- */

u64 vmx_dr(struct vmx_vcpu *v, int nr)
{
	return nr < 4 ? v->dr[nr] : nr == 6 ? v->dr6 : v->dr7;
}

/*
 * Cache the enabled breakpoints in @on_code and @on_data: the emulator then
 * need not decode DR7 for every access.
 */
static void breakpoints_changed(struct vmx_vcpu *v)
{
	u64 dr7 = vmx_hw_dr7(v);
	int i;

	v->on_code = 0;
	v->on_data = 0;
	for (i = 0; i < 4; i++) {
		if (!(dr7 >> 2 * i & 3))
			continue;
		if (dr7 >> (16 + 4 * i) & 3)
			v->on_data |= BIT(i);
		else
			v->on_code |= BIT(i);
	}
	vmcs_write(GUEST_DR7, dr7);
}

void vmx_set_dr(struct vmx_vcpu *v, int nr, u64 val)
{
	if (nr < 4)
		v->dr[nr] = val;
	else if (nr == 6)
		v->dr6 = val;
	else
		v->dr7 = val;
	if (nr == 7)
		breakpoints_changed(v);
}

void vmx_other_breakpoints(struct vmx_vcpu *v, const u64 dr[4], u64 dr7)
{
	memcpy(v->other_dr, dr, sizeof(v->other_dr));
	v->other_dr7 = dr7;
	v->other_on = true;
	breakpoints_changed(v);
}

void vmx_own_breakpoints(struct vmx_vcpu *v)
{
	v->other_on = false;
	breakpoints_changed(v);
}

void vmx_intercept_bp(struct vmx_vcpu *v, bool on)
{
	u32 bit = BIT(X86_TRAP_BP);

	v->exception_bitmap = on ? v->exception_bitmap | bit : v->exception_bitmap & ~bit;
	vmcs_write(EXCEPTION_BITMAP, v->exception_bitmap);
}

/* --- MSRs --------------------------------------------------------------- */

static int msr_field(u32 index)
{
	switch (index) {
	case MSR_FS_BASE:
		return GUEST_FS_BASE;
	case MSR_GS_BASE:
		return GUEST_GS_BASE;
	case MSR_IA32_SYSENTER_CS:
		return GUEST_SYSENTER_CS;
	case MSR_IA32_SYSENTER_ESP:
		return GUEST_SYSENTER_ESP;
	case MSR_IA32_SYSENTER_EIP:
		return GUEST_SYSENTER_EIP;
	case MSR_IA32_DEBUGCTLMSR:
		return GUEST_IA32_DEBUGCTL;
	}
	return -1;
}

static int switched_index(u32 msr)
{
	int i;

	for (i = 0; i < SWITCH_COUNT; i++)
		if (vmx_switched_msrs[i] == msr)
			return i;
	return -1;
}

/* While @host_switched, the guest may change the register without an exit: read it anew. */
static u64 read_kernel_gs_base(struct vmx_vcpu *v)
{
	preempt_disable();
	if (v->host_switched)
		rdmsrl(MSR_KERNEL_GS_BASE, v->kernel_gs_base);
	preempt_enable();
	return v->kernel_gs_base;
}

static void write_kernel_gs_base(struct vmx_vcpu *v, u64 val)
{
	preempt_disable();
	if (v->host_switched)
		wrmsrl(MSR_KERNEL_GS_BASE, val);
	v->kernel_gs_base = val;
	preempt_enable();
}

static void write_switched(struct vmx_vcpu *v, int i, u64 val)
{
	preempt_disable();
	v->msr[i] = val;
	if (v->host_switched)
		wrmsrl(vmx_switched_msrs[i], val);
	preempt_enable();
}

bool vmx_get_msr(struct vmx_vcpu *v, u32 index, u64 *val)
{
	int i;

	if (index == MSR_KERNEL_GS_BASE) {
		*val = read_kernel_gs_base(v);
		return true;
	}
	i = switched_index(index);
	if (i >= 0) {
		*val = v->msr[i];
		return true;
	}
	i = msr_field(index);
	if (i >= 0)
		*val = vmcs_read(i);
	return i >= 0;
}

bool vmx_set_msr(struct vmx_vcpu *v, u32 index, u64 val)
{
	int i;

	if (index == MSR_KERNEL_GS_BASE) {
		write_kernel_gs_base(v, val);
		return true;
	}
	i = switched_index(index);
	if (i >= 0) {
		if (i == SWITCH_TSC_AUX && !vmx_caps.rdtscp)
			return false;
		write_switched(v, i, val);
		return true;
	}
	i = msr_field(index);
	if (i >= 0)
		vmcs_write(i, val);
	return i >= 0;
}

void vmx_set_pat(struct vmx_vcpu *v, u64 val)
{
	if (vmx_caps.load_pat)
		vmcs_write(GUEST_IA32_PAT, val);
}

/* --- time --------------------------------------------------------------- */

u64 vmx_host_tsc(void)
{
	return rdtsc_ordered() + vmx_tsc_lost;
}

void vmx_set_tsc(struct vmx_vcpu *v, u64 offset, u64 ratio)
{
	v->tsc_offset = offset;
	if (vmx_caps.tsc_scaling) {
		v->tsc_ratio = ratio;
		vmcs_write(TSC_MULTIPLIER, ratio);
	}
	vmx_write_tsc_offset(v);
}

u64 vmx_guest_tsc(struct vmx_vcpu *v, u64 host_tsc)
{
	if (v->tsc_ratio != VMX_TSC_RATIO_ONE)
		host_tsc = mul_u64_u64_shr(host_tsc, v->tsc_ratio, VMX_TSC_RATIO_SHIFT);
	return host_tsc + v->tsc_offset;
}

/*
 * TSC_OFFSET is relative to the raw host counter, which has lost vmx_tsc_lost
 * ticks: add these, scaled.
 */
void vmx_write_tsc_offset(struct vmx_vcpu *v)
{
	vmcs_write(TSC_OFFSET, vmx_guest_tsc(v, vmx_tsc_lost));
}

/* --- events ------------------------------------------------------------- */

void vmx_inject(struct vmx_vcpu *v, u32 info, u32 error_code, u32 insn_len)
{
	if (info & INTR_INFO_DELIVER_CODE_MASK)
		vmcs_write(VM_ENTRY_EXCEPTION_ERROR_CODE, error_code);
	if (insn_len)
		vmcs_write(VM_ENTRY_INSTRUCTION_LEN, insn_len);
	vmcs_write(VM_ENTRY_INTR_INFO_FIELD, info);
}

void vmx_cancel_injection(struct vmx_vcpu *v)
{
	vmcs_write(VM_ENTRY_INTR_INFO_FIELD, 0);
}

u32 vmx_interruptibility(struct vmx_vcpu *v)
{
	return vmcs_read(GUEST_INTERRUPTIBILITY_INFO);
}

void vmx_set_interruptibility(struct vmx_vcpu *v, u32 state)
{
	vmcs_write(GUEST_INTERRUPTIBILITY_INFO, state);
}

static void set_proc_ctl(struct vmx_vcpu *v, u32 bit, bool on)
{
	u32 ctl = on ? v->proc_ctl | bit : v->proc_ctl & ~bit;

	if (ctl == v->proc_ctl)
		return;
	v->proc_ctl = ctl;
	vmcs_write(CPU_BASED_VM_EXEC_CONTROL, ctl);
}

void vmx_irq_window(struct vmx_vcpu *v, bool on)
{
	set_proc_ctl(v, PROC_IRQ_WINDOW, on);
}

void vmx_nmi_window(struct vmx_vcpu *v, bool on)
{
	set_proc_ctl(v, PROC_NMI_WINDOW, on);
}

void vmx_monitor_trap(struct vmx_vcpu *v, bool on)
{
	set_proc_ctl(v, PROC_MONITOR_TRAP, on);
}

void vmx_set_pending_debug(struct vmx_vcpu *v, u64 val)
{
	vmcs_write(GUEST_PENDING_DBG_EXCEPTIONS, val);
}

u64 vmx_pending_debug(struct vmx_vcpu *v)
{
	return vmcs_read(GUEST_PENDING_DBG_EXCEPTIONS);
}

/* --- what the last exit says -------------------------------------------- */

u64 vmx_exit_qualification(struct vmx_vcpu *v)
{
	return vmcs_read(EXIT_QUALIFICATION);
}

u64 vmx_exit_gpa(struct vmx_vcpu *v)
{
	return vmcs_read(GUEST_PHYSICAL_ADDRESS);
}

u64 vmx_exit_linear(struct vmx_vcpu *v)
{
	return vmcs_read(GUEST_LINEAR_ADDRESS);
}

u32 vmx_exit_insn_len(struct vmx_vcpu *v)
{
	return vmcs_read(VM_EXIT_INSTRUCTION_LEN);
}

u32 vmx_exit_error_code(struct vmx_vcpu *v)
{
	return vmcs_read(VM_EXIT_INTR_ERROR_CODE);
}

u32 vmx_exit_insn_info(struct vmx_vcpu *v)
{
	return vmcs_read(VMX_INSTRUCTION_INFO);
}

u32 vmx_vectoring_error_code(struct vmx_vcpu *v)
{
	return vmcs_read(IDT_VECTORING_ERROR_CODE);
}
