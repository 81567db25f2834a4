// SPDX-License-Identifier: GPL-2.0
/*
 * Trap entry of the test guest: 256 stubs, one handler table, and the fix-up
 * of instructions that are allowed to trap. Runs inside the guest only.
 */
#include "guest.h"

guest_handler_t guest_handler[256];

struct guest_fixup {
	uint64_t insn;
	uint64_t next;
};

extern const struct guest_fixup __start_guest_fixup[];
extern const struct guest_fixup __stop_guest_fixup[];

/* One empty entry, since the linker defines the bounds only for a section that exists. */
asm(".pushsection guest_fixup, \"a\"\n"
	".quad 0, 0\n"
	".popsection\n");

/* Vectors with an error code: 8, 10-14, 17, 21. */
asm(".pushsection .text\n"
	".balign 16\n"
	".globl guest_trap_stubs\n"
	"guest_trap_stubs:\n"
	".set vector, 0\n"
	".rept 256\n"
	".balign 16\n"
	".if !(vector == 8 || vector >= 10 && vector <= 14 || vector == 17 || vector == 21)\n"
	"push $0\n"
	".endif\n"
	"pushq $vector\n"
	"jmp guest_trap_common\n"
	".set vector, vector + 1\n"
	".endr\n"
	".balign 16\n"
	"guest_trap_common:\n"
	"push %rax\n"
	"push %rcx\n"
	"push %rdx\n"
	"push %rbx\n"
	"push %rbp\n"
	"push %rsi\n"
	"push %rdi\n"
	"push %r8\n"
	"push %r9\n"
	"push %r10\n"
	"push %r11\n"
	"push %r12\n"
	"push %r13\n"
	"push %r14\n"
	"push %r15\n"
	"cld\n"
	"mov %rsp, %rdi\n"
	"mov %rsp, %rbp\n"
	"and $-16, %rsp\n"
	"call guest_trap_entry\n"
	"mov %rbp, %rsp\n"
	"pop %r15\n"
	"pop %r14\n"
	"pop %r13\n"
	"pop %r12\n"
	"pop %r11\n"
	"pop %r10\n"
	"pop %r9\n"
	"pop %r8\n"
	"pop %rdi\n"
	"pop %rsi\n"
	"pop %rbp\n"
	"pop %rbx\n"
	"pop %rdx\n"
	"pop %rcx\n"
	"pop %rax\n"
	"add $16, %rsp\n"
	"iretq\n"
	".popsection\n");

static bool fix_up(struct guest_trap *trap)
{
	const struct guest_fixup *f;

	for (f = __start_guest_fixup; f < __stop_guest_fixup; f++) {
		if (f->insn && f->insn == trap->rip) {
			trap->rip = f->next;
			trap->r11 = trap->vector + 1;
			return true;
		}
	}
	return false;
}

__attribute__((used)) void guest_trap_entry(struct guest_trap *trap)
{
	if (trap->vector < 32 && fix_up(trap))
		return;
	if (guest_handler[trap->vector]) {
		guest_handler[trap->vector](trap);
		return;
	}
	guest_call(PORT_TRAP, trap->vector, trap->error, trap->rip);
	guest_done();
}
