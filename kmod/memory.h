/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Guest memory of a VM: the memslot update transaction.
 */
#ifndef KEEL_MEMORY_H
#define KEEL_MEMORY_H

#include "memslot.h"

struct keel_vm;

/*
 * struct slot_change - one slot before and after an update
 * @old:	as it is now, or NULL: added
 * @wanted:	id and address space are always set; npages 0: deleted
 * @slot:	@wanted as the next snapshot holds it; memory.c's own
 */
struct slot_change {
	const struct keel_memslot *old;
	struct keel_memslot wanted;
	const struct keel_memslot *slot;
};

/*
 * VM life. Init: vm->mm and vm->srcu are set up and mmu_vm_init() has been
 * called. Release: no vCPU runs any more; before the
 * vCPUs are freed, which the notifier knows, and before mmu_vm_free().
 */
int memory_init(struct keel_vm *vm);
void memory_release(struct keel_vm *vm);

/* The slot of that id, or NULL. slots_lock held. */
const struct keel_memslot *memory_slot(struct keel_vm *vm, int as, unsigned int id);

/*
 * Make @n changes of one address space, each of another id, take effect as one.
 * When this returns no vCPU acts on what has been taken away. 0; or nothing has
 * changed and -EEXIST: two slots would overlap, or -ENOMEM. May sleep.
 * slots_lock held.
 */
int memory_update(struct keel_vm *vm, int as, struct slot_change *changes, int n);

#endif
