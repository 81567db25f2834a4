/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The two structures of the module, the VM and the vCPU, and the run verdict. A
 * comment at each group of fields names its owner; functions are declared in
 * the header of the file that defines them.
 *
 * Locks, outer to inner: vCPU mutex, vm->lock, vm->slots_lock, SRCU read side,
 * mmap lock, mmu.lock. docs/locking.md has a card for each.
 */
#ifndef KEEL_KEEL_H
#define KEEL_KEEL_H

#include <linux/kvm.h>
#include <linux/mmu_notifier.h>
#include <linux/mutex.h>
#include <linux/preempt.h>
#include <linux/rcupdate.h>
#include <linux/refcount.h>
#include <linux/srcu.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>
#include <asm/fpu/types.h>

#include "clock.h"
#include "debug.h"
#include "dirty_ring.h"
#include "emulate/emulate.h"
#include "gva.h"
#include "mce.h"
#include "types.h"
#include "mmu/mmu.h"
#include "stats.h"
#include "store.h"
#include "test.h"
#include "tsc.h"
#include "vmx/vmx.h"

#define KEEL_MAX_VCPUS		1024
#define KEEL_MAX_VCPU_ID	4096		/* ids are below this */
#define KEEL_MAX_CPUID_ENTRIES	256
#define KEEL_MAX_ROUTES		4096

struct cpuid_table;
struct doorbells;
struct file;
struct keel_memslots;
struct keel_msrs;
struct keel_slot_index;
struct msr_filter;

/*
 * enum keel_run - what a step of the run path tells its caller
 * @RUN_USER:	 return 0 from KVM_RUN; kvm_run says why
 * @RUN_RESUME:	 go on running the guest
 *
 * A negative errno ends KVM_RUN with that error.
 */
enum keel_run {
	RUN_USER = 0,
	RUN_RESUME = 1,
};

/*
 * vcpu->mode: whether another CPU must kick this vCPU for it to see a request.
 * See leaving_guest().
 */
enum keel_vcpu_mode {
	VCPU_OUTSIDE,		/* checks its requests before it enters */
	VCPU_IN_GUEST,		/* must be kicked */
	VCPU_EXITING,		/* has been kicked and is leaving the guest */
};

/* vcpu->requests: bit numbers. */
enum keel_request {
	REQ_TLB_FLUSH,		/* flush the vCPU's cached translations */
	REQ_EVENT,		/* check again which event can be injected */
	REQ_CLOCK,		/* update the guest's clock page */
	REQ_LOG,		/* start or stop PML; mark the pages logged so far */
	REQ_RING_FULL,		/* return KVM_EXIT_DIRTY_RING_FULL */
	REQ_MSR_FILTER,		/* set the MSR intercepts for another filter */
	REQ_STEPPED,		/* a debugger's step has ended: KVM_EXIT_DEBUG */
	REQ_DEAD,		/* the VM is dead: return -EIO */
};

/* Buses of guest I/O; each has doorbells and coalesced zones of its own. */
enum keel_bus {
	KEEL_BUS_MMIO,
	KEEL_BUS_PIO,
	KEEL_BUSES,
};

struct keel_vm {
	struct mm_struct *mm;		/* the only process that may use it */
	refcount_t users;		/* one for each VM, vCPU and statistics fd */
	bool dead;			/* an invariant was broken: ioctls return -EIO */
	u32 id;				/* names it in debugfs and traces */

	struct mutex lock;		/* vCPU creation, VM-wide settings */
	struct xarray vcpus;		/* by @index of the vCPU; @lock to write */
	int nr_vcpus;			/* also the index of the next one */
	u64 tsc_khz;			/* default of new vCPUs */
	struct keel_vm_tsc tsc;		/* the offset that the vCPUs' counters agree on */
	struct keel_vm_clock clock;
	struct msr_filter __rcu *msr_filter;	/* @lock to change, @srcu to read */
	u32 user_msr;			/* KVM_MSR_EXIT_REASON_* that userspace answers */
	u32 boot_cpu_id;		/* id of the boot vCPU; @lock to write */
	u32 vcpu_ids;			/* limit of vCPU ids; 0: not settled yet; @lock */
	bool payloads;			/* KVM_CAP_EXCEPTION_PAYLOAD is enabled */
	bool triple_faults;		/* KVM_CAP_X86_TRIPLE_FAULT_EVENT is enabled */

