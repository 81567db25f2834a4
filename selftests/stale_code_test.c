// SPDX-License-Identifier: GPL-2.0
/*
 * A guest may have any instruction emulated: its processor runs a store or a
 * load on a device from page A, which its TLB still holds, while its tables lead
 * to page B, where the emulator finds another instruction. That one must meet
 * the same filters, exits and rights as if the processor had run it.
 */
#include "kselftest_harness.h"
#include "keel_test.h"
#include "control.h"
#include "guest.h"

#define CODE_GVA	0x8000123000UL
#define DEVICE_GVA	0x8000200000UL	/* a page of the device, mapped read-only */
#define A_GPA		DATA_GPA
#define B_GPA		(DATA_GPA + PAGE)
#define USER_GVA	0x8000126000UL	/* code and stack of user code */
#define USER_GPA	(DATA_GPA + 2 * PAGE)
#define PTE_GVA		0x8000127000UL	/* the page of CODE_GVA's page-table entry */
#define RET		0xc3
#define ENTRY		16		/* of the instruction in its page; RET at 0 */
#define MSR_SYSENTER_CS	0x174
#define VALUE		0x1122334455667788UL

static volatile u64 guest_pte, guest_pte_a, guest_pte_b;
static volatile u64 guest_rax, guest_rcx, guest_rdx, guest_rdi;
static u64 guest_vector, guest_error;

/* Give up the instruction: go on after the call. */
static void on_fault(struct guest_trap *trap)
{
	guest_vector = trap->vector;
	guest_error = trap->error;
	trap->rip = *(u64 *)trap->rsp;
	trap->rsp += 8;
}

/* Fill the TLB from page A, let the tables lead to page B, and call. */
static void guest_main(void)
{
	volatile u64 *pte = (volatile u64 *)guest_pte;

	guest_handler[6] = on_fault;
	guest_handler[13] = on_fault;
	guest_handler[14] = on_fault;
	for (;;) {
		u64 rax = guest_rax, rcx = guest_rcx, rdx = guest_rdx, rdi = guest_rdi;
		u64 code = CODE_GVA;

		guest_vector = 0;
		*pte = guest_pte_a;
		asm volatile("invlpg (%0)" : : "r"(code) : "memory");
		asm volatile("call *%[code]\n\t"
			     "mov %[b], (%[pte])\n\t"
			     "add %[entry], %[code]\n\t"
			     "call *%[code]"
			     : "+a"(rax), "+c"(rcx), "+d"(rdx), "+D"(rdi), [code] "+r"(code)
			     : [b] "r"(guest_pte_b), [pte] "r"(pte),
			       [entry] "i"(ENTRY)
			     : "memory", "cc");
		guest_sync3(guest_vector, guest_error, rdx << 32 | (u32)rax);
	}
}

FIXTURE(stale_code) {
	struct vm *vm;
	struct vcpu *vcpu;
	u64 emulated;
};

typedef FIXTURE_DATA(stale_code) fixture_t;

FIXTURE_SETUP(stale_code)
{
	u64 pte;

	self->vm = vm_create();
	self->vcpu = vcpu_create(self->vm, 0, guest_main);
	memset(vm_hva(self->vm, A_GPA), RET, 2 * PAGE);
	vm_map(self->vm, CODE_GVA, A_GPA, PT_P | PT_W);
	vm_map(self->vm, DEVICE_GVA, MMIO_GPA, PT_P | PT_A | PT_D);
	pte = vm_pte_gpa(self->vm, CODE_GVA);
	GUEST_VAR(self->vm, guest_pte) = pte;
	GUEST_VAR(self->vm, guest_pte_a) = A_GPA | PT_P | PT_W | PT_A | PT_D;
	GUEST_VAR(self->vm, guest_pte_b) = B_GPA | PT_P | PT_W | PT_A | PT_D;
	GUEST_VAR(self->vm, guest_rdi) = MMIO_GPA;
}

FIXTURE_TEARDOWN(stale_code)
{
	vcpu_free(self->vcpu);
	vm_free(self->vm);
}

static void load(struct vm *vm, u64 gpa, const void *code, size_t len)
{
	memset(vm_hva(vm, gpa + ENTRY), RET, 16);
	memcpy(vm_hva(vm, gpa + ENTRY), code, len);
}

/* What the processor runs, and what is there when it is emulated. */
#define LOAD(self, a, b) do {						\
	load((self)->vm, A_GPA, a, sizeof(a) - 1);			\
	load((self)->vm, B_GPA, b, sizeof(b) - 1);			\
	(self)->emulated = counter((self)->vcpu->fd, "emulated");	\
} while (0)

#define STORE	"\x89\x07"		/* mov %eax, (%rdi) */
#define FETCH	"\x8b\x07"		/* mov (%rdi), %eax */
#define RDMSR	"\x0f\x32"
#define WRMSR	"\x0f\x30"
#define TO_CR8	"\x44\x0f\x22\xc0"

