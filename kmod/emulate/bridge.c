// SPDX-License-Identifier: GPL-2.0
/*
 * The pure emulator meets the vCPU: registers in, registers out, guest memory
 * and MMIO behind the callbacks. Policy about what cannot be emulated is in
 * exit.c, the questions to userspace are io.c's.
 */
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/string.h>
#include <asm/vmx.h>

#include "../exit.h"
#include "../gpa.h"
#include "../gva.h"
#include "../io.h"
#include "../irq.h"
#include "../keel.h"
#include "bridge.h"
#include "emulate.h"
#include "vecreg.h"

#define MMIO_MAX	8	/* bytes in one exit */

static struct keel_vcpu *vcpu_of(struct emu_ctx *ctx)
{
	return ctx->priv;
}

/* --- memory ------------------------------------------------------------- */

static unsigned int walk_access(const struct emu_ctx *ctx, unsigned int access)
{
	unsigned int acc = ctx->cpl == 3 ? ACC_USER : 0;

	if (access & EMU_FETCH)
		return acc | ACC_EXEC;
	return acc | (access & (EMU_WRITE | EMU_RMW) ? ACC_WRITE : ACC_READ);
}

static enum emu_result translate(struct emu_ctx *ctx, u64 linear, unsigned int len,
				 unsigned int access, struct gva_span *span)
{
	struct walk_fault fault;
	int err = keel_gva_translate(vcpu_of(ctx), linear, len, walk_access(ctx, access),
				     ctx->mode == EMU_MODE_LONG64, span, &fault);

	if (!err)
		return EMU_OK;
	if (err != -EFAULT)
		return EMU_RETRY;
	ctx->fault = (struct emu_exception) {
		.vector = 14, .has_error = true, .error_code = fault.error, .cr2 = fault.gva,
	};
	return EMU_FAULT;
}

/*
 * The hardware has translated and checked the access that exited. If the
 * instruction has no other, and it is the one at hand, no walk is needed; and
 * as long as the slots are those of the verdict, no look-up either.
 */
static bool known_mmio(struct emu_ctx *ctx, u64 linear, unsigned int size, unsigned int access)
{
	struct keel_vcpu *vcpu = vcpu_of(ctx);
	gpa_t gpa = vcpu->emulation.gpa;
	unsigned int acc = access & EMU_WRITE ? ACC_WRITE : ACC_READ;

	if (!vcpu->emulation.alone || offset_in_page(linear) != offset_in_page(gpa) ||
	    offset_in_page(linear) + size > PAGE_SIZE)
		return false;
	if (ctx->cpl == 3)
		acc |= ACC_USER;
	return mmio_cache_match(vcpu, linear, gpa, acc) ||
	       mmio_cache_fill(vcpu, linear, gpa, acc);
}

static enum emu_result fetch(struct emu_ctx *ctx, u64 linear, void *buf, unsigned int len)
{
	struct gva_span span;
	enum emu_result r = translate(ctx, linear, len, EMU_FETCH, &span);

	if (r != EMU_OK)
		return r;
	/* Code in MMIO is not executed. */
	return keel_span_read(vcpu_of(ctx), &span, buf) ? EMU_UNHANDLED : EMU_OK;
}

static enum emu_result read_mmio(struct keel_vcpu *vcpu, gpa_t gpa, u8 *buf, unsigned int len)
{
	while (len) {
		unsigned int n = min_t(unsigned int, len, MMIO_MAX);
		int err = keel_mmio_read(vcpu, gpa, buf, n);

		if (err)
			return err == -EAGAIN ? EMU_IO : EMU_UNHANDLED;
		gpa += n;
		buf += n;
		len -= n;
	}
	return EMU_OK;
}

static enum emu_result write_mmio(struct keel_vcpu *vcpu, gpa_t gpa, const u8 *buf,
				  unsigned int len)
{
	while (len) {
		unsigned int n = min_t(unsigned int, len, MMIO_MAX);

		if (keel_mmio_write(vcpu, gpa, buf, n))
			return EMU_UNHANDLED;
		gpa += n;
		buf += n;
		len -= n;
	}
	return EMU_OK;
}

