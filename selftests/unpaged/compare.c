// SPDX-License-Identifier: GPL-2.0
/*
 * Two outcomes of one case of unpaged_diff, field by field. What a register that is
 * unusable holds besides its selector is nobody's.
 */
#include "outcome.h"

#define FIELD(what) { #what, offsetof(struct outcome, what), sizeof(((struct outcome *)0)->what) }

static const struct {
	const char *name;
	size_t offset, size;
} fields[] = {
	FIELD(exit), FIELD(regs.rip), FIELD(regs.rflags), FIELD(regs.rax), FIELD(regs.rbx),
	FIELD(regs.rcx), FIELD(regs.rdx), FIELD(regs.rsi), FIELD(regs.rdi), FIELD(regs.rsp),
	FIELD(regs.rbp), FIELD(sregs.gdt.base), FIELD(sregs.gdt.limit), FIELD(sregs.idt.base),
	FIELD(sregs.idt.limit), FIELD(sregs.cr0), FIELD(sregs.cr2), FIELD(sregs.cr3),
	FIELD(sregs.cr4), FIELD(sregs.efer), FIELD(debug.db[0]), FIELD(debug.db[1]),
	FIELD(debug.db[2]), FIELD(debug.db[3]), FIELD(debug.dr6), FIELD(debug.dr7),
	FIELD(events.exception.injected), FIELD(events.interrupt.shadow),
	FIELD(events.nmi.masked), FIELD(fpu), FIELD(nr_accesses), FIELD(accesses), FIELD(nr_words),
	FIELD(memory),
};

static const struct {
	const char *name;
	size_t offset;
} segments[] = {
#define SEGMENT(what) { #what, offsetof(struct outcome, sregs.what) }
	SEGMENT(cs), SEGMENT(ss), SEGMENT(ds), SEGMENT(es), SEGMENT(fs), SEGMENT(gs), SEGMENT(ldt),
	SEGMENT(tr),
};

static u64 value(const struct outcome *o, u32 field)
{
	u64 val = 0;

	memcpy(&val, (u8 *)o + fields[field].offset, fields[field].size);
	return val;
}

static bool same_segment(const struct kvm_segment *a, const struct kvm_segment *b)
{
	if (a->selector != b->selector || a->unusable != b->unusable)
		return false;
	return a->unusable || !memcmp(a, b, sizeof(*a));
}

static void print_segment(const struct kvm_segment *s)
{
	printf(" %04x base %llx limit %x type %x s %u dpl %u p %u db %u g %u%s", s->selector,
	       s->base, s->limit, s->type, s->s, s->dpl, s->present, s->db, s->g,
	       s->unusable ? " unusable" : "");
}

static bool segments_differ(const struct outcome *a, const struct outcome *b, bool show)
{
	bool differ = false;
	u32 i;

	for (i = 0; i < sizeof(segments) / sizeof(*segments); i++) {
		const struct kvm_segment *x = (void *)((u8 *)a + segments[i].offset);
		const struct kvm_segment *y = (void *)((u8 *)b + segments[i].offset);

		if (same_segment(x, y))
			continue;
		differ = true;
		if (!show)
			continue;
		printf("#   %s:", segments[i].name);
		print_segment(x);
		printf("\n#     but");
		print_segment(y);
		printf("\n");
	}
	return differ;
}

static void show_list(const char *name, const struct seen *list, u32 count)
{
	u32 i;

	printf("#   %s:", name);
	for (i = 0; i < count && i < KEPT; i++)
		printf(" %llx=%llx", (long long)list[i].where, (long long)list[i].what);
	printf(count > KEPT ? " ...\n" : "\n");
}

static void show_lists(const struct outcome *a, const struct outcome *b)
{
	if (a->accesses != b->accesses) {
		show_list("accesses", a->access, a->nr_accesses);
		show_list("but", b->access, b->nr_accesses);
	}
	if (a->memory != b->memory) {
		show_list("memory", a->word, a->nr_words);
		show_list("but", b->word, b->nr_words);
	}
}

bool outcomes_differ(const struct outcome *a, const struct outcome *b, bool show)
{
	bool differ = false;
	u32 i;

	/* After a shutdown nothing but the reset is sure to come. */
	if (a->exit == KVM_EXIT_SHUTDOWN && b->exit == KVM_EXIT_SHUTDOWN)
		return false;
	for (i = 0; i < sizeof(fields) / sizeof(*fields); i++) {
		if (value(a, i) == value(b, i))
			continue;
		differ = true;
		if (show)
			printf("#   %s: %llx but %llx\n", fields[i].name, (long long)value(a, i),
			       (long long)value(b, i));
	}
	differ |= segments_differ(a, b, show);
	if (show)
		show_lists(a, b);
	return differ;
}

void show_case(const struct unpaged_case *c)
{
	static const char * const names[] = { "cs", "ss", "ds", "es", "fs", "gs" };
	const struct kvm_sregs *s = &c->sregs;
	const struct kvm_segment *seg[] = { &s->cs, &s->ss, &s->ds, &s->es, &s->fs, &s->gs };
	const struct kvm_regs *r = &c->regs;
	u32 i;

	printf("# case %u, %s:", c->number, kind_names[c->kind]);
	for (i = 0; i < c->len; i++)
		printf(" %02x", c->code[i]);
	printf("\n#   rip %llx flags %llx ax %llx bx %llx cx %llx dx %llx", r->rip, r->rflags,
	       r->rax, r->rbx, r->rcx, r->rdx);
	printf(" si %llx di %llx bp %llx sp %llx\n", r->rsi, r->rdi, r->rbp, r->rsp);
	for (i = 0; i < 6; i++) {
		printf("#   %s", names[i]);
		print_segment(seg[i]);
		printf("\n");
	}
	printf("#   cr0 %llx cr4 %llx gdt %x idt %x tr %x ldt %x\n#   stack", s->cr0, s->cr4,
	       s->gdt.limit, s->idt.limit, s->tr.selector, s->ldt.selector);
	for (i = 0; i < c->stack.len; i++)
		printf("%s%02x", i % 2 ? "" : " ", c->stack.byte[i]);
	printf("\n#   ran");
	for (i = 0; i < c->nr_steps; i++)
		printf(" %x:%02x%02x%02x", c->step[i].at, c->step[i].code[0], c->step[i].code[1],
		       c->step[i].code[2]);
	printf("\n");
}
