// SPDX-License-Identifier: GPL-2.0
/*
 * Hardware task switches: from the TSS that TR names to another, by a jump, a
 * call, a return or an event. The checks come first; then the old task is saved
 * and the new one is loaded. A fault of the new task's segments is raised in the
 * new task: the switch is complete by then.
 */
#include "exec.h"
#include "opcodes.h"

#define TSS_MAX		104
#define PIECE		EMU_OPERAND_MAX
#define BUSY		((u64)2 << 40)		/* in a descriptor */
#define TYPE_LDT	2
#define TYPE_BUSY	2			/* the busy bit */
#define TYPE_32		8
#define DR6_TASK	(1u << 15)
#define DR7_LOCAL	0x155u

/*
 * struct layout - offsets in a TSS, in slots of @width bytes
 * @ip:	instruction pointer; the flags and eight general registers follow. These
 *	and the selectors are saved
 * @segs:	number of segment registers; the others get the null selector
 */
struct layout {
	u8 width, bytes, cr3, ip, seg, segs, ldt, trap;
};

static const struct layout layout16 = {
	.width = 2, .bytes = 44, .ip = 14, .seg = 34, .segs = 4, .ldt = 42,
};

static const struct layout layout32 = {
	.width = 4, .bytes = TSS_MAX, .cr3 = 28, .ip = 32, .seg = 72, .segs = 6, .ldt = 96,
	.trap = 100,
};

/* struct task - the new task; if @faults, it begins with the exception @fault */
struct task {
	enum emu_task_source source;
	const struct layout *layout;
	struct emu_load tss, old_tss, ldt, seg[6];
	u8 data[TSS_MAX];
	u64 flags;
	u16 link;
	bool faults, loaded[6];
	struct emu_exception fault;
};

static bool nests(const struct task *t)
{
	return t->source == EMU_TASK_CALL || t->source == EMU_TASK_EVENT;
}

static u64 slot(const struct task *t, unsigned int at)
{
	u64 val = 0;

	memcpy(&val, t->data + at, t->layout->width);
	return val;
}

static u16 selector(const struct task *t, unsigned int index)
{
	if (index >= t->layout->segs)
		return 0;
	return slot(t, t->layout->seg + index * t->layout->width);
}

static const struct layout *layout_of(unsigned int type)
{
	return type & TYPE_32 ? &layout32 : &layout16;
}

/* Record the first exception of the new task; any other failure makes the switch fail. */
static enum emu_result new_tasks(struct emu_ctx *ctx, struct task *t, enum emu_result result)
{
	if (result != EMU_FAULT)
		return result;
	if (!t->faults)
		t->fault = ctx->fault;
	t->faults = true;
	return EMU_OK;
}

/* --- checks --------------------------------------------------------------- */

/* IRET must go to a busy task, its caller; all others to one that is not busy. */
static enum emu_result check_target(struct emu_ctx *ctx, u16 sel, struct task *t)
{
	bool back = t->source == EMU_TASK_IRET;
	u8 vector = back ? EMU_VECTOR_TS : EMU_VECTOR_GP;
	const struct emu_seg *s = &t->tss.seg;
	enum emu_result result;

	if (sel & 4 || sel < 4)
		return emu_raise(ctx, vector, sel & ~3u);
	result = emu_fetch_descriptor(ctx, sel, &t->tss, vector);
	if (result != EMU_OK)
		return result;
	if (s->s || (s->type & ~(TYPE_32 | TYPE_BUSY)) != 1 || !(s->type & TYPE_BUSY) == back)
		return emu_raise(ctx, vector, sel & ~3u);
	if (!s->p)
		return emu_raise(ctx, EMU_VECTOR_NP, sel & ~3u);
	t->layout = layout_of(s->type);
	if (s->limit < t->layout->bytes - 1u)
		return emu_raise(ctx, EMU_VECTOR_TS, sel & ~3u);
	t->tss.seg.type |= TYPE_BUSY;
	t->tss.new |= BUSY;
	return EMU_OK;
}

/* Check that the old TSS can be written; prepare to clear its busy bit unless the switch nests. */
static enum emu_result check_old(struct emu_ctx *ctx, struct task *t)
{
	const struct emu_seg *tr = emu_segment(ctx, EMU_TR);
	const struct layout *l = layout_of(tr->type);
	enum emu_result result;
	u8 unused[PIECE];
	unsigned int at, n;

