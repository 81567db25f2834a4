// SPDX-License-Identifier: GPL-2.0
/*
 * Guests for a keelrun that is linked with the stand-in for the kernel. The
 * environment variable FAKE_GUEST selects the behaviour of the guest; FAKE_LOG
 * names a log of the operations on files. So a script can test command line,
 * images and exit statuses without VMX.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "fake_kvm.h"

#define DATA_OFFSET	4096
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

int __real_fsync(int fd);
int __real_rename(const char *from, const char *to);
int __wrap_fsync(int fd);
int __wrap_rename(const char *from, const char *to);

/* Log the steps that make a file durable to FAKE_LOG. */
static void note(const char *what)
{
	const char *path = getenv("FAKE_LOG");
	FILE *log = path ? fopen(path, "ae") : NULL;

	if (!log)
		return;
	fprintf(log, "%s\n", what);
	fclose(log);
}

int __wrap_fsync(int fd)
{
	struct stat st;

	note(!fstat(fd, &st) && S_ISDIR(st.st_mode) ? "fsync folder" : "fsync file");
	return __real_fsync(fd);
}

int __wrap_rename(const char *from, const char *to)
{
	note("rename");
	return __real_rename(from, to);
}

static const char *text = "";	/* text not yet printed on the debug port */
static int exit_code = -1;	/* status to write to the exit port after that */

static int out(struct kvm_run *run, unsigned short port, char value)
{
	run->exit_reason = KVM_EXIT_IO;
	run->io.direction = KVM_EXIT_IO_OUT;
	run->io.port = port;
	run->io.size = 1;
	run->io.count = 1;
	run->io.data_offset = DATA_OFFSET;
	*((char *)run + DATA_OFFSET) = value;
	return 0;
}

static int play_halt(struct kvm_run *run)
{
	run->exit_reason = KVM_EXIT_HLT;
	return 0;
}

static int play_shutdown(struct kvm_run *run)
{
	run->exit_reason = KVM_EXIT_SHUTDOWN;
	return 0;
}

static int play_internal(struct kvm_run *run)
{
	run->exit_reason = KVM_EXIT_INTERNAL_ERROR;
	run->internal.suberror = 1;
	run->internal.ndata = 0;
	return 0;
}

static int play_debug(struct kvm_run *run)
{
	run->exit_reason = KVM_EXIT_DEBUG;
	return 0;
}

static int play_reset(struct kvm_run *run)
{
	return out(run, 0x64, '\xfe');
}

static int play_spin(struct kvm_run *run)
{
	struct timespec ts = { .tv_sec = 20 };

	if (run->immediate_exit)
		return -EINTR;
	return nanosleep(&ts, NULL) ? -errno : -EIO;
}

static int play_text(struct kvm_run *run)
{
	if (run->immediate_exit)
		return -EINTR;
	if (*text)
		return out(run, 0x402, *text++);
	if (exit_code >= 0)
		return out(run, 0xf4, exit_code);
	return play_spin(run);
}

static const struct {
	const char *name;
	int (*play)(struct kvm_run *run);
} guests[] = {
	{ "halt", play_halt },
	{ "shutdown", play_shutdown },
	{ "internal", play_internal },
	{ "debug", play_debug },
	{ "reset", play_reset },
	{ "spin", play_spin },
};

/* "halt" and so on, a number for the exit port, or "text and spin". */
__attribute__((constructor)) static void choose_guest(void)
{
	const char *name = getenv("FAKE_GUEST");
	size_t i;

	fake_reset();
	fake.run = play_text;
	text = "first line\nsecond line\n";
	if (name && *name >= '0' && *name <= '9')
		exit_code = atoi(name);
	for (i = 0; name && i < ARRAY_SIZE(guests); i++)
		if (!strcmp(name, guests[i].name))
			fake.run = guests[i].play;
}
