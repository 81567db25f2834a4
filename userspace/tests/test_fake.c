// SPDX-License-Identifier: GPL-2.0
/*
 * Test the library's contract against a stand-in for the kernel: results, NULL
 * handling, the slot table, the run loop, kicks, start states.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <keel/libkeel.h>

#include "fake_kvm.h"
#include "tap.h"

#define DEVICE	"/dev/null"	/* any node works: the tests replace ioctl(2) */
#define PAGE	0x1000ull

static struct keel *keel;
static struct keel_vm *vm;
static struct keel_vcpu *vcpu;

static void setup(void)
{
	fake_reset();
	EQUAL(keel_open(DEVICE, &keel), 0);
	EQUAL(keel_vm_create(keel, &vm), 0);
	EQUAL(keel_vcpu_create(vm, 0, &vcpu), 0);
}

static void teardown(void)
{
	keel_vcpu_destroy(vcpu);
	keel_vm_destroy(vm);
	keel_close(keel);
}

static void test_open(void)
{
	struct keel *k = NULL;

	fake_reset();
	EQUAL(keel_open(DEVICE, NULL), -EINVAL);
	EQUAL(keel_open("/nonexistent", &k), -ENOENT);
	fake.api_version = 11;
	EQUAL(keel_open(DEVICE, &k), -ENODEV);
	fake_reset();
	fake.run_size = 16;
	EQUAL(keel_open(DEVICE, &k), -ENODEV);
	CHECK(!k);
	fake_reset();
	EQUAL(keel_open(DEVICE, &k), 0);
	CHECK(keel_fd(k) >= 0);
	EQUAL(keel_check_extension(k, KVM_CAP_USER_MEMORY), 1);
	EQUAL(keel_check_extension(k, KVM_CAP_IRQCHIP), 0);
	keel_close(k);
}

static void test_open_environment(void)
{
	struct keel *k = NULL;

	fake_reset();
	setenv("KEEL_DEVICE", "/nonexistent", 1);
	EQUAL(keel_open(NULL, &k), -ENOENT);
	setenv("KEEL_DEVICE", DEVICE, 1);
	EQUAL(keel_open(NULL, &k), 0);
	keel_close(k);
	unsetenv("KEEL_DEVICE");
}

static void test_null_system_vm(void)
{
	struct kvm_cpuid2 *cpuid;
	struct kvm_msr_list *msrs;

	keel_close(NULL);
	keel_vm_destroy(NULL);
	keel_vcpu_destroy(NULL);
	EQUAL(keel_fd(NULL), -EINVAL);
	EQUAL(keel_check_extension(NULL, 0), -EINVAL);
	EQUAL(keel_supported_cpuid(NULL, &cpuid), -EINVAL);
	EQUAL(keel_msr_index_list(NULL, &msrs), -EINVAL);
	EQUAL(keel_vm_create(NULL, &vm), -EINVAL);
	EQUAL(keel_vm_fd(NULL), -EINVAL);
	EQUAL(keel_vm_stats_fd(NULL), -EINVAL);
	EQUAL(keel_vm_check_extension(NULL, 0), -EINVAL);
	EQUAL(keel_mem_add(NULL, 0, 0, NULL, PAGE, 0), -EINVAL);
	EQUAL(keel_mem_alloc(NULL, 0, 0, PAGE, 0, NULL), -EINVAL);
	EQUAL(keel_mem_delete(NULL, 0), -EINVAL);
	EQUAL(keel_mem_move(NULL, 0, 0), -EINVAL);
	EQUAL(keel_mem_set_flags(NULL, 0, 0), -EINVAL);
	CHECK(!keel_mem_ptr(NULL, 0, 1));
	setup();
	EQUAL(keel_supported_cpuid(keel, NULL), -EINVAL);
	EQUAL(keel_msr_index_list(keel, NULL), -EINVAL);
	EQUAL(keel_vm_create(keel, NULL), -EINVAL);
	EQUAL(keel_vcpu_create(vm, 0, NULL), -EINVAL);
	teardown();
}

