// SPDX-License-Identifier: GPL-2.0
/*
 * The guest that executes orders, and the host's side of it. The order of a vCPU
 * is in the guest's copy of @order.
 */
#include "order.h"
#include "guest.h"

enum { READ, WRITE, COPY, SWEEP };

static struct order {
	u64 op, from, to, pages;
	u64 stop, written;
} order[ORDER_VCPUS];

static void guest_sweep(volatile struct order *o)
{
	u64 n = 0;

	while (!o->stop) {
		guest_write32(o->to + n % o->pages * PAGE, n);
		o->written = ++n;
	}
}

static u64 guest_do(volatile struct order *o)
{
	u64 from = o->from, to = o->to;

	switch (o->op) {
	case READ:
		return guest_read64(from);
	case WRITE:
		guest_write32(to, 1);
		return 0;
	case COPY:
		asm volatile("movsq" : "+S"(from), "+D"(to) : : "memory");
		return 0;
	}
	guest_sweep(o);
	return 0;
}

static void guest_obey0(void)
{
	u64 result = 0;

	for (;;) {
		guest_sync(result);
		result = guest_do(&order[0]);
	}
}

static void guest_obey1(void)
{
	u64 result = 0;

	for (;;) {
		guest_sync(result);
		result = guest_do(&order[1]);
	}
}

static void run_order(void *arg)
{
	struct run *r = arg;
	u64 answer = ORDER_DEVICE;
	int reason;

	while ((reason = vcpu_next(r->vcpu)) == KVM_EXIT_MMIO) {
		if (!r->vcpu->run->mmio.is_write)
			memcpy(r->vcpu->run->mmio.data, &answer, sizeof(answer));
		r->exits++;
	}
	CHECK(reason == GUEST_SYNC, "exit %d", reason);
	r->result = r->vcpu->arg[0];
}

void run_create(struct run *r, struct vm *vm, unsigned int id)
{
	CHECK(id < ORDER_VCPUS, "vCPU %u", id);
	*r = (struct run){ .vcpu = vcpu_create(vm, id, id ? guest_obey1 : guest_obey0) };
	run_order(r);
}

static struct order *order_of(struct run *r)
{
	return &GUEST_VAR(r->vcpu->vm, order)[r->vcpu->id];
}

static void give(struct run *r, struct order o)
{
	*order_of(r) = o;
	r->exits = 0;
}

static void start(struct run *r, struct order o)
{
	give(r, o);
	pending_start(&r->call, run_order, r);
}

/* --- at once ---------------------------------------------------------------- */

u64 run_read(struct run *r, u64 gpa)
{
	give(r, (struct order){ .op = READ, .from = gpa });
	run_order(r);
	return r->result;
}

int run_write(struct run *r, u64 gpa)
{
	give(r, (struct order){ .op = WRITE, .to = gpa });
	run_order(r);
	return r->exits;
}

/* --- in a thread ------------------------------------------------------------ */

void run_start_read(struct run *r, u64 gpa)
{
	start(r, (struct order){ .op = READ, .from = gpa });
}

void run_start_write(struct run *r, u64 gpa)
{
	start(r, (struct order){ .op = WRITE, .to = gpa });
}

void run_start_copy(struct run *r, u64 from, u64 to)
{
	start(r, (struct order){ .op = COPY, .from = from, .to = to });
}

void run_start_sweep(struct run *r, u64 gpa, u64 pages)
{
	start(r, (struct order){ .op = SWEEP, .to = gpa, .pages = pages });
}

u64 run_written(struct run *r)
{
	return __atomic_load_n(&order_of(r)->written, __ATOMIC_RELAXED);
}

void run_stop(struct run *r)
{
	__atomic_store_n(&order_of(r)->stop, 1, __ATOMIC_RELAXED);
	pending_join(&r->call);
}
