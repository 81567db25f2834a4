// SPDX-License-Identifier: GPL-2.0
/*
 * keelstat: show the counters of a running virtual machine of another process.
 *
 * The counters come from the files that KVM_GET_STATS_FD creates, on Keel or KVM
 * alike. Such a file describes its own contents, so keelstat knows no counter by
 * name. Only the owner of a VM can create these files, so keelstat borrows them: the
 * owner must have them open, and keelstat needs the right to trace it.
 */
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <linux/keel.h>

#define PREFIX		"anon_inode:"	/* of the links in /proc/PID/fd */
#define MAX_SOURCES	256
#define MAX_STATS	4096	/* in one source; more means a bad header */
#define MAX_NAME	256

enum exit_status { EXIT_OK = 0, EXIT_TROUBLE = 1, EXIT_USAGE = 2, EXIT_NOTHING = 4 };

/* A VM or a vCPU: its stats file, and the descriptors read from the file. */
struct source {
	char name[128];
	int fd;
	struct kvm_stats_header header;
	unsigned char *descriptors;
	__u64 *last, *now;	/* one value per descriptor */
};

struct options {
	pid_t pid;
	unsigned int interval;
	unsigned int rows;	/* 0: until interrupted */
	bool all;
};

static struct source sources[MAX_SOURCES];
static size_t source_count;
static int interrupted;

static size_t descriptor_size(const struct source *source)
{
	return sizeof(struct kvm_stats_desc) + source->header.name_size;
}

static const struct kvm_stats_desc *descriptor(const struct source *source, size_t i)
{
	return (const void *)(source->descriptors + i * descriptor_size(source));
}

static bool read_at(int fd, void *buffer, size_t size, off_t offset)
{
	return pread(fd, buffer, size, offset) == (ssize_t)size;
}

/* If a read fails because the VM is gone, the old value stays. */
static void read_values(struct source *source)
{
	__u32 i;

	memcpy(source->last, source->now, source->header.num_desc * sizeof(*source->now));
	for (i = 0; i < source->header.num_desc; i++)
		read_at(source->fd, &source->now[i], sizeof(source->now[i]),
			source->header.data_offset + descriptor(source, i)->offset);
}

static bool open_source(struct source *source)
{
	struct kvm_stats_header *header = &source->header;
	size_t size;

	if (!read_at(source->fd, header, sizeof(*header), 0))
		return false;
	if (!header->num_desc || header->num_desc > MAX_STATS || !header->name_size ||
	    header->name_size > MAX_NAME)
		return false;
	size = header->num_desc * descriptor_size(source);
	source->descriptors = calloc(1, size);
	source->last = calloc(header->num_desc, sizeof(__u64));
	source->now = calloc(header->num_desc, sizeof(__u64));
	return source->descriptors && source->last && source->now &&
	       read_at(source->fd, source->descriptors, size, header->desc_offset);
}

static void free_source(struct source *source)
{
	free(source->descriptors);
	free(source->last);
	free(source->now);
	close(source->fd);
	memset(source, 0, sizeof(*source));
}

/* KVM names the files kvm-vm-stats and kvm-vcpu-stats:0; Keel has keel in place of kvm. */
static bool is_stats_file(const char *target)
{
	return !strncmp(target, PREFIX, strlen(PREFIX)) && strstr(target, "-stats");
}

/* Borrow descriptor @number of the other process. */
static void add_source(int pidfd, int number, const char *target)
{
	struct source *source = &sources[source_count];

	source->fd = syscall(SYS_pidfd_getfd, pidfd, number, 0);
	if (source->fd < 0)
		return;
	snprintf(source->name, sizeof(source->name), "%s", target + strlen(PREFIX));
	if (open_source(source))
		source_count++;
	else
		free_source(source);
}

