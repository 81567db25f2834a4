// SPDX-License-Identifier: GPL-2.0
/*
 * Events on their way into the guest. An event is pending until an entry
 * carries it, and injected until an exit shows that it was delivered. If that
 * exit interrupted its delivery, it is injected again.
 */
#include <uapi/asm/debugreg.h>
#include <asm/trapnr.h>
#include <asm/vmx.h>

#include "irq.h"
#include "keel.h"
#include "mmu/mmu.h"

#define DR_GENERAL_DETECT	(1ull << 13)
#define INT_SHADOW	(GUEST_INTR_STATE_STI | GUEST_INTR_STATE_MOV_SS)
/* One NMI is in service and one is latched: drop a third, as the CPU does. */
#define NMI_LATCH	2

static void want_injection(struct keel_vcpu *vcpu)
{
	keel_make_request(vcpu, REQ_EVENT);
}

/* --- raising exceptions ------------------------------------------------- */

enum exception_class { BENIGN, CONTRIBUTORY, PAGE_FAULT };

static enum exception_class classify(u8 vector)
{
	switch (vector) {
	case X86_TRAP_PF:
		return PAGE_FAULT;
	case X86_TRAP_DE:
	case X86_TRAP_TS:
	case X86_TRAP_NP:
	case X86_TRAP_SS:
	case X86_TRAP_GP:
		return CONTRIBUTORY;
	}
	return BENIGN;
}

/* True if @second, raised during the delivery of @first, makes a double fault. */
static bool makes_double_fault(u8 first, u8 second)
{
	enum exception_class a = classify(first), b = classify(second);

	return (a == CONTRIBUTORY && b == CONTRIBUTORY) || (a == PAGE_FAULT && b != BENIGN);
}

static void raise(struct keel_vcpu *vcpu, struct keel_exception new)
{
	struct keel_exception *e = &vcpu->events.exception;

	want_injection(vcpu);
	if (e->pending || e->injected) {
		if (e->vector == X86_TRAP_DF) {
			*e = (struct keel_exception) { 0 };
			vcpu->events.triple_fault = true;
			return;
		}
		if (makes_double_fault(e->vector, new.vector))
			new = (struct keel_exception) {
				.vector = X86_TRAP_DF, .has_error = true,
			};
	}
	new.pending = true;
	*e = new;
}

void keel_queue_exception(struct keel_vcpu *vcpu, u8 vector)
{
	raise(vcpu, (struct keel_exception) { .vector = vector });
}

void keel_queue_exception_error(struct keel_vcpu *vcpu, u8 vector, u32 error)
{
	raise(vcpu, (struct keel_exception) {
		.vector = vector, .has_error = true, .error = error,
	});
}

void keel_queue_page_fault(struct keel_vcpu *vcpu, const struct walk_fault *fault)
{
	raise(vcpu, (struct keel_exception) {
		.vector = X86_TRAP_PF, .has_error = true, .error = fault->error,
		.has_payload = true, .payload = fault->gva,
	});
}

void keel_queue_debug(struct keel_vcpu *vcpu, u64 dr6_bits)
{
	raise(vcpu, (struct keel_exception) {
		.vector = X86_TRAP_DB, .has_payload = true, .payload = dr6_bits,
	});
}

/* --- after an exit ------------------------------------------------------ */

static void requeue_exception(struct keel_vcpu *vcpu, u32 info, bool soft)
{
	struct keel_exception e = {
		.injected = true,
		.soft = soft,
		.vector = info & VECTORING_INFO_VECTOR_MASK,
	};

	if (info & VECTORING_INFO_DELIVER_CODE_MASK) {
		e.has_error = true;
		e.error = vmx_vectoring_error_code(&vcpu->vmx);
	}
	vcpu->events.exception = e;
}

static void requeue_interrupt(struct keel_vcpu *vcpu, u32 info, bool soft)
{
	vcpu->events.interrupt.injected = true;
	vcpu->events.interrupt.soft = soft;
	vcpu->events.interrupt.nr = info & VECTORING_INFO_VECTOR_MASK;
}

static void requeue_nmi(struct keel_vcpu *vcpu)
{
	vcpu->events.nmi.injected = true;
	/*
	 * The interrupted delivery has blocked NMIs; VM entry refuses to inject
	 * an NMI while they are blocked.
	 */
	vmx_set_interruptibility(&vcpu->vmx,
				 vmx_interruptibility(&vcpu->vmx) & ~GUEST_INTR_STATE_NMI);
}