	/* Doorbells and coalesced zones: @io_lock to change, RCU to read. */
	struct mutex io_lock;
	struct doorbells __rcu *doorbells[KEEL_BUSES];	/* NULL: no doorbell has been added yet */
	struct list_head zones[KEEL_BUSES];
	unsigned int nr_doorbells[KEEL_BUSES], nr_zones[KEEL_BUSES];
	unsigned int any_length_doorbells;	/* on the MMIO bus, of any length */
	struct kvm_coalesced_mmio_ring *ring;	/* shared with userspace; @ring_lock to write */
	spinlock_t ring_lock;

	struct mutex slots_lock;	/* serialises memslot updates */
	struct srcu_struct srcu;	/* readers of @memslots and @msr_filter */
	struct keel_memslots __rcu *memslots[KEEL_ADDRESS_SPACES];
	struct keel_slot_index *slot_index;	/* by id; @slots_lock */
	bool memory_in_place;		/* KEEL_CAP_MEMORY_IN_PLACE is enabled */
	bool exit_on_emulation_failure;	/* KVM_CAP_EXIT_ON_EMULATION_FAILURE is enabled */
	int notifier_reads;		/* read sections of the mmu notifier; mmu.lock to write */
	int logging_slots;		/* memslots with KVM_MEM_LOG_DIRTY_PAGES; @slots_lock */
	u32 dirty_log_flags;		/* KVM_DIRTY_LOG_*; @slots_lock */
	u32 dirty_ring_entries;		/* of each vCPU; 0: slots have bitmaps. @lock to write */
	struct work_struct grace;	/* memory.c: grace_work() */
	struct mmu_notifier notifier;
	struct keel_mmu mmu;

	struct keel_vm_stats stats;
	struct dentry *debugfs;
};

/* A guest exception that is pending or injected: see irq.c. */
struct keel_exception {
	bool pending;		/* raised, not yet handed to the hardware */
	bool injected;		/* handed to the hardware, delivery not confirmed */
	bool has_error;
	bool soft;		/* INT3/INTO: needs the instruction length */
	u8 vector;
	u32 error;
	u64 payload;		/* CR2 of #PF, DR6 bits of #DB */
	bool has_payload;
};

struct keel_events {
	struct keel_exception exception;
	struct {
		bool pending;		/* waits until the guest takes interrupts */
		bool injected;
		bool soft;		/* INT n */
		u8 nr;
	} interrupt;
	struct {
		u8 pending;		/* 0..2: see NMI_LATCH */
		bool injected;
	} nmi;
	u32 insn_len;			/* length of the instruction of the injected soft event */
	bool in_flight;			/* the next entry carries an event */
	u8 window_wanted;		/* request_interrupt_window as last read */
	bool smm;			/* SMM: selects address space 1, nothing else is emulated */
	bool smm_inside_nmi;
	bool smi_pending;
	bool triple_fault;
};

/* The kind of access of a fragment; @FRAGMENT_RAM holds only bytes that were read. */
enum keel_fragment_kind {
	FRAGMENT_MMIO,
	FRAGMENT_PORT,
	FRAGMENT_RAM,
};

/*
 * struct keel_mmio_fragment - one access as userspace sees it
 * @gpa:	or the number of the port; @len is then 1, 2 or 4
 *
 * At most 8 bytes, not crossing a page. Holds a copy of the data, never a pointer.
 */
struct keel_mmio_fragment {
	gpa_t gpa;
	u8 len;
	u8 kind;		/* enum keel_fragment_kind */
	u8 data[8];
};

/*
 * struct keel_mmio - reads, and writes to devices, of the instruction being emulated
 *
 * An instruction that reads MMIO is executed again from the start after each answer
 * of userspace: @frag[0..@answered) are replayed to it, and the next one is the
 * question. Bytes that it reads from RAM are kept and replayed too. Writes follow the
 * reads; once the instruction has been committed they go to userspace one by one.
 *
 * ENTER with 31 levels needs the most fragments: 30 reads, 32 writes, and one more of
 * each where they cross a page or the stack pointer wraps within one.
 */
#define KEEL_MMIO_FRAGMENTS	96
struct keel_mmio {
	u8 answered;		/* reads whose bytes are known */
	u8 replayed;		/* of these, replayed to the current execution */
	u8 next;		/* next write to hand over */
	u8 nr;			/* all fragments in use */
	bool rehearsing;	/* ask and queue nothing: see rehearse.c */
	bool guessed;		/* a read whose bytes are not known has returned zeros */
	struct keel_mmio_fragment frag[KEEL_MMIO_FRAGMENTS];
};

