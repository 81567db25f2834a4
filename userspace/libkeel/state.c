// SPDX-License-Identifier: GPL-2.0
/*
 * Get and set all state of a vCPU as one block of parts. Owns the list of parts
 * and the order in which the kernel needs them; snapshot.c stores the blocks. A
 * block is hostile input: its lengths are checked here, its values by the kernel.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

#define MSR_MCG_CAP	0x179
#define MSR_BANKS	0x400		/* four for each machine-check bank */
#define MCG_BANKS	0xff
#define MAX_CPUID	4096

/* Kinds are part of the file format. */
enum kind {
	PART_CPUID = 1, PART_TSC_KHZ, PART_MCG_CAP, PART_SREGS, PART_SREGS2, PART_XCRS,
	PART_XSAVE, PART_FPU, PART_MSRS, PART_DEBUGREGS, PART_MP_STATE, PART_REGS, PART_EVENTS,
	PART_END
};

#define BIT(kind)	(1u << (kind))
/* Parts that every block must have; a device may lack some of the others. */
#define NEEDED		(BIT(PART_CPUID) | BIT(PART_MSRS) | BIT(PART_REGS))

struct head {
	__u32 kind;
	__u32 size;		/* of the data that follows, which is padded to 8 bytes */
};

/* --- blocks --------------------------------------------------------------- */

static size_t padded(size_t size)
{
	return (size + 7) & ~(size_t)7;
}

static int add(struct keel_block *block, __u32 kind, const void *data, __u32 size)
{
	struct head head = { .kind = kind, .size = size };
	size_t whole = block->size + sizeof(head) + padded(size);
	unsigned char *p = realloc(block->data, whole);

	if (!p)
		return -ENOMEM;
	block->data = p;
	p += block->size;
	memset(p, 0, whole - block->size);
	memcpy(p, &head, sizeof(head));
	memcpy(p + sizeof(head), data, size);
	block->size = whole;
	return 0;
}

/* Position of each part; @size is 0 for one that is missing. */
struct index {
	const unsigned char *data[PART_END];
	__u32 size[PART_END];
};

static int find_parts(const struct keel_block *block, struct index *index)
{
	__u32 have = 0;
	struct head head;
	size_t at = 0;

	memset(index, 0, sizeof(*index));
	while (block->size - at >= sizeof(head)) {
		memcpy(&head, block->data + at, sizeof(head));
		at += sizeof(head);
		if (!head.kind || head.kind >= PART_END || have & BIT(head.kind) || !head.size ||
		    head.size > block->size - at || padded(head.size) > block->size - at)
			return -EBADMSG;
		have |= BIT(head.kind);
		index->data[head.kind] = block->data + at;
		index->size[head.kind] = head.size;
		at += padded(head.size);
	}
	if (at != block->size || (have & NEEDED) != NEEDED ||
	    !(have & (BIT(PART_SREGS) | BIT(PART_SREGS2))))
		return -EBADMSG;
	return 0;
}

/* --- parts that are one structure ------------------------------------------ */

struct part {
	enum kind kind;
	int cap;		/* the part exists if the device has this; 0: always */
	int unless;		/* ... and does not have this, which brings a better part */
	unsigned long get, set;
	__u32 size;
	int (*get_special)(struct keel_vcpu *vcpu, struct keel_block *block);
	int (*set_special)(struct keel_vcpu *vcpu, const void *data, __u32 size);
};

static int get_plain(struct keel_vcpu *vcpu, const struct part *part, struct keel_block *block)
{
	void *data = calloc(1, part->size);
	int ret;

	if (!data)
		return -ENOMEM;
	ret = keel_ioctl(vcpu->fd, part->get, data);
	if (!ret)
		ret = add(block, part->kind, data, part->size);
	free(data);
	return ret;
}

/* Copy the data first: in the block it may not be aligned. */
static int set_plain(struct keel_vcpu *vcpu, const struct part *part, const void *from,
		     __u32 size)
{
	void *data;
	int ret;

	if (size != part->size)
		return -EBADMSG;
	data = malloc(size);
	if (!data)
		return -ENOMEM;
	memcpy(data, from, size);
	ret = keel_ioctl(vcpu->fd, part->set, data);
	/* Without an interrupt controller in the kernel, KVM_RUN takes CR8 from the page. */
	if (!ret && part->kind == PART_SREGS)
		vcpu->run->cr8 = ((struct kvm_sregs *)data)->cr8;
	if (!ret && part->kind == PART_SREGS2)
		vcpu->run->cr8 = ((struct kvm_sregs2 *)data)->cr8;
	free(data);
	return ret;
}

