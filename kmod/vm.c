// SPDX-License-Identifier: GPL-2.0
/*
 * The VM: creation, its file, and its end, in the order that its parts need.
 * Owns no part: memory.c and mmu/ have the VM's memory, vcpu.c its vCPUs.
 */
#include <linux/anon_inodes.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "clock.h"
#include "coalesced.h"
#include "debugfs.h"
#include "doorbell.h"
#include "ioctl.h"
#include "keel.h"
#include "memory.h"
#include "msr_filter.h"
#include "test.h"
#include "tsc.h"
#include "vcpu.h"
#include "vm.h"

static atomic_t last_vm_id = ATOMIC_INIT(0);

void keel_vm_kill(struct keel_vm *vm)
{
	WRITE_ONCE(vm->dead, true);
	keel_request_all(vm, REQ_DEAD);
}

static void destroy_vm(struct keel_vm *vm)
{
	keel_debugfs_remove_vm(vm);
	/* Shrinker and mmu notifier flush the vCPUs' TLBs: stop them before the vCPUs are freed. */
	mmu_shrink_end(vm);
	memory_release(vm);
	keel_destroy_vcpus(vm);
	mmu_vm_free(vm);
	keel_coalesced_free(vm);
	keel_doorbells_free(vm);
	keel_msr_filter_free(vm);
	cleanup_srcu_struct(&vm->srcu);
	mmdrop(vm->mm);
	vmx_hardware_put();
	preempt_notifier_dec();
	kvfree(vm);
}

void keel_vm_put(struct keel_vm *vm)
{
	if (refcount_dec_and_test(&vm->users))
		destroy_vm(vm);
}

static int vm_release(struct inode *inode, struct file *file)
{
	keel_vm_put(file->private_data);
	return 0;
}

static const struct file_operations vm_fops = {
	.owner = THIS_MODULE,
	.release = vm_release,
	.unlocked_ioctl = keel_vm_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.llseek = noop_llseek,
};

static void init_fields(struct keel_vm *vm)
{
	refcount_set(&vm->users, 1);
	mutex_init(&vm->lock);
	mutex_init(&vm->slots_lock);
	mutex_init(&vm->io_lock);
	xa_init(&vm->vcpus);
	keel_tsc_vm_init(vm);
	keel_clock_vm_init(vm);
	vm->id = atomic_inc_return(&last_vm_id);
	vm->mm = current->mm;
	mmgrab(vm->mm);
}

static struct keel_vm *alloc_vm(void)
{
	struct keel_vm *vm = kvzalloc(sizeof(*vm), GFP_KERNEL_ACCOUNT);
	int err = -ENOMEM;

	if (!vm)
		return ERR_PTR(err);
	init_fields(vm);
	preempt_notifier_inc();
	err = vmx_hardware_get();
	if (err)
		goto drop_mm;
	err = init_srcu_struct(&vm->srcu);
	if (err)
		goto put_hardware;
	err = mmu_vm_init(vm);
	if (err)
		goto cleanup_srcu;
	err = keel_coalesced_init(vm);
	if (err)
		goto free_mmu;
	err = memory_init(vm);
	if (err)
		goto free_ring;
	mmu_shrink_begin(vm);
	return vm;

free_ring:
	keel_coalesced_free(vm);
free_mmu:
	mmu_vm_free(vm);
cleanup_srcu:
	cleanup_srcu_struct(&vm->srcu);
put_hardware:
	vmx_hardware_put();
drop_mm:
	preempt_notifier_dec();
	mmdrop(vm->mm);
	kvfree(vm);
	return ERR_PTR(err);
}

long keel_create_vm(void *type)
{
	struct keel_vm *vm;
	int fd;

	if (type)
		return -EINVAL;
	vm = alloc_vm();
	if (IS_ERR(vm))
		return PTR_ERR(vm);
	keel_debugfs_add_vm(vm);
	test_add_vm(vm);
	fd = anon_inode_getfd("keel-vm", &vm_fops, vm, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		keel_vm_put(vm);
	return fd;
}
