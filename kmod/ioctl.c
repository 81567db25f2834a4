// SPDX-License-Identifier: GPL-2.0
/*
 * The tables of ioctls, one for each kind of file, and the dispatcher, which
 * copies arguments, locks the vCPU and loads it if the row says so. Commands
 * are implemented in the file of their subject; only the smallest are handled
 * here.
 */
#include <linux/fs.h>
#include <linux/keel.h>
#include <linux/kvm.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "attr.h"
#include "clock.h"
#include "coalesced.h"
#include "cpuid.h"
#include "debug.h"
#include "dirty.h"
#include "doorbell.h"
#include "fpu.h"
#include "ioctl.h"
#include "irq.h"
#include "keel.h"
#include "mce.h"
#include "msr.h"
#include "msr_filter.h"
#include "regions.h"
#include "regs.h"
#include "tsc.h"
#include "vcpu.h"
#include "vm.h"

#define RAW		KEEL_IOCTL_RAW
#define LOAD		KEEL_IOCTL_LOAD
#define SETS		KEEL_IOCTL_SETS

/* --- capabilities ------------------------------------------------------- */

struct capability {
	u32 cap;
	int value;
};

static const struct capability capabilities[] = {
	{ KVM_CAP_USER_MEMORY,			1 },
	{ KVM_CAP_DESTROY_MEMORY_REGION_WORKS,	1 },
	{ KVM_CAP_JOIN_MEMORY_REGIONS_WORKS,	1 },
	{ KVM_CAP_READONLY_MEM,			1 },
	{ KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2,
	  KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE | KVM_DIRTY_LOG_INITIALLY_SET },
	{ KVM_CAP_DIRTY_LOG_RING, KEEL_RING_MAX_ENTRIES * sizeof(struct kvm_dirty_gfn) },
	{ KVM_CAP_DIRTY_LOG_RING_ACQ_REL, KEEL_RING_MAX_ENTRIES * sizeof(struct kvm_dirty_gfn) },
	{ KVM_CAP_SYNC_MMU,			1 },
	{ KVM_CAP_NR_MEMSLOTS,			KEEL_MAX_SLOTS },
	{ KVM_CAP_MULTI_ADDRESS_SPACE,		KEEL_ADDRESS_SPACES },
	{ KVM_CAP_NR_VCPUS,			KEEL_MAX_VCPUS },
	{ KVM_CAP_MAX_VCPUS,			KEEL_MAX_VCPUS },
	{ KVM_CAP_MAX_VCPU_ID,			KEEL_MAX_VCPU_ID },
	{ KVM_CAP_CHECK_EXTENSION_VM,		1 },
	{ KVM_CAP_IMMEDIATE_EXIT,		1 },
	{ KVM_CAP_SET_TSS_ADDR,			1 },
	{ KVM_CAP_SET_IDENTITY_MAP_ADDR,	1 },
	{ KVM_CAP_SET_BOOT_CPU_ID,		1 },
	{ KVM_CAP_EXT_CPUID,			1 },
	{ KVM_CAP_HLT,				1 },
	{ KVM_CAP_NOP_IO_DELAY,			1 },
	{ KVM_CAP_MP_STATE,			1 },
	{ KVM_CAP_VCPU_EVENTS,			1 },
	{ KVM_CAP_USER_NMI,			1 },
	{ KVM_CAP_DEBUGREGS,			1 },
	{ KVM_CAP_XSAVE,			1 },
	{ KVM_CAP_XSAVE2,			sizeof(struct kvm_xsave) },
	{ KVM_CAP_XCRS,				1 },
	{ KVM_CAP_SREGS2,			1 },
	{ KVM_CAP_GET_TSC_KHZ,			1 },
	{ KVM_CAP_INTERNAL_ERROR_DATA,		1 },
	{ KVM_CAP_BINARY_STATS_FD,		1 },
	{ KVM_CAP_GET_MSR_FEATURES,		1 },
	{ KVM_CAP_SYNC_REGS,			KVM_SYNC_X86_VALID_FIELDS },
	{ KVM_CAP_IRQ_ROUTING,			KEEL_MAX_ROUTES },
	{ KVM_CAP_SIGNAL_MSI,			1 },
	{ KVM_CAP_ADJUST_CLOCK, KVM_CLOCK_TSC_STABLE | KVM_CLOCK_REALTIME | KVM_CLOCK_HOST_TSC },
	{ KVM_CAP_KVMCLOCK_CTRL,		1 },
	{ KVM_CAP_IOEVENTFD,			1 },
	{ KVM_CAP_IOEVENTFD_NO_LENGTH,		1 },
	{ KVM_CAP_IOEVENTFD_ANY_LENGTH,		1 },
	{ KVM_CAP_COALESCED_MMIO,		KVM_COALESCED_MMIO_PAGE_OFFSET },
	{ KVM_CAP_COALESCED_PIO,		1 },
	{ KVM_CAP_SET_GUEST_DEBUG,		1 },
	{ KVM_CAP_SET_GUEST_DEBUG2,		KEEL_GUESTDBG_FLAGS },
	{ KVM_CAP_X86_ROBUST_SINGLESTEP,	1 },
	{ KVM_CAP_MCE,				KEEL_MCE_BANKS },
	{ KVM_CAP_SYS_ATTRIBUTES,		1 },
	{ KVM_CAP_VCPU_ATTRIBUTES,		1 },
	{ KVM_CAP_EXCEPTION_PAYLOAD,		1 },
	{ KVM_CAP_X86_TRIPLE_FAULT_EVENT,	1 },
	{ KVM_CAP_X86_USER_SPACE_MSR,		1 },
	{ KVM_CAP_X86_MSR_FILTER,		1 },
	{ KVM_CAP_ENABLE_CAP,			1 },
	{ KVM_CAP_ENABLE_CAP_VM,		1 },
	{ KVM_CAP_ENFORCE_PV_FEATURE_CPUID,	1 },
	{ KVM_CAP_EXIT_ON_EMULATION_FAILURE,	1 },
	{ KEEL_CAP_MEMORY_REGIONS,		KEEL_MAX_MEMORY_REGIONS },
	{ KEEL_CAP_MEMORY_IN_PLACE,		1 },
};

