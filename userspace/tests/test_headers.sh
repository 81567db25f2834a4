#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Every public header compiles alone, twice included, as C and as C++. Run from
# the userspace folder; CC and CXX choose the compilers.

number=0 status=0
# Words, not one word each: a compiler may come with options.
cc=${CC:-cc} cxx=${CXX:-c++}

# compile LANGUAGE HEADER COMPILER...
compile()
{
	language=$1 header=$2
	shift 2
	number=$((number + 1))
	if printf '#include <%s>\n#include <%s>\nint main(void) { return 0; }\n' \
		"$header" "$header" |
		"$@" -x "$language" -Wall -Wextra -Wshadow -Werror -Iinclude -I../uapi \
			-fsyntax-only -; then
		echo "ok $number $header compiles alone ($*)"
	else
		echo "not ok $number $header compiles alone ($*)"
		status=1
	fi
}

echo "TAP version 13"
echo "1..8"
# shellcheck disable=SC2086
for header in linux/keel.h keel/libkeel.h; do
	compile c "$header" $cc -std=c99
	compile c "$header" $cc -std=gnu11
	compile c++ "$header" $cxx -std=c++11
	compile c++ "$header" $cxx -std=c++20
done
exit $status
