// SPDX-License-Identifier: GPL-2.0
/*
 * Stress: four vCPUs read, write and modify pages that two writers add, delete,
 * move and flip between read-only and not. Every value tells which slot, or the
 * device, it came from, and for every access the oracle knows which answers
 * were right at that moment; so a stale one is recognised, not guessed.
 *
 * HAMMER_UPDATES in the environment says how many updates are made, HAMMER_VCPUS
 * how many vCPUs there are, HAMMER_BURST how many updates there are, on average,
 * between two pauses of a writer.
 */
#include <pthread.h>
#include <sched.h>
#include <time.h>
#include "kselftest_harness.h"
#include "keel_test.h"
#include "guest.h"
#include "control.h"

#define CPUS 4
#define WRITERS 2
#define WINDOWS 8			/* each belongs to one writer */
#define WINDOW_PAGES 2
#define WINDOW_SIZE (WINDOW_PAGES * PAGE)
#define SLOTS 3				/* of each writer */
#define BASE MMIO_GPA
#define QUIET 0x30000000UL		/* a slot that no update names */
#define ALIAS 0x8000000000UL		/* a page of each vCPU, remapped by itself */
#define BURST 8				/* accesses to a page before going elsewhere */

/* Where things are in a page. */
#define TAG_AT 0
#define WRITE_AT(cpu) (64 + 8 * (cpu))
#define MODIFY_AT(cpu) (128 + 8 * (cpu))

#define DEVICE_MARK 0xde00000000000000UL	/* and the address */
#define MEMORY_MARK 0x3e00000000000000UL	/* and serial number and page */
#define WRITE_MARK 0x1700000000000000UL		/* and vCPU and number */
#define MARK_MASK 0xff00000000000000UL
#define POISON 0xdeaddeaddeaddeadUL
#define CALM 0xca1aUL

/*
 * What a window shows: the serial number of what was added, and whether it is
 * read-only; 0 is the device. A new number for each time memory is added.
 */
#define SHOWS_DEVICE 0UL
#define SHOWS(serial, ro) ((u64)(serial) << 1 | (ro))
#define SHOWS_RO 1UL

static inline u64 tag_of(u64 shows, u64 page)
{
	return MEMORY_MARK | shows >> 1 << 8 | page;
}

/*
 * struct past - what a window showed, by number of update
 * @begun: noted before the ioctl; @done: after it has returned
 */
#define RING 64
struct past {
	u64 begun, done;
	u64 shows[RING];
};

enum { READ, READ32, WRITE, MODIFY, OPS };

/* struct access - one, with what is needed to judge it */
struct access {
	u64 op, window, page, gpa;
	u64 value;		/* read, or written */
	u64 low, high;		/* updates it may have seen */
	u64 reads, writes;	/* exits that it caused */
};

/*
 * struct cpu - a vCPU's own part
 * @reads, @writes, @written, @at: of exits; by the thread that serves them
 */
struct cpu {
	u64 reads, writes, written, at;
	u64 pte;		/* of its alias */
	u64 accesses, unjudged, wrong, disturbed;
	struct access first;	/* that was wrong */
};

static struct past past[WINDOWS];
static struct cpu cpus[CPUS];
static u64 stop;

/* --- the guest --------------------------------------------------------------- */

static u64 load(const u64 *p)
{
	return __atomic_load_n(p, __ATOMIC_SEQ_CST);
}

static bool read_explained(const struct access *a, u64 shows)
{
	u64 mask = a->op == READ32 ? 0xffffffff : ~0UL;

	if (a->writes)
		return false;
	if (shows == SHOWS_DEVICE)
		return a->reads == 1 && a->value == ((DEVICE_MARK | a->gpa) & mask);
	return !a->reads && a->value == (tag_of(shows, a->page) & mask);
}

static bool write_explained(const struct access *a, const struct cpu *cpu, u64 shows)
{
	if (a->reads)
		return false;
	if (shows != SHOWS_DEVICE && !(shows & SHOWS_RO))
		return !a->writes;
	return a->writes == 1 && cpu->written == a->value && cpu->at == a->gpa;
}

/* Two accesses: an update may come between them while userspace answers the first. */
static bool modify_explained(const struct access *a, const struct cpu *cpu, u64 first, u64 second)
{
	bool device = first == SHOWS_DEVICE;

	if (a->reads != device)
		return false;
	if (second != SHOWS_DEVICE && !(second & SHOWS_RO))
		return !a->writes;
	if (a->writes != 1 || cpu->at != a->gpa)
		return false;
	if (device)
		return cpu->written == (DEVICE_MARK | a->gpa);
	/* What the device answered may have gone to memory. */
	return cpu->written == tag_of(first, a->page) ||
	       (cpu->written & MARK_MASK) == DEVICE_MARK;
}

