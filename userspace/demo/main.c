// SPDX-License-Identifier: GPL-2.0
/*
 * keel-demo: a guest hammers MMIO and RAM while its memory slots are added, moved
 * and deleted under it. Owns the command line, the row per second and the verdict.
 *
 * Exit status: 0 if every answer was right, 1 if one was wrong or a vCPU was lost,
 * 2 for a bad command line, 4 if there is no device.
 */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "host.h"

#define HEADER_EVERY	20

/* Microseconds between updates, so that the guest also uses what is cached. */
#define DEFAULT_PAUSE	500
#define MAX_PAUSE	999999

enum exit_status { EXIT_RIGHT = 0, EXIT_WRONG = 1, EXIT_USAGE = 2, EXIT_NO_DEVICE = 4 };

static const char usage_text[] =
	"usage: keel-demo [OPTION...]\n"
	"  -s SECONDS       how long (10)\n"
	"  -c VCPUS         1 to 4 (2)\n"
	"  -p MICROSECONDS  pause between updates (500); 0: none\n"
	"  -d DEVICE        instead of $KEEL_DEVICE or /dev/keel\n";

struct options {
	const char *device;
	unsigned int seconds;
	unsigned int cpus;
	unsigned int pause_us;
};

/* Counters at one moment; a row shows the differences of two samples. */
struct sample {
	__u64 ns;
	__u64 mmio, operations, updates, wrong;
	__u64 counters[COUNTERS];
	bool has[COUNTERS];
};

static void take_sample(const struct demo *demo, struct sample *sample)
{
	struct timespec ts;
	int i;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	sample->ns = ts.tv_sec * 1000000000ull + ts.tv_nsec;
	sample->mmio = vm_mmio(demo);
	sample->operations = vm_operations(demo);
	sample->updates = churn_updates(&demo->churn);
	sample->wrong = vm_wrong(demo) +
			__atomic_load_n(&demo->churn.wrong, __ATOMIC_RELAXED);
	for (i = 0; i < COUNTERS; i++)
		sample->has[i] = counters_read(i, &sample->counters[i]);
}

static void print_header(void)
{
	printf("%6s %9s %9s %9s %9s %9s %7s %9s %5s %6s\n", "second", "MMIO/s", "RAM/s",
	       "updates/s", "spte-hit", "cache-hit", "stale", "in-window", "wrap", "WRONG");
}

static void print_counter(const struct sample *now, const struct sample *last, int i, int width)
{
	if (now->has[i])
		printf(" %*llu", width, now->counters[i] - last->counters[i]);
	else
		printf(" %*s", width, "-");
}

/* Divide by the elapsed time: a row may take longer than a second. */
static __u64 rate(__u64 now, __u64 last, __u64 ns)
{
	return ns ? (now - last) * 1000000000ull / ns : 0;
}

static void print_row(const struct sample *now, const struct sample *last, unsigned int second)
{
	static const int widths[COUNTERS] = { 9, 9, 7, 9, 5 };
	__u64 ns = now->ns - last->ns;
	__u64 mmio = now->mmio - last->mmio, operations = now->operations - last->operations;
	int i;

	if (second % HEADER_EVERY == 1)
		print_header();
	printf("%6u %9llu %9llu %9llu", second, rate(mmio, 0, ns),
	       rate(operations > mmio ? operations - mmio : 0, 0, ns),
	       rate(now->updates, last->updates, ns));
	for (i = 0; i < COUNTERS; i++)
		print_counter(now, last, i, widths[i]);
	printf(" %6llu\n", now->wrong);
	fflush(stdout);
}

static void sleep_second(void)
{
	struct timespec ts = { .tv_sec = 1 };

	while (nanosleep(&ts, &ts) && errno == EINTR)
		;
}

static void watch(struct demo *demo, unsigned int seconds)
{
	struct sample last, now;
	unsigned int i;

	take_sample(demo, &last);
	for (i = 1; i <= seconds && !__atomic_load_n(&demo->churn.error, __ATOMIC_SEQ_CST); i++) {
		sleep_second();
		take_sample(demo, &now);
		print_row(&now, &last, i);
		last = now;
	}
}

static void print_first_wrong(const struct guest_cpu *cpu, unsigned int i)
{
	printf("  vCPU %u: %llu, first: window %llu page %llu gave 0x%llx,", i, cpu->wrong,
	       cpu->window, cpu->page, cpu->value);
	printf(" state 0x%llx then 0x%llx\n", cpu->before, cpu->after);
}

