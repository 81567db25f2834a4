// SPDX-License-Identifier: GPL-2.0
/*
 * An answered MMIO read is used. What an access was is settled when its exit is
 * raised; whatever changes until userspace comes back with the answer - code,
 * page tables, slots, rights - the instruction ends as it would have without
 * that change. So each instruction runs once undisturbed, and then once for each
 * thing that can change, and the outcomes are compared.
 */
#include <sys/eventfd.h>
#include "kselftest_harness.h"
#include "keel_test.h"
#include "guest.h"

/* Guest virtual: pages of one table. */
#define BASE_GVA	0x8000000000UL
#define CODE_GVA	(BASE_GVA + 0x10000)
#define DEV_GVA		(BASE_GVA + 0x20000)	/* two pages of the device */
#define RAM_GVA		(BASE_GVA + 0x30000)	/* two pages of memory */
#define DEV2_GVA	(BASE_GVA + 0x40000)	/* another device */
#define MIX_GVA		(BASE_GVA + 0x50000)	/* memory, device, memory */

/* Guest physical: slots of their own, and devices. */
#define CODE_GPA	0x8000000UL
#define RAM_GPA		0x8100000UL
#define RAM_PAGES	4
#define MOVED_GPA	0x8200000UL
#define SPARE_GPA	0x8300000UL
#define DEV_GPA		MMIO_GPA
#define DEV2_GPA	(MMIO_GPA + 0x100000)
#define WRONG_GPA	(MMIO_GPA + 0x200000)

enum { CODE_SLOT = 1, RAM_SLOT, SPARE_SLOT, DEV_SLOT };

#define PORT		0x40
#define FLAG_ZF		(1UL << 6)

/* --- instructions -------------------------------------------------------- */

#define INSN(name, text)						\
extern const u8 insn_##name[], insn_##name##_end[];			\
asm(".pushsection .rodata\n"						\
	"insn_" #name ": " text "\n"					\
	"insn_" #name "_end:\n"						\
	".popsection\n")

INSN(mov, "mov (%rsi), %rax");
INSN(movzx, "movzbl (%rsi), %eax");
INSN(add_load, "add (%rsi), %rax");
INSN(add_store, "add %rax, (%rsi)");
INSN(xchg, "xchg %rax, (%rsi)");
INSN(xadd, "lock xadd %rcx, (%rsi)");
INSN(cmpxchg, "lock cmpxchg %rcx, (%rsi)");
INSN(cmpxchg16b, "lock cmpxchg16b (%rsi)");
INSN(movs, "movsq");
INSN(rep_movs, "rep movsb");
INSN(cmps, "cmpsq");
INSN(lods, "lodsq");
INSN(scas, "scasq");
INSN(push, "pushq (%rsi)");
INSN(pop, "popq (%rdi)");
INSN(call, "call *(%rsi)");
INSN(jmp, "jmp *(%rsi)");
INSN(ret, "ret");
INSN(enter, "enter $16, $4");
INSN(leave, "leave");
INSN(movups, "movups (%rsi), %xmm0");
INSN(ins, "insl");
INSN(rep_ins, "rep insl");
INSN(bt, "btsq %rcx, (%rsi)");

/* struct insn - @reads: exits for one; pointers are those of guest virtual addresses */
struct insn {
	const char *name;
	const u8 *code, *end;
	int reads;
	u64 rsi, rdi, rsp, rbp, rcx;
};

#define ROW(id, ...) { #id, insn_##id, insn_##id##_end, __VA_ARGS__ }

#define DEV	(DEV_GVA + 0x10)
#define DEV2	(DEV2_GVA + 0x18)
#define RAM	(RAM_GVA + 0x20)
#define STACK	(RAM_GVA + 0x800)

