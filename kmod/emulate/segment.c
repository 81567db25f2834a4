// SPDX-License-Identifier: GPL-2.0
/*
 * Segment registers: load them by selector, with all checks of the descriptor,
 * and the instructions that do only that or query descriptors. Far transfers are
 * in far.c.
 */
#include "exec.h"
#include "opcodes.h"

#define DESCRIPTOR_BYTES	8
#define WIDE_BYTES		16	/* LDT, TSS and gates in long mode */
#define TYPE_LDT		2
#define TYPE_TSS_BUSY		2	/* the busy bit */
#define DESC_ACCESSED		((u64)EMU_SEG_ACCESSED << 40)
#define DESC_BUSY		((u64)TYPE_TSS_BUSY << 40)

static bool is_null(u16 sel)
{
	return sel < 4;
}

/* Raise @vector with @sel as error code; EXT is clear. */
static enum emu_result bad(struct emu_ctx *ctx, u8 vector, u16 sel)
{
	return emu_raise(ctx, vector, sel & ~3u);
}

static bool is_code(const struct emu_seg *s)
{
	return s->s && (s->type & EMU_SEG_CODE);
}

static bool is_conforming(const struct emu_seg *s)
{
	return is_code(s) && (s->type & EMU_SEG_CONFORMING);
}

static void unpack(u64 d, u16 sel, struct emu_seg *s)
{
	*s = (struct emu_seg){
		.base = (d >> 16 & 0xffffff) | (d >> 32 & 0xff000000),
		.limit = (d & 0xffff) | (d >> 32 & 0xf0000),
		.sel = sel,
		.type = d >> 40 & 15,
		.s = d >> 44 & 1,
		.dpl = d >> 45 & 3,
		.p = d >> 47 & 1,
		.avl = d >> 52 & 1,
		.l = d >> 53 & 1,
		.db = d >> 54 & 1,
		.g = d >> 55 & 1,
	};
	if (s->g)
		s->limit = s->limit << 12 | 0xfff;
}

/* Find the address of the descriptor @sel, of @size bytes; false if it is outside its table. */
static bool find(struct emu_ctx *ctx, u16 sel, unsigned int size, u64 *linear)
{
	const struct emu_seg *ldt;
	struct emu_table table;
	u64 base;
	u32 limit;

	if (sel & 4) {
		ldt = emu_segment(ctx, EMU_LDTR);
		if (ldt->unusable)
			return false;
		base = ldt->base;
		limit = ldt->limit;
	} else {
		ctx->ops->system->get_table(ctx, false, &table);
		base = table.base;
		limit = table.limit;
	}
	*linear = base + (sel & ~7u);
	if (!emu_long_mode(ctx))
		*linear = (u32)*linear;
	return (sel & ~7u) + size - 1 <= limit;
}

enum emu_result emu_fetch_descriptor(struct emu_ctx *ctx, u16 sel, struct emu_load *load,
				     u8 vector)
{
	enum emu_result result;

	if (!ctx->ops->system)
		return EMU_UNHANDLED;
	if (!find(ctx, sel, DESCRIPTOR_BYTES, &load->linear))
		return bad(ctx, vector, sel);
	result = ctx->ops->read(ctx, load->linear, &load->old, DESCRIPTOR_BYTES,
				EMU_READ | EMU_SYSTEM);
	if (result == EMU_OK)
		unpack(load->old, sel, &load->seg);
	load->new = load->old;
	return result;
}

/*
 * Real and virtual-8086 mode: the base is the selector times 16. Real mode keeps
 * the rest of the hidden part, such as limit and D/B.
 */
static void load_by_address(struct emu_ctx *ctx, unsigned int index, u16 sel,
			    struct emu_load *load)
{
	load->seg = *emu_segment(ctx, index);
	load->seg.sel = sel;
	load->seg.base = (u32)sel << 4;
	if (ctx->mode == EMU_MODE_REAL && !load->seg.unusable)
		return;
	load->seg.limit = 0xffff;
	load->seg.type = EMU_SEG_RW | EMU_SEG_ACCESSED;
	load->seg.s = 1;
	load->seg.p = 1;
	load->seg.dpl = ctx->mode == EMU_MODE_VM86 ? 3 : 0;
	load->seg.db = 0;
	load->seg.g = 0;
	load->seg.unusable = 0;
}

