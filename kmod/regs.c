// SPDX-License-Identifier: GPL-2.0
/*
 * Owns the ioctls for general, special and debug registers, the registers in
 * kvm_run, MP_STATE and KVM_TRANSLATE. cr.c and msr.c have the rules of the
 * architecture. Segments go to the hardware as userspace has set them; VM entry
 * refuses illegal ones (KVM_EXIT_FAIL_ENTRY).
 */
#include <linux/bitmap.h>
#include <linux/string.h>
#include <asm/msr-index.h>

#include "cpuid.h"
#include "cr.h"
#include "irq.h"
#include "keel.h"
#include "msr.h"
#include "regs.h"

#define NR_VECTORS_OF_BITMAP	256

long keel_get_regs(struct keel_vcpu *vcpu, void *data)
{
	struct vmx_vcpu *v = &vcpu->vmx;
	struct kvm_regs *r = data;

	r->rax = v->gpr[GPR_RAX];
	r->rbx = v->gpr[GPR_RBX];
	r->rcx = v->gpr[GPR_RCX];
	r->rdx = v->gpr[GPR_RDX];
	r->rsi = v->gpr[GPR_RSI];
	r->rdi = v->gpr[GPR_RDI];
	r->rsp = vmx_rsp(v);
	r->rbp = v->gpr[GPR_RBP];
	r->r8 = v->gpr[GPR_R8];
	r->r9 = v->gpr[GPR_R9];
	r->r10 = v->gpr[GPR_R10];
	r->r11 = v->gpr[GPR_R11];
	r->r12 = v->gpr[GPR_R12];
	r->r13 = v->gpr[GPR_R13];
	r->r14 = v->gpr[GPR_R14];
	r->r15 = v->gpr[GPR_R15];
	r->rip = vmx_rip(v);
	r->rflags = keel_debug_show_rflags(vcpu);
	return 0;
}

long keel_set_regs(struct keel_vcpu *vcpu, void *data)
{
	struct vmx_vcpu *v = &vcpu->vmx;
	const struct kvm_regs *r = data;
	bool elsewhere = r->rip != vmx_rip(v);

	v->gpr[GPR_RAX] = r->rax;
	v->gpr[GPR_RBX] = r->rbx;
	v->gpr[GPR_RCX] = r->rcx;
	v->gpr[GPR_RDX] = r->rdx;
	v->gpr[GPR_RSI] = r->rsi;
	v->gpr[GPR_RDI] = r->rdi;
	vmx_set_rsp(v, r->rsp);
	v->gpr[GPR_RBP] = r->rbp;
	v->gpr[GPR_R8] = r->r8;
	v->gpr[GPR_R9] = r->r9;
	v->gpr[GPR_R10] = r->r10;
	v->gpr[GPR_R11] = r->r11;
	v->gpr[GPR_R12] = r->r12;
	v->gpr[GPR_R13] = r->r13;
	v->gpr[GPR_R14] = r->r14;
	v->gpr[GPR_R15] = r->r15;
	vmx_set_rip(v, r->rip);
	keel_debug_set_rflags(vcpu, r->rflags | X86_EFLAGS_FIXED);

	/* Drop a pending exception: it belongs to the old registers. */
	vcpu->events.exception.pending = false;
	/*
	 * Drop pending traps only if RIP changes: a debugger may write the
	 * registers back unchanged.
	 */
	if (elsewhere)
		vmx_set_pending_debug(v, 0);
	keel_make_request(vcpu, REQ_EVENT);
	return 0;
}

