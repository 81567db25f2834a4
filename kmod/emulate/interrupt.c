// SPDX-License-Identifier: GPL-2.0
/*
 * Entry into handlers: delivery through the vectors of real mode or the gates of
 * protected mode, to the same privilege level, an inner one or another task; and
 * call gates. Long mode is EMU_UNHANDLED: the hardware runs it and delivers
 * events there.
 */
#include "exec.h"
#include "opcodes.h"

#define GATE_BYTES	8
#define GATE_TRAP	1	/* type bit: does not clear IF */
#define GATE_32		8
#define TASK_GATE	5
#define ERROR_EXTERNAL	1

/*
 * struct handler - entry point of a handler, and its stack frame
 * @size:	bytes of each slot
 * @depth:	bytes pushed so far
 * @inner:	the frame is on another stack, @ss:@sp
 */
struct handler {
	struct emu_load cs, ss;
	u64 ip, sp;
	unsigned int size, depth;
	bool keep_if;
	bool has_error;
	bool inner;
	u32 error;
};

static enum emu_result push(struct emu_ctx *ctx, struct handler *h, u64 val)
{
	const struct emu_seg *ss = &h->ss.seg;
	unsigned int depth = h->depth;
	u64 ea;

	h->depth += h->size;
	if (!h->inner)
		return emu_push(ctx, depth, val, h->size);
	ea = (h->sp - h->depth) & (ss->db ? 0xffffffff : 0xffff);
	if (!emu_in_limit(ss, ea, h->size))
		return emu_raise(ctx, EMU_VECTOR_SS, ss->sel & ~3u);
	return ctx->ops->write(ctx, (u32)(ss->base + ea), &val, h->size, EMU_WRITE | EMU_SYSTEM);
}

static enum emu_result push_list(struct emu_ctx *ctx, struct handler *h, const u64 *val,
				 unsigned int count)
{
	enum emu_result result = EMU_OK;

	while (result == EMU_OK && count--)
		result = push(ctx, h, *val++);
	return result;
}

static u64 selector(struct emu_ctx *ctx, unsigned int index)
{
	return emu_segment(ctx, index)->sel;
}

/* Push the interrupted SS and SP, after the data segments of virtual-8086 mode. */
static enum emu_result push_outer(struct emu_ctx *ctx, struct handler *h)
{
	u64 data[] = {
		selector(ctx, EMU_GS), selector(ctx, EMU_FS), selector(ctx, EMU_DS),
		selector(ctx, EMU_ES),
	};
	u64 stack[] = { selector(ctx, EMU_SS), ctx->gpr[EMU_RSP] };
	enum emu_result result = EMU_OK;

	if (ctx->mode == EMU_MODE_VM86)
		result = push_list(ctx, h, data, 4);
	return result == EMU_OK ? push_list(ctx, h, stack, 2) : result;
}

static enum emu_result push_state(struct emu_ctx *ctx, struct handler *h)
{
	u64 val[] = { ctx->rflags, selector(ctx, EMU_CS), ctx->next_rip, h->error };
	enum emu_result result = EMU_OK;

	if (h->inner)
		result = push_outer(ctx, h);
	return result == EMU_OK ? push_list(ctx, h, val, h->has_error ? 4 : 3) : result;
}

/* Protected mode cannot use the data segments of virtual-8086 mode: clear them. */
static void leave_vm86(struct emu_ctx *ctx)
{
	static const u8 data[] = { EMU_ES, EMU_DS, EMU_FS, EMU_GS };
	static const struct emu_seg null = { .unusable = 1 };
	unsigned int i;

	for (i = 0; i < sizeof(data); i++)
		emu_set_seg(ctx, data[i], &null);
}

static void switch_stack(struct emu_ctx *ctx, const struct handler *h)
{
	if (!h->inner) {
		emu_move_stack(ctx, -(s64)h->depth);
		return;
	}
	emu_commit_seg(ctx, &h->ss);
	emu_set_reg(ctx, EMU_RSP, h->ss.seg.db ? 4 : 2, h->sp - h->depth);
	if (ctx->mode == EMU_MODE_VM86)
		leave_vm86(ctx);
}

