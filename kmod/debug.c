// SPDX-License-Identifier: GPL-2.0
/*
 * Owns KVM_SET_GUEST_DEBUG: userspace's RFLAGS.TF and debug registers, which
 * replace the guest's own, and the traps that end a run. irq.c delivers the
 * guest's own traps.
 */
#include <uapi/asm/debugreg.h>
#include <asm/trapnr.h>
#include <asm/vmx.h>

#include "cr.h"
#include "debug.h"
#include "irq.h"
#include "keel.h"

#define DR6_ONES	0xffff0ff0
#define PENDING_BREAKPOINT	BIT(12)	/* pending debug exceptions: enabled breakpoint met */
#define INT_SHADOW	(GUEST_INTR_STATE_STI | GUEST_INTR_STATE_MOV_SS)

static_assert(KEEL_GUESTDBG_FLAGS ==
	      (KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP | KVM_GUESTDBG_USE_SW_BP |
	       KVM_GUESTDBG_USE_HW_BP | KVM_GUESTDBG_INJECT_DB | KVM_GUESTDBG_INJECT_BP |
	       KVM_GUESTDBG_BLOCKIRQ));

/* Without the monitor trap, step with RFLAGS.TF, which the guest can see and clear. */
static bool steps_by_flag(const struct keel_vcpu *vcpu)
{
	return keel_debug_steps(&vcpu->debug) && !vmx_caps.monitor_trap;
}

bool keel_debug_blocks_irqs(const struct keel_vcpu *vcpu)
{
	return vcpu->debug.control & KVM_GUESTDBG_BLOCKIRQ;
}

/* --- RFLAGS -------------------------------------------------------------- */

u64 keel_debug_show_rflags(struct keel_vcpu *vcpu)
{
	u64 val = vmx_rflags(&vcpu->vmx);

	if (unlikely(steps_by_flag(vcpu)) && !vcpu->debug.guest_tf)
		val &= ~(u64)X86_EFLAGS_TF;
	return val;
}

void keel_debug_set_rflags(struct keel_vcpu *vcpu, u64 val)
{
	vcpu->debug.guest_tf = val & X86_EFLAGS_TF;
	if (unlikely(steps_by_flag(vcpu)))
		val |= X86_EFLAGS_TF;
	vmx_set_rflags(&vcpu->vmx, val);
}

/* --- stopping ------------------------------------------------------------ */

static u64 linear_rip(struct keel_vcpu *vcpu)
{
	struct kvm_segment cs;

	if (vmx_in_long_mode_code(&vcpu->vmx))
		return vmx_rip(&vcpu->vmx);
	vmx_get_segment(&vcpu->vmx, SEG_CS, &cs);
	return (u32)(cs.base + vmx_rip(&vcpu->vmx));
}

/*
 * Clear the interrupt shadow if TF is set. VM entry demands a pending trap for
 * TF in a shadow, but this trap has been taken. That holds whether the guest or
 * keel_debug_set_rflags() has set TF.
 */
static void end_stepped_shadow(struct keel_vcpu *vcpu)
{
	u32 state = vmx_interruptibility(&vcpu->vmx);

	if (state & INT_SHADOW && vmx_rflags(&vcpu->vmx) & X86_EFLAGS_TF)
		vmx_set_interruptibility(&vcpu->vmx, state & ~INT_SHADOW);
}

bool keel_debug_wants_db(const struct keel_vcpu *vcpu)
{
	return vcpu->debug.control & KVM_GUESTDBG_USE_HW_BP || steps_by_flag(vcpu);
}

static int stop(struct keel_vcpu *vcpu, u8 vector, u64 dr6_bits)
{
	struct kvm_debug_exit_arch *out = &vcpu->run->debug.arch;

	vcpu->run->exit_reason = KVM_EXIT_DEBUG;
	out->exception = vector;
	out->pad = 0;
	out->pc = linear_rip(vcpu);
	out->dr6 = dr6_bits | DR6_ONES;
	out->dr7 = vmx_hw_dr7(&vcpu->vmx);
	return RUN_USER;
}

