#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Run the library's tests given as arguments, programs and scripts alike, and print
# TAP as kselftest does: one line per test, with its own lines before it as comments.
# A test's exit status says 0 passed, 1 failed, 4 skipped. Ends with 1 if any failed.

number=0 result=0

echo "TAP version 13"
echo "1..$#"
for test in "$@"; do
	number=$((number + 1))
	name="userspace: ${test##*/}"
	[[ $test == /* ]] || test=./$test
	"$test" 2>&1 | sed 's/^/# /'
	case ${PIPESTATUS[0]} in
	0) echo "ok $number $name" ;;
	4) echo "ok $number $name # SKIP" ;;
	*)
		echo "not ok $number $name"
		result=1
		;;
	esac
done
exit $result
