/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Access to the guest's vector and x87 registers, for instructions that move them
 * to and from memory that the hardware cannot reach.
 */
#ifndef KEEL_EMULATE_VECREG_H
#define KEEL_EMULATE_VECREG_H

#include "emulate.h"

/*
 * Callbacks of struct emu_ops, without keel_. The FPU registers must hold the
 * guest's state: call these between the swaps around KVM_RUN. Process context.
 */
void keel_read_xmm(struct emu_ctx *ctx, unsigned int reg, void *buf, unsigned int size);
void keel_write_xmm(struct emu_ctx *ctx, unsigned int reg, const void *buf, unsigned int size,
		    bool clear_upper);
u64 keel_read_mask(struct emu_ctx *ctx, unsigned int reg);
void keel_write_mask(struct emu_ctx *ctx, unsigned int reg, u64 val);
void keel_read_fx(struct emu_ctx *ctx, struct emu_fx *fx);
void keel_write_fx(struct emu_ctx *ctx, const struct emu_fx *fx);
void keel_run_x87(struct emu_fx *fx, u8 opcode, u8 modrm, void *buf);

/* XGETBV with ECX = 1, over all components that the host has enabled; all ones if unsupported. */
u64 keel_xstate_in_use(void);

#endif
