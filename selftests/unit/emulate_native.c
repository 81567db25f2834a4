// SPDX-License-Identifier: GPL-2.0
/*
 * The processor side of the differential test. emulate_native_asm.S loads all
 * registers and jumps to the instruction, which is followed by a jump back;
 * where it faults or branches away instead, a signal handler picks the
 * registers up. Everything sits below 4 GiB so that 32-bit code and absolute
 * addresses reach it.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>
#include <asm/ldt.h>
#include <asm/prctl.h>
#include "emulate_native.h"

#define GS_BASE		0x0ff00000ull
#define PF_FETCH	0x10u

struct native_cpu native_cpu;

static void *native_return_address;

/* jmp *native_return_address */
u8 native_tail64[NATIVE_TAIL] = { 0xff, 0x24, 0x25 };
/* ljmp $0x33, $native_return */
u8 native_tail32[NATIVE_TAIL] = { 0xea, 0, 0, 0, 0, NATIVE_USER_CS, 0, 0xcc };
u8 native_tail16[NATIVE_TAIL] = { 0x66, 0xea, 0, 0, 0, 0, NATIVE_USER_CS, 0 };

#define SELECTOR(index)	((index) << 3 | 7)
#define DATA_END	(NATIVE_DATA_2 * NATIVE_PAGE + NATIVE_PAGE / 2 - 1)
#define DATA_START	(NATIVE_DATA * NATIVE_PAGE + NATIVE_PAGE / 2 - 1)

struct native_descriptor native_segments[NATIVE_DESCRIPTORS] = {
	[NATIVE_CODE_16] = { .type = 11, .limit = 0xffff },
	[NATIVE_CODE_16_UNREADABLE] = { .type = 9, .limit = 0xffff },
	[NATIVE_CODE_16_SHORT] = { .type = 11, .limit = NATIVE_PAGE - 1 },
	[NATIVE_CODE_32] = { .type = 11, .limit = 0xfffff, .db = true },
	[NATIVE_DATA_16] = { .type = 3, .limit = 0xffff },
	[NATIVE_DATA_32] = { .type = 3, .limit = 0xfffff, .db = true },
	[NATIVE_DATA_SHORT] = { .type = 3, .limit = DATA_END, .db = true },
	[NATIVE_DATA_DOWN_16] = { .type = 7, .limit = DATA_START },
	[NATIVE_DATA_DOWN_32] = { .type = 7, .limit = DATA_START, .db = true },
	[NATIVE_DATA_UNWRITABLE] = { .type = 1, .limit = 0xffff },
	[NATIVE_CODE_NOT_PRESENT] = { .type = 11, .limit = 0xfffff, .db = true, .absent = true },
	[NATIVE_DATA_NOT_PRESENT] = { .type = 3, .limit = 0xfffff, .db = true, .absent = true },
};

/* The kernel's own segments, which user code cannot read; read_gdt() adds the others. */
u64 native_gdt[NATIVE_GDT_ENTRIES] = {
	[1] = 0x00cf9b000000ffff, [2] = 0x00af9b000000ffff, [3] = 0x00cf93000000ffff,
};

u64 native_ldt_entry(unsigned int index)
{
	const struct native_descriptor *d = &native_segments[index];
	u64 high = NATIVE_ORIGIN >> 16 & 0xff;

	if (d->refused)
		return 0;
	high |= d->type << 8 | 0x7000 | (d->absent ? 0 : 0x8000);
	high |= (d->limit & 0xf0000) | (d->db ? 0x400000 : 0) | (NATIVE_ORIGIN & 0xff000000);
	return high << 32 | (NATIVE_ORIGIN & 0xffff) << 16 | (d->limit & 0xffff);
}

static u8 *writable;
static u64 code_base;
static bool abandoned;
static u64 fs_base;

/*
 * Segments have no effect in 64-bit mode, where the handler runs: they still have
 * the values that the instruction left.
 */
static void save_segments(u64 selectors)
{
	asm volatile("mov %%ds, %0" : "=m" (native_cpu.ds));
	asm volatile("mov %%es, %0" : "=m" (native_cpu.es));
	asm volatile("mov %%gs, %0" : "=m" (native_cpu.gs));
	native_cpu.cs = selectors;
	native_cpu.ss = selectors >> 48;
	code_base = native_cpu.cs & 4 ? NATIVE_ORIGIN : 0;
}

static void save_registers(const greg_t *g)
{
	static const int order[16] = {
		REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
		REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15,
	};
	unsigned int i;

	for (i = 0; i < 16; i++)
		native_cpu.gpr[i] = g[order[i]];
	native_cpu.rflags = g[REG_EFL];
}

/*
 * True if the instruction is complete: a breakpoint, or a failed fetch elsewhere
 * than at the instruction, shows where it went.
 */