void keel_requeue_vectoring(struct keel_vcpu *vcpu, const struct keel_exit *exit)
{
	u32 info = exit->vectoring;

	/* A failed entry has delivered nothing: its event stays injected. */
	if (unlikely(exit->vmfail || exit->raw & VMX_EXIT_REASONS_FAILED_VMENTRY))
		return;
	if (vcpu->events.in_flight) {
		vcpu->events.exception.injected = false;
		vcpu->events.interrupt.injected = false;
		vcpu->events.nmi.injected = false;
		vcpu->events.in_flight = false;
	}
	if (likely(!(info & VECTORING_INFO_VALID_MASK)))
		return;

	want_injection(vcpu);
	switch (info & VECTORING_INFO_TYPE_MASK) {
	case INTR_TYPE_NMI_INTR:
		requeue_nmi(vcpu);
		break;
	case INTR_TYPE_SOFT_EXCEPTION:
	case INTR_TYPE_PRIV_SW_EXCEPTION:
		vcpu->events.insn_len = vmx_exit_insn_len(&vcpu->vmx);
		requeue_exception(vcpu, info, true);
		break;
	case INTR_TYPE_HARD_EXCEPTION:
		requeue_exception(vcpu, info, false);
		break;
	case INTR_TYPE_SOFT_INTR:
		vcpu->events.insn_len = vmx_exit_insn_len(&vcpu->vmx);
		requeue_interrupt(vcpu, info, true);
		break;
	case INTR_TYPE_EXT_INTR:
		requeue_interrupt(vcpu, info, false);
		break;
	}
}

/* --- before an entry ---------------------------------------------------- */

/* CR2 and DR6 change when the exception is delivered, not when it is raised. */
static void apply_payload(struct keel_vcpu *vcpu, struct keel_exception *e)
{
	if (!e->has_payload)
		return;
	e->has_payload = false;
	if (e->vector == X86_TRAP_PF)
		vcpu->vmx.cr2 = e->payload;
	if (e->vector == X86_TRAP_DB) {
		u64 dr6 = vmx_dr(&vcpu->vmx, 6) & ~(u64)(DR_TRAP0 | DR_TRAP1 | DR_TRAP2 | DR_TRAP3);

		vmx_set_dr(&vcpu->vmx, 6, dr6 | e->payload);
		vmx_set_dr(&vcpu->vmx, 7, vmx_dr(&vcpu->vmx, 7) & ~(u64)DR_GENERAL_DETECT);
	}
}

/* Faults set RF in the image they push, so that a code breakpoint fires once. */
static void set_resume_flag(struct keel_vcpu *vcpu, const struct keel_exception *e)
{
	if (e->soft || e->vector == X86_TRAP_DB || e->vector == X86_TRAP_BP ||
	    e->vector == X86_TRAP_OF || e->vector == X86_TRAP_DF || e->vector == X86_TRAP_MC)
		return;
	vmx_set_rflags(&vcpu->vmx, vmx_rflags(&vcpu->vmx) | X86_EFLAGS_RF);
}

static void inject_exception(struct keel_vcpu *vcpu)
{
	const struct keel_exception *e = &vcpu->events.exception;
	u32 info = INTR_INFO_VALID_MASK | e->vector;

	/* Real mode pushes no error code; the entry would fail. */
	if (e->has_error && vmx_cr0(&vcpu->vmx) & X86_CR0_PE)
		info |= INTR_INFO_DELIVER_CODE_MASK;
	info |= e->soft || e->vector == X86_TRAP_BP || e->vector == X86_TRAP_OF ?
		INTR_TYPE_SOFT_EXCEPTION : INTR_TYPE_HARD_EXCEPTION;
	vmx_inject(&vcpu->vmx, info, e->error, e->soft ? vcpu->events.insn_len : 1);
}

static void inject_interrupt(struct keel_vcpu *vcpu)
{
	bool soft = vcpu->events.interrupt.soft;
	u32 info = INTR_INFO_VALID_MASK | vcpu->events.interrupt.nr |
		   (soft ? INTR_TYPE_SOFT_INTR : INTR_TYPE_EXT_INTR);

	vmx_inject(&vcpu->vmx, info, 0, soft ? vcpu->events.insn_len : 0);
}

