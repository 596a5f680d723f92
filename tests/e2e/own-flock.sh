#!/bin/bash
# Programs that flock the lock file by themselves: one owner with the shim, before and after a
# touch, through their own descriptor or one inherited from flock(1); mixed company.
# shellcheck disable=SC2016
# shellcheck source=tests/e2e/common.sh
. "$(dirname "$(realpath "$0")")/common.sh"
limit=100

for scope in process session command; do
    fresh
    same "$scope: flock, then touch" "" "$(guard $scope "$act" "open 1 T.lock create" "flock 1 ex" \
        "put T/n 1" "cat T/n" "flock 1 un" "close 1")"
    same "$scope: touch, then flock" "" "$(guard $scope "$act" "cat T/n" "open 1 T.lock create" \
        "flock 1 ex" "put T/n 1" "flock 1 un")"
    same "$scope: flock inside a session" "" "$(guard $scope "$act" "open 0 T/n rw" \
        "open 1 T.lock rw" "flock 1 try" "write 0 1" "flock 1 un" "close 0")"
    same "$scope: flock twice" "" "$(guard $scope "$act" "open 1 T.lock rw" "open 2 T.lock rw" \
        "open 0 T/n rw" "flock 1 ex" "flock 2 try" "flock 1 un" "close 0")"
    same "$scope: below flock(1)" "" "$(guard $scope flock T.lock "$act" "put T/n 1")"
    same "$scope: below an unguarded flock(1)" "" "$(within flock T.lock \
        env LD_PRELOAD="$shim" LOCKSHIM_TABLE="$work/T" LOCKSHIM_SCOPE=$scope timeout 200 "$act" \
        "put T/n 1" "cat T/n")"
    same "$scope: below flock(1) that has closed it" "" "$(within flock -o T.lock \
        env LD_PRELOAD="$shim" LOCKSHIM_TABLE="$work/T" LOCKSHIM_SCOPE=$scope timeout 200 "$act" \
        "put T/n 1" "cat T/n")"
    check "$scope: free in the end" is_free
    for mode in w a; do
        fresh
        same "$scope: python, fcntl.flock with '$mode'" "0 5" "$(guard $scope "$python" -c "
import fcntl
lock = open('T.lock', '$mode')
fcntl.flock(lock, fcntl.LOCK_EX)
open('T/n', 'w').write('5')
fcntl.flock(lock, fcntl.LOCK_UN)
lock.close()
" 2>&1; echo "$? $(cat T/n)")"
    done
done
fresh
same "lockctl run below flock(1)" "" "$(within flock T.lock "$lockctl" run --table T -- \
    sh -c "$act 'put T/n 1'; $act 'cat T/n'")"

# LOCK_UN of the program does not let the shim's lock go; the shim's end does not let the program's.
fresh
guard process "$act" "put T/n 1" "open 1 T.lock rw" "flock 1 ex" "flock 1 un" "mark 1" "await 1+" &
at 1
check "process: LOCK_UN after a touch: still held" stays_held
go 1
wait
guard process "$act" "open 1 T.lock rw" "flock 1 ex" "put T/n 1" "flock 1 un" "close 1" "mark 2" \
    "await 2+" &
at 2
check "process: the program's lock first, LOCK_UN, close: still held" stays_held
go 2
wait
guard session "$act" "open 1 T.lock rw" "flock 1 ex" "put T/n 1" "mark 3" "await 3+" "flock 1 un" \
    "mark 4" "await 4+" &
at 3
check "session: over, but the program has its lock" stays_held
go 3
at 4
check "session: and free with its LOCK_UN" is_free
go 4
wait
guard session "$act" "open 0 T/n r" "open 1 T.lock rw" "flock 1 ex" "close 0" "mark 5" "await 5+" \
    "flock 1 un" "mark 6" "await 6+" &
at 5
check "session: flocked inside, over: the program's lock stays" stays_held
go 5
at 6
check "session: and ends with LOCK_UN" is_free
go 6
wait
guard session "$act" "open 0 T/n r" "open 1 T.lock rw" "flock 1 ex" "close 1" "mark 7" "await 7+" \
    "close 0" "mark 8" "await 8+" &
at 7
check "session: the program's descriptor closed: still held" stays_held
go 7
at 8
check "session: and free when all is closed" is_free
go 8
wait
guard session "$act" "open 0 T/n r" "open 1 T.lock rw" "flock 1 ex" "dup 1 2" "close 1" "close 0" \
    "mark 9" "await 9+" "close 2" "mark 10" "await 10+" &
at 9
check "session: a duplicate keeps the program's lock" stays_held
go 9
at 10
check "session: and ends with it" is_free
go 10
wait

# Mixed company: guarded, flock(1) and fcntl.flock with "w".
cat >"$work.py" <<'END'
import fcntl
for _ in range(20):
    with open('T.lock', 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        number = int(open('T/n').read())
        open('T/n', 'w').write(str(number + 1))
END
trap 'rm -f "$work.py"; clean_up' EXIT
for scope in process session command; do
    fresh
    for _ in 1 2 3; do
        timeout 150 "$python" "$work.py" &
        for _ in 1 2 3 4 5; do
            timeout 150 flock T.lock sh -c 'n=$(cat T/n); echo $((n + 1)) >T/n'
        done &
        for _ in 1 2 3 4 5; do guard $scope "$act" "add 4 T/n"; done &
    done
    wait
    same "$scope: in mixed company nothing is lost" 135 "$(cat T/n)"
done
finish
