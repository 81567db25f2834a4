// SPDX-License-Identifier: GPL-2.0
/*
 * Flags that the architecture leaves undefined, or that processors treat
 * differently, by instruction.
 */
#include "emulate/opcodes.h"
#include "emulate_bench.h"
#include "emulate_undefined.h"

unsigned int shift_count(const struct emu_insn *insn, u64 rcx)
{
	const struct emu_operand *o = insn->operand[2].kind ? &insn->operand[2] : &insn->operand[1];
	u64 count = o->kind == EMU_OPERAND_IMM ? insn->imm : rcx;

	return count & (insn->operand[0].size == 8 ? 63 : 31);
}

/* Shifts and rotations define OF only for a count of 1; a count of 0 changes no flag. */
static u64 undefined_shift_flags(const struct emu_insn *insn, u64 rcx)
{
	unsigned int count = shift_count(insn, rcx);
	u64 flags = count > 1 ? BENCH_FLAG_OF : 0;

	if (!count || (insn->op >= EMU_OP_ROL && insn->op <= EMU_OP_RCR))
		return flags;
	if (insn->op <= EMU_OP_SHR && count >= 8u * insn->operand[0].size)
		flags |= BENCH_FLAG_CF;
	return flags | BENCH_FLAG_AF;
}

u64 undefined_flags(const struct emu_insn *insn, u64 rcx, bool faulted)
{
	switch (insn->op) {
	case EMU_OP_AND:
	case EMU_OP_OR:
	case EMU_OP_XOR:
	case EMU_OP_TEST:
		return BENCH_FLAG_AF;
	case EMU_OP_ROL ... EMU_OP_SHRD:
		return undefined_shift_flags(insn, rcx);
	case EMU_OP_MUL ... EMU_OP_IMUL3:
		return BENCH_FLAG_SF | BENCH_FLAG_ZF | BENCH_FLAG_AF | BENCH_FLAG_PF;
	case EMU_OP_DIV ... EMU_OP_IDIV:
		return BENCH_FLAGS_ARITH;
	case EMU_OP_BT ... EMU_OP_BTC:
	case EMU_OP_TZCNT ... EMU_OP_LZCNT:
		return BENCH_FLAG_OF | BENCH_FLAG_SF | BENCH_FLAG_AF | BENCH_FLAG_PF;
	case EMU_OP_ANDN ... EMU_OP_BZHI:
	case EMU_OP_BLSR ... EMU_OP_BLSI:
		return BENCH_FLAG_AF | BENCH_FLAG_PF |
		       (insn->op == EMU_OP_BEXTR ? BENCH_FLAG_SF : 0);
	case EMU_OP_BSF ... EMU_OP_BSR:
		return BENCH_FLAGS_ARITH & ~BENCH_FLAG_ZF;
	case EMU_OP_CMPS:
	case EMU_OP_SCAS:
		/* Intel restores the flags if a repeated instruction ends in a fault. */
		return insn->rep && faulted ? BENCH_FLAGS_ARITH : 0;
	case EMU_OP_DAA ... EMU_OP_DAS:
		return BENCH_FLAG_OF;
	case EMU_OP_AAA ... EMU_OP_AAS:
		return BENCH_FLAGS_ARITH & ~(BENCH_FLAG_AF | BENCH_FLAG_CF);
	case EMU_OP_AAM ... EMU_OP_AAD:
		return BENCH_FLAG_OF | BENCH_FLAG_AF | BENCH_FLAG_CF;
	}
	return 0;
}
