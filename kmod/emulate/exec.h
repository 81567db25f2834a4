/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Shared by the files of the executor: operands, segmented memory, the stack
 * and arithmetic. Private to this folder.
 */
#ifndef KEEL_EMULATE_EXEC_H
#define KEEL_EMULATE_EXEC_H

#include <linux/string.h>
#include <linux/stddef.h>
#include "emulate.h"

#define EMU_FLAG_CF	0x00000001
#define EMU_FLAG_FIXED	0x00000002
#define EMU_FLAG_PF	0x00000004
#define EMU_FLAG_AF	0x00000010
#define EMU_FLAG_ZF	0x00000040
#define EMU_FLAG_SF	0x00000080
#define EMU_FLAG_TF	0x00000100
#define EMU_FLAG_IF	0x00000200
#define EMU_FLAG_DF	0x00000400
#define EMU_FLAG_OF	0x00000800
#define EMU_FLAG_IOPL	0x00003000
#define EMU_FLAG_NT	0x00004000
#define EMU_FLAG_RF	0x00010000
#define EMU_FLAG_VM	0x00020000
#define EMU_FLAG_AC	0x00040000
#define EMU_FLAG_VIF	0x00080000
#define EMU_FLAG_VIP	0x00100000
#define EMU_FLAG_ID	0x00200000

/* The flags that arithmetic sets. */
#define EMU_FLAGS_ARITH	(EMU_FLAG_CF | EMU_FLAG_PF | EMU_FLAG_AF | EMU_FLAG_ZF | \
			 EMU_FLAG_SF | EMU_FLAG_OF)

#define EMU_FLAGS_ALL	(EMU_FLAGS_ARITH | EMU_FLAG_TF | EMU_FLAG_IF | EMU_FLAG_DF | \
			 EMU_FLAG_IOPL | EMU_FLAG_NT | EMU_FLAG_RF | EMU_FLAG_VM | EMU_FLAG_AC | \
			 EMU_FLAG_VIF | EMU_FLAG_VIP | EMU_FLAG_ID)

#define EMU_VECTOR_DE	0
#define EMU_VECTOR_DB	1
#define EMU_VECTOR_BP	3
#define EMU_VECTOR_OF	4
#define EMU_VECTOR_BR	5
#define EMU_VECTOR_UD	6
#define EMU_VECTOR_NM	7
#define EMU_VECTOR_DF	8
#define EMU_VECTOR_TS	10
#define EMU_VECTOR_NP	11
#define EMU_VECTOR_SS	12
#define EMU_VECTOR_GP	13
#define EMU_VECTOR_MF	16
#define EMU_VECTOR_AC	17

#define EMU_CR0_PE	0x00000001
#define EMU_CR0_MP	0x00000002
#define EMU_CR0_EM	0x00000004
#define EMU_CR0_TS	0x00000008
#define EMU_CR0_AM	0x00040000
#define EMU_CR0_PG	0x80000000
#define EMU_CR4_VME	0x00000001
#define EMU_CR4_PVI	0x00000002
#define EMU_CR4_TSD	0x00000004
#define EMU_CR4_DE	0x00000008
#define EMU_CR4_OSFXSR	0x00000200
#define EMU_CR4_UMIP	0x00000800
#define EMU_CR4_FSGSBASE	0x00010000
#define EMU_CR4_LA57	0x00001000
#define EMU_CR4_OSXSAVE	0x00040000
#define EMU_XCR0_AVX	0x00000006
#define EMU_XCR0_AVX512	0x000000e6
#define EMU_EFER_SCE	0x00000001
#define EMU_EFER_LMA	0x00000400

#define EMU_SEG_CODE		8
#define EMU_SEG_CONFORMING	4	/* code */
#define EMU_SEG_EXPAND_DOWN	4	/* data */
#define EMU_SEG_RW		2	/* data: writable; code: readable */
#define EMU_SEG_ACCESSED	1

static inline u64 emu_mask(unsigned int size)
{
	return ~(u64)0 >> (64 - 8 * size);
}

