// SPDX-License-Identifier: GPL-2.0
/*
 * Coalesced I/O: writes to a zone go into the ring that all vCPUs of a VM
 * share, in order, until it is full; what else there is to a zone. Userspace
 * may spoil the ring and hurts only itself.
 */
#include "kselftest_harness.h"
#include "keel_test.h"
#include "guest.h"

#define ZONE	(MMIO_GPA + 0x1000)
#define PORT	0x70

static u64 guest_addr, guest_value;
static int guest_size, guest_port, guest_count;

/* Writes value, value + 1, ... to the same address. */
static void guest_write_many(void)
{
	int i;

	for (;;) {
		for (i = 0; i < guest_count; i++) {
			if (guest_port)
				asm volatile("outb %%al, %%dx"
					     : : "a"((u32)guest_value + i), "d"(guest_port));
			else if (guest_size == 4)
				guest_write32(guest_addr, guest_value + i);
			else
				guest_write64(guest_addr, guest_value + i);
		}
		guest_sync(0);
	}
}

FIXTURE(coalesced) {
	struct vm *vm;
	struct vcpu *vcpu;
	struct kvm_coalesced_mmio_ring *ring;
	u32 max;
};

static struct kvm_coalesced_mmio_ring *ring_of(struct vcpu *vcpu)
{
	return (void *)vcpu->run + KVM_COALESCED_MMIO_PAGE_OFFSET * PAGE;
}

FIXTURE_SETUP(coalesced)
{
	self->vm = vm_create();
	self->vcpu = vcpu_create(self->vm, 0, guest_write_many);
	self->max = (PAGE - sizeof(*self->ring)) / sizeof(struct kvm_coalesced_mmio);
	self->ring = NULL;
	if (vm_ioctl(self->vm, KVM_CHECK_EXTENSION, KVM_CAP_COALESCED_MMIO) ==
	    KVM_COALESCED_MMIO_PAGE_OFFSET)
		self->ring = ring_of(self->vcpu);
}

FIXTURE_TEARDOWN(coalesced)
{
	vcpu_free(self->vcpu);
	vm_free(self->vm);
}

static int zone(struct vm *vm, unsigned long request, u64 addr, u32 size, u32 pio)
{
	struct kvm_coalesced_mmio_zone z = { .addr = addr, .size = size, .pio = pio };

	return __vm_ioctl(vm, request, &z);
}

#define add(vm, addr, size) zone(vm, KVM_REGISTER_COALESCED_MMIO, addr, size, 0)
#define del(vm, addr, size) zone(vm, KVM_UNREGISTER_COALESCED_MMIO, addr, size, 0)

static int mmio(struct vcpu *vcpu, int size, u64 addr, u64 value, int count)
{
	GUEST_VAR(vcpu->vm, guest_port) = 0;
	GUEST_VAR(vcpu->vm, guest_size) = size;
	GUEST_VAR(vcpu->vm, guest_addr) = addr;
	GUEST_VAR(vcpu->vm, guest_value) = value;
	GUEST_VAR(vcpu->vm, guest_count) = count;
	return vcpu_next(vcpu);
}

TEST_F(coalesced, writes_wait_in_the_ring)
{
	u32 i;

	REQUIRE(self->ring);
	EXPECT_EQ(3 * PAGE, self->vm->run_size);
	ASSERT_EQ(0, add(self->vm, ZONE, 0x100));
	EXPECT_EQ(GUEST_SYNC, mmio(self->vcpu, 4, ZONE + 0xfc, 100, 3));
	EXPECT_EQ(GUEST_SYNC, mmio(self->vcpu, 8, ZONE, 0x1122334455667788, 1));
	EXPECT_EQ(0, self->ring->first);
	ASSERT_EQ(4, self->ring->last);
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(ZONE + 0xfc, self->ring->coalesced_mmio[i].phys_addr);
		EXPECT_EQ(4, self->ring->coalesced_mmio[i].len);
		EXPECT_EQ(0, self->ring->coalesced_mmio[i].pio);
		EXPECT_EQ(100 + i, *(u32 *)self->ring->coalesced_mmio[i].data);
	}
	EXPECT_EQ(8, self->ring->coalesced_mmio[3].len);
	EXPECT_EQ(0x1122334455667788, *(u64 *)self->ring->coalesced_mmio[3].data);
}