/* Has it been emulated at all? Otherwise the test has asked the processor alone. */
static bool was_emulated(fixture_t *self)
{
	return counter(self->vcpu->fd, "emulated") > self->emulated;
}

static void deny_sysenter_cs(struct vm *vm)
{
	static u8 bits[1];
	struct kvm_msr_filter f = {
		.ranges[0] = {
			.flags = KVM_MSR_FILTER_READ | KVM_MSR_FILTER_WRITE, .nmsrs = 1,
			.base = MSR_SYSENTER_CS, .bitmap = bits,
		},
	};

	vm_ioctl(vm, KVM_X86_SET_MSR_FILTER, &f);
}

static void ask_userspace(struct vm *vm)
{
	struct kvm_enable_cap cap = {
		.cap = KVM_CAP_X86_USER_SPACE_MSR, .args = { KVM_MSR_EXIT_REASON_FILTER },
	};

	vm_ioctl(vm, KVM_ENABLE_CAP, &cap);
}

static void prepare_msr(fixture_t *self)
{
	GUEST_VAR(self->vm, guest_rcx) = MSR_SYSENTER_CS;
	GUEST_VAR(self->vm, guest_rax) = (u32)VALUE;
	GUEST_VAR(self->vm, guest_rdx) = VALUE >> 32;
}

TEST_F(stale_code, an_emulated_rdmsr_and_wrmsr_do_what_the_processor_does)
{
	u64 value;

	prepare_msr(self);
	LOAD(self, STORE, WRMSR);
	EXPECT_EQ(0, vcpu_sync(self->vcpu));
	EXPECT_TRUE(was_emulated(self));
	EXPECT_EQ(1, __vcpu_get_msr(self->vcpu, MSR_SYSENTER_CS, &value));
	EXPECT_EQ((u32)VALUE, value);
	LOAD(self, STORE, RDMSR);
	EXPECT_EQ(0, vcpu_sync(self->vcpu));
	EXPECT_TRUE(was_emulated(self));
	EXPECT_EQ((u32)VALUE, self->vcpu->arg[2]);
}

TEST_F(stale_code, a_filtered_msr_is_gp)
{
	u64 value;

	REQUIRE(vm_has(self->vm, KVM_CAP_X86_MSR_FILTER));
	deny_sysenter_cs(self->vm);
	prepare_msr(self);
	LOAD(self, STORE, WRMSR);
	EXPECT_EQ(13, vcpu_sync(self->vcpu));
	EXPECT_EQ(1, __vcpu_get_msr(self->vcpu, MSR_SYSENTER_CS, &value));
	EXPECT_EQ(0, value);
	LOAD(self, STORE, RDMSR);
	EXPECT_EQ(13, vcpu_sync(self->vcpu));
	EXPECT_EQ(0, self->vcpu->arg[1]);
}

TEST_F(stale_code, userspace_answers_for_a_filtered_msr)
{
	struct kvm_run *run = self->vcpu->run;

	REQUIRE(vm_has(self->vm, KVM_CAP_X86_MSR_FILTER));
	REQUIRE(vm_has(self->vm, KVM_CAP_X86_USER_SPACE_MSR));
	deny_sysenter_cs(self->vm);
	ask_userspace(self->vm);
	prepare_msr(self);
	LOAD(self, STORE, RDMSR);
	ASSERT_EQ(KVM_EXIT_X86_RDMSR, vcpu_next(self->vcpu));
	EXPECT_EQ(MSR_SYSENTER_CS, run->msr.index);
	EXPECT_EQ(KVM_MSR_EXIT_REASON_FILTER, run->msr.reason);
	run->msr.data = VALUE;
	/* Code is not fetched again for the answer. */
	memset(vm_hva(self->vm, B_GPA + ENTRY), 0xcc, 2);
	EXPECT_EQ(0, vcpu_sync(self->vcpu));
	EXPECT_TRUE(was_emulated(self));
	EXPECT_EQ(VALUE, self->vcpu->arg[2]);

	LOAD(self, STORE, WRMSR);
	ASSERT_EQ(KVM_EXIT_X86_WRMSR, vcpu_next(self->vcpu));
	EXPECT_EQ(VALUE, run->msr.data);
	run->msr.error = 1;
	EXPECT_EQ(13, vcpu_sync(self->vcpu));
}

TEST_F(stale_code, an_immediate_exit_finishes_the_access_first)
{
	struct kvm_run *run = self->vcpu->run;
	struct kvm_regs regs;

	REQUIRE(vm_has(self->vm, KVM_CAP_X86_MSR_FILTER));
	REQUIRE(vm_has(self->vm, KVM_CAP_X86_USER_SPACE_MSR));
	deny_sysenter_cs(self->vm);
	ask_userspace(self->vm);
	prepare_msr(self);
	LOAD(self, STORE, RDMSR);
	ASSERT_EQ(KVM_EXIT_X86_RDMSR, vcpu_next(self->vcpu));
	run->msr.data = VALUE;
	run->immediate_exit = 1;
	EXPECT_EQ(-EINTR, __vcpu_run(self->vcpu));
	run->immediate_exit = 0;
	vcpu_get_regs(self->vcpu, &regs);
	EXPECT_EQ((u32)VALUE, regs.rax);
	EXPECT_EQ(VALUE >> 32, regs.rdx);
	EXPECT_EQ(CODE_GVA + ENTRY + 2, regs.rip);
	EXPECT_EQ(0, vcpu_sync(self->vcpu));
}

