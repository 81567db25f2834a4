// SPDX-License-Identifier: GPL-2.0
/*
 * A keelrun machine from creation to exit status: VM and vCPUs, one thread each,
 * the time limit, and the decision how it ended. The main thread only waits for
 * signals.
 */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "keelrun.h"

#define SIGNAL_ENDED	SIGUSR1		/* a vCPU thread wakes the main thread */
#define SIGNAL_SAVE	SIGUSR2

void machine_end(struct machine *machine, enum status status, const char *format, ...)
{
	va_list args;

	if (machine->ended)
		return;
	machine->ended = true;
	machine->status = status;
	va_start(args, format);
	vsnprintf(machine->why, sizeof(machine->why), format, args);
	va_end(args);
}

void machine_save(struct machine *machine)
{
	if (!machine->options->save || machine->saving)
		return;
	machine->saving = true;
	kill(getpid(), SIGNAL_ENDED);
}

/* True if all vCPUs must stop, because the machine ends or is to be saved. */
static bool has_to_stop(struct machine *machine)
{
	bool stop;

	pthread_mutex_lock(&machine->lock);
	stop = machine->ended || machine->saving;
	pthread_mutex_unlock(&machine->lock);
	return stop;
}

static void trace(struct keel_vcpu *vcpu, const struct kvm_run *run, void *opaque)
{
	struct cpu *cpu = opaque;
	char line[256];

	if (!cpu->machine->options->trace)
		return;
	keel_exit_format(run, line, sizeof(line));
	fprintf(stderr, "cpu %u exit %llu %s\n", keel_vcpu_id(vcpu), ++cpu->exits, line);
}

static const struct keel_run_ops run_ops = {
	.size = sizeof(run_ops),
	.pio = devices_pio,
	.mmio = devices_mmio,
	.trace = trace,
};

static void print_registers(struct keel_vcpu *vcpu)
{
	struct kvm_sregs s;
	struct kvm_regs r;

	if (keel_vcpu_get_regs(vcpu, &r) || keel_vcpu_get_sregs(vcpu, &s))
		return;
	fprintf(stderr, "cpu %u rip %04x:%llx (base %llx) rflags %llx rsp %04x:%llx\n",
		keel_vcpu_id(vcpu), s.cs.selector, r.rip, s.cs.base, r.rflags, s.ss.selector,
		r.rsp);
	fprintf(stderr, "  rax %llx rbx %llx rcx %llx rdx %llx rsi %llx rdi %llx rbp %llx\n",
		r.rax, r.rbx, r.rcx, r.rdx, r.rsi, r.rdi, r.rbp);
	fprintf(stderr, "  cr0 %llx cr2 %llx cr3 %llx cr4 %llx efer %llx\n", s.cr0, s.cr2, s.cr3,
		s.cr4, s.efer);
}

/* Decide how a run ended. A halt ends the vCPU: this machine has nothing to interrupt it. */
static void judge(struct machine *machine, struct cpu *cpu, int result)
{
	unsigned int id = keel_vcpu_id(cpu->vcpu);
	char line[200];

	keel_exit_format(keel_vcpu_page(cpu->vcpu), line, sizeof(line));
	cpu->halted = result == KVM_EXIT_HLT;
	if (result == -EINTR || result == KEEL_RUN_STOPPED || cpu->halted)
		return;
	if (result < 0)
		machine_end(machine, STATUS_INTERNAL, "cpu %u: %s", id, strerror(-result));
	else if (result == KVM_EXIT_SHUTDOWN)
		machine_end(machine, STATUS_TRIPLE_FAULT, "cpu %u: triple fault", id);
	else if (result == KVM_EXIT_INTERNAL_ERROR || result == KVM_EXIT_FAIL_ENTRY ||
		 result == KVM_EXIT_UNKNOWN)
		machine_end(machine, STATUS_INTERNAL, "cpu %u: %s", id, line);
	else
		machine_end(machine, STATUS_UNEXPECTED, "cpu %u: %s", id, line);
	print_registers(cpu->vcpu);
}

