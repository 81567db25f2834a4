// SPDX-License-Identifier: GPL-2.0
/*
 * What a vCPU loses that has nothing to do with the slots that change: how much
 * less it does in the same CPU time while another slot comes and goes. The
 * CPU time that the updates themselves take is not its loss.
 */
#include <time.h>
#include "bench.h"

#define PAGES		64		/* that the witness writes to all the time */
#define ROUNDS		9
#define UPDATES		10		/* in a round */
#define PAUSE_NS	5000000		/* between two updates */

static void pause_a_while(void)
{
	struct timespec ts = { .tv_nsec = PAUSE_NS };

	nanosleep(&ts, NULL);
}

/* Steps of the witness in a second of its CPU time. */
static u64 witness_speed(struct scene *sc, bool disturb)
{
	u64 steps, time, steps_after, time_after;
	int i;

	steps = scene_progress(sc, 0, &time);
	for (i = 0; i < UPDATES; i++) {
		pause_a_while();
		if (disturb)
			vm_set_slot(sc->vm, 1, 0, CHANGING_GPA, HUGE, sc->changing);
		pause_a_while();
		if (disturb)
			vm_set_slot(sc->vm, 1, 0, CHANGING_GPA, 0, sc->changing);
	}
	pause_a_while();
	steps_after = scene_progress(sc, 0, &time_after);
	return (steps_after - steps) * 1000000000UL / (time_after - time);
}

void bench_witness(struct samples *s)
{
	static const struct row row = {
		.group = "witness", .name = "speed lost to updates elsewhere",
		.setting = "200 updates a second", .unit = "permille", .goal = "<20",
	};
	struct scene *sc = scene_open();
	u64 alone, disturbed;
	int i;

	scene_map(sc, PAGES);
	scene_spin(sc, 1);
	witness_speed(sc, true);
	for (i = 0; i < ROUNDS; i++) {
		alone = witness_speed(sc, false);
		disturbed = witness_speed(sc, true);
		sample(s, disturbed < alone ? 1000 - disturbed * 1000 / alone : 0);
	}
	print_row(&row, s);
	scene_close(sc);
}
