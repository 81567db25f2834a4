// SPDX-License-Identifier: GPL-2.0
/*
 * Missing memory, and calls that may sleep on it or wait for a thread that does.
 * Faults stay in the kernel's queue: the test decides when to read one and when
 * to supply the page. backing_test has a thread that answers by itself.
 */
#define _GNU_SOURCE
#include <poll.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <linux/userfaultfd.h>
#include "pending.h"

#define PATIENCE_MS	5000

bool pending_open(struct pending *p, u64 pages)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };

	p->size = pages * PAGE;
	p->mem = anon_alloc(p->size);
	madvise(p->mem, p->size, MADV_NOHUGEPAGE);
	reg.range = (struct uffdio_range){ .start = (u64)p->mem, .len = p->size };
	p->fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	return p->fd >= 0 && !ioctl(p->fd, UFFDIO_API, &api) &&
	       !ioctl(p->fd, UFFDIO_REGISTER, &reg);
}

void pending_close(struct pending *p)
{
	munmap(p->mem, p->size);
	p->size = 0;
	if (p->fd >= 0)
		close(p->fd);
}

void pending_wait(struct pending *p)
{
	struct pollfd fd = { .fd = p->fd, .events = POLLIN };
	struct uffd_msg msg;

	CHECK(poll(&fd, 1, PATIENCE_MS) == 1, "no fault");
	CHECK(read(p->fd, &msg, sizeof(msg)) == sizeof(msg), "read: %s", strerror(errno));
	CHECK(msg.event == UFFD_EVENT_PAGEFAULT, "event %u", msg.event);
}

void pending_serve(struct pending *p, u64 value)
{
	u64 content[PAGE / 8] __attribute__((aligned(4096))) = { value };
	struct uffdio_copy copy = { .src = (u64)content, .len = PAGE };
	u64 at;

	for (at = 0; at < p->size; at += PAGE) {
		copy.dst = (u64)p->mem + at;
		CHECK(!ioctl(p->fd, UFFDIO_COPY, &copy) || errno == EEXIST, "copy: %s",
		      strerror(errno));
	}
}

/* --- calls that may wait -------------------------------------------------- */

static void *run_call(void *arg)
{
	struct pending_call *c = arg;

	c->fn(c->arg);
	__atomic_store_n(&c->returned, 1, __ATOMIC_RELEASE);
	return NULL;
}

void pending_start(struct pending_call *c, void (*fn)(void *arg), void *arg)
{
	*c = (struct pending_call){ .fn = fn, .arg = arg };
	CHECK(!pthread_create(&c->thread, NULL, run_call, c), "no thread");
}

bool pending_returned(struct pending_call *c)
{
	return __atomic_load_n(&c->returned, __ATOMIC_ACQUIRE);
}

bool pending_returns(struct pending_call *c)
{
	int ms;

	for (ms = 0; ms < PATIENCE_MS && !pending_returned(c); ms++)
		usleep(1000);
	return pending_returned(c);
}

void pending_join(struct pending_call *c)
{
	pthread_join(c->thread, NULL);
}
