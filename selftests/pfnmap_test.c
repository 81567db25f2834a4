// SPDX-License-Identifier: GPL-2.0
/*
 * A slot that shows what a driver has mapped into the process without pages that
 * the kernel counts (VM_PFNMAP): the kernel's own page of the time, which every
 * process may read, and video memory. Where the process may only read, it is a
 * device to the guest's writes.
 */
#include "kselftest_harness.h"
#include "keel_test.h"
#include "guest.h"

#define GPA	0x8000000UL
#define ANSWER	0x1122334455667788UL
#define VIDEO	0xbf000UL	/* the end of the text window, which is not shown */

/* Where the guest reads and writes. */
static u64 place;

FIXTURE(pfnmap) {
	struct vm *vm;
	struct vcpu *vcpu;
};

typedef FIXTURE_DATA(pfnmap) fixture_t;

static void guest_main(void)
{
	volatile u64 *p = (u64 *)place;
	u64 from = MMIO_GPA, to = place;

	guest_sync(*p);
	*p = 7;
	asm volatile("addq $1, %0" : "+m"(*p) : : "cc");
	asm volatile("movsq" : "+S"(from), "+D"(to) : : "memory");
	guest_sync(*p);
	*p = 8;
	guest_sync(*p);
	asm volatile("lock addq $1, %0" : "+m"(*p) : : "cc");
	guest_done();
}

FIXTURE_SETUP(pfnmap)
{
	self->vm = vm_create();
	self->vcpu = vcpu_create(self->vm, 0, guest_main);
}

FIXTURE_TEARDOWN(pfnmap)
{
	vcpu_free(self->vcpu);
	vm_free(self->vm);
}

static void show(fixture_t *self, u64 *mem, unsigned int word)
{
	vm_set_slot(self->vm, 1, 0, GPA, PAGE, mem);
	GUEST_VAR(self->vm, place) = GPA + 8 * word;
}

/* The guest's next exit is a write of @value to its place. */
static bool writes_out(struct vcpu *vcpu, u64 value)
{
	int reason = vcpu_next(vcpu);
	u64 data;

	memcpy(&data, vcpu->run->mmio.data, sizeof(data));
	return reason == KVM_EXIT_MMIO && vcpu->run->mmio.is_write && data == value &&
	       vcpu->run->mmio.phys_addr == GUEST_VAR(vcpu->vm, place) &&
	       vcpu->run->mmio.len == 8;
}

static void answer_read(struct vcpu *vcpu)
{
	u64 answer = ANSWER;

	CHECK(vcpu_next(vcpu) == KVM_EXIT_MMIO && !vcpu->run->mmio.is_write, "exit %u",
	      vcpu->run->exit_reason);
	memcpy(vcpu->run->mmio.data, &answer, sizeof(answer));
}

/* --- the page of the time --------------------------------------------------- */

static u64 *time_page(void)
{
	FILE *f = fopen("/proc/self/maps", "r");
	u64 *page = NULL;
	char line[256];

	while (f && !page && fgets(line, sizeof(line), f))
		if (strstr(line, "[vvar]"))
			page = (u64 *)strtoul(line, NULL, 16);
	if (f)
		fclose(f);
	return page;
}

/* A word that is not 0 and does not change for a while; 0 if there is none. */
static unsigned int lasting_word(const volatile u64 *page)
{
	static u64 was[PAGE / 8];
	unsigned int i;

	for (i = 0; i < PAGE / 8; i++)
		was[i] = page[i];
	usleep(50000);
	for (i = 1; i < PAGE / 8; i++)
		if (was[i] && page[i] == was[i])
			return i;
	return 0;
}

TEST_F(pfnmap, what_the_process_may_only_read_is_a_device_to_writes)
{
	u64 *page = time_page();
	unsigned int word = page ? lasting_word(page) : 0;
	u64 value;

	REQUIRE(word);
	value = page[word];
	show(self, page, word);
	EXPECT_EQ(value, vcpu_sync(self->vcpu));
	EXPECT_TRUE(writes_out(self->vcpu, 7));
	EXPECT_TRUE(writes_out(self->vcpu, value + 1));
	answer_read(self->vcpu);
	EXPECT_TRUE(writes_out(self->vcpu, ANSWER));
	EXPECT_EQ(value, vcpu_sync(self->vcpu));
	EXPECT_TRUE(writes_out(self->vcpu, 8));
	EXPECT_EQ(value, vcpu_sync(self->vcpu));
	EXPECT_EQ(value, page[word]);
	/* KVM does not go on with a locked one. */
	if (!dev_is_keel())
		return;
	EXPECT_TRUE(writes_out(self->vcpu, value + 1));
	vcpu_done(self->vcpu);
}

/* --- video memory -------------------------------------------------------------- */

/* NULL if there is none, or nothing that keeps what is written to it. */
static volatile u64 *video_memory(void)
{
	int fd = open("/dev/mem", O_RDWR | O_CLOEXEC);
	u64 *mem = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, VIDEO);

	if (fd >= 0)
		close(fd);
	if (mem == MAP_FAILED)
		return NULL;
	mem[0] = 5;
	return mem[0] == 5 ? mem : NULL;
}

TEST_F(pfnmap, rights_of_the_process_may_change)
{
	volatile u64 *mem = video_memory();

	REQUIRE(mem);
	show(self, (u64 *)mem, 0);
	EXPECT_EQ(5, vcpu_sync(self->vcpu));
	answer_read(self->vcpu);
	EXPECT_EQ(ANSWER, vcpu_sync(self->vcpu));
	EXPECT_EQ(ANSWER, mem[0]);
	ASSERT_EQ(0, mprotect((void *)mem, PAGE, PROT_READ));
	EXPECT_TRUE(writes_out(self->vcpu, 8));
	EXPECT_EQ(ANSWER, vcpu_sync(self->vcpu));
	ASSERT_EQ(0, mprotect((void *)mem, PAGE, PROT_READ | PROT_WRITE));
	vcpu_done(self->vcpu);
	EXPECT_EQ(ANSWER + 1, mem[0]);
	munmap((void *)mem, PAGE);
}

KEEL_TEST_MAIN
