// SPDX-License-Identifier: GPL-2.0
/*
 * Differences that are no fault of the emulator's, each with its reason: what the
 * architecture leaves open, and what the emulated PC's processor does wrong. Each
 * names the instruction and how far the difference may go.
 */
#include "outcome.h"

#define FLAGS_ARITH	0x8d5UL
#define FLAG_VM		(1UL << 17)
#define UD_VECTOR	6
#define SS_VECTOR	12
#define GP_VECTOR	13

/* The outcome but for memory and the flags that arithmetic sets. */
static struct outcome without(const struct outcome *o, bool memory, u64 flags)
{
	struct outcome copy = *o;

	copy.regs.rflags &= ~flags;
	if (memory) {
		copy.nr_words = 0;
		copy.memory = 0;
	}
	return copy;
}

static bool same_but_for(const struct outcome *a, const struct outcome *b, bool memory, u64 flags)
{
	struct outcome x = without(a, memory, flags), y = without(b, memory, flags);

	return !outcomes_differ(&x, &y, false);
}

static bool ran(const struct unpaged_case *c, const u16 *opcodes, u32 count)
{
	u32 i, n;

	for (i = 0; i < c->nr_steps; i++)
		for (n = 0; n < count; n++)
			if (opcode_of(c->step[i].code, STEP_BYTES) == opcodes[n])
				return true;
	return false;
}

#define RAN(c, ...)							\
({									\
	static const u16 opcodes[] = { __VA_ARGS__ };			\
									\
	ran(c, opcodes, sizeof(opcodes) / sizeof(*opcodes));		\
})

static bool ran_repeated(const struct unpaged_case *c)
{
	u32 i;

	for (i = 0; i < c->nr_steps; i++)
		if (has_prefix(c->step[i].code, STEP_BYTES, 0xf2) ||
		    has_prefix(c->step[i].code, STEP_BYTES, 0xf3))
			return true;
	return false;
}

/* The vector in whose handler it ended, or -1. */
static int handler(const struct outcome *o)
{
	u64 at = (u32)(o->sregs.cs.base + o->regs.rip) - HANDLERS_AT - 1;

	return o->exit == KVM_EXIT_HLT && at < 16 * 256 && !(at % 16) ? at / 16 : -1;
}

/* Jumps, loops, and what takes or stores flags as a number. */
static bool goes_by_flags(u16 opcode)
{
	static const u8 others[] = { 0xe0, 0xe1, 0xce, 0x9c, 0x9f, 0xd6 };

	if ((opcode & 0xfff0) == 0x70 || (opcode & 0xfff0) == 0x0f80)
		return true;
	/* ADC and SBB */
	if ((opcode & 0xfff0) == 0x10 && (opcode & 7) < 6)
		return true;
	return opcode < 0x100 && memchr(others, opcode, sizeof(others));
}

static bool ran_by_flags(const struct unpaged_case *c)
{
	u32 i;

	for (i = 0; i < c->nr_steps; i++)
		if (goes_by_flags(opcode_of(c->step[i].code, STEP_BYTES)))
			return true;
	return false;
}

/*
 * Products, quotients, shifts, adjustments and bit scans leave flags undefined, which
 * may be pushed, and jumped by.
 */
static bool undefined_flags(const struct unpaged_case *c, const struct outcome *cpu,
			    const struct outcome *emulator)
{
	if (!RAN(c, 0x69, 0x6b, 0xf6, 0xf7, 0x0faf, 0x0fbc, 0x0fbd, 0x0fa3, 0x0fab, 0x0fb3, 0x0fbb,
		 0x0fba, 0x0fa4, 0x0fa5, 0x0fac, 0x0fad, 0xc0, 0xc1, 0xd0, 0xd1, 0xd2, 0xd3, 0xd4,
		 0xd5, 0x27, 0x2f, 0x37, 0x3f))
		return false;
	return ran_by_flags(c) || same_but_for(cpu, emulator, true, FLAGS_ARITH);
}

/*
 * ENTER that copies frame pointers and fails: the processor has pushed the first by then,
 * below the stack pointer, and the emulator has not, for it reads all before it writes.
 */
static bool failed_enter(const struct unpaged_case *c, const struct outcome *cpu,
			 const struct outcome *emulator)
{
	return RAN(c, 0xc8) && same_but_for(cpu, emulator, true, 0);
}

/* A near CALL beyond the limit: Bochs pushes before it looks, the manual looks first. */
static bool failed_call(const struct unpaged_case *c, const struct outcome *cpu,
			const struct outcome *emulator)
{
	if (!RAN(c, 0xe8, 0xff))
		return false;
	if (handler(cpu) == SS_VECTOR && handler(emulator) == GP_VECTOR)
		return true;
	return cpu->nr_words > emulator->nr_words && same_but_for(cpu, emulator, true, 0);
}

/* The manual leaves open whether what a far return pops may wrap; Bochs has it both ways. */
static bool wrapped_return(const struct unpaged_case *c, const struct outcome *cpu,
			   const struct outcome *emulator)
{
	u16 sp = c->regs.rsp;

	return RAN(c, 0xca, 0xcb, 0xcf) && !c->sregs.ss.db && sp > 0xffe0 &&
	       handler(cpu) == SS_VECTOR;
}

/*
 * Bochs clears RF before INT n pushes the flags, and before a jump to a task saves them; by the
 * manual they are what they were.
 */
static bool saved_resume_flag(const struct unpaged_case *c, const struct outcome *cpu,
			      const struct outcome *emulator)
{
	return c->regs.rflags & FLAG_RF && RAN(c, 0xcc, 0xcd, 0xce, 0xcf, 0x9a, 0xea, 0xff) &&
	       cpu->nr_words == emulator->nr_words && same_but_for(cpu, emulator, true, 0);
}

