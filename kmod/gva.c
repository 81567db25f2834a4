// SPDX-License-Identifier: GPL-2.0
/*
 * Linear addresses of the guest: translation of a range that may cross a page.
 * mmu/walk.c walks the guest's tables, gpa.c accesses physical memory.
 */
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/mm.h>

#include "gpa.h"
#include "gva.h"
#include "keel.h"

int keel_gva_translate(struct keel_vcpu *vcpu, gva_t gva, unsigned int len, unsigned int access,
		       bool wide, struct gva_span *span, struct walk_fault *fault)
{
	span->parts = 0;
	while (len) {
		unsigned int n = min_t(unsigned int, len, PAGE_SIZE - offset_in_page(gva));
		int err;

		if (!wide)
			gva = (u32)gva;
		err = mmu_walk(vcpu, gva, access, true, &span->part[span->parts].gpa, fault);
		if (err)
			return err;
		span->part[span->parts++].len = n;
		gva += n;
		len -= n;
	}
	return 0;
}

int keel_span_read(struct keel_vcpu *vcpu, const struct gva_span *span, void *buf)
{
	int i, err;

	for (i = 0; i < span->parts; i++) {
		err = keel_gpa_read(vcpu, span->part[i].gpa, buf, span->part[i].len);
		if (err)
			return err;
		buf += span->part[i].len;
	}
	return 0;
}

int keel_span_write_held(struct keel_vcpu *vcpu, const struct gva_span *span, const void *buf)
{
	int i, err;

	for (i = 0; i < span->parts; i++) {
		err = keel_gpa_write_held(vcpu, span->part[i].gpa, span->part[i].hva, buf,
					  span->part[i].len);
		if (err)
			return err;
		buf += span->part[i].len;
	}
	return 0;
}
