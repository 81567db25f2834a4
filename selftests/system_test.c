// SPDX-License-Identifier: GPL-2.0
/*
 * The device's own ioctls, what an fd of each kind says to a number or pointer
 * it does not take, and whether KVM_CHECK_EXTENSION tells the truth. What VM
 * and vCPU ioctls do is tested elsewhere.
 */
#include "kselftest_harness.h"
#include "keel_test.h"

#define BAD_POINTER ((void *)0xdead0000000ULL)
#define NOT_AN_IOCTL _IO(KVMIO, 0xf5)

FIXTURE(system) {
	struct vm *vm;
	struct vcpu *vcpu;
	int dev;
};

FIXTURE_SETUP(system)
{
	self->vm = vm_create_bare();
	self->vcpu = vcpu_create_bare(self->vm, 0);
	self->dev = self->vm->dev;
}

FIXTURE_TEARDOWN(system)
{
	vcpu_free(self->vcpu);
	vm_free(self->vm);
}

TEST_F(system, api_version_is_12)
{
	EXPECT_EQ(12, __fd_ioctl(self->dev, KVM_GET_API_VERSION, 0));
	EXPECT_EQ(-EINVAL, __fd_ioctl(self->dev, KVM_GET_API_VERSION, 1));
}

TEST_F(system, create_vm_takes_type_0_only)
{
	int fd = __fd_ioctl(self->dev, KVM_CREATE_VM, 0);

	EXPECT_LE(0, fd);
	EXPECT_EQ(0, close(fd));
	EXPECT_EQ(-EINVAL, __fd_ioctl(self->dev, KVM_CREATE_VM, 1));
	EXPECT_EQ(-EINVAL, __fd_ioctl(self->dev, KVM_CREATE_VM, ~0UL));
}

TEST_F(system, new_fds_are_close_on_exec)
{
	EXPECT_EQ(FD_CLOEXEC, fcntl(self->vm->fd, F_GETFD));
	EXPECT_EQ(FD_CLOEXEC, fcntl(self->vcpu->fd, F_GETFD));
}

TEST_F(system, vcpu_mmap_size_covers_kvm_run)
{
	int size = __fd_ioctl(self->dev, KVM_GET_VCPU_MMAP_SIZE, 0);

	EXPECT_LE((int)sizeof(struct kvm_run), size);
	EXPECT_EQ(0, size % (int)PAGE);
	EXPECT_EQ(-EINVAL, __fd_ioctl(self->dev, KVM_GET_VCPU_MMAP_SIZE, 1));
}

TEST_F(system, vcpu_mmap_beyond_its_size_fails)
{
	long size = __fd_ioctl(self->dev, KVM_GET_VCPU_MMAP_SIZE, 0);
	volatile char *p;

	/* Either refused at once or by SIGBUS: never somebody else's page. */
	p = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, self->vcpu->fd,
		 size + 16 * PAGE);
	if (p != MAP_FAILED) {
		pid_t pid = fork();
		int status;

		ASSERT_LE(0, pid);
		if (!pid)
			_exit(*p);
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		EXPECT_TRUE(WIFSIGNALED(status));
		EXPECT_EQ(SIGBUS, WTERMSIG(status));
	}
}

