// SPDX-License-Identifier: GPL-2.0
/*
 * SYSCALL and SYSRET of 64-bit code, SYSENTER and SYSEXIT. They load flat
 * segments without reading the descriptor tables. Their targets are in MSRs,
 * which they read without the MSR filter (EMU_REG_OWN_MSR).
 */
#include "exec.h"
#include "opcodes.h"

#define MSR_SYSENTER_CS		0x174
#define MSR_SYSENTER_ESP	0x175
#define MSR_SYSENTER_EIP	0x176
#define MSR_STAR		0xc0000081
#define MSR_LSTAR		0xc0000082
#define MSR_FMASK		0xc0000084

#define SYSRET_FLAGS		0x3c7fd7

static enum emu_result own_msr(struct emu_ctx *ctx, u32 nr, u64 *val)
{
	if (!ctx->ops->system)
		return EMU_UNHANDLED;
	emu_raise(ctx, EMU_VECTOR_GP, 0);
	return ctx->ops->system->get(ctx, EMU_REG_OWN_MSR, nr, val);
}

static bool wide(const struct emu_ctx *ctx)
{
	return ctx->insn.rex & 8;
}

/* Load flat CS and SS; @cpl replaces the RPL of both selectors. */
static void load_flat(struct emu_ctx *ctx, u16 code, u16 stack, unsigned int cpl, bool code64)
{
	struct emu_seg s = {
		.limit = 0xffffffff, .s = 1, .p = 1, .g = 1, .dpl = cpl,
	};

	s.sel = (code & ~3u) | cpl;
	s.type = EMU_SEG_CODE | EMU_SEG_RW | EMU_SEG_ACCESSED;
	s.l = code64;
	s.db = !code64;
	emu_set_seg(ctx, EMU_CS, &s);
	s.sel = (stack & ~3u) | cpl;
	s.type = EMU_SEG_RW | EMU_SEG_ACCESSED;
	s.l = 0;
	s.db = 1;
	emu_set_seg(ctx, EMU_SS, &s);
}

/* SYSCALL and SYSRET single-step by the TF that they leave, not by the TF before them. */
static void set_flags(struct emu_ctx *ctx, u64 val)
{
	ctx->next_rflags = val | EMU_FLAG_FIXED;
	ctx->single_step = val & EMU_FLAG_TF;
}

enum emu_result emu_run_syscall(struct emu_ctx *ctx)
{
	u64 star, target, mask, flags = ctx->next_rflags;
	enum emu_result result;

	if (!(ctx->efer & EMU_EFER_SCE))
		return emu_raise(ctx, EMU_VECTOR_UD, 0);
	result = own_msr(ctx, MSR_STAR, &star);
	if (result == EMU_OK)
		result = own_msr(ctx, MSR_LSTAR, &target);
	if (result == EMU_OK)
		result = own_msr(ctx, MSR_FMASK, &mask);
	if (result != EMU_OK)
		return result;
	ctx->gpr[EMU_RCX] = ctx->next_rip;
	ctx->gpr[EMU_R11] = flags;
	ctx->next_rip = target;
	set_flags(ctx, flags & ~mask);
	load_flat(ctx, star >> 32, (star >> 32) + 8, 0, true);
	return EMU_OK;
}

enum emu_result emu_run_sysret(struct emu_ctx *ctx)
{
	u64 star, target = ctx->gpr[EMU_RCX];
	enum emu_result result;

	if (!(ctx->efer & EMU_EFER_SCE))
		return emu_raise(ctx, EMU_VECTOR_UD, 0);
	if (ctx->cpl || (wide(ctx) && !emu_is_canonical(ctx, target)))
		return emu_raise(ctx, EMU_VECTOR_GP, 0);
	result = own_msr(ctx, MSR_STAR, &star);
	if (result != EMU_OK)
		return result;
	ctx->next_rip = wide(ctx) ? target : (u32)target;
	set_flags(ctx, ctx->gpr[EMU_R11] & SYSRET_FLAGS);
	load_flat(ctx, (star >> 48) + (wide(ctx) ? 16 : 0), (star >> 48) + 8, 3, wide(ctx));
	return EMU_OK;
}

/* Read the selector that SYSENTER and SYSEXIT start from; #GP if it is null. */
static enum emu_result sysenter_cs(struct emu_ctx *ctx, u16 *sel)
{
	enum emu_result result;
	u64 val;

	if (ctx->mode == EMU_MODE_REAL)
		return emu_raise(ctx, EMU_VECTOR_GP, 0);
	result = own_msr(ctx, MSR_SYSENTER_CS, &val);
	if (result != EMU_OK)
		return result;
	*sel = val & 0xfffc;
	return *sel ? EMU_OK : emu_raise(ctx, EMU_VECTOR_GP, 0);
}

enum emu_result emu_run_sysenter(struct emu_ctx *ctx)
{
	bool code64 = emu_long_mode(ctx);
	enum emu_result result;
	u64 ip, sp;
	u16 sel;

	result = sysenter_cs(ctx, &sel);
	if (result == EMU_OK)
		result = own_msr(ctx, MSR_SYSENTER_EIP, &ip);
	if (result == EMU_OK)
		result = own_msr(ctx, MSR_SYSENTER_ESP, &sp);
	if (result != EMU_OK)
		return result;
	ctx->next_rip = code64 ? ip : (u32)ip;
	ctx->gpr[EMU_RSP] = code64 ? sp : (u32)sp;
	ctx->next_rflags &= ~(u64)(EMU_FLAG_VM | EMU_FLAG_IF);
	load_flat(ctx, sel, sel + 8, 0, code64);
	return EMU_OK;
}

enum emu_result emu_run_sysexit(struct emu_ctx *ctx)
{
	u64 ip = ctx->gpr[EMU_RDX], sp = ctx->gpr[EMU_RCX];
	enum emu_result result;
	u16 sel;

	result = sysenter_cs(ctx, &sel);
	if (result != EMU_OK)
		return result;
	if (ctx->cpl || (wide(ctx) && !(emu_is_canonical(ctx, ip) && emu_is_canonical(ctx, sp))))
		return emu_raise(ctx, EMU_VECTOR_GP, 0);
	ctx->next_rip = wide(ctx) ? ip : (u32)ip;
	ctx->gpr[EMU_RSP] = wide(ctx) ? sp : (u32)sp;
	sel += wide(ctx) ? 32 : 16;
	load_flat(ctx, sel, sel + 8, 3, wide(ctx));
	return EMU_OK;
}
