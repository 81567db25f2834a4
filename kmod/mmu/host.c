// SPDX-License-Identifier: GPL-2.0
/*
 * From an hva to a page frame: for ordinary memory with a reference, which is
 * dropped as soon as the entry is made; for VM_IO and VM_PFNMAP areas from the
 * process's page table. Nothing stays pinned: the mmu notifier keeps entries and
 * the host's mappings in agreement.
 */
#include <linux/ioport.h>
#include <linux/mm.h>
#include <linux/pgtable.h>
#include <linux/sched/signal.h>
#include <asm/e820/api.h>

#include "../compat/gup.h"
#include "../compat/pfnmap.h"
#include "host.h"
#include "mmu.h"

static bool get_fast(hva_t hva, bool write, struct host_page *hp)
{
	if (get_user_pages_fast_only(hva, 1, write ? FOLL_WRITE : 0, &hp->page) != 1)
		return false;
	hp->writable = write;
	return true;
}

/* Take the page with write access instead, if that needs no fault. */
static void try_writable(hva_t hva, struct host_page *hp)
{
	struct host_page again = {};

	if (!get_fast(hva, true, &again))
		return;
	put_page(hp->page);
	hp->page = again.page;
	hp->writable = true;
}

/* Errors that the fault handles or userspace sees; all others mean that there is no page. */
static int known_error(int err)
{
	switch (err) {
	case -EAGAIN:
	case -EHWPOISON:
	case -EINTR:
	case -ENOMEM:
		return err;
	}
	return -EFAULT;
}

static int get_slow(hva_t hva, bool write, bool may_write, struct host_page *hp)
{
	long n = get_user_pages_unlocked(hva, 1, &hp->page,
					 FOLL_HWPOISON | KEEL_FOLL_INTERRUPTIBLE | KEEL_FOLL_NUMA |
					 (write ? FOLL_WRITE : 0));

	if (n != 1) {
		hp->page = NULL;
		return known_error(n);
	}
	hp->writable = write;
	if (!write && may_write)
		try_writable(hva, hp);
	return 0;
}

/*
 * Ask the firmware's map, too: what mem= or memmap= keeps from the kernel is still
 * memory, and a process that maps it has it cached.
 */
static bool is_ram(unsigned long pfn)
{
	return page_is_ram(pfn) ||
	       e820__mapped_raw_any(PFN_PHYS(pfn), PFN_PHYS(pfn + 1) - 1, E820_TYPE_RAM);
}

static int follow(struct vm_area_struct *vma, hva_t hva, bool write, struct host_page *hp)
{
	if (keel_follow_pfnmap(vma, hva, &hp->pfn, &hp->writable))
		return -EFAULT;
	if (write && !hp->writable)
		return vma->vm_flags & VM_WRITE ? -EFAULT : -EROFS;
	hp->ram = is_ram(hp->pfn);
	return 0;
}

static bool is_pfnmap(const struct vm_area_struct *vma)
{
	return vma->vm_flags & (VM_IO | VM_PFNMAP);
}

/* Bring in a page of a read-only area by a read fault, even for a write. */
static unsigned int fault_flags(const struct vm_area_struct *vma, bool write)
{
	return write && vma->vm_flags & VM_WRITE ? FAULT_FLAG_WRITE : 0;
}

/*
 * Look up a frame in a VM_IO or VM_PFNMAP area. Take no reference: there may be no
 * struct page. -EAGAIN: mmap_lock has been dropped, so look everything up again.
 */
static int get_pfnmap(hva_t hva, bool write, struct host_page *hp)
{
	struct mm_struct *mm = current->mm;
	struct vm_area_struct *vma;
	bool unlocked = false;
	int ret = -EFAULT;

	mmap_read_lock(mm);
	vma = vma_lookup(mm, hva);
	if (!vma || !is_pfnmap(vma))
		goto unlock;
	ret = follow(vma, hva, write, hp);
	if (!ret || ret == -EROFS)
		goto unlock;
	ret = fixup_user_fault(mm, hva, fault_flags(vma, write), &unlocked);
	if (!ret)
		ret = unlocked ? -EAGAIN : follow(vma, hva, write, hp);
unlock:
	mmap_read_unlock(mm);
	return ret;
}

int host_page_get(hva_t hva, bool write, bool may_write, struct host_page *hp)
{
	int ret;

	*hp = (struct host_page){};
	if (may_write && get_fast(hva, true, hp))
		goto found;
	ret = get_slow(hva, write, may_write, hp);
	if (ret == -EFAULT)
		return get_pfnmap(hva, write, hp);
	if (ret)
		return ret;
found:
	hp->pfn = page_to_pfn(hp->page);
	hp->ram = true;
	return 0;
}

bool mmu_host_reads_only(hva_t hva)
{
	struct mm_struct *mm = current->mm;
	struct vm_area_struct *vma;
	bool only;

	mmap_read_lock(mm);
	vma = vma_lookup(mm, hva);
	only = vma && is_pfnmap(vma) && (vma->vm_flags & (VM_READ | VM_WRITE)) == VM_READ;
	mmap_read_unlock(mm);
	return only;
}

void host_page_put(struct host_page *hp)
{
	if (hp->page)
		put_page(hp->page);
	hp->page = NULL;
}

static int level_at(struct mm_struct *mm, hva_t hva)
{
	pgd_t pgd = READ_ONCE(*pgd_offset(mm, hva));
	p4d_t p4d;
	pud_t pud;
	pmd_t pmd;

	if (pgd_none(pgd))
		return 1;
	p4d = READ_ONCE(*p4d_offset(&pgd, hva));
	if (p4d_none(p4d) || !p4d_present(p4d))
		return 1;
	pud = READ_ONCE(*pud_offset(&p4d, hva));
	if (pud_none(pud) || !pud_present(pud))
		return 1;
	if (pud_leaf(pud))
		return 3;
	pmd = READ_ONCE(*pmd_offset(&pud, hva));
	if (pmd_none(pmd) || !pmd_present(pmd))
		return 1;
	return pmd_leaf(pmd) ? 2 : 1;
}

/* Interrupts off hold up the IPI, or the RCU grace period, that comes before a table is freed. */
int host_level(struct mm_struct *mm, hva_t hva)
{
	unsigned long flags;
	int level;

	local_irq_save(flags);
	level = level_at(mm, hva);
	local_irq_restore(flags);
	return level;
}
