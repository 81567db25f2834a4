// SPDX-License-Identifier: GPL-2.0
/*
 * The counters of stats.h as files. A VM's directory shows its own counters
 * and, under the same names as a vCPU's, the sum over its vCPUs.
 */
#include <linux/debugfs.h>
#include <linux/kernel.h>
#include <linux/stddef.h>

#include "debugfs.h"
#include "keel.h"

struct counter {
	const char *name;
	unsigned int offset;
};

#define X(name, text) { #name, offsetof(struct keel_vcpu_stats, name) },
static const struct counter vcpu_counters[] = { KEEL_VCPU_STATS(X) };
#undef X
#define X(name, text) { #name, offsetof(struct keel_vm_stats, name) },
static const struct counter vm_counters[] = { KEEL_VM_STATS(X) KEEL_VM_LEVELS(X) };
#undef X

static struct dentry *root;

static u64 read_counter(const void *stats, unsigned int offset)
{
	return READ_ONCE(*(const u64 *)(stats + offset));
}

/* The file's name is that of the counter; its inode holds the VM. */
static const struct counter *counter_of(struct file *file, const struct counter *table, int n)
{
	int i;

	for (i = 0; i < n; i++)
		if (!strcmp(file->f_path.dentry->d_name.name, table[i].name))
			return &table[i];
	return NULL;
}

static ssize_t show(char __user *buf, size_t len, loff_t *pos, u64 val)
{
	char text[24];

	return simple_read_from_buffer(buf, len, pos, text,
				       scnprintf(text, sizeof(text), "%llu\n", val));
}

static ssize_t sum_read(struct file *file, char __user *buf, size_t len, loff_t *pos)
{
	const struct counter *c = counter_of(file, vcpu_counters, ARRAY_SIZE(vcpu_counters));
	struct keel_vm *vm = file_inode(file)->i_private;
	struct keel_vcpu *vcpu;
	unsigned long i;
	u64 sum = 0;

	if (!c)
		return -ENOENT;
	rcu_read_lock();
	for (i = 0; (vcpu = keel_vcpu_from(vm, &i)); i++)
		sum += read_counter(&vcpu->stats, c->offset);
	rcu_read_unlock();
	return show(buf, len, pos, sum);
}

static const struct file_operations sum_fops = {
	.owner = THIS_MODULE,
	.open = simple_open,
	.read = sum_read,
	.llseek = default_llseek,
};

void keel_debugfs_init(void)
{
	root = debugfs_create_dir("keel", NULL);
}

void keel_debugfs_exit(void)
{
	debugfs_remove_recursive(root);
}

void keel_debugfs_add_vm(struct keel_vm *vm)
{
	char name[12];
	int i;

	snprintf(name, sizeof(name), "%u", vm->id);
	vm->debugfs = debugfs_create_dir(name, root);
	for (i = 0; i < ARRAY_SIZE(vm_counters); i++)
		debugfs_create_u64(vm_counters[i].name, 0444, vm->debugfs,
				   (void *)&vm->stats + vm_counters[i].offset);
	for (i = 0; i < ARRAY_SIZE(vcpu_counters); i++)
		debugfs_create_file(vcpu_counters[i].name, 0444, vm->debugfs, vm, &sum_fops);
}

/* Wait for readers: on return no file here accesses the VM or its vCPUs any more. */
void keel_debugfs_remove_vm(struct keel_vm *vm)
{
	debugfs_remove_recursive(vm->debugfs);
}

void keel_debugfs_add_vcpu(struct keel_vcpu *vcpu)
{
	struct dentry *dir;
	char name[16];
	int i;

	snprintf(name, sizeof(name), "vcpu%d", vcpu->id);
	dir = debugfs_create_dir(name, vcpu->vm->debugfs);
	for (i = 0; i < ARRAY_SIZE(vcpu_counters); i++)
		debugfs_create_u64(vcpu_counters[i].name, 0444, dir,
				   (void *)&vcpu->stats + vcpu_counters[i].offset);
}
