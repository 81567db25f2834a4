/* SPDX-License-Identifier: GPL-2.0 */
/*
 * An ioctl is a row of a table: command, flags and handler. The dispatcher
 * copies arguments of fixed size, in the direction that the command encodes, so
 * a handler gets a kernel copy; a handler of a KEEL_IOCTL_RAW command gets the
 * user pointer. The dispatcher takes the vCPU's mutex; handlers take all other
 * locks.
 */
#ifndef KEEL_IOCTL_H
#define KEEL_IOCTL_H

#include <linux/types.h>

struct file;
struct keel_vm;
struct keel_vcpu;

/*
 * struct keel_ioctl - one row
 * @cmd:	number; its _IOC direction and size say what is copied:
 *		_IOW in, _IOR out, _IOWR both, _IO nothing (@arg is the value)
 * @flags:	KEEL_IOCTL_*
 * @vm, @vcpu:	handler: the one that fits the fd kind. @data is a kernel copy
 *		of the argument, or for _IO the argument itself cast to a
 *		pointer, or for KEEL_IOCTL_RAW the user pointer.
 */
struct keel_ioctl {
	unsigned int cmd;
	unsigned int flags;
	union {
		long (*system)(void *data);
		long (*vm)(struct keel_vm *vm, void *data);
		long (*vcpu)(struct keel_vcpu *vcpu, void *data);
	};
};

#define KEEL_IOCTL_RAW		1	/* handler copies by itself */
#define KEEL_IOCTL_LOAD		2	/* vCPU: load it first */
#define KEEL_IOCTL_SETS		4	/* vCPU: on success call keel_drop_answer() */

long keel_system_ioctl(struct file *file, unsigned int cmd, unsigned long arg);
long keel_vm_ioctl(struct file *file, unsigned int cmd, unsigned long arg);
long keel_vcpu_ioctl(struct file *file, unsigned int cmd, unsigned long arg);

#endif
