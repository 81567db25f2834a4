/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The dirty ring: one for each vCPU, mapped by userspace, which reads entries and
 * hands them back. Takes the place of the slots' bitmaps.
 */
#ifndef KEEL_DIRTY_RING_H
#define KEEL_DIRTY_RING_H

#include "types.h"

struct keel_memslot;
struct keel_vcpu;
struct keel_vm;
struct kvm_dirty_gfn;
struct page;

#define KEEL_RING_MAX_ENTRIES	65536

/*
 * struct keel_dirty_ring - the dirty ring of one vCPU
 * @entry:	number n is entry[n % vm->dirty_ring_entries]
 * @head:	the next to fill; written under the vCPU mutex
 * @taken_back:	the next that userspace hands back; slots_lock to write
 */
struct keel_dirty_ring {
	struct kvm_dirty_gfn *entry;
	u32 head;
	u32 taken_back;
};

/* vCPU life. Init: 0 or -ENOMEM; vm->lock held. */
int keel_ring_init(struct keel_vcpu *vcpu);
void keel_ring_free(struct keel_vcpu *vcpu);

/*
 * Pages of the vCPU's file: the ring's page at @pgoff, or NULL; and whether one of
 * @pages from @pgoff on is the ring's.
 */
struct page *keel_ring_page(const struct keel_vcpu *vcpu, unsigned long pgoff);
bool keel_ring_covers(const struct keel_vm *vm, unsigned long pgoff, unsigned long pages);

/* Page @offset of @slot was written to. vCPU mutex held. */
void keel_ring_push(struct keel_vcpu *vcpu, const struct keel_memslot *slot, u64 offset);

/* May an ioctl write to guest memory? The last entries are reserved for a running guest. */
bool keel_ring_has_room(const struct keel_vcpu *vcpu);

/* REQ_RING_FULL: true if the ring is nearly full; kvm_run then has the exit reason. */
bool keel_ring_full(struct keel_vcpu *vcpu);

/* KVM_RESET_DIRTY_RINGS; KVM_CAP_DIRTY_LOG_RING. */
long keel_reset_dirty_rings(struct keel_vm *vm, void *unused);
long keel_enable_ring(struct keel_vm *vm, const u64 *args);

#endif
