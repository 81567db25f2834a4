/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Memory that is missing until the test supplies it (userfaultfd): whoever
 * touches it sleeps, for as long as the test likes.
 */
#ifndef KEEL_TEST_PENDING_H
#define KEEL_TEST_PENDING_H

#include "keel_test.h"

struct pending {
	int fd;
	u8 *mem;
	u64 size;
};

/* @pages of missing memory. False: the kernel has no userfaultfd. */
bool pending_open(struct pending *p, u64 pages);
/* The memory goes, and whoever sleeps in it wakes up. */
void pending_close(struct pending *p);
/* Wait until somebody sleeps in it. */
void pending_wait(struct pending *p);
/* All of it is there from now on, and each page begins with @value. */
void pending_serve(struct pending *p, u64 value);

/*
 * Call @fn(@arg) in a thread: does it return within five seconds? pending_join()
 * waits until it has, which the test may have to make possible first.
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
