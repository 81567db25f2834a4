// SPDX-License-Identifier: GPL-2.0
/*
 * Rehearse an instruction that reads from a device and accesses other memory as
 * well: before userspace is asked, execute it once on copies of the registers, with
 * zeros for the answer. No data is read, written or queued, but each page that it
 * accesses is translated, checked and looked up (place.c). So all the answer needs
 * is settled by the guest's tables and the memslots of this moment, and a page
 * fault is raised before the device is read.
 *
 * The places of accesses do not depend on the answer, with one exception: the
 * processor's own accesses to descriptors and task states. The rehearsal ends
 * at the first of these; they are looked up when the answer names them.
 */
#include <asm/trapnr.h>

#include "../io.h"
#include "../keel.h"
#include "rehearse.h"
#include "sysregs.h"

static void write_no_xmm(struct emu_ctx *ctx, unsigned int reg, const void *buf,
			 unsigned int size, bool clear_upper)
{
}

static void write_no_mask(struct emu_ctx *ctx, unsigned int reg, u64 val)
{
}

static void write_no_fx(struct emu_ctx *ctx, const struct emu_fx *fx)
{
}

static enum emu_result set_nothing(struct emu_ctx *ctx, enum emu_register space, u32 nr, u64 val)
{
	return EMU_OK;
}

static void set_no_table(struct emu_ctx *ctx, bool idt, const struct emu_table *t)
{
}

static void invalidate_nothing(struct emu_ctx *ctx, u64 linear)
{
}

enum emu_result keel_rehearse(struct keel_vcpu *vcpu)
{
	struct emu_ctx *real = &vcpu->emulation.ctx, ctx = *real;
	struct emu_system system = keel_emu_system;
	struct emu_ops ops = keel_emu_ops;
	u64 gpr[EMU_GPR_COUNT];
	enum emu_result r;

	system.set = set_nothing;
	system.set_table = set_no_table;
	system.invalidate = invalidate_nothing;
	ops.write_xmm = write_no_xmm;
	ops.write_mask = write_no_mask;
	ops.write_fx = write_no_fx;
	ops.system = &system;
	memcpy(gpr, real->gpr, sizeof(gpr));
	ctx.gpr = gpr;
	ctx.ops = &ops;
	keel_mmio_rehearse(vcpu, true);
	r = emu_execute(&ctx);
	keel_mmio_rehearse(vcpu, false);
	if (r == EMU_RETRY)
		return r;
	/* Any other exception may be due to the zeros: ignore it. */
	if (r != EMU_FAULT || ctx.fault.vector != X86_TRAP_PF)
		return EMU_IO;
	real->fault = ctx.fault;
	return EMU_FAULT;
}
