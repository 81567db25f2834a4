// SPDX-License-Identifier: GPL-2.0
/*
 * How long VMs, vCPUs and their shared pages live: every order of closing,
 * fork, exec, kill, dup and file descriptors passed on. What they do while they
 * live is tested elsewhere.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include "kselftest_harness.h"
#include "keel_test.h"
#include "guest.h"

static volatile u64 spins;

static void guest_spin(void)
{
	for (;;)
		__atomic_add_fetch(&spins, 1, __ATOMIC_RELAXED);
}

static void guest_count(void)
{
	u64 i;

	for (i = 0;; i++)
		guest_sync(i);
}

FIXTURE(life) {
	struct vm *vm;
	struct vcpu *vcpu;
};

FIXTURE_SETUP(life)
{
	self->vm = vm_create();
	self->vcpu = vcpu_create(self->vm, 0, guest_count);
}

FIXTURE_TEARDOWN(life)
{
}

static void *run_vcpu(void *vcpu)
{
	__vcpu_run(vcpu);
	return NULL;
}

static void wait_for_spins(struct vm *vm)
{
	volatile u64 *n = &GUEST_VAR(vm, spins);
	u64 before = *n;

	while (*n == before)
		sched_yield();
}

static int wait_child(pid_t pid)
{
	int status;

	CHECK(pid > 0, "fork");
	CHECK(waitpid(pid, &status, 0) == pid, "waitpid");
	return status;
}

TEST_F(life, vcpu_keeps_the_vm_alive)
{
	close(self->vm->dev);
	EXPECT_EQ(0, vcpu_sync(self->vcpu));
	close(self->vm->fd);
	EXPECT_EQ(1, vcpu_sync(self->vcpu));
	EXPECT_EQ(2, vcpu_sync(self->vcpu));
}

TEST_F(life, shared_page_outlives_all_fds)
{
	struct kvm_run *run = self->vcpu->run;

	EXPECT_EQ(0, vcpu_sync(self->vcpu));
	close(self->vcpu->fd);
	close(self->vm->fd);
	close(self->vm->dev);
	EXPECT_EQ(KVM_EXIT_IO, run->exit_reason);
	run->exit_reason = 12345;
	EXPECT_EQ(12345, run->exit_reason);
	EXPECT_EQ(0, munmap(run, self->vm->run_size));
}

TEST(every_order_of_closing)
{
	int order;

	for (order = 0; order < 24; order++) {
		struct vm *vm = vm_create();
		struct vcpu *vcpu = vcpu_create(vm, 0, guest_count);
		int left[4] = { 0, 1, 2, 3 }, n = 4, o = order;

		EXPECT_EQ(0, vcpu_sync(vcpu));
		while (n) {
			int pick = o % n;

			o /= n;
			switch (left[pick]) {
			case 0:
				close(vm->dev);
				break;
			case 1:
				close(vm->fd);
				break;
			case 2:
				close(vcpu->fd);
				break;
			case 3:
				munmap(vcpu->run, vm->run_size);
				break;
			}
			left[pick] = left[--n];
		}
		munmap(vm->mem, vm->mem_size);
	}
}

TEST_F(life, guest_memory_may_go_first)
{
	EXPECT_EQ(0, vcpu_sync(self->vcpu));
	EXPECT_EQ(0, munmap(self->vm->mem, self->vm->mem_size));
	EXPECT_EQ(-EFAULT, __vcpu_run(self->vcpu));
	vcpu_free(self->vcpu);
	close(self->vm->fd);
}

TEST_F(life, duplicated_fd_is_the_same_vcpu)
{
	int fd = dup(self->vcpu->fd);

	ASSERT_LE(0, fd);
	EXPECT_EQ(0, vcpu_sync(self->vcpu));
	close(self->vcpu->fd);
	self->vcpu->fd = fd;
	EXPECT_EQ(1, vcpu_sync(self->vcpu));
}

TEST_F(life, vcpu_ids)
{
	int ids = vm_ioctl(self->vm, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPU_ID);

	EXPECT_EQ(-EEXIST, __vm_ioctl(self->vm, KVM_CREATE_VCPU, 0));
	EXPECT_EQ(-EINVAL, __vm_ioctl(self->vm, KVM_CREATE_VCPU, ids));
	EXPECT_EQ(-EINVAL, __vm_ioctl(self->vm, KVM_CREATE_VCPU, ~0U));
	EXPECT_EQ(-EINVAL, __vm_ioctl(self->vm, KVM_CREATE_VCPU, 0x80000000));
	EXPECT_LT(0, __vm_ioctl(self->vm, KVM_CREATE_VCPU, ids - 1));
	EXPECT_EQ(-EEXIST, __vm_ioctl(self->vm, KVM_CREATE_VCPU, ids - 1));
	/* An id stays taken after its fd is closed. */
	close(self->vcpu->fd);
	EXPECT_EQ(-EEXIST, __vm_ioctl(self->vm, KVM_CREATE_VCPU, 0));
}

