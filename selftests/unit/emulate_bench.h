/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A bench for the instruction emulator: a small linear memory with rights per
 * page, vector registers, and an initialized emu_ctx. Shared by the native tests
 * of the emulator.
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
	BENCH_IO,		/* a read is EMU_IO until it is answered */
};

/*
 * struct bench - one emulated processor and its memory
 * @origin:	linear address of memory[0]
 * @user, @implicit: kind of access, for the error code of page faults
 * @outside:	an access was outside the memory, or above 4 GiB outside 64-bit code
 * @reads, @writes, @fetches: calls of the callbacks; @fetched: bytes returned
 * @read_access: of the last read
 * @split_lock:	a locked access crossed a cache line
 * @io_answer, @io_answers: value for reads of BENCH_IO pages, and the number of
 *		answers left; without one a read is EMU_IO
 * @table:	memory for EMU_SYSTEM accesses only; NULL: descriptor tables are in
 *		the ordinary memory. @last: offset of the last access
 * @gdt, @idt, @cr, @dr, @msr: system state; a @msr of another number is #GP
 * @xcr, @random: more of it; a @random of 0 means that no number is ready
 * @own_msr:	MSRs that the processor reads, by the low four bits of their numbers
 * @lacks:	a bit for each missing enum emu_feature
 * @traps:	how often INT1 was executed
 * @port_value:	the value for the next IN, or of the last OUT to @port
 * @invalidated: pages that INVLPG named
 * @change_on_cmpxchg: change the value first, as another processor would
 */
struct bench {
	struct emu_ctx ctx;
	u64 gpr[EMU_GPR_COUNT];
	u64 origin;
	u8 memory[BENCH_SIZE];
	u8 rights[BENCH_PAGES];
	u8 xmm[32][64];
	u64 mask[8];
	struct emu_fx fx;		/* except its vector registers */
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

/* Reset: all registers zero, flat segments, all pages writable, code at @rip. */
void bench_reset(struct bench *b, enum emu_mode mode, u64 origin, u64 rip);

/* Change the x87 state to one that a processor can have. */
void bench_settle_x87(struct bench *b);

/* Clear the counters of the last instruction. */
void bench_clear_counters(struct bench *b);

/* Pointer to the byte at linear address @linear, which must be in memory. */
u8 *bench_at(struct bench *b, u64 linear);

/* Put the bytes of @hex, "89 03", at CS:RIP; returns how many. */
unsigned int bench_put_code(struct bench *b, const char *hex);

/* Decode and execute; repeats a string instruction to its end or first failure. */
enum emu_result bench_step(struct bench *b);

extern const struct emu_ops bench_ops;

#endif
