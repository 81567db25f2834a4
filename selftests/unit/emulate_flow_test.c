// SPDX-License-Identifier: GPL-2.0
/*
 * Test the emulator around single instructions: fetching, repetition, reads that
 * wait for userspace, atomicity, lazy segments, vector registers. emulate_test.c
 * tests the results of instructions.
 */
#include <string.h>
#include "emulate_bench.h"
#include "tap.h"

#define CODE_AT		0x1000u
#define DATA		0x8000u

/* Fetching never accesses a page that the instruction does not extend into. */
static void test_fetch(struct bench *b)
{
	bench_reset(b, EMU_MODE_LONG64, 0, 0x1ffe);
	b->rights[2] = BENCH_ABSENT;
	bench_put_code(b, "89 c8");
	tap_ok(bench_step(b) == EMU_OK && b->ctx.rip == 0x2000 && b->fetched == 2,
	       "fetch stops at the end of the page the instruction ends in");

	bench_reset(b, EMU_MODE_LONG64, 0, 0x1fff);
	b->rights[2] = BENCH_ABSENT;
	bench_put_code(b, "89 c8");
	tap_ok(bench_step(b) == EMU_FAULT && b->ctx.fault.vector == 14 &&
	       b->ctx.fault.cr2 == 0x2000 && b->ctx.rip == 0x1fff,
	       "fetch faults on the second page if the instruction goes on there");

	bench_reset(b, EMU_MODE_LONG64, 0, 0x1fff);
	bench_put_code(b, "89 c8");
	b->ctx.gpr[EMU_RCX] = 5;
	tap_ok(bench_step(b) == EMU_OK && b->ctx.gpr[EMU_RAX] == 5 && b->fetches == 2,
	       "an instruction on two pages is put together");

	bench_reset(b, EMU_MODE_PROT32, 0, 0x1800);
	b->ctx.seg[EMU_CS].limit = 0x1801;
	bench_put_code(b, "89 c8");
	tap_ok(bench_step(b) == EMU_OK, "an instruction may end at the code segment's limit");
	tap_ok(bench_step(b) == EMU_FAULT && b->ctx.fault.vector == 13 && b->ctx.rip == 0x1802,
	       "the next one is a general protection fault");

	bench_reset(b, EMU_MODE_PROT32, 0, 0x1800);
	b->ctx.seg[EMU_CS].limit = 0x1800;
	bench_put_code(b, "89 c8");
	tap_ok(bench_step(b) == EMU_FAULT && b->ctx.fault.vector == 13 && b->ctx.rip == 0x1800,
	       "an instruction may not cross the code segment's limit");

	bench_reset(b, EMU_MODE_LONG64, 0, 0x1000);
	memcpy(b->ctx.insn.bytes, "\x89\xc8", 2);
	b->ctx.insn.fetched = 2;
	tap_ok(emu_decode(&b->ctx) == EMU_OK && b->fetches == 0 && b->ctx.insn.length == 2,
	       "bytes that are there already are not fetched");
}

/* The last decoded instruction is reused for the same bytes in the same mode only. */
static void test_same_again(struct bench *b)
{
	bench_reset(b, EMU_MODE_LONG64, 0, CODE_AT);
	bench_put_code(b, "89 c8");
	b->ctx.gpr[EMU_RCX] = 0x1122334455667788;
	bench_step(b);
	b->ctx.rip = CODE_AT;
	b->ctx.gpr[EMU_RAX] = 0;
	tap_ok(bench_step(b) == EMU_OK && b->ctx.gpr[EMU_RAX] == 0x55667788 &&
	       b->ctx.rip == CODE_AT + 2, "the same instruction does the same again");

	b->ctx.rip = CODE_AT;
	b->ctx.gpr[EMU_RAX] = 0;
	b->ctx.mode = EMU_MODE_PROT16;
	tap_ok(bench_step(b) == EMU_OK && b->ctx.gpr[EMU_RAX] == 0x7788,
	       "in another mode it is another one");

	b->ctx.rip = CODE_AT;
	b->ctx.gpr[EMU_RAX] = 0;
	bench_put_code(b, "89 d0");
	b->ctx.gpr[EMU_RDX] = 5;
	tap_ok(bench_step(b) == EMU_OK && b->ctx.gpr[EMU_RAX] == 5, "so it is with other bytes");

	b->ctx.rip = CODE_AT;
	bench_put_code(b, "0f 0b");
	tap_ok(bench_step(b) == EMU_FAULT && b->ctx.fault.vector == 6 &&
	       bench_step(b) == EMU_FAULT && b->ctx.fault.vector == 6,
	       "what could not be decoded is not taken for what was before");

	bench_put_code(b, "89 d0");
	b->rights[CODE_AT / 4096] = BENCH_ABSENT;
	tap_ok(bench_step(b) == EMU_FAULT && b->ctx.fault.vector == 14,
	       "an instruction that cannot be fetched faults, known or not");
}

