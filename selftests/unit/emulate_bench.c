// SPDX-License-Identifier: GPL-2.0
/*
 * Memory of the bench, which behaves as a processor's behind paging: an access is
 * checked as a whole before any byte moves, and a fault names the first byte that
 * cannot be accessed.
 */
#include <stdio.h>
#include <string.h>
#include "emulate_bench.h"
#include "emulate/x87.h"

#define PF_PRESENT	1u
#define PF_WRITE	2u
#define PF_USER		4u
#define PF_FETCH	16u

static enum emu_result page_fault(struct bench *b, u64 linear, u32 code)
{
	b->ctx.fault = (struct emu_exception){
		.vector = 14,
		.has_error = true,
		.error_code = code | (b->user && !b->implicit ? PF_USER : 0),
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

/* Check the access to one byte; @code: error code of the page fault, for this kind of access. */
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

/* Find the address in the processor's private table; NULL for an ordinary access. */
static u8 *table_at(struct bench *b, u64 linear, unsigned int size, unsigned int access)
{
	u64 offset = linear - b->table.base;

	b->implicit = access & EMU_SYSTEM;
	if (!b->implicit || !b->table.data || offset >= b->table.size ||
	    b->table.size - offset < size)
		return NULL;
	b->table.last = offset;
	return b->table.data + offset;
}

static enum emu_result bench_read(struct emu_ctx *ctx, u64 linear, void *buf, unsigned int size,
				  unsigned int access)
{
	struct bench *b = ctx->priv;
	u8 *table = table_at(b, linear, size, access);
	enum emu_result result;
	unsigned int i;

	if (table) {
		memcpy(buf, table, size);
		return EMU_OK;
	}
	result = check(b, linear, size, access & EMU_RMW ? PF_WRITE : 0);
	if (access & EMU_LOCKED && (linear ^ (linear + size - 1)) >= BENCH_CACHE_LINE)
		b->split_lock = true;
	if (access & EMU_PROBE)
		return result;
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
	u8 *table = table_at(b, linear, size, access);
	enum emu_result result;
	unsigned int i;

	if (table) {
		memcpy(table, buf, size);
		return EMU_OK;
	}
	result = check(b, linear, size, PF_WRITE);
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
	enum emu_result result;

	b->implicit = false;
	result = check(b, linear, len, PF_FETCH);
	b->fetches++;
	b->fetched += len;
	if (result == EMU_OK)
		memcpy(buf, bench_at(b, linear), len);
	return result;
}

static enum emu_result bench_cmpxchg(struct emu_ctx *ctx, u64 linear, const void *old,
				     const void *new, unsigned int size, unsigned int access)
{
	struct bench *b = ctx->priv;
	unsigned int i;

	b->locked++;
	if (b->change_on_cmpxchg)
		return EMU_RETRY;
	if (table_at(b, linear, size, access))
		return bench_write(ctx, linear, new, size, access);
	for (i = 0; i < size; i++) {
		const u8 *at = bench_at(b, emu_linear(ctx, linear, i));

		if (!at || *at != ((const u8 *)old)[i])
			return EMU_RETRY;
	}
	return bench_write(ctx, linear, new, size, access);
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
		memset(b->xmm[reg] + size, 0, sizeof(b->xmm[reg]) - size);
}

static u64 bench_read_mask(struct emu_ctx *ctx, unsigned int reg)
{
	struct bench *b = ctx->priv;

	return b->mask[reg];
}

static void bench_write_mask(struct emu_ctx *ctx, unsigned int reg, u64 val)
{
	struct bench *b = ctx->priv;

	b->mask[reg] = val;
}

static void bench_read_fx(struct emu_ctx *ctx, struct emu_fx *fx)
{
	struct bench *b = ctx->priv;
	unsigned int i;

	*fx = b->fx;
	for (i = 0; i < 16; i++)
		memcpy(fx->xmm[i], b->xmm[i], sizeof(fx->xmm[i]));
}

void bench_settle_x87(struct bench *b)
{
	struct emu_fx before = b->fx;
	u16 fcw;

	x87_run_on(&b->fx, 0xd9, 7 << 3, &fcw);
	/* Not every processor saves these. */
	b->fx.fip = before.fip;
	b->fx.fdp = before.fdp;
	b->fx.fop = before.fop;
}

static void bench_write_fx(struct emu_ctx *ctx, const struct emu_fx *fx)
{
	struct bench *b = ctx->priv;
	unsigned int i;

	b->fx = *fx;
	bench_settle_x87(b);
	for (i = 0; i < 16; i++)
		memcpy(b->xmm[i], fx->xmm[i], sizeof(fx->xmm[i]));
}

static void bench_run_x87(struct emu_fx *fx, u8 opcode, u8 modrm, void *buf)
{
	x87_run_on(fx, opcode, modrm, buf);
}

static enum emu_result bench_get(struct emu_ctx *ctx, enum emu_register space, u32 nr, u64 *val)
{
	struct bench *b = ctx->priv;

	switch (space) {
	case EMU_REG_CR:
		*val = b->cr[nr];
		return EMU_OK;
	case EMU_REG_DR:
		*val = b->dr[nr];
		return EMU_OK;
	case EMU_REG_MSR:
		*val = b->msr;
		return nr == b->msr_number ? EMU_OK : EMU_FAULT;
	case EMU_REG_XCR:
		*val = b->xcr[nr];
		return EMU_OK;
	case EMU_REG_OWN_MSR:
		*val = b->own_msr[nr & 15];
		return EMU_OK;
	case EMU_REG_RANDOM:
		*val = b->random[nr];
		return *val ? EMU_OK : EMU_RETRY;
	default:
		*val = 0x1122334455667788;
		return EMU_OK;
	}
}

static enum emu_result bench_set(struct emu_ctx *ctx, enum emu_register space, u32 nr, u64 val)
{
	struct bench *b = ctx->priv;

	switch (space) {
	case EMU_REG_CR:
		b->cr[nr] = val;
		return EMU_OK;
	case EMU_REG_DR:
		b->dr[nr] = val;
		return EMU_OK;
	case EMU_REG_XCR:
		if (nr)
			return EMU_FAULT;
		b->xcr[nr] = val;
		return EMU_OK;
	case EMU_REG_OWN_MSR:
		b->own_msr[nr & 15] = val;
		return EMU_OK;
	default:
		b->msr = val;
		return nr == b->msr_number ? EMU_OK : EMU_FAULT;
	}
}

static void bench_get_table(struct emu_ctx *ctx, bool idt, struct emu_table *t)
{
	struct bench *b = ctx->priv;

	*t = idt ? b->idt : b->gdt;
}

static void bench_set_table(struct emu_ctx *ctx, bool idt, const struct emu_table *t)
{
	struct bench *b = ctx->priv;

	*(idt ? &b->idt : &b->gdt) = *t;
}

static void bench_invalidate(struct emu_ctx *ctx, u64 linear)
{
	struct bench *b = ctx->priv;

	b->invalidated++;
}

static void bench_cpuid(struct emu_ctx *ctx, u32 out[4])
{
	asm volatile("cpuid" : "=a" (out[0]), "=b" (out[1]), "=c" (out[2]), "=d" (out[3])
		     : "a" ((u32)ctx->gpr[EMU_RAX]), "c" ((u32)ctx->gpr[EMU_RCX]));
}

static bool bench_has(struct emu_ctx *ctx, enum emu_feature feature)
{
	struct bench *b = ctx->priv;

	return !(b->lacks & 1u << feature);
}

static void bench_hypercall(struct emu_ctx *ctx)
{
	ctx->gpr[EMU_RAX] = ~ctx->gpr[EMU_RAX];
}

static void bench_trap(struct emu_ctx *ctx)
{
	struct bench *b = ctx->priv;

	b->traps++;
}

static enum emu_result bench_port(struct emu_ctx *ctx, u16 port, void *buf, unsigned int size,
				  bool out)
{
	struct bench *b = ctx->priv;

	b->port = port;
	if (out)
		memcpy(&b->port_value, buf, size);
	else
		memcpy(buf, &b->port_value, size);
	return EMU_OK;
}

static const struct emu_system bench_system = {
	.get = bench_get,
	.set = bench_set,
	.get_table = bench_get_table,
	.set_table = bench_set_table,
	.invalidate = bench_invalidate,
	.cpuid = bench_cpuid,
	.has = bench_has,
	.hypercall = bench_hypercall,
	.trap = bench_trap,
	.port = bench_port,
};

const struct emu_ops bench_ops = {
	.fetch = bench_fetch,
	.read = bench_read,
	.write = bench_write,
	.exchange = bench_cmpxchg,
	.read_xmm = bench_read_xmm,
	.write_xmm = bench_write_xmm,
	.read_mask = bench_read_mask,
	.write_mask = bench_write_mask,
	.read_fx = bench_read_fx,
	.write_fx = bench_write_fx,
	.run_x87 = bench_run_x87,
	.system = &bench_system,
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
	b->table.last = 0;
	b->wrote_before_read = false;
	b->split_lock = false;
}

void bench_reset(struct bench *b, enum emu_mode mode, u64 origin, u64 rip)
{
	unsigned int i;

	memset(b, 0, sizeof(*b));
	b->origin = origin;
	b->ctx.ops = &bench_ops;
	b->ctx.priv = b;
	b->ctx.gpr = b->gpr;
	b->ctx.rip = rip;
	b->ctx.rflags = 2;
	b->ctx.mode = mode;
	b->ctx.cpl = mode == EMU_MODE_VM86 ? 3 : 0;
	b->ctx.seg_valid = (1u << EMU_SEG_COUNT) - 1;
	b->ctx.cr0 = mode == EMU_MODE_REAL ? 0x10 : 0x11;
	b->ctx.cr4 = 0x40200;
	b->ctx.efer = mode == EMU_MODE_LONG64 ? 0x500 : 0;
	b->ctx.xcr0 = 0xe7;
	b->fx.fcw = 0x37f;
	b->fx.mxcsr = 0x1f80;
	bench_settle_x87(b);
	for (i = 0; i < EMU_SEG_COUNT; i++)
		b->ctx.seg[i] = i < EMU_LDTR ? flat_segment(mode, i) :
					       (struct emu_seg){ .unusable = 1 };
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
