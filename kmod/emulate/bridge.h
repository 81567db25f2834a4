/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Between a vCPU and the pure emulator: fills its context, answers its
 * callbacks from guest memory and MMIO, and takes the result back.
 */
#ifndef KEEL_EMULATE_BRIDGE_H
#define KEEL_EMULATE_BRIDGE_H

#include "../types.h"

struct emu_event;
struct keel_vcpu;

/*
 * Emulate the instruction at CS:RIP. @gpa: where the hardware met the access
 * that needs it, or INVALID_GPA; @writes: it has found that this one may write.
 * SRCU held. Returns enum keel_run or -errno.
 */
int keel_emulate(struct keel_vcpu *vcpu, gpa_t gpa, bool writes);

/* Deliver an event as the hardware would. SRCU held. enum keel_run or -errno. */
int keel_emulate_event(struct keel_vcpu *vcpu, const struct emu_event *event);

/* Switch to the task @sel, as the hardware would. @source: of enum emu_task_source. Likewise. */
int keel_emulate_task(struct keel_vcpu *vcpu, unsigned int source, u16 sel,
		      const struct emu_event *event);

/*
 * mode.c: can the hardware run the guest as it is? If not, the next instruction
 * or event of it is emulated: enum keel_run or -errno.
 */
bool keel_mode_runs(struct keel_vcpu *vcpu);
int keel_emulate_mode(struct keel_vcpu *vcpu);

#endif
