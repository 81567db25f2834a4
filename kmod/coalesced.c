// SPDX-License-Identifier: GPL-2.0
/*
 * Owns the zones whose writes are coalesced and the ring that the writes go to.
 * Userspace shares the ring and is not trusted to keep it in order. Zones are a
 * list for each bus, changed one by one and read under RCU, so that a change
 * waits for no reader.
 */
#include <linux/mm.h>
#include <linux/nospec.h>
#include <linux/rculist.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "coalesced.h"
#include "keel.h"
#include "test.h"

#define MAX_ZONES	1000

/*
 * struct keel_zone - addresses whose writes are coalesced
 * @gone:	the zone is unregistered: put no more writes; ring_lock
 */
struct keel_zone {
	struct list_head link;
	u64 addr;
	u32 size;
	bool gone;
	struct rcu_head rcu;
};

/* --- writing ------------------------------------------------------------- */

static bool covers(const struct keel_zone *z, u64 addr, u64 len)
{
	u64 from = addr - z->addr;

	return addr >= z->addr && from <= z->size && len <= z->size - from;
}

/*
 * Keep one entry free, so that a full ring differs from an empty one. If
 * userspace has spoilt @last, put nothing.
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
	/* Userspace can write @last: clamp it under speculation too. */
	entry = &ring->coalesced_mmio[array_index_nospec(last, KVM_COALESCED_MMIO_MAX)];
	entry->phys_addr = addr;
	entry->len = len;
	memcpy(entry->data, data, len);
	entry->pio = bus == KEEL_BUS_PIO;
	/* Release: userspace that reads the new index also sees the entry. */
	smp_store_release(&ring->last, next);
	return true;
}

/*
 * Check @gone under ring_lock: once keel_unregister_coalesced() has returned,
 * no write to its zones may enter the ring.
 */
static bool put_for(struct keel_vm *vm, const struct keel_zone *z, int bus, u64 addr,
		    const void *data, unsigned int len)
{
	bool done;

	test_point_busy(TEST_RINGING);
	spin_lock(&vm->ring_lock);
	done = !z->gone && put(vm->ring, bus, addr, data, len);
	spin_unlock(&vm->ring_lock);
	return done;
}

bool keel_coalesced_write(struct keel_vcpu *vcpu, int bus, u64 addr, const void *data,
			  unsigned int len)
{
	struct keel_vm *vm = vcpu->vm;
	const struct keel_zone *z;
	bool done = false;

	rcu_read_lock();
	list_for_each_entry_rcu(z, &vm->zones[bus], link) {
		done = covers(z, addr, len) && put_for(vm, z, bus, addr, data, len);
		if (done)
			break;
	}
	rcu_read_unlock();
	if (done)
		STAT(vcpu, coalesced);
	return done;
}

/* --- zones --------------------------------------------------------------- */

static int bus_of(const struct kvm_coalesced_mmio_zone *z)
{
	return z->pio ? KEEL_BUS_PIO : KEEL_BUS_MMIO;
}

static long add(struct keel_vm *vm, int bus, struct keel_zone *new)
{
	long err = -ENOSPC;

	mutex_lock(&vm->io_lock);
	if (vm->nr_zones[bus] < MAX_ZONES) {
		list_add_tail_rcu(&new->link, &vm->zones[bus]);
		WRITE_ONCE(vm->nr_zones[bus], vm->nr_zones[bus] + 1);
		err = 0;
	}
	mutex_unlock(&vm->io_lock);
	return err;
}

long keel_register_coalesced(struct keel_vm *vm, void *data)
{
	const struct kvm_coalesced_mmio_zone *in = data;
	struct keel_zone *new;
	long err;

	if (in->pio > 1)
		return -EINVAL;
	new = kzalloc(sizeof(*new), GFP_KERNEL_ACCOUNT);
	if (!new)
		return -ENOMEM;
	new->addr = in->addr;
	new->size = in->size;
	err = add(vm, bus_of(in), new);
	if (err)
		kfree(new);
	return err;
}

static void take_away(struct keel_vm *vm, int bus, struct keel_zone *z)
{
	list_del_rcu(&z->link);
	WRITE_ONCE(vm->nr_zones[bus], vm->nr_zones[bus] - 1);
	spin_lock(&vm->ring_lock);
	z->gone = true;
	spin_unlock(&vm->ring_lock);
	kfree_rcu(z, rcu);
}

/* Remove every zone that covers @data, as KVM does. It is no error if there is none. */
long keel_unregister_coalesced(struct keel_vm *vm, void *data)
{
	const struct kvm_coalesced_mmio_zone *what = data;
	struct keel_zone *z, *next;

	if (what->pio > 1)
		return -EINVAL;
	mutex_lock(&vm->io_lock);
	list_for_each_entry_safe(z, next, &vm->zones[bus_of(what)], link)
		if (covers(z, what->addr, what->size))
			take_away(vm, bus_of(what), z);
	mutex_unlock(&vm->io_lock);
	return 0;
}

/* --- life ---------------------------------------------------------------- */

int keel_coalesced_init(struct keel_vm *vm)
{
	int bus;

	for (bus = 0; bus < KEEL_BUSES; bus++)
		INIT_LIST_HEAD(&vm->zones[bus]);
	spin_lock_init(&vm->ring_lock);
	vm->ring = (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	return vm->ring ? 0 : -ENOMEM;
}

void keel_coalesced_free(struct keel_vm *vm)
{
	struct keel_zone *z, *next;
	int bus;

	for (bus = 0; bus < KEEL_BUSES; bus++)
		list_for_each_entry_safe(z, next, &vm->zones[bus], link)
			kfree(z);
	free_page((unsigned long)vm->ring);
}

struct page *keel_coalesced_page(struct keel_vm *vm)
{
	return virt_to_page(vm->ring);
}
