// SPDX-License-Identifier: GPL-2.0
/*
 * What the host does to a guest's memory behind its back: unmap, discard,
 * protect, copy on write, merge into huge pages and split them, move, swap
 * out. The guest sees what a thread of the process would see, no write is
 * lost, and nothing stays pinned. Slot updates belong to memslot_test.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include "kselftest_harness.h"
#include "keel_test.h"
#include "guest.h"

#define MEM_GPA	0x40000000UL
#define MEM_SIZE	(2 * HUGE)
#define PAGES		(MEM_SIZE / PAGE)

#define COUNTERS	"/sys/kernel/debug/keel"

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

FIXTURE(notifier) {
	struct vm *vm;
	struct vcpu *vcpu;
	u8 *mem;
};

static u64 guest_addr, guest_value, guest_op, guest_stop;

enum { OP_READ, OP_WRITE, OP_COUNT };

/* Add one to a word of every page until told to stop; how often is the answer. */
static void guest_count(void)
{
	u64 rounds, i;

	for (rounds = 0; !__atomic_load_n(&guest_stop, __ATOMIC_RELAXED); rounds++)
		for (i = 0; i < PAGES; i++)
			guest_write64(MEM_GPA + i * PAGE, guest_read64(MEM_GPA + i * PAGE) + 1);
	guest_sync(rounds);
}

static void guest_main(void)
{
	for (;;) {
		switch (guest_op) {
		case OP_COUNT:
			guest_count();
			break;
		case OP_WRITE:
			guest_write64(guest_addr, guest_value);
			guest_sync(guest_value);
			break;
		default:
			guest_sync(guest_read64(guest_addr));
		}
	}
}

FIXTURE_SETUP(notifier)
{
	self->vm = vm_create();
	self->vcpu = vcpu_create(self->vm, 0, guest_main);
	self->mem = anon_alloc(MEM_SIZE);
	vm_set_slot(self->vm, 1, 0, MEM_GPA, MEM_SIZE, self->mem);
}

FIXTURE_TEARDOWN(notifier)
{
	vcpu_free(self->vcpu);
	vm_free(self->vm);
	munmap(self->mem, MEM_SIZE);
}

static void ask(struct vm *vm, u64 op, u64 offset, u64 value)
{
	GUEST_VAR(vm, guest_op) = op;
	GUEST_VAR(vm, guest_addr) = MEM_GPA + offset;
	GUEST_VAR(vm, guest_value) = value;
}

static u64 peek(struct vm *vm, struct vcpu *vcpu, u64 offset)
{
	ask(vm, OP_READ, offset, 0);
	return vcpu_sync(vcpu);
}

static void poke(struct vm *vm, struct vcpu *vcpu, u64 offset, u64 value)
{
	ask(vm, OP_WRITE, offset, value);
	vcpu_sync(vcpu);
}

/* A word of the process's view. */
static u64 *word(u8 *mem, u64 offset)
{
	return (u64 *)(mem + offset);
}

