// SPDX-License-Identifier: GPL-2.0
/*
 * Test vector instructions with an EVEX prefix, mask registers, and what SSE and
 * AVX do beyond moves: a table of single instructions. Masked-off elements are
 * neither read nor written, and do not fault. If the processor has AVX-512,
 * emulate_diff.c compares these instructions with it.
 */
#include <string.h>
#include "emulate_rows.h"
#include "tap.h"

#define MASK	0x5a00000000000005ull	/* k1: elements 0 and 2, of bytes also some high ones */
#define NEXT	(DATA + BENCH_PAGE)	/* a page of which some rows have nothing */

/* Sixteen bytes of each number, around the border of two pages and at DATA. */
static void pattern(struct bench *b)
{
	unsigned int i;

	for (i = 0; i < 128; i++) {
		*bench_at(b, DATA + i) = i;
		*bench_at(b, NEXT - 64 + i) = i;
	}
	b->mask[1] = MASK;
}

static void absent_next(struct bench *b)
{
	pattern(b);
	b->rights[NEXT / BENCH_PAGE] = BENCH_ABSENT;
}

static void absent_first(struct bench *b)
{
	pattern(b);
	b->rights[DATA / BENCH_PAGE] = BENCH_ABSENT;
}

/* In xmm1 only the second half of the first 8 bytes is negative, and none of the last 8. */
static void half_a_mask(struct bench *b)
{
	absent_next(b);
	memset(b->xmm[1], 0, sizeof(b->xmm[1]));
	memset(b->xmm[1] + 4, 0x80, 4);
}

/* A byte at the end of the segment. */
static void last_byte(struct bench *b)
{
	b->ctx.seg[EMU_DS].limit = DATA;
	memset(b->xmm[2], 0, sizeof(b->xmm[2]));
	b->xmm[2][0] = 0x80;
}

static void strict_user(struct bench *b)
{
	pattern(b);
	b->ctx.cpl = 3;
	b->ctx.cr0 |= 1 << 18;
	b->ctx.rflags |= 1 << 18;
}

static void read_only_next(struct bench *b)
{
	pattern(b);
	b->rights[NEXT / BENCH_PAGE] = BENCH_READ_ONLY;
}

static void no_masks(struct bench *b)
{
	b->ctx.xcr0 = 0xc7;
}

static void no_upper_half(struct bench *b)
{
	b->ctx.xcr0 = 0xa7;
}

static void no_upper_registers(struct bench *b)
{
	b->ctx.xcr0 = 0x67;
}

static void no_avx(struct bench *b)
{
	b->ctx.xcr0 = 0xe3;
}

static void no_xsave(struct bench *b)
{
	b->ctx.cr4 &= ~0x40000ull;
}

static void task_switched(struct bench *b)
{
	b->ctx.cr0 |= 8;
}

static void short_segment(struct bench *b)
{
	pattern(b);
	b->ctx.seg[EMU_DS].limit = DATA + 11;
}

static void shorter_segment(struct bench *b)
{
	pattern(b);
	b->ctx.seg[EMU_DS].limit = DATA + 10;
}

#define AT_DI(_address)	.in = { R(RDI, _address) }
#define AT_DATA		.in = { R(RBX, DATA) }
#define AT(_address)	.in = { R(RBX, _address) }

