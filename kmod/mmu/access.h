/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The bits of an access: what the guest tries to do, or may do. Leaf, shared
 * by the face of the room and by its pure part.
 */
#ifndef KEEL_MMU_ACCESS_H
#define KEEL_MMU_ACCESS_H

#define ACC_READ	1
#define ACC_WRITE	2
#define ACC_EXEC	4
#define ACC_USER	8	/* on behalf of CPL 3 */
#define ACC_IMPLICIT	16	/* by the processor itself: descriptor tables, TSS */

#endif
