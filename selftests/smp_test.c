// SPDX-License-Identifier: GPL-2.0
/*
 * Four vCPUs at once, more than the machine may have processors: locked
 * instructions, memory order, page tables and slots changed under them.
 */
#include <pthread.h>
#include <sched.h>
#include "kselftest_harness.h"
#include "keel_test.h"
#include "guest.h"

#define CPUS 4
#define ROUNDS 2000
#define A 0x10000000UL
#define NO_MEMORY ~0UL

FIXTURE(smp) {
	struct vm *vm;
	struct vcpu *vcpu[CPUS];
	pthread_t thread[CPUS];
};

static void no_guest(void)
{
}

FIXTURE_SETUP(smp)
{
	int i;

	self->vm = vm_create();
	for (i = 0; i < CPUS; i++)
		self->vcpu[i] = vcpu_create(self->vm, i, no_guest);
}

FIXTURE_TEARDOWN(smp)
{
	int i;

	for (i = 0; i < CPUS; i++)
		vcpu_free(self->vcpu[i]);
	vm_free(self->vm);
}

/* Run to GUEST_DONE; reads of what is in no slot give NO_MEMORY. */
static void *run_to_done(void *arg)
{
	struct vcpu *vcpu = arg;
	int reason;

	while ((reason = vcpu_next(vcpu)) == KVM_EXIT_MMIO) {
		CHECK(!vcpu->run->mmio.is_write, "%#llx", vcpu->run->mmio.phys_addr);
		memset(vcpu->run->mmio.data, 0xff, 8);
	}
	CHECK(reason == GUEST_DONE, "exit %d", reason);
	return NULL;
}

static void start_all(struct vcpu **vcpu, pthread_t *thread, void (*fn)(void), int n)
{
	int i;

	for (i = 0; i < n; i++) {
		vcpu_set_long(vcpu[i], fn);
		CHECK(!pthread_create(&thread[i], NULL, run_to_done, vcpu[i]), "thread");
	}
}

static void join_all(pthread_t *thread, int n)
{
	int i;

	for (i = 0; i < n; i++)
		pthread_join(thread[i], NULL);
}

/* The vCPU's number is what its stack says. */
static int my_id(void)
{
	u64 sp;

	asm volatile("mov %%rsp, %0" : "=r"(sp));
	return (sp - STACKS_GPA) / STACK_SIZE;
}

static u64 counter, locked_counter;
static u32 lock, arrived;
static u64 mine[CPUS];

static void guest_barrier(u32 n)
{
	__atomic_add_fetch(&arrived, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&arrived, __ATOMIC_SEQ_CST) < n)
		asm volatile("pause");
}

static void guest_atomics(void)
{
	int i, me = my_id();

	guest_barrier(CPUS);
	for (i = 0; i < ROUNDS; i++) {
		__atomic_add_fetch(&counter, 3, __ATOMIC_RELAXED);
		while (__atomic_exchange_n(&lock, 1, __ATOMIC_ACQUIRE))
			asm volatile("pause");
		*(volatile u64 *)&locked_counter = *(volatile u64 *)&locked_counter + 1;
		__atomic_store_n(&lock, 0, __ATOMIC_RELEASE);
		mine[me]++;
	}
	guest_barrier(2 * CPUS);
	guest_done();
}

TEST_F(smp, locked_instructions)
{
	int i;

	start_all(self->vcpu, self->thread, guest_atomics, CPUS);
	join_all(self->thread, CPUS);
	EXPECT_EQ(3UL * CPUS * ROUNDS, GUEST_VAR(self->vm, counter));
	EXPECT_EQ(CPUS * ROUNDS, GUEST_VAR(self->vm, locked_counter));
	for (i = 0; i < CPUS; i++)
		EXPECT_EQ(ROUNDS, GUEST_VAR(self->vm, mine)[i]);
}

static u32 flag[2];
static u64 both_zero;

/* A store followed by a locked instruction is seen before the next load. */
static void guest_dekker(void)
{
	int me = my_id(), i;

	for (i = 0; i < ROUNDS; i++) {
		__atomic_store_n(&flag[me], i + 1, __ATOMIC_SEQ_CST);
		if (__atomic_load_n(&flag[!me], __ATOMIC_SEQ_CST) < i + 1)
			__atomic_add_fetch(&mine[me], 1, __ATOMIC_RELAXED);
		else
			__atomic_add_fetch(&both_zero, 1, __ATOMIC_RELAXED);
	}
	guest_done();
}

