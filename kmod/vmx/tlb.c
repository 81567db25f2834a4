// SPDX-License-Identifier: GPL-2.0
/*
 * Allocates VPIDs and invalidates the translations that a CPU has cached.
 *
 * The CPU tags combined translations with VPID and EPT root, so INVEPT of the
 * root drops every translation made from changed EPT entries. INVVPID is needed
 * for a VPID that had another owner before.
 */
#include <linux/bitmap.h>
#include <linux/spinlock.h>

#include "controls.h"
#include "ops.h"
#include "vmcs.h"

#define NR_VPIDS	(1 << 16)

static DECLARE_BITMAP(vpids, NR_VPIDS) = { [0] = 1 };	/* 0 is the host's own */
static DEFINE_SPINLOCK(vpid_lock);

/*
 * Return 0 if VPIDs are unused or exhausted: each VM entry and VM exit then
 * flushes translations.
 */
int vmx_alloc_vpid(void)
{
	int vpid;

	if (!vmx_caps.vpid)
		return 0;
	spin_lock(&vpid_lock);
	vpid = find_first_zero_bit(vpids, NR_VPIDS);
	if (vpid < NR_VPIDS)
		__set_bit(vpid, vpids);
	else
		vpid = 0;
	spin_unlock(&vpid_lock);
	return vpid;
}

void vmx_free_vpid(u16 vpid)
{
	if (!vpid)
		return;
	spin_lock(&vpid_lock);
	__clear_bit(vpid, vpids);
	spin_unlock(&vpid_lock);
}

static void flush_vpid(u16 vpid)
{
	if (!vpid)
		return;
	vmx_op_invvpid(vmx_caps.invvpid_single ? INVALIDATE_SINGLE : INVALIDATE_ALL, vpid);
}

void vmx_do_flush(struct vmx_vcpu *v)
{
	v->need_flush = false;
	flush_vpid(v->vpid);
	if (vmx_caps.invept_single)
		vmx_op_invept(INVALIDATE_SINGLE, v->eptp);
	else
		vmx_op_invept(INVALIDATE_ALL, 0);
}

void vmx_flush_everything_here(void)
{
	if (vmx_caps.ept_vpid & EPTCAP_INVEPT_ALL)
		vmx_op_invept(INVALIDATE_ALL, 0);
	if (vmx_caps.vpid && (vmx_caps.ept_vpid & VPIDCAP_ALL))
		vmx_op_invvpid(INVALIDATE_ALL, 0);
}
