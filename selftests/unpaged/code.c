// SPDX-License-Identifier: GPL-2.0
/*
 * Random instructions for unpaged_diff: from a table of those on which system
 * state, segments and control depend, with any prefixes and operands, and some
 * with a byte or two changed. Left out is what asks for the time or for chance,
 * and what changes state that no case starts from.
 */
#include "case.h"

/*
 * struct form - an opcode and what follows: m a ModRM byte, 0-7 one with that
 * digit, b and w an immediate of 1 or 2 bytes, z one of the operand's size,
 * a one of the address's size, s and r a displacement to jump by, f a far pointer.
 * x: a repeat prefix is common.
 */
struct form {
	u16 opcode;
	const char *rest;
};

static const struct form transfers[] = {
	{ 0xe8, "r" }, { 0xe9, "r" }, { 0xeb, "s" }, { 0x70, "s" }, { 0x7c, "s" }, { 0x0f84, "r" },
	{ 0xe0, "s" }, { 0xe1, "s" }, { 0xe2, "s" }, { 0xe3, "s" }, { 0xff, "2" }, { 0xff, "3" },
	{ 0xff, "4" }, { 0xff, "5" }, { 0x9a, "f" }, { 0xea, "f" }, { 0xc3, "" }, { 0xc2, "w" },
	{ 0xcb, "" }, { 0xca, "w" }, { 0xcf, "" }, { 0xcf, "" }, { 0xcc, "" }, { 0xcd, "b" },
	{ 0xcd, "b" }, { 0xce, "" }, { 0xf1, "" }, { 0x62, "m" },
};

static const struct form segments[] = {
	{ 0x8e, "m" }, { 0x8e, "m" }, { 0x8c, "m" }, { 0xc4, "m" }, { 0xc5, "m" }, { 0x0fb2, "m" },
	{ 0x0fb4, "m" }, { 0x0fb5, "m" }, { 0x06, "" }, { 0x0e, "" }, { 0x16, "" }, { 0x1e, "" },
	{ 0x0fa0, "" }, { 0x0fa8, "" }, { 0x07, "" }, { 0x17, "" }, { 0x1f, "" }, { 0x0fa1, "" },
	{ 0x0fa9, "" }, { 0x0f02, "m" }, { 0x0f03, "m" }, { 0x63, "m" }, { 0x0f00, "0" },
	{ 0x0f00, "1" }, { 0x0f00, "2" }, { 0x0f00, "3" }, { 0x0f00, "4" }, { 0x0f00, "5" },
};

static const struct form flags[] = {
	{ 0x9c, "" }, { 0x9d, "" }, { 0x9e, "" }, { 0x9f, "" }, { 0xfa, "" }, { 0xfb, "" },
	{ 0xfc, "" }, { 0xfd, "" }, { 0xf5, "" }, { 0xf4, "" }, { 0x9b, "" }, { 0xd6, "" },
};

static const struct form system_state[] = {
	{ 0x0f01, "0" }, { 0x0f01, "1" }, { 0x0f01, "2" }, { 0x0f01, "3" }, { 0x0f01, "4" },
	{ 0x0f01, "6" }, { 0x0f01, "7" }, { 0x0f06, "" }, { 0x0f20, "m" }, { 0x0f21, "m" },
	{ 0x0f22, "m" }, { 0x0f22, "m" }, { 0x0f23, "m" }, { 0x0f08, "" }, { 0x0f09, "" },
	{ 0x0f0b, "" }, { 0x0fff, "m" }, { 0x0f34, "" }, { 0x0f35, "" }, { 0x0f05, "" },
};

static const struct form strings[] = {
	{ 0xa4, "x" }, { 0xa5, "x" }, { 0xa6, "x" }, { 0xa7, "x" }, { 0xaa, "x" }, { 0xab, "x" },
	{ 0xac, "x" }, { 0xad, "x" }, { 0xae, "x" }, { 0xaf, "x" }, { 0x6c, "x" }, { 0x6d, "x" },
	{ 0x6e, "x" }, { 0x6f, "x" }, { 0xe4, "b" }, { 0xe5, "b" }, { 0xe6, "b" }, { 0xe7, "b" },
	{ 0xec, "" }, { 0xed, "" }, { 0xee, "" }, { 0xef, "" }, { 0xd7, "" },
};

