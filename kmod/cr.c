// SPDX-License-Identifier: GPL-2.0
/*
 * Owns the rules of the architecture for writes to control registers, EFER,
 * XCR0 and debug registers, and the exits of the instructions that access them.
 * vmx/ keeps the values.
 */
#include <linux/bits.h>
#include <asm/msr-index.h>

#include "cpuid.h"
#include "cr.h"
#include "exit.h"
#include "gpa.h"
#include "irq.h"
#include "keel.h"

/* Under PAE paging a write that changes one of these bits reloads the PDPTEs. */
#define CR0_PDPTR	(X86_CR0_PG | X86_CR0_CD | X86_CR0_NW)
#define CR4_PDPTR	(X86_CR4_PAE | X86_CR4_PGE | X86_CR4_PSE | X86_CR4_SMEP)
/* A change of one of these bits flushes cached translations. */
#define CR0_FLUSH	(X86_CR0_PG | X86_CR0_WP)
#define CR4_FLUSH	(CR4_PDPTR | X86_CR4_PCIDE | X86_CR4_SMAP)

#define CR3_PCID	0xfffULL
#define CR3_NOFLUSH	BIT_ULL(63)
#define EFER_KNOWN	(EFER_SCE | EFER_LME | EFER_LMA | EFER_NX)
#define TSS32_BUSY	11

/* The bits of transactional memory and bus-lock detection are not writable: neither is offered. */
#define DR6_WRITABLE	0xe00fULL
#define DR6_ONES	0xffff0ff0ULL
#define DR7_WRITABLE	0xffff23ffULL
#define DR7_ONES	0x400ULL
#define DR7_GENERAL_DETECT	BIT(13)
#define DR6_ACCESS_DETECTED	BIT(13)

/* Exit qualification of a control-register access. */
#define CR_NUMBER(q)	((q) & 15)
#define CR_TYPE(q)	((q) >> 4 & 3)
#define CR_GPR(q)	((q) >> 8 & 15)
#define CR_LMSW(q)	((q) >> 16 & 0xffff)
enum { CR_TO, CR_FROM, CR_CLTS, CR_IS_LMSW };
/* Exit qualification of a debug-register access. */
#define DR_NUMBER(q)	((q) & 7)
#define DR_FROM		BIT(4)

bool keel_cr0_valid(u64 val)
{
	if (val >> 32)
		return false;
	if ((val & X86_CR0_PG) && !(val & X86_CR0_PE))
		return false;
	return !(val & X86_CR0_NW) || (val & X86_CR0_CD);
}

bool keel_cr3_valid(struct keel_vcpu *vcpu, u64 val)
{
	return !(val >> vcpu->maxphyaddr);
}

bool keel_cr4_valid(struct keel_vcpu *vcpu, u64 val)
{
	return !(val & vcpu->cr4_reserved);
}

static bool pae_paging(u64 cr0, u64 cr4, u64 efer)
{
	return (cr0 & X86_CR0_PG) && (cr4 & X86_CR4_PAE) && !(efer & EFER_LMA);
}

bool keel_pae_paging(struct keel_vcpu *vcpu)
{
	struct vmx_vcpu *v = &vcpu->vmx;

	return pae_paging(vmx_cr0(v), vmx_cr4(v), vmx_efer(v));
}

bool keel_pdptrs_valid(struct keel_vcpu *vcpu, const u64 pdptr[4])
{
	u64 reserved = ~(BIT_ULL(vcpu->maxphyaddr) - 1) | GENMASK_ULL(8, 5) | GENMASK_ULL(2, 1);
	int i;

	for (i = 0; i < 4; i++)
		if ((pdptr[i] & 1) && (pdptr[i] & reserved))
			return false;
	return true;
}

/* Drop everything cached by linear address: it may translate differently now. */
static void translation_changed(struct keel_vcpu *vcpu)
{
	vmx_flush_tlb(&vcpu->vmx);
	mmio_cache_forget(vcpu);
}

