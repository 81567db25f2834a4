/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Userspace debugs the guest: single steps, breakpoints in place of the
 * guest's own, and the exit that says where it stopped.
 */
#ifndef KEEL_DEBUG_H
#define KEEL_DEBUG_H

#include <linux/kvm.h>

#include "types.h"

struct keel_vcpu;

/*
 * struct keel_debug - what userspace has asked for
 * @control:	KVM_GUESTDBG_*, or 0
 * @guest_tf:	RFLAGS.TF as the guest has it, where steps need it set
 * @hits:	a bit for each of DR0-3 that the instruction at hand has met
 * @stop:	what REQ_STEPPED is for, in bits of DR6
 */
struct keel_debug {
	u32 control;
	bool guest_tf;
	u8 hits;
	u64 stop;
};

/*
 * Steps end where the CPU's monitor trap says so, of which the guest sees
 * nothing; without it they are made with RFLAGS.TF, which it does see. Either
 * way an instruction that software has done ends one.
 */
static inline bool keel_debug_steps(const struct keel_debug *debug)
{
	return debug->control & KVM_GUESTDBG_SINGLESTEP;
}

/*
 * Breakpoints on data and ports, of the guest's own or of userspace's, in what
 * software does. While vmx.on_data is not 0, each access is told while the
 * instruction is under way; if it fails, @hits is forgotten.
 */
void keel_debug_watch(struct keel_vcpu *vcpu, u64 linear, u64 len, bool write);
void keel_debug_watch_port(struct keel_vcpu *vcpu, u16 port, unsigned int len);

/* Does the end of an instruction mean anything but the next one? */
static inline bool keel_debug_ends(const struct keel_debug *debug)
{
	return keel_debug_steps(debug) || debug->hits;
}

/*
 * Software has done an instruction, or delivered an event, and that means a
 * trap, or a stop for userspace. @traps: the guest's own TF was set.
 */
void keel_stepped(struct keel_vcpu *vcpu, bool traps);

/*
 * Breakpoints on code, while vmx.on_code is not 0: those that the next
 * instruction meets, and what this leads to, enum keel_run.
 */
u8 keel_debug_at_code(struct keel_vcpu *vcpu);
int keel_debug_break(struct keel_vcpu *vcpu, u8 hits);
/* For REQ_STEPPED and the monitor trap: they lead to KVM_EXIT_DEBUG. */
int keel_debug_stepped(struct keel_vcpu *vcpu);
int keel_debug_monitor_trap(struct keel_vcpu *vcpu);

/* #DB is userspace's. #BP that exits always is. */
bool keel_debug_wants_db(const struct keel_vcpu *vcpu);
/* KVM_EXIT_DEBUG, for a #DB with these bits of DR6 or a #BP. */
int keel_debug_exit(struct keel_vcpu *vcpu, u8 vector, u64 dr6_bits);

/* RFLAGS between userspace, which never sees a TF of our making, and the hardware. */
u64 keel_debug_show_rflags(struct keel_vcpu *vcpu);
void keel_debug_set_rflags(struct keel_vcpu *vcpu, u64 val);

/* NMIs and interrupts are held back. */
bool keel_debug_blocks_irqs(const struct keel_vcpu *vcpu);

/* KVM_SET_GUEST_DEBUG: LOAD. */
#define KEEL_GUESTDBG_FLAGS	0x1f0003	/* all of KVM_GUESTDBG_* */
long keel_set_guest_debug(struct keel_vcpu *vcpu, void *data);

#endif
