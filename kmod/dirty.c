// SPDX-License-Identifier: GPL-2.0
/*
 * Dirty logging: the bitmap of a slot, marking, the PML buffer, and the ioctls that
 * read and clear the bitmap. mmu/log.c makes the tables report writes; dirty_ring.c
 * owns the ring that can take the bitmap's place.
 */
#include <linux/bitmap.h>
#include <linux/compat.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "dirty.h"
#include "dirty_ring.h"
#include "memory.h"

/* --- the bitmap of a slot ----------------------------------------------- */

static size_t bitmap_bytes(u64 npages)
{
	return BITS_TO_LONGS(npages) * sizeof(long);
}

static bool logs(const struct keel_memslot *slot)
{
	return slot->npages && slot->flags & KVM_MEM_LOG_DIRTY_PAGES;
}

static unsigned long *new_bitmap(const struct keel_vm *vm, u64 npages)
{
	unsigned long *bits = kvzalloc(bitmap_bytes(npages), GFP_KERNEL_ACCOUNT);

	if (bits && vm->dirty_log_flags & KVM_DIRTY_LOG_INITIALLY_SET)
		bitmap_set(bits, 0, npages);
	return bits;
}

static bool is_fresh(const struct slot_change *c)
{
	return c->wanted.dirty && !(c->old && c->old->dirty == c->wanted.dirty);
}

void dirty_abort(struct slot_change *c, int n)
{
	for (; n--; c++)
		if (is_fresh(c))
			dirty_free(&c->wanted);
}

int dirty_prepare(struct keel_vm *vm, struct slot_change *c, int n)
{
	int i;

	lockdep_assert_held(&vm->slots_lock);
	for (i = 0; i < n; i++) {
		struct keel_memslot *new = &c[i].wanted;

		if (!logs(new) || vm->dirty_ring_entries)
			continue;
		/* Bit n still is the same gfn; if not, inherit_dirty() copies the marks later. */
		if (c[i].old && c[i].old->base == new->base && c[i].old->npages == new->npages)
			new->dirty = c[i].old->dirty;
		if (!new->dirty)
			new->dirty = new_bitmap(vm, new->npages);
		if (!new->dirty) {
			dirty_abort(c, i);
			return -ENOMEM;
		}
	}
	return 0;
}

/* Words of a bitmap between two calls of cond_resched(). */
#define WORDS_AT_ONCE	4096

/* Bits [@bit, @bit + @n) of @bits, @n at most a word. */
static unsigned long bits_at(const unsigned long *bits, unsigned long bit, unsigned int n)
{
	unsigned int shift = bit % BITS_PER_LONG;
	const unsigned long *word = &bits[BIT_WORD(bit)];
	unsigned long val = READ_ONCE(*word) >> shift;

	if (shift + n > BITS_PER_LONG)
		val |= READ_ONCE(word[1]) << (BITS_PER_LONG - shift);
	return val & BITMAP_LAST_WORD_MASK(n);
}

/* OR @count bits of @from, from @bit on, into @to, from @at on. Atomic: vCPUs mark in @to. */
static void or_bits(unsigned long *to, unsigned long at, const unsigned long *from,
		    unsigned long bit, unsigned long count)
{
	unsigned long word, words = 0;
	unsigned int n;

	for (; count; count -= n, bit += n, at += n) {
		n = min(count, BITS_PER_LONG - at % BITS_PER_LONG);
		word = bits_at(from, bit, n);
		if (word)
			atomic_long_or(word << at % BITS_PER_LONG,
				       (atomic_long_t *)&to[BIT_WORD(at)]);
		if (!(++words % WORDS_AT_ONCE))
			cond_resched();
	}
}

void dirty_inherit(const struct keel_memslot *old, const struct keel_memslot *heir, gfn_t first,
		   gfn_t end)
{
	if (heir->dirty)
		or_bits(heir->dirty, first - heir->base, old->dirty, first - old->base,
			end - first);
}

void dirty_move(const struct keel_memslot *old, const struct keel_memslot *new)
{
	u64 ahead = (new->hva - old->hva) >> PAGE_SHIFT;
	u64 behind = (old->hva - new->hva) >> PAGE_SHIFT;

	if (!new->dirty)
		return;
	if (new->hva >= old->hva && ahead < old->npages)
		or_bits(new->dirty, 0, old->dirty, ahead, min(old->npages - ahead, new->npages));
	else if (new->hva < old->hva && behind < new->npages)
		or_bits(new->dirty, behind, old->dirty, 0, min(new->npages - behind, old->npages));
}