static void test_null_vcpu(void)
{
	struct kvm_msr_entry msr = { 0 };
	struct kvm_regs regs;
	__u64 value;

	EQUAL(keel_vcpu_create(NULL, 0, &vcpu), -EINVAL);
	EQUAL(keel_vcpu_fd(NULL), -EINVAL);
	EQUAL(keel_vcpu_stats_fd(NULL), -EINVAL);
	EQUAL(keel_vcpu_id(NULL), 0);
	CHECK(!keel_vcpu_page(NULL));
	EQUAL(keel_vcpu_get_regs(NULL, &regs), -EINVAL);
	EQUAL(keel_vcpu_get_msrs(NULL, &msr, 1), -EINVAL);
	EQUAL(keel_vcpu_set_msr(NULL, 0, 0), -EINVAL);
	EQUAL(keel_vcpu_set_host_cpuid(NULL), -EINVAL);
	EQUAL(keel_vcpu_interrupt(NULL, 32), -EINVAL);
	EQUAL(keel_vcpu_nmi(NULL), -EINVAL);
	EQUAL(keel_vcpu_translate(NULL, 0, &value), -EINVAL);
	EQUAL(keel_vcpu_start_real(NULL, 0, 0), -EINVAL);
	EQUAL(keel_vcpu_start_flat32(NULL, 0, 0), -EINVAL);
	EQUAL(keel_vcpu_start_long(NULL, 0, 0, 0), -EINVAL);
	EQUAL(keel_vcpu_run(NULL, NULL, NULL), -EINVAL);
	EQUAL(keel_vcpu_enter(NULL), -EINVAL);
	EQUAL(keel_vcpu_complete(NULL), -EINVAL);
	EQUAL(keel_vcpu_kick(NULL), -EINVAL);
	setup();
	EQUAL(keel_vcpu_get_regs(vcpu, NULL), -EINVAL);
	EQUAL(keel_vcpu_set_sregs(vcpu, NULL), -EINVAL);
	EQUAL(keel_vcpu_get_msrs(vcpu, NULL, 1), -EINVAL);
	EQUAL(keel_vcpu_get_msr(vcpu, 0, NULL), -EINVAL);
	EQUAL(keel_vcpu_set_cpuid(vcpu, NULL), -EINVAL);
	EQUAL(keel_vcpu_translate(vcpu, 0, NULL), -EINVAL);
	/* An error of the kernel is returned unchanged. */
	EQUAL(keel_vcpu_nmi(vcpu), -ENOTTY);
	teardown();
}

static void test_memory(void)
{
	void *hva = (void *)0x7000000;

	setup();
	EQUAL(keel_mem_add(vm, 3, 0x10000, hva, 2 * PAGE, KVM_MEM_READONLY), 0);
	EQUAL(fake.region.slot, 3);
	EQUAL(fake.region.guest_phys_addr, 0x10000);
	EQUAL(fake.region.memory_size, 2 * PAGE);
	EQUAL(fake.region.userspace_addr, 0x7000000);
	EQUAL(fake.region.flags, KVM_MEM_READONLY);
	EQUAL(keel_mem_add(vm, 3, 0x20000, hva, PAGE, 0), -EEXIST);
	EQUAL(keel_mem_add(vm, 4, 0x20000, hva, 0, 0), -EINVAL);
	fake.memory_error = EEXIST;
	EQUAL(keel_mem_add(vm, 4, 0x10000, hva, PAGE, 0), -EEXIST);
	EQUAL(keel_mem_delete(vm, 4), -ENOENT);
	EQUAL(keel_mem_move(vm, 3, 0x40000), 0);
	EQUAL(fake.region.guest_phys_addr, 0x40000);
	EQUAL(fake.region.memory_size, 2 * PAGE);
	EQUAL(keel_mem_set_flags(vm, 3, 0), 0);
	EQUAL(fake.region.flags, 0);
	EQUAL(fake.region.guest_phys_addr, 0x40000);
	EQUAL(keel_mem_delete(vm, 3), 0);
	EQUAL(fake.region.memory_size, 0);
	EQUAL(keel_mem_delete(vm, 3), -ENOENT);
	EQUAL(keel_mem_move(vm, 3, 0), -ENOENT);
	EQUAL(keel_mem_set_flags(vm, 3, 0), -ENOENT);
	teardown();
}

