/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Signalling an eventfd: with a count of events until 6.7, for one event from
 * 6.8 on.
 */
#ifndef KEEL_COMPAT_EVENTFD_H
#define KEEL_COMPAT_EVENTFD_H

#include <linux/eventfd.h>
#include <linux/version.h>

static inline void keel_eventfd_signal(struct eventfd_ctx *ctx)
{
#if KERNEL_VERSION(6, 8, 0) <= LINUX_VERSION_CODE
	eventfd_signal(ctx);
#else
	eventfd_signal(ctx, 1);
#endif
}

#endif
