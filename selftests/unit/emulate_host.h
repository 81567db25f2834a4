/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Abilities of the machine that the emulator is compared with. What the machine
 * lacks is left out and never reported as a difference.
 */
#ifndef KEEL_UNIT_EMULATE_HOST_H
#define KEEL_UNIT_EMULATE_HOST_H

#include "emulate/emulate.h"

/*
 * struct host - the machine, as probed or as a test pretends
 * @ecx1, @ebx7, @ecx_ext: features by CPUID: leaves 1, 7 and 80000001h
 * @flat32:	32-bit code runs in the kernel's own flat segment
 * @local:	32-bit code runs in segments of a local descriptor table
 * @local16:	so does 16-bit code
 * @bochs:	the processor is Bochs 3.0
 */
struct host {
	u32 ecx1, ebx7, ecx_ext;
	bool flat32, local, local16, bochs;
};

/* Fill in the features of this processor. */
void host_read_features(struct host *host);

/* True if the processor has all of AVX-512 that moves use; the kernel may not have enabled it. */
bool host_has_avx512(const struct host *host);

/* True if this machine executes @insn as the emulator has decoded it. */
bool host_knows(const struct host *host, const struct emu_insn *insn);

/* True if operation @op can be compared in some code that this machine runs. */
bool host_can_meet(const struct host *host, unsigned int op);

#endif
