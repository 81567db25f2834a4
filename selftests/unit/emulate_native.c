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
#include <asm/prctl.h>
#include "emulate_native.h"

#define USER32_CS	0x23
#define USER_DS		0x2b
#define GS_BASE		0x0ff00000ull
#define PF_FETCH	0x10u

struct native_cpu native_cpu;

static void *native_return_address;

/* jmp *native_return_address */
u8 native_tail64[NATIVE_TAIL] = { 0xff, 0x24, 0x25 };
/* ljmp $0x33, $native_return */
u8 native_tail32[NATIVE_TAIL] = { 0xea, 0, 0, 0, 0, 0x33, 0, 0xcc };

static u8 *writable;
static bool abandoned;
static u64 fs_base;

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
 * A breakpoint, or a fetch that fails at another place than the instruction's
 * own, is where a branch landed: the instruction itself is complete.
 */
void native_handle(int nr, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	greg_t *g = uc->uc_mcontext.gregs;
	u64 rip = g[REG_RIP];

	save_registers(g);
	native_cpu.vector = g[REG_TRAPNO];
	native_cpu.error = g[REG_ERR];
	native_cpu.cr2 = g[REG_CR2];
	if (native_cpu.vector == 3) {
		rip--;
		native_cpu.vector = NATIVE_NO_FAULT;
	} else if (native_cpu.vector == 14 && rip != native_cpu.rip &&
		   native_cpu.cr2 == rip && (native_cpu.error & PF_FETCH)) {
		native_cpu.vector = NATIVE_NO_FAULT;
	}
	native_cpu.rip = rip;
	abandoned = true;
	g[REG_RIP] = (greg_t)native_abandon;
	g[REG_EFL] = 0x202;
	/* The handler may have interrupted 32-bit code. */
	g[REG_CSGSFS] = (g[REG_CSGSFS] & ~0xffffll) | 0x33;
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

/* A fault on a page that has been read is one on a present page. */
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
}

bool native_setup(void)
{
	if (!__builtin_cpu_supports("avx") || !map_arena() || !install_handlers())
		return false;
	if (syscall(SYS_arch_prctl, ARCH_GET_FS, &fs_base) ||
	    syscall(SYS_arch_prctl, ARCH_SET_GS, GS_BASE))
		return false;
	asm volatile("mov %0, %%ds\n\tmov %0, %%es" : : "r" (USER_DS));
	set_tails();
	return touch_arena();
}

u8 *native_memory(void)
{
	return writable;
}

bool native_run(bool code32, unsigned int length)
{
	native_cpu.vector = NATIVE_NO_FAULT;
	abandoned = false;
	if (code32) {
		native_cpu.far_ip = native_cpu.rip;
		native_cpu.far_cs = USER32_CS;
		native_enter32();
	} else {
		native_enter64();
	}
	if (!abandoned)
		native_cpu.rip += length;
	return !abandoned;
}

u64 native_fs_base(void)
{
	return fs_base;
}

u64 native_gs_base(void)
{
	return GS_BASE;
}

u64 native_xcr0(void)
{
	u32 low, high;

	asm("xgetbv" : "=a" (low), "=d" (high) : "c" (0));
	return (u64)high << 32 | low;
}
