// SPDX-License-Identifier: GPL-2.0
/*
 * Random instructions with random operands, for the emulator and the processor
 * alike: make segments, registers and code, mostly aimed at existing memory, and
 * put them where both find them. emulate_diff.c runs and compares.
 */
#include <string.h>
#include "emulate/exec.h"
#include "emulate/opcodes.h"
#include "emulate_code.h"
#include "emulate_native.h"
#include "emulate_trial.h"

#define BREAKPOINT	0xcc
#define MAX_CODE	(EMU_INSN_MAX + NATIVE_TAIL)

/* Address of the processor's tables, which no other access can reach. */
#define GDT_BASE	0xffffff0000000000ull
#define LDT_BASE	(GDT_BASE + 8 * NATIVE_GDT_ENTRIES)

static u64 tables[NATIVE_GDT_ENTRIES + NATIVE_DESCRIPTORS];
struct bench bench;
struct host host;

/* An address in the arena, often near the border of a page. */
static u64 arena_address(void)
{
	static const u8 pages[] = {
		NATIVE_DATA, NATIVE_DATA, NATIVE_DATA_2, NATIVE_DATA_2, NATIVE_STACK,
		NATIVE_STACK, NATIVE_READ_ONLY, NATIVE_CODE, NATIVE_ABSENT_1, NATIVE_ABSENT_2,
	};
	u64 page = NATIVE_ORIGIN + pages[below(10)] * NATIVE_PAGE;

	if (!below(4))
		return page + NATIVE_PAGE - below(40);
	return page + below(NATIVE_PAGE);
}

static u64 random_value(void)
{
	static const u64 special[] = {
		0, 1, 0x1f, 0x20, 0x3f, 0x40, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff,
		0x80000000, 0xffffffff, 0x7fffffffffffffff, 0x8000000000000000, 0xffffffffffffffff,
		0x800000000000, 0xffff7fffffffffff,
	};

	switch (below(4)) {
	case 0:
		return special[below(20)];
	case 1:
		return arena_address();
	case 2:
		return below(256);
	default:
		return random64();
	}
}

/* A selector, mostly of an existing descriptor. */
static u16 random_selector(void)
{
	switch (below(8)) {
	case 0:
		return random64() >> 40;
	case 1:
		return below(4);
	case 2 ... 3:
		return below(7) << 3 | (below(4) ? 3 : below(4));
	default:
		return below(NATIVE_DESCRIPTORS + 1) << 3 | 4 | (below(8) ? 3 : below(4));
	}
}

static void make_code(struct trial *t)
{
	random_code(t->code, t->mode);
	t->offset = below(16) ? 64 * (1 + below(48)) : NATIVE_PAGE - 1 - below(24);
}

static struct emu_seg flat_segment(enum emu_mode mode, unsigned int index)
{
	struct emu_seg s = {
		.limit = 0xffffffff, .type = 3, .s = 1, .dpl = 3, .p = 1, .g = 1, .db = 1,
		.sel = NATIVE_USER_DS,
	};

	if (index == EMU_CS) {
		s.type = 11;
		s.sel = mode == EMU_MODE_LONG64 ? NATIVE_USER_CS : NATIVE_USER32_CS;
		s.l = mode == EMU_MODE_LONG64;
		s.db = !s.l;
	} else if (index >= EMU_FS) {
		s.sel = 0;
		s.unusable = 1;
		s.base = index == EMU_FS ? native_fs_base() : native_gs_base();
	}
	return s;
}

static struct emu_seg local_segment(unsigned int number)
{
	const struct native_descriptor *d = &native_segments[number];

	return (struct emu_seg){
		.base = NATIVE_ORIGIN, .limit = d->limit, .type = d->type, .s = 1, .dpl = 3,
		.p = 1, .db = d->db, .sel = d->sel,
	};
}

