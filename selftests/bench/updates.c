// SPDX-License-Identifier: GPL-2.0
/*
 * What an update of the memory slots costs, by what it is and by what the
 * update does not name: slots, mapped pages, cached MMIO verdicts, busy vCPUs.
 * What many at once cost, where upstream makes one after the other. An update
 * that the device refuses gives a row without figures.
 */
#include <linux/keel.h>
#include "bench.h"

#define SIZE		HUGE
#define BUDGET		20000000UL	/* ticks for a setting, where more does not help */

enum {
	ADD, DELETE, MOVE, READONLY, DIRTY_LOG, GROW, SHRINK, KINDS
};

static const char *const names[KINDS] = {
	[ADD] = "add", [DELETE] = "delete", [MOVE] = "move",
	[READONLY] = "read-only on or off", [DIRTY_LOG] = "dirty log on or off",
	[GROW] = "grow", [SHRINK] = "shrink",
};

/* One of these at a time is not 0. */
static const struct setting {
	const char *name;
	u64 pages, mmio;
	unsigned int spinners;
} settings[] = {
	{ "nothing else" },
	{ "64 pages mapped", .pages = 64 },
	{ "16 MiB mapped", .pages = 4096 },
	{ "64 MiB mapped", .pages = 16384 },
	{ "256 MiB mapped", .pages = 65536 },
	{ "64 verdicts", .mmio = 64 },
	{ "2,048 verdicts", .mmio = 2048 },
	{ "32,768 verdicts", .mmio = 32768 },
	{ "1 vCPU busy", .spinners = 1 },
	{ "2 vCPUs busy", .spinners = 2 },
	{ "4 vCPUs busy", .spinners = 4 },
};

struct kinds {
	struct scene *sc;
	struct samples s[KINDS];
};

/* The changing slot as it is wanted; timed as @kind. */
static int change(struct kinds *k, int kind, u64 gpa, u64 size, u32 flags)
{
	struct kvm_userspace_memory_region region = {
		.slot = 1,
		.flags = flags,
		.guest_phys_addr = gpa,
		.memory_size = size,
		.userspace_addr = (unsigned long)k->sc->changing,
	};
	int err;
	u64 took = timed_update(k->sc->vm, &region, &err);

	if (!err)
		sample(&k->s[kind], took);
	return err;
}

static void must_change(struct kinds *k, int kind, u64 gpa, u64 size)
{
	int err = change(k, kind, gpa, size, 0);

	CHECK(!err, "%s: %s", names[kind], strerror(-err));
}

/* Upstream forgets every mapping of the VM with a slot: they are put back each time. */
static void add_and_delete(struct kinds *k)
{
	scene_refresh(k->sc);
	must_change(k, ADD, CHANGING_GPA, SIZE);
	must_change(k, DELETE, CHANGING_GPA, 0);
}

static void add_and_move(struct kinds *k)
{
	u32 deletions = k->s[DELETE].count;

	scene_refresh(k->sc);
	must_change(k, ADD, CHANGING_GPA, SIZE);
	must_change(k, MOVE, MOVED_GPA, SIZE);
	must_change(k, DELETE, MOVED_GPA, 0);
	/* Another move is in between: not what is called a deletion here. */
	k->s[DELETE].count = deletions;
}

/* There and back; what is refused on the way there leaves the slot as it was. */
static void change_in_place(struct kinds *k)
{
	if (!change(k, READONLY, CHANGING_GPA, SIZE, KVM_MEM_READONLY))
		change(k, READONLY, CHANGING_GPA, SIZE, 0);
	if (!change(k, DIRTY_LOG, CHANGING_GPA, SIZE, KVM_MEM_LOG_DIRTY_PAGES))
		change(k, DIRTY_LOG, CHANGING_GPA, SIZE, 0);
	if (!change(k, SHRINK, CHANGING_GPA, SIZE / 2, 0))
		change(k, GROW, CHANGING_GPA, SIZE, 0);
}

