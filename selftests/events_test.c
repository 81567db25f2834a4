// SPDX-License-Identifier: GPL-2.0
/*
 * What must be asked for to save and restore a vCPU without loss: payloads of
 * pending exceptions and triple faults among its events; and the limit to
 * vCPU ids. The events that are always there have their tests in irq_test.
 */
#include "kselftest_harness.h"
#include "keel_test.h"
#include "guest.h"

#define DB_VECTOR	1
#define PF_VECTOR	14
#define DR6_BS		(1UL << 14)

#define NMI_VECTOR	2
#define IRQ_VECTOR	0x40

static volatile u64 seen_cr2, seen_dr6;
static volatile u32 seen_error;
static volatile u64 order;		/* of handlers: their vectors, the first one highest */

static void on_page_fault(struct guest_trap *trap)
{
	seen_cr2 = guest_read_cr2();
	seen_error = trap->error;
	order = order << 8 | PF_VECTOR;
}

static void on_other(struct guest_trap *trap)
{
	order = order << 8 | trap->vector;
}

static void on_debug(struct guest_trap *trap)
{
	u64 value;

	asm volatile("mov %%dr6, %0" : "=r"(value));
	seen_dr6 = value;
}

/* What the handlers have seen, at each call. */
static void guest_tells(void)
{
	guest_handler[PF_VECTOR] = on_page_fault;
	guest_handler[DB_VECTOR] = on_debug;
	for (;;)
		guest_sync3(seen_cr2, seen_error, seen_dr6);
}

static void guest_tells_order(void)
{
	guest_handler[PF_VECTOR] = on_page_fault;
	guest_handler[NMI_VECTOR] = on_other;
	guest_handler[IRQ_VECTOR] = on_other;
	asm volatile("sti");
	for (;;)
		guest_sync(order);
}

FIXTURE(events) {
	struct vm *vm;
	struct vcpu *vcpu;
	struct kvm_vcpu_events ev;
};

FIXTURE_SETUP(events)
{
	self->vm = vm_create();
	self->vcpu = vcpu_create(self->vm, 0, guest_tells);
	vcpu_sync(self->vcpu);
	vcpu_ioctl(self->vcpu, KVM_GET_VCPU_EVENTS, &self->ev);
}

FIXTURE_TEARDOWN(events)
{
	vcpu_free(self->vcpu);
	vm_free(self->vm);
}

static int enable(struct vm *vm, u32 cap, u64 arg)
{
	struct kvm_enable_cap e = { .cap = cap, .args = { arg } };

	return __vm_ioctl(vm, KVM_ENABLE_CAP, &e);
}

static int set(struct vcpu *vcpu, struct kvm_vcpu_events *ev)
{
	return __vcpu_ioctl(vcpu, KVM_SET_VCPU_EVENTS, ev);
}

static void pend(struct kvm_vcpu_events *ev, u8 vector, u64 payload)
{
	ev->exception.pending = 1;
	ev->exception.nr = vector;
	ev->exception.has_error_code = vector == PF_VECTOR;
	ev->exception.error_code = 7;
	ev->exception_has_payload = 1;
	ev->exception_payload = payload;
	ev->flags |= KVM_VCPUEVENT_VALID_PAYLOAD;
}

TEST_F(events, must_be_asked_for)
{
	EXPECT_EQ(0, self->ev.flags & (KVM_VCPUEVENT_VALID_PAYLOAD |
				       KVM_VCPUEVENT_VALID_TRIPLE_FAULT));
	self->ev.flags |= KVM_VCPUEVENT_VALID_PAYLOAD;
	EXPECT_EQ(-EINVAL, set(self->vcpu, &self->ev));
	self->ev.flags ^= KVM_VCPUEVENT_VALID_PAYLOAD | KVM_VCPUEVENT_VALID_TRIPLE_FAULT;
	EXPECT_EQ(-EINVAL, set(self->vcpu, &self->ev));
	REQUIRE(vm_has(self->vm, KVM_CAP_EXCEPTION_PAYLOAD));
	ASSERT_EQ(0, enable(self->vm, KVM_CAP_EXCEPTION_PAYLOAD, 1));
	vcpu_ioctl(self->vcpu, KVM_GET_VCPU_EVENTS, &self->ev);
	EXPECT_EQ(KVM_VCPUEVENT_VALID_PAYLOAD, self->ev.flags & KVM_VCPUEVENT_VALID_PAYLOAD);
	EXPECT_EQ(0, set(self->vcpu, &self->ev));
	ASSERT_EQ(0, enable(self->vm, KVM_CAP_EXCEPTION_PAYLOAD, 0));
	EXPECT_EQ(-EINVAL, set(self->vcpu, &self->ev));
}

