/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Shared by the files of libkeel: the handles, and the wrappers of ioctl(2). Not
 * installed; nothing outside this folder includes it.
 */
#ifndef _KEEL_INTERNAL_H
#define _KEEL_INTERNAL_H

#include <pthread.h>
#include <stdbool.h>
#include <keel/libkeel.h>

#define KEEL_PAGE_SIZE	4096u
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

/* Marks the functions that the symbol map exports; all others are hidden. */
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
	bool kicked;			/* keel_vcpu_kick() has set immediate_exit */
};

/*
 * Copy a structure of the caller that begins with its size to @out, of @known
 * bytes. @min: its size in the first release. -EINVAL: it is smaller; -E2BIG: a
 * byte after the first @known is not 0.
 */
int keel_struct_in(void *out, size_t known, const void *in, size_t min);

/* ioctl(2) with the result convention of the library. */
int keel_ioctl(int fd, unsigned long request, const void *arg);
int keel_ioctl_value(int fd, unsigned long request, unsigned long arg);

/* Find a slot; NULL if it is not in use. Takes no lock: no other thread may use the VM. */
const struct keel_slot *keel_mem_find(struct keel_vm *vm, __u32 id);

/* state.c: the state of a vCPU. Release @data with free(). */
struct keel_block {
	unsigned char *data;
	size_t size;
};

/* @block: empty. Valid on success only, but always to be released. */
int keel_state_get(struct keel_vcpu *vcpu, struct keel_block *block);
/* The vCPU must not have run yet. -EBADMSG: the block is malformed. */
int keel_state_set(struct keel_vcpu *vcpu, const struct keel_block *block);

/* Unmap the memory that keel_mem_alloc() mapped for @vm, and free the slot tables. */
void keel_mem_release(struct keel_vm *vm);

/* Install the handler of the kick signal, once per process. */
int keel_kick_init(void);

#endif /* _KEEL_INTERNAL_H */
