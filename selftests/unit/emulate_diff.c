// SPDX-License-Identifier: GPL-2.0
/*
 * Compare the emulator with the processor that this runs on: both execute random
 * instructions with random operands, and every register, flag, byte of memory and
 * fault is compared. Only what the architecture leaves undefined is left out, and
 * what processors of AMD and Intel do differently.
 *
 * What this machine cannot run is reported as skipped; so is, with the argument
 * "bochs", what Bochs does wrong.
 *
 * FUZZ_SECONDS bounds the run, 10 by default; 0 means until interrupted, with
 * a progress line. FUZZ_CASES bounds it by number. FUZZ_SEED repeats one.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "emulate/exec.h"
#include "emulate/opcodes.h"
#include "emulate_code.h"
#include "emulate_foreign.h"
#include "emulate_native.h"
#include "emulate_trial.h"
#include "emulate_undefined.h"
#include "tap.h"

#define MAX_REPORTS	20
#define FLAGS_COMPARED	(BENCH_FLAGS_ARITH | BENCH_FLAG_DF | BENCH_FLAG_IF | FLAG_AC | 0x200000u)

static unsigned int differences;
static unsigned long op_count[EMU_OP_COUNT];
static unsigned long fault_count[32];

static bool has_prefix(const struct trial *t, const struct emu_insn *insn, u8 prefix)
{
	return memchr(t->code, prefix, insn->length);
}

static bool loads_fs(const struct emu_insn *insn)
{
	switch (insn->op) {
	case EMU_OP_MOV_SREG:
		return insn->operand[0].reg == EMU_FS;
	case EMU_OP_POP_SREG:
		return insn->opcode == 0xa1;
	case EMU_OP_LOAD_FAR:
		return insn->opcode == 0xb4;
	}
	return false;
}

/* True if the instruction cannot be compared at all. */
static bool excluded(const struct trial *t, const struct emu_insn *insn)
{
	if (!host_knows(&host, insn) || (host.bochs && bochs_errs(insn, t->mode, t->code)))
		return true;
	if (loads_fs(insn))
		return true;		/* the C library needs its own FS */
	switch (insn->op) {
	case EMU_OP_CLFLUSH:
		return true;		/* needs paging, which the emulator leaves to the owner */
	case EMU_OP_MOVDIRI ... EMU_OP_MOVDIR64B:
		return true;		/* of few processors */
	case EMU_OP_FXSAVE:
		return true;		/* the image has pointers of the last instruction */
	case EMU_OP_SLDT:
	case EMU_OP_SGDT:
	case EMU_OP_SMSW:
	case EMU_OP_CPUID:
	case EMU_OP_RDTSC:
	case EMU_OP_INT:
	case EMU_OP_SYSCALL ... EMU_OP_VMCALL:
		return true;		/* executed by the kernel, or differs each time */
	case EMU_OP_IRET:
		/*
		 * IRET may pop an AC flag that applies to its further pops;
		 * kernels never get past that.
		 */
		return !(t->rflags & FLAG_AC) && stack_linear(t) % insn->op_size;
	case EMU_OP_LOAD_FAR:
	case EMU_OP_CALL_FAR:
	case EMU_OP_JMP_FAR:
		return insn->op_size == 8;	/* AMD has no far pointers of 16:64 */
	case EMU_OP_XCHG:
		/* With F3, opcode 90 is PAUSE on Intel, whatever the register. */
		return insn->opcode == 0x90 && has_prefix(t, insn, 0xf3);
	case EMU_OP_NOP:
		return insn->opcode == 0x0d && !has_memory(insn);
	case EMU_OP_CMPS:
		if (t->mode == EMU_MODE_PROT32 && insn->addr_size == 2)
			return true;
		return t->mode != EMU_MODE_LONG64 ? insn->seg != EMU_NO_REG :
		       insn->addr_size == 4 && insn->rep && !(u32)t->gpr[EMU_RCX];
	case EMU_OP_MOVS:
	case EMU_OP_STOS ... EMU_OP_SCAS:
		/* Intel clears upper halves of registers even if nothing is moved. */
		return t->mode == EMU_MODE_LONG64 && insn->addr_size == 4 && insn->rep &&
		       !(u32)t->gpr[EMU_RCX];
	case EMU_OP_PUSH_SREG:
		return insn->op_size == 4;	/* Intel writes two bytes of four */
	case EMU_OP_POP_SREG:
		/* Intel reads two bytes, whatever the operand size. */
		return insn->op_size != 2 &&
		       (t->rflags & FLAG_AC || t->seg[EMU_SS].limit < 0xffff ||
			(stack_linear(t) & 0xfff) > NATIVE_PAGE - 8);
	case EMU_OP_MASKMOVDQU:
	case EMU_OP_MASKMOVQ:
		/* AMD checks all of the operand for writing, whatever the mask. */
		return t->rflags & FLAG_AC || !is_writable(t, insn);
	case EMU_OP_KMOV:
	case EMU_OP_VINSERT ... EMU_OP_VEXTRACT:
		/*
		 * Intel ignores VEX.W where there are no registers of 8 bytes. AMD refuses it,
		 * or moves 8 bytes nevertheless.
		 */
		return insn->vex_w && t->mode != EMU_MODE_LONG64;
	case EMU_OP_BSWAP:
		return insn->op_size == 2;
	case EMU_OP_SHLD:
	case EMU_OP_SHRD:
		return shift_count(insn, t->gpr[EMU_RCX]) > 8 * insn->op_size;
	case EMU_OP_MOVSX:
		return insn->opcode == 0x63 && insn->op_size == 2;
	}
	/* AMD lets a repeat prefix change the condition of LOOP. */
	if (insn->op == EMU_OP_LOOP && (has_prefix(t, insn, 0xf2) || has_prefix(t, insn, 0xf3)))
		return true;
	/*
	 * Processors differ in whether and how they check the alignment of
	 * ten-byte numbers and images.
	 */
	if (insn->op >= EMU_OP_X87_LOAD && insn->op <= EMU_OP_FXRSTOR && t->rflags & FLAG_AC)
		return true;
	/* Processors differ in whether unaligned vector moves are subject to alignment checks. */
	if ((insn->flags & (ROW_VECTOR | ROW_ALIGNED)) == ROW_VECTOR && (t->rflags & FLAG_AC))
		return true;
	/* AMD obeys the operand-size prefix of near branches in 64-bit code. */
	return (insn->flags & ROW_NEAR) && has_prefix(t, insn, 0x66);
}

