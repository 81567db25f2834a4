// SPDX-License-Identifier: GPL-2.0
/*
 * The vCPU's state as userspace gets and sets it: what is set is what is got
 * and what the guest sees; what no processor has is refused and changes
 * nothing. MSRs and CPUID have programs of their own.
 */
#include "kselftest_harness.h"
#include "keel_test.h"
#include "guest.h"

FIXTURE(state) {
	struct vm *vm;
	struct vcpu *vcpu;
	struct kvm_run *run;
};

static void guest_sync_forever(void)
{
	u64 i;

	for (i = 0;; i++)
		guest_sync(i);
}

FIXTURE_SETUP(state)
{
	self->vm = vm_create();
	self->vcpu = vcpu_create(self->vm, 0, guest_sync_forever);
	self->run = self->vcpu->run;
}

FIXTURE_TEARDOWN(state)
{
	vcpu_free(self->vcpu);
	vm_free(self->vm);
}

/* Store all general registers at DATA_GPA in the order of struct kvm_regs. */
extern const char guest_dump_regs[];
asm(".pushsection .text\n"
	"guest_dump_regs:\n"
	"mov %rax, 0x100000\n"
	"mov %rbx, 0x100008\n"
	"mov %rcx, 0x100010\n"
	"mov %rdx, 0x100018\n"
	"mov %rsi, 0x100020\n"
	"mov %rdi, 0x100028\n"
	"mov %rsp, 0x100030\n"
	"mov %rbp, 0x100038\n"
	"mov %r8, 0x100040\n"
	"mov %r9, 0x100048\n"
	"mov %r10, 0x100050\n"
	"mov %r11, 0x100058\n"
	"mov %r12, 0x100060\n"
	"mov %r13, 0x100068\n"
	"mov %r14, 0x100070\n"
	"mov %r15, 0x100078\n"
	"mov $0x180000, %esp\n"
	"pushf\n"
	"pop 0x100088\n"
	"hlt\n"
	".popsection\n");

TEST_F(state, regs)
{
	struct kvm_regs set, got;
	u64 *word = (u64 *)&set, i;

	for (i = 0; i < 16; i++)
		word[i] = 0x8123456789abcdefUL * (2 * i + 1);
	set.rip = (unsigned long)guest_dump_regs;
	set.rflags = 0x8d7 | 1UL << 21;
	vcpu_set_regs(self->vcpu, &set);
	vcpu_get_regs(self->vcpu, &got);
	EXPECT_EQ(0, memcmp(&set, &got, sizeof(set)));
	EXPECT_EQ(KVM_EXIT_HLT, vcpu_next(self->vcpu));
	word = vm_hva(self->vm, DATA_GPA);
	EXPECT_EQ(0, memcmp(&set, word, 16 * 8));
	EXPECT_EQ(set.rflags, word[17]);
	/* And back out of the guest unharmed. */
	vcpu_get_regs(self->vcpu, &got);
	EXPECT_EQ(set.rax, got.rax);
	EXPECT_EQ(set.r15, got.r15);
	EXPECT_EQ(set.rbp, got.rbp);
}

TEST_F(state, rflags_bit_1_is_always_set)
{
	struct kvm_regs regs;

	vcpu_get_regs(self->vcpu, &regs);
	regs.rflags = 0;
	vcpu_set_regs(self->vcpu, &regs);
	vcpu_get_regs(self->vcpu, &regs);
	EXPECT_EQ(2, regs.rflags);
}

static void fill_segment(struct kvm_segment *seg, int i)
{
	seg->base = 0x1000 * (i + 1);
	seg->limit = 0xfffff;
	seg->selector = 8 * (i + 2);
}

TEST_F(state, sregs)
{
	struct kvm_sregs set, got;

	vcpu_get_sregs(self->vcpu, &set);
	vcpu_set_sregs(self->vcpu, &set);
	vcpu_get_sregs(self->vcpu, &got);
	EXPECT_EQ(0, memcmp(&set, &got, sizeof(set)));
	fill_segment(&set.ds, 0);
	fill_segment(&set.es, 1);
	fill_segment(&set.fs, 2);
	fill_segment(&set.gs, 3);
	fill_segment(&set.ldt, 4);
	set.ldt.type = 2;
	set.ldt.present = 1;
	set.ldt.limit = 0x57;
	set.ldt.unusable = 0;
	set.gdt.base = 0x12345000;
	set.gdt.limit = 0x7777;
	set.idt.base = 0x54321000;
	set.idt.limit = 0x6666;
	set.cr2 = 0xdeadbeef000;
	set.cr3 = 0x7777000;
	set.cr4 |= CR4_PSE;
	set.cr8 = 5;
	vcpu_set_sregs(self->vcpu, &set);
	vcpu_get_sregs(self->vcpu, &got);
	EXPECT_EQ(0, memcmp(&set, &got, sizeof(set)));
}

struct table {
	u16 limit;
	u64 base;
} __attribute__((packed));

static struct table guest_gdt, guest_idt;
static volatile u64 guest_seen[16];

