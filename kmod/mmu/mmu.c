// SPDX-License-Identifier: GPL-2.0
/*
 * Set-up from the CPU's features, the top tables of a VM and their end, and the
 * count of invalidations by the host. fault.c and mmio.c decide what goes into the
 * tables.
 */
#include <linux/cpu.h>
#include <linux/moduleparam.h>
#include <asm/cpufeature.h>
#include <asm/processor.h>

#include "fault.h"

static bool huge_pages = true;
module_param(huge_pages, bool, 0444);
MODULE_PARM_DESC(huge_pages, "map 2 MiB and 1 GiB at a time where the host does");

struct spte_format mmu_format __ro_after_init;
int mmu_max_level __ro_after_init = 1;
bool mmu_small_code __ro_after_init;

/* Four levels translate 48 bits. */
static int address_bits(void)
{
	return min_t(int, boot_cpu_data.x86_phys_bits, 48);
}

gfn_t mmu_max_gfn(void)
{
	return 1ULL << (address_bits() - KEEL_PAGE_SHIFT);
}

int mmu_setup(void)
{
	if (huge_pages && vmx_caps.ept_2m)
		mmu_max_level = vmx_caps.ept_1g ? 3 : 2;
	mmu_small_code = boot_cpu_has_bug(X86_BUG_ITLB_MULTIHIT) && !cpu_mitigations_off();
	mmu_log_hardware = vmx_caps.pml;
	spte_format_init(&mmu_format, address_bits(), boot_cpu_data.x86_cache_bits,
			 boot_cpu_has_bug(X86_BUG_L1TF), vmx_caps.ept_ad);
	return shrink_setup();
}

void mmu_vm_free(struct keel_vm *vm)
{
	struct keel_mmu *mmu = &vm->mmu;
	int as, i;

	for (as = 0; as < KEEL_ADDRESS_SPACES; as++) {
		struct zap z;

		if (!mmu->table[as])
			continue;
		zap_init(&z, vm);
		spin_lock(&mmu->lock);
		for (i = 0; i < TABLE_ENTRIES; i++)
			zap_entry(&z, mmu->table[as], i);
		zap_finish(&z);
		spin_unlock(&mmu->lock);
		table_free(mmu->table[as]);
		mmu->table[as] = NULL;
	}
}

int mmu_vm_init(struct keel_vm *vm)
{
	struct keel_mmu *mmu = &vm->mmu;
	int as;

	spin_lock_init(&mmu->lock);
	INIT_LIST_HEAD(&mmu->dead);
	INIT_LIST_HEAD(&mmu->low);
	for (as = 0; as < KEEL_ADDRESS_SPACES; as++) {
		struct keel_table *t = table_alloc();

		if (!t)
			goto free;
		t->level = MMU_TOP_LEVEL;
		t->as = as;
		mmu->table[as] = t;
		mmu->root[as] = table_address(t);
		INIT_LIST_HEAD(&mmu->mmio[as]);
	}
	return 0;
free:
	mmu_vm_free(vm);
	return -ENOMEM;
}

void mmu_invalidate_begin(struct keel_vm *vm, hva_t start, hva_t end)
{
	struct keel_mmu *mmu = &vm->mmu;

	lockdep_assert_held(&mmu->lock);
	/* One range for all invalidations in progress: it may be too large, never too small. */
	if (mmu->invalidating) {
		start = min(mmu->invalidate_start, start);
		end = max(mmu->invalidate_end, end);
	}
	WRITE_ONCE(mmu->invalidate_start, start);
	WRITE_ONCE(mmu->invalidate_end, end);
	WRITE_ONCE(mmu->invalidating, mmu->invalidating + 1);
}

void mmu_invalidate_end(struct keel_vm *vm)
{
	struct keel_mmu *mmu = &vm->mmu;

	lockdep_assert_held(&mmu->lock);
	WRITE_ONCE(mmu->invalidate_seq, mmu->invalidate_seq + 1);
	if (WARN_ON_ONCE(!mmu->invalidating))
		keel_vm_kill(vm);
	else
		WRITE_ONCE(mmu->invalidating, mmu->invalidating - 1);
}
