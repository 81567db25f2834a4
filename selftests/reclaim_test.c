// SPDX-License-Identifier: GPL-2.0
/*
 * What the process and the kernel do to memory while guests run in it: throw it
 * away, free it lazily, page it out, merge equal pages, copy it for a child,
 * protect it, unmap it. Each write of the guest's is there in the end, or it
 * was thrown away on purpose.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <sys/wait.h>
#include "kselftest_harness.h"
#include "keel_test.h"
#include "touch.h"

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif

#define PAGES	64UL
#define SIZE	(PAGES * PAGE)
#define KSM	"/sys/kernel/mm/ksm/"

FIXTURE(reclaim) {
	struct vm *vm;
	struct vcpu *vcpu, *other;
	u8 *mem;
};

FIXTURE_SETUP(reclaim)
{
	self->vm = vm_create();
	self->vcpu = touch_vcpu(self->vm, 0);
	self->other = touch_vcpu(self->vm, 1);
	self->mem = anon_alloc(SIZE);
	madvise(self->mem, SIZE, MADV_NOHUGEPAGE);
	vm_set_slot(self->vm, 1, 0, TOUCH_GPA, SIZE, self->mem);
}

FIXTURE_TEARDOWN(reclaim)
{
	vcpu_free(self->vcpu);
	vcpu_free(self->other);
	vm_free(self->vm);
	munmap(self->mem, SIZE);
}

static u64 *word(u8 *mem, u64 page)
{
	return (u64 *)(mem + page * PAGE);
}

/* The first page whose word is not @value, or PAGES. */
static u64 differs(u8 *mem, u64 value)
{
	u64 i;

	for (i = 0; i < PAGES; i++)
		if (*word(mem, i) != value)
			break;
	return i;
}

/* --- thrown away, freed, paged out --------------------------------------- */

/*
 * A page counts from the last time it was thrown away. Were the guest to go on
 * with the old one, the process would see a new one that nobody counts in.
 */
TEST_F_TIMEOUT(reclaim, thrown_away_under_a_running_guest, 60)
{
	u64 since[PAGES] = {}, rounds, i, page;
	unsigned int seed = 1;

	touch_count(self->vcpu, TOUCH_GPA, PAGES);
	for (i = 0; i < 300; i++) {
		page = rand_r(&seed) % PAGES;
		since[page] = touch_rounds(self->vcpu);
		ASSERT_EQ(0, madvise(self->mem + page * PAGE, PAGE, MADV_DONTNEED));
		if (i % 16 == 0)
			touch_wait(self->vcpu, 1);
	}
	touch_wait(self->vcpu, 2);
	rounds = touch_count_stop(self->vcpu);
	for (i = 0; i < PAGES; i++) {
		EXPECT_GE(rounds - since[i], *word(self->mem, i));
		EXPECT_LE(since[i] ? 1 : rounds, *word(self->mem, i));
		EXPECT_EQ(*word(self->mem, i), touch_read(self->other, TOUCH_GPA + i * PAGE));
	}
}

/* A page that was given up and then written to is not given up any more. */
TEST_F(reclaim, freed_lazily_and_written_again)
{
	u64 i, value, gone = 0;
	int turn;

	for (turn = 0; turn < 10; turn++) {
		for (i = 0; i < PAGES; i++)
			touch_write(self->vcpu, TOUCH_GPA + i * PAGE, 1000 + i);
		ASSERT_EQ(0, madvise(self->mem, SIZE, MADV_FREE));
		for (i = 0; i < PAGES; i += 2)
			touch_write(self->vcpu, TOUCH_GPA + i * PAGE, 2000 + i);
		/* What nobody has written to may go now. Used pages are let off the first time. */
		for (i = 0; i < 4; i++)
			ASSERT_EQ(0, madvise(self->mem, SIZE, MADV_PAGEOUT));
		for (i = 0; i < PAGES; i++) {
			value = touch_read(self->other, TOUCH_GPA + i * PAGE);
			EXPECT_EQ(value, *word(self->mem, i));
			EXPECT_TRUE(i % 2 ? !value || value == 1000 + i : value == 2000 + i);
			gone += !value;
		}
	}
	EXPECT_LT(0, gone);
}

