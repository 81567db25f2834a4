// SPDX-License-Identifier: GPL-2.0
/*
 * Model-specific registers from both sides: what the guest writes userspace
 * reads and the other way round, the processor acts on them, and what does not
 * exist or cannot be is #GP or a short count.
 */
#include "kselftest_harness.h"
#include "keel_test.h"
#include "guest.h"
#include "rdmsr.h"

#define MSR_TSC			0x10
#define MSR_APIC_BASE		0x1b
#define MSR_SYSENTER_CS		0x174
#define MSR_SYSENTER_ESP	0x175
#define MSR_SYSENTER_EIP	0x176
#define MSR_PAT			0x277
#define MSR_STAR		0xc0000081
#define MSR_LSTAR		0xc0000082
#define MSR_CSTAR		0xc0000083
#define MSR_SFMASK		0xc0000084
#define MSR_FS_BASE		0xc0000100
#define MSR_GS_BASE		0xc0000101
#define MSR_KERNEL_GS_BASE	0xc0000102
#define MSR_TSC_AUX		0xc0000103
#define MSR_UNKNOWN		0x12345678
#define MSR_FEATURE_CONTROL	0x3a
#define MSR_SMBASE		0x9e
#define MSR_PLATFORM_INFO	0xce
#define MSR_MISC_ENABLE		0x1a0

#define MISC_EMON		(1UL << 7)
#define MISC_UNAVAILABLE	(3UL << 11)	/* branch trace and sampling */

FIXTURE(msr) {
	struct vm *vm;
	struct vcpu *vcpu;
};

FIXTURE_SETUP(msr)
{
	self->vm = vm_create();
	self->vcpu = vcpu_create(self->vm, 0, msr_guest);
}

FIXTURE_TEARDOWN(msr)
{
	vcpu_free(self->vcpu);
	vm_free(self->vm);
}

static const struct {
	u32 index;
	u64 value[2];
} plain[] = {
	{ MSR_SYSENTER_CS, { 0x10, 0x18 } },
	{ MSR_SYSENTER_ESP, { 0x12345678, 0xffff800000001000 } },
	{ MSR_SYSENTER_EIP, { 0x87654321, 0xffff800000002000 } },
	{ MSR_PAT, { 0x0007040600070406, 0x0606060606060606 } },
	{ MSR_STAR, { 0x0023001000000000, 0x001b000800001234 } },
	{ MSR_LSTAR, { 0x400000, 0xffffffff81000000 } },
	{ MSR_CSTAR, { 0x400100, 0xffffffff81000100 } },
	{ MSR_SFMASK, { 0x700, 0x47700 } },
	{ MSR_FS_BASE, { 0x1111000, 0xffff888000000000 } },
	{ MSR_GS_BASE, { 0x2222000, 0xffff888000001000 } },
	{ MSR_KERNEL_GS_BASE, { 0x3333000, 0xffff888000002000 } },
};

TEST_F(msr, both_sides_see_one_register)
{
	u64 value;
	int i, j;

	for (i = 0; i < ARRAY_SIZE(plain); i++) {
		u32 index = plain[i].index;

		for (j = 0; j < 2; j++) {
			EXPECT_EQ(1, __vcpu_set_msr(self->vcpu, index, plain[i].value[j]));
			EXPECT_EQ(0, rd(self->vcpu, index, &value));
			EXPECT_EQ(plain[i].value[j], value) {
				TH_LOG("MSR %#x set from userspace", index);
			}
		}
		for (j = 0; j < 2; j++) {
			EXPECT_EQ(0, wr(self->vcpu, index, plain[i].value[j]));
			EXPECT_EQ(1, __vcpu_get_msr(self->vcpu, index, &value));
			EXPECT_EQ(plain[i].value[j], value) {
				TH_LOG("MSR %#x set by the guest", index);
			}
			EXPECT_EQ(0, rd(self->vcpu, index, &value));
			EXPECT_EQ(plain[i].value[j], value);
		}
	}
}

