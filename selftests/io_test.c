// SPDX-License-Identifier: GPL-2.0
/*
 * KVM_EXIT_IO: every size and direction, string and repeated forms, buffers
 * that cross pages, and the same from 16-bit and 32-bit code. Completion and
 * interruption of a half-finished access belong to run_test.
 */
#include "kselftest_harness.h"
#include "keel_test.h"
#include "guest.h"

#define PORT 0x50
#define BUF DATA_GPA
#define CROSS (DATA_GPA + PAGE)		/* a page border */

FIXTURE(io) {
	struct vm *vm;
	struct vcpu *vcpu;
	struct kvm_run *run;
};

static void no_guest(void)
{
}

FIXTURE_SETUP(io)
{
	self->vm = vm_create();
	self->vcpu = vcpu_create(self->vm, 0, no_guest);
	self->run = self->vcpu->run;
}

FIXTURE_TEARDOWN(io)
{
	vcpu_free(self->vcpu);
	vm_free(self->vm);
}

static void *io_data(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	u64 bytes = (u64)run->io.size * run->io.count;

	CHECK(run->io.data_offset + bytes <= vcpu->vm->run_size,
	      "data at %#llx", run->io.data_offset);
	return (u8 *)run + run->io.data_offset;
}

/* Run to an access of this size and direction; return its data. */
static void *expect_io(struct vcpu *vcpu, int direction, int size, u16 port)
{
	struct kvm_run *run = vcpu->run;
	int got = vcpu_next(vcpu);

	CHECK(got == KVM_EXIT_IO, "exit %d", got);
	CHECK(run->io.direction == direction, "%u", run->io.direction);
	CHECK(run->io.size == size, "%u", run->io.size);
	CHECK(run->io.port == port, "%#x", run->io.port);
	CHECK(run->io.count >= 1, "%u", run->io.count);
	return io_data(vcpu);
}

/* Collect what a string OUT of @bytes writes, however it is cut. */
static void collect_out(struct vcpu *vcpu, int size, void *to, int bytes)
{
	int n;

	while (bytes) {
		void *data = expect_io(vcpu, KVM_EXIT_IO_OUT, size, PORT);

		n = size * vcpu->run->io.count;
		CHECK(n <= bytes, "%d left", bytes);
		memcpy(to, data, n);
		to += n;
		bytes -= n;
	}
}

static void feed_in(struct vcpu *vcpu, int size, const void *from, int bytes)
{
	int n;

	while (bytes) {
		void *data = expect_io(vcpu, KVM_EXIT_IO_IN, size, PORT);

		n = size * vcpu->run->io.count;
		CHECK(n <= bytes, "%d left", bytes);
		memcpy(data, from, n);
		from += n;
		bytes -= n;
	}
}

static void guest_out_all(void)
{
	u64 rax = 0x8877665544332211UL;

	asm volatile("outb %%al, %1" : : "a"(rax), "N"(PORT));
	asm volatile("outw %%ax, %1" : : "a"(rax), "N"(PORT));
	asm volatile("outl %%eax, %1" : : "a"(rax), "N"(PORT));
	asm volatile("outb %%al, %%dx" : : "a"(rax), "d"(0xfff0));
	asm volatile("outw %%ax, %%dx" : : "a"(rax), "d"(0xcf8));
	asm volatile("outl %%eax, %%dx" : : "a"(rax), "d"(0x5555aaaa));
	guest_done();
}

TEST_F(io, out_1_2_4)
{
	static const struct {
		int size;
		u16 port;
	} want[] = {
		{ 1, PORT }, { 2, PORT }, { 4, PORT },
		{ 1, 0xfff0 }, { 2, 0xcf8 }, { 4, 0xaaaa },
	};
	u64 rax = 0x8877665544332211UL;
	int i;

	vcpu_set_long(self->vcpu, guest_out_all);
	for (i = 0; i < ARRAY_SIZE(want); i++) {
		void *data = expect_io(self->vcpu, KVM_EXIT_IO_OUT,
				       want[i].size, want[i].port);

		EXPECT_EQ(1, self->run->io.count);
		EXPECT_EQ(0, memcmp(data, &rax, want[i].size));
	}
	vcpu_done(self->vcpu);
}

