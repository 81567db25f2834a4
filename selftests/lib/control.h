/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Access to the module besides the API: the counters of a VM or vCPU and, in a
 * test build, the memslot generation and the delays.
 */
#ifndef KEEL_TEST_CONTROL_H
#define KEEL_TEST_CONTROL_H

#include "keel_test.h"

/* Read a counter of KVM_GET_STATS_FD; @fd: of a VM or a vCPU. False if it does not exist. */
bool counter_find(int fd, const char *name, u64 *value);
u64 counter(int fd, const char *name);

/* The same from debugfs, in the VM's directory, where the counters of its vCPUs are summed. */
bool debugfs_counter(struct vm *vm, const char *name, u64 *value);

/* EPT misconfigurations and their outcomes, which must add up. */
struct mmio_counts {
	u64 misconfig, hit, stale, in_window, uncached;
};

void mmio_counts(int vcpu_fd, struct mmio_counts *c);
bool mmio_counts_add_up(const struct mmio_counts *c);

/* Read a boolean parameter of the module. */
bool parameter_is_on(const char *name);

/* True if the module is a test build and lets this test control the VM. */
bool has_control(struct vm *vm);

/*
 * The memslot generation of an address space, and the distance after which
 * generations stored in sptes repeat.
 */
u64 generation(struct vm *vm, int as);
u64 generation_round(struct vm *vm);
void set_generation(struct vm *vm, int as, u64 generation);

/*
 * Delay the next thread that reaches @point, one of "published", "window",
 * "looked_up", "page_found", "invalidating", "paused", "splitting", "grace",
 * "vcpu_listed", "vcpu_found", "ringing".
 */
void set_delay(struct vm *vm, const char *point, unsigned int ms);
unsigned int get_delay(struct vm *vm, const char *point);
/* Wait until a thread has taken the delay: it is then held at @point. */
void wait_until_held(struct vm *vm, const char *point);

/* The contents of the MMIO cache of a vCPU. */
struct cache_state {
	int id, valid;
	u64 gva, gfn, generation;
	unsigned int access;
};

void get_cache(struct vcpu *vcpu, struct cache_state *c);

#endif