/* Run the instruction on the processor; true if the vector registers are known. */
static bool run_native(const struct trial *t, const void *xmm, const void *masks,
		       const struct emu_fx *fx)
{
	memcpy(native_cpu.gpr, t->gpr, sizeof(native_cpu.gpr));
	native_cpu.rflags = t->rflags;
	native_cpu.rip = start_rip(t);
	native_cpu.ds = t->seg[EMU_DS].sel;
	native_cpu.es = t->seg[EMU_ES].sel;
	native_cpu.ss = t->seg[EMU_SS].sel;
	native_cpu.gs = 0;
	memcpy(native_cpu.vector, xmm, sizeof(native_cpu.vector));
	memcpy(native_cpu.mask, masks, sizeof(native_cpu.mask));
	native_cpu.fx = *fx;
	return native_run(t->seg[EMU_CS].sel, segment_base(t, EMU_CS), bench.ctx.insn.length);
}

/* A null selector loses its low bits on its way through the kernel. */
static bool other_selector(u16 a, u16 b)
{
	return a != b && (a >= 4 || b >= 4);
}

static bool segments_differ(const struct emu_ctx *ctx)
{
	return native_cpu.cs != ctx->seg[EMU_CS].sel || native_cpu.ss != ctx->seg[EMU_SS].sel ||
	       other_selector(native_cpu.ds, ctx->seg[EMU_DS].sel) ||
	       other_selector(native_cpu.es, ctx->seg[EMU_ES].sel) ||
	       other_selector(native_cpu.gs, ctx->seg[EMU_GS].sel);
}

