// SPDX-License-Identifier: GPL-2.0
/*
 * Owns the doorbells of a VM: for each bus a hash table by address, changed one
 * by one and read under RCU. A change waits for no reader and frees only the
 * doorbell that it removes; the cost of ringing does not depend on their
 * number. io.c offers the writes, and handles those that ring no doorbell.
 *
 * RCU and not SRCU, as no reader sleeps here: a vCPU that sleeps in another
 * kind of access does not delay the freeing of a doorbell.
 */
#include <linux/err.h>
#include <linux/hashtable.h>
#include <linux/rculist.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "compat/eventfd.h"
#include "doorbell.h"
#include "keel.h"
#include "test.h"

#define MAX_DOORBELLS	65536
#define KNOWN_FLAGS	(KVM_IOEVENTFD_FLAG_DATAMATCH | KVM_IOEVENTFD_FLAG_PIO |	\
			 KVM_IOEVENTFD_FLAG_DEASSIGN)

#define ADDR_BITS	10	/* of the hash: 64 to a bucket at most, if spread evenly */
#define PAGE_BITS	8

/*
 * struct doorbell - one ioeventfd
 * @len:	of the write; 0: any
 * @value:	that must be written, if @one_value
 * @gone:	removed: do not signal @eventfd any more
 * @near:	in @by_page, if on the MMIO bus and of any length
 */
struct doorbell {
	u64 addr;
	u64 value;
	struct eventfd_ctx *eventfd;
	u8 len;
	bool one_value;
	bool gone;
	spinlock_t lock;	/* protects @gone; held while @eventfd is signalled */
	struct hlist_node node, near;
	struct rcu_head rcu;
};

/* Doorbells of a bus. Allocated with the first one, freed with the VM. */
struct doorbells {
	DECLARE_HASHTABLE(by_addr, ADDR_BITS);
	DECLARE_HASHTABLE(by_page, PAGE_BITS);
};

/* --- ringing ------------------------------------------------------------- */

static struct doorbells *current_set(struct keel_vm *vm, int bus)
{
	return rcu_dereference_check(vm->doorbells[bus], lockdep_is_held(&vm->io_lock));
}

static bool rings(const struct doorbell *b, u64 addr, u64 value, unsigned int len)
{
	if (b->addr != addr || (b->len && b->len != len))
		return false;
	return !b->one_value || b->value == value;
}

/*
 * Signal the eventfd. False if remove() has set @gone: after its return nothing
 * may be signalled.
 */
static bool ring(struct keel_vcpu *vcpu, struct doorbell *b)
{
	bool here;

	test_point_busy(TEST_RINGING);
	spin_lock(&b->lock);
	here = !b->gone;
	if (here)
		keel_eventfd_signal(b->eventfd);
	spin_unlock(&b->lock);
	if (here)
		STAT(vcpu, doorbells);
	return here;
}

bool keel_doorbell_write(struct keel_vcpu *vcpu, int bus, u64 addr, const void *data,
			 unsigned int len)
{
	struct doorbells *set;
	struct doorbell *b;
	bool done = false;
	u64 value = 0;

	memcpy(&value, data, len);
	rcu_read_lock();
	set = current_set(vcpu->vm, bus);
	if (!set)
		goto unlock;
	hash_for_each_possible_rcu(set->by_addr, b, node, addr) {
		done = rings(b, addr, value, len) && ring(vcpu, b);
		if (done)
			break;
	}
unlock:
	rcu_read_unlock();
	return done;
}

static bool any_near(struct keel_vm *vm, gpa_t page)
{
	struct doorbells *set;
	struct doorbell *b;
	bool found = false;

	rcu_read_lock();
	set = current_set(vm, KEEL_BUS_MMIO);
	hash_for_each_possible_rcu(set->by_page, b, near, page) {
		found = (b->addr & PAGE_MASK) == page;
		if (found)
			break;
	}
	rcu_read_unlock();
	return found;
}

/* True if an MMIO doorbell of any length exists; the set of that bus is then not NULL. */
static bool mmio_any_length(const struct keel_vm *vm)
{
	/* Acquire: pairs with the release in insert(), which adds to the set before it counts. */
	return smp_load_acquire(&vm->any_length_doorbells);
}

bool keel_doorbell_near(struct keel_vcpu *vcpu, gpa_t gpa)
{
	return unlikely(mmio_any_length(vcpu->vm)) && any_near(vcpu->vm, gpa & PAGE_MASK);
}

bool keel_doorbell_any_length(struct keel_vcpu *vcpu, gpa_t gpa)
{
	struct doorbells *set;
	struct doorbell *b;
	bool done = false;

	if (!mmio_any_length(vcpu->vm))
		return false;
	rcu_read_lock();
	set = current_set(vcpu->vm, KEEL_BUS_MMIO);
	hash_for_each_possible_rcu(set->by_addr, b, node, gpa) {
		done = b->addr == gpa && !b->len && ring(vcpu, b);
		if (done)
			break;
	}
	rcu_read_unlock();
	return done;
}

/* --- the set ------------------------------------------------------------- */

/* True if some write would ring both. */
static bool collide(const struct doorbell *a, const struct doorbell *b)
{
	if (a->addr != b->addr)
		return false;
	if (!a->len || !b->len)
		return true;
	if (a->len != b->len)
		return false;
	return !a->one_value || !b->one_value || a->value == b->value;
}

static bool same(const struct doorbell *a, const struct doorbell *b)
{
	return a->addr == b->addr && a->len == b->len && a->eventfd == b->eventfd &&
	       a->one_value == b->one_value && (!a->one_value || a->value == b->value);
}

