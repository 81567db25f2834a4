// SPDX-License-Identifier: GPL-2.0
/*
 * VMX operation of physical CPUs: probing, VMXON on every CPU while a VM
 * exists, and VMXOFF whenever a CPU or the machine goes away (hotplug, suspend,
 * reboot; crash.c handles crashes). The only VMCS handled here is the VMXON
 * region.
 */
#include <linux/cpu.h>
#include <linux/cpuhotplug.h>
#include <linux/mutex.h>
#include <linux/reboot.h>
#include <linux/syscore_ops.h>
#include <asm/cpufeature.h>
#include <asm/hypervisor.h>
#include <asm/msr.h>
#include <asm/perf_event.h>
#include <asm/tlbflush.h>

#include "caps.h"
#include "controls.h"
#include "ops.h"
#include "vmcs.h"

struct vmx_caps vmx_caps __ro_after_init;
DEFINE_PER_CPU(struct vmx_cpu, vmx_cpu);
bool vmx_going_down;
u64 vmx_tsc_lost;
static u64 tsc_at_suspend;

static struct vmx_wants wants = {
	.vpid = true, .ept_ad = true, .unrestricted = true, .tsc_scaling = true, .pml = true,
	.umip = true, .monitor_trap = true,
};

module_param_named(vpid, wants.vpid, bool, 0444);
MODULE_PARM_DESC(vpid, "tag linear translations with a virtual-processor id (default: if the CPU can)");
module_param_named(ept_ad, wants.ept_ad, bool, 0444);
MODULE_PARM_DESC(ept_ad, "let the CPU keep accessed and dirty bits in EPT entries (default: if it can)");
module_param_named(unrestricted, wants.unrestricted, bool, 0444);
MODULE_PARM_DESC(unrestricted, "run real mode and unpaged code directly (default: if the CPU can)");
module_param_named(pml, wants.pml, bool, 0444);
MODULE_PARM_DESC(pml, "let the CPU log which pages a guest writes to (default: if it can)");
module_param_named(tsc_scaling, wants.tsc_scaling, bool, 0444);
MODULE_PARM_DESC(tsc_scaling, "guest TSC frequencies other than the host's (default: if the CPU can)");
module_param_named(monitor_trap, wants.monitor_trap, bool, 0444);
MODULE_PARM_DESC(monitor_trap, "step without the guest's trap flag (default: if the CPU can)");
module_param_named(umip, wants.umip, bool, 0444);
MODULE_PARM_DESC(umip, "offer UMIP where the CPU lacks it, by exits (default: if the CPU can)");

static DEFINE_MUTEX(hardware_lock);
static int hardware_users;		/* VMs; write under @hardware_lock and cpus_read_lock */
static enum cpuhp_state hotplug_state;

noinline void vmx_insn_failed(const char *insn, u64 operand)
{
	WARN_ONCE(!READ_ONCE(vmx_going_down), "keel: %s of %llx failed\n", insn, operand);
}

/* --- on and off, one CPU ------------------------------------------------ */

static void save_host_msrs(struct vmx_cpu *c)
{
	int i;

	for (i = 0; i < SWITCH_COUNT; i++)
		if (i != SWITCH_TSC_AUX || boot_cpu_has(X86_FEATURE_RDTSCP))
			rdmsrl(vmx_switched_msrs[i], c->host_msr[i]);
}

int vmx_on_here(void)
{
	struct vmx_cpu *c = this_cpu_ptr(&vmx_cpu);

	if (cr4_read_shadow() & X86_CR4_VMXE)
		return -EBUSY;
	/* The kernel clears X86_FEATURE_VMX on a CPU whose firmware has locked VMX off. */
	if (!this_cpu_has(X86_FEATURE_VMX))
		return -EOPNOTSUPP;

	save_host_msrs(c);
	/* Stop Intel PT where it cannot run in VMX operation: VMXON would fault while it traces. */
	intel_pt_handle_vmx(1);
	cr4_set_bits(X86_CR4_VMXE);
	if (vmx_op_vmxon(__pa(c->vmxon))) {
		cr4_clear_bits(X86_CR4_VMXE);
		intel_pt_handle_vmx(0);
		return -EIO;
	}
	WRITE_ONCE(c->on, true);
	/* Another hypervisor may have used the same VPIDs and EPT roots on this CPU meanwhile. */
	vmx_flush_everything_here();
	return 0;
}

void vmx_off_here(void)
{
	struct vmx_cpu *c = this_cpu_ptr(&vmx_cpu);

	if (!READ_ONCE(c->on))
		return;
	vmcs_clear_all_here();
	WRITE_ONCE(c->on, false);
	if (vmx_op_vmxoff())
		vmx_insn_failed("vmxoff", 0);
	cr4_clear_bits(X86_CR4_VMXE);
	intel_pt_handle_vmx(0);
}

static void vmx_on_ipi(void *result)
{
	int err = vmx_on_here();

	if (err)
		atomic_cmpxchg((atomic_t *)result, 0, err);
}

static void vmx_off_ipi(void *unused)
{
	vmx_off_here();
}