/* Mostly a good segment, so that most instructions succeed. */
static unsigned int any_data_segment(unsigned int end)
{
	unsigned int number = NATIVE_DATA_16 + below(below(4) ? 2 : end - NATIVE_DATA_16);

	return native_segments[number].refused ? NATIVE_DATA_32 : number;
}

static unsigned int any_code_segment(void)
{
	unsigned int number = below(3) ? NATIVE_CODE_16 : below(NATIVE_CODE_SEGMENTS);

	return native_segments[number].refused ? NATIVE_CODE_32 : number;
}

/* Half 64-bit code, a quarter in flat and a quarter in odd segments, as far as these work. */
static unsigned int any_kind(void)
{
	unsigned int kind = below(4);

	return (kind == 2 && !host.flat32) || (kind == 3 && !host.local) ? 0 : kind;
}

static void make_segments(struct trial *t)
{
	unsigned int kind = any_kind(), i;
	struct emu_seg *cs = &t->seg[EMU_CS];

	t->mode = kind < 2 ? EMU_MODE_LONG64 : EMU_MODE_PROT32;
	for (i = 0; i < EMU_LDTR; i++)
		t->seg[i] = flat_segment(t->mode, i);
	t->seg[EMU_LDTR] = (struct emu_seg){
		.base = LDT_BASE, .limit = 8 * NATIVE_DESCRIPTORS - 1, .type = 2, .p = 1,
		.unusable = !host.local,
	};
	/* No I/O map: user code may use no port. */
	t->seg[EMU_TR] = (struct emu_seg){ .limit = 60, .type = 11, .p = 1 };
	if (kind < 3)
		return;
	*cs = local_segment(any_code_segment());
	t->seg[EMU_SS] = local_segment(any_data_segment(NATIVE_STACK_SEGMENTS));
	t->seg[EMU_DS] = local_segment(any_data_segment(NATIVE_SEGMENTS));
	t->seg[EMU_ES] = local_segment(any_data_segment(NATIVE_SEGMENTS));
	t->mode = cs->db ? EMU_MODE_PROT32 : EMU_MODE_PROT16;
}

u64 segment_base(const struct trial *t, unsigned int index)
{
	if (t->mode == EMU_MODE_LONG64)
		return index == EMU_FS || index == EMU_GS ? t->seg[index].base : 0;
	return t->seg[index].unusable ? 0 : t->seg[index].base;
}

static void make_registers(struct trial *t)
{
	unsigned int i;

	for (i = 0; i < EMU_GPR_COUNT; i++)
		t->gpr[i] = random_value();
	if (below(8))
		t->gpr[EMU_RSP] = arena_address() - segment_base(t, EMU_SS);
	if (below(8))
		t->gpr[EMU_RSI] = arena_address() - segment_base(t, EMU_DS);
	if (below(8))
		t->gpr[EMU_RDI] = arena_address() - segment_base(t, EMU_ES);
	if (below(4))
		t->gpr[EMU_RCX] = below(20);
	for (i = 0; t->mode != EMU_MODE_LONG64 && i < EMU_GPR_COUNT; i++)
		t->gpr[i] = i < EMU_R8 ? (u32)t->gpr[i] : 0;
	t->rflags = (random64() & (BENCH_FLAGS_ARITH | BENCH_FLAG_DF)) | BENCH_FLAG_IF | 2;
	if (!below(16))
		t->rflags |= FLAG_AC;
}

u64 start_rip(const struct trial *t)
{
	return NATIVE_ORIGIN + t->offset - segment_base(t, EMU_CS);
}

void setup_context(const struct trial *t)
{
	struct emu_ctx *ctx = &bench.ctx;

	ctx->mode = t->mode;
	memcpy(ctx->seg, t->seg, sizeof(ctx->seg));
	ctx->seg_dirty = 0;
	memcpy(ctx->gpr, t->gpr, sizeof(t->gpr));
	ctx->rflags = t->rflags;
	ctx->rip = start_rip(t);
	ctx->insn.fetched = 0;
	bench_clear_counters(&bench);
}