static const struct row rows[] = {
	/* Registers 16 to 31, sizes, and displacements in operands */
	{ "64: vmovdqu64 (%rbx),%ymm16", L64, "62 e1 fe 28 6f 03", AT_DATA, .setup = pattern,
	  .vector_out = V(16, 24, 0x1f1e1d1c1b1a1918) },
	{ "64: ... clears the upper half", L64, "62 e1 fe 28 6f 03", AT_DATA, .setup = pattern,
	  .vector_out = V(16, 32, 0) },
	{ "64: vmovdqu64 %ymm17,(%rbx)", L64, "62 e1 fe 28 7f 0b", AT_DATA,
	  .mem_out = { DATA + 24, 8, 0x2121212121212121 } },
	{ "64: ... and no more", L64, "62 e1 fe 28 7f 0b", AT_DATA,
	  .mem_out = { DATA + 32, 8, 0 } },
	{ "64: vmovdqu64 %zmm31,64(%rbx)", L64, "62 61 fe 48 7f 7b 01", AT_DATA,
	  .mem_out = { DATA + 120, 8, 0x0f0f0f0f0f0f0f0f } },
	{ "64: vmovups -64(%rbx),%zmm16", L64, "62 e1 7c 48 10 43 ff", AT(DATA + 128),
	  .setup = pattern, .vector_out = V(16, 56, 0x7f7e7d7c7b7a7978) },
	{ "64: vmovupd 16(%rbx),%xmm16", L64, "62 e1 fd 08 10 43 01", AT_DATA, .setup = pattern,
	  .vector_out = V(16, 0, 0x1716151413121110) },
	{ "64: vmovq %xmm18,8(%rbx)", L64, "62 e1 fd 08 7e 53 01", AT_DATA,
	  .mem_out = { DATA + 8, 8, 0x3232323232323232 } },
	{ "64: vmovd 4(%rbx),%xmm18", L64, "62 e1 7d 08 6e 53 01", AT_DATA, .setup = pattern,
	  .vector_out = V(18, 0, 0x07060504) },
	{ "64: vmovhps 8(%rbx),%xmm18,%xmm17", L64, "62 e1 6c 00 16 4b 01", AT_DATA,
	  .setup = pattern, .vector_out = V(17, 8, 0x0f0e0d0c0b0a0908) },
	{ "64: ... and the other half", L64, "62 e1 6c 00 16 4b 01", AT_DATA,
	  .setup = pattern, .vector_out = V(17, 0, 0x3232323232323232) },
	{ "64: vmovntdq %zmm3,(%rbx)", L64, "62 f1 7d 48 e7 1b", AT_DATA,
	  .mem_out = { DATA + 56, 8, 0x3333333333333333 } },
	{ "64: vmovntdqa (%rbx),%zmm3", L64, "62 f2 7d 48 2a 1b", AT_DATA, .setup = pattern,
	  .vector_out = V(3, 56, 0x3f3e3d3c3b3a3938) },
	{ "32: vmovdqu32 %zmm3,(%ebx)", P32, "62 f1 7e 48 7f 1b", AT_DATA,
	  .mem_out = { DATA + 56, 8, 0x3333333333333333 } },
	{ "32: vmovq with W is vmovd", P32, "62 f1 fd 08 7e 5b 01", AT_DATA,
	  .mem_out = { DATA + 4, 8, 0x33333333 } },
	{ "32: bound with memory stays", P32, "62 03", AT_DATA },

	/* Masks */
	{ "64: vmovdqu32 (%rbx),%zmm1{%k1}", L64, "62 f1 7e 49 6f 0b", AT_DATA, .setup = pattern,
	  .vector_out = V(1, 0, 0x1111111103020100) },
	{ "64: vmovdqu32 (%rbx),%zmm1{%k1}{z}", L64, "62 f1 7e c9 6f 0b", AT_DATA,
	  .setup = pattern, .vector_out = V(1, 4, 0x0b0a090800000000) },
	{ "64: vmovdqu8 %zmm17,(%rbx){%k1}", L64, "62 e1 7f 49 7f 0b", AT_DATA,
	  .setup = pattern, .mem_out = { DATA, 4, 0x03210121 } },
	{ "64: ... the high ones", L64, "62 e1 7f 49 7f 0b", AT_DATA, .setup = pattern,
	  .mem_out = { DATA + 56, 8, 0x3f213d21213a2138 } },
	{ "64: vmovdqu16 %xmm17,(%rbx){%k1}", L64, "62 e1 ff 09 7f 0b", AT_DATA,
	  .setup = pattern, .mem_out = { DATA, 8, 0x0706212103022121 } },
	{ "64: vmovdqu64 %zmm17,(%rbx){%k1}", L64, "62 e1 fe 49 7f 0b", AT_DATA,
	  .setup = pattern, .mem_out = { DATA + 4, 8, 0x0b0a090821212121 } },
	{ "64: vmovss (%rbx),%xmm16{%k1}{z}", L64, "62 e1 7e 89 10 03", AT_DATA,
	  .setup = pattern, .vector_out = V(16, 0, 0x03020100) },
	{ "64: vmovdqa32 %zmm17,%zmm18{%k1}", L64, "62 a1 7d 49 6f d1", .setup = pattern,
	  .vector_out = V(18, 4, 0x2121212132323232) },
	{ "64: what is left out does not fault", L64, "62 f1 7e 49 6f 0b", AT(NEXT - 12),
	  .setup = absent_next, .vector_out = V(1, 8, 0x111111113f3e3d3c) },
	{ "64: ... nor on the first page", L64, "62 f1 fe 49 6f 0b", AT(DATA - 8),
	  .setup = absent_first, FAULT(14, 0) },
	{ "64: what is not does", L64, "62 f1 7e 49 6f 0b", AT(NEXT - 11), .setup = absent_next,
	  FAULT(14, 0) },
	{ "64: a store that faults has stored nothing", L64, "62 e1 7e 49 7f 0b", AT(NEXT - 8),
	  .setup = read_only_next, .mem_out = { NEXT - 8, 8, 0x3f3e3d3c3b3a3938 },
	  FAULT(14, 3) },
	{ "64: a store leaves pages alone that it does not write", L64, "62 e1 7e 49 7f 0b",
	  AT(NEXT - 12), .setup = read_only_next, .mem_out = { NEXT - 4, 8, 0x4342414021212121 } },
	{ "64: nothing at all may be anywhere", L64, "62 f1 7e 4a 6f 0b", AT(1ull << 63) },
	{ "64: but must be aligned", L64, "62 f1 7d 4a 6f 0b", AT(DATA + 32), FAULT(13, 0) },
	{ "64: something must be canonical", L64, "62 f1 7e 49 6f 0b", AT(1ull << 63),
	  .setup = pattern, FAULT(13, 0) },
	{ "32: limits count for what the mask leaves", P32, "62 f1 7e 09 6f 0b", AT_DATA,
	  .setup = short_segment, .vector_out = V(1, 8, 0x111111110b0a0908) },
	{ "32: and then for all of it", P32, "62 f1 7e 09 6f 0b", AT_DATA,
	  .setup = shorter_segment, FAULT(13, 0) },
	{ "64: kmovw %k1,(%rbx)", L64, "c5 f8 91 0b", AT_DATA, .setup = pattern,
	  .mem_out = { DATA, 4, 0x03020005 } },
	{ "64: kmovq %k1,(%rbx)", L64, "c4 e1 f8 91 0b", AT_DATA, .setup = pattern,
	  .mem_out = { DATA, 8, MASK } },
	{ "32: kmovq %k1,(%ebx)", P32, "c4 e1 f8 91 0b", AT_DATA, .setup = pattern,
	  .mem_out = { DATA, 8, MASK } },

	/* Alignment */
	{ "64: vmovdqa64 %zmm2,(%rbx)", L64, "62 f1 fd 48 7f 13", AT(DATA + 32), FAULT(13, 0) },
	{ "64: vmovdqa64 %ymm2,(%rbx)", L64, "62 f1 fd 28 7f 13", AT(DATA + 32),
	  .mem_out = { DATA + 56, 8, 0x2222222222222222 } },
	{ "64: vmovaps (%rbx),%xmm16", L64, "62 e1 7c 08 28 03", AT(DATA + 8), FAULT(13, 0) },
	{ "64: vmovntdq %zmm3,(%rbx)", L64, "62 f1 7d 48 e7 1b", AT(DATA + 32), FAULT(13, 0) },

	/* Features that must be enabled */
	{ "64: no masks", L64, "62 e1 fe 28 6f 03", AT_DATA, .setup = no_masks,
	  FAULT(6, NO_ERROR) },
	{ "64: no upper halves", L64, "62 e1 fe 28 6f 03", AT_DATA, .setup = no_upper_half,
	  FAULT(6, NO_ERROR) },
	{ "64: no upper registers", L64, "62 e1 fe 28 6f 03", AT_DATA,
	  .setup = no_upper_registers, FAULT(6, NO_ERROR) },
	{ "64: no AVX", L64, "62 e1 fe 28 6f 03", AT_DATA, .setup = no_avx, FAULT(6, NO_ERROR) },
	{ "64: no XSAVE", L64, "62 e1 fe 28 6f 03", AT_DATA, .setup = no_xsave,
	  FAULT(6, NO_ERROR) },
	{ "64: no masks, and kmov", L64, "c5 f8 91 0b", AT_DATA, .setup = no_masks,
	  FAULT(6, NO_ERROR) },
	{ "64: another task's registers", L64, "62 e1 fe 28 6f 03", AT_DATA,
	  .setup = task_switched, FAULT(7, NO_ERROR) },

	/* Undefined encodings */
	{ "64: 66 before EVEX", L64, "66 62 e1 fe 28 6f 03", AT_DATA, FAULT(6, NO_ERROR) },
	{ "64: REX before EVEX", L64, "48 62 e1 fe 28 6f 03", AT_DATA, FAULT(6, NO_ERROR) },
	{ "64: LOCK before EVEX", L64, "f0 62 e1 fe 28 6f 03", AT_DATA, FAULT(6, NO_ERROR) },
	{ "64: a bit that is 0 is 1", L64, "62 e9 fe 28 6f 03", AT_DATA, FAULT(6, NO_ERROR) },
	{ "64: a bit that is 1 is 0", L64, "62 e1 fa 28 6f 03", AT_DATA, FAULT(6, NO_ERROR) },
	{ "64: map 0", L64, "62 e0 fe 28 6f 03", AT_DATA, FAULT(6, NO_ERROR) },
	{ "64: vvvv is used", L64, "62 e1 f6 28 6f 03", AT_DATA, FAULT(6, NO_ERROR) },
	{ "64: V' is used", L64, "62 e1 fe 20 6f 03", AT_DATA, FAULT(6, NO_ERROR) },
	{ "32: V' is not there", P32, "62 f1 6c 00 16 4b 01", AT_DATA, FAULT(6, NO_ERROR) },
	{ "64: L'L is 3", L64, "62 e1 fe 68 6f 03", AT_DATA, FAULT(6, NO_ERROR) },
	{ "64: vmovq of 256 bits", L64, "62 e1 fd 28 7e 53 01", AT_DATA, FAULT(6, NO_ERROR) },
	{ "64: broadcast", L64, "62 e1 fe 38 6f 03", AT_DATA, FAULT(6, NO_ERROR) },
	{ "64: W of vmovups", L64, "62 e1 fc 48 10 43 ff", AT_DATA, FAULT(6, NO_ERROR) },
	{ "64: W of vmovupd", L64, "62 e1 7d 08 10 43 01", AT_DATA, FAULT(6, NO_ERROR) },
	{ "64: zeroing memory", L64, "62 e1 7f c9 7f 0b", AT_DATA, FAULT(6, NO_ERROR) },
	{ "64: zeroing without a mask", L64, "62 f1 7e c8 6f 0b", AT_DATA, FAULT(6, NO_ERROR) },
	{ "64: a mask for vmovntdq", L64, "62 f1 7d 49 e7 1b", AT_DATA, FAULT(6, NO_ERROR) },
	{ "64: a mask for vmovd", L64, "62 e1 7d 09 6e 53 01", AT_DATA, FAULT(6, NO_ERROR) },
	{ "64: vmovntdq to a register", L64, "62 f1 7d 48 e7 c3", FAULT(6, NO_ERROR) },
	{ "64: vmovdqu without a prefix", L64, "62 f1 7c 48 6f 0b", FAULT(6, NO_ERROR) },
	{ "16: EVEX in real mode", REAL, "62 f1 7e 48 7f 1b", FAULT(6, NO_ERROR) },
	{ "64: L of kmov", L64, "c5 fc 91 0b", AT_DATA, FAULT(6, NO_ERROR) },
	{ "64: kmov to memory that is a register", L64, "c5 f8 91 c8", FAULT(6, NO_ERROR) },

	/* Without EVEX: more than moves */
	{ "64: pand (%rbx),%xmm1", L64, "66 0f db 0b", AT_DATA, .setup = pattern,
	  .vector_out = V(1, 8, 0x0100010001000100) },
	{ "64: ... must be aligned", L64, "66 0f db 0b", AT(DATA + 8), FAULT(13, 0) },
	{ "64: vpand (%rbx),%xmm2,%xmm1", L64, "c5 e9 db 0b", AT(DATA + 9), .setup = pattern,
	  .vector_out = V(1, 0, 0x0002020000020200) },
	{ "64: ... clears the upper half", L64, "c5 e9 db 0b", AT(DATA + 9), .setup = pattern,
	  .vector_out = V(1, 16, 0) },
	{ "64: vpandn (%rbx),%ymm2,%ymm1", L64, "c5 ed df 0b", AT_DATA, .setup = pattern,
	  .vector_out = V(1, 24, 0x1d1c1d1c19181918) },
	{ "64: pcmpeqb (%rbx),%xmm1", L64, "66 0f 74 0b", AT_DATA, .mem = { DATA, 8, 0x2211 },
	  .vector_out = V(1, 0, 0xff) },
	{ "64: pcmpeqd (%rbx),%xmm1", L64, "66 0f 76 0b", AT_DATA,
	  .mem = { DATA, 8, 0x1111111111111112 }, .vector_out = V(1, 0, 0xffffffff00000000) },
	{ "64: pxor %xmm3,%xmm3", L64, "66 0f ef db", .vector_out = V(3, 8, 0) },
	{ "64: ... leaves the upper half", L64, "66 0f ef db",
	  .vector_out = V(3, 16, 0x3333333333333333) },
	{ "64: ptest (%rbx),%xmm1", L64, "66 0f 38 17 0b", AT_DATA,
	  .mem = { DATA, 8, 0x2200 }, .flags = 0x8d5, .flags_out = BENCH_FLAG_ZF },
	{ "64: ptest of nothing else", L64, "66 0f 38 17 0b", AT_DATA,
	  .mem = { DATA, 8, 0x1100 }, .flags = 0x8d5, .flags_out = BENCH_FLAG_CF },
	{ "64: movss %xmm2,%xmm1", L64, "f3 0f 10 ca", .vector_out = V(1, 0, 0x1111111122222222) },
	{ "64: vmovsd %xmm2,%xmm3,%xmm1", L64, "c5 e3 10 ca",
	  .vector_out = V(1, 8, 0x3333333333333333) },
	{ "64: vmovss from memory has no third", L64, "c5 e2 10 0b", AT_DATA,
	  FAULT(6, NO_ERROR) },
	{ "64: vbroadcastss (%rbx),%ymm1", L64, "c4 e2 7d 18 0b", AT_DATA, .setup = pattern,
	  .vector_out = V(1, 24, 0x0302010003020100) },
	{ "64: vbroadcastf128 (%rbx),%ymm1", L64, "c4 e2 7d 1a 0b", AT_DATA, .setup = pattern,
	  .vector_out = V(1, 24, 0x0f0e0d0c0b0a0908) },
	{ "64: vpbroadcastb (%rbx),%xmm1", L64, "c4 e2 79 78 0b", AT(DATA + 5), .setup = pattern,
	  .vector_out = V(1, 8, 0x0505050505050505) },
	{ "64: vbroadcastsd of 128 bits", L64, "c4 e2 79 19 0b", AT_DATA, FAULT(6, NO_ERROR) },
	{ "64: vbroadcastss with W", L64, "c4 e2 fd 18 0b", AT_DATA, FAULT(6, NO_ERROR) },
	{ "64: broadcasting with SSE", L64, "66 0f 38 18 0b", AT_DATA, FAULT(6, NO_ERROR) },
	{ "64: movdiri %rax,(%rbx)", L64, "48 0f 38 f9 03",
	  .in = { R(RAX, 0x1122334455667788), R(RBX, DATA + 1) },
	  .mem_out = { DATA + 1, 8, 0x1122334455667788 } },
	{ "64: movdir64b (%rbx),%rdi", L64, "66 0f 38 f8 3b",
	  .in = { R(RBX, DATA + 3), R(RDI, DATA + 128) }, .setup = pattern,
	  .mem_out = { DATA + 128 + 56, 8, 0x4241403f3e3d3c3b } },
	{ "64: movdir64b to what is not aligned", L64, "66 0f 38 f8 3b",
	  .in = { R(RBX, DATA), R(RDI, DATA + 96) }, FAULT(13, 0) },

	/* Single elements, and elements of other sizes */
	{ "64: pmovzxbw (%rbx),%xmm1", L64, "66 0f 38 30 0b", AT(DATA + 121), .setup = pattern,
	  .vector_out = V(1, 0, 0x007c007b007a0079) },
	{ "64: pmovsxbd reads no more than it moves", L64, "66 0f 38 21 0b", AT(NEXT - 4),
	  .setup = absent_next, .vector_out = V(1, 8, 0x0000003f0000003e) },
	{ "64: pmovsxwq of a negative number", L64, "66 0f 38 24 0b", AT_DATA,
	  .mem = { DATA, 8, 0x80017fff }, .vector_out = V(1, 8, 0xffffffffffff8001) },
	{ "64: ... leaves the upper half", L64, "66 0f 38 24 0b", AT_DATA,
	  .vector_out = V(1, 16, 0x1111111111111111) },
	{ "64: vpmovzxdq (%rbx),%ymm1", L64, "c4 e2 7d 35 0b", AT_DATA, .setup = pattern,
	  .vector_out = V(1, 24, 0x0f0e0d0c) },
	{ "64: vpmovzxdq with a third", L64, "c4 e2 75 35 0b", AT_DATA, FAULT(6, NO_ERROR) },
	{ "64: pmovzxbw without 66", L64, "0f 38 30 0b", AT_DATA, FAULT(6, NO_ERROR) },
	{ "64: pinsrb $19,(%rbx),%xmm1", L64, "66 0f 3a 20 0b 13", AT(DATA + 7),
	  .setup = pattern, .vector_out = V(1, 0, 0x1111111107111111) },
	{ "64: vpinsrw $4,(%rbx),%xmm2,%xmm1", L64, "c5 e9 c4 0b 04", AT_DATA,
	  .setup = pattern, .vector_out = V(1, 8, 0x2222222222220100) },
	{ "64: ... clears the upper half", L64, "c5 e9 c4 0b 04", AT_DATA,
	  .setup = pattern, .vector_out = V(1, 16, 0) },
	{ "64: pinsrd $1,%edx,%xmm1", L64, "66 0f 3a 22 ca 01",
	  .in = { R(RDX, 0xa1a2a3a4a5a6a7a8) }, .vector_out = V(1, 0, 0xa5a6a7a811111111) },
	{ "64: pinsrq $1,(%rbx),%xmm1", L64, "66 48 0f 3a 22 0b 01", AT_DATA,
	  .setup = pattern, .vector_out = V(1, 8, 0x0706050403020100) },
	{ "64: vpinsrd $0,(%rbx),%xmm18,%xmm17", L64, "62 e3 6d 00 22 0b 00", AT_DATA,
	  .setup = pattern, .vector_out = V(17, 0, 0x3232323203020100) },
	{ "64: pextrb $3,%xmm3,(%rbx)", L64, "66 0f 3a 14 1b 03", AT_DATA,
	  .mem_out = { DATA, 8, 0x33 } },
	{ "64: pextrw $1,%xmm3,%edx", L64, "66 0f 3a 15 da 01", .in = { R(RDX, ~0ull) },
	  .out = { R(RDX, 0x3333) } },
	{ "64: pextrd $2,%xmm3,(%rbx)", L64, "66 0f 3a 16 1b 02", AT_DATA,
	  .mem_out = { DATA, 8, 0x33333333 } },
	{ "64: vpextrq $1,%xmm3,(%rbx)", L64, "c4 e3 f9 16 1b 01", AT_DATA,
	  .mem_out = { DATA, 8, 0x3333333333333333 } },
	{ "32: vpextrq is vpextrd", P32, "c4 e3 f9 16 1b 01", AT_DATA,
	  .mem_out = { DATA, 8, 0x33333333 } },
	{ "64: extractps $1,%xmm3,(%rbx)", L64, "66 48 0f 3a 17 1b 01", AT_DATA,
	  .mem_out = { DATA, 8, 0x33333333 } },
	{ "64: vpextrb $0,%xmm17,1(%rbx)", L64, "62 e3 7d 08 14 4b 01 00", AT_DATA,
	  .mem_out = { DATA, 8, 0x2100 } },
	{ "64: vpextrb of 256 bits", L64, "c4 e3 7d 14 1b 03", AT_DATA, FAULT(6, NO_ERROR) },
	{ "64: a mask for vpextrb", L64, "62 e3 7d 09 14 4b 01 00", AT_DATA, FAULT(6, NO_ERROR) },
	{ "64: movddup (%rbx),%xmm1", L64, "f2 0f 12 0b", AT(NEXT - 8), .setup = absent_next,
	  .vector_out = V(1, 8, 0x3f3e3d3c3b3a3938) },
	{ "64: vmovddup (%rbx),%ymm1", L64, "c5 ff 12 0b", AT(DATA + 1), .setup = pattern,
	  .vector_out = V(1, 24, 0x1817161514131211) },
	{ "64: movsldup (%rbx),%xmm1", L64, "f3 0f 12 0b", AT_DATA, .setup = pattern,
	  .vector_out = V(1, 8, 0x0b0a09080b0a0908) },
	{ "64: ... must be aligned", L64, "f3 0f 12 0b", AT(DATA + 4), FAULT(13, 0) },
	{ "64: vmovshdup (%rbx),%xmm1", L64, "c5 fa 16 0b", AT(DATA + 4), .setup = pattern,
	  .vector_out = V(1, 0, 0x0b0a09080b0a0908) },

	/* Masks in vector registers */
	{ "64: maskmovdqu %xmm9,%xmm3", L64, "66 41 0f f7 d9", .in = { R(RDI, DATA + 1) },
	  .setup = pattern, .mem_out = { DATA, 8, 0x3333333333333300 } },
	{ "64: maskmovdqu of nothing is nowhere", L64, "66 0f f7 da",
	  .in = { R(RDI, 1ull << 63) } },
	{ "32: maskmovdqu %xmm7,%xmm3 by the prefix", P32, "65 67 66 0f f7 df",
	  .in = { R(RDI, DATA) }, .setup = pattern, .mem_out = { DATA, 8, 0x0706050403020100 } },
	{ "64: maskmovdqu is a store", L64, "66 41 0f f7 d9", AT_DI(NEXT - 8),
	  .setup = read_only_next, .mem_out = { NEXT - 8, 8, 0x3f3e3d3c3b3a3938 }, FAULT(14, 3) },
	{ "32: the segment must have no more than the mask leaves", P32, "66 0f f7 da",
	  .in = { R(RDI, DATA) }, .setup = last_byte, .mem_out = { DATA, 8, 0x33 } },
	{ "64: maskmovdqu with memory", L64, "66 0f f7 1b", AT_DATA, FAULT(6, NO_ERROR) },
	{ "64: vmaskmovps (%rbx),%xmm2,%xmm1 of nothing", L64, "c4 e2 69 2c 0b", AT(1ull << 63),
	  .vector_out = V(1, 0, 0) },
	{ "64: vmaskmovps (%rbx),%ymm9,%ymm1", L64, "c4 e2 35 2c 0b", AT_DATA, .setup = pattern,
	  .vector_out = V(1, 24, 0x1f1e1d1c1b1a1918) },
	{ "64: vmaskmovps is nowhere misaligned", L64, "c4 e2 35 2c 0b", AT(DATA + 1),
	  .setup = strict_user, .flags_out = 1 << 18,
	  .vector_out = V(1, 0, 0x0807060504030201) },
	{ "64: vpmaskmovd (%rbx),%xmm1,%xmm2", L64, "c4 e2 71 8c 13", AT(NEXT - 8),
	  .setup = half_a_mask, .vector_out = V(2, 0, 0x3f3e3d3c00000000) },
	{ "64: vpmaskmovq %xmm3,%xmm1,(%rbx)", L64, "c4 e2 f1 8e 1b", AT(NEXT - 8),
	  .setup = half_a_mask, .mem_out = { NEXT - 8, 8, 0x3333333333333333 } },
	{ "64: vmaskmovpd %xmm3,%xmm1,(%rbx)", L64, "c4 e2 71 2f 1b", AT(NEXT - 8),
	  .setup = half_a_mask, .mem_out = { NEXT - 8, 8, 0x3333333333333333 } },
	{ "64: vmaskmovps with W", L64, "c4 e2 f1 2e 1b", AT_DATA, FAULT(6, NO_ERROR) },
	{ "64: vmaskmovps of registers", L64, "c4 e2 71 2e c3", FAULT(6, NO_ERROR) },
	{ "64: maskmovps without VEX", L64, "66 0f 38 2c 0b", AT_DATA, FAULT(6, NO_ERROR) },
	{ "64: kmovd %k1,%eax", L64, "c5 fb 93 c1", .in = { R(RAX, ~0ull) }, .setup = pattern,
	  .out = { R(RAX, (u32)MASK) } },
	{ "64: kmovb %k1,%eax", L64, "c5 f9 93 c1", .in = { R(RAX, ~0ull) }, .setup = pattern,
	  .out = { R(RAX, 5) } },
	{ "64: kmovw to memory that is no register", L64, "c5 f8 93 03", AT_DATA,
	  FAULT(6, NO_ERROR) },

	/* Instructions not executed here */
	{ "64: vaddps (%rbx),%zmm0,%zmm1", L64, "62 f1 7c 48 58 0b", AT_DATA,
	  .result = EMU_UNHANDLED },
	{ "64: vmovss of registers", L64, "62 f1 7e 48 10 c1", .result = EMU_UNHANDLED },
	{ .name = NULL },
};

