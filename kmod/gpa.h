/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Access to guest-physical memory, through the slots of the vCPU's address space, in
 * the owner's process. For page walks, the emulator and string I/O. Callers run in
 * the owner's context, may sleep, and hold vm->srcu.
 */
#ifndef KEEL_GPA_H
#define KEEL_GPA_H

#include "types.h"

struct keel_vcpu;

/*
 * Copy @len bytes, which may cross pages and slots. One snapshot explains the whole
 * copy, and all copies that an emulated instruction makes.
 * 1, 2, 4 and 8 aligned bytes are copied in one access.
 * -ENXIO: a byte is in no slot, or is written to in a read-only slot. -EFAULT: the
 * owner's process cannot access a byte at its hva, which ends KVM_RUN. Bytes before
 * it may have been copied.
 */
int keel_gpa_read(struct keel_vcpu *vcpu, gpa_t gpa, void *buf, unsigned int len);
int keel_gpa_write(struct keel_vcpu *vcpu, gpa_t gpa, const void *buf, unsigned int len);

/*
 * Read an entry of the guest's page tables: 4 or 8 bytes (@len), aligned. In no slot
 * it reads as 0: not present. 0 or -EFAULT.
 */
int keel_gpa_read_entry(struct keel_vcpu *vcpu, gpa_t gpa, unsigned int len, u64 *entry);
/* Read @count entries in turn: are they equal to @entry, where none is 0? */
bool keel_gpa_entries_are(struct keel_vcpu *vcpu, const gpa_t *gpa, const u64 *entry,
			  unsigned int count, unsigned int len);

/* Is @gpa in a slot? *@hva: where in the owner's process. *@writable: not a read-only slot. */
bool keel_gpa_find(struct keel_vcpu *vcpu, gpa_t gpa, hva_t *hva, bool *writable);

/*
 * Access memory, within a page, for which @gpa was found to be @hva in an earlier read
 * section; slots may have changed since. If any slot shows @hva now, the memory is
 * accessed, and marked dirty where that slot shows it. If none does, userspace has
 * taken it back: a write is dropped, and a read gives all ones. 0 or -EFAULT.
 */
int keel_gpa_read_held(struct keel_vcpu *vcpu, gpa_t gpa, hva_t hva, void *buf, unsigned int len);
int keel_gpa_write_held(struct keel_vcpu *vcpu, gpa_t gpa, hva_t hva, const void *buf,
			unsigned int len);

/*
 * If @len bytes at @gpa equal @old, replace them by @new, atomically.
 * @len: 1, 2, 4, 8 or 16, within a cache line; 16 bytes must be aligned.
 * -EAGAIN: they hold another value. -EINVAL: length or alignment, or no CMPXCHG16B.
 * -ENXIO, -EFAULT: as above.
 */
int keel_gpa_cmpxchg(struct keel_vcpu *vcpu, gpa_t gpa, const void *old, const void *new,
		     unsigned int len);

#endif
