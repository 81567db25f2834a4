// SPDX-License-Identifier: GPL-2.0
/*
 * Stack, near branches, bounds and the flags register: PUSH and POP in all forms,
 * near jumps and calls, ENTER and LEAVE, BOUND, CLI and STI. Transfers that load
 * CS are in far.c.
 */
#include "exec.h"
#include "opcodes.h"

/* Continue at @target, cut to the operand size, if that is a legal code address. */
static enum emu_result jump(struct emu_ctx *ctx, u64 target)
{
	unsigned int len = 1;
	u64 linear;

	target &= emu_mask(ctx->insn.op_size);
	if (emu_code_address(ctx, target, &linear, &len) != EMU_OK)
		return EMU_FAULT;
	ctx->next_rip = target;
	return EMU_OK;
}

static enum emu_result jump_relative(struct emu_ctx *ctx)
{
	return jump(ctx, ctx->next_rip + ctx->insn.imm);
}

enum emu_result emu_run_jmp(struct emu_ctx *ctx)
{
	return jump_relative(ctx);
}

enum emu_result emu_run_jmp_ind(struct emu_ctx *ctx)
{
	enum emu_result result;
	u64 target;

	result = emu_read_operand(ctx, &ctx->insn.operand[0], &target);
	return result == EMU_OK ? jump(ctx, target) : result;
}

enum emu_result emu_run_jcc(struct emu_ctx *ctx)
{
	return emu_condition(ctx->rflags, ctx->insn.opcode) ? jump_relative(ctx) : EMU_OK;
}

/* Push the return address and jump; the target is checked before the push. */
static enum emu_result call(struct emu_ctx *ctx, u64 target)
{
	u64 back = ctx->next_rip;
	enum emu_result result;

	if (jump(ctx, target) != EMU_OK)
		return EMU_FAULT;
	result = emu_push(ctx, 0, back, ctx->insn.op_size);
	if (result == EMU_OK)
		emu_move_stack(ctx, -(s64)ctx->insn.op_size);
	return result;
}

enum emu_result emu_run_call(struct emu_ctx *ctx)
{
	return call(ctx, ctx->next_rip + ctx->insn.imm);
}

enum emu_result emu_run_call_ind(struct emu_ctx *ctx)
{
	enum emu_result result;
	u64 target;

	result = emu_read_operand(ctx, &ctx->insn.operand[0], &target);
	return result == EMU_OK ? call(ctx, target) : result;
}

enum emu_result emu_run_ret(struct emu_ctx *ctx)
{
	enum emu_result result;
	u64 target;

	result = emu_pop(ctx, 0, &target, ctx->insn.op_size);
	if (result != EMU_OK)
		return result;
	if (jump(ctx, target) != EMU_OK)
		return EMU_FAULT;
	emu_move_stack(ctx, ctx->insn.op_size + (u16)ctx->insn.imm);
	return EMU_OK;
}

/* LOOPNE, LOOPE and LOOP by opcode; the count has the address size. */
enum emu_result emu_run_loop(struct emu_ctx *ctx)
{
	unsigned int size = ctx->insn.addr_size;
	u64 left = (emu_get_reg(ctx, EMU_RCX, size) - 1) & emu_mask(size);
	bool zf = ctx->rflags & EMU_FLAG_ZF;
	bool again = left && (ctx->insn.opcode == 0xe2 || zf == (ctx->insn.opcode & 1));

	if (again && jump_relative(ctx) != EMU_OK)
		return EMU_FAULT;
	emu_set_reg(ctx, EMU_RCX, size, left);
	return EMU_OK;
}

enum emu_result emu_run_jcxz(struct emu_ctx *ctx)
{
	return emu_get_reg(ctx, EMU_RCX, ctx->insn.addr_size) ? EMU_OK : jump_relative(ctx);
}

/* BOUND: #BR unless the signed index is within both bounds, inclusive. */
enum emu_result emu_run_bound(struct emu_ctx *ctx)
{
	const struct emu_insn *insn = &ctx->insn;
	u64 ea = emu_effective_address(ctx), low = 0, high = 0, index;
	unsigned int size = insn->op_size;
	enum emu_result result;

	result = emu_mem_read(ctx, insn->seg, ea, &low, size, EMU_READ);
	if (result == EMU_OK)
		result = emu_mem_read(ctx, insn->seg, (ea + size) & emu_mask(insn->addr_size),
				      &high, size, EMU_READ);
	if (result != EMU_OK)
		return result;
	emu_read_operand(ctx, &insn->operand[0], &index);
	if ((s64)emu_sign_extend(index, size) < (s64)emu_sign_extend(low, size) ||
	    (s64)emu_sign_extend(index, size) > (s64)emu_sign_extend(high, size))
		return emu_raise(ctx, EMU_VECTOR_BR, 0);
	return EMU_OK;
}

