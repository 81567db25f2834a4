// SPDX-License-Identifier: GPL-2.0
/*
 * Running a vCPU: the loop around KVM_RUN, the delivery of accesses to the
 * caller's callbacks, and the kick that ends a run from another thread.
 *
 * A kick is a flag and a signal. The flag (immediate_exit) stops a KVM_RUN that
 * has not begun; the signal interrupts one that has. Only the flag records the
 * kick, so the signal may arrive at any time. Only a run that returns -EINTR to
 * its caller clears the flag.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "internal.h"

/* Size of struct keel_run_ops in the first release in which it had a size. */
#define RUN_OPS_MIN	(offsetof(struct keel_run_ops, trace) + sizeof(void *))

#define KICK_OFFSET	6	/* from SIGRTMIN: not used by C libraries and debuggers */

static pthread_mutex_t kick_init_lock = PTHREAD_MUTEX_INITIALIZER;
static int kick_signal;		/* 0: the default, not chosen yet */
static bool kick_ready;		/* the handler is installed */

static void on_kick(int sig)
{
	(void)sig;
}

static int install_handler(void)
{
	struct sigaction action;

	if (!kick_signal)
		kick_signal = SIGRTMIN + KICK_OFFSET;
	if (sigaction(kick_signal, NULL, &action))
		return -errno;
	/* Keep the handler of an application that has one. */
	if ((action.sa_flags & SA_SIGINFO) ||
	    (action.sa_handler != SIG_DFL && action.sa_handler != SIG_IGN))
		return 0;
	memset(&action, 0, sizeof(action));
	action.sa_handler = on_kick;
	action.sa_flags = SA_RESTART;
	return sigaction(kick_signal, &action, NULL) ? -errno : 0;
}

int keel_kick_init(void)
{
	int ret = 0;

	pthread_mutex_lock(&kick_init_lock);
	if (!kick_ready)
		ret = install_handler();
	if (!ret)
		kick_ready = true;
	pthread_mutex_unlock(&kick_init_lock);
	return ret;
}

KEEL_API int keel_set_kick_signal(int signal)
{
	struct sigaction action;
	int ret = 0;

	/* sigaction() fails for the signals that the C library reserves. */
	if (signal == SIGKILL || signal == SIGSTOP || sigaction(signal, NULL, &action))
		return -EINVAL;
	pthread_mutex_lock(&kick_init_lock);
	if (kick_ready)
		ret = -EBUSY;
	else
		kick_signal = signal;
	pthread_mutex_unlock(&kick_init_lock);
	return ret;
}

static void set_immediate_exit(struct keel_vcpu *vcpu, bool on)
{
	__atomic_store_n(&vcpu->run->immediate_exit, on, __ATOMIC_SEQ_CST);
}

KEEL_API int keel_vcpu_kick(struct keel_vcpu *vcpu)
{
	if (!vcpu)
		return -EINVAL;
	pthread_mutex_lock(&vcpu->kick_lock);
	vcpu->kicked = true;
	set_immediate_exit(vcpu, true);
	/* run_end() needs kick_lock, so the thread is still in its run and alive. */
	if (vcpu->running)
		pthread_kill(vcpu->thread, kick_signal);
	pthread_mutex_unlock(&vcpu->kick_lock);
	return 0;
}

static void run_begin(struct keel_vcpu *vcpu)
{
	pthread_mutex_lock(&vcpu->kick_lock);
	vcpu->thread = pthread_self();
	vcpu->running = true;
	pthread_mutex_unlock(&vcpu->kick_lock);
}

static int run_end(struct keel_vcpu *vcpu, int ret)
{
	pthread_mutex_lock(&vcpu->kick_lock);
	vcpu->running = false;
	if (ret == -EINTR) {
		vcpu->kicked = false;
		set_immediate_exit(vcpu, false);
	}
	pthread_mutex_unlock(&vcpu->kick_lock);
	return ret;
}

static int enter(struct keel_vcpu *vcpu)
{
	int ret = keel_ioctl_value(vcpu->fd, KVM_RUN, 0);

	return ret ? ret : (int)vcpu->run->exit_reason;
}

typedef int (*access_fn)(struct keel_vcpu *vcpu, struct keel_access *access, void *opaque);

/* Deliver one element; @data: where the kernel has put or expects the bytes. */
static int deliver(struct keel_vcpu *vcpu, access_fn fn, struct keel_access *access, void *data,
		   void *opaque)
{
	int ret;

	access->value = 0;
	if (access->is_write)
		memcpy(&access->value, data, access->size);
	else
		access->value = ~0ull;
	ret = fn(vcpu, access, opaque);
	if (!access->is_write)
		memcpy(data, &access->value, access->size);
	return ret;
}

