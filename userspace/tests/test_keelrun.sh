#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# keelrun's command line, image checks and exit statuses, with a stand-in for the
# kernel instead of a device. Run from the userspace folder; O is the build folder.

keelrun=${O:-build}/keelrun-fake
number=0 status=0
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
export KEEL_DEVICE=/dev/null

# expect STATUS GUEST NAME ARGUMENT...
expect()
{
	local want=$1 guest=$2 name=$3 got
	shift 3
	number=$((number + 1))
	FAKE_GUEST=$guest timeout -k 1 30 "$keelrun" "$@" > "$work/out" 2> "$work/err"
	got=$?
	if [ $got -eq "$want" ]; then
		echo "ok $number $name"
	else
		echo "not ok $number $name"
		echo "# status $got, not $want"
		sed 's/^/# /' "$work/err"
		status=1
	fi
}

# interrupted SIGNAL NAME ARGUMENT...: it does not wait for what never comes.
interrupted()
{
	local name=$2 got
	number=$((number + 1))
	timeout --preserve-status -k 3 -s "$1" 0.3 "$keelrun" "${@:3}" > /dev/null 2> "$work/err"
	got=$?
	if [ $got -eq 130 ]; then
		echo "ok $number $name"
	else
		echo "not ok $number $name"
		echo "# status $got, not 130"
		status=1
	fi
}

# holds NAME COMMAND...
holds()
{
	local name=$1
	number=$((number + 1))
	if "${@:2}"; then
		echo "ok $number $name"
	else
		echo "not ok $number $name"
		status=1
	fi
}

# said TEXT NAME: the program that ran last has said that.
said()
{
	number=$((number + 1))
	if grep -qF "$1" "$work/err"; then
		echo "ok $number $2"
	else
		echo "not ok $number $2"
		status=1
	fi
}

