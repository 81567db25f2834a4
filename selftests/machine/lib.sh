# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# What the scripts of the emulated PC share: where the cache lies, how a Debian package is asked
# for, how something that takes long is shown, and how a thing is built once and published whole.
# It knows no kernel, no emulator and no test.

set -euo pipefail

machine=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck disable=SC2034 # for those who read this file
top=$(cd "$machine/../.." && pwd)
cache=${KEEL_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/keel}

say()
{
	printf -- '-- %s\n' "$*" >&2
}

die()
{
	printf 'error: %s\n' "$*" >&2
	exit 1
}

# patiently WHAT COMMAND...: run it with its output kept, show that time passes, and show the end
# of the output only where it fails.
patiently()
{
	local what=$1 log pid status=0 start=$SECONDS next=10

	shift
	log=$(mktemp)
	say "$what ..."
	"$@" >"$log" 2>&1 </dev/null &
	pid=$!
	while kill -0 "$pid" 2>/dev/null; do
		sleep 0.2
		if ((SECONDS - start >= next)); then
			say "$what: $((SECONDS - start)) s"
			next=$((next + 10))
		fi
	done
	wait "$pid" || status=$?
	if ((status)); then
		tail -n 30 "$log" >&2
		rm -f "$log"
		die "$what failed (status $status)"
	fi
	rm -f "$log"
}

# with_lock NAME COMMAND...: one at a time over all that run on this machine.
with_lock()
{
	local name=$1

	shift
	mkdir -p "$cache/locks"
	(
		if ! flock -n 9; then
			say "waiting for another run: $name"
			flock 9
		fi
		"$@"
	) 9>"$cache/locks/$name"
}

_build_into()
{
	local name=$1 new=$cache/new.$1

	shift
	[[ ! -e $cache/$name ]] || return 0
	rm -rf "$new"
	mkdir -p "$new"
	"$@" "$new"
	mv -T "$new" "$cache/$name"
}

# cached NAME BUILDER [ARGUMENT...]: make $cache/NAME once. The builder gets its arguments and an
# empty directory; what it leaves there appears under the name only when it is complete.
cached()
{
	[[ -e $cache/$1 ]] || with_lock "$1" _build_into "$@"
}

_as_root()
{
	if ((EUID == 0)); then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		die "not root and no sudo: run as root: $*"
	fi
}

_refresh_lists()
{
	patiently "reading Debian's package lists" _as_root apt-get -q update
}

_install()
{
	_as_root env DEBIAN_FRONTEND=noninteractive \
		apt-get install -y -q --no-install-recommends "$@"
}

_missing()
{
	local package

	for package; do
		dpkg-query -W -f '${Status}' "$package" 2>/dev/null |
			grep -q ' installed$' || echo "$package"
	done
}

_install_missing()
{
	local why=$1 missing

	shift
	mapfile -t missing < <(_missing "$@")
	((${#missing[@]})) || return 0
	say "Debian packages to install, $why: ${missing[*]}"
	apt-get install -s -qq --no-install-recommends "${missing[@]}" >/dev/null 2>&1 ||
		_refresh_lists
	patiently "installing ${missing[*]}" _install "${missing[@]}"
}

# need WHY PACKAGE...: install those packages that are missing.
need()
{
	local why=$1

	shift
	[[ -z $(_missing "$@") ]] || with_lock packages _install_missing "$why" "$@"
}

# fetch_package DIRECTORY PACKAGE...: download without installing.
fetch_package()
{
	local dir=$1

	shift
	(
		cd "$dir"
		apt-get -qq download "$@" 2>/dev/null || {
			with_lock packages _refresh_lists
			apt-get -q download "$@"
		}
	)
}

# only_files DEB DIRECTORY PATTERN...: unpack the files of a package that match.
only_files()
{
	local deb=$1 dir=$2

	shift 2
	dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$dir" --wildcards "$@"
}
