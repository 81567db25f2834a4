// SPDX-License-Identifier: GPL-2.0
/*
 * Walking the guest's own page tables as its processor would: 32-bit, PAE and
 * four levels; reserved bits, rights, error codes, accessed and dirty bits.
 * Owns no table of the host's.
 *
 * Each guest entry is read once, into the walk's own copy, and all decisions
 * are made on that copy. If an entry has changed when set_accessed_dirty() sets its
 * accessed or dirty bit, the walk ends with -EAGAIN.
 *
 * Emulated instructions often come from the same page and write to the same page, so
 * a vCPU keeps its last walks. walk_kept() reads the entries of such a walk again, in
 * the same order: if start and entries are unchanged, so is the result. No
 * invalidation is needed.
 */
#include <asm/cpufeature.h>
#include <asm/processor-flags.h>
#include <asm/msr-index.h>

#include "../gpa.h"
#include "../keel.h"
#include "walk.h"

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

static u64 low_bits(int n)
{
	return BIT_ULL(n) - 1;
}

static bool is_wide(const struct walk *w)
{
	return w->entry_size == 8;
}

static bool no_exec(const struct walk *w)
{
	return is_wide(w) && (w->start.efer & EFER_NX);
}

static u32 error_code(const struct walk *w, u32 why)
{
	u32 error = why;

	if (w->start.access & ACC_WRITE)
		error |= PF_WRITE;
	if (w->start.access & ACC_USER)
		error |= PF_USER;
	if (w->start.access & ACC_EXEC && (no_exec(w) || w->start.cr4 & X86_CR4_SMEP))
		error |= PF_FETCH;
	return error;
}

static void set_shape(struct walk *w)
{
	bool wide = w->start.cr4 & X86_CR4_PAE;

	w->entry_size = wide ? 8 : 4;
	w->index_bits = wide ? 9 : 10;
	w->top = w->start.efer & EFER_LMA ? 4 : 2;
	w->shift = KEEL_PAGE_SHIFT + (w->top - 1) * w->index_bits;
}

static bool is_leaf(const struct walk *w, u64 entry)
{
	if (w->level == 1)
		return true;
	if (!(entry & GPTE_PS) || w->level > 3)
		return false;
	return is_wide(w) || (w->start.cr4 & X86_CR4_PSE);
}

/* PSE-36: bits 13 to 20 of a 4 MiB entry are bits 32 to 39 of the address. */
static gpa_t pse36_address(u64 entry)
{
	return (entry & GENMASK_ULL(31, 22)) | (entry & GENMASK_ULL(20, 13)) << 19;
}

/* Bits that must be 0 in a present entry of 8 bytes, whatever its level. */
static u64 always_reserved(const struct walk *w)
{
	u64 bits = GPTE_ADDRESS & ~low_bits(w->start.width);

	if (!no_exec(w))
		bits |= GPTE_NX;
	if (!(w->start.efer & EFER_LMA))
		bits |= GENMASK_ULL(62, 52);
	return bits;
}

/* Bits that must be 0 in @entry, which is present and of the current level. */
static u64 reserved_bits(const struct walk *w, u64 entry)
{
	bool leaf = is_leaf(w, entry);
	u64 bits;

	if (!is_wide(w)) {
		if (w->level == 1 || !leaf)
			return 0;
		return GENMASK_ULL(21, min(w->start.width, 40) - 19);
	}
	bits = always_reserved(w);
	if (w->level == 4 || (w->level == 3 && !boot_cpu_has(X86_FEATURE_GBPAGES)))
		bits |= GPTE_PS;
	if (leaf && w->level > 1)
		bits |= low_bits(w->shift) & GENMASK_ULL(29, 13);
	return bits;
}

static int read_entry(struct walk *w, gpa_t table, u64 *entry)
{
	u64 index = w->start.gva >> w->shift & low_bits(w->index_bits);
	gpa_t gpa = table + index * w->entry_size;
	int err = keel_gpa_read_entry(w->vcpu, gpa, w->entry_size, entry);

	STAT(w->vcpu, walk_steps);
	w->entry_gpa[w->count] = gpa;
	w->entry[w->count] = *entry;
	w->count++;
	return err;
}

