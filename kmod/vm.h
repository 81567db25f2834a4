/* SPDX-License-Identifier: GPL-2.0 */
/* The life of a VM. */
#ifndef KEEL_VM_H
#define KEEL_VM_H

#include "keel.h"

/* KVM_CREATE_VM: a file descriptor, or -errno. */
long keel_create_vm(void *type);

static inline void keel_vm_get(struct keel_vm *vm)
{
	refcount_inc(&vm->users);
}

/* The last one destroys the VM and its vCPUs. */
void keel_vm_put(struct keel_vm *vm);

#endif
