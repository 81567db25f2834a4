// SPDX-License-Identifier: GPL-2.0
/*
 * The opcode tables except those of EVEX (evex.c). rows.h explains how a row is
 * written.
 *
 * A row left out is undefined, and so are the instructions of extensions that no
 * guest is offered (VMX, SVM, SGX, shadow stacks). NOT_HERE is the row of an
 * instruction that is defined but not executed here. decode.c reads the bytes,
 * exec.c executes the operation.
 */
#include "opcodes.h"
#include "rows.h"

const struct emu_row emu_one_byte[256] = {
	[0x00] = ROW(ADD, L, EB, GB),
	[0x01] = ROW(ADD, L, EV, GV),
	[0x02] = ROW(ADD, M, GB, EB),
	[0x03] = ROW(ADD, M, GV, EV),
	[0x04] = ROW(ADD, 0, AB, IB),
	[0x05] = ROW(ADD, 0, AV, IZ),
	[0x06] = ROW(PUSH_SREG, NO64 | STACK),
	[0x07] = ROW(POP_SREG, NO64 | STACK),
	[0x08] = ROW(OR, L, EB, GB),
	[0x09] = ROW(OR, L, EV, GV),
	[0x0a] = ROW(OR, M, GB, EB),
	[0x0b] = ROW(OR, M, GV, EV),
	[0x0c] = ROW(OR, 0, AB, IB),
	[0x0d] = ROW(OR, 0, AV, IZ),
	[0x0e] = ROW(PUSH_SREG, NO64 | STACK),
	[0x10] = ROW(ADC, L, EB, GB),
	[0x11] = ROW(ADC, L, EV, GV),
	[0x12] = ROW(ADC, M, GB, EB),
	[0x13] = ROW(ADC, M, GV, EV),
	[0x14] = ROW(ADC, 0, AB, IB),
	[0x15] = ROW(ADC, 0, AV, IZ),
	[0x16] = ROW(PUSH_SREG, NO64 | STACK),
	[0x17] = ROW(POP_SREG, NO64 | STACK),
	[0x18] = ROW(SBB, L, EB, GB),
	[0x19] = ROW(SBB, L, EV, GV),
	[0x1a] = ROW(SBB, M, GB, EB),
	[0x1b] = ROW(SBB, M, GV, EV),
	[0x1c] = ROW(SBB, 0, AB, IB),
	[0x1d] = ROW(SBB, 0, AV, IZ),
	[0x1e] = ROW(PUSH_SREG, NO64 | STACK),
	[0x1f] = ROW(POP_SREG, NO64 | STACK),
	[0x20] = ROW(AND, L, EB, GB),
	[0x21] = ROW(AND, L, EV, GV),
	[0x22] = ROW(AND, M, GB, EB),
	[0x23] = ROW(AND, M, GV, EV),
	[0x24] = ROW(AND, 0, AB, IB),
	[0x25] = ROW(AND, 0, AV, IZ),
	[0x27] = ROW(DAA, NO64),
	[0x28] = ROW(SUB, L, EB, GB),
	[0x29] = ROW(SUB, L, EV, GV),
	[0x2a] = ROW(SUB, M, GB, EB),
	[0x2b] = ROW(SUB, M, GV, EV),
	[0x2c] = ROW(SUB, 0, AB, IB),
	[0x2d] = ROW(SUB, 0, AV, IZ),
	[0x2f] = ROW(DAS, NO64),
	[0x30] = ROW(XOR, L, EB, GB),
	[0x31] = ROW(XOR, L, EV, GV),
	[0x32] = ROW(XOR, M, GB, EB),
	[0x33] = ROW(XOR, M, GV, EV),
	[0x34] = ROW(XOR, 0, AB, IB),
	[0x35] = ROW(XOR, 0, AV, IZ),
	[0x37] = ROW(AAA, NO64),
	[0x38] = ROW(CMP, M, EB, GB),
	[0x39] = ROW(CMP, M, EV, GV),
	[0x3a] = ROW(CMP, M, GB, EB),
	[0x3b] = ROW(CMP, M, GV, EV),
	[0x3c] = ROW(CMP, 0, AB, IB),
	[0x3d] = ROW(CMP, 0, AV, IZ),
	[0x3f] = ROW(AAS, NO64),
	[0x40 ... 0x47] = ROW(INC, 0, ZV),
	[0x48 ... 0x4f] = ROW(DEC, 0, ZV),
	[0x50 ... 0x57] = ROW(PUSH, STACK, ZV),
	[0x58 ... 0x5f] = ROW(POP, STACK, ZV),
	[0x60] = ROW(PUSHA, NO64),
	[0x61] = ROW(POPA, NO64),
	[0x62] = ROW(BOUND, MM | NO64 | MORE, GV, E2V),
	[0x63] = ROW(MOVSX, M | ROW_ONLY64, GV, EZ),
	[0x68] = ROW(PUSH, STACK, IZ),
	[0x69] = ROW(IMUL3, M, GV, EV, IZ),
	[0x6a] = ROW(PUSH, STACK, IB),
	[0x6b] = ROW(IMUL3, M, GV, EV, IB),
	[0x6c] = ROW(INS, STR, TB),
	[0x6d] = ROW(INS, STR, TZ),
	[0x6e] = ROW(OUTS, STR, TB),
	[0x6f] = ROW(OUTS, STR, TZ),
	[0x70 ... 0x7f] = ROW(JCC, NEAR, JB),
	[0x80] = GROUP(1_BYTE),
	[0x81] = GROUP(1),
	[0x82] = { .op = GROUP_1_BYTE, .flags = ROW_MODRM | ROW_GROUP | NO64 },
	[0x83] = GROUP(1_IBS),
	[0x84] = ROW(TEST, M, EB, GB),
	[0x85] = ROW(TEST, M, EV, GV),
	[0x86] = ROW(XCHG, L, EB, GB),
	[0x87] = ROW(XCHG, L, EV, GV),
	[0x88] = ROW(MOV, M, EB, GB),
	[0x89] = ROW(MOV, M, EV, GV),
	[0x8a] = ROW(MOV, M, GB, EB),
	[0x8b] = ROW(MOV, M, GV, EV),
	[0x8c] = ROW(MOV, M, EVW, SW),
	[0x8d] = ROW(LEA, MM, GV, EV),
	[0x8e] = ROW(MOV_SREG, M | MORE, SW, EW),
	[0x8f] = GROUP(1A),
	[0x90 ... 0x97] = ROW(XCHG, 0, ZV, AV),
	[0x98] = ROW(CBW, 0, AV),
	[0x99] = ROW(CWD, 0, AV),
	[0x9a] = ROW(CALL_FAR, NO64, IZ, I2W),
	[0x9b] = ROW(FWAIT, 0),
	[0x9c] = ROW(PUSHF, STACK),
	[0x9d] = ROW(POPF, STACK),
	[0x9e] = ROW(SAHF, 0),
	[0x9f] = ROW(LAHF, 0),
	[0xa0] = ROW(MOV, 0, AB, OB),
	[0xa1] = ROW(MOV, 0, AV, OV),
	[0xa2] = ROW(MOV, 0, OB, AB),
	[0xa3] = ROW(MOV, 0, OV, AV),
	[0xa4] = ROW(MOVS, STR, TB),
	[0xa5] = ROW(MOVS, STR, TV),
	[0xa6] = ROW(CMPS, STR, TB),
	[0xa7] = ROW(CMPS, STR, TV),
	[0xa8] = ROW(TEST, 0, AB, IB),
	[0xa9] = ROW(TEST, 0, AV, IZ),
	[0xaa] = ROW(STOS, STR, TB),
	[0xab] = ROW(STOS, STR, TV),
	[0xac] = ROW(LODS, STR, TB),
	[0xad] = ROW(LODS, STR, TV),
	[0xae] = ROW(SCAS, STR, TB),
	[0xaf] = ROW(SCAS, STR, TV),
	[0xb0 ... 0xb7] = ROW(MOV, 0, ZB, IB),
	[0xb8 ... 0xbf] = ROW(MOV, 0, ZV, IV),
	[0xc0] = GROUP(2_IMM8),
	[0xc1] = GROUP(2_IMM),
	[0xc2] = ROW(RET, NEAR, IW),
	[0xc3] = ROW(RET, NEAR),
	[0xc4 ... 0xc5] = ROW(LOAD_FAR, MM | MORE, GV, EFAR),
	[0xc6] = GROUP(11_BYTE),
	[0xc7] = GROUP(11),
	[0xc8] = ROW(ENTER, STACK, IW, I2B),
	[0xc9] = ROW(LEAVE, STACK),
	[0xca] = ROW(RET_FAR, 0, IW),
	[0xcb] = ROW(RET_FAR, 0),
	[0xcc] = ROW(INT, 0),
	[0xcd] = ROW(INT, 0, IB),
	[0xce] = ROW(INT, NO64),
	[0xcf] = ROW(IRET, 0),
	[0xd0] = GROUP(2_ONE8),
	[0xd1] = GROUP(2_ONE),
	[0xd2] = GROUP(2_CL8),
	[0xd3] = GROUP(2_CL),
	[0xd4] = ROW(AAM, NO64, IB),
	[0xd5] = ROW(AAD, NO64, IB),
	[0xd6] = ROW(SALC, NO64),
	[0xd7] = ROW(XLAT, 0),
	[0xd8] = SPLIT(D8),
	[0xd9] = SPLIT(D9),
	[0xda] = SPLIT(DA),
	[0xdb] = SPLIT(DB),
	[0xdc] = SPLIT(DC),
	[0xdd] = SPLIT(DD),
	[0xde] = SPLIT(DE),
	[0xdf] = SPLIT(DF),
	[0xe0 ... 0xe2] = ROW(LOOP, NEAR, JB),
	[0xe3] = ROW(JCXZ, NEAR, JB),
	[0xe4] = ROW(IN, 0, AB, IB),
	[0xe5] = ROW(IN, 0, AZ, IB),
	[0xe6] = ROW(OUT, 0, AB, IB),
	[0xe7] = ROW(OUT, 0, AZ, IB),
	[0xe8] = ROW(CALL, NEAR, JZ),
	[0xe9] = ROW(JMP, NEAR, JZ),
	[0xea] = ROW(JMP_FAR, NO64, IZ, I2W),
	[0xeb] = ROW(JMP, NEAR, JB),
	[0xec] = ROW(IN, 0, AB),
	[0xed] = ROW(IN, 0, AZ),
	[0xee] = ROW(OUT, 0, AB),
	[0xef] = ROW(OUT, 0, AZ),
	[0xf1] = ROW(INT1, 0),
	[0xf4] = ROW(HLT, CPL0),
	[0xf5] = ROW(FLAG, 0),
	[0xf6] = GROUP(3_BYTE),
	[0xf7] = GROUP(3),
	[0xf8 ... 0xf9] = ROW(FLAG, 0),
	[0xfa ... 0xfb] = ROW(CLI_STI, 0),
	[0xfc ... 0xfd] = ROW(FLAG, 0),
	[0xfe] = GROUP(4),
	[0xff] = GROUP(5),
};

