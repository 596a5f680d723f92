#!/bin/bash
# Cycles over several tables and processes: found when they close, one of them gets EDEADLK, the
# others go on; nothing is taken for a cycle that is none.
# shellcheck disable=SC2016,SC2210
# shellcheck source=tests/e2e/common.sh
. "$(dirname "$(realpath "$0")")/common.sh"
limit=100

# With $count tables t0, t1, …: process i holds ti and wants t(i+1).
tables() {
    local i
    for ((i = 0; i < count; i++)); do echo "$work/t$i"; done
}
many() {
    within env LD_PRELOAD="$shim" LOCKSHIM_TABLES="$(tables)" LOCKSHIM_SCOPE="$1" "${@:2}"
}
turn() {
    local scope=$1 count=$2 i next process all=()
    rm -rf "${work:?}"/*
    for ((i = 0; i < count; i++)); do mkdir t$i && echo 0 >t$i/n; done
    for ((i = 0; i < count; i++)); do
        next=$(((i + 1) % count))
        if [ "$scope" = command ]; then
            # shellcheck disable=SC2046
            within "$lockctl" run $(tables | sed 's/^/--table /') -- sh -c "cat t$i/n >said
                : >in-$i; while [ ! -e go ]; do sleep 0.02; done
                $act 'cat t$next/n' >out-$i; $act 'put t$i/n done'" 2>/dev/null &
        else
            many "$scope" "$act" "open 0 t$i/n rw" "mark in-$i" "await go" "open 1 t$next/n rw" \
                "write 0 done" >out-$i 2>/dev/null &
        fi
        all+=($!)
    done
    for ((i = 0; i < count; i++)); do at in-$i; done
    began=$(date +%s.%N)
    : >go
    for process in "${all[@]}"; do wait "$process"; done
    took=$(awk "BEGIN { print $(date +%s.%N) - $began }")
    same "$scope, $count: one is told" 1 "$(cat out-* | grep -c EDEADLK)"
    same "$scope, $count: nothing else fails" 1 "$(cat out-* | wc -l)"
    same "$scope, $count: all go on" "$count" "$(grep -l "done" t*/n | wc -l)"
}
cycle() {
    for _ in 1 2 3; do # on a busy machine any process may be late once
        turn "$@"
        [ "${took%.*}" -ge 1 ] || break
    done
    below "$1, $2: found when it closes" 1.5 "$took"
}
for scope in process session command; do
    for count in 2 3 10; do cycle $scope $count; done
done

# Again and again, both at once: never two of them.
told=0
for _ in 1 2 3 4 5 6 7 8 9 10; do
    fresh
    guard_both process "$act" "cat T/n" "mark 1" "await 2" "cat U/n" >out-1 2>/dev/null &
    guard_both process "$act" "cat U/n" "mark 2" "await 1" "cat T/n" >out-2 2>/dev/null
    wait
    told=$((told + $(cat out-1 out-2 | grep -c EDEADLK)))
done
same "ten rounds: ten times one of two" 10 $told

# With flock(1), which waits for its command, and that for the other lock.
fresh
flock T.lock sh -c ': >1; while [ ! -e 2 ]; do sleep 0.02; done; flock -w 10 U.lock true; : >3' &
at 1
began=$(now)
same "flock(1) in the cycle" "cat T/n: EDEADLK" \
    "$(guard_both process "$act" "cat U/n" "mark 2" "sleep 0.1" "cat T/n" 2>/dev/null)"
below "found soon" 3 "$(since "$began")"
wait
check "flock(1) goes on" test -e 3
fresh
(
    exec 9>>T.lock 8>>U.lock
    flock 9
    : >1
    while [ ! -e 2 ]; do sleep 0.02; done
    flock 8
    : >3
) &
at 1
same "one process with both lock files in the cycle" "cat T/n: EDEADLK" \
    "$(guard_both process "$act" "cat U/n" "mark 2" "sleep 0.2" "cat T/n" 2>/dev/null)"
wait
for pause in 0 0.5; do
    fresh
    flock T.lock "$lockctl" run --table U -- sh -c "
        : >1; while [ ! -e 2 ]; do sleep 0.02; done; sleep $pause; $act 'cat U/n' >out; : >3" 2>/dev/null &
    at 1
    guard_both process "$act" "cat U/n" "mark 2" "sleep 0.25" "cat T/n" >out-2 2>/dev/null
    wait
    same "lockctl run below flock(1), $pause" 1 "$(cat out out-2 | grep -c EDEADLK)"
