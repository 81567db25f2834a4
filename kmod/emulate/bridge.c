// SPDX-License-Identifier: GPL-2.0
/*
 * Connect the pure emulator to the vCPU: its registers, and guest memory and MMIO
 * behind the callbacks. exit.c handles instructions that cannot be emulated; io.c
 * owns the exits to userspace for MMIO.
 */
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/string.h>
#include <asm/trapnr.h>
#include <asm/vmx.h>

#include "../exit.h"
#include "../gpa.h"
#include "../io.h"
#include "../irq.h"
#include "../keel.h"
#include "bridge.h"
#include "emulate.h"
#include "place.h"
#include "rehearse.h"
#include "sysregs.h"
#include "vecreg.h"

#define MMIO_MAX	8	/* bytes in one exit */

static struct keel_vcpu *vcpu_of(struct emu_ctx *ctx)
{
	return ctx->priv;
}

/* --- memory ------------------------------------------------------------- */

/* The gpa of @linear if it is in the page of the access that exited. */
static gpa_t mmio_gpa(const struct emu_ctx *ctx, u64 linear)
{
	const struct keel_vcpu *vcpu = ctx->priv;

	return (vcpu->emulation.gpa & PAGE_MASK) | offset_in_page(linear);
}

/*
 * Check the right of user code to write at @linear. The processor may have run
 * another instruction than the one fetched here, if its bytes or their TLB entry
 * were stale, and an EPT misconfiguration does not tell a write from a read: so
 * walk the guest's tables. A kernel that changes its own code is not checked. The
 * right to read is certain: every access includes it.
 */
static bool may_write(struct emu_ctx *ctx, u64 linear)
{
	struct keel_vcpu *vcpu = vcpu_of(ctx);
	struct keel_emulation *e = &vcpu->emulation;
	struct walk_fault fault;
	gpa_t gpa;

	if (likely(ctx->cpl != 3 || e->may_write))
		return true;
	if (mmu_walk_write(vcpu, linear, place_walk_access(ctx, EMU_WRITE), &gpa, &fault))
		return false;
	e->may_write = gpa == mmio_gpa(ctx, linear);
	return e->may_write;
}

/*
 * True if @linear is the MMIO access that exited, which the hardware has
 * translated and checked. If it is the only access of the instruction, it needs
 * no walk, except for the right to write, and while the memslot generation of the
 * verdict is current, no memslot lookup. The next iteration of a repeated
 * instruction in the same page counts as the same access: the guest cannot have
 * learned in between that its tables have changed.
 */
static __always_inline bool known_mmio(struct emu_ctx *ctx, u64 linear, unsigned int size,
				       unsigned int access)
{
	struct keel_vcpu *vcpu = vcpu_of(ctx);
	struct keel_emulation *e = &vcpu->emulation;
	unsigned int acc = access & EMU_WRITE ? ACC_WRITE : ACC_READ;
	gpa_t gpa = mmio_gpa(ctx, linear);

	if (!e->alone || offset_in_page(linear) + size > PAGE_SIZE)
		return false;
	/* After an exit to userspace, the result of the first run holds. */
	if (e->again)
		return e->known;
	/* A read-modify-write needs the right to write for its read. */
	if (access & EMU_RMW)
		acc |= ACC_WRITE;
	if (e->page_known ? e->page != (linear & PAGE_MASK) : gpa != e->gpa)
		return false;
	if (acc & ACC_WRITE && !may_write(ctx, linear))
		return false;
	if (ctx->cpl == 3)
		acc |= ACC_USER;
	if (!mmio_cache_match(vcpu, linear, gpa, acc))
		return false;
	e->page = linear & PAGE_MASK;
	e->page_known = true;
	e->known = true;
	return true;
}

static enum emu_result fetch(struct emu_ctx *ctx, u64 linear, void *buf, unsigned int len)
{
	struct keel_vcpu *vcpu = vcpu_of(ctx);
	struct walk_fault fault;
	gpa_t gpa;
	int err = mmu_walk_code(vcpu, linear, place_walk_access(ctx, EMU_FETCH), &gpa, &fault);

