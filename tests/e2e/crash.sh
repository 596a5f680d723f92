#!/bin/bash
# Holders that die inside, and those that only seem to: --on-crash report and fail.
# shellcheck disable=SC2016
# shellcheck source=tests/e2e/common.sh
. "$(dirname "$(realpath "$0")")/common.sh"

# The lock's state after what has happened: what --on-crash fail says to a reader.
verdict() {
    local said
    said=$(LOCKSHIM_ON_CRASH=fail guard process "$act" "cat T/n" 2>/dev/null)
    case $said in
    "") echo clean ;;
    "cat T/n: EOWNERDEAD") echo died ;;
    *) echo "$said" ;;
    esac
}
# after NAME clean|died SCOPE STEP...
after() {
    local name=$1 wanted=$2 scope=$3
    shift 3
    fresh
    (guard "$scope" "$act" "$@") >/dev/null 2>&1
    same "$scope: $name" "$wanted" "$(verdict)"
}
for scope in process session; do
    after "changed and killed inside" died $scope "open 0 T/n rw" "write 0 1" "raise 9"
    after "opened for writing and killed" died $scope "open 0 T/n rw" "raise 9"
    after "aborted inside" died $scope "open 0 T/n rw" "write 0 1" "abort"
    after "a fault inside" died $scope "open 0 T/n rw" "write 0 1" "raise 11"
    after "only read and killed" clean $scope "open 0 T/n r" "read 0" "raise 9"
    after "ended with status 1 inside" clean $scope "open 0 T/n rw" "write 0 1" "exit 1"
    after "_exit inside" clean $scope "open 0 T/n rw" "write 0 1" "_exit 1"
    after "executed another program" clean $scope "open 0 T/n rw" "write 0 1" exec true
    after "killed after exec, outside the table" clean $scope "cat T/n" exec sh -c 'kill -9 $$'
    after "a child was killed" clean $scope "open 0 T/n rw" "write 0 1" fork "raise 9" end wait "close 0"
done
after "removed a file and was killed" died process "unlink T/n" "put T/n 0" "raise 9"
after "removed a file and was killed" clean session "unlink T/n" "put T/n 0" "raise 9"
after "killed after its session" clean session "put T/n 1" "raise 9"
after "killed in the second session" died session "put T/n 1" "open 0 T/n rw" "write 0 1" "raise 9"
after "killed after exec in the holder" died process "put T/n 1" exec "$act" "raise 9"
after "killed between calls" clean call "open 0 T/n rw" "write 0 1" "raise 9"
after "killed with a stream" died call "fopen 0 T/n w" "raise 9"

# Under fail everybody is kept out until the mark is cleared, whatever the scope; readers too.
fresh
(guard process "$act" "put T/n 1" "raise 9") >/dev/null 2>&1
export LOCKSHIM_ON_CRASH=fail
for scope in process session command; do
    same "fail, $scope: EOWNERDEAD" "cat T/n: EOWNERDEAD
put T/n 2: EOWNERDEAD" "$(guard $scope "$act" "cat T/n" "put T/n 2" 2>/dev/null)"
    same "fail, $scope: shared readers too" "cat T/n: EOWNERDEAD" \
        "$(LOCKSHIM_SHARED=1 guard $scope "$act" "cat T/n" 2>/dev/null)"
    check "fail, $scope: the lock is free" is_free
done
same "fail, call: EOWNERDEAD for changes" "put T/n 2: EOWNERDEAD" \
    "$(guard call "$act" "cat T/n" "put T/n 2" 2>/dev/null)"
same "fail: lockctl run" "put T/n 2: EOWNERDEAD" "$(options="--on-crash fail" run "$act" "put T/n 2" 2>/dev/null)"
guard process "$act" "put T/n 2" >/dev/null 2>err
same "fail: one line" 1 "$(wc -l <err)"
fresh
(LOCKSHIM_ON_CRASH=report guard process "$act" "put T/n 1" "raise 9") >/dev/null 2>&1
same "fail, a shared reader comes first" "cat T/n: EOWNERDEAD" \
    "$(LOCKSHIM_SHARED=1 guard session "$act" "cat T/n" 2>/dev/null)"
