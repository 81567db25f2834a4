// SPDX-License-Identifier: GPL-2.0
/*
 * Runs a guest: saves and restores host state, enters the guest, and fills
 * struct keel_exit with the reason of the exit. Also creates, resets and frees
 * the hardware half of a vCPU.
 */
#include <linux/hw_breakpoint.h>
#include <linux/kernel.h>
#include <linux/ratelimit.h>
#include <asm/debugreg.h>
#include <asm/desc.h>
#include <asm/fpu/xcr.h>
#include <asm/mce.h>
#include <asm/mmu_context.h>
#include <asm/msr.h>
#include <asm/nospec-branch.h>
#include <asm/trapnr.h>

#include "context.h"
#include "controls.h"
#include "ops.h"
#include "vmcs.h"

/* Debug registers after power-on, with the bits that always read as 1. */
#define DR6_RESET	0xffff0ff0
#define DR7_RESET	0x400

static_assert(offsetof(struct vmx_vcpu, gpr) == 0);
static_assert(offsetof(struct vmx_vcpu, host_rsp) == 16 * 8);
static_assert(offsetof(struct vmx_vcpu, spec_ctrl) == 17 * 8);
static_assert(offsetof(struct vmx_vcpu, owns_spec_ctrl) == 18 * 8);

/* --- host segments and MSRs --------------------------------------------- */

/*
 * Use the native MSR accessors: only a Xen PV kernel replaces them, and probe()
 * refuses it. No access can fault: the MSRs exist, and each value is the
 * kernel's own or has been checked by msr.c.
 */

static void save_host_segments(struct vmx_vcpu *v)
{
	savesegment(fs, v->host_fs_sel);
	savesegment(gs, v->host_gs_sel);
	savesegment(ds, v->host_ds_sel);
	savesegment(es, v->host_es_sel);
	store_ldt(v->host_ldt_sel);
	v->host_fs_base = __rdmsr(MSR_FS_BASE);
	v->host_kernel_gs_base = __rdmsr(MSR_KERNEL_GS_BASE);
}

/* VM entry demands host selectors of the GDT with RPL 0: restore_host_segments() reloads others. */
static u16 loadable(u16 sel)
{
	return sel & 7 ? 0 : sel;
}

/* Write only changed values: a thread that runs its vCPU repeatedly has the same ones each time. */
static void write_host_segments(struct vmx_vcpu *v)
{
	u16 fs = loadable(v->host_fs_sel), gs = loadable(v->host_gs_sel);

	if (unlikely(fs != v->vmcs_fs_sel)) {
		vmcs_write(HOST_FS_SELECTOR, fs);
		v->vmcs_fs_sel = fs;
	}
	if (unlikely(gs != v->vmcs_gs_sel)) {
		vmcs_write(HOST_GS_SELECTOR, gs);
		v->vmcs_gs_sel = gs;
	}
	if (unlikely(v->host_fs_base != v->vmcs_fs_base)) {
		vmcs_write(HOST_FS_BASE, v->host_fs_base);
		v->vmcs_fs_base = v->host_fs_base;
	}
}

static void load_msrs(const u64 *new, const u64 *old)
{
	int i;

	/* Unroll: with four MSRs the loop counter would cost as much as the comparisons. */
#pragma GCC unroll 4
	for (i = 0; i < SWITCH_COUNT; i++)
		if (new[i] != old[i])
			native_wrmsrl(vmx_switched_msrs[i], new[i]);
}

void vmx_switch_to_guest(struct vmx_vcpu *v)
{
	if (v->host_switched)
		return;
	save_host_segments(v);
	write_host_segments(v);
	load_msrs(v->msr, this_cpu_ptr(&vmx_cpu)->host_msr);
	native_wrmsrl(MSR_KERNEL_GS_BASE, v->kernel_gs_base);
	v->l1d_unsafe = true;
	v->host_switched = true;
}

static void restore_host_segments(struct vmx_vcpu *v)
{
	if (unlikely(v->host_ldt_sel))
		asm volatile("lldt %0" : : "m" (v->host_ldt_sel));
	if (unlikely(v->host_fs_sel & 7)) {
		loadsegment(fs, v->host_fs_sel);
		wrmsrl(MSR_FS_BASE, v->host_fs_base);
	}
	if (unlikely(v->host_gs_sel & 7))
		load_gs_index(v->host_gs_sel);
	if (unlikely(v->host_ds_sel | v->host_es_sel)) {
		loadsegment(ds, v->host_ds_sel);
		loadsegment(es, v->host_es_sel);
	}
	native_wrmsrl(MSR_KERNEL_GS_BASE, v->host_kernel_gs_base);
}

