/* SPDX-License-Identifier: GPL-2.0 */
/* Repeated stores to a doorbell of any length: ring it without emulating each store. */
#ifndef KEEL_STORE_H
#define KEEL_STORE_H

#include "types.h"

struct keel_vcpu;

/*
 * struct keel_store - the last plain store that has rung such a doorbell
 * @len:	length of the instruction at @rip; 0: there is none
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
 * Handle an EPT violation by a write at @gpa, in no memslot. True: it is the
 * store remembered, has rung the doorbell there, and is skipped. SRCU held.
 */
bool keel_store_again(struct keel_vcpu *vcpu, gpa_t gpa);

/* Remember such a write, after the emulator has executed it. @rip: of the instruction. */
void keel_store_remember(struct keel_vcpu *vcpu, gpa_t gpa, u64 rip);

#endif
