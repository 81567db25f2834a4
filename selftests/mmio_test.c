// SPDX-License-Identifier: GPL-2.0
/*
 * KVM_EXIT_MMIO: width, address and data of every access, the instructions
 * that make them, and accesses that straddle pages or RAM. The slots stay as
 * they are here, but for one case; churn_test moves them.
 */
#include "kselftest_harness.h"
#include "keel_test.h"
#include "guest.h"

#define GVA 0x8000000000UL

FIXTURE(mmio) {
	struct vm *vm;
	struct vcpu *vcpu;
	struct kvm_run *run;
};

static void no_guest(void)
{
}

FIXTURE_SETUP(mmio)
{
	self->vm = vm_create();
	self->vcpu = vcpu_create(self->vm, 0, no_guest);
	self->run = self->vcpu->run;
}

FIXTURE_TEARDOWN(mmio)
{
	vcpu_free(self->vcpu);
	vm_free(self->vm);
}

/* A device that is nothing but two pages of memory. */
struct device {
	u64 base;
	u8 mem[2 * PAGE];
	int reads, writes;
};

static void serve_one(struct vcpu *vcpu, struct device *dev)
{
	struct kvm_run *run = vcpu->run;
	u64 at = run->mmio.phys_addr - dev->base;

	CHECK(run->mmio.len >= 1 && run->mmio.len <= 8, "%u", run->mmio.len);
	CHECK(at + run->mmio.len <= sizeof(dev->mem), "%#llx",
	      run->mmio.phys_addr);
	if (run->mmio.is_write) {
		memcpy(dev->mem + at, run->mmio.data, run->mmio.len);
		dev->writes++;
	} else {
		memcpy(run->mmio.data, dev->mem + at, run->mmio.len);
		dev->reads++;
	}
}

/* Serve all MMIO up to the next guest call and return which it was. */
static int serve(struct vcpu *vcpu, struct device *dev)
{
	int reason;

	while ((reason = vcpu_next(vcpu)) == KVM_EXIT_MMIO)
		serve_one(vcpu, dev);
	return reason;
}

static void expect_access(struct __test_metadata *_metadata, struct vcpu *vcpu,
			  u64 addr, int len, bool write, u64 data)
{
	struct kvm_run *run = vcpu->run;

	ASSERT_EQ(KVM_EXIT_MMIO, vcpu_next(vcpu));
	EXPECT_EQ(addr, run->mmio.phys_addr);
	EXPECT_EQ(len, run->mmio.len);
	EXPECT_EQ(write, run->mmio.is_write);
	if (write) {
		EXPECT_EQ(0, memcmp(run->mmio.data, &data, len));
		return;
	}
	memcpy(run->mmio.data, &data, sizeof(data));
}

#define VALUE 0x8897a6b5c4d3e2f1UL

static void guest_mov_all(void)
{
	guest_write8(MMIO_GPA + 1, (u8)VALUE);
	guest_write16(MMIO_GPA + 3, (u16)VALUE);
	guest_write32(MMIO_GPA + 5, (u32)VALUE);
	guest_write64(MMIO_GPA + 9, VALUE);
	guest_sync(guest_read8(MMIO_GPA + 1));
	guest_sync(guest_read16(MMIO_GPA + 3));
	guest_sync(guest_read32(MMIO_GPA + 5));
	guest_sync(guest_read64(MMIO_GPA + 9));
	guest_done();
}

static const struct {
	u64 addr;
	int len;
} mov_all[] = {
	{ MMIO_GPA + 1, 1 }, { MMIO_GPA + 3, 2 }, { MMIO_GPA + 5, 4 },
	{ MMIO_GPA + 9, 8 },
};

TEST_F(mmio, mov_1_2_4_8)
{
	u64 mask;
	int i;

	vcpu_set_long(self->vcpu, guest_mov_all);
	for (i = 0; i < 4; i++)
		expect_access(_metadata, self->vcpu, mov_all[i].addr,
			      mov_all[i].len, true, VALUE);
	for (i = 0; i < 4; i++) {
		expect_access(_metadata, self->vcpu, mov_all[i].addr,
			      mov_all[i].len, false, ~VALUE);
		mask = mov_all[i].len == 8 ? ~0UL : (1UL << mov_all[i].len * 8) - 1;
		EXPECT_EQ(~VALUE & mask, vcpu_sync(self->vcpu));
	}
	vcpu_done(self->vcpu);
}

/*
 * The processor itself says what is right: each instruction runs once on RAM
 * and once on the device, from the same registers; registers, flags and memory
 * must come out the same.
 */
struct op_regs {
	u64 rax, rbx, rcx, rdx, rsi, rdi, flags;
};

struct op {
	const char *name;
	void (*fn)(struct op_regs *r);
	u64 rcx;		/* count of string instructions, else data */
	u64 flags;		/* at entry */
	u64 undefined;		/* flags left undefined by the architecture */
	int rsi, rdi;		/* offsets into the two pages */
};

#define FLAGS_ALL 0x8d5UL
#define FLAG_AF 0x10UL
#define RAX_IN 0x80f1e2d3c4b5a697UL
#define RBX_IN 0x1f2e3d4c5b6a7988UL
#define RDX_IN 0x0123456789abcdefUL

