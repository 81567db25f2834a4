// SPDX-License-Identifier: GPL-2.0
/*
 * Userspace sets flags, shadows and events one by one, and the processor refuses
 * to enter with what does not go together. Whatever the ioctls have taken must
 * run.
 */
#include "kselftest_harness.h"
#include "keel_test.h"
#include "guest.h"

#define DB_VECTOR	1
#define NMI_VECTOR	2
#define UD_VECTOR	6
#define IRQ_VECTOR	64
#define FLAG_VM		(1UL << 17)
#define MSR_DEBUGCTL	0x1d9
#define DEBUGCTL_BTF	2
#define STI		KVM_X86_SHADOW_INT_STI
#define MOV_SS		KVM_X86_SHADOW_INT_MOV_SS

static volatile u64 guest_seen;		/* a bit for each vector that came; 63: IRQ_VECTOR */

static void on_trap(struct guest_trap *trap)
{
	guest_seen |= 1UL << (trap->vector == IRQ_VECTOR ? 63 : trap->vector);
	trap->rflags &= ~FLAG_TF;
	if (trap->vector == UD_VECTOR)
		trap->rip += 2;
}

static void guest_main(void)
{
	guest_handler[DB_VECTOR] = on_trap;
	guest_handler[NMI_VECTOR] = on_trap;
	guest_handler[UD_VECTOR] = on_trap;
	guest_handler[IRQ_VECTOR] = on_trap;
	for (;;) {
		guest_sync(guest_seen);
		asm volatile("nop\n\tnop\n\tnop\n\tnop");
	}
}

FIXTURE(enterable) {
	struct vm *vm;
	struct vcpu *vcpu;
	struct kvm_regs regs;		/* right behind a guest_sync() */
	struct kvm_sregs sregs;
};

typedef FIXTURE_DATA(enterable) fixture_t;

FIXTURE_SETUP(enterable)
{
	self->vm = vm_create();
	self->vcpu = vcpu_create(self->vm, 0, guest_main);
	vcpu_sync(self->vcpu);
	/* The OUT is complete: registers can be set without its being done again. */
	self->vcpu->run->immediate_exit = 1;
	EXPECT_EQ(-EINTR, __vcpu_run(self->vcpu));
	self->vcpu->run->immediate_exit = 0;
	vcpu_get_regs(self->vcpu, &self->regs);
	vcpu_get_sregs(self->vcpu, &self->sregs);
}

FIXTURE_TEARDOWN(enterable)
{
	vcpu_free(self->vcpu);
	vm_free(self->vm);
}

struct state {
	u64 rflags;
	u8 shadow, irq, nmi_injected, nmi_masked, nmi_pending, ud;
	u64 debugctl;
};

static void load(fixture_t *self, const struct state *s)
{
	struct kvm_vcpu_events ev = {
		.flags = KVM_VCPUEVENT_VALID_SHADOW | KVM_VCPUEVENT_VALID_NMI_PENDING,
	};
	struct kvm_regs regs = self->regs;

	GUEST_VAR(self->vm, guest_seen) = 0;
	vcpu_ioctl(self->vcpu, KVM_SET_VCPU_EVENTS, &ev);
	vcpu_set_sregs(self->vcpu, &self->sregs);
	regs.rflags = s->rflags | 2;
	vcpu_set_regs(self->vcpu, &regs);
	__vcpu_set_msr(self->vcpu, MSR_DEBUGCTL, s->debugctl);
	ev.interrupt.shadow = s->shadow;
	ev.interrupt.injected = s->irq;
	ev.interrupt.nr = IRQ_VECTOR;
	ev.nmi.injected = s->nmi_injected;
	ev.nmi.masked = s->nmi_masked;
	ev.nmi.pending = s->nmi_pending;
	ev.exception.injected = s->ud;
	ev.exception.nr = UD_VECTOR;
	vcpu_ioctl(self->vcpu, KVM_SET_VCPU_EVENTS, &ev);
}

