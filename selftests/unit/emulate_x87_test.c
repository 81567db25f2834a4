// SPDX-License-Identifier: GPL-2.0
/*
 * Test x87, MMX and the images of both with SSE: what may be executed when, what
 * is moved, and what stays unchanged if that fails. emulate_diff.c compares the
 * numbers with the processor's.
 */
#include <string.h>
#include "emulate_rows.h"
#include "tap.h"

#define AT_DATA		.in = { R(RBX, DATA) }
#define NOT_AVAILABLE	FAULT(7, NO_ERROR)
#define PENDING		FAULT(16, NO_ERROR)
#define UNDEFINED	FAULT(6, NO_ERROR)

#define ONE		0x3ff0000000000000ull
#define MANTISSA	0x8000000000000000ull	/* of powers of two */

static void set_st(struct bench *b, unsigned int i, u64 mantissa, u16 exponent)
{
	memcpy(b->fx.st[i], &mantissa, 8);
	memcpy(b->fx.st[i] + 8, &exponent, 2);
	b->fx.ftw |= 1u << ((i + (b->fx.fsw >> 11 & 7)) & 7);
}

/* Two numbers on the stack: 1 and 1e4930 or so, which is more than fits 8 bytes. */
static void two_numbers(struct bench *b)
{
	b->fx.fsw = 6 << 11;
	set_st(b, 0, MANTISSA, 0x3fff);
	set_st(b, 1, MANTISSA, 0x7ff0);
	b->fx.fip = 0x1234;
}

static void big_on_top(struct bench *b)
{
	two_numbers(b);
	b->fx.fcw = 0x340;		/* no exception is masked */
	set_st(b, 0, MANTISSA, 0x7ff0);
}

static void big_on_top_read_only(struct bench *b)
{
	big_on_top(b);
	b->rights[DATA / BENCH_PAGE] = BENCH_READ_ONLY;
}

static void pending(struct bench *b)
{
	two_numbers(b);
	b->fx.fcw = 0x340;
	b->fx.fsw |= 0x8081;		/* invalid operation */
}

static void pending_unsaid(struct bench *b)
{
	pending(b);
	b->fx.fsw &= ~0x8080;
}

static void no_unit(struct bench *b)
{
	b->ctx.cr0 |= 4;
}

static void task_switched(struct bench *b)
{
	b->ctx.cr0 |= 8;
}

static void task_switched_waits(struct bench *b)
{
	b->ctx.cr0 |= 8 | 2;
}

static void waits(struct bench *b)
{
	b->ctx.cr0 |= 2;
}

static void pending_without_unit(struct bench *b)
{
	pending(b);
	no_unit(b);
}

static void no_sse(struct bench *b)
{
	b->ctx.cr4 &= ~0x200ull;
}

static void read_only(struct bench *b)
{
	two_numbers(b);
	b->rights[DATA / BENCH_PAGE] = BENCH_READ_ONLY;
}

static void half_image(struct bench *b)
{
	two_numbers(b);
	b->rights[DATA / BENCH_PAGE + 1] = BENCH_READ_ONLY;
}

static void mmx_numbers(struct bench *b)
{
	two_numbers(b);
	memset(b->fx.st[1], 0x77, 8);	/* MM7: the top is 6 */
}

static void short_data(struct bench *b)
{
	two_numbers(b);
	b->ctx.seg[EMU_DS].limit = DATA + 510;
}

static void far_pointers(struct bench *b)
{
	two_numbers(b);
	b->fx.fip = 0x51234;
	b->fx.fdp = 0x6abcd;
	b->fx.fop = 0x123;
}

