// SPDX-License-Identifier: GPL-2.0
/*
 * The vCPU: creation, loading on a physical CPU, requests from other CPUs, and
 * the run loop. exit.c handles the exits; vmx/ enters the hardware.
 */
#include <linux/anon_inodes.h>
#include <linux/cpumask.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/task_work.h>
#include <linux/uaccess.h>
#include <asm/fpu/api.h>

#include "clock.h"
#include "coalesced.h"
#include "cpuid.h"
#include "cr.h"
#include "debugfs.h"
#include "dirty.h"
#include "emulate/bridge.h"
#include "exit.h"
#include "fpu.h"
#include "ioctl.h"
#include "irq.h"
#include "keel.h"
#include "msr.h"
#include "msr_filter.h"
#include "regs.h"
#include "tsc.h"
#include "vcpu.h"
#include "vm.h"

static struct kmem_cache *vcpu_cache;
static DEFINE_PER_CPU(struct cpumask, kick_mask);

/* --- requests ----------------------------------------------------------- */

void keel_make_request(struct keel_vcpu *vcpu, enum keel_request req)
{
	/*
	 * Order the writes that the request is about before the request; pairs
	 * with take_request().
	 */
	smp_wmb();
	set_bit(req, &vcpu->requests);
}

static bool take_request(struct keel_vcpu *vcpu, enum keel_request req)
{
	if (!test_bit(req, &vcpu->requests))
		return false;
	clear_bit(req, &vcpu->requests);
	/* Pairs with keel_make_request(). */
	smp_mb__after_atomic();
	return true;
}

static void kicked(void *unused)
{
}

/* True if the vCPU is in the guest or leaving it: the caller must wait for it. */
static bool leaving_guest(struct keel_vcpu *vcpu)
{
	/* Order the request before the read of mode: pairs with enter(). */
	smp_mb__before_atomic();
	return cmpxchg(&vcpu->mode, VCPU_IN_GUEST, VCPU_EXITING) != VCPU_OUTSIDE;
}

void keel_request_all(struct keel_vm *vm, enum keel_request req)
{
	struct keel_vcpu *vcpu;
	struct cpumask *mask;
	unsigned long i;
	int cpu;

	preempt_disable();
	mask = this_cpu_ptr(&kick_mask);
	cpumask_clear(mask);
	for (i = 0; (vcpu = keel_vcpu_from(vm, &i)); i++) {
		keel_make_request(vcpu, req);
		cpu = READ_ONCE(vcpu->cpu);
		if (leaving_guest(vcpu) && cpu >= 0)
			cpumask_set_cpu(cpu, mask);
	}
	/* The IPI itself makes the vCPU exit; waiting for it makes sure that it has. */
	if (!cpumask_empty(mask))
		smp_call_function_many(mask, kicked, NULL, true);
	preempt_enable();
}

/* --- loading ------------------------------------------------------------ */

static void load_here(struct keel_vcpu *vcpu, int cpu)
{
	vmx_load(&vcpu->vmx, cpu);
	vcpu->cpu = cpu;
}

static void put_here(struct keel_vcpu *vcpu)
{
	vmx_put(&vcpu->vmx);
	vcpu->cpu = -1;
}

static void sched_in(struct preempt_notifier *pn, int cpu)
{
	load_here(container_of(pn, struct keel_vcpu, preempt), cpu);
}

static void sched_out(struct preempt_notifier *pn, struct task_struct *next)
{
	put_here(container_of(pn, struct keel_vcpu, preempt));
}

static struct preempt_ops preempt_ops = {
	.sched_in = sched_in,
	.sched_out = sched_out,
};

void keel_vcpu_load(struct keel_vcpu *vcpu)
{
	int cpu = get_cpu();

	preempt_notifier_register(&vcpu->preempt);
	load_here(vcpu, cpu);
	put_cpu();
}

void keel_vcpu_put(struct keel_vcpu *vcpu)
{
	preempt_disable();
	put_here(vcpu);
	preempt_notifier_unregister(&vcpu->preempt);
	preempt_enable();
}

/* --- entering the guest ------------------------------------------------- */

/*
 * True if the kernel has work for the thread that must not wait until the
 * thread returns to user mode by itself. TIF_NOTIFY_RESUME alone does not say
 * so: restartable sequences, which glibc registers for every thread, set it at
 * each preemption and can wait.
 */
static bool thread_work(void)
{
	if (likely(!test_thread_flag(TIF_NOTIFY_RESUME)))
		return false;
#ifdef CONFIG_MEMCG
	if (current->memcg_nr_pages_over_high)
		return true;
#endif
	return task_work_pending(current);
}