TEST_F(system, basic_capabilities)
{
	static const long present[] = {
		KVM_CAP_USER_MEMORY, KVM_CAP_SET_TSS_ADDR, KVM_CAP_EXT_CPUID,
		KVM_CAP_MP_STATE, KVM_CAP_SYNC_MMU, KVM_CAP_USER_NMI,
		KVM_CAP_DESTROY_MEMORY_REGION_WORKS,
		KVM_CAP_JOIN_MEMORY_REGIONS_WORKS, KVM_CAP_INTERNAL_ERROR_DATA,
		KVM_CAP_VCPU_EVENTS, KVM_CAP_DEBUGREGS, KVM_CAP_XSAVE,
		KVM_CAP_GET_TSC_KHZ, KVM_CAP_READONLY_MEM,
		KVM_CAP_IMMEDIATE_EXIT, KVM_CAP_SET_IDENTITY_MAP_ADDR,
		KVM_CAP_CHECK_EXTENSION_VM, KVM_CAP_HLT, KVM_CAP_NOP_IO_DELAY,
		/* QEMU does not start without; nor without those in cap_ioctl[]. */
		KVM_CAP_SIGNAL_MSI, KVM_CAP_X86_ROBUST_SINGLESTEP, KVM_CAP_IOEVENTFD,
		KVM_CAP_IOEVENTFD_ANY_LENGTH,
	};
	int i;

	for (i = 0; i < ARRAY_SIZE(present); i++) {
		EXPECT_EQ(1, __fd_ioctl(self->dev, KVM_CHECK_EXTENSION, present[i])) {
			TH_LOG("capability %ld", present[i]);
		}
		EXPECT_EQ(1, __vm_ioctl(self->vm, KVM_CHECK_EXTENSION, present[i]));
	}
	EXPECT_EQ(0x7, 0x7 & __fd_ioctl(self->dev, KVM_CHECK_EXTENSION,
					KVM_CAP_SYNC_REGS));
	EXPECT_EQ(0, __fd_ioctl(self->dev, KVM_CHECK_EXTENSION, 100000));
	EXPECT_EQ(0, __fd_ioctl(self->dev, KVM_CHECK_EXTENSION, ~0UL));
	EXPECT_EQ(0, __vm_ioctl(self->vm, KVM_CHECK_EXTENSION, 100000));
}

TEST_F(system, limits)
{
	int soft = __fd_ioctl(self->dev, KVM_CHECK_EXTENSION, KVM_CAP_NR_VCPUS);
	int max = __fd_ioctl(self->dev, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPUS);
	int ids = __fd_ioctl(self->dev, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPU_ID);

	EXPECT_LE(1, soft);
	EXPECT_LE(soft, max);
	EXPECT_LE(16, max);
	EXPECT_LE(max, ids);
	EXPECT_EQ(32764, __fd_ioctl(self->dev, KVM_CHECK_EXTENSION,
				    KVM_CAP_NR_MEMSLOTS));
}

enum fd_kind { DEV, VM, VCPU };

/* An ioctl exists if and only if its capability says so. */
static const struct {
	long cap;
	enum fd_kind kind;
	unsigned long cmd;
} cap_ioctl[] = {
	{ KVM_CAP_EXT_CPUID, DEV, KVM_GET_SUPPORTED_CPUID },
	{ KVM_CAP_EXT_CPUID, VCPU, KVM_SET_CPUID2 },
	{ KVM_CAP_USER_MEMORY, VM, KVM_SET_USER_MEMORY_REGION },
	{ KVM_CAP_SET_IDENTITY_MAP_ADDR, VM, KVM_SET_IDENTITY_MAP_ADDR },
	{ KVM_CAP_MP_STATE, VCPU, KVM_GET_MP_STATE },
	{ KVM_CAP_MP_STATE, VCPU, KVM_SET_MP_STATE },
	{ KVM_CAP_VCPU_EVENTS, VCPU, KVM_GET_VCPU_EVENTS },
	{ KVM_CAP_VCPU_EVENTS, VCPU, KVM_SET_VCPU_EVENTS },
	{ KVM_CAP_DEBUGREGS, VCPU, KVM_GET_DEBUGREGS },
	{ KVM_CAP_DEBUGREGS, VCPU, KVM_SET_DEBUGREGS },
	{ KVM_CAP_XSAVE, VCPU, KVM_GET_XSAVE },
	{ KVM_CAP_XSAVE, VCPU, KVM_SET_XSAVE },
	{ KVM_CAP_XSAVE2, VCPU, KVM_GET_XSAVE2 },
	{ KVM_CAP_XCRS, VCPU, KVM_GET_XCRS },
	{ KVM_CAP_XCRS, VCPU, KVM_SET_XCRS },
	{ KVM_CAP_SREGS2, VCPU, KVM_GET_SREGS2 },
	{ KVM_CAP_SREGS2, VCPU, KVM_SET_SREGS2 },
	{ KVM_CAP_SET_GUEST_DEBUG, VCPU, KVM_SET_GUEST_DEBUG },
	{ KVM_CAP_NESTED_STATE, VCPU, KVM_GET_NESTED_STATE },
	{ KVM_CAP_ENABLE_CAP_VM, VM, KVM_ENABLE_CAP },
	{ KVM_CAP_ENABLE_CAP, VCPU, KVM_ENABLE_CAP },
	{ KVM_CAP_GET_MSR_FEATURES, DEV, KVM_GET_MSR_FEATURE_INDEX_LIST },
	{ KVM_CAP_GET_MSR_FEATURES, DEV, KVM_GET_MSRS },
	{ KVM_CAP_MCE, DEV, KVM_X86_GET_MCE_CAP_SUPPORTED },
	{ KVM_CAP_MCE, VCPU, KVM_X86_SETUP_MCE },
	{ KVM_CAP_ADJUST_CLOCK, VM, KVM_GET_CLOCK },
	{ KVM_CAP_ADJUST_CLOCK, VM, KVM_SET_CLOCK },
	{ KVM_CAP_IRQ_ROUTING, VM, KVM_SET_GSI_ROUTING },
	{ KVM_CAP_SIGNAL_MSI, VM, KVM_SIGNAL_MSI },
	{ KVM_CAP_IOEVENTFD, VM, KVM_IOEVENTFD },
	{ KVM_CAP_IRQFD, VM, KVM_IRQFD },
	{ KVM_CAP_PIT2, VM, KVM_CREATE_PIT2 },
	{ KVM_CAP_COALESCED_MMIO, VM, KVM_REGISTER_COALESCED_MMIO },
	{ KVM_CAP_X86_MSR_FILTER, VM, KVM_X86_SET_MSR_FILTER },
	{ KVM_CAP_PMU_EVENT_FILTER, VM, KVM_SET_PMU_EVENT_FILTER },
};

