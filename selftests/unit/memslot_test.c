// SPDX-License-Identifier: GPL-2.0
/*
 * Compare snapshots of memslots with a naive oracle: an array of slots that is
 * searched linearly. Random updates of one or more changes, some of which run out
 * of memory half way; after each, the snapshot answers as the oracle does, older
 * snapshots still answer as before, and nothing is leaked or used after it was freed
 * (the address sanitizer checks that, and spare objects in the pool are overwritten).
 * The trees are also checked from inside, after changes that split, fill, merge,
 * raise and lower nodes at every fill.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../../kmod/memslot.c"
#include "tap.h"

#define IDS		600	/* at most */
#define SPACE		(11 * ids)	/* gfns in which slots are placed */
#define HVA_SPACE	(16 * ids)	/* pages of hva; slots overlap there now and then */
#define HISTORY		4	/* snapshots that are kept alive behind the newest */

/* Number of allocations until one fails; negative: none fails. */
static long fuse = -1;
static bool fuse_blown;
static long live;
static struct memslot_pool pool;
static int ids;

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

static long spares(void)
{
	long n = 0;

	for (int kind = 0; kind < NR_SLOT_OBJECTS; kind++)
		n += pool.count[kind];
	return n;
}

/* Overwrite spare objects, so that a remaining user fails. */
static void scribble(void)
{
	for (int kind = 0; kind < NR_SLOT_OBJECTS; kind++)
		for (struct slot_object *o = pool.spare[kind]; o; o = o->next)
			memset(o + 1, 0xa5, object_size[kind] - sizeof(*o));
}

static u64 seed = 0x9e3779b97f4a7c15;

static unsigned int below(unsigned int n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (seed >> 32) % n;
}

/* --- the trees from inside ------------------------------------------------ */

static bool entry_right(const struct slot_entry *e, unsigned int level, int tree)
{
	struct slot_entry right = { .key = NO_KEY };

	if (!level) {
		right = entry_of_slot(tree, e->slot);
		return e->key == right.key && e->end == right.end;
	}
	for (unsigned int i = 0; i < e->child->count; i++) {
		const struct slot_entry *below = &e->child->e[i];

		right.key = below->key < right.key ? below->key : right.key;
		right.end = below->end > right.end ? below->end : right.end;
	}
	return e->child->level == level - 1 && e->child->count >= MIN &&
	       e->key == right.key && e->end == right.end;
}

/* Check the invariants of a tree. Counts slots and nodes below @n. */
static bool node_right(const struct slot_node *n, int tree, long *slots, long *nodes)
{
	bool right = n->count <= FANOUT && n->level <= MAX_LEVEL;

	for (unsigned int i = n->count; i < FANOUT; i++)
		right &= n->e[i].key == NO_KEY;
	for (unsigned int i = 0; right && i < n->count; i++) {
		right &= !i || n->e[i - 1].key < n->e[i].key;
		right &= entry_right(&n->e[i], n->level, tree);
		*(n->level ? nodes : slots) += 1;
		if (right && n->level)
			right &= node_right(n->e[i].child, tree, slots, nodes);
	}
	return right;
}

/* Number of nodes of both trees, or -1 if an invariant is broken. */
static long set_nodes(const struct keel_memslots *set)
{
	long nodes = 0;

	for (int tree = 0; tree < NR_TREES; tree++) {
		const struct slot_node *root = &set->root[tree];
		long slots = 0;

		if (root->level && root->count < 2)
			return -1;
		if (!node_right(root, tree, &slots, &nodes) || slots != set->count)
			return -1;
	}
	return nodes;
}

/* Check that @set is sound, and that only @set and the pool have allocations. */
static bool set_right(const struct keel_memslots *set)
{
	long nodes = set_nodes(set);

	return nodes >= 0 && live == spares() + nodes + set->count + 1;
}

/* --- updates of a set that only the newest snapshot is kept of ------------- */

static const struct keel_memslot *must_insert(struct memslot_update *u,
					      const struct keel_memslot *wanted)
{
	const struct keel_memslot *slot = memslots_insert(u, wanted);

	if (!slot)
		exit(1);
	return slot;
}

static void begin(struct memslot_update *u, struct keel_memslots *set)
{
	if (memslots_begin(u, &pool, set))
		exit(1);
}

static struct keel_memslots *commit(struct memslot_update *u)
{
	struct keel_memslots *set = u->next;