static void test_memory_refused(void)
{
	setup();
	EQUAL(keel_mem_alloc(vm, 0, 0, PAGE, 0, NULL), 0);
	fake.memory_error = ENOMEM;
	EQUAL(keel_mem_delete(vm, 0), -ENOMEM);
	fake.memory_error = EINVAL;
	EQUAL(keel_mem_move(vm, 0, 1), -EINVAL);
	/* A refused change leaves the table as it was. */
	CHECK(keel_mem_ptr(vm, 0, PAGE));
	fake.memory_error = EINVAL;
	EQUAL(keel_mem_alloc(vm, 1, 1, PAGE, 0, NULL), -EINVAL);
	EQUAL(keel_mem_delete(vm, 1), -ENOENT);
	teardown();
}

static void test_memory_slots(void)
{
	void *hva = (void *)0x7000000;

	setup();
	EQUAL(keel_mem_add(vm, 32763, 0, hva, PAGE, 0), 0);
	EQUAL(keel_mem_add(vm, 0xffff, PAGE, hva, PAGE, 0), 0);
	EQUAL(keel_mem_add(vm, 1 << 16 | 5, 0, hva, PAGE, 0), 0);
	EQUAL(fake.region.slot, 0x10005);
	EQUAL(keel_mem_add(vm, 2 << 16, 0, hva, PAGE, 0), -EINVAL);
	EQUAL(keel_mem_delete(vm, 2 << 16), -ENOENT);
	EQUAL(keel_mem_delete(vm, 5), -ENOENT);
	EQUAL(keel_mem_delete(vm, 1 << 16 | 5), 0);
	EQUAL(keel_mem_delete(vm, 32763), 0);
	teardown();
}

static void test_memory_pointer(void)
{
	unsigned char *low, *high;
	void *p;

	setup();
	EQUAL(keel_mem_alloc(vm, 0, 0x1000, 2 * PAGE, 0, &p), 0);
	low = p;
	EQUAL(keel_mem_alloc(vm, 7, 0x3000, PAGE, 0, &p), 0);
	high = p;
	EQUAL(low[0], 0);
	CHECK(keel_mem_ptr(vm, 0x1000, 2 * PAGE) == low);
	CHECK(keel_mem_ptr(vm, 0x2fff, 1) == low + 0x1fff);
	CHECK(keel_mem_ptr(vm, 0x3000, 1) == high);
	CHECK(!keel_mem_ptr(vm, 0x2fff, 2));
	CHECK(!keel_mem_ptr(vm, 0xfff, 1));
	CHECK(!keel_mem_ptr(vm, 0x4000, 0));
	CHECK(!keel_mem_ptr(vm, 0x1000, ~0ull));
	CHECK(!keel_mem_ptr(vm, ~0ull, 2));
	EQUAL(keel_mem_move(vm, 7, 0x8000), 0);
	CHECK(keel_mem_ptr(vm, 0x8000, PAGE) == high);
	CHECK(!keel_mem_ptr(vm, 0x3000, 1));
	teardown();
}

/* ---- running ------------------------------------------------------------ */

static unsigned int runs;
static struct keel_access seen[8];
static unsigned int seen_count, traced;
static int answer;

static int record(struct keel_vcpu *v, struct keel_access *access, void *opaque)
{
	CHECK(v == vcpu);
	CHECK(opaque == &seen);
	if (seen_count < ARRAY_SIZE(seen))
		seen[seen_count++] = *access;
	access->value = 0x1122334455667788ull + seen_count;
	return answer;
}

static void trace(struct keel_vcpu *v, const struct kvm_run *run, void *opaque)
{
	(void)v;
	(void)run;
	(void)opaque;
	traced++;
}

static const struct keel_run_ops ops = {
	.size = sizeof(ops), .pio = record, .mmio = record, .trace = trace,
};

static void start_run(int (*play)(struct kvm_run *run))
{
	fake.run = play;
	runs = 0;
	seen_count = 0;
	traced = 0;
	answer = 0;
}

static int play_pio_out(struct kvm_run *run)
{
	run->exit_reason = KVM_EXIT_HLT;
	if (runs++)
		return 0;
	run->exit_reason = KVM_EXIT_IO;
	run->io.direction = KVM_EXIT_IO_OUT;
	run->io.port = 0x402;
	run->io.size = 2;
	run->io.count = 3;
	run->io.data_offset = 4096;
	memcpy((char *)run + 4096, "\x01\x02\x03\x04\x05\x06", 6);
	return 0;
}