static int find_sources(pid_t pid)
{
	char path[64], target[128];
	int pidfd = syscall(SYS_pidfd_open, pid, 0);
	struct dirent *entry;
	ssize_t n;
	DIR *dir;

	if (pidfd < 0)
		return -errno;
	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	if (!dir) {
		close(pidfd);
		return -errno;
	}
	while (source_count < MAX_SOURCES && (entry = readdir(dir))) {
		n = readlinkat(dirfd(dir), entry->d_name, target, sizeof(target) - 1);
		if (n <= 0)
			continue;
		target[n] = '\0';
		if (is_stats_file(target))
			add_source(pidfd, atoi(entry->d_name), target);
	}
	closedir(dir);
	close(pidfd);
	return 0;
}

static bool is_cumulative(const struct kvm_stats_desc *desc)
{
	return (desc->flags & KVM_STATS_TYPE_MASK) == KVM_STATS_TYPE_CUMULATIVE;
}

static void print_source(const struct source *source, const struct options *options)
{
	const struct kvm_stats_desc *desc;
	__u64 delta;
	__u32 i;

	for (i = 0; i < source->header.num_desc; i++) {
		desc = descriptor(source, i);
		delta = source->now[i] - source->last[i];
		/* A histogram has more than one value and does not fit into the table. */
		if (desc->size != 1 || (!options->all && !source->now[i]))
			continue;
		printf("%-20s %-32.*s %16llu", source->name, (int)source->header.name_size,
		       desc->name, source->now[i]);
		if (is_cumulative(desc))
			printf(" %12llu", delta / options->interval);
		putchar('\n');
	}
}

static void print_table(const struct options *options)
{
	size_t i;

	if (isatty(STDOUT_FILENO))
		fputs("\033[H\033[J", stdout);
	printf("%-20s %-32s %16s %12s\n", "of", "counter", "value", "per second");
	for (i = 0; i < source_count; i++) {
		read_values(&sources[i]);
		print_source(&sources[i], options);
	}
	fflush(stdout);
}

static void on_interrupt(int sig)
{
	(void)sig;
	__atomic_store_n(&interrupted, 1, __ATOMIC_RELAXED);
}

static bool is_alive(pid_t pid)
{
	return !kill(pid, 0) || errno != ESRCH;
}

static void watch(const struct options *options)
{
	struct timespec ts = { .tv_sec = options->interval };
	unsigned int row = 0;
	size_t i;

	for (i = 0; i < source_count; i++)
		read_values(&sources[i]);
	while (!__atomic_load_n(&interrupted, __ATOMIC_RELAXED) && is_alive(options->pid)) {
		nanosleep(&ts, NULL);
		print_table(options);
		if (++row == options->rows)
			break;
	}
}

static long parse_number(const char *text)
{
	char *end;
	long value = strtol(text, &end, 10);

	return *text < '0' || *text > '9' || *end || value < 1 || value > 4194304 ? 0 : value;
}

static int parse(int argc, char **argv, struct options *options)
{
	int c;

	while ((c = getopt(argc, argv, "ai:n:")) != -1) {
		switch (c) {
		case 'a':
			options->all = true;
			break;
		case 'i':
			options->interval = parse_number(optarg);
			break;
		case 'n':
			options->rows = parse_number(optarg);
			if (!options->rows)
				return -EINVAL;
			break;
		default:
			return -EINVAL;
		}
	}
	if (optind + 1 != argc || !options->interval)
		return -EINVAL;
	options->pid = parse_number(argv[optind]);
	return options->pid ? 0 : -EINVAL;
}

int main(int argc, char **argv)
{
	struct options options = { .interval = 1 };
	int ret;

	if (parse(argc, argv, &options)) {
		fputs("usage: keelstat [-a] [-i SECONDS] [-n TABLES] PID\n", stderr);
		return EXIT_USAGE;
	}
	ret = find_sources(options.pid);
	if (ret) {
		fprintf(stderr, "keelstat: process %d: %s\n", options.pid, strerror(-ret));
		return EXIT_TROUBLE;
	}
	if (!source_count) {
		fprintf(stderr, "keelstat: process %d holds no counters open, or not for us\n",
			options.pid);
		return EXIT_NOTHING;
	}
	signal(SIGINT, on_interrupt);
	watch(&options);
	while (source_count)
		free_source(&sources[--source_count]);
	return EXIT_OK;
}
