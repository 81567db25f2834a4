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
#include "control.h"
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
static int write_one(struct vcpu *vcpu, int size, u64 addr, int port, u64 value)
{
	int reason;

	GUEST_VAR(vcpu->vm, guest_port) = port;
	GUEST_VAR(vcpu->vm, guest_size) = size;
	GUEST_VAR(vcpu->vm, guest_addr) = addr;
	GUEST_VAR(vcpu->vm, guest_value) = value;
	reason = vcpu_next(vcpu);
	if (reason != GUEST_SYNC)
		vcpu_sync(vcpu);
	return reason;
}

static int mmio(struct vcpu *vcpu, int size, u64 addr, u64 value)
{
	return write_one(vcpu, size, addr, 0, value);
}

static int pio(struct vcpu *vcpu, int size, u16 port, u32 value)
{
	return write_one(vcpu, size, 0, port, value);
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

/* --- any length, over and over: no emulation ----------------------------- */

#define DB_VECTOR	1
#define IRQ_VECTOR	0x40
#define DR6_BS		(1 << 14)

/* Any instruction, always at the same place; it finds an address in RDX and a value in RAX. */
static u8 guest_code[16] = { 0xc3 };

static void guest_call_code(void)
{
	u64 value;

	for (;;) {
		value = guest_value;
		asm volatile("call *%2" : "+a"(value) : "d"(guest_addr), "r"(guest_code)
			     : "rcx", "rdi", "memory", "cc");
		guest_sync(value);
	}
}

static int call(struct vcpu *vcpu, const char *code, u64 addr, u64 value)
{
	u8 *to = GUEST_VAR(vcpu->vm, guest_code);

	to[strlen(code)] = 0xc3;
	memcpy(to, code, strlen(code));
	GUEST_VAR(vcpu->vm, guest_addr) = addr;
	GUEST_VAR(vcpu->vm, guest_value) = value;
	return vcpu_next(vcpu);
}

#define STORE	"\x89\x02"		/* mov %eax, (%rdx) */
#define STORE8	"\x48\x89\x02"		/* mov %rax, (%rdx) */
#define LOAD	"\x8b\x02"		/* mov (%rdx), %eax */
#define XCHG	"\x87\x02"		/* xchg %eax, (%rdx) */
#define STOS2	"\x48\x89\xd7\x6a\x02\x59\xf3\xab"	/* rep stosl at (%rdx), twice */

/* The field that says how long the instruction was is not always there: see store.c. */
static bool has_lengths(void)
{
	bool bare = true;
	char line[4096];
	FILE *f = fopen("/proc/cpuinfo", "r");

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, "flags", 5))
			bare = !strstr(line, " hypervisor");
	if (f)
		fclose(f);
	return bare;
}

TEST_F(doorbell, any_length_is_not_emulated_each_time)
{
	u64 emulated;
	int i;

	REQUIRE(counter_find(self->vcpu->fd, "emulated", &emulated));
	REQUIRE(has_lengths());
	vcpu_set_long(self->vcpu, guest_call_code);
	/* An entry that says MMIO is there already. */
	EXPECT_EQ(KVM_EXIT_MMIO, call(self->vcpu, STORE, BELL + 8, 1));
	vcpu_sync(self->vcpu);
	ASSERT_EQ(0, bell(self->vm, self->fd, BELL, 0, 0, 0));
	for (i = 0; i < 2; i++)
		EXPECT_EQ(GUEST_SYNC, call(self->vcpu, STORE, BELL, i));
	emulated = counter(self->vcpu->fd, "emulated");
	for (i = 0; i < 100; i++)
		EXPECT_EQ(GUEST_SYNC, call(self->vcpu, STORE, BELL, i));
	EXPECT_EQ(emulated, counter(self->vcpu->fd, "emulated"));
	EXPECT_EQ(102, rung(self->fd));
	/* Its neighbours are MMIO as before, and do not stop it. */
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(KVM_EXIT_MMIO, call(self->vcpu, STORE, BELL + 4, i));
		EXPECT_EQ(BELL + 4, self->vcpu->run->mmio.phys_addr);
		EXPECT_EQ(i, *(u32 *)self->vcpu->run->mmio.data);
		vcpu_sync(self->vcpu);
		EXPECT_EQ(GUEST_SYNC, call(self->vcpu, STORE, BELL, i));
	}
	EXPECT_EQ(3, rung(self->fd));
	ASSERT_EQ(0, bell(self->vm, self->fd, BELL, 0, DEASSIGN, 0));
	EXPECT_EQ(KVM_EXIT_MMIO, call(self->vcpu, STORE, BELL, 1));
	vcpu_sync(self->vcpu);
	EXPECT_EQ(0, rung(self->fd));
}