static void guest_in_all(void)
{
	u64 rax = ~0UL;

	asm volatile("inb %1, %%al" : "+a"(rax) : "N"(PORT));
	guest_sync(rax);
	rax = ~0UL;
	asm volatile("inw %1, %%ax" : "+a"(rax) : "N"(PORT));
	guest_sync(rax);
	rax = ~0UL;
	asm volatile("inl %1, %%eax" : "+a"(rax) : "N"(PORT));
	guest_sync(rax);
	rax = ~0UL;
	asm volatile("inb %%dx, %%al" : "+a"(rax) : "d"(0xffff));
	guest_sync(rax);
	guest_done();
}

TEST_F(io, in_1_2_4)
{
	void *data;

	vcpu_set_long(self->vcpu, guest_in_all);
	data = expect_io(self->vcpu, KVM_EXIT_IO_IN, 1, PORT);
	EXPECT_EQ(1, self->run->io.count);
	memcpy(data, "\x11\x22\x33\x44", 4);
	/* An 8-bit and a 16-bit register keep the rest, a 32-bit one clears it. */
	EXPECT_EQ(0xffffffffffffff11UL, vcpu_sync(self->vcpu));
	data = expect_io(self->vcpu, KVM_EXIT_IO_IN, 2, PORT);
	memcpy(data, "\x11\x22\x33\x44", 4);
	EXPECT_EQ(0xffffffffffff2211UL, vcpu_sync(self->vcpu));
	data = expect_io(self->vcpu, KVM_EXIT_IO_IN, 4, PORT);
	memcpy(data, "\x11\x22\x33\x94\x55", 5);
	EXPECT_EQ(0x94332211UL, vcpu_sync(self->vcpu));
	data = expect_io(self->vcpu, KVM_EXIT_IO_IN, 1, 0xffff);
	memcpy(data, "\x80", 1);
	EXPECT_EQ(0xffffffffffffff80UL, vcpu_sync(self->vcpu));
	vcpu_done(self->vcpu);
}

/* String instructions with a register image from and back to the host. */
struct string_regs {
	u64 rsi, rdi, rcx;
	u64 df;
};

static struct string_regs string_regs;

#define GUEST_STRING(name, insn)					\
static void name(void)							\
{									\
	struct string_regs r = string_regs;				\
									\
	if (r.df)							\
		asm volatile("std");					\
	asm volatile(insn						\
		     : "+S"(r.rsi), "+D"(r.rdi), "+c"(r.rcx)		\
		     : "d"(PORT) : "memory");				\
	asm volatile("cld");						\
	guest_sync3(r.rsi, r.rdi, r.rcx);				\
	guest_done();							\
}

GUEST_STRING(guest_outsb, "outsb")
GUEST_STRING(guest_outsw, "outsw")
GUEST_STRING(guest_outsl, "outsl")
GUEST_STRING(guest_rep_outsb, "rep outsb")
GUEST_STRING(guest_rep_outsw, "rep outsw")
GUEST_STRING(guest_rep_outsl, "rep outsl")
GUEST_STRING(guest_insb, "insb")
GUEST_STRING(guest_insw, "insw")
GUEST_STRING(guest_insl, "insl")
GUEST_STRING(guest_rep_insb, "rep insb")
GUEST_STRING(guest_rep_insw, "rep insw")
GUEST_STRING(guest_rep_insl, "rep insl")
GUEST_STRING(guest_rep_insb_addr32, "addr32 rep insb")
GUEST_STRING(guest_rep_outsb_addr32, "addr32 rep outsb")

static void start_string(struct vcpu *vcpu, void (*fn)(void), u64 rsi, u64 rdi,
			 u64 rcx, bool df)
{
	GUEST_VAR(vcpu->vm, string_regs) =
		(struct string_regs){ .rsi = rsi, .rdi = rdi, .rcx = rcx, .df = df };
	vcpu_set_long(vcpu, fn);
}

static void fill(u8 *p, int n, int seed)
{
	int i;

	for (i = 0; i < n; i++)
		p[i] = i * 7 + seed;
}

static const struct {
	int size;
	void (*outs)(void);
	void (*rep_outs)(void);
	void (*ins)(void);
	void (*rep_ins)(void);
} string_insn[] = {
	{ 1, guest_outsb, guest_rep_outsb, guest_insb, guest_rep_insb },
	{ 2, guest_outsw, guest_rep_outsw, guest_insw, guest_rep_insw },
	{ 4, guest_outsl, guest_rep_outsl, guest_insl, guest_rep_insl },
};

