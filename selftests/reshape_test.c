// SPDX-License-Identifier: GPL-2.0
/*
 * Stress: four vCPUs run from and write into guest memory whose slots are
 * split, merged, resized and flipped between writable and read-only under
 * them, all the time at the same host addresses. They must not notice: no exit
 * but for a write to what may just be read-only, no write lost.
 *
 * RESHAPE_UPDATES in the environment says how many updates are made. A device
 * that cannot change slots in one stroke gets the same updates as deletions
 * and additions, and fails; how it fares is printed.
 */
#include <linux/keel.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <time.h>
#include "kselftest_harness.h"
#include "keel_test.h"
#include "guest.h"
#include "control.h"

#define CPUS 4
#define BASE MMIO_GPA
#define PAGES 2048			/* that the slots together have at most */
#define LEAST_PAGES 1536		/* and at least */
#define DATA_PAGES 32			/* that the guests write to */
#define DATA_STRIDE 31
#define CODE_PAGES 4			/* that they run from */
#define CODE_FIRST 1100
#define CODE_STRIDE 101
#define MAX_SLOTS 12
#define FIRST_ID 2

#define DATA_AT(i) (BASE + (i) * DATA_STRIDE * PAGE)
#define CODE_AT(i) (BASE + (CODE_FIRST + (i) * CODE_STRIDE) * PAGE)

/*
 * For each data page from @rdi on: compare the vCPU's word with @rsi, then make
 * it one more. Returns the number of words that were wrong.
 */
asm(".pushsection .rodata\n"
	"visit_code:\n"
	"	xor %eax, %eax\n"
	"	mov %rdx, %rcx\n"
	"1:	cmp %rsi, (%rdi)\n"
	"	je 2f\n"
	"	inc %eax\n"
	"2:	lea 1(%rsi), %r8\n"
	"	mov %r8, (%rdi)\n"
	"	add %r9, %rdi\n"
	"	dec %rcx\n"
	"	jnz 1b\n"
	"	ret\n"
	"visit_code_end:\n"
	".popsection\n");
extern const char visit_code[], visit_code_end[];

/* struct cpu - a vCPU's part, in memory that never changes */
struct cpu {
	u64 rounds, lost, faults;
};

static struct cpu cpus[CPUS];
static u64 stop;

static struct cpu *this_cpu(void)
{
	u64 sp;

	asm volatile("mov %%rsp, %0" : "=r"(sp));
	return &cpus[(sp - STACKS_GPA) / STACK_SIZE];
}

/* What upstream makes of code that is gone for a moment: try again. */
static void on_undefined(struct guest_trap *trap)
{
	this_cpu()->faults++;
}

static u64 load(const u64 *p)
{
	return __atomic_load_n(p, __ATOMIC_SEQ_CST);
}

static u64 visit(u64 code, u64 word, u64 expected)
{
	register u64 stride asm("r9") = DATA_STRIDE * PAGE;
	u64 pages = DATA_PAGES, wrong;

	asm volatile("call *%5"
		     : "=a"(wrong), "+D"(word), "+S"(expected), "+d"(pages), "+r"(stride)
		     : "r"(code) : "rcx", "r8", "memory", "cc");
	return wrong;
}

static void guest_main(void)
{
	struct cpu *cpu = this_cpu();
	u64 me = cpu - cpus, n;

	guest_handler[6] = on_undefined;
	for (n = 0; !load(&stop); n++) {
		cpu->lost += visit(CODE_AT(n % CODE_PAGES), DATA_AT(0) + 8 * me, n);
		cpu->rounds = n + 1;
	}
	guest_done();
}

/* --- shapes ------------------------------------------------------------------- */

/* struct shape - the slots at one time: id FIRST_ID + i has [edge[i], edge[i + 1]) */
struct shape {
	unsigned int slots;
	u32 edge[MAX_SLOTS + 1];
	bool read_only[MAX_SLOTS];
};

static u64 next_random(u64 *random)
{
	*random = *random * 6364136223846793005UL + 1442695040888963407UL;
	return *random >> 33;
}

static int compare_edges(const void *a, const void *b)
{
	return *(const u32 *)a - *(const u32 *)b;
}

static bool holds_code(u32 first, u32 end)
{
	return end > CODE_FIRST && first <= CODE_FIRST + (CODE_PAGES - 1) * CODE_STRIDE;
}

