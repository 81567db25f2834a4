/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The VMX instructions. Each may fault once the machine goes down and VMX has
 * been switched off on this CPU, and may fail if an invariant is broken.
 * Neither causes an oops: both end in vmx_insn_failed(), or in -EIO for the
 * caller to handle.
 */
#ifndef KEEL_VMX_OPS_H
#define KEEL_VMX_OPS_H

#include <linux/errno.h>
#include <linux/types.h>
#include <asm/asm.h>
#include <asm/vmx.h>

struct vmx_vcpu;

/* vmenter.S: VMLAUNCH or VMRESUME. Return 0 after a VM exit, 1 if the entry failed. */
int vmx_enter(struct vmx_vcpu *v, bool launched);

/* cpu.c: warn once, unless vmx_going_down is set. */
void vmx_insn_failed(const char *insn, u64 operand);

/*
 * XOR sets ZF: a VMREAD that faults, and that the exception table then skips,
 * looks like one that failed.
 */
static __always_inline unsigned long vmcs_read(unsigned long field)
{
	unsigned long val;
	bool ok;

	asm volatile("xor %k[val], %k[val]\n"
		     "1: vmread %[field], %[val]\n"
		     "2:\n"
		     _ASM_EXTABLE(1b, 2b)
		     : [val] "=&r" (val), "=@cca" (ok)
		     : [field] "r" (field));
	if (unlikely(!ok))
		vmx_insn_failed("vmread", field);
	return val;
}

static __always_inline void vmcs_write(unsigned long field, unsigned long val)
{
	asm goto("1: vmwrite %[val], %[field]\n"
			  "jna %l[failed]\n"
			  _ASM_EXTABLE(1b, %l[failed])
			  : : [field] "r" (field), [val] "rm" (val)
			  : "cc" : failed);
	return;
failed:
	vmx_insn_failed("vmwrite", field);
}

/* Instructions with one physical address as their memory operand. */
#define VMX_ADDRESS_OP(insn)						\
static __always_inline int vmx_op_##insn(u64 pa)			\
{									\
	asm goto("1: " #insn " %[pa]\n"			\
			  "jna %l[failed]\n"				\
			  _ASM_EXTABLE(1b, %l[failed])			\
			  : : [pa] "m" (pa) : "cc", "memory" : failed);	\
	return 0;							\
failed:									\
	return -EIO;							\
}

VMX_ADDRESS_OP(vmxon)
VMX_ADDRESS_OP(vmclear)
VMX_ADDRESS_OP(vmptrld)

#undef VMX_ADDRESS_OP

static __always_inline int vmx_op_vmxoff(void)
{
	asm goto("1: vmxoff\n"
			  "jna %l[failed]\n"
			  _ASM_EXTABLE(1b, %l[failed])
			  : : : "cc", "memory" : failed);
	return 0;
failed:
	return -EIO;
}

#define INVALIDATE_SINGLE	1
#define INVALIDATE_ALL		2

static __always_inline void vmx_op_invept(unsigned long type, u64 eptp)
{
	struct { u64 eptp, zero; } desc = { eptp, 0 };

	asm goto("1: invept %[desc], %[type]\n"
			  "jna %l[failed]\n"
			  _ASM_EXTABLE(1b, %l[failed])
			  : : [type] "r" (type), [desc] "m" (desc)
			  : "cc", "memory" : failed);
	return;
failed:
	vmx_insn_failed("invept", eptp);
}

static __always_inline void vmx_op_invvpid(unsigned long type, u16 vpid)
{
	struct { u64 vpid, linear; } desc = { vpid, 0 };

	asm goto("1: invvpid %[desc], %[type]\n"
			  "jna %l[failed]\n"
			  _ASM_EXTABLE(1b, %l[failed])
			  : : [type] "r" (type), [desc] "m" (desc)
			  : "cc", "memory" : failed);
	return;
failed:
	vmx_insn_failed("invvpid", vpid);
}

#endif
