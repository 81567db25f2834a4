// SPDX-License-Identifier: GPL-2.0
/*
 * Test instructions that a user program cannot try on its processor: privileged
 * ones, descriptors of all kinds, transfers between privilege levels, interrupts
 * in real mode, ports. emulate_diff.c compares what user code can do.
 */
#include <string.h>
#include "emulate_bench.h"
#include "emulate_put.h"
#include "tap.h"

#define CODE_AT	0x1000u
#define GDT	0x4000u
#define LDT	0x5000u
#define TSS	0x6000u
#define DATA	0x8000u
#define STACK	0x9000u

/* Access bytes: present, not a system descriptor. */
#define DATA0	0x92
#define CODE0	0x9a
#define CODE3	0xfa
#define DATA3	0xf2

enum selector {
	SEL_CODE0 = 0x08, SEL_DATA0 = 0x10, SEL_CODE3 = 0x18, SEL_DATA3 = 0x20,
	SEL_READ_ONLY = 0x28, SEL_EXECUTE_ONLY = 0x30, SEL_CONFORMING = 0x38,
	SEL_ABSENT_DATA = 0x40, SEL_ABSENT_CODE = 0x48, SEL_GATE = 0x50, SEL_LDT = 0x58,
	SEL_TSS = 0x68, SEL_CODE64 = 0x78, SEL_CODE16 = 0x80, SEL_BEYOND = 0x88,
};

static void put_gdt(struct bench *b)
{
	static const struct {
		u16 sel;
		u8 access, flags;
		u32 base, limit;
	} rows[] = {
		{ SEL_CODE0, CODE0, 0xc, 0, 0xfffff }, { SEL_DATA0, DATA0, 0xc, 0, 0xfffff },
		{ SEL_CODE3, CODE3, 0xc, 0, 0xfffff }, { SEL_DATA3, DATA3, 0xc, 0, 0xfffff },
		{ SEL_READ_ONLY, 0x90, 0x4, 0x100, 0x1234 },
		{ SEL_EXECUTE_ONLY, 0x98, 0xc, 0, 0xfffff },
		{ SEL_CONFORMING, 0x9e, 0xc, 0, 0xfffff },
		{ SEL_ABSENT_DATA, 0x12, 0xc, 0, 0xfffff },
		{ SEL_ABSENT_CODE, 0x1a, 0xc, 0, 0xfffff }, { SEL_GATE, 0x8c, 0, 0, 0 },
		{ SEL_LDT, 0x82, 0, LDT, 0xff }, { SEL_TSS, 0x89, 0, TSS, 0x88 },
		{ SEL_CODE64, CODE0, 0xa, 0, 0xfffff }, { SEL_CODE16, CODE0, 0, 0, 0xffff },
		{ 0 }
	};
	unsigned int i;

	for (i = 0; rows[i].sel; i++)
		put(b, GDT + rows[i].sel, descriptor(rows[i].access, rows[i].flags, rows[i].base,
						     rows[i].limit), 8);
	b->gdt = (struct emu_table){ .base = GDT, .limit = SEL_BEYOND - 1 };
}

/* @cpl: also the DPL of the segments that are loaded. */
static void start(struct bench *b, enum emu_mode mode, unsigned int cpl, const char *code)
{
	unsigned int i;

	bench_reset(b, mode, 0, CODE_AT);
	b->ctx.cpl = cpl;
	b->user = cpl == 3;
	for (i = 0; mode >= EMU_MODE_PROT16 && i < EMU_LDTR; i++) {
		b->ctx.seg[i].dpl = cpl;
		b->ctx.seg[i].sel |= cpl;
	}
	b->ctx.gpr[EMU_RSP] = STACK;
	b->ctx.gpr[EMU_RBX] = DATA;
	put_gdt(b);
	bench_put_code(b, code);
}

static bool faults(struct bench *b, unsigned int vector, u32 error)
{
	enum emu_result result = bench_step(b);

	if (result == EMU_FAULT && b->ctx.fault.vector == vector &&
	    (!b->ctx.fault.has_error || b->ctx.fault.error_code == error))
		return true;
	tap_note("result %d, vector %u, error %x", result, b->ctx.fault.vector,
		 b->ctx.fault.error_code);
	return false;
}

/* --- loads -------------------------------------------------------------- */

static bool load_faults(struct bench *b, const char *code, unsigned int cpl, u16 sel,
			unsigned int vector, u32 error)
{
	start(b, EMU_MODE_PROT32, cpl, code);
	b->ctx.gpr[EMU_RAX] = sel;
	return faults(b, vector, error) && !b->ctx.seg_dirty;
}

