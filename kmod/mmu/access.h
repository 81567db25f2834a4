/* SPDX-License-Identifier: GPL-2.0 */
/*
 * ACC_*: what an access tries to do, or may do. Includes nothing: used by mmu.h and
 * by the pure files.
 */
#ifndef KEEL_MMU_ACCESS_H
#define KEEL_MMU_ACCESS_H

#define ACC_READ	1
#define ACC_WRITE	2
#define ACC_EXEC	4
#define ACC_USER	8	/* by code at CPL 3 */
#define ACC_IMPLICIT	16	/* by the processor itself: descriptor tables, TSS */

#endif
