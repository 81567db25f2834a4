// SPDX-License-Identifier: GPL-2.0
/*
 * Instructions that read and write system state: descriptor-table registers,
 * control, debug and model-specific registers, CPUID, caches. This file checks
 * privilege and operands; the owner knows which values are legal.
 */
#include "exec.h"
#include "opcodes.h"

#define CR0_LMSW	(EMU_CR0_MP | EMU_CR0_EM | EMU_CR0_TS)

/* EMU_FAULT from the owner is #GP(0) unless the owner sets another ctx->fault. */
static enum emu_result get(struct emu_ctx *ctx, enum emu_register space, u32 nr, u64 *val)
{
	if (!ctx->ops->system)
		return EMU_UNHANDLED;
	emu_raise(ctx, EMU_VECTOR_GP, 0);
	return ctx->ops->system->get(ctx, space, nr, val);
}

static enum emu_result set(struct emu_ctx *ctx, enum emu_register space, u32 nr, u64 val)
{
	if (!ctx->ops->system)
		return EMU_UNHANDLED;
	emu_raise(ctx, EMU_VECTOR_GP, 0);
	return ctx->ops->system->set(ctx, space, nr, val);
}

/* --- descriptor tables -------------------------------------------------- */

/* The base follows the two bytes of the limit. */
static u64 base_address(const struct emu_ctx *ctx)
{
	return (emu_effective_address(ctx) + 2) & emu_mask(ctx->insn.addr_size);
}

static unsigned int base_size(const struct emu_ctx *ctx)
{
	return ctx->mode == EMU_MODE_LONG64 ? 8 : 4;
}

static bool is_idt(const struct emu_ctx *ctx)
{
	return ctx->insn.modrm & 8;
}

/* LGDT and LIDT; with 16-bit operands the base has three bytes. */
enum emu_result emu_run_lgdt(struct emu_ctx *ctx)
{
	const struct emu_insn *insn = &ctx->insn;
	struct emu_table t = { .base = 0 };
	enum emu_result result;

	if (!ctx->ops->system)
		return EMU_UNHANDLED;
	result = emu_mem_read(ctx, insn->seg, emu_effective_address(ctx), &t.limit, 2, EMU_READ);
	if (result == EMU_OK)
		result = emu_mem_read(ctx, insn->seg, base_address(ctx), &t.base, base_size(ctx),
				      EMU_READ);
	if (result != EMU_OK)
		return result;
	if (ctx->mode == EMU_MODE_LONG64 && !emu_is_canonical(ctx, t.base))
		return emu_raise(ctx, EMU_VECTOR_GP, 0);
	if (ctx->mode != EMU_MODE_LONG64 && insn->op_size == 2)
		t.base &= 0xffffff;
	ctx->ops->system->set_table(ctx, is_idt(ctx), &t);
	return EMU_OK;
}

/* Check that both parts can be written before either is. */
static enum emu_result probe_table(struct emu_ctx *ctx)
{
	unsigned int access = EMU_READ | EMU_RMW | EMU_PROBE;
	enum emu_result result;
	u64 unused;

	result = emu_mem_read(ctx, ctx->insn.seg, emu_effective_address(ctx), &unused, 2, access);
	if (result != EMU_OK)
		return result;
	return emu_mem_read(ctx, ctx->insn.seg, base_address(ctx), &unused, base_size(ctx), access);
}

/* SGDT and SIDT store all of the base, whatever the operand size. */
enum emu_result emu_run_sgdt(struct emu_ctx *ctx)
{
	const struct emu_insn *insn = &ctx->insn;
	enum emu_result result;
	struct emu_table t;

	if (!ctx->ops->system)
		return EMU_UNHANDLED;
	ctx->ops->system->get_table(ctx, is_idt(ctx), &t);
	result = probe_table(ctx);
	if (result != EMU_OK)
		return result;
	result = emu_mem_write(ctx, insn->seg, emu_effective_address(ctx), &t.limit, 2);
	if (result != EMU_OK)
		return result;
	return emu_mem_write(ctx, insn->seg, base_address(ctx), &t.base, base_size(ctx));
}

/* --- control and debug registers ---------------------------------------- */

/* LMSW writes the low four bits of CR0, but cannot clear PE. */
enum emu_result emu_run_lmsw(struct emu_ctx *ctx)
{
	enum emu_result result;
	u64 val;