static const struct insn insns[] = {
	ROW(mov, 1, DEV, RAM, STACK),
	ROW(movzx, 1, DEV, RAM, STACK),
	ROW(mov, 2, DEV_GVA + PAGE - 3, RAM, STACK),
	ROW(mov, 1, MIX_GVA + PAGE - 3, RAM, STACK),
	ROW(mov, 1, MIX_GVA + 2 * PAGE - 3, RAM, STACK),
	ROW(add_load, 1, DEV, RAM, STACK),
	ROW(add_store, 1, DEV, RAM, STACK),
	ROW(add_store, 1, MIX_GVA + PAGE - 3, RAM, STACK),
	ROW(add_store, 1, MIX_GVA + 2 * PAGE - 3, RAM, STACK),
	ROW(xchg, 1, DEV, RAM, STACK),
	ROW(xadd, 1, DEV, RAM, STACK, 0, 5),
	ROW(xadd, 1, MIX_GVA + PAGE - 3, RAM, STACK, 0, 5),
	ROW(cmpxchg, 1, DEV, RAM, STACK, 0, 5),
	ROW(cmpxchg16b, 2, DEV, RAM, STACK),
	ROW(bt, 1, DEV, RAM, STACK, 0, 67),
	ROW(movs, 1, DEV, RAM, STACK),
	ROW(movs, 1, DEV, DEV2, STACK),
	ROW(movs, 1, DEV, RAM_GVA + PAGE - 3, STACK),
	ROW(movs, 1, MIX_GVA + PAGE - 3, RAM, STACK),
	ROW(rep_movs, 1, DEV, RAM, STACK, 0, 3),
	ROW(cmps, 1, DEV, RAM, STACK),
	ROW(cmps, 1, RAM, DEV, STACK),
	ROW(cmps, 2, DEV, DEV2, STACK),
	ROW(lods, 1, DEV, RAM, STACK),
	ROW(scas, 1, RAM, DEV, STACK),
	ROW(push, 1, DEV, RAM, STACK),
	ROW(push, 1, DEV, RAM, DEV2),
	ROW(push, 1, DEV, RAM, RAM_GVA + PAGE + 5),
	ROW(pop, 1, RAM, RAM, DEV),
	ROW(pop, 1, RAM, DEV2, DEV),
	ROW(call, 1, DEV, RAM, STACK),
	ROW(jmp, 1, DEV, RAM, STACK),
	ROW(ret, 1, DEV, RAM, DEV),
	ROW(enter, 3, DEV, RAM, STACK, DEV + 0x100),
	ROW(enter, 3, DEV, RAM, DEV2 + 0x100, DEV + 0x100),
	ROW(enter, 1, DEV, RAM, STACK, MIX_GVA + 2 * PAGE + 0x10),
	ROW(leave, 1, DEV, RAM, STACK, DEV),
	ROW(movups, 2, DEV, RAM, STACK),
	ROW(movups, 3, DEV_GVA + PAGE - 3, RAM, STACK),
	ROW(movups, 1, MIX_GVA + PAGE - 11, RAM, STACK),
	ROW(ins, 1, RAM, RAM, STACK),
	ROW(ins, 1, RAM, RAM_GVA + PAGE - 3, STACK),
	ROW(ins, 1, RAM, DEV2, STACK),
	ROW(rep_ins, 1, RAM, RAM, STACK, 0, 8),
};

/* --- the machine --------------------------------------------------------- */

FIXTURE(answer) {
	struct vm *vm;
	struct vcpu *vcpu;
	struct kvm_run *run;
	u8 *code, *ram, *spare;
};

typedef FIXTURE_DATA(answer) fixture_t;

static void no_guest(void)
{
}

static void on_page_fault(struct guest_trap *trap)
{
	guest_sync3(trap->vector, trap->error, guest_read_cr2());
}

static void map_pages(struct vm *vm)
{
	vm_map(vm, CODE_GVA, CODE_GPA, PT_P | PT_W);
	vm_map(vm, DEV_GVA, DEV_GPA, PT_P | PT_W);
	vm_map(vm, DEV_GVA + PAGE, DEV_GPA + PAGE, PT_P | PT_W);
	vm_map(vm, RAM_GVA, RAM_GPA, PT_P | PT_W);
	vm_map(vm, RAM_GVA + PAGE, RAM_GPA + PAGE, PT_P | PT_W);
	vm_map(vm, DEV2_GVA, DEV2_GPA, PT_P | PT_W);
	vm_map(vm, DEV2_GVA + PAGE, DEV2_GPA + PAGE, PT_P | PT_W);
	vm_map(vm, MIX_GVA, RAM_GPA + 2 * PAGE, PT_P | PT_W);
	vm_map(vm, MIX_GVA + PAGE, DEV_GPA, PT_P | PT_W);
	vm_map(vm, MIX_GVA + 2 * PAGE, RAM_GPA + 3 * PAGE, PT_P | PT_W);
}

FIXTURE_SETUP(answer)
{
	if (!test_is_wanted(_metadata->name))
		SKIP(longjmp(_metadata->env, 1), "not asked for");
	self->vm = vm_create();
	self->vcpu = vcpu_create(self->vm, 0, no_guest);
	self->run = self->vcpu->run;
	self->code = anon_alloc(PAGE);
	self->ram = anon_alloc(RAM_PAGES * PAGE);
	self->spare = anon_alloc(RAM_PAGES * PAGE);
	vm_set_slot(self->vm, CODE_SLOT, 0, CODE_GPA, PAGE, self->code);
	vm_set_slot(self->vm, RAM_SLOT, 0, RAM_GPA, RAM_PAGES * PAGE, self->ram);
	map_pages(self->vm);
	GUEST_VAR(self->vm, guest_handler)[14] = on_page_fault;
}

FIXTURE_TEARDOWN(answer)
{
	vcpu_free(self->vcpu);
	vm_free(self->vm);
	munmap(self->code, PAGE);
	munmap(self->ram, RAM_PAGES * PAGE);
	munmap(self->spare, RAM_PAGES * PAGE);
}

static void no_slot(struct vm *vm, u32 slot)
{
	__vm_set_slot(vm, slot, 0, 0, 0, NULL);
}

/* Finish whatever the last exit left, and forget what was translated. */
static void settle(struct vcpu *vcpu)
{
	struct kvm_sregs s;

	vcpu->run->immediate_exit = 1;
	while (!__vcpu_run(vcpu))
		;
	vcpu->run->immediate_exit = 0;
	vcpu_get_sregs(vcpu, &s);
	vcpu_set_sregs(vcpu, &s);
}