struct keel_pio {
	u16 port;
	u8 size;
	bool in;
	u64 rip;		/* of the instruction */
	u32 count;		/* elements in this exit */
	/* INS and OUTS */
	gva_t linear;		/* address of the first element */
	u64 end;		/* offset of the last byte in the segment */
	u8 addr_bytes;		/* address size */
	bool rep, down;
};

/*
 * struct keel_place - where one kind of access to a linear page leads: see place.c
 * @access:	ACC_* for which the guest's tables were walked
 * @gpa:	the page that the walk found
 * @memory:	a memslot has @gpa, at @hva; the guest may write to it if @writable
 */
struct keel_place {
	gva_t page;
	gpa_t gpa;
	hva_t hva;
	unsigned int access;
	bool memory, writable;
};

/*
 * An interrupt to an inner level needs the most places: two pages each of the
 * IDT, the TSS and two descriptors, to be read, and of these and of the stack,
 * to be written.
 */
#define KEEL_PLACES		24

/*
 * struct keel_emulation - the instruction being emulated
 * @gpa:	where the hardware met the access that needs it, or INVALID_GPA
 * @alone:	@gpa belongs to the instruction's only access to data
 * @page:	linear page of the access to @gpa, if @page_known
 * @rsp:	the guest's RSP before the instruction
 * @decoded:	@ctx is decoded for the current registers; keel_drop_answer()
 *		clears it, and voids the answers, when userspace sets registers
 * @known:	@alone, and @page was enough to find the MMIO at @gpa
 * @again:	re-execution after an answer of userspace: use the pages found before;
 *		the first @answered reads were answered, or made from RAM, by then
 * @slots:	the memslots that the whole instruction sees; NULL: none is emulated
 * @slot:	the memslot of @slots that was found last, or NULL
 * @error:	ends KVM_RUN: the owner's memory cannot be accessed
 * @may_write:	the hardware or a walk says that the guest may write at @gpa
 * @msr_answered: kvm_run holds userspace's answer to the RDMSR or WRMSR
 * @tpr_lowered: the instruction is a MOV to CR8 that userspace must be told of
 * @mode:	the hardware cannot run the guest in its mode: see mode.c
 * @place:	pages that the instruction accesses, other than the one @known
 */
struct keel_emulation {
	struct emu_ctx ctx;
	gpa_t gpa;
	gva_t page;
	u64 rsp;
	bool alone;
	bool page_known;
	bool decoded;
	bool known;
	bool again;
	u8 nr_places;
	u8 answered;
	const struct keel_memslots *slots;
	const struct keel_memslot *slot;
	int error;
	bool may_write;
	bool msr_answered;
	bool tpr_lowered;
	bool mode;
	struct keel_place place[KEEL_PLACES];
};

struct keel_vcpu {
	struct vmx_vcpu vmx;
	struct keel_vm *vm;
	int id;				/* KVM_CREATE_VCPU's argument */
	int index;

	struct mutex mutex;		/* taken by each ioctl */
	struct kvm_run *run;		/* shared with userspace */
	void *pio_data;			/* shared: one page */
	struct preempt_notifier preempt;
	int cpu;			/* CPU that it is loaded on, or -1 */
	int mode;			/* enum keel_vcpu_mode */
	bool has_run;			/* the guest has run and may have read its CPUID */
	int slots_held;			/* nesting of keel_read_slots(); being_read() reads it */
	int slots_idx;			/* SRCU index while @slots_held */
	unsigned long requests;		/* bits: enum keel_request */
	struct fpu_guest fpu;

	bool sigset_active;
	sigset_t sigset;
	u32 mp_state;			/* KVM_MP_STATE_* */

	/* completes the exit that userspace has answered, or NULL */
	int (*complete)(struct keel_vcpu *vcpu);
	struct keel_emulation emulation;
	struct keel_mmio mmio;
	struct keel_pio pio;
	struct gva_span ins;		/* destination of the input of INS */
	struct keel_store store;
	struct keel_events events;

	/* vcpu_cpuid.c */
	struct cpuid_table *cpuid;	/* NULL: userspace has not set it yet */
	int maxphyaddr;			/* MAXPHYADDR of the guest, not above the host's */
	u64 cr4_reserved;		/* bits that the guest's CPUID does not allow */
	u64 supported_xcr0;
	bool pv_enforced;		/* allow only the paravirtual MSRs of its CPUID */

