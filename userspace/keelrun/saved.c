// SPDX-License-Identifier: GPL-2.0
/*
 * Save the machine to a file and restore it. The library handles memory and
 * vCPUs; keelrun's own state - its devices, the line that is being printed, which
 * vCPUs have halted - goes with them as a note, which is hostile input when it is
 * read. machine.c decides when to save.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "keelrun.h"

#define NOTE_MAGIC	"keelrun"
#define NOTE_VERSION	1u
#define PART_SUFFIX	".XXXXXX"	/* for mkostemp(3) */

struct note {
	char magic[8];
	__u32 version;
	__u32 line_length;
	__u64 halted;			/* a bit for each vCPU */
	struct uart uart;
	struct cmos cmos;
	char line[sizeof(((struct console *)NULL)->line)];
};

_Static_assert(MAX_CPUS <= 64, "a bit for each vCPU");

static const char *reason(int error)
{
	switch (error) {
	case -EBADMSG:
		return "not a saved machine, or cut short, or damaged";
	case -EPROTONOSUPPORT:
		return "saved by another version";
	case -EINVAL:
		return "holds a state that this device does not take";
	default:
		return strerror(-error);
	}
}

/* --- out ------------------------------------------------------------------- */

static void fill_note(const struct machine *machine, struct note *note)
{
	unsigned int i;

	memset(note, 0, sizeof(*note));
	memcpy(note->magic, NOTE_MAGIC, sizeof(note->magic));
	note->version = NOTE_VERSION;
	note->line_length = machine->console.length;
	memcpy(note->line, machine->console.line, machine->console.length);
	note->uart = machine->uart;
	note->cmos = machine->cmos;
	for (i = 0; i < machine->nr_cpus; i++)
		note->halted |= (__u64)machine->cpus[i].halted << i;
}

static int save_to(struct machine *machine, int fd)
{
	struct keel_vcpu *vcpus[MAX_CPUS];
	struct note note;
	struct keel_snapshot snapshot = {
		.size = sizeof(snapshot),
		.vm = machine->vm,
		.vcpus = vcpus,
		.count = machine->nr_cpus,
		.note = &note,
		.note_size = sizeof(note),
	};
	unsigned int i;

	fill_note(machine, &note);
	for (i = 0; i < machine->nr_cpus; i++)
		vcpus[i] = machine->cpus[i].vcpu;
	return keel_snapshot_save(&snapshot, fd);
}

/* Open the folder of @path, for fsync() after a rename in it. */
static int open_folder(const char *path)
{
	const char *slash = strrchr(path, '/');
	char folder[PATH_MAX] = ".";

	if (slash)
		snprintf(folder, sizeof(folder), "%.*s", (int)(slash - path + 1), path);
	return open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int error_of(int failed)
{
	return failed ? -errno : 0;
}

/* Sync the file before it gets its name, and the folder before success is reported. */
static int write_named(struct machine *machine, const char *part, int fd, int folder)
{
	int ret = save_to(machine, fd);

	if (!ret)
		ret = error_of(fsync(fd));
	if (!ret)
		ret = error_of(rename(part, machine->options->save));
	if (ret)
		unlink(part);
	else
		ret = error_of(fsync(folder));
	return ret;
}

/*
 * Write to a new file beside the target, which only its owner can read: an old
 * target stays until the new file is complete, and no symbolic link is followed.
 */
static int write_beside(struct machine *machine, int folder)
{
	char part[PATH_MAX];
	int fd, ret;

	if (snprintf(part, sizeof(part), "%s" PART_SUFFIX, machine->options->save) >=
	    (int)sizeof(part))
		return -ENAMETOOLONG;
	fd = mkostemp(part, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = write_named(machine, part, fd, folder);
	close(fd);
	return ret;
}

int saved_write(struct machine *machine)
{
	const char *path = machine->options->save;
	int ret, folder = open_folder(path);

	if (folder < 0) {
		ret = -errno;
	} else {
		ret = write_beside(machine, folder);
		close(folder);
	}
	if (ret)
		complain("can not save to %s: %s", path, strerror(-ret));
	return ret;
}

/* --- in -------------------------------------------------------------------- */

/* The other fields can have any value: guests can set them freely. */
static bool note_valid(const struct note *note)
{
	return !memcmp(note->magic, NOTE_MAGIC, sizeof(note->magic)) &&
	       note->version == NOTE_VERSION && note->line_length < sizeof(note->line) &&
	       note->cmos.index < sizeof(note->cmos.ram);
}

static int take_note(struct machine *machine, const struct keel_snapshot *snapshot)
{
	struct note note;
	unsigned int i;

	if (snapshot->note_size != sizeof(note))
		return -EBADMSG;
	memcpy(&note, snapshot->note, sizeof(note));
	if (!note_valid(&note))
		return -EBADMSG;
	memcpy(machine->console.line, note.line, note.line_length);
	machine->console.length = note.line_length;
	machine->uart = note.uart;
	machine->cmos = note.cmos;
	for (i = 0; i < machine->nr_cpus; i++)
		machine->cpus[i].halted = note.halted >> i & 1;
	return 0;
}

/* Give VM and vCPUs to the machine, which owns them even if this fails. */
static int take_vcpus(struct machine *machine, const struct keel_snapshot *snapshot)
{
	__u32 i;

	machine->vm = snapshot->vm;
	for (i = 0; i < snapshot->count && i < MAX_CPUS; i++) {
		machine->cpus[i].machine = machine;
		machine->cpus[i].vcpu = snapshot->vcpus[i];
	}
	machine->nr_cpus = i;
	for (; i < snapshot->count; i++)
		keel_vcpu_destroy(snapshot->vcpus[i]);
	return snapshot->count && snapshot->count <= MAX_CPUS ? 0 : -EBADMSG;
}

static int restore_from(struct machine *machine, int fd)
{
	struct keel_snapshot snapshot = { .size = sizeof(snapshot) };
	int ret = keel_snapshot_restore(machine->keel, fd, &snapshot);

	if (ret)
		return ret;
	ret = take_vcpus(machine, &snapshot);
	if (!ret)
		ret = take_note(machine, &snapshot);
	free(snapshot.vcpus);
	free(snapshot.note);
	return ret;
}

int saved_read(struct machine *machine)
{
	const char *path = machine->options->restore;
	int ret, fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0) {
		ret = -errno;
	} else {
		ret = restore_from(machine, fd);
		close(fd);
	}
	if (ret)
		complain("%s: %s", path, reason(ret));
	return ret;
}
