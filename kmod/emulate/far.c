// SPDX-License-Identifier: GPL-2.0
/*
 * Transfers that load CS: far jumps, calls and returns, and IRET. Gates are in
 * interrupt.c, other tasks in task.c.
 */
#include "exec.h"
#include "opcodes.h"

/*
 * struct target - destination of a far transfer. @outer: with a switch to the
 * stack @ss:@sp. @task: in the task with this TSS. @gate: through this call gate.
 */
struct target {
	struct emu_load cs, ss;
	u64 ip, sp, gate;
	u16 task;
	bool outer;
};

static bool is_code64(const struct emu_ctx *ctx, const struct emu_seg *cs)
{
	return emu_long_mode(ctx) && cs->l;
}

enum emu_result emu_check_ip(struct emu_ctx *ctx, const struct emu_seg *cs, u64 ip)
{
	bool good = is_code64(ctx, cs) ? emu_is_canonical(ctx, ip) : ip <= cs->limit;

	return good ? EMU_OK : emu_raise(ctx, EMU_VECTOR_GP, 0);
}

#define TYPE_TSS16	1
#define TYPE_CALL_GATE	4	/* 16-bit; a 32-bit one is 12 */
#define TYPE_TASK_GATE	5
#define TYPE_TSS32	9

/* Find the target of a jump or call to a gate or a TSS. */
static enum emu_result aim_at_gate(struct emu_ctx *ctx, u16 sel, struct target *t)
{
	const struct emu_seg *s = &t->cs.seg;
	bool gate = s->type != TYPE_TSS16 && s->type != TYPE_TSS32;

	if (!ctx->ops->system || emu_long_mode(ctx))
		return EMU_UNHANDLED;
	if (s->dpl < ctx->cpl || s->dpl < (sel & 3))
		return emu_raise(ctx, EMU_VECTOR_GP, sel & ~3u);
	if (gate && !s->p)
		return emu_raise(ctx, EMU_VECTOR_NP, sel & ~3u);
	if ((s->type & 7) == TYPE_CALL_GATE)
		t->gate = t->cs.old;
	else
		t->task = gate ? t->cs.old >> 16 : sel;
	return EMU_OK;
}

/* Find the target of a far jump or call and check it. */
static enum emu_result aim(struct emu_ctx *ctx, struct target *t)
{
	const struct emu_insn *insn = &ctx->insn;
	enum emu_result result = EMU_OK;
	u16 sel = insn->imm2;

	t->ip = insn->imm;
	if (insn->operand[0].kind == EMU_OPERAND_MEM)
		result = emu_read_far(ctx, &sel, &t->ip);
	if (result == EMU_OK)
		result = emu_prepare_seg(ctx, EMU_CS, sel, ctx->cpl, &t->cs);
	if (result == EMU_UNHANDLED)
		return aim_at_gate(ctx, sel, t);
	t->ip &= emu_mask(insn->op_size);
	return result == EMU_OK ? emu_check_ip(ctx, &t->cs.seg, t->ip) : result;
}

static void go(struct emu_ctx *ctx, const struct target *t)
{
	emu_commit_seg(ctx, &t->cs);
	ctx->next_rip = t->ip;
}

enum emu_result emu_run_jmp_far(struct emu_ctx *ctx)
{
	struct target t = { .task = 0 };
	enum emu_result result;

	result = aim(ctx, &t);
	if (result == EMU_OK && t.task)
		return emu_change_task(ctx, EMU_TASK_JMP, t.task, NULL);
	if (result == EMU_OK && t.gate)
		return emu_pass_gate(ctx, t.gate, false);
	if (result == EMU_OK)
		result = emu_mark_seg(ctx, &t.cs);
	if (result == EMU_OK)
		go(ctx, &t);
	return result;
}

/* Push CS and IP, each of the operand size. */
static enum emu_result push_return(struct emu_ctx *ctx, unsigned int depth)
{
	unsigned int size = ctx->insn.op_size;
	enum emu_result result;

	result = emu_push(ctx, depth, emu_segment(ctx, EMU_CS)->sel, size);
	if (result != EMU_OK)
		return result;
	return emu_push(ctx, depth + size, ctx->next_rip, size);
}

enum emu_result emu_run_call_far(struct emu_ctx *ctx)
{
	struct target t = { .task = 0 };
	enum emu_result result;