static bool exit_requested(struct keel_vcpu *vcpu)
{
	return READ_ONCE(vcpu->mode) == VCPU_EXITING || READ_ONCE(vcpu->requests) ||
	       need_resched() || thread_work() || READ_ONCE(current_thread_info()->flags) &
	       (_TIF_SIGPENDING | _TIF_NOTIFY_SIGNAL);
}

/* Return RUN_RESUME, or the verdict that keeps the vCPU out of the guest. */
static int handle_requests(struct keel_vcpu *vcpu)
{
	if (take_request(vcpu, REQ_DEAD))
		return -EIO;
	if (take_request(vcpu, REQ_RING_FULL) && keel_ring_full(vcpu))
		return RUN_USER;
	if (take_request(vcpu, REQ_TLB_FLUSH)) {
		STAT(vcpu, tlb_flush);
		vmx_flush_tlb(&vcpu->vmx);
	}
	if (take_request(vcpu, REQ_LOG))
		keel_dirty_update(vcpu);
	if (take_request(vcpu, REQ_MSR_FILTER))
		keel_msr_filter_changed(vcpu);
	if (take_request(vcpu, REQ_CLOCK))
		keel_clock_update(vcpu);
	/* Report the step before the next event is injected. */
	if (take_request(vcpu, REQ_STEPPED))
		return keel_debug_stepped(vcpu);
	/* Leave REQ_EVENT set if the emulator runs the guest: it takes events itself. */
	if (keel_mode_runs(vcpu) && take_request(vcpu, REQ_EVENT))
		keel_inject_events(vcpu);
	return RUN_RESUME;
}

static void load_fpu(void)
{
	fpregs_assert_state_consistent();
	if (test_thread_flag(TIF_NEED_FPU_LOAD))
		switch_fpu_return();
}

/* Interrupts off. Return false if there is a reason to stay outside after all. */
static bool enter(struct keel_vcpu *vcpu, struct keel_exit *exit)
{
	/* Order mode before the read of requests: pairs with leaving_guest(). */
	smp_store_mb(vcpu->mode, VCPU_IN_GUEST);
	if (exit_requested(vcpu)) {
		WRITE_ONCE(vcpu->mode, VCPU_OUTSIDE);
		return false;
	}
	load_fpu();
	vmx_run(&vcpu->vmx, exit);
	/* Before VCPU_OUTSIDE: a CPU that has waited for this exit must find the pages marked. */
	if (unlikely(vcpu->vmx.logging))
		keel_dirty_drain(vcpu);
	/*
	 * Release: a CPU that reads VCPU_OUTSIDE in leaving_guest() also sees
	 * every write made before.
	 */
	smp_store_release(&vcpu->mode, VCPU_OUTSIDE);
	vmx_handle_nmi(exit);
	return true;
}

static int enter_and_handle(struct keel_vcpu *vcpu)
{
	struct keel_exit exit;
	bool entered;
	int r;

	if (unlikely(READ_ONCE(vcpu->requests))) {
		r = handle_requests(vcpu);
		if (r != RUN_RESUME)
			return r;
	}
	if (unlikely(vcpu->events.triple_fault))
		return keel_shutdown(vcpu);
	if (unlikely(!keel_mode_runs(vcpu))) {
		vcpu->has_run = true;
		return keel_emulate_mode(vcpu);
	}

	vmx_set_ept_root(&vcpu->vmx, vcpu->vm->mmu.root[keel_as(vcpu)]);
	preempt_disable();
	vmx_switch_to_guest(&vcpu->vmx);
	local_irq_disable();
	entered = enter(vcpu, &exit);
	local_irq_enable();
	if (entered)
		vmx_account_exit();
	preempt_enable();

	if (unlikely(!entered)) {
		keel_uninject(vcpu);
		return RUN_RESUME;
	}
	vcpu->has_run = true;
	STAT(vcpu, exits);
	keel_requeue_vectoring(vcpu, &exit);
	return keel_handle_exit(vcpu, &exit);
}

/*
 * Do not make the kernel's work wait until the guest exits by itself. Signals
 * end KVM_RUN. Task work makes the ioctl return and restart by itself, as its
 * handlers are not exported to modules. Task work may raise a signal, and then
 * the ioctl does not restart: set exit_reason for userspace in that case too.
 */
