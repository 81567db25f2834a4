// SPDX-License-Identifier: GPL-2.0
/*
 * Snapshots of memory slots against a naive oracle: an array of slots that is
 * searched from end to end. Random updates of one or more changes, some of
 * which run out of memory half way; after each, the snapshot answers as the
 * oracle does, older snapshots answer as they did, and nothing is leaked or
 * used after it was freed (the address sanitizer says so).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "memslot.h"
#include "tap.h"

#define IDS		48
#define SPACE		512	/* gfns that slots are put into */
#define HVA_SPACE	768	/* pages of hva: slots overlap there now and then */
#define HISTORY		4	/* snapshots that are kept alive behind the newest */
#define UPDATES		60000

/* Allocations until the next one fails; negative: never. */
static long fuse = -1;
static bool fuse_blown;
static long live;
static struct memslot_pool pool;

void *memslot_alloc(size_t size)
{
	if (!fuse) {
		fuse_blown = true;
		return NULL;
	}
	if (fuse > 0)
		fuse--;
	live++;
	return malloc(size);
}

void memslot_free(void *p)
{
	live -= p ? 1 : 0;
	free(p);
}

static u64 seed = 0x9e3779b97f4a7c15;

static unsigned int below(unsigned int n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (seed >> 32) % n;
}

/* The oracle: slot[id].npages is 0 where there is none. */
struct oracle {
	struct keel_memslot slot[IDS];
	u64 generation;
};

struct version {
	struct keel_memslots *set;
	struct oracle oracle;
	struct slot_object *garbage;	/* to be freed when this version is no longer read */
};

static bool same(const struct keel_memslot *a, const struct keel_memslot *b)
{
	if (!a || !b)
		return !a && !b;
	return a->base == b->base && a->npages == b->npages && a->hva == b->hva &&
	       a->flags == b->flags && a->id == b->id && a->as == b->as;
}

static const struct keel_memslot *oracle_find(const struct oracle *o, gfn_t gfn)
{
	for (int i = 0; i < IDS; i++)
		if (memslot_has(&o->slot[i], gfn))
			return &o->slot[i];
	return NULL;
}

static const struct keel_memslot *oracle_overlap(const struct oracle *o, gfn_t base, u64 npages)
{
	const struct keel_memslot *best = NULL;

	for (int i = 0; i < IDS; i++) {
		const struct keel_memslot *s = &o->slot[i];

		if (s->npages && s->base < base + npages && base < s->base + s->npages)
			if (!best || s->base > best->base)
				best = s;
	}
	return best;
}

struct visits {
	unsigned int count;
	bool seen[IDS];
	bool ordered;
	hva_t last;
};

static void note_visit(const struct keel_memslot *slot, void *arg)
{
	struct visits *v = arg;

	v->count++;
	v->seen[slot->id] = true;
	v->ordered &= slot->hva >= v->last;
	v->last = slot->hva;
}

static bool visits_agree(const struct version *v, hva_t start, hva_t end)
{
	struct visits visits = { .ordered = true };
	unsigned int expected = 0;

	memslots_visit_hva(v->set, start, end, note_visit, &visits);
	for (int i = 0; i < IDS; i++) {
		const struct keel_memslot *s = &v->oracle.slot[i];
		hva_t slot_end = s->hva + (s->npages << KEEL_PAGE_SHIFT);
		bool hit = s->npages && s->hva < end && start < slot_end;

		if (hit != visits.seen[i])
			return false;
		expected += hit;
	}
	return visits.ordered && visits.count == expected;
}

static unsigned int oracle_count(const struct oracle *o)
{
	unsigned int count = 0;

	for (int i = 0; i < IDS; i++)
		count += o->slot[i].npages != 0;
	return count;
}

/* Everything that can be asked of a snapshot. */
static bool agree(const struct version *v, bool thorough)
{
	unsigned int samples = thorough ? SPACE : 8;

	if (memslots_generation(v->set) != v->oracle.generation)
		return false;
	if (memslots_count(v->set) != oracle_count(&v->oracle))
		return false;
	for (unsigned int i = 0; i < samples; i++) {
		gfn_t gfn = thorough ? i : below(SPACE);
		u64 npages = 1 + below(40);
		hva_t start = (hva_t)below(HVA_SPACE) * KEEL_PAGE_SIZE + below(2) * 100;

		if (!same(memslots_find(v->set, gfn), oracle_find(&v->oracle, gfn)))
			return false;
		if (!same(memslots_overlap(v->set, gfn, npages),
			  oracle_overlap(&v->oracle, gfn, npages)))
			return false;
		if (!visits_agree(v, start, start + 1 + below(20 * KEEL_PAGE_SIZE)))
			return false;
	}
	return true;
}

