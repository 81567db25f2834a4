// SPDX-License-Identifier: GPL-2.0
/*
 * hold-vm DEVICE [COMMAND...]
 *
 * Create a VM on DEVICE and hold it while COMMAND runs. Where that fails, say
 * why in the words of strerror(3) and exit with 2: scripts that ask who may
 * have VMX need no more of the API than this.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/kvm.h>

static int create_vm(const char *path)
{
	int device = open(path, O_RDWR | O_CLOEXEC);

	return device < 0 ? -1 : ioctl(device, KVM_CREATE_VM, 0);
}

static int run(char **command)
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		execvp(command[0], command);
		perror(command[0]);
		_exit(127);
	}
	if (child < 0 || waitpid(child, &status, 0) < 0) {
		perror("hold-vm");
		return 1;
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		fprintf(stderr, "usage: hold-vm DEVICE [COMMAND...]\n");
		return 1;
	}
	if (create_vm(argv[1]) < 0) {
		printf("%s: %s\n", argv[1], strerror(errno));
		return 2;
	}
	return argc > 2 ? run(argv + 2) : 0;
}
