// SPDX-License-Identifier: GPL-2.0
/*
 * The writer of keel-demo: adds, deletes and moves memory slots under the running
 * guest, publishes which answers are legal, and checks that nothing writes to
 * memory whose slot was deleted.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "host.h"

#define POISON	0xdeaddeaddeaddeadull

static __u64 next_random(struct churn *churn)
{
	churn->random = churn->random * 6364136223846793005ull + 1442695040888963407ull;
	return churn->random >> 33;
}

static __u64 now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

static __u64 window_gpa(__u32 window)
{
	return WINDOWS_GPA + window * WINDOW_SIZE;
}

static __u64 *write_cell(const struct churn *churn, __u32 slot, __u32 page, __u32 cpu)
{
	return (__u64 *)((char *)churn->memory[slot] + page * DEMO_PAGE_SIZE +
			 WRITE_OFFSET(cpu));
}

static void poison(struct churn *churn, __u32 slot)
{
	__u32 page, cpu;

	for (page = 0; page < WINDOW_PAGES; page++)
		for (cpu = 0; cpu < MAX_CPUS; cpu++)
			__atomic_store_n(write_cell(churn, slot, page, cpu), POISON,
					 __ATOMIC_SEQ_CST);
}

/* Count the writes to the memory of a slot since it was deleted: there must be none. */
static void check_poison(struct churn *churn, __u32 slot)
{
	__u32 page, cpu;
	__u64 wrong = 0;

	for (page = 0; page < WINDOW_PAGES; page++)
		for (cpu = 0; cpu < MAX_CPUS; cpu++)
			wrong += __atomic_load_n(write_cell(churn, slot, page, cpu),
						 __ATOMIC_SEQ_CST) != POISON;
	__atomic_fetch_add(&churn->wrong, wrong, __ATOMIC_RELAXED);
}

/* Call before the request: the old backing and the new one are both legal. */
static void announce(struct demo *demo, __u32 window, __u32 new)
{
	struct churn *churn = &demo->churn;

	__atomic_store_n(&demo->shared->state[window],
			 state_word(++churn->sequence[window], churn->backing[window],
				    new),
			 __ATOMIC_SEQ_CST);
}

/* Call after the request has returned: only the new backing is legal. */
static void settle(struct demo *demo, __u32 window, __u32 new)
{
	struct churn *churn = &demo->churn;

	churn->backing[window] = new;
	__atomic_store_n(&demo->shared->state[window],
			 state_word(++churn->sequence[window], new, new), __ATOMIC_SEQ_CST);
}

static void count(struct churn *churn, enum update update, __u64 start, int ret)
{
	__u64 ns = now_ns() - start;

	if (ret) {
		__atomic_store_n(&churn->error, ret, __ATOMIC_SEQ_CST);
		return;
	}
	__atomic_fetch_add(&churn->updates[update], 1, __ATOMIC_RELAXED);
	churn->total_ns += ns;
	if (ns > churn->longest_ns)
		churn->longest_ns = ns;
}

static void add(struct demo *demo, __u32 slot, __u32 window)
{
	struct churn *churn = &demo->churn;
	__u64 start;
	int ret;

	check_poison(churn, slot);
	announce(demo, window, BACKING_SLOT(slot));
	start = now_ns();
	ret = keel_mem_add(demo->vm, slot, window_gpa(window), churn->memory[slot],
			   WINDOW_SIZE, 0);
	count(churn, UPDATE_ADD, start, ret);
	if (ret)
		return;
	settle(demo, window, BACKING_SLOT(slot));
	churn->is_mapped[slot] = true;
}

static void delete(struct demo *demo, __u32 window)
{
	struct churn *churn = &demo->churn;
	__u32 slot = churn->backing[window] - 1;
	__u64 start;
	int ret;

	announce(demo, window, BACKING_MMIO);
	start = now_ns();
	ret = keel_mem_delete(demo->vm, slot);
	count(churn, UPDATE_DELETE, start, ret);
	if (ret)
		return;
	poison(churn, slot);
	settle(demo, window, BACKING_MMIO);
	churn->is_mapped[slot] = false;
}

static void move(struct demo *demo, __u32 from, __u32 to)
{
	struct churn *churn = &demo->churn;
	__u32 backing = churn->backing[from];
	__u64 start;
	int ret;

	announce(demo, from, BACKING_MMIO);
	announce(demo, to, backing);
	start = now_ns();
	ret = keel_mem_move(demo->vm, backing - 1, window_gpa(to));
	count(churn, UPDATE_MOVE, start, ret);
	if (ret)
		return;
	settle(demo, from, BACKING_MMIO);
	settle(demo, to, backing);
}

static void update(struct demo *demo)
{
	struct churn *churn = &demo->churn;
	__u32 a = next_random(churn) % WINDOWS, b = next_random(churn) % WINDOWS;
	__u32 slot = next_random(churn) % SLOTS;

	if (churn->backing[a] != BACKING_MMIO) {
		if (churn->backing[b] == BACKING_MMIO)
			move(demo, a, b);
		else
			delete(demo, a);
	} else if (!churn->is_mapped[slot]) {
		add(demo, slot, a);
	}
}

static void *run_churn(void *arg)
{
	struct demo *demo = arg;
	struct churn *churn = &demo->churn;
	const struct timespec pause = { .tv_nsec = churn->pause_us * 1000l };

	while (!__atomic_load_n(&churn->stop, __ATOMIC_SEQ_CST) && !churn->error) {
		update(demo);
		if (churn->pause_us)
			nanosleep(&pause, NULL);
	}
	return NULL;
}

static void fill(struct churn *churn, __u32 slot)
{
	__u32 page;

	for (page = 0; page < WINDOW_PAGES; page++)
		*(__u64 *)((char *)churn->memory[slot] + page * DEMO_PAGE_SIZE +
			   IDENTITY_OFFSET) = identity(BACKING_SLOT(slot), 0, page);
	poison(churn, slot);
}

/* All windows start as MMIO. */
int churn_init(struct demo *demo)
{
	struct churn *churn = &demo->churn;
	__u32 i;

	churn->random = 1;
	for (i = 0; i < SLOTS; i++) {
		churn->memory[i] = mmap(NULL, WINDOW_SIZE, PROT_READ | PROT_WRITE,
					MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (churn->memory[i] == MAP_FAILED) {
			churn->memory[i] = NULL;
			return -errno;
		}
		fill(churn, i);
	}
	return 0;
}

int churn_start(struct demo *demo)
{
	int ret = -pthread_create(&demo->churn.thread, NULL, run_churn, demo);

	demo->churn.started = !ret;
	return ret;
}

void churn_stop(struct demo *demo)
{
	struct churn *churn = &demo->churn;

	if (!churn->started)
		return;
	__atomic_store_n(&churn->stop, true, __ATOMIC_SEQ_CST);
	pthread_join(churn->thread, NULL);
	churn->started = false;
}

/* Call after the VM is destroyed: its slots use this memory. */
void churn_destroy(struct demo *demo)
{
	__u32 i;

	for (i = 0; i < SLOTS; i++)
		if (demo->churn.memory[i])
			munmap(demo->churn.memory[i], WINDOW_SIZE);
}

__u64 churn_updates(const struct churn *churn)
{
	__u64 sum = 0;
	int i;

	for (i = 0; i < UPDATE_KINDS; i++)
		sum += __atomic_load_n(&churn->updates[i], __ATOMIC_RELAXED);
	return sum;
}