static void guest_read_system(void)
{
	u64 *seen = (u64 *)guest_seen;
	u16 sel = 0;

	seen[0] = guest_read_cr0();
	seen[1] = guest_read_cr2();
	seen[2] = guest_read_cr3();
	seen[3] = guest_read_cr4();
	asm volatile("mov %%cr8, %0" : "=r"(seen[4]));
	asm volatile("sgdt %0" : "=m"(guest_gdt));
	asm volatile("sidt %0" : "=m"(guest_idt));
	asm volatile("str %0" : "=r"(sel));
	seen[5] = sel;
	asm volatile("sldt %0" : "=r"(sel));
	seen[6] = sel;
	asm volatile("mov %%fs:0, %0" : "=r"(seen[7]));
	asm volatile("mov %%gs:8, %0" : "=r"(seen[8]));
	guest_rdmsr(MSR_EFER, &seen[9]);
	asm volatile("mov %%es, %0" : "=r"(sel));
	seen[10] = sel;
	guest_sync(0);
	guest_done();
}

TEST_F(state, guest_sees_its_sregs)
{
	volatile u64 *seen = GUEST_VAR(self->vm, guest_seen);
	struct kvm_sregs s;

	vcpu_set_long(self->vcpu, guest_read_system);
	vcpu_get_sregs(self->vcpu, &s);
	s.fs.base = DATA_GPA;
	s.gs.base = DATA_GPA + 0x100;
	s.es.selector = SEL_DATA;
	s.cr2 = 0x1234567000;
	/* What no in-kernel controller keeps, kvm_run carries. */
	self->run->cr8 = 7;
	s.ldt.selector = 0;
	vcpu_set_sregs(self->vcpu, &s);
	*(u64 *)vm_hva(self->vm, DATA_GPA) = 0xf5f5;
	*(u64 *)vm_hva(self->vm, DATA_GPA + 0x108) = 0x9595;
	vcpu_sync(self->vcpu);
	EXPECT_EQ(s.cr0, seen[0]);
	EXPECT_EQ(0x1234567000, seen[1]);
	EXPECT_EQ(s.cr3, seen[2]);
	EXPECT_EQ(s.cr4, seen[3]);
	EXPECT_EQ(7, seen[4]);
	EXPECT_EQ(SEL_TSS, seen[5]);
	EXPECT_EQ(0, seen[6]);
	EXPECT_EQ(0xf5f5, seen[7]);
	EXPECT_EQ(0x9595, seen[8]);
	EXPECT_EQ(s.efer, seen[9]);
	EXPECT_EQ(SEL_DATA, seen[10]);
	EXPECT_EQ(GDT_GPA, GUEST_VAR(self->vm, guest_gdt).base);
	EXPECT_EQ(GDT_SIZE - 1, GUEST_VAR(self->vm, guest_gdt).limit);
	EXPECT_EQ(IDT_GPA, GUEST_VAR(self->vm, guest_idt).base);
	EXPECT_EQ(4095, GUEST_VAR(self->vm, guest_idt).limit);
}

static void expect_sregs_refused(struct __test_metadata *_metadata,
				 struct vcpu *vcpu, struct kvm_sregs *bad,
				 const char *what)
{
	struct kvm_sregs before, after;

	vcpu_get_sregs(vcpu, &before);
	EXPECT_EQ(-EINVAL, __vcpu_ioctl(vcpu, KVM_SET_SREGS, bad)) {
		TH_LOG("%s", what);
	}
	vcpu_get_sregs(vcpu, &after);
	EXPECT_EQ(0, memcmp(&before, &after, sizeof(before))) {
		TH_LOG("%s", what);
	}
}

#define REFUSED(change) do {						\
	struct kvm_sregs bad;						\
									\
	vcpu_get_sregs(self->vcpu, &bad);				\
	change;								\
	expect_sregs_refused(_metadata, self->vcpu, &bad, #change);	\
} while (0)

TEST_F(state, sregs_no_processor_has_are_einval)
{
	REFUSED(bad.cr4 |= 1UL << 40);
	REFUSED(bad.cr4 |= 1UL << 15);
	REFUSED(bad.cr4 &= ~CR4_PAE);
	REFUSED(bad.efer &= ~EFER_LMA);
	REFUSED(bad.efer &= ~(EFER_LME | EFER_LMA));
	REFUSED(bad.cr3 |= 1UL << 51);
	REFUSED(bad.apic_base |= 1UL << 60);
	/* Upstream takes these, up to a failing entry. */
	if (dev_is_keel()) {
		REFUSED(bad.efer |= 1UL << 5);
		REFUSED(bad.cr0 |= 1UL << 32);
		REFUSED(bad.cr0 |= CR0_NW);
		REFUSED(bad.cr0 &= ~CR0_PE);
		REFUSED(bad.cr8 = 16);
	}
	/* The guest runs on with what it had. */
	EXPECT_EQ(0, vcpu_sync(self->vcpu));
}

