// SPDX-License-Identifier: GPL-2.0
/*
 * Code without paging, run by the processor and by the emulator: the same random
 * cases in a guest with the module's unrestricted=1, which are written to a file, and
 * with unrestricted=0, which are compared with it. Everything that can be seen is:
 * registers, hidden parts of segments, tables, memory, exits, and the vector of a
 * fault by the handler that it ends in, with its error code on the stack.
 *
 *	unpaged_diff record FILE
 *	unpaged_diff compare FILE
 *
 * UNPAGED_SEED and UNPAGED_CASES say which and how many.
 */
#include <signal.h>
#include <sys/time.h>
#include "kselftest.h"
#include "control.h"
#include "state.h"
#include "unpaged/outcome.h"

#define TICK_US		20000
#define TICKS		3	/* a case that is not over by then is endless */
#define MAX_EXITS	300

static struct vm *vm;
static struct vcpu *vcpu;
static struct kvm_sregs reset;
static struct kvm_fpu fpu;
static u8 *before;		/* memory as the case finds it */
static struct unpaged_case *traced;
static u64 seed = 1;
static u32 cases = 6000;
static u32 reports = 20;

static void on_tick(int sig)
{
}

static void start_ticks(void)
{
	struct itimerval tick = {
		.it_interval.tv_usec = TICK_US, .it_value.tv_usec = TICK_US,
	};
	struct sigaction act = { .sa_handler = on_tick };

	sigaction(SIGALRM, &act, NULL);
	setitimer(ITIMER_REAL, &tick, NULL);
}

static void create(void)
{
	struct kvm_enable_cap exits = {
		.cap = KVM_CAP_EXIT_ON_EMULATION_FAILURE, .args[0] = 1,
	};

	vm = vm_create_bare();
	vm->mem_size = RAM_SIZE;
	vm->mem = anon_alloc(RAM_SIZE);
	before = anon_alloc(RAM_SIZE);
	make_ram(before, seed);
	memcpy(vm->mem, before, RAM_SIZE);
	vm_set_slot(vm, 0, 0, 0, RAM_SIZE, vm->mem);
	/* User code that is not emulated shall not look as if it had met #UD. */
	vm_ioctl(vm, KVM_ENABLE_CAP, &exits);
	vcpu = vcpu_create_bare(vm, 0);
	vcpu_set_cpuid(vcpu);
	vcpu_get_sregs(vcpu, &reset);
	vcpu_ioctl(vcpu, KVM_GET_FPU, &fpu);
}

/* --- one case ------------------------------------------------------------ */

static u64 mix(u64 hash, u64 val)
{
	hash = (hash ^ val) * 0x9e3779b97f4a7c15ULL;
	return hash ^ hash >> 29;
}

static void put_memory(u8 *ram, const struct unpaged_case *c)
{
	memcpy(ram + c->gate.at, c->gate.byte, c->gate.len);
	memcpy(ram + c->stack.at, c->stack.byte, c->stack.len);
	memcpy(ram + c->at, c->code, sizeof(c->code));
}

static void set_up(const struct unpaged_case *c)
{
	struct kvm_debugregs debug = { .dr6 = 0xffff0ff0, .dr7 = 0x400 };
	struct kvm_vcpu_events events = {
		.flags = KVM_VCPUEVENT_VALID_SHADOW | KVM_VCPUEVENT_VALID_NMI_PENDING,
	};

	put_memory(before, c);
	put_memory(vm->mem, c);
	vcpu_ioctl(vcpu, KVM_SET_SREGS, &c->sregs);
	vcpu_ioctl(vcpu, KVM_SET_FPU, &fpu);
	vcpu_ioctl(vcpu, KVM_SET_DEBUGREGS, &debug);
	vcpu_ioctl(vcpu, KVM_SET_REGS, &c->regs);
	vcpu_ioctl(vcpu, KVM_SET_VCPU_EVENTS, &events);
}

static void note_access(struct outcome *o, u64 where, u8 what)
{
	if (o->nr_accesses < KEPT)
		o->access[o->nr_accesses] = (struct seen) { where, what };
	o->nr_accesses++;
	o->accesses = mix(mix(o->accesses, where), what);
}

/* A byte at a time: how an access is cut is the module's to decide. */
static void device(struct outcome *o, u64 where, u8 *data, u32 len, bool write)
{
	u32 i;

	for (i = 0; i < len; i++) {
		if (!write)
			data[i] = mix(where + i, o->number) >> 8;
		note_access(o, (where + i) << 1 | write, data[i]);
	}
}

static void port(struct outcome *o, struct kvm_run *run)
{
	u8 *data = (u8 *)run + run->io.data_offset;
	u32 i;

	for (i = 0; i < run->io.count; i++)
		device(o, 1ULL << 48 | (u64)run->io.size << 32 | (u64)run->io.port << 8,
		       data + i * run->io.size, run->io.size,
		       run->io.direction == KVM_EXIT_IO_OUT);
}

