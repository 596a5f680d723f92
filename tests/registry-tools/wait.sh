#!/bin/bash
# lockctl wait: it returns when the lock is free, soon and not before, and never takes it.
# shellcheck disable=SC2015,SC2016,SC2086,SC2317
# shellcheck source=tests/registry-tools/common.sh
. "$(dirname "$(realpath "$0")")/common.sh"

waits() { "$lockctl" wait --config /dev/null "$@"; }
# The uptime when a file was made, as `now` tells it: both by the clock of the file system.
latency() { # FILE: seconds from its making to now
    awk "BEGIN { print $(date +%s.%N) - $(stat -c %.9Y "$1") }"
}
fresh
status "a table without a lock file" 0 "" waits T
same "none is made" "" "$(find . -name '*.lock*')"
guard session "$act" "cat T/n" >/dev/null
status "a free lock" 0 "" waits T
status "by its lock file" 0 "" waits T.lock
status "no table" 2 "name one table" waits
status "two tables" 2 "name one table" waits T U
status "a timeout that is none" 2 "is no number of seconds" waits --timeout x T
status "no such table" 78 "neither a table nor" waits V

for scope in session process command; do
    fresh
    options="--scope $scope" run "$act" "open 0 T/n rw" "mark held" "await held+" "close 0" "mark freed" &
    at held
    status "scope $scope: held" 6 "was not free within" waits --timeout 0.1 T
    status "scope $scope: held, asked once" 6 "was not free" waits --timeout 0 T
    waits T &
    waiter=$!
    sleep 0.3
    check "scope $scope: it waits" kill -0 $waiter
    go held
    wait $waiter
    same "scope $scope: status" 0 $?
    took=$(latency freed)
    check "scope $scope: it was freed before" test -e freed
    below "scope $scope: it returns soon" 0.15 "$took"
    check "scope $scope: it is free" is_free
    wait
done

# Killed: the end of the process frees it, and wakes at once.
fresh
guard process "$act" "put T/n 1" "mark held" "pid" "sleep 30" >pid &
at held
waits T &
waiter=$!
sleep 0.2
kill -KILL "$(head -1 pid)"
: >freed
wait $waiter
below "a killed holder" 0.2 "$(latency freed)"
wait

# Handed on from one to the next: it does not return in between while others hold it at every look.
fresh
for i in 1 2 3; do guard session "$act" "open 0 T/n rw" "sleep 0.25" "close 0" "mark done$i" & done
soon is_held
waits T
check "three one after the other" test -e done1 -a -e done2 -a -e done3
wait

# Shared holders.
fresh
LOCKSHIM_SHARED=1 guard session "$act" "open 0 T/n r" "mark one" "await one+" "close 0" &
LOCKSHIM_SHARED=1 guard session "$act" "open 0 T/n r" "mark two" "await two+" "close 0" &
at one
at two
go one
status "one of two readers is left" 6 "was not free" waits --timeout 0.3 T
go two
status "none is left" 0 "" waits --timeout 5 T
wait

# Unguarded holders, with and without a registry.
for state in "guard session $act 'cat T/n'" "true"; do
    fresh
    eval "$state" >/dev/null
    flock T.lock sleep 0.6 &
    soon is_held
    waits T
    same "held by flock(1)" 0 $?
    check "and is free after" is_free
    wait
done
flock T.lock sleep 30 &
holder=$!
soon is_held
status "held by flock(1): timeout" 6 "was not free" waits --timeout 0.2 T
kill $holder && wait $holder 2>/dev/null
pkill -P $holder 2>/dev/null
soon is_free

# The lock file is replaced: the one at the path counts.
fresh
guard session "$act" "open 0 T/n rw" "mark held" "await held+" "close 0" &
at held
waits T &
waiter=$!
sleep 0.1
rm T.lock
wait $waiter
same "a removed lock file is free" 0 $?
go held
wait

# It never takes the lock, nor reads the kernel's list in a loop.
if command -v strace >/dev/null; then
    fresh
    guard session "$act" "open 0 T/n rw" "mark held" "await held+" "close 0" &
    at held
    strace -f -o trace "$lockctl" wait --config /dev/null --timeout 2.5 T 2>/dev/null
    refute "no flock" grep -Eq 'flock\(|F_(OFD_)?SETLK' trace
    refute "a guarded holder: the kernel's list is not read" grep -q '"/proc/locks"' trace
    refute "nothing is opened for writing" grep -Eq '"/[^"]*[^l]", .*(O_WRONLY|O_RDWR|O_CREAT)' trace
    below "few looks" 200 "$(grep -c ppoll trace)"
    go held
    wait
    flock T.lock sleep 30 &
    holder=$!
    soon is_held
    strace -f -o trace "$lockctl" wait --config /dev/null --timeout 2.5 T 2>/dev/null
    below "an unguarded one: at most once a second" 4 "$(grep -c '"/proc/locks"' trace)"
    refute "no flock either" grep -Eq 'flock\(|F_(OFD_)?SETLK' trace
    pkill -P $holder 2>/dev/null
    wait
else
    skip "it never takes the lock (no strace)"
fi
if [ "$(id -u)" = 0 ]; then
    fresh
    guard session "$act" "open 0 T/n rw" "mark held" "await held+" "close 0" &
    at held
    status "another user's holder" 6 "was not free" as_ordinary "$lockctl" wait --config /dev/null --timeout 0.3 T
    as_ordinary "$lockctl" wait --config /dev/null T &
    waiter=$!
    sleep 0.3
    go held
    wait $waiter
    same "another user's holder lets go" 0 $?
    wait
fi
finish
