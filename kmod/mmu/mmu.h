/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The face of the MMU room: it fills the tables that the hardware walks, and
 * removes from them. It reads memslots and asks for TLB flushes through vCPU
 * requests; it never calls vmx/.
 */
#ifndef KEEL_MMU_MMU_H
#define KEEL_MMU_MMU_H

#include <linux/list.h>
#include <linux/spinlock.h>

#include "../types.h"

struct keel_vm;
struct keel_vcpu;
struct keel_memslot;

/* One root per address space. @lock protects the tables and everything here. */
struct keel_mmu {
	spinlock_t lock;
	hpa_t root[2];
	unsigned long invalidate_seq;	/* mmu-notifier: grows with every end */
	unsigned int invalidating;	/* ranges being invalidated right now */
	hva_t invalidate_start, invalidate_end;
};

struct keel_mmu_vcpu {
	void *spare[8];			/* zeroed pages for new tables */
	int nr_spare;
};

/*
 * enum keel_fault_verdict - what became of an EPT violation or misconfiguration
 * @FAULT_RETRY:	 enter the guest again: nothing done, or someone else did it
 * @FAULT_FIXED:	 a mapping was installed: enter the guest again
 * @FAULT_EMULATE:	 MMIO, or a write to a read-only slot: emulate
 *
 * Negative errno: -EFAULT the hva is bad, -ENOMEM, -EIO, -EINTR.
 */
enum keel_fault_verdict {
	FAULT_RETRY,
	FAULT_FIXED,
	FAULT_EMULATE,
};

/* Bits of an access. */
#define ACC_READ	1
#define ACC_WRITE	2
#define ACC_EXEC	4
#define ACC_USER	8

int mmu_vm_init(struct keel_vm *vm);
void mmu_vm_free(struct keel_vm *vm);
void mmu_vcpu_free(struct keel_vcpu *vcpu);

/* An EPT violation at @gpa; @access is what the guest tried. May sleep. SRCU held. */
int mmu_page_fault(struct keel_vcpu *vcpu, gpa_t gpa, unsigned int access);

/*
 * An EPT misconfiguration at @gpa: the spte alone tells whether it is a fresh
 * MMIO verdict (FAULT_EMULATE). Takes no lock on that path. SRCU held.
 */
int mmu_misconfig(struct keel_vcpu *vcpu, gpa_t gpa);

/*
 * struct walk_fault - why a guest page walk failed: what to inject
 */
struct walk_fault {
	u32 error;		/* #PF error code */
	gva_t gva;
};

/*
 * Walk the guest's page tables (paging mode taken from the vCPU's registers).
 * @access: ACC_*; ACC_USER for a CPL-3 access. 0 and *@gpa, or -EFAULT and *@fault, or
 * -EAGAIN: a guest table entry changed or could not be updated, retry.
 * @set_ad: set accessed/dirty bits as the processor would (KVM_TRANSLATE does not).
 */
int mmu_walk(struct keel_vcpu *vcpu, gva_t gva, unsigned int access, bool set_ad,
	     gpa_t *gpa, struct walk_fault *fault);

#endif