/* A repeated instruction goes one iteration at a time. */
static void test_iteration(struct bench *b)
{
	bench_reset(b, EMU_MODE_LONG64, 0, CODE_AT);
	bench_put_code(b, "f3 aa");
	b->ctx.gpr[EMU_RDI] = DATA;
	b->ctx.gpr[EMU_RCX] = 2;
	emu_decode(&b->ctx);
	tap_ok(emu_execute(&b->ctx) == EMU_OK && b->ctx.rep_again && b->ctx.rip == CODE_AT &&
	       b->ctx.gpr[EMU_RCX] == 1 && b->ctx.gpr[EMU_RDI] == DATA + 1,
	       "one iteration is committed and RIP stays");
	tap_ok(b->ctx.rflags & 0x10000, "RF is set between iterations");
	tap_ok(emu_execute(&b->ctx) == EMU_OK && !b->ctx.rep_again && b->ctx.rip == CODE_AT + 2 &&
	       b->ctx.gpr[EMU_RCX] == 0, "the last iteration moves RIP on");
	tap_ok(!(b->ctx.rflags & 0x10000), "RF is clear after the last");

	bench_reset(b, EMU_MODE_LONG64, 0, CODE_AT);
	bench_put_code(b, "f3 aa");
	b->ctx.rflags |= BENCH_FLAG_TF;
	b->ctx.gpr[EMU_RDI] = DATA;
	b->ctx.gpr[EMU_RCX] = 2;
	emu_decode(&b->ctx);
	tap_ok(emu_execute(&b->ctx) == EMU_OK && b->ctx.single_step && b->ctx.rep_again,
	       "single-stepping sees each iteration");
}

/* Reads that need userspace: nothing is committed, and the same reads come again. */
static void test_io(struct bench *b)
{
	bench_reset(b, EMU_MODE_LONG64, 0, CODE_AT);
	b->rights[DATA / BENCH_PAGE] = BENCH_IO;
	bench_put_code(b, "48 8b 03");
	b->ctx.gpr[EMU_RBX] = DATA;
	tap_ok(bench_step(b) == EMU_IO && b->ctx.rip == CODE_AT && !b->ctx.gpr[EMU_RAX],
	       "a read that waits for userspace commits nothing");
	b->io_answer = 0x1234;
	b->io_answers = 1;
	tap_ok(emu_execute(&b->ctx) == EMU_OK && b->ctx.gpr[EMU_RAX] == 0x1234,
	       "the answered read completes without another decode");

	bench_reset(b, EMU_MODE_LONG64, 0, CODE_AT);
	b->rights[DATA / BENCH_PAGE] = BENCH_IO;
	bench_put_code(b, "48 a7");
	b->ctx.gpr[EMU_RSI] = DATA;
	b->ctx.gpr[EMU_RDI] = DATA + 8;
	b->io_answers = 1;
	tap_ok(bench_step(b) == EMU_IO && b->reads == 2 && b->ctx.gpr[EMU_RSI] == DATA,
	       "a second read that waits commits nothing of the first");
	b->io_answers = 2;
	tap_ok(emu_execute(&b->ctx) == EMU_OK && b->ctx.gpr[EMU_RSI] == DATA + 8 &&
	       (b->ctx.rflags & BENCH_FLAG_ZF), "both are read again");

	bench_reset(b, EMU_MODE_LONG64, 0, CODE_AT);
	b->rights[DATA / BENCH_PAGE] = BENCH_IO;
	bench_put_code(b, "83 03 01");
	b->ctx.gpr[EMU_RBX] = DATA;
	b->io_answer = 41;
	tap_ok(bench_step(b) == EMU_IO && b->writes == 0,
	       "no write goes out before a read is back");
	b->io_answers = 1;
	tap_ok(emu_execute(&b->ctx) == EMU_OK && *bench_at(b, DATA) == 42 && !b->wrote_before_read,
	       "a read-modify-write reads, then writes");
}

