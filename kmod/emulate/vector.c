// SPDX-License-Identifier: GPL-2.0
/*
 * Moves between memory, vector registers and general registers, as compilers and
 * memcpy() use them on device memory, and the logic and comparisons that take a
 * memory operand with them. The owner's callbacks access the registers.
 */
#include "exec.h"
#include "opcodes.h"

#define XMM_BYTES	16

union vector {
	u64 q[EMU_OPERAND_MAX / 8];
	u8 b[EMU_OPERAND_MAX];
};

/* Check that the guest has enabled SSE, AVX or AVX-512. */
static enum emu_result check_enabled(struct emu_ctx *ctx)
{
	bool avx512 = ctx->insn.evex || ctx->insn.op == EMU_OP_KMOV;
	u64 needed = avx512 ? EMU_XCR0_AVX512 : EMU_XCR0_AVX;

	if (!ctx->ops->read_xmm || !ctx->ops->write_xmm)
		return EMU_UNHANDLED;
	if (ctx->insn.vector_size) {
		if (!(ctx->cr4 & EMU_CR4_OSXSAVE) || (ctx->xcr0 & needed) != needed)
			return emu_raise(ctx, EMU_VECTOR_UD, 0);
	} else if ((ctx->cr0 & EMU_CR0_EM) || !(ctx->cr4 & EMU_CR4_OSFXSR)) {
		return emu_raise(ctx, EMU_VECTOR_UD, 0);
	}
	return ctx->cr0 & EMU_CR0_TS ? emu_raise(ctx, EMU_VECTOR_NM, 0) : EMU_OK;
}

static unsigned int register_size(const struct emu_ctx *ctx)
{
	return ctx->insn.vector_size ? ctx->insn.vector_size : XMM_BYTES;
}

/* Linear address of the memory operand; alignment matters where the row says so. */
static enum emu_result operand_address(struct emu_ctx *ctx, unsigned int size,
				       unsigned int access, u64 *linear)
{
	if (ctx->insn.flags & ROW_ALIGNED)
		access |= EMU_ALIGNED;
	return emu_linear_address(ctx, ctx->insn.seg, emu_effective_address(ctx), size, access,
				  linear);
}

/* Load the low o->size bytes of the operand; the rest of @v is cleared. */
static enum emu_result load(struct emu_ctx *ctx, const struct emu_operand *o, union vector *v)
{
	enum emu_result result;
	u64 linear;

	memset(v, 0, sizeof(*v));
	if (o->kind == EMU_OPERAND_XMM) {
		ctx->ops->read_xmm(ctx, o->reg, v, register_size(ctx));
		memset(v->b + o->size, 0, sizeof(*v) - o->size);
		return EMU_OK;
	}
	result = operand_address(ctx, o->size, EMU_READ, &linear);
	if (result != EMU_OK)
		return result;
	return ctx->ops->read(ctx, linear, v, o->size, EMU_READ);
}

static void set_vector(struct emu_ctx *ctx, unsigned int reg, const union vector *v)
{
	ctx->ops->write_xmm(ctx, reg, v, register_size(ctx), ctx->insn.vector_size != 0);
}

static enum emu_result store(struct emu_ctx *ctx, const struct emu_operand *o, const void *from)
{
	enum emu_result result;
	u64 linear;

	result = operand_address(ctx, o->size, EMU_WRITE, &linear);
	if (result != EMU_OK)
		return result;
	return ctx->ops->write(ctx, linear, from, o->size, EMU_WRITE);
}

/* A destination register is cleared above what is moved. */
enum emu_result emu_run_vmov(struct emu_ctx *ctx)
{
	const struct emu_operand *o = ctx->insn.operand;
	enum emu_result result = check_enabled(ctx);
	union vector v;

	if (result != EMU_OK)
		return result;
	result = load(ctx, &o[1], &v);
	if (result != EMU_OK)
		return result;
	if (o[0].kind == EMU_OPERAND_MEM)
		return store(ctx, &o[0], &v);
	set_vector(ctx, o[0].reg, &v);
	return EMU_OK;
}