#define OP_BODY(insn)							\
	asm volatile("mov %0, %%r8\n"					\
		     "mov 0x00(%%r8), %%rax\n"				\
		     "mov 0x08(%%r8), %%rbx\n"				\
		     "mov 0x10(%%r8), %%rcx\n"				\
		     "mov 0x18(%%r8), %%rdx\n"				\
		     "mov 0x20(%%r8), %%rsi\n"				\
		     "mov 0x28(%%r8), %%rdi\n"				\
		     "pushq 0x30(%%r8)\n"				\
		     "popfq\n"						\
		     insn "\n"						\
		     "pushfq\n"						\
		     "popq 0x30(%%r8)\n"				\
		     "cld\n"						\
		     "mov %%rax, 0x00(%%r8)\n"				\
		     "mov %%rbx, 0x08(%%r8)\n"				\
		     "mov %%rcx, 0x10(%%r8)\n"				\
		     "mov %%rdx, 0x18(%%r8)\n"				\
		     "mov %%rsi, 0x20(%%r8)\n"				\
		     "mov %%rdi, 0x28(%%r8)\n"				\
		     : : "r"(r)						\
		     : "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8",	\
		       "memory", "cc")

#define OP(id, insn)							\
static void op_##id(struct op_regs *r) { OP_BODY(insn); }

