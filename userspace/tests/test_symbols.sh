#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The shared library exports what its header declares and nothing else, under the
# version node of the map, has the promised soname, and what was released is still
# there, no more and no less. O is the build folder; run from the userspace folder.

lib=${O:-build}/libkeel.so
number=0 status=0

# check NAME COMMAND...
check()
{
	name=$1
	shift
	number=$((number + 1))
	if "$@"; then
		echo "ok $number $name"
	else
		echo "not ok $number $name"
		status=1
	fi
}

declared=$(tr '\n' ' ' < include/keel/libkeel.h | sed 's,/\*,\n&,g; s,\*/,&\n,g' |
	grep -v '^/\*' | grep -oE '\bkeel_[a-z0-9_]+\(' | tr -d '(' | sort -u)
exported=$(nm -D --defined-only "$lib" | awk '$2 ~ /[A-Z]/ && $2 != "A" { print $3 }' |
	sort -u)
plain=$(echo "$exported" | sed 's/@.*//' | sort -u)
unversioned=$(echo "$exported" | grep -v '@KEEL_0\.')

# What is exported under the node of a release.
released()
{
	echo "$exported" | sed -n "s/@@*KEEL_$1\$//p" | sort
}

echo "TAP version 13"
echo "1..5"
check "the header declares something" test -n "$declared"
check "exported is what is declared" test "$plain" = "$declared"
check "every symbol has a version" test -z "$unversioned"
check "the soname is libkeel.so.0" sh -c \
	"readelf -d '$lib' | grep -q 'SONAME.*\[libkeel.so.0\]'"
for list in tests/released-*; do
	node=${list#tests/released-}
	check "KEEL_$node is as it was released" test \
		"$(released "$node" | grep -vx "KEEL_$node")" = "$(sort "$list")"
done
exit $status
