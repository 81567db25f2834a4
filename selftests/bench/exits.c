// SPDX-License-Identifier: GPL-2.0
/*
 * What an exit costs: those that go to userspace are timed there, from KVM_RUN
 * to its return; those that stay in the kernel are timed by the guest.
 */
#include <sys/eventfd.h>
#include "bench.h"

#define ROUNDS		1000
#define WARM_UP		4		/* the first ones fill caches and tables */
#define PAGES		512		/* of a fresh slot, one violation each */
#define BENCH_PORT	0x80
#define EVENT_GPA	(CACHED_GPA + 0x1000)
#define FAST_GPA	(CACHED_GPA + 0x2000)

/* Of the guest's copy of this program. */
static volatile u64 guest_took[ROUNDS];

static void guest_hlt(void)
{
	for (;;)
		asm volatile("hlt");
}

static void guest_pio_write(void)
{
	for (;;)
		asm volatile("outb %%al, %0" : : "Nd"((u16)BENCH_PORT), "a"(0));
}

static void guest_pio_read(void)
{
	u8 value;

	for (;;)
		asm volatile("inb %1, %0" : "=a"(value) : "Nd"((u16)BENCH_PORT));
}

static void guest_mmio_write(void)
{
	for (;;)
		guest_write32(CACHED_GPA, 1);
}

static void guest_mmio_read(void)
{
	for (;;)
		guest_read32(CACHED_GPA);
}

static void guest_mmio_walk(void)
{
	u64 gpa;

	for (gpa = CACHED_GPA;; gpa += PAGE)
		guest_write32(gpa, 1);
}

/* Time @operation @count times, then tell. */
#define GUEST_TIMED(name, count, operation)				\
static void name(void)							\
{									\
	u64 start;							\
	int i;								\
									\
	for (i = 0; i < (count); i++)					\
		guest_took[i] = 0;					\
	for (i = 0; i < (count); i++) {					\
		start = ticks();					\
		operation;						\
		guest_took[i] = ticks() - start;			\
	}								\
	guest_done();							\
}

static void cpuid_once(void)
{
	u32 out[4];

	guest_cpuid(0, 0, out);
}

static void rdmsr_once(void)
{
	u32 low, high;

	asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(0x1b));
}

GUEST_TIMED(guest_cpuid_timed, ROUNDS, cpuid_once())
GUEST_TIMED(guest_rdmsr_timed, ROUNDS, rdmsr_once())
GUEST_TIMED(guest_touch_timed, PAGES, guest_write32(MAPPED_GPA + i * PAGE, 1))
GUEST_TIMED(guest_event_timed, ROUNDS, guest_write32(EVENT_GPA, 1))
GUEST_TIMED(guest_fast_timed, ROUNDS, guest_write32(FAST_GPA, 1))

static void print_exit(struct samples *s, const char *name, const char *goal)
{
	const struct row row = { .group = "exits", .name = name, .setting = "", .goal = goal };

	print_row(&row, s);
}

static void time_getpid(struct samples *s)
{
	u64 start;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		start = ticks();
		getpid();
		sample(s, ticks() - start);
	}
	print_exit(s, "getpid(2), for scale", NULL);
}

static void time_runs(struct samples *s, const char *name, void (*fn)(void), u32 reason)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_create(vm, 0, fn);
	u64 start, took;
	int i;

	for (i = 0; i < ROUNDS + WARM_UP; i++) {
		start = ticks();
		ioctl(vcpu->fd, KVM_RUN, 0);
		took = ticks() - start;
		CHECK(vcpu->run->exit_reason == reason, "exit %u", vcpu->run->exit_reason);
		if (i >= WARM_UP)
			sample(s, took);
	}
	print_exit(s, name, "x1.00");
	vcpu_free(vcpu);
	vm_free(vm);
}

static void time_immediate_exit(struct samples *s)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_create(vm, 0, guest_hlt);
	u64 start;
	int i;

	vcpu->run->immediate_exit = 1;
	for (i = 0; i < ROUNDS; i++) {
		start = ticks();
		ioctl(vcpu->fd, KVM_RUN, 0);
		sample(s, ticks() - start);
	}
	print_exit(s, "KVM_RUN that enters no guest", "x1.00");
	vcpu_free(vcpu);
	vm_free(vm);
}

