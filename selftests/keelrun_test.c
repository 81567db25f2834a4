// SPDX-License-Identifier: GPL-2.0
/*
 * keelrun --save and --restore: a guest that computes is written to a file by
 * one process and goes on in another, and its output, put together, is that of
 * a guest that nobody disturbed. The guest is this very program, entered at
 * guest_one() or guest_two(). Skipped where there is no keelrun in the path.
 */
#include <elf.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "kselftest_harness.h"
#include "keel_test.h"
#include "guest.h"

#define PORT_DEBUG	0x402
#define PORT_EXIT	0xf4
#define GUEST_STATUS	7
#define STATUS_SAVED	126

#define ROUNDS		6
#define STEPS		40000
#define WORDS		(1 << 16)
#define CPUS		2

/* --- the guest, and the same work as the host does it ------------------------ */

struct work {
	u32 x, sum, count;
	u32 table[WORDS];
};

static struct work work[CPUS];
static volatile u32 finished[CPUS];

static inline void step(struct work *w)
{
	u32 *word;

	w->x = w->x * 1664525 + 1013904223;
	word = &w->table[w->x >> 16];
	*word += w->x ^ w->sum;
	w->sum = (w->sum << 7 | w->sum >> 25) + *word;
	w->count++;
}

/* Counts in vector and x87 registers too, which nothing else here uses. */
static void guest_round(struct work *w)
{
	u32 one = 1;
	int i;

	for (i = 0; i < STEPS; i++) {
		step(w);
		asm volatile("movd %0, %%xmm5; paddd %%xmm5, %%xmm6" : : "r"(w->sum));
		asm volatile("fiaddl %0" : : "m"(one));
	}
}

static void guest_put(char c)
{
	asm volatile("outb %%al, %%dx" : : "a"(c), "d"(PORT_DEBUG));
}

static void guest_print(const char *name, u32 value)
{
	int i;

	while (*name)
		guest_put(*name++);
	guest_put(' ');
	for (i = 28; i >= 0; i -= 4)
		guest_put("0123456789abcdef"[value >> i & 15]);
	guest_put('\n');
}

static void guest_report(struct work *w, u32 vector_sum, u32 count)
{
	guest_print("sum", w->sum);
	guest_print("steps", w->count);
	guest_print("vector sum", vector_sum);
	guest_print("x87 count", count);
}

static void guest_halt(void)
{
	for (;;)
		asm volatile("hlt");
}

/* The first of @cpus speaks; the others work and tell it when they have finished. */
static void guest_work(u32 cpu, u32 cpus)
{
	struct work *w = &work[cpu];
	u32 i, vector_sum, count;

	guest_write_cr4(guest_read_cr4() | CR4_OSFXSR);
	asm volatile("fninit; fldz; pxor %xmm6, %xmm6");
	w->x = cpu + 1;
	for (i = 0; i < ROUNDS; i++) {
		guest_round(w);
		if (!cpu)
			guest_print("round", i);
	}
	asm volatile("movd %%xmm6, %0; fistl %1" : "=r"(vector_sum), "=m"(count));
	finished[cpu] = 1;
	if (cpu)
		guest_halt();
	guest_report(w, vector_sum, count);
	for (i = 1; i < cpus; i++) {
		while (!finished[i])
			asm volatile("pause");
		guest_print("the other's sum", work[i].sum);
	}
	asm volatile("outb %%al, %%dx" : : "a"(GUEST_STATUS), "d"(PORT_EXIT));
	guest_halt();
}

/* The entries: keelrun gives each vCPU its number. */
static void guest_one(u64 cpu)
{
	guest_work(cpu, 1);
}

static void guest_two(u64 cpu)
{
	guest_work(cpu, 2);
}

/* What the guest has to say in the end. */
static void expected(char *out, size_t size, int n)
{
	u32 sums = 0, first, i, cpu;
	int length = 0;

	memset(work, 0, sizeof(work));
	for (cpu = 0; cpu < n; cpu++) {
		work[cpu].x = cpu + 1;
		for (i = 0; i < ROUNDS * STEPS; i++) {
			step(&work[cpu]);
			sums += cpu ? 0 : work[0].sum;
			if (!cpu && i % STEPS == STEPS - 1)
				length += snprintf(out + length, size - length, "round %08x\n",
						   i / STEPS);
		}
	}
	first = work[0].sum;
	length += snprintf(out + length, size - length,
			   "sum %08x\nsteps %08x\nvector sum %08x\nx87 count %08x\n", first,
			   work[0].count, sums, ROUNDS * STEPS);
	for (cpu = 1; cpu < n; cpu++)
		length += snprintf(out + length, size - length, "the other's sum %08x\n",
				   work[cpu].sum);
}

