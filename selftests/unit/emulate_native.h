/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Run one instruction on the processor of this machine, in user mode, and report
 * its effects. Works with 64-bit code, with 32-bit code in the flat segments that
 * Linux has for old programs, and with 16-bit and 32-bit code in segments of a
 * local descriptor table.
 */
#ifndef KEEL_UNIT_EMULATE_NATIVE_H
#define KEEL_UNIT_EMULATE_NATIVE_H

/* Offsets in struct native_cpu. */
#define NATIVE_RFLAGS	128
#define NATIVE_RIP	136
#define NATIVE_VECTOR	144	/* 32 of 64 bytes */
#define NATIVE_MASK	2192
#define NATIVE_FAR	2256
#define NATIVE_HOST_RSP	2264
#define NATIVE_DS	2272
#define NATIVE_ES	2274
#define NATIVE_SS	2276
#define NATIVE_GS	2278
#define NATIVE_AVX512	2280
#define NATIVE_FX	2304

#define NATIVE_USER_CS		0x33
#define NATIVE_USER32_CS	0x23
#define NATIVE_USER_DS		0x2b

#ifndef __ASSEMBLY__

#include <assert.h>
#include <signal.h>
#include <linux/types.h>
#include "emulate_host.h"

#define NATIVE_ORIGIN	0x10000000ull	/* linear address of the arena */
#define NATIVE_PAGE	4096u
#define NATIVE_PAGES	8u
#define NATIVE_SIZE	(NATIVE_PAGES * NATIVE_PAGE)
#define NATIVE_NO_FAULT	0xff

/* Pages of the arena, in order. The absent ones are not mapped. */
enum native_page {
	NATIVE_CODE,
	NATIVE_ABSENT_1,
	NATIVE_DATA,
	NATIVE_DATA_2,
	NATIVE_READ_ONLY,
	NATIVE_ABSENT_2,
	NATIVE_STACK,
	NATIVE_ABSENT_3,
};

/*
 * struct native_cpu - registers in and out, known to the assembly by offset
 * @avx512:	all of @vector and @mask counts; otherwise half of each vector
 *		register up to 15
 * @fx:		of x87, and MXCSR
 * @trap:	exception that the instruction raised, or NATIVE_NO_FAULT;
 *		then @error and @cr2 belong to it
 */
struct native_cpu {
	u64 gpr[16];
	u64 rflags;
	u64 rip;
	u8 vector[32][64];
	u64 mask[8];
	u32 far_ip;
	u16 far_cs;
	u16 pad;
	u64 host_rsp;
	u16 ds, es, ss, gs;
	u8 avx512;
	u16 cs;
	u8 trap;
	u32 error;
	u64 cr2;
	struct emu_fx fx;
};

static_assert(offsetof(struct native_cpu, rflags) == NATIVE_RFLAGS);
static_assert(offsetof(struct native_cpu, rip) == NATIVE_RIP);
static_assert(offsetof(struct native_cpu, vector) == NATIVE_VECTOR);
static_assert(offsetof(struct native_cpu, mask) == NATIVE_MASK);
static_assert(offsetof(struct native_cpu, far_ip) == NATIVE_FAR);
static_assert(offsetof(struct native_cpu, host_rsp) == NATIVE_HOST_RSP);
static_assert(offsetof(struct native_cpu, ds) == NATIVE_DS);
static_assert(offsetof(struct native_cpu, es) == NATIVE_ES);
static_assert(offsetof(struct native_cpu, ss) == NATIVE_SS);
static_assert(offsetof(struct native_cpu, gs) == NATIVE_GS);
static_assert(offsetof(struct native_cpu, avx512) == NATIVE_AVX512);
static_assert(offsetof(struct native_cpu, fx) == NATIVE_FX);

extern struct native_cpu native_cpu;

/* Code bytes after the instruction: a jump back. */
#define NATIVE_TAIL	8u
extern u8 native_tail64[NATIVE_TAIL];
extern u8 native_tail32[NATIVE_TAIL];
extern u8 native_tail16[NATIVE_TAIL];

/*
 * Segments of the local descriptor table, all based at NATIVE_ORIGIN. Unless the
 * name says otherwise they are readable, writable if data, and extend past the
 * arena.
 */
enum native_segment {
	NATIVE_CODE_16,
	NATIVE_CODE_16_UNREADABLE,
	NATIVE_CODE_16_SHORT,		/* the first page */
	NATIVE_CODE_32,
	NATIVE_CODE_SEGMENTS,
	NATIVE_DATA_16 = NATIVE_CODE_SEGMENTS,
	NATIVE_DATA_32,
	NATIVE_DATA_SHORT,		/* up to the middle of NATIVE_DATA_2 */
	NATIVE_DATA_DOWN_16,		/* from the middle of NATIVE_DATA, up to 64 KiB */
	NATIVE_DATA_DOWN_32,
	NATIVE_STACK_SEGMENTS,		/* the ones before can be stacks */
	NATIVE_DATA_UNWRITABLE = NATIVE_STACK_SEGMENTS,
	NATIVE_SEGMENTS,		/* the ones before can be used */
	NATIVE_CODE_NOT_PRESENT = NATIVE_SEGMENTS,
	NATIVE_DATA_NOT_PRESENT,
	NATIVE_DESCRIPTORS
};

/* A descriptor and the selector for it; @refused: this kernel does not accept it. */
struct native_descriptor {
	u16 sel;
	u8 type;
	bool db, absent, refused;
	u32 limit;
};

extern struct native_descriptor native_segments[NATIVE_DESCRIPTORS];

/* The descriptor tables of this kernel, as far as user code can see them. */
#define NATIVE_GDT_ENTRIES	16
extern u64 native_gdt[NATIVE_GDT_ENTRIES];
u64 native_ldt_entry(unsigned int index);

/*
 * Map the arena, install the signal handlers, and find out what this machine can
 * run. Returns NULL, or the reason why it can run nothing.
 */
const char *native_setup(struct host *host);

/* The arena, readable and writable whatever the rights at its other address. */
u8 *native_memory(void);

/*
 * Execute the @length bytes at native_cpu.rip in code segment @cs, which begins
 * at @cs_base, with the registers of native_cpu, and store the result there.
 * Returns false if execution did not reach the next instruction: then the vector
 * registers are unknown.
 */
bool native_run(u16 cs, u64 cs_base, unsigned int length);

u64 native_fs_base(void);
u64 native_gs_base(void);
u64 native_xcr0(void);

/* In assembly: entries, returns and the signal entry. */
void native_enter64(void);
void native_enter_far(void);
void native_return(void);
void native_abandon(void);
void native_signal(int nr, siginfo_t *info, void *context);
void native_handle(int nr, siginfo_t *info, void *context);

#endif /* __ASSEMBLY__ */

#endif
