// SPDX-License-Identifier: GPL-2.0
/*
 * Decimal arithmetic in AL and AX: DAA, DAS, AAA, AAS, AAM and AAD. 16-bit
 * firmware still uses these instructions; in 64-bit code they are undefined, and
 * the opcode tables say so.
 */
#include "exec.h"

static u8 al(const struct emu_ctx *ctx)
{
	return ctx->gpr[EMU_RAX];
}

static u8 ah(const struct emu_ctx *ctx)
{
	return ctx->gpr[EMU_RAX] >> 8;
}

static bool flag(const struct emu_ctx *ctx, u64 bit)
{
	return ctx->rflags & bit;
}

static void set_flag(struct emu_ctx *ctx, u64 bit, bool on)
{
	ctx->next_rflags = on ? ctx->next_rflags | bit : ctx->next_rflags & ~bit;
}

/* Set AL and its SF, ZF and PF; clear the undefined flags, as processors do. */
static void set_al(struct emu_ctx *ctx, u8 val)
{
	emu_and(val, val, 1, &ctx->next_rflags);
	emu_set_reg(ctx, EMU_RAX, 1, val);
}

/* DAA and DAS: adjust the low digit, with its carry in AF, then the high digit, with CF. */
static enum emu_result adjust_packed(struct emu_ctx *ctx, int sign)
{
	u8 old = al(ctx), val = old;
	bool low = (old & 15) > 9 || flag(ctx, EMU_FLAG_AF);
	bool high = old > 0x99 || flag(ctx, EMU_FLAG_CF);
	bool carry = high;

	if (low) {
		/*
		 * Subtracting 6 borrows if AL is below 6; if adding 6 carries,
		 * @high is set already.
		 */
		carry |= sign < 0 && old < 6;
		val += sign * 6;
	}
	if (high)
		val += sign * 0x60;
	set_al(ctx, val);
	set_flag(ctx, EMU_FLAG_AF, low);
	set_flag(ctx, EMU_FLAG_CF, carry);
	return EMU_OK;
}

enum emu_result emu_run_daa(struct emu_ctx *ctx)
{
	return adjust_packed(ctx, 1);
}

enum emu_result emu_run_das(struct emu_ctx *ctx)
{
	return adjust_packed(ctx, -1);
}

/* AAA and AAS: adjust the digit in AL; the carry goes to AH. */
static enum emu_result adjust_digit(struct emu_ctx *ctx, int sign)
{
	bool carry = (al(ctx) & 15) > 9 || flag(ctx, EMU_FLAG_AF);
	u16 ax = ctx->gpr[EMU_RAX];

	if (carry)
		ax += sign * 0x106;
	set_al(ctx, ax & 15);
	emu_set_reg(ctx, EMU_RAX, 2, ax & 0xff0f);
	set_flag(ctx, EMU_FLAG_AF | EMU_FLAG_CF, carry);
	return EMU_OK;
}

enum emu_result emu_run_aaa(struct emu_ctx *ctx)
{
	return adjust_digit(ctx, 1);
}

enum emu_result emu_run_aas(struct emu_ctx *ctx)
{
	return adjust_digit(ctx, -1);
}

enum emu_result emu_run_aam(struct emu_ctx *ctx)
{
	u8 base = ctx->insn.imm, val = al(ctx);

	if (!base)
		return emu_raise(ctx, EMU_VECTOR_DE, 0);
	emu_set_reg(ctx, EMU_RAX, 2, (val / base) << 8);
	set_al(ctx, val % base);
	return EMU_OK;
}

enum emu_result emu_run_aad(struct emu_ctx *ctx)
{
	u8 base = ctx->insn.imm, val = al(ctx) + ah(ctx) * base;

	emu_set_reg(ctx, EMU_RAX, 2, 0);
	set_al(ctx, val);
	return EMU_OK;
}