static void random_shape(struct shape *s, u64 *random)
{
	unsigned int i, n = 0;

	s->slots = 1 + next_random(random) % MAX_SLOTS;
	s->edge[n++] = 0;
	for (i = 1; i < s->slots; i++)
		s->edge[n++] = 1 + next_random(random) % (LEAST_PAGES - 1);
	s->edge[n++] = LEAST_PAGES + next_random(random) % (PAGES - LEAST_PAGES + 1);
	qsort(s->edge, n, sizeof(s->edge[0]), compare_edges);
	for (i = 0, n = 0; i < s->slots; i++) {
		if (s->edge[i] == s->edge[i + 1])
			continue;
		s->edge[n] = s->edge[i];
		s->read_only[n] = !holds_code(s->edge[i], s->edge[i + 1]) &&
				  !(next_random(random) & 3);
		n++;
	}
	s->edge[n] = s->edge[s->slots];
	s->slots = n;
}

static struct kvm_userspace_memory_region region_of(const struct shape *s, unsigned int i, u8 *mem)
{
	return (struct kvm_userspace_memory_region){
		.slot = FIRST_ID + i,
		.flags = s->read_only[i] ? KVM_MEM_READONLY : 0,
		.guest_phys_addr = BASE + s->edge[i] * PAGE,
		.memory_size = (s->edge[i + 1] - s->edge[i]) * PAGE,
		.userspace_addr = (unsigned long)mem + s->edge[i] * PAGE,
	};
}

/* --- the run ------------------------------------------------------------------- */

typedef FIXTURE_DATA(reshape) fixture_t;

struct runner {
	struct vcpu *vcpu;
	pthread_t thread;
	fixture_t *test;
	u64 writes, unexpected;
};

FIXTURE(reshape) {
	struct vm *vm;
	u8 *mem;
	struct runner runner[CPUS];
	struct shape now;
	u64 updates;
	u64 may_be_read_only[PAGES / 64];	/* bitmap: of the shape before or the next */
	bool as_one;
};

static void note_read_only(fixture_t *self, const struct shape *s, bool add)
{
	u64 set[PAGES / 64] = {};
	unsigned int i;
	u32 page;

	for (i = 0; i < s->slots; i++)
		for (page = s->edge[i]; s->read_only[i] && page < s->edge[i + 1]; page++)
			set[page / 64] |= 1UL << (page % 64);
	for (i = 0; i < PAGES / 64; i++) {
		u64 *word = &self->may_be_read_only[i];

		__atomic_store_n(word, add ? *word | set[i] : set[i], __ATOMIC_SEQ_CST);
	}
}

static void change_as_one(fixture_t *self, const struct shape *next)
{
	struct {
		struct keel_memory_regions head;
		struct kvm_userspace_memory_region room[2 * MAX_SLOTS];
	} arg = {};
	unsigned int i;

	for (i = 0; i < next->slots; i++)
		arg.head.regions[arg.head.nr++] = region_of(next, i, self->mem);
	for (; i < self->now.slots; i++)
		arg.head.regions[arg.head.nr++].slot = FIRST_ID + i;
	vm_ioctl(self->vm, KEEL_SET_MEMORY_REGIONS, &arg);
}

static void change_one_by_one(fixture_t *self, const struct shape *next)
{
	struct kvm_userspace_memory_region region;
	unsigned int i;

	for (i = 0; i < self->now.slots; i++)
		vm_set_slot(self->vm, FIRST_ID + i, 0, 0, 0, NULL);
	for (i = 0; i < next->slots; i++) {
		region = region_of(next, i, self->mem);
		vm_ioctl(self->vm, KVM_SET_USER_MEMORY_REGION, &region);
	}
}

/*
 * A vCPU may be handling an exit of the shape before when the update returns;
 * what it says of it is right as long as the one after that has not begun.
 */
static void reshape(fixture_t *self, u64 *random)
{
	struct shape next;

	random_shape(&next, random);
	note_read_only(self, &next, true);
	if (self->as_one)
		change_as_one(self, &next);
	else
		change_one_by_one(self, &next);
	self->now = next;
	self->updates++;
}

static bool expected(fixture_t *self, const struct kvm_run *run)
{
	u64 page = (run->mmio.phys_addr - BASE) / PAGE;

	if (run->exit_reason != KVM_EXIT_MMIO || !run->mmio.is_write || page >= PAGES)
		return false;
	return load(&self->may_be_read_only[page / 64]) >> (page % 64) & 1;
}

