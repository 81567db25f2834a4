// SPDX-License-Identifier: GPL-2.0
/*
 * The opcode tables of EVEX, the prefix of AVX-512: only moves, of vectors and of
 * single elements. An opcode without an entry is not executed here; in an entry,
 * a prefix without a row is undefined.
 */
#include <linux/kernel.h>
#include "opcodes.h"
#include "rows.h"

#define W0	(VEC | ROW_W0)
#define W1	(VEC | ROW_W1)
#define BYTES	ROW_SMALL
#define XMM	ROW_VEX128
#define HALF	(XMM | ROW_VVVV)
#define MEM	ROW_MEM
#define ELEMENT(_op, _flags, ...)	{ [WITH_66] = ROW(_op, VEC | (_flags), __VA_ARGS__) }

struct evex_opcode {
	u8 map, opcode;
	struct emu_row with[WITH_COUNT];
};

static const struct evex_opcode opcodes[] = {
	{ 1, 0x10, {
		[WITH_NONE] = ROW(VMOV_MASKED, W0, VX, WX),
		[WITH_66] = ROW(VMOV_MASKED, W1, VX, WX),
		[WITH_F3] = ROW(VMOV_MASKED, W0 | ROW_MEM_HERE, VX, WD),
		[WITH_F2] = ROW(VMOV_MASKED, W1 | ROW_MEM_HERE, VX, WQ),
	} },
	{ 1, 0x11, {
		[WITH_NONE] = ROW(VMOV_MASKED, W0, WX, VX),
		[WITH_66] = ROW(VMOV_MASKED, W1, WX, VX),
		[WITH_F3] = ROW(VMOV_MASKED, W0 | ROW_MEM_HERE, WD, VD),
		[WITH_F2] = ROW(VMOV_MASKED, W1 | ROW_MEM_HERE, WQ, VQ),
	} },
	{ 1, 0x12, {
		[WITH_NONE] = ROW(VMOV_LOW, W0 | HALF | ROW_MEM_HERE, VQ, WQ),
		[WITH_66] = ROW(VMOV_LOW, W1 | HALF | MEM, VQ, WQ),
		[WITH_F3 ... WITH_F2] = NOT_HERE,
	} },
	{ 1, 0x13, {
		[WITH_NONE] = ROW(VMOV, W0 | XMM | MEM, WQ, VQ),
		[WITH_66] = ROW(VMOV, W1 | XMM | MEM, WQ, VQ),
	} },
	{ 1, 0x16, {
		[WITH_NONE] = ROW(VMOV_HIGH, W0 | HALF | ROW_MEM_HERE, VQ, WQ),
		[WITH_66] = ROW(VMOV_HIGH, W1 | HALF | MEM, VQ, WQ),
		[WITH_F3] = NOT_HERE,
	} },
	{ 1, 0x17, {
		[WITH_NONE] = ROW(VMOV_HIGH, W0 | XMM | MEM, WQ, VQ),
		[WITH_66] = ROW(VMOV_HIGH, W1 | XMM | MEM, WQ, VQ),
	} },
	{ 1, 0x28, {
		[WITH_NONE] = ROW(VMOV_MASKED, W0 | ROW_ALIGNED, VX, WX),
		[WITH_66] = ROW(VMOV_MASKED, W1 | ROW_ALIGNED, VX, WX),
	} },
	{ 1, 0x29, {
		[WITH_NONE] = ROW(VMOV_MASKED, W0 | ROW_ALIGNED, WX, VX),
		[WITH_66] = ROW(VMOV_MASKED, W1 | ROW_ALIGNED, WX, VX),
	} },
	{ 1, 0x2b, {
		[WITH_NONE] = ROW(VMOV, W0 | ROW_ALIGNED | MEM, WX, VX),
		[WITH_66] = ROW(VMOV, W1 | ROW_ALIGNED | MEM, WX, VX),
	} },
	{ 1, 0x6e, {
		[WITH_66] = ROW(VMOV_GPR, VEC | XMM, VY, EY),
	} },
	{ 1, 0x6f, {
		[WITH_66] = ROW(VMOV_MASKED, VEC | ROW_ALIGNED, VX, WX),
		[WITH_F3] = ROW(VMOV_MASKED, VEC, VX, WX),
		[WITH_F2] = ROW(VMOV_MASKED, VEC | BYTES, VX, WX),
	} },
	{ 1, 0x7e, {
		[WITH_66] = ROW(VMOV_GPR, VEC | XMM, EY, VY),
		[WITH_F3] = ROW(VMOV, W1 | XMM, VQ, WQ),
	} },
	{ 1, 0x7f, {
		[WITH_66] = ROW(VMOV_MASKED, VEC | ROW_ALIGNED, WX, VX),
		[WITH_F3] = ROW(VMOV_MASKED, VEC, WX, VX),
		[WITH_F2] = ROW(VMOV_MASKED, VEC | BYTES, WX, VX),
	} },
	{ 1, 0xc4, ELEMENT(VINSERT, HALF, VDQ, ERW, IB) },
	{ 1, 0xd6, {
		[WITH_66] = ROW(VMOV, W1 | XMM, WQ, VQ),
	} },
	{ 1, 0xe7, {
		[WITH_66] = ROW(VMOV, W0 | ROW_ALIGNED | MEM, WX, VX),
	} },
	{ 2, 0x2a, {
		[WITH_66] = ROW(VMOV, W0 | ROW_ALIGNED | MEM, VX, WX),
		[WITH_F3] = NOT_HERE,
	} },
	{ 3, 0x14, ELEMENT(VEXTRACT, XMM, ERB, VDQ, IB) },
	{ 3, 0x15, ELEMENT(VEXTRACT, XMM, ERW, VDQ, IB) },
	{ 3, 0x16, ELEMENT(VEXTRACT, XMM, EY, VDQ, IB) },
	{ 3, 0x17, ELEMENT(VEXTRACT, XMM, ED, VDQ, IB) },
	{ 3, 0x20, ELEMENT(VINSERT, HALF, VDQ, ERB, IB) },
	{ 3, 0x22, ELEMENT(VINSERT, HALF, VDQ, EY, IB) },
};

const struct emu_row *emu_evex_row(u8 map, u8 opcode, enum emu_prefix_index prefix)
{
	static const struct emu_row undefined, not_here = NOT_HERE;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(opcodes); i++)
		if (opcodes[i].map == map && opcodes[i].opcode == opcode)
			return &opcodes[i].with[prefix];
	return (map >= 1 && map <= 3) || map == 5 || map == 6 ? &not_here : &undefined;
}