static void inject_nmi(struct keel_vcpu *vcpu)
{
	vmx_inject(&vcpu->vmx, INTR_INFO_VALID_MASK | INTR_TYPE_NMI_INTR | X86_TRAP_NMI, 0, 0);
}

static bool nmi_allowed(u32 shadow)
{
	return !(shadow & (INT_SHADOW | GUEST_INTR_STATE_NMI));
}

static bool irq_allowed(struct keel_vcpu *vcpu, u32 shadow)
{
	return (vmx_rflags(&vcpu->vmx) & X86_EFLAGS_IF) && !(shadow & INT_SHADOW);
}

/* Hand the injected event to the hardware; true if there is one. */
static bool inject(struct keel_vcpu *vcpu)
{
	struct keel_events *ev = &vcpu->events;

	if (ev->exception.injected)
		inject_exception(vcpu);
	else if (ev->nmi.injected)
		inject_nmi(vcpu);
	else if (ev->interrupt.injected)
		inject_interrupt(vcpu);
	else
		return false;
	return true;
}

static void accept_exception(struct keel_vcpu *vcpu)
{
	struct keel_exception *e = &vcpu->events.exception;

	apply_payload(vcpu, e);
	set_resume_flag(vcpu, e);
	STAT(vcpu, exceptions);
	e->pending = false;
	e->injected = true;
}

/*
 * Turn the most urgent event that the guest can take from pending to injected;
 * true if there is one.
 */
static bool accept_new(struct keel_vcpu *vcpu, u32 shadow)
{
	struct keel_events *ev = &vcpu->events;

	if (ev->exception.pending) {
		accept_exception(vcpu);
		return true;
	}
	if (unlikely(keel_debug_blocks_irqs(vcpu)))
		return false;
	if (ev->nmi.pending && nmi_allowed(shadow)) {
		ev->nmi.pending--;
		ev->nmi.injected = true;
		return true;
	}
	if (ev->interrupt.pending && irq_allowed(vcpu, shadow)) {
		ev->interrupt.pending = false;
		ev->interrupt.injected = true;
		STAT(vcpu, injections);
		return true;
	}
	return false;
}

/*
 * True if the guest traps after each instruction: TF is set, and DEBUGCTL.BTF
 * does not limit it to branches.
 */
static bool steps(struct keel_vcpu *vcpu)
{
	u64 debugctl;

	return vmx_rflags(&vcpu->vmx) & X86_EFLAGS_TF &&
	       !(vmx_get_msr(&vcpu->vmx, MSR_IA32_DEBUGCTLMSR, &debugctl) &&
		 debugctl & DEBUGCTLMSR_BTF);
}

/*
 * VM entry in an interrupt shadow demands a pending single-step trap if the
 * guest single-steps, and none if it does not: set or clear it accordingly.
 */
static void sync_pending_debug(struct keel_vcpu *vcpu, u32 shadow)
{
	u64 pending;

	if (!(shadow & INT_SHADOW))
		return;
	pending = vmx_pending_debug(&vcpu->vmx) & ~DR_STEP;
	vmx_set_pending_debug(&vcpu->vmx, pending | (steps(vcpu) ? DR_STEP : 0));
}

/*
 * Userspace sets flags, shadow and events one by one. Mend the combinations
 * that VM entry refuses: an STI shadow without IF, any shadow with an NMI or
 * interrupt that is injected, an NMI while NMIs are blocked, and virtual-8086
 * mode within long mode. Return the interruptibility state that is left.
 */
static u32 make_enterable(struct keel_vcpu *vcpu)
{
	const struct keel_events *ev = &vcpu->events;
	struct vmx_vcpu *v = &vcpu->vmx;
	u32 old = vmx_interruptibility(v), new = old;

	if (vmx_rflags(v) & X86_EFLAGS_VM && vmx_efer(v) & EFER_LMA)
		vmx_set_rflags(v, vmx_rflags(v) & ~X86_EFLAGS_VM);
	if (!(vmx_rflags(v) & X86_EFLAGS_IF))
		new &= ~GUEST_INTR_STATE_STI;
	if (ev->nmi.injected || ev->interrupt.injected)
		new &= ~INT_SHADOW;
	/* Unblock NMIs for the NMI that is injected: its delivery blocks them again. */
	if (ev->nmi.injected)
		new &= ~GUEST_INTR_STATE_NMI;
	if (new != old)
		vmx_set_interruptibility(v, new);
	return new;
}