TEST_F(events, a_page_fault_keeps_its_address)
{
	struct kvm_vcpu_events back;
	struct kvm_sregs sregs;

	REQUIRE(vm_has(self->vm, KVM_CAP_EXCEPTION_PAYLOAD));
	ASSERT_EQ(0, enable(self->vm, KVM_CAP_EXCEPTION_PAYLOAD, 1));
	pend(&self->ev, PF_VECTOR, 0x123456789000);
	ASSERT_EQ(0, set(self->vcpu, &self->ev));
	vcpu_ioctl(self->vcpu, KVM_GET_VCPU_EVENTS, &back);
	EXPECT_EQ(1, back.exception.pending);
	EXPECT_EQ(0, back.exception.injected);
	EXPECT_EQ(PF_VECTOR, back.exception.nr);
	EXPECT_EQ(7, back.exception.error_code);
	EXPECT_EQ(1, back.exception_has_payload);
	EXPECT_EQ(0x123456789000, back.exception_payload);
	/* Nothing of it shows before it is delivered. */
	vcpu_get_sregs(self->vcpu, &sregs);
	EXPECT_NE(0x123456789000, sregs.cr2);
	vcpu_sync(self->vcpu);
	EXPECT_EQ(0x123456789000, vcpu_sync(self->vcpu));
	EXPECT_EQ(7, self->vcpu->arg[1]);
	vcpu_ioctl(self->vcpu, KVM_GET_VCPU_EVENTS, &back);
	EXPECT_EQ(0, back.exception.pending);
	EXPECT_EQ(0, back.exception.injected);
}

/* Return the order in which the guest is told of a pending page fault and of @ev. */
static u64 order_after_fault(struct vm *vm, struct vcpu *vcpu, struct kvm_vcpu_events *ev)
{
	CHECK(!enable(vm, KVM_CAP_EXCEPTION_PAYLOAD, 1), "payloads");
	vcpu_set_long(vcpu, guest_tells_order);
	vcpu_sync(vcpu);
	pend(ev, PF_VECTOR, 0x123456789000);
	CHECK(!set(vcpu, ev), "events");
	vcpu_sync(vcpu);
	return vcpu_sync(vcpu);
}

/*
 * KVM forgets the event that the exception overtakes. An NMI is not masked by the handler of
 * the page fault: it comes before that handler has done anything.
 */
TEST_F(events, an_exception_comes_before_an_injected_nmi)
{
	u64 got;

	REQUIRE(vm_has(self->vm, KVM_CAP_EXCEPTION_PAYLOAD));
	self->ev.nmi.injected = 1;
	got = order_after_fault(self->vm, self->vcpu, &self->ev);
	EXPECT_EQ(dev_is_keel() ? NMI_VECTOR << 8 | PF_VECTOR : PF_VECTOR, got);
}

TEST_F(events, an_exception_comes_before_an_injected_interrupt)
{
	u64 got;

	REQUIRE(vm_has(self->vm, KVM_CAP_EXCEPTION_PAYLOAD));
	self->ev.interrupt.injected = 1;
	self->ev.interrupt.nr = IRQ_VECTOR;
	got = order_after_fault(self->vm, self->vcpu, &self->ev);
	EXPECT_EQ(dev_is_keel() ? PF_VECTOR << 8 | IRQ_VECTOR : PF_VECTOR, got);
}

