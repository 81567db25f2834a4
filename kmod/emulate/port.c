// SPDX-License-Identifier: GPL-2.0
/*
 * Port I/O: check the right to the port and move the data. The owner's port
 * callback implements the port.
 */
#include "exec.h"
#include "opcodes.h"

#define TSS_IOMAP	102	/* offset in a 32-bit TSS of the I/O map base */

/* The bits of the TSS for @size ports from @port on must all be clear. */
static enum emu_result check_bitmap(struct emu_ctx *ctx, u16 port, unsigned int size)
{
	const struct emu_seg *tss = emu_segment(ctx, EMU_TR);
	enum emu_result result;
	u16 map, bits;

	if (tss->unusable || (tss->type & ~2) != 9 || tss->limit < TSS_IOMAP + 1)
		return emu_raise(ctx, EMU_VECTOR_GP, 0);
	result = ctx->ops->read(ctx, tss->base + TSS_IOMAP, &map, sizeof(map),
				EMU_READ | EMU_SYSTEM);
	if (result != EMU_OK)
		return result;
	if (map + port / 8 + 1u > tss->limit)
		return emu_raise(ctx, EMU_VECTOR_GP, 0);
	result = ctx->ops->read(ctx, tss->base + map + port / 8, &bits, sizeof(bits),
				EMU_READ | EMU_SYSTEM);
	if (result != EMU_OK)
		return result;
	if (bits >> (port & 7) & ((1u << size) - 1))
		return emu_raise(ctx, EMU_VECTOR_GP, 0);
	return EMU_OK;
}

static enum emu_result check_port(struct emu_ctx *ctx, u16 port, unsigned int size)
{
	if (!ctx->ops->system)
		return EMU_UNHANDLED;
	if (ctx->mode == EMU_MODE_REAL)
		return EMU_OK;
	if (ctx->mode != EMU_MODE_VM86 && ctx->cpl <= emu_iopl(ctx))
		return EMU_OK;
	return check_bitmap(ctx, port, size);
}

static enum emu_result move(struct emu_ctx *ctx, u16 port, void *buf, unsigned int size, bool out)
{
	return ctx->ops->system->port(ctx, port, buf, size, out);
}

static u16 port_of(const struct emu_ctx *ctx)
{
	bool immediate = ctx->insn.operand[1].kind == EMU_OPERAND_IMM;

	return immediate ? (u8)ctx->insn.imm : (u16)ctx->gpr[EMU_RDX];
}

enum emu_result emu_run_in(struct emu_ctx *ctx)
{
	const struct emu_operand *o = ctx->insn.operand;
	u16 port = port_of(ctx);
	enum emu_result result;
	u32 val = 0;

	result = check_port(ctx, port, o[0].size);
	if (result == EMU_OK)
		result = move(ctx, port, &val, o[0].size, false);
	return result == EMU_OK ? emu_write_operand(ctx, &o[0], val) : result;
}

enum emu_result emu_run_out(struct emu_ctx *ctx)
{
	unsigned int size = ctx->insn.operand[0].size;
	u16 port = port_of(ctx);
	u32 val = ctx->gpr[EMU_RAX];
	enum emu_result result;

	result = check_port(ctx, port, size);
	return result == EMU_OK ? move(ctx, port, &val, size, true) : result;
}

/* Check the destination first: input cannot be put back into the port. */
enum emu_result emu_run_ins(struct emu_ctx *ctx)
{
	unsigned int size = ctx->insn.operand[0].size;
	u64 di = emu_pointer(ctx, EMU_RDI);
	u16 port = ctx->gpr[EMU_RDX];
	enum emu_result result;
	u32 val = 0;

	result = check_port(ctx, port, size);
	if (result != EMU_OK || emu_exhausted(ctx))
		return result;
	result = emu_mem_read(ctx, EMU_ES, di, &val, size, EMU_READ | EMU_RMW | EMU_PROBE);
	if (result == EMU_OK)
		result = move(ctx, port, &val, size, false);
	if (result == EMU_OK)
		result = emu_mem_write(ctx, EMU_ES, di, &val, size);
	if (result != EMU_OK)
		return result;
	emu_advance(ctx, EMU_RDI, size);
	emu_count_down(ctx, false);
	return EMU_OK;
}

enum emu_result emu_run_outs(struct emu_ctx *ctx)
{
	unsigned int size = ctx->insn.operand[0].size;
	u16 port = ctx->gpr[EMU_RDX];
	enum emu_result result;
	u32 val = 0;

	result = check_port(ctx, port, size);
	if (result != EMU_OK || emu_exhausted(ctx))
		return result;
	result = emu_mem_read(ctx, emu_source_segment(ctx), emu_pointer(ctx, EMU_RSI), &val, size,
			      EMU_READ);
	if (result == EMU_OK)
		result = move(ctx, port, &val, size, true);
	if (result != EMU_OK)
		return result;
	emu_advance(ctx, EMU_RSI, size);
	emu_count_down(ctx, false);
	return EMU_OK;
}
