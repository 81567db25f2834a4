/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a test may ask of the module besides the API: the counters of a VM or
 * vCPU, and, of a test build, control over the generation and over delays.
 */
#ifndef KEEL_TEST_CONTROL_H
#define KEEL_TEST_CONTROL_H

#include "keel_test.h"

/* A counter of KVM_GET_STATS_FD; @fd: of a VM or a vCPU. False: there is no such. */
bool counter_find(int fd, const char *name, u64 *value);
u64 counter(int fd, const char *name);

/* The same of the VM's directory in debugfs, where those of its vCPUs are added up. */
bool debugfs_counter(struct vm *vm, const char *name, u64 *value);

/* Misconfigurations and what became of them, which must add up. */
struct mmio_counts {
	u64 misconfig, hit, stale, in_window, uncached;
};

void mmio_counts(int vcpu_fd, struct mmio_counts *c);
bool mmio_counts_add_up(const struct mmio_counts *c);

/* A boolean parameter of the module. */
bool parameter_is_on(const char *name);

/* Is the module a test build that lets this VM be controlled? */
bool has_control(struct vm *vm);

/* The generation of an address space, and the distance at which stored ones repeat. */
u64 generation(struct vm *vm, int as);
u64 generation_round(struct vm *vm);
void set_generation(struct vm *vm, int as, u64 generation);

/*
 * The next time that point is reached: "published", "window", "looked_up",
 * "page_found", "invalidating", "paused", "splitting", "grace", "vcpu_listed", "vcpu_found",
 * "ringing".
 */
void set_delay(struct vm *vm, const char *point, unsigned int ms);
unsigned int get_delay(struct vm *vm, const char *point);
/* The delay has been taken: whoever it was meant for is in it now. */
void wait_until_held(struct vm *vm, const char *point);

/* The MMIO cache of a vCPU, as it is. */
struct cache_state {
	int id, valid;
	u64 gva, gfn, generation;
	unsigned int access;
};

void get_cache(struct vcpu *vcpu, struct cache_state *c);

#endif
