/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Private to vmx/: the pure computation from capability MSRs to struct
 * vmx_caps. Compiles natively.
 */
#ifndef KEEL_VMX_CAPS_H
#define KEEL_VMX_CAPS_H

#include <linux/types.h>

struct vmx_caps;

/* Capability MSRs as the CPU reports them (0 for one that does not exist). */
struct vmx_raw_caps {
	u64 basic;
	u64 pin, proc, proc2, exit, entry;	/* allowed-0 low, allowed-1 high */
	u64 cr0_fixed0, cr0_fixed1, cr4_fixed0, cr4_fixed1;
	u64 ept_vpid;
};

/* Optional features that the module parameters allow. */
struct vmx_wants {
	bool vpid, ept_ad, unrestricted, tsc_scaling, pml, umip, monitor_trap;
};

/* Choose the controls. Return NULL, or the name of a required feature that this CPU lacks. */
const char *vmx_caps_compute(const struct vmx_raw_caps *raw, const struct vmx_wants *want,
			     struct vmx_caps *caps);

#endif
