/* SPDX-License-Identifier: GPL-2.0 */
/*
 * vCPUs that do as they are told, one order after the other: read, write, copy,
 * write on until they are stopped. Where they exit for MMIO a device answers,
 * and the exits are counted. An order may be run in a thread, for it may sleep.
 */
#ifndef KEEL_TEST_ORDER_H
#define KEEL_TEST_ORDER_H

#include "pending.h"

#define ORDER_VCPUS	2
#define ORDER_DEVICE	0xdeadUL	/* what the device answers */

/*
 * struct run - a vCPU and the order that it runs
 * @result:	what has been read
 * @exits:	for MMIO
 */
struct run {
	struct vcpu *vcpu;
	u64 result;
	int exits;
	struct pending_call call;
};

/* @id: below ORDER_VCPUS. The vCPU waits for its first order. */
void run_create(struct run *r, struct vm *vm, unsigned int id);

/* What is read at @gpa; how many exits a write of four bytes makes. */
u64 run_read(struct run *r, u64 gpa);
int run_write(struct run *r, u64 gpa);

/*
 * In a thread, which is r->call. Copy: eight bytes. Sweep: write four bytes to each
 * of @pages pages, round after round.
 */
void run_start_read(struct run *r, u64 gpa);
void run_start_write(struct run *r, u64 gpa);
void run_start_copy(struct run *r, u64 from, u64 to);
void run_start_sweep(struct run *r, u64 gpa, u64 pages);

/* How many writes of the sweep have been made; end it. */
u64 run_written(struct run *r);
void run_stop(struct run *r);

#endif