/* Processors differ in whether they report a bad stack or a bad instruction pointer first. */
static bool returns_to_nowhere(const struct emu_ctx *ctx)
{
	return ctx->insn.op == EMU_OP_IRET && native_cpu.trap >= 11 && native_cpu.trap <= 13 &&
	       (!native_cpu.error || !ctx->fault.error_code);
}

/* Processors differ in whether an access may wrap from the last byte of 4 GiB to the first. */
static bool wraps_at_4g(const struct emu_ctx *ctx)
{
	if (ctx->seg[EMU_CS].l || ctx->fault.error_code ||
	    (ctx->fault.vector != 12 && ctx->fault.vector != 13))
		return false;
	return native_cpu.trap == 17 ||
	       (native_cpu.trap == 14 && (u32)(native_cpu.cr2 + 32) < 64);
}

/* The kernel saves only 32 bits of the stack pointer of 32-bit code. */
static bool registers_differ(const struct emu_ctx *ctx)
{
	u64 gpr[EMU_GPR_COUNT];

	memcpy(gpr, ctx->gpr, sizeof(gpr));
	if (!ctx->seg[EMU_CS].l) {
		gpr[EMU_RSP] = (u32)gpr[EMU_RSP];
		native_cpu.gpr[EMU_RSP] = (u32)native_cpu.gpr[EMU_RSP];
	}
	return memcmp(native_cpu.gpr, gpr, sizeof(gpr));
}

/* Do not compare the pointers to the last instruction: not every processor saves them. */
static bool x87_differs(void)
{
	const struct emu_fx *a = &native_cpu.fx, *b = &bench.fx;

	return a->fcw != b->fcw || a->fsw != b->fsw || a->ftw != b->ftw || a->mxcsr != b->mxcsr ||
	       memcmp(a->st, b->st, sizeof(a->st));
}

/* Compare the vector registers that this processor has. */
static bool vectors_differ(void)
{
	unsigned int i;

	if (native_cpu.avx512)
		return memcmp(native_cpu.vector, bench.xmm, sizeof(bench.xmm)) ||
		       memcmp(native_cpu.mask, bench.mask, sizeof(bench.mask));
	for (i = 0; i < 16; i++)
		if (memcmp(native_cpu.vector[i], bench.xmm[i], 32))
			return true;
	return false;
}

/* FNSAVE and FNSTENV store pointers, which not every processor saves: copy the processor's. */
static void take_pointers(const struct trial *t, const struct emu_insn *insn)
{
	unsigned int slot = insn->op_size == 2 ? 2 : 4;
	u64 offset = operand_linear(t, insn) - NATIVE_ORIGIN + 3 * slot;

	if (offset <= NATIVE_SIZE - 4 * slot)
		memcpy(bench.memory + offset, native_memory() + offset, 4 * slot);
}

static const char *what_differs(const struct trial *t, enum emu_result result, bool vectors)
{
	const struct emu_ctx *ctx = &bench.ctx;
	bool fault = native_cpu.trap != NATIVE_NO_FAULT;
	bool emulated_fault = result == EMU_FAULT;
	u64 flags = FLAGS_COMPARED & ~undefined_flags(&ctx->insn, t->gpr[EMU_RCX], fault);

	if (fault != emulated_fault)
		return "whether it faults";
	if (fault && (returns_to_nowhere(ctx) || wraps_at_4g(ctx)))
		return NULL;
	if (fault && native_cpu.trap != ctx->fault.vector)
		return "vector";
	if (fault && ctx->fault.has_error && native_cpu.error != ctx->fault.error_code)
		return "error code";
	if (fault && ctx->fault.vector == 14 && native_cpu.cr2 != ctx->fault.cr2)
		return "fault address";
	if (registers_differ(ctx))
		return "registers";
	if (segments_differ(ctx))
		return "segments";
	if (native_cpu.rip != ctx->rip)
		return "instruction pointer";
	if ((native_cpu.rflags ^ ctx->rflags) & flags)
		return "flags";
	if (ctx->insn.op == EMU_OP_FNSAVE && !fault)
		take_pointers(t, &ctx->insn);
	if (memcmp(native_memory(), bench.memory, NATIVE_SIZE))
		return "memory";
	if (vectors && vectors_differ())
		return "vector registers";
	if (vectors && x87_differs())
		return "x87";
	return NULL;
}

