// SPDX-License-Identifier: GPL-2.0
/*
 * Owns the last store of a vCPU that has rung a doorbell of any length, so that
 * the same store need not be decoded the next time. exit.c selects the exits
 * that may be such a store; doorbell.c has the doorbells.
 *
 * To skip an instruction takes its length. The manual does not promise one for
 * an EPT violation: CPUs do report it, but not always that of the instruction
 * alone (one that is fused with a jump), and outer hypervisors may report
 * anything. So the length is the emulator's, which has decoded this very
 * instruction once and found it to write to memory and to do nothing else. The
 * exit must agree in RIP, in being only a write, in its length, and, by the
 * register that the store addresses with, in that the write begins at @gpa and
 * not on the page before.
 */
#include <linux/mm.h>

#include "doorbell.h"
#include "exit.h"
#include "keel.h"
#include "store.h"

/* Offset in its page of the store's first byte, if segments are aligned to pages. */
static unsigned int place(const struct keel_vcpu *vcpu, const struct keel_store *s)
{
	u64 base = s->base == EMU_NO_REG ? 0 : vcpu->vmx.gpr[s->base];

	return offset_in_page(base + s->disp);
}

/* True if the store lies on the page of @gpa, and the hardware's length is the decoder's. */
static bool agrees(struct keel_vcpu *vcpu, const struct keel_store *s, gpa_t gpa)
{
	return place(vcpu, s) == offset_in_page(gpa) &&
	       offset_in_page(gpa) + s->size <= PAGE_SIZE &&
	       vmx_exit_insn_len(&vcpu->vmx) == s->len;
}

bool keel_store_again(struct keel_vcpu *vcpu, gpa_t gpa)
{
	const struct keel_store *s = &vcpu->store;

	/* The emulator must check data breakpoints. */
	if (unlikely(vcpu->vmx.on_data))
		return false;
	if (!s->len || s->rip != vmx_rip(&vcpu->vmx) || !agrees(vcpu, s, gpa))
		return false;
	if (!keel_doorbell_any_length(vcpu, gpa))
		return false;
	keel_skip_insn(vcpu);
	return true;
}

/*
 * True if place() can compute the address: from one register that is not RSP,
 * which gpr[] may not hold.
 */
static bool simple_address(const struct emu_insn *insn)
{
	return insn->index == EMU_NO_REG && insn->base != EMU_RSP;
}

void keel_store_remember(struct keel_vcpu *vcpu, gpa_t gpa, u64 rip)
{
	const struct emu_insn *insn = &vcpu->emulation.ctx.insn;
	struct keel_store s = {
		.rip = rip,
		.base = insn->base,
		.disp = insn->disp + (insn->rip_relative ? rip + insn->length : 0),
		.len = insn->length,
		.size = insn->operand[0].size,
	};

	if (!vcpu->emulation.decoded || !emu_plain_store(&vcpu->emulation.ctx))
		return;
	if (simple_address(insn) && agrees(vcpu, &s, gpa))
		vcpu->store = s;
}
