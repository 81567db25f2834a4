// SPDX-License-Identifier: GPL-2.0
/*
 * Fuzz images: flat, ELF and BIOS, in machines of several sizes, selected by the
 * first two bytes. Every accepted image must start in RAM or at the reset vector.
 */
#include <linux/elf.h>
#include <string.h>

#include "../keelrun/keelrun.h"
#include "fake_kvm.h"
#include "fuzz.h"

static struct keel *keel;

/* Drop the messages about bad images. */
void complain(const char *format, ...)
{
	(void)format;
}

static void load(const struct options *options)
{
	struct machine machine = { .options = options };

	if (keel_vm_create(keel, &machine.vm))
		abort();
	if (!image_load(&machine) && machine.mode != START_RESET &&
	    (machine.image_end > options->memory || machine.stack_top > options->memory))
		abort();
	keel_vm_destroy(machine.vm);
	image_unload(&machine);
}

static void seed_elf32(int argc, char **argv)
{
	struct {
		char how[2];
		struct elf32_hdr header;
		struct elf32_phdr segment;
	} __attr(packed) seed = {
		.header = {
			.e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS32, ELFDATA2LSB, EV_CURRENT },
			.e_type = ET_EXEC, .e_machine = EM_386, .e_entry = MIB,
			.e_phoff = sizeof(struct elf32_hdr), .e_phnum = 1,
			.e_phentsize = sizeof(struct elf32_phdr),
		},
		.segment = { .p_type = PT_LOAD, .p_paddr = MIB, .p_filesz = 16, .p_memsz = 32 },
	};

	fuzz_seed(argc, argv, "elf32", &seed, sizeof(seed));
}

static void seed_elf64(int argc, char **argv)
{
	struct {
		char how[2];
		struct elf64_hdr header;
		struct elf64_phdr segment;
	} __attr(packed) seed = {
		.header = {
			.e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
			.e_type = ET_EXEC, .e_machine = EM_X86_64, .e_entry = MIB,
			.e_phoff = sizeof(struct elf64_hdr), .e_phnum = 1,
			.e_phentsize = sizeof(struct elf64_phdr),
		},
		.segment = { .p_type = PT_LOAD, .p_paddr = MIB, .p_filesz = 16, .p_memsz = 32 },
	};

	fuzz_seed(argc, argv, "elf64", &seed, sizeof(seed));
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static const char bios[2 + PAGE_SIZE] = { IMAGE_BIOS };

	fake_reset();
	if (keel_open("/dev/null", &keel))
		abort();
	seed_elf32(*argc, *argv);
	seed_elf64(*argc, *argv);
	fuzz_seed(*argc, *argv, "bios", bios, sizeof(bios));
	return 0;
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	static const enum start_mode modes[] = { START_REAL, START_FLAT32, START_LONG };
	struct options options = { .cpus = 1 };
	char path[64];
	int fd;

	if (size < 2)
		return -1;
	options.kind = data[0] % 3;
	options.mode = modes[data[0] / 4 % 3];
	options.memory = (1 + data[1] % 4) * MIB + (data[1] & 8 ? PAGE_SIZE : 0);
	options.cpus = 1 + data[1] / 16 * 4;
	fd = fuzz_file(data + 2, size - 2);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	options.image = path;
	load(&options);
	close(fd);
	return 0;
}
