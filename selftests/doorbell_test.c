// SPDX-License-Identifier: GPL-2.0
/*
 * Doorbells (KVM_IOEVENTFD): which writes of the guest signal an eventfd in
 * place of an exit, which do not, and what may be registered. That other I/O
 * is not touched is said by the tests of I/O.
 */
#include <poll.h>
#include <sys/eventfd.h>
#include "kselftest_harness.h"
#include "keel_test.h"
#include "guest.h"

#define BELL	(MMIO_GPA + 0x100)
#define PORT	0x510

#define PIO		KVM_IOEVENTFD_FLAG_PIO
#define MATCH		KVM_IOEVENTFD_FLAG_DATAMATCH
#define DEASSIGN	KVM_IOEVENTFD_FLAG_DEASSIGN

static u64 guest_addr, guest_value;
static int guest_size, guest_port;

static void out(int size, uint16_t port, uint32_t value)
{
	if (size == 1)
		asm volatile("outb %%al, %%dx" : : "a"(value), "d"(port));
	else if (size == 2)
		asm volatile("outw %%ax, %%dx" : : "a"(value), "d"(port));
	else
		asm volatile("outl %%eax, %%dx" : : "a"(value), "d"(port));
}

static void write_mmio(int size, uint64_t addr, uint64_t value)
{
	if (size == 1)
		guest_write8(addr, value);
	else if (size == 2)
		guest_write16(addr, value);
	else if (size == 4)
		guest_write32(addr, value);
	else
		guest_write64(addr, value);
}

/* One write after the other. */
static void guest_write_one(void)
{
	for (;;) {
		if (guest_port)
			out(guest_size, guest_port, guest_value);
		else
			write_mmio(guest_size, guest_addr, guest_value);
		guest_sync(0);
	}
}

FIXTURE(doorbell) {
	struct vm *vm;
	struct vcpu *vcpu;
	int fd;
};

FIXTURE_SETUP(doorbell)
{
	self->vm = vm_create();
	self->vcpu = vcpu_create(self->vm, 0, guest_write_one);
	self->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
}

FIXTURE_TEARDOWN(doorbell)
{
	close(self->fd);
	vcpu_free(self->vcpu);
	vm_free(self->vm);
}

static int bell(struct vm *vm, int fd, u64 addr, u32 len, u32 flags, u64 value)
{
	struct kvm_ioeventfd e = {
		.fd = fd, .addr = addr, .len = len, .flags = flags, .datamatch = value,
	};

	return __vm_ioctl(vm, KVM_IOEVENTFD, &e);
}

/* How often it has rung since last asked. */
static u64 rung(int fd)
{
	u64 n = 0;

	if (read(fd, &n, sizeof(n)) != sizeof(n))
		return 0;
	return n;
}

/* Let the guest write; the exit that it makes, or GUEST_SYNC if none. */
static int mmio(struct vcpu *vcpu, int size, u64 addr, u64 value)
{
	int reason;

	GUEST_VAR(vcpu->vm, guest_port) = 0;
	GUEST_VAR(vcpu->vm, guest_size) = size;
	GUEST_VAR(vcpu->vm, guest_addr) = addr;
	GUEST_VAR(vcpu->vm, guest_value) = value;
	reason = vcpu_next(vcpu);
	if (reason != GUEST_SYNC)
		vcpu_sync(vcpu);
	return reason;
}

static int pio(struct vcpu *vcpu, int size, u16 port, u32 value)
{
	int reason;

	GUEST_VAR(vcpu->vm, guest_port) = port;
	GUEST_VAR(vcpu->vm, guest_size) = size;
	GUEST_VAR(vcpu->vm, guest_value) = value;
	reason = vcpu_next(vcpu);
	if (reason != GUEST_SYNC)
		vcpu_sync(vcpu);
	return reason;
}

TEST_F(doorbell, mmio_rings_in_place_of_an_exit)
{
	static const int size[] = { 1, 2, 4, 8 };
	int i;

	for (i = 0; i < 4; i++) {
		ASSERT_EQ(0, bell(self->vm, self->fd, BELL, size[i], 0, 0));
		EXPECT_EQ(GUEST_SYNC, mmio(self->vcpu, size[i], BELL, 0x1234));
		EXPECT_EQ(1, rung(self->fd));
		/* Another length, another address. */
		EXPECT_EQ(KVM_EXIT_MMIO, mmio(self->vcpu, size[(i + 1) % 4], BELL, 0x1234));
		EXPECT_EQ(KVM_EXIT_MMIO, mmio(self->vcpu, size[i], BELL + 8, 0x1234));
		EXPECT_EQ(KVM_EXIT_MMIO, mmio(self->vcpu, size[i], BELL - 8, 0x1234));
		EXPECT_EQ(0, rung(self->fd));
		ASSERT_EQ(0, bell(self->vm, self->fd, BELL, size[i], DEASSIGN, 0));
		EXPECT_EQ(KVM_EXIT_MMIO, mmio(self->vcpu, size[i], BELL, 0x1234));
		EXPECT_EQ(0, rung(self->fd));
	}
}

