/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The guest's vector registers, for instructions that move them to and from
 * memory the hardware cannot reach.
 */
#ifndef KEEL_EMULATE_VECREG_H
#define KEEL_EMULATE_VECREG_H

#include "emulate.h"

/*
 * The callbacks of the same names in struct emu_ops. The guest's FPU state
 * must be this task's: between the swaps around KVM_RUN. Process context.
 */
void keel_read_xmm(struct emu_ctx *ctx, unsigned int reg, void *buf, unsigned int size);
void keel_write_xmm(struct emu_ctx *ctx, unsigned int reg, const void *buf, unsigned int size,
		    bool clear_upper);
u64 keel_read_mask(struct emu_ctx *ctx, unsigned int reg);
void keel_write_mask(struct emu_ctx *ctx, unsigned int reg, u64 val);
void keel_read_fx(struct emu_ctx *ctx, struct emu_fx *fx);
void keel_write_fx(struct emu_ctx *ctx, const struct emu_fx *fx);
void keel_run_x87(struct emu_fx *fx, u8 opcode, u8 modrm, void *buf);

/* What XGETBV says to ECX = 1, for all that the host has switched on; all of it if nothing does. */
u64 keel_xstate_in_use(void);

#endif