static enum emu_result enter(struct emu_ctx *ctx, struct handler *h)
{
	enum emu_result result = emu_check_ip(ctx, &h->cs.seg, h->ip);

	if (result == EMU_OK)
		result = push_state(ctx, h);
	if (result == EMU_OK)
		result = emu_mark_seg(ctx, &h->cs);
	if (result == EMU_OK && h->inner)
		result = emu_mark_seg(ctx, &h->ss);
	if (result != EMU_OK)
		return result;
	switch_stack(ctx, h);
	emu_commit_seg(ctx, &h->cs);
	ctx->next_rflags &= ~(u64)(EMU_FLAG_TF | EMU_FLAG_RF);
	if (ctx->mode == EMU_MODE_REAL)
		ctx->next_rflags &= ~(u64)EMU_FLAG_AC;
	else
		ctx->next_rflags &= ~(u64)(EMU_FLAG_NT | EMU_FLAG_VM);
	if (!h->keep_if)
		ctx->next_rflags &= ~(u64)EMU_FLAG_IF;
	ctx->next_rip = h->ip;
	/* No single-step trap here: IRET restores TF from the stack. */
	ctx->single_step = false;
	return EMU_OK;
}

/* Read @size bytes of IDT entry @vector; #GP names the entry if it is beyond the limit. */
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

/*
 * Accept an interrupt or trap gate, 16-bit or 32-bit, or a task gate. @soft:
 * raised by the program, so its DPL applies.
 */
static enum emu_result check_gate(struct emu_ctx *ctx, u8 vector, u64 gate, bool soft)
{
	unsigned int type = gate >> 40 & 0x1f, dpl = gate >> 45 & 3;

	if (type != TASK_GATE && (type & ~(GATE_32 | GATE_TRAP)) != 6)
		return emu_raise(ctx, EMU_VECTOR_GP, vector << 3 | 2);
	if (soft && dpl < ctx->cpl)
		return emu_raise(ctx, EMU_VECTOR_GP, vector << 3 | 2);
	if (!(gate >> 47 & 1))
		return emu_raise(ctx, EMU_VECTOR_NP, vector << 3 | 2);
	return EMU_OK;
}

/* Prepare the stack that the TSS has for level @cpl; its errors are #TS instead of #GP. */
static enum emu_result prepare_inner(struct emu_ctx *ctx, unsigned int cpl, struct handler *h)
{
	const struct emu_seg *tss = emu_segment(ctx, EMU_TR);
	unsigned int size = tss->type & 8 ? 4 : 2;
	unsigned int at = size + 2 * size * cpl;
	enum emu_result result;
	u16 sel;

	if (tss->unusable || at + 2 * size - 1 > tss->limit)
		return emu_raise(ctx, EMU_VECTOR_TS, tss->sel & ~3u);
	h->inner = true;
	h->sp = 0;
	result = ctx->ops->read(ctx, tss->base + at, &h->sp, size, EMU_READ | EMU_SYSTEM);
	if (result == EMU_OK)
		result = ctx->ops->read(ctx, tss->base + at + size, &sel, sizeof(sel),
					EMU_READ | EMU_SYSTEM);
	if (result == EMU_OK)
		result = emu_prepare_descriptor(ctx, EMU_SS, sel, cpl, &h->ss);
	if (result == EMU_FAULT && ctx->fault.vector == EMU_VECTOR_GP)
		return emu_raise(ctx, EMU_VECTOR_TS, ctx->fault.error_code);
	return result;
}

/*
 * Prepare the code segment of the handler. It determines the new CPL, which is
 * never an outer level.
 */
static enum emu_result prepare_code(struct emu_ctx *ctx, u16 sel, struct handler *h)
{
	enum emu_result result;
	unsigned int cpl;