/* A null selector makes a register unusable; SS accepts it only in 64-bit code below CPL 3. */
static enum emu_result load_null(struct emu_ctx *ctx, unsigned int index, u16 sel,
				 unsigned int cpl, struct emu_load *load)
{
	bool stack = index == EMU_SS;

	if (index == EMU_CS)
		return emu_raise(ctx, EMU_VECTOR_GP, 0);
	if (stack && (ctx->mode != EMU_MODE_LONG64 || cpl == 3 || (sel & 3) != cpl))
		return emu_raise(ctx, EMU_VECTOR_GP, 0);
	load->seg = (struct emu_seg){ .sel = sel, .unusable = 1, .dpl = stack ? cpl : 0 };
	return EMU_OK;
}

static bool stack_allowed(const struct emu_seg *s, u16 sel, unsigned int cpl)
{
	return s->s && (s->type & (EMU_SEG_CODE | EMU_SEG_RW)) == EMU_SEG_RW &&
	       (sel & 3) == cpl && s->dpl == cpl;
}

static bool data_allowed(const struct emu_seg *s, u16 sel, unsigned int cpl)
{
	if (!s->s || (s->type & (EMU_SEG_CODE | EMU_SEG_RW)) == EMU_SEG_CODE)
		return false;
	return is_conforming(s) || ((sel & 3u) <= s->dpl && cpl <= s->dpl);
}

/* Check a code segment for level @cpl; a jump or call passes the current CPL. */
static bool code_allowed(const struct emu_ctx *ctx, const struct emu_seg *s, u16 sel,
			 unsigned int cpl)
{
	if (emu_long_mode(ctx) && s->l && s->db)
		return false;
	if (is_conforming(s))
		return s->dpl <= cpl;
	return s->dpl == cpl && (sel & 3u) <= cpl;
}

#define GATES_LEGACY	0x1232	/* a bit for each type */
#define GATES_LONG	0x1000

/* True for a call gate, task gate or TSS in a far jump or call; far.c handles these. */
static bool is_gate(const struct emu_ctx *ctx, const struct emu_seg *s)
{
	u16 types = emu_long_mode(ctx) ? GATES_LONG : GATES_LEGACY;

	if (ctx->insn.op != EMU_OP_CALL_FAR && ctx->insn.op != EMU_OP_JMP_FAR)
		return false;
	return !s->s && (types >> s->type & 1);
}

static enum emu_result check(struct emu_ctx *ctx, unsigned int cpl, const struct emu_load *load)
{
	const struct emu_seg *s = &load->seg;
	bool allowed;

	if (load->index == EMU_CS && is_gate(ctx, s))
		return EMU_UNHANDLED;
	if (load->index == EMU_CS)
		allowed = is_code(s) && code_allowed(ctx, s, s->sel, cpl);
	else if (load->index == EMU_SS)
		allowed = stack_allowed(s, s->sel, cpl);
	else
		allowed = data_allowed(s, s->sel, cpl);
	if (!allowed)
		return bad(ctx, EMU_VECTOR_GP, s->sel);
	if (!s->p)
		return bad(ctx, load->index == EMU_SS ? EMU_VECTOR_SS : EMU_VECTOR_NP, s->sel);
	return EMU_OK;
}

enum emu_result emu_prepare_descriptor(struct emu_ctx *ctx, unsigned int index, u16 sel,
				       unsigned int cpl, struct emu_load *load)
{
	enum emu_result result;

	*load = (struct emu_load){ .index = index };
	if (is_null(sel))
		return load_null(ctx, index, sel, cpl, load);
	result = emu_fetch_descriptor(ctx, sel, load, EMU_VECTOR_GP);
	if (result == EMU_OK)
		result = check(ctx, cpl, load);
	if (result != EMU_OK)
		return result;
	load->seg.type |= EMU_SEG_ACCESSED;
	load->new |= DESC_ACCESSED;
	if (index == EMU_CS)
		load->seg.sel = (sel & ~3u) | cpl;
	return EMU_OK;
}

enum emu_result emu_code_level(struct emu_ctx *ctx, u16 sel, unsigned int *cpl)
{
	struct emu_load load = { .index = EMU_CS };
	enum emu_result result;

	if (is_null(sel))
		return emu_raise(ctx, EMU_VECTOR_GP, 0);
	result = emu_fetch_descriptor(ctx, sel, &load, EMU_VECTOR_GP);
	*cpl = ctx->cpl;
	if (result == EMU_OK && !is_conforming(&load.seg) && load.seg.dpl < ctx->cpl)
		*cpl = load.seg.dpl;
	return result;
}

