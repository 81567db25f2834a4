// SPDX-License-Identifier: GPL-2.0
/*
 * Test hardware task switches by jump, call, return, interrupt and VM exit: what
 * is saved, loaded, marked busy and linked, and in which task a fault is raised.
 */
#include <string.h>
#include "emulate_bench.h"
#include "emulate_put.h"
#include "tap.h"

#define CODE_AT	0x1000u
#define GDT	0x4000u
#define LDT	0x5000u
#define OLD	0x6000u
#define NEW	0x6800u
#define IDT	0x7000u
#define STACK	0x9000u
#define STACK2	0xa000u

#define NT	0x4000u
#define BUSY	2u

enum selector {
	CODE0 = 0x08, DATA0 = 0x10, CODE3 = 0x18, DATA3 = 0x20, TSS_OLD = 0x28, TSS_NEW = 0x30,
	TASK_GATE = 0x38, LDT_SEL = 0x40, ABSENT = 0x48, CODE16 = 0x50, GATE0 = 0x58,
	BEYOND = 0x60,
};

static u64 task_gate(u8 access, u16 sel)
{
	return (u64)access << 40 | (u64)sel << 16;
}

static u8 type_of(struct bench *b, u16 sel)
{
	return get(b, GDT + sel + 5, 1) & 15;
}

static void put_tables(struct bench *b)
{
	put(b, GDT + CODE0, descriptor(0x9a, 0xc, 0, 0xfffff), 8);
	put(b, GDT + DATA0, descriptor(0x92, 0xc, 0, 0xfffff), 8);
	put(b, GDT + CODE3, descriptor(0xfa, 0xc, 0, 0xfffff), 8);
	put(b, GDT + DATA3, descriptor(0xf2, 0xc, 0, 0xfffff), 8);
	put(b, GDT + TSS_OLD, descriptor(0x8b, 0, OLD, 0x67), 8);
	put(b, GDT + TSS_NEW, descriptor(0x89, 0, NEW, 0x67), 8);
	put(b, GDT + TASK_GATE, task_gate(0xe5, TSS_NEW), 8);
	put(b, GDT + LDT_SEL, descriptor(0x82, 0, LDT, 0xff), 8);
	put(b, GDT + ABSENT, descriptor(0x12, 0xc, 0, 0xfffff), 8);
	put(b, GDT + CODE16, descriptor(0x9a, 0, 0, 0xffff), 8);
	put(b, GDT + GATE0, task_gate(0x85, TSS_NEW), 8);
	put(b, IDT + 8 * 8, task_gate(0x85, TSS_NEW), 8);
	put(b, IDT + 0x21 * 8, task_gate(0xe5, TSS_NEW), 8);
	put(b, IDT + 0x22 * 8, task_gate(0x65, TSS_NEW), 8);
	b->gdt = (struct emu_table){ .base = GDT, .limit = BEYOND - 1 };
	b->idt = (struct emu_table){ .base = IDT, .limit = 0x7ff };
}

/* Store a 32-bit task: its registers are 0x100, 0x101 and so on. */
static void put_task(struct bench *b, u16 code, u16 data)
{
	unsigned int i;

	memset(bench_at(b, NEW), 0, 0x68);
	put(b, NEW + 32, 0x2000, 4);
	put(b, NEW + 36, 0x202, 4);
	for (i = 0; i < 8; i++)
		put(b, NEW + 40 + 4 * i, i == 4 ? STACK2 : 0x100 + i, 4);
	for (i = 0; i < 6; i++)
		put(b, NEW + 72 + 4 * i, i == 1 ? code : data, 4);
}

/* Store the same as a 16-bit task. */
static void put_task16(struct bench *b)
{
	unsigned int i;

	put(b, GDT + TSS_NEW, descriptor(0x81, 0, NEW, 0x2b), 8);
	memset(bench_at(b, NEW), 0, 0x68);
	put(b, NEW + 14, 0x2000, 2);
	put(b, NEW + 16, 0x202, 2);
	for (i = 0; i < 8; i++)
		put(b, NEW + 18 + 2 * i, i == 4 ? STACK2 : 0x100 + i, 2);
	for (i = 0; i < 4; i++)
		put(b, NEW + 34 + 2 * i, i == 1 ? CODE16 : DATA0, 2);
}

