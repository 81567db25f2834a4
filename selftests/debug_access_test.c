// SPDX-License-Identifier: GPL-2.0
/*
 * Breakpoints on data, ports and code where software does what the processor
 * would have done: accesses to devices, memory that such instructions access
 * besides, ports, and code that only the emulator runs. The guest's own lead to
 * #DB behind the instruction, with the bit of the one that was met; userspace's
 * end KVM_RUN there. What the processor itself does is asked in between, with
 * the same answers.
 */
#include <sys/eventfd.h>
#include "kselftest_harness.h"
#include "keel_test.h"
#include "guest.h"

#define ENABLE		KVM_GUESTDBG_ENABLE
#define STEP		KVM_GUESTDBG_SINGLESTEP
#define HW		KVM_GUESTDBG_USE_HW_BP
#define DB_VECTOR	1
#define PF_VECTOR	14
#define DR6_BS		(1 << 14)
#define DR6_HITS	15
#define CR4_DE		(1 << 3)
#define PORT		0x60

#define DEVICE		MMIO_GPA		/* in no slot */
#define RAM		(DATA_GPA + 0x10000)
#define ISLAND		(MMIO_GPA + 0x2000)	/* a page of RAM between devices */
#define NOWHERE		0x7f0000000000UL	/* not mapped */

/* R/W and LEN of DR7. */
enum { CODE, WRITE, IO, ANY };
enum { LEN1, LEN2, LEN8, LEN4 };

FIXTURE(access) {
	struct vm *vm;
	struct vcpu *vcpu;
	void *island;
};

typedef FIXTURE_DATA(access) fixture_t;

static volatile u64 code_rax, code_rdi, code_rsi, code_rcx;
static volatile u64 trap_count, trap_rip, trap_dr6;
static u8 code[32];

static void on_debug(struct guest_trap *trap)
{
	u64 dr6;

	asm volatile("mov %%dr6, %0" : "=r"(dr6));
	asm volatile("mov %0, %%dr6" : : "r"(0UL));
	trap_count++;
	trap_rip = trap->rip;
	trap_dr6 = dr6;
}

/* What faults is a byte long. */
static void on_page_fault(struct guest_trap *trap)
{
	trap->rip++;
}

static void guest_main(void)
{
	guest_handler[DB_VECTOR] = on_debug;
	guest_handler[PF_VECTOR] = on_page_fault;
	for (;;) {
		guest_sync3(trap_count, trap_rip, trap_dr6);
		trap_count = 0;
		asm volatile("call *%4"
			     : : "a"(code_rax), "D"(code_rdi), "S"(code_rsi), "c"(code_rcx),
			       "r"(code) : "rdx", "rbx", "r8", "memory", "cc");
	}
}

FIXTURE_SETUP(access)
{
	self->vm = vm_create();
	self->island = anon_alloc(PAGE);
	vm_set_slot(self->vm, 5, 0, ISLAND, PAGE, self->island);
	self->vcpu = vcpu_create(self->vm, 0, guest_main);
	vcpu_sync(self->vcpu);
}

FIXTURE_TEARDOWN(access)
{
	vcpu_free(self->vcpu);
	vm_free(self->vm);
	munmap(self->island, PAGE);
}

/*
 * struct row - an instruction, and a breakpoint
 * @before:	instructions that come first, in bytes of @code
 * @len:	of the instruction; 0: it is not to be met
 * @dr, @rw, @size: where, for what and how long
 */
struct row {
	const char *name;
	char code[16];
	int before, len;
	u64 dr;
	int rw, size;
	u64 rdi, rsi;
	u64 rcx;
};

