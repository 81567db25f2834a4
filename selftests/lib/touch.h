/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A guest that touches memory as it is told: reads, writes, adds up, and counts
 * in every page of a range until it is stopped, which shows a write that is
 * lost. What memory that is, and what is done to it, is the test's.
 */
#ifndef KEEL_TEST_TOUCH_H
#define KEEL_TEST_TOUCH_H

#include "keel_test.h"

#define TOUCH_GPA	0x40000000UL	/* a place for the memory, in no slot */
#define TOUCH_VCPUS	2

/* @id: below TOUCH_VCPUS */
struct vcpu *touch_vcpu(struct vm *vm, unsigned int id);

u64 touch_read(struct vcpu *vcpu, u64 gpa);
void touch_write(struct vcpu *vcpu, u64 gpa, u64 value);
/* The sum of the words at @gpa and at the same place of the next @pages - 1 pages. */
u64 touch_sum(struct vcpu *vcpu, u64 gpa, u64 pages);

/*
 * The same, but tell what KVM_RUN has returned: 0, or -errno, and the guest is
 * about to try again, which touch_again() lets it do; that returns what is read.
 */
int touch_try_read(struct vcpu *vcpu, u64 gpa);
int touch_try_write(struct vcpu *vcpu, u64 gpa, u64 value);
u64 touch_again(struct vcpu *vcpu);

/*
 * In a thread: add one to the word at @gpa of each of @pages pages, round after
 * round. KVM_RUN may fail with -EFAULT, and is tried again. Stop: let it finish
 * the round; how many there were, all together.
 */
void touch_count(struct vcpu *vcpu, u64 gpa, u64 pages);
u64 touch_count_stop(struct vcpu *vcpu);
/* Rounds done so far; how often KVM_RUN has failed. */
u64 touch_rounds(struct vcpu *vcpu);
u64 touch_failures(struct vcpu *vcpu);
/* Wait until @n more rounds have been done. */
void touch_wait(struct vcpu *vcpu, u64 n);

#endif
