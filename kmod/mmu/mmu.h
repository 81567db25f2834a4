/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The interface of mmu/, which fills the tables that the hardware walks and removes
 * from them. mmu/ reads memslots and asks for TLB flushes through vCPU requests. It
 * calls vmx/ only to read the guest's registers, for a walk of the guest's page
 * tables.
 */
#ifndef KEEL_MMU_MMU_H
#define KEEL_MMU_MMU_H

#include <linux/list.h>
#include <linux/spinlock.h>

#include "../memslot.h"
#include "../types.h"
#include "access.h"
#include "walk.h"

struct keel_table;
struct keel_vm;
struct keel_vcpu;

/*
 * struct keel_mmu - one tree of tables per address space, shared by all vCPUs
 * @lock:	protects every table and all fields below
 * @root:	host physical address of the top table; constant
 * @table:	the top table; constant
 * @mmio:	tables that hold MMIO entries, in the order in which they got the first;
 *		@mmio_tables of them
 * @low:	tables of the lowest level, the oldest first; @nr_low of them
 * @shrink_link: in the list of shrink.c, under its mutex
 * @next:	the snapshot that an update is about to publish, or NULL. Set while the
 *		update withdraws mappings: a fault maps nothing unless @next has the
 *		same slot there
 * @one_flush:	several removals share one flush, at mmu_one_flush_end()
 * @flush_owed:	entries have been removed: flush before the lock is dropped
 * @late_owed:	rights or dirty bits have been taken: flush at the end, see zap.c
 * @dead:	unlinked tables that wait for the flush
 * @invalidate_seq: counts the invalidations by the host that have ended
 * @invalidating:   those in progress, within [@invalidate_start, @invalidate_end)
 */
struct keel_mmu {
	spinlock_t lock;			/* see above */
	hpa_t root[KEEL_ADDRESS_SPACES];
	struct keel_table *table[KEEL_ADDRESS_SPACES];
	struct list_head mmio[KEEL_ADDRESS_SPACES];
	unsigned int mmio_tables[KEEL_ADDRESS_SPACES];
	struct list_head low;
	unsigned long nr_low;
	struct list_head shrink_link;
	const struct keel_memslots *next[KEEL_ADDRESS_SPACES];
	bool one_flush, flush_owed, late_owed;
	struct list_head dead;
	unsigned long invalidate_seq;
	unsigned int invalidating;
	hva_t invalidate_start, invalidate_end;
};

#define MMU_SPARE_TABLES	3	/* most that a fault needs: all levels but the root */

/*
 * struct mmio_verdict - "this gfn is MMIO"
 * @access:	the accesses it covers: ACC_READ, ACC_WRITE; a write to a read-only
 *		slot is MMIO, a read is not. In the cache also ACC_USER: made by
 *		user code
 * @generation:	of the snapshot that was looked up, flag included
 */
struct mmio_verdict {
	gfn_t gfn;
	unsigned int access;
	u64 generation;
};

/* @gva: of the page. @valid is a field because gfn 0 and gva 0 are ordinary values. */
struct mmio_cache {
	bool valid;
	gva_t gva;
	struct mmio_verdict verdict;
};

/*
 * struct keel_mmu_vcpu - a vCPU's own part, under the vCPU mutex
 * @spare:	tables allocated before mmu.lock is taken
 * @verdict:	of the last fault or misconfiguration that was MMIO
 * @cache:	see cache.c
 * @fixed:	the slot that the last FAULT_FIXED mapped; valid until SRCU is released
 * @code:	the walk of the last instruction fetch: see walk.c
 * @write:	the walk of the last write to a device
 */
struct keel_mmu_vcpu {
	struct keel_table *spare[MMU_SPARE_TABLES];
	int nr_spare;
	struct mmio_verdict verdict;
	struct mmio_cache cache;
	const struct keel_memslot *fixed;
	struct walk code, write;
};