int keel_debug_exit(struct keel_vcpu *vcpu, u8 vector, u64 dr6_bits)
{
	/* Set TF again: the instruction may have been a POPF or IRET that cleared it. */
	if (steps_by_flag(vcpu))
		keel_debug_set_rflags(vcpu, keel_debug_show_rflags(vcpu));
	end_stepped_shadow(vcpu);
	return stop(vcpu, vector, dr6_bits);
}

/*
 * Stop after an instruction. Unless the step was made by TF, no #DB was taken:
 * keep the shadow and the trap that the guest is still to get.
 */
static int stop_behind(struct keel_vcpu *vcpu, u64 dr6_bits)
{
	if (steps_by_flag(vcpu))
		return keel_debug_exit(vcpu, X86_TRAP_DB, dr6_bits);
	return stop(vcpu, X86_TRAP_DB, dr6_bits);
}

/*
 * The pending debug exceptions hold the breakpoints that the instruction has
 * met. Userspace's are reported with this stop; the guest's own stay pending,
 * and the next entry delivers them.
 */
int keel_debug_monitor_trap(struct keel_vcpu *vcpu)
{
	u64 pending = vmx_pending_debug(&vcpu->vmx), hits = 0;

	if (vcpu->debug.control & KVM_GUESTDBG_USE_HW_BP && pending & DR_TRAP_BITS) {
		hits = pending & DR_TRAP_BITS;
		vmx_set_pending_debug(&vcpu->vmx, pending & DR_STEP);
	}
	return stop_behind(vcpu, DR_STEP | hits);
}

int keel_debug_stepped(struct keel_vcpu *vcpu)
{
	u64 bits = vcpu->debug.stop;

	vcpu->debug.stop = 0;
	return stop_behind(vcpu, bits);
}

/*
 * After MOV SS a trap waits for one more instruction: leave it pending in the
 * VMCS, unless the emulator runs that instruction.
 */
static void raise_trap(struct keel_vcpu *vcpu, u64 bits)
{
	struct vmx_vcpu *v = &vcpu->vmx;

	if (vmx_interruptibility(v) & GUEST_INTR_STATE_MOV_SS && !vcpu->emulation.mode)
		vmx_set_pending_debug(v, vmx_pending_debug(v) | bits | PENDING_BREAKPOINT);
	else
		keel_queue_debug(vcpu, bits);
}

void keel_stepped(struct keel_vcpu *vcpu, bool traps)
{
	struct keel_debug *d = &vcpu->debug;
	u64 own = traps ? DR_STEP : 0;

	if (d->control & KVM_GUESTDBG_USE_HW_BP)
		d->stop |= d->hits;
	else
		own |= d->hits;
	d->hits = 0;
	if (keel_debug_steps(d))
		d->stop |= DR_STEP;
	if (d->stop)
		keel_make_request(vcpu, REQ_STEPPED);
	if (own)
		raise_trap(vcpu, own);
}

/* --- breakpoints --------------------------------------------------------- */

/* Fields of DR7 for one breakpoint, and the values of the R/W field. */
enum { RW_CODE, RW_WRITE, RW_PORT, RW_ANY };
#define DR7_ENABLED(dr7, i)	((dr7) >> 2 * (i) & 3)
#define DR7_RW(dr7, i)		((dr7) >> (16 + 4 * (i)) & 3)
#define DR7_LEN(dr7, i)		((dr7) >> (18 + 4 * (i)) & 3)

/* @kinds: BIT(RW_*) for each kind of breakpoint that the access can meet. */
static u8 find_hits(const struct keel_vcpu *vcpu, u64 addr, u64 len, unsigned int kinds)
{
	static const u8 sizes[] = { 1, 2, 8, 4 };
	u64 dr7 = vmx_hw_dr7(&vcpu->vmx);
	u8 hits = 0;
	int i;

	for (i = 0; i < 4; i++) {
		u64 size = sizes[DR7_LEN(dr7, i)], at = vmx_hw_dr(&vcpu->vmx, i) & ~(size - 1);

		if (!DR7_ENABLED(dr7, i) || !(kinds & BIT(DR7_RW(dr7, i))))
			continue;
		if (addr - at < size || at - addr < len)
			hits |= BIT(i);
	}
	return hits;
}

