/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Interface of the instruction emulator: decode one guest instruction, then
 * execute it on the registers in the context. Segmentation is done here; paging,
 * memory and devices are behind the callbacks. The emulator is pure: it knows no
 * VM, no vCPU and no hardware, and also compiles natively.
 *
 * All that it keeps between instructions is in struct emu_ctx.
 */
#ifndef KEEL_EMULATE_H
#define KEEL_EMULATE_H

#include <linux/types.h>

#define EMU_INSN_MAX	15	/* longest instruction the processor takes */
#define EMU_OPERAND_MAX	64	/* widest memory operand, one ZMM register */

/* enum emu_result - result of every function and callback of the emulator. */
enum emu_result {
	EMU_OK,
	EMU_FAULT,	/* guest exception, described by ctx->fault */
	EMU_IO,		/* ask userspace, then run it again; nothing is committed */
	EMU_UNHANDLED,	/* the emulator cannot execute this */
	EMU_RETRY,	/* nothing is committed: the guest runs it again */
	EMU_USER,	/* as EMU_IO, for a register access that userspace answers */
};

/* Kind of access requested from a callback; the bits combine. */
enum emu_access {
	EMU_READ	= 1,
	EMU_WRITE	= 2,
	EMU_FETCH	= 4,
	EMU_RMW		= 8,	/* with EMU_READ: a write follows, so check its rights too */
	EMU_LOCKED	= 16,	/* part of an atomic read-modify-write */
	EMU_SYSTEM	= 32,	/* by the processor itself (tables, TSS), whatever the CPL */
	EMU_PROBE	= 64,	/* with EMU_READ: check the access, read nothing */
};

/* Execution mode: gives the segmentation rules and, but for real mode, the code size. */
enum emu_mode {
	EMU_MODE_REAL,
	EMU_MODE_VM86,
	EMU_MODE_PROT16,
	EMU_MODE_PROT32,
	EMU_MODE_LONG64,
};

/* Indexes of ctx->gpr[] and ctx->seg[], in the order of the instruction encoding. */
enum emu_gpr {
	EMU_RAX, EMU_RCX, EMU_RDX, EMU_RBX, EMU_RSP, EMU_RBP, EMU_RSI, EMU_RDI,
	EMU_R8, EMU_R9, EMU_R10, EMU_R11, EMU_R12, EMU_R13, EMU_R14, EMU_R15,
	EMU_GPR_COUNT
};

enum emu_seg_index {
	EMU_ES, EMU_CS, EMU_SS, EMU_DS, EMU_FS, EMU_GS,
	EMU_LDTR, EMU_TR,
	EMU_SEG_COUNT
};

/* A segment register with its hidden part; @limit is in bytes, @g is applied. */
struct emu_seg {
	u64 base;
	u32 limit;
	u16 sel;
	u8 type;
	u8 s, dpl, p, avl, l, db, g, unusable;
};

/* GDTR and IDTR. */
struct emu_table {
	u64 base;
	u16 limit;
};

/* An exception to inject. @cr2 is valid for vector 14, @dr6 for vector 1. */
struct emu_exception {
	u8 vector;
	bool has_error;
	u32 error_code;
	union {
		u64 cr2;
		u64 dr6;
	};
};

/* Location of an operand. */
enum emu_operand_kind {
	EMU_OPERAND_NONE,
	EMU_OPERAND_REG,	/* ctx->gpr[reg], low size bytes */
	EMU_OPERAND_REG_HIGH,	/* bits 8-15 of ctx->gpr[reg] */
	EMU_OPERAND_SEG,	/* ctx->seg[reg].sel */
	EMU_OPERAND_XMM,	/* vector register reg */
	EMU_OPERAND_MMX,	/* MMX register reg */
	EMU_OPERAND_MEM,	/* at insn.ea in segment insn.seg */
	EMU_OPERAND_IMM,	/* insn.imm */
	EMU_OPERAND_IMM2,	/* insn.imm2 */
};

struct emu_operand {
	u8 kind;		/* enum emu_operand_kind */
	u8 reg;
	u8 size;		/* bytes */
};

/*
 * struct emu_insn - one decoded instruction
 * @op, @flags:	row of the opcode table, private to the emulator
 * @operand:	destination first; an absent one is EMU_OPERAND_NONE
 * @base, @index, @scale, @disp: parts of the effective address; EMU_NO_REG for
 *		no register. Only execution reads the registers.
 * @rep:	0; 0xf2 (REPNE) or 0xf3 (REP) on a string instruction
 * @single_access: the instruction accesses data at one place in memory and
 *		nowhere else; a read-modify-write of that place counts as one access
 */
