// SPDX-License-Identifier: GPL-2.0
/*
 * Callbacks of struct emu_system. They pass requests on to the owners of the
 * state: cr.c and msr.c know which values are legal and what follows from them.
 */
#include <asm/archrandom.h>
#include <asm/msr.h>
#include <asm/trapnr.h>
#include <uapi/asm/debugreg.h>

#include "../cpuid.h"
#include "../cr.h"
#include "../debug.h"
#include "../exit.h"
#include "../io.h"
#include "../irq.h"
#include "../keel.h"
#include "../msr.h"
#include "../msr_filter.h"
#include "sysregs.h"
#include "vecreg.h"

#define DR7_GENERAL_DETECT	(1u << 13)
#define DR6_ACCESS_DETECTED	(1u << 13)

static struct keel_vcpu *vcpu_of(struct emu_ctx *ctx)
{
	return ctx->priv;
}

static enum emu_result legal(int err)
{
	return err ? EMU_FAULT : EMU_OK;
}

/* A write may read PDPTEs from memory that userspace has made inaccessible: end KVM_RUN. */
static enum emu_result legal_cr(struct keel_vcpu *vcpu, int err)
{
	if (err != -EFAULT)
		return legal(err);
	vcpu->emulation.error = err;
	return EMU_RETRY;
}

static u64 get_cr(struct keel_vcpu *vcpu, u32 nr)
{
	switch (nr) {
	case 0:
		return vmx_cr0(&vcpu->vmx);
	case 2:
		return vcpu->vmx.cr2;
	case 3:
		return vmx_cr3(&vcpu->vmx);
	case 4:
		return vmx_cr4(&vcpu->vmx);
	default:
		return vcpu->cr8;
	}
}

/* Userspace owns the APIC and must be told when the TPR is lowered. */
static int set_cr8(struct keel_vcpu *vcpu, u64 val)
{
	u64 old = vcpu->cr8;
	int err = keel_set_cr8(vcpu, val);

	vcpu->emulation.tpr_lowered = !err && val < old;
	return err;
}

static int set_cr(struct keel_vcpu *vcpu, u32 nr, u64 val)
{
	switch (nr) {
	case 0:
		return keel_set_cr0(vcpu, val);
	case 2:
		vcpu->vmx.cr2 = val;
		return 0;
	case 3:
		/* A task switch must not use places found by the old page tables. */
		vcpu->emulation.nr_places = 0;
		return keel_set_cr3(vcpu, val);
	case 4:
		return keel_set_cr4(vcpu, val);
	default:
		return set_cr8(vcpu, val);
	}
}

/* Take userspace's answer to the MSR access from kvm_run. */
static enum emu_result take_answer(struct keel_vcpu *vcpu, u64 *val)
{
	vcpu->emulation.msr_answered = false;
	*val = READ_ONCE(vcpu->run->msr.data);
	return legal(READ_ONCE(vcpu->run->msr.error));
}

/* A failed access is #GP in the guest, as at a VM exit, unless userspace wants to answer it. */
static enum emu_result msr_result(struct keel_vcpu *vcpu, u32 nr, u64 val, int err, bool write)
{
	return err && keel_msr_to_user(vcpu, nr, val, err, write) ? EMU_USER : legal(err);
}

static enum emu_result get_msr(struct keel_vcpu *vcpu, u32 nr, u64 *val)
{
	int err;

	if (vcpu->emulation.msr_answered)
		return take_answer(vcpu, val);
	err = keel_guest_rdmsr(vcpu, nr, val);
	return msr_result(vcpu, nr, 0, err, false);
}

static enum emu_result set_msr(struct keel_vcpu *vcpu, u32 nr, u64 val)
{
	int err;

	if (vcpu->emulation.msr_answered)
		return take_answer(vcpu, &val);
	err = keel_guest_wrmsr(vcpu, nr, val);
	return msr_result(vcpu, nr, val, err, true);
}

/* DR7.GD: every access to a debug register raises #DB. */
static bool access_detected(struct emu_ctx *ctx)
{
	if (!(vmx_dr(&vcpu_of(ctx)->vmx, 7) & DR7_GENERAL_DETECT))
		return false;
	ctx->fault = (struct emu_exception) { .vector = X86_TRAP_DB, .dr6 = DR6_ACCESS_DETECTED };
	return true;
}

/* XCR0, or for @nr 1 those of its components that are in use. */
static u64 get_xcr(struct keel_vcpu *vcpu, u32 nr)
{
	u64 xcr0 = vmx_xcr0(&vcpu->vmx);

	return nr ? xcr0 & keel_xstate_in_use() : xcr0;
}

static enum emu_result get_random(u32 nr, u64 *val)
{
	unsigned long v;

	if (nr ? !rdseed_long(&v) : !rdrand_long(&v))
		return EMU_RETRY;
	*val = v;
	return EMU_OK;
}

static enum emu_result get(struct emu_ctx *ctx, enum emu_register space, u32 nr, u64 *val)
{
	struct keel_vcpu *vcpu = vcpu_of(ctx);