/* Load 8 bytes into one half; the other comes from the destination, or VEX.vvvv. */
static enum emu_result load_half(struct emu_ctx *ctx, unsigned int half)
{
	const struct emu_operand *o = ctx->insn.operand;
	unsigned int other = ctx->insn.vector_size ? ctx->insn.vex_reg : o[0].reg;
	enum emu_result result;
	union vector v, mem;

	result = load(ctx, &o[1], &mem);
	if (result != EMU_OK)
		return result;
	memset(&v, 0, sizeof(v));
	ctx->ops->read_xmm(ctx, other, &v, XMM_BYTES);
	v.q[half] = mem.q[0];
	set_vector(ctx, o[0].reg, &v);
	return EMU_OK;
}

enum emu_result emu_run_vmov_low(struct emu_ctx *ctx)
{
	enum emu_result result = check_enabled(ctx);

	return result == EMU_OK ? load_half(ctx, 0) : result;
}

enum emu_result emu_run_vmov_high(struct emu_ctx *ctx)
{
	const struct emu_operand *o = ctx->insn.operand;
	enum emu_result result = check_enabled(ctx);
	union vector v;

	if (result != EMU_OK)
		return result;
	if (o[0].kind != EMU_OPERAND_MEM)
		return load_half(ctx, 1);
	ctx->ops->read_xmm(ctx, o[1].reg, &v, XMM_BYTES);
	return store(ctx, &o[0], &v.q[1]);
}

/* MOVD and MOVQ: between a vector register and a general one or memory. */
enum emu_result emu_run_vmov_gpr(struct emu_ctx *ctx)
{
	const struct emu_operand *o = ctx->insn.operand;
	enum emu_result result = check_enabled(ctx);
	union vector v;

	if (result != EMU_OK)
		return result;
	memset(&v, 0, sizeof(v));
	if (o[0].kind == EMU_OPERAND_XMM) {
		result = emu_read_operand(ctx, &o[1], &v.q[0]);
		if (result == EMU_OK)
			set_vector(ctx, o[0].reg, &v);
		return result;
	}
	ctx->ops->read_xmm(ctx, o[1].reg, &v, XMM_BYTES);
	return emu_write_operand(ctx, &o[0], v.q[0]);
}

/* --- more than moves -------------------------------------------------------- */

/* Take the lowest element from one register and the rest from another. */
enum emu_result emu_run_vmov_scalar(struct emu_ctx *ctx)
{
	const struct emu_operand *o = ctx->insn.operand;
	unsigned int other = ctx->insn.vector_size ? ctx->insn.vex_reg : o[0].reg;
	enum emu_result result = check_enabled(ctx);
	union vector v = {}, low;

	if (result != EMU_OK)
		return result;
	ctx->ops->read_xmm(ctx, other, &v, XMM_BYTES);
	ctx->ops->read_xmm(ctx, o[1].reg, &low, XMM_BYTES);
	memcpy(&v, &low, o[1].size);
	set_vector(ctx, o[0].reg, &v);
	return EMU_OK;
}

/* PCMPEQ: set all bits of each element that is equal, clear the others. */
static u64 equal_elements(u64 a, u64 b, unsigned int size)
{
	u64 res = 0;
	unsigned int i;

	for (i = 0; i < 64; i += 8 * size)
		if (!((a ^ b) >> i & emu_mask(size)))
			res |= emu_mask(size) << i;
	return res;
}

static u64 logic(u8 opcode, u64 a, u64 b)
{
	switch (opcode) {
	case 0x54:
	case 0xdb:
		return a & b;
	case 0x55:
	case 0xdf:
		return ~a & b;
	case 0x56:
	case 0xeb:
		return a | b;
	case 0x57:
	case 0xef:
		return a ^ b;
	default:
		return equal_elements(a, b, 1 << (opcode - 0x74));
	}
}

enum emu_result emu_run_vlogic(struct emu_ctx *ctx)
{
	const struct emu_operand *o = ctx->insn.operand;
	unsigned int first = ctx->insn.vector_size ? ctx->insn.vex_reg : o[0].reg, i;
	enum emu_result result = check_enabled(ctx);
	union vector a = {}, b;

