/* SPDX-License-Identifier: GPL-2.0 */
/* ARRAY_SIZE() for pure files that are compiled natively. */
#ifndef KEEL_UNIT_LINUX_KERNEL_H
#define KEEL_UNIT_LINUX_KERNEL_H

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#endif
