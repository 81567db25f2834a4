// SPDX-License-Identifier: GPL-2.0
/*
 * The VMCS as an object: allocation, the CPU on which it is active, and the
 * fields that are constant for the life of a vCPU (controls, host state).
 * state.c and run.c have the fields that change while the guest runs.
 */
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <asm/cpu_entry_area.h>
#include <asm/desc.h>
#include <asm/msr.h>
#include <asm/nospec-branch.h>
#include <asm/trapnr.h>

#include "controls.h"
#include "ops.h"
#include "vmcs.h"

/* vmenter.S: the CPU continues here after a VM exit. */
extern char vmx_exit_point[];

static unsigned long *msr_bitmap, *spec_ctrl_bitmap, *all_msrs_bitmap;
static void *idt_base;

const u32 vmx_switched_msrs[SWITCH_COUNT] = {
	[SWITCH_STAR] = MSR_STAR,
	[SWITCH_LSTAR] = MSR_LSTAR,
	[SWITCH_SFMASK] = MSR_SYSCALL_MASK,
	[SWITCH_TSC_AUX] = MSR_TSC_AUX,
};

struct vmcs *vmcs_alloc(int cpu)
{
	struct page *page = alloc_pages_node(cpu_to_node(cpu), GFP_KERNEL_ACCOUNT | __GFP_ZERO, 0);
	struct vmcs *vmcs;

	if (!page)
		return NULL;
	vmcs = page_address(page);
	vmcs->revision = vmx_caps.revision;
	return vmcs;
}

void vmcs_free(struct vmcs *vmcs)
{
	free_page((unsigned long)vmcs);
}

/* --- which CPU holds it ------------------------------------------------- */

static void clear_here(struct vmx_vcpu *v)
{
	struct vmx_cpu *c = this_cpu_ptr(&vmx_cpu);

	if (vmx_op_vmclear(__pa(v->vmcs)))
		vmx_insn_failed("vmclear", __pa(v->vmcs));
	if (c->current_vmcs == v->vmcs)
		c->current_vmcs = NULL;
	list_del(&v->loaded_link);
	/* Release: leave this list before another CPU adds @v to its own; pairs with vmx_load(). */
	smp_store_release(&v->cpu, -1);
	v->launched = false;
}

static void clear_ipi(void *data)
{
	struct vmx_vcpu *v = data;

	if (v->cpu == smp_processor_id())
		clear_here(v);
}

void vmcs_clear_anywhere(struct vmx_vcpu *v)
{
	int cpu = READ_ONCE(v->cpu);

	/*
	 * A CPU that goes offline clears its VMCSs itself: the call fails, and
	 * nothing is left to do.
	 */
	if (cpu >= 0)
		smp_call_function_single(cpu, clear_ipi, v, 1);
}

void vmcs_clear_all_here(void)
{
	struct vmx_cpu *c = this_cpu_ptr(&vmx_cpu);
	struct vmx_vcpu *v, *next;

	list_for_each_entry_safe(v, next, &c->loaded, loaded_link)
		clear_here(v);
}

static void make_current(struct vmx_vcpu *v, struct vmx_cpu *c)
{
	if (c->current_vmcs == v->vmcs)
		return;
	/*
	 * Another guest may have run on this CPU since, even if its VMCS is
	 * active elsewhere or freed by now: it must not steer this guest's
	 * indirect branches.
	 */
	indirect_branch_prediction_barrier();
	c->current_vmcs = v->vmcs;
	if (vmx_op_vmptrld(__pa(v->vmcs)))
		vmx_insn_failed("vmptrld", __pa(v->vmcs));
}

void vmx_load(struct vmx_vcpu *v, int cpu)
{
	struct vmx_cpu *c = per_cpu_ptr(&vmx_cpu, cpu);
	bool moved = v->cpu != cpu;
	unsigned long flags;

	if (moved) {
		vmcs_clear_anywhere(v);
		local_irq_save(flags);
		if (unlikely(c->dying && !c->on) && vmx_on_here())
			vmx_insn_failed("vmxon", cpu);
		/* VMCLEAR initialises a region: it must precede the first VMPTRLD. */
		if (v->fresh && vmx_op_vmclear(__pa(v->vmcs)))
			vmx_insn_failed("vmclear", __pa(v->vmcs));
		v->fresh = false;
		/* Acquire: pairs with the release in clear_here(). */
		smp_load_acquire(&v->cpu);
		list_add(&v->loaded_link, &c->loaded);
		v->cpu = cpu;
		local_irq_restore(flags);
	}
	make_current(v, c);
	if (moved) {
		vmcs_write_host_cpu(v);
		vmx_write_tsc_offset(v);
		/* This CPU may hold stale translations from an earlier load of @v. */
		v->need_flush = true;
	}
}

