// SPDX-License-Identifier: GPL-2.0
/*
 * Owns the ioctls that carry model-specific registers in lists. msr.c defines
 * the registers and the values that they take.
 */
#include <linux/kernel.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <asm/msr-index.h>

#include "keel.h"
#include "msr.h"
#include "msr_table.h"

#define MAX_MSRS	256	/* in one ioctl: fewer than this */

static const u32 feature_msrs[] = {
	MSR_IA32_UCODE_REV,
	MSR_IA32_ARCH_CAPABILITIES,
};

/* One entry of a list; @vcpu is NULL for the device itself. */
typedef int (*msr_op)(struct keel_vcpu *vcpu, struct kvm_msr_entry *e);

static int get_entry(struct keel_vcpu *vcpu, struct kvm_msr_entry *e)
{
	return keel_get_msr(vcpu, e->index, &e->data, true);
}

static int set_entry(struct keel_vcpu *vcpu, struct kvm_msr_entry *e)
{
	return keel_set_msr(vcpu, e->index, e->data, true);
}

static int get_feature_entry(struct keel_vcpu *vcpu, struct kvm_msr_entry *e)
{
	return keel_feature_msr(e->index, &e->data);
}

/* Return the number of entries processed: the first that fails ends the list. */
static long run_list(struct keel_vcpu *vcpu, struct kvm_msr_entry *e, u32 nr, msr_op op)
{
	u32 i;

	for (i = 0; i < nr; i++)
		if (op(vcpu, &e[i]))
			break;
	return i;
}

static long msr_io(struct keel_vcpu *vcpu, struct kvm_msrs __user *user, msr_op op, bool back)
{
	struct kvm_msr_entry *e;
	size_t size;
	u32 nr;
	long r;

	if (get_user(nr, &user->nmsrs))
		return -EFAULT;
	if (nr >= MAX_MSRS)
		return -E2BIG;
	size = array_size(nr, sizeof(*e));
	e = memdup_user(user->entries, size);
	if (IS_ERR(e))
		return PTR_ERR(e);
	r = run_list(vcpu, e, nr, op);
	if (back && copy_to_user(user->entries, e, size))
		r = -EFAULT;
	kfree(e);
	return r;
}

long keel_get_msrs(struct keel_vcpu *vcpu, void *data)
{
	return msr_io(vcpu, (void __user *)data, get_entry, true);
}

long keel_set_msrs(struct keel_vcpu *vcpu, void *data)
{
	return msr_io(vcpu, (void __user *)data, set_entry, false);
}

long keel_get_feature_msrs(void *data)
{
	return msr_io(NULL, (void __user *)data, get_feature_entry, true);
}

/*
 * True if @row belongs in the index list. TSC_AUX is switched only with RDTSCP,
 * and SPEC_CTRL needs the CPU's feature.
 */
static bool saved(const struct msr_row *row)
{
	if (row->first == MSR_TSC_AUX)
		return vmx_caps.rdtscp;
	if (row->first == MSR_IA32_SPEC_CTRL)
		return boot_cpu_has(X86_FEATURE_SPEC_CTRL);
	return row->saved;
}

static u32 count_saved(void)
{
	unsigned int i;
	u32 nr = 0;

	for (i = 0; i < keel_msr_rows; i++)
		if (saved(&keel_msr_table[i]))
			nr += keel_msr_table[i].count;
	return nr;
}

/* Write the count back even if the list does not fit. */
static long put_count(struct kvm_msr_list __user *user, u32 nr)
{
	u32 room;

	if (get_user(room, &user->nmsrs) || put_user(nr, &user->nmsrs))
		return -EFAULT;
	return room < nr ? -E2BIG : 0;
}

static long put_row(u32 __user *indices, const struct msr_row *row)
{
	u32 i;

	for (i = 0; i < row->count; i++)
		if (put_user(row->first + i, &indices[i]))
			return -EFAULT;
	return 0;
}

long keel_get_msr_index_list(void *data)
{
	struct kvm_msr_list __user *user = (void __user *)data;
	u32 __user *indices = user->indices;
	long r = put_count(user, count_saved());
	unsigned int i;

	for (i = 0; !r && i < keel_msr_rows; i++) {
		const struct msr_row *row = &keel_msr_table[i];

		if (!saved(row))
			continue;
		r = put_row(indices, row);
		indices += row->count;
	}
	return r;
}

long keel_get_msr_feature_index_list(void *data)
{
	struct kvm_msr_list __user *user = (void __user *)data;
	long r = put_count(user, ARRAY_SIZE(feature_msrs));

	if (r)
		return r;
	if (copy_to_user(user->indices, feature_msrs, sizeof(feature_msrs)))
		return -EFAULT;
	return 0;
}
