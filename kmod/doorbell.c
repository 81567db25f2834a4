// SPDX-License-Identifier: GPL-2.0
/*
 * Owns the doorbells of a VM: for each bus a snapshot of them in order of
 * address, replaced as a whole and read under SRCU. Who writes, and what
 * happens to a write that rings none, is io.c's business.
 */
#include <linux/err.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "compat/eventfd.h"
#include "doorbell.h"
#include "keel.h"

#define MAX_DOORBELLS	65536
#define KNOWN_FLAGS	(KVM_IOEVENTFD_FLAG_DATAMATCH | KVM_IOEVENTFD_FLAG_PIO |	\
			 KVM_IOEVENTFD_FLAG_DEASSIGN)

/*
 * struct doorbell - what rings it
 * @len:	of the write; 0: any
 * @value:	that must be written, if @one_value
 */
struct doorbell {
	u64 addr;
	u64 value;
	struct eventfd_ctx *eventfd;
	u8 len;
	bool one_value;
};

/* @any_length: how many of them do not ask for a length */
struct doorbells {
	int nr;
	int any_length;
	struct doorbell bell[];
};

/* --- ringing ------------------------------------------------------------- */

/* The first that is not below @addr. */
static int first_at(const struct doorbells *set, u64 addr)
{
	int low = 0, high = set->nr;

	while (low < high) {
		int middle = (low + high) / 2;

		if (set->bell[middle].addr < addr)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool rings(const struct doorbell *b, u64 value, unsigned int len)
{
	if (b->len && b->len != len)
		return false;
	return !b->one_value || b->value == value;
}

static void ring(struct keel_vcpu *vcpu, const struct doorbell *b)
{
	keel_eventfd_signal(b->eventfd);
	STAT(vcpu, doorbells);
}

bool keel_doorbell_write(struct keel_vcpu *vcpu, int bus, u64 addr, const void *data,
			 unsigned int len)
{
	const struct doorbells *set = srcu_dereference(vcpu->vm->doorbells[bus], &vcpu->vm->srcu);
	u64 value = 0;
	int i;

	if (!set)
		return false;
	memcpy(&value, data, len);
	for (i = first_at(set, addr); i < set->nr && set->bell[i].addr == addr; i++) {
		if (!rings(&set->bell[i], value, len))
			continue;
		ring(vcpu, &set->bell[i]);
		return true;
	}
	return false;
}

static const struct doorbells *mmio_any_length(struct keel_vcpu *vcpu)
{
	const struct doorbells *set = srcu_dereference(vcpu->vm->doorbells[KEEL_BUS_MMIO],
						       &vcpu->vm->srcu);

	return set && set->any_length ? set : NULL;
}

bool keel_doorbell_near(struct keel_vcpu *vcpu, gpa_t gpa)
{
	const struct doorbells *set = mmio_any_length(vcpu);
	int i;

	if (likely(!set))
		return false;
	gpa &= PAGE_MASK;
	for (i = first_at(set, gpa); i < set->nr && set->bell[i].addr - gpa < PAGE_SIZE; i++)
		if (!set->bell[i].len)
			return true;
	return false;
}

/* Where one of any length is there is no other. */
bool keel_doorbell_any_length(struct keel_vcpu *vcpu, gpa_t gpa)
{
	const struct doorbells *set = mmio_any_length(vcpu);
	const struct doorbell *b;
	int i;

	if (!set)
		return false;
	i = first_at(set, gpa);
	b = &set->bell[i];
	if (i == set->nr || b->addr != gpa || b->len)
		return false;
	ring(vcpu, b);
	return true;
}

/* --- the set ------------------------------------------------------------- */

static struct doorbells *current_set(struct keel_vm *vm, int bus)
{
	return rcu_dereference_protected(vm->doorbells[bus], lockdep_is_held(&vm->lock));
}

/* Some write would ring both. */
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

/* @old with @new put in before @at. */
static struct doorbells *with(const struct doorbells *old, int at, const struct doorbell *new)
{
	int nr = old ? old->nr : 0;
	struct doorbells *set = kvmalloc(struct_size(set, bell, nr + 1), GFP_KERNEL_ACCOUNT);

	if (!set)
		return NULL;
	if (old) {
		memcpy(set->bell, old->bell, array_size(at, sizeof(*new)));
		memcpy(set->bell + at + 1, old->bell + at, array_size(nr - at, sizeof(*new)));
	}
	set->bell[at] = *new;
	set->nr = nr + 1;
	set->any_length = (old ? old->any_length : 0) + !new->len;
	return set;
}

/* @old less the one at @at. */
static struct doorbells *without(const struct doorbells *old, int at)
{
	int nr = old->nr - 1;
	struct doorbells *set = kvmalloc(struct_size(set, bell, nr), GFP_KERNEL_ACCOUNT);

	if (!set)
		return NULL;
	memcpy(set->bell, old->bell, array_size(at, sizeof(old->bell[0])));
	memcpy(set->bell + at, old->bell + at + 1, array_size(nr - at, sizeof(old->bell[0])));
	set->nr = nr;
	set->any_length = old->any_length - !old->bell[at].len;
	return set;
}

/* Publish @set in place of the one there is, which is returned and may still be read. */
static struct doorbells *publish(struct keel_vm *vm, int bus, struct doorbells *set)
{
	return rcu_replace_pointer(vm->doorbells[bus], set, lockdep_is_held(&vm->lock));
}

static int add_locked(struct keel_vm *vm, int bus, const struct doorbell *new,
		      struct doorbells **old)
{
	struct doorbells *set = current_set(vm, bus);
	int at = set ? first_at(set, new->addr) : 0, i;

	if (set && set->nr >= MAX_DOORBELLS)
		return -ENOSPC;
	for (i = at; set && i < set->nr && set->bell[i].addr == new->addr; i++)
		if (collide(&set->bell[i], new))
			return -EEXIST;
	set = with(set, at, new);
	if (!set)
		return -ENOMEM;
	*old = publish(vm, bus, set);
	return 0;
}

/* The set keeps the reference to the eventfd. */
static int add(struct keel_vm *vm, int bus, const struct doorbell *new)
{
	struct doorbells *old = NULL;
	int err;

	mutex_lock(&vm->lock);
	err = add_locked(vm, bus, new, &old);
	keel_unlock_and_retire(vm, old);
	return err;
}

static int remove_locked(struct keel_vm *vm, int bus, const struct doorbell *what,
			 struct doorbells **old)
{
	struct doorbells *set = current_set(vm, bus), *less = NULL;
	int i;

	for (i = set ? first_at(set, what->addr) : 0; set && i < set->nr; i++)
		if (same(&set->bell[i], what))
			break;
	if (!set || i == set->nr)
		return -ENOENT;
	/* An empty one is none at all, and costs nothing. */
	if (set->nr > 1) {
		less = without(set, i);
		if (!less)
			return -ENOMEM;
	}
	*old = publish(vm, bus, less);
	return 0;
}

/* When this returns the eventfd is not signalled any more. */
static int remove(struct keel_vm *vm, int bus, const struct doorbell *what)
{
	struct doorbells *old = NULL;
	int err;

	mutex_lock(&vm->lock);
	err = remove_locked(vm, bus, what, &old);
	keel_unlock_and_retire(vm, old);
	if (!err)
		eventfd_ctx_put(what->eventfd);
	return err;
}

void keel_doorbells_free(struct keel_vm *vm)
{
	int bus, i;

	for (bus = 0; bus < KEEL_BUSES; bus++) {
		struct doorbells *set = rcu_dereference_protected(vm->doorbells[bus], true);

		for (i = 0; set && i < set->nr; i++)
			eventfd_ctx_put(set->bell[i].eventfd);
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
	/* A write of any length cannot be compared. */
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
	/* Taking it away needs the reference only to know which one is meant. */
	if (err || take_away)
		eventfd_ctx_put(b.eventfd);
	return err;
}
