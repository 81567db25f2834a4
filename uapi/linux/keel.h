/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * The interface that Keel offers to userspace beyond the KVM API.
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
 * the kernel's ioctl-number table; KVM's own type is KVMIO. Every number of this
 * type that is not defined here answers ENOTTY.
 */
#define KEELIO			0xE7

/*
 * Capabilities of Keel's own, for KVM_CHECK_EXTENSION and KVM_ENABLE_CAP: far
 * from KVM's numbers.
 *
 * KEEL_CAP_MEMORY_REGIONS: KEEL_SET_MEMORY_REGIONS is there; the value is how
 *	many changes one call can make.
 * KEEL_CAP_MEMORY_IN_PLACE: enabled on a VM (flags and args 0), a slot may be
 *	given another size, host address or read-only flag by
 *	KVM_SET_USER_MEMORY_REGION while it exists, which is EINVAL otherwise.
 */
#define KEEL_CAP_MEMORY_REGIONS		0x4b650001
#define KEEL_CAP_MEMORY_IN_PLACE	0x4b650002

/* Changes in one call of KEEL_SET_MEMORY_REGIONS. */
#define KEEL_MAX_MEMORY_REGIONS		512

/*
 * struct keel_memory_regions - changes of memory slots that take effect as one
 * @nr:		how many, up to KEEL_MAX_MEMORY_REGIONS
 * @flags:	0
 * @regions:	each as for KVM_SET_USER_MEMORY_REGION: memory_size 0 deletes, an
 *		id that does not exist is added, one that exists gets this place,
 *		size, host address and flags. All of one address space, no id
 *		twice. Their order means nothing: what counts is that no two
 *		slots overlap when all is done, so slots may change places.
 */
struct keel_memory_regions {
	__u32 nr;
	__u32 flags;
	struct kvm_userspace_memory_region regions[];
};

/*
 * On a VM. No guest access sees some of the changes without the others; memory
 * whose host address does not change stays mapped. 0, or nothing has changed:
 * EINVAL (as for KVM's request, or the rules above), E2BIG (@nr), EEXIST (two
 * slots would overlap), ENOMEM, EFAULT.
 */
#define KEEL_SET_MEMORY_REGIONS	_IOW(KEELIO, 0x00, struct keel_memory_regions)

#endif /* _UAPI_LINUX_KEEL_H */
