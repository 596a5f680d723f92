#!/bin/bash
# lockctl break: every verdict, guarded and unguarded holders, exit statuses and texts.
# shellcheck disable=SC2016
# shellcheck source=tests/e2e/common.sh
. "$(dirname "$(realpath "$0")")/../e2e/common.sh"
writer=$BUILD/break/writer

# broken NAME STATUS TEXT OPTION... LOCK: exit status, and a text in what it says.
broken() {
    local name=$1 status=$2 text=$3 got
    shift 3
    timeout 60 "$lockctl" break "$@" >out 2>&1 </dev/null
    got=$?
    if [ "$got" = "$status" ] && grep -q -- "$text" out; then
        ok "$name"
    else
        not_ok "$name" "status $got, wanted $status and '$text': $(cat out)"
    fi
}
# shellcheck disable=SC2317 # called through soon
state_is() { [ "$(sed 's/.*) //; s/ .*//' "/proc/$1/stat" 2>/dev/null)" = "$2" ]; }
stop() {
    kill -STOP "$1"
    soon state_is "$1" T
}
# hold SCOPE STEP...: a guarded holder in the background; its pid in $holder, its lines in file lines.
hold() {
    local scope=$1
    shift
    LD_PRELOAD=$shim LOCKSHIM_TABLE=$work/T LOCKSHIM_SCOPE=$scope "$act" "$@" "mark up" "await over" \
        "put T/n 9" "mark tried" "await end" >lines 2>errors &
    holder=$!
    at up
}
# The holder goes on, its next call fails, and what it said was one line.
is_fenced() {
    go_on
    same "$1: its next call fails" "put T/n 9: ESTALE" "$(grep "^put" lines)"
    same "$1: one line" 1 "$(grep -c "the lock was broken" errors)"
    : >end
    wait "$holder" 2>/dev/null
    same "$1: the table is as it was" 0 "$(cat T/n)"
}
go_on() {
    : >over
    kill -CONT "$holder" 2>/dev/null
    at tried
}
end_all() {
    : >over
    : >end
    kill -CONT "$holder" 2>/dev/null
    wait "$holder" 2>/dev/null
}

# --- nothing to do ---
fresh
: >T.lock
broken "free: nothing to do" 0 "free: .*nothing to break" T
(guard process "$act" "put T/n 1" "raise 9") >/dev/null 2>&1
broken "crashed: nothing to do" 0 "crashed: .*see 'lockctl recover'" T
broken "no lock" 78 "neither a table nor a lock file" nothing
broken "two locks" 2 "exactly one" T U
broken "no signal of that name" 2 "is no signal" --kill=NONSENSE T
broken "help" 0 "Usage: lockctl break" --help

# --- healthy ---
for scope in process session; do
    fresh
    hold $scope "open 0 T/n rw"
    broken "$scope, healthy: refused" 4 "healthy: held by process $holder" T
    broken "$scope, healthy, by its lock file: refused" 4 "healthy" T.lock
    cp T.lock.registry before
    broken "$scope, dry run" 0 "would raise the fence" --force --dry-run T
    check "$scope, dry run: the registry is as it was" cmp before T.lock.registry
    check "$scope: still held" is_held
    broken "$scope, forced" 0 "will raise the fence" --force T
    check "$scope, forced: free" is_free
    is_fenced "$scope, forced"
done

# --- stopped ---
for scope in process session; do
    fresh
    hold $scope "open 0 T/n rw"
    stop "$holder"
    broken "$scope, stopped" 0 "stopped: process $holder is stopped" T
    check "$scope, stopped: free" is_free
    is_fenced "$scope, stopped"
done
fresh
run "$act" "open 0 T/n rw" "mark up" "await over" "put T/n 9" "mark tried" "await end" >lines 2>errors &
at up
holder=$(pgrep -f "^$act open 0 T/n rw mark up" | tail -1)
stop "$holder"
broken "command, stopped" 0 "stopped: process $holder" T
check "command, stopped: free" is_free
go_on
same "command: its next call fails" "put T/n 9: ESTALE" "$(cat lines)"
same "command: one line" 1 "$(grep -c "the lock was broken" errors)"
: >end
wait
same "command: the table is as it was" 0 "$(cat T/n)"
fresh
run sh -c "$act 'put T/n 0'; touch up; until [ -e over ]; do sleep 0.05; done; $act 'put T/n 9' 'cat T/n'; $act 'put T/n 9'" >lines 2>errors &
at up
broken "command, between two members" 0 "freed" --force T
go over && mv over+ over
wait
same "command: members that come later fail" "put T/n 9: ESTALE
cat T/n: ESTALE
put T/n 9: ESTALE" "$(cat lines)"
same "command: the table is as it was" 0 "$(cat T/n)"
fresh
flock -F T.lock sleep 100 &
holder=$!
soon is_held
stop $holder
broken "unguarded, stopped" 0 "not guarded" T
check "unguarded, stopped: free" is_free
check "unguarded, stopped: it lives" kill -CONT $holder
check "unguarded: goes on" soon state_is $holder S
broken "unguarded: nothing left to break" 0 "free" T
kill -KILL $holder
wait $holder 2>/dev/null

