// SPDX-License-Identifier: GPL-2.0
/*
 * Owns the table of a vCPU's CPUID entries, the look-up that the instruction
 * does in it, and the choice of host features that a guest may be offered.
 * Pure: vcpu_cpuid.c brings in the processor, the vCPU and userspace.
 */
#include <linux/bits.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/string.h>

#include "cpuid.h"

#define MAX_BASIC	0xd
#define MAX_EXTENDED	0x80000008
#define LEAF_KVM	0x40000000
#define LEAF_KVM_FEATURES 0x40000001
#define KVM_NOP_IO_DELAY BIT(1)	/* writes to port 0x80 may be left out */
/* The clock's old and new MSRs; PVCLOCK_TSC_STABLE_BIT is valid. */
#define KVM_CLOCK	(BIT(0) | BIT(3) | BIT(24))
/* Base leaves of hypervisors: a table can offer several, HYPERVISOR_STEP apart. */
#define HYPERVISOR_STEP	0x100
#define HYPERVISOR_LAST	0x4000ff00
#define NO_ENTRY	0xffff

/* Fields that depend on state of the vCPU. */
#define BIT_OSXSAVE	BIT(27)		/* leaf 1 ECX */
#define BIT_APIC	BIT(9)		/* leaf 1 EDX */

enum reg { EAX, EBX, ECX, EDX };

static const struct {
	u32 function;
	u8 index;
	u8 reg;
} word_at[CPUID_WORDS] = {
	[WORD_1_ECX]		= { 1, 0, ECX },
	[WORD_1_EDX]		= { 1, 0, EDX },
	[WORD_7_EBX]		= { 7, 0, EBX },
	[WORD_7_ECX]		= { 7, 0, ECX },
	[WORD_7_EDX]		= { 7, 0, EDX },
	[WORD_7_1_EAX]		= { 7, 1, EAX },
	[WORD_D_1_EAX]		= { 0xd, 1, EAX },
	[WORD_80000001_ECX]	= { 0x80000001, 0, ECX },
	[WORD_80000001_EDX]	= { 0x80000001, 0, EDX },
};

/* Offered if the host has them: they need no support from Keel. */
static const u16 plain[] = {
	FEAT_SSE3, FEAT_PCLMULQDQ, FEAT_SSSE3, FEAT_CX16, FEAT_PCID,
	FEAT_SSE4_1, FEAT_SSE4_2, FEAT_MOVBE, FEAT_POPCNT, FEAT_AES,
	FEAT_XSAVE, FEAT_RDRAND, FEAT_FPU, FEAT_VME, FEAT_DE, FEAT_PSE,
	FEAT_TSC, FEAT_MSR, FEAT_PAE, FEAT_MCE, FEAT_CX8, FEAT_APIC, FEAT_SEP,
	FEAT_MTRR, FEAT_PGE, FEAT_MCA, FEAT_CMOV, FEAT_PAT, FEAT_PSE36,
	FEAT_CLFLUSH, FEAT_MMX, FEAT_FXSR, FEAT_SSE, FEAT_SSE2, FEAT_SELFSNOOP,
	FEAT_FSGSBASE, FEAT_BMI1, FEAT_FDP_EXCPTN_ONLY, FEAT_SMEP, FEAT_BMI2,
	FEAT_ERMS, FEAT_ZERO_FCS_FDS, FEAT_RDSEED, FEAT_ADX, FEAT_SMAP,
	FEAT_CLFLUSHOPT, FEAT_CLWB, FEAT_SHA, FEAT_UMIP, FEAT_GFNI,
	FEAT_CLDEMOTE, FEAT_MOVDIRI, FEAT_MOVDIR64B, FEAT_FSRM, FEAT_MD_CLEAR,
	FEAT_SERIALIZE, FEAT_XSAVEOPT, FEAT_XSAVEC, FEAT_XGETBV1, FEAT_LAHF_LM,
	FEAT_LZCNT, FEAT_PREFETCHW, FEAT_SYSCALL, FEAT_NX, FEAT_PDPE1GB,
	FEAT_LM, FEAT_SPEC_CTRL, FEAT_STIBP, FEAT_SSBD,
};

/* Need AVX's part of XCR0. */
static const u16 need_avx[] = {
	FEAT_FMA, FEAT_AVX, FEAT_F16C, FEAT_AVX2, FEAT_VAES, FEAT_VPCLMULQDQ,
	FEAT_AVX_VNNI,
};