# put FILE OFFSET BYTES: overwrite bytes, in the notation of printf(1).
put()
{
	# shellcheck disable=SC2059 # the bytes are the format
	printf "$3" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

# An ELF file of one segment: 16 bytes of zeros at 1 MiB, entered there.
make_elf32()
{
	head -c 128 /dev/zero > "$1"
	put "$1" 0 '\x7fELF\x01\x01\x01'
	put "$1" 16 '\x02\x00\x03\x00\x01\x00\x00\x00\x00\x00\x10\x00\x34\x00\x00\x00'
	put "$1" 40 '\x34\x00\x20\x00\x01\x00'
	put "$1" 52 '\x01\x00\x00\x00\x54\x00\x00\x00\x00\x00\x10\x00\x00\x00\x10\x00'
	put "$1" 68 '\x10\x00\x00\x00\x20\x00\x00\x00'
}

# bad_elf NAME OFFSET BYTES: the same file with one thing wrong.
bad_elf()
{
	cp "$work/elf32" "$work/bad"
	put "$work/bad" "$2" "$3"
	expect 125 halt "$1" "$work/bad"
}

printf '\xf4' > "$work/flat"
head -c 4096 /dev/zero > "$work/bios"
make_elf32 "$work/elf32"
head -c 60 "$work/elf32" > "$work/short"

echo "TAP version 13"
echo "1..70"
expect 0 halt "a halt is success" "$work/flat"
expect 0 0 "the guest exits with 0" "$work/flat"
expect 7 7 "the guest exits with 7" "$work/flat"
expect 119 200 "a large guest status is cut" "$work/flat"
expect 120 reset "a reset" "$work/flat"
expect 121 shutdown "a triple fault" "$work/flat"
expect 122 internal "an internal error" "$work/flat"
expect 123 debug "an exit without an answer" "$work/flat"
expect 124 spin "the time limit" -t 0.2 "$work/flat"
expect 124 spin "the time limit, four vCPUs" -t 0.2 -c 4 --mode 64 "$work/flat"
expect 0 text "text that was waited for" --until second "$work/flat"
expect 124 text "text that never comes" --until third -t 0.2 "$work/flat"
expect 0 halt "a BIOS" --bios "$work/bios"
expect 0 halt "a 32-bit ELF file" "$work/elf32"
expect 0 halt "an ELF file taken as flat" --flat "$work/elf32"
expect 0 halt "--help" --help
expect 0 halt "--version" --version
expect 125 halt "no image"
expect 125 halt "two images" "$work/flat" "$work/flat"
expect 125 halt "an image that is not there" "$work/none"
expect 125 halt "a folder" "$work"
expect 125 halt "no device" --device /nonexistent "$work/flat"
said 'can not open /nonexistent' "it is said which"
KEEL_DEVICE=/none expect 125 halt "no device where the environment says" "$work/flat"
said 'can not open /none:' "it is said which"
expect 125 halt "too little memory" -m 512K "$work/flat"
expect 125 halt "too many vCPUs" -c 65 "$work/flat"
expect 125 halt "an unknown mode" --mode 16 "$work/flat"
expect 125 halt "a load address beyond memory" --mode 32 --load 0x10000000 "$work/flat"
expect 125 halt "a BIOS of a strange size" --bios "$work/flat"
expect 125 halt "an ELF file cut short" "$work/short"
bad_elf "an ELF file of another machine" 18 '\x3e'
bad_elf "an ELF file with a program header beyond its end" 44 '\xff\xff'
bad_elf "an ELF segment beyond the file" 68 '\xff\xff\xff\x0f'
bad_elf "an ELF segment beyond memory" 64 '\x00\xf0\xff\xff'
bad_elf "an ELF segment that shrinks in memory" 72 '\x01'

saved=$work/saved
expect 126 spin "saved after a time" --save "$saved" --save-after 0.2 "$work/flat"
expect 0 halt "restored" --restore "$saved"
expect 124 spin "restored, with a time limit" -t 0.2 --restore "$saved"
expect 126 spin "restored, and saved to the same place" --restore "$saved" --save "$saved" --save-after 0.2
expect 0 halt "and restored again" --restore "$saved"
expect 126 text "saved at a line of output" --save "$saved" --save-at first "$work/flat"
expect 7 7 "saved never, for the guest ends before" --save "$saved" --save-at never "$work/flat"
expect 0 halt "what was saved before is still there" --restore "$saved"
expect 125 spin "saved to nowhere" --save "$work/none/saved" --save-after 0.2 "$work/flat"
expect 125 halt "a place to save at, and nowhere to save to" --save-at first "$work/flat"
expect 125 halt "a time to save at, and nowhere to save to" --save-after 1 "$work/flat"
expect 125 halt "not a time to save after" --save "$saved" --save-after x "$work/flat"
expect 125 halt "a saved machine and an image" --restore "$saved" "$work/flat"
expect 125 halt "a saved machine of another size" --restore "$saved" -m 64M
expect 125 halt "a saved machine that is not there" --restore "$work/none"
expect 125 halt "an image is no saved machine" --restore "$work/elf32"
head -c 3000 "$saved" > "$work/bad"
expect 125 halt "a saved machine cut short" --restore "$work/bad"
cp "$saved" "$work/bad"
put "$work/bad" 1000 '\x5a\xa5\x5a'
expect 125 halt "a saved machine that was damaged" --restore "$work/bad"
said 'not a saved machine, or cut short, or damaged' "it is said why"
: > "$work/bad"
expect 125 halt "an empty file" --restore "$work/bad"

cp "$work/bios" "$work/rom"
{ sleep 0.3; : > "$work/rom"; } &
expect 126 spin "a BIOS that is cut short while it runs" --bios --save "$saved" --save-after 0.8 "$work/rom"
wait

mkfifo "$work/fifo"
expect 125 halt "a FIFO is no image" "$work/fifo"
interrupted TERM "a saved machine from a FIFO, ended" --restore "$work/fifo"
interrupted INT "a saved machine from a FIFO, interrupted" --restore "$work/fifo"
cat "$saved" > "$work/fifo" &
expect 0 halt "a saved machine from a FIFO" --restore "$work/fifo"
wait

# A trap for who writes to a name that can be guessed.
mkdir "$work/sub"
echo mine > "$work/mine"
ln -s ../mine "$work/sub/new.part"
umask 000
FAKE_LOG=$work/log expect 126 spin "saved beside a link" --save "$work/sub/new" --save-after 0.2 "$work/flat"
umask 022
holds "the link led nowhere" test "$(cat "$work/mine")" = mine
holds "only the owner can read it" test "$(stat -c %a "$work/sub/new")" = 600
holds "it is on the disk before it has its name, and its name thereafter" \
	test "$(tr '\n' ' ' < "$work/log")" = "fsync file rename fsync folder "
holds "nothing else is left" test "$(ls "$work/sub")" = "new
new.part"
chmod 644 "$work/sub/new"
expect 126 spin "saved over a file that others can read" --save "$work/sub/new" --save-after 0.2 "$work/flat"
holds "which they no longer can" test "$(stat -c %a "$work/sub/new")" = 600
(cd "$work" && ln -s sub/new link)
expect 126 spin "saved where a link was" --save "$work/link" --save-after 0.2 "$work/flat"
holds "the link is a file now" test -f "$work/link" -a ! -L "$work/link"
exit $status