/*
 * A pending exception comes before an event whose delivery was interrupted, as on
 * KVM: no window opens for the exception behind that event. The event becomes
 * pending again. INT n is dropped, because the guest executes it again.
 */
static void put_exception_first(struct keel_vcpu *vcpu)
{
	struct keel_events *ev = &vcpu->events;

	if (likely(!ev->exception.pending))
		return;
	if (ev->nmi.injected)
		ev->nmi.pending = min_t(u8, ev->nmi.pending + 1, NMI_LATCH);
	if (ev->interrupt.injected && !ev->interrupt.soft)
		ev->interrupt.pending = true;
	ev->nmi.injected = false;
	ev->interrupt.injected = false;
}

void keel_inject_events(struct keel_vcpu *vcpu)
{
	struct keel_events *ev = &vcpu->events;
	bool nmi_behind_sti, nmi, irq;
	u32 shadow;

	if (ev->triple_fault)
		return;
	put_exception_first(vcpu);
	shadow = make_enterable(vcpu);
	ev->window_wanted = READ_ONCE(vcpu->run->request_interrupt_window);
	sync_pending_debug(vcpu, shadow);
	ev->in_flight = inject(vcpu) || (accept_new(vcpu, shadow) && inject(vcpu));

	/* Events that KVM_GUESTDBG_BLOCKIRQ holds back need no window. */
	nmi = ev->nmi.pending && !keel_debug_blocks_irqs(vcpu);
	irq = ev->interrupt.pending && !keel_debug_blocks_irqs(vcpu);
	/*
	 * An NMI window may open in an STI shadow, where the NMI must still
	 * wait: use the interrupt window, which opens after the shadow.
	 */
	nmi_behind_sti = nmi && !ev->in_flight && (shadow & GUEST_INTR_STATE_STI);
	vmx_nmi_window(&vcpu->vmx, nmi && !nmi_behind_sti);
	vmx_irq_window(&vcpu->vmx, irq || ev->window_wanted || nmi_behind_sti);
}

void keel_uninject(struct keel_vcpu *vcpu)
{
	if (!vcpu->events.in_flight)
		return;
	vcpu->events.in_flight = false;
	vmx_cancel_injection(&vcpu->vmx);
	want_injection(vcpu);
}

/* --- without an entry --------------------------------------------------- */

bool keel_take_event(struct keel_vcpu *vcpu, struct emu_event *event)
{
	struct keel_events *ev = &vcpu->events;
	bool under_way;

	put_exception_first(vcpu);
	under_way = ev->exception.injected || ev->nmi.injected || ev->interrupt.injected;
	if (!under_way && !accept_new(vcpu, vmx_interruptibility(&vcpu->vmx)))
		return false;
	*event = (struct emu_event) { .vector = X86_TRAP_NMI };
	if (ev->exception.injected) {
		event->vector = ev->exception.vector;
		event->soft = ev->exception.soft;
		event->has_error = ev->exception.has_error;
		event->error_code = ev->exception.error;
	} else if (!ev->nmi.injected) {
		event->vector = ev->interrupt.nr;
		event->soft = ev->interrupt.soft;
	}
	/* INT n is a trap: deliver it with RIP after the instruction. */
	if (event->soft)
		event->length = ev->insn_len;
	return true;
}

void keel_event_over(struct keel_vcpu *vcpu, bool delivered)
{
	struct keel_events *ev = &vcpu->events;

	if (ev->exception.injected) {
		/*
		 * Keep an exception whose delivery failed: raise() combines it
		 * with the next one.
		 */
		ev->exception.injected = !delivered;
		return;
	}
	if (ev->nmi.injected && delivered)
		vmx_set_interruptibility(&vcpu->vmx, vmx_interruptibility(&vcpu->vmx) |
						     GUEST_INTR_STATE_NMI);
	ev->nmi.injected = false;
	ev->interrupt.injected = false;
}

