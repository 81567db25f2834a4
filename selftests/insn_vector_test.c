// SPDX-License-Identifier: GPL-2.0
/*
 * Vector instructions on a device that insn_test does not have - with the EVEX
 * prefix of AVX-512, and on mask registers - and those of x87 and MMX. Each runs
 * on RAM and on the device, within a page and across two; the processor itself
 * so says what is right.
 */
#include "kselftest_harness.h"
#include "keel_test.h"
#include "control.h"
#include "guest.h"

#define SPAN		(2 * PAGE)	/* of the device, and of the RAM it is compared with */
#define OSFXSR		0x200UL
#define OSXSAVE		0x40000UL
#define XCR0_AVX512	0xe7

/* What an instruction works on besides memory, and what it leaves there. */
struct state {
	u64 rax, rcx;
	u8 vector[64];
};

struct insn {
	const char *name;
	void (*fn)(void *mem, struct state *s);
	bool aligned;
};

/* @insn works on memory at %rdi; %rsi is where a vector register comes from and goes to. */
#define INSN(id, insn)							\
static void insn_##id(void *mem, struct state *s)			\
{									\
	asm volatile(insn						\
		     : "+a" (s->rax), "+c" (s->rcx)			\
		     : "D" (mem), "S" (s->vector)			\
		     : "memory", "cc");					\
}

#define LOAD(reg)	"vmovdqu64 (%%rsi), %%zmm" #reg "\n\t"
#define SAVE(reg)	"\n\tvmovdqu64 %%zmm" #reg ", (%%rsi)"
#define MASK		"kmovq %%rax, %%k1\n\t"
#define SAVE_MASK	"\n\tkmovq %%k1, %%rcx"

INSN(ymm16, LOAD(16) "vmovdqu64 (%%rdi), %%ymm16" SAVE(16))
INSN(ymm17_store, LOAD(17) "vmovdqu64 %%ymm17, 32(%%rdi)")
INSN(zmm, LOAD(3) "vmovups (%%rdi), %%zmm3" SAVE(3))
INSN(zmm31_store, LOAD(31) "vmovdqu8 %%zmm31, (%%rdi)")
INSN(xmm20, LOAD(20) "vmovupd 16(%%rdi), %%xmm20" SAVE(20))
INSN(merge_bytes, MASK LOAD(9) "vmovdqu8 (%%rdi), %%zmm9%{%%k1%}" SAVE(9))
INSN(merge_words, MASK LOAD(18) "vmovdqu16 (%%rdi), %%ymm18%{%%k1%}" SAVE(18))
INSN(clear_dwords, MASK LOAD(28) "vmovdqu32 (%%rdi), %%zmm28%{%%k1%}%{z%}" SAVE(28))
INSN(clear_quads, MASK LOAD(0) "vmovupd (%%rdi), %%zmm0%{%%k1%}%{z%}" SAVE(0))
INSN(store_bytes, MASK LOAD(21) "vmovdqu8 %%zmm21, (%%rdi)%{%%k1%}" SAVE_MASK)
INSN(store_words, MASK LOAD(22) "vmovdqu16 %%xmm22, (%%rdi)%{%%k1%}" SAVE_MASK)
INSN(store_dwords, MASK LOAD(7) "vmovups %%zmm7, (%%rdi)%{%%k1%}" SAVE_MASK)
INSN(store_quads, MASK LOAD(8) "vmovdqu64 %%ymm8, (%%rdi)%{%%k1%}" SAVE_MASK)
INSN(scalar, MASK LOAD(19) "vmovss (%%rdi), %%xmm19%{%%k1%}" SAVE(19))
INSN(scalar_store, MASK LOAD(19) "vmovsd %%xmm19, 8(%%rdi)%{%%k1%}")
INSN(quad, LOAD(23) "vmovq 8(%%rdi), %%xmm23" SAVE(23))
INSN(dword_store, LOAD(24) "vmovd %%xmm24, 4(%%rdi)")
INSN(high_half, LOAD(25) "vmovhps 8(%%rdi), %%xmm25, %%xmm26" SAVE(26))
INSN(kmovq, "kmovq (%%rdi), %%k1" SAVE_MASK)
INSN(kmovb, "kmovb 3(%%rdi), %%k1" SAVE_MASK)
INSN(kmovd_store, MASK "kmovd %%k1, 4(%%rdi)")
INSN(aligned, LOAD(4) "vmovdqa64 (%%rdi), %%zmm4" SAVE(4))
INSN(aligned_store, LOAD(29) "vmovaps %%zmm29, 64(%%rdi)")
INSN(stream, LOAD(30) "vmovntdq %%zmm30, (%%rdi)")
INSN(stream_load, LOAD(31) "vmovntdqa 64(%%rdi), %%zmm31" SAVE(31))