TEST_F(events, a_trap_keeps_its_bits)
{
	REQUIRE(vm_has(self->vm, KVM_CAP_EXCEPTION_PAYLOAD));
	ASSERT_EQ(0, enable(self->vm, KVM_CAP_EXCEPTION_PAYLOAD, 1));
	pend(&self->ev, DB_VECTOR, DR6_BS);
	ASSERT_EQ(0, set(self->vcpu, &self->ev));
	vcpu_sync(self->vcpu);
	vcpu_sync(self->vcpu);
	EXPECT_EQ(DR6_BS, self->vcpu->arg[2] & DR6_BS);
}

TEST_F(events, only_exceptions_can_be_pending)
{
	REQUIRE(vm_has(self->vm, KVM_CAP_EXCEPTION_PAYLOAD));
	ASSERT_EQ(0, enable(self->vm, KVM_CAP_EXCEPTION_PAYLOAD, 1));
	pend(&self->ev, 2, 0);
	EXPECT_EQ(-EINVAL, set(self->vcpu, &self->ev));
	pend(&self->ev, 32, 0);
	EXPECT_EQ(-EINVAL, set(self->vcpu, &self->ev));
	/* A payload without anything pending is passed over. */
	self->ev.exception.pending = 0;
	self->ev.exception.nr = 0;
	EXPECT_EQ(0, set(self->vcpu, &self->ev));
	vcpu_ioctl(self->vcpu, KVM_GET_VCPU_EVENTS, &self->ev);
	EXPECT_EQ(0, self->ev.exception_has_payload);
	vcpu_sync(self->vcpu);
}

TEST_F(events, a_triple_fault_is_kept)
{
	struct kvm_vcpu_events *ev = &self->ev;

	REQUIRE(vm_has(self->vm, KVM_CAP_X86_TRIPLE_FAULT_EVENT));
	ASSERT_EQ(0, enable(self->vm, KVM_CAP_X86_TRIPLE_FAULT_EVENT, 1));
	vcpu_ioctl(self->vcpu, KVM_GET_VCPU_EVENTS, ev);
	EXPECT_EQ(KVM_VCPUEVENT_VALID_TRIPLE_FAULT, ev->flags & KVM_VCPUEVENT_VALID_TRIPLE_FAULT);
	EXPECT_EQ(0, ev->triple_fault.pending);
	ev->triple_fault.pending = 1;
	ASSERT_EQ(0, set(self->vcpu, ev));
	vcpu_ioctl(self->vcpu, KVM_GET_VCPU_EVENTS, ev);
	EXPECT_EQ(1, ev->triple_fault.pending);
	/* Taken back, the guest goes on. */
	ev->triple_fault.pending = 0;
	ASSERT_EQ(0, set(self->vcpu, ev));
	vcpu_sync(self->vcpu);
	ev->triple_fault.pending = 1;
	ASSERT_EQ(0, set(self->vcpu, ev));
	EXPECT_EQ(KVM_EXIT_SHUTDOWN, vcpu_next(self->vcpu));
	vcpu_ioctl(self->vcpu, KVM_GET_VCPU_EVENTS, ev);
	EXPECT_EQ(0, ev->triple_fault.pending);
}

TEST_F(events, a_limit_to_ids_is_set_once)
{
	struct vm *vm = vm_create_bare();
	int most = vm_ioctl(vm, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPU_ID);

	REQUIRE(vm_has(vm, KVM_CAP_ENABLE_CAP_VM));
	EXPECT_EQ(-EINVAL, enable(vm, KVM_CAP_MAX_VCPU_ID, most + 1));
	EXPECT_EQ(0, enable(vm, KVM_CAP_MAX_VCPU_ID, 2));
	EXPECT_EQ(0, enable(vm, KVM_CAP_MAX_VCPU_ID, 2));
	EXPECT_EQ(-EINVAL, enable(vm, KVM_CAP_MAX_VCPU_ID, 3));
	EXPECT_EQ(-EINVAL, __vm_ioctl(vm, KVM_CREATE_VCPU, 2));
	vcpu_free(vcpu_create_bare(vm, 1));
	/* This one has a vCPU already. */
	EXPECT_EQ(-EINVAL, enable(self->vm, KVM_CAP_MAX_VCPU_ID, 2));
	vm_free(vm);
}

KEEL_TEST_MAIN
