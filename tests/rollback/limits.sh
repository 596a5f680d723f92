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

# --- a journal kept from one session to the next ---
fresh
guard session "$act" "put T/n 1" "put T/n 2"
same "kept: gone with the process" "2" "$(state)"
guard session "$act" "put T/n 3" "_exit 1"
same "kept: _exit" "3" "$(state)"
guard session "$act" "put T/n 4" exec true
same "kept: exec" "4" "$(state)"
guard session "$act" "put T/n 5" exec "$act" "ask T/n"
same "kept: exec of a guarded program" "5" "$(state)"
guard session "$act" "put T/n 6" exec "$act" "put T/n 7" "put T/n 8"
same "kept: and it goes on" "8" "$(state)"
guard session sh -c 'echo 1 >T/n; (echo 2 >T/n); echo 3 >T/n; "$0" "put T/m 1"' "$act"
same "kept: forked children" "3" "$(state)"
guard session "$act" "put T/n 1" "mark 1" "await 1+" "put T/n 3" &
at 1
check "kept: while the process lives" test -e T.lock.undo/journal
same "recover --list says nothing" "" "$("$lockctl" recover --raw -n T)"
"$lockctl" recover --rollback T >said
same "recover --rollback finds nothing" "1 there is nothing to roll back" \
    "$(cat T/n) $(sed 's/.*: //' said)"
guard session "$act" "put T/n 2" "put T/m 2"
same "another process comes and goes" "2" "$(cat T/n)"
LOCKSHIM_ON_CRASH=report guard session "$act" "put T/m 3" "put T/m 4"
killed guard session "$act" "put T/n 4" "open 0 T/n rw" "write 0 5" "raise 9"
go 1
wait
same "one that is killed is undone, and nothing is left" "3" "$(state)"
killed guard session "$act" "put T/n 1" "raise 9"
check "killed between two sessions: it stays" test -e T.lock.undo/journal
same "and says nothing" "" "$("$lockctl" recover --raw -n T)"
for policy in report fail rollback; do
    LOCKSHIM_ON_CRASH=$policy guard session "$act" "put T/m 1"
    same "the next, under $policy, removes it" "1" "$(state)"
    killed guard session "$act" "put T/n 1" "raise 9"
done
guard session "$act" "cat T/n" >/dev/null
same "so does one that only reads" "1" "$(state)"
guard session "$act" "put T/n 1" "mark 2" "await 2+" "open 0 T/n rw" "write 0 9" "raise 9" 2>/dev/null &
at 2
rm -rf T.lock.undo
go 2
wait
same "removed by somebody: there is a new one" "9 journal" "$(state)"
same "which is followed" "1" "$(look; state)"
guard session "$act" "put T/n 1" "mark 3" "await 3+" "put T/n 2" "open 0 T/n rw" "write 0 9" "raise 9" 2>/dev/null &
at 3
mv T.lock.undo elsewhere
killed guard process "$act" "put T/n 5" "raise 9"
go 3
wait
same "moved away by somebody, and another one is dead" "2" "$(look; state)"
guard session "$act" "put T/n 1" "mark 4" "await 4+" "put T/n 3" &
at 4
flock T.lock sh -c ': >5; sleep 0.05' &
at 5
go 4
wait
same "while a stranger holds the lock for a moment" "3" "$(state)"
rm -rf elsewhere
if [ "$(id -u)" = 0 ]; then
    chmod 755 .
    as_other() {
        setpriv --reuid 65534 --regid 65534 --clear-groups env LD_PRELOAD="$shim" \
            LOCKSHIM_TABLE="$work/T" LOCKSHIM_SCOPE=session LOCKSHIM_SHARED=1 "$act" "$@" 2>/dev/null
    }
    echo secret >T/secret
    chmod 600 T/secret
    guard session "$act" "put T/n 1" "put T/secret 1" "mark 6" "await 6+" "put T/n 3" "raise 9" 2>/dev/null &
    at 6
    same "kept: another user reads the table" "" "$(as_other "open 0 T/n r" "read 0" | grep -v '^1$')"
    setpriv --reuid 65534 --regid 65534 --clear-groups cat T.lock.undo/records >said 2>/dev/null
    same "but not what is kept of it" "" "$(cat said)"
    go 6
    wait
    same "nor is it kept out when that was killed between two sessions" "" \
        "$(as_other "open 0 T/n r" "read 0" | grep -v '^3$')"
    killed guard session "$act" "open 0 T/n rw" "write 0 5" "raise 9"
    same "but when it was inside" "open 0 T/n r: EOWNERDEAD" "$(as_other "open 0 T/n r")"
    look
    same "until somebody has put it back" "3" "$(state)"
    rm T/secret