struct emu_insn {
	u8 bytes[EMU_INSN_MAX];
	u8 fetched;		/* valid in bytes[] */
	u8 length;		/* of the instruction; valid after emu_decode() */

	u16 op;
	u32 flags;
	u8 op_size;		/* operand size: 2, 4 or 8 */
	u8 addr_size;		/* address size: 2, 4 or 8 */
	u8 mode_size;		/* 2, 4 or 8: size of the code segment */
	u8 rex;			/* REX byte, or its bits out of a VEX or EVEX prefix */
	u8 rep;
	u8 simd_prefix;		/* 0, 0x66, 0xf2 or 0xf3 where it selects the opcode */
	u8 vector_size;		/* VEX: 16 or 32, EVEX: 64 as well; otherwise 0 */
	u8 vex_reg;		/* VEX.vvvv, and EVEX.V' */
	bool vex_w;		/* VEX.W or EVEX.W; rex has it in 64-bit code only */
	bool evex;
	u8 mask;		/* EVEX.aaa: the mask register, 0 for none */
	bool zeroing;		/* EVEX.z: clear the elements that the mask excludes */
	u8 element;		/* bytes of the element that one bit of a mask stands for */
	bool lock;
	bool has_modrm;
	u8 modrm;
	u8 opcode;		/* last opcode byte, for handlers that test its bits */

	u8 seg;			/* enum emu_seg_index of the memory operand */
	u8 base, index, scale;
	bool rip_relative;
	bool single_access;
	s64 disp;
	u64 imm;
	u16 imm2;		/* the second immediate: selector, nesting level */
	struct emu_operand operand[3];
};

/* struct emu_source - the bytes and the mode that an instruction was decoded from */
struct emu_source {
	u8 bytes[EMU_INSN_MAX];
	u8 fetched;
	u8 mode;		/* enum emu_mode */
	u8 code_size;
};

#define EMU_NO_REG	0xff

/*
 * struct emu_fx - state of x87 and SSE as FXSAVE with REX.W stores it
 * @ftw:	abridged tag word: a bit for each register that is not empty
 * @st:		ten bytes each, beginning with ST(0)
 */
struct emu_fx {
	u16 fcw, fsw;
	u8 ftw, reserved;
	u16 fop;
	u64 fip, fdp;
	u32 mxcsr, mxcsr_mask;
	u8 st[8][16];
	u8 xmm[16][16];
	u8 rest[96];
} __aligned(16);

/* Interrupt shadow that an instruction leaves behind. */
enum emu_shadow {
	EMU_SHADOW_NONE,
	EMU_SHADOW_STI,
	EMU_SHADOW_MOV_SS,
};

struct emu_ctx;

/* Register spaces of @get and @set of struct emu_system, each with numbers of its own. */
enum emu_register {
	EMU_REG_CR,
	EMU_REG_DR,
	EMU_REG_MSR,
	EMU_REG_TSC,		/* number 0 only; read only */
	EMU_REG_XCR,
	EMU_REG_OWN_MSR,	/* MSR access by the processor itself: not filtered */
	EMU_REG_RANDOM,		/* 0: RDRAND, 1: RDSEED; EMU_RETRY: no number is ready */
};

/* Features that the emulator looks up in the guest's CPUID: no control register implies them. */
enum emu_feature {
	EMU_HAS_RDTSCP,
	EMU_HAS_RDPID,
	EMU_HAS_RDRAND,
	EMU_HAS_RDSEED,
	EMU_HAS_SMAP,
	EMU_HAS_XGETBV1,
};

/*
 * struct emu_system - system state, for the instructions that work on it
 *
 * A handler calls what changes the state last, after everything that can fail:
 * the change is final. A task switch that loads CR3 is the one exception.
 *
 * @get, @set:	EMU_OK, or EMU_FAULT if nothing has changed: the exception is
 *		#GP(0) unless the callback puts another one into ctx->fault.
 *		EMU_RETRY and EMU_USER as in enum emu_result.
 * @get_table, @set_table: GDTR or IDTR
 * @invalidate:	flush the translations of the page at @linear
 * @cpuid:	EAX, EBX, ECX, EDX for the leaf and subleaf in ctx->gpr
 * @has:	whether the guest has @feature
 * @hypercall:	VMCALL: reads its arguments from ctx->gpr and writes its results there
 * @trap:	INT1: raise #DB as a trap, after the instruction
 * @port:	IN, or OUT if @out, of 1, 2 or 4 bytes. EMU_IO if userspace must
 *		supply the input first.
 */
