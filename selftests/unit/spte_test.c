// SPDX-License-Identifier: GPL-2.0
/*
 * Test sptes, property by property, for every physical-address width from 36 to
 * 52 bits, with and without L1TF: stored fields read back unchanged, fields do
 * not overlap, and no MMIO spte names memory.
 */
#include "mmu/spte.h"
#include "tap.h"

#define ROUNDS	2000

static u64 seed = 0x2545f4914f6cdd1d;

static u64 random64(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed * 0x2545f4914f6cdd1d;
}

static u64 mask(int bits)
{
	return bits ? ~0ULL >> (64 - bits) : 0;
}

static int bits_in(u64 value)
{
	return __builtin_popcountll(value);
}

/* A CPU: width of its addresses, bits that its caches compare, and whether it has L1TF. */
struct cpu {
	int width, cache, l1tf;
	struct spte_format f;
};

/* Check one claim on every CPU; caches may compare more bits than addresses have (key bits). */
static void for_every_cpu(const char *claim, bool (*fn)(const struct cpu *cpu))
{
	struct cpu cpu;

	for (cpu.width = 36; cpu.width <= 52; cpu.width++)
		for (cpu.cache = cpu.width; cpu.cache <= 52; cpu.cache++)
			for (cpu.l1tf = 0; cpu.l1tf < 2; cpu.l1tf++) {
				spte_format_init(&cpu.f, cpu.width, cpu.cache, cpu.l1tf, true);
				if (fn(&cpu))
					continue;
				tap_ok(false, "%s (width %d, cache %d, L1TF %d)", claim, cpu.width,
				       cpu.cache, cpu.l1tf);
				return;
			}
	tap_ok(true, "%s", claim);
}

static const unsigned int accesses[] = {
	ACC_READ, ACC_READ | ACC_WRITE, ACC_READ | ACC_USER, ACC_READ | ACC_WRITE | ACC_USER,
};

static gfn_t random_gfn(const struct cpu *cpu)
{
	return random64() & mask(cpu->width - KEEL_PAGE_SHIFT);
}

static bool reads_back(const struct cpu *cpu, gfn_t gfn, unsigned int access, u64 generation)
{
	u64 spte = spte_make_mmio(&cpu->f, gfn, access, generation);

	return spte_is_mmio(spte) && !spte_is_present(spte) && !spte_is_leaf(spte) &&
	       !spte_is_table(spte) && spte_mmio_gfn(&cpu->f, spte) == gfn &&
	       spte_mmio_access(spte) == access &&
	       spte_mmio_number(&cpu->f, spte) == spte_number(&cpu->f, generation);
}

static bool round_trip(const struct cpu *cpu)
{
	for (int i = 0; i < ROUNDS; i++)
		if (!reads_back(cpu, random_gfn(cpu), accesses[i % 4], random64()))
			return false;
	return true;
}

static bool every_bit(const struct cpu *cpu)
{
	for (int i = 0; i < 64; i++)
		if (!reads_back(cpu, 0, ACC_READ, 1ULL << i) ||
		    !reads_back(cpu, 0, ACC_READ, ~(1ULL << i)))
			return false;
	for (int i = 0; i < cpu->width - KEEL_PAGE_SHIFT; i++)
		if (!reads_back(cpu, 1ULL << i, ACC_READ, 0) ||
		    !reads_back(cpu, 1ULL << i, accesses[3], ~0ULL))
			return false;
	return true;
}

/* Bits of an spte that change when one field changes. */
static u64 bits_of_number(const struct cpu *cpu)
{
	u64 none = spte_make_mmio(&cpu->f, 0, ACC_READ, 0);
	u64 bits = 0;

	for (int i = 1; i < 64; i++)
		bits |= none ^ spte_make_mmio(&cpu->f, 0, ACC_READ, 1ULL << i);
	return bits;
}

