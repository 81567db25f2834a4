// SPDX-License-Identifier: GPL-2.0
/*
 * Instructions on a device, family by family, beyond the moves and arithmetic
 * that mmio_test covers: stack, branches, exchanges, bits, shifts, products,
 * conditions, vector moves. Each runs on RAM and on the device; the processor
 * itself so says what is right.
 */
#include "kselftest_harness.h"
#include "keel_test.h"
#include "control.h"
#include "guest.h"

#define FLAGS	0x8d5UL

/* Registers that an instruction works on, and what it leaves in them. */
struct state {
	u64 rax, rbx, rcx, rdx, flags;
	u8 xmm[32];
};

struct insn {
	const char *name;
	void (*fn)(void *mem, struct state *s);
	u64 undefined;		/* flags */
	bool vector, avx;
};

/* @insn works on the 64 bytes at %rdi, which the operand names. */
#define INSN(id, insn)							\
static void insn_##id(void *mem, struct state *s)			\
{									\
	u64 flags = s->flags;						\
									\
	asm volatile("push %[flags]\n\tpopfq\n\t" insn "\n\t"		\
		     "pushfq\n\tpop %[flags]"				\
		     : "+a" (s->rax), "+b" (s->rbx), "+c" (s->rcx),	\
		       "+d" (s->rdx), [flags] "+r" (flags)		\
		     : "D" (mem), "S" (s->xmm)				\
		     : "r12", "memory", "cc");				\
	s->flags = flags & FLAGS;					\
}

INSN(push, "pushq 8(%%rdi)\n\tpop %%rax")
INSN(pop, "push %%rax\n\tpopq 16(%%rdi)")
INSN(call, "call *(%%rdi)")
INSN(xadd, "lock xaddq %%rax, 8(%%rdi)")
INSN(xchg, "xchgl %%eax, 8(%%rdi)")
INSN(cmpxchg_differs, "lock cmpxchgl %%ecx, 8(%%rdi)")
INSN(cmpxchg_equal, "movw 8(%%rdi), %%ax\n\tcmpxchgw %%cx, 8(%%rdi)")
INSN(cmpxchg8b, "lock cmpxchg8b 8(%%rdi)")
INSN(cmpxchg16b, "lock cmpxchg16b 16(%%rdi)")
INSN(bt, "btq %%rcx, 8(%%rdi)")
INSN(bts, "lock btsl $7, 8(%%rdi)")
INSN(btr, "btrw $3, 8(%%rdi)")
INSN(btc, "btcq $40, 8(%%rdi)")
INSN(shl, "shll $3, 8(%%rdi)")
INSN(sar, "sarq %%cl, 8(%%rdi)")
INSN(shr, "shrb $1, 8(%%rdi)")
INSN(rol, "rolw $5, 8(%%rdi)")
INSN(rcr, "rcrq $1, 8(%%rdi)")
INSN(shld, "shldl $9, %%eax, 8(%%rdi)")
INSN(shrd, "shrdq %%cl, %%rax, 8(%%rdi)")
INSN(mul, "mulq 8(%%rdi)")
INSN(imul, "imull 8(%%rdi), %%eax")
INSN(imul3, "imulw $77, 8(%%rdi), %%ax")
INSN(div, "xorl %%edx, %%edx\n\tdivl 8(%%rdi)")
INSN(idiv, "cqto\n\tidivq 8(%%rdi)")
INSN(bsf, "bsfq 8(%%rdi), %%rax")
INSN(bsr, "bsrl 8(%%rdi), %%eax")
INSN(setc, "setc 8(%%rdi)")
INSN(cmovnc, "cmovncl 8(%%rdi), %%eax")
INSN(cmovc, "cmovcl 8(%%rdi), %%eax")
INSN(movnti, "movntiq %%rax, 8(%%rdi)")
INSN(cmps, "push %%rsi\n\tpush %%rdi\n\tmov %%rdi, %%rsi\n\tmovl $4, %%ecx\n\t"
	   "repe cmpsl\n\tpop %%rdi\n\tpop %%rsi")
