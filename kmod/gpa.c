// SPDX-License-Identifier: GPL-2.0
/*
 * Access to guest-physical memory through the owner's address space. regions.c has
 * checked that a slot's addresses are user addresses; the access itself finds out
 * whether something is mapped there.
 */
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/nospec.h>
#include <linux/uaccess.h>

#include "dirty.h"
#include "gpa.h"
#include "keel.h"

/* During an emulation remember the slot: gpa_to_hva() tries it first next time. */
static const struct keel_memslot *find_slot(struct keel_vcpu *vcpu, gfn_t gfn)
{
	struct keel_emulation *e = &vcpu->emulation;
	const struct keel_memslot *slot = memslots_find(keel_vcpu_slots(vcpu), gfn);

	if (e->slots)
		e->slot = slot;
	return slot;
}

/* The slot of @gpa, and its hva. NULL: in no slot, or a write to a read-only slot. */
static inline const struct keel_memslot *gpa_to_hva(struct keel_vcpu *vcpu, gpa_t gpa,
						    bool write, hva_t *hva)
{
	const struct keel_memslot *slot = vcpu->emulation.slot;
	gfn_t gfn = gpa_to_gfn(gpa);

	if (!slot || !memslot_has(slot, gfn))
		slot = find_slot(vcpu, gfn);
	if (!slot || (write && (slot->flags & KVM_MEM_READONLY)))
		return NULL;
	/* The guest chooses the gfn: keep it within the slot under speculation, too. */
	gfn = slot->base + array_index_nospec(gfn - slot->base, slot->npages);
	*hva = memslot_hva(slot, gfn) + offset_in_page(gpa);
	return slot;
}

/* Bytes of the access that lie on the first page. */
static unsigned int piece(gpa_t gpa, unsigned int len)
{
	return min_t(unsigned int, len, PAGE_SIZE - offset_in_page(gpa));
}

#define READ_AS(type, from, buf)						\
({										\
	type val;								\
	int err = get_user(val, (type __user *)(from));				\
										\
	memcpy(buf, &val, sizeof(val));						\
	err;									\
})

#define WRITE_AS(type, to, buf)							\
({										\
	type val;								\
										\
	memcpy(&val, buf, sizeof(val));						\
	put_user(val, (type __user *)(to));					\
})

/*
 * An operand may lie in struct keel_vcpu, a slab object. Hardened usercopy refuses
 * copies from or to that, so copy through the stack. Longer buffers are pages of
 * their own.
 */
#define BOUNCE	64

static int copy_in(void *buf, hva_t hva, unsigned int len)
{
	void __user *from = (void __user *)hva;
	u8 bounce[BOUNCE];

	if (len > sizeof(bounce))
		return copy_from_user(buf, from, len) ? -EFAULT : 0;
	if (copy_from_user(bounce, from, len))
		return -EFAULT;
	memcpy(buf, bounce, len);
	return 0;
}

static int copy_out(hva_t hva, const void *buf, unsigned int len)
{
	void __user *to = (void __user *)hva;
	u8 bounce[BOUNCE];

	if (len > sizeof(bounce))
		return copy_to_user(to, buf, len) ? -EFAULT : 0;
	memcpy(bounce, buf, len);
	return copy_to_user(to, bounce, len) ? -EFAULT : 0;
}

/*
 * Do not tear an aligned access: the guest's CPU would not either. 9 to 15 bytes, an
 * instruction fetch, are read as two words that overlap.
 */
static int read_piece(void *buf, hva_t hva, unsigned int len)
{
	switch (hva & (len - 1) ? 0 : len) {
	case 1:
		return READ_AS(u8, hva, buf);
	case 2:
		return READ_AS(u16, hva, buf);
	case 4:
		return READ_AS(u32, hva, buf);
	case 8:
		return READ_AS(u64, hva, buf);
	}
	if (len > 8 && len < 16)
		return READ_AS(u64, hva, buf) ?: READ_AS(u64, hva + len - 8, buf + len - 8);
	return copy_in(buf, hva, len);
}

