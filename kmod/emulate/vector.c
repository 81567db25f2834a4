// SPDX-License-Identifier: GPL-2.0
/*
 * Moves between memory, vector registers and general registers: what compilers
 * and memcpy use on device memory. No arithmetic. The registers themselves are
 * with the owner.
 */
#include "exec.h"
#include "opcodes.h"

#define XMM_BYTES	16

union vector {
	u64 q[EMU_OPERAND_MAX / 8];
	u8 b[EMU_OPERAND_MAX];
};

/* Whether the guest has switched these instructions on. */
static enum emu_result check_enabled(struct emu_ctx *ctx)
{
	if (!ctx->ops->read_xmm || !ctx->ops->write_xmm)
		return EMU_UNHANDLED;
	if (ctx->insn.vector_size) {
		if (!(ctx->cr4 & EMU_CR4_OSXSAVE) || (ctx->xcr0 & EMU_XCR0_AVX) != EMU_XCR0_AVX)
			return emu_raise(ctx, EMU_VECTOR_UD, 0);
	} else if ((ctx->cr0 & EMU_CR0_EM) || !(ctx->cr4 & EMU_CR4_OSFXSR)) {
		return emu_raise(ctx, EMU_VECTOR_UD, 0);
	}
	return ctx->cr0 & EMU_CR0_TS ? emu_raise(ctx, EMU_VECTOR_NM, 0) : EMU_OK;
}

static unsigned int register_size(const struct emu_ctx *ctx)
{
	return ctx->insn.vector_size == 32 ? 32 : XMM_BYTES;
}

/* Linear address of the memory operand; alignment matters where the row says so. */
static enum emu_result operand_address(struct emu_ctx *ctx, unsigned int size,
				       unsigned int access, u64 *linear)
{
	if (ctx->insn.flags & ROW_ALIGNED)
		access |= EMU_ALIGNED;
	return emu_linear_address(ctx, ctx->insn.seg, emu_effective_address(ctx), size, access,
				  linear);
}

/* Low o->size bytes of the operand; the rest of @v is cleared. */
static enum emu_result load(struct emu_ctx *ctx, const struct emu_operand *o, union vector *v)
{
	enum emu_result result;
	u64 linear;

	memset(v, 0, sizeof(*v));
	if (o->kind == EMU_OPERAND_XMM) {
		ctx->ops->read_xmm(ctx, o->reg, v, register_size(ctx));
		memset(v->b + o->size, 0, sizeof(*v) - o->size);
		return EMU_OK;
	}
	result = operand_address(ctx, o->size, EMU_READ, &linear);
	if (result != EMU_OK)
		return result;
	return ctx->ops->read(ctx, linear, v, o->size, EMU_READ);
}

static void set_vector(struct emu_ctx *ctx, unsigned int reg, const union vector *v)
{
	ctx->ops->write_xmm(ctx, reg, v, register_size(ctx), ctx->insn.vector_size != 0);
}

static enum emu_result store(struct emu_ctx *ctx, const struct emu_operand *o, const void *from)
{
	enum emu_result result;
	u64 linear;

	result = operand_address(ctx, o->size, EMU_WRITE, &linear);
	if (result != EMU_OK)
		return result;
	return ctx->ops->write(ctx, linear, from, o->size, EMU_WRITE);
}

/* A register as destination is cleared above what is moved. */
enum emu_result emu_run_vmov(struct emu_ctx *ctx)
{
	const struct emu_operand *o = ctx->insn.operand;
	enum emu_result result = check_enabled(ctx);
	union vector v;

	if (result != EMU_OK)
		return result;
	result = load(ctx, &o[1], &v);
	if (result != EMU_OK)
		return result;
	if (o[0].kind == EMU_OPERAND_MEM)
		return store(ctx, &o[0], &v);
	set_vector(ctx, o[0].reg, &v);
	return EMU_OK;
}

/* Load 8 bytes into one half; the other comes from the destination, or VEX.vvvv. */
static enum emu_result load_half(struct emu_ctx *ctx, unsigned int half)
{
	const struct emu_operand *o = ctx->insn.operand;
	unsigned int other = ctx->insn.vector_size ? ctx->insn.vex_reg : o[0].reg;
	enum emu_result result;
	union vector v, mem;

	result = load(ctx, &o[1], &mem);
	if (result != EMU_OK)
		return result;
	memset(&v, 0, sizeof(v));
	ctx->ops->read_xmm(ctx, other, &v, XMM_BYTES);
	v.q[half] = mem.q[0];
	set_vector(ctx, o[0].reg, &v);
	return EMU_OK;
}

enum emu_result emu_run_vmov_low(struct emu_ctx *ctx)
{
	enum emu_result result = check_enabled(ctx);

	return result == EMU_OK ? load_half(ctx, 0) : result;
}

enum emu_result emu_run_vmov_high(struct emu_ctx *ctx)
{
	const struct emu_operand *o = ctx->insn.operand;
	enum emu_result result = check_enabled(ctx);
	union vector v;

	if (result != EMU_OK)
		return result;
	if (o[0].kind != EMU_OPERAND_MEM)
		return load_half(ctx, 1);
	ctx->ops->read_xmm(ctx, o[1].reg, &v, XMM_BYTES);
	return store(ctx, &o[0], &v.q[1]);
}

/* MOVD and MOVQ: between a vector register and a general one or memory. */
enum emu_result emu_run_vmov_gpr(struct emu_ctx *ctx)
{
	const struct emu_operand *o = ctx->insn.operand;
	enum emu_result result = check_enabled(ctx);
	union vector v;

	if (result != EMU_OK)
		return result;
	memset(&v, 0, sizeof(v));
	if (o[0].kind == EMU_OPERAND_XMM) {
		result = emu_read_operand(ctx, &o[1], &v.q[0]);
		if (result == EMU_OK)
			set_vector(ctx, o[0].reg, &v);
		return result;
	}
	ctx->ops->read_xmm(ctx, o[1].reg, &v, XMM_BYTES);
	return emu_write_operand(ctx, &o[0], v.q[0]);
}
