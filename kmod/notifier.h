/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The mmu notifier of a VM, through which the host takes pages back.
 */
#ifndef KEEL_NOTIFIER_H
#define KEEL_NOTIFIER_H

struct keel_vm;

/* Begin to receive calls. Both address spaces must have a snapshot. 0 or -errno. */
int notifier_register(struct keel_vm *vm);
/* On return no page of the host is mapped and no call is in progress. */
void notifier_unregister(struct keel_vm *vm);

#endif
