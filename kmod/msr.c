// SPDX-License-Identifier: GPL-2.0
/*
 * Owns the table of the guest's model-specific registers. A row names the
 * functions that read and write a register, the feature that it belongs to, and
 * whether userspace must save it. These functions check each value, so that
 * vmx/ gets only values that can be loaded into the CPU. The ioctls are in
 * msr_io.c.
 */
#include <linux/nospec.h>
#include <linux/slab.h>
#include <asm/cpufeature.h>
#include <asm/kvm_para.h>
#include <asm/msr.h>

#include "clock.h"
#include "cpuid.h"
#include "cr.h"
#include "exit.h"
#include "irq.h"
#include "keel.h"
#include "mce.h"
#include "msr.h"
#include "msr_filter.h"
#include "msr_table.h"

#define NR_VAR_MTRR	8
#define NR_FIXED_MTRR	11
#define MTRR_CAP_MSR	0xfe
#define MTRR_VARIABLE	0x200
#define MTRR_FIXED_64K	0x250
#define MTRR_FIXED_16K	0x258		/* two of them */
#define MTRR_FIXED_4K	0x268		/* eight of them */
#define MTRR_DEFAULT	0x2ff
/* Write combining, fixed ranges, variable ranges. */
#define MTRR_CAP	(BIT(10) | BIT(8) | NR_VAR_MTRR)

#define MISC_ENABLE_READ_ONLY	(MSR_IA32_MISC_ENABLE_BTS_UNAVAIL | \
				 MSR_IA32_MISC_ENABLE_PEBS_UNAVAIL)
#define GUEST_ADDRESS_BITS	48		/* width of a virtual address */
#define RESET_SMBASE		0x30000

/* Immunities of the host that hold for a guest too, and bits about its use of IA32_SPEC_CTRL. */
#define ARCH_CAPS_OFFERED	(ARCH_CAP_RDCL_NO | ARCH_CAP_IBRS_ALL | ARCH_CAP_RSBA |		\
				 ARCH_CAP_SSB_NO | ARCH_CAP_MDS_NO | ARCH_CAP_PSCHANGE_MC_NO |	\
				 ARCH_CAP_TAA_NO |						\
				 ARCH_CAP_SBDR_SSDP_NO | ARCH_CAP_FBSDP_NO | ARCH_CAP_PSDP_NO |	\
				 ARCH_CAP_FB_CLEAR | ARCH_CAP_RRSBA | ARCH_CAP_BHI_NO |		\
				 ARCH_CAP_PBRSB_NO | ARCH_CAP_GDS_NO | ARCH_CAP_RFDS_NO |	\
				 ARCH_CAP_RFDS_CLEAR)

/* Registers that only hold their value: the CPU does not use it. */
struct keel_msrs {
	u64 pat;
	u64 misc_enable;
	u64 feature_control;
	u64 platform_info;
	u64 smbase;
	u64 power_ctl;
	u64 cstar;
	u64 microcode;
	u64 arch_capabilities;
	u64 mtrr_default;
	u64 mtrr_fixed[NR_FIXED_MTRR];
	u64 mtrr_variable[2 * NR_VAR_MTRR];
};

static bool canonical(u64 addr)
{
	return __is_canonical_address(addr, GUEST_ADDRESS_BITS);
}

/* --- registers that vmx/ keeps ------------------------------------------- */

static int get_hardware(struct keel_vcpu *vcpu, u32 index, u64 *val, bool host)
{
	return vmx_get_msr(&vcpu->vmx, index, val) ? 0 : -EINVAL;
}

static int set_hardware(struct keel_vcpu *vcpu, u32 index, u64 val, bool host)
{
	return vmx_set_msr(&vcpu->vmx, index, val) ? 0 : -EINVAL;
}

static int set_address(struct keel_vcpu *vcpu, u32 index, u64 val, bool host)
{
	return canonical(val) ? set_hardware(vcpu, index, val, host) : -EINVAL;
}

/* Userspace may set any value, as on KVM: make it canonical. */
static int set_sysenter_address(struct keel_vcpu *vcpu, u32 index, u64 val, bool host)
{
	if (host)
		val = __canonical_address(val, GUEST_ADDRESS_BITS);
	return set_address(vcpu, index, val, host);
}

