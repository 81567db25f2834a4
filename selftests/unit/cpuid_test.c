// SPDX-License-Identifier: GPL-2.0
/*
 * Test the CPUID table: the leaves that a host's processor offers to a guest, the
 * lookup of an instruction in a guest's table, and the bits that follow the state
 * of the vCPU. The hosts are invented: one of them has every feature.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <linux/kernel.h>

#include "cpuid.h"
#include "tap.h"

#define MAX_ENTRIES	256

/* A processor that sets every bit, except that leaves 4 and 0xd are realistic. */
static void query_all_ones(u32 function, u32 index, struct cpuid_regs4 *out)
{
	*out = (struct cpuid_regs4) { ~0u, ~0u, ~0u, ~0u };
	if (function == 0) {
		out->eax = 0x20;
		memcpy(&out->ebx, "Genu", 4);
		memcpy(&out->edx, "ineI", 4);
		memcpy(&out->ecx, "ntel", 4);
	}
	if (function == 0x80000000)
		out->eax = 0x80000008;
	if (function == 0x80000008)
		out->eax = 0x3934;
	if (function == 4)
		out->eax = index < 3 ? 0x21 : 0;
	if (function == 7)
		out->eax = 2;
	if (function == 0xd && index == 2)
		*out = (struct cpuid_regs4) { 256, 576, 0, 0 };
	if (function == 0xd && index == 5)
		*out = (struct cpuid_regs4) { 64, 1088, 0, 0 };
	if (function == 0xd && index == 6)
		*out = (struct cpuid_regs4) { 512, 1152, 2, 0 };
	if (function == 0xd && index == 7)
		*out = (struct cpuid_regs4) { 1024, 1664, 2, 0 };
}

static struct cpuid_host everything(void)
{
	struct cpuid_host host = {
		.query = query_all_ones,
		.xcr0 = XSTATE_GUEST,
		.rdtscp = true,
		.invpcid = true,
		.invariant_tsc = true,
	};

	memset(host.word, 0xff, sizeof(host.word));
	return host;
}

static struct cpuid_table *new_table(int nr)
{
	struct cpuid_table *t = calloc(1, sizeof(*t) + nr * sizeof(t->entry[0]));

	t->nr = nr;
	return t;
}

/* Make a table as userspace would: with all that @host offers. */
static struct cpuid_table *table_of(const struct cpuid_host *host)
{
	struct cpuid_table *t = new_table(MAX_ENTRIES);

	t->nr = cpuid_supported(host, t->entry, MAX_ENTRIES);
	cpuid_index(t);
	return t;
}

static void test_offer_is_a_subset(void)
{
	struct cpuid_host host = everything();
	struct cpuid_table *t = table_of(&host);
	static const enum cpuid_feature hidden[] = {
		FEAT_X2APIC, FEAT_OSXSAVE, FEAT_XSAVES,
		WORD_1_ECX * 32 + 3,	/* MONITOR */
		WORD_1_ECX * 32 + 5,	/* VMX */
		WORD_1_ECX * 32 + 24,	/* TSC deadline */
		WORD_7_EBX * 32 + 2,	/* SGX */
		WORD_7_EBX * 32 + 25,	/* processor trace */
		WORD_7_ECX * 32 + 3,	/* protection keys */
		WORD_7_ECX * 32 + 7,	/* shadow stacks */
		WORD_7_ECX * 32 + 16,	/* five-level paging */
		WORD_7_EDX * 32 + 24,	/* AMX */
		WORD_7_EDX * 32 + 20,	/* indirect branch tracking */
	};
	unsigned int i, seen = 0;

	for (i = 0; i < ARRAY_SIZE(hidden); i++)
		seen += cpuid_has(t, hidden[i]);
	tap_ok(!seen, "a guest is not told of what is not switched or emulated");
	tap_ok(cpuid_has(t, FEAT_AVX512F) && cpuid_has(t, FEAT_INVPCID) &&
	       cpuid_has(t, FEAT_RDTSCP) && cpuid_has(t, FEAT_LM) &&
	       cpuid_has(t, FEAT_SPEC_CTRL) && cpuid_has(t, FEAT_SSBD),
	       "a guest is told of what works");
	free(t);
}

