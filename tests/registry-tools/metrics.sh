#!/bin/bash
# lockctl metrics: the text is what Prometheus wants, says what happened, and is written whole.
# shellcheck disable=SC2015,SC2016,SC2086,SC2317
# shellcheck source=tests/registry-tools/common.sh
. "$(dirname "$(realpath "$0")")/common.sh"

metrics() { "$lockctl" metrics --config /dev/null "$@"; }
# value NAME: of a metric of T.
value() { awk -v n="$1" 'index($0, n "{") == 1 { print $NF; exit }' metrics.out; }
lint() { # NAME: of metrics.out
    check "$1: is not empty" grep -q '^lockshim_acquisitions_total{' metrics.out
    check "$1: the format's own rules" $python "$here/exposition.py" metrics.out
    if command -v promtool >/dev/null; then
        check "$1: promtool finds nothing" sh -c \
            'said=$(promtool check metrics <metrics.out 2>&1) && [ -z "$said" ] || { echo "$said"; false; }'
    else
        skip "$1: promtool is not installed"
    fi
}
fresh
guard session "$act" "sessions 10 T/n"
guard session "$act" "open 0 T/n rw" "mark held" "await held+" "sleep 0.3" "close 0" &
at held
guard session "$act" "mark waits" "open 0 T/n rw" "close 0" &
at waits
sleep 0.2
metrics T >metrics.out
lint "while it is held"
same "one holds, one waits" "1 1" "$(value lockshim_holders) $(value lockshim_waiters)"
below "for so long" "$(value lockshim_held_seconds)" 0.19
below "the waiter came later" "$(value lockshim_held_seconds)" "$(value lockshim_waited_seconds)"
go held
wait
metrics T >metrics.out
lint "after that"
same "nobody any more" "0 0 0.000000000" "$(value lockshim_holders) $(value lockshim_waiters) $(value lockshim_held_seconds)"
same "twelve acquisitions, one contended" "12 1" "$(value lockshim_acquisitions_total) $(value lockshim_contended_total)"
same "one wait, twelve holds" "1 12" "$(value lockshim_wait_seconds_count) $(value lockshim_hold_seconds_count)"
below "the sum of waits" "$(value lockshim_wait_seconds_sum)" 0.3
same "in the bucket for it" "0 1" "$(grep '^lockshim_wait_seconds_bucket' metrics.out | awk '/le="0.268/ { a = $NF } /le="17.17/ { b = $NF } END { print a, b }')"
same "the registry is up" 1 "$(value lockshim_registry_up)"
for _ in 1 2 3; do
    guard session "$act" "sessions 150 T/n" &
    last=0
    while kill -0 $! 2>/dev/null; do
        metrics T >metrics.out
        count=$(value lockshim_hold_seconds_count)
        [ "$count" -ge "$last" ] || echo "$count after $last" >>fallen
        last=$count
    done
    wait
done
refute "a counter never falls" test -e fallen

# Names that need escaping; several locks; one that nobody has used.
weird=$'we"ird\\\n\377\303\244'
mkdir "$weird"
guard=$weird
LD_PRELOAD=$shim LOCKSHIM_TABLES=$($python -c 'import os, sys
path = os.fsencode(sys.argv[1])
sys.stdout.write("".join(chr(b) if 0x21 <= b < 0x7f and b != 0x5c else "\\%03o" % b for b in path))' "$work/$guard") "$act" "put $weird/x 1" 2>/dev/null
metrics "$weird" T U >metrics.out
lint "names with quotes, backslashes, newlines, no UTF-8"
same "three locks, one never used" "1 1 0" "$(awk '/^lockshim_registry_up\{/ { print $NF }' metrics.out | xargs)"
long=$(printf 'x%.0s' {1..240})
mkdir -p "$long/a/T" "$long/b/T"
for t in a b; do LD_PRELOAD=$shim LOCKSHIM_TABLE=$work/$long/$t/T "$act" "put $long/$t/T/x 1"; done
metrics "$long/a/T" "$long/b/T" >metrics.out
lint "long names stay apart"

# The file.
metrics --output out.prom T
cmp -s <(grep -v -e held_sec -e waited_sec out.prom) <(metrics T | grep -v -e held_sec -e waited_sec)
same "the file has the same" 0 $?
same "its mode" 644 "$(stat -c %a out.prom)"
(umask 077 && metrics --output out.prom T)
same "whatever the umask" 644 "$(stat -c %a out.prom)"
same "nothing is left beside it" out.prom "$(echo out.prom*)"
ln -s elsewhere link.prom
metrics --output link.prom T
same "a link is replaced, not followed" "regular file" "$(stat -c %F link.prom)"
for _ in 1 2 3 4; do
    (for _ in $(seq 30); do metrics --output busy.prom T; done) &
done
metrics --output busy.prom T
for _ in $(seq 60); do tail -1 busy.prom; done | sort | uniq -c | awk '{ $1 = ""; print }' | grep -vc '^ lockshim_hold_seconds_count' >torn
wait
same "it is whole at any time" 0 "$(cat torn)"
status "no such directory" 1 "No such file" metrics --output nowhere/x.prom T
status "a directory in its place" 1 "Is a directory" metrics --output U T
same "and nothing is left" "" "$(find . -name '*.prom.*' -o -name 'U.*' ! -name 'U.lock*')"
mkdir locked && chmod 755 locked
status "no right to write" 5 "Permission denied" as_ordinary "$lockctl" metrics --config /dev/null --output locked/x.prom T
if unshare -m true 2>/dev/null; then
    mkdir small
    unshare -m sh -c 'mount -t tmpfs -o size=8k none small && echo old >small/x.prom &&
        "$0" metrics --config /dev/null --output small/x.prom T 2>small.err; echo $? >small.status
        cat small/x.prom >small.content; ls small | wc -l >small.count' "$lockctl"
    same "no room: status, the old file, nothing left" "1 old 1" "$(cat small.status small.content small.count | xargs)"
    check "no room is told" grep -q 'No space left' small.err
else
    skip "no room: needs a mount namespace"
fi
writes_told metrics metrics T
finish
