/* SPDX-License-Identifier: GPL-2.0 */
/* memcpy() and its kin for pure files that are compiled natively. */
#ifndef KEEL_UNIT_LINUX_STRING_H
#define KEEL_UNIT_LINUX_STRING_H

#include <string.h>

#endif