/* --- parts with a way of their own ------------------------------------------ */

static size_t cpuid_size(__u32 entries)
{
	return sizeof(struct kvm_cpuid2) + entries * sizeof(struct kvm_cpuid_entry2);
}

static int get_cpuid(struct keel_vcpu *vcpu, struct keel_block *block)
{
	struct kvm_cpuid2 *cpuid = calloc(1, cpuid_size(MAX_CPUID));
	int ret;

	if (!cpuid)
		return -ENOMEM;
	cpuid->nent = MAX_CPUID;
	ret = keel_ioctl(vcpu->fd, KVM_GET_CPUID2, cpuid);
	if (!ret)
		ret = add(block, PART_CPUID, cpuid, cpuid_size(cpuid->nent));
	free(cpuid);
	return ret;
}

static int set_cpuid(struct keel_vcpu *vcpu, const void *data, __u32 size)
{
	struct kvm_cpuid2 *cpuid;
	int ret = -EBADMSG;

	if (size < sizeof(*cpuid) || size > cpuid_size(MAX_CPUID))
		return -EBADMSG;
	cpuid = malloc(size);
	if (!cpuid)
		return -ENOMEM;
	memcpy(cpuid, data, size);
	if (cpuid->nent <= MAX_CPUID && cpuid_size(cpuid->nent) == size)
		ret = keel_vcpu_set_cpuid(vcpu, cpuid);
	free(cpuid);
	return ret;
}

static int get_tsc_khz(struct keel_vcpu *vcpu, struct keel_block *block)
{
	int khz = keel_ioctl_value(vcpu->fd, KVM_GET_TSC_KHZ, 0);
	__u64 value = khz;

	return khz < 0 ? khz : add(block, PART_TSC_KHZ, &value, sizeof(value));
}

/* A device that cannot scale the TSC refuses any rate but its own. */
static int set_tsc_khz(struct keel_vcpu *vcpu, const void *data, __u32 size)
{
	__u64 value;

	if (size != sizeof(value))
		return -EBADMSG;
	memcpy(&value, data, sizeof(value));
	return keel_ioctl_value(vcpu->fd, KVM_SET_TSC_KHZ, value);
}

static int get_mcg_cap(struct keel_vcpu *vcpu, struct keel_block *block)
{
	__u64 value;
	int ret = keel_vcpu_get_msr(vcpu, MSR_MCG_CAP, &value);

	return ret ? ret : add(block, PART_MCG_CAP, &value, sizeof(value));
}

static int set_mcg_cap(struct keel_vcpu *vcpu, const void *data, __u32 size)
{
	__u64 value;

	if (size != sizeof(value))
		return -EBADMSG;
	memcpy(&value, data, sizeof(value));
	return keel_ioctl(vcpu->fd, KVM_X86_SETUP_MCE, &value);
}

/* Read all listed MSRs that can be read, and the banks: some devices list MSRs that they refuse. */
static __u32 read_msrs(struct keel_vcpu *vcpu, const struct kvm_msr_list *list, __u32 banks,
		       struct kvm_msr_entry *out)
{
	__u32 i, n = 0;

	for (i = 0; i < list->nmsrs + 4 * banks; i++) {
		out[n] = (struct kvm_msr_entry) {
			.index = i < list->nmsrs ? list->indices[i] : MSR_BANKS + i - list->nmsrs,
		};
		if (keel_vcpu_get_msrs(vcpu, &out[n], 1) == 1)
			n++;
	}
	return n;
}

static int get_msrs(struct keel_vcpu *vcpu, struct keel_block *block)
{
	struct kvm_msr_entry *entries;
	struct kvm_msr_list *list;
	__u64 cap = 0;
	__u32 n;
	int ret = keel_msr_index_list(vcpu->vm->keel, &list);

	if (ret)
		return ret;
	keel_vcpu_get_msr(vcpu, MSR_MCG_CAP, &cap);
	cap &= MCG_BANKS;
	entries = calloc(list->nmsrs + 4 * cap + 1, sizeof(*entries));
	if (entries) {
		n = read_msrs(vcpu, list, cap, entries);
		ret = add(block, PART_MSRS, entries, n * sizeof(*entries));
	} else {
		ret = -ENOMEM;
	}
	free(entries);
	free(list);
	return ret;
}

