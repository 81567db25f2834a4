// SPDX-License-Identifier: GPL-2.0
/*
 * EPT violations: from a guest frame to an entry that maps it, or to the
 * verdict that it is MMIO.
 *
 * A fault looks up the slot and the host's page without mmu.lock, then takes the
 * lock and checks that both are current: the slot by fault_current(), the page by
 * fault_invalidated(). An update or invalidation that these do not see begins after
 * the entry is there, and removes it.
 *
 * The host's page may take for ever: a thread of the process supplies it
 * (userfaultfd), or another machine. No update must wait for that, so
 * wait_for_page() ends the read section of the slots and looks the slot up again
 * afterwards.
 */
#include <linux/sched/signal.h>

#include "../test.h"
#include "fault.h"

/* Is the host taking this page away, or has any invalidation ended since f->seq was read? */
static bool fault_invalidated(const struct fault *f)
{
	const struct keel_mmu *mmu = &f->vcpu->vm->mmu;

	lockdep_assert_held(&mmu->lock);
	if (mmu->invalidating && f->hva >= mmu->invalidate_start && f->hva < mmu->invalidate_end)
		return true;
	return mmu->invalidate_seq != f->seq;
}

bool fault_current(const struct fault *f)
{
	const struct keel_vm *vm = f->vcpu->vm;
	const struct keel_memslots *now = keel_slots(vm, f->as);
	const struct keel_memslots *next = vm->mmu.next[f->as];

	lockdep_assert_held(&vm->mmu.lock);
	/* An update of other slots does not make the fault retry. */
	if (now != f->slots && memslots_find(now, f->gfn) != f->slot)
		return false;
	return !next || memslots_find(next, f->gfn) == f->slot;
}

/*
 * Must the fault retry, as far as can be seen without mmu.lock? A vCPU that took the
 * lock, retried and took it again would make a removal in progress give way, and
 * flush, each time. map_page() checks again under the lock.
 */
static bool in_vain(const struct fault *f)
{
	const struct keel_mmu *mmu = &f->vcpu->vm->mmu;
	const struct keel_memslots *next = READ_ONCE(mmu->next[f->as]);

	if (READ_ONCE(mmu->invalidate_seq) != f->seq)
		return true;
	if (next && memslots_find(next, f->gfn) != f->slot)
		return true;
	return READ_ONCE(mmu->invalidating) && f->hva >= READ_ONCE(mmu->invalidate_start) &&
	       f->hva < READ_ONCE(mmu->invalidate_end);
}

bool slot_fits(const struct keel_memslot *slot, gfn_t gfn, int level)
{
	gfn_t pages = level_pages(level);
	gfn_t first = gfn & ~(pages - 1);

	return first >= slot->base && first + pages <= slot->base + slot->npages &&
	       !(((slot->hva >> KEEL_PAGE_SHIFT) - slot->base) & (pages - 1));
}

static bool logged(const struct fault *f)
{
	return f->slot->flags & KVM_MEM_LOG_DIRTY_PAGES;
}

static int fault_level(const struct fault *f)
{
	int level = mmu_max_level;

	if (!f->host.page || level == 1 || logged(f) || (mmu_small_code && (f->access & ACC_EXEC)))
		return 1;
	level = min(level, host_level(f->vcpu->vm->mm, f->hva));
	while (level > 1 && !slot_fits(f->slot, f->gfn, level))
		level--;
	return level;
}

struct keel_table *fault_descend(struct fault *f, struct zap *z, int level)
{
	struct keel_mmu_vcpu *mv = &f->vcpu->mmu;
	struct keel_table *t = f->vcpu->vm->mmu.table[f->as];

	while (t->level > level) {
		unsigned int i = table_index(f->gfn, t->level);

		if (!spte_is_table(t->spt[i])) {
			if (WARN_ON_ONCE(!mv->nr_spare))
				return NULL;
			/* Flush a leaf that is in the way before the table takes its place. */
			zap_entry(z, t, i);
			zap_finish(z);
			table_link(f->vcpu->vm, t, i, mv->spare[--mv->nr_spare]);
		}
		t = spte_table(t->spt[i]);
	}
	return t;
}

/* The table for the leaf. With mmu_small_code, a table of smaller leaves is kept. */
static struct keel_table *leaf_table(struct fault *f, struct zap *z)
{
	struct keel_table *t = fault_descend(f, z, fault_level(f));

	while (t && mmu_small_code && spte_is_table(t->spt[table_index(f->gfn, t->level)]))
		t = fault_descend(f, z, t->level - 1);
	return t;
}

/* If the first write must fault to be logged, a read fault maps the page read-only. */
static bool leaf_writable(const struct fault *f)
{
	if (logged(f) && !mmu_log_hardware && !(f->access & ACC_WRITE))
		return false;
	return f->host.writable && !(f->slot->flags & KVM_MEM_READONLY);
}

static u64 leaf_spte(const struct fault *f, int level)
{
	struct spte_leaf leaf = {
		.address = PFN_PHYS(f->host.pfn & ~(level_pages(level) - 1)),
		.level = level,
		.write = leaf_writable(f),
		.exec = level == 1 || !mmu_small_code,
		.ram = f->host.ram,
		.tracked = f->host.page && !PageReserved(f->host.page),
	};
	u64 spte = spte_make_leaf(&leaf);

	/* The access will set these when it is repeated; save the hardware the work. */
	if (mmu_format.ad)
		spte |= SPTE_ACCESSED | (f->access & ACC_WRITE ? SPTE_DIRTY : 0);
	return spte;
}