	result = emu_read_operand(ctx, &ctx->insn.operand[0], &val);
	if (result != EMU_OK)
		return result;
	val = (ctx->cr0 & ~(u64)CR0_LMSW) | (val & (CR0_LMSW | EMU_CR0_PE));
	return set(ctx, EMU_REG_CR, 0, val);
}

enum emu_result emu_run_smsw(struct emu_ctx *ctx)
{
	return emu_write_operand(ctx, &ctx->insn.operand[0], ctx->cr0);
}

enum emu_result emu_run_clts(struct emu_ctx *ctx)
{
	return set(ctx, EMU_REG_CR, 0, ctx->cr0 & ~(u64)EMU_CR0_TS);
}

/* The register that ModRM.reg names. */
static unsigned int number(const struct emu_ctx *ctx)
{
	return (ctx->insn.modrm >> 3 & 7) | (ctx->insn.rex & 4 ? 8 : 0);
}

static enum emu_result move_from(struct emu_ctx *ctx, enum emu_register space, unsigned int nr)
{
	enum emu_result result;
	u64 val;

	result = get(ctx, space, nr, &val);
	return result == EMU_OK ? emu_write_operand(ctx, &ctx->insn.operand[0], val) : result;
}

static enum emu_result move_to(struct emu_ctx *ctx, enum emu_register space, unsigned int nr)
{
	u64 val;

	emu_read_operand(ctx, &ctx->insn.operand[0], &val);
	return set(ctx, space, nr, val);
}

/* #UD for a register that does not exist comes before #GP for the CPL. */
static enum emu_result check_cr(struct emu_ctx *ctx, unsigned int nr)
{
	if (nr > 8 || nr == 1 || (nr > 4 && nr < 8))
		return emu_raise(ctx, EMU_VECTOR_UD, 0);
	return ctx->cpl ? emu_raise(ctx, EMU_VECTOR_GP, 0) : EMU_OK;
}

enum emu_result emu_run_mov_from_cr(struct emu_ctx *ctx)
{
	unsigned int nr = number(ctx);
	enum emu_result result = check_cr(ctx, nr);

	return result == EMU_OK ? move_from(ctx, EMU_REG_CR, nr) : result;
}

enum emu_result emu_run_mov_to_cr(struct emu_ctx *ctx)
{
	unsigned int nr = number(ctx);
	enum emu_result result = check_cr(ctx, nr);

	return result == EMU_OK ? move_to(ctx, EMU_REG_CR, nr) : result;
}

/* DR4 and DR5 are aliases of DR6 and DR7, unless CR4.DE is set. */
static enum emu_result check_dr(struct emu_ctx *ctx, unsigned int *nr)
{
	bool alias = *nr == 4 || *nr == 5;

	if (*nr > 7 || (alias && (ctx->cr4 & EMU_CR4_DE)))
		return emu_raise(ctx, EMU_VECTOR_UD, 0);
	if (alias)
		*nr += 2;
	return ctx->cpl ? emu_raise(ctx, EMU_VECTOR_GP, 0) : EMU_OK;
}

enum emu_result emu_run_mov_from_dr(struct emu_ctx *ctx)
{
	unsigned int nr = number(ctx);
	enum emu_result result = check_dr(ctx, &nr);

	return result == EMU_OK ? move_from(ctx, EMU_REG_DR, nr) : result;
}

enum emu_result emu_run_mov_to_dr(struct emu_ctx *ctx)
{
	unsigned int nr = number(ctx);
	enum emu_result result = check_dr(ctx, &nr);

	return result == EMU_OK ? move_to(ctx, EMU_REG_DR, nr) : result;
}

/* --- model-specific registers, time, identity --------------------------- */

static void set_pair(struct emu_ctx *ctx, u64 val)
{
	emu_set_reg(ctx, EMU_RAX, 4, val);
	emu_set_reg(ctx, EMU_RDX, 4, val >> 32);
}

enum emu_result emu_run_rdmsr(struct emu_ctx *ctx)
{
	enum emu_result result;
	u64 val;

	result = get(ctx, EMU_REG_MSR, ctx->gpr[EMU_RCX], &val);
	if (result == EMU_OK)
		set_pair(ctx, val);
	return result;
}

enum emu_result emu_run_wrmsr(struct emu_ctx *ctx)
{
	u64 val = (u32)ctx->gpr[EMU_RAX] | ctx->gpr[EMU_RDX] << 32;