bool keel_irq_ready(struct keel_vcpu *vcpu)
{
	const struct keel_events *ev = &vcpu->events;

	if (ev->interrupt.pending || ev->interrupt.injected || ev->nmi.injected ||
	    ev->exception.pending || ev->exception.injected)
		return false;
	if (!(vmx_rflags(&vcpu->vmx) & X86_EFLAGS_IF))
		return false;
	return !(vmx_interruptibility(&vcpu->vmx) & INT_SHADOW);
}

/* --- ioctls ------------------------------------------------------------- */

long keel_ioctl_interrupt(struct keel_vcpu *vcpu, void *data)
{
	const struct kvm_interrupt *irq = data;

	if (irq->irq > 255)
		return -EINVAL;
	if (vcpu->events.interrupt.pending || vcpu->events.interrupt.injected)
		return -EEXIST;
	vcpu->events.interrupt.pending = true;
	vcpu->events.interrupt.soft = false;
	vcpu->events.interrupt.nr = irq->irq;
	want_injection(vcpu);
	return 0;
}

long keel_ioctl_nmi(struct keel_vcpu *vcpu, void *data)
{
	bool serving = vcpu->events.nmi.injected ||
		       vmx_interruptibility(&vcpu->vmx) & GUEST_INTR_STATE_NMI;

	if (vcpu->events.nmi.pending < NMI_LATCH - serving)
		vcpu->events.nmi.pending++;
	want_injection(vcpu);
	return 0;
}

static u8 get_shadow(struct keel_vcpu *vcpu)
{
	u32 state = vmx_interruptibility(&vcpu->vmx);

	return (state & GUEST_INTR_STATE_STI ? KVM_X86_SHADOW_INT_STI : 0) |
	       (state & GUEST_INTR_STATE_MOV_SS ? KVM_X86_SHADOW_INT_MOV_SS : 0);
}

long keel_enable_payloads(struct keel_vm *vm, const u64 *args)
{
	WRITE_ONCE(vm->payloads, args[0]);
	return 0;
}

long keel_enable_triple_faults(struct keel_vm *vm, const u64 *args)
{
	WRITE_ONCE(vm->triple_faults, args[0]);
	return 0;
}

/*
 * Userspace that does not carry payloads cannot save CR2 or DR6 of a pending
 * exception: apply them now and report the exception as injected.
 */
static void get_exception(struct keel_vcpu *vcpu, struct kvm_vcpu_events *out)
{
	struct keel_exception *e = &vcpu->events.exception;
	bool payloads = READ_ONCE(vcpu->vm->payloads);

	if (e->pending && !payloads)
		apply_payload(vcpu, e);
	out->exception.nr = e->vector;
	out->exception.has_error_code = e->has_error;
	out->exception.error_code = e->error;
	if (e->soft)
		return;
	out->exception.injected = e->injected || (e->pending && !payloads);
	if (!payloads)
		return;
	out->exception.pending = e->pending;
	out->exception_has_payload = e->pending && e->has_payload;
	out->exception_payload = out->exception_has_payload ? e->payload : 0;
	out->flags |= KVM_VCPUEVENT_VALID_PAYLOAD;
}

long keel_get_vcpu_events(struct keel_vcpu *vcpu, void *data)
{
	struct keel_events *ev = &vcpu->events;
	struct kvm_vcpu_events *out = data;

	memset(out, 0, sizeof(*out));
	get_exception(vcpu, out);
	out->interrupt.injected = (ev->interrupt.pending || ev->interrupt.injected) &&
				  !ev->interrupt.soft;
	out->interrupt.nr = ev->interrupt.nr;
	out->interrupt.shadow = get_shadow(vcpu);
	out->nmi.injected = ev->nmi.injected;
	out->nmi.pending = ev->nmi.pending;
	out->nmi.masked = !!(vmx_interruptibility(&vcpu->vmx) & GUEST_INTR_STATE_NMI);
	out->smi.smm = ev->smm;
	out->smi.pending = ev->smi_pending;
	out->smi.smm_inside_nmi = ev->smm_inside_nmi;
	out->flags |= KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SHADOW |
		      KVM_VCPUEVENT_VALID_SMM;
	if (READ_ONCE(vcpu->vm->triple_faults)) {
		out->triple_fault.pending = ev->triple_fault;
		out->flags |= KVM_VCPUEVENT_VALID_TRIPLE_FAULT;
	}
	return 0;
}

