/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * What Keel offers to userspace beyond the KVM API.
 *
 * The device speaks the KVM API: its numbers, structures and errno values are
 * those of <linux/kvm.h> and are not repeated here. This file owns only what
 * KVM has no word for. Every request defined here uses an ioctl type of its
 * own, so that it can never collide with a present or future KVM request.
 */
#ifndef _UAPI_LINUX_KEEL_H
#define _UAPI_LINUX_KEEL_H

#include <linux/kvm.h>

/* Where the device node is found unless the administrator moved it. */
#define KEEL_DEVICE_PATH	"/dev/keel"

/*
 * The ioctl type of Keel's own requests: _IO*(KEELIO, nr, ...). Not listed in
 * the kernel's ioctl-number table; KVM's own type is KVMIO. No request is
 * defined yet, and every number of this type answers ENOTTY until one is.
 */
#define KEELIO			0xE7

#endif /* _UAPI_LINUX_KEEL_H */