/* --- fields that stay --------------------------------------------------- */

/* Without a VPID turn the control off: VM entry refuses VPID 0. */
void vmcs_write_proc2(const struct vmx_vcpu *v)
{
	u32 ctl = vmx_caps.proc2_ctl;

	if (!v->vpid)
		ctl &= ~PROC2_VPID;
	if (v->logging)
		ctl |= PROC2_PML;
	if (v->table_exits)
		ctl |= PROC2_TABLE_EXITING;
	vmcs_write(SECONDARY_VM_EXEC_CONTROL, ctl);
}

static void write_controls(struct vmx_vcpu *v)
{
	v->proc_ctl = vmx_caps.proc_ctl;
	v->entry_ctl = vmx_caps.entry_ctl;
	/*
	 * Intercept #DB and #AC: if delivering one raises it again, the CPU
	 * loops for ever, and not even an interrupt gets through.
	 */
	v->exception_bitmap = BIT(X86_TRAP_DB) | BIT(X86_TRAP_AC) | BIT(X86_TRAP_MC);

	vmcs_write(PIN_BASED_VM_EXEC_CONTROL, vmx_caps.pin_ctl);
	vmcs_write(CPU_BASED_VM_EXEC_CONTROL, v->proc_ctl);
	vmcs_write_proc2(v);
	vmcs_write(VM_EXIT_CONTROLS, vmx_caps.exit_ctl);
	vmcs_write(VM_ENTRY_CONTROLS, v->entry_ctl);
	vmcs_write(EXCEPTION_BITMAP, v->exception_bitmap);
	vmcs_write(PAGE_FAULT_ERROR_CODE_MASK, 0);
	vmcs_write(PAGE_FAULT_ERROR_CODE_MATCH, 0);
	vmcs_write(CR3_TARGET_COUNT, 0);
	vmcs_write(VM_EXIT_MSR_STORE_COUNT, 0);
	vmcs_write(VM_ENTRY_INTR_INFO_FIELD, 0);
	vmcs_write(MSR_BITMAP, __pa(msr_bitmap));
	vmcs_write(VMCS_LINK_POINTER, ~0ull);
	if (vmx_caps.tsc_scaling)
		vmcs_write(TSC_MULTIPLIER, v->tsc_ratio);
	if (v->vpid)
		vmcs_write(VIRTUAL_PROCESSOR_ID, v->vpid);
	/* The host owns every bit: reads return the shadow, writes that change a bit exit. */
	vmcs_write(CR0_GUEST_HOST_MASK, ~0ul);
	vmcs_write(CR4_GUEST_HOST_MASK, ~0ul);
}

static void write_host_constants(struct vmx_vcpu *v)
{
	u64 val;

	vmcs_write(HOST_CR0, read_cr0() & ~X86_CR0_TS);
	vmcs_write(HOST_CS_SELECTOR, __KERNEL_CS);
	vmcs_write(HOST_SS_SELECTOR, __KERNEL_DS);
	vmcs_write(HOST_FS_SELECTOR, v->vmcs_fs_sel);
	vmcs_write(HOST_GS_SELECTOR, v->vmcs_gs_sel);
	vmcs_write(HOST_FS_BASE, v->vmcs_fs_base);
	/* VM entry demands RPL 0, so user selectors cannot be here: vmx_put() reloads them. */
	vmcs_write(HOST_DS_SELECTOR, 0);
	vmcs_write(HOST_ES_SELECTOR, 0);
	vmcs_write(HOST_TR_SELECTOR, GDT_ENTRY_TSS * 8);
	vmcs_write(HOST_IDTR_BASE, (unsigned long)idt_base);
	vmcs_write(HOST_RIP, (unsigned long)vmx_exit_point);
	rdmsrl(MSR_IA32_SYSENTER_CS, val);
	vmcs_write(HOST_IA32_SYSENTER_CS, (u32)val);
	rdmsrl(MSR_IA32_SYSENTER_EIP, val);
	vmcs_write(HOST_IA32_SYSENTER_EIP, val);
	rdmsrl(MSR_EFER, val);
	vmcs_write(HOST_IA32_EFER, val);
	if (vmx_caps.load_pat) {
		rdmsrl(MSR_IA32_CR_PAT, val);
		vmcs_write(HOST_IA32_PAT, val);
	}
}