TEST_F(msr, unknown_registers)
{
	static const u32 unknown[] = {
		MSR_UNKNOWN, 0x3, 0xc0010015 + 0x3000, 0x4fff, 0x40000fff, ~0u,
	};
	u64 value;
	int i;

	for (i = 0; i < ARRAY_SIZE(unknown); i++) {
		EXPECT_EQ(GUEST_GP, rd(self->vcpu, unknown[i], &value)) {
			TH_LOG("MSR %#x", unknown[i]);
		}
		EXPECT_EQ(GUEST_GP, wr(self->vcpu, unknown[i], 0));
		EXPECT_EQ(0, __vcpu_get_msr(self->vcpu, unknown[i], &value));
		EXPECT_EQ(0, __vcpu_set_msr(self->vcpu, unknown[i], 0));
	}
}

TEST_F(msr, list_stops_at_the_first_bad_one)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry[3];
	} m = {
		.head.nmsrs = 3,
		.entry = {
			{ .index = MSR_SYSENTER_CS, .data = 0x30 },
			{ .index = MSR_UNKNOWN },
			{ .index = MSR_SYSENTER_ESP, .data = 0x4000 },
		},
	};
	u64 value;

	EXPECT_EQ(1, __vcpu_ioctl(self->vcpu, KVM_SET_MSRS, &m));
	EXPECT_EQ(1, __vcpu_get_msr(self->vcpu, MSR_SYSENTER_CS, &value));
	EXPECT_EQ(0x30, value);
	EXPECT_EQ(1, __vcpu_get_msr(self->vcpu, MSR_SYSENTER_ESP, &value));
	EXPECT_EQ(0, value);
	m.entry[0].data = 0;
	EXPECT_EQ(1, __vcpu_ioctl(self->vcpu, KVM_GET_MSRS, &m));
	EXPECT_EQ(0x30, m.entry[0].data);
	m.head.nmsrs = 0;
	EXPECT_EQ(0, __vcpu_ioctl(self->vcpu, KVM_GET_MSRS, &m));
	EXPECT_EQ(0, __vcpu_ioctl(self->vcpu, KVM_SET_MSRS, &m));
	m.head.nmsrs = 256;
	EXPECT_EQ(-E2BIG, __vcpu_ioctl(self->vcpu, KVM_GET_MSRS, &m));
	EXPECT_EQ(-E2BIG, __vcpu_ioctl(self->vcpu, KVM_SET_MSRS, &m));
	m.head.nmsrs = ~0u;
	EXPECT_EQ(-E2BIG, __vcpu_ioctl(self->vcpu, KVM_SET_MSRS, &m));
}

TEST_F(msr, non_canonical_addresses_are_gp)
{
	static const u32 address[] = {
		MSR_SYSENTER_ESP, MSR_SYSENTER_EIP, MSR_LSTAR, MSR_CSTAR,
		MSR_FS_BASE, MSR_GS_BASE, MSR_KERNEL_GS_BASE,
	};
	u64 value;
	int i;

	for (i = 0; i < ARRAY_SIZE(address); i++) {
		EXPECT_EQ(0, wr(self->vcpu, address[i], 0x5000));
		/* Intel forces SYSENTER addresses on AMD hosts only: #GP here. */
		EXPECT_EQ(GUEST_GP, wr(self->vcpu, address[i], 1UL << 63)) {
			TH_LOG("MSR %#x", address[i]);
		}
		EXPECT_EQ(0, rd(self->vcpu, address[i], &value));
		EXPECT_EQ(0x5000, value);
	}
}

