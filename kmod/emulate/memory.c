// SPDX-License-Identifier: GPL-2.0
/*
 * Segmentation: effective to linear addresses with every check that precedes
 * paging, and memory and stack accesses on top of that. Paging, and with it
 * page faults, are behind the owner's callbacks.
 */
#include "exec.h"

enum emu_result emu_raise(struct emu_ctx *ctx, u8 vector, u32 error_code)
{
	bool has_error = vector == EMU_VECTOR_DF || vector == EMU_VECTOR_AC ||
			 (vector >= 10 && vector <= 14);

	/* Real mode pushes no error codes. */
	ctx->fault = (struct emu_exception){
		.vector = vector,
		.has_error = has_error && ctx->mode != EMU_MODE_REAL,
		.error_code = error_code,
	};
	return EMU_FAULT;
}

const struct emu_seg *emu_segment(struct emu_ctx *ctx, unsigned int index)
{
	if (!(ctx->seg_valid & (1u << index)) && ctx->ops->load_seg) {
		ctx->ops->load_seg(ctx, index);
		ctx->seg_valid |= 1u << index;
	}
	return &ctx->seg[index];
}

/* #SS for the stack segment, #GP for any other. */
static enum emu_result segment_fault(struct emu_ctx *ctx, unsigned int seg)
{
	return emu_raise(ctx, seg == EMU_SS ? EMU_VECTOR_SS : EMU_VECTOR_GP, 0);
}

static inline enum emu_result linear64(struct emu_ctx *ctx, unsigned int seg, u64 ea,
				       unsigned int size, u64 *linear)
{
	*linear = ea;
	if (seg >= EMU_FS)
		*linear += emu_segment(ctx, seg)->base;
	if (emu_is_canonical(ctx, *linear) && emu_is_canonical(ctx, *linear + size - 1))
		return EMU_OK;
	return segment_fault(ctx, seg);
}

/*
 * Real mode obeys the type in the hidden part as well, except that its code
 * segments are writable. Virtual-8086 mode checks no type.
 */
static bool access_allowed(const struct emu_ctx *ctx, const struct emu_seg *s,
			   unsigned int access)
{
	if (ctx->mode == EMU_MODE_VM86)
		return true;
	if (s->unusable)
		return false;
	if (access & (EMU_WRITE | EMU_RMW))
		return (s->type & (EMU_SEG_CODE | EMU_SEG_RW)) == EMU_SEG_RW ||
		       (s->type & EMU_SEG_CODE && ctx->mode == EMU_MODE_REAL);
	return !(s->type & EMU_SEG_CODE) || (s->type & EMU_SEG_RW);
}

bool emu_in_limit(const struct emu_seg *s, u64 ea, unsigned int size)
{
	u64 last = ea + size - 1;

	if ((s->type & (EMU_SEG_CODE | EMU_SEG_EXPAND_DOWN)) != EMU_SEG_EXPAND_DOWN)
		return last <= s->limit;
	return ea > s->limit && last <= (s->db ? 0xffffffff : 0xffff);
}

static bool misaligned(const struct emu_ctx *ctx, u64 linear, unsigned int size)
{
	if (ctx->cpl != 3 || !(ctx->cr0 & EMU_CR0_AM) || !(ctx->rflags & EMU_FLAG_AC))
		return false;
	/* Ten-byte operands need the alignment of eight bytes. */
	return linear & ((size == 10 ? 8 : size) - 1);
}

/* Inlined into emu_mem_read() and emu_mem_write(), which make nearly all accesses. */
static __always_inline enum emu_result
linear_address(struct emu_ctx *ctx, unsigned int seg, u64 ea, unsigned int size,
	       unsigned int access, u64 *linear)
{
	const struct emu_seg *s;

	if (ctx->mode == EMU_MODE_LONG64) {
		if (linear64(ctx, seg, ea, size, linear) != EMU_OK)
			return EMU_FAULT;
	} else {
		s = emu_segment(ctx, seg);
		if (!access_allowed(ctx, s, access) || !emu_in_limit(s, ea, size))
			return segment_fault(ctx, seg);
		*linear = (u32)(s->base + ea);
	}
	if ((access & EMU_ALIGNED) && (*linear & (size - 1)))
		return emu_raise(ctx, EMU_VECTOR_GP, 0);
	if (misaligned(ctx, *linear, size))
		return emu_raise(ctx, EMU_VECTOR_AC, 0);
	return EMU_OK;
}

enum emu_result emu_linear_address(struct emu_ctx *ctx, unsigned int seg, u64 ea,
				   unsigned int size, unsigned int access, u64 *linear)
{
	return linear_address(ctx, seg, ea, size, access, linear);
}

enum emu_result emu_code32_address(struct emu_ctx *ctx, u64 ip, u64 *linear, unsigned int *len)
{
	const struct emu_seg *cs = emu_segment(ctx, EMU_CS);

	if (ip > cs->limit)
		return emu_raise(ctx, EMU_VECTOR_GP, 0);
	if (*len > cs->limit - ip + 1)
		*len = cs->limit - ip + 1;
	*linear = (u32)(cs->base + ip);
	return EMU_OK;
}

enum emu_result emu_mem_read(struct emu_ctx *ctx, unsigned int seg, u64 ea, void *buf,
			     unsigned int size, unsigned int access)
{
	enum emu_result result;
	u64 linear;

	result = linear_address(ctx, seg, ea, size, access, &linear);
	if (result != EMU_OK)
		return result;
	return ctx->ops->read(ctx, linear, buf, size, access);
}

enum emu_result emu_mem_write(struct emu_ctx *ctx, unsigned int seg, u64 ea, const void *buf,
			      unsigned int size)
{
	enum emu_result result;
	u64 linear;

	result = linear_address(ctx, seg, ea, size, EMU_WRITE, &linear);
	if (result != EMU_OK)
		return result;
	return ctx->ops->write(ctx, linear, buf, size, EMU_WRITE);
}

enum emu_result emu_read_far(struct emu_ctx *ctx, u16 *sel, u64 *offset)
{
	const struct emu_insn *insn = &ctx->insn;
	u64 ea = emu_effective_address(ctx);
	enum emu_result result;

	*offset = 0;
	result = emu_mem_read(ctx, insn->seg, ea, offset, insn->op_size, EMU_READ);
	if (result != EMU_OK)
		return result;
	ea = (ea + insn->op_size) & emu_mask(insn->addr_size);
	return emu_mem_read(ctx, insn->seg, ea, sel, sizeof(*sel), EMU_READ);
}

unsigned int emu_stack_size(struct emu_ctx *ctx)
{
	if (ctx->mode == EMU_MODE_LONG64)
		return 8;
	return emu_segment(ctx, EMU_SS)->db ? 4 : 2;
}

enum emu_result emu_push(struct emu_ctx *ctx, unsigned int depth, u64 val, unsigned int size)
{
	u64 sp = ctx->gpr[EMU_RSP] - depth - size;

	return emu_mem_write(ctx, EMU_SS, sp & emu_mask(emu_stack_size(ctx)), &val, size);
}

enum emu_result emu_pop(struct emu_ctx *ctx, unsigned int depth, u64 *val, unsigned int size)
{
	u64 sp = ctx->gpr[EMU_RSP] + depth;

	*val = 0;
	return emu_mem_read(ctx, EMU_SS, sp & emu_mask(emu_stack_size(ctx)), val, size, EMU_READ);
}

void emu_move_stack(struct emu_ctx *ctx, s64 delta)
{
	emu_set_reg(ctx, EMU_RSP, emu_stack_size(ctx), ctx->gpr[EMU_RSP] + delta);
}
