/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The host's page tables, asked about an address of the owner's process.
 * Private to mmu/.
 */
#ifndef KEEL_MMU_HOST_H
#define KEEL_MMU_HOST_H

#include "../types.h"

struct mm_struct;
struct page;

/*
 * struct host_page - the page behind an hva
 * @page:	holds a reference until host_page_put(); NULL: not a page that
 *		the host counts references of
 * @pfn:	its frame
 * @writable:	the process may write to it as it is now
 * @ram:	memory, to be mapped write-back
 *
 * True only as long as no invalidation has begun since before it was looked up.
 */
struct host_page {
	struct page *page;
	unsigned long pfn;
	bool writable;
	bool ram;
};

/*
 * Make the page present, and writable if @write; if not, say it is writable
 * only where that costs nothing. @may_write: false if nobody will care.
 * -EFAULT, -EHWPOISON, -EINTR; -EROFS: see mmu_host_reads_only(). Current
 * process is the owner; sleeps.
 */
int host_page_get(hva_t hva, bool write, bool may_write, struct host_page *hp);
void host_page_put(struct host_page *hp);

/* The level of the host's mapping at @hva: 1, 2 or 3. Any context. */
int host_level(struct mm_struct *mm, hva_t hva);

#endif
