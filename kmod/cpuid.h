/* SPDX-License-Identifier: GPL-2.0 */
/*
 * CPUID as the guest sees it.
 *
 * cpuid.c is pure: it has the table of entries, the look-up of the instruction,
 * and the choice of features. vcpu_cpuid.c binds it to a vCPU, to the host's
 * processor and to the ioctls.
 */
#ifndef KEEL_CPUID_H
#define KEEL_CPUID_H

#include <linux/kvm.h>

#include "types.h"

struct keel_vcpu;

/* CPUID registers that hold feature bits. */
enum cpuid_word {
	WORD_1_ECX,
	WORD_1_EDX,
	WORD_7_EBX,
	WORD_7_ECX,
	WORD_7_EDX,
	WORD_7_1_EAX,
	WORD_D_1_EAX,
	WORD_80000001_ECX,
	WORD_80000001_EDX,
	CPUID_WORDS
};

#define FEATURE(word, bit)	(WORD_##word * 32 + (bit))

/* Features that a guest may be offered, and some that the code asks for. */
enum cpuid_feature {
	FEAT_SSE3		= FEATURE(1_ECX, 0),
	FEAT_PCLMULQDQ		= FEATURE(1_ECX, 1),
	FEAT_SSSE3		= FEATURE(1_ECX, 9),
	FEAT_FMA		= FEATURE(1_ECX, 12),
	FEAT_CX16		= FEATURE(1_ECX, 13),
	FEAT_PCID		= FEATURE(1_ECX, 17),
	FEAT_SSE4_1		= FEATURE(1_ECX, 19),
	FEAT_SSE4_2		= FEATURE(1_ECX, 20),
	FEAT_X2APIC		= FEATURE(1_ECX, 21),
	FEAT_MOVBE		= FEATURE(1_ECX, 22),
	FEAT_POPCNT		= FEATURE(1_ECX, 23),
	FEAT_AES		= FEATURE(1_ECX, 25),
	FEAT_XSAVE		= FEATURE(1_ECX, 26),
	FEAT_OSXSAVE		= FEATURE(1_ECX, 27),
	FEAT_AVX		= FEATURE(1_ECX, 28),
	FEAT_F16C		= FEATURE(1_ECX, 29),
	FEAT_RDRAND		= FEATURE(1_ECX, 30),
	FEAT_HYPERVISOR		= FEATURE(1_ECX, 31),
	FEAT_FPU		= FEATURE(1_EDX, 0),
	FEAT_VME		= FEATURE(1_EDX, 1),
	FEAT_DE			= FEATURE(1_EDX, 2),
	FEAT_PSE		= FEATURE(1_EDX, 3),
	FEAT_TSC		= FEATURE(1_EDX, 4),
	FEAT_MSR		= FEATURE(1_EDX, 5),
	FEAT_PAE		= FEATURE(1_EDX, 6),
	FEAT_MCE		= FEATURE(1_EDX, 7),
	FEAT_CX8		= FEATURE(1_EDX, 8),
	FEAT_APIC		= FEATURE(1_EDX, 9),
	FEAT_SEP		= FEATURE(1_EDX, 11),
	FEAT_MTRR		= FEATURE(1_EDX, 12),
	FEAT_PGE		= FEATURE(1_EDX, 13),
	FEAT_MCA		= FEATURE(1_EDX, 14),
	FEAT_CMOV		= FEATURE(1_EDX, 15),
	FEAT_PAT		= FEATURE(1_EDX, 16),
	FEAT_PSE36		= FEATURE(1_EDX, 17),
	FEAT_CLFLUSH		= FEATURE(1_EDX, 19),
	FEAT_MMX		= FEATURE(1_EDX, 23),
	FEAT_FXSR		= FEATURE(1_EDX, 24),
	FEAT_SSE		= FEATURE(1_EDX, 25),
	FEAT_SSE2		= FEATURE(1_EDX, 26),
	FEAT_SELFSNOOP		= FEATURE(1_EDX, 27),
	FEAT_FSGSBASE		= FEATURE(7_EBX, 0),
	FEAT_TSC_ADJUST		= FEATURE(7_EBX, 1),
	FEAT_BMI1		= FEATURE(7_EBX, 3),
	FEAT_AVX2		= FEATURE(7_EBX, 5),
	FEAT_FDP_EXCPTN_ONLY	= FEATURE(7_EBX, 6),
	FEAT_SMEP		= FEATURE(7_EBX, 7),
	FEAT_BMI2		= FEATURE(7_EBX, 8),
	FEAT_ERMS		= FEATURE(7_EBX, 9),
	FEAT_INVPCID		= FEATURE(7_EBX, 10),
	FEAT_ZERO_FCS_FDS	= FEATURE(7_EBX, 13),
	FEAT_AVX512F		= FEATURE(7_EBX, 16),
	FEAT_AVX512DQ		= FEATURE(7_EBX, 17),
	FEAT_RDSEED		= FEATURE(7_EBX, 18),
	FEAT_ADX		= FEATURE(7_EBX, 19),
	FEAT_SMAP		= FEATURE(7_EBX, 20),
	FEAT_AVX512IFMA		= FEATURE(7_EBX, 21),
	FEAT_CLFLUSHOPT		= FEATURE(7_EBX, 23),
	FEAT_CLWB		= FEATURE(7_EBX, 24),
	FEAT_AVX512PF		= FEATURE(7_EBX, 26),
	FEAT_AVX512ER		= FEATURE(7_EBX, 27),
	FEAT_AVX512CD		= FEATURE(7_EBX, 28),
	FEAT_SHA		= FEATURE(7_EBX, 29),
	FEAT_AVX512BW		= FEATURE(7_EBX, 30),
	FEAT_AVX512VL		= FEATURE(7_EBX, 31),
	FEAT_AVX512_VBMI	= FEATURE(7_ECX, 1),
	FEAT_UMIP		= FEATURE(7_ECX, 2),
	FEAT_AVX512_VBMI2	= FEATURE(7_ECX, 6),
	FEAT_GFNI		= FEATURE(7_ECX, 8),
	FEAT_VAES		= FEATURE(7_ECX, 9),
	FEAT_VPCLMULQDQ		= FEATURE(7_ECX, 10),
	FEAT_AVX512_VNNI	= FEATURE(7_ECX, 11),
	FEAT_AVX512_BITALG	= FEATURE(7_ECX, 12),
	FEAT_AVX512_VPOPCNTDQ	= FEATURE(7_ECX, 14),
	FEAT_RDPID		= FEATURE(7_ECX, 22),
	FEAT_CLDEMOTE		= FEATURE(7_ECX, 25),
	FEAT_MOVDIRI		= FEATURE(7_ECX, 27),
	FEAT_MOVDIR64B		= FEATURE(7_ECX, 28),
	FEAT_AVX512_4VNNIW	= FEATURE(7_EDX, 2),
	FEAT_AVX512_4FMAPS	= FEATURE(7_EDX, 3),
	FEAT_FSRM		= FEATURE(7_EDX, 4),
	FEAT_AVX512_VP2INTERSECT	= FEATURE(7_EDX, 8),
	FEAT_MD_CLEAR		= FEATURE(7_EDX, 10),
	FEAT_SERIALIZE		= FEATURE(7_EDX, 14),
	FEAT_AVX512_FP16	= FEATURE(7_EDX, 23),
	FEAT_SPEC_CTRL		= FEATURE(7_EDX, 26),
	FEAT_STIBP		= FEATURE(7_EDX, 27),
	FEAT_ARCH_CAPABILITIES	= FEATURE(7_EDX, 29),
	FEAT_SSBD		= FEATURE(7_EDX, 31),
	FEAT_AVX_VNNI		= FEATURE(7_1_EAX, 4),
	FEAT_AVX512_BF16	= FEATURE(7_1_EAX, 5),
	FEAT_XSAVEOPT		= FEATURE(D_1_EAX, 0),
	FEAT_XSAVEC		= FEATURE(D_1_EAX, 1),
	FEAT_XGETBV1		= FEATURE(D_1_EAX, 2),
	FEAT_XSAVES		= FEATURE(D_1_EAX, 3),
	FEAT_LAHF_LM		= FEATURE(80000001_ECX, 0),
	FEAT_LZCNT		= FEATURE(80000001_ECX, 5),
	FEAT_PREFETCHW		= FEATURE(80000001_ECX, 8),
	FEAT_SYSCALL		= FEATURE(80000001_EDX, 11),
	FEAT_NX			= FEATURE(80000001_EDX, 20),
	FEAT_PDPE1GB		= FEATURE(80000001_EDX, 26),
	FEAT_RDTSCP		= FEATURE(80000001_EDX, 27),
	FEAT_LM			= FEATURE(80000001_EDX, 29),
};