int keel_load_pdptrs(struct keel_vcpu *vcpu, u64 cr3)
{
	u64 pdptr[4];
	int err;

	keel_read_slots(vcpu);
	err = keel_gpa_read(vcpu, cr3 & 0xffffffe0, pdptr, sizeof(pdptr));
	keel_read_slots_end(vcpu);
	if (err == -EFAULT)
		return err;
	if (err || !keel_pdptrs_valid(vcpu, pdptr))
		return -EINVAL;
	vmx_set_pdptrs(&vcpu->vmx, pdptr);
	translation_changed(vcpu);
	return 0;
}

/*
 * True if setting CR0.PG with EFER.LME is legal: it takes CR4.PAE, CS.L clear,
 * and a busy 32-bit TSS.
 */
static bool may_enter_long_mode(struct vmx_vcpu *v)
{
	struct kvm_segment seg;

	if (!(vmx_cr4(v) & X86_CR4_PAE))
		return false;
	vmx_get_segment(v, SEG_CS, &seg);
	if (seg.l)
		return false;
	vmx_get_segment(v, SEG_TR, &seg);
	return seg.type == TSS32_BUSY;
}

/* Turn paging on or off: EFER.LMA follows. -EINVAL: illegal, nothing changed. */
static int switch_paging(struct vmx_vcpu *v, bool on)
{
	u64 efer = vmx_efer(v);

	if (!on) {
		if ((vmx_cr4(v) & X86_CR4_PCIDE) || vmx_in_long_mode_code(v))
			return -EINVAL;
		if (efer & EFER_LMA)
			vmx_set_efer(v, efer & ~EFER_LMA);
		return 0;
	}
	if (!(efer & EFER_LME))
		return 0;
	if (!may_enter_long_mode(v))
		return -EINVAL;
	vmx_set_efer(v, efer | EFER_LMA);
	return 0;
}

int keel_set_cr0(struct keel_vcpu *vcpu, u64 val)
{
	struct vmx_vcpu *v = &vcpu->vmx;
	u64 changed;
	int err;

	if (!keel_cr0_valid(val))
		return -EINVAL;
	val = (val & CR0_KNOWN) | X86_CR0_ET;
	changed = vmx_cr0(v) ^ val;
	if ((changed & X86_CR0_PG) && switch_paging(v, val & X86_CR0_PG))
		return -EINVAL;
	/*
	 * No error can follow a change of EFER.LMA: pae_paging() is false in
	 * long mode and without paging.
	 */
	if ((changed & CR0_PDPTR) && pae_paging(val, vmx_cr4(v), vmx_efer(v))) {
		err = keel_load_pdptrs(vcpu, vmx_cr3(v));
		if (err)
			return err;
	}
	vmx_set_cr0(v, val);
	if (changed & CR0_FLUSH)
		translation_changed(vcpu);
	return 0;
}

int keel_set_cr3(struct keel_vcpu *vcpu, u64 val)
{
	struct vmx_vcpu *v = &vcpu->vmx;
	int err;

	if (vmx_cr4(v) & X86_CR4_PCIDE)
		val &= ~CR3_NOFLUSH;
	if (!keel_cr3_valid(vcpu, val))
		return -EINVAL;
	err = keel_pae_paging(vcpu) ? keel_load_pdptrs(vcpu, val) : 0;
	if (err)
		return err;
	vmx_set_cr3(v, val);
	translation_changed(vcpu);
	return 0;
}

/* True if CR4 may become @val in the mode that the processor is in. */
static bool cr4_fits_mode(struct vmx_vcpu *v, u64 val)
{
	bool long_mode = vmx_efer(v) & EFER_LMA;

	if (long_mode && !(val & X86_CR4_PAE))
		return false;
	if (!(val & X86_CR4_PCIDE) || (vmx_cr4(v) & X86_CR4_PCIDE))
		return true;
	return long_mode && !(vmx_cr3(v) & CR3_PCID);
}

int keel_set_cr4(struct keel_vcpu *vcpu, u64 val)
{
	struct vmx_vcpu *v = &vcpu->vmx;
	u64 changed = vmx_cr4(v) ^ val;
	int err;

	if (!keel_cr4_valid(vcpu, val) || !cr4_fits_mode(v, val))
		return -EINVAL;
	if ((changed & CR4_PDPTR) && pae_paging(vmx_cr0(v), val, vmx_efer(v))) {
		err = keel_load_pdptrs(vcpu, vmx_cr3(v));
		if (err)
			return err;
	}
	vmx_set_cr4(v, val);
	if (changed & CR4_FLUSH)
		translation_changed(vcpu);
	if (changed & X86_CR4_OSXSAVE)
		keel_cpuid_update(vcpu);
	return 0;
}

