/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A guest that touches memory on request: it reads, writes, sums up, and counts
 * in every page of a range until it is stopped, which reveals a lost write. The
 * tests decide what memory that is and what happens to it.
 */
#ifndef KEEL_TEST_TOUCH_H
#define KEEL_TEST_TOUCH_H

#include "keel_test.h"

#define TOUCH_GPA	0x40000000UL	/* address for the memory; in no slot */
#define TOUCH_VCPUS	2

/* @id: below TOUCH_VCPUS */
struct vcpu *touch_vcpu(struct vm *vm, unsigned int id);

u64 touch_read(struct vcpu *vcpu, u64 gpa);
void touch_write(struct vcpu *vcpu, u64 gpa, u64 value);
/* Sum of the words at @gpa and at the same offset of the next @pages - 1 pages. */
u64 touch_sum(struct vcpu *vcpu, u64 gpa, u64 pages);

/*
 * Return what KVM_RUN returned: 0, or -errno if the guest could not make the
 * access. touch_again() lets it try again and returns the value read.
 */
int touch_try_read(struct vcpu *vcpu, u64 gpa);
int touch_try_write(struct vcpu *vcpu, u64 gpa, u64 value);
u64 touch_again(struct vcpu *vcpu);

/*
 * touch_count() starts a thread that adds one to the word at @gpa of each of
 * @pages pages, round after round, and calls KVM_RUN again after -EFAULT.
 * touch_count_stop() lets it finish the round and returns the number of all
 * rounds.
 */
void touch_count(struct vcpu *vcpu, u64 gpa, u64 pages);
u64 touch_count_stop(struct vcpu *vcpu);
/* Number of rounds so far; number of failed KVM_RUNs. */
u64 touch_rounds(struct vcpu *vcpu);
u64 touch_failures(struct vcpu *vcpu);
/* Wait for @n more rounds. */
void touch_wait(struct vcpu *vcpu, u64 n);

#endif