INSN(scas, "push %%rdi\n\tmovl $16, %%ecx\n\trepne scasb\n\tpop %%rdi")
INSN(movups_load, "movups 8(%%rdi), %%xmm3\n\tmovups %%xmm3, (%%rsi)")
INSN(movaps_load, "movaps 16(%%rdi), %%xmm15\n\tmovups %%xmm15, (%%rsi)")
INSN(movdqu_store, "movdqu (%%rsi), %%xmm0\n\tmovdqu %%xmm0, 9(%%rdi)")
INSN(movntps, "movups (%%rsi), %%xmm5\n\tmovntps %%xmm5, 16(%%rdi)")
INSN(movss, "movups (%%rsi), %%xmm6\n\tmovss 8(%%rdi), %%xmm6\n\tmovups %%xmm6, (%%rsi)")
INSN(movq, "movups (%%rsi), %%xmm7\n\tmovq %%xmm7, 8(%%rdi)")
INSN(movd, "movd 8(%%rdi), %%xmm8\n\tmovups %%xmm8, (%%rsi)")
INSN(movhps, "movups (%%rsi), %%xmm9\n\tmovhps 8(%%rdi), %%xmm9\n\tmovups %%xmm9, (%%rsi)")
INSN(movlps, "movups (%%rsi), %%xmm9\n\tmovlps %%xmm9, 8(%%rdi)")
INSN(vmovdqu_load, "vmovdqu 8(%%rdi), %%ymm11\n\tvmovdqu %%ymm11, (%%rsi)")
INSN(vmovdqu_store, "vmovdqu (%%rsi), %%ymm12\n\tvmovdqu %%ymm12, 8(%%rdi)")
INSN(vmovups_clears, "vmovdqu (%%rsi), %%ymm13\n\tvmovups 8(%%rdi), %%xmm13\n\t"
		     "vmovdqu %%ymm13, (%%rsi)")
INSN(movups_keeps, "vmovdqu (%%rsi), %%ymm14\n\tmovups 8(%%rdi), %%xmm14\n\t"
		   "vmovdqu %%ymm14, (%%rsi)")

#define CF 0x001UL
#define PF 0x004UL
#define AF 0x010UL
#define ZF 0x040UL
#define SF 0x080UL
#define OF 0x800UL

#define ROW(id, ...) { .name = #id, .fn = insn_##id, __VA_ARGS__ }

static const struct insn plain[] = {
	ROW(push), ROW(pop), ROW(call), ROW(xadd), ROW(xchg), ROW(cmpxchg_differs),
	ROW(cmpxchg_equal), ROW(cmpxchg8b), ROW(cmpxchg16b),
	ROW(bt, .undefined = OF | SF | AF | PF), ROW(bts, .undefined = OF | SF | AF | PF),
	ROW(btr, .undefined = OF | SF | AF | PF), ROW(btc, .undefined = OF | SF | AF | PF),
	ROW(shl, .undefined = OF | AF), ROW(sar, .undefined = OF | AF),
	ROW(shr, .undefined = AF), ROW(rol, .undefined = OF), ROW(rcr),
	ROW(shld, .undefined = OF | AF), ROW(shrd, .undefined = OF | AF),
	ROW(mul, .undefined = SF | ZF | AF | PF), ROW(imul, .undefined = SF | ZF | AF | PF),
	ROW(imul3, .undefined = SF | ZF | AF | PF), ROW(div, .undefined = FLAGS),
	ROW(idiv, .undefined = FLAGS), ROW(bsf, .undefined = FLAGS & ~ZF),
	ROW(bsr, .undefined = FLAGS & ~ZF), ROW(setc), ROW(cmovnc), ROW(cmovc), ROW(movnti),
	ROW(cmps), ROW(scas),
};

static const struct insn vectors[] = {
	ROW(movups_load), ROW(movaps_load), ROW(movdqu_store), ROW(movntps), ROW(movss),
	ROW(movq), ROW(movd), ROW(movhps), ROW(movlps),
	ROW(vmovdqu_load, .avx = true), ROW(vmovdqu_store, .avx = true),
	ROW(vmovups_clears, .avx = true), ROW(movups_keeps, .avx = true),
};

static struct insn guest_insn;
static struct state guest_in, guest_out[2];
static u64 guest_use_avx;

static void guest_target(void)
{
	asm volatile("" : : : "memory");
}

static void run_on(u64 base, struct state *s)
{
	volatile u64 *mem = (u64 *)base;

	*s = guest_in;
	mem[0] = (u64)guest_target;
	guest_insn.fn((void *)base, s);
	s->flags &= ~guest_insn.undefined;
}

static void guest_main(void)
{
	guest_write_cr4(guest_read_cr4() | 0x200 | (guest_use_avx ? 0x40000 : 0));
	if (guest_use_avx)
		asm volatile("xsetbv" : : "a" (7), "c" (0), "d" (0));
	for (;;) {
		run_on(DATA_GPA, &guest_out[0]);
		run_on(MMIO_GPA, &guest_out[1]);
		guest_sync(0);
	}
}

FIXTURE(insn) {
	struct vm *vm;
	struct vcpu *vcpu;
	bool avx;
};

