/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kernel's own type names for pure files that are compiled natively.
 * Hands on to the system's header of the same name, which user ABI headers
 * rely on.
 */
#ifndef KEEL_UNIT_LINUX_TYPES_H
#define KEEL_UNIT_LINUX_TYPES_H

#include_next <linux/types.h>
#include <stdbool.h>
#include <stddef.h>

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s8 s8;
typedef __s16 s16;
typedef __s32 s32;
typedef __s64 s64;

#ifndef __aligned
#define __aligned(n)	__attribute__((aligned(n)))
#endif

#endif