TEST_F(state, sregs2)
{
	struct kvm_sregs2 set, got;
	struct kvm_sregs old;

	REQUIRE(vm_has(self->vm, KVM_CAP_SREGS2));
	vcpu_ioctl(self->vcpu, KVM_GET_SREGS2, &set);
	vcpu_get_sregs(self->vcpu, &old);
	EXPECT_EQ(0, memcmp(&set, &old, offsetof(struct kvm_sregs, interrupt_bitmap)));
	EXPECT_EQ(0, set.flags);
	set.cr2 = 0x55000;
	vcpu_ioctl(self->vcpu, KVM_SET_SREGS2, &set);
	vcpu_ioctl(self->vcpu, KVM_GET_SREGS2, &got);
	EXPECT_EQ(0, memcmp(&set, &got, sizeof(set)));
	set.flags = 2;
	EXPECT_EQ(-EINVAL, __vcpu_ioctl(self->vcpu, KVM_SET_SREGS2, &set));
	/* Directory pointers make sense with PAE paging only. */
	set.flags = KVM_SREGS2_FLAGS_PDPTRS_VALID;
	EXPECT_EQ(-EINVAL, __vcpu_ioctl(self->vcpu, KVM_SET_SREGS2, &set));
}

static u8 guest_xmm[16 * 16] __attribute__((aligned(64)));
static u16 guest_fcw, guest_fsw;
static u32 guest_mxcsr;
static u8 guest_st[8][10];

static void guest_read_fpu(void)
{
	u8 *p = guest_xmm;

	asm volatile("movdqu %%xmm0, 0(%0)\n"
		     "movdqu %%xmm1, 16(%0)\n"
		     "movdqu %%xmm7, 112(%0)\n"
		     "movdqu %%xmm15, 240(%0)\n"
		     "fnstcw %1\n"
		     "fnstsw %2\n"
		     "stmxcsr %3\n"
		     "fstpt %4\n"
		     : : "r"(p), "m"(guest_fcw), "m"(guest_fsw), "m"(guest_mxcsr),
		     "m"(guest_st[0]) : "memory");
	asm volatile("pcmpeqd %%xmm2, %%xmm2" : : : "memory");
	guest_sync(0);
	guest_done();
}

static const u8 one_and_a_half[10] = { 0, 0, 0, 0, 0, 0, 0, 0xc0, 0xff, 0x3f };

/* Offsets of the standard form of the XSAVE area. */
#define XSAVE_MXCSR	24
#define XSAVE_XMM	160
#define XSAVE_BV	512
#define XSAVE_COMP_BV	520
#define XSAVE_RESERVED	528

/*
 * Upstream's KVM_SET_FPU does not mark the components as in use: unless the
 * guest or KVM_SET_XSAVE did so before, it is without effect.
 */
static void mark_fpu_in_use(struct vcpu *vcpu)
{
	struct kvm_xsave x;

	if (dev_is_keel())
		return;
	vcpu_ioctl(vcpu, KVM_GET_XSAVE, &x);
	*(u64 *)((u8 *)&x + XSAVE_BV) |= 3;
	vcpu_ioctl(vcpu, KVM_SET_XSAVE, &x);
}

TEST_F(state, fpu)
{
	struct kvm_fpu set, got;
	u8 *xmm = GUEST_VAR(self->vm, guest_xmm);
	int i;

	mark_fpu_in_use(self->vcpu);
	vcpu_ioctl(self->vcpu, KVM_GET_FPU, &set);
	EXPECT_EQ(0x37f, set.fcw);
	for (i = 0; i < sizeof(set.xmm); i++)
		((u8 *)set.xmm)[i] = i * 3 + 1;
	set.fcw = 0x27f;
	set.fsw = 0x3800;		/* top of stack is 7 */
	set.ftwx = 0x80;
	memcpy(set.fpr[0], one_and_a_half, 10);
	vcpu_ioctl(self->vcpu, KVM_SET_FPU, &set);
	vcpu_ioctl(self->vcpu, KVM_GET_FPU, &got);
	EXPECT_EQ(0, memcmp(set.xmm, got.xmm, sizeof(set.xmm)));
	EXPECT_EQ(0, memcmp(set.fpr, got.fpr, sizeof(set.fpr)));
	EXPECT_EQ(set.fcw, got.fcw);
	EXPECT_EQ(set.fsw, got.fsw);
	EXPECT_EQ(set.ftwx, got.ftwx);
	vcpu_set_long(self->vcpu, guest_read_fpu);
	vcpu_sync(self->vcpu);
	EXPECT_EQ(0, memcmp(xmm, set.xmm[0], 32));
	EXPECT_EQ(0, memcmp(xmm + 112, set.xmm[7], 16));
	EXPECT_EQ(0, memcmp(xmm + 240, set.xmm[15], 16));
	EXPECT_EQ(0x27f, GUEST_VAR(self->vm, guest_fcw));
	EXPECT_EQ(0x3800, GUEST_VAR(self->vm, guest_fsw));
	EXPECT_EQ(0, memcmp(GUEST_VAR(self->vm, guest_st)[0], one_and_a_half, 10));
	vcpu_ioctl(self->vcpu, KVM_GET_FPU, &got);
	for (i = 0; i < 16; i++)
		EXPECT_EQ(0xff, got.xmm[2][i]);
	EXPECT_EQ(0, got.ftwx);
}

