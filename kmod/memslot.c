// SPDX-License-Identifier: GPL-2.0
/*
 * Snapshots of memory slots: two AVL trees that are changed by copying the
 * path from the root to the change. Owns the shape of the trees and the
 * arithmetic of the generation. Knows nothing of who reads a snapshot, when it
 * is published, or what is a legal slot: see memory.c.
 *
 * Depth is at most 1.44 * log2(n), 22 for a full set, whatever userspace does;
 * recursion is as deep.
 */
#include <linux/compiler.h>
#include <linux/errno.h>
#include <linux/stddef.h>

#include "memslot.h"

enum { BY_GFN, BY_HVA, NR_TREES };

/*
 * struct slot_object - head of everything that is allocated here
 * @next:	on the list of fresh objects, of garbage, or of spares
 * @fresh:	belongs to the update in progress and may still be changed
 * @dropped:	was fresh, but the update has dropped it again
 */
struct slot_object {
	struct slot_object *next;
	bool fresh;
	bool dropped;
};

/* @object comes first in each of these, and each has the same room: any spare fits. */
struct slot_box {
	struct slot_object object;
	struct keel_memslot slot;
};

/*
 * struct slot_node - one slot in one tree
 * @key, @end:	first gfn or byte of hva, and the one after the last
 * @max_end:	largest @end below and including this node
 */
struct slot_node {
	struct slot_object object;
	struct slot_node *child[2];
	const struct keel_memslot *slot;
	u64 key, end, max_end;
	int height;
};

struct keel_memslots {
	struct slot_object object;
	struct slot_node *root[NR_TREES];
	u64 generation;
	unsigned int count;
};

union any_object {
	struct slot_box box;
	struct slot_node node;
	struct keel_memslots set;
};

#define MAX_SPARE	128

static void give_back(struct memslot_pool *pool, struct slot_object *o)
{
	if (pool->count == MAX_SPARE) {
		memslot_free(o);
		return;
	}
	o->next = pool->spare;
	pool->spare = o;
	pool->count++;
}

static struct slot_object *take(struct memslot_pool *pool)
{
	struct slot_object *o = pool->spare;

	if (!o)
		return memslot_alloc(sizeof(union any_object));
	pool->spare = o->next;
	pool->count--;
	return o;
}

struct slot_object *memslots_take_retired(struct memslot_pool *pool)
{
	struct slot_object *retired = pool->retired;

	pool->retired = NULL;
	pool->nr_retired = 0;
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
	memslots_reuse(pool, memslots_take_retired(pool));
	while (pool->count)
		memslot_free(take(pool));
}

static void *new_object(struct memslot_update *u)
{
	struct slot_object *o = take(u->pool);

	if (!o)
		return NULL;
	o->fresh = true;
	o->dropped = false;
	o->next = u->fresh;
	u->fresh = o;
	return o;
}

/* The update refers to @o no more. A fresh object stays on its list until the end. */
static void drop(struct memslot_update *u, struct slot_object *o)
{
	if (o->fresh) {
		o->dropped = true;
		return;
	}
	o->next = u->garbage;
	u->garbage = o;
	u->nr_garbage++;
}

static int height(const struct slot_node *n)
{
	return n ? n->height : 0;
}

static u64 max_end(const struct slot_node *n)
{
	return n ? n->max_end : 0;
}

/* Work out again what a node says about its children. */
static void refresh(struct slot_node *n)
{
	int i;

	n->height = 1;
	n->max_end = n->end;
	for (i = 0; i < 2; i++) {
		if (height(n->child[i]) >= n->height)
			n->height = height(n->child[i]) + 1;
		if (max_end(n->child[i]) > n->max_end)
			n->max_end = max_end(n->child[i]);
	}
}

static void set_slot(struct slot_node *n, int tree, const struct keel_memslot *slot)
{
	n->slot = slot;
	n->key = tree == BY_GFN ? slot->base : slot->hva;
	n->end = n->key + (tree == BY_GFN ? slot->npages : slot->npages << KEEL_PAGE_SHIFT);
}

/* Which child of @n leads to @slot. Slots may begin at the same hva, so the id decides then. */
static int side_of(const struct slot_node *n, int tree, const struct keel_memslot *slot)
{
	u64 key = tree == BY_GFN ? slot->base : slot->hva;

	if (key != n->key)
		return key > n->key;
	return slot->id > n->slot->id;
}

/* Make *@link a node that the update may change, copying it if it is shared. */
static struct slot_node *own(struct memslot_update *u, struct slot_node **link)
{
	struct slot_node *old = *link, *n;
	struct slot_object head;

	if (old->object.fresh)
		return old;
	n = new_object(u);
	if (!n)
		return NULL;
	head = n->object;
	*n = *old;
	n->object = head;
	drop(u, &old->object);
	*link = n;
	return n;
}

/* Rotate: the child of *@link on @side takes its place. Both are owned. */
static void raise(struct slot_node **link, int side)
{
	struct slot_node *top = *link, *up = top->child[side];

	top->child[side] = up->child[!side];
	up->child[!side] = top;
	refresh(top);
	refresh(up);
	*link = up;
}

/* The children of *@link, which is owned, have changed by at most one level. */
static int rebalance(struct memslot_update *u, struct slot_node **link)
{
	struct slot_node *n = *link, *heavy;
	int lean = height(n->child[1]) - height(n->child[0]);
	int side = lean > 0;

	if (lean >= -1 && lean <= 1) {
		refresh(n);
		return 0;
	}
	heavy = own(u, &n->child[side]);
	if (!heavy)
		return -ENOMEM;
	if (height(heavy->child[!side]) > height(heavy->child[side])) {
		if (!own(u, &heavy->child[!side]))
			return -ENOMEM;
		raise(&n->child[side], !side);
	}
	raise(link, side);
	return 0;
}

