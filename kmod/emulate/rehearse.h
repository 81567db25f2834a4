/* SPDX-License-Identifier: GPL-2.0 */
/* Find out what an instruction will access once userspace has answered. Private to this folder. */
#ifndef KEEL_EMULATE_REHEARSE_H
#define KEEL_EMULATE_REHEARSE_H

#include "emulate.h"

struct keel_vcpu;

/*
 * The instruction has read from a device, and userspace is about to be asked.
 * Find the places of all its further accesses. EMU_IO: go ahead. EMU_FAULT: a
 * page fault stands in the way of one of them, and comes first. EMU_RETRY.
 */
enum emu_result keel_rehearse(struct keel_vcpu *vcpu);

/* bridge.c */
extern const struct emu_ops keel_emu_ops;

#endif
