// SPDX-License-Identifier: GPL-2.0
/*
 * Test the emulator, instruction by instruction: a table of single instructions
 * in 16, 32 and 64-bit code with their expected results. emulate_flow_test.c has
 * what does not fit into a row; emulate_diff.c what this machine's processor can
 * check.
 */
#include "emulate_rows.h"
#include "tap.h"

static void real_segments(struct bench *b)
{
	b->ctx.seg[EMU_DS].base = 0x4000;
	b->ctx.seg[EMU_DS].sel = 0x400;
	b->ctx.seg[EMU_ES].base = 0x6000;
	b->ctx.seg[EMU_ES].sel = 0x600;
	b->ctx.seg[EMU_SS].base = 0x8000;
	b->ctx.seg[EMU_SS].sel = 0x800;
	b->ctx.seg[EMU_FS].base = 0xa000;
	b->ctx.seg[EMU_FS].sel = 0xa00;
}

static void fs_gs_bases(struct bench *b)
{
	b->ctx.seg[EMU_DS].base = 0x100;	/* does not count in 64-bit code */
	b->ctx.seg[EMU_FS].base = 0x1000;
	b->ctx.seg[EMU_GS].base = 0xffffffffffff8000;
}

static void data_limit(struct bench *b)
{
	b->ctx.seg[EMU_DS].limit = 0x8fff;
	b->ctx.seg[EMU_SS].limit = 0x8fff;
}

static void data_expand_down(struct bench *b)
{
	b->ctx.seg[EMU_DS].type = 7;
	b->ctx.seg[EMU_DS].limit = 0x7fff;
	b->ctx.seg[EMU_DS].db = 1;
	b->ctx.seg[EMU_SS].type = 7;
	b->ctx.seg[EMU_SS].limit = 0x7fff;
	b->ctx.seg[EMU_SS].db = 0;
}

static void data_read_only(struct bench *b)
{
	b->ctx.seg[EMU_DS].type = 1;
}

static void code_execute_only(struct bench *b)
{
	b->ctx.seg[EMU_CS].type = 9;
}

static void data_null(struct bench *b)
{
	b->ctx.seg[EMU_DS].unusable = 1;
}

static void high_base(struct bench *b)
{
	b->ctx.seg[EMU_DS].base = 0xfffff000;
}

static void small_code(struct bench *b)
{
	b->ctx.seg[EMU_CS].limit = 0x1fff;
}

static void big_stack(struct bench *b)
{
	b->ctx.seg[EMU_SS].db = 1;
}

static void small_stack(struct bench *b)
{
	b->ctx.seg[EMU_SS].db = 0;
}

static void user_alignment(struct bench *b)
{
	b->ctx.cpl = 3;
	b->ctx.cr0 |= 1 << 18;
}

static void user(struct bench *b)
{
	b->ctx.cpl = 3;
}

static void five_levels(struct bench *b)
{
	b->ctx.cr4 |= 1 << 12;
}

static void read_only_page(struct bench *b)
{
	b->rights[DATA / BENCH_PAGE] = BENCH_READ_ONLY;
}

static void absent_second_page(struct bench *b)
{
	b->rights[DATA / BENCH_PAGE + 1] = BENCH_ABSENT;
}

static void no_sse(struct bench *b)
{
	b->ctx.cr4 = 0;
}

static void task_switched(struct bench *b)
{
	b->ctx.cr0 |= 8;
}

static void no_avx(struct bench *b)
{
	b->ctx.xcr0 = 3;
}