const struct emu_row emu_arpl = ROW(ARPL, M | PROT, EW, GW);

const struct emu_row emu_two_byte[256] = {
	[0x00] = GROUP(6),
	[0x01] = GROUP(7),
	[0x02] = ROW(LAR, M | PROT | MORE, GV, EVW),
	[0x03] = ROW(LSL, M | PROT | MORE, GV, EVW),
	[0x05] = ROW(SYSCALL, ROW_ONLY64),
	[0x06] = ROW(CLTS, CPL0),
	[0x07] = ROW(SYSRET, ROW_ONLY64),
	[0x08 ... 0x09] = ROW(WBINVD, CPL0),
	[0x0d] = ROW(NOP, M, EV),
	[0x10] = PREFIXED(10),
	[0x11] = PREFIXED(11),
	[0x12] = PREFIXED(12),
	[0x13] = PREFIXED(13),
	[0x14 ... 0x15] = NOT_HERE,
	[0x16] = PREFIXED(16),
	[0x17] = PREFIXED(17),
	[0x18 ... 0x1f] = ROW(NOP, M, EV),
	[0x20] = ROW(MOV_FROM_CR, M | ROW_REG, EWORD),
	[0x21] = ROW(MOV_FROM_DR, M | ROW_REG, EWORD),
	[0x22] = ROW(MOV_TO_CR, M | ROW_REG, EWORD),
	[0x23] = ROW(MOV_TO_DR, M | ROW_REG, EWORD),
	[0x28] = PREFIXED(28),
	[0x29] = PREFIXED(29),
	[0x2a] = NOT_HERE,
	[0x2b] = PREFIXED(2B),
	[0x2c ... 0x2f] = NOT_HERE,
	[0x30] = ROW(WRMSR, CPL0),
	[0x31] = ROW(RDTSC, 0),
	[0x32] = ROW(RDMSR, CPL0),
	[0x33] = ROW(RDPMC, 0),
	[0x34] = ROW(SYSENTER, 0),
	[0x35] = ROW(SYSEXIT, 0),
	[0x37] = NOT_HERE,
	[0x40 ... 0x4f] = ROW(CMOVCC, M, GV, EV),
	[0x50 ... 0x53] = NOT_HERE,
	[0x54] = PREFIXED(54),
	[0x55] = PREFIXED(55),
	[0x56] = PREFIXED(56),
	[0x57] = PREFIXED(57),
	[0x58 ... 0x6d] = NOT_HERE,
	[0x6e] = PREFIXED(6E),
	[0x6f] = PREFIXED(6F),
	[0x70 ... 0x73] = NOT_HERE,
	[0x74] = PREFIXED(74),
	[0x75] = PREFIXED(75),
	[0x76] = PREFIXED(76),
	[0x77] = NOT_HERE,
	[0x7c ... 0x7d] = NOT_HERE,
	[0x7e] = PREFIXED(7E),
	[0x7f] = PREFIXED(7F),
	[0x80 ... 0x8f] = ROW(JCC, NEAR, JZ),
	[0x90 ... 0x9f] = ROW(SETCC, M, EB),
	[0xa0] = ROW(PUSH_SREG, STACK),
	[0xa1] = ROW(POP_SREG, STACK),
	[0xa2] = ROW(CPUID, 0),
	[0xa3] = ROW(BT, M, EV, GV),
	[0xa4] = ROW(SHLD, M, EV, GV, IB),
	[0xa5] = ROW(SHLD, M, EV, GV, CL),
	[0xa8] = ROW(PUSH_SREG, STACK),
	[0xa9] = ROW(POP_SREG, STACK),
	[0xab] = ROW(BTS, L, EV, GV),
	[0xac] = ROW(SHRD, M, EV, GV, IB),
	[0xad] = ROW(SHRD, M, EV, GV, CL),
	[0xae] = SPLIT(15),
	[0xaf] = ROW(IMUL2, M, GV, EV),
	[0xb0] = ROW(CMPXCHG, L, EB, GB),
	[0xb1] = ROW(CMPXCHG, L, EV, GV),
	[0xb2] = ROW(LOAD_FAR, MM | MORE, GV, EFAR),
	[0xb3] = ROW(BTR, L, EV, GV),
	[0xb4 ... 0xb5] = ROW(LOAD_FAR, MM | MORE, GV, EFAR),
	[0xb6] = ROW(MOV, M, GV, EB),
	[0xb7] = ROW(MOV, M, GV, EW),
	[0xb8] = PREFIXED(B8),
	[0xb9] = ROW(UD, M, EV),
	[0xba] = GROUP(8),
	[0xbb] = ROW(BTC, L, EV, GV),
	[0xbc] = PREFIXED(BC),
	[0xbd] = PREFIXED(BD),
	[0xbe] = ROW(MOVSX, M, GV, EB),
	[0xbf] = ROW(MOVSX, M, GV, EW),
	[0xc0] = ROW(XADD, L, EB, GB),
	[0xc1] = ROW(XADD, L, EV, GV),
	[0xc2] = NOT_HERE,
	[0xc3] = PREFIXED(C3),
	[0xc4] = PREFIXED(C4),
	[0xc5 ... 0xc6] = NOT_HERE,
	[0xc7] = GROUP(9),
	[0xc8 ... 0xcf] = ROW(BSWAP, 0, ZV),
	[0xd0 ... 0xd5] = NOT_HERE,
	[0xd6] = PREFIXED(D6),
	[0xd7 ... 0xda] = NOT_HERE,
	[0xdb] = PREFIXED(DB),
	[0xdc ... 0xde] = NOT_HERE,
	[0xdf] = PREFIXED(DF),
	[0xe0 ... 0xe6] = NOT_HERE,
	[0xe7] = PREFIXED(E7),
	[0xe8 ... 0xea] = NOT_HERE,
	[0xeb] = PREFIXED(EB),
	[0xec ... 0xee] = NOT_HERE,
	[0xef] = PREFIXED(EF),
	[0xf0] = PREFIXED(F0),
	[0xf1 ... 0xf6] = NOT_HERE,
	[0xf7] = SPLIT(F7),
	[0xf8 ... 0xfe] = NOT_HERE,
};