#define XSTATE_FP	1ULL
#define XSTATE_SSE	2ULL
#define XSTATE_AVX	4ULL
#define XSTATE_AVX512	0xe0ULL
/* XSAVE components that Keel switches for a guest; others of the host stay hidden. */
#define XSTATE_GUEST	(XSTATE_FP | XSTATE_SSE | XSTATE_AVX | XSTATE_AVX512)

struct cpuid_regs4 {
	u32 eax, ebx, ecx, edx;
};

/*
 * struct cpuid_host - features of the host, from which a guest's are derived
 * @query:	the CPUID instruction of the host
 * @word:	feature bits that the host's kernel knows and has not disabled
 * @xcr0:	subset of XSTATE_GUEST that can be switched
 */
struct cpuid_host {
	void (*query)(u32 function, u32 index, struct cpuid_regs4 *out);
	u32 word[CPUID_WORDS];
	u64 xcr0;
	bool rdtscp, invpcid;
	bool umip_by_exits;		/* Keel can emulate UMIP */
	bool invariant_tsc;
	bool clock;			/* keel_clock_possible() */
};

#define CPUID_BUCKETS	64

/*
 * struct cpuid_table - the entries that userspace has set for a vCPU
 * @first:	per hash of the function: index of the first candidate
 * @word:	feature bits, gathered from the entries
 * @amd:	AMD's rule for functions out of range: all zero
 */
