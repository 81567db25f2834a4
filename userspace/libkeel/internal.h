/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Shared by the files of libkeel: the handles, and the one way
 * to issue an ioctl. Not installed; nothing outside this folder includes it.
 */
#ifndef _KEEL_INTERNAL_H
#define _KEEL_INTERNAL_H

#include <pthread.h>
#include <stdbool.h>
#include <keel/libkeel.h>

#define KEEL_PAGE_SIZE	4096u
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

/* Marks what the symbol map exports; everything else is hidden. */
#define KEEL_API	__attribute__((visibility("default")))

struct keel {
	int fd;
	size_t run_size;	/* bytes of a vCPU's shared mapping */
};

struct keel_slot {
	__u64 gpa;
	__u64 size;		/* 0: the slot is not in use */
	void *hva;
	__u32 flags;
	bool owned;		/* mapped by keel_mem_alloc() */
};

struct keel_slot_table {
	struct keel_slot *slots;
	__u32 count;
};

#define KEEL_ADDRESS_SPACES	2
#define KEEL_SLOT_AS_SHIFT	16	/* of a slot number */

struct keel_vm {
	struct keel *keel;
	int fd;
	pthread_mutex_t slots_lock;	/* protects tables and the order of updates */
	struct keel_slot_table tables[KEEL_ADDRESS_SPACES];
};

struct keel_vcpu {
	struct keel_vm *vm;
	int fd;
	__u32 id;
	struct kvm_run *run;
	pthread_mutex_t kick_lock;	/* protects the three below */
	pthread_t thread;		/* valid while running */
	bool running;
	bool kicked;			/* immediate_exit is set on purpose */
};

/*
 * A structure of the caller's that begins with its size, into @out of @known bytes.
 * @min: what it had when it first came. -EINVAL: smaller; -E2BIG: it says more than
 * this library knows of.
 */
int keel_struct_in(void *out, size_t known, const void *in, size_t min);

/* ioctl(2) with the result convention of the library. */
int keel_ioctl(int fd, unsigned long request, const void *arg);
int keel_ioctl_value(int fd, unsigned long request, unsigned long arg);

/* The slot, or NULL if it is not in use. Of a VM that nobody changes now. */
const struct keel_slot *keel_mem_find(struct keel_vm *vm, __u32 id);

/* state.c: all of a vCPU, in memory to be released with free(). */
struct keel_block {
	unsigned char *data;
	size_t size;
};

/* @block: empty. What is in it afterwards counts on success only. */
int keel_state_get(struct keel_vcpu *vcpu, struct keel_block *block);
/* Into a vCPU that has not run. -EBADMSG: no such block was ever got. */
int keel_state_set(struct keel_vcpu *vcpu, const struct keel_block *block);

/* Give back what @vm mapped and forget all slots. */
void keel_mem_release(struct keel_vm *vm);

/* Install the handler of the kick signal, once per process. */
int keel_kick_init(void);

#endif /* _KEEL_INTERNAL_H */
