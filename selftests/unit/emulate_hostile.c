// SPDX-License-Identifier: GPL-2.0
/*
 * The emulator in hostile surroundings: it runs one instruction, with random
 * registers and segments, on memory and system state that return arbitrary
 * answers. The sanitizers watch the emulator; this file checks the promises of
 * emulate.h: nothing is committed except on success, reads precede writes, and
 * the same instruction makes the same requests again.
 */
#include <string.h>
#include "emulate/emulate.h"
#include "emulate_hostile.h"

#define MAX_CALLS	80

/* Requests of the emulator, one entry per call of the memory callbacks. */
struct call {
	u64 linear;
	unsigned int size;
	unsigned int access;
};

struct log {
	struct call calls[MAX_CALLS];
	unsigned int count;
	bool wrote, final;
};

static u64 random_state;
static struct log log_now;
static const char *broken;
static u8 code[EMU_INSN_MAX];
static u8 xmm[32][64];
static u64 masks[8];
static struct emu_fx x87;
static unsigned int hostility;		/* one answer in this many is not EMU_OK */
unsigned long hostile_results[EMU_RETRY + 1];

static u64 hostile_random(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static unsigned int below(unsigned int bound)
{
	return (hostile_random() >> 20) % bound;
}

static u64 random_value(void)
{
	switch (below(4)) {
	case 0:
		return below(0x10000);
	case 1:
		return 0x7ffffffffff0 + below(0x20);
	case 2:
		return (u32)hostile_random();
	default:
		return hostile_random();
	}
}

static void expect(bool ok, const char *what)
{
	if (!ok)
		broken = what;
}

static void fill(void *buf, unsigned int size)
{
	u8 *bytes = buf;

	while (size--)
		*bytes++ = hostile_random() >> 24;
}

static enum emu_result whim(struct emu_ctx *ctx)
{
	if (below(hostility))
		return EMU_OK;
	switch (below(3)) {
	case 0:
		ctx->fault = (struct emu_exception){ .vector = 14, .has_error = true };
		return EMU_FAULT;
	case 1:
		return EMU_IO;
	default:
		return EMU_RETRY;
	}
}

static void note(u64 linear, unsigned int size, unsigned int access)
{
	if (log_now.count < MAX_CALLS)
		log_now.calls[log_now.count] = (struct call){ linear, size, access };
	log_now.count++;
	expect(log_now.count <= MAX_CALLS, "an instruction makes few accesses");
	expect(size >= 1 && size <= EMU_OPERAND_MAX, "an access has 1 to 64 bytes");
}

static enum emu_result fuzz_fetch(struct emu_ctx *ctx, u64 linear, void *buf, unsigned int len)
{
	unsigned int at = ctx->insn.fetched;

	note(linear, len, EMU_FETCH);
	expect(at + len <= EMU_INSN_MAX, "no more than 15 bytes are fetched");
	expect((linear & 4095) + len <= 4096, "a fetch stays in its page");
	memcpy(buf, code + at, at + len <= EMU_INSN_MAX ? len : 0);
	return whim(ctx);
}

static enum emu_result fuzz_read(struct emu_ctx *ctx, u64 linear, void *buf, unsigned int size,
				 unsigned int access)
{
	note(linear, size, access);
	expect(access & EMU_READ, "a read says that it is one");
	expect(!log_now.wrote || access & EMU_PROBE, "reads come before writes");
	if (!(access & EMU_PROBE))
		fill(buf, size);
	/* Sometimes return a valid descriptor. */
	if (access & EMU_SYSTEM && size == 8 && below(2))
		((u8 *)buf)[5] = (((u8 *)buf)[5] & 0xf) | 0x90 | (below(2) ? 0x60 : 0);
	return whim(ctx);
}

static enum emu_result fuzz_write(struct emu_ctx *ctx, u64 linear, const void *buf,
				  unsigned int size, unsigned int access)
{
	u8 copy[EMU_OPERAND_MAX];

	note(linear, size, access);
	expect(access & EMU_WRITE, "a write says that it is one");
	log_now.wrote = true;
	memcpy(copy, buf, size);
	return whim(ctx);
}

static enum emu_result fuzz_exchange(struct emu_ctx *ctx, u64 linear, const void *old,
				     const void *new, unsigned int size, unsigned int access)
{
	u8 copy[2 * EMU_OPERAND_MAX];

	note(linear, size, EMU_LOCKED);
	log_now.wrote = true;
	memcpy(copy, old, size);
	memcpy(copy + size, new, size);
	return whim(ctx);
}

static void fuzz_load_seg(struct emu_ctx *ctx, unsigned int index)
{
	expect(index < EMU_SEG_COUNT, "a segment register exists");
	expect(!(ctx->seg_valid & (1u << index)), "a segment is loaded once");
	fill(&ctx->seg[index], sizeof(ctx->seg[index]));
	if (below(4))
		ctx->seg[index].limit = ~0u;
	if (below(4))
		ctx->seg[index].type = 3;
	if (below(4))
		ctx->seg[index].unusable = 0;
}

static void fuzz_read_xmm(struct emu_ctx *ctx, unsigned int reg, void *buf, unsigned int size)
{
	expect(reg < 32, "a vector register exists");
	memcpy(buf, xmm[reg], size);
}

static void fuzz_write_xmm(struct emu_ctx *ctx, unsigned int reg, const void *buf,
			   unsigned int size, bool clear_upper)
{
	expect(reg < 32, "a vector register exists");
	memcpy(xmm[reg], buf, size);
}

static u64 fuzz_read_mask(struct emu_ctx *ctx, unsigned int reg)
{
	expect(reg < 8, "a mask register exists");
	return masks[reg & 7];
}

static void fuzz_write_mask(struct emu_ctx *ctx, unsigned int reg, u64 val)
{
	expect(reg < 8, "a mask register exists");
	masks[reg & 7] = val;
}

static void fuzz_read_fx(struct emu_ctx *ctx, struct emu_fx *fx)
{
	*fx = x87;
}

static void fuzz_write_fx(struct emu_ctx *ctx, const struct emu_fx *fx)
{
	x87 = *fx;
}

static void fuzz_run_x87(struct emu_fx *fx, u8 opcode, u8 modrm, void *buf)
{
	expect((opcode & 0xf8) == 0xd8, "an x87 instruction is one");
	expect(modrm < 0xc0 || modrm == 0xe2 || modrm == 0xe3, "... that can be run");
	fx->fsw = hostile_random();
	if (modrm < 0xc0)
		fill(buf, 10);
}

static enum emu_result fuzz_get(struct emu_ctx *ctx, enum emu_register space, u32 nr, u64 *val)
{
	expect(space != EMU_REG_CR || nr < 16, "a control register exists");
	expect(space != EMU_REG_DR || nr < 8, "a debug register exists");
	fill(val, sizeof(*val));
	return below(8) ? EMU_OK : EMU_FAULT;
}

/* A success is final: nothing may fail after it. */
static enum emu_result fuzz_set(struct emu_ctx *ctx, enum emu_register space, u32 nr, u64 val)
{
	expect(space != EMU_REG_CR || nr < 16, "a control register exists");
	expect(space != EMU_REG_DR || nr < 8, "a debug register exists");
	expect(space != EMU_REG_TSC, "time is not set");
	if (!below(8))
		return EMU_FAULT;
	log_now.final = true;
	return EMU_OK;
}

static void fuzz_get_table(struct emu_ctx *ctx, bool idt, struct emu_table *t)
{
	t->base = random_value();
	t->limit = below(2) ? 0xffff : hostile_random();
}

static void fuzz_set_table(struct emu_ctx *ctx, bool idt, const struct emu_table *t)
{
	log_now.final = true;
}

static void fuzz_invalidate(struct emu_ctx *ctx, u64 linear)
{
	log_now.final = true;
}

static void fuzz_cpuid(struct emu_ctx *ctx, u32 out[4])
{
	fill(out, 4 * sizeof(*out));
}

static bool fuzz_has(struct emu_ctx *ctx, enum emu_feature feature)
{
	return below(8);
}

static void fuzz_hypercall(struct emu_ctx *ctx)
{
	ctx->gpr[EMU_RAX] = random_value();
	log_now.final = true;
}

static void fuzz_trap(struct emu_ctx *ctx)
{
	log_now.final = true;
}

static enum emu_result fuzz_port(struct emu_ctx *ctx, u16 port, void *buf, unsigned int size,
				 bool out)
{
	expect(size == 1 || size == 2 || size == 4, "a port is 1, 2 or 4 bytes wide");
	note(port, size, out ? EMU_WRITE : EMU_READ);
	if (out)
		log_now.wrote = true;
	else
		fill(buf, size);
	return whim(ctx);
}

static const struct emu_system fuzz_system = {
	.get = fuzz_get,
	.set = fuzz_set,
	.get_table = fuzz_get_table,
	.set_table = fuzz_set_table,
	.invalidate = fuzz_invalidate,
	.cpuid = fuzz_cpuid,
	.has = fuzz_has,
	.hypercall = fuzz_hypercall,
	.trap = fuzz_trap,
	.port = fuzz_port,
};

static const struct emu_ops fuzz_ops = {
	.fetch = fuzz_fetch,
	.read = fuzz_read,
	.write = fuzz_write,
	.exchange = fuzz_exchange,
	.load_seg = fuzz_load_seg,
	.read_xmm = fuzz_read_xmm,
	.write_xmm = fuzz_write_xmm,
	.read_mask = fuzz_read_mask,
	.write_mask = fuzz_write_mask,
	.read_fx = fuzz_read_fx,
	.write_fx = fuzz_write_fx,
	.run_x87 = fuzz_run_x87,
	.system = &fuzz_system,
};

static u64 gpr[EMU_GPR_COUNT], gpr_before[EMU_GPR_COUNT];

static void make_context(struct emu_ctx *ctx, enum emu_mode mode)
{
	unsigned int i;

	memset(ctx, 0, sizeof(*ctx));
	ctx->ops = &fuzz_ops;
	ctx->gpr = gpr;
	ctx->mode = mode;
	ctx->cpl = ctx->mode == EMU_MODE_REAL ? 0 : below(2) * 3;
	for (i = 0; i < EMU_GPR_COUNT; i++)
		ctx->gpr[i] = random_value();
	for (i = 0; i < 8; i++)
		masks[i] = hostile_random();
	fill(&x87, sizeof(x87));
	x87.fsw &= below(4) ? ~0x80 : ~0;
	ctx->rip = ctx->mode == EMU_MODE_LONG64 ? random_value() : (u32)random_value();
	ctx->rflags = (hostile_random() & 0x3f7fd5) | 2;
	ctx->cr0 = hostile_random() & (below(4) ? ~0xcull : ~0ull);
	ctx->cr4 = hostile_random() | (below(4) ? 0x40200 : 0);
	ctx->xcr0 = below(4) ? 0xe7 : hostile_random();
	ctx->efer = mode == EMU_MODE_LONG64 || below(2) ? hostile_random() | 0x400 : 0;
	hostility = below(4) ? 64 : 2;
}

static bool same_registers(const struct emu_ctx *a, const struct emu_ctx *b)
{
	return !memcmp(a->gpr, b->gpr, sizeof(gpr)) && a->rip == b->rip &&
	       a->rflags == b->rflags;
}

/* Segments may be loaded lazily at any time, but only instructions that succeed change them. */
static bool same_segments(const struct emu_ctx *before, const struct emu_ctx *ctx)
{
	unsigned int i;

	for (i = 0; i < EMU_SEG_COUNT; i++) {
		if (before->seg_valid & (1u << i) &&
		    memcmp(&before->seg[i], &ctx->seg[i], sizeof(ctx->seg[i])))
			return false;
	}
	return true;
}

static void check_outcome(const struct emu_ctx *before, const struct emu_ctx *ctx,
			  enum emu_result result)
{
	if (result > EMU_RETRY) {
		expect(false, "a result is one of five");
		return;
	}
	hostile_results[result]++;
	expect(result == EMU_OK || !log_now.final, "nothing fails after what is final");
	if (result == EMU_OK) {
		expect(ctx->insn.length >= 1 && ctx->insn.length <= EMU_INSN_MAX,
		       "an instruction has 1 to 15 bytes");
		expect(!ctx->rep_again || ctx->rip == before->rip,
		       "RIP stays at an instruction that goes on");
		return;
	}
	expect(same_registers(before, ctx), "a failure commits no register");
	expect(same_segments(before, ctx), "... and no segment");
	if (result == EMU_FAULT)
		expect(ctx->fault.vector <= 17, "a fault has a vector");
}

static enum emu_result step(struct emu_ctx *ctx, bool decode)
{
	log_now.count = 0;
	log_now.wrote = false;
	log_now.final = false;
	if (decode) {
		enum emu_result result = emu_decode(ctx);

		if (result != EMU_OK)
			return result;
		log_now.count = 0;
	}
	return emu_execute(ctx);
}

/* Run a failed instruction again: with the same answers it must make the same requests. */
static void check_again(struct emu_ctx *ctx, u64 state)
{
	struct log first = log_now;
	unsigned int i;

	random_state = state;
	step(ctx, false);
	expect(first.count == log_now.count, "the same accesses come again");
	for (i = 0; i < first.count && i < MAX_CALLS; i++)
		expect(first.calls[i].linear == log_now.calls[i].linear &&
		       first.calls[i].size == log_now.calls[i].size, "... in the same places");
}

static struct emu_ctx copy_of(const struct emu_ctx *ctx)
{
	struct emu_ctx copy = *ctx;

	memcpy(gpr_before, ctx->gpr, sizeof(gpr_before));
	copy.gpr = gpr_before;
	return copy;
}

/* Run twice: with lazy segments, and with all segments loaded. */
static void run_twice(struct emu_ctx *ctx)
{
	u8 xmm_before[sizeof(xmm)];
	struct emu_fx x87_before;
	struct emu_ctx before;
	enum emu_result result;
	u64 state;

	before = copy_of(ctx);
	memcpy(xmm_before, xmm, sizeof(xmm));
	x87_before = x87;
	result = step(ctx, true);
	check_outcome(&before, ctx, result);
	if (result != EMU_OK)
		expect(!memcmp(xmm, xmm_before, sizeof(xmm)) &&
		       !memcmp(&x87, &x87_before, sizeof(x87)), "... and no vector register");
	if (!ctx->insn.length || result == EMU_UNHANDLED)
		return;
	before = copy_of(ctx);
	ctx->seg_valid = (1u << EMU_SEG_COUNT) - 1;
	state = random_state;
	result = step(ctx, false);
	check_outcome(&before, ctx, result);
	if (result == EMU_IO || result == EMU_RETRY)
		check_again(ctx, state);
}

const char *hostile_run(enum emu_mode mode, const u8 *bytes, u64 seed)
{
	struct emu_ctx ctx;

	random_state = seed ? seed : 1;
	broken = NULL;
	memcpy(code, bytes, sizeof(code));
	make_context(&ctx, mode);
	run_twice(&ctx);
	return broken;
}