static int set_32bit(struct keel_vcpu *vcpu, u32 index, u64 val, bool host)
{
	return val >> 32 ? -EINVAL : set_hardware(vcpu, index, val, host);
}

static int set_sysenter_cs(struct keel_vcpu *vcpu, u32 index, u64 val, bool host)
{
	return set_hardware(vcpu, index, (u32)val, host);
}

/* Accept the bit that enables branch records and drop it, as a CPU without them does. */
static int set_debugctl(struct keel_vcpu *vcpu, u32 index, u64 val, bool host)
{
	if (val & ~(DEBUGCTLMSR_BTF | DEBUGCTLMSR_LBR))
		return -EINVAL;
	return set_hardware(vcpu, index, val & DEBUGCTLMSR_BTF, host);
}

/* --- registers with a meaning of their own ------------------------------- */

static int get_efer(struct keel_vcpu *vcpu, u32 index, u64 *val, bool host)
{
	*val = vmx_efer(&vcpu->vmx);
	return 0;
}

static int set_efer(struct keel_vcpu *vcpu, u32 index, u64 val, bool host)
{
	return keel_set_efer(vcpu, val, host);
}

static int get_tsc(struct keel_vcpu *vcpu, u32 index, u64 *val, bool host)
{
	*val = keel_tsc_read(vcpu);
	return 0;
}

static int set_tsc(struct keel_vcpu *vcpu, u32 index, u64 val, bool host)
{
	if (host)
		keel_tsc_synchronize(vcpu, val);
	else
		keel_tsc_write(vcpu, val);
	return 0;
}

static int get_tsc_adjust(struct keel_vcpu *vcpu, u32 index, u64 *val, bool host)
{
	*val = vcpu->tsc_adjust;
	return 0;
}

/* Userspace restores the register only: it restores the counter through MSR_IA32_TSC. */
static int set_tsc_adjust(struct keel_vcpu *vcpu, u32 index, u64 val, bool host)
{
	if (host)
		vcpu->tsc_adjust = val;
	else
		keel_tsc_set_adjust(vcpu, val);
	return 0;
}

static int get_apic_base(struct keel_vcpu *vcpu, u32 index, u64 *val, bool host)
{
	*val = vcpu->apic_base;
	return 0;
}

int keel_set_apic_base(struct keel_vcpu *vcpu, u64 val)
{
	u64 legal = GENMASK_ULL(vcpu->maxphyaddr - 1, 12) |
		    MSR_IA32_APICBASE_ENABLE | MSR_IA32_APICBASE_BSP;

	if (val & ~legal)
		return -EINVAL;
	vcpu->apic_base = val;
	keel_cpuid_update(vcpu);
	return 0;
}

static int set_apic_base(struct keel_vcpu *vcpu, u32 index, u64 val, bool host)
{
	return keel_set_apic_base(vcpu, val);
}

/*
 * The valid bits depend on the model, and guests write what they have read or
 * what another model has: keep all bits, as KVM does.
 */
static int set_misc_enable(struct keel_vcpu *vcpu, u32 index, u64 val, bool host)
{
	u64 old = vcpu->msrs->misc_enable;

	if (!host) {
		if ((old ^ val) & MISC_ENABLE_READ_ONLY)
			return -EINVAL;
		val &= ~MSR_IA32_MISC_ENABLE_EMON;
		val |= old & MSR_IA32_MISC_ENABLE_EMON;
	}
	vcpu->msrs->misc_enable = val;
	return 0;
}

/* Only the lock bit exists: there is neither VMX nor SGX to allow. */
static int set_feature_control(struct keel_vcpu *vcpu, u32 index, u64 val, bool host)
{
	u64 *kept = &vcpu->msrs->feature_control;

	if ((val & ~FEAT_CTL_LOCKED) || (!host && *kept & FEAT_CTL_LOCKED))
		return -EINVAL;
	*kept = val;
	return 0;
}

