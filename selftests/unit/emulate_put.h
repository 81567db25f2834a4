/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Numbers and segment descriptors in the bench's memory, for tests of what the
 * processor finds there: tables, gates, stacks. Short names, as they are used in
 * nearly every line of these tests.
 */
#ifndef KEEL_UNIT_EMULATE_PUT_H
#define KEEL_UNIT_EMULATE_PUT_H

#include <string.h>
#include "emulate_bench.h"

/* Write the lowest @size bytes of @val, up to 8. @linear must be in memory. */
static inline void put(struct bench *b, u64 linear, u64 val, unsigned int size)
{
	memcpy(bench_at(b, linear), &val, size);
}

/* Read @size bytes, up to 8. @linear must be in memory. */
static inline u64 get(struct bench *b, u64 linear, unsigned int size)
{
	u64 val = 0;

	memcpy(&val, bench_at(b, linear), size);
	return val;
}

/* @access is byte 5 of the descriptor; @flags are G, D/B, L and AVL. */
static inline u64 descriptor(u8 access, u8 flags, u32 base, u32 limit)
{
	u64 d = limit & 0xffff;

	d |= (u64)(base & 0xffffff) << 16 | (u64)access << 40;
	return d | (u64)(limit >> 16 & 15) << 48 | (u64)flags << 52 | (u64)(base >> 24) << 56;
}

#endif
