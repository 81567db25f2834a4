// SPDX-License-Identifier: GPL-2.0
/*
 * Read the counters that KVM_GET_STATS_FD describes, and the debugfs files of a
 * test build. The tests decide what a counter should be.
 */
#include <sched.h>
#include "control.h"

#define DEBUGFS "/sys/kernel/debug/keel"

struct stats {
	struct kvm_stats_header head;
	u8 *text;		/* the whole file */
	size_t size;
};

static bool stats_read(int fd, struct stats *s)
{
	int stats = __fd_ioctl(fd, KVM_GET_STATS_FD, 0);
	ssize_t n;

	if (stats < 0)
		return false;
	s->size = 32768;
	s->text = calloc(1, s->size);
	CHECK(s->text, "out of memory");
	n = pread(stats, s->text, s->size - 1, 0);
	close(stats);
	CHECK(n >= (ssize_t)sizeof(s->head), "statistics: %zd bytes", n);
	memcpy(&s->head, s->text, sizeof(s->head));
	return true;
}

bool counter_find(int fd, const char *name, u64 *value)
{
	struct stats s;
	bool found = false;
	u32 i;

	if (!stats_read(fd, &s))
		return false;
	for (i = 0; i < s.head.num_desc && !found; i++) {
		size_t size = sizeof(struct kvm_stats_desc) + s.head.name_size;
		struct kvm_stats_desc *d = (void *)(s.text + s.head.desc_offset + i * size);

		if (strcmp(d->name, name))
			continue;
		memcpy(value, s.text + s.head.data_offset + d->offset, sizeof(*value));
		found = true;
	}
	free(s.text);
	return found;
}

u64 counter(int fd, const char *name)
{
	u64 value = 0;

	CHECK(counter_find(fd, name, &value), "not counted: %s", name);
	return value;
}

bool parameter_is_on(const char *name)
{
	char path[80];
	bool on;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/module/keel/parameters/%s", name);
	f = fopen(path, "r");
	on = f && fgetc(f) == 'Y';
	if (f)
		fclose(f);
	return on;
}

void mmio_counts(int vcpu_fd, struct mmio_counts *c)
{
	c->misconfig = counter(vcpu_fd, "mmio_misconfig");
	c->hit = counter(vcpu_fd, "mmio_spte_hit");
	c->stale = counter(vcpu_fd, "mmio_spte_stale");
	c->in_window = counter(vcpu_fd, "mmio_in_window");
	c->uncached = counter(vcpu_fd, "mmio_uncached");
}

bool mmio_counts_add_up(const struct mmio_counts *c)
{
	return c->misconfig == c->hit + c->stale + c->in_window + c->uncached;
}

/* The number of the VM, which names its directory, is also in its statistics id: "kvm-5". */
static bool debugfs_path(struct vm *vm, const char *file, char *path, size_t size)
{
	unsigned int number;
	struct stats s;
	int n = 0;

	if (!dev_is_keel() || !stats_read(vm->fd, &s))
		return false;
	n = sscanf((char *)s.text + s.head.id_offset, "kvm-%u", &number);
	free(s.text);
	snprintf(path, size, DEBUGFS "/%u/%s", number, file);
	return n == 1 && !access(path, F_OK);
}

static bool control_path(struct vm *vm, const char *file, char *path, size_t size)
{
	char name[64];

	snprintf(name, sizeof(name), "test_%s", file);
	return debugfs_path(vm, name, path, size);
}

bool debugfs_counter(struct vm *vm, const char *name, u64 *value)
{
	char path[128];
	bool found;
	FILE *f;

	if (!debugfs_path(vm, name, path, sizeof(path)))
		return false;
	f = fopen(path, "r");
	CHECK(f, "%s: %s", path, strerror(errno));
	found = fscanf(f, "%lu", value) == 1;
	fclose(f);
	return found;
}

static FILE *control_open(struct vm *vm, const char *file, const char *mode)
{
	char path[128];
	FILE *f;

	CHECK(control_path(vm, file, path, sizeof(path)), "not a test build: %s", file);
	f = fopen(path, mode);
	CHECK(f, "%s: %s", path, strerror(errno));
	return f;
}

bool has_control(struct vm *vm)
{
	char path[128];

	return control_path(vm, "generation", path, sizeof(path));
}

static void generations(struct vm *vm, u64 value[3])
{
	FILE *f = control_open(vm, "generation", "r");
	int n = fscanf(f, "%lu %lu %lu", &value[0], &value[1], &value[2]);

	fclose(f);
	CHECK(n == 3, "%d numbers", n);
}

u64 generation(struct vm *vm, int as)
{
	u64 value[3];

	generations(vm, value);
	return value[as];
}

u64 generation_round(struct vm *vm)
{
	u64 value[3];

	generations(vm, value);
	return value[2];
}

void set_generation(struct vm *vm, int as, u64 to)
{
	FILE *f = control_open(vm, "generation", "w");
	int err;

	fprintf(f, "%d %lu", as, to);
	err = fclose(f);
	CHECK(!err, "generation %lu: %s", to, strerror(errno));
}

void set_delay(struct vm *vm, const char *point, unsigned int ms)
{
	char file[32];
	FILE *f;

	snprintf(file, sizeof(file), "delay_%s", point);
	f = control_open(vm, file, "w");
	fprintf(f, "%u", ms);
	CHECK(!fclose(f), "delay: %s", strerror(errno));
}

unsigned int get_delay(struct vm *vm, const char *point)
{
	unsigned int ms = 0;
	char file[32];
	FILE *f;

	snprintf(file, sizeof(file), "delay_%s", point);
	f = control_open(vm, file, "r");
	CHECK(fscanf(f, "%u", &ms) == 1, "delay");
	fclose(f);
	return ms;
}

void wait_until_held(struct vm *vm, const char *point)
{
	while (get_delay(vm, point))
		sched_yield();
}

void get_cache(struct vcpu *vcpu, struct cache_state *c)
{
	FILE *f = control_open(vcpu->vm, "mmio_caches", "r");
	int n;

	do {
		n = fscanf(f, "%d %d %lx %lx %x %lu", &c->id, &c->valid, &c->gva, &c->gfn,
			   &c->access, &c->generation);
		CHECK(n == 6, "vCPU %u is not listed", vcpu->id);
	} while (c->id != vcpu->id);
	fclose(f);
}
