/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Rows of the opcode tables, shared by the tables, the decoder and the executor.
 * Private to this folder.
 */
#ifndef KEEL_EMULATE_OPCODES_H
#define KEEL_EMULATE_OPCODES_H

#include "emulate.h"

/* Operation of an instruction; exec.c has a handler for each that is executed. */
enum emu_op {
	EMU_OP_UD,		/* undefined; also the value of a row that is left out */
	EMU_OP_NONE,		/* defined, but not executed here */
	EMU_OP_ADD, EMU_OP_OR, EMU_OP_ADC, EMU_OP_SBB,
	EMU_OP_AND, EMU_OP_SUB, EMU_OP_XOR, EMU_OP_CMP,
	EMU_OP_TEST, EMU_OP_INC, EMU_OP_DEC, EMU_OP_NOT, EMU_OP_NEG,
	EMU_OP_ROL, EMU_OP_ROR, EMU_OP_RCL, EMU_OP_RCR,
	EMU_OP_SHL, EMU_OP_SHR, EMU_OP_SAR, EMU_OP_SHLD, EMU_OP_SHRD,
	EMU_OP_MUL, EMU_OP_IMUL1, EMU_OP_IMUL2, EMU_OP_IMUL3, EMU_OP_DIV, EMU_OP_IDIV,
	EMU_OP_BT, EMU_OP_BTS, EMU_OP_BTR, EMU_OP_BTC,
	EMU_OP_BSF, EMU_OP_BSR, EMU_OP_TZCNT, EMU_OP_LZCNT, EMU_OP_POPCNT,
	EMU_OP_MOV, EMU_OP_MOVSX, EMU_OP_MOVBE, EMU_OP_LEA,
	EMU_OP_XCHG, EMU_OP_XADD, EMU_OP_CMPXCHG, EMU_OP_CMPXCHG8B,
	EMU_OP_SETCC, EMU_OP_CMOVCC, EMU_OP_BSWAP, EMU_OP_CBW, EMU_OP_CWD,
	EMU_OP_MOVS, EMU_OP_CMPS, EMU_OP_STOS, EMU_OP_LODS, EMU_OP_SCAS, EMU_OP_XLAT,
	EMU_OP_PUSH, EMU_OP_POP, EMU_OP_PUSH_SREG, EMU_OP_PUSHA, EMU_OP_POPA,
	EMU_OP_PUSHF, EMU_OP_POPF, EMU_OP_LEAVE,
	EMU_OP_CALL, EMU_OP_CALL_IND, EMU_OP_RET, EMU_OP_JMP, EMU_OP_JMP_IND,
	EMU_OP_JCC, EMU_OP_LOOP, EMU_OP_JCXZ,
	EMU_OP_FLAG, EMU_OP_CLI_STI, EMU_OP_LAHF, EMU_OP_SAHF, EMU_OP_SALC, EMU_OP_NOP,
	EMU_OP_CLFLUSH,
	EMU_OP_ADCX, EMU_OP_ADOX, EMU_OP_CRC32, EMU_OP_MULX,
	EMU_OP_ANDN, EMU_OP_BEXTR, EMU_OP_BZHI, EMU_OP_PDEP, EMU_OP_PEXT,
	EMU_OP_BLSR, EMU_OP_BLSMSK, EMU_OP_BLSI,
	EMU_OP_RORX, EMU_OP_SARX, EMU_OP_SHLX, EMU_OP_SHRX,
	EMU_OP_VMOV, EMU_OP_VMOV_LOW, EMU_OP_VMOV_HIGH, EMU_OP_VMOV_GPR,
	EMU_OP_VMOV_MASKED, EMU_OP_KMOV, EMU_OP_LDMXCSR, EMU_OP_STMXCSR,
	EMU_OP_X87_LOAD, EMU_OP_X87_STORE, EMU_OP_FLDCW, EMU_OP_FNST, EMU_OP_FNINIT, EMU_OP_FWAIT,
	EMU_OP_FNSAVE, EMU_OP_FLDENV,
	EMU_OP_VLOGIC, EMU_OP_VMOV_SCALAR, EMU_OP_PTEST, EMU_OP_VBROADCAST,
	EMU_OP_VEXTEND, EMU_OP_VINSERT, EMU_OP_VEXTRACT, EMU_OP_VDUP,
	EMU_OP_VMASKMOV, EMU_OP_MASKMOVDQU,
	EMU_OP_MOVDIRI, EMU_OP_MOVDIR64B,
	EMU_OP_MMX_MOVE, EMU_OP_MASKMOVQ, EMU_OP_FXSAVE, EMU_OP_FXRSTOR,
	EMU_OP_DAA, EMU_OP_DAS, EMU_OP_AAA, EMU_OP_AAS, EMU_OP_AAM, EMU_OP_AAD,
	EMU_OP_BOUND, EMU_OP_ARPL, EMU_OP_ENTER,
	EMU_OP_MOV_SREG, EMU_OP_POP_SREG, EMU_OP_LOAD_FAR,
	EMU_OP_CALL_FAR, EMU_OP_JMP_FAR, EMU_OP_RET_FAR, EMU_OP_IRET, EMU_OP_INT,
	EMU_OP_IN, EMU_OP_OUT, EMU_OP_INS, EMU_OP_OUTS,
	EMU_OP_LGDT, EMU_OP_SGDT, EMU_OP_LMSW, EMU_OP_SMSW, EMU_OP_SLDT, EMU_OP_LLDT, EMU_OP_LTR,
	EMU_OP_VERR, EMU_OP_LAR, EMU_OP_LSL,
	EMU_OP_INVLPG, EMU_OP_WBINVD, EMU_OP_CLTS, EMU_OP_HLT,
	EMU_OP_MOV_FROM_CR, EMU_OP_MOV_TO_CR, EMU_OP_MOV_FROM_DR, EMU_OP_MOV_TO_DR,
	EMU_OP_CPUID, EMU_OP_RDTSC, EMU_OP_RDMSR, EMU_OP_WRMSR,
	EMU_OP_SYSCALL, EMU_OP_SYSRET, EMU_OP_SYSENTER, EMU_OP_SYSEXIT, EMU_OP_INT1,
	EMU_OP_RDPMC, EMU_OP_RDTSCP, EMU_OP_RDPID, EMU_OP_RDRAND, EMU_OP_XGETBV, EMU_OP_XSETBV,
	EMU_OP_CLAC, EMU_OP_MONITOR, EMU_OP_SWAPGS, EMU_OP_FSGSBASE, EMU_OP_VMCALL,
	EMU_OP_COUNT
};