	if (tr->unusable || tr->limit < l->bytes - 1u)
		return emu_raise(ctx, EMU_VECTOR_TS, tr->sel & ~3u);
	for (at = l->ip; at < l->bytes; at += n) {
		n = l->bytes - at < PIECE ? l->bytes - at : PIECE;
		result = ctx->ops->read(ctx, (u32)(tr->base + at), unused, n,
					EMU_READ | EMU_RMW | EMU_PROBE | EMU_SYSTEM);
		if (result != EMU_OK)
			return result;
	}
	if (nests(t))
		return EMU_OK;
	result = emu_fetch_descriptor(ctx, tr->sel, &t->old_tss, EMU_VECTOR_TS);
	t->old_tss.new &= ~BUSY;
	return result;
}

static enum emu_result read_state(struct emu_ctx *ctx, struct task *t)
{
	unsigned int at, n, bytes = t->layout->bytes;
	enum emu_result result = EMU_OK;

	for (at = 0; result == EMU_OK && at < bytes; at += n) {
		n = bytes - at < PIECE ? bytes - at : PIECE;
		result = ctx->ops->read(ctx, (u32)(t->tss.seg.base + at), t->data + at, n,
					EMU_READ | EMU_SYSTEM);
	}
	return result;
}

/* --- leaving -------------------------------------------------------------- */

/* Instruction pointer, flags, general registers and selectors, as the old task has them. */
static unsigned int make_image(struct emu_ctx *ctx, const struct task *t, const struct layout *l,
			       u8 *image)
{
	u64 flags = ctx->next_rflags;
	unsigned int i, n = 0;
	u64 val[10 + 6];

	if (t->source == EMU_TASK_IRET)
		flags &= ~(u64)EMU_FLAG_NT;
	val[n++] = ctx->next_rip;
	val[n++] = flags | (ctx->rflags & EMU_FLAG_RF);
	for (i = 0; i < 8; i++)
		val[n++] = ctx->gpr[i];
	for (i = 0; i < l->segs; i++)
		val[n++] = emu_segment(ctx, i)->sel;
	for (i = 0; i < n; i++)
		memcpy(image + i * l->width, &val[i], l->width);
	return n * l->width;
}

static enum emu_result save_old(struct emu_ctx *ctx, const struct task *t)
{
	const struct emu_seg *tr = emu_segment(ctx, EMU_TR);
	const struct layout *l = layout_of(tr->type);
	enum emu_result result = EMU_OK;
	unsigned int at, n, size;
	u8 image[TSS_MAX];

	size = make_image(ctx, t, l, image);
	for (at = 0; result == EMU_OK && at < size; at += n) {
		n = size - at < PIECE ? size - at : PIECE;
		result = ctx->ops->write(ctx, (u32)(tr->base + l->ip + at), image + at, n,
					 EMU_WRITE | EMU_SYSTEM);
	}
	return result;
}

/* Save the old task, write the back link of a nested one and update the busy bits. */
static enum emu_result leave(struct emu_ctx *ctx, struct task *t)
{
	enum emu_result result = save_old(ctx, t);

	if (result == EMU_OK && !nests(t))
		result = emu_mark_seg(ctx, &t->old_tss);
	else if (result == EMU_OK)
		result = ctx->ops->write(ctx, (u32)t->tss.seg.base, &t->link, sizeof(t->link),
					 EMU_WRITE | EMU_SYSTEM);
	if (result == EMU_OK)
		result = emu_mark_seg(ctx, &t->tss);
	return result;
}

/* --- arriving ------------------------------------------------------------- */

static enum emu_result prepare_ldt(struct emu_ctx *ctx, struct task *t)
{
	u16 sel = slot(t, t->layout->ldt);
	struct emu_load *load = &t->ldt;
	enum emu_result result;

	*load = (struct emu_load){ .index = EMU_LDTR, .seg = { .sel = sel, .unusable = 1 } };
	if (sel < 4)
		return EMU_OK;
	if (sel & 4)
		return emu_raise(ctx, EMU_VECTOR_TS, sel & ~3u);
	result = emu_fetch_descriptor(ctx, sel, load, EMU_VECTOR_TS);
	if (result == EMU_OK && (load->seg.s || load->seg.type != TYPE_LDT || !load->seg.p))
		result = emu_raise(ctx, EMU_VECTOR_TS, sel & ~3u);
	if (result != EMU_OK)
		load->seg = (struct emu_seg){ .sel = sel, .unusable = 1 };
	return result;
}

/* Prepare one segment register; the #GP of MOV or a far jump is #TS here. */
static enum emu_result prepare_segment(struct emu_ctx *ctx, struct task *t, unsigned int index)
{
	unsigned int cpl = selector(t, EMU_CS) & 3;
	u16 sel = selector(t, index);
	enum emu_result result;

	result = emu_prepare_descriptor(ctx, index, sel, cpl, &t->seg[index]);
	t->loaded[index] = result == EMU_OK;
	if (result == EMU_FAULT && ctx->fault.vector == EMU_VECTOR_GP)
		ctx->fault.vector = EMU_VECTOR_TS;
	return result;
}