	result = emu_code_level(ctx, sel, &cpl);
	if (result != EMU_OK)
		return result;
	if (ctx->mode == EMU_MODE_VM86 && cpl)
		return emu_raise(ctx, EMU_VECTOR_GP, sel);
	result = emu_prepare_descriptor(ctx, EMU_CS, sel, cpl, &h->cs);
	if (result == EMU_OK && cpl < ctx->cpl)
		result = prepare_inner(ctx, cpl, h);
	return result;
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
	if ((gate >> 40 & 0x1f) == TASK_GATE)
		return emu_change_task(ctx, EMU_TASK_EVENT, gate >> 16,
				       h->has_error ? &h->error : NULL);
	h->size = gate >> 40 & GATE_32 ? 4 : 2;
	h->keep_if = gate >> 40 & GATE_TRAP;
	h->ip = (gate & 0xffff) | (h->size == 4 ? gate >> 32 & 0xffff0000 : 0);
	result = prepare_code(ctx, gate >> 16 & 0xfffc, h);
	return result == EMU_OK ? enter(ctx, h) : result;
}

static enum emu_result interrupt(struct emu_ctx *ctx, u8 vector, bool soft, struct handler *h)
{
	if (!ctx->ops->system || emu_long_mode(ctx))
		return EMU_UNHANDLED;
	if (ctx->mode == EMU_MODE_REAL)
		return real_interrupt(ctx, vector);
	return gate_interrupt(ctx, vector, soft, h);
}

#define MAP_BASE	0x66		/* offset in the TSS of the I/O map base */
#define VECTOR_MAP	32		/* bytes of the redirection map before the I/O map */

/* With CR4.VME, look up in the redirection map whether virtual-8086 code handles @vector itself. */
static enum emu_result is_own_vector(struct emu_ctx *ctx, u8 vector, bool *own)
{
	const struct emu_seg *tss = emu_segment(ctx, EMU_TR);
	enum emu_result result;
	u16 map;
	u8 bits;

	if (tss->unusable || !(tss->type & 8) || tss->limit < MAP_BASE + 1)
		return emu_raise(ctx, EMU_VECTOR_GP, 0);
	result = ctx->ops->read(ctx, tss->base + MAP_BASE, &map, sizeof(map),
				EMU_READ | EMU_SYSTEM);
	if (result != EMU_OK)
		return result;
	if (map < VECTOR_MAP || map - VECTOR_MAP + vector / 8u > tss->limit)
		return emu_raise(ctx, EMU_VECTOR_GP, 0);
	result = ctx->ops->read(ctx, tss->base + map - VECTOR_MAP + vector / 8, &bits, 1,
				EMU_READ | EMU_SYSTEM);
	*own = !(bits >> vector % 8 & 1);
	return result;
}

/* Deliver as in real mode, through the vector table at address 0, with the virtual flags. */
static enum emu_result own_interrupt(struct emu_ctx *ctx, u8 vector)
{
	bool virtual_flags = emu_has_virtual_flags(ctx);
	struct handler h = { .size = 2 };
	enum emu_result result;
	u16 entry[2];
	u64 val[] = { emu_shown_flags(ctx), selector(ctx, EMU_CS), ctx->next_rip };

	result = ctx->ops->read(ctx, 4 * vector, entry, sizeof(entry), EMU_READ | EMU_SYSTEM);
	if (result == EMU_OK)
		result = push_list(ctx, &h, val, 3);
	if (result != EMU_OK)
		return result;
	switch_stack(ctx, &h);
	emu_vm86_seg(ctx, EMU_CS, entry[1]);
	ctx->next_rip = entry[0];
	ctx->next_rflags &= ~(u64)(EMU_FLAG_TF | (virtual_flags ? EMU_FLAG_VIF : EMU_FLAG_IF));
	ctx->single_step = false;
	return EMU_OK;
}

/* INT n of virtual-8086 code: to its own handler, to the monitor through a gate, or #GP. */
static enum emu_result vm86_interrupt(struct emu_ctx *ctx, u8 vector)
{
	struct handler h = { .has_error = false };
	enum emu_result result = EMU_OK;
	bool own = false;

	if (ctx->cr4 & EMU_CR4_VME)
		result = is_own_vector(ctx, vector, &own);
	if (result != EMU_OK)
		return result;
	if (own)
		return own_interrupt(ctx, vector);
	if (emu_iopl(ctx) < 3)
		return emu_raise(ctx, EMU_VECTOR_GP, 0);
	return interrupt(ctx, vector, true, &h);
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
	if (ctx->mode == EMU_MODE_VM86 && ctx->insn.opcode == 0xcd && ctx->ops->system)
		return vm86_interrupt(ctx, vector);
	return interrupt(ctx, vector, true, &h);
}

