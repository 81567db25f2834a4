// SPDX-License-Identifier: GPL-2.0
/*
 * The bench's memory behaves as a processor's would behind paging: an access
 * is checked as a whole before any byte moves, and the fault names the first
 * byte that could not be reached.
 */
#include <stdio.h>
#include <string.h>
#include "emulate_bench.h"

#define PF_PRESENT	1u
#define PF_WRITE	2u
#define PF_USER		4u
#define PF_FETCH	16u

static enum emu_result page_fault(struct bench *b, u64 linear, u32 code)
{
	b->ctx.fault = (struct emu_exception){
		.vector = 14,
		.has_error = true,
		.error_code = code | (b->user ? PF_USER : 0),
		.cr2 = linear,
	};
	return EMU_FAULT;
}

static u64 offset_of(const struct bench *b, u64 linear)
{
	u64 offset = linear - b->origin;

	return b->ctx.mode == EMU_MODE_LONG64 ? offset : (u32)offset;
}

u8 *bench_at(struct bench *b, u64 linear)
{
	u64 offset = offset_of(b, linear);

	return offset < BENCH_SIZE ? &b->memory[offset] : NULL;
}

/* @code: what the access is, in terms of a page fault's error code. */
static enum emu_result check_byte(struct bench *b, u64 linear, u32 code)
{
	u8 rights;

	if (offset_of(b, linear) >= BENCH_SIZE) {
		b->outside = true;
		return page_fault(b, linear, code);
	}
	rights = b->rights[offset_of(b, linear) / BENCH_PAGE];
	if (rights == BENCH_ABSENT)
		return page_fault(b, linear, code);
	if ((code & PF_WRITE) && rights == BENCH_READ_ONLY)
		return page_fault(b, linear, code | PF_PRESENT);
	return EMU_OK;
}

static enum emu_result check(struct bench *b, u64 linear, unsigned int size, u32 code)
{
	unsigned int i;

	if (linear != emu_linear(&b->ctx, linear, 0)) {
		b->outside = true;
		return page_fault(b, linear, code);
	}
	for (i = 0; i < size; i++) {
		enum emu_result result = check_byte(b, emu_linear(&b->ctx, linear, i), code);

		if (result != EMU_OK)
			return result;
	}
	return EMU_OK;
}

static bool is_io(struct bench *b, u64 linear)
{
	return b->rights[offset_of(b, linear) / BENCH_PAGE] == BENCH_IO;
}

static enum emu_result bench_read(struct emu_ctx *ctx, u64 linear, void *buf, unsigned int size,
				  unsigned int access)
{
	struct bench *b = ctx->priv;
	enum emu_result result = check(b, linear, size, access & EMU_RMW ? PF_WRITE : 0);
	unsigned int i;

	b->reads++;
	b->read_access = access;
	b->wrote_before_read |= b->writes;
	if (result != EMU_OK)
		return result;
	if (is_io(b, linear)) {
		if (!b->io_answers)
			return EMU_IO;
		b->io_answers--;
		memcpy(buf, &b->io_answer, size < 8 ? size : 8);
		return EMU_OK;
	}
	for (i = 0; i < size; i++)
		((u8 *)buf)[i] = *bench_at(b, emu_linear(ctx, linear, i));
	return EMU_OK;
}

static enum emu_result bench_write(struct emu_ctx *ctx, u64 linear, const void *buf,
				   unsigned int size, unsigned int access)
{
	struct bench *b = ctx->priv;
	enum emu_result result = check(b, linear, size, PF_WRITE);
	unsigned int i;

	b->writes++;
	if (result != EMU_OK)
		return result;
	for (i = 0; i < size; i++)
		*bench_at(b, emu_linear(ctx, linear, i)) = ((const u8 *)buf)[i];
	return EMU_OK;
}

static enum emu_result bench_fetch(struct emu_ctx *ctx, u64 linear, void *buf, unsigned int len)
{
	struct bench *b = ctx->priv;
	enum emu_result result = check(b, linear, len, PF_FETCH);