#define ALU_OPS(op)							\
	OP(op##_mr8, #op "b %%cl, (%%rdi)")				\
	OP(op##_mr16, #op "w %%cx, (%%rdi)")				\
	OP(op##_mr32, #op "l %%ecx, (%%rdi)")				\
	OP(op##_mr64, #op "q %%rcx, (%%rdi)")				\
	OP(op##_rm8, #op "b (%%rdi), %%dh")				\
	OP(op##_rm16, #op "w (%%rdi), %%dx")				\
	OP(op##_rm32, #op "l (%%rdi), %%edx")				\
	OP(op##_rm64, #op "q (%%rdi), %%rdx")				\
	OP(op##_mi8, #op "b $0x9c, (%%rdi)")				\
	OP(op##_mi16, #op "w $0x8765, (%%rdi)")				\
	OP(op##_mi32, #op "l $0x87654321, (%%rdi)")			\
	OP(op##_mi64, #op "q $-0x7edcba99, (%%rdi)")			\
	OP(op##_ms64, #op "q $-3, (%%rdi)")

#define ALU_ROW(op, form, undef)					\
	{ #op " " #form, op_##op##_##form, 0x7766554433221180, FLAG_CF,	undef }
#define ALU_ROWS(op, undef)						\
	ALU_ROW(op, mr8, undef), ALU_ROW(op, mr16, undef),		\
	ALU_ROW(op, mr32, undef), ALU_ROW(op, mr64, undef),		\
	ALU_ROW(op, rm8, undef), ALU_ROW(op, rm16, undef),		\
	ALU_ROW(op, rm32, undef), ALU_ROW(op, rm64, undef),		\
	ALU_ROW(op, mi8, undef), ALU_ROW(op, mi16, undef),		\
	ALU_ROW(op, mi32, undef), ALU_ROW(op, mi64, undef),		\
	ALU_ROW(op, ms64, undef)

ALU_OPS(add)
ALU_OPS(or)
ALU_OPS(adc)
ALU_OPS(sbb)
ALU_OPS(and)
ALU_OPS(sub)
ALU_OPS(xor)
ALU_OPS(cmp)

static const struct op alu_ops[] = {
	ALU_ROWS(add, 0), ALU_ROWS(or, FLAG_AF), ALU_ROWS(adc, 0),
	ALU_ROWS(sbb, 0), ALU_ROWS(and, FLAG_AF), ALU_ROWS(sub, 0),
	ALU_ROWS(xor, FLAG_AF), ALU_ROWS(cmp, 0),
};

OP(mov_mr8, "movb %%al, (%%rdi)")
OP(mov_mr8h, "movb %%ah, (%%rdi)")
OP(mov_mr8x, "movb %%sil, (%%rdi)")
OP(mov_mr16, "movw %%ax, (%%rdi)")
OP(mov_mr32, "movl %%eax, (%%rdi)")
OP(mov_mr64, "movq %%rax, (%%rdi)")
OP(mov_rm8, "movb (%%rdi), %%al")
OP(mov_rm8h, "movb (%%rdi), %%bh")
OP(mov_rm16, "movw (%%rdi), %%ax")
OP(mov_rm32, "movl (%%rdi), %%eax")
OP(mov_rm64, "movq (%%rdi), %%rax")
OP(mov_mi8, "movb $0x81, (%%rdi)")
OP(mov_mi16, "movw $0x8123, (%%rdi)")
OP(mov_mi32, "movl $0x81234567, (%%rdi)")
OP(mov_mi64, "movq $-0x12345678, (%%rdi)")
OP(mov_r9, "mov %%rax, %%r9; movq %%r9, (%%rdi); movq 8(%%rdi), %%r10; mov %%r10, %%rax")
OP(mov_sib, "mov $2, %%ecx; movl %%eax, -5(%%rdi,%%rcx,4); movl 0x20(%%rdi,%%rcx,8), %%ebx")
OP(movzx_8_16, "movzbw (%%rdi), %%ax")
OP(movzx_8_32, "movzbl (%%rdi), %%eax")
OP(movzx_8_64, "movzbq (%%rdi), %%rax")
OP(movzx_16_32, "movzwl (%%rdi), %%eax")
OP(movzx_16_64, "movzwq (%%rdi), %%rax")
OP(movsx_8_16, "movsbw (%%rdi), %%ax")
OP(movsx_8_32, "movsbl (%%rdi), %%eax")
OP(movsx_8_64, "movsbq (%%rdi), %%rax")
OP(movsx_16_32, "movswl (%%rdi), %%eax")
OP(movsx_16_64, "movswq (%%rdi), %%rax")
OP(movsxd, "movslq (%%rdi), %%rax")
OP(test_8, "testb %%al, (%%rdi)")
OP(test_16, "testw %%ax, (%%rdi)")
OP(test_32, "testl %%eax, (%%rdi)")
OP(test_64, "testq %%rax, (%%rdi)")
OP(test_i8, "testb $0x80, (%%rdi)")
OP(test_i16, "testw $0x8000, (%%rdi)")
OP(test_i32, "testl $0x80000001, (%%rdi)")
OP(test_i64, "testq $-0x40000000, (%%rdi)")
OP(xchg_8, "xchgb %%al, (%%rdi)")
OP(xchg_8h, "xchgb %%dh, (%%rdi)")
OP(xchg_16, "xchgw %%ax, (%%rdi)")
OP(xchg_32, "xchgl %%eax, (%%rdi)")
OP(xchg_64, "xchgq %%rax, (%%rdi)")

#define PLAIN(id, undef) { #id, op_##id, 0x7766554433221180, 0, undef }

static const struct op plain_ops[] = {
	PLAIN(mov_mr8, 0), PLAIN(mov_mr8h, 0), PLAIN(mov_mr16, 0),
	PLAIN(mov_mr32, 0), PLAIN(mov_mr64, 0), PLAIN(mov_rm8, 0),
	PLAIN(mov_rm8h, 0), PLAIN(mov_rm16, 0), PLAIN(mov_rm32, 0),
	PLAIN(mov_rm64, 0), PLAIN(mov_mi8, 0), PLAIN(mov_mi16, 0),
	PLAIN(mov_mi32, 0), PLAIN(mov_mi64, 0), PLAIN(mov_r9, 0),
	PLAIN(mov_sib, 0), PLAIN(movzx_8_16, 0), PLAIN(movzx_8_32, 0),
	PLAIN(movzx_8_64, 0), PLAIN(movzx_16_32, 0), PLAIN(movzx_16_64, 0),
	PLAIN(movsx_8_16, 0), PLAIN(movsx_8_32, 0), PLAIN(movsx_8_64, 0),
	PLAIN(movsx_16_32, 0), PLAIN(movsx_16_64, 0), PLAIN(movsxd, 0),
	PLAIN(test_8, FLAG_AF), PLAIN(test_16, FLAG_AF),
	PLAIN(test_32, FLAG_AF), PLAIN(test_64, FLAG_AF),
	PLAIN(test_i8, FLAG_AF), PLAIN(test_i16, FLAG_AF),
	PLAIN(test_i32, FLAG_AF), PLAIN(test_i64, FLAG_AF),
	PLAIN(xchg_8, 0), PLAIN(xchg_8h, 0), PLAIN(xchg_16, 0),
	PLAIN(xchg_32, 0), PLAIN(xchg_64, 0), PLAIN(mov_mr8x, 0),
};

#define STRING_OPS(id, insn)						\
	OP(id##b, insn "b")						\
	OP(id##w, insn "w")						\
	OP(id##l, insn "l")						\
	OP(id##q, insn "q")						\
	OP(rep_##id##b, "rep " insn "b")				\
	OP(rep_##id##w, "rep " insn "w")				\
	OP(rep_##id##l, "rep " insn "l")				\
	OP(rep_##id##q, "rep " insn "q")

STRING_OPS(stos, "stos")
STRING_OPS(lods, "lods")
STRING_OPS(movs, "movs")

/* Forward, backward, and over the page border between the device's pages. */
#define STRING_ROW(id, count)						\
	{ #id, op_##id, count, 0, 0, 0x40, 0x100 },			\
	{ #id " backward", op_##id, count, FLAG_DF, 0, 0x80, 0x180 },	\
	{ #id " over a page", op_##id, count, 0, 0, 0xff0, 0x40 },	\
	{ #id " to over a page", op_##id, count, 0, 0, 0x40, 0xfeb }
#define STRING_ROWS(id)							\
	STRING_ROW(id##b, 7), STRING_ROW(id##w, 7), STRING_ROW(id##l, 7),\
	STRING_ROW(id##q, 7), STRING_ROW(rep_##id##b, 9),		\
	STRING_ROW(rep_##id##w, 9), STRING_ROW(rep_##id##l, 9),		\
	STRING_ROW(rep_##id##q, 9), STRING_ROW(rep_##id##q, 0)

static const struct op string_ops[] = {
	STRING_ROWS(stos), STRING_ROWS(lods), STRING_ROWS(movs),
};

static struct op guest_op;
static struct op_regs result[2];

static void run_op(struct op_regs *r, u64 base)
{
	*r = (struct op_regs) {
		.rax = RAX_IN, .rbx = RBX_IN, .rcx = guest_op.rcx,
		.rdx = RDX_IN, .rsi = base + guest_op.rsi,
		.rdi = base + guest_op.rdi, .flags = 2 | guest_op.flags,
	};
	guest_op.fn(r);
	r->rsi -= base;
	r->rdi -= base;
	r->flags &= FLAGS_ALL & ~guest_op.undefined;
}

static void guest_compare(void)
{
	for (;;) {
		run_op(&result[0], DATA_GPA);
		run_op(&result[1], MMIO_GPA);
		guest_sync(0);
	}
}

static void fill(u8 *p, int seed)
{
	u32 x = seed * 2654435761u + 12345;
	int i;

	for (i = 0; i < 2 * PAGE; i++) {
		x = x * 1664525 + 1013904223;
		p[i] = x >> 24;
	}
}

static void compare_ops(struct __test_metadata *_metadata, struct vcpu *vcpu,
			const struct op *ops, int n)
{
	static struct device dev = { .base = MMIO_GPA };
	u8 *ram = vm_hva(vcpu->vm, DATA_GPA);
	struct op_regs *r = &GUEST_VAR(vcpu->vm, result)[0];
	int i;

	vcpu_set_long(vcpu, guest_compare);
	fill(ram, 1);
	memcpy(dev.mem, ram, sizeof(dev.mem));
	for (i = 0; i < n; i++) {
		GUEST_VAR(vcpu->vm, guest_op) = ops[i];
		dev.reads = 0;
		dev.writes = 0;
		ASSERT_EQ(GUEST_SYNC, serve(vcpu, &dev));
		EXPECT_EQ(0, memcmp(&r[0], &r[1], sizeof(r[0]))) {
			TH_LOG("%s: rax %lx %lx rbx %lx %lx rcx %lx %lx", ops[i].name,
			       r[0].rax, r[1].rax, r[0].rbx, r[1].rbx, r[0].rcx, r[1].rcx);
			TH_LOG("rdx %lx %lx rsi %lx %lx rdi %lx %lx flags %lx %lx",
			       r[0].rdx, r[1].rdx, r[0].rsi, r[1].rsi,
			       r[0].rdi, r[1].rdi, r[0].flags, r[1].flags);
		}
		EXPECT_EQ(0, memcmp(ram, dev.mem, sizeof(dev.mem))) {
			TH_LOG("%s: memory differs", ops[i].name);
			memcpy(dev.mem, ram, sizeof(dev.mem));
		}
		EXPECT_TRUE(dev.reads + dev.writes > 0 || ops[i].rcx == 0);
	}
}

TEST_F(mmio, mov_movzx_movsx_test_xchg)
{
	compare_ops(_metadata, self->vcpu, plain_ops, ARRAY_SIZE(plain_ops));
}

TEST_F(mmio, alu)
{
	compare_ops(_metadata, self->vcpu, alu_ops, ARRAY_SIZE(alu_ops));
}

TEST_F(mmio, stos_lods_movs)
{
	compare_ops(_metadata, self->vcpu, string_ops, ARRAY_SIZE(string_ops));
}

static void guest_movs_mixed(void)
{
	u64 rsi = MMIO_GPA, rdi = DATA_GPA, rcx = 5;

	asm volatile("rep movsl" : "+S"(rsi), "+D"(rdi), "+c"(rcx) : : "memory");
	GUEST_ASSERT_EQ(rsi, MMIO_GPA + 20);
	GUEST_ASSERT_EQ(rdi, DATA_GPA + 20);
	GUEST_ASSERT_EQ(rcx, 0);
	rsi = DATA_GPA + 1;
	rdi = MMIO_GPA + 0x100;
	rcx = 3;
	asm volatile("rep movsw" : "+S"(rsi), "+D"(rdi), "+c"(rcx) : : "memory");
	GUEST_ASSERT_EQ(rsi, DATA_GPA + 7);
	GUEST_ASSERT_EQ(rdi, MMIO_GPA + 0x106);
	/* Out of RAM straight into the device. */
	rsi = DATA_GPA + 0x200;
	rdi = GVA + PAGE - 8;
	rcx = 4;
	asm volatile("rep movsl" : "+S"(rsi), "+D"(rdi), "+c"(rcx) : : "memory");
	GUEST_ASSERT_EQ(rdi, GVA + PAGE + 8);
	guest_done();
}

TEST_F(mmio, movs_between_ram_and_device)
{
	static struct device dev = { .base = MMIO_GPA };
	u8 *ram = vm_hva(self->vm, DATA_GPA);

	fill(dev.mem, 5);
	memcpy(ram + 0x200, "0123456789abcdef", 16);
	vm_map(self->vm, GVA, DATA_GPA + 4 * PAGE, PT_P | PT_W);
	vm_map(self->vm, GVA + PAGE, MMIO_GPA + PAGE, PT_P | PT_W);
	vcpu_set_long(self->vcpu, guest_movs_mixed);
	ASSERT_EQ(GUEST_DONE, serve(self->vcpu, &dev));
	EXPECT_EQ(0, memcmp(ram, dev.mem, 20));
	EXPECT_EQ(0, memcmp(dev.mem + 0x100, ram + 1, 6));
	EXPECT_EQ(0, memcmp(ram + 5 * PAGE - 8, "01234567", 8));
	EXPECT_EQ(0, memcmp(dev.mem + PAGE, "89abcdef", 8));
	EXPECT_EQ(5, dev.reads);
	EXPECT_EQ(3 + 2, dev.writes);
}

static void guest_straddle(void)
{
	u64 i;

	for (i = 1; i < 8; i++) {
		guest_write64(GVA + PAGE - i, VALUE);
		guest_sync(guest_read64(GVA + PAGE - i));
	}
	guest_done();
}

/* Two pages of the guest that are MMIO, in frames far apart. */
TEST_F(mmio, straddles_two_device_pages)
{
	u64 low = MMIO_GPA + 7 * PAGE, high = MMIO_GPA + 3 * PAGE;
	int i;

	vm_map(self->vm, GVA, low, PT_P | PT_W);
	vm_map(self->vm, GVA + PAGE, high, PT_P | PT_W);
	vcpu_set_long(self->vcpu, guest_straddle);
	for (i = 1; i < 8; i++) {
		expect_access(_metadata, self->vcpu, low + PAGE - i, i, true, VALUE);
		expect_access(_metadata, self->vcpu, high, 8 - i, true,
			      VALUE >> 8 * i);
		expect_access(_metadata, self->vcpu, low + PAGE - i, i, false, ~VALUE);
		expect_access(_metadata, self->vcpu, high, 8 - i, false,
			      ~VALUE >> 8 * i);
		EXPECT_EQ(~VALUE, vcpu_sync(self->vcpu));
	}
	vcpu_done(self->vcpu);
}

TEST_F(mmio, straddles_ram_then_device)
{
	u8 *ram = vm_hva(self->vm, DATA_GPA);
	u64 value = VALUE, inverse = ~VALUE;
	int i;

	vm_map(self->vm, GVA, DATA_GPA, PT_P | PT_W);
	vm_map(self->vm, GVA + PAGE, MMIO_GPA, PT_P | PT_W);
	vcpu_set_long(self->vcpu, guest_straddle);
	for (i = 1; i < 8; i++) {
		memset(ram, 0, PAGE);
		expect_access(_metadata, self->vcpu, MMIO_GPA, 8 - i, true,
			      VALUE >> 8 * i);
		expect_access(_metadata, self->vcpu, MMIO_GPA, 8 - i, false,
			      ~VALUE >> 8 * i);
		EXPECT_EQ(0, memcmp(ram + PAGE - i, &value, i));
		EXPECT_EQ(0, ram[PAGE - i - 1]);
		vcpu_sync(self->vcpu);
		/* The low bytes come from RAM, the others from the device. */
		memcpy(&inverse, &value, i);
		EXPECT_EQ(inverse, self->vcpu->arg[0]);
		inverse = ~VALUE;
	}
	vcpu_done(self->vcpu);
}

TEST_F(mmio, straddles_device_then_ram)
{
	u8 *ram = vm_hva(self->vm, DATA_GPA);
	u64 value = VALUE, want;
	int i;

	vm_map(self->vm, GVA, MMIO_GPA, PT_P | PT_W);
	vm_map(self->vm, GVA + PAGE, DATA_GPA, PT_P | PT_W);
	vcpu_set_long(self->vcpu, guest_straddle);
	for (i = 1; i < 8; i++) {
		memset(ram, 0, 16);
		expect_access(_metadata, self->vcpu, MMIO_GPA + PAGE - i, i, true,
			      VALUE);
		expect_access(_metadata, self->vcpu, MMIO_GPA + PAGE - i, i, false,
			      ~VALUE);
		EXPECT_EQ(0, memcmp(ram, (u8 *)&value + i, 8 - i));
		EXPECT_EQ(0, ram[8 - i]);
		want = VALUE;
		value = ~VALUE;
		memcpy(&want, &value, i);
		value = VALUE;
		EXPECT_EQ(want, vcpu_sync(self->vcpu));
	}
	vcpu_done(self->vcpu);
}

static void guest_end_of_ram(void)
{
	u64 at = guest_read64(DATA_GPA);

	guest_write64(at - 4, VALUE);
	guest_sync(guest_read64(at - 4));
	guest_write32(at, 0x11223344);
	guest_done();
}

TEST_F(mmio, starts_at_the_last_byte_of_a_slot)
{
	u64 end = self->vm->mem_size, value = VALUE;

	memcpy(vm_hva(self->vm, DATA_GPA), &end, 8);
	vcpu_set_long(self->vcpu, guest_end_of_ram);
	expect_access(_metadata, self->vcpu, end, 4, true, VALUE >> 32);
	expect_access(_metadata, self->vcpu, end, 4, false, 0xaabbccdd);
	EXPECT_EQ(0xaabbccdd00000000UL | (u32)VALUE, vcpu_sync(self->vcpu));
	EXPECT_EQ(0, memcmp(vm_hva(self->vm, end - 4), &value, 4));
	expect_access(_metadata, self->vcpu, end, 4, true, 0x11223344);
	vcpu_done(self->vcpu);
}

#define RO_GPA 0x20000000UL

static void guest_read_only(void)
{
	u32 *p = (u32 *)(RO_GPA + 0x10);
	u64 rdi = RO_GPA + 0x20, rcx = 2;

	guest_sync(guest_read32(RO_GPA + 0x10));
	guest_write16(RO_GPA + 0x12, 0xbeef);
	guest_sync(guest_read32(RO_GPA + 0x10));
	asm volatile("addl $3, %0" : "+m"(*p));
	guest_sync(guest_read32(RO_GPA + 0x10));
	asm volatile("rep stosb" : "+D"(rdi), "+c"(rcx) : "a"(0x77) : "memory");
	guest_sync(rdi);
	/* One half in the slot, the other beyond it. */
	guest_write32(RO_GPA + PAGE - 2, 0x44332211);
	guest_sync(guest_read8(RO_GPA + PAGE - 1));
	guest_done();
}

TEST_F(mmio, read_only_slot_reads_memory_and_exits_on_write)
{
	u8 *ro = anon_alloc(PAGE);

	memcpy(ro + 0x10, "\x01\x02\x03\x04", 4);
	ro[PAGE - 1] = 0x99;
	vm_set_slot(self->vm, 1, KVM_MEM_READONLY, RO_GPA, PAGE, ro);
	vcpu_set_long(self->vcpu, guest_read_only);
	EXPECT_EQ(0x04030201, vcpu_sync(self->vcpu));
	expect_access(_metadata, self->vcpu, RO_GPA + 0x12, 2, true, 0xbeef);
	EXPECT_EQ(0x04030201, vcpu_sync(self->vcpu));
	expect_access(_metadata, self->vcpu, RO_GPA + 0x10, 4, true, 0x04030204);
	EXPECT_EQ(0x04030201, vcpu_sync(self->vcpu));
	expect_access(_metadata, self->vcpu, RO_GPA + 0x20, 1, true, 0x77);
	expect_access(_metadata, self->vcpu, RO_GPA + 0x21, 1, true, 0x77);
	EXPECT_EQ(RO_GPA + 0x22, vcpu_sync(self->vcpu));
	expect_access(_metadata, self->vcpu, RO_GPA + PAGE - 2, 2, true, 0x2211);
	expect_access(_metadata, self->vcpu, RO_GPA + PAGE, 2, true, 0x4433);
	EXPECT_EQ(0x99, vcpu_sync(self->vcpu));
	EXPECT_EQ(0, ro[0x20]);
	vcpu_done(self->vcpu);
}

static void guest_touch_top(void)
{
	guest_write32(GVA + 0xff8, 0x600d);
	guest_sync(guest_read64(GVA + 0xff8));
	guest_done();
}

TEST_F(mmio, highest_physical_page)
{
	struct kvm_cpuid2 *cpuid = cpuid_supported(self->vm->dev);
	struct kvm_cpuid_entry2 *e = cpuid_find(cpuid, 0x80000008, 0);
	u64 top;

	ASSERT_NE(NULL, e);
	top = (1UL << (e->eax & 0xff)) - PAGE;
	vm_map(self->vm, GVA, top, PT_P | PT_W);
	vcpu_set_long(self->vcpu, guest_touch_top);
	expect_access(_metadata, self->vcpu, top + 0xff8, 4, true, 0x600d);
	expect_access(_metadata, self->vcpu, top + 0xff8, 8, false, VALUE);
	EXPECT_EQ(VALUE, vcpu_sync(self->vcpu));
	vcpu_done(self->vcpu);
	free(cpuid);
}

static volatile u64 fault_cr2, fault_error, faults;

static void on_page_fault(struct guest_trap *trap)
{
	fault_cr2 = guest_read_cr2();
	fault_error = trap->error;
	faults++;
	trap->rip = trap->rbx;
}

/* Go on behind the access when it faults. */
#define MAY_FAULT(insn)							\
	asm volatile("lea 1f(%%rip), %%rbx\n" insn "\n1:\n"		\
		     : : "D"(GVA), "a"(0x5a5a5a5a) : "rbx", "memory")

static void guest_half_mapped(void)
{
	guest_handler[14] = on_page_fault;
	MAY_FAULT("movl %%eax, 0xffe(%%rdi)");
	guest_sync3(faults, fault_cr2, fault_error);
	MAY_FAULT("movl 0xffd(%%rdi), %%eax");
	guest_sync3(faults, fault_cr2, fault_error);
	guest_done();
}

TEST_F(mmio, page_fault_on_the_second_half_comes_first)
{
	vm_map(self->vm, GVA, MMIO_GPA, PT_P | PT_W);
	vcpu_set_long(self->vcpu, guest_half_mapped);
	EXPECT_EQ(1, vcpu_sync(self->vcpu));
	EXPECT_EQ(GVA + PAGE, self->vcpu->arg[1]);
	EXPECT_EQ(2, self->vcpu->arg[2]);
	/*
	 * Upstream asks the device for the first half of a read before it
	 * looks at the second page; a read may have side effects.
	 */
	if (vcpu_next(self->vcpu) == KVM_EXIT_MMIO && !dev_is_keel())
		vcpu_next(self->vcpu);
	EXPECT_EQ(GUEST_SYNC, vcpu_decode(self->vcpu));
	EXPECT_EQ(2, self->vcpu->arg[0]);
	EXPECT_EQ(GVA + PAGE, self->vcpu->arg[1]);
	EXPECT_EQ(0, self->vcpu->arg[2]);
}

static void guest_write_protected(void)
{
	guest_handler[14] = on_page_fault;
	/* Read first, so that the page is known to be MMIO. */
	guest_sync(guest_read32(GVA));
	MAY_FAULT("movl %%eax, (%%rdi)");
	guest_sync3(faults, fault_cr2, fault_error);
	guest_sync(guest_read32(GVA + 4));
	MAY_FAULT("addl %%eax, 8(%%rdi)");
	guest_sync3(faults, fault_cr2, fault_error);
	guest_done();
}

TEST_F(mmio, write_to_a_read_only_page_faults)
{
	vm_map(self->vm, GVA, MMIO_GPA, PT_P);
	vcpu_set_long(self->vcpu, guest_write_protected);
	expect_access(_metadata, self->vcpu, MMIO_GPA, 4, false, 0x1234);
	EXPECT_EQ(0x1234, vcpu_sync(self->vcpu));
	EXPECT_EQ(1, vcpu_sync(self->vcpu));
	EXPECT_EQ(GVA, self->vcpu->arg[1]);
	EXPECT_EQ(3, self->vcpu->arg[2]);
	expect_access(_metadata, self->vcpu, MMIO_GPA + 4, 4, false, 0x5678);
	EXPECT_EQ(0x5678, vcpu_sync(self->vcpu));
	EXPECT_EQ(2, vcpu_sync(self->vcpu));
	EXPECT_EQ(GVA + 8, self->vcpu->arg[1]);
	EXPECT_EQ(3, self->vcpu->arg[2]);
	vcpu_done(self->vcpu);
}

static u64 guest_pte_gpa;

static void guest_remap(void)
{
	volatile u64 *pte = (u64 *)guest_pte_gpa;

	guest_sync(guest_read32(GVA));
	guest_sync(guest_read32(GVA));
	*pte = (MMIO_GPA + PAGE) | PT_P | PT_W;
	asm volatile("invlpg (%0)" : : "r"(GVA) : "memory");
	guest_sync(guest_read32(GVA));
	*pte = (MMIO_GPA + 2 * PAGE) | PT_P | PT_W;
	guest_write_cr3(guest_read_cr3());
	guest_sync(guest_read32(GVA));
	*pte = DATA_GPA | PT_P | PT_W;
	asm volatile("invlpg (%0)" : : "r"(GVA) : "memory");
	guest_sync(guest_read32(GVA));
	*pte = MMIO_GPA | PT_P | PT_W;
	guest_write_cr4(guest_read_cr4() ^ CR4_PSE);
	guest_sync(guest_read32(GVA));
	guest_done();
}

TEST_F(mmio, follows_a_changed_page_table)
{
	static const u64 frame[] = { 0, 0, PAGE, 2 * PAGE };
	u32 ram = 0xabcdef01;
	int i;

	vm_map(self->vm, GVA, MMIO_GPA, PT_P | PT_W);
	GUEST_VAR(self->vm, guest_pte_gpa) = vm_pte_gpa(self->vm, GVA);
	memcpy(vm_hva(self->vm, DATA_GPA), &ram, 4);
	vcpu_set_long(self->vcpu, guest_remap);
	for (i = 0; i < ARRAY_SIZE(frame); i++) {
		expect_access(_metadata, self->vcpu, MMIO_GPA + frame[i], 4,
			      false, 100 + i);
		EXPECT_EQ(100 + i, vcpu_sync(self->vcpu));
	}
	EXPECT_EQ(ram, vcpu_sync(self->vcpu));
	expect_access(_metadata, self->vcpu, MMIO_GPA, 4, false, 200);
	EXPECT_EQ(200, vcpu_sync(self->vcpu));
	vcpu_done(self->vcpu);
}

static void guest_touch(void)
{
	guest_sync(guest_read32(GVA));
	guest_write32(GVA, 1);
	guest_done();
}

TEST_F(mmio, sets_accessed_and_dirty_bits)
{
	u64 *pte;

	vm_map(self->vm, GVA, MMIO_GPA, PT_P | PT_W);
	pte = vm_hva(self->vm, vm_pte_gpa(self->vm, GVA));
	vcpu_set_long(self->vcpu, guest_touch);
	EXPECT_EQ(0, *pte & (PT_A | PT_D));
	expect_access(_metadata, self->vcpu, MMIO_GPA, 4, false, 0);
	vcpu_sync(self->vcpu);
	EXPECT_EQ(PT_A, *pte & (PT_A | PT_D));
	expect_access(_metadata, self->vcpu, MMIO_GPA, 4, true, 1);
	EXPECT_EQ(PT_A | PT_D, *pte & (PT_A | PT_D));
	vcpu_done(self->vcpu);
}

/* The narrower modes reach a hole in low memory, 0xa0000 to 0xbffff. */
#define HOLE 0xa0000UL

static struct vm *vm_with_hole(void)
{
	struct vm *vm = vm_create();

	vm_set_slot(vm, 0, 0, 0, 0, NULL);
	vm_set_slot(vm, 0, 0, 0, HOLE, vm->mem);
	vm_set_slot(vm, 1, 0, 0x100000, vm->mem_size - 0x100000,
		    vm->mem + 0x100000);
	return vm;
}

GUEST_CODE16(real_mmio,
	     "mov $0xa000, %ax\n"
	     "mov %ax, %ds\n"
	     "mov %ax, %es\n"
	     "movb $0x12, 0x10\n"
	     "movw $0x3456, 0x20\n"
	     "movl $0x789abcde, 0x30\n"
	     "movw 0x40, %ax\n"
	     "movl 0x50, %ebx\n"
	     "mov $0xfffc, %di\n"
	     "mov $3, %cx\n"
	     "rep stosw\n"
	     "addw %bx, 0x60\n"
	     "mov %di, %dx\n"
	     "hlt\n");

TEST(real_mode)
{
	struct vm *vm = vm_with_hole();
	struct vcpu *vcpu = vcpu_create_bare(vm, 0);
	struct kvm_regs regs;

	vm_load(vm, REAL_CODE_GPA, real_mmio, real_mmio_end);
	vcpu_set_real(vcpu, REAL_CODE_GPA);
	expect_access(_metadata, vcpu, HOLE + 0x10, 1, true, 0x12);
	expect_access(_metadata, vcpu, HOLE + 0x20, 2, true, 0x3456);
	expect_access(_metadata, vcpu, HOLE + 0x30, 4, true, 0x789abcde);
	expect_access(_metadata, vcpu, HOLE + 0x40, 2, false, 0x8001);
	expect_access(_metadata, vcpu, HOLE + 0x50, 4, false, 0x87654321);
	/* DI wraps inside the segment. */
	expect_access(_metadata, vcpu, HOLE + 0xfffc, 2, true, 0x8001);
	expect_access(_metadata, vcpu, HOLE + 0xfffe, 2, true, 0x8001);
	expect_access(_metadata, vcpu, HOLE, 2, true, 0x8001);
	expect_access(_metadata, vcpu, HOLE + 0x60, 2, false, 0x1111);
	expect_access(_metadata, vcpu, HOLE + 0x60, 2, true, 0x5432);
	ASSERT_EQ(KVM_EXIT_HLT, vcpu_next(vcpu));
	vcpu_get_regs(vcpu, &regs);
	EXPECT_EQ(2, regs.rdx & 0xffff);
	EXPECT_EQ(0x87654321, regs.rbx & 0xffffffff);
	vcpu_free(vcpu);
	vm_free(vm);
}

GUEST_CODE32(prot32_mmio,
	     "movb $0x12, 0x10000010\n"
	     "movw $0x3456, 0x10000020\n"
	     "movl $0x789abcde, 0x10000030\n"
	     "movzwl 0x10000040, %eax\n"
	     "movl 0x10000050, %ebx\n"
	     "mov $0x10000ffd, %edi\n"
	     "mov $2, %ecx\n"
	     "rep stosw\n"
	     "addl %ebx, 0x10000060\n"
	     "mov %edi, %edx\n"
	     "hlt\n");

static void check_prot32(struct __test_metadata *_metadata, struct vcpu *vcpu)
{
	struct kvm_regs regs;

	expect_access(_metadata, vcpu, MMIO_GPA + 0x10, 1, true, 0x12);
	expect_access(_metadata, vcpu, MMIO_GPA + 0x20, 2, true, 0x3456);
	expect_access(_metadata, vcpu, MMIO_GPA + 0x30, 4, true, 0x789abcde);
	expect_access(_metadata, vcpu, MMIO_GPA + 0x40, 2, false, 0x8001);
	expect_access(_metadata, vcpu, MMIO_GPA + 0x50, 4, false, 0x87654321);
	expect_access(_metadata, vcpu, MMIO_GPA + 0xffd, 2, true, 0x8001);
	expect_access(_metadata, vcpu, MMIO_GPA + 0xfff, 1, true, 0x01);
	expect_access(_metadata, vcpu, MMIO_GPA + 0x1000, 1, true, 0x80);
	expect_access(_metadata, vcpu, MMIO_GPA + 0x60, 4, false, 0x11111111);
	expect_access(_metadata, vcpu, MMIO_GPA + 0x60, 4, true, 0x98765432);
	ASSERT_EQ(KVM_EXIT_HLT, vcpu_next(vcpu));
	vcpu_get_regs(vcpu, &regs);
	EXPECT_EQ(0x10001001, regs.rdx);
}

TEST_F(mmio, protected_32_bit_without_paging)
{
	struct vcpu *vcpu = vcpu_create_bare(self->vm, 1);

	vcpu_set_prot32(vcpu, prot32_mmio);
	check_prot32(_metadata, vcpu);
}

TEST_F(mmio, protected_32_bit_with_paging)
{
	struct vcpu *vcpu = vcpu_create_bare(self->vm, 1);
	struct kvm_sregs sregs;

	vcpu_set_prot32(vcpu, prot32_mmio);
	vcpu_get_sregs(vcpu, &sregs);
	sregs.cr3 = PD32_GPA;
	sregs.cr4 |= CR4_PSE;
	sregs.cr0 |= CR0_PG;
	vcpu_set_sregs(vcpu, &sregs);
	check_prot32(_metadata, vcpu);
}

TEST_F(mmio, protected_32_bit_with_pae)
{
	struct vcpu *vcpu = vcpu_create_bare(self->vm, 1);
	struct kvm_sregs sregs;

	vcpu_set_prot32(vcpu, prot32_mmio);
	vcpu_get_sregs(vcpu, &sregs);
	sregs.cr3 = PAE_PDPT_GPA;
	sregs.cr4 |= CR4_PAE;
	sregs.cr0 |= CR0_PG;
	vcpu_set_sregs(vcpu, &sregs);
	check_prot32(_metadata, vcpu);
}

static void rep_store_guest(void)
{
	u64 rdi = MMIO_GPA, rcx = 4;

	asm volatile("rep stosb" : "+D"(rdi), "+c"(rcx) : "a"(0x77) : "memory");
	guest_sync(rdi);
}

/* What the first iteration found out holds for that one only. */
TEST_F(mmio, memory_appears_under_a_repeated_store)
{
	u8 *mem = anon_alloc(PAGE);

	vcpu_set_long(self->vcpu, rep_store_guest);
	expect_access(_metadata, self->vcpu, MMIO_GPA, 1, true, 0x77);
	expect_access(_metadata, self->vcpu, MMIO_GPA + 1, 1, true, 0x77);
	vm_set_slot(self->vm, 5, 0, MMIO_GPA, PAGE, mem);
	EXPECT_EQ(MMIO_GPA + 4, vcpu_sync(self->vcpu));
	EXPECT_EQ(0, mem[1]);
	EXPECT_EQ(0x77, mem[2]);
	EXPECT_EQ(0x77, mem[3]);
	EXPECT_EQ(0, mem[4]);
}

KEEL_TEST_MAIN
