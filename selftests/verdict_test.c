// SPDX-License-Identifier: GPL-2.0
/*
 * The MMIO cache of a vCPU after what changes translation, and MMIO entries where
 * stored numbers come round, in cases that take a test build of the module. The
 * rules of the protocol, one by one, are protocol_test's.
 */
#include <pthread.h>
#include "kselftest_harness.h"
#include "control.h"
#include "guest.h"

#define X		MMIO_GPA		/* in no slot */
#define Y		(X + PAGE)
#define ELSEWHERE	0x30000000UL		/* slots that nobody looks at */
#define DEVICE		0xdead00000000UL	/* what the device answers, and the address */
#define MEMORY		0x3e30UL
#define SMM_SLOT(id)	(1 << 16 | (id))
#define CR4_PGE		(1UL << 7)
#define HOLD_MS		400

enum { READ, TOGGLE_CR0, TOGGLE_CR4, TOGGLE_EFER, REPLACED };

static struct order {
	u64 op, value;
} order;

/* With an instruction of three bytes that another takes the place of. */
u64 guest_replaced(u64 at);
extern const char replaced[], invlpg[], mov_to_cr3[];
asm(".pushsection .rodata\n"
	"guest_replaced: mov %cr3, %rax\n"
	"replaced: mov (%rdi), %rax\n"
	"ret\n"
	"invlpg: invlpg (%rdi)\n"
	"mov_to_cr3: mov %rax, %cr3\n"
	".popsection\n");

static u64 guest_do(u64 op, u64 value)
{
	u64 efer;

	switch (op) {
	case READ:
		return guest_read64(value);
	case TOGGLE_CR0:
		guest_write_cr0(guest_read_cr0() ^ value);
		return 0;
	case TOGGLE_CR4:
		guest_write_cr4(guest_read_cr4() ^ value);
		return 0;
	case TOGGLE_EFER:
		guest_rdmsr(MSR_EFER, &efer);
		return guest_wrmsr(MSR_EFER, efer ^ value);
	}
	return guest_replaced(value);
}

static void guest_main(void)
{
	u64 result = 0;

	for (;;) {
		guest_sync(result);
		result = guest_do(order.op, order.value);
	}
}

FIXTURE(verdict) {
	struct vm *vm;
	struct vcpu *vcpu;
	u8 *mem;		/* begins with MEMORY */
	int added;
};

typedef FIXTURE_DATA(verdict) fixture_t;

FIXTURE_SETUP(verdict)
{
	if (!test_is_wanted(_metadata->name))
		SKIP(longjmp(_metadata->env, 1), "not asked for");
	self->vm = vm_create();
	self->vcpu = vcpu_create(self->vm, 0, guest_main);
	self->mem = anon_alloc(PAGE);
	*(u64 *)self->mem = MEMORY;
	vcpu_sync(self->vcpu);
}

FIXTURE_TEARDOWN(verdict)
{
	vcpu_free(self->vcpu);
	vm_free(self->vm);
	munmap(self->mem, PAGE);
}

#define REQUIRE_CONTROL()						\
	REQUIRE(has_control(self->vm) && parameter_is_on("mmio_caching"))

/* The device answers until the guest is done. */
static u64 run_order(struct vcpu *vcpu)
{
	u64 answer;
	int reason;

	while ((reason = vcpu_next(vcpu)) == KVM_EXIT_MMIO) {
		answer = DEVICE | vcpu->run->mmio.phys_addr;
		memcpy(vcpu->run->mmio.data, &answer, sizeof(answer));
	}
	CHECK(reason == GUEST_SYNC, "exit %d", reason);
	return vcpu->arg[0];
}

static void give(struct vcpu *vcpu, u64 op, u64 value)
{
	GUEST_VAR(vcpu->vm, order) = (struct order){ .op = op, .value = value };
}

static u64 perform(struct vcpu *vcpu, u64 op, u64 value)
{
	give(vcpu, op, value);
	return run_order(vcpu);
}

static u64 read_at(struct vcpu *vcpu, u64 gpa)
{
	return perform(vcpu, READ, gpa);
}