static int handle_thread_work(struct keel_vcpu *vcpu)
{
	if (signal_pending(current)) {
		vcpu->run->exit_reason = KVM_EXIT_INTR;
		STAT(vcpu, signal_exits);
		return -EINTR;
	}
	if (thread_work()) {
		vcpu->run->exit_reason = KVM_EXIT_INTR;
		return -ERESTARTNOHAND;
	}
	cond_resched();
	return RUN_RESUME;
}

/* True if the guest can take an interrupt now and userspace has asked to be told. */
static bool irq_window_open(struct keel_vcpu *vcpu)
{
	return READ_ONCE(vcpu->run->request_interrupt_window) && keel_irq_ready(vcpu);
}

static int run_loop(struct keel_vcpu *vcpu)
{
	int r;

	do {
		r = enter_and_handle(vcpu);
		if (r != RUN_RESUME)
			return r;
		if (irq_window_open(vcpu)) {
			vcpu->run->exit_reason = KVM_EXIT_IRQ_WINDOW_OPEN;
			STAT(vcpu, irq_window_exits);
			return RUN_USER;
		}
		r = handle_thread_work(vcpu);
	} while (r == RUN_RESUME);
	return r;
}

/* --- KVM_RUN ------------------------------------------------------------ */

static void mask_signals(struct keel_vcpu *vcpu)
{
	if (vcpu->sigset_active)
		sigprocmask(SIG_SETMASK, &vcpu->sigset, &current->real_blocked);
}

static void unmask_signals(struct keel_vcpu *vcpu)
{
	if (!vcpu->sigset_active)
		return;
	sigprocmask(SIG_SETMASK, &current->real_blocked, NULL);
	sigemptyset(&current->real_blocked);
}

/* Take userspace's input from kvm_run, reading each field once. */
static int take_run_input(struct keel_vcpu *vcpu)
{
	int err = keel_sync_regs_in(vcpu);

	if (err)
		return err;
	if (keel_set_cr8(vcpu, READ_ONCE(vcpu->run->cr8)))
		return -EINVAL;
	if (READ_ONCE(vcpu->run->request_interrupt_window) != vcpu->events.window_wanted)
		keel_make_request(vcpu, REQ_EVENT);
	return 0;
}

static void give_run_output(struct keel_vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;

	run->if_flag = !!(vmx_rflags(&vcpu->vmx) & X86_EFLAGS_IF);
	run->ready_for_interrupt_injection = keel_irq_ready(vcpu);
	run->flags = vcpu->events.smm ? KVM_RUN_X86_SMM : 0;
	run->cr8 = vcpu->cr8;
	run->apic_base = vcpu->apic_base;
	keel_sync_regs_out(vcpu);
}

static int complete_exit(struct keel_vcpu *vcpu)
{
	int (*complete)(struct keel_vcpu *) = vcpu->complete;
	int r;

	if (!complete)
		return RUN_RESUME;
	vcpu->complete = NULL;
	keel_read_slots(vcpu);
	r = complete(vcpu);
	keel_read_slots_end(vcpu);
	return r;
}

static int run_loaded(struct keel_vcpu *vcpu, bool immediate_exit)
{
	int r = take_run_input(vcpu);

	if (r)
		return r;
	r = complete_exit(vcpu);
	if (r != RUN_RESUME)
		return r;
	if (immediate_exit)
		return -EINTR;
	return run_loop(vcpu);
}

long keel_run(struct keel_vcpu *vcpu, void *arg)
{
	bool immediate_exit = READ_ONCE(vcpu->run->immediate_exit);
	int r;

	if (arg)
		return -EINVAL;
	mask_signals(vcpu);
	fpu_swap_kvm_fpstate(&vcpu->fpu, true);
	r = run_loaded(vcpu, immediate_exit);
	fpu_swap_kvm_fpstate(&vcpu->fpu, false);
	give_run_output(vcpu);
	unmask_signals(vcpu);
	/*
	 * TIF_SIGPENDING makes the kernel restart the call. Set it last:
	 * unmask_signals() would clear it.
	 */
	if (r == -ERESTARTNOHAND)
		set_thread_flag(TIF_SIGPENDING);
	return r;
}

long keel_set_signal_mask(struct keel_vcpu *vcpu, void *arg)
{
	struct kvm_signal_mask __user *user = (void __user __force *)arg;
	struct kvm_signal_mask mask;
	sigset_t set;

	if (!user) {
		vcpu->sigset_active = false;
		return 0;
	}
	if (copy_from_user(&mask, user, sizeof(mask)))
		return -EFAULT;
	if (mask.len != sizeof(set))
		return -EINVAL;
	if (copy_from_user(&set, user->sigset, sizeof(set)))
		return -EFAULT;
	sigdelsetmask(&set, sigmask(SIGKILL) | sigmask(SIGSTOP));
	vcpu->sigset = set;
	vcpu->sigset_active = true;
	return 0;
}