static const struct row rows[] = {
	/* MOV in 64-bit code */
	{ "64: mov %al,(%rbx)", L64, "88 03", .in = { R(RAX, 0x1122334455667788), R(RBX, DATA) },
	  .mem = { DATA, 8, 0 }, .mem_out = { DATA, 8, 0x88 } },
	{ "64: mov %ax,(%rbx)", L64, "66 89 03", .in = { R(RAX, 0x1122334455667788), R(RBX, DATA) },
	  .mem = { DATA, 8, 0 }, .mem_out = { DATA, 8, 0x7788 } },
	{ "64: mov %eax,(%rbx)", L64, "89 03", .in = { R(RAX, 0x1122334455667788), R(RBX, DATA) },
	  .mem = { DATA, 8, 0 }, .mem_out = { DATA, 8, 0x55667788 } },
	{ "64: mov %rax,(%rbx)", L64, "48 89 03",
	  .in = { R(RAX, 0x1122334455667788), R(RBX, DATA) },
	  .mem = { DATA, 8, 0 }, .mem_out = { DATA, 8, 0x1122334455667788 } },
	{ "64: mov %ch,(%rbx)", L64, "88 2b", .in = { R(RCX, 0xaabb), R(RBX, DATA) },
	  .mem_out = { DATA, 2, 0xaa } },
	{ "64: mov %bpl,(%rbx)", L64, "40 88 2b", .in = { R(RBP, 0xaabb), R(RBX, DATA) },
	  .mem_out = { DATA, 2, 0xbb } },
	{ "64: mov (%rbx),%dh", L64, "8a 33", .in = { R(RDX, 0x1111111111111111), R(RBX, DATA) },
	  .mem = { DATA, 1, 0x99 }, .out = { R(RDX, 0x1111111111119911) } },
	{ "64: mov (%rbx),%sil", L64, "40 8a 33",
	  .in = { R(RSI, 0x1111111111111111), R(RBX, DATA) },
	  .mem = { DATA, 1, 0x99 }, .out = { R(RSI, 0x1111111111111199) } },
	{ "64: mov (%rbx),%cx", L64, "66 8b 0b", .in = { R(RCX, ~0ull), R(RBX, DATA) },
	  .mem = { DATA, 8, 0x1234 }, .out = { R(RCX, 0xffffffffffff1234) } },
	{ "64: mov (%rbx),%ecx", L64, "8b 0b", .in = { R(RCX, ~0ull), R(RBX, DATA) },
	  .mem = { DATA, 8, 0x89abcdef }, .out = { R(RCX, 0x89abcdef) } },
	{ "64: mov (%rbx),%r15", L64, "4c 8b 3b", .in = { R(RBX, DATA) },
	  .mem = { DATA, 8, 0x0123456789abcdef }, .out = { R(R15, 0x0123456789abcdef) } },
	{ "64: movb $0x5a,(%rbx)", L64, "c6 03 5a", .in = { R(RBX, DATA) },
	  .mem_out = { DATA, 2, 0x5a } },
	{ "64: movw $0x5aa5,(%rbx)", L64, "66 c7 03 a5 5a", .in = { R(RBX, DATA) },
	  .mem_out = { DATA, 4, 0x5aa5 } },
	{ "64: movl $0x89abcdef,(%rbx)", L64, "c7 03 ef cd ab 89", .in = { R(RBX, DATA) },
	  .mem_out = { DATA, 8, 0x89abcdef } },
	{ "64: movq $-2,(%rbx)", L64, "48 c7 03 fe ff ff ff", .in = { R(RBX, DATA) },
	  .mem_out = { DATA, 8, 0xfffffffffffffffe } },
	{ "64: movabs $0x1122334455667788,%r9", L64, "49 b9 88 77 66 55 44 33 22 11",
	  .out = { R(R9, 0x1122334455667788) } },
	{ "64: mov $0x89abcdef,%ecx", L64, "b9 ef cd ab 89", .in = { R(RCX, ~0ull) },
	  .out = { R(RCX, 0x89abcdef) } },
	{ "64: movabs %al,0x8010", L64, "a2 10 80 00 00 00 00 00 00", .in = { R(RAX, 0x77) },
	  .mem_out = { 0x8010, 1, 0x77 } },
	{ "64: movabs 0x8010,%rax", L64, "48 a1 10 80 00 00 00 00 00 00",
	  .mem = { 0x8010, 8, 0xfedcba9876543210 },
	  .out = { R(RAX, 0xfedcba9876543210) } },
	{ "64: addr32 movabs 0x8010,%eax", L64, "67 a1 10 80 00 00",
	  .mem = { 0x8010, 4, 0x76543210 }, .out = { R(RAX, 0x76543210) } },
	{ "64: mov %ds,(%rbx)", L64, "8c 1b", .in = { R(RBX, DATA) },
	  .mem = { DATA, 4, 0x11111111 },
	  .mem_out = { DATA, 4, 0x11110020 } },
	{ "64: mov %fs,%eax", L64, "8c e0", .in = { R(RAX, ~0ull) }, .out = { R(RAX, 0x28) } },
	{ "64: mov %fs,%rax", L64, "8c e0", .in = { R(RAX, ~0ull) }, .out = { R(RAX, 0x28) } },
	{ "64: mov %fs,%ax", L64, "66 8c e0", .in = { R(RAX, ~0ull) },
	  .out = { R(RAX, 0xffffffffffff0028) } },
	{ "64: movnti %ecx,(%rbx)", L64, "0f c3 0b", .in = { R(RCX, 0x1234567890), R(RBX, DATA) },
	  .mem_out = { DATA, 8, 0x34567890 } },
	{ "64: movbe %rcx,(%rbx)", L64, "48 0f 38 f1 0b",
	  .in = { R(RCX, 0x0102030405060708), R(RBX, DATA) },
	  .mem_out = { DATA, 8, 0x0807060504030201 } },
	{ "64: movbe (%rbx),%cx", L64, "66 0f 38 f0 0b", .in = { R(RCX, ~0ull), R(RBX, DATA) },
	  .mem = { DATA, 2, 0x1234 }, .out = { R(RCX, 0xffffffffffff3412) } },

	/* Addressing in 64-bit code */
	{ "64: mov %eax,-8(%rbx,%rcx,4)", L64, "89 44 8b f8",
	  .in = { R(RAX, 7), R(RBX, DATA), R(RCX, 0x10) },
	  .mem_out = { DATA + 0x38, 4, 7 } },
	{ "64: mov %eax,0x8000(,%r12,8)", L64, "42 89 04 e5 00 80 00 00",
	  .in = { R(RAX, 7), R(R12, 2) },
	  .mem_out = { 0x8010, 4, 7 } },
	{ "64: mov %eax,(%r12)", L64, "41 89 04 24", .in = { R(RAX, 7), R(R12, DATA) },
	  .mem_out = { DATA, 4, 7 } },
	{ "64: mov %eax,(%r13)", L64, "41 89 45 00", .in = { R(RAX, 7), R(R13, DATA) },
	  .mem_out = { DATA, 4, 7 } },
	{ "64: mov %eax,(%rsp,%rbp,1)", L64, "89 04 2c",
	  .in = { R(RAX, 7), R(RSP, DATA), R(RBP, 8) },
	  .mem_out = { DATA + 8, 4, 7 } },
	{ "64: mov %eax,0x8000", L64, "89 04 25 00 80 00 00", .in = { R(RAX, 7) },
	  .mem_out = { DATA, 4, 7 } },
	{ "64: mov %eax,0x6ffa(%rip)", L64, "89 05 fa 6f 00 00", .in = { R(RAX, 7) },
	  .mem_out = { DATA, 4, 7 } },
	{ "64: movb $7,0x6ff9(%rip)", L64, "c6 05 f9 6f 00 00 07", .mem_out = { DATA, 1, 7 } },
	{ "64: addr32 mov 0x6ff9(%eip),%eax", L64, "67 8b 05 f9 6f 00 00", .mem = { DATA, 4, 7 },
	  .out = { R(RAX, 7) } },
	{ "64: mov %eax,%fs:(%rbx)", L64, "64 89 03", .in = { R(RAX, 7), R(RBX, DATA) },
	  .setup = fs_gs_bases,
	  .mem_out = { DATA + 0x1000, 4, 7 } },
	{ "64: mov %eax,%gs:0x10000(%rbx)", L64, "65 89 83 00 00 01 00", .in = { R(RAX, 7) },
	  .setup = fs_gs_bases,
	  .mem_out = { DATA, 4, 7 } },
	{ "64: ds overrides nothing", L64, "3e 89 03", .in = { R(RAX, 7), R(RBX, DATA) },
	  .setup = fs_gs_bases, .mem_out = { DATA, 4, 7 } },
	{ "64: es after fs does not take fs away", L64, "64 26 89 03",
	  .in = { R(RAX, 7), R(RBX, DATA) }, .setup = fs_gs_bases,
	  .mem_out = { DATA + 0x1000, 4, 7 } },
	{ "64: a prefix after REX makes REX void", L64, "48 66 89 03",
	  .in = { R(RAX, 0x11223344), R(RBX, DATA) }, .mem = { DATA, 8, 0 },
	  .mem_out = { DATA, 8, 0x3344 } },
	{ "64: REX.W beats 66", L64, "66 48 89 03", .in = { R(RAX, ~0ull), R(RBX, DATA) },
	  .mem_out = { DATA, 8, ~0ull } },
	{ "64: addr32 mov %eax,0x10(%ebx)", L64, "67 89 43 10",
	  .in = { R(RAX, 7), R(RBX, 0xffffffff00007ff0) },
	  .mem_out = { DATA, 4, 7 } },
	{ "64: addr32 mov %eax,0x10(%ebx,%ecx,2)", L64, "67 89 44 4b 10",
	  .in = { R(RAX, 7), R(RBX, 0xfffffff0), R(RCX, 0x4000) }, .mem_out = { DATA, 4, 7 } },

	/* Widening moves */
	{ "64: movzbl (%rbx),%ecx", L64, "0f b6 0b", .in = { R(RCX, ~0ull), R(RBX, DATA) },
	  .mem = { DATA, 4, 0xffffff81 }, .out = { R(RCX, 0x81) } },
	{ "64: movzwq (%rbx),%rcx", L64, "48 0f b7 0b", .in = { R(RCX, ~0ull), R(RBX, DATA) },
	  .mem = { DATA, 4, 0xffff8001 }, .out = { R(RCX, 0x8001) } },
	{ "64: movzbw (%rbx),%cx", L64, "66 0f b6 0b", .in = { R(RCX, ~0ull), R(RBX, DATA) },
	  .mem = { DATA, 4, 0xffffff81 }, .out = { R(RCX, 0xffffffffffff0081) } },
	{ "64: movsbl (%rbx),%ecx", L64, "0f be 0b", .in = { R(RBX, DATA) },
	  .mem = { DATA, 1, 0x81 },
	  .out = { R(RCX, 0xffffff81) } },
	{ "64: movswq (%rbx),%rcx", L64, "48 0f bf 0b", .in = { R(RBX, DATA) },
	  .mem = { DATA, 2, 0x8001 },
	  .out = { R(RCX, 0xffffffffffff8001) } },
	{ "64: movslq (%rbx),%rcx", L64, "48 63 0b", .in = { R(RBX, DATA) },
	  .mem = { DATA, 4, 0x80000001 },
	  .out = { R(RCX, 0xffffffff80000001) } },

	/* Real mode: addressing, segments, limits */
	{ "16: mov %ax,(%bx,%si)", REAL, "89 00",
	  .in = { R(RAX, 0x1234), R(RBX, 0x100), R(RSI, 0x20) },
	  .setup = real_segments, .mem_out = { 0x4120, 2, 0x1234 } },
	{ "16: mov %ax,(%bp,%di)", REAL, "89 03",
	  .in = { R(RAX, 0x1234), R(RBP, 0x100), R(RDI, 0x20) },
	  .setup = real_segments, .mem_out = { 0x8120, 2, 0x1234 } },
	{ "16: mov %ax,0x10(%bp)", REAL, "89 46 10", .in = { R(RAX, 0x1234), R(RBP, 0x100) },
	  .setup = real_segments, .mem_out = { 0x8110, 2, 0x1234 } },
	{ "16: mov %al,0x123", REAL, "a2 23 01", .in = { R(RAX, 0x34) }, .setup = real_segments,
	  .mem_out = { 0x4123, 1, 0x34 } },
	{ "16: mov %cl,0x123", REAL, "88 0e 23 01", .in = { R(RCX, 0x34) }, .setup = real_segments,
	  .mem_out = { 0x4123, 1, 0x34 } },
	{ "16: mov %ax,%es:(%di)", REAL, "26 89 05", .in = { R(RAX, 0x1234), R(RDI, 0x10) },
	  .setup = real_segments, .mem_out = { 0x6010, 2, 0x1234 } },
	{ "16: mov %ax,%fs:(%bp)", REAL, "64 89 46 00", .in = { R(RAX, 0x1234), R(RBP, 0x10) },
	  .setup = real_segments, .mem_out = { 0xa010, 2, 0x1234 } },
	{ "16: mov %ax,%cs:(%di)", REAL, "2e 89 05", .in = { R(RAX, 0x1234), R(RDI, 0x5000) },
	  .mem_out = { 0x5000, 2, 0x1234 } },
	{ "16: mov %ax,-2(%bx)", REAL, "89 47 fe", .in = { R(RAX, 0x1234), R(RBX, 0) },
	  .setup = real_segments, .mem_out = { 0x13ffe, 2, 0x1234 } },
	{ "16: mov %ax,0x7000(%bx,%di)", REAL, "89 81 00 70",
	  .in = { R(RAX, 0x1234), R(RBX, 0xffff9000), R(RDI, 0x8) },
	  .setup = real_segments, .mem_out = { 0x4008, 2, 0x1234 } },
	{ "16: mov %eax,(%bx)", REAL, "66 89 07", .in = { R(RAX, 0x12345678), R(RBX, 0) },
	  .setup = real_segments, .mem_out = { 0x4000, 4, 0x12345678 } },
	{ "16: mov %ax,0x10(%ebx,%ecx,4)", REAL, "67 89 44 8b 10",
	  .in = { R(RAX, 0x1234), R(RBX, 0x100), R(RCX, 0x10) },
	  .setup = real_segments, .mem_out = { 0x4150, 2, 0x1234 } },
	{ "16: mov %ax,(%esp)", REAL, "67 89 04 24", .in = { R(RAX, 0x1234), R(RSP, 0x100) },
	  .setup = real_segments, .mem_out = { 0x8100, 2, 0x1234 } },
	{ "16: mov %es,(%bx)", REAL, "8c 07", .in = { R(RBX, 0x10) }, .setup = real_segments,
	  .mem_out = { 0x4010, 4, 0x600 } },
	{ "16: mov %ax,(%bx)", REAL, "89 07", .in = { R(RBX, 0xffff) }, .setup = real_segments,
	  FAULT(13, NO_ERROR) },
	{ "16: mov %al,(%bx)", REAL, "88 07", .in = { R(RAX, 0x77), R(RBX, 0xffff) },
	  .setup = real_segments,
	  .mem_out = { 0x13fff, 1, 0x77 } },
	{ "16: mov %ax,(%bp)", REAL, "89 46 00", .in = { R(RBP, 0xffff) }, .setup = real_segments,
	  FAULT(12, NO_ERROR) },
	{ "16: mov %ax,(%ebx)", REAL, "67 89 03", .in = { R(RBX, 0x10000) }, .setup = real_segments,
	  FAULT(13, NO_ERROR) },
	{ "v86: a limit fault has an error code", EMU_MODE_VM86, "89 07",
	  .in = { R(RBX, 0xffff) }, FAULT(13, 0) },

	/* Protected mode: limits, types, null, wrap */
	{ "32: mov %eax,(%ebx)", P32, "89 03", .in = { R(RAX, 7), R(RBX, 0x8ffc) },
	  .setup = data_limit,
	  .mem_out = { 0x8ffc, 4, 7 } },
	{ "32: mov %eax,(%ebx)", P32, "89 03", .in = { R(RBX, 0x8ffd) },
	  .setup = data_limit, FAULT(13, 0) },
	{ "32: mov (%ebx),%eax", P32, "8b 03", .in = { R(RBX, 0x9000) },
	  .setup = data_limit, FAULT(13, 0) },
	{ "32: mov %eax,(%ebp)", P32, "89 45 00", .in = { R(RBP, 0x8ffd) },
	  .setup = data_limit, FAULT(12, 0) },
	{ "32: mov %eax,(%esp)", P32, "89 04 24", .in = { R(RSP, 0x8ffd) },
	  .setup = data_limit, FAULT(12, 0) },
	{ "32: mov %eax,%ds:(%ebp)", P32, "3e 89 45 00", .in = { R(RBP, 0x8ffd) },
	  .setup = data_limit,
	  FAULT(13, 0) },
	{ "32: mov %eax,(%ebx)", P32, "89 03", .in = { R(RAX, 7), R(RBX, 0x8000) },
	  .setup = data_expand_down, .mem_out = { 0x8000, 4, 7 } },
	{ "32: mov %eax,(%ebx)", P32, "89 03", .in = { R(RBX, 0x7fff) }, .setup = data_expand_down,
	  FAULT(13, 0) },
	{ "32: mov %ax,(%ebp)", P32, "66 89 45 00", .in = { R(RBP, 0xffff) },
	  .setup = data_expand_down,
	  FAULT(12, 0) },
	{ "32: mov %al,(%ebp)", P32, "88 45 00", .in = { R(RAX, 7), R(RBP, 0xffff) },
	  .setup = data_expand_down, .mem_out = { 0xffff, 1, 7 } },
	{ "32: mov %eax,(%ebx)", P32, "89 03", .in = { R(RBX, DATA) }, .setup = data_read_only,
	  FAULT(13, 0) },
	{ "32: mov (%ebx),%eax", P32, "8b 03", .in = { R(RBX, DATA) }, .mem = { DATA, 4, 7 },
	  .setup = data_read_only, .out = { R(RAX, 7) } },
	{ "32: incl (%ebx)", P32, "ff 03", .in = { R(RBX, DATA) },
	  .setup = data_read_only, FAULT(13, 0) },
	{ "32: mov %eax,%cs:(%ebx)", P32, "2e 89 03", .in = { R(RBX, DATA) }, FAULT(13, 0) },
	{ "32: mov %cs:(%ebx),%eax", P32, "2e 8b 03", .in = { R(RBX, DATA) }, .mem = { DATA, 4, 7 },
	  .out = { R(RAX, 7) } },
	{ "32: mov %cs:(%ebx),%eax", P32, "2e 8b 03", .in = { R(RBX, DATA) },
	  .setup = code_execute_only,
	  FAULT(13, 0) },
	{ "32: mov (%ebx),%eax", P32, "8b 03", .in = { R(RBX, DATA) },
	  .setup = data_null, FAULT(13, 0) },
	{ "32: mov %eax,(%ebx)", P32, "89 03", .in = { R(RAX, 7), R(RBX, 0x9000) },
	  .setup = high_base,
	  .mem_out = { 0x8000, 4, 7 } },
	{ "32: mov %eax,(%ebx)", P32, "89 03", .in = { R(RAX, 0x11223344), R(RBX, 0xffe) },
	  .setup = high_base, .mem_out = { 0, 2, 0 }, FAULT(14, 2) },
	{ "32: mov %eax,(%ebx)", P32, "89 03", .in = { R(RBX, 0xfffffffe) }, FAULT(13, 0) },
	{ "32: mov %eax,-4(%ebx)", P32, "89 43 fc", .in = { R(RAX, 7), R(RBX, 0xdeadbeef00008004) },
	  .mem_out = { DATA, 4, 7 } },
	{ "32: mov %ax,(%bx)", P32, "67 66 89 07", .in = { R(RAX, 7), R(RBX, 0x18000) },
	  .mem_out = { DATA, 2, 7 } },
	{ "32: inc %ecx", P32, "41", .in = { R(RCX, 0xffffffff) }, .out = { R(RCX, 0) },
	  .flags_out = OSZAPC(0, 0, 1, 1, 1, 0) },
	{ "32: mov %eax,0x8000", P32, "a3 00 80 00 00", .in = { R(RAX, 7) },
	  .mem_out = { DATA, 4, 7 } },
	{ "16p: mov %ax,(%bx)", P16, "89 07", .in = { R(RAX, 7), R(RBX, DATA) },
	  .mem_out = { DATA, 2, 7 } },
	{ "16p: mov %eax,(%ebx)", P16, "67 66 89 03", .in = { R(RAX, 7), R(RBX, DATA) },
	  .mem_out = { DATA, 4, 7 } },

	/* Canonical addresses */
	{ "64: mov (%rbx),%eax", L64, "8b 03", .in = { R(RBX, 0x800000000000) }, FAULT(13, 0) },
	{ "64: mov (%rbx),%eax", L64, "8b 03", .in = { R(RBX, 0x7ffffffffffd) }, FAULT(13, 0) },
	{ "64: mov (%rbp),%eax", L64, "8b 45 00", .in = { R(RBP, 0x800000000000) }, FAULT(12, 0) },
	{ "64: mov (%rsp),%eax", L64, "8b 04 24", .in = { R(RSP, 0x800000000000) }, FAULT(12, 0) },
	{ "64: mov %fs:(%rbp),%eax", L64, "64 8b 45 00",
	  .in = { R(RBP, 0x800000000000) }, FAULT(13, 0) },
	{ "64: mov (%rbx),%eax", L64, "8b 03", .in = { R(RBX, 0xffff7fffffffffff) }, FAULT(13, 0) },
	{ "64: mov (%rbx),%eax", L64, "8b 03", .in = { R(RBX, 0x800000000000) },
	  .setup = five_levels,
	  FAULT(14, 0) },
	{ "64: push %rax", L64, "50", .in = { R(RSP, 0x800000000008) }, FAULT(12, 0) },

	/* Paging and alignment */
	{ "64: mov %eax,(%rbx)", L64, "89 03", .in = { R(RBX, DATA) }, .setup = read_only_page,
	  FAULT(14, 3) },
	{ "64: incl (%rbx)", L64, "ff 03", .in = { R(RBX, DATA) },
	  .setup = read_only_page, FAULT(14, 3) },
	{ "64: cmpl $0,(%rbx)", L64, "83 3b 00", .in = { R(RBX, DATA) }, .setup = read_only_page,
	  .flags_out = OSZAPC(0, 0, 1, 0, 1, 0) },
	{ "64: mov %eax,(%rbx)", L64, "89 03", .in = { R(RAX, 7), R(RBX, DATA + 0xffe) },
	  .setup = absent_second_page, .mem_out = { DATA + 0xffe, 2, 0 }, FAULT(14, 2) },
	{ "64: mov %eax,(%rbx)", L64, "89 03", .in = { R(RAX, 0x11223344), R(RBX, DATA + 0xffe) },
	  .mem_out = { DATA + 0xffe, 4, 0x11223344 } },
	{ "64: mov (%rbx),%eax", L64, "8b 03", .in = { R(RBX, DATA + 1) }, .setup = user_alignment,
	  .flags = 0x40000, FAULT(17, 0) },
	{ "64: mov (%rbx),%al", L64, "8a 03", .in = { R(RBX, DATA + 1) }, .setup = user_alignment,
	  .flags = 0x40000, .flags_out = 0x40000 },
	{ "64: mov (%rbx),%eax", L64, "8b 03", .in = { R(RBX, DATA + 1) },
	  .setup = user_alignment },

	/* Arithmetic with memory */
	{ "64: add %al,(%rbx)", L64, "00 03", .in = { R(RAX, 0x80), R(RBX, DATA) },
	  .mem = { DATA, 2, 0x80 },
	  .mem_out = { DATA, 2, 0 }, .flags_out = OSZAPC(1, 0, 1, 0, 1, 1) },
	{ "64: add (%rbx),%eax", L64, "03 03", .in = { R(RAX, 0x7fffffff), R(RBX, DATA) },
	  .mem = { DATA, 4, 1 }, .out = { R(RAX, 0x80000000) },
	  .flags_out = OSZAPC(1, 1, 0, 1, 1, 0) },
	{ "64: addq $-1,(%rbx)", L64, "48 83 03 ff", .in = { R(RBX, DATA) }, .mem = { DATA, 8, 1 },
	  .mem_out = { DATA, 8, 0 }, .flags_out = OSZAPC(0, 0, 1, 1, 1, 1) },
	{ "64: adcl $0x10,(%rbx)", L64, "83 13 10", .in = { R(RBX, DATA) },
	  .mem = { DATA, 4, 0xf }, .flags = 1,
	  .mem_out = { DATA, 4, 0x20 }, .flags_out = OSZAPC(0, 0, 0, 1, 0, 0) },
	{ "64: sbb %cx,(%rbx)", L64, "66 19 0b", .in = { R(RCX, 0xffff), R(RBX, DATA) },
	  .mem = { DATA, 2, 0 },
	  .flags = 1, .mem_out = { DATA, 2, 0 }, .flags_out = OSZAPC(0, 0, 1, 1, 1, 1) },
	{ "64: sub %ecx,(%rbx)", L64, "29 0b", .in = { R(RCX, 1), R(RBX, DATA) },
	  .mem = { DATA, 4, 0x80000000 }, .mem_out = { DATA, 4, 0x7fffffff },
	  .flags_out = OSZAPC(1, 0, 0, 1, 1, 0) },
	{ "64: and %rcx,(%rbx)", L64, "48 21 0b", .in = { R(RCX, 0xf0f0), R(RBX, DATA) },
	  .mem = { DATA, 8, 0xff00 }, .flags = OSZAPC(1, 0, 0, 1, 0, 1),
	  .mem_out = { DATA, 8, 0xf000 }, .flags_out = OSZAPC(0, 0, 0, 0, 1, 0) },
	{ "64: orb $0x80,(%rbx)", L64, "80 0b 80", .in = { R(RBX, DATA) }, .mem = { DATA, 1, 1 },
	  .mem_out = { DATA, 1, 0x81 }, .flags_out = OSZAPC(0, 1, 0, 0, 1, 0) },
	{ "64: xor (%rbx),%dx", L64, "66 33 13", .in = { R(RDX, 0xffff1234), R(RBX, DATA) },
	  .mem = { DATA, 2, 0x1234 }, .out = { R(RDX, 0xffff0000) },
	  .flags_out = OSZAPC(0, 0, 1, 0, 1, 0) },
	{ "64: cmp %eax,(%rbx)", L64, "39 03", .in = { R(RAX, 5), R(RBX, DATA) },
	  .mem = { DATA, 4, 3 },
	  .mem_out = { DATA, 4, 3 }, .flags_out = OSZAPC(0, 1, 0, 1, 0, 1) },
	{ "64: cmp (%rbx),%eax", L64, "3b 03", .in = { R(RAX, 5), R(RBX, DATA) },
	  .mem = { DATA, 4, 3 },
	  .flags_out = OSZAPC(0, 0, 0, 0, 0, 0) },
	{ "64: testl $0x80000000,(%rbx)", L64, "f7 03 00 00 00 80", .in = { R(RBX, DATA) },
	  .mem = { DATA, 4, 0x80000000 }, .flags_out = OSZAPC(0, 1, 0, 0, 1, 0) },
	{ "64: test %cl,(%rbx)", L64, "84 0b", .in = { R(RCX, 1), R(RBX, DATA) },
	  .mem = { DATA, 1, 2 },
	  .flags = 1, .flags_out = OSZAPC(0, 0, 1, 0, 1, 0) },
	{ "64: incb (%rbx)", L64, "fe 03", .in = { R(RBX, DATA) }, .mem = { DATA, 2, 0x7f },
	  .flags = 1,
	  .mem_out = { DATA, 2, 0x80 }, .flags_out = OSZAPC(1, 1, 0, 1, 0, 1) },
	{ "64: decq (%rbx)", L64, "48 ff 0b", .in = { R(RBX, DATA) }, .mem = { DATA, 8, 0 },
	  .mem_out = { DATA, 8, ~0ull }, .flags_out = OSZAPC(0, 1, 0, 1, 1, 0) },
	{ "64: notw (%rbx)", L64, "66 f7 13", .in = { R(RBX, DATA) }, .mem = { DATA, 4, 0x1234 },
	  .flags = 0x8d5, .mem_out = { DATA, 4, 0xedcb }, .flags_out = 0x8d5 },
	{ "64: negl (%rbx)", L64, "f7 1b", .in = { R(RBX, DATA) }, .mem = { DATA, 4, 0x80000000 },
	  .mem_out = { DATA, 4, 0x80000000 }, .flags_out = OSZAPC(1, 1, 0, 0, 1, 1) },
	{ "64: lock addl $1,(%rbx)", L64, "f0 83 03 01", .in = { R(RBX, DATA) },
	  .mem = { DATA, 4, 1 },
	  .mem_out = { DATA, 4, 2 } },
	{ "64: lock negq (%rbx)", L64, "f0 48 f7 1b", .in = { R(RBX, DATA) }, .mem = { DATA, 8, 1 },
	  .mem_out = { DATA, 8, ~0ull }, .flags_out = OSZAPC(0, 1, 0, 1, 1, 1) },

	/* Exchanges */
	{ "64: xchg %ecx,(%rbx)", L64, "87 0b", .in = { R(RCX, 0xffffffff00000001), R(RBX, DATA) },
	  .mem = { DATA, 8, 2 }, .out = { R(RCX, 2) }, .mem_out = { DATA, 8, 1 } },
	{ "64: xchg %ah,(%rbx)", L64, "86 23", .in = { R(RAX, 0x1234), R(RBX, DATA) },
	  .mem = { DATA, 2, 0x55 }, .out = { R(RAX, 0x5534) }, .mem_out = { DATA, 2, 0x12 } },
	{ "64: nop leaves eax whole", L64, "90", .in = { R(RAX, ~0ull) } },
	{ "64: xchg %eax,%eax by ModRM does not", L64, "87 c0", .in = { R(RAX, ~0ull) },
	  .out = { R(RAX, 0xffffffff) } },
	{ "64: xchg %eax,%r8d", L64, "41 90", .in = { R(RAX, 1), R(R8, 2) },
	  .out = { R(RAX, 2), R(R8, 1) } },
	{ "64: xadd %ecx,(%rbx)", L64, "0f c1 0b", .in = { R(RCX, 3), R(RBX, DATA) },
	  .mem = { DATA, 4, 4 },
	  .out = { R(RCX, 4) }, .mem_out = { DATA, 4, 7 } },
	{ "64: xadd %ecx,%ecx", L64, "0f c1 c9", .in = { R(RCX, 3) }, .out = { R(RCX, 6) },
	  .flags_out = OSZAPC(0, 0, 0, 0, 1, 0) },
	{ "64: cmpxchg %ecx,(%rbx)", L64, "0f b1 0b", .in = { R(RAX, 4), R(RCX, 9), R(RBX, DATA) },
	  .mem = { DATA, 4, 4 }, .mem_out = { DATA, 4, 9 },
	  .flags_out = OSZAPC(0, 0, 1, 0, 1, 0) },
	{ "64: lock cmpxchg %ecx,(%rbx)", L64, "f0 0f b1 0b",
	  .in = { R(RAX, 0xffffffff00000004), R(RCX, 9), R(RBX, DATA) },
	  .mem = { DATA, 4, 5 }, .out = { R(RAX, 5) }, .mem_out = { DATA, 4, 5 },
	  .flags_out = OSZAPC(0, 1, 0, 1, 1, 1) },
	{ "64: lock cmpxchg8b (%rsi)", L64, "f0 0f c7 0e",
	  .in = { R(RAX, 1), R(RDX, 2), R(RBX, 3), R(RCX, 4), R(RSI, DATA) },
	  .mem = { DATA, 8, 0x200000001 }, .mem_out = { DATA, 8, 0x400000003 },
	  .flags_out = BENCH_FLAG_ZF },
	{ "64: cmpxchg8b (%rsi)", L64, "0f c7 0e",
	  .in = { R(RAX, 1), R(RDX, 2), R(RBX, 3), R(RCX, 4), R(RSI, DATA) },
	  .flags = BENCH_FLAG_ZF | BENCH_FLAG_CF, .flags_out = BENCH_FLAG_CF,
	  .mem = { DATA, 8, 0x600000005 }, .mem_out = { DATA, 8, 0x600000005 },
	  .out = { R(RAX, 5), R(RDX, 6) } },
	{ "64: lock cmpxchg16b (%rsi)", L64, "f0 48 0f c7 0e",
	  .in = { R(RAX, 0), R(RDX, 0), R(RBX, 3), R(RCX, 4), R(RSI, DATA) },
	  .mem_out = { DATA + 8, 8, 4 }, .flags_out = BENCH_FLAG_ZF },
	{ "64: lock cmpxchg16b (%rsi)", L64, "f0 48 0f c7 0e",
	  .in = { R(RSI, DATA + 8) }, FAULT(13, 0) },

	/* Strings: single */
	{ "64: movsq", L64, "48 a5", .in = { R(RSI, DATA), R(RDI, DATA + 0x100) },
	  .mem = { DATA, 8, 0x1122334455667788 },
	  .mem_out = { DATA + 0x100, 8, 0x1122334455667788 },
	  .out = { R(RSI, DATA + 8), R(RDI, DATA + 0x108) } },
	{ "64: movsb", L64, "a4", .in = { R(RSI, DATA), R(RDI, DATA + 0x100) },
	  .flags = BENCH_FLAG_DF,
	  .flags_out = BENCH_FLAG_DF, .mem = { DATA, 1, 0x77 },
	  .mem_out = { DATA + 0x100, 2, 0x77 },
	  .out = { R(RSI, DATA - 1), R(RDI, DATA + 0xff) } },
	{ "64: stosw", L64, "66 ab", .in = { R(RAX, 0x12345678), R(RDI, DATA) },
	  .mem_out = { DATA, 4, 0x5678 },
	  .out = { R(RDI, DATA + 2) } },
	{ "64: lodsl", L64, "ad", .in = { R(RAX, ~0ull), R(RSI, DATA) },
	  .mem = { DATA, 8, 0x80000001 },
	  .out = { R(RAX, 0x80000001), R(RSI, DATA + 4) } },
	{ "64: lodsb", L64, "ac", .in = { R(RAX, ~0ull), R(RSI, DATA) }, .mem = { DATA, 1, 1 },
	  .out = { R(RAX, 0xffffffffffffff01), R(RSI, DATA + 1) } },
	{ "64: scasl", L64, "af", .in = { R(RAX, 3), R(RDI, DATA) }, .mem = { DATA, 4, 5 },
	  .out = { R(RDI, DATA + 4) }, .flags_out = OSZAPC(0, 1, 0, 1, 0, 1) },
	{ "64: cmpsb", L64, "a6", .in = { R(RSI, DATA), R(RDI, DATA + 1) },
	  .mem = { DATA, 2, 0x0305 },
	  .out = { R(RSI, DATA + 1), R(RDI, DATA + 2) } },
	{ "64: lodsb %fs:(%rsi),%al", L64, "64 ac", .in = { R(RSI, DATA) }, .setup = fs_gs_bases,
	  .mem = { DATA + 0x1000, 1, 0x42 }, .out = { R(RAX, 0x42), R(RSI, DATA + 1) } },
	{ "64: addr32 stosb", L64, "67 aa", .in = { R(RAX, 1), R(RDI, 0xffffffff00008000) },
	  .mem_out = { DATA, 1, 1 }, .out = { R(RDI, DATA + 1) } },
	{ "16: movsb", REAL, "a4", .in = { R(RSI, 0xffff), R(RDI, 0x1ffff) },
	  .setup = real_segments,
	  .mem = { 0x13fff, 1, 0x55 }, .mem_out = { 0x15fff, 1, 0x55 },
	  .out = { R(RSI, 0), R(RDI, 0x10000) } },
	{ "16: es as destination cannot be overridden", REAL, "64 a4",
	  .in = { R(RSI, 0x10), R(RDI, 0x20) }, .setup = real_segments,
	  .mem = { 0xa010, 1, 0x66 }, .mem_out = { 0x6020, 1, 0x66 },
	  .out = { R(RSI, 0x11), R(RDI, 0x21) } },
	{ "16: stosl", REAL, "66 ab", .in = { R(RAX, 0x12345678), R(RDI, 0x20) },
	  .setup = real_segments,
	  .mem_out = { 0x6020, 4, 0x12345678 }, .out = { R(RDI, 0x24) } },
	{ "64: xlat", L64, "d7", .in = { R(RAX, 0xff10), R(RBX, DATA) },
	  .mem = { DATA + 0x10, 1, 0x99 },
	  .out = { R(RAX, 0xff99) } },

	/* Strings: repeated to the end */
	{ "64: rep stosb", L64, "f3 aa", .in = { R(RAX, 0xaa), R(RDI, DATA), R(RCX, 4) },
	  .mem_out = { DATA, 8, 0xaaaaaaaa }, .out = { R(RDI, DATA + 4), R(RCX, 0) } },
	{ "64: rep movsl", L64, "f3 a5", .in = { R(RSI, DATA), R(RDI, DATA + 8), R(RCX, 2) },
	  .mem = { DATA, 8, 0x1122334455667788 }, .mem_out = { DATA + 8, 8, 0x1122334455667788 },
	  .out = { R(RSI, DATA + 8), R(RDI, DATA + 16), R(RCX, 0) } },
	{ "64: rep stosb", L64, "f3 aa", .in = { R(RDI, 0x800000000000), R(RCX, 0) } },
	{ "64: addr32 rep stosb", L64, "67 f3 aa",
	  .in = { R(RAX, 1), R(RDI, DATA), R(RCX, 0xffffffff00000002) },
	  .mem_out = { DATA, 4, 0x0101 }, .out = { R(RDI, DATA + 2), R(RCX, 0) } },
	{ "64: repnz scasb", L64, "f2 ae", .in = { R(RAX, 0), R(RDI, DATA), R(RCX, 100) },
	  .mem = { DATA, 4, 0x00414141 }, .flags_out = OSZAPC(0, 0, 1, 0, 1, 0),
	  .out = { R(RDI, DATA + 4), R(RCX, 96) } },
	{ "64: repz cmpsb", L64, "f3 a6", .in = { R(RSI, DATA), R(RDI, DATA + 4), R(RCX, 4) },
	  .mem = { DATA, 8, 0x4444424144434241 }, .flags_out = OSZAPC(0, 1, 0, 1, 1, 1),
	  .out = { R(RSI, DATA + 3), R(RDI, DATA + 7), R(RCX, 1) },
	  .flags = OSZAPC(0, 0, 0, 0, 0, 0) },
	{ "16: rep stosw", REAL, "f3 ab", .in = { R(RAX, 0x1234), R(RDI, 0xfffc), R(RCX, 0x10003) },
	  .setup = real_segments, .mem_out = { 0x15ffc, 4, 0x12341234 },
	  .out = { R(RDI, 2), R(RCX, 0x10000) } },
	{ "64: rep stops at a fault with what it has done", L64, "f3 aa",
	  .in = { R(RAX, 0xaa), R(RDI, DATA + 0xffe), R(RCX, 5) },
	  .setup = absent_second_page, .mem_out = { DATA + 0xffe, 2, 0xaaaa },
	  .out = { R(RDI, DATA + 0x1000), R(RCX, 3) }, .flags_out = 0x10000, FAULT(14, 2) },

	/* Stack */
	{ "64: push %rax", L64, "50", .in = { R(RAX, 0x1122334455667788), R(RSP, DATA + 8) },
	  .mem_out = { DATA, 8, 0x1122334455667788 }, .out = { R(RSP, DATA) } },
	{ "64: push %ax", L64, "66 50", .in = { R(RAX, 0x1122), R(RSP, DATA + 8) },
	  .mem_out = { DATA + 6, 2, 0x1122 }, .out = { R(RSP, DATA + 6) } },
	{ "64: push %rsp", L64, "54", .in = { R(RSP, DATA + 8) }, .mem_out = { DATA, 8, DATA + 8 },
	  .out = { R(RSP, DATA) } },
	{ "64: pop %rsp", L64, "5c", .in = { R(RSP, DATA) }, .mem = { DATA, 8, 0x1234 },
	  .out = { R(RSP, 0x1234) } },
	{ "64: push $-2", L64, "6a fe", .in = { R(RSP, DATA + 8) }, .mem_out = { DATA, 8, -2ull },
	  .out = { R(RSP, DATA) } },
	{ "64: pushq (%rbx)", L64, "ff 33", .in = { R(RBX, DATA + 8), R(RSP, DATA + 8) },
	  .mem = { DATA + 8, 8, 0x42 }, .mem_out = { DATA, 8, 0x42 }, .out = { R(RSP, DATA) } },
	{ "64: popq 8(%rsp)", L64, "8f 44 24 08", .in = { R(RSP, DATA) }, .mem = { DATA, 8, 0x42 },
	  .mem_out = { DATA + 16, 8, 0x42 }, .out = { R(RSP, DATA + 8) } },
	{ "64: push %fs", L64, "0f a0", .in = { R(RSP, DATA + 8) }, .mem_out = { DATA, 8, 0x28 },
	  .out = { R(RSP, DATA) } },
	{ "16: push %ds", REAL, "1e", .in = { R(RSP, 0x10) }, .setup = real_segments,
	  .mem_out = { 0x800e, 2, 0x400 }, .out = { R(RSP, 0xe) } },
	{ "16: push %ax", REAL, "50", .in = { R(RAX, 0x1234), R(RSP, 0xabcd0000) },
	  .setup = real_segments, .mem_out = { 0x17ffe, 2, 0x1234 },
	  .out = { R(RSP, 0xabcdfffe) } },
	{ "16: push %ax", REAL, "50", .in = { R(RSP, 1) },
	  .setup = real_segments, FAULT(12, NO_ERROR) },
	{ "16: pop %eax", REAL, "66 58", .in = { R(RSP, 0x10) }, .setup = real_segments,
	  .mem = { 0x8010, 4, 0x12345678 }, .out = { R(RAX, 0x12345678), R(RSP, 0x14) } },
	{ "32: push %eax", P32, "50", .in = { R(RAX, 7), R(RSP, DATA + 4) },
	  .mem_out = { DATA, 4, 7 },
	  .setup = big_stack, .out = { R(RSP, DATA) } },
	{ "32: push %eax", P32, "50", .in = { R(RAX, 7), R(RSP, 0x18004) },
	  .mem_out = { DATA, 4, 7 },
	  .setup = small_stack, .out = { R(RSP, 0x18000) } },
	{ "32: pusha", P32, "60", .in = { R(RAX, 7), R(RDI, 9), R(RSP, DATA + 32) },
	  .setup = big_stack,
	  .mem_out = { DATA, 8, 9 }, .out = { R(RSP, DATA) } },
	{ "32: popa", P32, "61", .in = { R(RSP, DATA) }, .mem = { DATA + 8, 8, 0x5555555566666666 },
	  .setup = big_stack, .out = { R(RSP, DATA + 32), R(RBP, 0x66666666) } },
	{ "64: leave", L64, "c9", .in = { R(RBP, DATA), R(RSP, 0x100) }, .mem = { DATA, 8, 0x42 },
	  .out = { R(RBP, 0x42), R(RSP, DATA + 8) } },
	{ "64: pushf", L64, "9c", .in = { R(RSP, DATA + 8) }, .flags = 0x10ad5, .flags_out = 0xad5,
	  .mem_out = { DATA, 8, 0xad7 }, .out = { R(RSP, DATA) } },
	{ "64: popf", L64, "9d", .in = { R(RSP, DATA) }, .mem = { DATA, 8, ~0ull },
	  .flags_out = 0x247fd5, .out = { R(RSP, DATA + 8) } },
	{ "64: popf of a user changes neither IF nor IOPL", L64, "9d", .in = { R(RSP, DATA) },
	  .mem = { DATA, 8, ~0ull }, .setup = user, .flags_out = 0x244dd5,
	  .out = { R(RSP, DATA + 8) } },

	/* Branches */
	{ "64: call .+0x105", L64, "e8 00 01 00 00", .in = { R(RSP, DATA + 8) },
	  .mem_out = { DATA, 8, CODE_AT + 5 },
	  .out = { R(RSP, DATA) }, .rip = CODE_AT + 0x105 },
	{ "64: call *(%rbx)", L64, "ff 13", .in = { R(RSP, DATA + 8), R(RBX, DATA + 0x10) },
	  .mem = { DATA + 0x10, 8, 0x7fff12345678 }, .mem_out = { DATA, 8, CODE_AT + 2 },
	  .out = { R(RSP, DATA) }, .rip = 0x7fff12345678 },
	{ "64: jmp *(%rbx)", L64, "ff 23", .in = { R(RBX, DATA) },
	  .mem = { DATA, 8, 0x800000000000 },
	  FAULT(13, 0) },
	{ "64: ret", L64, "c3", .in = { R(RSP, DATA) }, .mem = { DATA, 8, 0x4000 },
	  .out = { R(RSP, DATA + 8) }, .rip = 0x4000 },
	{ "64: ret $0xfff0", L64, "c2 f0 ff", .in = { R(RSP, DATA) }, .mem = { DATA, 8, 0x4000 },
	  .out = { R(RSP, DATA + 8 + 0xfff0) }, .rip = 0x4000 },
	{ "64: je .+0x10", L64, "74 0e", .flags = BENCH_FLAG_ZF, .flags_out = BENCH_FLAG_ZF,
	  .rip = CODE_AT + 0x10 },
	{ "64: je .+0x10", L64, "74 0e", .rip = CODE_AT + 2 },
	{ "64: jl .+0x200", L64, "0f 8c fa 01 00 00", .flags = BENCH_FLAG_OF,
	  .flags_out = BENCH_FLAG_OF,
	  .rip = CODE_AT + 0x200 },
	{ "64: loop .-0x10", L64, "e2 ee", .in = { R(RCX, 2) }, .out = { R(RCX, 1) },
	  .rip = CODE_AT - 0x10 },
	{ "64: loop .-0x10", L64, "e2 ee", .in = { R(RCX, 1) }, .out = { R(RCX, 0) } },
	{ "64: addr32 loop .-0x10", L64, "67 e2 ed", .in = { R(RCX, 0x100000001) },
	  .out = { R(RCX, 0) } },
	{ "64: loopne .-0x10", L64, "e0 ee", .in = { R(RCX, 2) }, .flags = BENCH_FLAG_ZF,
	  .flags_out = BENCH_FLAG_ZF, .out = { R(RCX, 1) } },
	{ "64: loope .-0x10", L64, "e1 ee", .in = { R(RCX, 2) }, .flags = BENCH_FLAG_ZF,
	  .flags_out = BENCH_FLAG_ZF, .out = { R(RCX, 1) }, .rip = CODE_AT - 0x10 },
	{ "64: jrcxz .+0x10", L64, "e3 0e", .rip = CODE_AT + 0x10 },
	{ "64: a 66 prefix does not make a branch near", L64, "66 e9 00 00 01 00",
	  .rip = CODE_AT + 0x10006 },
	{ "16: jmp .-0x1001", REAL, "e9 fc ef", .rip = 0xffff },
	{ "16: call *%ax", REAL, "ff d0", .in = { R(RAX, 0x2000), R(RSP, 2) },
	  .setup = real_segments,
	  .mem_out = { 0x8000, 2, CODE_AT + 2 }, .out = { R(RSP, 0) }, .rip = 0x2000 },
	{ "32: jmp .+0x1000", P32, "e9 fb 0f 00 00", .setup = small_code, FAULT(13, 0) },
	{ "32: call .+0x1000", P32, "e8 fb 0f 00 00", .in = { R(RSP, DATA) },
	  .setup = small_code, FAULT(13, 0) },
	{ "32: data16 jmp *%ax", P32, "66 ff e0", .in = { R(RAX, 0x12345678) }, .rip = 0x5678 },

	/* Bits, shifts, multiplication: cases that emulate_diff.c does not reach in 64-bit code */
	{ "64: bt %ecx,(%rbx)", L64, "0f a3 0b", .in = { R(RCX, -1ull), R(RBX, DATA) },
	  .mem = { DATA - 4, 4, 0x80000000 }, .flags_out = BENCH_FLAG_CF },
	{ "64: bts %rcx,(%rbx)", L64, "48 0f ab 0b", .in = { R(RCX, 0x1001), R(RBX, DATA) },
	  .mem_out = { DATA + 0x200, 8, 2 } },
	{ "64: btcw $0x11,(%rbx)", L64, "66 0f ba 3b 11", .in = { R(RBX, DATA) },
	  .mem_out = { DATA, 4, 2 } },
	{ "64: lock btrl $0,(%rbx)", L64, "f0 0f ba 33 00", .in = { R(RBX, DATA) },
	  .mem = { DATA, 4, 3 },
	  .mem_out = { DATA, 4, 2 }, .flags_out = BENCH_FLAG_CF },
	{ "64: shll $1,(%rbx)", L64, "d1 23", .in = { R(RBX, DATA) },
	  .mem = { DATA, 4, 0xc0000000 },
	  .mem_out = { DATA, 4, 0x80000000 }, .flags_out = OSZAPC(0, 1, 0, 0, 1, 1) },
	{ "64: shlb $0,(%rbx)", L64, "c0 23 00", .in = { R(RBX, DATA) }, .mem = { DATA, 1, 0xc0 },
	  .mem_out = { DATA, 1, 0xc0 }, .flags = 0x8d5, .flags_out = 0x8d5 },
	{ "64: rcrb $1,(%rbx)", L64, "d0 1b", .in = { R(RBX, DATA) }, .mem = { DATA, 1, 0x01 },
	  .flags = 1,
	  .mem_out = { DATA, 1, 0x80 }, .flags_out = OSZAPC(1, 0, 0, 0, 0, 1) },
	{ "64: mulb (%rbx)", L64, "f6 23", .in = { R(RAX, 0xff10), R(RBX, DATA) },
	  .mem = { DATA, 1, 0x20 },
	  .out = { R(RAX, 0x0200) }, .flags_out = OSZAPC(1, 0, 0, 0, 0, 1) },
	{ "64: divl (%rbx)", L64, "f7 33", .in = { R(RAX, 7), R(RDX, 1), R(RBX, DATA) },
	  .mem = { DATA, 4, 0x10 }, .out = { R(RAX, 0x10000000), R(RDX, 7) } },
	{ "64: divl (%rbx)", L64, "f7 33", .in = { R(RAX, 7), R(RDX, 1), R(RBX, DATA) },
	  .mem = { DATA, 4, 1 }, FAULT(0, NO_ERROR) },
	{ "64: idivb (%rbx)", L64, "f6 3b", .in = { R(RAX, 0xff80), R(RBX, DATA) },
	  .mem = { DATA, 1, 1 },
	  .out = { R(RAX, 0x0080) } },
	{ "64: idivb (%rbx)", L64, "f6 3b", .in = { R(RAX, 0xff80), R(RBX, DATA) },
	  .mem = { DATA, 1, 0xff },
	  FAULT(0, NO_ERROR) },
	{ "64: adcx (%rbx),%rax", L64, "66 48 0f 38 f6 03", .in = { R(RAX, 5), R(RBX, DATA) },
	  .mem = { DATA, 8, ~0ull },
	  .flags = 0x8d5, .flags_out = 0x8d5 },
	{ "64: adox (%rbx),%eax", L64, "f3 0f 38 f6 03", .in = { R(RAX, 5), R(RBX, DATA) },
	  .mem = { DATA, 4, ~0u },
	  .flags = 0x0d5, .flags_out = 0x8d5, .out = { R(RAX, 4) } },
	{ "64: bzhi %ecx,(%rbx),%eax", L64, "c4 e2 70 f5 03", .in = { R(RCX, 32), R(RBX, DATA) },
	  .mem = { DATA, 4, 5 }, .out = { R(RAX, 5) }, .flags_out = BENCH_FLAG_CF },
	{ "64: bzhi %ecx,(%rbx),%eax", L64, "c4 e2 70 f5 03", .in = { R(RCX, 31), R(RBX, DATA) },
	  .mem = { DATA, 4, ~0u }, .out = { R(RAX, 0x7fffffff) } },
	{ "64: bextr %rcx,(%rbx),%rax", L64, "c4 e2 f0 f7 03",
	  .in = { R(RCX, 0x0828), R(RBX, DATA) },
	  .mem = { DATA, 8, 0x1122334455667788 }, .out = { R(RAX, 0x33) } },
	{ "64: bextr %rcx,(%rbx),%rax", L64, "c4 e2 f0 f7 03",
	  .in = { R(RAX, 1), R(RCX, 0x0840), R(RBX, DATA) },
	  .mem = { DATA, 8, ~0ull }, .out = { R(RAX, 0) }, .flags_out = BENCH_FLAG_ZF },
	{ "64: crc32b (%rbx),%eax", L64, "f2 0f 38 f0 03", .in = { R(RAX, ~0ull), R(RBX, DATA) },
	  .mem = { DATA, 1, 'a' }, .out = { R(RAX, 0x3e2fbccf) } },
	{ "64: setg (%rbx)", L64, "0f 9f 03", .in = { R(RBX, DATA) }, .mem_out = { DATA, 1, 1 } },
	{ "64: cmove (%rbx),%ecx", L64, "0f 44 0b", .in = { R(RCX, ~0ull), R(RBX, DATA) },
	  .mem = { DATA, 4, 7 }, .out = { R(RCX, 0xffffffff) } },

	/* Vector moves */
	{ "64: movaps (%rbx),%xmm0", L64, "0f 28 03", .in = { R(RBX, DATA + 8) }, FAULT(13, 0) },
	{ "64: movups (%rbx),%xmm0", L64, "0f 10 03", .in = { R(RBX, DATA + 8) } },
	{ "64: vmovaps (%rbx),%ymm0", L64, "c5 fc 28 03",
	  .in = { R(RBX, DATA + 16) }, FAULT(13, 0) },
	{ "64: movaps (%rbx),%xmm0", L64, "0f 28 03", .in = { R(RBX, DATA) }, .setup = no_sse,
	  FAULT(6, NO_ERROR) },
	{ "64: movaps (%rbx),%xmm0", L64, "0f 28 03", .in = { R(RBX, DATA) },
	  .setup = task_switched,
	  FAULT(7, NO_ERROR) },
	{ "64: vmovups (%rbx),%ymm0", L64, "c5 fc 10 03", .in = { R(RBX, DATA) }, .setup = no_avx,
	  FAULT(6, NO_ERROR) },
	{ "64: movd %xmm1,(%rbx)", L64, "66 0f 7e 0b", .in = { R(RBX, DATA) },
	  .mem_out = { DATA, 4, 0x11111111 } },
	{ "64: movq %xmm1,%rax", L64, "66 48 0f 7e c8", .out = { R(RAX, 0x1111111111111111) } },
	{ "64: movhps %xmm2,(%rbx)", L64, "0f 17 13", .in = { R(RBX, DATA) },
	  .mem_out = { DATA, 8, 0x2222222222222222 } },
	{ "32: vmovdqu %ymm3,(%ebx)", P32, "c5 fe 7f 1b", .in = { R(RBX, DATA) },
	  .mem_out = { DATA + 24, 8, 0x3333333333333333 } },

	/* Undefined instructions, and those not executed here */
	{ "64: lock on mov is undefined", L64, "f0 89 03", FAULT(6, NO_ERROR) },
	{ "64: lock on a register is undefined", L64, "f0 01 c0", FAULT(6, NO_ERROR) },
	{ "64: lock on cmp is undefined", L64, "f0 39 03", FAULT(6, NO_ERROR) },
	{ "64: lock on a load is undefined", L64, "f0 03 03", FAULT(6, NO_ERROR) },
	{ "64: lock on bt is undefined", L64, "f0 0f a3 03", FAULT(6, NO_ERROR) },
	{ "64: lea of a register is undefined", L64, "8d c0", FAULT(6, NO_ERROR) },
	{ "64: segment register 6 is undefined", L64, "8c 33", FAULT(6, NO_ERROR) },
	{ "32: das borrows from the digit", P32, "2f", .in = { R(RAX, 5) }, .out = { R(RAX, 0xff) },
	  .flags = BENCH_FLAG_AF, .flags_out = OSZAPC(0, 1, 0, 1, 1, 1) },
	{ "32: das has enough", P32, "2f", .in = { R(RAX, 6) }, .out = { R(RAX, 0) },
	  .flags = BENCH_FLAG_AF, .flags_out = OSZAPC(0, 0, 1, 1, 1, 0) },
	{ "32: push %es writes two of four bytes", P32, "06",
	  .in = { R(RSP, DATA + 8) }, .out = { R(RSP, DATA + 4) },
	  .mem = { DATA + 4, 4, 0xaaaabbbb }, .mem_out = { DATA + 4, 4, 0xaaaa0008 } },
	{ "64: push %es is undefined", L64, "06", FAULT(6, NO_ERROR) },
	{ "64: pusha is undefined", L64, "60", FAULT(6, NO_ERROR) },
	{ "64: group 4 has two members", L64, "fe 13", FAULT(6, NO_ERROR) },
	{ "64: ud2", L64, "0f 0b", FAULT(6, NO_ERROR) },
	{ "64: VEX after REX is undefined", L64, "40 c5 f8 10 03", FAULT(6, NO_ERROR) },
	{ "64: VEX.vvvv must be unused in a move", L64, "c5 f0 10 03", FAULT(6, NO_ERROR) },
	{ "64: int3 is not executed here", L64, "cc", .result = EMU_UNHANDLED },
	{ "16: no VEX in real mode", REAL, "c5 f8 10 c0", FAULT(6, NO_ERROR) },
	{ "16: arpl is undefined in real mode", REAL, "63 03", FAULT(6, NO_ERROR) },
	{ "16: lldt is undefined in real mode", REAL, "0f 00 d0", FAULT(6, NO_ERROR) },
	{ "64: the alias of group 1 is undefined", L64, "82 03 01", FAULT(6, NO_ERROR) },
	{ "64: load of CS is undefined", L64, "8e cb", FAULT(6, NO_ERROR) },
	{ "64: cr1 does not exist", L64, "0f 20 c8", FAULT(6, NO_ERROR) },
	{ "64: fifteen bytes are an instruction", L64,
	  "66 66 66 66 66 66 66 66 66 66 66 66 66 89 03",
	  .in = { R(RAX, 7), R(RBX, DATA) }, .mem_out = { DATA, 2, 7 } },
	{ "64: sixteen bytes are too long", L64,
	  "66 66 66 66 66 66 66 66 66 66 66 66 66 66 89 03", FAULT(13, 0) },
	{ "64: cli", L64, "fa", .setup = user, FAULT(13, 0) },
	{ "64: cli", L64, "fa", .flags = BENCH_FLAG_IF },
	{ "64: sti", L64, "fb", .flags_out = BENCH_FLAG_IF },
	{ .name = NULL },
};

int main(void)
{
	const struct row *row;

	for (row = rows; row->name; row++)
		tap_ok(row_passes(row), "%s", row->name);
	return tap_done();
}