/* Need AVX-512's part of XCR0. */
static const u16 need_avx512[] = {
	FEAT_AVX512F, FEAT_AVX512DQ, FEAT_AVX512IFMA, FEAT_AVX512PF,
	FEAT_AVX512ER, FEAT_AVX512CD, FEAT_AVX512BW, FEAT_AVX512VL,
	FEAT_AVX512_VBMI, FEAT_AVX512_VBMI2, FEAT_AVX512_VNNI,
	FEAT_AVX512_BITALG, FEAT_AVX512_VPOPCNTDQ, FEAT_AVX512_4VNNIW,
	FEAT_AVX512_4FMAPS, FEAT_AVX512_VP2INTERSECT, FEAT_AVX512_FP16,
	FEAT_AVX512_BF16,
};

/* Offered if the VMX controls let a guest use the instruction. */
static const u16 need_rdtscp[] = {
	FEAT_RDPID, FEAT_RDTSCP,
};

static const u16 need_invpcid[] = {
	FEAT_INVPCID,
};

/* Provided by Keel, whatever the host has. */
static const u16 software[] = {
	FEAT_HYPERVISOR, FEAT_TSC_ADJUST, FEAT_ARCH_CAPABILITIES,
};

static void set_bits(u32 word[CPUID_WORDS], const u16 *feature, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		word[feature[i] / 32] |= 1u << (feature[i] % 32);
}

void cpuid_filter(u32 word[CPUID_WORDS], const struct cpuid_host *host)
{
	static const u16 umip = FEAT_UMIP;
	u32 keep[CPUID_WORDS] = { 0 };
	int i;

	set_bits(keep, plain, ARRAY_SIZE(plain));
	if (host->xcr0 & XSTATE_AVX)
		set_bits(keep, need_avx, ARRAY_SIZE(need_avx));
	if ((host->xcr0 & XSTATE_AVX512) == XSTATE_AVX512)
		set_bits(keep, need_avx512, ARRAY_SIZE(need_avx512));
	if (host->rdtscp)
		set_bits(keep, need_rdtscp, ARRAY_SIZE(need_rdtscp));
	if (host->invpcid)
		set_bits(keep, need_invpcid, ARRAY_SIZE(need_invpcid));
	for (i = 0; i < CPUID_WORDS; i++)
		word[i] &= keep[i];
	if (host->umip_by_exits)
		set_bits(word, &umip, 1);
	set_bits(word, software, ARRAY_SIZE(software));
}

/* State of cpuid_supported() while it builds the list. */
struct builder {
	const struct cpuid_host *host;
	u32 word[CPUID_WORDS];
	struct kvm_cpuid_entry2 *entry;
	int nr, max;
	bool full;
	struct kvm_cpuid_entry2 scratch;	/* entries beyond @max go here */
};

/* Append an entry that is all zero. */
static struct kvm_cpuid_entry2 *add_zero(struct builder *b, u32 function, u32 index)
{
	struct kvm_cpuid_entry2 *e = &b->scratch;

	if (b->nr < b->max)
		e = &b->entry[b->nr++];
	else
		b->full = true;
	memset(e, 0, sizeof(*e));
	e->function = function;
	e->index = index;
	return e;
}

/* Append an entry with the host's values. */
static struct kvm_cpuid_entry2 *add_host(struct builder *b, u32 function, u32 index)
{
	struct kvm_cpuid_entry2 *e = add_zero(b, function, index);
	struct cpuid_regs4 r;

	b->host->query(function, index, &r);
	e->eax = r.eax;
	e->ebx = r.ebx;
	e->ecx = r.ecx;
	e->edx = r.edx;
	return e;
}

static struct kvm_cpuid_entry2 *add_indexed(struct builder *b, u32 function, u32 index)
{
	struct kvm_cpuid_entry2 *e = add_host(b, function, index);

	e->flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX;
	return e;
}

static void add_version(struct builder *b)
{
	struct kvm_cpuid_entry2 *e = add_host(b, 1, 0);

	e->ebx &= 0xff00;	/* CLFLUSH line size; the rest is topology */
	e->ecx = b->word[WORD_1_ECX];
	e->edx = b->word[WORD_1_EDX];
}