/* Properties of a row. */
enum emu_row_flag {
	ROW_MODRM	= 0x00001,	/* a ModRM byte follows */
	ROW_LOCK	= 0x00002,	/* LOCK is legal with a memory destination */
	ROW_GROUP	= 0x00004,	/* .op is an enum emu_group, selected by ModRM.reg */
	ROW_PREFIX	= 0x00008,	/* .op is an enum emu_prefix_set, selected by 66, F3, F2 */
	ROW_STRING	= 0x00010,	/* a string instruction: F2 and F3 repeat it */
	ROW_STACK	= 0x00020,	/* operand size is 64 bits in 64-bit code, or 16 */
	ROW_NEAR	= 0x00040,	/* operand size is always 64 bits in 64-bit code */
	ROW_NO64	= 0x00080,	/* undefined in 64-bit code */
	ROW_ONLY64	= 0x00100,	/* undefined outside 64-bit code */
	ROW_MEM		= 0x00200,	/* undefined with a register as r/m operand */
	ROW_MEM_HERE	= 0x00400,	/* executed here only with memory as r/m operand */
	ROW_VECTOR	= 0x00800,	/* SSE instruction; with a VEX prefix, AVX */
	ROW_ALIGNED	= 0x01000,	/* memory operand must be aligned to its size */
	ROW_VVVV	= 0x02000,	/* VEX.vvvv names a source; else it must be unused */
	ROW_VEX128	= 0x04000,	/* VEX.L must be 0 */
	ROW_VEX		= 0x08000,	/* undefined without a VEX prefix */
	ROW_CPL0	= 0x10000,	/* #GP(0) unless the CPL is 0 */
	ROW_PROTECTED	= 0x20000,	/* undefined in real and virtual-8086 mode */
	ROW_MORE	= 0x40000,	/* accesses memory other than its operand */
	ROW_REG		= 0x80000,	/* r/m is a register, whatever ModRM.mod says */
	ROW_W0		= 0x100000,	/* VEX.W and EVEX.W must be 0 */
	ROW_UMIP	= 0x200000,	/* #GP(0) outside CPL 0 if CR4.UMIP is set */
	ROW_GROUP_RM	= 0x400000,	/* .op is an enum emu_group, selected by ModRM.rm */
	ROW_SPLIT	= 0x800000,	/* .op is an enum emu_split: memory or register */
	ROW_W1		= 0x1000000,	/* VEX.W and EVEX.W must be 1 */
	ROW_SMALL	= 0x2000000,	/* one mask bit per 1 or 2 bytes, not 4 or 8 */
	ROW_ALIGNED_SSE	= 0x4000000,	/* ROW_ALIGNED if there is no VEX prefix */
	ROW_VEX256	= 0x8000000,	/* VEX.L must be 1 */
};