static const struct row rows[] = {
	/* Moves and control */
	{ "64: fstl (%rbx)", L64, "dd 13", AT_DATA, .setup = two_numbers,
	  .mem_out = { DATA, 8, ONE } },
	{ "32: fistpll (%ebx)", P32, "df 3b", AT_DATA, .setup = two_numbers,
	  .mem_out = { DATA, 8, 1 } },
	{ "16: fistps (%bx)", REAL, "df 1f", AT_DATA, .setup = two_numbers,
	  .mem = { DATA, 8, -1ull }, .mem_out = { DATA, 8, 0xffffffffffff0001 } },
	{ "64: fstpt (%rbx)", L64, "db 3b", AT_DATA, .setup = two_numbers,
	  .mem_out = { DATA + 2, 8, 0x3fff800000000000 } },
	{ "64: fnstcw (%rbx)", L64, "d9 3b", AT_DATA, .mem_out = { DATA, 4, 0x37f } },
	{ "64: fnstsw (%rbx)", L64, "dd 3b", AT_DATA, .setup = two_numbers,
	  .mem_out = { DATA, 4, 0x3000 } },
	{ "16: fnstsw %ax", REAL, "df e0", .setup = two_numbers, .in = { R(RAX, 0x12345678) },
	  .out = { R(RAX, 0x12343000) } },
	{ "64: fld of a page that is not there", L64, "d9 03", .in = { R(RBX, BENCH_SIZE) },
	  FAULT(14, 0) },
	{ "64: fst to a page that is read-only", L64, "dd 13", AT_DATA, .setup = read_only,
	  FAULT(14, 3) },
	{ "64: ... even if nothing is stored", L64, "dd 13", AT_DATA,
	  .setup = big_on_top_read_only, FAULT(14, 3) },
	{ "64: an overflow that is not masked stores nothing", L64, "dd 13", AT_DATA,
	  .setup = big_on_top, .mem = { DATA, 8, 5 }, .mem_out = { DATA, 8, 5 } },

	/* Availability, and pending exceptions */
	{ "64: fld without a unit", L64, "d9 03", AT_DATA, .setup = no_unit, NOT_AVAILABLE },
	{ "64: fld of another task", L64, "d9 03", AT_DATA, .setup = task_switched, NOT_AVAILABLE },
	{ "64: fnstsw without a unit", L64, "df e0", .setup = no_unit, NOT_AVAILABLE },
	{ "64: fninit of another task", L64, "db e3", .setup = task_switched, NOT_AVAILABLE },
	{ "64: fwait without a unit", L64, "9b", .setup = no_unit },
	{ "64: fwait of another task", L64, "9b", .setup = task_switched },
	{ "64: fwait that waits", L64, "9b", .setup = waits },
	{ "64: fwait that waits, of another task", L64, "9b", .setup = task_switched_waits,
	  NOT_AVAILABLE },
	{ "64: fwait for an exception", L64, "9b", .setup = pending, PENDING },
	{ "64: fld waits for an exception", L64, "d9 03", AT_DATA, .setup = pending, PENDING },
	{ "64: ... even if ES does not tell", L64, "d9 03", AT_DATA, .setup = pending_unsaid,
	  PENDING },
	{ "64: fst waits for an exception", L64, "dd 13", AT_DATA, .setup = pending, PENDING },
	{ "64: fldcw waits for an exception", L64, "d9 2b", AT_DATA, .setup = pending, PENDING },
	{ "64: fnstcw does not wait", L64, "d9 3b", AT_DATA, .setup = pending,
	  .mem_out = { DATA, 2, 0x340 } },
	{ "64: fninit does not wait", L64, "db e3", .setup = pending },
	{ "64: #NM comes before #MF", L64, "d9 03", AT_DATA, .setup = pending_without_unit,
	  NOT_AVAILABLE },
	{ "64: lock fld", L64, "f0 d9 03", AT_DATA, UNDEFINED },
	{ "64: an opcode that is none", L64, "db 23", AT_DATA, UNDEFINED },

	/* MMX */
	{ "64: movq %mm7,(%rbx)", L64, "0f 7f 3b", AT_DATA, .setup = mmx_numbers,
	  .mem_out = { DATA, 8, 0x7777777777777777 } },
	{ "64: movntq %mm7,(%rbx)", L64, "0f e7 3b", AT_DATA, .setup = mmx_numbers,
	  .mem_out = { DATA, 8, 0x7777777777777777 } },
	{ "64: movd %mm7,(%rbx)", L64, "0f 7e 3b", AT_DATA, .setup = mmx_numbers,
	  .mem_out = { DATA, 8, 0x77777777 } },
	{ "64: movq %mm7,%rax", L64, "48 0f 7e f8", .setup = mmx_numbers,
	  .out = { R(RAX, 0x7777777777777777) } },
	{ "64: movq without a unit", L64, "0f 6f 03", AT_DATA, .setup = no_unit, UNDEFINED },
	{ "64: movq of another task", L64, "0f 6f 03", AT_DATA, .setup = task_switched,
	  NOT_AVAILABLE },
	{ "64: movq waits for an exception", L64, "0f 6f 03", AT_DATA, .setup = pending, PENDING },
	{ "64: movntq of registers", L64, "0f e7 c3", UNDEFINED },

	/* MXCSR */
	{ "64: stmxcsr (%rbx)", L64, "0f ae 1b", AT_DATA, .mem_out = { DATA, 8, 0x1f80 } },
	{ "64: vstmxcsr (%rbx)", L64, "c5 f8 ae 1b", AT_DATA, .mem_out = { DATA, 8, 0x1f80 } },
	{ "64: vstmxcsr with L", L64, "c5 fc ae 1b", AT_DATA, UNDEFINED },
	{ "64: ldmxcsr of bits that are reserved", L64, "0f ae 13", AT_DATA,
	  .mem = { DATA, 4, 0x1001f80 }, FAULT(13, 0) },
	{ "64: ldmxcsr without SSE", L64, "0f ae 13", AT_DATA, .setup = no_sse, UNDEFINED },
	{ "64: ldmxcsr without a unit", L64, "0f ae 13", AT_DATA, .setup = no_unit, UNDEFINED },
	{ "64: ldmxcsr of another task", L64, "0f ae 13", AT_DATA, .setup = task_switched,
	  NOT_AVAILABLE },
	{ "64: ldmxcsr with a prefix", L64, "f2 0f ae 13", AT_DATA, UNDEFINED },

	/* Images */
	{ "64: fxsave must be aligned", L64, "0f ae 03", .in = { R(RBX, DATA + 8) }, FAULT(13, 0) },
	{ "64: fxrstor must be aligned", L64, "0f ae 0b", .in = { R(RBX, DATA + 8) },
	  FAULT(13, 0) },
	{ "64: fxsave without a unit", L64, "0f ae 03", AT_DATA, .setup = no_unit, NOT_AVAILABLE },
	{ "64: fxsave has the last register", L64, "0f ae 03", AT_DATA,
	  .mem_out = { DATA + 408, 8, -1ull } },
	{ "32: ... of eight", P32, "0f ae 03", AT_DATA,
	  .mem_out = { DATA + 280, 8, 0x7777777777777777 } },
	{ "32: ... and no more", P32, "0f ae 03", AT_DATA, .mem_out = { DATA + 288, 8, 0 } },
	{ "64: fxsave does without SSE", L64, "0f ae 03", AT_DATA, .setup = no_sse,
	  .mem = { DATA + 176, 8, 7 }, .mem_out = { DATA + 176, 8, 7 } },
	{ "64: fxsave that faults has stored nothing", L64, "0f ae 03",
	  .in = { R(RBX, DATA + BENCH_PAGE - 256) }, .setup = half_image,
	  .mem_out = { DATA + BENCH_PAGE - 256, 8, 0 }, FAULT(14, 3) },
	{ "32: the segment must have all of the image", P32, "0f ae 03", AT_DATA,
	  .setup = short_data, FAULT(13, 0) },
	{ "64: fxrstor of bits of MXCSR that are reserved", L64, "0f ae 0b", AT_DATA,
	  .mem = { DATA + 24, 4, 0x1000000 }, FAULT(13, 0) },
	{ "64: fxsave of registers", L64, "0f ae c0", UNDEFINED },

	/* The environment, and the registers with it */
	{ "64: fnstenv (%rbx)", L64, "d9 33", AT_DATA, .setup = two_numbers,
	  .mem_out = { DATA, 8, 0xffff3000ffff037f } },
	{ "64: ... with tags and pointers", L64, "d9 33", AT_DATA, .setup = two_numbers,
	  .mem_out = { DATA + 8, 8, 0x00001234ffff0fff } },
	{ "64: rex.W makes it no longer", L64, "48 d9 33", AT_DATA, .setup = two_numbers,
	  .mem = { DATA + 28, 8, 7 }, .mem_out = { DATA + 28, 8, 7 } },
	{ "64: data16 fnstenv (%rbx)", L64, "66 d9 33", AT_DATA, .setup = two_numbers,
	  .mem_out = { DATA, 8, 0x12340fff3000037f } },
	{ "16: fnstenv (%bx) has linear addresses", REAL, "d9 37", AT_DATA,
	  .setup = far_pointers, .mem_out = { DATA + 6, 8, 0x6000abcd51231234 } },
	{ "16: data32 fnstenv (%bx)", REAL, "66 d9 37", AT_DATA, .setup = far_pointers,
	  .mem_out = { DATA + 12, 8, 0x00005123ffff1234 } },
	{ "64: fnsave (%rbx)", L64, "dd 33", AT_DATA, .setup = two_numbers,
	  .mem_out = { DATA + 28, 8, MANTISSA } },
	{ "32: data16 fnsave (%ebx)", P32, "66 dd 33", AT_DATA, .setup = two_numbers,
	  .mem_out = { DATA + 22, 4, 0x3fff } },
	{ "64: fnsave does not wait", L64, "dd 33", AT_DATA, .setup = pending,
	  .mem_out = { DATA, 4, 0xffff0340 } },
	{ "64: fldenv waits", L64, "d9 23", AT_DATA, .setup = pending, PENDING },
	{ "64: frstor without a unit", L64, "dd 23", AT_DATA, .setup = no_unit, NOT_AVAILABLE },
	{ "64: fnsave of another task", L64, "dd 33", AT_DATA, .setup = task_switched,
	  NOT_AVAILABLE },
	{ "64: fnsave that faults has stored nothing", L64, "dd 33",
	  .in = { R(RBX, DATA + BENCH_PAGE - 64) }, .setup = half_image,
	  .mem_out = { DATA + BENCH_PAGE - 64, 8, 0 }, FAULT(14, 3) },
	{ "32: the segment must have all of it", P32, "dd 33", .in = { R(RBX, DATA + 404) },
	  .setup = short_data, FAULT(13, 0) },

	/* Instructions not executed here */
	{ "64: fsqrt", L64, "d9 fa", .result = EMU_UNHANDLED },
	{ "64: xsave (%rbx)", L64, "0f ae 23", AT_DATA, .result = EMU_UNHANDLED },
	{ .name = NULL },
};

