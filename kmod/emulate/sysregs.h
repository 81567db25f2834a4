/* SPDX-License-Identifier: GPL-2.0 */
/*
 * System state of the vCPU for the emulator: control, debug and model-specific
 * registers, descriptor tables, CPUID, ports.
 */
#ifndef KEEL_EMULATE_SYSREGS_H
#define KEEL_EMULATE_SYSREGS_H

#include "emulate.h"

/* ctx->priv is the vCPU, which must be loaded. */
extern const struct emu_system keel_emu_system;

#endif
