#!/bin/bash
# Scope `command`: one owner, from the first touch of any member until the command and all members
# that touched have ended; who leaves it, who comes late, who does without lockctl.
# shellcheck disable=SC2016
# shellcheck source=tests/e2e/common.sh
. "$(dirname "$(realpath "$0")")/common.sh"

fresh
run "$act" "mark 1" "await 1+" "cat T/n" "mark 2" "await 2+" &
at 1
check "free before the first touch" is_free
go 1
at 2
check "held after it" stays_held
go 2
wait
check "free at the end" is_free

fresh
run sh -c "cat T/n >/dev/null; : >1; while [ ! -e 1+ ]; do sleep 0.02; done" &
at 1
check "held after the member that touched has ended" stays_held
go 1
wait
check "free when the command has ended" is_free
fresh
same "members do not exclude one another" "0 5" "$(run sh -c \
    "exec 3<T/n; read -r a <&3; $act 'put T/n 5' & wait; read -r b <T/n; echo \$a \$b")"

# In the background: who has touched is waited for, who has not is not.
fresh
run "$act" "cat T/n" fork "cat T/n" "mark 1" "await 1+" end "await 2+" &
supervisor=$!
at 1
go 2
sleep 0.2
check "a background member that touched keeps the lock" stays_held
check "and lockctl waits for it" kill -0 $supervisor
go 1
wait
check "free when it has ended" is_free
fresh
run "$act" "cat T/n" fork "mark 1" "await 1+" "cat T/n" "mark 2" "await 2+" "mark 3" "await 3+" end \
    "await 1"
check "a background member that has not touched keeps nothing" is_free
go 1
at 2
check "late: it is under session, and has closed" is_free
go 2
at 3
go 3
check "free at its end" soon is_free
fresh
run "$act" "cat T/n" fork "mark 1" "await 1+" "open 0 T/n r" "mark 2" "await 2+" "close 0" "mark 3" \
    "await 3+" end "await 1"
go 1
at 2
check "late: it holds while it has something open" stays_held
go 2
at 3
check "and no longer" is_free
go 3

# Who closes what it has inherited is a member all the same: CPython's children do, by a range, or
# one by one where two of the descriptors that are passed on have neighbouring numbers.
for arguments in "" "pass_fds=os.pipe()" "pass_fds=(0,)" "close_fds=False"; do
    fresh
    same "a child with '$arguments' is a member" child "$(run "$python" -c "
import os, subprocess, time
read = lambda: open('T/n').read()
read()
child = subprocess.Popen(['$act', 'put T/n child'], $arguments)
for attempt in range(200): # it does not wait for the child, and a stranger could not come in
    if read() != '0\n': break
    time.sleep(0.01)
print(read())" | xargs)"
done

# Daemons are strangers of their own.
for leave in "setsid" "close-all"; do
    fresh
    run "$act" "cat T/n" fork "$leave" "mark 1" "await 1+" "cat T/n" "mark 2" "await 2+" end "await 1"
    check "$leave: the lock is not kept by who has left" is_free
    go 1
    at 2
    check "$leave: a stranger under session" is_free
    go 2
done
fresh
run "$act" "cat T/n" fork "daemon" "mark 1" "await 1+" "open 0 T/n r" "mark 2" "await 2+" end "await 1"
check "daemon(3): the lock is not kept" is_free
go 1
at 2
check "daemon(3): a session of its own" stays_held
go 2
check "daemon(3): free at its end" soon is_free
fresh
run "$act" "cat T/n" fork "setsid" "mark 1" "open 0 T/n r" "mark 2" "await 2+" end "await 1" \
    "sleep 0.3" "mark 3" "await 3+" &
at 3
refute "a daemon waits for the command that goes on" test -e 2
go 3
at 2
wait
check "and enters when that is over" stays_held
go 2
fresh
check "a session of its own that the command waits for" run sh -c \
    "read -r n <T/n; setsid -w $act 'put T/n 5'"
check "the same where the member that touched has ended" run sh -c \
    "cat T/n; setsid -w $act 'put T/n 5'"

# lockctl is killed: the command goes on, guarded, to its end.
fresh
run "$act" "cat T/n" fork "cat T/n" "mark 2" "await 2+" end "mark 1" "await 1+" >out 2>&1 &
at 1
at 2
kill -KILL "$(pgrep -f "^$lockctl run --table T" | head -1)"
check "SIGKILL to lockctl: held" stays_held
go 1
sleep 0.1
check "held while a member that touched lives" stays_held
go 2
check "free when the last has ended" soon is_free
wait

# Nested: the same table, another one, and both.
fresh
run "$lockctl" run --table T -- "$act" "put T/n 1" "mark 1" "await 1+" &
at 1
check "nested, the same table: held" stays_held
go 1
wait
check "nested, the same table: free" is_free
fresh
run sh -c "$lockctl run --table U -- $act 'put U/n 1' 'put T/n 1'; : >1
    while [ ! -e 1+ ]; do sleep 0.02; done" &
at 1
check "nested, another table: the inner command's is free when that ends" is_free U.lock
check "nested, another table: the outer's is held" stays_held T.lock
go 1
wait
check "nested: both free" flock -n T.lock flock -n U.lock true
fresh
run sh -c "read -r n <T/n; $lockctl run --table U --scope session -- \
    $act 'cat U/n' 'put T/n 1' 'mark 1' 'await 1+'" &
at 1
check "nested with scope session: the inner table is free between" is_free U.lock
check "nested with scope session: the outer is held" stays_held T.lock
go 1
wait

# Without lockctl the first process founds a command.
fresh
guard command sh -c "$act 'cat T/n'; : >1; while [ ! -e 1+ ]; do sleep 0.02; done" &
at 1
check "without lockctl: held after the member that touched has ended" stays_held
go 1
wait
check "without lockctl: free when the command has ended" is_free
same "without lockctl: members do not exclude one another" 5 "$(guard command sh -c \
    "exec 3<T/n; $act 'put T/n 5'; cat T/n")"
fresh
for _ in 1 2 3 4 5 6; do
    guard command sh -c 'n=$(cat T/n); echo $((n + 1)) >T/n' &
done
wait
same "without lockctl: six commands lose nothing" 6 "$(cat T/n)"

# What the shim can't reach is locked for.
fresh
run sh -c "$act-static 'mark 1' 'await 1+'" &
at 1
check "a member that can't be reached: locked when it starts" stays_held
go 1
wait
check "free at the end" is_free
fresh
run "$act-static" "mark 1" "await 1+" &
at 1
check "a command that can't be reached: locked before it starts" stays_held
go 1
wait
check "free after that" is_free
options=--eager
run "$act" "mark 2" "await 2+" &
at 2
check "eager: held without a touch" stays_held
go 2
wait
check "eager: free at the end" is_free
finish