static void test_pio_out(void)
{
	setup();
	start_run(play_pio_out);
	EQUAL(keel_vcpu_run(vcpu, &ops, &seen), KVM_EXIT_HLT);
	EQUAL(runs, 2);
	EQUAL(traced, 2);
	EQUAL(seen_count, 3);
	EQUAL(seen[0].addr, 0x402);
	EQUAL(seen[0].size, 2);
	EQUAL(seen[0].is_write, 1);
	EQUAL(seen[0].value, 0x0201);
	EQUAL(seen[2].value, 0x0605);
	/* All elements are delivered although the callback stops the run. */
	start_run(play_pio_out);
	answer = 1;
	EQUAL(keel_vcpu_run(vcpu, &ops, &seen), KEEL_RUN_STOPPED);
	EQUAL(seen_count, 3);
	EQUAL(runs, 1);
	start_run(play_pio_out);
	answer = -EIO;
	EQUAL(keel_vcpu_run(vcpu, &ops, &seen), -EIO);
	start_run(play_pio_out);
	EQUAL(keel_vcpu_run(vcpu, NULL, NULL), KVM_EXIT_IO);
	teardown();
}

static int play_pio_in(struct kvm_run *run)
{
	run->exit_reason = KVM_EXIT_HLT;
	if (runs++)
		return 0;
	run->exit_reason = KVM_EXIT_IO;
	run->io.direction = KVM_EXIT_IO_IN;
	run->io.port = 0x60;
	run->io.size = 1;
	run->io.count = 2;
	run->io.data_offset = 4096;
	memset((char *)run + 4096, 0, 4);
	return 0;
}

static void test_pio_in(void)
{
	const unsigned char *data;

	setup();
	start_run(play_pio_in);
	EQUAL(keel_vcpu_run(vcpu, &ops, &seen), KVM_EXIT_HLT);
	EQUAL(seen[0].value, ~0ull);
	EQUAL(seen[0].is_write, 0);
	data = (unsigned char *)keel_vcpu_page(vcpu) + 4096;
	EQUAL(data[0], 0x89);
	EQUAL(data[1], 0x8a);
	EQUAL(data[2], 0);
	teardown();
}

static int play_mmio(struct kvm_run *run)
{
	run->exit_reason = KVM_EXIT_SHUTDOWN;
	if (runs == 2)
		return 0;
	run->exit_reason = KVM_EXIT_MMIO;
	run->mmio.phys_addr = 0xfee00000;
	run->mmio.len = runs ? 4 : 8;
	run->mmio.is_write = !runs;
	memcpy(run->mmio.data, "\x10\x20\x30\x40\x50\x60\x70\x80", 8);
	runs++;
	return 0;
}

static void test_mmio(void)
{
	static const unsigned char read_data[] = "\x8a\x77\x66\x55\x50\x60\x70\x80";

	setup();
	start_run(play_mmio);
	EQUAL(keel_vcpu_run(vcpu, &ops, &seen), KVM_EXIT_SHUTDOWN);
	EQUAL(seen_count, 2);
	EQUAL(seen[0].addr, 0xfee00000);
	EQUAL(seen[0].value, 0x8070605040302010ull);
	EQUAL(seen[0].size, 8);
	EQUAL(seen[1].size, 4);
	EQUAL(seen[1].is_write, 0);
	/* Only the bytes of the access are written. */
	CHECK(!memcmp(keel_vcpu_page(vcpu)->mmio.data, read_data, 8));
	teardown();
}

static int stop_at_halt(struct keel_vcpu *v, struct kvm_run *run, void *opaque)
{
	(void)v;
	(void)opaque;
	return run->exit_reason == KVM_EXIT_HLT ? -ECANCELED : 0;
}

static void test_exit_callback(void)
{
	const struct keel_run_ops with_exit = {
		.size = sizeof(with_exit), .exit = stop_at_halt, .pio = record,
	};

	setup();
	start_run(play_pio_out);
	EQUAL(keel_vcpu_run(vcpu, &with_exit, &seen), -ECANCELED);
	/* The callback for other exits never gets MMIO. */
	start_run(play_mmio);
	EQUAL(keel_vcpu_run(vcpu, &with_exit, &seen), KVM_EXIT_MMIO);
	teardown();
}

