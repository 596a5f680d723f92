#!/bin/bash
# Rollback where something is in the way: limits, full disks, other file systems, other policies; and
# who is the owner: sessions, commands, programs that are executed, readers.
# shellcheck disable=SC2016
# shellcheck source=tests/e2e/common.sh
. "$(dirname "$(realpath "$0")")/../e2e/common.sh"
export LOCKSHIM_ON_CRASH=rollback
# shellcheck disable=SC2034
options="--on-crash rollback"

# state: what T/n says, and whether a journal is there.
state() { echo "$(cat T/n)$([ ! -e T.lock.undo ] || echo ' journal')"; }
look() { guard process "$act" "ask T/n" 2>&1; }
killed() { ("$@") >/dev/null 2>&1; }

# --- who ends how ---
fresh
guard process "$act" "put T/n 1"
same "process: ended in order, nothing is left" "1" "$(state)"
killed guard process "$act" "put T/n 2" "raise 9"
same "process: killed" "2 journal" "$(state)"
look
same "process: the next puts it back" "1" "$(state)"
killed guard process "$act" "put T/n 2" "abort"
look
same "process: aborted" "1" "$(state)"
guard process "$act" "put T/n 2" "exit 1"
same "process: exit status 1 counts" "2" "$(state)"
guard process "$act" "put T/n 3" "_exit 1"
same "process: _exit counts" "3" "$(state)"
guard process "$act" "put T/n 4" exec true
same "process: executed another program, which ended" "4" "$(look; state)"
killed guard process "$act" "put T/n 5" exec "$act" "raise 9"
same "process: killed after exec, all of it is undone" "4" "$(look; state)"
guard process "$act" "fopen 0 T/n w" "fputs 0 5" exec true
same "process: what stdio had in its buffer at exec is gone, as ever" "" "$(look; state)"
guard process "$act" "put T/n 6"
killed guard session "$act" "put T/n 7" "open 0 T/n rw" "write 0 8" "raise 9"
same "session: only the last session is undone" "7" "$(look; state)"
guard call "$act" "open 0 T/n rw" "write 0 8" "close 0"
same "call: counts at once" "8" "$(state | head -1)"
killed guard process sh -c 'echo 1 >T/n; kill -9 $$'
same "process: a shell that is killed" "8" "$(look; state | head -1)"

# --- commands ---
fresh
run sh -c 'echo 1 >T/n; rm -f T/gone; echo x >T/new; rm T/new'
same "command: ended in order" "1" "$(state)"
killed run sh -c 'echo 2 >T/n; cp T/n T/copy; kill -9 $$'
same "command: killed, lockctl puts it back" "1 T/n" "$(state) $(echo T/*)"
killed run sh -c "$act 'put T/n 2' 'raise 9'; true"
same "command: the last to change was killed" "1" "$(state)"
killed run sh -c "$act 'put T/n 2' 'raise 9'; $act 'put T/n 3'"
same "command: killed, but another one changed it after that" "3" "$(state)"
killed run sh -c 'echo 4 >>T/n; sort T/n | tee T/sorted >/dev/null; mv T/sorted T/n; kill -9 $$'
same "command: a pipeline, then killed" "3" "$(state)"
(guard command sh -c "$act 'put T/n 5'; true")
same "without lockctl: ended in order" "5" "$(state)"
killed guard command sh -c "$act 'put T/n 6'; kill -9 \$\$"
same "without lockctl: killed" "5" "$(look; state)"
run "$act" "put T/n 7" "mark 1" "await 1+" >/dev/null 2>&1 &
at 1
supervisor=$(pgrep -f "^$lockctl run --table T" | head -1)
kill -KILL "$supervisor"
soon eval '! kill -0 "$supervisor" 2>/dev/null'
go 1
wait
soon is_free
look
same "lockctl killed, the command ended in order" "7" "$(state)"
refute "a static program is refused" run "$act-static" "put T/n 8"
refute "by a member too" run sh -c "$act-static 'put T/n 8'"
same "and has not run" "7" "$(state)"

# --- other policies, readers ---
for policy in report fail; do
    fresh
    killed guard process "$act" "put T/n 1" "raise 9"
    LOCKSHIM_ON_CRASH=$policy guard process "$act" "put T/m 1"
    same "$policy finds a journal: it is followed" "0" "$(state)"
done
killed guard process "$act" "put T/n 1" "raise 9"
LOCKSHIM_SHARED=1 guard process "$act" "ask T/n"
same "a shared reader puts it back" "0" "$(state)"
killed guard process "$act" "put T/n 1" "raise 9"
LOCKSHIM_SHARED=1 guard session "$act" "open 0 T/n r" "read 0" "mark 1" "await 1+" >out &
at 1
same "and reads what was" "0" "$(cat out)"
check "others may read with it" env LOCKSHIM_SHARED=1 LD_PRELOAD="$shim" LOCKSHIM_TABLE="$work/T" \
    LOCKSHIM_TIMEOUT=0 cat T/n
go 1
wait
rm -f T.lock.registry
killed guard process "$act" "put T/n 1" "raise 9"
rm -f T.lock.registry
look
same "a registry that is lost" "0" "$(state)"
killed guard process "$act" "put T/n 1" "raise 9"
killed guard process "$act" "put T/n 2" "raise 9"
killed guard process "$act" "put T/n 3" "raise 9"
look
same "several holders in a row that die" "0" "$(state)"

