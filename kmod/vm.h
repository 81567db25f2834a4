/* SPDX-License-Identifier: GPL-2.0 */
/* Creation and end of a VM. */
#ifndef KEEL_VM_H
#define KEEL_VM_H

#include "keel.h"

/* KVM_CREATE_VM: a file descriptor, or -errno. */
long keel_create_vm(void *type);

static inline void keel_vm_get(struct keel_vm *vm)
{
	refcount_inc(&vm->users);
}

/* Drop a reference; the last one destroys the VM and its vCPUs. */
void keel_vm_put(struct keel_vm *vm);

#endif
