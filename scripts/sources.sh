# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# What the checks share: they work on the files of the tree, known to git or not yet, and say what
# is wrong as FILE:LINE: what to do.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# sources PATTERN...: the tree's files whose path matches one of the shell patterns.
sources()
{
	local file pattern

	{
		git ls-files -co --exclude-standard 2>/dev/null ||
			find . -type f ! -path './build/*' ! -path './.git/*' -printf '%P\n'
	} | sort -u | while read -r file; do
		[[ -f $file ]] || continue
		for pattern; do
			# shellcheck disable=SC2053 # a pattern on purpose
			if [[ $file == $pattern ]]; then
				echo "$file"
				break
			fi
		done
	done
}

# scripts: those that a shell reads.
shell_scripts()
{
	local file

	sources '*' | while read -r file; do
		if head -n 1 "$file" | tr -d '\0' |
			grep -qE '^#!.*\<(ba)?sh\>|^# shellcheck shell='; then
			echo "$file"
		fi
	done
}