static void test_conditions(void)
{
	struct cpuid_host host = everything();
	struct cpuid_table *t;

	host.xcr0 = XSTATE_FP | XSTATE_SSE | XSTATE_AVX;
	host.rdtscp = false;
	host.invpcid = false;
	t = table_of(&host);
	tap_ok(cpuid_has(t, FEAT_AVX2) && !cpuid_has(t, FEAT_AVX512F) &&
	       !cpuid_has(t, FEAT_AVX512_BF16), "AVX-512 needs its state components");
	tap_ok(!cpuid_has(t, FEAT_RDTSCP) && !cpuid_has(t, FEAT_RDPID) &&
	       !cpuid_has(t, FEAT_INVPCID), "instructions that exit to #UD are not offered");
	free(t);

	host.xcr0 = XSTATE_FP | XSTATE_SSE;
	memset(host.word, 0, sizeof(host.word));
	t = table_of(&host);
	tap_ok(!cpuid_has(t, FEAT_AVX) && !cpuid_has(t, FEAT_FMA) && !cpuid_has(t, FEAT_SSE2),
	       "a feature that the host's kernel has disabled is not offered");
	tap_ok(!cpuid_has(t, FEAT_UMIP), "nor is UMIP where nothing stands in for it");
	free(t);

	host.umip_by_exits = true;
	t = table_of(&host);
	tap_ok(cpuid_has(t, FEAT_UMIP), "UMIP by exits is offered though the host lacks it");
	tap_ok(cpuid_has(t, FEAT_HYPERVISOR) && cpuid_has(t, FEAT_TSC_ADJUST) &&
	       cpuid_has(t, FEAT_ARCH_CAPABILITIES), "what is done in software needs no host");
	free(t);
}

static void test_room(void)
{
	struct cpuid_host host = everything();
	struct kvm_cpuid_entry2 *e;
	int nr, max, bad = 0;

	e = malloc(MAX_ENTRIES * sizeof(*e));
	nr = cpuid_supported(&host, e, MAX_ENTRIES);
	free(e);
	tap_ok(nr > 20 && nr < MAX_ENTRIES, "the list has %d entries", nr);
	for (max = 0; max <= nr; max++) {
		e = malloc((max ?: 1) * sizeof(*e));
		bad += cpuid_supported(&host, e, max) != (max < nr ? -E2BIG : nr);
		free(e);
	}
	tap_ok(!bad, "with less room the answer is E2BIG, and nothing is written behind it");
}

static void test_leaves(void)
{
	struct cpuid_host host = everything();
	struct cpuid_table *t = table_of(&host);
	struct cpuid_regs4 r;

	cpuid_query(t, 0, 0, &r);
	tap_ok(r.eax == 0xd, "the last basic leaf is 0xd");
	cpuid_query(t, 1, 0, &r);
	tap_ok(r.ebx == 0xff00, "leaf 1 keeps the topology of the host to itself");
	cpuid_query(t, 0xa, 0, &r);
	tap_ok(!(r.eax | r.ebx | r.ecx | r.edx), "there is no PMU");
	cpuid_query(t, 0xd, 0, &r);
	tap_ok(r.eax == 0xe7 && r.ecx == 2688,
	       "leaf 0xd names the state that is switched, %u bytes", r.ecx);
	cpuid_query(t, 0xd, 9, &r);
	tap_ok(!(r.eax | r.ebx | r.ecx | r.edx), "protection keys have no sub-leaf");
	cpuid_query(t, 0x40000000, 0, &r);
	tap_ok(r.eax == 0x40000001 && !memcmp(&r.ebx, "KVMK", 4), "the hypervisor leaf is signed");
	cpuid_query(t, 0x80000008, 0, &r);
	tap_ok(r.eax == 0x3030, "addresses have 48 bits, physical and linear");
	tap_ok(cpuid_maxphyaddr(t) == 48, "cpuid_maxphyaddr() agrees");
	free(t);
}

/* --- look-up --------------------------------------------------------------- */

