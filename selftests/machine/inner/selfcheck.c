// SPDX-License-Identifier: GPL-2.0
/*
 * selfcheck: does this Linux, in this guest, compute what it should? Memory
 * over most of RAM, vector registers over context switches, exceptions as
 * signals, timers, fork and exec under load, and what the kernel's log says.
 * Knows nothing of the hypervisor below. Ends with 0 if all is well.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CHECK(cond) do {						\
	if (!(cond)) {							\
		printf("guest: not ok: %s:%d: %s (errno %d)\n",		\
		       "selfcheck.c", __LINE__, #cond, errno);		\
		return false;						\
	}								\
} while (0)

static uint64_t now_ns(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

/* --- memory -------------------------------------------------------------- */

/* Every word is told apart from every other. */
static inline uint64_t pattern(uint64_t i, uint64_t flip)
{
	return (i * 0x9e3779b97f4a7c15ULL) ^ flip;
}

static bool words_hold(volatile uint64_t *p, size_t n, uint64_t flip)
{
	uint64_t wrong = 0;
	size_t i;

	for (i = 0; i < n; i++)
		p[i] = pattern(i, flip);
	for (i = 0; i < n; i++)
		wrong |= p[i] ^ pattern(i, flip);
	CHECK(!wrong);
	return true;
}

static bool check_memory(void)
{
	struct sysinfo info;
	size_t size;
	uint64_t *p;
	bool ok;

	CHECK(!sysinfo(&info));
	size = (info.freeram * info.mem_unit / 100 * 85) & ~4095UL;
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(p != MAP_FAILED);
	ok = words_hold(p, size / 8, 0) && words_hold(p, size / 8, ~0ULL);
	printf("guest: memory: %zu of %lu MiB\n", size >> 20,
	       info.totalram * info.mem_unit >> 20);
	munmap(p, size);
	return ok;
}

/* --- vector registers ---------------------------------------------------- */

#define WORKERS		4
#define SWITCHES	60

#define VECTORS									\
	"xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",		\
	"xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15"

/* By hand: no library code between filling the registers and looking at them. */
static inline void let_others_run(void)
{
	long nr = SYS_sched_yield;

	asm volatile("syscall" : "+a"(nr) : : "rcx", "r11", "memory", "cc");
}

/* Fill all vector registers with @seed, let others run, and compare. */
#define KEEPS(name, load, store, bytes)				\
static bool name(uint8_t seed)							\
{										\
	static uint8_t in[16][bytes] __attribute__((aligned(64)));		\
	static uint8_t out[16][bytes] __attribute__((aligned(64)));		\
	int i;									\
										\
	for (i = 0; i < 16; i++)						\
		memset(in[i], seed + i, bytes);					\
	asm volatile(load : : "r"(in) : "memory", VECTORS);			\
	let_others_run();								\
	asm volatile(store : : "r"(out) : "memory");				\
	return !memcmp(in, out, sizeof(in));					\
}

#define EACH(insn, size)							\
	insn(0, size) insn(1, size) insn(2, size) insn(3, size)			\
	insn(4, size) insn(5, size) insn(6, size) insn(7, size)			\
	insn(8, size) insn(9, size) insn(10, size) insn(11, size)		\
	insn(12, size) insn(13, size) insn(14, size) insn(15, size)
#define LOAD_SSE(n, size)	"movdqa " #n "*" #size "(%0), %%xmm" #n "\n"
#define STORE_SSE(n, size)	"movdqa %%xmm" #n ", " #n "*" #size "(%0)\n"
#define LOAD_AVX(n, size)	"vmovdqa " #n "*" #size "(%0), %%ymm" #n "\n"
#define STORE_AVX(n, size)	"vmovdqa %%ymm" #n ", " #n "*" #size "(%0)\n"

KEEPS(keeps_sse, EACH(LOAD_SSE, 16), EACH(STORE_SSE, 16), 16)
KEEPS(keeps_avx, EACH(LOAD_AVX, 32), EACH(STORE_AVX, 32), 32)

