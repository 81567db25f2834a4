// SPDX-License-Identifier: GPL-2.0
/*
 * Page-modification logging (PML): the CPU fills a page of 512 guest physical
 * addresses from the end. This file does not interpret them.
 */
#include "controls.h"
#include "ops.h"
#include "vmcs.h"

#define INDEX_EMPTY	(VMX_LOG_ENTRIES - 1)

void vmx_log_reset(struct vmx_vcpu *v)
{
	v->logging = false;
	if (!v->write_log)
		return;
	vmcs_write(PML_ADDRESS, __pa(v->write_log));
	vmcs_write(GUEST_PML_INDEX, INDEX_EMPTY);
}

void vmx_log_writes(struct vmx_vcpu *v, bool on)
{
	on = on && v->write_log;
	if (v->logging == on)
		return;
	v->logging = on;
	vmcs_write_proc2(v);
}

unsigned int vmx_take_log(struct vmx_vcpu *v, const u64 **gpas)
{
	/* The index is that of the next entry to fill; it wraps below 0 when the log is full. */
	u16 index = vmcs_read(GUEST_PML_INDEX);
	unsigned int first = index >= VMX_LOG_ENTRIES ? 0 : index + 1;

	if (index == INDEX_EMPTY)
		return 0;
	vmcs_write(GUEST_PML_INDEX, INDEX_EMPTY);
	*gpas = v->write_log + first;
	return VMX_LOG_ENTRIES - first;
}