static int set_xsave(struct vcpu *vcpu, struct kvm_xsave *x)
{
	return __vcpu_ioctl(vcpu, KVM_SET_XSAVE, x);
}

TEST_F(state, xsave)
{
	struct kvm_xsave set, got;
	u8 *p = (u8 *)&set;
	u64 *bv = (u64 *)(p + XSAVE_BV);

	vcpu_ioctl(self->vcpu, KVM_GET_XSAVE, &set);
	EXPECT_EQ(0x1f80, *(u32 *)(p + XSAVE_MXCSR));
	memset(p + XSAVE_XMM, 0x3c, 256);
	*(u32 *)(p + XSAVE_MXCSR) = 0x1fa0;
	*bv |= 3;
	ASSERT_EQ(0, set_xsave(self->vcpu, &set));
	vcpu_ioctl(self->vcpu, KVM_GET_XSAVE, &got);
	EXPECT_EQ(0, memcmp((u8 *)&got + XSAVE_XMM, p + XSAVE_XMM, 256));
	EXPECT_EQ(0x1fa0, *(u32 *)((u8 *)&got + XSAVE_MXCSR));
	EXPECT_EQ(3, *(u64 *)((u8 *)&got + XSAVE_BV) & 3);
	vcpu_set_long(self->vcpu, guest_read_fpu);
	vcpu_sync(self->vcpu);
	EXPECT_EQ(0x3c, GUEST_VAR(self->vm, guest_xmm)[250]);
	EXPECT_EQ(0x1fa0, GUEST_VAR(self->vm, guest_mxcsr));
	/* A component that is not marked comes out as its initial state. */
	*bv = 0;
	ASSERT_EQ(0, set_xsave(self->vcpu, &set));
	vcpu_ioctl(self->vcpu, KVM_GET_XSAVE, &got);
	EXPECT_EQ(0, *(u64 *)((u8 *)&got + XSAVE_XMM));
}

TEST_F(state, xsave_no_processor_has_is_einval)
{
	struct kvm_xsave good, bad;
	u8 *p = (u8 *)&bad;

	vcpu_ioctl(self->vcpu, KVM_GET_XSAVE, &good);
	*(u64 *)((u8 *)&good + XSAVE_BV) |= 3;
	bad = good;
	*(u64 *)(p + XSAVE_BV) |= 1UL << 62;
	EXPECT_EQ(-EINVAL, set_xsave(self->vcpu, &bad));
	bad = good;
	*(u64 *)(p + XSAVE_BV) |= 1UL << 19;
	EXPECT_EQ(-EINVAL, set_xsave(self->vcpu, &bad));
	bad = good;
	*(u64 *)(p + XSAVE_COMP_BV) = 1UL << 63 | 3;
	EXPECT_EQ(-EINVAL, set_xsave(self->vcpu, &bad));
	bad = good;
	*(u64 *)(p + XSAVE_RESERVED) = 1;
	EXPECT_EQ(-EINVAL, set_xsave(self->vcpu, &bad));
	bad = good;
	*(u32 *)(p + XSAVE_MXCSR) = 0xffffffff;
	EXPECT_EQ(-EINVAL, set_xsave(self->vcpu, &bad));
	EXPECT_EQ(0, set_xsave(self->vcpu, &good));
	EXPECT_EQ(0, vcpu_sync(self->vcpu));
}

static u64 supported_xcr0(struct vm *vm)
{
	struct kvm_cpuid2 *cpuid = cpuid_supported(vm->dev);
	struct kvm_cpuid_entry2 *e = cpuid_find(cpuid, 0xd, 0);
	u64 xcr0 = e ? (u64)e->edx << 32 | e->eax : 0;

	free(cpuid);
	return xcr0;
}

static void guest_xgetbv(void)
{
	uint32_t lo, hi;

	guest_write_cr4(guest_read_cr4() | CR4_OSXSAVE);
	for (;;) {
		asm volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
		guest_sync((uint64_t)hi << 32 | lo);
	}
}

static int set_xcr0(struct vcpu *vcpu, u64 value)
{
	struct kvm_xcrs x = { .nr_xcrs = 1, .xcrs[0].value = value };

	return __vcpu_ioctl(vcpu, KVM_SET_XCRS, &x);
}

