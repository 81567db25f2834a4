// SPDX-License-Identifier: GPL-2.0
/*
 * Test the opcode maps, instruction by instruction: undefined ones, those not
 * executed here, and sizes and edge cases that a user program cannot try on the
 * processor.
 */
#include "emulate_rows.h"
#include "tap.h"

#define UD	FAULT(6, NO_ERROR)
#define AC	0x40000u
#define ELSEWHERE	.result = EMU_UNHANDLED

static void wide_code(struct bench *b)
{
	b->ctx.seg[EMU_CS].db = 1;
}

static void absent_second_page(struct bench *b)
{
	b->rights[DATA / BENCH_PAGE + 1] = BENCH_ABSENT;
	b->gdt = (struct emu_table){ .base = 0x1122334455667788, .limit = 0x99aa };
}

static void small_stack(struct bench *b)
{
	b->ctx.seg[EMU_SS].db = 0;
}

static void system_state(struct bench *b)
{
	b->xcr[0] = 0x1122334455667788;
	b->xcr[1] = 7;
	b->own_msr[0xc0000103 & 15] = 0x99;
	b->random[0] = 0x89abcdef;
	b->random[1] = 0x123456789;
}

static void bare_processor(struct bench *b)
{
	b->lacks = ~0u;
}

static void bare_control(struct bench *b)
{
	b->ctx.cr4 = 0;
}

static void user(struct bench *b)
{
	b->ctx.cpl = 3;
}

static void user_without_time(struct bench *b)
{
	b->ctx.cpl = 3;
	b->ctx.cr4 |= 4;
}