static struct bench b;

static enum emu_result run(const char *code, void (*setup)(struct bench *b))
{
	bench_reset(&b, L64, 0, CODE_AT);
	bench_put_code(&b, code);
	b.ctx.gpr[EMU_RBX] = DATA;
	if (setup)
		setup(&b);
	return bench_step(&b);
}

static void one_in_memory(struct bench *b)
{
	u64 one = ONE;

	two_numbers(b);
	memcpy(bench_at(b, DATA), &one, sizeof(one));
}

static void test_load(void)
{
	u64 mantissa;
	u16 exponent;

	tap_ok(run("dd 03", one_in_memory) == EMU_OK, "fldl (%%rbx)");
	memcpy(&mantissa, b.fx.st[0], 8);
	memcpy(&exponent, b.fx.st[0] + 8, 2);
	tap_ok(mantissa == MANTISSA && exponent == 0x3fff, "... is a number on the stack");
	tap_ok((b.fx.fsw >> 11 & 7) == 5 && b.fx.ftw == 0xe0, "... which has grown");
	tap_ok(b.fx.fip == CODE_AT && b.fx.fdp == DATA, "... and tells where it came from");
	tap_ok(run("db 2b", two_numbers) == EMU_OK && b.reads == 1 && b.ctx.insn.single_access,
	       "fldt is one access of ten bytes");
}