static void *run_cpu(void *arg)
{
	struct cpu *cpu = arg;
	struct machine *machine = cpu->machine;
	int result;

	/* Continue after a signal that is not a kick, such as a debugger's. */
	do {
		result = keel_vcpu_run(cpu->vcpu, &run_ops, cpu);
	} while (result == -EINTR && !has_to_stop(machine));

	pthread_mutex_lock(&machine->lock);
	if (!machine->ended)
		judge(machine, cpu, result);
	if (!--machine->running && !machine->saving)
		machine_end(machine, STATUS_OK, "%s", "");
	pthread_mutex_unlock(&machine->lock);
	kill(getpid(), SIGNAL_ENDED);
	return NULL;
}

static int start_state(struct machine *machine, struct keel_vcpu *vcpu, unsigned int i)
{
	__u64 stack = machine->stack_top - i * STACK_SIZE;

	switch (machine->mode) {
	case START_REAL:
		return keel_vcpu_start_real(vcpu, 0, machine->entry);
	case START_FLAT32:
		return keel_vcpu_start_flat32(vcpu, machine->entry, stack);
	case START_LONG:
		return keel_vcpu_start_long(vcpu, machine->tables, machine->entry, stack);
	case START_RESET:
		break;
	}
	return 0;
}

/* Put the number of the vCPU into its rdi, unless it starts at the reset vector. */
static int tell_number(struct machine *machine, struct keel_vcpu *vcpu, unsigned int i)
{
	struct kvm_regs regs;
	int ret;

	if (machine->mode == START_RESET)
		return 0;
	ret = keel_vcpu_get_regs(vcpu, &regs);
	if (ret)
		return ret;
	regs.rdi = i;
	return keel_vcpu_set_regs(vcpu, &regs);
}

static int add_cpu(struct machine *machine, unsigned int i)
{
	struct cpu *cpu = &machine->cpus[i];
	int ret;

	cpu->machine = machine;
	ret = keel_vcpu_create(machine->vm, i, &cpu->vcpu);
	if (!ret)
		ret = keel_vcpu_set_host_cpuid(cpu->vcpu);
	if (!ret)
		ret = start_state(machine, cpu->vcpu, i);
	if (!ret)
		ret = tell_number(machine, cpu->vcpu, i);
	if (ret)
		complain("vCPU %u: %s", i, strerror(-ret));
	return ret;
}

/* Keep the counters open for keelstat(1) to borrow; a device may have none. */
static void open_stats(struct machine *machine)
{
	unsigned int i;

	machine->stats_fd = keel_vm_stats_fd(machine->vm);
	for (i = 0; i < machine->nr_cpus; i++)
		machine->cpus[i].stats_fd = keel_vcpu_stats_fd(machine->cpus[i].vcpu);
}

/* Build a machine with the image, ready to start. */
static int build_new(struct machine *machine)
{
	int ret = keel_vm_create(machine->keel, &machine->vm);
	unsigned int i;

	if (ret) {
		complain("can not create a VM: %s", strerror(-ret));
		return ret;
	}
	machine->nr_cpus = machine->options->cpus;
	ret = image_load(machine);
	devices_init(machine);
	for (i = 0; !ret && i < machine->nr_cpus; i++)
		ret = add_cpu(machine, i);
	return ret;
}

/* The device that keel_open() would choose, to be named in messages. */
static const char *device_path(const struct options *options)
{
	const char *path = secure_getenv("KEEL_DEVICE");

	if (options->device)
		return options->device;
	return path && *path ? path : KEEL_DEVICE_PATH;
}

static int build(struct machine *machine)
{
	const struct options *options = machine->options;
	const char *device = device_path(options);
	int ret = keel_open(device, &machine->keel);

	if (ret) {
		complain("can not open %s: %s", device, strerror(-ret));
		return ret;
	}
	ret = options->restore ? saved_read(machine) : build_new(machine);
	if (!ret)
		open_stats(machine);
	return ret;
}

static void tear_down(struct machine *machine)
{
	unsigned int i;

	for (i = 0; i < MAX_CPUS; i++) {
		if (machine->cpus[i].stats_fd > 0)
			close(machine->cpus[i].stats_fd);
		keel_vcpu_destroy(machine->cpus[i].vcpu);
	}
	if (machine->stats_fd > 0)
		close(machine->stats_fd);
	keel_vm_destroy(machine->vm);
	image_unload(machine);
	keel_close(machine->keel);
}

