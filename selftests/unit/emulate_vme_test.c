// SPDX-License-Identifier: GPL-2.0
/*
 * Test the virtual interrupt flag: virtual-8086 code with CR4.VME, and user code
 * with CR4.PVI. Below IOPL 3 such code sees and changes VIF instead of IF;
 * setting VIF is #GP while VIP is set.
 */
#include <string.h>
#include "emulate_bench.h"
#include "emulate_put.h"
#include "tap.h"

#define CODE_AT	0x1000u
#define TSS	0x6000u
#define STACK	0x9000u
#define MAP	0x68u		/* redirection map in the TSS; the I/O map follows it */

#define VME	1u
#define PVI	2u
#define VM	0x20000u
#define VIF	0x80000u
#define VIP	0x100000u
#define IOPL3	0x3000u

/* Start virtual-8086 code with @flags, and @word on its stack. */
static void start(struct bench *b, const char *code, u64 flags, u16 word)
{
	bench_reset(b, EMU_MODE_VM86, 0, CODE_AT);
	b->ctx.cr4 |= VME;
	b->ctx.rflags = flags | VM | 2;
	b->ctx.gpr[EMU_RSP] = STACK;
	b->ctx.seg[EMU_TR] = (struct emu_seg){ .base = TSS, .limit = 0xff, .type = 11, .p = 1 };
	put(b, TSS + 0x66, MAP + 32, 2);
	put(b, 0x21 * 4, 0x03002000, 4);
	put(b, STACK, word, 2);
	bench_put_code(b, code);
}

static bool faults(struct bench *b)
{
	u64 before = b->ctx.rflags;

	return bench_step(b) == EMU_FAULT && b->ctx.fault.vector == 13 &&
	       !b->ctx.fault.error_code && b->ctx.rflags == before &&
	       b->ctx.gpr[EMU_RSP] == STACK;
}

static bool leaves(struct bench *b, u64 flags)
{
	return bench_step(b) == EMU_OK && b->ctx.rflags == (flags | VM | 2);
}

static void test_pushf(struct bench *b)
{
	start(b, "9c", VIF, 0);
	tap_ok(bench_step(b) == EMU_OK && get(b, STACK - 2, 2) == 0x3202,
	       "pushf shows VIF as IF, and IOPL 3");
	start(b, "9c", BENCH_FLAG_IF, 0);
	tap_ok(bench_step(b) == EMU_OK && get(b, STACK - 2, 2) == 0x3002, "... and not IF itself");
	start(b, "66 9c", VIF, 0);
	tap_ok(faults(b), "not in 32 bits");
	start(b, "9c", VIF, 0);
	b->ctx.cr4 &= ~VME;
	tap_ok(faults(b), "not without VME");
	start(b, "9c", IOPL3 | BENCH_FLAG_IF, 0);
	tap_ok(bench_step(b) == EMU_OK && get(b, STACK - 2, 2) == 0x3202,
	       "at IOPL 3 it shows the flags");
}

static void test_popf(struct bench *b)
{
	start(b, "9d", 0, 0x201);
	tap_ok(leaves(b, VIF | BENCH_FLAG_CF), "popf sets VIF, not IF");
	start(b, "9d", VIF | VIP | BENCH_FLAG_IF, 0x3000);
	tap_ok(leaves(b, VIP | BENCH_FLAG_IF), "... or clears it, and leaves IOPL");
	start(b, "9d", VIP, 0x200);
	tap_ok(faults(b), "#GP if an interrupt waits for it");
	start(b, "9d", 0, 0x100);
	tap_ok(faults(b), "#GP for TF");
	start(b, "9d", IOPL3, 0x200);
	tap_ok(leaves(b, IOPL3 | BENCH_FLAG_IF), "at IOPL 3 it sets IF");
}

static void test_iret(struct bench *b)
{
	start(b, "cf", 0, 0x2000);
	put(b, STACK + 2, 0x300, 2);
	put(b, STACK + 4, 0x201, 2);
	tap_ok(leaves(b, VIF | BENCH_FLAG_CF) && b->ctx.rip == 0x2000 &&
	       b->ctx.seg[EMU_CS].base == 0x3000 && b->ctx.gpr[EMU_RSP] == STACK + 6,
	       "iret sets VIF, not IF");
	start(b, "cf", VIP, 0x2000);
	put(b, STACK + 4, 0x200, 2);
	tap_ok(faults(b), "#GP if an interrupt waits for it");
	start(b, "66 cf", 0, 0);
	tap_ok(faults(b), "not in 32 bits");
}

