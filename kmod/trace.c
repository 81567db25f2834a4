// SPDX-License-Identifier: GPL-2.0
/*
 * Instantiates the tracepoints of trace.h, as the only file that defines
 * CREATE_TRACE_POINTS. Owns nothing else.
 */
#define CREATE_TRACE_POINTS
#include "trace.h"