static bool gone_on(u64 rip)
{
	if (native_cpu.trap == 3)
		return true;
	if (rip == native_cpu.rip)
		return false;
	if (native_cpu.trap == 13)
		return true;
	return native_cpu.trap == 14 && native_cpu.cr2 == code_base + rip &&
	       (native_cpu.error & PF_FETCH);
}

void native_handle(int nr, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	greg_t *g = uc->uc_mcontext.gregs;
	u64 rip = g[REG_RIP];

	save_registers(g);
	save_segments(g[REG_CSGSFS]);
	native_cpu.trap = g[REG_TRAPNO];
	native_cpu.error = g[REG_ERR];
	native_cpu.cr2 = g[REG_CR2];
	if (gone_on(rip)) {
		rip -= native_cpu.trap == 3;
		native_cpu.trap = NATIVE_NO_FAULT;
	}
	native_cpu.rip = rip;
	abandoned = true;
	g[REG_RIP] = (greg_t)native_abandon;
	/* Some kernels return through this stack: with a random one they would fault for ever. */
	g[REG_RSP] = native_cpu.host_rsp;
	g[REG_EFL] = 0x202;
	/* The handler may have interrupted 16-bit or 32-bit code: restore SS and CS. */
	g[REG_CSGSFS] = (u64)NATIVE_USER_DS << 48 | NATIVE_USER_CS;
}

static bool install_handlers(void)
{
	static const int signals[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, 0 };
	static u8 stack[65536];
	stack_t alt = { .ss_sp = stack, .ss_size = sizeof(stack) };
	struct sigaction action = {
		.sa_sigaction = native_signal,
		.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER,
	};
	unsigned int i;

	if (sigaltstack(&alt, NULL))
		return false;
	for (i = 0; signals[i]; i++) {
		if (sigaction(signals[i], &action, NULL))
			return false;
	}
	return true;
}

static bool map_page(int fd, unsigned int page, int prot)
{
	void *at = (void *)(NATIVE_ORIGIN + page * NATIVE_PAGE);

	return mmap(at, NATIVE_PAGE, prot, MAP_SHARED | MAP_FIXED_NOREPLACE, fd,
		    page * NATIVE_PAGE) == at;
}

