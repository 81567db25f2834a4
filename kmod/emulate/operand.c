// SPDX-License-Identifier: GPL-2.0
/*
 * Operands of up to 8 bytes: read and write registers, memory and immediates by
 * one interface, with the rules for partial registers and locked
 * read-modify-write.
 */
#include "exec.h"

u64 emu_get_reg(const struct emu_ctx *ctx, unsigned int reg, unsigned int size)
{
	return ctx->gpr[reg] & emu_mask(size);
}

void emu_set_reg(struct emu_ctx *ctx, unsigned int reg, unsigned int size, u64 val)
{
	u64 mask = emu_mask(size);

	if (size >= 4)
		ctx->gpr[reg] = val & mask;
	else
		ctx->gpr[reg] = (ctx->gpr[reg] & ~mask) | (val & mask);
}

static void set_reg_high(struct emu_ctx *ctx, unsigned int reg, u64 val)
{
	ctx->gpr[reg] = (ctx->gpr[reg] & ~(u64)0xff00) | (val & 0xff) << 8;
}

static enum emu_result read_operand(struct emu_ctx *ctx, const struct emu_operand *o,
				    unsigned int access, u64 *val)
{
	*val = 0;
	switch (o->kind) {
	case EMU_OPERAND_REG:
		*val = emu_get_reg(ctx, o->reg, o->size);
		return EMU_OK;
	case EMU_OPERAND_MEM:
		return emu_mem_read(ctx, ctx->insn.seg, emu_effective_address(ctx), val, o->size,
				    access);
	case EMU_OPERAND_IMM:
		*val = ctx->insn.imm;
		return EMU_OK;
	case EMU_OPERAND_IMM2:
		*val = ctx->insn.imm2;
		return EMU_OK;
	case EMU_OPERAND_REG_HIGH:
		*val = ctx->gpr[o->reg] >> 8 & 0xff;
		return EMU_OK;
	case EMU_OPERAND_SEG:
		*val = emu_segment(ctx, o->reg)->sel;
		return EMU_OK;
	default:
		return EMU_OK;
	}
}

enum emu_result emu_read_operand(struct emu_ctx *ctx, const struct emu_operand *o, u64 *val)
{
	return read_operand(ctx, o, EMU_READ, val);
}

enum emu_result emu_write_operand(struct emu_ctx *ctx, const struct emu_operand *o, u64 val)
{
	switch (o->kind) {
	case EMU_OPERAND_REG:
		emu_set_reg(ctx, o->reg, o->size, val);
		return EMU_OK;
	case EMU_OPERAND_REG_HIGH:
		set_reg_high(ctx, o->reg, val);
		return EMU_OK;
	case EMU_OPERAND_MEM:
		return emu_mem_write(ctx, ctx->insn.seg, emu_effective_address(ctx), &val,
				     o->size);
	default:
		return EMU_UNHANDLED;
	}
}

enum emu_result emu_read_for_update(struct emu_ctx *ctx, const struct emu_operand *o, bool lock,
				    u64 *val)
{
	return read_operand(ctx, o, EMU_READ | EMU_RMW | (lock ? EMU_LOCKED : 0), val);
}

enum emu_result emu_replace(struct emu_ctx *ctx, const struct emu_operand *o, bool lock,
			    u64 old, u64 val)
{
	enum emu_result result;
	u64 linear;

	if (!lock || o->kind != EMU_OPERAND_MEM)
		return emu_write_operand(ctx, o, val);
	result = emu_linear_address(ctx, ctx->insn.seg, emu_effective_address(ctx), o->size,
				    EMU_READ | EMU_RMW, &linear);
	if (result != EMU_OK)
		return result;
	return ctx->ops->exchange(ctx, linear, &old, &val, o->size, EMU_WRITE | EMU_LOCKED);
}
