// SPDX-License-Identifier: GPL-2.0
/*
 * Owns the ioctls for device attributes. There are two: the state components
 * that can be offered to guests, and the offset of a vCPU's time stamp counter.
 * vcpu_cpuid.c and tsc.c provide the values.
 */
#include <linux/errno.h>
#include <linux/uaccess.h>

#include "attr.h"
#include "cpuid.h"
#include "keel.h"
#include "tsc.h"

static u64 __user *value_of(const struct kvm_device_attr *attr)
{
	return (u64 __user *)(unsigned long)attr->addr;
}

/* --- the device ---------------------------------------------------------- */

static int check_dev_attr(void *data, struct kvm_device_attr *attr)
{
	if (copy_from_user(attr, (void __user *)data, sizeof(*attr)))
		return -EFAULT;
	return attr->group || attr->attr != KVM_X86_XCOMP_GUEST_SUPP ? -ENXIO : 0;
}

long keel_dev_has_attr(void *data)
{
	struct kvm_device_attr attr;

	return check_dev_attr(data, &attr);
}

long keel_dev_get_attr(void *data)
{
	struct kvm_device_attr attr;
	int err = check_dev_attr(data, &attr);

	return err ?: put_user(keel_host_xcr0(), value_of(&attr));
}

/* --- vCPUs --------------------------------------------------------------- */

static int check_vcpu_attr(const struct kvm_device_attr *attr)
{
	if (attr->group != KVM_VCPU_TSC_CTRL || attr->attr != KVM_VCPU_TSC_OFFSET)
		return -ENXIO;
	return 0;
}

long keel_vcpu_has_attr(struct keel_vcpu *vcpu, void *data)
{
	return check_vcpu_attr(data);
}

long keel_vcpu_get_attr(struct keel_vcpu *vcpu, void *data)
{
	int err = check_vcpu_attr(data);

	return err ?: put_user(keel_tsc_offset(vcpu), value_of(data));
}

long keel_vcpu_set_attr(struct keel_vcpu *vcpu, void *data)
{
	int err = check_vcpu_attr(data);
	u64 offset;

	if (err)
		return err;
	if (get_user(offset, value_of(data)))
		return -EFAULT;
	keel_tsc_set_offset(vcpu, offset);
	return 0;
}
