/* SPDX-License-Identifier: GPL-2.0 */
/*
 * All that can be seen after a case of unpaged_diff has run, as it is written to
 * the file of the first run.
 */
#ifndef UNPAGED_OUTCOME_H
#define UNPAGED_OUTCOME_H

#include "case.h"

#define KEPT	16

/* Besides KVM_EXIT_*: it did not end. */
#define NO_END	0x1000

struct seen {
	u64 where, what;
};

struct outcome {
	u32 number;
	u32 exit;
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_debugregs debug;
	struct kvm_vcpu_events events;
	u64 fpu;		/* a hash, as the next two */
	u64 accesses, memory;
	u32 nr_accesses;	/* bytes of ports and devices */
	u32 nr_words;		/* of memory that changed */
	struct seen access[KEPT];
	struct seen word[KEPT];
};

/* compare.c: print how @b differs from @a, if it does. */
bool outcomes_differ(const struct outcome *a, const struct outcome *b, bool show);
void show_case(const struct unpaged_case *c);

/* excuse.c: why a difference says nothing about the emulator, or NULL. */
const char *excuse(const struct unpaged_case *c, const struct outcome *cpu,
		   const struct outcome *emulator);

#endif