void keel_debug_watch(struct keel_vcpu *vcpu, u64 linear, u64 len, bool write)
{
	unsigned int kinds = BIT(RW_ANY) | (write ? BIT(RW_WRITE) : 0);

	vcpu->debug.hits |= find_hits(vcpu, linear, len, kinds);
}

void keel_debug_watch_port(struct keel_vcpu *vcpu, u16 port, unsigned int len)
{
	if (vmx_cr4(&vcpu->vmx) & X86_CR4_DE)
		vcpu->debug.hits |= find_hits(vcpu, port, len, BIT(RW_PORT));
}

u8 keel_debug_at_code(struct keel_vcpu *vcpu)
{
	if (vmx_rflags(&vcpu->vmx) & X86_EFLAGS_RF ||
	    vmx_interruptibility(&vcpu->vmx) & GUEST_INTR_STATE_MOV_SS)
		return 0;
	return find_hits(vcpu, linear_rip(vcpu), 1, BIT(RW_CODE));
}

int keel_debug_break(struct keel_vcpu *vcpu, u8 hits)
{
	if (vcpu->debug.control & KVM_GUESTDBG_USE_HW_BP)
		return keel_debug_exit(vcpu, X86_TRAP_DB, hits);
	keel_queue_debug(vcpu, hits);
	return RUN_RESUME;
}

/* --- the ioctl ----------------------------------------------------------- */

static int inject(struct keel_vcpu *vcpu, u32 control)
{
	if (!(control & (KVM_GUESTDBG_INJECT_DB | KVM_GUESTDBG_INJECT_BP)))
		return 0;
	if (vcpu->events.exception.pending || vcpu->events.exception.injected)
		return -EBUSY;
	keel_queue_exception(vcpu, control & KVM_GUESTDBG_INJECT_DB ? X86_TRAP_DB : X86_TRAP_BP);
	return 0;
}

static void set_breakpoints(struct keel_vcpu *vcpu, const struct kvm_guest_debug *in)
{
	u64 dr[4];
	int i;

	if (!(vcpu->debug.control & KVM_GUESTDBG_USE_HW_BP)) {
		vmx_own_breakpoints(&vcpu->vmx);
		return;
	}
	for (i = 0; i < 4; i++)
		dr[i] = in->arch.debugreg[i];
	vmx_other_breakpoints(&vcpu->vmx, dr, keel_dr7_known(in->arch.debugreg[7]));
}

long keel_set_guest_debug(struct keel_vcpu *vcpu, void *data)
{
	const struct kvm_guest_debug *in = data;
	u64 rflags = keel_debug_show_rflags(vcpu);
	int err;

	if (in->control & ~KEEL_GUESTDBG_FLAGS)
		return -EINVAL;
	err = inject(vcpu, in->control);
	if (err)
		return err;
	vcpu->debug.control = in->control & KVM_GUESTDBG_ENABLE ? in->control : 0;
	clear_bit(REQ_STEPPED, &vcpu->requests);
	vcpu->debug.stop = 0;
	set_breakpoints(vcpu, in);
	vmx_intercept_bp(&vcpu->vmx, vcpu->debug.control & KVM_GUESTDBG_USE_SW_BP);
	keel_debug_set_rflags(vcpu, rflags);
	vmx_monitor_trap(&vcpu->vmx, keel_debug_steps(&vcpu->debug) && vmx_caps.monitor_trap);
	end_stepped_shadow(vcpu);
	/* Look again at the events that KVM_GUESTDBG_BLOCKIRQ has held back. */
	keel_make_request(vcpu, REQ_EVENT);
	return 0;
}
