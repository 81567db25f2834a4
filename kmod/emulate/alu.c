// SPDX-License-Identifier: GPL-2.0
/*
 * Integer arithmetic on 1, 2, 4 and 8 bytes with the flags of the processor. Pure
 * functions of their arguments. Undefined flags get the value that current
 * processors give if that is simple, and keep their old value otherwise.
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

static bool even_parity(u8 val)
{
	val ^= val >> 4;
	/* Bit n of the constant: nibble n has an odd number of ones. */
	return !(0x6996 >> (val & 15) & 1);
}

/* SF, ZF and PF always depend on the result alone. */
static void set_result_flags(u64 res, unsigned int size, u64 *flags)
{
	*flags &= ~(u64)(EMU_FLAG_SF | EMU_FLAG_ZF | EMU_FLAG_PF);
	if (sign_bit(res, size))
		*flags |= EMU_FLAG_SF;
	if (!res)
		*flags |= EMU_FLAG_ZF;
	if (even_parity(res))
		*flags |= EMU_FLAG_PF;
}

static u64 logic(u64 res, unsigned int size, u64 *flags)
{
	*flags &= ~(u64)EMU_FLAGS_ARITH;
	set_result_flags(res, size, flags);
	return res;
}

static u64 add_carry(u64 dst, u64 src, bool carry, unsigned int size, u64 *flags)
{
	u64 res;

	src &= emu_mask(size);
	res = (dst + src + carry) & emu_mask(size);
	*flags &= ~(u64)EMU_FLAGS_ARITH;
	set_result_flags(res, size, flags);
	if (res < dst || (carry && res == dst))
		*flags |= EMU_FLAG_CF;
	if (sign_bit((dst ^ res) & (src ^ res), size))
		*flags |= EMU_FLAG_OF;
	*flags |= (dst ^ src ^ res) & EMU_FLAG_AF;
	return res;
}

static u64 sub_borrow(u64 dst, u64 src, bool borrow, unsigned int size, u64 *flags)
{
	u64 res;

	src &= emu_mask(size);
	res = (dst - src - borrow) & emu_mask(size);
	*flags &= ~(u64)EMU_FLAGS_ARITH;
	set_result_flags(res, size, flags);
	if (dst < src || (borrow && dst == src))
		*flags |= EMU_FLAG_CF;
	if (sign_bit((dst ^ src) & (dst ^ res), size))
		*flags |= EMU_FLAG_OF;
	*flags |= (dst ^ src ^ res) & EMU_FLAG_AF;
	return res;
}

u64 emu_add(u64 dst, u64 src, unsigned int size, u64 *flags)
{
	return add_carry(dst, src, false, size, flags);
}

u64 emu_adc(u64 dst, u64 src, unsigned int size, u64 *flags)
{
	return add_carry(dst, src, *flags & EMU_FLAG_CF, size, flags);
}

u64 emu_sub(u64 dst, u64 src, unsigned int size, u64 *flags)
{
	return sub_borrow(dst, src, false, size, flags);
}

u64 emu_sbb(u64 dst, u64 src, unsigned int size, u64 *flags)
{
	return sub_borrow(dst, src, *flags & EMU_FLAG_CF, size, flags);
}

u64 emu_or(u64 dst, u64 src, unsigned int size, u64 *flags)
{
	return logic((dst | src) & emu_mask(size), size, flags);
}

u64 emu_and(u64 dst, u64 src, unsigned int size, u64 *flags)
{
	return logic(dst & src & emu_mask(size), size, flags);
}

u64 emu_xor(u64 dst, u64 src, unsigned int size, u64 *flags)
{
	return logic((dst ^ src) & emu_mask(size), size, flags);
}

/* INC and DEC do not change CF. */
u64 emu_inc(u64 dst, u64 src, unsigned int size, u64 *flags)
{
	u64 carry = *flags & EMU_FLAG_CF;
	u64 res = add_carry(dst, 1, false, size, flags);

	*flags = (*flags & ~(u64)EMU_FLAG_CF) | carry;
	return res;
}

u64 emu_dec(u64 dst, u64 src, unsigned int size, u64 *flags)
{
	u64 carry = *flags & EMU_FLAG_CF;
	u64 res = sub_borrow(dst, 1, false, size, flags);

	*flags = (*flags & ~(u64)EMU_FLAG_CF) | carry;
	return res;
}

u64 emu_not(u64 dst, u64 src, unsigned int size, u64 *flags)
{
	return ~dst & emu_mask(size);
}

u64 emu_neg(u64 dst, u64 src, unsigned int size, u64 *flags)
{
	return sub_borrow(0, dst, false, size, flags);
}

/* Shift counts are taken modulo 32, or 64 for 8-byte operands. */
static unsigned int shift_count(u64 src, unsigned int size)
{
	return src & (size == 8 ? 63 : 31);
}