TEST_F(io, outs_single)
{
	u8 *mem = vm_hva(self->vm, BUF), got[4];
	int i, size, df;

	for (i = 0; i < 6; i++) {
		df = i / 3;
		size = string_insn[i % 3].size;
		fill(mem, 4, i);
		start_string(self->vcpu, string_insn[i % 3].outs, BUF, 5, 9, df);
		collect_out(self->vcpu, size, got, size);
		EXPECT_EQ(0, memcmp(mem, got, size));
		EXPECT_EQ(df ? BUF - size : BUF + size, vcpu_sync(self->vcpu));
		EXPECT_EQ(5, self->vcpu->arg[1]);
		EXPECT_EQ(9, self->vcpu->arg[2]);
		vcpu_done(self->vcpu);
	}
}

TEST_F(io, ins_single)
{
	u8 *mem = vm_hva(self->vm, BUF);
	int i, size, df;

	for (i = 0; i < 6; i++) {
		df = i / 3;
		size = string_insn[i % 3].size;
		memset(mem, 0xee, 8);
		start_string(self->vcpu, string_insn[i % 3].ins, 5, BUF, 9, df);
		feed_in(self->vcpu, size, "\x81\x02\x03\x04", size);
		EXPECT_EQ(5, vcpu_sync(self->vcpu));
		EXPECT_EQ(df ? BUF - size : BUF + size, self->vcpu->arg[1]);
		EXPECT_EQ(9, self->vcpu->arg[2]);
		EXPECT_EQ(0, memcmp(mem, "\x81\x02\x03\x04", size));
		EXPECT_EQ(0xee, mem[size]);
		vcpu_done(self->vcpu);
	}
}

#define REP_BYTES 72

static void check_rep_outs(struct __test_metadata *_metadata, struct vcpu *vcpu,
			   int i, u64 at)
{
	int size = string_insn[i].size;
	u8 *mem = vm_hva(vcpu->vm, at), got[REP_BYTES] = {};

	fill(mem, REP_BYTES, i);
	start_string(vcpu, string_insn[i].rep_outs, at, 5, REP_BYTES / size, 0);
	collect_out(vcpu, size, got, REP_BYTES);
	EXPECT_EQ(at + REP_BYTES, vcpu_sync(vcpu));
	EXPECT_EQ(5, vcpu->arg[1]);
	EXPECT_EQ(0, vcpu->arg[2]);
	EXPECT_EQ(0, memcmp(mem, got, REP_BYTES));
	vcpu_done(vcpu);
}

static void check_rep_ins(struct __test_metadata *_metadata, struct vcpu *vcpu,
			  int i, u64 at)
{
	int size = string_insn[i].size;
	u8 *mem = vm_hva(vcpu->vm, at), want[REP_BYTES];

	memset(mem - 1, 0xee, REP_BYTES + 2);
	fill(want, REP_BYTES, 0x30 + i);
	start_string(vcpu, string_insn[i].rep_ins, 5, at, REP_BYTES / size, 0);
	feed_in(vcpu, size, want, REP_BYTES);
	EXPECT_EQ(5, vcpu_sync(vcpu));
	EXPECT_EQ(at + REP_BYTES, vcpu->arg[1]);
	EXPECT_EQ(0, vcpu->arg[2]);
	EXPECT_EQ(0, memcmp(mem, want, REP_BYTES));
	EXPECT_EQ(0xee, mem[-1]);
	EXPECT_EQ(0xee, mem[REP_BYTES]);
	vcpu_done(vcpu);
}

TEST_F(io, rep_outs)
{
	int i;

	for (i = 0; i < 3; i++)
		check_rep_outs(_metadata, self->vcpu, i, BUF);
}

TEST_F(io, rep_ins)
{
	int i;

	for (i = 0; i < 3; i++)
		check_rep_ins(_metadata, self->vcpu, i, BUF + 0x100);
}

TEST_F(io, rep_outs_crosses_a_page)
{
	int i;

	for (i = 0; i < 3; i++) {
		check_rep_outs(_metadata, self->vcpu, i, CROSS - 32);
		/* One element straddles the border. */
		check_rep_outs(_metadata, self->vcpu, i, CROSS - 33);
	}
}