static void test_data_loads(struct bench *b)
{
	start(b, EMU_MODE_PROT32, 0, "8e d8");
	b->ctx.gpr[EMU_RAX] = SEL_READ_ONLY;
	tap_ok(bench_step(b) == EMU_OK && b->ctx.seg_dirty == 1u << EMU_DS &&
	       b->ctx.seg[EMU_DS].base == 0x100 && b->ctx.seg[EMU_DS].limit == 0x1234 &&
	       b->ctx.seg[EMU_DS].type == 1 && b->ctx.seg[EMU_DS].db,
	       "mov to DS loads base, limit and rights");
	tap_ok(get(b, GDT + SEL_READ_ONLY + 5, 1) == 0x91 && b->locked == 1,
	       "... and marks the descriptor accessed, atomically");
	start(b, EMU_MODE_PROT32, 0, "8e d8");
	b->ctx.gpr[EMU_RAX] = SEL_DATA0;
	put(b, GDT + SEL_DATA0 + 5, DATA0 | 1, 1);
	tap_ok(bench_step(b) == EMU_OK && !b->locked && !b->writes,
	       "a descriptor that is marked is not written");
	start(b, EMU_MODE_PROT32, 0, "8e d8");
	b->ctx.gpr[EMU_RAX] = 3;
	tap_ok(bench_step(b) == EMU_OK && b->ctx.seg[EMU_DS].unusable &&
	       b->ctx.seg[EMU_DS].sel == 3, "the null selector makes a data segment unusable");
	tap_ok(load_faults(b, "8e d8", 0, SEL_BEYOND, 13, SEL_BEYOND), "beyond the table");
	tap_ok(load_faults(b, "8e d8", 0, SEL_LDT, 13, SEL_LDT), "no system segment");
	tap_ok(load_faults(b, "8e d8", 0, SEL_EXECUTE_ONLY, 13, SEL_EXECUTE_ONLY),
	       "no code that cannot be read");
	tap_ok(load_faults(b, "8e d8", 3, SEL_DATA0 | 3, 13, SEL_DATA0), "no inner data");
	tap_ok(load_faults(b, "8e d8", 0, SEL_DATA0 | 3, 13, SEL_DATA0), "no RPL above the DPL");
	tap_ok(load_faults(b, "8e d8", 0, SEL_ABSENT_DATA, 11, SEL_ABSENT_DATA), "not present");
	tap_ok(load_faults(b, "8e d8", 0, 0xc, 13, 0xc), "no LDT");
	start(b, EMU_MODE_PROT32, 3, "8e d8");
	b->ctx.gpr[EMU_RAX] = SEL_CONFORMING | 3;
	tap_ok(bench_step(b) == EMU_OK, "conforming code can be read from anywhere");
	start(b, EMU_MODE_PROT32, 0, "8e d8");
	b->ctx.gpr[EMU_RAX] = SEL_DATA0;
	b->rights[GDT / BENCH_PAGE] = BENCH_ABSENT;
	tap_ok(faults(b, 14, 0) && b->ctx.fault.cr2 == GDT + SEL_DATA0,
	       "a table that is not there");
	start(b, EMU_MODE_PROT32, 3, "8e d8");
	b->ctx.gpr[EMU_RAX] = SEL_DATA3 | 3;
	b->rights[GDT / BENCH_PAGE] = BENCH_ABSENT;
	tap_ok(faults(b, 14, 0), "... is not user code's fault");
}

static void test_stack_loads(struct bench *b)
{
	start(b, EMU_MODE_PROT32, 0, "8e d0");
	b->ctx.gpr[EMU_RAX] = SEL_DATA0;
	b->ctx.rflags |= BENCH_FLAG_TF;
	tap_ok(bench_step(b) == EMU_OK && b->ctx.shadow == EMU_SHADOW_MOV_SS &&
	       !b->ctx.single_step, "mov to SS holds traps off for one instruction");
	start(b, EMU_MODE_PROT32, 0, "8e d8");
	b->ctx.gpr[EMU_RAX] = SEL_DATA0;
	b->ctx.rflags |= BENCH_FLAG_TF;
	tap_ok(bench_step(b) == EMU_OK && b->ctx.single_step, "... mov to DS does not");
	tap_ok(load_faults(b, "8e d0", 0, 0, 13, 0), "no null stack");
	tap_ok(load_faults(b, "8e d0", 0, SEL_READ_ONLY, 13, SEL_READ_ONLY), "no read-only stack");
	tap_ok(load_faults(b, "8e d0", 0, SEL_DATA3 | 3, 13, SEL_DATA3), "no outer stack");
	tap_ok(load_faults(b, "8e d0", 0, SEL_ABSENT_DATA, 12, SEL_ABSENT_DATA),
	       "a stack that is not present is #SS");
	start(b, EMU_MODE_LONG64, 0, "8e d0");
	tap_ok(bench_step(b) == EMU_OK && b->ctx.seg[EMU_SS].unusable,
	       "64-bit supervisor code may have a null stack");
	start(b, EMU_MODE_PROT32, 0, "0f b2 03");
	put(b, DATA, 0x12345678, 4);
	put(b, DATA + 4, SEL_DATA0, 2);
	tap_ok(bench_step(b) == EMU_OK && b->ctx.gpr[EMU_RAX] == 0x12345678 &&
	       b->ctx.seg[EMU_SS].sel == SEL_DATA0 && b->ctx.shadow == EMU_SHADOW_NONE,
	       "lss loads both at once");
	start(b, EMU_MODE_REAL, 0, "8e 17");
	put(b, DATA, 0x1234, 2);
	b->ctx.seg[EMU_SS].limit = 0xfffff;
	tap_ok(bench_step(b) == EMU_OK && b->ctx.seg[EMU_SS].base == 0x12340 &&
	       b->ctx.seg[EMU_SS].limit == 0xfffff, "real mode changes the base and nothing else");
}

/* @type: type of DS; 0: DS is unusable. */
static bool real_access_works(struct bench *b, const char *code, int type)
{
	start(b, EMU_MODE_REAL, 0, code);
	b->ctx.seg[EMU_DS].type = type;
	b->ctx.seg[EMU_DS].unusable = !type;
	return bench_step(b) == EMU_OK;
}

