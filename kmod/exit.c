// SPDX-License-Identifier: GPL-2.0
/*
 * Handles VM exits: one handler for each reason, in one table. Handlers return
 * the run verdict, enum keel_run. Policy lives here; vmx/ only reports the
 * exit.
 */
#include <linux/kernel.h>
#include <asm/cpu.h>
#include <asm/trapnr.h>
#include <asm/vmx.h>
#include <uapi/linux/kvm_para.h>

#include "cpuid.h"
#include "cr.h"
#include "dirty.h"
#include "doorbell.h"
#include "emulate/bridge.h"
#include "exit.h"
#include "io.h"
#include "irq.h"
#include "keel.h"
#include "msr.h"
#include "store.h"
#include "trace.h"

void keel_skip_insn(struct keel_vcpu *vcpu)
{
	u64 rflags = vmx_rflags(&vcpu->vmx);

	vmx_skip_insn(&vcpu->vmx);
	/* RF lasts for one instruction, and some exits set it. */
	if (rflags & X86_EFLAGS_RF)
		vmx_set_rflags(&vcpu->vmx, rflags & ~X86_EFLAGS_RF);
	if (unlikely(rflags & X86_EFLAGS_TF || keel_debug_ends(&vcpu->debug)))
		keel_stepped(vcpu, keel_debug_show_rflags(vcpu) & X86_EFLAGS_TF);
}

/* --- exits that are errors ---------------------------------------------- */

int keel_shutdown(struct keel_vcpu *vcpu)
{
	vcpu->events.triple_fault = false;
	vcpu->run->exit_reason = KVM_EXIT_SHUTDOWN;
	return RUN_USER;
}

static int fail_entry(struct keel_vcpu *vcpu, const struct keel_exit *exit)
{
	vmx_dump(&vcpu->vmx, exit);
	vcpu->run->exit_reason = KVM_EXIT_FAIL_ENTRY;
	vcpu->run->fail_entry.hardware_entry_failure_reason = exit->vmfail ?: exit->raw;
	vcpu->run->fail_entry.cpu = raw_smp_processor_id();
	return RUN_USER;
}

static int internal_error(struct keel_vcpu *vcpu, u32 suberror, const u64 *data, unsigned int n)
{
	struct kvm_run *run = vcpu->run;

	run->exit_reason = KVM_EXIT_INTERNAL_ERROR;
	run->internal.suberror = suberror;
	run->internal.ndata = n;
	if (n)
		memcpy(run->internal.data, data, n * sizeof(*data));
	return RUN_USER;
}

static noinline int unexpected_exit(struct keel_vcpu *vcpu, const struct keel_exit *exit)
{
	u64 data[] = { exit->raw, raw_smp_processor_id() };

	return internal_error(vcpu, KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON, data,
			      ARRAY_SIZE(data));
}

/* The delivery of an event accessed MMIO: there is no instruction to emulate. */
static noinline int delivery_error(struct keel_vcpu *vcpu, const struct keel_exit *exit,
				   gpa_t gpa)
{
	u64 data[] = {
		exit->vectoring, exit->reason, vmx_exit_qualification(&vcpu->vmx), gpa,
		raw_smp_processor_id(),
	};

	return internal_error(vcpu, KVM_INTERNAL_ERROR_DELIVERY_EV, data, ARRAY_SIZE(data));
}

/*
 * At CPL > 0 the guest gets #UD, so that its user code cannot stop the VM. At
 * CPL 0 userspace is told as well, with the bytes of the instruction; if it
 * runs on, the guest gets the #UD. With KVM_CAP_EXIT_ON_EMULATION_FAILURE
 * userspace is told at any CPL, and no #UD is queued.
 */
int keel_emulation_failed(struct keel_vcpu *vcpu, const u8 *insn, unsigned int len)
{
	struct kvm_run *run = vcpu->run;
	unsigned int n = min_t(unsigned int, len, sizeof(run->emulation_failure.insn_bytes));

	if (!READ_ONCE(vcpu->vm->exit_on_emulation_failure)) {
		keel_inject_ud(vcpu);
		if (vmx_cpl(&vcpu->vmx) != 0)
			return RUN_RESUME;
	}
	run->exit_reason = KVM_EXIT_INTERNAL_ERROR;
	run->emulation_failure.suberror = KVM_INTERNAL_ERROR_EMULATION;
	run->emulation_failure.flags = 0;
	run->emulation_failure.ndata = 1;
	if (n) {
		run->emulation_failure.ndata = 3;
		run->emulation_failure.flags |= KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES;
		run->emulation_failure.insn_size = n;
		memset(run->emulation_failure.insn_bytes, 0x90,
		       sizeof(run->emulation_failure.insn_bytes));
		memcpy(run->emulation_failure.insn_bytes, insn, n);
	}
	return RUN_USER;
}