static bool explained(const struct access *a, const struct cpu *cpu)
{
	const struct past *p = &past[a->window];
	u64 n, m;

	for (n = a->low; n <= a->high; n++) {
		u64 shows = load(&p->shows[n % RING]);

		if ((a->op == READ || a->op == READ32) && read_explained(a, shows))
			return true;
		if (a->op == WRITE && write_explained(a, cpu, shows))
			return true;
		for (m = n; a->op == MODIFY && m <= a->high; m++)
			if (modify_explained(a, cpu, shows, load(&p->shows[m % RING])))
				return true;
	}
	return false;
}

static void judge(struct cpu *cpu, struct access *a)
{
	cpu->accesses++;
	if (a->high - a->low >= RING - 2) {
		cpu->unjudged++;
		return;
	}
	if (explained(a, cpu))
		return;
	/* Unless the notes were overwritten meanwhile. */
	if (load(&past[a->window].begun) - a->low >= RING - 2) {
		cpu->unjudged++;
		return;
	}
	if (!cpu->wrong++)
		cpu->first = *a;
}

static u64 access_memory(u64 op, u64 addr, u64 value)
{
	switch (op) {
	case READ:
		return guest_read64(addr);
	case READ32:
		return guest_read32(addr);
	case WRITE:
		guest_write64(addr, value);
		return value;
	default:
		asm volatile("orq %1, %0" : "+m"(*(volatile u64 *)addr) : "r"(0UL) : "memory");
		return 0;
	}
}

/* What was written to memory that stays is there. */
static void read_back(struct cpu *cpu, struct access *a, u64 addr)
{
	struct past *p = &past[a->window];
	u64 shows = load(&p->shows[a->low % RING]);
	u64 value;

	if (a->low != a->high || shows == SHOWS_DEVICE || shows & SHOWS_RO)
		return;
	value = guest_read64(addr);
	if (load(&p->begun) == a->low && value != a->value && !cpu->wrong++) {
		cpu->first = *a;
		cpu->first.value = value;
	}
}

static void one_access(u64 me, struct access *a, u64 page)
{
	static const u64 offset[OPS] = {
		[READ] = TAG_AT, [READ32] = TAG_AT, [WRITE] = WRITE_AT(0), [MODIFY] = MODIFY_AT(0),
	};
	struct cpu *cpu = &cpus[me];
	u64 at = offset[a->op] + (a->op >= WRITE ? 8 * me : 0);
	u64 reads = cpu->reads, writes = cpu->writes;

	a->gpa = BASE + a->window * WINDOW_SIZE + a->page * PAGE + at;
	a->low = load(&past[a->window].done);
	a->value = access_memory(a->op, page + at, WRITE_MARK | me << 48 | cpu->accesses);
	a->high = load(&past[a->window].begun);
	a->reads = load(&cpu->reads) - reads;
	a->writes = load(&cpu->writes) - writes;
	judge(cpu, a);
	if (a->op == WRITE)
		read_back(cpu, a, page + at);
}

static void visit_quiet(struct cpu *cpu, u64 me)
{
	u64 exits = cpu->reads + cpu->writes;

	guest_write64(QUIET + 64 + 8 * me, exits);
	if (guest_read64(QUIET) != CALM || guest_read64(QUIET + 64 + 8 * me) != exits ||
	    load(&cpu->reads) + load(&cpu->writes) != exits)
		cpu->disturbed++;
}

static u64 remap(u64 me, u64 gpa)
{
	u64 alias = ALIAS + me * PAGE;

	*(volatile u64 *)cpus[me].pte = gpa | PT_P | PT_W;
	asm volatile("invlpg (%0)" : : "r"(alias) : "memory");
	return alias;
}

static void burst(u64 me, u64 random)
{
	struct access a = {
		.window = random % WINDOWS, .page = random >> 8 & (WINDOW_PAGES - 1),
	};
	u64 page = BASE + a.window * WINDOW_SIZE + a.page * PAGE;
	int i;

	if (random >> 10 & 1)
		page = remap(me, page);
	for (i = 0; i < BURST; i++) {
		a.op = random >> (16 + 2 * i) & 3;
		one_access(me, &a, page);
	}
	visit_quiet(&cpus[me], me);
}

