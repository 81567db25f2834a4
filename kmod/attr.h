/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Device attributes of /dev/keel and of a vCPU: values that are addressed by
 * group and number instead of an ioctl of their own.
 */
#ifndef KEEL_ATTR_H
#define KEEL_ATTR_H

struct keel_vcpu;

/* KVM_HAS_DEVICE_ATTR, KVM_GET_DEVICE_ATTR on /dev/keel: RAW. */
long keel_dev_has_attr(void *data);
long keel_dev_get_attr(void *data);

/* KVM_HAS, KVM_GET and KVM_SET_DEVICE_ATTR of a vCPU; the latter: LOAD. */
long keel_vcpu_has_attr(struct keel_vcpu *vcpu, void *data);
long keel_vcpu_get_attr(struct keel_vcpu *vcpu, void *data);
long keel_vcpu_set_attr(struct keel_vcpu *vcpu, void *data);

#endif