INSN(flds, "fninit\n\tflds (%%rdi)\n\tfstpt (%%rsi)")
INSN(fldl, "fninit\n\tfldl 8(%%rdi)\n\tfstpt (%%rsi)\n\tfnstsw %%ax")
INSN(fldt, "fninit\n\tfldt (%%rdi)\n\tfstpt (%%rsi)\n\tfnstsw %%ax")
INSN(fstps, "fninit\n\tfldt (%%rsi)\n\tfstps 4(%%rdi)\n\tfnstsw %%ax")
INSN(fstl, "fninit\n\tfldt (%%rsi)\n\tfstl (%%rdi)\n\tfnstsw %%ax")
INSN(fstpt, "fninit\n\tfldpi\n\tfstpt 16(%%rdi)\n\tfnstsw %%ax")
INSN(fildll, "fninit\n\tfildll (%%rdi)\n\tfistpll (%%rsi)")
INSN(fistpll, "fninit\n\tfildll (%%rsi)\n\tfistpll 8(%%rdi)")
INSN(filds, "fninit\n\tfilds (%%rdi)\n\tfistpl 4(%%rdi)\n\tfnstsw %%ax")
INSN(fisttpll, "fninit\n\tfldl (%%rsi)\n\tfisttpll (%%rdi)\n\tfnstsw %%ax")
INSN(fbstp, "fninit\n\tfildll (%%rsi)\n\tfbstp (%%rdi)\n\tfnstsw %%ax")
INSN(faddl, "fninit\n\tfldpi\n\tfaddl 8(%%rdi)\n\tfstpt (%%rsi)\n\tfnstsw %%ax")
INSN(fcomps, "fninit\n\tfld1\n\tfcomps (%%rdi)\n\tfnstsw %%ax")
INSN(fldcw, "fninit\n\tfldcw (%%rdi)\n\tfnstcw (%%rsi)\n\tfninit")
INSN(fnstcw, "fninit\n\tfnstcw 2(%%rdi)\n\tfld1\n\tfnstsw (%%rdi)")
INSN(fldenv, "fninit\n\tfnstenv (%%rdi)\n\tfldpi\n\tfldenv (%%rdi)\n\tfnstsw %%ax")
INSN(fnsave, "fninit\n\tfldpi\n\tfnsave (%%rdi)\n\tmovq $0, 12(%%rdi)\n\tmovq $0, 20(%%rdi)\n\t"
	     "fnstsw %%ax")
INSN(frstor, "fninit\n\tfldpi\n\tfnsave 4(%%rdi)\n\tfrstor 4(%%rdi)\n\tfstpt (%%rsi)\n\t"
	     "movq $0, 16(%%rdi)\n\tmovq $0, 24(%%rdi)")
INSN(movq_mm, "movq (%%rdi), %%mm3\n\tmovq %%mm3, (%%rsi)\n\temms")
INSN(movntq, "movq (%%rsi), %%mm7\n\tmovntq %%mm7, (%%rdi)\n\temms")
INSN(movd_mm, "movd 4(%%rdi), %%mm2\n\tmovd %%mm2, 12(%%rdi)\n\temms")
INSN(mm_tags, "fninit\n\tfldpi\n\tmovq (%%rdi), %%mm0\n\tfnstsw %%ax\n\t"
	      "fstpt (%%rsi)\n\tfstpt 16(%%rsi)\n\temms")
