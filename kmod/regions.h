/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The ioctls that change memory slots.
 */
#ifndef KEEL_REGIONS_H
#define KEEL_REGIONS_H

struct keel_vm;

/*
 * KVM_SET_USER_MEMORY_REGION; @data: struct kvm_userspace_memory_region. 0, or
 * -EINVAL: invalid argument, -EEXIST: it overlaps another slot, -ENOMEM.
 */
long keel_ioctl_set_user_memory_region(struct keel_vm *vm, void *data);

/*
 * KEEL_SET_MEMORY_REGIONS; @arg: user pointer to a struct keel_memory_regions.
 * Errors as above, and -E2BIG: too many changes, -EFAULT.
 */
long keel_ioctl_set_memory_regions(struct keel_vm *vm, void *arg);

#endif