fi

# --- parts of large files ---
fresh
head -c 3000000 /dev/urandom >T/big
sum=$(md5sum <T/big)
killed env LOCKSHIM_UNDO_LIMIT=10K LD_PRELOAD="$shim" LOCKSHIM_TABLE="$work/T" LOCKSHIM_SCOPE=process \
    "$act" "open 0 T/big rw" "write 0 X" "open 1 T/big append" "write 1 more" "raise 9"
same "a large file costs what is changed of it" "4096" \
    "$("$lockctl" recover --json T | $python -c 'import json, sys
print(*sorted((row["bytes"] for row in json.load(sys.stdin)["undo"]), reverse=True))')"
look
same "and is put back" "$sum" "$(md5sum <T/big)"
LOCKSHIM_UNDO_LIMIT=10K guard process "$act" "truncate T/big 2980000" >said 2>/dev/null
same "cutting off more than the limit" "truncate T/big 2980000: ENOSPC $sum" "$(cat said) $(md5sum <T/big)"

# --- limits ---
fresh
head -c 3000000 /dev/urandom >T/big
sum=$(md5sum <T/big)
LOCKSHIM_UNDO_LIMIT=1M guard process "$act" "fopen 0 T/big r+" >said 2>err
same "undo-limit: ENOSPC" "fopen 0 T/big r+: ENOSPC" "$(cat said)"
check "it is told" grep -q "undo-limit" err
same "nothing has changed" "$sum" "$(md5sum <T/big)"
LOCKSHIM_UNDO_LIMIT=4M guard process "$act" "fopen 0 T/big r+" "fputs 0 X" "fclose 0"
refute "a larger one is enough" [ "$sum" = "$(md5sum <T/big)" ]
for wrong in "" 1X -1 1.5G M 99999999999999999999; do
    LOCKSHIM_UNDO_LIMIT=$wrong guard process true 2>/dev/null
    same "undo-limit '$wrong' is refused" 78 $?
done
sum=$(md5sum <T/big)
said=$( (ulimit -f 1000; guard process "$act" "fopen 0 T/big r+" 2>/dev/null))
same "a limit on file sizes: the change fails, the program lives" "fopen 0 T/big r+: EFBIG" "$said"
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
    said=$(LOCKSHIM_TABLE=$work/small/T LD_PRELOAD=$shim "$act" "fopen 0 small/T/big r+" 2>/dev/null)
    same "a full disk: the change fails" "fopen 0 small/T/big r+: ENOSPC" "$said"
    same "and has not happened" "$sum" "$(md5sum <small/T/big)"
    same "nothing is left" "T T.lock T.lock.registry" "$(cd small && echo *)"
    head -c 9000000 /dev/zero >small/fill 2>/dev/null
    said=$(LOCKSHIM_TABLE=$work/small/T LD_PRELOAD=$shim "$act" "open 0 small/T/big rw" "write 0 X" 2>/dev/null)
    same "no room for a part: the change fails" "write 0 X: ENOSPC $sum" "$said $(md5sum <small/T/big)"
    rm small/fill
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
