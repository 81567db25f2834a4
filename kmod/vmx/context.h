/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Private to vmx/: tells RCU, lockdep and time accounting that a CPU enters or
 * leaves a guest. For them a guest is like userspace: it runs with interrupts
 * on, it is an RCU quiescent state, and its time is accounted separately.
 */
#ifndef KEEL_VMX_CONTEXT_H
#define KEEL_VMX_CONTEXT_H

#include <linux/context_tracking.h>
#include <linux/ftrace.h>
#include <linux/instrumentation.h>
#include <linux/irqflags.h>
#include <linux/rcupdate.h>
#include <linux/smp.h>
#include <linux/vtime.h>

/*
 * Call with interrupts off. Between vmx_context_enter() and vmx_context_exit()
 * use no RCU, no tracing and no instrumentation.
 */
static __always_inline void vmx_context_enter(void)
{
	instrumentation_begin();
	trace_hardirqs_on_prepare();
	lockdep_hardirqs_on_prepare();
	instrumentation_end();

	if (!context_tracking_guest_enter()) {
		instrumentation_begin();
		rcu_virt_note_context_switch(smp_processor_id());
		instrumentation_end();
	}
	lockdep_hardirqs_on(CALLER_ADDR0);
}

static __always_inline void vmx_context_exit(void)
{
	lockdep_hardirqs_off(CALLER_ADDR0);
	context_tracking_guest_exit();

	instrumentation_begin();
	trace_hardirqs_off_finish();
	instrumentation_end();
}

#endif