static u64 bits_of_gfn(const struct cpu *cpu)
{
	u64 none = spte_make_mmio(&cpu->f, 0, ACC_READ, 0);
	u64 bits = 0;

	for (int i = 0; i < cpu->width - KEEL_PAGE_SHIFT; i++)
		bits |= none ^ spte_make_mmio(&cpu->f, 1ULL << i, ACC_READ, 0);
	return bits;
}

static u64 bits_of_access(const struct cpu *cpu)
{
	return spte_make_mmio(&cpu->f, 0, ACC_READ, 0) ^ spte_make_mmio(&cpu->f, 0, accesses[3], 0);
}

static bool apart(const struct cpu *cpu)
{
	u64 number = bits_of_number(cpu), gfn = bits_of_gfn(cpu), access = bits_of_access(cpu);

	return !(number & gfn) && !(number & access) && !(gfn & access) &&
	       !((number | gfn | access) & SPTE_RIGHTS);
}

/* The generation has every bit that misconfiguration, gfn, access and guard leave. */
static bool no_waste(const struct cpu *cpu)
{
	int others = 3 + 2 + (cpu->width - KEEL_PAGE_SHIFT) + (cpu->l1tf ? 5 : 0);

	return bits_in(cpu->f.number_mask) == 64 - others &&
	       bits_in(bits_of_number(cpu)) == 64 - others &&
	       bits_in(bits_of_gfn(cpu)) == cpu->width - KEEL_PAGE_SHIFT;
}

static bool flag_not_stored(const struct cpu *cpu)
{
	u64 even = random64() & ~KEEL_GEN_UPDATE_IN_PROGRESS;

	return spte_make_mmio(&cpu->f, 1, ACC_READ, even) ==
	       spte_make_mmio(&cpu->f, 1, ACC_READ, even | KEEL_GEN_UPDATE_IN_PROGRESS);
}

/* With L1TF, the five top address bits that a cache compares are set. */
static bool names_no_memory(const struct cpu *cpu)
{
	u64 guard = mask(5) << (cpu->cache - 5);

	for (int i = 0; cpu->l1tf && i < ROUNDS; i++) {
		u64 spte = spte_make_mmio(&cpu->f, random_gfn(cpu), accesses[i % 4], random64());

		if ((spte & guard) != guard)
			return false;
	}
	return true;
}

/* Even generations are distinguished unless they are a multiple of a whole round apart. */
static bool tells_apart(const struct cpu *cpu)
{
	u64 round = (cpu->f.number_mask + 1) << 1;

	for (int i = 0; i < 64; i++) {
		u64 generation = random64() & ~1ULL;
		u64 spte = spte_make_mmio(&cpu->f, 7, ACC_READ, generation);

		for (u64 step = 2; step < round && step; step <<= 1)
			if (spte_mmio_number(&cpu->f, spte) ==
			    spte_number(&cpu->f, generation + step))
				return false;
		if (spte_mmio_number(&cpu->f, spte) != spte_number(&cpu->f, generation + round))
			return false;
	}
	return true;
}

static bool wraps_once(const struct cpu *cpu)
{
	u64 round = (cpu->f.number_mask + 1) << 1;
	const struct spte_format *f = &cpu->f;

	return !spte_number_wraps(f, 0, KEEL_GEN_STEP) &&
	       !spte_number_wraps(f, round / 2 - KEEL_GEN_STEP, round / 2) &&
	       !spte_number_wraps(f, round - 2 * KEEL_GEN_STEP, round - KEEL_GEN_STEP) &&
	       spte_number_wraps(f, round - KEEL_GEN_STEP, round) &&
	       spte_number_wraps(f, round - KEEL_GEN_STEP + 2, round + 2) &&
	       spte_number_wraps(f, (round - KEEL_GEN_STEP) | 1, round) &&
	       !spte_number_wraps(f, round, round + KEEL_GEN_STEP) &&
	       spte_number_wraps(f, 5 * round - KEEL_GEN_STEP, 5 * round);
}

