// SPDX-License-Identifier: GPL-2.0
/*
 * The exits that are neither I/O nor memory: HLT, SHUTDOWN, FAIL_ENTRY,
 * INTERNAL_ERROR; and instructions that leave the guest but stay in the kernel.
 * Interrupt windows belong to irq_test.
 */
#include "kselftest_harness.h"
#include "keel_test.h"
#include "guest.h"

FIXTURE(exits) {
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

FIXTURE_SETUP(exits)
{
	self->vm = vm_create();
	self->vcpu = vcpu_create(self->vm, 0, guest_sync_forever);
	self->run = self->vcpu->run;
}

FIXTURE_TEARDOWN(exits)
{
	vcpu_free(self->vcpu);
	vm_free(self->vm);
}

static void guest_hlt(void)
{
	asm volatile("hlt");
	guest_sync(1);
	asm volatile("cli; hlt");
	guest_sync(2);
	guest_done();
}

TEST_F(exits, hlt_and_on)
{
	vcpu_set_long(self->vcpu, guest_hlt);
	EXPECT_EQ(KVM_EXIT_HLT, vcpu_next(self->vcpu));
	EXPECT_EQ(0, self->run->if_flag);
	EXPECT_EQ(1, vcpu_sync(self->vcpu));
	EXPECT_EQ(KVM_EXIT_HLT, vcpu_next(self->vcpu));
	EXPECT_EQ(2, vcpu_sync(self->vcpu));
}

static void guest_sti_hlt(void)
{
	asm volatile("sti; hlt");
	guest_sync(1);
}

TEST_F(exits, hlt_with_interrupts_on)
{
	vcpu_set_long(self->vcpu, guest_sti_hlt);
	EXPECT_EQ(KVM_EXIT_HLT, vcpu_next(self->vcpu));
	EXPECT_EQ(1, self->run->if_flag);
	EXPECT_EQ(1, self->run->ready_for_interrupt_injection);
	EXPECT_EQ(1, vcpu_sync(self->vcpu));
}

static void guest_triple_fault(void)
{
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) none = {};

	asm volatile("lidt %0; ud2" : : "m"(none));
}

TEST_F(exits, triple_fault_is_shutdown)
{
	vcpu_set_long(self->vcpu, guest_triple_fault);
	EXPECT_EQ(KVM_EXIT_SHUTDOWN, vcpu_next(self->vcpu));
	/* It can be used again. */
	vcpu_set_long(self->vcpu, guest_sync_forever);
	EXPECT_EQ(0, vcpu_sync(self->vcpu));
}

TEST_F(exits, invalid_guest_state_is_fail_entry)
{
	struct kvm_sregs good, bad;

	EXPECT_EQ(0, vcpu_sync(self->vcpu));
	vcpu_get_sregs(self->vcpu, &good);
	bad = good;
	/* No processor runs code out of an expand-down data segment. */
	bad.cs.type = 4;
	vcpu_set_sregs(self->vcpu, &bad);
	EXPECT_EQ(KVM_EXIT_FAIL_ENTRY, vcpu_next(self->vcpu));
	EXPECT_EQ(0x80000021, self->run->fail_entry.hardware_entry_failure_reason);
	EXPECT_GT(8192, self->run->fail_entry.cpu);
	/* The failure repeats, and ends when the state is good again. */
	EXPECT_EQ(KVM_EXIT_FAIL_ENTRY, vcpu_next(self->vcpu));
	vcpu_set_sregs(self->vcpu, &good);
	EXPECT_EQ(1, vcpu_sync(self->vcpu));
}

TEST_F(exits, fetch_from_a_device_is_internal_error)
{
	struct kvm_regs regs;

	vcpu_get_regs(self->vcpu, &regs);
	regs.rip = MMIO_GPA;
	vcpu_set_regs(self->vcpu, &regs);
	EXPECT_EQ(KVM_EXIT_INTERNAL_ERROR, vcpu_next(self->vcpu));
	EXPECT_EQ(KVM_INTERNAL_ERROR_EMULATION, self->run->internal.suberror);
	EXPECT_GE(16, self->run->internal.ndata);
	vcpu_get_regs(self->vcpu, &regs);
	EXPECT_EQ(MMIO_GPA, regs.rip);
}