/* --- the file ----------------------------------------------------------- */

static vm_fault_t vcpu_fault(struct vm_fault *vmf)
{
	struct keel_vcpu *vcpu = vmf->vma->vm_file->private_data;
	struct page *page;

	if (vmf->pgoff == 0)
		page = virt_to_page(vcpu->run);
	else if (vmf->pgoff == KVM_PIO_PAGE_OFFSET)
		page = virt_to_page(vcpu->pio_data);
	else if (vmf->pgoff == KVM_COALESCED_MMIO_PAGE_OFFSET)
		page = keel_coalesced_page(vcpu->vm);
	else
		page = keel_ring_page(vcpu, vmf->pgoff);
	if (!page)
		return VM_FAULT_SIGBUS;
	get_page(page);
	vmf->page = page;
	return 0;
}

static const struct vm_operations_struct vcpu_vm_ops = { .fault = vcpu_fault };

/*
 * Refuse a private mapping of the dirty ring, which userspace could not reset,
 * and an executable one.
 */
static int vcpu_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct keel_vcpu *vcpu = file->private_data;

	if (keel_ring_covers(vcpu->vm, vma->vm_pgoff, vma_pages(vma)) &&
	    (vma->vm_flags & VM_EXEC || !(vma->vm_flags & VM_SHARED)))
		return -EINVAL;
	vma->vm_ops = &vcpu_vm_ops;
	return 0;
}

static int vcpu_release(struct inode *inode, struct file *file)
{
	struct keel_vcpu *vcpu = file->private_data;

	keel_vm_put(vcpu->vm);
	return 0;
}

static const struct file_operations vcpu_fops = {
	.owner = THIS_MODULE,
	.release = vcpu_release,
	.unlocked_ioctl = keel_vcpu_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.mmap = vcpu_mmap,
	.llseek = noop_llseek,
};

/* --- life --------------------------------------------------------------- */

static void reset(struct keel_vcpu *vcpu)
{
	keel_vcpu_load(vcpu);
	vmx_reset(&vcpu->vmx);
	keel_msr_reset(vcpu);
	keel_msr_filter_changed(vcpu);
	keel_tsc_reset(vcpu);
	keel_vcpu_put(vcpu);
}

