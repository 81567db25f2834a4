// SPDX-License-Identifier: GPL-2.0
/*
 * Test snapshots against a stand-in for the kernel: a saved machine is restored
 * unchanged, and a file that is truncated, damaged or invented is refused.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <keel/libkeel.h>

#include "fake_kvm.h"
#include "seal.h"
#include "tap.h"

#define PAGE		0x1000ull
#define RAM_SIZE	(64 * PAGE)
#define HIGH		0x100000000ull
#define MAX_FILE	0x20000

static struct keel *keel;
static const char note[] = "a note of 13";
static unsigned char file[MAX_FILE];
static size_t file_size;

static struct keel_snapshot make_machine(void)
{
	struct keel_snapshot s = {
		.size = sizeof(s), .count = 1, .note = (void *)note, .note_size = sizeof(note),
	};
	void *low = NULL, *high = NULL;

	EQUAL(keel_vm_create(keel, &s.vm), 0);
	EQUAL(keel_mem_alloc(s.vm, 3, 0, RAM_SIZE, 0, &low), 0);
	EQUAL(keel_mem_alloc(s.vm, 0x10001, HIGH, PAGE, KVM_MEM_READONLY, &high), 0);
	s.vcpus = calloc(1, sizeof(*s.vcpus));
	EQUAL(keel_vcpu_create(s.vm, 5, s.vcpus), 0);
	memset((char *)low + 2 * PAGE, 0x5a, PAGE);
	((char *)low)[RAM_SIZE - 1] = 7;
	strcpy(high, "read only");
	return s;
}

static void destroy(struct keel_snapshot *s)
{
	while (s->count)
		keel_vcpu_destroy(s->vcpus[--s->count]);
	keel_vm_destroy(s->vm);
	free(s->vcpus);
	if (s->note != note)
		free(s->note);
}

/* Fill the state with bytes that differ. */
static void fill_state(void)
{
	unsigned char *p = (unsigned char *)&fake.state;
	size_t i;

	for (i = 0; i < sizeof(fake.state); i++)
		p[i] = i * 11 + 1;
	fake.state.msr_sum = 0;
	fake.state.tsc_khz = 12345;
	fake.regs.rip = 0x1234;
	fake.fpu.mxcsr = 0x1f80;
	fake.sregs.cr8 = 3;
	fake.state.sregs2.cr8 = 4;
}

static int save(const struct keel_snapshot *s)
{
	int fd = memfd_create("snapshot", 0), ret = keel_snapshot_save(s, fd);
	ssize_t n = pread(fd, file, sizeof(file), 0);

	file_size = n > 0 ? n : 0;
	CHECK(file_size < sizeof(file));
	close(fd);
	return ret;
}

/* Restore from the first @size bytes. Destroy the machine unless @out wants it. */
static int restore(size_t size, struct keel_snapshot *out)
{
	struct keel_snapshot s = { .size = sizeof(s) };
	int fd = memfd_create("snapshot", 0), ret;

	EQUAL(write(fd, file, size), (ssize_t)size);
	lseek(fd, 0, SEEK_SET);
	ret = keel_snapshot_restore(keel, fd, &s);
	close(fd);
	if (!ret && out)
		*out = s;
	else if (!ret)
		destroy(&s);
	return ret;
}

static void setup(void)
{
	fake_reset();
	fake.has_state = 1;
	EQUAL(keel_open("/dev/null", &keel), 0);
}

static void save_one(void)
{
	struct keel_snapshot s = make_machine();

	fill_state();
	EQUAL(save(&s), 0);
	destroy(&s);
}

static void check_machine(struct keel_snapshot *s)
{
	unsigned char *low = keel_mem_ptr(s->vm, 0, RAM_SIZE);
	size_t i, bad = 0;

	EQUAL(s->count, 1);
	EQUAL(keel_vcpu_id(s->vcpus[0]), 5);
	EQUAL(s->note_size, sizeof(note));
	CHECK(!memcmp(s->note, note, sizeof(note)));
	CHECK(low);
	for (i = 0; low && i < RAM_SIZE; i++)
		bad += low[i] != (i >> 12 == 2 ? 0x5a : i == RAM_SIZE - 1 ? 7 : 0);
	EQUAL(bad, 0);
}

#define SAME(part)	CHECK(!memcmp(&before.part, &fake.state.part, sizeof(before.part)))

