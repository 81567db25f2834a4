/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The face of the MMU room: it fills the tables that the hardware walks, and
 * removes from them. It reads memslots and asks for TLB flushes through vCPU
 * requests; it never calls vmx/ but to read the guest's registers for a walk of
 * the guest's own page tables.
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
 * @lock:	protects every table and all that follows
 * @root:	host physical address of the top table; constant
 * @table:	the same, as its bookkeeping
 * @mmio:	tables that hold MMIO entries, in the order in which they got the first;
 *		@mmio_tables of them
 * @low:	tables of the lowest level, the oldest first; @nr_low of them
 * @shrink_link: on the list of VMs that give tables back: see shrink.c
 * @next:	snapshot that an update is about to publish, while it removes the
 *		mappings of slots that are not in it; no fault may map what
 *		@next does not agree to
 * @one_flush:	flush at the end of all that is being removed under the lock, not
 *		after each part; @flush_owed: there will be something to flush;
 *		@late_owed: the same, but not before the end: see zap.c
 * @dead:	tables that are unlinked and wait for the flush that is owed
 * @invalidate_seq: grows with the end of each invalidation by the host
 * @invalidating:   how many are going on, within @invalidate_start..@invalidate_end
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

#define MMU_SPARE_TABLES	3	/* a root is there, so one fault needs no more */

/*
 * struct mmio_verdict - "this gfn is MMIO"
 * @access:	for which accesses: ACC_READ, ACC_WRITE; a write to a read-only
 *		slot is MMIO, a read is not. In the cache also ACC_USER: reached
 *		by user code.
 * @generation:	of the snapshot that said so, flag included
 */
struct mmio_verdict {
	gfn_t gfn;
	unsigned int access;
	u64 generation;
};

/* @gva: of the page. Explicitly valid: gfn 0 and gva 0 are like any other. */
struct mmio_cache {
	bool valid;
	gva_t gva;
	struct mmio_verdict verdict;
};

/*
 * struct keel_mmu_vcpu - a vCPU's own part, under its mutex
 * @spare:	tables allocated before mmu.lock is taken
 * @verdict:	of the last fault or misconfiguration that asked for emulation
 * @cache:	see cache.c
 * @fixed:	the slot that the last FAULT_FIXED has mapped; while SRCU is held
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
 * @FAULT_RETRY:	 enter the guest again: nothing done, or someone else did it
 * @FAULT_FIXED:	 a mapping was installed: enter the guest again
 * @FAULT_EMULATE:	 MMIO, or a write to what can only be read: emulate
 *
 * Negative errno: -EFAULT the hva is bad, -ENOMEM, -EINTR. A broken page is
 * FAULT_RETRY, with a signal on its way.
 */
enum keel_fault_verdict {
	FAULT_RETRY,
	FAULT_FIXED,
	FAULT_EMULATE,
};

/* Module life: once vmx_caps are known, before the first VM. 0 or -ENOMEM. */
int mmu_setup(void);
void mmu_teardown(void);

/* VM life. vm->srcu must be usable from before init until after free. */
int mmu_vm_init(struct keel_vm *vm);
/* With no vCPU running, no reader, and the notifier unregistered. */
void mmu_vm_free(struct keel_vm *vm);
void mmu_vcpu_free(struct keel_vcpu *vcpu);

/* Give page tables of this VM back where memory is short. End: before its vCPUs go. */
void mmu_shrink_begin(struct keel_vm *vm);
void mmu_shrink_end(struct keel_vm *vm);

/* gfns from here on cannot be mapped. */
gfn_t mmu_max_gfn(void);

/* An EPT violation at @gpa; @access is what the guest tried. May sleep. SRCU held. */
int mmu_page_fault(struct keel_vcpu *vcpu, gpa_t gpa, unsigned int access);

/*
 * Does the process show the host's device, or a page of a driver's (VM_PFNMAP), at @hva
 * and may only read it? To the guest that is a device where it writes. Sleeps.
 */
bool mmu_host_reads_only(hva_t hva);

/*
 * An EPT misconfiguration at @gpa: the spte alone tells whether it is a fresh
 * MMIO verdict (FAULT_EMULATE). Takes no lock on that path. SRCU held.
 */
int mmu_misconfig(struct keel_vcpu *vcpu, gpa_t gpa);

/*
 * Where MMIO shall be reported as an EPT violation, which says what the access
 * is: is there no slot at @gpa? Records the verdict but for the page tables.
 * Unmark: have it so reported from now on. SRCU held.
 */
bool mmu_is_mmio(struct keel_vcpu *vcpu, gpa_t gpa);
void mmu_unmark(struct keel_vcpu *vcpu, gpa_t gpa);

/*
 * The vCPU MMIO cache. SRCU held.
 * Forget: the translation it stands for may change, and no hardware will tell.
 * Match: is the access (ACC_READ or ACC_WRITE, and ACC_USER) at @gva, which the
 *	hardware has found to be at @confirmed, MMIO? What the cache does not
 *	know it takes from the last verdict. Counts hits.
 */
