// SPDX-License-Identifier: GPL-2.0
/*
 * The executor: runs the decoded instruction through one handler per family,
 * and commits RIP and RFLAGS if that succeeds. The integer families that are
 * not strings, stack or branches are here as well.
 *
 * A handler does everything that can fail first - reads, then writes to
 * memory - and changes registers last, so that a failure leaves none changed.
 */
#include "exec.h"
#include "opcodes.h"

struct handler {
	emu_run_fn *run;
	emu_alu_fn *alu;
};

static const struct handler handlers[EMU_OP_COUNT];

static emu_alu_fn *alu_of(const struct emu_ctx *ctx)
{
	return handlers[ctx->insn.op].alu;
}

/* dst = dst op src, and the forms without src. */
static enum emu_result run_alu(struct emu_ctx *ctx)
{
	const struct emu_operand *o = ctx->insn.operand;
	enum emu_result result;
	u64 dst, src, res;

	result = emu_read_operand(ctx, &o[1], &src);
	if (result != EMU_OK)
		return result;
	result = emu_read_for_update(ctx, &o[0], ctx->insn.lock, &dst);
	if (result != EMU_OK)
		return result;
	res = alu_of(ctx)(dst, src, o[0].size, &ctx->next_rflags);
	return emu_replace(ctx, &o[0], ctx->insn.lock, dst, res);
}

/* Set only the flags of dst op src. */
static enum emu_result run_compare(struct emu_ctx *ctx)
{
	const struct emu_operand *o = ctx->insn.operand;
	enum emu_result result;
	u64 dst, src;

	result = emu_read_operand(ctx, &o[1], &src);
	if (result != EMU_OK)
		return result;
	result = emu_read_operand(ctx, &o[0], &dst);
	if (result != EMU_OK)
		return result;
	alu_of(ctx)(dst, src, o[0].size, &ctx->next_rflags);
	return EMU_OK;
}

/* A bit offset in a register may select a bit before or after the memory operand. */
static enum emu_result run_bit(struct emu_ctx *ctx)
{
	const struct emu_operand *o = ctx->insn.operand;
	s64 offset;

	if (o[0].kind == EMU_OPERAND_MEM && o[1].kind == EMU_OPERAND_REG) {
		offset = (s64)emu_sign_extend(ctx->gpr[o[1].reg], o[1].size);
		ctx->displaced = (u64)(offset >> 3) & ~(u64)(o[0].size - 1);
	}
	return ctx->insn.op == EMU_OP_BT ? run_compare(ctx) : run_alu(ctx);
}

/* dst = op src; BSF and BSR of zero keep dst, including its upper half. */
static enum emu_result run_scan(struct emu_ctx *ctx)
{
	const struct emu_operand *o = ctx->insn.operand;
	enum emu_result result;
	u64 src, res;

	result = emu_read_operand(ctx, &o[1], &src);
	if (result != EMU_OK)
		return result;
	res = alu_of(ctx)(0, src, o[0].size, &ctx->next_rflags);
	if (!src && (ctx->insn.op == EMU_OP_BSF || ctx->insn.op == EMU_OP_BSR))
		return EMU_OK;
	return emu_write_operand(ctx, &o[0], res);
}

static enum emu_result run_double_shift(struct emu_ctx *ctx)
{
	const struct emu_operand *o = ctx->insn.operand;
	enum emu_result result;
	u64 dst, src, count, res;

	emu_read_operand(ctx, &o[1], &src);
	emu_read_operand(ctx, &o[2], &count);
	result = emu_read_for_update(ctx, &o[0], false, &dst);
	if (result != EMU_OK)
		return result;
	if (ctx->insn.op == EMU_OP_SHLD)
		res = emu_shld(dst, src, count, o[0].size, &ctx->next_rflags);
	else
		res = emu_shrd(dst, src, count, o[0].size, &ctx->next_rflags);
	return emu_replace(ctx, &o[0], false, dst, res);
}

static enum emu_result run_mov(struct emu_ctx *ctx)
{
	const struct emu_operand *o = ctx->insn.operand;
	enum emu_result result;
	u64 val;

