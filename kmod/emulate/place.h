/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Places in memory that the emulated instruction accesses: each page is
 * translated and looked up once (struct keel_place). Private to this folder.
 */
#ifndef KEEL_EMULATE_PLACE_H
#define KEEL_EMULATE_PLACE_H

#include "../types.h"
#include "emulate.h"

struct keel_place;
struct walk_fault;

/* struct place_span - an access, in one or two pages; @offset: within the page */
struct place_span {
	int parts;
	struct place_part {
		const struct keel_place *place;
		unsigned int offset;
		unsigned int len;
	} part[2];
};

/* Convert @access, a set of enum emu_access, to ACC_*. */
unsigned int place_walk_access(const struct emu_ctx *ctx, unsigned int access);

/* Convert the result @err of a page walk to the result of the instruction. */
enum emu_result place_walked(struct emu_ctx *ctx, int err, const struct walk_fault *fault);

/* Make KVM_RUN return @err; nothing of the instruction is committed. */
enum emu_result place_host_error(struct emu_ctx *ctx, int err);

/*
 * Find the pages of [@linear, @linear + @size) for @access. EMU_FAULT: page
 * fault. EMU_IO: the address may depend on an answer that userspace has not given
 * yet.
 */
enum emu_result place_find(struct emu_ctx *ctx, u64 linear, unsigned int size,
			   unsigned int access, struct place_span *span);

#endif