/* --- events ------------------------------------------------------------- */

static int handle_irq(struct keel_vcpu *vcpu, const struct keel_exit *exit)
{
	STAT(vcpu, irq_exits);
	return RUN_RESUME;
}

static int handle_window(struct keel_vcpu *vcpu, const struct keel_exit *exit)
{
	keel_make_request(vcpu, REQ_EVENT);
	return RUN_RESUME;
}

/* An IRET that faulted has unblocked NMIs too early: block them again. */
static void restore_nmi_blocking(struct keel_vcpu *vcpu, const struct keel_exit *exit, u64 flags)
{
	if (!(flags & INTR_INFO_UNBLOCK_NMI) || exit->vectoring & VECTORING_INFO_VALID_MASK)
		return;
	vmx_set_interruptibility(&vcpu->vmx,
				 vmx_interruptibility(&vcpu->vmx) | GUEST_INTR_STATE_NMI);
}

static int handle_debug(struct keel_vcpu *vcpu, const struct keel_exit *exit)
{
	/* INT1 is a trap: its RIP is after the instruction. */
	if ((exit->intr_info & INTR_INFO_INTR_TYPE_MASK) == INTR_TYPE_PRIV_SW_EXCEPTION)
		vmx_skip_insn(&vcpu->vmx);
	restore_nmi_blocking(vcpu, exit, exit->intr_info);
	if (unlikely(keel_debug_wants_db(vcpu)))
		return keel_debug_exit(vcpu, X86_TRAP_DB, vmx_exit_qualification(&vcpu->vmx));
	keel_queue_debug(vcpu, vmx_exit_qualification(&vcpu->vmx));
	return RUN_RESUME;
}

/*
 * #BP exits only under KVM_GUESTDBG_USE_SW_BP. Userspace injects again a #BP
 * that is the guest's own.
 */
static int handle_breakpoint(struct keel_vcpu *vcpu, const struct keel_exit *exit)
{
	restore_nmi_blocking(vcpu, exit, exit->intr_info);
	return keel_debug_exit(vcpu, X86_TRAP_BP, 0);
}

static int handle_monitor_trap(struct keel_vcpu *vcpu, const struct keel_exit *exit)
{
	return keel_debug_monitor_trap(vcpu);
}

/*
 * True if the guest has enabled alignment checks. Without split-lock detection
 * there is no other #AC.
 */
static bool is_guests_alignment_check(struct keel_vcpu *vcpu)
{
	if (!boot_cpu_has(X86_FEATURE_SPLIT_LOCK_DETECT))
		return true;
	return vmx_cpl(&vcpu->vmx) == 3 && vmx_cr0(&vcpu->vmx) & X86_CR0_AM &&
	       vmx_rflags(&vcpu->vmx) & X86_EFLAGS_AC;
}

static int exception_exit(struct keel_vcpu *vcpu, u8 vector, u32 error)
{
	struct kvm_run *run = vcpu->run;

	run->exit_reason = KVM_EXIT_EXCEPTION;
	run->ex.exception = vector;
	run->ex.error_code = error;
	return RUN_USER;
}

/*
 * #AC of a split lock: the host warns and lets the thread go on, or userspace
 * gets KVM_EXIT_EXCEPTION.
 */
static int handle_alignment_check(struct keel_vcpu *vcpu, const struct keel_exit *exit)
{
	u32 error = vmx_exit_error_code(&vcpu->vmx);

	restore_nmi_blocking(vcpu, exit, exit->intr_info);
	if (is_guests_alignment_check(vcpu)) {
		keel_queue_exception_error(vcpu, X86_TRAP_AC, error);
		return RUN_RESUME;
	}
	if (handle_guest_split_lock(vmx_rip(&vcpu->vmx)))
		return RUN_RESUME;
	return exception_exit(vcpu, X86_TRAP_AC, error);
}

