// SPDX-License-Identifier: GPL-2.0
/* Create and destroy VMs. Owns struct keel_vm except for its slot tables, which are memory.c's. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "internal.h"

/*
 * A CPU without unrestricted guest runs real mode in virtual-8086 mode with
 * paging, for which it needs a TSS and an identity page table. On other CPUs the
 * two requests change nothing.
 */
static int reserve_real_mode_pages(int fd)
{
	__u64 identity = KEEL_RESERVED_GPA;
	int ret;

	if (keel_ioctl_value(fd, KVM_CHECK_EXTENSION, KVM_CAP_SET_IDENTITY_MAP_ADDR) > 0) {
		ret = keel_ioctl(fd, KVM_SET_IDENTITY_MAP_ADDR, &identity);
		if (ret)
			return ret;
	}
	if (keel_ioctl_value(fd, KVM_CHECK_EXTENSION, KVM_CAP_SET_TSS_ADDR) <= 0)
		return 0;
	return keel_ioctl_value(fd, KVM_SET_TSS_ADDR, KEEL_RESERVED_GPA + KEEL_PAGE_SIZE);
}

KEEL_API int keel_vm_create(struct keel *keel, struct keel_vm **out)
{
	struct keel_vm *vm;
	int ret;

	if (!keel || !out)
		return -EINVAL;
	vm = calloc(1, sizeof(*vm));
	if (!vm)
		return -ENOMEM;
	vm->keel = keel;
	vm->fd = keel_ioctl_value(keel->fd, KVM_CREATE_VM, 0);
	if (vm->fd < 0) {
		ret = vm->fd;
		goto err_free;
	}
	ret = reserve_real_mode_pages(vm->fd);
	if (ret)
		goto err_close;
	ret = -pthread_mutex_init(&vm->slots_lock, NULL);
	if (ret)
		goto err_close;
	*out = vm;
	return 0;

err_close:
	close(vm->fd);
err_free:
	free(vm);
	return ret;
}

KEEL_API void keel_vm_destroy(struct keel_vm *vm)
{
	if (!vm)
		return;
	close(vm->fd);
	keel_mem_release(vm);
	pthread_mutex_destroy(&vm->slots_lock);
	free(vm);
}

KEEL_API int keel_vm_fd(const struct keel_vm *vm)
{
	return vm ? vm->fd : -EINVAL;
}

KEEL_API int keel_vm_check_extension(const struct keel_vm *vm, int cap)
{
	if (!vm)
		return -EINVAL;
	return keel_ioctl_value(vm->fd, KVM_CHECK_EXTENSION, cap);
}

KEEL_API int keel_vm_stats_fd(const struct keel_vm *vm)
{
	return vm ? keel_ioctl_value(vm->fd, KVM_GET_STATS_FD, 0) : -EINVAL;
}
