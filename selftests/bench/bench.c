// SPDX-License-Identifier: GPL-2.0
/*
 * keel-bench [GROUP...]: how many ticks of the TSC the device's operations
 * take. Owns the list of groups and the form of a row; what is measured is
 * told by the groups' own files.
 */
#include "bench.h"

static const struct group {
	const char *name;
	void (*run)(struct samples *s);
} groups[] = {
	{ "exits", bench_exits },
	{ "updates", bench_updates },
	{ "witness", bench_witness },
	{ "slots", bench_slots },
	{ "doorbells", bench_doorbells },
	{ "dirty", bench_dirty },
};

bool again(struct budget *b)
{
	if (!b->done)
		b->start = ticks();
	if (b->done >= b->most)
		return false;
	return b->done++ < b->least || ticks() - b->start < b->ticks;
}

static int by_value(const void *a, const void *b)
{
	u64 x = *(const u64 *)a;
	u64 y = *(const u64 *)b;

	return (x > y) - (x < y);
}

static u64 percentile(const struct samples *s, unsigned int percent)
{
	return s->value[((u64)(s->count - 1) * percent + 50) / 100];
}

void print_row(const struct row *row, struct samples *s)
{
	printf("row;%s;%s;%s;%s;%s;%s;%u;", dev_is_keel() ? "keel" : "kvm-intel", row->group,
	       row->name, row->setting, row->unit ? row->unit : "ticks",
	       row->goal ? row->goal : "", s->count);
	if (s->count) {
		qsort(s->value, s->count, sizeof(s->value[0]), by_value);
		printf("%lu;%lu;%lu\n", percentile(s, 50), percentile(s, 99),
		       s->value[s->count - 1]);
	} else {
		printf("-;-;-\n");
	}
	fflush(stdout);
	s->count = 0;
}

static bool chosen(const char *name, int argc, char **argv)
{
	int i;

	for (i = 1; i < argc; i++)
		if (!strcmp(argv[i], name))
			return true;
	return argc == 1;
}

int main(int argc, char **argv)
{
	struct samples *s = calloc(1, sizeof(*s));
	unsigned int i;

	CHECK(s, "out of memory");
	for (i = 0; i < ARRAY_SIZE(groups); i++)
		if (chosen(groups[i].name, argc, argv))
			groups[i].run(s);
	free(s);
	return 0;
}