/* No #GP as for the guest: what userspace restores must go in. */
TEST_F(msr, userspace_makes_sysenter_addresses_canonical)
{
	static const u32 address[] = { MSR_SYSENTER_ESP, MSR_SYSENTER_EIP };
	u64 value;
	int i;

	for (i = 0; i < ARRAY_SIZE(address); i++) {
		EXPECT_EQ(1, __vcpu_set_msr(self->vcpu, address[i], 0x123456789abcdef0));
		EXPECT_EQ(0, rd(self->vcpu, address[i], &value));
		EXPECT_EQ(0x56789abcdef0, value);
		EXPECT_EQ(1, __vcpu_set_msr(self->vcpu, address[i], 1UL << 47));
		EXPECT_EQ(0, rd(self->vcpu, address[i], &value));
		EXPECT_EQ(0xffff800000000000, value);
	}
}

/* Models differ in what it holds: all bits are taken but for two that say what there is not. */
TEST_F(msr, misc_enable)
{
	u64 before, value, written;
	int bit;

	EXPECT_EQ(0, rd(self->vcpu, MSR_MISC_ENABLE, &before));
	EXPECT_EQ(MISC_UNAVAILABLE, before & MISC_UNAVAILABLE);
	for (bit = 0; bit < 64; bit++) {
		written = before ^ 1UL << bit;
		EXPECT_EQ(MISC_UNAVAILABLE >> bit & 1 ? GUEST_GP : 0,
			  wr(self->vcpu, MSR_MISC_ENABLE, written)) {
			TH_LOG("bit %d", bit);
		}
		EXPECT_EQ(1, __vcpu_set_msr(self->vcpu, MSR_MISC_ENABLE, written));
		EXPECT_EQ(1, __vcpu_get_msr(self->vcpu, MSR_MISC_ENABLE, &value));
		EXPECT_EQ(written, value);
		EXPECT_EQ(1, __vcpu_set_msr(self->vcpu, MSR_MISC_ENABLE, before));
	}
	/* As guests do that count on another model. */
	EXPECT_EQ(0, wr(self->vcpu, MSR_MISC_ENABLE, 0x51501232d05efe01 | MISC_UNAVAILABLE));
	EXPECT_EQ(0, rd(self->vcpu, MSR_MISC_ENABLE, &value));
	EXPECT_EQ(0x51501232d05efe01 | MISC_UNAVAILABLE, value & ~MISC_EMON);
}

/* Registers that guests read whatever CPUID says, or that userspace carries along. */
TEST_F(msr, kept_or_zero)
{
	static const u32 zero[] = { 0xc1, 0xc2, 0x186, 0x187 };
	u64 value;
	int i;

	for (i = 0; i < ARRAY_SIZE(zero); i++) {
		EXPECT_EQ(0, rd(self->vcpu, zero[i], &value));
		EXPECT_EQ(0, value);
		EXPECT_EQ(0, wr(self->vcpu, zero[i], 0));
	}
	/* Once it is locked only userspace can write it. */
	EXPECT_EQ(0, rd(self->vcpu, MSR_FEATURE_CONTROL, &value));
	EXPECT_EQ(0, value);
	/* A device that nests has VMX to enable. */
	EXPECT_EQ(dev_is_keel() ? GUEST_GP : 0, wr(self->vcpu, MSR_FEATURE_CONTROL, 4));
	EXPECT_EQ(0, wr(self->vcpu, MSR_FEATURE_CONTROL, 1));
	EXPECT_EQ(GUEST_GP, wr(self->vcpu, MSR_FEATURE_CONTROL, 1));
	EXPECT_EQ(1, __vcpu_set_msr(self->vcpu, MSR_FEATURE_CONTROL, 0));
	EXPECT_EQ(0, rd(self->vcpu, MSR_FEATURE_CONTROL, &value));
	EXPECT_EQ(0, value);
	EXPECT_EQ(1, __vcpu_set_msr(self->vcpu, MSR_PLATFORM_INFO, 0x1000));
	EXPECT_EQ(0, rd(self->vcpu, MSR_PLATFORM_INFO, &value));
	EXPECT_EQ(0x1000, value);
	EXPECT_EQ(GUEST_GP, wr(self->vcpu, MSR_PLATFORM_INFO, 0x1000));
	/* Nothing outside SMM sees where it is entered. */
	EXPECT_EQ(1, __vcpu_get_msr(self->vcpu, MSR_SMBASE, &value));
	EXPECT_EQ(0x30000, value);
	EXPECT_EQ(1, __vcpu_set_msr(self->vcpu, MSR_SMBASE, 0x20000));
	EXPECT_EQ(1, __vcpu_get_msr(self->vcpu, MSR_SMBASE, &value));
	EXPECT_EQ(0x20000, value);
	EXPECT_EQ(GUEST_GP, rd(self->vcpu, MSR_SMBASE, &value));
}

