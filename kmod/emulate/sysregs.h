/* SPDX-License-Identifier: GPL-2.0 */
/*
 * System state of the vCPU as the emulator asks for it: control, debug and
 * model-specific registers, descriptor tables, CPUID, ports.
 */
#ifndef KEEL_EMULATE_SYSREGS_H
#define KEEL_EMULATE_SYSREGS_H

#include "emulate.h"

/* ctx->priv is the vCPU, loaded. */
extern const struct emu_system keel_emu_system;

#endif
