// SPDX-License-Identifier: GPL-2.0
/*
 * What it costs to ask for a dirty log and to clear it, by what is mapped of the
 * slot and not by how large it is.
 */
#include <sys/mman.h>
#include "bench.h"

#define SLOT		30001
#define LARGE_GPA	0x100000000UL
#define LARGE_PAGES	(1UL << 22)
#define MAPPED_PAGES	4096UL

static struct vm *vm_with_log(void)
{
	struct kvm_enable_cap cap = {
		.cap = KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2,
		.args = { KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE | KVM_DIRTY_LOG_INITIALLY_SET },
	};
	struct vm *vm = vm_create();

	vm_ioctl(vm, KVM_ENABLE_CAP, &cap);
	return vm;
}

static void guest_write_all(void)
{
	u64 i;

	for (;;) {
		for (i = 0; i < MAPPED_PAGES; i++)
			guest_write32(MAPPED_GPA + i * PAGE, 1);
		guest_sync(0);
	}
}

static void measure(struct vm *vm, struct vcpu *vcpu, u64 pages, const char *setting,
		    struct samples *s)
{
	struct row row = { .group = "dirty", .setting = setting, .goal = "x1.00" };
	struct samples *got = calloc(1, sizeof(*got));
	void *bits = malloc(pages / 8);
	struct kvm_clear_dirty_log log = { .slot = SLOT, .num_pages = pages, .dirty_bitmap = bits };
	struct kvm_dirty_log get = { .slot = SLOT, .dirty_bitmap = bits };
	unsigned int round;
	u64 start;

	CHECK(got && bits, "out of memory");
	for (round = 0; round < 5; round++) {
		if (vcpu)
			vcpu_sync(vcpu);
		start = ticks();
		vm_ioctl(vm, KVM_GET_DIRTY_LOG, &get);
		sample(got, ticks() - start);
		memset(bits, 0xff, pages / 8);
		start = ticks();
		vm_ioctl(vm, KVM_CLEAR_DIRTY_LOG, &log);
		sample(s, ticks() - start);
	}
	row.name = "ask for the dirty log";
	print_row(&row, got);
	row.name = "clear the dirty log";
	print_row(&row, s);
	free(bits);
	free(got);
}

void bench_dirty(struct samples *s)
{
	struct vm *vm = vm_with_log();
	struct vcpu *vcpu = vcpu_create(vm, 0, guest_write_all);
	void *mem = mmap(NULL, LARGE_PAGES * PAGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	CHECK(mem != MAP_FAILED, "no address space");
	madvise(mem, LARGE_PAGES * PAGE, MADV_NOHUGEPAGE);
	vm_set_slot(vm, SLOT, KVM_MEM_LOG_DIRTY_PAGES, LARGE_GPA, LARGE_PAGES * PAGE, mem);
	measure(vm, NULL, LARGE_PAGES, "4,194,304 pages, none mapped", s);
	vm_set_slot(vm, SLOT, 0, LARGE_GPA, 0, mem);
	vm_set_slot(vm, SLOT, KVM_MEM_LOG_DIRTY_PAGES, MAPPED_GPA, MAPPED_PAGES * PAGE, mem);
	measure(vm, vcpu, MAPPED_PAGES, "4,096 pages, all written to", s);
	vcpu_free(vcpu);
	vm_free(vm);
	munmap(mem, LARGE_PAGES * PAGE);
}