	if (err)
		return place_walked(ctx, err, &fault);
	err = keel_gpa_read(vcpu, gpa, buf, len);
	if (err == -EFAULT)
		return place_host_error(ctx, err);
	/* Code outside the memslots (MMIO) is not executed. */
	return err ? EMU_UNHANDLED : EMU_OK;
}

static enum emu_result ask_mmio(struct keel_vcpu *vcpu, gpa_t gpa, u8 *buf, unsigned int len,
				bool write)
{
	int err = write ? keel_mmio_write(vcpu, gpa, buf, len) :
			  keel_mmio_read(vcpu, gpa, buf, len);

	if (err)
		return err == -EAGAIN ? EMU_IO : EMU_UNHANDLED;
	return EMU_OK;
}

static noinline enum emu_result move_wide_mmio(struct keel_vcpu *vcpu, gpa_t gpa, u8 *buf,
					       unsigned int len, bool write)
{
	enum emu_result r = EMU_OK;
	unsigned int n;

	for (; len && r == EMU_OK; len -= n) {
		n = min_t(unsigned int, len, MMIO_MAX);
		r = ask_mmio(vcpu, gpa, buf, n, write);
		gpa += n;
		buf += n;
	}
	return r;
}

static enum emu_result move_mmio(struct keel_vcpu *vcpu, gpa_t gpa, u8 *buf, unsigned int len,
				 bool write)
{
	if (likely(len <= MMIO_MAX))
		return ask_mmio(vcpu, gpa, buf, len, write);
	return move_wide_mmio(vcpu, gpa, buf, len, write);
}

static int access_ram(struct keel_vcpu *vcpu, const struct place_part *part, u8 *buf, bool write)
{
	const struct keel_place *p = part->place;
	gpa_t gpa = p->gpa + part->offset;
	hva_t hva = p->hva + part->offset;

	if (likely(!vcpu->emulation.again))
		return write ? keel_gpa_write(vcpu, gpa, buf, part->len) :
			       keel_gpa_read(vcpu, gpa, buf, part->len);
	/* The memslots may have changed since the place was found. */
	return write ? keel_gpa_write_held(vcpu, gpa, hva, buf, part->len) :
		       keel_gpa_read_held(vcpu, gpa, hva, buf, part->len);
}

static enum emu_result read_ram(struct emu_ctx *ctx, const struct place_part *part, u8 *buf)
{
	struct keel_vcpu *vcpu = vcpu_of(ctx);
	gpa_t gpa = part->place->gpa + part->offset;
	int err;

	err = keel_ram_recall(vcpu, gpa, buf, part->len);
	if (err == -ENOENT) {
		err = access_ram(vcpu, part, buf, false);
		if (err)
			return place_host_error(ctx, err);
		err = keel_ram_note(vcpu, gpa, buf, part->len);
	}
	return err ? EMU_UNHANDLED : EMU_OK;
}

/*
 * The host may map a page of a device or driver read-only
 * (mmu_host_reads_only()): then a guest write to it is MMIO. Any other failure
 * ends KVM_RUN.
 */
static enum emu_result write_failed(struct emu_ctx *ctx, const struct place_part *part, u8 *buf,
				    int err)
{
	const struct keel_place *p = part->place;

	if (!mmu_host_reads_only(p->hva))
		return place_host_error(ctx, err);
	return move_mmio(vcpu_of(ctx), p->gpa + part->offset, buf, part->len, true);
}

static enum emu_result write_ram(struct emu_ctx *ctx, const struct place_part *part, u8 *buf)
{
	int err = 0;

	if (likely(!vcpu_of(ctx)->mmio.rehearsing))
		err = access_ram(vcpu_of(ctx), part, buf, true);
	return unlikely(err) ? write_failed(ctx, part, buf, err) : EMU_OK;
}