static bool map_arena(void)
{
	int fd = memfd_create("arena", 0);

	if (fd < 0 || ftruncate(fd, NATIVE_SIZE))
		return false;
	writable = mmap(NULL, NATIVE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (writable == MAP_FAILED)
		return false;
	return map_page(fd, NATIVE_CODE, PROT_READ | PROT_EXEC) &&
	       map_page(fd, NATIVE_DATA, PROT_READ | PROT_WRITE) &&
	       map_page(fd, NATIVE_DATA_2, PROT_READ | PROT_WRITE) &&
	       map_page(fd, NATIVE_READ_ONLY, PROT_READ) &&
	       map_page(fd, NATIVE_STACK, PROT_READ | PROT_WRITE);
}

/* Read the arena, so that a fault there is one on a present page. */
static bool touch_arena(void)
{
	const u8 *code = (const u8 *)NATIVE_ORIGIN;
	const u8 *read_only = code + NATIVE_READ_ONLY * NATIVE_PAGE;

	memset(writable, 0xcc, NATIVE_SIZE);
	return !memcmp(code, read_only, NATIVE_PAGE);
}

static void set_tails(void)
{
	u32 pointer = (uintptr_t)&native_return_address;
	u32 target = (uintptr_t)native_return;

	native_return_address = (void *)native_return;
	memcpy(native_tail64 + 3, &pointer, 4);
	memcpy(native_tail32 + 1, &target, 4);
	memcpy(native_tail16 + 2, &target, 4);
}

bool native_run(u16 cs, u64 cs_base, unsigned int length)
{
	native_cpu.trap = NATIVE_NO_FAULT;
	native_cpu.far_ip = native_cpu.rip;
	native_cpu.far_cs = cs;
	native_cpu.cs = cs;
	code_base = cs_base;
	abandoned = false;
	if (cs == NATIVE_USER_CS)
		native_enter64();
	else
		native_enter_far();
	if (!abandoned)
		native_cpu.rip += length;
	/* A null selector may leave a base of 0. */
	syscall(SYS_arch_prctl, ARCH_SET_GS, GS_BASE);
	/* Returning from an interrupt to a 16-bit stack leaves the upper half undefined. */
	if (cs != NATIVE_USER_CS)
		native_cpu.gpr[4] = (u32)native_cpu.gpr[4];
	return !abandoned;
}

static bool write_descriptor(unsigned int index, const struct native_descriptor *d)
{
	struct user_desc desc = {
		.entry_number = index,
		.base_addr = NATIVE_ORIGIN,
		.limit = d->limit,
		.seg_32bit = d->db,
		.contents = d->type >> 2,
		.read_exec_only = !(d->type & 2),
		.seg_not_present = d->absent,
	};

	return !syscall(SYS_modify_ldt, 1, &desc, sizeof(desc));
}

/* Mark a descriptor as refused: an empty one is as bad as one outside the table. */
static void refuse_descriptor(unsigned int index)
{
	struct user_desc desc = {
		.entry_number = index, .read_exec_only = 1, .seg_not_present = 1,
	};

	syscall(SYS_modify_ldt, 1, &desc, sizeof(desc));
	native_segments[index].refused = true;
}

/* Kernels may be built without local descriptor tables, without 16-bit segments, or forbid them. */
static void make_segments(void)
{
	unsigned int i;

	for (i = 0; i < NATIVE_DESCRIPTORS; i++) {
		native_segments[i].sel = SELECTOR(i);
		native_segments[i].refused = !write_descriptor(i, &native_segments[i]);
	}
}

static void refuse_segments(bool all)
{
	unsigned int i;

	for (i = 0; i < NATIVE_DESCRIPTORS; i++) {
		if (all || !native_segments[i].db)
			refuse_descriptor(i);
	}
}

/* The descriptor of a flat segment, from LAR and LSL; 0 if user code cannot use it. */
static u64 visible_descriptor(unsigned int index)
{
	u32 sel = index << 3 | 3, rights = 0, limit = 0;
	bool good;

	asm("lar %2, %0" : "+r" (rights), "=@ccz" (good) : "r" (sel));
	if (!good)
		return 0;
	asm("lsl %1, %0" : "+r" (limit) : "r" (sel));
	if (rights & 0x800000)
		limit >>= 12;
	return (u64)((rights & 0xf0ff00) | (limit & 0xf0000)) << 32 | (limit & 0xffff);
}

/* A kernel may forbid 32-bit code to user programs. */
static void read_gdt(void)
{
	unsigned int i;

	for (i = NATIVE_USER32_CS >> 3; i < NATIVE_GDT_ENTRIES; i++)
		native_gdt[i] = visible_descriptor(i);
}

/* True if a NOP runs in that code segment. */
static bool runs(u16 cs, u16 data, u64 base, const u8 *tail)
{
	const unsigned int offset = 64;
	bool through;

	memset(&native_cpu, 0, sizeof(native_cpu));
	native_cpu.fx.fcw = 0x37f;
	native_cpu.fx.mxcsr = 0x1f80;
	native_cpu.gpr[4] = NATIVE_ORIGIN - base + NATIVE_STACK * NATIVE_PAGE + 1024;
	native_cpu.rip = NATIVE_ORIGIN - base + offset;
	native_cpu.rflags = 0x202;
	native_cpu.ds = data;
	native_cpu.es = data;
	native_cpu.ss = data;
	writable[offset] = 0x90;
	memcpy(writable + offset + 1, tail, NATIVE_TAIL);
	through = native_run(cs, base, 1);
	memset(writable + offset, 0xcc, 1 + NATIVE_TAIL);
	return through && native_cpu.rip == NATIVE_ORIGIN - base + offset + 1;
}

static bool local_code_runs(unsigned int code, unsigned int data, const u8 *tail)
{
	const struct native_descriptor *c = &native_segments[code], *d = &native_segments[data];

	return !c->refused && !d->refused && runs(c->sel, d->sel, NATIVE_ORIGIN, tail);
}

u64 native_xcr0(void)
{
	u32 low, high;

	asm("xgetbv" : "=a" (low), "=d" (high) : "c" (0));
	return (u64)high << 32 | low;
}

static void probe(struct host *host)
{
	host_read_features(host);
	host->flat32 = runs(NATIVE_USER32_CS, NATIVE_USER_DS, 0, native_tail32);
	make_segments();
	host->local = local_code_runs(NATIVE_CODE_32, NATIVE_DATA_32, native_tail32);
	host->local16 = host->local &&
			local_code_runs(NATIVE_CODE_16, NATIVE_DATA_16, native_tail16);
	if (!host->local16)
		refuse_segments(!host->local);
	read_gdt();
	native_cpu.avx512 = host_has_avx512(host) && (native_xcr0() & 0xe6) == 0xe6;
}

const char *native_setup(struct host *host)
{
	if (!__builtin_cpu_supports("avx"))
		return "the processor has no AVX, or the kernel does not use it";
	if (!map_arena())
		return "the arena cannot be mapped at its fixed address";
	if (!install_handlers())
		return "no handler can be installed for the signals";
	if (syscall(SYS_arch_prctl, ARCH_GET_FS, &fs_base) ||
	    syscall(SYS_arch_prctl, ARCH_SET_GS, GS_BASE))
		return "the kernel does not set segment bases";
	set_tails();
	if (!touch_arena())
		return "the arena's pages are not what was written to them";
	if (!runs(NATIVE_USER_CS, NATIVE_USER_DS, 0, native_tail64))
		return "code does not run at the arena's address";
	probe(host);
	return NULL;
}

u8 *native_memory(void)
{
	return writable;
}

u64 native_fs_base(void)
{
	return fs_base;
}

u64 native_gs_base(void)
{
	return GS_BASE;
}
