/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the parts of the benchmark share: samples, rows made of them, and the
 * scene that memory updates are measured in. A row is printed as soon as it is
 * known, in a form for scripts; what it looks like in a table is their business.
 */
#ifndef KEEL_BENCH_H
#define KEEL_BENCH_H

#include "keel_test.h"
#include "guest.h"

#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))

#define MAX_SAMPLES	4096

/* The first MAX_SAMPLES values; what comes later is not kept. */
struct samples {
	u32 count;
	u64 value[MAX_SAMPLES];
};

static inline u64 ticks(void)
{
	u32 lo, hi;

	asm volatile("rdtsc" : "=a"(lo), "=d"(hi) : : "memory");
	return (u64)hi << 32 | lo;
}

static inline void sample(struct samples *s, u64 value)
{
	if (s->count < MAX_SAMPLES)
		s->value[s->count++] = value;
}

/* How often something is worth doing: @least times, then until time is up or @most. */
struct budget {
	u64 start;
	u64 ticks;
	unsigned int least, most;
	unsigned int done;
};

bool again(struct budget *b);

/*
 * struct row - what a row is called
 * @group:	which part of the benchmark
 * @name:	what was done
 * @setting:	among what, or ""
 * @unit:	NULL: ticks
 * @goal:	"x0.20": at most that part of upstream's; "<20": less than that;
 *		NULL: none
 */
struct row {
	const char *group;
	const char *name;
	const char *setting;
	const char *unit;
	const char *goal;
};

/* Print median, 99th percentile and maximum; "-" without samples. Empties @s. */
void print_row(const struct row *row, struct samples *s);

/* Where things lie in a scene, all below 4 GiB, where gva equals gpa. */
#define MAPPED_GPA	0x40000000UL	/* RAM that no update names */
#define CHANGING_GPA	0x50000000UL	/* where a slot comes and goes */
#define MOVED_GPA	0x50400000UL	/* where it is moved to */
#define SPREAD_GPA	0x60000000UL	/* many slots of one page, with a gap after each */
#define CACHED_GPA	0x80000000UL	/* MMIO whose verdicts are cached */
#define MAX_SPINNERS	4
#define MAX_SLOTS	32000

/*
 * struct scene - a VM in which one slot changes while others stand around
 * @toucher:	a vCPU that touches all that shall be mapped or cached
 * @slots:	how many there are besides the one that changes
 */
struct scene {
	struct vm *vm;
	struct vcpu *toucher;
	void *changing;
	u8 *mapped;
	u8 *spread;
	u64 pages, mmio;
	unsigned int slots;
	unsigned int spinners;
	struct spinner *spinner[MAX_SPINNERS];
};

struct scene *scene_open(void);
void scene_close(struct scene *sc);
/* Have @n slots; each new one is timed into @s unless that is NULL. */
void scene_add_slots(struct scene *sc, unsigned int n, struct samples *s);
/* Have @pages of RAM mapped and @mmio verdicts cached at every scene_refresh(). */
void scene_map(struct scene *sc, u64 pages);
void scene_cache(struct scene *sc, u64 mmio);
void scene_refresh(struct scene *sc);
/* Have @n vCPUs that run in threads of their own and write to memory all the time. */
void scene_spin(struct scene *sc, unsigned int n);
/* What a spinner has done so far, and the nanoseconds of CPU time it took. */
u64 scene_progress(struct scene *sc, unsigned int spinner, u64 *cpu_time);

/* Ticks of one update of a slot; -errno in *@err if it was refused. */
u64 timed_update(struct vm *vm, const struct kvm_userspace_memory_region *region, int *err);

/* updates.c: time every kind of update in @sc, with @setting in the rows. */
void measure_updates(struct scene *sc, const char *group, const char *setting, struct samples *s);

/* One function for each group of rows. */
void bench_exits(struct samples *s);
void bench_updates(struct samples *s);
void bench_slots(struct samples *s);
void bench_doorbells(struct samples *s);
void bench_dirty(struct samples *s);
void bench_witness(struct samples *s);

#endif
