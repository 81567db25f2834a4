// SPDX-License-Identifier: GPL-2.0
/*
 * The ioctls that change memory slots: validate what userspace asks for and turn it
 * into changes that memory.c makes take effect. memory.c also checks for overlaps.
 */
#include <linux/bitmap.h>
#include <linux/kvm.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/keel.h>

#include "keel.h"
#include "memory.h"
#include "regions.h"

#define MAX_SLOT_PAGES	((1ULL << 31) - 1)

/* Check all that does not depend on the current slots. */
static bool region_valid(const struct kvm_userspace_memory_region *r)
{
	u64 last = r->guest_phys_addr + r->memory_size;

	if (r->flags & ~(KVM_MEM_READONLY | KVM_MEM_LOG_DIRTY_PAGES))
		return false;
	if (!memslot_id_valid(r->slot))
		return false;
	if (!PAGE_ALIGNED(r->memory_size) || !PAGE_ALIGNED(r->guest_phys_addr) ||
	    !PAGE_ALIGNED(r->userspace_addr))
		return false;
	/* Not every accessor of guest memory checks again: __try_cmpxchg_user() does not. */
	if (!access_ok((void __user *)(unsigned long)r->userspace_addr, r->memory_size))
		return false;
	return last >= r->guest_phys_addr && r->memory_size >> PAGE_SHIFT <= MAX_SLOT_PAGES;
}

static void describe(struct slot_change *c, const struct kvm_userspace_memory_region *r)
{
	*c = (struct slot_change){
		.wanted = {
			.base = gpa_to_gfn(r->guest_phys_addr),
			.npages = r->memory_size >> PAGE_SHIFT,
			.hva = r->userspace_addr,
			.flags = r->flags,
			.id = r->slot,
			.as = r->slot >> 16,
		},
	};
}

/*
 * Compare the change with the current slot. 1: make it; 0: nothing to do; -EINVAL.
 * KVM_SET_USER_MEMORY_REGION can add, delete, move, and switch dirty logging. For
 * other changes KVM requires that the slot is deleted first; so does Keel unless
 * @in_place.
 */
static int compare(const struct slot_change *c, bool in_place)
{
	const struct keel_memslot *old = c->old, *new = &c->wanted;
	u32 flips = old ? new->flags ^ old->flags : 0;
	bool differs;

	if (!new->npages)
		return old ? 1 : -EINVAL;
	if (!old)
		return new->base + new->npages > mmu_max_gfn() ? -EINVAL : 1;
	differs = new->hva != old->hva || new->npages != old->npages ||
		  flips & KVM_MEM_READONLY;
	if (differs && !in_place)
		return -EINVAL;
	if (new->base == old->base && !differs && !flips)
		return 0;
	return new->base + new->npages > mmu_max_gfn() ? -EINVAL : 1;
}

/* Drop the changes that change nothing. Returns how many are left, or -EINVAL. */
static int compare_all(struct keel_vm *vm, struct slot_change *c, int n, bool in_place)
{
	int i, ret, left = 0;

	for (i = 0; i < n; i++) {
		c[i].old = memory_slot(vm, c[i].wanted.as, c[i].wanted.id);
		ret = compare(&c[i], in_place);
		if (ret < 0)
			return ret;
		if (ret)
			c[left++] = c[i];
	}
	return left;
}

/* Make @n changes of one address space, each of a different slot. */
static int change(struct keel_vm *vm, struct slot_change *c, int n, bool in_place)
{
	int as = c->wanted.as, ret;

	mutex_lock(&vm->slots_lock);
	ret = compare_all(vm, c, n, in_place);
	if (ret > 0)
		ret = memory_update(vm, as, c, ret);
	mutex_unlock(&vm->slots_lock);
	return ret;
}

long keel_ioctl_set_user_memory_region(struct keel_vm *vm, void *data)
{
	struct slot_change c;

	if (!region_valid(data))
		return -EINVAL;
	describe(&c, data);
	return change(vm, &c, 1, READ_ONCE(vm->memory_in_place));
}

/* Require one address space and no slot twice, so that the order of changes has no meaning. */
static int describe_all(struct slot_change *c, const struct kvm_userspace_memory_region *r,
			int n)
{
	unsigned long *named = bitmap_zalloc(KEEL_MAX_SLOTS, GFP_KERNEL);
	int i, ret = -ENOMEM;

	if (!named)
		return ret;
	ret = -EINVAL;
	for (i = 0; i < n; i++) {
		if (!region_valid(&r[i]) || r[i].slot >> 16 != r->slot >> 16 ||
		    __test_and_set_bit((u16)r[i].slot, named))
			goto out;
		describe(&c[i], &r[i]);
	}
	ret = 0;
out:
	bitmap_free(named);
	return ret;
}

long keel_ioctl_set_memory_regions(struct keel_vm *vm, void *arg)
{
	struct keel_memory_regions __user *user = (void __user __force *)arg;
	struct keel_memory_regions head;
	struct slot_change *c;
	struct kvm_userspace_memory_region *regions;
	long ret;

	if (copy_from_user(&head, user, sizeof(head)))
		return -EFAULT;
	if (head.flags)
		return -EINVAL;
	if (head.nr > KEEL_MAX_MEMORY_REGIONS)
		return -E2BIG;
	if (!head.nr)
		return 0;
	regions = vmemdup_user(user->regions, head.nr * sizeof(*regions));
	if (IS_ERR(regions))
		return PTR_ERR(regions);
	ret = -ENOMEM;
	c = kvmalloc_array(head.nr, sizeof(*c), GFP_KERNEL_ACCOUNT);
	if (!c)
		goto free_regions;
	ret = describe_all(c, regions, head.nr);
	if (!ret)
		ret = change(vm, c, head.nr, true);
	kvfree(c);
free_regions:
	kvfree(regions);
	return ret;
}