static void test_control(void)
{
	tap_ok(run("d9 2b", one_in_memory) == EMU_OK && b.fx.fcw == 0x40 && b.fx.fip == 0x1234,
	       "fldcw (%%rbx) leaves the pointers alone");
	tap_ok(run("db e3", pending) == EMU_OK && b.fx.fcw == 0x37f && !b.fx.fsw && !b.fx.ftw &&
	       !b.fx.fip, "fninit clears everything");
	tap_ok(run("db e2", pending) == EMU_OK && b.fx.fcw == 0x340 && b.fx.fsw == 0x3000,
	       "fnclex clears the exceptions");
}

/* A store pops only after the number is in memory. */
static void test_failed_store(void)
{
	tap_ok(run("dd 1b", read_only) == EMU_FAULT && b.fx.fsw == 0x3000 && b.fx.ftw == 0xc0,
	       "a store that faults pops nothing");
	tap_ok(run("dd 1b", two_numbers) == EMU_OK && (b.fx.fsw >> 11 & 7) == 7,
	       "one that does not pops");
}

static void test_mmx(void)
{
	u64 val;

	tap_ok(run("0f 6f 0b", one_in_memory) == EMU_OK, "movq (%%rbx),%%mm1");
	memcpy(&val, b.fx.st[1], 8);
	tap_ok(val == ONE && b.fx.st[1][8] == 0xff && b.fx.st[1][9] == 0xff,
	       "... is a number that is none");
	tap_ok(b.fx.fsw == 0 && b.fx.ftw == 0xff, "... with all registers in use");
	memcpy(&val, b.fx.st[6], 8);
	tap_ok(val == MANTISSA && b.fx.st[6][8] == 0xff && b.fx.st[6][9] == 0x3f,
	       "... and the others in their places");
}