static long check_extension(void *data)
{
	unsigned long cap = (unsigned long)data;
	int i;

	if (cap == KVM_CAP_TSC_CONTROL || cap == KVM_CAP_VM_TSC_CONTROL)
		return vmx_caps.tsc_scaling;
	if (cap == KVM_CAP_CLOCKSOURCE)
		return keel_clock_possible();
	for (i = 0; i < ARRAY_SIZE(capabilities); i++)
		if (capabilities[i].cap == cap)
			return capabilities[i].value;
	return 0;
}

static long vm_check_extension(struct keel_vm *vm, void *data)
{
	return check_extension(data);
}

static long enable_emulation_exits(struct keel_vm *vm, const u64 *args)
{
	if (args[0] > 1)
		return -EINVAL;
	WRITE_ONCE(vm->exit_on_emulation_failure, args[0]);
	return 0;
}

static long enable_in_place(struct keel_vm *vm, const u64 *args)
{
	if (args[0] || args[1] || args[2] || args[3])
		return -EINVAL;
	WRITE_ONCE(vm->memory_in_place, true);
	return 0;
}

/* Capabilities for KVM_ENABLE_CAP on a VM. */
static const struct {
	u32 cap;
	long (*enable)(struct keel_vm *vm, const u64 *args);
} vm_enables[] = {
	{ KVM_CAP_X86_USER_SPACE_MSR, keel_enable_user_msr },
	{ KVM_CAP_EXCEPTION_PAYLOAD, keel_enable_payloads },
	{ KVM_CAP_X86_TRIPLE_FAULT_EVENT, keel_enable_triple_faults },
	{ KVM_CAP_MAX_VCPU_ID, keel_limit_vcpu_ids },
	{ KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, keel_enable_manual_protect },
	{ KVM_CAP_DIRTY_LOG_RING, keel_enable_ring },
	{ KVM_CAP_DIRTY_LOG_RING_ACQ_REL, keel_enable_ring },
	{ KVM_CAP_EXIT_ON_EMULATION_FAILURE, enable_emulation_exits },
	{ KEEL_CAP_MEMORY_IN_PLACE, enable_in_place },
};

static long vm_enable_cap(struct keel_vm *vm, void *data)
{
	const struct kvm_enable_cap *in = data;
	int i;

	if (in->flags)
		return -EINVAL;
	for (i = 0; i < ARRAY_SIZE(vm_enables); i++)
		if (vm_enables[i].cap == in->cap)
			return vm_enables[i].enable(vm, in->args);
	return -EINVAL;
}

static long vcpu_enable_cap(struct keel_vcpu *vcpu, void *data)
{
	const struct kvm_enable_cap *in = data;

	if (in->flags || in->cap != KVM_CAP_ENFORCE_PV_FEATURE_CPUID)
		return -EINVAL;
	return keel_enforce_pv(vcpu, in->args);
}

static long get_api_version(void *data)
{
	return data ? -EINVAL : KVM_API_VERSION;
}

