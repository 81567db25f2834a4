/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Flags of get_user_pages() that not every kernel has. FOLL_INTERRUPTIBLE, from 6.2
 * on: any signal ends the wait for a page; before, only a fatal one does.
 * FOLL_HONOR_NUMA_FAULT, from 6.6 on: NUMA balancing sees the access; before, it
 * always does.
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
