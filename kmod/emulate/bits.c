// SPDX-License-Identifier: GPL-2.0
/*
 * Arithmetic of BMI1, BMI2, ADX and CRC32. Pure functions on 4 and 8 bytes, with
 * the same contract as those of alu.c.
 */
#include "exec.h"

static void set_flag(u64 *flags, u64 flag, bool on)
{
	*flags = on ? *flags | flag : *flags & ~flag;
}

static bool sign_bit(u64 val, unsigned int size)
{
	return val >> (8 * size - 1) & 1;
}

/* Set SF and ZF by the result and CF to @carry, clear OF. AF and PF are undefined and stay. */
static u64 with_flags(u64 res, bool carry, unsigned int size, u64 *flags)
{
	set_flag(flags, EMU_FLAG_SF, sign_bit(res, size));
	set_flag(flags, EMU_FLAG_ZF, !res);
	set_flag(flags, EMU_FLAG_CF, carry);
	set_flag(flags, EMU_FLAG_OF, false);
	return res;
}

/*
 * ADCX and ADOX: add with the carry in @flag, and store the new carry there. No
 * other flag changes.
 */
static u64 add_through(u64 dst, u64 src, unsigned int size, u64 *flags, u64 flag)
{
	bool carry = *flags & flag;
	u64 res = (dst + src + carry) & emu_mask(size);

	set_flag(flags, flag, res < dst || (carry && res == dst));
	return res;
}

u64 emu_adcx(u64 dst, u64 src, unsigned int size, u64 *flags)
{
	return add_through(dst, src, size, flags, EMU_FLAG_CF);
}

u64 emu_adox(u64 dst, u64 src, unsigned int size, u64 *flags)
{
	return add_through(dst, src, size, flags, EMU_FLAG_OF);
}

u64 emu_andn(u64 a, u64 b, unsigned int size, u64 *flags)
{
	return with_flags(~a & b, false, size, flags);
}

/* A mask of the low @count bits. */
static u64 low_bits(unsigned int count)
{
	return count < 64 ? ((u64)1 << count) - 1 : ~(u64)0;
}

u64 emu_bextr(u64 val, u64 control, unsigned int size, u64 *flags)
{
	unsigned int start = control & 0xff;
	unsigned int count = control >> 8 & 0xff;
	u64 res = start < 64 ? val >> start & low_bits(count) : 0;

	return with_flags(res, false, size, flags);
}

u64 emu_bzhi(u64 val, u64 control, unsigned int size, u64 *flags)
{
	unsigned int count = control & 0xff;

	return with_flags(val & low_bits(count), count >= 8 * size, size, flags);
}

/* Move the low bits of @val to the positions where @mask has ones. */
u64 emu_pdep(u64 val, u64 mask, unsigned int size, u64 *flags)
{
	u64 res = 0;

	for (; mask; mask &= mask - 1, val >>= 1) {
		if (val & 1)
			res |= mask & -mask;
	}
	return res;
}

/* Gather the bits of @val where @mask has ones at the bottom. */
u64 emu_pext(u64 val, u64 mask, unsigned int size, u64 *flags)
{
	u64 res = 0, bit = 1;

	for (; mask; mask &= mask - 1, bit <<= 1) {
		if (val & mask & -mask)
			res |= bit;
	}
	return res;
}

u64 emu_blsr(u64 dst, u64 src, unsigned int size, u64 *flags)
{
	return with_flags(src & (src - 1), !src, size, flags);
}

u64 emu_blsmsk(u64 dst, u64 src, unsigned int size, u64 *flags)
{
	return with_flags((src ^ (src - 1)) & emu_mask(size), !src, size, flags);
}

u64 emu_blsi(u64 dst, u64 src, unsigned int size, u64 *flags)
{
	return with_flags(src & -src & emu_mask(size), src, size, flags);
}

/* RORX, SARX, SHLX and SHRX: ROR, SAR, SHL and SHR without flags. */
u64 emu_rorx(u64 val, u64 count, unsigned int size, u64 *flags)
{
	u64 unused = 0;

	return emu_ror(val, count, size, &unused);
}

u64 emu_sarx(u64 val, u64 count, unsigned int size, u64 *flags)
{
	u64 unused = 0;

	return emu_sar(val, count, size, &unused);
}

u64 emu_shlx(u64 val, u64 count, unsigned int size, u64 *flags)
{
	u64 unused = 0;

	return emu_shl(val, count, size, &unused);
}

u64 emu_shrx(u64 val, u64 count, unsigned int size, u64 *flags)
{
	u64 unused = 0;

	return emu_shr(val, count, size, &unused);
}

/* CRC-32C, reflected: add @size bytes of @val to @crc. */
u64 emu_crc32(u32 crc, u64 val, unsigned int size)
{
	u64 rest = crc ^ val;
	unsigned int i;

	for (i = 0; i < 8 * size; i++)
		rest = rest >> 1 ^ (rest & 1 ? 0x82f63b78 : 0);
	return rest;
}