/* CPUID faulting is not offered. */
static int set_platform_info(struct keel_vcpu *vcpu, u32 index, u64 val, bool host)
{
	if (!host || val & MSR_PLATFORM_INFO_CPUID_FAULT)
		return -EINVAL;
	vcpu->msrs->platform_info = val;
	return 0;
}

/* --- memory types -------------------------------------------------------- */

static bool memory_type_valid(u8 type, bool pat)
{
	switch (type) {
	case 0:		/* uncacheable */
	case 1:		/* write combining */
	case 4:		/* write through */
	case 5:		/* write protected */
	case 6:		/* write back */
		return true;
	case 7:		/* uncacheable unless an MTRR says otherwise */
		return pat;
	default:
		return false;
	}
}

static bool memory_types_valid(u64 val, bool pat)
{
	int i;

	for (i = 0; i < 8; i++)
		if (!memory_type_valid(val >> (8 * i), pat))
			return false;
	return true;
}

static int set_pat(struct keel_vcpu *vcpu, u32 index, u64 val, bool host)
{
	if (!memory_types_valid(val, true))
		return -EINVAL;
	vcpu->msrs->pat = val;
	vmx_set_pat(&vcpu->vmx, val);
	return 0;
}

static int set_mtrr_default(struct keel_vcpu *vcpu, u32 index, u64 val, bool host)
{
	if ((val & ~0xcffULL) || !memory_type_valid(val, false))
		return -EINVAL;
	vcpu->msrs->mtrr_default = val;
	return 0;
}

/* Guest and userspace choose @index, which is within the range: clamp it under speculation too. */
static u64 *variable_mtrr(struct keel_msrs *m, u32 index)
{
	return &m->mtrr_variable[array_index_nospec(index - MTRR_VARIABLE, 2 * NR_VAR_MTRR)];
}

/* Base registers have even numbers, masks odd ones. */
static int set_mtrr_variable(struct keel_vcpu *vcpu, u32 index, u64 val, bool host)
{
	bool mask = index & 1;
	u64 legal = GENMASK_ULL(vcpu->maxphyaddr - 1, 12) | (mask ? BIT(11) : 0xff);

	if ((val & ~legal) || (!mask && !memory_type_valid(val, false)))
		return -EINVAL;
	*variable_mtrr(vcpu->msrs, index) = val;
	return 0;
}

/* --- registers that are only kept ---------------------------------------- */

/* Index of a fixed-range MTRR, in the order of the addresses that they cover. */
static unsigned int fixed_mtrr(u32 index)
{
	if (index == MTRR_FIXED_64K)
		return 0;
	if (index < MTRR_FIXED_4K)
		return 1 + index - MTRR_FIXED_16K;
	return 3 + index - MTRR_FIXED_4K;
}

static u64 *kept(struct keel_vcpu *vcpu, u32 index)
{
	struct keel_msrs *m = vcpu->msrs;

	switch (index) {
	case MSR_IA32_CR_PAT:
		return &m->pat;
	case MSR_IA32_MISC_ENABLE:
		return &m->misc_enable;
	case MSR_IA32_FEAT_CTL:
		return &m->feature_control;
	case MSR_PLATFORM_INFO:
		return &m->platform_info;
	case MSR_IA32_SMBASE:
		return &m->smbase;
	case MSR_IA32_POWER_CTL:
		return &m->power_ctl;
	case MSR_CSTAR:
		return &m->cstar;
	case MSR_IA32_UCODE_REV:
		return &m->microcode;
	case MSR_IA32_ARCH_CAPABILITIES:
		return &m->arch_capabilities;
	case MTRR_DEFAULT:
		return &m->mtrr_default;
	case MTRR_VARIABLE ... MTRR_VARIABLE + 2 * NR_VAR_MTRR - 1:
		return variable_mtrr(m, index);
	case MTRR_FIXED_64K:
	case MTRR_FIXED_16K ... MTRR_FIXED_16K + 1:
	case MTRR_FIXED_4K ... MTRR_FIXED_4K + 7:
		return &m->mtrr_fixed[array_index_nospec(fixed_mtrr(index), NR_FIXED_MTRR)];
	default:
		return NULL;
	}
}