	return set(ctx, EMU_REG_MSR, ctx->gpr[EMU_RCX], val);
}

enum emu_result emu_run_rdtsc(struct emu_ctx *ctx)
{
	enum emu_result result;
	u64 val;

	if (ctx->cpl && (ctx->cr4 & EMU_CR4_TSD))
		return emu_raise(ctx, EMU_VECTOR_GP, 0);
	result = get(ctx, EMU_REG_TSC, 0, &val);
	if (result == EMU_OK)
		set_pair(ctx, val);
	return result;
}

static bool has(struct emu_ctx *ctx, enum emu_feature feature)
{
	return ctx->ops->system && ctx->ops->system->has(ctx, feature);
}

/* There is no performance counter to read. */
enum emu_result emu_run_rdpmc(struct emu_ctx *ctx)
{
	return emu_raise(ctx, EMU_VECTOR_GP, 0);
}

#define MSR_TSC_AUX	0xc0000103

enum emu_result emu_run_rdtscp(struct emu_ctx *ctx)
{
	enum emu_result result;
	u64 aux;

	if (!has(ctx, EMU_HAS_RDTSCP))
		return emu_raise(ctx, EMU_VECTOR_UD, 0);
	result = get(ctx, EMU_REG_OWN_MSR, MSR_TSC_AUX, &aux);
	if (result == EMU_OK)
		result = emu_run_rdtsc(ctx);
	if (result == EMU_OK)
		emu_set_reg(ctx, EMU_RCX, 4, aux);
	return result;
}

enum emu_result emu_run_rdpid(struct emu_ctx *ctx)
{
	if (!has(ctx, EMU_HAS_RDPID))
		return emu_raise(ctx, EMU_VECTOR_UD, 0);
	return move_from(ctx, EMU_REG_OWN_MSR, MSR_TSC_AUX);
}

/* RDRAND and RDSEED: CF is set if there was a number; otherwise the result is 0. */
enum emu_result emu_run_rdrand(struct emu_ctx *ctx)
{
	bool seed = ctx->insn.modrm & 8;
	enum emu_result result;
	u64 val = 0;

	if (!has(ctx, seed ? EMU_HAS_RDSEED : EMU_HAS_RDRAND))
		return emu_raise(ctx, EMU_VECTOR_UD, 0);
	result = get(ctx, EMU_REG_RANDOM, seed, &val);
	if (result != EMU_OK && result != EMU_RETRY)
		return result;
	ctx->next_rflags &= ~(u64)EMU_FLAGS_ARITH;
	if (result == EMU_OK)
		ctx->next_rflags |= EMU_FLAG_CF;
	return emu_write_operand(ctx, &ctx->insn.operand[0], result == EMU_OK ? val : 0);
}

enum emu_result emu_run_xgetbv(struct emu_ctx *ctx)
{
	u32 nr = ctx->gpr[EMU_RCX];
	enum emu_result result;
	u64 val;

	if (!(ctx->cr4 & EMU_CR4_OSXSAVE))
		return emu_raise(ctx, EMU_VECTOR_UD, 0);
	if (nr > 1 || (nr && !has(ctx, EMU_HAS_XGETBV1)))
		return emu_raise(ctx, EMU_VECTOR_GP, 0);
	result = get(ctx, EMU_REG_XCR, nr, &val);
	if (result == EMU_OK)
		set_pair(ctx, val);
	return result;
}

enum emu_result emu_run_xsetbv(struct emu_ctx *ctx)
{
	u64 val = (u32)ctx->gpr[EMU_RAX] | ctx->gpr[EMU_RDX] << 32;

	if (!(ctx->cr4 & EMU_CR4_OSXSAVE))
		return emu_raise(ctx, EMU_VECTOR_UD, 0);
	if (ctx->cpl)
		return emu_raise(ctx, EMU_VECTOR_GP, 0);
	return set(ctx, EMU_REG_XCR, ctx->gpr[EMU_RCX], val);
}

/* CLAC and STAC. */
enum emu_result emu_run_clac(struct emu_ctx *ctx)
{
	if (ctx->cpl || !has(ctx, EMU_HAS_SMAP))
		return emu_raise(ctx, EMU_VECTOR_UD, 0);
	ctx->next_rflags &= ~(u64)EMU_FLAG_AC;
	if (ctx->insn.modrm & 1)
		ctx->next_rflags |= EMU_FLAG_AC;
	return EMU_OK;
}