	/* msr.c, tsc.c */
	u64 apic_base;
	u64 tsc_adjust;
	u64 tsc_khz;
	struct keel_msrs *msrs;		/* MSRs that only hold their value */
	struct keel_vcpu_clock clock;
	struct keel_mce mce;

	u64 cr8;
	struct keel_debug debug;

	struct keel_mmu_vcpu mmu;
	struct keel_dirty_ring ring;
	struct keel_vcpu_stats stats;
};

/*
 * Return the first vCPU from index *@i on and set *@i to its index, or return
 * NULL. This also finds the vCPU that is just being created, which is freed
 * after a grace period if it gets no file. The search ends at nr_vcpus, which
 * saves a walk through the rest of the xarray's node. Hold vm->lock or RCU, or
 * keep preemption off, while the vCPU is used.
 */
static inline struct keel_vcpu *keel_vcpu_from(struct keel_vm *vm, unsigned long *i)
{
	unsigned long last = READ_ONCE(vm->nr_vcpus);
	struct keel_vcpu *vcpu = xa_find(&vm->vcpus, i, last, XA_PRESENT);

	RCU_LOCKDEP_WARN(!rcu_read_lock_any_held() && !lockdep_is_held(&vm->lock),
			 "vCPUs looked at without RCU");
	if (vcpu && *i == last)
		test_point_busy(TEST_VCPU_FOUND);
	return vcpu;
}

/* The address space of the vCPU's accesses. */
static inline int keel_as(const struct keel_vcpu *vcpu)
{
	return vcpu->events.smm ? 1 : 0;
}

/* The current snapshot of an address space. SRCU or slots_lock held. */
static inline const struct keel_memslots *keel_slots(const struct keel_vm *vm, int as)
{
	return srcu_dereference_check(vm->memslots[as], &vm->srcu,
				      lockdep_is_held(&vm->slots_lock));
}

/*
 * Begin a vCPU's read section of the memslots, around all look-ups of one
 * access. SRCU lets an update wait for its end; @slots_held lets being_read()
 * see that there is nothing to wait for. Sections nest; the outermost one
 * counts. vCPU mutex held.
 */
static inline void keel_read_slots(struct keel_vcpu *vcpu)
{
	if (vcpu->slots_held) {
		WRITE_ONCE(vcpu->slots_held, vcpu->slots_held + 1);
		__acquire(&vcpu->vm->srcu);
		return;
	}
	/* Order the store before the read of a snapshot: pairs with being_read(). */
	smp_store_mb(vcpu->slots_held, 1);
	vcpu->slots_idx = srcu_read_lock(&vcpu->vm->srcu);
}

static inline void keel_read_slots_end(struct keel_vcpu *vcpu)
{
	if (vcpu->slots_held > 1) {
		WRITE_ONCE(vcpu->slots_held, vcpu->slots_held - 1);
		__release(&vcpu->vm->srcu);
		return;
	}
	srcu_read_unlock(&vcpu->vm->srcu, vcpu->slots_idx);
	/* Release: order the section's accesses before the count drops; pairs with being_read(). */
	smp_store_release(&vcpu->slots_held, 0);
}

/* The snapshot in which the vCPU's accesses are looked up: one for a whole instruction. */
static inline const struct keel_memslots *keel_vcpu_slots(const struct keel_vcpu *vcpu)
{
	return vcpu->emulation.slots ?: keel_slots(vcpu->vm, keel_as(vcpu));
}

/* vcpu.c: set @req; the vCPU handles it before it enters the guest. */
void keel_make_request(struct keel_vcpu *vcpu, enum keel_request req);
/*
 * Set @req for every vCPU. On return no vCPU is still in the guest with @req
 * unseen. May be called under mmu.lock; not from hard irq.
 */
void keel_request_all(struct keel_vm *vm, enum keel_request req);

/*
 * Call when userspace has set registers or events. An instruction that waits
 * for an answer starts again from the beginning, as it may be another one now.
 * REQ_EVENT has keel_inject_events() make the new state fit for VM entry.
 */
static inline void keel_drop_answer(struct keel_vcpu *vcpu)
{
	vcpu->emulation.decoded = false;
	keel_make_request(vcpu, REQ_EVENT);
}

/* Call on a broken invariant: from now on the VM's ioctls return -EIO. */
void keel_vm_kill(struct keel_vm *vm);

#endif
