/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Into a random instruction with all registers loaded, and back. Absolute
 * addresses throughout: no register is free, and the program is linked below
 * 2 GiB. What the registers hold in between is nobody's business here.
 */
#define __ASSEMBLY__
#include "emulate_native.h"

	.macro	load_ymm n
	vmovups	native_cpu + NATIVE_VECTOR + 64 * \n, %ymm\n
	.endm

	.macro	store_ymm n
	vmovups	%ymm\n, native_cpu + NATIVE_VECTOR + 64 * \n
	.endm

	.macro	load_zmm n
	vmovups	native_cpu + NATIVE_VECTOR + 64 * \n, %zmm\n
	.endm

	.macro	store_zmm n
	vmovups	%zmm\n, native_cpu + NATIVE_VECTOR + 64 * \n
	.endm

	.macro	load_mask n
	kmovq	native_cpu + NATIVE_MASK + 8 * \n, %k\n
	.endm

	.macro	store_mask n
	kmovq	%k\n, native_cpu + NATIVE_MASK + 8 * \n
	.endm

/* All vector registers that the processor has, and then its masks. */
	.macro move_vectors ymm, zmm, mask
	cmpb	$0, native_cpu + NATIVE_AVX512
	jne	3f
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	\ymm	\n
	.endr
	jmp	4f
3:	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	\zmm	\n
	.endr
	.irp	n, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
	\zmm	\n
	.endr
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7
	\mask	\n
	.endr
4:
	.endm

	.macro load_guest
	push	%rbx
	push	%rbp
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	mov	%rsp, native_cpu + NATIVE_HOST_RSP
	/*
	 * The code was written through another address than it is fetched by:
	 * only a serializing instruction sees to it that the processor has not
	 * fetched the old one, and this is the one that user code has.
	 */
	pushq	$NATIVE_USER_DS
	pushq	native_cpu + NATIVE_HOST_RSP
	pushfq
	pushq	$NATIVE_USER_CS
	pushq	$2f
	iretq
2:
	fxrstor64 native_cpu + NATIVE_FX
	move_vectors load_ymm, load_zmm, load_mask
	mov	native_cpu + NATIVE_DS, %ds
	mov	native_cpu + NATIVE_ES, %es
	pushq	native_cpu + NATIVE_RFLAGS
	popfq
	mov	native_cpu + NATIVE_SS, %ss
	mov	native_cpu + 8 * 0, %rax
	mov	native_cpu + 8 * 1, %rcx
	mov	native_cpu + 8 * 2, %rdx
	mov	native_cpu + 8 * 3, %rbx
	mov	native_cpu + 8 * 4, %rsp
	mov	native_cpu + 8 * 5, %rbp
	mov	native_cpu + 8 * 6, %rsi
	mov	native_cpu + 8 * 7, %rdi
	.irp	n, 8, 9, 10, 11, 12, 13, 14, 15
	mov	native_cpu + 8 * \n, %r\n
	.endr
	.endm

	.text

	.globl	native_enter64
native_enter64:
	load_guest
	jmp	*native_cpu + NATIVE_RIP

	.globl	native_enter_far
native_enter_far:
	load_guest
	ljmpl	*native_cpu + NATIVE_FAR

/* The way back for an instruction that runs through. */
	.globl	native_return
native_return:
	mov	%rax, native_cpu + 8 * 0
	mov	%rcx, native_cpu + 8 * 1
	mov	%rdx, native_cpu + 8 * 2
	mov	%rbx, native_cpu + 8 * 3
	mov	%rsp, native_cpu + 8 * 4
	mov	%rbp, native_cpu + 8 * 5
	mov	%rsi, native_cpu + 8 * 6
	mov	%rdi, native_cpu + 8 * 7
	.irp	n, 8, 9, 10, 11, 12, 13, 14, 15
	mov	%r\n, native_cpu + 8 * \n
	.endr
	mov	%ds, native_cpu + NATIVE_DS
	mov	%es, native_cpu + NATIVE_ES
	mov	%ss, native_cpu + NATIVE_SS
	mov	%gs, native_cpu + NATIVE_GS
	mov	$NATIVE_USER_DS, %eax
	mov	%eax, %ss
	mov	native_cpu + NATIVE_HOST_RSP, %rsp
	pushfq
	popq	native_cpu + NATIVE_RFLAGS
	pushq	$0x202
	popfq
	move_vectors store_ymm, store_zmm, store_mask
	fxsave64 native_cpu + NATIVE_FX
	jmp	1f

/* The way back after a signal, which has saved the general registers. */
	.globl	native_abandon
native_abandon:
	mov	native_cpu + NATIVE_HOST_RSP, %rsp
	pushq	$0x202
	popfq
1:	vzeroupper
	fninit
	ldmxcsr	usual_mxcsr
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbp
	pop	%rbx
	ret

/* The handler must not run with the alignment checks of the instruction. */
	.globl	native_signal
native_signal:
	pushfq
	andl	$~0x40000, (%rsp)
	popfq
	jmp	native_handle

	.section .rodata
	.balign	4
usual_mxcsr:
	.long	0x1f80

	.section .note.GNU-stack, "", @progbits
