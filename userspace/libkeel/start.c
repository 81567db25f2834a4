// SPDX-License-Identifier: GPL-2.0
/*
 * Start states: real mode, flat 32-bit, long mode. Owns the segment values and
 * the page tables they need; sets segments, control registers and general
 * registers, and nothing else of a vCPU.
 */
#include <errno.h>
#include <string.h>

#include "internal.h"

#define CR0_PE		0x00000001ull
#define CR0_ET		0x00000010ull
#define CR0_NE		0x00000020ull
#define CR0_PG		0x80000000ull
#define CR4_PAE		0x00000020ull
#define CR4_OSFXSR	0x00000200ull
#define CR4_OSXMMEXCPT	0x00000400ull
#define EFER_LME	0x00000100ull
#define EFER_LMA	0x00000400ull
#define RFLAGS_FIXED	0x2ull

#define PTE_PRESENT	0x01ull
#define PTE_WRITE	0x02ull
#define PTE_ACCESSED	0x20ull
#define PTE_DIRTY	0x40ull
#define PTE_LARGE	0x80ull

/* Segment types: accessed data (writable) and accessed code (readable). */
#define TYPE_DATA	0x3
#define TYPE_CODE	0xb
#define TYPE_TSS_BUSY	0xb

#define SEL_CODE	0x08
#define SEL_DATA	0x10

/* The same segments as GDT entries: base 0, limit 4 GiB, accessed. */
#define GDT_CODE64	0x00af9b000000ffffull
#define GDT_DATA	0x00cf93000000ffffull

/* Layout of the KEEL_LONG_TABLES_SIZE bytes. */
#define OFF_PML4	0x0000u
#define OFF_PDPT	0x1000u
#define OFF_PD		0x2000u
#define OFF_GDT		0x6000u
#define PD_COUNT	4
#define PD_ENTRIES	512
#define LARGE_SHIFT	21

static void set_all_data(struct kvm_sregs *sregs, const struct kvm_segment *data)
{
	sregs->ds = *data;
	sregs->es = *data;
	sregs->fs = *data;
	sregs->gs = *data;
	sregs->ss = *data;
}

/* VM entry needs a usable busy TSS and an unusable LDT in every mode. */
static void set_system(struct kvm_sregs *sregs)
{
	sregs->tr = (struct kvm_segment) {
		.limit = 0xffff, .type = TYPE_TSS_BUSY, .present = 1,
	};
	sregs->ldt = (struct kvm_segment) { .unusable = 1 };
	sregs->idt = (struct kvm_dtable) { .limit = 0 };
	sregs->gdt = (struct kvm_dtable) { .limit = 0 };
}

static int set_pointers(struct keel_vcpu *vcpu, __u64 rip, __u64 rsp)
{
	struct kvm_regs regs = { .rip = rip, .rsp = rsp, .rflags = RFLAGS_FIXED };

	return keel_vcpu_set_regs(vcpu, &regs);
}

static int apply(struct keel_vcpu *vcpu, const struct kvm_sregs *sregs, __u64 rip, __u64 rsp)
{
	int ret = keel_vcpu_set_sregs(vcpu, sregs);

	return ret ? ret : set_pointers(vcpu, rip, rsp);
}

KEEL_API int keel_vcpu_start_real(struct keel_vcpu *vcpu, __u16 cs, __u16 ip)
{
	struct kvm_segment segment = {
		.base = (__u64)cs << 4, .limit = 0xffff, .selector = cs,
		.type = TYPE_DATA, .present = 1, .s = 1,
	};
	struct kvm_sregs sregs;
	int ret = keel_vcpu_get_sregs(vcpu, &sregs);

	if (ret)
		return ret;
	set_all_data(&sregs, &segment);
	segment.type = TYPE_CODE;
	sregs.cs = segment;
	set_system(&sregs);
	/* The size of the interrupt vector table of real mode. */
	sregs.idt.limit = 0x3ff;
	sregs.cr0 = CR0_ET;
	sregs.cr3 = 0;
	sregs.cr4 = 0;
	sregs.efer = 0;
	return apply(vcpu, &sregs, ip, 0);
}

static void set_flat(struct kvm_sregs *sregs, bool is_long)
{
	struct kvm_segment segment = {
		.limit = 0xffffffff, .selector = SEL_DATA, .type = TYPE_DATA,
		.present = 1, .s = 1, .db = 1, .g = 1,
	};

	set_all_data(sregs, &segment);
	segment.selector = SEL_CODE;
	segment.type = TYPE_CODE;
	segment.db = !is_long;
	segment.l = is_long;
	sregs->cs = segment;
	set_system(sregs);
}

KEEL_API int keel_vcpu_start_flat32(struct keel_vcpu *vcpu, __u32 eip, __u32 esp)
{
	struct kvm_sregs sregs;
	int ret = keel_vcpu_get_sregs(vcpu, &sregs);

	if (ret)
		return ret;
	set_flat(&sregs, false);
	sregs.cr0 = CR0_PE | CR0_ET | CR0_NE;
	sregs.cr3 = 0;
	sregs.cr4 = CR4_OSFXSR | CR4_OSXMMEXCPT;
	sregs.efer = 0;
	return apply(vcpu, &sregs, eip, esp);
}

/* Set the accessed and dirty bits in advance, so that no page walk needs to write. */
static void build_tables(void *area, __u64 gpa)
{
	const __u64 link = PTE_PRESENT | PTE_WRITE | PTE_ACCESSED;
	__u64 *pml4 = (__u64 *)((char *)area + OFF_PML4);
	__u64 *pdpt = (__u64 *)((char *)area + OFF_PDPT);
	__u64 *pd = (__u64 *)((char *)area + OFF_PD);
	__u64 *gdt = (__u64 *)((char *)area + OFF_GDT);
	__u64 i;

	memset(area, 0, KEEL_LONG_TABLES_SIZE);
	pml4[0] = (gpa + OFF_PDPT) | link;
	for (i = 0; i < PD_COUNT; i++)
		pdpt[i] = (gpa + OFF_PD + i * KEEL_PAGE_SIZE) | link;
	for (i = 0; i < PD_COUNT * PD_ENTRIES; i++)
		pd[i] = (i << LARGE_SHIFT) | link | PTE_DIRTY | PTE_LARGE;
	gdt[SEL_CODE / 8] = GDT_CODE64;
	gdt[SEL_DATA / 8] = GDT_DATA;
}

KEEL_API int keel_vcpu_start_long(struct keel_vcpu *vcpu, __u64 tables, __u64 rip, __u64 rsp)
{
	struct kvm_sregs sregs;
	void *area;
	int ret = keel_vcpu_get_sregs(vcpu, &sregs);

	if (ret)
		return ret;
	if (tables % KEEL_PAGE_SIZE || tables >> 32)
		return -EINVAL;
	area = keel_mem_ptr(vcpu->vm, tables, KEEL_LONG_TABLES_SIZE);
	if (!area)
		return -EFAULT;
	build_tables(area, tables);
	set_flat(&sregs, true);
	sregs.gdt.base = tables + OFF_GDT;
	sregs.gdt.limit = SEL_DATA + 7;
	sregs.cr0 = CR0_PE | CR0_ET | CR0_NE | CR0_PG;
	sregs.cr3 = tables + OFF_PML4;
	sregs.cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT;
	sregs.efer = EFER_LME | EFER_LMA;
	return apply(vcpu, &sregs, rip, rsp);
}