const struct emu_row emu_groups[GROUP_COUNT][8] = {
#define GROUP_1_ROWS(...) {			\
		ROW(ADD, L, __VA_ARGS__),	\
		ROW(OR, L, __VA_ARGS__),	\
		ROW(ADC, L, __VA_ARGS__),	\
		ROW(SBB, L, __VA_ARGS__),	\
		ROW(AND, L, __VA_ARGS__),	\
		ROW(SUB, L, __VA_ARGS__),	\
		ROW(XOR, L, __VA_ARGS__),	\
		ROW(CMP, M, __VA_ARGS__),	\
	}
	[GROUP_1_BYTE] = GROUP_1_ROWS(EB, IB),
	[GROUP_1] = GROUP_1_ROWS(EV, IZ),
	[GROUP_1_IBS] = GROUP_1_ROWS(EV, IB),
	[GROUP_1A] = { ROW(POP, M | STACK | MORE, EV) },
#define GROUP_2_ROWS(...) {			\
		ROW(ROL, M, __VA_ARGS__),	\
		ROW(ROR, M, __VA_ARGS__),	\
		ROW(RCL, M, __VA_ARGS__),	\
		ROW(RCR, M, __VA_ARGS__),	\
		ROW(SHL, M, __VA_ARGS__),	\
		ROW(SHR, M, __VA_ARGS__),	\
		ROW(SHL, M, __VA_ARGS__),	\
		ROW(SAR, M, __VA_ARGS__),	\
	}
	[GROUP_2_IMM8] = GROUP_2_ROWS(EB, IB),
	[GROUP_2_IMM] = GROUP_2_ROWS(EV, IB),
	[GROUP_2_ONE8] = GROUP_2_ROWS(EB, ONE),
	[GROUP_2_ONE] = GROUP_2_ROWS(EV, ONE),
	[GROUP_2_CL8] = GROUP_2_ROWS(EB, CL),
	[GROUP_2_CL] = GROUP_2_ROWS(EV, CL),
	[GROUP_3_BYTE] = {
		ROW(TEST, M, EB, IB),
		ROW(TEST, M, EB, IB),
		ROW(NOT, L, EB),
		ROW(NEG, L, EB),
		ROW(MUL, M, EB),
		ROW(IMUL1, M, EB),
		ROW(DIV, M, EB),
		ROW(IDIV, M, EB),
	},
	[GROUP_3] = {
		ROW(TEST, M, EV, IZ),
		ROW(TEST, M, EV, IZ),
		ROW(NOT, L, EV),
		ROW(NEG, L, EV),
		ROW(MUL, M, EV),
		ROW(IMUL1, M, EV),
		ROW(DIV, M, EV),
		ROW(IDIV, M, EV),
	},
	[GROUP_4] = {
		ROW(INC, L, EB),
		ROW(DEC, L, EB),
		[2 ... 7] = ROW(UD, M, EB),
	},
	[GROUP_5] = {
		[0] = ROW(INC, L, EV),
		[1] = ROW(DEC, L, EV),
		[2] = ROW(CALL_IND, M | NEAR | MORE, EV),
		[3] = ROW(CALL_FAR, MM | MORE, EFAR),
		[4] = ROW(JMP_IND, M | NEAR, EV),
		[5] = ROW(JMP_FAR, MM | MORE, EFAR),
		[6] = ROW(PUSH, M | STACK | MORE, EV),
		[7] = ROW(UD, M, EV),
	},
	[GROUP_6] = {
		[0] = ROW(SLDT, M | PROT | ROW_UMIP, EVW),
		[1] = ROW(SLDT, M | PROT | ROW_UMIP, EVW),
		[2] = ROW(LLDT, M | PROT | CPL0 | MORE, EW),
		[3] = ROW(LTR, M | PROT | CPL0 | MORE, EW),
		[4] = ROW(VERR, M | PROT | MORE, EW),
		[5] = ROW(VERR, M | PROT | MORE, EW),
	},
	[GROUP_7] = {
		[0] = SPLIT(7_0),
		[1] = SPLIT(7_1),
		[2] = SPLIT(7_2),
		[3] = ROW(LGDT, MM | CPL0 | MORE, ETABLE),
		[4] = ROW(SMSW, M | ROW_UMIP, EVW),
		[5] = SPLIT(7_5),
		[6] = ROW(LMSW, M | CPL0, EW),
		[7] = SPLIT(7_7),
	},
	[GROUP_7_REG0] = { [1] = PREFIXED(VMCALL) },
	[GROUP_7_REG1] = {
		[0 ... 1] = PREFIXED(MONITOR),			/* and MWAIT */
		[2 ... 3] = PREFIXED(CLAC),			/* and STAC */
	},
	[GROUP_7_REG2] = {
		[0] = PREFIXED(XGETBV),
		[1] = PREFIXED(XSETBV),
		[5 ... 6] = NOT_HERE,				/* XEND, XTEST */
	},
	[GROUP_7_REG5] = { [0 ... 1] = NOT_HERE },		/* SERIALIZE, XSUSLDTRK */
	[GROUP_7_REG7] = {
		[0] = ROW(SWAPGS, ROW_ONLY64 | CPL0),
		[1] = ROW(RDTSCP, 0),
	},
	[GROUP_8] = {
		[0 ... 3] = ROW(UD, M, EV, IB),
		[4] = ROW(BT, M, EV, IB),
		[5] = ROW(BTS, L, EV, IB),
		[6] = ROW(BTR, L, EV, IB),
		[7] = ROW(BTC, L, EV, IB),
	},
	[GROUP_9] = {
		[1] = ROW(CMPXCHG8B, L | ROW_MEM, E2Y),
		[3 ... 5] = ROW(NONE, MM),			/* XRSTORS, XSAVEC, XSAVES */
		[6] = SPLIT(9_6),
		[7] = SPLIT(9_7),
	},
	[GROUP_11_BYTE] = { [0] = ROW(MOV, M, EB, IB), [7] = SPLIT(XBEGIN) },
	[GROUP_11] = { [0] = ROW(MOV, M, EV, IZ), [7] = SPLIT(XBEGIN) },
	/* x87: arithmetic with a number in memory, moves and control. */
	[GROUP_X87_4] = { [0 ... 7] = ROW(X87_LOAD, M, ED) },
	[GROUP_X87_8] = { [0 ... 7] = ROW(X87_LOAD, M, EQ) },
	[GROUP_X87_2] = { [0 ... 7] = ROW(X87_LOAD, M, EW) },
	[GROUP_D9] = {
		[0] = ROW(X87_LOAD, M, ED),
		[2 ... 3] = ROW(X87_STORE, M, ED),
		[4] = ROW(FLDENV, M | MORE, EENV),
		[5] = ROW(FLDCW, M, EW),
		[6] = ROW(FNSAVE, M | MORE, EENV),		/* FNSTENV */
		[7] = ROW(FNST, M, EW),
	},
	[GROUP_DB] = {
		[0] = ROW(X87_LOAD, M, ED),
		[1 ... 3] = ROW(X87_STORE, M, ED),
		[5] = ROW(X87_LOAD, M, ET),
		[7] = ROW(X87_STORE, M, ET),
	},
	[GROUP_DD] = {
		[0] = ROW(X87_LOAD, M, EQ),
		[1 ... 3] = ROW(X87_STORE, M, EQ),
		[4] = ROW(FLDENV, M | MORE, EX87),		/* FRSTOR */
		[6] = ROW(FNSAVE, M | MORE, EX87),
		[7] = ROW(FNST, M, EW),
	},
	[GROUP_DF] = {
		[0] = ROW(X87_LOAD, M, EW),
		[1 ... 3] = ROW(X87_STORE, M, EW),
		[4] = ROW(X87_LOAD, M, ET),
		[5] = ROW(X87_LOAD, M, EQ),
		[6] = ROW(X87_STORE, M, ET),
		[7] = ROW(X87_STORE, M, EQ),
	},
	[GROUP_X87_REG] = { [0 ... 7] = NOT_HERE },
	[GROUP_DB_REG] = { [0 ... 3] = NOT_HERE, [4] = GROUP_RM(DB_E), [5 ... 7] = NOT_HERE },
	[GROUP_DB_E] = { [0 ... 1] = NOT_HERE, [2 ... 3] = ROW(FNINIT, M), [4 ... 7] = NOT_HERE },
	[GROUP_DF_REG] = { [0 ... 3] = NOT_HERE, [4] = GROUP_RM(DF_E), [5 ... 7] = NOT_HERE },
	[GROUP_DF_E] = { [0] = ROW(FNST, M, AW), [1 ... 7] = NOT_HERE },
	[GROUP_17] = {
		[1] = ROW(BLSR, VEX3, HY, EY),
		[2] = ROW(BLSMSK, VEX3, HY, EY),
		[3] = ROW(BLSI, VEX3, HY, EY),
	},
	[GROUP_15_MEM] = {
		[0] = PREFIXED(AE0),
		[1] = PREFIXED(AE1),
		[2] = PREFIXED(AE2),
		[3] = PREFIXED(AE3),
		[4 ... 5] = NOT_HERE,				/* XSAVE, XRSTOR */
		[6] = PREFIXED(AE6_MEM),
		[7] = PREFIXED(AE7_MEM),
	},
	[GROUP_15_REG] = {
		[0 ... 3] = PREFIXED(AE_FS_GS),
		[5 ... 7] = PREFIXED(AE_FENCE),
	},
};

