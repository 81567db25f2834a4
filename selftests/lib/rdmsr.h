/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A guest that reads and writes the model-specific registers it is told to. What
 * should be in them is the test's.
 */
#ifndef KEEL_TEST_RDMSR_H
#define KEEL_TEST_RDMSR_H

#include "keel_test.h"

/* Code of the guest: one RDMSR or WRMSR after the other. */
void msr_guest(void);

/* Run to the end of one access. Return 0, or the vector that it raised plus one. */
int rd(struct vcpu *vcpu, u32 index, u64 *value);
int wr(struct vcpu *vcpu, u32 index, u64 value);

/* The next access, for who runs the vCPU itself; its guest_sync() is (trap, value). */
void msr_prepare(struct vcpu *vcpu, u32 index, bool write, u64 value);

#endif