TEST_F(notifier, unmapped_memory_is_efault_until_mapped_again)
{
	void *p;

	poke(self->vm, self->vcpu, PAGE, 0x1111);
	ASSERT_EQ(0, munmap(self->mem + PAGE, PAGE));
	ask(self->vm, OP_READ, PAGE, 0);
	EXPECT_EQ(-EFAULT, __vcpu_run(self->vcpu));
	p = mmap(self->mem + PAGE, PAGE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	ASSERT_EQ((void *)(self->mem + PAGE), p);
	*word(self->mem, PAGE) = 0x2222;
	EXPECT_EQ(0x2222, vcpu_sync(self->vcpu));
}

TEST_F(notifier, discarded_memory_reads_as_zero)
{
	poke(self->vm, self->vcpu, 0, 0x1111);
	poke(self->vm, self->vcpu, 3 * PAGE, 0x3333);
	ASSERT_EQ(0, madvise(self->mem, PAGE, MADV_DONTNEED));
	EXPECT_EQ(0, peek(self->vm, self->vcpu, 0));
	EXPECT_EQ(0x3333, peek(self->vm, self->vcpu, 3 * PAGE));
	poke(self->vm, self->vcpu, 0, 0x4444);
	EXPECT_EQ(0x4444, *word(self->mem, 0));
}

TEST_F(notifier, moved_memory_is_gone_until_moved_back)
{
	void *away = anon_alloc(PAGE);

	poke(self->vm, self->vcpu, PAGE, 0x1111);
	ASSERT_EQ(away, mremap(self->mem + PAGE, PAGE, PAGE,
			       MREMAP_MAYMOVE | MREMAP_FIXED, away));
	ask(self->vm, OP_READ, PAGE, 0);
	EXPECT_EQ(-EFAULT, __vcpu_run(self->vcpu));
	*(u64 *)away = 0x2222;
	ASSERT_EQ((void *)(self->mem + PAGE),
		  mremap(away, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
			 self->mem + PAGE));
	EXPECT_EQ(0x2222, vcpu_sync(self->vcpu));
	poke(self->vm, self->vcpu, PAGE, 0x3333);
	EXPECT_EQ(0x3333, *word(self->mem, PAGE));
}

TEST_F(notifier, a_page_read_before_it_was_written_is_not_stale)
{
	/* The first read maps the zero page. */
	EXPECT_EQ(0, peek(self->vm, self->vcpu, 0));
	*word(self->mem, 0) = 0x1111;
	EXPECT_EQ(0x1111, peek(self->vm, self->vcpu, 0));
	poke(self->vm, self->vcpu, 0, 0x2222);
	EXPECT_EQ(0x2222, *word(self->mem, 0));
}

TEST_F(notifier, write_protected_memory_is_efault_for_writes_only)
{
	poke(self->vm, self->vcpu, 0, 0x1111);
	ASSERT_EQ(0, mprotect(self->mem, PAGE, PROT_READ));
	EXPECT_EQ(0x1111, peek(self->vm, self->vcpu, 0));
	ask(self->vm, OP_WRITE, 0, 0x2222);
	EXPECT_EQ(-EFAULT, __vcpu_run(self->vcpu));
	EXPECT_EQ(0x1111, *word(self->mem, 0));
	ASSERT_EQ(0, mprotect(self->mem, PAGE, PROT_READ | PROT_WRITE));
	vcpu_sync(self->vcpu);
	EXPECT_EQ(0x2222, *word(self->mem, 0));
}

TEST_F(notifier, fork_copies_what_the_guest_writes)
{
	int status;
	pid_t child;

	poke(self->vm, self->vcpu, 0, 0x1111);
	child = fork();
	ASSERT_GE(child, 0);
	if (!child) {
		raise(SIGSTOP);
		_exit(*word(self->mem, 0) == 0x1111 ? 0 : 1);
	}
	ASSERT_EQ(child, waitpid(child, &status, WUNTRACED));
	EXPECT_EQ(0x1111, peek(self->vm, self->vcpu, 0));
	poke(self->vm, self->vcpu, 0, 0x2222);
	EXPECT_EQ(0x2222, *word(self->mem, 0));
	kill(child, SIGCONT);
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(0, status);
}

TEST_F(notifier, a_file_page_written_by_the_guest_reaches_the_file)
{
	u64 value = 0x1111;
	int fd = memfd_create("guest", 0);
	u8 *map;

	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, ftruncate(fd, MEM_SIZE));
	map = mmap(NULL, MEM_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, map);
	vm_set_slot(self->vm, 2, 0, MEM_GPA + MEM_SIZE, MEM_SIZE, map);
	ASSERT_EQ(8, pwrite(fd, &value, 8, 5 * PAGE));
	EXPECT_EQ(0x1111, peek(self->vm, self->vcpu, MEM_SIZE + 5 * PAGE));
	poke(self->vm, self->vcpu, MEM_SIZE + 5 * PAGE, 0x2222);
	ASSERT_EQ(8, pread(fd, &value, 8, 5 * PAGE));
	EXPECT_EQ(0x2222, value);
	/* A hole is seen at once; where a thread would get SIGBUS, KVM_RUN fails. */
	ASSERT_EQ(0, fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 5 * PAGE, PAGE));
	EXPECT_EQ(0, peek(self->vm, self->vcpu, MEM_SIZE + 5 * PAGE));
	ASSERT_EQ(0, ftruncate(fd, 0));
	ask(self->vm, OP_READ, MEM_SIZE, 0);
	EXPECT_EQ(-EFAULT, __vcpu_run(self->vcpu));
	ASSERT_EQ(0, ftruncate(fd, MEM_SIZE));
	EXPECT_EQ(0, vcpu_sync(self->vcpu));
	munmap(map, MEM_SIZE);
	close(fd);
}