static void test_real_rights(struct bench *b)
{
	tap_ok(real_access_works(b, "89 07", 3) && real_access_works(b, "8b 07", 3),
	       "real mode reads and writes data");
	tap_ok(real_access_works(b, "8b 07", 1) && !real_access_works(b, "89 07", 1),
	       "... and only reads what was read-only before");
	tap_ok(real_access_works(b, "89 07", 11), "... writes to code");
	tap_ok(!real_access_works(b, "8b 07", 0), "... has nothing where nothing was loaded");
}

static void test_system_loads(struct bench *b)
{
	start(b, EMU_MODE_PROT32, 0, "0f 00 13");
	put(b, DATA, SEL_LDT, 2);
	tap_ok(bench_step(b) == EMU_OK && b->ctx.seg[EMU_LDTR].base == LDT &&
	       b->ctx.seg[EMU_LDTR].limit == 0xff, "lldt");
	start(b, EMU_MODE_PROT32, 0, "0f 00 13");
	tap_ok(bench_step(b) == EMU_OK && b->ctx.seg[EMU_LDTR].unusable, "lldt of nothing");
	start(b, EMU_MODE_PROT32, 0, "0f 00 13");
	put(b, DATA, SEL_TSS, 2);
	tap_ok(faults(b, 13, SEL_TSS), "lldt of something else");
	start(b, EMU_MODE_PROT32, 0, "0f 00 1b");
	put(b, DATA, SEL_TSS, 2);
	tap_ok(bench_step(b) == EMU_OK && b->ctx.seg[EMU_TR].base == TSS &&
	       b->ctx.seg[EMU_TR].type == 11 && get(b, GDT + SEL_TSS + 5, 1) == 0x8b,
	       "ltr makes the TSS busy");
	tap_ok((b->ctx.rip = CODE_AT, faults(b, 13, SEL_TSS)), "... and takes no busy one");
	start(b, EMU_MODE_PROT32, 0, "0f 00 1b");
	tap_ok(faults(b, 13, 0), "ltr of nothing");
	start(b, EMU_MODE_LONG64, 0, "0f 00 1b");
	put(b, DATA, SEL_TSS, 2);
	put(b, GDT + SEL_TSS + 8, 0xffff8000, 8);
	tap_ok(bench_step(b) == EMU_OK && b->ctx.seg[EMU_TR].base == 0xffff800000000000 + TSS,
	       "ltr in long mode takes 16 bytes");
	start(b, EMU_MODE_LONG64, 0, "0f 00 1b");
	put(b, DATA, SEL_TSS, 2);
	put(b, GDT + SEL_TSS + 8, 0x12345678, 8);
	tap_ok(faults(b, 13, SEL_TSS), "... with a canonical base");
	start(b, EMU_MODE_PROT32, 3, "0f 00 13");
	tap_ok(faults(b, 13, 0), "lldt is privileged");
}

static void test_queries(struct bench *b)
{
	start(b, EMU_MODE_PROT32, 0, "0f 02 03");
	put(b, DATA, SEL_GATE, 2);
	tap_ok(bench_step(b) == EMU_OK && b->ctx.gpr[EMU_RAX] == 0x8c00 &&
	       (b->ctx.rflags & BENCH_FLAG_ZF), "lar of a gate");
	start(b, EMU_MODE_PROT32, 0, "0f 03 03");
	put(b, DATA, SEL_GATE, 2);
	tap_ok(bench_step(b) == EMU_OK && !b->ctx.gpr[EMU_RAX] && !(b->ctx.rflags & BENCH_FLAG_ZF),
	       "a gate has no limit");
	start(b, EMU_MODE_PROT32, 0, "0f 03 03");
	put(b, DATA, SEL_TSS, 2);
	tap_ok(bench_step(b) == EMU_OK && b->ctx.gpr[EMU_RAX] == 0x88, "lsl of a TSS");
	start(b, EMU_MODE_PROT32, 3, "0f 02 03");
	put(b, DATA, SEL_DATA0, 2);
	tap_ok(bench_step(b) == EMU_OK && !(b->ctx.rflags & BENCH_FLAG_ZF),
	       "lar does not see inner segments");
}

/* --- transfers ---------------------------------------------------------- */

static void put_far(struct bench *b, u64 at, u32 offset, u16 sel)
{
	put(b, at, offset, 4);
	put(b, at + 4, sel, 2);
}

static bool far_faults(struct bench *b, u16 sel, unsigned int vector, u32 error)
{
	start(b, EMU_MODE_PROT32, 0, "ff 2b");
	put_far(b, DATA, 0x2000, sel);
	return faults(b, vector, error) && b->ctx.rip == CODE_AT;
}

