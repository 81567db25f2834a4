// SPDX-License-Identifier: GPL-2.0
/*
 * Guest memory that the host swaps out and in again, at rest and under a
 * running guest. Needs swap space, or a disk in memory (brd) to make some. What
 * else the host may do to memory is notifier_test's.
 */
#include <pthread.h>
#include <sched.h>
#include <sys/swap.h>
#include "kselftest_harness.h"
#include "keel_test.h"
#include "guest.h"

#define MEM_GPA 0x40000000UL
#define PAGES 256
#define DISK "/dev/ram0"

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif

FIXTURE(swap) {
	struct vm *vm;
	struct vcpu *vcpu;
	u8 *mem;
};

static u64 guest_stop;

/* One more in every page, round after round; then how many rounds. */
static void guest_count(void)
{
	u64 rounds, i;

	for (rounds = 0; !__atomic_load_n(&guest_stop, __ATOMIC_RELAXED); rounds++)
		for (i = 0; i < PAGES; i++)
			(*(volatile u64 *)(MEM_GPA + i * PAGE))++;
	guest_sync(rounds);
	guest_done();
}

static void guest_add_up(void)
{
	u64 sum = 0, i;

	for (;; sum = 0) {
		for (i = 0; i < PAGES; i++)
			sum += (*(volatile u64 *)(MEM_GPA + i * PAGE))++;
		guest_sync(sum);
	}
}

/* The header of swap space, as mkswap writes it for pages of 4 KiB. */
static bool make_swap(void)
{
	u32 header[PAGE / 4] = {};
	int fd = open(DISK, O_WRONLY | O_EXCL);
	off_t size;
	bool ok;

	if (fd < 0)
		return false;
	size = lseek(fd, 0, SEEK_END);
	lseek(fd, 0, SEEK_SET);
	header[1024 / 4] = 1;
	header[1028 / 4] = size / PAGE - 1;
	memcpy((char *)header + PAGE - 10, "SWAPSPACE2", 10);
	ok = write(fd, header, sizeof(header)) == sizeof(header);
	close(fd);
	return ok && !swapon(DISK, 0);
}

static bool has_swap(void)
{
	char line[256];
	FILE *f = fopen("/proc/swaps", "r");
	int lines = 0;

	while (f && fgets(line, sizeof(line), f))
		lines++;
	if (f)
		fclose(f);
	return lines > 1;
}

/* Pages that are not in memory. */
static u64 absent(void *mem)
{
	u8 resident[PAGES];
	u64 i, n = 0;

	CHECK(!mincore(mem, PAGES * PAGE, resident), "mincore");
	for (i = 0; i < PAGES; i++)
		n += !(resident[i] & 1);
	return n;
}

/*
 * The first time a page is asked for it may be let off for having been used;
 * nothing uses it in between. How many are out in the end.
 */
static u64 page_out(void *mem)
{
	int i;

	for (i = 0; i < 10 && absent(mem) < PAGES / 2; i++)
		CHECK(!madvise(mem, PAGES * PAGE, MADV_PAGEOUT), "madvise");
	return absent(mem);
}

FIXTURE_SETUP(swap)
{
	self->vm = vm_create();
	self->vcpu = vcpu_create(self->vm, 0, guest_add_up);
	self->mem = anon_alloc(PAGES * PAGE);
	madvise(self->mem, PAGES * PAGE, MADV_NOHUGEPAGE);
	vm_set_slot(self->vm, 1, 0, MEM_GPA, PAGES * PAGE, self->mem);
}

FIXTURE_TEARDOWN(swap)
{
	vcpu_free(self->vcpu);
	vm_free(self->vm);
}

static void *run_to_sync(void *vcpu)
{
	vcpu_sync(vcpu);
	return NULL;
}

TEST_F(swap, out_and_back)
{
	u64 sum = 0, i;
	int turn;

	REQUIRE(has_swap() || make_swap());
	for (i = 0; i < PAGES; i++) {
		*(u64 *)(self->mem + i * PAGE) = i * i;
		sum += i * i;
	}
	for (turn = 0; turn < 4; turn++, sum += PAGES) {
		EXPECT_EQ(sum, vcpu_sync(self->vcpu));
		/* The guest's mappings keep nothing in memory. */
		EXPECT_LE(PAGES / 2, page_out(self->mem));
	}
	for (i = 0; i < PAGES; i++)
		EXPECT_EQ(i * i + 4, *(u64 *)(self->mem + i * PAGE));
}

TEST_F_TIMEOUT(swap, under_a_running_guest, 60)
{
	u64 out = 0, rounds, i;
	pthread_t thread;

	REQUIRE(has_swap() || make_swap());
	vcpu_set_long(self->vcpu, guest_count);
	ASSERT_EQ(0, pthread_create(&thread, NULL, run_to_sync, self->vcpu));
	/* At least, and until the guest has been round. */
	for (i = 0; i < 20 || *(volatile u64 *)self->mem < 3; i++) {
		out += page_out(self->mem);
		sched_yield();
	}
	__atomic_store_n(&GUEST_VAR(self->vm, guest_stop), 1, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	rounds = self->vcpu->arg[0];
	EXPECT_LT(0, rounds);
	EXPECT_LT(0, out);
	for (i = 0; i < PAGES; i++)
		EXPECT_EQ(rounds, *(u64 *)(self->mem + i * PAGE));
}

KEEL_TEST_MAIN
