/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The pages that the guest has written to: the log of a slot with
 * KVM_MEM_LOG_DIRTY_PAGES, as a bitmap or as a ring for each vCPU.
 *
 * A page is marked after it has been written to, or has become writable, and
 * never before: so a mark that userspace takes away too early is made again,
 * and none is lost.
 */
#ifndef KEEL_DIRTY_H
#define KEEL_DIRTY_H

#include <linux/kvm.h>

#include "keel.h"
#include "memslot.h"

struct slot_change;

/*
 * Bitmaps for the slots that @changes make, in c->wanted.dirty; one that keeps
 * place and size keeps its own. 0, or -ENOMEM and all is as before. slots_lock held.
 */
int dirty_prepare(struct keel_vm *vm, struct slot_change *changes, int n);
/* The changes will not be made after all. */
void dirty_abort(struct slot_change *changes, int n);
/* Note in @heir what is noted of [@first, @end) in @old, which gets no more marks. */
void dirty_inherit(const struct keel_memslot *old, const struct keel_memslot *heir, gfn_t first,
		   gfn_t end);
/* The same of the pages of host memory that both show, if @new is @old at another place. */
void dirty_move(const struct keel_memslot *old, const struct keel_memslot *new);
void dirty_free(const struct keel_memslot *slot);

/* How many slots log writes changes by @by: the hardware's help is needed, or no more. */
void dirty_count_slots(struct keel_vm *vm, int by);

/* vCPU mutex and a read section of the slots held. */
void keel_dirty_mark(struct keel_vcpu *vcpu, const struct keel_memslot *slot, gfn_t gfn);
void keel_dirty_mark_gfn(struct keel_vcpu *vcpu, gfn_t gfn);

/* The kernel has written to @gfn of @slot for the guest. */
static inline void keel_dirty_written(struct keel_vcpu *vcpu, const struct keel_memslot *slot,
				      gfn_t gfn)
{
	if (unlikely(slot->flags & KVM_MEM_LOG_DIRTY_PAGES))
		keel_dirty_mark(vcpu, slot, gfn);
}

/* Requests: begin or end to use the hardware's log; after an exit: mark what is in it. */
void keel_dirty_update(struct keel_vcpu *vcpu);
void keel_dirty_drain(struct keel_vcpu *vcpu);

/* KVM_GET_DIRTY_LOG, KVM_CLEAR_DIRTY_LOG, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2. */
long keel_get_dirty_log(struct keel_vm *vm, void *log);
long keel_clear_dirty_log(struct keel_vm *vm, void *log);
long keel_enable_manual_protect(struct keel_vm *vm, const u64 *args);

#endif
