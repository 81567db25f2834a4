/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Exceptions, NMIs and interrupts on their way into the guest: queues new ones,
 * requeues those whose delivery an exit interrupted, and asks the hardware for
 * windows.
 */
#ifndef KEEL_IRQ_H
#define KEEL_IRQ_H

#include "types.h"

struct keel_vm;
struct keel_vcpu;
struct keel_exit;
struct kvm_vcpu_events;
struct kvm_interrupt;
struct emu_event;
struct walk_fault;

/* Raise an exception. It combines with one already raised, as the manual says (#DF, shutdown). */
void keel_queue_exception(struct keel_vcpu *vcpu, u8 vector);
void keel_queue_exception_error(struct keel_vcpu *vcpu, u8 vector, u32 error);
void keel_queue_page_fault(struct keel_vcpu *vcpu, const struct walk_fault *fault);
void keel_queue_debug(struct keel_vcpu *vcpu, u64 dr6_bits);

static inline void keel_inject_gp(struct keel_vcpu *vcpu)
{
	keel_queue_exception_error(vcpu, 13, 0);
}

static inline void keel_inject_ud(struct keel_vcpu *vcpu)
{
	keel_queue_exception(vcpu, 6);
}

/* Call after an exit: put an event whose delivery it interrupted back into the queue. */
void keel_requeue_vectoring(struct keel_vcpu *vcpu, const struct keel_exit *exit);
/* Call before an entry: hand the most urgent event to the hardware and ask for windows. */
void keel_inject_events(struct keel_vcpu *vcpu);
/* Call if an entry is called off after keel_inject_events(): take the event back. */
void keel_uninject(struct keel_vcpu *vcpu);

/*
 * Take the most urgent event that the guest can take, for the emulator to
 * deliver: in a mode that the hardware does not run, or through a task gate.
 * False if there is none.
 */
bool keel_take_event(struct keel_vcpu *vcpu, struct emu_event *event);
/*
 * End the delivery that keel_take_event() began. If not @delivered, the caller
 * raises an exception next.
 */
void keel_event_over(struct keel_vcpu *vcpu, bool delivered);

/* True if KVM_INTERRUPT would be accepted and injected at the next entry. */
bool keel_irq_ready(struct keel_vcpu *vcpu);

/*
 * KVM_CAP_EXCEPTION_PAYLOAD, KVM_CAP_X86_TRIPLE_FAULT_EVENT: add fields to
 * KVM_GET/SET_VCPU_EVENTS.
 */
long keel_enable_payloads(struct keel_vm *vm, const u64 *args);
long keel_enable_triple_faults(struct keel_vm *vm, const u64 *args);

/* KVM_INTERRUPT, KVM_NMI, KVM_GET/SET_VCPU_EVENTS. */
long keel_ioctl_interrupt(struct keel_vcpu *vcpu, void *data);
long keel_ioctl_nmi(struct keel_vcpu *vcpu, void *data);
long keel_get_vcpu_events(struct keel_vcpu *vcpu, void *data);
long keel_set_vcpu_events(struct keel_vcpu *vcpu, void *data);

#endif
