/* SPDX-License-Identifier: GPL-2.0 */
/*
 * /sys/kernel/debug/keel/<vm>/<counter> and <vm>/vcpu<n>/<counter>: one file
 * per counter. Without debugfs these functions do nothing.
 */
#ifndef KEEL_DEBUGFS_H
#define KEEL_DEBUGFS_H

struct keel_vm;
struct keel_vcpu;

void keel_debugfs_init(void);
void keel_debugfs_exit(void);
void keel_debugfs_add_vm(struct keel_vm *vm);
void keel_debugfs_remove_vm(struct keel_vm *vm);
/* vm->lock held. */
void keel_debugfs_add_vcpu(struct keel_vcpu *vcpu);

#endif