static bool cached(struct vcpu *vcpu)
{
	struct cache_state c;

	get_cache(vcpu, &c);
	return c.valid;
}

/* --- what the cache does not outlive --------------------------------------- */

static void expect_forgotten(struct __test_metadata *_metadata, struct vcpu *vcpu, u64 op,
			     u64 value)
{
	EXPECT_EQ(DEVICE | X, read_at(vcpu, X));
	EXPECT_TRUE(cached(vcpu));
	EXPECT_EQ(0, perform(vcpu, op, value));
	EXPECT_FALSE(cached(vcpu)) {
		TH_LOG("operation %lu with %#lx", op, value);
	}
}

TEST_F(verdict, forgotten_with_paging_bits_of_control_registers)
{
	REQUIRE_CONTROL();
	expect_forgotten(_metadata, self->vcpu, TOGGLE_CR0, CR0_WP);
	expect_forgotten(_metadata, self->vcpu, TOGGLE_CR4, CR4_PGE);
	expect_forgotten(_metadata, self->vcpu, TOGGLE_EFER, EFER_NX);
	/* And is not where translation stays what it is. */
	read_at(self->vcpu, X);
	perform(self->vcpu, TOGGLE_CR0, CR0_TS);
	EXPECT_TRUE(cached(self->vcpu));
}

static void *run_in_thread(void *vcpu)
{
	run_order(vcpu);
	return NULL;
}

/*
 * INVLPG and MOV to CR3 do not exit. The kernel executes one nevertheless if it
 * has taken the place of an instruction that has met a device.
 */
static void replace_by(fixture_t *self, const char *insn)
{
	u8 *place = vm_hva(self->vm, (u64)replaced);
	u8 original[3];
	pthread_t thread;

	memcpy(original, place, 3);
	give(self->vcpu, REPLACED, Y);
	set_delay(self->vm, "looked_up", HOLD_MS);
	CHECK(!pthread_create(&thread, NULL, run_in_thread, self->vcpu), "no thread");
	wait_until_held(self->vm, "looked_up");
	memcpy(place, insn, 3);
	pthread_join(thread, NULL);
	memcpy(place, original, 3);
}

static void prepare_replacement(struct __test_metadata *_metadata, fixture_t *self)
{
	/* The code is mapped, so that no fault but the one that is meant is held. */
	EXPECT_EQ(DEVICE | X, perform(self->vcpu, REPLACED, X));
	EXPECT_EQ(DEVICE | X, read_at(self->vcpu, X));
	EXPECT_TRUE(cached(self->vcpu));
}

TEST_F(verdict, forgotten_with_a_page_that_is_invalidated)
{
	REQUIRE_CONTROL();
	prepare_replacement(_metadata, self);
	replace_by(self, invlpg);
	EXPECT_FALSE(cached(self->vcpu));
}

TEST_F(verdict, forgotten_with_the_tables)
{
	REQUIRE_CONTROL();
	prepare_replacement(_metadata, self);
	replace_by(self, mov_to_cr3);
	EXPECT_FALSE(cached(self->vcpu));
}

/* CR0.CD and NW have no other effect on translation than that these are loaded. */
GUEST_CODE32(load_pdptrs,
	     "movl 0x10000000, %eax\n"
	     "out %eax, $0x60\n"
	     "movl %cr0, %eax\n"
	     "xorl $0x60000000, %eax\n"
	     "movl %eax, %cr0\n"
	     "hlt\n");

static void set_pae(struct vcpu *vcpu, const void *code)
{
	struct kvm_sregs sregs;

	vcpu_set_prot32(vcpu, code);
	vcpu_get_sregs(vcpu, &sregs);
	sregs.cr4 |= CR4_PAE;
	sregs.cr3 = PAE_PDPT_GPA;
	sregs.cr0 |= CR0_PG;
	vcpu_set_sregs(vcpu, &sregs);
}

