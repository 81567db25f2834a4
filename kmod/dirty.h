/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Dirty logging: which pages of a slot with KVM_MEM_LOG_DIRTY_PAGES have been written
 * to, in a bitmap of the slot or in a ring for each vCPU.
 *
 * A page is marked after it has been written to or has become writable, never before:
 * if userspace took a mark and copied the page before the write, the write would not
 * be logged.
 */
#ifndef KEEL_DIRTY_H
#define KEEL_DIRTY_H

#include <linux/kvm.h>

#include "keel.h"
#include "memslot.h"

struct slot_change;

/*
 * Set wanted.dirty of the changes whose slots log to a bitmap; a slot that keeps base
 * and size keeps its bitmap. 0, or -ENOMEM: new bitmaps have been freed. slots_lock
 * held.
 */
int dirty_prepare(struct keel_vm *vm, struct slot_change *changes, int n);
/* Undo dirty_prepare(): the changes are not made. */
void dirty_abort(struct slot_change *changes, int n);
/* Copy the marks of gfns [@first, @end) from @old to @heir. @old gets no more marks. */
void dirty_inherit(const struct keel_memslot *old, const struct keel_memslot *heir, gfn_t first,
		   gfn_t end);
/* Copy the marks of the host pages that both show. @new has the id of @old after an update. */
void dirty_move(const struct keel_memslot *old, const struct keel_memslot *new);
void dirty_free(const struct keel_memslot *slot);

/* Add @by to the number of slots that log; vCPUs switch PML on or off as it leaves or gets 0. */
void dirty_count_slots(struct keel_vm *vm, int by);

/* Mark a page. vCPU mutex held, in a read section of the slots. */
void keel_dirty_mark(struct keel_vcpu *vcpu, const struct keel_memslot *slot, gfn_t gfn);
void keel_dirty_mark_gfn(struct keel_vcpu *vcpu, gfn_t gfn);

/* The kernel has written to @gfn of @slot for the guest. */
static inline void keel_dirty_written(struct keel_vcpu *vcpu, const struct keel_memslot *slot,
				      gfn_t gfn)
{
	if (unlikely(slot->flags & KVM_MEM_LOG_DIRTY_PAGES))
		keel_dirty_mark(vcpu, slot, gfn);
}

/* REQ_LOG: switch PML on or off. After a VM exit: mark the pages in the PML buffer. */
void keel_dirty_update(struct keel_vcpu *vcpu);
void keel_dirty_drain(struct keel_vcpu *vcpu);

/* KVM_GET_DIRTY_LOG, KVM_CLEAR_DIRTY_LOG, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2. */
long keel_get_dirty_log(struct keel_vm *vm, void *log);
long keel_clear_dirty_log(struct keel_vm *vm, void *log);
long keel_enable_manual_protect(struct keel_vm *vm, const u64 *args);

#endif