static enum emu_result move_part(struct emu_ctx *ctx, const struct place_part *part, u8 *buf,
				 bool write)
{
	const struct keel_place *p = part->place;

	if (write ? !p->writable : !p->memory)
		return move_mmio(vcpu_of(ctx), p->gpa + part->offset, buf, part->len, write);
	return write ? write_ram(ctx, part, buf) : read_ram(ctx, part, buf);
}

static noinline enum emu_result move_by_walk(struct emu_ctx *ctx, u64 linear, u8 *buf,
					     unsigned int size, unsigned int access)
{
	struct place_span span;
	enum emu_result r;
	int i;

	r = place_find(ctx, linear, size, access, &span);
	if (access & EMU_PROBE)
		return r;
	for (i = 0; r == EMU_OK && i < span.parts; i++) {
		r = move_part(ctx, &span.part[i], buf, access & EMU_WRITE);
		buf += span.part[i].len;
	}
	return r;
}

static enum emu_result move(struct emu_ctx *ctx, u64 linear, u8 *buf, unsigned int size,
			    unsigned int access)
{
	if (known_mmio(ctx, linear, size, access))
		return move_mmio(vcpu_of(ctx), mmio_gpa(ctx, linear), buf, size,
				 access & EMU_WRITE);
	return move_by_walk(ctx, linear, buf, size, access);
}

static noinline void watch_access(struct emu_ctx *ctx, u64 linear, unsigned int size,
				  unsigned int access)
{
	if (!(access & (EMU_SYSTEM | EMU_PROBE)))
		keel_debug_watch(vcpu_of(ctx), linear, size, access & EMU_WRITE);
}

/* Compare the access with the data breakpoints; they are rarely enabled. */
static __always_inline void watch(struct emu_ctx *ctx, u64 linear, unsigned int size,
				  unsigned int access)
{
	if (unlikely(vcpu_of(ctx)->vmx.on_data))
		watch_access(ctx, linear, size, access);
}

static enum emu_result read(struct emu_ctx *ctx, u64 linear, void *buf, unsigned int size,
			    unsigned int access)
{
	watch(ctx, linear, size, access);
	return move(ctx, linear, buf, size, access);
}

/* move() does not write to @buf if EMU_WRITE is in @access. */
static enum emu_result write(struct emu_ctx *ctx, u64 linear, const void *buf, unsigned int size,
			     unsigned int access)
{
	watch(ctx, linear, size, access);
	return move(ctx, linear, (void *)buf, size, access);
}

/* Exchange atomically in RAM within a cache line; anything else gets a plain write. */
static enum emu_result exchange(struct emu_ctx *ctx, u64 linear, const void *old, const void *new,
				unsigned int size, unsigned int access)
{
	struct keel_vcpu *vcpu = vcpu_of(ctx);
	struct place_span span;
	enum emu_result r;
	int err;

	watch(ctx, linear, size, access);
	if (known_mmio(ctx, linear, size, access))
		return write(ctx, linear, new, size, access);
	r = place_find(ctx, linear, size, access, &span);
	if (r != EMU_OK)
		return r;
	if (span.parts > 1 || !span.part[0].place->writable || vcpu->mmio.rehearsing)
		return write(ctx, linear, new, size, access);
	err = keel_gpa_cmpxchg(vcpu, span.part[0].place->gpa + span.part[0].offset, old, new,
			       size);
	if (err == -EAGAIN)
		return EMU_RETRY;
	if (err == -EFAULT)
		return write_failed(ctx, &span.part[0], (u8 *)new, err);
	return err ? write(ctx, linear, new, size, access) : EMU_OK;
}

/* --- registers ---------------------------------------------------------- */

static void load_seg(struct emu_ctx *ctx, unsigned int index)
{
	struct kvm_segment s;

	/* enum vmx_seg and enum emu_seg_index have the same order. */
	vmx_get_segment(&vcpu_of(ctx)->vmx, index, &s);
	ctx->seg[index] = (struct emu_seg) {
		.base = s.base, .limit = s.limit, .sel = s.selector, .type = s.type, .s = s.s,
		.dpl = s.dpl, .p = s.present, .avl = s.avl, .l = s.l, .db = s.db, .g = s.g,
		.unusable = s.unusable,
	};
	ctx->seg_valid |= 1u << index;
}