TEST_F(smp, stores_are_seen_before_later_loads)
{
	u64 *count;

	start_all(self->vcpu, self->thread, guest_dekker, 2);
	join_all(self->thread, 2);
	/* In every round at most one of the two finds the other behind. */
	count = GUEST_VAR(self->vm, mine);
	EXPECT_GE(ROUNDS, count[0] < count[1] ? count[0] : count[1]);
	EXPECT_EQ(2 * ROUNDS, count[0] + count[1] + GUEST_VAR(self->vm, both_zero));
}

/*
 * The slot at A is replaced again and again; each memory shows its own number,
 * which only grows. Published: replacements finished. Begun: replacements
 * started. A guest that has seen number n published may see n or later, and
 * nothing at all only while a replacement is under way.
 */
static u64 published, begun, stop, old_seen, hole_seen, reads[CPUS];

static void guest_watch(void)
{
	int me = my_id();

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		u64 low = __atomic_load_n(&published, __ATOMIC_SEQ_CST);
		u64 seen = guest_read64(A);
		u64 high = __atomic_load_n(&begun, __ATOMIC_SEQ_CST);

		if (seen == NO_MEMORY ? high == low : seen < low || seen > high)
			__atomic_add_fetch(seen == NO_MEMORY ? &hole_seen : &old_seen,
					   1, __ATOMIC_RELAXED);
		__atomic_add_fetch(&reads[me], 1, __ATOMIC_RELAXED);
	}
	guest_done();
}

static void wait_for_reads(struct vm *vm, int cpus)
{
	u64 *n = GUEST_VAR(vm, reads), before[CPUS];
	int i;

	memcpy(before, n, sizeof(before));
	for (i = 0; i < cpus; i++)
		while (__atomic_load_n(&n[i], __ATOMIC_RELAXED) == before[i])
			sched_yield();
}

static u8 *watched_memory(struct vm *vm, size_t size)
{
	u8 *mem = anon_alloc(8 * size);

	madvise(mem, 8 * size, size == HUGE ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	*(u64 *)mem = 0;
	vm_set_slot(vm, 1, 0, A, size, mem);
	return mem;
}

static void replace_slot(struct vm *vm, u8 *mem, size_t size)
{
	int n;

	for (n = 1; n < 40; n++) {
		u8 *next = mem + n % 8 * size;

		*(u64 *)next = n;
		__atomic_store_n(&GUEST_VAR(vm, begun), n, __ATOMIC_SEQ_CST);
		vm_set_slot(vm, 1, 0, 0, 0, NULL);
		vm_set_slot(vm, 1, 0, A, size, next);
		__atomic_store_n(&GUEST_VAR(vm, published), n, __ATOMIC_SEQ_CST);
		if (n % 8 == 0)
			wait_for_reads(vm, CPUS);
	}
	__atomic_store_n(&GUEST_VAR(vm, stop), 1, __ATOMIC_SEQ_CST);
}

TEST_F(smp, slot_replaced_under_four_vcpus)
{
	u8 *mem = watched_memory(self->vm, PAGE);

	start_all(self->vcpu, self->thread, guest_watch, CPUS);
	replace_slot(self->vm, mem, PAGE);
	join_all(self->thread, CPUS);
	EXPECT_EQ(0, GUEST_VAR(self->vm, old_seen));
	EXPECT_EQ(0, GUEST_VAR(self->vm, hole_seen));
}

TEST_F(smp, huge_slot_replaced_under_four_vcpus)
{
	u8 *mem = watched_memory(self->vm, HUGE);

	start_all(self->vcpu, self->thread, guest_watch, CPUS);
	replace_slot(self->vm, mem, HUGE);
	join_all(self->thread, CPUS);
	EXPECT_EQ(0, GUEST_VAR(self->vm, old_seen));
	EXPECT_EQ(0, GUEST_VAR(self->vm, hole_seen));
}

/* All vCPUs take their first faults on the same fresh memory at once. */
#define FRESH (DATA_GPA + 0x100000)
#define FRESH_PAGES 256

static void guest_first_touch(void)
{
	int i;

	guest_barrier(CPUS);
	for (i = 0; i < FRESH_PAGES; i++)
		__atomic_add_fetch((u64 *)(FRESH + i * PAGE), 1, __ATOMIC_RELAXED);
	guest_done();
}

TEST_F(smp, same_pages_faulted_in_by_all)
{
	int i;

	start_all(self->vcpu, self->thread, guest_first_touch, CPUS);
	join_all(self->thread, CPUS);
	for (i = 0; i < FRESH_PAGES; i++)
		EXPECT_EQ(CPUS, *(u64 *)vm_hva(self->vm, FRESH + i * PAGE));
}

KEEL_TEST_MAIN
