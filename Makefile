# SPDX-License-Identifier: GPL-2.0
#
# The commands of this tree; "make help" lists them. What keel.ko is made of stands in Kbuild, and
# how the emulated PC comes about under selftests/machine/.

machine := selftests/machine
# A kernel that is named is used as it is; else that of the machine: Debian's, fetched once.
ifeq ($(MACHINE),host)
KDIR ?= /lib/modules/$(shell uname -r)/build
endif
headers := $${KDIR:-$$($(machine)/setup kernel)/headers}
export KDIR MACHINE KEEL_CACHE

all: module userspace tests

help:
	@echo 'make                  keel.ko (for the kernel of the emulated PC), library, tools, tests'
	@echo 'make KDIR=<headers>   keel.ko for that kernel'
	@echo 'make demo             watch a guest work while its memory slots change; boot SeaBIOS'
	@echo 'make linux            let QEMU boot a stock Linux on the device, next to kvm-intel'
	@echo 'make check            lint and every test, in the emulated PC'
	@echo 'make check-debug      the same suite on a kernel with every debugging aid'
	@echo 'make mutants          is every protection of the memslot protocol missed by a test?'
	@echo 'make fuzz             the instruction emulator against processor, Zydis and libFuzzer'
	@echo 'make soak             a million memslot updates under load; takes hours'
	@echo 'make bench            speed of exits and memory updates, next to those of kvm-intel'
	@echo 'make lint             style, static analysis, the rules of rooms and sizes'
	@echo 'make module | userspace | tests    one part'
	@echo 'make kmod/<file>.o    one object of the module'
	@echo 'make install          library, tools and manual pages, and the module for DKMS'
	@echo 'make clean'
	@echo
	@echo 'MACHINE=host make check    on this machine and its VMX, as root'

module:
	@kdir=$(headers) && $(MAKE) -C $$kdir M=$(CURDIR) modules

kmod/%.o: FORCE
	@kdir=$(headers) && $(MAKE) -C $$kdir M=$(CURDIR) $@

userspace:
	$(MAKE) -C userspace

tests:
	@ksft=$${KSFT:-$$($(machine)/setup linux-tools)/tools/testing/selftests} && \
		$(MAKE) -C selftests KSFT=$$ksft

demo:
	@$(machine)/demo

linux:
	@$(machine)/linux

check:
	@$(machine)/check

check-debug:
	@$(machine)/check --debug

mutants:
	@selftests/mutants/run

fuzz:
	@$(MAKE) -C selftests/unit fuzz

soak:
	@$(machine)/soak

bench:
	@selftests/bench/run

lint:
	@scripts/lint

install:
	$(MAKE) -C userspace install
	dkms add $(CURDIR)
	dkms install keel/0.1.0

clean:
	@kdir=$(headers) && $(MAKE) -C $$kdir M=$(CURDIR) clean
	$(MAKE) -C userspace clean
	$(MAKE) -C selftests clean
	rm -rf build

FORCE:

.PHONY: all help module userspace tests demo linux check check-debug mutants fuzz soak bench lint
.PHONY: install clean FORCE
