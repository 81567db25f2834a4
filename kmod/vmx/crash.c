// SPDX-License-Identifier: GPL-2.0
/*
 * A crashing kernel stops its CPUs by NMI and boots the next one: none may be
 * left in VMX operation, where INIT is blocked and CR4.VMXE cannot be cleared.
 * The kernel has room for one callback, which belongs to kvm_intel whenever
 * that is loaded. Its callback takes any CPU out of VMX operation, ours
 * included, so Keel registers its own only while kvm_intel is absent.
 */
#include <linux/module.h>
#include <linux/mutex.h>
#include <asm/reboot.h>

#include "ops.h"
#include "vmcs.h"

static DEFINE_MUTEX(crash_lock);	/* the four flags below */
static bool others;			/* another hypervisor module is loaded */
static bool armed;			/* a VM exists */
static bool registered;

static void crash_callback(void)
{
	WRITE_ONCE(vmx_going_down, true);
	vmx_off_here();
}

static void update_registration(void)
{
	bool want = armed && !others;

	lockdep_assert_held(&crash_lock);
	if (want == registered)
		return;
	if (want)
		cpu_emergency_register_virt_callback(crash_callback);
	else
		cpu_emergency_unregister_virt_callback(crash_callback);
	registered = want;
}

static void set_flag(bool *flag, bool val)
{
	mutex_lock(&crash_lock);
	*flag = val;
	update_registration();
	mutex_unlock(&crash_lock);
}

void vmx_crash_arm(void)
{
	set_flag(&armed, true);
}

void vmx_crash_disarm(void)
{
	set_flag(&armed, false);
}

/* COMING is told before the module's init, GOING after its exit. */
static int module_event(struct notifier_block *nb, unsigned long action, void *data)
{
	struct module *mod = data;

	/* kvm_amd, which fails to load on this CPU, takes no part. */
	if (strcmp(mod->name, "kvm_intel"))
		return NOTIFY_DONE;
	if (action == MODULE_STATE_COMING)
		set_flag(&others, true);
	else if (action == MODULE_STATE_GOING)
		set_flag(&others, false);
	return NOTIFY_OK;
}

static struct notifier_block module_nb = { .notifier_call = module_event };

/* kvm_intel exports nothing, but it cannot be loaded without kvm. */
static bool kvm_is_loaded(void)
{
	void *sym = __symbol_get("kvm_init");

	if (!sym)
		return false;
	__symbol_put("kvm_init");
	return true;
}

int __init vmx_crash_setup(void)
{
	int err = register_module_notifier(&module_nb);

	if (!err && kvm_is_loaded())
		set_flag(&others, true);
	return err;
}

void vmx_crash_teardown(void)
{
	unregister_module_notifier(&module_nb);
}