static const struct row rows[] = {
	/* Real mode obeys CS.D */
	{ "16: mov $imm32,%eax while CS is wide", REAL, "b8 78 56 34 12", .setup = wide_code,
	  .out = { R(RAX, 0x12345678) } },
	{ "16: mov %eax,(%esi) while CS is wide", REAL, "89 06",
	  .in = { R(RAX, 0x12345678), R(RSI, DATA) }, .setup = wide_code,
	  .mem_out = { DATA, 8, 0x12345678 } },
	{ "16: mov $imm16,%ax with a 66 prefix", REAL, "66 b8 78 56", .setup = wide_code,
	  .out = { R(RAX, 0x5678) } },
	{ "16: mov %ax,(%si) with a 67 prefix", REAL, "67 66 89 04",
	  .in = { R(RAX, 0x12345678), R(RSI, DATA) }, .setup = wide_code,
	  .mem_out = { DATA, 8, 0x5678 } },

	/* Stack pointers of 16 bits wrap before the destination is addressed */
	{ "32: pop (%esp) at the end of a 16-bit stack", P32, "66 8f 04 24",
	  .in = { R(RSP, 0x1fffe) }, .setup = small_stack, .mem = { 0xfffe, 2, 0x1234 },
	  .mem_out = { 0x10000, 2, 0x1234 }, .out = { R(RSP, 0x10000) } },

	/* Nothing is stored unless all of it can be */
	{ "64: sgdt across an absent page", L64, "0f 01 03", .in = { R(RBX, DATA + 0xffe) },
	  .setup = absent_second_page, .mem = { DATA + 0xffe, 2, 0x5555 },
	  .mem_out = { DATA + 0xffe, 2, 0x5555 }, FAULT(14, 2) },
	{ "64: sidt across an absent page", L64, "0f 01 0b", .in = { R(RBX, DATA + 0xffa) },
	  .setup = absent_second_page, .mem = { DATA + 0xffa, 2, 0x5555 },
	  .mem_out = { DATA + 0xffa, 2, 0x5555 }, FAULT(14, 2) },

	/* Counts of zero with registers above 32 bits */
	{ "64: addr32 rep stosb of nothing", L64, "67 f3 aa",
	  .in = { R(RCX, 0xabcd00000000), R(RDI, 0xffff000012345678) },
	  .out = { R(RCX, 0), R(RDI, 0x12345678) } },
	{ "64: addr32 rep movsb of nothing", L64, "67 f3 a4",
	  .in = { R(RCX, 0xabcd00000000), R(RDI, 0xffff000012345678), R(RSI, 0x100000001) },
	  .out = { R(RCX, 0), R(RDI, 0x12345678), R(RSI, 1) } },
	{ "64: addr32 rep lodsb of nothing", L64, "67 f3 ac",
	  .in = { R(RCX, 0xabcd00000000), R(RSI, 0x100000001) }, .out = { R(RCX, 0) } },
	{ "64: rep stosb of nothing", L64, "f3 aa", .in = { R(RDI, 0xffff000012345678) } },

	/* Outside 64-bit code three bits of VEX.vvvv select, but unused means all four are set */
	{ "32: vmovups (%eax),%xmm0, vvvv = 0111", P32, "c4 e1 38 10 00", .in = { R(RAX, DATA) },
	  UD },
	{ "32: andn (%ebx),%eax,%eax, vvvv = 0111", P32, "c4 e2 38 f2 03",
	  .in = { R(RAX, 0x0f), R(RBX, DATA) }, .mem = { DATA, 4, 0xff }, .out = { R(RAX, 0xf0) } },
	{ "32: vmovups (%eax),%xmm0, vvvv = 0110", P32, "c4 e1 30 10 00", .in = { R(RAX, DATA) },
	  UD },
	{ "64: vmovups (%rax),%xmm0, vvvv = 0111", L64, "c4 e1 38 10 00", .in = { R(RAX, DATA) },
	  UD },

	/* Group 15 */
	{ "64: clflush", L64, "0f ae 39", .in = { R(RCX, DATA) } },
	{ "64: clflushopt", L64, "66 0f ae 39", .in = { R(RCX, DATA) } },
	{ "64: clwb", L64, "66 0f ae 31", .in = { R(RCX, DATA) } },
	{ "64: clwb of no address", L64, "66 0f ae 31", .in = { R(RCX, 1ull << 63) },
	  FAULT(13, 0) },
	{ "64: clflush with f3", L64, "f3 0f ae 39", .in = { R(RCX, DATA) }, UD },
	{ "64: clflush with f2", L64, "f2 0f ae 39", .in = { R(RCX, DATA) }, UD },
	{ "64: xsaveopt", L64, "0f ae 31", .in = { R(RCX, DATA) }, ELSEWHERE },
	{ "64: clrssbsy", L64, "f3 0f ae 31", .in = { R(RCX, DATA) }, UD },
	{ "64: lfence", L64, "0f ae e8", .rip = 0 },
	{ "64: mfence", L64, "0f ae f0", .rip = 0 },
	{ "64: sfence", L64, "0f ae f8", .rip = 0 },
	{ "64: incssp", L64, "f3 0f ae e8", UD },
	{ "64: rdfsbase where it is off", L64, "f3 0f ae c0", UD },
	{ "32: rdfsbase", P32, "f3 0f ae c0", UD },
	{ "64: rdfsbase without f3", L64, "0f ae c0", UD },
	{ "64: group 15 register 4", L64, "0f ae e0", UD },

	/* Group 7 */
	{ "64: vmcall", L64, "0f 01 c1", .in = { R(RAX, 5) }, .out = { R(RAX, ~5ull) } },
	{ "16: vmcall", REAL, "0f 01 c1", .in = { R(RAX, 5) }, .out = { R(RAX, ~5ull) } },
	{ "64: vmcall with 66", L64, "66 0f 01 c1", UD },
	{ "64: vmlaunch", L64, "0f 01 c2", UD },
	{ "64: vmmcall", L64, "0f 01 d9", UD },
	{ "64: xgetbv", L64, "0f 01 d0", .in = { R(RAX, ~0ull), R(RDX, ~0ull) },
	  .setup = system_state, .out = { R(RAX, 0x55667788), R(RDX, 0x11223344) } },
	{ "64: xgetbv of 1", L64, "0f 01 d0", .in = { R(RCX, 0xff00000001) },
	  .setup = system_state, .out = { R(RAX, 7) } },
	{ "64: xgetbv of 1 where it is not", L64, "0f 01 d0", .in = { R(RCX, 1) },
	  .setup = bare_processor, FAULT(13, 0) },
	{ "64: xgetbv of 2", L64, "0f 01 d0", .in = { R(RCX, 2) }, FAULT(13, 0) },
	{ "64: xgetbv without OSXSAVE", L64, "0f 01 d0", .setup = bare_control, UD },
	{ "64: xsetbv without OSXSAVE", L64, "0f 01 d1", .setup = bare_control, UD },
	{ "64: xsetbv of 1", L64, "0f 01 d1", .in = { R(RCX, 1) }, FAULT(13, 0) },
	{ "64: xsetbv", L64, "0f 01 d1", .in = { R(RAX, 7) }, .rip = 0 },
	{ "64: user's xsetbv", L64, "0f 01 d1", .in = { R(RAX, 7) }, .setup = user, FAULT(13, 0) },
	{ "64: xgetbv with f3", L64, "f3 0f 01 d0", UD },
	{ "64: stac", L64, "0f 01 cb", .flags_out = AC },
	{ "64: clac", L64, "0f 01 ca", .flags = AC },
	{ "16: stac", REAL, "0f 01 cb", .flags_out = AC },
	{ "64: user's stac", L64, "0f 01 cb", .setup = user, UD },
	{ "64: stac where it is not", L64, "0f 01 cb", .setup = bare_processor, UD },
	{ "64: vmfunc", L64, "0f 01 d4", UD },
	{ "64: user's swapgs", L64, "0f 01 f8", .setup = user, FAULT(13, 0) },
	{ "64: monitor", L64, "0f 01 c8", .rip = 0 },
	{ "64: monitor of what is not canonical", L64, "0f 01 c8", .in = { R(RAX, 1ull << 63) },
	  FAULT(13, 0) },
	{ "64: monitor with an extension", L64, "0f 01 c8", .in = { R(RCX, 1) }, FAULT(13, 0) },
	{ "64: mwait", L64, "0f 01 c9", .rip = 0 },
	{ "64: user's mwait", L64, "0f 01 c9", .setup = user, UD },
	{ "32: swapgs", P32, "0f 01 f8", UD },
	{ "64: rdtscp", L64, "0f 01 f9", .in = { R(RCX, ~0ull) }, .setup = system_state,
	  .out = { R(RAX, 0x55667788), R(RDX, 0x11223344), R(RCX, 0x99) } },
	{ "64: rdtscp where it is not", L64, "0f 01 f9", .setup = bare_processor, UD },
	{ "64: rdtscp that is forbidden", L64, "0f 01 f9", .setup = user_without_time,
	  FAULT(13, 0) },
	{ "64: monitorx", L64, "0f 01 fa", UD },
	{ "64: group 7 memory 5", L64, "0f 01 2b", .in = { R(RBX, DATA) }, UD },

	/* Group 9 */
	{ "64: lock cmpxchg8b of a register", L64, "f0 0f c7 c8", UD },
	{ "64: cmpxchg8b of a register", L64, "0f c7 c8", UD },
	{ "64: rdrand %eax", L64, "0f c7 f0", .in = { R(RAX, ~0ull) }, .setup = system_state,
	  .flags = OSZAPC(1, 1, 1, 1, 1, 0), .flags_out = BENCH_FLAG_CF,
	  .out = { R(RAX, 0x89abcdef) } },
	{ "64: rdrand %ax", L64, "66 0f c7 f0", .in = { R(RAX, ~0ull) }, .setup = system_state,
	  .flags_out = BENCH_FLAG_CF, .out = { R(RAX, 0xffffffffffffcdef) } },
	{ "64: rdseed %rax", L64, "48 0f c7 f8", .setup = system_state,
	  .flags_out = BENCH_FLAG_CF, .out = { R(RAX, 0x123456789) } },
	{ "64: rdseed when there is none", L64, "48 0f c7 f8", .in = { R(RAX, 5) },
	  .flags = OSZAPC(1, 1, 1, 1, 1, 1), .out = { R(RAX, 0) } },
	{ "64: rdrand where it is not", L64, "0f c7 f0", .setup = bare_processor, UD },
	{ "64: rdrand with lock", L64, "f0 0f c7 f0", UD },
	{ "64: vmptrld", L64, "0f c7 33", .in = { R(RBX, DATA) }, UD },
	{ "64: rdpid", L64, "f3 0f c7 f8", .in = { R(RAX, ~0ull) }, .setup = system_state,
	  .out = { R(RAX, 0x99) } },
	{ "64: rdpid where it is not", L64, "f3 0f c7 f8", .setup = bare_processor, UD },
	{ "64: xsavec", L64, "0f c7 23", .in = { R(RBX, DATA) }, ELSEWHERE },
	{ "64: group 9 register 4", L64, "0f c7 e0", UD },
	{ "64: group 9 member 0", L64, "0f c7 03", .in = { R(RBX, DATA) }, UD },

	/* Undefined opcodes */
	{ "64: 0f 04", L64, "0f 04", UD },
	{ "64: 0f 0a", L64, "0f 0a", UD },
	{ "64: femms", L64, "0f 0e", UD },
	{ "64: 3DNow!", L64, "0f 0f c0 9e", UD },
	{ "64: 0f 24", L64, "0f 24 c0", UD },
	{ "64: 0f 36", L64, "0f 36", UD },
	{ "64: 0f 39", L64, "0f 39", UD },
	{ "64: vmread", L64, "0f 78 c0", UD },
	{ "64: 0f 7a", L64, "0f 7a c0", UD },
	{ "64: 0f a6", L64, "0f a6", UD },
	{ "64: rsm", L64, "0f aa", UD },
	{ "64: popcnt without f3", L64, "0f b8 c1", UD },
	{ "64: ud1", L64, "0f b9 c0", UD },
	{ "64: ud0", L64, "0f ff c0", UD },
	{ "64: group 6 member 6", L64, "0f 00 f0", UD },
	{ "64: group 11 member 1", L64, "c6 09 01", .in = { R(RCX, DATA) }, UD },
	{ "64: group 11 member 7 in memory", L64, "c7 39 01 00 00 00", .in = { R(RCX, DATA) }, UD },
	{ "64: xbegin", L64, "c7 f8 00 00 00 00", ELSEWHERE },
	{ "64: group 1A member 1", L64, "8f 08", .in = { R(RAX, DATA) }, UD },
	{ "64: movbe with f3", L64, "f3 0f 38 f0 01", .in = { R(RCX, DATA) }, UD },
	{ "64: 0f 38 0f", L64, "0f 38 0f c0", UD },
	{ "64: 0f 38 ff", L64, "0f 38 ff c0", UD },
	{ "64: invept", L64, "66 0f 38 80 00", .in = { R(RAX, DATA) }, UD },
	{ "64: invpcid", L64, "66 0f 38 82 00", .in = { R(RAX, DATA) }, ELSEWHERE },
	{ "64: pshufb", L64, "0f 38 00 00", .in = { R(RAX, DATA) }, ELSEWHERE },
	{ "64: 0f 3a 00", L64, "0f 3a 00 c0 00", UD },
	{ "64: palignr", L64, "0f 3a 0f c0 00", ELSEWHERE },
	{ "64: 0f 28 with f3", L64, "f3 0f 28 c0", UD },
	{ "64: movd with f3 is movq", L64, "f3 0f 7e c8", .rip = 0 },
	{ "64: movnti with 66", L64, "66 0f c3 03", .in = { R(RBX, DATA) }, UD },
	{ "32: syscall", P32, "0f 05", UD },
	{ "32: sysret", P32, "0f 07", UD },
	{ "64: rdpmc", L64, "0f 33", FAULT(13, 0) },
	{ "64: salc", L64, "d6", UD },
	{ "32: salc with carry", P32, "d6", .in = { R(RAX, 0x12345600) }, .flags = BENCH_FLAG_CF,
	  .flags_out = BENCH_FLAG_CF, .out = { R(RAX, 0x123456ff) } },
	{ "32: salc without", P32, "d6", .in = { R(RAX, 0x12345678) },
	  .out = { R(RAX, 0x12345600) } },
	{ "64: vzeroupper", L64, "c5 f8 77", ELSEWHERE },
	{ "64: rdtsc with VEX", L64, "c5 f8 31", UD },
	{ "64: setcc with VEX", L64, "c5 f8 9f c8", UD },
	{ "64: VEX map 4", L64, "c4 e4 78 10 00", .in = { R(RAX, DATA) }, UD },

	/* LOCK before what cannot be locked, executed here or not */
	{ "64: lock wait", L64, "f0 9b", UD },
	{ "64: lock fld", L64, "f0 d9 00", .in = { R(RAX, DATA) }, UD },
	{ "64: lock syscall", L64, "f0 0f 05", UD },
	{ "64: lock addps", L64, "f0 0f 58 c0", UD },
	{ "64: lock pshufb", L64, "f0 0f 38 00 00", .in = { R(RAX, DATA) }, UD },
	{ "64: lock lgdt of a register", L64, "f0 0f 01 d0", UD },
	{ .name = NULL },
};

