#!/bin/bash
# Scope `session`: from the first table descriptor to the last close. Scope `call`: each changing
# call by itself.
# shellcheck source=tests/e2e/common.sh
. "$(dirname "$(realpath "$0")")/common.sh"

# stages SCOPE NAME STATES STEP...: after each step the lock is as STATES says: h(eld), f(ree).
stages() {
    local scope=$1 name=$2 states=$3 steps=() number=0 step
    shift 3
    fresh
    for step in "$@"; do
        number=$((number + 1))
        steps+=("$step" "mark $number" "await $number+")
    done
    guard "$scope" "$act" "${steps[@]}" >out &
    local got=""
    for ((number = 1; number <= $#; number++)); do
        at "$number"
        if is_free; then got+=f; else got+=h; fi
        go "$number"
    done
    wait
    if is_free; then got+=f; else got+=h; fi
    same "$scope: $name" "${states}f" "$got"
}
stages session "open and close" hf "open 0 T/n r" "close 0"
stages session "two descriptors" hhhf "open 0 T/n r" "open 1 T/n rw" "close 0" "close 1"
stages session "a duplicate" hhhf "open 0 T/n r" "dup 0 1" "close 0" "close 1"
stages session "a stream" hhf "fopen 0 T/n w" "fputs 0 text" "fclose 0"
stages session "a directory" hf "open 0 T directory" "close 0"
stages session "a mapping outlives the descriptor" hhhf "open 0 T/n rw" "map 0" "close 0" "unmap"
stages session "rename" ff "rename T/n T/m" "unlink T/m"
stages session "rename inside a session" hhf "open 0 T/n r" "rename T/n T/m" "close 0"
stages session "asking" ff "ask T/n" "ask T"
stages session "another file" fhf "open 0 U/n r" "open 1 T/n r" "close 1"
stages session "again and again" hfhf "open 0 T/n r" "close 0" "open 0 T/n rw" "close 0"
stages session "a failing open" ff "open 0 T/none r" "cat T/n"
stages session "closing everything" hf "open 0 T/n r" "close-all"
stages call "reading" fff "open 0 T/n r" "read 0" "close 0"
stages call "writing" ffff "open 0 T/n rw" "write 0 5" "ftruncate 0 0" "close 0"
stages call "a stream holds" hhf "fopen 0 T/n w" "fputs 0 text" "fclose 0"
stages call "renaming" f "rename T/n T/m"

# Workers of one server exclude one another; a session survives exec through an inherited descriptor.
fresh
guard session "$act" "open 0 T/n r" fork "close 0" "mark 1" "await 1+" "open 1 T/n rw" "mark 2" end \
    "mark 3" "await 3+" "close 0" "mark 4" "await 4+" &
at 1
at 3
check "a child that closes its copies does not end the parent's session" stays_held
go 1
sleep 0.2
refute "a forked child waits for the parent's session" test -e 2
go 3
at 2
ok "and enters when that is over"
at 4
go 4
wait

fresh
guard session sh -c "exec 3<T/n; : >1; while [ ! -e 1+ ]; do sleep 0.02; done
    exec $act 'mark 2' 'await 2+'" &
at 1
check "a shell's redirection is a session" stays_held
go 1
at 2
check "it goes on over exec with the descriptor" stays_held
go 2
wait
check "and ends with the process" is_free

fresh
guard session "$act" "open 0 T/n r" exec "$act" "mark 1" "await 1+" &
at 1
check "a descriptor that is closed on exec ends the session there" is_free
go 1
wait

# call: writers exclude one another, and a holder of the lock file keeps them out.
fresh
guard call "$act" "open 0 T/n rw" "mark 1" "await 1+" "read 0" "mark 2" "write 0 7" "mark 3" &
at 1
flock T.lock sh -c ': >4; while [ ! -e 4+ ]; do sleep 0.02; done' &
at 4
go 1
at 2
sleep 0.2
refute "call: a change waits for a stranger's flock" test -e 3
go 4
at 3
ok "call: and goes on"
wait
fresh
for _ in 1 2 3 4; do guard call "$act" "sessions 200 T/log" & done
wait
same "call: nothing is lost of four appending" 800 "$(wc -c <T/log)"
finish