const struct emu_row emu_splits[SPLIT_COUNT][IN_COUNT] = {
	[SPLIT_7_0] = {
		[IN_MEMORY] = ROW(SGDT, M | MORE | ROW_UMIP, ETABLE),
		[IN_REGISTER] = GROUP_RM(7_REG0),
	},
	[SPLIT_7_1] = {
		[IN_MEMORY] = ROW(SGDT, M | MORE | ROW_UMIP, ETABLE),
		[IN_REGISTER] = GROUP_RM(7_REG1),
	},
	[SPLIT_7_2] = {
		[IN_MEMORY] = ROW(LGDT, M | CPL0 | MORE, ETABLE),
		[IN_REGISTER] = GROUP_RM(7_REG2),
	},
	[SPLIT_7_5] = { [IN_REGISTER] = GROUP_RM(7_REG5) },
	[SPLIT_7_7] = {
		[IN_MEMORY] = ROW(INVLPG, M | CPL0, EB),
		[IN_REGISTER] = GROUP_RM(7_REG7),
	},
	[SPLIT_9_6] = { [IN_REGISTER] = PREFIXED(C76) },
	[SPLIT_9_7] = { [IN_REGISTER] = PREFIXED(C77) },
	[SPLIT_15] = {
		[IN_MEMORY] = GROUP(15_MEM),
		[IN_REGISTER] = GROUP(15_REG),
	},
	[SPLIT_D8] = { [IN_MEMORY] = GROUP(X87_4), [IN_REGISTER] = GROUP(X87_REG) },
	[SPLIT_D9] = { [IN_MEMORY] = GROUP(D9), [IN_REGISTER] = GROUP(X87_REG) },
	[SPLIT_DA] = { [IN_MEMORY] = GROUP(X87_4), [IN_REGISTER] = GROUP(X87_REG) },
	[SPLIT_DB] = { [IN_MEMORY] = GROUP(DB), [IN_REGISTER] = GROUP(DB_REG) },
	[SPLIT_DC] = { [IN_MEMORY] = GROUP(X87_8), [IN_REGISTER] = GROUP(X87_REG) },
	[SPLIT_DD] = { [IN_MEMORY] = GROUP(DD), [IN_REGISTER] = GROUP(X87_REG) },
	[SPLIT_DE] = { [IN_MEMORY] = GROUP(X87_2), [IN_REGISTER] = GROUP(X87_REG) },
	[SPLIT_DF] = { [IN_MEMORY] = GROUP(DF), [IN_REGISTER] = GROUP(DF_REG) },
	[SPLIT_MOVSS] = {
		[IN_MEMORY] = ROW(VMOV, VEC, VX, WD),
		[IN_REGISTER] = ROW(VMOV_SCALAR, VEC | ROW_VVVV, VD, WD),
	},
	[SPLIT_MOVSD] = {
		[IN_MEMORY] = ROW(VMOV, VEC, VX, WQ),
		[IN_REGISTER] = ROW(VMOV_SCALAR, VEC | ROW_VVVV, VQ, WQ),
	},
	[SPLIT_MOVSS_STORE] = {
		[IN_MEMORY] = ROW(VMOV, VEC, WD, VD),
		[IN_REGISTER] = ROW(VMOV_SCALAR, VEC | ROW_VVVV, WD, VD),
	},
	[SPLIT_MOVSD_STORE] = {
		[IN_MEMORY] = ROW(VMOV, VEC, WQ, VQ),
		[IN_REGISTER] = ROW(VMOV_SCALAR, VEC | ROW_VVVV, WQ, VQ),
	},
	[SPLIT_F7] = { [IN_REGISTER] = PREFIXED(F7) },
	[SPLIT_K92] = { [IN_REGISTER] = PREFIXED(K92) },
	[SPLIT_K93] = { [IN_REGISTER] = PREFIXED(K93) },
	[SPLIT_XBEGIN] = { [IN_REGISTER] = NOT_HERE },		/* and XABORT */
};

