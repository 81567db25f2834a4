// SPDX-License-Identifier: GPL-2.0
/*
 * Run single instructions from a table, and compare registers, flags, memory and
 * faults with the row. State that the row does not name must not change.
 */
#include <string.h>
#include "emulate_rows.h"
#include "tap.h"

static void set_memory(struct bench *b, const struct memory_value *m)
{
	memcpy(bench_at(b, m->linear), &m->val, m->size);
}

static bool memory_is(struct bench *b, const struct memory_value *m)
{
	u64 val = 0;

	if (!m->size)
		return true;
	memcpy(&val, bench_at(b, m->linear), m->size);
	if (val == m->val)
		return true;
	tap_note("memory at %#llx is %#llx, not %#llx", m->linear, val, m->val);
	return false;
}

static bool vector_is(const struct bench *b, const struct vector_value *v)
{
	u64 val;

	if (!v->number)
		return true;
	memcpy(&val, b->xmm[v->number - 1] + v->at, sizeof(val));
	if (val == v->val)
		return true;
	tap_note("vector register %u has %#llx at %u, not %#llx", v->number - 1, val, v->at,
		 v->val);
	return false;
}

/* Returns the number of code bytes. */
static unsigned int prepare(struct bench *b, const struct row *row)
{
	unsigned int length, i;

	bench_reset(b, row->mode, 0, CODE_AT);
	length = bench_put_code(b, row->code);
	for (i = 0; i < 32; i++)
		memset(b->xmm[i], 0x11 * i, sizeof(b->xmm[i]));
	for (i = 0; i < MAX_REGS && row->in[i].number; i++)
		b->ctx.gpr[row->in[i].number - 1] = row->in[i].val;
	b->ctx.rflags |= row->flags;
	set_memory(b, &row->mem);
	if (row->setup)
		row->setup(b);
	return length;
}

static bool registers_are(const struct bench *b, const struct row *row)
{
	u64 want[EMU_GPR_COUNT] = { 0 };
	unsigned int i;
	bool ok = true;

	for (i = 0; i < MAX_REGS && row->in[i].number; i++)
		want[row->in[i].number - 1] = row->in[i].val;
	for (i = 0; i < MAX_REGS && row->out[i].number; i++)
		want[row->out[i].number - 1] = row->out[i].val;
	for (i = 0; i < EMU_GPR_COUNT; i++) {
		if (b->ctx.gpr[i] == want[i])
			continue;
		tap_note("register %u is %#llx, not %#llx", i, b->ctx.gpr[i], want[i]);
		ok = false;
	}
	return ok;
}

static bool fault_is(const struct bench *b, const struct row *row)
{
	const struct emu_exception *f = &b->ctx.fault;
	bool want_error = row->error != NO_ERROR;

	if (f->vector == row->vector - 1 && f->has_error == want_error &&
	    (!f->has_error || f->error_code == row->error))
		return true;
	tap_note("fault is vector %u, error code %s%u", f->vector, f->has_error ? "" : "none ",
		 f->error_code);
	return false;
}

static bool rip_and_flags_are(const struct bench *b, const struct row *row)
{
	u64 rip = CODE_AT, flags = row->flags_out | 2;

	if (row->result == EMU_OK)
		rip = row->rip ? row->rip : CODE_AT + b->ctx.insn.length;
	else if (!row->flags_out)
		flags = row->flags | 2;
	if (b->ctx.rip == rip && b->ctx.rflags == flags)
		return true;
	tap_note("rip %#llx, not %#llx; rflags %#llx, not %#llx", b->ctx.rip, rip, b->ctx.rflags,
		 flags);
	return false;
}

bool row_passes(const struct row *row)
{
	static struct bench bench;
	struct bench *b = &bench;
	unsigned int length = prepare(b, row);
	enum emu_result result = bench_step(b);
	bool ok = result == row->result;

	if (!ok)
		tap_note("result is %d, not %d", result, row->result);
	if (result == EMU_FAULT && row->result == EMU_FAULT)
		ok &= fault_is(b, row);
	if (result == EMU_OK && b->ctx.insn.length != length) {
		tap_note("length is %u", b->ctx.insn.length);
		ok = false;
	}
	ok = registers_are(b, row) & ok;
	ok = rip_and_flags_are(b, row) & ok;
	ok = vector_is(b, &row->vector_out) & ok;
	return memory_is(b, &row->mem_out) & ok;
}
