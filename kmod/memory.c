// SPDX-License-Identifier: GPL-2.0
/*
 * The memslot update transaction, and the mmu notifier through which the host
 * takes pages back. The only file that changes memslots and mappings together.
 * What a snapshot looks like is memslot.c's; what an entry looks like, mmu/'s.
 *
 * An update goes through these steps under slots_lock:
 *
 * 1. Build the next snapshot, generation flagged. Can fail; nothing is changed.
 * 2. If slots go away: make the next snapshot known to the faults as mmu.next,
 *    so that none maps what will be gone, and remove what is mapped. The old
 *    snapshot is still the one in force: MMIO verdicts and other slots are not
 *    disturbed, a fault on the slots that go retries, and the notifier finds
 *    their remaining mappings as ever.
 * 3. Publish. This is the moment at which the update takes effect: until here
 *    every access is explained by the old snapshot, from here on by the new
 *    one, and the flag voids every verdict.
 * 4. Wait until no reader of the old snapshot is left.
 * 5. If the stored numbers come round, remove all MMIO entries.
 * 6. Advance the generation, clearing the flag.
 *
 * Adding needs neither step 2 nor mmu.lock: a fault that still knows the old
 * snapshot can only conclude "MMIO", and that number is void.
 */
#include <linux/kvm.h>
#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "compat/notifier.h"
#include "keel.h"
#include "memory.h"
#include "test.h"
#include "trace.h"

#define MAX_SLOT_PAGES	((1ULL << 31) - 1)

/*
 * struct keel_slot_index - the current slots by id, for writers
 * @slots:	at the index that change_key() gives
 * @npages:	of all slots together; fits in a long
 */
struct keel_slot_index {
	struct xarray slots;
	unsigned long npages;
	struct memslot_pool pool;
};

/*
 * struct slot_change - one slot before and after an update
 * @old:	in the current snapshot, or NULL: added
 * @wanted:	npages 0: deleted
 * @slot:	@wanted as the next snapshot holds it
 */
struct slot_change {
	const struct keel_memslot *old;
	struct keel_memslot wanted;
	const struct keel_memslot *slot;
};

void *memslot_alloc(size_t size)
{
	return kmalloc(size, GFP_KERNEL_ACCOUNT);
}

void memslot_free(void *p)
{
	kfree(p);
}

/* The current snapshot, for the writer. Only settle() changes a published one. */
static struct keel_memslots *writable_slots(struct keel_vm *vm, int as)
{
	return rcu_dereference_protected(vm->memslots[as], lockdep_is_held(&vm->slots_lock));
}

/* Removals first, so that slots may change places. */
static int build(struct memslot_update *u, struct slot_change *c, int n)
{
	int i, ret;

	for (i = 0; i < n; i++) {
		ret = c[i].old ? memslots_remove(u, c[i].old) : 0;
		if (ret)
			return ret;
	}
	for (i = 0; i < n; i++) {
		if (!c[i].wanted.npages)
			continue;
		if (memslots_overlap(u->next, c[i].wanted.base, c[i].wanted.npages))
			return -EEXIST;
		c[i].slot = memslots_insert(u, &c[i].wanted);
		if (!c[i].slot)
			return -ENOMEM;
	}
	return 0;
}

static unsigned long change_key(const struct slot_change *c)
{
	return (unsigned long)c->wanted.as << 16 | c->wanted.id;
}

/* Room in the index for slots that are new, so that index_commit() cannot fail. */
static int index_reserve(struct keel_slot_index *index, const struct slot_change *c, int n)
{
	int i, ret = 0;

	for (i = 0; i < n && !ret; i++)
		if (c[i].slot)
			ret = xa_reserve(&index->slots, change_key(&c[i]), GFP_KERNEL_ACCOUNT);
	return ret;
}

/* Undo index_reserve(); an entry that holds a slot is left alone. */
static void index_release(struct keel_slot_index *index, const struct slot_change *c, int n)
{
	int i;

	for (i = 0; i < n; i++)
		xa_release(&index->slots, change_key(&c[i]));
}

static void index_commit(struct keel_slot_index *index, const struct slot_change *c, int n)
{
	int i;

	for (i = 0; i < n; i++) {
		if (c[i].slot)
			xa_store(&index->slots, change_key(&c[i]), (void *)c[i].slot, GFP_KERNEL);
		else
			xa_erase(&index->slots, change_key(&c[i]));
		index->npages += c[i].wanted.npages - (c[i].old ? c[i].old->npages : 0);
	}
}

