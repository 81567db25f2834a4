// SPDX-License-Identifier: GPL-2.0
/*
 * The mmu notifier: translates the host addresses that the host invalidates or asks
 * about into gfns, through the slots, and passes these on to mmu/. Changes no slot.
 */
#include <linux/mm.h>
#include <linux/mmu_notifier.h>

#include "compat/notifier.h"
#include "keel.h"
#include "notifier.h"
#include "test.h"

/*
 * struct notify - one call of the mmu notifier
 * @fn:	called for the gfns of each slot, with mmu.lock held
 */
struct notify {
	struct keel_vm *vm;
	hva_t start, end;
	bool (*fn)(struct keel_vm *vm, int as, gfn_t first, gfn_t end, bool arg);
	bool arg;
	bool result;
};

static void notify_slot(const struct keel_memslot *slot, void *arg)
{
	hva_t slot_end = slot->hva + (slot->npages << PAGE_SHIFT);
	struct notify *n = arg;
	hva_t start = max(n->start, slot->hva);
	hva_t end = min(n->end, slot_end);
	gfn_t first = slot->base + ((start - slot->hva) >> PAGE_SHIFT);
	gfn_t after = slot->base + ((end - slot->hva + PAGE_SIZE - 1) >> PAGE_SHIFT);

	n->result |= n->fn(n->vm, slot->as, first, after, n->arg);
}

/* Call n->fn for the part of each slot that lies in [n->start, n->end). mmu.lock held. */
static bool notify_slots(struct notify *n)
{
	int as;

	lockdep_assert_held(&n->vm->mmu.lock);
	for (as = 0; as < KEEL_ADDRESS_SPACES; as++)
		memslots_visit_hva(keel_slots(n->vm, as), n->start, n->end, notify_slot, n);
	return n->result;
}

static bool zap_piece(struct keel_vm *vm, int as, gfn_t first, gfn_t end, bool may_yield)
{
	mmu_zap_gfns(vm, as, first, end, may_yield);
	return false;
}

static struct keel_vm *notifier_vm(struct mmu_notifier *mn)
{
	return container_of(mn, struct keel_vm, notifier);
}

/* Like keel_read_slots(), for the notifier. Returns with mmu.lock held. */
static int begin_reading(struct keel_vm *vm)
	__acquires(&vm->srcu) __acquires(&vm->mmu.lock)
{
	int idx = srcu_read_lock(&vm->srcu);

	spin_lock(&vm->mmu.lock);
	/* Write the count before reading a snapshot: pairs with being_read(). */
	smp_store_mb(vm->notifier_reads, vm->notifier_reads + 1);
	return idx;
}

static void end_reading(struct keel_vm *vm, int idx)
	__releases(&vm->mmu.lock) __releases(&vm->srcu)
{
	/* Release: order what the section did before the count drops; pairs with being_read(). */
	smp_store_release(&vm->notifier_reads, vm->notifier_reads - 1);
	spin_unlock(&vm->mmu.lock);
	srcu_read_unlock(&vm->srcu, idx);
}

/*
 * A slot that is added meanwhile is not visited. No fault maps its part of the range
 * before invalidate_end() either: mmu->invalidating makes fault_invalidated() true.
 */
static int invalidate_start(struct mmu_notifier *mn, const struct mmu_notifier_range *range)
{
	struct notify n = {
		.vm = notifier_vm(mn),
		.start = range->start,
		.end = range->end,
		.fn = zap_piece,
		.arg = mmu_notifier_range_blockable(range),
	};
	int idx = begin_reading(n.vm);

	mmu_invalidate_begin(n.vm, n.start, n.end);
	notify_slots(&n);
	end_reading(n.vm, idx);
	if (n.arg)
		test_point(TEST_INVALIDATING);
	return 0;
}

static void invalidate_end(struct mmu_notifier *mn, const struct mmu_notifier_range *range)
{
	struct keel_vm *vm = notifier_vm(mn);

	spin_lock(&vm->mmu.lock);
	mmu_invalidate_end(vm);
	spin_unlock(&vm->mmu.lock);
}

static bool age(struct mmu_notifier *mn, hva_t start, hva_t end, bool clear, bool flush)
{
	struct notify n = {
		.vm = notifier_vm(mn),
		.start = start,
		.end = end,
		.fn = mmu_age_gfns,
		.arg = clear,
	};
	int idx = begin_reading(n.vm);
	bool young;

	young = notify_slots(&n);
	if (young && flush)
		mmu_flush(n.vm);
	end_reading(n.vm, idx);
	return young;
}

static keel_young_t clear_flush_young(struct mmu_notifier *mn, struct mm_struct *mm,
				      unsigned long start, unsigned long end)
{
	return age(mn, start, end, true, true);
}

/* No flush: a TLB that holds the accessed bit only makes the page look older than it is. */
static keel_young_t clear_young(struct mmu_notifier *mn, struct mm_struct *mm,
				unsigned long start, unsigned long end)
{
	return age(mn, start, end, true, false);
}

static keel_young_t test_young(struct mmu_notifier *mn, struct mm_struct *mm,
			       unsigned long address)
{
	return age(mn, address, address + PAGE_SIZE, false, false);
}

/* The process's mm or the VM ends: remove all mappings. */
static void release(struct mmu_notifier *mn, struct mm_struct *mm)
{
	struct keel_vm *vm = notifier_vm(mn);
	int as;

	spin_lock(&vm->mmu.lock);
	for (as = 0; as < KEEL_ADDRESS_SPACES; as++)
		mmu_zap_gfns(vm, as, 0, mmu_max_gfn(), true);
	spin_unlock(&vm->mmu.lock);
}

static const struct mmu_notifier_ops notifier_ops = {
	.invalidate_range_start = invalidate_start,
	.invalidate_range_end = invalidate_end,
	.clear_flush_young = clear_flush_young,
	.clear_young = clear_young,
	.test_young = test_young,
	.release = release,
};

int notifier_register(struct keel_vm *vm)
{
	vm->notifier.ops = &notifier_ops;
	return mmu_notifier_register(&vm->notifier, vm->mm);
}

void notifier_unregister(struct keel_vm *vm)
{
	mmu_notifier_unregister(&vm->notifier, vm->mm);
}