/*
 * What begins with a VEX or EVEX prefix, or would elsewhere, is known to be no instruction before
 * it ends: whether what lies beyond the limit is fetched first is left open.
 */
static bool prefix_at_the_end(const struct unpaged_case *c, const struct outcome *cpu,
			      const struct outcome *emulator)
{
	int a = handler(cpu), b = handler(emulator);

	return RAN(c, 0x62, 0xc4, 0xc5) && c->regs.rip + MAX_CODE > c->sregs.cs.limit &&
	       ((a == GP_VECTOR && b == UD_VECTOR) || (a == UD_VECTOR && b == GP_VECTOR));
}

static bool passed_limit(const struct kvm_sregs *s, u64 index)
{
	const struct kvm_segment *list[] = { &s->ds, &s->es, &s->ss, &s->cs, &s->fs, &s->gs };
	u32 i;

	for (i = 0; i < 6; i++)
		if (index - 1 > list[i]->limit)
			return true;
	return false;
}

/* Bochs takes the rest of a page at once, and does not see the end of the segment in it. */
static bool repeated_over_the_end(const struct unpaged_case *c, const struct outcome *cpu,
				  const struct outcome *emulator)
{
	return ran_repeated(c) && RAN(c, 0xa4, 0xa5, 0xaa, 0xab) &&
	       (handler(emulator) == GP_VECTOR || handler(emulator) == SS_VECTOR) &&
	       (passed_limit(&c->sregs, cpu->regs.rdi) || passed_limit(&c->sregs, cpu->regs.rsi));
}

/* SGDT and SIDT at the end of a segment: in Bochs the limit is written before the fault. */
static bool half_a_table(const struct unpaged_case *c, const struct outcome *cpu,
			 const struct outcome *emulator)
{
	return RAN(c, 0x0f01) && cpu->nr_words > emulator->nr_words &&
	       same_but_for(cpu, emulator, true, 0);
}

/* Bochs takes what RETF adds to the stack pointer as signed in real mode: the manual does not. */
static bool signed_release(const struct unpaged_case *c, const struct outcome *cpu,
			   const struct outcome *emulator)
{
	struct outcome copy = *emulator;

	copy.regs.rsp = cpu->regs.rsp;
	return !(cpu->sregs.cr0 & CR0_PE) && cpu->sregs.ss.db &&
	       !((cpu->regs.rsp ^ emulator->regs.rsp) & 0xffff) &&
	       !outcomes_differ(cpu, &copy, false);
}

/* In virtual-8086 mode Bochs pops before it asks for IOPL. */
static bool popped_before_iopl(const struct unpaged_case *c, const struct outcome *cpu,
			       const struct outcome *emulator)
{
	return c->kind == VM86 && RAN(c, 0x9d, 0xcf) &&
	       handler(cpu) == SS_VECTOR && handler(emulator) == GP_VECTOR;
}

/* What is left of the sort in other segments than CS cannot be written to in Bochs. */
static bool data_that_was_code(const struct unpaged_case *c, const struct outcome *cpu,
			       const struct outcome *emulator)
{
	const struct kvm_sregs *s = &c->sregs;

	return s->cr0 & CR0_PE && !(cpu->sregs.cr0 & CR0_PE) &&
	       (s->ds.type | s->es.type | s->fs.type | s->gs.type) & 8;
}

/* IRET in or to virtual-8086 mode with EIP above 0xffff: #GP by the manual, not in Bochs. */
static bool high_ip_in_vm86(const struct unpaged_case *c, const struct outcome *cpu,
			    const struct outcome *emulator)
{
	const struct kvm_sregs *s = &cpu->sregs;
	bool was_there = s->ds.unusable && s->es.unusable && s->fs.unusable && s->gs.unusable;

	return RAN(c, 0xcf) && handler(emulator) == GP_VECTOR &&
	       (c->kind == VM86 || cpu->regs.rflags & FLAG_VM || was_there);
}

/* Code that leaves protected mode stays code; in Bochs it becomes data at once. */
static bool code_in_real_mode(const struct unpaged_case *c, const struct outcome *cpu,
			      const struct outcome *emulator)
{
	struct outcome copy = *emulator;

	copy.sregs.cs.type = cpu->sregs.cs.type;
	return !(cpu->sregs.cr0 & CR0_PE) && !outcomes_differ(cpu, &copy, false);
}

static const struct {
	bool (*applies)(const struct unpaged_case *c, const struct outcome *cpu,
			const struct outcome *emulator);
	const char *reason;
} excuses[] = {
	{ undefined_flags, "flags that are undefined" },
	{ failed_enter, "what a failed ENTER has pushed" },
	{ failed_call, "what a failed CALL has pushed" },
	{ wrapped_return, "a far return that pops over the end of the stack" },
	{ saved_resume_flag, "RF in what is pushed" },
	{ prefix_at_the_end, "a prefix at the end of the segment" },
	{ repeated_over_the_end, "a repetition over the end of a segment" },
	{ half_a_table, "the limit of a table that cannot be stored" },
	{ signed_release, "RETF with a large count" },
	{ popped_before_iopl, "POPF or IRET without IOPL at the end of the stack" },
	{ data_that_was_code, "a code segment in a data register in real mode" },
	{ high_ip_in_vm86, "IRET to virtual-8086 mode with a large EIP" },
	{ code_in_real_mode, "the type of CS in real mode" },
};

const char *excuse(const struct unpaged_case *c, const struct outcome *cpu,
		   const struct outcome *emulator)
{
	u32 i;

	for (i = 0; i < sizeof(excuses) / sizeof(*excuses); i++)
		if (excuses[i].applies(c, cpu, emulator))
			return excuses[i].reason;
	return NULL;
}
