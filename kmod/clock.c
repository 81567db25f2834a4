// SPDX-License-Identifier: GPL-2.0
/*
 * Owns the paravirtual clock: the pair of host TSC and time that defines a VM's
 * clock, the pages that show it to the guest, their MSRs and the ioctls. tsc.c
 * owns the guest's counter itself.
 */
#include <linux/math64.h>
#include <linux/ktime.h>
#include <asm/cpufeature.h>
#include <asm/kvm_para.h>
#include <asm/pvclock-abi.h>
#include <asm/tsc.h>

#include "clock.h"
#include "cpuid.h"
#include "gpa.h"
#include "keel.h"
#include "tsc.h"

#define CLOCK_FLAGS	(KVM_CLOCK_TSC_STABLE | KVM_CLOCK_REALTIME | KVM_CLOCK_HOST_TSC)

bool keel_clock_possible(void)
{
	return boot_cpu_has(X86_FEATURE_CONSTANT_TSC) && !check_tsc_unstable();
}

/* --- arithmetic ---------------------------------------------------------- */

/*
 * Nanoseconds = (ticks shifted left by @shift) * @mul / 2^32. scale_of() shifts
 * the rate to between one and two ticks a nanosecond, so that @mul uses all its
 * 32 bits.
 */
struct scale {
	u32 mul;
	s8 shift;
};

static struct scale scale_of(u64 khz)
{
	struct scale s = { .shift = 0 };
	u64 hz = khz * 1000;

	while (hz > 2ULL * NSEC_PER_SEC) {
		hz >>= 1;
		s.shift--;
	}
	while (hz <= NSEC_PER_SEC) {
		hz <<= 1;
		s.shift++;
	}
	s.mul = div64_u64((u64)NSEC_PER_SEC << 32, hz);
	return s;
}

static u64 nanoseconds(u64 ticks, struct scale s)
{
	ticks = s.shift < 0 ? ticks >> -s.shift : ticks << s.shift;
	return mul_u64_u32_shr(ticks, s.mul, 32);
}

/* --- the pair ------------------------------------------------------------ */

static u64 time_at(const struct keel_vm_clock *c, u64 host_tsc)
{
	return c->time + nanoseconds(host_tsc - c->host_tsc, scale_of(tsc_khz));
}

static void set_time(struct keel_vm *vm, u64 time)
{
	spin_lock(&vm->clock.lock);
	vm->clock.host_tsc = vmx_host_tsc();
	vm->clock.time = time;
	spin_unlock(&vm->clock.lock);
}

static struct keel_vm_clock read_pair(struct keel_vm *vm)
{
	struct keel_vm_clock copy;

	spin_lock(&vm->clock.lock);
	copy = vm->clock;
	spin_unlock(&vm->clock.lock);
	return copy;
}

void keel_clock_vm_init(struct keel_vm *vm)
{
	spin_lock_init(&vm->clock.lock);
	set_time(vm, 0);
}

/* --- pages --------------------------------------------------------------- */

static bool in_use(const struct keel_vcpu *vcpu)
{
	return vcpu->clock.msr & 1;
}

static gpa_t page_of(const struct keel_vcpu *vcpu)
{
	return vcpu->clock.msr & ~1ULL;
}

/*
 * True if the counters of all vCPUs are equal. PVCLOCK_TSC_STABLE_BIT then
 * tells the guest that the page of any vCPU is valid on all of them.
 */
static bool same_everywhere(struct keel_vcpu *vcpu)
{
	struct keel_vcpu *other;
	bool same = true;
	unsigned long i;

	rcu_read_lock();
	for (i = 0; same && (other = keel_vcpu_from(vcpu->vm, &i)); i++)
		same = keel_tsc_equal(vcpu, other);
	rcu_read_unlock();
	return same;
}

/* Keep PVCLOCK_GUEST_STOPPED until the guest has cleared it. */
static u8 page_flags(struct keel_vcpu *vcpu, const struct pvclock_vcpu_time_info *old)
{
	u8 flags = old->flags & PVCLOCK_GUEST_STOPPED;

	if (vcpu->clock.stopped)
		flags |= PVCLOCK_GUEST_STOPPED;
	if (keel_clock_possible() && same_everywhere(vcpu))
		flags |= PVCLOCK_TSC_STABLE_BIT;
	vcpu->clock.stopped = false;
	return flags;
}

static void fill_page(struct keel_vcpu *vcpu, struct pvclock_vcpu_time_info *page)
{
	struct keel_vm_clock pair = read_pair(vcpu->vm);
	struct scale s = scale_of(vcpu->tsc_khz);

	page->flags = page_flags(vcpu, page);
	page->pad0 = 0;
	page->tsc_timestamp = vmx_guest_tsc(&vcpu->vmx, pair.host_tsc);
	page->system_time = pair.time;
	page->tsc_to_system_mul = s.mul;
	page->tsc_shift = s.shift;
	memset(page->pad, 0, sizeof(page->pad));
}

/* The guest reads again if it finds an odd version, or another one afterwards. */
static void write_page(struct keel_vcpu *vcpu, gpa_t gpa)
{
	struct pvclock_vcpu_time_info page;
	u32 version;

	if (keel_gpa_read(vcpu, gpa, &page, sizeof(page)))
		return;
	version = (page.version | 1) + 2;
	if (keel_gpa_write(vcpu, gpa, &version, sizeof(version)))
		return;
	/* Order the odd version before the new contents. */
	smp_wmb();
	fill_page(vcpu, &page);
	page.version = version;
	if (keel_gpa_write(vcpu, gpa, &page, sizeof(page)))
		return;
	/* Order the new contents before the even version. */
	smp_wmb();
	version++;
	keel_gpa_write(vcpu, gpa, &version, sizeof(version));
}

