// SPDX-License-Identifier: GPL-2.0
/*
 * Stress of dirty logging, as migration uses it: vCPUs write all the time, a
 * copy of the guest's memory follows the log, other slots come and go, and the
 * host takes pages away. When the vCPUs have stopped, one last look at the log
 * must make the copy equal to the memory; a write that was not told is a page
 * that differs.
 *
 * MIGRATE_ROUNDS in the environment says how often the log is asked for.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include "kselftest_harness.h"
#include "keel_test.h"
#include "guest.h"
#include "control.h"

#ifndef MADV_COLD
#define MADV_COLD 20
#define MADV_PAGEOUT 21
#endif

#define BASE MMIO_GPA
#define CPUS 4
#define PAGES 512
#define SLOT 1
#define ENTRIES 1024
#define RING_BYTES (ENTRIES * sizeof(struct kvm_dirty_gfn))

static u64 stop;

static u64 me(void)
{
	u64 sp;

	asm volatile("mov %%rsp, %0" : "=r"(sp));
	return (sp - STACKS_GPA) / STACK_SIZE;
}

/* Where to write next: all over the memory now and then, or always, for a while, to few pages. */
static u64 next_page(u64 cpu, u64 random, u64 n)
{
	int i;

	if (!(cpu & 1))
		return ((n >> 12) * 61 + random % 16) % PAGES;
	for (i = 0; i < 20000; i++)
		asm volatile("pause");
	return random % PAGES;
}

/* Each word has a number of its own. */
static void guest_main(void)
{
	u64 cpu = me(), random = cpu + 1, n;

	for (n = 1; !__atomic_load_n(&stop, __ATOMIC_RELAXED); n++) {
		random = random * 6364136223846793005UL + 1442695040888963407UL;
		*(volatile u64 *)(BASE + next_page(cpu, random >> 40, n) * PAGE + 8 * cpu) = n;
	}
	guest_done();
}

enum how { BITMAP, MANUAL, INITIALLY_SET, RING };

FIXTURE(migrate) {
	struct vm *vm;
	struct vcpu *vcpu[CPUS];
	struct kvm_dirty_gfn *ring[CPUS];
	u32 next[CPUS];
	u8 *mem, *copy;
	enum how how;
	u64 told;
};

typedef FIXTURE_DATA(migrate) fixture_t;

FIXTURE_VARIANT(migrate) {
	enum how how;
};

FIXTURE_VARIANT_ADD(migrate, bitmap) { .how = BITMAP };
FIXTURE_VARIANT_ADD(migrate, manual) { .how = MANUAL };
FIXTURE_VARIANT_ADD(migrate, initially_set) { .how = INITIALLY_SET };
FIXTURE_VARIANT_ADD(migrate, ring) { .how = RING };

static void enable(fixture_t *self, u32 which, u64 arg)
{
	struct kvm_enable_cap cap = { .cap = which, .args = { arg } };

	vm_ioctl(self->vm, KVM_ENABLE_CAP, &cap);
}

static void choose(fixture_t *self)
{
	switch (self->how) {
	case BITMAP:
		break;
	case MANUAL:
		enable(self, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2,
		       KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE);
		break;
	case INITIALLY_SET:
		enable(self, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2,
		       KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE | KVM_DIRTY_LOG_INITIALLY_SET);
		break;
	case RING:
		enable(self, KVM_CAP_DIRTY_LOG_RING_ACQ_REL, RING_BYTES);
		break;
	}
}

FIXTURE_SETUP(migrate)
{
	int i;

	self->vm = vm_create();
	self->how = variant->how;
	choose(self);
	self->mem = anon_alloc(PAGES * PAGE);
	self->copy = anon_alloc(PAGES * PAGE);
	madvise(self->mem, PAGES * PAGE, MADV_HUGEPAGE);
	memset(self->mem, 0, PAGES * PAGE);
	vm_set_slot(self->vm, SLOT, 0, BASE, PAGES * PAGE, self->mem);
	for (i = 0; i < CPUS; i++) {
		self->vcpu[i] = vcpu_create(self->vm, i, guest_main);
		self->next[i] = 0;
		if (self->how != RING)
			continue;
		self->ring[i] = mmap(NULL, RING_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED,
				     self->vcpu[i]->fd, KVM_DIRTY_LOG_PAGE_OFFSET * PAGE);
		ASSERT_NE(MAP_FAILED, self->ring[i]);
	}
	self->told = 0;
}

FIXTURE_TEARDOWN(migrate)
{
	int i;

	for (i = 0; i < CPUS; i++) {
		if (self->how == RING)
			munmap(self->ring[i], RING_BYTES);
		vcpu_free(self->vcpu[i]);
	}
	vm_free(self->vm);
	munmap(self->mem, PAGES * PAGE);
	munmap(self->copy, PAGES * PAGE);
}

static void copy_page(fixture_t *self, u64 page)
{
	memcpy(self->copy + page * PAGE, self->mem + page * PAGE, PAGE);
	self->told++;
}