	if (result == EMU_OK)
		result = load(ctx, &o[1], &b);
	if (result != EMU_OK)
		return result;
	ctx->ops->read_xmm(ctx, first, &a, register_size(ctx));
	for (i = 0; i < register_size(ctx) / 8; i++)
		a.q[i] = logic(ctx->insn.opcode, a.q[i], b.q[i]);
	set_vector(ctx, o[0].reg, &a);
	return EMU_OK;
}

/* PTEST: ZF if no bit is in both; CF if no bit is in the second only. */
enum emu_result emu_run_ptest(struct emu_ctx *ctx)
{
	const struct emu_operand *o = ctx->insn.operand;
	enum emu_result result = check_enabled(ctx);
	u64 both = 0, second = 0;
	union vector a = {}, b;
	unsigned int i;

	if (result == EMU_OK)
		result = load(ctx, &o[1], &b);
	if (result != EMU_OK)
		return result;
	ctx->ops->read_xmm(ctx, o[0].reg, &a, register_size(ctx));
	for (i = 0; i < register_size(ctx) / 8; i++) {
		both |= a.q[i] & b.q[i];
		second |= ~a.q[i] & b.q[i];
	}
	ctx->next_rflags &= ~(u64)EMU_FLAGS_ARITH;
	ctx->next_rflags |= (both ? 0 : EMU_FLAG_ZF) | (second ? 0 : EMU_FLAG_CF);
	return EMU_OK;
}

enum emu_result emu_run_vbroadcast(struct emu_ctx *ctx)
{
	const struct emu_operand *o = ctx->insn.operand;
	enum emu_result result = check_enabled(ctx);
	union vector v;
	unsigned int i;

	if (result == EMU_OK)
		result = load(ctx, &o[1], &v);
	if (result != EMU_OK)
		return result;
	for (i = o[1].size; i < register_size(ctx); i++)
		v.b[i] = v.b[i - o[1].size];
	set_vector(ctx, o[0].reg, &v);
	return EMU_OK;
}

/* PMOVSX and PMOVZX; the last three bits of the opcode give the sizes of the elements. */
enum emu_result emu_run_vextend(struct emu_ctx *ctx)
{
	static const u8 from[] = { 1, 1, 1, 2, 2, 4, 0, 0 }, to[] = { 2, 4, 8, 4, 8, 8, 8, 8 };
	unsigned int narrow = from[ctx->insn.opcode & 7], wide = to[ctx->insn.opcode & 7], i;
	const struct emu_operand *o = ctx->insn.operand;
	enum emu_result result = check_enabled(ctx);
	union vector v, grown = {};
	u64 val;

	if (result == EMU_OK)
		result = load(ctx, &o[1], &v);
	if (result != EMU_OK)
		return result;
	for (i = 0; i * wide < register_size(ctx); i++) {
		val = 0;
		memcpy(&val, v.b + i * narrow, narrow);
		if (!(ctx->insn.opcode & 0x10))
			val = emu_sign_extend(val, narrow);
		memcpy(grown.b + i * wide, &val, wide);
	}
	set_vector(ctx, o[0].reg, &grown);
	return EMU_OK;
}

/* Bytes of the element that PINSR or PEXTR moves; a register @o may be larger. */
static unsigned int element_size(const struct emu_ctx *ctx, const struct emu_operand *o)
{
	switch (ctx->insn.opcode) {
	case 0x14:
	case 0x20:
		return 1;
	case 0x15:
	case 0xc4:
		return 2;
	default:
		return o->size;
	}
}

/* Byte offset of the element: the immediate modulo the number of elements selects it. */
static unsigned int element_offset(const struct emu_ctx *ctx, unsigned int size)
{
	return ctx->insn.imm * size & (XMM_BYTES - 1);
}

enum emu_result emu_run_vinsert(struct emu_ctx *ctx)
{
	const struct emu_operand *o = ctx->insn.operand;
	unsigned int other = ctx->insn.vector_size ? ctx->insn.vex_reg : o[0].reg;
	unsigned int size = element_size(ctx, &o[1]);
	enum emu_result result = check_enabled(ctx);
	union vector v = {};
	u64 val;

	if (result == EMU_OK)
		result = emu_read_operand(ctx, &o[1], &val);
	if (result != EMU_OK)
		return result;
	ctx->ops->read_xmm(ctx, other, &v, XMM_BYTES);
	memcpy(v.b + element_offset(ctx, size), &val, size);
	set_vector(ctx, o[0].reg, &v);
	return EMU_OK;
}