/* The gpa of w->start.gva, according to @leaf. */
static gpa_t translated(const struct walk *w, u64 leaf)
{
	gpa_t page = leaf & GPTE_ADDRESS;

	if (w->level == 2 && !is_wide(w))
		page = pse36_address(leaf);
	return (page & ~low_bits(w->shift)) | (w->start.gva & low_bits(w->shift));
}

/* Walk down to the leaf. 0, or WALK_FAULT and *@error, or -errno. */
static int walk_down(struct walk *w, u32 *error)
{
	gpa_t table = w->start.table;
	u64 entry;
	int err;

	set_shape(w);
	w->count = 0;
	w->all = ~0ULL;
	w->any = 0;
	/* All other reserved bits are reserved only in entries that have PS set. */
	w->suspect = GPTE_PS | (is_wide(w) ? always_reserved(w) : 0);
	for (w->level = w->top; table != INVALID_GPA; w->level--) {
		err = read_entry(w, table, &entry);
		if (err)
			return err;
		if (!(entry & GPTE_PRESENT))
			break;
		if ((entry & w->suspect) && (entry & reserved_bits(w, entry))) {
			*error = error_code(w, PF_PRESENT | PF_RESERVED);
			return WALK_FAULT;
		}
		w->all &= entry;
		w->any |= entry;
		if (is_leaf(w, entry)) {
			w->gpa = translated(w, entry);
			return 0;
		}
		table = entry & GPTE_ADDRESS;
		w->shift -= w->index_bits;
	}
	*error = error_code(w, 0);
	return WALK_FAULT;
}

/* May supervisor code touch data on this user page? */
static bool smap_allows(const struct walk *w)
{
	struct vmx_vcpu *v = &w->vcpu->vmx;

	if (!(w->start.cr4 & X86_CR4_SMAP))
		return true;
	if (w->start.access & ACC_IMPLICIT || vmx_cpl(v) == 3)
		return false;
	return vmx_rflags(v) & X86_EFLAGS_AC;
}

static bool rights_allow(const struct walk *w)
{
	bool user = w->start.access & ACC_USER;
	bool user_page = w->all & GPTE_USER;

	if (user && !user_page)
		return false;
	if (w->start.access & ACC_WRITE && !(w->all & GPTE_WRITE) &&
	    (user || w->start.cr0 & X86_CR0_WP))
		return false;
	if (w->start.access & ACC_EXEC)
		return !(w->any & GPTE_NX && no_exec(w)) &&
		       (user || !user_page || !(w->start.cr4 & X86_CR4_SMEP));
	return user || !user_page || smap_allows(w);
}

/* Do the entries have the accessed and dirty bits that the processor would set? */
static bool is_marked(const struct walk *w)
{
	u64 leaf = w->entry[w->count - 1];

	return (w->all & GPTE_ACCESSED) && (!(w->start.access & ACC_WRITE) || (leaf & GPTE_DIRTY));
}

/* 0, -EAGAIN: an entry has changed, or -EFAULT. In a read-only slot nothing is set. */
static int set_accessed_dirty(struct walk *w)
{
	int i, ret;

	for (i = 0; i < w->count; i++) {
		u64 old = w->entry[i], new = old | GPTE_ACCESSED;

		if (i == w->count - 1 && w->start.access & ACC_WRITE)
			new |= GPTE_DIRTY;
		if (new == old)
			continue;
		ret = keel_gpa_cmpxchg(w->vcpu, w->entry_gpa[i], &old, &new, w->entry_size);
		if (ret == -EAGAIN || ret == -EFAULT)
			return ret;
	}
	return 0;
}

/* See mmu_walk(). */
static int walk(struct walk *w, bool set_ad, struct walk_fault *fault)
{
	int err;

	fault->gva = w->start.gva;
	err = walk_down(w, &fault->error);
	if (err)
		return err;
	if (!rights_allow(w)) {
		fault->error = error_code(w, PF_PRESENT);
		return WALK_FAULT;
	}
	return set_ad && !is_marked(w) ? set_accessed_dirty(w) : 0;
}