static int write_piece(hva_t hva, const void *buf, unsigned int len)
{
	switch (hva & (len - 1) ? 0 : len) {
	case 1:
		return WRITE_AS(u8, hva, buf);
	case 2:
		return WRITE_AS(u16, hva, buf);
	case 4:
		return WRITE_AS(u32, hva, buf);
	case 8:
		return WRITE_AS(u64, hva, buf);
	}
	return copy_out(hva, buf, len);
}

static int read_page(struct keel_vcpu *vcpu, gpa_t gpa, void *buf, unsigned int len)
{
	hva_t hva;

	return gpa_to_hva(vcpu, gpa, false, &hva) ? read_piece(buf, hva, len) : -ENXIO;
}

int keel_gpa_read(struct keel_vcpu *vcpu, gpa_t gpa, void *buf, unsigned int len)
{
	unsigned int n = piece(gpa, len);
	int err;

	for (; n < len; n = piece(gpa, len)) {
		err = read_page(vcpu, gpa, buf, n);
		if (err)
			return err;
		gpa += n;
		buf += n;
		len -= n;
	}
	return read_page(vcpu, gpa, buf, n);
}

static __always_inline int read_entry(struct keel_vcpu *vcpu, gpa_t gpa, unsigned int len,
				      u64 *entry)
{
	hva_t hva;
	u32 half;
	int err;

	*entry = 0;
	if (!gpa_to_hva(vcpu, gpa, false, &hva))
		return 0;
	if (len == sizeof(*entry))
		return get_user(*entry, (u64 __user *)hva);
	err = get_user(half, (u32 __user *)hva);
	*entry = half;
	return err;
}

int keel_gpa_read_entry(struct keel_vcpu *vcpu, gpa_t gpa, unsigned int len, u64 *entry)
{
	return read_entry(vcpu, gpa, len, entry);
}

bool keel_gpa_entries_are(struct keel_vcpu *vcpu, const gpa_t *gpa, const u64 *entry,
			  unsigned int count, unsigned int len)
{
	unsigned int i;
	u64 now;

	for (i = 0; i < count; i++)
		if (read_entry(vcpu, gpa[i], len, &now) || now != entry[i])
			return false;
	return true;
}

int keel_gpa_write(struct keel_vcpu *vcpu, gpa_t gpa, const void *buf, unsigned int len)
{
	while (len) {
		unsigned int n = piece(gpa, len);
		const struct keel_memslot *slot;
		hva_t hva;

		slot = gpa_to_hva(vcpu, gpa, true, &hva);
		if (!slot)
			return -ENXIO;
		if (write_piece(hva, buf, n))
			return -EFAULT;
		keel_dirty_written(vcpu, slot, gpa_to_gfn(gpa));
		gpa += n;
		buf += n;
		len -= n;
	}
	return 0;
}

bool keel_gpa_find(struct keel_vcpu *vcpu, gpa_t gpa, hva_t *hva, bool *writable)
{
	const struct keel_memslot *slot = gpa_to_hva(vcpu, gpa, false, hva);

	*writable = slot && !(slot->flags & KVM_MEM_READONLY);
	return slot;
}

/* --- memory that was found earlier --------------------------------------- */

static void take_first(const struct keel_memslot *slot, void *arg)
{
	const struct keel_memslot **first = arg;

	if (!*first)
		*first = slot;
}

/* A slot that shows @hva now, preferably at @gpa, and *@gfn where it does; or NULL. */
static const struct keel_memslot *slot_of_hva(struct keel_vcpu *vcpu, gpa_t gpa, hva_t hva,
					      gfn_t *gfn)
{
	const struct keel_memslot *slot = memslots_find(keel_vcpu_slots(vcpu), gpa_to_gfn(gpa));
	int as = keel_as(vcpu), i;

	hva &= PAGE_MASK;
	*gfn = gpa_to_gfn(gpa);
	if (slot && memslot_hva(slot, *gfn) == hva)
		return slot;
	slot = NULL;
	for (i = 0; i < KEEL_ADDRESS_SPACES && !slot; i++)
		memslots_visit_hva(keel_slots(vcpu->vm, as ^ i), hva, hva + 1, take_first, &slot);
	if (slot)
		*gfn = slot->base + ((hva - slot->hva) >> PAGE_SHIFT);
	return slot;
}