static void print_kinds(struct kinds *k, const char *group, const char *setting)
{
	struct row row = { .group = group, .setting = setting };
	int i;

	for (i = 0; i < KINDS; i++) {
		/* That there is no such update is worth a row once. */
		if (!k->s[i].count && strcmp(setting, settings[0].name))
			continue;
		row.name = names[i];
		row.goal = NULL;
		if (i == ADD)
			row.goal = "x0.20";
		if (i == DELETE || i == MOVE)
			row.goal = k->sc->pages ? "x0.10" : "x1.00";
		print_row(&row, &k->s[i]);
	}
}

void measure_updates(struct scene *sc, const char *group, const char *setting, struct samples *s)
{
	struct kinds *k = calloc(1, sizeof(*k));
	struct budget budget = { .ticks = BUDGET, .least = 2, .most = 100 };
	unsigned int i;

	CHECK(k, "out of memory");
	k->sc = sc;
	while (again(&budget)) {
		add_and_delete(k);
		add_and_move(k);
	}
	vm_set_slot(sc->vm, 1, 0, CHANGING_GPA, SIZE, sc->changing);
	for (i = 0; i < 20; i++)
		change_in_place(k);
	vm_set_slot(sc->vm, 1, 0, CHANGING_GPA, 0, sc->changing);
	print_kinds(k, group, setting);
	free(k);
}

/* --- many changes ---------------------------------------------------------- */

#define MOST		128
#define BATCH_FIRST	30000		/* ids */
#define BATCH_GPA	0x54000000UL

struct batch {
	struct keel_memory_regions head;
	struct kvm_userspace_memory_region room[MOST];
};

static void describe(struct batch *b, struct scene *sc, unsigned int n, u64 size)
{
	unsigned int i;

	b->head.nr = n;
	for (i = 0; i < n; i++)
		b->head.regions[i] = (struct kvm_userspace_memory_region){
			.slot = BATCH_FIRST + i,
			.guest_phys_addr = BATCH_GPA + 2 * i * PAGE,
			.memory_size = size,
			.userspace_addr = (unsigned long)sc->changing + i * PAGE,
		};
}

/* As one where the device can; one after the other where it cannot. */
static u64 timed_batch(struct scene *sc, struct batch *b)
{
	u64 start = ticks(), took;
	unsigned int i;
	int err;

	if (vm_has(sc->vm, KEEL_CAP_MEMORY_REGIONS)) {
		start = ticks();
		err = __vm_ioctl(sc->vm, KEEL_SET_MEMORY_REGIONS, b);
		took = ticks() - start;
		CHECK(!err, "batch: %s", strerror(-err));
		return took;
	}
	for (i = 0, took = 0; i < b->head.nr; i++) {
		took += timed_update(sc->vm, &b->head.regions[i], &err);
		CHECK(!err, "change %u: %s", i, strerror(-err));
	}
	return took;
}

static void bench_batches(struct samples *s)
{
	static const unsigned int sizes[] = { 2, 16, MOST };
	struct row row = { .group = "updates", .goal = "x0.20" };
	struct samples *gone = calloc(1, sizeof(*gone));
	struct scene *sc = scene_open();
	struct batch *b = calloc(1, sizeof(*b));
	char setting[32];
	unsigned int i, round;

	CHECK(gone && b, "out of memory");
	scene_map(sc, 64);
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (round = 0; round < 5; round++) {
			scene_refresh(sc);
			describe(b, sc, sizes[i], PAGE);
			sample(s, timed_batch(sc, b));
			describe(b, sc, sizes[i], 0);
			sample(gone, timed_batch(sc, b));
		}
		snprintf(setting, sizeof(setting), "%u slots, 64 pages mapped", sizes[i]);
		row.setting = setting;
		row.name = "add as one";
		print_row(&row, s);
		row.name = "delete as one";
		print_row(&row, gone);
	}
	scene_close(sc);
	free(gone);
	free(b);
}

void bench_updates(struct samples *s)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(settings); i++) {
		struct scene *sc = scene_open();

		if (settings[i].pages)
			scene_map(sc, settings[i].pages);
		scene_cache(sc, settings[i].mmio);
		scene_spin(sc, settings[i].spinners);
		measure_updates(sc, "updates", settings[i].name, s);
		scene_close(sc);
	}
	bench_batches(s);
}
