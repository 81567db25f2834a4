/* SPDX-License-Identifier: GPL-2.0 */
/* Port and memory-mapped I/O on its way to userspace and back. */
#ifndef KEEL_IO_H
#define KEEL_IO_H

#include "types.h"

struct keel_vcpu;

/*
 * EXIT_REASON_IO_INSTRUCTION: IN, OUT and, with REP or without, INS, OUTS.
 * -ENXIO: nothing is done, the operand in memory is not RAM.
 */
int keel_io_exit(struct keel_vcpu *vcpu);

/*
 * MMIO of the one instruction being emulated (struct keel_mmio). A read
 * returns 0 if the bytes are there (replayed), or -EAGAIN: userspace must be
 * asked. A write is queued. -ENOSPC: more fragments than one instruction has.
 * @len: 1..8, not crossing a page.
 */
int keel_mmio_read(struct keel_vcpu *vcpu, gpa_t gpa, void *buf, unsigned int len);
int keel_mmio_write(struct keel_vcpu *vcpu, gpa_t gpa, const void *buf, unsigned int len);
/* The same for a port, @len 1, 2 or 4, that an emulated instruction uses. */
int keel_port_read(struct keel_vcpu *vcpu, u16 port, void *buf, unsigned int len);
int keel_port_write(struct keel_vcpu *vcpu, u16 port, const void *buf, unsigned int len);
/*
 * RAM that it reads, within a page, is noted, and recalled when the instruction
 * is run again: 0, or -ENOENT if it was not read before. -ENOSPC as above.
 */
int keel_ram_recall(struct keel_vcpu *vcpu, gpa_t gpa, void *buf, unsigned int len);
int keel_ram_note(struct keel_vcpu *vcpu, gpa_t gpa, const void *buf, unsigned int len);

/* Start the instruction again: replay the first @answered reads. */
void keel_mmio_rewind(struct keel_vcpu *vcpu, unsigned int answered);
/* Around a rehearsal: nothing is asked or queued, and what is not known reads as zeros. */
void keel_mmio_rehearse(struct keel_vcpu *vcpu, bool begin);
/* Forget all: a new instruction. */
void keel_mmio_reset(struct keel_vcpu *vcpu);
/* Ask userspace for the next read; called after -EAGAIN. */
int keel_mmio_ask(struct keel_vcpu *vcpu);
/* Take its answer, before the instruction is run again. */
void keel_mmio_answer(struct keel_vcpu *vcpu);
/*
 * The instruction is committed: let doorbells and zones, as they are now, take
 * its writes, and hand the others over, one exit each; flush: those after the
 * first. RUN_RESUME if there are none. SRCU held.
 */
int keel_mmio_commit(struct keel_vcpu *vcpu);
int keel_mmio_flush(struct keel_vcpu *vcpu);
bool keel_mmio_queued(const struct keel_vcpu *vcpu);

#endif