TEST_F(life, another_process_gets_eio)
{
	struct kvm_regs regs;
	pid_t pid = fork();
	int err = 0;

	if (!pid) {
		err |= __vcpu_run(self->vcpu) != -EIO;
		err |= (__vcpu_ioctl(self->vcpu, KVM_GET_REGS, &regs) != -EIO) << 1;
		err |= (__vm_ioctl(self->vm, KVM_CREATE_VCPU, 1) != -EIO) << 2;
		err |= (__vm_set_slot(self->vm, 5, 0, 0x10000000, PAGE,
				      self->vm->mem) != -EIO) << 3;
		err |= (__vm_ioctl(self->vm, KVM_CHECK_EXTENSION, 0) != -EIO) << 4;
		/* The device itself belongs to nobody. */
		err |= (__fd_ioctl(self->vm->dev, KVM_CREATE_VM, 0) < 0) << 5;
		_exit(err);
	}
	EXPECT_EQ(0, wait_child(pid));
	EXPECT_EQ(0, vcpu_sync(self->vcpu));
}

TEST_F(life, forked_child_outlives_its_parent)
{
	int go[2], done[2];
	char c;
	pid_t parent;

	ASSERT_EQ(0, pipe(go));
	ASSERT_EQ(0, pipe(done));
	parent = fork();
	if (!parent) {
		struct vm *vm = vm_create();
		struct vcpu *vcpu = vcpu_create(vm, 0, guest_count);

		vcpu_sync(vcpu);
		if (!fork()) {
			/* The maker of the VM is gone, its fds are ours alone. */
			CHECK(read(go[0], &c, 1) == 1, "pipe");
			c = __vcpu_run(vcpu) == -EIO;
			close(vcpu->fd);
			c += __vm_ioctl(vm, KVM_CREATE_VCPU, 1) == -EIO;
			close(vm->fd);
			CHECK(write(done[1], &c, 1) == 1, "pipe");
		}
		_exit(0);
	}
	EXPECT_EQ(0, wait_child(parent));
	ASSERT_EQ(1, write(go[1], "g", 1));
	ASSERT_EQ(1, read(done[0], &c, 1));
	EXPECT_EQ(2, c);
}

/* Started over by exec: report what the inherited fd says. */
static void __attribute__((constructor)) after_exec(void)
{
	const char *fd = getenv("KEEL_TEST_EXEC_FD");

	if (fd)
		_exit(__fd_ioctl(atoi(fd), KVM_RUN, 0) == -EIO ? 0 : 1);
}

TEST_F(life, exec_loses_the_vm)
{
	char *const argv[] = { (char *)"after_exec", NULL };
	char env[40];
	char *const envp[] = { env, NULL };
	pid_t pid = fork();

	if (!pid) {
		struct vm *vm = vm_create();
		struct vcpu *vcpu = vcpu_create(vm, 0, guest_spin);
		pthread_t thread;

		/* Even with a thread inside, which exec ends. */
		pthread_create(&thread, NULL, run_vcpu, vcpu);
		wait_for_spins(vm);
		fcntl(vcpu->fd, F_SETFD, 0);
		sprintf(env, "KEEL_TEST_EXEC_FD=%d", vcpu->fd);
		execve("/proc/self/exe", argv, envp);
		_exit(100);
	}
	EXPECT_EQ(0, wait_child(pid));
}

TEST_F(life, kill_with_four_vcpus_inside)
{
	pid_t pid = fork();
	int status, i;

	if (!pid) {
		struct vm *vm = vm_create();
		pthread_t thread;

		for (i = 0; i < 4; i++)
			pthread_create(&thread, NULL, run_vcpu,
				       vcpu_create(vm, i, guest_spin));
		for (i = 0; i < 4; i++)
			wait_for_spins(vm);
		kill(getpid(), SIGKILL);
	}
	status = wait_child(pid);
	EXPECT_TRUE(WIFSIGNALED(status));
	EXPECT_EQ(SIGKILL, WTERMSIG(status));
	EXPECT_EQ(0, vcpu_sync(self->vcpu));
}