TEST_F(verdict, forgotten_with_the_directory_pointers)
{
	struct vcpu *vcpu = vcpu_create_bare(self->vm, 1);

	REQUIRE_CONTROL();
	vcpu_set_cpuid(vcpu);
	set_pae(vcpu, load_pdptrs);
	EXPECT_EQ(KVM_EXIT_MMIO, vcpu_next(vcpu));
	EXPECT_EQ(KVM_EXIT_IO, vcpu_next(vcpu));
	EXPECT_TRUE(cached(vcpu));
	EXPECT_EQ(KVM_EXIT_HLT, vcpu_next(vcpu));
	EXPECT_FALSE(cached(vcpu));
	vcpu_free(vcpu);
}

/* --- the wrap --------------------------------------------------------------- */

static void enter_smm(struct vcpu *vcpu)
{
	struct kvm_vcpu_events events;

	vcpu_ioctl(vcpu, KVM_GET_VCPU_EVENTS, &events);
	events.flags = KVM_VCPUEVENT_VALID_SMM;
	events.smi.smm = 1;
	vcpu_ioctl(vcpu, KVM_SET_VCPU_EVENTS, &events);
}

/* Memory comes to X as the number in its entry comes round again. */
TEST_F(verdict, wrap_in_the_other_address_space)
{
	REQUIRE_CONTROL();
	REQUIRE(vm_has(self->vm, KVM_CAP_MULTI_ADDRESS_SPACE));
	vm_set_slot(self->vm, SMM_SLOT(0), 0, 0, self->vm->mem_size, self->vm->mem);
	enter_smm(self->vcpu);
	set_generation(self->vm, 1, 2);
	EXPECT_EQ(DEVICE | X, read_at(self->vcpu, X));
	set_generation(self->vm, 1, generation_round(self->vm) - 2);
	vm_set_slot(self->vm, SMM_SLOT(5), 0, X, PAGE, self->mem);
	EXPECT_EQ(generation_round(self->vm) + 2, generation(self->vm, 1));
	EXPECT_EQ(MEMORY, read_at(self->vcpu, X));
}

static void add_elsewhere(fixture_t *self)
{
	self->added++;
	vm_set_slot(self->vm, 100 + self->added, 0, ELSEWHERE + 2 * self->added * PAGE, PAGE,
		    self->mem);
}

/* Begin to read @gpa, which nobody has touched before, and be held after the look-up. */
static pthread_t begin_read(fixture_t *self, u64 gpa, unsigned int ms)
{
	pthread_t thread;

	give(self->vcpu, READ, gpa);
	set_delay(self->vm, "looked_up", ms);
	CHECK(!pthread_create(&thread, NULL, run_in_thread, self->vcpu), "no thread");
	wait_until_held(self->vm, "looked_up");
	return thread;
}

static bool settles(struct vm *vm)
{
	int i;

	for (i = 0; i < 2000 && generation(vm, 0) & 1; i++)
		usleep(1000);
	return !(generation(vm, 0) & 1);
}

/*
 * The wait for a first reader, on behalf of an addition, says nothing of a second
 * one that began after that addition was settled by others. He keeps the flag of a
 * later addition set, and what he stores is gone when the numbers have come round.
 */
TEST_F(verdict, wrap_with_a_reader_that_was_not_waited_for)
{
	pthread_t thread;
	u64 round;

	REQUIRE_CONTROL();
	/* The page table of X is there. */
	read_at(self->vcpu, X + 2 * PAGE);
	round = generation_round(self->vm);
	set_generation(self->vm, 0, round - 8);
	set_delay(self->vm, "grace", HOLD_MS);
	thread = begin_read(self, Y, HOLD_MS / 4);
	add_elsewhere(self);
	pthread_join(thread, NULL);
	wait_until_held(self->vm, "grace");
	add_elsewhere(self);
	EXPECT_EQ(round - 4, generation(self->vm, 0));
	thread = begin_read(self, X, 2 * HOLD_MS);
	add_elsewhere(self);
	EXPECT_EQ(round - 3, generation(self->vm, 0));
	pthread_join(thread, NULL);
	EXPECT_TRUE(settles(self->vm));
	EXPECT_EQ(round, generation(self->vm, 0));
	vm_set_slot(self->vm, 5, 0, X, PAGE, self->mem);
	set_generation(self->vm, 0, 2 * round - 4);
	EXPECT_EQ(MEMORY, read_at(self->vcpu, X));
}

KEEL_TEST_MAIN
