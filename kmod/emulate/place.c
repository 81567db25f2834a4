// SPDX-License-Identifier: GPL-2.0
/*
 * Find and keep the places that the emulated instruction accesses. What is found
 * for a page - its gpa for this kind of access, and the memory or device there -
 * is used for the whole instruction, even if page tables or memslots change during
 * an exit to userspace: see "An answer is used" in docs/memory-updates.md.
 *
 * Fills struct keel_place; bridge.c moves the data.
 */
#include <linux/kernel.h>
#include <linux/mm.h>
#include <asm/trapnr.h>

#include "../gpa.h"
#include "../keel.h"
#include "place.h"

unsigned int place_walk_access(const struct emu_ctx *ctx, unsigned int access)
{
	unsigned int acc = ctx->cpl == 3 ? ACC_USER : 0;

	if (access & EMU_FETCH)
		return acc | ACC_EXEC;
	if (access & EMU_SYSTEM)
		acc = ACC_IMPLICIT;
	return acc | (access & (EMU_WRITE | EMU_RMW) ? ACC_WRITE : ACC_READ);
}

/* In long mode descriptor tables have 64-bit addresses even for 32-bit code. */
static bool is_wide(const struct emu_ctx *ctx, unsigned int access)
{
	return ctx->mode == EMU_MODE_LONG64 ||
	       (access & EMU_SYSTEM && ctx->efer & EFER_LMA);
}

enum emu_result place_host_error(struct emu_ctx *ctx, int err)
{
	struct keel_vcpu *vcpu = ctx->priv;

	vcpu->emulation.error = err;
	return EMU_RETRY;
}

enum emu_result place_walked(struct emu_ctx *ctx, int err, const struct walk_fault *fault)
{
	if (!err)
		return EMU_OK;
	if (err == -EFAULT)
		return place_host_error(ctx, err);
	if (err != WALK_FAULT)
		return EMU_RETRY;
	ctx->fault = (struct emu_exception) {
		.vector = X86_TRAP_PF, .has_error = true, .error_code = fault->error,
		.cr2 = fault->gva,
	};
	return EMU_FAULT;
}

static const struct keel_place *known(const struct keel_emulation *e, gva_t page,
				      unsigned int access)
{
	int i;

	for (i = 0; i < e->nr_places; i++)
		if (e->place[i].page == page && e->place[i].access == access)
			return &e->place[i];
	return NULL;
}

/* Find the place of the page of @linear. @access: ACC_* */
static enum emu_result find_page(struct emu_ctx *ctx, gva_t linear, unsigned int access,
				 const struct keel_place **place)
{
	struct keel_vcpu *vcpu = ctx->priv;
	struct keel_emulation *e = &vcpu->emulation;
	struct keel_place *new = &e->place[e->nr_places];
	struct walk_fault fault;
	int err;

	*place = known(e, linear & PAGE_MASK, access);
	if (*place)
		return EMU_OK;
	if (e->nr_places == KEEL_PLACES)
		return EMU_UNHANDLED;
	err = mmu_walk(vcpu, linear, access, true, &new->gpa, &fault);
	if (err)
		return place_walked(ctx, err, &fault);
	new->page = linear & PAGE_MASK;
	new->access = access;
	new->gpa &= PAGE_MASK;
	new->memory = keel_gpa_find(vcpu, new->gpa, &new->hva, &new->writable);
	e->nr_places++;
	*place = new;
	return EMU_OK;
}

enum emu_result place_find(struct emu_ctx *ctx, u64 linear, unsigned int size,
			   unsigned int access, struct place_span *span)
{
	struct keel_vcpu *vcpu = ctx->priv;
	unsigned int acc = place_walk_access(ctx, access);
	enum emu_result r = EMU_OK;

	/* In a rehearsal, the address of a descriptor may depend on the guessed answer. */
	if (access & EMU_SYSTEM && vcpu->mmio.guessed)
		return EMU_IO;
	for (span->parts = 0; size && r == EMU_OK; span->parts++) {
		struct place_part *p = &span->part[span->parts];

		if (!is_wide(ctx, access))
			linear = (u32)linear;
		p->offset = offset_in_page(linear);
		p->len = min_t(unsigned int, size, PAGE_SIZE - p->offset);
		r = find_page(ctx, linear, acc, &p->place);
		linear += p->len;
		size -= p->len;
	}
	return r;
}
