// SPDX-License-Identifier: GPL-2.0
/*
 * x87 instructions with a memory operand, those that set up the unit, the moves
 * of MMX, FXSAVE and FXRSTOR. The processor does the arithmetic (x87.h); this
 * file checks what may be executed when, and moves the memory.
 */
#include "exec.h"
#include "opcodes.h"
#include "x87.h"

#define FSW_ES		0x0080		/* an unmasked exception is pending */
#define FSW_TOP		0x3800
#define EXCEPTIONS	0x003f
#define NOT_STORED	0x001f		/* exceptions that leave the destination alone */

/* Check that the unit can be used: CR0.EM or CR0.TS is #NM. */
static enum emu_result check_unit(struct emu_ctx *ctx)
{
	if (!ctx->ops->read_fx || !ctx->ops->write_fx || !ctx->ops->run_x87)
		return EMU_UNHANDLED;
	if (ctx->cr0 & (EMU_CR0_EM | EMU_CR0_TS))
		return emu_raise(ctx, EMU_VECTOR_NM, 0);
	return EMU_OK;
}

/*
 * True if the next waiting instruction must raise #MF. Check ES and also the bits
 * that it sums up: run_x87 would raise a missed exception in the host.
 */
static bool is_pending(const struct emu_fx *fx)
{
	return fx->fsw & FSW_ES || fx->fsw & ~fx->fcw & EXCEPTIONS;
}

/* Read the state for a waiting instruction: #MF if an earlier exception is pending. */
static enum emu_result get_waiting(struct emu_ctx *ctx, struct emu_fx *fx)
{
	enum emu_result result = check_unit(ctx);

	if (result != EMU_OK)
		return result;
	ctx->ops->read_fx(ctx, fx);
	return is_pending(fx) ? emu_raise(ctx, EMU_VECTOR_MF, 0) : EMU_OK;
}

/* Execute on @fx. The pointers become those of the guest's instruction; @control keeps the old. */
static void run(struct emu_ctx *ctx, struct emu_fx *fx, void *buf, bool control)
{
	u64 fip = fx->fip, fdp = fx->fdp;
	u16 fop = fx->fop;

	ctx->ops->run_x87(fx, ctx->insn.opcode, ctx->insn.modrm, buf);
	fx->fop = fop;
	fx->fip = control ? fip : ctx->rip;
	fx->fdp = control ? fdp : emu_effective_address(ctx);
}

static enum emu_result read_memory(struct emu_ctx *ctx, void *buf)
{
	return emu_mem_read(ctx, ctx->insn.seg, emu_effective_address(ctx), buf,
			    ctx->insn.operand[0].size, EMU_READ);
}

static enum emu_result write_memory(struct emu_ctx *ctx, const void *buf)
{
	return emu_mem_write(ctx, ctx->insn.seg, emu_effective_address(ctx), buf,
			     ctx->insn.operand[0].size);
}

/* Loads, arithmetic with a number in memory, and FLDCW. */
enum emu_result emu_run_x87_load(struct emu_ctx *ctx)
{
	bool control = ctx->insn.op == EMU_OP_FLDCW;
	enum emu_result result;
	u8 buf[16] = {};
	struct emu_fx fx;

	result = get_waiting(ctx, &fx);
	if (result == EMU_OK)
		result = read_memory(ctx, buf);
	if (result != EMU_OK)
		return result;
	run(ctx, &fx, buf, control);
	ctx->ops->write_fx(ctx, &fx);
	return EMU_OK;
}

/*
 * Stores change the state after memory is written. If an unmasked exception
 * suppresses the store, the destination must still be writable.
 */
enum emu_result emu_run_x87_store(struct emu_ctx *ctx)
{
	enum emu_result result;
	u8 buf[16] = {};
	struct emu_fx fx;

	result = get_waiting(ctx, &fx);
	if (result != EMU_OK)
		return result;
	run(ctx, &fx, buf, false);
	if (fx.fsw & ~fx.fcw & NOT_STORED)
		result = emu_mem_read(ctx, ctx->insn.seg, emu_effective_address(ctx), buf,
				      ctx->insn.operand[0].size, EMU_READ | EMU_RMW | EMU_PROBE);
	else
		result = write_memory(ctx, buf);
	if (result == EMU_OK)
		ctx->ops->write_fx(ctx, &fx);
	return result;
}

/* FNSTCW and FNSTSW do not wait. */
enum emu_result emu_run_fnst(struct emu_ctx *ctx)
{
	const struct emu_operand *o = &ctx->insn.operand[0];
	enum emu_result result = check_unit(ctx);
	struct emu_fx fx;

