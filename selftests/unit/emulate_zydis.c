// SPDX-License-Identifier: GPL-2.0
/*
 * Compare the decoder with Zydis on random and mutated byte strings in 16, 32 and
 * 64-bit code. If both decode an instruction, they must agree on its length and on
 * every explicit operand.
 *
 * Built if Zydis is installed. FUZZ_SECONDS bounds the run, 5 by default; 0
 * means until interrupted, with a progress line. FUZZ_SEED repeats one.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <Zydis/Zydis.h>
#include "emulate/opcodes.h"
#include "tap.h"

#define MAX_REPORTS	20

static u64 random_state;
static unsigned int differences;
static unsigned long agreed, refused;
static u8 last_accepted[EMU_INSN_MAX];

struct mode {
	enum emu_mode ours;
	ZydisMachineMode theirs;
	ZydisStackWidth stack;
	ZydisDecoder decoder;
};

static struct mode modes[] = {
	{ .ours = EMU_MODE_LONG64, .theirs = ZYDIS_MACHINE_MODE_LONG_64,
	  .stack = ZYDIS_STACK_WIDTH_64 },
	{ .ours = EMU_MODE_PROT32, .theirs = ZYDIS_MACHINE_MODE_LEGACY_32,
	  .stack = ZYDIS_STACK_WIDTH_32 },
	{ .ours = EMU_MODE_PROT16, .theirs = ZYDIS_MACHINE_MODE_LEGACY_16,
	  .stack = ZYDIS_STACK_WIDTH_16 },
};

struct trial {
	const struct mode *mode;
	u8 code[EMU_INSN_MAX];
	struct emu_ctx ctx;
	enum emu_result result;
	ZydisDecodedInstruction insn;
	ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
};

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

/* Mutate bytes that both have accepted before. */
static void mutate(struct trial *t)
{
	unsigned int i = below(6);

	memcpy(t->code, last_accepted, sizeof(t->code));
	t->code[i] = below(2) ? random64() >> 24 : t->code[i] ^ 1u << below(8);
	if (!below(4))
		memmove(t->code + 1, t->code, sizeof(t->code) - 1);
}

static void make_code(struct trial *t)
{
	static const u8 prefixes[] = {
		0x66, 0x67, 0xf2, 0xf3, 0xf0, 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x48, 0x41,
	};
	unsigned int i, len = 0;

	if (!below(3)) {
		mutate(t);
		return;
	}
	for (i = 0; i < EMU_INSN_MAX; i++)
		t->code[i] = random64() >> 24;
	while (len < 4 && !below(3))
		t->code[len++] = prefixes[below(sizeof(prefixes))];
	if (!below(3))
		t->code[len] = 0x0f;
	else if (!below(8))
		t->code[len] = below(2) ? 0x62 : 0xc4 + below(2);
}

static bool decode_both(struct trial *t)
{
	memset(&t->ctx, 0, sizeof(t->ctx));
	t->ctx.mode = t->mode->ours;
	memcpy(t->ctx.insn.bytes, t->code, EMU_INSN_MAX);
	t->ctx.insn.fetched = EMU_INSN_MAX;
	t->result = emu_decode(&t->ctx);
	return ZYAN_SUCCESS(ZydisDecoderDecodeFull(&t->mode->decoder, t->code, EMU_INSN_MAX,
						   &t->insn, t->operands));
}

static u8 register_number(ZydisRegister reg)
{
	switch (reg) {
	case ZYDIS_REGISTER_NONE:
	case ZYDIS_REGISTER_RIP:
	case ZYDIS_REGISTER_EIP:
		return EMU_NO_REG;
	case ZYDIS_REGISTER_AH ... ZYDIS_REGISTER_BH:
		return reg - ZYDIS_REGISTER_AH;
	case ZYDIS_REGISTER_SPL ... ZYDIS_REGISTER_R15B:
		return reg - ZYDIS_REGISTER_SPL + 4;
	default:
		return ZydisRegisterGetId(reg);
	}
}

/* Zydis takes 3E before an indirect branch for NOTRACK and nothing else. */
static bool segment_matters(const struct trial *t)
{
	const struct emu_insn *insn = &t->ctx.insn;

	if (insn->op == EMU_OP_CALL_IND || insn->op == EMU_OP_JMP_IND)
		return !memchr(t->code, 0x3e, insn->length);
	return insn->op != EMU_OP_LEA;
}

/* Zydis 4.0 sees R13 where REX.B meets an absent base and 32-bit addresses. */
static bool base_matters(const struct trial *t)
{
	const struct emu_insn *insn = &t->ctx.insn;

	return t->mode->ours != EMU_MODE_LONG64 || insn->addr_size == 8 || !(insn->rex & 1) ||
	       insn->base != EMU_NO_REG;
}

