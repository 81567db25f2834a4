/* SPDX-License-Identifier: GPL-2.0 */
/* Port and memory-mapped I/O on its way to userspace and back. */
#ifndef KEEL_IO_H
#define KEEL_IO_H

#include "types.h"

struct keel_vcpu;

/*
 * EXIT_REASON_IO_INSTRUCTION: IN, OUT and, with REP or without, INS, OUTS.
 * -ENXIO: nothing is done, as the operand in memory is not RAM.
 */
int keel_io_exit(struct keel_vcpu *vcpu);

/*
 * MMIO of the instruction being emulated (struct keel_mmio). A read returns 0
 * if the bytes are known, or -EAGAIN if userspace must be asked. A write is
 * queued. -ENOSPC: more than KEEL_MMIO_FRAGMENTS. @len: 1..8, not crossing a
 * page.
 */
int keel_mmio_read(struct keel_vcpu *vcpu, gpa_t gpa, void *buf, unsigned int len);
int keel_mmio_write(struct keel_vcpu *vcpu, gpa_t gpa, const void *buf, unsigned int len);
/* The same for a port of an emulated instruction. @len: 1, 2 or 4. */
int keel_port_read(struct keel_vcpu *vcpu, u16 port, void *buf, unsigned int len);
int keel_port_write(struct keel_vcpu *vcpu, u16 port, const void *buf, unsigned int len);
/*
 * Note RAM that the emulated instruction reads, within a page, and recall it
 * when the instruction is executed again: 0, or -ENOENT if it was not read
 * before. -ENOSPC as above.
 */
int keel_ram_recall(struct keel_vcpu *vcpu, gpa_t gpa, void *buf, unsigned int len);
int keel_ram_note(struct keel_vcpu *vcpu, gpa_t gpa, const void *buf, unsigned int len);

/* Start the instruction again: replay the first @answered fragments. */
void keel_mmio_rewind(struct keel_vcpu *vcpu, unsigned int answered);
/* Begin or end a rehearsal: ask and queue nothing; reads without known bytes return zeros. */
void keel_mmio_rehearse(struct keel_vcpu *vcpu, bool begin);
/* Drop all fragments, for a new instruction. */
void keel_mmio_reset(struct keel_vcpu *vcpu);
/* Ask userspace for the next read, after -EAGAIN. */
int keel_mmio_ask(struct keel_vcpu *vcpu);
/* Take userspace's answer, before the instruction is executed again. */
void keel_mmio_answer(struct keel_vcpu *vcpu);
/*
 * Commit the instruction: offer its writes to the doorbells and zones of this
 * moment, and hand the others to userspace, one exit each. keel_mmio_flush()
 * hands over those after the first. RUN_RESUME if none is left. SRCU held.
 */
int keel_mmio_commit(struct keel_vcpu *vcpu);
int keel_mmio_flush(struct keel_vcpu *vcpu);
bool keel_mmio_queued(const struct keel_vcpu *vcpu);

#endif
