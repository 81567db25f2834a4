/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The return type of the *_young callbacks of an mmu notifier: int in older kernels,
 * bool in newer ones. Taken from the declaration, so no version check is needed.
 */
#ifndef KEEL_COMPAT_NOTIFIER_H
#define KEEL_COMPAT_NOTIFIER_H

#include <linux/mmu_notifier.h>

#define keel_young_t typeof(((struct mmu_notifier_ops *)NULL)->test_young(NULL, NULL, 0))

#endif