/* Deterministic cache parameters: as many as the host lists. */
static void add_caches(struct builder *b)
{
	struct kvm_cpuid_entry2 *e;
	u32 i = 0;

	do {
		e = add_indexed(b, 4, i++);
	} while ((e->eax & 0x1f) && i < 32);
}

static void add_structured_features(struct builder *b)
{
	struct kvm_cpuid_entry2 *e = add_indexed(b, 7, 0);
	bool more = e->eax >= 1;

	e->eax = more;
	e->ebx = b->word[WORD_7_EBX];
	e->ecx = b->word[WORD_7_ECX];
	e->edx = b->word[WORD_7_EDX];
	if (!more)
		return;
	e = add_indexed(b, 7, 1);
	e->eax = b->word[WORD_7_1_EAX];
	e->ebx = 0;
	e->ecx = 0;
	e->edx = 0;
}

static void add_xsave(struct builder *b)
{
	u64 xcr0 = b->host->xcr0;
	struct kvm_cpuid_entry2 *e = add_indexed(b, 0xd, 0);
	struct kvm_cpuid_entry2 *whole = e;
	u32 i;

	e->eax = xcr0;
	e->edx = xcr0 >> 32;
	e->ebx = xcr0 ? 576 : 0;	/* legacy region and header */
	e->ecx = e->ebx;
	if (!xcr0)
		return;
	e = add_indexed(b, 0xd, 1);
	e->eax = b->word[WORD_D_1_EAX];
	e->ebx = 0;
	e->ecx = 0;
	e->edx = 0;
	for (i = 2; i < 63; i++) {
		if (!(xcr0 & (1ULL << i)))
			continue;
		e = add_indexed(b, 0xd, i);
		e->ecx &= 2;		/* user state; alignment when compacted */
		e->edx = 0;
		if (e->eax + e->ebx > whole->ecx)
			whole->ecx = e->eax + e->ebx;
	}
	whole->ebx = whole->ecx;
}

static void add_basic(struct builder *b, u32 function)
{
	struct kvm_cpuid_entry2 *e;

	switch (function) {
	case 1:
		return add_version(b);
	case 2:
		add_host(b, function, 0);
		return;
	case 4:
		return add_caches(b);
	case 6:
		e = add_zero(b, function, 0);
		e->eax = 4;		/* the APIC timer never stops */
		return;
	case 7:
		return add_structured_features(b);
	case 0xb:
		e = add_zero(b, function, 0);
		e->flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX;
		return;
	case 0xd:
		return add_xsave(b);
	default:
		/* Serial number, MONITOR, DCA, PMU: not offered. */
		add_zero(b, function, 0);
	}
}

static void add_extended(struct builder *b, u32 function)
{
	struct kvm_cpuid_entry2 *e;

	switch (function) {
	case 0x80000001:
		e = add_host(b, function, 0);
		e->ebx = 0;
		e->ecx = b->word[WORD_80000001_ECX];
		e->edx = b->word[WORD_80000001_EDX];
		return;
	case 0x80000002 ... 0x80000004:		/* brand string */
	case 0x80000006:			/* second level cache */
		add_host(b, function, 0);
		return;
	case 0x80000007:
		e = add_zero(b, function, 0);
		e->edx = b->host->invariant_tsc ? 1u << 8 : 0;
		return;
	case 0x80000008:
		e = add_host(b, function, 0);
		/* Paging and EPT both have four levels and translate 48 bits. */
		e->eax = (e->eax & 0xff) < 48 ? e->eax & 0xff : 48;
		e->eax |= 48 << 8;
		e->ebx = 0;
		e->ecx = 0;
		e->edx = 0;
		return;
	default:
		add_zero(b, function, 0);
	}
}

/* The paravirtual leaves: the signature that guests look for, and the features. */
static void add_paravirtual(struct builder *b)
{
	struct kvm_cpuid_entry2 *e = add_zero(b, LEAF_KVM, 0);
	char signature[12] = "KVMKVMKVM";

	e->eax = LEAF_KVM_FEATURES;
	memcpy(&e->ebx, signature, 4);
	memcpy(&e->ecx, signature + 4, 4);
	memcpy(&e->edx, signature + 8, 4);
	e = add_zero(b, LEAF_KVM_FEATURES, 0);
	e->eax = KVM_NOP_IO_DELAY | (b->host->clock ? KVM_CLOCK : 0);
}