enum emu_result emu_prepare_seg(struct emu_ctx *ctx, unsigned int index, u16 sel,
				unsigned int cpl, struct emu_load *load)
{
	if (!emu_no_descriptors(ctx))
		return emu_prepare_descriptor(ctx, index, sel, cpl, load);
	*load = (struct emu_load){ .index = index };
	load_by_address(ctx, index, sel, load);
	return EMU_OK;
}

enum emu_result emu_mark_seg(struct emu_ctx *ctx, const struct emu_load *load)
{
	if (load->old == load->new)
		return EMU_OK;
	return ctx->ops->exchange(ctx, load->linear, &load->old, &load->new, DESCRIPTOR_BYTES,
				  EMU_WRITE | EMU_LOCKED | EMU_SYSTEM);
}

void emu_set_seg(struct emu_ctx *ctx, unsigned int index, const struct emu_seg *seg)
{
	ctx->seg[index] = *seg;
	ctx->seg_valid |= 1u << index;
	ctx->seg_dirty |= 1u << index;
}

void emu_commit_seg(struct emu_ctx *ctx, const struct emu_load *load)
{
	emu_set_seg(ctx, load->index, &load->seg);
}

void emu_vm86_seg(struct emu_ctx *ctx, unsigned int index, u16 sel)
{
	struct emu_seg s = {
		.base = (u32)sel << 4, .limit = 0xffff, .sel = sel,
		.type = EMU_SEG_RW | EMU_SEG_ACCESSED, .s = 1, .dpl = 3, .p = 1,
	};

	emu_set_seg(ctx, index, &s);
}

void emu_drop_inner_segs(struct emu_ctx *ctx, unsigned int cpl)
{
	static const u8 data[] = { EMU_ES, EMU_DS, EMU_FS, EMU_GS };
	static const struct emu_seg null = { .unusable = 1 };
	unsigned int i;

	for (i = 0; i < sizeof(data); i++) {
		const struct emu_seg *s = emu_segment(ctx, data[i]);

		if (!s->unusable && !is_conforming(s) && s->dpl < cpl)
			emu_set_seg(ctx, data[i], &null);
	}
}

/* --- instructions ------------------------------------------------------- */

/* Mark and commit, for an instruction that loads one register. */
static enum emu_result finish(struct emu_ctx *ctx, const struct emu_load *load)
{
	enum emu_result result = emu_mark_seg(ctx, load);

	if (result == EMU_OK)
		emu_commit_seg(ctx, load);
	return result;
}

static enum emu_result load_one(struct emu_ctx *ctx, unsigned int index, u16 sel)
{
	struct emu_load load;
	enum emu_result result = emu_prepare_seg(ctx, index, sel, ctx->cpl, &load);

	return result == EMU_OK ? finish(ctx, &load) : result;
}

/* A load of SS blocks events until after the next instruction, which loads the stack pointer. */
static void shadow_stack_load(struct emu_ctx *ctx, unsigned int index)
{
	if (index == EMU_SS)
		ctx->shadow = EMU_SHADOW_MOV_SS;
}

enum emu_result emu_run_mov_sreg(struct emu_ctx *ctx)
{
	const struct emu_operand *o = ctx->insn.operand;
	enum emu_result result;
	u64 sel;

	if (o[0].reg == EMU_CS)
		return emu_raise(ctx, EMU_VECTOR_UD, 0);
	result = emu_read_operand(ctx, &o[1], &sel);
	if (result == EMU_OK)
		result = load_one(ctx, o[0].reg, sel);
	if (result == EMU_OK)
		shadow_stack_load(ctx, o[0].reg);
	return result;
}

/* POP reads only the two bytes of the selector, whatever the operand size. */
enum emu_result emu_run_pop_sreg(struct emu_ctx *ctx)
{
	unsigned int index = ctx->insn.opcode >> 3 & 7;
	unsigned int stack = emu_stack_size(ctx);
	enum emu_result result;
	u64 sel;

	result = emu_pop(ctx, 0, &sel, 2);
	if (result == EMU_OK)
		result = load_one(ctx, index, sel);
	if (result != EMU_OK)
		return result;
	/* POP SS moves the stack pointer by the old stack size. */
	emu_set_reg(ctx, EMU_RSP, stack, ctx->gpr[EMU_RSP] + ctx->insn.op_size);
	shadow_stack_load(ctx, index);
	return EMU_OK;
}

