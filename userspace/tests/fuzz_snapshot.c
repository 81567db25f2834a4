// SPDX-License-Identifier: GPL-2.0
/*
 * Fuzz saved machines. Each file is tried as it is and with a correct checksum: a
 * machine that is restored must be whole, and a failed restore must leave nothing
 * behind.
 */
#include <errno.h>
#include <string.h>
#include <keel/libkeel.h>

#include "fake_kvm.h"
#include "fuzz.h"
#include "seal.h"

#define PAGE		4096
#define MAX_FILE	(1 << 16)

static struct keel *keel;

static void destroy(struct keel_snapshot *s)
{
	while (s->count)
		keel_vcpu_destroy(s->vcpus[--s->count]);
	keel_vm_destroy(s->vm);
	free(s->vcpus);
	free(s->note);
}

/* -EFAULT fails the test: a system call would have used the inaccessible page. */
static void judge(int ret, const struct keel_snapshot *s)
{
	if (ret > 0 || ret == -EFAULT)
		abort();
	if (ret && (s->vm || s->vcpus || s->note))
		abort();
	if (!ret && (!s->vm || (s->count && !s->vcpus) || !s->note != !s->note_size))
		abort();
}

static void restore(const void *data, size_t size)
{
	struct keel_snapshot s = { .size = sizeof(s) };
	int fd = fuzz_file(data, size), ret = keel_snapshot_restore(keel, fd, &s);

	judge(ret, &s);
	if (!ret)
		destroy(&s);
	close(fd);
}

static void make_seed(int argc, char **argv)
{
	static unsigned char file[MAX_FILE];
	struct keel_snapshot s = { .size = sizeof(s), .count = 1, .note = "note", .note_size = 4 };
	struct keel_vcpu *vcpu;
	int fd = fuzz_file("", 0);
	ssize_t n;
	void *ram;

	s.vcpus = &vcpu;
	if (keel_vm_create(keel, &s.vm) || keel_vcpu_create(s.vm, 0, &vcpu) ||
	    keel_mem_alloc(s.vm, 0, 0, 4 * PAGE, 0, &ram))
		abort();
	memset((char *)ram + PAGE, 1, 1);
	if (keel_snapshot_save(&s, fd))
		abort();
	n = pread(fd, file, sizeof(file), 0);
	fuzz_seed(argc, argv, "machine", file, n);
	close(fd);
	keel_vcpu_destroy(vcpu);
	keel_vm_destroy(s.vm);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	fake_reset();
	fake.has_state = 1;
	if (keel_open("/dev/null", &keel))
		abort();
	make_seed(*argc, *argv);
	return 0;
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	unsigned char *whole;

	restore(data, size);
	size &= ~(size_t)7;
	if (size < END_SIZE)
		return 0;
	whole = malloc(size);
	if (!whole)
		abort();
	memcpy(whole, data, size);
	seal(whole, size);
	restore(whole, size);
	free(whole);
	return 0;
}