TEST_F(msr, pat_types)
{
	u64 value;

	EXPECT_EQ(0, rd(self->vcpu, MSR_PAT, &value));
	EXPECT_EQ(0x0007040600070406, value);
	EXPECT_EQ(GUEST_GP, wr(self->vcpu, MSR_PAT, 0x0007040600070402));
	EXPECT_EQ(GUEST_GP, wr(self->vcpu, MSR_PAT, 0x0307040600070406));
	EXPECT_EQ(GUEST_GP, wr(self->vcpu, MSR_PAT, 0x0807040600070406));
	EXPECT_EQ(0, __vcpu_set_msr(self->vcpu, MSR_PAT, 2));
	EXPECT_EQ(0, rd(self->vcpu, MSR_PAT, &value));
	EXPECT_EQ(0x0007040600070406, value);
}

#define MTRR_CAP	0xfe
#define MTRR_BASE(i)	(0x200 + 2 * (i))
#define MTRR_MASK(i)	(0x201 + 2 * (i))
#define MTRR_DEFAULT	0x2ff
#define MTRR_ENABLE	(3UL << 10)	/* all of them, and those of fixed ranges */

static const u32 mtrr_fixed[] = {
	0x250, 0x258, 0x259, 0x268, 0x269, 0x26a, 0x26b, 0x26c, 0x26d, 0x26e, 0x26f,
};

/* Both sides can set the register, and both find what was set. */
static void expect_kept(struct __test_metadata *_metadata, struct vcpu *vcpu, u32 index, u64 value)
{
	u64 found;

	EXPECT_EQ(0, wr(vcpu, index, value));
	EXPECT_EQ(1, __vcpu_get_msr(vcpu, index, &found));
	EXPECT_EQ(value, found) {
		TH_LOG("MSR %#x", index);
	}
	EXPECT_EQ(1, __vcpu_set_msr(vcpu, index, 0));
	EXPECT_EQ(0, rd(vcpu, index, &found));
	EXPECT_EQ(0, found);
	EXPECT_EQ(1, __vcpu_set_msr(vcpu, index, value));
	EXPECT_EQ(0, rd(vcpu, index, &found));
	EXPECT_EQ(value, found);
}

/* Neither side can set it to that, and it stays what it is. */
static void expect_refused(struct __test_metadata *_metadata, struct vcpu *vcpu, u32 index,
			   u64 value)
{
	u64 before, after;

	EXPECT_EQ(1, __vcpu_get_msr(vcpu, index, &before));
	EXPECT_EQ(GUEST_GP, wr(vcpu, index, value)) {
		TH_LOG("MSR %#x = %#lx", index, value);
	}
	EXPECT_EQ(0, __vcpu_set_msr(vcpu, index, value));
	EXPECT_EQ(1, __vcpu_get_msr(vcpu, index, &after));
	EXPECT_EQ(before, after);
}

static unsigned int address_bits(struct vcpu *vcpu)
{
	struct kvm_cpuid2 *cpuid = cpuid_supported(vcpu->vm->dev);
	unsigned int bits = cpuid_find(cpuid, 0x80000008, 0)->eax & 0xff;

	free(cpuid);
	return bits;
}

