// SPDX-License-Identifier: GPL-2.0
/*
 * keelrun: run a flat binary, an ELF file, a BIOS image or a saved machine on
 * Keel or KVM. Owns the command line and nothing else.
 */
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "keelrun.h"

#define DEFAULT_MEMORY	(64 * MIB)

static const char usage_text[] =
	"usage: keelrun [OPTION...] IMAGE\n"
	"       keelrun [OPTION...] --restore FILE\n"
	"  IMAGE is a static ELF file (32 or 64 bit) or a flat binary\n"
	"  -b, --bios            IMAGE is a BIOS, mapped below 4 GiB and below 1 MiB\n"
	"  -f, --flat            IMAGE is flat even if it looks like ELF\n"
	"  -m, --memory SIZE     guest RAM, with suffix K, M or G (64M)\n"
	"  -c, --cpus N          vCPUs, 1 to 64, all started at the entry (1)\n"
	"      --mode MODE       start of a flat image: real, 32 or 64 (real)\n"
	"      --load ADDRESS    where a flat image goes and starts (0x7c00, not real: 0x100000)\n"
	"  -t, --timeout SECONDS end the guest after that time, fractions allowed\n"
	"      --until TEXT      end with success after an output line that holds TEXT\n"
	"      --save FILE       on SIGUSR2 save the machine to FILE and end with 126\n"
	"      --save-after SECONDS, --save-at TEXT\n"
	"                        do so after that time, or after a line that holds TEXT\n"
	"      --restore FILE    go on with a saved machine\n"
	"      --trace-exits     one line per exit to stderr\n"
	"      --device PATH     instead of $KEEL_DEVICE or /dev/keel\n"
	"  -h, --help            this text\n"
	"  -V, --version\n"
	"Output of ports 0x402 and 0x3f8 goes to stdout; a byte written to port 0xf4\n"
	"is the exit status. See keelrun(1) for the statuses from 120.\n";

enum {
	OPT_MODE = 256, OPT_LOAD, OPT_UNTIL, OPT_TRACE, OPT_DEVICE,
	OPT_SAVE, OPT_SAVE_AFTER, OPT_SAVE_AT, OPT_RESTORE,
};

static const struct option long_options[] = {
	{ "bios", no_argument, NULL, 'b' },
	{ "flat", no_argument, NULL, 'f' },
	{ "memory", required_argument, NULL, 'm' },
	{ "cpus", required_argument, NULL, 'c' },
	{ "mode", required_argument, NULL, OPT_MODE },
	{ "load", required_argument, NULL, OPT_LOAD },
	{ "timeout", required_argument, NULL, 't' },
	{ "until", required_argument, NULL, OPT_UNTIL },
	{ "save", required_argument, NULL, OPT_SAVE },
	{ "save-after", required_argument, NULL, OPT_SAVE_AFTER },
	{ "save-at", required_argument, NULL, OPT_SAVE_AT },
	{ "restore", required_argument, NULL, OPT_RESTORE },
	{ "trace-exits", no_argument, NULL, OPT_TRACE },
	{ "device", required_argument, NULL, OPT_DEVICE },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ NULL, 0, NULL, 0 },
};

