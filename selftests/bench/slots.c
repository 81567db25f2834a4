// SPDX-License-Identifier: GPL-2.0
/*
 * Many slots: what it costs to set them up, to look among them, to change one
 * more, and to take them all down. All in one VM that grows.
 */
#include "bench.h"

#define LOOKUPS		200

/* Of the guest's copy of this program. */
static volatile struct {
	u64 first, step, count;
	u64 took[LOOKUPS];
} guest_lookup;

/* Touch a page of each slot that is asked for, then a gap behind it. */
static void guest_look_up(void)
{
	u64 i, gpa, start;

	for (;;) {
		for (i = 0; i < guest_lookup.count; i++) {
			gpa = SPREAD_GPA + 2 * PAGE * (guest_lookup.first + i * guest_lookup.step);
			start = ticks();
			guest_write32(gpa, 1);
			guest_lookup.took[i] = ticks() - start;
		}
		guest_sync(0);
		for (i = 0; i < guest_lookup.count; i++)
			guest_write32(SPREAD_GPA + PAGE + 2 * PAGE *
				      (guest_lookup.first + i * guest_lookup.step), 1);
		guest_sync(1);
	}
}

static void time_mmio(struct vcpu *vcpu, struct samples *s)
{
	u64 start, took;

	for (;;) {
		start = ticks();
		vcpu_run(vcpu);
		took = ticks() - start;
		if (vcpu->run->exit_reason != KVM_EXIT_MMIO)
			break;
		sample(s, took);
	}
	CHECK(vcpu_decode(vcpu) == GUEST_SYNC, "exit %u", vcpu->run->exit_reason);
}

/* Look among sc->slots slots, the ones from @first on being new. */
static void measure_lookups(struct scene *sc, struct vcpu *vcpu, unsigned int first,
			    const char *setting, struct samples *s)
{
	struct row row = { .group = "slots", .setting = setting, .goal = "x1.00" };
	u64 i, span = sc->slots - first;
	u64 count = span < LOOKUPS ? span : LOOKUPS;
	typeof(guest_lookup) *lookup = &GUEST_VAR(sc->vm, guest_lookup);

	lookup->first = first;
	lookup->step = span / count;
	lookup->count = count;
	for (i = 0; i < count; i++)
		sc->spread[(first + i * lookup->step) * PAGE] = 1;
	vcpu_sync(vcpu);
	for (i = 0; i < count; i++)
		sample(s, lookup->took[i]);
	row.name = "EPT violation in one of the slots";
	print_row(&row, s);
	time_mmio(vcpu, s);
	row.name = "MMIO write between the slots, not seen before";
	print_row(&row, s);
}

void bench_slots(struct samples *s)
{
	static const struct stage {
		unsigned int slots;
		const char *name;
	} stages[] = {
		{ 100, "100 slots" },
		{ 10000, "10,000 slots" },
		{ MAX_SLOTS, "32,000 slots" },
	};
	struct row row = { .group = "slots", .goal = "x1.00" };
	struct scene *sc = scene_open();
	struct vcpu *vcpu = vcpu_create(sc->vm, 5, guest_look_up);
	unsigned int i, before;
	u64 start;

	for (i = 0; i < ARRAY_SIZE(stages); i++) {
		before = sc->slots;
		scene_add_slots(sc, stages[i].slots - 50, NULL);
		scene_add_slots(sc, stages[i].slots, s);
		row.name = "set-up, one more slot";
		row.setting = stages[i].name;
		row.goal = "x0.20";
		print_row(&row, s);
		measure_lookups(sc, vcpu, before, stages[i].name, s);
		measure_updates(sc, "slots", stages[i].name, s);
	}
	vcpu_free(vcpu);
	start = ticks();
	scene_close(sc);
	sample(s, ticks() - start);
	row.name = "end of the VM";
	row.goal = "x1.00";
	print_row(&row, s);
}