/* The members that struct kvm_sregs and struct kvm_sregs2 have in common. */
static void get_common(struct keel_vcpu *vcpu, struct kvm_sregs2 *s)
{
	struct vmx_vcpu *v = &vcpu->vmx;

	memset(s, 0, sizeof(*s));
	vmx_get_segment(v, SEG_CS, &s->cs);
	vmx_get_segment(v, SEG_DS, &s->ds);
	vmx_get_segment(v, SEG_ES, &s->es);
	vmx_get_segment(v, SEG_FS, &s->fs);
	vmx_get_segment(v, SEG_GS, &s->gs);
	vmx_get_segment(v, SEG_SS, &s->ss);
	vmx_get_segment(v, SEG_TR, &s->tr);
	vmx_get_segment(v, SEG_LDTR, &s->ldt);
	vmx_get_gdt(v, &s->gdt);
	vmx_get_idt(v, &s->idt);
	s->cr0 = vmx_cr0(v);
	s->cr2 = v->cr2;
	s->cr3 = vmx_cr3(v);
	s->cr4 = vmx_cr4(v);
	s->cr8 = vcpu->cr8;
	s->efer = vmx_efer(v);
	s->apic_base = vcpu->apic_base;
}

/* Paging with EFER.LME set is long mode; anything else is not. */
static bool long_mode_consistent(const struct kvm_sregs2 *s)
{
	bool lma = s->efer & EFER_LMA;

	if ((s->efer & EFER_LME) && (s->cr0 & X86_CR0_PG))
		return lma && (s->cr4 & X86_CR4_PAE);
	return !lma && !s->cs.l;
}

static bool sregs_valid(struct keel_vcpu *vcpu, const struct kvm_sregs2 *s)
{
	if (s->efer & ~(EFER_SCE | EFER_LME | EFER_LMA | EFER_NX))
		return false;
	if (!keel_cr0_valid(s->cr0) || !keel_cr4_valid(vcpu, s->cr4))
		return false;
	return keel_cr3_valid(vcpu, s->cr3) && !(s->cr8 >> 4) && long_mode_consistent(s);
}

static void set_segments(struct vmx_vcpu *v, const struct kvm_sregs2 *s)
{
	vmx_set_segment(v, SEG_CS, &s->cs);
	vmx_set_segment(v, SEG_DS, &s->ds);
	vmx_set_segment(v, SEG_ES, &s->es);
	vmx_set_segment(v, SEG_FS, &s->fs);
	vmx_set_segment(v, SEG_GS, &s->gs);
	vmx_set_segment(v, SEG_SS, &s->ss);
	vmx_set_segment(v, SEG_TR, &s->tr);
	vmx_set_segment(v, SEG_LDTR, &s->ldt);
	vmx_set_gdt(v, &s->gdt);
	vmx_set_idt(v, &s->idt);
}

/* Set all registers at once: for some changes no order of single writes is legal. */
static long set_common(struct keel_vcpu *vcpu, const struct kvm_sregs2 *s)
{
	struct vmx_vcpu *v = &vcpu->vmx;

	if (!sregs_valid(vcpu, s) || keel_set_apic_base(vcpu, s->apic_base))
		return -EINVAL;
	v->cr2 = s->cr2;
	vcpu->cr8 = s->cr8;
	vmx_set_efer(v, s->efer);
	vmx_set_cr0(v, (s->cr0 & CR0_KNOWN) | X86_CR0_ET);
	vmx_set_cr3(v, s->cr3);
	vmx_set_cr4(v, s->cr4);
	set_segments(v, s);
	vmx_flush_tlb(v);
	mmio_cache_forget(vcpu);
	keel_cpuid_update(vcpu);
	keel_make_request(vcpu, REQ_EVENT);
	return 0;
}

long keel_get_sregs(struct keel_vcpu *vcpu, void *data)
{
	u8 nr = vcpu->events.interrupt.nr;
	struct kvm_sregs *s = data;
	struct kvm_sregs2 all;

	get_common(vcpu, &all);
	memset(s, 0, sizeof(*s));
	memcpy(s, &all, offsetof(struct kvm_sregs, interrupt_bitmap));
	if ((vcpu->events.interrupt.pending || vcpu->events.interrupt.injected) &&
	    !vcpu->events.interrupt.soft)
		s->interrupt_bitmap[nr / 64] = BIT_ULL(nr % 64);
	return 0;
}

