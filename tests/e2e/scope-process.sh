#!/bin/bash
# Scope `process`: from the first touch to the end of the process, whatever it has open, over exec,
# and not in its children.
# shellcheck source=tests/e2e/common.sh
. "$(dirname "$(realpath "$0")")/common.sh"

# stages NAME held|free TOUCH: before the touch the lock is free, after it as said, free at the end.
stages() {
    local name=$1 wanted=$2
    shift 2
    fresh
    guard process "$act" "mark 1" "await 1+" "$@" "mark 2" "await 2+" &
    at 1
    check "$name: free before" is_free
    go 1
    at 2
    if [ "$wanted" = held ]; then
        check "$name: held after" stays_held
    else
        check "$name: still free" is_free
    fi
    go 2
    wait
    check "$name: free at the end" is_free
}
stages "reading" held "cat T/n"
stages "asking" held "ask T/n"
stages "asking for what is not there" held "ask T/none"
stages "asking for the table itself" held "ask T"
stages "listing" held "open 0 T directory" "close 0"
stages "a removed file" held "unlink T/n"
stages "a directory in the table" held "mkdir T/d" "rmdir T/d"
stages "another directory" free "cat U/n" "put T.other 1"
stages "the lock file itself" free "cat T.lock"

fresh
guard process "$act" "cat T/n" fork "mark 1" "await 1+" end "mark 2" "await 2+" &
at 1
at 2
check "a forked child: held by the parent" stays_held
go 2
wait
check "a forked child that goes on does not keep the lock" soon is_free
go 1

fresh
guard process "$act" "open 0 T/n rw" fork "await 1+" "write 0 5" "mark 3" "await 3+" end "mark 2" \
    "await 2+" &
at 2
go 2
wait
check "a child with an inherited descriptor: free" soon is_free
go 1
at 3
check "a child that writes through it: held" stays_held
go 3
check "and free when it ends" soon is_free

# A child that outlives the parent, started by exec: nothing of the lock goes with it.
fresh
guard process sh -c 'read -r n <T/n; sleep 3 & : >1; exit 0'
check "a background child by exec keeps nothing" is_free
kill %% 2>/dev/null

fresh
guard process "$act" "cat T/n" exec "$act" "mark 1" "await 1+" exec "$act" "mark 2" "await 2+" &
at 1
check "over exec" stays_held
go 1
at 2
check "over a second exec" stays_held
go 2
wait
check "free at the end of the chain" is_free

fresh
guard process "$act" "cat T/n" exec "$act-static" "mark 1" "await 1+" &
at 1
check "over exec into a static program" stays_held
go 1
wait
check "free when that has ended" is_free

fresh
guard process "$act" "cat T/n" exec "$work/nothing" 2>/dev/null >out
same "an exec that fails says so" "exec: ENOENT" "$(head -1 out)"

fresh
guard process "$act" "cat T/n" "close-all" "mark 1" "await 1+" &
at 1
check "a process that closes everything" stays_held
go 1
wait
fresh
guard process "$act" "cat T/n" "daemon" "mark 1" "await 1+" "cat T/n" "mark 2" "await 2+"
at 1
check "a daemon is a child: free" is_free
go 1
at 2
check "it holds when it has touched" stays_held
go 2
check "and lets go at its end" soon is_free

for end in "exit 3" "_exit 3" "abort" "raise 9"; do
    fresh
    guard process "$act" "put T/n 1" "mark 1" "$end" >/dev/null 2>&1
    check "free after '$end'" is_free
done
fresh
guard process "$act" "ask T/n" fork "cat U/n" end wait "mark 1" "await 1+" &
at 1
check "a child that ends takes nothing along" stays_held
go 1
wait
fresh
guard process "$act" thread "cat T/n" join "mark 1" "await 1+" &
at 1
check "touched by a thread that has ended" stays_held
go 1
wait
finish