/*
 * enum keel_fault_verdict - what became of an EPT violation or misconfiguration
 * @FAULT_RETRY:	 enter the guest again: slots or page have changed, or another
 *			 vCPU has handled the fault
 * @FAULT_FIXED:	 a mapping was installed: enter the guest again
 * @FAULT_EMULATE:	 MMIO, or a write to what can only be read: emulate
 *
 * Negative errno: -EFAULT: no page at the hva, -ENOMEM, -EINTR. For a poisoned page
 * SIGBUS is sent, and the result is FAULT_RETRY.
 */
enum keel_fault_verdict {
	FAULT_RETRY,
	FAULT_FIXED,
	FAULT_EMULATE,
};

/* Module life. mmu_setup(): after vmx_caps is set, before the first VM. 0 or -ENOMEM. */
int mmu_setup(void);
void mmu_teardown(void);

/* VM life. vm->srcu must be usable from before init until after free. */
int mmu_vm_init(struct keel_vm *vm);
/* No vCPU runs, no reader is left, and the notifier is unregistered. */
void mmu_vm_free(struct keel_vm *vm);
void mmu_vcpu_free(struct keel_vcpu *vcpu);

/*
 * Between these, memory pressure frees page tables of @vm. End before the vCPUs are
 * freed: the flush sends them requests.
 */
void mmu_shrink_begin(struct keel_vm *vm);
void mmu_shrink_end(struct keel_vm *vm);

/* The first gfn that cannot be mapped. */
gfn_t mmu_max_gfn(void);

/* Handle an EPT violation at @gpa; @access is what the guest tried. May sleep. SRCU held. */
int mmu_page_fault(struct keel_vcpu *vcpu, gpa_t gpa, unsigned int access);

/*
 * Is @hva in a VM_IO or VM_PFNMAP area that the process may read but not write? A
 * guest's write there is MMIO. Sleeps.
 */
bool mmu_host_reads_only(hva_t hva);

/*
 * Handle an EPT misconfiguration at @gpa. If the MMIO spte has the current number:
 * FAULT_EMULATE, without any lock. Otherwise as mmu_page_fault() for a read. SRCU
 * held.
 */
int mmu_misconfig(struct keel_vcpu *vcpu, gpa_t gpa);

/*
 * For MMIO that must exit as EPT violation, which tells a write from a read.
 * mmu_is_mmio(): if no slot has @gpa, record the verdict, but make no MMIO spte.
 * mmu_unmark(): remove the MMIO spte, so that the next access is a violation. SRCU
 * held.
 */
bool mmu_is_mmio(struct keel_vcpu *vcpu, gpa_t gpa);
void mmu_unmark(struct keel_vcpu *vcpu, gpa_t gpa);

/*
 * The vCPU MMIO cache. SRCU held.
 * mmio_cache_forget(): the translation of the cached gva may have changed.
 * mmio_cache_match(): is the access (ACC_READ or ACC_WRITE, and ACC_USER) at @gva
 *	MMIO? @confirmed is the gpa that the hardware reported for it. On a miss
 *	the last verdict is used, if it covers the access, and fills the cache.
 *	Counts hits of the cache.
 */
void mmio_cache_forget(struct keel_vcpu *vcpu);
bool mmio_cache_match(struct keel_vcpu *vcpu, gva_t gva, gpa_t confirmed, unsigned int access);

#define WALK_FAULT	1	/* a page fault of the guest */

/*
 * struct walk_fault - the page fault to inject after WALK_FAULT
 */
struct walk_fault {
	u32 error;		/* #PF error code */
	gva_t gva;
};

/*
 * Walk the guest's page tables, in the paging mode that the vCPU's registers say.
 * @access: ACC_*; ACC_USER for an access at CPL 3.
 * @set_ad: set accessed and dirty bits as the processor would (KVM_TRANSLATE does not).
 * 0 and *@gpa, or WALK_FAULT and *@fault, or -EAGAIN: a guest table entry has changed,
 * enter the guest and try again; or -EFAULT: an entry is in a slot, but cannot be
 * accessed in the owner's process. May sleep. SRCU held, vCPU loaded.
 */
int mmu_walk(struct keel_vcpu *vcpu, gva_t gva, unsigned int access, bool set_ad,
	     gpa_t *gpa, struct walk_fault *fault);