static bool leaf_reads_back(const struct cpu *cpu)
{
	for (int i = 0; i < ROUNDS; i++) {
		struct spte_leaf leaf = {
			.level = 1 + i % 3,
			.write = i & 4,
			.exec = i & 8,
			.ram = i & 16,
			.tracked = i & 32,
		};
		bool huge = leaf.level > 1;
		u64 spte;

		leaf.address = gfn_to_gpa(random_gfn(cpu)) & ~mask(12 + 9 * (leaf.level - 1));
		spte = spte_make_leaf(&leaf);
		if (!spte_is_leaf(spte) || spte_is_table(spte) || spte_is_mmio(spte) ||
		    spte_address(spte) != leaf.address || !(spte & SPTE_READ) ||
		    !!(spte & SPTE_WRITE) != leaf.write || !!(spte & SPTE_EXEC) != leaf.exec ||
		    !!(spte & SPTE_PS) != huge || !!(spte & SPTE_TRACKED) != leaf.tracked ||
		    (spte & GENMASK_ULL(6, 3)) != (leaf.ram ? 0x70 : 0))
			return false;
		/* Bits 12 up to the page's size, and those above the width, are reserved. */
		if (spte & SPTE_ADDRESS & ~mask(cpu->width))
			return false;
	}
	return true;
}

static bool table_reads_back(const struct cpu *cpu)
{
	for (int i = 0; i < ROUNDS; i++) {
		hpa_t table = random_gfn(cpu) << KEEL_PAGE_SHIFT;
		u64 spte = spte_make_table(table);

		/* Bits 3 to 7 of an entry that points to a table are reserved. */
		if (!spte_is_table(spte) || spte_is_leaf(spte) || spte_is_mmio(spte) ||
		    spte_address(spte) != table || (spte & GENMASK_ULL(7, 0)) != SPTE_RIGHTS)
			return false;
	}
	return true;
}

static void test_accessed_dirty(void)
{
	struct spte_leaf leaf = { .address = 0x1000, .level = 1, .write = true };
	struct spte_format with = { .ad = true }, without = { .ad = false };
	u64 rw = spte_make_leaf(&leaf), ro;

	leaf.write = false;
	ro = spte_make_leaf(&leaf);
	tap_ok(!spte_accessed(&with, rw) && spte_accessed(&with, rw | SPTE_ACCESSED) &&
	       !spte_dirty(&with, rw) && spte_dirty(&with, rw | SPTE_DIRTY),
	       "A/D bits: they say what was used and changed");
	tap_ok(spte_accessed(&without, rw) && spte_accessed(&without, ro) &&
	       spte_dirty(&without, rw) && !spte_dirty(&without, ro),
	       "no A/D bits: present counts as used, writable as changed");
}

static void test_empty(void)
{
	tap_ok(!spte_is_present(0) && !spte_is_leaf(0) && !spte_is_table(0) && !spte_is_mmio(0),
	       "0 is an entry that maps nothing and says nothing");
}

int main(void)
{
	for_every_cpu("MMIO: what is put in comes out", round_trip);
	for_every_cpu("MMIO: so does every single bit of generation and gfn", every_bit);
	for_every_cpu("MMIO: number, gfn, access and the fault never overlap", apart);
	for_every_cpu("MMIO: the number takes every bit that is free", no_waste);
	for_every_cpu("MMIO: the flag is not stored", flag_not_stored);
	for_every_cpu("MMIO: with L1TF no entry names an address that memory has", names_no_memory);
	for_every_cpu("MMIO: generations less than a round apart are told apart", tells_apart);
	for_every_cpu("MMIO: a wrap is seen at the end of each round, and only there", wraps_once);
	for_every_cpu("leaf: what is put in comes out", leaf_reads_back);
	for_every_cpu("table: what is put in comes out", table_reads_back);
	test_accessed_dirty();
	test_empty();
	return tap_done();
}