/* @val, @size bytes wide, sign-extended. */
static inline u64 emu_sign_extend(u64 val, unsigned int size)
{
	unsigned int shift = 64 - 8 * size;

	return (u64)((s64)(val << shift) >> shift);
}

/* Describe an exception in ctx->fault; always EMU_FAULT. */
enum emu_result emu_raise(struct emu_ctx *ctx, u8 vector, u32 error_code);

/*
 * memory.c: addresses. Read a segment register through emu_segment(), which loads
 * its hidden part on first use.
 */
const struct emu_seg *emu_segment(struct emu_ctx *ctx, unsigned int index);

/* Added to enum emu_access, for addresses only: the address must be a multiple of the size. */
#define EMU_ALIGNED	0x100

/* True if @size bytes at @ea are within the limit of the segment. */
bool emu_in_limit(const struct emu_seg *s, u64 ea, unsigned int size);

/* Linear address of @size bytes at @ea, checked for @access. */
enum emu_result emu_linear_address(struct emu_ctx *ctx, unsigned int seg, u64 ea,
				   unsigned int size, unsigned int access, u64 *linear);

static inline bool emu_is_canonical(const struct emu_ctx *ctx, u64 linear)
{
	unsigned int unused = ctx->cr4 & EMU_CR4_LA57 ? 7 : 16;

	return (u64)((s64)(linear << unused) >> unused) == linear;
}

/*
 * Linear address of the code byte at @ip; reduces *@len to the bytes that are
 * within the limit of CS. 64-bit code has no limit.
 */
enum emu_result emu_code32_address(struct emu_ctx *ctx, u64 ip, u64 *linear, unsigned int *len);

static inline enum emu_result emu_code_address(struct emu_ctx *ctx, u64 ip, u64 *linear,
					       unsigned int *len)
{
	if (ctx->mode != EMU_MODE_LONG64)
		return emu_code32_address(ctx, ip, linear, len);
	*linear = ip;
	return emu_is_canonical(ctx, ip) ? EMU_OK : emu_raise(ctx, EMU_VECTOR_GP, 0);
}

static inline unsigned int emu_iopl(const struct emu_ctx *ctx)
{
	return (ctx->rflags & EMU_FLAG_IOPL) >> 12;
}

static inline bool emu_long_mode(const struct emu_ctx *ctx)
{
	return ctx->efer & EMU_EFER_LMA;
}

/* With CR4.VME and an IOPL below 3, virtual-8086 code sees VIF in place of IF. */
static inline bool emu_has_virtual_flags(const struct emu_ctx *ctx)
{
	return ctx->mode == EMU_MODE_VM86 && emu_iopl(ctx) < 3 && ctx->cr4 & EMU_CR4_VME;
}

/* Real or virtual-8086 mode: segments have no descriptors and no privilege levels. */
static inline bool emu_no_descriptors(const struct emu_ctx *ctx)
{
	return ctx->mode <= EMU_MODE_VM86;
}

/* Effective address of the instruction's memory operand. */
static inline u64 emu_effective_address(const struct emu_ctx *ctx)
{
	const struct emu_insn *insn = &ctx->insn;
	u64 ea = insn->disp + ctx->displaced;

	if (insn->base != EMU_NO_REG)
		ea += ctx->gpr[insn->base];
	if (insn->index != EMU_NO_REG)
		ea += ctx->gpr[insn->index] << insn->scale;
	if (insn->rip_relative)
		ea += ctx->rip + insn->length;
	return ea & emu_mask(insn->addr_size);
}

/*
 * control.c: virtual flags (CR4.VME, CR4.PVI). emu_shown_flags() is the image that
 * PUSHF pushes, with VIF in place of IF in virtual-8086 code. emu_set_virtual_if()
 * changes VIF; #GP(0) if it sets VIF while VIP is set. emu_take_virtual_flags() does
 * that for flags that POPF or IRET has popped. emu_check_v86_flags() is #GP(0) where
 * virtual-8086 code may not access the flags at all.
 */
u64 emu_shown_flags(const struct emu_ctx *ctx);
enum emu_result emu_set_virtual_if(struct emu_ctx *ctx, bool on);
enum emu_result emu_take_virtual_flags(struct emu_ctx *ctx, u64 flags);
enum emu_result emu_check_v86_flags(struct emu_ctx *ctx);