static struct cpuid_table *small_table(void)
{
	static const struct kvm_cpuid_entry2 entries[] = {
		{ .function = 0x80000008, .eax = 0x3027 },
		{ .function = 0, .eax = 0xd },
		{ .function = 4, .index = 0, .flags = 1, .eax = 40 },
		{ .function = 4, .index = 1, .flags = 1, .eax = 41 },
		{ .function = 1, .eax = 10, .ecx = 1u << 26 },
		{ .function = 0xb, .index = 0, .flags = 1, .edx = 77 },
		{ .function = 0xb, .index = 1, .flags = 1, .edx = 77 },
		{ .function = 0xd, .index = 0, .flags = 1, .eax = 7, .edx = 0 },
		{ .function = 0xd, .index = 1, .flags = 1, .eax = 2 },
		{ .function = 0xd, .index = 2, .flags = 1, .eax = 256, .ebx = 576 },
		{ .function = 0x80000000, .eax = 0x80000008 },
		{ .function = 1, .eax = 99 },
	};
	struct cpuid_table *t = new_table(ARRAY_SIZE(entries));

	memcpy(t->entry, entries, sizeof(entries));
	cpuid_index(t);
	return t;
}

static u32 eax_of(const struct cpuid_table *t, u32 function, u32 index)
{
	struct cpuid_regs4 r;

	cpuid_query(t, function, index, &r);
	return r.eax;
}

static void test_lookup(void)
{
	struct cpuid_table *t = small_table();
	struct cpuid_regs4 r;

	tap_ok(eax_of(t, 4, 1) == 41 && eax_of(t, 4, 0) == 40,
	       "the index counts where it is marked");
	tap_ok(eax_of(t, 1, 5) == 10, "the index does not count elsewhere; the first entry wins");
	tap_ok(eax_of(t, 4, 2) == 0, "an index without entry is zero");
	tap_ok(eax_of(t, 2, 0) == 0, "a leaf without entry, in range, is zero");
	tap_ok(eax_of(t, 0xe, 0) == 7 && eax_of(t, 0x100, 2) == 256,
	       "a basic leaf out of range is like the last one, with the index asked for");
	tap_ok(eax_of(t, 0x80000009, 1) == 2, "so is an extended one");
	tap_ok(eax_of(t, 0x40000000, 0) == 7, "so is a hypervisor leaf if there is none");
	cpuid_query(t, 0xb, 0x123, &r);
	tap_ok(!r.eax && r.ecx == 0x23 && r.edx == 77,
	       "beyond the topology level and APIC id remain");
	tap_ok(cpuid_maxphyaddr(t) == 39, "the width of addresses is found");
	free(t);
}

static void test_amd_and_empty(void)
{
	struct cpuid_table *t = small_table(), *empty = new_table(0);

	memcpy(&t->entry[1].ebx, "Auth", 4);
	memcpy(&t->entry[1].edx, "enti", 4);
	memcpy(&t->entry[1].ecx, "cAMD", 4);
	cpuid_index(t);
	tap_ok(eax_of(t, 0xe, 0) == 0, "AMD's leaves out of range are zero");
	free(t);

	cpuid_index(empty);
	cpuid_update(empty, true, 7, true);
	tap_ok(eax_of(empty, 1, 0) == 0 && cpuid_maxphyaddr(empty) == 36 && !cpuid_xcr0(empty),
	       "an empty table answers zero, 36 address bits, no state");
	tap_ok(!cpuid_check(empty), "an empty table is legal");
	free(empty);
}

/* Compare lookups with a linear search. */
static void test_lookup_at_random(void)
{
	static const u32 bases[] = { 0, 0x40000000, 0x80000000, 0xc0000000 };
	struct cpuid_table *t = new_table(MAX_ENTRIES);
	int i, j, bad = 0;

	srand(1);
	for (i = 0; i < MAX_ENTRIES; i++) {
		t->entry[i].function = bases[rand() % 4] + rand() % 70;
		t->entry[i].index = rand() % 3;
		t->entry[i].flags = rand() % 2;
	}
	cpuid_index(t);
	for (i = 0; i < 20000; i++) {
		u32 function = bases[rand() % 4] + rand() % 70, index = rand() % 3;
		const struct kvm_cpuid_entry2 *want = NULL;

		for (j = 0; j < MAX_ENTRIES && !want; j++)
			if (t->entry[j].function == function &&
			    (!(t->entry[j].flags & 1) || t->entry[j].index == index))
				want = &t->entry[j];
		bad += cpuid_find(t, function, index) != want;
	}
	tap_ok(!bad, "20000 look-ups find what a plain search finds");
	free(t);
}

