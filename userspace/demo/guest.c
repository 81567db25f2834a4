// SPDX-License-Identifier: GPL-2.0
/*
 * The guest of keel-demo. This code is copied out of the program into a VM and
 * runs there in 64-bit mode without libraries, interrupts or data of its own: all
 * its input is in registers and in struct shared.
 */
#include "guest.h"

#define WRITE_MASK	3	/* every fourth operation is a write */

/* Operations on one page in a row: drivers also access the same register repeatedly. */
#define BURST		8u

/* Two state words whose sequences differ by at most this name every backing in between. */
#define MAX_DISTANCE	3

static __guest __u64 load(const __u64 *p)
{
	return __atomic_load_n(p, __ATOMIC_SEQ_CST);
}

/* The asm makes each access exactly one instruction. */
static __guest __u64 read64(__u64 address)
{
	__u64 value;

	asm volatile("movq (%1), %0" : "=r" (value) : "r" (address) : "memory");
	return value;
}

static __guest __u64 read32(__u64 address)
{
	__u32 value;

	asm volatile("movl (%1), %0" : "=r" (value) : "r" (address) : "memory");
	return value;
}

static __guest void write64(__u64 address, __u64 value)
{
	asm volatile("movq %0, (%1)" : : "r" (value), "r" (address) : "memory");
}

static __guest __u64 next_random(__u64 x)
{
	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return x;
}

struct operation {
	__u32 window, page;
	__u64 mask;		/* of the bits that were read */
	__u64 value, before, after;
};

static __guest int is_from(const struct operation *op, __u32 backing)
{
	return op->value == (identity(backing, op->window, op->page) & op->mask);
}

static __guest int is_explained(const struct operation *op)
{
	__u32 backing;

	if (is_from(op, state_old(op->before)) || is_from(op, state_new(op->before)) ||
	    is_from(op, state_old(op->after)) || is_from(op, state_new(op->after)))
		return 1;
	if (state_sequence(op->after) - state_sequence(op->before) <= MAX_DISTANCE)
		return 0;
	for (backing = BACKING_MMIO; backing <= BACKING_SLOT(SLOTS - 1); backing++)
		if (is_from(op, backing))
			return 1;
	return 0;
}

static __guest void report(struct guest_cpu *cpu, const struct operation *op)
{
	if (!cpu->wrong) {
		cpu->window = op->window;
		cpu->page = op->page;
		cpu->value = op->value;
		cpu->before = op->before;
		cpu->after = op->after;
	}
	__atomic_store_n(&cpu->wrong, cpu->wrong + 1, __ATOMIC_SEQ_CST);
}

static __guest void do_read(struct shared *shared, struct guest_cpu *cpu, struct operation *op,
			    __u64 address, int is_wide)
{
	op->mask = is_wide ? ~0ull : 0xffffffff;
	op->before = load(&shared->state[op->window]);
	op->value = is_wide ? read64(address + IDENTITY_OFFSET) :
			      read32(address + IDENTITY_OFFSET);
	op->after = load(&shared->state[op->window]);
	if (!is_explained(op))
		report(cpu, op);
}

/* If the window was RAM all the time, the write must be there. */
static __guest void do_write(struct shared *shared, struct guest_cpu *cpu, struct operation *op,
			     __u64 address, __u64 value)
{
	op->before = load(&shared->state[op->window]);
	write64(address, value);
	op->value = value;
	if (state_old(op->before) == state_new(op->before) &&
	    state_new(op->before) != BACKING_MMIO)
		op->value = read64(address);
	op->after = load(&shared->state[op->window]);
	if (op->before == op->after && op->value != value)
		report(cpu, op);
}

static __guest void do_burst(struct shared *shared, __u64 number, __u64 random)
{
	struct guest_cpu *cpu = &shared->cpus[number];
	struct operation op;
	__u64 address;
	__u32 i;

	op.window = random % WINDOWS;
	op.page = (random >> 8) % WINDOW_PAGES;
	address = WINDOWS_GPA + op.window * WINDOW_SIZE + op.page * DEMO_PAGE_SIZE;
	for (i = 0; i < BURST; i++) {
		random >>= 3;
		if (random & WRITE_MASK)
			do_read(shared, cpu, &op, address, random >> 2 & 1);
		else
			do_write(shared, cpu, &op, address + WRITE_OFFSET(number),
				 write_value(number, op.window, cpu->operations));
		__atomic_store_n(&cpu->operations, cpu->operations + 1, __ATOMIC_SEQ_CST);
	}
}

void __guest guest_main(struct shared *shared, __u64 number)
{
	__u64 random = 0x9e3779b97f4a7c15ull * (number + 1);

	while (!load(&shared->stop)) {
		random = next_random(random);
		do_burst(shared, number, random);
	}
	for (;;)
		asm volatile("hlt");
}
