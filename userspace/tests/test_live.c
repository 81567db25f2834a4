// SPDX-License-Identifier: GPL-2.0
/*
 * Test the library on a real device: start states, exits, memory, kicks, state.
 * Skipped without a device ($KEEL_DEVICE or /dev/keel). Guests are a few
 * instructions each, copied to CODE.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>
#include <keel/libkeel.h>

#include "tap.h"

#define RAM_SIZE	0x100000ull
#define CODE		0x1000u
#define STACK		0x8000u
#define TABLES		0x10000ull
#define HOLE		0x10000000ull
#define PAGE		0x1000ull
#define PORT		0x10

static struct keel *keel;
static struct keel_vm *vm;
static struct keel_vcpu *vcpu;
static unsigned char *ram;

struct code {
	const void *bytes;
	size_t size;
};

#define CODE_OF(bytes)	((struct code) { bytes, sizeof(bytes) - 1 })

static bool setup(struct code code)
{
	void *p = NULL;
	int ret = keel_vm_create(keel, &vm);

	EQUAL(ret, 0);
	if (ret)
		return false;
	EQUAL(keel_mem_alloc(vm, 0, 0, RAM_SIZE, 0, &p), 0);
	ram = p;
	ret = keel_vcpu_create(vm, 0, &vcpu);
	EQUAL(ret, 0);
	if (ret || !ram) {
		keel_vm_destroy(vm);
		return false;
	}
	EQUAL(keel_vcpu_set_host_cpuid(vcpu), 0);
	memcpy(ram + CODE, code.bytes, code.size);
	return true;
}

static void teardown(void)
{
	keel_vcpu_destroy(vcpu);
	keel_vm_destroy(vm);
	vcpu = NULL;
	vm = NULL;
}

/* Accesses of the guest, in order. */
static struct keel_access seen[8];
static unsigned int seen_count;
static int answer;		/* result of the callback */
static __u64 read_value;	/* value given to reads */

static int record(struct keel_vcpu *v, struct keel_access *access, void *opaque)
{
	(void)v;
	(void)opaque;
	if (!access->is_write)
		access->value = read_value;
	if (seen_count < ARRAY_SIZE(seen))
		seen[seen_count++] = *access;
	return answer;
}

static const struct keel_run_ops ops = { .size = sizeof(ops), .pio = record, .mmio = record };

static int run(void)
{
	seen_count = 0;
	return keel_vcpu_run(vcpu, &ops, NULL);
}

static void test_real(void)
{
	static const char code[] =
		"\x8c\xc8"	/* mov ax, cs */
		"\xe7\x10"	/* out 0x10, ax */
		"\x0f\x20\xc0"	/* mov eax, cr0 */
		"\x66\xe7\x10"	/* out 0x10, eax */
		"\xf4";		/* hlt */

	if (!setup(CODE_OF(code)))
		return;
	answer = 0;
	EQUAL(keel_vcpu_start_real(vcpu, CODE >> 4, 0), 0);
	EQUAL(run(), KVM_EXIT_HLT);
	EQUAL(seen_count, 2);
	EQUAL(seen[0].addr, PORT);
	EQUAL(seen[0].size, 2);
	EQUAL(seen[0].value, CODE >> 4);
	EQUAL(seen[1].size, 4);
	EQUAL(seen[1].value & 0x80000001, 0);
	teardown();
}

static void test_flat32(void)
{
	static const char code[] =
		"\xb8\xef\xbe\xad\xde"	/* mov eax, 0xdeadbeef */
		"\x50"			/* push eax */
		"\xe7\x10"		/* out 0x10, eax */
		"\xf4";			/* hlt */
	__u32 pushed;

	if (!setup(CODE_OF(code)))
		return;
	answer = 0;
	EQUAL(keel_vcpu_start_flat32(vcpu, CODE, STACK), 0);
	EQUAL(run(), KVM_EXIT_HLT);
	EQUAL(seen[0].value, 0xdeadbeef);
	memcpy(&pushed, ram + STACK - 4, sizeof(pushed));
	EQUAL(pushed, 0xdeadbeef);
	teardown();
}