TEST_F(io, rep_ins_crosses_a_page)
{
	int i;

	for (i = 0; i < 3; i++) {
		check_rep_ins(_metadata, self->vcpu, i, CROSS - 32);
		check_rep_ins(_metadata, self->vcpu, i, CROSS - 33);
	}
}

TEST_F(io, rep_with_direction_flag)
{
	u8 *mem = vm_hva(self->vm, BUF), got[8];
	u16 words[4] = { 0x1122, 0x3344, 0x5566, 0x7788 };
	int i;

	fill(mem, 8, 3);
	start_string(self->vcpu, guest_rep_outsb, BUF + 7, 0, 8, 1);
	collect_out(self->vcpu, 1, got, 8);
	EXPECT_EQ(BUF - 1, vcpu_sync(self->vcpu));
	for (i = 0; i < 8; i++)
		EXPECT_EQ(mem[7 - i], got[i]);
	vcpu_done(self->vcpu);

	memset(mem, 0, 16);
	start_string(self->vcpu, guest_rep_insw, 0, BUF + 6, 4, 1);
	feed_in(self->vcpu, 2, words, 8);
	vcpu_sync(self->vcpu);
	EXPECT_EQ(BUF - 2, self->vcpu->arg[1]);
	EXPECT_EQ(0, self->vcpu->arg[2]);
	EXPECT_EQ(0, memcmp(mem, "\x88\x77\x66\x55\x44\x33\x22\x11\0", 9));
	vcpu_done(self->vcpu);
}

TEST_F(io, rep_with_count_zero_does_nothing)
{
	int i;

	for (i = 0; i < 3; i++) {
		start_string(self->vcpu, string_insn[i].rep_outs, BUF, 6, 0, 0);
		EXPECT_EQ(BUF, vcpu_sync(self->vcpu));
		EXPECT_EQ(0, self->vcpu->arg[2]);
		start_string(self->vcpu, string_insn[i].rep_ins, 6, BUF, 0, 0);
		EXPECT_EQ(6, vcpu_sync(self->vcpu));
		EXPECT_EQ(BUF, self->vcpu->arg[1]);
	}
}

TEST_F(io, rep_ins_of_many_pages)
{
	int bytes = 3 * PAGE + 100;
	u8 *mem = vm_hva(self->vm, BUF + 1), *want = malloc(bytes);

	fill(want, bytes, 9);
	start_string(self->vcpu, guest_rep_insb, 0, BUF + 1, bytes, 0);
	feed_in(self->vcpu, 1, want, bytes);
	vcpu_sync(self->vcpu);
	EXPECT_EQ(BUF + 1 + bytes, self->vcpu->arg[1]);
	EXPECT_EQ(0, memcmp(mem, want, bytes));
	free(want);
}

TEST_F(io, string_with_32_bit_addresses)
{
	u8 *mem = vm_hva(self->vm, BUF), got[8];

	fill(mem, 8, 1);
	start_string(self->vcpu, guest_rep_outsb_addr32,
		     0xffffffff00000000UL | BUF, 0, 0xffffffff00000008UL, 0);
	collect_out(self->vcpu, 1, got, 8);
	EXPECT_EQ(BUF + 8, vcpu_sync(self->vcpu));
	EXPECT_EQ(0, self->vcpu->arg[2]);
	EXPECT_EQ(0, memcmp(mem, got, 8));

	start_string(self->vcpu, guest_rep_insb_addr32, 0,
		     0x1234567800000000UL | BUF, 8, 0);
	feed_in(self->vcpu, 1, "abcdefgh", 8);
	vcpu_sync(self->vcpu);
	EXPECT_EQ(BUF + 8, self->vcpu->arg[1]);
	EXPECT_EQ(0, memcmp(mem, "abcdefgh", 8));
}

static void guest_two_pages_apart(void)
{
	u64 rdi = 0x8000000ffcUL, rcx = 2;

	/* The two halves of the buffer lie in unrelated frames. */
	asm volatile("rep insl" : "+D"(rdi), "+c"(rcx) : "d"(PORT) : "memory");
	guest_sync(rdi);
	rdi = 0x8000000ffeUL;
	rcx = 1;
	asm volatile("rep insl" : "+D"(rdi), "+c"(rcx) : "d"(PORT) : "memory");
	guest_sync(rdi);
	guest_done();
}