/* LES is C4, LDS is C5; the opcodes of LSS, LFS and LGS end in the segment number. */
static unsigned int far_register(const struct emu_ctx *ctx)
{
	switch (ctx->insn.opcode) {
	case 0xc4:
		return EMU_ES;
	case 0xc5:
		return EMU_DS;
	default:
		return ctx->insn.opcode & 7;
	}
}

enum emu_result emu_run_load_far(struct emu_ctx *ctx)
{
	enum emu_result result;
	u64 offset;
	u16 sel;

	result = emu_read_far(ctx, &sel, &offset);
	if (result == EMU_OK)
		result = load_one(ctx, far_register(ctx), sel);
	if (result != EMU_OK)
		return result;
	return emu_write_operand(ctx, &ctx->insn.operand[0], offset);
}

/* In long mode, read the upper half of the base of a system descriptor. */
static enum emu_result fetch_upper(struct emu_ctx *ctx, u16 sel, struct emu_load *load)
{
	enum emu_result result;
	u64 upper, linear;

	if (!emu_long_mode(ctx))
		return EMU_OK;
	if (!find(ctx, sel, WIDE_BYTES, &linear))
		return bad(ctx, EMU_VECTOR_GP, sel);
	result = ctx->ops->read(ctx, linear + DESCRIPTOR_BYTES, &upper, DESCRIPTOR_BYTES,
				EMU_READ | EMU_SYSTEM);
	if (result != EMU_OK)
		return result;
	load->seg.base |= upper << 32;
	return emu_is_canonical(ctx, load->seg.base) ? EMU_OK : bad(ctx, EMU_VECTOR_GP, sel);
}

/* Prepare a system descriptor whose type has its bit in @types. Only the GDT holds these. */
static enum emu_result prepare_system(struct emu_ctx *ctx, u16 sel, u16 types,
				      struct emu_load *load)
{
	enum emu_result result;

	if (sel & 4)
		return bad(ctx, EMU_VECTOR_GP, sel);
	result = emu_fetch_descriptor(ctx, sel, load, EMU_VECTOR_GP);
	if (result != EMU_OK)
		return result;
	if (load->seg.s || !(types >> load->seg.type & 1))
		return bad(ctx, EMU_VECTOR_GP, sel);
	if (!load->seg.p)
		return bad(ctx, EMU_VECTOR_NP, sel);
	return fetch_upper(ctx, sel, load);
}

enum emu_result emu_run_lldt(struct emu_ctx *ctx)
{
	struct emu_load load = { .index = EMU_LDTR };
	enum emu_result result;
	u64 sel;

	result = emu_read_operand(ctx, &ctx->insn.operand[0], &sel);
	if (result != EMU_OK)
		return result;
	if (is_null(sel)) {
		load.seg = (struct emu_seg){ .sel = sel, .unusable = 1 };
		return finish(ctx, &load);
	}
	result = prepare_system(ctx, sel, 1u << TYPE_LDT, &load);
	return result == EMU_OK ? finish(ctx, &load) : result;
}

enum emu_result emu_run_ltr(struct emu_ctx *ctx)
{
	u16 available = emu_long_mode(ctx) ? 1u << 9 : 1u << 1 | 1u << 9;
	struct emu_load load = { .index = EMU_TR };
	enum emu_result result;
	u64 sel;

	result = emu_read_operand(ctx, &ctx->insn.operand[0], &sel);
	if (result != EMU_OK)
		return result;
	if (is_null(sel))
		return emu_raise(ctx, EMU_VECTOR_GP, 0);
	result = prepare_system(ctx, sel, available, &load);
	if (result != EMU_OK)
		return result;
	load.seg.type |= TYPE_TSS_BUSY;
	load.new |= DESC_BUSY;
	return finish(ctx, &load);
}

/* SLDT and STR. */
enum emu_result emu_run_sldt(struct emu_ctx *ctx)
{
	unsigned int index = ctx->insn.modrm & 8 ? EMU_TR : EMU_LDTR;

	return emu_write_operand(ctx, &ctx->insn.operand[0], emu_segment(ctx, index)->sel);
}