TEST_F(stale_code, a_lower_task_priority_is_told_to_userspace)
{
	int exit;

	GUEST_VAR(self->vm, guest_rax) = 3;
	self->vcpu->run->cr8 = 9;
	LOAD(self, STORE, TO_CR8);
	exit = vcpu_next(self->vcpu);
	ASSERT_EQ(KVM_EXIT_SET_TPR, exit);
	EXPECT_TRUE(was_emulated(self));
	EXPECT_EQ(3, self->vcpu->run->cr8);
	EXPECT_EQ(0, vcpu_sync(self->vcpu));
}

/*
 * The same trick of user code, which can write to its own page-table entry here:
 * rbx is the code, rcx the entry for page B, which is at rdx, rdi the device.
 */
extern const u8 user_code[], user_code_end[];

#define USER_TEXT		\
	".pushsection .rodata\n"\
	"user_code:\n"		\
	"call *%rbx\n"		\
	"mov %rcx, (%rdx)\n"	\
	"add $16, %rbx\n"	\
	"call *%rbx\n"		\
	"ud2\n"			\
	"user_code_end:\n"	\
	".popsection\n"

asm(USER_TEXT);

static void on_user_fault(struct guest_trap *trap)
{
	guest_sync3(trap->vector, trap->error, 0);
}

static void guest_prepare(void)
{
	guest_handler[6] = on_user_fault;
	guest_handler[14] = on_user_fault;
	guest_sync(0);
}

static void prepare_user(fixture_t *self)
{
	u64 pte = vm_pte_gpa(self->vm, CODE_GVA);

	vcpu_set_long(self->vcpu, guest_prepare);
	vcpu_sync(self->vcpu);
	/* RSP0: where its handler's stack is. */
	*(u64 *)(vm_hva(self->vm, TSS_GPA) + 4) = STACKS_GPA + STACK_SIZE;
	vm_load(self->vm, USER_GPA, user_code, user_code_end);
	vm_map(self->vm, CODE_GVA, A_GPA, PT_P | PT_W | PT_U);
	vm_map(self->vm, USER_GVA, USER_GPA, PT_P | PT_W | PT_U);
	vm_map(self->vm, PTE_GVA, pte & ~(PAGE - 1), PT_P | PT_W | PT_U);
	vm_map(self->vm, DEVICE_GVA, MMIO_GPA, PT_P | PT_U | PT_A | PT_D);
}

/* Enter user code, with page A in the tables and no translation of before. */
static void enter_user(fixture_t *self)
{
	u64 flags = PT_P | PT_W | PT_U | PT_A | PT_D, pte = vm_pte_gpa(self->vm, CODE_GVA);
	struct kvm_sregs s;
	struct kvm_regs r;

	*(u64 *)vm_hva(self->vm, pte) = A_GPA | flags;
	vcpu_get_sregs(self->vcpu, &s);
	s.cs.selector = 0x43;
	s.cs.dpl = 3;
	s.ss.selector = 0x4b;
	s.ss.dpl = 3;
	vcpu_set_sregs(self->vcpu, &s);
	vcpu_get_regs(self->vcpu, &r);
	r.rip = USER_GVA;
	r.rsp = USER_GVA + PAGE;
	r.rbx = CODE_GVA;
	r.rcx = B_GPA | flags;
	r.rdx = PTE_GVA + pte % PAGE;
	r.rdi = DEVICE_GVA;
	r.rflags = 2;
	vcpu_set_regs(self->vcpu, &r);
}

/* Loads first: the verdict on the page is in the tables and in the vCPU's cache. */
TEST_F(stale_code, a_load_of_user_code_does_not_become_a_store_to_a_read_only_page)
{
	int i;

	prepare_user(self);
	LOAD(self, FETCH, FETCH);
	for (i = 0; i < 2; i++) {
		enter_user(self);
		ASSERT_EQ(KVM_EXIT_MMIO, vcpu_next(self->vcpu));
		EXPECT_EQ(6, vcpu_sync(self->vcpu));
	}
	LOAD(self, FETCH, STORE);
	enter_user(self);
	ASSERT_EQ(GUEST_SYNC, vcpu_next(self->vcpu));
	EXPECT_EQ(14, self->vcpu->arg[0]);
	EXPECT_EQ(7, self->vcpu->arg[1]);
}

KEEL_TEST_MAIN