static void print_wrong(const struct demo *demo)
{
	const struct guest_cpu *cpu;
	unsigned int i;

	for (i = 0; i < demo->cpu_count; i++) {
		cpu = &demo->shared->cpus[i];
		if (cpu->wrong)
			print_first_wrong(cpu, i);
		if (demo->cpus[i].wrong)
			printf("  vCPU %u: %llu MMIO writes with a strange value\n", i,
			       demo->cpus[i].wrong);
	}
	if (demo->churn.wrong)
		printf("  %llu writes reached memory after its slot was deleted\n",
		       demo->churn.wrong);
}

static void print_lost(const struct demo *demo)
{
	unsigned int i;
	char line[256];

	for (i = 0; i < demo->cpu_count; i++) {
		if (demo->cpus[i].result == KVM_EXIT_HLT)
			continue;
		keel_exit_format(keel_vcpu_page(demo->cpus[i].vcpu), line, sizeof(line));
		printf("  vCPU %u did not stop by itself: result %d, last exit %s\n", i,
		       demo->cpus[i].result, line);
	}
}

static int print_summary(const struct demo *demo, bool stopped)
{
	const struct churn *churn = &demo->churn;
	struct sample end;

	take_sample(demo, &end);
	printf("\n%u vCPU(s), %u windows of %llu KiB, %u slots that come and go\n",
	       demo->cpu_count, WINDOWS, WINDOW_SIZE >> 10, SLOTS);
	printf("guest operations   %llu, %llu of them MMIO\n", end.operations, end.mmio);
	printf("slot updates       %llu (%llu added, %llu deleted, %llu moved)\n", end.updates,
	       churn->updates[UPDATE_ADD], churn->updates[UPDATE_DELETE],
	       churn->updates[UPDATE_MOVE]);
	if (end.updates)
		printf("time of an update  %llu us on average, %llu us at most\n",
		       churn->total_ns / end.updates / 1000, churn->longest_ns / 1000);
	printf("wrong answers      %llu\n", end.wrong);
	print_wrong(demo);
	if (!stopped)
		print_lost(demo);
	if (churn->error)
		printf("an update failed: %s\n", strerror(-churn->error));
	if (end.wrong || !stopped || churn->error)
		return EXIT_WRONG;
	/* A run without MMIO or without updates proves nothing. */
	return end.mmio && end.updates ? EXIT_RIGHT : EXIT_WRONG;
}

static int fail(const char *what, int error)
{
	fprintf(stderr, "keel-demo: %s: %s\n", what, strerror(-error));
	return error == -ENOENT || error == -ENODEV ? EXIT_NO_DEVICE : EXIT_WRONG;
}

static int run(const struct options *options, struct demo *demo)
{
	bool stopped;
	int ret = vm_build(demo, options->device);

	if (!ret)
		ret = churn_init(demo);
	if (ret)
		return fail("can not set up the guest", ret);
	ret = vm_start(demo);
	if (!ret)
		ret = churn_start(demo);
	if (!ret)
		watch(demo, options->seconds);
	churn_stop(demo);
	stopped = vm_stop(demo);
	return ret ? fail("can not start", ret) : print_summary(demo, stopped);
}

static bool parse_number(const char *text, unsigned long min, unsigned long max,
			 unsigned int *out)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	*out = value;
	return *text >= '0' && *text <= '9' && !*end && value >= min && value <= max;
}

static bool parse(int argc, char **argv, struct options *options)
{
	bool ok = true;
	int c;

	while (ok && (c = getopt(argc, argv, "c:d:p:s:")) != -1) {
		switch (c) {
		case 'c':
			ok = parse_number(optarg, 1, MAX_CPUS, &options->cpus);
			break;
		case 'd':
			options->device = optarg;
			break;
		case 'p':
			ok = parse_number(optarg, 0, MAX_PAUSE, &options->pause_us);
			break;
		case 's':
			ok = parse_number(optarg, 1, 1000000, &options->seconds);
			break;
		default:
			ok = false;
		}
	}
	return ok && optind == argc;
}

int main(int argc, char **argv)
{
	struct options options = {
		.seconds = 10, .cpus = 2, .pause_us = DEFAULT_PAUSE,
	};
	static struct demo demo;
	int ret;

	if (!parse(argc, argv, &options)) {
		fputs(usage_text, stderr);
		return EXIT_USAGE;
	}
	demo.cpu_count = options.cpus;
	demo.churn.pause_us = options.pause_us;
	ret = run(&options, &demo);
	vm_destroy(&demo);
	churn_destroy(&demo);
	return ret;
}
