// SPDX-License-Identifier: GPL-2.0
/*
 * The module's counters of one VM, as debugfs shows them: a directory per VM with
 * a file per counter, and one below it per vCPU. If a file is missing, the module
 * does not have the counter, or this user must not read it.
 */
#include <glob.h>
#include <stdlib.h>
#include <string.h>

#include "host.h"

#define ROOT	"/sys/kernel/debug/keel"

static const char *const names[COUNTERS] = {
	[COUNTER_SPTE_HIT] = "mmio_spte_hit",
	[COUNTER_CACHE_HIT] = "mmio_cache_hit",
	[COUNTER_STALE] = "mmio_spte_stale",
	[COUNTER_IN_WINDOW] = "mmio_in_window",
	[COUNTER_WRAP] = "mmio_wraps",
};

static glob_t before;
static char directory[256];

void counters_before(void)
{
	if (glob(ROOT "/*/", 0, NULL, &before))
		before.gl_pathc = 0;
}

static bool was_there(const char *path)
{
	size_t i;

	for (i = 0; i < before.gl_pathc; i++)
		if (!strcmp(before.gl_pathv[i], path))
			return true;
	return false;
}

void counters_after(void)
{
	glob_t now;
	size_t i;

	if (!glob(ROOT "/*/", 0, NULL, &now)) {
		for (i = 0; i < now.gl_pathc; i++)
			if (!was_there(now.gl_pathv[i]))
				snprintf(directory, sizeof(directory), "%s", now.gl_pathv[i]);
		globfree(&now);
	}
	globfree(&before);
}

static bool read_file(const char *path, __u64 *value)
{
	FILE *file = fopen(path, "re");
	unsigned long long number;
	bool ok;

	if (!file)
		return false;
	ok = fscanf(file, "%llu", &number) == 1;
	fclose(file);
	if (ok)
		*value = number;
	return ok;
}

/* The VM's own file, or else the sum over its vCPUs. */
bool counters_read(enum counter counter, __u64 *value)
{
	char path[512];
	bool found = false;
	__u64 one, sum = 0;
	glob_t files;
	size_t i;

	if (!directory[0])
		return false;
	snprintf(path, sizeof(path), "%s%s", directory, names[counter]);
	if (read_file(path, value))
		return true;
	snprintf(path, sizeof(path), "%s*/%s", directory, names[counter]);
	if (glob(path, 0, NULL, &files))
		return false;
	for (i = 0; i < files.gl_pathc; i++) {
		if (!read_file(files.gl_pathv[i], &one))
			continue;
		found = true;
		sum += one;
	}
	globfree(&files);
	*value = sum;
	return found;
}