static enum emu_result push(struct emu_ctx *ctx, u64 val)
{
	enum emu_result result;

	result = emu_push(ctx, 0, val, ctx->insn.op_size);
	if (result == EMU_OK)
		emu_move_stack(ctx, -(s64)ctx->insn.op_size);
	return result;
}

enum emu_result emu_run_push(struct emu_ctx *ctx)
{
	enum emu_result result;
	u64 val;

	result = emu_read_operand(ctx, &ctx->insn.operand[0], &val);
	return result == EMU_OK ? push(ctx, val) : result;
}

/* With 32-bit operands only the two bytes of the selector are written, as current processors do. */
enum emu_result emu_run_push_sreg(struct emu_ctx *ctx)
{
	u64 sel = emu_segment(ctx, ctx->insn.opcode >> 3 & 7)->sel;
	enum emu_result result;

	if (ctx->insn.op_size != 4)
		return push(ctx, sel);
	result = emu_push(ctx, 2, sel, 2);
	if (result == EMU_OK)
		emu_move_stack(ctx, -4);
	return result;
}

/* Compute the stack pointer after a pop: on a 16-bit stack only its low half moves. */
static u64 moved_stack(struct emu_ctx *ctx)
{
	u64 mask = emu_mask(emu_stack_size(ctx)), sp = ctx->gpr[EMU_RSP];

	return (sp & ~mask) | ((sp + ctx->insn.op_size) & mask);
}

/*
 * POP moves the stack pointer before it addresses its destination through it, and
 * before it writes a destination that is the stack pointer itself.
 */
enum emu_result emu_run_pop(struct emu_ctx *ctx)
{
	const struct emu_operand *o = &ctx->insn.operand[0];
	enum emu_result result;
	u64 val;

	result = emu_pop(ctx, 0, &val, ctx->insn.op_size);
	if (result != EMU_OK)
		return result;
	if (o->kind == EMU_OPERAND_MEM) {
		if (ctx->insn.base == EMU_RSP)
			ctx->displaced = moved_stack(ctx) - ctx->gpr[EMU_RSP];
		result = emu_write_operand(ctx, o, val);
		if (result != EMU_OK)
			return result;
	}
	emu_move_stack(ctx, ctx->insn.op_size);
	return o->kind == EMU_OPERAND_MEM ? EMU_OK : emu_write_operand(ctx, o, val);
}

/* Push one register at a time, downwards: if the fourth push faults, three are in memory. */
enum emu_result emu_run_pusha(struct emu_ctx *ctx)
{
	unsigned int size = ctx->insn.op_size;
	enum emu_result result;
	unsigned int i;

	for (i = 0; i < 8; i++) {
		result = emu_push(ctx, i * size, ctx->gpr[EMU_RAX + i], size);
		if (result != EMU_OK)
			return result;
	}
	emu_move_stack(ctx, -8 * (s64)size);
	return EMU_OK;
}

/* POPA reads the slot of the stack pointer, but does not load it. */
enum emu_result emu_run_popa(struct emu_ctx *ctx)
{
	unsigned int size = ctx->insn.op_size;
	enum emu_result result;
	unsigned int i;
	u64 val[8];

	for (i = 0; i < 8; i++) {
		result = emu_pop(ctx, i * size, &val[i], size);
		if (result != EMU_OK)
			return result;
	}
	for (i = 0; i < 8; i++) {
		if (EMU_RDI - i != EMU_RSP)
			emu_set_reg(ctx, EMU_RDI - i, size, val[i]);
	}
	emu_move_stack(ctx, 8 * size);
	return EMU_OK;
}

/* Read the frame pointers of the enclosing procedures, all before the first push. */
static enum emu_result read_display(struct emu_ctx *ctx, u64 *frame, unsigned int count)
{
	unsigned int size = ctx->insn.op_size, i;
	enum emu_result result;
	u64 bp;

	for (i = 0; i < count; i++) {
		bp = ctx->gpr[EMU_RBP] - (i + 1) * size;
		frame[i] = 0;
		result = emu_mem_read(ctx, EMU_SS, bp & emu_mask(emu_stack_size(ctx)), &frame[i],
				      size, EMU_READ);
		if (result != EMU_OK)
			return result;
	}
	return EMU_OK;
}

