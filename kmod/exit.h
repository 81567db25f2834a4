/* SPDX-License-Identifier: GPL-2.0 */
/* From VM exits to run verdicts. */
#ifndef KEEL_EXIT_H
#define KEEL_EXIT_H

#include "types.h"

struct keel_exit;
struct keel_vcpu;

/* Interrupts on. Returns enum keel_run or a negative errno. */
int keel_handle_exit(struct keel_vcpu *vcpu, const struct keel_exit *exit);

/* Step over the instruction that exited; a single-stepping guest gets its trap. */
void keel_skip_insn(struct keel_vcpu *vcpu);

/* Put the answer to the guest's hypercall into RAX. */
void keel_hypercall(struct keel_vcpu *vcpu);

/* Report a triple fault of the guest: KVM_EXIT_SHUTDOWN. */
int keel_shutdown(struct keel_vcpu *vcpu);

/* Handle an instruction that the emulator cannot execute: #UD or KVM_EXIT_INTERNAL_ERROR. */
int keel_emulation_failed(struct keel_vcpu *vcpu, const u8 *insn, unsigned int len);

#endif
