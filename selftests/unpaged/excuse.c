// SPDX-License-Identifier: GPL-2.0
/*
 * Differences that are no fault of the emulator's, each with its reason: what the
 * architecture leaves open, and what the emulated PC's processor does wrong. Each
 * names the instruction and how far the difference may go.
 */
#include "outcome.h"

#define FLAGS_ARITH	0x8d5UL
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

/* Wherever it stands: the first instruction, the next, or one that was jumped to. */
static bool has_byte(const struct unpaged_case *c, const u8 *list, u32 count)
{
	u32 i;

	for (i = 0; i < c->len; i++)
		if (memchr(list, c->code[i], count))
			return true;
	return false;
}

/* The vector in whose handler it ended, or -1. */
static int handler(const struct outcome *o)
{
	u64 at = (u32)(o->sregs.cs.base + o->regs.rip) - HANDLERS_AT - 1;

	return o->exit == KVM_EXIT_HLT && at < 16 * 256 && !(at % 16) ? at / 16 : -1;
}

/*
 * Products, quotients, shifts, adjustments and bit scans leave flags undefined,
 * which a trap may have pushed.
 */
static bool undefined_flags(const struct unpaged_case *c, const struct outcome *cpu,
			    const struct outcome *emulator)
{
	static const u8 opcodes[] = {
		0x69, 0x6b, 0xf6, 0xf7, 0xaf, 0xbc, 0xbd, 0xa3, 0xab, 0xb3, 0xbb, 0xba, 0xa4, 0xa5,
		0xac, 0xad, 0xc0, 0xc1, 0xd0, 0xd1, 0xd2, 0xd3, 0xd4, 0xd5, 0x27, 0x2f, 0x37, 0x3f,
	};

	return has_byte(c, opcodes, sizeof(opcodes)) &&
	       same_but_for(cpu, emulator, true, FLAGS_ARITH);
}

/*
 * ENTER that copies frame pointers and fails: the processor has pushed the first by then,
 * below the stack pointer, and the emulator has not, for it reads all before it writes.
 */
static bool failed_enter(const struct unpaged_case *c, const struct outcome *cpu,
			 const struct outcome *emulator)
{
	static const u8 enter = 0xc8;

	return has_byte(c, &enter, 1) && same_but_for(cpu, emulator, true, 0);
}

/* A near CALL beyond the limit: Bochs pushes before it looks, the manual looks first. */
static bool failed_call(const struct unpaged_case *c, const struct outcome *cpu,
			const struct outcome *emulator)
{
	static const u8 call[] = { 0xe8, 0xff };

	if (!has_byte(c, call, sizeof(call)))
		return false;
	if (handler(cpu) == SS_VECTOR && handler(emulator) == GP_VECTOR)
		return true;
	return cpu->nr_words > emulator->nr_words && same_but_for(cpu, emulator, true, 0);
}

/* The manual leaves open whether what a far return pops may wrap; Bochs has it both ways. */
static bool wrapped_return(const struct unpaged_case *c, const struct outcome *cpu,
			   const struct outcome *emulator)
{
	static const u8 returns[] = { 0xca, 0xcb, 0xcf };
	u16 sp = c->regs.rsp;

	return has_byte(c, returns, sizeof(returns)) && !c->sregs.ss.db && sp > 0xffe0 &&
	       handler(cpu) == SS_VECTOR;
}

/*
 * Bochs clears RF before INT n pushes the flags, and before a jump to a task saves them; by the
 * manual they are what they were.
 */
static bool saved_resume_flag(const struct unpaged_case *c, const struct outcome *cpu,
			      const struct outcome *emulator)
{
	static const u8 transfers[] = { 0xcc, 0xcd, 0xce, 0xcf, 0x9a, 0xea, 0xff };

	return c->regs.rflags & FLAG_RF && has_byte(c, transfers, sizeof(transfers)) &&
	       cpu->nr_words == emulator->nr_words && same_but_for(cpu, emulator, true, 0);
}

/* A transfer that leads into data: what runs there is not looked at, but flags may be undefined. */
static bool data_was_run(const struct unpaged_case *c, const struct outcome *cpu,
			 const struct outcome *emulator)
{
	static const u8 transfers[] = {
		0xc2, 0xc3, 0xca, 0xcb, 0xcf, 0x9a, 0xea, 0xff, 0xe8, 0xe9, 0xcd,
	};

	return has_byte(c, transfers, sizeof(transfers)) &&
	       same_but_for(cpu, emulator, true, FLAGS_ARITH);
}

/* Bochs takes the rest of a page at once, and does not see the end of the segment in it. */
static bool long_repeat(const struct unpaged_case *c, const struct outcome *cpu,
			const struct outcome *emulator)
{
	static const u8 repeats[] = { 0xf2, 0xf3 }, moves[] = { 0xa4, 0xa5, 0xaa, 0xab };

	return c->regs.rcx > 15 && has_byte(c, repeats, 2) && has_byte(c, moves, sizeof(moves));
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
	{ data_was_run, "flags after running data" },
	{ long_repeat, "a long repetition over the end of a segment" },
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
