// SPDX-License-Identifier: GPL-2.0
/*
 * A test VM: its memory, the copy of this program in it, descriptor tables and
 * page tables as in layout.h. Knows no vCPU state.
 */
#include <elf.h>
#include <sys/auxv.h>
#include "keel_test.h"
#include "guest.h"

struct gate {
	u16 offset0;
	u16 selector;
	u8 ist;
	u8 type;
	u16 offset1;
	u32 offset2;
	u32 zero;
};

void *anon_alloc(size_t size)
{
	/* Align to a huge page, so that slots can use one. */
	size_t span = size + HUGE;
	char *p = mmap(NULL, span, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *q;

	CHECK(p != MAP_FAILED, "mmap %zu", span);
	q = (char *)(((unsigned long)p + HUGE - 1) & ~(HUGE - 1));
	p = mmap(q, size, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	CHECK(p == q, "mmap at %p", q);
	return p;
}

struct vm *vm_create_bare(void)
{
	struct vm *vm = calloc(1, sizeof(*vm));

	CHECK(vm, "out of memory");
	vm->dev = dev_open();
	vm->fd = fd_ioctl(vm->dev, KVM_CREATE_VM, 0);
	vm->run_size = fd_ioctl(vm->dev, KVM_GET_VCPU_MMAP_SIZE, 0);
	/* Needed by CPUs without unrestricted guests; harmless elsewhere. */
	if (fd_ioctl(vm->dev, KVM_CHECK_EXTENSION, KVM_CAP_SET_TSS_ADDR) > 0)
		vm_ioctl(vm, KVM_SET_TSS_ADDR, 0xfffbd000);
	return vm;
}

bool vm_has(struct vm *vm, long cap)
{
	return vm_ioctl(vm, KVM_CHECK_EXTENSION, cap) > 0;
}

int __vm_set_slot(struct vm *vm, u32 slot, u32 flags, u64 gpa, u64 size,
		  void *hva)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot,
		.flags = flags,
		.guest_phys_addr = gpa,
		.memory_size = size,
		.userspace_addr = (unsigned long)hva,
	};

	return __vm_ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region);
}

void vm_set_slot(struct vm *vm, u32 slot, u32 flags, u64 gpa, u64 size,
		 void *hva)
{
	int err = __vm_set_slot(vm, slot, flags, gpa, size, hva);

	CHECK(!err, "slot %u at %#lx size %#lx: %s", slot, gpa, size,
	      strerror(-err));
}

void *vm_hva(struct vm *vm, u64 gpa)
{
	CHECK(gpa < vm->mem_size, "gpa %#lx", gpa);
	return vm->mem + gpa;
}

void vm_load(struct vm *vm, u64 gpa, const void *from, const void *end)
{
	memcpy(vm_hva(vm, gpa), from, end - from);
}

/*
 * Find the end of this program, and on demand copy it into the guest: guest
 * functions and their data are at the same addresses there.
 */
static u64 program_end(struct vm *vm, bool copy)
{
	const Elf64_Phdr *ph = (void *)getauxval(AT_PHDR);
	unsigned long n = getauxval(AT_PHNUM);
	u64 end = 0;

	for (; n--; ph++) {
		if (ph->p_type != PT_LOAD)
			continue;
		CHECK(ph->p_vaddr >= DATA_END, "program at %#lx", ph->p_vaddr);
		if (copy)
			memcpy(vm_hva(vm, ph->p_vaddr), (void *)ph->p_vaddr,
			       ph->p_memsz);
		if (ph->p_vaddr + ph->p_memsz > end)
			end = ph->p_vaddr + ph->p_memsz;
	}
	return end;
}