TEST_F(system, capabilities_tell_the_truth)
{
	int fd[] = { self->dev, self->vm->fd, self->vcpu->fd };
	int i;

	for (i = 0; i < ARRAY_SIZE(cap_ioctl); i++) {
		int f = fd[cap_ioctl[i].kind];
		bool claimed = __vm_ioctl(self->vm, KVM_CHECK_EXTENSION,
					  cap_ioctl[i].cap) > 0;
		int err = __fd_ioctl(f, cap_ioctl[i].cmd, BAD_POINTER);

		/* A pointer is looked at only by code that exists. */
		EXPECT_GT(0, err);
		EXPECT_EQ(claimed, err != -ENOTTY) {
			TH_LOG("capability %ld, ioctl %#lx, %s",
			       cap_ioctl[i].cap, cap_ioctl[i].cmd, strerror(-err));
		}
	}
}

/*
 * Upstream answers EINVAL on two of its three fd kinds; ENOTTY is what an
 * ioctl that does not exist is documented to give.
 */
static bool is_unknown(int err)
{
	return err == -ENOTTY || (!dev_is_keel() && err == -EINVAL);
}

TEST_F(system, unknown_ioctl_is_enotty)
{
	int fd[] = { self->dev, self->vm->fd, self->vcpu->fd };
	unsigned long cmd[] = {
		NOT_AN_IOCTL, _IOR(KVMIO, 0xf5, u64), _IOW(KVMIO, 0xf5, u64),
		_IO('Z', 0x80), FIOCLEX + 0x100,
		/* Right number, wrong size. */
		_IOR(KVMIO, _IOC_NR(KVM_GET_REGS), u64),
	};
	int i, j;

	for (i = 0; i < ARRAY_SIZE(fd); i++)
		for (j = 0; j < ARRAY_SIZE(cmd); j++) {
			int err = __fd_ioctl(fd[i], cmd[j], 0);

			EXPECT_TRUE(is_unknown(err)) {
				TH_LOG("fd %d ioctl %#lx: %s", i, cmd[j],
				       strerror(-err));
			}
		}
}