/* vmx_handle_nmi() has already passed NMIs and machine checks to the host. */
static int handle_exception(struct keel_vcpu *vcpu, const struct keel_exit *exit)
{
	u32 info = exit->intr_info;

	if ((info & INTR_INFO_INTR_TYPE_MASK) == INTR_TYPE_NMI_INTR) {
		STAT(vcpu, nmi_exits);
		return RUN_RESUME;
	}
	switch (info & INTR_INFO_VECTOR_MASK) {
	case X86_TRAP_MC:
		return RUN_RESUME;
	case X86_TRAP_DB:
		return handle_debug(vcpu, exit);
	case X86_TRAP_BP:
		return handle_breakpoint(vcpu, exit);
	case X86_TRAP_AC:
		return handle_alignment_check(vcpu, exit);
	}
	return unexpected_exit(vcpu, exit);
}

static int handle_triple_fault(struct keel_vcpu *vcpu, const struct keel_exit *exit)
{
	return keel_shutdown(vcpu);
}

/* --- memory ------------------------------------------------------------- */

/* @writes: the exit says that the access at @gpa writes. */
static int emulate_mmio(struct keel_vcpu *vcpu, const struct keel_exit *exit, gpa_t gpa,
			bool writes)
{
	if (unlikely(exit->vectoring & VECTORING_INFO_VALID_MASK))
		return delivery_error(vcpu, exit, gpa);
	return keel_emulate(vcpu, gpa, writes);
}

/*
 * @gpa, @writes: address and kind of the access, as far as the exit tells them.
 * @v: enum keel_fault_verdict or -errno.
 */
static int fault_verdict(struct keel_vcpu *vcpu, const struct keel_exit *exit, gpa_t gpa,
			 bool writes, int v)
{
	if (v == FAULT_EMULATE)
		return emulate_mmio(vcpu, exit, gpa, writes);
	return v < 0 ? v : RUN_RESUME;
}

/*
 * True if the access is a write and nothing else, and does not belong to the
 * delivery of an event.
 */
static bool is_store(const struct keel_exit *exit, u64 qual)
{
	u64 access = qual & (EPT_VIOLATION_ACC_READ | EPT_VIOLATION_ACC_WRITE |
			     EPT_VIOLATION_ACC_INSTR);

	return access == EPT_VIOLATION_ACC_WRITE && !(exit->vectoring & VECTORING_INFO_VALID_MASK);
}

/* Handle MMIO on a page that has a doorbell of any length. */
static int ring_or_emulate(struct keel_vcpu *vcpu, const struct keel_exit *exit, gpa_t gpa,
			   bool store)
{
	u64 rip = vmx_rip(&vcpu->vmx);
	int r;

	if (store && keel_store_again(vcpu, gpa))
		return RUN_RESUME;
	r = emulate_mmio(vcpu, exit, gpa, store);
	if (store && r == RUN_RESUME)
		keel_store_remember(vcpu, gpa, rip);
	return r;
}

static int handle_ept_violation(struct keel_vcpu *vcpu, const struct keel_exit *exit)
{
	u64 qual = vmx_exit_qualification(&vcpu->vmx);
	gpa_t gpa = vmx_exit_gpa(&vcpu->vmx);
	unsigned int access = 0;
	int r;

	restore_nmi_blocking(vcpu, exit, qual);
	if (unlikely(keel_doorbell_near(vcpu, gpa)) && qual & EPT_VIOLATION_GVA_TRANSLATED &&
	    mmu_is_mmio(vcpu, gpa))
		return ring_or_emulate(vcpu, exit, gpa, is_store(exit, qual));
	if (qual & EPT_VIOLATION_ACC_READ)
		access |= ACC_READ;
	if (qual & EPT_VIOLATION_ACC_WRITE)
		access |= ACC_WRITE;
	if (qual & EPT_VIOLATION_ACC_INSTR)
		access |= ACC_EXEC;
	r = mmu_page_fault(vcpu, gpa, access);
	/*
	 * Mark the page in the memslot that was mapped, even if new memslots
	 * have been published since.
	 */
	if (r == FAULT_FIXED && access & ACC_WRITE)
		keel_dirty_written(vcpu, vcpu->mmu.fixed, gpa_to_gfn(gpa));
	/* The access was to a guest page table: @gpa is not that of the instruction's data. */
	if (!(qual & EPT_VIOLATION_GVA_TRANSLATED))
		gpa = INVALID_GPA;
	return fault_verdict(vcpu, exit, gpa, access & ACC_WRITE, r);
}