/* Source of an operand: the high byte of an operand code. */
enum emu_operand_source {
	FROM_NOWHERE,
	FROM_RM,		/* ModRM.rm: register or memory */
	FROM_REG,		/* ModRM.reg */
	FROM_IMM,		/* immediate, sign-extended */
	FROM_MOFFS,		/* memory at an immediate address */
	FROM_ACC,		/* accumulator */
	FROM_OPCODE,		/* register in the low bits of the opcode */
	FROM_SREG,		/* segment register in ModRM.reg */
	FROM_ONE,		/* the constant 1 */
	FROM_CL,		/* the register CL */
	FROM_REL,		/* branch displacement */
	FROM_STRING,		/* implied by the instruction; the decoder knows only the size */
	FROM_XMM_REG,		/* ModRM.reg as vector register */
	FROM_XMM_RM,		/* ModRM.rm: vector register or memory */
	FROM_VEX,		/* VEX.vvvv: general register */
	FROM_IMM2,		/* second immediate */
	FROM_MMX_REG,		/* ModRM.reg as MMX register */
	FROM_MMX_RM,		/* ModRM.rm: MMX register or memory */
	FROM_RDI,		/* memory where rDI points */
};

/* Size of an operand: the low byte of an operand code. */
enum emu_operand_size {
	SIZE_1, SIZE_2, SIZE_4, SIZE_8, SIZE_16,
	SIZE_V,			/* operand size */
	SIZE_Y,			/* 4, or 8 with REX.W */
	SIZE_Z,			/* operand size, but at most 4 */
	SIZE_X,			/* vector size */
	SIZE_RV_M2,		/* register: operand size; memory: 2 */
	SIZE_DOUBLE_Y,		/* twice SIZE_Y */
	SIZE_FAR,		/* far pointer: operand size plus 2 */
	SIZE_TABLE,		/* limit and base: 6, or 10 in 64-bit code */
	SIZE_WORD,		/* 4, or 8 in 64-bit code */
	SIZE_DOUBLE_V,		/* twice the operand size */
	SIZE_MASK,		/* 1 to 8, by prefix 66 and VEX.W */
	SIZE_10,		/* extended precision, as in an x87 register */
	SIZE_ENV,		/* x87 environment: 14, or 28 if the operand size is not 2 */
	SIZE_X87,		/* x87 environment and 80 bytes of registers */
	SIZE_X_2, SIZE_X_4, SIZE_X_8,	/* a part of the vector size */
	SIZE_DUP,		/* 8, or the vector size if that is above 16 */
	SIZE_R4_M1, SIZE_R4_M2,	/* register: 4; memory: 1 or 2 */
};

#define EMU_OPERAND_CODE(source, size)	((source) << 8 | (size))

struct emu_row {
	u8 op;			/* enum emu_op, emu_group, emu_prefix_set or emu_split */
	u16 operand[3];
	u32 flags;
};

/* Opcodes distinguished by ModRM.reg. */
enum emu_group {
	GROUP_1_BYTE, GROUP_1, GROUP_1_IBS, GROUP_1A,
	GROUP_2_IMM8, GROUP_2_IMM, GROUP_2_ONE8, GROUP_2_ONE, GROUP_2_CL8, GROUP_2_CL,
	GROUP_3_BYTE, GROUP_3, GROUP_4, GROUP_5, GROUP_6, GROUP_7, GROUP_8, GROUP_9,
	GROUP_7_REG0, GROUP_7_REG1, GROUP_7_REG2, GROUP_7_REG5, GROUP_7_REG7,
	GROUP_11_BYTE, GROUP_11, GROUP_15_MEM, GROUP_15_REG, GROUP_17,
	GROUP_X87_4, GROUP_X87_8, GROUP_X87_2, GROUP_D9, GROUP_DB, GROUP_DD, GROUP_DF,
	GROUP_X87_REG, GROUP_DB_REG, GROUP_DB_E, GROUP_DF_REG, GROUP_DF_E,
	GROUP_COUNT
};