extern const char unemulated_insn[];

static void guest_unemulated(void)
{
	asm volatile("unemulated_insn: paddb (%0), %%mm0" : : "r"(MMIO_GPA));
	guest_done();
}

TEST_F(exits, instruction_nobody_emulates_is_internal_error)
{
	struct kvm_run *run = self->run;
	struct kvm_regs regs;

	vcpu_set_long(self->vcpu, guest_unemulated);
	EXPECT_EQ(KVM_EXIT_INTERNAL_ERROR, vcpu_next(self->vcpu));
	EXPECT_EQ(KVM_INTERNAL_ERROR_EMULATION, run->internal.suberror);
	vcpu_get_regs(self->vcpu, &regs);
	EXPECT_EQ((unsigned long)unemulated_insn, regs.rip);
	if (run->emulation_failure.ndata >= 3 &&
	    run->emulation_failure.flags &
	    KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES) {
		EXPECT_LE(2, run->emulation_failure.insn_size);
		EXPECT_GE(15, run->emulation_failure.insn_size);
		EXPECT_EQ(0, memcmp(run->emulation_failure.insn_bytes,
				    unemulated_insn, 2));
	}
}

static void guest_ud2_after_mmio(void)
{
	guest_read32(MMIO_GPA);
	asm volatile("ud2");
}

TEST_F(exits, event_delivery_through_a_device_is_internal_error)
{
	struct kvm_run *run = self->run;
	struct kvm_sregs sregs;

	/* The IDT lies in no slot: the processor cannot read the gate. */
	vcpu_set_long(self->vcpu, guest_ud2_after_mmio);
	vcpu_get_sregs(self->vcpu, &sregs);
	sregs.idt.base = MMIO_GPA;
	vcpu_set_sregs(self->vcpu, &sregs);
	EXPECT_EQ(KVM_EXIT_MMIO, vcpu_next(self->vcpu));
	EXPECT_EQ(KVM_EXIT_INTERNAL_ERROR, vcpu_next(self->vcpu));
	EXPECT_EQ(KVM_INTERNAL_ERROR_DELIVERY_EV, run->internal.suberror);
	ASSERT_LE(2, run->internal.ndata);
	/* What was being delivered, hardware exception 6; and by which exit. */
	EXPECT_EQ(0x80000306, run->internal.data[0]);
	EXPECT_TRUE(run->internal.data[1] == 48 || run->internal.data[1] == 49);
}

static void guest_quiet(void)
{
	uint32_t r[4], lo, hi;
	uint64_t x;

	asm volatile("cpuid" : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3])
		     : "a"(0), "c"(0));
	asm volatile("rdtsc" : "=a"(lo), "=d"(hi));
	asm volatile("pause");
	asm volatile("invlpg (%0)" : : "r"(DATA_GPA) : "memory");
	asm volatile("wbinvd" : : : "memory");
	asm volatile("mov %%cr0, %0; mov %0, %%cr0" : "=r"(x) : : "memory");
	asm volatile("mov %%cr3, %0; mov %0, %%cr3" : "=r"(x) : : "memory");
	asm volatile("mov %%cr4, %0; mov %0, %%cr4" : "=r"(x) : : "memory");
	asm volatile("clts");
	asm volatile("smsw %0; lmsw %w0" : "=r"(x));
	asm volatile("mov %%dr7, %0; mov %0, %%dr7" : "=r"(x));
	asm volatile("mov %%dr6, %0; mov %0, %%dr6" : "=r"(x));
	guest_done();
}

TEST_F(exits, quiet_instructions_stay_in_the_kernel)
{
	vcpu_set_long(self->vcpu, guest_quiet);
	vcpu_done(self->vcpu);
}