/* May @new replace @old in place? If it maps the same frame and takes no right away. */
static bool can_replace(u64 old, u64 new)
{
	return !spte_is_present(old) ||
	       (spte_is_leaf(old) && spte_address(old) == spte_address(new) &&
		!(old & ~new & SPTE_RIGHTS));
}

/* Replace @old by @new; keep the accessed and dirty bits set since @old was read. */
static void replace_leaf(struct keel_vm *vm, struct keel_table *t, unsigned int i, u64 old,
			 u64 new)
{
	u64 late = table_set(vm, t, i, new) & ~old & (SPTE_ACCESSED | SPTE_DIRTY);

	if (unlikely(late))
		atomic64_or(late, (atomic64_t *)&t->spt[i]);
}

static int fault_map(struct fault *f)
{
	struct keel_vm *vm = f->vcpu->vm;
	struct keel_table *t;
	unsigned int i;
	struct zap z;
	u64 old, new;

	zap_init(&z, vm);
	t = leaf_table(f, &z);
	if (!t)
		return -ENOMEM;
	i = table_index(f->gfn, t->level);
	old = READ_ONCE(t->spt[i]);
	new = leaf_spte(f, t->level);
	if (!can_replace(old, new)) {
		zap_entry(&z, t, i);
		zap_finish(&z);
	} else if (spte_is_present(old)) {
		if (!(new & ~old & SPTE_RIGHTS))
			return FAULT_RETRY;
		replace_leaf(vm, t, i, old, new | (old & (SPTE_ACCESSED | SPTE_DIRTY)));
		return FAULT_FIXED;
	}
	table_set(vm, t, i, new);
	return FAULT_FIXED;
}

/* Go on with the current snapshot; true if it has the gfn at the same hva, with @flags. */
static bool same_slot_again(struct fault *f, u32 flags)
{
	f->slots = keel_slots(f->vcpu->vm, f->as);
	f->slot = memslots_find(f->slots, f->gfn);
	return f->slot && f->slot->flags == flags && memslot_hva(f->slot, f->gfn) == f->hva;
}

/* End the read section of the slots while waiting: f->slot may be freed meanwhile. */
static int wait_for_page(struct fault *f)
	__must_hold(&f->vcpu->vm->srcu)
{
	u32 flags = f->slot->flags;
	int ret;

	keel_read_slots_end(f->vcpu);
	ret = host_page_get(f->hva, f->access & ACC_WRITE, !(flags & KVM_MEM_READONLY), &f->host);
	keel_read_slots(f->vcpu);
	if (same_slot_again(f, flags))
		return ret;
	/* The page, or the error, is that of a slot that has changed. */
	host_page_put(&f->host);
	return -EAGAIN;
}

/* The verdict covers writes only, since reads go to memory. */
static int emulate_write(const struct fault *f)
{
	mmio_verdict(f->vcpu, f->gfn, ACC_WRITE, memslots_generation(f->slots));
	return FAULT_EMULATE;
}

/* The result of a fault for which host_page_get() has failed. A poisoned page sends SIGBUS. */
static int page_failed(const struct fault *f, int err)
{
	if (err == -EROFS)
		return emulate_write(f);
	if (err == -EHWPOISON)
		send_sig_mceerr(BUS_MCEERR_AR, (void __user *)f->hva, PAGE_SHIFT, current);
	return err == -EAGAIN || err == -EHWPOISON ? FAULT_RETRY : err;
}

static int map_page(struct fault *f)
{
	struct keel_mmu *mmu = &f->vcpu->vm->mmu;
	int ret = FAULT_RETRY;

	test_point(TEST_PAGE_FOUND);
	spin_lock(&mmu->lock);
	if (fault_current(f) && !fault_invalidated(f))
		ret = fault_map(f);
	spin_unlock(&mmu->lock);
	return ret;
}

static int map_ram(struct fault *f)
{
	struct keel_mmu *mmu = &f->vcpu->vm->mmu;
	int ret;

	if (f->slot->flags & KVM_MEM_READONLY && f->access & ACC_WRITE)
		return emulate_write(f);
	f->hva = memslot_hva(f->slot, f->gfn);
	f->seq = READ_ONCE(mmu->invalidate_seq);
	/* Read the count before looking up the page; pairs with mmu.lock of the count's writers. */
	smp_rmb();
	if (in_vain(f))
		return FAULT_RETRY;
	ret = wait_for_page(f);
	if (ret)
		return page_failed(f, ret);
	ret = in_vain(f) ? FAULT_RETRY : map_page(f);
	host_page_put(&f->host);
	return ret;
}

int fault_handle(struct keel_vcpu *vcpu, gfn_t gfn, unsigned int access)
{
	struct fault f = {
		.vcpu = vcpu,
		.gfn = gfn,
		.access = access,
		.as = keel_as(vcpu),
	};
	int ret = tables_topup(&vcpu->mmu);

	if (ret)
		return ret;
	f.slots = keel_slots(vcpu->vm, f.as);
	f.slot = memslots_find(f.slots, gfn);
	test_point(TEST_LOOKED_UP);
	ret = f.slot ? map_ram(&f) : mmio_mark(&f);
	if (ret == FAULT_FIXED) {
		STAT(vcpu, page_fixed);
		vcpu->mmu.fixed = f.slot;
	}
	return ret;
}

int mmu_page_fault(struct keel_vcpu *vcpu, gpa_t gpa, unsigned int access)
{
	STAT(vcpu, page_faults);
	return fault_handle(vcpu, gpa_to_gfn(gpa), access);
}
