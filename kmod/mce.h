/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The guest's machine-check architecture: its banks, and the machine checks
 * that userspace raises. Machine checks of the host are not handled here.
 */
#ifndef KEEL_MCE_H
#define KEEL_MCE_H

#include "types.h"

#define KEEL_MCE_BANKS	32

struct keel_vcpu;

/*
 * struct keel_mce - the machine-check registers
 * @bank:	CTL, STATUS, ADDR and MISC of each
 */
struct keel_mce {
	u64 cap;
	u64 status;
	u64 ctl;
	u64 bank[KEEL_MCE_BANKS][4];
};

void keel_mce_reset(struct keel_vcpu *vcpu);

/* MCG_CAP, MCG_STATUS, MCG_CTL and the banks. */
int keel_get_mce_msr(struct keel_vcpu *vcpu, u32 index, u64 *val, bool host);
int keel_set_mce_msr(struct keel_vcpu *vcpu, u32 index, u64 val, bool host);

/* KVM_X86_GET_MCE_CAP_SUPPORTED: RAW. KVM_X86_SETUP_MCE. KVM_X86_SET_MCE: LOAD. */
long keel_get_mce_cap_supported(void *data);
long keel_setup_mce(struct keel_vcpu *vcpu, void *data);
long keel_set_mce(struct keel_vcpu *vcpu, void *data);

#endif