TEST_F(state, xcrs)
{
	u64 all = supported_xcr0(self->vm);
	struct kvm_xcrs x;

	REQUIRE(vm_has(self->vm, KVM_CAP_XCRS) && all);
	vcpu_ioctl(self->vcpu, KVM_GET_XCRS, &x);
	EXPECT_EQ(1, x.nr_xcrs);
	EXPECT_EQ(0, x.xcrs[0].xcr);
	EXPECT_EQ(1, x.xcrs[0].value);
	vcpu_set_long(self->vcpu, guest_xgetbv);
	EXPECT_EQ(1, vcpu_sync(self->vcpu));
	ASSERT_EQ(0, set_xcr0(self->vcpu, all));
	vcpu_ioctl(self->vcpu, KVM_GET_XCRS, &x);
	EXPECT_EQ(all, x.xcrs[0].value);
	EXPECT_EQ(all, vcpu_sync(self->vcpu));
	ASSERT_EQ(0, set_xcr0(self->vcpu, 3));
	EXPECT_EQ(3, vcpu_sync(self->vcpu));
	EXPECT_EQ(-EINVAL, set_xcr0(self->vcpu, 0));
	EXPECT_EQ(-EINVAL, set_xcr0(self->vcpu, 2));
	EXPECT_EQ(-EINVAL, set_xcr0(self->vcpu, 5));
	EXPECT_EQ(-EINVAL, set_xcr0(self->vcpu, all | 1UL << 63));
	EXPECT_EQ(3, vcpu_sync(self->vcpu));
	x.nr_xcrs = KVM_MAX_XCRS + 1;
	EXPECT_EQ(-EINVAL, __vcpu_ioctl(self->vcpu, KVM_SET_XCRS, &x));
	x.nr_xcrs = 1;
	x.flags = 1;
	EXPECT_EQ(-EINVAL, __vcpu_ioctl(self->vcpu, KVM_SET_XCRS, &x));
}

static int guest_try_xsetbv(uint32_t index, uint64_t value)
{
	GUEST_TRY_TRAP(trap);

	asm volatile(GUEST_TRY("xsetbv")
		     : "=&r"(trap)
		     : "a"((uint32_t)value), "d"((uint32_t)(value >> 32)), "c"(index));
	return trap;
}

static void guest_xsetbv(void)
{
	GUEST_ASSERT_EQ(guest_try_xsetbv(0, 1), GUEST_UD);
	guest_write_cr4(guest_read_cr4() | CR4_OSXSAVE);
	GUEST_ASSERT_EQ(guest_try_xsetbv(0, 3), 0);
	GUEST_ASSERT_EQ(guest_try_xsetbv(0, 0), GUEST_GP);
	GUEST_ASSERT_EQ(guest_try_xsetbv(0, 2), GUEST_GP);
	GUEST_ASSERT_EQ(guest_try_xsetbv(0, 1UL << 63 | 1), GUEST_GP);
	GUEST_ASSERT_EQ(guest_try_xsetbv(1, 1), GUEST_GP);
	guest_sync(0);
	guest_done();
}

TEST_F(state, guest_sets_xcr0)
{
	struct kvm_xcrs x;

	REQUIRE(vm_has(self->vm, KVM_CAP_XCRS) && supported_xcr0(self->vm));
	vcpu_set_long(self->vcpu, guest_xsetbv);
	vcpu_sync(self->vcpu);
	vcpu_ioctl(self->vcpu, KVM_GET_XCRS, &x);
	EXPECT_EQ(3, x.xcrs[0].value);
}

static void guest_ymm(void)
{
	guest_write_cr4(guest_read_cr4() | CR4_OSXSAVE);
	guest_try_xsetbv(0, 7);
	asm volatile("vmovdqu %%ymm3, %0" : "=m"(guest_xmm));
	guest_sync(0);
	asm volatile("vpcmpeqd %%xmm3, %%xmm3, %%xmm3\n"
		     "vinsertf128 $1, %%xmm3, %%ymm3, %%ymm3\n" : : : "memory");
	guest_sync(1);
	guest_done();
}

/* Where the upper halves of ymm lie: CPUID says, but it is 576 everywhere. */
#define XSAVE_YMM 576

TEST_F(state, avx_registers)
{
	struct kvm_xsave x;
	u8 *p = (u8 *)&x;

	REQUIRE((supported_xcr0(self->vm) & 7) == 7);
	ASSERT_EQ(0, set_xcr0(self->vcpu, 7));
	vcpu_ioctl(self->vcpu, KVM_GET_XSAVE, &x);
	memset(p + XSAVE_XMM + 3 * 16, 0x61, 16);
	memset(p + XSAVE_YMM + 3 * 16, 0x62, 16);
	*(u64 *)(p + XSAVE_BV) |= 7;
	ASSERT_EQ(0, set_xsave(self->vcpu, &x));
	vcpu_set_long(self->vcpu, guest_ymm);
	EXPECT_EQ(0, vcpu_sync(self->vcpu));
	EXPECT_EQ(0x61, GUEST_VAR(self->vm, guest_xmm)[0]);
	EXPECT_EQ(0x61, GUEST_VAR(self->vm, guest_xmm)[15]);
	EXPECT_EQ(0x62, GUEST_VAR(self->vm, guest_xmm)[16]);
	EXPECT_EQ(0x62, GUEST_VAR(self->vm, guest_xmm)[31]);
	EXPECT_EQ(1, vcpu_sync(self->vcpu));
	vcpu_ioctl(self->vcpu, KVM_GET_XSAVE, &x);
	EXPECT_EQ(0xff, p[XSAVE_XMM + 3 * 16]);
	EXPECT_EQ(0xff, p[XSAVE_YMM + 3 * 16 + 15]);
}

