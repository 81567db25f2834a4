/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Memory that is missing until the test supplies it (userfaultfd): a thread that
 * touches it sleeps until then.
 */
#ifndef KEEL_TEST_PENDING_H
#define KEEL_TEST_PENDING_H

#include "keel_test.h"

struct pending {
	int fd;
	u8 *mem;
	u64 size;
};

/* Create @pages of missing memory. False if the kernel has no userfaultfd. */
bool pending_open(struct pending *p, u64 pages);
/* Unmap the memory; wakes the threads that sleep on it. */
void pending_close(struct pending *p);
/* Wait until a thread sleeps on the memory. */
void pending_wait(struct pending *p);
/* Supply all pages; each begins with @value. */
void pending_serve(struct pending *p, u64 value);

/*
 * Call @fn(@arg) in a thread. pending_returns() waits up to five seconds for its
 * return; pending_join() waits until it has returned, which the test may have to
 * make possible first.
 */
struct pending_call {
	void (*fn)(void *arg);
	void *arg;
	int returned;
	unsigned long thread;
};

void pending_start(struct pending_call *c, void (*fn)(void *arg), void *arg);
bool pending_returns(struct pending_call *c);
bool pending_returned(struct pending_call *c);
void pending_join(struct pending_call *c);

#endif