static void start(struct bench *b, unsigned int cpl, const char *code)
{
	unsigned int i;

	bench_reset(b, EMU_MODE_PROT32, 0, CODE_AT);
	b->ctx.cpl = cpl;
	for (i = 0; i < EMU_LDTR; i++) {
		b->ctx.seg[i].dpl = cpl;
		b->ctx.seg[i].sel = (i == EMU_CS ? CODE0 : DATA0) | cpl;
	}
	for (i = 0; i < 8; i++)
		b->ctx.gpr[i] = 0x500 + i;
	b->ctx.gpr[EMU_RSP] = STACK;
	b->ctx.seg[EMU_TR] = (struct emu_seg){
		.sel = TSS_OLD, .base = OLD, .limit = 0x67, .type = 11, .p = 1,
	};
	put_tables(b);
	put_task(b, CODE0, DATA0);
	bench_put_code(b, code);
}

static bool old_is_saved(struct bench *b, u32 ip, u32 flags)
{
	unsigned int i;

	for (i = 0; i < 8; i++)
		if (get(b, OLD + 40 + 4 * i, 4) != (i == 4 ? STACK : 0x500 + i))
			return false;
	return get(b, OLD + 32, 4) == ip && get(b, OLD + 36, 4) == flags &&
	       get(b, OLD + 72, 2) == DATA0 && get(b, OLD + 76, 2) == CODE0 &&
	       get(b, OLD + 80, 2) == DATA0 && get(b, OLD + 92, 2) == DATA0;
}

/* True if the new task runs, with @flags and its stack at @sp. */
static bool new_runs(struct bench *b, u32 flags, u32 sp)
{
	struct emu_ctx *ctx = &b->ctx;

	return ctx->rip == 0x2000 && ctx->rflags == flags && ctx->gpr[EMU_RSP] == sp &&
	       ctx->gpr[EMU_RAX] == 0x100 && ctx->gpr[EMU_RDI] == 0x107 &&
	       ctx->seg[EMU_TR].sel == TSS_NEW && ctx->seg[EMU_TR].base == NEW &&
	       ctx->seg[EMU_TR].type & BUSY && b->cr[0] & 8 && !ctx->single_step;
}

static bool faults(struct bench *b, unsigned int vector, u32 error)
{
	enum emu_result result = bench_step(b);

	if (result == EMU_FAULT && b->ctx.fault.vector == vector &&
	    b->ctx.fault.error_code == error && !b->writes)
		return true;
	tap_note("result %d, vector %u, error %x", result, b->ctx.fault.vector,
		 b->ctx.fault.error_code);
	return false;
}

/* True if the switch happens and the new task begins with this exception. */
static bool begins_with(struct bench *b, unsigned int vector, u32 error)
{
	enum emu_result result = bench_step(b);

	if (result == EMU_OK && b->ctx.begins_with_fault && b->ctx.fault.vector == vector &&
	    b->ctx.fault.error_code == error && b->ctx.rip == 0x2000 &&
	    b->ctx.seg[EMU_TR].sel == TSS_NEW)
		return true;
	tap_note("result %d, vector %u, error %x", result, b->ctx.fault.vector,
		 b->ctx.fault.error_code);
	return false;
}

#define JMP_TSS		"ea 00 00 00 00 30 00"
#define CALL_TSS	"9a 00 00 00 00 30 00"
#define JMP_GATE	"ea 00 00 00 00 38 00"
#define JMP_GATE0	"ea 00 00 00 00 58 00"

static void test_jump(struct bench *b)
{
	start(b, 0, JMP_TSS);
	b->ctx.rflags |= BENCH_FLAG_TF | NT;
	b->dr[7] = 0x4ff;
	tap_ok(bench_step(b) == EMU_OK && new_runs(b, 0x202, STACK2) &&
	       !b->ctx.begins_with_fault, "a jump to a task");
	tap_ok(old_is_saved(b, CODE_AT + 7, 0x4102), "... saves the old one");
	tap_ok(type_of(b, TSS_OLD) == 9 && type_of(b, TSS_NEW) == 11,
	       "... which is free then, and the new one busy");
	tap_ok(!get(b, NEW, 2), "... and no way leads back");
	tap_ok(b->dr[7] == (0x4ff & ~0x155), "breakpoints of the old task are off");
	start(b, 3, JMP_GATE);
	tap_ok(bench_step(b) == EMU_OK && new_runs(b, 0x202, STACK2) && !b->ctx.seg[EMU_SS].dpl,
	       "user code jumps through a task gate");
	start(b, 3, JMP_GATE0);
	tap_ok(faults(b, 13, GATE0), "... that it may use");
	start(b, 3, JMP_TSS);
	tap_ok(faults(b, 13, TSS_NEW), "... or to a task of its level");
	start(b, 0, JMP_TSS);
	put(b, GDT + TSS_NEW + 5, 0x8b, 1);
	tap_ok(faults(b, 13, TSS_NEW), "no jump to a task that is busy");
	start(b, 0, JMP_GATE);
	put(b, GDT + TSS_NEW + 5, 0x09, 1);
	tap_ok(faults(b, 11, TSS_NEW), "... or absent");
	start(b, 0, JMP_GATE);
	put(b, GDT + TASK_GATE + 5, 0x65, 1);
	tap_ok(faults(b, 11, TASK_GATE), "... or behind an absent gate");
	start(b, 0, JMP_TSS);
	put(b, GDT + TSS_NEW, 0x66, 1);
	tap_ok(faults(b, 10, TSS_NEW), "... or too small");
	start(b, 0, JMP_TSS);
	b->rights[OLD / BENCH_PAGE] = BENCH_READ_ONLY;
	tap_ok(faults(b, 14, 3), "the old one is saved, or nothing happens");
}