static void restore_host(struct vmx_vcpu *v)
{
	v->kernel_gs_base = __rdmsr(MSR_KERNEL_GS_BASE);
	restore_host_segments(v);
	load_msrs(this_cpu_ptr(&vmx_cpu)->host_msr, v->msr);
	/* A VM exit sets the limits of TR and GDTR to constants: restore the kernel's. */
	invalidate_tss_limit();
	load_fixmap_gdt(smp_processor_id());
	v->host_switched = false;
}

void vmx_put(struct vmx_vcpu *v)
{
	unsigned long flags;

	if (v->host_switched)
		restore_host(v);
	if (unlikely(this_cpu_read(vmx_cpu.dying))) {
		local_irq_save(flags);
		vmx_off_here();
		local_irq_restore(flags);
	}
}

/* --- one entry ---------------------------------------------------------- */

static void write_dirty_registers(struct vmx_vcpu *v)
{
	if (v->dirty & VMX_CACHED_RIP)
		vmcs_write(GUEST_RIP, v->rip);
	if (v->dirty & VMX_CACHED_RSP)
		vmcs_write(GUEST_RSP, v->gpr[GPR_RSP]);
	if (v->dirty & VMX_CACHED_RFLAGS)
		vmcs_write(GUEST_RFLAGS, v->rflags);
	v->dirty = 0;
	v->cached = 0;
}

static void write_host_crs(struct vmx_vcpu *v)
{
	unsigned long cr3 = __read_cr3(), cr4 = cr4_read_shadow();

	if (unlikely(cr3 != v->host_cr3)) {
		vmcs_write(HOST_CR3, cr3);
		v->host_cr3 = cr3;
	}
	if (unlikely(cr4 != v->host_cr4)) {
		vmcs_write(HOST_CR4, cr4);
		v->host_cr4 = cr4;
	}
}

static bool breakpoints_on(const struct vmx_vcpu *v)
{
	return vmx_hw_dr7(v) & (DR_GLOBAL_ENABLE_MASK | DR_LOCAL_ENABLE_MASK);
}

static void load_guest_breakpoints(const struct vmx_vcpu *v)
{
	const u64 *dr = v->other_on ? v->other_dr : v->dr;

	set_debugreg(0, 7);
	set_debugreg(dr[0], 0);
	set_debugreg(dr[1], 1);
	set_debugreg(dr[2], 2);
	set_debugreg(dr[3], 3);
}

/* A VM exit resets DR7 and IA32_DEBUGCTL, whether or not the guest used them. */
static void restore_host_debug(const struct vmx_vcpu *v)
{
	if (unlikely(hw_breakpoint_active()))
		hw_breakpoint_restore();
	if (unlikely(v->host_debugctl))
		update_debugctlmsr(v->host_debugctl);
}

static void swap_xcr0(u64 from, u64 to)
{
	if (unlikely(from != to))
		xsetbv(XCR_XFEATURE_ENABLED_MASK, to);
}

/*
 * Load the guest's XCR0 only while its CR4.OSXSAVE is set: without it no XSAVE
 * instruction works.
 */
static u64 entry_xcr0(const struct vmx_vcpu *v, u64 host)
{
	return v->cr4 & X86_CR4_OSXSAVE ? v->xcr0 : host;
}

static noinstr int enter_guest(struct vmx_vcpu *v)
{
	int failed;

	vmx_context_enter();
	vmx_flush_l1d(v);
	if (static_branch_unlikely(&mmio_stale_data_clear))
		x86_clear_cpu_buffers();
	if (v->cr2 != native_read_cr2())
		native_write_cr2(v->cr2);

	failed = vmx_enter(v, v->launched);

	v->cr2 = native_read_cr2();
	vmx_context_exit();
	return failed;
}

/*
 * Only the exits listed here can interrupt the delivery of an event: skip the
 * VMREAD of the IDT-vectoring information for the others. An injected event
 * counts as delivered unless this field says otherwise.
 */
static bool exit_may_interrupt_delivery(u16 reason)
{
	switch (reason) {
	case EXIT_REASON_EXCEPTION_NMI:
	case EXIT_REASON_TASK_SWITCH:
	case EXIT_REASON_APIC_ACCESS:
	case EXIT_REASON_EPT_VIOLATION:
	case EXIT_REASON_EPT_MISCONFIG:
	case EXIT_REASON_PML_FULL:
		return true;
	}
	return false;
}