int keel_set_cr8(struct keel_vcpu *vcpu, u64 val)
{
	if (val & ~0xfULL)
		return -EINVAL;
	vcpu->cr8 = val;
	return 0;
}

static u64 guest_efer_bits(struct keel_vcpu *vcpu)
{
	u64 bits = 0;

	if (keel_guest_has(vcpu, FEAT_SYSCALL))
		bits |= EFER_SCE;
	if (keel_guest_has(vcpu, FEAT_LM))
		bits |= EFER_LME | EFER_LMA;
	if (keel_guest_has(vcpu, FEAT_NX))
		bits |= EFER_NX;
	return bits;
}

int keel_set_efer(struct keel_vcpu *vcpu, u64 val, bool host)
{
	struct vmx_vcpu *v = &vcpu->vmx;
	u64 old = vmx_efer(v);
	u64 changed = old ^ val;

	if (val & ~(host ? EFER_KNOWN : guest_efer_bits(vcpu)))
		return -EINVAL;
	if ((changed & EFER_LME) && (vmx_cr0(v) & X86_CR0_PG))
		return -EINVAL;
	vmx_set_efer(v, (val & ~EFER_LMA) | (old & EFER_LMA));
	if (changed & EFER_NX)
		translation_changed(vcpu);
	return 0;
}

/*
 * The rules of XSETBV: swap_xcr0() loads the value on the host, where an
 * illegal one would fault.
 */
static bool xcr0_valid(const struct keel_vcpu *vcpu, u64 val)
{
	if (!(val & XSTATE_FP) || (val & ~(vcpu->supported_xcr0 | XSTATE_FP)))
		return false;
	if ((val & XSTATE_AVX) && !(val & XSTATE_SSE))
		return false;
	if (!(val & XSTATE_AVX512))
		return true;
	return (val & XSTATE_AVX512) == XSTATE_AVX512 && (val & XSTATE_AVX);
}

int keel_set_xcr(struct keel_vcpu *vcpu, u32 index, u64 val)
{
	if (index || !xcr0_valid(vcpu, val))
		return -EINVAL;
	if (val == vmx_xcr0(&vcpu->vmx))
		return 0;
	vmx_set_xcr0(&vcpu->vmx, val);
	keel_cpuid_update(vcpu);
	return 0;
}

bool keel_dr_valid(int nr, u64 val)
{
	return nr < 4 || !(val >> 32);
}

u64 keel_dr7_known(u64 val)
{
	return (val & DR7_WRITABLE) | DR7_ONES;
}

int keel_set_dr(struct keel_vcpu *vcpu, int nr, u64 val)
{
	if (!keel_dr_valid(nr, val))
		return -EINVAL;
	if (nr == 6)
		val = (val & DR6_WRITABLE) | DR6_ONES;
	if (nr == 7)
		val = keel_dr7_known(val);
	vmx_set_dr(&vcpu->vmx, nr, val);
	return 0;
}

/* General registers as MOV CR and MOV DR use them: 32 bits wide outside 64-bit code. */
static u64 read_gpr(struct vmx_vcpu *v, int nr)
{
	u64 val = nr == GPR_RSP ? vmx_rsp(v) : v->gpr[nr];

	return vmx_in_long_mode_code(v) ? val : (u32)val;
}

static void write_gpr(struct vmx_vcpu *v, int nr, u64 val)
{
	if (!vmx_in_long_mode_code(v))
		val = (u32)val;
	if (nr == GPR_RSP)
		vmx_set_rsp(v, val);
	else
		v->gpr[nr] = val;
}

/* Step over the instruction if it was legal, raise #GP if not. */
static int finish(struct keel_vcpu *vcpu, int error)
{
	if (error == -EFAULT)
		return error;
	if (error)
		keel_inject_gp(vcpu);
	else
		keel_skip_insn(vcpu);
	return RUN_RESUME;
}

