/* SPDX-License-Identifier: GPL-2.0 */
/* From a VM exit to a run verdict. */
#ifndef KEEL_EXIT_H
#define KEEL_EXIT_H

#include "types.h"

struct keel_exit;
struct keel_vcpu;

/* Interrupts on. Returns enum keel_run or a negative errno. */
int keel_handle_exit(struct keel_vcpu *vcpu, const struct keel_exit *exit);

/* Step over the instruction that exited; a single-stepping guest gets its trap. */
void keel_skip_insn(struct keel_vcpu *vcpu);

/* Answer the hypercall that the guest makes. */
void keel_hypercall(struct keel_vcpu *vcpu);

/* KVM_EXIT_SHUTDOWN: the guest has faulted three times over. */
int keel_shutdown(struct keel_vcpu *vcpu);

/* KVM_EXIT_INTERNAL_ERROR with what the emulator could not do. */
int keel_emulation_failed(struct keel_vcpu *vcpu, const u8 *insn, unsigned int len);

#endif
