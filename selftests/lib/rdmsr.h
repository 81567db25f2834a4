/* SPDX-License-Identifier: GPL-2.0 */
/* A guest that reads and writes MSRs on request. The tests decide what the MSRs should hold. */
#ifndef KEEL_TEST_RDMSR_H
#define KEEL_TEST_RDMSR_H

#include "keel_test.h"

/* Guest code: one RDMSR or WRMSR after the other. */
void msr_guest(void);

/* Run one access. Return 0, or the vector that it raised plus one. */
int rd(struct vcpu *vcpu, u32 index, u64 *value);
int wr(struct vcpu *vcpu, u32 index, u64 value);

/*
 * Set the next access, for a test that runs the vCPU itself; the guest answers
 * with guest_sync(trap, value).
 */
void msr_prepare(struct vcpu *vcpu, u32 index, bool write, u64 value);

#endif
