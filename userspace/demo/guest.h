/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The guest's code: one section of the program, entered at guest_main(). Every
 * function that the guest calls must carry __guest.
 */
#ifndef _KEEL_DEMO_GUEST_H
#define _KEEL_DEMO_GUEST_H

#include "demo.h"

#define __attrs(...)	__attribute__((__VA_ARGS__))
#define __guest		__attrs(section("keelguest"), noinline)

/* The linker's names for the bounds of the section. */
extern const char __start_keelguest[], __stop_keelguest[];

void guest_main(struct shared *shared, __u64 number);

#endif /* _KEEL_DEMO_GUEST_H */