static int handle_ept_misconfig(struct keel_vcpu *vcpu, const struct keel_exit *exit)
{
	gpa_t gpa = vmx_exit_gpa(&vcpu->vmx);
	int r = mmu_misconfig(vcpu, gpa);

	/*
	 * An EPT misconfiguration does not tell writes from reads: remove the
	 * MMIO spte, so that the next access here exits with an EPT violation,
	 * which does.
	 */
	if (r == FAULT_EMULATE && unlikely(keel_doorbell_near(vcpu, gpa)))
		mmu_unmark(vcpu, gpa);
	return fault_verdict(vcpu, exit, gpa, false, r);
}

/* enter() has emptied the log already: see keel_dirty_drain(). */
static int handle_log_full(struct keel_vcpu *vcpu, const struct keel_exit *exit)
{
	STAT(vcpu, log_exits);
	restore_nmi_blocking(vcpu, exit, vmx_exit_qualification(&vcpu->vmx));
	return RUN_RESUME;
}

/* --- instructions ------------------------------------------------------- */

static int handle_hlt(struct keel_vcpu *vcpu, const struct keel_exit *exit)
{
	STAT(vcpu, halt_exits);
	keel_skip_insn(vcpu);
	vcpu->run->exit_reason = KVM_EXIT_HLT;
	return RUN_USER;
}

/*
 * Skip INVD and WBINVD, as caches are the host's to manage, and MONITOR and
 * MWAIT, which act as NOPs.
 */
static int handle_skip(struct keel_vcpu *vcpu, const struct keel_exit *exit)
{
	keel_skip_insn(vcpu);
	return RUN_RESUME;
}

static int handle_ud(struct keel_vcpu *vcpu, const struct keel_exit *exit)
{
	keel_inject_ud(vcpu);
	return RUN_RESUME;
}

/* RDPMC raises #GP: there are no performance counters. */
static int handle_rdpmc(struct keel_vcpu *vcpu, const struct keel_exit *exit)
{
	keel_inject_gp(vcpu);
	return RUN_RESUME;
}

/* No hypercall is offered: answer as KVM does to an unknown one. */
void keel_hypercall(struct keel_vcpu *vcpu)
{
	long answer = vmx_cpl(&vcpu->vmx) ? -KVM_EPERM : -KVM_ENOSYS;

	vcpu->vmx.gpr[GPR_RAX] = vmx_in_long_mode_code(&vcpu->vmx) ? answer : (u32)answer;
}

static int handle_vmcall(struct keel_vcpu *vcpu, const struct keel_exit *exit)
{
	keel_hypercall(vcpu);
	keel_skip_insn(vcpu);
	return RUN_RESUME;
}

#define TASK_SELECTOR(q)	((u16)(q))
#define TASK_SOURCE(q)		((q) >> 30 & 3)

/*
 * The CPU has checked the task gate, but not the TSS. An event that caused the
 * task switch is not delivered yet.
 */
static int handle_task_switch(struct keel_vcpu *vcpu, const struct keel_exit *exit)
{
	u64 qual = vmx_exit_qualification(&vcpu->vmx);
	struct emu_event event = { .vector = 0 };

	if (TASK_SOURCE(qual) != EMU_TASK_EVENT)
		event.length = vmx_exit_insn_len(&vcpu->vmx);
	else if (!(exit->vectoring & VECTORING_INFO_VALID_MASK) || !keel_take_event(vcpu, &event))
		return unexpected_exit(vcpu, exit);
	return keel_emulate_task(vcpu, TASK_SOURCE(qual), TASK_SELECTOR(qual), &event);
}

/* INS or OUTS whose memory operand is MMIO needs the emulator. */
static int handle_io(struct keel_vcpu *vcpu, const struct keel_exit *exit)
{
	int r = keel_io_exit(vcpu);

	if (likely(r != -ENXIO))
		return r;
	keel_read_slots(vcpu);
	r = keel_emulate(vcpu, INVALID_GPA, false);
	keel_read_slots_end(vcpu);
	return r;
}

/*
 * Descriptor-table instructions exit only while UMIP is emulated: the emulator
 * refuses them to user code and executes those of the guest's kernel.
 */
static int handle_table(struct keel_vcpu *vcpu, const struct keel_exit *exit)
{
	return keel_emulate(vcpu, INVALID_GPA, false);
}

#define INSTRUCTION(name, function)						\
static int handle_##name(struct keel_vcpu *vcpu, const struct keel_exit *exit)	\
{										\
	return function(vcpu);							\
}

