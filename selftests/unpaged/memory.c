// SPDX-License-Identifier: GPL-2.0
/*
 * The memory that the cases of unpaged_diff start from: HLT where code is, one
 * handler for each vector, which is HLT as well, descriptor tables with
 * segments and gates of all kinds, tasks, and words that look like addresses.
 */
#include "case.h"

#define ARRAY_LEN(list) (sizeof(list) / sizeof(*(list)))

/* --- descriptors -------------------------------------------------------- */

#define P	0x80
#define S	0x10
#define DPL(n)	((n) << 5)
#define CODE	(P | S | 0xb)		/* readable, accessed */
#define DATA	(P | S | 3)

struct descriptor {
	u32 base, limit;
	u8 access, flags;		/* flags: G 8, D 4, AVL 1 */
};

#define FLAT(access)	{ 0, 0xfffff, access, 0xc }
#define SMALL(access)	{ 0, 0xffff, access, 0 }
/* The offset in the base, the selector in the limit. */
#define GATE(access, sel, offset) { offset, sel, access, 0 }

static const struct descriptor gdt[] = {
	{ 0 },
	FLAT(CODE), FLAT(DATA), SMALL(CODE), SMALL(DATA),		/* 08 - 20 */
	FLAT(CODE | DPL(3)), FLAT(DATA | DPL(3)), SMALL(CODE | DPL(3)), SMALL(DATA | DPL(3)),
	FLAT(CODE | 4), FLAT(CODE & ~2), FLAT(DATA & ~2),		/* 48 - 58 */
	{ 0, 0xfff, DATA | 4, 4 },					/* 60: expands down */
	FLAT(DATA & ~P), FLAT(CODE & ~P),				/* 68, 70 */
	{ 0x6000, 0xfff, DATA, 4 }, { 0x8000, 0x7ff, CODE, 4 },		/* 78, 80 */
	{ TSS_AT, 0x87, P | 11, 0 }, { TSS_OTHER_AT, 0x67, P | 9, 0 },	/* 88, 90 */
	{ TSS_16_AT, 0x2b, P | 1, 0 }, { LDT_AT, 0x7f, P | 2, 0 },	/* 98, a0 */
	{ TSS_16_RUNS_AT, 0x2b, P | 3, 0 },				/* a8 */
	FLAT(CODE | DPL(1)), FLAT(DATA | DPL(1)), FLAT(CODE | DPL(2)), FLAT(DATA | DPL(2)),
	FLAT(CODE & ~1), FLAT(DATA & ~1), SMALL((CODE & ~1) | DPL(3)),	/* d0 - e0: not accessed */
	GATE(P | DPL(3) | 0xc, 0x08, 0x8800), GATE(P | DPL(3) | 4, 0x18, 0x8900), /* e8, f0 */
	GATE(P | DPL(3) | 5, 0x90, 0),					/* f8: a task gate */
	SMALL((CODE | 4) | DPL(3)), { 0xd000, 0x20, DATA, 0 },		/* 100, 108 */
	{ 0, 0, 0, 0 }, { 0, 0xfffff, P | DPL(3) | 2, 0 },		/* 110, 118 */
};

static u64 pack(const struct descriptor *d)
{
	if (!(d->access & S) && (d->access & 7) >= 4)
		return (d->base & 0xffff) | (u64)d->limit << 16 | (u64)d->access << 40 |
		       (u64)(d->base >> 16) << 48;
	return (d->limit & 0xffff) | (u64)(d->base & 0xffffff) << 16 | (u64)d->access << 40 |
	       (u64)(d->limit >> 16) << 48 | (u64)d->flags << 52 | (u64)(d->base >> 24) << 56;
}

struct kvm_segment segment_of(u16 sel)
{
	const struct descriptor *d = &gdt[sel / 8];
	bool g = d->flags >> 3 & 1;

	if (sel < 4)
		return (struct kvm_segment) { .selector = sel, .unusable = 1 };
	return (struct kvm_segment) {
		.base = d->base, .limit = g ? d->limit << 12 | 0xfff : d->limit, .selector = sel,
		.type = d->access & 15, .s = d->access >> 4 & 1, .dpl = d->access >> 5 & 3,
		.present = d->access >> 7, .db = d->flags >> 2 & 1, .g = g,
	};
}

u16 random_selector(void)
{
	if (!below(20))
		return below(4);
	if (!below(10))
		return below(0x140);
	if (!below(12))
		return below(16) << 3 | 4 | below(4);
	return below(ARRAY_LEN(gdt)) << 3 | (below(2) ? 0 : below(4));
}