static bool is_vm86(const struct task *t)
{
	return t->flags & EMU_FLAG_VM;
}

/* Prepare the segments by the new task's own LDT; stop at its first exception. */
static enum emu_result arrive(struct emu_ctx *ctx, struct task *t)
{
	static const u8 order[] = { EMU_CS, EMU_SS, EMU_ES, EMU_DS, EMU_FS, EMU_GS };
	const struct emu_seg old = *emu_segment(ctx, EMU_LDTR);
	enum emu_result result;
	unsigned int i;

	result = new_tasks(ctx, t, prepare_ldt(ctx, t));
	ctx->seg[EMU_LDTR] = t->ldt.seg;
	for (i = 0; result == EMU_OK && i < sizeof(order) && !t->faults && !is_vm86(t); i++)
		result = new_tasks(ctx, t, prepare_segment(ctx, t, order[i]));
	ctx->seg[EMU_LDTR] = old;
	return result;
}

/* True if another register has the same descriptor, which is marked only once. */
static bool is_marked(const struct task *t, unsigned int index)
{
	unsigned int i;

	for (i = 0; i < index; i++)
		if (t->loaded[i] && t->seg[i].linear == t->seg[index].linear)
			return true;
	return false;
}

static enum emu_result mark_all(struct emu_ctx *ctx, struct task *t)
{
	enum emu_result result = EMU_OK;
	unsigned int i;

	for (i = 0; result == EMU_OK && i < 6; i++)
		if (t->loaded[i] && !is_marked(t, i))
			result = emu_mark_seg(ctx, &t->seg[i]);
	return result;
}

/* Push the error code of the exception that caused the switch onto the new stack. */
static enum emu_result push_error(struct emu_ctx *ctx, struct task *t, u32 error)
{
	unsigned int at = t->layout->ip + (2 + EMU_RSP) * t->layout->width;
	const struct emu_seg *ss = &t->seg[EMU_SS].seg;
	u64 sp = slot(t, at), mask = ss->db ? 0xffffffff : 0xffff, val = error;
	u64 base = ss->base;

	if (is_vm86(t)) {
		base = (u64)selector(t, EMU_SS) << 4;
		mask = 0xffff;
	}
	sp = (sp & ~mask) | ((sp - t->layout->width) & mask);
	if (!is_vm86(t) && !emu_in_limit(ss, sp & mask, t->layout->width))
		return emu_raise(ctx, EMU_VECTOR_SS, 0);
	memcpy(t->data + at, &sp, t->layout->width);
	return ctx->ops->write(ctx, (u32)(base + (sp & mask)), &val, t->layout->width,
			       EMU_WRITE | EMU_SYSTEM);
}

/* --- the new task --------------------------------------------------------- */

/*
 * A register whose segment is bad holds the selector and is unusable, but CS
 * keeps the rest of its old value. CS and SS get the new CPL.
 */
static void set_bad_segment(struct emu_ctx *ctx, const struct task *t, unsigned int index)
{
	struct emu_seg s = { .sel = selector(t, index), .unusable = 1 };
	unsigned int cpl = selector(t, EMU_CS) & 3;

	if (index == EMU_CS)
		s = *emu_segment(ctx, EMU_CS);
	if (index == EMU_CS || index == EMU_SS) {
		s.sel = (selector(t, index) & ~3u) | cpl;
		s.dpl = cpl;
	}
	emu_set_seg(ctx, index, &s);
}

static void set_segments(struct emu_ctx *ctx, const struct task *t)
{
	unsigned int i;

	emu_set_seg(ctx, EMU_TR, &t->tss.seg);
	emu_set_seg(ctx, EMU_LDTR, &t->ldt.seg);
	for (i = 0; i < 6; i++) {
		if (is_vm86(t))
			emu_vm86_seg(ctx, i, selector(t, i));
		else if (t->loaded[i])
			emu_commit_seg(ctx, &t->seg[i]);
		else
			set_bad_segment(ctx, t, i);
	}
}

static void set_system(struct emu_ctx *ctx)
{
	const struct emu_system *system = ctx->ops->system;
	u64 dr7;

	/* These writes are always legal and cannot fail. */
	if (!(ctx->cr0 & EMU_CR0_TS))
		system->set(ctx, EMU_REG_CR, 0, ctx->cr0 | EMU_CR0_TS);
	if (system->get(ctx, EMU_REG_DR, 7, &dr7) == EMU_OK && dr7 & DR7_LOCAL)
		system->set(ctx, EMU_REG_DR, 7, dr7 & ~(u64)DR7_LOCAL);
}