/* Run to the next guest_sync(): the vectors that came. */
static u64 run(struct __test_metadata *_metadata, fixture_t *self, const struct state *s)
{
	int exit;

	load(self, s);
	exit = vcpu_next(self->vcpu);
	EXPECT_EQ(GUEST_SYNC, exit) {
		TH_LOG("rflags %#lx shadow %u irq %u nmi %u %u ud %u debugctl %#lx", s->rflags,
		       s->shadow, s->irq, s->nmi_injected, s->nmi_pending, s->ud, s->debugctl);
	}
	return self->vcpu->arg[0];
}

#define CAME(vector)	(1UL << (vector))
#define CAME_IRQ	(1UL << 63)

TEST_F(enterable, what_does_not_go_together)
{
	static const struct { struct state s; u64 came; } rows[] = {
		{ { .shadow = STI }, 0 },
		{ { .shadow = MOV_SS }, 0 },
		{ { .shadow = STI | MOV_SS, .rflags = FLAG_IF }, 0 },
		{ { .shadow = STI, .rflags = FLAG_IF, .irq = 1 }, CAME_IRQ },
		{ { .shadow = MOV_SS, .rflags = FLAG_IF, .irq = 1 }, CAME_IRQ },
		{ { .irq = 1 }, 0 },		/* held back until IF is set */
		{ { .shadow = STI, .rflags = FLAG_IF, .nmi_injected = 1 }, CAME(NMI_VECTOR) },
		{ { .shadow = MOV_SS, .rflags = FLAG_IF, .nmi_injected = 1 }, CAME(NMI_VECTOR) },
		{ { .shadow = MOV_SS, .rflags = FLAG_IF, .nmi_pending = 1 }, CAME(NMI_VECTOR) },
		{ { .nmi_injected = 1, .nmi_masked = 1 }, CAME(NMI_VECTOR) },
		{ { .nmi_pending = 1, .nmi_masked = 1 }, 0 },
		{ { .shadow = STI, .rflags = FLAG_IF | FLAG_TF }, CAME(DB_VECTOR) },
		{ { .shadow = MOV_SS, .rflags = FLAG_TF }, CAME(DB_VECTOR) },
		{ { .rflags = FLAG_IF | FLAG_RF, .irq = 1 }, CAME_IRQ },
		{ { .rflags = FLAG_VM }, 0 },
		{ { .shadow = STI, .ud = 1 }, CAME(UD_VECTOR) },
	};
	unsigned int i;
	u64 came;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		came = run(_metadata, self, &rows[i].s);
		if (came != rows[i].came)
			TH_LOG("row %u", i);
		EXPECT_EQ(rows[i].came, came);
	}
}

/* With BTF only branches trap, so nothing is pending in a shadow. */
TEST_F(enterable, branch_steps_in_a_shadow)
{
	struct state s = { .shadow = MOV_SS, .rflags = FLAG_TF, .debugctl = DEBUGCTL_BTF };

	run(_metadata, self, &s);
	s.rflags = 0;
	EXPECT_EQ(0, run(_metadata, self, &s));
}

static u32 seed = 1;

static u32 below(u32 n)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % n;
}

TEST_F(enterable, anything_that_was_taken)
{
	int i;

	for (i = 0; i < 400; i++) {
		struct state s = {
			.rflags = (below(2) ? FLAG_IF : 0) | (below(3) ? 0 : FLAG_TF) |
				  (below(4) ? 0 : FLAG_RF) | (below(6) ? 0 : FLAG_VM),
			.shadow = below(4), .irq = !below(4), .nmi_injected = !below(4),
			.nmi_masked = !below(4),
			.nmi_pending = !below(4), .ud = !below(5),
			.debugctl = below(4) ? 0 : DEBUGCTL_BTF,
		};

		run(_metadata, self, &s);
	}
}

KEEL_TEST_MAIN