TEST_F(doorbell, ports_ring_in_place_of_an_exit)
{
	static const int size[] = { 1, 2, 4 };
	int i;

	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, bell(self->vm, self->fd, PORT, size[i], PIO, 0));
		EXPECT_EQ(GUEST_SYNC, pio(self->vcpu, size[i], PORT, 7));
		EXPECT_EQ(1, rung(self->fd));
		EXPECT_EQ(KVM_EXIT_IO, pio(self->vcpu, size[(i + 1) % 3], PORT, 7));
		EXPECT_EQ(KVM_EXIT_IO, pio(self->vcpu, size[i], PORT + 1, 7));
		/* The other bus has the same addresses. */
		EXPECT_EQ(0, rung(self->fd));
		ASSERT_EQ(0, bell(self->vm, self->fd, PORT, size[i], PIO | DEASSIGN, 0));
		EXPECT_EQ(KVM_EXIT_IO, pio(self->vcpu, size[i], PORT, 7));
	}
}

TEST_F(doorbell, any_length)
{
	REQUIRE(vm_has(self->vm, KVM_CAP_IOEVENTFD_ANY_LENGTH));
	ASSERT_EQ(0, bell(self->vm, self->fd, BELL, 0, 0, 0));
	EXPECT_EQ(GUEST_SYNC, mmio(self->vcpu, 1, BELL, 1));
	EXPECT_EQ(GUEST_SYNC, mmio(self->vcpu, 2, BELL, 2));
	EXPECT_EQ(GUEST_SYNC, mmio(self->vcpu, 4, BELL, 3));
	EXPECT_EQ(GUEST_SYNC, mmio(self->vcpu, 8, BELL, 4));
	EXPECT_EQ(4, rung(self->fd));
	EXPECT_EQ(KVM_EXIT_MMIO, mmio(self->vcpu, 1, BELL + 1, 1));
	ASSERT_EQ(0, bell(self->vm, self->fd, PORT, 0, PIO, 0));
	EXPECT_EQ(GUEST_SYNC, pio(self->vcpu, 1, PORT, 1));
	EXPECT_EQ(GUEST_SYNC, pio(self->vcpu, 4, PORT, 1));
	EXPECT_EQ(2, rung(self->fd));
}

TEST_F(doorbell, value_must_match)
{
	int other = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

	ASSERT_EQ(0, bell(self->vm, self->fd, BELL, 4, MATCH, 3));
	ASSERT_EQ(0, bell(self->vm, other, BELL, 4, MATCH, 0xfffffffe));
	EXPECT_EQ(GUEST_SYNC, mmio(self->vcpu, 4, BELL, 3));
	EXPECT_EQ(1, rung(self->fd));
	EXPECT_EQ(0, rung(other));
	EXPECT_EQ(GUEST_SYNC, mmio(self->vcpu, 4, BELL, 0xfffffffe));
	EXPECT_EQ(0, rung(self->fd));
	EXPECT_EQ(1, rung(other));
	EXPECT_EQ(KVM_EXIT_MMIO, mmio(self->vcpu, 4, BELL, 4));
	EXPECT_EQ(KVM_EXIT_MMIO, mmio(self->vcpu, 1, BELL, 3));
	ASSERT_EQ(0, bell(self->vm, self->fd, BELL + 16, 8, MATCH, 0x100000003));
	EXPECT_EQ(KVM_EXIT_MMIO, mmio(self->vcpu, 8, BELL + 16, 3));
	EXPECT_EQ(GUEST_SYNC, mmio(self->vcpu, 8, BELL + 16, 0x100000003));
	EXPECT_EQ(1, rung(self->fd));
	ASSERT_EQ(0, bell(self->vm, self->fd, PORT, 1, PIO | MATCH, 0x80));
	EXPECT_EQ(GUEST_SYNC, pio(self->vcpu, 1, PORT, 0x80));
	EXPECT_EQ(1, rung(self->fd));
	EXPECT_EQ(KVM_EXIT_IO, pio(self->vcpu, 1, PORT, 0x81));
	close(other);
}