/* The same for a fetch (ACC_EXEC), with set_ad; quick on the page of the last fetch. */
int mmu_walk_code(struct keel_vcpu *vcpu, gva_t gva, unsigned int access, gpa_t *gpa,
		  struct walk_fault *fault);
/* The same for a device write (ACC_WRITE), with set_ad; quick on the page of the last one. */
int mmu_walk_write(struct keel_vcpu *vcpu, gva_t gva, unsigned int access, gpa_t *gpa,
		   struct walk_fault *fault);

/*
 * What follows changes the tables when slots, the host's pages or dirty logging change.
 * "Lock" is mmu.lock. @may_yield, "may yield": the lock may be dropped meanwhile, and
 * the caller may sleep. Entries that have been removed have been flushed from all TLBs
 * whenever the lock is free.
 */

/* The host begins to take pages of [@start, @end) away, or has ended. Lock held. */
void mmu_invalidate_begin(struct keel_vm *vm, hva_t start, hva_t end);
void mmu_invalidate_end(struct keel_vm *vm);

/* Remove all entries of [@first, @end), MMIO sptes included. Lock held. */
void mmu_zap_gfns(struct keel_vm *vm, int as, gfn_t first, gfn_t end, bool may_yield);

/* Around several removals: flush once, at mmu_one_flush_end(). Lock held. */
void mmu_one_flush_begin(struct keel_vm *vm);
void mmu_one_flush_end(struct keel_vm *vm);

/* Take the right to write from the leaves of [@first, @end). Lock held; may yield. */
void mmu_protect_gfns(struct keel_vm *vm, int as, gfn_t first, gfn_t end);

/*
 * Dirty logging begins: split the huge leaves of [@first, @end). Dirty logging ends:
 * remove small leaves that the host could map huge, so that faults make huge ones.
 * Lock held; may yield.
 */
void mmu_log_prepare(struct keel_vm *vm, int as, gfn_t first, gfn_t end);
void mmu_log_no_more(struct keel_vm *vm, const struct keel_memslot *slot, gfn_t first, gfn_t end);

/*
 * mmu_log_again(), between begin and end, which take and release the lock: of the
 * @npages pages from @first on, arm those that are set in @bits, or all if it is NULL,
 * so that the next write is logged. Visits only what is mapped. May yield. 0, or
 * -EINTR: a fatal signal is pending, and @bits was given.
 */
void mmu_log_begin(struct keel_vm *vm);
int mmu_log_again(struct keel_vm *vm, int as, gfn_t first, u64 npages, const unsigned long *bits);
void mmu_log_end(struct keel_vm *vm);
/* Yield between calls of mmu_log_again(), which itself yields only after a leaf it finds. */
void mmu_log_cond_resched(struct keel_vm *vm);

/*
 * Let no huge leaf reach across the start of @gfn. mmu_split_prepare() adds the
 * tables that this needs to @tables: 0 or -ENOMEM; lock not held, may sleep.
 * mmu_split_gfn(), lock held, splits; it removes a leaf if no table is left.
 * mmu_free_unused() frees the tables left over.
 */
int mmu_split_prepare(struct keel_vm *vm, int as, gfn_t gfn, struct list_head *tables);
void mmu_split_gfn(struct keel_vm *vm, int as, gfn_t gfn, struct list_head *tables);
void mmu_free_unused(struct list_head *tables);

/*
 * Has the guest used [@first, @end) since the last call with @clear? @clear: clear the
 * accessed bits; if the hardware has none, remove the leaves. Lock held.
 */
bool mmu_age_gfns(struct keel_vm *vm, int as, gfn_t first, gfn_t end, bool clear);

/* True if the part of the number that MMIO sptes hold wraps between two generations. */
bool mmu_number_wraps(u64 from, u64 to);

/* Remove all MMIO sptes of an address space, and nothing else. Lock not held; may sleep. */
void mmu_zap_mmio(struct keel_vm *vm, int as);

/* Flush the TLBs: on return no CPU uses a translation that was removed before. Lock held. */
void mmu_flush(struct keel_vm *vm);

#endif
