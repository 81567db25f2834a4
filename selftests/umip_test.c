// SPDX-License-Identifier: GPL-2.0
/*
 * CR4.UMIP, which a CPU may lack and a hypervisor can offer all the same: user
 * code learns nothing of the descriptor tables, the kernel uses them as before.
 */
#include "kselftest_harness.h"
#include "keel_test.h"
#include "guest.h"

#define USER_GVA	0x8000126000UL	/* code, and behind it what it stores */
#define USER_GPA	(DATA_GPA + 0x6000)
#define CR4_UMIP	(1UL << 11)

enum { SGDT, SIDT, SLDT, STR, SLDT_REG, STR_REG, INSNS };

/* What user code runs: the operand is at rbx, and ud2 says that it got that far. */
static const struct {
	const char *name;
	u8 code[8];
} insns[INSNS] = {
	[SGDT]		= { "sgdt", { 0x0f, 0x01, 0x03, 0x0f, 0x0b } },
	[SIDT]		= { "sidt", { 0x0f, 0x01, 0x0b, 0x0f, 0x0b } },
	[SLDT]		= { "sldt", { 0x0f, 0x00, 0x03, 0x0f, 0x0b } },
	[STR]		= { "str", { 0x0f, 0x00, 0x0b, 0x0f, 0x0b } },
	[SLDT_REG]	= { "sldt reg", { 0x48, 0x0f, 0x00, 0xc2, 0x0f, 0x0b } },
	[STR_REG]	= { "str reg", { 0x48, 0x0f, 0x00, 0xca, 0x0f, 0x0b } },
};

struct table {
	u16 limit;
	u64 base;
} __attribute__((packed));

struct tables {
	struct table gdt, idt;
	u16 ldt, tr;
};

static void on_fault(struct guest_trap *trap)
{
	guest_sync3(trap->vector, trap->error, trap->rip);
}

static void store(struct tables *t)
{
	asm volatile("sgdt %0" : "=m"(t->gdt));
	asm volatile("sidt %0" : "=m"(t->idt));
	asm volatile("sldt %0" : "=m"(t->ldt));
	asm volatile("str %0" : "=m"(t->tr));
}

static bool same(const struct tables *a, const struct tables *b)
{
	return a->gdt.limit == b->gdt.limit && a->gdt.base == b->gdt.base &&
	       a->idt.limit == b->idt.limit && a->idt.base == b->idt.base && a->ldt == b->ldt &&
	       a->tr == b->tr;
}

static void guest_prepare(void)
{
	guest_handler[6] = on_fault;
	guest_handler[13] = on_fault;
	guest_sync(0);
}

/* The kernel of a guest that has UMIP on. */
static void guest_kernel(void)
{
	struct tables before, after;
	u64 ldt, tr;

	store(&before);
	guest_write_cr4(guest_read_cr4() | CR4_UMIP);
	guest_sync3(guest_read_cr4() & CR4_UMIP, 0, 0);
	store(&after);
	guest_sync3(same(&before, &after), 0, 0);
	asm volatile("lgdt %0" : : "m"(before.gdt));
	asm volatile("lidt %0" : : "m"(before.idt));
	asm volatile("lldt %0" : : "r"((u16)0));
	asm volatile("sldt %0" : "=r"(ldt));
	asm volatile("str %0" : "=r"(tr));
	store(&after);
	guest_sync3(same(&before, &after), ldt == before.ldt && tr == before.tr, 0);
	guest_write_cr4(guest_read_cr4() & ~CR4_UMIP);
	store(&after);
	guest_sync3(same(&before, &after), guest_read_cr4() & CR4_UMIP, 0);
}

FIXTURE(umip) {
	struct vm *vm;
	struct vcpu *vcpu;
	bool offered;
};

typedef FIXTURE_DATA(umip) fixture_t;

