// SPDX-License-Identifier: GPL-2.0
/*
 * A slot so large that it takes long to go through what is mapped of it: the
 * calls that do so can be killed.
 */
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include "kselftest_harness.h"
#include "keel_test.h"
#include "guest.h"

#define SLOT 1
#define BASE (1UL << 32)
#define PARTS 6000UL		/* of 2 MiB: one page of each is mapped, and a table for it */
#define SIZE (PARTS * HUGE)
#define PAGES (SIZE / PAGE)
#define GIB (1UL << 30)

static void guest_read_all(void)
{
	u64 i;

	for (i = 0; i < PARTS; i++)
		guest_read64(BASE + i * HUGE);
	guest_done();
}

static u64 now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000UL + ts.tv_nsec;
}

static void sleep_ns(u64 ns)
{
	struct timespec ts = { .tv_sec = ns / 1000000000UL, .tv_nsec = ns % 1000000000UL };

	nanosleep(&ts, NULL);
}

/* The library maps 4 GiB. */
static void map_all(struct vm *vm)
{
	u64 *pdpt = vm_hva(vm, PDPT_GPA);
	u64 gva;

	for (gva = BASE; gva < BASE + SIZE; gva += GIB)
		pdpt[gva / GIB] = gva | PT_P | PT_W | PT_PS;
}

static bool cpu_has_1g_pages(void)
{
	u32 r[4];

	guest_cpuid(0x80000001, 0, r);
	return r[3] >> 26 & 1;
}

/* A VM whose slot logs, all of it noted. Reads leave the host's page of zeros there. */
static struct vm *giant(void)
{
	struct kvm_enable_cap cap = {
		.cap = KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2,
		.args = { KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE | KVM_DIRTY_LOG_INITIALLY_SET },
	};
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_create(vm, 0, guest_read_all);
	void *mem = mmap(NULL, SIZE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	CHECK(mem != MAP_FAILED, "no address space");
	madvise(mem, SIZE, MADV_NOHUGEPAGE);
	map_all(vm);
	vm_ioctl(vm, KVM_ENABLE_CAP, &cap);
	vm_set_slot(vm, SLOT, KVM_MEM_LOG_DIRTY_PAGES, BASE, SIZE, mem);
	vcpu_run(vcpu);
	CHECK(vcpu_decode(vcpu) == GUEST_DONE, "exit %u", vcpu->run->exit_reason);
	return vm;
}

static void clear(struct vm *vm)
{
	struct kvm_clear_dirty_log log = { .slot = SLOT, .num_pages = PAGES };

	log.dirty_bitmap = malloc(PAGES / 8);
	CHECK(log.dirty_bitmap, "out of memory");
	memset(log.dirty_bitmap, 0xff, PAGES / 8);
	vm_ioctl(vm, KVM_CLEAR_DIRTY_LOG, &log);
}

/* Tells the time that a clear takes, and clears until it is killed, if asked to. */
static void child(int to, bool busy)
{
	struct vm *vm = giant();
	u64 start = now_ns(), took;

	clear(vm);
	took = now_ns() - start;
	CHECK(write(to, &took, sizeof(took)) == sizeof(took), "pipe");
	if (busy)
		clear(vm);
	for (;;)
		pause();
}

/* How long it took to die, and before that to clear. */
static u64 kill_one(struct __test_metadata *_metadata, bool busy, u64 *took)
{
	int fd[2], status;
	u64 start;
	pid_t pid;

	ASSERT_EQ(0, pipe(fd));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		child(fd[1], busy);
	ASSERT_EQ(sizeof(*took), read(fd[0], took, sizeof(*took)));
	sleep_ns(*took / 8);
	start = now_ns();
	kill(pid, SIGKILL);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_TRUE(WIFSIGNALED(status));
	close(fd[0]);
	close(fd[1]);
	return now_ns() - start;
}

TEST(clearing_can_be_killed)
{
	u64 took, idle, busy;

	REQUIRE(dev_is_keel() && cpu_has_1g_pages());
	idle = kill_one(_metadata, false, &took);
	busy = kill_one(_metadata, true, &took);
	TH_LOG("a clear takes %lu us; it dies in %lu us, and in %lu us while it clears",
	       took / 1000, idle / 1000, busy / 1000);
	if (took < 20000000)
		SKIP(return, "too fast to be interrupted");
	/* It went on for seven eighths of a clear if nothing stopped it. */
	EXPECT_LT(busy, idle + took / 2);
}

KEEL_TEST_MAIN
