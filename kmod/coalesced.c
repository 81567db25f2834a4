// SPDX-License-Identifier: GPL-2.0
/*
 * Owns the zones whose writes are coalesced and the ring that they go to. The
 * ring is shared with userspace, which is not trusted to keep it in order.
 * Zones are a snapshot for each bus, replaced as a whole, read under SRCU.
 */
#include <linux/mm.h>
#include <linux/nospec.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "coalesced.h"
#include "keel.h"

#define MAX_ZONES	1000

struct zones {
	int nr;
	struct kvm_coalesced_mmio_zone zone[];
};

/* --- writing ------------------------------------------------------------- */

static bool covers(const struct kvm_coalesced_mmio_zone *z, u64 addr, u64 len)
{
	u64 from = addr - z->addr;

	return addr >= z->addr && from <= z->size && len <= z->size - from;
}

static bool in_zone(const struct zones *set, u64 addr, unsigned int len)
{
	int i;

	for (i = 0; set && i < set->nr; i++)
		if (covers(&set->zone[i], addr, len))
			return true;
	return false;
}

/*
 * One place stays free, so that a full ring is not taken for an empty one. An
 * index that userspace has spoilt means that nothing is put there.
 */
static bool put(struct kvm_coalesced_mmio_ring *ring, int bus, u64 addr, const void *data,
		unsigned int len)
{
	u32 last = READ_ONCE(ring->last), next;
	struct kvm_coalesced_mmio *entry;

	if (last >= KVM_COALESCED_MMIO_MAX)
		return false;
	next = (last + 1) % KVM_COALESCED_MMIO_MAX;
	if (READ_ONCE(ring->first) == next)
		return false;
	/* Userspace can write the index: it must not lead elsewhere by speculation either. */
	entry = &ring->coalesced_mmio[array_index_nospec(last, KVM_COALESCED_MMIO_MAX)];
	entry->phys_addr = addr;
	entry->len = len;
	memcpy(entry->data, data, len);
	entry->pio = bus == KEEL_BUS_PIO;
	/* Who sees the index sees the entry. */
	smp_store_release(&ring->last, next);
	return true;
}

bool keel_coalesced_write(struct keel_vcpu *vcpu, int bus, u64 addr, const void *data,
			  unsigned int len)
{
	struct keel_vm *vm = vcpu->vm;
	bool done;

	if (!in_zone(srcu_dereference(vm->zones[bus], &vm->srcu), addr, len))
		return false;
	spin_lock(&vm->ring_lock);
	done = put(vm->ring, bus, addr, data, len);
	spin_unlock(&vm->ring_lock);
	if (done)
		STAT(vcpu, coalesced);
	return done;
}

/* --- zones --------------------------------------------------------------- */

static int bus_of(const struct kvm_coalesced_mmio_zone *z)
{
	return z->pio ? KEEL_BUS_PIO : KEEL_BUS_MMIO;
}

static struct zones *alloc_zones(int nr)
{
	struct zones *set;

	return kvmalloc(struct_size(set, zone, nr), GFP_KERNEL_ACCOUNT);
}

static struct zones *current_zones(struct keel_vm *vm, int bus)
{
	return rcu_dereference_protected(vm->zones[bus], lockdep_is_held(&vm->lock));
}

/* Publish @set, let go of the lock, and free what was there once nobody reads it. */
static void publish_and_unlock(struct keel_vm *vm, int bus, struct zones *set)
{
	keel_unlock_and_retire(vm, rcu_replace_pointer(vm->zones[bus], set,
						       lockdep_is_held(&vm->lock)));
}

long keel_register_coalesced(struct keel_vm *vm, void *data)
{
	const struct kvm_coalesced_mmio_zone *new = data;
	struct zones *old, *set;
	long err = -ENOSPC;
	int nr;

	if (new->pio > 1)
		return -EINVAL;
	mutex_lock(&vm->lock);
	old = current_zones(vm, bus_of(new));
	nr = old ? old->nr : 0;
	if (nr >= MAX_ZONES)
		goto unlock;
	err = -ENOMEM;
	set = alloc_zones(nr + 1);
	if (!set)
		goto unlock;
	if (old)
		memcpy(set->zone, old->zone, array_size(nr, sizeof(*new)));
	set->zone[nr] = *new;
	set->nr = nr + 1;
	publish_and_unlock(vm, bus_of(new), set);
	return 0;
unlock:
	mutex_unlock(&vm->lock);
	return err;
}

/* All zones go that cover the one given, as on KVM; if there are none that is no error. */
long keel_unregister_coalesced(struct keel_vm *vm, void *data)
{
	const struct kvm_coalesced_mmio_zone *what = data;
	struct zones *old, *set;
	int i;

	if (what->pio > 1)
		return -EINVAL;
	mutex_lock(&vm->lock);
	old = current_zones(vm, bus_of(what));
	set = old ? alloc_zones(old->nr) : NULL;
	if (!set) {
		mutex_unlock(&vm->lock);
		return old ? -ENOMEM : 0;
	}
	set->nr = 0;
	for (i = 0; i < old->nr; i++)
		if (!covers(&old->zone[i], what->addr, what->size))
			set->zone[set->nr++] = old->zone[i];
	if (!set->nr) {
		kvfree(set);
		set = NULL;
	}
	publish_and_unlock(vm, bus_of(what), set);
	return 0;
}

/* --- life ---------------------------------------------------------------- */

int keel_coalesced_init(struct keel_vm *vm)
{
	spin_lock_init(&vm->ring_lock);
	vm->ring = (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	return vm->ring ? 0 : -ENOMEM;
}

void keel_coalesced_free(struct keel_vm *vm)
{
	int bus;

	for (bus = 0; bus < KEEL_BUSES; bus++)
		kvfree(rcu_dereference_protected(vm->zones[bus], true));
	free_page((unsigned long)vm->ring);
}

struct page *keel_coalesced_page(struct keel_vm *vm)
{
	return virt_to_page(vm->ring);
}