/* True if ENTER may push over frame pointers that it copies; no real program does that. */
static bool display_overlaps(struct emu_ctx *ctx, unsigned int count)
{
	unsigned int size = ctx->insn.op_size;
	u64 distance = ctx->gpr[EMU_RBP] - count * size - (ctx->gpr[EMU_RSP] - (count + 2) * size);

	distance &= emu_mask(emu_stack_size(ctx));
	return count && distance < (2 * count + 2) * size;
}

/* Push the old frame pointer, those of the enclosing procedures and the new one. */
static enum emu_result push_frames(struct emu_ctx *ctx, unsigned int level, const u64 *frame,
				   u64 new)
{
	unsigned int size = ctx->insn.op_size, i;
	enum emu_result result;

	result = emu_push(ctx, 0, ctx->gpr[EMU_RBP], size);
	for (i = 1; result == EMU_OK && i < level; i++)
		result = emu_push(ctx, i * size, frame[i - 1], size);
	if (result == EMU_OK && level)
		result = emu_push(ctx, level * size, new, size);
	return result;
}

#define ENTER_LEVELS	32

enum emu_result emu_run_enter(struct emu_ctx *ctx)
{
	unsigned int size = ctx->insn.op_size, level = ctx->insn.imm2 % ENTER_LEVELS;
	u64 mask = emu_mask(emu_stack_size(ctx)), frame[ENTER_LEVELS], new, bottom, unused;
	unsigned int depth = (level + 1) * size + (u16)ctx->insn.imm;
	enum emu_result result;

	if (level > 1 && display_overlaps(ctx, level - 1))
		return EMU_UNHANDLED;
	new = (ctx->gpr[EMU_RSP] & ~mask) | ((ctx->gpr[EMU_RSP] - size) & mask);
	bottom = (ctx->gpr[EMU_RSP] - depth) & mask;
	result = read_display(ctx, frame, level ? level - 1 : 0);
	if (result == EMU_OK)
		result = push_frames(ctx, level, frame, new);
	/* ENTER checks that the end of the new frame is writable, but does not write there. */
	if (result == EMU_OK)
		result = emu_mem_read(ctx, EMU_SS, bottom, &unused, size,
				      EMU_READ | EMU_RMW | EMU_PROBE);
	if (result != EMU_OK)
		return result;
	emu_move_stack(ctx, -(s64)depth);
	emu_set_reg(ctx, EMU_RBP, size, new);
	return EMU_OK;
}

enum emu_result emu_run_leave(struct emu_ctx *ctx)
{
	u64 depth = ctx->gpr[EMU_RBP] - ctx->gpr[EMU_RSP];
	unsigned int stack = emu_stack_size(ctx);
	enum emu_result result;
	u64 val = 0;

	result = emu_mem_read(ctx, EMU_SS, ctx->gpr[EMU_RBP] & emu_mask(stack), &val,
			      ctx->insn.op_size, EMU_READ);
	if (result != EMU_OK)
		return result;
	emu_move_stack(ctx, depth + ctx->insn.op_size);
	emu_set_reg(ctx, EMU_RBP, ctx->insn.op_size, val);
	return EMU_OK;
}

/* Below IOPL 3 there are only virtual flags, accessible by 16-bit operands only. */
enum emu_result emu_check_v86_flags(struct emu_ctx *ctx)
{
	if (ctx->mode != EMU_MODE_VM86 || emu_iopl(ctx) == 3)
		return EMU_OK;
	if (emu_has_virtual_flags(ctx) && ctx->insn.op_size == 2)
		return EMU_OK;
	return emu_raise(ctx, EMU_VECTOR_GP, 0);
}

u64 emu_shown_flags(const struct emu_ctx *ctx)
{
	u64 flags = ctx->rflags & ~(u64)(EMU_FLAG_RF | EMU_FLAG_VM);

	if (!emu_has_virtual_flags(ctx))
		return flags;
	flags = (flags & ~(u64)EMU_FLAG_IF) | EMU_FLAG_IOPL;
	return ctx->rflags & EMU_FLAG_VIF ? flags | EMU_FLAG_IF : flags;
}

enum emu_result emu_set_virtual_if(struct emu_ctx *ctx, bool on)
{
	if (on && ctx->rflags & EMU_FLAG_VIP)
		return emu_raise(ctx, EMU_VECTOR_GP, 0);
	ctx->next_rflags &= ~(u64)EMU_FLAG_VIF;
	if (on)
		ctx->next_rflags |= EMU_FLAG_VIF;
	return EMU_OK;
}

/* Virtual-8086 code with virtual flags must not set TF: #GP calls the monitor. */
enum emu_result emu_take_virtual_flags(struct emu_ctx *ctx, u64 flags)
{
	if (!emu_has_virtual_flags(ctx))
		return EMU_OK;
	if (flags & EMU_FLAG_TF)
		return emu_raise(ctx, EMU_VECTOR_GP, 0);
	return emu_set_virtual_if(ctx, flags & EMU_FLAG_IF);
}