struct cpuid_table {
	u16 first[CPUID_BUCKETS];
	u32 word[CPUID_WORDS];
	bool amd;
	int nr;
	struct kvm_cpuid_entry2 entry[];
};

/*
 * Remove from @word the features that a guest of this host must not see, and
 * add those that Keel provides.
 */
void cpuid_filter(u32 word[CPUID_WORDS], const struct cpuid_host *host);
/* Fill in the entries that this host offers. Return their number, or -E2BIG if over @max. */
int cpuid_supported(const struct cpuid_host *host, struct kvm_cpuid_entry2 *entry, int max);

/* -EINVAL if no vCPU can run with these entries. */
int cpuid_check(const struct cpuid_table *t);
/* Fill @first, @word, @amd from @entry and @nr. */
void cpuid_index(struct cpuid_table *t);
/* Update the fields that follow CR4.OSXSAVE, XCR0 and the enable bit of the APIC. */
void cpuid_update(struct cpuid_table *t, bool osxsave, u64 xcr0, bool apic);
bool cpuid_equal(const struct cpuid_table *a, const struct cpuid_table *b);

const struct kvm_cpuid_entry2 *cpuid_find(const struct cpuid_table *t, u32 function, u32 index);
/* Execute CPUID on the table. */
void cpuid_query(const struct cpuid_table *t, u32 function, u32 index, struct cpuid_regs4 *out);
/* MAXPHYADDR of the guest; 36 if no leaf 0x80000008 says otherwise. */
int cpuid_maxphyaddr(const struct cpuid_table *t);
/* KVM's paravirtual features; 0 if the table has no leaf with KVM's signature. */
u32 cpuid_kvm_features(const struct cpuid_table *t);
/* XCR0 components that leaf 0xd lists. */
u64 cpuid_xcr0(const struct cpuid_table *t);

static inline bool cpuid_has(const struct cpuid_table *t, enum cpuid_feature f)
{
	return t && t->word[f / 32] & (1u << (f % 32));
}

/* vcpu_cpuid.c */

/* True if the guest's CPUID has feature @f. */
bool keel_guest_has(const struct keel_vcpu *vcpu, enum cpuid_feature f);
/* True if the guest's CPUID has paravirtual feature @bit, or if userspace does not enforce that. */
bool keel_guest_has_pv(const struct keel_vcpu *vcpu, unsigned int bit);
/* KVM_CAP_ENFORCE_PV_FEATURE_CPUID. */
long keel_enforce_pv(struct keel_vcpu *vcpu, const u64 *args);
/* XCR0 components that can be switched for guests on this host. */
u64 keel_host_xcr0(void);
/* Call after a change of CR4, XCR0 or APIC_BASE. Loaded. */
void keel_cpuid_update(struct keel_vcpu *vcpu);
/* Derive the defaults of a vCPU without a table. It need not be loaded. */
void keel_cpuid_init(struct keel_vcpu *vcpu);
void keel_cpuid_free(struct keel_vcpu *vcpu);

int keel_cpuid_exit(struct keel_vcpu *vcpu);

/* KVM_GET_SUPPORTED_CPUID: RAW. */
long keel_get_supported_cpuid(void *data);
/* KVM_SET_CPUID, KVM_SET_CPUID2: RAW and LOAD. KVM_GET_CPUID2: RAW. */
long keel_set_cpuid(struct keel_vcpu *vcpu, void *data);
long keel_set_cpuid2(struct keel_vcpu *vcpu, void *data);
long keel_get_cpuid2(struct keel_vcpu *vcpu, void *data);

#endif
