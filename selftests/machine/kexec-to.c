// SPDX-License-Identifier: GPL-2.0
/*
 * kexec-to [-p] KERNEL INITRD COMMAND-LINE
 * kexec-to -e
 *
 * Load the kernel that is to follow this one, with -p when this one panics. -e
 * starts it, at once and without stopping anything first. Scripts of the
 * emulated PC need no more of kexec-tools than this.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <linux/kexec.h>
#include <linux/reboot.h>
#include <sys/syscall.h>

static int fail(const char *what)
{
	perror(what);
	return 1;
}

static int load(const char *kernel_path, const char *initrd_path, const char *line, int flags)
{
	int kernel = open(kernel_path, O_RDONLY), initrd = open(initrd_path, O_RDONLY);

	if (kernel < 0)
		return fail(kernel_path);
	if (initrd < 0)
		return fail(initrd_path);
	if (syscall(SYS_kexec_file_load, kernel, initrd, strlen(line) + 1, line, flags))
		return fail("kexec_file_load");
	return 0;
}

static int execute(void)
{
	syscall(SYS_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, LINUX_REBOOT_CMD_KEXEC, NULL);
	return fail("reboot");
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "-e"))
		return execute();
	if (argc == 4)
		return load(argv[1], argv[2], argv[3], 0);
	if (argc == 5 && !strcmp(argv[1], "-p"))
		return load(argv[2], argv[3], argv[4], KEXEC_FILE_ON_CRASH);
	fprintf(stderr, "usage: kexec-to [-p] KERNEL INITRD COMMAND-LINE | -e\n");
	return 2;
}