/* --- keelrun ------------------------------------------------------------------ */

#define OUTPUT		4096
#define ARGUMENTS	16

FIXTURE(keelrun) {
	char dir[32];
	char image[64];
	char saved[64];
	char output[OUTPUT];	/* of all processes, one after the other */
	char want[OUTPUT];
};

/* This program, to be entered there. */
static void make_image(const char *path, void (*entry)(u64 cpu))
{
	int in = open("/proc/self/exe", O_RDONLY);
	int out = open(path, O_RDWR | O_CREAT | O_TRUNC, 0700);
	struct stat st;
	Elf64_Ehdr *elf;

	CHECK(in >= 0 && out >= 0 && !fstat(in, &st), "image: %s", strerror(errno));
	elf = malloc(st.st_size);
	CHECK(elf && read(in, elf, st.st_size) == st.st_size, "image: %s", strerror(errno));
	elf->e_entry = (unsigned long)entry;
	CHECK(write(out, elf, st.st_size) == st.st_size, "image: %s", strerror(errno));
	free(elf);
	close(in);
	close(out);
}

static bool have_keelrun(void)
{
	return !system("keelrun --version >/dev/null 2>&1");
}

FIXTURE_SETUP(keelrun)
{
	if (!have_keelrun())
		SKIP(return, "no keelrun in the path");
	strcpy(self->dir, "/tmp/keelrun_test.XXXXXX");
	ASSERT_NE(NULL, mkdtemp(self->dir));
	snprintf(self->image, sizeof(self->image), "%s/image", self->dir);
	snprintf(self->saved, sizeof(self->saved), "%s/saved", self->dir);
	make_image(self->image, guest_one);
	self->output[0] = 0;
	expected(self->want, sizeof(self->want), 1);
}

FIXTURE_TEARDOWN(keelrun)
{
	unlink(self->image);
	unlink(self->saved);
	rmdir(self->dir);
}

/* Start it; its output comes through @pipe. */
static pid_t start(const char *const *args, int *out)
{
	const char *argv[ARGUMENTS] = { "keelrun", "-t", "60" };
	int i, fd[2];
	pid_t pid;

	for (i = 0; args[i]; i++)
		argv[3 + i] = args[i];
	CHECK(!pipe(fd), "pipe: %s", strerror(errno));
	pid = fork();
	CHECK(pid >= 0, "fork: %s", strerror(errno));
	if (!pid) {
		dup2(fd[1], STDOUT_FILENO);
		close(fd[0]);
		execvp(argv[0], (char **)argv);
		_exit(127);
	}
	close(fd[1]);
	*out = fd[0];
	return pid;
}

/* Add to @output what comes, until a line that holds @text, or NULL: to the end. */
static void read_until(int fd, char *output, const char *text)
{
	size_t old = strlen(output), length = old;
	ssize_t n;

	while (!text || !strstr(output + old, text)) {
		CHECK(length < OUTPUT - 1, "too much output");
		n = read(fd, output + length, OUTPUT - 1 - length);
		if (n <= 0)
			break;
		length += n;
		output[length] = 0;
	}
}