static bool removes_any(const struct slot_change *c, int n)
{
	while (n--)
		if (c[n].old)
			return true;
	return false;
}

/*
 * Remove what is mapped through the slots that go, then publish. The lock may
 * be dropped on the way; mmu.next keeps faults from mapping it again until the
 * new snapshot does.
 */
static void replace_slots(struct keel_vm *vm, int as, struct keel_memslots *set,
			  const struct slot_change *c, int n)
{
	int i;

	spin_lock(&vm->mmu.lock);
	vm->mmu.next[as] = set;
	for (i = 0; i < n; i++)
		if (c[i].old)
			mmu_zap_gfns(vm, as, c[i].old->base, c[i].old->base + c[i].old->npages,
				     true);
	rcu_assign_pointer(vm->memslots[as], set);
	vm->mmu.next[as] = NULL;
	spin_unlock(&vm->mmu.lock);
}

/* No reader of an older snapshot is left: let the verdicts of this one count. */
static void settle(struct keel_vm *vm, int as, struct keel_memslots *set)
{
	u64 next = memslots_next_generation(set);

	/* Before the number can be matched, and after the last reader that could store it. */
	if (mmu_number_wraps(memslots_generation(set), next)) {
		STAT(vm, mmio_wraps);
		trace_keel_mmio_wrap(vm->id, as, memslots_generation(set), next);
		mmu_zap_mmio(vm, as);
	}
	test_point(TEST_WINDOW);
	memslots_settle(set);
	STAT(vm, memslot_updates);
}

/* @since: when the update began; no clock is read unless someone listens. */
static void trace_phase(struct keel_vm *vm, int as, enum keel_update_phase phase,
			const struct keel_memslots *set, u64 *since)
{
	if (!trace_keel_memslot_update_enabled())
		return;
	if (!*since)
		*since = ktime_get_ns();
	trace_keel_memslot_update(vm->id, as, phase, memslots_generation(set),
				  ktime_get_ns() - *since);
}

/* Make @n changes of one address space take effect as one. */
static int update_slots(struct keel_vm *vm, int as, struct slot_change *c, int n)
{
	struct keel_memslots *set;
	struct slot_object *garbage;
	struct memslot_update u;
	u64 since = 0;
	int ret;

	lockdep_assert_held(&vm->slots_lock);
	ret = memslots_begin(&u, &vm->slot_index->pool, writable_slots(vm, as));
	if (ret)
		return ret;
	ret = build(&u, c, n);
	if (ret)
		goto abort;
	ret = index_reserve(vm->slot_index, c, n);
	if (ret)
		goto release;
	index_commit(vm->slot_index, c, n);
	set = u.next;
	garbage = memslots_commit(&u);
	trace_phase(vm, as, UPDATE_BEGIN, set, &since);
	if (removes_any(c, n))
		replace_slots(vm, as, set, c, n);
	else
		rcu_assign_pointer(vm->memslots[as], set);
	trace_phase(vm, as, UPDATE_PUBLISHED, set, &since);
	test_point(TEST_PUBLISHED);
	synchronize_srcu_expedited(&vm->srcu);
	trace_phase(vm, as, UPDATE_GRACE, set, &since);
	settle(vm, as, set);
	trace_phase(vm, as, UPDATE_END, set, &since);
	memslots_free(&vm->slot_index->pool, garbage);
	return 0;
release:
	index_release(vm->slot_index, c, n);
abort:
	memslots_abort(&u);
	return ret;
}

/* What can be said of the argument without looking at the current slots. */
static bool region_valid(const struct kvm_userspace_memory_region *r)
{
	u64 last = r->guest_phys_addr + r->memory_size;

	if (r->flags & ~KVM_MEM_READONLY)
		return false;
	if (r->slot >> 16 >= KEEL_ADDRESS_SPACES || (u16)r->slot >= KEEL_MAX_SLOTS)
		return false;
	if (!PAGE_ALIGNED(r->memory_size) || !PAGE_ALIGNED(r->guest_phys_addr) ||
	    !PAGE_ALIGNED(r->userspace_addr))
		return false;
	/* The kernel reads and writes guest memory through these addresses without asking again. */
	if (!access_ok((void __user *)(unsigned long)r->userspace_addr, r->memory_size))
		return false;
	return last >= r->guest_phys_addr && r->memory_size >> PAGE_SHIFT <= MAX_SLOT_PAGES;
}

