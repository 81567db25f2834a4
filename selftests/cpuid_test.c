// SPDX-License-Identifier: GPL-2.0
/*
 * CPUID as the guest executes it: what KVM_SET_CPUID2 set, the few bits that
 * follow the guest's own state, the limits of the ioctls, and what
 * KVM_GET_SUPPORTED_CPUID promises.
 */
#include "kselftest_harness.h"
#include "keel_test.h"
#include "guest.h"

#define SIGNIFICANT KVM_CPUID_FLAG_SIGNIFCANT_INDEX

FIXTURE(cpuid) {
	struct vm *vm;
	struct vcpu *vcpu;
	struct kvm_cpuid2 *table;
};

static u32 guest_fn, guest_idx;
static u32 guest_out[4];

static void guest_ask(void)
{
	for (;;) {
		guest_cpuid(guest_fn, guest_idx, guest_out);
		guest_sync(0);
	}
}

FIXTURE_SETUP(cpuid)
{
	self->vm = vm_create();
	self->vcpu = vcpu_create_bare(self->vm, 0);
	self->table = calloc(1, sizeof(*self->table) +
				300 * sizeof(self->table->entries[0]));
	ASSERT_NE(NULL, self->table);
}

FIXTURE_TEARDOWN(cpuid)
{
	free(self->table);
	vcpu_free(self->vcpu);
	vm_free(self->vm);
}

static void add(struct kvm_cpuid2 *t, u32 fn, u32 idx, u32 flags, u32 a, u32 b,
		u32 c, u32 d)
{
	t->entries[t->nent++] = (struct kvm_cpuid_entry2) {
		.function = fn, .index = idx, .flags = flags,
		.eax = a, .ebx = b, .ecx = c, .edx = d,
	};
}

static u32 *ask(struct vcpu *vcpu, u32 fn, u32 idx)
{
	GUEST_VAR(vcpu->vm, guest_fn) = fn;
	GUEST_VAR(vcpu->vm, guest_idx) = idx;
	vcpu_sync(vcpu);
	return GUEST_VAR(vcpu->vm, guest_out);
}

static bool answers(struct vcpu *vcpu, u32 fn, u32 idx, u32 a, u32 b, u32 c,
		    u32 d)
{
	u32 *r = ask(vcpu, fn, idx);

	return r[0] == a && r[1] == b && r[2] == c && r[3] == d;
}

/* An ordinary table with leaves of our own in it. */
static void load_supported(struct vcpu *vcpu, struct kvm_cpuid2 *t)
{
	struct kvm_cpuid2 *s = cpuid_supported(vcpu->vm->dev);
	u32 i;

	for (i = 0; i < s->nent; i++)
		t->entries[t->nent++] = s->entries[i];
	free(s);
}

static void replace(struct kvm_cpuid2 *t, u32 fn, u32 idx, u32 flags, u32 a,
		    u32 b, u32 c, u32 d)
{
	u32 i, n = 0;

	for (i = 0; i < t->nent; i++)
		if (t->entries[i].function != fn ||
		    (flags && t->entries[i].index != idx))
			t->entries[n++] = t->entries[i];
	t->nent = n;
	add(t, fn, idx, flags, a, b, c, d);
}