static void fill_exit(struct vmx_vcpu *v, struct keel_exit *exit, int failed)
{
	*exit = (struct keel_exit) { 0 };
	if (unlikely(failed)) {
		/* VMfailInvalid sets no error number: report ~0, as 0 would mean success. */
		exit->vmfail = READ_ONCE(vmx_going_down) ? 0 : vmcs_read(VM_INSTRUCTION_ERROR);
		exit->vmfail = exit->vmfail ?: ~0u;
		return;
	}
	exit->raw = vmcs_read(VM_EXIT_REASON);
	exit->reason = (u16)exit->raw;
	/* An entry that failed on guest state has delivered no event. */
	if (unlikely(exit->raw & VMX_EXIT_REASONS_FAILED_VMENTRY))
		return;
	v->launched = true;
	if (exit->reason == EXIT_REASON_EXCEPTION_NMI)
		exit->intr_info = vmcs_read(VM_EXIT_INTR_INFO);
	if (exit_may_interrupt_delivery(exit->reason))
		exit->vectoring = vmcs_read(IDT_VECTORING_INFO_FIELD);
}

void vmx_run(struct vmx_vcpu *v, struct keel_exit *exit)
{
	u64 host_xcr0 = xgetbv(XCR_XFEATURE_ENABLED_MASK), guest_xcr0 = entry_xcr0(v, host_xcr0);
	int failed;

	lockdep_assert_irqs_disabled();
	/*
	 * Read DEBUGCTL with interrupts off: perf changes it from interrupts,
	 * and restore_host_debug() would write back a stale value.
	 */
	v->host_debugctl = __rdmsr(MSR_IA32_DEBUGCTLMSR);
	write_dirty_registers(v);
	write_host_crs(v);
	vmx_perf_before_entry(v);
	if (v->need_flush)
		vmx_do_flush(v);
	if (unlikely(breakpoints_on(v)))
		load_guest_breakpoints(v);
	else if (unlikely(hw_breakpoint_active()))
		/*
		 * Disarm host breakpoints: after swap_xcr0() their handler
		 * would run with the guest's XCR0.
		 */
		set_debugreg(0, 7);
	swap_xcr0(host_xcr0, guest_xcr0);

	vtime_account_guest_enter();
	failed = enter_guest(v);

	if (cpu_feature_enabled(X86_FEATURE_IBPB_EXIT_TO_USER))
		this_cpu_write(x86_ibpb_exit_to_user, true);
	swap_xcr0(guest_xcr0, host_xcr0);
	restore_host_debug(v);
	fill_exit(v, exit, failed);
	vmx_l1d_after_exit(v, exit->reason);
}

void vmx_account_exit(void)
{
	vtime_account_guest_exit();
}

/*
 * Pass registers with a user-mode CS: the machine check interrupted the guest,
 * not kernel code, so an error that can be contained kills this thread and does
 * not panic the machine.
 */
static void handle_machine_check(void)
{
#ifdef CONFIG_X86_MCE
	struct pt_regs regs = { .cs = 3, .flags = X86_EFLAGS_IF };

	do_machine_check(&regs);
#endif
}

/*
 * INT 2 runs the host's NMI handler as a real NMI would: through its gate, on
 * its stack, and up to the IRET that unblocks NMIs.
 */
void vmx_handle_nmi(const struct keel_exit *exit)
{
	u32 type = exit->intr_info & INTR_INFO_INTR_TYPE_MASK;
	u8 vector = exit->intr_info & INTR_INFO_VECTOR_MASK;

	if (unlikely(exit->reason == EXIT_REASON_MCE_DURING_VMENTRY && !exit->vmfail))
		handle_machine_check();
	if (exit->reason != EXIT_REASON_EXCEPTION_NMI)
		return;
	if (type == INTR_TYPE_NMI_INTR)
		asm volatile("int $2" : : : "memory");
	else if (type == INTR_TYPE_HARD_EXCEPTION && vector == X86_TRAP_MC)
		handle_machine_check();
}

void vmx_set_ept_root(struct vmx_vcpu *v, u64 root)
{
	u64 eptp = root | VMX_EPTP_MT_WB | VMX_EPTP_PWL_4;

	if (vmx_caps.ept_ad)
		eptp |= VMX_EPTP_AD_ENABLE_BIT;
	if (eptp == v->eptp)
		return;
	v->eptp = eptp;
	v->need_flush = true;
	vmcs_write(EPT_POINTER, eptp);
}

