/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * The interface that Keel offers to userspace beyond the KVM API.
 *
 * The device speaks the KVM API: its numbers, structures and errno values are
 * those of <linux/kvm.h> and are not repeated here. This file defines only what
 * KVM does not have. Every request defined here uses an ioctl type of its
 * own, so that it can never collide with a present or future KVM request.
 */
#ifndef _UAPI_LINUX_KEEL_H
#define _UAPI_LINUX_KEEL_H

#include <linux/kvm.h>

/* Default path of the device node. */
#define KEEL_DEVICE_PATH	"/dev/keel"

/*
 * The ioctl type of Keel's own requests: _IO*(KEELIO, nr, ...). Not listed in
 * the kernel's ioctl-number table; KVM's own type is KVMIO. Every number of this
 * type that is not defined here fails with ENOTTY.
 */
#define KEELIO			0xE7

/*
 * Keel's own capabilities, for KVM_CHECK_EXTENSION and KVM_ENABLE_CAP. Their
 * numbers are far from KVM's.
 *
 * KEEL_CAP_MEMORY_REGIONS: KEEL_SET_MEMORY_REGIONS is supported; the value is the
 *	largest number of changes in one call.
 * KEEL_CAP_MEMORY_IN_PLACE: once it is enabled on a VM (flags and args 0),
 *	KVM_SET_USER_MEMORY_REGION may change the size, the host address and the
 *	read-only flag of an existing slot. Without it that is EINVAL.
 */
#define KEEL_CAP_MEMORY_REGIONS		0x4b650001
#define KEEL_CAP_MEMORY_IN_PLACE	0x4b650002

/* Largest number of changes in one call of KEEL_SET_MEMORY_REGIONS. */
#define KEEL_MAX_MEMORY_REGIONS		512

/*
 * struct keel_memory_regions - changes of memory slots that take effect as one
 * @nr:		number of changes, up to KEEL_MAX_MEMORY_REGIONS
 * @flags:	0
 * @regions:	each as for KVM_SET_USER_MEMORY_REGION: memory_size 0 deletes; an
 *		id that does not exist is added; one that exists gets this place,
 *		size, host address and flags. All are of one address space, and no
 *		id occurs twice. Their order does not matter: only the resulting
 *		slots must not overlap, so slots may change places.
 */
struct keel_memory_regions {
	__u32 nr;
	__u32 flags;
	struct kvm_userspace_memory_region regions[];
};

/*
 * VM ioctl. No guest access sees only some of the changes. Memory whose host
 * address does not change stays mapped. Returns 0, or an error and nothing has
 * changed: EINVAL (as for KVM's request, or the rules above), E2BIG (@nr), EEXIST
 * (two slots would overlap), ENOMEM, EFAULT.
 */
#define KEEL_SET_MEMORY_REGIONS	_IOW(KEELIO, 0x00, struct keel_memory_regions)

#endif /* _UAPI_LINUX_KEEL_H */
