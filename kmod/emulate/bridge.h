/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Connect a vCPU to the pure emulator: fill its context, implement its callbacks
 * on guest memory and MMIO, and commit the result.
 */
#ifndef KEEL_EMULATE_BRIDGE_H
#define KEEL_EMULATE_BRIDGE_H

#include "../types.h"

struct emu_event;
struct keel_vcpu;

/*
 * Emulate the instruction at CS:RIP. @gpa: of the access that exited, or
 * INVALID_GPA. @writes: the hardware found that this access may write. SRCU held.
 * Returns enum keel_run or -errno.
 */
int keel_emulate(struct keel_vcpu *vcpu, gpa_t gpa, bool writes);

/* Deliver an event as the hardware would. SRCU held. Returns enum keel_run or -errno. */
int keel_emulate_event(struct keel_vcpu *vcpu, const struct emu_event *event);

/* Switch to the task @sel as the hardware would; @source: enum emu_task_source. Likewise. */
int keel_emulate_task(struct keel_vcpu *vcpu, unsigned int source, u16 sel,
		      const struct emu_event *event);

/*
 * mode.c: keel_mode_runs() is true if the hardware can run the guest in its
 * present mode. If not, keel_emulate_mode() emulates the next instruction or
 * event: enum keel_run or -errno.
 */
bool keel_mode_runs(struct keel_vcpu *vcpu);
int keel_emulate_mode(struct keel_vcpu *vcpu);

#endif
