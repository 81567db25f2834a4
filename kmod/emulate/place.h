/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where the memory is that the emulated instruction accesses: each page of it
 * is translated and looked up once (struct keel_place). Private to this folder.
 */
#ifndef KEEL_EMULATE_PLACE_H
#define KEEL_EMULATE_PLACE_H

#include "../types.h"
#include "emulate.h"

struct keel_place;
struct walk_fault;

/* struct place_span - an access, on at most two pages; @offset: within the page */
struct place_span {
	int parts;
	struct place_part {
		const struct keel_place *place;
		unsigned int offset;
		unsigned int len;
	} part[2];
};

/* ACC_* of @access, a set of enum emu_access. */
unsigned int place_walk_access(const struct emu_ctx *ctx, unsigned int access);

/* The result for the instruction of a walk that ended with @err. */
enum emu_result place_walked(struct emu_ctx *ctx, int err, const struct walk_fault *fault);

/* Nothing is committed: KVM_RUN ends with @err. */
enum emu_result place_host_error(struct emu_ctx *ctx, int err);

/*
 * Where [@linear, @linear + @size) is, for @access. EMU_FAULT: it must not be
 * accessed. EMU_IO: that depends on answers which are not there yet.
 */
enum emu_result place_find(struct emu_ctx *ctx, u64 linear, unsigned int size,
			   unsigned int access, struct place_span *span);

#endif