static void test_round_trip(void)
{
	struct fake_state before;
	struct keel_snapshot s;

	setup();
	save_one();
	before = fake.state;
	memset(&fake.state, 0, sizeof(fake.state));
	memset(&fake.regs, 0, sizeof(fake.regs));
	EQUAL(restore(file_size, &s), 0);
	/* Only the value of the clock is restored, none of its other fields. */
	EQUAL(fake.state.clock.clock, before.clock.clock);
	EQUAL(fake.state.clock.flags, 0);
	SAME(sregs2);
	SAME(xcrs);
	SAME(xsave);
	SAME(debugregs);
	SAME(mp_state);
	SAME(events);
	SAME(tsc_khz);
	/* fake_kvm.c returns the number of an MSR plus one as its value. */
	EQUAL(fake.state.mcg_cap, 0x179 + 1);
	CHECK(fake.state.msr_sum > 0x10 + 1 + 0x174 + 1 + 0xc0000080ull + 1);
	EQUAL(fake.regs.rip, 0x1234);
	EQUAL(keel_vcpu_page(s.vcpus[0])->cr8, 4);
	check_machine(&s);
	destroy(&s);
	keel_close(keel);
}

/* A device with only the first requests of the API. */
static void test_old_device(void)
{
	struct keel_snapshot s;

	setup();
	fake.has_state = 0;
	save_one();
	memset(&fake.regs, 0, sizeof(fake.regs));
	memset(&fake.fpu, 0, sizeof(fake.fpu));
	EQUAL(restore(file_size, &s), 0);
	EQUAL(fake.regs.rip, 0x1234);
	EQUAL(fake.fpu.mxcsr, 0x1f80);
	EQUAL(keel_vcpu_page(s.vcpus[0])->cr8, 3);
	check_machine(&s);
	destroy(&s);
	keel_close(keel);
}

static void test_zero_pages_are_left_out(void)
{
	setup();
	save_one();
	/* The file holds three pages of memory and one of extended state. */
	CHECK(file_size > 4 * PAGE);
	CHECK(file_size < 8 * PAGE);
	keel_close(keel);
}

static void test_cut_short(void)
{
	size_t size, accepted = 0;

	setup();
	save_one();
	for (size = 0; size < file_size; size += size % 512 < 64 ? 1 : 37)
		accepted += restore(size, NULL) != -EBADMSG;
	EQUAL(accepted, 0);
	EQUAL(restore(file_size - 1, NULL), -EBADMSG);
	EQUAL(restore(file_size, NULL), 0);
	keel_close(keel);
}

static void test_damaged(void)
{
	size_t at, accepted = 0;

	setup();
	save_one();
	for (at = 0; at < file_size; at++) {
		unsigned char old = file[at];

		/* Skip most bytes within memory and registers: they are all alike. */
		if (at % PAGE > 256 && at % 61)
			continue;
		file[at] ^= 1u << at % 8;
		accepted += !restore(file_size, NULL);
		file[at] = 0xff ^ (old == 0xff);
		accepted += !restore(file_size, NULL);
		file[at] = old;
	}
	EQUAL(accepted, 0);
	file[8]++;
	EQUAL(restore(file_size, NULL), -EPROTONOSUPPORT);
	file[8]--;
	EQUAL(restore(file_size, NULL), 0);
	keel_close(keel);
}

/* Change many words at once: every such file must be refused. */
static void test_made_up(void)
{
	static unsigned char good[MAX_FILE];
	unsigned int turn, i, accepted = 0;

	setup();
	save_one();
	memcpy(good, file, file_size);
	srand(1);
	for (turn = 0; turn < 3000; turn++) {
		for (i = 0; i < 1 + turn % 4; i++) {
			__u64 word = (__u64)rand() << (rand() % 40);
			size_t room = turn & 1 ? 256 : file_size - 8;
			size_t at = rand() % room & ~7ul;

			memcpy(file + at, &word, rand() & 1 ? 4 : 8);
		}
		if (memcmp(file, good, file_size))
			accepted += !restore(file_size, NULL);
		memcpy(file, good, file_size);
	}
	EQUAL(accepted, 0);
	keel_close(keel);
}

/* --- files that are whole, and wrong --------------------------------------- */

#define VCPUS_AT	12	/* in the header */
#define TYPE_VCPU	4
#define PART_TSC_KHZ	2
#define PART_MCG_CAP	3
#define PART_REGS	12

/* Find two words, a type and an id or a kind and a size, from @at on. */
static unsigned char *find_words(size_t at, __u32 first, __u32 second)
{
	__u32 words[2] = { first, second };

	for (; at < file_size - sizeof(words); at += sizeof(words))
		if (!memcmp(file + at, words, sizeof(words)))
			return file + at;
	CHECK(!"found");
	return file;
}

