// SPDX-License-Identifier: GPL-2.0
/*
 * Snapshots of memory slots: two B+trees that are changed by copying the path
 * from the root to the change. Owns the shape of the trees and the arithmetic
 * of the generation. memory.c decides when a snapshot is published, regions.c
 * which slots are valid.
 *
 * The cost of an update is what it copies plus a little for each node, so nodes are
 * wide and levels few: 20 slots fit into the roots, which are part of the set, and
 * 32,764 need three levels of nodes below them, sometimes four. Slots are in the
 * leaves, in order of a unique key. An entry holds the lowest key and the greatest
 * end below it. Slots may overlap in hva, so the mmu notifier needs the ends to skip
 * what ends before its range.
 *
 * Every node but a root has at least MIN entries. On the way down, an insertion
 * splits each full node and a removal refills each node with just MIN entries before
 * entering it, so the change itself affects one leaf only.
 */
#include <linux/build_bug.h>
#include <linux/compiler.h>
#include <linux/errno.h>
#include <linux/stddef.h>

#include "memslot.h"

/* Entries of a node: a struct node_box fits into 512 bytes, a set into 1024. */
#define FANOUT		20

/* A quarter: a node that has been merged or split in half is far from both bounds. */
#define MIN		(FANOUT / 4)

/* A root of level 7 would have at least 2 * MIN^7 slots below it: more than there are ids. */
#define MAX_LEVEL	6

/* The key of an unused entry: it is below no bound. */
#define NO_KEY		(~0ULL)

enum { BY_GFN, BY_HVA, NR_TREES };

/*
 * struct slot_object - head of everything that is allocated here
 * @next:	in the list of fresh, retired or spare objects
 * @kind:	enum slot_object_kind; index of object_size[]
 * @fresh:	allocated by the update in progress, which may still change it
 * @dropped:	fresh, but the update no longer refers to it
 */
struct slot_object {
	struct slot_object *next;
	u8 kind;
	bool fresh;
	bool dropped;
};

/*
 * struct slot_entry - one slot, or one node of the level below
 * @key:	the lowest key in it: a gfn, or hva_key()
 * @end:	the greatest end in it: the first gfn, or hva, behind a slot
 */
struct slot_entry {
	u64 key, end;
	union {
		const struct keel_memslot *slot;	/* in a node of level 0 */
		struct slot_node *child;		/* in all others */
	};
};

struct slot_node {
	unsigned int count, level;
	struct slot_entry e[FANOUT];
};

/* The pool frees these through @object, so @object is the first member of each. */
struct slot_box {
	struct slot_object object;
	struct keel_memslot slot;
};

struct node_box {
	struct slot_object object;
	struct slot_node node;
};

struct keel_memslots {
	struct slot_object object;
	struct slot_node root[NR_TREES];
	u64 generation;
	unsigned int count;
};

static_assert(sizeof(struct node_box) <= 512 && sizeof(struct keel_memslots) <= 1024);

static const size_t object_size[NR_SLOT_OBJECTS] = {
	[SLOT_BOX] = sizeof(struct slot_box),
	[NODE_BOX] = sizeof(struct node_box),
	[SLOT_SET] = sizeof(struct keel_memslots),
};

#define MAX_SPARE	128	/* of each kind */

static void give_back(struct memslot_pool *pool, struct slot_object *o)
{
	if (pool->count[o->kind] == MAX_SPARE) {
		memslot_free(o);
		return;
	}
	o->next = pool->spare[o->kind];
	pool->spare[o->kind] = o;
	pool->count[o->kind]++;
}

static struct slot_object *take(struct memslot_pool *pool, enum slot_object_kind kind)
{
	struct slot_object *o = pool->spare[kind];

	if (o) {
		pool->spare[kind] = o->next;
		pool->count[kind]--;
		return o;
	}
	o = memslot_alloc(object_size[kind]);
	if (o)
		o->kind = kind;
	return o;
}

struct slot_object *memslots_take_retired(struct memslot_pool *pool)
{
	struct slot_object *retired = pool->retired;

	pool->retired = NULL;
	return retired;
}

void memslots_reuse(struct memslot_pool *pool, struct slot_object *retired)
{
	struct slot_object *next;

	for (; retired; retired = next) {
		next = retired->next;
		give_back(pool, retired);
	}
}

void memslots_drain(struct memslot_pool *pool)
{
	int kind;

	memslots_reuse(pool, memslots_take_retired(pool));
	for (kind = 0; kind < NR_SLOT_OBJECTS; kind++)
		while (pool->count[kind])
			memslot_free(take(pool, kind));
}

static void *new_object(struct memslot_update *u, enum slot_object_kind kind)
{
	struct slot_object *o = take(u->pool, kind);

	if (!o)
		return NULL;
	o->fresh = true;
	o->dropped = false;
	o->next = u->fresh;
	u->fresh = o;
	return o;
}

