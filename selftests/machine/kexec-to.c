// SPDX-License-Identifier: GPL-2.0
/*
 * kexec-to [-p] KERNEL INITRD COMMAND-LINE
 *
 * Load the kernel that is to follow this one and start it, at once and without
 * stopping anything first. With -p only load it: it starts when this kernel
 * panics. Scripts of the emulated PC need no more of kexec-tools than this.
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

int main(int argc, char **argv)
{
	int on_panic = argc > 1 && !strcmp(argv[1], "-p");
	int kernel, initrd;
	const char *line;

	argv += on_panic;
	if (argc - on_panic != 4) {
		fprintf(stderr, "usage: kexec-to [-p] KERNEL INITRD COMMAND-LINE\n");
		return 2;
	}
	kernel = open(argv[1], O_RDONLY);
	if (kernel < 0)
		return fail(argv[1]);
	initrd = open(argv[2], O_RDONLY);
	if (initrd < 0)
		return fail(argv[2]);
	line = argv[3];
	if (syscall(SYS_kexec_file_load, kernel, initrd, strlen(line) + 1, line,
		    on_panic ? KEXEC_FILE_ON_CRASH : 0))
		return fail("kexec_file_load");
	if (on_panic)
		return 0;
	syscall(SYS_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, LINUX_REBOOT_CMD_KEXEC, NULL);
	return fail("reboot");
}
