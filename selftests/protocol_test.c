// SPDX-License-Identifier: GPL-2.0
/*
 * The memslot generation protocol, rule by rule: when an MMIO verdict may be
 * used and when not, what the vCPU cache may skip, and what the counters say
 * of it. Each case is deterministic; where it needs a race, or the wrap of the
 * stored generation, a test build holds that open. hammer_test does the stress.
 */
#include <pthread.h>
#include <sched.h>
#include <time.h>
#include "kselftest_harness.h"
#include "guest.h"
#include "control.h"

#define X MMIO_GPA			/* the page in question */
#define Y (X + PAGE)			/* its neighbour, mostly never touched before */
#define ELSEWHERE 0x30000000UL		/* where slots come and go that concern nobody */
#define GVA 0x8000000000UL
#define DEVICE 0xdead00000000UL		/* what the device answers, and the address */
#define MEMORY 0x3e30UL			/* what memory holds */
#define HOLD_MS 400

enum { READ, WRITE, RMW, REMAP, HAMMER };

/* The guest does one operation for each entry and says what came of it. */
static struct command {
	u64 op, addr, value, pte;
} command;

static u64 guest_rmw(u64 addr, u64 value)
{
	asm volatile("addq %1, %0" : "+m"(*(volatile u64 *)addr) : "r"(value) : "memory");
	return 0;
}

static u64 guest_hammer(volatile u64 *p, volatile u64 *stop)
{
	u64 n = 0;

	while (!*stop)
		*p = ++n;
	return n;
}

static u64 guest_do(volatile struct command *c)
{
	switch (c->op) {
	case READ:
		return guest_read64(c->addr);
	case WRITE:
		guest_write64(c->addr, c->value);
		return 0;
	case RMW:
		return guest_rmw(c->addr, c->value);
	case REMAP:
		*(volatile u64 *)c->pte = c->value;
		asm volatile("invlpg (%0)" : : "r"(c->addr) : "memory");
		return 0;
	case HAMMER:
		return guest_hammer((u64 *)c->addr, &c->value);
	}
	return 0;
}

static void guest_main(void)
{
	u64 result = 0;

	for (;;) {
		guest_sync(result);
		result = guest_do(&command);
	}
}

/* What one operation came to. */
struct outcome {
	int reads, writes;
	u64 read_at, write_at, written, result;
};

static void serve(struct vcpu *vcpu, struct outcome *o)
{
	struct kvm_run *run = vcpu->run;
	u64 answer = DEVICE | run->mmio.phys_addr;

	if (run->mmio.is_write) {
		__atomic_add_fetch(&o->writes, 1, __ATOMIC_SEQ_CST);
		o->write_at = run->mmio.phys_addr;
		memcpy(&o->written, run->mmio.data, sizeof(o->written));
	} else {
		o->reads++;
		o->read_at = run->mmio.phys_addr;
		memcpy(run->mmio.data, &answer, sizeof(answer));
	}
}

static void run_to_sync(struct vcpu *vcpu, struct outcome *o)
{
	int reason;

	while ((reason = vcpu_next(vcpu)) == KVM_EXIT_MMIO)
		serve(vcpu, o);
	CHECK(reason == GUEST_SYNC, "exit %d", reason);
	o->result = vcpu->arg[0];
}

static void set_command(struct vcpu *vcpu, u64 op, u64 addr, u64 value)
{
	struct command *c = &GUEST_VAR(vcpu->vm, command);

	c->op = op;
	c->addr = addr;
	c->value = value;
}

static struct outcome perform(struct vcpu *vcpu, u64 op, u64 addr, u64 value)
{
	struct outcome o = {};

	set_command(vcpu, op, addr, value);
	run_to_sync(vcpu, &o);
	return o;
}

/* Where does a read of @addr end? 'm'emory, 'd'evice, '?' neither. */
static char source(struct vcpu *vcpu, u64 addr)
{
	struct outcome o = perform(vcpu, READ, addr, 0);

	if (o.reads == 1 && o.read_at == addr && o.result == (DEVICE | addr))
		return 'd';
	return !o.reads && o.result == MEMORY ? 'm' : '?';
}

FIXTURE(protocol) {
	struct vm *vm;
	struct vcpu *vcpu;
	u8 *mem;		/* two pages that begin with MEMORY */
	u8 *other;		/* a page of a slot that nobody looks at */
	int others;
};

typedef FIXTURE_DATA(protocol) fixture_t;