/* Upstream takes every access for a write. */
TEST_F(doorbell, any_length_is_rung_by_writes_only)
{
	struct kvm_run *run = self->vcpu->run;
	int i;

	REQUIRE(dev_is_keel());
	ASSERT_EQ(0, bell(self->vm, self->fd, BELL, 0, 0, 0));
	vcpu_set_long(self->vcpu, guest_call_code);
	for (i = 0; i < 4; i++) {
		EXPECT_EQ(GUEST_SYNC, call(self->vcpu, STORE, BELL, i));
		EXPECT_EQ(1, rung(self->fd));
		EXPECT_EQ(KVM_EXIT_MMIO, call(self->vcpu, LOAD, BELL, i));
		EXPECT_EQ(0, run->mmio.is_write);
		*(u32 *)run->mmio.data = 0x77;
		EXPECT_EQ(0x77, vcpu_sync(self->vcpu));
		EXPECT_EQ(0, rung(self->fd));
	}
}

/* What does more than write is done as a whole. */
TEST_F(doorbell, any_length_and_other_instructions)
{
	struct kvm_run *run = self->vcpu->run;
	int i;

	REQUIRE(dev_is_keel());
	ASSERT_EQ(0, bell(self->vm, self->fd, BELL, 0, 0, 0));
	vcpu_set_long(self->vcpu, guest_call_code);
	for (i = 0; i < 4; i++) {
		EXPECT_EQ(KVM_EXIT_MMIO, call(self->vcpu, XCHG, BELL, 0x55));
		EXPECT_EQ(0, run->mmio.is_write);
		*(u32 *)run->mmio.data = 0x66;
		EXPECT_EQ(0x66, vcpu_sync(self->vcpu));
		EXPECT_EQ(1, rung(self->fd));
	}
	/* As long as the store, and to the same place; the second element goes to the next. */
	for (i = 0; i < 4; i++) {
		EXPECT_EQ(GUEST_SYNC, call(self->vcpu, STORE, BELL, 1));
		EXPECT_EQ(1, rung(self->fd));
		EXPECT_EQ(KVM_EXIT_MMIO, call(self->vcpu, STOS2, BELL, 1));
		EXPECT_EQ(BELL + 4, run->mmio.phys_addr);
		EXPECT_EQ(1, rung(self->fd));
		vcpu_sync(self->vcpu);
	}
}

/* Part of the write goes elsewhere, though the fault is at the doorbell. */
TEST_F(doorbell, any_length_and_writes_across_pages)
{
	u64 page = MMIO_GPA + PAGE, end = page + PAGE;
	u8 *mem = anon_alloc(PAGE);
	int i;

	REQUIRE(dev_is_keel());
	vm_set_slot(self->vm, 5, 0, MMIO_GPA, PAGE, mem);
	ASSERT_EQ(0, bell(self->vm, self->fd, page, 0, 0, 0));
	ASSERT_EQ(0, bell(self->vm, self->fd, end - 4, 0, 0, 0));
	vcpu_set_long(self->vcpu, guest_call_code);
	for (i = 1; i < 5; i++) {
		EXPECT_EQ(GUEST_SYNC, call(self->vcpu, STORE8, page, i));
		EXPECT_EQ(1, rung(self->fd));
		EXPECT_EQ(GUEST_SYNC, call(self->vcpu, STORE8, page - 4, i));
		EXPECT_EQ(1, rung(self->fd));
		EXPECT_EQ(i, *(u32 *)(mem + PAGE - 4));
		EXPECT_EQ(KVM_EXIT_MMIO, call(self->vcpu, STORE8, end - 4, (u64)i << 32));
		EXPECT_EQ(1, rung(self->fd));
		EXPECT_EQ(end, self->vcpu->run->mmio.phys_addr);
		EXPECT_EQ(i, *(u32 *)self->vcpu->run->mmio.data);
		vcpu_sync(self->vcpu);
	}
	munmap(mem, PAGE);
}

