// SPDX-License-Identifier: GPL-2.0
/*
 * Memory layout and images. Decides where RAM is, copies a flat binary, ELF
 * segments or a BIOS into it, and sets where the vCPUs start. An image is hostile
 * input: every offset in it is checked against the file and against RAM.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/elf.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "keelrun.h"

#define REAL_LOAD	0x7c00ull
#define FLAT_LOAD	MIB
#define REAL_END	0x10000ull	/* keel_vcpu_start_real() reaches up to here with cs = 0 */

#define VGA_START	0xa0000ull
#define SHADOW_START	0xc0000ull
#define SHADOW_SIZE	(MIB - SHADOW_START)
#define BIOS_MAX	(16 * MIB)
#define RESET_VECTOR	(4 * GIB)	/* a BIOS image ends here */

enum slot { SLOT_RAM, SLOT_SHADOW, SLOT_HIGH, SLOT_BIOS };

/* A private copy of a file: later changes of the file have no effect on it. */
struct file {
	unsigned char *data;
	size_t size;
};

static int read_all(int fd, struct file *file)
{
	size_t done = 0;
	ssize_t n;

	while (done < file->size) {
		n = read(fd, file->data + done, file->size - done);
		if (n < 0 && errno == EINTR)
			continue;
		/* The file has become shorter. */
		if (!n)
			return -ENOEXEC;
		if (n < 0)
			return -errno;
		done += n;
	}
	return 0;
}

static void file_free(struct file *file)
{
	munmap(file->data, file->size);
}

/* Read into whole pages: a slot may expose them to the guest. */
static int load_open(int fd, struct file *file)
{
	struct stat st;
	int ret;

	if (fstat(fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_size <= 0 || (__u64)st.st_size > MAX_MEMORY)
		return -ENOEXEC;
	file->size = st.st_size;
	file->data = mmap(NULL, file->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);
	if (file->data == MAP_FAILED)
		return -errno;
	ret = read_all(fd, file);
	if (ret)
		file_free(file);
	return ret;
}

/* O_NONBLOCK: do not wait for the writer of a FIFO, which is no image. */
static int file_load(const char *path, struct file *file)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), ret;

	if (fd < 0) {
		ret = -errno;
	} else {
		ret = load_open(fd, file);
		close(fd);
	}
	if (ret)
		complain("%s: %s", path, strerror(-ret));
	return ret;
}

static int add_ram(struct machine *machine, enum slot slot, __u64 gpa, __u64 size)
{
	int ret = keel_mem_alloc(machine->vm, slot, gpa, size, 0, NULL);

	if (ret)
		complain("RAM of 0x%llx bytes at 0x%llx: %s", size, gpa, strerror(-ret));
	return ret;
}

/* Find the RAM at [gpa, gpa + size); NULL if it is not all RAM that an image may use. */
static void *usable(struct machine *machine, __u64 gpa, __u64 size)
{
	if (gpa > machine->image_end || size > machine->image_end - gpa)
		return NULL;
	return keel_mem_ptr(machine->vm, gpa, size);
}

static int place(struct machine *machine, __u64 gpa, const void *data, __u64 size)
{
	void *ram = usable(machine, gpa, size);

	if (!ram) {
		complain("%s: 0x%llx bytes at 0x%llx do not fit into RAM",
			 machine->options->image, size, gpa);
		return -ENOEXEC;
	}
	memcpy(ram, data, size);
	return 0;
}

/*
 * Lay out one block of RAM. Page tables take the end of it and stacks the space
 * below them; in real mode there is neither: an image brings its own stack.
 */
static int lay_out(struct machine *machine)
{
	const struct options *options = machine->options;
	__u64 reserved = KEEL_LONG_TABLES_SIZE + options->cpus * STACK_SIZE;

	if (machine->mode == START_REAL)
		reserved = 0;
	if (reserved >= options->memory) {
		complain("%u vCPUs need more memory than that", options->cpus);
		return -ENOMEM;
	}
	machine->tables = options->memory - KEEL_LONG_TABLES_SIZE;
	machine->stack_top = machine->tables;
	machine->image_end = options->memory - reserved;
	return add_ram(machine, SLOT_RAM, 0, options->memory);
}

static int load_flat(struct machine *machine, const struct file *file)
{
	const struct options *options = machine->options;
	int ret;

	machine->mode = options->mode;
	machine->entry = options->mode == START_REAL ? REAL_LOAD : FLAT_LOAD;
	if (options->load_address_given)
		machine->entry = options->load_address;
	if (machine->mode == START_REAL && machine->entry >= REAL_END) {
		complain("a real-mode image is loaded below 0x%llx", REAL_END);
		return -EINVAL;
	}
	ret = lay_out(machine);
	return ret ? ret : place(machine, machine->entry, file->data, file->size);
}

/* The fields of a program header that are used, for both ELF classes. */
struct segment {
	__u64 offset, address, file_size, memory_size;
	__u32 type;
};

static void read_segment(const struct file *file, bool is_64, __u64 at, struct segment *segment)
{
	struct elf64_phdr p64;
	struct elf32_phdr p32;

	if (is_64) {
		memcpy(&p64, file->data + at, sizeof(p64));
		*segment = (struct segment) {
			p64.p_offset, p64.p_paddr, p64.p_filesz, p64.p_memsz, p64.p_type,
		};
		return;
	}
	memcpy(&p32, file->data + at, sizeof(p32));
	*segment = (struct segment) {
		p32.p_offset, p32.p_paddr, p32.p_filesz, p32.p_memsz, p32.p_type,
	};
}

static bool in_file(const struct file *file, __u64 offset, __u64 size)
{
	return offset <= file->size && size <= file->size - offset;
}