void mmio_cache_forget(struct keel_vcpu *vcpu);
bool mmio_cache_match(struct keel_vcpu *vcpu, gva_t gva, gpa_t confirmed, unsigned int access);

#define WALK_FAULT	1	/* of the guest's own */

/*
 * struct walk_fault - why a guest page walk failed: what to inject
 */
struct walk_fault {
	u32 error;		/* #PF error code */
	gva_t gva;
};

/*
 * Walk the guest's page tables (paging mode taken from the vCPU's registers).
 * @access: ACC_*; ACC_USER for a CPL-3 access. 0 and *@gpa, or WALK_FAULT and *@fault, or
 * -EAGAIN: a guest table entry has changed, enter the guest and try again; or -EFAULT: one is in a
 * slot, but cannot be accessed in the owner's process.
 * @set_ad: set accessed/dirty bits as the processor would (KVM_TRANSLATE does not).
 * May sleep. SRCU held, vCPU loaded.
 */
int mmu_walk(struct keel_vcpu *vcpu, gva_t gva, unsigned int access, bool set_ad,
	     gpa_t *gpa, struct walk_fault *fault);
/* The same to fetch an instruction, ACC_EXEC: quick where the last one was fetched. Sets them. */
int mmu_walk_code(struct keel_vcpu *vcpu, gva_t gva, unsigned int access, gpa_t *gpa,
		  struct walk_fault *fault);
/* The same to write to a device, ACC_WRITE: quick on the page of the last write. */
int mmu_walk_write(struct keel_vcpu *vcpu, gva_t gva, unsigned int access, gpa_t *gpa,
		   struct walk_fault *fault);

/*
 * For memory.c and notifier.c alone: what they remove when slots or the host's pages change.
 * @may_yield: the lock may be dropped now and then; the caller may sleep.
 * Whatever was removed has been flushed from all TLBs whenever the lock is free.
 */

/* The host begins or has ended to take pages of [@start, @end) away. */
void mmu_invalidate_begin(struct keel_vm *vm, hva_t start, hva_t end);
void mmu_invalidate_end(struct keel_vm *vm);

/* Remove what maps [@first, @end). Lock held. */
void mmu_zap_gfns(struct keel_vm *vm, int as, gfn_t first, gfn_t end, bool may_yield);

/* Around several removals: flush once, at the end. Lock held. */
void mmu_one_flush_begin(struct keel_vm *vm);
void mmu_one_flush_end(struct keel_vm *vm);

/* Take the right to write from what maps [@first, @end). May yield. Lock held. */
void mmu_protect_gfns(struct keel_vm *vm, int as, gfn_t first, gfn_t end);

/*
 * Dirty logging. Prepare for it: let no leaf in [@first, @end) be huge. Lock
 * held; may yield; may sleep. No more: what could be mapped as huge again is
 * removed, to be so.
 */
void mmu_log_prepare(struct keel_vm *vm, int as, gfn_t first, gfn_t end);
void mmu_log_no_more(struct keel_vm *vm, const struct keel_memslot *slot, gfn_t first, gfn_t end);

/*
 * Between begin and end, which take and release the lock: have the next write
 * made known to those of @npages pages from @first on that are set in @bits, or
 * to all. Costs as much as is mapped there. May sleep. -EINTR: a fatal signal
 * has come, and @bits was given.
 */
void mmu_log_begin(struct keel_vm *vm);
int mmu_log_again(struct keel_vm *vm, int as, gfn_t first, u64 npages, const unsigned long *bits);
void mmu_log_end(struct keel_vm *vm);
/* Give way where nothing is found that would. */
void mmu_log_cond_resched(struct keel_vm *vm);

/*
 * Let no huge leaf reach across the start of @gfn. First get what tables that
 * needs: 0 or -ENOMEM, lock not held, may sleep. Then split: lock held. What
 * had no table set aside for it is removed instead. Then free what is left in
 * @tables.
 */
int mmu_split_prepare(struct keel_vm *vm, int as, gfn_t gfn, struct list_head *tables);
void mmu_split_gfn(struct keel_vm *vm, int as, gfn_t gfn, struct list_head *tables);
void mmu_free_unused(struct list_head *tables);

/*
 * Has the guest used [@first, @end) since this was asked last? @clear: begin
 * anew. Where entries have no accessed bit that means to remove them. Lock held.
 */
bool mmu_age_gfns(struct keel_vm *vm, int as, gfn_t first, gfn_t end, bool clear);

/* True if the numbers that MMIO sptes hold come round between two generations. */
bool mmu_number_wraps(u64 from, u64 to);

/* Remove all MMIO sptes of an address space, and nothing else. Lock not held; may sleep. */
void mmu_zap_mmio(struct keel_vm *vm, int as);

/* When this returns no CPU uses a translation that was removed before. Lock held. */
void mmu_flush(struct keel_vm *vm);

#endif