TEST_F(system, ioctl_on_the_wrong_kind_of_fd)
{
	EXPECT_TRUE(is_unknown(__fd_ioctl(self->dev, KVM_RUN, 0)));
	EXPECT_TRUE(is_unknown(__fd_ioctl(self->dev, KVM_CREATE_VCPU, 0)));
	EXPECT_TRUE(is_unknown(__vm_ioctl(self->vm, KVM_RUN, 0)));
	EXPECT_TRUE(is_unknown(__vm_ioctl(self->vm, KVM_CREATE_VM, 0)));
	EXPECT_TRUE(is_unknown(__vm_ioctl(self->vm, KVM_GET_REGS, BAD_POINTER)));
	EXPECT_TRUE(is_unknown(__vcpu_ioctl(self->vcpu, KVM_CREATE_VCPU, 1)));
	EXPECT_TRUE(is_unknown(__vcpu_ioctl(self->vcpu, KVM_GET_API_VERSION, 0)));
}

static const struct {
	enum fd_kind kind;
	unsigned long cmd;
} takes_pointer[] = {
	{ DEV, KVM_GET_SUPPORTED_CPUID }, { DEV, KVM_GET_MSR_INDEX_LIST },
	{ DEV, KVM_GET_MSR_FEATURE_INDEX_LIST }, { DEV, KVM_GET_MSRS },
	{ VM, KVM_SET_USER_MEMORY_REGION },
	{ VCPU, KVM_GET_REGS }, { VCPU, KVM_SET_REGS },
	{ VCPU, KVM_GET_SREGS }, { VCPU, KVM_SET_SREGS },
	{ VCPU, KVM_GET_FPU }, { VCPU, KVM_SET_FPU },
	{ VCPU, KVM_GET_MSRS }, { VCPU, KVM_SET_MSRS },
	{ VCPU, KVM_GET_CPUID2 }, { VCPU, KVM_SET_CPUID2 },
	{ VCPU, KVM_GET_MP_STATE }, { VCPU, KVM_SET_MP_STATE },
	{ VCPU, KVM_GET_VCPU_EVENTS }, { VCPU, KVM_SET_VCPU_EVENTS },
	{ VCPU, KVM_GET_DEBUGREGS }, { VCPU, KVM_SET_DEBUGREGS },
	{ VCPU, KVM_GET_XSAVE }, { VCPU, KVM_SET_XSAVE },
	{ VCPU, KVM_GET_XCRS }, { VCPU, KVM_SET_XCRS },
	{ VCPU, KVM_TRANSLATE }, { VCPU, KVM_INTERRUPT },
	{ VCPU, KVM_SET_SIGNAL_MASK },
};

TEST_F(system, bad_pointer_is_efault)
{
	int fd[] = { self->dev, self->vm->fd, self->vcpu->fd };
	/* The last page before the hole, read-only, half a structure. */
	char *page = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int i;

	ASSERT_NE(MAP_FAILED, page);
	ASSERT_EQ(0, munmap(page + PAGE, PAGE));
	for (i = 0; i < ARRAY_SIZE(takes_pointer); i++) {
		int f = fd[takes_pointer[i].kind];

		EXPECT_EQ(-EFAULT, __fd_ioctl(f, takes_pointer[i].cmd, BAD_POINTER)) {
			TH_LOG("ioctl %#lx", takes_pointer[i].cmd);
		}
		EXPECT_EQ(-EFAULT, __fd_ioctl(f, takes_pointer[i].cmd,
					      page + PAGE - 2)) {
			TH_LOG("ioctl %#lx", takes_pointer[i].cmd);
		}
	}
}

TEST_F(system, kernel_pointer_is_efault)
{
	EXPECT_EQ(-EFAULT, __vcpu_ioctl(self->vcpu, KVM_GET_REGS,
					0xffffffff81000000UL));
	EXPECT_EQ(-EFAULT, __fd_ioctl(self->dev, KVM_GET_SUPPORTED_CPUID,
				      0xffff888000000000UL));
}