/* Access memory at @ea in segment @seg, with all checks of segmentation. */
enum emu_result emu_mem_read(struct emu_ctx *ctx, unsigned int seg, u64 ea, void *buf,
			     unsigned int size, unsigned int access);
enum emu_result emu_mem_write(struct emu_ctx *ctx, unsigned int seg, u64 ea, const void *buf,
			      unsigned int size);

/* Width in bytes of the stack pointer: 2 (SP), 4 (ESP) or 8 (RSP). */
unsigned int emu_stack_size(struct emu_ctx *ctx);

/* Read the far pointer in the memory operand. */
enum emu_result emu_read_far(struct emu_ctx *ctx, u16 *sel, u64 *offset);

/* string.c: pointer registers of string instructions; emu_advance() moves one past an element. */
unsigned int emu_source_segment(const struct emu_ctx *ctx);
u64 emu_pointer(const struct emu_ctx *ctx, unsigned int reg);
void emu_advance(struct emu_ctx *ctx, unsigned int reg, unsigned int size);
/* True if the count of a repeated instruction is zero: it ends without touching memory. */
bool emu_exhausted(struct emu_ctx *ctx);
void emu_count_down(struct emu_ctx *ctx, bool stop);

/*
 * Push and pop without moving the stack pointer: @depth is how many bytes this
 * instruction has pushed or popped before. emu_move_stack() commits.
 */
enum emu_result emu_push(struct emu_ctx *ctx, unsigned int depth, u64 val, unsigned int size);
enum emu_result emu_pop(struct emu_ctx *ctx, unsigned int depth, u64 *val, unsigned int size);
void emu_move_stack(struct emu_ctx *ctx, s64 delta);

/*
 * segment.c: a segment register is loaded in three steps. Prepare reads and
 * checks the descriptor; mark sets its accessed or busy bit in the table; commit
 * changes the register and cannot fail. Everything else in an instruction that
 * can fail comes before commit.
 */
struct emu_load {
	struct emu_seg seg;
	u8 index;
	u64 linear;		/* address of the descriptor */
	u64 old, new;		/* its first 8 bytes: as read, and as mark writes them */
};

/*
 * @cpl: the privilege level to load for; a far return changes it. Errors are
 * those of MOV and POP, or of a far transfer to @sel for CS.
 */
enum emu_result emu_prepare_seg(struct emu_ctx *ctx, unsigned int index, u16 sel,
				unsigned int cpl, struct emu_load *load);
/*
 * The same, but by descriptor in every mode. Clear the RPL of a CS selector that
 * comes from a gate: the RPL of others is checked.
 */
enum emu_result emu_prepare_descriptor(struct emu_ctx *ctx, unsigned int index, u16 sel,
				       unsigned int cpl, struct emu_load *load);
/* Privilege level at which the code segment @sel runs if it is entered from here. */
enum emu_result emu_code_level(struct emu_ctx *ctx, u16 sel, unsigned int *cpl);
enum emu_result emu_mark_seg(struct emu_ctx *ctx, const struct emu_load *load);
void emu_commit_seg(struct emu_ctx *ctx, const struct emu_load *load);
void emu_set_seg(struct emu_ctx *ctx, unsigned int index, const struct emu_seg *seg);

/* Load segment register @index as virtual-8086 mode does. */
void emu_vm86_seg(struct emu_ctx *ctx, unsigned int index, u16 sel);

/* On a return to outer privilege level @cpl, clear the data segment registers it may not use. */
void emu_drop_inner_segs(struct emu_ctx *ctx, unsigned int cpl);

/* Read the first 8 bytes of a descriptor; raise @vector if it is outside its table. */
enum emu_result emu_fetch_descriptor(struct emu_ctx *ctx, u16 sel, struct emu_load *load,
				     u8 vector);

/* interrupt.c: a jump or a call through the call gate @gate. */
enum emu_result emu_pass_gate(struct emu_ctx *ctx, u64 gate, bool call);
/* Set the EXT bit in the error code: the program did not cause the event. */
void emu_mark_external(struct emu_exception *fault);