static void on_trap(struct guest_trap *trap)
{
	guest_sync3(trap->vector, trap->error, trap->rip);
}

static void guest_with_handlers(void)
{
	guest_handler[2] = on_trap;
	guest_handler[13] = on_trap;
	guest_handler[6] = on_trap;
	guest_handler[0x44] = on_trap;
	guest_sync(1000);
	asm volatile("sti; nop");
	guest_sync(1001);
	asm volatile("cli");
	guest_sync(1002);
	guest_done();
}

static void get_events(struct vcpu *vcpu, struct kvm_vcpu_events *e)
{
	vcpu_ioctl(vcpu, KVM_GET_VCPU_EVENTS, e);
}

static int set_events(struct vcpu *vcpu, struct kvm_vcpu_events *e)
{
	return __vcpu_ioctl(vcpu, KVM_SET_VCPU_EVENTS, e);
}

TEST_F(state, events_at_rest)
{
	struct kvm_vcpu_events e, again;

	EXPECT_EQ(0, vcpu_sync(self->vcpu));
	get_events(self->vcpu, &e);
	EXPECT_EQ(0, e.exception.injected);
	EXPECT_EQ(0, e.interrupt.injected);
	EXPECT_EQ(0, e.interrupt.shadow);
	EXPECT_EQ(0, e.nmi.injected);
	EXPECT_EQ(0, e.nmi.pending);
	EXPECT_EQ(0, e.nmi.masked);
	EXPECT_EQ(KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SHADOW,
		  e.flags & ~KVM_VCPUEVENT_VALID_SMM);
	EXPECT_EQ(0, set_events(self->vcpu, &e));
	get_events(self->vcpu, &again);
	EXPECT_EQ(0, memcmp(&e, &again, sizeof(e)));
	EXPECT_EQ(1, vcpu_sync(self->vcpu));
}

TEST_F(state, events_set_are_delivered)
{
	struct kvm_vcpu_events e, got;

	vcpu_set_long(self->vcpu, guest_with_handlers);
	EXPECT_EQ(1000, vcpu_sync(self->vcpu));
	self->run->immediate_exit = 1;
	EXPECT_EQ(-EINTR, __vcpu_run(self->vcpu));
	self->run->immediate_exit = 0;
	get_events(self->vcpu, &e);
	e.exception.injected = 1;
	e.exception.nr = 13;
	e.exception.has_error_code = 1;
	e.exception.error_code = 0xabc8;
	ASSERT_EQ(0, set_events(self->vcpu, &e));
	get_events(self->vcpu, &got);
	EXPECT_EQ(1, got.exception.injected);
	EXPECT_EQ(13, got.exception.nr);
	EXPECT_EQ(0xabc8, got.exception.error_code);
	EXPECT_EQ(13, vcpu_sync(self->vcpu));
	EXPECT_EQ(0xabc8, self->vcpu->arg[1]);
	get_events(self->vcpu, &e);
	EXPECT_EQ(0, e.exception.injected);
	EXPECT_EQ(1001, vcpu_sync(self->vcpu));
	get_events(self->vcpu, &e);
	e.interrupt.injected = 1;
	e.interrupt.nr = 0x44;
	ASSERT_EQ(0, set_events(self->vcpu, &e));
	EXPECT_EQ(0x44, vcpu_sync(self->vcpu));
	EXPECT_EQ(1002, vcpu_sync(self->vcpu));
	get_events(self->vcpu, &e);
	e.nmi.pending = 1;
	e.flags = KVM_VCPUEVENT_VALID_NMI_PENDING;
	ASSERT_EQ(0, set_events(self->vcpu, &e));
	EXPECT_EQ(2, vcpu_sync(self->vcpu));
	vcpu_done(self->vcpu);
}

TEST_F(state, masked_nmi_waits)
{
	struct kvm_vcpu_events e;

	vcpu_set_long(self->vcpu, guest_with_handlers);
	EXPECT_EQ(1000, vcpu_sync(self->vcpu));
	get_events(self->vcpu, &e);
	e.nmi.pending = 1;
	e.nmi.masked = 1;
	ASSERT_EQ(0, set_events(self->vcpu, &e));
	EXPECT_EQ(1001, vcpu_sync(self->vcpu));
	get_events(self->vcpu, &e);
	EXPECT_EQ(1, e.nmi.pending);
	EXPECT_EQ(1, e.nmi.masked);
	e.nmi.masked = 0;
	ASSERT_EQ(0, set_events(self->vcpu, &e));
	EXPECT_EQ(2, vcpu_sync(self->vcpu));
	EXPECT_EQ(1002, vcpu_sync(self->vcpu));
}