TEST_F(cpuid, guest_sees_what_was_set)
{
	struct kvm_cpuid2 *t = self->table;

	load_supported(self->vcpu, t);
	replace(t, 0x80000002, 0, 0, 0x6c65654b, 0x73657420, 0x11111111, 0x22222222);
	replace(t, 0x40000000, 0, 0, 0x40000001, 0x54736554, 0x65685474, 0x6e6f6974);
	replace(t, 2, 0, 0, 0xaabbcc01, 5, 6, 7);
	replace(t, 4, 0, SIGNIFICANT, 0x121, 0x1c0003f, 0x3f, 1);
	replace(t, 4, 1, SIGNIFICANT, 0x122, 0x1c0003e, 0x3e, 2);
	ASSERT_EQ(0, __vcpu_ioctl(self->vcpu, KVM_SET_CPUID2, t));
	vcpu_set_long(self->vcpu, guest_ask);
	EXPECT_TRUE(answers(self->vcpu, 0x80000002, 0, 0x6c65654b, 0x73657420,
			    0x11111111, 0x22222222));
	EXPECT_TRUE(answers(self->vcpu, 0x40000000, 0, 0x40000001, 0x54736554,
			    0x65685474, 0x6e6f6974));
	/* Leaf 2 does not depend on the index. */
	EXPECT_TRUE(answers(self->vcpu, 2, 77, 0xaabbcc01, 5, 6, 7));
	EXPECT_TRUE(answers(self->vcpu, 4, 0, 0x121, 0x1c0003f, 0x3f, 1));
	EXPECT_TRUE(answers(self->vcpu, 4, 1, 0x122, 0x1c0003e, 0x3e, 2));
	EXPECT_TRUE(answers(self->vcpu, 4, 500, 0, 0, 0, 0));
}

TEST_F(cpuid, whole_supported_table)
{
	struct kvm_cpuid2 *t = self->table;
	u32 i, *r;

	load_supported(self->vcpu, t);
	ASSERT_EQ(0, __vcpu_ioctl(self->vcpu, KVM_SET_CPUID2, t));
	vcpu_set_long(self->vcpu, guest_ask);
	for (i = 0; i < t->nent; i++) {
		struct kvm_cpuid_entry2 e = t->entries[i];

		r = ask(self->vcpu, e.function, e.index);
		/* What follows the guest's CR4 and XCR0 is looked at below. */
		if (e.function == 1) {
			e.ecx &= ~(1u << 27);
			r[2] &= ~(1u << 27);
		} else if (e.function == 0xd && e.index < 2) {
			e.ebx = r[1];
		} else if (e.function == 7 && !e.index) {
			e.ecx &= ~(1u << 4);
			r[2] &= ~(1u << 4);
		} else if (e.function == 0xb || e.function == 0x1f) {
			e.ecx = r[2];
		} else if (e.function == 0x40000001) {
			continue;
		}
		EXPECT_TRUE(r[0] == e.eax && r[1] == e.ebx && r[2] == e.ecx &&
			    r[3] == e.edx) {
			TH_LOG("%#x.%u: %x %x %x %x for %x %x %x %x", e.function,
			       e.index, r[0], r[1], r[2], r[3], e.eax, e.ebx,
			       e.ecx, e.edx);
		}
	}
}

TEST_F(cpuid, absent_leaf_in_range_is_zero)
{
	struct kvm_cpuid2 *t = self->table;

	add(t, 0, 0, 0, 0xb, 0x756e6547, 0x6c65746e, 0x49656e69);
	add(t, 1, 0, 0, 0x506e3, 0, 0, 0x78bfbff);
	add(t, 0x80000000, 0, 0, 0x80000008, 0, 0, 0);
	add(t, 0x80000001, 0, 0, 0, 0, 0, 1u << 29 | 1u << 20 | 1u << 11);
	add(t, 0x80000008, 0, 0, 0x3028, 0, 0, 0);
	ASSERT_EQ(0, __vcpu_ioctl(self->vcpu, KVM_SET_CPUID2, t));
	vcpu_set_long(self->vcpu, guest_ask);
	EXPECT_TRUE(answers(self->vcpu, 3, 0, 0, 0, 0, 0));
	EXPECT_TRUE(answers(self->vcpu, 6, 0, 0, 0, 0, 0));
	EXPECT_TRUE(answers(self->vcpu, 0x80000004, 0, 0, 0, 0, 0));
	EXPECT_TRUE(answers(self->vcpu, 0, 9, 0xb, 0x756e6547, 0x6c65746e,
			    0x49656e69));
}