static enum emu_result read_part(struct keel_vcpu *vcpu, gpa_t gpa, u8 *buf, unsigned int len)
{
	if (!keel_mmio_answered(vcpu, gpa) && !keel_gpa_read(vcpu, gpa, buf, len))
		return EMU_OK;
	return read_mmio(vcpu, gpa, buf, len);
}

static enum emu_result write_part(struct keel_vcpu *vcpu, gpa_t gpa, const u8 *buf,
				  unsigned int len)
{
	if (!keel_gpa_write(vcpu, gpa, buf, len))
		return EMU_OK;
	return write_mmio(vcpu, gpa, buf, len);
}

static enum emu_result read(struct emu_ctx *ctx, u64 linear, void *buf, unsigned int size,
			    unsigned int access)
{
	struct keel_vcpu *vcpu = vcpu_of(ctx);
	struct gva_span span;
	enum emu_result r;
	int i;

	if (known_mmio(ctx, linear, size, access))
		return read_mmio(vcpu, vcpu->emulation.gpa, buf, size);
	r = translate(ctx, linear, size, access, &span);
	for (i = 0; r == EMU_OK && i < span.parts; i++) {
		r = read_part(vcpu, span.part[i].gpa, buf, span.part[i].len);
		buf += span.part[i].len;
	}
	return r;
}

static enum emu_result write(struct emu_ctx *ctx, u64 linear, const void *buf, unsigned int size,
			     unsigned int access)
{
	struct keel_vcpu *vcpu = vcpu_of(ctx);
	struct gva_span span;
	enum emu_result r;
	int i;

	if (known_mmio(ctx, linear, size, access))
		return write_mmio(vcpu, vcpu->emulation.gpa, buf, size);
	r = translate(ctx, linear, size, access, &span);
	for (i = 0; r == EMU_OK && i < span.parts; i++) {
		r = write_part(vcpu, span.part[i].gpa, buf, span.part[i].len);
		buf += span.part[i].len;
	}
	return r;
}

/* One page of RAM is exchanged in one step; a device only ever sees a write. */
static enum emu_result cmpxchg_mem(struct emu_ctx *ctx, u64 linear, const void *old,
				   const void *new, unsigned int size)
{
	struct keel_vcpu *vcpu = vcpu_of(ctx);
	struct gva_span span;
	enum emu_result r;
	int err;

	if (known_mmio(ctx, linear, size, EMU_WRITE))
		return write_mmio(vcpu, vcpu->emulation.gpa, new, size);
	r = translate(ctx, linear, size, EMU_WRITE, &span);
	if (r != EMU_OK)
		return r;
	if (span.parts > 1)
		return write(ctx, linear, new, size, EMU_WRITE);
	err = keel_gpa_cmpxchg(vcpu, span.part[0].gpa, old, new, size);
	if (err == -EAGAIN)
		return EMU_RETRY;
	return err ? write_part(vcpu, span.part[0].gpa, new, size) : EMU_OK;
}

/* --- registers ---------------------------------------------------------- */

static void load_seg(struct emu_ctx *ctx, unsigned int index)
{
	struct kvm_segment s;

	/* Both count segments in the order of the instruction set. */
	vmx_get_segment(&vcpu_of(ctx)->vmx, index, &s);
	ctx->seg[index] = (struct emu_seg) {
		.base = s.base, .limit = s.limit, .sel = s.selector, .type = s.type, .s = s.s,
		.dpl = s.dpl, .p = s.present, .l = s.l, .db = s.db, .g = s.g,
		.unusable = s.unusable,
	};
	ctx->seg_valid |= 1u << index;
}

static const struct emu_ops ops = {
	.fetch = fetch,
	.read = read,
	.write = write,
	.exchange = cmpxchg_mem,
	.load_seg = load_seg,
	.read_xmm = keel_read_xmm,
	.write_xmm = keel_write_xmm,
};

