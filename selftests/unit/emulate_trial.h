/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One random instruction for the emulator and the processor. Both get the same
 * registers and the same memory.
 */
#ifndef KEEL_UNIT_EMULATE_TRIAL_H
#define KEEL_UNIT_EMULATE_TRIAL_H

#include "emulate_bench.h"
#include "emulate_host.h"

#define FLAG_AC		0x40000u

/* The bench of the emulator, and what is known about the processor. */
extern struct bench bench;
extern struct host host;

/* struct trial - one instruction for both; @code: its bytes; @offset: its place in the code page */
struct trial {
	u8 code[EMU_INSN_MAX];
	unsigned int offset;
	enum emu_mode mode;
	struct emu_seg seg[EMU_SEG_COUNT];
	u64 gpr[EMU_GPR_COUNT];
	u64 rflags;
};

/* Call this once, after native_setup(). */
void setup_bench(void);

/* Fill memory, vector registers and x87 state of both with new random values. */
void refill(void);

void make_trial(struct trial *t);

/* Adjust the decoded instruction so that its operands mostly exist. */
void aim_trial(struct trial *t);

/* Copy the registers of the trial to the emulator's context. */
void setup_context(const struct trial *t);

/* True if the longest instruction and the jump back do not fit on the page. */
bool is_at_page_end(const struct trial *t);

/*
 * Place the code for the emulator, surrounded by breakpoints, and for the
 * processor, followed by a jump back if there is room.
 */
void place_code(const struct trial *t, unsigned int length);
void place_native_code(const struct trial *t, unsigned int length);
void remove_code(const struct trial *t);

/* Base of segment @index. */
u64 segment_base(const struct trial *t, unsigned int index);
u64 start_rip(const struct trial *t);
u64 stack_linear(const struct trial *t);
u64 operand_linear(const struct trial *t, const struct emu_insn *insn);

/* True if all of the first operand, which is in memory, is writable. */
bool is_writable(const struct trial *t, const struct emu_insn *insn);

bool has_memory(const struct emu_insn *insn);

#endif
