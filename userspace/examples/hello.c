// SPDX-License-Identifier: GPL-2.0
/*
 * The smallest useful program: a 16-bit guest writes a line to a port, one
 * character at a time, and halts. Build it against the installed library:
 *
 *	cc hello.c $(pkg-config --cflags --libs libkeel) -o hello
 */
#include <stdio.h>
#include <string.h>
#include <keel/libkeel.h>

static const char code[] =
	"\xbe\x0f\x10"		/* 1000: mov si, 0x100f */
	"\xba\xf8\x03"		/* 1003: mov dx, 0x3f8 */
	"\xac"			/* 1006: lodsb */
	"\x84\xc0"		/* 1007: test al, al */
	"\x74\x03"		/* 1009: jz 0x100e */
	"\xee"			/* 100b: out dx, al */
	"\xeb\xf8"		/* 100c: jmp 0x1006 */
	"\xf4"			/* 100e: hlt */
	"Hello from the guest\n";

static int on_pio(struct keel_vcpu *vcpu, struct keel_access *access, void *opaque)
{
	(void)vcpu;
	if (access->is_write && access->addr == 0x3f8)
		fputc((int)access->value, opaque);
	return 0;
}

int main(void)
{
	const struct keel_run_ops ops = { .size = sizeof(ops), .pio = on_pio };
	struct keel_vcpu *vcpu = NULL;
	struct keel_vm *vm = NULL;
	struct keel *keel = NULL;
	void *ram;
	int ret;

	ret = keel_open(NULL, &keel);
	if (!ret)
		ret = keel_vm_create(keel, &vm);
	if (!ret)
		ret = keel_mem_alloc(vm, 0, 0x1000, 0x1000, 0, &ram);
	if (!ret) {
		memcpy(ram, code, sizeof(code));
		ret = keel_vcpu_create(vm, 0, &vcpu);
	}
	if (!ret)
		ret = keel_vcpu_start_real(vcpu, 0, 0x1000);
	if (!ret)
		ret = keel_vcpu_run(vcpu, &ops, stdout);
	if (ret < 0)
		fprintf(stderr, "hello: %s\n", strerror(-ret));
	else
		printf("The guest ended with %s\n", keel_exit_name(ret));
	keel_vcpu_destroy(vcpu);
	keel_vm_destroy(vm);
	keel_close(keel);
	return ret == KVM_EXIT_HLT ? 0 : 1;
}