static void test_call_and_return(struct bench *b)
{
	start(b, 0, CALL_TSS);
	tap_ok(bench_step(b) == EMU_OK && new_runs(b, 0x4202, STACK2) &&
	       get(b, NEW, 2) == TSS_OLD && type_of(b, TSS_OLD) == 11 &&
	       type_of(b, TSS_NEW) == 11, "a call leaves a link, and both are busy");
	start(b, 0, "cf");
	b->ctx.rflags |= NT;
	put(b, OLD, TSS_NEW, 2);
	put(b, GDT + TSS_NEW + 5, 0x8b, 1);
	tap_ok(bench_step(b) == EMU_OK && new_runs(b, 0x202, STACK2) && b->ctx.nmi_open &&
	       old_is_saved(b, CODE_AT + 1, 2) && type_of(b, TSS_OLD) == 9 &&
	       type_of(b, TSS_NEW) == 11, "iret goes back, and its task is free, NT clear");
	start(b, 0, "cf");
	b->ctx.rflags |= NT;
	put(b, OLD, TSS_NEW, 2);
	tap_ok(faults(b, 10, TSS_NEW), "... to one that is busy");
	start(b, 0, "cf");
	b->ctx.rflags |= NT;
	put(b, OLD, TSS_NEW | 4, 2);
	tap_ok(faults(b, 10, TSS_NEW | 4), "... in the GDT");
}

static void test_events(struct bench *b)
{
	const struct emu_event fault = { .vector = 8, .has_error = true, .error_code = 0x77 };
	const struct emu_event irq = { .vector = 0x22 };

	start(b, 3, "90");
	tap_ok(emu_interrupt(&b->ctx, &fault) == EMU_OK && new_runs(b, 0x4202, STACK2 - 4) &&
	       get(b, STACK2 - 4, 4) == 0x77 && get(b, OLD + 32, 4) == CODE_AT &&
	       get(b, NEW, 2) == TSS_OLD, "an exception comes to a task, its error code too");
	start(b, 3, "cd 21");
	tap_ok(bench_step(b) == EMU_OK && new_runs(b, 0x4202, STACK2) &&
	       get(b, OLD + 32, 4) == CODE_AT + 2, "so does int n");
	start(b, 3, "cd 08");
	tap_ok(faults(b, 13, 0x42), "... if user code may use the gate");
	start(b, 3, "90");
	tap_ok(emu_interrupt(&b->ctx, &irq) == EMU_FAULT && b->ctx.fault.vector == 11 &&
	       b->ctx.fault.error_code == 0x113, "an absent gate is no task");
	put(b, IDT + 0x22 * 8, task_gate(0xe5, CODE0), 8);
	tap_ok(emu_interrupt(&b->ctx, &irq) == EMU_FAULT && b->ctx.fault.vector == 13 &&
	       b->ctx.fault.error_code == (CODE0 | 1), "nor one to code");
	put(b, IDT + 0x22 * 8, task_gate(0xe5, TSS_NEW), 8);
	put(b, NEW + 80, ABSENT, 2);
	tap_ok(emu_interrupt(&b->ctx, &irq) == EMU_OK && b->ctx.begins_with_fault &&
	       b->ctx.fault.vector == 12 && b->ctx.fault.error_code == (ABSENT | 1),
	       "what is bad in the new task is external too");
}

