// SPDX-License-Identifier: GPL-2.0
/*
 * The guest that accesses MSRs, and its orders, which are in its own copy of the
 * variables. A trap is reported to the test and does not end it.
 */
#include "guest.h"
#include "rdmsr.h"

static u32 guest_index;
static u64 guest_value;
static int guest_write;

void msr_guest(void)
{
	u64 value;
	int trap;

	for (;;) {
		value = 0;
		if (guest_write)
			trap = guest_wrmsr(guest_index, guest_value);
		else
			trap = guest_rdmsr(guest_index, &value);
		guest_sync3(trap, value, 0);
	}
}

void msr_prepare(struct vcpu *vcpu, u32 index, bool write, u64 value)
{
	GUEST_VAR(vcpu->vm, guest_index) = index;
	GUEST_VAR(vcpu->vm, guest_value) = value;
	GUEST_VAR(vcpu->vm, guest_write) = write;
}

int rd(struct vcpu *vcpu, u32 index, u64 *value)
{
	msr_prepare(vcpu, index, false, 0);
	vcpu_sync(vcpu);
	*value = vcpu->arg[1];
	return vcpu->arg[0];
}

int wr(struct vcpu *vcpu, u32 index, u64 value)
{
	msr_prepare(vcpu, index, true, value);
	return vcpu_sync(vcpu);
}