TEST_F(system, get_to_read_only_memory_is_efault)
{
	void *page = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);

	ASSERT_NE(MAP_FAILED, page);
	EXPECT_EQ(-EFAULT, __vcpu_ioctl(self->vcpu, KVM_GET_REGS, page));
	EXPECT_EQ(-EFAULT, __vcpu_ioctl(self->vcpu, KVM_GET_SREGS, page));
}

TEST_F(system, supported_cpuid_nent)
{
	struct kvm_cpuid2 *cpuid = cpuid_supported(self->dev);
	u32 n = cpuid->nent;

	EXPECT_LT(10, n);
	EXPECT_GT(100, n);
	cpuid->nent = n;
	EXPECT_EQ(0, __fd_ioctl(self->dev, KVM_GET_SUPPORTED_CPUID, cpuid));
	EXPECT_EQ(n, cpuid->nent);
	cpuid->nent = n - 1;
	EXPECT_EQ(-E2BIG, __fd_ioctl(self->dev, KVM_GET_SUPPORTED_CPUID, cpuid));
	cpuid->nent = 1;
	EXPECT_EQ(-E2BIG, __fd_ioctl(self->dev, KVM_GET_SUPPORTED_CPUID, cpuid));
	cpuid->nent = 0;
	EXPECT_EQ(-E2BIG, __fd_ioctl(self->dev, KVM_GET_SUPPORTED_CPUID, cpuid));
	free(cpuid);
}

TEST_F(system, supported_cpuid_writes_no_more_than_it_has)
{
	struct kvm_cpuid2 *cpuid = cpuid_supported(self->dev);
	struct kvm_cpuid_entry2 *past = &cpuid->entries[cpuid->nent];

	memset(past, 0x5a, sizeof(*past));
	fd_ioctl(self->dev, KVM_GET_SUPPORTED_CPUID, cpuid);
	EXPECT_EQ(0x5a5a5a5a, past->function);
	EXPECT_EQ(0x5a5a5a5a, past->eax);
	free(cpuid);
}

static void check_index_list(struct __test_metadata *_metadata, int dev,
			     unsigned long cmd, struct kvm_msr_list *list,
			     u32 max)
{
	u32 n;

	list->nmsrs = 0;
	EXPECT_EQ(-E2BIG, __fd_ioctl(dev, cmd, list));
	n = list->nmsrs;
	ASSERT_LT(0, n);
	ASSERT_GT(max, n);
	list->nmsrs = n - 1;
	EXPECT_EQ(-E2BIG, __fd_ioctl(dev, cmd, list));
	EXPECT_EQ(n, list->nmsrs);
	list->indices[n] = 0x5a5a5a5a;
	EXPECT_EQ(0, __fd_ioctl(dev, cmd, list));
	EXPECT_EQ(n, list->nmsrs);
	EXPECT_EQ(0x5a5a5a5a, list->indices[n]);
	list->nmsrs = max;
	EXPECT_EQ(0, __fd_ioctl(dev, cmd, list));
	EXPECT_EQ(n, list->nmsrs);
}

static bool list_has(struct kvm_msr_list *list, u32 index)
{
	u32 i;

	for (i = 0; i < list->nmsrs; i++)
		if (list->indices[i] == index)
			return true;
	return false;
}

TEST_F(system, msr_index_list)
{
	static const u32 must[] = {
		0x10, 0x174, 0x175, 0x176, 0x277, 0xc0000081, 0xc0000082,
		0xc0000083, 0xc0000084, 0xc0000102,
	};
	struct kvm_msr_list *list = calloc(1, 4096 * 4);
	u32 i, j;

	check_index_list(_metadata, self->dev, KVM_GET_MSR_INDEX_LIST, list, 1000);
	for (i = 0; i < ARRAY_SIZE(must); i++)
		EXPECT_TRUE(list_has(list, must[i])) {
			TH_LOG("MSR %#x", must[i]);
		}
	for (i = 0; i < list->nmsrs; i++)
		for (j = 0; j < i; j++)
			EXPECT_NE(list->indices[i], list->indices[j]);
}