struct emu_system {
	enum emu_result (*get)(struct emu_ctx *ctx, enum emu_register space, u32 nr, u64 *val);
	enum emu_result (*set)(struct emu_ctx *ctx, enum emu_register space, u32 nr, u64 val);
	void (*get_table)(struct emu_ctx *ctx, bool idt, struct emu_table *t);
	void (*set_table)(struct emu_ctx *ctx, bool idt, const struct emu_table *t);
	void (*invalidate)(struct emu_ctx *ctx, u64 linear);
	void (*cpuid)(struct emu_ctx *ctx, u32 out[4]);
	bool (*has)(struct emu_ctx *ctx, enum emu_feature feature);
	void (*hypercall)(struct emu_ctx *ctx);
	void (*trap)(struct emu_ctx *ctx);
	enum emu_result (*port)(struct emu_ctx *ctx, u16 port, void *buf, unsigned int size,
				bool out);
};

/*
 * struct emu_ops - callbacks to the owner of the guest
 *
 * Addresses are linear. An access may cross a page; the owner splits it. Outside
 * 64-bit code addresses wrap at 32 bits (emu_linear()), except those of EMU_SYSTEM
 * accesses in long mode. Nothing may be written if any part of the access faults.
 * An instruction that is run again after EMU_IO makes the same reads in the same
 * order, all before its first write.
 *
 * @fetch:	read instruction bytes, within one page. Called for the next page
 *		only if the instruction extends into it.
 * @read, @write: @size is 1-64; @access is a set of enum emu_access. EMU_OK
 *		from @write may mean that the write is queued.
 * @exchange:	atomic compare and exchange of 1, 2, 4, 8 or 16 bytes: store @new
 *		at @linear if it holds @old, otherwise return EMU_RETRY. @access as
 *		for @write.
 * @load_seg:	fill ctx->seg[@index]; the emulator calls it only while the bit in
 *		ctx->seg_valid is clear. NULL if all are filled from the start.
 * @read_xmm, @write_xmm: vector register @reg, low @size bytes (16, 32 or 64).
 *		A write clears the rest of the register if @clear_upper, and keeps
 *		it otherwise. Either may be NULL: instructions that need it are
 *		EMU_UNHANDLED. @write_xmm is called after all memory accesses and
 *		must not fail.
 * @read_mask, @write_mask: mask register @reg of AVX-512; NULL if @read_xmm and
 *		@write_xmm are
 * @read_fx, @write_fx: the state of x87, XMM0 to 15 and MXCSR. @write_fx is
 *		final, as @write_xmm is. Either may be NULL, and @run_x87 too.
 * @run_x87:	execute this x87 instruction on @fx, with @buf as its memory
 *		operand; no unmasked exception is pending in @fx
 * @system:	NULL: instructions on system state are EMU_UNHANDLED
 */
struct emu_ops {
	enum emu_result (*fetch)(struct emu_ctx *ctx, u64 linear, void *buf, unsigned int len);
	enum emu_result (*read)(struct emu_ctx *ctx, u64 linear, void *buf, unsigned int size,
				unsigned int access);
	enum emu_result (*write)(struct emu_ctx *ctx, u64 linear, const void *buf,
				 unsigned int size, unsigned int access);
	enum emu_result (*exchange)(struct emu_ctx *ctx, u64 linear, const void *old,
				    const void *new, unsigned int size, unsigned int access);
	void (*load_seg)(struct emu_ctx *ctx, unsigned int index);
	void (*read_xmm)(struct emu_ctx *ctx, unsigned int reg, void *buf, unsigned int size);
	void (*write_xmm)(struct emu_ctx *ctx, unsigned int reg, const void *buf,
			  unsigned int size, bool clear_upper);
	u64 (*read_mask)(struct emu_ctx *ctx, unsigned int reg);
	void (*write_mask)(struct emu_ctx *ctx, unsigned int reg, u64 val);
	void (*read_fx)(struct emu_ctx *ctx, struct emu_fx *fx);
	void (*write_fx)(struct emu_ctx *ctx, const struct emu_fx *fx);
	void (*run_x87)(struct emu_fx *fx, u8 opcode, u8 modrm, void *buf);
	const struct emu_system *system;
};