enum emu_result emu_run_pushf(struct emu_ctx *ctx)
{
	enum emu_result result = emu_check_v86_flags(ctx);

	return result == EMU_OK ? push(ctx, emu_shown_flags(ctx)) : result;
}

/* The flags that POPF may change here. */
static u64 popf_mask(const struct emu_ctx *ctx)
{
	u64 mask = EMU_FLAGS_ARITH | EMU_FLAG_TF | EMU_FLAG_DF | EMU_FLAG_NT | EMU_FLAG_AC |
		   EMU_FLAG_ID;

	if (ctx->mode == EMU_MODE_REAL || (ctx->mode != EMU_MODE_VM86 && ctx->cpl == 0))
		mask |= EMU_FLAG_IOPL;
	if (ctx->mode == EMU_MODE_REAL || ctx->cpl <= emu_iopl(ctx))
		mask |= EMU_FLAG_IF;
	return ctx->insn.op_size == 2 ? mask & 0xffff : mask;
}

enum emu_result emu_run_popf(struct emu_ctx *ctx)
{
	enum emu_result result = emu_check_v86_flags(ctx);
	u64 mask, val;

	if (result != EMU_OK)
		return result;
	result = emu_pop(ctx, 0, &val, ctx->insn.op_size);
	if (result == EMU_OK)
		result = emu_take_virtual_flags(ctx, val);
	if (result != EMU_OK)
		return result;
	mask = popf_mask(ctx);
	ctx->next_rflags = (ctx->next_rflags & ~mask) | (val & mask);
	emu_move_stack(ctx, ctx->insn.op_size);
	return EMU_OK;
}

/* CMC, CLC, STC, CLD and STD. */
enum emu_result emu_run_flag(struct emu_ctx *ctx)
{
	switch (ctx->insn.opcode) {
	case 0xf5:
		ctx->next_rflags ^= EMU_FLAG_CF;
		break;
	case 0xf8:
		ctx->next_rflags &= ~(u64)EMU_FLAG_CF;
		break;
	case 0xf9:
		ctx->next_rflags |= EMU_FLAG_CF;
		break;
	case 0xfc:
		ctx->next_rflags &= ~(u64)EMU_FLAG_DF;
		break;
	default:
		ctx->next_rflags |= EMU_FLAG_DF;
		break;
	}
	return EMU_OK;
}

enum emu_result emu_run_cli_sti(struct emu_ctx *ctx)
{
	bool virtual_if = ctx->cr4 & (ctx->mode == EMU_MODE_VM86 ? EMU_CR4_VME : EMU_CR4_PVI);

	if (ctx->mode != EMU_MODE_REAL && ctx->cpl > emu_iopl(ctx)) {
		if (virtual_if && ctx->cpl == 3)
			return emu_set_virtual_if(ctx, ctx->insn.opcode == 0xfb);
		return emu_raise(ctx, EMU_VECTOR_GP, 0);
	}
	if (ctx->insn.opcode == 0xfa) {
		ctx->next_rflags &= ~(u64)EMU_FLAG_IF;
		return EMU_OK;
	}
	if (!(ctx->rflags & EMU_FLAG_IF))
		ctx->shadow = EMU_SHADOW_STI;
	ctx->next_rflags |= EMU_FLAG_IF;
	return EMU_OK;
}

#define AH_FLAGS (EMU_FLAG_CF | EMU_FLAG_PF | EMU_FLAG_AF | EMU_FLAG_ZF | EMU_FLAG_SF)

enum emu_result emu_run_lahf(struct emu_ctx *ctx)
{
	u64 ah = (ctx->rflags & AH_FLAGS) | EMU_FLAG_FIXED;

	emu_set_reg(ctx, EMU_RAX, 2, ah << 8 | emu_get_reg(ctx, EMU_RAX, 1));
	return EMU_OK;
}

enum emu_result emu_run_sahf(struct emu_ctx *ctx)
{
	u64 ah = ctx->gpr[EMU_RAX] >> 8;

	ctx->next_rflags = (ctx->next_rflags & ~(u64)AH_FLAGS) | (ah & AH_FLAGS);
	return EMU_OK;
}

/* SALC is undocumented, but every processor has it: AL is filled with CF. */
enum emu_result emu_run_salc(struct emu_ctx *ctx)
{
	emu_set_reg(ctx, EMU_RAX, 1, ctx->rflags & EMU_FLAG_CF ? 0xff : 0);
	return EMU_OK;
}
