/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Guest memory by linear address: translates page by page with the guest's own
 * tables, then reads or writes guest-physical memory.
 */
#ifndef KEEL_GVA_H
#define KEEL_GVA_H

#include "types.h"

struct keel_vcpu;
struct walk_fault;

/* A linear range of at most two pages, translated. @hva: for the caller. */
struct gva_span {
	int parts;
	struct {
		gpa_t gpa;
		hva_t hva;
		unsigned int len;
	} part[2];
};

/*
 * Translate [@gva, @gva + @len), @len <= 4096, for @access (ACC_*). @wide: 64-bit
 * code; otherwise addresses wrap at 4 GiB. The result is mmu_walk()'s. SRCU held.
 */
int keel_gva_translate(struct keel_vcpu *vcpu, gva_t gva, unsigned int len, unsigned int access,
		       bool wide, struct gva_span *span, struct walk_fault *fault);

/* RAM only: -ENXIO if a byte is not. -EFAULT: see gpa.h. SRCU held. */
int keel_span_read(struct keel_vcpu *vcpu, const struct gva_span *span, void *buf);
/* In a later read section: see keel_gpa_write_held(). */
int keel_span_write_held(struct keel_vcpu *vcpu, const struct gva_span *span, const void *buf);

#endif