TEST_F(doorbell, any_length_and_memory_that_comes_and_goes)
{
	void *mem = anon_alloc(PAGE);
	int i;

	ASSERT_EQ(0, bell(self->vm, self->fd, BELL, 0, 0, 0));
	vcpu_set_long(self->vcpu, guest_call_code);
	for (i = 0; i < 4; i++) {
		EXPECT_EQ(GUEST_SYNC, call(self->vcpu, STORE, BELL, 1));
		EXPECT_EQ(GUEST_SYNC, call(self->vcpu, STORE, BELL, 1));
		EXPECT_EQ(2, rung(self->fd));
		vm_set_slot(self->vm, 5, 0, MMIO_GPA, PAGE, mem);
		EXPECT_EQ(GUEST_SYNC, call(self->vcpu, STORE, BELL, 0x70 + i));
		EXPECT_EQ(0x70 + i, *(u32 *)(mem + 0x100));
		EXPECT_EQ(0, rung(self->fd));
		vm_set_slot(self->vm, 5, 0, MMIO_GPA, 0, mem);
	}
	/* A write to read-only memory rings, as it is MMIO; a read is none. */
	vm_set_slot(self->vm, 5, KVM_MEM_READONLY, MMIO_GPA, PAGE, mem);
	for (i = 0; i < 4; i++) {
		EXPECT_EQ(GUEST_SYNC, call(self->vcpu, STORE, BELL, 1));
		EXPECT_EQ(1, rung(self->fd));
		EXPECT_EQ(GUEST_SYNC, call(self->vcpu, LOAD, BELL, 1));
		EXPECT_EQ(0x73, self->vcpu->arg[0]);
		EXPECT_EQ(0, rung(self->fd));
	}
	munmap(mem, PAGE);
}

/* --- any length, and what else an instruction's end means ---------------- */

extern const char after_store[], after_that[];
static volatile u64 trap_rip[8], trap_dr6[8];
static volatile u32 traps, flags_to_set;

static void note_trap(struct guest_trap *trap)
{
	u64 dr6;

	asm volatile("mov %%dr6, %0" : "=r"(dr6));
	asm volatile("mov %0, %%dr6" : : "r"(0UL));
	if (traps < 8) {
		trap_rip[traps] = trap->rip;
		trap_dr6[traps] = dr6;
	}
	traps++;
	/* One step or interrupt is enough; a code breakpoint is not to be met again. */
	trap->rflags &= ~(FLAG_TF | FLAG_IF);
	if (trap->vector == DB_VECTOR && !(dr6 & DR6_BS))
		trap->rflags |= FLAG_RF;
}

static void guest_store_with_flags(void)
{
	guest_handler[DB_VECTOR] = note_trap;
	guest_handler[IRQ_VECTOR] = note_trap;
	for (;;) {
		traps = 0;
		asm volatile("pushfq\n"
			     "or %1, (%%rsp)\n"
			     "popfq\n"
			     "mov %%eax, (%0)\n"
			     ".globl after_store\nafter_store: nop\n"
			     ".globl after_that\nafter_that: nop\n"
			     : : "r"(BELL), "r"((u64)flags_to_set), "a"(1) : "memory", "cc");
		guest_sync3(traps, trap_rip[0], trap_dr6[0]);
	}
}