static const u8 *way_back(const struct trial *t)
{
	if (t->mode == EMU_MODE_LONG64)
		return native_tail64;
	return t->mode == EMU_MODE_PROT32 ? native_tail32 : native_tail16;
}

/* Bytes of the code page that the trial can use. */
static unsigned int code_room(const struct trial *t)
{
	unsigned int room = NATIVE_PAGE - t->offset;

	return room < MAX_CODE ? room : MAX_CODE;
}

bool is_at_page_end(const struct trial *t)
{
	return code_room(t) != MAX_CODE;
}

void place_code(const struct trial *t, unsigned int length)
{
	unsigned int room = code_room(t);

	memset(bench.memory + t->offset, BREAKPOINT, room);
	memcpy(bench.memory + t->offset, t->code, length < room ? length : room);
}

void place_native_code(const struct trial *t, unsigned int length)
{
	unsigned int room = code_room(t);

	place_code(t, length);
	if (length + NATIVE_TAIL <= room)
		memcpy(bench.memory + t->offset + length, way_back(t), NATIVE_TAIL);
	memcpy(native_memory() + t->offset, bench.memory + t->offset, room);
}

void remove_code(const struct trial *t)
{
	memset(bench.memory + t->offset, BREAKPOINT, code_room(t));
	memset(native_memory() + t->offset, BREAKPOINT, code_room(t));
}

/* Change an absolute or RIP-relative displacement so that it points into the arena. */
static void redirect(struct trial *t, const struct emu_insn *insn, u64 new)
{
	unsigned int size = insn->addr_size;
	u8 before = insn->has_modrm ? insn->modrm : insn->opcode;
	unsigned int i;

	if (insn->has_modrm && size == 8)
		size = 4;
	for (i = 1; i + size <= insn->length; i++) {
		bool sib = insn->has_modrm && i > 1 && t->code[i - 2] == before;

		if ((t->code[i - 1] == before || sib) && !memcmp(t->code + i, &insn->disp, size)) {
			memcpy(t->code + i, &new, size);
			return;
		}
	}
}

static u64 operand_target(const struct emu_insn *insn)
{
	u64 target = arena_address();

	/* The kernel may intervene if a locked operand crosses a cache line. */
	if (insn->lock || insn->op == EMU_OP_XCHG)
		target &= ~15ull;
	if (insn->op == EMU_OP_FXRSTOR)
		return target & ~15ull;
	return insn->flags & ROW_ALIGNED && below(4) ? target & ~31ull : target;
}

/* Move the memory operand into the arena. */
static void aim(struct trial *t, const struct emu_insn *insn)
{
	u64 target = operand_target(insn) - segment_base(t, insn->seg);

	if (insn->base != EMU_NO_REG && insn->base != insn->index) {
		if (insn->index != EMU_NO_REG)
			target -= t->gpr[insn->index] << insn->scale;
		t->gpr[insn->base] = target - insn->disp;
		if (t->mode != EMU_MODE_LONG64)
			t->gpr[insn->base] = (u32)t->gpr[insn->base];
	} else if (insn->rip_relative) {
		redirect(t, insn, target - NATIVE_ORIGIN - t->offset - insn->length);
	} else if (insn->base == EMU_NO_REG && insn->index == EMU_NO_REG) {
		redirect(t, insn, target);
	}
}

u64 stack_linear(const struct trial *t)
{
	u64 sp = t->gpr[EMU_RSP];

	if (t->mode != EMU_MODE_LONG64 && !t->seg[EMU_SS].db)
		sp &= 0xffff;
	return sp + segment_base(t, EMU_SS);
}

/* Store a value in both memories, if the address is writable at all. */
static void poke(u64 linear, u64 val, unsigned int size)
{
	u64 offset = linear - NATIVE_ORIGIN;
	unsigned int page = offset / NATIVE_PAGE;

	if (offset > NATIVE_SIZE - size || page == NATIVE_CODE)
		return;
	memcpy(bench.memory + offset, &val, size);
	memcpy(native_memory() + offset, &val, size);
}

