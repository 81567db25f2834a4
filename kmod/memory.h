/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Guest memory of a VM: the memslot update transaction and the mmu notifier.
 */
#ifndef KEEL_MEMORY_H
#define KEEL_MEMORY_H

struct keel_vm;

/*
 * VM life. Init: vm->mm and vm->srcu are set up and mmu_vm_init() has been
 * called. Release: no vCPU runs any more; before the
 * vCPUs are freed, which the notifier knows, and before mmu_vm_free().
 */
int memory_init(struct keel_vm *vm);
void memory_release(struct keel_vm *vm);

/* KVM_SET_USER_MEMORY_REGION; @data: struct kvm_userspace_memory_region. */
long keel_ioctl_set_user_memory_region(struct keel_vm *vm, void *data);

#endif