FIXTURE_SETUP(protocol)
{
	struct outcome o = {};

	if (!test_is_wanted(_metadata->name))
		SKIP(longjmp(_metadata->env, 1), "not asked for");
	self->vm = vm_create();
	self->vcpu = vcpu_create(self->vm, 0, guest_main);
	self->mem = anon_alloc(2 * PAGE);
	*(u64 *)self->mem = MEMORY;
	*(u64 *)(self->mem + PAGE) = MEMORY;
	self->other = anon_alloc(PAGE);
	run_to_sync(self->vcpu, &o);
	/* The guest's own pages are mapped from now on. */
	perform(self->vcpu, RMW, DATA_GPA, 1);
}

FIXTURE_TEARDOWN(protocol)
{
	vcpu_free(self->vcpu);
	vm_free(self->vm);
}

/* An update that has nothing to do with X and Y. */
static void unrelated_update(fixture_t *self)
{
	self->others ^= 1;
	vm_set_slot(self->vm, 7, 0, ELSEWHERE, self->others ? PAGE : 0, self->other);
}

static void add_x(fixture_t *self, u32 flags)
{
	vm_set_slot(self->vm, 5, flags, X, PAGE, self->mem);
}

static void delete_x(fixture_t *self)
{
	vm_set_slot(self->vm, 5, 0, X, 0, NULL);
}

static u64 count(fixture_t *self, const char *name)
{
	return counter(self->vcpu->fd, name);
}

static bool has_counters(struct vcpu *vcpu)
{
	u64 value;

	return dev_is_keel() && counter_find(vcpu->fd, "mmio_spte_hit", &value);
}

#define REQUIRE_COUNTERS() REQUIRE(has_counters(self->vcpu) && parameter_is_on("mmio_caching"))
#define REQUIRE_CONTROL() REQUIRE(has_control(self->vm))

/* --- what a guest sees, one update after the other ------------------------ */

TEST_F(protocol, add_delete_and_move_are_seen_at_once)
{
	int i;

	for (i = 0; i < 3; i++) {
		EXPECT_EQ('d', source(self->vcpu, X));
		EXPECT_EQ('d', source(self->vcpu, X));
		add_x(self, 0);
		EXPECT_EQ('m', source(self->vcpu, X));
		EXPECT_EQ('d', source(self->vcpu, Y));
		vm_set_slot(self->vm, 5, 0, Y, PAGE, self->mem);
		EXPECT_EQ('m', source(self->vcpu, Y));
		EXPECT_EQ('d', source(self->vcpu, X));
		vm_set_slot(self->vm, 5, 0, X, PAGE, self->mem);
		EXPECT_EQ('m', source(self->vcpu, X));
		delete_x(self);
		EXPECT_EQ('d', source(self->vcpu, Y));
	}
}

/* The verdict "device" for reads and writes must not outlive the read-only slot. */
TEST_F(protocol, read_modify_write_of_a_new_read_only_slot)
{
	struct outcome o;

	source(self->vcpu, X);
	source(self->vcpu, X);
	add_x(self, KVM_MEM_READONLY);
	o = perform(self->vcpu, RMW, X, 3);
	EXPECT_EQ(0, o.reads);
	EXPECT_EQ(1, o.writes);
	EXPECT_EQ(MEMORY + 3, o.written);
	EXPECT_EQ('m', source(self->vcpu, X));
}

/* That writes go to the device says nothing about reads. */
TEST_F(protocol, read_only_verdict_does_not_cover_reads)
{
	struct outcome o;
	int i;

	add_x(self, KVM_MEM_READONLY);
	for (i = 0; i < 3; i++) {
		o = perform(self->vcpu, WRITE, X, i);
		EXPECT_EQ(1, o.writes);
		EXPECT_EQ(i, o.written);
		o = perform(self->vcpu, RMW, X, 5);
		EXPECT_EQ(0, o.reads);
		EXPECT_EQ(1, o.writes);
		EXPECT_EQ(MEMORY + 5, o.written);
	}
	delete_x(self);
	o = perform(self->vcpu, RMW, X, 5);
	EXPECT_EQ(1, o.reads);
	EXPECT_EQ((DEVICE | X) + 5, o.written);
}

/* The answer to a question from before the update is good for that question only. */
TEST_F(protocol, update_while_userspace_holds_the_exit)
{
	struct outcome o = {};

	set_command(self->vcpu, READ, X, 0);
	ASSERT_EQ(KVM_EXIT_MMIO, vcpu_next(self->vcpu));
	add_x(self, KVM_MEM_READONLY);
	serve(self->vcpu, &o);
	run_to_sync(self->vcpu, &o);
	EXPECT_EQ(DEVICE | X, o.result);
	o = perform(self->vcpu, RMW, X, 1);
	EXPECT_EQ(0, o.reads);
	EXPECT_EQ(MEMORY + 1, o.written);
}

