// SPDX-License-Identifier: GPL-2.0
/*
 * Owns the machine-check registers of the guest and the ioctls that set them up
 * and raise a machine check. It touches no hardware: a machine check of the
 * host never gets here.
 */
#include <linux/errno.h>
#include <linux/nospec.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <asm/mce.h>
#include <asm/trapnr.h>

#include "irq.h"
#include "keel.h"
#include "mce.h"

#define BANKS_FIRST	MSR_IA32_MC0_CTL
/* Bits of MCG_CAP that userspace may set besides the number of banks: MCG_CTL, recovery. */
#define SUPPORTED	(MCG_CTL_P | MCG_SER_P)
#define EXTENDED_REGS	MCG_EXT_CNT_MASK

enum { CTL, STATUS, ADDR, MISC };

static unsigned int nr_banks(const struct keel_mce *m)
{
	return m->cap & MCG_BANKCNT_MASK;
}

/* All banks exist, with all of their error reporting disabled. */
void keel_mce_reset(struct keel_vcpu *vcpu)
{
	memset(&vcpu->mce, 0, sizeof(vcpu->mce));
	vcpu->mce.cap = KEEL_MCE_BANKS;
}

/* --- registers ----------------------------------------------------------- */

/* Guest and userspace choose @n: clamp it under speculation too. */
static u64 *bank_at(struct keel_mce *m, u32 n)
{
	unsigned int nr = nr_banks(m);

	return n < nr ? m->bank[array_index_nospec(n, nr)] : NULL;
}

static u64 *bank_register(struct keel_mce *m, u32 index)
{
	u32 n = index - BANKS_FIRST;
	u64 *bank = bank_at(m, n / 4);

	return bank ? &bank[n % 4] : NULL;
}

/* Userspace may read MCG_CTL even if it does not exist: it is in the index list. */
int keel_get_mce_msr(struct keel_vcpu *vcpu, u32 index, u64 *val, bool host)
{
	struct keel_mce *m = &vcpu->mce;
	u64 *reg;

	switch (index) {
	case MSR_IA32_MCG_CAP:
		*val = m->cap;
		return 0;
	case MSR_IA32_MCG_STATUS:
		*val = m->status;
		return 0;
	case MSR_IA32_MCG_CTL:
		if (!(m->cap & MCG_CTL_P) && !host)
			return -EINVAL;
		*val = m->ctl;
		return 0;
	}
	reg = bank_register(m, index);
	if (!reg)
		return -EINVAL;
	*val = *reg;
	return 0;
}

static bool all_or_nothing(u64 val)
{
	return !val || val == ~0ULL;
}

/* Userspace may write 0 to MCG_CTL even if it does not exist. */
static int set_ctl(struct keel_mce *m, u64 val, bool host)
{
	if (!all_or_nothing(val) || (!(m->cap & MCG_CTL_P) && (val || !host)))
		return -EINVAL;
	m->ctl = val;
	return 0;
}

/*
 * A bank's CTL takes all ones or zero. Accept all ones without bit 10 or bit 0
 * too, which some kernels write. The guest may only clear a STATUS; userspace
 * may set it.
 */
static int set_bank(struct keel_mce *m, u32 index, u64 val, bool host)
{
	u64 *reg = bank_register(m, index);
	u32 kind = (index - BANKS_FIRST) % 4;

	if (!reg)
		return -EINVAL;
	if (kind == CTL && val && (val | BIT(10) | BIT(0)) != ~0ULL)
		return -EINVAL;
	if (kind == STATUS && val && !host)
		return -EINVAL;
	*reg = val;
	return 0;
}

int keel_set_mce_msr(struct keel_vcpu *vcpu, u32 index, u64 val, bool host)
{
	struct keel_mce *m = &vcpu->mce;

	switch (index) {
	case MSR_IA32_MCG_CAP:
		return -EINVAL;
	case MSR_IA32_MCG_STATUS:
		m->status = val;
		return 0;
	case MSR_IA32_MCG_CTL:
		return set_ctl(m, val, host);
	default:
		return set_bank(m, index, val, host);
	}
}

/* --- ioctls -------------------------------------------------------------- */

long keel_get_mce_cap_supported(void *data)
{
	return put_user((u64)SUPPORTED, (u64 __user *)data);
}

long keel_setup_mce(struct keel_vcpu *vcpu, void *data)
{
	struct keel_mce *m = &vcpu->mce;
	u64 cap = *(u64 *)data;
	unsigned int i;

	if (!(cap & MCG_BANKCNT_MASK) || (cap & MCG_BANKCNT_MASK) > KEEL_MCE_BANKS ||
	    cap & ~(SUPPORTED | MCG_BANKCNT_MASK | EXTENDED_REGS))
		return -EINVAL;
	m->cap = cap;
	if (cap & MCG_CTL_P)
		m->ctl = ~0ULL;
	for (i = 0; i < nr_banks(m); i++)
		m->bank[i][CTL] = ~0ULL;
	return 0;
}

static void record(u64 *bank, const struct kvm_x86_mce *in)
{
	bank[STATUS] = in->status | (bank[STATUS] & MCI_STATUS_VAL ? MCI_STATUS_OVER : 0);
	bank[ADDR] = in->addr;
	bank[MISC] = in->misc;
}

/* Raise #MC for an uncorrected error, or a triple fault if the guest cannot take #MC. */
static void raise_uncorrected(struct keel_vcpu *vcpu, u64 *bank, const struct kvm_x86_mce *in)
{
	struct keel_mce *m = &vcpu->mce;

	/* Report nothing if the guest has turned reporting off. */
	if ((m->cap & MCG_CTL_P && m->ctl != ~0ULL) || bank[CTL] != ~0ULL)
		return;
	if (m->status & MCG_STATUS_MCIP || !(vmx_cr4(&vcpu->vmx) & X86_CR4_MCE)) {
		vcpu->events.triple_fault = true;
		keel_make_request(vcpu, REQ_EVENT);
		return;
	}
	record(bank, in);
	m->status = in->mcg_status;
	keel_queue_exception(vcpu, X86_TRAP_MC);
}

long keel_set_mce(struct keel_vcpu *vcpu, void *data)
{
	const struct kvm_x86_mce *in = data;
	u64 *bank = bank_at(&vcpu->mce, in->bank);

	if (!bank || !(in->status & MCI_STATUS_VAL))
		return -EINVAL;
	if (in->status & MCI_STATUS_UC)
		raise_uncorrected(vcpu, bank, in);
	else if (!(bank[STATUS] & MCI_STATUS_VAL) || !(bank[STATUS] & MCI_STATUS_UC))
		record(bank, in);
	else	/* an uncorrected error stays */
		bank[STATUS] |= MCI_STATUS_OVER;
	return 0;
}