/* A slot for @id that overlaps nothing of @o, or one with npages 0. */
static struct keel_memslot random_slot(const struct oracle *o, unsigned int id)
{
	struct keel_memslot s = {
		.base = below(SPACE - 32),
		.npages = 1 + below(32),
		.hva = (hva_t)below(HVA_SPACE - 32) * KEEL_PAGE_SIZE,
		.flags = below(2) * 2,
		.id = id,
	};

	if (oracle_overlap(o, s.base, s.npages))
		s.npages = 0;
	return s;
}

/* What memory.c keeps in its index: the slot of an id, found by its place. */
static const struct keel_memslot *current(const struct keel_memslots *set, const struct oracle *o,
					  unsigned int id)
{
	return o->slot[id].npages ? memslots_find(set, o->slot[id].base) : NULL;
}

/* Build the next version with up to @changes changes. False: out of memory, nothing changed. */
static bool update(struct version *next, struct version *now, unsigned int changes)
{
	struct memslot_update u;

	next->oracle = now->oracle;
	next->oracle.generation |= KEEL_GEN_UPDATE_IN_PROGRESS;
	if (memslots_begin(&u, &pool, now->set))
		return false;
	while (changes--) {
		unsigned int id = below(IDS);
		const struct keel_memslot *old = current(u.next, &next->oracle, id);
		struct keel_memslot wanted;

		if (old && memslots_remove(&u, old))
			goto abort;
		next->oracle.slot[id].npages = 0;
		wanted = random_slot(&next->oracle, id);
		if (!wanted.npages || (old && below(3)))
			continue;
		if (!memslots_insert(&u, &wanted))
			goto abort;
		next->oracle.slot[id] = wanted;
	}
	next->set = u.next;
	memslots_commit(&u);
	/* Of several updates together, as often as not. */
	if (below(2))
		now->garbage = memslots_take_retired(&pool);
	return true;
abort:
	memslots_abort(&u);
	return false;
}

/* All that is in the pool but what is retired, which older snapshots still refer to. */
static void drop_spares(void)
{
	struct slot_object *retired = pool.retired;
	unsigned int n = pool.nr_retired;

	pool.retired = NULL;
	memslots_drain(&pool);
	pool.retired = retired;
	pool.nr_retired = n;
}

static void test_random(void)
{
	struct version v[HISTORY] = {};
	unsigned long failed = 0, done = 0;
	bool right = true, kept = true, clean = true;
	unsigned int at = 0;

	v[0].set = memslots_new(1);
	v[0].oracle.generation = 2;
	for (unsigned int n = 0; right && kept && clean && n < UPDATES; n++) {
		unsigned int next = (at + 1) % HISTORY;
		long before;

		memslots_reuse(&pool, v[next].garbage);
		v[next] = (struct version){};
		/* Spares would keep the fuse from blowing. */
		if (below(2))
			drop_spares();
		before = live - pool.count;
		fuse = below(4) ? -1 : (long)below(40);
		fuse_blown = false;
		if (!update(&v[next], &v[at], below(4) ? 1 : 1 + below(16))) {
			fuse = -1;
			clean = live - pool.count == before && fuse_blown;
			v[next] = (struct version){};
			right = agree(&v[at], false);
			failed++;
			continue;
		}
		fuse = -1;
		right = agree(&v[next], n % 64 == 0);
		memslots_settle(v[next].set);
		v[next].oracle.generation = (v[next].oracle.generation & ~1ULL) + KEEL_GEN_STEP;
		right &= agree(&v[next], false);
		/* Readers of older snapshots are not disturbed. */
		for (unsigned int i = 0; i < HISTORY; i++)
			if (v[i].set)
				kept &= agree(&v[i], false);
		at = next;
		done++;
	}
	tap_ok(right, "random updates: the snapshot answers as the oracle does");
	tap_ok(kept, "random updates: older snapshots answer as before");
	tap_ok(clean, "random updates: only lack of memory fails, and leaves nothing behind");
	tap_note("%lu updates, %lu out of memory", done, failed);
	for (unsigned int i = 0; i < HISTORY; i++)
		if (i != at)
			memslots_reuse(&pool, v[i].garbage);
	memslots_destroy(v[at].set);
	memslots_drain(&pool);
	tap_ok(!live, "destroy frees everything");
}