/* task.c: switch tasks within an instruction or a delivery. @error: error code to push, or NULL. */
enum emu_result emu_change_task(struct emu_ctx *ctx, enum emu_task_source source, u16 sel,
				const u32 *error);
enum emu_result emu_return_task(struct emu_ctx *ctx);

/* far.c: #GP(0) if @ip is outside the code segment @cs, or not canonical in 64-bit code. */
enum emu_result emu_check_ip(struct emu_ctx *ctx, const struct emu_seg *cs, u64 ip);

/*
 * operand.c: general registers and operands of up to 8 bytes. A register write of
 * 4 bytes clears the upper half; one of 1 or 2 bytes keeps the rest. Writes are
 * final: make them after everything that can fail.
 */
u64 emu_get_reg(const struct emu_ctx *ctx, unsigned int reg, unsigned int size);
void emu_set_reg(struct emu_ctx *ctx, unsigned int reg, unsigned int size, u64 val);
enum emu_result emu_read_operand(struct emu_ctx *ctx, const struct emu_operand *o, u64 *val);
enum emu_result emu_write_operand(struct emu_ctx *ctx, const struct emu_operand *o, u64 val);

/*
 * Read, change and write back an operand. emu_read_for_update() reads with the
 * rights of a write; emu_replace() stores @val, and if @lock is set and the operand
 * is in memory, does so by an atomic exchange with @old.
 */
enum emu_result emu_read_for_update(struct emu_ctx *ctx, const struct emu_operand *o, bool lock,
				    u64 *val);
enum emu_result emu_replace(struct emu_ctx *ctx, const struct emu_operand *o, bool lock,
			    u64 old, u64 val);

/*
 * alu.c: arithmetic on @size bytes. Operands and results are masked to the size.
 * Each function replaces those flags in *@flags that it defines.
 */
typedef u64 emu_alu_fn(u64 dst, u64 src, unsigned int size, u64 *flags);

emu_alu_fn emu_add, emu_or, emu_adc, emu_sbb, emu_and, emu_sub, emu_xor;
emu_alu_fn emu_inc, emu_dec, emu_not, emu_neg;
emu_alu_fn emu_rol, emu_ror, emu_rcl, emu_rcr, emu_shl, emu_shr, emu_sar;
emu_alu_fn emu_bt, emu_bts, emu_btr, emu_btc;
emu_alu_fn emu_bsf, emu_bsr, emu_tzcnt, emu_lzcnt, emu_popcnt;
u64 emu_shld(u64 dst, u64 src, unsigned int count, unsigned int size, u64 *flags);
u64 emu_shrd(u64 dst, u64 src, unsigned int count, unsigned int size, u64 *flags);

/* bits.c: BMI, ADX and CRC32; operands in the order of the manuals. */
emu_alu_fn emu_adcx, emu_adox, emu_andn, emu_bextr, emu_bzhi, emu_pdep, emu_pext;
emu_alu_fn emu_blsr, emu_blsmsk, emu_blsi, emu_rorx, emu_sarx, emu_shlx, emu_shrx;
u64 emu_crc32(u32 crc, u64 val, unsigned int size);

/* True if condition @cc, the low four bits of an opcode, holds. */
bool emu_condition(u64 flags, unsigned int cc);

/* muldiv.c: double-width multiplication and division. emu_div() returns false for #DE. */
u64 emu_mul(u64 a, u64 b, unsigned int size, bool is_signed, u64 *high, u64 *flags);
bool emu_div(u64 *high, u64 *low, u64 divisor, unsigned int size, bool is_signed);

/*
 * exec.c: set up the outputs before a handler and commit RIP and RFLAGS after it.
 * @length: of the instruction.
 */
void emu_begin(struct emu_ctx *ctx, unsigned int length);
void emu_commit(struct emu_ctx *ctx);

/*
 * vector.c: of the @size bytes at @from, up to EMU_OPERAND_MAX, write those whose
 * bit is set in @bytes to the memory operand. If one of them cannot be written,
 * none is.
 */
