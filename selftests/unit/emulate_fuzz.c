// SPDX-License-Identifier: GPL-2.0
/*
 * The emulator in hostile hands: random bytes as instructions, in all modes,
 * with random registers and segments, on memory that answers each access with
 * whatever it likes. The sanitizers watch the emulator; this file watches
 * what its face promises: nothing is committed but on success, reads precede
 * writes, the same instruction asks for the same things again.
 *
 * FUZZ_SECONDS bounds the run, 5 by default; 0 means until interrupted, with
 * a progress line. FUZZ_SEED repeats one.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "emulate/emulate.h"
#include "tap.h"

#define MAX_CALLS	64

/* What the emulator asked for, one entry per call of the memory callbacks. */
struct call {
	u64 linear;
	unsigned int size;
	unsigned int access;
};

struct log {
	struct call calls[MAX_CALLS];
	unsigned int count;
	bool wrote;
};

static u64 random_state;
static struct log log_now;
static const char *broken;
static u8 code[64];
static u8 xmm[16][32];
static unsigned int hostility;		/* one answer in so many is not EMU_OK */
static unsigned long results[EMU_RETRY + 1];

static u64 random64(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static unsigned int below(unsigned int bound)
{
	return (random64() >> 20) % bound;
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
		*bytes++ = random64() >> 24;
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
	expect(size >= 1 && size <= EMU_OPERAND_MAX, "an access has 1 to 32 bytes");
}

static enum emu_result fuzz_fetch(struct emu_ctx *ctx, u64 linear, void *buf, unsigned int len)
{
	unsigned int at = ctx->insn.fetched;

	note(linear, len, EMU_FETCH);
	expect(at + len <= EMU_INSN_MAX, "no more than 15 bytes are fetched");
	expect((linear & 4095) + len <= 4096, "a fetch stays in its page");
	memcpy(buf, code + at, len);
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
	expect(reg < 16, "a vector register exists");
	memcpy(buf, xmm[reg], size);
}

static void fuzz_write_xmm(struct emu_ctx *ctx, unsigned int reg, const void *buf,
			   unsigned int size, bool clear_upper)
{
	expect(reg < 16, "a vector register exists");
	memcpy(xmm[reg], buf, size);
}

static const struct emu_ops fuzz_ops = {
	.fetch = fuzz_fetch,
	.read = fuzz_read,
	.write = fuzz_write,
	.exchange = fuzz_exchange,
	.load_seg = fuzz_load_seg,
	.read_xmm = fuzz_read_xmm,
	.write_xmm = fuzz_write_xmm,
};

static u64 random_value(void)
{
	switch (below(4)) {
	case 0:
		return below(0x10000);
	case 1:
		return 0x7ffffffffff0 + below(0x20);
	case 2:
		return (u32)random64();
	default:
		return random64();
	}
}

/* Every second instruction starts with an opcode that is executed more often than not. */
static void make_code(void)
{
	static const u8 starts[] = {
		0x66, 0x67, 0xf0, 0xf3, 0x0f, 0x48, 0x89, 0x8b, 0x01, 0x81, 0xa5, 0xab, 0xff, 0xf7,
		0xc5, 0x60,
	};
	unsigned int i;

	fill(code, sizeof(code));
	for (i = 0; below(2) && i < 4; i++)
		code[i] = starts[below(sizeof(starts))];
}

static void make_context(struct emu_ctx *ctx)
{
	unsigned int i;

	memset(ctx, 0, sizeof(*ctx));
	ctx->ops = &fuzz_ops;
	ctx->mode = below(EMU_MODE_LONG64 + 1);
	ctx->cpl = ctx->mode == EMU_MODE_REAL ? 0 : below(2) * 3;
	for (i = 0; i < EMU_GPR_COUNT; i++)
		ctx->gpr[i] = random_value();
	ctx->rip = ctx->mode == EMU_MODE_LONG64 ? random_value() : (u32)random_value();
	ctx->rflags = (random64() & 0x3f7fd5) | 2;
	ctx->cr0 = random64() & (below(4) ? ~0xcull : ~0ull);
	ctx->cr4 = random64() | (below(4) ? 0x40200 : 0);
	ctx->xcr0 = below(4) ? 7 : random64();
	hostility = below(4) ? 64 : 2;
	make_code();
}

static bool same_registers(const struct emu_ctx *a, const struct emu_ctx *b)
{
	return !memcmp(a->gpr, b->gpr, sizeof(a->gpr)) && a->rip == b->rip &&
	       a->rflags == b->rflags;
}

static void check_outcome(const struct emu_ctx *before, const struct emu_ctx *ctx,
			  enum emu_result result)
{
	if (result > EMU_RETRY) {
		expect(false, "a result is one of five");
		return;
	}
	results[result]++;
	if (result == EMU_OK) {
		expect(ctx->insn.length >= 1 && ctx->insn.length <= EMU_INSN_MAX,
		       "an instruction has 1 to 15 bytes");
		expect(!ctx->rep_again || ctx->rip == before->rip,
		       "RIP stays at an instruction that goes on");
		return;
	}
	expect(same_registers(before, ctx), "a failure commits no register");
	if (result == EMU_FAULT)
		expect(ctx->fault.vector <= 17, "a fault has a vector");
}

static enum emu_result step(struct emu_ctx *ctx, bool decode)
{
	log_now.count = 0;
	log_now.wrote = false;
	if (decode) {
		enum emu_result result = emu_decode(ctx);

		if (result != EMU_OK)
			return result;
		log_now.count = 0;
	}
	return emu_execute(ctx);
}

/* Run again what failed: with the same answers as before it asks the same questions. */
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

static void run_one(struct emu_ctx *ctx)
{
	u8 xmm_before[sizeof(xmm)];
	struct emu_ctx before;
	enum emu_result result;
	u64 state;

	make_context(ctx);
	before = *ctx;
	memcpy(xmm_before, xmm, sizeof(xmm));
	result = step(ctx, true);
	check_outcome(&before, ctx, result);
	if (result != EMU_OK)
		expect(!memcmp(xmm, xmm_before, sizeof(xmm)), "... and no vector register");
	if (!ctx->insn.length || result == EMU_UNHANDLED)
		return;
	before = *ctx;
	ctx->seg_valid = (1u << EMU_SEG_COUNT) - 1;
	state = random_state;
	result = step(ctx, false);
	check_outcome(&before, ctx, result);
	if (result == EMU_IO || result == EMU_RETRY)
		check_again(ctx, state);
}

static unsigned long setting(const char *name, unsigned long value)
{
	const char *text = getenv(name);

	return text ? strtoul(text, NULL, 0) : value;
}

static unsigned long run(unsigned long seconds)
{
	time_t start = time(NULL), told = start;
	unsigned long count = 0;
	struct emu_ctx ctx;

	while (!broken) {
		if (count++ % 4096 == 0) {
			time_t now = time(NULL);

			if (seconds && (unsigned long)(now - start) >= seconds)
				break;
			if (!seconds && now - told >= 10) {
				tap_note("%lu instructions", count);
				told = now;
			}
		}
		run_one(&ctx);
	}
	return count;
}

static void print_code(void)
{
	unsigned int i;

	printf("# code:");
	for (i = 0; i < EMU_INSN_MAX; i++)
		printf(" %02x", code[i]);
	putchar('\n');
}

int main(void)
{
	unsigned long seed = setting("FUZZ_SEED", time(NULL));
	unsigned long count;

	random_state = seed * 0x9e3779b97f4a7c15ull + 1;
	count = run(setting("FUZZ_SECONDS", 5));
	tap_note("seed %lu; %lu done, %lu faults, %lu for userspace, %lu not executed, %lu retries",
		 seed, results[EMU_OK], results[EMU_FAULT], results[EMU_IO],
		 results[EMU_UNHANDLED], results[EMU_RETRY]);
	if (broken)
		print_code();
	tap_ok(!broken, "%lu random instructions on hostile memory%s%s", count,
	       broken ? ": violated: " : "", broken ? broken : "");
	return tap_done();
}