static void test_wrong_but_whole(void)
{
	unsigned char *vcpu, *part;

	setup();
	save_one();
	seal(file, file_size);
	EQUAL(restore(file_size, NULL), 0);
	file[VCPUS_AT]++;
	seal(file, file_size);
	EQUAL(restore(file_size, NULL), -EBADMSG);
	file[VCPUS_AT]--;
	vcpu = find_words(0, TYPE_VCPU, 5);
	/* With its padding the part is as long as before. */
	part = find_words(vcpu - file, PART_REGS, sizeof(struct kvm_regs));
	part[4] -= 4;
	seal(file, file_size);
	EQUAL(restore(file_size, NULL), -EBADMSG);
	part[4] += 4;
	part = find_words(vcpu - file, PART_TSC_KHZ, sizeof(__u64));
	part[0] = PART_MCG_CAP;
	seal(file, file_size);
	EQUAL(restore(file_size, NULL), -EBADMSG);
	part[0] = PART_TSC_KHZ;
	seal(file, file_size);
	EQUAL(restore(file_size, NULL), 0);
	keel_close(keel);
}

static int play_mmio(struct kvm_run *run)
{
	run->exit_reason = KVM_EXIT_MMIO;
	return 0;
}

static void test_busy(void)
{
	struct keel_snapshot s;

	setup();
	s = make_machine();
	fake.run = play_mmio;
	EQUAL(save(&s), -EBUSY);
	fake.run = NULL;
	EQUAL(save(&s), 0);
	destroy(&s);
	keel_close(keel);
}

/*
 * struct keel_snapshot of other versions: smaller, or larger with and without a
 * nonzero new member.
 */
static void test_sizes(void)
{
	struct {
		struct keel_snapshot s;
		void *later;
	} grown;
	int fd = memfd_create("snapshot", 0);

	setup();
	grown.s = make_machine();
	grown.s.size--;
	EQUAL(save(&grown.s), -EINVAL);
	grown.s.size = sizeof(grown);
	grown.later = &grown;
	EQUAL(save(&grown.s), -E2BIG);
	grown.later = NULL;
	EQUAL(keel_snapshot_save(&grown.s, fd), 0);
	destroy(&grown.s);
	lseek(fd, 0, SEEK_SET);
	grown.s.size = sizeof(grown.s) - 1;
	EQUAL(keel_snapshot_restore(keel, fd, &grown.s), -EINVAL);
	grown.s.size = sizeof(grown);
	grown.later = &grown;
	EQUAL(keel_snapshot_restore(keel, fd, &grown.s), 0);
	EQUAL(grown.s.size, sizeof(grown));
	CHECK(!grown.later);
	check_machine(&grown.s);
	destroy(&grown.s);
	close(fd);
	keel_close(keel);
}

static void test_errors(void)
{
	struct keel_snapshot s, none = { .size = sizeof(none) };

	setup();
	s = make_machine();
	EQUAL(keel_snapshot_save(NULL, 1), -EINVAL);
	EQUAL(keel_snapshot_save(&none, 1), -EINVAL);
	EQUAL(keel_snapshot_save(&s, -1), -EBADF);
	EQUAL(keel_snapshot_restore(NULL, 0, &none), -EINVAL);
	EQUAL(keel_snapshot_restore(keel, 0, NULL), -EINVAL);
	EQUAL(keel_snapshot_restore(keel, -1, &none), -EBADF);
	CHECK(!none.vm);
	s.note_size = (1 << 20) + 1;
	EQUAL(save(&s), -EINVAL);
	s.note_size = 4;
	s.note = NULL;
	EQUAL(save(&s), -EINVAL);
	s.note_size = 0;
	EQUAL(save(&s), 0);
	destroy(&s);
	EQUAL(restore(file_size, &none), 0);
	CHECK(!none.note && !none.note_size);
	destroy(&none);
	/* An error of the device is returned unchanged. */
	fake.memory_error = EOPNOTSUPP;
	EQUAL(restore(file_size, NULL), -EOPNOTSUPP);
	keel_close(keel);
}

static const struct tap_test tests[] = {
	{ "what is saved comes back", test_round_trip },
	{ "and on a device with few requests", test_old_device },
	{ "pages of zeros are left out", test_zero_pages_are_left_out },
	{ "a file that is cut short is refused", test_cut_short },
	{ "a damaged file is refused", test_damaged },
	{ "a file that is made up is refused", test_made_up },
	{ "a file that is whole and wrong is refused", test_wrong_but_whole },
	{ "a vCPU in the middle of an access is not saved", test_busy },
	{ "a snapshot says how large it is", test_sizes },
	{ "errors are told", test_errors },
};

int main(void)
{
	return tap_run(tests, ARRAY_SIZE(tests));
}
