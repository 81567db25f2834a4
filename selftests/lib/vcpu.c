// SPDX-License-Identifier: GPL-2.0
/*
 * A test vCPU: entry state for each processor mode, KVM_RUN, and the
 * interpretation of exits. vm.c owns the memory that those states point to.
 */
#include "keel_test.h"
#include "guest.h"

#define MAX_CPUID 100

struct vcpu *vcpu_create_bare(struct vm *vm, unsigned int id)
{
	struct vcpu *vcpu = calloc(1, sizeof(*vcpu));

	CHECK(vcpu, "out of memory");
	vcpu->vm = vm;
	vcpu->id = id;
	vcpu->fd = vm_ioctl(vm, KVM_CREATE_VCPU, id);
	vcpu->run = mmap(NULL, vm->run_size, PROT_READ | PROT_WRITE, MAP_SHARED,
			 vcpu->fd, 0);
	CHECK(vcpu->run != MAP_FAILED, "mmap vcpu: %s", strerror(errno));
	return vcpu;
}

void vcpu_free(struct vcpu *vcpu)
{
	munmap(vcpu->run, vcpu->vm->run_size);
	close(vcpu->fd);
	free(vcpu);
}

struct kvm_cpuid2 *cpuid_supported(int dev)
{
	struct kvm_cpuid2 *cpuid;

	cpuid = calloc(1, sizeof(*cpuid) + MAX_CPUID * sizeof(cpuid->entries[0]));
	CHECK(cpuid, "out of memory");
	cpuid->nent = MAX_CPUID;
	fd_ioctl(dev, KVM_GET_SUPPORTED_CPUID, cpuid);
	return cpuid;
}

struct kvm_cpuid_entry2 *cpuid_find(struct kvm_cpuid2 *cpuid, u32 fn, u32 idx)
{
	u32 i;

	for (i = 0; i < cpuid->nent; i++) {
		struct kvm_cpuid_entry2 *e = &cpuid->entries[i];

		if (e->function != fn)
			continue;
		if (!(e->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX) ||
		    e->index == idx)
			return e;
	}
	return NULL;
}

void vcpu_set_cpuid(struct vcpu *vcpu)
{
	struct kvm_cpuid2 *cpuid = cpuid_supported(vcpu->vm->dev);

	vcpu_ioctl(vcpu, KVM_SET_CPUID2, cpuid);
	free(cpuid);
}

struct vcpu *vcpu_create(struct vm *vm, unsigned int id, void (*fn)(void))
{
	struct vcpu *vcpu = vcpu_create_bare(vm, id);

	vcpu_set_cpuid(vcpu);
	vcpu_set_long(vcpu, fn);
	return vcpu;
}

void vcpu_get_regs(struct vcpu *vcpu, struct kvm_regs *regs)
{
	vcpu_ioctl(vcpu, KVM_GET_REGS, regs);
}

void vcpu_set_regs(struct vcpu *vcpu, struct kvm_regs *regs)
{
	vcpu_ioctl(vcpu, KVM_SET_REGS, regs);
}

void vcpu_get_sregs(struct vcpu *vcpu, struct kvm_sregs *sregs)
{
	vcpu_ioctl(vcpu, KVM_GET_SREGS, sregs);
}

void vcpu_set_sregs(struct vcpu *vcpu, struct kvm_sregs *sregs)
{
	vcpu_ioctl(vcpu, KVM_SET_SREGS, sregs);
}

int __vcpu_get_msr(struct vcpu *vcpu, u32 index, u64 *data)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} msrs = { .head.nmsrs = 1, .entry.index = index };
	int ret = __vcpu_ioctl(vcpu, KVM_GET_MSRS, &msrs);

	*data = msrs.entry.data;
	return ret;
}

int __vcpu_set_msr(struct vcpu *vcpu, u32 index, u64 data)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} msrs = { .head.nmsrs = 1, .entry = { .index = index, .data = data } };

	return __vcpu_ioctl(vcpu, KVM_SET_MSRS, &msrs);
}

static struct kvm_segment data_segment(u16 selector, bool big)
{
	return (struct kvm_segment) {
		.selector = selector, .limit = big ? 0xffffffff : 0xffff,
		.type = 3, .present = 1, .s = 1, .db = big, .g = big,
	};
}

static void set_data_segments(struct kvm_sregs *sregs, struct kvm_segment seg)
{
	sregs->ds = seg;
	sregs->es = seg;
	sregs->fs = seg;
	sregs->gs = seg;
	sregs->ss = seg;
}

static void set_tables(struct vcpu *vcpu, struct kvm_sregs *sregs)
{
	u64 tss = TSS_GPA + vcpu->id % 16 * 256;
	u64 *gdt = vm_hva(vcpu->vm, GDT_GPA);

	/* No I/O permission map: its base is beyond the limit. */
	*(u16 *)vm_hva(vcpu->vm, tss + 0x66) = 0x68;
	gdt[SEL_TSS / 8] = 0x0000890000000067ULL | (tss & 0xffffff) << 16;
	sregs->gdt = (struct kvm_dtable) { .base = GDT_GPA, .limit = GDT_SIZE - 1 };
	sregs->idt = (struct kvm_dtable) { .base = IDT_GPA, .limit = 256 * 16 - 1 };
	sregs->tr = (struct kvm_segment) {
		.selector = SEL_TSS, .base = tss, .limit = 0x67, .type = 11,
		.present = 1,
	};
}

