// SPDX-License-Identifier: GPL-2.0
/*
 * Test builds only (make KEEL_TEST=1): files in a VM's debugfs directory, for
 * root, with which a test sets the generation and holds races open. The generation
 * is set in the steps of an update: see memslot.h.
 */
#include <linux/debugfs.h>
#include <linux/delay.h>
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/uaccess.h>

#include "keel.h"
#include "test.h"

static u32 delay_ms[TEST_POINTS];

static const char *const delay_files[TEST_POINTS] = {
	[TEST_PUBLISHED]	= "test_delay_published",
	[TEST_WINDOW]		= "test_delay_window",
	[TEST_LOOKED_UP]	= "test_delay_looked_up",
	[TEST_PAGE_FOUND]	= "test_delay_page_found",
	[TEST_INVALIDATING]	= "test_delay_invalidating",
	[TEST_PAUSED]		= "test_delay_paused",
	[TEST_SPLITTING]	= "test_delay_splitting",
	[TEST_GRACE]		= "test_delay_grace",
	[TEST_VCPU_LISTED]	= "test_delay_vcpu_listed",
	[TEST_VCPU_FOUND]	= "test_delay_vcpu_found",
	[TEST_RINGING]		= "test_delay_ringing",
};

/* Sleep once: a vCPU that retries its fault does not sleep again. */
void test_point(enum test_point point)
{
	u32 ms = xchg(&delay_ms[point], 0);

	if (ms)
		msleep(ms);
}

/* Not mdelay(): it disables preemption, and so would hide that the caller failed to. */
void test_point_busy(enum test_point point)
{
	unsigned long end = jiffies + msecs_to_jiffies(xchg(&delay_ms[point], 0));

	while (time_before(jiffies, end))
		cpu_relax();
}

bool test_point_set(enum test_point point)
{
	return READ_ONCE(delay_ms[point]);
}

/* The least distance between generations that have the same number in an MMIO entry. */
static u64 generation_round(void)
{
	u64 round = KEEL_GEN_STEP;

	while (round && !mmu_number_wraps(0, round))
		round <<= 1;
	return round;
}

static ssize_t generation_read(struct file *file, char __user *buf, size_t len, loff_t *pos)
{
	struct keel_vm *vm = file_inode(file)->i_private;
	char text[80];
	int n;

	mutex_lock(&vm->slots_lock);
	n = scnprintf(text, sizeof(text), "%llu %llu %llu\n",
		      memslots_generation(keel_slots(vm, 0)),
		      memslots_generation(keel_slots(vm, 1)), generation_round());
	mutex_unlock(&vm->slots_lock);
	return simple_read_from_buffer(buf, len, pos, text, n);
}

/* Set @generation, as updates that change no slot would. */
static void jump(struct keel_vm *vm, int as, u64 generation)
{
	struct keel_memslots *set;
	u64 old;

	mutex_lock(&vm->slots_lock);
	set = rcu_dereference_protected(vm->memslots[as], lockdep_is_held(&vm->slots_lock));
	old = memslots_generation(set);
	memslots_jump(set, old | KEEL_GEN_UPDATE_IN_PROGRESS);
	synchronize_srcu(&vm->srcu);
	if (mmu_number_wraps(old, generation)) {
		STAT(vm, mmio_wraps);
		mmu_zap_mmio(vm, as);
	}
	memslots_jump(set, generation);
	mutex_unlock(&vm->slots_lock);
}

/* "AS GENERATION": an even generation of that address space. */
static ssize_t generation_write(struct file *file, const char __user *buf, size_t len, loff_t *pos)
{
	char text[40] = {};
	u64 generation;
	int as;

	if (len >= sizeof(text))
		return -EINVAL;
	if (copy_from_user(text, buf, len))
		return -EFAULT;
	if (sscanf(text, "%d %llu", &as, &generation) != 2 || as < 0 || as >= KEEL_ADDRESS_SPACES ||
	    generation % KEEL_GEN_STEP != 2ULL * as)
		return -EINVAL;
	jump(file_inode(file)->i_private, as, generation);
	return len;
}

static const struct file_operations generation_fops = {
	.owner = THIS_MODULE,
	.open = simple_open,
	.read = generation_read,
	.write = generation_write,
	.llseek = default_llseek,
};

/* One line for each vCPU: id, valid, gva, gfn, access, generation of its MMIO cache. */
static ssize_t caches_read(struct file *file, char __user *buf, size_t len, loff_t *pos)
{
	struct keel_vm *vm = file_inode(file)->i_private;
	struct keel_vcpu *vcpu;
	char text[512];
	unsigned long i;
	int n = 0;

	rcu_read_lock();
	for (i = 0; (vcpu = keel_vcpu_from(vm, &i)); i++) {
		struct mmio_cache c = vcpu->mmu.cache;

		n += scnprintf(text + n, sizeof(text) - n, "%d %d %llx %llx %x %llu\n", vcpu->id,
			       c.valid, c.gva, c.verdict.gfn, c.verdict.access,
			       c.verdict.generation);
	}
	rcu_read_unlock();
	return simple_read_from_buffer(buf, len, pos, text, n);
}

static const struct file_operations caches_fops = {
	.owner = THIS_MODULE,
	.open = simple_open,
	.read = caches_read,
	.llseek = default_llseek,
};

void test_add_vm(struct keel_vm *vm)
{
	int i;

	debugfs_create_file("test_generation", 0600, vm->debugfs, vm, &generation_fops);
	debugfs_create_file("test_mmio_caches", 0400, vm->debugfs, vm, &caches_fops);
	for (i = 0; i < TEST_POINTS; i++)
		debugfs_create_u32(delay_files[i], 0600, vm->debugfs, &delay_ms[i]);
}