static void guest_main(void)
{
	u64 sp, me, random;

	asm volatile("mov %%rsp, %0" : "=r"(sp));
	me = (sp - STACKS_GPA) / STACK_SIZE;
	random = 0x9e3779b97f4a7c15UL * (me + 1);
	while (!load(&stop)) {
		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		burst(me, random);
	}
	guest_done();
}

/* --- the writers --------------------------------------------------------------- */

struct slot {
	u32 id;
	u8 *mem;
	u64 shows;		/* 0: not there */
	bool used;
};

struct writer {
	struct vm *vm;
	pthread_t thread;
	int first;		/* of its windows */
	struct slot slot[SLOTS];
	struct slot *at[WINDOWS];	/* its own windows only */
	u64 random, serial, updates, todo, lost, burst;
};

static struct past *past_of(struct writer *w, int window)
{
	return &GUEST_VAR(w->vm, past)[window];
}

static void begin(struct writer *w, int window, u64 shows)
{
	struct past *p = past_of(w, window);

	__atomic_store_n(&p->shows[(p->begun + 1) % RING], shows, __ATOMIC_SEQ_CST);
	__atomic_store_n(&p->begun, p->begun + 1, __ATOMIC_SEQ_CST);
}

static void done(struct writer *w, int window)
{
	struct past *p = past_of(w, window);

	__atomic_store_n(&p->done, p->begun, __ATOMIC_SEQ_CST);
}

static u64 window_gpa(int window)
{
	return BASE + window * WINDOW_SIZE;
}

static u64 *cell(const struct slot *s, int page, int at)
{
	return (u64 *)(s->mem + page * PAGE + at);
}

/* Nobody may write to memory that is gone. */
static void poison(struct slot *s)
{
	int page, cpu;

	for (page = 0; page < WINDOW_PAGES; page++)
		for (cpu = 0; cpu < CPUS; cpu++) {
			__atomic_store_n(cell(s, page, WRITE_AT(cpu)), POISON, __ATOMIC_SEQ_CST);
			__atomic_store_n(cell(s, page, MODIFY_AT(cpu)), POISON, __ATOMIC_SEQ_CST);
		}
}

static void check_poison(struct writer *w, struct slot *s)
{
	int page, cpu;

	for (page = 0; page < WINDOW_PAGES; page++)
		for (cpu = 0; cpu < CPUS; cpu++)
			w->lost += load(cell(s, page, WRITE_AT(cpu))) != POISON ||
				   load(cell(s, page, MODIFY_AT(cpu))) != POISON;
}

static void write_tags(struct slot *s)
{
	int page, cpu;

	for (page = 0; page < WINDOW_PAGES; page++) {
		u64 tag = tag_of(s->shows, page);

		__atomic_store_n(cell(s, page, TAG_AT), tag, __ATOMIC_SEQ_CST);
		for (cpu = 0; cpu < CPUS; cpu++)
			__atomic_store_n(cell(s, page, MODIFY_AT(cpu)), tag, __ATOMIC_SEQ_CST);
	}
}

static void add(struct writer *w, struct slot *s, int window, bool ro)
{
	check_poison(w, s);
	s->shows = SHOWS(++w->serial * WRITERS + (w->first > 0), ro);
	write_tags(s);
	begin(w, window, s->shows);
	vm_set_slot(w->vm, s->id, ro ? KVM_MEM_READONLY : 0, window_gpa(window), WINDOW_SIZE,
		    s->mem);
	done(w, window);
	w->at[window] = s;
	s->used = true;
	w->updates++;
}

static void delete(struct writer *w, int window)
{
	struct slot *s = w->at[window];

	begin(w, window, SHOWS_DEVICE);
	vm_set_slot(w->vm, s->id, 0, 0, 0, NULL);
	poison(s);
	done(w, window);
	w->at[window] = NULL;
	s->used = false;
	w->updates++;
}

static void move(struct writer *w, int from, int to)
{
	struct slot *s = w->at[from];

	begin(w, from, SHOWS_DEVICE);
	begin(w, to, s->shows);
	vm_set_slot(w->vm, s->id, s->shows & SHOWS_RO ? KVM_MEM_READONLY : 0, window_gpa(to),
		    WINDOW_SIZE, s->mem);
	done(w, from);
	done(w, to);
	w->at[from] = NULL;
	w->at[to] = s;
	w->updates++;
}

/* The same memory in the same place, but read-only, or no longer so. */
static void flip(struct writer *w, int window)
{
	struct slot *s = w->at[window];
	bool ro = s->shows & SHOWS_RO;

	delete(w, window);
	add(w, s, window, !ro);
}

static u64 next_random(struct writer *w)
{
	w->random = w->random * 6364136223846793005UL + 1442695040888963407UL;
	return w->random >> 33;
}