static void note_step(void)
{
	struct kvm_sregs sregs;
	struct kvm_regs regs;
	struct step *s;

	if (!traced || traced->nr_steps == STEPS_MAX)
		return;
	vcpu_get_sregs(vcpu, &sregs);
	vcpu_get_regs(vcpu, &regs);
	s = &traced->step[traced->nr_steps++];
	s->at = sregs.cs.base + regs.rip;
	if (s->at < RAM_SIZE - STEP_BYTES)
		memcpy(s->code, vm->mem + s->at, STEP_BYTES);
}

/* Answer the exit; false: it is the last. */
static bool answer(struct outcome *o, struct kvm_run *run)
{
	if (run->exit_reason == KVM_EXIT_DEBUG)
		note_step();
	else if (run->exit_reason == KVM_EXIT_IO)
		port(o, run);
	else if (run->exit_reason == KVM_EXIT_MMIO)
		device(o, run->mmio.phys_addr, run->mmio.data, run->mmio.len, run->mmio.is_write);
	else
		return false;
	return true;
}

static u32 run_to_end(struct outcome *o)
{
	u32 ticks = 0, exits = 0;
	int err;

	note_step();
	while (ticks < TICKS && exits < MAX_EXITS) {
		err = __vcpu_run(vcpu);
		if (err == -EINTR) {
			ticks++;
			continue;
		}
		CHECK(!err, "case %u: %s", o->number, strerror(-err));
		if (!answer(o, vcpu->run))
			return vcpu->run->exit_reason;
		exits++;
	}
	/* An access that is half done would be finished in the next case. */
	for (exits = 0; vcpu_complete(vcpu) && exits < MAX_EXITS; exits++)
		;
	return NO_END;
}

/* Note what has changed in memory, and undo it. */
static void collect_memory(struct outcome *o)
{
	u64 *was = (u64 *)before, *is = (u64 *)vm->mem;
	u32 i;

	for (i = 0; i < RAM_SIZE / 8; i++) {
		if (was[i] == is[i])
			continue;
		if (o->nr_words < KEPT)
			o->word[o->nr_words] = (struct seen) { i * 8, is[i] };
		o->nr_words++;
		o->memory = mix(mix(o->memory, i), is[i]);
		is[i] = was[i];
	}
}

static void collect_fpu(struct outcome *o)
{
	struct kvm_fpu now;
	u32 i;

	vcpu_ioctl(vcpu, KVM_GET_FPU, &now);
	now.last_opcode = 0;
	now.last_ip = 0;
	now.last_dp = 0;
	for (i = 0; i < sizeof(now) / 8; i++)
		o->fpu = mix(o->fpu, ((u64 *)&now)[i]);
}

static void put_back(const struct unpaged_case *c, const u8 *pristine)
{
	u32 at[] = { c->gate.at, c->stack.at, c->at };
	u32 len[] = { c->gate.len, c->stack.len, sizeof(c->code) };
	u32 i;

	for (i = 0; i < 3; i++) {
		if (!len[i])
			continue;
		memcpy(before + at[i], pristine + at[i], len[i]);
		memcpy(vm->mem + at[i], pristine + at[i], len[i]);
	}
}

static void run_case(const struct unpaged_case *c, struct outcome *o)
{
	memset(o, 0, sizeof(*o));
	o->number = c->number;
	set_up(c);
	o->exit = run_to_end(o);
	vcpu_get_regs(vcpu, &o->regs);
	vcpu_get_sregs(vcpu, &o->sregs);
	vcpu_ioctl(vcpu, KVM_GET_DEBUGREGS, &o->debug);
	vcpu_ioctl(vcpu, KVM_GET_VCPU_EVENTS, &o->events);
	collect_fpu(o);
	collect_memory(o);
}

/* Run it once more in single steps: what it has run tells what its outcome may depend on. */
static void trace_case(struct unpaged_case *c)
{
	struct kvm_guest_debug debug = {
		.control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP,
	};
	struct outcome o;

	traced = c;
	vcpu_ioctl(vcpu, KVM_SET_GUEST_DEBUG, &debug);
	run_case(c, &o);
	debug.control = 0;
	vcpu_ioctl(vcpu, KVM_SET_GUEST_DEBUG, &debug);
	traced = NULL;
}

/*
 * Touch all memory, so that no exit for want of a mapping falls into a case: one in the midst of
 * a delivery would change what is pushed.
 */
static void touch_memory(const u8 *pristine)
{
	/* 1: mov (%esi), %al; mov %al, (%esi); add $0x1000, %esi; loop 1b; hlt */
	static const u8 code[] = "\x8a\x06\x88\x06\x81\xc6\x00\x10\x00\x00\xe2\xf4\xf4";
	struct unpaged_case c = {
		.kind = PROTECTED, .at = CODE_AT, .len = sizeof(code), .sregs = reset,
		.regs = { .rip = CODE_AT, .rcx = RAM_SIZE / PAGE, .rflags = 2 },
	};
	struct outcome o;

	memcpy(c.code, code, sizeof(code));
	c.sregs.cr0 = CR0_PE | CR0_ET;
	c.sregs.cs = segment_of(0x08);
	c.sregs.ss = segment_of(0x10);
	c.sregs.ds = segment_of(0x10);
	c.sregs.es = segment_of(0x10);
	c.sregs.fs = segment_of(0x10);
	c.sregs.gs = segment_of(0x10);
	c.sregs.tr = segment_of(0x88);
	run_case(&c, &o);
	put_back(&c, pristine);
	CHECK(o.exit == KVM_EXIT_HLT, "exit %u", o.exit);
}