TEST_F(coalesced, only_what_lies_wholly_inside)
{
	REQUIRE(self->ring);
	ASSERT_EQ(0, add(self->vm, ZONE + 8, 8));
	EXPECT_EQ(KVM_EXIT_MMIO, mmio(self->vcpu, 4, ZONE + 4, 1, 1));
	vcpu_sync(self->vcpu);
	EXPECT_EQ(KVM_EXIT_MMIO, mmio(self->vcpu, 8, ZONE + 12, 1, 1));
	vcpu_sync(self->vcpu);
	EXPECT_EQ(KVM_EXIT_MMIO, mmio(self->vcpu, 4, ZONE + 16, 1, 1));
	vcpu_sync(self->vcpu);
	EXPECT_EQ(0, self->ring->last);
	EXPECT_EQ(GUEST_SYNC, mmio(self->vcpu, 8, ZONE + 8, 1, 1));
	EXPECT_EQ(GUEST_SYNC, mmio(self->vcpu, 4, ZONE + 12, 1, 1));
	EXPECT_EQ(2, self->ring->last);
}

TEST_F(coalesced, a_full_ring_exits)
{
	REQUIRE(self->ring);
	ASSERT_EQ(0, add(self->vm, ZONE, 0x100));
	EXPECT_EQ(KVM_EXIT_MMIO, mmio(self->vcpu, 4, ZONE, 0, self->max));
	EXPECT_GT(self->max, self->ring->last);
	EXPECT_EQ(self->ring->last, *(u32 *)self->vcpu->run->mmio.data);
	/* KVM finds it full at half, for its indices wrap at no power of two. */
	if (!dev_is_keel())
		return;
	EXPECT_EQ(self->max - 1, self->ring->last);
	vcpu_sync(self->vcpu);
	/* What is taken out makes room, and the ring closes. */
	self->ring->first = 5;
	EXPECT_EQ(GUEST_SYNC, mmio(self->vcpu, 4, ZONE, 1000, 5));
	EXPECT_EQ(4, self->ring->last);
	EXPECT_EQ(1004, *(u32 *)self->ring->coalesced_mmio[3].data);
	EXPECT_EQ(KVM_EXIT_MMIO, mmio(self->vcpu, 4, ZONE, 0, 1));
}

TEST_F(coalesced, a_spoilt_ring_exits)
{
	REQUIRE(self->ring);
	ASSERT_EQ(0, add(self->vm, ZONE, 0x100));
	self->ring->last = self->max;
	EXPECT_EQ(KVM_EXIT_MMIO, mmio(self->vcpu, 4, ZONE, 0, 1));
	vcpu_sync(self->vcpu);
	self->ring->last = ~0u;
	EXPECT_EQ(KVM_EXIT_MMIO, mmio(self->vcpu, 4, ZONE, 0, 1));
	vcpu_sync(self->vcpu);
	self->ring->last = 0;
	self->ring->first = 0;
	EXPECT_EQ(GUEST_SYNC, mmio(self->vcpu, 4, ZONE, 0, 1));
}

TEST_F(coalesced, reads_always_exit)
{
	REQUIRE(self->ring);
	ASSERT_EQ(0, add(self->vm, ZONE, 0x100));
	EXPECT_EQ(GUEST_SYNC, mmio(self->vcpu, 4, ZONE, 0, 1));
	EXPECT_EQ(1, self->ring->last);
	/* Outside the zone nothing has changed. */
	EXPECT_EQ(KVM_EXIT_MMIO, mmio(self->vcpu, 4, ZONE + 0x100, 0, 1));
}

