// SPDX-License-Identifier: GPL-2.0
/*
 * Kinds of memory that a slot may show: pages that a thread of the process
 * supplies (userfaultfd), files in memory, huge pages from the pool, private
 * mappings of files. What the host does to ordinary memory is in notifier_test
 * and reclaim_test.
 */
#define _GNU_SOURCE
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <linux/memfd.h>
#include <linux/userfaultfd.h>
#include "kselftest_harness.h"
#include "keel_test.h"
#include "control.h"
#include "touch.h"

#define PAGES	64UL
#define SIZE	(PAGES * PAGE)

FIXTURE(backing) {
	struct vm *vm;
	struct vcpu *vcpu[TOUCH_VCPUS];
};

FIXTURE_SETUP(backing)
{
	int i;

	self->vm = vm_create();
	for (i = 0; i < TOUCH_VCPUS; i++)
		self->vcpu[i] = touch_vcpu(self->vm, i);
}

FIXTURE_TEARDOWN(backing)
{
	int i;

	for (i = 0; i < TOUCH_VCPUS; i++)
		vcpu_free(self->vcpu[i]);
	vm_free(self->vm);
}

/* Word @i of each page, as the process sees it. */
static u64 *word(u8 *mem, u64 page, int i)
{
	return (u64 *)(mem + page * PAGE) + i;
}

/* All pages hold @value in word @i. */
static bool all_are(u8 *mem, u64 pages, int i, u64 value)
{
	u64 page;

	for (page = 0; page < pages; page++) {
		if (*word(mem, page, i) != value) {
			fprintf(stderr, "# page %lu, word %d: %lu, not %lu\n", page, i,
				*word(mem, page, i), value);
			return false;
		}
	}
	return true;
}

static u8 *map_file(int fd, u64 size, int how)
{
	u8 *mem = mmap(NULL, size, PROT_READ | PROT_WRITE, how, fd, 0);

	CHECK(mem != MAP_FAILED, "mmap: %s", strerror(errno));
	return mem;
}

static u8 *anon_pages(u64 pages)
{
	u8 *mem = anon_alloc(pages * PAGE);

	madvise(mem, pages * PAGE, MADV_NOHUGEPAGE);
	return mem;
}

/* --- userfaultfd --------------------------------------------------------- */

/*
 * A thread that answers faults: a missing page gets its number squared in its
 * third word; a write-protected one is noted in @written and opened.
 */
struct pager {
	pthread_t thread;
	int fd, stop[2];
	u8 *mem;
	u64 supplied, opened;
	bool written[PAGES];
};

static void supply(struct pager *p, u64 page)
{
	static u64 content[PAGE / 8];
	struct uffdio_copy copy = {
		.dst = (u64)p->mem + page * PAGE, .src = (u64)content, .len = PAGE,
	};

	content[2] = page * page;
	p->supplied++;
	if (ioctl(p->fd, UFFDIO_COPY, &copy)) {
		CHECK(errno == EEXIST, "copy: %s", strerror(errno));
		p->supplied--;
	}
}

static int protect(struct pager *p, u64 page, u64 pages, bool on)
{
	struct uffdio_writeprotect wp = {
		.range = { .start = (u64)p->mem + page * PAGE, .len = pages * PAGE },
		.mode = on ? UFFDIO_WRITEPROTECT_MODE_WP : 0,
	};

	return ioctl(p->fd, UFFDIO_WRITEPROTECT, &wp);
}

static void answer(struct pager *p, const struct uffd_msg *msg)
{
	u64 page = (msg->arg.pagefault.address - (u64)p->mem) / PAGE;

	CHECK(msg->event == UFFD_EVENT_PAGEFAULT && page < PAGES, "event %u", msg->event);
	if (!(msg->arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WP)) {
		supply(p, page);
		return;
	}
	p->written[page] = true;
	p->opened++;
	CHECK(!protect(p, page, 1, false), "open: %s", strerror(errno));
}

static void *run_pager(void *arg)
{
	struct pager *p = arg;
	struct pollfd fds[2] = {
		{ .fd = p->fd, .events = POLLIN }, { .fd = p->stop[0], .events = POLLIN },
	};
	struct uffd_msg msg;

	for (;;) {
		poll(fds, 2, -1);
		if (fds[1].revents)
			return NULL;
		if (read(p->fd, &msg, sizeof(msg)) == sizeof(msg))
			answer(p, &msg);
	}
}