/* One access for each run of selected elements, and none between them. */
static void test_pieces(void)
{
	static struct bench b;

	bench_reset(&b, L64, 0, CODE_AT);
	bench_put_code(&b, "62 e1 7f 49 7f 0b");
	b.ctx.gpr[EMU_RBX] = DATA;
	b.mask[1] = 0xf0f000000000000f;
	tap_ok(bench_step(&b) == EMU_OK && b.writes == 3, "a masked store has pieces");
	tap_ok(!b.ctx.insn.single_access, "and is not one access");
}

static void test_whole(void)
{
	static struct bench b;

	bench_reset(&b, L64, 0, CODE_AT);
	bench_put_code(&b, "62 e1 fe 48 6f 03");
	b.ctx.gpr[EMU_RBX] = DATA;
	tap_ok(bench_step(&b) == EMU_OK && b.reads == 1, "without a mask there is one access");
	tap_ok(b.ctx.insn.single_access, "and the decoder says so");
}

/* The rest of the register is cleared: a mask has as many bits as there are elements. */
static void test_kmov_load(void)
{
	static struct bench b;

	bench_reset(&b, L64, 0, CODE_AT);
	bench_put_code(&b, "c5 f8 90 1b");
	b.ctx.gpr[EMU_RBX] = DATA;
	memset(bench_at(&b, DATA), 0x5a, 8);
	b.mask[3] = ~0ull;
	tap_ok(bench_step(&b) == EMU_OK && b.mask[3] == 0x5a5a, "kmovw (%%rbx),%%k3");
	b.ctx.rip = CODE_AT;
	bench_put_code(&b, "c4 e1 f8 90 eb");
	tap_ok(bench_step(&b) == EMU_OK && b.mask[5] == 0x5a5a, "kmovq %%k3,%%k5");
	b.ctx.rip = CODE_AT;
	bench_put_code(&b, "c5 f9 92 eb");
	tap_ok(bench_step(&b) == EMU_OK && b.mask[5] == (u8)DATA, "kmovb %%ebx,%%k5");
}

int main(void)
{
	const struct row *row;

	for (row = rows; row->name; row++)
		tap_ok(row_passes(row), "%s", row->name);
	test_pieces();
	test_whole();
	test_kmov_load();
	return tap_done();
}
