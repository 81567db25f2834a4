// SPDX-License-Identifier: GPL-2.0
/*
 * Processor features that operations need. If a feature is missing, its opcode
 * may be an older instruction: TZCNT is BSF, LZCNT is BSR. Features that change
 * no instruction the emulator executes are not listed.
 */
#include "emulate_host.h"
#include "emulate/opcodes.h"

#define SSE3		(1u << 0)	/* leaf 1, ECX */
#define CX16		(1u << 13)
#define SSE4_1		(1u << 19)
#define SSE4_2		(1u << 20)
#define MOVBE		(1u << 22)
#define POPCNT		(1u << 23)
#define BMI1		(1u << 3)	/* leaf 7, EBX */
#define AVX2		(1u << 5)
#define BMI2		(1u << 8)
#define AVX512F		(1u << 16)
#define AVX512DQ	(1u << 17)
#define ADX		(1u << 19)
#define AVX512BW	(1u << 30)
#define AVX512VL	(1u << 31)
#define LAHF64		(1u << 0)	/* leaf 80000001h, ECX */
#define LZCNT		(1u << 5)

/* Processors have all of these or, with few exceptions, none. */
#define AVX512		(AVX512F | AVX512DQ | AVX512BW | AVX512VL)

/* Needed bits of each CPUID register; 0 for none. */
struct needed {
	u32 ecx1, ebx7, ecx_ext;
};

static struct needed operation_needs(unsigned int op)
{
	switch (op) {
	case EMU_OP_TZCNT:
	case EMU_OP_ANDN ... EMU_OP_BEXTR:
	case EMU_OP_BLSR ... EMU_OP_BLSI:
		return (struct needed){ .ebx7 = BMI1 };
	case EMU_OP_MULX:
	case EMU_OP_BZHI ... EMU_OP_PEXT:
	case EMU_OP_RORX ... EMU_OP_SHRX:
		return (struct needed){ .ebx7 = BMI2 };
	case EMU_OP_ADCX ... EMU_OP_ADOX:
		return (struct needed){ .ebx7 = ADX };
	case EMU_OP_LAHF ... EMU_OP_SAHF:
		return (struct needed){ .ecx_ext = LAHF64 };
	case EMU_OP_LZCNT:
		return (struct needed){ .ecx_ext = LZCNT };
	case EMU_OP_POPCNT:
		return (struct needed){ .ecx1 = POPCNT };
	case EMU_OP_CRC32:
		return (struct needed){ .ecx1 = SSE4_2 };
	case EMU_OP_PTEST:
	case EMU_OP_VEXTEND ... EMU_OP_VEXTRACT:
		return (struct needed){ .ecx1 = SSE4_1 };
	case EMU_OP_VMASKMOV:
		return (struct needed){ .ebx7 = AVX2 };
	case EMU_OP_VDUP:
		return (struct needed){ .ecx1 = SSE3 };
	case EMU_OP_VBROADCAST:
		return (struct needed){ .ebx7 = AVX2 };
	case EMU_OP_MOVBE:
		return (struct needed){ .ecx1 = MOVBE };
	case EMU_OP_VMOV_MASKED ... EMU_OP_KMOV:
		return (struct needed){ .ebx7 = AVX512 };
	}
	return (struct needed){};
}

/* Features of vector moves, which depend on opcode and size. */
static struct needed instruction_needs(const struct emu_insn *insn)
{
	struct needed needed = operation_needs(insn->op);

	if (insn->evex)
		needed.ebx7 |= AVX512;
	if (insn->op == EMU_OP_VLOGIC || insn->op == EMU_OP_VBROADCAST)
		needed.ebx7 |= insn->vector_size ? AVX2 : 0;
	if (insn->op == EMU_OP_VEXTEND)
		needed.ebx7 |= insn->vector_size > 16 ? AVX2 : 0;
	if (insn->op == EMU_OP_CMPXCHG8B && insn->operand[0].size == 16)
		needed.ecx1 |= CX16;
	if (insn->op == EMU_OP_VMOV && insn->opcode == 0xf0)
		needed.ecx1 |= SSE3;		/* LDDQU */
	if (insn->op == EMU_OP_VMOV && insn->opcode == 0x2a) {
		needed.ecx1 |= SSE4_1;		/* MOVNTDQA */
		needed.ebx7 |= insn->operand[0].size == 32 ? AVX2 : 0;
	}
	return needed;
}

static bool has(const struct host *host, struct needed n)
{
	return (host->ecx1 & n.ecx1) == n.ecx1 && (host->ebx7 & n.ebx7) == n.ebx7 &&
	       (host->ecx_ext & n.ecx_ext) == n.ecx_ext;
}

bool host_has_avx512(const struct host *host)
{
	return has(host, (struct needed){ .ebx7 = AVX512 });
}

bool host_knows(const struct host *host, const struct emu_insn *insn)
{
	return has(host, instruction_needs(insn));
}

static bool outside_64_bit_only(unsigned int op)
{
	switch (op) {
	case EMU_OP_PUSHA ... EMU_OP_POPA:
	case EMU_OP_SALC:
	case EMU_OP_DAA ... EMU_OP_AAD:
	case EMU_OP_BOUND ... EMU_OP_ARPL:
		return true;
	}
	return false;
}

/* True if only the kernel can execute it, or its result differs each time. */
static bool never_compared(unsigned int op)
{
	if (op == EMU_OP_FXSAVE || (op >= EMU_OP_SYSCALL && op <= EMU_OP_VMCALL) ||
	    op == EMU_OP_MOVDIRI || op == EMU_OP_MOVDIR64B)
		return true;
	return op == EMU_OP_CLFLUSH || op == EMU_OP_SLDT || op == EMU_OP_SGDT ||
	       op == EMU_OP_SMSW || op == EMU_OP_CPUID || op == EMU_OP_RDTSC || op == EMU_OP_INT;
}

bool host_can_meet(const struct host *host, unsigned int op)
{
	if (never_compared(op))
		return false;
	if (outside_64_bit_only(op) && !host->flat32 && !host->local)
		return false;
	return has(host, operation_needs(op));
}

/* The processor answers leaves above its highest with anything: return 0. */
static void cpuid(u32 leaf, u32 *ebx, u32 *ecx)
{
	u32 highest = leaf & 0x80000000, subleaf = 0;

	asm("cpuid" : "+a" (highest), "+c" (subleaf) : : "ebx", "edx");
	*ebx = 0;
	*ecx = 0;
	if (highest >= leaf)
		asm("cpuid" : "+a" (leaf), "=b" (*ebx), "+c" (*ecx) : : "edx");
}

void host_read_features(struct host *host)
{
	u32 unused;

	cpuid(1, &unused, &host->ecx1);
	cpuid(7, &host->ebx7, &unused);
	cpuid(0x80000001, &unused, &host->ecx_ext);
}