/* --- on and off, the machine -------------------------------------------- */

static void explain_failure(int err)
{
	if (err == -EBUSY)
		pr_err_ratelimited("keel: another hypervisor uses VMX: stop its VMs (modprobe -r kvm_intel; from Linux 6.12 on kvm.enable_virt_at_load=0 makes it give VMX back), then try again\n");
	else
		pr_err_ratelimited("keel: entering VMX operation failed (%d): see whether the firmware enables VMX on all CPUs\n",
				   err);
}

static int vmx_on_everywhere(void)
{
	atomic_t err = ATOMIC_INIT(0);

	on_each_cpu(vmx_on_ipi, &err, 1);
	if (!atomic_read(&err))
		return 0;
	on_each_cpu(vmx_off_ipi, NULL, 1);
	explain_failure(atomic_read(&err));
	return atomic_read(&err);
}

int vmx_hardware_get(void)
{
	int err = 0;

	cpus_read_lock();
	mutex_lock(&hardware_lock);
	/* vmx_reboot() has left VMX operation for good. */
	if (READ_ONCE(vmx_going_down))
		err = -EBUSY;
	else if (!hardware_users)
		err = vmx_on_everywhere();
	if (!err && !hardware_users++)
		vmx_crash_arm();
	mutex_unlock(&hardware_lock);
	cpus_read_unlock();
	return err;
}

void vmx_hardware_put(void)
{
	cpus_read_lock();
	mutex_lock(&hardware_lock);
	if (!--hardware_users) {
		on_each_cpu(vmx_off_ipi, NULL, 1);
		vmx_crash_disarm();
	}
	mutex_unlock(&hardware_lock);
	cpus_read_unlock();
}

/* --- what a CPU can do ---------------------------------------------------- */

static u64 read_cap(u32 msr)
{
	u64 val;

	return rdmsrl_safe(msr, &val) ? 0 : val;
}

static void read_raw_caps(struct vmx_raw_caps *raw)
{
	bool true_ctls;

	raw->basic = read_cap(MSR_IA32_VMX_BASIC);
	true_ctls = raw->basic & BASIC_TRUE_CONTROLS;
	raw->pin = read_cap(true_ctls ? MSR_IA32_VMX_TRUE_PINBASED_CTLS :
			    MSR_IA32_VMX_PINBASED_CTLS);
	raw->proc = read_cap(true_ctls ? MSR_IA32_VMX_TRUE_PROCBASED_CTLS :
			     MSR_IA32_VMX_PROCBASED_CTLS);
	raw->exit = read_cap(true_ctls ? MSR_IA32_VMX_TRUE_EXIT_CTLS : MSR_IA32_VMX_EXIT_CTLS);
	raw->entry = read_cap(true_ctls ? MSR_IA32_VMX_TRUE_ENTRY_CTLS : MSR_IA32_VMX_ENTRY_CTLS);
	raw->proc2 = read_cap(MSR_IA32_VMX_PROCBASED_CTLS2);
	raw->ept_vpid = read_cap(MSR_IA32_VMX_EPT_VPID_CAP);
	raw->cr0_fixed0 = read_cap(MSR_IA32_VMX_CR0_FIXED0);
	raw->cr0_fixed1 = read_cap(MSR_IA32_VMX_CR0_FIXED1);
	raw->cr4_fixed0 = read_cap(MSR_IA32_VMX_CR4_FIXED0);
	raw->cr4_fixed1 = read_cap(MSR_IA32_VMX_CR4_FIXED1);
}

/* True if this CPU's capabilities equal vmx_caps: one set of controls serves all CPUs. */
static bool as_capable(void)
{
	struct vmx_raw_caps raw;
	struct vmx_caps mine = { 0 };

	read_raw_caps(&raw);
	return !vmx_caps_compute(&raw, &wants, &mine) && !memcmp(&mine, &vmx_caps, sizeof(mine));
}

/* --- CPUs and machines that come and go --------------------------------- */

/*
 * CPU hotplug callback, also called for each online CPU when the module is
 * loaded. hardware_users cannot change meanwhile: cpus_write_lock is held, or
 * no VM can exist yet.
 */
static int vmx_cpu_online(unsigned int cpu)
{
	unsigned long flags;
	int err = 0;

	if (!as_capable()) {
		pr_err("keel: CPU %u offers other VMX features than the first: Keel needs them to be the same on all CPUs\n",
		       cpu);
		return -ENXIO;
	}
	local_irq_save(flags);
	per_cpu(vmx_cpu, cpu).dying = false;
	if (hardware_users && !READ_ONCE(vmx_going_down))
		err = vmx_on_here();
	local_irq_restore(flags);
	if (err)
		pr_err("keel: CPU %u stays offline: VMX cannot be used on it (%d)\n", cpu, err);
	return err;
}

static int vmx_cpu_offline(unsigned int cpu)
{
	unsigned long flags;

	local_irq_save(flags);
	per_cpu(vmx_cpu, cpu).dying = true;
	vmx_off_here();
	local_irq_restore(flags);
	return 0;
}