static int finish(pid_t pid)
{
	int status;

	CHECK(waitpid(pid, &status, 0) == pid, "wait: %s", strerror(errno));
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

#define KEELRUN(...) keelrun(self->output, (const char *const []) { __VA_ARGS__, NULL })

/* The exit status. */
static int keelrun(char *output, const char *const *args)
{
	int fd;
	pid_t pid = start(args, &fd);

	read_until(fd, output, NULL);
	close(fd);
	return finish(pid);
}

TEST_F(keelrun, undisturbed)
{
	EXPECT_EQ(GUEST_STATUS, KEELRUN(self->image));
	EXPECT_STREQ(self->want, self->output);
}

TEST_F(keelrun, goes_on_in_another_process)
{
	EXPECT_EQ(STATUS_SAVED, KEELRUN("--save", self->saved, "--save-at", "round 00000001",
					self->image));
	EXPECT_EQ(NULL, strstr(self->output, "round 00000002"));
	unlink(self->image);
	EXPECT_EQ(GUEST_STATUS, KEELRUN("--restore", self->saved));
	EXPECT_STREQ(self->want, self->output);
}

TEST_F(keelrun, twice_in_a_row)
{
	EXPECT_EQ(STATUS_SAVED, KEELRUN("--save", self->saved, "--save-at", "round 00000000",
					self->image));
	EXPECT_EQ(STATUS_SAVED, KEELRUN("--restore", self->saved, "--save", self->saved,
					"--save-at", "round 00000003"));
	EXPECT_EQ(GUEST_STATUS, KEELRUN("--restore", self->saved));
	EXPECT_STREQ(self->want, self->output);
}

/* The file is not used up: from the same place there is one way on. */
TEST_F(keelrun, again_from_the_same_file)
{
	char before[OUTPUT];

	EXPECT_EQ(STATUS_SAVED, KEELRUN("--save", self->saved, "--save-at", "round 00000002",
					self->image));
	strcpy(before, self->output);
	EXPECT_EQ(GUEST_STATUS, KEELRUN("--restore", self->saved));
	EXPECT_STREQ(self->want, self->output);
	strcpy(self->output, before);
	EXPECT_EQ(GUEST_STATUS, KEELRUN("--restore", self->saved));
	EXPECT_STREQ(self->want, self->output);
}

TEST_F(keelrun, when_it_is_told_to)
{
	const char *const args[] = { "--save", self->saved, self->image, NULL };
	int fd;
	pid_t pid = start(args, &fd);

	read_until(fd, self->output, "round 00000000");
	EXPECT_EQ(0, kill(pid, SIGUSR2));
	read_until(fd, self->output, NULL);
	close(fd);
	EXPECT_EQ(STATUS_SAVED, finish(pid));
	EXPECT_EQ(GUEST_STATUS, KEELRUN("--restore", self->saved));
	EXPECT_STREQ(self->want, self->output);
}

/* Saved wherever it happens to be, again and again, as long as it has not ended. */
TEST_F(keelrun, at_any_moment)
{
	static const char *const after[] = { "0.02", "0.01", "0.005", "0.013", "0.007" };
	int i, status;

	status = KEELRUN("--save", self->saved, "--save-after", after[0], self->image);
	for (i = 1; i < 5 && status == STATUS_SAVED; i++)
		status = KEELRUN("--restore", self->saved, "--save", self->saved,
				 "--save-after", after[i]);
	TH_LOG("saved %d times", status == STATUS_SAVED ? i : i - 1);
	if (status == STATUS_SAVED)
		status = KEELRUN("--restore", self->saved);
	EXPECT_EQ(GUEST_STATUS, status);
	EXPECT_STREQ(self->want, self->output);
}

TEST_F(keelrun, two_vcpus)
{
	make_image(self->image, guest_two);
	expected(self->want, sizeof(self->want), CPUS);
	EXPECT_EQ(STATUS_SAVED, KEELRUN("-c", "2", "--save", self->saved, "--save-at",
					"round 00000001", self->image));
	EXPECT_EQ(STATUS_SAVED, KEELRUN("--restore", self->saved, "--save", self->saved,
					"--save-at", "round 00000004"));
	EXPECT_EQ(GUEST_STATUS, KEELRUN("--restore", self->saved));
	EXPECT_STREQ(self->want, self->output);
}

TEST_F(keelrun, a_vcpu_that_has_halted_stays_so)
{
	make_image(self->image, guest_two);
	expected(self->want, sizeof(self->want), CPUS);
	/* By the time the first has said all of this, the other has long been done. */
	EXPECT_EQ(STATUS_SAVED, KEELRUN("-c", "2", "--save", self->saved, "--save-at",
					"x87 count", self->image));
	EXPECT_EQ(GUEST_STATUS, KEELRUN("--restore", self->saved));
	EXPECT_STREQ(self->want, self->output);
}

KEEL_TEST_MAIN