static void test_jumps(struct bench *b)
{
	start(b, EMU_MODE_PROT32, 0, "ff 2b");
	put_far(b, DATA, 0x2000, SEL_CODE16);
	tap_ok(bench_step(b) == EMU_OK && b->ctx.rip == 0x2000 && !b->ctx.seg[EMU_CS].db &&
	       b->ctx.seg[EMU_CS].sel == SEL_CODE16, "a far jump changes the code size");
	tap_ok(far_faults(b, 0, 13, 0), "a far jump to nothing");
	tap_ok(far_faults(b, SEL_DATA0, 13, SEL_DATA0), "... to data");
	tap_ok(far_faults(b, SEL_CODE3, 13, SEL_CODE3), "... to outer code");
	tap_ok(far_faults(b, SEL_ABSENT_CODE, 11, SEL_ABSENT_CODE), "... to absent code");
	start(b, EMU_MODE_PROT32, 0, "ff 2b");
	put_far(b, DATA, 0x12000, SEL_CODE16);
	tap_ok(faults(b, 13, 0), "... beyond the limit");
	start(b, EMU_MODE_PROT32, 0, "ff 2b");
	put_far(b, DATA, 0, SEL_GATE);
	tap_ok(faults(b, 13, 0), "... through a gate to nothing");
	start(b, EMU_MODE_PROT32, 3, "ff 2b");
	put_far(b, DATA, 0x2000, SEL_CONFORMING);
	tap_ok(bench_step(b) == EMU_OK && b->ctx.seg[EMU_CS].sel == (SEL_CONFORMING | 3),
	       "conforming code runs at the level of its caller");
	start(b, EMU_MODE_PROT32, 0, "ff 1b");
	put_far(b, DATA, 0x2000, SEL_CODE0);
	b->ctx.seg[EMU_CS].sel = SEL_CODE0;
	tap_ok(bench_step(b) == EMU_OK && b->ctx.gpr[EMU_RSP] == STACK - 8 &&
	       get(b, STACK - 8, 4) == CODE_AT + 2 && get(b, STACK - 4, 4) == SEL_CODE0,
	       "a far call leaves the way back");
	start(b, EMU_MODE_REAL, 0, "9a 34 12 00 20");
	tap_ok(bench_step(b) == EMU_OK && b->ctx.seg[EMU_CS].base == 0x20000 &&
	       b->ctx.rip == 0x1234 && get(b, STACK - 4, 4) == CODE_AT + 5,
	       "a far call in real mode");
}

static void test_returns(struct bench *b)
{
	start(b, EMU_MODE_PROT32, 0, "ca 08 00");
	put(b, STACK, 0x2000, 4);
	put(b, STACK + 4, SEL_CODE3 | 3, 4);
	put(b, STACK + 16, 0x7000, 4);
	put(b, STACK + 20, SEL_DATA3 | 3, 4);
	b->ctx.seg[EMU_FS].dpl = 3;
	tap_ok(bench_step(b) == EMU_OK && b->ctx.rip == 0x2000 &&
	       b->ctx.seg[EMU_SS].sel == (SEL_DATA3 | 3) && b->ctx.gpr[EMU_RSP] == 0x7008,
	       "a far return to outer code takes its stack and drops parameters on both");
	tap_ok(b->ctx.seg[EMU_DS].unusable && b->ctx.seg[EMU_ES].unusable &&
	       !b->ctx.seg[EMU_FS].unusable, "... and leaves no inner segment loaded");
	start(b, EMU_MODE_PROT32, 3, "cb");
	put(b, STACK + 4, SEL_CODE0, 4);
	tap_ok(faults(b, 13, SEL_CODE0), "a far return never leads inwards");
	start(b, EMU_MODE_PROT32, 0, "cb");
	put(b, STACK + 4, SEL_GATE, 4);
	tap_ok(faults(b, 13, SEL_GATE), "... nor through a gate");
	start(b, EMU_MODE_PROT32, 0, "cf");
	put(b, STACK, 0x2000, 4);
	put(b, STACK + 4, SEL_CODE0, 4);
	put(b, STACK + 8, 0x13202, 4);
	tap_ok(bench_step(b) == EMU_OK && b->ctx.rflags == 0x13202 && b->ctx.nmi_open &&
	       b->ctx.gpr[EMU_RSP] == STACK + 12, "iret takes the flags, RF and IOPL with them");
	start(b, EMU_MODE_LONG64, 0, "48 cf");
	b->ctx.rflags |= 0x4000;
	tap_ok(faults(b, 13, 0), "long mode knows no return to another task");
	start(b, EMU_MODE_LONG64, 0, "48 cf");
	put(b, STACK, 0x2000, 8);
	put(b, STACK + 8, SEL_CODE64, 8);
	put(b, STACK + 16, 2, 8);
	put(b, STACK + 24, 0x7770, 8);
	tap_ok(bench_step(b) == EMU_OK && b->ctx.gpr[EMU_RSP] == 0x7770 &&
	       b->ctx.seg[EMU_SS].unusable && b->ctx.seg[EMU_CS].l,
	       "iretq takes the stack pointer in any case");
}