static const struct form stack[] = {
	{ 0xc8, "wb" }, { 0xc8, "wb" }, { 0xc9, "" }, { 0x60, "" }, { 0x61, "" }, { 0x68, "z" },
	{ 0x6a, "b" }, { 0x8f, "0" }, { 0x8f, "0" }, { 0xff, "6" }, { 0x50, "" }, { 0x54, "" },
	{ 0x58, "" }, { 0x5c, "" },
};

static const struct form others[] = {
	{ 0x88, "m" }, { 0x89, "m" }, { 0x8a, "m" }, { 0x8b, "m" }, { 0xa0, "a" }, { 0xa1, "a" },
	{ 0xa2, "a" }, { 0xa3, "a" }, { 0x01, "m" }, { 0x13, "m" }, { 0x39, "m" }, { 0x81, "0z" },
	{ 0x83, "7b" }, { 0xf6, "6" }, { 0xf7, "6" }, { 0xf6, "7" }, { 0xf7, "7" }, { 0xd4, "b" },
	{ 0x87, "m" }, { 0x0fb1, "m" }, { 0x0fc1, "m" }, { 0x0fc7, "1" }, { 0x98, "" },
	{ 0x99, "" }, { 0x8d, "m" }, { 0xc7, "0z" }, { 0xfe, "0" }, { 0xff, "1" },
	{ 0x0fb6, "m" }, { 0x0fbf, "m" },
	{ 0x0fba, "4b" }, { 0x0fba, "5b" }, { 0x90, "" }, { 0x27, "" }, { 0x37, "" }, { 0xd9, "5" },
	{ 0xd9, "7" }, { 0xdbe3, "" }, { 0xdfe0, "" }, { 0x0f18, "0" }, { 0xb8, "z" },
};

static const struct {
	const struct form *form;
	u32 count, share;
} tables[] = {
#define TABLE(list, share) { list, sizeof(list) / sizeof(*(list)), share }
	TABLE(transfers, 26), TABLE(segments, 18), TABLE(flags, 12), TABLE(system_state, 14),
	TABLE(strings, 12), TABLE(stack, 10), TABLE(others, 8),
};

static const struct form *any_form(void)
{
	u32 n = below(100), i = 0;

	while (n >= tables[i].share)
		n -= tables[i++].share;
	return &tables[i].form[below(tables[i].count)];
}

/* --- putting it together ------------------------------------------------ */

struct writer {
	u8 *code;
	u32 len;
	u32 op_size, addr_size;
};

static void put(struct writer *w, u64 val, u32 size)
{
	for (; size; size--, val >>= 8)
		w->code[w->len++] = val;
}

static void put_prefixes(struct writer *w, bool repeats)
{
	static const u8 seg[] = { 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65 };

	if (!below(4)) {
		put(w, 0x66, 1);
		w->op_size = 6 - w->op_size;
	}
	if (!below(5)) {
		put(w, 0x67, 1);
		w->addr_size = 6 - w->addr_size;
	}
	if (!below(6))
		put(w, PICK(seg), 1);
	if (!below(repeats ? 2 : 30))
		put(w, below(2) ? 0xf2 : 0xf3, 1);
	if (!below(30))
		put(w, 0xf0, 1);
}

/* Below the first 64 KiB more often than not, whatever the address size. */
static u32 any_address(void)
{
	return below(8) ? random_word() : (u32)random64();
}

static void put_modrm16(struct writer *w, u8 mod, u8 reg, u8 rm)
{
	put(w, mod << 6 | reg << 3 | rm, 1);
	if (mod == 1)
		put(w, random64(), 1);
	if (mod == 2 || (!mod && rm == 6))
		put(w, any_address(), 2);
}

static void put_modrm32(struct writer *w, u8 mod, u8 reg, u8 rm)
{
	u8 sib = below(3) ? random64() : 0x24;	/* (%esp) */

	put(w, mod << 6 | reg << 3 | rm, 1);
	if (rm == 4)
		put(w, sib, 1);
	if (mod == 1)
		put(w, random64(), 1);
	if (mod == 2 || (!mod && (rm == 5 || (rm == 4 && (sib & 7) == 5))))
		put(w, any_address(), 4);
}

static void put_modrm(struct writer *w, u8 reg)
{
	u8 rm = below(8), mod = below(4);

	/* A register is one way of four; another way to one plain address. */
	if (mod == 3)
		put(w, 0xc0 | reg << 3 | rm, 1);
	else if (w->addr_size == 2)
		put_modrm16(w, mod, reg, mod == 0 && below(2) ? 6 : rm);
	else
		put_modrm32(w, mod, reg, mod == 0 && below(2) ? 5 : rm);
}