TEST_F(coalesced, ports)
{
	struct vm *vm = self->vm;

	REQUIRE(self->ring);
	REQUIRE(vm_has(vm, KVM_CAP_COALESCED_PIO));
	ASSERT_EQ(0, zone(vm, KVM_REGISTER_COALESCED_MMIO, PORT, 1, 1));
	GUEST_VAR(vm, guest_port) = PORT;
	GUEST_VAR(vm, guest_value) = 0x41;
	GUEST_VAR(vm, guest_count) = 2;
	EXPECT_EQ(GUEST_SYNC, vcpu_next(self->vcpu));
	ASSERT_EQ(2, self->ring->last);
	EXPECT_EQ(PORT, self->ring->coalesced_mmio[1].phys_addr);
	EXPECT_EQ(1, self->ring->coalesced_mmio[1].pio);
	EXPECT_EQ(1, self->ring->coalesced_mmio[1].len);
	EXPECT_EQ(0x42, self->ring->coalesced_mmio[1].data[0]);
	/* The buses are told apart. */
	EXPECT_EQ(0, del(vm, PORT, 1));
	EXPECT_EQ(GUEST_SYNC, vcpu_next(self->vcpu));
	EXPECT_EQ(0, zone(vm, KVM_UNREGISTER_COALESCED_MMIO, PORT, 1, 1));
	EXPECT_EQ(KVM_EXIT_IO, vcpu_next(self->vcpu));
}

TEST_F(coalesced, zones_come_and_go)
{
	struct vm *vm = self->vm;

	REQUIRE(self->ring);
	EXPECT_EQ(0, del(vm, ZONE, 4));
	ASSERT_EQ(0, add(vm, ZONE, 8));
	ASSERT_EQ(0, add(vm, ZONE + 0x10, 8));
	EXPECT_EQ(GUEST_SYNC, mmio(self->vcpu, 4, ZONE, 0, 1));
	EXPECT_EQ(GUEST_SYNC, mmio(self->vcpu, 4, ZONE + 0x10, 0, 1));
	/* More than the zone covers does not mean it; a part of it does. */
	EXPECT_EQ(0, del(vm, ZONE, 16));
	EXPECT_EQ(GUEST_SYNC, mmio(self->vcpu, 4, ZONE, 0, 1));
	EXPECT_EQ(0, del(vm, ZONE + 4, 4));
	EXPECT_EQ(KVM_EXIT_MMIO, mmio(self->vcpu, 4, ZONE, 0, 1));
	vcpu_sync(self->vcpu);
	EXPECT_EQ(GUEST_SYNC, mmio(self->vcpu, 4, ZONE + 0x10, 0, 1));
	EXPECT_EQ(0, del(vm, ZONE + 0x10, 8));
	EXPECT_EQ(KVM_EXIT_MMIO, mmio(self->vcpu, 4, ZONE + 0x10, 0, 1));
	EXPECT_EQ(4, self->ring->last);
}

TEST_F(coalesced, refuses_what_makes_no_sense)
{
	REQUIRE(self->ring);
	EXPECT_EQ(-EINVAL, zone(self->vm, KVM_REGISTER_COALESCED_MMIO, ZONE, 4, 2));
	EXPECT_EQ(-EINVAL, zone(self->vm, KVM_UNREGISTER_COALESCED_MMIO, ZONE, 4, ~0u));
	EXPECT_EQ(-EFAULT, __vm_ioctl(self->vm, KVM_REGISTER_COALESCED_MMIO, NULL));
	EXPECT_EQ(-EFAULT, __vm_ioctl(self->vm, KVM_UNREGISTER_COALESCED_MMIO, NULL));
}

TEST_F(coalesced, vcpus_share_one_ring)
{
	struct vcpu *other;

	REQUIRE(self->ring);
	other = vcpu_create(self->vm, 1, guest_write_many);
	ASSERT_EQ(0, add(self->vm, ZONE, 0x100));
	EXPECT_EQ(GUEST_SYNC, mmio(self->vcpu, 4, ZONE, 1, 1));
	EXPECT_EQ(GUEST_SYNC, mmio(other, 4, ZONE, 2, 1));
	EXPECT_EQ(2, ring_of(other)->last);
	EXPECT_EQ(2, *(u32 *)self->ring->coalesced_mmio[1].data);
	vcpu_free(other);
}

/* There is an end to the number of zones. */
TEST_F(coalesced, too_many_zones_are_enospc)
{
	int i, err = 0;

	REQUIRE(self->ring);
	for (i = 0; i < 1100 && !err; i++)
		err = add(self->vm, ZONE + 8 * i, 8);
	EXPECT_EQ(-ENOSPC, err);
	EXPECT_LE(900, i);
	EXPECT_EQ(0, del(self->vm, ZONE, 8));
	EXPECT_EQ(0, add(self->vm, ZONE, 8));
}

KEEL_TEST_MAIN
