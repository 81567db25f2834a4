/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tracepoints: one per decision; each prints both sides of the comparison.
 * Leaf: any file may include it.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM keel

#if !defined(KEEL_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define KEEL_TRACE_H

#include <linux/tracepoint.h>

#include "types.h"

#ifndef KEEL_TRACE_ENUMS
#define KEEL_TRACE_ENUMS

/* Verdicts on an MMIO spte that the hardware met. */
enum keel_mmio_belief {
	MMIO_FRESH,		/* the generations match: usable */
	MMIO_STALE,		/* from an older memslot generation */
	MMIO_IN_WINDOW,		/* a memslot update is under way: not usable */
	MMIO_UNCACHED,		/* no MMIO spte is there */
};

enum keel_update_phase {
	UPDATE_BEGIN,		/* the new memslots, flagged, are about to be published */
	UPDATE_PUBLISHED,	/* the new memslots are in force */
	UPDATE_GRACE,		/* the grace period is over: no reader of the old ones is left */
	UPDATE_END,		/* the generation has advanced, the flag is clear */
};

#endif

#define BELIEFS						\
	{ MMIO_FRESH, "fresh" },			\
	{ MMIO_STALE, "stale" },			\
	{ MMIO_IN_WINDOW, "in-window" },		\
	{ MMIO_UNCACHED, "uncached" }

#define PHASES						\
	{ UPDATE_BEGIN, "begin" },			\
	{ UPDATE_PUBLISHED, "published" },		\
	{ UPDATE_GRACE, "grace" },			\
	{ UPDATE_END, "end" }

TRACE_EVENT(keel_exit,
	TP_PROTO(int vcpu, u32 reason, u64 rip),
	TP_ARGS(vcpu, reason, rip),
	TP_STRUCT__entry(
		__field(int, vcpu)
		__field(u32, reason)
		__field(u64, rip)
	),
	TP_fast_assign(
		__entry->vcpu = vcpu;
		__entry->reason = reason;
		__entry->rip = rip;
	),
	TP_printk("vcpu %d reason %u rip 0x%llx", __entry->vcpu, __entry->reason, __entry->rip)
);

TRACE_EVENT(keel_mark_mmio_spte,
	TP_PROTO(int vcpu, gfn_t gfn, unsigned int access, u64 generation),
	TP_ARGS(vcpu, gfn, access, generation),
	TP_STRUCT__entry(
		__field(int, vcpu)
		__field(gfn_t, gfn)
		__field(unsigned int, access)
		__field(u64, generation)
	),
	TP_fast_assign(
		__entry->vcpu = vcpu;
		__entry->gfn = gfn;
		__entry->access = access;
		__entry->generation = generation;
	),
	TP_printk("vcpu %d gfn 0x%llx access 0x%x generation 0x%llx", __entry->vcpu,
		  __entry->gfn, __entry->access, __entry->generation)
);

TRACE_EVENT(keel_check_mmio_spte,
	TP_PROTO(int vcpu, gfn_t gfn, u64 stored, u64 generation, int belief),
	TP_ARGS(vcpu, gfn, stored, generation, belief),
	TP_STRUCT__entry(
		__field(int, vcpu)
		__field(gfn_t, gfn)
		__field(u64, stored)
		__field(u64, generation)
		__field(int, belief)
	),
	TP_fast_assign(
		__entry->vcpu = vcpu;
		__entry->gfn = gfn;
		__entry->stored = stored;
		__entry->generation = generation;
		__entry->belief = belief;
	),
	TP_printk("vcpu %d gfn 0x%llx stored 0x%llx generation 0x%llx %s", __entry->vcpu,
		  __entry->gfn, __entry->stored, __entry->generation,
		  __print_symbolic(__entry->belief, BELIEFS))
);

TRACE_EVENT(keel_vcpu_match_mmio,
	TP_PROTO(int vcpu, gva_t gva, gfn_t gfn, u64 cached, u64 generation),
	TP_ARGS(vcpu, gva, gfn, cached, generation),
	TP_STRUCT__entry(
		__field(int, vcpu)
		__field(gva_t, gva)
		__field(gfn_t, gfn)
		__field(u64, cached)
		__field(u64, generation)
	),
	TP_fast_assign(
		__entry->vcpu = vcpu;
		__entry->gva = gva;
		__entry->gfn = gfn;
		__entry->cached = cached;
		__entry->generation = generation;
	),
	TP_printk("vcpu %d gva 0x%llx gfn 0x%llx cached 0x%llx generation 0x%llx",
		  __entry->vcpu, __entry->gva, __entry->gfn, __entry->cached,
		  __entry->generation)
);

TRACE_EVENT(keel_memslot_update,
	TP_PROTO(u32 vm, int as, int phase, u64 generation, u64 ns),
	TP_ARGS(vm, as, phase, generation, ns),
	TP_STRUCT__entry(
		__field(u32, vm)
		__field(int, as)
		__field(int, phase)
		__field(u64, generation)
		__field(u64, ns)
	),
	TP_fast_assign(
		__entry->vm = vm;
		__entry->as = as;
		__entry->phase = phase;
		__entry->generation = generation;
		__entry->ns = ns;
	),
	TP_printk("vm %u as %d %s generation 0x%llx after %llu ns", __entry->vm, __entry->as,
		  __print_symbolic(__entry->phase, PHASES), __entry->generation, __entry->ns)
);

TRACE_EVENT(keel_mmio_wrap,
	TP_PROTO(u32 vm, int as, u64 from, u64 to),
	TP_ARGS(vm, as, from, to),
	TP_STRUCT__entry(
		__field(u32, vm)
		__field(int, as)
		__field(u64, from)
		__field(u64, to)
	),
	TP_fast_assign(
		__entry->vm = vm;
		__entry->as = as;
		__entry->from = from;
		__entry->to = to;
	),
	TP_printk("vm %u as %d from 0x%llx to 0x%llx", __entry->vm, __entry->as, __entry->from,
		  __entry->to)
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
