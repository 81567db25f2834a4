// SPDX-License-Identifier: GPL-2.0
/*
 * Guest memory. Owns the slot tables, which mirror the slots of the kernel so
 * that a slot can be deleted or moved by its number alone and set-up code can
 * find guest memory in this process. The kernel checks the ranges.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "internal.h"

#define SLOT_ID_MASK	0xffffu
#define TABLE_FIRST	16u

static int submit(const struct keel_vm *vm, __u32 id, const struct keel_slot *slot)
{
	struct kvm_userspace_memory_region region = {
		.slot = id,
		.flags = slot->flags,
		.guest_phys_addr = slot->gpa,
		.memory_size = slot->size,
		.userspace_addr = (__u64)(uintptr_t)slot->hva,
	};

	return keel_ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &region);
}

/* Find a slot in use. Needs slots_lock, or a VM that no other thread uses. */
static struct keel_slot *find(struct keel_vm *vm, __u32 id)
{
	__u32 as = id >> KEEL_SLOT_AS_SHIFT, nr = id & SLOT_ID_MASK;
	struct keel_slot_table *table;

	if (as >= KEEL_ADDRESS_SPACES)
		return NULL;
	table = &vm->tables[as];
	if (nr >= table->count || !table->slots[nr].size)
		return NULL;
	return &table->slots[nr];
}

const struct keel_slot *keel_mem_find(struct keel_vm *vm, __u32 id)
{
	return find(vm, id);
}

/* Make room in the table for @id. Needs slots_lock. */
static int reserve(struct keel_vm *vm, __u32 id, struct keel_slot **out)
{
	__u32 as = id >> KEEL_SLOT_AS_SHIFT, nr = id & SLOT_ID_MASK, count;
	struct keel_slot_table *table;
	struct keel_slot *slots;

	if (as >= KEEL_ADDRESS_SPACES)
		return -EINVAL;
	table = &vm->tables[as];
	if (nr >= table->count) {
		for (count = table->count ? table->count : TABLE_FIRST; count <= nr; count *= 2)
			;
		slots = realloc(table->slots, count * sizeof(*slots));
		if (!slots)
			return -ENOMEM;
		memset(slots + table->count, 0, (count - table->count) * sizeof(*slots));
		table->slots = slots;
		table->count = count;
	}
	*out = &table->slots[nr];
	return 0;
}

static int add(struct keel_vm *vm, __u32 id, const struct keel_slot *new)
{
	struct keel_slot *slot;
	int ret;

	/* The kernel takes a region of size 0 as a deletion. */
	if (!vm || !new->size)
		return -EINVAL;
	pthread_mutex_lock(&vm->slots_lock);
	ret = reserve(vm, id, &slot);
	if (!ret && slot->size)
		ret = -EEXIST;
	if (!ret)
		ret = submit(vm, id, new);
	if (!ret)
		*slot = *new;
	pthread_mutex_unlock(&vm->slots_lock);
	return ret;
}

KEEL_API int keel_mem_add(struct keel_vm *vm, __u32 slot, __u64 gpa, void *hva, __u64 size,
			  __u32 flags)
{
	struct keel_slot new = { .gpa = gpa, .size = size, .hva = hva, .flags = flags };

	return add(vm, slot, &new);
}

KEEL_API int keel_mem_alloc(struct keel_vm *vm, __u32 slot, __u64 gpa, __u64 size, __u32 flags,
			    void **hva)
{
	struct keel_slot new = { .gpa = gpa, .size = size, .flags = flags, .owned = true };
	int ret;

	if (!vm || !size)
		return -EINVAL;
	new.hva = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (new.hva == MAP_FAILED)
		return -errno;
	ret = add(vm, slot, &new);
	if (ret) {
		munmap(new.hva, size);
		return ret;
	}
	if (hva)
		*hva = new.hva;
	return 0;
}

KEEL_API int keel_mem_delete(struct keel_vm *vm, __u32 slot)
{
	struct keel_slot *old, none;
	int ret = -ENOENT;

	if (!vm)
		return -EINVAL;
	pthread_mutex_lock(&vm->slots_lock);
	old = find(vm, slot);
	if (!old)
		goto out_unlock;
	none = *old;
	none.size = 0;
	ret = submit(vm, slot, &none);
	if (ret)
		goto out_unlock;
	if (old->owned)
		munmap(old->hva, old->size);
	memset(old, 0, sizeof(*old));
out_unlock:
	pthread_mutex_unlock(&vm->slots_lock);
	return ret;
}

/* Replace gpa and flags of a slot in one request. */
static int change(struct keel_vm *vm, __u32 id, const __u64 *gpa, const __u32 *flags)
{
	struct keel_slot *slot, new;
	int ret = -ENOENT;

	if (!vm)
		return -EINVAL;
	pthread_mutex_lock(&vm->slots_lock);
	slot = find(vm, id);
	if (slot) {
		new = *slot;
		if (gpa)
			new.gpa = *gpa;
		if (flags)
			new.flags = *flags;
		ret = submit(vm, id, &new);
		if (!ret)
			*slot = new;
	}
	pthread_mutex_unlock(&vm->slots_lock);
	return ret;
}

KEEL_API int keel_mem_move(struct keel_vm *vm, __u32 slot, __u64 gpa)
{
	return change(vm, slot, &gpa, NULL);
}

KEEL_API int keel_mem_set_flags(struct keel_vm *vm, __u32 slot, __u32 flags)
{
	return change(vm, slot, NULL, &flags);
}

/* No sum here can overflow. */
static bool contains(const struct keel_slot *slot, __u64 gpa, __u64 len)
{
	return gpa >= slot->gpa && gpa - slot->gpa < slot->size &&
	       len <= slot->size - (gpa - slot->gpa);
}

KEEL_API void *keel_mem_ptr(struct keel_vm *vm, __u64 gpa, __u64 len)
{
	const struct keel_slot_table *table;
	void *ptr = NULL;
	__u32 i;

	if (!vm)
		return NULL;
	table = &vm->tables[0];
	pthread_mutex_lock(&vm->slots_lock);
	for (i = 0; i < table->count && !ptr; i++)
		if (contains(&table->slots[i], gpa, len))
			ptr = (char *)table->slots[i].hva + (gpa - table->slots[i].gpa);
	pthread_mutex_unlock(&vm->slots_lock);
	return ptr;
}

void keel_mem_release(struct keel_vm *vm)
{
	struct keel_slot_table *table;
	__u32 as, i;

	for (as = 0; as < KEEL_ADDRESS_SPACES; as++) {
		table = &vm->tables[as];
		for (i = 0; i < table->count; i++)
			if (table->slots[i].owned)
				munmap(table->slots[i].hva, table->slots[i].size);
		free(table->slots);
	}
}