/* A locked access uses compare and exchange, and nothing else. */
static void test_lock(struct bench *b)
{
	static const char * const codes[] = {
		"f0 83 03 01", "f0 ff 03", "f0 f7 1b", "f0 0f c1 0b", "f0 0f b1 0b", "87 0b",
		"86 0b", "f0 0f c7 0b", "f0 48 0f c7 0b", "f0 0f ba 2b 00", "f0 0f ab 03", NULL
	};
	unsigned int i;

	for (i = 0; codes[i]; i++) {
		bench_reset(b, EMU_MODE_LONG64, 0, CODE_AT);
		bench_put_code(b, codes[i]);
		b->ctx.gpr[EMU_RBX] = DATA;
		tap_ok(bench_step(b) == EMU_OK && b->locked == 1 && b->writes == 1,
		       "locked instruction %s is one exchange", codes[i]);
		tap_ok(b->read_access == (EMU_READ | EMU_RMW | EMU_LOCKED),
		       "... after a locked read with the rights of a write");
		b->ctx.rip = CODE_AT;
		b->ctx.gpr[EMU_RCX] = 77;
		b->change_on_cmpxchg = true;
		tap_ok(bench_step(b) == EMU_RETRY && b->ctx.rip == CODE_AT &&
		       b->ctx.gpr[EMU_RCX] == 77, "... and changes nothing if it loses the race");
	}
	bench_reset(b, EMU_MODE_LONG64, 0, CODE_AT);
	bench_put_code(b, "83 03 01");
	b->ctx.gpr[EMU_RBX] = DATA;
	tap_ok(bench_step(b) == EMU_OK && b->locked == 0, "without the prefix nothing is locked");

	bench_reset(b, EMU_MODE_LONG64, 0, CODE_AT);
	bench_put_code(b, "0f b1 0b");
	b->ctx.gpr[EMU_RAX] = 1;
	b->ctx.gpr[EMU_RBX] = DATA;
	tap_ok(bench_step(b) == EMU_OK && b->writes == 1 && !(b->ctx.rflags & BENCH_FLAG_ZF),
	       "a comparison that fails writes the old value back");
}

/* Outside 64-bit code linear addresses wrap at 32 bits, even within an operand. */
static void test_wrap(struct bench *b)
{
	bench_reset(b, EMU_MODE_PROT32, 0xfffff000, CODE_AT);
	bench_put_code(b, "89 03");
	b->ctx.seg[EMU_DS].base = 0xfffff000;
	b->ctx.gpr[EMU_RBX] = 0xffe;
	b->ctx.gpr[EMU_RAX] = 0x11223344;
	tap_ok(bench_step(b) == EMU_OK && *bench_at(b, 0xffffffff) == 0x33 &&
	       *bench_at(b, 0) == 0x22 && *bench_at(b, 1) == 0x11,
	       "an operand wraps around at 4 GiB");

	bench_reset(b, EMU_MODE_PROT32, 0xfffff000, 0xffffffff);
	*bench_at(b, 0xffffffff) = 0x90;
	tap_ok(bench_step(b) == EMU_OK && b->ctx.rip == 0, "so does the instruction pointer");
}

static unsigned int segments_loaded;

static void load_seg(struct emu_ctx *ctx, unsigned int index)
{
	segments_loaded |= 1u << index;
	ctx->seg[index].base = 0x100;
}