u16 random_word(void)
{
	static const u16 special[] = { 0, 1, 0x1800, 0x7fff, 0x8000, 0xfffe, 0xffff, 0x800 };

	switch (below(8)) {
	case 0:
		return PICK(special);
	case 1 ... 2:
		return random_selector();
	case 3 ... 4:
		return CODE_AT + below(CODE_END - CODE_AT);
	case 5:
		return below(0x1000);
	case 6:
		return 0x6000 + below(0xa000);
	default:
		return random64();
	}
}

/* --- the tables --------------------------------------------------------- */

static void make_gdt(u8 *ram)
{
	u64 *entry = (u64 *)(ram + GDT_AT), *local = (u64 *)(ram + LDT_AT);
	u32 i;

	for (i = 0; i < ARRAY_LEN(gdt); i++)
		entry[i] = pack(&gdt[i]);
	for (i = 0; i < 16; i++)
		local[i] = below(6) ? entry[below(ARRAY_LEN(gdt))] : random64();
}

/* Of any type, to any code. */
u64 odd_gate(u32 vector)
{
	static const u8 access[] = {
		P | 0xe, P | 0xf, P | DPL(3) | 0xe, P | DPL(3) | 0xf, P | DPL(3) | 0xe,
		P | DPL(3) | 6, P | 7, 0xe, P | DPL(3), P | DPL(3) | 5, P | DPL(3) | 0xc,
	};
	struct descriptor d = GATE(P | 0xe, 0x08, HANDLERS_AT + 16 * vector);

	d.access = PICK(access);
	if (!below(6))
		d.limit = random_selector();
	if (!(d.access & 8))
		d.base = CODE_AT + 16 * vector;
	if ((d.access & 0x1f) == 5)
		d.limit = 0x90;
	return pack(&d);
}

/* Of the vectors behind the processor's own, and of those that programs raise, some are odd. */
static u64 make_gate(u32 vector)
{
	struct descriptor d = GATE(P | 0xe, 0x08, HANDLERS_AT + 16 * vector);

	if (vector < 20 && !(vector >= 3 && vector <= 5))
		return pack(&d);
	d.access |= DPL(3);
	return below(2) ? pack(&d) : odd_gate(vector);
}

static void make_vectors(u8 *ram)
{
	u64 *gate = (u64 *)(ram + IDT_AT);
	u32 *vector = (u32 *)(ram + IVT_AT);
	u32 i;

	for (i = 0; i < 256; i++) {
		gate[i] = make_gate(i);
		vector[i] = HANDLERS_AT >> 4 << 16 | 16 * i;
	}
}

/* --- tasks -------------------------------------------------------------- */

static void make_tss(u8 *ram, u32 at)
{
	u32 *tss = (u32 *)(ram + at);
	static const u32 fields[26] = {
		0, 0xd000, 0x10, 0xd400, 0xb9, 0xd800, 0xc9, PD_AT, 0x8a00, 2,
		1, 2, 3, 4, 0xda00, 6, 7, 8, 0x10, 0x08, 0x10, 0x10, 0, 0x20, 0xa0, 0x680000,
	};

	memcpy(tss, fields, sizeof(fields));
	/* A map of some ports, and the byte behind it. */
	tss[26] = random64();
	tss[27] = random64();
	memset(tss + 28, 0, 20);
	tss[33] = 0xff;
}

static void make_tss_16(u8 *ram, u32 at)
{
	static const u16 fields[22] = {
		0, 0xd000, 0x10, 0xd400, 0xb9, 0xd800, 0xc9, 0x8b00, 2,
		1, 2, 3, 4, 0xda00, 6, 7, 8, 0x10, 0x18, 0x20, 0x10, 0,
	};

	memcpy(ram + at, fields, sizeof(fields));
}

void make_ram(u8 *ram, u64 seed)
{
	u32 *pd = (u32 *)(ram + PD_AT);
	u32 i;

	seed_random(seed, ~0u);
	for (i = 0; i < RAM_SIZE; i += 2)
		*(u16 *)(ram + i) = random_word();
	memset(ram + CODE_AT, 0xf4, CODE_END - CODE_AT);
	memset(ram + HANDLERS_AT, 0xf4, RAM_SIZE - HANDLERS_AT);
	make_gdt(ram);
	make_vectors(ram);
	memset(ram + TSS_AT, 0, 0x800);
	make_tss(ram, TSS_AT);
	make_tss(ram, TSS_OTHER_AT);
	make_tss_16(ram, TSS_16_AT);
	make_tss_16(ram, TSS_16_RUNS_AT);
	for (i = 0; i < 1024; i++)
		pd[i] = i << 22 | PT_P | PT_W | PT_U | PT_PS;
}
