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
	@echo 'make fuzz             emulator against processor, Zydis and libFuzzer; parsers of files'
	@echo 'make soak             a million memslot updates under load; takes hours'
	@echo 'make bench            speed of exits and memory updates, next to those of kvm-intel'
	@echo 'make lint             style, static analysis, the rules of rooms and sizes'
	@echo 'make module | userspace | tests    one part'
	@echo 'make kmod/<file>.o    one object of the module'
	@echo 'make install          library, tools, manual pages, rules, and the module with DKMS'
	@echo 'make uninstall        take all of that away'
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

# With DESTDIR only files are put there, the module's sources among them: whoever makes a package
# of it calls dkms, ldconfig and udevadm where that is unpacked.
version	:= $(shell sed -n 's/^PACKAGE_VERSION="\(.*\)"/\1/p' dkms.conf)
SRCDIR	?= /usr/src
UDEVDIR	?= /usr/lib/udev/rules.d
LOADDIR	?= /usr/lib/modules-load.d
source	:= $(DESTDIR)$(SRCDIR)/keel-$(version)
# What DKMS has of another time, sources that were installed before included.
forget	= if dkms status keel/$(version) | grep -q .; then dkms remove keel/$(version) --all; fi

install:
	$(MAKE) -C userspace install
	install -d $(DESTDIR)$(UDEVDIR) $(DESTDIR)$(LOADDIR) $(DESTDIR)$(SRCDIR)
	install -m 644 install/60-keel.rules $(DESTDIR)$(UDEVDIR)
	install -m 644 install/keel.conf $(DESTDIR)$(LOADDIR)
	$(if $(DESTDIR),,$(forget))
	rm -rf $(source)
	install -d $(source)
	tar -c --exclude='*.o' --exclude='.*.cmd' Kbuild dkms.conf kmod uapi | \
		tar -x --no-same-owner -C $(source)
	$(if $(DESTDIR),,dkms add keel/$(version))
	$(if $(DESTDIR),,dkms install keel/$(version))
	$(if $(DESTDIR),,-udevadm control --reload)

uninstall:
	$(if $(DESTDIR),,$(forget))
	rm -rf $(source)
	rm -f $(DESTDIR)$(UDEVDIR)/60-keel.rules $(DESTDIR)$(LOADDIR)/keel.conf
	$(MAKE) -C userspace uninstall

clean:
	@kdir=$(headers) && $(MAKE) -C $$kdir M=$(CURDIR) clean
	$(MAKE) -C userspace clean
	$(MAKE) -C selftests clean
	rm -rf build

FORCE:

.PHONY: all help module userspace tests demo linux check check-debug mutants fuzz soak bench lint
.PHONY: install uninstall clean FORCE
