/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The type that *_young callbacks of an mmu notifier return: int for long, bool in
 * newer kernels. Taken from the declaration, so that no version need be known.
 */
#ifndef KEEL_COMPAT_NOTIFIER_H
#define KEEL_COMPAT_NOTIFIER_H

#include <linux/mmu_notifier.h>

#define keel_young_t typeof(((struct mmu_notifier_ops *)NULL)->test_young(NULL, NULL, 0))

#endif
