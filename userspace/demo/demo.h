/* SPDX-License-Identifier: GPL-2.0 */
/*
 * keel-demo: the layout of memory and the protocol that its host and its guest
 * share.
 *
 * The guest sees WINDOWS ranges side by side. At any time each is either backed
 * by one of SLOTS memory slots or is MMIO, and the host changes that all the time.
 * Every page of a slot holds the slot's identity, and the host answers an MMIO
 * read with the window's identity, so a value tells the guest where it came from.
 *
 * A state word per window, in memory that both sides see, says which answers are
 * legal. The host writes it twice per update, before the request and after it
 * has returned, and increments the window's sequence number each time:
 *
 *	before	both the old and the new backing may answer
 *	after	only the new one may
 *
 * The guest reads the word, accesses the window, and reads the word again. One of
 * the two words must explain the value. If the host has made too many updates in
 * between, the guest accepts every value that names this window or any slot.
 */
#ifndef _KEEL_DEMO_H
#define _KEEL_DEMO_H

#include <linux/types.h>

#define WINDOWS		16u
#define SLOTS		8u
#define WINDOW_SIZE	0x10000ull
#define WINDOW_PAGES	16u
#define DEMO_PAGE_SIZE	0x1000ull
#define MAX_CPUS	4u

/* Guest physical addresses. */
#define TABLES_GPA	0x10000ull
#define CODE_GPA	0x20000ull
#define SHARED_GPA	0x30000ull
#define STACKS_GPA	0x40000ull
#define RAM_SIZE	0x100000ull
#define WINDOWS_GPA	0x10000000ull

/* Layout of a page: the identity, then a word for each vCPU to write to. */
#define IDENTITY_OFFSET	0u
#define WRITE_OFFSET(cpu)	(64u + 8u * (cpu))

/* A backing: BACKING_MMIO, or 1 + the number of a slot. */
#define BACKING_MMIO	0u
#define BACKING_SLOT(slot)	((slot) + 1u)

static inline __u64 state_word(__u64 sequence, __u32 old, __u32 new)
{
	return sequence << 16 | old << 8 | new;
}

static inline __u64 state_sequence(__u64 word)
{
	return word >> 16;
}

static inline __u32 state_old(__u64 word)
{
	return word >> 8 & 0xff;
}

static inline __u32 state_new(__u64 word)
{
	return word & 0xff;
}

#define IDENTITY_MMIO	0x4d000000u
#define IDENTITY_RAM	0x52000000u
#define WRITE_TAG	0x57ull

/* The value of a read of @page of @window if @backing answers. */
static inline __u64 identity(__u32 backing, __u32 window, __u32 page)
{
	__u64 low = backing == BACKING_MMIO ? IDENTITY_MMIO | window << 16 | page :
					      IDENTITY_RAM | (backing - 1) << 16 | page;

	return low | (~low & 0xffffffff) << 32;
}

/* The value that a vCPU writes: its number, the window, and a count that makes it unique. */
static inline __u64 write_value(__u32 cpu, __u32 window, __u64 count)
{
	return WRITE_TAG << 56 | (__u64)cpu << 48 | (__u64)window << 40 | (count & 0xffffffff);
}

/* Written by one vCPU, read by the host. */
struct guest_cpu {
	__u64 operations;
	__u64 wrong;
	/* The first wrong answer. */
	__u64 window, page, value, before, after;
	__u64 pad;
};

struct shared {
	__u64 stop;
	__u64 state[WINDOWS];
	struct guest_cpu cpus[MAX_CPUS];
};

#endif /* _KEEL_DEMO_H */