TEST_F(doorbell, what_would_ring_two_is_eexist)
{
	int other = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

	ASSERT_EQ(0, bell(self->vm, self->fd, BELL, 4, 0, 0));
	EXPECT_EQ(-EEXIST, bell(self->vm, self->fd, BELL, 4, 0, 0));
	EXPECT_EQ(-EEXIST, bell(self->vm, other, BELL, 4, 0, 0));
	EXPECT_EQ(-EEXIST, bell(self->vm, other, BELL, 4, MATCH, 1));
	EXPECT_EQ(-EEXIST, bell(self->vm, other, BELL, 0, 0, 0));
	EXPECT_EQ(0, bell(self->vm, other, BELL, 2, 0, 0));
	EXPECT_EQ(0, bell(self->vm, other, BELL, 4, PIO, 0));
	EXPECT_EQ(0, bell(self->vm, other, BELL + 4, 4, MATCH, 1));
	EXPECT_EQ(0, bell(self->vm, other, BELL + 4, 4, MATCH, 2));
	EXPECT_EQ(-EEXIST, bell(self->vm, self->fd, BELL + 4, 4, MATCH, 2));
	EXPECT_EQ(-EEXIST, bell(self->vm, self->fd, BELL + 4, 4, 0, 0));
	close(other);
}

TEST_F(doorbell, refuses_what_makes_no_sense)
{
	struct vm *vm = self->vm;
	u32 len;

	for (len = 0; len < 20; len++)
		if (len & (len - 1) || len > 8)
			EXPECT_EQ(-EINVAL, bell(vm, self->fd, BELL, len, 0, 0));
	EXPECT_EQ(-EINVAL, bell(vm, self->fd, BELL, ~0u, 0, 0));
	EXPECT_EQ(-EINVAL, bell(vm, self->fd, -2UL, 4, 0, 0));
	EXPECT_EQ(-EINVAL, bell(vm, self->fd, BELL, 4, 1 << 5, 0));
	EXPECT_EQ(-EINVAL, bell(vm, self->fd, BELL, 4, 1u << 31, 0));
	EXPECT_EQ(-EINVAL, bell(vm, self->fd, BELL, 0, MATCH, 0));
	EXPECT_EQ(-EBADF, bell(vm, -1, BELL, 4, 0, 0));
	EXPECT_EQ(-EINVAL, bell(vm, vm->fd, BELL, 4, 0, 0));
	EXPECT_EQ(-EFAULT, __vm_ioctl(vm, KVM_IOEVENTFD, NULL));
}

TEST_F(doorbell, only_the_very_same_is_taken_away)
{
	int other = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	struct vm *vm = self->vm;

	EXPECT_EQ(-ENOENT, bell(vm, self->fd, BELL, 4, DEASSIGN, 0));
	ASSERT_EQ(0, bell(vm, self->fd, BELL, 4, MATCH, 5));
	EXPECT_EQ(-ENOENT, bell(vm, other, BELL, 4, MATCH | DEASSIGN, 5));
	EXPECT_EQ(-ENOENT, bell(vm, self->fd, BELL, 2, MATCH | DEASSIGN, 5));
	EXPECT_EQ(-ENOENT, bell(vm, self->fd, BELL + 4, 4, MATCH | DEASSIGN, 5));
	EXPECT_EQ(-ENOENT, bell(vm, self->fd, BELL, 4, MATCH | DEASSIGN, 6));
	EXPECT_EQ(-ENOENT, bell(vm, self->fd, BELL, 4, DEASSIGN, 5));
	EXPECT_EQ(-ENOENT, bell(vm, self->fd, BELL, 4, PIO | MATCH | DEASSIGN, 5));
	EXPECT_EQ(-EBADF, bell(vm, -1, BELL, 4, MATCH | DEASSIGN, 5));
	EXPECT_EQ(0, bell(vm, self->fd, BELL, 4, MATCH | DEASSIGN, 5));
	EXPECT_EQ(-ENOENT, bell(vm, self->fd, BELL, 4, MATCH | DEASSIGN, 5));
	close(other);
}