static void report(const struct trial *t, const char *what, enum emu_result result)
{
	const struct emu_ctx *ctx = &bench.ctx;
	unsigned int i;

	if (++differences > MAX_REPORTS)
		return;
	printf("# %s differ: mode %u, segments %x %x %x %x, at %03x:", what, t->mode,
	       t->seg[EMU_CS].sel, t->seg[EMU_DS].sel, t->seg[EMU_ES].sel, t->seg[EMU_SS].sel,
	       t->offset);
	for (i = 0; i < EMU_INSN_MAX; i++)
		printf(" %02x", t->code[i]);
	tap_note(" op %u length %u", ctx->insn.op, ctx->insn.length);
	tap_note("  processor: vector %u error %x cr2 %llx rip %llx flags %llx", native_cpu.trap,
		 native_cpu.error, native_cpu.cr2, native_cpu.rip, native_cpu.rflags);
	tap_note("  emulator: result %d vector %u error %x cr2 %llx rip %llx flags %llx", result,
		 ctx->fault.vector, ctx->fault.error_code, ctx->fault.cr2, ctx->rip, ctx->rflags);
	tap_note("  segments: %x %x %x %x %x, emulated %x %x %x %x %x", native_cpu.cs,
		 native_cpu.ss, native_cpu.ds, native_cpu.es, native_cpu.gs, ctx->seg[EMU_CS].sel,
		 ctx->seg[EMU_SS].sel, ctx->seg[EMU_DS].sel, ctx->seg[EMU_ES].sel,
		 ctx->seg[EMU_GS].sel);
	for (i = 0; i < EMU_GPR_COUNT; i++) {
		if (native_cpu.gpr[i] != ctx->gpr[i] || ctx->gpr[i] != t->gpr[i])
			tap_note("  register %u was %llx: %llx, emulated %llx", i, t->gpr[i],
				 native_cpu.gpr[i], ctx->gpr[i]);
	}
}

/*
 * True if code may continue at the new RIP: anywhere in the arena except inside
 * the instruction or the jump back. The rest is breakpoints or not executable.
 */
static bool lands_safely(const struct trial *t, enum emu_result result)
{
	u64 start = NATIVE_ORIGIN + t->offset;
	u64 end = start + bench.ctx.insn.length;
	const struct emu_seg *cs = &bench.ctx.seg[EMU_CS];
	u64 rip = bench.ctx.rip + (cs->l ? 0 : cs->base);

	if (result == EMU_FAULT || (rip == end && !(bench.ctx.seg_dirty & 1u << EMU_CS)))
		return true;
	return rip - NATIVE_ORIGIN < NATIVE_SIZE && (rip < start || rip >= end + NATIVE_TAIL);
}

/* True if all that a far return could pop is in memory. */
static bool stack_is_good(const struct trial *t)
{
	u64 offset = stack_linear(t) - NATIVE_ORIGIN;

	return offset < NATIVE_SIZE && offset % NATIVE_PAGE < NATIVE_PAGE - 40 &&
	       bench.rights[offset / NATIVE_PAGE] != BENCH_ABSENT;
}

