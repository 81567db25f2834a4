/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Look-up of the host's page at an address of the owner's process. Private to mmu/.
 */
#ifndef KEEL_MMU_HOST_H
#define KEEL_MMU_HOST_H

#include "../types.h"

struct mm_struct;
struct page;

/*
 * struct host_page - the page behind an hva
 * @page:	with a reference until host_page_put(); NULL: a frame without
 *		reference count
 * @pfn:	its frame
 * @writable:	the process can write to it now, without a fault
 * @ram:	memory, to be mapped write-back
 *
 * Valid only while no invalidation has begun since before the look-up.
 */
struct host_page {
	struct page *page;
	unsigned long pfn;
	bool writable;
	bool ram;
};

/*
 * Make the page present, and writable if @write. If only @may_write, report it as
 * writable where that needs no fault. 0, -EFAULT, -EHWPOISON, -EINTR, -ENOMEM;
 * -EAGAIN: look up again; -EROFS: see mmu_host_reads_only(). Current process is the
 * owner; sleeps.
 */
int host_page_get(hva_t hva, bool write, bool may_write, struct host_page *hp);
void host_page_put(struct host_page *hp);

/* The level at which the host maps @hva: 1, 2 or 3. Any context. */
int host_level(struct mm_struct *mm, hva_t hva);

#endif