u64 emu_rol(u64 dst, u64 src, unsigned int size, u64 *flags)
{
	unsigned int bits = 8 * size;
	unsigned int count = shift_count(src, size);
	unsigned int turn = count % bits;
	u64 res = dst;

	if (!count)
		return dst;
	if (turn)
		res = (dst << turn | dst >> (bits - turn)) & emu_mask(size);
	set_flag(flags, EMU_FLAG_CF, res & 1);
	set_flag(flags, EMU_FLAG_OF, sign_bit(res, size) ^ (res & 1));
	return res;
}

u64 emu_ror(u64 dst, u64 src, unsigned int size, u64 *flags)
{
	unsigned int bits = 8 * size;
	unsigned int count = shift_count(src, size);
	unsigned int turn = count % bits;
	u64 res = dst;

	if (!count)
		return dst;
	if (turn)
		res = (dst >> turn | dst << (bits - turn)) & emu_mask(size);
	set_flag(flags, EMU_FLAG_CF, sign_bit(res, size));
	set_flag(flags, EMU_FLAG_OF, (res >> (bits - 1) ^ res >> (bits - 2)) & 1);
	return res;
}

/* Rotate one bit at a time: RCL is rare, and CF makes its operand 9, 17, 33 or 65 bits long. */
u64 emu_rcl(u64 dst, u64 src, unsigned int size, u64 *flags)
{
	unsigned int count = shift_count(src, size);
	bool carry = *flags & EMU_FLAG_CF;
	unsigned int i;

	for (i = 0; i < count; i++) {
		bool out = sign_bit(dst, size);

		dst = (dst << 1 | carry) & emu_mask(size);
		carry = out;
	}
	if (count) {
		set_flag(flags, EMU_FLAG_CF, carry);
		set_flag(flags, EMU_FLAG_OF, sign_bit(dst, size) ^ carry);
	}
	return dst;
}

u64 emu_rcr(u64 dst, u64 src, unsigned int size, u64 *flags)
{
	unsigned int bits = 8 * size;
	unsigned int count = shift_count(src, size);
	bool carry = *flags & EMU_FLAG_CF;
	unsigned int i;

	for (i = 0; i < count; i++) {
		bool out = dst & 1;

		dst = dst >> 1 | (u64)carry << (bits - 1);
		carry = out;
	}
	if (count) {
		set_flag(flags, EMU_FLAG_CF, carry);
		set_flag(flags, EMU_FLAG_OF, (dst >> (bits - 1) ^ dst >> (bits - 2)) & 1);
	}
	return dst;
}

u64 emu_shl(u64 dst, u64 src, unsigned int size, u64 *flags)
{
	unsigned int bits = 8 * size;
	unsigned int count = shift_count(src, size);
	bool carry;
	u64 res;

	if (!count)
		return dst;
	carry = count <= bits && (dst >> (bits - count) & 1);
	res = dst << count & emu_mask(size);
	set_result_flags(res, size, flags);
	set_flag(flags, EMU_FLAG_CF, carry);
	set_flag(flags, EMU_FLAG_OF, sign_bit(res, size) ^ carry);
	set_flag(flags, EMU_FLAG_AF, false);
	return res;
}

u64 emu_shr(u64 dst, u64 src, unsigned int size, u64 *flags)
{
	unsigned int count = shift_count(src, size);
	u64 res;

	if (!count)
		return dst;
	res = dst >> count;
	set_result_flags(res, size, flags);
	set_flag(flags, EMU_FLAG_CF, dst >> (count - 1) & 1);
	set_flag(flags, EMU_FLAG_OF, count == 1 && sign_bit(dst, size));
	set_flag(flags, EMU_FLAG_AF, false);
	return res;
}

u64 emu_sar(u64 dst, u64 src, unsigned int size, u64 *flags)
{
	unsigned int count = shift_count(src, size);
	s64 val = (s64)emu_sign_extend(dst, size);
	u64 res;

	if (!count)
		return dst;
	res = (u64)(val >> count) & emu_mask(size);
	set_result_flags(res, size, flags);
	set_flag(flags, EMU_FLAG_CF, val >> (count - 1) & 1);
	set_flag(flags, EMU_FLAG_OF | EMU_FLAG_AF, false);
	return res;
}

/*
 * Double shifts of 2-byte operands by more than 16 are undefined; processors
 * continue as if the first operand followed the second once more.
 */