/*
 * struct keel_run_ops of other versions: smaller, or larger with and without a
 * nonzero new member.
 */
static void test_ops_size(void)
{
	struct {
		struct keel_run_ops ops;
		void *later;
	} grown = { .ops = ops };

	setup();
	start_run(play_mmio);
	grown.ops.size = 0;
	EQUAL(keel_vcpu_run(vcpu, &grown.ops, &seen), -EINVAL);
	grown.ops.size = sizeof(ops) - 1;
	EQUAL(keel_vcpu_run(vcpu, &grown.ops, &seen), -EINVAL);
	grown.ops.size = sizeof(grown);
	grown.later = &grown;
	EQUAL(keel_vcpu_run(vcpu, &grown.ops, &seen), -E2BIG);
	EQUAL(runs, 0);
	grown.later = NULL;
	EQUAL(keel_vcpu_run(vcpu, &grown.ops, &seen), KVM_EXIT_SHUTDOWN);
	EQUAL(seen_count, 2);
	teardown();
}

static int play_immediate(struct kvm_run *run)
{
	runs++;
	if (run->immediate_exit)
		return -EINTR;
	run->exit_reason = KVM_EXIT_HLT;
	return 0;
}

static void test_kick_before_run(void)
{
	setup();
	start_run(play_immediate);
	EQUAL(keel_vcpu_kick(vcpu), 0);
	EQUAL(keel_vcpu_kick(vcpu), 0);
	EQUAL(keel_vcpu_run(vcpu, &ops, &seen), -EINTR);
	EQUAL(keel_vcpu_run(vcpu, &ops, &seen), KVM_EXIT_HLT);
	teardown();
}

static void test_complete(void)
{
	setup();
	start_run(play_immediate);
	EQUAL(keel_vcpu_complete(vcpu), 0);
	EQUAL(keel_vcpu_page(vcpu)->immediate_exit, 0);
	EQUAL(keel_vcpu_enter(vcpu), KVM_EXIT_HLT);
	/* keel_vcpu_complete() does not clear a kick. */
	keel_vcpu_kick(vcpu);
	EQUAL(keel_vcpu_complete(vcpu), 0);
	EQUAL(keel_vcpu_enter(vcpu), -EINTR);
	EQUAL(keel_vcpu_enter(vcpu), KVM_EXIT_HLT);
	teardown();
}

/* A guest that never exits: only a signal ends it. */
static int play_spin(struct kvm_run *run)
{
	struct timespec ts = { .tv_sec = 20 };

	__atomic_add_fetch(&runs, 1, __ATOMIC_SEQ_CST);
	if (run->immediate_exit)
		return -EINTR;
	return nanosleep(&ts, NULL) ? -errno : -ETIMEDOUT;
}

static void *run_thread(void *arg)
{
	(void)arg;
	return (void *)(long)keel_vcpu_run(vcpu, &ops, &seen);
}

static void test_kick_running(void)
{
	struct timespec ts = { .tv_nsec = 1000000 };
	pthread_t thread;
	void *result;

	setup();
	start_run(play_spin);
	EQUAL(pthread_create(&thread, NULL, run_thread, NULL), 0);
	while (!__atomic_load_n(&runs, __ATOMIC_SEQ_CST))
		nanosleep(&ts, NULL);
	EQUAL(keel_vcpu_kick(vcpu), 0);
	pthread_join(thread, &result);
	EQUAL((long)result, -EINTR);
	EQUAL(keel_vcpu_page(vcpu)->immediate_exit, 0);
	EQUAL(keel_set_kick_signal(SIGUSR2), -EBUSY);
	EQUAL(keel_set_kick_signal(0), -EINVAL);
	EQUAL(keel_set_kick_signal(SIGKILL), -EINVAL);
	EQUAL(keel_set_kick_signal(SIGRTMIN - 1), -EINVAL);
	EQUAL(keel_set_kick_signal(SIGRTMAX + 1), -EINVAL);
	teardown();
}

/* ---- state -------------------------------------------------------------- */