static struct doorbells *make_set(struct keel_vm *vm, int bus)
{
	struct doorbells *set = current_set(vm, bus);

	if (set)
		return set;
	/* Zeroed buckets are empty. */
	set = kvzalloc(sizeof(*set), GFP_KERNEL_ACCOUNT);
	if (set)
		rcu_assign_pointer(vm->doorbells[bus], set);
	return set;
}

static bool is_near_by(const struct doorbell *b, int bus)
{
	return bus == KEEL_BUS_MMIO && !b->len;
}

static int insert(struct keel_vm *vm, int bus, struct doorbell *new)
{
	struct doorbells *set = make_set(vm, bus);
	struct doorbell *b;

	lockdep_assert_held(&vm->io_lock);
	if (!set)
		return -ENOMEM;
	if (vm->nr_doorbells[bus] >= MAX_DOORBELLS)
		return -ENOSPC;
	hash_for_each_possible(set->by_addr, b, node, new->addr)
		if (collide(b, new))
			return -EEXIST;
	hash_add_rcu(set->by_addr, &new->node, new->addr);
	WRITE_ONCE(vm->nr_doorbells[bus], vm->nr_doorbells[bus] + 1);
	if (!is_near_by(new, bus))
		return 0;
	hash_add_rcu(set->by_page, &new->near, new->addr & PAGE_MASK);
	/* Release: pairs with the acquire in mmio_any_length(). */
	smp_store_release(&vm->any_length_doorbells, vm->any_length_doorbells + 1);
	return 0;
}

/* On success the set keeps the reference to the eventfd. */
static int add(struct keel_vm *vm, int bus, const struct doorbell *what)
{
	struct doorbell *new = kmemdup(what, sizeof(*what), GFP_KERNEL_ACCOUNT);
	int err;

	if (!new)
		return -ENOMEM;
	spin_lock_init(&new->lock);
	mutex_lock(&vm->io_lock);
	err = insert(vm, bus, new);
	mutex_unlock(&vm->io_lock);
	if (err)
		kfree(new);
	return err;
}

static struct doorbell *take_out(struct keel_vm *vm, int bus, const struct doorbell *what)
{
	struct doorbells *set = current_set(vm, bus);
	struct doorbell *b;

	if (!set)
		return NULL;
	hash_for_each_possible(set->by_addr, b, node, what->addr)
		if (same(b, what))
			break;
	if (!b)
		return NULL;
	hash_del_rcu(&b->node);
	WRITE_ONCE(vm->nr_doorbells[bus], vm->nr_doorbells[bus] - 1);
	if (is_near_by(b, bus)) {
		hash_del_rcu(&b->near);
		WRITE_ONCE(vm->any_length_doorbells, vm->any_length_doorbells - 1);
	}
	return b;
}

/*
 * On return the eventfd is not signalled any more: a vCPU that has found the
 * doorbell before has either signalled it or finds @gone set.
 */
static int remove(struct keel_vm *vm, int bus, const struct doorbell *what)
{
	struct doorbell *b;

	mutex_lock(&vm->io_lock);
	b = take_out(vm, bus, what);
	mutex_unlock(&vm->io_lock);
	if (!b)
		return -ENOENT;
	spin_lock(&b->lock);
	b->gone = true;
	spin_unlock(&b->lock);
	eventfd_ctx_put(b->eventfd);
	kfree_rcu(b, rcu);
	return 0;
}

void keel_doorbells_free(struct keel_vm *vm)
{
	struct hlist_node *next;
	struct doorbell *b;
	int bus, i;

	for (bus = 0; bus < KEEL_BUSES; bus++) {
		struct doorbells *set = rcu_dereference_protected(vm->doorbells[bus], true);

		if (!set)
			continue;
		hash_for_each_safe(set->by_addr, i, next, b, node) {
			eventfd_ctx_put(b->eventfd);
			kfree(b);
		}
		kvfree(set);
	}
}

/* --- the ioctl ----------------------------------------------------------- */

static int check(const struct kvm_ioeventfd *in)
{
	if (in->flags & ~KNOWN_FLAGS)
		return -EINVAL;
	if (in->len > 8 || (in->len & (in->len - 1)) || in->addr + in->len < in->addr)
		return -EINVAL;
	/* A doorbell of any length cannot compare the value written. */
	if (!in->len && (in->flags & KVM_IOEVENTFD_FLAG_DATAMATCH))
		return -EINVAL;
	return 0;
}

long keel_ioeventfd(struct keel_vm *vm, void *data)
{
	const struct kvm_ioeventfd *in = data;
	int bus = in->flags & KVM_IOEVENTFD_FLAG_PIO ? KEEL_BUS_PIO : KEEL_BUS_MMIO;
	bool take_away = in->flags & KVM_IOEVENTFD_FLAG_DEASSIGN;
	struct doorbell b = {
		.addr = in->addr,
		.len = in->len,
		.one_value = in->flags & KVM_IOEVENTFD_FLAG_DATAMATCH,
		.value = in->datamatch,
	};
	int err = check(in);

	if (err)
		return err;
	b.eventfd = eventfd_ctx_fdget(in->fd);
	if (IS_ERR(b.eventfd))
		return PTR_ERR(b.eventfd);
	err = take_away ? remove(vm, bus, &b) : add(vm, bus, &b);
	/* remove() uses the reference only to find the doorbell. */
	if (err || take_away)
		eventfd_ctx_put(b.eventfd);
	return err;
}