# --- limits ---
fresh
head -c 3000000 /dev/urandom >T/big
sum=$(md5sum <T/big)
LOCKSHIM_UNDO_LIMIT=1M guard process "$act" "open 0 T/big rw" "write 0 X" >said 2>err
same "undo-limit: ENOSPC" "write 0 X: ENOSPC" "$(cat said)"
check "it is told" grep -q "undo-limit" err
same "nothing has changed" "$sum" "$(md5sum <T/big)"
LOCKSHIM_UNDO_LIMIT=4M guard process "$act" "open 0 T/big rw" "write 0 X"
refute "a larger one is enough" [ "$sum" = "$(md5sum <T/big)" ]
for wrong in "" 1X -1 1.5G M 99999999999999999999; do
    LOCKSHIM_UNDO_LIMIT=$wrong guard process true 2>/dev/null
    same "undo-limit '$wrong' is refused" 78 $?
done
sum=$(md5sum <T/big)
said=$( (ulimit -f 1000; guard process "$act" "open 0 T/big rw" "write 0 Y" 2>/dev/null))
same "a limit on file sizes: the change fails, the program lives" "write 0 Y: EFBIG" "$said"
same "nothing has changed" "$sum" "$(md5sum <T/big)"
LOCKSHIM_DURABLE=1 guard process "$act" "put T/n 1" "put T/m 1" "unlink T/m"
same "durable: ended in order" "1" "$(state)"
LOCKSHIM_DURABLE=1 killed guard process "$act" "put T/n 2" "raise 9"
same "durable: killed" "1" "$(look; state)"

# --- full disks and other file systems ---
if [ "$(id -u)" = 0 ] && mkdir small && mount -t tmpfs -o size=3m tmpfs small 2>/dev/null; then
    mkdir small/T
    head -c 1500000 /dev/urandom >small/T/big
    echo 0 >small/T/n
    sum=$(md5sum <small/T/big)
    said=$(LOCKSHIM_TABLE=$work/small/T LD_PRELOAD=$shim "$act" "open 0 small/T/big rw" "write 0 X" 2>/dev/null)
    same "a full disk: the change fails" "write 0 X: ENOSPC" "$said"
    same "and has not happened" "$sum" "$(md5sum <small/T/big)"
    same "nothing is left" "T T.lock T.lock.registry" "$(cd small && echo *)"
    (LOCKSHIM_TABLE=$work/small/T LD_PRELOAD=$shim "$act" "put small/T/n 1" "unlink small/T/big" "raise 9") 2>/dev/null
    head -c 9000000 /dev/zero >small/fill 2>/dev/null
    LOCKSHIM_TABLE=$work/small/T LD_PRELOAD=$shim "$act" "ask small/T/n"
    same "rolling back on a full disk" "0 $sum" "$(cat small/T/n) $(md5sum <small/T/big)"
    # The lock file elsewhere: nothing can be linked or renamed.
    rm -f small/fill
    echo 5 >T/n
    chmod 640 T/n
    touch -d 2001-01-01 T/n
    before=$(stat -c '%a %y' T/n)
    mkdir T/d
    export LOCKSHIM_LOCK=$work/small/lock
    (guard process "$act" "put T/n 6" "unlink T/big" "rmdir T/d" "put T/x 1" "raise 9") 2>/dev/null
    guard process "$act" "ask T/n"
    same "a lock file on another file system" "5 $before T/big T/d T/n" "$(cat T/n) $(stat -c '%a %y' T/n) $(echo T/*)"
    unset LOCKSHIM_LOCK
    umount small
else
    skip "full disks (needs root)"
fi

# --- lockctl recover ---
fresh
killed guard process "$act" "put T/n 1" "put T/new 1" "raise 9"
same "recover --list" "remove $work/T/new restore $work/T/n" \
    "$("$lockctl" recover --raw -n -o ACTION,PATH T | xargs)"
same "it is JSON" "2" "$("$lockctl" recover --list --json T | $python -c 'import json, sys
print(len(json.load(sys.stdin)["undo"]))')"
flock T.lock "$lockctl" recover --rollback T >/dev/null 2>&1
same "held: refused" 1 $?
flock T.lock "$lockctl" recover --rollback --timeout 0.1 T >/dev/null 2>&1
same "held for longer than was to be waited: 6" 6 $?
check "recover --rollback" "$lockctl" recover --rollback T
same "it is as before" "0 T/n" "$(state) $(echo T/*)"
killed guard process "$act" "put T/n 1" "raise 9"
check "recover --accept" "$lockctl" recover --accept T
same "it stays as it is" "1" "$(state)"
killed guard process "$act" "put T/n 2" "raise 9"
head -c 1000 /dev/urandom >T.lock.undo/journal
same "a journal that can't be read keeps everybody out" "cat T/n: EOWNERDEAD" \
    "$(guard process "$act" "cat T/n" 2>/dev/null)"
refute "it can't be rolled back" "$lockctl" recover --rollback T
check "but accepted" "$lockctl" recover --accept T
same "then all is well" "2" "$(guard process "$act" "ask T/n")$(state)"
finish