/* Opcodes distinguished by a mandatory prefix. */
enum emu_prefix_set {
	PREFIX_AE6_MEM, PREFIX_AE7_MEM, PREFIX_AE_FS_GS, PREFIX_AE_FENCE, PREFIX_C76, PREFIX_C77,
	PREFIX_B8, PREFIX_BC, PREFIX_BD, PREFIX_382A, PREFIX_38F0, PREFIX_38F1,
	PREFIX_38F2, PREFIX_38F3, PREFIX_38F5, PREFIX_38F6, PREFIX_38F7, PREFIX_3AF0,
	PREFIX_10, PREFIX_11, PREFIX_12, PREFIX_13, PREFIX_16, PREFIX_17,
	PREFIX_28, PREFIX_29, PREFIX_2B, PREFIX_6E, PREFIX_6F, PREFIX_7E, PREFIX_7F,
	PREFIX_C3, PREFIX_D6, PREFIX_E7, PREFIX_F0,
	PREFIX_54, PREFIX_55, PREFIX_56, PREFIX_57, PREFIX_74, PREFIX_75, PREFIX_76, PREFIX_DB,
	PREFIX_DF, PREFIX_EB, PREFIX_EF, PREFIX_3817, PREFIX_3818, PREFIX_3819, PREFIX_381A,
	PREFIX_EXTEND_2, PREFIX_EXTEND_4, PREFIX_EXTEND_8, PREFIX_C4, PREFIX_F7,
	PREFIX_382C, PREFIX_382E, PREFIX_388C, PREFIX_388E, PREFIX_K92, PREFIX_K93,
	PREFIX_3A14, PREFIX_3A15, PREFIX_3A16, PREFIX_3A17, PREFIX_3A20, PREFIX_3A22,
	PREFIX_3858, PREFIX_3859, PREFIX_385A, PREFIX_3878, PREFIX_3879, PREFIX_38F8, PREFIX_38F9,
	PREFIX_K90, PREFIX_K91, PREFIX_AE0, PREFIX_AE1, PREFIX_AE2, PREFIX_AE3,
	PREFIX_VMCALL, PREFIX_MONITOR, PREFIX_CLAC, PREFIX_XGETBV, PREFIX_XSETBV,
	PREFIX_COUNT
};

/* Opcodes distinguished by whether ModRM.rm is memory or a register. */
enum emu_split {
	SPLIT_7_0, SPLIT_7_1, SPLIT_7_2, SPLIT_7_5, SPLIT_7_7,
	SPLIT_9_6, SPLIT_9_7, SPLIT_15, SPLIT_XBEGIN, SPLIT_F7, SPLIT_K92, SPLIT_K93,
	SPLIT_MOVSS, SPLIT_MOVSD, SPLIT_MOVSS_STORE, SPLIT_MOVSD_STORE,
	SPLIT_D8, SPLIT_D9, SPLIT_DA, SPLIT_DB, SPLIT_DC, SPLIT_DD, SPLIT_DE, SPLIT_DF,
	SPLIT_COUNT
};

/* Second index of emu_splits[]. */
enum emu_split_index {
	IN_MEMORY, IN_REGISTER,
	IN_COUNT
};

/* Second index of emu_prefix_sets[]. */
enum emu_prefix_index {
	WITH_NONE, WITH_66, WITH_F3, WITH_F2,
	WITH_COUNT
};

extern const struct emu_row emu_one_byte[256];
extern const struct emu_row emu_two_byte[256];
extern const struct emu_row emu_groups[GROUP_COUNT][8];
extern const struct emu_row emu_prefix_sets[PREFIX_COUNT][WITH_COUNT];
extern const struct emu_row emu_splits[SPLIT_COUNT][IN_COUNT];

/* Row of opcode 63 outside 64-bit code. */
extern const struct emu_row emu_arpl;

/* Row of 0F @byte with a VEX prefix. */
const struct emu_row *emu_vex_two_byte(u8 byte);

/* evex.c: row of @opcode in map @map with an EVEX prefix; never NULL. */
const struct emu_row *emu_evex_row(u8 map, u8 opcode, enum emu_prefix_index prefix);

/* Row of 0F 38 @byte and 0F 3A @byte, with a VEX prefix or without; never NULL. */
const struct emu_row *emu_three_byte_38(u8 byte, bool vex);
const struct emu_row *emu_three_byte_3a(u8 byte, bool vex);

#endif