static void test_real_interrupts(struct bench *b)
{
	const struct emu_event event = { .vector = 8, .has_error = true, .error_code = 7 };

	start(b, EMU_MODE_REAL, 0, "cd 21");
	b->idt = (struct emu_table){ .limit = 0x3ff };
	b->ctx.rflags = 0x302;
	put(b, 0x84, 0x03000010, 4);
	tap_ok(bench_step(b) == EMU_OK && b->ctx.rip == 0x10 && b->ctx.seg[EMU_CS].base == 0x3000 &&
	       b->ctx.rflags == 2 && !b->ctx.single_step,
	       "int n goes through the vectors");
	tap_ok(get(b, STACK - 6, 6) == (CODE_AT + 2) + 0x030200000000, "... with IP, CS and flags");
	bench_put_code(b, "cf");
	b->ctx.mode = EMU_MODE_REAL;
	tap_ok(bench_step(b) == EMU_OK && b->ctx.rip == CODE_AT + 2 && b->ctx.rflags == 0x302 &&
	       !b->ctx.single_step, "iret leads back");
	start(b, EMU_MODE_REAL, 0, "cd 21");
	b->idt = (struct emu_table){ .limit = 0x86 };
	tap_ok(faults(b, 13, 0) && !b->ctx.fault.has_error, "a vector beyond the table");
	start(b, EMU_MODE_REAL, 0, "ce");
	tap_ok(bench_step(b) == EMU_OK && b->ctx.rip == CODE_AT + 1, "into without overflow");
	start(b, EMU_MODE_REAL, 0, "90");
	b->idt = (struct emu_table){ .limit = 0x3ff };
	put(b, 8 * 4, 0x03000010, 4);
	tap_ok(emu_interrupt(&b->ctx, &event) == EMU_OK && b->ctx.rip == 0x10 &&
	       get(b, STACK - 6, 2) == CODE_AT,
	       "an interrupt from outside comes back to where it was");
	start(b, EMU_MODE_REAL, 0, "90");
	b->idt = (struct emu_table){ .limit = 0x3ff };
	put(b, 8 * 4, CODE_AT, 4);
	tap_ok(bench_step(b) == EMU_OK && emu_interrupt(&b->ctx, &event) == EMU_OK &&
	       b->ctx.rip == CODE_AT && bench_step(b) == EMU_OK && b->ctx.rip == CODE_AT + 1,
	       "... and may lead to the very instruction that was the last");
}

#define IDT	0x7000u

static u64 gate(u8 access, u16 sel, u32 offset)
{
	return (u64)(offset & 0xffff0000) << 32 | (u64)access << 40 | (u64)sel << 16 |
	       (offset & 0xffff);
}

static void test_gates(struct bench *b)
{
	const struct emu_event event = { .vector = 13, .has_error = true, .error_code = 0x55 };

	start(b, EMU_MODE_PROT32, 0, "cd 21");
	b->idt = (struct emu_table){ .base = IDT, .limit = 0x7ff };
	b->ctx.rflags = 0x4302;
	put(b, IDT + 0x21 * 8, gate(0x8e, SEL_CODE0, 0x2000), 8);
	tap_ok(bench_step(b) == EMU_OK && b->ctx.rip == 0x2000 && b->ctx.rflags == 2 &&
	       b->ctx.gpr[EMU_RSP] == STACK - 12 && get(b, STACK - 12, 4) == CODE_AT + 2 &&
	       get(b, STACK - 4, 4) == 0x4302, "int n goes through an interrupt gate");
	put(b, IDT + 13 * 8, gate(0x8f, SEL_CODE0, 0x3000), 8);
	b->ctx.rflags = 0x202;
	tap_ok(emu_interrupt(&b->ctx, &event) == EMU_OK && b->ctx.rflags == 0x202 &&
	       get(b, STACK - 28, 4) == 0x55 && get(b, STACK - 24, 4) == 0x2000,
	       "a trap gate keeps IF; an error code comes last");
	start(b, EMU_MODE_PROT32, 0, "cd 21");
	b->idt = (struct emu_table){ .base = IDT, .limit = 0x7ff };
	put(b, IDT + 0x21 * 8, gate(0x86, SEL_CODE0, 0x2000), 8);
	tap_ok(bench_step(b) == EMU_OK && b->ctx.gpr[EMU_RSP] == STACK - 6, "a gate of 16 bits");
	start(b, EMU_MODE_PROT32, 0, "cd 21");
	b->idt = (struct emu_table){ .base = IDT, .limit = 0x7ff };
	tap_ok(faults(b, 13, 0x10a), "no gate is #GP that names it");
	put(b, IDT + 0x21 * 8, gate(0x0e, SEL_CODE0, 0x2000), 8);
	tap_ok(faults(b, 11, 0x10a), "an absent one is #NP");
	start(b, EMU_MODE_PROT32, 3, "cd 21");
	b->idt = (struct emu_table){ .base = IDT, .limit = 0x7ff };
	put(b, IDT + 0x21 * 8, gate(0x8e, SEL_CODE0, 0x2000), 8);
	tap_ok(faults(b, 13, 0x10a), "user code may not use each gate");
}

static void put_tss(struct bench *b)
{
	b->ctx.seg[EMU_TR] = (struct emu_seg){ .base = TSS, .limit = 0x67, .type = 11, .p = 1 };
	put(b, TSS + 4, 0xa000, 4);
	put(b, TSS + 8, SEL_DATA0, 2);
	b->idt = (struct emu_table){ .base = IDT, .limit = 0x7ff };
	put(b, IDT + 0x21 * 8, gate(0xee, SEL_CODE0, 0x2000), 8);
}