const struct emu_row emu_prefix_sets[PREFIX_COUNT][WITH_COUNT] = {
	[PREFIX_AE6_MEM] = {
		[WITH_NONE] = NOT_HERE,				/* XSAVEOPT */
		[WITH_66] = ROW(CLFLUSH, M, EB),		/* CLWB */
	},
	[PREFIX_AE7_MEM] = {
		[WITH_NONE] = ROW(CLFLUSH, M, EB),
		[WITH_66] = ROW(CLFLUSH, M, EB),		/* CLFLUSHOPT */
	},
	[PREFIX_AE_FS_GS] = { [WITH_F3] = ROW(FSGSBASE, M | ROW_ONLY64, EY) },
	[PREFIX_AE_FENCE] = { [WITH_NONE] = ROW(NOP, M) },
	[PREFIX_C76] = { [WITH_NONE ... WITH_66] = ROW(RDRAND, M, EV) },
	[PREFIX_C77] = {
		[WITH_NONE ... WITH_66] = ROW(RDRAND, M, EV),	/* RDSEED */
		[WITH_F3] = ROW(RDPID, M, EWORD),
	},
	[PREFIX_VMCALL] = { [WITH_NONE] = ROW(VMCALL, 0) },
	[PREFIX_MONITOR] = { [WITH_NONE] = ROW(MONITOR, 0) },
	[PREFIX_CLAC] = { [WITH_NONE] = ROW(CLAC, 0) },
	[PREFIX_XGETBV] = { [WITH_NONE] = ROW(XGETBV, 0) },
	[PREFIX_XSETBV] = { [WITH_NONE] = ROW(XSETBV, 0) },
	[PREFIX_B8] = {
		[WITH_F3] = ROW(POPCNT, M, GV, EV),
	},
	[PREFIX_BC] = {
		[WITH_NONE] = ROW(BSF, M, GV, EV),
		[WITH_66] = ROW(BSF, M, GV, EV),
		[WITH_F3] = ROW(TZCNT, M, GV, EV),
		[WITH_F2] = ROW(BSF, M, GV, EV),
	},
	[PREFIX_BD] = {
		[WITH_NONE] = ROW(BSR, M, GV, EV),
		[WITH_66] = ROW(BSR, M, GV, EV),
		[WITH_F3] = ROW(LZCNT, M, GV, EV),
		[WITH_F2] = ROW(BSR, M, GV, EV),
	},
	[PREFIX_38F0] = {
		[WITH_NONE] = ROW(MOVBE, MM, GV, EV),
		[WITH_66] = ROW(MOVBE, MM, GV, EV),
		[WITH_F2] = ROW(CRC32, M, GY, EB),
	},
	[PREFIX_38F1] = {
		[WITH_NONE] = ROW(MOVBE, MM, EV, GV),
		[WITH_66] = ROW(MOVBE, MM, EV, GV),
		[WITH_F2] = ROW(CRC32, M, GY, EV),
	},
	[PREFIX_38F2] = {
		[WITH_NONE] = ROW(ANDN, VEX3, GY, HY, EY),
	},
	[PREFIX_38F3] = {
		[WITH_NONE] = GROUP(17),
	},
	[PREFIX_38F5] = {
		[WITH_NONE] = ROW(BZHI, VEX3, GY, EY, HY),
		[WITH_F3] = ROW(PEXT, VEX3, GY, HY, EY),
		[WITH_F2] = ROW(PDEP, VEX3, GY, HY, EY),
	},
	[PREFIX_38F6] = {
		[WITH_66] = ROW(ADCX, M, GY, EY),
		[WITH_F3] = ROW(ADOX, M, GY, EY),
		[WITH_F2] = ROW(MULX, VEX3, GY, HY, EY),
	},
	[PREFIX_38F7] = {
		[WITH_NONE] = ROW(BEXTR, VEX3, GY, EY, HY),
		[WITH_66] = ROW(SHLX, VEX3, GY, EY, HY),
		[WITH_F3] = ROW(SARX, VEX3, GY, EY, HY),
		[WITH_F2] = ROW(SHRX, VEX3, GY, EY, HY),
	},
	[PREFIX_3AF0] = {
		[WITH_F2] = ROW(RORX, VEX, GY, EY, IB),
	},
	[PREFIX_382A] = {
		[WITH_66] = ROW(VMOV, VECM | ROW_ALIGNED, VX, WX),
	},
	[PREFIX_10] = {
		[WITH_NONE] = ROW(VMOV, VEC, VX, WX),
		[WITH_66] = ROW(VMOV, VEC, VX, WX),
		[WITH_F3] = SPLIT(MOVSS),
		[WITH_F2] = SPLIT(MOVSD),
	},
	[PREFIX_11] = {
		[WITH_NONE] = ROW(VMOV, VEC, WX, VX),
		[WITH_66] = ROW(VMOV, VEC, WX, VX),
		[WITH_F3] = SPLIT(MOVSS_STORE),
		[WITH_F2] = SPLIT(MOVSD_STORE),
	},
	[PREFIX_12] = {
		[WITH_NONE] = ROW(VMOV_LOW, VEC | ROW_MEM_HERE | ROW_VVVV | ROW_VEX128, VQ, WQ),
		[WITH_66] = ROW(VMOV_LOW, VECM | ROW_VVVV | ROW_VEX128, VQ, WQ),
		[WITH_F3] = ROW(VDUP, VEC | ROW_ALIGNED_SSE, VX, WX),
		[WITH_F2] = ROW(VDUP, VEC, VX, WDUP),
	},
	[PREFIX_13] = {
		[WITH_NONE] = ROW(VMOV, VECM | ROW_VEX128, WQ, VQ),
		[WITH_66] = ROW(VMOV, VECM | ROW_VEX128, WQ, VQ),
	},
	[PREFIX_16] = {
		[WITH_NONE] = ROW(VMOV_HIGH, VEC | ROW_MEM_HERE | ROW_VVVV | ROW_VEX128, VQ, WQ),
		[WITH_66] = ROW(VMOV_HIGH, VECM | ROW_VVVV | ROW_VEX128, VQ, WQ),
		[WITH_F3] = ROW(VDUP, VEC | ROW_ALIGNED_SSE, VX, WX),
	},
	[PREFIX_17] = {
		[WITH_NONE] = ROW(VMOV_HIGH, VECM | ROW_VEX128, WQ, VQ),
		[WITH_66] = ROW(VMOV_HIGH, VECM | ROW_VEX128, WQ, VQ),
	},
	[PREFIX_28] = {
		[WITH_NONE] = ROW(VMOV, VECA, VX, WX),
		[WITH_66] = ROW(VMOV, VECA, VX, WX),
	},
	[PREFIX_29] = {
		[WITH_NONE] = ROW(VMOV, VECA, WX, VX),
		[WITH_66] = ROW(VMOV, VECA, WX, VX),
	},
	[PREFIX_2B] = {
		[WITH_NONE] = ROW(VMOV, VECM | ROW_ALIGNED, WX, VX),
		[WITH_66] = ROW(VMOV, VECM | ROW_ALIGNED, WX, VX),
	},
	[PREFIX_6E] = {
		[WITH_NONE] = ROW(MMX_MOVE, M, PQ, EY),
		[WITH_66] = ROW(VMOV_GPR, VEC | ROW_VEX128, VY, EY),
	},
	[PREFIX_6F] = {
		[WITH_NONE] = ROW(MMX_MOVE, M, PQ, QQ),
		[WITH_66] = ROW(VMOV, VECA, VX, WX),
		[WITH_F3] = ROW(VMOV, VEC, VX, WX),
	},
	[PREFIX_7E] = {
		[WITH_NONE] = ROW(MMX_MOVE, M, EY, PQ),
		[WITH_66] = ROW(VMOV_GPR, VEC | ROW_VEX128, EY, VY),
		[WITH_F3] = ROW(VMOV, VEC | ROW_VEX128, VQ, WQ),
	},
	[PREFIX_7F] = {
		[WITH_NONE] = ROW(MMX_MOVE, M, QQ, PQ),
		[WITH_66] = ROW(VMOV, VECA, WX, VX),
		[WITH_F3] = ROW(VMOV, VEC, WX, VX),
	},
	[PREFIX_C3] = {
		[WITH_NONE] = ROW(MOV, MM, EY, GY),
	},
	[PREFIX_D6] = {
		[WITH_66] = ROW(VMOV, VEC | ROW_VEX128, WQ, VQ),
		[WITH_F3 ... WITH_F2] = NOT_HERE,
	},
	[PREFIX_E7] = {
		[WITH_NONE] = ROW(MMX_MOVE, MM, QQ, PQ),
		[WITH_F3 ... WITH_F2] = NOT_HERE,
		[WITH_66] = ROW(VMOV, VECM | ROW_ALIGNED, WX, VX),
	},
	[PREFIX_F0] = {
		[WITH_F2] = ROW(VMOV, VECM, VX, WX),
	},
	[PREFIX_AE0] = { [WITH_NONE] = ROW(FXSAVE, MM) },
	[PREFIX_AE1] = { [WITH_NONE] = ROW(FXRSTOR, MM) },
	[PREFIX_AE2] = { [WITH_NONE] = ROW(LDMXCSR, VEC | ROW_VEX128, ED) },
	[PREFIX_AE3] = { [WITH_NONE] = ROW(STMXCSR, VEC | ROW_VEX128, ED) },
	[PREFIX_54] = { [WITH_NONE ... WITH_66] = ROW(VLOGIC, LOGIC, VX, WX) },
	[PREFIX_55] = { [WITH_NONE ... WITH_66] = ROW(VLOGIC, LOGIC, VX, WX) },
	[PREFIX_56] = { [WITH_NONE ... WITH_66] = ROW(VLOGIC, LOGIC, VX, WX) },
	[PREFIX_57] = { [WITH_NONE ... WITH_66] = ROW(VLOGIC, LOGIC, VX, WX) },
	[PREFIX_74] = { [WITH_NONE] = NOT_HERE, [WITH_66] = ROW(VLOGIC, LOGIC, VX, WX) },
	[PREFIX_75] = { [WITH_NONE] = NOT_HERE, [WITH_66] = ROW(VLOGIC, LOGIC, VX, WX) },
	[PREFIX_76] = { [WITH_NONE] = NOT_HERE, [WITH_66] = ROW(VLOGIC, LOGIC, VX, WX) },
	[PREFIX_DB] = { [WITH_NONE] = NOT_HERE, [WITH_66] = ROW(VLOGIC, LOGIC, VX, WX) },
	[PREFIX_DF] = { [WITH_NONE] = NOT_HERE, [WITH_66] = ROW(VLOGIC, LOGIC, VX, WX) },
	[PREFIX_EB] = { [WITH_NONE] = NOT_HERE, [WITH_66] = ROW(VLOGIC, LOGIC, VX, WX) },
	[PREFIX_EF] = { [WITH_NONE] = NOT_HERE, [WITH_66] = ROW(VLOGIC, LOGIC, VX, WX) },
	[PREFIX_3817] = { [WITH_66] = ROW(PTEST, VEC | ROW_ALIGNED_SSE, VX, WX) },
	[PREFIX_3818] = { [WITH_66] = ROW(VBROADCAST, CAST, VX, WD) },
	[PREFIX_3819] = { [WITH_66] = ROW(VBROADCAST, CAST | ROW_VEX256, VX, WQ) },
	[PREFIX_381A] = { [WITH_66] = ROW(VBROADCAST, CAST | ROW_VEX256 | ROW_MEM, VX, WDQ) },
	[PREFIX_EXTEND_2] = { [WITH_66] = ROW(VEXTEND, VEC, VX, WX2) },
	[PREFIX_EXTEND_4] = { [WITH_66] = ROW(VEXTEND, VEC, VX, WX4) },
	[PREFIX_EXTEND_8] = { [WITH_66] = ROW(VEXTEND, VEC, VX, WX8) },
	[PREFIX_C4] = { [WITH_NONE] = NOT_HERE, [WITH_66] = ROW(VINSERT, INTO, VDQ, ERW, IB) },
	[PREFIX_F7] = {
		[WITH_NONE] = ROW(MASKMOVQ, M | MORE, NQ, PQ, QQ),
		[WITH_66] = ROW(MASKMOVDQU, VEC | ROW_VEX128 | MORE, NX, VX, WX),
	},
	[PREFIX_382C] = { [WITH_66] = ROW(VMASKMOV, BYMASK | ROW_W0, VX, WX) },
	[PREFIX_382E] = { [WITH_66] = ROW(VMASKMOV, BYMASK | ROW_W0, WX, VX) },
	[PREFIX_388C] = { [WITH_66] = ROW(VMASKMOV, BYMASK, VX, WX) },
	[PREFIX_388E] = { [WITH_66] = ROW(VMASKMOV, BYMASK, WX, VX) },
	[PREFIX_3A14] = { [WITH_66] = ROW(VEXTRACT, OUTOF, ERB, VDQ, IB) },
	[PREFIX_3A15] = { [WITH_66] = ROW(VEXTRACT, OUTOF, ERW, VDQ, IB) },
	[PREFIX_3A16] = { [WITH_66] = ROW(VEXTRACT, OUTOF, EY, VDQ, IB) },
	[PREFIX_3A17] = { [WITH_66] = ROW(VEXTRACT, OUTOF, ED, VDQ, IB) },	/* EXTRACTPS */
	[PREFIX_3A20] = { [WITH_66] = ROW(VINSERT, INTO, VDQ, ERB, IB) },
	[PREFIX_3A22] = { [WITH_66] = ROW(VINSERT, INTO, VDQ, EY, IB) },
	[PREFIX_3858] = { [WITH_66] = ROW(VBROADCAST, CAST, VX, WD) },
	[PREFIX_3859] = { [WITH_66] = ROW(VBROADCAST, CAST, VX, WQ) },
	[PREFIX_385A] = { [WITH_66] = ROW(VBROADCAST, CAST | ROW_VEX256 | ROW_MEM, VX, WDQ) },
	[PREFIX_3878] = { [WITH_66] = ROW(VBROADCAST, CAST, VX, WB) },
	[PREFIX_3879] = { [WITH_66] = ROW(VBROADCAST, CAST, VX, WW) },
	[PREFIX_38F8] = {
		[WITH_66] = ROW(MOVDIR64B, MM | MORE, GV, EB),
		[WITH_F3 ... WITH_F2] = NOT_HERE,		/* ENQCMDS, ENQCMD */
	},
	[PREFIX_38F9] = { [WITH_NONE] = ROW(MOVDIRI, MM, EY, GY) },
	[PREFIX_K90] = { [WITH_NONE ... WITH_66] = ROW(KMOV, VEX, EK) },
	[PREFIX_K91] = { [WITH_NONE ... WITH_66] = ROW(KMOV, VEX | ROW_MEM, EK) },
	[PREFIX_K92] = {
		[WITH_NONE ... WITH_66] = ROW(KMOV, VEX | ROW_W0, ED),
		[WITH_F2] = ROW(KMOV, VEX, EY),
	},
	[PREFIX_K93] = {
		[WITH_NONE ... WITH_66] = ROW(KMOV, VEX | ROW_W0, GD),
		[WITH_F2] = ROW(KMOV, VEX, GY),
	},
};

