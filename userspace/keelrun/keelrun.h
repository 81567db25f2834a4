/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Shared by the files of keelrun. There is one machine per process: main.c fills
 * the options, image.c lays out memory or saved.c restores it, devices.c emulates
 * the devices, machine.c runs the vCPUs and decides how the machine ended.
 */
#ifndef _KEELRUN_H
#define _KEELRUN_H

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <keel/libkeel.h>

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define __attr(x)	__attribute__((x))
#define __printf(a, b)	__attr(format(printf, a, b))
#define KIB		1024ull
#define MIB		(1024 * KIB)
#define GIB		(1024 * MIB)
#define PAGE_SIZE	4096ull
#define MAX_CPUS	64
#define MAX_MEMORY	(3 * GIB)
#define STACK_SIZE	(16 * KIB)	/* per vCPU, for images without a stack of their own */

/* Exit statuses; 0 to STATUS_GUEST_MAX belong to the guest. */
enum status {
	STATUS_OK = 0,
	STATUS_GUEST_MAX = 119,
	STATUS_RESET = 120,		/* the guest asked for a reset */
	STATUS_TRIPLE_FAULT = 121,
	STATUS_INTERNAL = 122,		/* the hypervisor could not continue */
	STATUS_UNEXPECTED = 123,	/* an exit that keelrun does not handle */
	STATUS_TIMEOUT = 124,
	STATUS_HOST = 125,		/* keelrun failed: options, files, device */
	STATUS_SAVED = 126,		/* the machine was saved to a file */
	STATUS_SIGNAL = 130,		/* SIGINT or SIGTERM */
};

enum image_kind { IMAGE_AUTO, IMAGE_FLAT, IMAGE_BIOS };
enum start_mode { START_RESET, START_REAL, START_FLAT32, START_LONG };

struct options {
	const char *device;
	const char *image;
	const char *until;		/* end with success after a line that holds this */
	enum image_kind kind;
	enum start_mode mode;		/* of a flat image */
	__u64 load_address;
	bool load_address_given;
	__u64 memory;
	unsigned int cpus;
	unsigned int timeout_ms;	/* 0: none */
	const char *restore;		/* a saved machine, instead of an image */
	const char *save;		/* where to save it */
	const char *save_at;		/* after a line of output that holds this */
	unsigned int save_after_ms;	/* 0: never */
	bool trace;
};

/* Output of the guest's ports, line by line. */
struct console {
	char line[512];
	size_t length;
};

struct uart {
	__u8 ier, lcr, mcr, scr;
	__u8 divisor[2];
};

struct cmos {
	__u8 index;
	__u8 ram[128];
};

struct cpu {
	struct machine *machine;
	struct keel_vcpu *vcpu;
	pthread_t thread;
	bool started;
	bool halted;
	int stats_fd;
	__u64 exits;
};

struct machine {
	const struct options *options;
	struct keel *keel;
	struct keel_vm *vm;
	int stats_fd;
	struct cpu cpus[MAX_CPUS];
	unsigned int nr_cpus;

	/* How vCPUs start; image.c writes it. */
	enum start_mode mode;
	__u64 entry;
	__u64 stack_top;
	__u64 image_end;		/* an image must end below this */
	__u64 tables;
	void *rom;			/* memory of a BIOS image; freed after the VM */
	size_t rom_size;

	pthread_mutex_t lock;		/* protects all below */
	struct console console;
	struct uart uart;
	struct cmos cmos;
	unsigned int running;
	bool saving;			/* vCPUs must stop between two instructions */
	bool ended;
	enum status status;
	char why[256];			/* printed at the end, unless it is empty */
};

/* devices.c: callbacks of keel_vcpu_run(), which take the machine's lock. */
void devices_init(struct machine *machine);
int devices_pio(struct keel_vcpu *vcpu, struct keel_access *access, void *opaque);
int devices_mmio(struct keel_vcpu *vcpu, struct keel_access *access, void *opaque);
void console_flush(struct console *console);

/* image.c: give the VM its memory and the image. Prints the reason of a failure. */
int image_load(struct machine *machine);
/* Call after the VM is destroyed. */
void image_unload(struct machine *machine);

/*
 * saved.c: save the machine to, or restore it from, the file that the options
 * name. Prints the reason of a failure.
 */
int saved_write(struct machine *machine);
int saved_read(struct machine *machine);

/* machine.c */
enum status machine_run(struct machine *machine);
/* Save the machine and end it, unless it ends before that. Needs the machine's lock. */
void machine_save(struct machine *machine);
/* End the machine with this status; only the first call counts. Needs the machine's lock. */
void machine_end(struct machine *machine, enum status status, const char *format, ...)
	__printf(3, 4);

/* main.c: print to stderr, after the program's name. */
void complain(const char *format, ...) __printf(1, 2);

#endif /* _KEELRUN_H */