const struct emu_ops keel_emu_ops = {
	.fetch = fetch,
	.read = read,
	.write = write,
	.exchange = exchange,
	.load_seg = load_seg,
	.read_xmm = keel_read_xmm,
	.write_xmm = keel_write_xmm,
	.read_mask = keel_read_mask,
	.write_mask = keel_write_mask,
	.read_fx = keel_read_fx,
	.write_fx = keel_write_fx,
	.run_x87 = keel_run_x87,
	.system = &keel_emu_system,
};

static enum emu_mode code_mode(struct emu_ctx *ctx)
{
	if (!(ctx->cr0 & X86_CR0_PE))
		return EMU_MODE_REAL;
	if (ctx->rflags & X86_EFLAGS_VM)
		return EMU_MODE_VM86;
	/* 64-bit code ignores the other fields of CS: do not read them. */
	if (vmx_in_long_mode_code(&vcpu_of(ctx)->vmx))
		return EMU_MODE_LONG64;
	load_seg(ctx, EMU_CS);
	return ctx->seg[EMU_CS].db ? EMU_MODE_PROT32 : EMU_MODE_PROT16;
}

/* RFLAGS without the TF that userspace's single-stepping has set. */
static u64 guest_rflags(struct keel_vcpu *vcpu)
{
	if (unlikely(vcpu->debug.control))
		return keel_debug_show_rflags(vcpu);
	return vmx_rflags(&vcpu->vmx);
}

static void set_guest_rflags(struct keel_vcpu *vcpu, u64 val)
{
	if (unlikely(vcpu->debug.control))
		keel_debug_set_rflags(vcpu, val);
	else if (val != vmx_rflags(&vcpu->vmx))
		vmx_set_rflags(&vcpu->vmx, val);
}

static void fill(struct emu_ctx *ctx, struct keel_vcpu *vcpu)
{
	struct vmx_vcpu *v = &vcpu->vmx;

	vmx_read_registers(v);
	vcpu->emulation.rsp = vmx_rsp(v);
	static_assert(sizeof(*ctx->gpr) == sizeof(*v->gpr));
	ctx->gpr = (u64 *)v->gpr;
	ctx->ops = &keel_emu_ops;
	ctx->priv = vcpu;
	ctx->rip = vmx_rip(v);
	ctx->rflags = guest_rflags(vcpu);
	ctx->cr0 = vmx_cr0(v);
	ctx->cr4 = vmx_cr4(v);
	ctx->efer = vmx_efer(v);
	ctx->xcr0 = vmx_xcr0(v);
	ctx->cpl = vmx_cpl(v);
	ctx->seg_valid = 0;
	ctx->mode = code_mode(ctx);
	ctx->insn.fetched = 0;
}

static void set_shadow(struct vmx_vcpu *v, enum emu_shadow shadow)
{
	u32 old = vmx_interruptibility(v);
	u32 new = old & ~(GUEST_INTR_STATE_STI | GUEST_INTR_STATE_MOV_SS);

	if (shadow == EMU_SHADOW_STI)
		new |= GUEST_INTR_STATE_STI;
	if (shadow == EMU_SHADOW_MOV_SS)
		new |= GUEST_INTR_STATE_MOV_SS;
	if (new != old)
		vmx_set_interruptibility(v, new);
}

static void store_seg(struct keel_vcpu *vcpu, unsigned int index, const struct emu_seg *s)
{
	struct kvm_segment k = {
		.base = s->base, .limit = s->limit, .selector = s->sel, .type = s->type, .s = s->s,
		.dpl = s->dpl, .present = s->p, .avl = s->avl, .l = s->l, .db = s->db, .g = s->g,
		.unusable = s->unusable,
	};

	vmx_set_segment(&vcpu->vmx, index, &k);
}