/* Eight variable ranges, the fixed ones, write combining; whatever is legal is kept. */
TEST_F(msr, mtrrs_keep_what_is_legal)
{
	u64 top = 1UL << (address_bits(self->vcpu) - 1), value;
	int i;

	EXPECT_EQ(0, rd(self->vcpu, MTRR_CAP, &value));
	EXPECT_EQ(0x508, value);
	EXPECT_EQ(GUEST_GP, wr(self->vcpu, MTRR_CAP, value));
	expect_kept(_metadata, self->vcpu, MTRR_DEFAULT, MTRR_ENABLE | 6);
	for (i = 0; i < 8; i++) {
		expect_kept(_metadata, self->vcpu, MTRR_BASE(i), top | i << 20 | (i & 1 ? 6 : 1));
		expect_kept(_metadata, self->vcpu, MTRR_MASK(i), top | 0xfff00000 | 1 << 11);
	}
	for (i = 0; i < ARRAY_SIZE(mtrr_fixed); i++)
		expect_kept(_metadata, self->vcpu, mtrr_fixed[i], 0x0006050401000606);
	EXPECT_EQ(GUEST_GP, rd(self->vcpu, MTRR_BASE(8), &value));
}

TEST_F(msr, mtrrs_refuse_what_is_reserved)
{
	static const u8 reserved_type[] = { 2, 3, 7, 8, 0xff };
	u64 beyond = 1UL << address_bits(self->vcpu), type;
	int i;

	for (i = 0; i < ARRAY_SIZE(reserved_type); i++) {
		type = reserved_type[i];
		expect_refused(_metadata, self->vcpu, MTRR_DEFAULT, MTRR_ENABLE | type);
		expect_refused(_metadata, self->vcpu, MTRR_BASE(0), type);
		expect_refused(_metadata, self->vcpu, mtrr_fixed[0], type);
		expect_refused(_metadata, self->vcpu, mtrr_fixed[10], type << 56);
	}
	expect_refused(_metadata, self->vcpu, MTRR_DEFAULT, 1 << 8);
	expect_refused(_metadata, self->vcpu, MTRR_DEFAULT, 1 << 12);
	expect_refused(_metadata, self->vcpu, MTRR_DEFAULT, 1UL << 32);
	expect_refused(_metadata, self->vcpu, MTRR_BASE(7), 1 << 8);
	expect_refused(_metadata, self->vcpu, MTRR_MASK(7), 1);
	expect_refused(_metadata, self->vcpu, MTRR_MASK(7), 1 << 10);
	expect_refused(_metadata, self->vcpu, MTRR_BASE(0), beyond | 6);
	expect_refused(_metadata, self->vcpu, MTRR_MASK(0), beyond | 1 << 11);
}

TEST_F(msr, efer)
{
	u64 value;

	EXPECT_EQ(0, rd(self->vcpu, MSR_EFER, &value));
	EXPECT_EQ(EFER_SCE | EFER_LME | EFER_LMA | EFER_NX, value);
	EXPECT_EQ(0, wr(self->vcpu, MSR_EFER, EFER_LME | EFER_LMA | EFER_NX));
	EXPECT_EQ(1, __vcpu_get_msr(self->vcpu, MSR_EFER, &value));
	EXPECT_EQ(EFER_LME | EFER_LMA | EFER_NX, value);
	/* Unknown bits; leaving long mode with paging on. */
	EXPECT_EQ(GUEST_GP, wr(self->vcpu, MSR_EFER, value | 1UL << 5));
	EXPECT_EQ(GUEST_GP, wr(self->vcpu, MSR_EFER, value | 1UL << 40));
	EXPECT_EQ(GUEST_GP, wr(self->vcpu, MSR_EFER, EFER_NX));
	EXPECT_EQ(0, rd(self->vcpu, MSR_EFER, &value));
	EXPECT_EQ(EFER_LME | EFER_LMA | EFER_NX, value);
	/* LMA is the processor's: writing it does not change it. */
	EXPECT_EQ(0, wr(self->vcpu, MSR_EFER, EFER_LME | EFER_NX));
	EXPECT_EQ(0, rd(self->vcpu, MSR_EFER, &value));
	EXPECT_EQ(EFER_LME | EFER_LMA | EFER_NX, value);
}

