/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The guest half of the helper library: functions and macros for code that runs
 * inside the guest and must not call libc. vm.c builds descriptor tables and
 * memory.
 */
#ifndef KEEL_TEST_GUEST_H
#define KEEL_TEST_GUEST_H

#include <stdbool.h>
#include <stdint.h>
#include "layout.h"

#define GUEST_STUB_SIZE 16

struct guest_trap {
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8;
	uint64_t rdi, rsi, rbp, rbx, rdx, rcx, rax;
	uint64_t vector, error;
	uint64_t rip, cs, rflags, rsp, ss;
};

typedef void (*guest_handler_t)(struct guest_trap *trap);

extern const char guest_trap_stubs[];
/* Handlers, in the guest's own copy; a vector without a handler ends the test. */
extern guest_handler_t guest_handler[256];

static inline void guest_call(uint16_t port, uint64_t a, uint64_t b, uint64_t c)
{
	asm volatile("outl %%eax, %0"
		     : : "Nd"(port), "a"(0), "D"(a), "S"(b), "c"(c) : "memory");
}

#define guest_sync3(a, b, c) \
	guest_call(PORT_SYNC, (uint64_t)(a), (uint64_t)(b), (uint64_t)(c))
#define guest_sync(a) guest_sync3(a, 0, 0)

static inline void guest_done(void)
{
	for (;;)
		guest_call(PORT_DONE, 0, 0, 0);
}

#define GUEST_ASSERT_EQ(a, b) do {					\
	uint64_t __a = (uint64_t)(a), __b = (uint64_t)(b);		\
									\
	if (__a != __b)							\
		guest_call(PORT_ASSERT, __LINE__, __a, __b);		\
} while (0)
#define GUEST_ASSERT(cond) GUEST_ASSERT_EQ(!!(cond), 1)

/*
 * Execute an instruction that may trap: @trap becomes vector + 1, or 0, and the
 * guest continues after the instruction.
 */
#define GUEST_TRY(insn)							\
	"xorl %%r11d, %%r11d\n"						\
	"771: " insn "\n"						\
	"772:\n"							\
	".pushsection guest_fixup, \"a\"\n"				\
	".quad 771b, 772b\n"						\
	".popsection\n"

#define GUEST_TRY_TRAP(trap) register uint64_t trap asm("r11")

static inline int guest_rdmsr(uint32_t index, uint64_t *value)
{
	GUEST_TRY_TRAP(trap);
	uint32_t lo = 0, hi = 0;

	asm volatile(GUEST_TRY("rdmsr")
		     : "=&r"(trap), "+a"(lo), "+d"(hi) : "c"(index) : "memory");
	*value = (uint64_t)hi << 32 | lo;
	return trap;
}

static inline int guest_wrmsr(uint32_t index, uint64_t value)
{
	GUEST_TRY_TRAP(trap);

	asm volatile(GUEST_TRY("wrmsr")
		     : "=&r"(trap)
		     : "a"((uint32_t)value), "d"((uint32_t)(value >> 32)), "c"(index)
		     : "memory");
	return trap;
}

#define GUEST_GP (13 + 1)
#define GUEST_UD (6 + 1)

static inline void guest_cpuid(uint32_t fn, uint32_t idx, uint32_t out[4])
{
	asm volatile("cpuid"
		     : "=a"(out[0]), "=b"(out[1]), "=c"(out[2]), "=d"(out[3])
		     : "a"(fn), "c"(idx));
}

#define GUEST_READ_REG(name)						\
static inline uint64_t guest_read_##name(void)				\
{									\
	uint64_t value;							\
									\
	asm volatile("mov %%" #name ", %0" : "=r"(value) : : "memory");	\
	return value;							\
}

GUEST_READ_REG(cr0)
GUEST_READ_REG(cr2)
GUEST_READ_REG(cr3)
GUEST_READ_REG(cr4)

#define GUEST_WRITE_REG(name)						\
static inline void guest_write_##name(uint64_t value)			\
{									\
	asm volatile("mov %0, %%" #name : : "r"(value) : "memory");	\
}

GUEST_WRITE_REG(cr0)
GUEST_WRITE_REG(cr3)
GUEST_WRITE_REG(cr4)

#define GUEST_ACCESSORS(bits)						\
static inline uint##bits##_t guest_read##bits(uint64_t addr)		\
{									\
	uint##bits##_t v;						\
									\
	asm volatile("mov %1, %0"					\
		     : "=r"(v) : "m"(*(volatile uint##bits##_t *)addr));\
	return v;							\
}									\
static inline void guest_write##bits(uint64_t addr, uint##bits##_t v)	\
{									\
	asm volatile("mov %1, %0"					\
		     : "=m"(*(volatile uint##bits##_t *)addr) : "r"(v));\
}

GUEST_ACCESSORS(8)
GUEST_ACCESSORS(16)
GUEST_ACCESSORS(32)
GUEST_ACCESSORS(64)

/* Define a small block of 16-bit code, which vm_load() can copy anywhere. */
#define GUEST_CODE16(name, body)					\
extern const char name[], name##_end[];					\
asm(".pushsection .rodata\n"						\
	".code16\n"								\
	#name ":\n" body "\n"						\
	#name "_end:\n"							\
	".code64\n"								\
	".popsection\n")

/* Define a block of 32-bit code, which runs at its address in the copied program. */
#define GUEST_CODE32(name, body)					\
extern const char name[];						\
asm(".pushsection .rodata\n"						\
	".code32\n"								\
	#name ":\n" body "\n"						\
	".code64\n"								\
	".popsection\n")

#endif