TEST_F(doorbell, hundreds_are_told_apart)
{
	int i, fd[8];

	for (i = 0; i < 8; i++)
		fd[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	/* Not in order of address. */
	for (i = 0; i < 300; i++)
		ASSERT_EQ(0, bell(self->vm, fd[i % 8], MMIO_GPA + i * 7 % 300 * 16, 4, 0, 0));
	for (i = 0; i < 300; i += 23) {
		EXPECT_EQ(GUEST_SYNC, mmio(self->vcpu, 4, MMIO_GPA + i * 7 % 300 * 16, 1));
		EXPECT_EQ(1, rung(fd[i % 8]));
	}
	for (i = 0; i < 300; i += 2)
		ASSERT_EQ(0, bell(self->vm, fd[i % 8], MMIO_GPA + i * 7 % 300 * 16, 4, DEASSIGN,
				  0));
	EXPECT_EQ(KVM_EXIT_MMIO, mmio(self->vcpu, 4, MMIO_GPA + 2 * 7 * 16, 1));
	EXPECT_EQ(GUEST_SYNC, mmio(self->vcpu, 4, MMIO_GPA + 3 * 7 * 16, 1));
	EXPECT_EQ(1, rung(fd[3]));
	for (i = 0; i < 8; i++) {
		EXPECT_EQ(0, rung(fd[i]));
		close(fd[i]);
	}
}

/* The VM holds on to the eventfd by itself. */
TEST_F(doorbell, outlives_the_descriptor)
{
	int copy = dup(self->fd);

	ASSERT_EQ(0, bell(self->vm, copy, BELL, 4, 0, 0));
	close(copy);
	EXPECT_EQ(GUEST_SYNC, mmio(self->vcpu, 4, BELL, 1));
	EXPECT_EQ(1, rung(self->fd));
}

/* RAM that comes to lie there is RAM. */
TEST_F(doorbell, memory_wins)
{
	void *mem = anon_alloc(PAGE);

	ASSERT_EQ(0, bell(self->vm, self->fd, BELL, 4, 0, 0));
	EXPECT_EQ(GUEST_SYNC, mmio(self->vcpu, 4, BELL, 1));
	EXPECT_EQ(1, rung(self->fd));
	vm_set_slot(self->vm, 5, 0, MMIO_GPA, PAGE, mem);
	EXPECT_EQ(GUEST_SYNC, mmio(self->vcpu, 4, BELL, 0x77));
	EXPECT_EQ(0, rung(self->fd));
	EXPECT_EQ(0x77, *(u32 *)(mem + 0x100));
	vm_set_slot(self->vm, 5, 0, MMIO_GPA, 0, mem);
	EXPECT_EQ(GUEST_SYNC, mmio(self->vcpu, 4, BELL, 1));
	EXPECT_EQ(1, rung(self->fd));
}

static volatile u8 guest_string[4] = { 1, 2, 1, 2 };

static void guest_outs(void)
{
	for (;;) {
		asm volatile("mov %0, %%rsi; mov $4, %%ecx; cld; rep outsb"
			     : : "r"(guest_string), "d"(PORT) : "rsi", "rcx", "memory");
		guest_sync(0);
	}
}

/* Each element goes its own way. */
TEST_F(doorbell, string_output)
{
	int i;

	vcpu_set_long(self->vcpu, guest_outs);
	ASSERT_EQ(0, bell(self->vm, self->fd, PORT, 1, PIO | MATCH, 2));
	for (i = 0; i < 2; i++) {
		EXPECT_EQ(KVM_EXIT_IO, vcpu_next(self->vcpu));
		EXPECT_EQ(1, self->vcpu->run->io.count);
		EXPECT_EQ(1, *((u8 *)self->vcpu->run + self->vcpu->run->io.data_offset));
	}
	EXPECT_EQ(GUEST_SYNC, vcpu_next(self->vcpu));
	EXPECT_EQ(2, rung(self->fd));
}

static void guest_outs_of_device(void)
{
	for (;;) {
		asm volatile("cld; outsb" : : "S"(MMIO_GPA), "d"(PORT) : "memory");
		guest_sync(0);
	}
}

/* What is read from a device on the way to the port rings as well. */
TEST_F(doorbell, string_output_from_mmio)
{
	vcpu_set_long(self->vcpu, guest_outs_of_device);
	ASSERT_EQ(0, bell(self->vm, self->fd, PORT, 1, PIO | MATCH, 2));
	/* The same address on the other bus is another one. */
	ASSERT_EQ(0, bell(self->vm, self->fd, PORT, 1, 0, 0));
	EXPECT_EQ(KVM_EXIT_MMIO, vcpu_next(self->vcpu));
	self->vcpu->run->mmio.data[0] = 2;
	EXPECT_EQ(GUEST_SYNC, vcpu_next(self->vcpu));
	EXPECT_EQ(1, rung(self->fd));
	EXPECT_EQ(KVM_EXIT_MMIO, vcpu_next(self->vcpu));
	self->vcpu->run->mmio.data[0] = 3;
	EXPECT_EQ(KVM_EXIT_IO, vcpu_next(self->vcpu));
	EXPECT_EQ(3, *((u8 *)self->vcpu->run + self->vcpu->run->io.data_offset));
	EXPECT_EQ(0, rung(self->fd));
}

KEEL_TEST_MAIN