/* Anonymous memory goes to swap, if there is some; that of a file may stay where it is. */
TEST_F_TIMEOUT(reclaim, paged_out_under_a_running_guest, 60)
{
	int fd = memfd_create("guest", 0), i;
	u8 *file;

	ASSERT_EQ(0, ftruncate(fd, SIZE));
	file = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, file);
	vm_set_slot(self->vm, 2, 0, TOUCH_GPA + SIZE, SIZE, file);
	touch_count(self->vcpu, TOUCH_GPA, PAGES);
	touch_count(self->other, TOUCH_GPA + SIZE, PAGES);
	for (i = 0; i < 30; i++) {
		madvise(self->mem, SIZE, MADV_PAGEOUT);
		madvise(file, SIZE, MADV_PAGEOUT);
		touch_wait(self->vcpu, 1);
		touch_wait(self->other, 1);
	}
	/* Both are stopped before either is looked at. */
	touch_count_stop(self->vcpu);
	touch_count_stop(self->other);
	EXPECT_EQ(PAGES, differs(self->mem, self->vcpu->arg[0]));
	EXPECT_EQ(PAGES, differs(file, self->other->arg[0]));
	vm_set_slot(self->vm, 2, 0, TOUCH_GPA + SIZE, 0, file);
	munmap(file, SIZE);
	close(fd);
}

/* --- equal pages ---------------------------------------------------------- */

static bool ksm_set(const char *name, u64 value)
{
	char path[80];
	bool ok;
	FILE *f;

	snprintf(path, sizeof(path), KSM "%s", name);
	f = fopen(path, "w");
	ok = f && fprintf(f, "%lu", value) > 0;
	if (f && fclose(f))
		ok = false;
	return ok;
}

static u64 ksm_get(const char *name)
{
	char path[80];
	u64 value = 0;
	FILE *f;

	snprintf(path, sizeof(path), KSM "%s", name);
	f = fopen(path, "r");
	if (!f || fscanf(f, "%lu", &value) != 1)
		value = 0;
	if (f)
		fclose(f);
	return value;
}

static bool ksm_start(void)
{
	return ksm_set("pages_to_scan", 2000) && ksm_set("sleep_millisecs", 1) && ksm_set("run", 1);
}

/* Wait until @n pages more have gone into others. */
static bool ksm_merged(u64 n)
{
	int i;

	for (i = 0; i < 2000 && ksm_get("pages_sharing") < n; i++)
		usleep(5000);
	return ksm_get("pages_sharing") >= n;
}

TEST_F_TIMEOUT(reclaim, merged_pages_part_on_a_write, 90)
{
	u64 before = ksm_get("pages_sharing"), i;

	for (i = 0; i < PAGES; i++)
		touch_write(self->vcpu, TOUCH_GPA + i * PAGE, 0x1234);
	ASSERT_EQ(0, madvise(self->mem, SIZE, MADV_MERGEABLE));
	if (!ksm_start())
		SKIP(return, "the kernel merges no pages");
	/* The guest's mappings do not keep them apart. */
	EXPECT_TRUE(ksm_merged(before + PAGES - 2));
	EXPECT_EQ(PAGES * 0x1234, touch_sum(self->vcpu, TOUCH_GPA, PAGES));
	EXPECT_LE(before + PAGES - 2, ksm_get("pages_sharing"));
	touch_write(self->vcpu, TOUCH_GPA + 5 * PAGE, 0x5678);
	*word(self->mem, 6) = 0x6789;
	for (i = 0; i < PAGES; i++)
		EXPECT_EQ(i == 5 ? 0x5678 : i == 6 ? 0x6789 : 0x1234,
			  touch_read(self->other, TOUCH_GPA + i * PAGE));
	ksm_set("run", 2);
}

/* All pages are equal at the end of each round. */
TEST_F_TIMEOUT(reclaim, merged_under_a_running_guest, 90)
{
	u64 before = ksm_get("pages_shared") + ksm_get("pages_sharing"), rounds;
	bool merged = false;
	int i;

	ASSERT_EQ(0, madvise(self->mem, SIZE, MADV_MERGEABLE));
	if (!ksm_start())
		SKIP(return, "the kernel merges no pages");
	for (i = 0; i < 20 && !merged; i++) {
		touch_count(self->vcpu, TOUCH_GPA, PAGES);
		touch_wait(self->vcpu, 20);
		rounds = touch_count_stop(self->vcpu);
		ASSERT_EQ(PAGES, differs(self->mem, rounds));
		/* At rest they merge; the next turn begins with them merged. */
		merged = ksm_merged(before + 1);
		memset(self->mem, 0, SIZE);
	}
	EXPECT_TRUE(merged);
	ksm_set("run", 2);
}

