/* SPDX-License-Identifier: GPL-2.0 */
/* NULL and offsetof() for pure files that are compiled natively. */
#ifndef KEEL_UNIT_LINUX_STDDEF_H
#define KEEL_UNIT_LINUX_STDDEF_H

#include_next <linux/stddef.h>
#include <stddef.h>

#endif