INSN(stmxcsr, "stmxcsr 4(%%rdi)")
INSN(ldmxcsr, "movl $0x7f81, 4(%%rdi)\n\tldmxcsr 4(%%rdi)\n\tstmxcsr (%%rsi)\n\t"
	      "movl $0x1f80, 4(%%rdi)\n\tldmxcsr 4(%%rdi)")
INSN(fxsave, "fninit\n\tmovups (%%rsi), %%xmm9\n\tfxsave (%%rdi)")
INSN(fxrstor, "fninit\n\tfxsave64 (%%rdi)\n\tfld1\n\txorps %%xmm5, %%xmm5\n\t"
	      "fxrstor64 (%%rdi)\n\tfnstsw %%ax\n\tmovups %%xmm5, (%%rsi)")

INSN(pand, "movups (%%rsi), %%xmm1\n\tpand 16(%%rdi), %%xmm1\n\tmovups %%xmm1, (%%rsi)")
INSN(pcmpeqb, "movups 16(%%rdi), %%xmm2\n\tmovb $1, 20(%%rdi)\n\t"
	      "pcmpeqb 16(%%rdi), %%xmm2\n\tmovups %%xmm2, (%%rsi)")
INSN(xorps, "movups (%%rsi), %%xmm3\n\txorps (%%rdi), %%xmm3\n\tmovups %%xmm3, (%%rsi)")
INSN(ptest, "movups (%%rsi), %%xmm4\n\tptest (%%rdi), %%xmm4\n\tsetc %%al\n\tsetz %%cl")

INSN(pmovzxbw, "pmovzxbw 5(%%rdi), %%xmm5\n\tmovups %%xmm5, (%%rsi)")
INSN(pmovsxwq, "pmovsxwq (%%rdi), %%xmm6\n\tmovups %%xmm6, (%%rsi)")
INSN(pinsrb, "movups (%%rsi), %%xmm1\n\tpinsrb $9, 3(%%rdi), %%xmm1\n\tmovups %%xmm1, (%%rsi)")
INSN(pinsrq, "movups (%%rsi), %%xmm2\n\tpinsrq $1, 8(%%rdi), %%xmm2\n\tmovups %%xmm2, (%%rsi)")
INSN(pextrw, "movups (%%rsi), %%xmm3\n\tpextrw $5, %%xmm3, 2(%%rdi)")
INSN(pextrd, "movups (%%rsi), %%xmm4\n\tpextrd $3, %%xmm4, 4(%%rdi)")
INSN(movddup, "movddup 8(%%rdi), %%xmm5\n\tmovups %%xmm5, (%%rsi)")

INSN(maskmovdqu, "movups (%%rsi), %%xmm1\n\tpmovsxbw (%%rsi), %%xmm3\n\t"
		 "maskmovdqu %%xmm3, %%xmm1")
INSN(maskmovq, "movq (%%rsi), %%mm1\n\tmaskmovq %%mm1, %%mm1\n\temms")

#define ROW(id, ...) { .name = #id, .fn = insn_##id, __VA_ARGS__ }

static const struct insn avx512[] = {
	ROW(ymm16), ROW(ymm17_store), ROW(zmm), ROW(zmm31_store), ROW(xmm20), ROW(merge_bytes),
	ROW(merge_words), ROW(clear_dwords), ROW(clear_quads), ROW(store_bytes), ROW(store_words),
	ROW(store_dwords), ROW(store_quads), ROW(scalar), ROW(scalar_store), ROW(quad),
	ROW(dword_store), ROW(high_half), ROW(kmovq), ROW(kmovb), ROW(kmovd_store),
	ROW(aligned, .aligned = true), ROW(aligned_store, .aligned = true),
	ROW(stream, .aligned = true), ROW(stream_load, .aligned = true),
};