TEST_F(state, events_no_processor_has_are_einval)
{
	struct kvm_vcpu_events good, bad;

	get_events(self->vcpu, &good);
	bad = good;
	bad.flags = 1u << 31;
	EXPECT_EQ(-EINVAL, set_events(self->vcpu, &bad));
	bad = good;
	bad.exception.injected = 1;
	bad.exception.nr = 32;
	EXPECT_EQ(-EINVAL, set_events(self->vcpu, &bad));
	bad.exception.nr = 2;
	EXPECT_EQ(-EINVAL, set_events(self->vcpu, &bad));
	EXPECT_EQ(0, set_events(self->vcpu, &good));
	EXPECT_EQ(0, vcpu_sync(self->vcpu));
}

static void on_debug(struct guest_trap *trap)
{
	u64 dr6;

	asm volatile("mov %%dr6, %0" : "=r"(dr6));
	guest_sync3(trap->vector, trap->rip, dr6);
	trap->rflags |= 1UL << 16;
}

extern const char debug_here[];

static void guest_debug(void)
{
	u64 d[4];

	guest_handler[1] = on_debug;
	asm volatile("mov %%dr0, %0; mov %%dr3, %1; mov %%dr6, %2; mov %%dr7, %3"
		     : "=r"(d[0]), "=r"(d[1]), "=r"(d[2]), "=r"(d[3]));
	guest_sync3(d[1], d[2], d[3]);
	asm volatile("debug_here: nop");
	guest_write8(DATA_GPA + 0x123, 1);
	guest_sync(1);
	asm volatile("mov %0, %%dr7; mov %1, %%dr1" : : "r"(0x400UL), "r"(0x999UL));
	guest_sync(2);
	guest_done();
}

TEST_F(state, debugregs)
{
	struct kvm_debugregs set = {
		.db = { (unsigned long)debug_here, 0x2222, DATA_GPA + 0x123, 0x4444 },
		.dr6 = 0xffff0ff0,
		/* dr0: execution; dr2: write of one byte. */
		.dr7 = 0x400 | 1 << 1 | 1 << 5 | 1 << 24,
	}, got;

	vcpu_ioctl(self->vcpu, KVM_GET_DEBUGREGS, &got);
	EXPECT_EQ(0xffff0ff0, got.dr6);
	EXPECT_EQ(0x400, got.dr7);
	vcpu_set_long(self->vcpu, guest_debug);
	vcpu_ioctl(self->vcpu, KVM_SET_DEBUGREGS, &set);
	vcpu_ioctl(self->vcpu, KVM_GET_DEBUGREGS, &got);
	EXPECT_EQ(0, memcmp(&set, &got, sizeof(set)));
	EXPECT_EQ(0x4444, vcpu_sync(self->vcpu));
	EXPECT_EQ(set.dr6, self->vcpu->arg[1]);
	EXPECT_EQ(set.dr7, self->vcpu->arg[2]);
	EXPECT_EQ(1, vcpu_sync(self->vcpu));
	EXPECT_EQ((unsigned long)debug_here, self->vcpu->arg[1]);
	EXPECT_EQ(1, self->vcpu->arg[2] & 0xf);
	EXPECT_EQ(1, vcpu_sync(self->vcpu));
	EXPECT_EQ(4, self->vcpu->arg[2] & 4);
	EXPECT_EQ(1, vcpu_sync(self->vcpu));
	EXPECT_EQ(2, vcpu_sync(self->vcpu));
	vcpu_ioctl(self->vcpu, KVM_GET_DEBUGREGS, &got);
	EXPECT_EQ(0x999, got.db[1]);
	EXPECT_EQ(0x400, got.dr7);
}

TEST_F(state, debugregs_no_processor_has_are_einval)
{
	struct kvm_debugregs good, bad;

	vcpu_ioctl(self->vcpu, KVM_GET_DEBUGREGS, &good);
	bad = good;
	bad.flags = 1;
	EXPECT_EQ(-EINVAL, __vcpu_ioctl(self->vcpu, KVM_SET_DEBUGREGS, &bad));
	bad = good;
	bad.dr6 |= 1UL << 32;
	EXPECT_EQ(-EINVAL, __vcpu_ioctl(self->vcpu, KVM_SET_DEBUGREGS, &bad));
	bad = good;
	bad.dr7 |= 1UL << 63;
	EXPECT_EQ(-EINVAL, __vcpu_ioctl(self->vcpu, KVM_SET_DEBUGREGS, &bad));
}

TEST_F(state, mp_state)
{
	struct kvm_mp_state mp;

	vcpu_ioctl(self->vcpu, KVM_GET_MP_STATE, &mp);
	EXPECT_EQ(KVM_MP_STATE_RUNNABLE, mp.mp_state);
	EXPECT_EQ(0, __vcpu_ioctl(self->vcpu, KVM_SET_MP_STATE, &mp));
	/* The others need an interrupt controller in the kernel. */
	mp.mp_state = KVM_MP_STATE_INIT_RECEIVED;
	EXPECT_EQ(-EINVAL, __vcpu_ioctl(self->vcpu, KVM_SET_MP_STATE, &mp));
	mp.mp_state = KVM_MP_STATE_SIPI_RECEIVED;
	EXPECT_EQ(-EINVAL, __vcpu_ioctl(self->vcpu, KVM_SET_MP_STATE, &mp));
	mp.mp_state = 77;
	EXPECT_EQ(-EINVAL, __vcpu_ioctl(self->vcpu, KVM_SET_MP_STATE, &mp));
	EXPECT_EQ(0, vcpu_sync(self->vcpu));
}

