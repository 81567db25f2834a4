/* SPDX-License-Identifier: GPL-2.0 */
/*
 * For test builds only: control over the generation, and points at which
 * a race can be held open. In a release build nothing of it is left.
 */
#ifndef KEEL_TEST_H
#define KEEL_TEST_H

#include <linux/types.h>

struct keel_vm;

/*
 * enum test_point - where to wait
 * @TEST_PUBLISHED:	an update has published, readers of the old snapshot run on
 * @TEST_WINDOW:	the grace period is over, the flag still set, MMIO entries
 *			removed if the numbers wrap
 * @TEST_LOOKED_UP:	a fault knows its slot and has not taken mmu.lock yet
 * @TEST_PAGE_FOUND:	a fault has found the host's page and not asked yet whether the
 *			host has taken it away since
 * @TEST_INVALIDATING:	the host has begun to take pages away, their mappings are gone
 * @TEST_PAUSED:	a removal has given way, which it does where this is wanted
 * @TEST_SPLITTING:	a huge leaf has been read and is about to be replaced
 * @TEST_GRACE:		readers have been waited for on behalf of additions that have
 *			returned, and slots_lock has not been taken yet
 * @TEST_VCPU_LISTED:	a new vCPU can be found and has no file yet
 * @TEST_VCPU_FOUND:	such a vCPU has been found and is about to be looked at
 * @TEST_RINGING:	a doorbell, or a coalesced zone, has been found and is about
 *			to take a write
 */
enum test_point {
	TEST_PUBLISHED,
	TEST_WINDOW,
	TEST_LOOKED_UP,
	TEST_PAGE_FOUND,
	TEST_INVALIDATING,
	TEST_PAUSED,
	TEST_SPLITTING,
	TEST_GRACE,
	TEST_VCPU_LISTED,
	TEST_VCPU_FOUND,
	TEST_RINGING,
	TEST_POINTS,
};

#ifdef KEEL_TEST
void test_point(enum test_point point);
/* The same where sleeping is not allowed. */
void test_point_busy(enum test_point point);
/* Will the next who comes there wait? */
bool test_point_set(enum test_point point);
void test_add_vm(struct keel_vm *vm);
#else
static inline void test_point(enum test_point point)
{
}

static inline void test_point_busy(enum test_point point)
{
}

static inline bool test_point_set(enum test_point point)
{
	return false;
}

static inline void test_add_vm(struct keel_vm *vm)
{
}
#endif

#endif