static const struct insn x87[] = {
	ROW(flds), ROW(fldl), ROW(fldt), ROW(fstps), ROW(fstl), ROW(fstpt), ROW(fildll),
	ROW(fistpll), ROW(filds), ROW(fisttpll), ROW(fbstp), ROW(faddl), ROW(fcomps), ROW(fldcw),
	ROW(fnstcw), ROW(movq_mm), ROW(movntq), ROW(movd_mm), ROW(mm_tags), ROW(stmxcsr),
	ROW(ldmxcsr), ROW(fldenv), ROW(fnsave), ROW(frstor), ROW(fxsave, .aligned = true),
	ROW(fxrstor, .aligned = true),
};

static const struct insn sse[] = {
	ROW(pand, .aligned = true), ROW(pcmpeqb, .aligned = true), ROW(xorps, .aligned = true),
	ROW(ptest, .aligned = true), ROW(pmovzxbw), ROW(pmovsxwq), ROW(pinsrb), ROW(pinsrq),
	ROW(pextrw), ROW(pextrd), ROW(movddup), ROW(maskmovdqu), ROW(maskmovq),
};

static struct insn guest_insn;
static struct state guest_in, guest_out[2];
static u64 guest_offset, guest_xcr0;

static void run_on(u64 base, struct state *s)
{
	*s = guest_in;
	guest_insn.fn((void *)(base + guest_offset), s);
}

static void guest_main(void)
{
	guest_write_cr4(guest_read_cr4() | OSFXSR | (guest_xcr0 ? OSXSAVE : 0));
	if (guest_xcr0)
		asm volatile("xsetbv" : : "a" (guest_xcr0), "c" (0), "d" (0));
	for (;;) {
		run_on(DATA_GPA, &guest_out[0]);
		run_on(MMIO_GPA, &guest_out[1]);
		guest_sync(0);
	}
}

FIXTURE(insn_vector) {
	struct vm *vm;
	struct vcpu *vcpu;
	u64 xcr0;
};

FIXTURE_SETUP(insn_vector)
{
	struct kvm_cpuid_entry2 *e;
	struct kvm_cpuid2 *cpuid;

	self->vm = vm_create();
	self->vcpu = vcpu_create(self->vm, 0, guest_main);
	cpuid = cpuid_supported(self->vm->dev);
	e = cpuid_find(cpuid, 0xd, 0);
	self->xcr0 = e ? e->eax : 0;
	free(cpuid);
}

FIXTURE_TEARDOWN(insn_vector)
{
	vcpu_free(self->vcpu);
	vm_free(self->vm);
}

static u8 device[SPAN];