void keel_clock_update(struct keel_vcpu *vcpu)
{
	if (!in_use(vcpu))
		return;
	keel_read_slots(vcpu);
	write_page(vcpu, page_of(vcpu));
	keel_read_slots_end(vcpu);
}

void keel_clock_tsc_changed(struct keel_vcpu *vcpu)
{
	keel_request_all(vcpu->vm, REQ_CLOCK);
}

/* --- registers ----------------------------------------------------------- */

/* Write the time of day at which the clock was zero. Versions as in write_page(). */
static void write_wall_clock(struct keel_vcpu *vcpu, gpa_t gpa)
{
	struct keel_vm_clock pair = read_pair(vcpu->vm);
	u64 boot = ktime_get_real_ns() - time_at(&pair, vmx_host_tsc());
	struct pvclock_wall_clock page;
	u32 version;

	if (keel_gpa_read(vcpu, gpa, &version, sizeof(version)))
		return;
	version = (version | 1) + 2;
	page.version = version;
	page.sec = div_u64_rem(boot, NSEC_PER_SEC, &page.nsec);
	if (keel_gpa_write(vcpu, gpa, &version, sizeof(version)))
		return;
	/* Order the odd version before the new contents. */
	smp_wmb();
	if (keel_gpa_write(vcpu, gpa, &page, sizeof(page)))
		return;
	/* Order the new contents before the even version. */
	smp_wmb();
	version++;
	keel_gpa_write(vcpu, gpa, &version, sizeof(version));
}

static void set_wall_clock(struct keel_vcpu *vcpu, u64 val)
{
	WRITE_ONCE(vcpu->vm->clock.wall_clock, val);
	if (!val)
		return;
	keel_read_slots(vcpu);
	write_wall_clock(vcpu, val);
	keel_read_slots_end(vcpu);
}

static bool is_wall_clock(u32 index)
{
	return index == MSR_KVM_WALL_CLOCK || index == MSR_KVM_WALL_CLOCK_NEW;
}

/* Each pair of MSRs, old and new, has its own feature bit. */
static bool exists(struct keel_vcpu *vcpu, u32 index)
{
	bool new = index == MSR_KVM_WALL_CLOCK_NEW || index == MSR_KVM_SYSTEM_TIME_NEW;

	return keel_guest_has_pv(vcpu, new ? KVM_FEATURE_CLOCKSOURCE2 : KVM_FEATURE_CLOCKSOURCE);
}

int keel_get_clock_msr(struct keel_vcpu *vcpu, u32 index, u64 *val, bool host)
{
	if (!exists(vcpu, index))
		return -EINVAL;
	*val = is_wall_clock(index) ? READ_ONCE(vcpu->vm->clock.wall_clock) : vcpu->clock.msr;
	return 0;
}

int keel_set_clock_msr(struct keel_vcpu *vcpu, u32 index, u64 val, bool host)
{
	if (!exists(vcpu, index))
		return -EINVAL;
	if (is_wall_clock(index)) {
		/*
		 * The dirty ring may be full when userspace sets the MSR; a
		 * guest runs only while there is room.
		 */
		if (host && val && !keel_ring_has_room(vcpu))
			return -EBUSY;
		set_wall_clock(vcpu, val);
		return 0;
	}
	vcpu->clock.msr = val;
	/*
	 * Update every page: this vCPU may have been created after the others,
	 * with another counter.
	 */
	keel_request_all(vcpu->vm, REQ_CLOCK);
	return 0;
}

/* --- ioctls -------------------------------------------------------------- */

long keel_get_clock(struct keel_vm *vm, void *data)
{
	struct keel_vm_clock pair = read_pair(vm);
	struct kvm_clock_data *out = data;
	u64 host;

	memset(out, 0, sizeof(*out));
	preempt_disable();
	host = vmx_host_tsc();
	out->realtime = ktime_get_real_ns();
	preempt_enable();
	/* Report the counter as RDTSC shows it to userspace: without vmx_tsc_lost. */
	out->host_tsc = host - vmx_tsc_lost;
	out->clock = time_at(&pair, host);
	out->flags = KVM_CLOCK_REALTIME | KVM_CLOCK_HOST_TSC;
	if (keel_clock_possible())
		out->flags |= KVM_CLOCK_TSC_STABLE;
	return 0;
}

/* KVM_CLOCK_REALTIME: add the time of day that has passed since @realtime. */
long keel_set_clock(struct keel_vm *vm, void *data)
{
	const struct kvm_clock_data *in = data;
	u64 time = in->clock, now = ktime_get_real_ns();

	if (in->flags & ~CLOCK_FLAGS)
		return -EINVAL;
	if ((in->flags & KVM_CLOCK_REALTIME) && now > in->realtime)
		time += now - in->realtime;
	set_time(vm, time);
	keel_request_all(vm, REQ_CLOCK);
	return 0;
}

long keel_kvmclock_ctrl(struct keel_vcpu *vcpu, void *data)
{
	if (!in_use(vcpu))
		return -EINVAL;
	vcpu->clock.stopped = true;
	keel_make_request(vcpu, REQ_CLOCK);
	return 0;
}