/* One thread runs the vCPU, whatever it returns, until the guest syncs. */
static void *run_counting(void *arg)
{
	struct vcpu *vcpu = arg;
	int err;

	do {
		err = __vcpu_run(vcpu);
	} while (err == -EFAULT || err == -EINTR || err == -EAGAIN);
	CHECK(!err, "run: %s", strerror(-err));
	CHECK(vcpu_decode(vcpu) == GUEST_SYNC, "exit %d", vcpu->run->exit_reason);
	return NULL;
}

struct disturber {
	u8 *mem;
	unsigned int seed;
};

static u8 *some_page(struct disturber *d)
{
	return d->mem + rand_r(&d->seed) % PAGES * PAGE;
}

/* None of these changes what is in the memory. */
static void disturb(struct disturber *d)
{
	u8 *page = some_page(d);
	int status;
	pid_t child;

	switch (rand_r(&d->seed) % 6) {
	case 0:
		mprotect(page, PAGE, PROT_READ);
		mprotect(page, PAGE, PROT_READ | PROT_WRITE);
		break;
	case 1:
		mprotect(page, PAGE, PROT_NONE);
		mprotect(page, PAGE, PROT_READ | PROT_WRITE);
		break;
	case 2:
		child = fork();
		if (!child)
			_exit(0);
		waitpid(child, &status, 0);
		break;
	case 3:
		madvise(d->mem, MEM_SIZE, MADV_COLLAPSE);
		break;
	case 4:
		madvise(d->mem, MEM_SIZE, MADV_PAGEOUT);
		break;
	case 5:
		page = d->mem + rand_r(&d->seed) % 2 * HUGE;
		mprotect(page, HUGE, PROT_READ);
		usleep(1000);
		mprotect(page, HUGE, PROT_READ | PROT_WRITE);
		break;
	}
}

static void count_disturbed(struct __test_metadata *_metadata, struct vm *vm, struct vcpu *vcpu,
			    u8 *mem, unsigned int disturbances)
{
	struct disturber d = { .mem = mem, .seed = 1 };
	pthread_t thread;
	u64 i, rounds;

	ask(vm, OP_COUNT, 0, 0);
	GUEST_VAR(vm, guest_stop) = 0;
	ASSERT_EQ(0, pthread_create(&thread, NULL, run_counting, vcpu));
	for (i = 0; i < disturbances; i++)
		disturb(&d);
	__atomic_store_n(&GUEST_VAR(vm, guest_stop), 1, __ATOMIC_RELAXED);
	ASSERT_EQ(0, pthread_join(thread, NULL));
	rounds = vcpu->arg[0];
	EXPECT_LT(0, rounds);
	for (i = 0; i < PAGES; i++)
		if (*word(mem, i * PAGE) != rounds)
			break;
	EXPECT_EQ(PAGES, i) {
		TH_LOG("page %lu: %lu of %lu", i, *word(mem, i * PAGE), rounds);
	}
	TH_LOG("%lu rounds", rounds);
}

TEST_F_TIMEOUT(notifier, no_write_is_lost_small_pages, 120)
{
	madvise(self->mem, MEM_SIZE, MADV_NOHUGEPAGE);
	count_disturbed(_metadata, self->vm, self->vcpu, self->mem, 80);
}

TEST_F_TIMEOUT(notifier, no_write_is_lost_huge_pages, 120)
{
	madvise(self->mem, MEM_SIZE, MADV_HUGEPAGE);
	count_disturbed(_metadata, self->vm, self->vcpu, self->mem, 80);
}