static int start_threads(struct machine *machine)
{
	unsigned int i;
	int ret;

	for (i = 0; i < machine->nr_cpus; i++)
		machine->running += !machine->cpus[i].halted;
	if (!machine->running)
		machine_end(machine, STATUS_OK, "%s", "");
	for (i = 0; i < machine->nr_cpus; i++) {
		if (machine->cpus[i].halted)
			continue;
		ret = pthread_create(&machine->cpus[i].thread, NULL, run_cpu, &machine->cpus[i]);
		if (ret) {
			complain("thread of vCPU %u: %s", i, strerror(ret));
			return -ret;
		}
		machine->cpus[i].started = true;
	}
	return 0;
}

static __s64 now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ll + ts.tv_nsec / 1000000;
}

/* The time in @ms, or 0 for never. */
static __s64 in_ms(unsigned int ms)
{
	return ms ? now_ms() + ms : 0;
}

static __s64 earlier(__s64 a, __s64 b)
{
	return a && (!b || a < b) ? a : b;
}

/* Wait for a signal, or return 0 at the deadline; without one (0) wait for ever. */
static int wait_signal(const sigset_t *set, __s64 deadline)
{
	struct timespec ts;
	__s64 left;
	int sig;

	do {
		left = deadline ? deadline - now_ms() : 1000;
		if (left <= 0)
			return 0;
		ts.tv_sec = left / 1000;
		ts.tv_nsec = left % 1000 * 1000000;
		sig = sigtimedwait(set, NULL, &ts);
	} while (sig < 0);
	return sig;
}

static void wait_for_end(struct machine *machine, const sigset_t *set)
{
	unsigned int limit = machine->options->timeout_ms;
	__s64 save = in_ms(machine->options->save_after_ms);
	__s64 end = in_ms(limit);
	int sig;

	while (!has_to_stop(machine)) {
		sig = wait_signal(set, earlier(save, end));
		if (sig == SIGNAL_ENDED)
			continue;
		pthread_mutex_lock(&machine->lock);
		if (sig == SIGNAL_SAVE || (!sig && save && save == earlier(save, end)))
			machine_save(machine);
		else if (sig)
			machine_end(machine, STATUS_SIGNAL, "%s", strsignal(sig));
		else
			machine_end(machine, STATUS_TIMEOUT, "time limit of %u.%03u s reached",
				    limit / 1000, limit % 1000);
		pthread_mutex_unlock(&machine->lock);
	}
}

static void stop_threads(struct machine *machine)
{
	unsigned int i;

	for (i = 0; i < MAX_CPUS; i++)
		if (machine->cpus[i].started)
			keel_vcpu_kick(machine->cpus[i].vcpu);
	for (i = 0; i < MAX_CPUS; i++)
		if (machine->cpus[i].started)
			pthread_join(machine->cpus[i].thread, NULL);
}

/* Save the machine if that is due. All vCPUs must have stopped. */
static void save_if_asked(struct machine *machine)
{
	if (!machine->saving || machine->ended)
		return;
	if (saved_write(machine))
		machine_end(machine, STATUS_HOST, "%s", "");
	else
		machine_end(machine, STATUS_SAVED, "saved to %s", machine->options->save);
}

/* Exit at once: before vCPUs run nothing needs cleaning up, and reading a FIFO may block. */
static void on_early_signal(int sig)
{
	(void)sig;
	_exit(STATUS_SIGNAL);
}

/* Block the signals that can wait; SIGINT and SIGTERM still end the process at once. */
static void expect_signals(const struct options *options, sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGNAL_ENDED);
	if (options->save)
		sigaddset(set, SIGNAL_SAVE);
	pthread_sigmask(SIG_BLOCK, set, NULL);
	signal(SIGINT, on_early_signal);
	signal(SIGTERM, on_early_signal);
}

static void run(struct machine *machine, sigset_t *set)
{
	/* Block the signals in all threads; the main thread takes them by sigtimedwait(). */
	sigaddset(set, SIGINT);
	sigaddset(set, SIGTERM);
	pthread_sigmask(SIG_BLOCK, set, NULL);
	if (!start_threads(machine))
		wait_for_end(machine, set);
	stop_threads(machine);
	save_if_asked(machine);
	if (machine->status != STATUS_SAVED)
		console_flush(&machine->console);
	if (machine->why[0])
		complain("%s", machine->why);
}

enum status machine_run(struct machine *machine)
{
	sigset_t set;

	expect_signals(machine->options, &set);
	pthread_mutex_init(&machine->lock, NULL);
	machine->status = STATUS_HOST;
	if (!build(machine))
		run(machine, &set);
	tear_down(machine);
	return machine->status;
}