static int tree_insert(struct memslot_update *u, int tree, struct slot_node **link,
		       const struct keel_memslot *slot)
{
	struct slot_node *n;
	int ret;

	if (!*link) {
		n = new_object(u);
		if (!n)
			return -ENOMEM;
		n->child[0] = NULL;
		n->child[1] = NULL;
		set_slot(n, tree, slot);
		refresh(n);
		*link = n;
		return 0;
	}
	n = own(u, link);
	if (!n)
		return -ENOMEM;
	ret = tree_insert(u, tree, &n->child[side_of(n, tree, slot)], slot);
	return ret ? ret : rebalance(u, link);
}

/* Take the first node out of the tree at *@link. */
static int take_first(struct memslot_update *u, struct slot_node **link,
		      const struct keel_memslot **first)
{
	struct slot_node *n = *link;
	int ret;

	if (!n->child[0]) {
		*first = n->slot;
		*link = n->child[1];
		drop(u, &n->object);
		return 0;
	}
	n = own(u, link);
	if (!n)
		return -ENOMEM;
	ret = take_first(u, &n->child[0], first);
	return ret ? ret : rebalance(u, link);
}

/* Take the node at *@link itself out. */
static int take_node(struct memslot_update *u, int tree, struct slot_node **link)
{
	struct slot_node *n = *link;
	const struct keel_memslot *first;
	int ret;

	if (!n->child[0] || !n->child[1]) {
		*link = n->child[n->child[1] ? 1 : 0];
		drop(u, &n->object);
		return 0;
	}
	n = own(u, link);
	if (!n)
		return -ENOMEM;
	ret = take_first(u, &n->child[1], &first);
	if (ret)
		return ret;
	set_slot(n, tree, first);
	return rebalance(u, link);
}

static int tree_remove(struct memslot_update *u, int tree, struct slot_node **link,
		       const struct keel_memslot *slot)
{
	struct slot_node *n = *link;
	int ret;

	if (!n)
		return -ENOENT;
	if (n->slot == slot)
		return take_node(u, tree, link);
	n = own(u, link);
	if (!n)
		return -ENOMEM;
	ret = tree_remove(u, tree, &n->child[side_of(n, tree, slot)], slot);
	return ret ? ret : rebalance(u, link);
}

struct keel_memslots *memslots_new(int as)
{
	struct keel_memslots *set = memslot_alloc(sizeof(union any_object));

	if (!set)
		return NULL;
	*set = (struct keel_memslots){ .generation = 2ULL * as };
	return set;
}

static void free_tree(struct slot_node *n, bool with_slots)
{
	if (!n)
		return;
	free_tree(n->child[0], with_slots);
	free_tree(n->child[1], with_slots);
	if (with_slots)
		memslot_free((char *)n->slot - offsetof(struct slot_box, slot));
	memslot_free(n);
}

void memslots_destroy(struct keel_memslots *set)
{
	if (!set)
		return;
	free_tree(set->root[BY_HVA], false);
	free_tree(set->root[BY_GFN], true);
	memslot_free(set);
}

/* The slot that begins last at or before @gfn, or NULL. */
static const struct keel_memslot *last_from(const struct keel_memslots *set, gfn_t gfn)
{
	const struct slot_node *n = set->root[BY_GFN], *best = NULL;

	while (n) {
		bool right = n->key <= gfn;

		if (right)
			best = n;
		n = n->child[right];
	}
	return best ? best->slot : NULL;
}

const struct keel_memslot *memslots_find(const struct keel_memslots *set, gfn_t gfn)
{
	const struct keel_memslot *slot = last_from(set, gfn);

	return slot && memslot_has(slot, gfn) ? slot : NULL;
}

const struct keel_memslot *memslots_overlap(const struct keel_memslots *set, gfn_t base,
					    u64 npages)
{
	const struct keel_memslot *slot = last_from(set, base + npages - 1);

	return slot && slot->base + slot->npages > base ? slot : NULL;
}

static void visit(const struct slot_node *n, u64 start, u64 end,
		  void (*fn)(const struct keel_memslot *slot, void *arg), void *arg)
{
	while (n && n->max_end > start) {
		visit(n->child[0], start, end, fn, arg);
		if (n->key >= end)
			return;
		if (n->end > start)
			fn(n->slot, arg);
		n = n->child[1];
	}
}

void memslots_visit_hva(const struct keel_memslots *set, hva_t start, hva_t end,
			void (*fn)(const struct keel_memslot *slot, void *arg), void *arg)
{
	visit(set->root[BY_HVA], start, end, fn, arg);
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
	u->next = new_object(u);
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
	struct slot_box *box = (void *)((char *)slot - offsetof(struct slot_box, slot));
	int tree, ret;

	for (tree = 0; tree < NR_TREES; tree++) {
		ret = tree_remove(u, tree, &u->next->root[tree], slot);
		if (ret)
			return ret;
	}
	drop(u, &box->object);
	u->next->count--;
	return 0;
}

const struct keel_memslot *memslots_insert(struct memslot_update *u,
					   const struct keel_memslot *wanted)
{
	struct slot_box *box = new_object(u);
	int tree;

	if (!box)
		return NULL;
	box->slot = *wanted;
	for (tree = 0; tree < NR_TREES; tree++)
		if (tree_insert(u, tree, &u->next->root[tree], &box->slot))
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
	u->pool->nr_retired += u->nr_garbage;
}