#define ROW(name, code, before, len, dr, rw, size, rdi, ...) \
	{ name, code "\x90\xc3", before, len, dr, rw, size, rdi, ##__VA_ARGS__ }

static const struct row rows[] = {
	ROW("store", "\x89\x07", 0, 2, DEVICE + 0x10, WRITE, LEN4, DEVICE + 0x10),
	ROW("store, last byte", "\x89\x07", 0, 2, DEVICE + 0x13, WRITE, LEN1, DEVICE + 0x10),
	ROW("store, long before", "\x88\x07", 0, 2, DEVICE + 0x10, WRITE, LEN8, DEVICE + 0x17),
	ROW("store, next byte", "\x89\x07", 0, 0, DEVICE + 0x14, WRITE, LEN1, DEVICE + 0x10),
	ROW("store, byte before", "\x89\x07", 0, 0, DEVICE + 0x0f, WRITE, LEN1, DEVICE + 0x10),
	ROW("store, read or write", "\x89\x07", 0, 2, DEVICE, ANY, LEN4, DEVICE),
	ROW("load", "\x8b\x07", 0, 2, DEVICE, ANY, LEN4, DEVICE),
	ROW("load, writes watched", "\x8b\x07", 0, 0, DEVICE, WRITE, LEN4, DEVICE),
	ROW("wide load", "\x0f\x10\x07", 0, 3, DEVICE + 12, ANY, LEN4, DEVICE),
	ROW("add", "\x01\x07", 0, 2, DEVICE, WRITE, LEN4, DEVICE),
	ROW("lock add", "\xf0\x01\x07", 0, 3, DEVICE, WRITE, LEN4, DEVICE),
	ROW("xchg", "\x87\x07", 0, 2, DEVICE, WRITE, LEN4, DEVICE),
	ROW("movsb to memory", "\xa4", 0, 1, RAM, WRITE, LEN1, RAM, DEVICE),
	ROW("movsb from device", "\xa4", 0, 1, DEVICE, ANY, LEN1, RAM, DEVICE),
	ROW("movsb to device", "\xa4", 0, 1, RAM, ANY, LEN1, DEVICE, RAM),
	ROW("push of a device's word", "\x49\x89\xe0\x48\x89\xfc\xff\x36\x4c\x89\xc4", 6, 2,
	    RAM - 8, WRITE, LEN8, RAM, DEVICE),
	ROW("pop to a device", "\x49\x89\xe0\x48\x89\xf4\x8f\x07\x4c\x89\xc4", 6, 2,
	    RAM, ANY, LEN8, DEVICE, RAM),
	ROW("across, memory watched", "\x48\x89\x07", 0, 3, ISLAND + PAGE - 4, WRITE, LEN4,
	    ISLAND + PAGE - 4),
	ROW("across, device watched", "\x48\x89\x07", 0, 3, ISLAND + PAGE, WRITE, LEN4,
	    ISLAND + PAGE - 4),
	ROW("rep stosb, first", "\xf3\xaa", 0, -1, DEVICE, WRITE, LEN1, DEVICE, 0, 3),
	ROW("rep stosb, second", "\xf3\xaa", 0, -1, DEVICE + 1, WRITE, LEN1, DEVICE, 0, 3),
	ROW("rep stosb, last", "\xf3\xaa", 0, 2, DEVICE + 2, WRITE, LEN1, DEVICE, 0, 3),
	/* What has failed has met nothing, and CPUID is not to be taken for it. */
	ROW("fault", "\xa4\x31\xc0\x0f\xa2", 0, 0, DEVICE, ANY, LEN1, NOWHERE, DEVICE),
	/* The processor's own. */
	ROW("store to memory", "\x89\x07", 0, 2, RAM, WRITE, LEN4, RAM),
	ROW("load from memory", "\x8b\x07", 0, 2, RAM, ANY, LEN4, RAM),
	/* Ports, in DX. */
	ROW("out", "\x66\xba\x60\x00\xee", 4, 1, PORT, IO, LEN1, 0),
	ROW("out, long", "\x66\xba\x60\x00\xef", 4, 1, PORT + 3, IO, LEN1, 0),
	ROW("in", "\x66\xba\x60\x00\xec", 4, 1, PORT, IO, LEN1, 0),
	ROW("out, next port", "\x66\xba\x60\x00\xee", 4, 0, PORT + 1, IO, LEN1, 0),
	ROW("out, data watched", "\x66\xba\x60\x00\xee", 4, 0, PORT, ANY, LEN1, 0),
	ROW("store, port watched", "\x89\x07", 0, 0, DEVICE, IO, LEN4, DEVICE),
	ROW("outsb", "\x66\xba\x60\x00\x6e", 4, 1, PORT, IO, LEN1, 0, RAM),
	ROW("outsb, memory watched", "\x66\xba\x60\x00\x6e", 4, 1, RAM, ANY, LEN1, 0, RAM),
	ROW("insb, memory watched", "\x66\xba\x60\x00\x6c", 4, 1, RAM, WRITE, LEN1, RAM),
	ROW("outsb from a device", "\x66\xba\x60\x00\x6e", 4, 1, PORT, IO, LEN1, 0, DEVICE),
	ROW("rep outsb, second", "\x66\xba\x60\x00\xf3\x6e", 4, -1, RAM + 1, ANY, LEN1, 0, RAM, 3),
};

static u64 dr7(const struct row *row, int nr)
{
	return 0x400 | 1 << 2 * nr | (u64)(row->rw | row->size << 2) << (16 + 4 * nr);
}

/* Where the trap leads back to: behind the instruction, or to it while it repeats. */
static u64 expected_rip(const struct row *row)
{
	return (u64)code + row->before + (row->len > 0 ? row->len : 0);
}

static void load_code(fixture_t *self, const struct row *row)
{
	struct kvm_sregs sregs;

	memcpy(GUEST_VAR(self->vm, code), row->code, sizeof(row->code));
	GUEST_VAR(self->vm, code_rax) = 0x77;
	GUEST_VAR(self->vm, code_rdi) = row->rdi;
	GUEST_VAR(self->vm, code_rsi) = row->rsi;
	GUEST_VAR(self->vm, code_rcx) = row->rcx;
	vcpu_get_sregs(self->vcpu, &sregs);
	sregs.cr4 |= CR4_DE;
	vcpu_set_sregs(self->vcpu, &sregs);
}

static void set_own(fixture_t *self, const struct row *row, int nr)
{
	struct kvm_debugregs regs = { .dr6 = 0xffff0ff0, .dr7 = 0x400 };

	if (row) {
		regs.db[nr] = row->dr;
		regs.dr7 = dr7(row, nr);
	}
	vcpu_ioctl(self->vcpu, KVM_SET_DEBUGREGS, &regs);
}

static void set_users(fixture_t *self, const struct row *row, int nr, u32 more)
{
	struct kvm_guest_debug dbg = { .control = ENABLE | more };

	if (row) {
		dbg.control |= HW;
		dbg.arch.debugreg[nr] = row->dr;
		dbg.arch.debugreg[7] = dr7(row, nr);
	}
	vcpu_ioctl(self->vcpu, KVM_SET_GUEST_DEBUG, &dbg);
}

static int next(fixture_t *self)
{
	int reason;

	do
		reason = vcpu_next(self->vcpu);
	while (reason == KVM_EXIT_MMIO || reason == KVM_EXIT_IO);
	return reason;
}

TEST_F(access, the_guests_own)
{
	const struct row *row;
	int nr;

	/* KVM watches none of these accesses. */
	REQUIRE(dev_is_keel());
	for (row = rows; row < rows + ARRAY_SIZE(rows); row++) {
		nr = (row - rows) % 4;
		load_code(self, row);
		set_own(self, row, nr);
		ASSERT_EQ(GUEST_SYNC, next(self));
		EXPECT_EQ(!!row->len, self->vcpu->arg[0]) {
			TH_LOG("%s", row->name);
		}
		if (!row->len || !self->vcpu->arg[0])
			continue;
		EXPECT_EQ(expected_rip(row), self->vcpu->arg[1]) {
			TH_LOG("%s", row->name);
		}
		EXPECT_EQ(1 << nr, self->vcpu->arg[2] & (DR6_HITS | DR6_BS)) {
			TH_LOG("%s", row->name);
		}
	}
	/* And when they are off again. */
	load_code(self, rows);
	set_own(self, NULL, 0);
	ASSERT_EQ(GUEST_SYNC, next(self));
	EXPECT_EQ(0, self->vcpu->arg[0]);
}

TEST_F(access, userspaces)
{
	struct kvm_debug_exit_arch *arch = &self->vcpu->run->debug.arch;
	const struct row *row;
	int nr, reason;

	REQUIRE(dev_is_keel());
	for (row = rows; row < rows + ARRAY_SIZE(rows); row++) {
		nr = (row - rows) % 4;
		load_code(self, row);
		set_users(self, row, nr, 0);
		reason = next(self);
		EXPECT_EQ(row->len ? KVM_EXIT_DEBUG : GUEST_SYNC, reason) {
			TH_LOG("%s", row->name);
		}
		if (reason == KVM_EXIT_DEBUG) {
			EXPECT_EQ(DB_VECTOR, arch->exception);
			EXPECT_EQ(expected_rip(row), arch->pc) {
				TH_LOG("%s", row->name);
			}
			EXPECT_EQ(1 << nr, arch->dr6 & (DR6_HITS | DR6_BS)) {
				TH_LOG("%s", row->name);
			}
			ASSERT_EQ(GUEST_SYNC, next(self));
		}
		EXPECT_EQ(0, self->vcpu->arg[0]) {
			TH_LOG("%s", row->name);
		}
	}
	set_users(self, NULL, 0, 0);
	load_code(self, rows);
	ASSERT_EQ(GUEST_SYNC, next(self));
	EXPECT_EQ(0, self->vcpu->arg[0]);
}

/* A step over an instruction that meets a breakpoint is one stop. */
TEST_F(access, steps_and_breakpoints)
{
	struct kvm_debug_exit_arch *arch = &self->vcpu->run->debug.arch;
	const struct row *row;
	int reason;

	REQUIRE(dev_is_keel());
	for (row = rows; row < rows + ARRAY_SIZE(rows); row++) {
		if (row->len <= 0)
			continue;
		load_code(self, row);
		set_users(self, row, 2, STEP);
		do
			reason = next(self);
		while (reason == KVM_EXIT_DEBUG && !(arch->dr6 & DR6_HITS));
		ASSERT_EQ(KVM_EXIT_DEBUG, reason) {
			TH_LOG("%s", row->name);
		}
		EXPECT_EQ(4 | DR6_BS, arch->dr6 & (DR6_HITS | DR6_BS)) {
			TH_LOG("%s", row->name);
		}
		EXPECT_EQ(expected_rip(row), arch->pc) {
			TH_LOG("%s", row->name);
		}
		/* And the next one goes on. */
		ASSERT_EQ(KVM_EXIT_DEBUG, next(self)) {
			TH_LOG("%s", row->name);
		}
		EXPECT_NE(expected_rip(row), arch->pc) {
			TH_LOG("%s", row->name);
		}
		set_users(self, NULL, 0, 0);
		ASSERT_EQ(GUEST_SYNC, next(self));
	}
}

/* One of any length rings without the emulator, once it is known. */
TEST_F(access, a_doorbell_is_watched)
{
	struct kvm_ioeventfd bell = { .fd = eventfd(0, 0), .addr = DEVICE + 0x10 };
	int i;

	REQUIRE(dev_is_keel());
	ASSERT_EQ(0, __vm_ioctl(self->vm, KVM_IOEVENTFD, &bell));
	for (i = 0; i < 8; i++) {
		load_code(self, rows);
		set_own(self, i < 4 ? NULL : rows, 0);
		ASSERT_EQ(GUEST_SYNC, vcpu_next(self->vcpu));
		EXPECT_EQ(i < 4 ? 0 : 1, self->vcpu->arg[0]);
	}
	close(bell.fd);
}

TEST_F(access, ports_are_watched_with_debugging_extensions_only)
{
	static const struct row row = ROW("out", "\x66\xba\x60\x00\xee", 4, 0, PORT, IO, LEN1, 0);
	struct kvm_sregs sregs;

	REQUIRE(dev_is_keel());
	load_code(self, &row);
	vcpu_get_sregs(self->vcpu, &sregs);
	sregs.cr4 &= ~CR4_DE;
	vcpu_set_sregs(self->vcpu, &sregs);
	set_own(self, &row, 0);
	ASSERT_EQ(GUEST_SYNC, next(self));
	EXPECT_EQ(0, self->vcpu->arg[0]);
}

/* --- what the hardware may not run --------------------------------------- */

GUEST_CODE16(real_code,
	     "	mov $0x5000, %di\n"
	     "real_store:	mov %al, (%di)\n"
	     "real_behind:	nop\n"
	     "real_out:	out %al, $0x60\n"
	     "real_after:	hlt\n"
	     "real_trap:	pop %bp\n"
	     "	mov %dr6, %esi\n"
	     "	hlt");

extern const char real_store[], real_behind[], real_after[], real_trap[];

static u64 real(const char *label)
{
	return REAL_CODE_GPA + (label - real_code);
}

struct real_row {
	struct row row;
	const char *at;
};

TEST_F(access, real_mode)
{
	const struct real_row real_rows[] = {
		{ { .name = "data", .dr = 0x5000, .rw = WRITE }, real_behind },
		{ { .name = "code", .dr = real(real_store), .rw = CODE }, real_store },
		{ { .name = "port", .dr = PORT, .rw = IO }, real_after },
		{ { .name = "none", .dr = 0x5001, .rw = ANY }, NULL },
	}, *r;
	struct kvm_debug_exit_arch *arch = &self->vcpu->run->debug.arch;
	u16 *vector = vm_hva(self->vm, REAL_IVT_GPA + 4 * DB_VECTOR);
	struct kvm_regs regs;

	REQUIRE(dev_is_keel());
	vcpu_free(self->vcpu);
	self->vcpu = vcpu_create_bare(self->vm, 1);
	arch = &self->vcpu->run->debug.arch;
	vcpu_set_cpuid(self->vcpu);
	vm_load(self->vm, REAL_CODE_GPA, real_code, real_code_end);
	vector[0] = real(real_trap);
	vector[1] = 0;
	for (r = real_rows; r < real_rows + ARRAY_SIZE(real_rows); r++) {
		struct kvm_sregs sregs;

		vcpu_set_real(self->vcpu, REAL_CODE_GPA);
		vcpu_get_sregs(self->vcpu, &sregs);
		sregs.cr4 |= CR4_DE;
		vcpu_set_sregs(self->vcpu, &sregs);
		set_own(self, &r->row, 1);
		EXPECT_EQ(KVM_EXIT_HLT, next(self)) {
			TH_LOG("%s", r->row.name);
		}
		vcpu_get_regs(self->vcpu, &regs);
		EXPECT_EQ(r->at ? real(r->at) : 0, regs.rbp) {
			TH_LOG("%s", r->row.name);
		}
		EXPECT_EQ(r->at ? 2 : 0, regs.rsi & DR6_HITS) {
			TH_LOG("%s", r->row.name);
		}

		vcpu_set_real(self->vcpu, REAL_CODE_GPA);
		set_own(self, NULL, 0);
		set_users(self, &r->row, 1, 0);
		if (r->at) {
			EXPECT_EQ(KVM_EXIT_DEBUG, next(self)) {
				TH_LOG("%s", r->row.name);
			}
			EXPECT_EQ(real(r->at), arch->pc) {
				TH_LOG("%s", r->row.name);
			}
			EXPECT_EQ(2, arch->dr6 & DR6_HITS) {
				TH_LOG("%s", r->row.name);
			}
		}
		set_users(self, NULL, 0, 0);
		EXPECT_EQ(KVM_EXIT_HLT, next(self)) {
			TH_LOG("%s", r->row.name);
		}
		vcpu_get_regs(self->vcpu, &regs);
		EXPECT_EQ(0, regs.rbp) {
			TH_LOG("%s", r->row.name);
		}
	}
}

KEEL_TEST_MAIN