static bool keeps_x87(uint8_t seed)
{
	double in = seed * 1.5, out;

	asm volatile("fldl %0" : : "m"(in));
	let_others_run();
	asm volatile("fstpl %0" : "=m"(out));
	return in == out;
}

static int worker(uint8_t seed, bool avx)
{
	int i;

	for (i = 0; i < SWITCHES; i++, seed += 16)
		if (!keeps_sse(seed) || !keeps_x87(seed) || (avx && !keeps_avx(seed)))
			return 1;
	return 0;
}

static bool all_succeed(int n)
{
	int status;

	while (n--) {
		CHECK(wait(&status) > 0);
		CHECK(WIFEXITED(status) && !WEXITSTATUS(status));
	}
	return true;
}

static bool check_vectors(void)
{
	bool avx = __builtin_cpu_supports("avx");
	int i;

	for (i = 0; i < WORKERS; i++) {
		pid_t pid = fork();

		CHECK(pid >= 0);
		if (!pid)
			_exit(worker(i * 37, avx));
	}
	if (!all_succeed(WORKERS))
		return false;
	printf("guest: vector registers: %d processes, %s\n", WORKERS, avx ? "AVX" : "SSE");
	return true;
}

/* --- signals ------------------------------------------------------------- */

static sigjmp_buf back;
static volatile sig_atomic_t caught, ticks;
static void *volatile fault_address;

static void on_trap(int signal, siginfo_t *info, void *context)
{
	caught = signal;
	fault_address = info->si_addr;
	siglongjmp(back, 1);
}

static void on_tick(int signal)
{
	ticks++;
}

static bool raises(int signal, void (*code)(void))
{
	caught = 0;
	if (!sigsetjmp(back, 1))
		code();
	CHECK(caught == signal);
	return true;
}

static char *forbidden;

static void touch(void)
{
	*(volatile char *)forbidden = 1;
}

static void divide(void)
{
	asm volatile("div %%ecx" : : "a"(1), "d"(0), "c"(0) : "cc");
}

static void undefined(void)
{
	asm volatile("ud2");
}

static void privileged(void)
{
	asm volatile("hlt");
}

static void breakpoint(void)
{
	asm volatile("int3");
}

static void single_step(void)
{
	asm volatile("pushf; orl $0x100, (%%rsp); popf; nop" : : : "memory", "cc");
}

static bool check_traps(void)
{
	static const int signals[] = { SIGSEGV, SIGFPE, SIGILL, SIGTRAP, SIGBUS };
	struct sigaction action = { .sa_sigaction = on_trap, .sa_flags = SA_SIGINFO };
	int i;

	for (i = 0; i < 5; i++)
		CHECK(!sigaction(signals[i], &action, NULL));
	forbidden = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(forbidden != MAP_FAILED);
	for (i = 0; i < 20; i++) {
		if (!raises(SIGSEGV, touch))
			return false;
		CHECK(fault_address == forbidden);
		if (!raises(SIGFPE, divide) || !raises(SIGILL, undefined) ||
		    !raises(SIGSEGV, privileged) || !raises(SIGTRAP, breakpoint) ||
		    !raises(SIGTRAP, single_step))
			return false;
	}
	return true;
}

static bool check_ticks(void)
{
	struct itimerval every = { { 0, 10000 }, { 0, 10000 } }, never = { 0 };
	uint64_t start = now_ns(CLOCK_MONOTONIC), sum = 0;
	struct sigaction action = { .sa_handler = on_tick };
	volatile uint64_t work;

	CHECK(!sigaction(SIGALRM, &action, NULL));
	CHECK(!setitimer(ITIMER_REAL, &every, NULL));
	while (ticks < 20 && now_ns(CLOCK_MONOTONIC) - start < 20000000000ULL)
		for (work = 0; work < 1000; work++)
			sum += work;
	setitimer(ITIMER_REAL, &never, NULL);
	CHECK(ticks >= 20);
	CHECK(sum % 499500 == 0);
	return true;
}

