// SPDX-License-Identifier: GPL-2.0
/*
 * Test SYSCALL, SYSRET, SYSENTER, SYSEXIT and INT1: their targets, segments,
 * flags and privilege checks; and the instructions that change the bases of FS
 * and GS.
 */
#include <string.h>
#include "emulate_bench.h"
#include "tap.h"

#define CODE_AT	0x1000u
#define KERNEL	0xffffffff81000000ull
#define USER	0x400000ull
#define BAD	(1ull << 60)

/* Indexes of own_msr[] of the bench: the low four bits of the MSR number. */
#define STAR		(0xc0000081 & 15)
#define LSTAR		(0xc0000082 & 15)
#define FMASK		(0xc0000084 & 15)
#define KERNEL_GS_BASE	(0xc0000102 & 15)
#define SYSENTER_CS	(0x174 & 15)
#define SYSENTER_ESP	(0x175 & 15)
#define SYSENTER_EIP	(0x176 & 15)

static void start(struct bench *b, enum emu_mode mode, unsigned int cpl, const char *code)
{
	bench_reset(b, mode, 0, CODE_AT);
	b->ctx.cpl = cpl;
	b->ctx.efer |= 1;
	b->own_msr[STAR] = 0x0023001000000000;
	b->own_msr[LSTAR] = KERNEL;
	bench_put_code(b, code);
}

static void start_sysenter(struct bench *b, enum emu_mode mode, unsigned int cpl, const char *code)
{
	start(b, mode, cpl, code);
	b->own_msr[SYSENTER_CS] = 0x13;
	b->own_msr[SYSENTER_ESP] = KERNEL + 0x1000;
	b->own_msr[SYSENTER_EIP] = KERNEL;
	b->ctx.rflags = 0x202;
	b->ctx.gpr[EMU_RCX] = USER + 0x1000;
	b->ctx.gpr[EMU_RDX] = USER;
}

static bool faults(struct bench *b, unsigned int vector)
{
	return bench_step(b) == EMU_FAULT && b->ctx.fault.vector == vector &&
	       b->ctx.rip == CODE_AT && !b->ctx.seg_dirty;
}

static bool flat(const struct emu_seg *s, u16 sel, unsigned int type)
{
	return s->sel == sel && !s->base && s->limit == 0xffffffff && s->g && s->s && s->p &&
	       !s->unusable && s->dpl == (sel & 3) && s->type == type;
}

static bool code_is(const struct bench *b, u16 sel, bool code64)
{
	const struct emu_seg *cs = &b->ctx.seg[EMU_CS];

	return flat(cs, sel, 11) && cs->l == code64 && cs->db == !code64;
}

static bool stack_is(const struct bench *b, u16 sel)
{
	return flat(&b->ctx.seg[EMU_SS], sel, 3) && b->ctx.seg[EMU_SS].db;
}

static void test_syscall(struct bench *b)
{
	start(b, EMU_MODE_LONG64, 3, "0f 05");
	b->ctx.rflags = 0x10746;
	b->own_msr[FMASK] = 0x700;
	tap_ok(bench_step(b) == EMU_OK && b->ctx.rip == KERNEL &&
	       b->ctx.gpr[EMU_RCX] == CODE_AT + 2 && code_is(b, 0x10, true) && stack_is(b, 0x18),
	       "syscall");
	tap_ok(b->ctx.gpr[EMU_R11] == 0x746 && b->ctx.rflags == 0x46 && !b->ctx.single_step,
	       "... keeps the flags but RF, masks them, and so takes no step");
	start(b, EMU_MODE_LONG64, 3, "0f 05");
	b->ctx.rflags |= BENCH_FLAG_TF;
	tap_ok(bench_step(b) == EMU_OK && b->ctx.single_step, "... unless TF stays");
	start(b, EMU_MODE_LONG64, 3, "0f 05");
	b->ctx.efer &= ~1ull;
	tap_ok(faults(b, 6), "... where it is enabled");
	start(b, EMU_MODE_LONG64, 0, "48 0f 07");
	b->ctx.gpr[EMU_RCX] = USER;
	b->ctx.gpr[EMU_R11] = ~0ull;
	tap_ok(bench_step(b) == EMU_OK && b->ctx.rip == USER && code_is(b, 0x33, true) &&
	       stack_is(b, 0x2b) && b->ctx.rflags == 0x3c7fd7 && b->ctx.single_step, "sysretq");
	start(b, EMU_MODE_LONG64, 0, "0f 07");
	b->ctx.gpr[EMU_RCX] = 0xff00000000 + USER;
	tap_ok(bench_step(b) == EMU_OK && b->ctx.rip == USER && code_is(b, 0x23, false) &&
	       stack_is(b, 0x2b) && b->ctx.rflags == 2, "sysret to 32-bit code");
	start(b, EMU_MODE_LONG64, 0, "48 0f 07");
	b->ctx.gpr[EMU_RCX] = BAD;
	tap_ok(faults(b, 13), "sysretq wants a canonical address");
	start(b, EMU_MODE_LONG64, 3, "48 0f 07");
	tap_ok(faults(b, 13), "... and is privileged");
}

