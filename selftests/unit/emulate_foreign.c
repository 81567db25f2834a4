// SPDX-License-Identifier: GPL-2.0
/*
 * Opcodes of AMD and VIA only, and those of extensions that guests are not
 * offered but user code may use. They are recognized by their first bytes,
 * generously: a foreign instruction is just not compared.
 */
#include <stdbool.h>
#include <string.h>
#include "emulate_foreign.h"
#include "emulate/exec.h"
#include "emulate/opcodes.h"

bool is_foreign(const u8 *code, unsigned int len)
{
	const u8 *escape = memchr(code, 0x0f, len - 2);

	if (memchr(code, 0x8f, len))
		return true;			/* XOP */
	if (!escape)
		return false;
	switch (escape[1]) {
	case 0x01:				/* SVM, MONITORX, RDPKRU, UINTR */
	case 0xae:				/* WAITPKG, PTWRITE, shadow stacks */
		return escape[2] >= 0xc0;
	case 0x05:				/* SYSCALL and SYSRET in 32-bit code */
	case 0x07:
	case 0x0e ... 0x0f:			/* 3DNow! */
	case 0x2b:				/* MOVNTSS, MOVNTSD */
	case 0x34 ... 0x35:
	case 0x78 ... 0x79:			/* EXTRQ, INSERTQ */
	case 0xa6 ... 0xa7:			/* PadLock */
	case 0xb9:				/* UD1: AMD does not wait for its operand */
	case 0xc7:				/* SENDUIPI */
		return true;
	case 0x38:				/* key locker, ENQCMD, AADD */
		return escape[2] >= 0xd8;
	case 0x3a:				/* HRESET */
		return escape[2] == 0xf0;
	}
	return false;
}

bool crosses_page(const struct emu_ctx *ctx, unsigned int size)
{
	u64 at = ctx->seg[ctx->insn.seg].base + emu_effective_address(ctx);

	return at % 4096 > 4096 - size;
}

bool is_locked_system(const u8 *code, unsigned int len)
{
	const u8 *lock = memchr(code, 0xf0, len);
	const u8 *escape = memchr(code, 0x0f, len - 1);

	return lock && escape && escape[1] < 0x24;
}

bool is_odd_at_page_end(const u8 *code, unsigned int len)
{
	static const u8 odd[] = { 0x62, 0x66, 0xc4, 0xc5, 0xf0 };
	unsigned int i;

	for (i = 0; i < sizeof(odd); i++)
		if (memchr(code, odd[i], len))
			return true;
	return false;
}

/* Bochs obeys VEX bits that name registers of 64-bit code in other modes as well. */
static bool wide_vex(const struct emu_insn *insn, enum emu_mode mode, const u8 *code)
{
	const u8 *vex = memchr(code, 0xc4, insn->length);

	return mode != EMU_MODE_LONG64 && vex && (vex[2] & 0xc0) != 0x40;
}

bool bochs_errs(const struct emu_insn *insn, enum emu_mode mode, const u8 *code)
{
	if (insn->flags & ROW_VVVV && wide_vex(insn, mode, code))
		return true;
	switch (insn->op) {
	case EMU_OP_RORX:
		return wide_vex(insn, mode, code);
	case EMU_OP_MOV:		/* refuses REX.R for segment registers */
	case EMU_OP_MOV_SREG:
		return (insn->opcode == 0x8c || insn->opcode == 0x8e) && insn->rex & 4;
	case EMU_OP_ENTER:		/* take 8 bytes where the prefix says 2 */
	case EMU_OP_LEAVE:
		return insn->op_size == 2;
	case EMU_OP_X87_LOAD:		/* reads the end of what FBLD loads first */
		return insn->opcode == 0xdf && (insn->modrm >> 3 & 7) == 4;
	case EMU_OP_IRET:		/* leaves SP and SS on the stack */
		return mode == EMU_MODE_LONG64 && insn->op_size != 8;
	}
	return false;
}