TEST_F(io, string_follows_guest_paging)
{
	u8 *low = vm_hva(self->vm, DATA_GPA + 8 * PAGE);
	u8 *high = vm_hva(self->vm, DATA_GPA + 2 * PAGE);

	vm_map(self->vm, 0x8000000000UL, DATA_GPA + 8 * PAGE, PT_P | PT_W);
	vm_map(self->vm, 0x8000001000UL, DATA_GPA + 2 * PAGE, PT_P | PT_W);
	vcpu_set_long(self->vcpu, guest_two_pages_apart);
	feed_in(self->vcpu, 4, "abcdefgh", 8);
	EXPECT_EQ(0x8000001004UL, vcpu_sync(self->vcpu));
	EXPECT_EQ(0, memcmp(low + 0xffc, "abcd", 4));
	EXPECT_EQ(0, memcmp(high, "efgh", 4));
	feed_in(self->vcpu, 4, "wxyz", 4);
	EXPECT_EQ(0x8000001002UL, vcpu_sync(self->vcpu));
	EXPECT_EQ(0, memcmp(low + 0xffe, "wx", 2));
	EXPECT_EQ(0, memcmp(high, "yz", 2));
}

static volatile u64 fault_cr2, fault_error;

static void on_page_fault(struct guest_trap *trap)
{
	fault_cr2 = guest_read_cr2();
	fault_error = trap->error;
	trap->rip = trap->rbx;
}

static void guest_string_faults(void)
{
	u64 rdi = 0x8000000ffeUL, rcx = 8;

	guest_handler[14] = on_page_fault;
	asm volatile("lea 1f(%%rip), %%rbx\n"
		     "rep insb\n"
		     "1:\n"
		     : "+D"(rdi), "+c"(rcx) : "d"(PORT) : "rbx", "memory");
	guest_sync3(rdi, rcx, fault_cr2);
	guest_sync(fault_error);
	guest_done();
}

TEST_F(io, string_stops_at_a_page_fault)
{
	u8 *low = vm_hva(self->vm, DATA_GPA + 8 * PAGE);

	vm_map(self->vm, 0x8000000000UL, DATA_GPA + 8 * PAGE, PT_P | PT_W);
	vcpu_set_long(self->vcpu, guest_string_faults);
	feed_in(self->vcpu, 1, "ab", 2);
	/* The fault comes before the third byte is asked for, or after. */
	if (vcpu_next(self->vcpu) == KVM_EXIT_IO)
		vcpu_next(self->vcpu);
	EXPECT_EQ(GUEST_SYNC, vcpu_decode(self->vcpu));
	EXPECT_EQ(0x8000001000UL, self->vcpu->arg[0]);
	EXPECT_EQ(6, self->vcpu->arg[1]);
	EXPECT_EQ(0x8000001000UL, self->vcpu->arg[2]);
	EXPECT_EQ(2, vcpu_sync(self->vcpu));
	EXPECT_EQ(0, memcmp(low + 0xffe, "ab", 2));
}

/* Port 0x50, buffer 0x6000, as every narrower guest below uses it. */
#define SMALL_BUF 0x6000UL

GUEST_CODE16(real_io,
	     "mov $0x8001, %ax\n"
	     "outb %al, $0x50\n"
	     "outw %ax, $0x50\n"
	     "mov $0x12345678, %eax\n"
	     "outl %eax, $0x50\n"
	     "mov $-1, %eax\n"
	     "inw $0x50, %ax\n"
	     "mov %eax, 0x6100\n"
	     "mov $0x6000, %si\n"
	     "mov $5, %cx\n"
	     "mov $0x50, %dx\n"
	     "rep outsb\n"
	     "mov $0x600, %ax\n"
	     "mov %ax, %es\n"
	     "mov $0x10, %di\n"
	     "mov $3, %cx\n"
	     "rep insw\n"
	     "mov %di, %ax\n"
	     "outw %ax, $0x50\n"
	     "hlt\n");

static void check_small_guest(struct __test_metadata *_metadata,
			      struct vcpu *vcpu, u16 last_di)
{
	u8 *mem = vm_hva(vcpu->vm, SMALL_BUF), got[5];
	u32 eax;