static void set_entry(struct vcpu *vcpu, u64 rip, u64 rsp)
{
	struct kvm_regs regs = { .rip = rip, .rsp = rsp, .rflags = 2 };

	vcpu_set_regs(vcpu, &regs);
}

void vcpu_set_long(struct vcpu *vcpu, void (*fn)(void))
{
	u64 stack = STACKS_GPA + (vcpu->id % 32 + 1) * STACK_SIZE;
	struct kvm_sregs sregs;

	vcpu_get_sregs(vcpu, &sregs);
	sregs.cr0 = CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_PG;
	sregs.cr3 = PML4_GPA;
	sregs.cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT;
	sregs.efer = EFER_SCE | EFER_LME | EFER_LMA | EFER_NX;
	set_data_segments(&sregs, data_segment(SEL_DATA, true));
	sregs.cs = data_segment(SEL_CODE64, true);
	sregs.cs.type = 11;
	sregs.cs.db = 0;
	sregs.cs.l = 1;
	set_tables(vcpu, &sregs);
	vcpu_set_sregs(vcpu, &sregs);
	/* As after a call: the ABI needs rsp + 8 aligned to 16. */
	set_entry(vcpu, (unsigned long)fn, stack - 8);
}

void vcpu_set_real(struct vcpu *vcpu, u64 gpa)
{
	struct kvm_sregs sregs;

	vcpu_get_sregs(vcpu, &sregs);
	set_data_segments(&sregs, data_segment(0, false));
	sregs.cs = data_segment(0, false);
	sregs.cs.type = 11;
	sregs.idt = (struct kvm_dtable) { .base = REAL_IVT_GPA, .limit = 0x3ff };
	vcpu_set_sregs(vcpu, &sregs);
	set_entry(vcpu, gpa, REAL_STACK_GPA);
}

void vcpu_set_prot16(struct vcpu *vcpu, u64 gpa)
{
	struct kvm_sregs sregs;

	vcpu_get_sregs(vcpu, &sregs);
	sregs.cr0 |= CR0_PE;
	set_data_segments(&sregs, data_segment(SEL_DATA16, false));
	sregs.cs = data_segment(SEL_CODE16, false);
	sregs.cs.type = 11;
	set_tables(vcpu, &sregs);
	vcpu_set_sregs(vcpu, &sregs);
	set_entry(vcpu, gpa, REAL_STACK_GPA);
}

void vcpu_set_prot32(struct vcpu *vcpu, const void *entry)
{
	struct kvm_sregs sregs;

	vcpu_get_sregs(vcpu, &sregs);
	sregs.cr0 |= CR0_PE;
	set_data_segments(&sregs, data_segment(SEL_DATA, true));
	sregs.cs = data_segment(SEL_CODE32, true);
	sregs.cs.type = 11;
	set_tables(vcpu, &sregs);
	vcpu_set_sregs(vcpu, &sregs);
	set_entry(vcpu, (unsigned long)entry, REAL_STACK_GPA);
}

int __vcpu_run(struct vcpu *vcpu)
{
	return __vcpu_ioctl(vcpu, KVM_RUN, 0);
}

void vcpu_run(struct vcpu *vcpu)
{
	vcpu_ioctl(vcpu, KVM_RUN, 0);
}

static bool is_guest_call(const struct kvm_run *run)
{
	return run->exit_reason == KVM_EXIT_IO && run->io.size == 4 &&
	       run->io.direction == KVM_EXIT_IO_OUT &&
	       run->io.port >= PORT_SYNC && run->io.port <= PORT_TRAP;
}

int vcpu_decode(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	struct kvm_regs regs;

	if (!is_guest_call(run))
		return run->exit_reason;
	vcpu_get_regs(vcpu, &regs);
	vcpu->arg[0] = regs.rdi;
	vcpu->arg[1] = regs.rsi;
	vcpu->arg[2] = regs.rcx;
	if (run->io.port == PORT_SYNC)
		return GUEST_SYNC;
	if (run->io.port == PORT_DONE)
		return GUEST_DONE;
	CHECK(run->io.port != PORT_ASSERT, "guest line %lu: %#lx != %#lx",
	      vcpu->arg[0], vcpu->arg[1], vcpu->arg[2]);
	CHECK(run->io.port != PORT_TRAP,
	      "guest trap %lu, error %#lx, rip %#lx",
	      vcpu->arg[0], vcpu->arg[1], vcpu->arg[2]);
	return run->exit_reason;
}

int vcpu_next(struct vcpu *vcpu)
{
	vcpu_run(vcpu);
	return vcpu_decode(vcpu);
}

static void check_exit(struct vcpu *vcpu, int got, int want)
{
	struct kvm_run *run = vcpu->run;
	struct kvm_regs regs;

	if (got == want)
		return;
	vcpu_get_regs(vcpu, &regs);
	CHECK(got == want, "exit %d (hw %#llx, suberror %u) at rip %#llx, want %#x",
	      got, run->hw.hardware_exit_reason, run->internal.suberror,
	      regs.rip, want);
}

u64 vcpu_sync(struct vcpu *vcpu)
{
	check_exit(vcpu, vcpu_next(vcpu), GUEST_SYNC);
	return vcpu->arg[0];
}

void vcpu_done(struct vcpu *vcpu)
{
	check_exit(vcpu, vcpu_next(vcpu), GUEST_DONE);
}