/* MONITOR and MWAIT do not wait, as at their VM exits. */
enum emu_result emu_run_monitor(struct emu_ctx *ctx)
{
	u64 linear;

	if (ctx->cpl)
		return emu_raise(ctx, EMU_VECTOR_UD, 0);
	if (ctx->insn.modrm & 1)
		return EMU_OK;
	if ((u32)ctx->gpr[EMU_RCX])
		return emu_raise(ctx, EMU_VECTOR_GP, 0);
	return emu_linear_address(ctx, emu_source_segment(ctx), emu_pointer(ctx, EMU_RAX), 1,
				  EMU_READ, &linear);
}

/* --- bases of FS and GS ------------------------------------------------------ */

#define MSR_KERNEL_GS_BASE	0xc0000102

static void set_base(struct emu_ctx *ctx, unsigned int index, u64 base)
{
	struct emu_seg seg = *emu_segment(ctx, index);

	seg.base = base;
	emu_set_seg(ctx, index, &seg);
}

enum emu_result emu_run_swapgs(struct emu_ctx *ctx)
{
	enum emu_result result;
	u64 base;

	result = get(ctx, EMU_REG_OWN_MSR, MSR_KERNEL_GS_BASE, &base);
	if (result == EMU_OK)
		result = set(ctx, EMU_REG_OWN_MSR, MSR_KERNEL_GS_BASE,
			     emu_segment(ctx, EMU_GS)->base);
	if (result == EMU_OK)
		set_base(ctx, EMU_GS, base);
	return result;
}

/* RDFSBASE, RDGSBASE, WRFSBASE and WRGSBASE. */
enum emu_result emu_run_fsgsbase(struct emu_ctx *ctx)
{
	unsigned int index = ctx->insn.modrm & 8 ? EMU_GS : EMU_FS;
	const struct emu_operand *o = &ctx->insn.operand[0];
	u64 base;

	if (!(ctx->cr4 & EMU_CR4_FSGSBASE))
		return emu_raise(ctx, EMU_VECTOR_UD, 0);
	if (!(ctx->insn.modrm & 0x10))
		return emu_write_operand(ctx, o, emu_segment(ctx, index)->base);
	emu_read_operand(ctx, o, &base);
	if (!emu_is_canonical(ctx, base))
		return emu_raise(ctx, EMU_VECTOR_GP, 0);
	set_base(ctx, index, base);
	return EMU_OK;
}

/* VMCALL works in any mode and CPL; the owner checks whether it is allowed. */
enum emu_result emu_run_vmcall(struct emu_ctx *ctx)
{
	if (!ctx->ops->system)
		return EMU_UNHANDLED;
	ctx->ops->system->hypercall(ctx);
	return EMU_OK;
}

enum emu_result emu_run_cpuid(struct emu_ctx *ctx)
{
	static const u8 order[4] = { EMU_RAX, EMU_RBX, EMU_RCX, EMU_RDX };
	unsigned int i;
	u32 out[4];

	if (!ctx->ops->system)
		return EMU_UNHANDLED;
	ctx->ops->system->cpuid(ctx, out);
	for (i = 0; i < 4; i++)
		emu_set_reg(ctx, order[i], 4, out[i]);
	return EMU_OK;
}

/* --- translations, caches, halt ----------------------------------------- */

/* INVLPG ignores an address that is not canonical. */
enum emu_result emu_run_invlpg(struct emu_ctx *ctx)
{
	u64 ea = emu_effective_address(ctx);
	unsigned int seg = ctx->insn.seg;

	if (!ctx->ops->system)
		return EMU_UNHANDLED;
	if (ctx->mode != EMU_MODE_LONG64)
		ea = (u32)(ea + emu_segment(ctx, seg)->base);
	else if (seg == EMU_FS || seg == EMU_GS)
		ea += emu_segment(ctx, seg)->base;
	if (emu_is_canonical(ctx, ea))
		ctx->ops->system->invalidate(ctx, ea);
	return EMU_OK;
}

/* INVD and WBINVD do nothing: the caches are the host's. */
enum emu_result emu_run_wbinvd(struct emu_ctx *ctx)
{
	return EMU_OK;
}

enum emu_result emu_run_hlt(struct emu_ctx *ctx)
{
	ctx->halted = true;
	return EMU_OK;
}
