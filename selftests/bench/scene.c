// SPDX-License-Identifier: GPL-2.0
/*
 * The scene of memory updates: a VM with as many slots, mapped pages, cached
 * MMIO verdicts and busy vCPUs as wanted, and one slot left free to change.
 * Measures nothing but the updates it is made of.
 */
#include <linux/keel.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <time.h>
#include "bench.h"

#define FIRST_SPREAD	3		/* ids: 0 program, 1 changing, 2 mapped */
#define SPIN_PAGES	64

struct spinner {
	struct vcpu *vcpu;
	pthread_t thread;
	bool stop;
};

/* Of the guest's copy of this program. */
static volatile struct {
	u64 pages, mmio;
	u64 spun[MAX_SPINNERS];
} guest_plan;

static void guest_touch(void)
{
	u64 i;

	for (;;) {
		for (i = 0; i < guest_plan.pages; i++)
			guest_write32(MAPPED_GPA + i * PAGE, 1);
		for (i = 0; i < guest_plan.mmio; i++)
			guest_write32(CACHED_GPA + i * PAGE, 1);
		guest_sync(0);
	}
}

/* A write to each of the mapped pages, if there are any, counts as one step. */
static void guest_spin(u64 index)
{
	u64 i;

	for (;;) {
		for (i = 0; i < SPIN_PAGES && i < guest_plan.pages; i++)
			guest_write64(MAPPED_GPA + i * PAGE + 8 * index, i);
		guest_plan.spun[index]++;
	}
}

static void guest_spin0(void) { guest_spin(0); }
static void guest_spin1(void) { guest_spin(1); }
static void guest_spin2(void) { guest_spin(2); }
static void guest_spin3(void) { guest_spin(3); }

/* What a huge page would map at one stroke shall cost as much as it has pages. */
static void *small_pages(u64 n)
{
	void *mem = anon_alloc(n * PAGE);

	madvise(mem, n * PAGE, MADV_NOHUGEPAGE);
	return mem;
}

struct scene *scene_open(void)
{
	struct kvm_enable_cap in_place = { .cap = KEEL_CAP_MEMORY_IN_PLACE };
	struct scene *sc = calloc(1, sizeof(*sc));

	CHECK(sc, "out of memory");
	sc->vm = vm_create();
	/* What upstream has not gives rows without its figures. */
	__vm_ioctl(sc->vm, KVM_ENABLE_CAP, &in_place);
	sc->toucher = vcpu_create(sc->vm, 0, guest_touch);
	sc->changing = anon_alloc(HUGE);
	sc->slots = 1;
	return sc;
}

void scene_close(struct scene *sc)
{
	scene_spin(sc, 0);
	vcpu_free(sc->toucher);
	vm_free(sc->vm);
	munmap(sc->changing, HUGE);
	if (sc->mapped)
		munmap(sc->mapped, sc->pages * PAGE);
	if (sc->spread)
		munmap(sc->spread, MAX_SLOTS * PAGE);
	free(sc);
}

u64 timed_update(struct vm *vm, const struct kvm_userspace_memory_region *region, int *err)
{
	u64 start = ticks();
	int ret = ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, region);
	u64 end = ticks();

	*err = ret ? -errno : 0;
	return end - start;
}

void scene_add_slots(struct scene *sc, unsigned int n, struct samples *s)
{
	struct kvm_userspace_memory_region region = { .memory_size = PAGE };
	u64 took;
	int err;

	if (!sc->spread)
		sc->spread = small_pages(MAX_SLOTS);
	for (; sc->slots < n; sc->slots++) {
		region.slot = FIRST_SPREAD + sc->slots;
		region.guest_phys_addr = SPREAD_GPA + 2 * PAGE * sc->slots;
		region.userspace_addr = (unsigned long)sc->spread + PAGE * sc->slots;
		took = timed_update(sc->vm, &region, &err);
		CHECK(!err, "slot %u: %s", sc->slots, strerror(-err));
		if (s)
			sample(s, took);
	}
}

void scene_map(struct scene *sc, u64 pages)
{
	u64 i;

	sc->mapped = small_pages(pages);
	for (i = 0; i < pages; i++)
		sc->mapped[i * PAGE] = 1;
	vm_set_slot(sc->vm, 2, 0, MAPPED_GPA, pages * PAGE, sc->mapped);
	sc->pages = pages;
	GUEST_VAR(sc->vm, guest_plan).pages = pages;
}

void scene_cache(struct scene *sc, u64 mmio)
{
	sc->mmio = mmio;
	GUEST_VAR(sc->vm, guest_plan).mmio = mmio;
}

void scene_refresh(struct scene *sc)
{
	if (!sc->pages && !sc->mmio)
		return;
	do {
		vcpu_run(sc->toucher);
	} while (sc->toucher->run->exit_reason == KVM_EXIT_MMIO);
	CHECK(vcpu_decode(sc->toucher) == GUEST_SYNC, "exit %u",
	      sc->toucher->run->exit_reason);
}

/* --- busy vCPUs --------------------------------------------------------- */

static void ignore(int signal)
{
}

static void *spin(void *arg)
{
	struct spinner *sp = arg;
	int err;

	while (!__atomic_load_n(&sp->stop, __ATOMIC_ACQUIRE)) {
		err = __vcpu_run(sp->vcpu);
		CHECK(err == -EINTR, "KVM_RUN: %s, exit %u", strerror(-err),
		      sp->vcpu->run->exit_reason);
	}
	return NULL;
}

static void start_spinner(struct scene *sc)
{
	static void (*const code[MAX_SPINNERS])(void) = {
		guest_spin0, guest_spin1, guest_spin2, guest_spin3,
	};
	unsigned int index = sc->spinners++;
	struct spinner *sp = calloc(1, sizeof(*sp));

	CHECK(sp, "out of memory");
	sc->spinner[index] = sp;
	sp->vcpu = vcpu_create(sc->vm, 1 + index, code[index]);
	CHECK(!pthread_create(&sp->thread, NULL, spin, sp), "thread");
	while (!GUEST_VAR(sc->vm, guest_plan).spun[index])
		sched_yield();
}

/* The flag ends the loop, the other two whatever KVM_RUN is or will be doing. */
static void stop_spinner(struct scene *sc)
{
	struct spinner *sp = sc->spinner[--sc->spinners];

	__atomic_store_n(&sp->stop, true, __ATOMIC_RELEASE);
	__atomic_store_n(&sp->vcpu->run->immediate_exit, 1, __ATOMIC_RELEASE);
	pthread_kill(sp->thread, SIGUSR1);
	pthread_join(sp->thread, NULL);
	vcpu_free(sp->vcpu);
	free(sp);
}

void scene_spin(struct scene *sc, unsigned int n)
{
	struct sigaction action = { .sa_handler = ignore };

	CHECK(n <= MAX_SPINNERS, "%u spinners", n);
	sigaction(SIGUSR1, &action, NULL);
	while (sc->spinners < n)
		start_spinner(sc);
	while (sc->spinners > n)
		stop_spinner(sc);
}

u64 scene_progress(struct scene *sc, unsigned int spinner, u64 *cpu_time)
{
	struct timespec ts;
	clockid_t clock;

	pthread_getcpuclockid(sc->spinner[spinner]->thread, &clock);
	clock_gettime(clock, &ts);
	*cpu_time = ts.tv_sec * 1000000000UL + ts.tv_nsec;
	return GUEST_VAR(sc->vm, guest_plan).spun[spinner];
}
