#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# make install puts everything below DESTDIR, and a program builds against what is
# there as its author would do it, shared and static. The module and what udev is told
# are installed from the top, here with stand-ins for the programs of the system; that
# can be repeated and undone. Run from the userspace folder.

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

# Stand-ins that remember; "dkms add" refuses what it has, as dkms does.
mkdir "$root/stub"
cat > "$root/stub/dkms" << 'END'
#!/bin/sh
echo "dkms $*" >> "$CALLS"
case $1 in
status) [ ! -e "$CALLS.added" ] || echo "$2: added" ;;
add) [ ! -e "$CALLS.added" ] && touch "$CALLS.added" || exit 3 ;;
remove) rm "$CALLS.added" ;;
install) [ -e "$CALLS.added" ] ;;
esac
END
# shellcheck disable=SC2016 # for the stand-in to expand
printf '#!/bin/sh\necho "${0##*/} $*" >> "$CALLS"\n' > "$root/stub/ldconfig"
cp "$root/stub/ldconfig" "$root/stub/udevadm"
chmod +x "$root"/stub/*

# from_top TARGET PLACE [VARIABLE=...]: everything below PLACE, and who was called in PLACE.calls
# shellcheck disable=SC2317 # called through check
from_top()
{
	target=$1 place=$2
	shift 2
	CALLS=$place.calls PATH=$root/stub:$PATH make -s -C .. O="$O" CC="$cc" CFLAGS="$CFLAGS" \
		"$@" "$target"
}

# As if PLACE were the root, but not called DESTDIR: a plain installation.
# shellcheck disable=SC2317
plain()
{
	from_top "$1" "$root/plain" PREFIX="$root/plain/usr" SRCDIR="$root/plain/src" \
		UDEVDIR="$root/plain/rules.d" LOADDIR="$root/plain/modules-load.d"
}

# shellcheck disable=SC2317
called()
{
	grep -qx "$1" "$root/plain.calls"
}

# shellcheck disable=SC2317
registered()
{
	called "dkms install keel/$version" && called "ldconfig " && called "udevadm control --reload"
}

# shellcheck disable=SC2317
gone()
{
	plain uninstall && plain uninstall && called "dkms remove keel/$version --all" &&
		test -z "$(find "$root/plain" ! -type d)"
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
echo "1..18"
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

version=$("$O/keelrun" --version | sed 's/keelrun //')
check "installs module and rules below DESTDIR" \
	from_top install "$root/dest" DESTDIR="$root/dest" PREFIX=/usr
check "and calls nothing of the system" test ! -e "$root/dest.calls"
check "the group kvm may use the device" grep -q 'KERNEL=="keel".*GROUP="kvm", MODE="0660"' \
	"$root/dest/usr/lib/udev/rules.d/60-keel.rules"
check "the module is loaded at boot" grep -qx keel "$root/dest/usr/lib/modules-load.d/keel.conf"
check "its sources are there, with the same version" \
	grep -qx "PACKAGE_VERSION=\"$version\"" "$root/dest/usr/src/keel-$version/dkms.conf"
check "the manual pages have it too" grep -q "Keel $version" "$root/dest/usr/share/man/man4/keel.4"
check "installs for this system" plain install
check "and again" plain install
check "and registers module and library" registered
check "uninstalls, and nothing is left" gone
exit $status