static int serve(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	int reason;

	while ((reason = vcpu_next(vcpu)) == KVM_EXIT_MMIO) {
		u64 at = run->mmio.phys_addr - MMIO_GPA;

		if (at > SPAN - run->mmio.len)
			break;
		if (run->mmio.is_write)
			memcpy(device + at, run->mmio.data, run->mmio.len);
		else
			memcpy(run->mmio.data, device + at, run->mmio.len);
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
		    const struct insn *insn, u64 offset, u32 seed)
{
	struct state *out = GUEST_VAR(vm, guest_out);
	u8 *ram = vm_hva(vm, DATA_GPA);

	GUEST_VAR(vm, guest_insn) = *insn;
	GUEST_VAR(vm, guest_offset) = offset;
	fill(&GUEST_VAR(vm, guest_in), sizeof(guest_in), seed);
	fill(ram, SPAN, seed + 1);
	memcpy(device, ram, SPAN);
	ASSERT_EQ(GUEST_SYNC, serve(vcpu)) {
		TH_LOG("%s at %lx", insn->name, offset);
	}
	EXPECT_EQ(0, memcmp(&out[0], &out[1], sizeof(out[0]))) {
		TH_LOG("%s at %lx: rcx %lx %lx, or the vector register", insn->name, offset,
		       out[0].rcx, out[1].rcx);
	}
	EXPECT_EQ(0, memcmp(ram, device, SPAN)) {
		TH_LOG("%s at %lx: memory differs", insn->name, offset);
	}
}

static void compare_all(struct __test_metadata *_metadata, struct vm *vm, struct vcpu *vcpu,
			const struct insn *insn, size_t count)
{
	u32 seed;

	vcpu_set_long(vcpu, guest_main);
	for (; count--; insn++) {
		for (seed = 1; seed <= 4; seed++)
			compare(_metadata, vm, vcpu, insn, 0, seed);
		if (!insn->aligned)
			compare(_metadata, vm, vcpu, insn, PAGE - 27, seed);
	}
}

TEST_F(insn_vector, avx512)
{
	REQUIRE((self->xcr0 & XCR0_AVX512) == XCR0_AVX512);
	GUEST_VAR(self->vm, guest_xcr0) = XCR0_AVX512;
	compare_all(_metadata, self->vm, self->vcpu, avx512, ARRAY_SIZE(avx512));
}

TEST_F(insn_vector, x87)
{
	compare_all(_metadata, self->vm, self->vcpu, x87, ARRAY_SIZE(x87));
}

TEST_F(insn_vector, sse)
{
	compare_all(_metadata, self->vm, self->vcpu, sse, ARRAY_SIZE(sse));
}

/* An exception that is not masked comes from the next instruction that waits for it. */
static void guest_divides(void)
{
	GUEST_TRY_TRAP(trap);
	u16 fcw = 0x340;

	guest_write_cr0(guest_read_cr0() | 0x20);
	asm volatile("fninit\n\tfldcw %0\n\tfld1\n\tfidivl (%1)" : : "m" (fcw), "r" (MMIO_GPA));
	guest_sync(1);
	asm volatile(GUEST_TRY("fwait") : "=&r" (trap));
	guest_sync(trap);
}

TEST_F(insn_vector, a_division_by_what_the_device_says)
{
	struct kvm_run *run = self->vcpu->run;

	vcpu_set_long(self->vcpu, guest_divides);
	ASSERT_EQ(KVM_EXIT_MMIO, vcpu_next(self->vcpu));
	EXPECT_EQ(4, run->mmio.len);
	memset(run->mmio.data, 0, sizeof(run->mmio.data));
	EXPECT_EQ(1, vcpu_sync(self->vcpu));
	EXPECT_EQ(16 + 1, vcpu_sync(self->vcpu));
}

/* What it leaves out of a vector is no access: userspace sees only the rest. */
static void guest_masked(void)
{
	u64 mask = 0x8001;

	guest_write_cr4(guest_read_cr4() | OSFXSR | OSXSAVE);
	asm volatile("xsetbv" : : "a" (XCR0_AVX512), "c" (0), "d" (0));
	asm volatile("kmovq %0, %%k1\n\tvmovdqu32 (%1), %%zmm0%{%%k1%}%{z%}"
		     : : "r" (mask), "r" (MMIO_GPA));
	guest_sync(1);
}

TEST_F(insn_vector, a_mask_says_what_the_device_sees)
{
	struct kvm_run *run = self->vcpu->run;

	REQUIRE((self->xcr0 & XCR0_AVX512) == XCR0_AVX512);
	vcpu_set_long(self->vcpu, guest_masked);
	ASSERT_EQ(KVM_EXIT_MMIO, vcpu_next(self->vcpu));
	EXPECT_EQ(MMIO_GPA, run->mmio.phys_addr);
	EXPECT_EQ(4, run->mmio.len);
	ASSERT_EQ(KVM_EXIT_MMIO, vcpu_next(self->vcpu));
	EXPECT_EQ(MMIO_GPA + 60, run->mmio.phys_addr);
	EXPECT_EQ(4, run->mmio.len);
	EXPECT_EQ(1, vcpu_sync(self->vcpu));
}

KEEL_TEST_MAIN