static void test_msrs(void)
{
	struct kvm_msr_entry entries[2] = { { .index = 1 }, { .index = 2 } };
	static struct kvm_msr_entry many[KEEL_MAX_MSRS + 1];
	struct kvm_msr_list *list;
	__u64 value = 0;

	setup();
	EQUAL(keel_vcpu_get_msrs(vcpu, entries, 2), 2);
	EQUAL(entries[1].data, 3);
	EQUAL(keel_vcpu_get_msrs(vcpu, many, KEEL_MAX_MSRS + 1), -E2BIG);
	EQUAL(keel_vcpu_set_msrs(vcpu, many, KEEL_MAX_MSRS), KEEL_MAX_MSRS);
	EQUAL(keel_vcpu_get_msr(vcpu, 0x10, &value), 0);
	EQUAL(value, 0x11);
	fake.msrs_taken = 0;
	EQUAL(keel_vcpu_get_msr(vcpu, 0x10, &value), -EINVAL);
	EQUAL(keel_vcpu_set_msr(vcpu, 0x10, 0), -EINVAL);
	EQUAL(keel_msr_index_list(keel, &list), 0);
	EQUAL(list->nmsrs, 3);
	EQUAL(list->indices[2], 0xc0000080);
	free(list);
	teardown();
}

static void test_cpuid(void)
{
	struct kvm_cpuid2 *cpuid;

	setup();
	fake.cpuid_entries = 300;
	EQUAL(keel_supported_cpuid(keel, &cpuid), 0);
	EQUAL(cpuid->nent, 300);
	EQUAL(fake.cpuid_asked, 512);
	free(cpuid);
	fake.cpuid_entries = 1u << 20;
	EQUAL(keel_supported_cpuid(keel, &cpuid), -E2BIG);
	fake.cpuid_entries = 2;
	keel_vcpu_destroy(vcpu);
	EQUAL(keel_vcpu_create(vm, 3, &vcpu), 0);
	EQUAL(keel_vcpu_set_host_cpuid(vcpu), 0);
	EQUAL(fake.cpuid[0].ebx >> 24, 3);
	EQUAL(fake.cpuid[0].ecx & (1u << 21), 0);
	EQUAL(fake.cpuid[1].edx, 3);
	teardown();
}

static void test_translate(void)
{
	__u64 gpa = 0;

	setup();
	EQUAL(keel_vcpu_translate(vcpu, 0x123, &gpa), 0);
	EQUAL(gpa, 0x5123);
	EQUAL(keel_vcpu_translate(vcpu, 0x1000, &gpa), -EFAULT);
	teardown();
}

static void test_start_real(void)
{
	setup();
	fake.sregs.cr0 = ~0ull;
	EQUAL(keel_vcpu_start_real(vcpu, 0x1234, 0x5678), 0);
	EQUAL(fake.sregs.cs.selector, 0x1234);
	EQUAL(fake.sregs.cs.base, 0x12340);
	EQUAL(fake.sregs.ds.base, 0x12340);
	EQUAL(fake.sregs.cr0 & 0x80000001, 0);
	EQUAL(fake.regs.rip, 0x5678);
	EQUAL(fake.regs.rflags, 2);
	teardown();
}

static void test_start_flat32(void)
{
	setup();
	EQUAL(keel_vcpu_start_flat32(vcpu, 0x100000, 0x200000), 0);
	EQUAL(fake.sregs.cr0 & 0x80000001, 1);
	EQUAL(fake.sregs.efer, 0);
	EQUAL(fake.sregs.cs.db, 1);
	EQUAL(fake.sregs.cs.l, 0);
	EQUAL(fake.sregs.ss.limit, 0xffffffff);
	EQUAL(fake.regs.rsp, 0x200000);
	teardown();
}