TEST_F(msr, apic_base)
{
	struct kvm_sregs sregs;
	u64 value;

	EXPECT_EQ(0, rd(self->vcpu, MSR_APIC_BASE, &value));
	EXPECT_EQ(0xfee00900, value);
	vcpu_get_sregs(self->vcpu, &sregs);
	EXPECT_EQ(value, sregs.apic_base);
	EXPECT_EQ(value, self->vcpu->run->apic_base);
	EXPECT_EQ(GUEST_GP, wr(self->vcpu, MSR_APIC_BASE, value | 1));
	EXPECT_EQ(GUEST_GP, wr(self->vcpu, MSR_APIC_BASE, value | 1UL << 60));
	EXPECT_EQ(0, rd(self->vcpu, MSR_APIC_BASE, &value));
	EXPECT_EQ(0xfee00900, value);
}

static uint64_t rdtsc(void)
{
	uint32_t lo, hi;

	asm volatile("rdtsc" : "=a"(lo), "=d"(hi));
	return (uint64_t)hi << 32 | lo;
}

static u64 tsc_to_write;

static void guest_tsc(void)
{
	uint64_t a, b, c;

	for (;;) {
		a = rdtsc();
		guest_rdmsr(MSR_TSC, &b);
		c = rdtsc();
		GUEST_ASSERT(a <= b && b <= c);
		guest_sync(a);
		if (tsc_to_write)
			guest_wrmsr(MSR_TSC, tsc_to_write);
	}
}

#define FAR 0x1000000000000UL

TEST_F(msr, tsc)
{
	u64 now;

	vcpu_set_long(self->vcpu, guest_tsc);
	EXPECT_GT(FAR, vcpu_sync(self->vcpu));
	EXPECT_EQ(1, __vcpu_set_msr(self->vcpu, MSR_TSC, FAR));
	now = vcpu_sync(self->vcpu);
	EXPECT_LE(FAR, now);
	EXPECT_GT(FAR + (1UL << 36), now);
	EXPECT_EQ(1, __vcpu_get_msr(self->vcpu, MSR_TSC, &now));
	EXPECT_LE(FAR, now);
	GUEST_VAR(self->vm, tsc_to_write) = 2 * FAR;
	now = vcpu_sync(self->vcpu);
	EXPECT_LE(2 * FAR, now);
	EXPECT_GT(2 * FAR + (1UL << 36), now);
}

/* The processor itself uses what is in the registers. */
static volatile u64 syscall_seen[4];

extern const char guest_syscall_entry[], after_syscall[];
asm(".pushsection .text\n"
	"guest_syscall_entry:\n"
	"mov %rcx, syscall_seen(%rip)\n"
	"mov %r11, syscall_seen+8(%rip)\n"
	"mov %cs, syscall_seen+16(%rip)\n"
	"pushf\n"
	"pop syscall_seen+24(%rip)\n"
	"jmp *%rcx\n"
	".popsection\n");

static void guest_syscall(void)
{
	u64 a, b;

	guest_wrmsr(MSR_STAR, (u64)SEL_CODE64 << 32);
	guest_wrmsr(MSR_LSTAR, (u64)guest_syscall_entry);
	guest_wrmsr(MSR_SFMASK, FLAG_CF | FLAG_DF);
	asm volatile("stc\n"
		     "syscall\n"
		     "after_syscall:\n"
		     : : : "rcx", "r11", "memory", "cc");
	guest_sync3(syscall_seen[0], syscall_seen[1], syscall_seen[3]);
	guest_wrmsr(MSR_GS_BASE, DATA_GPA);
	guest_wrmsr(MSR_KERNEL_GS_BASE, DATA_GPA + 8);
	asm volatile("mov %%gs:0, %0; swapgs; mov %%gs:0, %1"
		     : "=r"(a), "=r"(b));
	guest_sync3(a, b, 0);
	guest_rdmsr(MSR_GS_BASE, &a);
	guest_rdmsr(MSR_KERNEL_GS_BASE, &b);
	guest_sync3(a, b, 0);
	guest_done();
}

