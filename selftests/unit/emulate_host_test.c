// SPDX-License-Identifier: GPL-2.0
/*
 * Test what emulate_diff compares on machines that lack features. The hosts are
 * invented: struct host is filled by hand and this machine is not asked.
 */
#include <linux/kernel.h>
#include "emulate_host.h"
#include "emulate/opcodes.h"
#include "tap.h"

#define ALL	0xffffffffu

static const struct host whole = {
	.ecx1 = ALL, .ebx7 = ALL, .ecx_ext = ALL, .flat32 = true, .local = true,
};

/*
 * struct row - @op, or the instruction with @opcode and an operand of @size,
 * is compared on the whole machine, and not on one without these features
 */
struct row {
	const char *name;
	u8 op, opcode, size;
	u32 ecx1, ebx7, ecx_ext;
};

static const struct row rows[] = {
	{ "cmpxchg16b", EMU_OP_CMPXCHG8B, 0xc7, 16, .ecx1 = 1u << 13 },
	{ "lddqu", EMU_OP_VMOV, 0xf0, 16, .ecx1 = 1u << 0 },
	{ "movntdqa", EMU_OP_VMOV, 0x2a, 16, .ecx1 = 1u << 19 },
	{ "vmovntdqa of 32 bytes", EMU_OP_VMOV, 0x2a, 32, .ebx7 = 1u << 5 },
	{ "crc32", EMU_OP_CRC32, 0xf1, 4, .ecx1 = 1u << 20 },
	{ "movbe", EMU_OP_MOVBE, 0xf0, 4, .ecx1 = 1u << 22 },
	{ "popcnt", EMU_OP_POPCNT, 0xb8, 4, .ecx1 = 1u << 23 },
	{ "tzcnt", EMU_OP_TZCNT, 0xbc, 4, .ebx7 = 1u << 3 },
	{ "andn", EMU_OP_ANDN, 0xf2, 4, .ebx7 = 1u << 3 },
	{ "bextr", EMU_OP_BEXTR, 0xf7, 4, .ebx7 = 1u << 3 },
	{ "blsmsk", EMU_OP_BLSMSK, 0xf3, 4, .ebx7 = 1u << 3 },
	{ "bzhi", EMU_OP_BZHI, 0xf5, 4, .ebx7 = 1u << 8 },
	{ "pdep", EMU_OP_PDEP, 0xf5, 4, .ebx7 = 1u << 8 },
	{ "mulx", EMU_OP_MULX, 0xf6, 4, .ebx7 = 1u << 8 },
	{ "rorx", EMU_OP_RORX, 0xf0, 4, .ebx7 = 1u << 8 },
	{ "shrx", EMU_OP_SHRX, 0xf7, 4, .ebx7 = 1u << 8 },
	{ "adcx", EMU_OP_ADCX, 0xf6, 4, .ebx7 = 1u << 19 },
	{ "adox", EMU_OP_ADOX, 0xf6, 4, .ebx7 = 1u << 19 },
	{ "lahf", EMU_OP_LAHF, 0x9f, 1, .ecx_ext = 1u << 0 },
	{ "a move with EVEX", EMU_OP_VMOV_MASKED, 0x6f, 64, .ebx7 = 1u << 16 },
	{ "kmov", EMU_OP_KMOV, 0x90, 2, .ebx7 = 1u << 17 },
	{ "lzcnt", EMU_OP_LZCNT, 0xbd, 4, .ecx_ext = 1u << 5 },
};

static void test_row(const struct row *row)
{
	struct emu_insn insn = {
		.op = row->op, .opcode = row->opcode, .operand[0].size = row->size,
	};
	struct host without = whole;

	without.ecx1 &= ~row->ecx1;
	without.ebx7 &= ~row->ebx7;
	without.ecx_ext &= ~row->ecx_ext;
	tap_ok(host_knows(&whole, &insn) && !host_knows(&without, &insn),
	       "%s is compared only where the processor has it", row->name);
}

/* The older instructions that these opcodes are without the features are compared everywhere. */
static void test_bare_processor(void)
{
	static const struct emu_insn insn[] = {
		{ .op = EMU_OP_BSF, .opcode = 0xbc }, { .op = EMU_OP_BSR, .opcode = 0xbd },
		{ .op = EMU_OP_CMPXCHG8B, .opcode = 0xc7, .operand[0].size = 8 },
		{ .op = EMU_OP_VMOV, .opcode = 0x6f, .operand[0].size = 32 },
		{ .op = EMU_OP_ADD },
	};
	static const struct host bare = { .flat32 = true };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(insn); i++)
		tap_ok(host_knows(&bare, &insn[i]), "operation %u needs no feature", insn[i].op);
	tap_ok(!host_can_meet(&bare, EMU_OP_TZCNT), "TZCNT cannot be met where it is BSF");
	tap_ok(!host_can_meet(&bare, EMU_OP_LZCNT), "LZCNT cannot be met where it is BSR");
}

static void test_only_64_bit(void)
{
	struct host host = whole;

	host.flat32 = false;
	tap_ok(host_can_meet(&host, EMU_OP_DAA), "local segments alone do for 32-bit operations");
	host.local = false;
	tap_ok(!host_can_meet(&host, EMU_OP_DAA), "DAA cannot be met where only 64-bit code runs");
	tap_ok(!host_can_meet(&host, EMU_OP_PUSHA), "nor PUSHA");
	tap_ok(!host_can_meet(&host, EMU_OP_BOUND), "nor BOUND");
	tap_ok(host_can_meet(&host, EMU_OP_ENTER), "ENTER can");
	tap_ok(!host_can_meet(&host, EMU_OP_SYSCALL), "SYSCALL never");
	tap_ok(!host_can_meet(&host, EMU_OP_RDRAND), "nor RDRAND");
	tap_ok(host_can_meet(&host, EMU_OP_POPF), "POPF can");
	host.flat32 = true;
	tap_ok(host_can_meet(&host, EMU_OP_DAA), "flat segments alone do as well");
}

int main(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(rows); i++)
		test_row(&rows[i]);
	test_bare_processor();
	test_only_64_bit();
	return tap_done();
}