/* False: the kernel has no such thing. */
static bool pager_start(struct pager *p, u8 *mem, u64 mode, u64 features)
{
	struct uffdio_api api = { .api = UFFD_API, .features = features };
	struct uffdio_register reg = {
		.range = { .start = (u64)mem, .len = SIZE }, .mode = mode,
	};

	memset(p, 0, sizeof(*p));
	p->mem = mem;
	p->fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (p->fd < 0 || ioctl(p->fd, UFFDIO_API, &api) || ioctl(p->fd, UFFDIO_REGISTER, &reg))
		return false;
	CHECK(!pipe(p->stop) && !pthread_create(&p->thread, NULL, run_pager, p), "pager");
	return true;
}

static void pager_stop(struct pager *p)
{
	CHECK(write(p->stop[1], "", 1) == 1, "pipe");
	pthread_join(p->thread, NULL);
	close(p->stop[0]);
	close(p->stop[1]);
	close(p->fd);
}

TEST_F(backing, missing_pages_come_from_a_thread)
{
	u64 sum = 0, rounds[2], i;
	u8 *mem = anon_pages(PAGES);
	struct pager p;

	if (!pager_start(&p, mem, UFFDIO_REGISTER_MODE_MISSING, 0))
		SKIP(return, "no userfaultfd");
	for (i = 0; i < PAGES; i++)
		sum += i * i;
	vm_set_slot(self->vm, 1, 0, TOUCH_GPA, SIZE, mem);
	/* One by one, and all of them by two vCPUs at once. */
	EXPECT_EQ(49, touch_read(self->vcpu[0], TOUCH_GPA + 7 * PAGE + 16));
	EXPECT_EQ(1, p.supplied);
	for (i = 0; i < 2; i++)
		touch_count(self->vcpu[i], TOUCH_GPA + 8 * i, PAGES);
	for (i = 0; i < 2; i++) {
		touch_wait(self->vcpu[i], 2);
		rounds[i] = touch_count_stop(self->vcpu[i]);
		EXPECT_TRUE(all_are(mem, PAGES, i, rounds[i]));
	}
	EXPECT_EQ(sum, touch_sum(self->vcpu[1], TOUCH_GPA + 16, PAGES));
	EXPECT_EQ(PAGES, p.supplied);
	/* What is thrown away is asked for again. */
	ASSERT_EQ(0, madvise(mem, SIZE, MADV_DONTNEED));
	EXPECT_EQ(0, touch_sum(self->vcpu[0], TOUCH_GPA, PAGES));
	EXPECT_EQ(sum, touch_sum(self->vcpu[1], TOUCH_GPA + 16, PAGES));
	EXPECT_EQ(2 * PAGES, p.supplied);
	pager_stop(&p);
	munmap(mem, SIZE);
}

TEST_F(backing, missing_pages_of_a_shared_file_too)
{
	int fd = memfd_create("guest", 0);
	u64 sum = 0, i;
	struct pager p;
	u8 *mem;

	ASSERT_EQ(0, ftruncate(fd, SIZE));
	mem = map_file(fd, SIZE, MAP_SHARED);
	if (!pager_start(&p, mem, UFFDIO_REGISTER_MODE_MISSING, UFFD_FEATURE_MISSING_SHMEM))
		SKIP(return, "no userfaultfd on files");
	for (i = 0; i < PAGES; i++)
		sum += i * i;
	vm_set_slot(self->vm, 1, 0, TOUCH_GPA, SIZE, mem);
	EXPECT_EQ(sum, touch_sum(self->vcpu[0], TOUCH_GPA + 16, PAGES));
	EXPECT_EQ(PAGES, p.supplied);
	ASSERT_EQ(0, fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, PAGE, PAGE));
	EXPECT_EQ(sum, touch_sum(self->vcpu[0], TOUCH_GPA + 16, PAGES));
	EXPECT_EQ(PAGES + 1, p.supplied);
	pager_stop(&p);
	munmap(mem, SIZE);
	close(fd);
}