static void test_inner_gates(struct bench *b)
{
	start(b, EMU_MODE_PROT32, 3, "cd 21");
	put_tss(b);
	tap_ok(bench_step(b) == EMU_OK && b->ctx.seg[EMU_CS].sel == SEL_CODE0 &&
	       b->ctx.seg[EMU_SS].sel == SEL_DATA0 && b->ctx.gpr[EMU_RSP] == 0xa000 - 20 &&
	       get(b, 0xa000 - 8, 4) == STACK && get(b, 0xa000 - 20, 4) == CODE_AT + 2,
	       "user code gets to the stack of the TSS");
	start(b, EMU_MODE_PROT32, 3, "cd 21");
	put_tss(b);
	put(b, TSS + 8, SEL_DATA3 | 3, 2);
	tap_ok(faults(b, 10, SEL_DATA3), "a bad stack there is #TS");
	start(b, EMU_MODE_PROT32, 3, "cd 21");
	put_tss(b);
	b->ctx.seg[EMU_TR].limit = 8;
	tap_ok(faults(b, 10, 0), "... and so is none");
	start(b, EMU_MODE_VM86, 3, "cd 21");
	put_tss(b);
	b->ctx.rflags = 0x23202;
	b->ctx.seg[EMU_FS].sel = 0x1234;
	tap_ok(bench_step(b) == EMU_OK && b->ctx.gpr[EMU_RSP] == 0xa000 - 36 &&
	       get(b, 0xa000 - 8, 4) == 0x1234 && get(b, 0xa000 - 28, 4) == 0x23202 &&
	       b->ctx.seg[EMU_FS].unusable && !(b->ctx.rflags & 0x20000),
	       "virtual-8086 code leaves its segments on it");
	bench_put_code(b, "cf");
	b->ctx.mode = EMU_MODE_PROT32;
	b->ctx.cpl = 0;
	tap_ok(bench_step(b) == EMU_OK && b->ctx.rip == CODE_AT + 2 && b->ctx.rflags == 0x23202 &&
	       b->ctx.seg[EMU_FS].base == 0x12340 && b->ctx.gpr[EMU_RSP] == STACK &&
	       b->ctx.seg[EMU_SS].dpl == 3, "... and iret brings them back");
	start(b, EMU_MODE_VM86, 3, "cd 21");
	put_tss(b);
	tap_ok(faults(b, 13, 0), "below IOPL 3 the monitor hears of it");
}

/* Prepare a far call or jump at level @cpl through a call gate. */
static void start_call(struct bench *b, unsigned int cpl, const char *code, u64 call_gate)
{
	start(b, EMU_MODE_PROT32, cpl, code);
	put_tss(b);
	put(b, GDT + SEL_GATE, call_gate, 8);
	put_far(b, DATA, 0x77777, SEL_GATE | cpl);
	b->ctx.seg[EMU_CS].sel = cpl ? SEL_CODE3 | 3 : SEL_CODE0;
	b->ctx.seg[EMU_SS].sel = cpl ? SEL_DATA3 | 3 : SEL_DATA0;
}

static void test_call_gates(struct bench *b)
{
	const u64 two_parameters = 2ull << 32;

	start_call(b, 0, "ff 1b", gate(0x8c, SEL_CODE0, 0x2000) | two_parameters);
	tap_ok(bench_step(b) == EMU_OK && b->ctx.rip == 0x2000 &&
	       b->ctx.gpr[EMU_RSP] == STACK - 8 && get(b, STACK - 4, 4) == SEL_CODE0 &&
	       get(b, STACK - 8, 4) == CODE_AT + 2, "a call through a gate to its own level");
	start_call(b, 0, "ff 2b", gate(0x8c, SEL_CODE0, 0x2000));
	tap_ok(bench_step(b) == EMU_OK && b->ctx.rip == 0x2000 && !b->ctx.single_step &&
	       b->ctx.gpr[EMU_RSP] == STACK, "a jump");
	start_call(b, 3, "ff 1b", gate(0xec, SEL_CODE0, 0x2000) | two_parameters);
	put(b, STACK, 0x2200000011, 8);
	tap_ok(bench_step(b) == EMU_OK && b->ctx.seg[EMU_CS].sel == SEL_CODE0 &&
	       b->ctx.seg[EMU_SS].sel == SEL_DATA0 && b->ctx.gpr[EMU_RSP] == 0xa000 - 24,
	       "a call to an inner level changes the stack");
	tap_ok(get(b, 0xa000 - 4, 4) == (SEL_DATA3 | 3) && get(b, 0xa000 - 8, 4) == STACK &&
	       get(b, 0xa000 - 16, 8) == 0x2200000011 && get(b, 0xa000 - 24, 4) == CODE_AT + 2,
	       "... and takes parameters along");
	bench_put_code(b, "ca 08 00");
	b->ctx.cpl = 0;
	tap_ok(bench_step(b) == EMU_OK && b->ctx.rip == CODE_AT + 2 &&
	       b->ctx.gpr[EMU_RSP] == STACK + 8 && b->ctx.seg[EMU_SS].sel == (SEL_DATA3 | 3),
	       "... and a far return comes back without them");
	start_call(b, 3, "ff 1b", gate(0xe4, SEL_CODE0, 0x52000));
	tap_ok(bench_step(b) == EMU_OK && b->ctx.rip == 0x2000 &&
	       b->ctx.gpr[EMU_RSP] == 0xa000 - 8, "a gate of 16 bits");
}

