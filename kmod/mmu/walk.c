// SPDX-License-Identifier: GPL-2.0
/*
 * Walking the guest's own page tables as its processor would: 32-bit, PAE and
 * four levels; reserved bits, rights, error codes, accessed and dirty bits.
 * Owns no table of the host's.
 *
 * Each guest entry is read once, into the walk's own copy, and all decisions
 * are made on that; when the accessed and dirty bits are set, an entry that has
 * changed since then makes the whole walk void.
 */
#include <asm/cpufeature.h>
#include <asm/processor-flags.h>
#include <asm/msr-index.h>

#include "../gpa.h"
#include "../keel.h"
#include "mmu.h"

#define GPTE_PRESENT	BIT_ULL(0)
#define GPTE_WRITE	BIT_ULL(1)
#define GPTE_USER	BIT_ULL(2)
#define GPTE_ACCESSED	BIT_ULL(5)
#define GPTE_DIRTY	BIT_ULL(6)
#define GPTE_PS		BIT_ULL(7)
#define GPTE_NX		BIT_ULL(63)
#define GPTE_ADDRESS	GENMASK_ULL(51, 12)

#define PF_PRESENT	1
#define PF_WRITE	2
#define PF_USER		4
#define PF_RESERVED	8
#define PF_FETCH	16

/*
 * struct walk - one walk
 *
 * in: the address, the access and the registers that count.
 * derived: shape of the tables; bits that may be reserved, depending on the
 * level; entries read so far, by level.
 * out: rights of all entries together, and the gpa.
 */
struct walk {
	struct keel_vcpu *vcpu;
	gva_t gva;
	unsigned int access;
	u64 cr0, cr4, efer;

	bool wide;		/* entries of 8 bytes */
	u64 suspect;		/* no other bit is reserved on any level */
	int top;		/* level of the first table that is read */
	int level;		/* of the entry read last */
	gpa_t entry_gpa[5];
	u64 entry[5];

	u64 rights;		/* GPTE_WRITE and GPTE_USER; GPTE_NX */
	gpa_t gpa;
};

static u64 low_bits(int n)
{
	return BIT_ULL(n) - 1;
}

static bool no_exec(const struct walk *w)
{
	return w->wide && (w->efer & EFER_NX);
}

static u32 error_code(const struct walk *w, u32 why)
{
	u32 error = why;

	if (w->access & ACC_WRITE)
		error |= PF_WRITE;
	if (w->access & ACC_USER)
		error |= PF_USER;
	if (w->access & ACC_EXEC && (no_exec(w) || w->cr4 & X86_CR4_SMEP))
		error |= PF_FETCH;
	return error;
}

/* Where the first table is: CR3 or a PDPTE. */
static gpa_t first_table(struct walk *w)
{
	u64 cr3 = vmx_cr3(&w->vcpu->vmx);
	u64 pdptr[4];

	w->rights = GPTE_WRITE | GPTE_USER;
	w->wide = w->cr4 & X86_CR4_PAE;
	w->top = 2;
	if (!w->wide)
		return cr3 & GENMASK_ULL(31, 12);
	if (w->efer & EFER_LMA) {
		w->top = 4;
		return cr3 & GPTE_ADDRESS;
	}
	vmx_get_pdptrs(&w->vcpu->vmx, pdptr);
	pdptr[0] = pdptr[w->gva >> 30 & 3];
	return pdptr[0] & GPTE_PRESENT ? pdptr[0] & GPTE_ADDRESS : INVALID_GPA;
}

static int index_bits(const struct walk *w)
{
	return w->wide ? 9 : 10;
}

/* log2 of what an entry of the current level maps. */
static int entry_shift(const struct walk *w)
{
	return KEEL_PAGE_SHIFT + (w->level - 1) * index_bits(w);
}

static bool entry_is_leaf(const struct walk *w)
{
	if (w->level == 1)
		return true;
	if (!(w->entry[w->level] & GPTE_PS) || w->level > 3)
		return false;
	return w->wide || (w->cr4 & X86_CR4_PSE);
}

/* PSE-36: bits 13 to 20 of a 4 MiB entry are bits 32 to 39 of the address. */
static gpa_t pse36_address(u64 entry)
{
	return (entry & GENMASK_ULL(31, 22)) | (entry & GENMASK_ULL(20, 13)) << 19;
}

static int address_width(const struct walk *w)
{
	return w->vcpu->maxphyaddr ?: boot_cpu_data.x86_phys_bits;
}

/* Bits that must be 0 in a present entry of 8 bytes, whatever its level. */
static u64 always_reserved(const struct walk *w)
{
	u64 bits = GPTE_ADDRESS & ~low_bits(address_width(w));

	if (!no_exec(w))
		bits |= GPTE_NX;
	if (!(w->efer & EFER_LMA))
		bits |= GENMASK_ULL(62, 52);
	return bits;
}