/* As for a snapshot of a running guest: exactly what it writes to is reported, once. */
TEST_F(backing, writes_to_protected_pages_are_reported)
{
	u8 *mem = anon_pages(PAGES);
	struct pager p;
	u64 rounds, i;

	for (i = 0; i < PAGES; i++)
		*word(mem, i, 0) = i;
	if (!pager_start(&p, mem, UFFDIO_REGISTER_MODE_WP, UFFD_FEATURE_PAGEFAULT_FLAG_WP))
		SKIP(return, "no write protection by userfaultfd");
	vm_set_slot(self->vm, 1, 0, TOUCH_GPA, SIZE, mem);
	/* Writable in the guest before it is protected. */
	for (i = 0; i < PAGES; i++)
		touch_write(self->vcpu[0], TOUCH_GPA + i * PAGE, 2 * i);
	ASSERT_EQ(0, protect(&p, 0, PAGES, true));
	EXPECT_EQ(PAGES * (PAGES - 1), touch_sum(self->vcpu[0], TOUCH_GPA, PAGES));
	EXPECT_EQ(0, p.opened);
	for (i = 0; i < PAGES; i += 3)
		touch_write(self->vcpu[i & 1], TOUCH_GPA + i * PAGE, i);
	for (i = 0; i < PAGES; i++) {
		EXPECT_EQ(!(i % 3), p.written[i]);
		EXPECT_EQ(i % 3 ? 2 * i : i, *word(mem, i, 0));
	}
	EXPECT_EQ((PAGES + 2) / 3, p.opened);
	/* Again and again while it runs. */
	touch_count(self->vcpu[0], TOUCH_GPA + 8, PAGES);
	for (i = 0; i < 10; i++) {
		ASSERT_EQ(0, protect(&p, 0, PAGES, true));
		touch_wait(self->vcpu[0], 2);
	}
	rounds = touch_count_stop(self->vcpu[0]);
	EXPECT_TRUE(all_are(mem, PAGES, 1, rounds));
	EXPECT_LE(10 * PAGES, p.opened);
	pager_stop(&p);
	munmap(mem, SIZE);
}

/* --- files in memory ----------------------------------------------------- */

TEST_F(backing, one_file_in_two_slots_and_two_mappings)
{
	int fd = memfd_create("guest", 0);
	u64 rounds[2], i;
	u8 *mem, *again;

	ASSERT_EQ(0, ftruncate(fd, SIZE));
	mem = map_file(fd, SIZE, MAP_SHARED);
	again = map_file(fd, SIZE, MAP_SHARED);
	vm_set_slot(self->vm, 1, 0, TOUCH_GPA, SIZE, mem);
	vm_set_slot(self->vm, 2, 0, TOUCH_GPA + SIZE, SIZE, again);
	touch_write(self->vcpu[0], TOUCH_GPA + 5 * PAGE, 0x1111);
	EXPECT_EQ(0x1111, touch_read(self->vcpu[1], TOUCH_GPA + SIZE + 5 * PAGE));
	EXPECT_EQ(0x1111, *word(again, 5, 0));
	*word(mem, 5, 0) = 0;
	for (i = 0; i < 2; i++)
		touch_count(self->vcpu[i], TOUCH_GPA + i * (SIZE + 8), PAGES);
	/* One mapping may come and go: the pages are the file's. */
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, madvise(mem, SIZE, MADV_DONTNEED));
		touch_wait(self->vcpu[0], 1);
	}
	for (i = 0; i < 2; i++)
		rounds[i] = touch_count_stop(self->vcpu[i]);
	EXPECT_TRUE(all_are(again, PAGES, 0, rounds[0]));
	EXPECT_TRUE(all_are(mem, PAGES, 1, rounds[1]));
	munmap(mem, SIZE);
	munmap(again, SIZE);
	close(fd);
}

/* What is cut off the file is gone for the guest as well, and comes back as zeroes. */
TEST_F(backing, a_file_cut_short_under_a_running_guest)
{
	int fd = memfd_create("guest", 0), i;
	u8 *mem;

	ASSERT_EQ(0, ftruncate(fd, SIZE));
	mem = map_file(fd, SIZE, MAP_SHARED);
	vm_set_slot(self->vm, 1, 0, TOUCH_GPA, SIZE, mem);
	for (i = 0; i < 5; i++) {
		touch_count(self->vcpu[0], TOUCH_GPA, PAGES);
		touch_wait(self->vcpu[0], 2);
		ASSERT_EQ(0, ftruncate(fd, SIZE / 2));
		while (!touch_failures(self->vcpu[0]))
			sched_yield();
		ASSERT_EQ(0, ftruncate(fd, SIZE));
		touch_wait(self->vcpu[0], 2);
		touch_count_stop(self->vcpu[0]);
		/* It begins anew where it was cut, and the guest and the file agree. */
		EXPECT_GT(*word(mem, 0, 0), *word(mem, PAGES - 1, 0));
		EXPECT_LE(2, *word(mem, PAGES - 1, 0));
		EXPECT_EQ(*word(mem, PAGES - 1, 0),
			  touch_read(self->vcpu[1], TOUCH_GPA + (PAGES - 1) * PAGE));
	}
	ASSERT_EQ(0, ftruncate(fd, 0));
	EXPECT_EQ(-EFAULT, touch_try_write(self->vcpu[0], TOUCH_GPA, 1));
	EXPECT_EQ(-EFAULT, touch_try_read(self->vcpu[1], TOUCH_GPA));
	ASSERT_EQ(0, ftruncate(fd, PAGE));
	EXPECT_EQ(0, touch_again(self->vcpu[1]));
	touch_again(self->vcpu[0]);
	EXPECT_EQ(1, *word(mem, 0, 0));
	munmap(mem, SIZE);
	close(fd);
}