	switch (space) {
	case EMU_REG_CR:
		*val = get_cr(vcpu, nr);
		return EMU_OK;
	case EMU_REG_DR:
		if (access_detected(ctx))
			return EMU_FAULT;
		*val = vmx_dr(&vcpu->vmx, nr);
		return EMU_OK;
	case EMU_REG_MSR:
		return get_msr(vcpu, nr, val);
	case EMU_REG_TSC:
		*val = vmx_guest_tsc(&vcpu->vmx, vmx_host_tsc());
		return EMU_OK;
	case EMU_REG_XCR:
		*val = get_xcr(vcpu, nr);
		return EMU_OK;
	case EMU_REG_OWN_MSR:
		return legal(keel_get_msr(vcpu, nr, val, true));
	case EMU_REG_RANDOM:
		return get_random(nr, val);
	}
	return EMU_UNHANDLED;
}

static enum emu_result set(struct emu_ctx *ctx, enum emu_register space, u32 nr, u64 val)
{
	struct keel_vcpu *vcpu = vcpu_of(ctx);

	switch (space) {
	case EMU_REG_CR:
		return legal_cr(vcpu, set_cr(vcpu, nr, val));
	case EMU_REG_DR:
		if (access_detected(ctx))
			return EMU_FAULT;
		return legal(keel_set_dr(vcpu, nr, val));
	case EMU_REG_MSR:
		return set_msr(vcpu, nr, val);
	case EMU_REG_XCR:
		return legal(keel_set_xcr(vcpu, nr, val));
	case EMU_REG_OWN_MSR:
		return legal(keel_set_msr(vcpu, nr, val, true));
	case EMU_REG_TSC:
	case EMU_REG_RANDOM:
		break;
	}
	return EMU_UNHANDLED;
}

static void get_table(struct emu_ctx *ctx, bool idt, struct emu_table *t)
{
	struct kvm_dtable dt;

	if (idt)
		vmx_get_idt(&vcpu_of(ctx)->vmx, &dt);
	else
		vmx_get_gdt(&vcpu_of(ctx)->vmx, &dt);
	t->base = dt.base;
	t->limit = dt.limit;
}

static void set_table(struct emu_ctx *ctx, bool idt, const struct emu_table *t)
{
	struct kvm_dtable dt = { .base = t->base, .limit = t->limit };

	if (idt)
		vmx_set_idt(&vcpu_of(ctx)->vmx, &dt);
	else
		vmx_set_gdt(&vcpu_of(ctx)->vmx, &dt);
}

/* Flush all translations of the vCPU instead of one page: they are rebuilt on demand. */
static void invalidate(struct emu_ctx *ctx, u64 linear)
{
	vmx_flush_tlb(&vcpu_of(ctx)->vmx);
	mmio_cache_forget(vcpu_of(ctx));
}

static void ask_cpuid(struct emu_ctx *ctx, u32 out[4])
{
	struct keel_vcpu *vcpu = vcpu_of(ctx);
	struct cpuid_regs4 r = {};

	if (vcpu->cpuid)
		cpuid_query(vcpu->cpuid, ctx->gpr[EMU_RAX], ctx->gpr[EMU_RCX], &r);
	out[0] = r.eax;
	out[1] = r.ebx;
	out[2] = r.ecx;
	out[3] = r.edx;
}

/* The host's processor must have RDRAND and RDSEED too: get_random() uses them. */
static bool has(struct emu_ctx *ctx, enum emu_feature feature)
{
	static const u16 bit[] = {
		[EMU_HAS_RDTSCP] = FEAT_RDTSCP,
		[EMU_HAS_RDPID] = FEAT_RDPID,
		[EMU_HAS_RDRAND] = FEAT_RDRAND,
		[EMU_HAS_RDSEED] = FEAT_RDSEED,
		[EMU_HAS_SMAP] = FEAT_SMAP,
		[EMU_HAS_XGETBV1] = FEAT_XGETBV1,
	};

	if (feature == EMU_HAS_RDRAND && !boot_cpu_has(X86_FEATURE_RDRAND))
		return false;
	if (feature == EMU_HAS_RDSEED && !boot_cpu_has(X86_FEATURE_RDSEED))
		return false;
	return keel_guest_has(vcpu_of(ctx), bit[feature]);
}

static void hypercall(struct emu_ctx *ctx)
{
	keel_hypercall(vcpu_of(ctx));
}

/* As at the VM exit, userspace's debugger gets the #DB if it wants it. */
static void trap(struct emu_ctx *ctx)
{
	struct keel_vcpu *vcpu = vcpu_of(ctx);

	if (unlikely(keel_debug_wants_db(vcpu)))
		keel_make_request(vcpu, REQ_STEPPED);
	else
		keel_queue_debug(vcpu, 0);
}

static enum emu_result use_port(struct emu_ctx *ctx, u16 port, void *buf, unsigned int size,
				bool out)
{
	int err;

	if (unlikely(vcpu_of(ctx)->vmx.on_data))
		keel_debug_watch_port(vcpu_of(ctx), port, size);
	err = out ? keel_port_write(vcpu_of(ctx), port, buf, size) :
			keel_port_read(vcpu_of(ctx), port, buf, size);

	if (err)
		return err == -EAGAIN ? EMU_IO : EMU_UNHANDLED;
	return EMU_OK;
}

const struct emu_system keel_emu_system = {
	.get = get,
	.set = set,
	.get_table = get_table,
	.set_table = set_table,
	.invalidate = invalidate,
	.cpuid = ask_cpuid,
	.has = has,
	.hypercall = hypercall,
	.trap = trap,
	.port = use_port,
};
