/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Control registers, EFER, XCR0 and debug registers: the rules for writes, the
 * effects of a write, and the exits.
 *
 * Setters need a loaded vCPU. They return 0, or -EINVAL with nothing changed if
 * the value raises #GP in a guest.
 */
#ifndef KEEL_CR_H
#define KEEL_CR_H

#include <asm/processor-flags.h>

#include "types.h"

/* The bits of CR0 that a write can change; others are ignored. */
#define CR0_KNOWN	(X86_CR0_PE | X86_CR0_MP | X86_CR0_EM | X86_CR0_TS |	\
			 X86_CR0_ET | X86_CR0_NE | X86_CR0_WP | X86_CR0_AM |	\
			 X86_CR0_NW | X86_CR0_CD | X86_CR0_PG)

struct keel_vcpu;

/* Also -EFAULT: the PDPTEs are in a memslot, but cannot be read in the owner's process. */
int keel_set_cr0(struct keel_vcpu *vcpu, u64 val);
int keel_set_cr3(struct keel_vcpu *vcpu, u64 val);
int keel_set_cr4(struct keel_vcpu *vcpu, u64 val);
int keel_set_cr8(struct keel_vcpu *vcpu, u64 val);
/* @host: userspace writes the register, whatever the guest's CPUID says. LMA is not writable. */
int keel_set_efer(struct keel_vcpu *vcpu, u64 val, bool host);
int keel_set_xcr(struct keel_vcpu *vcpu, u32 index, u64 val);
/* @nr: 0-3, 6, 7. */
int keel_set_dr(struct keel_vcpu *vcpu, int nr, u64 val);
/* @val made loadable into DR7: unknown bits cleared, bits that are always 1 set. */
u64 keel_dr7_known(u64 val);

/* True if the value is legal for this vCPU, whatever the other registers hold. */
bool keel_cr0_valid(u64 val);
bool keel_cr3_valid(struct keel_vcpu *vcpu, u64 val);
bool keel_cr4_valid(struct keel_vcpu *vcpu, u64 val);
bool keel_dr_valid(int nr, u64 val);
bool keel_pdptrs_valid(struct keel_vcpu *vcpu, const u64 pdptr[4]);

/* True if PDPTEs are in use: 32-bit paging with PAE. */
bool keel_pae_paging(struct keel_vcpu *vcpu);
/* Load the PDPTEs that @cr3 points to. -EFAULT as above. May sleep. */
int keel_load_pdptrs(struct keel_vcpu *vcpu, u64 cr3);

/* Exit handlers: enum keel_run or -errno. */
int keel_cr_exit(struct keel_vcpu *vcpu);
int keel_dr_exit(struct keel_vcpu *vcpu);
int keel_xsetbv_exit(struct keel_vcpu *vcpu);

#endif