	b->fetches++;
	b->fetched += len;
	if (result == EMU_OK)
		memcpy(buf, bench_at(b, linear), len);
	return result;
}

static enum emu_result bench_cmpxchg(struct emu_ctx *ctx, u64 linear, const void *old,
				     const void *new, unsigned int size)
{
	struct bench *b = ctx->priv;
	unsigned int i;

	b->locked++;
	if (b->change_on_cmpxchg)
		return EMU_RETRY;
	for (i = 0; i < size; i++) {
		if (*bench_at(b, emu_linear(ctx, linear, i)) != ((const u8 *)old)[i])
			return EMU_RETRY;
	}
	return bench_write(ctx, linear, new, size, EMU_WRITE | EMU_LOCKED);
}

static void bench_read_xmm(struct emu_ctx *ctx, unsigned int reg, void *buf, unsigned int size)
{
	struct bench *b = ctx->priv;

	memcpy(buf, b->xmm[reg], size);
}

static void bench_write_xmm(struct emu_ctx *ctx, unsigned int reg, const void *buf,
			    unsigned int size, bool clear_upper)
{
	struct bench *b = ctx->priv;

	memcpy(b->xmm[reg], buf, size);
	if (clear_upper)
		memset(b->xmm[reg] + size, 0, 32 - size);
}

const struct emu_ops bench_ops = {
	.fetch = bench_fetch,
	.read = bench_read,
	.write = bench_write,
	.exchange = bench_cmpxchg,
	.read_xmm = bench_read_xmm,
	.write_xmm = bench_write_xmm,
};

static struct emu_seg flat_segment(enum emu_mode mode, unsigned int index)
{
	bool real = mode <= EMU_MODE_VM86;

	return (struct emu_seg){
		.limit = real ? 0xffff : 0xffffffff,
		.type = index == EMU_CS ? 11 : 3,
		.s = 1,
		.p = 1,
		.g = !real,
		.db = mode == EMU_MODE_PROT32 || (mode == EMU_MODE_LONG64 && index != EMU_CS),
		.l = mode == EMU_MODE_LONG64 && index == EMU_CS,
		.sel = real ? 0 : 8 * (index + 1),
	};
}

void bench_clear_counters(struct bench *b)
{
	b->reads = 0;
	b->writes = 0;
	b->fetches = 0;
	b->fetched = 0;
	b->locked = 0;
	b->outside = false;
	b->wrote_before_read = false;
}

void bench_reset(struct bench *b, enum emu_mode mode, u64 origin, u64 rip)
{
	unsigned int i;

	memset(b, 0, sizeof(*b));
	b->origin = origin;
	b->ctx.ops = &bench_ops;
	b->ctx.priv = b;
	b->ctx.rip = rip;
	b->ctx.rflags = 2;
	b->ctx.mode = mode;
	b->ctx.cpl = mode == EMU_MODE_VM86 ? 3 : 0;
	b->ctx.seg_valid = (1u << EMU_SEG_COUNT) - 1;
	b->ctx.cr0 = mode == EMU_MODE_REAL ? 0x10 : 0x11;
	b->ctx.cr4 = 0x40200;
	b->ctx.xcr0 = 7;
	for (i = 0; i < EMU_SEG_COUNT; i++)
		b->ctx.seg[i] = flat_segment(mode, i);
	memset(b->rights, BENCH_WRITABLE, sizeof(b->rights));
}

unsigned int bench_put_code(struct bench *b, const char *hex)
{
	u8 *code = bench_at(b, b->ctx.seg[EMU_CS].base + b->ctx.rip);
	unsigned int len = 0, byte;

	while (sscanf(hex, "%2x", &byte) == 1) {
		code[len++] = byte;
		hex += hex[2] ? 3 : 2;
	}
	return len;
}

enum emu_result bench_step(struct bench *b)
{
	enum emu_result result;

	b->ctx.insn.fetched = 0;
	result = emu_decode(&b->ctx);
	if (result != EMU_OK)
		return result;
	do {
		b->writes = 0;
		result = emu_execute(&b->ctx);
	} while (result == EMU_OK && b->ctx.rep_again);
	return result;
}