/*
 * Read the descriptor @sel for VERR, VERW, LAR or LSL: *@found is false if there
 * is none, or CPL or RPL must not see it.
 */
static enum emu_result ask(struct emu_ctx *ctx, u16 sel, struct emu_load *load, bool *found)
{
	enum emu_result result;
	u64 linear;

	*found = false;
	if (!ctx->ops->system)
		return EMU_UNHANDLED;
	if (is_null(sel) || !find(ctx, sel, DESCRIPTOR_BYTES, &linear))
		return EMU_OK;
	result = emu_fetch_descriptor(ctx, sel, load, EMU_VECTOR_GP);
	if (result != EMU_OK)
		return result;
	*found = is_conforming(&load->seg) ||
		 (ctx->cpl <= load->seg.dpl && (sel & 3u) <= load->seg.dpl);
	return EMU_OK;
}

static void set_zf(struct emu_ctx *ctx, bool on)
{
	ctx->next_rflags &= ~(u64)EMU_FLAG_ZF;
	if (on)
		ctx->next_rflags |= EMU_FLAG_ZF;
}

/* VERR and VERW. */
enum emu_result emu_run_verr(struct emu_ctx *ctx)
{
	bool write = ctx->insn.modrm & 8;
	struct emu_load load = { .index = EMU_DS };
	enum emu_result result;
	bool found;
	u64 sel;

	result = emu_read_operand(ctx, &ctx->insn.operand[0], &sel);
	if (result == EMU_OK)
		result = ask(ctx, sel, &load, &found);
	if (result != EMU_OK)
		return result;
	if (write)
		found &= (load.seg.type & (EMU_SEG_CODE | EMU_SEG_RW)) == EMU_SEG_RW;
	else
		found &= (load.seg.type & (EMU_SEG_CODE | EMU_SEG_RW)) != EMU_SEG_CODE;
	set_zf(ctx, found && load.seg.s);
	return EMU_OK;
}

/* System descriptor types that LAR and LSL accept, a bit for each. */
#define LAR_LEGACY	0x1a3e	/* without the interrupt and trap gates */
#define LAR_LONG	0x1a04
#define LSL_LEGACY	0x0a0e
#define LSL_LONG	0x0a04

static enum emu_result query(struct emu_ctx *ctx, u16 legacy, u16 wide, struct emu_load *load,
			     bool *found)
{
	u16 types = emu_long_mode(ctx) ? wide : legacy;
	enum emu_result result;
	u64 sel;

	result = emu_read_operand(ctx, &ctx->insn.operand[1], &sel);
	if (result == EMU_OK)
		result = ask(ctx, sel, load, found);
	if (result == EMU_OK && !load->seg.s)
		*found &= types >> load->seg.type & 1;
	return result;
}

enum emu_result emu_run_lar(struct emu_ctx *ctx)
{
	struct emu_load load = { .index = EMU_DS };
	enum emu_result result;
	bool found;

	result = query(ctx, LAR_LEGACY, LAR_LONG, &load, &found);
	if (result != EMU_OK)
		return result;
	set_zf(ctx, found);
	if (found)
		emu_write_operand(ctx, &ctx->insn.operand[0], load.old >> 32 & 0xffff00);
	return EMU_OK;
}

enum emu_result emu_run_lsl(struct emu_ctx *ctx)
{
	struct emu_load load = { .index = EMU_DS };
	enum emu_result result;
	bool found;

	result = query(ctx, LSL_LEGACY, LSL_LONG, &load, &found);
	if (result != EMU_OK)
		return result;
	set_zf(ctx, found);
	if (found)
		emu_write_operand(ctx, &ctx->insn.operand[0], load.seg.limit);
	return EMU_OK;
}

/* ARPL: raise the RPL of the destination to that of the source; write only if it changes. */
enum emu_result emu_run_arpl(struct emu_ctx *ctx)
{
	const struct emu_operand *o = ctx->insn.operand;
	enum emu_result result;
	u64 dst, src;
	bool raise;

	emu_read_operand(ctx, &o[1], &src);
	result = emu_read_for_update(ctx, &o[0], false, &dst);
	if (result != EMU_OK)
		return result;
	raise = (dst & 3) < (src & 3);
	if (raise)
		result = emu_write_operand(ctx, &o[0], (dst & ~(u64)3) | (src & 3));
	if (result == EMU_OK)
		set_zf(ctx, raise);
	return result;
}