TEST_F(doorbell, any_length_and_single_step)
{
	int i;

	ASSERT_EQ(0, bell(self->vm, self->fd, BELL, 0, 0, 0));
	vcpu_set_long(self->vcpu, guest_store_with_flags);
	GUEST_VAR(self->vm, flags_to_set) = FLAG_TF;
	for (i = 0; i < 4; i++) {
		EXPECT_EQ(1, vcpu_sync(self->vcpu));
		EXPECT_EQ((u64)after_store, self->vcpu->arg[1]);
		EXPECT_EQ(DR6_BS, self->vcpu->arg[2] & (DR6_BS | 15));
		EXPECT_EQ(1, rung(self->fd));
	}
}

static void guest_store_and_break(void)
{
	asm volatile("mov %0, %%dr0" : : "r"(after_store));
	asm volatile("mov %0, %%dr7" : : "r"(0x401UL));
	guest_store_with_flags();
}

/* RFLAGS.RF, which the exit has set, does not outlive the instruction. */
TEST_F(doorbell, any_length_and_a_breakpoint_behind_it)
{
	int i;

	ASSERT_EQ(0, bell(self->vm, self->fd, BELL, 0, 0, 0));
	vcpu_set_long(self->vcpu, guest_store_and_break);
	for (i = 0; i < 4; i++) {
		EXPECT_EQ(1, vcpu_sync(self->vcpu));
		EXPECT_EQ((u64)after_store, self->vcpu->arg[1]);
		EXPECT_EQ(1, self->vcpu->arg[2] & (DR6_BS | 15));
		EXPECT_EQ(1, rung(self->fd));
	}
}

static void guest_store_in_shadow(void)
{
	guest_handler[IRQ_VECTOR] = note_trap;
	for (;;) {
		traps = 0;
		guest_sync(0);
		asm volatile("sti\n"
			     "mov %%eax, (%0)\n"
			     ".globl after_shadow\nafter_shadow: nop\n"
			     "nop\n"
			     : : "r"(BELL), "a"(1) : "memory", "cc");
		guest_sync3(traps, trap_rip[0], 0);
	}
}

extern const char after_shadow[];

TEST_F(doorbell, any_length_ends_the_interrupt_shadow)
{
	struct kvm_interrupt irq = { .irq = IRQ_VECTOR };
	int i;

	ASSERT_EQ(0, bell(self->vm, self->fd, BELL, 0, 0, 0));
	vcpu_set_long(self->vcpu, guest_store_in_shadow);
	for (i = 0; i < 4; i++) {
		vcpu_sync(self->vcpu);
		vcpu_ioctl(self->vcpu, KVM_INTERRUPT, &irq);
		EXPECT_EQ(1, vcpu_sync(self->vcpu));
		EXPECT_EQ((u64)after_shadow, self->vcpu->arg[1]);
		EXPECT_EQ(1, rung(self->fd));
	}
}

TEST_F(doorbell, any_length_and_a_debugger_that_steps)
{
	struct kvm_guest_debug dbg = { .control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP };
	struct kvm_debug_exit_arch *arch = &self->vcpu->run->debug.arch;
	int i, n;

	ASSERT_EQ(0, bell(self->vm, self->fd, BELL, 0, 0, 0));
	vcpu_set_long(self->vcpu, guest_store_with_flags);
	vcpu_sync(self->vcpu);
	EXPECT_EQ(1, rung(self->fd));
	vcpu_ioctl(self->vcpu, KVM_SET_GUEST_DEBUG, &dbg);
	for (i = 0; i < 4; i++) {
		for (n = 0; n < 100 && !rung(self->fd); n++)
			vcpu_next(self->vcpu);
		EXPECT_EQ(KVM_EXIT_DEBUG, self->vcpu->run->exit_reason);
		EXPECT_EQ((u64)after_store, arch->pc);
		EXPECT_EQ(KVM_EXIT_DEBUG, vcpu_next(self->vcpu));
		EXPECT_EQ((u64)after_that, arch->pc);
	}
}

KEEL_TEST_MAIN
