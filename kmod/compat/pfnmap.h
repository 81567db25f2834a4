/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The page frame at an address of a VM_IO or VM_PFNMAP area, and whether the process
 * may write to it. Up to 6.11 by follow_pte(), which takes the mm, or in 6.10 and 6.11
 * the vma; from 6.12 on by follow_pfnmap_start().
 */
#ifndef KEEL_COMPAT_PFNMAP_H
#define KEEL_COMPAT_PFNMAP_H

#include <linux/mm.h>
#include <linux/version.h>

#if KERNEL_VERSION(6, 12, 0) <= LINUX_VERSION_CODE
static inline int keel_follow_pfnmap(struct vm_area_struct *vma, unsigned long address,
				     unsigned long *pfn, bool *writable)
{
	struct follow_pfnmap_args args = { .vma = vma, .address = address };
	int ret = follow_pfnmap_start(&args);

	if (ret)
		return ret;
	*pfn = args.pfn;
	*writable = args.writable;
	follow_pfnmap_end(&args);
	return 0;
}
#else
#if KERNEL_VERSION(6, 10, 0) <= LINUX_VERSION_CODE
#define KEEL_FOLLOW_IN(vma) (vma)
#else
#define KEEL_FOLLOW_IN(vma) ((vma)->vm_mm)
#endif

static inline int keel_follow_pfnmap(struct vm_area_struct *vma, unsigned long address,
				     unsigned long *pfn, bool *writable)
{
	spinlock_t *lock;	/* of the table that holds the entry */
	pte_t *ptep, pte;
	int ret = follow_pte(KEEL_FOLLOW_IN(vma), address, &ptep, &lock);

	if (ret)
		return ret;
	__acquire(lock);	/* follow_pte() has no annotation for sparse */
	pte = READ_ONCE(*ptep);
	*pfn = pte_pfn(pte);
	*writable = pte_write(pte);
	pte_unmap_unlock(ptep, lock);
	return 0;
}
#endif

#endif