static bool needs_alignment(const struct emu_insn *insn)
{
	return insn->flags & ROW_ALIGNED || insn->op == EMU_OP_CMPXCHG8B;
}

static bool masks_anything(const struct emu_insn *insn)
{
	u64 mask = bench.mask[insn->mask];

	return mask & ((2ull << (insn->vector_size / insn->element - 1)) - 1);
}

/*
 * True if the instruction is both too long and undefined: a VEX prefix after
 * others, or without its immediate.
 */
static bool too_long(const struct trial *t)
{
	bool odd = is_odd_at_page_end(t->code, sizeof(t->code));
	unsigned int more = memchr(t->code, 0x62, sizeof(t->code)) ? 11 : odd ? 7 : 4;

	if (bench.ctx.fault.vector == 6)
		return bench.ctx.insn.length > EMU_INSN_MAX - more;
	return bench.ctx.insn.fetched == EMU_INSN_MAX && bench.ctx.fault.vector == 13 && odd;
}

static bool moves_pieces(unsigned int op)
{
	switch (op) {
	case EMU_OP_VMASKMOV:
	case EMU_OP_MASKMOVDQU:
	case EMU_OP_MASKMOVQ:
	case EMU_OP_FNSAVE:
	case EMU_OP_FLDENV:
		return true;
	}
	return false;
}

