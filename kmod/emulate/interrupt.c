// SPDX-License-Identifier: GPL-2.0
/*
 * The way into a handler: through the vectors of real mode, or through gates
 * of protected mode to code of the same privilege level. Inner levels, tasks,
 * long mode and virtual-8086 mode are not executed here; hardware that runs
 * them delivers to them.
 */
#include "exec.h"

#define GATE_BYTES	8
#define GATE_TRAP	1	/* type: leaves IF alone */
#define GATE_32		8

/*
 * struct handler - where to, and what is left on the old code's stack
 * @size:	of each slot
 */
struct handler {
	struct emu_load cs;
	u64 ip;
	unsigned int size;
	bool keep_if;
	bool has_error;
	u32 error;
};

static enum emu_result push_state(struct emu_ctx *ctx, const struct handler *h, unsigned int *depth)
{
	u64 val[] = { ctx->rflags, emu_segment(ctx, EMU_CS)->sel, ctx->next_rip, h->error };
	enum emu_result result = EMU_OK;
	unsigned int i;

	for (i = 0; result == EMU_OK && i < (h->has_error ? 4 : 3); i++) {
		result = emu_push(ctx, *depth, val[i], h->size);
		*depth += h->size;
	}
	return result;
}

static enum emu_result enter(struct emu_ctx *ctx, const struct handler *h)
{
	enum emu_result result = emu_check_ip(ctx, &h->cs.seg, h->ip);
	unsigned int depth = 0;

	if (result == EMU_OK)
		result = push_state(ctx, h, &depth);
	if (result == EMU_OK)
		result = emu_mark_seg(ctx, &h->cs);
	if (result != EMU_OK)
		return result;
	emu_move_stack(ctx, -(s64)depth);
	emu_commit_seg(ctx, &h->cs);
	ctx->next_rflags &= ~(u64)(EMU_FLAG_TF | EMU_FLAG_RF);
	ctx->next_rflags &= ~(u64)(ctx->mode == EMU_MODE_REAL ? EMU_FLAG_AC : EMU_FLAG_NT);
	if (!h->keep_if)
		ctx->next_rflags &= ~(u64)EMU_FLAG_IF;
	ctx->next_rip = h->ip;
	return EMU_OK;
}

/* @size bytes of entry @vector; an entry beyond the table is #GP that names it. */
static enum emu_result read_entry(struct emu_ctx *ctx, u8 vector, void *entry, unsigned int size)
{
	struct emu_table idt;

	ctx->ops->system->get_table(ctx, true, &idt);
	if (size * vector + size - 1 > idt.limit)
		return emu_raise(ctx, EMU_VECTOR_GP, vector << 3 | 2);
	return ctx->ops->read(ctx, (u32)(idt.base + size * vector), entry, size,
			      EMU_READ | EMU_SYSTEM);
}

static enum emu_result real_interrupt(struct emu_ctx *ctx, u8 vector)
{
	struct handler h = { .size = 2 };
	enum emu_result result;
	u16 entry[2];

	result = read_entry(ctx, vector, entry, sizeof(entry));
	if (result == EMU_OK)
		result = emu_prepare_seg(ctx, EMU_CS, entry[1], 0, &h.cs);
	h.ip = entry[0];
	return result == EMU_OK ? enter(ctx, &h) : result;
}

/* An interrupt or trap gate, of 16 or 32 bits. @soft: the program asked for it, and must be let. */
static enum emu_result check_gate(struct emu_ctx *ctx, u8 vector, u64 gate, bool soft)
{
	unsigned int type = gate >> 40 & 0x1f, dpl = gate >> 45 & 3;

	if (type == 5)
		return EMU_UNHANDLED;		/* a task */
	if ((type & ~(GATE_32 | GATE_TRAP)) != 6 || (soft && dpl < ctx->cpl))
		return emu_raise(ctx, EMU_VECTOR_GP, vector << 3 | 2);
	if (!(gate >> 47 & 1))
		return emu_raise(ctx, EMU_VECTOR_NP, vector << 3 | 2);
	return EMU_OK;
}

static enum emu_result gate_interrupt(struct emu_ctx *ctx, u8 vector, bool soft, struct handler *h)
{
	enum emu_result result;
	u64 gate;

	result = read_entry(ctx, vector, &gate, GATE_BYTES);
	if (result == EMU_OK)
		result = check_gate(ctx, vector, gate, soft);
	if (result != EMU_OK)
		return result;
	h->size = gate >> 40 & GATE_32 ? 4 : 2;
	h->keep_if = gate >> 40 & GATE_TRAP;
	h->ip = (gate & 0xffff) | (h->size == 4 ? gate >> 32 & 0xffff0000 : 0);
	/* From user code it leads to another stack. */
	if (ctx->cpl)
		return EMU_UNHANDLED;
	result = emu_prepare_seg(ctx, EMU_CS, gate >> 16 & 0xfffc, ctx->cpl, &h->cs);
	return result == EMU_OK ? enter(ctx, h) : result;
}

static enum emu_result interrupt(struct emu_ctx *ctx, u8 vector, bool soft, struct handler *h)
{
	if (!ctx->ops->system || ctx->mode == EMU_MODE_VM86 || emu_long_mode(ctx))
		return EMU_UNHANDLED;
	if (ctx->mode == EMU_MODE_REAL)
		return real_interrupt(ctx, vector);
	return gate_interrupt(ctx, vector, soft, h);
}

/* INT3, INT n and INTO. */
enum emu_result emu_run_int(struct emu_ctx *ctx)
{
	struct handler h = { .has_error = false };
	u8 vector = ctx->insn.imm;

	if (ctx->insn.opcode == 0xcc)
		vector = EMU_VECTOR_BP;
	if (ctx->insn.opcode == 0xce) {
		if (!(ctx->rflags & EMU_FLAG_OF))
			return EMU_OK;
		vector = EMU_VECTOR_OF;
	}
	if (ctx->mode == EMU_MODE_VM86 && ctx->insn.opcode == 0xcd && emu_iopl(ctx) < 3 &&
	    !(ctx->cr4 & EMU_CR4_VME))
		return emu_raise(ctx, EMU_VECTOR_GP, 0);
	return interrupt(ctx, vector, true, &h);
}

enum emu_result emu_interrupt(struct emu_ctx *ctx, u8 vector, bool has_error, u32 error)
{
	struct handler h = { .has_error = has_error, .error = error };
	enum emu_result result;

	emu_begin(ctx, 0);
	result = interrupt(ctx, vector, false, &h);
	if (result != EMU_OK)
		return result;
	emu_commit(ctx);
	ctx->single_step = false;
	return EMU_OK;
}
