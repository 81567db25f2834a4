// SPDX-License-Identifier: GPL-2.0
/*
 * Random instructions: prefixes and opcodes as likely as there is something to
 * compare about them, and random bytes behind.
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

/* Mostly a move with a prefix that is as it should be. */
static unsigned int put_evex(u8 *code, enum emu_mode mode, unsigned int len)
{
	static const u8 moves[] = {
		0x10, 0x11, 0x12, 0x13, 0x16, 0x17, 0x28, 0x29, 0x2a, 0x2b, 0x6e, 0x6f, 0x6f, 0x7e,
		0x7f, 0x7f, 0xd6, 0xe7,
	};
	u8 opcode = below(16) ? moves[below(sizeof(moves))] : random64() >> 24;
	u8 map = opcode == 0x2a ? 2 : 1, bits = random64() >> 24;

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

static unsigned int put_opcode(u8 *code, enum emu_mode mode, unsigned int len)
{
	static const u8 map38[] = {
		0x17, 0x18, 0x19, 0x1a, 0x58, 0x59, 0x5a, 0x78, 0x79, 0x2a, 0xf0, 0xf1, 0xf2, 0xf3,
		0xf5, 0xf6, 0xf7,
	};
	unsigned int kind = below(36);

	if (kind < 15) {
		code[len++] = random64() >> 32;
	} else if (kind < 27) {
		code[len++] = 0x0f;
		code[len++] = random64() >> 32;
	} else if (kind < 29) {
		code[len++] = 0x0f;
		code[len++] = 0x38;
		code[len++] = map38[below(sizeof(map38))];
	} else if (kind == 29) {
		len = below(4) ? 0 : len;
		code[len++] = 0xc5;
		code[len++] = (random64() >> 32 & 0x87) | (below(8) ? 0x78 : random64() & 0x78);
		code[len++] = below(8) ? random64() >> 32 : 0x90 + below(2);
	} else if (kind < 32) {
		bool mask = !below(8);

		len = below(4) ? 0 : len;
		code[len++] = 0xc4;
		code[len++] = (random64() >> 32 & 0xe0) | 0xc0 | (mask ? 1 : below(4) ? 2 : 3);
		code[len++] = (random64() >> 32 & ~4) | (mask ? 0x78 : 0);
		code[len++] = mask ? 0x90 + below(2) : map38[below(sizeof(map38))];
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

/* Few elements, or all but a few, as often as any. */
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