/*
 * Compare with the slot of that id. 1: go ahead; 0: nothing to do; -EINVAL.
 * KVM's ioctl knows add, delete and move; anything else needs a delete first.
 */
static int change_valid(const struct keel_slot_index *index, const struct slot_change *c)
{
	const struct keel_memslot *old = c->old, *new = &c->wanted;

	if (!new->npages)
		return old ? 1 : -EINVAL;
	if (!old)
		return index->npages + new->npages < new->npages ||
		       new->base + new->npages > mmu_max_gfn() ? -EINVAL : 1;
	if (new->hva != old->hva || new->npages != old->npages || new->flags != old->flags)
		return -EINVAL;
	if (new->base == old->base)
		return 0;
	return new->base + new->npages > mmu_max_gfn() ? -EINVAL : 1;
}

long keel_ioctl_set_user_memory_region(struct keel_vm *vm, void *data)
{
	const struct kvm_userspace_memory_region *r = data;
	struct slot_change c = {};
	int ret;

	if (!region_valid(r))
		return -EINVAL;
	c.wanted = (struct keel_memslot){
		.base = gpa_to_gfn(r->guest_phys_addr),
		.npages = r->memory_size >> PAGE_SHIFT,
		.hva = r->userspace_addr,
		.flags = r->flags,
		.id = r->slot,
		.as = r->slot >> 16,
	};
	mutex_lock(&vm->slots_lock);
	c.old = xa_load(&vm->slot_index->slots, change_key(&c));
	ret = change_valid(vm->slot_index, &c);
	if (ret > 0)
		ret = update_slots(vm, c.wanted.as, &c, 1);
	mutex_unlock(&vm->slots_lock);
	return ret;
}

/*
 * struct notify - one call of the mmu notifier on its way through the slots
 * @fn:	what to do with the gfns of one slot; the lock is held
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

/* Call n->fn for each piece of a slot that lies in [n->start, n->end). Lock held. */
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

/*
 * A slot that is added while this runs is not visited; no fault can map it
 * either until the end, because the count covers its hva.
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
	int idx = srcu_read_lock(&n.vm->srcu);

	spin_lock(&n.vm->mmu.lock);
	mmu_invalidate_begin(n.vm, n.start, n.end);
	notify_slots(&n);
	spin_unlock(&n.vm->mmu.lock);
	srcu_read_unlock(&n.vm->srcu, idx);
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
	int idx = srcu_read_lock(&n.vm->srcu);
	bool young;

	spin_lock(&n.vm->mmu.lock);
	young = notify_slots(&n);
	if (young && flush)
		mmu_flush(n.vm);
	spin_unlock(&n.vm->mmu.lock);
	srcu_read_unlock(&n.vm->srcu, idx);
	return young;
}

static keel_young_t clear_flush_young(struct mmu_notifier *mn, struct mm_struct *mm,
				      unsigned long start, unsigned long end)
{
	return age(mn, start, end, true, true);
}

/* A stale accessed bit in a TLB only makes the page look older than it is. */
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

/* The address space ends, or memory_release() unregisters: nothing stays mapped. */
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

static void free_slots(struct keel_vm *vm)
{
	int as;

	for (as = 0; as < KEEL_ADDRESS_SPACES; as++) {
		memslots_destroy(rcu_dereference_protected(vm->memslots[as], true));
		RCU_INIT_POINTER(vm->memslots[as], NULL);
	}
	if (!vm->slot_index)
		return;
	xa_destroy(&vm->slot_index->slots);
	memslots_drain(&vm->slot_index->pool);
	kfree(vm->slot_index);
	vm->slot_index = NULL;
}

int memory_init(struct keel_vm *vm)
{
	int as, ret = -ENOMEM;

	vm->slot_index = kzalloc(sizeof(*vm->slot_index), GFP_KERNEL_ACCOUNT);
	if (!vm->slot_index)
		return -ENOMEM;
	xa_init(&vm->slot_index->slots);
	for (as = 0; as < KEEL_ADDRESS_SPACES; as++) {
		struct keel_memslots *set = memslots_new(as);

		if (!set)
			goto free;
		RCU_INIT_POINTER(vm->memslots[as], set);
	}
	vm->notifier.ops = &notifier_ops;
	ret = mmu_notifier_register(&vm->notifier, vm->mm);
	if (ret)
		goto free;
	return 0;
free:
	free_slots(vm);
	return ret;
}

void memory_release(struct keel_vm *vm)
{
	mmu_notifier_unregister(&vm->notifier, vm->mm);
	free_slots(vm);
}