	fill(mem, 5, 0x61);
	EXPECT_EQ(0, memcmp(expect_io(vcpu, KVM_EXIT_IO_OUT, 1, PORT), "\x01", 1));
	EXPECT_EQ(0, memcmp(expect_io(vcpu, KVM_EXIT_IO_OUT, 2, PORT), "\x01\x80", 2));
	EXPECT_EQ(0, memcmp(expect_io(vcpu, KVM_EXIT_IO_OUT, 4, PORT),
			    "\x78\x56\x34\x12", 4));
	feed_in(vcpu, 2, "\xcd\xab", 2);
	collect_out(vcpu, 1, got, 5);
	EXPECT_EQ(0, memcmp(mem, got, 5));
	feed_in(vcpu, 2, "uvwxyz", 6);
	EXPECT_EQ(last_di, *(u16 *)expect_io(vcpu, KVM_EXIT_IO_OUT, 2, PORT));
	EXPECT_EQ(0, memcmp(mem + 0x10, "uvwxyz", 6));
	memcpy(&eax, mem + 0x100, 4);
	EXPECT_EQ(0xffffabcd, eax);
	EXPECT_EQ(KVM_EXIT_HLT, vcpu_next(vcpu));
}

TEST_F(io, from_real_mode)
{
	struct vcpu *vcpu = vcpu_create_bare(self->vm, 1);

	vm_load(self->vm, REAL_CODE_GPA, real_io, real_io_end);
	vcpu_set_real(vcpu, REAL_CODE_GPA);
	check_small_guest(_metadata, vcpu, 0x16);
	vcpu_free(vcpu);
}

GUEST_CODE32(prot32_io,
	     "mov $0x8001, %eax\n"
	     "outb %al, $0x50\n"
	     "outw %ax, $0x50\n"
	     "mov $0x12345678, %eax\n"
	     "outl %eax, $0x50\n"
	     "mov $-1, %eax\n"
	     "inw $0x50, %ax\n"
	     "mov %eax, 0x6100\n"
	     "mov $0x6000, %esi\n"
	     "mov $5, %ecx\n"
	     "mov $0x50, %edx\n"
	     "rep outsb\n"
	     "mov $0x6010, %edi\n"
	     "mov $3, %ecx\n"
	     "rep insw\n"
	     "mov %edi, %eax\n"
	     "outw %ax, $0x50\n"
	     "hlt\n");

TEST_F(io, from_32_bit_protected_mode)
{
	struct vcpu *vcpu = vcpu_create_bare(self->vm, 1);

	vcpu_set_prot32(vcpu, prot32_io);
	check_small_guest(_metadata, vcpu, 0x6016);
	vcpu_free(vcpu);
}

GUEST_CODE16(wrap_io,
	     "mov $0xfffe, %si\n"
	     "mov $4, %cx\n"
	     "mov $0x50, %dx\n"
	     "rep outsb\n"
	     "mov %si, %ax\n"
	     "outw %ax, $0x50\n"
	     "hlt\n");

TEST_F(io, 16_bit_string_wraps_in_its_segment)
{
	struct vcpu *vcpu = vcpu_create_bare(self->vm, 1);
	u8 got[4];

	vm_load(self->vm, REAL_CODE_GPA, wrap_io, wrap_io_end);
	/* SI runs from 0xfffe over 0 within the same segment. */
	memcpy(vm_hva(self->vm, 0xfffe), "ab", 2);
	memcpy(vm_hva(self->vm, 0), "cd", 2);
	vcpu_set_real(vcpu, REAL_CODE_GPA);
	collect_out(vcpu, 1, got, 4);
	EXPECT_EQ(0, memcmp(got, "abcd", 4));
	EXPECT_EQ(2, *(u16 *)expect_io(vcpu, KVM_EXIT_IO_OUT, 2, PORT));
	EXPECT_EQ(KVM_EXIT_HLT, vcpu_next(vcpu));
	vcpu_free(vcpu);
}

static void guest_out_user(void)
{
	GUEST_TRY_TRAP(trap);

	/* No I/O permission map in the TSS: everything traps at CPL 3. */
	asm volatile(GUEST_TRY("outb %%al, $0x50") : "=&r"(trap) : "a"(1));
	asm volatile("int $0x80" : : "D"(trap));
}

static void on_int80(struct guest_trap *trap)
{
	guest_sync3(trap->rdi, trap->cs & 3, 0);
	guest_done();
}

