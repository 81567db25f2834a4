/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Flags of get_user_pages() that not every kernel has: FOLL_INTERRUPTIBLE, by
 * which any signal ends the wait for a page (from 6.2 on; before, fatal ones
 * do), and FOLL_HONOR_NUMA_FAULT, which lets NUMA balancing see the access
 * (asked for from 6.6 on; before, taken for granted).
 */
#ifndef KEEL_COMPAT_GUP_H
#define KEEL_COMPAT_GUP_H

#include <linux/mm.h>
#include <linux/version.h>

#if KERNEL_VERSION(6, 2, 0) <= LINUX_VERSION_CODE
#define KEEL_FOLL_INTERRUPTIBLE	FOLL_INTERRUPTIBLE
#else
#define KEEL_FOLL_INTERRUPTIBLE	0
#endif

#if KERNEL_VERSION(6, 6, 0) <= LINUX_VERSION_CODE
#define KEEL_FOLL_NUMA		FOLL_HONOR_NUMA_FAULT
#else
#define KEEL_FOLL_NUMA		0
#endif

#endif