INSTRUCTION(cpuid, keel_cpuid_exit)
INSTRUCTION(cr, keel_cr_exit)
INSTRUCTION(dr, keel_dr_exit)
INSTRUCTION(rdmsr, keel_rdmsr_exit)
INSTRUCTION(wrmsr, keel_wrmsr_exit)
INSTRUCTION(xsetbv, keel_xsetbv_exit)

/* --- the table ---------------------------------------------------------- */

/* @slots: the handler accesses guest memory, so call it within keel_read_slots(). */
struct handler {
	int (*handle)(struct keel_vcpu *vcpu, const struct keel_exit *exit);
	bool slots;
};

static const struct handler handlers[] = {
	[EXIT_REASON_EXCEPTION_NMI]		= { handle_exception },
	[EXIT_REASON_EXTERNAL_INTERRUPT]	= { handle_irq },
	[EXIT_REASON_TRIPLE_FAULT]		= { handle_triple_fault },
	[EXIT_REASON_INTERRUPT_WINDOW]		= { handle_window },
	[EXIT_REASON_NMI_WINDOW]		= { handle_window },
	[EXIT_REASON_TASK_SWITCH]		= { handle_task_switch, true },
	[EXIT_REASON_CPUID]			= { handle_cpuid },
	[EXIT_REASON_HLT]			= { handle_hlt },
	[EXIT_REASON_INVD]			= { handle_skip },
	[EXIT_REASON_RDPMC]			= { handle_rdpmc },
	[EXIT_REASON_VMCALL]			= { handle_vmcall },
	[EXIT_REASON_VMCLEAR]			= { handle_ud },
	[EXIT_REASON_VMLAUNCH]			= { handle_ud },
	[EXIT_REASON_VMPTRLD]			= { handle_ud },
	[EXIT_REASON_VMPTRST]			= { handle_ud },
	[EXIT_REASON_VMREAD]			= { handle_ud },
	[EXIT_REASON_VMRESUME]			= { handle_ud },
	[EXIT_REASON_VMWRITE]			= { handle_ud },
	[EXIT_REASON_VMOFF]			= { handle_ud },
	[EXIT_REASON_VMON]			= { handle_ud },
	[EXIT_REASON_CR_ACCESS]			= { handle_cr, true },
	[EXIT_REASON_DR_ACCESS]			= { handle_dr },
	[EXIT_REASON_IO_INSTRUCTION]		= { handle_io },
	[EXIT_REASON_MSR_READ]			= { handle_rdmsr },
	[EXIT_REASON_MSR_WRITE]			= { handle_wrmsr },
	[EXIT_REASON_MWAIT_INSTRUCTION]		= { handle_skip },
	[EXIT_REASON_MONITOR_TRAP_FLAG]		= { handle_monitor_trap },
	[EXIT_REASON_MONITOR_INSTRUCTION]	= { handle_skip },
	[EXIT_REASON_GDTR_IDTR]			= { handle_table, true },
	[EXIT_REASON_LDTR_TR]			= { handle_table, true },
	[EXIT_REASON_EPT_VIOLATION]		= { handle_ept_violation, true },
	[EXIT_REASON_EPT_MISCONFIG]		= { handle_ept_misconfig, true },
	[EXIT_REASON_INVEPT]			= { handle_ud },
	[EXIT_REASON_INVVPID]			= { handle_ud },
	[EXIT_REASON_WBINVD]			= { handle_skip },
	[EXIT_REASON_XSETBV]			= { handle_xsetbv },
	[EXIT_REASON_PML_FULL]			= { handle_log_full },
};

static int call_with_slots(struct keel_vcpu *vcpu, const struct keel_exit *exit,
			   const struct handler *h)
{
	int r;

	keel_read_slots(vcpu);
	r = h->handle(vcpu, exit);

	keel_read_slots_end(vcpu);
	return r;
}

int keel_handle_exit(struct keel_vcpu *vcpu, const struct keel_exit *exit)
{
	const struct handler *h;

	if (trace_keel_exit_enabled())
		trace_keel_exit(vcpu->id, exit->raw, vmx_rip(&vcpu->vmx));
	if (unlikely(exit->vmfail || exit->raw & VMX_EXIT_REASONS_FAILED_VMENTRY))
		return fail_entry(vcpu, exit);
	if (unlikely(exit->reason >= ARRAY_SIZE(handlers) || !handlers[exit->reason].handle))
		return unexpected_exit(vcpu, exit);
	h = &handlers[exit->reason];
	return h->slots ? call_with_slots(vcpu, exit, h) : h->handle(vcpu, exit);
}