static void test_sysenter(struct bench *b)
{
	start_sysenter(b, EMU_MODE_PROT32, 3, "0f 34");
	tap_ok(bench_step(b) == EMU_OK && b->ctx.rip == (u32)KERNEL && b->ctx.rflags == 2 &&
	       b->ctx.gpr[EMU_RSP] == (u32)KERNEL + 0x1000 && code_is(b, 0x10, false) &&
	       stack_is(b, 0x18), "sysenter from 32-bit code");
	start_sysenter(b, EMU_MODE_LONG64, 3, "0f 34");
	tap_ok(bench_step(b) == EMU_OK && b->ctx.rip == KERNEL &&
	       b->ctx.gpr[EMU_RSP] == KERNEL + 0x1000 && code_is(b, 0x10, true),
	       "sysenter in long mode");
	start_sysenter(b, EMU_MODE_VM86, 3, "0f 34");
	b->ctx.rflags |= 0x20000;
	tap_ok(bench_step(b) == EMU_OK && b->ctx.rflags == 2, "sysenter leaves virtual-8086 mode");
	start_sysenter(b, EMU_MODE_REAL, 0, "0f 34");
	tap_ok(faults(b, 13), "no sysenter in real mode");
	start_sysenter(b, EMU_MODE_PROT32, 3, "0f 34");
	b->own_msr[SYSENTER_CS] = 3;
	tap_ok(faults(b, 13), "... nor without a segment");
	start_sysenter(b, EMU_MODE_PROT32, 0, "0f 35");
	tap_ok(bench_step(b) == EMU_OK && b->ctx.rip == USER && code_is(b, 0x23, false) &&
	       b->ctx.gpr[EMU_RSP] == USER + 0x1000 && stack_is(b, 0x2b), "sysexit");
	start_sysenter(b, EMU_MODE_LONG64, 0, "48 0f 35");
	tap_ok(bench_step(b) == EMU_OK && code_is(b, 0x33, true) && stack_is(b, 0x3b),
	       "sysexit to 64-bit code");
	start_sysenter(b, EMU_MODE_LONG64, 0, "48 0f 35");
	b->ctx.gpr[EMU_RCX] = BAD;
	tap_ok(faults(b, 13), "... wants a canonical stack");
	start_sysenter(b, EMU_MODE_LONG64, 0, "48 0f 35");
	b->ctx.gpr[EMU_RDX] = BAD;
	tap_ok(faults(b, 13), "... and address");
	start_sysenter(b, EMU_MODE_PROT32, 3, "0f 35");
	tap_ok(faults(b, 13), "... and is privileged");
	start_sysenter(b, EMU_MODE_REAL, 0, "0f 35");
	tap_ok(faults(b, 13), "no sysexit in real mode");
}

static void test_int1(struct bench *b)
{
	start(b, EMU_MODE_PROT32, 3, "f1");
	b->ctx.rflags |= BENCH_FLAG_TF;
	tap_ok(bench_step(b) == EMU_OK && b->traps == 1 && b->ctx.rip == CODE_AT + 1 &&
	       !b->ctx.single_step, "int1 is one trap, and asks nobody");
}

static void test_bases(struct bench *b)
{
	start(b, EMU_MODE_LONG64, 0, "0f 01 f8");
	b->own_msr[KERNEL_GS_BASE] = KERNEL;
	b->ctx.seg[EMU_GS].base = USER;
	tap_ok(bench_step(b) == EMU_OK && b->ctx.seg[EMU_GS].base == KERNEL &&
	       b->own_msr[KERNEL_GS_BASE] == USER && b->ctx.seg_dirty == 1u << EMU_GS, "swapgs");
	start(b, EMU_MODE_LONG64, 3, "f3 48 0f ae d8");
	b->ctx.cr4 |= 0x10000;
	b->ctx.gpr[EMU_RAX] = KERNEL;
	tap_ok(bench_step(b) == EMU_OK && b->ctx.seg[EMU_GS].base == KERNEL, "wrgsbase");
	start(b, EMU_MODE_LONG64, 3, "f3 0f ae d0");
	b->ctx.cr4 |= 0x10000;
	b->ctx.gpr[EMU_RAX] = KERNEL;
	tap_ok(bench_step(b) == EMU_OK && b->ctx.seg[EMU_FS].base == (u32)KERNEL,
	       "wrfsbase of 32 bits");
	start(b, EMU_MODE_LONG64, 3, "f3 48 0f ae d0");
	b->ctx.cr4 |= 0x10000;
	b->ctx.gpr[EMU_RAX] = BAD;
	tap_ok(faults(b, 13), "... wants a canonical one");
	start(b, EMU_MODE_LONG64, 3, "f3 48 0f ae c8");
	b->ctx.cr4 |= 0x10000;
	b->ctx.seg[EMU_GS].base = KERNEL;
	tap_ok(bench_step(b) == EMU_OK && b->ctx.gpr[EMU_RAX] == KERNEL && !b->ctx.seg_dirty,
	       "rdgsbase");
}

int main(void)
{
	static struct bench b;

	test_syscall(&b);
	test_sysenter(&b);
	test_int1(&b);
	test_bases(&b);
	return tap_done();
}