static void test_bad_call_gates(struct bench *b)
{
	start_call(b, 3, "ff 2b", gate(0xec, SEL_CODE0, 0x2000));
	tap_ok(faults(b, 13, SEL_CODE0), "a jump to an inner level");
	start_call(b, 3, "ff 1b", gate(0x8c, SEL_CODE0, 0x2000));
	tap_ok(faults(b, 13, SEL_GATE), "a call through a gate that is not for everybody");
	start_call(b, 3, "ff 1b", gate(0x6c, SEL_CODE0, 0x2000));
	tap_ok(faults(b, 11, SEL_GATE), "... that is absent");
	start_call(b, 3, "ff 1b", gate(0xec, SEL_GATE, 0x2000));
	tap_ok(faults(b, 13, SEL_GATE), "... that leads to a gate");
	start_call(b, 3, "ff 1b", gate(0xec, SEL_CODE16, 0x12000));
	tap_ok(faults(b, 13, 0), "... beyond the code");
	start_call(b, 3, "ff 1b", gate(0xec, SEL_CODE0, 0x2000));
	b->rights[0x9] = BENCH_READ_ONLY;
	tap_ok(faults(b, 14, 3) && b->ctx.seg[EMU_SS].sel == (SEL_DATA3 | 3),
	       "... and to a stack that cannot be written");
	start_call(b, 0, "ff 1b", gate(0x8c, SEL_CODE64, 0x2000));
	b->ctx.efer = 0x500;
	tap_ok(bench_step(b) == EMU_UNHANDLED, "those of long mode are not executed here");
}

/* Deliver @event through an IDT in which only vector 21h has @gate. */
static bool delivery_faults(struct bench *b, u64 gate, const struct emu_event *event,
			    unsigned int vector, u32 error)
{
	enum emu_result result;

	start(b, EMU_MODE_PROT32, 3, "90");
	put_tss(b);
	put(b, IDT + 0x21 * 8, gate, 8);
	result = emu_interrupt(&b->ctx, event);
	if (result == EMU_FAULT && b->ctx.fault.vector == vector &&
	    b->ctx.fault.error_code == error && b->ctx.rip == CODE_AT)
		return true;
	tap_note("result %d, vector %u, error %x", result, b->ctx.fault.vector,
		 b->ctx.fault.error_code);
	return false;
}

/* EXT, the lowest bit of the error code: the program did not cause the event. */
static void test_external(struct bench *b)
{
	const struct emu_event irq = { .vector = 0x21 }, none = { .vector = 0x20 };
	const struct emu_event soft = { .vector = 0x20, .soft = true, .length = 2 };
	const u64 good = gate(0x8e, SEL_CODE0, 0x2000);

	tap_ok(delivery_faults(b, good, &none, 13, 0x103), "an interrupt without a gate");
	tap_ok(delivery_faults(b, good, &soft, 13, 0x102), "... which the program has asked for");
	tap_ok(delivery_faults(b, gate(0x0e, SEL_CODE0, 0), &irq, 11, 0x10b), "an absent gate");
	tap_ok(delivery_faults(b, gate(0x8e, 0, 0), &irq, 13, 1), "a gate to nowhere");
	tap_ok(delivery_faults(b, gate(0x8e, SEL_ABSENT_CODE, 0), &irq, 11, SEL_ABSENT_CODE | 1),
	       "a gate to absent code");
	start(b, EMU_MODE_PROT32, 3, "90");
	put_tss(b);
	put(b, TSS + 8, SEL_DATA3 | 3, 2);
	tap_ok(emu_interrupt(&b->ctx, &irq) == EMU_FAULT && b->ctx.fault.vector == 10 &&
	       b->ctx.fault.error_code == (SEL_DATA3 | 1), "a bad inner stack");
	put(b, TSS + 8, SEL_DATA0, 2);
	b->rights[0x9] = BENCH_ABSENT;
	tap_ok(emu_interrupt(&b->ctx, &irq) == EMU_FAULT && b->ctx.fault.vector == 14 &&
	       b->ctx.fault.error_code == 2, "a page fault has no such bit");
	start(b, EMU_MODE_PROT32, 3, "cd 21");
	put_tss(b);
	b->ctx.rflags |= BENCH_FLAG_TF;
	b->ctx.gpr[EMU_RSP] = STACK;
	tap_ok(bench_step(b) == EMU_OK && !b->ctx.single_step && get(b, 0xa000 - 12, 4) == 0x102,
	       "int n with TF set traps in the handler's caller, not in the handler");
	start(b, EMU_MODE_PROT32, 0, "ce");
	b->ctx.rflags |= BENCH_FLAG_TF;
	tap_ok(bench_step(b) == EMU_OK && b->ctx.single_step, "into that does nothing traps");
}

/* --- the rest ----------------------------------------------------------- */

static void test_tables(struct bench *b)
{
	start(b, EMU_MODE_PROT32, 0, "0f 01 1b");
	put(b, DATA, 0x123456780fff, 6);
	tap_ok(bench_step(b) == EMU_OK && b->idt.base == 0x12345678 && b->idt.limit == 0xfff,
	       "lidt");
	start(b, EMU_MODE_REAL, 0, "0f 01 17");
	put(b, DATA, 0x123456780fff, 6);
	tap_ok(bench_step(b) == EMU_OK && b->gdt.base == 0x345678, "lgdt of 16 bits takes 24");
	start(b, EMU_MODE_LONG64, 0, "0f 01 13");
	put(b, DATA + 2, 0x800000000000, 8);
	tap_ok(faults(b, 13, 0) && b->gdt.base == GDT, "lgdt wants a canonical base");
	start(b, EMU_MODE_PROT32, 0, "0f 01 03");
	tap_ok(bench_step(b) == EMU_OK && get(b, DATA, 6) == ((u64)GDT << 16 | (SEL_BEYOND - 1)),
	       "sgdt");
	start(b, EMU_MODE_PROT32, 3, "0f 01 03");
	b->ctx.cr4 |= 0x800;
	tap_ok(faults(b, 13, 0), "... not for users if UMIP is on");
	start(b, EMU_MODE_PROT32, 3, "0f 01 13");
	tap_ok(faults(b, 13, 0), "lgdt is privileged");
}