TEST_F(notifier, nothing_stays_pinned)
{
	int fd = memfd_create("guest", MFD_ALLOW_SEALING);
	u8 *map;
	u64 i;

	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, ftruncate(fd, 16 * PAGE));
	map = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, map);
	vm_set_slot(self->vm, 2, 0, MEM_GPA + MEM_SIZE, 16 * PAGE, map);
	for (i = 0; i < 16; i++)
		poke(self->vm, self->vcpu, MEM_SIZE + i * PAGE, i);
	ASSERT_EQ(0, munmap(map, 16 * PAGE));
	/* Refused with EBUSY as long as anyone holds a page. The slot is still there. */
	EXPECT_EQ(0, fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
	close(fd);
}

/* A counter of the youngest VM, or -1: no debugfs. */
static long counter(const char *name)
{
	struct dirent *entry;
	long id, last = -1, value = -1;
	char path[128];
	FILE *file;
	DIR *dir = opendir(COUNTERS);

	while (dir && (entry = readdir(dir))) {
		id = strtol(entry->d_name, NULL, 10);
		if (id > last)
			last = id;
	}
	if (dir)
		closedir(dir);
	snprintf(path, sizeof(path), COUNTERS "/%ld/%s", last, name);
	file = fopen(path, "r");
	if (!file)
		return -1;
	if (fscanf(file, "%ld", &value) != 1)
		value = -1;
	fclose(file);
	return value;
}

TEST_F(notifier, huge_pages_of_the_host_are_huge_in_the_guest)
{
	long before;

	REQUIRE(counter("pages_2m") >= 0);
	before = counter("pages_2m");
	*word(self->mem, 0) = 1;
	*word(self->mem, HUGE) = 2;
	if (madvise(self->mem, MEM_SIZE, MADV_COLLAPSE))
		SKIP(return, "no huge page to be had: %s", strerror(errno));
	EXPECT_EQ(1, peek(self->vm, self->vcpu, 0));
	if (counter("pages_2m") == before)
		SKIP(return, "huge pages are turned off");
	EXPECT_EQ(2, peek(self->vm, self->vcpu, HUGE));
	EXPECT_EQ(before + 2, counter("pages_2m"));
	/* One page with rights of its own splits the first; the rest stays. */
	ASSERT_EQ(0, mprotect(self->mem + PAGE, PAGE, PROT_READ));
	EXPECT_EQ(1, peek(self->vm, self->vcpu, 0));
	EXPECT_EQ(before + 1, counter("pages_2m"));
	ask(self->vm, OP_WRITE, PAGE, 1);
	EXPECT_EQ(-EFAULT, __vcpu_run(self->vcpu));
	ASSERT_EQ(0, mprotect(self->mem + PAGE, PAGE, PROT_READ | PROT_WRITE));
	vcpu_sync(self->vcpu);
}

TEST_F(notifier, deleting_a_slot_leaves_the_mappings_of_others)
{
	long faults, flushes;
	u64 i;

	REQUIRE(counter("page_faults") >= 0);
	madvise(self->mem, MEM_SIZE, MADV_NOHUGEPAGE);
	vm_set_slot(self->vm, 2, 0, MEM_GPA + MEM_SIZE, HUGE, self->mem);
	poke(self->vm, self->vcpu, MEM_SIZE, 1);
	for (i = 0; i < PAGES; i++)
		poke(self->vm, self->vcpu, i * PAGE, i);
	faults = counter("page_faults");
	flushes = counter("remote_flushes");
	vm_set_slot(self->vm, 2, 0, 0, 0, NULL);
	EXPECT_EQ(flushes + 1, counter("remote_flushes"));
	for (i = 0; i < PAGES; i++)
		EXPECT_EQ(i, peek(self->vm, self->vcpu, i * PAGE));
	EXPECT_EQ(faults, counter("page_faults"));
	/* Nothing was mapped: nothing to flush. */
	vm_set_slot(self->vm, 2, 0, MEM_GPA + MEM_SIZE, HUGE, self->mem);
	vm_set_slot(self->vm, 2, 0, 0, 0, NULL);
	EXPECT_EQ(flushes + 1, counter("remote_flushes"));
}

KEEL_TEST_MAIN
