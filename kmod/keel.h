/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The two nouns of the module - the VM and the vCPU - and the run verdict.
 * Who owns which group of fields is said beside the group; everything else is
 * declared by the header of the file that does it.
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

/* vcpu->mode: whether other CPUs must interrupt this vCPU to get its attention. */
enum keel_vcpu_mode {
	VCPU_OUTSIDE,		/* looks at its requests before it enters */
	VCPU_IN_GUEST,		/* must be kicked */
	VCPU_EXITING,		/* has been kicked, is on its way out */
};

/* vcpu->requests: bit numbers. */
enum keel_request {
	REQ_TLB_FLUSH,		/* forget cached guest-physical translations */
	REQ_EVENT,		/* look again at what can be injected */
	REQ_CLOCK,		/* tell the guest its clock anew */
	REQ_LOG,		/* begin or end to log writes; mark those logged so far */
	REQ_RING_FULL,		/* return KVM_EXIT_DIRTY_RING_FULL */
	REQ_MSR_FILTER,		/* the hardware must heed another filter */
	REQ_STEPPED,		/* a step of the debugger's is done: KVM_EXIT_DEBUG */
	REQ_DEAD,		/* the VM is dead */
};

/* Where a guest's I/O goes to; each has in-kernel takers of writes of its own. */
enum keel_bus {
	KEEL_BUS_MMIO,
	KEEL_BUS_PIO,
	KEEL_BUSES,
};

struct keel_vm {
	struct mm_struct *mm;		/* the only process that may use it */
	refcount_t users;		/* VM fd, and one for each vCPU fd */
	bool dead;			/* broken invariant: -EIO ever after */
	u32 id;				/* names it in debugfs and traces */

	struct mutex lock;		/* vCPU creation, vm-wide settings */
	struct xarray vcpus;		/* by index of creation; @lock to write */
	int nr_vcpus;			/* also index of the next one */
	u64 tsc_khz;			/* default of new vCPUs */
	struct keel_vm_tsc tsc;		/* what the vCPUs' counters agree on */
	struct keel_vm_clock clock;
	struct msr_filter __rcu *msr_filter;	/* @lock to change, @srcu to read */
	u32 user_msr;			/* KVM_MSR_EXIT_REASON_* that userspace answers */
	u32 boot_cpu_id;		/* of the boot processor; @lock to write */
	u32 vcpu_ids;			/* ids are below this, once it is not 0; @lock */
	bool payloads;			/* userspace carries CR2 and DR6 of what is pending */
	bool triple_faults;		/* and triple faults */

	/* Takers of writes: @io_lock to change, RCU to read. */
	struct mutex io_lock;
	struct doorbells __rcu *doorbells[KEEL_BUSES];	/* NULL: there never was one */
	struct list_head zones[KEEL_BUSES];
	unsigned int nr_doorbells[KEEL_BUSES], nr_zones[KEEL_BUSES];
	unsigned int any_length_doorbells;	/* of MMIO */
	struct kvm_coalesced_mmio_ring *ring;	/* shared with userspace; @ring_lock to write */
	spinlock_t ring_lock;

	struct mutex slots_lock;	/* serialises memslot updates */
	struct srcu_struct srcu;	/* readers of @memslots */
	struct keel_memslots __rcu *memslots[KEEL_ADDRESS_SPACES];
	struct keel_slot_index *slot_index;	/* by id; @slots_lock */
	bool memory_in_place;		/* KEEL_CAP_MEMORY_IN_PLACE is enabled */
	bool exit_on_emulation_failure;	/* so is KVM's capability of that name */
	int notifier_reads;		/* read sections of the notifier; mmu.lock to write */
	int logging_slots;		/* that have KVM_MEM_LOG_DIRTY_PAGES; @slots_lock */
	u32 dirty_log_flags;		/* KVM_DIRTY_LOG_*; @slots_lock */
	u32 dirty_ring_entries;		/* of each vCPU; 0: slots have bitmaps. @lock to write */
	struct work_struct grace;	/* memory.c: does what must wait for readers */
	struct mmu_notifier notifier;
	struct keel_mmu mmu;