/* Runs on the last CPU, with interrupts off; the others have been taken offline. */
static int vmx_suspend(void)
{
	vmx_off_here();
	tsc_at_suspend = rdtsc_ordered();
	return 0;
}

/* Every VMCS has been cleared, so vmx_load() writes each a new TSC_OFFSET. */
static void note_lost_ticks(void)
{
	u64 now = rdtsc_ordered();

	if (now < tsc_at_suspend)
		vmx_tsc_lost += tsc_at_suspend - now;
}

static void vmx_resume(void)
{
	note_lost_ticks();
	if (hardware_users && !READ_ONCE(vmx_going_down) && vmx_on_here())
		pr_err("keel: VMX is gone after resume: VMs will stop with an entry failure\n");
}

static struct syscore_ops vmx_syscore = {
	.suspend = vmx_suspend,
	.resume = vmx_resume,
};

/* INIT is blocked in VMX operation: leave it on all CPUs before the machine reboots. */
static int vmx_reboot(struct notifier_block *nb, unsigned long action, void *data)
{
	WRITE_ONCE(vmx_going_down, true);
	on_each_cpu(vmx_off_ipi, NULL, 1);
	return NOTIFY_OK;
}

static struct notifier_block vmx_reboot_nb = { .notifier_call = vmx_reboot };

/* --- set-up ------------------------------------------------------------- */

static int probe(void)
{
	struct vmx_raw_caps raw;
	const char *missing;

	if (!(cpuid_ecx(1) & BIT(X86_FEATURE_VMX & 31))) {
		pr_err("keel: this CPU has no VMX: run on an Intel CPU, or turn on nested virtualization of the outer hypervisor\n");
		return -EOPNOTSUPP;
	}
	if (!boot_cpu_has(X86_FEATURE_VMX)) {
		pr_err("keel: VMX is locked off by the firmware: enable it in the firmware set-up (\"Intel Virtualization Technology\") and power-cycle\n");
		return -EOPNOTSUPP;
	}
	if (hypervisor_is_type(X86_HYPER_XEN_PV)) {
		pr_err("keel: a Xen PV domain cannot enter VMX operation: use an HVM or PVH domain\n");
		return -EOPNOTSUPP;
	}
#ifdef X86_FEATURE_FRED
	if (cpu_feature_enabled(X86_FEATURE_FRED)) {
		pr_err("keel: the kernel takes its events by FRED, where NMIs cannot be handed on: boot with fred=off\n");
		return -EOPNOTSUPP;
	}
#endif
	if (!boot_cpu_has(X86_FEATURE_XSAVE)) {
		pr_err("keel: the kernel does not use XSAVE, which keel needs: boot without noxsave\n");
		return -EOPNOTSUPP;
	}
	read_raw_caps(&raw);
	missing = vmx_caps_compute(&raw, &wants, &vmx_caps);
	if (missing) {
		pr_err("keel: this CPU's VMX lacks %s, which keel cannot do without\n", missing);
		return -EOPNOTSUPP;
	}
	return 0;
}

static void free_vmxon_regions(void)
{
	int cpu;

	for_each_possible_cpu(cpu) {
		vmcs_free(per_cpu(vmx_cpu, cpu).vmxon);
		per_cpu(vmx_cpu, cpu).vmxon = NULL;
	}
}

static int alloc_vmxon_regions(void)
{
	int cpu;

	for_each_possible_cpu(cpu) {
		struct vmx_cpu *c = per_cpu_ptr(&vmx_cpu, cpu);

		INIT_LIST_HEAD(&c->loaded);
		c->vmxon = vmcs_alloc(cpu);
		if (!c->vmxon) {
			free_vmxon_regions();
			return -ENOMEM;
		}
	}
	return 0;
}

int __init vmx_setup(void)
{
	int err = probe();

	if (err)
		return err;
	err = alloc_vmxon_regions();
	if (err)
		return err;
	err = vmcs_setup();
	if (err)
		goto free_vmxon;
	err = vmx_mitigations_setup();
	if (err)
		goto free_vmcs;
	err = vmx_crash_setup();
	if (err)
		goto free_mitigations;
	err = cpuhp_setup_state(CPUHP_AP_ONLINE_DYN, "keel:online", vmx_cpu_online,
				vmx_cpu_offline);
	if (err < 0)
		goto free_crash;
	hotplug_state = err;
	err = register_reboot_notifier(&vmx_reboot_nb);
	if (err)
		goto remove_hotplug;
	register_syscore_ops(&vmx_syscore);
	return 0;

remove_hotplug:
	cpuhp_remove_state_nocalls(hotplug_state);
free_crash:
	vmx_crash_teardown();
free_mitigations:
	vmx_mitigations_teardown();
free_vmcs:
	vmcs_teardown();
free_vmxon:
	free_vmxon_regions();
	return err;
}

void vmx_teardown(void)
{
	unregister_syscore_ops(&vmx_syscore);
	unregister_reboot_notifier(&vmx_reboot_nb);
	cpuhp_remove_state_nocalls(hotplug_state);
	vmx_crash_teardown();
	vmx_mitigations_teardown();
	vmcs_teardown();
	free_vmxon_regions();
}