static void test_cli_sti(struct bench *b)
{
	start(b, "fa", VIF | BENCH_FLAG_IF, 0);
	tap_ok(leaves(b, BENCH_FLAG_IF), "cli clears VIF");
	start(b, "fb", 0, 0);
	tap_ok(leaves(b, VIF) && b->ctx.shadow == EMU_SHADOW_NONE, "sti sets it");
	start(b, "fb", VIP, 0);
	tap_ok(faults(b), "#GP if an interrupt waits for it");
	start(b, "fa", VIP | VIF, 0);
	tap_ok(leaves(b, VIP), "but cli may");
}

/* Start protected-mode code at level @cpl. */
static void start_user(struct bench *b, const char *code, unsigned int cpl, u64 flags)
{
	bench_reset(b, EMU_MODE_PROT32, 0, CODE_AT);
	b->ctx.cpl = cpl;
	b->ctx.cr4 |= PVI;
	b->ctx.rflags = flags | 2;
	b->ctx.gpr[EMU_RSP] = STACK;
	bench_put_code(b, code);
}

static void test_user(struct bench *b)
{
	start_user(b, "fb", 3, 0);
	tap_ok(bench_step(b) == EMU_OK && b->ctx.rflags == (VIF | 2), "user's sti sets VIF");
	start_user(b, "fa", 3, VIF | VIP | BENCH_FLAG_IF);
	tap_ok(bench_step(b) == EMU_OK && b->ctx.rflags == (VIP | BENCH_FLAG_IF | 2),
	       "cli clears it");
	start_user(b, "fb", 3, VIP);
	tap_ok(faults(b), "#GP if an interrupt waits for it");
	start_user(b, "fb", 2, 0);
	tap_ok(faults(b), "not on other levels");
	start_user(b, "fb", 3, 0);
	b->ctx.cr4 ^= PVI | VME;
	tap_ok(faults(b), "not without PVI");
	start_user(b, "fb", 3, IOPL3);
	tap_ok(bench_step(b) == EMU_OK && b->ctx.rflags == (IOPL3 | BENCH_FLAG_IF | 2),
	       "at IOPL 3 it sets IF");
}

static void test_own_interrupts(struct bench *b)
{
	start(b, "cd 21", VIF | BENCH_FLAG_IF, 0);
	tap_ok(leaves(b, BENCH_FLAG_IF) && b->ctx.rip == 0x2000 &&
	       b->ctx.seg[EMU_CS].base == 0x3000 && get(b, STACK - 2, 2) == 0x3202 &&
	       get(b, STACK - 4, 2) == 0 && get(b, STACK - 6, 2) == CODE_AT + 2 &&
	       b->ctx.gpr[EMU_RSP] == STACK - 6, "int n is virtual-8086 code's own");
	start(b, "cd 21", IOPL3 | VIF | BENCH_FLAG_IF | BENCH_FLAG_TF, 0);
	tap_ok(leaves(b, IOPL3 | VIF) && get(b, STACK - 2, 2) == 0x3302 && !b->ctx.single_step,
	       "at IOPL 3 it clears IF");
	start(b, "cd 21", VIF, 0);
	put(b, TSS + MAP + 0x21 / 8, 2, 1);
	tap_ok(faults(b), "the map in the TSS gives it to the monitor");
	start(b, "cd 21", VIF, 0);
	put(b, TSS + MAP + 0x21 / 8, 0xfd, 1);
	tap_ok(leaves(b, 0), "... each vector for itself");
	start(b, "cd 21", VIF, 0);
	b->ctx.seg[EMU_TR].limit = MAP + 3;
	tap_ok(faults(b), "the map must be there");
	start(b, "cd 21", VIF, 0);
	put(b, TSS + 0x66, 31, 2);
	tap_ok(faults(b), "... and in the TSS");
	start(b, "cd 21", VIF, 0);
	b->ctx.cr4 &= ~VME;
	tap_ok(faults(b), "not without VME");
}

int main(void)
{
	static struct bench b;

	test_pushf(&b);
	test_popf(&b);
	test_iret(&b);
	test_cli_sti(&b);
	test_user(&b);
	test_own_interrupts(&b);
	return tap_done();
}