static void good_image(struct bench *b)
{
	memset(bench_at(b, DATA), 0, 512);
	memset(b->xmm[15], 0xff, sizeof(b->xmm[15]));
	*bench_at(b, DATA + 24) = 0x80;
	*bench_at(b, DATA + 160 + 15 * 16) = 0x5a;
}

static void test_images(void)
{
	tap_ok(run("0f ae 0b", good_image) == EMU_OK && b.fx.mxcsr == 0x80 &&
	       b.xmm[15][0] == 0x5a && !b.xmm[15][8], "fxrstor (%%rbx)");
	tap_ok(b.xmm[15][16] == 0xff, "... leaves the upper half alone");
	tap_ok(run("0f ae 13", good_image) == EMU_OK && b.fx.mxcsr == 0, "ldmxcsr (%%rbx)");
}

static void test_environment(void)
{
	struct emu_fx before;

	run("dd 33 dd 23", far_pointers);
	tap_ok(b.fx.fcw == 0x37f && !b.fx.fsw && !b.fx.ftw && !b.fx.fip, "fnsave sets up anew");
	tap_ok(bench_step(&b) == EMU_OK && b.fx.fsw == 0x3000 && b.fx.ftw == 0xc0 &&
	       b.fx.st[1][7] == 0x80 && b.fx.fip == 0x51234 && b.fx.fop == 0x123,
	       "frstor brings all of it back");
	run("d9 33", pending);
	tap_ok(b.fx.fcw == 0x37f && b.fx.ftw == 0xc0, "fnstenv masks all exceptions");
	bench_reset(&b, REAL, 0, CODE_AT);
	bench_put_code(&b, "d9 37 d9 27");
	b.ctx.gpr[EMU_RBX] = DATA;
	far_pointers(&b);
	before = b.fx;
	tap_ok(bench_step(&b) == EMU_OK && bench_step(&b) == EMU_OK && b.fx.fip == 0x51234 &&
	       b.fx.fdp == before.fdp && b.fx.fop == before.fop && b.fx.ftw == before.ftw,
	       "fldenv takes linear addresses back");
}

int main(void)
{
	const struct row *row;

	for (row = rows; row->name; row++)
		tap_ok(row_passes(row), "%s", row->name);
	test_load();
	test_control();
	test_failed_store();
	test_mmx();
	test_images();
	test_environment();
	return tap_done();
}
