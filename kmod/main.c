// SPDX-License-Identifier: GPL-2.0
/*
 * Init and exit of the module, as a table of contents: the parts in the order
 * in which they are set up, and in reverse order how they are undone. /dev/keel
 * appears last and goes first.
 */
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/rcupdate.h>

#include "debugfs.h"
#include "ioctl.h"
#include "keel.h"
#include "vcpu.h"

static const struct file_operations keel_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = keel_system_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.llseek = noop_llseek,
};

static struct miscdevice keel_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "keel",
	.mode = 0660,
	.fops = &keel_fops,
};

static int __init keel_init(void)
{
	int err = keel_vcpu_module_init();

	if (err)
		return err;
	err = vmx_setup();
	if (err)
		goto exit_vcpu;
	err = mmu_setup();
	if (err)
		goto exit_vmx;
	keel_debugfs_init();
	err = misc_register(&keel_device);
	if (err)
		goto exit_debugfs;
	return 0;

exit_debugfs:
	keel_debugfs_exit();
	mmu_teardown();
exit_vmx:
	vmx_teardown();
exit_vcpu:
	keel_vcpu_module_exit();
	return err;
}

static void __exit keel_exit(void)
{
	misc_deregister(&keel_device);
	keel_debugfs_exit();
	mmu_teardown();
	vmx_teardown();
	keel_vcpu_module_exit();
	/*
	 * Wait for RCU callbacks that free page tables of destroyed VMs: their
	 * code is in this module.
	 */
	rcu_barrier();
}

module_init(keel_init);
module_exit(keel_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Keel, a small hypervisor that speaks the KVM API");
MODULE_VERSION(KEEL_VERSION);