/* The second half of a write is what it was when the instruction was executed. */
TEST_F(protocol, update_between_the_halves_of_a_write)
{
	u64 value = 0x8877665544332211UL;

	vm_map(self->vm, GVA, X, PT_P | PT_W);
	vm_map(self->vm, GVA + PAGE, Y, PT_P | PT_W);
	set_command(self->vcpu, WRITE, GVA + PAGE - 3, value);
	ASSERT_EQ(KVM_EXIT_MMIO, vcpu_next(self->vcpu));
	EXPECT_EQ(X + PAGE - 3, self->vcpu->run->mmio.phys_addr);
	EXPECT_EQ(3, self->vcpu->run->mmio.len);
	EXPECT_EQ(0, memcmp(self->vcpu->run->mmio.data, &value, 3));
	vm_set_slot(self->vm, 5, 0, Y, PAGE, self->mem);
	ASSERT_EQ(KVM_EXIT_MMIO, vcpu_next(self->vcpu));
	EXPECT_EQ(Y, self->vcpu->run->mmio.phys_addr);
	EXPECT_EQ(5, self->vcpu->run->mmio.len);
	EXPECT_EQ(0, memcmp(self->vcpu->run->mmio.data, (u8 *)&value + 3, 5));
	EXPECT_EQ(GUEST_SYNC, vcpu_next(self->vcpu));
	EXPECT_EQ(MEMORY, *(u64 *)self->mem);
}

/* From a device page to a read-only page of memory, at one virtual address. */
TEST_F(protocol, guest_remaps_a_page)
{
	struct outcome o;
	int i;

	vm_set_slot(self->vm, 5, KVM_MEM_READONLY, Y, PAGE, self->mem);
	vm_map(self->vm, GVA, X, PT_P | PT_W);
	GUEST_VAR(self->vm, command).pte = vm_pte_gpa(self->vm, GVA);
	for (i = 0; i < 3; i++) {
		perform(self->vcpu, REMAP, GVA, X | PT_P | PT_W);
		o = perform(self->vcpu, READ, GVA, 0);
		o = perform(self->vcpu, READ, GVA, 0);
		EXPECT_EQ(DEVICE | X, o.result);
		perform(self->vcpu, REMAP, GVA, Y | PT_P | PT_W);
		o = perform(self->vcpu, RMW, GVA, 1);
		EXPECT_EQ(0, o.reads);
		EXPECT_EQ(1, o.writes);
		EXPECT_EQ(Y, o.write_at);
		EXPECT_EQ(MEMORY + 1, o.written);
		perform(self->vcpu, REMAP, GVA, ELSEWHERE | PT_P | PT_W);
		o = perform(self->vcpu, READ, GVA, 0);
		EXPECT_EQ(1, o.reads);
		EXPECT_EQ(ELSEWHERE, o.read_at);
	}
}

/* Page 0 is a page. */
TEST_F(protocol, gfn_0_at_gva_0)
{
	bool seen = has_counters(self->vcpu) && parameter_is_on("mmio_caching");
	u64 hits = seen ? count(self, "mmio_cache_hit") : 0;

	vm_set_slot(self->vm, 0, 0, 0, 0, NULL);
	vm_set_slot(self->vm, 0, 0, PAGE, self->vm->mem_size - PAGE, self->vm->mem + PAGE);
	EXPECT_EQ('d', source(self->vcpu, 0));
	EXPECT_EQ('d', source(self->vcpu, 8));
	if (seen)
		EXPECT_LT(hits, count(self, "mmio_cache_hit"));
	vm_set_slot(self->vm, 5, 0, 0, PAGE, self->mem);
	EXPECT_EQ('m', source(self->vcpu, 0));
}

static void set_smm(struct vcpu *vcpu, bool smm)
{
	struct kvm_vcpu_events events;

	vcpu_ioctl(vcpu, KVM_GET_VCPU_EVENTS, &events);
	events.flags = KVM_VCPUEVENT_VALID_SMM;
	events.smi.smm = smm;
	vcpu_ioctl(vcpu, KVM_SET_VCPU_EVENTS, &events);
}

#define SMM_SLOT(id) (1 << 16 | (id))