/* Pages of kvm_run, of port I/O data and of the ring of coalesced writes. */
static long get_vcpu_mmap_size(void *data)
{
	return data ? -EINVAL : 3 * PAGE_SIZE;
}

/*
 * KVM_SET_TSS_ADDR and KVM_SET_IDENTITY_MAP_ADDR name guest memory that KVM
 * needs to run real mode on CPUs without unrestricted guest. Keel puts nothing
 * there and only accepts the calls.
 */
static long set_tss_addr(struct keel_vm *vm, void *data)
{
	unsigned long addr = (unsigned long)data;

	return addr > BIT_ULL(32) - 3 * PAGE_SIZE ? -EINVAL : 0;
}

static long set_identity_map_addr(struct keel_vm *vm, void *data)
{
	int err = 0;

	mutex_lock(&vm->lock);
	if (vm->nr_vcpus)
		err = -EINVAL;
	mutex_unlock(&vm->lock);
	return err;
}

static long set_boot_cpu_id(struct keel_vm *vm, void *data)
{
	int err = 0;

	mutex_lock(&vm->lock);
	if (vm->nr_vcpus)
		err = -EBUSY;
	else
		vm->boot_cpu_id = (unsigned long)data;
	mutex_unlock(&vm->lock);
	return err;
}

/*
 * GSI routes and MSIs end at an interrupt controller in the kernel, and there
 * is none: give KVM's answers for such a VM. VMMs refuse to start without the
 * two capabilities, even if they never use them.
 */
static long set_gsi_routing(struct keel_vm *vm, void *data)
{
	return -EINVAL;
}

static long signal_msi(struct keel_vm *vm, void *data)
{
	return -EINVAL;
}

/* --- tables ------------------------------------------------------------- */

static const struct keel_ioctl system_ioctls[] = {
	{ KVM_GET_API_VERSION,		0,	.system = get_api_version },
	{ KVM_CREATE_VM,		0,	.system = keel_create_vm },
	{ KVM_CHECK_EXTENSION,		0,	.system = check_extension },
	{ KVM_GET_VCPU_MMAP_SIZE,	0,	.system = get_vcpu_mmap_size },
	{ KVM_GET_SUPPORTED_CPUID,	RAW,	.system = keel_get_supported_cpuid },
	{ KVM_GET_MSR_INDEX_LIST,	RAW,	.system = keel_get_msr_index_list },
	{ KVM_GET_MSR_FEATURE_INDEX_LIST, RAW,	.system = keel_get_msr_feature_index_list },
	{ KVM_GET_MSRS,			RAW,	.system = keel_get_feature_msrs },
	{ KVM_X86_GET_MCE_CAP_SUPPORTED, RAW,	.system = keel_get_mce_cap_supported },
	{ KVM_HAS_DEVICE_ATTR,		RAW,	.system = keel_dev_has_attr },
	{ KVM_GET_DEVICE_ATTR,		RAW,	.system = keel_dev_get_attr },
};

static const struct keel_ioctl vm_ioctls[] = {
	{ KVM_CHECK_EXTENSION,		0,	.vm = vm_check_extension },
	{ KVM_CREATE_VCPU,		0,	.vm = keel_create_vcpu },
	{ KVM_SET_USER_MEMORY_REGION,	0,	.vm = keel_ioctl_set_user_memory_region },
	{ KEEL_SET_MEMORY_REGIONS,	RAW,	.vm = keel_ioctl_set_memory_regions },
	{ KVM_GET_DIRTY_LOG,		0,	.vm = keel_get_dirty_log },
	{ KVM_CLEAR_DIRTY_LOG,		0,	.vm = keel_clear_dirty_log },
	{ KVM_RESET_DIRTY_RINGS,	0,	.vm = keel_reset_dirty_rings },
	{ KVM_SET_TSS_ADDR,		0,	.vm = set_tss_addr },
	{ KVM_SET_IDENTITY_MAP_ADDR,	0,	.vm = set_identity_map_addr },
	{ KVM_SET_BOOT_CPU_ID,		0,	.vm = set_boot_cpu_id },
	{ KVM_GET_TSC_KHZ,		0,	.vm = keel_vm_get_tsc_khz },
	{ KVM_SET_TSC_KHZ,		0,	.vm = keel_vm_set_tsc_khz },
	{ KVM_GET_STATS_FD,		0,	.vm = keel_vm_stats_fd },
	{ KVM_SET_GSI_ROUTING,		0,	.vm = set_gsi_routing },
	{ KVM_SIGNAL_MSI,		0,	.vm = signal_msi },
	{ KVM_GET_CLOCK,		0,	.vm = keel_get_clock },
	{ KVM_SET_CLOCK,		0,	.vm = keel_set_clock },
	{ KVM_ENABLE_CAP,		0,	.vm = vm_enable_cap },
	{ KVM_IOEVENTFD,		0,	.vm = keel_ioeventfd },
	{ KVM_REGISTER_COALESCED_MMIO,	0,	.vm = keel_register_coalesced },
	{ KVM_UNREGISTER_COALESCED_MMIO, 0,	.vm = keel_unregister_coalesced },
	{ KVM_X86_SET_MSR_FILTER,	0,	.vm = keel_set_msr_filter },
	{ COMPAT_SET_MSR_FILTER,	0,	.vm = keel_set_msr_filter_compat },
};