static const char *memory_differs(const struct trial *t, const ZydisDecodedOperand *o)
{
	const struct emu_insn *insn = &t->ctx.insn;
	bool relative = o->mem.base == ZYDIS_REGISTER_RIP || o->mem.base == ZYDIS_REGISTER_EIP;
	u64 mask = ~0ull >> (64 - 8 * insn->addr_size);

	if (segment_matters(t) && register_number(o->mem.segment) != insn->seg)
		return "segment";
	if (base_matters(t) &&
	    (register_number(o->mem.base) != insn->base || relative != insn->rip_relative))
		return "base";
	if (register_number(o->mem.index) != insn->index)
		return "index";
	if (insn->index != EMU_NO_REG && o->mem.scale != 1u << insn->scale)
		return "scale";
	if (base_matters(t) && ((u64)o->mem.disp.value ^ (u64)insn->disp) & mask)
		return "displacement";
	return NULL;
}

/* The size does not matter for mere addresses, nor for MOVSXD to 16 bits, where manuals differ. */
static bool size_matters(const struct emu_insn *insn)
{
	if (insn->op == EMU_OP_LEA || insn->op == EMU_OP_CLFLUSH || insn->op == EMU_OP_INVLPG)
		return false;
	/* LSL uses only two bytes of the register. */
	if (insn->op == EMU_OP_LSL)
		return false;
	return insn->op != EMU_OP_MOVSX || insn->opcode != 0x63 || insn->op_size != 2;
}

static u64 offset_mask(const struct trial *t)
{
	return t->ctx.insn.op_size == 2 ? 0xffff : 0xffffffff;
}

static const char *operand_differs(const struct trial *t, const ZydisDecodedOperand *theirs,
				   const struct emu_operand *ours)
{
	bool ours_high = ours->kind == EMU_OPERAND_REG_HIGH;
	bool high = theirs->reg.value >= ZYDIS_REGISTER_AH &&
		    theirs->reg.value <= ZYDIS_REGISTER_BH;
	u64 mask = theirs->size && theirs->size < 64 ? ~0ull >> (64 - theirs->size) : ~0ull;

	switch (theirs->type) {
	case ZYDIS_OPERAND_TYPE_MEMORY:
		if (ours->kind != EMU_OPERAND_MEM)
			return "memory operand";
		if (size_matters(&t->ctx.insn) && theirs->size != 8 * ours->size)
			return "size of memory operand";
		return memory_differs(t, theirs);
	case ZYDIS_OPERAND_TYPE_REGISTER:
		if (ours->kind == EMU_OPERAND_MEM || ours->kind == EMU_OPERAND_IMM)
			return "register operand";
		if (high != ours_high)
			return "high byte";
		if (register_number(theirs->reg.value) != ours->reg)
			return "register";
		if (ours->kind != EMU_OPERAND_XMM && ours->kind != EMU_OPERAND_MMX &&
		    size_matters(&t->ctx.insn) &&
		    theirs->size != 8 * ours->size)
			return "size of register";
		return NULL;
	case ZYDIS_OPERAND_TYPE_IMMEDIATE:
		if (ours->kind == EMU_OPERAND_IMM2)
			return (theirs->imm.value.u ^ t->ctx.insn.imm2) & mask ? "level" : NULL;
		if (ours->kind != EMU_OPERAND_IMM)
			return "immediate operand";
		return (theirs->imm.value.u ^ t->ctx.insn.imm) & mask ? "immediate" : NULL;
	case ZYDIS_OPERAND_TYPE_POINTER:
		if (ours->kind != EMU_OPERAND_IMM || theirs->ptr.segment != t->ctx.insn.imm2)
			return "selector";
		return (theirs->ptr.offset ^ t->ctx.insn.imm) & offset_mask(t) ? "offset" : NULL;
	default:
		return "kind of operand";
	}
}

/* True for instructions whose operands are implied here, or have other names in Zydis. */
static bool operands_implied(const struct emu_insn *insn)
{
	switch (insn->op) {
	case EMU_OP_MOVS ... EMU_OP_XLAT:
	case EMU_OP_PUSH_SREG:
	case EMU_OP_CBW ... EMU_OP_CWD:
	case EMU_OP_NOP:
	case EMU_OP_LAHF:
	case EMU_OP_SAHF:
	case EMU_OP_POP_SREG:
	case EMU_OP_IN ... EMU_OP_OUTS:
	case EMU_OP_MOV_FROM_CR ... EMU_OP_MOV_TO_DR:
	case EMU_OP_KMOV:
	case EMU_OP_MASKMOVDQU:
	case EMU_OP_MASKMOVQ:
	case EMU_OP_MOVDIR64B:
	case EMU_OP_FNINIT ... EMU_OP_FWAIT:
	case EMU_OP_FXSAVE ... EMU_OP_FXRSTOR:
		return true;
	}
	return insn->opcode == 0x90;
}

