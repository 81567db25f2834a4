/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The mmu notifier of a VM: through it the host takes pages back.
 */
#ifndef KEEL_NOTIFIER_H
#define KEEL_NOTIFIER_H

struct keel_vm;

/* From here on the host tells. Both address spaces have a snapshot. 0 or -errno. */
int notifier_register(struct keel_vm *vm);
/* When this returns nothing of the host's is mapped and no call is going on. */
void notifier_unregister(struct keel_vm *vm);

#endif
