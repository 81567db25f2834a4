// SPDX-License-Identifier: GPL-2.0
/*
 * Get, set and compare the whole state of a vCPU, as a VMM does that migrates a
 * guest. The setters are in the order that clients of KVM use.
 */
#include "kselftest.h"
#include "keel_test.h"
#include "state.h"

#define MSR_TSC		0x10
#define MSR_MCG_CAP	0x179
#define MSR_BANKS	0x400

int vcpu_complete(struct vcpu *vcpu)
{
	int err;

	vcpu->run->immediate_exit = 1;
	err = __vcpu_run(vcpu);
	vcpu->run->immediate_exit = 0;
	CHECK(!err || err == -EINTR, "KVM_RUN: %s", strerror(-err));
	return err ? 0 : -EBUSY;
}

static void add_msr(struct vcpu_state *s, u32 index)
{
	CHECK(s->msrs.head.nmsrs < STATE_MSRS, "more MSRs than fit");
	s->msrs.entry[s->msrs.head.nmsrs++].index = index;
}

/* Get the MSRs that the device lists, and the machine-check banks that exist. */
static void get_msrs(struct vcpu *vcpu, struct vcpu_state *s)
{
	struct kvm_msr_list *list = calloc(1, sizeof(*list) + 1000 * sizeof(u32));
	u32 i;
	int n;

	CHECK(list, "out of memory");
	list->nmsrs = 1000;
	fd_ioctl(vcpu->vm->dev, KVM_GET_MSR_INDEX_LIST, list);
	for (i = 0; i < list->nmsrs; i++)
		add_msr(s, list->indices[i]);
	free(list);
	__vcpu_get_msr(vcpu, MSR_MCG_CAP, &s->mcg_cap);
	for (i = 0; i < 4 * (s->mcg_cap & 0xff); i++)
		add_msr(s, MSR_BANKS + i);
	n = vcpu_ioctl(vcpu, KVM_GET_MSRS, &s->msrs);
	CHECK(n == s->msrs.head.nmsrs, "MSR %#x", s->msrs.entry[n].index);
}

struct vcpu_state *state_get(struct vcpu *vcpu)
{
	struct vcpu_state *s = calloc(1, sizeof(*s));

	CHECK(s, "out of memory");
	s->cpuid.head.nent = STATE_CPUID;
	vcpu_ioctl(vcpu, KVM_GET_CPUID2, &s->cpuid);
	s->tsc_khz = vcpu_ioctl(vcpu, KVM_GET_TSC_KHZ, 0);
	/* Get the events first: getting them may let one take effect, which changes registers. */
	vcpu_ioctl(vcpu, KVM_GET_VCPU_EVENTS, &s->events);
	vcpu_ioctl(vcpu, KVM_GET_REGS, &s->regs);
	vcpu_ioctl(vcpu, KVM_GET_SREGS2, &s->sregs);
	vcpu_ioctl(vcpu, KVM_GET_XSAVE, &s->xsave);
	vcpu_ioctl(vcpu, KVM_GET_XCRS, &s->xcrs);
	vcpu_ioctl(vcpu, KVM_GET_DEBUGREGS, &s->debugregs);
	vcpu_ioctl(vcpu, KVM_GET_MP_STATE, &s->mp);
	get_msrs(vcpu, s);
	return s;
}

void state_set(struct vcpu *vcpu, struct vcpu_state *s)
{
	int n;

	vcpu_ioctl(vcpu, KVM_SET_CPUID2, &s->cpuid);
	vcpu_ioctl(vcpu, KVM_SET_TSC_KHZ, (unsigned long)s->tsc_khz);
	vcpu_ioctl(vcpu, KVM_X86_SETUP_MCE, &s->mcg_cap);
	vcpu_ioctl(vcpu, KVM_SET_SREGS2, &s->sregs);
	vcpu_ioctl(vcpu, KVM_SET_XCRS, &s->xcrs);
	vcpu_ioctl(vcpu, KVM_SET_XSAVE, &s->xsave);
	n = vcpu_ioctl(vcpu, KVM_SET_MSRS, &s->msrs);
	CHECK(n == s->msrs.head.nmsrs, "MSR %#x", s->msrs.entry[n].index);
	vcpu_ioctl(vcpu, KVM_SET_MP_STATE, &s->mp);
	vcpu_ioctl(vcpu, KVM_SET_DEBUGREGS, &s->debugregs);
	vcpu_ioctl(vcpu, KVM_SET_REGS, &s->regs);
	/* Set the events last: what is pending belongs to these registers. */
	vcpu_ioctl(vcpu, KVM_SET_VCPU_EVENTS, &s->events);
	/* Without an interrupt controller in the kernel, KVM_RUN takes CR8 from the page. */
	vcpu->run->cr8 = s->sregs.cr8;
}

static bool msrs_differ(const struct vcpu_state *a, const struct vcpu_state *b)
{
	u32 i;

	if (a->msrs.head.nmsrs != b->msrs.head.nmsrs)
		return true;
	for (i = 0; i < a->msrs.head.nmsrs; i++) {
		const struct kvm_msr_entry *x = &a->msrs.entry[i], *y = &b->msrs.entry[i];

		if (x->index == MSR_TSC && y->index == MSR_TSC && x->data <= y->data)
			continue;
		if (x->index != y->index || x->data != y->data) {
			fprintf(stderr, "# MSR %#x: %#llx, %#llx\n", x->index, x->data, y->data);
			return true;
		}
	}
	return false;
}

#define PART(name) { #name, offsetof(struct vcpu_state, name),		\
		     sizeof(((struct vcpu_state *)NULL)->name) }

const char *state_differs(const struct vcpu_state *a, const struct vcpu_state *b)
{
	static const struct {
		const char *name;
		size_t offset, size;
	} part[] = {
		PART(cpuid), PART(tsc_khz), PART(mcg_cap), PART(regs), PART(sregs), PART(xsave),
		PART(xcrs), PART(debugregs), PART(events), PART(mp),
	};
	int i;

	for (i = 0; i < ARRAY_SIZE(part); i++)
		if (memcmp((u8 *)a + part[i].offset, (u8 *)b + part[i].offset, part[i].size))
			return part[i].name;
	return msrs_differ(a, b) ? "msrs" : NULL;
}
