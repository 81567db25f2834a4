// SPDX-License-Identifier: GPL-2.0
/*
 * The device under test and the two tiers of ioctl helpers. KEEL_DEVICE names
 * another node, so that the same tests run on /dev/kvm. Owns no VM.
 */
#include <stdarg.h>
#include "keel_test.h"

void test_fail(const char *file, int line, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "# %s:%d: ", file, line);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\n");
	fflush(stderr);
	_exit(1);
}

bool test_is_wanted(const char *name)
{
	const char *only = getenv("TEST_CASE");

	return !only || !strcmp(only, name);
}

const char *dev_path(void)
{
	const char *path = getenv("KEEL_DEVICE");

	return path && *path ? path : "/dev/keel";
}

bool dev_is_keel(void)
{
	return !strstr(dev_path(), "kvm");
}

int dev_probe(void)
{
	int fd = open(dev_path(), O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

int dev_open(void)
{
	int fd = open(dev_path(), O_RDWR | O_CLOEXEC);

	CHECK(fd >= 0, "open %s: %s", dev_path(), strerror(errno));
	return fd;
}

int xioctl(int fd, unsigned long cmd, unsigned long arg)
{
	int ret = ioctl(fd, cmd, arg);

	return ret < 0 ? -errno : ret;
}

int xioctl_ok(int fd, unsigned long cmd, unsigned long arg, const char *what,
	      const char *file, int line)
{
	int ret = xioctl(fd, cmd, arg);

	if (ret < 0)
		test_fail(file, line, "%s: %s", what, strerror(-ret));
	return ret;
}