/* Check the vector only if an exception is pending or injected. */
static bool events_valid(struct keel_vcpu *vcpu, const struct kvm_vcpu_events *in)
{
	u32 known = KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SIPI_VECTOR |
		    KVM_VCPUEVENT_VALID_SHADOW | KVM_VCPUEVENT_VALID_SMM;
	bool pending = in->flags & KVM_VCPUEVENT_VALID_PAYLOAD && in->exception.pending;

	if (READ_ONCE(vcpu->vm->payloads))
		known |= KVM_VCPUEVENT_VALID_PAYLOAD;
	if (READ_ONCE(vcpu->vm->triple_faults))
		known |= KVM_VCPUEVENT_VALID_TRIPLE_FAULT;
	if (in->flags & ~known)
		return false;
	if (!in->exception.injected && !pending)
		return true;
	return in->exception.nr < 32 && in->exception.nr != X86_TRAP_NMI;
}

static void set_shadow(struct keel_vcpu *vcpu, u8 shadow)
{
	u32 state = vmx_interruptibility(&vcpu->vmx) & ~INT_SHADOW;

	/* Hardware has one shadow at a time; MOV SS is the stronger. */
	if (shadow & KVM_X86_SHADOW_INT_MOV_SS)
		state |= GUEST_INTR_STATE_MOV_SS;
	else if (shadow & KVM_X86_SHADOW_INT_STI)
		state |= GUEST_INTR_STATE_STI;
	vmx_set_interruptibility(&vcpu->vmx, state);
}

static void set_nmi_masked(struct keel_vcpu *vcpu, bool masked)
{
	u32 state = vmx_interruptibility(&vcpu->vmx) & ~GUEST_INTR_STATE_NMI;

	vmx_set_interruptibility(&vcpu->vmx, state | (masked ? GUEST_INTR_STATE_NMI : 0));
}

static void set_exception(struct keel_vcpu *vcpu, const struct kvm_vcpu_events *in)
{
	bool pending = in->flags & KVM_VCPUEVENT_VALID_PAYLOAD && in->exception.pending;

	vcpu->events.exception = (struct keel_exception) {
		.pending = pending,
		.injected = in->exception.injected && !pending,
		.vector = in->exception.nr,
		.has_error = in->exception.has_error_code,
		.error = in->exception.error_code,
		.has_payload = pending && in->exception_has_payload,
		.payload = in->exception_payload,
	};
}

static void set_interrupt(struct keel_vcpu *vcpu, const struct kvm_vcpu_events *in)
{
	vcpu->events.interrupt.pending = in->interrupt.injected;
	vcpu->events.interrupt.injected = false;
	vcpu->events.interrupt.soft = in->interrupt.soft;
	vcpu->events.interrupt.nr = in->interrupt.nr;
	/* The ABI has no length for a software interrupt: INT n is two bytes. */
	if (in->interrupt.injected && in->interrupt.soft) {
		vcpu->events.interrupt.pending = false;
		vcpu->events.interrupt.injected = true;
		vcpu->events.insn_len = 2;
	}
}

long keel_set_vcpu_events(struct keel_vcpu *vcpu, void *data)
{
	const struct kvm_vcpu_events *in = data;
	struct keel_events *ev = &vcpu->events;

	if (!events_valid(vcpu, in))
		return -EINVAL;
	keel_uninject(vcpu);
	set_exception(vcpu, in);
	set_interrupt(vcpu, in);
	if (in->flags & KVM_VCPUEVENT_VALID_SHADOW)
		set_shadow(vcpu, in->interrupt.shadow);
	ev->nmi.injected = in->nmi.injected;
	if (in->flags & KVM_VCPUEVENT_VALID_NMI_PENDING)
		ev->nmi.pending = min_t(u8, in->nmi.pending, NMI_LATCH);
	set_nmi_masked(vcpu, in->nmi.masked);
	/* SMM selects the address space: forget the MMIO verdicts of the other one. */
	if (in->flags & KVM_VCPUEVENT_VALID_SMM) {
		mmio_cache_forget(vcpu);
		ev->smm = in->smi.smm;
		ev->smi_pending = in->smi.pending;
		ev->smm_inside_nmi = in->smi.smm_inside_nmi;
	}
	if (in->flags & KVM_VCPUEVENT_VALID_TRIPLE_FAULT)
		ev->triple_fault = in->triple_fault.pending;
	want_injection(vcpu);
	return 0;
}