	result = emu_read_operand(ctx, &o[1], &val);
	if (result != EMU_OK)
		return result;
	return emu_write_operand(ctx, &o[0], val);
}

static enum emu_result run_movsx(struct emu_ctx *ctx)
{
	const struct emu_operand *o = ctx->insn.operand;
	enum emu_result result;
	u64 val;

	result = emu_read_operand(ctx, &o[1], &val);
	if (result != EMU_OK)
		return result;
	return emu_write_operand(ctx, &o[0], emu_sign_extend(val, o[1].size));
}

static u64 byte_swap(u64 val, unsigned int size)
{
	return __builtin_bswap64(val) >> (64 - 8 * size);
}

static enum emu_result run_movbe(struct emu_ctx *ctx)
{
	const struct emu_operand *o = ctx->insn.operand;
	enum emu_result result;
	u64 val;

	result = emu_read_operand(ctx, &o[1], &val);
	if (result != EMU_OK)
		return result;
	return emu_write_operand(ctx, &o[0], byte_swap(val, o[0].size));
}

static enum emu_result run_bswap(struct emu_ctx *ctx)
{
	const struct emu_operand *o = ctx->insn.operand;
	u64 val;

	emu_read_operand(ctx, &o[0], &val);
	/* BSWAP of 2 bytes is undefined; processors clear them. */
	return emu_write_operand(ctx, &o[0], o[0].size == 2 ? 0 : byte_swap(val, o[0].size));
}

static enum emu_result run_lea(struct emu_ctx *ctx)
{
	return emu_write_operand(ctx, &ctx->insn.operand[0], emu_effective_address(ctx));
}

/* XCHG with memory is locked even without a LOCK prefix. */
static enum emu_result run_xchg(struct emu_ctx *ctx)
{
	const struct emu_operand *o = ctx->insn.operand;
	enum emu_result result;
	u64 dst, src;

	if (ctx->insn.opcode == 0x90 && o[0].reg == EMU_RAX)
		return EMU_OK;
	emu_read_operand(ctx, &o[1], &src);
	result = emu_read_for_update(ctx, &o[0], true, &dst);
	if (result != EMU_OK)
		return result;
	result = emu_replace(ctx, &o[0], true, dst, src);
	if (result != EMU_OK)
		return result;
	return emu_write_operand(ctx, &o[1], dst);
}

/* Write the sum last: both operands may be the same register. */
static enum emu_result run_xadd(struct emu_ctx *ctx)
{
	const struct emu_operand *o = ctx->insn.operand;
	enum emu_result result;
	u64 dst, src, sum;

	emu_read_operand(ctx, &o[1], &src);
	result = emu_read_for_update(ctx, &o[0], ctx->insn.lock, &dst);
	if (result != EMU_OK)
		return result;
	sum = emu_add(dst, src, o[0].size, &ctx->next_rflags);
	if (o[0].kind == EMU_OPERAND_MEM) {
		result = emu_replace(ctx, &o[0], ctx->insn.lock, dst, sum);
		if (result != EMU_OK)
			return result;
		return emu_write_operand(ctx, &o[1], dst);
	}
	emu_write_operand(ctx, &o[1], dst);
	return emu_write_operand(ctx, &o[0], sum);
}

/*
 * A memory destination is always written, with its old value if the comparison
 * fails. A register destination then keeps its value, including the upper half.
 */
static enum emu_result run_cmpxchg(struct emu_ctx *ctx)
{
	const struct emu_operand *o = ctx->insn.operand;
	enum emu_result result;
	u64 dst, src, acc;
	bool equal;

	emu_read_operand(ctx, &o[1], &src);
	result = emu_read_for_update(ctx, &o[0], ctx->insn.lock, &dst);
	if (result != EMU_OK)
		return result;
	acc = emu_get_reg(ctx, EMU_RAX, o[0].size);
	equal = acc == dst;
	emu_sub(acc, dst, o[0].size, &ctx->next_rflags);
	if (equal || o[0].kind == EMU_OPERAND_MEM)
		result = emu_replace(ctx, &o[0], ctx->insn.lock, dst, equal ? src : dst);
	if (result == EMU_OK && !equal)
		emu_set_reg(ctx, EMU_RAX, o[0].size, dst);
	return result;
}

