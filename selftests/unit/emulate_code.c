// SPDX-License-Identifier: GPL-2.0
/*
 * Random instructions: prefixes and opcodes in proportion to what can be compared
 * about them, followed by random bytes.
 */
#include <string.h>
#include "emulate_code.h"

u64 random_state;

u64 random64(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

unsigned int below(unsigned int bound)
{
	return (random64() >> 20) % bound;
}

static unsigned int put_prefixes(u8 *code, enum emu_mode mode)
{
	static const u8 prefixes[] = {
		0x66, 0x66, 0x67, 0xf2, 0xf3, 0xf0, 0x64, 0x65, 0x2e, 0x3e, 0x26, 0x36,
	};
	unsigned int len = 0;

	while (len < 4 && !below(3))
		code[len++] = prefixes[below(12)];
	if (mode == EMU_MODE_LONG64 && below(2))
		code[len++] = 0x40 | below(16);
	return len;
}

/* Mostly an opcode of map @map that is executed here and uses more than general registers. */
static u8 vector_opcode(unsigned int map)
{
	static const u8 map1[] = { 0x12, 0x16, 0x90, 0x91, 0x92, 0x93, 0xc4, 0xf7 };
	static const u8 map38[] = {
		0x20, 0x21, 0x22, 0x23, 0x24, 0x25, 0x30, 0x31, 0x32, 0x33, 0x34, 0x35,
		0x17, 0x18, 0x19, 0x1a, 0x58, 0x59, 0x5a, 0x78, 0x79, 0x2a, 0xf0, 0xf1, 0xf2, 0xf3,
		0xf5, 0xf6, 0xf7, 0x2c, 0x2d, 0x2e, 0x2f, 0x8c, 0x8e,
	};
	static const u8 map3a[] = { 0x14, 0x15, 0x16, 0x17, 0x20, 0x22, 0xf0 };

	if (map == 1)
		return map1[below(sizeof(map1))];
	return map == 2 ? map38[below(sizeof(map38))] : map3a[below(sizeof(map3a))];
}

/* Mostly a move with a well-formed prefix. */
static unsigned int put_evex(u8 *code, enum emu_mode mode, unsigned int len)
{
	static const u8 moves[] = {
		0x10, 0x11, 0x12, 0x13, 0x16, 0x17, 0x28, 0x29, 0x2a, 0x2b, 0x6e, 0x6f, 0x6f, 0x7e,
		0x7f, 0x7f, 0xd6, 0xe7, 0xc4,
	};
	u8 opcode = below(16) ? moves[below(sizeof(moves))] : random64() >> 24;
	u8 map = opcode == 0x2a ? 2 : 1, bits = random64() >> 24;

	if (!below(8)) {
		map = 3;
		opcode = vector_opcode(map);
	}

	code[len++] = 0x62;
	code[len++] = (bits & 0xf0) | (below(32) ? map : below(16)) |
			 (mode == EMU_MODE_LONG64 ? 0 : 0xc0);
	bits = random64() >> 24;
	code[len++] = (bits & 0x83) | (below(8) ? 0x78 : bits & 0x78) | (below(32) ? 4 : 0);
	bits = random64() >> 24;
	code[len++] = (bits & (below(3) ? 0x60 : 0xe7)) | (below(16) ? 8 : 0) |
			 (below(16) ? 0 : 0x10);
	code[len++] = opcode;
	return len;
}

/* 0F 38 and 0F 3A, half of them with the prefix that vector instructions need. */
static unsigned int put_escaped(u8 *code, enum emu_mode mode, unsigned int len)
{
	unsigned int map = below(3) ? 2 : 3;

	if (below(2)) {
		len = 0;
		code[len++] = 0x66;
		if (mode == EMU_MODE_LONG64 && below(2))
			code[len++] = 0x40 | below(16);
	}
	code[len++] = 0x0f;
	code[len++] = map == 2 ? 0x38 : 0x3a;
	code[len++] = vector_opcode(map);
	return len;
}

/* A VEX prefix of two or three bytes; vvvv is mostly unused. */
static unsigned int put_vex(u8 *code, unsigned int len)
{
	unsigned int map = 1 + below(3);
	u8 last = random64() >> 32;

	len = below(4) ? 0 : len;
	if (map == 1)
		last |= below(4) ? 0x78 : 0;
	if (map == 1 && below(2)) {
		code[len++] = 0xc5;
		code[len++] = last;
		code[len++] = below(8) ? vector_opcode(map) : random64() >> 32;
		return len;
	}
	last |= map == 3 && below(2) ? 0x78 : 0;
	code[len++] = 0xc4;
	code[len++] = (random64() >> 32 & 0xe0) | 0xc0 | map;
	code[len++] = below(2) ? last & ~4 : last;
	code[len++] = vector_opcode(map);
	return len;
}

static unsigned int put_opcode(u8 *code, enum emu_mode mode, unsigned int len)
{
	unsigned int kind = below(36);

	if (kind < 15) {
		code[len++] = random64() >> 32;
	} else if (kind < 26) {
		code[len++] = 0x0f;
		code[len++] = random64() >> 32;
	} else if (kind < 29) {
		len = put_escaped(code, mode, len);
	} else if (kind < 32) {
		len = put_vex(code, len);
	} else {
		len = put_evex(code, mode, below(8) ? 0 : len);
	}
	return len;
}

void random_code(u8 *code, enum emu_mode mode)
{
	unsigned int len;

	len = put_opcode(code, mode, put_prefixes(code, mode));
	for (; len < EMU_INSN_MAX; len++)
		code[len] = below(3) ? random64() >> 32 : below(16);
}

/* A mask of few elements, of all but a few, or of any. */
u64 random_mask(void)
{
	switch (below(3)) {
	case 0:
		return random64() & random64() & random64();
	case 1:
		return random64() | random64() | random64();
	default:
		return random64();
	}
}

/* Numbers of all kinds, mostly with all exceptions masked. */
void random_x87(struct emu_fx *fx)
{
	unsigned int i;

	for (i = 0; i < 8; i++) {
		u64 mantissa = random_mask() | (u64)below(2) << 63;
		u16 exponent = below(4) ? 0x3fff + below(64) : below(2) * 0x7fff;

		memcpy(fx->st[i], &mantissa, sizeof(mantissa));
		exponent |= below(2) << 15;
		memcpy(fx->st[i] + 8, &exponent, sizeof(exponent));
	}
	fx->fcw = (random64() & 0xf00) | (below(4) ? 0x7f : 0x40 | below(64));
	fx->fsw = random64() & (below(4) ? 0x7f00 : 0x7f3f);
	fx->ftw = random64() >> 24;
}