TEST_F(protocol, address_spaces_have_slots_of_their_own)
{
	REQUIRE(dev_is_keel() && vm_has(self->vm, KVM_CAP_MULTI_ADDRESS_SPACE));
	vm_set_slot(self->vm, SMM_SLOT(0), 0, 0, self->vm->mem_size, self->vm->mem);
	EXPECT_EQ('d', source(self->vcpu, X));
	EXPECT_EQ('d', source(self->vcpu, X));
	vm_set_slot(self->vm, SMM_SLOT(5), 0, X, PAGE, self->mem);
	EXPECT_EQ('d', source(self->vcpu, X));
	set_smm(self->vcpu, true);
	EXPECT_EQ('m', source(self->vcpu, X));
	EXPECT_EQ('d', source(self->vcpu, Y));
	EXPECT_EQ('d', source(self->vcpu, Y));
	/* An update of this address space voids what was learnt in it. */
	vm_set_slot(self->vm, SMM_SLOT(5), 0, Y, PAGE, self->mem);
	EXPECT_EQ('m', source(self->vcpu, Y));
	EXPECT_EQ('d', source(self->vcpu, X));
	set_smm(self->vcpu, false);
	EXPECT_EQ('d', source(self->vcpu, X));
	EXPECT_EQ('d', source(self->vcpu, Y));
}

TEST_F(protocol, address_spaces_have_generations_of_their_own)
{
	u64 hits;

	REQUIRE_COUNTERS();
	vm_set_slot(self->vm, SMM_SLOT(0), 0, 0, self->vm->mem_size, self->vm->mem);
	set_smm(self->vcpu, true);
	EXPECT_EQ('d', source(self->vcpu, X));
	hits = count(self, "mmio_spte_hit");
	EXPECT_EQ('d', source(self->vcpu, X));
	unrelated_update(self);
	EXPECT_EQ('d', source(self->vcpu, X));
	EXPECT_EQ(hits + 2, count(self, "mmio_spte_hit"));
}

/* --- rights of the guest's own tables ------------------------------------ */

static volatile u64 faults, last_error, user_result;

/* Supervisor code makes the very access that the user may not, then the user tries again. */
static void on_page_fault(struct guest_trap *trap)
{
	last_error = trap->error;
	if (faults++ < 2) {
		user_result = guest_read64(GVA);
		return;
	}
	trap->rip = trap->rbx;
}

static void guest_user(void)
{
	guest_handler[14] = on_page_fault;
	asm volatile("mov %%rsp, %%rcx\n"
		     "pushq $0x2b\n"
		     "pushq %%rcx\n"
		     "pushq $0x3002\n"
		     "pushq $0x23\n"
		     "leaq 1f(%%rip), %%rax\n"
		     "pushq %%rax\n"
		     "iretq\n"
		     "1: leaq 2f(%%rip), %%rbx\n"
		     "movq (%0), %%rax\n"
		     "2:\n" : : "D"(GVA) : "rax", "rbx", "rcx", "memory");
	guest_sync3(faults, last_error, user_result);
	guest_done();
}

TEST_F(protocol, user_may_not_what_the_kernel_has_just_done)
{
	u64 *gdt = vm_hva(self->vm, GDT_GPA);
	struct outcome o = {};

	gdt[4] = 0x00affb000000ffffUL;
	gdt[5] = 0x00cff3000000ffffUL;
	*(u64 *)vm_hva(self->vm, TSS_GPA + 4) = STACKS_GPA + 3 * STACK_SIZE;
	vm_map(self->vm, GVA, X, PT_P | PT_W);
	vcpu_set_long(self->vcpu, guest_user);
	run_to_sync(self->vcpu, &o);
	EXPECT_EQ(3, self->vcpu->arg[0]);
	EXPECT_EQ(5, self->vcpu->arg[1]);
	EXPECT_EQ(DEVICE | X, self->vcpu->arg[2]);
	EXPECT_EQ(2, o.reads);
}

/* --- what is remembered, as the counters show it --------------------------- */

TEST_F(protocol, one_miss_then_hits)
{
	u64 faults, hits;

	REQUIRE_COUNTERS();
	faults = count(self, "page_faults");
	hits = count(self, "mmio_spte_hit");
	source(self->vcpu, X);
	EXPECT_EQ(faults + 1, count(self, "page_faults"));
	source(self->vcpu, X);
	source(self->vcpu, X + 8);
	EXPECT_EQ(faults + 1, count(self, "page_faults"));
	EXPECT_EQ(hits + 2, count(self, "mmio_spte_hit"));
}

TEST_F(protocol, update_makes_verdicts_stale_once)
{
	u64 hits, stale;

	REQUIRE_COUNTERS();
	source(self->vcpu, X);
	source(self->vcpu, Y);
	stale = count(self, "mmio_spte_stale");
	hits = count(self, "mmio_spte_hit");
	unrelated_update(self);
	source(self->vcpu, X);
	source(self->vcpu, Y);
	EXPECT_EQ(stale + 2, count(self, "mmio_spte_stale"));
	EXPECT_EQ(hits, count(self, "mmio_spte_hit"));
	source(self->vcpu, X);
	source(self->vcpu, Y);
	EXPECT_EQ(stale + 2, count(self, "mmio_spte_stale"));
	EXPECT_EQ(hits + 2, count(self, "mmio_spte_hit"));
}