# --- who may be half-written ---
fresh
hold process "put T/n 1" "cat T/n"
stop "$holder"
check "broken inside" "$lockctl" break T
same "the next learns that it may be half-written" "cat T/n: EOWNERDEAD" \
    "$(LOCKSHIM_ON_CRASH=fail guard process "$act" "cat T/n" 2>/dev/null)"
end_all
same "so does the one after it, though the old one has ended" "cat T/n: EOWNERDEAD" \
    "$(LOCKSHIM_ON_CRASH=fail guard process "$act" "cat T/n" 2>/dev/null)"
broken "and the verdict says so" 0 "crashed" T
fresh
hold process "cat T/n"
stop "$holder"
check "broken, having only read" "$lockctl" break T
same "then nothing is half-written" "" "$(LOCKSHIM_ON_CRASH=fail guard process "$act" "cat T/n" 2>&1)"
end_all

# --- with an undo journal ---
fresh
export LOCKSHIM_ON_CRASH=rollback
hold process "open 0 T/n rw" "write 0 123" "put T/new 1"
same "with an undo journal: changed" 1230 "$(tr -d '\n' <T/n)0"
stop "$holder"
broken "with an undo journal" 0 "as it was before the holder came" T
same "with an undo journal: rolled back" "0 n" "$(cat T/n) $(ls T)"
is_fenced "with an undo journal"
same "with an undo journal: nothing is half-written" "" \
    "$(LOCKSHIM_ON_CRASH=fail guard process "$act" "cat T/n" 2>&1)"
unset LOCKSHIM_ON_CRASH

# --- orphaned ---
fresh
flock T.lock sh -c 'sleep 100 & echo $! >kept'
broken "orphaned" 0 "orphaned: .*keeps it by an inherited descriptor" T
check "orphaned: free" is_free
check "orphaned: the one that kept it lives on" kill -0 "$(cat kept)"
kill -KILL "$(cat kept)"

# --- stuck ---
fresh
hold process "cat T/n"
guard process "$act" "cat T/n" "mark got" &
waiter=$!
sleep 1.2
broken "not stuck yet" 4 "healthy" T
broken "stuck" 0 "stuck: process $holder has held it" --stuck-after 0.5 T
check "stuck: the next has it" soon test -e got
same "stuck: who is told" 1 "$(grep -c "^next: process .* has got the lock" out)"
wait $waiter
end_all