static int get_kept(struct keel_vcpu *vcpu, u32 index, u64 *val, bool host)
{
	u64 *p = kept(vcpu, index);

	if (!p)
		return -EINVAL;
	*val = *p;
	return 0;
}

static int keep(struct keel_vcpu *vcpu, u32 index, u64 val)
{
	u64 *p = kept(vcpu, index);

	if (!p)
		return -EINVAL;
	*p = val;
	return 0;
}

static int set_kept(struct keel_vcpu *vcpu, u32 index, u64 val, bool host)
{
	return keep(vcpu, index, val);
}

static int set_mtrr_fixed(struct keel_vcpu *vcpu, u32 index, u64 val, bool host)
{
	return memory_types_valid(val, false) ? keep(vcpu, index, val) : -EINVAL;
}

static int set_cstar(struct keel_vcpu *vcpu, u32 index, u64 val, bool host)
{
	return canonical(val) ? keep(vcpu, index, val) : -EINVAL;
}

static int set_host_only(struct keel_vcpu *vcpu, u32 index, u64 val, bool host)
{
	return host ? keep(vcpu, index, val) : -EINVAL;
}

/* Ignore the guest's write: it precedes the read of the microcode revision. */
static int set_microcode(struct keel_vcpu *vcpu, u32 index, u64 val, bool host)
{
	return host ? keep(vcpu, index, val) : 0;
}

/* --- registers that are constant ----------------------------------------- */

static int get_zero(struct keel_vcpu *vcpu, u32 index, u64 *val, bool host)
{
	*val = 0;
	return 0;
}

static int set_zero(struct keel_vcpu *vcpu, u32 index, u64 val, bool host)
{
	return val ? -EINVAL : 0;
}

static int set_ignored(struct keel_vcpu *vcpu, u32 index, u64 val, bool host)
{
	return 0;
}

static int get_mtrr_cap(struct keel_vcpu *vcpu, u32 index, u64 *val, bool host)
{
	*val = MTRR_CAP;
	return 0;
}

/* Nominal bus ratio and clock: not zero, as guests divide by them. */
static int get_perf_status(struct keel_vcpu *vcpu, u32 index, u64 *val, bool host)
{
	*val = 1000 | 4ULL << 40;
	return 0;
}

static int get_fsb_freq(struct keel_vcpu *vcpu, u32 index, u64 *val, bool host)
{
	*val = 3;	/* 166 MHz */
	return 0;
}

/* --- speculation ---------------------------------------------------------- */

static bool has(struct keel_vcpu *vcpu, enum cpuid_feature f, int host_bit, bool host)
{
	return boot_cpu_has(host_bit) && (host || keel_guest_has(vcpu, f));
}

/* Bits that the guest, or userspace if @host, may set. Without any the register does not exist. */
static u64 spec_ctrl_bits(struct keel_vcpu *vcpu, bool host)
{
	u64 bits = 0;

	if (has(vcpu, FEAT_SPEC_CTRL, X86_FEATURE_SPEC_CTRL, host))
		bits |= SPEC_CTRL_IBRS;
	if (has(vcpu, FEAT_STIBP, X86_FEATURE_INTEL_STIBP, host))
		bits |= SPEC_CTRL_STIBP;
	if (has(vcpu, FEAT_SSBD, X86_FEATURE_SPEC_CTRL_SSBD, host))
		bits |= SPEC_CTRL_SSBD;
	return bits;
}

static int get_spec_ctrl(struct keel_vcpu *vcpu, u32 index, u64 *val, bool host)
{
	if (!spec_ctrl_bits(vcpu, host))
		return -EINVAL;
	*val = vmx_spec_ctrl(&vcpu->vmx);
	return 0;
}

static int set_spec_ctrl(struct keel_vcpu *vcpu, u32 index, u64 val, bool host)
{
	u64 bits = spec_ctrl_bits(vcpu, host);

	if (!bits || val & ~bits)
		return -EINVAL;
	vmx_set_spec_ctrl(&vcpu->vmx, val);
	return 0;
}

/*
 * Write only. If the vCPU moves to another CPU before the write, make_current()
 * has flushed the predictors there.
 */