/* Load the new task; cannot fail. */
static void commit(struct emu_ctx *ctx, struct task *t)
{
	const struct layout *l = t->layout;
	unsigned int i;

	set_segments(ctx, t);
	for (i = 0; i < 8; i++)
		ctx->gpr[i] = slot(t, l->ip + (2 + i) * l->width);
	ctx->next_rip = slot(t, l->ip);
	ctx->next_rflags = t->flags;
	ctx->single_step = false;
	ctx->nmi_open = t->source == EMU_TASK_IRET;
	set_system(ctx);
	if (!t->faults && l->trap && t->data[l->trap] & 1) {
		t->faults = true;
		t->fault = (struct emu_exception){ .vector = EMU_VECTOR_DB, .dr6 = DR6_TASK };
	}
	ctx->begins_with_fault = t->faults;
	if (t->faults)
		ctx->fault = t->fault;
}

/* True if the new task has another CR3, which applies as soon as the old task is saved. */
static bool moves(struct emu_ctx *ctx, const struct task *t, u64 *cr3)
{
	u64 old;

	if (!t->layout->cr3 || !(ctx->cr0 & EMU_CR0_PG))
		return false;
	*cr3 = slot(t, t->layout->cr3);
	return ctx->ops->system->get(ctx, EMU_REG_CR, 3, &old) != EMU_OK || old != *cr3;
}

static enum emu_result change_tables(struct emu_ctx *ctx, struct task *t, u64 cr3)
{
	enum emu_result result;

	/* leave() cannot be undone: refuse this within an instruction, which may be run again. */
	if (ctx->insn.op != EMU_OP_UD)
		return EMU_UNHANDLED;
	result = leave(ctx, t);
	if (result != EMU_OK)
		return result;
	emu_raise(ctx, EMU_VECTOR_GP, 0);
	result = ctx->ops->system->set(ctx, EMU_REG_CR, 3, cr3);
	if (result != EMU_OK)
		return result;
	result = arrive(ctx, t);
	return result == EMU_OK ? EMU_OK : EMU_UNHANDLED;
}

static enum emu_result keep_tables(struct emu_ctx *ctx, struct task *t)
{
	enum emu_result result = arrive(ctx, t);

	return result == EMU_OK ? leave(ctx, t) : result;
}

static enum emu_result check_all(struct emu_ctx *ctx, u16 sel, struct task *t)
{
	enum emu_result result = check_target(ctx, sel, t);

	if (result == EMU_OK)
		result = check_old(ctx, t);
	if (result == EMU_OK)
		result = read_state(ctx, t);
	if (result != EMU_OK)
		return result;
	t->link = emu_segment(ctx, EMU_TR)->sel;
	t->flags = slot(t, t->layout->ip + t->layout->width) & EMU_FLAGS_ALL;
	t->flags |= EMU_FLAG_FIXED | (nests(t) ? EMU_FLAG_NT : 0);
	return EMU_OK;
}

enum emu_result emu_change_task(struct emu_ctx *ctx, enum emu_task_source source, u16 sel,
				const u32 *error)
{
	struct task t = { .source = source };
	enum emu_result result;
	u64 cr3;

	if (!ctx->ops->system || emu_long_mode(ctx) || ctx->mode == EMU_MODE_REAL)
		return EMU_UNHANDLED;
	result = check_all(ctx, sel, &t);
	if (result != EMU_OK)
		return result;
	result = moves(ctx, &t, &cr3) ? change_tables(ctx, &t, cr3) : keep_tables(ctx, &t);
	if (result == EMU_OK)
		result = mark_all(ctx, &t);
	if (result == EMU_OK && error && !t.faults)
		result = new_tasks(ctx, &t, push_error(ctx, &t, *error));
	if (result == EMU_OK)
		commit(ctx, &t);
	return result;
}

/* IRET with NT set: return to the task in the back link. */
enum emu_result emu_return_task(struct emu_ctx *ctx)
{
	enum emu_result result;
	u16 link;

	result = ctx->ops->read(ctx, (u32)emu_segment(ctx, EMU_TR)->base, &link, sizeof(link),
				EMU_READ | EMU_SYSTEM);
	return result == EMU_OK ? emu_change_task(ctx, EMU_TASK_IRET, link, NULL) : result;
}

enum emu_result emu_switch_task(struct emu_ctx *ctx, enum emu_task_source source, u16 sel,
				const struct emu_event *e)
{
	bool external = source == EMU_TASK_EVENT && !e->soft;
	enum emu_result result;

	ctx->insn.op = EMU_OP_UD;
	emu_begin(ctx, e->length);
	result = emu_change_task(ctx, source, sel, e->has_error ? &e->error_code : NULL);
	if (external && (result == EMU_FAULT || ctx->begins_with_fault))
		emu_mark_external(&ctx->fault);
	if (result == EMU_OK)
		emu_commit(ctx);
	return result;
}
