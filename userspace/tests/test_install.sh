#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# make install puts everything below DESTDIR, and a program builds against what is
# there as its author would do it, shared and static. Run from the userspace folder.

root=$(mktemp -d) || exit 1
trap 'rm -rf "$root"' EXIT
number=0 status=0
O=${O:-build}
cc=${CC:-cc}
unset KEEL_DEVICE

# check NAME COMMAND...
check()
{
	name=$1
	shift
	number=$((number + 1))
	if "$@" > "$root/log" 2>&1; then
		echo "ok $number $name"
	else
		echo "not ok $number $name"
		sed 's/^/# /' "$root/log"
		status=1
	fi
}

# The .pc file names the final place; the test adds where it is for now.
pc()
{
	PKG_CONFIG_SYSROOT_DIR=$root PKG_CONFIG_PATH=$root/usr/lib/pkgconfig \
		pkg-config "$@" libkeel
}

# Without a device the example fails, but by itself and not in the loader.
# shellcheck disable=SC2317 # called through check
runs()
{
	LD_LIBRARY_PATH=$root/usr/lib KEEL_DEVICE=/nonexistent "$1" 2>&1 |
		grep -q '^hello: No such file'
}

if ! command -v pkg-config > /dev/null; then
	echo "1..0 # SKIP no pkg-config"
	exit 4
fi
case $CFLAGS in
*-fsanitize=*)
	echo "1..0 # SKIP a sanitized library can not be linked statically"
	exit 4
	;;
esac
echo "TAP version 13"
echo "1..8"
check "installs below DESTDIR" \
	make O="$O" CC="$cc" CFLAGS="$CFLAGS" DESTDIR="$root" PREFIX=/usr install
check "the tools are there" test -x "$root/usr/bin/keelrun" -a -x "$root/usr/bin/keelstat"
check "the manual pages are there" test -s "$root/usr/share/man/man1/keelrun.1" -a \
	-s "$root/usr/share/man/man4/keel.4" -a -s "$root/usr/share/man/man7/libkeel.7"
check "pkg-config knows the version" test "$(pc --modversion)" = \
	"$("$O/keelrun" --version | sed 's/keelrun //')"
# shellcheck disable=SC2046,SC2086 # several words
check "the example builds with the shared library" \
	$cc $CFLAGS -o "$root/shared" examples/hello.c $(pc --cflags --libs)
check "and runs" runs "$root/shared"
# shellcheck disable=SC2046,SC2086
check "the example builds statically" \
	$cc -static -o "$root/static" examples/hello.c $(pc --cflags --static --libs)
check "and runs" runs "$root/static"
exit $status