for preload in "$shim" ""; do
    fresh
    name="uninterruptible, ${preload:+guarded}"
    if [ -n "$preload" ]; then
        LD_PRELOAD=$shim LOCKSHIM_TABLE=$work/T LOCKSHIM_SCOPE=process "$writer" X "$work/T" vfork >lines 2>&1 &
    else
        flock -F T.lock "$writer" X "$work/T" vfork >lines 2>&1 &
    fi
    holder=$!
    soon state_is "$holder" D
    broken "$name" 0 "stuck: process $holder is in uninterruptible sleep" T
    check "$name: free" is_free
    pkill -KILL -P "$holder"
    soon state_is "$holder" R
    cksum T/* >before
    sleep 0.1
    cksum T/* >after
    check "$name: nothing is written when it goes on" cmp before after
    kill -KILL "$holder"
    wait "$holder" 2>/dev/null
done

# --- one who joined ---
fresh
LD_PRELOAD=$shim LOCKSHIM_TABLE=$work/T LOCKSHIM_SCOPE=process "$act" "cat T/n" fork "put T/n 0" "mark up" \
    "await over" "put T/n 9" "mark tried" "await end" end wait >lines 2>errors &
holder=$!
at up
broken "joined, with the holder" 0 "joined another holder" --force T
same "joined: others can get in" "" "$(limit=5 guard session "$act" "put T/other 1" 2>&1)"
go_on
same "joined: fenced as well" "put T/n 9: ESTALE" "$(grep "^put" lines)"
same "joined: the table is as it was" 0 "$(cat T/n)"
end_all

# --- split ---
fresh
hold session "open 0 T/n rw"
rm T.lock
broken "split" 0 "split: .*deleted or replaced" T
is_fenced "split"
fresh
hold session "open 0 T/n rw"
rm T.lock
guard session "$act" "open 0 T/n rw" "mark new" "await end" &
at new
broken "split, the new one is held: refused" 4 "the new lock file at this path is held" T
broken "split, forced" 0 "not promised" --force T
: >over
at tried
same "split, forced: its next call fails" "put T/n 9: ESTALE" "$(grep "^put" lines)"
check "split: the new one still has it" is_held
end_all
wait
fresh
for name in lonely lonely.lock; do
    flock -F lonely.lock sleep 60 &
    holder=$!
    soon is_held lonely.lock
    rm lonely.lock
    broken "split, neither lock file nor table exists: $name" 0 "^freed" "$name"
    broken "and nobody has it any more: $name" 78 "neither a table nor a lock file '$name'" "$name"
    kill "$holder"
    wait "$holder" 2>/dev/null
done

# --- deadlock ---
fresh
: >a
: >b
"$act" "open 0 a rw" "flock 0 ex" "mark 1" "await 2" "open 1 b rw" "flock 1 ex" &
first=$!
at 1
sleep 0.1
"$act" "open 0 b rw" "flock 0 ex" "mark 2" "open 1 a rw" "flock 1 ex" "mark both" &
second=$!
at 2
sleep 0.3
broken "deadlock" 0 "deadlock" b
check "deadlock: the first goes on" soon eval "! kill -0 $first 2>/dev/null"
check "deadlock: and so does the other" soon test -e both
wait "$first" "$second"

# --- killing ---
fresh
hold session "open 0 T/n rw"
broken "kill, healthy: refused" 4 "healthy" --kill T
broken "kill" 0 "will send SIGKILL" --kill --force T
refute "kill: it has ended" kill -0 "$holder"
check "kill: free" is_free
wait "$holder" 2>/dev/null
fresh
hold session "open 0 T/n rw"
stop "$holder"
broken "kill=TERM, stopped" 0 "will send SIGTERM" --kill=TERM T
refute "kill=TERM: it has ended" kill -0 "$holder"
wait "$holder" 2>/dev/null
fresh
flock -F T.lock sh -c 'trap "" TERM; touch up; while :; do sleep 0.1; done' &
at up
broken "kill=term, ignored" 4 "has not ended" --kill=term --force T
check "kill=term, ignored: still held" is_held
broken "kill, unguarded, forced" 0 "freed" --kill --force T.lock
wait

# --- several shared holders ---
fresh
export LOCKSHIM_SHARED=1
guard session "$act" "open 0 T/n r" "mark 1" "await end" &
guard session "$act" "open 0 T/n r" "mark 2" "await end" &
at 1
at 2
unset LOCKSHIM_SHARED
readers=$(pgrep -f "^$act open 0 T/n r mark")
for reader in $readers; do stop "$reader"; done
broken "shared, all stopped" 0 "all 2 holders are stopped" T
check "shared: free" is_free
for reader in $readers; do kill -CONT "$reader"; done
: >end
wait

# --- a leader that has exited ---
fresh
LD_PRELOAD=$shim LOCKSHIM_TABLE=$work/T LOCKSHIM_SCOPE=process "$writer" X "$work/T" leader >lines 2>&1 &
holder=$!
soon state_is "$holder" Z
soon grep -q up lines
broken "the leader has exited" 0 "freed" --force T
cksum T/* >before
sleep 0.1
cksum T/* >after
check "the leader has exited: nothing is written any more" cmp before after
kill -KILL "$holder"
wait "$holder" 2>/dev/null

# --- another PID namespace ---
if unshare -p -f --mount-proc true 2>/dev/null; then
    fresh
    LD_PRELOAD=$shim LOCKSHIM_TABLE=$work/T LOCKSHIM_SCOPE=process unshare -p -f --mount-proc \
        "$act" "put T/n 1" "mark up" "await over" "put T/n 9" "mark tried" "await end" >lines 2>errors &
    at up
    holder=$(pgrep -f "^$act put T/n 1 mark up")
    broken "in another PID namespace" 0 "guarded, acquisition" --force T
    go_on
    same "in another PID namespace: fenced" "put T/n 9: ESTALE" "$(cat lines)"
    : >end
    wait
else
    skip "in another PID namespace: none can be made here"
fi

# --- what the registry counts ---
fresh
hold process "cat T/n"
check "broken once" "$lockctl" break --force T
go_on
check "the registry counts the break and the refused call" \
    sh -c "$lockctl stats --json T | tr -d ' \n' | grep -q '\"breaks\":1.*\"fenced\"' || $lockctl stats T | grep -q 'breaks *1'"
end_all

# --- exec in the broken holder inherits nothing ---
fresh
LD_PRELOAD=$shim LOCKSHIM_TABLE=$work/T LOCKSHIM_SCOPE=process "$act" "cat T/n" "mark up" "await over" \
    exec "$act" "mark executed" "await end" &
holder=$!
at up
check "broken before exec" "$lockctl" break --force T
go over && mv over+ over
at executed
check "exec after a break: the lock stays free" is_free
end_all
finish