static void update(struct writer *w)
{
	u64 random = next_random(w);
	int window = w->first + random % (WINDOWS / WRITERS);
	int to = w->first + (random >> 4) % (WINDOWS / WRITERS);
	struct slot *s = &w->slot[(random >> 8) % SLOTS];

	if (w->at[window]) {
		if (!w->at[to])
			move(w, window, to);
		else if (random >> 16 & 1)
			flip(w, window);
		else
			delete(w, window);
	} else if (!s->used) {
		add(w, s, window, random >> 17 & 1);
	}
}

/* Now and then long enough for a vCPU to come back to what it has learnt. */
static void *run_writer(void *arg)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	struct writer *w = arg;

	while (__atomic_load_n(&w->updates, __ATOMIC_RELAXED) < w->todo) {
		update(w);
		if (!(next_random(w) % w->burst))
			nanosleep(&pause, NULL);
	}
	return NULL;
}

/* --- the vCPUs -------------------------------------------------------------------- */

struct runner {
	struct vcpu *vcpu;
	pthread_t thread;
};

static void *run_vcpu(void *arg)
{
	struct runner *r = arg;
	struct cpu *cpu = &GUEST_VAR(r->vcpu->vm, cpus)[r->vcpu->id];
	struct kvm_run *run = r->vcpu->run;
	u64 answer;
	int reason;

	while ((reason = vcpu_next(r->vcpu)) == KVM_EXIT_MMIO) {
		CHECK(run->mmio.phys_addr >= BASE && run->mmio.phys_addr < window_gpa(WINDOWS),
		      "exit at %#llx", run->mmio.phys_addr);
		cpu->at = run->mmio.phys_addr;
		if (run->mmio.is_write) {
			memcpy(&cpu->written, run->mmio.data, sizeof(cpu->written));
			__atomic_store_n(&cpu->writes, cpu->writes + 1, __ATOMIC_SEQ_CST);
			continue;
		}
		answer = DEVICE_MARK | run->mmio.phys_addr;
		memcpy(run->mmio.data, &answer, sizeof(answer));
		__atomic_store_n(&cpu->reads, cpu->reads + 1, __ATOMIC_SEQ_CST);
	}
	CHECK(reason == GUEST_DONE, "exit %d", reason);
	return NULL;
}

/* --- the run ------------------------------------------------------------------------ */

FIXTURE(hammer) {
	struct vm *vm;
	int vcpus;
	struct runner runner[CPUS];
	struct writer writer[WRITERS];
};

typedef FIXTURE_DATA(hammer) fixture_t;

static u64 setting(const char *name, u64 value)
{
	const char *text = getenv(name);

	return text ? strtoul(text, NULL, 0) : value;
}

static void init_writer(fixture_t *self, int i, u64 updates)
{
	struct writer *w = &self->writer[i];
	int k;

	w->vm = self->vm;
	w->first = i * (WINDOWS / WRITERS);
	w->random = 7 + i;
	w->burst = setting("HAMMER_BURST", 8);
	w->todo = updates / WRITERS;
	for (k = 0; k < SLOTS; k++) {
		w->slot[k].id = 2 + i * SLOTS + k;
		w->slot[k].mem = anon_alloc(WINDOW_SIZE);
		poison(&w->slot[k]);
	}
}

FIXTURE_SETUP(hammer)
{
	u64 *quiet = anon_alloc(PAGE);
	int i;

	self->vm = vm_create();
	self->vcpus = setting("HAMMER_VCPUS", CPUS);
	*quiet = CALM;
	vm_set_slot(self->vm, 1, 0, QUIET, PAGE, quiet);
	for (i = 0; i < self->vcpus; i++) {
		u64 alias = ALIAS + i * PAGE;

		vm_map(self->vm, alias, BASE, PT_P | PT_W);
		GUEST_VAR(self->vm, cpus)[i].pte = vm_pte_gpa(self->vm, alias);
		self->runner[i].vcpu = vcpu_create(self->vm, i, guest_main);
	}
	for (i = 0; i < WRITERS; i++)
		init_writer(self, i, setting("HAMMER_UPDATES", 20000));
}

FIXTURE_TEARDOWN(hammer)
{
	int i;

	for (i = 0; i < self->vcpus; i++)
		vcpu_free(self->runner[i].vcpu);
	vm_free(self->vm);
}

static u64 updates_made(fixture_t *self)
{
	u64 sum = 0;
	int i;

	for (i = 0; i < WRITERS; i++)
		sum += __atomic_load_n(&self->writer[i].updates, __ATOMIC_RELAXED);
	return sum;
}