void complain(const char *format, ...)
{
	va_list args;

	fputs("keelrun: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

static __u64 suffix_unit(const char *suffix)
{
	static const struct { char letter; __u64 unit; } units[] = {
		{ 'k', KIB }, { 'm', MIB }, { 'g', GIB },
	};
	size_t i;

	if (!*suffix)
		return 1;
	for (i = 0; i < ARRAY_SIZE(units); i++)
		if ((suffix[0] | 0x20) == units[i].letter && !suffix[1])
			return units[i].unit;
	return 0;
}

/* A number in C notation, with a suffix if @is_size. */
static int parse_number(const char *text, bool is_size, __u64 max, __u64 *out)
{
	__u64 value, unit;
	char *end;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	value = strtoull(text, &end, 0);
	if (errno || (!is_size && *end))
		return -EINVAL;
	unit = suffix_unit(end);
	if (!unit || value > max / unit)
		return -EINVAL;
	*out = value * unit;
	return 0;
}

static int parse_memory(const char *text, __u64 *out)
{
	if (parse_number(text, true, MAX_MEMORY, out) || *out % PAGE_SIZE || *out < MIB) {
		complain("memory is 1M to 3G, in units of 4K: %s", text);
		return -EINVAL;
	}
	return 0;
}

static int parse_cpus(const char *text, unsigned int *out)
{
	__u64 value;

	if (parse_number(text, false, MAX_CPUS, &value) || !value) {
		complain("there can be 1 to %d vCPUs: %s", MAX_CPUS, text);
		return -EINVAL;
	}
	*out = value;
	return 0;
}

static int parse_seconds(const char *text, unsigned int *out)
{
	double seconds;
	char *end;

	seconds = strtod(text, &end);
	if (end == text || *end || !(seconds >= 0.001 && seconds <= 1e6)) {
		complain("not a time in seconds: %s", text);
		return -EINVAL;
	}
	*out = seconds * 1000;
	return 0;
}

static int parse_mode(const char *text, enum start_mode *out)
{
	static const struct { const char *name; enum start_mode mode; } modes[] = {
		{ "real", START_REAL }, { "32", START_FLAT32 }, { "64", START_LONG },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		if (strcmp(text, modes[i].name))
			continue;
		*out = modes[i].mode;
		return 0;
	}
	complain("the mode is real, 32 or 64: %s", text);
	return -EINVAL;
}

static int parse_load(const char *text, struct options *options)
{
	if (parse_number(text, false, MAX_MEMORY, &options->load_address)) {
		complain("not an address below 3 GiB: %s", text);
		return -EINVAL;
	}
	options->load_address_given = true;
	return 0;
}

static int parse_saving(int c, struct options *options)
{
	switch (c) {
	case OPT_SAVE:
		options->save = optarg;
		return 0;
	case OPT_SAVE_AFTER:
		return parse_seconds(optarg, &options->save_after_ms);
	case OPT_SAVE_AT:
		options->save_at = optarg;
		return 0;
	default:
		options->restore = optarg;
		return 0;
	}
}

static int parse_one(int c, struct options *options)
{
	switch (c) {
	case 'b':
		options->kind = IMAGE_BIOS;
		return 0;
	case 'f':
		options->kind = IMAGE_FLAT;
		return 0;
	case 'm':
		return parse_memory(optarg, &options->memory);
	case 'c':
		return parse_cpus(optarg, &options->cpus);
	case 't':
		return parse_seconds(optarg, &options->timeout_ms);
	case OPT_MODE:
		return parse_mode(optarg, &options->mode);
	case OPT_LOAD:
		return parse_load(optarg, options);
	case OPT_UNTIL:
		options->until = optarg;
		return 0;
	case OPT_TRACE:
		options->trace = true;
		return 0;
	case OPT_DEVICE:
		options->device = optarg;
		return 0;
	case OPT_SAVE:
	case OPT_SAVE_AFTER:
	case OPT_SAVE_AT:
	case OPT_RESTORE:
		return parse_saving(c, options);
	default:
		fputs(usage_text, stderr);
		return -EINVAL;
	}
}

/* Options that define the machine: a saved machine keeps its own. */
static bool shapes(int c)
{
	return c == 'b' || c == 'f' || c == 'm' || c == 'c' || c == OPT_MODE || c == OPT_LOAD;
}

static int check(const struct options *options, int images, bool shaped)
{
	if (images != !options->restore) {
		fputs(usage_text, stderr);
		return -EINVAL;
	}
	if (options->restore && shaped) {
		complain("a saved machine keeps its memory, vCPUs and image");
		return -EINVAL;
	}
	if ((options->save_at || options->save_after_ms) && !options->save) {
		complain("where to save? See --save");
		return -EINVAL;
	}
	if (options->kind == IMAGE_BIOS && options->cpus > 1) {
		complain("a BIOS starts one CPU only: without a local APIC it can not wake others");
		return -EINVAL;
	}
	return 0;
}

/* Return 1 if there is nothing more to do, as after --help. */
static int parse(int argc, char **argv, struct options *options)
{
	bool shaped = false;
	int c;

	while ((c = getopt_long(argc, argv, "bfm:c:t:hV", long_options, NULL)) != -1) {
		if (c == 'h') {
			fputs(usage_text, stdout);
			return 1;
		}
		if (c == 'V') {
			printf("keelrun %s\n", keel_version());
			return 1;
		}
		if (parse_one(c, options))
			return -EINVAL;
		shaped |= shapes(c);
	}
	options->image = argv[optind];
	return check(options, argc - optind, shaped);
}

int main(int argc, char **argv)
{
	struct options options = {
		.kind = IMAGE_AUTO,
		.mode = START_REAL,
		.memory = DEFAULT_MEMORY,
		.cpus = 1,
	};
	static struct machine machine;
	int ret = parse(argc, argv, &options);

	if (ret)
		return ret < 0 ? STATUS_HOST : STATUS_OK;
	machine.options = &options;
	return machine_run(&machine);
}