static void test_long(void)
{
	static const char code[] =
		"\x48\xb8\x88\x77\x66\x55\x44\x33\x22\x11"	/* mov rax, 0x11.. */
		"\x50"						/* push rax */
		"\x66\xb9\x10\x00"				/* mov cx, 0x10 */
		"\x8e\xd9"					/* mov ds, ecx */
		"\xf4";						/* hlt */
	struct kvm_regs regs;
	__u64 pushed, gpa = 0;

	if (!setup(CODE_OF(code)))
		return;
	EQUAL(keel_vcpu_start_long(vcpu, TABLES, CODE, STACK), 0);
	EQUAL(run(), KVM_EXIT_HLT);
	EQUAL(keel_vcpu_get_regs(vcpu, &regs), 0);
	EQUAL(regs.rax, 0x1122334455667788ull);
	EQUAL(regs.rip, CODE + sizeof(code) - 1);
	memcpy(&pushed, ram + STACK - 8, sizeof(pushed));
	EQUAL(pushed, regs.rax);
	EQUAL(keel_vcpu_translate(vcpu, 0xfffff123, &gpa), 0);
	EQUAL(gpa, 0xfffff123);
	EQUAL(keel_vcpu_translate(vcpu, 1ull << 32, &gpa), -EFAULT);
	teardown();
}

/* Read 4 bytes from the hole, add 1, write them 8 bytes on, halt. */
static const char mmio_code[] =
	"\xa1\x00\x00\x00\x10"		/* mov eax, [0x10000000] */
	"\x40"				/* inc eax */
	"\xa3\x08\x00\x00\x10"		/* mov [0x10000008], eax */
	"\xf4";				/* hlt */

static void test_mmio(void)
{
	if (!setup(CODE_OF(mmio_code)))
		return;
	answer = 0;
	read_value = 0x12345678;
	EQUAL(keel_vcpu_start_flat32(vcpu, CODE, STACK), 0);
	EQUAL(run(), KVM_EXIT_HLT);
	EQUAL(seen_count, 2);
	EQUAL(seen[0].addr, HOLE);
	EQUAL(seen[0].is_write, 0);
	EQUAL(seen[0].size, 4);
	EQUAL(seen[1].addr, HOLE + 8);
	EQUAL(seen[1].is_write, 1);
	EQUAL(seen[1].value, 0x12345679);
	teardown();
}

static void test_read_only(void)
{
	void *p = NULL;

	if (!setup(CODE_OF(mmio_code)))
		return;
	answer = 0;
	EQUAL(keel_mem_alloc(vm, 1, HOLE, PAGE, KVM_MEM_READONLY, &p), 0);
	if (p)
		memcpy(p, "\x10\x00\x00\x00", 4);
	EQUAL(keel_vcpu_start_flat32(vcpu, CODE, STACK), 0);
	EQUAL(run(), KVM_EXIT_HLT);
	EQUAL(seen_count, 1);
	EQUAL(seen[0].addr, HOLE + 8);
	EQUAL(seen[0].is_write, 1);
	EQUAL(seen[0].value, 0x11);
	teardown();
}

/* Add, move and delete a slot, each between two runs of the code. */
static void test_memory_changes(void)
{
	void *p = NULL;
	__u32 value;

	if (!setup(CODE_OF(mmio_code)))
		return;
	answer = 0;
	EQUAL(keel_mem_alloc(vm, 1, HOLE, PAGE, 0, &p), 0);
	EQUAL(keel_vcpu_start_flat32(vcpu, CODE, STACK), 0);
	EQUAL(run(), KVM_EXIT_HLT);
	EQUAL(seen_count, 0);
	memcpy(&value, (char *)p + 8, sizeof(value));
	EQUAL(value, 1);
	EQUAL(keel_mem_move(vm, 1, HOLE + PAGE), 0);
	EQUAL(keel_vcpu_start_flat32(vcpu, CODE, STACK), 0);
	EQUAL(run(), KVM_EXIT_HLT);
	EQUAL(seen_count, 2);
	EQUAL(keel_mem_move(vm, 1, HOLE), 0);
	EQUAL(keel_vcpu_start_flat32(vcpu, CODE, STACK), 0);
	EQUAL(run(), KVM_EXIT_HLT);
	EQUAL(seen_count, 0);
	EQUAL(keel_mem_delete(vm, 1), 0);
	EQUAL(keel_vcpu_start_flat32(vcpu, CODE, STACK), 0);
	EQUAL(run(), KVM_EXIT_HLT);
	EQUAL(seen_count, 2);
	teardown();
}