/* True for a source that is merged into the destination, or a mask. */
static bool is_extra(const struct trial *t, const ZydisDecodedOperand *theirs)
{
	if (theirs->encoding == ZYDIS_OPERAND_ENCODING_MASK)
		return true;
	return theirs->encoding == ZYDIS_OPERAND_ENCODING_NDSNDD &&
	       (!(t->ctx.insn.flags & ROW_VEX) || t->ctx.insn.op == EMU_OP_VMASKMOV);
}

static const char *mask_differs(const struct trial *t)
{
	const struct emu_insn *insn = &t->ctx.insn;

	if (!insn->evex)
		return NULL;
	if (ZydisRegisterGetId(t->insn.avx.mask.reg) != insn->mask)
		return "mask";
	if (insn->zeroing)
		return t->insn.avx.mask.mode == ZYDIS_MASK_MODE_ZEROING ? NULL : "zeroing";
	return t->insn.avx.mask.mode == ZYDIS_MASK_MODE_ZEROING ? "merging" : NULL;
}

static const char *what_differs(const struct trial *t)
{
	const struct emu_operand *ours = t->ctx.insn.operand;
	unsigned int i, skipped = 0;
	const char *what = NULL;

	if (t->insn.length != t->ctx.insn.length)
		return "length";
	if (operands_implied(&t->ctx.insn))
		return NULL;
	what = mask_differs(t);
	for (i = 0; i < t->insn.operand_count_visible && i - skipped < 3 && !what; i++) {
		if (is_extra(t, &t->operands[i])) {
			skipped++;
			continue;
		}
		what = operand_differs(t, &t->operands[i], &ours[i - skipped]);
	}
	return what;
}

static void report(const struct trial *t, const char *what)
{
	unsigned int i;

	if (++differences > MAX_REPORTS)
		return;
	printf("# %s differs: mode %d:", what, t->mode->ours);
	for (i = 0; i < EMU_INSN_MAX; i++)
		printf(" %02x", t->code[i]);
	tap_note(" %s: result %d op %u length %u, theirs %u",
		 ZydisMnemonicGetString(t->insn.mnemonic), t->result, t->ctx.insn.op,
		 t->ctx.insn.length, t->insn.length);
}

static void run_trial(struct trial *t)
{
	const char *what;
	bool accepted;

	t->mode = &modes[below(3)];
	make_code(t);
	accepted = decode_both(t);
	if (t->result == EMU_UNHANDLED)
		return;
	if (t->result != EMU_OK || !accepted) {
		if (accepted || t->result == EMU_OK)
			refused++;
		return;
	}
	agreed++;
	memcpy(last_accepted, t->code, sizeof(t->code));
	what = what_differs(t);
	if (what)
		report(t, what);
}

static unsigned long setting(const char *name, unsigned long value)
{
	const char *text = getenv(name);

	return text ? strtoul(text, NULL, 0) : value;
}

static unsigned long run_trials(unsigned long seconds)
{
	time_t start = time(NULL), told = start;
	static struct trial t;
	unsigned long tried;

	for (tried = 0; differences <= MAX_REPORTS; tried++) {
		time_t now;

		run_trial(&t);
		if (tried % 4096)
			continue;
		now = time(NULL);
		if (seconds && (unsigned long)(now - start) >= seconds)
			break;
		if (!seconds && now - told >= 10) {
			tap_note("%lu byte strings, %u differences", tried, differences);
			told = now;
		}
	}
	return tried;
}

int main(void)
{
	unsigned long seed = setting("FUZZ_SEED", time(NULL));
	unsigned long tried;
	unsigned int i;

	for (i = 0; i < 3; i++)
		ZydisDecoderInit(&modes[i].decoder, modes[i].theirs, modes[i].stack);
	random_state = seed * 0x9e3779b97f4a7c15ull + 1;
	tried = run_trials(setting("FUZZ_SECONDS", 5));
	tap_note("seed %lu; %lu byte strings, %lu taken by both, %lu by one only", seed, tried,
		 agreed, refused);
	tap_ok(!differences, "%lu instructions, %u differences from Zydis", agreed, differences);
	return tap_done();
}