	if (result != EMU_OK)
		return result;
	ctx->ops->read_fx(ctx, &fx);
	return emu_write_operand(ctx, o, ctx->insn.opcode == 0xd9 ? fx.fcw : fx.fsw);
}

/* FNINIT and FNCLEX. */
enum emu_result emu_run_fninit(struct emu_ctx *ctx)
{
	enum emu_result result = check_unit(ctx);
	struct emu_fx fx;

	if (result != EMU_OK)
		return result;
	ctx->ops->read_fx(ctx, &fx);
	if (ctx->insn.modrm == X87_FNINIT) {
		fx.fip = 0;
		fx.fdp = 0;
		fx.fop = 0;
	}
	run(ctx, &fx, NULL, true);
	ctx->ops->write_fx(ctx, &fx);
	return EMU_OK;
}

enum emu_result emu_run_fwait(struct emu_ctx *ctx)
{
	struct emu_fx fx;

	if (!ctx->ops->read_fx)
		return EMU_UNHANDLED;
	if ((ctx->cr0 & (EMU_CR0_MP | EMU_CR0_TS)) == (EMU_CR0_MP | EMU_CR0_TS))
		return emu_raise(ctx, EMU_VECTOR_NM, 0);
	ctx->ops->read_fx(ctx, &fx);
	return is_pending(&fx) ? emu_raise(ctx, EMU_VECTOR_MF, 0) : EMU_OK;
}

/* --- environment ------------------------------------------------------------ */

#define ENV_SLOTS	7
#define FOP_BITS	0x7ff

/*
 * The layout that the processor stores in 64-bit code, 4 bytes per slot.
 * pack_image() and narrow() make the other layouts from it, of which 16-bit ones
 * keep 2 bytes per slot.
 */
struct x87_image {
	u32 fcw, fsw, ftw, fip, fcs_fop, fdp, fds;
	u8 st[8][10];
};

static unsigned int slot_size(const struct emu_ctx *ctx)
{
	return ctx->insn.op_size == 2 ? 2 : 4;
}

/*
 * Selectors are not saved. In real and virtual-8086 mode the upper halves of the
 * pointers are in their place.
 */
static void pack_image(const struct emu_ctx *ctx, struct x87_image *image, const struct emu_fx *fx)
{
	u32 fip = fx->fip, fdp = fx->fdp, fop = fx->fop & FOP_BITS;

	image->fip = fip;
	image->fcs_fop = fop << 16;
	image->fdp = fdp;
	image->fds = 0xffff0000;
	if (!emu_no_descriptors(ctx))
		return;
	image->fip = fip | 0xffff0000;
	image->fcs_fop = (fip >> 16) << 12 | fop;
	image->fdp = fdp | 0xffff0000;
	image->fds = (fdp >> 16) << 12;
}

static void unpack_image(const struct emu_ctx *ctx, const struct x87_image *image,
			 struct emu_fx *fx)
{
	if (emu_no_descriptors(ctx)) {
		fx->fip = (image->fip & 0xffff) | image->fcs_fop >> 12 << 16;
		fx->fdp = (image->fdp & 0xffff) | image->fds >> 12 << 16;
		fx->fop = image->fcs_fop & FOP_BITS;
	} else {
		fx->fip = image->fip;
		fx->fdp = image->fdp;
		fx->fop = image->fcs_fop >> 16 & FOP_BITS;
	}
}

/* Convert the environment to slots of the operand size; the registers follow. */
static void narrow(const struct emu_ctx *ctx, const struct x87_image *image, u8 *buf)
{
	unsigned int size = slot_size(ctx), i;

	for (i = 0; i < ENV_SLOTS; i++)
		memcpy(buf + i * size, (const u8 *)image + 4 * i, size);
	memcpy(buf + i * size, image->st, sizeof(image->st));
}

static void widen(const struct emu_ctx *ctx, const u8 *buf, struct x87_image *image)
{
	unsigned int size = slot_size(ctx), i;

	for (i = 0; i < ENV_SLOTS; i++)
		memcpy((u8 *)image + 4 * i, buf + i * size, size);
	memcpy(image->st, buf + i * size, sizeof(image->st));
}

/* Check alignment for the first slot only. @access as for struct emu_ops. */
static enum emu_result move_env(struct emu_ctx *ctx, u8 *buf, unsigned int access)
{
	u64 ea = emu_effective_address(ctx), linear, last;
	unsigned int size = ctx->insn.operand[0].size, at, len;
	enum emu_result result;