void dirty_free(const struct keel_memslot *slot)
{
	kvfree(slot->dirty);
}

/* --- marking ------------------------------------------------------------ */

void keel_dirty_mark(struct keel_vcpu *vcpu, const struct keel_memslot *slot, gfn_t gfn)
{
	STAT(vcpu, dirtied);
	if (!vcpu->vm->dirty_ring_entries)
		/* A locked instruction: whoever takes the bit sees the write to the page. */
		set_bit(gfn - slot->base, slot->dirty);
	else
		keel_ring_push(vcpu, slot, gfn - slot->base);
}

void keel_dirty_mark_gfn(struct keel_vcpu *vcpu, gfn_t gfn)
{
	const struct keel_memslot *slot = memslots_find(keel_vcpu_slots(vcpu), gfn);

	if (slot)
		keel_dirty_written(vcpu, slot, gfn);
}

/* --- the hardware's log ------------------------------------------------- */

void dirty_count_slots(struct keel_vm *vm, int by)
{
	int was = vm->logging_slots;

	lockdep_assert_held(&vm->slots_lock);
	WRITE_ONCE(vm->logging_slots, was + by);
	/* Make each vCPU leave the guest, so that it switches PML before pages are armed. */
	if (!was != !vm->logging_slots)
		keel_request_all(vm, REQ_LOG);
}

void keel_dirty_update(struct keel_vcpu *vcpu)
{
	vmx_log_writes(&vcpu->vmx, READ_ONCE(vcpu->vm->logging_slots));
}

void keel_dirty_drain(struct keel_vcpu *vcpu)
{
	const u64 *gpa;
	unsigned int n = vmx_take_log(&vcpu->vmx, &gpa);

	if (!n)
		return;
	keel_read_slots(vcpu);
	while (n--)
		keel_dirty_mark_gfn(vcpu, gpa_to_gfn(*gpa++));
	keel_read_slots_end(vcpu);
}

/* --- ioctls ------------------------------------------------------------- */

/* The slot with the ABI's number @id, if it has a bitmap; or an ERR_PTR(). */
static const struct keel_memslot *logged_slot(struct keel_vm *vm, u32 id)
{
	const struct keel_memslot *slot;

	lockdep_assert_held(&vm->slots_lock);
	if (vm->dirty_ring_entries)
		return ERR_PTR(-ENXIO);
	if (!memslot_id_valid(id))
		return ERR_PTR(-EINVAL);
	slot = memory_slot(vm, id >> 16, (u16)id);
	return slot && slot->dirty ? slot : ERR_PTR(-ENOENT);
}

/* A 32-bit program sets only the low half of the union that holds the address. */
static void __user *bitmap_at(void __user *address)
{
	return in_compat_syscall() ? compat_ptr((unsigned long)address) : address;
}

/* Rearm those of @n pages of @slot from @first on that are set in @bits. 0 or -EINTR. */
static int log_again(struct keel_vm *vm, const struct keel_memslot *slot, u64 first,
		     const unsigned long *bits, u64 n)
{
	int ret;

	mmu_log_begin(vm);
	ret = mmu_log_again(vm, slot->as, slot->base + first, n, bits);
	mmu_log_end(vm);
	return ret;
}

static void take_bits(const struct keel_memslot *slot, unsigned long *bits)
{
	u64 i;

	for (i = 0; i < BITS_TO_LONGS(slot->npages); i++) {
		if (READ_ONCE(slot->dirty[i]))
			bits[i] = xchg(&slot->dirty[i], 0);
		if (!(i % WORDS_AT_ONCE))
			cond_resched();
	}
}

static void give_back(const struct keel_memslot *slot, const unsigned long *bits)
{
	or_bits(slot->dirty, 0, bits, 0, slot->npages);
}

/*
 * Take the marks and rearm their pages. If the copy to userspace fails, or a
 * fatal signal comes, put the marks back.
 */
