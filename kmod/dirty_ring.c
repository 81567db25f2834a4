// SPDX-License-Identifier: GPL-2.0
/*
 * The dirty ring. The vCPU makes a free entry dirty, userspace hands it back, and
 * KVM_RESET_DIRTY_RINGS makes it free again and rearms its page. Userspace can write
 * anything to the entries: read each word once, and check it.
 */
#include <linux/kvm.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/nospec.h>
#include <linux/vmalloc.h>

#include "dirty_ring.h"
#include "keel.h"
#include "memory.h"

/*
 * Entries that are free when a vCPU enters the guest: for a whole PML buffer, and for
 * what the kernel may write in handling one exit.
 */
#define RESERVED	(64 + VMX_LOG_ENTRIES)

static u32 used(const struct keel_dirty_ring *ring)
{
	return ring->head - READ_ONCE(ring->taken_back);
}

static bool nearly_full(const struct keel_vcpu *vcpu)
{
	return used(&vcpu->ring) >= vcpu->vm->dirty_ring_entries - RESERVED;
}

static struct kvm_dirty_gfn *entry_at(const struct keel_vm *vm, struct keel_dirty_ring *ring,
				      u32 n)
{
	return &ring->entry[n & (vm->dirty_ring_entries - 1)];
}

void keel_ring_push(struct keel_vcpu *vcpu, const struct keel_memslot *slot, u64 offset)
{
	struct kvm_dirty_gfn *e = entry_at(vcpu->vm, &vcpu->ring, vcpu->ring.head);

	/* RESERVED and keel_ring_has_room() keep an entry free. */
	if (WARN_ON_ONCE(used(&vcpu->ring) >= vcpu->vm->dirty_ring_entries)) {
		keel_vm_kill(vcpu->vm);
		return;
	}
	WRITE_ONCE(e->slot, (u32)slot->as << 16 | slot->id);
	WRITE_ONCE(e->offset, offset);
	/* Release: userspace that reads the flag sees slot, offset and the write to the page. */
	smp_store_release(&e->flags, KVM_DIRTY_GFN_F_DIRTY);
	WRITE_ONCE(vcpu->ring.head, vcpu->ring.head + 1);
	if (nearly_full(vcpu))
		keel_make_request(vcpu, REQ_RING_FULL);
}

bool keel_ring_has_room(const struct keel_vcpu *vcpu)
{
	return !vcpu->vm->dirty_ring_entries || !nearly_full(vcpu);
}

bool keel_ring_full(struct keel_vcpu *vcpu)
{
	if (!nearly_full(vcpu))
		return false;
	/* Every KVM_RUN returns this exit until userspace has made room. */
	keel_make_request(vcpu, REQ_RING_FULL);
	vcpu->run->exit_reason = KVM_EXIT_DIRTY_RING_FULL;
	return true;
}

/* --- handing back ------------------------------------------------------- */

static void log_again(struct keel_vm *vm, u32 id, u64 offset)
{
	const struct keel_memslot *slot;

	if (!memslot_id_valid(id))
		return;
	slot = memory_slot(vm, id >> 16, (u16)id);
	if (slot && slot->flags & KVM_MEM_LOG_DIRTY_PAGES && offset < slot->npages)
		mmu_log_again(vm, slot->as, slot->base + offset, 1, NULL);
}

/* Free the entries that are handed back, up to the first that is not; returns how many. */
static u32 take_back(struct keel_vm *vm, struct keel_dirty_ring *ring)
{
	u32 n = ring->taken_back;

	/* Stop at the last entry that was filled, whatever userspace has written behind it. */
	for (; n != READ_ONCE(ring->head); n++) {
		struct kvm_dirty_gfn *e = entry_at(vm, ring, n);
		u32 slot;
		u64 offset;

		/* Acquire: read slot and offset after the flag that userspace sets. */
		if (!(smp_load_acquire(&e->flags) & KVM_DIRTY_GFN_F_RESET))
			break;
		slot = READ_ONCE(e->slot);
		offset = READ_ONCE(e->offset);
		WRITE_ONCE(e->flags, 0);
		log_again(vm, slot, offset);
		mmu_log_cond_resched(vm);
	}
	n -= ring->taken_back;
	/* Release: all accesses to the entries come before the vCPU can fill them again. */
	smp_store_release(&ring->taken_back, ring->taken_back + n);
	return n;
}

long keel_reset_dirty_rings(struct keel_vm *vm, void *unused)
{
	struct keel_vcpu *vcpu;
	unsigned long i;
	long n = 0;

	if (!vm->dirty_ring_entries)
		return -EINVAL;
	/* No vCPU is added meanwhile, or freed because its creation fails. */
	mutex_lock(&vm->lock);
	mutex_lock(&vm->slots_lock);
	mmu_log_begin(vm);
	xa_for_each(&vm->vcpus, i, vcpu)
		n += take_back(vm, &vcpu->ring);
	mmu_log_end(vm);
	mutex_unlock(&vm->slots_lock);
	mutex_unlock(&vm->lock);
	return n;
}

/* --- life --------------------------------------------------------------- */

int keel_ring_init(struct keel_vcpu *vcpu)
{
	u32 entries = vcpu->vm->dirty_ring_entries;

	if (!entries)
		return 0;
	vcpu->ring.entry = __vmalloc(array_size(entries, sizeof(*vcpu->ring.entry)),
				     GFP_KERNEL_ACCOUNT | __GFP_ZERO);
	return vcpu->ring.entry ? 0 : -ENOMEM;
}

void keel_ring_free(struct keel_vcpu *vcpu)
{
	vfree(vcpu->ring.entry);
}

static unsigned long ring_pages(const struct keel_vm *vm)
{
	return vm->dirty_ring_entries * sizeof(struct kvm_dirty_gfn) / PAGE_SIZE;
}

bool keel_ring_covers(const struct keel_vm *vm, unsigned long pgoff, unsigned long pages)
{
	return pgoff < KVM_DIRTY_LOG_PAGE_OFFSET + ring_pages(vm) &&
	       pgoff + pages > KVM_DIRTY_LOG_PAGE_OFFSET;
}

struct page *keel_ring_page(const struct keel_vcpu *vcpu, unsigned long pgoff)
{
	unsigned long pages = ring_pages(vcpu->vm), i = pgoff - KVM_DIRTY_LOG_PAGE_OFFSET;

	if (i >= pages)
		return NULL;
	return vmalloc_to_page((void *)vcpu->ring.entry +
			       array_index_nospec(i, pages) * PAGE_SIZE);
}

/* Can be enabled once, before the first vCPU is created. */
long keel_enable_ring(struct keel_vm *vm, const u64 *args)
{
	u64 bytes = args[0];
	long err = -EINVAL;

	if (!is_power_of_2(bytes) || bytes < PAGE_SIZE ||
	    bytes < RESERVED * sizeof(struct kvm_dirty_gfn))
		return -EINVAL;
	if (bytes > KEEL_RING_MAX_ENTRIES * sizeof(struct kvm_dirty_gfn))
		return -E2BIG;
	mutex_lock(&vm->lock);
	if (!vm->nr_vcpus && !vm->dirty_ring_entries) {
		WRITE_ONCE(vm->dirty_ring_entries, bytes / sizeof(struct kvm_dirty_gfn));
		err = 0;
	}
	mutex_unlock(&vm->lock);
	return err;
}