/* True if the processor can run the trial and must give the same result. */
static bool comparable(const struct trial *t, enum emu_result result, bool decoded)
{
	const struct emu_ctx *ctx = &bench.ctx;

	if (result != EMU_OK && result != EMU_FAULT)
		return false;
	/* Kernels slow down locked accesses that cross cache lines, and some machines hang. */
	if (bench.split_lock)
		return false;
	/* The last descriptor differs between CPUs. */
	if (bench.table.last == 8 * (NATIVE_GDT_ENTRIES - 1))
		return false;
	if (bench.outside || !lands_safely(t, result) || (ctx->rflags & BENCH_FLAG_TF))
		return false;
	/*
	 * Processors differ in how far they read before they find an instruction
	 * bad or truncated.
	 */
	if (!decoded && host.bochs && is_at_page_end(t))
		return false;
	if (!decoded && (is_locked_system(t->code, sizeof(t->code)) || too_long(t) ||
			 is_foreign(t->code, sizeof(t->code))))
		return false;
	if (!decoded)
		return !is_at_page_end(t) ||
		       (ctx->fault.vector == 14 && !is_odd_at_page_end(t->code, sizeof(t->code)));
	/* AMD first checks that the offset into FS or GS is canonical. */
	if (ctx->mode == EMU_MODE_LONG64 && ctx->insn.seg <= EMU_GS && ctx->insn.seg >= EMU_FS &&
	    ctx->fault.vector == 17)
		return result == EMU_OK;
	/* It is not documented whether a source of zero clears the upper half. */
	if (ctx->insn.op == EMU_OP_BSF || ctx->insn.op == EMU_OP_BSR)
		return result != EMU_OK || !(ctx->rflags & BENCH_FLAG_ZF);
	/*
	 * Processors differ in whether a transfer into 64-bit code uses the stack
	 * before or after the change.
	 */
	if ((ctx->insn.op == EMU_OP_CALL_FAR || ctx->insn.op == EMU_OP_RET_FAR) &&
	    t->mode != EMU_MODE_LONG64 && ctx->seg[EMU_CS].l)
		return false;
	/* Processors differ in the order in which they read the stack, and how far. */
	if (ctx->insn.op == EMU_OP_RET_FAR || ctx->insn.op == EMU_OP_IRET)
		return result == EMU_OK || (stack_is_good(t) && ctx->insn.opcode != 0xca);
	/* Intel checks the target before it pushes. */
	if (ctx->insn.op == EMU_OP_CALL_FAR && !ctx->fault.error_code)
		return result == EMU_OK || ctx->fault.vector != 13;
	if (ctx->insn.op == EMU_OP_ENTER && ctx->insn.imm2 % 32 > 1)
		return result == EMU_OK;
	/* Bochs accesses the pieces in another order. */
	if (host.bochs && moves_pieces(ctx->insn.op))
		return result == EMU_OK;
	/*
	 * Processors differ in the order in which they read an image, and how far
	 * past what they load.
	 */
	if (ctx->insn.op == EMU_OP_FXRSTOR)
		return result == EMU_OK && !crosses_page(ctx, 512);
	if (ctx->insn.op == EMU_OP_FNSAVE || ctx->insn.op == EMU_OP_FLDENV)
		return result == EMU_OK || !crosses_page(ctx, ctx->insn.operand[0].size);
	/*
	 * Processors differ in whether the limit applies to masked-off elements
	 * if a page is missing too, and in what they access of a load by a mask
	 * that lies across the end of 16-bit addresses.
	 */
	if (ctx->insn.op == EMU_OP_VMOV_MASKED && result != EMU_OK && ctx->fault.vector == 13)
		return false;
	if (ctx->insn.op == EMU_OP_VMASKMOV)
		return result == EMU_OK;
	/* Intel clears upper halves of registers before the first iteration. */
	if (ctx->insn.rep && ctx->insn.addr_size == 4 && t->mode == EMU_MODE_LONG64)
		return result == EMU_OK;
	/*
	 * Processors differ in whether they write an unchanged operand; Bochs
	 * reads selectors first.
	 */
	if (ctx->insn.op == EMU_OP_ARPL)
		return result == EMU_OK;
	if (host.bochs && ctx->insn.op >= EMU_OP_LOAD_FAR && ctx->insn.op <= EMU_OP_JMP_FAR)
		return result == EMU_OK || ctx->fault.vector == 13;
	/* Bochs does not check the memory if an exception suppresses the store. */
	if (host.bochs && ctx->insn.op == EMU_OP_X87_STORE)
		return result == EMU_OK;
	/*
	 * Some processors push before they check the target, or read both bounds
	 * before they compare.
	 */
	if (ctx->insn.op == EMU_OP_CALL || ctx->insn.op == EMU_OP_CALL_IND)
		return result == EMU_OK || ctx->fault.vector != 13;
	if (ctx->insn.op == EMU_OP_BOUND)
		return result == EMU_OK || ctx->fault.vector == 5 || ctx->fault.vector == 6;
	/* AMD loads some of the registers before a fault. */
	if (ctx->insn.op == EMU_OP_POPA)
		return result == EMU_OK;
	/* AMD does not check the alignment if the mask selects nothing. */
	if (ctx->insn.flags & ROW_ALIGNED && ctx->insn.mask && !masks_anything(&ctx->insn))
		return result == EMU_OK;
	/* AMD checks the alignment before the address. */
	return !needs_alignment(&ctx->insn) || result == EMU_OK || ctx->fault.vector != 12;
}

/* Run the trial in the emulator; @decoded tells whether decoding succeeded. */
static enum emu_result run_emulated(struct trial *t, bool *decoded)
{
	enum emu_result result;

	place_code(t, EMU_INSN_MAX);
	setup_context(t);
	result = emu_decode(&bench.ctx);
	*decoded = result == EMU_OK;
	if (!*decoded) {
		place_native_code(t, EMU_INSN_MAX);
		return result;
	}
	aim_trial(t);
	if (excluded(t, &bench.ctx.insn))
		return EMU_UNHANDLED;
	place_native_code(t, bench.ctx.insn.length);
	setup_context(t);
	return bench_step(&bench);
}

/*
 * Emulate first: an instruction that the emulator does not execute, or that
 * leaves the arena, is not run on the processor. True if the trial counts.
 */