static u64 wrong_so_far(fixture_t *self, u64 *accesses)
{
	u64 wrong = 0;
	int i;

	*accesses = 0;
	for (i = 0; i < self->vcpus; i++) {
		struct cpu *cpu = &GUEST_VAR(self->vm, cpus)[i];

		*accesses += load(&cpu->accesses);
		wrong += load(&cpu->wrong) + load(&cpu->disturbed);
	}
	return wrong;
}

/* A line every ten seconds, until all is done or something is wrong. */
static void watch(struct __test_metadata *_metadata, fixture_t *self)
{
	u64 todo = self->writer[0].todo * WRITERS, made, accesses, wrong, tick = 0;
	const struct timespec second = { .tv_sec = 1 };

	while ((made = updates_made(self)) < todo) {
		nanosleep(&second, NULL);
		wrong = wrong_so_far(self, &accesses);
		if (wrong)
			return;
		if (++tick % 10 || !made)
			continue;
		TH_LOG("%lu of %lu updates, %lu accesses, 0 wrong, %lu s left", made, todo,
		       accesses, tick * (todo - made) / made);
	}
}

static void start(fixture_t *self)
{
	int i;

	for (i = 0; i < self->vcpus; i++)
		CHECK(!pthread_create(&self->runner[i].thread, NULL, run_vcpu, &self->runner[i]),
		      "no thread");
	for (i = 0; i < WRITERS; i++)
		CHECK(!pthread_create(&self->writer[i].thread, NULL, run_writer, &self->writer[i]),
		      "no thread");
}

static void finish(fixture_t *self)
{
	int i;

	for (i = 0; i < WRITERS; i++) {
		__atomic_store_n(&self->writer[i].todo, 0, __ATOMIC_RELAXED);
		pthread_join(self->writer[i].thread, NULL);
	}
	__atomic_store_n(&GUEST_VAR(self->vm, stop), 1, __ATOMIC_SEQ_CST);
	for (i = 0; i < self->vcpus; i++)
		pthread_join(self->runner[i].thread, NULL);
}

static void report(struct __test_metadata *_metadata, fixture_t *self, struct cpu *cpu)
{
	struct access *a = &cpu->first;
	u64 n;

	EXPECT_EQ(0, cpu->disturbed);
	EXPECT_EQ(0, cpu->wrong) {
		TH_LOG("operation %lu at %#lx: %#lx after %lu reads, %lu writes (%#lx)", a->op,
		       a->gpa, a->value, a->reads, a->writes, cpu->written);
		for (n = a->low; n <= a->high; n++)
			TH_LOG("update %lu shows %#lx", n,
			       GUEST_VAR(self->vm, past)[a->window].shows[n % RING]);
	}
}

static void check_counters(struct __test_metadata *_metadata, struct vcpu *vcpu)
{
	struct mmio_counts c;
	u64 value;

	if (!dev_is_keel() || !counter_find(vcpu->fd, "mmio_misconfig", &value))
		return;
	mmio_counts(vcpu->fd, &c);
	EXPECT_TRUE(mmio_counts_add_up(&c));
	TH_LOG("vCPU %u: %lu misconfigured = %lu hit + %lu stale + %lu in window + %lu uncached",
	       vcpu->id, c.misconfig, c.hit, c.stale, c.in_window, c.uncached);
	TH_LOG("vCPU %u: %lu from the cache", vcpu->id, counter(vcpu->fd, "mmio_cache_hit"));
}

TEST_F_TIMEOUT(hammer, every_answer_is_explained, 86400)
{
	u64 accesses, unjudged = 0, lost = 0;
	int i;

	start(self);
	watch(_metadata, self);
	finish(self);
	for (i = 0; i < self->vcpus; i++) {
		struct cpu *cpu = &GUEST_VAR(self->vm, cpus)[i];

		report(_metadata, self, cpu);
		check_counters(_metadata, self->runner[i].vcpu);
		EXPECT_LT(0, cpu->reads);
		EXPECT_LT(0, cpu->writes);
		unjudged += cpu->unjudged;
	}
	for (i = 0; i < WRITERS; i++)
		lost += self->writer[i].lost;
	EXPECT_EQ(0, lost) {
		TH_LOG("%lu writes reached memory that was gone", lost);
	}
	wrong_so_far(self, &accesses);
	EXPECT_GT(accesses, 2 * unjudged);
	TH_LOG("%lu updates, %lu accesses, %lu not judged", updates_made(self), accesses, unjudged);
}

KEEL_TEST_MAIN
