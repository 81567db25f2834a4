// SPDX-License-Identifier: GPL-2.0
/*
 * The guest that touches memory, and the thread that runs it while it counts.
 * Order and progress of a vCPU are in the guest's copy of @order.
 */
#include <pthread.h>
#include <sched.h>
#include "touch.h"
#include "guest.h"

enum { READ, WRITE, SUM, COUNT };

/* The order of one vCPU; @stop and @rounds: see touch_count(). */
static struct order {
	u64 what, gpa, value, pages;
	u64 stop, rounds;
} order[TOUCH_VCPUS];

static struct runner {
	pthread_t thread;
	u64 failures;
} runner[TOUCH_VCPUS];

static u64 guest_sum(const struct order *o)
{
	u64 sum = 0, i;

	for (i = 0; i < o->pages; i++)
		sum += guest_read64(o->gpa + i * PAGE);
	return sum;
}

static u64 guest_count(struct order *o)
{
	u64 i;

	while (!__atomic_load_n(&o->stop, __ATOMIC_RELAXED)) {
		for (i = 0; i < o->pages; i++)
			(*(volatile u64 *)(o->gpa + i * PAGE))++;
		__atomic_store_n(&o->rounds, o->rounds + 1, __ATOMIC_RELEASE);
	}
	return o->rounds;
}

static u64 guest_obey(struct order *o)
{
	switch (o->what) {
	case READ:
		return guest_read64(o->gpa);
	case WRITE:
		guest_write64(o->gpa, o->value);
		return o->value;
	case SUM:
		return guest_sum(o);
	}
	return guest_count(o);
}

static void guest_touch0(void)
{
	for (;;)
		guest_sync(guest_obey(&order[0]));
}

static void guest_touch1(void)
{
	for (;;)
		guest_sync(guest_obey(&order[1]));
}

static struct order *order_of(struct vcpu *vcpu)
{
	return &GUEST_VAR(vcpu->vm, order)[vcpu->id];
}

static void give(struct vcpu *vcpu, u64 what, u64 gpa, u64 pages, u64 value)
{
	struct order *o = order_of(vcpu);

	o->what = what;
	o->gpa = gpa;
	o->pages = pages;
	o->value = value;
}

struct vcpu *touch_vcpu(struct vm *vm, unsigned int id)
{
	CHECK(id < TOUCH_VCPUS, "vCPU %u", id);
	return vcpu_create(vm, id, id ? guest_touch1 : guest_touch0);
}

/* --- one order ----------------------------------------------------------- */

u64 touch_again(struct vcpu *vcpu)
{
	return vcpu_sync(vcpu);
}

u64 touch_read(struct vcpu *vcpu, u64 gpa)
{
	give(vcpu, READ, gpa, 0, 0);
	return vcpu_sync(vcpu);
}

void touch_write(struct vcpu *vcpu, u64 gpa, u64 value)
{
	give(vcpu, WRITE, gpa, 0, value);
	vcpu_sync(vcpu);
}

u64 touch_sum(struct vcpu *vcpu, u64 gpa, u64 pages)
{
	give(vcpu, SUM, gpa, pages, 0);
	return vcpu_sync(vcpu);
}

int touch_try_read(struct vcpu *vcpu, u64 gpa)
{
	give(vcpu, READ, gpa, 0, 0);
	return __vcpu_run(vcpu);
}

int touch_try_write(struct vcpu *vcpu, u64 gpa, u64 value)
{
	give(vcpu, WRITE, gpa, 0, value);
	return __vcpu_run(vcpu);
}

/* --- counting ------------------------------------------------------------ */

/* The only legal exit is the final one of the guest: none may be for MMIO. */
static void *run_counting(void *arg)
{
	struct vcpu *vcpu = arg;
	int err;

	while ((err = __vcpu_run(vcpu))) {
		CHECK(err == -EFAULT || err == -EINTR || err == -EAGAIN, "run: %s",
		      strerror(-err));
		if (err == -EFAULT)
			__atomic_add_fetch(&runner[vcpu->id].failures, 1, __ATOMIC_RELAXED);
		sched_yield();
	}
	CHECK(vcpu_decode(vcpu) == GUEST_SYNC, "exit %d", vcpu->run->exit_reason);
	return NULL;
}

void touch_count(struct vcpu *vcpu, u64 gpa, u64 pages)
{
	give(vcpu, COUNT, gpa, pages, 0);
	order_of(vcpu)->stop = 0;
	order_of(vcpu)->rounds = 0;
	runner[vcpu->id].failures = 0;
	CHECK(!pthread_create(&runner[vcpu->id].thread, NULL, run_counting, vcpu), "thread");
}

u64 touch_count_stop(struct vcpu *vcpu)
{
	__atomic_store_n(&order_of(vcpu)->stop, 1, __ATOMIC_RELAXED);
	pthread_join(runner[vcpu->id].thread, NULL);
	return vcpu->arg[0];
}

u64 touch_rounds(struct vcpu *vcpu)
{
	return __atomic_load_n(&order_of(vcpu)->rounds, __ATOMIC_ACQUIRE);
}

u64 touch_failures(struct vcpu *vcpu)
{
	return __atomic_load_n(&runner[vcpu->id].failures, __ATOMIC_RELAXED);
}

void touch_wait(struct vcpu *vcpu, u64 n)
{
	u64 until = touch_rounds(vcpu) + n;

	while (touch_rounds(vcpu) < until)
		sched_yield();
}
