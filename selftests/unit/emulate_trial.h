/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One random instruction, ready to be executed by the emulator and by the
 * processor. Both find the same registers and the same memory.
 */
#ifndef KEEL_UNIT_EMULATE_TRIAL_H
#define KEEL_UNIT_EMULATE_TRIAL_H

#include "emulate_bench.h"
#include "emulate_host.h"

#define FLAG_AC		0x40000u

/* The emulator's world, and what is known of the processor's. */
extern struct bench bench;
extern struct host host;

/*
 * struct trial - one instruction in both worlds
 * @code:	its bytes; @offset: where in the code page
 */
struct trial {
	u8 code[EMU_INSN_MAX];
	unsigned int offset;
	enum emu_mode mode;
	struct emu_seg seg[EMU_SEG_COUNT];
	u64 gpr[EMU_GPR_COUNT];
	u64 rflags;
};

/* Once, when the processor's side is set up. */
void setup_bench(void);

/* Other memory, vector registers and x87 state in both. */
void refill(void);

void make_trial(struct trial *t);

/* Let the instruction, which is decoded, mostly find operands that are there. */
void aim_trial(struct trial *t);

/* Give the emulator's context the trial's registers. */
void setup_context(const struct trial *t);

/* The longest instruction and the way back behind it do not fit on the page. */
bool is_at_page_end(const struct trial *t);

/*
 * The emulator's view of the code: everything around the instruction is
 * breakpoints. The processor's, in one go, with a way back behind it if there
 * is room.
 */
void place_code(const struct trial *t, unsigned int length);
void place_native_code(const struct trial *t, unsigned int length);
void remove_code(const struct trial *t);

/* Where addresses that segment @index is added to count from. */
u64 segment_base(const struct trial *t, unsigned int index);
u64 start_rip(const struct trial *t);
u64 stack_linear(const struct trial *t);
u64 operand_linear(const struct trial *t, const struct emu_insn *insn);

/* Whether all of the first operand, which is in memory, can be written. */
bool is_writable(const struct trial *t, const struct emu_insn *insn);

bool has_memory(const struct emu_insn *insn);

#endif