static enum emu_result wide_replace(struct emu_ctx *ctx, u64 linear, const u64 *old,
				    const u64 *new, unsigned int size)
{
	if (ctx->insn.lock)
		return ctx->ops->exchange(ctx, linear, old, new, size, EMU_WRITE | EMU_LOCKED);
	return ctx->ops->write(ctx, linear, new, size, EMU_WRITE);
}

/* Combine two registers of @half bytes in @val; unpack() does the reverse. */
static void pack(u64 *val, u64 low, u64 high, unsigned int half)
{
	val[0] = half == 8 ? low : (low & emu_mask(half)) | high << 32;
	val[1] = half == 8 ? high : 0;
}

static void unpack(struct emu_ctx *ctx, const u64 *val, unsigned int half)
{
	emu_set_reg(ctx, EMU_RAX, half, val[0]);
	emu_set_reg(ctx, EMU_RDX, half, half == 8 ? val[1] : val[0] >> 32);
}

static enum emu_result run_cmpxchg8b(struct emu_ctx *ctx)
{
	unsigned int size = ctx->insn.operand[0].size;
	unsigned int access = EMU_READ | EMU_RMW | (ctx->insn.lock ? EMU_LOCKED : 0);
	u64 linear, old[2] = { 0, 0 }, expected[2], new[2];
	enum emu_result result;
	bool equal;

	result = emu_linear_address(ctx, ctx->insn.seg, emu_effective_address(ctx), size,
				    access | (size == 16 ? EMU_ALIGNED : 0), &linear);
	if (result != EMU_OK)
		return result;
	result = ctx->ops->read(ctx, linear, old, size, access);
	if (result != EMU_OK)
		return result;
	pack(expected, ctx->gpr[EMU_RAX], ctx->gpr[EMU_RDX], size / 2);
	pack(new, ctx->gpr[EMU_RBX], ctx->gpr[EMU_RCX], size / 2);
	equal = old[0] == expected[0] && old[1] == expected[1];
	result = wide_replace(ctx, linear, old, equal ? new : old, size);
	if (result != EMU_OK)
		return result;
	ctx->next_rflags &= ~(u64)EMU_FLAG_ZF;
	if (equal)
		ctx->next_rflags |= EMU_FLAG_ZF;
	else
		unpack(ctx, old, size / 2);
	return EMU_OK;
}

static enum emu_result run_setcc(struct emu_ctx *ctx)
{
	return emu_write_operand(ctx, &ctx->insn.operand[0],
				 emu_condition(ctx->rflags, ctx->insn.opcode));
}

/* CMOVcc reads memory and clears the upper half of the register even if the condition is false. */
static enum emu_result run_cmovcc(struct emu_ctx *ctx)
{
	const struct emu_operand *o = ctx->insn.operand;
	enum emu_result result;
	u64 val;

	result = emu_read_operand(ctx, &o[1], &val);
	if (result != EMU_OK)
		return result;
	if (!emu_condition(ctx->rflags, ctx->insn.opcode))
		emu_read_operand(ctx, &o[0], &val);
	return emu_write_operand(ctx, &o[0], val);
}

/* CBW, CWDE, CDQE: sign-extend the low half of the accumulator. */
static enum emu_result run_cbw(struct emu_ctx *ctx)
{
	const struct emu_operand *o = ctx->insn.operand;

	return emu_write_operand(ctx, &o[0], emu_sign_extend(ctx->gpr[EMU_RAX], o[0].size / 2));
}

/* CWD, CDQ, CQO: fill DX with the accumulator's sign. */
static enum emu_result run_cwd(struct emu_ctx *ctx)
{
	unsigned int size = ctx->insn.operand[0].size;
	u64 acc = emu_sign_extend(ctx->gpr[EMU_RAX], size);