static void set_registers(struct vcpu *vcpu, const struct insn *insn)
{
	struct kvm_regs r = {
		.rip = CODE_GVA, .rflags = 2, .rax = 0x0102030405060708, .rbx = 11, .rdx = 12,
		.rsi = insn->rsi, .rdi = insn->rdi, .rsp = insn->rsp, .rbp = insn->rbp,
		.rcx = insn->rcx,
	};
	struct kvm_vcpu_events no_events = {};

	if (insn->code == insn_ins || insn->code == insn_rep_ins)
		r.rdx = PORT;
	vcpu_ioctl(vcpu, KVM_SET_VCPU_EVENTS, &no_events);
	vcpu_set_regs(vcpu, &r);
}

static void prepare(fixture_t *self, const struct insn *insn)
{
	u64 i;

	settle(self->vcpu);
	no_slot(self->vm, SPARE_SLOT);
	no_slot(self->vm, DEV_SLOT);
	no_slot(self->vm, CODE_SLOT);
	no_slot(self->vm, RAM_SLOT);
	vm_set_slot(self->vm, CODE_SLOT, 0, CODE_GPA, PAGE, self->code);
	vm_set_slot(self->vm, RAM_SLOT, 0, RAM_GPA, RAM_PAGES * PAGE, self->ram);
	map_pages(self->vm);
	for (i = 0; i < RAM_PAGES * PAGE; i++) {
		self->ram[i] = 3 * i;
		self->spare[i] = 0x55;
	}
	memset(self->code, 0xf4, PAGE);
	memcpy(self->code, insn->code, insn->end - insn->code);
	set_registers(self->vcpu, insn);
}

/* --- running ------------------------------------------------------------- */

#define MAX_EXITS	80

/* Where an instruction led to, and all that left on the way. */
struct outcome {
	struct kvm_regs regs;
	u8 xmm0[16];
	u8 ram[RAM_PAGES * PAGE];
	int reads, exits;
	struct {
		u64 addr, data;
		u32 len, write;
	} exit[MAX_EXITS];
};

static void note_exit(struct outcome *o, u64 addr, u32 len, bool write, const void *data)
{
	CHECK(o->exits < MAX_EXITS, "%d exits", o->exits);
	o->exit[o->exits].addr = addr;
	o->exit[o->exits].len = len;
	o->exit[o->exits].write = write;
	memcpy(&o->exit[o->exits].data, data, write && len <= 8 ? len : 0);
	o->exits++;
	o->reads += !write;
}

/* Take note of the exit, and answer it. */
static void serve(struct vcpu *vcpu, struct outcome *o)
{
	struct kvm_run *run = vcpu->run;
	u64 answer = 0x1000UL * (o->reads + 1) + 0x77;
	u32 i;

	if (run->exit_reason == KVM_EXIT_IO) {
		note_exit(o, run->io.port, run->io.size, run->io.direction, &answer);
		for (i = 0; i < run->io.size * run->io.count; i++)
			((u8 *)run)[run->io.data_offset + i] = 0xa0 + i;
		return;
	}
	CHECK(run->exit_reason == KVM_EXIT_MMIO, "exit %u", run->exit_reason);
	note_exit(o, run->mmio.phys_addr, run->mmio.len, run->mmio.is_write, run->mmio.data);
	if (!run->mmio.is_write)
		memcpy(run->mmio.data, &answer, sizeof(answer));
}

/* Complete the instruction, and no more than that. */
static void complete(struct vcpu *vcpu, struct outcome *o)
{
	int r;

	vcpu->run->immediate_exit = 1;
	while (!(r = __vcpu_run(vcpu)))
		serve(vcpu, o);
	vcpu->run->immediate_exit = 0;
	CHECK(r == -EINTR, "%d", r);
}

static void look_at(fixture_t *self, struct outcome *o)
{
	struct kvm_fpu fpu;

	vcpu_get_regs(self->vcpu, &o->regs);
	vcpu_ioctl(self->vcpu, KVM_GET_FPU, &fpu);
	memcpy(o->xmm0, fpu.xmm[0], sizeof(o->xmm0));
	memcpy(o->ram, self->ram, sizeof(o->ram));
}

typedef void change_fn(fixture_t *self);

/* Run @insn; after the first answer let @change happen. */
static void run_insn(fixture_t *self, const struct insn *insn, change_fn *change,
		     struct outcome *o)
{
	prepare(self, insn);
	memset(o, 0, sizeof(*o));
	vcpu_run(self->vcpu);
	serve(self->vcpu, o);
	change(self);
	complete(self->vcpu, o);
	look_at(self, o);
}

/* --- what may change ----------------------------------------------------- */

static u64 *pte(fixture_t *self, u64 gva)
{
	return vm_hva(self->vm, vm_pte_gpa(self->vm, gva));
}

static void set_ptes(fixture_t *self, u64 gva, u64 value)
{
	*pte(self, gva) = value;
	*pte(self, gva + PAGE) = value;
}

static void nothing(fixture_t *self)
{
}

static void code_bytes(fixture_t *self)
{
	memset(self->code, 0x90, 64);
}