/* A bit for each opcode of 0F 38 and 0F 3A that is defined without a VEX prefix. */
static const u32 legacy_38[8] = {
	0x70b10fff, 0xffbf0f3f, 0x00000003, 0, 0x00000004, 0, 0xf800bf00, 0x03000000,
};

static const u32 legacy_3a[8] = {
	0x00f0ff00, 0x00000007, 0x00000017, 0x0000000f, 0, 0, 0x8000d000, 0,
};

/* With VEX, 90 to 93 are moves of mask registers instead of SETcc. */
const struct emu_row *emu_vex_two_byte(u8 byte)
{
	static const struct emu_row masks[] = {
		PREFIXED(K90), PREFIXED(K91), SPLIT(K92), SPLIT(K93),
	};

	return byte >= 0x90 && byte <= 0x93 ? &masks[byte - 0x90] : &emu_two_byte[byte];
}

static const struct emu_row *other_row(const u32 *legacy, u8 byte, bool vex)
{
	static const struct emu_row undefined, not_here = NOT_HERE;

	return vex || legacy[byte / 32] >> byte % 32 & 1 ? &not_here : &undefined;
}

const struct emu_row *emu_three_byte_38(u8 byte, bool vex)
{
	static const struct emu_row rows[256] = {
		[0x17] = PREFIXED(3817),
		[0x18] = PREFIXED(3818),
		[0x19] = PREFIXED(3819),
		[0x1a] = PREFIXED(381A),
		[0x20] = PREFIXED(EXTEND_2),
		[0x21] = PREFIXED(EXTEND_4),
		[0x22] = PREFIXED(EXTEND_8),
		[0x23] = PREFIXED(EXTEND_2),
		[0x24] = PREFIXED(EXTEND_4),
		[0x25] = PREFIXED(EXTEND_2),
		[0x2a] = PREFIXED(382A),
		[0x2c ... 0x2d] = PREFIXED(382C),
		[0x2e ... 0x2f] = PREFIXED(382E),
		[0x30] = PREFIXED(EXTEND_2),
		[0x31] = PREFIXED(EXTEND_4),
		[0x32] = PREFIXED(EXTEND_8),
		[0x33] = PREFIXED(EXTEND_2),
		[0x34] = PREFIXED(EXTEND_4),
		[0x35] = PREFIXED(EXTEND_2),
		[0x58] = PREFIXED(3858),
		[0x59] = PREFIXED(3859),
		[0x5a] = PREFIXED(385A),
		[0x78] = PREFIXED(3878),
		[0x79] = PREFIXED(3879),
		[0x8c] = PREFIXED(388C),
		[0x8e] = PREFIXED(388E),
		[0xf0] = PREFIXED(38F0),
		[0xf1] = PREFIXED(38F1),
		[0xf2] = PREFIXED(38F2),
		[0xf3] = PREFIXED(38F3),
		[0xf5] = PREFIXED(38F5),
		[0xf6] = PREFIXED(38F6),
		[0xf7] = PREFIXED(38F7),
		[0xf8] = PREFIXED(38F8),
		[0xf9] = PREFIXED(38F9),
	};

	return rows[byte].flags || byte == 0xf4 ? &rows[byte] : other_row(legacy_38, byte, vex);
}

const struct emu_row *emu_three_byte_3a(u8 byte, bool vex)
{
	static const struct emu_row rows[256] = {
		[0x14] = PREFIXED(3A14),
		[0x15] = PREFIXED(3A15),
		[0x16] = PREFIXED(3A16),
		[0x17] = PREFIXED(3A17),
		[0x20] = PREFIXED(3A20),
		[0x22] = PREFIXED(3A22),
		[0xf0] = PREFIXED(3AF0),
	};

	return rows[byte].flags ? &rows[byte] : other_row(legacy_3a, byte, vex);
}
