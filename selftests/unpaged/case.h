/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A case of unpaged_diff: some bytes of code without paging, the state that they
 * start from and the memory around them, all made from a seed and a number.
 */
#ifndef UNPAGED_CASE_H
#define UNPAGED_CASE_H

#include "keel_test.h"

#define RAM_SIZE	0x20000UL	/* what lies behind is a device */

/* Where things lie in it. The rest of the data is words that look like addresses. */
#define IVT_AT		0x400		/* not where a stack wraps to */
#define GDT_AT		0x1000
#define IDT_AT		0x2000
#define TSS_AT		0x3000		/* of the task that runs */
#define TSS_OTHER_AT	0x3200
#define TSS_16_AT	0x3400
#define TSS_16_RUNS_AT	0x3600
#define LDT_AT		0x4000
#define PD_AT		0x5000		/* for code that turns paging on: all memory as it is */
#define CODE_AT		0x8000		/* HLT, and the code somewhere in it */
#define CODE_END	0xc000
#define HANDLERS_AT	0x18000		/* HLT to the end; the handler of vector n at 16 * n */

#define MAX_CODE	40
#define PATCH_MAX	36

enum kind {
	REAL,		/* ordinary real mode */
	BIG_REAL,	/* with limits, bases and sizes left from protected mode */
	PROTECTED,
	VM86,
	KINDS
};

/* Memory of this case alone. */
struct patch {
	u32 at;
	u32 len;
	u8 byte[PATCH_MAX];
};

#define STEPS_MAX	32
#define STEP_BYTES	8

/* An instruction that was run, with its first bytes. */
struct step {
	u32 at;
	u8 code[STEP_BYTES];
};

struct unpaged_case {
	u32 number;
	enum kind kind;
	u32 at;			/* linear address of the code */
	u32 len;
	u8 code[MAX_CODE];
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct patch stack, gate;
	u32 nr_steps;		/* what the emulator ran, where that is to be known */
	struct step step[STEPS_MAX];
};

extern const char * const kind_names[KINDS];

/* random numbers, the same for the same seed */
void seed_random(u64 seed, u32 number);
u64 random64(void);
u32 below(u32 n);
#define PICK(list) ((list)[below(sizeof(list) / sizeof(*(list)))])

/* code.c: one or two instructions for code of 2 or 4 bytes operand size. */
void make_code(struct unpaged_case *c);
bool has_prefix(const u8 *code, u32 len, u8 prefix);
/* With 0x0f before it where there is one: 0x0fa2. */
u16 opcode_of(const u8 *code, u32 len);

/* memory.c: what all cases start from. */
void make_ram(u8 *ram, u64 seed);
struct kvm_segment segment_of(u16 sel);
u16 random_selector(void);
u16 random_word(void);
u64 odd_gate(u32 vector);

/* state.c */
void make_case(struct unpaged_case *c, const struct kvm_sregs *reset, u64 seed, u32 number);

#endif