/* Userspace owns the APIC and must know when the priority falls: exit with KVM_EXIT_SET_TPR. */
static int mov_to_cr8(struct keel_vcpu *vcpu, u64 val)
{
	u64 old = vcpu->cr8;

	if (keel_set_cr8(vcpu, val))
		return finish(vcpu, -EINVAL);
	finish(vcpu, 0);
	if (old <= val)
		return RUN_RESUME;
	vcpu->run->exit_reason = KVM_EXIT_SET_TPR;
	return RUN_USER;
}

static int mov_to_cr(struct keel_vcpu *vcpu, int cr, u64 val)
{
	switch (cr) {
	case 0:
		return finish(vcpu, keel_set_cr0(vcpu, val));
	case 3:
		return finish(vcpu, keel_set_cr3(vcpu, val));
	case 4:
		return finish(vcpu, keel_set_cr4(vcpu, val));
	case 8:
		return mov_to_cr8(vcpu, val);
	default:
		keel_inject_ud(vcpu);
		return RUN_RESUME;
	}
}

static u64 read_cr(struct keel_vcpu *vcpu, int cr)
{
	switch (cr) {
	case 0:
		return vmx_cr0(&vcpu->vmx);
	case 3:
		return vmx_cr3(&vcpu->vmx);
	case 4:
		return vmx_cr4(&vcpu->vmx);
	default:
		return vcpu->cr8;
	}
}

/* LMSW writes the low four bits, but cannot clear PE. */
static int lmsw(struct keel_vcpu *vcpu, u64 val)
{
	u64 low = X86_CR0_MP | X86_CR0_EM | X86_CR0_TS;
	u64 cr0 = vmx_cr0(&vcpu->vmx) & ~low;

	return finish(vcpu, keel_set_cr0(vcpu, cr0 | (val & (low | X86_CR0_PE))));
}

int keel_cr_exit(struct keel_vcpu *vcpu)
{
	struct vmx_vcpu *v = &vcpu->vmx;
	u64 q = vmx_exit_qualification(v);

	STAT(vcpu, cr_exits);
	switch (CR_TYPE(q)) {
	case CR_TO:
		return mov_to_cr(vcpu, CR_NUMBER(q), read_gpr(v, CR_GPR(q)));
	case CR_FROM:
		write_gpr(v, CR_GPR(q), read_cr(vcpu, CR_NUMBER(q)));
		return finish(vcpu, 0);
	case CR_CLTS:
		vmx_set_cr0(v, vmx_cr0(v) & ~X86_CR0_TS);
		return finish(vcpu, 0);
	default:
		return lmsw(vcpu, CR_LMSW(q));
	}
}

int keel_dr_exit(struct keel_vcpu *vcpu)
{
	struct vmx_vcpu *v = &vcpu->vmx;
	u64 q = vmx_exit_qualification(v);
	int nr = DR_NUMBER(q);

	if (nr == 4 || nr == 5) {
		if (vmx_cr4(v) & X86_CR4_DE) {
			keel_inject_ud(vcpu);
			return RUN_RESUME;
		}
		nr += 2;
	}
	if (vmx_cpl(v))
		return finish(vcpu, -EINVAL);
	if (vmx_dr(v, 7) & DR7_GENERAL_DETECT) {
		keel_queue_debug(vcpu, DR6_ACCESS_DETECTED);
		return RUN_RESUME;
	}
	if (!(q & DR_FROM))
		return finish(vcpu, keel_set_dr(vcpu, nr, read_gpr(v, CR_GPR(q))));
	write_gpr(v, CR_GPR(q), vmx_dr(v, nr));
	return finish(vcpu, 0);
}

int keel_xsetbv_exit(struct keel_vcpu *vcpu)
{
	struct vmx_vcpu *v = &vcpu->vmx;
	u64 val = (u32)v->gpr[GPR_RAX] | (u64)(u32)v->gpr[GPR_RDX] << 32;

	if (vmx_cpl(v))
		return finish(vcpu, -EINVAL);
	return finish(vcpu, keel_set_xcr(vcpu, v->gpr[GPR_RCX], val));
}
