// SPDX-License-Identifier: GPL-2.0
/*
 * The virtual machine of keel-demo: its fixed RAM, its vCPUs and their threads,
 * and the answers to its MMIO. churn.c owns what is in the windows.
 */
#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "guest.h"
#include "host.h"

#define RAM_SLOT	SLOTS	/* after the slots of the windows */
#define STOP_SECONDS	20

static int on_mmio(struct keel_vcpu *vcpu, struct keel_access *access, void *opaque)
{
	struct demo_cpu *cpu = opaque;
	__u64 offset = access->addr - WINDOWS_GPA;
	__u32 window = offset / WINDOW_SIZE;
	__u32 page = offset % WINDOW_SIZE / DEMO_PAGE_SIZE;
	__u64 expected;

	if (window >= WINDOWS)
		return -EFAULT;
	if (!access->is_write) {
		access->value = identity(BACKING_MMIO, window, page);
	} else {
		expected = write_value(keel_vcpu_id(vcpu), window, access->value);
		if (access->value != expected || access->size != sizeof(expected))
			__atomic_fetch_add(&cpu->wrong, 1, __ATOMIC_RELAXED);
	}
	__atomic_fetch_add(&cpu->mmio, 1, __ATOMIC_RELAXED);
	return 0;
}

static void *run_cpu(void *arg)
{
	static const struct keel_run_ops ops = { .size = sizeof(ops), .mmio = on_mmio };
	struct demo_cpu *cpu = arg;

	cpu->result = keel_vcpu_run(cpu->vcpu, &ops, cpu);
	return NULL;
}

/* Use the System V calling convention, with the stack as a call would leave it. */
static int enter_guest_main(struct keel_vcpu *vcpu, unsigned int i)
{
	__u64 offset = (const char *)guest_main - __start_keelguest;
	__u64 stack = STACKS_GPA + (i + 1) * DEMO_PAGE_SIZE - 8;
	struct kvm_regs regs;
	int ret;

	ret = keel_vcpu_start_long(vcpu, TABLES_GPA, CODE_GPA + offset, stack);
	if (!ret)
		ret = keel_vcpu_get_regs(vcpu, &regs);
	if (ret)
		return ret;
	regs.rdi = SHARED_GPA;
	regs.rsi = i;
	return keel_vcpu_set_regs(vcpu, &regs);
}

static int add_cpu(struct demo *demo, unsigned int i)
{
	struct demo_cpu *cpu = &demo->cpus[i];
	int ret;

	cpu->demo = demo;
	ret = keel_vcpu_create(demo->vm, i, &cpu->vcpu);
	if (!ret)
		ret = keel_vcpu_set_host_cpuid(cpu->vcpu);
	if (!ret)
		cpu->stats_fd = keel_vcpu_stats_fd(cpu->vcpu);
	return ret ? ret : enter_guest_main(cpu->vcpu, i);
}

static int add_ram(struct demo *demo)
{
	size_t size = __stop_keelguest - __start_keelguest;
	void *ram;
	int ret;

	if (size > SHARED_GPA - CODE_GPA)
		return -E2BIG;
	ret = keel_mem_alloc(demo->vm, RAM_SLOT, 0, RAM_SIZE, 0, &ram);
	if (ret)
		return ret;
	memcpy((char *)ram + CODE_GPA, __start_keelguest, size);
	demo->shared = (struct shared *)((char *)ram + SHARED_GPA);
	return 0;
}

int vm_build(struct demo *demo, const char *device)
{
	unsigned int i;
	int ret = keel_open(device, &demo->keel);

	if (ret)
		return ret;
	counters_before();
	ret = keel_vm_create(demo->keel, &demo->vm);
	counters_after();
	if (!ret)
		ret = add_ram(demo);
	for (i = 0; !ret && i < demo->cpu_count; i++)
		ret = add_cpu(demo, i);
	if (!ret)
		demo->stats_fd = keel_vm_stats_fd(demo->vm);
	return ret;
}

int vm_start(struct demo *demo)
{
	unsigned int i;
	int ret;

	for (i = 0; i < demo->cpu_count; i++) {
		ret = -pthread_create(&demo->cpus[i].thread, NULL, run_cpu, &demo->cpus[i]);
		if (ret)
			return ret;
		demo->cpus[i].started = true;
	}
	return 0;
}

/* The guest halts by itself when told to stop; a vCPU that does not is stuck. */
static bool stop_cpu(struct demo_cpu *cpu, const struct timespec *deadline)
{
	if (!cpu->started)
		return true;
	if (pthread_timedjoin_np(cpu->thread, NULL, deadline)) {
		keel_vcpu_kick(cpu->vcpu);
		pthread_join(cpu->thread, NULL);
		return false;
	}
	return cpu->result == KVM_EXIT_HLT;
}

bool vm_stop(struct demo *demo)
{
	struct timespec deadline;
	unsigned int i;
	bool ok = true;

	if (!demo->shared)
		return true;
	__atomic_store_n(&demo->shared->stop, 1, __ATOMIC_SEQ_CST);
	clock_gettime(CLOCK_REALTIME, &deadline);
	deadline.tv_sec += STOP_SECONDS;
	for (i = 0; i < demo->cpu_count; i++)
		ok &= stop_cpu(&demo->cpus[i], &deadline);
	return ok;
}

void vm_destroy(struct demo *demo)
{
	unsigned int i;

	for (i = 0; i < demo->cpu_count; i++) {
		if (demo->cpus[i].stats_fd > 0)
			close(demo->cpus[i].stats_fd);
		keel_vcpu_destroy(demo->cpus[i].vcpu);
	}
	if (demo->stats_fd > 0)
		close(demo->stats_fd);
	keel_vm_destroy(demo->vm);
	keel_close(demo->keel);
}

__u64 vm_mmio(const struct demo *demo)
{
	unsigned int i;
	__u64 sum = 0;

	for (i = 0; i < demo->cpu_count; i++)
		sum += __atomic_load_n(&demo->cpus[i].mmio, __ATOMIC_RELAXED);
	return sum;
}

__u64 vm_operations(const struct demo *demo)
{
	unsigned int i;
	__u64 sum = 0;

	for (i = 0; i < demo->cpu_count; i++)
		sum += __atomic_load_n(&demo->shared->cpus[i].operations, __ATOMIC_RELAXED);
	return sum;
}

__u64 vm_wrong(const struct demo *demo)
{
	unsigned int i;
	__u64 sum = 0;

	for (i = 0; i < demo->cpu_count; i++) {
		sum += __atomic_load_n(&demo->cpus[i].wrong, __ATOMIC_RELAXED);
		sum += __atomic_load_n(&demo->shared->cpus[i].wrong, __ATOMIC_SEQ_CST);
	}
	return sum;
}