static void guest_setup_user(void)
{
	u64 *gdt = (u64 *)GDT_GPA;
	u16 *gate = (u16 *)(IDT_GPA + 0x80 * 16);

	guest_handler[0x80] = on_int80;
	gate[2] |= 0x6000;			/* DPL 3 */
	gdt[SEL_CODE32 / 8] = 0x00affb000000ffffULL;	/* 64-bit, DPL 3 */
	gdt[SEL_CODE16 / 8] = 0x00cff3000000ffffULL;	/* data, DPL 3 */
	*(u64 *)(TSS_GPA + 4) = STACKS_GPA + 3 * STACK_SIZE;
	asm volatile("pushq %0\n"
		     "pushq %1\n"
		     "pushq $2\n"
		     "pushq %2\n"
		     "pushq %3\n"
		     "iretq\n"
		     : : "i"(SEL_CODE16 | 3), "r"(STACKS_GPA + 2 * STACK_SIZE - 8),
		     "i"(SEL_CODE32 | 3), "r"(guest_out_user) : "memory");
}

TEST_F(io, out_at_cpl_3_without_permission_is_gp)
{
	vcpu_set_long(self->vcpu, guest_setup_user);
	EXPECT_EQ(GUEST_GP, vcpu_sync(self->vcpu));
	EXPECT_EQ(3, self->vcpu->arg[1]);
	vcpu_done(self->vcpu);
}

/* What is left to do is what the register says, not what the exit said. */
static void shrink(struct __test_metadata *_metadata, struct vcpu *vcpu, void (*fn)(void), u64 left)
{
	struct kvm_regs regs;
	u8 *data;

	start_string(vcpu, fn, DATA_GPA, DATA_GPA, 16, false);
	memset(vm_hva(vcpu->vm, DATA_GPA), 0, 32);
	EXPECT_EQ(KVM_EXIT_IO, vcpu_next(vcpu));
	EXPECT_EQ(16, vcpu->run->io.count);
	memset((u8 *)vcpu->run + vcpu->run->io.data_offset, 0xaa, 16);
	vcpu_get_regs(vcpu, &regs);
	regs.rcx = left;
	vcpu_set_regs(vcpu, &regs);
	vcpu_sync(vcpu);
	EXPECT_EQ(DATA_GPA + left, fn == guest_rep_insb ? vcpu->arg[1] : vcpu->arg[0]);
	EXPECT_EQ(0, vcpu->arg[2]);
	data = vm_hva(vcpu->vm, DATA_GPA);
	if (fn == guest_rep_insb && left)
		EXPECT_EQ(0xaa, data[left - 1]);
	EXPECT_EQ(0, data[left]);
}

TEST_F(io, the_count_shrinks_while_userspace_has_it)
{
	shrink(_metadata, self->vcpu, guest_rep_insb, 2);
	shrink(_metadata, self->vcpu, guest_rep_insb, 0);
	shrink(_metadata, self->vcpu, guest_rep_outsb, 3);
	shrink(_metadata, self->vcpu, guest_rep_outsb, 0);
}

GUEST_CODE16(code_in, "in $0x50, %al");
GUEST_CODE16(code_insb, "insb");
GUEST_CODE16(code_rep_insb, "rep insb");
GUEST_CODE16(code_rep_outsb, "rep outsb");

static const struct {
	const char *code, *end;
	u64 rip;		/* behind it */
} real_input[] = {
	{ code_in, code_in_end, 2 },
	{ code_insb, code_insb_end, 1 },
	{ code_rep_insb, code_rep_insb_end, 2 },
};

static void start_real(struct vcpu *vcpu)
{
	struct kvm_regs regs;

	vcpu_set_real(vcpu, REAL_CODE_GPA);
	vcpu_get_regs(vcpu, &regs);
	regs.rdx = PORT;
	regs.rdi = 0x6000;
	regs.rcx = 1;
	vcpu_set_regs(vcpu, &regs);
}