TEST_F(backing, a_private_mapping_keeps_writes_from_the_file)
{
	int fd = memfd_create("guest", 0);
	u8 *file, *mem;
	u64 i;

	ASSERT_EQ(0, ftruncate(fd, SIZE));
	file = map_file(fd, SIZE, MAP_SHARED);
	mem = map_file(fd, SIZE, MAP_PRIVATE);
	for (i = 0; i < PAGES; i++)
		*word(file, i, 0) = i;
	vm_set_slot(self->vm, 1, 0, TOUCH_GPA, SIZE, mem);
	EXPECT_EQ(PAGES * (PAGES - 1) / 2, touch_sum(self->vcpu[0], TOUCH_GPA, PAGES));
	/* Until a page is written to it shows the file. */
	*word(file, 7, 0) = 1007;
	EXPECT_EQ(1007, touch_read(self->vcpu[0], TOUCH_GPA + 7 * PAGE));
	touch_write(self->vcpu[0], TOUCH_GPA + 7 * PAGE, 2007);
	EXPECT_EQ(1007, *word(file, 7, 0));
	EXPECT_EQ(2007, *word(mem, 7, 0));
	*word(file, 7, 0) = 3007;
	EXPECT_EQ(2007, touch_read(self->vcpu[1], TOUCH_GPA + 7 * PAGE));
	/* Or by the process, behind the guest's back. */
	EXPECT_EQ(8, touch_read(self->vcpu[0], TOUCH_GPA + 8 * PAGE));
	*word(mem, 8, 0) = 1008;
	EXPECT_EQ(1008, touch_read(self->vcpu[0], TOUCH_GPA + 8 * PAGE));
	EXPECT_EQ(8, *word(file, 8, 0));
	/* Thrown away, it shows the file again. */
	ASSERT_EQ(0, madvise(mem, SIZE, MADV_DONTNEED));
	EXPECT_EQ(3007, touch_read(self->vcpu[0], TOUCH_GPA + 7 * PAGE));
	EXPECT_EQ(8, touch_read(self->vcpu[1], TOUCH_GPA + 8 * PAGE));
	munmap(mem, SIZE);
	munmap(file, SIZE);
	close(fd);
}

/* --- huge pages from the pool -------------------------------------------- */

#define POOL "/sys/kernel/mm/hugepages/hugepages-%lukB/nr_hugepages"

static u64 pool_read(u64 size)
{
	char path[80];
	u64 n = 0;
	FILE *f;

	snprintf(path, sizeof(path), POOL, size >> 10);
	f = fopen(path, "r");
	if (!f || fscanf(f, "%lu", &n) != 1)
		n = 0;
	if (f)
		fclose(f);
	return n;
}

/* Have @n in the pool: false if memory is in too many pieces, or there is no pool. */
static bool pool_fill(u64 size, u64 n)
{
	char path[80];
	FILE *f;

	snprintf(path, sizeof(path), POOL, size >> 10);
	f = fopen(path, "w");
	if (f) {
		fprintf(f, "%lu", n);
		fclose(f);
	}
	return pool_read(size) >= n;
}

static u8 *pool_map(u64 size, u64 n, int how, int fd)
{
	if (fd < 0)
		how |= MAP_ANONYMOUS | MAP_HUGETLB | __builtin_ctzl(size) << MAP_HUGE_SHIFT;
	return mmap(NULL, n * size, PROT_READ | PROT_WRITE, how, fd, 0);
}

