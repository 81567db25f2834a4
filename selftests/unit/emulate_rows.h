/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Rows for tables of single instructions with their expected results, and the
 * function that runs a row on the bench. Shared by the tests that consist of such
 * tables.
 */
#ifndef KEEL_UNIT_EMULATE_ROWS_H
#define KEEL_UNIT_EMULATE_ROWS_H

#include "emulate_bench.h"

#define CODE_AT		0x1000u
#define DATA		0x8000u		/* address of the operands in rows */
#define MAX_REGS	6

#define R(_reg, _val)	{ EMU_##_reg + 1, (_val) }
#define OSZAPC(_of, _sf, _zf, _af, _pf, _cf)				\
	((_of) * BENCH_FLAG_OF | (_sf) * BENCH_FLAG_SF | (_zf) * BENCH_FLAG_ZF |	\
	 (_af) * BENCH_FLAG_AF | (_pf) * BENCH_FLAG_PF | (_cf) * BENCH_FLAG_CF)

struct reg_value {
	unsigned int number;		/* plus one: 0 ends a list */
	u64 val;
};

struct memory_value {
	u64 linear;
	unsigned int size;		/* 0: none */
	u64 val;
};

/* The 8 bytes at @at in vector register @number */
struct vector_value {
	unsigned int number;		/* plus one: 0 for none */
	unsigned int at;
	u64 val;
};

#define V(_reg, _at, _val)	{ (_reg) + 1, (_at), (_val) }

/*
 * struct row - one instruction
 * @in, @out:	registers before and after; others are 0 before and must not
 *		change. @rip: 0 means next instruction.
 * @vector_out: expected part of a vector register. Before, each byte of a
 *		register is the low byte of 0x11 times its number.
 * @flags, @flags_out: whole register before and after, without bit 1
 * @vector:	expected exception plus 1; @error: its error code, or NO_ERROR
 */
struct row {
	const char *name;
	enum emu_mode mode;
	const char *code;
	struct reg_value in[MAX_REGS], out[MAX_REGS];
	struct memory_value mem, mem_out;
	struct vector_value vector_out;
	u64 flags, flags_out;
	u64 rip;
	void (*setup)(struct bench *b);
	enum emu_result result;
	unsigned int vector;
	u64 error;
};

#define NO_ERROR	0x100000000ull
#define FAULT(_vector, _error)	\
	.result = EMU_FAULT, .vector = (_vector) + 1, .error = (_error)

#define REAL	EMU_MODE_REAL
#define P16	EMU_MODE_PROT16
#define P32	EMU_MODE_PROT32
#define L64	EMU_MODE_LONG64

/* Run the row on a fresh bench; print differences as notes. */
bool row_passes(const struct row *row);

#endif