void vmcs_write_constants(struct vmx_vcpu *v)
{
	write_controls(v);
	vmx_log_reset(v);
	vmx_perf_reset(v);
	write_host_constants(v);
}

void vmcs_write_host_cpu(struct vmx_vcpu *v)
{
	int cpu = smp_processor_id();

	vmcs_write(HOST_TR_BASE, (unsigned long)&get_cpu_entry_area(cpu)->tss.x86_tss);
	vmcs_write(HOST_GDTR_BASE, (unsigned long)get_current_gdt_ro());
	vmcs_write(HOST_IA32_SYSENTER_ESP, (unsigned long)(cpu_entry_stack(cpu) + 1));
	vmcs_write(HOST_GS_BASE, cpu_kernelmode_gs_base(cpu));
}

/* --- the MSR bitmap ----------------------------------------------------- */

/* Layout: 1 KiB each of reads of low, reads of high, writes of low, writes of high MSRs. */
#define BITMAP_HIGH_MSRS	0xc0000000u
#define BITMAP_READ_LOW		(0 * 1024 * 8)
#define BITMAP_READ_HIGH	(1 * 1024 * 8)
#define BITMAP_WRITES		(2 * 1024 * 8)

static void allow_msr(unsigned long *map, u32 msr, bool write)
{
	unsigned int bit = msr < BITMAP_HIGH_MSRS ? BITMAP_READ_LOW + msr :
			   BITMAP_READ_HIGH + (msr - BITMAP_HIGH_MSRS);

	__clear_bit(bit, map);
	if (write)
		__clear_bit(BITMAP_WRITES + bit, map);
}

static void choose_bitmap(struct vmx_vcpu *v)
{
	unsigned long *map = v->owns_spec_ctrl ? spec_ctrl_bitmap : msr_bitmap;

	vmcs_write(MSR_BITMAP, __pa(v->all_msrs_exit ? all_msrs_bitmap : map));
}

void vmx_intercept_msrs(struct vmx_vcpu *v, bool all)
{
	v->all_msrs_exit = all;
	choose_bitmap(v);
}

/*
 * Let the guest access IA32_SPEC_CTRL directly only from its first non-zero
 * value on: until then vmenter.S need not read the MSR back after each exit.
 */
void vmx_set_spec_ctrl(struct vmx_vcpu *v, u64 val)
{
	v->spec_ctrl = val;
	if (val && !v->owns_spec_ctrl) {
		v->owns_spec_ctrl = true;
		choose_bitmap(v);
	}
}

int __init vmcs_setup(void)
{
	struct desc_ptr idt;

	store_idt(&idt);
	idt_base = (void *)idt.address;

	msr_bitmap = (unsigned long *)__get_free_page(GFP_KERNEL);
	spec_ctrl_bitmap = (unsigned long *)__get_free_page(GFP_KERNEL);
	all_msrs_bitmap = (unsigned long *)__get_free_page(GFP_KERNEL);
	if (!msr_bitmap || !spec_ctrl_bitmap || !all_msrs_bitmap) {
		vmcs_teardown();
		return -ENOMEM;
	}
	memset(all_msrs_bitmap, 0xff, PAGE_SIZE);
	memset(msr_bitmap, 0xff, PAGE_SIZE);
	allow_msr(msr_bitmap, MSR_IA32_TSC, false);
	allow_msr(msr_bitmap, MSR_FS_BASE, true);
	allow_msr(msr_bitmap, MSR_GS_BASE, true);
	allow_msr(msr_bitmap, MSR_KERNEL_GS_BASE, true);
	allow_msr(msr_bitmap, MSR_IA32_SYSENTER_CS, true);
	allow_msr(msr_bitmap, MSR_IA32_SYSENTER_ESP, true);
	allow_msr(msr_bitmap, MSR_IA32_SYSENTER_EIP, true);
	memcpy(spec_ctrl_bitmap, msr_bitmap, PAGE_SIZE);
	allow_msr(spec_ctrl_bitmap, MSR_IA32_SPEC_CTRL, true);
	return 0;
}

void vmcs_teardown(void)
{
	free_page((unsigned long)all_msrs_bitmap);
	free_page((unsigned long)spec_ctrl_bitmap);
	free_page((unsigned long)msr_bitmap);
}
