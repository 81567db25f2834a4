/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Interface between msr.c, which owns the table, and msr_io.c, which lists it.
 * Private to the two.
 */
#ifndef KEEL_MSR_TABLE_H
#define KEEL_MSR_TABLE_H

#include "cpuid.h"

/*
 * struct msr_row - registers that share handlers
 * @feature:	exists for the guest only if it has this (@has_feature)
 * @host_only:	does not exist for the guest
 * @saved:	part of the state that userspace saves: in the index list
 * @get, @set:	NULL: -ENOENT, which is #GP to a guest. @index is within the row.
 */
struct msr_row {
	u32 first;
	u32 count;
	enum cpuid_feature feature;
	bool has_feature;
	bool host_only;
	bool saved;
	int (*get)(struct keel_vcpu *vcpu, u32 index, u64 *val, bool host);
	int (*set)(struct keel_vcpu *vcpu, u32 index, u64 val, bool host);
};

extern const struct msr_row keel_msr_table[];
extern const unsigned int keel_msr_rows;

/* Value of a feature MSR of the host, as offered to guests. */
int keel_feature_msr(u32 index, u64 *val);

#endif