	struct keel_vm_stats stats;
	struct dentry *debugfs;
};

/* A guest exception on its way in. */
struct keel_exception {
	bool pending;		/* raised, not yet tried */
	bool injected;		/* handed to the hardware, not known delivered */
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
		u8 pending;		/* 0..2, as the hardware latches */
		bool injected;
	} nmi;
	u32 insn_len;			/* of the soft event that is injected */
	bool in_flight;			/* the next entry carries an event */
	u8 window_wanted;		/* request_interrupt_window as seen last */
	bool smm;			/* state only: selects address space 1 */
	bool smm_inside_nmi;
	bool smi_pending;
	bool triple_fault;
};

/* The kind of access that a fragment is of; @FRAGMENT_RAM: only bytes that were read. */
enum keel_fragment_kind {
	FRAGMENT_MMIO,
	FRAGMENT_PORT,
	FRAGMENT_RAM,
};

/*
 * struct keel_mmio_fragment - one access as userspace sees it: <= 8 bytes, no
 * page boundary inside. Holds a copy of the data, never a pointer.
 * @gpa:	or the number of the port; @len is then 1, 2 or 4
 */
struct keel_mmio_fragment {
	gpa_t gpa;
	u8 len;
	u8 kind;		/* enum keel_fragment_kind */
	u8 data[8];
};

/*
 * struct keel_mmio - what the one instruction being emulated reads, and writes to devices
 *
 * An instruction that reads MMIO is executed again from the start after each
 * answer: @frag[0..@answered) are replayed to it, the one after is the question.
 * What it reads from RAM on the way is kept likewise. Writes follow the reads;
 * they are handed to userspace one by one once the instruction has been committed.
 *
 * Most are needed by ENTER with 31 levels: 30 reads, 32 writes, and one more of
 * each where they cross a page or the stack pointer wraps within one.
 */
#define KEEL_MMIO_FRAGMENTS	96
struct keel_mmio {
	u8 answered;		/* reads whose bytes are there */
	u8 replayed;		/* of which this execution has consumed */
	u8 next;		/* next write to hand over */
	u8 nr;			/* all fragments in use */
	bool rehearsing;	/* see rehearse.c: ask nothing, queue nothing */
	bool guessed;		/* zeros have been given for what was not there */
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
 * struct keel_place - what a page is for one kind of access: see place.c
 * @access:	ACC_*, for which the guest's tables were walked
 * @gpa:	of the page
 * @memory:	a slot has it, at @hva; and lets the guest write to it, if @writable
 */
struct keel_place {
	gva_t page;
	gpa_t gpa;
	hva_t hva;
	unsigned int access;
	bool memory, writable;
};

/*
 * Most are needed by an interrupt to an inner level: two pages each of IDT, TSS
 * and two descriptors, to be read, and of these and the stack, to be written.
 */
#define KEEL_PLACES		24

/*
 * struct keel_emulation - the instruction being emulated
 * @gpa:	where the hardware met the access that needs it, or INVALID_GPA
 * @alone:	that is its only access to data
 * @page:	linear page that @gpa was met through, if @page_known
 * @rsp:	the guest's, before the instruction
 * @decoded:	@ctx is for the registers as they are; if userspace sets them
 *		it is void, and so is what was answered
 * @known:	@alone, and it was enough to know the page
 * @again:	userspace has answered: all is as it was found to be before;
 *		@answered reads were answered, or made from RAM, by then
 * @slots:	the snapshot that all of it sees; NULL while nothing is emulated
 * @slot:	of @slots, the one that was found last, or NULL
 * @error:	what ends KVM_RUN because memory of the owner's cannot be accessed
 * @may_write:	the hardware or a walk says that the guest may write at @gpa
 * @msr_answered: kvm_run holds userspace's answer to its RDMSR or WRMSR
 * @tpr_lowered: it is a MOV to CR8 that userspace must be told of
 * @mode:	the hardware does not run the guest as it is: see mode.c
 * @place:	pages that it accesses, other than the one @known
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

	struct mutex mutex;		/* one ioctl at a time */
	struct kvm_run *run;		/* shared with userspace */
	void *pio_data;			/* shared: one page */
	struct preempt_notifier preempt;
	int cpu;			/* CPU it is loaded on, or -1 */
	int mode;			/* enum keel_vcpu_mode */
	bool has_run;			/* the guest has begun, and knows its CPUID */
	int slots_held;			/* nested keel_read_slots(); updates look at it */
	int slots_idx;			/* of SRCU, while @slots_held */
	unsigned long requests;		/* bits: enum keel_request */
	struct fpu_guest fpu;

