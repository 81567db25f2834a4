// SPDX-License-Identifier: GPL-2.0
/*
 * Format exits as text, for traces and error messages. Reads a shared page and
 * writes into the caller's buffer; owns nothing.
 */
#include <stdio.h>

#include "internal.h"

static const char *const exit_names[] = {
	[KVM_EXIT_UNKNOWN] = "UNKNOWN",
	[KVM_EXIT_EXCEPTION] = "EXCEPTION",
	[KVM_EXIT_IO] = "IO",
	[KVM_EXIT_HYPERCALL] = "HYPERCALL",
	[KVM_EXIT_DEBUG] = "DEBUG",
	[KVM_EXIT_HLT] = "HLT",
	[KVM_EXIT_MMIO] = "MMIO",
	[KVM_EXIT_IRQ_WINDOW_OPEN] = "IRQ_WINDOW_OPEN",
	[KVM_EXIT_SHUTDOWN] = "SHUTDOWN",
	[KVM_EXIT_FAIL_ENTRY] = "FAIL_ENTRY",
	[KVM_EXIT_INTR] = "INTR",
	[KVM_EXIT_SET_TPR] = "SET_TPR",
	[KVM_EXIT_TPR_ACCESS] = "TPR_ACCESS",
	[KVM_EXIT_NMI] = "NMI",
	[KVM_EXIT_INTERNAL_ERROR] = "INTERNAL_ERROR",
	[KVM_EXIT_WATCHDOG] = "WATCHDOG",
	[KVM_EXIT_SYSTEM_EVENT] = "SYSTEM_EVENT",
	[KVM_EXIT_IOAPIC_EOI] = "IOAPIC_EOI",
	[KVM_EXIT_HYPERV] = "HYPERV",
	[KVM_EXIT_X86_RDMSR] = "X86_RDMSR",
	[KVM_EXIT_X86_WRMSR] = "X86_WRMSR",
	[KVM_EXIT_DIRTY_RING_FULL] = "DIRTY_RING_FULL",
	[KVM_EXIT_X86_BUS_LOCK] = "X86_BUS_LOCK",
};

KEEL_API const char *keel_exit_name(__u32 reason)
{
	if (reason >= ARRAY_SIZE(exit_names) || !exit_names[reason])
		return "?";
	return exit_names[reason];
}

/* Format the first 8 bytes of a write, or nothing for a read. */
static void format_data(char *buf, size_t size, const void *data, __u32 len, bool is_write)
{
	const unsigned char *bytes = data;
	__u64 value = 0;

	buf[0] = '\0';
	if (!is_write)
		return;
	if (len > sizeof(value))
		len = sizeof(value);
	while (len--)
		value = value << 8 | bytes[len];
	snprintf(buf, size, " data 0x%llx", value);
}

static int format_io(const struct kvm_run *run, char *buf, size_t size)
{
	bool out = run->io.direction == KVM_EXIT_IO_OUT;
	char data[32];

	format_data(data, sizeof(data), (const char *)run + run->io.data_offset, run->io.size,
		    out);
	return snprintf(buf, size, "IO %s port 0x%x size %u count %u%s", out ? "out" : "in",
			run->io.port, run->io.size, run->io.count, data);
}

static int format_mmio(const struct kvm_run *run, char *buf, size_t size)
{
	char data[32];

	format_data(data, sizeof(data), run->mmio.data, run->mmio.len, run->mmio.is_write);
	return snprintf(buf, size, "MMIO %s gpa 0x%llx size %u%s",
			run->mmio.is_write ? "write" : "read", run->mmio.phys_addr,
			run->mmio.len, data);
}

static int format_internal(const struct kvm_run *run, char *buf, size_t size)
{
	__u32 i, n = run->internal.ndata;
	int len;

	if (n > ARRAY_SIZE(run->internal.data))
		n = ARRAY_SIZE(run->internal.data);
	len = snprintf(buf, size, "INTERNAL_ERROR suberror %u", run->internal.suberror);
	for (i = 0; i < n; i++) {
		size_t used = (size_t)len < size ? (size_t)len : size;

		len += snprintf(size ? buf + used : NULL, size - used, " 0x%llx",
				(unsigned long long)run->internal.data[i]);
	}
	return len;
}

KEEL_API int keel_exit_format(const struct kvm_run *run, char *buf, size_t size)
{
	if (!run)
		return snprintf(buf, size, "no exit");
	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		return format_io(run, buf, size);
	case KVM_EXIT_MMIO:
		return format_mmio(run, buf, size);
	case KVM_EXIT_INTERNAL_ERROR:
		return format_internal(run, buf, size);
	case KVM_EXIT_FAIL_ENTRY:
		return snprintf(buf, size, "FAIL_ENTRY reason 0x%llx cpu %u",
				run->fail_entry.hardware_entry_failure_reason,
				run->fail_entry.cpu);
	case KVM_EXIT_UNKNOWN:
		return snprintf(buf, size, "UNKNOWN hardware reason 0x%llx",
				run->hw.hardware_exit_reason);
	case KVM_EXIT_SYSTEM_EVENT:
		return snprintf(buf, size, "SYSTEM_EVENT type %u", run->system_event.type);
	default:
		return snprintf(buf, size, "%s (%u)", keel_exit_name(run->exit_reason),
				run->exit_reason);
	}
}