static u64 timed_run(struct vcpu *vcpu)
{
	u64 start = ticks(), took;

	ioctl(vcpu->fd, KVM_RUN, 0);
	took = ticks() - start;
	CHECK(vcpu->run->exit_reason == KVM_EXIT_MMIO, "exit %u", vcpu->run->exit_reason);
	return took;
}

/* The verdict on a page that was cached is void, and has to be found again. */
static void time_mmio_after_update(struct samples *s, bool after_delete)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_create(vm, 0, guest_mmio_write);
	void *mem = anon_alloc(HUGE);
	int i;

	for (i = 0; i < 200; i++) {
		timed_run(vcpu);
		vm_set_slot(vm, 1, 0, CHANGING_GPA, HUGE, mem);
		if (!after_delete)
			sample(s, timed_run(vcpu));
		vm_set_slot(vm, 1, 0, CHANGING_GPA, 0, mem);
		if (after_delete)
			sample(s, timed_run(vcpu));
	}
	print_exit(s, after_delete ? "MMIO write, first after a slot was deleted" :
				     "MMIO write, first after a slot was added", "x0.50");
	munmap(mem, HUGE);
	vcpu_free(vcpu);
	vm_free(vm);
}

/* False: the device has no ioeventfd. */
static bool add_events(struct vm *vm, int fd)
{
	struct kvm_ioeventfd event = { .addr = EVENT_GPA, .len = 4, .fd = fd };
	struct kvm_ioeventfd fast = { .addr = FAST_GPA, .len = 0, .fd = fd };

	return !__vm_ioctl(vm, KVM_IOEVENTFD, &event) && !__vm_ioctl(vm, KVM_IOEVENTFD, &fast);
}

static void time_in_guest(struct samples *s, const char *name, void (*fn)(void), int count,
			  bool events)
{
	struct vm *vm = vm_create();
	struct vcpu *vcpu = vcpu_create(vm, 0, fn);
	void *mem = anon_alloc(HUGE);
	int i, fd = eventfd(0, EFD_NONBLOCK);

	madvise(mem, HUGE, MADV_NOHUGEPAGE);
	memset(mem, 1, HUGE);
	vm_set_slot(vm, 1, 0, MAPPED_GPA, HUGE, mem);
	if (!events || add_events(vm, fd)) {
		vcpu_done(vcpu);
		for (i = 0; i < count; i++)
			sample(s, GUEST_VAR(vm, guest_took)[i]);
	}
	print_exit(s, name, "x1.00");
	close(fd);
	munmap(mem, HUGE);
	vcpu_free(vcpu);
	vm_free(vm);
}

void bench_exits(struct samples *s)
{
	time_getpid(s);
	time_immediate_exit(s);
	time_runs(s, "HLT, to userspace and back", guest_hlt, KVM_EXIT_HLT);
	time_runs(s, "PIO write, to userspace and back", guest_pio_write, KVM_EXIT_IO);
	time_runs(s, "PIO read, to userspace and back", guest_pio_read, KVM_EXIT_IO);
	time_runs(s, "MMIO write, verdict cached", guest_mmio_write, KVM_EXIT_MMIO);
	time_runs(s, "MMIO read, verdict cached", guest_mmio_read, KVM_EXIT_MMIO);
	time_runs(s, "MMIO write, page not seen before", guest_mmio_walk, KVM_EXIT_MMIO);
	time_mmio_after_update(s, false);
	time_mmio_after_update(s, true);
	time_in_guest(s, "CPUID, in the kernel", guest_cpuid_timed, ROUNDS, false);
	time_in_guest(s, "RDMSR, in the kernel", guest_rdmsr_timed, ROUNDS, false);
	time_in_guest(s, "EPT violation, host page present", guest_touch_timed, PAGES, false);
	time_in_guest(s, "ioeventfd on MMIO, 4 bytes", guest_event_timed, ROUNDS, true);
	time_in_guest(s, "ioeventfd on MMIO, any length", guest_fast_timed, ROUNDS, true);
}