static void commit_segs(struct emu_ctx *ctx, struct keel_vcpu *vcpu)
{
	int i;

	for (i = 0; i < EMU_SEG_COUNT; i++)
		if (ctx->seg_dirty & (1u << i))
			store_seg(vcpu, i, &ctx->seg[i]);
}

static void queue_fault(struct keel_vcpu *vcpu, const struct emu_exception *e)
{
	struct walk_fault pf = { .error = e->error_code, .gva = e->cr2 };

	if (e->vector == X86_TRAP_PF)
		keel_queue_page_fault(vcpu, &pf);
	else if (e->vector == X86_TRAP_DB)
		keel_queue_debug(vcpu, e->dr6);
	else if (e->has_error)
		keel_queue_exception_error(vcpu, e->vector, e->error_code);
	else
		keel_queue_exception(vcpu, e->vector);
}

static void commit(struct emu_ctx *ctx, struct keel_vcpu *vcpu)
{
	struct vmx_vcpu *v = &vcpu->vmx;

	if (ctx->gpr[EMU_RSP] != vcpu->emulation.rsp)
		vmx_set_rsp(v, ctx->gpr[EMU_RSP]);
	vmx_set_rip(v, ctx->rip);
	set_guest_rflags(vcpu, ctx->rflags);
	if (ctx->seg_dirty)
		commit_segs(ctx, vcpu);
	set_shadow(v, ctx->shadow);
	if (ctx->begins_with_fault)
		queue_fault(vcpu, &ctx->fault);
	if (ctx->nmi_open)
		vmx_set_interruptibility(v, vmx_interruptibility(v) & ~GUEST_INTR_STATE_NMI);
	if (unlikely(ctx->single_step || keel_debug_ends(&vcpu->debug)))
		keel_stepped(vcpu, ctx->single_step);
	if (ctx->shadow != EMU_SHADOW_NONE && ctx->rflags & X86_EFLAGS_TF)
		keel_make_request(vcpu, REQ_EVENT);	/* sets the pending trap */
}

/* --- one instruction ---------------------------------------------------- */

/*
 * True if the next iteration may follow at once. Requests, signals,
 * immediate_exit and interrupt windows are handled on the way into the guest, so
 * each of them sends the vCPU there.
 */
static bool undisturbed(struct keel_vcpu *vcpu)
{
	const struct kvm_run *run = vcpu->run;

	return !READ_ONCE(vcpu->requests) && !signal_pending(current) &&
	       !READ_ONCE(run->immediate_exit) && !READ_ONCE(run->request_interrupt_window);
}

/* Forget the places of the previous instruction: a new one begins. */
static void forget_places(struct keel_emulation *e)
{
	e->known = false;
	e->again = false;
	e->nr_places = 0;
}

static int emulate(struct keel_vcpu *vcpu);

/*
 * Called after an iteration of a repeated instruction that accessed a device.
 * Emulate the next iteration at once, because it most likely accesses the device
 * too: this saves a VM exit. If it needs no exit to userspace, resume the guest.
 */
static int carry_on(struct keel_vcpu *vcpu, int r)
{
	struct keel_emulation *e = &vcpu->emulation;

	if (r != RUN_RESUME || !e->decoded || !e->ctx.rep_again || !undisturbed(vcpu))
		return r;
	forget_places(e);
	return emulate(vcpu);
}

static int flush_rest(struct keel_vcpu *vcpu);

/* Continue with flush_rest() after this exit if writes are queued or iterations remain. */
static int went_out(struct keel_vcpu *vcpu, int r)
{
	if (r == RUN_USER && (keel_mmio_queued(vcpu) || vcpu->emulation.ctx.rep_again))
		vcpu->complete = flush_rest;
	return r;
}

static int flush_rest(struct keel_vcpu *vcpu)
{
	return carry_on(vcpu, went_out(vcpu, keel_mmio_flush(vcpu)));
}

static int emulate_again(struct keel_vcpu *vcpu);
static int emulate_answered(struct keel_vcpu *vcpu);
static int emulate_msr_answered(struct keel_vcpu *vcpu);