FIXTURE_SETUP(umip)
{
	struct kvm_cpuid2 *cpuid;

	self->vm = vm_create();
	cpuid = cpuid_supported(self->vm->dev);
	self->offered = cpuid_find(cpuid, 7, 0)->ecx & 1 << 2;
	free(cpuid);
	self->vcpu = vcpu_create(self->vm, 0, guest_prepare);
}

FIXTURE_TEARDOWN(umip)
{
	vcpu_free(self->vcpu);
	vm_free(self->vm);
}

/* Run one of the instructions at CPL 3: the vector that ended it. */
static u64 run_user(fixture_t *self, int insn, bool umip)
{
	struct kvm_sregs s;
	struct kvm_regs r;

	memcpy(vm_hva(self->vm, USER_GPA), insns[insn].code, sizeof(insns[insn].code));
	vcpu_get_sregs(self->vcpu, &s);
	s.cs.selector = 0x43;
	s.ss.selector = 0x4b;
	s.cs.dpl = 3;
	s.ss.dpl = 3;
	s.cr4 = umip ? s.cr4 | CR4_UMIP : s.cr4 & ~CR4_UMIP;
	vcpu_set_sregs(self->vcpu, &s);
	vcpu_get_regs(self->vcpu, &r);
	r.rip = USER_GVA;
	r.rsp = USER_GVA + PAGE;
	r.rbx = USER_GVA + 0x800;
	r.rdx = 0;
	r.rflags = 2;
	vcpu_set_regs(self->vcpu, &r);
	return vcpu_sync(self->vcpu);
}

static void prepare_user(fixture_t *self)
{
	vcpu_sync(self->vcpu);
	/* RSP0: where its handler's stack is. */
	*(u64 *)(vm_hva(self->vm, TSS_GPA) + 4) = STACKS_GPA + STACK_SIZE;
	vm_map(self->vm, USER_GVA, USER_GPA, PT_P | PT_W | PT_U);
}

TEST_F(umip, user_code_is_refused)
{
	int i;

	REQUIRE(self->offered);
	prepare_user(self);
	for (i = 0; i < INSNS; i++) {
		memset(vm_hva(self->vm, USER_GPA) + 0x800, 0xa5, 16);
		EXPECT_EQ(13, run_user(self, i, true)) {
			TH_LOG("%s", insns[i].name);
		}
		EXPECT_EQ(0, self->vcpu->arg[1]);
		EXPECT_EQ(USER_GVA, self->vcpu->arg[2]);
		EXPECT_EQ(0xa5a5a5a5a5a5a5a5, *(u64 *)(vm_hva(self->vm, USER_GPA) + 0x800));
	}
}

TEST_F(umip, user_code_without_it_is_served)
{
	int i;

	prepare_user(self);
	for (i = 0; i < INSNS; i++) {
		EXPECT_EQ(6, run_user(self, i, false)) {
			TH_LOG("%s", insns[i].name);
		}
	}
}

TEST_F(umip, the_kernel_goes_on_as_before)
{
	REQUIRE(self->offered);
	vcpu_set_long(self->vcpu, guest_kernel);
	EXPECT_EQ(CR4_UMIP, vcpu_sync(self->vcpu));
	EXPECT_EQ(1, vcpu_sync(self->vcpu));
	EXPECT_EQ(1, vcpu_sync(self->vcpu));
	EXPECT_EQ(1, self->vcpu->arg[1]);
	EXPECT_EQ(1, vcpu_sync(self->vcpu));
	EXPECT_EQ(0, self->vcpu->arg[1]);
}

/* Where it is not offered the bit is as reserved as any other. */
TEST_F(umip, not_offered_is_reserved)
{
	struct kvm_sregs s;

	REQUIRE(!self->offered);
	vcpu_get_sregs(self->vcpu, &s);
	s.cr4 |= CR4_UMIP;
	EXPECT_EQ(-EINVAL, __vcpu_ioctl(self->vcpu, KVM_SET_SREGS, &s));
}

KEEL_TEST_MAIN