/* Without unrestricted guest the emulator reads the port. */
TEST_F(io, an_answer_is_used_in_real_mode)
{
	struct vcpu *vcpu = vcpu_create_bare(self->vm, 1);
	u8 *code = vm_hva(self->vm, REAL_CODE_GPA);
	struct kvm_regs regs;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(real_input); i++) {
		memset(code, 0xf4, 16);
		vm_load(self->vm, REAL_CODE_GPA, real_input[i].code, real_input[i].end);
		start_real(vcpu);
		*(u8 *)vm_hva(self->vm, 0x6000) = 0;
		ASSERT_EQ(0, __vcpu_run(vcpu));
		ASSERT_EQ(KVM_EXIT_IO, vcpu->run->exit_reason);
		*((u8 *)vcpu->run + vcpu->run->io.data_offset) = 0x5a;
		memset(code, 0x90, 16);
		vcpu_get_regs(vcpu, &regs);
		vcpu->run->immediate_exit = 1;
		EXPECT_EQ(-EINTR, __vcpu_run(vcpu));
		vcpu->run->immediate_exit = 0;
		vcpu_get_regs(vcpu, &regs);
		EXPECT_EQ(REAL_CODE_GPA + real_input[i].rip, regs.rip);
		EXPECT_EQ(0x5a, i ? *(u8 *)vm_hva(self->vm, 0x6000) : regs.rax & 0xff);
	}
	vcpu_free(vcpu);
}

/* What a repeated string does to the end of its segment, and no further: #GP is next. */
static void small_segment(struct __test_metadata *_metadata, struct vcpu *vcpu, bool in)
{
	u16 *vector = vm_hva(vcpu->vm, REAL_IVT_GPA + 13 * 4);
	struct kvm_sregs sregs;
	struct kvm_regs regs;

	vm_load(vcpu->vm, REAL_CODE_GPA, in ? code_rep_insb : code_rep_outsb,
		in ? code_rep_insb_end : code_rep_outsb_end);
	vector[0] = 0x5000;
	vector[1] = 0;
	memset(vm_hva(vcpu->vm, 0x5000), 0xf4, 16);
	start_real(vcpu);
	vcpu_get_sregs(vcpu, &sregs);
	sregs.ds.limit = 0x6003;
	sregs.es.limit = 0x6003;
	vcpu_set_sregs(vcpu, &sregs);
	vcpu_get_regs(vcpu, &regs);
	regs.rcx = 7;
	regs.rsi = 0x6000;
	vcpu_set_regs(vcpu, &regs);
	while (vcpu_next(vcpu) == KVM_EXIT_IO)
		;
	EXPECT_EQ(KVM_EXIT_HLT, vcpu->run->exit_reason);
	vcpu_get_regs(vcpu, &regs);
	EXPECT_EQ(0x5001, regs.rip);
	EXPECT_EQ(3, regs.rcx);
	EXPECT_EQ(0x6004, in ? regs.rdi : regs.rsi);
}

TEST_F(io, a_repeated_string_ends_with_its_segment)
{
	struct vcpu *vcpu = vcpu_create_bare(self->vm, 1);

	small_segment(_metadata, vcpu, true);
	small_segment(_metadata, vcpu, false);
	vcpu_free(vcpu);
}

/* @type: of the segment. Real mode goes by what was loaded before. */
static void real_input_to(struct __test_metadata *_metadata, struct vcpu *vcpu, u8 type, bool works)
{
	struct kvm_sregs sregs;
	struct kvm_regs regs;

	start_real(vcpu);
	vcpu_get_sregs(vcpu, &sregs);
	sregs.es.type = type;
	vcpu_set_sregs(vcpu, &sregs);
	EXPECT_EQ(works ? KVM_EXIT_IO : KVM_EXIT_HLT, vcpu_next(vcpu));
	if (works)
		EXPECT_EQ(KVM_EXIT_HLT, vcpu_next(vcpu));
	vcpu_get_regs(vcpu, &regs);
	EXPECT_EQ(works ? REAL_CODE_GPA + 2 : 0x5001, regs.rip);
}

TEST_F(io, real_mode_does_not_write_to_what_is_read_only)
{
	struct vcpu *vcpu = vcpu_create_bare(self->vm, 1);
	u16 *vector = vm_hva(self->vm, REAL_IVT_GPA + 13 * 4);

	memset(vm_hva(self->vm, REAL_CODE_GPA), 0xf4, 16);
	vm_load(self->vm, REAL_CODE_GPA, code_insb, code_insb_end);
	vector[0] = 0x5000;
	vector[1] = 0;
	memset(vm_hva(self->vm, 0x5000), 0xf4, 16);
	real_input_to(_metadata, vcpu, 3, true);
	real_input_to(_metadata, vcpu, 1, false);
	real_input_to(_metadata, vcpu, 11, true);
	vcpu_free(vcpu);
}

KEEL_TEST_MAIN
