// SPDX-License-Identifier: GPL-2.0
/*
 * Every family of instructions that can meet a device, in 16, 32 and 64-bit
 * code, with the guest's paging off and on. Each runs twice from the same
 * state, with its operand or its stack in RAM and on the device: the processor
 * itself says what is right.
 */
#include "kselftest_harness.h"
#include "keel_test.h"
#include "guest.h"

#define CF	0x001UL
#define PF	0x004UL
#define AF	0x010UL
#define ZF	0x040UL
#define SF	0x080UL
#define OF	0x800UL
#define ARITH	(CF | PF | AF | ZF | SF | OF)

#define OPERAND	0x100UL		/* in the region, where rbx points */
#define SOURCE	0x180UL		/* rsi */
#define TARGET	0x200UL		/* rdi */
#define FRAME	0x500UL		/* rbp */
#define STACK	0x400UL		/* rsp, where it is in the region at all */
#define LANDING	(REAL_CODE_GPA + 0x800)	/* where branches lead to: HLT */
#define HLT	0xf4

/* What memory must hold for an instruction to make sense, and what it uses. */
enum need {
	FAR_OPERAND	= 1,	/* a far pointer at OPERAND */
	FAR_STACK	= 2,	/* a far return address, flags, 64-bit code's stack */
	NEAR		= 4,	/* LANDING at OPERAND and on the stack */
	ON_STACK	= 8,	/* the stack is in the region */
	DATA_SELECTOR	= 16,	/* of the mode's data segment, at OPERAND and on the stack */
	FAR_DATA	= 32,	/* a pointer into the data segment at OPERAND */
	PROTECTED	= 64,	/* not in real mode */
	NOT64		= 128,
	ONLY64		= 256,
	SELECTOR_LDT	= 512,	/* the null selector at OPERAND */
	SELECTOR_TSS	= 1024,	/* of a TSS that is free */
	MOVES_TABLE	= 2048,	/* the tables' own at OPERAND */
	BOUNDS		= 4096,	/* any index is within */
};

#define M16 "(%bx)"
#define M32 "(%ebx)"
#define M64 "(%rbx)"

