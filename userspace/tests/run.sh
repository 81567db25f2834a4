#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Run the library's tests given as arguments, programs and scripts alike. Each
# prints TAP; its exit status says 0 passed, 1 failed, 4 skipped. Ends with a
# count, and with 1 if anything failed.

passed=0 failed=0 skipped=0
for test in "$@"; do
	echo "# $test"
	case $test in
	/*) "$test" ;;
	*) "./$test" ;;
	esac
	case $? in
	0) passed=$((passed + 1)) ;;
	4) skipped=$((skipped + 1)) ;;
	*) failed=$((failed + 1)); echo "# FAILED: $test" ;;
	esac
done
echo "# userspace: $passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
