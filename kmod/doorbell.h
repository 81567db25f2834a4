/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Doorbells (KVM_IOEVENTFD): a guest's write to a port or an MMIO address
 * signals an eventfd, without an exit to userspace.
 */
#ifndef KEEL_DOORBELL_H
#define KEEL_DOORBELL_H

#include "types.h"

struct keel_vm;
struct keel_vcpu;

/* True: a doorbell has taken the write. @bus: enum keel_bus. */
bool keel_doorbell_write(struct keel_vcpu *vcpu, int bus, u64 addr, const void *data,
			 unsigned int len);
/*
 * MMIO doorbells of any length. keel_doorbell_near(): true if there is one on
 * the page of @gpa. keel_doorbell_any_length(): ring the one at @gpa; false if
 * there is none.
 */
bool keel_doorbell_near(struct keel_vcpu *vcpu, gpa_t gpa);
bool keel_doorbell_any_length(struct keel_vcpu *vcpu, gpa_t gpa);
void keel_doorbells_free(struct keel_vm *vm);

/* KVM_IOEVENTFD. */
long keel_ioeventfd(struct keel_vm *vm, void *data);

#endif
