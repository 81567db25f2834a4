/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The memory layout of a test guest, shared by the host half and the guest half.
 * Guest virtual addresses equal guest physical ones below 4 GiB; RAM is one slot
 * from 0 to the end of the copied program, and everything above is MMIO.
 */
#ifndef KEEL_TEST_LAYOUT_H
#define KEEL_TEST_LAYOUT_H

#define REAL_IVT_GPA	0x0000UL
#define REAL_CODE_GPA	0x1000UL	/* 16-bit code, 16 KiB */
#define REAL_STACK_GPA	0x7000UL	/* grows down */
#define GDT_GPA		0x8000UL
#define IDT_GPA		0x9000UL
#define TSS_GPA		0xa000UL	/* 256 bytes for each vCPU id below 16 */
#define PML4_GPA	0x10000UL	/* long mode, 2 MiB pages, first 4 GiB */
#define PDPT_GPA	0x11000UL
#define PD_GPA		0x12000UL	/* four pages */
#define PAE_PDPT_GPA	0x16000UL	/* PAE: the same four directories */
#define PD32_GPA	0x17000UL	/* 32-bit paging, 4 MiB pages */
#define TABLES_GPA	0x20000UL	/* page tables added by vm_map() */
#define TABLES_END	0x80000UL
#define STACKS_GPA	0x80000UL	/* 16 KiB for each vCPU id below 32 */
#define STACK_SIZE	0x4000UL
#define DATA_GPA	0x100000UL	/* 3 MiB for the tests */
#define DATA_END	0x400000UL
#define MMIO_GPA	0x10000000UL	/* in no slot, up to 4 GiB */

#define SEL_CODE64	0x08
#define SEL_DATA	0x10
#define SEL_CODE32	0x18
#define SEL_CODE16	0x20
#define SEL_DATA16	0x28
#define SEL_TSS		0x30		/* two entries */
#define GDT_SIZE	0x40

/* Page-table bits. */
#define PT_P		(1ULL << 0)
#define PT_W		(1ULL << 1)
#define PT_U		(1ULL << 2)
#define PT_A		(1ULL << 5)
#define PT_D		(1ULL << 6)
#define PT_PS		(1ULL << 7)
#define PT_G		(1ULL << 8)
#define PT_NX		(1ULL << 63)

/* Ports of the guest's calls to the test. */
#define PORT_SYNC	0xe0
#define PORT_DONE	0xe1
#define PORT_ASSERT	0xe2
#define PORT_TRAP	0xe3

#define CR0_PE		(1UL << 0)
#define CR0_MP		(1UL << 1)
#define CR0_EM		(1UL << 2)
#define CR0_TS		(1UL << 3)
#define CR0_ET		(1UL << 4)
#define CR0_NE		(1UL << 5)
#define CR0_WP		(1UL << 16)
#define CR0_NW		(1UL << 29)
#define CR0_CD		(1UL << 30)
#define CR0_PG		(1UL << 31)
#define CR4_PSE		(1UL << 4)
#define CR4_PAE		(1UL << 5)
#define CR4_OSFXSR	(1UL << 9)
#define CR4_OSXMMEXCPT	(1UL << 10)
#define CR4_OSXSAVE	(1UL << 18)
#define EFER_SCE	(1UL << 0)
#define EFER_LME	(1UL << 8)
#define EFER_LMA	(1UL << 10)
#define EFER_NX		(1UL << 11)

#define FLAG_CF		(1UL << 0)
#define FLAG_TF		(1UL << 8)
#define FLAG_IF		(1UL << 9)
#define FLAG_DF		(1UL << 10)
#define FLAG_RF		(1UL << 16)

#define MSR_EFER	0xc0000080

#endif