int cpuid_supported(const struct cpuid_host *host, struct kvm_cpuid_entry2 *entry, int max)
{
	struct builder b = { .host = host, .entry = entry, .max = max };
	struct kvm_cpuid_entry2 *e;
	u32 last, f;

	memcpy(b.word, host->word, sizeof(b.word));
	cpuid_filter(b.word, host);

	e = add_host(&b, 0, 0);
	if (e->eax > MAX_BASIC)
		e->eax = MAX_BASIC;
	last = e->eax;
	for (f = 1; f <= last; f++)
		add_basic(&b, f);

	e = add_host(&b, 0x80000000, 0);
	if (e->eax > MAX_EXTENDED)
		e->eax = MAX_EXTENDED;
	last = e->eax;
	for (f = 0x80000001; f <= last; f++)
		add_extended(&b, f);

	add_paravirtual(&b);
	return b.full ? -E2BIG : b.nr;
}

static unsigned int bucket_of(u32 function)
{
	return (function & 31) | (function >> 31 << 5);
}

const struct kvm_cpuid_entry2 *cpuid_find(const struct cpuid_table *t, u32 function, u32 index)
{
	int i;

	for (i = t->first[bucket_of(function)]; i < t->nr; i++) {
		const struct kvm_cpuid_entry2 *e = &t->entry[i];

		if (e->function != function)
			continue;
		if (!(e->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX) || e->index == index)
			return e;
	}
	return NULL;
}

static struct kvm_cpuid_entry2 *find_mutable(struct cpuid_table *t, u32 function, u32 index)
{
	return (struct kvm_cpuid_entry2 *)cpuid_find(t, function, index);
}

/*
 * Intel answers a function beyond the last of its range like the last basic
 * one. Return NULL, which means all zero, for a function within its range that
 * has no entry, and for every function on AMD.
 */
static const struct kvm_cpuid_entry2 *find_out_of_range(const struct cpuid_table *t, u32 function,
							u32 index)
{
	const struct kvm_cpuid_entry2 *basic = cpuid_find(t, 0, 0);
	const struct kvm_cpuid_entry2 *range;

	if (!basic || t->amd)
		return NULL;
	if (function >> 28 == 4)
		range = cpuid_find(t, function & 0xffffff00, 0);
	else if (function >= 0xc0000000)
		range = cpuid_find(t, 0xc0000000, 0);
	else
		range = cpuid_find(t, function & 0x80000000, 0);
	if (range && function <= range->eax)
		return NULL;
	return cpuid_find(t, basic->eax, index);
}

/* Sub-leaves beyond the last topology level still return their number and the APIC id. */
static void query_topology(const struct cpuid_table *t, u32 function, u32 index,
			   struct cpuid_regs4 *out)
{
	const struct kvm_cpuid_entry2 *e = cpuid_find(t, function, 1);

	if (!e)
		return;
	out->ecx = index & 0xff;
	out->edx = e->edx;
}

void cpuid_query(const struct cpuid_table *t, u32 function, u32 index, struct cpuid_regs4 *out)
{
	const struct kvm_cpuid_entry2 *e = cpuid_find(t, function, index);
	bool exact = e;

	if (!exact)
		e = find_out_of_range(t, function, index);
	if (!e) {
		memset(out, 0, sizeof(*out));
	} else {
		out->eax = e->eax;
		out->ebx = e->ebx;
		out->ecx = e->ecx;
		out->edx = e->edx;
	}
	if (!exact && (function == 0xb || function == 0x1f))
		query_topology(t, function, index, out);
}

static u32 reg_of(const struct kvm_cpuid_entry2 *e, unsigned int reg)
{
	const u32 r[] = { e->eax, e->ebx, e->ecx, e->edx };

	return r[reg];
}

static bool is_vendor(const struct kvm_cpuid_entry2 *e, const char *name)
{
	return !memcmp(&e->ebx, name, 4) && !memcmp(&e->edx, name + 4, 4) &&
	       !memcmp(&e->ecx, name + 8, 4);
}

void cpuid_index(struct cpuid_table *t)
{
	const struct kvm_cpuid_entry2 *e;
	int i;

	memset(t->first, 0xff, sizeof(t->first));
	for (i = t->nr - 1; i >= 0; i--)
		t->first[bucket_of(t->entry[i].function)] = i;
	for (i = 0; i < CPUID_WORDS; i++) {
		e = cpuid_find(t, word_at[i].function, word_at[i].index);
		t->word[i] = e ? reg_of(e, word_at[i].reg) : 0;
	}
	e = cpuid_find(t, 0, 0);
	t->amd = e && (is_vendor(e, "AuthenticAMD") || is_vendor(e, "HygonGenuine"));
}

