/* SPDX-License-Identifier: GPL-2.0 */
/*
 * For test builds only: control over the generation, and points at which
 * a race can be held open. A release build contains none of it.
 */
#ifndef KEEL_TEST_H
#define KEEL_TEST_H

#include <linux/types.h>

struct keel_vm;

/*
 * enum test_point - where to wait
 * @TEST_PUBLISHED:	an update has published; readers of the old snapshot may be left
 * @TEST_WINDOW:	the grace period is over, MMIO entries have been removed if the
 *			numbers wrap, and the flag is still set
 * @TEST_LOOKED_UP:	a fault has looked its slot up and has not taken mmu.lock yet
 * @TEST_PAGE_FOUND:	a fault has found the host's page and has not taken mmu.lock to
 *			check for invalidations yet
 * @TEST_INVALIDATING:	the host has begun to take pages away, their mappings are gone
 * @TEST_PAUSED:	a removal has given way; it always does while this is set
 * @TEST_SPLITTING:	a huge leaf has been read and is about to be replaced
 * @TEST_GRACE:		grace_work() has waited for readers and has not taken slots_lock
 *			again yet
 * @TEST_VCPU_LISTED:	a new vCPU can be found and has no file yet
 * @TEST_VCPU_FOUND:	such a vCPU has been found and is about to be read
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
/* The same without sleeping, for atomic context. */
void test_point_busy(enum test_point point);
/* Will the next test_point() there sleep? */
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