static void code_entry(fixture_t *self)
{
	*pte(self, CODE_GVA) = 0;
}

static void code_slot(fixture_t *self)
{
	no_slot(self->vm, CODE_SLOT);
}

static void device_entries_gone(fixture_t *self)
{
	set_ptes(self, DEV_GVA, 0);
	*pte(self, DEV2_GVA) = 0;
	*pte(self, MIX_GVA + PAGE) = 0;
}

static void device_entries_to_another(fixture_t *self)
{
	set_ptes(self, DEV_GVA, WRONG_GPA | PT_P | PT_W);
	*pte(self, DEV2_GVA) = WRONG_GPA | PT_P | PT_W;
	*pte(self, MIX_GVA + PAGE) = WRONG_GPA | PT_P | PT_W;
}

static void device_entries_to_memory(fixture_t *self)
{
	vm_set_slot(self->vm, SPARE_SLOT, 0, SPARE_GPA, RAM_PAGES * PAGE, self->spare);
	set_ptes(self, DEV_GVA, SPARE_GPA | PT_P | PT_W);
	*pte(self, DEV2_GVA) = SPARE_GPA | PT_P | PT_W;
	*pte(self, MIX_GVA + PAGE) = SPARE_GPA | PT_P | PT_W;
}

static void memory_entries_gone(fixture_t *self)
{
	set_ptes(self, RAM_GVA, 0);
	*pte(self, MIX_GVA) = 0;
	*pte(self, MIX_GVA + 2 * PAGE) = 0;
}

static void memory_entries_read_only(fixture_t *self)
{
	set_ptes(self, RAM_GVA, WRONG_GPA | PT_P);
	*pte(self, MIX_GVA) &= ~PT_W;
	*pte(self, MIX_GVA + 2 * PAGE) &= ~PT_W;
}

static void table_gone(fixture_t *self)
{
	u64 table = vm_pte_gpa(self->vm, BASE_GVA) & ~(PAGE - 1);

	/* Tables follow each other: the one before leads to it. */
	memset(vm_hva(self->vm, table), 0, PAGE);
}

static void memory_over_the_devices(fixture_t *self)
{
	vm_set_slot(self->vm, DEV_SLOT, 0, DEV_GPA, 2 * PAGE, self->spare);
	vm_set_slot(self->vm, SPARE_SLOT, 0, DEV2_GPA, PAGE, self->spare + 2 * PAGE);
}

static void unrelated_slot(fixture_t *self)
{
	vm_set_slot(self->vm, SPARE_SLOT, 0, SPARE_GPA, PAGE, self->spare);
}

static void memory_slot_moved(fixture_t *self)
{
	vm_set_slot(self->vm, RAM_SLOT, 0, MOVED_GPA, RAM_PAGES * PAGE, self->ram);
}

static void memory_slot_read_only(fixture_t *self)
{
	no_slot(self->vm, RAM_SLOT);
	vm_set_slot(self->vm, RAM_SLOT, KVM_MEM_READONLY, RAM_GPA, RAM_PAGES * PAGE, self->ram);
}

static void memory_slot_exchanged(fixture_t *self)
{
	no_slot(self->vm, RAM_SLOT);
	vm_set_slot(self->vm, RAM_SLOT, 0, MOVED_GPA, RAM_PAGES * PAGE, self->ram);
	vm_set_slot(self->vm, SPARE_SLOT, 0, RAM_GPA, RAM_PAGES * PAGE, self->spare);
}

#define CHANGE(fn) { #fn, fn }

static const struct {
	const char *name;
	change_fn *fn;
} changes[] = {
	CHANGE(code_bytes), CHANGE(code_entry), CHANGE(code_slot),
	CHANGE(device_entries_gone), CHANGE(device_entries_to_another),
	CHANGE(device_entries_to_memory), CHANGE(memory_entries_gone),
	CHANGE(memory_entries_read_only), CHANGE(table_gone), CHANGE(memory_over_the_devices),
	CHANGE(unrelated_slot), CHANGE(memory_slot_moved), CHANGE(memory_slot_read_only),
	CHANGE(memory_slot_exchanged),
};

static bool all_are(const u8 *mem, u8 value, size_t size)
{
	return mem[0] == value && !memcmp(mem, mem + 1, size - 1);
}

/* Every instruction, undisturbed and with each change. */
TEST_F_TIMEOUT(answer, is_used_whatever_changes, 120)
{
	struct outcome right, now;
	unsigned int i, c;

	for (i = 0; i < ARRAY_SIZE(insns); i++) {
		run_insn(self, &insns[i], nothing, &right);
		EXPECT_EQ(insns[i].reads, right.reads) {
			TH_LOG("%s (%u)", insns[i].name, i);
		}
		if (insns[i].code != insn_rep_movs)
			EXPECT_NE(CODE_GVA, right.regs.rip);
		for (c = 0; c < ARRAY_SIZE(changes); c++) {
			run_insn(self, &insns[i], changes[c].fn, &now);
			EXPECT_EQ(0, memcmp(&right, &now, sizeof(now))) {
				TH_LOG("%s (%u), %s: rip %llx for %llx, %d exits for %d",
				       insns[i].name, i, changes[c].name, now.regs.rip,
				       right.regs.rip, now.exits, right.exits);
			}
			EXPECT_TRUE(all_are(self->spare, 0x55, RAM_PAGES * PAGE));
		}
	}
}

