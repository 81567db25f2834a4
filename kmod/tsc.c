// SPDX-License-Identifier: GPL-2.0
/*
 * Owns the arithmetic of the guest's time stamp counter: offset, ratio, the
 * offset that the vCPUs of a VM agree on, and the ioctls that set the rate. The
 * VMCS fields belong to vmx/.
 */
#include <linux/math64.h>
#include <asm/tsc.h>

#include "clock.h"
#include "keel.h"
#include "tsc.h"

/* A rate this close to the host's is taken for the host's. */
#define TOLERANCE_PPM	250

void keel_tsc_vm_init(struct keel_vm *vm)
{
	spin_lock_init(&vm->tsc.lock);
	vm->tsc_khz = tsc_khz;
}

static bool near_host_rate(u64 khz)
{
	u64 slack = div_u64((u64)tsc_khz * TOLERANCE_PPM, 1000000);

	return khz + slack >= tsc_khz && khz <= tsc_khz + slack;
}

/* True if the hardware can run at the rate and its ratio fits 16 integer bits. */
static bool rate_possible(u64 khz)
{
	if (near_host_rate(khz))
		return true;
	return vmx_caps.tsc_scaling && khz >> 16 < tsc_khz;
}

static u64 ratio_of(u64 khz)
{
	if (near_host_rate(khz))
		return VMX_TSC_RATIO_ONE;
	return mul_u64_u32_div(VMX_TSC_RATIO_ONE, khz, tsc_khz);
}

/* The guest's counter at host TSC @host, without its offset. */
static u64 scaled(struct keel_vcpu *vcpu, u64 host)
{
	return mul_u64_u64_shr(host, ratio_of(vcpu->tsc_khz), VMX_TSC_RATIO_SHIFT);
}

static void set_offset(struct keel_vcpu *vcpu, u64 offset)
{
	vmx_set_tsc(&vcpu->vmx, offset, ratio_of(vcpu->tsc_khz));
	keel_clock_tsc_changed(vcpu);
}

static u64 get_offset(struct keel_vcpu *vcpu)
{
	return vmx_guest_tsc(&vcpu->vmx, 0);
}

bool keel_tsc_equal(struct keel_vcpu *a, struct keel_vcpu *b)
{
	return a->tsc_khz == b->tsc_khz && get_offset(a) == get_offset(b);
}

u64 keel_tsc_read(struct keel_vcpu *vcpu)
{
	return vmx_guest_tsc(&vcpu->vmx, vmx_host_tsc());
}

void keel_tsc_write(struct keel_vcpu *vcpu, u64 value)
{
	u64 delta = value - keel_tsc_read(vcpu);

	set_offset(vcpu, get_offset(vcpu) + delta);
	vcpu->tsc_adjust += delta;
}

void keel_tsc_set_adjust(struct keel_vcpu *vcpu, u64 value)
{
	set_offset(vcpu, get_offset(vcpu) + value - vcpu->tsc_adjust);
	vcpu->tsc_adjust = value;
}

/* True if a write of @value at host TSC @host continues the last one. */
static bool continues(struct keel_vcpu *vcpu, u64 value, u64 host)
{
	const struct keel_vm_tsc *last = &vcpu->vm->tsc;
	u64 second = vcpu->tsc_khz * 1000;
	u64 expected;

	if (!last->written || last->khz != vcpu->tsc_khz)
		return false;
	/* A vCPU that is created later starts from zero: give it the others' offset. */
	if (!value)
		return true;
	if (!last->by_user)
		return false;
	expected = last->value + scaled(vcpu, host - last->host);
	return value - expected + second < 2 * second;
}

void keel_tsc_synchronize(struct keel_vcpu *vcpu, u64 value)
{
	struct keel_vm_tsc *last = &vcpu->vm->tsc;
	u64 host, offset;

	spin_lock(&last->lock);
	host = vmx_host_tsc();
	if (continues(vcpu, value, host)) {
		offset = last->offset;
	} else {
		offset = value - scaled(vcpu, host);
		last->written = true;
		last->by_user = value;
		last->host = host;
		last->value = value;
		last->offset = offset;
		last->khz = vcpu->tsc_khz;
	}
	spin_unlock(&last->lock);
	set_offset(vcpu, offset);
}

u64 keel_tsc_offset(struct keel_vcpu *vcpu)
{
	return get_offset(vcpu) + scaled(vcpu, vmx_tsc_lost);
}

/* Make the offset the one that later writes of values are compared with. */
void keel_tsc_set_offset(struct keel_vcpu *vcpu, u64 offset)
{
	struct keel_vm_tsc *last = &vcpu->vm->tsc;

	offset -= scaled(vcpu, vmx_tsc_lost);
	spin_lock(&last->lock);
	last->written = true;
	last->by_user = true;
	last->host = vmx_host_tsc();
	last->value = scaled(vcpu, last->host) + offset;
	last->offset = offset;
	last->khz = vcpu->tsc_khz;
	spin_unlock(&last->lock);
	set_offset(vcpu, offset);
}

void keel_tsc_reset(struct keel_vcpu *vcpu)
{
	vcpu->tsc_khz = READ_ONCE(vcpu->vm->tsc_khz);
	vcpu->tsc_adjust = 0;
	keel_tsc_synchronize(vcpu, 0);
}

long keel_get_tsc_khz(struct keel_vcpu *vcpu, void *data)
{
	return vcpu->tsc_khz;
}

/* Take 0 for the host's rate. Return 0 if @data is not a possible rate. */
static u64 rate_argument(void *data)
{
	u32 khz = (unsigned long)data;

	if (!khz)
		khz = tsc_khz;
	return khz <= INT_MAX && rate_possible(khz) ? khz : 0;
}

/* The counter continues from its present value at the new rate. */
long keel_set_tsc_khz(struct keel_vcpu *vcpu, void *data)
{
	u64 khz = rate_argument(data);
	u64 host, value;

	if (!khz)
		return -EINVAL;
	if (khz == vcpu->tsc_khz)
		return 0;
	host = vmx_host_tsc();
	value = vmx_guest_tsc(&vcpu->vmx, host);
	vcpu->tsc_khz = khz;
	set_offset(vcpu, value - scaled(vcpu, host));
	return 0;
}

long keel_vm_get_tsc_khz(struct keel_vm *vm, void *data)
{
	return READ_ONCE(vm->tsc_khz);
}

long keel_vm_set_tsc_khz(struct keel_vm *vm, void *data)
{
	u64 khz = rate_argument(data);

	if (!khz)
		return -EINVAL;
	WRITE_ONCE(vm->tsc_khz, khz);
	return 0;
}