/* --- state ----------------------------------------------------------------- */

static void test_dynamic_bits(void)
{
	struct cpuid_table *t = small_table(), *before = small_table();
	const struct kvm_cpuid_entry2 *e = cpuid_find(t, 1, 0);

	cpuid_update(t, true, 3, true);
	tap_ok(e->ecx >> 27 & 1, "OSXSAVE is set with CR4");
	tap_ok(e->edx >> 9 & 1, "the APIC bit is set with its enable bit");
	tap_ok(cpuid_find(t, 0xd, 0)->ebx == 576, "x87 and SSE need 576 bytes");
	tap_ok(!cpuid_equal(t, before), "tables that differ are not equal");
	cpuid_update(t, false, 7, false);
	tap_ok(!(e->ecx >> 27 & 1) && !(e->edx >> 9 & 1), "and cleared again");
	tap_ok(cpuid_find(t, 0xd, 0)->ebx == 832 && cpuid_find(t, 0xd, 1)->ebx == 832,
	       "AVX needs 832, plain or compacted");
	cpuid_update(before, false, 7, false);
	tap_ok(cpuid_equal(t, before), "tables that agree are equal");
	free(before);
	free(t);
}

static void test_compacted_size(void)
{
	struct cpuid_host host = everything();
	struct cpuid_table *t = table_of(&host);

	cpuid_update(t, true, XSTATE_GUEST & ~XSTATE_AVX, true);
	tap_ok(cpuid_find(t, 0xd, 0)->ebx == 2688, "without compaction there are holes");
	/* 576 + 64, aligned to 64 as it is, + 512 + 1024 */
	tap_ok(cpuid_find(t, 0xd, 1)->ebx == 2176, "with compaction there are none");
	free(t);
}

static void test_check(void)
{
	struct cpuid_table *t = small_table();
	static const struct {
		u32 bits;
		int verdict;
	} cases[] = {
		{ 0, 0 }, { 48, 0 }, { 57, 0 }, { 1, -EINVAL }, { 47, -EINVAL }, { 64, -EINVAL },
	};
	unsigned int i, bad = 0;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		t->entry[0].eax = cases[i].bits << 8 | 39;
		bad += cpuid_check(t) != cases[i].verdict;
	}
	tap_ok(!bad, "linear addresses have 48 or 57 bits, or nothing is said");
	free(t);
}

static struct kvm_cpuid_entry2 leaf(u32 function, const char *signature, u32 eax)
{
	struct kvm_cpuid_entry2 e = { .function = function, .eax = eax };

	memcpy(&e.ebx, signature, 4);
	memcpy(&e.ecx, signature + 4, 4);
	memcpy(&e.edx, signature + 8, 4);
	return e;
}

static void test_paravirtual_features(void)
{
	static const char kvm[12] = "KVMKVMKVM", other[12] = "Microsoft Hv";
	static const struct {
		u32 base;
		const char *signature;
		u32 features;
		const char *what;
	} cases[] = {
		{ 0x40000000, kvm, 9, "paravirtual features are found" },
		{ 0x40000100, kvm, 9, "and beside those of another hypervisor" },
		{ 0x4000ff00, kvm, 9, "and at the last place there is" },
		{ 0x40010000, kvm, 0, "but not beyond it" },
		{ 0x40000000, other, 0, "nor without the signature" },
	};
	struct cpuid_table *t = new_table(3);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		t->entry[0] = leaf(0x40000000, other, 0x40000001);
		t->entry[1] = leaf(cases[i].base, cases[i].signature, cases[i].base + 1);
		t->entry[2] = leaf(cases[i].base + 1, other, 9);
		if (cases[i].base == 0x40000000)
			t->entry[0].function = 0;
		cpuid_index(t);
		tap_ok(cpuid_kvm_features(t) == cases[i].features, cases[i].what);
	}
	free(t);
}

int main(void)
{
	test_offer_is_a_subset();
	test_conditions();
	test_room();
	test_leaves();
	test_lookup();
	test_amd_and_empty();
	test_lookup_at_random();
	test_dynamic_bits();
	test_compacted_size();
	test_check();
	test_paravirtual_features();
	return tap_done();
}