/* X(name, text before the memory operand, text behind it, undefined flags, needs) */
#define EVERYWHERE(X)							\
	X(load, "movl ", ", %eax", 0, 0)				\
	X(load8, "movb ", ", %ah", 0, 0)				\
	X(store, "movw %cx, ", "", 0, 0)				\
	X(store_imm, "movl $0x12345678, ", "", 0, 0)			\
	X(movzx, "movzbl ", ", %edx", 0, 0)				\
	X(movsx, "movswl ", ", %edx", 0, 0)				\
	X(add, "lock addl %eax, ", "", 0, 0)				\
	X(adc, "adcw %dx, ", "", 0, 0)					\
	X(sub, "subb $77, ", "", 0, 0)					\
	X(sbb, "sbbl ", ", %eax", 0, 0)					\
	X(and, "lock andl %edx, ", "", AF, 0)				\
	X(or, "orw $0x1234, ", "", AF, 0)				\
	X(xor, "xorl ", ", %eax", AF, 0)				\
	X(cmp, "cmpl %eax, ", "", 0, 0)					\
	X(test, "testb $0x5a, ", "", AF, 0)				\
	X(inc, "lock incl ", "", 0, 0)					\
	X(dec, "decw ", "", 0, 0)					\
	X(neg, "negl ", "", 0, 0)					\
	X(not, "lock notb ", "", 0, 0)					\
	X(xchg, "xchgl %eax, ", "", 0, 0)				\
	X(xadd, "lock xaddl %edx, ", "", 0, 0)				\
	X(cmpxchg, "lock cmpxchgl %edx, ", "", 0, 0)			\
	X(cmpxchg8b, "lock cmpxchg8b ", "", 0, 0)			\
	X(bt, "btl $7, ", "", OF | SF | AF | PF, 0)			\
	X(bts, "lock btsl %ecx, ", "", OF | SF | AF | PF, 0)		\
	X(btr, "btrw $3, ", "", OF | SF | AF | PF, 0)			\
	X(btc, "btcl $30, ", "", OF | SF | AF | PF, 0)			\
	X(shl, "shll $3, ", "", OF | AF, 0)				\
	X(sar, "sarw %cl, ", "", OF | AF, 0)				\
	X(shr, "shrb $1, ", "", AF, 0)					\
	X(rol, "roll $5, ", "", OF, 0)					\
	X(rcr, "rcrw $1, ", "", 0, 0)					\
	X(shld, "shldl $9, %eax, ", "", OF | AF, 0)			\
	X(shrd, "shrdl %cl, %eax, ", "", OF | AF, 0)			\
	X(mul, "mull ", "", SF | ZF | AF | PF, 0)			\
	X(imul, "imull ", ", %eax", SF | ZF | AF | PF, 0)		\
	X(imul3, "imulw $77, ", ", %dx", SF | ZF | AF | PF, 0)		\
	X(div, "xorl %edx, %edx\n\tdivl ", "", ARITH, 0)		\
	X(idiv, "cltd\n\tidivl ", "", ARITH, 0)				\
	X(bsf, "bsfl ", ", %edx", ARITH & ~ZF, 0)			\
	X(bsr, "bsrl ", ", %edx", ARITH & ~ZF, 0)			\
	X(setc, "setc ", "", 0, 0)					\
	X(cmovnc, "cmovncl ", ", %edx", 0, 0)				\
	X(movnti, "movntil %edx, ", "", 0, 0)				\
	X(jump, "jmp *", "", 0, NEAR)					\
	X(call, "call *", "", 0, NEAR)					\
	X(far_jump, "ljmp *", "", 0, FAR_OPERAND)			\
	X(far_call, "lcall *", "", 0, FAR_OPERAND)			\
	X(load_fs, "movw ", ", %fs", 0, DATA_SELECTOR)			\
	X(load_ss, "movw ", ", %ss\n\tnop", 0, DATA_SELECTOR)		\
	X(store_ds, "movw %ds, ", "", 0, 0)				\
	X(lfs, "lfsl ", ", %edx", 0, FAR_DATA)				\
	X(lgs, "lgsw ", ", %dx", 0, FAR_DATA)				\
	X(lss, "lssw ", ", %dx", 0, FAR_DATA)				\
	X(lgdt, "lgdt ", "", 0, MOVES_TABLE)				\
	X(lidt, "lidt ", "", 0, MOVES_TABLE)				\
	X(sgdt, "sgdt ", "", 0, 0)					\
	X(sidt, "sidt ", "", 0, 0)					\
	X(lmsw, "smsw %ax\n\tmovw %ax, ", "\n\tlmsw %ax", 0, 0)		\
	X(smsw, "smsw ", "", 0, 0)					\
	X(invlpg, "invlpg ", "", 0, 0)					\
	X(sldt, "sldt ", "", 0, PROTECTED)				\
	X(str, "str ", "", 0, PROTECTED)				\
	X(lldt, "lldt ", "", 0, PROTECTED | SELECTOR_LDT)		\
	X(ltr, "ltr ", "", 0, PROTECTED | SELECTOR_TSS)			\
	X(verr, "verr ", "", 0, PROTECTED | DATA_SELECTOR)		\
	X(verw, "verw ", "", 0, PROTECTED)				\
	X(lar, "larl ", ", %edx", 0, PROTECTED | DATA_SELECTOR)		\
	X(lsl, "lsll ", ", %edx", 0, PROTECTED | DATA_SELECTOR)		\
	X(movups, "movups ", ", %xmm1", 0, 0)				\
	X(movups_store, "movups %xmm2, ", "", 0, 0)			\
	X(movdqa, "movdqa %xmm3, ", "", 0, 0)				\
	X(movq, "movq ", ", %xmm4", 0, 0)				\
	X(movd_store, "movd %xmm5, ", "", 0, 0)				\
	X(movhps, "movhps ", ", %xmm6", 0, 0)				\
	/* Without an operand that needs a register's name. */		\
	X(movs, "rep movsb #", "", 0, 0)				\
	X(stos, "rep stosl #", "", 0, 0)				\
	X(lods, "rep lodsw #", "", 0, 0)				\
	X(cmps, "repe cmpsb #", "", 0, 0)				\
	X(scas, "repne scasb #", "", 0, 0)				\
	X(outs, "rep outsb #", "", 0, 0)				\
	X(ins, "rep insw #", "", 0, 0)					\
	X(xlat, "xlat #", "", 0, 0)					\
	X(push, "push $0x12 #", "", 0, ON_STACK)			\
	X(pop, "pop %dx #", "", 0, ON_STACK)				\
	X(pushf, "pushf #", "", 0, ON_STACK)				\
	X(enter, "enter $16, $0 #", "", 0, ON_STACK)			\
	X(enter_nested, "enter $16, $3 #", "", 0, ON_STACK)		\
	X(leave, "leave #", "", 0, ON_STACK)				\
	X(ret, "ret $8 #", "", 0, ON_STACK | NEAR)			\
	X(pop_fs, "pop %fs #", "", 0, ON_STACK | DATA_SELECTOR)		\
	X(push_gs, "push %gs\n\tpop %dx #", "", 0, ON_STACK)		\
	X(far_ret, ".byte 0xcb #", "", 0, ON_STACK | FAR_STACK)