static int set_pred_cmd(struct keel_vcpu *vcpu, u32 index, u64 val, bool host)
{
	if (!has(vcpu, FEAT_SPEC_CTRL, X86_FEATURE_SPEC_CTRL, host) || val & ~PRED_CMD_IBPB)
		return -EINVAL;
	if (val && !host)
		wrmsrl(MSR_IA32_PRED_CMD, val);
	return 0;
}

/* --- the table ----------------------------------------------------------- */

#define ONE(i)		RANGE(i, 1)
#define RANGE(i, n)	.first = (i), .count = (n)
#define NEEDS(f)	.has_feature = true, .feature = FEAT_##f
#define SAVED		.saved = true

const struct msr_row keel_msr_table[] = {
	{ ONE(MSR_IA32_TSC), SAVED, .get = get_tsc, .set = set_tsc },
	{ ONE(MSR_EFER), .get = get_efer, .set = set_efer },
	{ ONE(MSR_IA32_SYSENTER_CS), SAVED, .get = get_hardware, .set = set_sysenter_cs },
	{ ONE(MSR_IA32_SYSENTER_ESP), SAVED,
	  .get = get_hardware, .set = set_sysenter_address },
	{ ONE(MSR_IA32_SYSENTER_EIP), SAVED,
	  .get = get_hardware, .set = set_sysenter_address },
	{ ONE(MSR_STAR), SAVED, .get = get_hardware, .set = set_hardware },
	{ ONE(MSR_LSTAR), SAVED, .get = get_hardware, .set = set_address },
	{ ONE(MSR_CSTAR), SAVED, .get = get_kept, .set = set_cstar },
	{ ONE(MSR_SYSCALL_MASK), SAVED, .get = get_hardware, .set = set_32bit },
	{ ONE(MSR_FS_BASE), .get = get_hardware, .set = set_address },
	{ ONE(MSR_GS_BASE), .get = get_hardware, .set = set_address },
	{ ONE(MSR_KERNEL_GS_BASE), SAVED, .get = get_hardware, .set = set_address },
	{ ONE(MSR_TSC_AUX), NEEDS(RDTSCP), SAVED, .get = get_hardware, .set = set_32bit },
	{ ONE(MSR_IA32_DEBUGCTLMSR), SAVED, .get = get_hardware, .set = set_debugctl },
	{ ONE(MSR_IA32_TSC_ADJUST), NEEDS(TSC_ADJUST), SAVED,
	  .get = get_tsc_adjust, .set = set_tsc_adjust },
	{ ONE(MSR_IA32_APICBASE), .get = get_apic_base, .set = set_apic_base },
	{ ONE(MSR_IA32_MISC_ENABLE), SAVED, .get = get_kept, .set = set_misc_enable },
	{ ONE(MSR_IA32_FEAT_CTL), SAVED, .get = get_kept, .set = set_feature_control },
	{ ONE(MSR_PLATFORM_INFO), SAVED, .get = get_kept, .set = set_platform_info },
	{ ONE(MSR_IA32_SMBASE), SAVED, .host_only = true, .get = get_kept, .set = set_kept },
	{ ONE(MSR_IA32_XSS), NEEDS(XSAVES), .get = get_zero, .set = set_zero },
	{ ONE(MSR_IA32_POWER_CTL), SAVED, .get = get_kept, .set = set_kept },
	{ ONE(MSR_IA32_CR_PAT), SAVED, .get = get_kept, .set = set_pat },
	{ ONE(MTRR_CAP_MSR), .get = get_mtrr_cap },
	{ ONE(MTRR_DEFAULT), SAVED, .get = get_kept, .set = set_mtrr_default },
	{ RANGE(MTRR_VARIABLE, 2 * NR_VAR_MTRR), SAVED,
	  .get = get_kept, .set = set_mtrr_variable },
	{ ONE(MTRR_FIXED_64K), SAVED, .get = get_kept, .set = set_mtrr_fixed },
	{ RANGE(MTRR_FIXED_16K, 2), SAVED, .get = get_kept, .set = set_mtrr_fixed },
	{ RANGE(MTRR_FIXED_4K, 8), SAVED, .get = get_kept, .set = set_mtrr_fixed },
	{ ONE(MSR_IA32_UCODE_REV), SAVED, .get = get_kept, .set = set_microcode },
	{ ONE(MSR_IA32_UCODE_WRITE), .set = set_ignored },
	{ ONE(MSR_IA32_ARCH_CAPABILITIES), NEEDS(ARCH_CAPABILITIES), SAVED,
	  .get = get_kept, .set = set_host_only },

	{ ONE(MSR_IA32_SPEC_CTRL), SAVED, .get = get_spec_ctrl, .set = set_spec_ctrl },
	{ ONE(MSR_IA32_PRED_CMD), .set = set_pred_cmd },

	{ ONE(MSR_IA32_MCG_CAP), .get = keel_get_mce_msr, .set = keel_set_mce_msr },
	{ RANGE(MSR_IA32_MCG_STATUS, 2), SAVED,
	  .get = keel_get_mce_msr, .set = keel_set_mce_msr },
	{ RANGE(MSR_IA32_MC0_CTL, 4 * KEEL_MCE_BANKS),
	  .get = keel_get_mce_msr, .set = keel_set_mce_msr },

	{ RANGE(MSR_KVM_WALL_CLOCK, 2), SAVED,
	  .get = keel_get_clock_msr, .set = keel_set_clock_msr },
	{ RANGE(MSR_KVM_WALL_CLOCK_NEW, 2), SAVED,
	  .get = keel_get_clock_msr, .set = keel_set_clock_msr },

	{ ONE(MSR_IA32_PLATFORM_ID), .get = get_zero },
	{ ONE(MSR_IA32_EBL_CR_POWERON), .get = get_zero, .set = set_zero },
	{ ONE(MSR_SMI_COUNT), .get = get_zero },
	{ ONE(MSR_FSB_FREQ), .get = get_fsb_freq },
	{ ONE(MSR_MISC_FEATURES_ENABLES), .get = get_zero, .set = set_zero },
	{ ONE(MSR_IA32_PERF_STATUS), .get = get_perf_status },
	{ ONE(MSR_IA32_PERF_CTL), .get = get_zero },
	{ RANGE(MSR_IA32_LASTBRANCHFROMIP, 4), .get = get_zero },
	/* Guests probe these two counters even if CPUID offers no PMU. */
	{ RANGE(MSR_P6_PERFCTR0, 2), .get = get_zero, .set = set_ignored },
	{ RANGE(MSR_P6_EVNTSEL0, 2), .get = get_zero, .set = set_ignored },
};