/* Undisturbed, the outcomes are right: an example of each kind. */
TEST_F(answer, arrives_where_it_belongs)
{
	struct outcome o;
	u64 value;

	run_insn(self, &insns[0], nothing, &o);
	EXPECT_EQ(0x1077, o.regs.rax);
	EXPECT_EQ(CODE_GVA + 3, o.regs.rip);
	run_insn(self, &(struct insn)ROW(movs, 1, DEV, RAM, STACK), code_slot, &o);
	memcpy(&value, o.ram + 0x20, sizeof(value));
	EXPECT_EQ(0x1077, value);
	EXPECT_EQ(DEV + 8, o.regs.rsi);
	run_insn(self, &(struct insn)ROW(push, 1, DEV, RAM, STACK), memory_entries_gone, &o);
	memcpy(&value, o.ram + 0x800 - 8, sizeof(value));
	EXPECT_EQ(0x1077, value);
	run_insn(self, &(struct insn)ROW(pop, 1, RAM, DEV2, DEV), memory_over_the_devices, &o);
	EXPECT_EQ(2, o.exits);
	EXPECT_EQ(DEV2_GPA + 0x18, o.exit[1].addr);
	EXPECT_EQ(0x1077, o.exit[1].data);
}

static void first_operand(fixture_t *self)
{
	memset(self->ram + 0x20, 0, 8);
}

static void second_operand(fixture_t *self)
{
	const u64 answer = 0x1077;

	memcpy(self->ram + 0x20, &answer, sizeof(answer));
}

/* Reads come in order: memory before the device keeps its value, memory after it is read late. */
TEST_F(answer, comes_between_the_reads_before_and_after)
{
	struct outcome right, now;

	run_insn(self, &(struct insn)ROW(cmps, 1, RAM, DEV, STACK), nothing, &right);
	run_insn(self, &(struct insn)ROW(cmps, 1, RAM, DEV, STACK), first_operand, &now);
	EXPECT_EQ(right.regs.rflags, now.regs.rflags);
	run_insn(self, &(struct insn)ROW(cmps, 1, DEV, RAM, STACK), second_operand, &now);
	EXPECT_EQ(FLAG_ZF, now.regs.rflags & FLAG_ZF);
}

/* --- memory that is taken back -------------------------------------------- */

/* The processor itself may have written some of it before it came to the device. */
static void memory_slot_deleted(fixture_t *self)
{
	no_slot(self->vm, RAM_SLOT);
	memcpy(self->spare, self->ram, RAM_PAGES * PAGE);
}

/* It is userspace's again: not even the answer to an old question goes there. */
TEST_F(answer, does_not_reach_memory_that_was_taken_back)
{
	struct outcome before, now;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(insns); i++) {
		run_insn(self, &insns[i], nothing, &before);
		run_insn(self, &insns[i], memory_slot_deleted, &now);
		EXPECT_EQ(before.regs.rip, now.regs.rip) {
			TH_LOG("%s (%u)", insns[i].name, i);
		}
		EXPECT_EQ(before.exits, now.exits);
		EXPECT_EQ(0, memcmp(now.ram, self->spare, sizeof(now.ram))) {
			TH_LOG("%s (%u): memory was written to", insns[i].name, i);
		}
	}
}

static bool is_dirty(struct vm *vm, u64 page)
{
	u64 bits = 0;
	struct kvm_dirty_log log = { .slot = RAM_SLOT, .dirty_bitmap = &bits };

	vm_ioctl(vm, KVM_GET_DIRTY_LOG, &log);
	return bits >> page & 1;
}

static void log_slot(struct vm *vm, u64 gpa, u8 *ram)
{
	vm_set_slot(vm, RAM_SLOT, KVM_MEM_LOG_DIRTY_PAGES, gpa, RAM_PAGES * PAGE, ram);
}

static void log_where_it_was(fixture_t *self)
{
	log_slot(self->vm, RAM_GPA, self->ram);
	is_dirty(self->vm, 0);
}

static void log_elsewhere(fixture_t *self)
{
	no_slot(self->vm, RAM_SLOT);
	log_slot(self->vm, MOVED_GPA, self->ram);
	is_dirty(self->vm, 0);
}

TEST_F(answer, is_in_the_dirty_log)
{
	static change_fn *const logs[] = { log_where_it_was, log_elsewhere };
	static const struct insn writers[] = {
		ROW(movs, 1, DEV, RAM, STACK), ROW(push, 1, DEV, RAM, STACK),
		ROW(pop, 1, RAM, RAM, DEV), ROW(rep_ins, 1, RAM, RAM, STACK, 0, 8),
	};
	struct outcome o;
	unsigned int i;

	for (i = 0; i < 2 * ARRAY_SIZE(writers); i++) {
		run_insn(self, &writers[i / 2], logs[i % 2], &o);
		EXPECT_TRUE(is_dirty(self->vm, 0)) {
			TH_LOG("%s, %u", writers[i / 2].name, i % 2);
		}
	}
}

