// SPDX-License-Identifier: GPL-2.0
/*
 * The device: opening it, checking that it speaks the KVM API, and the requests
 * that need no VM. Owns struct keel and the ioctl wrappers of the library; knows
 * nothing about VMs.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "internal.h"

#define KEEL_API_VERSION	12

/* First and largest length to try for a list. */
#define LIST_FIRST		128
#define LIST_LIMIT		16384

int keel_ioctl_value(int fd, unsigned long request, unsigned long arg)
{
	int ret = ioctl(fd, request, arg);

	return ret < 0 ? -errno : ret;
}

int keel_ioctl(int fd, unsigned long request, const void *arg)
{
	return keel_ioctl_value(fd, request, (unsigned long)arg);
}

int keel_struct_in(void *out, size_t known, const void *in, size_t min)
{
	const unsigned char *p = in;
	size_t size, at;

	memcpy(&size, in, sizeof(size));
	if (size < min)
		return -EINVAL;
	for (at = known; at < size; at++)
		if (p[at])
			return -E2BIG;
	memset(out, 0, known);
	memcpy(out, in, size < known ? size : known);
	return 0;
}

static const char *default_path(void)
{
	const char *path = secure_getenv("KEEL_DEVICE");

	return path && *path ? path : KEEL_DEVICE_PATH;
}

static int probe(int fd, size_t *run_size)
{
	int ret = keel_ioctl_value(fd, KVM_GET_API_VERSION, 0);

	if (ret != KEEL_API_VERSION)
		return -ENODEV;
	ret = keel_ioctl_value(fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (ret < 0)
		return ret;
	if ((size_t)ret < sizeof(struct kvm_run))
		return -ENODEV;
	*run_size = ret;
	return 0;
}

KEEL_API int keel_open(const char *path, struct keel **out)
{
	struct keel *keel;
	int ret;

	if (!out)
		return -EINVAL;
	keel = calloc(1, sizeof(*keel));
	if (!keel)
		return -ENOMEM;
	keel->fd = open(path ? path : default_path(), O_RDWR | O_CLOEXEC);
	if (keel->fd < 0) {
		ret = -errno;
		goto err_free;
	}
	ret = probe(keel->fd, &keel->run_size);
	if (ret)
		goto err_close;
	*out = keel;
	return 0;

err_close:
	close(keel->fd);
err_free:
	free(keel);
	return ret;
}

KEEL_API void keel_close(struct keel *keel)
{
	if (!keel)
		return;
	close(keel->fd);
	free(keel);
}

KEEL_API int keel_fd(const struct keel *keel)
{
	return keel ? keel->fd : -EINVAL;
}

KEEL_API int keel_check_extension(const struct keel *keel, int cap)
{
	if (!keel)
		return -EINVAL;
	return keel_ioctl_value(keel->fd, KVM_CHECK_EXTENSION, cap);
}

/* The kernel returns -E2BIG for a list that is too short: try again with a longer one. */
KEEL_API int keel_supported_cpuid(const struct keel *keel, struct kvm_cpuid2 **out)
{
	struct kvm_cpuid2 *list;
	__u32 n;
	int ret;

	if (!keel || !out)
		return -EINVAL;
	for (n = LIST_FIRST; n <= LIST_LIMIT; n *= 2) {
		list = calloc(1, sizeof(*list) + n * sizeof(list->entries[0]));
		if (!list)
			return -ENOMEM;
		list->nent = n;
		ret = keel_ioctl(keel->fd, KVM_GET_SUPPORTED_CPUID, list);
		if (!ret) {
			*out = list;
			return 0;
		}
		free(list);
		if (ret != -E2BIG)
			return ret;
	}
	return -E2BIG;
}

/* This request returns the right length together with -E2BIG. */
KEEL_API int keel_msr_index_list(const struct keel *keel, struct kvm_msr_list **out)
{
	struct kvm_msr_list probe_list = { .nmsrs = 0 };
	struct kvm_msr_list *list;
	int ret;

	if (!keel || !out)
		return -EINVAL;
	ret = keel_ioctl(keel->fd, KVM_GET_MSR_INDEX_LIST, &probe_list);
	if (ret && ret != -E2BIG)
		return ret;
	if (probe_list.nmsrs > LIST_LIMIT)
		return -E2BIG;
	list = calloc(1, sizeof(*list) + probe_list.nmsrs * sizeof(list->indices[0]));
	if (!list)
		return -ENOMEM;
	list->nmsrs = probe_list.nmsrs;
	ret = keel_ioctl(keel->fd, KVM_GET_MSR_INDEX_LIST, list);
	if (ret) {
		free(list);
		return ret;
	}
	*out = list;
	return 0;
}

KEEL_API const char *keel_version(void)
{
	return KEEL_VERSION;
}