static void test_memory_errors(void)
{
	if (!setup(CODE_OF(mmio_code)))
		return;
	EQUAL(keel_mem_alloc(vm, 1, PAGE, PAGE, 0, NULL), -EEXIST);
	EQUAL(keel_mem_alloc(vm, 1, HOLE + 1, PAGE, 0, NULL), -EINVAL);
	EQUAL(keel_mem_alloc(vm, 1, HOLE, PAGE + 1, 0, NULL), -EINVAL);
	EQUAL(keel_mem_alloc(vm, 1, HOLE, PAGE, 1u << 31, NULL), -EINVAL);
	EQUAL(keel_mem_alloc(vm, 1, ~0ull - PAGE + 1, 2 * PAGE, 0, NULL), -EINVAL);
	EQUAL(keel_mem_add(vm, 0xffff, HOLE, ram, PAGE, 0), -EINVAL);
	teardown();
}

static void test_complete(void)
{
	static const char code[] =
		"\xe5\x10"	/* in eax, 0x10 */
		"\x89\xc3"	/* mov ebx, eax */
		"\xf4";		/* hlt */
	struct kvm_regs regs;

	if (!setup(CODE_OF(code)))
		return;
	answer = 1;
	read_value = 0xabcd;
	EQUAL(keel_vcpu_start_flat32(vcpu, CODE, STACK), 0);
	EQUAL(run(), KEEL_RUN_STOPPED);
	EQUAL(keel_vcpu_complete(vcpu), 0);
	EQUAL(keel_vcpu_get_regs(vcpu, &regs), 0);
	EQUAL(regs.rax, 0xabcd);
	EQUAL(regs.rip, CODE + 2);
	EQUAL(regs.rbx, 0);
	EQUAL(run(), KVM_EXIT_HLT);
	EQUAL(keel_vcpu_get_regs(vcpu, &regs), 0);
	EQUAL(regs.rbx, 0xabcd);
	teardown();
}

static void *run_thread(void *arg)
{
	(void)arg;
	return (void *)(long)run();
}

static void test_kick(void)
{
	struct timespec ts = { .tv_nsec = 20000000 };
	pthread_t thread;
	void *result;

	if (!setup(CODE_OF("\xeb\xfe")))	/* jmp . */
		return;
	EQUAL(keel_vcpu_start_flat32(vcpu, CODE, STACK), 0);
	EQUAL(keel_vcpu_kick(vcpu), 0);
	EQUAL(run(), -EINTR);
	EQUAL(pthread_create(&thread, NULL, run_thread, NULL), 0);
	nanosleep(&ts, NULL);
	EQUAL(keel_vcpu_kick(vcpu), 0);
	pthread_join(thread, &result);
	EQUAL((long)result, -EINTR);
	teardown();
}

static void test_interrupt(void)
{
	static const char code[] =
		"\xfb"		/* sti */
		"\x90"		/* nop */
		"\xe6\x10"	/* out 0x10, al */
		"\xf4";		/* hlt */
	static const char handler[] =
		"\xe6\x11"	/* out 0x11, al */
		"\xcf";		/* iret */

	if (!setup(CODE_OF(code)))
		return;
	memcpy(ram + 0x2000, handler, sizeof(handler) - 1);
	memcpy(ram + 4 * 0x20, "\x00\x20\x00\x00", 4);
	answer = 1;
	EQUAL(keel_vcpu_start_real(vcpu, 0, CODE), 0);
	EQUAL(run(), KEEL_RUN_STOPPED);
	EQUAL(seen[0].addr, 0x10);
	EQUAL(keel_vcpu_page(vcpu)->if_flag, 1);
	EQUAL(keel_vcpu_interrupt(vcpu, 0x20), 0);
	EQUAL(run(), KEEL_RUN_STOPPED);
	EQUAL(seen[0].addr, 0x11);
	EQUAL(run(), KVM_EXIT_HLT);
	teardown();
}

