/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Macros for the opcode tables. A row names the operation, its properties and the
 * source and size of each operand, in the letters of the processor manuals:
 *
 *   E r/m    G reg    I immediate    O memory offset    A accumulator
 *   Z register in the opcode    S segment register    J branch target
 *   T implied string operand    V vector register    W vector r/m    H VEX.vvvv
 *   B 1 byte   W 2   D 4   Q 8   V operand size   Z operand size up to 4
 *   Y 4, or 8 with REX.W    X vector size    IBS sign-extended byte
 *   P MMX register    Q MMX r/m    T 10 bytes    K size of a mask
 *   X2, X4, X8 a part of X    DUP 8, or X above 16    R 4 in a register
 *   N memory at rDI
 *
 * Private to the tables.
 */
#ifndef KEEL_EMULATE_ROWS_H
#define KEEL_EMULATE_ROWS_H

#include "opcodes.h"

#define ROW(_op, _flags, ...) \
	{ .op = EMU_OP_##_op, .flags = (_flags), .operand = { __VA_ARGS__ } }
#define GROUP(_group) \
	{ .op = GROUP_##_group, .flags = ROW_MODRM | ROW_GROUP }
#define GROUP_RM(_group) \
	{ .op = GROUP_##_group, .flags = ROW_MODRM | ROW_GROUP_RM }
#define SPLIT(_split) \
	{ .op = SPLIT_##_split, .flags = ROW_MODRM | ROW_SPLIT }
#define PREFIXED(_set) \
	{ .op = PREFIX_##_set, .flags = ROW_PREFIX }
#define NOT_HERE ROW(NONE, 0)

#define EB	EMU_OPERAND_CODE(FROM_RM, SIZE_1)
#define EW	EMU_OPERAND_CODE(FROM_RM, SIZE_2)
#define EZ	EMU_OPERAND_CODE(FROM_RM, SIZE_Z)
#define EV	EMU_OPERAND_CODE(FROM_RM, SIZE_V)
#define EY	EMU_OPERAND_CODE(FROM_RM, SIZE_Y)
#define E2Y	EMU_OPERAND_CODE(FROM_RM, SIZE_DOUBLE_Y)
#define EVW	EMU_OPERAND_CODE(FROM_RM, SIZE_RV_M2)
#define EFAR	EMU_OPERAND_CODE(FROM_RM, SIZE_FAR)
#define ETABLE	EMU_OPERAND_CODE(FROM_RM, SIZE_TABLE)
#define EWORD	EMU_OPERAND_CODE(FROM_RM, SIZE_WORD)
#define ED	EMU_OPERAND_CODE(FROM_RM, SIZE_4)
#define EQ	EMU_OPERAND_CODE(FROM_RM, SIZE_8)
#define ET	EMU_OPERAND_CODE(FROM_RM, SIZE_10)
#define AW	EMU_OPERAND_CODE(FROM_ACC, SIZE_2)
#define PQ	EMU_OPERAND_CODE(FROM_MMX_REG, SIZE_8)
#define QQ	EMU_OPERAND_CODE(FROM_MMX_RM, SIZE_8)
#define ERB	EMU_OPERAND_CODE(FROM_RM, SIZE_R4_M1)
#define ERW	EMU_OPERAND_CODE(FROM_RM, SIZE_R4_M2)
#define EENV	EMU_OPERAND_CODE(FROM_RM, SIZE_ENV)
#define EX87	EMU_OPERAND_CODE(FROM_RM, SIZE_X87)
#define NX	EMU_OPERAND_CODE(FROM_RDI, SIZE_X)
#define NQ	EMU_OPERAND_CODE(FROM_RDI, SIZE_8)
#define GD	EMU_OPERAND_CODE(FROM_REG, SIZE_4)
#define EK	EMU_OPERAND_CODE(FROM_RM, SIZE_MASK)
#define E2V	EMU_OPERAND_CODE(FROM_RM, SIZE_DOUBLE_V)
#define GW	EMU_OPERAND_CODE(FROM_REG, SIZE_2)
#define GB	EMU_OPERAND_CODE(FROM_REG, SIZE_1)
#define GV	EMU_OPERAND_CODE(FROM_REG, SIZE_V)
#define GY	EMU_OPERAND_CODE(FROM_REG, SIZE_Y)
#define IB	EMU_OPERAND_CODE(FROM_IMM, SIZE_1)
#define IW	EMU_OPERAND_CODE(FROM_IMM, SIZE_2)
#define IZ	EMU_OPERAND_CODE(FROM_IMM, SIZE_Z)
#define IV	EMU_OPERAND_CODE(FROM_IMM, SIZE_V)
#define I2B	EMU_OPERAND_CODE(FROM_IMM2, SIZE_1)
#define I2W	EMU_OPERAND_CODE(FROM_IMM2, SIZE_2)
#define OB	EMU_OPERAND_CODE(FROM_MOFFS, SIZE_1)
#define OV	EMU_OPERAND_CODE(FROM_MOFFS, SIZE_V)
#define AB	EMU_OPERAND_CODE(FROM_ACC, SIZE_1)
#define AV	EMU_OPERAND_CODE(FROM_ACC, SIZE_V)
#define AZ	EMU_OPERAND_CODE(FROM_ACC, SIZE_Z)
#define ZB	EMU_OPERAND_CODE(FROM_OPCODE, SIZE_1)
#define ZV	EMU_OPERAND_CODE(FROM_OPCODE, SIZE_V)
#define SW	EMU_OPERAND_CODE(FROM_SREG, SIZE_2)
#define ONE	EMU_OPERAND_CODE(FROM_ONE, SIZE_1)
#define CL	EMU_OPERAND_CODE(FROM_CL, SIZE_1)
#define JB	EMU_OPERAND_CODE(FROM_REL, SIZE_1)
#define JZ	EMU_OPERAND_CODE(FROM_REL, SIZE_Z)
#define TB	EMU_OPERAND_CODE(FROM_STRING, SIZE_1)
#define TV	EMU_OPERAND_CODE(FROM_STRING, SIZE_V)
#define TZ	EMU_OPERAND_CODE(FROM_STRING, SIZE_Z)
#define HY	EMU_OPERAND_CODE(FROM_VEX, SIZE_Y)
#define VX	EMU_OPERAND_CODE(FROM_XMM_REG, SIZE_X)
#define VQ	EMU_OPERAND_CODE(FROM_XMM_REG, SIZE_8)
#define VD	EMU_OPERAND_CODE(FROM_XMM_REG, SIZE_4)
#define VY	EMU_OPERAND_CODE(FROM_XMM_REG, SIZE_Y)
#define WX	EMU_OPERAND_CODE(FROM_XMM_RM, SIZE_X)
#define WQ	EMU_OPERAND_CODE(FROM_XMM_RM, SIZE_8)
#define WB	EMU_OPERAND_CODE(FROM_XMM_RM, SIZE_1)
#define WW	EMU_OPERAND_CODE(FROM_XMM_RM, SIZE_2)
#define WDQ	EMU_OPERAND_CODE(FROM_XMM_RM, SIZE_16)
#define WX2	EMU_OPERAND_CODE(FROM_XMM_RM, SIZE_X_2)
#define WX4	EMU_OPERAND_CODE(FROM_XMM_RM, SIZE_X_4)
#define WX8	EMU_OPERAND_CODE(FROM_XMM_RM, SIZE_X_8)
#define WDUP	EMU_OPERAND_CODE(FROM_XMM_RM, SIZE_DUP)
#define VDQ	EMU_OPERAND_CODE(FROM_XMM_REG, SIZE_16)
#define WD	EMU_OPERAND_CODE(FROM_XMM_RM, SIZE_4)

/* Short names for the flags. */
#define M	ROW_MODRM
#define L	(ROW_MODRM | ROW_LOCK)
#define STR	ROW_STRING
#define STACK	ROW_STACK
#define NEAR	ROW_NEAR
#define NO64	ROW_NO64
#define MM	(ROW_MODRM | ROW_MEM)
#define VEC	(ROW_MODRM | ROW_VECTOR)
#define VECA	(VEC | ROW_ALIGNED)
#define VECM	(VEC | ROW_MEM)
#define LOGIC	(VEC | ROW_VVVV | ROW_ALIGNED_SSE)
#define CAST	(VEC | ROW_VEX | ROW_W0)
#define BYMASK	(VECM | ROW_VEX | ROW_VVVV | MORE)
#define INTO	(VEC | ROW_VVVV | ROW_VEX128)
#define OUTOF	(VEC | ROW_VEX128)
#define VEX	(ROW_MODRM | ROW_VEX | ROW_VEX128)
#define VEX3	(VEX | ROW_VVVV)
#define CPL0	ROW_CPL0
#define PROT	ROW_PROTECTED
#define MORE	ROW_MORE

#endif