static int set_msrs(struct keel_vcpu *vcpu, const void *data, __u32 size)
{
	__u32 i, n, count = size / sizeof(struct kvm_msr_entry);
	struct kvm_msr_entry chunk[KEEL_MAX_MSRS];
	int ret;

	if (size % sizeof(chunk[0]))
		return -EBADMSG;
	for (i = 0; i < count; i += n) {
		n = count - i < KEEL_MAX_MSRS ? count - i : KEEL_MAX_MSRS;
		memcpy(chunk, (const char *)data + i * sizeof(chunk[0]), n * sizeof(chunk[0]));
		ret = keel_vcpu_set_msrs(vcpu, chunk, n);
		if (ret < 0)
			return ret;
		if ((__u32)ret < n)
			return -EINVAL;
	}
	return 0;
}

/* --- all of it --------------------------------------------------------------- */

#define PLAIN(kind, NAME, type)						\
	PART_##kind, .get = KVM_GET_##NAME, .set = KVM_SET_##NAME, .size = sizeof(struct type)

/* In the order of setting: each part after those it depends on, pending events last. */
static const struct part parts[] = {
	{ PART_CPUID, .get_special = get_cpuid, .set_special = set_cpuid },
	{ PART_TSC_KHZ, .cap = KVM_CAP_GET_TSC_KHZ,
	  .get_special = get_tsc_khz, .set_special = set_tsc_khz },
	{ PART_MCG_CAP, .cap = KVM_CAP_MCE,
	  .get_special = get_mcg_cap, .set_special = set_mcg_cap },
	{ PLAIN(SREGS2, SREGS2, kvm_sregs2), .cap = KVM_CAP_SREGS2 },
	{ PLAIN(SREGS, SREGS, kvm_sregs), .unless = KVM_CAP_SREGS2 },
	{ PLAIN(XCRS, XCRS, kvm_xcrs), .cap = KVM_CAP_XCRS },
	{ PLAIN(XSAVE, XSAVE, kvm_xsave), .cap = KVM_CAP_XSAVE },
	{ PLAIN(FPU, FPU, kvm_fpu), .unless = KVM_CAP_XSAVE },
	{ PART_MSRS, .get_special = get_msrs, .set_special = set_msrs },
	{ PLAIN(DEBUGREGS, DEBUGREGS, kvm_debugregs), .cap = KVM_CAP_DEBUGREGS },
	{ PLAIN(MP_STATE, MP_STATE, kvm_mp_state), .cap = KVM_CAP_MP_STATE },
	{ PLAIN(REGS, REGS, kvm_regs) },
	{ PLAIN(EVENTS, VCPU_EVENTS, kvm_vcpu_events), .cap = KVM_CAP_VCPU_EVENTS },
};

static bool present(const struct keel_vcpu *vcpu, const struct part *part)
{
	if (part->unless && keel_vm_check_extension(vcpu->vm, part->unless) > 0)
		return false;
	return !part->cap || keel_vm_check_extension(vcpu->vm, part->cap) > 0;
}

/* A host without XSAVE has no extended control registers, even if it has the capability. */
static bool optional(const struct part *part, int error)
{
	return part->kind == PART_XCRS && error == -EINVAL;
}

/*
 * Get the parts in reverse order: KVM_GET_VCPU_EVENTS may let an event take
 * effect, which shows in the registers.
 */
int keel_state_get(struct keel_vcpu *vcpu, struct keel_block *block)
{
	const struct part *part;
	size_t i;
	int ret;

	for (i = ARRAY_SIZE(parts); i-- > 0;) {
		part = &parts[i];
		if (!present(vcpu, part))
			continue;
		ret = part->get_special ? part->get_special(vcpu, block) :
		      get_plain(vcpu, part, block);
		if (ret && !optional(part, ret))
			return ret;
	}
	return 0;
}

int keel_state_set(struct keel_vcpu *vcpu, const struct keel_block *block)
{
	const struct part *part;
	struct index index;
	size_t i;
	int ret = find_parts(block, &index);

	for (i = 0; !ret && i < ARRAY_SIZE(parts); i++) {
		part = &parts[i];
		if (!index.size[part->kind])
			continue;
		ret = part->set_special ?
		      part->set_special(vcpu, index.data[part->kind], index.size[part->kind]) :
		      set_plain(vcpu, part, index.data[part->kind], index.size[part->kind]);
	}
	return ret;
}