static void test_shutdown(void)
{
	/* lidt with limit 0, then int3 */
	if (!setup(CODE_OF("\x0f\x01\x1d\x00\x20\x00\x00\xcc")))
		return;
	EQUAL(keel_vcpu_start_flat32(vcpu, CODE, STACK), 0);
	EQUAL(run(), KVM_EXIT_SHUTDOWN);
	teardown();
}

static void test_cpuid(void)
{
	static const char code[] =
		"\xb8\x01\x00\x00\x00"	/* mov eax, 1 */
		"\x0f\xa2"		/* cpuid */
		"\xf4";			/* hlt */
	struct kvm_regs regs;

	if (!setup(CODE_OF(code)))
		return;
	keel_vcpu_destroy(vcpu);
	EQUAL(keel_vcpu_create(vm, 5, &vcpu), 0);
	EQUAL(keel_vcpu_id(vcpu), 5);
	EQUAL(keel_vcpu_set_host_cpuid(vcpu), 0);
	EQUAL(keel_vcpu_start_flat32(vcpu, CODE, STACK), 0);
	EQUAL(run(), KVM_EXIT_HLT);
	EQUAL(keel_vcpu_get_regs(vcpu, &regs), 0);
	EQUAL(regs.rbx >> 24, 5);
	EQUAL(regs.rcx & (1u << 21), 0);
	teardown();
}

static void test_state(void)
{
	struct kvm_vcpu_events events;
	struct kvm_mp_state mp;
	struct kvm_fpu fpu;
	__u64 value = 0;

	if (!setup(CODE_OF("\xf4")))
		return;
	EQUAL(keel_vcpu_set_msr(vcpu, 0x175, 0x12345000), 0);
	EQUAL(keel_vcpu_get_msr(vcpu, 0x175, &value), 0);
	EQUAL(value, 0x12345000);
	EQUAL(keel_vcpu_get_msr(vcpu, 0xdeadbeef, &value), -EINVAL);
	EQUAL(keel_vcpu_get_fpu(vcpu, &fpu), 0);
	fpu.xmm[3][7] = 0x5a;
	EQUAL(keel_vcpu_set_fpu(vcpu, &fpu), 0);
	memset(&fpu, 0, sizeof(fpu));
	EQUAL(keel_vcpu_get_fpu(vcpu, &fpu), 0);
	EQUAL(fpu.xmm[3][7], 0x5a);
	EQUAL(keel_vcpu_get_events(vcpu, &events), 0);
	EQUAL(keel_vcpu_set_events(vcpu, &events), 0);
	EQUAL(keel_vcpu_get_mp_state(vcpu, &mp), 0);
	EQUAL(mp.mp_state, KVM_MP_STATE_RUNNABLE);
	EQUAL(keel_vcpu_set_mp_state(vcpu, &mp), 0);
	EQUAL(keel_vcpu_nmi(vcpu), 0);
	teardown();
}

static void test_duplicates(void)
{
	struct keel_vcpu *other = NULL;

	if (!setup(CODE_OF("\xf4")))
		return;
	EQUAL(keel_vcpu_create(vm, 0, &other), -EEXIST);
	EQUAL(keel_vcpu_create(vm, ~0u, &other), -EINVAL);
	CHECK(!other);
	teardown();
}

static const struct tap_test tests[] = {
	{ "a guest runs in real mode", test_real },
	{ "a guest runs in flat 32-bit mode", test_flat32 },
	{ "a guest runs in long mode", test_long },
	{ "MMIO is read and written", test_mmio },
	{ "a read-only slot is read directly and written as MMIO", test_read_only },
	{ "a slot is added, moved and deleted", test_memory_changes },
	{ "bad slots are refused", test_memory_errors },
	{ "a half-done access is completed", test_complete },
	{ "a kick ends a run, before and during", test_kick },
	{ "an interrupt is delivered", test_interrupt },
	{ "a triple fault is a shutdown", test_shutdown },
	{ "the guest sees its own CPUID", test_cpuid },
	{ "MSR, FPU, events and MP state go in and out", test_state },
	{ "a vCPU id is used once", test_duplicates },
};

int main(void)
{
	int ret = keel_open(NULL, &keel);

	if (ret)
		return tap_skip_all(strerror(-ret));
	ret = tap_run(tests, ARRAY_SIZE(tests));
	keel_close(keel);
	return ret;
}