static enum emu_mode code_mode(struct emu_ctx *ctx)
{
	if (!(ctx->cr0 & X86_CR0_PE))
		return EMU_MODE_REAL;
	if (ctx->rflags & X86_EFLAGS_VM)
		return EMU_MODE_VM86;
	/* The other fields of CS mean nothing in 64-bit code: do not read them. */
	if (vmx_in_long_mode_code(&vcpu_of(ctx)->vmx))
		return EMU_MODE_LONG64;
	load_seg(ctx, EMU_CS);
	return ctx->seg[EMU_CS].db ? EMU_MODE_PROT32 : EMU_MODE_PROT16;
}

static void fill(struct emu_ctx *ctx, struct keel_vcpu *vcpu)
{
	struct vmx_vcpu *v = &vcpu->vmx;

	vmx_rsp(v);
	memcpy(ctx->gpr, v->gpr, sizeof(ctx->gpr));
	ctx->ops = &ops;
	ctx->priv = vcpu;
	ctx->rip = vmx_rip(v);
	ctx->rflags = vmx_rflags(v);
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

static void commit(struct emu_ctx *ctx, struct keel_vcpu *vcpu)
{
	struct vmx_vcpu *v = &vcpu->vmx;
	u64 rsp = vmx_rsp(v);

	memcpy(v->gpr, ctx->gpr, sizeof(ctx->gpr));
	if (ctx->gpr[EMU_RSP] != rsp)
		vmx_set_rsp(v, ctx->gpr[EMU_RSP]);
	vmx_set_rip(v, ctx->rip);
	if (ctx->rflags != vmx_rflags(v))
		vmx_set_rflags(v, ctx->rflags);
	set_shadow(v, ctx->shadow);
	if (ctx->single_step)
		keel_stepped(vcpu);
}

/* --- one instruction ---------------------------------------------------- */

static void queue_fault(struct keel_vcpu *vcpu, const struct emu_exception *e)
{
	struct walk_fault pf = { .error = e->error_code, .gva = e->cr2 };

	if (e->vector == 14)
		keel_queue_page_fault(vcpu, &pf);
	else if (e->has_error)
		keel_queue_exception_error(vcpu, e->vector, e->error_code);
	else
		keel_queue_exception(vcpu, e->vector);
}

static int emulate_again(struct keel_vcpu *vcpu);

static int finish(struct keel_vcpu *vcpu, struct emu_ctx *ctx, enum emu_result r)
{
	switch (r) {
	case EMU_OK:
		STAT(vcpu, emulated);
		commit(ctx, vcpu);
		return keel_mmio_flush(vcpu);
	case EMU_IO:
		vcpu->complete = emulate_again;
		return keel_mmio_ask(vcpu);
	case EMU_FAULT:
		queue_fault(vcpu, &ctx->fault);
		break;
	case EMU_RETRY:
		break;
	case EMU_UNHANDLED:
		keel_mmio_reset(vcpu);
		return keel_emulation_failed(vcpu, ctx->insn.bytes, ctx->insn.fetched);
	}
	keel_mmio_reset(vcpu);
	return RUN_RESUME;
}

/* Run the decoded instruction; userspace may have set registers since it was decoded. */
static int emulate(struct keel_vcpu *vcpu)
{
	struct keel_emulation *e = &vcpu->emulation;
	enum emu_result r = EMU_OK;

	if (!e->decoded) {
		fill(&e->ctx, vcpu);
		r = emu_decode(&e->ctx);
		e->decoded = r == EMU_OK;
		e->alone = e->gpa != INVALID_GPA && e->decoded && emu_single_access(&e->ctx);
	}
	if (r == EMU_OK)
		r = emu_execute(&e->ctx);
	return finish(vcpu, &e->ctx, r);
}

/* Userspace has answered a read: the same instruction, with one answer more. */
static int emulate_again(struct keel_vcpu *vcpu)
{
	keel_mmio_answer(vcpu);
	keel_mmio_rewind(vcpu);
	return emulate(vcpu);
}

int keel_emulate(struct keel_vcpu *vcpu, gpa_t gpa)
{
	keel_mmio_reset(vcpu);
	vcpu->emulation.gpa = gpa;
	vcpu->emulation.decoded = false;
	return emulate(vcpu);
}