TEST_F(protocol, memory_is_not_disturbed_by_updates_elsewhere)
{
	u64 faults, exits, i;

	REQUIRE_COUNTERS();
	add_x(self, 0);
	EXPECT_EQ('m', source(self->vcpu, X));
	faults = count(self, "page_faults");
	exits = count(self, "mmio_misconfig");
	for (i = 0; i < 10; i++) {
		unrelated_update(self);
		EXPECT_EQ('m', source(self->vcpu, X));
	}
	EXPECT_EQ(faults, count(self, "page_faults"));
	EXPECT_EQ(exits, count(self, "mmio_misconfig"));
}

/* Fetching the instruction walks too; the data does not any more. */
TEST_F(protocol, cached_access_walks_less)
{
	u64 first, again, hits, start;

	REQUIRE_COUNTERS();
	vm_map(self->vm, GVA, X, PT_P | PT_W);
	vm_map(self->vm, GVA + PAGE, Y, PT_P | PT_W);
	perform(self->vcpu, READ, GVA, 0);
	hits = count(self, "mmio_cache_hit");
	start = count(self, "walk_steps");
	perform(self->vcpu, READ, GVA, 0);
	again = count(self, "walk_steps") - start;
	EXPECT_LT(hits, count(self, "mmio_cache_hit"));
	/* A write that straddles pages is never taken from the cache. */
	start = count(self, "walk_steps");
	perform(self->vcpu, WRITE, GVA + PAGE - 4, 0);
	first = count(self, "walk_steps") - start;
	EXPECT_LE(again + 4, first);
}

TEST_F(protocol, cache_is_forgotten_when_state_is_set)
{
	struct kvm_sregs sregs;
	struct cache_state c;

	REQUIRE_CONTROL();
	REQUIRE(parameter_is_on("mmio_caching"));
	source(self->vcpu, X);
	get_cache(self->vcpu, &c);
	EXPECT_EQ(1, c.valid);
	EXPECT_EQ(X, c.gva);
	EXPECT_EQ(X / PAGE, c.gfn);
	EXPECT_EQ(generation(self->vm, 0), c.generation);
	vcpu_get_sregs(self->vcpu, &sregs);
	vcpu_set_sregs(self->vcpu, &sregs);
	get_cache(self->vcpu, &c);
	EXPECT_EQ(0, c.valid);
	source(self->vcpu, X);
	set_smm(self->vcpu, false);
	get_cache(self->vcpu, &c);
	EXPECT_EQ(0, c.valid);
}

/* --- races that are held open ---------------------------------------------- */

struct update {
	fixture_t *self;
	u64 size;
	u32 flags;
	int returned;
	u64 ms;			/* how long it took */
	pthread_t thread;
};