/* Segment registers are loaded only if they are needed. */
static void test_lazy_segments(struct bench *b)
{
	struct emu_ops ops = bench_ops;

	ops.load_seg = load_seg;
	bench_reset(b, EMU_MODE_LONG64, 0, CODE_AT);
	b->ctx.ops = &ops;
	b->ctx.seg_valid = 0;
	bench_put_code(b, "89 03");
	b->ctx.gpr[EMU_RBX] = DATA;
	tap_ok(bench_step(b) == EMU_OK && !segments_loaded,
	       "a 64-bit move needs no segment register");
	bench_put_code(b, "65 89 03");
	tap_ok(bench_step(b) == EMU_OK && segments_loaded == 1u << EMU_GS,
	       "one through GS needs that one alone");
}

static bool bytes_are(const u8 *bytes, unsigned int from, unsigned int to, u8 val)
{
	for (; from < to; from++) {
		if (bytes[from] != val)
			return false;
	}
	return true;
}

/* Run one move into vector register 1, which holds ff; memory holds 55. */
static const u8 *vector_load(struct bench *b, const char *hex)
{
	bench_reset(b, EMU_MODE_LONG64, 0, CODE_AT);
	memset(b->xmm[1], 0xff, 32);
	memset(bench_at(b, DATA), 0x55, 32);
	b->ctx.gpr[EMU_RBX] = DATA;
	bench_put_code(b, hex);
	return bench_step(b) == EMU_OK ? b->xmm[1] : NULL;
}

static void test_vector(struct bench *b)
{
	const u8 *x;

	x = vector_load(b, "0f 10 0b");
	tap_ok(x && bytes_are(x, 0, 16, 0x55) && bytes_are(x, 16, 32, 0xff),
	       "an SSE load leaves the upper half of the register");
	x = vector_load(b, "c5 f8 10 0b");
	tap_ok(x && bytes_are(x, 0, 16, 0x55) && bytes_are(x, 16, 32, 0),
	       "a 16-byte AVX load clears it");
	x = vector_load(b, "c5 fc 10 0b");
	tap_ok(x && bytes_are(x, 0, 32, 0x55), "a 32-byte AVX load fills it");
	x = vector_load(b, "f3 0f 10 0b");
	tap_ok(x && bytes_are(x, 0, 4, 0x55) && bytes_are(x, 4, 16, 0),
	       "movss clears the rest of the 16 bytes");
	x = vector_load(b, "f3 0f 7e 0b");
	tap_ok(x && bytes_are(x, 0, 8, 0x55) && bytes_are(x, 8, 16, 0) &&
	       bytes_are(x, 16, 32, 0xff), "so does movq");
	x = vector_load(b, "66 0f 6e 0b");
	tap_ok(x && bytes_are(x, 0, 4, 0x55) && bytes_are(x, 4, 16, 0), "and movd");
	x = vector_load(b, "66 0f 12 0b");
	tap_ok(x && bytes_are(x, 0, 8, 0x55) && bytes_are(x, 8, 16, 0xff),
	       "movlpd replaces the low half");
	x = vector_load(b, "0f 16 0b");
	tap_ok(x && bytes_are(x, 0, 8, 0xff) && bytes_are(x, 8, 16, 0x55),
	       "movhps replaces the high half");
	x = vector_load(b, "c5 e8 16 0b");
	tap_ok(x && bytes_are(x, 0, 8, 0) && bytes_are(x, 8, 16, 0x55) && bytes_are(x, 16, 32, 0),
	       "vmovhps takes the low half from VEX.vvvv");
}

static void test_shadow(struct bench *b)
{
	bench_reset(b, EMU_MODE_LONG64, 0, CODE_AT);
	bench_put_code(b, "fb");
	tap_ok(bench_step(b) == EMU_OK && b->ctx.shadow == EMU_SHADOW_STI,
	       "sti holds interrupts off for one instruction");
	b->ctx.rip = CODE_AT;
	tap_ok(bench_step(b) == EMU_OK && b->ctx.shadow == EMU_SHADOW_NONE,
	       "but only if they were off before");
}

int main(void)
{
	static struct bench bench;

	test_fetch(&bench);
	test_same_again(&bench);
	test_iteration(&bench);
	test_io(&bench);
	test_lock(&bench);
	test_wrap(&bench);
	test_lazy_segments(&bench);
	test_vector(&bench);
	test_shadow(&bench);
	return tap_done();
}
