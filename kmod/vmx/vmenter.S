/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The step into the guest and back. Owns the general registers and what a host
 * owes itself around the step: CPU buffers cleared before, registers, return
 * stack, SPEC_CTRL and branch history after. SPEC_CTRL is the guest's for no
 * instruction of the host's that could be steered: the last before the entry
 * and the first after the exit change it.
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

/* struct vmx_vcpu; run.c asserts that they agree. */
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
 * Interrupts off, VMCS current. Returns 0 after a VM exit, 1 if the entry did
 * not happen (VMfail, or VMX was taken away).
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
	/* As all others it faults if VMX has been taken away. */
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
	/* CF survives until the branch below: nothing between may touch it. */
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

	/* Changes ZF only. */
	CLEAR_CPU_BUFFERS

	jnc	.Llaunch

	/* The CPU comes back at vmx_exit_point with the stack as it is here. */
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
	/* No register may carry a guest's value into speculation. */
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

	/* Before the first RET whose CALL the guest's return stack could answer. */
	FILL_RETURN_BUFFER %rcx, RSB_CLEAR_LOOPS, X86_FEATURE_RSB_VMEXIT,\
			   X86_FEATURE_RSB_VMEXIT_LITE

	ALTERNATIVE "jmp .Lspec_ctrl_done", "", X86_FEATURE_MSR_SPEC_CTRL
	mov	(%rsp), %rdi
	mov	$MSR_IA32_SPEC_CTRL, %ecx
	/* A guest that writes it without an exit is asked what it holds, if it has run. */
	test	%ebx, %ebx
	jnz	.Lspec_ctrl_known
	cmpl	$0, VCPU_OWNS_SPEC(%rdi)
	je	.Lspec_ctrl_known
	rdmsr
	mov	%eax, VCPU_SPEC_CTRL(%rdi)
.Lspec_ctrl_known:
	mov	PER_CPU_VAR(x86_spec_ctrl_current), %eax
	/* With IBRS it is the write that protects, even of the value that is there. */
	ALTERNATIVE "", "jmp .Lspec_ctrl_write", X86_FEATURE_KERNEL_IBRS
	cmp	VCPU_SPEC_CTRL(%rdi), %eax
	je	.Lspec_ctrl_written
.Lspec_ctrl_write:
	mov	PER_CPU_VAR(x86_spec_ctrl_current + 4), %edx
	wrmsr
.Lspec_ctrl_written:
	/* The branches above may have been guessed. */
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
