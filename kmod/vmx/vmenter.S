/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The VM entry and the VM exit. Switches the general registers and applies the
 * mitigations around the entry: clears CPU buffers before it; clears registers,
 * fills the return stack buffer, restores SPEC_CTRL and clears the branch
 * history after the exit. No indirect branch and no RET of the host runs with
 * the guest's SPEC_CTRL.
 */
#include <linux/linkage.h>
#include <asm/asm.h>
#include <asm/bitsperlong.h>
#include <asm/cpufeatures.h>
#include <asm/msr-index.h>
#include <asm/nospec-branch.h>
#include <asm/percpu.h>
#include <asm/segment.h>
#include <asm/unwind_hints.h>

/* Offsets in struct vmx_vcpu; run.c asserts them. */
#define GPR(n)		((n) * 8)
#define RAX		GPR(0)
#define RCX		GPR(1)
#define RDX		GPR(2)
#define RBX		GPR(3)
#define RBP		GPR(5)
#define RSI		GPR(6)
#define RDI		GPR(7)
#define VCPU_HOST_RSP	GPR(16)
#define VCPU_SPEC_CTRL	GPR(17)
#define VCPU_OWNS_SPEC	GPR(18)

#define FIELD_HOST_RSP	0x6c14

	.section .noinstr.text, "ax"

/*
 * int vmx_enter(struct vmx_vcpu *v, bool launched)
 *
 * Interrupts off, VMCS current. Return 0 after a VM exit, 1 if the entry failed
 * (VMfail, or VMX has been switched off).
 */
SYM_FUNC_START(vmx_enter)
	push	%rbp
	mov	%rsp, %rbp
	push	%r15
	push	%r14
	push	%r13
	push	%r12
	push	%rbx
	push	%rdi

	cmp	%rsp, VCPU_HOST_RSP(%rdi)
	je	.Lrsp_known
	mov	$FIELD_HOST_RSP, %eax
	/* VMWRITE faults, like the entry below, if VMX has been switched off. */
.Lwrite_rsp:
	vmwrite	%rsp, %rax
	jbe	.Lfailed
	mov	%rsp, VCPU_HOST_RSP(%rdi)
.Lrsp_known:
	ALTERNATIVE "jmp .Lspec_ctrl_entered", "", X86_FEATURE_MSR_SPEC_CTRL
	mov	VCPU_SPEC_CTRL(%rdi), %eax
	cmp	PER_CPU_VAR(x86_spec_ctrl_current), %eax
	je	.Lspec_ctrl_entered
	mov	$MSR_IA32_SPEC_CTRL, %ecx
	xor	%edx, %edx
	wrmsr
.Lspec_ctrl_entered:
	/* CF = @launched, for the JNC below: no instruction in between may change CF. */
	bt	$0, %esi

	mov	%rdi, %rax
	mov	RCX(%rax), %rcx
	mov	RDX(%rax), %rdx
	mov	RBX(%rax), %rbx
	mov	RBP(%rax), %rbp
	mov	RSI(%rax), %rsi
	mov	RDI(%rax), %rdi
	mov	GPR(8)(%rax), %r8
	mov	GPR(9)(%rax), %r9
	mov	GPR(10)(%rax), %r10
	mov	GPR(11)(%rax), %r11
	mov	GPR(12)(%rax), %r12
	mov	GPR(13)(%rax), %r13
	mov	GPR(14)(%rax), %r14
	mov	GPR(15)(%rax), %r15
	mov	RAX(%rax), %rax

	/* VERW changes ZF only. */
	CLEAR_CPU_BUFFERS

	jnc	.Llaunch

	/* A VM exit continues at vmx_exit_point with the stack as it is here. */
	UNWIND_HINT_SAVE
.Lresume:
	vmresume
	jmp	.Lfailed
.Llaunch:
	vmlaunch
	jmp	.Lfailed

	_ASM_EXTABLE(.Lwrite_rsp, .Lfailed)
	_ASM_EXTABLE(.Lresume, .Lfailed)
	_ASM_EXTABLE(.Llaunch, .Lfailed)

SYM_INNER_LABEL_ALIGN(vmx_exit_point, SYM_L_GLOBAL)
	UNWIND_HINT_RESTORE
	ENDBR

	push	%rax
	mov	8(%rsp), %rax
	pop	RAX(%rax)
	mov	%rcx, RCX(%rax)
	mov	%rdx, RDX(%rax)
	mov	%rbx, RBX(%rax)
	mov	%rbp, RBP(%rax)
	mov	%rsi, RSI(%rax)
	mov	%rdi, RDI(%rax)
	mov	%r8, GPR(8)(%rax)
	mov	%r9, GPR(9)(%rax)
	mov	%r10, GPR(10)(%rax)
	mov	%r11, GPR(11)(%rax)
	mov	%r12, GPR(12)(%rax)
	mov	%r13, GPR(13)(%rax)
	mov	%r14, GPR(14)(%rax)
	mov	%r15, GPR(15)(%rax)
	xor	%ebx, %ebx

.Lclear:
	/* Clear registers that hold guest values: the host must not speculate with them. */
	xor	%eax, %eax
	xor	%ecx, %ecx
	xor	%edx, %edx
	xor	%ebp, %ebp
	xor	%esi, %esi
	xor	%edi, %edi
	xor	%r8d, %r8d
	xor	%r9d, %r9d
	xor	%r10d, %r10d
	xor	%r11d, %r11d
	xor	%r12d, %r12d
	xor	%r13d, %r13d
	xor	%r14d, %r14d
	xor	%r15d, %r15d

	/*
	 * Fill the return stack buffer before the first RET that could use a
	 * prediction of the guest's.
	 */
	FILL_RETURN_BUFFER %rcx, RSB_CLEAR_LOOPS, X86_FEATURE_RSB_VMEXIT,\
			   X86_FEATURE_RSB_VMEXIT_LITE

	ALTERNATIVE "jmp .Lspec_ctrl_done", "", X86_FEATURE_MSR_SPEC_CTRL
	mov	(%rsp), %rdi
	mov	$MSR_IA32_SPEC_CTRL, %ecx
	/* If the entry succeeded and the guest may write the MSR without an exit, read it back. */
	test	%ebx, %ebx
	jnz	.Lspec_ctrl_known
	cmpl	$0, VCPU_OWNS_SPEC(%rdi)
	je	.Lspec_ctrl_known
	rdmsr
	mov	%eax, VCPU_SPEC_CTRL(%rdi)
.Lspec_ctrl_known:
	mov	PER_CPU_VAR(x86_spec_ctrl_current), %eax
	/* With kernel IBRS the write itself protects: write the value even if it is unchanged. */
	ALTERNATIVE "", "jmp .Lspec_ctrl_write", X86_FEATURE_KERNEL_IBRS
	cmp	VCPU_SPEC_CTRL(%rdi), %eax
	je	.Lspec_ctrl_written
.Lspec_ctrl_write:
	mov	PER_CPU_VAR(x86_spec_ctrl_current + 4), %edx
	wrmsr
.Lspec_ctrl_written:
	/* Stop speculation that skips the WRMSR by a mispredicted branch. */
	lfence
.Lspec_ctrl_done:
	CLEAR_BRANCH_HISTORY_VMEXIT

	mov	%ebx, %eax
	pop	%rdi
	pop	%rbx
	pop	%r12
	pop	%r13
	pop	%r14
	pop	%r15
	pop	%rbp
	RET

.Lfailed:
	mov	$1, %ebx
	jmp	.Lclear
SYM_FUNC_END(vmx_enter)