u64 operand_linear(const struct trial *t, const struct emu_insn *insn)
{
	memcpy(bench.ctx.gpr, t->gpr, sizeof(t->gpr));
	/* POP has changed it. */
	bench.ctx.displaced = 0;
	return emu_effective_address(&bench.ctx) + segment_base(t, insn->seg);
}

static bool is_writable_at(u64 linear)
{
	u64 page = (linear - NATIVE_ORIGIN) / NATIVE_PAGE;

	return page < NATIVE_PAGES && bench.rights[page] == BENCH_WRITABLE;
}

static bool segment_is_writable(const struct emu_seg *s, u64 ea, unsigned int size)
{
	return !s->unusable && (s->type & (EMU_SEG_CODE | EMU_SEG_RW)) == EMU_SEG_RW &&
	       emu_in_limit(s, ea, size);
}

bool is_writable(const struct trial *t, const struct emu_insn *insn)
{
	u64 linear = operand_linear(t, insn), size = insn->operand[0].size;
	u64 ea = linear - segment_base(t, insn->seg);

	if (t->mode != EMU_MODE_LONG64 && !segment_is_writable(&t->seg[insn->seg], ea, size))
		return false;
	return is_writable_at(linear) && is_writable_at(linear + size - 1);
}

/* A code address relative to the segment @sel. */
static u64 code_target(u16 sel)
{
	return arena_address() - (sel & 4 ? NATIVE_ORIGIN : 0);
}

/* Prepare the stack of a far return: IP, CS, flags, and in 64-bit code SP and SS. */
static void aim_return(struct trial *t, const struct emu_insn *insn)
{
	unsigned int size = insn->op_size;
	u64 at = stack_linear(t);
	u16 cs = random_selector();

	if (below(4))
		cs = t->seg[EMU_CS].sel;
	poke(at, code_target(cs), size);
	poke(at + size, cs, size);
	if (insn->op != EMU_OP_IRET)
		return;
	poke(at + 2 * size, random64() & ~(u64)BENCH_FLAG_TF, size);
	poke(at + 3 * size, random_value(), size);
	poke(at + 4 * size, below(4) ? NATIVE_USER_DS : random_selector(), size);
}

/* Give an instruction that takes a selector an existing one. */
static void aim_selector(struct trial *t, const struct emu_insn *insn)
{
	const struct emu_operand *o = &insn->operand[insn->operand[1].kind ? 1 : 0];
	u16 sel = random_selector();

	switch (insn->op) {
	case EMU_OP_MOV_SREG:
	case EMU_OP_ARPL:
	case EMU_OP_VERR ... EMU_OP_LSL:
		if (o->kind == EMU_OPERAND_REG)
			t->gpr[o->reg] = (t->gpr[o->reg] & ~0xffffull) | sel;
		else
			poke(operand_linear(t, insn), sel, 2);
		break;
	case EMU_OP_LOAD_FAR:
		poke(operand_linear(t, insn) + insn->op_size, sel, 2);
		break;
	case EMU_OP_CALL_FAR:
	case EMU_OP_JMP_FAR:
		if (insn->operand[0].kind == EMU_OPERAND_MEM) {
			poke(operand_linear(t, insn), code_target(sel), insn->op_size);
			poke(operand_linear(t, insn) + insn->op_size, sel, 2);
		} else {
			u64 target = code_target(sel);

			memcpy(t->code + insn->length - 2, &sel, 2);
			memcpy(t->code + insn->length - 2 - insn->op_size, &target, insn->op_size);
		}
		break;
	case EMU_OP_POP_SREG:
		poke(stack_linear(t), sel, 2);
		break;
	case EMU_OP_RET_FAR:
	case EMU_OP_IRET:
		aim_return(t, insn);
		break;
	}
}