static void guest_osxsave(void)
{
	u32 r[4];

	guest_cpuid(1, 0, r);
	guest_sync(r[2] >> 27 & 1);
	guest_write_cr4(guest_read_cr4() | CR4_OSXSAVE);
	guest_cpuid(1, 0, r);
	guest_sync(r[2] >> 27 & 1);
	guest_cpuid(0xd, 0, r);
	guest_sync(r[1]);
	asm volatile("xsetbv" : : "a"(7), "d"(0), "c"(0));
	guest_cpuid(0xd, 0, r);
	guest_sync(r[1]);
	guest_write_cr4(guest_read_cr4() & ~CR4_OSXSAVE);
	guest_cpuid(1, 0, r);
	guest_sync(r[2] >> 27 & 1);
	guest_done();
}

TEST_F(cpuid, osxsave_and_xsave_size_follow_the_guest)
{
	struct kvm_cpuid_entry2 *e;

	load_supported(self->vcpu, self->table);
	e = cpuid_find(self->table, 0xd, 0);
	REQUIRE(e && (e->eax & 7) == 7);
	ASSERT_EQ(0, __vcpu_ioctl(self->vcpu, KVM_SET_CPUID2, self->table));
	vcpu_set_long(self->vcpu, guest_osxsave);
	EXPECT_EQ(0, vcpu_sync(self->vcpu));
	EXPECT_EQ(1, vcpu_sync(self->vcpu));
	EXPECT_EQ(576, vcpu_sync(self->vcpu));
	EXPECT_EQ(832, vcpu_sync(self->vcpu));
	EXPECT_EQ(0, vcpu_sync(self->vcpu));
}

TEST_F(cpuid, limits_of_the_ioctls)
{
	struct kvm_cpuid2 *t = self->table;
	u32 i, n;

	load_supported(self->vcpu, t);
	n = t->nent;
	EXPECT_EQ(0, __vcpu_ioctl(self->vcpu, KVM_SET_CPUID2, t));
	memset(t->entries, 0, n * sizeof(t->entries[0]));
	t->nent = 256;
	EXPECT_EQ(0, __vcpu_ioctl(self->vcpu, KVM_GET_CPUID2, t));
	/* Upstream leaves the count as it was. */
	EXPECT_EQ(dev_is_keel() ? n : 256, t->nent);
	EXPECT_EQ(0, t->entries[0].function);
	t->nent = n - 1;
	EXPECT_EQ(-E2BIG, __vcpu_ioctl(self->vcpu, KVM_GET_CPUID2, t));
	t->nent = 257;
	EXPECT_EQ(-E2BIG, __vcpu_ioctl(self->vcpu, KVM_SET_CPUID2, t));
	t->nent = ~0u;
	EXPECT_EQ(-E2BIG, __vcpu_ioctl(self->vcpu, KVM_SET_CPUID2, t));
	/* As many as may be, each leaf its own. */
	t->nent = 0;
	for (i = 0; i < 256; i++)
		add(t, 0x40000000 + i, 0, 0, i, i + 1, i + 2, i + 3);
	EXPECT_EQ(0, __vcpu_ioctl(self->vcpu, KVM_SET_CPUID2, t));
	t->nent = 256;
	EXPECT_EQ(0, __vcpu_ioctl(self->vcpu, KVM_GET_CPUID2, t));
	EXPECT_EQ(255, t->entries[255].eax);
}

TEST_F(cpuid, get_returns_what_was_set)
{
	struct kvm_cpuid2 *t = self->table;
	struct kvm_cpuid2 *copy;
	u32 n, i;

	load_supported(self->vcpu, t);
	n = t->nent;
	copy = malloc(sizeof(*t) + n * sizeof(t->entries[0]));
	memcpy(copy, t, sizeof(*t) + n * sizeof(t->entries[0]));
	ASSERT_EQ(0, __vcpu_ioctl(self->vcpu, KVM_SET_CPUID2, t));
	memset(t->entries, 0, n * sizeof(t->entries[0]));
	ASSERT_EQ(0, __vcpu_ioctl(self->vcpu, KVM_GET_CPUID2, t));
	for (i = 0; i < n; i++) {
		EXPECT_EQ(copy->entries[i].function, t->entries[i].function);
		EXPECT_EQ(copy->entries[i].index, t->entries[i].index);
		EXPECT_EQ(copy->entries[i].flags, t->entries[i].flags);
		EXPECT_EQ(copy->entries[i].edx, t->entries[i].edx);
	}
	free(copy);
}