/* --- rights --------------------------------------------------------------- */

/* What the answer is for must be there before the device is asked. */
TEST_F(answer, is_not_asked_for_without_the_right_to_its_destination)
{
	static const struct insn writers[] = {
		ROW(movs, 1, DEV, RAM_GVA + PAGE - 3, STACK),
		ROW(ins, 1, RAM, RAM_GVA + PAGE, STACK),
		ROW(push, 1, DEV, RAM, RAM_GVA + PAGE + 5), ROW(pop, 1, RAM, RAM_GVA + PAGE, DEV),
		ROW(enter, 1, DEV, RAM, RAM_GVA + PAGE + 8, DEV + 0x100),
		/* Its first page may be read, and is. */
		ROW(movs, 1, MIX_GVA + PAGE - 3, MIX_GVA + 0x20, STACK),
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(writers); i++) {
		prepare(self, &writers[i]);
		*pte(self, RAM_GVA + PAGE) &= ~PT_W;
		*pte(self, MIX_GVA) &= ~PT_W;
		/* Its own stack is used to tell of the fault. */
		settle(self->vcpu);
		vcpu_run(self->vcpu);
		EXPECT_NE(KVM_EXIT_MMIO, self->run->exit_reason) {
			TH_LOG("%s", writers[i].name);
		}
	}
}

/* --- what drops it --------------------------------------------------------- */

static void look_regs(struct vcpu *vcpu)
{
	struct kvm_regs regs;

	vcpu_get_regs(vcpu, &regs);
}

static void look_sregs(struct vcpu *vcpu)
{
	struct kvm_sregs sregs;

	vcpu_get_sregs(vcpu, &sregs);
}

#define LOOK(name, cmd, type)						\
static void look_##name(struct vcpu *vcpu)				\
{									\
	type arg = {};							\
									\
	vcpu_ioctl(vcpu, cmd, &arg);					\
}

LOOK(fpu, KVM_GET_FPU, struct kvm_fpu)
LOOK(xsave, KVM_GET_XSAVE, struct kvm_xsave)
LOOK(events, KVM_GET_VCPU_EVENTS, struct kvm_vcpu_events)
LOOK(debugregs, KVM_GET_DEBUGREGS, struct kvm_debugregs)
LOOK(mp_state, KVM_GET_MP_STATE, struct kvm_mp_state)
LOOK(xcrs, KVM_GET_XCRS, struct kvm_xcrs)
LOOK(translate, KVM_TRANSLATE, struct kvm_translation)
LOOK(guest_debug, KVM_SET_GUEST_DEBUG, struct kvm_guest_debug)

static void look_msr(struct vcpu *vcpu)
{
	u64 value;

	CHECK(__vcpu_get_msr(vcpu, MSR_EFER, &value) == 1, "EFER");
}

static void look_tsc_khz(struct vcpu *vcpu)
{
	vcpu_ioctl(vcpu, KVM_GET_TSC_KHZ, 0);
}

/* Not a look: it waits until the instruction is done. */
static void queue_nmi(struct vcpu *vcpu)
{
	vcpu_ioctl(vcpu, KVM_NMI, 0);
}

TEST_F(answer, is_used_after_calls_that_set_no_registers)
{
	static void (*const looks[])(struct vcpu *vcpu) = {
		look_regs, look_sregs, look_fpu, look_xsave, look_events, look_debugregs,
		look_mp_state, look_xcrs, look_translate, look_guest_debug, look_msr,
		look_tsc_khz, queue_nmi,
	};
	struct outcome o;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(looks); i++) {
		prepare(self, &insns[0]);
		memset(&o, 0, sizeof(o));
		vcpu_run(self->vcpu);
		serve(self->vcpu, &o);
		code_entry(self);
		looks[i](self->vcpu);
		complete(self->vcpu, &o);
		look_at(self, &o);
		EXPECT_EQ(0x1077, o.regs.rax) {
			TH_LOG("look %u", i);
		}
		EXPECT_EQ(CODE_GVA + 3, o.regs.rip);
		EXPECT_EQ(1, o.exits);
	}
}

#define SET(name, get, set, type)					\
static void set_##name(struct vcpu *vcpu)				\
{									\
	type arg = {};							\
									\
	vcpu_ioctl(vcpu, get, &arg);					\
	vcpu_ioctl(vcpu, set, &arg);					\
}

SET(regs, KVM_GET_REGS, KVM_SET_REGS, struct kvm_regs)
SET(sregs, KVM_GET_SREGS, KVM_SET_SREGS, struct kvm_sregs)
SET(sregs2, KVM_GET_SREGS2, KVM_SET_SREGS2, struct kvm_sregs2)
SET(fpu, KVM_GET_FPU, KVM_SET_FPU, struct kvm_fpu)
SET(xsave, KVM_GET_XSAVE, KVM_SET_XSAVE, struct kvm_xsave)
SET(xcrs, KVM_GET_XCRS, KVM_SET_XCRS, struct kvm_xcrs)
SET(events, KVM_GET_VCPU_EVENTS, KVM_SET_VCPU_EVENTS, struct kvm_vcpu_events)
SET(debugregs, KVM_GET_DEBUGREGS, KVM_SET_DEBUGREGS, struct kvm_debugregs)