u64 emu_shld(u64 dst, u64 src, unsigned int count, unsigned int size, u64 *flags)
{
	unsigned int bits = 8 * size;
	bool carry;
	u64 res;

	count = shift_count(count, size);
	if (!count)
		return dst;
	if (count > bits) {
		count -= bits;
		carry = src >> (bits - count) & 1;
		res = (src << count | dst >> (bits - count)) & emu_mask(size);
	} else {
		carry = dst >> (bits - count) & 1;
		res = count == bits ? src : (dst << count | src >> (bits - count)) & emu_mask(size);
	}
	set_result_flags(res, size, flags);
	set_flag(flags, EMU_FLAG_CF, carry);
	set_flag(flags, EMU_FLAG_OF, sign_bit(res ^ dst, size));
	set_flag(flags, EMU_FLAG_AF, false);
	return res;
}

u64 emu_shrd(u64 dst, u64 src, unsigned int count, unsigned int size, u64 *flags)
{
	unsigned int bits = 8 * size;
	bool carry;
	u64 res;

	count = shift_count(count, size);
	if (!count)
		return dst;
	if (count > bits) {
		count -= bits;
		carry = src >> (count - 1) & 1;
		res = (src >> count | dst << (bits - count)) & emu_mask(size);
	} else {
		carry = dst >> (count - 1) & 1;
		res = count == bits ? src : (dst >> count | src << (bits - count)) & emu_mask(size);
	}
	set_result_flags(res, size, flags);
	set_flag(flags, EMU_FLAG_CF, carry);
	set_flag(flags, EMU_FLAG_OF, sign_bit(res ^ dst, size));
	set_flag(flags, EMU_FLAG_AF, false);
	return res;
}

static u64 bit_mask(u64 src, unsigned int size)
{
	return (u64)1 << (src & (8 * size - 1));
}

u64 emu_bt(u64 dst, u64 src, unsigned int size, u64 *flags)
{
	set_flag(flags, EMU_FLAG_CF, dst & bit_mask(src, size));
	return dst;
}

u64 emu_bts(u64 dst, u64 src, unsigned int size, u64 *flags)
{
	return emu_bt(dst, src, size, flags) | bit_mask(src, size);
}

u64 emu_btr(u64 dst, u64 src, unsigned int size, u64 *flags)
{
	return emu_bt(dst, src, size, flags) & ~bit_mask(src, size);
}

u64 emu_btc(u64 dst, u64 src, unsigned int size, u64 *flags)
{
	return emu_bt(dst, src, size, flags) ^ bit_mask(src, size);
}

static unsigned int count_trailing(u64 val)
{
	return __builtin_ctzll(val);
}

static unsigned int count_leading(u64 val, unsigned int size)
{
	return __builtin_clzll(val) - (64 - 8 * size);
}

/* A zero source leaves the destination as it is; only ZF is defined. */
u64 emu_bsf(u64 dst, u64 src, unsigned int size, u64 *flags)
{
	set_flag(flags, EMU_FLAG_ZF, !src);
	return src ? count_trailing(src) : dst;
}

u64 emu_bsr(u64 dst, u64 src, unsigned int size, u64 *flags)
{
	set_flag(flags, EMU_FLAG_ZF, !src);
	return src ? 8 * size - 1 - count_leading(src, size) : dst;
}

u64 emu_tzcnt(u64 dst, u64 src, unsigned int size, u64 *flags)
{
	u64 res = src ? count_trailing(src) : 8 * size;

	set_flag(flags, EMU_FLAG_CF, !src);
	set_flag(flags, EMU_FLAG_ZF, !res);
	return res;
}

u64 emu_lzcnt(u64 dst, u64 src, unsigned int size, u64 *flags)
{
	u64 res = src ? count_leading(src, size) : 8 * size;

	set_flag(flags, EMU_FLAG_CF, !src);
	set_flag(flags, EMU_FLAG_ZF, !res);
	return res;
}

u64 emu_popcnt(u64 dst, u64 src, unsigned int size, u64 *flags)
{
	u64 res = 0;

	*flags &= ~(u64)EMU_FLAGS_ARITH;
	set_flag(flags, EMU_FLAG_ZF, !src);
	for (; src; src &= src - 1)
		res++;
	return res;
}

bool emu_condition(u64 flags, unsigned int cc)
{
	bool less = !(flags & EMU_FLAG_SF) != !(flags & EMU_FLAG_OF);
	bool holds;

	switch (cc >> 1 & 7) {
	case 0:
		holds = flags & EMU_FLAG_OF;
		break;
	case 1:
		holds = flags & EMU_FLAG_CF;
		break;
	case 2:
		holds = flags & EMU_FLAG_ZF;
		break;
	case 3:
		holds = flags & (EMU_FLAG_CF | EMU_FLAG_ZF);
		break;
	case 4:
		holds = flags & EMU_FLAG_SF;
		break;
	case 5:
		holds = flags & EMU_FLAG_PF;
		break;
	case 6:
		holds = less;
		break;
	default:
		holds = less || (flags & EMU_FLAG_ZF);
		break;
	}
	return holds != (cc & 1);
}