static bool check_signals(void)
{
	if (!check_traps() || !check_ticks())
		return false;
	printf("guest: signals: 6 kinds of trap, %d ticks\n", (int)ticks);
	return true;
}

/* --- time ---------------------------------------------------------------- */

static bool check_time(void)
{
	struct timespec nap = { .tv_nsec = 50000000 };
	uint64_t last = now_ns(CLOCK_MONOTONIC), start = last, now;
	int i;

	for (i = 0; i < 20000; i++) {
		now = now_ns(CLOCK_MONOTONIC);
		CHECK(now >= last);
		last = now;
	}
	for (i = 0; i < 4; i++) {
		start = now_ns(CLOCK_MONOTONIC);
		CHECK(!nanosleep(&nap, NULL));
		now = now_ns(CLOCK_MONOTONIC);
		CHECK(now - start >= 50000000 && now - start < 5000000000ULL);
	}
	CHECK(now_ns(CLOCK_REALTIME) / 1000000000ULL > 1700000000ULL);
	printf("guest: time: never back, a nap of 50 ms takes %llu ms\n",
	       (unsigned long long)(now - start) / 1000000);
	return true;
}

/* --- processes ----------------------------------------------------------- */

#define CHILDREN	60

static bool one_child(const char *self, int i)
{
	char number[12], answer[12] = "";
	int fd[2], status;
	pid_t pid;

	snprintf(number, sizeof(number), "%d", i);
	CHECK(!pipe(fd));
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		dup2(fd[1], 1);
		close(fd[0]);
		execl(self, self, "echo", number, NULL);
		_exit(127);
	}
	close(fd[1]);
	CHECK(read(fd[0], answer, sizeof(answer) - 1) > 0);
	close(fd[0]);
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == i % 100);
	CHECK(!strcmp(answer, number));
	return true;
}

static bool check_processes(const char *self)
{
	int i;

	for (i = 0; i < CHILDREN; i++)
		if (!one_child(self, i))
			return false;
	printf("guest: processes: %d forked, executed and collected\n", CHILDREN);
	return true;
}

static int echo(const char *number)
{
	fputs(number, stdout);
	return atoi(number) % 100;
}

/* --- the kernel's log ---------------------------------------------------- */

/* Level 3 is an error; the rest are words that no level gives away. */
static bool is_complaint(const char *line)
{
	static const char *const words[] = {
		"BUG:", "WARNING:", "Oops", "Call Trace", "general protection", "unchecked MSR",
		"stall", "soft lockup", "timed out", "unstable", "Bad page", "segfault", NULL,
	};
	int i;

	/* A microvm has no PCI, and a kernel that has says so as an error. */
	if (strstr(line, "PCI: Fatal: No config space access function found"))
		return false;
	if (line[0] == '<' && line[1] >= '0' && line[1] <= '3' && line[2] == '>')
		return true;
	for (i = 0; words[i]; i++)
		if (strstr(line, words[i]))
			return true;
	return false;
}

static bool check_log(void)
{
	static char log[1 << 20];
	int n = klogctl(3, log, sizeof(log) - 1), lines = 0, bad = 0;
	char *line, *rest = log;

	CHECK(n > 0);
	while ((line = strsep(&rest, "\n"))) {
		lines++;
		/* Those that were raised on purpose are known by this program's name. */
		if (!is_complaint(line) || strstr(line, "selfcheck"))
			continue;
		printf("guest: log: %s\n", line);
		bad++;
	}
	CHECK(!bad);
	printf("guest: log: %d lines, none of them an error\n", lines);
	return true;
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "echo"))
		return echo(argv[2]);
	setvbuf(stdout, NULL, _IOLBF, 0);
	return !(check_memory() && check_vectors() && check_signals() && check_time() &&
		 check_processes("/proc/self/exe") && check_log());
}
