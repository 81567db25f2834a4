// SPDX-License-Identifier: GPL-2.0
/*
 * A crashing kernel stops its CPUs by NMI and boots the next kernel. No CPU may
 * stay in VMX operation, where INIT is blocked and CR4.VMXE cannot be cleared.
 * The kernel has room for one callback, which kvm_intel registers whenever it
 * is loaded. That callback takes any CPU out of VMX operation, also one that
 * Keel has put there, so Keel registers its own only while kvm_intel is absent.
 */
#include <linux/module.h>
#include <linux/mutex.h>
#include <asm/reboot.h>

#include "ops.h"
#include "vmcs.h"

static DEFINE_MUTEX(crash_lock);	/* protects the three flags below */
static bool others;			/* kvm_intel may use the callback */
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

/* The notifier gets COMING before the module's init and GOING after its exit. */
static int module_event(struct notifier_block *nb, unsigned long action, void *data)
{
	struct module *mod = data;

	/* Ignore kvm_amd, which fails to load on an Intel CPU. */
	if (strcmp(mod->name, "kvm_intel"))
		return NOTIFY_DONE;
	if (action == MODULE_STATE_COMING)
		set_flag(&others, true);
	else if (action == MODULE_STATE_GOING)
		set_flag(&others, false);
	return NOTIFY_OK;
}

static struct notifier_block module_nb = { .notifier_call = module_event };

/* Look for a symbol of kvm: kvm_intel exports none, but cannot be loaded without kvm. */
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
