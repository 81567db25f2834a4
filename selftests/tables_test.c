// SPDX-License-Identifier: GPL-2.0
/*
 * The page tables that a guest costs the host: how many there are, and that
 * those go which nobody needs. Counted as the kernel counts them, in
 * SecPageTables of /proc/meminfo. What tables map is other programs' business.
 */
#include "kselftest_harness.h"
#include "keel_test.h"
#include "control.h"
#include "guest.h"
#include "pending.h"
#include "touch.h"

#define MEMORY_GPA	0x40000000UL	/* REGIONS of 2 MiB */
#define REGIONS		256L
#define MISSING_GPA	0x70000000UL
#define KIB_OF_REGIONS	(REGIONS * 4)

FIXTURE(tables) {
	struct vm *vm;
	struct vcpu *vcpu;
	u8 *mem;
};

/* One table for each region, if no huge page stands there. Says the sum of their second words. */
static void guest_touch_regions(void)
{
	u64 i, sum;

	for (;;) {
		sum = 0;
		for (i = 0; i < REGIONS; i++) {
			guest_write64(MEMORY_GPA + i * HUGE, i);
			sum += guest_read64(MEMORY_GPA + i * HUGE + 8);
		}
		guest_sync(sum);
	}
}

FIXTURE_SETUP(tables)
{
	self->vm = vm_create();
	self->vcpu = vcpu_create(self->vm, 0, guest_touch_regions);
	self->mem = mmap(NULL, REGIONS * HUGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	CHECK(self->mem != MAP_FAILED, "mmap: %s", strerror(errno));
	madvise(self->mem, REGIONS * HUGE, MADV_NOHUGEPAGE);
	vm_set_slot(self->vm, 1, 0, MEMORY_GPA, REGIONS * HUGE, self->mem);
}

FIXTURE_TEARDOWN(tables)
{
	vcpu_free(self->vcpu);
	vm_free(self->vm);
	munmap(self->mem, REGIONS * HUGE);
}

/* KiB of tables of all VMs, or -1: the kernel does not count them. */
static long tables_kib(void)
{
	FILE *f = fopen("/proc/meminfo", "r");
	char line[128];
	long kib = -1;

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "SecPageTables: %ld", &kib) == 1)
			break;
	if (f)
		fclose(f);
	return kib;
}

/* The counter is the sum of what the CPUs have noted, and is made up at times only. */
static bool tables_become(long low, long high)
{
	long kib = 0;
	int i;

	for (i = 0; i < 1000; i++) {
		kib = tables_kib();
		if (kib >= low && kib <= high)
			return true;
		usleep(5000);
	}
	printf("# %ld KiB, expected %ld to %ld\n", kib, low, high);
	return false;
}

TEST_F(tables, counted_as_the_kernel_counts_them)
{
	long before = tables_kib();

	REQUIRE(before >= 0);
	vcpu_sync(self->vcpu);
	EXPECT_TRUE(tables_become(before + KIB_OF_REGIONS - 256, before + KIB_OF_REGIONS + 256));
	ASSERT_EQ(0, madvise(self->mem, REGIONS * HUGE, MADV_DONTNEED));
	EXPECT_TRUE(tables_become(0, before + 256));
}

static void translate(void *vcpu)
{
	struct kvm_translation t = { .linear_address = 0x1000 };

	vcpu_ioctl((struct vcpu *)vcpu, KVM_TRANSLATE, &t);
}

/* The guest's page table is in memory that is missing, for as long as this takes. */
TEST_F_TIMEOUT(tables, unlinked_ones_go_while_a_fault_sleeps, 60)
{
	struct vcpu *sleeper = vcpu_create(self->vm, 1, guest_touch_regions);
	long before = tables_kib();
	struct pending_call call;
	struct kvm_sregs sregs;
	struct pending p;
	int i;

	REQUIRE(before >= 0);
	if (!pending_open(&p, 1))
		SKIP(return, "no userfaultfd");
	vm_set_slot(self->vm, 2, 0, MISSING_GPA, PAGE, p.mem);
	vcpu_get_sregs(sleeper, &sregs);
	sregs.cr3 = MISSING_GPA;
	vcpu_set_sregs(sleeper, &sregs);
	pending_start(&call, translate, sleeper);
	pending_wait(&p);
	for (i = 0; i < 20; i++) {
		vcpu_sync(self->vcpu);
		ASSERT_EQ(0, madvise(self->mem, REGIONS * HUGE, MADV_DONTNEED));
	}
	EXPECT_TRUE(tables_become(0, before + 2 * KIB_OF_REGIONS));
	EXPECT_FALSE(pending_returned(&call));
	pending_serve(&p, 0);
	pending_join(&call);
	vcpu_free(sleeper);
	vm_set_slot(self->vm, 2, 0, MISSING_GPA, 0, p.mem);
	pending_close(&p);
}

/* --- verdicts ------------------------------------------------------------- */

#define DEVICES		20000UL
#define DEVICES_GPA	0x100000000UL	/* one for each 2 MiB */
#define DEVICES_GVA	0x8000000000UL	/* entry 1 of the top table */
#define DEVICES_PDPT	DATA_GPA
#define DEVICES_PD	(DATA_GPA + PAGE)

static void guest_touch_devices(void)
{
	u64 i;

	for (;;)
		for (i = 0; i < DEVICES; i++)
			guest_write64(DEVICES_GVA + i * HUGE, i);
}