	emu_set_reg(ctx, EMU_RDX, size, (s64)acc < 0 ? ~(u64)0 : 0);
	return EMU_OK;
}

/* Set the double-width accumulator: AX for bytes, otherwise DX:AX, EDX:EAX or RDX:RAX. */
static void set_wide_acc(struct emu_ctx *ctx, unsigned int size, u64 high, u64 low)
{
	if (size == 1) {
		emu_set_reg(ctx, EMU_RAX, 2, high << 8 | low);
		return;
	}
	emu_set_reg(ctx, EMU_RAX, size, low);
	emu_set_reg(ctx, EMU_RDX, size, high);
}

static enum emu_result run_mul(struct emu_ctx *ctx)
{
	const struct emu_operand *o = ctx->insn.operand;
	enum emu_result result;
	u64 val, low, high;

	result = emu_read_operand(ctx, &o[0], &val);
	if (result != EMU_OK)
		return result;
	low = emu_mul(emu_get_reg(ctx, EMU_RAX, o[0].size), val, o[0].size,
		      ctx->insn.op == EMU_OP_IMUL1, &high, &ctx->next_rflags);
	set_wide_acc(ctx, o[0].size, high, low);
	return EMU_OK;
}

/* Two operands: dst = dst * src. Three: dst = src * immediate. */
static enum emu_result run_imul(struct emu_ctx *ctx)
{
	const struct emu_operand *o = ctx->insn.operand;
	enum emu_result result;
	u64 a, b, low, high;

	result = emu_read_operand(ctx, &o[1], &a);
	if (result != EMU_OK)
		return result;
	emu_read_operand(ctx, ctx->insn.op == EMU_OP_IMUL3 ? &o[2] : &o[0], &b);
	low = emu_mul(a, b, o[0].size, true, &high, &ctx->next_rflags);
	return emu_write_operand(ctx, &o[0], low);
}

static enum emu_result run_div(struct emu_ctx *ctx)
{
	const struct emu_operand *o = ctx->insn.operand;
	unsigned int size = o[0].size;
	enum emu_result result;
	u64 divisor, low, high;

	result = emu_read_operand(ctx, &o[0], &divisor);
	if (result != EMU_OK)
		return result;
	low = emu_get_reg(ctx, EMU_RAX, size);
	high = size == 1 ? ctx->gpr[EMU_RAX] >> 8 & 0xff : emu_get_reg(ctx, EMU_RDX, size);
	if (!emu_div(&high, &low, divisor, size, ctx->insn.op == EMU_OP_IDIV))
		return emu_raise(ctx, EMU_VECTOR_DE, 0);
	set_wide_acc(ctx, size, high, low);
	return EMU_OK;
}

/* dst = first op second, for instructions with a separate destination. */
static enum emu_result run_three(struct emu_ctx *ctx)
{
	const struct emu_operand *o = ctx->insn.operand;
	enum emu_result result;
	u64 a, b;

	result = emu_read_operand(ctx, &o[1], &a);
	if (result != EMU_OK)
		return result;
	result = emu_read_operand(ctx, &o[2], &b);
	if (result != EMU_OK)
		return result;
	return emu_write_operand(ctx, &o[0], alu_of(ctx)(a, b, o[0].size, &ctx->next_rflags));
}

static enum emu_result run_crc32(struct emu_ctx *ctx)
{
	const struct emu_operand *o = ctx->insn.operand;
	enum emu_result result;
	u64 crc, val;

	result = emu_read_operand(ctx, &o[1], &val);
	if (result != EMU_OK)
		return result;
	emu_read_operand(ctx, &o[0], &crc);
	return emu_write_operand(ctx, &o[0], emu_crc32(crc, val, o[1].size));
}

/* MULX changes no flags. Write the high half last: both results may go to one register. */
static enum emu_result run_mulx(struct emu_ctx *ctx)
{
	const struct emu_operand *o = ctx->insn.operand;
	enum emu_result result;
	u64 val, low, high, flags;