enum emu_result emu_run_vextract(struct emu_ctx *ctx)
{
	const struct emu_operand *o = ctx->insn.operand;
	unsigned int size = element_size(ctx, &o[0]);
	enum emu_result result = check_enabled(ctx);
	union vector v;
	u64 val = 0;

	if (result != EMU_OK)
		return result;
	ctx->ops->read_xmm(ctx, o[1].reg, &v, XMM_BYTES);
	memcpy(&val, v.b + element_offset(ctx, size), size);
	return emu_write_operand(ctx, &o[0], val);
}

/* MOVDDUP, MOVSLDUP and MOVSHDUP: duplicate one element of each pair. */
enum emu_result emu_run_vdup(struct emu_ctx *ctx)
{
	unsigned int size = ctx->insn.simd_prefix == 0xf2 ? 8 : 4, i;
	const struct emu_operand *o = ctx->insn.operand;
	enum emu_result result = check_enabled(ctx);
	bool high = ctx->insn.opcode == 0x16;
	union vector v;

	if (result == EMU_OK)
		result = load(ctx, &o[1], &v);
	if (result != EMU_OK)
		return result;
	for (i = 0; i < register_size(ctx); i += 2 * size)
		memcpy(v.b + i + (high ? 0 : size), v.b + i + (high ? size : 0), size);
	set_vector(ctx, o[0].reg, &v);
	return EMU_OK;
}

/* MOVDIR64B: from the memory operand to where the register points, in ES. */
enum emu_result emu_run_movdir64b(struct emu_ctx *ctx)
{
	u64 to = ctx->gpr[ctx->insn.operand[0].reg] & emu_mask(ctx->insn.addr_size), linear;
	enum emu_result result;
	union vector v;

	result = emu_linear_address(ctx, EMU_ES, to, sizeof(v), EMU_WRITE | EMU_ALIGNED, &linear);
	if (result == EMU_OK)
		result = emu_mem_read(ctx, ctx->insn.seg, emu_effective_address(ctx), &v, sizeof(v),
				      EMU_READ);
	if (result != EMU_OK)
		return result;
	return ctx->ops->write(ctx, linear, &v, sizeof(v), EMU_WRITE);
}

/* --- MXCSR ----------------------------------------------------------------- */

enum emu_result emu_run_ldmxcsr(struct emu_ctx *ctx)
{
	enum emu_result result = check_enabled(ctx);
	struct emu_fx fx;
	u64 val;

	if (result != EMU_OK || !ctx->ops->read_fx || !ctx->ops->write_fx)
		return result == EMU_OK ? EMU_UNHANDLED : result;
	result = emu_read_operand(ctx, &ctx->insn.operand[0], &val);
	if (result != EMU_OK)
		return result;
	ctx->ops->read_fx(ctx, &fx);
	if (val & ~(u64)emu_mxcsr_bits(&fx))
		return emu_raise(ctx, EMU_VECTOR_GP, 0);
	fx.mxcsr = val;
	ctx->ops->write_fx(ctx, &fx);
	return EMU_OK;
}

enum emu_result emu_run_stmxcsr(struct emu_ctx *ctx)
{
	enum emu_result result = check_enabled(ctx);
	struct emu_fx fx;

	if (result != EMU_OK || !ctx->ops->read_fx)
		return result == EMU_OK ? EMU_UNHANDLED : result;
	ctx->ops->read_fx(ctx, &fx);
	return emu_write_operand(ctx, &ctx->insn.operand[0], fx.mxcsr);
}

/* --- masks ----------------------------------------------------------------- */

/* Set a bit for each of the @size bytes that the mask selects. */
static u64 masked_bytes(struct emu_ctx *ctx, unsigned int size)
{
	unsigned int element = ctx->insn.element, i;
	u64 mask = ctx->ops->read_mask(ctx, ctx->insn.mask), bytes = 0;

	for (i = 0; i * element < size; i++)
		if (mask >> i & 1)
			bytes |= ((1ull << element) - 1) << i * element;
	return bytes;
}

