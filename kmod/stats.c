// SPDX-License-Identifier: GPL-2.0
/*
 * The counters of stats.h through KVM_GET_STATS_FD: a file that describes
 * itself. Layout: header, id, descriptors, values; names have a fixed size.
 */
#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/kvm.h>
#include <linux/module.h>
#include <linux/uaccess.h>

#include "keel.h"
#include "stats.h"
#include "vm.h"

#define NAME_SIZE	48

struct descriptor {
	struct kvm_stats_desc desc;
	char name[NAME_SIZE];
};

#define DESCRIPTOR(owner, kind, stat) {						\
	.desc = {								\
		.flags = KVM_STATS_TYPE_##kind | KVM_STATS_UNIT_NONE |		\
			 KVM_STATS_BASE_POW10,					\
		.size = 1,							\
		.offset = offsetof(struct keel_##owner##_stats, stat),		\
	},									\
	.name = #stat,								\
},

#define X(name, text) DESCRIPTOR(vcpu, CUMULATIVE, name)
static const struct descriptor vcpu_descriptors[] = { KEEL_VCPU_STATS(X) };
#undef X
#define X(name, text) DESCRIPTOR(vm, CUMULATIVE, name)
#define Y(name, text) DESCRIPTOR(vm, INSTANT, name)
static const struct descriptor vm_descriptors[] = { KEEL_VM_STATS(X) KEEL_VM_LEVELS(Y) };
#undef X
#undef Y

struct segment {
	const void *from;
	size_t len;
};

/* Copy the part of the concatenated segments that lies in [*pos, *pos + size). */
static ssize_t read_segments(const struct segment *seg, int n, char __user *buf, size_t size,
			     loff_t *pos)
{
	loff_t start = 0;
	ssize_t done = 0;

	for (; n--; start += seg->len, seg++) {
		size_t skip, len;

		if (*pos >= start + seg->len || done == size)
			continue;
		skip = *pos - start;
		len = min(seg->len - skip, size - done);
		if (copy_to_user(buf + done, seg->from + skip, len))
			return -EFAULT;
		done += len;
		*pos += len;
	}
	return done;
}

/* @values: a copy, as the counters go on. @id: begins with "kvm-", as the KVM API demands. */
static ssize_t read_stats(const char *id, const struct descriptor *desc, int n,
			  const void *values, char __user *buf, size_t size, loff_t *pos)
{
	struct kvm_stats_header header = {
		.name_size = NAME_SIZE,
		.num_desc = n,
		.id_offset = sizeof(header),
		.desc_offset = sizeof(header) + NAME_SIZE,
		.data_offset = sizeof(header) + NAME_SIZE + n * sizeof(*desc),
	};
	const struct segment segments[] = {
		{ &header, sizeof(header) },
		{ id, NAME_SIZE },
		{ desc, n * sizeof(*desc) },
		{ values, n * sizeof(u64) },
	};

	return read_segments(segments, ARRAY_SIZE(segments), buf, size, pos);
}

static ssize_t vm_read(struct file *file, char __user *buf, size_t size, loff_t *pos)
{
	struct keel_vm *vm = file->private_data;
	struct keel_vm_stats values = vm->stats;
	char id[NAME_SIZE] = { 0 };

	snprintf(id, sizeof(id), "kvm-%u", vm->id);
	return read_stats(id, vm_descriptors, ARRAY_SIZE(vm_descriptors), &values, buf, size,
			  pos);
}

static ssize_t vcpu_read(struct file *file, char __user *buf, size_t size, loff_t *pos)
{
	struct keel_vcpu *vcpu = file->private_data;
	struct keel_vcpu_stats values = vcpu->stats;
	char id[NAME_SIZE] = { 0 };

	snprintf(id, sizeof(id), "kvm-%u/vcpu-%d", vcpu->vm->id, vcpu->id);
	return read_stats(id, vcpu_descriptors, ARRAY_SIZE(vcpu_descriptors), &values, buf, size,
			  pos);
}

static int vm_release(struct inode *inode, struct file *file)
{
	keel_vm_put(file->private_data);
	return 0;
}

static int vcpu_release(struct inode *inode, struct file *file)
{
	struct keel_vcpu *vcpu = file->private_data;

	keel_vm_put(vcpu->vm);
	return 0;
}

static const struct file_operations vm_fops = {
	.owner = THIS_MODULE,
	.read = vm_read,
	.release = vm_release,
	.llseek = noop_llseek,
};

static const struct file_operations vcpu_fops = {
	.owner = THIS_MODULE,
	.read = vcpu_read,
	.release = vcpu_release,
	.llseek = noop_llseek,
};

/* The file holds a reference to the VM, and the VM keeps its vCPUs. */
static long open_stats(const char *name, const struct file_operations *fops, void *owner,
		       struct keel_vm *vm)
{
	int fd = get_unused_fd_flags(O_CLOEXEC);
	struct file *file;

	if (fd < 0)
		return fd;
	file = anon_inode_getfile(name, fops, owner, O_RDONLY);
	if (IS_ERR(file)) {
		put_unused_fd(fd);
		return PTR_ERR(file);
	}
	file->f_mode |= FMODE_PREAD;
	keel_vm_get(vm);
	fd_install(fd, file);
	return fd;
}

long keel_vm_stats_fd(struct keel_vm *vm, void *unused)
{
	return open_stats("keel-vm-stats", &vm_fops, vm, vm);
}

long keel_vcpu_stats_fd(struct keel_vcpu *vcpu, void *unused)
{
	char name[sizeof("keel-vcpu-stats:") + 10];

	snprintf(name, sizeof(name), "keel-vcpu-stats:%d", vcpu->id);
	return open_stats(name, &vcpu_fops, vcpu, vcpu->vm);
}