enum emu_result emu_store_bytes(struct emu_ctx *ctx, const void *from, u64 bytes,
				unsigned int size);

/* Collect the highest bit of each of the @size bytes of @mask. */
u64 emu_high_bits(const u8 *mask, unsigned int size);

/* Bits of MXCSR that software may set; a mask of 0 stands for the default. */
static inline u32 emu_mxcsr_bits(const struct emu_fx *fx)
{
	return fx->mxcsr_mask ? fx->mxcsr_mask : 0xffbf;
}

/* Handlers, one per family of instructions, called through the table in exec.c. */
typedef enum emu_result emu_run_fn(struct emu_ctx *ctx);

emu_run_fn emu_run_movs, emu_run_cmps, emu_run_stos, emu_run_lods, emu_run_scas, emu_run_xlat;
emu_run_fn emu_run_push, emu_run_pop, emu_run_push_sreg, emu_run_pusha, emu_run_popa;
emu_run_fn emu_run_pushf, emu_run_popf, emu_run_leave;
emu_run_fn emu_run_call, emu_run_call_ind, emu_run_ret, emu_run_jmp, emu_run_jmp_ind;
emu_run_fn emu_run_jcc, emu_run_loop, emu_run_jcxz;
emu_run_fn emu_run_flag, emu_run_cli_sti, emu_run_lahf, emu_run_sahf, emu_run_salc;
emu_run_fn emu_run_vmov, emu_run_vmov_low, emu_run_vmov_high, emu_run_vmov_gpr;
emu_run_fn emu_run_vmov_masked, emu_run_kmov, emu_run_ldmxcsr, emu_run_stmxcsr;
emu_run_fn emu_run_x87_load, emu_run_x87_store, emu_run_fnst, emu_run_fninit, emu_run_fwait;
emu_run_fn emu_run_fnsave, emu_run_fldenv;
emu_run_fn emu_run_vlogic, emu_run_vmov_scalar, emu_run_ptest, emu_run_vbroadcast;
emu_run_fn emu_run_vextend, emu_run_vinsert, emu_run_vextract, emu_run_vdup;
emu_run_fn emu_run_vmaskmov, emu_run_maskmovdqu, emu_run_maskmovq;
emu_run_fn emu_run_movdir64b;
emu_run_fn emu_run_mmx_move, emu_run_fxsave, emu_run_fxrstor;
emu_run_fn emu_run_enter, emu_run_bound;
emu_run_fn emu_run_daa, emu_run_das, emu_run_aaa, emu_run_aas, emu_run_aam, emu_run_aad;
emu_run_fn emu_run_mov_sreg, emu_run_pop_sreg, emu_run_load_far, emu_run_sldt, emu_run_lldt;
emu_run_fn emu_run_ltr, emu_run_verr, emu_run_lar, emu_run_lsl, emu_run_arpl;
emu_run_fn emu_run_call_far, emu_run_jmp_far, emu_run_ret_far, emu_run_iret, emu_run_int;
emu_run_fn emu_run_in, emu_run_out, emu_run_ins, emu_run_outs;
emu_run_fn emu_run_lgdt, emu_run_sgdt, emu_run_lmsw, emu_run_smsw, emu_run_invlpg;
emu_run_fn emu_run_wbinvd, emu_run_clts, emu_run_hlt, emu_run_cpuid, emu_run_rdtsc;
emu_run_fn emu_run_rdmsr, emu_run_wrmsr, emu_run_mov_from_cr, emu_run_mov_to_cr;
emu_run_fn emu_run_mov_from_dr, emu_run_mov_to_dr;
emu_run_fn emu_run_syscall, emu_run_sysret, emu_run_sysenter, emu_run_sysexit, emu_run_int1;
emu_run_fn emu_run_rdpmc, emu_run_rdtscp, emu_run_rdpid, emu_run_xgetbv, emu_run_xsetbv;
emu_run_fn emu_run_rdrand, emu_run_clac, emu_run_vmcall;
emu_run_fn emu_run_monitor, emu_run_swapgs, emu_run_fsgsbase;

#endif
