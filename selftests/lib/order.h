/* SPDX-License-Identifier: GPL-2.0 */
/*
 * vCPUs that execute one order after the other: read, write, copy, or write until
 * stopped. A device answers their MMIO exits, which are counted. An order can run
 * in a thread, since it may sleep.
 */
#ifndef KEEL_TEST_ORDER_H
#define KEEL_TEST_ORDER_H

#include "pending.h"

#define ORDER_VCPUS	2
#define ORDER_DEVICE	0xdeadUL	/* value that the device answers */

/*
 * struct run - a vCPU and the order that it runs
 * @result:	value read
 * @exits:	number of MMIO exits
 */
struct run {
	struct vcpu *vcpu;
	u64 result;
	int exits;
	struct pending_call call;
};

/* @id: below ORDER_VCPUS. The vCPU waits for its first order. */
void run_create(struct run *r, struct vm *vm, unsigned int id);

/* Read @gpa and return the value; write four bytes at @gpa and return the number of exits. */
u64 run_read(struct run *r, u64 gpa);
int run_write(struct run *r, u64 gpa);

/*
 * Run an order in the thread r->call. Copy: eight bytes. Sweep: write four bytes
 * to each of @pages pages, round after round.
 */
void run_start_read(struct run *r, u64 gpa);
void run_start_write(struct run *r, u64 gpa);
void run_start_copy(struct run *r, u64 from, u64 to);
void run_start_sweep(struct run *r, u64 gpa, u64 pages);

/* Number of writes of the sweep so far; stop the sweep. */
u64 run_written(struct run *r);
void run_stop(struct run *r);

#endif