	memslots_commit(u);
	memslots_reuse(&pool, memslots_take_retired(&pool));
	scribble();
	return set;
}

static const struct keel_memslot *add(struct keel_memslots **set,
				      const struct keel_memslot *wanted)
{
	const struct keel_memslot *slot;
	struct memslot_update u;

	begin(&u, *set);
	slot = must_insert(&u, wanted);
	*set = commit(&u);
	return slot;
}

static bool delete(struct keel_memslots **set, const struct keel_memslot *slot)
{
	struct memslot_update u;
	bool done;

	begin(&u, *set);
	done = !memslots_remove(&u, slot);
	*set = commit(&u);
	return done;
}

static void discard(struct keel_memslots *set)
{
	memslots_destroy(set);
	memslots_drain(&pool);
}

/* --- the oracle ------------------------------------------------------------ */

/* The oracle: slot[id].npages is 0 if there is no such slot. */
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
	for (int i = 0; i < ids; i++)
		if (memslot_has(&o->slot[i], gfn))
			return &o->slot[i];
	return NULL;
}

static const struct keel_memslot *oracle_overlap(const struct oracle *o, gfn_t base, u64 npages)
{
	const struct keel_memslot *best = NULL;

	for (int i = 0; i < ids; i++) {
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
	for (int i = 0; i < ids; i++) {
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

	for (int i = 0; i < ids; i++)
		count += o->slot[i].npages != 0;
	return count;
}

/* Compare all answers of a snapshot with the oracle. */
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

/* Make a slot for @id that overlaps none of @o, or one with npages 0. */
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
	/* Some begin at one hva, some are long. */
	if (!below(8))
		s.hva = 64 * KEEL_PAGE_SIZE;
	return s;
}

/* Find the slot of an id by its place; memory.c has an index for that. */
static const struct keel_memslot *current(const struct keel_memslots *set, const struct oracle *o,
					  unsigned int id)
{
	return o->slot[id].npages ? memslots_find(set, o->slot[id].base) : NULL;
}

/*
 * Build the next version with up to @changes changes: of existing slots, one in
 * @churn is replaced, the others are removed. False if memory runs out; then
 * nothing has changed.
 */
static bool update(struct version *next, struct version *now, unsigned int changes,
		   unsigned int churn)
{
	struct memslot_update u;

	next->oracle = now->oracle;
	next->oracle.generation |= KEEL_GEN_UPDATE_IN_PROGRESS;
	if (memslots_begin(&u, &pool, now->set))
		return false;
	while (changes--) {
		unsigned int id = below(ids);
		const struct keel_memslot *old = current(u.next, &next->oracle, id);
		struct keel_memslot wanted;

		if (old && memslots_remove(&u, old))
			goto abort;
		next->oracle.slot[id].npages = 0;
		wanted = random_slot(&next->oracle, id);
		if (!wanted.npages || (old ? below(churn) : churn > 2 && below(3)))
			continue;
		if (!memslots_insert(&u, &wanted))
			goto abort;
		next->oracle.slot[id] = wanted;
	}
	next->set = u.next;
	memslots_commit(&u);
	/* Half of the time, take the retired objects of several updates together. */
	if (below(2))
		now->garbage = memslots_take_retired(&pool);
	return true;
abort:
	memslots_abort(&u);
	return false;
}

/* Free the spare objects of the pool, but not the retired ones, which older snapshots use. */
static void drop_spares(void)
{
	struct slot_object *retired = pool.retired;

	pool.retired = NULL;
	memslots_drain(&pool);
	pool.retired = retired;
}

static void test_random(int nr_ids, unsigned int updates)
{
	struct version *v = calloc(HISTORY, sizeof(*v));
	unsigned long failed = 0, done = 0;
	bool right = true, kept = true, clean = true, sound = true;
	unsigned int at = 0;

	ids = nr_ids;
	v[0].set = memslots_new(1);
	v[0].oracle.generation = 2;
	for (unsigned int n = 0; right && kept && clean && sound && n < updates; n++) {
		unsigned int next = (at + 1) % HISTORY;
		long before;

		memslots_reuse(&pool, v[next].garbage);
		memset(&v[next], 0, sizeof(v[next]));
		/* With spare objects in the pool no allocation would fail. */
		if (below(2))
			drop_spares();
		before = live - spares();
		fuse = below(4) ? -1 : (long)below(ids / 6);
		fuse_blown = false;
		if (!update(&v[next], &v[at], below(4) ? 1 : 1 + below(ids / 3),
			    1 + n / 100 % 4)) {
			fuse = -1;
			clean = live - spares() == before && fuse_blown;
			memset(&v[next], 0, sizeof(v[next]));
			right = agree(&v[at], false);
			failed++;
			continue;
		}
		fuse = -1;
		scribble();
		sound = set_nodes(v[next].set) >= 0;
		right = agree(&v[next], n % 256 == 0);
		memslots_settle(v[next].set);
		v[next].oracle.generation = (v[next].oracle.generation & ~1ULL) + KEEL_GEN_STEP;
		right &= agree(&v[next], false);
		/* Older snapshots still give the same answers. */
		for (unsigned int i = 0; i < HISTORY; i++)
			if (v[i].set)
				kept &= agree(&v[i], false);
		at = next;
		done++;
	}
	tap_ok(right, "random updates of %d ids: the snapshot answers as the oracle does", ids);
	tap_ok(kept, "random updates of %d ids: older snapshots answer as before", ids);
	tap_ok(sound, "random updates of %d ids: the trees are sound", ids);
	tap_ok(clean, "random updates of %d ids: only lack of memory fails, and leaves nothing",
	       ids);
	tap_note("%lu updates, %lu out of memory", done, failed);
	for (unsigned int i = 0; i < HISTORY; i++)
		if (i != at)
			memslots_reuse(&pool, v[i].garbage);
	discard(v[at].set);
	free(v);
	tap_ok(!live, "random updates of %d ids: destroy frees everything", ids);
}

/* --- shapes ---------------------------------------------------------------- */

#define PRIME		701	/* slots in these tests, at most */

/* The @i-th number of 0..PRIME-1, in one of several orders. */
enum order { ASCENDING, DESCENDING, SCATTERED, INWARD, OUTWARD, ORDERS };

static unsigned int nth(enum order order, unsigned int i)
{
	switch (order) {
	case ASCENDING:
		return i;
	case DESCENDING:
		return PRIME - 1 - i;
	case SCATTERED:
		return i * 331 % PRIME;
	case INWARD:
		return i % 2 ? PRIME - 1 - i / 2 : i / 2;
	default:
		return nth(INWARD, PRIME - 1 - i);
	}
}

/* The slot with this number: gfns ascend with it; hvas do too, unless @mixed. */
static struct keel_memslot numbered(unsigned int id, bool mixed)
{
	return (struct keel_memslot){
		.base = 4 * id,
		.npages = 2,
		.hva = (hva_t)(mixed ? id * 97 % PRIME : id) * 4 * KEEL_PAGE_SIZE,
		.id = id,
	};
}

/* Existing slots are found, as the same objects; missing ones are not. */
static bool all_found(const struct keel_memslots *set, const struct keel_memslot *const *slot)
{
	bool right = true;

	for (unsigned int id = 0; id < PRIME; id++) {
		right &= memslots_find(set, 4 * id) == slot[id];
		right &= memslots_find(set, 4 * id + 1) == slot[id];
		right &= !memslots_find(set, 4 * id + 2);
	}
	return right;
}

/* Remove each slot of @set in turn, or insert one after it, and check the result. */
static bool probe(struct keel_memslots *set, const struct keel_memslot *const *slot)
{
	unsigned int step = 1 + memslots_count(set) / 50;
	bool right = true;

	for (unsigned int id = 0; right && id < PRIME; id += slot[id] ? step : 1) {
		struct keel_memslot more = numbered(id, false);
		struct memslot_update u;

		if (!slot[id])
			continue;
		begin(&u, set);
		right &= !memslots_remove(&u, slot[id]) && set_nodes(u.next) >= 0;
		right &= !memslots_find(u.next, 4 * id);
		memslots_abort(&u);

		more.base += 2;
		more.hva += 2 * KEEL_PAGE_SIZE;
		more.id = id + PRIME;
		begin(&u, set);
		right &= memslots_find(u.next, more.base) != must_insert(&u, &more);
		right &= memslots_find(u.next, more.base) && set_nodes(u.next) >= 0;
		memslots_abort(&u);
	}
	return right && set_right(set);
}

static void test_every_fill(void)
{
	for (enum order order = 0; order <= SCATTERED; order++) {
		const struct keel_memslot *slot[PRIME] = {};
		struct keel_memslots *set = memslots_new(0);
		bool right = probe(set, slot);
		unsigned int deepest;

		for (unsigned int i = 0; i < PRIME && right; i++) {
			struct keel_memslot s = numbered(nth(order, i), i % 2);

			slot[s.id] = add(&set, &s);
			right = probe(set, slot);
		}
		deepest = set->root[BY_GFN].level;
		tap_ok(right, "every fill, order %d: add anywhere, remove any", order);
		tap_ok(right && deepest == 2, "every fill, order %d: three levels", order);
		for (unsigned int i = 0; i < PRIME && right; i++) {
			unsigned int id = nth(order, i);

			right = delete(&set, slot[id]);
			slot[id] = NULL;
			right &= probe(set, slot);
		}
		tap_ok(right, "every fill, order %d: the same on the way down", order);
		tap_ok(right && !set->root[BY_GFN].level && !set->root[BY_HVA].level,
		       "every fill, order %d: no level is left when no slot is", order);
		discard(set);
	}
}

static bool fill_and_empty(enum order in, enum order out, bool mixed)
{
	const struct keel_memslot *slot[PRIME] = {};
	struct keel_memslots *set = memslots_new(0);
	bool right = true;

	for (unsigned int i = 0; i < PRIME; i++) {
		struct keel_memslot s = numbered(nth(in, i), mixed);

		slot[s.id] = add(&set, &s);
		right &= i % 5 || set_right(set);
	}
	right &= all_found(set, slot);
	for (unsigned int i = 0; right && i < PRIME; i++) {
		right = delete(&set, slot[nth(out, i)]);
		slot[nth(out, i)] = NULL;
		right &= i % 5 || set_right(set);
		right &= i % 50 || all_found(set, slot);
	}
	right &= !set->count;
	discard(set);
	return right && !live;
}

static void test_orders(void)
{
	for (enum order in = 0; in < ORDERS; in++) {
		bool right = true;

		for (enum order out = 0; out < ORDERS; out++)
			right &= fill_and_empty(in, out, false) && fill_and_empty(in, out, true);
		tap_ok(right, "orders: fill in order %d, empty in any", in);
	}
}

/* One update: remove the slots from @first on, or insert them. */
static bool change_many(struct memslot_update *u, const struct keel_memslot **slot,
			unsigned int first, bool removal)
{
	for (unsigned int i = first; i < PRIME; i++) {
		unsigned int id = nth(SCATTERED, i);
		struct keel_memslot s = numbered(id, true);

		if (removal ? memslots_remove(u, slot[id]) : !memslots_insert(u, &s))
			return false;
	}
	return true;
}

/* Each allocation of a large update fails in turn. */
static void test_no_memory(void)
{
	const struct keel_memslot *slot[PRIME] = {};
	struct keel_memslots *set = memslots_new(0);
	bool right = true, done = false;
	struct memslot_update u;
	long rounds[2] = {};

	for (unsigned int i = 0; i < 3; i++) {
		struct keel_memslot s = numbered(nth(SCATTERED, i), true);

		slot[s.id] = add(&set, &s);
	}
	for (int removal = 0; removal < 2 && right; removal++) {
		for (rounds[removal] = 0, done = false; !done && right; rounds[removal]++) {
			memslots_drain(&pool);
			fuse = rounds[removal];
			fuse_blown = false;
			done = !memslots_begin(&u, &pool, set);
			if (done && !change_many(&u, slot, 3, removal)) {
				done = false;
				memslots_abort(&u);
			}
			fuse = -1;
			scribble();
			right = done || (fuse_blown && set_right(set) && all_found(set, slot));
		}
		if (!done)
			break;
		set = commit(&u);
		for (unsigned int i = 3; i < PRIME; i++) {
			unsigned int id = nth(SCATTERED, i);

			slot[id] = removal ? NULL : memslots_find(set, 4 * id);
		}
		right &= set_right(set) && all_found(set, slot);
	}
	tap_ok(right, "no memory: wherever it ends, the old snapshot is left as it was");
	tap_note("failed at each of %ld, then of %ld allocations", rounds[0] - 1, rounds[1] - 1);
	discard(set);
}

static void count_kinds(const struct slot_object *list, long *count)
{
	for (const struct slot_object *o = list; o; o = o->next)
		count[o->kind]++;
}

/* Many changes in one update: each node is copied once, each slot once. */
static void test_batch(void)
{
	const struct keel_memslot *slot[PRIME] = {}, *passing;
	struct keel_memslot s = numbered(PRIME, true);
	struct keel_memslots *set = memslots_new(0);
	long fresh[NR_SLOT_OBJECTS] = {}, garbage[NR_SLOT_OBJECTS] = {}, nodes;
	struct memslot_update u;
	bool right = true;

	for (unsigned int id = 0; id < PRIME; id++) {
		s = numbered(id, true);
		slot[id] = add(&set, &s);
	}
	nodes = set_nodes(set);
	begin(&u, set);
	for (unsigned int i = 0; i < 256; i++)
		right &= !memslots_remove(&u, slot[nth(SCATTERED, i)]);
	for (unsigned int i = 0; i < 256; i++) {
		s = numbered(nth(SCATTERED, i), true);
		slot[s.id] = must_insert(&u, &s);
	}
	s = numbered(PRIME, false);
	passing = must_insert(&u, &s);
	right &= !memslots_remove(&u, passing);
	count_kinds(u.fresh, fresh);
	count_kinds(u.garbage, garbage);
	right &= garbage[SLOT_SET] == 1 && garbage[SLOT_BOX] == 256 && garbage[NODE_BOX] <= nodes;
	set = commit(&u);
	tap_ok(right && set_right(set) && all_found(set, slot), "batch: 512 changes as one");
	tap_ok(fresh[SLOT_SET] == 1 && fresh[SLOT_BOX] == 257 &&
	       fresh[NODE_BOX] <= nodes + set_nodes(set), "batch: copies no node twice");
	discard(set);
}

/* --- by hva ---------------------------------------------------------------- */

static void count_visit(const struct keel_memslot *slot, void *arg)
{
	++*(unsigned int *)arg;
}

static unsigned int hits(const struct keel_memslots *set, hva_t start, hva_t end)
{
	unsigned int count = 0;

	memslots_visit_hva(set, start, end, count_visit, &count);
	return count;
}

/* All slots begin at one hva and no two end at the same: remove the longest, one by one. */
static void test_same_hva(void)
{
	const struct keel_memslot *slot[PRIME];
	struct keel_memslots *set = memslots_new(0);
	hva_t start = 16 * KEEL_PAGE_SIZE;
	bool right = true;

	for (unsigned int i = 0; i < PRIME; i++) {
		unsigned int length = nth(SCATTERED, i);
		struct keel_memslot s = {
			.base = (gfn_t)PRIME * i,
			.npages = 1 + length,
			.hva = start,
			.id = i,
		};

		slot[length] = add(&set, &s);
	}
	right &= hits(set, 0, start) == 0 && hits(set, 0, start + 1) == PRIME;
	for (unsigned int length = PRIME; length-- && right;) {
		hva_t last = start + length * KEEL_PAGE_SIZE;

		right &= hits(set, last, last + 1) == 1;
		right &= hits(set, last + KEEL_PAGE_SIZE, ~0ULL) == 0;
		right &= hits(set, start + length / 2 * KEEL_PAGE_SIZE, last) ==
			 (length ? length + 1 - length / 2 : 0);
		right &= delete(&set, slot[length]);
		right &= length % 10 || set_right(set);
	}
	tap_ok(right, "same hva: the range tells slots apart by their ends");
	discard(set);
}

static void test_hva_edges(void)
{
	hva_t top = (1ULL << 57) - 2 * KEEL_PAGE_SIZE;
	struct keel_memslot low = { .npages = 1, .id = KEEL_MAX_SLOTS - 1 };
	struct keel_memslot next = { .npages = 1, .hva = KEEL_PAGE_SIZE, .base = 2 };
	struct keel_memslot high = { .npages = 2, .hva = top, .base = 4, .id = 1 };
	struct keel_memslots *set = memslots_new(0);

	tap_ok(!hits(set, 0, ~0ULL), "hva edges: nothing in an empty set");
	add(&set, &high);
	add(&set, &next);
	add(&set, &low);
	tap_ok(hits(set, 0, ~0ULL) == 3 && hits(set, 0, 1ULL << 60) == 3,
	       "hva edges: all of the address space");
	tap_ok(!hits(set, 0, 0) && hits(set, 0, 1) == 1, "hva edges: nothing, the first byte");
	tap_ok(hits(set, 0, KEEL_PAGE_SIZE) == 1 && hits(set, 0, KEEL_PAGE_SIZE + 1) == 2 &&
	       hits(set, KEEL_PAGE_SIZE - 1, KEEL_PAGE_SIZE) == 1,
	       "hva edges: the range ends with a page, or a byte later");
	tap_ok(hits(set, 2 * KEEL_PAGE_SIZE, top) == 0 && hits(set, 1ULL << 56, top + 1) == 1 &&
	       hits(set, top + 2 * KEEL_PAGE_SIZE - 1, ~0ULL) == 1 &&
	       hits(set, top + 2 * KEEL_PAGE_SIZE, ~0ULL) == 0, "hva edges: the last pages");
	discard(set);
}

/* --- size ------------------------------------------------------------------ */

/* Number of allocations of one update with an empty pool. */
static long allocations(struct keel_memslots **set, const struct keel_memslot *slot, bool removal)
{
	struct memslot_update u;
	long before, cost;

	memslots_drain(&pool);
	before = live;
	begin(&u, *set);
	if (removal ? memslots_remove(&u, slot) : !memslots_insert(&u, slot))
		exit(1);
	cost = live - before;
	*set = u.next;
	memslots_commit(&u);
	return cost;
}

/*
 * Test the largest number of slots. A path has three nodes below the root; an
 * update may split each of them once, or each may need its neighbour.
 */
static void test_full(void)
{
	struct keel_memslots *set = memslots_new(0);
	struct keel_memslot slot = { .npages = 2 };
	const struct keel_memslot *found;
	long cost, added = 0, removed = 0;
	bool all = true;

	for (unsigned int id = 0; id < KEEL_MAX_SLOTS; id++) {
		slot.id = id;
		slot.base = 4 * id;
		slot.hva = (hva_t)(id % 3 ? id - 1 : id + 2) * 4 * KEEL_PAGE_SIZE;
		cost = allocations(&set, &slot, false);
		if (cost > added)
			added = cost;
	}
	memslots_drain(&pool);
	for (unsigned int id = 0; id < KEEL_MAX_SLOTS; id++) {
		found = memslots_find(set, 4 * id + 1);
		all &= found && found->id == id && !memslots_find(set, 4 * id + 2);
	}
	tap_ok(memslots_count(set) == KEEL_MAX_SLOTS && all && set_right(set),
	       "%d slots: each is found, gaps are not", KEEL_MAX_SLOTS);
	for (unsigned int id = 0; id < KEEL_MAX_SLOTS / 2; id++) {
		found = memslots_find(set, id * 7ULL % KEEL_MAX_SLOTS * 4);
		cost = allocations(&set, found, true);
		if (cost > removed)
			removed = cost;
	}
	memslots_drain(&pool);
	tap_ok(memslots_count(set) == KEEL_MAX_SLOTS / 2 && set_right(set),
	       "%d slots: half of them can go", KEEL_MAX_SLOTS);
	tap_ok(added <= 2 + 2 * 3 * 2 + 2 && removed <= 1 + 2 * 3 * 2,
	       "%d slots: %ld allocations at most to add one, %ld to remove one",
	       KEEL_MAX_SLOTS, added, removed);
	discard(set);
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
	begin(&u, a);
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
	const struct keel_memslot *slot;
	struct memslot_update u;

	low.base = 0;
	high.base = (1ULL << 40) - 1;
	add(&set, &low);
	add(&set, &high);
	tap_ok(memslots_find(set, 0) && memslots_find(set, (1ULL << 40) - 1),
	       "edges: the first and the last gfn are found");
	tap_ok(!memslots_find(set, 1) && !memslots_find(set, 1ULL << 40) &&
	       !memslots_find(set, INVALID_GFN), "edges: their neighbours are not");
	tap_ok(!memslots_overlap(set, 1, (1ULL << 40) - 2) && memslots_overlap(set, 1, 1ULL << 40),
	       "edges: ranges that touch do not overlap");
	begin(&u, set);
	tap_ok(memslots_remove(&u, &low) == -ENOENT, "edges: a slot is itself, not its equal");
	memslots_abort(&u);
	slot = memslots_find(set, high.base);
	begin(&u, set);
	tap_ok(!memslots_remove(&u, memslots_find(set, 0)) && !memslots_remove(&u, slot) &&
	       memslots_remove(&u, slot) == -ENOENT && !memslots_find(u.next, 0) &&
	       !memslots_find(u.next, INVALID_GFN), "edges: the last slot goes once");
	memslots_abort(&u);
	discard(set);
}

int main(void)
{
	test_generation();
	test_edges();
	test_hva_edges();
	test_every_fill();
	test_orders();
	test_no_memory();
	test_batch();
	test_same_hva();
	test_full();
	test_random(48, 20000);
	test_random(IDS, 3000);
	return tap_done();
}
