/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The host side of keel-demo: main.c prints, vm.c runs the guest, churn.c changes
 * its memory, counters.c reads the counters of the kernel module.
 */
#ifndef _KEEL_DEMO_HOST_H
#define _KEEL_DEMO_HOST_H

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <keel/libkeel.h>
#include "demo.h"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

struct demo;

struct demo_cpu {
	struct demo *demo;
	struct keel_vcpu *vcpu;
	pthread_t thread;
	bool started;
	int stats_fd;		/* open for keelstat(1) to borrow */
	__u64 mmio;		/* MMIO accesses that the host handled */
	__u64 wrong;		/* writes with a value that the guest did not write */
	int result;		/* of keel_vcpu_run() */
};

enum update { UPDATE_ADD, UPDATE_DELETE, UPDATE_MOVE, UPDATE_KINDS };

/* Written by the churn thread, read by the main thread. */
struct churn {
	pthread_t thread;
	bool started;
	bool stop;
	unsigned int pause_us;	/* between updates */
	int error;		/* errno of an update that the kernel refused */
	__u64 updates[UPDATE_KINDS];
	__u64 wrong;		/* writes that reached memory after its removal */
	__u64 total_ns, longest_ns;
	__u64 random;
	__u64 sequence[WINDOWS];
	__u32 backing[WINDOWS];
	bool is_mapped[SLOTS];
	void *memory[SLOTS];
};

struct demo {
	struct keel *keel;
	struct keel_vm *vm;
	int stats_fd;
	unsigned int cpu_count;
	struct demo_cpu cpus[MAX_CPUS];
	struct shared *shared;
	struct churn churn;
};

/* vm.c */
int vm_build(struct demo *demo, const char *device);
int vm_start(struct demo *demo);
/* False if a vCPU had to be kicked or did not end with HLT. */
bool vm_stop(struct demo *demo);
void vm_destroy(struct demo *demo);
__u64 vm_mmio(const struct demo *demo);
__u64 vm_operations(const struct demo *demo);
__u64 vm_wrong(const struct demo *demo);

/* churn.c */
int churn_init(struct demo *demo);
int churn_start(struct demo *demo);
void churn_stop(struct demo *demo);
void churn_destroy(struct demo *demo);
__u64 churn_updates(const struct churn *churn);

/* counters.c */
enum counter {
	COUNTER_SPTE_HIT,
	COUNTER_CACHE_HIT,
	COUNTER_STALE,
	COUNTER_IN_WINDOW,
	COUNTER_WRAP,
	COUNTERS
};

/*
 * Call counters_before() before the VM is created and counters_after()
 * afterwards: the new directory is that of the VM.
 */
void counters_before(void);
void counters_after(void);
/* False if the module does not have this counter. */
bool counters_read(enum counter counter, __u64 *value);

#endif /* _KEEL_DEMO_HOST_H */
