// SPDX-License-Identifier: GPL-2.0
/*
 * Multiplication and division with double-width operands. Pure functions: the
 * kernel has no 128-bit division to call, and the DIV instruction faults if the
 * quotient overflows.
 */
#include "exec.h"

/* Set CF and OF if the high half is more than the extension of the low half. */
u64 emu_mul(u64 a, u64 b, unsigned int size, bool is_signed, u64 *high, u64 *flags)
{
	unsigned __int128 product;
	bool wide;
	u64 low;

	if (is_signed)
		product = (__int128)(s64)emu_sign_extend(a, size) * (s64)emu_sign_extend(b, size);
	else
		product = (unsigned __int128)a * b;
	low = (u64)product & emu_mask(size);
	*high = (u64)(product >> (8 * size)) & emu_mask(size);
	if (is_signed)
		wide = product != (unsigned __int128)(s64)emu_sign_extend(low, size);
	else
		wide = *high;
	*flags &= ~(u64)(EMU_FLAG_CF | EMU_FLAG_OF);
	if (wide)
		*flags |= EMU_FLAG_CF | EMU_FLAG_OF;
	return low;
}

/* Divide bit by bit. False if the quotient needs more than 64 bits. */
static bool divide(unsigned __int128 dividend, u64 divisor, u64 *quotient, u64 *remainder)
{
	u64 low = (u64)dividend;
	unsigned __int128 rest = dividend >> 64;
	unsigned int i;

	if (rest >= divisor)
		return false;
	*quotient = 0;
	for (i = 0; i < 64; i++) {
		rest = rest << 1 | low >> 63;
		low <<= 1;
		*quotient <<= 1;
		if (rest >= divisor) {
			rest -= divisor;
			*quotient |= 1;
		}
	}
	*remainder = (u64)rest;
	return true;
}

static bool divide_signed(unsigned __int128 dividend, u64 divisor, unsigned int size, u64 *quotient,
			  u64 *remainder)
{
	bool neg_dividend = (__int128)dividend < 0;
	bool neg_divisor = (s64)divisor < 0;
	u64 limit = (u64)1 << (8 * size - 1);

	if (!divide(neg_dividend ? -dividend : dividend, neg_divisor ? -divisor : divisor,
		    quotient, remainder))
		return false;
	if (neg_dividend != neg_divisor) {
		if (*quotient > limit)
			return false;
		*quotient = -*quotient;
	} else if (*quotient >= limit) {
		return false;
	}
	if (neg_dividend)
		*remainder = -*remainder;
	return true;
}

/* Divide *@high:*@low: the quotient goes to *@low, the remainder to *@high. False for #DE. */
bool emu_div(u64 *high, u64 *low, u64 divisor, unsigned int size, bool is_signed)
{
	u64 mask = emu_mask(size);
	u64 quotient, remainder;
	unsigned __int128 dividend;

	if (!divisor)
		return false;
	if (is_signed) {
		dividend = (unsigned __int128)(s64)emu_sign_extend(*high, size);
		dividend = dividend << (8 * size) | *low;
		if (!divide_signed(dividend, emu_sign_extend(divisor, size), size, &quotient,
				   &remainder))
			return false;
	} else {
		dividend = (unsigned __int128)*high << (8 * size) | *low;
		if (!divide(dividend, divisor, &quotient, &remainder) || quotient > mask)
			return false;
	}
	*low = quotient & mask;
	*high = remainder & mask;
	return true;
}
