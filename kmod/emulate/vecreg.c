// SPDX-License-Identifier: GPL-2.0
/*
 * Access to the guest's vector registers while they are this task's own: made
 * live in the processor if they are not, then moved one at a time. What the
 * emulated instruction does with them is vector.c's business.
 */
#include <linux/sched.h>
#include <linux/string.h>
#include <linux/thread_info.h>
#include <asm/fpu/api.h>

#include "vecreg.h"

struct vector {
	u8 bytes[EMU_OPERAND_MAX];
};

/*
 * The number of a register is part of the instruction that moves it. All of
 * this is inlined: @n is a constant in the end.
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

static __always_inline void move(move_fn *fn, unsigned int reg, struct vector *v)
{
	switch (reg) {
	case 0:
		fn(0, v);
		break;
	case 1:
		fn(1, v);
		break;
	case 2:
		fn(2, v);
		break;
	case 3:
		fn(3, v);
		break;
	case 4:
		fn(4, v);
		break;
	case 5:
		fn(5, v);
		break;
	case 6:
		fn(6, v);
		break;
	case 7:
		fn(7, v);
		break;
	case 8:
		fn(8, v);
		break;
	case 9:
		fn(9, v);
		break;
	case 10:
		fn(10, v);
		break;
	case 11:
		fn(11, v);
		break;
	case 12:
		fn(12, v);
		break;
	case 13:
		fn(13, v);
		break;
	case 14:
		fn(14, v);
		break;
	case 15:
		fn(15, v);
		break;
	}
}

/* Nobody takes the registers away until fpregs_unlock(). */
static void lock_registers(void)
{
	fpregs_lock();
	if (test_thread_flag(TIF_NEED_FPU_LOAD))
		switch_fpu_return();
}

void keel_read_xmm(struct emu_ctx *ctx, unsigned int reg, void *buf, unsigned int size)
{
	struct vector v;

	lock_registers();
	if (size == EMU_OPERAND_MAX)
		move(store_ymm, reg, &v);
	else
		move(store_xmm, reg, &v);
	fpregs_unlock();
	memcpy(buf, &v, size);
}

void keel_write_xmm(struct emu_ctx *ctx, unsigned int reg, const void *buf, unsigned int size,
		    bool clear_upper)
{
	struct vector v;

	memcpy(&v, buf, size);
	lock_registers();
	if (size == EMU_OPERAND_MAX)
		move(load_ymm, reg, &v);
	else if (clear_upper)
		move(load_xmm_and_clear, reg, &v);
	else
		move(load_xmm, reg, &v);
	fpregs_unlock();
}