static const struct keel_ioctl vcpu_ioctls[] = {
	{ KVM_RUN,			LOAD,	.vcpu = keel_run },
	{ KVM_GET_REGS,			LOAD,	.vcpu = keel_get_regs },
	{ KVM_SET_REGS,			LOAD | SETS, .vcpu = keel_set_regs },
	{ KVM_GET_SREGS,		LOAD,	.vcpu = keel_get_sregs },
	{ KVM_SET_SREGS,		LOAD | SETS, .vcpu = keel_set_sregs },
	{ KVM_GET_SREGS2,		LOAD,	.vcpu = keel_get_sregs2 },
	{ KVM_SET_SREGS2,		LOAD | SETS, .vcpu = keel_set_sregs2 },
	{ KVM_GET_FPU,			0,	.vcpu = keel_get_fpu },
	{ KVM_SET_FPU,			SETS,	.vcpu = keel_set_fpu },
	{ KVM_GET_XSAVE,		0,	.vcpu = keel_get_xsave },
	{ KVM_GET_XSAVE2,		0,	.vcpu = keel_get_xsave },
	{ KVM_SET_XSAVE,		SETS,	.vcpu = keel_set_xsave },
	{ KVM_GET_XCRS,			0,	.vcpu = keel_get_xcrs },
	{ KVM_SET_XCRS,			LOAD | SETS, .vcpu = keel_set_xcrs },
	{ KVM_GET_MSRS,			RAW | LOAD, .vcpu = keel_get_msrs },
	{ KVM_SET_MSRS,			RAW | LOAD | SETS, .vcpu = keel_set_msrs },
	{ KVM_SET_CPUID,		RAW | LOAD, .vcpu = keel_set_cpuid },
	{ KVM_SET_CPUID2,		RAW | LOAD, .vcpu = keel_set_cpuid2 },
	{ KVM_GET_CPUID2,		RAW,	.vcpu = keel_get_cpuid2 },
	{ KVM_GET_VCPU_EVENTS,		LOAD,	.vcpu = keel_get_vcpu_events },
	{ KVM_SET_VCPU_EVENTS,		LOAD | SETS, .vcpu = keel_set_vcpu_events },
	{ KVM_GET_DEBUGREGS,		LOAD,	.vcpu = keel_get_debugregs },
	{ KVM_SET_DEBUGREGS,		LOAD | SETS, .vcpu = keel_set_debugregs },
	{ KVM_GET_MP_STATE,		0,	.vcpu = keel_get_mp_state },
	{ KVM_SET_MP_STATE,		0,	.vcpu = keel_set_mp_state },
	{ KVM_GET_TSC_KHZ,		0,	.vcpu = keel_get_tsc_khz },
	{ KVM_SET_TSC_KHZ,		LOAD,	.vcpu = keel_set_tsc_khz },
	{ KVM_INTERRUPT,		0,	.vcpu = keel_ioctl_interrupt },
	{ KVM_NMI,			LOAD,	.vcpu = keel_ioctl_nmi },
	{ KVM_TRANSLATE,		LOAD,	.vcpu = keel_translate },
	{ KVM_SET_SIGNAL_MASK,		RAW,	.vcpu = keel_set_signal_mask },
	{ KVM_GET_STATS_FD,		0,	.vcpu = keel_vcpu_stats_fd },
	{ KVM_KVMCLOCK_CTRL,		0,	.vcpu = keel_kvmclock_ctrl },
	{ KVM_ENABLE_CAP,		0,	.vcpu = vcpu_enable_cap },
	{ KVM_SET_GUEST_DEBUG,		LOAD,	.vcpu = keel_set_guest_debug },
	{ KVM_HAS_DEVICE_ATTR,		0,	.vcpu = keel_vcpu_has_attr },
	{ KVM_GET_DEVICE_ATTR,		0,	.vcpu = keel_vcpu_get_attr },
	{ KVM_SET_DEVICE_ATTR,		LOAD,	.vcpu = keel_vcpu_set_attr },
	{ KVM_X86_SETUP_MCE,		0,	.vcpu = keel_setup_mce },
	{ KVM_X86_SET_MCE,		LOAD,	.vcpu = keel_set_mce },
};

