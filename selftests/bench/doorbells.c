// SPDX-License-Identifier: GPL-2.0
/*
 * What it costs to add and to remove a doorbell, by how many there are, on a VM
 * whose vCPU is idle or busy; and what the first vCPU costs that is created after
 * many, which must not be where the wait has gone. What ringing costs is among
 * the exits.
 */
#include <sys/eventfd.h>
#include "bench.h"

#define ROUNDS		50
#define FIRST_VCPUS	9
#define BELLS_GPA	0xc0000000UL

struct bells {
	struct scene *sc;
	int fd;
	unsigned int there;
};

static u64 timed_change(struct vm *vm, int fd, unsigned int i, u32 flags)
{
	struct kvm_ioeventfd e = {
		.fd = fd, .addr = BELLS_GPA + 16 * i, .len = 4, .flags = flags,
	};
	u64 start = ticks(), took;
	int err;

	err = __vm_ioctl(vm, KVM_IOEVENTFD, &e);
	took = ticks() - start;
	CHECK(!err, "doorbell %u: %s", i, strerror(-err));
	return took;
}

static void fill_up(struct bells *b, unsigned int n)
{
	while (b->there < n)
		timed_change(b->sc->vm, b->fd, b->there++, 0);
}

/* One more comes and goes, time after time. */
static void measure(struct bells *b, const char *more, struct samples *s, struct samples *gone)
{
	struct row row = { .group = "doorbells", .goal = "x0.20" };
	char setting[40];
	int i;

	for (i = 0; i < ROUNDS; i++) {
		sample(s, timed_change(b->sc->vm, b->fd, b->there, 0));
		sample(gone, timed_change(b->sc->vm, b->fd, b->there,
					  KVM_IOEVENTFD_FLAG_DEASSIGN));
	}
	snprintf(setting, sizeof(setting), "%u there%s", b->there, more);
	row.setting = setting;
	row.name = "add";
	print_row(&row, s);
	row.name = "remove";
	print_row(&row, gone);
}

static void bench_changes(struct samples *s, struct samples *gone)
{
	static const unsigned int numbers[] = { 1, 64, 1000 };
	struct bells b = { .sc = scene_open(), .fd = eventfd(0, EFD_CLOEXEC) };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(numbers); i++) {
		fill_up(&b, numbers[i]);
		measure(&b, "", s, gone);
	}
	scene_spin(b.sc, 1);
	measure(&b, ", 1 vCPU busy", s, gone);
	scene_close(b.sc);
	close(b.fd);
}

static void bench_first_vcpu(unsigned int n, struct samples *s)
{
	struct row row = { .group = "doorbells", .name = "first vCPU", .goal = "x1.00" };
	int fd = eventfd(0, EFD_CLOEXEC), i;
	char setting[40];

	for (i = 0; i < FIRST_VCPUS; i++) {
		struct vm *vm = vm_create_bare();
		unsigned int bell;
		u64 start;
		int vcpu;

		for (bell = 0; bell < n; bell++)
			timed_change(vm, fd, bell, 0);
		start = ticks();
		vcpu = __vm_ioctl(vm, KVM_CREATE_VCPU, 0);
		sample(s, ticks() - start);
		CHECK(vcpu >= 0, "vCPU: %s", strerror(-vcpu));
		close(vcpu);
		vm_free(vm);
	}
	snprintf(setting, sizeof(setting), "after %u doorbells", n);
	row.setting = setting;
	print_row(&row, s);
	close(fd);
}

void bench_doorbells(struct samples *s)
{
	struct samples *gone = calloc(1, sizeof(*gone));

	CHECK(gone, "out of memory");
	bench_changes(s, gone);
	bench_first_vcpu(0, s);
	bench_first_vcpu(64, s);
	free(gone);
}
