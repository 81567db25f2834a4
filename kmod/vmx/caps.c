// SPDX-License-Identifier: GPL-2.0
/*
 * Computes from the capability MSRs the set of VMX controls that Keel runs
 * with: required controls, and optional ones that the CPU has and the module
 * parameters allow. Pure: cpu.c reads the MSRs, and this file compiles
 * natively.
 */
#include "vmx.h"
#include "caps.h"
#include "controls.h"

/*
 * @msr: a capability MSR. Its low half has the bits that must be 1, its high
 * half those that may be.
 */
static bool choose(u64 msr, u32 need, u32 like, u32 *ctl)
{
	u32 must = (u32)msr, may = (u32)(msr >> 32);

	*ctl = ((need | like) & may) | must;
	return (need & ~may) == 0;
}

static void choose_ept_vpid(u64 cap, const struct vmx_wants *want, struct vmx_caps *c)
{
	c->ept_vpid = cap;
	c->ept_ad = want->ept_ad && (cap & EPTCAP_AD);
	c->ept_2m = cap & EPTCAP_2M;
	c->ept_1g = cap & EPTCAP_1G;
	c->invept_single = cap & EPTCAP_INVEPT_SINGLE;
	c->invvpid_single = cap & VPIDCAP_SINGLE;
}

/* VPID needs an INVVPID that can drop the translations of a VPID. */
static bool vpid_usable(u64 cap)
{
	return (cap & VPIDCAP_INVVPID) && (cap & (VPIDCAP_SINGLE | VPIDCAP_ALL));
}

static u32 wanted_proc2(const struct vmx_raw_caps *raw, const struct vmx_wants *want)
{
	u32 like = PROC2_RDTSCP | PROC2_INVPCID;

	if (want->umip && !(raw->cr4_fixed1 & X86_CR4_UMIP))
		like |= PROC2_TABLE_EXITING;
	if (want->vpid && vpid_usable(raw->ept_vpid))
		like |= PROC2_VPID;
	if (want->unrestricted)
		like |= PROC2_UNRESTRICTED;
	if (want->tsc_scaling)
		like |= PROC2_TSC_SCALING;
	/* PML logs the setting of EPT dirty bits: it needs EPT accessed and dirty flags. */
	if (want->pml && want->ept_ad && (raw->ept_vpid & EPTCAP_AD))
		like |= PROC2_PML;
	return like;
}

static const char *check_ept(u64 cap)
{
	if (!(cap & EPTCAP_4_LEVELS))
		return "EPT with 4 levels";
	if (!(cap & EPTCAP_WB))
		return "write-back EPT";
	if (!(cap & EPTCAP_INVEPT) || !(cap & (EPTCAP_INVEPT_SINGLE | EPTCAP_INVEPT_ALL)))
		return "INVEPT";
	return NULL;
}

static const char *choose_controls(const struct vmx_raw_caps *raw, const struct vmx_wants *want,
				   struct vmx_caps *c)
{
	if (!choose(raw->pin, PIN_EXTINT_EXITING | PIN_NMI_EXITING | PIN_VIRTUAL_NMIS, 0,
		    &c->pin_ctl))
		return "virtual NMIs";
	if (!choose(raw->proc, PROC_HLT_EXITING | PROC_TSC_OFFSET | PROC_MOV_DR_EXITING |
		    PROC_IO_EXITING | PROC_MSR_BITMAP | PROC_MWAIT_EXITING | PROC_MONITOR_EXITING |
		    PROC_RDPMC_EXITING | PROC_CR8_LOAD_EXITING | PROC_CR8_STORE_EXITING |
		    PROC_SECONDARY, want->monitor_trap ? PROC_MONITOR_TRAP : 0, &c->proc_ctl))
		return "the primary processor-based controls";
	if (c->proc_ctl & (PROC_CR3_LOAD_EXITING | PROC_CR3_STORE_EXITING | PROC_INVLPG_EXITING))
		return "guest paging without CR3 exits";
	if (!choose(raw->proc2, PROC2_EPT | PROC2_WBINVD_EXITING, wanted_proc2(raw, want),
		    &c->proc2_ctl))
		return "EPT";
	if (!choose(raw->exit, EXIT_HOST_64BIT | EXIT_LOAD_EFER | EXIT_SAVE_DEBUG, EXIT_LOAD_PAT,
		    &c->exit_ctl))
		return "loading EFER on VM exit";
	if (!choose(raw->entry, ENTRY_LOAD_EFER | ENTRY_LOAD_DEBUG, ENTRY_LOAD_PAT,
		    &c->entry_ctl))
		return "loading EFER on VM entry";
	return NULL;
}

/* Switch the PAT only if both VM entry and VM exit can load it. */
static void match_pairs(struct vmx_caps *c)
{
	c->load_pat = (c->exit_ctl & EXIT_LOAD_PAT) && (c->entry_ctl & ENTRY_LOAD_PAT);
	if (!c->load_pat) {
		c->exit_ctl &= ~EXIT_LOAD_PAT;
		c->entry_ctl &= ~ENTRY_LOAD_PAT;
	}
}

const char *vmx_caps_compute(const struct vmx_raw_caps *raw, const struct vmx_wants *want,
			     struct vmx_caps *c)
{
	const char *missing;

	c->revision = raw->basic & 0x7fffffff;
	c->vmcs_size = (raw->basic >> 32) & 0x1fff;
	c->ins_outs_info = raw->basic & BASIC_INS_OUTS;
	if (c->vmcs_size == 0 || c->vmcs_size > 4096)
		return "a VMCS that fits a page";
	if (((raw->basic >> 50) & 0xf) != BASIC_WRITE_BACK)
		return "a write-back VMCS";

	missing = choose_controls(raw, want, c);
	if (missing)
		return missing;
	missing = check_ept(raw->ept_vpid);
	if (missing)
		return missing;
	match_pairs(c);
	choose_ept_vpid(raw->ept_vpid, want, c);
	c->vpid = c->proc2_ctl & PROC2_VPID;
	c->unrestricted = c->proc2_ctl & PROC2_UNRESTRICTED;
	c->tsc_scaling = c->proc2_ctl & PROC2_TSC_SCALING;
	/* vmcs_write_proc2() sets the control only while a memslot logs writes. */
	c->pml = c->proc2_ctl & PROC2_PML;
	/* vmcs_write_proc2() sets the control only while the guest has CR4.UMIP set. */
	c->umip_by_exits = c->proc2_ctl & PROC2_TABLE_EXITING;
	c->proc2_ctl &= ~(PROC2_PML | PROC2_TABLE_EXITING);
	/* vmx_monitor_trap() sets the control only while userspace single-steps. */
	c->monitor_trap = c->proc_ctl & PROC_MONITOR_TRAP;
	c->proc_ctl &= ~PROC_MONITOR_TRAP;
	c->rdtscp = c->proc2_ctl & PROC2_RDTSCP;
	c->invpcid = c->proc2_ctl & PROC2_INVPCID;
	c->cr0_fixed0 = raw->cr0_fixed0;
	c->cr0_fixed1 = raw->cr0_fixed1;
	c->cr4_fixed0 = raw->cr4_fixed0;
	c->cr4_fixed1 = raw->cr4_fixed1;
	return NULL;
}