/* Bits that must be 0 in a present entry of the current level. */
static u64 reserved_bits(const struct walk *w)
{
	bool leaf = entry_is_leaf(w);
	u64 bits;

	if (!w->wide) {
		if (w->level == 1 || !leaf)
			return 0;
		return GENMASK_ULL(21, min(address_width(w), 40) - 19);
	}
	bits = always_reserved(w);
	if (w->level == 4 || (w->level == 3 && !boot_cpu_has(X86_FEATURE_GBPAGES)))
		bits |= GPTE_PS;
	if (leaf && w->level > 1)
		bits |= low_bits(entry_shift(w)) & GENMASK_ULL(29, 13);
	return bits;
}

static int entry_size(const struct walk *w)
{
	return w->wide ? 8 : 4;
}

/* An entry that cannot be read is taken for one that is not present. */
static void read_entry(struct walk *w, gpa_t table)
{
	u64 index = w->gva >> entry_shift(w) & low_bits(index_bits(w));
	u64 entry = 0;

	w->entry_gpa[w->level] = table + index * entry_size(w);
	STAT(w->vcpu, walk_steps);
	if (keel_gpa_read(w->vcpu, w->entry_gpa[w->level], &entry, entry_size(w)))
		entry = 0;
	w->entry[w->level] = entry;
}

static gpa_t entry_address(const struct walk *w)
{
	u64 entry = w->entry[w->level];

	if (w->wide)
		return entry & GPTE_ADDRESS;
	return w->level == 2 && entry_is_leaf(w) ? pse36_address(entry) :
						   entry & GENMASK_ULL(31, 12);
}

/* Down to the leaf. False: *@error says why not. */
static bool walk_down(struct walk *w, u32 *error)
{
	gpa_t table = first_table(w);

	*error = error_code(w, 0);
	if (table == INVALID_GPA)
		return false;
	/* The others depend on the level only where an entry says that it is a large page. */
	w->suspect = GPTE_PS | (w->wide ? always_reserved(w) : 0);
	for (w->level = w->top; ; w->level--) {
		u64 entry;

		read_entry(w, table);
		entry = w->entry[w->level];
		if (!(entry & GPTE_PRESENT))
			return false;
		if ((entry & w->suspect) && (entry & reserved_bits(w))) {
			*error = error_code(w, PF_PRESENT | PF_RESERVED);
			return false;
		}
		w->rights = (w->rights & entry & (GPTE_WRITE | GPTE_USER)) |
			    ((w->rights | entry) & GPTE_NX);
		table = entry_address(w);
		if (entry_is_leaf(w))
			break;
	}
	w->gpa = (table & ~low_bits(entry_shift(w))) | (w->gva & low_bits(entry_shift(w)));
	return true;
}

/* May supervisor code touch data on this user page? */
static bool smap_allows(const struct walk *w)
{
	struct vmx_vcpu *v = &w->vcpu->vmx;

	if (!(w->cr4 & X86_CR4_SMAP))
		return true;
	if (w->access & ACC_IMPLICIT || vmx_cpl(v) == 3)
		return false;
	return vmx_rflags(v) & X86_EFLAGS_AC;
}

static bool rights_allow(const struct walk *w)
{
	bool user = w->access & ACC_USER;
	bool user_page = w->rights & GPTE_USER;

	if (user && !user_page)
		return false;
	if (w->access & ACC_WRITE && !(w->rights & GPTE_WRITE) && (user || w->cr0 & X86_CR0_WP))
		return false;
	if (w->access & ACC_EXEC)
		return !(w->rights & GPTE_NX && no_exec(w)) &&
		       (user || !user_page || !(w->cr4 & X86_CR4_SMEP));
	return user || !user_page || smap_allows(w);
}

/* -EAGAIN: an entry is no longer what was walked through. One in ROM stays as it is. */
static int set_accessed_dirty(struct walk *w)
{
	int level, ret;

	for (level = w->top; level >= w->level; level--) {
		u64 old = w->entry[level], new = old | GPTE_ACCESSED;

		if (level == w->level && w->access & ACC_WRITE)
			new |= GPTE_DIRTY;
		if (new == old)
			continue;
		ret = keel_gpa_cmpxchg(w->vcpu, w->entry_gpa[level], &old, &new, entry_size(w));
		if (ret == -EAGAIN)
			return ret;
	}
	return 0;
}

int mmu_walk(struct keel_vcpu *vcpu, gva_t gva, unsigned int access, bool set_ad,
	     gpa_t *gpa, struct walk_fault *fault)
{
	struct walk w = {
		.vcpu = vcpu,
		.gva = gva,
		.access = access,
		.cr0 = vmx_cr0(&vcpu->vmx),
	};
	int ret;

	*gpa = gva;
	if (!(w.cr0 & X86_CR0_PG))
		return 0;
	w.cr4 = vmx_cr4(&vcpu->vmx);
	w.efer = vmx_efer(&vcpu->vmx);
	fault->gva = gva;
	if (!walk_down(&w, &fault->error))
		return -EFAULT;
	if (!rights_allow(&w)) {
		fault->error = error_code(&w, PF_PRESENT);
		return -EFAULT;
	}
	ret = set_ad ? set_accessed_dirty(&w) : 0;
	*gpa = w.gpa;
	return ret;
}