TEST_F(life, exit_with_a_vcpu_inside)
{
	pid_t pid = fork();

	if (!pid) {
		struct vm *vm = vm_create();
		pthread_t thread;

		pthread_create(&thread, NULL, run_vcpu,
			       vcpu_create(vm, 0, guest_spin));
		wait_for_spins(vm);
		_exit(7);
	}
	EXPECT_EQ(7, WEXITSTATUS(wait_child(pid)));
}

TEST_F(life, vm_fd_closed_under_a_running_vcpu)
{
	pthread_t thread;

	vcpu_set_long(self->vcpu, guest_spin);
	ASSERT_EQ(0, pthread_create(&thread, NULL, run_vcpu, self->vcpu));
	wait_for_spins(self->vm);
	close(self->vm->fd);
	/* Closing the vCPU's own fd does not stop it either. */
	close(self->vcpu->fd);
	wait_for_spins(self->vm);
	wait_for_spins(self->vm);
}

static void send_fd(int sock, int fd)
{
	char control[CMSG_SPACE(sizeof(int))] = {}, byte = 0;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	CHECK(sendmsg(sock, &msg, 0) == 1, "sendmsg");
}

static int receive_fd(int sock)
{
	char control[CMSG_SPACE(sizeof(int))], byte;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	int fd;

	CHECK(recvmsg(sock, &msg, 0) == 1, "recvmsg");
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
	return fd;
}

TEST(fd_passed_to_an_unrelated_process)
{
	int sock[2];
	struct vm *vm;
	struct vcpu *vcpu;
	pid_t pid;
	int fd;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, sock));
	pid = fork();
	if (!pid) {
		char byte = 0;

		fd = receive_fd(sock[1]);
		CHECK(write(sock[1], &byte, 1) == 1, "write");
		/* Wait until ours is the only one. */
		CHECK(read(sock[1], &byte, 1) == 1, "read");
		_exit(__fd_ioctl(fd, KVM_RUN, 0) == -EIO ? 0 : 1);
	}
	vm = vm_create();
	vcpu = vcpu_create(vm, 0, guest_count);
	EXPECT_EQ(0, vcpu_sync(vcpu));
	send_fd(sock[0], vcpu->fd);
	ASSERT_EQ(1, read(sock[0], &fd, 1));
	vcpu_free(vcpu);
	vm_free(vm);
	ASSERT_EQ(1, write(sock[0], "x", 1));
	EXPECT_EQ(0, wait_child(pid));
}

TEST_F(life, last_reference_in_flight_and_back)
{
	int sock[2];

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, sock));
	send_fd(sock[0], self->vcpu->fd);
	close(self->vcpu->fd);
	close(self->vm->fd);
	self->vcpu->fd = receive_fd(sock[1]);
	EXPECT_EQ(0, vcpu_sync(self->vcpu));
	/* And never received: dropped with the socket. */
	send_fd(sock[0], self->vcpu->fd);
	close(self->vcpu->fd);
	close(sock[0]);
	close(sock[1]);
}

TEST(many_vms_at_once)
{
	struct vm *vm[16];
	struct vcpu *vcpu[16];
	int i, turn;

	for (i = 0; i < 16; i++) {
		vm[i] = vm_create();
		vcpu[i] = vcpu_create(vm[i], 0, guest_count);
	}
	for (turn = 0; turn < 3; turn++)
		for (i = 0; i < 16; i++)
			EXPECT_EQ(turn, vcpu_sync(vcpu[i]));
	for (i = 0; i < 16; i += 2) {
		vcpu_free(vcpu[i]);
		vm_free(vm[i]);
	}
	for (i = 1; i < 16; i += 2)
		EXPECT_EQ(3, vcpu_sync(vcpu[i]));
}

TEST(vm_without_vcpu_and_vcpu_without_memory)
{
	struct vm *vm = vm_create_bare();
	struct vcpu *vcpu = vcpu_create_bare(vm, 3);

	vcpu_free(vcpu);
	vm_free(vm);
	vm_free(vm_create_bare());
	vm_free(vm_create());
}

TEST_F(life, vcpu_added_while_another_runs)
{
	struct vcpu *late;
	pthread_t thread;

	vcpu_set_long(self->vcpu, guest_spin);
	ASSERT_EQ(0, pthread_create(&thread, NULL, run_vcpu, self->vcpu));
	wait_for_spins(self->vm);
	late = vcpu_create(self->vm, 1, guest_count);
	EXPECT_EQ(0, vcpu_sync(late));
	wait_for_spins(self->vm);
	EXPECT_EQ(1, vcpu_sync(late));
}

KEEL_TEST_MAIN