const unsigned int keel_msr_rows = ARRAY_SIZE(keel_msr_table);

/* The row of @index, or NULL if it does not exist for the guest, or for userspace if @host. */
static const struct msr_row *find_row(struct keel_vcpu *vcpu, u32 index, bool host)
{
	unsigned int i;

	for (i = 0; i < keel_msr_rows; i++) {
		const struct msr_row *row = &keel_msr_table[i];

		if (index - row->first >= row->count)
			continue;
		if (host)
			return row;
		if (row->host_only)
			return NULL;
		if (row->has_feature && !keel_guest_has(vcpu, row->feature))
			return NULL;
		return row;
	}
	return NULL;
}

int keel_get_msr(struct keel_vcpu *vcpu, u32 index, u64 *val, bool host)
{
	const struct msr_row *row = find_row(vcpu, index, host);

	return row && row->get ? row->get(vcpu, index, val, host) : -ENOENT;
}

int keel_set_msr(struct keel_vcpu *vcpu, u32 index, u64 val, bool host)
{
	const struct msr_row *row = find_row(vcpu, index, host);

	return row && row->set ? row->set(vcpu, index, val, host) : -ENOENT;
}

/* --- features, life ------------------------------------------------------ */

static u64 arch_capabilities(void)
{
	u64 val = 0;

	if (boot_cpu_has(X86_FEATURE_ARCH_CAPABILITIES))
		rdmsrl(MSR_IA32_ARCH_CAPABILITIES, val);
	val &= ARCH_CAPS_OFFERED;
	if (!boot_cpu_has_bug(X86_BUG_CPU_MELTDOWN))
		val |= ARCH_CAP_RDCL_NO;
	if (!boot_cpu_has_bug(X86_BUG_SPEC_STORE_BYPASS))
		val |= ARCH_CAP_SSB_NO;
	if (!boot_cpu_has_bug(X86_BUG_MDS))
		val |= ARCH_CAP_MDS_NO;
	if (!boot_cpu_has_bug(X86_BUG_ITLB_MULTIHIT))
		val |= ARCH_CAP_PSCHANGE_MC_NO;
	if (!boot_cpu_has_bug(X86_BUG_GDS))
		val |= ARCH_CAP_GDS_NO;
	if (!boot_cpu_has_bug(X86_BUG_RFDS))
		val |= ARCH_CAP_RFDS_NO;
	return val;
}

