// SPDX-License-Identifier: GPL-2.0
/*
 * Access to the guest's vector, mask and x87 registers while the FPU state of
 * this task is the guest's: load it into the processor if it is not there, then
 * move one register. vector.c and x87.c know what the instructions do.
 */
#include <linux/sched.h>
#include <linux/string.h>
#include <linux/thread_info.h>
#include <asm/cpufeature.h>
#include <asm/fpu/api.h>

#include "vecreg.h"
#include "x87.h"

struct vector {
	u8 bytes[EMU_OPERAND_MAX];
};

/*
 * The register number is encoded in the instruction, so @n must be a constant:
 * all callers are inlined.
 */
typedef void move_fn(unsigned int n, struct vector *v);

static __always_inline void store_xmm(unsigned int n, struct vector *v)
{
	asm volatile("movups %%xmm%c1, %0" : "=m" (*v) : "i" (n));
}

static __always_inline void store_ymm(unsigned int n, struct vector *v)
{
	asm volatile("vmovups %%ymm%c1, %0" : "=m" (*v) : "i" (n));
}

static __always_inline void load_xmm(unsigned int n, struct vector *v)
{
	asm volatile("movups %0, %%xmm%c1" : : "m" (*v), "i" (n));
}

static __always_inline void load_xmm_and_clear(unsigned int n, struct vector *v)
{
	asm volatile("vmovups %0, %%xmm%c1" : : "m" (*v), "i" (n));
}

static __always_inline void load_ymm(unsigned int n, struct vector *v)
{
	asm volatile("vmovups %0, %%ymm%c1" : : "m" (*v), "i" (n));
}

static __always_inline void store_zmm(unsigned int n, struct vector *v)
{
	asm volatile("vmovups %%zmm%c1, %0" : "=m" (*v) : "i" (n));
}

static __always_inline void load_zmm(unsigned int n, struct vector *v)
{
	asm volatile("vmovups %0, %%zmm%c1" : : "m" (*v), "i" (n));
}

static __always_inline void store_mask64(unsigned int n, struct vector *v)
{
	asm volatile("kmovq %%k%c1, %0" : "=m" (*v) : "i" (n));
}

static __always_inline void store_mask16(unsigned int n, struct vector *v)
{
	asm volatile("kmovw %%k%c1, %0" : "+m" (*v) : "i" (n));
}

static __always_inline void load_mask64(unsigned int n, struct vector *v)
{
	asm volatile("kmovq %0, %%k%c1" : : "m" (*v), "i" (n));
}

static __always_inline void load_mask16(unsigned int n, struct vector *v)
{
	asm volatile("kmovw %0, %%k%c1" : : "m" (*v), "i" (n));
}

/* Select register @reg of the 2, 4, 8, 16 or 32 from @n on, one bit per level. */
static __always_inline void move_2(move_fn *fn, unsigned int n, unsigned int reg, struct vector *v)
{
	if (reg & 1)
		fn(n | 1, v);
	else
		fn(n, v);
}

static __always_inline void move_4(move_fn *fn, unsigned int n, unsigned int reg, struct vector *v)
{
	if (reg & 2)
		move_2(fn, n | 2, reg, v);
	else
		move_2(fn, n, reg, v);
}

static __always_inline void move_8(move_fn *fn, unsigned int n, unsigned int reg, struct vector *v)
{
	if (reg & 4)
		move_4(fn, n | 4, reg, v);
	else
		move_4(fn, n, reg, v);
}

static __always_inline void move_16(move_fn *fn, unsigned int n, unsigned int reg, struct vector *v)
{
	if (reg & 8)
		move_8(fn, n | 8, reg, v);
	else
		move_8(fn, n, reg, v);
}

static __always_inline void move_32(move_fn *fn, unsigned int reg, struct vector *v)
{
	if (reg & 16)
		move_16(fn, 16, reg, v);
	else
		move_16(fn, 0, reg, v);
}

/* Load the FPU registers if needed, and keep them loaded until fpregs_unlock(). */
static void lock_registers(void)
{
	fpregs_lock();
	if (test_thread_flag(TIF_NEED_FPU_LOAD))
		switch_fpu_return();
}

/* Move registers that only AVX-512 can encode whole: their parts need AVX512VL. */
static bool needs_512(unsigned int reg, unsigned int size)
{
	return reg >= 16 || size > 32;
}

void keel_read_xmm(struct emu_ctx *ctx, unsigned int reg, void *buf, unsigned int size)
{
	struct vector v;

	lock_registers();
	if (needs_512(reg, size))
		move_32(store_zmm, reg, &v);
	else if (size == 32)
		move_16(store_ymm, 0, reg, &v);
	else
		move_16(store_xmm, 0, reg, &v);
	fpregs_unlock();
	memcpy(buf, &v, size);
}

/* Every write to a register above 15 clears the rest of it. */
void keel_write_xmm(struct emu_ctx *ctx, unsigned int reg, const void *buf, unsigned int size,
		    bool clear_upper)
{
	struct vector v = {};

	memcpy(&v, buf, size);
	lock_registers();
	if (needs_512(reg, size))
		move_32(load_zmm, reg, &v);
	else if (size == 32)
		move_16(load_ymm, 0, reg, &v);
	else if (clear_upper)
		move_16(load_xmm_and_clear, 0, reg, &v);
	else
		move_16(load_xmm, 0, reg, &v);
	fpregs_unlock();
}

/* Without AVX-512BW masks are 16 bits wide. */
u64 keel_read_mask(struct emu_ctx *ctx, unsigned int reg)
{
	struct vector v = {};
	u64 val;

	lock_registers();
	if (boot_cpu_has(X86_FEATURE_AVX512BW))
		move_8(store_mask64, 0, reg, &v);
	else
		move_8(store_mask16, 0, reg, &v);
	fpregs_unlock();
	memcpy(&val, &v, sizeof(val));
	return val;
}

void keel_write_mask(struct emu_ctx *ctx, unsigned int reg, u64 val)
{
	struct vector v = {};

	memcpy(&v, &val, sizeof(val));
	lock_registers();
	if (boot_cpu_has(X86_FEATURE_AVX512BW))
		move_8(load_mask64, 0, reg, &v);
	else
		move_8(load_mask16, 0, reg, &v);
	fpregs_unlock();
}

void keel_read_fx(struct emu_ctx *ctx, struct emu_fx *fx)
{
	memset(fx, 0, sizeof(*fx));
	lock_registers();
	x87_save(fx);
	fpregs_unlock();
}

void keel_write_fx(struct emu_ctx *ctx, const struct emu_fx *fx)
{
	lock_registers();
	x87_restore(fx);
	fpregs_unlock();
}

/* x87_run_on() restores what the guest has in the registers. */
void keel_run_x87(struct emu_fx *fx, u8 opcode, u8 modrm, void *buf)
{
	lock_registers();
	x87_run_on(fx, opcode, modrm, buf);
	fpregs_unlock();
}

u64 keel_xstate_in_use(void)
{
	u32 low, high;

	if (!boot_cpu_has(X86_FEATURE_XGETBV1))
		return ~0ull;
	lock_registers();
	asm volatile("xgetbv" : "=a" (low), "=d" (high) : "c" (1));
	fpregs_unlock();
	return low | (u64)high << 32;
}
