/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Execute one x87 instruction with a memory operand, or FNINIT or FNCLEX, on a
 * state in memory. The processor runs the instruction itself, so rounding, the
 * register stack and exceptions are exact. Also compiles natively.
 *
 * The caller makes sure that the registers can be used and that no unmasked
 * exception is pending: then no instruction here can fault. If one does, the
 * exception table skips it.
 */
#ifndef KEEL_EMULATE_X87_H
#define KEEL_EMULATE_X87_H

#include "emulate.h"

#ifdef __KERNEL__
#include <asm/asm.h>
#define X87_SAFELY(insn) "1: " insn "\n2:\n" _ASM_EXTABLE(1b, 2b)
#else
#define X87_SAFELY(insn) insn
#endif

#define X87_FNCLEX	0xe2	/* ModRM bytes of these instructions, with opcode DB */
#define X87_FNINIT	0xe3

static __always_inline void x87_run_n(unsigned int n, void *buf)
{
	/* 64 forms: eight opcodes, eight values of ModRM.reg; memory at %rax. */
	asm volatile(X87_SAFELY(".byte %c1, %c2")
		     : : "a" (buf), "i" (0xd8 + n / 8), "i" (n % 8 * 8) : "memory");
}

static __always_inline void x87_run_2(unsigned int n, unsigned int number, void *buf)
{
	if (number & 1)
		x87_run_n(n | 1, buf);
	else
		x87_run_n(n, buf);
}

static __always_inline void x87_run_4(unsigned int n, unsigned int number, void *buf)
{
	if (number & 2)
		x87_run_2(n | 2, number, buf);
	else
		x87_run_2(n, number, buf);
}

static __always_inline void x87_run_8(unsigned int n, unsigned int number, void *buf)
{
	if (number & 4)
		x87_run_4(n | 4, number, buf);
	else
		x87_run_4(n, number, buf);
}

static __always_inline void x87_run_16(unsigned int n, unsigned int number, void *buf)
{
	if (number & 8)
		x87_run_8(n | 8, number, buf);
	else
		x87_run_8(n, number, buf);
}

static __always_inline void x87_run_memory(unsigned int number, void *buf)
{
	if (number & 32 && number & 16)
		x87_run_16(48, number, buf);
	else if (number & 32)
		x87_run_16(32, number, buf);
	else if (number & 16)
		x87_run_16(16, number, buf);
	else
		x87_run_16(0, number, buf);
}

static __always_inline void x87_run(u8 opcode, u8 modrm, void *buf)
{
	if (modrm == X87_FNINIT)
		asm volatile("fninit");
	else if (modrm == X87_FNCLEX)
		asm volatile("fnclex");
	else
		x87_run_memory((opcode & 7) << 3 | (modrm >> 3 & 7), buf);
}

static __always_inline void x87_save(struct emu_fx *fx)
{
	asm volatile("fxsave64 %0" : "=m" (*fx));
}

static __always_inline void x87_restore(const struct emu_fx *fx)
{
	asm volatile(X87_SAFELY("fxrstor64 %0") : : "m" (*fx));
}

/* Run the instruction on @fx; preserve the contents of the registers. */
static __always_inline void x87_run_on(struct emu_fx *fx, u8 opcode, u8 modrm, void *buf)
{
	struct emu_fx mine = {};

	x87_save(&mine);
	x87_restore(fx);
	x87_run(opcode, modrm, buf);
	x87_save(fx);
	x87_restore(&mine);
}

#endif