static void queue_interrupt(struct keel_vcpu *vcpu, u8 vector)
{
	keel_uninject(vcpu);
	vcpu->events.interrupt.pending = true;
	vcpu->events.interrupt.injected = false;
	vcpu->events.interrupt.soft = false;
	vcpu->events.interrupt.nr = vector;
}

/* Keep the old PDPTEs if the new ones cannot be read or are illegal, as KVM does. */
long keel_set_sregs(struct keel_vcpu *vcpu, void *data)
{
	const struct kvm_sregs *s = data;
	struct kvm_sregs2 all = {};
	unsigned long vector;
	long r;

	/* Both structures have the same members up to here. */
	BUILD_BUG_ON(offsetof(struct kvm_sregs, interrupt_bitmap) !=
		     offsetof(struct kvm_sregs2, flags));
	memcpy(&all, s, offsetof(struct kvm_sregs, interrupt_bitmap));
	r = set_common(vcpu, &all);
	if (r)
		return r;
	if (keel_pae_paging(vcpu))
		keel_load_pdptrs(vcpu, s->cr3);
	vector = find_first_bit((const unsigned long *)s->interrupt_bitmap, NR_VECTORS_OF_BITMAP);
	if (vector < NR_VECTORS_OF_BITMAP)
		queue_interrupt(vcpu, vector);
	return 0;
}

long keel_get_sregs2(struct keel_vcpu *vcpu, void *data)
{
	struct kvm_sregs2 *s = data;

	get_common(vcpu, s);
	if (keel_pae_paging(vcpu)) {
		vmx_get_pdptrs(&vcpu->vmx, s->pdptrs);
		s->flags = KVM_SREGS2_FLAGS_PDPTRS_VALID;
	}
	return 0;
}

static bool sregs2_pae(const struct kvm_sregs2 *s)
{
	return (s->cr0 & X86_CR0_PG) && (s->cr4 & X86_CR4_PAE) && !(s->efer & EFER_LMA);
}

long keel_set_sregs2(struct keel_vcpu *vcpu, void *data)
{
	const struct kvm_sregs2 *s = data;
	bool pdptrs = s->flags & KVM_SREGS2_FLAGS_PDPTRS_VALID;
	long r;

	if (s->flags & ~KVM_SREGS2_FLAGS_PDPTRS_VALID)
		return -EINVAL;
	if (pdptrs && (!sregs2_pae(s) || !keel_pdptrs_valid(vcpu, s->pdptrs)))
		return -EINVAL;
	r = set_common(vcpu, s);
	if (r)
		return r;
	if (pdptrs)
		vmx_set_pdptrs(&vcpu->vmx, s->pdptrs);
	else if (keel_pae_paging(vcpu))
		keel_load_pdptrs(vcpu, s->cr3);
	return 0;
}

long keel_get_debugregs(struct keel_vcpu *vcpu, void *data)
{
	struct kvm_debugregs *d = data;
	int i;

	memset(d, 0, sizeof(*d));
	for (i = 0; i < 4; i++)
		d->db[i] = vmx_dr(&vcpu->vmx, i);
	d->dr6 = vmx_dr(&vcpu->vmx, 6);
	d->dr7 = vmx_dr(&vcpu->vmx, 7);
	return 0;
}

long keel_set_debugregs(struct keel_vcpu *vcpu, void *data)
{
	const struct kvm_debugregs *d = data;
	int i;

	if (d->flags || !keel_dr_valid(6, d->dr6) || !keel_dr_valid(7, d->dr7))
		return -EINVAL;
	for (i = 0; i < 4; i++)
		keel_set_dr(vcpu, i, d->db[i]);
	keel_set_dr(vcpu, 6, d->dr6);
	keel_set_dr(vcpu, 7, d->dr7);
	return 0;
}