/*
 * EMU_RETRY. If a host error came after userspace had answered, keep the answers:
 * the next KVM_RUN continues this instruction with them. Otherwise it starts
 * over.
 */
static int not_now(struct keel_vcpu *vcpu)
{
	struct keel_emulation *e = &vcpu->emulation;

	if (e->again && e->error)
		vcpu->complete = emulate_again;
	else
		keel_mmio_reset(vcpu);
	return e->error ?: RUN_RESUME;
}

static int finish_ok(struct keel_vcpu *vcpu, struct emu_ctx *ctx)
{
	STAT(vcpu, emulated);
	commit(ctx, vcpu);
	if (unlikely(vcpu->emulation.tpr_lowered)) {
		vcpu->emulation.tpr_lowered = false;
		vcpu->run->exit_reason = KVM_EXIT_SET_TPR;
		return RUN_USER;
	}
	if (!ctx->halted)
		return went_out(vcpu, keel_mmio_commit(vcpu));
	STAT(vcpu, halt_exits);
	vcpu->run->exit_reason = KVM_EXIT_HLT;
	return RUN_USER;
}

static int finish(struct keel_vcpu *vcpu, struct emu_ctx *ctx, enum emu_result r)
{
	switch (r) {
	case EMU_OK:
		return finish_ok(vcpu, ctx);
	case EMU_IO:
		vcpu->complete = emulate_answered;
		return keel_mmio_ask(vcpu);
	case EMU_USER:
		vcpu->complete = emulate_msr_answered;
		return RUN_USER;
	case EMU_FAULT:
		queue_fault(vcpu, &ctx->fault);
		break;
	case EMU_RETRY:
		return not_now(vcpu);
	case EMU_UNHANDLED:
		keel_mmio_reset(vcpu);
		return keel_emulation_failed(vcpu, ctx->insn.bytes, ctx->insn.fetched);
	}
	keel_mmio_reset(vcpu);
	return RUN_RESUME;
}

static enum emu_result decode(struct keel_vcpu *vcpu)
{
	struct keel_emulation *e = &vcpu->emulation;
	enum emu_result r;

	fill(&e->ctx, vcpu);
	r = emu_decode(&e->ctx);
	e->decoded = r == EMU_OK;
	e->alone = e->gpa != INVALID_GPA && e->decoded && e->ctx.insn.single_access;
	return r;
}

/* Take one snapshot of the memslots for the whole instruction, page walks included. */
static void take_slots(struct keel_vcpu *vcpu)
{
	vcpu->emulation.slots = keel_slots(vcpu->vm, keel_as(vcpu));
	vcpu->emulation.error = 0;
}

static void drop_slots(struct keel_vcpu *vcpu)
{
	vcpu->emulation.slots = NULL;
	vcpu->emulation.slot = NULL;
}

/* Drop the breakpoint hits of an instruction that was not completed. */
static void forget_hits(struct keel_vcpu *vcpu, enum emu_result r)
{
	if (unlikely(r != EMU_OK))
		vcpu->debug.hits = 0;
}

static enum emu_result execute(struct keel_vcpu *vcpu)
{
	struct keel_emulation *e = &vcpu->emulation;
	enum emu_result r = EMU_OK;

	take_slots(vcpu);
	if (!e->decoded)
		r = decode(vcpu);
	if (r == EMU_OK)
		r = emu_execute(&e->ctx);
	/* Find its other accesses before userspace is asked. */
	if (r == EMU_IO && !e->known)
		r = keel_rehearse(vcpu);
	forget_hits(vcpu, r);
	drop_slots(vcpu);
	return r;
}

/* Limit of tries if another vCPU keeps changing a descriptor or page-table entry in use. */
#define TRIES	8

static bool may_try_again(struct keel_vcpu *vcpu, unsigned int tries)
{
	struct keel_emulation *e = &vcpu->emulation;

	if (!e->again || e->error || !tries)
		return false;
	keel_mmio_rewind(vcpu, e->answered);
	return true;
}