	result = emu_linear_address(ctx, ctx->insn.seg, ea, slot_size(ctx), access, &linear);
	for (at = 0; at < size && result == EMU_OK; at += len) {
		len = size - at < EMU_OPERAND_MAX ? size - at : EMU_OPERAND_MAX;
		result = emu_linear_address(ctx, ctx->insn.seg, ea + at, 1, access, &linear);
		if (result == EMU_OK)
			result = emu_linear_address(ctx, ctx->insn.seg, ea + at + len - 1, 1,
						    access, &last);
		if (result == EMU_OK && access & EMU_WRITE)
			result = ctx->ops->write(ctx, linear, buf + at, len, access);
		else if (result == EMU_OK)
			result = ctx->ops->read(ctx, linear, buf + at, len, access);
	}
	return result;
}

/*
 * FNSTENV and FNSAVE do not wait. They store the state from before the
 * instruction; then FNSTENV masks all exceptions, and FNSAVE initializes the
 * unit.
 */
enum emu_result emu_run_fnsave(struct emu_ctx *ctx)
{
	u8 buf[sizeof(struct x87_image)] = {};
	enum emu_result result = check_unit(ctx);
	struct x87_image image = {};
	struct emu_fx fx;

	if (result == EMU_OK)
		result = move_env(ctx, buf, EMU_READ | EMU_RMW | EMU_PROBE);
	if (result != EMU_OK)
		return result;
	ctx->ops->read_fx(ctx, &fx);
	run(ctx, &fx, &image, true);
	pack_image(ctx, &image, &fx);
	narrow(ctx, &image, buf);
	result = move_env(ctx, buf, EMU_WRITE);
	if (result != EMU_OK)
		return result;
	if (ctx->insn.opcode == 0xdd) {
		fx.fip = 0;
		fx.fdp = 0;
		fx.fop = 0;
	}
	ctx->ops->write_fx(ctx, &fx);
	return EMU_OK;
}

/* FLDENV and FRSTOR. An exception that they load is raised by the next instruction that waits. */
enum emu_result emu_run_fldenv(struct emu_ctx *ctx)
{
	u8 buf[sizeof(struct x87_image)] = {};
	struct x87_image image = {};
	enum emu_result result;
	struct emu_fx fx;

	result = get_waiting(ctx, &fx);
	if (result == EMU_OK)
		result = move_env(ctx, buf, EMU_READ);
	if (result != EMU_OK)
		return result;
	widen(ctx, buf, &image);
	run(ctx, &fx, &image, true);
	unpack_image(ctx, &image, &fx);
	ctx->ops->write_fx(ctx, &fx);
	return EMU_OK;
}

/* --- MMX ------------------------------------------------------------------- */

/*
 * Rearrange the registers: those of MMX have fixed places, those of x87 count
 * from the top of the stack.
 */
static void enter_mmx(struct emu_fx *fx)
{
	unsigned int top = (fx->fsw & FSW_TOP) >> 11, i;
	u8 st[8][16];

	memcpy(st, fx->st, sizeof(st));
	for (i = 0; i < 8; i++)
		memcpy(fx->st[(i + top) & 7], st[i], sizeof(st[i]));
	fx->fsw &= ~FSW_TOP;
	fx->ftw = 0xff;
}

static enum emu_result get_mmx(struct emu_ctx *ctx, struct emu_fx *fx)
{
	enum emu_result result;

	if (ctx->cr0 & EMU_CR0_EM)
		return emu_raise(ctx, EMU_VECTOR_UD, 0);
	result = get_waiting(ctx, fx);
	if (result == EMU_OK)
		enter_mmx(fx);
	return result;
}

/* MOVD, MOVQ and MOVNTQ. */
enum emu_result emu_run_mmx_move(struct emu_ctx *ctx)
{
	const struct emu_operand *o = ctx->insn.operand;
	enum emu_result result;
	struct emu_fx fx;
	u64 val = 0;

	result = get_mmx(ctx, &fx);
	if (result != EMU_OK)
		return result;
	if (o[1].kind == EMU_OPERAND_MMX)
		memcpy(&val, fx.st[o[1].reg], sizeof(val));
	else
		result = emu_read_operand(ctx, &o[1], &val);
	if (result == EMU_OK && o[0].kind != EMU_OPERAND_MMX)
		result = emu_write_operand(ctx, &o[0], val);
	if (result != EMU_OK)
		return result;
	if (o[0].kind == EMU_OPERAND_MMX) {
		memset(fx.st[o[0].reg], 0xff, 10);
		memcpy(fx.st[o[0].reg], &val, sizeof(val));
	}
	ctx->ops->write_fx(ctx, &fx);
	return EMU_OK;
}

