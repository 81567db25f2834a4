/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Coalesced I/O: Keel puts writes to zones that userspace has registered into a
 * shared ring, and the guest goes on without an exit to userspace.
 */
#ifndef KEEL_COALESCED_H
#define KEEL_COALESCED_H

#include "types.h"

struct page;
struct keel_vm;
struct keel_vcpu;

/* True: the write is in the ring. @bus: enum keel_bus. */
bool keel_coalesced_write(struct keel_vcpu *vcpu, int bus, u64 addr, const void *data,
			  unsigned int len);

int keel_coalesced_init(struct keel_vm *vm);
void keel_coalesced_free(struct keel_vm *vm);
/* The page that each vCPU's file shows at KVM_COALESCED_MMIO_PAGE_OFFSET. */
struct page *keel_coalesced_page(struct keel_vm *vm);

/* KVM_REGISTER_COALESCED_MMIO, KVM_UNREGISTER_COALESCED_MMIO. */
long keel_register_coalesced(struct keel_vm *vm, void *data);
long keel_unregister_coalesced(struct keel_vm *vm, void *data);

#endif