FIXTURE_SETUP(insn)
{
	struct kvm_cpuid_entry2 *e;
	struct kvm_cpuid2 *cpuid;

	self->vm = vm_create();
	self->vcpu = vcpu_create(self->vm, 0, guest_main);
	cpuid = cpuid_supported(self->vm->dev);
	e = cpuid_find(cpuid, 0xd, 0);
	self->avx = e && (e->eax & 7) == 7;
	free(cpuid);
	GUEST_VAR(self->vm, guest_use_avx) = self->avx;
}

FIXTURE_TEARDOWN(insn)
{
	vcpu_free(self->vcpu);
	vm_free(self->vm);
}

static u8 device[PAGE];

static int serve(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	int reason;

	while ((reason = vcpu_next(vcpu)) == KVM_EXIT_MMIO) {
		u8 *at = device + (run->mmio.phys_addr - MMIO_GPA);

		if (run->mmio.is_write)
			memcpy(at, run->mmio.data, run->mmio.len);
		else
			memcpy(run->mmio.data, at, run->mmio.len);
	}
	return reason;
}

static void fill(void *buf, size_t size, u32 seed)
{
	u8 *p = buf;

	while (size--) {
		seed = seed * 1664525 + 1013904223;
		*p++ = seed >> 24;
	}
}

static void compare(struct __test_metadata *_metadata, struct vm *vm, struct vcpu *vcpu,
		    const struct insn *insn, u32 seed)
{
	struct state *in = &GUEST_VAR(vm, guest_in);
	struct state *out = GUEST_VAR(vm, guest_out);
	u8 *ram = vm_hva(vm, DATA_GPA);

	GUEST_VAR(vm, guest_insn) = *insn;
	fill(in, sizeof(*in), seed);
	in->flags &= FLAGS;
	in->rcx &= 0xff;
	fill(ram, PAGE, seed + 1);
	memcpy(device, ram, PAGE);
	ASSERT_EQ(GUEST_SYNC, serve(vcpu)) {
		TH_LOG("%s", insn->name);
	}
	EXPECT_EQ(0, memcmp(&out[0], &out[1], sizeof(out[0]))) {
		TH_LOG("%s: rax %lx %lx rcx %lx %lx rdx %lx %lx flags %lx %lx",
		       insn->name, out[0].rax, out[1].rax, out[0].rcx, out[1].rcx,
		       out[0].rdx, out[1].rdx, out[0].flags, out[1].flags);
	}
	EXPECT_EQ(0, memcmp(ram, device, PAGE)) {
		TH_LOG("%s: memory differs", insn->name);
	}
}

TEST_F(insn, integer_families)
{
	u32 i, seed;

	vcpu_set_long(self->vcpu, guest_main);
	for (i = 0; i < ARRAY_SIZE(plain); i++)
		for (seed = 1; seed <= 8; seed++)
			compare(_metadata, self->vm, self->vcpu, &plain[i], seed);
}

TEST_F(insn, vector_moves)
{
	u32 i;

	vcpu_set_long(self->vcpu, guest_main);
	for (i = 0; i < ARRAY_SIZE(vectors); i++) {
		if (self->avx || !vectors[i].avx)
			compare(_metadata, self->vm, self->vcpu, &vectors[i], i);
	}
}

/* --- repetition --------------------------------------------------------- */

#define REPEATS		32
#define IRQ		0x40

static u64 guest_rcx_seen;

static void note_rcx(struct guest_trap *trap)
{
	guest_rcx_seen = trap->rcx;
}

static void guest_rep(void)
{
	u64 rdi = MMIO_GPA, rcx = REPEATS;

	guest_handler[IRQ] = note_rcx;
	asm volatile("sti\n\tnop\n\trep stosb" : "+D"(rdi), "+c"(rcx) : "a"(0x5a) : "memory");
	asm volatile("cli");
	guest_sync(rcx);
	rdi = MMIO_GPA + PAGE - 8;
	rcx = 8;
	asm volatile("rep lodsb" : "+S"(rdi), "+c"(rcx) : : "rax", "memory");
	guest_sync(rdi);
}