/* --- children ------------------------------------------------------------- */

/* A child's memory stays as it was when it came to be; what it writes is its own. */
static int be_a_child(u8 *mem)
{
	u64 seen[PAGES], i;
	int turn;

	for (i = 0; i < PAGES; i++)
		seen[i] = *word(mem, i);
	for (turn = 0; turn < 5; turn++) {
		usleep(1000);
		for (i = 0; i < PAGES; i++)
			if (*word(mem, i) != seen[i])
				return 1;
	}
	for (i = 0; i < PAGES; i += 2)
		*word(mem, i) = 1UL << 60;
	return 0;
}

TEST_F_TIMEOUT(reclaim, children_of_a_process_whose_guests_run, 60)
{
	pid_t child[4];
	int i, n, status;
	u64 rounds;

	touch_count(self->vcpu, TOUCH_GPA, PAGES);
	for (i = 0; i < 10; i++) {
		for (n = 0; n < 4; n++) {
			child[n] = fork();
			if (!child[n])
				_exit(be_a_child(self->mem));
			ASSERT_LT(0, child[n]);
		}
		for (n = 0; n < 4; n++) {
			ASSERT_EQ(child[n], waitpid(child[n], &status, 0));
			EXPECT_EQ(0, status);
		}
	}
	touch_wait(self->vcpu, 1);
	rounds = touch_count_stop(self->vcpu);
	EXPECT_EQ(PAGES, differs(self->mem, rounds));
}

/* --- protected and unmapped ---------------------------------------------- */

TEST_F(reclaim, no_access_is_efault_and_nothing_is_lost)
{
	touch_write(self->vcpu, TOUCH_GPA, 0x1111);
	ASSERT_EQ(0, mprotect(self->mem, PAGE, PROT_NONE));
	EXPECT_EQ(-EFAULT, touch_try_read(self->vcpu, TOUCH_GPA));
	EXPECT_EQ(-EFAULT, touch_try_write(self->other, TOUCH_GPA, 0x2222));
	ASSERT_EQ(0, mprotect(self->mem, PAGE, PROT_READ));
	EXPECT_EQ(0x1111, touch_again(self->vcpu));
	EXPECT_EQ(-EFAULT, __vcpu_run(self->other));
	ASSERT_EQ(0, mprotect(self->mem, PAGE, PROT_READ | PROT_WRITE));
	touch_again(self->other);
	EXPECT_EQ(0x2222, *word(self->mem, 0));
}

TEST_F_TIMEOUT(reclaim, protected_under_a_running_guest, 60)
{
	static const int rights[] = { PROT_NONE, PROT_READ };
	u64 rounds, failures;
	int i;

	touch_count(self->vcpu, TOUCH_GPA, PAGES);
	for (i = 0; i < 20; i++) {
		failures = touch_failures(self->vcpu);
		ASSERT_EQ(0, mprotect(self->mem + i * PAGE, 8 * PAGE, rights[i % 2]));
		while (touch_failures(self->vcpu) == failures)
			sched_yield();
		ASSERT_EQ(0, mprotect(self->mem + i * PAGE, 8 * PAGE, PROT_READ | PROT_WRITE));
		touch_wait(self->vcpu, 1);
	}
	rounds = touch_count_stop(self->vcpu);
	EXPECT_EQ(PAGES, differs(self->mem, rounds));
}

/* Never an exit for MMIO: there is a slot. The thread that counts sees to that. */
TEST_F_TIMEOUT(reclaim, unmapped_under_a_running_guest, 60)
{
	u64 failures, rounds, last = 0;
	int i;

	touch_count(self->vcpu, TOUCH_GPA, PAGES);
	for (i = 0; i < 20; i++) {
		failures = touch_failures(self->vcpu);
		ASSERT_EQ(0, munmap(self->mem, SIZE));
		while (touch_failures(self->vcpu) == failures)
			sched_yield();
		last = touch_rounds(self->vcpu);
		ASSERT_EQ(self->mem, mmap(self->mem, SIZE, PROT_READ | PROT_WRITE,
					  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
		madvise(self->mem, SIZE, MADV_NOHUGEPAGE);
		touch_wait(self->vcpu, 2);
	}
	rounds = touch_count_stop(self->vcpu);
	for (i = 0; i < PAGES; i++) {
		EXPECT_LE(rounds - last - 1, *word(self->mem, i));
		EXPECT_GE(rounds - last, *word(self->mem, i));
	}
}

KEEL_TEST_MAIN