/* The update no longer refers to @o. A fresh object stays on u->fresh until the end. */
static void drop(struct memslot_update *u, struct slot_object *o)
{
	if (o->fresh) {
		o->dropped = true;
		return;
	}
	o->next = u->garbage;
	u->garbage = o;
}

/*
 * Several slots may begin at the same hva: the id makes the key unique. It fits, since
 * slots begin at a page boundary, far below 2^60.
 */
static u64 hva_key(hva_t hva, unsigned int id)
{
	return hva << (16 - KEEL_PAGE_SHIFT) | id;
}

static struct slot_entry entry_of_slot(int tree, const struct keel_memslot *slot)
{
	struct slot_entry e = { .slot = slot };

	if (tree == BY_GFN) {
		e.key = slot->base;
		e.end = slot->base + slot->npages;
	} else {
		e.key = hva_key(slot->hva, slot->id);
		e.end = slot->hva + (slot->npages << KEEL_PAGE_SHIFT);
	}
	return e;
}

/*
 * The last entry of @n with a key below @bound, or else the first. Every fault calls
 * this, so it is five compares without a loop.
 */
static inline struct slot_entry *place(const struct slot_node *n, u64 bound)
{
	const struct slot_entry *e = n->e;

	static_assert(10 + 5 + 2 + 1 + 1 == FANOUT - 1);
	e += e[10].key < bound ? 10 : 0;
	e += e[5].key < bound ? 5 : 0;
	e += e[2].key < bound ? 2 : 0;
	e += e[1].key < bound ? 1 : 0;
	e += e[1].key < bound ? 1 : 0;
	return (struct slot_entry *)e;
}

static void set_count(struct slot_node *n, unsigned int count)
{
	unsigned int i;

	for (i = count; i < FANOUT; i++)
		n->e[i].key = NO_KEY;
	n->count = count;
}

/* Cheaper than memmove() for a few entries, or none. */
static void move(struct slot_entry *to, const struct slot_entry *from, unsigned int n)
{
	if (to < from)
		for (; n; n--)
			*to++ = *from++;
	else
		while (n--)
			to[n] = from[n];
}

/* Insert @new in key order. @n is owned and not full. */
static void put(struct slot_node *n, const struct slot_entry *new)
{
	unsigned int at = n->count++;

	for (; at && n->e[at - 1].key > new->key; at--)
		n->e[at] = n->e[at - 1];
	n->e[at] = *new;
}

static void take_out(struct slot_node *n, struct slot_entry *e)
{
	n->count--;
	move(e, e + 1, n->e + n->count - e);
	n->e[n->count].key = NO_KEY;
}

static u64 greatest_end(const struct slot_node *n)
{
	u64 end = n->e[0].end;
	unsigned int i;

	for (i = 1; i < n->count; i++)
		if (n->e[i].end > end)
			end = n->e[i].end;
	return end;
}

static struct slot_entry entry_of_node(struct slot_node *n)
{
	return (struct slot_entry){ n->e[0].key, greatest_end(n), .child = n };
}

/* Share out the entries of @a and its right neighbour @b: @a gets @keep, @b the rest. */
static void deal(struct slot_node *a, struct slot_node *b, unsigned int keep)
{
	unsigned int rest = a->count + b->count - keep;

	if (rest > b->count) {
		move(b->e + rest - b->count, b->e, b->count);
		move(b->e, a->e + keep, rest - b->count);
	} else {
		move(a->e + a->count, b->e, b->count - rest);
		move(b->e, b->e + b->count - rest, rest);
	}
	set_count(a, keep);
	set_count(b, rest);
}

static struct node_box *box_of_node(struct slot_node *n)
{
	return (void *)((char *)n - offsetof(struct node_box, node));
}

static struct slot_box *box_of_slot(const struct keel_memslot *slot)
{
	return (void *)((char *)slot - offsetof(struct slot_box, slot));
}

/* A fresh copy of @model, or NULL: no memory. */
static struct slot_node *copy_node(struct memslot_update *u, const struct slot_node *model)
{
	struct node_box *box = new_object(u, NODE_BOX);

	if (!box)
		return NULL;
	box->node = *model;
	return &box->node;
}

/* The node below @e for the update to change, copied if it is shared. NULL: no memory. */
static struct slot_node *own(struct memslot_update *u, struct slot_entry *e)
{
	struct slot_object *old = &box_of_node(e->child)->object;
	struct slot_node *n;

	if (old->fresh)
		return e->child;
	n = copy_node(u, e->child);
	if (!n)
		return NULL;
	drop(u, old);
	e->child = n;
	return n;
}