static void test_start_long(void)
{
	__u64 *tables;
	void *ram;

	setup();
	EQUAL(keel_vcpu_start_long(vcpu, 0x10000, 1, 2), -EFAULT);
	EQUAL(keel_mem_alloc(vm, 0, 0, 0x20000, 0, &ram), 0);
	EQUAL(keel_vcpu_start_long(vcpu, 0x10800, 1, 2), -EINVAL);
	EQUAL(keel_vcpu_start_long(vcpu, 1ull << 32, 1, 2), -EINVAL);
	EQUAL(keel_vcpu_start_long(vcpu, 0x1a000, 1, 2), -EFAULT);
	EQUAL(keel_vcpu_start_long(vcpu, 0x10000, 0x100000, 0x200000), 0);
	tables = (__u64 *)((char *)ram + 0x10000);
	EQUAL(tables[0] & ~0xfffull, 0x11000);
	EQUAL(tables[512 + 3] & ~0xfffull, 0x15000);
	EQUAL(tables[2 * 512] & 0x83, 0x83);
	EQUAL(tables[2 * 512 + 2047] & ~0xfffull, 0xffe00000);
	EQUAL(fake.sregs.cr3, 0x10000);
	EQUAL(fake.sregs.efer, 0x500);
	EQUAL(fake.sregs.cs.l, 1);
	EQUAL(fake.sregs.cs.db, 0);
	EQUAL(fake.sregs.gdt.base, 0x16000);
	EQUAL(fake.regs.rip, 0x100000);
	teardown();
}

static void test_describe(void)
{
	struct kvm_run run = { .exit_reason = KVM_EXIT_MMIO };
	char line[128], small[8];
	int length;

	CHECK(!strcmp(keel_exit_name(KVM_EXIT_HLT), "HLT"));
	CHECK(!strcmp(keel_exit_name(9999), "?"));
	run.mmio.phys_addr = 0xfee00000;
	run.mmio.len = 4;
	run.mmio.is_write = 1;
	memcpy(run.mmio.data, "\x78\x56\x34\x12", 4);
	length = keel_exit_format(&run, line, sizeof(line));
	CHECK(!strcmp(line, "MMIO write gpa 0xfee00000 size 4 data 0x12345678"));
	EQUAL(length, strlen(line));
	EQUAL(keel_exit_format(&run, NULL, 0), length);
	EQUAL(keel_exit_format(&run, small, sizeof(small)), length);
	CHECK(!strcmp(small, "MMIO wr"));
	run.exit_reason = KVM_EXIT_INTERNAL_ERROR;
	run.internal.suberror = 1;
	run.internal.ndata = 2;
	run.internal.data[0] = 0xa;
	run.internal.data[1] = 0xb;
	length = keel_exit_format(&run, line, sizeof(line));
	CHECK(!strcmp(line, "INTERNAL_ERROR suberror 1 0xa 0xb"));
	EQUAL(keel_exit_format(&run, NULL, 0), length);
	EQUAL(keel_exit_format(&run, small, sizeof(small)), length);
	run.internal.ndata = ~0u;
	CHECK(keel_exit_format(&run, line, sizeof(line)) > 0);
	CHECK(keel_exit_format(NULL, line, sizeof(line)) > 0);
	CHECK(strchr(keel_version(), '.'));
}

static const struct tap_test tests[] = {
	{ "open refuses what is no KVM device", test_open },
	{ "open honours KEEL_DEVICE", test_open_environment },
	{ "system and VM functions refuse NULL", test_null_system_vm },
	{ "vCPU functions refuse NULL", test_null_vcpu },
	{ "slots are added, moved and deleted by number", test_memory },
	{ "a refused update leaves the slot table as it was", test_memory_refused },
	{ "slot numbers up to the last, both address spaces", test_memory_slots },
	{ "guest memory is found, and nothing beyond it", test_memory_pointer },
	{ "port writes arrive element by element", test_pio_out },
	{ "port reads are answered, with ones by default", test_pio_in },
	{ "MMIO is delivered with its size", test_mmio },
	{ "other exits go to their callback", test_exit_callback },
	{ "callbacks say how many they are", test_ops_size },
	{ "a kick before the run is not lost", test_kick_before_run },
	{ "completing an access keeps kicks", test_complete },
	{ "a kick ends a guest that never exits", test_kick_running },
	{ "MSR lists report how far they got", test_msrs },
	{ "CPUID lists grow until they fit, and are personal", test_cpuid },
	{ "translation of an unmapped address fails", test_translate },
	{ "start state: real mode", test_start_real },
	{ "start state: flat 32-bit", test_start_flat32 },
	{ "start state: long mode", test_start_long },
	{ "exits are described within the buffer", test_describe },
};

int main(void)
{
	return tap_run(tests, ARRAY_SIZE(tests));
}