int cpuid_check(const struct cpuid_table *t)
{
	const struct kvm_cpuid_entry2 *e = cpuid_find(t, 0x80000008, 0);
	u32 virtual_bits = e ? (e->eax >> 8) & 0xff : 0;

	if (virtual_bits && virtual_bits != 48 && virtual_bits != 57)
		return -EINVAL;
	return 0;
}

static bool is_kvm(const struct kvm_cpuid_entry2 *e)
{
	static const char signature[12] = "KVMKVMKVM";

	return !memcmp(&e->ebx, signature, 4) && !memcmp(&e->ecx, signature + 4, 4) &&
	       !memcmp(&e->edx, signature + 8, 4);
}

u32 cpuid_kvm_features(const struct cpuid_table *t)
{
	const struct kvm_cpuid_entry2 *e;
	u32 base;

	for (base = LEAF_KVM; base <= HYPERVISOR_LAST; base += HYPERVISOR_STEP) {
		e = cpuid_find(t, base, 0);
		if (!e || !is_kvm(e))
			continue;
		e = cpuid_find(t, base + LEAF_KVM_FEATURES - LEAF_KVM, 0);
		return e ? e->eax : 0;
	}
	return 0;
}

u64 cpuid_xcr0(const struct cpuid_table *t)
{
	const struct kvm_cpuid_entry2 *e = cpuid_find(t, 0xd, 0);

	return e ? e->eax | (u64)e->edx << 32 : 0;
}

int cpuid_maxphyaddr(const struct cpuid_table *t)
{
	const struct kvm_cpuid_entry2 *e = cpuid_find(t, 0x80000000, 0);

	if (!e || e->eax < 0x80000008)
		return 36;
	e = cpuid_find(t, 0x80000008, 0);
	return e ? e->eax & 0xff : 36;
}

/*
 * Bytes that XSAVE (or XSAVEC, if @compacted) needs for the components of
 * @xcr0, with sizes and offsets as the entries give them.
 */
static u32 xsave_size(const struct cpuid_table *t, u64 xcr0, bool compacted)
{
	const struct kvm_cpuid_entry2 *e;
	u32 size = 576;
	u32 i;

	for (i = 2; i < 63; i++) {
		if (!(xcr0 & (1ULL << i)))
			continue;
		e = cpuid_find(t, 0xd, i);
		if (!e)
			continue;
		if (!compacted) {
			if (e->ebx + e->eax > size)
				size = e->ebx + e->eax;
			continue;
		}
		if (e->ecx & 2)
			size = (size + 63) & ~63u;
		size += e->eax;
	}
	return size;
}

static u32 with_bit(u32 word, u32 bit, bool on)
{
	return on ? word | bit : word & ~bit;
}

void cpuid_update(struct cpuid_table *t, bool osxsave, u64 xcr0, bool apic)
{
	struct kvm_cpuid_entry2 *e = find_mutable(t, 1, 0);

	if (e) {
		if (cpuid_has(t, FEAT_XSAVE))
			e->ecx = with_bit(e->ecx, BIT_OSXSAVE, osxsave);
		e->edx = with_bit(e->edx, BIT_APIC, apic);
	}
	e = find_mutable(t, 0xd, 0);
	if (e)
		e->ebx = xsave_size(t, xcr0, false);
	e = find_mutable(t, 0xd, 1);
	if (e && (cpuid_has(t, FEAT_XSAVEC) || cpuid_has(t, FEAT_XSAVES)))
		e->ebx = xsave_size(t, xcr0, true);
}

bool cpuid_equal(const struct cpuid_table *a, const struct cpuid_table *b)
{
	int i;

	if (a->nr != b->nr)
		return false;
	for (i = 0; i < a->nr; i++) {
		const struct kvm_cpuid_entry2 *x = &a->entry[i], *y = &b->entry[i];

		if (x->function != y->function || x->index != y->index ||
		    x->flags != y->flags || x->eax != y->eax || x->ebx != y->ebx ||
		    x->ecx != y->ecx || x->edx != y->edx)
			return false;
	}
	return true;
}