#define OLD_CODE(X)							\
	X(iret, ".byte 0xcf #", "", 0, ON_STACK | FAR_STACK)		\
	X(les, "lesl ", ", %edx", 0, FAR_DATA)				\
	X(arpl, "arpl %dx, ", "", 0, PROTECTED)				\
	X(bound, "boundl %edx, ", "", 0, BOUNDS)			\
	X(pusha, "pusha #", "", 0, ON_STACK)				\
	X(popa, "popa #", "", 0, ON_STACK)				\
	X(pop_es, "pop %es #", "", 0, ON_STACK | DATA_SELECTOR)

#define NEW_CODE(X)							\
	X(load64, "movq ", ", %rax", 0, 0)				\
	X(add64, "lock addq %rdx, ", "", 0, 0)				\
	X(cmpxchg16b, "lock cmpxchg16b ", "", 0, 0)			\
	X(movsxd, "movslq ", ", %rdx", 0, 0)				\
	X(iretq, "iretq #", "", 0, ON_STACK | FAR_STACK)

/* The same text in three code sizes. */
#define TEXT(id, size, text)						\
	".code" #size "\n"						\
	#id "_" #size ":\n" text "\n"					\
	#id "_" #size "_end:\n"
#define TEXT_3(id, before, behind, ...)					\
	TEXT(id, 16, before M16 behind) TEXT(id, 32, before M32 behind)	\
	TEXT(id, 64, before M64 behind)
#define TEXT_OLD(id, before, behind, ...)				\
	TEXT(id, 16, before M16 behind) TEXT(id, 32, before M32 behind)
#define TEXT_NEW(id, before, behind, ...)	TEXT(id, 64, before M64 behind)

#define ALL_TEXT							\
	".pushsection .rodata\n"					\
	EVERYWHERE(TEXT_3) OLD_CODE(TEXT_OLD) NEW_CODE(TEXT_NEW)	\
	".code64\n"							\
	".popsection\n"

asm(ALL_TEXT);

#define NAME(id, size)		id##_##size[], id##_##size##_end[],
#define NAME_3(id, ...)		NAME(id, 16) NAME(id, 32) NAME(id, 64)
#define NAME_OLD(id, ...)	NAME(id, 16) NAME(id, 32)
#define NAME_NEW(id, ...)	NAME(id, 64)

extern const char EVERYWHERE(NAME_3) OLD_CODE(NAME_OLD) NEW_CODE(NAME_NEW) __bss_start[];