static bool run_trial(struct trial *t)
{
	u8 before[sizeof(bench.xmm)];
	u64 masks[8];
	struct emu_fx fx = bench.fx;
	bool decoded, counts;
	enum emu_result result;
	const char *what = NULL;

	make_trial(t);
	memcpy(before, bench.xmm, sizeof(before));
	memcpy(masks, bench.mask, sizeof(masks));
	result = run_emulated(t, &decoded);
	counts = comparable(t, result, decoded);
	if (counts) {
		what = what_differs(t, result, run_native(t, before, masks, &fx));
		if (what)
			report(t, what, result);
		op_count[bench.ctx.insn.op]++;
		if (result == EMU_FAULT)
			fault_count[bench.ctx.fault.vector]++;
	}
	if (decoded && (!counts || what))
		memcpy(bench.memory, native_memory(), NATIVE_SIZE);
	bench.fx.mxcsr &= ~0x20000u;	/* AMD's MXCSR.MM allows unaligned SSE: clear it again */
	remove_code(t);
	return counts;
}

static unsigned long setting(const char *name, unsigned long value)
{
	const char *text = getenv(name);

	return text ? strtoul(text, NULL, 0) : value;
}

/* Number of operations that have not been compared yet. */
static unsigned int missed_operations(bool tell)
{
	unsigned int op, missed = 0;

	for (op = EMU_OP_NONE + 1; op < EMU_OP_COUNT; op++) {
		if (op_count[op] || !host_can_meet(&host, op))
			continue;
		if (tell)
			tap_note("operation %u was not met", op);
		missed++;
	}
	return missed;
}

/* Extend each bound up to six times until every operation has been met. */
static bool enough(unsigned long counted, unsigned long cases)
{
	if (!cases || counted < cases)
		return false;
	return counted >= 6 * cases || !missed_operations(false);
}

static bool time_is_up(unsigned long passed, unsigned long seconds)
{
	if (!seconds || passed < seconds)
		return false;
	return passed >= 6 * seconds || !missed_operations(false);
}

static unsigned long run_trials(unsigned long seconds, unsigned long cases)
{
	time_t start = time(NULL), told = start;
	unsigned long tried = 0, counted = 0;
	struct trial t;

	while (differences <= MAX_REPORTS && !enough(counted, cases)) {
		if (tried++ % 4096 == 0) {
			time_t now = time(NULL);

			if (time_is_up(now - start, seconds))
				break;
			if (!seconds && now - told >= 10) {
				tap_note("%lu instructions, %u differences", counted, differences);
				told = now;
			}
			refill();
		}
		counted += run_trial(&t);
	}
	return counted;
}

/* Report what is left out here; "make check" also runs this test in the emulated PC. */
static void report_lacks(void)
{
	if (!host.flat32)
		tap_ok(true, "32-bit code in flat segments # SKIP this kernel has it switched off");
	if (!host.local)
		tap_ok(true, "32-bit code in local segments # SKIP this kernel has none");
	if (!host.local16)
		tap_ok(true, "16-bit code # SKIP this kernel has no segments for it");
}

int main(int argc, char **argv)
{
	unsigned long seed = setting("FUZZ_SEED", time(NULL));
	const char *reason = native_setup(&host);
	unsigned long counted;

	if (reason) {
		printf("1..0 # SKIP %s\n", reason);
		return 4;
	}
	host.bochs = argc == 2 && !strcmp(argv[1], "bochs");
	random_state = seed * 0x9e3779b97f4a7c15ull + 1;
	setup_bench();
	counted = run_trials(setting("FUZZ_SECONDS", 10), setting("FUZZ_CASES", 0));
	tap_note("seed %lu", seed);
	report_lacks();
	tap_note("faults: %lu page, %lu protection, %lu stack, %lu undefined, %lu divide",
		 fault_count[14], fault_count[13], fault_count[12], fault_count[6], fault_count[0]);
	tap_ok(!differences, "%lu instructions, %u differences from the processor", counted,
	       differences);
	tap_ok(!missed_operations(true), "every operation that user code has was met");
	return tap_done();
}