/*
 * Check each element of the @size bytes at @ea by itself; *@linear is that of the
 * first. Only elements of EVEX can be misaligned.
 */
static enum emu_result elements_address(struct emu_ctx *ctx, u64 ea, unsigned int size,
					unsigned int access, u64 *linear)
{
	unsigned int element = ctx->insn.evex ? ctx->insn.element : 1, i;
	enum emu_result result;
	u64 other;

	for (i = 0; i < size; i += element) {
		result = emu_linear_address(ctx, ctx->insn.seg, ea + i, element, access,
					    i ? &other : linear);
		if (result != EMU_OK)
			return result;
	}
	return EMU_OK;
}

/* ROW_ALIGNED applies even if the mask selects nothing. */
static bool is_misplaced(struct emu_ctx *ctx, u64 ea, unsigned int size)
{
	if (ctx->mode != EMU_MODE_LONG64 || ctx->insn.seg >= EMU_FS)
		ea += emu_segment(ctx, ctx->insn.seg)->base;
	return ctx->insn.flags & ROW_ALIGNED && ea & (size - 1);
}

/*
 * Access the memory operand, of @size bytes, in runs of those selected by @bytes;
 * the others are not accessed. @access: a write if EMU_WRITE is in it, otherwise
 * a read.
 */
static enum emu_result move_pieces(struct emu_ctx *ctx, union vector *v, u64 bytes,
				   unsigned int size, unsigned int access)
{
	u64 ea = emu_effective_address(ctx), linear;
	enum emu_result result = EMU_OK;
	unsigned int i, len;

	for (i = 0; i < size && result == EMU_OK; i += len) {
		for (len = 1; i + len < size && !((bytes >> i ^ bytes >> (i + len)) & 1); len++)
			;
		if (!(bytes >> i & 1))
			continue;
		result = elements_address(ctx, ea + i, len, access, &linear);
		if (result == EMU_OK && access & EMU_WRITE)
			result = ctx->ops->write(ctx, linear, v->b + i, len, access);
		else if (result == EMU_OK)
			result = ctx->ops->read(ctx, linear, v->b + i, len, access);
	}
	return result;
}

/* Check that all pieces can be written before one is. */
static enum emu_result store_pieces(struct emu_ctx *ctx, union vector *v, u64 bytes,
				    unsigned int size)
{
	enum emu_result result;

	result = move_pieces(ctx, v, bytes, size, EMU_READ | EMU_RMW | EMU_PROBE);
	if (result != EMU_OK)
		return result;
	return move_pieces(ctx, v, bytes, size, EMU_WRITE);
}

enum emu_result emu_store_bytes(struct emu_ctx *ctx, const void *from, u64 bytes,
				unsigned int size)
{
	union vector v = {};

	memcpy(&v, from, size);
	return store_pieces(ctx, &v, bytes, size);
}

u64 emu_high_bits(const u8 *mask, unsigned int size)
{
	u64 bytes = 0;
	unsigned int i;

	for (i = 0; i < size; i++)
		if (mask[i] & 0x80)
			bytes |= 1ull << i;
	return bytes;
}

static void set_masked(struct emu_ctx *ctx, const struct emu_operand *o, union vector *v,
		       u64 bytes, unsigned int size)
{
	union vector old = {};
	unsigned int i;

	if (!ctx->insn.zeroing)
		ctx->ops->read_xmm(ctx, o->reg, &old, register_size(ctx));
	for (i = 0; i < size; i++)
		if (!(bytes >> i & 1))
			v->b[i] = old.b[i];
	set_vector(ctx, o->reg, v);
}

static enum emu_result move_masked(struct emu_ctx *ctx)
{
	const struct emu_operand *o = ctx->insn.operand;
	unsigned int size = o[0].size < o[1].size ? o[0].size : o[1].size;
	bool memory = o[0].kind == EMU_OPERAND_MEM || o[1].kind == EMU_OPERAND_MEM;
	enum emu_result result = EMU_OK;
	union vector v = {};
	u64 bytes;