/* --- all of them --------------------------------------------------------- */

static struct {
	u32 compared, different, excused, unfinished, refused, not_emulated;
	u32 kind[KINDS], exit[64];
} count;

static void report(const struct unpaged_case *c, const struct outcome *cpu,
		   const struct outcome *emulator)
{
	if (count.different++ >= reports)
		return;
	show_case(c);
	outcomes_differ(cpu, emulator, true);
}

/* An instruction that is not emulated, or, on the processor, an event whose stack is a device. */
static bool given_up(const struct outcome *o)
{
	return o->exit == KVM_EXIT_INTERNAL_ERROR;
}

static void look_into(struct unpaged_case *c, const struct outcome *cpu,
		      const struct outcome *emulator)
{
	trace_case(c);
	if (excuse(c, cpu, emulator))
		count.excused++;
	else
		report(c, cpu, emulator);
}

static void compare(struct unpaged_case *c, const struct outcome *cpu,
		    const struct outcome *emulator)
{
	CHECK(cpu->number == emulator->number, "not the cases of this seed");
	if (cpu->exit == NO_END || emulator->exit == NO_END) {
		count.unfinished++;
	} else if (cpu->exit == KVM_EXIT_FAIL_ENTRY || given_up(cpu)) {
		count.refused++;
	} else if (given_up(emulator)) {
		count.not_emulated++;
	} else if (outcomes_differ(cpu, emulator, false)) {
		look_into(c, cpu, emulator);
	} else {
		count.compared++;
		count.kind[c->kind]++;
		count.exit[cpu->exit % 64]++;
	}
}

static void run_all(FILE *file, bool record)
{
	u8 *pristine = anon_alloc(RAM_SIZE);
	struct outcome o, other;
	struct unpaged_case c;
	u32 i;

	memcpy(pristine, before, RAM_SIZE);
	touch_memory(pristine);
	for (i = 0; i < cases; i++) {
		make_case(&c, &reset, seed, i);
		run_case(&c, &o);
		if (record) {
			CHECK(fwrite(&o, sizeof(o), 1, file) == 1, "no room for case %u", i);
		} else {
			CHECK(fread(&other, sizeof(other), 1, file) == 1,
			      "%u cases were recorded", i);
			compare(&c, &other, &o);
		}
		put_back(&c, pristine);
	}
}

/* --- verdicts ------------------------------------------------------------ */

static void say_counts(void)
{
	u32 i;

	ksft_print_msg("%u alike, %u different, %u excused\n", count.compared, count.different,
		       count.excused);
	ksft_print_msg("%u without an end, %u refused by the processor, %u not emulated\n",
		       count.unfinished, count.refused, count.not_emulated);
	for (i = 0; i < KINDS; i++)
		ksft_print_msg("%s: %u\n", kind_names[i], count.kind[i]);
	for (i = 0; i < 64; i++) {
		if (count.exit[i])
			ksft_print_msg("exit %u: %u\n", i, count.exit[i]);
	}
}

static void record_all(const char *path)
{
	FILE *file = fopen(path, "w");

	CHECK(file, "%s: %s", path, strerror(errno));
	run_all(file, true);
	CHECK(!fclose(file), "%s: %s", path, strerror(errno));
	ksft_test_result(counter(vcpu->fd, "emulated") < cases,
			 "the processor has run %u cases\n", cases);
}

static void compare_all(const char *path)
{
	FILE *file = fopen(path, "r");

	CHECK(file, "%s: %s", path, strerror(errno));
	run_all(file, false);
	fclose(file);
	say_counts();
	ksft_test_result(counter(vcpu->fd, "emulated") > cases, "the emulator has run them\n");
	ksft_test_result(count.compared > cases * 9 / 10, "%u of %u were compared\n",
			 count.compared, cases);
	ksft_test_result(!count.different, "%u differ\n", count.different);
}

int main(int argc, char **argv)
{
	bool record = argc > 1 && !strcmp(argv[1], "record");

	if (argc != 3)
		ksft_exit_skip("needs record or compare, and a file\n");
	if (getenv("UNPAGED_SEED"))
		seed = strtoull(getenv("UNPAGED_SEED"), NULL, 0);
	if (getenv("UNPAGED_CASES"))
		cases = strtoul(getenv("UNPAGED_CASES"), NULL, 0);
	if (getenv("UNPAGED_REPORTS"))
		reports = strtoul(getenv("UNPAGED_REPORTS"), NULL, 0);
	ksft_print_header();
	ksft_set_plan(record ? 1 : 3);
	ksft_print_msg("seed %llu\n", (long long)seed);
	create();
	start_ticks();
	if (record)
		record_all(argv[2]);
	else
		compare_all(argv[2]);
	ksft_finished();
}