/* Root @n is full: move its entries to a new node below it. */
static int grow(struct memslot_update *u, struct slot_node *n)
{
	struct slot_node *child = copy_node(u, n);

	if (!child)
		return -ENOMEM;
	set_count(n, 1);
	n->e[0] = entry_of_node(child);
	n->level++;
	return 0;
}

/* Root @n has one entry left: move the entries of the node below it into the root. */
static void shrink(struct memslot_update *u, struct slot_node *n)
{
	struct slot_node *child = n->e[0].child;

	*n = *child;
	drop(u, &box_of_node(child)->object);
}

/*
 * The node below @e, an entry of @n, is full, and @key is to be inserted: split it.
 * If @key goes to either end, leave most of the room there, for keys that follow.
 */
static int split(struct memslot_update *u, struct slot_node *n, struct slot_entry *e, u64 key)
{
	struct slot_node *left = e->child, *right = copy_node(u, left);
	struct slot_entry new;

	if (!right)
		return -ENOMEM;
	/* @right was copied for its level only. */
	set_count(right, 0);
	if (key > left->e[FANOUT - 1].key)
		deal(left, right, FANOUT - MIN);
	else if (key < left->e[0].key)
		deal(left, right, MIN);
	else
		deal(left, right, FANOUT / 2);
	*e = entry_of_node(left);
	new = entry_of_node(right);
	put(n, &new);
	return 0;
}

/* From @n, owned and not full, to the child in which @new belongs; it is owned and not full. */
static struct slot_node *enter(struct memslot_update *u, struct slot_node *n,
			       const struct slot_entry *new)
{
	struct slot_entry *e = place(n, new->key + 1);
	struct slot_node *child = own(u, e);

	if (!child)
		return NULL;
	if (child->count == FANOUT) {
		if (split(u, n, e, new->key))
			return NULL;
		if (e[1].key <= new->key)
			e++;
	}
	if (new->key < e->key)
		e->key = new->key;
	if (new->end > e->end)
		e->end = new->end;
	return e->child;
}

static int tree_insert(struct memslot_update *u, int tree, const struct keel_memslot *slot)
{
	struct slot_entry new = entry_of_slot(tree, slot);
	struct slot_node *n = &u->next->root[tree];

	if (n->count == FANOUT && grow(u, n))
		return -ENOMEM;
	while (n->level) {
		n = enter(u, n, &new);
		if (!n)
			return -ENOMEM;
	}
	put(n, &new);
	return 0;
}

/*
 * The node below @e, an entry of @n, has just MIN entries: merge it with a
 * neighbour, or balance the two. @n is owned and has an entry to spare. Returns
 * the entry that leads to @key afterwards, or NULL: no memory.
 */
static struct slot_entry *fill_up(struct memslot_update *u, struct slot_node *n,
				  struct slot_entry *e, u64 key)
{
	struct slot_node *left, *right;
	unsigned int sum;

	if (e > n->e)
		e--;
	left = own(u, &e[0]);
	right = left ? own(u, &e[1]) : NULL;
	if (!right)
		return NULL;
	sum = left->count + right->count;
	if (sum <= FANOUT - MIN) {
		deal(left, right, sum);
		drop(u, &box_of_node(right)->object);
		take_out(n, e + 1);
		e[0] = entry_of_node(left);
		return e;
	}
	deal(left, right, sum / 2);
	e[0] = entry_of_node(left);
	e[1] = entry_of_node(right);
	return key < e[1].key ? e : e + 1;
}

static int tree_remove(struct memslot_update *u, int tree, const struct keel_memslot *slot)
{
	struct slot_node *root = &u->next->root[tree], *n = root;
	struct slot_entry gone = entry_of_slot(tree, slot), *way[MAX_LEVEL], *e;
	unsigned int depth = 0;

	e = place(n, gone.key + 1);
	while (n->level) {
		if (e->child->count == MIN)
			e = fill_up(u, n, e, gone.key);
		n = e ? own(u, e) : NULL;
		if (!n)
			return -ENOMEM;
		way[depth++] = e;
		e = place(n, gone.key + 1);
	}
	if (!n->count || e->slot != slot)
		return -ENOENT;
	take_out(n, e);
	while (depth--) {
		e = way[depth];
		e->key = e->child->e[0].key;
		if (e->end == gone.end)
			e->end = greatest_end(e->child);
	}
	if (root->level && root->count == 1)
		shrink(u, root);
	return 0;
}

struct keel_memslots *memslots_new(int as)
{
	struct keel_memslots *set = memslot_alloc(sizeof(*set));

	if (!set)
		return NULL;
	*set = (struct keel_memslots){ .object.kind = SLOT_SET, .generation = 2ULL * as };
	set_count(&set->root[BY_GFN], 0);
	set_count(&set->root[BY_HVA], 0);
	return set;
}

