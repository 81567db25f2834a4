/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Counters. A statistic is one line here and one increment where it happens:
 * STAT(vcpu, io_exits). Only the vCPU itself writes its counters; a VM's
 * counters are written under the lock of the path that counts.
 */
#ifndef KEEL_STATS_H
#define KEEL_STATS_H

#include <linux/types.h>

#define KEEL_VCPU_STATS(X)						\
	X(exits, "VM exits")						\
	X(io_exits, "port I/O exits")					\
	X(mmio_exits, "MMIO handed to userspace")			\
	X(doorbells, "writes that signalled an eventfd")		\
	X(coalesced, "writes put into the coalesced ring")		\
	X(halt_exits, "HLT exits")					\
	X(irq_exits, "host interrupts taken while in the guest")	\
	X(nmi_exits, "host NMIs taken while in the guest")		\
	X(irq_window_exits, "interrupt windows")			\
	X(signal_exits, "KVM_RUN ended by a signal")			\
	X(cpuid_exits, "CPUID exits")					\
	X(msr_exits, "RDMSR and WRMSR exits")				\
	X(cr_exits, "control register exits")				\
	X(injections, "interrupts injected")				\
	X(exceptions, "exceptions injected")				\
	X(emulated, "instructions emulated")				\
	X(tlb_flush, "TLB flushes on request")				\
	X(page_faults, "EPT violations")				\
	X(page_fixed, "EPT violations that installed a mapping")	\
	X(dirtied, "pages marked as written to")			\
	X(log_exits, "exits because the hardware's log was full")	\
	X(mmio_misconfig, "EPT misconfigurations")			\
	X(mmio_spte_hit, "MMIO sptes believed")				\
	X(mmio_spte_stale, "MMIO sptes of an older generation")		\
	X(mmio_in_window, "MMIO sptes met during an update")		\
	X(mmio_uncached, "misconfigurations that left no MMIO spte to see") \
	X(mmio_cache_hit, "vCPU MMIO cache hits")			\
	X(walk_steps, "guest page-table entries read")

#define KEEL_VM_STATS(X)						\
	X(memslot_updates, "memslot updates")				\
	X(mmio_wraps, "wraps of the stored generation")			\
	X(mmio_dropped, "tables of MMIO entries dropped, there being too many")	\
	X(tables_shrunk, "page tables given back where memory was short")	\
	X(remote_flushes, "TLB flushes of all vCPUs")			\
	X(early_flushes, "those of them before a long removal gave way")	\
	X(zapped_ptes, "mappings removed")

/* Levels, not counts: they go down as well. */
#define KEEL_VM_LEVELS(X)						\
	X(pages_4k, "4 KiB mappings present")				\
	X(pages_2m, "2 MiB mappings present")				\
	X(pages_1g, "1 GiB mappings present")

#define X(name, text) u64 name;
struct keel_vcpu_stats { KEEL_VCPU_STATS(X) };
struct keel_vm_stats { KEEL_VM_STATS(X) KEEL_VM_LEVELS(X) };
#undef X

struct keel_vm;
struct keel_vcpu;

/* KVM_GET_STATS_FD: a file descriptor, or -errno. */
long keel_vm_stats_fd(struct keel_vm *vm, void *unused);
long keel_vcpu_stats_fd(struct keel_vcpu *vcpu, void *unused);

#define STAT(owner, name) ((owner)->stats.name++)

#endif