/* 2 MiB pages, so that this takes few tables of the guest's. */
static void map_devices(struct vm *vm)
{
	u64 *top = vm_hva(vm, PML4_GPA), *pdpt = vm_hva(vm, DEVICES_PDPT);
	u64 *pd = vm_hva(vm, DEVICES_PD), i;

	top[1] = DEVICES_PDPT | PT_P | PT_W;
	for (i = 0; i < DEVICES; i++) {
		pdpt[i / 512] = (DEVICES_PD + i / 512 * PAGE) | PT_P | PT_W;
		pd[i] = (DEVICES_GPA + i * HUGE) | PT_P | PT_W | PT_PS;
	}
}

/* The next @n writes go to devices from @first on. How many do not. */
static u64 wrong_exits(struct vcpu *vcpu, u64 first, u64 n)
{
	struct kvm_run *run = vcpu->run;
	u64 i, data, wrong = 0;

	for (i = first; i < first + n; i++) {
		vcpu_run(vcpu);
		memcpy(&data, run->mmio.data, 8);
		wrong += run->exit_reason != KVM_EXIT_MMIO || !run->mmio.is_write ||
			 run->mmio.phys_addr != DEVICES_GPA + i * HUGE || data != i;
	}
	return wrong;
}

TEST_F_TIMEOUT(tables, those_without_memory_are_limited, 90)
{
	struct vcpu *vcpu = vcpu_create(self->vm, 1, guest_touch_devices);
	u8 *page = anon_alloc(PAGE);
	long before = tables_kib();

	REQUIRE(before >= 0);
	map_devices(self->vm);
	EXPECT_EQ(0, wrong_exits(vcpu, 0, DEVICES));
	EXPECT_TRUE(tables_become(0, before + 4096));
	/* Verdicts that were dropped come again, and memory is memory. */
	vm_set_slot(self->vm, 2, 0, DEVICES_GPA + 3 * HUGE, PAGE, page);
	EXPECT_EQ(0, wrong_exits(vcpu, 0, 3));
	EXPECT_EQ(0, wrong_exits(vcpu, 4, 100));
	EXPECT_EQ(3, *(u64 *)page);
	vcpu_free(vcpu);
	vm_set_slot(self->vm, 2, 0, DEVICES_GPA + 3 * HUGE, 0, page);
	munmap(page, PAGE);
}

/* --- the host is short of memory -------------------------------------------- */

/* As far as the kernel can be told to be. False: it cannot. */
static bool press(void)
{
	int fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);
	bool done = fd >= 0 && write(fd, "2", 1) == 1;

	if (fd >= 0)
		close(fd);
	return done;
}

#define REQUIRE_COUNTER(name)						\
	do {								\
		u64 value;						\
									\
		REQUIRE(counter_find(self->vm->fd, name, &value));	\
	} while (0)

TEST_F_TIMEOUT(tables, verdicts_go_where_memory_is_short, 60)
{
	struct vcpu *vcpu = vcpu_create(self->vm, 1, guest_touch_devices);
	long before = tables_kib();
	u64 flushes;

	REQUIRE_COUNTER("tables_shrunk");
	REQUIRE(before >= 0 && parameter_is_on("mmio_caching"));
	map_devices(self->vm);
	EXPECT_EQ(0, wrong_exits(vcpu, 0, 300));
	EXPECT_TRUE(tables_become(before + 1000, before + 1600));
	flushes = counter(self->vm->fd, "remote_flushes");
	REQUIRE(press());
	EXPECT_TRUE(tables_become(0, before + 256));
	EXPECT_LE(300, counter(self->vm->fd, "tables_shrunk"));
	EXPECT_LT(flushes, counter(self->vm->fd, "remote_flushes"));
	/* What they said is found again. */
	EXPECT_EQ(0, wrong_exits(vcpu, 300, 300));
	vcpu_free(vcpu);
}

TEST_F_TIMEOUT(tables, mappings_go_where_memory_is_short, 60)
{
	long before = tables_kib();
	u64 i, sum = 0;

	REQUIRE_COUNTER("tables_shrunk");
	REQUIRE(before >= 0);
	for (i = 0; i < REGIONS; i++) {
		*(u64 *)(self->mem + i * HUGE + 8) = i * i;
		sum += i * i;
	}
	EXPECT_EQ(sum, vcpu_sync(self->vcpu));
	EXPECT_TRUE(tables_become(before + KIB_OF_REGIONS - 256, before + KIB_OF_REGIONS + 256));
	/* Once for that they have been used, once for that they have not been used since. */
	REQUIRE(press() && press());
	EXPECT_TRUE(tables_become(0, before + 256));
	EXPECT_LE(REGIONS, counter(self->vm->fd, "tables_shrunk"));
	EXPECT_EQ(sum, vcpu_sync(self->vcpu));
	for (i = 0; i < REGIONS; i++)
		EXPECT_EQ(i, *(u64 *)(self->mem + i * HUGE));
}

/* Another VM presses too: tables of a VM that ends are no longer looked for. */
TEST_F_TIMEOUT(tables, a_guest_that_runs_does_not_notice, 90)
{
	struct vcpu *vcpu = touch_vcpu(self->vm, 1);
	u64 i, rounds, wrong = 0;
	struct vm *other;

	REQUIRE_COUNTER("tables_shrunk");
	touch_count(vcpu, MEMORY_GPA, 2048);
	for (i = 0; i < 30; i++) {
		other = vm_create();
		press();
		touch_wait(vcpu, 1);
		vm_free(other);
	}
	rounds = touch_count_stop(vcpu);
	for (i = 0; i < 2048; i++)
		wrong += *(u64 *)(self->mem + i * PAGE) != rounds;
	EXPECT_EQ(0, wrong);
	EXPECT_EQ(0, touch_failures(vcpu));
	vcpu_free(vcpu);
}

KEEL_TEST_MAIN
