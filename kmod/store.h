/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A store that rings a doorbell of any length over and over again rings it
 * without being emulated each time.
 */
#ifndef KEEL_STORE_H
#define KEEL_STORE_H

#include "types.h"

struct keel_vcpu;

/*
 * struct keel_store - the plain store that has rung last
 * @len:	of the instruction, at @rip; 0: there is none
 * @size:	bytes that it writes
 * @base:	register that its address is relative to, or EMU_NO_REG
 */
struct keel_store {
	u64 rip;
	u64 disp;
	u8 base;
	u8 len;
	u8 size;
};

/*
 * The hardware reports a write at @gpa, in no slot. True: it is the store seen
 * before, has rung the doorbell there, and is stepped over. SRCU held.
 */
bool keel_store_again(struct keel_vcpu *vcpu, gpa_t gpa);

/* The emulator has dealt with such a write; the instruction was at @rip. */
void keel_store_remember(struct keel_vcpu *vcpu, gpa_t gpa, u64 rip);

#endif