/* Run the instruction, for the first time or again; it may be decoded already. */
static int emulate(struct keel_vcpu *vcpu)
{
	unsigned int tries = TRIES;
	enum emu_result r;

	do {
		r = execute(vcpu);
	} while (unlikely(r == EMU_RETRY) && may_try_again(vcpu, --tries));
	return finish(vcpu, &vcpu->emulation.ctx, r);
}

/*
 * Run the same instruction again with the answers received so far. It is neither
 * fetched nor decoded again, and its accesses use the places found before
 * userspace was asked.
 */
static int emulate_again(struct keel_vcpu *vcpu)
{
	struct keel_emulation *e = &vcpu->emulation;

	/* Userspace has set registers: another instruction may be next. */
	if (!e->decoded) {
		keel_mmio_reset(vcpu);
		return RUN_RESUME;
	}
	e->again = true;
	e->answered = vcpu->mmio.answered;
	keel_mmio_rewind(vcpu, e->answered);
	/* Userspace may have turned single-stepping on or off. */
	e->ctx.rflags = guest_rflags(vcpu);
	return carry_on(vcpu, emulate(vcpu));
}

/* Take userspace's answer to a read and run the instruction again. */
static int emulate_answered(struct keel_vcpu *vcpu)
{
	if (vcpu->emulation.decoded)
		keel_mmio_answer(vcpu);
	return emulate_again(vcpu);
}

/* Run RDMSR or WRMSR again: take_answer() uses userspace's answer instead of the register. */
static int emulate_msr_answered(struct keel_vcpu *vcpu)
{
	struct keel_emulation *e = &vcpu->emulation;
	int r;

	/* Userspace has set registers: another instruction may be next. */
	if (!e->decoded)
		return RUN_RESUME;
	e->msr_answered = true;
	r = emulate(vcpu);
	e->msr_answered = false;
	return r;
}

int keel_emulate(struct keel_vcpu *vcpu, gpa_t gpa, bool writes)
{
	keel_mmio_reset(vcpu);
	vcpu->emulation.gpa = gpa;
	vcpu->emulation.may_write = writes;
	vcpu->emulation.page_known = false;
	vcpu->emulation.decoded = false;
	forget_places(&vcpu->emulation);
	return emulate(vcpu);
}

/* A delivery cannot exit to userspace midway: report that emulation failed. */
static int event_failed(struct keel_vcpu *vcpu)
{
	keel_mmio_reset(vcpu);
	keel_event_over(vcpu, false);
	return keel_emulation_failed(vcpu, NULL, 0);
}

static void begin_event(struct keel_vcpu *vcpu)
{
	struct keel_emulation *e = &vcpu->emulation;

	keel_mmio_reset(vcpu);
	e->alone = false;
	e->decoded = false;
	forget_places(e);
	take_slots(vcpu);
	fill(&e->ctx, vcpu);
}

static int finish_event(struct keel_vcpu *vcpu, enum emu_result r)
{
	struct keel_emulation *e = &vcpu->emulation;

	forget_hits(vcpu, r);
	drop_slots(vcpu);
	switch (r) {
	case EMU_OK:
		keel_event_over(vcpu, true);
		commit(&e->ctx, vcpu);
		return went_out(vcpu, keel_mmio_commit(vcpu));
	case EMU_FAULT:
		keel_mmio_reset(vcpu);
		keel_event_over(vcpu, false);
		queue_fault(vcpu, &e->ctx.fault);
		return RUN_RESUME;
	case EMU_RETRY:
		keel_mmio_reset(vcpu);
		return e->error ?: RUN_RESUME;
	default:
		return event_failed(vcpu);
	}
}

int keel_emulate_event(struct keel_vcpu *vcpu, const struct emu_event *event)
{
	begin_event(vcpu);
	return finish_event(vcpu, emu_interrupt(&vcpu->emulation.ctx, event));
}

int keel_emulate_task(struct keel_vcpu *vcpu, unsigned int source, u16 sel,
		      const struct emu_event *event)
{
	begin_event(vcpu);
	return finish_event(vcpu, emu_switch_task(&vcpu->emulation.ctx, source, sel, event));
}