/* The guest maps one as large as it is, unless that is turned off. */
static void use_huge(struct __test_metadata *_metadata, struct vm *vm, struct vcpu **vcpu,
		     u64 size, const char *mapped)
{
	u64 gpa = (TOUCH_GPA + size - 1) & -size, before = counter(vm->fd, mapped), rounds, since;
	u8 *mem = pool_map(size, 1, MAP_PRIVATE, -1);

	ASSERT_NE(MAP_FAILED, mem);
	vm_set_slot(vm, 1, 0, gpa, size, mem);
	touch_write(vcpu[0], gpa + size - 8, 0x1111);
	EXPECT_EQ(0x1111, *(u64 *)(mem + size - 8));
	if (parameter_is_on("huge_pages"))
		EXPECT_EQ(before + 1, counter(vm->fd, mapped));
	touch_count(vcpu[0], gpa, PAGES);
	touch_wait(vcpu[0], 2);
	since = touch_rounds(vcpu[0]);
	/* Thrown away while it counts there, it begins anew. */
	ASSERT_EQ(0, madvise(mem, size, MADV_DONTNEED));
	touch_wait(vcpu[0], 2);
	rounds = touch_count_stop(vcpu[0]);
	EXPECT_LE(2, *word(mem, PAGES - 1, 0));
	EXPECT_GE(rounds - since, *word(mem, PAGES - 1, 0));
	EXPECT_EQ(0, touch_read(vcpu[1], gpa + size - 8));
	vm_set_slot(vm, 1, 0, gpa, 0, mem);
	EXPECT_EQ(before, counter(vm->fd, mapped));
	munmap(mem, size);
}

TEST_F(backing, huge_pages_of_the_pool)
{
	if (!pool_fill(HUGE, 2))
		SKIP(return, "no huge pages to be had");
	use_huge(_metadata, self->vm, self->vcpu, HUGE, "pages_2m");
	pool_fill(HUGE, 0);
}

/* A PC with no more memory than that has none. */
TEST_F(backing, gigabyte_pages_of_the_pool)
{
	if (!pool_fill(1UL << 30, 1)) {
		pool_fill(1UL << 30, 0);
		SKIP(return, "no huge pages to be had");
	}
	use_huge(_metadata, self->vm, self->vcpu, 1UL << 30, "pages_1g");
	pool_fill(1UL << 30, 0);
}

/* A hole in a file of huge pages, and a copy on write of one. */
TEST_F(backing, huge_pages_of_a_file)
{
	int fd = memfd_create("guest", MFD_HUGETLB | MFD_HUGE_2MB), status;
	u8 *mem, *private;
	pid_t child;

	if (fd < 0 || !pool_fill(HUGE, 4))
		SKIP(return, "no huge pages to be had");
	ASSERT_EQ(0, ftruncate(fd, 2 * HUGE));
	mem = pool_map(HUGE, 2, MAP_SHARED, fd);
	ASSERT_NE(MAP_FAILED, mem);
	private = pool_map(HUGE, 2, MAP_PRIVATE, fd);
	ASSERT_NE(MAP_FAILED, private);
	vm_set_slot(self->vm, 1, 0, TOUCH_GPA, 2 * HUGE, mem);
	vm_set_slot(self->vm, 2, 0, TOUCH_GPA + 2 * HUGE, 2 * HUGE, private);
	touch_write(self->vcpu[0], TOUCH_GPA + HUGE, 0x1111);
	EXPECT_EQ(0x1111, touch_read(self->vcpu[0], TOUCH_GPA + 3 * HUGE));
	touch_write(self->vcpu[0], TOUCH_GPA + 3 * HUGE, 0x2222);
	EXPECT_EQ(0x1111, touch_read(self->vcpu[0], TOUCH_GPA + HUGE));
	child = fork();
	if (!child)
		_exit(*word(private + HUGE, 0, 0) == 0x2222 ? 0 : 1);
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(0, status);
	ASSERT_EQ(0, fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, HUGE, HUGE));
	EXPECT_EQ(0, touch_read(self->vcpu[0], TOUCH_GPA + HUGE));
	/* Kernels differ on whether the copy goes as well. The guest has what the process has. */
	EXPECT_EQ(touch_read(self->vcpu[0], TOUCH_GPA + 3 * HUGE), *word(private + HUGE, 0, 0));
	munmap(private, 2 * HUGE);
	EXPECT_EQ(-EFAULT, touch_try_read(self->vcpu[1], TOUCH_GPA + 2 * HUGE));
	munmap(mem, 2 * HUGE);
	close(fd);
	pool_fill(HUGE, 0);
}

KEEL_TEST_MAIN