TEST_F(system, every_listed_msr_can_be_read_and_set_back)
{
	struct kvm_msr_list *list = calloc(1, 4096 * 4);
	const u32 kvm_async_pf_int = 0x4b564d06;
	u64 value;
	u32 i;

	list->nmsrs = 1000;
	fd_ioctl(self->dev, KVM_GET_MSR_INDEX_LIST, list);
	vcpu_set_cpuid(self->vcpu);
	for (i = 0; i < list->nmsrs; i++) {
		/* Upstream lists it, but takes it with its own irqchip only. */
		if (!dev_is_keel() && list->indices[i] == kvm_async_pf_int)
			continue;
		EXPECT_EQ(1, __vcpu_get_msr(self->vcpu, list->indices[i], &value)) {
			TH_LOG("MSR %#x", list->indices[i]);
			continue;
		}
		EXPECT_EQ(1, __vcpu_set_msr(self->vcpu, list->indices[i], value)) {
			TH_LOG("MSR %#x value %#lx", list->indices[i], value);
		}
	}
}

TEST_F(system, msr_feature_index_list)
{
	struct kvm_msr_list *list = calloc(1, 4096 * 4);
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} msrs = { .head.nmsrs = 1 };
	u32 i;

	REQUIRE(vm_has(self->vm, KVM_CAP_GET_MSR_FEATURES));
	check_index_list(_metadata, self->dev, KVM_GET_MSR_FEATURE_INDEX_LIST,
			 list, 1000);
	for (i = 0; i < list->nmsrs; i++) {
		msrs.entry.index = list->indices[i];
		EXPECT_EQ(1, __fd_ioctl(self->dev, KVM_GET_MSRS, &msrs)) {
			TH_LOG("feature MSR %#x", list->indices[i]);
		}
	}
	/* A register that is none: its count of MSRs read is zero. */
	msrs.entry.index = 0x12345678;
	EXPECT_EQ(0, __fd_ioctl(self->dev, KVM_GET_MSRS, &msrs));
}

TEST_F(system, tss_and_identity_map_addresses)
{
	u64 addr = 0xfffbc000;

	EXPECT_EQ(0, __vm_ioctl(self->vm, KVM_SET_TSS_ADDR, 0xfffbd000));
	/* Three pages from here end at 4 GiB, from the next byte on above it. */
	EXPECT_EQ(0, __vm_ioctl(self->vm, KVM_SET_TSS_ADDR, 0xffffd000));
	EXPECT_EQ(-EINVAL, __vm_ioctl(self->vm, KVM_SET_TSS_ADDR, 0xffffd001));
	EXPECT_EQ(-EINVAL, __vm_ioctl(self->vm, KVM_SET_TSS_ADDR, 0x100000000));
	/* Documented to fail once a vCPU exists, which the fixture has made. */
	EXPECT_EQ(-EINVAL, __vm_ioctl(self->vm, KVM_SET_IDENTITY_MAP_ADDR, &addr));
}

/* Without an interrupt controller in the kernel there is nowhere to route or send to. */
TEST_F(system, messages_and_routes_are_claimed_and_refused)
{
	struct {
		struct kvm_irq_routing head;
		struct kvm_irq_routing_entry entry;
	} routes = { .head.nr = 1, .entry = { .gsi = 5, .type = KVM_IRQ_ROUTING_MSI } };
	struct kvm_msi msi = { .address_lo = 0xfee00000, .data = 0x41 };

	EXPECT_EQ(-EINVAL, __vm_ioctl(self->vm, KVM_SIGNAL_MSI, &msi));
	EXPECT_EQ(-EINVAL, __vm_ioctl(self->vm, KVM_SET_GSI_ROUTING, &routes));
}

TEST(identity_map_address_before_any_vcpu)
{
	struct vm *vm = vm_create_bare();
	u64 addr = 0xfffbc000;

	EXPECT_EQ(-EFAULT, __vm_ioctl(vm, KVM_SET_IDENTITY_MAP_ADDR, BAD_POINTER));
	EXPECT_EQ(0, __vm_ioctl(vm, KVM_SET_IDENTITY_MAP_ADDR, &addr));
	vm_free(vm);
}

KEEL_TEST_MAIN