	if (memory && is_misplaced(ctx, emu_effective_address(ctx), size))
		return emu_raise(ctx, EMU_VECTOR_GP, 0);
	bytes = masked_bytes(ctx, size);
	if (o[1].kind == EMU_OPERAND_MEM)
		result = move_pieces(ctx, &v, bytes, size, EMU_READ);
	else
		load(ctx, &o[1], &v);
	if (result != EMU_OK)
		return result;
	if (o[0].kind == EMU_OPERAND_MEM)
		return store_pieces(ctx, &v, bytes, size);
	set_masked(ctx, &o[0], &v, bytes, size);
	return EMU_OK;
}

enum emu_result emu_run_vmov_masked(struct emu_ctx *ctx)
{
	enum emu_result result;

	if (!ctx->insn.mask)
		return emu_run_vmov(ctx);
	result = check_enabled(ctx);
	return result == EMU_OK ? move_masked(ctx) : result;
}

/* MASKMOVDQU: the highest bit of each byte of the mask register selects a byte to store. */
enum emu_result emu_run_maskmovdqu(struct emu_ctx *ctx)
{
	const struct emu_operand *o = ctx->insn.operand;
	enum emu_result result = check_enabled(ctx);
	union vector v, mask;

	if (result != EMU_OK)
		return result;
	ctx->ops->read_xmm(ctx, o[1].reg, &v, XMM_BYTES);
	ctx->ops->read_xmm(ctx, o[2].reg, &mask, XMM_BYTES);
	return emu_store_bytes(ctx, &v, emu_high_bits(mask.b, XMM_BYTES), XMM_BYTES);
}

/* VMASKMOV and VPMASKMOV: the same by elements; a load clears those not selected. */
enum emu_result emu_run_vmaskmov(struct emu_ctx *ctx)
{
	bool integer = ctx->insn.opcode & 0x80;
	unsigned int element = (integer ? ctx->insn.vex_w : ctx->insn.opcode & 1) ? 8 : 4;
	unsigned int size = register_size(ctx), i;
	const struct emu_operand *o = ctx->insn.operand;
	enum emu_result result = check_enabled(ctx);
	union vector v = {}, mask;
	u64 bytes;

	if (result != EMU_OK)
		return result;
	ctx->ops->read_xmm(ctx, ctx->insn.vex_reg, &mask, size);
	for (i = 0; i < size; i++)
		mask.b[i] = mask.b[i | (element - 1)];
	bytes = emu_high_bits(mask.b, size);
	if (o[0].kind == EMU_OPERAND_MEM) {
		ctx->ops->read_xmm(ctx, o[1].reg, &v, size);
		return store_pieces(ctx, &v, bytes, size);
	}
	result = move_pieces(ctx, &v, bytes, size, EMU_READ);
	if (result == EMU_OK)
		set_vector(ctx, o[0].reg, &v);
	return result;
}

/* Width of the mask by the prefixes; a general register may be wider. */
static unsigned int kmov_size(const struct emu_ctx *ctx)
{
	const struct emu_insn *insn = &ctx->insn;

	if (insn->opcode < 0x92 || insn->simd_prefix == 0xf2)
		return insn->operand[0].size;
	return insn->simd_prefix == 0x66 ? 1 : 2;
}

/* KMOV between a mask register and memory, a general register, or another mask register. */
enum emu_result emu_run_kmov(struct emu_ctx *ctx)
{
	const struct emu_operand *o = ctx->insn.operand;
	unsigned int reg = ctx->insn.modrm >> 3 & 7, rm = ctx->insn.modrm & 7;
	u64 val, mask = emu_mask(kmov_size(ctx));
	enum emu_result result = check_enabled(ctx);

	if (result != EMU_OK)
		return result;
	if (ctx->insn.opcode == 0x91)
		return emu_write_operand(ctx, &o[0], ctx->ops->read_mask(ctx, reg));
	if (ctx->insn.opcode == 0x93)
		return emu_write_operand(ctx, &o[0], ctx->ops->read_mask(ctx, rm) & mask);
	if (ctx->insn.opcode == 0x90 && o[0].kind != EMU_OPERAND_MEM)
		val = ctx->ops->read_mask(ctx, rm);
	else
		result = emu_read_operand(ctx, &o[0], &val);
	if (result == EMU_OK)
		ctx->ops->write_mask(ctx, reg, val & mask);
	return result;
}