TEST_F(msr, syscall_and_swapgs_use_them)
{
	u64 *data = vm_hva(self->vm, DATA_GPA);
	u64 value;

	data[0] = 0xaaaa;
	data[1] = 0xbbbb;
	vcpu_set_long(self->vcpu, guest_syscall);
	EXPECT_EQ((unsigned long)after_syscall, vcpu_sync(self->vcpu));
	EXPECT_EQ(FLAG_CF, self->vcpu->arg[1] & FLAG_CF);
	EXPECT_EQ(0, self->vcpu->arg[2] & FLAG_CF);
	EXPECT_EQ(0xaaaa, vcpu_sync(self->vcpu));
	EXPECT_EQ(0xbbbb, self->vcpu->arg[1]);
	EXPECT_EQ(DATA_GPA + 8, vcpu_sync(self->vcpu));
	EXPECT_EQ(DATA_GPA, self->vcpu->arg[1]);
	/* SWAPGS leaves no exit behind: the host must fetch the value. */
	EXPECT_EQ(1, __vcpu_get_msr(self->vcpu, MSR_KERNEL_GS_BASE, &value));
	EXPECT_EQ(DATA_GPA, value);
	EXPECT_EQ(1, __vcpu_get_msr(self->vcpu, MSR_GS_BASE, &value));
	EXPECT_EQ(DATA_GPA + 8, value);
}

static void guest_rdtscp(void)
{
	uint32_t lo, hi, aux;

	for (;;) {
		asm volatile("rdtscp" : "=a"(lo), "=d"(hi), "=c"(aux));
		guest_sync(aux);
	}
}

TEST_F(msr, tsc_aux_is_the_guests_own)
{
	struct kvm_cpuid2 *cpuid = cpuid_supported(self->vm->dev);
	struct kvm_cpuid_entry2 *e = cpuid_find(cpuid, 0x80000001, 0);
	bool rdtscp = e && e->edx >> 27 & 1;
	u32 aux_before, aux_after;
	u64 value;

	free(cpuid);
	REQUIRE(rdtscp);
	asm volatile("rdtscp" : "=c"(aux_before) : : "rax", "rdx");
	EXPECT_EQ(1, __vcpu_set_msr(self->vcpu, MSR_TSC_AUX, 0x77));
	EXPECT_EQ(0, rd(self->vcpu, MSR_TSC_AUX, &value));
	EXPECT_EQ(0x77, value);
	EXPECT_EQ(0, wr(self->vcpu, MSR_TSC_AUX, 0x78));
	vcpu_set_long(self->vcpu, guest_rdtscp);
	EXPECT_EQ(0x78, vcpu_sync(self->vcpu));
	/* The host's own is its CPU number: two CPUs never read 0x78. */
	asm volatile("rdtscp" : "=c"(aux_after) : : "rax", "rdx");
	EXPECT_NE(0x78, aux_after);
	EXPECT_GT(0x40, aux_before & 0xfff);
	EXPECT_GT(0x40, aux_after & 0xfff);
}

TEST_F(msr, two_vcpus_have_their_own)
{
	struct vcpu *other = vcpu_create(self->vm, 1, msr_guest);
	u64 value;
	int i;

	for (i = 0; i < ARRAY_SIZE(plain); i++) {
		u32 index = plain[i].index;

		EXPECT_EQ(0, wr(self->vcpu, index, plain[i].value[0]));
		EXPECT_EQ(0, wr(other, index, plain[i].value[1]));
		EXPECT_EQ(0, rd(self->vcpu, index, &value));
		EXPECT_EQ(plain[i].value[0], value);
		EXPECT_EQ(0, rd(other, index, &value));
		EXPECT_EQ(plain[i].value[1], value);
	}
	vcpu_free(other);
}

KEEL_TEST_MAIN