#define GUEST_TRAPS(name, insn)						\
static int guest_try_##name(void)					\
{									\
	GUEST_TRY_TRAP(trap);						\
									\
	asm volatile(GUEST_TRY(insn) : "=&r"(trap)			\
		     : "a"(DATA_GPA), "c"(0), "d"(0) : "memory", "rbx");\
	return trap;							\
}

GUEST_TRAPS(vmxon, "vmxon (%%rax)")
GUEST_TRAPS(vmclear, "vmclear (%%rax)")
GUEST_TRAPS(vmptrld, "vmptrld (%%rax)")
GUEST_TRAPS(vmread, "vmread %%rcx, %%rax")
GUEST_TRAPS(vmlaunch, "vmlaunch")
GUEST_TRAPS(vmresume, "vmresume")
GUEST_TRAPS(vmxoff, "vmxoff")
GUEST_TRAPS(vmfunc, "vmfunc")
GUEST_TRAPS(ud2, "ud2")

static void guest_vmx_instructions(void)
{
	guest_sync(guest_try_vmxon());
	guest_sync(guest_try_vmclear());
	guest_sync(guest_try_vmptrld());
	guest_sync(guest_try_vmread());
	guest_sync(guest_try_vmlaunch());
	guest_sync(guest_try_vmresume());
	guest_sync(guest_try_vmxoff());
	guest_sync(guest_try_vmfunc());
	guest_sync(guest_try_ud2());
	guest_done();
}

TEST_F(exits, vmx_instructions_are_ud_without_vmx)
{
	struct kvm_cpuid2 *cpuid = cpuid_supported(self->vm->dev);
	struct kvm_cpuid_entry2 *e = cpuid_find(cpuid, 1, 0);
	int i;

	e->ecx &= ~(1u << 5);
	vcpu_free(self->vcpu);
	self->vcpu = vcpu_create_bare(self->vm, 1);
	vcpu_ioctl(self->vcpu, KVM_SET_CPUID2, cpuid);
	vcpu_set_long(self->vcpu, guest_vmx_instructions);
	for (i = 0; i < 9; i++)
		EXPECT_EQ(GUEST_UD, vcpu_sync(self->vcpu)) {
			TH_LOG("instruction %d", i);
		}
	vcpu_done(self->vcpu);
	free(cpuid);
}

static int guest_try_cr0_pg_without_pe(void)
{
	GUEST_TRY_TRAP(trap);

	asm volatile(GUEST_TRY("mov %1, %%cr0")
		     : "=&r"(trap) : "r"(CR0_PG | CR0_ET) : "memory");
	return trap;
}

static int guest_try_cr4(uint64_t value)
{
	GUEST_TRY_TRAP(trap);

	asm volatile(GUEST_TRY("mov %1, %%cr4") : "=&r"(trap) : "r"(value) : "memory");
	return trap;
}

static int guest_try_cr8(uint64_t value)
{
	GUEST_TRY_TRAP(trap);

	asm volatile(GUEST_TRY("mov %1, %%cr8") : "=&r"(trap) : "r"(value) : "memory");
	return trap;
}

static int guest_try_rdpmc(uint32_t index)
{
	GUEST_TRY_TRAP(trap);

	asm volatile(GUEST_TRY("rdpmc") : "=&r"(trap) : "c"(index) : "rax", "rdx");
	return trap;
}

static void guest_bad_control_registers(void)
{
	guest_sync(guest_try_cr0_pg_without_pe());
	guest_sync(guest_try_cr4(guest_read_cr4() | 1UL << 40));
	guest_sync(guest_try_cr4(guest_read_cr4() & ~CR4_PAE));
	guest_sync(guest_try_cr8(16));
	guest_sync(guest_try_rdpmc(0x4000ffff));
	guest_done();
}

TEST_F(exits, bad_control_register_values_are_gp)
{
	int i;

	vcpu_set_long(self->vcpu, guest_bad_control_registers);
	for (i = 0; i < 5; i++)
		EXPECT_EQ(GUEST_GP, vcpu_sync(self->vcpu)) {
			TH_LOG("write %d", i);
		}
	vcpu_done(self->vcpu);
}

KEEL_TEST_MAIN