/* MASKMOVQ: as MASKMOVDQU, with MMX registers. */
enum emu_result emu_run_maskmovq(struct emu_ctx *ctx)
{
	const struct emu_operand *o = ctx->insn.operand;
	enum emu_result result;
	struct emu_fx fx;

	result = get_mmx(ctx, &fx);
	if (result == EMU_OK)
		result = emu_store_bytes(ctx, fx.st[o[1].reg], emu_high_bits(fx.st[o[2].reg], 8),
					 8);
	if (result == EMU_OK)
		ctx->ops->write_fx(ctx, &fx);
	return result;
}

/* --- the whole state -------------------------------------------------------- */

#define IMAGE_ALIGN	16

/* Bytes of the image that exist in this mode: without CR4.OSFXSR it ends before XMM0. */
static unsigned int image_size(const struct emu_ctx *ctx)
{
	unsigned int count = ctx->mode == EMU_MODE_LONG64 ? 16 : 8;

	return offsetof(struct emu_fx, xmm) + (ctx->cr4 & EMU_CR4_OSFXSR ? 16 * count : 0);
}

/* All 512 bytes must be within the segment, though some of them are for software. */
static enum emu_result check_image(struct emu_ctx *ctx, u64 ea)
{
	bool write = ctx->insn.op == EMU_OP_FXSAVE;
	enum emu_result result;
	u64 first, last;

	result = emu_linear_address(ctx, ctx->insn.seg, ea, IMAGE_ALIGN,
				    EMU_ALIGNED | (write ? EMU_WRITE : EMU_READ), &first);
	if (result != EMU_OK)
		return result;
	return emu_linear_address(ctx, ctx->insn.seg, ea + sizeof(struct emu_fx) - IMAGE_ALIGN,
				  IMAGE_ALIGN, write ? EMU_WRITE : EMU_READ, &last);
}

/* @access as for struct emu_ops; a write if EMU_WRITE is in it. */
static enum emu_result move_image(struct emu_ctx *ctx, u64 ea, u8 *image, unsigned int access)
{
	unsigned int size = image_size(ctx), at, len;
	enum emu_result result = EMU_OK;

	for (at = 0; at < size && result == EMU_OK; at += len) {
		len = size - at < EMU_OPERAND_MAX ? size - at : EMU_OPERAND_MAX;
		if (access & EMU_WRITE)
			result = emu_mem_write(ctx, ctx->insn.seg, ea + at, image + at, len);
		else
			result = emu_mem_read(ctx, ctx->insn.seg, ea + at, image + at, len, access);
	}
	return result;
}

/* Without REX.W pointers have 32 bits; the selectors beside them are not kept. */
static void cut_pointers(const struct emu_ctx *ctx, struct emu_fx *fx)
{
	if (ctx->insn.op_size == 8)
		return;
	fx->fip = (u32)fx->fip;
	fx->fdp = (u32)fx->fdp;
}

enum emu_result emu_run_fxsave(struct emu_ctx *ctx)
{
	u64 ea = emu_effective_address(ctx);
	enum emu_result result = check_unit(ctx);
	struct emu_fx fx;

	if (result == EMU_OK)
		result = check_image(ctx, ea);
	if (result != EMU_OK)
		return result;
	ctx->ops->read_fx(ctx, &fx);
	result = move_image(ctx, ea, (u8 *)&fx, EMU_READ | EMU_RMW | EMU_PROBE);
	if (result != EMU_OK)
		return result;
	ctx->ops->read_fx(ctx, &fx);
	cut_pointers(ctx, &fx);
	return move_image(ctx, ea, (u8 *)&fx, EMU_WRITE);
}

enum emu_result emu_run_fxrstor(struct emu_ctx *ctx)
{
	u64 ea = emu_effective_address(ctx);
	enum emu_result result = check_unit(ctx);
	struct emu_fx fx;
	u32 mxcsr_mask;

	if (result == EMU_OK)
		result = check_image(ctx, ea);
	if (result != EMU_OK)
		return result;
	ctx->ops->read_fx(ctx, &fx);
	mxcsr_mask = fx.mxcsr_mask;
	result = move_image(ctx, ea, (u8 *)&fx, EMU_READ);
	if (result != EMU_OK)
		return result;
	fx.mxcsr_mask = mxcsr_mask;
	if (fx.mxcsr & ~emu_mxcsr_bits(&fx))
		return emu_raise(ctx, EMU_VECTOR_GP, 0);
	cut_pointers(ctx, &fx);
	ctx->ops->write_fx(ctx, &fx);
	return EMU_OK;
}
