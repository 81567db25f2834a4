// SPDX-License-Identifier: GPL-2.0
/*
 * String instructions, one iteration per call: the owner handles interrupts in
 * between and calls again while ctx->rep_again is set.
 */
#include "exec.h"
#include "opcodes.h"

u64 emu_pointer(const struct emu_ctx *ctx, unsigned int reg)
{
	return emu_get_reg(ctx, reg, ctx->insn.addr_size);
}

/* Move a pointer register past the element, up or down. */
void emu_advance(struct emu_ctx *ctx, unsigned int reg, unsigned int size)
{
	u64 step = ctx->rflags & EMU_FLAG_DF ? -(u64)size : size;

	emu_set_reg(ctx, reg, ctx->insn.addr_size, ctx->gpr[reg] + step);
}

unsigned int emu_source_segment(const struct emu_ctx *ctx)
{
	return ctx->insn.seg == EMU_NO_REG ? EMU_DS : ctx->insn.seg;
}

static enum emu_result read_source(struct emu_ctx *ctx, u64 *val, unsigned int size)
{
	*val = 0;
	return emu_mem_read(ctx, emu_source_segment(ctx), emu_pointer(ctx, EMU_RSI), val, size,
			    EMU_READ);
}

/* The destination is always in ES. */
static enum emu_result read_destination(struct emu_ctx *ctx, u64 *val, unsigned int size)
{
	*val = 0;
	return emu_mem_read(ctx, EMU_ES, emu_pointer(ctx, EMU_RDI), val, size, EMU_READ);
}

/*
 * With 32-bit addressing Intel processors clear upper halves even if the count is
 * zero: that of RCX always, those of the pointers for MOVS and STOS only.
 */
static void cut_registers(struct emu_ctx *ctx)
{
	if (ctx->insn.addr_size != 4)
		return;
	emu_set_reg(ctx, EMU_RCX, 4, 0);
	if (ctx->insn.op != EMU_OP_MOVS && ctx->insn.op != EMU_OP_STOS)
		return;
	emu_set_reg(ctx, EMU_RDI, 4, ctx->gpr[EMU_RDI]);
	if (ctx->insn.op == EMU_OP_MOVS)
		emu_set_reg(ctx, EMU_RSI, 4, ctx->gpr[EMU_RSI]);
}

bool emu_exhausted(struct emu_ctx *ctx)
{
	if (!ctx->insn.rep || emu_pointer(ctx, EMU_RCX))
		return false;
	cut_registers(ctx);
	return true;
}

void emu_count_down(struct emu_ctx *ctx, bool stop)
{
	u64 left;

	if (!ctx->insn.rep)
		return;
	left = emu_pointer(ctx, EMU_RCX) - 1;
	emu_set_reg(ctx, EMU_RCX, ctx->insn.addr_size, left);
	ctx->rep_again = left && !stop;
}

/* CMPS and SCAS also end by their result: REPE at a difference, REPNE at a match. */
static bool found(const struct emu_ctx *ctx)
{
	bool equal = ctx->next_rflags & EMU_FLAG_ZF;

	return ctx->insn.rep == 0xf3 ? !equal : equal;
}

enum emu_result emu_run_movs(struct emu_ctx *ctx)
{
	unsigned int size = ctx->insn.operand[0].size;
	enum emu_result result;
	u64 val;

	if (emu_exhausted(ctx))
		return EMU_OK;
	result = read_source(ctx, &val, size);
	if (result != EMU_OK)
		return result;
	result = emu_mem_write(ctx, EMU_ES, emu_pointer(ctx, EMU_RDI), &val, size);
	if (result != EMU_OK)
		return result;
	emu_advance(ctx, EMU_RSI, size);
	emu_advance(ctx, EMU_RDI, size);
	emu_count_down(ctx, false);
	return EMU_OK;
}

enum emu_result emu_run_stos(struct emu_ctx *ctx)
{
	unsigned int size = ctx->insn.operand[0].size;
	u64 val = ctx->gpr[EMU_RAX];
	enum emu_result result;

	if (emu_exhausted(ctx))
		return EMU_OK;
	result = emu_mem_write(ctx, EMU_ES, emu_pointer(ctx, EMU_RDI), &val, size);
	if (result != EMU_OK)
		return result;
	emu_advance(ctx, EMU_RDI, size);
	emu_count_down(ctx, false);
	return EMU_OK;
}

enum emu_result emu_run_lods(struct emu_ctx *ctx)
{
	unsigned int size = ctx->insn.operand[0].size;
	enum emu_result result;
	u64 val;

	if (emu_exhausted(ctx))
		return EMU_OK;
	result = read_source(ctx, &val, size);
	if (result != EMU_OK)
		return result;
	emu_set_reg(ctx, EMU_RAX, size, val);
	emu_advance(ctx, EMU_RSI, size);
	emu_count_down(ctx, false);
	return EMU_OK;
}

enum emu_result emu_run_cmps(struct emu_ctx *ctx)
{
	unsigned int size = ctx->insn.operand[0].size;
	enum emu_result result;
	u64 src, dst;

	if (emu_exhausted(ctx))
		return EMU_OK;
	result = read_source(ctx, &src, size);
	if (result != EMU_OK)
		return result;
	result = read_destination(ctx, &dst, size);
	if (result != EMU_OK)
		return result;
	emu_sub(src, dst, size, &ctx->next_rflags);
	emu_advance(ctx, EMU_RSI, size);
	emu_advance(ctx, EMU_RDI, size);
	emu_count_down(ctx, found(ctx));
	return EMU_OK;
}

enum emu_result emu_run_scas(struct emu_ctx *ctx)
{
	unsigned int size = ctx->insn.operand[0].size;
	enum emu_result result;
	u64 dst;

	if (emu_exhausted(ctx))
		return EMU_OK;
	result = read_destination(ctx, &dst, size);
	if (result != EMU_OK)
		return result;
	emu_sub(emu_get_reg(ctx, EMU_RAX, size), dst, size, &ctx->next_rflags);
	emu_advance(ctx, EMU_RDI, size);
	emu_count_down(ctx, found(ctx));
	return EMU_OK;
}

/* XLAT is here because it also addresses memory by fixed registers. */
enum emu_result emu_run_xlat(struct emu_ctx *ctx)
{
	u64 ea = ctx->gpr[EMU_RBX] + emu_get_reg(ctx, EMU_RAX, 1);
	enum emu_result result;
	u64 val = 0;

	ea &= emu_mask(ctx->insn.addr_size);
	result = emu_mem_read(ctx, emu_source_segment(ctx), ea, &val, 1, EMU_READ);
	if (result == EMU_OK)
		emu_set_reg(ctx, EMU_RAX, 1, val);
	return result;
}