static u64 microcode(void)
{
	return (u64)boot_cpu_data.microcode << 32;
}

int keel_feature_msr(u32 index, u64 *val)
{
	switch (index) {
	case MSR_IA32_UCODE_REV:
		*val = microcode();
		return 0;
	case MSR_IA32_ARCH_CAPABILITIES:
		*val = arch_capabilities();
		return 0;
	default:
		return -EINVAL;
	}
}

int keel_msr_init(struct keel_vcpu *vcpu)
{
	vcpu->msrs = kzalloc(sizeof(*vcpu->msrs), GFP_KERNEL_ACCOUNT);
	return vcpu->msrs ? 0 : -ENOMEM;
}

void keel_msr_free(struct keel_vcpu *vcpu)
{
	kfree(vcpu->msrs);
	vcpu->msrs = NULL;
}

void keel_msr_reset(struct keel_vcpu *vcpu)
{
	struct keel_msrs *m = vcpu->msrs;

	memset(m, 0, sizeof(*m));
	m->pat = 0x0007040600070406ULL;
	m->misc_enable = MSR_IA32_MISC_ENABLE_FAST_STRING | MISC_ENABLE_READ_ONLY;
	m->smbase = RESET_SMBASE;
	m->microcode = microcode();
	m->arch_capabilities = arch_capabilities();
	keel_mce_reset(vcpu);
	vmx_set_pat(&vcpu->vmx, m->pat);
	vcpu->apic_base = 0xfee00000 | MSR_IA32_APICBASE_ENABLE;
	if (vcpu->id == vcpu->vm->boot_cpu_id)
		vcpu->apic_base |= MSR_IA32_APICBASE_BSP;
}

/* --- exits --------------------------------------------------------------- */

int keel_guest_rdmsr(struct keel_vcpu *vcpu, u32 index, u64 *val)
{
	if (!keel_msr_allowed(vcpu, index, false))
		return -EPERM;
	return keel_get_msr(vcpu, index, val, false);
}

int keel_guest_wrmsr(struct keel_vcpu *vcpu, u32 index, u64 val)
{
	if (!keel_msr_allowed(vcpu, index, true))
		return -EPERM;
	return keel_set_msr(vcpu, index, val, false);
}

int keel_rdmsr_exit(struct keel_vcpu *vcpu)
{
	struct vmx_vcpu *v = &vcpu->vmx;
	u32 index = v->gpr[GPR_RCX];
	u64 val;
	int err;

	STAT(vcpu, msr_exits);
	err = keel_guest_rdmsr(vcpu, index, &val);
	if (err)
		return keel_rdmsr_failed(vcpu, index, err);
	v->gpr[GPR_RAX] = (u32)val;
	v->gpr[GPR_RDX] = val >> 32;
	keel_skip_insn(vcpu);
	return RUN_RESUME;
}

int keel_wrmsr_exit(struct keel_vcpu *vcpu)
{
	struct vmx_vcpu *v = &vcpu->vmx;
	u64 val = (u32)v->gpr[GPR_RAX] | (u64)(u32)v->gpr[GPR_RDX] << 32;
	u32 index = v->gpr[GPR_RCX];
	int err;

	STAT(vcpu, msr_exits);
	err = keel_guest_wrmsr(vcpu, index, val);
	if (err)
		return keel_wrmsr_failed(vcpu, index, val, err);
	keel_skip_insn(vcpu);
	return RUN_RESUME;
}