TEST_F(cpuid, fixed_once_the_vcpu_has_run)
{
	struct kvm_cpuid2 *t = self->table;

	load_supported(self->vcpu, t);
	ASSERT_EQ(0, __vcpu_ioctl(self->vcpu, KVM_SET_CPUID2, t));
	t->entries[0].ecx ^= 1;
	ASSERT_EQ(0, __vcpu_ioctl(self->vcpu, KVM_SET_CPUID2, t));
	vcpu_set_long(self->vcpu, guest_ask);
	vcpu_sync(self->vcpu);
	EXPECT_EQ(0, __vcpu_ioctl(self->vcpu, KVM_SET_CPUID2, t));
	t->entries[0].ecx ^= 1;
	EXPECT_EQ(-EINVAL, __vcpu_ioctl(self->vcpu, KVM_SET_CPUID2, t));
	t->nent--;
	EXPECT_EQ(-EINVAL, __vcpu_ioctl(self->vcpu, KVM_SET_CPUID2, t));
}

GUEST_CODE16(real_out, "out %al, $0x80");

/* Without unrestricted guest the processor has seen nothing of it. */
TEST_F(cpuid, fixed_once_it_was_emulated)
{
	struct kvm_cpuid2 *t = self->table;

	load_supported(self->vcpu, t);
	ASSERT_EQ(0, __vcpu_ioctl(self->vcpu, KVM_SET_CPUID2, t));
	vm_load(self->vm, REAL_CODE_GPA, real_out, real_out_end);
	vcpu_set_real(self->vcpu, REAL_CODE_GPA);
	ASSERT_EQ(0, __vcpu_run(self->vcpu));
	ASSERT_EQ(KVM_EXIT_IO, self->vcpu->run->exit_reason);
	EXPECT_EQ(0, __vcpu_ioctl(self->vcpu, KVM_SET_CPUID2, t));
	t->entries[0].ecx ^= 1;
	EXPECT_EQ(-EINVAL, __vcpu_ioctl(self->vcpu, KVM_SET_CPUID2, t));
}

TEST_F(cpuid, supported_table_is_sound)
{
	struct kvm_cpuid2 *t = self->table;
	struct kvm_cpuid_entry2 *e;
	u32 i, j, r[4];

	load_supported(self->vcpu, t);
	/* Signature and vendor. */
	e = cpuid_find(t, 0x40000000, 0);
	ASSERT_NE(NULL, e);
	EXPECT_EQ(0x4b4d564b, e->ebx);
	EXPECT_EQ(0x564b4d56, e->ecx);
	EXPECT_EQ(0x4d, e->edx);
	EXPECT_LE(0x40000000, e->eax);
	e = cpuid_find(t, 0, 0);
	ASSERT_NE(NULL, e);
	guest_cpuid(0, 0, r);
	EXPECT_EQ(r[1], e->ebx);
	EXPECT_EQ(r[2], e->ecx);
	EXPECT_EQ(r[3], e->edx);
	e = cpuid_find(t, 1, 0);
	ASSERT_NE(NULL, e);
	/* FPU, PSE, MSR, PAE, CX8, FXSR, SSE, SSE2. */
	EXPECT_EQ(0x07000169, e->edx & 0x07000169);
	/* Nothing the host's processor has not. */
	guest_cpuid(1, 0, r);
	EXPECT_EQ(0, e->edx & ~r[3]);
	e = cpuid_find(t, 0x80000001, 0);
	ASSERT_NE(NULL, e);
	EXPECT_EQ(1, e->edx >> 29 & 1);
	for (i = 0; i < t->nent; i++)
		for (j = 0; j < i; j++)
			EXPECT_TRUE(t->entries[i].function != t->entries[j].function ||
				    t->entries[i].index != t->entries[j].index) {
				TH_LOG("%#x.%u twice", t->entries[i].function,
				       t->entries[i].index);
			}
}

KEEL_TEST_MAIN