/* Free all nodes below @n, and the slots if @with_slots. */
static void free_below(struct slot_node *n, bool with_slots)
{
	unsigned int i;

	for (i = 0; i < n->count; i++) {
		if (n->level) {
			free_below(n->e[i].child, with_slots);
			memslot_free(box_of_node(n->e[i].child));
		} else if (with_slots) {
			memslot_free(box_of_slot(n->e[i].slot));
		}
	}
}

void memslots_destroy(struct keel_memslots *set)
{
	if (!set)
		return;
	free_below(&set->root[BY_HVA], false);
	free_below(&set->root[BY_GFN], true);
	memslot_free(set);
}

/* The last slot that begins before @end, or else the first; an unused entry if none exists. */
static const struct slot_entry *last_before(const struct keel_memslots *set, gfn_t end)
{
	const struct slot_node *n = &set->root[BY_GFN];

	while (n->level)
		n = place(n, end)->child;
	return place(n, end);
}

const struct keel_memslot *memslots_find(const struct keel_memslots *set, gfn_t gfn)
{
	const struct slot_entry *e = last_before(set, gfn + 1);

	return e->key <= gfn && gfn < e->end ? e->slot : NULL;
}

const struct keel_memslot *memslots_overlap(const struct keel_memslots *set, gfn_t base,
					    u64 npages)
{
	const struct slot_entry *e = last_before(set, base + npages);

	return e->key < base + npages && base < e->end ? e->slot : NULL;
}

static void visit(const struct slot_node *n, hva_t start, u64 bound,
		  void (*fn)(const struct keel_memslot *slot, void *arg), void *arg)
{
	const struct slot_entry *e;

	for (e = n->e; e < n->e + n->count && e->key < bound; e++) {
		if (e->end <= start)
			continue;
		if (n->level)
			visit(e->child, start, bound, fn, arg);
		else
			fn(e->slot, arg);
	}
}

void memslots_visit_hva(const struct keel_memslots *set, hva_t start, hva_t end,
			void (*fn)(const struct keel_memslot *slot, void *arg), void *arg)
{
	hva_t page = (end + KEEL_PAGE_SIZE - 1) & ~(KEEL_PAGE_SIZE - 1);

	/* @end may be the end of the address space, which no key can hold. */
	visit(&set->root[BY_HVA], start, end >> 60 ? NO_KEY : hva_key(page, 0), fn, arg);
}

unsigned int memslots_count(const struct keel_memslots *set)
{
	return set->count;
}

u64 memslots_generation(const struct keel_memslots *set)
{
	return READ_ONCE(set->generation);
}

u64 memslots_next_generation(const struct keel_memslots *set)
{
	return (set->generation & ~KEEL_GEN_UPDATE_IN_PROGRESS) + KEEL_GEN_STEP;
}

void memslots_settle(struct keel_memslots *set)
{
	WRITE_ONCE(set->generation, memslots_next_generation(set));
}

#ifdef KEEL_TEST
void memslots_jump(struct keel_memslots *set, u64 generation)
{
	WRITE_ONCE(set->generation, generation);
}
#endif

int memslots_begin(struct memslot_update *u, struct memslot_pool *pool,
		   struct keel_memslots *old)
{
	*u = (struct memslot_update){ .pool = pool, .garbage = pool->retired };
	u->next = new_object(u, SLOT_SET);
	if (!u->next)
		return -ENOMEM;
	u->next->root[BY_GFN] = old->root[BY_GFN];
	u->next->root[BY_HVA] = old->root[BY_HVA];
	u->next->count = old->count;
	u->next->generation = old->generation | KEEL_GEN_UPDATE_IN_PROGRESS;
	drop(u, &old->object);
	return 0;
}

int memslots_remove(struct memslot_update *u, const struct keel_memslot *slot)
{
	int tree, ret;

	for (tree = 0; tree < NR_TREES; tree++) {
		ret = tree_remove(u, tree, slot);
		if (ret)
			return ret;
	}
	drop(u, &box_of_slot(slot)->object);
	u->next->count--;
	return 0;
}

const struct keel_memslot *memslots_insert(struct memslot_update *u,
					   const struct keel_memslot *wanted)
{
	struct slot_box *box = new_object(u, SLOT_BOX);
	int tree;

	if (!box)
		return NULL;
	box->slot = *wanted;
	for (tree = 0; tree < NR_TREES; tree++)
		if (tree_insert(u, tree, &box->slot))
			return NULL;
	u->next->count++;
	return &box->slot;
}

void memslots_abort(struct memslot_update *u)
{
	memslots_reuse(u->pool, u->fresh);
	*u = (struct memslot_update){};
}

void memslots_commit(struct memslot_update *u)
{
	struct slot_object *o, *next;

	for (o = u->fresh; o; o = next) {
		next = o->next;
		o->fresh = false;
		if (o->dropped)
			give_back(u->pool, o);
	}
	u->fresh = NULL;
	u->pool->retired = u->garbage;
}