int keel_gpa_read_held(struct keel_vcpu *vcpu, gpa_t gpa, hva_t hva, void *buf, unsigned int len)
{
	gfn_t gfn;

	if (slot_of_hva(vcpu, gpa, hva, &gfn))
		return read_piece(buf, hva, len);
	memset(buf, 0xff, len);
	return 0;
}

int keel_gpa_write_held(struct keel_vcpu *vcpu, gpa_t gpa, hva_t hva, const void *buf,
			unsigned int len)
{
	const struct keel_memslot *slot;
	gfn_t gfn;

	slot = slot_of_hva(vcpu, gpa, hva, &gfn);
	if (!slot)
		return 0;
	if (write_piece(hva, buf, len))
		return -EFAULT;
	keel_dirty_written(vcpu, slot, gfn);
	return 0;
}

/* --- exchange ------------------------------------------------------------ */

#define CACHE_LINE	64

#define CMPXCHG_AS(type, hva, old, new)						\
({										\
	type was, val;								\
										\
	memcpy(&was, old, sizeof(was));						\
	memcpy(&val, new, sizeof(val));						\
	__try_cmpxchg_user((type __user *)(hva), &was, val, fault);		\
})

/* 0; 1: another value; -EFAULT, -EINVAL. A function for each size: the macro needs a label. */
static int cmpxchg_1(hva_t hva, const void *old, const void *new)
{
	return CMPXCHG_AS(u8, hva, old, new);
}

static int cmpxchg_2(hva_t hva, const void *old, const void *new)
{
	return CMPXCHG_AS(u16, hva, old, new);
}

static int cmpxchg_4(hva_t hva, const void *old, const void *new)
{
	return CMPXCHG_AS(u32, hva, old, new);
}

static int cmpxchg_8(hva_t hva, const void *old, const void *new)
{
	return CMPXCHG_AS(u64, hva, old, new);
}

static bool cmpxchg16(void *p, const u64 old[2], const u64 new[2])
{
	u64 low = old[0], high = old[1];
	bool done;

	asm volatile("lock cmpxchg16b %1"
		     : "=@ccz" (done), "+m" (*(struct { u64 half[2]; } *)p), "+a" (low),
		       "+d" (high)
		     : "b" (new[0]), "c" (new[1])
		     : "memory");
	return done;
}

/* There is no user-space accessor of this width: map the page, with a reference, instead. */
static int cmpxchg_16(hva_t hva, const void *old, const void *new)
{
	u64 was[2], val[2];
	struct page *page;
	void *base;
	bool done;

	if (!boot_cpu_has(X86_FEATURE_CX16))
		return -EINVAL;
	if (get_user_pages_fast(hva, 1, FOLL_WRITE, &page) != 1)
		return -EFAULT;
	memcpy(was, old, sizeof(was));
	memcpy(val, new, sizeof(val));
	base = kmap_local_page(page);
	done = cmpxchg16(base + offset_in_page(hva), was, val);
	kunmap_local(base);
	if (done)
		set_page_dirty_lock(page);
	put_page(page);
	return !done;
}

/* Across cache lines it would be a split lock, which the host may forbid. Align 16 bytes. */
static bool one_line(gpa_t gpa, unsigned int len)
{
	if (len == 16)
		return !(gpa & 15);
	return (gpa & (CACHE_LINE - 1)) + len <= CACHE_LINE;
}

int keel_gpa_cmpxchg(struct keel_vcpu *vcpu, gpa_t gpa, const void *old, const void *new,
		     unsigned int len)
{
	static int (*const by_size[])(hva_t hva, const void *old, const void *new) = {
		cmpxchg_1, cmpxchg_2, cmpxchg_4, cmpxchg_8, cmpxchg_16,
	};
	const struct keel_memslot *slot;
	hva_t hva;
	int ret;

	if (!len || len > 16 || len & (len - 1) || !one_line(gpa, len))
		return -EINVAL;
	slot = gpa_to_hva(vcpu, gpa, true, &hva);
	if (!slot)
		return -ENXIO;
	ret = by_size[ilog2(len)](hva, old, new);
	if (!ret)
		keel_dirty_written(vcpu, slot, gpa_to_gfn(gpa));
	return ret > 0 ? -EAGAIN : ret;
}