static void set_msr(struct vcpu *vcpu)
{
	u64 value;

	CHECK(__vcpu_get_msr(vcpu, MSR_EFER, &value) == 1, "EFER");
	CHECK(__vcpu_set_msr(vcpu, MSR_EFER, value) == 1, "EFER");
}

static void set_shared_regs(struct vcpu *vcpu)
{
	vcpu_get_regs(vcpu, &vcpu->run->s.regs.regs);
	vcpu->run->kvm_dirty_regs = KVM_SYNC_X86_REGS;
}

/* The instruction starts over, with its rights checked anew. */
TEST_F(answer, is_dropped_by_calls_that_set_registers)
{
	static void (*const sets[])(struct vcpu *vcpu) = {
		set_regs, set_sregs, set_sregs2, set_fpu, set_xsave, set_xcrs, set_events,
		set_debugregs, set_msr, set_shared_regs,
	};
	struct outcome o;
	unsigned int i;

	REQUIRE(dev_is_keel());
	for (i = 0; i < ARRAY_SIZE(sets); i++) {
		prepare(self, &insns[0]);
		memset(&o, 0, sizeof(o));
		vcpu_run(self->vcpu);
		serve(self->vcpu, &o);
		sets[i](self->vcpu);
		complete(self->vcpu, &o);
		look_at(self, &o);
		EXPECT_EQ(CODE_GVA, o.regs.rip) {
			TH_LOG("set %u", i);
		}
		vcpu_run(self->vcpu);
		serve(self->vcpu, &o);
		EXPECT_EQ(2, o.reads);
		EXPECT_EQ(DEV_GPA + 0x10, o.exit[1].addr);
	}
}

/* A step that userspace asks for meanwhile is a step over this instruction. */
TEST_F(answer, ends_a_step_that_was_asked_for_meanwhile)
{
	struct kvm_guest_debug step = {
		.control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP,
	};
	struct outcome o = {};

	prepare(self, &insns[0]);
	vcpu_run(self->vcpu);
	serve(self->vcpu, &o);
	vcpu_ioctl(self->vcpu, KVM_SET_GUEST_DEBUG, &step);
	vcpu_run(self->vcpu);
	EXPECT_EQ(KVM_EXIT_DEBUG, self->run->exit_reason);
	EXPECT_EQ(CODE_GVA + 3, self->run->debug.arch.pc);
	step.control = 0;
	vcpu_ioctl(self->vcpu, KVM_SET_GUEST_DEBUG, &step);
	look_at(self, &o);
	EXPECT_EQ(0x1077, o.regs.rax);
}

/* --- many accesses --------------------------------------------------------- */

INSN(enter31, "enter $0, $31");
GUEST_CODE32(code_popa, "popa\n hlt");
GUEST_CODE32(code_pusha, "pusha\n hlt");

TEST_F(answer, there_is_room_for_every_instruction)
{
	struct outcome o;

	run_insn(self, &(struct insn)ROW(enter31, 30, 0, 0, DEV2_GVA + 0x900, DEV + 0x800),
		 code_entry, &o);
	EXPECT_EQ(30, o.reads);
	EXPECT_EQ(30 + 32, o.exits);
	EXPECT_EQ(CODE_GVA + 4, o.regs.rip);
	/* Nothing is aligned, and pages are crossed. */
	run_insn(self, &(struct insn)ROW(enter31, 31, 0, 0, DEV2_GVA + PAGE + 0x54,
					 DEV_GVA + PAGE + 0x75), nothing, &o);
	EXPECT_EQ(31, o.reads);
	EXPECT_EQ(31 + 33, o.exits);
}

static void start32(fixture_t *self, const void *code, u64 sp)
{
	struct kvm_regs regs;

	settle(self->vcpu);
	vcpu_set_prot32(self->vcpu, code);
	vcpu_get_regs(self->vcpu, &regs);
	regs.rsp = sp;
	vcpu_set_regs(self->vcpu, &regs);
}

TEST_F(answer, pusha_and_popa_on_a_device)
{
	struct vcpu *vcpu = vcpu_create_bare(self->vm, 1);
	struct outcome o = {};
	struct kvm_regs regs;

	self->vcpu = vcpu;
	start32(self, code_popa, DEV_GPA + 0x100);
	vcpu_run(vcpu);
	while (vcpu->run->exit_reason == KVM_EXIT_MMIO) {
		serve(vcpu, &o);
		unrelated_slot(self);
		no_slot(self->vm, SPARE_SLOT);
		vcpu_run(vcpu);
	}
	EXPECT_EQ(8, o.reads);
	vcpu_get_regs(vcpu, &regs);
	EXPECT_EQ(0x1077, regs.rdi);
	EXPECT_EQ(0x8077, regs.rax);
	EXPECT_EQ(DEV_GPA + 0x120, regs.rsp);
	memset(&o, 0, sizeof(o));
	start32(self, code_pusha, DEV_GPA + 0x100);
	vcpu_run(vcpu);
	complete(vcpu, memset(&o, 0, sizeof(o)));
	EXPECT_EQ(7, o.exits);
}