/* What a VMM does with a write to ROM that is RAM to others; and the rest, to go on. */
static void serve(struct runner *r)
{
	struct kvm_run *run = r->vcpu->run;
	u64 at = run->mmio.phys_addr - BASE;

	if (expected(r->test, run)) {
		r->writes++;
	} else {
		r->unexpected++;
		/* Of anything else, a triple fault for one, no guest recovers. */
		CHECK(run->exit_reason == KVM_EXIT_MMIO ||
		      run->exit_reason == KVM_EXIT_INTERNAL_ERROR,
		      "exit %d after %lu updates and %lu unexpected exits", run->exit_reason,
		      r->test->updates, r->unexpected);
	}
	if (run->exit_reason != KVM_EXIT_MMIO)
		return;
	CHECK(at < PAGES * PAGE, "exit at %#llx", run->mmio.phys_addr);
	if (run->mmio.is_write)
		memcpy(r->test->mem + at, run->mmio.data, run->mmio.len);
	else
		memcpy(run->mmio.data, r->test->mem + at, run->mmio.len);
}

static void *run_vcpu(void *arg)
{
	struct runner *r = arg;

	while (vcpu_next(r->vcpu) != GUEST_DONE)
		serve(r);
	return NULL;
}

FIXTURE_SETUP(reshape)
{
	size_t size = visit_code_end - visit_code;
	int i;

	self->vm = vm_create();
	self->as_one = vm_has(self->vm, KEEL_CAP_MEMORY_REGIONS);
	self->mem = anon_alloc(PAGES * PAGE);
	/* So that there are huge pages to be split. */
	madvise(self->mem, PAGES * PAGE, MADV_HUGEPAGE);
	for (i = 0; i < CODE_PAGES; i++)
		memcpy(self->mem + CODE_AT(i) - BASE, visit_code, size);
	self->now = (struct shape){ .slots = 1, .edge = { 0, PAGES } };
	vm_set_slot(self->vm, FIRST_ID, 0, BASE, PAGES * PAGE, self->mem);
	for (i = 0; i < CPUS; i++) {
		struct runner *r = &self->runner[i];

		r->test = self;
		r->vcpu = vcpu_create(self->vm, i, guest_main);
		CHECK(!pthread_create(&r->thread, NULL, run_vcpu, r), "no thread");
	}
}

FIXTURE_TEARDOWN(reshape)
{
	int i;

	for (i = 0; i < CPUS; i++)
		vcpu_free(self->runner[i].vcpu);
	vm_free(self->vm);
	munmap(self->mem, PAGES * PAGE);
}

/* Every vCPU has gone round since: no exit of an older shape is on its way. */
static void let_all_go_round(fixture_t *self)
{
	u64 seen[CPUS];
	int i;

	for (i = 0; i < CPUS; i++)
		seen[i] = load(&GUEST_VAR(self->vm, cpus)[i].rounds);
	for (i = 0; i < CPUS; i++)
		while (load(&GUEST_VAR(self->vm, cpus)[i].rounds) < seen[i] + 2)
			sched_yield();
	note_read_only(self, &self->now, false);
}

static u64 updates_wanted(void)
{
	const char *text = getenv("RESHAPE_UPDATES");

	return text ? strtoul(text, NULL, 0) : 20000;
}

TEST_F_TIMEOUT(reshape, guests_do_not_notice, 600)
{
	u64 random = 11, todo = updates_wanted(), i, writes = 0, rounds = 0;

	for (i = 0; i < todo; i++) {
		reshape(self, &random);
		if (i % 64 == 63)
			let_all_go_round(self);
	}
	__atomic_store_n(&GUEST_VAR(self->vm, stop), 1, __ATOMIC_SEQ_CST);
	for (i = 0; i < CPUS; i++) {
		struct cpu *cpu = &GUEST_VAR(self->vm, cpus)[i];
		struct runner *r = &self->runner[i];

		pthread_join(r->thread, NULL);
		printf("# vCPU %lu: %lu rounds, %lu unexpected exits, %lu faults, %lu words lost\n",
		       i, cpu->rounds, r->unexpected, cpu->faults, cpu->lost);
		EXPECT_EQ(0, r->unexpected);
		EXPECT_EQ(0, cpu->faults);
		EXPECT_EQ(0, cpu->lost);
		EXPECT_LT(0, cpu->rounds);
		writes += r->writes;
		rounds += cpu->rounds;
	}
	printf("# %lu updates, %lu rounds, %lu writes to read-only memory\n", todo, rounds, writes);
	EXPECT_LT(0, writes);
}

KEEL_TEST_MAIN
