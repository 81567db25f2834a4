/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Userspace debugs the guest: single steps, breakpoints in place of the guest's
 * own, and KVM_EXIT_DEBUG.
 */
#ifndef KEEL_DEBUG_H
#define KEEL_DEBUG_H

#include <linux/kvm.h>

#include "types.h"

struct keel_vcpu;

/*
 * struct keel_debug - state of KVM_SET_GUEST_DEBUG
 * @control:	KVM_GUESTDBG_*, or 0
 * @guest_tf:	the guest's own RFLAGS.TF, while steps keep TF set
 * @hits:	mask of the DR0-3 that the instruction at hand has met
 * @stop:	bits of DR6 that REQ_STEPPED is to report
 */
struct keel_debug {
	u32 control;
	bool guest_tf;
	u8 hits;
	u64 stop;
};

/*
 * True if userspace single-steps. The CPU's monitor trap ends a step unseen by
 * the guest; without it Keel sets RFLAGS.TF, which the guest can see. Either
 * way the end of an instruction that Keel emulates ends a step.
 */
static inline bool keel_debug_steps(const struct keel_debug *debug)
{
	return debug->control & KVM_GUESTDBG_SINGLESTEP;
}

/*
 * Check an access of an emulated instruction against the data and port
 * breakpoints in force, the guest's or userspace's, and add them to @hits. Call
 * while vmx.on_data is not 0; clear @hits if the instruction fails.
 */
void keel_debug_watch(struct keel_vcpu *vcpu, u64 linear, u64 len, bool write);
void keel_debug_watch_port(struct keel_vcpu *vcpu, u16 port, unsigned int len);

/* True if the end of an instruction raises a trap or stops the run, the guest's TF apart. */
static inline bool keel_debug_ends(const struct keel_debug *debug)
{
	return keel_debug_steps(debug) || debug->hits;
}

/*
 * Raise the trap, or stop for userspace, at the end of an instruction or of the
 * delivery of an event by Keel. @traps: the guest's own TF was set.
 */
void keel_stepped(struct keel_vcpu *vcpu, bool traps);

/*
 * Code breakpoints that the next instruction meets, as a mask; call while
 * vmx.on_code is not 0. keel_debug_break() raises #DB for them or stops the
 * run, enum keel_run.
 */
u8 keel_debug_at_code(struct keel_vcpu *vcpu);
int keel_debug_break(struct keel_vcpu *vcpu, u8 hits);
/* Handlers of REQ_STEPPED and of the monitor trap: end the run with KVM_EXIT_DEBUG. */
int keel_debug_stepped(struct keel_vcpu *vcpu);
int keel_debug_monitor_trap(struct keel_vcpu *vcpu);

/* True if a #DB belongs to userspace. A #BP that exits always does. */
bool keel_debug_wants_db(const struct keel_vcpu *vcpu);
/* End the run with KVM_EXIT_DEBUG, for a #DB with these bits of DR6 or for a #BP. */
int keel_debug_exit(struct keel_vcpu *vcpu, u8 vector, u64 dr6_bits);

/* Get and set RFLAGS for userspace, which never sees a TF that Keel has set. */
u64 keel_debug_show_rflags(struct keel_vcpu *vcpu);
void keel_debug_set_rflags(struct keel_vcpu *vcpu, u64 val);

/* True if KVM_GUESTDBG_BLOCKIRQ holds back NMIs and interrupts. */
bool keel_debug_blocks_irqs(const struct keel_vcpu *vcpu);

/* KVM_SET_GUEST_DEBUG: LOAD. */
#define KEEL_GUESTDBG_FLAGS	0x1f0003	/* all of KVM_GUESTDBG_* */
long keel_set_guest_debug(struct keel_vcpu *vcpu, void *data);

#endif