/* INT1 checks no gate, and its #DB replaces the single-step trap. */
enum emu_result emu_run_int1(struct emu_ctx *ctx)
{
	if (!ctx->ops->system)
		return EMU_UNHANDLED;
	ctx->ops->system->trap(ctx);
	ctx->single_step = false;
	return EMU_OK;
}

void emu_mark_external(struct emu_exception *fault)
{
	if (fault->has_error && fault->vector >= EMU_VECTOR_TS && fault->vector <= EMU_VECTOR_GP)
		fault->error_code |= ERROR_EXTERNAL;
}

enum emu_result emu_interrupt(struct emu_ctx *ctx, const struct emu_event *e)
{
	struct handler h = { .has_error = e->has_error, .error = e->error_code };
	enum emu_result result;

	ctx->insn.op = EMU_OP_UD;	/* the next instruction is decoded anew */
	emu_begin(ctx, e->length);
	result = interrupt(ctx, e->vector, false, &h);
	if (!e->soft && (result == EMU_FAULT || ctx->begins_with_fault))
		emu_mark_external(&ctx->fault);
	if (result == EMU_OK)
		emu_commit(ctx);
	return result;
}

/* --- call gates ------------------------------------------------------------- */

/* Read the @count parameters of the gate from the old stack; the deepest is param[0]. */
static enum emu_result read_parameters(struct emu_ctx *ctx, const struct handler *h, u64 *param,
				       unsigned int count)
{
	enum emu_result result = EMU_OK;
	unsigned int i;

	for (i = 0; i < count && result == EMU_OK; i++)
		result = emu_pop(ctx, i * h->size, &param[count - 1 - i], h->size);
	return result;
}

static enum emu_result push_call(struct emu_ctx *ctx, struct handler *h, unsigned int count)
{
	u64 back[] = { selector(ctx, EMU_CS), ctx->next_rip }, param[32];
	enum emu_result result = EMU_OK;

	if (h->inner) {
		result = read_parameters(ctx, h, param, count);
		if (result == EMU_OK)
			result = push_outer(ctx, h);
		if (result == EMU_OK)
			result = push_list(ctx, h, param, count);
	}
	return result == EMU_OK ? push_list(ctx, h, back, 2) : result;
}

/* Prepare the code segment behind a call gate; a jump must not change the CPL. */
static enum emu_result prepare_gate(struct emu_ctx *ctx, u16 sel, bool call, struct handler *h)
{
	enum emu_result result;
	unsigned int cpl;

	result = emu_code_level(ctx, sel, &cpl);
	if (result == EMU_OK && !call && cpl < ctx->cpl)
		return emu_raise(ctx, EMU_VECTOR_GP, sel);
	if (result == EMU_OK)
		result = prepare_code(ctx, sel, h);
	/* A call gate must not lead to another gate. */
	if (result == EMU_UNHANDLED)
		return emu_raise(ctx, EMU_VECTOR_GP, sel);
	return result == EMU_OK ? emu_check_ip(ctx, &h->cs.seg, h->ip) : result;
}

enum emu_result emu_pass_gate(struct emu_ctx *ctx, u64 gate, bool call)
{
	struct handler h = { .size = gate >> 40 & GATE_32 ? 4 : 2 };
	enum emu_result result;

	h.ip = (gate & 0xffff) | (h.size == 4 ? gate >> 32 & 0xffff0000 : 0);
	result = prepare_gate(ctx, gate >> 16 & 0xfffc, call, &h);
	if (result == EMU_OK && call)
		result = push_call(ctx, &h, gate >> 32 & 31);
	if (result == EMU_OK)
		result = emu_mark_seg(ctx, &h.cs);
	if (result == EMU_OK && h.inner)
		result = emu_mark_seg(ctx, &h.ss);
	if (result != EMU_OK)
		return result;
	switch_stack(ctx, &h);
	emu_commit_seg(ctx, &h.cs);
	ctx->next_rip = h.ip;
	return EMU_OK;
}