static int load_segment(struct machine *machine, const struct file *file,
			const struct segment *segment)
{
	if (segment->type == PT_INTERP || segment->type == PT_DYNAMIC) {
		complain("%s: needs a dynamic linker", machine->options->image);
		return -ENOEXEC;
	}
	if (segment->type != PT_LOAD || !segment->memory_size)
		return 0;
	if (segment->file_size > segment->memory_size ||
	    !in_file(file, segment->offset, segment->file_size)) {
		complain("%s: a segment exceeds the file", machine->options->image);
		return -ENOEXEC;
	}
	if (!usable(machine, segment->address, segment->memory_size)) {
		complain("%s: a segment at 0x%llx exceeds RAM", machine->options->image,
			 segment->address);
		return -ENOEXEC;
	}
	/* RAM is zero already: .bss needs no copy. */
	return place(machine, segment->address, file->data + segment->offset,
		     segment->file_size);
}

struct elf_header {
	bool is_64;
	__u16 machine, type, phnum, phentsize;
	__u64 entry, phoff;
};

static bool read_header(const struct file *file, struct elf_header *header)
{
	struct elf64_hdr e64;
	struct elf32_hdr e32;

	header->is_64 = file->size > EI_CLASS && file->data[EI_CLASS] == ELFCLASS64;
	if (header->is_64) {
		if (file->size < sizeof(e64))
			return false;
		memcpy(&e64, file->data, sizeof(e64));
		*header = (struct elf_header) {
			true, e64.e_machine, e64.e_type, e64.e_phnum, e64.e_phentsize,
			e64.e_entry, e64.e_phoff,
		};
		return e64.e_phentsize == sizeof(struct elf64_phdr) && e64.e_machine == EM_X86_64;
	}
	if (file->size < sizeof(e32))
		return false;
	memcpy(&e32, file->data, sizeof(e32));
	*header = (struct elf_header) {
		false, e32.e_machine, e32.e_type, e32.e_phnum, e32.e_phentsize,
		e32.e_entry, e32.e_phoff,
	};
	return e32.e_phentsize == sizeof(struct elf32_phdr) && e32.e_machine == EM_386;
}

static int load_elf(struct machine *machine, const struct file *file)
{
	struct elf_header header;
	struct segment segment;
	unsigned int i;
	int ret;

	if (!read_header(file, &header) || header.type != ET_EXEC ||
	    !in_file(file, header.phoff, (__u64)header.phnum * header.phentsize)) {
		complain("%s: not a static x86 executable", machine->options->image);
		return -ENOEXEC;
	}
	machine->mode = header.is_64 ? START_LONG : START_FLAT32;
	machine->entry = header.entry;
	ret = lay_out(machine);
	for (i = 0; !ret && i < header.phnum; i++) {
		read_segment(file, header.is_64, header.phoff + i * header.phentsize, &segment);
		ret = load_segment(machine, file, &segment);
	}
	return ret;
}

/* Map the image as ROM, read-only if the device supports that. */
static int add_bios_rom(struct machine *machine, const struct file *file)
{
	__u32 flags = 0;
	int ret;

	if (keel_vm_check_extension(machine->vm, KVM_CAP_READONLY_MEM) > 0)
		flags = KVM_MEM_READONLY;
	ret = keel_mem_add(machine->vm, SLOT_BIOS, RESET_VECTOR - file->size, file->data,
			   file->size, flags);
	if (ret)
		complain("ROM of 0x%zx bytes: %s", file->size, strerror(-ret));
	return ret;
}

/*
 * Lay out memory as in a PC: RAM with the VGA hole, ROM at the end of 4 GiB and its
 * shadow below 1 MiB. A PC shows the last 128 KiB there until the BIOS has told the
 * chipset to copy the rest; there is no chipset, so copy the whole shadow area.
 */
static int load_bios(struct machine *machine, const struct file *file)
{
	__u64 tail = file->size < SHADOW_SIZE ? file->size : SHADOW_SIZE;
	__u64 memory = machine->options->memory;
	int ret;

	if (file->size % PAGE_SIZE || file->size > BIOS_MAX) {
		complain("%s: a BIOS is a multiple of 4 KiB, up to 16 MiB",
			 machine->options->image);
		return -ENOEXEC;
	}
	machine->mode = START_RESET;
	machine->image_end = MIB;
	ret = add_ram(machine, SLOT_RAM, 0, VGA_START);
	if (!ret)
		ret = add_ram(machine, SLOT_SHADOW, SHADOW_START, SHADOW_SIZE);
	if (!ret && memory > MIB)
		ret = add_ram(machine, SLOT_HIGH, MIB, memory - MIB);
	if (!ret)
		ret = place(machine, MIB - tail, file->data + file->size - tail, tail);
	if (!ret)
		ret = add_bios_rom(machine, file);
	return ret;
}

static int load(struct machine *machine, const struct file *file)
{
	if (machine->options->kind == IMAGE_AUTO && file->size > SELFMAG &&
	    !memcmp(file->data, ELFMAG, SELFMAG))
		return load_elf(machine, file);
	return load_flat(machine, file);
}

int image_load(struct machine *machine)
{
	struct file file = { 0 };
	int ret = file_load(machine->options->image, &file);

	if (ret)
		return ret;
	if (machine->options->kind == IMAGE_BIOS) {
		/* The guest runs the BIOS in place: keep it as long as the machine. */
		machine->rom = file.data;
		machine->rom_size = file.size;
		return load_bios(machine, &file);
	}
	ret = load(machine, &file);
	file_free(&file);
	return ret;
}

void image_unload(struct machine *machine)
{
	if (machine->rom)
		munmap(machine->rom, machine->rom_size);
}