static void guest_tsc(void)
{
	uint32_t lo, hi;

	for (;;) {
		asm volatile("rdtsc" : "=a"(lo), "=d"(hi));
		guest_sync((uint64_t)hi << 32 | lo);
	}
}

TEST_F(state, tsc_runs_forward_at_its_frequency)
{
	int khz = __vcpu_ioctl(self->vcpu, KVM_GET_TSC_KHZ, 0);
	u64 last = 0, now;
	int i;

	EXPECT_LT(0, khz);
	EXPECT_EQ(0, __vcpu_ioctl(self->vcpu, KVM_SET_TSC_KHZ, khz));
	EXPECT_EQ(khz, __vcpu_ioctl(self->vcpu, KVM_GET_TSC_KHZ, 0));
	vcpu_set_long(self->vcpu, guest_tsc);
	for (i = 0; i < 10; i++) {
		now = vcpu_sync(self->vcpu);
		EXPECT_LT(last, now);
		last = now;
	}
	if (vm_has(self->vm, KVM_CAP_TSC_CONTROL)) {
		EXPECT_EQ(0, __vcpu_ioctl(self->vcpu, KVM_SET_TSC_KHZ, khz / 2));
		EXPECT_EQ(khz / 2, __vcpu_ioctl(self->vcpu, KVM_GET_TSC_KHZ, 0));
	}
}

TEST_F(state, sync_regs_out)
{
	struct kvm_vcpu_events events;
	struct kvm_sregs sregs;
	struct kvm_regs regs;

	self->run->kvm_valid_regs = 7;
	EXPECT_EQ(0, vcpu_sync(self->vcpu));
	vcpu_get_regs(self->vcpu, &regs);
	vcpu_get_sregs(self->vcpu, &sregs);
	get_events(self->vcpu, &events);
	EXPECT_EQ(0, memcmp(&regs, &self->run->s.regs.regs, sizeof(regs)));
	EXPECT_EQ(0, memcmp(&sregs, &self->run->s.regs.sregs, sizeof(sregs)));
	EXPECT_EQ(0, memcmp(&events, &self->run->s.regs.events, sizeof(events)));
	/* Only what is asked for. */
	self->run->kvm_valid_regs = KVM_SYNC_X86_REGS;
	memset(&self->run->s.regs.sregs, 0x5a, sizeof(sregs));
	EXPECT_EQ(1, vcpu_sync(self->vcpu));
	EXPECT_EQ(1, self->run->s.regs.regs.rdi);
	EXPECT_EQ(0x5a5a5a5a5a5a5a5aUL, self->run->s.regs.sregs.cr0);
}

TEST_F(state, sync_regs_in)
{
	struct kvm_regs *regs = &self->run->s.regs.regs;

	self->run->kvm_valid_regs = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS;
	EXPECT_EQ(0, vcpu_sync(self->vcpu));
	regs->rip = (unsigned long)guest_dump_regs;
	regs->r15 = 0x1515;
	self->run->s.regs.sregs.cr2 = 0x222000;
	self->run->kvm_dirty_regs = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS;
	EXPECT_EQ(KVM_EXIT_HLT, vcpu_next(self->vcpu));
	EXPECT_EQ(0x1515, ((u64 *)vm_hva(self->vm, DATA_GPA))[15]);
	EXPECT_EQ(0x222000, self->run->s.regs.sregs.cr2);
	EXPECT_EQ(0, self->run->kvm_dirty_regs);
}

TEST_F(state, sync_regs_invalid)
{
	EXPECT_EQ(0, vcpu_sync(self->vcpu));
	self->run->kvm_valid_regs = 8;
	EXPECT_EQ(-EINVAL, __vcpu_run(self->vcpu));
	self->run->kvm_valid_regs = 1UL << 63;
	EXPECT_EQ(-EINVAL, __vcpu_run(self->vcpu));
	self->run->kvm_valid_regs = 0;
	self->run->kvm_dirty_regs = 8;
	EXPECT_EQ(-EINVAL, __vcpu_run(self->vcpu));
	self->run->kvm_dirty_regs = 0;
	vcpu_get_sregs(self->vcpu, &self->run->s.regs.sregs);
	self->run->s.regs.sregs.cr4 |= 1UL << 40;
	self->run->kvm_dirty_regs = KVM_SYNC_X86_SREGS;
	EXPECT_EQ(-EINVAL, __vcpu_run(self->vcpu));
	self->run->kvm_dirty_regs = 0;
	EXPECT_EQ(1, vcpu_sync(self->vcpu));
}

KEEL_TEST_MAIN