	result = emu_read_operand(ctx, &o[2], &val);
	if (result != EMU_OK)
		return result;
	flags = 0;
	low = emu_mul(emu_get_reg(ctx, EMU_RDX, o[0].size), val, o[0].size, false, &high, &flags);
	emu_write_operand(ctx, &o[1], low);
	return emu_write_operand(ctx, &o[0], high);
}

static enum emu_result run_nop(struct emu_ctx *ctx)
{
	return EMU_OK;
}

/* Caches are not emulated, but the address must be legal. */
static enum emu_result run_clflush(struct emu_ctx *ctx)
{
	u64 linear;

	return emu_linear_address(ctx, ctx->insn.seg, emu_effective_address(ctx), 1, EMU_READ,
				  &linear);
}

static const struct handler handlers[EMU_OP_COUNT] = {
	[EMU_OP_ADD] = { run_alu, emu_add },
	[EMU_OP_OR] = { run_alu, emu_or },
	[EMU_OP_ADC] = { run_alu, emu_adc },
	[EMU_OP_SBB] = { run_alu, emu_sbb },
	[EMU_OP_AND] = { run_alu, emu_and },
	[EMU_OP_SUB] = { run_alu, emu_sub },
	[EMU_OP_XOR] = { run_alu, emu_xor },
	[EMU_OP_CMP] = { run_compare, emu_sub },
	[EMU_OP_TEST] = { run_compare, emu_and },
	[EMU_OP_INC] = { run_alu, emu_inc },
	[EMU_OP_DEC] = { run_alu, emu_dec },
	[EMU_OP_NOT] = { run_alu, emu_not },
	[EMU_OP_NEG] = { run_alu, emu_neg },
	[EMU_OP_ROL] = { run_alu, emu_rol },
	[EMU_OP_ROR] = { run_alu, emu_ror },
	[EMU_OP_RCL] = { run_alu, emu_rcl },
	[EMU_OP_RCR] = { run_alu, emu_rcr },
	[EMU_OP_SHL] = { run_alu, emu_shl },
	[EMU_OP_SHR] = { run_alu, emu_shr },
	[EMU_OP_SAR] = { run_alu, emu_sar },
	[EMU_OP_SHLD] = { run_double_shift },
	[EMU_OP_SHRD] = { run_double_shift },
	[EMU_OP_MUL] = { run_mul },
	[EMU_OP_IMUL1] = { run_mul },
	[EMU_OP_IMUL2] = { run_imul },
	[EMU_OP_IMUL3] = { run_imul },
	[EMU_OP_DIV] = { run_div },
	[EMU_OP_IDIV] = { run_div },
	[EMU_OP_BT] = { run_bit, emu_bt },
	[EMU_OP_BTS] = { run_bit, emu_bts },
	[EMU_OP_BTR] = { run_bit, emu_btr },
	[EMU_OP_BTC] = { run_bit, emu_btc },
	[EMU_OP_BSF] = { run_scan, emu_bsf },
	[EMU_OP_BSR] = { run_scan, emu_bsr },
	[EMU_OP_TZCNT] = { run_scan, emu_tzcnt },
	[EMU_OP_LZCNT] = { run_scan, emu_lzcnt },
	[EMU_OP_POPCNT] = { run_scan, emu_popcnt },
	[EMU_OP_MOV] = { run_mov },
	[EMU_OP_MOVSX] = { run_movsx },
	[EMU_OP_MOVBE] = { run_movbe },
	[EMU_OP_LEA] = { run_lea },
	[EMU_OP_XCHG] = { run_xchg },
	[EMU_OP_XADD] = { run_xadd },
	[EMU_OP_CMPXCHG] = { run_cmpxchg },
	[EMU_OP_CMPXCHG8B] = { run_cmpxchg8b },
	[EMU_OP_SETCC] = { run_setcc },
	[EMU_OP_CMOVCC] = { run_cmovcc },
	[EMU_OP_BSWAP] = { run_bswap },
	[EMU_OP_CBW] = { run_cbw },
	[EMU_OP_CWD] = { run_cwd },
	[EMU_OP_MOVS] = { emu_run_movs },
	[EMU_OP_CMPS] = { emu_run_cmps },
	[EMU_OP_STOS] = { emu_run_stos },
	[EMU_OP_LODS] = { emu_run_lods },
	[EMU_OP_SCAS] = { emu_run_scas },
	[EMU_OP_XLAT] = { emu_run_xlat },
	[EMU_OP_PUSH] = { emu_run_push },
	[EMU_OP_POP] = { emu_run_pop },
	[EMU_OP_PUSH_SREG] = { emu_run_push_sreg },
	[EMU_OP_PUSHA] = { emu_run_pusha },
	[EMU_OP_POPA] = { emu_run_popa },
	[EMU_OP_PUSHF] = { emu_run_pushf },
	[EMU_OP_POPF] = { emu_run_popf },
	[EMU_OP_LEAVE] = { emu_run_leave },
	[EMU_OP_CALL] = { emu_run_call },
	[EMU_OP_CALL_IND] = { emu_run_call_ind },
	[EMU_OP_RET] = { emu_run_ret },
	[EMU_OP_JMP] = { emu_run_jmp },
	[EMU_OP_JMP_IND] = { emu_run_jmp_ind },
	[EMU_OP_JCC] = { emu_run_jcc },
	[EMU_OP_LOOP] = { emu_run_loop },
	[EMU_OP_JCXZ] = { emu_run_jcxz },
	[EMU_OP_FLAG] = { emu_run_flag },
	[EMU_OP_CLI_STI] = { emu_run_cli_sti },
	[EMU_OP_LAHF] = { emu_run_lahf },
	[EMU_OP_SAHF] = { emu_run_sahf },
	[EMU_OP_SALC] = { emu_run_salc },
	[EMU_OP_NOP] = { run_nop },
	[EMU_OP_CLFLUSH] = { run_clflush },
	[EMU_OP_ADCX] = { run_alu, emu_adcx },
	[EMU_OP_ADOX] = { run_alu, emu_adox },
	[EMU_OP_CRC32] = { run_crc32 },
	[EMU_OP_MULX] = { run_mulx },
	[EMU_OP_ANDN] = { run_three, emu_andn },
	[EMU_OP_BEXTR] = { run_three, emu_bextr },
	[EMU_OP_BZHI] = { run_three, emu_bzhi },
	[EMU_OP_PDEP] = { run_three, emu_pdep },
	[EMU_OP_PEXT] = { run_three, emu_pext },
	[EMU_OP_BLSR] = { run_scan, emu_blsr },
	[EMU_OP_BLSMSK] = { run_scan, emu_blsmsk },
	[EMU_OP_BLSI] = { run_scan, emu_blsi },
	[EMU_OP_RORX] = { run_three, emu_rorx },
	[EMU_OP_SARX] = { run_three, emu_sarx },
	[EMU_OP_SHLX] = { run_three, emu_shlx },
	[EMU_OP_SHRX] = { run_three, emu_shrx },
	[EMU_OP_VMOV] = { emu_run_vmov },
	[EMU_OP_VMOV_LOW] = { emu_run_vmov_low },
	[EMU_OP_VMOV_HIGH] = { emu_run_vmov_high },
	[EMU_OP_VMOV_GPR] = { emu_run_vmov_gpr },
	[EMU_OP_VMOV_MASKED] = { emu_run_vmov_masked },
	[EMU_OP_KMOV] = { emu_run_kmov },
	[EMU_OP_LDMXCSR] = { emu_run_ldmxcsr },
	[EMU_OP_STMXCSR] = { emu_run_stmxcsr },
	[EMU_OP_X87_LOAD] = { emu_run_x87_load },
	[EMU_OP_FLDCW] = { emu_run_x87_load },
	[EMU_OP_X87_STORE] = { emu_run_x87_store },
	[EMU_OP_FNST] = { emu_run_fnst },
	[EMU_OP_FNINIT] = { emu_run_fninit },
	[EMU_OP_FWAIT] = { emu_run_fwait },
	[EMU_OP_FNSAVE] = { emu_run_fnsave },
	[EMU_OP_FLDENV] = { emu_run_fldenv },
	[EMU_OP_VLOGIC] = { emu_run_vlogic },
	[EMU_OP_VMOV_SCALAR] = { emu_run_vmov_scalar },
	[EMU_OP_PTEST] = { emu_run_ptest },
	[EMU_OP_VBROADCAST] = { emu_run_vbroadcast },
	[EMU_OP_VEXTEND] = { emu_run_vextend },
	[EMU_OP_VINSERT] = { emu_run_vinsert },
	[EMU_OP_VEXTRACT] = { emu_run_vextract },
	[EMU_OP_VDUP] = { emu_run_vdup },
	[EMU_OP_VMASKMOV] = { emu_run_vmaskmov },
	[EMU_OP_MASKMOVDQU] = { emu_run_maskmovdqu },
	[EMU_OP_MOVDIRI] = { run_mov },
	[EMU_OP_MOVDIR64B] = { emu_run_movdir64b },
	[EMU_OP_MMX_MOVE] = { emu_run_mmx_move },
	[EMU_OP_MASKMOVQ] = { emu_run_maskmovq },
	[EMU_OP_FXSAVE] = { emu_run_fxsave },
	[EMU_OP_FXRSTOR] = { emu_run_fxrstor },
	[EMU_OP_ENTER] = { emu_run_enter },
	[EMU_OP_BOUND] = { emu_run_bound },
	[EMU_OP_DAA] = { emu_run_daa },
	[EMU_OP_DAS] = { emu_run_das },
	[EMU_OP_AAA] = { emu_run_aaa },
	[EMU_OP_AAS] = { emu_run_aas },
	[EMU_OP_AAM] = { emu_run_aam },
	[EMU_OP_AAD] = { emu_run_aad },
	[EMU_OP_MOV_SREG] = { emu_run_mov_sreg },
	[EMU_OP_POP_SREG] = { emu_run_pop_sreg },
	[EMU_OP_LOAD_FAR] = { emu_run_load_far },
	[EMU_OP_SLDT] = { emu_run_sldt },
	[EMU_OP_LLDT] = { emu_run_lldt },
	[EMU_OP_LTR] = { emu_run_ltr },
	[EMU_OP_VERR] = { emu_run_verr },
	[EMU_OP_LAR] = { emu_run_lar },
	[EMU_OP_LSL] = { emu_run_lsl },
	[EMU_OP_ARPL] = { emu_run_arpl },
	[EMU_OP_CALL_FAR] = { emu_run_call_far },
	[EMU_OP_JMP_FAR] = { emu_run_jmp_far },
	[EMU_OP_RET_FAR] = { emu_run_ret_far },
	[EMU_OP_IRET] = { emu_run_iret },
	[EMU_OP_INT] = { emu_run_int },
	[EMU_OP_IN] = { emu_run_in },
	[EMU_OP_OUT] = { emu_run_out },
	[EMU_OP_INS] = { emu_run_ins },
	[EMU_OP_OUTS] = { emu_run_outs },
	[EMU_OP_LGDT] = { emu_run_lgdt },
	[EMU_OP_SGDT] = { emu_run_sgdt },
	[EMU_OP_LMSW] = { emu_run_lmsw },
	[EMU_OP_SMSW] = { emu_run_smsw },
	[EMU_OP_INVLPG] = { emu_run_invlpg },
	[EMU_OP_WBINVD] = { emu_run_wbinvd },
	[EMU_OP_CLTS] = { emu_run_clts },
	[EMU_OP_HLT] = { emu_run_hlt },
	[EMU_OP_CPUID] = { emu_run_cpuid },
	[EMU_OP_RDTSC] = { emu_run_rdtsc },
	[EMU_OP_RDMSR] = { emu_run_rdmsr },
	[EMU_OP_WRMSR] = { emu_run_wrmsr },
	[EMU_OP_SYSCALL] = { emu_run_syscall },
	[EMU_OP_SYSRET] = { emu_run_sysret },
	[EMU_OP_SYSENTER] = { emu_run_sysenter },
	[EMU_OP_SYSEXIT] = { emu_run_sysexit },
	[EMU_OP_INT1] = { emu_run_int1 },
	[EMU_OP_RDPMC] = { emu_run_rdpmc },
	[EMU_OP_RDTSCP] = { emu_run_rdtscp },
	[EMU_OP_RDPID] = { emu_run_rdpid },
	[EMU_OP_RDRAND] = { emu_run_rdrand },
	[EMU_OP_XGETBV] = { emu_run_xgetbv },
	[EMU_OP_XSETBV] = { emu_run_xsetbv },
	[EMU_OP_CLAC] = { emu_run_clac },
	[EMU_OP_MONITOR] = { emu_run_monitor },
	[EMU_OP_SWAPGS] = { emu_run_swapgs },
	[EMU_OP_FSGSBASE] = { emu_run_fsgsbase },
	[EMU_OP_VMCALL] = { emu_run_vmcall },
	[EMU_OP_MOV_FROM_CR] = { emu_run_mov_from_cr },
	[EMU_OP_MOV_TO_CR] = { emu_run_mov_to_cr },
	[EMU_OP_MOV_FROM_DR] = { emu_run_mov_from_dr },
	[EMU_OP_MOV_TO_DR] = { emu_run_mov_to_dr },
};

