/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Registering a shrinker. Up to 6.6 the caller allocates it, from 6.7 on
 * shrinker_alloc() does.
 */
#ifndef KEEL_COMPAT_SHRINKER_H
#define KEEL_COMPAT_SHRINKER_H

/* shrinker.h does not include what it needs. */
#include <linux/atomic.h>
#include <linux/list.h>
#include <linux/shrinker.h>
#include <linux/slab.h>
#include <linux/version.h>

typedef unsigned long keel_shrink_fn(struct shrinker *shrinker, struct shrink_control *sc);

#if KERNEL_VERSION(6, 7, 0) <= LINUX_VERSION_CODE
/* Returns the shrinker, or NULL: no memory. */
static inline struct shrinker *keel_shrinker_register(const char *name, keel_shrink_fn *count,
						      keel_shrink_fn *scan)
{
	struct shrinker *s = shrinker_alloc(0, "%s", name);

	if (!s)
		return NULL;
	s->count_objects = count;
	s->scan_objects = scan;
	shrinker_register(s);
	return s;
}

static inline void keel_shrinker_unregister(struct shrinker *s)
{
	shrinker_free(s);
}
#else
static inline struct shrinker *keel_shrinker_register(const char *name, keel_shrink_fn *count,
						      keel_shrink_fn *scan)
{
	struct shrinker *s = kzalloc(sizeof(*s), GFP_KERNEL);

	if (!s)
		return NULL;
	s->count_objects = count;
	s->scan_objects = scan;
	s->seeks = DEFAULT_SEEKS;
	if (!register_shrinker(s, "%s", name))
		return s;
	kfree(s);
	return NULL;
}

static inline void keel_shrinker_unregister(struct shrinker *s)
{
	unregister_shrinker(s);
	kfree(s);
}
#endif

#endif
