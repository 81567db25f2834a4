/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Shared by the targets for libFuzzer: files in memory, seeds that are put into
 * the corpus at the start, and an inaccessible page behind each mapping, since
 * the address sanitizer does not check mappings.
 */
#ifndef _KEEL_TESTS_FUZZ_H
#define _KEEL_TESTS_FUZZ_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

void *__real_mmap(void *at, size_t size, int prot, int flags, int fd, off_t offset);
void *__wrap_mmap(void *at, size_t size, int prot, int flags, int fd, off_t offset);
int __real_munmap(void *at, size_t size);
int __wrap_munmap(void *at, size_t size);

static inline size_t fuzz_guarded(size_t size)
{
	return ((size + 4095) & ~(size_t)4095) + 4096;
}

void *__wrap_mmap(void *at, size_t size, int prot, int flags, int fd, off_t offset)
{
	void *area = MAP_FAILED;

	if (fuzz_guarded(size) > size)
		area = __real_mmap(at, fuzz_guarded(size), PROT_NONE,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (area == MAP_FAILED)
		return MAP_FAILED;
	at = __real_mmap(area, size, prot, flags | MAP_FIXED, fd, offset);
	if (at == MAP_FAILED)
		__real_munmap(area, fuzz_guarded(size));
	return at;
}

int __wrap_munmap(void *at, size_t size)
{
	return __real_munmap(at, fuzz_guarded(size));
}

static inline int fuzz_file(const void *data, size_t size)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	if (fd < 0 || write(fd, data, size) != (ssize_t)size || lseek(fd, 0, SEEK_SET))
		abort();
	return fd;
}

/* Write a seed into the first folder on the command line, if there is one. */
static inline void fuzz_seed(int argc, char **argv, const char *name, const void *data,
			     size_t size)
{
	char path[4096];
	FILE *file;
	int i;

	for (i = 1; i < argc && *argv[i] == '-'; i++)
		;
	if (i == argc)
		return;
	snprintf(path, sizeof(path), "%s/seed-%s", argv[i], name);
	file = fopen(path, "we");
	if (!file || fwrite(data, 1, size, file) != size || fclose(file))
		abort();
}

#endif /* _KEEL_TESTS_FUZZ_H */