void emu_begin(struct emu_ctx *ctx, unsigned int length)
{
	ctx->next_rip = ctx->rip + length;
	if (ctx->mode != EMU_MODE_LONG64)
		ctx->next_rip = (u32)ctx->next_rip;
	/* RF lasts for one instruction. */
	ctx->next_rflags = ctx->rflags & ~(u64)EMU_FLAG_RF;
	ctx->displaced = 0;
	ctx->rep_again = false;
	ctx->single_step = ctx->rflags & EMU_FLAG_TF;
	ctx->begins_with_fault = false;
	ctx->halted = false;
	ctx->nmi_open = false;
	ctx->seg_dirty = 0;
	ctx->shadow = EMU_SHADOW_NONE;
}

/*
 * Set RF between the iterations of a repeated instruction, so that an instruction
 * breakpoint hits only once. A load of SS suppresses the single-step trap until
 * after the next instruction.
 */
void emu_commit(struct emu_ctx *ctx)
{
	if (ctx->shadow == EMU_SHADOW_MOV_SS)
		ctx->single_step = false;
	ctx->rflags = ctx->next_rflags;
	if (ctx->rep_again)
		ctx->rflags |= EMU_FLAG_RF;
	else
		ctx->rip = ctx->next_rip;
}

/* Check the privilege that the row of the instruction demands. */
static enum emu_result check_privilege(struct emu_ctx *ctx)
{
	u32 flags = ctx->insn.flags;

	if (!ctx->cpl || !(flags & (ROW_CPL0 | ROW_UMIP)))
		return EMU_OK;
	if (flags & ROW_CPL0 || ctx->cr4 & EMU_CR4_UMIP)
		return emu_raise(ctx, EMU_VECTOR_GP, 0);
	return EMU_OK;
}

enum emu_result emu_execute(struct emu_ctx *ctx)
{
	enum emu_result result;
	emu_run_fn *run = NULL;

	if (ctx->insn.op < EMU_OP_COUNT)
		run = handlers[ctx->insn.op].run;
	if (!run)
		return EMU_UNHANDLED;
	emu_begin(ctx, ctx->insn.length);
	result = check_privilege(ctx);
	if (result == EMU_OK)
		result = run(ctx);
	if (result == EMU_OK)
		emu_commit(ctx);
	return result;
}

bool emu_plain_store(const struct emu_ctx *ctx)
{
	return ctx->insn.op == EMU_OP_MOV && ctx->insn.operand[0].kind == EMU_OPERAND_MEM;
}