/* Allocations that one more slot costs: the path in both trees, the slot, the set. */
static long cost_of_adding(struct keel_memslots **set, const struct keel_memslot *slot)
{
	struct memslot_update u;
	long before, cost;

	memslots_drain(&pool);
	before = live;

	if (memslots_begin(&u, &pool, *set) || !memslots_insert(&u, slot))
		exit(1);
	cost = live - before;
	*set = u.next;
	memslots_commit(&u);
	return cost;
}

/*
 * In an order that degenerates a tree which does not balance: by gfn from one
 * end; by hva so too, but each three as 2, 0, 1, which takes double rotations.
 */
static void test_full(void)
{
	struct keel_memslots *set = memslots_new(0);
	struct keel_memslot slot = { .npages = 2 };
	const struct keel_memslot *found;
	bool all = true;
	long worst = 0;

	for (unsigned int id = 0; id < KEEL_MAX_SLOTS; id++) {
		long cost;

		slot.id = id;
		slot.base = 4 * id;
		slot.hva = (hva_t)(id % 3 ? id - 1 : id + 2) * 4 * KEEL_PAGE_SIZE;
		cost = cost_of_adding(&set, &slot);
		if (cost > worst)
			worst = cost;
	}
	for (unsigned int id = 0; id < KEEL_MAX_SLOTS; id++) {
		found = memslots_find(set, 4 * id + 1);
		all &= found && found->id == id && !memslots_find(set, 4 * id + 2);
	}
	tap_ok(memslots_count(set) == KEEL_MAX_SLOTS && all,
	       "%d slots: each is found, gaps are not", KEEL_MAX_SLOTS);
	/* Filled like this, each tree is as flat as can be: a path of 15 nodes, one to rotate. */
	tap_ok(worst <= 2 + 2 * (15 + 1), "%d slots: adding one allocates %ld objects at most",
	       KEEL_MAX_SLOTS, worst);
	memslots_destroy(set);
	memslots_drain(&pool);
	tap_ok(!live, "%d slots: destroy frees everything", KEEL_MAX_SLOTS);
}

static void test_generation(void)
{
	struct keel_memslots *a = memslots_new(0), *b = memslots_new(1);
	bool apart = true, even = true;
	struct memslot_update u;

	tap_ok(memslots_generation(a) == 0 && memslots_generation(b) == 2,
	       "generation: address space i starts at 2 * i");
	for (unsigned int i = 0; i < 1000; i++) {
		apart &= memslots_generation(a) % KEEL_GEN_STEP == 0;
		apart &= memslots_generation(b) % KEEL_GEN_STEP == 2;
		memslots_settle(a);
		memslots_settle(b);
		even &= !(memslots_generation(a) & KEEL_GEN_UPDATE_IN_PROGRESS);
	}
	tap_ok(apart, "generation: two address spaces never share a number");
	tap_ok(even, "generation: settled means without the flag");
	if (memslots_begin(&u, &pool, a))
		exit(1);
	tap_ok(memslots_generation(u.next) == (memslots_generation(a) | 1),
	       "generation: the next snapshot starts as the old number with the flag");
	memslots_abort(&u);
	memslots_destroy(a);
	memslots_destroy(b);
	memslots_drain(&pool);
}

static void test_edges(void)
{
	struct keel_memslots *set = memslots_new(0);
	struct keel_memslot low = { .npages = 1, .hva = 0x1000, .id = 5 };
	struct keel_memslot high = { .npages = 1, .hva = 0x1000, .id = 6 };
	struct memslot_update u;

	low.base = 0;
	high.base = (1ULL << 40) - 1;
	cost_of_adding(&set, &low);
	cost_of_adding(&set, &high);
	tap_ok(memslots_find(set, 0) && memslots_find(set, (1ULL << 40) - 1),
	       "edges: the first and the last gfn are found");
	tap_ok(!memslots_find(set, 1) && !memslots_find(set, 1ULL << 40) &&
	       !memslots_find(set, INVALID_GFN), "edges: their neighbours are not");
	tap_ok(!memslots_overlap(set, 1, (1ULL << 40) - 2) && memslots_overlap(set, 1, 1ULL << 40),
	       "edges: ranges that touch do not overlap");
	if (memslots_begin(&u, &pool, set))
		exit(1);
	tap_ok(memslots_remove(&u, &low) == -ENOENT, "edges: a slot is itself, not its equal");
	memslots_abort(&u);
	memslots_destroy(set);
	memslots_drain(&pool);
}

int main(void)
{
	test_generation();
	test_edges();
	test_full();
	test_random();
	return tap_done();
}