same "fail, and the next" "cat T/n: EOWNERDEAD" "$(guard session "$act" "cat T/n" 2>/dev/null)"
export LOCKSHIM_ON_CRASH=report LOCKSHIM_LOG=$work/log
same "report: goes on" "" "$(guard process "$act" "cat T/n")"
unset LOCKSHIM_ON_CRASH LOCKSHIM_LOG
fresh
(guard process "$act" "put T/n 1" "raise 9") >/dev/null 2>&1
same "report: goes on, and says so in the log" " 1" \
    "$(LOCKSHIM_LOG=$work/log guard process "$act" "cat T/n" 2>&1) $(grep -c "died inside" log)"
same "a reader does not clear it" died "$(verdict)"
guard process "$act" "put T/n 2"
same "a change that ends in order clears it" clean "$(verdict)"

# Commands: the last to change decides, and the command itself.
after_run() {
    local name=$1 wanted=$2
    shift 2
    fresh
    (run "$@") >/dev/null 2>&1
    same "command: $name" "$wanted" "$(verdict)"
}
after_run "ended in order" clean sh -c "$act 'put T/n 1'"
after_run "ended with status 1" clean sh -c "$act 'put T/n 1'; exit 1"
after_run "a member killed inside, the last to change" died sh -c "$act 'put T/n 1' 'raise 9'; true"
after_run "a member killed, but others change more" clean \
    sh -c "$act 'put T/n 1' 'raise 9'; $act 'put T/n 2'"
after_run "a member killed that only read" clean sh -c "$act 'put T/n 1'; $act 'cat T/n' 'raise 9'; true"
after_run "killed itself" died sh -c "$act 'put T/n 1'; kill -9 \$\$"
after_run "killed itself, having only read" clean sh -c "$act 'cat T/n'; kill -9 \$\$"
after_run "terminated" died sh -c "$act 'put T/n 1'; kill -15 \$\$"
after_run "changes by itself and is killed" died "$act" "put T/n 1" "raise 9"
after_run "executes another program" clean sh -c "echo 1 >T/n; exec true"
after_run "a background member killed" died sh -c \
    "$act 'put T/n 1' 'mark 1' 'sleep 0.2' 'raise 9' & until [ -e 1 ]; do sleep 0.01; done"
# Its descriptors are closed, and what it held is free, some time before it is dead: here the kernel has
# much memory to free in between.
after_run "a background member killed, slow to end" died sh -c "$python -c '
import os, signal, time
memory = os.memfd_create(\"large\")
for _ in range(200): os.write(memory, bytes(1 << 20))
open(\"T/n\", \"w\").write(\"1\")
open(\"1\", \"w\").close()
time.sleep(0.2)
os.kill(os.getpid(), signal.SIGKILL)' & until [ -e 1 ]; do sleep 0.01; done"
fresh
run "$act" "put T/n 1" "mark 1" "await 1+" >/dev/null 2>&1 &
at 1
kill -KILL "$(pgrep -f "^$lockctl run --table T" | head -1)"
go 1
wait
soon is_free
same "command: lockctl killed, the command ends in order" clean "$(verdict)"
fresh
(guard command sh -c "$act 'put T/n 1'; true")
same "without lockctl: ended in order" clean "$(verdict)"
(guard command "$act" "put T/n 1" "raise 9") >/dev/null 2>&1
same "without lockctl: killed" died "$(verdict)"

# Who was killed closes its descriptors, and what it held is free, some time before it is dead: here the
# kernel has much memory to free in between. Whoever waited is told all the same.
for scope in process session; do
    fresh
    guard $scope "$python" -c '
import os, time
memory = os.memfd_create("large")
for _ in range(200): os.write(memory, bytes(1 << 20))
table = os.open("T/n", os.O_RDWR)
os.write(table, b"1")
open("pid", "w").write(str(os.getpid()))
os.rename("pid", "1")
time.sleep(150)' 2>/dev/null &
    at 1
    LOCKSHIM_ON_CRASH=fail guard process "$act" "mark 2" "cat T/n" >out 2>/dev/null &
    waiter=$!
    at 2
    sleep 0.2
    kill -KILL "$(cat 1)"
    wait $waiter
    same "$scope: killed, slow to end, while another waits" "cat T/n: EOWNERDEAD" "$(cat out)"
done

# The mark of one who lives is no death: broken into by nobody, taken over after LOCK_UN.
fresh
guard session "$act" "open 0 T/n rw" "write 0 1" "mark 1" "await 1+" "close 0" "mark 2" "await 2+" &
at 1
go 1
at 2
same "a living one that let go" clean "$(verdict)"
go 2
wait
finish