static int alloc_shared_pages(struct keel_vcpu *vcpu)
{
	vcpu->run = (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	if (!vcpu->run)
		return -ENOMEM;
	vcpu->pio_data = (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	if (vcpu->pio_data)
		return 0;
	free_page((unsigned long)vcpu->run);
	return -ENOMEM;
}

static void free_shared_pages(struct keel_vcpu *vcpu)
{
	free_page((unsigned long)vcpu->pio_data);
	free_page((unsigned long)vcpu->run);
}

static void destroy_vcpu(struct keel_vcpu *vcpu)
{
	mmu_vcpu_free(vcpu);
	keel_ring_free(vcpu);
	keel_cpuid_free(vcpu);
	keel_msr_free(vcpu);
	fpu_free_guest_fpstate(&vcpu->fpu);
	vmx_vcpu_free(&vcpu->vmx);
	free_shared_pages(vcpu);
	kmem_cache_free(vcpu_cache, vcpu);
}

static struct keel_vcpu *alloc_vcpu(struct keel_vm *vm, int id)
{
	struct keel_vcpu *vcpu = kmem_cache_zalloc(vcpu_cache, GFP_KERNEL_ACCOUNT);
	int err = -ENOMEM;

	if (!vcpu)
		return ERR_PTR(err);
	vcpu->vm = vm;
	vcpu->id = id;
	vcpu->index = vm->nr_vcpus;
	vcpu->cpu = -1;
	mutex_init(&vcpu->mutex);
	preempt_notifier_init(&vcpu->preempt, &preempt_ops);

	err = alloc_shared_pages(vcpu);
	if (err)
		goto free_vcpu;
	err = vmx_vcpu_init(&vcpu->vmx);
	if (err)
		goto free_pages;
	if (!fpu_alloc_guest_fpstate(&vcpu->fpu)) {
		err = -ENOMEM;
		goto free_vmx;
	}
	err = keel_msr_init(vcpu);
	if (err)
		goto free_fpu;
	err = keel_ring_init(vcpu);
	if (err)
		goto free_msrs;
	keel_cpuid_init(vcpu);
	reset(vcpu);
	/* The other vCPUs may have got REQ_LOG before this one was in the table. */
	keel_make_request(vcpu, REQ_LOG);
	return vcpu;

free_msrs:
	keel_msr_free(vcpu);
free_fpu:
	fpu_free_guest_fpstate(&vcpu->fpu);
free_vmx:
	vmx_vcpu_free(&vcpu->vmx);
free_pages:
	free_shared_pages(vcpu);
free_vcpu:
	kmem_cache_free(vcpu_cache, vcpu);
	return ERR_PTR(err);
}

static bool id_taken(struct keel_vm *vm, int id)
{
	struct keel_vcpu *vcpu;
	unsigned long i;

	for (i = 0; (vcpu = keel_vcpu_from(vm, &i)); i++)
		if (vcpu->id == id)
			return true;
	return false;
}

static int vcpu_fd(struct keel_vcpu *vcpu)
{
	char name[sizeof("keel-vcpu:") + 10];
	int fd;

	snprintf(name, sizeof(name), "keel-vcpu:%d", vcpu->id);
	keel_vm_get(vcpu->vm);
	fd = anon_inode_getfd(name, &vcpu_fops, vcpu, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		keel_vm_put(vcpu->vm);
	return fd;
}

/*
 * Put the vCPU into the table before its file exists, so that no request misses
 * it. If the file cannot be made, remove it and wait until no one that has
 * found it in the table uses it: see keel_vcpu_from().
 */
static long add_vcpu(struct keel_vm *vm, struct keel_vcpu *vcpu)
{
	int fd, err = xa_err(xa_store(&vm->vcpus, vcpu->index, vcpu, GFP_KERNEL_ACCOUNT));

	if (err)
		return err;
	test_point(TEST_VCPU_LISTED);
	fd = vcpu_fd(vcpu);
	if (fd < 0) {
		xa_erase(&vm->vcpus, vcpu->index);
		synchronize_rcu();
		return fd;
	}
	/* Count it last: keel_vcpu_from() also looks at index nr_vcpus. */
	WRITE_ONCE(vm->nr_vcpus, vm->nr_vcpus + 1);
	keel_debugfs_add_vcpu(vcpu);
	return fd;
}

static long create_locked(struct keel_vm *vm, int id)
{
	struct keel_vcpu *vcpu;
	long fd;

	if (!vm->vcpu_ids)
		vm->vcpu_ids = KEEL_MAX_VCPU_ID;
	if (id >= vm->vcpu_ids)
		return -EINVAL;
	if (id_taken(vm, id))
		return -EEXIST;
	if (vm->nr_vcpus >= KEEL_MAX_VCPUS)
		return -EINVAL;
	vcpu = alloc_vcpu(vm, id);
	if (IS_ERR(vcpu))
		return PTR_ERR(vcpu);
	fd = add_vcpu(vm, vcpu);
	if (fd < 0)
		destroy_vcpu(vcpu);
	return fd;
}

long keel_create_vcpu(struct keel_vm *vm, void *arg)
{
	unsigned long id = (unsigned long)arg;
	long fd;

	if (id >= KEEL_MAX_VCPU_ID)
		return -EINVAL;
	mutex_lock(&vm->lock);
	fd = create_locked(vm, id);
	mutex_unlock(&vm->lock);
	return fd;
}

/* The limit can be set once, and only before the first vCPU. */
long keel_limit_vcpu_ids(struct keel_vm *vm, const u64 *args)
{
	long err = 0;

	if (args[0] > KEEL_MAX_VCPU_ID)
		return -EINVAL;
	mutex_lock(&vm->lock);
	if (!vm->vcpu_ids)
		vm->vcpu_ids = args[0];
	else if (vm->vcpu_ids != args[0])
		err = -EINVAL;
	mutex_unlock(&vm->lock);
	return err;
}

void keel_destroy_vcpus(struct keel_vm *vm)
{
	struct keel_vcpu *vcpu;
	unsigned long i;

	xa_for_each(&vm->vcpus, i, vcpu)
		destroy_vcpu(vcpu);
	xa_destroy(&vm->vcpus);
}

int __init keel_vcpu_module_init(void)
{
	vcpu_cache = KMEM_CACHE(keel_vcpu, SLAB_ACCOUNT);
	return vcpu_cache ? 0 : -ENOMEM;
}

void keel_vcpu_module_exit(void)
{
	kmem_cache_destroy(vcpu_cache);
}
