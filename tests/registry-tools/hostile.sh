#!/bin/bash
# Hostile registries: every command that reads them says so or leaves it out; none crashes, hangs,
# writes to them, follows a link or lets a control character through.
# shellcheck disable=SC2015,SC2016,SC2086,SC2317
# shellcheck source=tests/registry-tools/common.sh
. "$(dirname "$(realpath "$0")")/common.sh"
registry=T.lock.registry
fresh
guard session "$act" "sessions 20 T/n"
cp $registry whole
size=$(stat -c %s whole)

# all NAME: every command, on the registry as it is now.
all() {
    local command got before after
    before=$(stat -c '%Y %Z %s %i' $registry 2>&1)
    for command in stats "stats --json" log "log --json" metrics "wait --timeout 2"; do
        # shellcheck disable=SC2086
        timeout 10 "$lockctl" ${command%% *} --config /dev/null ${command#"${command%% *}"} T >out 2>err
        got=$?
        case $got in
        0) ;;
        1) [ "$(wc -l <err)" = 1 ] && grep -q "^lockctl: ${command%% *}: '.*registry' " err ||
            not_ok "$1: $command" "$(cat err)" ;;
        *) not_ok "$1: $command: status $got" "$(cat err)" ;;
        esac
        LC_ALL=C grep -q '[^ -~]' out err && not_ok "$1: $command: control characters" "$(cat -v out err | head -5)"
        case $command in
        *--json) [ $got != 0 ] || $python -m json.tool out >/dev/null || not_ok "$1: $command: JSON" ;;
        metrics) $python "$here/exposition.py" out >/dev/null 2>err || not_ok "$1: metrics" "$(cat err)" ;;
        esac
    done
    after=$(stat -c '%Y %Z %s %i' $registry 2>&1)
    same "$1" "$before" "$after"
}
all "whole"
for ((cut = 0; cut < size; cut += 4096)); do
    cp whole $registry
    truncate -s $cut $registry
    for command in stats log metrics; do
        timeout 10 "$lockctl" $command --config /dev/null T >out 2>err
        got=$?
        [ $got = 1 ] && grep -Eq "is cut off|is empty" err || echo "$command at $cut: $got: $(cat err)"
    done
done >wrong
same "cut off at every 4 KB: told" "" "$(cat wrong)"
cp whole $registry && truncate -s 5000 $registry && all "cut off"
for round in 1 2 3 4 5 6; do
    head -c "$size" /dev/urandom >$registry
    [ $round -lt 3 ] || head -c 24 whole | dd of=$registry conv=notrunc status=none
    [ $round -lt 5 ] || head -c 512 whole | dd of=$registry conv=notrunc status=none
    all "random bytes, round $round"
done
cp whole $registry
tr '\0' '\377' </dev/zero | head -c $((size - 24)) | dd of=$registry bs=24 seek=1 conv=notrunc status=none iflag=fullblock
all "all ones"
head -c "$size" /dev/zero >$registry && all "all zeros"
cp whole $registry && printf '\001' | dd of=$registry bs=1 seek=8 conv=notrunc status=none
all "an older version"
status "is told" 1 "is of version 1, older than" "$lockctl" stats --config /dev/null T
printf '\011' | dd of=$registry bs=1 seek=8 conv=notrunc status=none
all "a newer version"
# The path of the table as an escape sequence.
cp whole $registry
$python - $registry "$work/T" <<'END2'
import sys
data = open(sys.argv[1], 'rb').read()
at = data.index(sys.argv[2].encode() + b'\0')
open(sys.argv[1], 'r+b').write(data[:at] + b'/\x1b]0;owned\x07\x9b31m\n' + data[at + 20:])
END2
all "a table called by an escape sequence"
LC_ALL=C.UTF-8 "$lockctl" stats --config /dev/null T.lock >out
check "nor in UTF-8" $python -c 'import unicodedata
text = open("out", encoding="utf-8").read().replace("\n", "")
assert not [c for c in text if unicodedata.category(c) == "Cc"], repr(text)'
rm $registry
ln -s whole $registry && all "a link"
status "a link is not followed" 1 "symbolic link" "$lockctl" stats --config /dev/null T
ln -sf none $registry && all "a dangling link"
rm $registry && mkfifo $registry && all "a pipe"
rm $registry && mkdir $registry && all "a directory"
rmdir $registry && all "none"
same "none is made" 0 "$(find . -name '*.registry' | wc -l)"
cp whole $registry && chmod 0 $registry
if [ "$(id -u)" = 0 ]; then
    status "may not be read: stats" 5 "may not be read" as_ordinary "$lockctl" stats --config /dev/null T
    status "may not be read: metrics" 5 "may not be read" as_ordinary "$lockctl" metrics --config /dev/null T
    status "may not be read: wait goes on without" 0 "" as_ordinary "$lockctl" wait --config /dev/null T
fi
chmod 644 $registry

# Cut off and made whole while it is read.
(while [ ! -e stop ]; do truncate -s 4096 $registry; cp whole $registry; done) &
for _ in $(seq 60); do
    timeout 10 "$lockctl" stats --config /dev/null T >/dev/null 2>&1
    [ $? -le 1 ] || echo "stats: $?"
    timeout 10 "$lockctl" log --config /dev/null T >/dev/null 2>&1
    [ $? -le 1 ] || echo "log: $?"
done >ends
: >stop
wait
same "cut off while it is read" "" "$(cat ends)"
finish