/* Into the code around it, but for a few. */
static void put_displacement(struct writer *w, u32 size)
{
	u32 distance = below(0x800) - 0x400;

	put(w, below(10) ? distance : (u32)random64(), size);
}

static u32 any_immediate(void)
{
	static const u32 special[] = { 0, 1, 2, 4, 5, 0x7f, 0x80, 0xff, 0xfffe, 0xffff, 0x1f };

	return below(2) ? PICK(special) : below(2) ? random_word() : (u32)random64();
}

static void put_far(struct writer *w)
{
	put(w, below(8) ? CODE_AT + below(CODE_END - CODE_AT) : any_address(), w->op_size);
	put(w, below(2) ? random_selector() : random_word(), 2);
}

static void put_rest(struct writer *w, char what)
{
	switch (what) {
	case 'm':
		put_modrm(w, below(8));
		break;
	case '0' ... '7':
		put_modrm(w, what - '0');
		break;
	case 'b':
		put(w, any_immediate(), 1);
		break;
	case 'w':
		put(w, below(4) ? below(32) : any_immediate(), 2);
		break;
	case 'z':
		put(w, any_immediate(), w->op_size);
		break;
	case 'a':
		put(w, any_address(), w->addr_size);
		break;
	case 's':
		put(w, random64(), 1);
		break;
	case 'r':
		put_displacement(w, w->op_size);
		break;
	case 'f':
		put_far(w);
		break;
	}
}

static void put_instruction(struct writer *w)
{
	const struct form *f = any_form();
	const char *rest = f->rest;
	bool repeats = *rest == 'x';

	put_prefixes(w, repeats);
	if (f->opcode >= 0x100)
		put(w, f->opcode >> 8, 1);
	put(w, f->opcode, 1);
	for (rest += repeats; *rest; rest++)
		put_rest(w, *rest);
}

/* --- what is not compared ------------------------------------------------ */

/*
 * After 0x0f: WRMSR, RDTSC, RDMSR, RDPMC; CPUID, which tells APIC ids and sizes; RDRAND, RDSEED
 * and RDPID; XSETBV, RDTSCP and other ones of group 7 that have no memory operand; XSAVE and
 * XRSTOR, for the emulator leaves them out.
 */
static bool is_left_out(const u8 *code)
{
	if (code[0] != 0x0f)
		return false;
	if ((code[1] >= 0x30 && code[1] <= 0x33) || code[1] == 0xa2)
		return true;
	if (code[1] == 0xc7)
		return code[2] >= 0xf0 || (code[2] & 0x38) > 0x08;
	if (code[1] == 0x01)
		return code[2] >= 0xc0 && (code[2] & 0x30) != 0x20 && (code[2] & 0x38) != 0x30;
	return code[1] == 0xae && (code[2] & 0x38) >= 0x20;
}

static void leave_out(u8 *code, u32 len)
{
	u32 i;

	for (i = 0; i + 2 < len; i++)
		if (is_left_out(code + i))
			code[i] = 0x90;
}

static void mutate(struct writer *w)
{
	u32 n = 1 + below(2);

	while (n--)
		w->code[below(w->len)] = random64();
}

/* What follows is HLT. */
void make_code(struct unpaged_case *c)
{
	struct writer w = { .code = c->code };
	u32 count = below(4) ? 1 : 2;
	bool wide = c->sregs.cs.db;

	memset(c->code, 0xf4, sizeof(c->code));
	while (count--) {
		w.op_size = wide ? 4 : 2;
		w.addr_size = w.op_size;
		put_instruction(&w);
	}
	if (!below(10))
		mutate(&w);
	leave_out(c->code, sizeof(c->code));
	c->len = w.len;
}

static bool is_prefix(u8 byte)
{
	return (byte & 0xe7) == 0x26 || (byte >= 0x64 && byte <= 0x67) || byte == 0xf0 ||
	       byte == 0xf2 || byte == 0xf3;
}

static u32 prefixes(const u8 *code, u32 len)
{
	u32 i = 0;

	while (i < len - 2 && is_prefix(code[i]))
		i++;
	return i;
}

u16 opcode_of(const u8 *code, u32 len)
{
	u32 i = prefixes(code, len);

	return code[i] == 0x0f ? 0x0f00 | code[i + 1] : code[i];
}

bool has_prefix(const u8 *code, u32 len, u8 prefix)
{
	return memchr(code, prefix, prefixes(code, len));
}