/*
 * struct emu_ctx - the context in which one instruction is emulated
 *
 * In: the owner fills it before emu_decode(). The registers at @gpr, @rip,
 * @rflags and @seg change only if emu_execute() returns EMU_OK. Each segment
 * register that has changed has its bit in @seg_dirty. The mode and the CPL may
 * have changed with it, so the owner fills the context anew for the next
 * instruction.
 *
 * Derived: @insn. The owner sets insn.fetched to 0, or to the number of
 * instruction bytes it has put into insn.bytes[] already. A decoded
 * instruction can be executed any number of times, as long as CS:RIP, the
 * mode and the code bytes stay the same. @source records the bytes and the mode
 * that @insn was decoded from: the owner zeroes the context once, and then changes
 * neither.
 *
 * Out: valid after EMU_OK; @fault is valid after EMU_FAULT, and after EMU_OK if
 * @begins_with_fault is set.
 */
struct emu_ctx {
	/* in */
	const struct emu_ops *ops;
	void *priv;			/* for the owner */
	u64 *gpr;			/* an array of EMU_GPR_COUNT */
	u64 rip;
	u64 rflags;
	enum emu_mode mode;
	u8 cpl;
	u8 seg_valid;			/* bit per enum emu_seg_index: seg[] is filled */
	struct emu_seg seg[EMU_SEG_COUNT];
	u64 cr0;
	u64 cr4;
	u64 efer;
	u64 xcr0;

	/* derived */
	struct emu_insn insn;
	struct emu_source source;
	u64 next_rip;
	u64 next_rflags;
	u64 displaced;			/* added to the address of the memory operand */

	/* out */
	struct emu_exception fault;
	bool rep_again;			/* one iteration is done, others follow; rip is unchanged */
	bool single_step;		/* RFLAGS.TF applies: a debug trap is due */
	bool begins_with_fault;		/* a task switch: the new task raises @fault at once */
	bool halted;			/* HLT */
	bool nmi_open;			/* IRET has ended the blocking of NMIs */
	u8 seg_dirty;			/* bit per enum emu_seg_index: seg[] has changed */
	enum emu_shadow shadow;
};

/* Linear address of the byte @offset after @linear; wraps at 32 bits outside 64-bit code. */
static inline u64 emu_linear(const struct emu_ctx *ctx, u64 linear, unsigned int offset)
{
	linear += offset;
	return ctx->mode == EMU_MODE_LONG64 ? linear : (u32)linear;
}

/* Fetch and decode the instruction at CS:RIP. */
enum emu_result emu_decode(struct emu_ctx *ctx);

/*
 * True if the decoded instruction is a MOV to memory: it writes up to 8 bytes to
 * one place and does nothing else.
 */
bool emu_plain_store(const struct emu_ctx *ctx);

/*
 * Execute the decoded instruction, or one iteration of it if it repeats. If
 * rep_again is set after EMU_OK, the owner handles pending events, then either
 * calls this again or starts over with emu_decode().
 */
enum emu_result emu_execute(struct emu_ctx *ctx);

/*
 * struct emu_event - an interrupt or exception to deliver
 * @soft:	raised by INT n, INT3 or INTO: a fault in its delivery does not set the
 *	EXT bit of its error code
 * @length:	of that instruction; the return address is after it
 */
struct emu_event {
	u8 vector;
	bool has_error;
	bool soft;
	u8 length;
	u32 error_code;
};

/*
 * Deliver an interrupt or exception as the processor does, through the real-mode
 * vectors or a gate of protected mode: push the state and continue in the
 * handler. EMU_UNHANDLED in long mode. Fill the context as for an instruction;
 * the results are the same.
 */
enum emu_result emu_interrupt(struct emu_ctx *ctx, const struct emu_event *e);

/* Cause of a task switch, numbered as in the exit qualification. */
enum emu_task_source {
	EMU_TASK_CALL,
	EMU_TASK_IRET,
	EMU_TASK_JMP,
	EMU_TASK_EVENT,		/* through a task gate in the IDT */
};

/*
 * Switch to the task whose TSS is @sel. @e: the event that causes the switch, or
 * only the length of the instruction that does.
 */
enum emu_result emu_switch_task(struct emu_ctx *ctx, enum emu_task_source source, u16 sel,
				const struct emu_event *e);

#endif