	result = aim(ctx, &t);
	if (result == EMU_OK && t.task)
		return emu_change_task(ctx, EMU_TASK_CALL, t.task, NULL);
	if (result == EMU_OK && t.gate)
		return emu_pass_gate(ctx, t.gate, true);
	if (result == EMU_OK)
		result = push_return(ctx, 0);
	if (result == EMU_OK)
		result = emu_mark_seg(ctx, &t.cs);
	if (result != EMU_OK)
		return result;
	emu_move_stack(ctx, -2 * (s64)ctx->insn.op_size);
	go(ctx, &t);
	return EMU_OK;
}

/* Pop a slot of the operand size at *@depth. */
static enum emu_result pop(struct emu_ctx *ctx, unsigned int *depth, u64 *val)
{
	enum emu_result result = emu_pop(ctx, *depth, val, ctx->insn.op_size);

	*depth += ctx->insn.op_size;
	return result;
}

/* Pop SP and SS of the outer level at *@depth. */
static enum emu_result pop_stack(struct emu_ctx *ctx, unsigned int *depth, u64 *sp, u64 *ss)
{
	enum emu_result result = pop(ctx, depth, sp);

	return result == EMU_OK ? pop(ctx, depth, ss) : result;
}

/* SS may be null only if 64-bit code below CPL 3 will run on it. */
static enum emu_result prepare_stack(struct emu_ctx *ctx, u16 sel, unsigned int cpl,
				     struct target *t)
{
	bool code64 = is_code64(ctx, &t->cs.seg);

	if (sel >= 4)
		return emu_prepare_seg(ctx, EMU_SS, sel, cpl, &t->ss);
	if (!code64 || cpl == 3 || (sel & 3) != cpl)
		return emu_raise(ctx, EMU_VECTOR_GP, 0);
	t->ss = (struct emu_load){
		.index = EMU_SS, .seg = { .sel = sel, .unusable = 1, .dpl = cpl },
	};
	return EMU_OK;
}

/* Write the new stack pointer as wide as the new stack is. */
static void set_outer_stack(struct emu_ctx *ctx, const struct target *t, unsigned int extra)
{
	unsigned int width = t->ss.seg.db ? 4 : 2;

	if (is_code64(ctx, &t->cs.seg))
		width = 8;
	emu_commit_seg(ctx, &t->ss);
	emu_set_reg(ctx, EMU_RSP, width, t->sp + extra);
}

/*
 * Check the return to @cs and, if it is to an outer level or @always is set, pop
 * and check the outer stack. *@depth: bytes popped so far; @extra: bytes of
 * parameters to drop.
 */
static enum emu_result prepare_return(struct emu_ctx *ctx, u64 cs, unsigned int *depth,
				      unsigned int extra, bool always, struct target *t)
{
	unsigned int cpl = cs & 3;
	enum emu_result result;
	u64 ss;

	if (emu_no_descriptors(ctx))
		return emu_prepare_seg(ctx, EMU_CS, cs, ctx->cpl, &t->cs);
	if ((u16)cs >= 4 && cpl < ctx->cpl)
		return emu_raise(ctx, EMU_VECTOR_GP, (u16)cs & ~3u);
	result = emu_prepare_seg(ctx, EMU_CS, cs, cpl, &t->cs);
	t->outer = always || cpl > ctx->cpl;
	if (result != EMU_OK || !t->outer)
		return result;
	*depth += extra;
	result = pop_stack(ctx, depth, &t->sp, &ss);
	return result == EMU_OK ? prepare_stack(ctx, ss, cpl, t) : result;
}

/* Commit the return: first the steps that can still fail, then those that cannot. */
static enum emu_result finish_return(struct emu_ctx *ctx, unsigned int depth, unsigned int extra,
				     const struct target *t)
{
	enum emu_result result = emu_check_ip(ctx, &t->cs.seg, t->ip);

	if (result == EMU_OK)
		result = emu_mark_seg(ctx, &t->cs);
	if (result == EMU_OK && t->outer)
		result = emu_mark_seg(ctx, &t->ss);
	if (result != EMU_OK)
		return result;
	if (t->outer)
		set_outer_stack(ctx, t, extra);
	else
		emu_move_stack(ctx, depth + extra);
	if (!emu_no_descriptors(ctx) && (t->cs.seg.sel & 3u) > ctx->cpl)
		emu_drop_inner_segs(ctx, t->cs.seg.sel & 3);
	go(ctx, t);
	return EMU_OK;
}

enum emu_result emu_run_ret_far(struct emu_ctx *ctx)
{
	unsigned int extra = (u16)ctx->insn.imm, depth = 0;
	struct target t = { .outer = false };
	enum emu_result result;
	u64 cs;

