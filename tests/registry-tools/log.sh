#!/bin/bash
# lockctl log: every event, once, in order; followed across whatever becomes of the registry.
# shellcheck disable=SC2015,SC2016,SC2086,SC2317
# shellcheck source=tests/registry-tools/common.sh
. "$(dirname "$(realpath "$0")")/common.sh"

log() { "$lockctl" log --config /dev/null "$@"; }
timeouts() { # COUNT: so many processes wait in vain
    local i
    guard session "$act" "open 0 T/n rw" "mark held" "await held+" &
    at held
    for ((i = 0; i < $1; i++)); do
        LOCKSHIM_TIMEOUT=0.01 guard session "$act" "pid" "cat T/n" 2>/dev/null | head -1 >>pids
    done
    go held
    wait $!
    rm -f held held+
}
fresh
same "nothing has happened" 1 "$(log T | wc -l)"
timeouts 3
log --noheadings T >lines
same "three events, oldest first" "$(sed 's/^/timeout /' pids)" "$(awk '{ print $3, $4 }' lines)"
check "with how long and the errno" grep -Eq ' (9\.[0-9]|1[0-9]) ms  EAGAIN +gave up waiting' lines
fits "JSON" log log --json T
same "JSON has them" "['timeout', 'timeout', 'timeout'] [1, 2, 3] ['EAGAIN', 'EAGAIN', 'EAGAIN']" "$(json \
    "[e['event'] for e in data['events']], [e['number'] for e in data['events']], [e['error'] for e in data['events']]" \
    log --json T | sed "s/^(//; s/)$//; s/\], \[/] [/g")"
below "exactly" 0.5 "$(json "data['events'][0]['after_seconds']" log --json T)"
same "the last one" "$(tail -1 pids)" "$(log -n 1 --noheadings T | awk '{ print $4 }')"
same "none" 0 "$(log -n 0 --noheadings T | wc -l)"
same "since a minute" 3 "$(log --since 1min --noheadings T | wc -l)"
sleep 0.2
same "since just now" 0 "$(log --since 0.1 --noheadings T | wc -l)"
same "since a point of time" "3 0" "$(log --since 2020-01-01 --noheadings T | wc -l) $(log --since \
    "$(date -d tomorrow '+%Y-%m-%d %H:%M:%S')" --noheadings T | wc -l)"
status "since nonsense" 2 "neither a span nor a point of time" log --since yesterdayish T
status "lines: nonsense" 2 "is no number of lines" log -n x T

# A crash names the dead one.
guard process "$act" "pid" "put T/n 1" "raise 9" 2>/dev/null | head -1 >dead
guard session "$act" "cat T/n" >/dev/null
same "a crash, and who died" "crash $(cat dead)" "$(log -n 1 --noheadings T | awk '{ print $3, $5 }')"

# More than the ring has room for: the last 4,096 of them.
fresh
guard session "$act" "cat T/n" >/dev/null
$python - T.lock.registry <<'END2'
import struct, sys, time
EVENTS = 4096
with open(sys.argv[1], 'r+b') as file:
    data = bytearray(file.read())
    ring = len(data) - EVENTS * 64
    for number in range(1, EVENTS + 101):
        at = ring + number % EVENTS * 64
        struct.pack_into('<QQIiiIQQ', data, at, number, int(time.time() * 1e9), 2, 1000 + number, 7, 11, number, 0)
    struct.pack_into('<Q', data, 24, EVENTS + 100)
    file.seek(0)
    file.write(data)
END2
same "a ring that went round" "4096 1101 5196" "$(log --noheadings T | awk 'NR == 1 { first = $4 } END { print NR, first, $4 }')"
log T | head -1 >/dev/null
same "a closed pipe is quiet" "" "$({ log T | head -1 >/dev/null; } 2>&1)"
"$lockctl" log --config /dev/null T >/dev/full 2>stderr.out
same "a full disk: status" 1 $?
check "a full disk is told" grep -q 'could not be written: No space' stderr.out

# Following.
fresh
rm -f pids
timeouts 1
env --default-signal=INT "$lockctl" log --config /dev/null --follow --noheadings T >followed 2>follow.err &
follower=$!
lines() { [ "$(wc -l <followed)" = "$1" ]; }
soon lines 1
timeouts 2
check "what happens is followed" soon lines 3
same "and is the same" "$(cat pids)" "$(awk '{ print $4 }' followed)"
rm -f T.lock.registry
timeouts 1
check "a registry made anew is followed" soon lines 4
: >T.lock.registry
sleep 3.2
guard session "$act" "cat T/n" >/dev/null
timeouts 1
check "one that was cut off and mended is followed" soon lines 5
rm -f T.lock.registry && mkfifo T.lock.registry
sleep 1.3
check "a pipe in its place does not stop it" kill -0 $follower
rm -f T.lock.registry
timeouts 1
check "nor keep it from the next one" soon lines 6
same "in order" "$(cat pids)" "$(awk '{ print $4 }' followed)"
opened=$(find /proc/$follower/fd -lname '*.registry*' | wc -l)
same "one registry is open" 1 "$opened"
kill -INT $follower
wait $follower 2>/dev/null
same "it ends quietly" "" "$(cat follow.err)"
before=$(now)
"$lockctl" log --config /dev/null -f T | head -1 >/dev/null
below "it ends with its reader" 3 "$(since "$before")"
if command -v strace >/dev/null; then
    timeout 2 strace -f -o trace "$lockctl" log --config /dev/null -f T >/dev/null
    refute "following reads no /proc/locks" grep -q /proc/locks trace
    below "and does little" 120 "$(grep -c pread64 trace)"
else
    skip "following reads no /proc/locks (no strace)"
fi
timeout 1 "$lockctl" log --config /dev/null -f --json T >objects
same "followed JSON: an object a line" "$(wc -l <objects)" "$($python -c 'import json
print(len([json.loads(line) for line in open("objects")]))')"
finish