/* Processors differ in which of two bad operands they report: make one good, or both. */
static void aim_second(struct trial *t, const struct emu_insn *insn)
{
	u64 good = NATIVE_ORIGIN + NATIVE_DATA_2 * NATIVE_PAGE + 1024;
	u64 next = NATIVE_ORIGIN + t->offset + insn->length;
	bool source = below(2);
	u32 distance;

	if (insn->op == EMU_OP_CMPS && source)
		t->gpr[EMU_RSI] = good - segment_base(t, EMU_DS);
	else if (insn->op == EMU_OP_CMPS)
		t->gpr[EMU_RDI] = good - segment_base(t, EMU_ES);
	if (insn->op == EMU_OP_CALL || insn->op == EMU_OP_CALL_IND || insn->op == EMU_OP_CALL_FAR)
		t->gpr[EMU_RSP] = good - segment_base(t, EMU_SS);
	if (insn->op == EMU_OP_CALL && insn->op_size != 2 && below(4)) {
		distance = arena_address() - next;
		memcpy(t->code + insn->length - 4, &distance, 4);
	}
}

bool has_memory(const struct emu_insn *insn)
{
	return insn->operand[0].kind == EMU_OPERAND_MEM ||
	       insn->operand[1].kind == EMU_OPERAND_MEM;
}

void aim_trial(struct trial *t)
{
	const struct emu_insn *insn = &bench.ctx.insn;

	if ((has_memory(insn) || insn->op == EMU_OP_FXRSTOR) && below(32))
		aim(t, insn);
	/* Only a few fields of the image can be invalid. */
	if (insn->op == EMU_OP_FXRSTOR)
		poke(operand_linear(t, insn) + 24, random64() & 0xffbf, 4);
	aim_second(t, insn);
	aim_selector(t, insn);
}

void make_trial(struct trial *t)
{
	make_segments(t);
	make_code(t);
	make_registers(t);
}

void refill(void)
{
	unsigned int i;

	memset(bench.memory, BREAKPOINT, NATIVE_PAGE);
	for (i = NATIVE_PAGE; i < NATIVE_SIZE; i += 8) {
		u64 val = random_value();

		memcpy(bench.memory + i, &val, 8);
	}
	memcpy(native_memory(), bench.memory, NATIVE_SIZE);
	for (i = 0; i < sizeof(bench.xmm); i++)
		((u8 *)bench.xmm)[i] = random64() >> 24;
	for (i = 0; i < 8; i++)
		bench.mask[i] = random_mask();
	random_x87(&bench.fx);
	bench_settle_x87(&bench);
}

static void setup_tables(void)
{
	unsigned int i;

	memcpy(tables, native_gdt, sizeof(native_gdt));
	for (i = 0; i < NATIVE_DESCRIPTORS; i++)
		tables[NATIVE_GDT_ENTRIES + i] = native_ldt_entry(i);
	bench.table.base = GDT_BASE;
	bench.table.size = sizeof(tables);
	bench.table.data = (u8 *)tables;
	bench.gdt = (struct emu_table){ .base = GDT_BASE, .limit = sizeof(native_gdt) - 1 };
}

void setup_bench(void)
{
	static const u8 rights[NATIVE_PAGES] = {
		[NATIVE_CODE] = BENCH_READ_ONLY, [NATIVE_DATA] = BENCH_WRITABLE,
		[NATIVE_DATA_2] = BENCH_WRITABLE, [NATIVE_READ_ONLY] = BENCH_READ_ONLY,
		[NATIVE_STACK] = BENCH_WRITABLE,
	};

	bench_reset(&bench, EMU_MODE_LONG64, NATIVE_ORIGIN, NATIVE_ORIGIN);
	memset(bench.rights, BENCH_ABSENT, sizeof(bench.rights));
	memcpy(bench.rights, rights, sizeof(rights));
	bench.user = true;
	bench.ctx.cpl = 3;
	bench.ctx.cr0 |= 1 << 18;
	bench.ctx.xcr0 = native_xcr0();
	setup_tables();
}