static void build_page_tables(struct vm *vm)
{
	u64 *pml4 = vm_hva(vm, PML4_GPA);
	u64 *pdpt = vm_hva(vm, PDPT_GPA);
	u64 *pae = vm_hva(vm, PAE_PDPT_GPA);
	u64 *pd = vm_hva(vm, PD_GPA);
	u32 *pd32 = vm_hva(vm, PD32_GPA);
	u64 i;

	pml4[0] = PDPT_GPA | PT_P | PT_W | PT_U;
	for (i = 0; i < 4; i++) {
		pdpt[i] = (PD_GPA + i * PAGE) | PT_P | PT_W | PT_U;
		pae[i] = (PD_GPA + i * PAGE) | PT_P;
	}
	for (i = 0; i < 2048; i++)
		pd[i] = i * HUGE | PT_P | PT_W | PT_U | PT_PS;
	for (i = 0; i < 1024; i++)
		pd32[i] = i << 22 | PT_P | PT_W | PT_U | PT_PS;
	vm->next_table = TABLES_GPA;
}

static void build_gdt(struct vm *vm)
{
	u64 *gdt = vm_hva(vm, GDT_GPA);

	gdt[SEL_CODE64 / 8] = 0x00af9b000000ffffULL;
	gdt[SEL_DATA / 8] = 0x00cf93000000ffffULL;
	gdt[SEL_CODE32 / 8] = 0x00cf9b000000ffffULL;
	gdt[SEL_CODE16 / 8] = 0x00009b000000ffffULL;
	gdt[SEL_DATA16 / 8] = 0x000093000000ffffULL;
}

static void build_idt(struct vm *vm)
{
	struct gate *idt = vm_hva(vm, IDT_GPA);
	u64 stub;
	int i;

	for (i = 0; i < 256; i++) {
		stub = (unsigned long)guest_trap_stubs + i * GUEST_STUB_SIZE;
		idt[i] = (struct gate) {
			.offset0 = stub,
			.selector = SEL_CODE64,
			.type = 0x8e,
			.offset1 = stub >> 16,
			.offset2 = stub >> 32,
		};
	}
}

struct vm *vm_create(void)
{
	struct vm *vm = vm_create_bare();

	vm->mem_size = (program_end(vm, false) + HUGE - 1) & ~(HUGE - 1);
	vm->mem = anon_alloc(vm->mem_size);
	/* Tests that map their own pages must not depend on huge pages. */
	madvise(vm->mem, vm->mem_size, MADV_NOHUGEPAGE);
	program_end(vm, true);
	build_page_tables(vm);
	build_gdt(vm);
	build_idt(vm);
	vm_set_slot(vm, 0, 0, 0, vm->mem_size, vm->mem);
	return vm;
}

void vm_free(struct vm *vm)
{
	close(vm->fd);
	close(vm->dev);
	if (vm->mem)
		munmap(vm->mem, vm->mem_size);
	free(vm);
}

static u64 *table_entry(struct vm *vm, u64 *table, u64 index)
{
	if (!(table[index] & PT_P)) {
		CHECK(vm->next_table < TABLES_END, "no page table left");
		table[index] = vm->next_table | PT_P | PT_W | PT_U;
		vm->next_table += PAGE;
	}
	CHECK(!(table[index] & PT_PS), "gva is mapped by a large page");
	return vm_hva(vm, table[index] & 0xffffffffff000ULL);
}

/* Map one 4 KiB page of the long-mode tables; gva lies above 4 GiB. */
void vm_map(struct vm *vm, u64 gva, u64 gpa, u64 flags)
{
	u64 *table = vm_hva(vm, PML4_GPA);

	table = table_entry(vm, table, gva >> 39 & 511);
	table = table_entry(vm, table, gva >> 30 & 511);
	table = table_entry(vm, table, gva >> 21 & 511);
	table[gva >> 12 & 511] = gpa | flags;
}

u64 vm_pte_gpa(struct vm *vm, u64 gva)
{
	u64 table = PML4_GPA;
	int shift;

	for (shift = 39; shift > 12; shift -= 9)
		table = *(u64 *)vm_hva(vm, table + (gva >> shift & 511) * 8) & 0xffffffffff000UL;
	return table + (gva >> 12 & 511) * 8;
}