static void copy_bits(fixture_t *self, const u64 *bits)
{
	u64 i;

	for (i = 0; i < PAGES; i++)
		if (bits[i / 64] >> (i % 64) & 1)
			copy_page(self, i);
}

static void follow_bitmap(fixture_t *self)
{
	u64 bits[PAGES / 64];
	struct kvm_dirty_log log = { .slot = SLOT, .dirty_bitmap = bits };
	struct kvm_clear_dirty_log clear = {
		.slot = SLOT, .num_pages = PAGES / 2, .dirty_bitmap = bits,
	};

	vm_ioctl(self->vm, KVM_GET_DIRTY_LOG, &log);
	if (self->how != BITMAP) {
		vm_ioctl(self->vm, KVM_CLEAR_DIRTY_LOG, &clear);
		clear.first_page = PAGES / 2;
		clear.dirty_bitmap = bits + PAGES / 2 / 64;
		vm_ioctl(self->vm, KVM_CLEAR_DIRTY_LOG, &clear);
	}
	copy_bits(self, bits);
}

/* Entries are handed back before their pages are copied: later writes are told again. */
static void follow_rings(fixture_t *self)
{
	u64 bits[PAGES / 64] = {};
	int i;

	for (i = 0; i < CPUS; i++) {
		for (;; self->next[i]++) {
			struct kvm_dirty_gfn *e = &self->ring[i][self->next[i] % ENTRIES];

			if (__atomic_load_n(&e->flags, __ATOMIC_ACQUIRE) != KVM_DIRTY_GFN_F_DIRTY)
				break;
			CHECK(e->slot == SLOT && e->offset < PAGES, "%u %llu", e->slot, e->offset);
			bits[e->offset / 64] |= 1UL << (e->offset % 64);
			__atomic_store_n(&e->flags, KVM_DIRTY_GFN_F_RESET, __ATOMIC_RELEASE);
		}
	}
	vm_ioctl(self->vm, KVM_RESET_DIRTY_RINGS, 0);
	copy_bits(self, bits);
}

static void follow(fixture_t *self)
{
	if (self->how == RING)
		follow_rings(self);
	else
		follow_bitmap(self);
}

static void *run_vcpu(void *vcpu)
{
	int exit;

	while ((exit = vcpu_next(vcpu)) != GUEST_DONE) {
		CHECK(exit == KVM_EXIT_DIRTY_RING_FULL, "exit %d", exit);
		sched_yield();
	}
	return NULL;
}

/* All of the memory becomes shared with a child, and its writable mappings go. */
static void copy_on_write(void)
{
	pid_t child = fork();

	CHECK(child >= 0, "fork");
	if (!child)
		_exit(0);
	waitpid(child, NULL, 0);
}

/* What else happens to a guest's memory meanwhile. */
static void disturb(fixture_t *self, int round)
{
	u64 at = (u64)round * 7 % 31 * 16 * PAGE;

	switch (round % 4) {
	case 0:
		vm_set_slot(self->vm, SLOT + 1, 0, BASE + 2 * PAGES * PAGE, PAGE, self->copy);
		break;
	case 1:
		if (round % 16 == 1)
			copy_on_write();
		else
			madvise(self->mem + at, 16 * PAGE, MADV_PAGEOUT);
		break;
	case 2:
		vm_set_slot(self->vm, SLOT + 1, 0, 0, 0, NULL);
		break;
	case 3:
		madvise(self->mem + at, 16 * PAGE, MADV_COLD);
		break;
	}
}

static int rounds(void)
{
	const char *wanted = getenv("MIGRATE_ROUNDS");

	return wanted ? atoi(wanted) : 200;
}

static u64 differing(fixture_t *self)
{
	u64 i, n = 0;

	for (i = 0; i < PAGES; i++)
		n += !!memcmp(self->mem + i * PAGE, self->copy + i * PAGE, PAGE);
	return n;
}

TEST_F_TIMEOUT(migrate, nothing_is_missed, 120)
{
	pthread_t thread[CPUS];
	int i;

	for (i = 0; i < CPUS; i++)
		ASSERT_EQ(0, pthread_create(&thread[i], NULL, run_vcpu, self->vcpu[i]));
	/* Huge pages are mapped and written to by now, or soon: logging begins in their midst. */
	for (i = 0; i < 20; i++)
		sched_yield();
	vm_set_slot(self->vm, SLOT, KVM_MEM_LOG_DIRTY_PAGES, BASE, PAGES * PAGE, self->mem);
	memcpy(self->copy, self->mem, PAGES * PAGE);
	for (i = 0; i < rounds(); i++) {
		follow(self);
		disturb(self, i);
		sched_yield();
	}
	__atomic_store_n(&GUEST_VAR(self->vm, stop), 1, __ATOMIC_RELAXED);
	/* Who has a full ring needs it emptied to come to the end. */
	for (i = 0; i < CPUS; i++)
		while (pthread_tryjoin_np(thread[i], NULL))
			follow(self);
	follow(self);
	EXPECT_EQ(0, differing(self));
	EXPECT_LT(PAGES, self->told);
	TH_LOG("%lu pages copied", self->told);
}

KEEL_TEST_MAIN