	result = pop(ctx, &depth, &t.ip);
	if (result == EMU_OK)
		result = pop(ctx, &depth, &cs);
	if (result == EMU_OK)
		result = prepare_return(ctx, cs, &depth, extra, false, &t);
	return result == EMU_OK ? finish_return(ctx, depth, extra, &t) : result;
}

/* The flags that IRET may change. */
static u64 iret_mask(const struct emu_ctx *ctx)
{
	u64 mask = EMU_FLAGS_ARITH | EMU_FLAG_TF | EMU_FLAG_DF | EMU_FLAG_NT | EMU_FLAG_RF |
		   EMU_FLAG_AC | EMU_FLAG_ID;

	if (ctx->mode == EMU_MODE_REAL)
		mask |= EMU_FLAG_IOPL | EMU_FLAG_IF;
	else if (ctx->mode != EMU_MODE_VM86 && ctx->cpl == 0)
		mask |= EMU_FLAG_IOPL | EMU_FLAG_IF | EMU_FLAG_VIF | EMU_FLAG_VIP;
	else if (ctx->cpl <= emu_iopl(ctx))
		mask |= EMU_FLAG_IF;
	return ctx->insn.op_size == 2 ? mask & 0xffff : mask;
}

static enum emu_result check_iret(struct emu_ctx *ctx)
{
	/* Long mode has no task switches: NT makes IRET #GP. */
	if (emu_long_mode(ctx) && ctx->rflags & EMU_FLAG_NT)
		return emu_raise(ctx, EMU_VECTOR_GP, 0);
	return emu_check_v86_flags(ctx);
}

static bool returns_to_task(const struct emu_ctx *ctx)
{
	return !emu_no_descriptors(ctx) && ctx->rflags & EMU_FLAG_NT;
}

static bool returns_to_vm86(const struct emu_ctx *ctx, u64 flags)
{
	return !emu_no_descriptors(ctx) && !emu_long_mode(ctx) && ctx->cpl == 0 &&
	       ctx->insn.op_size == 4 && (flags & EMU_FLAG_VM);
}

/* Return to virtual-8086 mode: also pop SP, SS and the four data segments. */
static enum emu_result return_to_vm86(struct emu_ctx *ctx, unsigned int depth, u64 ip, u16 cs,
				      u64 flags)
{
	static const u8 order[] = { EMU_SS, EMU_ES, EMU_DS, EMU_FS, EMU_GS };
	u64 sp, sel[sizeof(order)];
	enum emu_result result;
	unsigned int i;

	result = pop(ctx, &depth, &sp);
	for (i = 0; result == EMU_OK && i < sizeof(order); i++)
		result = pop(ctx, &depth, &sel[i]);
	if (result != EMU_OK)
		return result;
	if (ip > 0xffff)
		return emu_raise(ctx, EMU_VECTOR_GP, 0);
	emu_vm86_seg(ctx, EMU_CS, cs);
	for (i = 0; i < sizeof(order); i++)
		emu_vm86_seg(ctx, order[i], sel[i]);
	ctx->gpr[EMU_RSP] = sp;
	ctx->next_rip = ip;
	ctx->next_rflags = (flags & EMU_FLAGS_ALL) | EMU_FLAG_FIXED;
	ctx->nmi_open = true;
	return EMU_OK;
}

enum emu_result emu_run_iret(struct emu_ctx *ctx)
{
	struct target t = { .outer = false };
	unsigned int depth = 0;
	enum emu_result result;
	u64 cs, flags, mask = iret_mask(ctx);

	result = check_iret(ctx);
	if (result == EMU_OK && returns_to_task(ctx))
		return emu_return_task(ctx);
	if (result == EMU_OK)
		result = pop(ctx, &depth, &t.ip);
	if (result == EMU_OK)
		result = pop(ctx, &depth, &cs);
	if (result == EMU_OK)
		result = pop(ctx, &depth, &flags);
	if (result != EMU_OK)
		return result;
	if (returns_to_vm86(ctx, flags))
		return return_to_vm86(ctx, depth, t.ip, cs, flags);
	result = emu_take_virtual_flags(ctx, flags);
	if (result == EMU_OK)
		result = prepare_return(ctx, cs, &depth, 0, ctx->mode == EMU_MODE_LONG64, &t);
	if (result == EMU_OK)
		result = finish_return(ctx, depth, 0, &t);
	if (result != EMU_OK)
		return result;
	ctx->next_rflags = (ctx->next_rflags & ~(mask | EMU_FLAG_RF)) | (flags & mask);
	ctx->nmi_open = true;
	return EMU_OK;
}