/* --- life --------------------------------------------------------------- */

int vmx_vcpu_init(struct vmx_vcpu *v)
{
	v->cpu = -1;
	v->tsc_ratio = VMX_TSC_RATIO_ONE;
	v->vmcs = vmcs_alloc(raw_smp_processor_id());
	if (!v->vmcs)
		return -ENOMEM;
	v->fresh = true;
	if (vmx_caps.pml) {
		v->write_log = (u64 *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
		if (!v->write_log)
			goto free_vmcs;
	}
	if (vmx_perf_init(v))
		goto free_log;
	v->vpid = vmx_alloc_vpid();
	return 0;
free_log:
	free_page((unsigned long)v->write_log);
free_vmcs:
	vmcs_free(v->vmcs);
	return -ENOMEM;
}

void vmx_vcpu_free(struct vmx_vcpu *v)
{
	vmcs_clear_anywhere(v);
	vmx_free_vpid(v->vpid);
	vmx_perf_free(v);
	free_page((unsigned long)v->write_log);
	vmcs_free(v->vmcs);
}

static void reset_segments(struct vmx_vcpu *v)
{
	struct kvm_segment data = {
		.limit = 0xffff, .type = 3, .s = 1, .present = 1,
	}, code = {
		.base = 0xffff0000, .limit = 0xffff, .selector = 0xf000,
		.type = 11, .s = 1, .present = 1,
	}, ldt = {
		.limit = 0xffff, .type = 2, .present = 1,
	}, tr = {
		.limit = 0xffff, .type = 11, .present = 1,
	};
	struct kvm_dtable dt = { .limit = 0xffff };
	int i;

	for (i = SEG_ES; i <= SEG_GS; i++)
		vmx_set_segment(v, i, i == SEG_CS ? &code : &data);
	vmx_set_segment(v, SEG_LDTR, &ldt);
	vmx_set_segment(v, SEG_TR, &tr);
	vmx_set_gdt(v, &dt);
	vmx_set_idt(v, &dt);
}

void vmx_reset(struct vmx_vcpu *v)
{
	static const u64 no_pdptrs[4];

	vmcs_write_constants(v);
	vmx_set_efer(v, 0);
	vmx_set_cr0(v, X86_CR0_CD | X86_CR0_NW | X86_CR0_ET);
	vmx_set_cr3(v, 0);
	vmx_set_cr4(v, 0);
	vmx_set_pdptrs(v, no_pdptrs);
	reset_segments(v);
	vmcs_write(GUEST_SYSENTER_CS, 0);
	vmcs_write(GUEST_SYSENTER_ESP, 0);
	vmcs_write(GUEST_SYSENTER_EIP, 0);
	vmcs_write(GUEST_IA32_DEBUGCTL, 0);
	vmcs_write(GUEST_PENDING_DBG_EXCEPTIONS, 0);
	vmcs_write(GUEST_INTERRUPTIBILITY_INFO, 0);
	vmcs_write(GUEST_ACTIVITY_STATE, GUEST_ACTIVITY_ACTIVE);
	vmx_set_dr(v, 6, DR6_RESET);
	vmx_set_dr(v, 7, DR7_RESET);
	vmx_set_rip(v, 0xfff0);
	vmx_set_rsp(v, 0);
	vmx_set_rflags(v, 0);
	/* Reset leaves the CPU's family, model and stepping in EDX. */
	v->gpr[GPR_RDX] = 0x600;
	v->xcr0 = XFEATURE_MASK_FP;
	v->need_flush = true;
}

void vmx_dump(struct vmx_vcpu *v, const struct keel_exit *exit)
{
	/* VMX is off, so VMREAD would fail, and the cause of the failed entry is known. */
	if (READ_ONCE(vmx_going_down))
		return;
	pr_warn_ratelimited("keel: VM entry failed: VM-instruction error %u, exit reason %x, qualification %llx\n",
			    exit->vmfail, exit->raw,
			    exit->vmfail ? 0 : vmx_exit_qualification(v));
	pr_warn_ratelimited("keel: guest rip %llx rflags %llx cr0 %llx cr3 %llx cr4 %llx efer %llx\n",
			    vmx_rip(v), vmx_rflags(v), v->cr0, vmx_cr3(v), v->cr4, v->efer);
}
