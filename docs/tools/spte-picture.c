// SPDX-License-Identifier: GPL-2.0
/*
 * Draw the layout of page-table entries as SVG. The module's own constructors
 * are asked which bit is what: each field is found by changing it and looking
 * at what changes in the entry. Owns the drawing; check-picture builds and runs
 * it.
 */
#include <stdio.h>
#include <string.h>

#include "mmu/spte.c"

#define LEFT	20
#define CELL	15
#define HEIGHT	30
#define STEP	92

struct field {
	u64 mask;
	const char *name;
	const char *colour;
};

#define HARDWARE	"#dbe9f6"
#define SOFTWARE	"#fde6c8"
#define VERDICT		"#d9f0d3"
#define NUMBER		"#fff5b1"
#define FIXED		"#e8e8e8"

static const struct field *field_of(const struct field *fields, int bit)
{
	for (; fields->name; fields++)
		if (fields->mask >> bit & 1)
			return fields;
	return NULL;
}

static void draw_field(const struct field *f, int y, int high, int low)
{
	int x = LEFT + (63 - high) * CELL, width = (high - low + 1) * CELL;

	printf("<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" fill=\"%s\" stroke=\"#444\"/>\n",
	       x, y, width, HEIGHT, f ? f->colour : "#ffffff");
	if (f)
		printf("<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">%s</text>\n",
		       x + width / 2, y + 20, f->name);
	printf("<text class=\"bit\" x=\"%d\" y=\"%d\" text-anchor=\"middle\">%d</text>\n",
	       x + CELL / 2, y - 4, high);
	if (high != low)
		printf("<text class=\"bit\" x=\"%d\" y=\"%d\" text-anchor=\"middle\">%d</text>\n",
		       x + width - CELL / 2, y - 4, low);
}

static void draw_row(int row, const char *title, const struct field *fields)
{
	int y = 40 + row * STEP, high = 63, bit;

	printf("<text class=\"title\" x=\"%d\" y=\"%d\">%s</text>\n", LEFT, y - 18, title);
	for (bit = 62; bit >= -1; bit--) {
		const struct field *f = field_of(fields, high);

		if (bit >= 0 && field_of(fields, bit) == f)
			continue;
		draw_field(f, y, high, bit + 1);
		high = bit;
	}
}

/* Bits that differ between a leaf with and one without the property. */
#define LEAF_BITS(...) \
	(spte_make_leaf(&(struct spte_leaf) { .level = 1, __VA_ARGS__ }) ^ \
	 spte_make_leaf(&(struct spte_leaf) { .level = 1 }))

static void draw_leaf(int row)
{
	u64 ram = LEAF_BITS(.ram = true);
	struct field fields[] = {
		{ SPTE_READ, "R", HARDWARE },
		{ LEAF_BITS(.write = true), "W", HARDWARE },
		{ LEAF_BITS(.exec = true), "X", HARDWARE },
		{ SPTE_IGNORE_PAT, "I", HARDWARE },
		{ ram | 7ULL << 3, "MT", HARDWARE },
		{ LEAF_BITS(.level = 2), "PS", HARDWARE },
		{ SPTE_ACCESSED, "A", HARDWARE },
		{ SPTE_DIRTY, "D", HARDWARE },
		{ SPTE_LEAF, "L", SOFTWARE },
		{ LEAF_BITS(.tracked = true), "T", SOFTWARE },
		{ LEAF_BITS(.address = SPTE_ADDRESS), "page frame", HARDWARE },
		{ 0 },
	};

	draw_row(row, "Present leaf", fields);
}

static void draw_mmio(int row, int address_bits, int cache_bits, bool l1tf)
{
	struct spte_format f;
	u64 none, gfn, number, access;
	char title[160];

	spte_format_init(&f, address_bits, cache_bits, l1tf, true);
	none = spte_make_mmio(&f, 0, 0, 0);
	gfn = none ^ spte_make_mmio(&f, (1ULL << f.gfn_bits) - 1, 0, 0);
	number = none ^ spte_make_mmio(&f, 0, 0, ~0ULL);
	access = none ^ spte_make_mmio(&f, 0, ACC_WRITE | ACC_USER, 0);

	struct field fields[] = {
		{ SPTE_READ, "0", FIXED },
		{ SPTE_WRITE, "1", FIXED },
		{ SPTE_EXEC, "1", FIXED },
		{ access, "acc", VERDICT },
		{ number, "number", NUMBER },
		{ gfn, "gfn", VERDICT },
		{ none & ~SPTE_RIGHTS, "guard", SOFTWARE },
		{ 0 },
	};

	snprintf(title, sizeof(title),
		 "MMIO entry, %d-bit physical addresses, %s: %d bits of the number",
		 address_bits, l1tf ? "with L1TF" : "no L1TF", __builtin_popcountll(number));
	draw_row(row, title, fields);
}

int main(void)
{
	int width = 2 * LEFT + 64 * CELL, height = 4 * STEP;

	printf("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\">\n", width, height);
	printf("<!-- SPDX-License-Identifier: GPL-2.0; drawn by docs/tools/check-picture -w -->\n");
	printf("<style>text { font: 12px sans-serif } .title { font-weight: bold }\n");
	printf(".bit { font-size: 8px; fill: #555 }</style>\n");
	printf("<rect width=\"%d\" height=\"%d\" fill=\"#ffffff\"/>\n", width, height);
	draw_leaf(0);
	draw_mmio(1, 48, 48, false);
	draw_mmio(2, 46, 46, true);
	draw_mmio(3, 39, 44, true);
	printf("</svg>\n");
	return 0;
}
