// SPDX-License-Identifier: GPL-2.0
/*
 * KVM_TRANSLATE: the guest's page tables as userspace asks about them, in each
 * paging mode. What the guest itself sees through them is modes_test's.
 */
#include "kselftest_harness.h"
#include "keel_test.h"
#include "guest.h"

#define GVA 0x8000000000UL

FIXTURE(translate) {
	struct vm *vm;
	struct vcpu *vcpu;
};

static void no_guest(void)
{
}

FIXTURE_SETUP(translate)
{
	self->vm = vm_create();
	self->vcpu = vcpu_create(self->vm, 0, no_guest);
}

FIXTURE_TEARDOWN(translate)
{
	vcpu_free(self->vcpu);
	vm_free(self->vm);
}

#define NOT_MAPPED ~0UL

static u64 translate(struct vcpu *vcpu, u64 gva)
{
	struct kvm_translation t = { .linear_address = gva };

	vcpu_ioctl(vcpu, KVM_TRANSLATE, &t);
	CHECK(t.linear_address == gva, "%#llx", t.linear_address);
	return t.valid ? t.physical_address : NOT_MAPPED;
}

static void set_paging(struct vcpu *vcpu, u64 cr3, u64 cr4, bool paging)
{
	struct kvm_sregs s;

	vcpu_set_prot32(vcpu, NULL);
	vcpu_get_sregs(vcpu, &s);
	s.cr3 = cr3;
	s.cr4 = cr4;
	if (paging)
		s.cr0 |= CR0_PG;
	vcpu_set_sregs(vcpu, &s);
}

TEST_F(translate, long_mode)
{
	vm_map(self->vm, GVA, DATA_GPA, PT_P | PT_W);
	vm_map(self->vm, GVA + 2 * PAGE, MMIO_GPA, PT_P);
	/* 2 MiB pages below 4 GiB, slots or not. */
	EXPECT_EQ(0, translate(self->vcpu, 0));
	EXPECT_EQ(0x123456, translate(self->vcpu, 0x123456));
	EXPECT_EQ(0xfee00020, translate(self->vcpu, 0xfee00020));
	EXPECT_EQ(NOT_MAPPED, translate(self->vcpu, 1UL << 32));
	EXPECT_EQ(DATA_GPA, translate(self->vcpu, GVA));
	EXPECT_EQ(DATA_GPA + 0xfff, translate(self->vcpu, GVA + 0xfff));
	EXPECT_EQ(NOT_MAPPED, translate(self->vcpu, GVA + PAGE));
	EXPECT_EQ(MMIO_GPA + 8, translate(self->vcpu, GVA + 2 * PAGE + 8));
	EXPECT_EQ(NOT_MAPPED, translate(self->vcpu, 0xffff800000000000UL));
}

TEST_F(translate, sees_the_tables_of_now)
{
	vm_map(self->vm, GVA, DATA_GPA, PT_P | PT_W);
	EXPECT_EQ(DATA_GPA + 5, translate(self->vcpu, GVA + 5));
	vm_map(self->vm, GVA, DATA_GPA + PAGE, PT_P | PT_W);
	EXPECT_EQ(DATA_GPA + PAGE + 5, translate(self->vcpu, GVA + 5));
	vm_map(self->vm, GVA, 0, 0);
	EXPECT_EQ(NOT_MAPPED, translate(self->vcpu, GVA + 5));
}

TEST_F(translate, tables_outside_of_any_slot)
{
	struct kvm_sregs s;

	vcpu_get_sregs(self->vcpu, &s);
	s.cr3 = MMIO_GPA;
	vcpu_set_sregs(self->vcpu, &s);
	EXPECT_EQ(NOT_MAPPED, translate(self->vcpu, 0));
}

TEST_F(translate, reserved_bits_are_not_mapped)
{
	vm_map(self->vm, GVA, DATA_GPA | 1UL << 51, PT_P | PT_W);
	EXPECT_EQ(NOT_MAPPED, translate(self->vcpu, GVA));
}

TEST(without_paging)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_create_bare(vm, 0);

	/* As after reset. */
	EXPECT_EQ(0x1234, translate(vcpu, 0x1234));
	set_paging(vcpu, 0, 0, false);
	EXPECT_EQ(0xfffffff0, translate(vcpu, 0xfffffff0));
	vcpu_free(vcpu);
	vm_free(vm);
}

TEST_F(translate, paging_32_bit)
{
	struct vcpu *vcpu = vcpu_create_bare(self->vm, 1);
	u32 *pd = vm_hva(self->vm, PD32_GPA);
	u32 *pt = vm_hva(self->vm, TABLES_GPA);

	pd[3] = TABLES_GPA | PT_P | PT_W;
	pd[4] = 0;
	pt[1] = DATA_GPA | PT_P;
	set_paging(vcpu, PD32_GPA, CR4_PSE, true);
	EXPECT_EQ(0x812345, translate(vcpu, 0x812345));
	EXPECT_EQ(NOT_MAPPED, translate(vcpu, 0xc00000));
	EXPECT_EQ(DATA_GPA + 0xabc, translate(vcpu, 0xc01abc));
	EXPECT_EQ(NOT_MAPPED, translate(vcpu, 0x1000000));
	/* Without CR4.PSE the size bit means nothing. */
	pd[0] = TABLES_GPA | PT_P | PT_W | PT_PS;
	set_paging(vcpu, PD32_GPA, 0, true);
	EXPECT_EQ(DATA_GPA + 0xabc, translate(vcpu, 0x1abc));
}

TEST_F(translate, pae)
{
	struct vcpu *vcpu = vcpu_create_bare(self->vm, 1);
	u64 *pd = vm_hva(self->vm, PD_GPA);
	u64 *pt = vm_hva(self->vm, TABLES_GPA);
	u64 *pdpt = vm_hva(self->vm, PAE_PDPT_GPA);

	pd[6] = TABLES_GPA | PT_P | PT_W;
	pt[1] = DATA_GPA | PT_P;
	pdpt[2] = 0;
	set_paging(vcpu, PAE_PDPT_GPA, CR4_PAE, true);
	EXPECT_EQ(0x812345, translate(vcpu, 0x812345));
	EXPECT_EQ(DATA_GPA + 0xabc, translate(vcpu, 0xc01abc));
	EXPECT_EQ(NOT_MAPPED, translate(vcpu, 0xc00000));
	EXPECT_EQ(0xfee00000, translate(vcpu, 0xfee00000));
	EXPECT_EQ(NOT_MAPPED, translate(vcpu, 0x80000000));
}

KEEL_TEST_MAIN