TEST_F(insn, repetition_on_a_device_stays_outside_the_guest)
{
	u64 before;
	int i;

	vcpu_set_long(self->vcpu, guest_rep);
	ASSERT_EQ(KVM_EXIT_MMIO, vcpu_next(self->vcpu));
	before = counter(self->vcpu->fd, "exits");
	for (i = 1; i < REPEATS; i++) {
		ASSERT_EQ(KVM_EXIT_MMIO, vcpu_next(self->vcpu));
		EXPECT_EQ(MMIO_GPA + i, self->vcpu->run->mmio.phys_addr);
		EXPECT_EQ(1, self->vcpu->run->mmio.len);
		EXPECT_EQ(0x5a, self->vcpu->run->mmio.data[0]);
	}
	/* Now and then the host wants something to come first. */
	EXPECT_GE(before + 4, counter(self->vcpu->fd, "exits"));
	EXPECT_EQ(0, vcpu_sync(self->vcpu));
	for (i = 0; i < 8; i++) {
		ASSERT_EQ(KVM_EXIT_MMIO, vcpu_next(self->vcpu));
		EXPECT_EQ(MMIO_GPA + PAGE - 8 + i, self->vcpu->run->mmio.phys_addr);
		EXPECT_EQ(0, self->vcpu->run->mmio.is_write);
	}
	EXPECT_EQ(MMIO_GPA + PAGE, vcpu_sync(self->vcpu));
}

TEST_F(insn, repetition_lets_an_interrupt_in)
{
	struct kvm_interrupt irq = { .irq = IRQ };
	int i;

	vcpu_set_long(self->vcpu, guest_rep);
	for (i = 0; i < 3; i++)
		ASSERT_EQ(KVM_EXIT_MMIO, vcpu_next(self->vcpu));
	vcpu_ioctl(self->vcpu, KVM_INTERRUPT, &irq);
	for (i = 3; i < REPEATS; i++)
		ASSERT_EQ(KVM_EXIT_MMIO, vcpu_next(self->vcpu));
	EXPECT_EQ(0, vcpu_sync(self->vcpu));
	EXPECT_EQ(REPEATS - 3, GUEST_VAR(self->vm, guest_rcx_seen));
}

/* All of what is under way is finished, and nothing new is begun. */
TEST_F(insn, repetition_stops_at_immediate_exit)
{
	struct kvm_regs regs;

	vcpu_set_long(self->vcpu, guest_rep);
	ASSERT_EQ(KVM_EXIT_MMIO, vcpu_next(self->vcpu));
	self->vcpu->run->immediate_exit = 1;
	EXPECT_EQ(-EINTR, __vcpu_run(self->vcpu));
	self->vcpu->run->immediate_exit = 0;
	vcpu_get_regs(self->vcpu, &regs);
	EXPECT_EQ(REPEATS - 1, regs.rcx);
	ASSERT_EQ(KVM_EXIT_MMIO, vcpu_next(self->vcpu));
	EXPECT_EQ(MMIO_GPA + 1, self->vcpu->run->mmio.phys_addr);
}

/* --- what is not emulated ------------------------------------------------ */

static void guest_paddb(void)
{
	u64 rdi = MMIO_GPA;

	asm volatile("paddb (%0), %%mm0" : : "D" (rdi) : "memory");
	guest_sync(1);
}

TEST_F(insn, failure_shows_the_instruction)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_EXIT_ON_EMULATION_FAILURE, .args = { 2 } };
	struct kvm_run *run = self->vcpu->run;
	struct kvm_regs regs;
	u64 rip;

	REQUIRE(__vm_ioctl(self->vm, KVM_CHECK_EXTENSION, KVM_CAP_EXIT_ON_EMULATION_FAILURE) > 0);
	EXPECT_EQ(-EINVAL, __vm_ioctl(self->vm, KVM_ENABLE_CAP, &cap));
	cap.args[0] = 1;
	EXPECT_EQ(0, __vm_ioctl(self->vm, KVM_ENABLE_CAP, &cap));
	vcpu_set_long(self->vcpu, guest_paddb);
	ASSERT_EQ(KVM_EXIT_INTERNAL_ERROR, vcpu_next(self->vcpu));
	EXPECT_EQ(KVM_INTERNAL_ERROR_EMULATION, run->emulation_failure.suberror);
	EXPECT_LE(3, run->emulation_failure.ndata);
	EXPECT_EQ(KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES,
		  run->emulation_failure.flags);
	EXPECT_LE(2, run->emulation_failure.insn_size);
	EXPECT_EQ(0x0f, run->emulation_failure.insn_bytes[0]);
	EXPECT_EQ(0xfc, run->emulation_failure.insn_bytes[1]);
	/* The guest has not moved and has nothing pending: it fails again, or is stepped on. */
	vcpu_get_regs(self->vcpu, &regs);
	rip = regs.rip;
	ASSERT_EQ(KVM_EXIT_INTERNAL_ERROR, vcpu_next(self->vcpu));
	vcpu_get_regs(self->vcpu, &regs);
	EXPECT_EQ(rip, regs.rip);
	regs.rip += 3;
	vcpu_set_regs(self->vcpu, &regs);
	EXPECT_EQ(1, vcpu_sync(self->vcpu));
}

KEEL_TEST_MAIN