long keel_get_mp_state(struct keel_vcpu *vcpu, void *data)
{
	struct kvm_mp_state *m = data;

	m->mp_state = vcpu->mp_state;
	return 0;
}

/* Only RUNNABLE: other states need an interrupt controller in the kernel. */
long keel_set_mp_state(struct keel_vcpu *vcpu, void *data)
{
	const struct kvm_mp_state *m = data;

	if (m->mp_state != KVM_MP_STATE_RUNNABLE)
		return -EINVAL;
	vcpu->mp_state = m->mp_state;
	keel_make_request(vcpu, REQ_EVENT);
	return 0;
}

long keel_translate(struct keel_vcpu *vcpu, void *data)
{
	struct kvm_translation *t = data;
	struct walk_fault fault;
	gpa_t gpa = INVALID_GPA;

	keel_read_slots(vcpu);
	if (mmu_walk(vcpu, t->linear_address, ACC_READ, false, &gpa, &fault))
		gpa = INVALID_GPA;
	keel_read_slots_end(vcpu);
	t->physical_address = gpa;
	t->valid = gpa != INVALID_GPA;
	t->writeable = 1;
	t->usermode = 0;
	return 0;
}

/* --- registers in kvm_run ------------------------------------------------ */

/* Copy userspace's values out of the shared page, so that those used are those validated. */
static int take_sregs(struct keel_vcpu *vcpu, const struct kvm_sync_regs *shared)
{
	struct kvm_sregs s;

	memcpy(&s, &shared->sregs, sizeof(s));
	barrier();
	return keel_set_sregs(vcpu, &s) ? -EINVAL : 0;
}

static int take_events(struct keel_vcpu *vcpu, const struct kvm_sync_regs *shared)
{
	struct kvm_vcpu_events e;

	memcpy(&e, &shared->events, sizeof(e));
	barrier();
	return keel_set_vcpu_events(vcpu, &e) ? -EINVAL : 0;
}

static void take_regs(struct keel_vcpu *vcpu, const struct kvm_sync_regs *shared)
{
	struct kvm_regs r;

	memcpy(&r, &shared->regs, sizeof(r));
	barrier();
	keel_set_regs(vcpu, &r);
}

int keel_sync_regs_in(struct keel_vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	u64 dirty = READ_ONCE(run->kvm_dirty_regs);
	int r;

	if ((dirty | READ_ONCE(run->kvm_valid_regs)) & ~(u64)KVM_SYNC_X86_VALID_FIELDS)
		return -EINVAL;
	if (likely(!dirty))
		return 0;
	keel_drop_answer(vcpu);
	if (dirty & KVM_SYNC_X86_REGS) {
		take_regs(vcpu, &run->s.regs);
		dirty &= ~(u64)KVM_SYNC_X86_REGS;
		run->kvm_dirty_regs = dirty;
	}
	if (dirty & KVM_SYNC_X86_SREGS) {
		r = take_sregs(vcpu, &run->s.regs);
		if (r)
			return r;
		dirty &= ~(u64)KVM_SYNC_X86_SREGS;
		run->kvm_dirty_regs = dirty;
	}
	if (dirty & KVM_SYNC_X86_EVENTS) {
		r = take_events(vcpu, &run->s.regs);
		if (r)
			return r;
		run->kvm_dirty_regs = 0;
	}
	return 0;
}

void keel_sync_regs_out(struct keel_vcpu *vcpu)
{
	struct kvm_sync_regs *shared = &vcpu->run->s.regs;
	u64 valid = READ_ONCE(vcpu->run->kvm_valid_regs);

	if (likely(!valid))
		return;
	if (valid & KVM_SYNC_X86_REGS)
		keel_get_regs(vcpu, &shared->regs);
	if (valid & KVM_SYNC_X86_SREGS)
		keel_get_sregs(vcpu, &shared->sregs);
	if (valid & KVM_SYNC_X86_EVENTS)
		keel_get_vcpu_events(vcpu, &shared->events);
}