static int handle_pio(struct keel_vcpu *vcpu, access_fn fn, void *opaque)
{
	struct kvm_run *run = vcpu->run;
	struct keel_access access;
	char *data = (char *)run + run->io.data_offset;
	__u32 i;
	int ret = 0, one;

	/*
	 * Deliver all elements even if a callback stops the run: the kernel takes
	 * the whole block as answered. Return the first result that is not 0.
	 */
	for (i = 0; i < run->io.count; i++, data += run->io.size) {
		access.addr = run->io.port;
		access.size = run->io.size;
		access.is_write = run->io.direction == KVM_EXIT_IO_OUT;
		one = deliver(vcpu, fn, &access, data, opaque);
		if (!ret)
			ret = one;
	}
	return ret;
}

static int handle_mmio(struct keel_vcpu *vcpu, access_fn fn, void *opaque)
{
	struct kvm_run *run = vcpu->run;
	struct keel_access access = {
		.addr = run->mmio.phys_addr,
		.size = run->mmio.len,
		.is_write = run->mmio.is_write,
	};

	return deliver(vcpu, fn, &access, run->mmio.data, opaque);
}

/* Return 0 to continue; otherwise the run returns *@result. */
static int dispatch(struct keel_vcpu *vcpu, const struct keel_run_ops *ops, void *opaque,
		    int *result)
{
	int ret;

	if (ops->trace)
		ops->trace(vcpu, vcpu->run, opaque);
	if (*result == KVM_EXIT_IO && ops->pio)
		ret = handle_pio(vcpu, ops->pio, opaque);
	else if (*result == KVM_EXIT_MMIO && ops->mmio)
		ret = handle_mmio(vcpu, ops->mmio, opaque);
	else if (*result != KVM_EXIT_IO && *result != KVM_EXIT_MMIO && ops->exit)
		ret = ops->exit(vcpu, vcpu->run, opaque);
	else
		return 1;
	if (ret)
		*result = ret > 0 ? KEEL_RUN_STOPPED : ret;
	return ret;
}

static int run(struct keel_vcpu *vcpu, const struct keel_run_ops *ops, void *opaque)
{
	int result;

	run_begin(vcpu);
	do {
		result = enter(vcpu);
	} while (result >= 0 && !dispatch(vcpu, ops, opaque, &result));
	return run_end(vcpu, result);
}

KEEL_API int keel_vcpu_run(struct keel_vcpu *vcpu, const struct keel_run_ops *ops, void *opaque)
{
	struct keel_run_ops known = { 0 };
	int ret;

	if (!vcpu)
		return -EINVAL;
	ret = ops ? keel_struct_in(&known, sizeof(known), ops, RUN_OPS_MIN) : 0;
	return ret ? ret : run(vcpu, &known, opaque);
}

#ifdef KEEL_SHARED

/* struct keel_run_ops of version 0.1: the callbacks without the size. */
struct run_ops_0_1 {
	typeof(((struct keel_run_ops *)NULL)->pio) pio;
	typeof(((struct keel_run_ops *)NULL)->mmio) mmio;
	typeof(((struct keel_run_ops *)NULL)->exit) exit;
	typeof(((struct keel_run_ops *)NULL)->trace) trace;
};

KEEL_API int keel_vcpu_run_0_1(struct keel_vcpu *vcpu, const struct run_ops_0_1 *ops, void *opaque);

KEEL_API int keel_vcpu_run_0_1(struct keel_vcpu *vcpu, const struct run_ops_0_1 *ops, void *opaque)
{
	struct keel_run_ops now = { .size = sizeof(now) };

	if (!vcpu)
		return -EINVAL;
	if (ops) {
		now.pio = ops->pio;
		now.mmio = ops->mmio;
		now.exit = ops->exit;
		now.trace = ops->trace;
	}
	return run(vcpu, &now, opaque);
}

__asm__(".symver keel_vcpu_run_0_1, keel_vcpu_run@KEEL_0.1");
__asm__(".symver keel_vcpu_run, keel_vcpu_run@@@KEEL_0.2");

#endif

KEEL_API int keel_vcpu_enter(struct keel_vcpu *vcpu)
{
	if (!vcpu)
		return -EINVAL;
	run_begin(vcpu);
	return run_end(vcpu, enter(vcpu));
}

KEEL_API int keel_vcpu_complete(struct keel_vcpu *vcpu)
{
	int ret;

	if (!vcpu)
		return -EINVAL;
	/* A kick may wait for this lock: with immediate_exit KVM_RUN returns soon. */
	pthread_mutex_lock(&vcpu->kick_lock);
	set_immediate_exit(vcpu, true);
	ret = enter(vcpu);
	set_immediate_exit(vcpu, vcpu->kicked);
	pthread_mutex_unlock(&vcpu->kick_lock);
	return ret == -EINTR ? 0 : ret;
}
