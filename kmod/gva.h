/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Guest memory by linear address: translate page by page with the guest's own
 * tables, then read or write guest-physical memory.
 */
#ifndef KEEL_GVA_H
#define KEEL_GVA_H

#include "types.h"

struct keel_vcpu;
struct walk_fault;

/* A linear range of at most two pages, translated. The caller sets @hva. */
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
 * code; otherwise addresses wrap at 4 GiB. Returns what mmu_walk() does. SRCU held.
 */
int keel_gva_translate(struct keel_vcpu *vcpu, gva_t gva, unsigned int len, unsigned int access,
		       bool wide, struct gva_span *span, struct walk_fault *fault);

/* Read the range: see keel_gpa_read(). SRCU held. */
int keel_span_read(struct keel_vcpu *vcpu, const struct gva_span *span, void *buf);
/* Write to the range in a later read section: see keel_gpa_write_held(). */
int keel_span_write_held(struct keel_vcpu *vcpu, const struct gva_span *span, const void *buf);

#endif
