// SPDX-License-Identifier: GPL-2.0
/*
 * The numbers, sizes and offsets of the interface, written down as literals:
 * a program built years ago must find what it was built for. Runs without a
 * device; what the calls do is tested elsewhere.
 */
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <linux/keel.h>
#include "kselftest_harness.h"

struct expectation {
	const char *name;
	unsigned long is, want;
};

#define NUMBER(name, want) { #name, name, want }
#define SIZE(type, want) { #type, sizeof(struct type), want }
#define OFFSET(type, field, want)					\
	{ #type "." #field, offsetof(struct type, field), want }

static const struct expectation numbers[] = {
	NUMBER(KVM_API_VERSION, 0xc),
	NUMBER(KVM_GET_API_VERSION, 0xae00),
	NUMBER(KVM_CREATE_VM, 0xae01),
	NUMBER(KVM_GET_MSR_INDEX_LIST, 0xc004ae02),
	NUMBER(KVM_GET_MSR_FEATURE_INDEX_LIST, 0xc004ae0a),
	NUMBER(KVM_CHECK_EXTENSION, 0xae03),
	NUMBER(KVM_GET_VCPU_MMAP_SIZE, 0xae04),
	NUMBER(KVM_GET_SUPPORTED_CPUID, 0xc008ae05),
	NUMBER(KVM_CREATE_VCPU, 0xae41),
	NUMBER(KVM_SET_USER_MEMORY_REGION, 0x4020ae46),
	NUMBER(KVM_SET_TSS_ADDR, 0xae47),
	NUMBER(KVM_SET_IDENTITY_MAP_ADDR, 0x4008ae48),
	NUMBER(KVM_RUN, 0xae80),
	NUMBER(KVM_GET_REGS, 0x8090ae81),
	NUMBER(KVM_SET_REGS, 0x4090ae82),
	NUMBER(KVM_GET_SREGS, 0x8138ae83),
	NUMBER(KVM_SET_SREGS, 0x4138ae84),
	NUMBER(KVM_GET_SREGS2, 0x8140aecc),
	NUMBER(KVM_SET_SREGS2, 0x4140aecd),
	NUMBER(KVM_TRANSLATE, 0xc018ae85),
	NUMBER(KVM_INTERRUPT, 0x4004ae86),
	NUMBER(KVM_NMI, 0xae9a),
	NUMBER(KVM_GET_MSRS, 0xc008ae88),
	NUMBER(KVM_SET_MSRS, 0x4008ae89),
	NUMBER(KVM_SET_SIGNAL_MASK, 0x4004ae8b),
	NUMBER(KVM_GET_FPU, 0x81a0ae8c),
	NUMBER(KVM_SET_FPU, 0x41a0ae8d),
	NUMBER(KVM_SET_CPUID2, 0x4008ae90),
	NUMBER(KVM_GET_CPUID2, 0xc008ae91),
	NUMBER(KVM_GET_MP_STATE, 0x8004ae98),
	NUMBER(KVM_SET_MP_STATE, 0x4004ae99),
	NUMBER(KVM_GET_VCPU_EVENTS, 0x8040ae9f),
	NUMBER(KVM_SET_VCPU_EVENTS, 0x4040aea0),
	NUMBER(KVM_GET_DEBUGREGS, 0x8080aea1),
	NUMBER(KVM_SET_DEBUGREGS, 0x4080aea2),
	NUMBER(KVM_GET_XSAVE, 0x9000aea4),
	NUMBER(KVM_SET_XSAVE, 0x5000aea5),
	NUMBER(KVM_GET_XCRS, 0x8188aea6),
	NUMBER(KVM_SET_XCRS, 0x4188aea7),
	NUMBER(KVM_SET_TSC_KHZ, 0xaea2),
	NUMBER(KVM_GET_TSC_KHZ, 0xaea3),
	NUMBER(KVM_EXIT_UNKNOWN, 0),
	NUMBER(KVM_EXIT_IO, 0x2),
	NUMBER(KVM_EXIT_HLT, 0x5),
	NUMBER(KVM_EXIT_MMIO, 0x6),
	NUMBER(KVM_EXIT_IRQ_WINDOW_OPEN, 0x7),
	NUMBER(KVM_EXIT_SHUTDOWN, 0x8),
	NUMBER(KVM_EXIT_FAIL_ENTRY, 0x9),
	NUMBER(KVM_EXIT_INTR, 0xa),
	NUMBER(KVM_EXIT_SET_TPR, 0xb),
	NUMBER(KVM_EXIT_INTERNAL_ERROR, 0x11),
	NUMBER(KVM_EXIT_SYSTEM_EVENT, 0x18),
	NUMBER(KVM_INTERNAL_ERROR_EMULATION, 0x1),
	NUMBER(KVM_INTERNAL_ERROR_DELIVERY_EV, 0x3),
	NUMBER(KVM_MEM_LOG_DIRTY_PAGES, 0x1),
	NUMBER(KVM_MEM_READONLY, 0x2),
	NUMBER(KVM_EXIT_IO_IN, 0),
	NUMBER(KVM_EXIT_IO_OUT, 0x1),
	NUMBER(KVM_CAP_USER_MEMORY, 0x3),
	NUMBER(KVM_CAP_SET_TSS_ADDR, 0x4),
	NUMBER(KVM_CAP_EXT_CPUID, 0x7),
	NUMBER(KVM_CAP_NR_VCPUS, 0x9),
	NUMBER(KVM_CAP_NR_MEMSLOTS, 0xa),
	NUMBER(KVM_CAP_MP_STATE, 0xe),
	NUMBER(KVM_CAP_SYNC_MMU, 0x10),
	NUMBER(KVM_CAP_DESTROY_MEMORY_REGION_WORKS, 0x15),
	NUMBER(KVM_CAP_USER_NMI, 0x16),
	NUMBER(KVM_CAP_JOIN_MEMORY_REGIONS_WORKS, 0x1e),
	NUMBER(KVM_CAP_SET_IDENTITY_MAP_ADDR, 0x25),
	NUMBER(KVM_CAP_INTERNAL_ERROR_DATA, 0x28),
	NUMBER(KVM_CAP_VCPU_EVENTS, 0x29),
	NUMBER(KVM_CAP_DEBUGREGS, 0x32),
	NUMBER(KVM_CAP_XSAVE, 0x37),
	NUMBER(KVM_CAP_XCRS, 0x38),
	NUMBER(KVM_CAP_GET_TSC_KHZ, 0x3d),
	NUMBER(KVM_CAP_MAX_VCPUS, 0x42),
	NUMBER(KVM_CAP_SYNC_REGS, 0x4a),
	NUMBER(KVM_CAP_READONLY_MEM, 0x51),
	NUMBER(KVM_CAP_CHECK_EXTENSION_VM, 0x69),
	NUMBER(KVM_CAP_MULTI_ADDRESS_SPACE, 0x76),
	NUMBER(KVM_CAP_MAX_VCPU_ID, 0x80),
	NUMBER(KVM_CAP_IMMEDIATE_EXIT, 0x88),
	NUMBER(KVM_CAP_GET_MSR_FEATURES, 0x99),
};

static const struct expectation sizes[] = {
	SIZE(kvm_userspace_memory_region, 32),
	SIZE(kvm_run, 2352),
	SIZE(kvm_regs, 144),
	SIZE(kvm_sregs, 312),
	SIZE(kvm_sregs2, 320),
	SIZE(kvm_segment, 24),
	SIZE(kvm_dtable, 16),
	SIZE(kvm_fpu, 416),
	SIZE(kvm_xsave, 4096),
	SIZE(kvm_xcrs, 392),
	SIZE(kvm_msrs, 8),
	SIZE(kvm_msr_entry, 16),
	SIZE(kvm_msr_list, 4),
	SIZE(kvm_cpuid2, 8),
	SIZE(kvm_cpuid_entry2, 40),
	SIZE(kvm_vcpu_events, 64),
	SIZE(kvm_debugregs, 128),
	SIZE(kvm_mp_state, 4),
	SIZE(kvm_translation, 24),
	SIZE(kvm_interrupt, 4),
	SIZE(kvm_signal_mask, 4),
	SIZE(kvm_sync_regs, 520),
};

static const struct expectation offsets[] = {
	OFFSET(kvm_run, request_interrupt_window, 0),
	OFFSET(kvm_run, immediate_exit, 1),
	OFFSET(kvm_run, exit_reason, 8),
	OFFSET(kvm_run, ready_for_interrupt_injection, 12),
	OFFSET(kvm_run, if_flag, 13),
	OFFSET(kvm_run, flags, 14),
	OFFSET(kvm_run, cr8, 16),
	OFFSET(kvm_run, apic_base, 24),
	OFFSET(kvm_run, hw.hardware_exit_reason, 32),
	OFFSET(kvm_run, fail_entry.cpu, 40),
	OFFSET(kvm_run, io.direction, 32),
	OFFSET(kvm_run, io.size, 33),
	OFFSET(kvm_run, io.port, 34),
	OFFSET(kvm_run, io.count, 36),
	OFFSET(kvm_run, io.data_offset, 40),
	OFFSET(kvm_run, mmio.phys_addr, 32),
	OFFSET(kvm_run, mmio.data, 40),
	OFFSET(kvm_run, mmio.len, 48),
	OFFSET(kvm_run, mmio.is_write, 52),
	OFFSET(kvm_run, internal.suberror, 32),
	OFFSET(kvm_run, internal.ndata, 36),
	OFFSET(kvm_run, internal.data, 40),
	OFFSET(kvm_run, emulation_failure.flags, 40),
	OFFSET(kvm_run, emulation_failure.insn_bytes, 49),
	OFFSET(kvm_run, kvm_valid_regs, 288),
	OFFSET(kvm_run, kvm_dirty_regs, 296),
	OFFSET(kvm_run, s.regs, 304),
	OFFSET(kvm_userspace_memory_region, flags, 4),
	OFFSET(kvm_userspace_memory_region, guest_phys_addr, 8),
	OFFSET(kvm_userspace_memory_region, memory_size, 16),
	OFFSET(kvm_userspace_memory_region, userspace_addr, 24),
	OFFSET(kvm_regs, rsp, 48),
	OFFSET(kvm_regs, r8, 64),
	OFFSET(kvm_regs, rip, 128),
	OFFSET(kvm_regs, rflags, 136),
	OFFSET(kvm_sregs, tr, 144),
	OFFSET(kvm_sregs, gdt, 192),
	OFFSET(kvm_sregs, cr0, 224),
	OFFSET(kvm_sregs, cr8, 256),
	OFFSET(kvm_sregs, efer, 264),
	OFFSET(kvm_sregs, apic_base, 272),
	OFFSET(kvm_sregs, interrupt_bitmap, 280),
	OFFSET(kvm_segment, selector, 12),
	OFFSET(kvm_segment, type, 14),
	OFFSET(kvm_segment, l, 19),
	OFFSET(kvm_fpu, fcw, 128),
	OFFSET(kvm_fpu, xmm, 152),
	OFFSET(kvm_fpu, mxcsr, 408),
	OFFSET(kvm_msrs, entries, 8),
	OFFSET(kvm_msr_entry, data, 8),
	OFFSET(kvm_cpuid2, entries, 8),
	OFFSET(kvm_cpuid_entry2, eax, 12),
	OFFSET(kvm_vcpu_events, interrupt, 8),
	OFFSET(kvm_vcpu_events, nmi, 12),
	OFFSET(kvm_vcpu_events, flags, 20),
	OFFSET(kvm_debugregs, dr6, 32),
	OFFSET(kvm_xcrs, xcrs, 8),
	OFFSET(kvm_translation, physical_address, 8),
	OFFSET(kvm_translation, valid, 16),
	OFFSET(kvm_sync_regs, sregs, 144),
	OFFSET(kvm_sync_regs, events, 456),
};

static void check(struct __test_metadata *_metadata,
		  const struct expectation *e, int n)
{
	for (; n--; e++)
		EXPECT_EQ(e->want, e->is) {
			TH_LOG("%s", e->name);
		}
}

TEST(numbers_are_as_ever)
{
	check(_metadata, numbers, ARRAY_SIZE(numbers));
}

TEST(sizes_are_as_ever)
{
	check(_metadata, sizes, ARRAY_SIZE(sizes));
}

TEST(offsets_are_as_ever)
{
	check(_metadata, offsets, ARRAY_SIZE(offsets));
}

TEST(own_requests_have_a_type_of_their_own)
{
	EXPECT_EQ(0xae, KVMIO);
	EXPECT_NE(KVMIO, KEELIO);
	EXPECT_STREQ("/dev/keel", KEEL_DEVICE_PATH);
}

TEST_HARNESS_MAIN
