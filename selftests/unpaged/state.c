// SPDX-License-Identifier: GPL-2.0
/*
 * The state that a case of unpaged_diff starts from: registers, segments with
 * their hidden parts, control registers and tables, such that the processor
 * enters it without paging.
 */
#include "case.h"

#define CR0_AM		(1UL << 18)
#define CR4_VME		(1UL << 0)
#define CR4_PVI		(1UL << 1)
#define CR4_TSD		(1UL << 2)
#define CR4_DE		(1UL << 3)
#define FLAG_AC		(1UL << 18)
#define FLAG_IOPL	(3UL << 12)
#define FLAG_NT		(1UL << 14)
#define FLAG_VM		(1UL << 17)
#define FLAG_ID		(1UL << 21)
#define FLAGS_ARITH	0x8d5UL

const char * const kind_names[KINDS] = { "real", "big real", "protected", "vm86" };

/* --- random numbers ------------------------------------------------------ */

static u64 random_state;

void seed_random(u64 seed, u32 number)
{
	random_state = seed * 0x9e3779b97f4a7c15ULL + number;
}

u64 random64(void)
{
	u64 z = random_state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

u32 below(u32 n)
{
	return (random64() >> 32) % n;
}

/* --- segments ------------------------------------------------------------ */

static struct kvm_segment real_segment(u16 sel, u8 type)
{
	return (struct kvm_segment) {
		.selector = sel, .base = sel << 4, .limit = 0xffff, .type = type, .s = 1,
		.present = 1,
	};
}

static struct kvm_segment *data_segments(struct kvm_sregs *s, u32 i)
{
	struct kvm_segment *list[] = { &s->ss, &s->ds, &s->es, &s->fs, &s->gs };

	return list[i];
}

/* Such that @c->at is in it; where that is at all possible near its end, sometimes. */
static void real_code(struct unpaged_case *c)
{
	u32 ip = CODE_AT + below(CODE_END - CODE_AT - 0x100);

	c->at = ip & ~15u;
	if (!below(8)) {
		c->at = HANDLERS_AT + 0x2000 + 16 * below(0x400);
		ip = 0xfff0;
	} else if (below(2)) {
		ip &= 0xfff;
	}
	ip = (ip & ~15u) | below(16);
	c->at += ip & 15;
	c->regs.rip = ip;
	c->sregs.cs = real_segment((c->at - ip) >> 4, 3);
}

static void make_real(struct unpaged_case *c)
{
	u32 i;

	real_code(c);
	for (i = 0; i < 5; i++)
		*data_segments(&c->sregs, i) = real_segment(below(3) ? below(0x1000) : 0, 3);
	c->sregs.idt = (struct kvm_dtable) { IVT_AT, below(12) ? 0x3ff : below(0x200) };
}

/* A code segment stays large enough for the code. */
static void make_odd(struct kvm_segment *s, u64 at_least)
{
	static const u8 types[] = { 3, 3, 3, 1, 7, 5 };
	static const u32 limits[] = { 0xffffffff, 0xfffff, 0xfff, 0x7fff, 0xffff, 0xffffffff };
	u32 limit = PICK(limits);

	s->db = below(2);
	if (limit < at_least)
		return;
	s->limit = limit;
	s->g = limit > 0xfffff;
	if (at_least)
		return;
	if (!below(2))
		s->type = PICK(types);
	if (!below(3))
		s->base = below(2) ? below(RAM_SIZE) : (u32)-below(0x1000);
}

static void make_big_real(struct unpaged_case *c)
{
	u32 i;

	make_real(c);
	if (below(2))
		make_odd(&c->sregs.cs, c->regs.rip + MAX_CODE);
	for (i = 0; i < 5; i++) {
		if (below(2))
			make_odd(data_segments(&c->sregs, i), 0);
	}
	c->sregs.ss.type |= 2;
	if (!below(8)) {
		i = 1 + below(4);
		*data_segments(&c->sregs, i) = real_segment(0, 3);
		data_segments(&c->sregs, i)->unusable = 1;
	}
}

static void make_vm86(struct unpaged_case *c)
{
	u32 i;

	make_real(c);
	c->sregs.cs.dpl = 3;
	for (i = 0; i < 5; i++)
		data_segments(&c->sregs, i)->dpl = 3;
	c->regs.rflags |= FLAG_VM;
}

static void protected_code(struct unpaged_case *c, u32 cpl)
{
	static const u16 code[4][5] = {
		{ 0x08, 0x08, 0x18, 0x18, 0x48 }, { 0xb0, 0xb0, 0x48, 0xb0, 0xb0 },
		{ 0xc0, 0xc0, 0x48, 0xc0, 0xc0 }, { 0x28, 0x28, 0x38, 0x38, 0x48 },
	};
	struct kvm_segment *cs = &c->sregs.cs;

	*cs = segment_of(PICK(code[cpl]));
	cs->selector |= cpl;
	c->at = CODE_AT + below(CODE_END - CODE_AT - 0x100);
	if (!cs->db && !below(8))
		cs->base = 0x8000;
	/* At the end of the segment. */
	if (cs->base) {
		c->at = HANDLERS_AT - 1 - below(8);
		cs->limit = HANDLERS_AT - 1 - cs->base;
	}
	c->regs.rip = c->at - cs->base;
}

static void protected_stack(struct unpaged_case *c, u32 cpl)
{
	static const u16 stack[4][4] = {
		{ 0x10, 0x20, 0x10, 0x108 }, { 0xb8, 0xb8, 0xb8, 0xb8 },
		{ 0xc8, 0xc8, 0xc8, 0xc8 }, { 0x30, 0x40, 0x30, 0x40 },
	};
	struct kvm_segment *ss = &c->sregs.ss;

	*ss = segment_of(PICK(stack[cpl]));
	ss->selector |= cpl;
}

static bool is_data(const struct kvm_segment *s)
{
	return s->unusable || (s->s && s->present && (!(s->type & 8) || s->type & 2));
}

/* What a load of the selector would have let in, or nothing. */
static struct kvm_segment any_data(u32 cpl)
{
	u16 sel = below(2) ? 0x30 : random_selector() & ~4u;
	struct kvm_segment s = segment_of(sel);

	if (!is_data(&s) || (!s.unusable && (s.type & 12) != 12 && s.dpl < (cpl | (sel & 3))))
		s = segment_of(below(4) ? 0x33 : 0);
	if (!s.unusable)
		s.type |= 1;
	return s;
}

static void make_protected(struct unpaged_case *c)
{
	u32 cpl = below(3) ? 0 : below(4), i;

	protected_code(c, cpl);
	protected_stack(c, cpl);
	for (i = 1; i < 5; i++)
		*data_segments(&c->sregs, i) = any_data(cpl);
}

/* --- the rest of the state ----------------------------------------------- */

static u64 any_value(void)
{
	static const u64 special[] = {
		0, 1, 0x10, 0x11, 0x13, 0x1b, 0x80000011, 0x60000010, 0xffff, 0x10000, 0x7fffffff,
		0x80000000, 0xffffffff, 0xfffffffe, 0xffff0ff0, 0x400, 0x10010, PD_AT,
	};

	switch (below(5)) {
	case 0:
		return PICK(special);
	case 1:
		return below(256);
	case 2 ... 3:
		return random_word();
	default:
		return (u32)random64();
	}
}

/* Now and then the end of the segment is near. */
static u64 string_index(const struct kvm_segment *s)
{
	return below(6) ? any_value() : s->limit - below(12);
}

static void make_registers(struct unpaged_case *c)
{
	static const u8 counts[] = { 0, 1, 1, 2, 3, 4, 5, 7 };
	struct kvm_regs *r = &c->regs;

	r->rax = any_value();
	r->rbx = any_value();
	r->rdx = below(3) ? any_value() : below(0x100);
	r->rbp = any_value();
	r->rsi = string_index(&c->sregs.ds);
	r->rdi = string_index(&c->sregs.es);
	/* What is repeated often ends here and does not there. */
	r->rcx = PICK(counts);
	if (!below(4))
		r->rcx |= below(2) ? 0x10000 : (u32)random64() & 0xffff0000;
	else if (!below(6))
		r->rcx = any_value();
}

static u64 stack_mask(const struct kvm_sregs *s)
{
	return s->ss.db ? 0xffffffff : 0xffff;
}

static void make_stack_pointer(struct unpaged_case *c)
{
	static const u32 edges[] = {
		0, 1, 2, 3, 4, 6, 0xffff, 0xfffe, 0xfffd, 0xfffc, 0x10000, 0x22,
	};
	u64 sp = 0x7000 + 2 * below(0x4000);

	if (!below(6))
		sp = PICK(edges);
	else if (c->sregs.ss.base)
		sp = below(2) ? 0x100 + 2 * below(0x80) : sp;
	if (!c->sregs.ss.db && !below(4))
		sp |= (u32)random64() & 0xffff0000;
	c->regs.rsp = sp;
}

static void make_flags(struct unpaged_case *c)
{
	u64 f = 2 | (random64() & FLAGS_ARITH);

	if (!below(4))
		f |= random64() & (FLAG_DF | FLAG_ID);
	if (!below(2))
		f |= FLAG_IF;
	if (!below(6))
		f |= FLAG_TF;
	if (!below(16))
		f |= random64() & (FLAG_RF | FLAG_NT | FLAG_AC);
	if (c->kind == VM86 ? below(4) : !below(3))
		f |= below(4) ? FLAG_IOPL : random64() & FLAG_IOPL;
	c->regs.rflags |= f;
}

static void make_control(struct unpaged_case *c)
{
	struct kvm_sregs *s = &c->sregs;

	s->cr0 = CR0_ET | (c->kind >= PROTECTED ? CR0_PE : 0);
	if (!below(3))
		s->cr0 |= random64() & (CR0_MP | CR0_EM | CR0_TS | CR0_NE | CR0_WP | CR0_AM);
	s->cr3 = PD_AT;
	s->cr4 = below(4) ? CR4_PSE : 0;
	if (!below(6))
		s->cr4 |= random64() & (CR4_TSD | CR4_DE | CR4_OSFXSR | CR4_PAE);
	if (!below(24))
		s->cr4 |= random64() & (CR4_VME | CR4_PVI);
}

static void make_tables(struct unpaged_case *c)
{
	struct kvm_sregs *s = &c->sregs;

	s->gdt = (struct kvm_dtable) { .base = GDT_AT, .limit = below(12) ? 0x11f : below(0x120) };
	if (c->kind >= PROTECTED)
		s->idt = (struct kvm_dtable) { IDT_AT, below(12) ? 0x7ff : below(0x400) };
	s->tr = segment_of(below(6) ? 0x88 : 0xa8);
	s->ldt = segment_of(below(3) ? 0xa0 : 0);
}

/* What returns, pops and far jumps through the stack find there. */
static void make_stack(struct unpaged_case *c)
{
	struct patch *p = &c->stack;
	bool wide = c->sregs.cs.db ^ has_prefix(c->code, MAX_CODE, 0x66);
	u32 size = wide ? 4 : 2, i;
	u64 word[9];

	for (i = 0; i < 9; i++)
		word[i] = random_word() | (below(4) ? 0 : random64());
	word[0] = below(8) ? CODE_AT + below(CODE_END - CODE_AT) : word[0];
	if (c->kind == PROTECTED || !below(4)) {
		word[1] = below(2) ? (below(2) ? 0x08 : 0x18) | c->sregs.cs.dpl : random_selector();
		word[4] = random_selector();
	} else if (below(2)) {
		word[1] = 0;
	}
	word[2] = random64() & (below(2) ? FLAGS_ARITH : ~0ULL);
	p->at = (u32)(c->sregs.ss.base + (c->regs.rsp & stack_mask(&c->sregs)));
	p->len = p->at < RAM_SIZE - PATCH_MAX ? 9 * size : 0;
	for (i = 0; i < 9; i++)
		memcpy(p->byte + i * size, &word[i], size);
}

/* Now and then the way into an exception's handler fails. */
static void make_odd_gate(struct unpaged_case *c)
{
	static const u8 vectors[] = { 0, 1, 3, 4, 5, 6, 7, 10, 11, 12, 13 };
	u32 vector = PICK(vectors);
	u64 gate = odd_gate(vector);

	c->gate = (struct patch) { .at = IDT_AT + 8 * vector, .len = below(8) ? 0 : 8 };
	memcpy(c->gate.byte, &gate, sizeof(gate));
}

void make_case(struct unpaged_case *c, const struct kvm_sregs *reset, u64 seed, u32 number)
{
	static void (* const make[])(struct unpaged_case *c) = {
		[REAL] = make_real, [BIG_REAL] = make_big_real, [PROTECTED] = make_protected,
		[VM86] = make_vm86,
	};
	static const u8 kinds[] = {
		REAL, REAL, REAL, BIG_REAL, BIG_REAL, PROTECTED, PROTECTED, PROTECTED, VM86,
	};

	seed_random(seed, number);
	*c = (struct unpaged_case) { .number = number, .sregs = *reset };
	c->kind = PICK(kinds);
	make[c->kind](c);
	make_tables(c);
	make_registers(c);
	make_stack_pointer(c);
	make_flags(c);
	make_control(c);
	make_code(c);
	make_stack(c);
	make_odd_gate(c);
}