done

# Among so many other locks that the kernel lists them in many pieces, and these behind.
fresh
taskset -c 0 flock T.lock sh -c ': >1; while [ ! -e 3 ]; do sleep 0.02; done; flock -w 20 U.lock true; : >4' &
at 1
taskset -c 0 "$python" -c "
import fcntl, os, time
held = [open('lock-%d' % i, 'w') for i in range(900)]
for file in held:
    fcntl.flock(file, fcntl.LOCK_EX)
open('2', 'w')
while not os.path.exists('stop'):
    time.sleep(0.05)" &
many=$!
at 2
same "among 900 other locks" "cat T/n: EDEADLK" \
    "$(guard_both process "$act" "cat U/n" "mark 3" "sleep 0.2" "cat T/n" 2>/dev/null)"
: >stop
wait $many
wait

# Of two that have waited for both locks before, each has mapped the other's registry, and sleeps there:
# that makes neither of them the one whom the other waits for.
told=0
for _ in 1 2 3 4 5; do
    fresh
    guard_both session "$act" "open 0 T/n r" "open 1 U/n r" "mark 1" "sleep 0.2" "close 0" "sleep 0.2" \
        "close 1" "await 2" "open 0 T/n r" "mark 3" "await 4" "cat U/n" >out-1 2>/dev/null &
    guard_both session "$act" "await 1" "cat T/n" "cat U/n" "mark 2" "await 3" "open 0 U/n r" "mark 4" \
        "sleep 0.2" "cat T/n" >out-2 2>/dev/null
    wait
    told=$((told + $(cat out-1 out-2 | grep -c EDEADLK)))
done
same "five times: sleeping in one another's registry" 5 $told

# Through a parent that waits for its child.
fresh
guard_both process sh -c "read -r n <T/n; : >1; while [ ! -e 2 ]; do sleep 0.02; done
    $act 'cat U/n' >out; true" 2>/dev/null &
at 1
guard_both process "$act" "cat U/n" "mark 2" "cat T/n" >out-2 2>/dev/null
wait
same "through a parent that waits" 1 "$(cat out out-2 | grep -c EDEADLK)"

# No cycle: other threads' sessions, the order of two tables kept, one lock file for both.
fresh
for _ in 1 2 3; do
    guard_both session "$act" thread "add 400 T/n" thread "add 400 U/n" join "sleep 0.3" \
        "add 100 T/n" >>out 2>&1 &
done
wait
same "threads of several processes, each with one table" " 1500 1200" "$(cat out) $(cat T/n U/n | xargs)"
fresh
for _ in 1 2 3 4 5 6 7 8; do
    guard_both session "$act" "open 0 T/n rw" "open 1 U/n rw" "close 1" "close 0" "add 20 T/n" \
        "add 20 U/n" "open 0 T/n rw" "add 20 U/n" "close 0" >>out 2>&1 &
    guard_both process "$act" "add 5 T/n" "add 5 U/n" >>out 2>&1 &
done
wait
same "heavy work in one order" " 200 360" "$(cat out) $(cat T/n U/n | xargs)"
fresh
for i in 1 2 3 4 5 6; do
    within env LD_PRELOAD="$shim" LOCKSHIM_SCOPE=session LOCKSHIM_TABLES="$work/T lock=$work/one
$work/U lock=$work/one" "$act" "open 0 $([ $((i % 2)) = 0 ] && echo T || echo U)/n rw" "add 30 T/n" \
        "add 30 U/n" >>out 2>&1 &
done
wait
same "one lock file for both tables" " 180 180" "$(cat out) $(cat T/n U/n | xargs)"

# With a timeout too: EDEADLK at once, not EAGAIN later.
fresh
export LOCKSHIM_TIMEOUT=5
guard_both process "$act" "cat T/n" "mark 1" "await 2" "cat U/n" >out-1 2>/dev/null &
guard_both process "$act" "cat U/n" "mark 2" "await 1" "cat T/n" >out-2 2>/dev/null
wait
same "with a timeout" "1 0" "$(cat out-? | grep -c EDEADLK) $(cat out-? | grep -c EAGAIN)"
finish