static long give_and_clear(struct keel_vm *vm, const struct keel_memslot *slot, void __user *to)
{
	size_t size = bitmap_bytes(slot->npages);
	unsigned long *bits = kvzalloc(size, GFP_KERNEL_ACCOUNT);
	long ret;

	if (!bits)
		return -ENOMEM;
	take_bits(slot, bits);
	ret = log_again(vm, slot, 0, bits, slot->npages);
	if (!ret && copy_to_user(to, bits, size))
		ret = -EFAULT;
	if (ret)
		give_back(slot, bits);
	kvfree(bits);
	return ret;
}

static long get_log(struct keel_vm *vm, const struct kvm_dirty_log *log)
{
	const struct keel_memslot *slot = logged_slot(vm, log->slot);
	void __user *to = bitmap_at(log->dirty_bitmap);

	if (IS_ERR(slot))
		return PTR_ERR(slot);
	/* Make all vCPUs leave the guest, which marks the pages in their PML buffers. */
	keel_request_all(vm, REQ_LOG);
	if (!(vm->dirty_log_flags & KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE))
		return give_and_clear(vm, slot, to);
	if (copy_to_user(to, slot->dirty, bitmap_bytes(slot->npages)))
		return -EFAULT;
	return 0;
}

long keel_get_dirty_log(struct keel_vm *vm, void *data)
{
	long ret;

	mutex_lock(&vm->slots_lock);
	ret = get_log(vm, data);
	mutex_unlock(&vm->slots_lock);
	return ret;
}

/* The range must be within the slot, and whole words unless it reaches the slot's end. */
static bool clear_valid(const struct kvm_clear_dirty_log *log, const struct keel_memslot *slot)
{
	u64 left;

	if (log->first_page > slot->npages)
		return false;
	left = slot->npages - log->first_page;
	return log->num_pages <= left &&
	       (log->num_pages == left || !(log->num_pages % BITS_PER_LONG));
}

/* Clear the marks selected by @bits; leave in @bits only those that were set. */
static void clear_marks(unsigned long *marks, unsigned long *bits, u64 words)
{
	u64 i;

	for (i = 0; i < words; i++) {
		if (bits[i])
			bits[i] &= atomic_long_fetch_andnot(bits[i], (atomic_long_t *)&marks[i]);
		if (!(i % WORDS_AT_ONCE))
			cond_resched();
	}
}

static long clear_log(struct keel_vm *vm, const struct kvm_clear_dirty_log *log)
{
	const struct keel_memslot *slot = logged_slot(vm, log->slot);
	unsigned long *bits;
	size_t size;
	long ret;

	if (PTR_ERR(slot) == -ENXIO || PTR_ERR(slot) == -EINVAL)
		return PTR_ERR(slot);
	if (log->first_page % BITS_PER_LONG)
		return -EINVAL;
	if (IS_ERR(slot))
		return PTR_ERR(slot);
	if (!clear_valid(log, slot))
		return -EINVAL;
	if (!log->num_pages)
		return 0;
	size = bitmap_bytes(log->num_pages);
	bits = kvmalloc(size, GFP_KERNEL_ACCOUNT);
	if (!bits)
		return -ENOMEM;
	ret = -EFAULT;
	if (copy_from_user(bits, bitmap_at(log->dirty_bitmap), size))
		goto free;
	clear_marks(slot->dirty + log->first_page / BITS_PER_LONG, bits,
		    BITS_TO_LONGS(log->num_pages));
	ret = log_again(vm, slot, log->first_page, bits, log->num_pages);
	if (ret)
		or_bits(slot->dirty, log->first_page, bits, 0, log->num_pages);
free:
	kvfree(bits);
	return ret;
}

long keel_clear_dirty_log(struct keel_vm *vm, void *data)
{
	long ret;

	mutex_lock(&vm->slots_lock);
	ret = clear_log(vm, data);
	mutex_unlock(&vm->slots_lock);
	return ret;
}

long keel_enable_manual_protect(struct keel_vm *vm, const u64 *args)
{
	u64 allowed = KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE;

	if (args[0] & KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE)
		allowed |= KVM_DIRTY_LOG_INITIALLY_SET;
	if (args[0] & ~allowed)
		return -EINVAL;
	mutex_lock(&vm->slots_lock);
	vm->dirty_log_flags = args[0];
	mutex_unlock(&vm->slots_lock);
	return 0;
}