static const struct keel_ioctl *find(const struct keel_ioctl *table, int n, unsigned int cmd)
{
	int i;

	for (i = 0; i < n; i++)
		if (table[i].cmd == cmd)
			return &table[i];
	return NULL;
}

/* --- arguments ---------------------------------------------------------- */

/* Larger arguments, such as kvm_xsave, are copied to the heap. */
#define SMALL_ARGUMENT	320

struct argument {
	void *data;
	void *heap;
	unsigned int size;
	void __user *user;
	u64 small[SMALL_ARGUMENT / sizeof(u64)];
};

static bool by_value(const struct keel_ioctl *row)
{
	return (row->flags & RAW) || _IOC_DIR(row->cmd) == _IOC_NONE;
}

static int copy_in(struct argument *a, const struct keel_ioctl *row, unsigned long arg)
{
	bool in = _IOC_DIR(row->cmd) & _IOC_WRITE;

	a->heap = NULL;
	a->user = (void __user *)arg;
	a->size = _IOC_SIZE(row->cmd);
	a->data = a->small;
	if (a->size > sizeof(a->small)) {
		a->heap = kvzalloc(a->size, GFP_KERNEL_ACCOUNT);
		a->data = a->heap;
		if (!a->data)
			return -ENOMEM;
	} else if (!in) {
		/*
		 * Clear the buffer: fields that a handler leaves out must not
		 * show kernel stack to userspace.
		 */
		memset(a->small, 0, a->size);
	}
	if (!in || !copy_from_user(a->data, a->user, a->size))
		return 0;
	kvfree(a->heap);
	return -EFAULT;
}

static long copy_out(struct argument *a, const struct keel_ioctl *row, long r)
{
	if (r >= 0 && (_IOC_DIR(row->cmd) & _IOC_READ) &&
	    copy_to_user(a->user, a->data, a->size))
		r = -EFAULT;
	kvfree(a->heap);
	return r;
}

/* --- dispatch ----------------------------------------------------------- */

long keel_system_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	const struct keel_ioctl *row = find(system_ioctls, ARRAY_SIZE(system_ioctls), cmd);

	/* System ioctls are RAW or take a value: nothing to copy. */
	return row ? row->system((void *)arg) : -ENOTTY;
}

static long call_vcpu(struct keel_vcpu *vcpu, const struct keel_ioctl *row, void *data)
{
	long r;

	if (mutex_lock_killable(&vcpu->mutex))
		return -EINTR;
	if (row->flags & LOAD)
		keel_vcpu_load(vcpu);
	r = row->vcpu(vcpu, data);
	if (row->flags & SETS && r >= 0)
		keel_drop_answer(vcpu);
	if (row->flags & LOAD)
		keel_vcpu_put(vcpu);
	mutex_unlock(&vcpu->mutex);
	return r;
}

/* @vcpu: NULL for a row of the VM's table. */
static long call_row(const struct keel_ioctl *row, struct keel_vm *vm, struct keel_vcpu *vcpu,
		     void *data)
{
	return vcpu ? call_vcpu(vcpu, row, data) : row->vm(vm, data);
}

/* A separate function, so that KVM_RUN does not pay for the stack space of the argument. */
static noinline long call_copied(const struct keel_ioctl *row, struct keel_vm *vm,
				 struct keel_vcpu *vcpu, unsigned long arg)
{
	struct argument a;
	long r = copy_in(&a, row, arg);

	if (r)
		return r;
	return copy_out(&a, row, call_row(row, vm, vcpu, a.data));
}

static long dispatch(const struct keel_ioctl *row, struct keel_vm *vm, struct keel_vcpu *vcpu,
		     unsigned long arg)
{
	if (vm->mm != current->mm || READ_ONCE(vm->dead))
		return -EIO;
	if (!row)
		return -ENOTTY;
	if (by_value(row))
		return call_row(row, vm, vcpu, (void *)arg);
	return call_copied(row, vm, vcpu, arg);
}

long keel_vm_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	return dispatch(find(vm_ioctls, ARRAY_SIZE(vm_ioctls), cmd), file->private_data, NULL,
			arg);
}

long keel_vcpu_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct keel_vcpu *vcpu = file->private_data;

	return dispatch(find(vcpu_ioctls, ARRAY_SIZE(vcpu_ioctls), cmd), vcpu->vm, vcpu, arg);
}