/* --- descriptors ------------------------------------------------------------ */

INSN(iret, "iretq");

#define IRET_STACK	(MIX_GVA + PAGE - 3 * 8)	/* RSP and SS are the device's */
#define DESC_ACCESSED	(1UL << 40)
#define DESC_AVL	(1UL << 52)

static void answer_with(struct vcpu *vcpu, u64 value)
{
	CHECK(vcpu->run->exit_reason == KVM_EXIT_MMIO && !vcpu->run->mmio.is_write, "exit %u",
	      vcpu->run->exit_reason);
	memcpy(vcpu->run->mmio.data, &value, sizeof(value));
}

static void answer_iret(struct vcpu *vcpu)
{
	vcpu_run(vcpu);
	answer_with(vcpu, STACK);
	vcpu->run->immediate_exit = 1;
	vcpu_run(vcpu);
	answer_with(vcpu, SEL_DATA);
}

static u64 rip(struct vcpu *vcpu)
{
	struct kvm_regs regs;

	vcpu_get_regs(vcpu, &regs);
	return regs.rip;
}

/* The descriptor was read before the device; it cannot be marked as it was. */
TEST_F(answer, does_not_wait_for_a_descriptor_to_be_what_it_was)
{
	const u64 frame[] = { CODE_GVA + 0x40, SEL_CODE64, 2 };
	u64 *desc = vm_hva(self->vm, GDT_GPA + SEL_CODE64);

	prepare(self, &(struct insn)ROW(iret, 2, 0, 0, IRET_STACK));
	memcpy(self->ram + 3 * PAGE - sizeof(frame), frame, sizeof(frame));
	*desc &= ~DESC_ACCESSED;
	answer_iret(self->vcpu);
	*desc |= DESC_AVL;
	EXPECT_EQ(-EINTR, __vcpu_run(self->vcpu));
	if (rip(self->vcpu) == CODE_GVA) {
		self->run->immediate_exit = 0;
		answer_iret(self->vcpu);
		EXPECT_EQ(-EINTR, __vcpu_run(self->vcpu));
	}
	EXPECT_EQ(CODE_GVA + 0x40, rip(self->vcpu));
	EXPECT_EQ(DESC_ACCESSED, *desc & DESC_ACCESSED);
}

/* --- doorbells and zones ---------------------------------------------------- */

INSN(store, "mov %rax, (%rsi)");

#define SPLIT		(DEV_GVA + PAGE - 4)
#define BELL_GPA	(DEV_GPA + PAGE)

static void set_bell(struct vm *vm, int fd, u32 flags)
{
	struct kvm_ioeventfd bell = { .addr = BELL_GPA, .len = 4, .fd = fd, .flags = flags };

	vm_ioctl(vm, KVM_IOEVENTFD, &bell);
}

static bool rung(int fd)
{
	u64 count;

	return read(fd, &count, sizeof(count)) == sizeof(count);
}

/* One access, in two parts: no doorbell that comes after the first takes the second. */
TEST_F(answer, a_doorbell_comes_too_late_for_the_rest_of_a_write)
{
	const struct insn store = ROW(store, 0, SPLIT, RAM, STACK);
	int fd = eventfd(0, EFD_NONBLOCK);
	struct outcome o = {};

	prepare(self, &store);
	vcpu_run(self->vcpu);
	serve(self->vcpu, &o);
	set_bell(self->vm, fd, 0);
	complete(self->vcpu, &o);
	EXPECT_EQ(2, o.exits);
	EXPECT_EQ(BELL_GPA, o.exit[1].addr);
	EXPECT_FALSE(rung(fd));
	close(fd);
}

TEST_F(answer, a_doorbell_is_rung_before_it_is_taken_away)
{
	const struct insn store = ROW(store, 0, SPLIT, RAM, STACK);
	int fd = eventfd(0, EFD_NONBLOCK);
	struct outcome o = {};

	set_bell(self->vm, fd, 0);
	prepare(self, &store);
	vcpu_run(self->vcpu);
	serve(self->vcpu, &o);
	set_bell(self->vm, fd, KVM_IOEVENTFD_FLAG_DEASSIGN);
	EXPECT_TRUE(rung(fd));
	complete(self->vcpu, &o);
	EXPECT_EQ(1, o.exits);
	close(fd);
}

TEST_F(answer, a_zone_comes_too_late_for_the_rest_of_a_write)
{
	struct kvm_coalesced_mmio_zone zone = { .addr = BELL_GPA, .size = PAGE };
	const struct insn store = ROW(store, 0, SPLIT, RAM, STACK);
	struct outcome o = {};

	prepare(self, &store);
	vcpu_run(self->vcpu);
	serve(self->vcpu, &o);
	vm_ioctl(self->vm, KVM_REGISTER_COALESCED_MMIO, &zone);
	complete(self->vcpu, &o);
	EXPECT_EQ(2, o.exits);
}

KEEL_TEST_MAIN
