/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A bench to run the instruction emulator on: a small linear memory with
 * rights per page, vector registers, and an emu_ctx ready to go. Shared by the
 * emulator's native tests.
 */
#ifndef KEEL_UNIT_EMULATE_BENCH_H
#define KEEL_UNIT_EMULATE_BENCH_H

#include "emulate/emulate.h"

#define BENCH_PAGE	4096u
#define BENCH_PAGES	32u
#define BENCH_SIZE	(BENCH_PAGES * BENCH_PAGE)

#define BENCH_CACHE_LINE	64u

#define BENCH_FLAG_CF	0x001u
#define BENCH_FLAG_PF	0x004u
#define BENCH_FLAG_AF	0x010u
#define BENCH_FLAG_ZF	0x040u
#define BENCH_FLAG_SF	0x080u
#define BENCH_FLAG_TF	0x100u
#define BENCH_FLAG_IF	0x200u
#define BENCH_FLAG_DF	0x400u
#define BENCH_FLAG_OF	0x800u
#define BENCH_FLAGS_ARITH \
	(BENCH_FLAG_CF | BENCH_FLAG_PF | BENCH_FLAG_AF | BENCH_FLAG_ZF | BENCH_FLAG_SF | \
	 BENCH_FLAG_OF)

enum bench_page {
	BENCH_ABSENT,
	BENCH_READ_ONLY,
	BENCH_WRITABLE,
	BENCH_IO,		/* reads need userspace until one is answered */
};

/*
 * struct bench - one emulated processor and its memory
 * @origin:	linear address of memory[0]
 * @user, @implicit: whose access it is, for page faults
 * @outside:	an access left the memory altogether, or the 4 GiB that there are
 *		outside 64-bit code
 * @reads, @writes, @fetches: calls of the callbacks; @fetched bytes given
 * @read_access: of the last read
 * @split_lock:	a locked access crossed a cache line
 * @io_answer, @io_answers: value for reads of BENCH_IO pages, and how many
 *		answers are there; without one a read is EMU_IO
 * @table:	memory that only the processor itself reads and writes; NULL: its
 *		tables are in the memory of everybody. @last: where, the last time
 * @gdt, @idt, @cr, @dr, @msr: system state; a @msr of another number is #GP
 * @xcr, @random: more of it; a random number of 0 is none. @own_msr: those that
 *		the processor reads, by the low four bits of their numbers
 * @lacks:	a bit for each enum emu_feature
 * @traps:	how often INT1 was executed
 * @port_value:	what the next IN gives; then what the last OUT gave, to @port
 * @invalidated: pages that INVLPG named
 * @change_on_cmpxchg: pretend that another processor was faster
 */
struct bench {
	struct emu_ctx ctx;
	u64 gpr[EMU_GPR_COUNT];
	u64 origin;
	u8 memory[BENCH_SIZE];
	u8 rights[BENCH_PAGES];
	u8 xmm[32][64];
	u64 mask[8];
	struct emu_fx fx;		/* but for its vector registers */
	bool user, implicit;
	bool outside;
	bool wrote_before_read, split_lock;
	unsigned int reads, writes, fetches, fetched, locked, read_access;
	u64 io_answer;
	unsigned int io_answers;
	bool change_on_cmpxchg;
	struct {
		u64 base;
		unsigned int size, last;
		u8 *data;
	} table;
	struct emu_table gdt, idt;
	u64 cr[16], dr[8], msr;
	u32 msr_number;
	u64 xcr[2], own_msr[16], random[2];
	unsigned int lacks, traps;
	u32 port_value;
	u16 port;
	unsigned int invalidated;
};

/* Registers zero, flat segments, all pages writable, code to be at @rip. */
void bench_reset(struct bench *b, enum emu_mode mode, u64 origin, u64 rip);

/* Let the state of x87 be one that the processor could have. */
void bench_settle_x87(struct bench *b);

/* Forget what the last instruction did to the counters. */
void bench_clear_counters(struct bench *b);

/* Pointer to the byte at linear address @linear, which must be in memory. */
u8 *bench_at(struct bench *b, u64 linear);

/* Put the bytes of @hex, "89 03", at CS:RIP; returns how many. */
unsigned int bench_put_code(struct bench *b, const char *hex);

/* Decode and execute; repeats a string instruction to its end or first failure. */
enum emu_result bench_step(struct bench *b);

extern const struct emu_ops bench_ops;

#endif
