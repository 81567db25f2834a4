/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Guest-physical memory as the kernel reads and writes it: through the slots
 * of the vCPU's address space, into the owner's process. For page walks, the
 * emulator and string I/O. Callers are in the owner's context, may sleep, and
 * hold vm->srcu.
 */
#ifndef KEEL_GPA_H
#define KEEL_GPA_H

#include "types.h"

struct keel_vcpu;

/*
 * Copy @len bytes, over pages and slots. One snapshot explains the whole copy,
 * and all copies that an emulated instruction makes.
 * 1, 2, 4 and 8 aligned bytes are copied in one access.
 * -ENXIO: some byte is in no slot, or must not be written. -EFAULT: it is in
 * one, but the owner's process has nothing there that can be accessed, which
 * ends KVM_RUN. Bytes before it may have been copied.
 */
int keel_gpa_read(struct keel_vcpu *vcpu, gpa_t gpa, void *buf, unsigned int len);
int keel_gpa_write(struct keel_vcpu *vcpu, gpa_t gpa, const void *buf, unsigned int len);

/*
 * An entry of the guest's tables, of @len bytes, 4 or 8, and aligned. Where
 * there is no slot it reads as 0, which is one that is not present. 0 or -EFAULT.
 */
int keel_gpa_read_entry(struct keel_vcpu *vcpu, gpa_t gpa, unsigned int len, u64 *entry);
/* Read @count of them in turn: are they, and still, what is in @entry, where none is 0? */
bool keel_gpa_entries_are(struct keel_vcpu *vcpu, const gpa_t *gpa, const u64 *entry,
			  unsigned int count, unsigned int len);

/* Is @gpa in a slot? Where in the owner's process, and may the guest write there? */
bool keel_gpa_find(struct keel_vcpu *vcpu, gpa_t gpa, hva_t *hva, bool *writable);

/*
 * The same memory, within a page, in a later read section: the slots may be
 * others since @gpa was found to be @hva. While any slot shows that memory it is
 * accessed, wherever the guest sees it now, and noted as written to there. What
 * no slot shows has been taken back by userspace: it is not touched, what is
 * written is lost with it and what is read is all ones. 0 or -EFAULT.
 */
int keel_gpa_read_held(struct keel_vcpu *vcpu, gpa_t gpa, hva_t hva, void *buf, unsigned int len);
int keel_gpa_write_held(struct keel_vcpu *vcpu, gpa_t gpa, hva_t hva, const void *buf,
			unsigned int len);

/*
 * If @len bytes at @gpa equal @old, make them @new, in one atomic step.
 * @len: 1, 2, 4, 8 or 16, within a cache line; of 16, @gpa is a multiple.
 * -EAGAIN: they hold something else. -EINVAL: length or alignment. -ENXIO,
 * -EFAULT: as above.
 */
int keel_gpa_cmpxchg(struct keel_vcpu *vcpu, gpa_t gpa, const void *old, const void *new,
		     unsigned int len);

#endif