/* The same bytes are another instruction when the code size changes. */
static void test_kept_decoding(void)
{
	static struct bench b;

	bench_reset(&b, EMU_MODE_REAL, 0, CODE_AT);
	bench_put_code(&b, "b8 78 56 34 12");
	b.ctx.seg[EMU_CS].db = 1;
	bench_step(&b);
	tap_ok(b.ctx.rip == CODE_AT + 5, "wide code of real mode: five bytes");
	b.ctx.seg[EMU_CS].db = 0;
	b.ctx.rip = CODE_AT;
	bench_step(&b);
	tap_ok(b.ctx.rip == CODE_AT + 3, "... and three when CS is narrow again");
}

/* A far jump in real mode changes the base of CS, and nothing else. */
static void test_far_jump_keeps_size(void)
{
	static struct bench b;

	bench_reset(&b, EMU_MODE_REAL, 0, CODE_AT);
	bench_put_code(&b, "ea 00 20 00 00 00 00");
	b.ctx.seg[EMU_CS].db = 1;
	tap_ok(bench_step(&b) == EMU_OK && b.ctx.rip == 0x2000 && b.ctx.seg[EMU_CS].db,
	       "a far jump in real mode does not change the code size");
}

int main(void)
{
	const struct row *row;

	for (row = rows; row->name; row++)
		tap_ok(row_passes(row), "%s", row->name);
	test_kept_decoding();
	test_far_jump_keeps_size();
	return tap_done();
}