static void test_registers(struct bench *b)
{
	start(b, EMU_MODE_PROT32, 0, "0f 01 33");
	put(b, DATA, 0xfffe, 2);
	tap_ok(bench_step(b) == EMU_OK && b->cr[0] == 0x1f,
	       "lmsw sets four bits and cannot clear PE");
	start(b, EMU_MODE_PROT32, 0, "0f 06");
	b->ctx.cr0 |= 8;
	tap_ok(bench_step(b) == EMU_OK && b->cr[0] == 0x11, "clts");
	start(b, EMU_MODE_LONG64, 0, "44 0f 22 c3");
	tap_ok(bench_step(b) == EMU_OK && b->cr[8] == DATA, "mov to cr8");
	start(b, EMU_MODE_PROT32, 0, "0f 21 e3");
	b->dr[6] = 77;
	tap_ok(bench_step(b) == EMU_OK && b->ctx.gpr[EMU_RBX] == 77, "dr4 is dr6");
	start(b, EMU_MODE_PROT32, 0, "0f 21 e3");
	b->ctx.cr4 |= 8;
	tap_ok(faults(b, 6, 0), "... unless CR4.DE says no");
	start(b, EMU_MODE_PROT32, 0, "0f 30");
	b->ctx.gpr[EMU_RAX] = 5;
	b->ctx.gpr[EMU_RDX] = 6;
	tap_ok(bench_step(b) == EMU_OK && b->msr == 0x600000005, "wrmsr");
	start(b, EMU_MODE_PROT32, 0, "0f 32");
	b->ctx.gpr[EMU_RCX] = 9;
	tap_ok(faults(b, 13, 0), "rdmsr of none");
	start(b, EMU_MODE_PROT32, 3, "0f 31");
	b->ctx.cr4 |= 4;
	tap_ok(faults(b, 13, 0), "rdtsc can be forbidden");
	start(b, EMU_MODE_PROT32, 0, "f4");
	tap_ok(bench_step(b) == EMU_OK && b->ctx.halted && b->ctx.rip == CODE_AT + 1, "hlt");
	start(b, EMU_MODE_PROT32, 0, "0f 01 3b");
	tap_ok(bench_step(b) == EMU_OK && b->invalidated == 1 && !b->reads, "invlpg");
}

static void test_ports(struct bench *b)
{
	start(b, EMU_MODE_PROT32, 0, "f3 6d");
	b->ctx.gpr[EMU_RDX] = 0x123;
	b->ctx.gpr[EMU_RDI] = DATA;
	b->ctx.gpr[EMU_RCX] = 3;
	b->port_value = 0x11223344;
	tap_ok(bench_step(b) == EMU_OK && b->port == 0x123 && get(b, DATA + 8, 4) == 0x11223344 &&
	       !get(b, DATA + 12, 4), "rep ins");
	start(b, EMU_MODE_PROT32, 0, "6c");
	b->ctx.gpr[EMU_RDI] = DATA;
	b->rights[DATA / BENCH_PAGE] = BENCH_READ_ONLY;
	b->port = 0xffff;
	tap_ok(faults(b, 14, 3) && b->port == 0xffff, "ins finds out first whether it may write");
	start(b, EMU_MODE_PROT32, 0, "e7 80");
	b->ctx.gpr[EMU_RAX] = 0x55667788;
	tap_ok(bench_step(b) == EMU_OK && b->port == 0x80 && b->port_value == 0x55667788, "out");
	start(b, EMU_MODE_PROT32, 3, "e5 80");
	tap_ok(faults(b, 13, 0), "user code needs a TSS for ports");
	start(b, EMU_MODE_PROT32, 3, "e5 80");
	b->ctx.seg[EMU_TR] = (struct emu_seg){ .base = TSS, .limit = 0x88, .type = 11, .p = 1 };
	put(b, TSS + 102, 0x70, 2);
	tap_ok(bench_step(b) == EMU_OK, "... which allows a port");
	put(b, TSS + 0x80, 8, 1);
	b->ctx.rip = CODE_AT;
	tap_ok(faults(b, 13, 0), "... or one of its four bytes not");
	put(b, TSS + 102, 0x80, 2);
	b->ctx.rip = CODE_AT;
	tap_ok(faults(b, 13, 0), "... or ends before it");
}

int main(void)
{
	static struct bench b;

	test_data_loads(&b);
	test_stack_loads(&b);
	test_real_rights(&b);
	test_system_loads(&b);
	test_queries(&b);
	test_jumps(&b);
	test_returns(&b);
	test_real_interrupts(&b);
	test_gates(&b);
	test_inner_gates(&b);
	test_call_gates(&b);
	test_bad_call_gates(&b);
	test_external(&b);
	test_tables(&b);
	test_registers(&b);
	test_ports(&b);
	return tap_done();
}