static u64 now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void *run_update(void *arg)
{
	struct update *u = arg;
	u64 start = now_ms();

	vm_set_slot(u->self->vm, 5, u->flags, X, u->size, u->self->mem);
	u->ms = now_ms() - start;
	__atomic_store_n(&u->returned, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

/* Begin to put memory at X and be held at @point. */
static void begin_update(struct update *u, const char *point)
{
	set_delay(u->self->vm, point, HOLD_MS);
	CHECK(!pthread_create(&u->thread, NULL, run_update, u), "no thread");
	wait_until_held(u->self->vm, point);
}

static void end_update(struct __test_metadata *_metadata, struct update *u)
{
	/* What was seen before must have been seen while the update was held. */
	EXPECT_EQ(0, __atomic_load_n(&u->returned, __ATOMIC_SEQ_CST));
	pthread_join(u->thread, NULL);
}

/* Who has seen the new snapshot must not see the old one afterwards. */
static void new_then_old(struct __test_metadata *_metadata, fixture_t *self,
			 const char *point)
{
	struct update u = { .self = self, .size = 2 * PAGE };

	source(self->vcpu, X);
	source(self->vcpu, X);
	begin_update(&u, point);
	EXPECT_EQ('m', source(self->vcpu, Y));
	EXPECT_EQ('m', source(self->vcpu, X));
	end_update(_metadata, &u);
	EXPECT_EQ('m', source(self->vcpu, X));
}

TEST_F(protocol, published_is_seen_whole)
{
	REQUIRE_CONTROL();
	new_then_old(_metadata, self, "published");
}

TEST_F(protocol, window_is_seen_whole)
{
	REQUIRE_CONTROL();
	new_then_old(_metadata, self, "window");
}

/* An entry of number 0, which nobody has touched since, while 0 comes again. */
TEST_F(protocol, published_at_the_wrap_with_number_0)
{
	struct update u = { .self = self, .size = 2 * PAGE };

	REQUIRE_CONTROL();
	set_generation(self->vm, 0, 0);
	source(self->vcpu, X);
	set_generation(self->vm, 0, generation_round(self->vm) - 4);
	begin_update(&u, "published");
	EXPECT_EQ('m', source(self->vcpu, Y));
	EXPECT_EQ('m', source(self->vcpu, X));
	end_update(_metadata, &u);
}

TEST_F(protocol, cache_is_not_used_in_the_window)
{
	struct update u = { .self = self, .size = PAGE, .flags = KVM_MEM_READONLY };
	struct outcome o;

	REQUIRE_CONTROL();
	source(self->vcpu, X);
	source(self->vcpu, X);
	begin_update(&u, "window");
	EXPECT_EQ('m', source(self->vcpu, X));
	o = perform(self->vcpu, RMW, X, 1);
	EXPECT_EQ(0, o.reads);
	EXPECT_EQ(MEMORY + 1, o.written);
	end_update(_metadata, &u);
}

TEST_F(protocol, nothing_is_learnt_in_the_window)
{
	struct update u = { .self = self, .size = PAGE };
	struct cache_state c;
	u64 hits;

	REQUIRE_CONTROL();
	REQUIRE_COUNTERS();
	begin_update(&u, "window");
	EXPECT_EQ('d', source(self->vcpu, Y));
	get_cache(self->vcpu, &c);
	EXPECT_FALSE(c.valid && c.gfn == Y / PAGE);
	hits = count(self, "mmio_spte_hit");
	EXPECT_EQ('d', source(self->vcpu, Y));
	end_update(_metadata, &u);
	EXPECT_EQ('d', source(self->vcpu, Y));
	EXPECT_EQ(hits, count(self, "mmio_spte_hit"));
}

TEST_F(protocol, access_in_the_window_is_counted)
{
	struct update u = { .self = self, .size = PAGE };
	struct mmio_counts c;
	u64 before;

	REQUIRE_CONTROL();
	REQUIRE_COUNTERS();
	source(self->vcpu, Y);
	before = count(self, "mmio_in_window");
	begin_update(&u, "window");
	EXPECT_EQ('d', source(self->vcpu, Y));
	EXPECT_EQ(before + 1, count(self, "mmio_in_window"));
	end_update(_metadata, &u);
	mmio_counts(self->vcpu->fd, &c);
	EXPECT_TRUE(mmio_counts_add_up(&c));
}

static void *run_read(void *arg)
{
	fixture_t *self = arg;
	struct outcome o = {};

	run_to_sync(self->vcpu, &o);
	return (void *)(o.result == (DEVICE | X) ? 1UL : 0UL);
}

/* Begin to read X, which nobody has touched before, and be held at @point. */
static pthread_t begin_read_held(fixture_t *self, const char *point)
{
	pthread_t thread;

	set_delay(self->vm, point, HOLD_MS);
	set_command(self->vcpu, READ, X, 0);
	CHECK(!pthread_create(&thread, NULL, run_read, self), "no thread");
	wait_until_held(self->vm, point);
	return thread;
}

/* After the look-up. */
static pthread_t begin_read(fixture_t *self)
{
	return begin_read_held(self, "looked_up");
}

TEST_F(protocol, deletion_waits_for_the_last_reader_of_the_old_slots)
{
	struct update u = { .self = self };
	pthread_t thread;
	void *result;

	REQUIRE_CONTROL();
	add_x(self, 0);
	thread = begin_read(self);
	run_update(&u);
	EXPECT_LE(HOLD_MS / 2, u.ms);
	pthread_join(thread, &result);
	EXPECT_EQ('d', source(self->vcpu, X));
}

/* Has the generation become even by itself, in a second? */
static bool settled(struct vm *vm)
{
	int i;

	for (i = 0; i < 1000 && generation(vm, 0) & 1; i++)
		usleep(1000);
	return !(generation(vm, 0) & 1);
}

/* No more than a device answers at once; the flag stays while anyone knows the old slots. */
TEST_F(protocol, addition_does_not_wait_for_readers)
{
	struct update u = { .self = self, .size = PAGE };
	pthread_t thread;
	void *result;

	REQUIRE_CONTROL();
	thread = begin_read(self);
	run_update(&u);
	EXPECT_GT(HOLD_MS / 2, u.ms);
	EXPECT_EQ(1, generation(self->vm, 0) & 1);
	pthread_join(thread, &result);
	EXPECT_EQ('m', source(self->vcpu, X));
	EXPECT_TRUE(settled(self->vm));
	EXPECT_EQ('m', source(self->vcpu, X));
}

/*
 * A vCPU that knows of no slot marks the page as MMIO, while another has mapped
 * it already: the mapping must not be left in a TLB that nobody will flush.
 */
TEST_F(protocol, mark_does_not_hide_a_mapping)
{
	struct vcpu *other = vcpu_create(self->vm, 1, guest_main);
	struct outcome o = {};
	pthread_t thread;
	void *result;
	u64 flushes;

	REQUIRE_CONTROL();
	run_to_sync(other, &o);
	source(self->vcpu, Y);
	thread = begin_read(self);
	add_x(self, 0);
	o = perform(other, WRITE, X, 1);
	EXPECT_EQ(0, o.writes);
	EXPECT_EQ(1, *(u64 *)self->mem);
	pthread_join(thread, &result);
	flushes = counter(self->vm->fd, "remote_flushes");
	delete_x(self);
	EXPECT_LT(flushes, counter(self->vm->fd, "remote_flushes"));
	o = perform(other, WRITE, X, 2);
	EXPECT_EQ(1, o.writes);
	EXPECT_EQ(1, *(u64 *)self->mem);
	vcpu_free(other);
}

/* What it knew of the slot must not be mapped any more. */
TEST_F(protocol, delete_while_a_fault_knows_the_slot)
{
	pthread_t thread;
	void *result;

	REQUIRE_CONTROL();
	add_x(self, 0);
	thread = begin_read(self);
	delete_x(self);
	pthread_join(thread, &result);
	EXPECT_EQ('d', source(self->vcpu, X));
}

/* Nor the page that it has found there. */
TEST_F(protocol, delete_while_a_fault_knows_the_page)
{
	pthread_t thread;
	void *result;

	REQUIRE_CONTROL();
	add_x(self, 0);
	thread = begin_read_held(self, "page_found");
	delete_x(self);
	pthread_join(thread, &result);
	EXPECT_EQ('d', source(self->vcpu, X));
}

/* --- the wrap --------------------------------------------------------------- */

TEST_F(protocol, entry_is_told_by_every_bit_of_its_generation)
{
	u64 bit, round, hits, wraps;

	REQUIRE_CONTROL();
	REQUIRE_COUNTERS();
	round = generation_round(self->vm);
	for (bit = 4; bit <= round << 2; bit <<= 1) {
		set_generation(self->vm, 0, 0x10000000000000UL);
		source(self->vcpu, X);
		source(self->vcpu, X);
		wraps = counter(self->vm->fd, "mmio_wraps");
		set_generation(self->vm, 0, 0x10000000000000UL ^ bit);
		EXPECT_EQ(wraps + (bit >= round), counter(self->vm->fd, "mmio_wraps"));
		hits = count(self, "mmio_spte_hit");
		source(self->vcpu, X);
		EXPECT_EQ(hits, count(self, "mmio_spte_hit")) {
			TH_LOG("bit %#lx of %#lx", bit, round);
		}
		source(self->vcpu, X);
		EXPECT_EQ(hits + 1, count(self, "mmio_spte_hit")) {
			TH_LOG("bit %#lx of %#lx is lost", bit, round);
		}
	}
}

/* As memory comes to X, the number in its entry comes round again. */
TEST_F(protocol, wrap_removes_the_entries_of_the_first_round)
{
	u64 number, round;

	REQUIRE_CONTROL();
	round = generation_round(self->vm);
	/* Carried by the update that wraps itself, and by the one after it. */
	for (number = 0; number <= 4; number += 4) {
		set_generation(self->vm, 0, number);
		EXPECT_EQ('d', source(self->vcpu, X));
		EXPECT_EQ('d', source(self->vcpu, Y));
		set_generation(self->vm, 0, round - 4);
		if (number)
			unrelated_update(self);
		add_x(self, 0);
		EXPECT_EQ(round + number, generation(self->vm, 0));
		EXPECT_EQ('m', source(self->vcpu, X));
		EXPECT_EQ('d', source(self->vcpu, Y));
		delete_x(self);
	}
}

TEST_F(protocol, wrap_leaves_memory_mapped)
{
	u64 wraps, faults, pages;

	REQUIRE_CONTROL();
	REQUIRE_COUNTERS();
	add_x(self, 0);
	EXPECT_EQ('m', source(self->vcpu, X));
	EXPECT_EQ('d', source(self->vcpu, Y));
	set_generation(self->vm, 0, generation_round(self->vm) - 4);
	wraps = counter(self->vm->fd, "mmio_wraps");
	faults = count(self, "page_faults");
	pages = counter(self->vm->fd, "pages_4k");
	unrelated_update(self);
	EXPECT_EQ(wraps + 1, counter(self->vm->fd, "mmio_wraps"));
	EXPECT_EQ(pages, counter(self->vm->fd, "pages_4k"));
	EXPECT_EQ('m', source(self->vcpu, X));
	EXPECT_EQ(faults, count(self, "page_faults"));
	EXPECT_EQ('d', source(self->vcpu, Y));
}

/*
 * What was stored while the numbers came round must be gone as well: memory
 * comes to X, which nobody touches until, one round later, that number returns.
 */
static void next_round(struct __test_metadata *_metadata, fixture_t *self)
{
	u64 round = generation_round(self->vm);

	add_x(self, 0);
	set_generation(self->vm, 0, 2 * round - 4);
	EXPECT_EQ('m', source(self->vcpu, X));
}

TEST_F(protocol, wrap_while_a_fault_knows_the_old_slots)
{
	pthread_t thread;
	void *result;

	REQUIRE_CONTROL();
	set_generation(self->vm, 0, generation_round(self->vm) - 4);
	thread = begin_read(self);
	unrelated_update(self);
	pthread_join(thread, &result);
	EXPECT_EQ((void *)1, result);
	/* Otherwise the update of the next round would deal with this wrap. */
	EXPECT_TRUE(settled(self->vm));
	next_round(_metadata, self);
}

TEST_F(protocol, wrap_with_a_fault_in_the_window)
{
	struct update u = { .self = self, .size = PAGE };

	REQUIRE_CONTROL();
	/* Its page table is there, so that the fault has nothing else to make. */
	EXPECT_EQ('d', source(self->vcpu, Y));
	vm_set_slot(self->vm, 5, 0, ELSEWHERE + PAGE, PAGE, self->mem);
	set_generation(self->vm, 0, generation_round(self->vm) - 4);
	set_delay(self->vm, "window", HOLD_MS);
	u.size = 0;
	CHECK(!pthread_create(&u.thread, NULL, run_update, &u), "no thread");
	wait_until_held(self->vm, "window");
	EXPECT_EQ('d', source(self->vcpu, X));
	end_update(_metadata, &u);
	next_round(_metadata, self);
}

/* --- translations that are cached by the hardware ---------------------------- */

struct runner {
	struct vcpu *vcpu;
	struct outcome o;
	pthread_t thread;
};

static void *run_hammer(void *arg)
{
	struct runner *r = arg;

	run_to_sync(r->vcpu, &r->o);
	return NULL;
}

static u64 read_once(const void *p)
{
	return __atomic_load_n((const u64 *)p, __ATOMIC_SEQ_CST);
}

static void wait_for_change(const void *p)
{
	u64 before = read_once(p);

	while (read_once(p) == before)
		sched_yield();
}

static void wait_for_writes(struct outcome *o)
{
	int before = __atomic_load_n(&o->writes, __ATOMIC_SEQ_CST);

	while (__atomic_load_n(&o->writes, __ATOMIC_SEQ_CST) == before)
		sched_yield();
}

/* A guest that writes without an exit stops doing so before the update returns. */
TEST_F_TIMEOUT(protocol, running_guest_loses_its_memory, 60)
{
	struct runner r = { .vcpu = self->vcpu };
	bool seen = has_counters(self->vcpu);
	u64 last, flushes = 0;
	int i, from = X;

	add_x(self, 0);
	set_command(self->vcpu, HAMMER, X, 0);
	ASSERT_EQ(0, pthread_create(&r.thread, NULL, run_hammer, &r));
	for (i = 0; i < 20; i++) {
		wait_for_change(self->mem);
		if (seen)
			flushes = counter(self->vm->fd, "remote_flushes");
		/* Delete it, or move it away. */
		vm_set_slot(self->vm, 5, 0, i & 1 ? ELSEWHERE : X, i & 1 ? PAGE : 0, self->mem);
		last = read_once(self->mem);
		/* The next exit of the vCPU may have hidden that nobody flushed. */
		if (seen)
			EXPECT_LT(flushes, counter(self->vm->fd, "remote_flushes"));
		wait_for_writes(&r.o);
		EXPECT_EQ(last, read_once(self->mem)) {
			TH_LOG("round %d: memory was written after it had gone", i);
		}
		vm_set_slot(self->vm, 5, 0, from, PAGE, self->mem);
	}
	__atomic_store_n(&GUEST_VAR(self->vm, command).value, 1, __ATOMIC_SEQ_CST);
	pthread_join(r.thread, NULL);
}

KEEL_TEST_MAIN