	bool sigset_active;
	sigset_t sigset;
	u32 mp_state;			/* KVM_MP_STATE_* */

	/* finishes the exit that userspace has just answered, or NULL */
	int (*complete)(struct keel_vcpu *vcpu);
	struct keel_emulation emulation;
	struct keel_mmio mmio;
	struct keel_pio pio;
	struct gva_span ins;		/* where the input of INS goes */
	struct keel_store store;
	struct keel_events events;

	/* vcpu_cpuid.c */
	struct cpuid_table *cpuid;	/* NULL: userspace has set none yet */
	int maxphyaddr;			/* of the guest, never above the host's */
	u64 cr4_reserved;		/* bits the guest's CPUID does not allow */
	u64 supported_xcr0;
	bool pv_enforced;		/* paravirtual registers only as its CPUID says */

	/* msr.c, tsc.c */
	u64 apic_base;
	u64 tsc_adjust;
	u64 tsc_khz;
	struct keel_msrs *msrs;		/* those kept for the guest only */
	struct keel_vcpu_clock clock;
	struct keel_mce mce;

	u64 cr8;
	struct keel_debug debug;

	struct keel_mmu_vcpu mmu;
	struct keel_dirty_ring ring;
	struct keel_vcpu_stats stats;
};

/*
 * The first vCPU from index *@i on, which becomes its index, or NULL. One that
 * is just being created is seen too, and freed after a grace period if it gets
 * no file; to look no further saves the walk through the rest of the table's
 * node. Hold vm->lock, RCU, or keep preemption off, for as long as it is used.
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

/* Address space that the vCPU's accesses go to. */
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
 * A vCPU's read section of the slots, around all that it looks up for one
 * access. SRCU lets an update wait for its end; @slots_held lets it see that
 * there is nothing to wait for. Sections nest; the outermost one counts. vCPU
 * mutex held.
 */
static inline void keel_read_slots(struct keel_vcpu *vcpu)
{
	if (vcpu->slots_held) {
		WRITE_ONCE(vcpu->slots_held, vcpu->slots_held + 1);
		__acquire(&vcpu->vm->srcu);
		return;
	}
	/* Written before a snapshot is read: pairs with being_read(). */
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
	/* Pairs with being_read(): a writer that reads 0 sees all that the section did. */
	smp_store_release(&vcpu->slots_held, 0);
}

/* The snapshot that the vCPU's accesses are looked up in: one for all of an instruction. */
static inline const struct keel_memslots *keel_vcpu_slots(const struct keel_vcpu *vcpu)
{
	return vcpu->emulation.slots ?: keel_slots(vcpu->vm, keel_as(vcpu));
}

/* vcpu.c: make @req pending; the vCPU sees it before it enters the guest. */
void keel_make_request(struct keel_vcpu *vcpu, enum keel_request req);
/*
 * Make @req pending for every vCPU and, when this returns, no vCPU is still in
 * the guest with @req unseen. May be called under mmu.lock; not from hard irq.
 */
void keel_request_all(struct keel_vm *vm, enum keel_request req);

/*
 * Userspace has set registers or events: the instruction that waits for an
 * answer may be another now. It starts from the beginning; and what was set may
 * need to be made fit for an entry, see keel_inject_events().
 */
static inline void keel_drop_answer(struct keel_vcpu *vcpu)
{
	vcpu->emulation.decoded = false;
	keel_make_request(vcpu, REQ_EVENT);
}

/* A broken invariant: the VM answers -EIO from now on. */
void keel_vm_kill(struct keel_vm *vm);

#endif