static gpa_t pdpte_address(struct keel_vcpu *vcpu, gva_t gva)
{
	u64 pdptr[4], pdpte;

	vmx_get_pdptrs(&vcpu->vmx, pdptr);
	pdpte = pdptr[gva >> 30 & 3];
	return pdpte & GPTE_PRESENT ? pdpte & GPTE_ADDRESS : INVALID_GPA;
}

/* The gpa of the first table, from CR3 or a PDPTE. */
static inline gpa_t first_table(struct keel_vcpu *vcpu, gva_t gva, u64 cr4, u64 efer)
{
	if (!(cr4 & X86_CR4_PAE))
		return vmx_cr3(&vcpu->vmx) & GENMASK(31, 12);
	if (efer & EFER_LMA)
		return vmx_cr3(&vcpu->vmx) & GPTE_ADDRESS;
	return pdpte_address(vcpu, gva);
}

static int address_width(const struct keel_vcpu *vcpu)
{
	return vcpu->maxphyaddr ?: boot_cpu_data.x86_phys_bits;
}

static void start(struct walk *w, struct keel_vcpu *vcpu, gva_t gva, unsigned int access)
{
	u64 cr4 = vmx_cr4(&vcpu->vmx), efer = vmx_efer(&vcpu->vmx);

	w->vcpu = vcpu;
	w->start.gva = gva;
	w->start.access = access;
	w->start.width = address_width(vcpu);
	w->start.cr0 = vmx_cr0(&vcpu->vmx);
	w->start.cr4 = cr4;
	w->start.efer = efer;
	w->start.table = first_table(vcpu, gva, cr4, efer);
}

static bool is_paged(struct keel_vcpu *vcpu)
{
	return vmx_cr0(&vcpu->vmx) & X86_CR0_PG;
}

int mmu_walk(struct keel_vcpu *vcpu, gva_t gva, unsigned int access, bool set_ad,
	     gpa_t *gpa, struct walk_fault *fault)
{
	struct walk w;
	int ret;

	*gpa = gva;
	if (!is_paged(vcpu))
		return 0;
	start(&w, vcpu, gva, access);
	ret = walk(&w, set_ad, fault);
	if (!ret)
		*gpa = w.gpa;
	return ret;
}

/* Is @gva on the page of @w, and would a walk start from the same state? */
static bool same_start(const struct walk *w, struct keel_vcpu *vcpu, gva_t gva,
		       unsigned int access)
{
	const struct walk_start *s = &w->start;

	return !((s->gva ^ gva) >> KEEL_PAGE_SHIFT) && s->access == access &&
	       s->cr0 == vmx_cr0(&vcpu->vmx) && s->cr4 == vmx_cr4(&vcpu->vmx) &&
	       s->efer == vmx_efer(&vcpu->vmx) && s->width == address_width(vcpu) &&
	       s->table == first_table(vcpu, gva, s->cr4, s->efer);
}

static bool same_entries(const struct walk *w)
{
	w->vcpu->stats.walk_steps += w->count;
	return keel_gpa_entries_are(w->vcpu, w->entry_gpa, w->entry, w->count, w->entry_size);
}

/* Use @w if its start and its entries are unchanged; otherwise walk again. */
static int walk_kept(struct walk *w, struct keel_vcpu *vcpu, gva_t gva, unsigned int access,
		     gpa_t *gpa, struct walk_fault *fault)
{
	int ret;

	*gpa = gva;
	if (!is_paged(vcpu))
		return 0;
	if (!w->kept || !same_start(w, vcpu, gva, access) || !same_entries(w)) {
		start(w, vcpu, gva, access);
		ret = walk(w, true, fault);
		w->kept = !ret && is_marked(w);
		if (ret)
			return ret;
	}
	*gpa = (w->gpa & PAGE_MASK) | (gva & ~PAGE_MASK);
	return 0;
}

int mmu_walk_code(struct keel_vcpu *vcpu, gva_t gva, unsigned int access, gpa_t *gpa,
		  struct walk_fault *fault)
{
	return walk_kept(&vcpu->mmu.code, vcpu, gva, access, gpa, fault);
}

int mmu_walk_write(struct keel_vcpu *vcpu, gva_t gva, unsigned int access, gpa_t *gpa,
		   struct walk_fault *fault)
{
	return walk_kept(&vcpu->mmu.write, vcpu, gva, access, gpa, fault);
}
