/* SPDX-License-Identifier: GPL-2.0 */
/* Renew the checksum at the end of a snapshot, so that a changed file is accepted as whole. */
#ifndef _KEEL_TESTS_SEAL_H
#define _KEEL_TESTS_SEAL_H

#include <linux/types.h>
#include <string.h>

#define END_SIZE	24	/* of the last record: its head and the checksum */

/* @size: a multiple of 8 */
static inline void seal(unsigned char *file, size_t size)
{
	__u64 sum = 0, word;
	size_t at;

	for (at = 0; at + END_SIZE < size; at += sizeof(word)) {
		memcpy(&word, file + at, sizeof(word));
		sum = (sum ^ word) * 0x9e3779b97f4a7c15ull;
		sum ^= sum >> 29;
	}
	memcpy(file + size - sizeof(sum), &sum, sizeof(sum));
}

#endif /* _KEEL_TESTS_SEAL_H */
