/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Find the accesses that an instruction makes after userspace has answered.
 * Private to this folder.
 */
#ifndef KEEL_EMULATE_REHEARSE_H
#define KEEL_EMULATE_REHEARSE_H

#include "emulate.h"

struct keel_vcpu;

/*
 * Call this when the instruction has read from a device, before userspace is
 * asked: find the pages of all its further accesses. EMU_IO: ask userspace.
 * EMU_FAULT: one of the accesses raises a page fault, which comes first.
 * EMU_RETRY as in enum emu_result.
 */
enum emu_result keel_rehearse(struct keel_vcpu *vcpu);

/* bridge.c */
extern const struct emu_ops keel_emu_ops;

#endif