static void test_new_tasks_faults(struct bench *b)
{
	start(b, 0, JMP_TSS);
	put(b, NEW + 76, DATA0, 2);
	tap_ok(begins_with(b, 10, DATA0), "data for code");
	start(b, 0, JMP_TSS);
	put(b, NEW + 80, CODE0, 2);
	tap_ok(begins_with(b, 10, CODE0), "code for a stack");
	start(b, 0, JMP_TSS);
	put(b, NEW + 84, ABSENT, 2);
	tap_ok(begins_with(b, 11, ABSENT) && b->ctx.seg[EMU_DS].unusable &&
	       b->ctx.seg[EMU_DS].sel == ABSENT, "absent data");
	start(b, 0, JMP_TSS);
	put(b, NEW + 96, DATA0, 2);
	tap_ok(begins_with(b, 10, DATA0) && b->ctx.seg[EMU_LDTR].unusable, "data for an LDT");
	start(b, 0, JMP_TSS);
	put(b, NEW + 100, 1, 2);
	tap_ok(begins_with(b, 1, b->ctx.fault.error_code) && b->ctx.fault.dr6 == 0x8000,
	       "the T bit is a debug trap");
	start(b, 0, JMP_TSS);
	put(b, NEW + 96, LDT_SEL, 2);
	put(b, LDT + 8, descriptor(0x92, 4, 0x300, 0x1234), 8);
	put(b, NEW + 84, 0xc, 2);
	tap_ok(bench_step(b) == EMU_OK && !b->ctx.begins_with_fault &&
	       b->ctx.seg[EMU_LDTR].base == LDT && b->ctx.seg[EMU_DS].base == 0x300 &&
	       get(b, LDT + 13, 1) == 0x93, "segments come from the new LDT");
	start(b, 0, JMP_TSS);
	put_task(b, CODE3 | 3, DATA3 | 3);
	tap_ok(bench_step(b) == EMU_OK && !b->ctx.begins_with_fault &&
	       b->ctx.seg[EMU_CS].sel == (CODE3 | 3) && b->ctx.seg[EMU_SS].dpl == 3,
	       "a task of user code");
	start(b, 0, JMP_TSS);
	put_task(b, 0x1234, 0x5678);
	put(b, NEW + 36, 0x20202, 4);
	tap_ok(bench_step(b) == EMU_OK && b->ctx.seg[EMU_CS].base == 0x12340 &&
	       b->ctx.seg[EMU_GS].base == 0x56780 && b->ctx.rflags == 0x20202,
	       "a task of virtual-8086 code");
}

static void test_16_bit(struct bench *b)
{
	start(b, 0, JMP_TSS);
	put_task16(b);
	tap_ok(bench_step(b) == EMU_OK && new_runs(b, 0x202, STACK2) && !b->ctx.seg[EMU_CS].db &&
	       b->ctx.seg[EMU_TR].type == 3 && b->ctx.seg[EMU_FS].unusable,
	       "a task of 16 bits");
	start(b, 0, JMP_TSS);
	put(b, GDT + TSS_OLD, descriptor(0x83, 0, OLD, 0x2b), 8);
	b->ctx.seg[EMU_TR].type = 3;
	b->ctx.seg[EMU_TR].limit = 0x2b;
	tap_ok(bench_step(b) == EMU_OK && new_runs(b, 0x202, STACK2) &&
	       get(b, OLD + 14, 2) == CODE_AT + 7 && get(b, OLD + 26, 2) == STACK &&
	       get(b, OLD + 36, 2) == CODE0 && get(b, OLD + 40, 4) == DATA0,
	       "... and from one: no more is saved than it holds");
}

/* A switch to a task with another CR3 works for a VM exit only. */
static void test_exit(struct bench *b)
{
	const struct emu_event call = { .length = 7 };

	start(b, 0, CALL_TSS);
	b->ctx.cr0 |= 0x80000000;
	b->cr[3] = 0x1000;
	put(b, NEW + 28, 0x3000, 4);
	tap_ok(bench_step(b) == EMU_UNHANDLED && b->cr[3] == 0x1000 && !b->writes,
	       "an instruction does not change page tables");
	tap_ok(emu_switch_task(&b->ctx, EMU_TASK_CALL, TSS_NEW, &call) == EMU_OK &&
	       new_runs(b, 0x4202, STACK2) && b->cr[3] == 0x3000 &&
	       old_is_saved(b, CODE_AT + 7, 2), "a VM exit does");
}

int main(void)
{
	static struct bench b;

	test_jump(&b);
	test_call_and_return(&b);
	test_events(&b);
	test_new_tasks_faults(&b);
	test_16_bit(&b);
	test_exit(&b);
	return tap_done();
}
