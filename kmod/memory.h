/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The memslot update: making changes of a VM's slots take effect.
 */
#ifndef KEEL_MEMORY_H
#define KEEL_MEMORY_H

#include "memslot.h"

struct keel_vm;

/*
 * struct slot_change - one slot before and after an update
 * @old:	the current slot, or NULL: the slot is added
 * @wanted:	the slot after the update; npages 0: it is deleted. id and as are
 *		always set
 * @slot:	the copy of @wanted in the next snapshot, or NULL; set by memory.c
 */
struct slot_change {
	const struct keel_memslot *old;
	struct keel_memslot wanted;
	const struct keel_memslot *slot;
};

/*
 * VM life. Call memory_init() after mmu_vm_init(), with vm->mm and vm->srcu set
 * up. Call memory_release() when no vCPU runs any more, before the vCPUs are
 * freed (the notifier sends them requests) and before mmu_vm_free().
 */
int memory_init(struct keel_vm *vm);
void memory_release(struct keel_vm *vm);

/* The current slot with @id in address space @as, or NULL. slots_lock held. */
const struct keel_memslot *memory_slot(struct keel_vm *vm, int as, unsigned int id);

/*
 * Make @n changes of one address space, each of a different id, take effect as
 * one. On return no vCPU uses memory or rights that the update has taken away.
 * 0; or -EEXIST (two slots would overlap) or -ENOMEM, and nothing has changed.
 * May sleep. slots_lock held.
 */
int memory_update(struct keel_vm *vm, int as, struct slot_change *changes, int n);

#endif
