// SPDX-License-Identifier: GPL-2.0
/*
 * Operands that lie askew: across the border between RAM and a device, in both
 * directions and at every byte, and at odd addresses of RAM. What is emulated
 * then moves pieces of 3, 5 or 7 bytes between guest memory and wherever the
 * operand is, a register of the vCPU for one. The processor of the guest itself
 * says, on RAM alone, what is right.
 */
#include <sys/mman.h>

#include "kselftest_harness.h"
#include "keel_test.h"
#include "guest.h"

#define SLOT_GPA	0x8000000UL	/* one page of RAM between two of the device */
#define SLOT_ID		5
#define SOURCE_GPA	DATA_GPA	/* RAM, for what needs a second operand */
#define PLAIN_GPA	(DATA_GPA + PAGE + 1)	/* RAM, where the right result is made */
#define RESULT_GPA	(DATA_GPA + 3 * PAGE)
#define SPAN		64		/* bytes compared: more than any operand has */

/*
 * One instruction, its operand at rdi (and at rsi, where it only reads), its
 * stack there too if it pushes or pops. What it leaves in registers it stores.
 */
struct family {
	const char *name;
	unsigned int size;	/* of the operand in bytes */
	const u8 *code, *end;
};

#define INSN(name, text)						\
	extern const u8 name##_code[], name##_end[];			\
	asm(".pushsection .rodata\n" #name "_code:\n" text		\
	    "\n ret\n" #name "_end:\n .popsection\n")

#define STORE_RAX	"\n mov %rax, (%rdx)\n"

INSN(movw, "mov %ax, (%rdi)");
INSN(movl, "mov %eax, (%rdi)");
INSN(movq, "mov %rax, (%rdi)");
INSN(movi, "movl $0x12345678, (%rdi)");
INSN(movnti, "movnti %rax, (%rdi)");
INSN(stosw, "stosw");
INSN(stosl, "stosl");
INSN(stosq, "stosq");
INSN(rep_stosl, "mov $3, %ecx\n rep stosl");
INSN(movsw, "movsw");
INSN(movsl, "movsl");
INSN(movsq, "movsq");
INSN(movs_out, "xchg %rsi, %rdi\n mov %rdx, %rdi\n movsq");
INSN(lodsw, "mov %rdi, %rsi\n lodsw" STORE_RAX);
INSN(lodsl, "mov %rdi, %rsi\n lodsl" STORE_RAX);
INSN(lodsq, "mov %rdi, %rsi\n lodsq" STORE_RAX);
INSN(scasq, "scasq\n pushf\n pop %rax\n and $0x8d5, %eax" STORE_RAX);
INSN(cmpsq, "cmpsq\n pushf\n pop %rax\n and $0x8d5, %eax" STORE_RAX);
INSN(load, "mov (%rdi), %rax" STORE_RAX);
INSN(add, "add %rax, (%rdi)");
INSN(xchg, "xchg %rax, (%rdi)" STORE_RAX);
INSN(xadd, "xadd %rax, (%rdi)" STORE_RAX);
INSN(cmpxchg, "mov (%rdi), %rax\n cmpxchg %rdx, (%rdi)");
INSN(setcc_wide, "bts $5, %eax\n shld $7, %rax, (%rdi)");
INSN(push, "mov %rsp, %r8\n lea 8(%rdi), %rsp\n push %rax\n mov %r8, %rsp");
INSN(push_m, "mov %rsp, %r8\n lea 8(%rdx), %rsp\n push (%rdi)\n mov %r8, %rsp");
INSN(pop, "mov %rsp, %r8\n mov %rdi, %rsp\n pop %rax\n mov %r8, %rsp" STORE_RAX);
INSN(pop_m, "mov %rsp, %r8\n mov %rsi, %rsp\n pop (%rdi)\n mov %r8, %rsp");
INSN(movups, "movups (%rsi), %xmm0\n movups %xmm0, (%rdi)");
INSN(movups_load, "movups (%rdi), %xmm0\n movups %xmm0, (%rdx)");
INSN(movlps, "movups (%rsi), %xmm0\n movlps %xmm0, (%rdi)");
INSN(sidt, "sidt (%rdi)");

#define ROW(name, size)		{ #name, size, name##_code, name##_end }

static const struct family families[] = {
	ROW(movw, 2), ROW(movl, 4), ROW(movq, 8), ROW(movi, 4), ROW(movnti, 8), ROW(stosw, 2),
	ROW(stosl, 4), ROW(stosq, 8), ROW(rep_stosl, 12), ROW(movsw, 2), ROW(movsl, 4),
	ROW(movsq, 8), ROW(movs_out, 8), ROW(lodsw, 2), ROW(lodsl, 4), ROW(lodsq, 8),
	ROW(scasq, 8), ROW(cmpsq, 8), ROW(load, 8), ROW(add, 8), ROW(xchg, 8), ROW(xadd, 8),
	ROW(cmpxchg, 8), ROW(setcc_wide, 8), ROW(push, 8), ROW(push_m, 8), ROW(pop, 8),
	ROW(pop_m, 8), ROW(movups, 16), ROW(movups_load, 16), ROW(movlps, 8), ROW(sidt, 10),
};

static volatile u64 guest_code, guest_operand;

/* Run the code that the test names on the operand that it names, over and over. */
static void guest_main(void)
{
	for (;;) {
		u64 rdi = guest_operand, rsi = SOURCE_GPA + 5, rcx = 1;
		u64 rax = 0x1122334455667788, rdx = RESULT_GPA + 3;

		asm volatile("cld\n\tcall *%5"
			     : "+D"(rdi), "+S"(rsi), "+c"(rcx), "+a"(rax), "+d"(rdx)
			     : "r"(guest_code)
			     : "r8", "memory", "cc");
		guest_sync(rdi);
	}
}

FIXTURE(straddle) {
	struct vm *vm;
	struct vcpu *vcpu;
	u8 *ram;		/* of the page in the middle */
	u8 device[3 * PAGE];	/* from the page before it on */
};

typedef FIXTURE_DATA(straddle) fixture_t;

FIXTURE_SETUP(straddle)
{
	self->vm = vm_create();
	self->ram = anon_alloc(PAGE);
	vm_set_slot(self->vm, SLOT_ID, 0, SLOT_GPA, PAGE, self->ram);
	self->vcpu = vcpu_create(self->vm, 0, guest_main);
}

FIXTURE_TEARDOWN(straddle)
{
	vcpu_free(self->vcpu);
	vm_free(self->vm);
	munmap(self->ram, PAGE);
}

static void fill(u8 *p, unsigned int n, u32 seed)
{
	while (n--) {
		seed = seed * 1664525 + 1013904223;
		*p++ = seed >> 24;
	}
}

/* What an operand that begins at @gpa consists of, wherever its bytes are. */
static u8 *byte_at(fixture_t *self, u64 gpa)
{
	if (gpa >= SLOT_GPA && gpa < SLOT_GPA + PAGE)
		return self->ram + (gpa - SLOT_GPA);
	return &self->device[gpa - (SLOT_GPA - PAGE)];
}

/* Answer for the device until the guest reports. */
static void serve(struct __test_metadata *_metadata, fixture_t *self)
{
	struct kvm_run *run = self->vcpu->run;
	unsigned int i;
	int reason;

	while ((reason = vcpu_next(self->vcpu)) == KVM_EXIT_MMIO) {
		ASSERT_TRUE(run->mmio.phys_addr >= SLOT_GPA - PAGE &&
			    run->mmio.phys_addr + run->mmio.len <= SLOT_GPA + 2 * PAGE);
		for (i = 0; i < run->mmio.len; i++) {
			u8 *byte = byte_at(self, run->mmio.phys_addr + i);

			if (run->mmio.is_write)
				*byte = run->mmio.data[i];
			else
				run->mmio.data[i] = *byte;
		}
	}
	ASSERT_EQ(GUEST_SYNC, reason);
}

struct outcome {
	u8 operand[SPAN];
	u8 result[SPAN];
	u64 moved;		/* how far rdi went */
};

static void run_at(struct __test_metadata *_metadata, fixture_t *self,
		   const struct family *f, u64 gpa, struct outcome *o)
{
	bool plain = gpa == PLAIN_GPA;
	u8 *result = vm_hva(self->vm, RESULT_GPA), *operand = vm_hva(self->vm, PLAIN_GPA);
	unsigned int i;
	u8 first[SPAN];

	fill(first, SPAN, f->size);
	fill(vm_hva(self->vm, SOURCE_GPA), 2 * SPAN, 77);
	memset(result, 0, SPAN);
	for (i = 0; i < SPAN; i++)
		*(plain ? operand + i : byte_at(self, gpa + i)) = first[i];
	GUEST_VAR(self->vm, guest_code) = (u64)f->code;
	GUEST_VAR(self->vm, guest_operand) = gpa;
	serve(_metadata, self);
	o->moved = self->vcpu->arg[0] - gpa;
	memcpy(o->result, result, SPAN);
	for (i = 0; i < SPAN; i++)
		o->operand[i] = *(plain ? operand + i : byte_at(self, gpa + i));
}

static void expect_same(struct __test_metadata *_metadata, const struct family *f, u64 gpa,
			const struct outcome *right, const struct outcome *o)
{
	EXPECT_EQ(0, memcmp(right->operand, o->operand, SPAN)) {
		TH_LOG("%s at %#lx: other memory", f->name, gpa);
	}
	EXPECT_EQ(0, memcmp(right->result, o->result, SPAN)) {
		TH_LOG("%s at %#lx: another result", f->name, gpa);
	}
	/* movs_out has its own destination in rdi. */
	if (f->code != movs_out_code)
		EXPECT_EQ(right->moved, o->moved);
}

static void try_all(struct __test_metadata *_metadata, fixture_t *self, u64 border)
{
	struct outcome right, o;
	unsigned int i, before;

	for (i = 0; i < ARRAY_SIZE(families); i++) {
		const struct family *f = &families[i];

		run_at(_metadata, self, f, PLAIN_GPA, &right);
		for (before = 1; before < f->size; before++) {
			run_at(_metadata, self, f, border - before, &o);
			expect_same(_metadata, f, border - before, &right, &o);
		}
	}
}

TEST_F(straddle, from_ram_into_a_device)
{
	try_all(_metadata, self, SLOT_GPA + PAGE);
}

TEST_F(straddle, from_a_device_into_ram)
{
	try_all(_metadata, self, SLOT_GPA);
}

/* No device is needed where code of this kind is emulated for want of unrestricted guest. */
GUEST_CODE16(stores16,
	     "mov $0x1122, %ax\n"
	     "mov $0x3344, %dx\n"
	     "xor %bx, %bx\n"
	     "mov %bx, %es\n"
	     "mov $0x3001, %di\n stosw\n stosl\n"
	     "mov $0x3011, %di\n mov $3, %cx\n rep stosw\n"
	     "mov $0x3001, %si\n mov $0x3023, %di\n mov $2, %cx\n rep movsl\n"
	     "mov %ax, 0x3031\n mov %eax, 0x3035\n"
	     "mov $0x3045, %sp\n push %ax\n pushl %eax\n"
	     "hlt\n");

TEST_F(straddle, odd_addresses_in_real_mode)
{
	static const u8 words[] = { 0x22, 0x11, 0x22, 0x11, 0x34, 0x12 };
	struct vcpu *vcpu = vcpu_create_bare(self->vm, 1);
	u8 *at = vm_hva(self->vm, 0x3000);
	struct kvm_regs regs;

	memset(at, 0, 0x80);
	vm_load(self->vm, REAL_CODE_GPA, stores16, stores16_end);
	vcpu_set_real(vcpu, REAL_CODE_GPA);
	vcpu_get_regs(vcpu, &regs);
	regs.rax = 0x12340000;
	vcpu_set_regs(vcpu, &regs);
	ASSERT_EQ(KVM_EXIT_HLT, vcpu_next(vcpu));
	EXPECT_EQ(0, memcmp(at + 0x01, words, 6));
	EXPECT_EQ(0, memcmp(at + 0x11, "\x22\x11\x22\x11\x22\x11", 7));
	EXPECT_EQ(0, memcmp(at + 0x23, words, 6));
	EXPECT_EQ(0, memcmp(at + 0x31, "\x22\x11", 2));
	EXPECT_EQ(0, memcmp(at + 0x35, words + 2, 4));
	EXPECT_EQ(0, memcmp(at + 0x3f, words + 2, 4));
	EXPECT_EQ(0, memcmp(at + 0x43, "\x22\x11", 2));
	vcpu_free(vcpu);
}

KEEL_TEST_MAIN