struct family {
	const char *name;
	const char *code[3], *end[3];	/* 16, 32 and 64 bits */
	u64 undefined;			/* flags */
	unsigned int needs;
};

#define ROW_3(id, before, behind, _undefined, _needs)			\
	{ #id, { id##_16, id##_32, id##_64 },				\
	  { id##_16_end, id##_32_end, id##_64_end }, _undefined, _needs },
#define ROW_OLD(id, before, behind, _undefined, _needs)			\
	{ #id, { id##_16, id##_32, NULL }, { id##_16_end, id##_32_end, NULL }, _undefined,	\
	  (_needs) | NOT64 },
#define ROW_NEW(id, before, behind, _undefined, _needs)			\
	{ #id, { NULL, NULL, id##_64 }, { NULL, NULL, id##_64_end }, _undefined,	\
	  (_needs) | ONLY64 },

static const struct family families[] = {
	EVERYWHERE(ROW_3) OLD_CODE(ROW_OLD) NEW_CODE(ROW_NEW)
};

enum code_mode { REAL, PROT16, PROT16_PAGED, PROT32, PROT32_PAGED, LONG64 };

static int code_size(enum code_mode mode)	/* as index of the code */
{
	return mode == LONG64 ? 2 : mode >= PROT32;
}

static unsigned int word(enum code_mode mode)
{
	return 2u << code_size(mode);
}

FIXTURE(insn_modes) {
	struct vm *vm;
	struct vcpu *vcpu;
};

FIXTURE_SETUP(insn_modes)
{
	self->vm = vm_create();
	self->vcpu = vcpu_create_bare(self->vm, 0);
	vcpu_set_cpuid(self->vcpu);
}

FIXTURE_TEARDOWN(insn_modes)
{
	vcpu_free(self->vcpu);
	vm_free(self->vm);
}

/* What a run leaves behind. */
struct outcome {
	int reason;
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_fpu fpu;
	u8 region[PAGE];
	unsigned int out;		/* sum of what went to ports */
};

static u8 device[PAGE];

static void poke(u8 *region, u64 at, u64 val, unsigned int size)
{
	memcpy(region + at, &val, size);
}

static u16 code_selector(enum code_mode mode)
{
	static const u16 sel[] = { 0, SEL_CODE16, SEL_CODE16, SEL_CODE32, SEL_CODE32, SEL_CODE64 };

	return sel[mode];
}

static u16 data_selector(enum code_mode mode)
{
	return mode == REAL ? 0x1000 : SEL_DATA;
}

/* A far pointer, as wide as operands are; in 64-bit code those are 4 bytes. */
static void poke_far(u8 *region, u64 at, enum code_mode mode, u64 offset, u16 sel)
{
	unsigned int size = mode == LONG64 ? 4 : word(mode);

	poke(region, at, offset, size);
	poke(region, at + size, sel, 2);
}

/* IP, CS, flags, SP, SS in slots of @size bytes. */
static void poke_return(u8 *region, enum code_mode mode, unsigned int size, u64 stack)
{
	poke(region, STACK, LANDING, size);
	poke(region, STACK + size, code_selector(mode), size);
	poke(region, STACK + 2 * size, 0x8d7, size);
	if (size != 8)
		return;
	poke(region, STACK + 3 * size, stack, size);
	poke(region, STACK + 4 * size, SEL_DATA, size);
}

static void fill(void *buf, size_t size, u32 seed)
{
	u8 *p = buf;

	while (size--) {
		seed = seed * 1664525 + 1013904223;
		*p++ = seed >> 24;
	}
}

static void prepare_region(u8 *region, const struct family *f, enum code_mode mode, u64 base,
			   u32 seed)
{
	struct { u16 limit; u64 base; } __attribute__((packed)) table = { 0x7f, GDT_GPA };
	bool quad = !strcmp(f->name, "iretq");

	fill(region, PAGE, seed);
	if (f->needs & NEAR) {
		poke(region, OPERAND, LANDING, word(mode));
		poke(region, STACK, LANDING, word(mode));
	}
	if (f->needs & FAR_OPERAND)
		poke_far(region, OPERAND, mode, LANDING, code_selector(mode));
	if (f->needs & FAR_STACK)
		poke_return(region, mode, quad ? 8 : mode == LONG64 ? 4 : word(mode), base + STACK);
	if (f->needs & DATA_SELECTOR) {
		poke(region, OPERAND, data_selector(mode), 2);
		poke(region, STACK, data_selector(mode), 2);
	}
	if (f->needs & FAR_DATA) {
		poke(region, OPERAND + 2, data_selector(mode), 2);
		poke(region, OPERAND + 4, data_selector(mode), 2);
	}
	if (f->needs & SELECTOR_LDT)
		poke(region, OPERAND, 0, 2);
	if (f->needs & SELECTOR_TSS)
		poke(region, OPERAND, SEL_TSS, 2);
	if (f->needs & MOVES_TABLE)
		memcpy(region + OPERAND, &table, sizeof(table));
	if (f->needs & BOUNDS)
		poke(region, OPERAND, 0x7fffffff80000000, 8);
}

static void set_mode(struct vcpu *vcpu, enum code_mode mode)
{
	struct kvm_sregs s;

	/* From one mode straight into the next: begin with what power-on left. */
	memset(&s, 0, sizeof(s));
	vcpu_get_sregs(vcpu, &s);
	s.cr0 = CR0_ET;
	s.cr4 = 0;
	s.efer = 0;
	s.cs.l = 0;
	vcpu_set_sregs(vcpu, &s);
	if (mode == REAL)
		vcpu_set_real(vcpu, REAL_CODE_GPA);
	else if (mode == LONG64)
		vcpu_set_long(vcpu, (void *)REAL_CODE_GPA);
	else if (mode >= PROT32)
		vcpu_set_prot32(vcpu, (void *)REAL_CODE_GPA);
	else
		vcpu_set_prot16(vcpu, REAL_CODE_GPA);
}

static void set_segments(struct vcpu *vcpu, const struct family *f, enum code_mode mode, u64 base)
{
	struct kvm_sregs s;

	vcpu_get_sregs(vcpu, &s);
	s.cr4 |= CR4_OSFXSR;
	if (mode == PROT16_PAGED) {
		s.cr4 |= CR4_PSE;
		s.cr3 = PD32_GPA;
	}
	if (mode == PROT32_PAGED) {
		s.cr4 |= CR4_PAE;
		s.cr3 = PAE_PDPT_GPA;
	}
	if (mode == PROT16_PAGED || mode == PROT32_PAGED)
		s.cr0 |= CR0_PG;
	if (mode == REAL) {
		s.gdt = (struct kvm_dtable) { .base = GDT_GPA, .limit = 0x7f };
		s.ldt.unusable = 1;
	}
	s.ds.base = base;
	s.es.base = base;
	if (f->needs & ON_STACK)
		s.ss.base = base;
	vcpu_set_sregs(vcpu, &s);
}

static void set_registers(struct vcpu *vcpu, const struct family *f, enum code_mode mode, u64 base,
			  u32 seed)
{
	u64 at = mode == LONG64 ? base : 0;
	struct kvm_regs r;
	struct kvm_fpu fpu;

	fill(&r, sizeof(r), seed + 1);
	r.rbx = at + OPERAND;
	r.rsi = at + SOURCE;
	r.rdi = at + TARGET;
	r.rbp = at + FRAME;
	r.rsp = f->needs & ON_STACK ? at + STACK : REAL_STACK_GPA;
	r.rcx = 5;
	r.rax &= mode == LONG64 ? ~0ul : 0xffffffff;
	r.rdx &= mode == LONG64 ? ~0ul : 0xffffffff;
	r.rip = REAL_CODE_GPA;
	r.rflags = (r.rflags & ARITH) | 2;
	if (mode != LONG64)
		memset(&r.r8, 0, 8 * sizeof(r.r8));
	vcpu_set_regs(vcpu, &r);
	vcpu_ioctl(vcpu, KVM_GET_FPU, &fpu);
	fill(fpu.xmm, sizeof(fpu.xmm), seed + 2);
	fpu.mxcsr = 0x1f80;
	fpu.fcw = 0x37f;
	vcpu_ioctl(vcpu, KVM_SET_FPU, &fpu);
}

static void load_code(struct vm *vm, const struct family *f, enum code_mode mode)
{
	u8 *at = vm_hva(vm, REAL_CODE_GPA);
	int size = code_size(mode);

	memset(at, HLT, PAGE);
	memcpy(at, f->code[size], f->end[size] - f->code[size]);
}

static void serve_port(struct kvm_run *run, struct outcome *o)
{
	u8 *data = (u8 *)run + run->io.data_offset;
	unsigned int i, n = run->io.size * run->io.count;

	for (i = 0; i < n; i++) {
		if (run->io.direction == KVM_EXIT_IO_OUT)
			o->out = 31 * o->out + data[i];
		else
			data[i] = 0x5a;
	}
}

static int serve(struct vcpu *vcpu, struct outcome *o)
{
	struct kvm_run *run = vcpu->run;

	for (;;) {
		vcpu_run(vcpu);
		if (run->exit_reason == KVM_EXIT_IO) {
			serve_port(run, o);
		} else if (run->exit_reason == KVM_EXIT_MMIO) {
			u8 *at = device + (run->mmio.phys_addr - MMIO_GPA) % PAGE;

			if (run->mmio.is_write)
				memcpy(at, run->mmio.data, run->mmio.len);
			else
				memcpy(run->mmio.data, at, run->mmio.len);
		} else {
			return run->exit_reason;
		}
	}
}

/* What points into the region does so by the same distance. */
static void relocate(void *buf, unsigned int count, u64 base)
{
	u64 *val = buf;

	for (; count--; val++)
		if (*val - base < PAGE)
			*val -= base;
}

static void run_on(struct vm *vm, struct vcpu *vcpu, const struct family *f, enum code_mode mode,
		   u64 base, u32 seed, struct outcome *o)
{
	u8 *region = base == MMIO_GPA ? device : vm_hva(vm, base);

	memset(o, 0, sizeof(*o));
	prepare_region(region, f, mode, mode == LONG64 ? base : 0, seed);
	set_mode(vcpu, mode);
	if (f->needs & SELECTOR_TSS)
		((u8 *)vm_hva(vm, GDT_GPA))[SEL_TSS + 5] = 0x89;
	set_segments(vcpu, f, mode, base);
	set_registers(vcpu, f, mode, base, seed);
	load_code(vm, f, mode);
	o->reason = serve(vcpu, o);
	vcpu_get_regs(vcpu, &o->regs);
	vcpu_get_sregs(vcpu, &o->sregs);
	vcpu_ioctl(vcpu, KVM_GET_FPU, &o->fpu);
	memcpy(o->region, region, PAGE);
	relocate(&o->regs, 16, base);
	relocate(o->region, PAGE / 8, base);
	o->regs.rflags &= ~f->undefined;
}

static bool same_segment(const struct kvm_segment *a, const struct kvm_segment *b)
{
	if (a->selector != b->selector || a->unusable != b->unusable)
		return false;
	return a->unusable || (a->base == b->base && a->limit == b->limit && a->type == b->type &&
			       a->db == b->db && a->l == b->l && a->dpl == b->dpl);
}

static const char *what_differs(const struct family *f, const struct outcome *a,
				const struct outcome *b)
{
	if (a->reason != KVM_EXIT_HLT || b->reason != KVM_EXIT_HLT)
		return "exit";
	if (memcmp(&a->regs, &b->regs, sizeof(a->regs)))
		return "registers";
	if (a->out != b->out)
		return "ports";
	if (memcmp(a->fpu.xmm, b->fpu.xmm, sizeof(a->fpu.xmm)))
		return "vector registers";
	if (!same_segment(&a->sregs.cs, &b->sregs.cs) ||
	    !same_segment(&a->sregs.fs, &b->sregs.fs) ||
	    !same_segment(&a->sregs.gs, &b->sregs.gs) ||
	    !same_segment(&a->sregs.tr, &b->sregs.tr) ||
	    !same_segment(&a->sregs.ldt, &b->sregs.ldt))
		return "segments";
	if (!(f->needs & ON_STACK) && !same_segment(&a->sregs.ss, &b->sregs.ss))
		return "stack segment";
	if (memcmp(&a->sregs.gdt, &b->sregs.gdt, sizeof(a->sregs.gdt)) ||
	    memcmp(&a->sregs.idt, &b->sregs.idt, sizeof(a->sregs.idt)) ||
	    a->sregs.cr0 != b->sregs.cr0)
		return "system registers";
	if (memcmp(a->region, b->region, PAGE))
		return "memory";
	return NULL;
}

static void log_region(const struct outcome *a, const struct outcome *b)
{
	unsigned int i;

	for (i = 0; i < PAGE; i++) {
		if (a->region[i] != b->region[i]) {
			printf("#   memory at %#x: %#x, emulated %#x\n", i, a->region[i],
			       b->region[i]);
			return;
		}
	}
}

static void log_difference(const char *what, const struct family *f, enum code_mode mode,
			   const struct outcome *a, const struct outcome *b)
{
	const u64 *x = (const u64 *)&a->regs, *y = (const u64 *)&b->regs;
	unsigned int i;

	printf("#   %s, mode %d: %s\n", f->name, mode, what);
	printf("#   exit %d, emulated %d\n", a->reason, b->reason);
	for (i = 0; i < 18; i++)
		if (x[i] != y[i])
			printf("#   register %u: %#lx, emulated %#lx\n", i, x[i], y[i]);
	log_region(a, b);
}

static bool applies(const struct family *f, enum code_mode mode)
{
	if (mode == LONG64)
		return !(f->needs & NOT64);
	return !(f->needs & ONLY64) && (mode != REAL || !(f->needs & PROTECTED));
}

static int compare_all(struct vm *vm, struct vcpu *vcpu, enum code_mode mode)
{
	static struct outcome ram, mmio;
	int differences = 0;
	const char *what;
	u32 i, seed;

	for (i = 0; i < ARRAY_SIZE(families); i++) {
		const struct family *f = &families[i];

		for (seed = 1; seed <= 3 && applies(f, mode); seed++) {
			run_on(vm, vcpu, f, mode, DATA_GPA, seed, &ram);
			run_on(vm, vcpu, f, mode, MMIO_GPA, seed, &mmio);
			what = what_differs(f, &ram, &mmio);
			if (!what)
				continue;
			log_difference(what, f, mode, &ram, &mmio);
			differences++;
		}
	}
	return differences;
}

TEST_F(insn_modes, real_mode)
{
	EXPECT_EQ(0, compare_all(self->vm, self->vcpu, REAL));
}

TEST_F(insn_modes, protected_16_bit)
{
	EXPECT_EQ(0, compare_all(self->vm, self->vcpu, PROT16));
}

TEST_F(insn_modes, protected_16_bit_paged)
{
	EXPECT_EQ(0, compare_all(self->vm, self->vcpu, PROT16_PAGED));
}

TEST_F(insn_modes, protected_32_bit)
{
	EXPECT_EQ(0, compare_all(self->vm, self->vcpu, PROT32));
}

TEST_F(insn_modes, protected_32_bit_paged)
{
	EXPECT_EQ(0, compare_all(self->vm, self->vcpu, PROT32_PAGED));
}

TEST_F(insn_modes, long_mode)
{
	EXPECT_EQ(0, compare_all(self->vm, self->vcpu, LONG64));
}

KEEL_TEST_MAIN
