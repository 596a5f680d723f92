#!/bin/bash
# Updates that would be lost: a process that read a file in one session and replaces it in a later
# one, unread, is refused with ESTALE if another process has changed it since.
# shellcheck disable=SC2016,SC2089,SC2090
# shellcheck source=tests/e2e/common.sh
. "$(dirname "$(realpath "$0")")/common.sh"

# replaces SCOPE NAME EXPECTED CHANGE STEP...: reads T/n in a session, lets CHANGE (a shell command)
# happen, then performs the steps; EXPECTED is what they say.
replaces() {
    local scope=$1 name=$2 expected=$3 change=$4
    shift 4
    fresh
    echo new >T/new
    sleep 0.02 # what was changed within a tick of the clock before it is read stays in doubt
    LOCKSHIM_LOST_UPDATE=${policy:-fail} guard "$scope" "$act" "cat T/n" "mark 1" "await 1+" "$@" \
        >out 2>err &
    at 1
    eval "$change"
    go 1
    wait
    same "$scope: $name" "$expected" "$(cat out)"
}
other='guard $scope "$act" "put T/n changed"'
for scope in session call; do
    replaces $scope "open with O_TRUNC" "open 0 T/n truncate: ESTALE" "$other" "open 0 T/n truncate"
    same "$scope: nothing was lost" changed "$(cat T/n)"
    same "$scope: one line on stderr" 1 "$(wc -l <err)"
    replaces $scope "fopen w" "fopen 0 T/n w: ESTALE" "$other" "fopen 0 T/n w"
    replaces $scope "rename over" "rename T/new T/n: ESTALE" "$other" "rename T/new T/n"
    same "$scope: rename: both are there" "changed
new" "$(cat T/n; echo; cat T/new)"
    replaces $scope "truncate" "truncate T/n 0: ESTALE" "$other" "truncate T/n 0"
    replaces $scope "unlink" "unlink T/n: ESTALE" "$other" "unlink T/n"
    replaces $scope "remove" "remove T/n: ESTALE" "$other" "remove T/n"
    replaces $scope "ftruncate" "ftruncate 0 0: ESTALE" "$other" "open 0 T/n w" "ftruncate 0 0"
    replaces $scope "each time again" "unlink T/n: ESTALE
unlink T/n: ESTALE" "$other" "unlink T/n" "unlink T/n"
    replaces $scope "read again before" "" "$other" "cat T/n" "open 0 T/n truncate"
    replaces $scope "nobody changed it" "" : "open 0 T/n truncate" "close 0" "unlink T/n"
    replaces $scope "only read by the other" "" 'guard $scope "$act" "cat T/n"' "open 0 T/n truncate"
    replaces $scope "another file changed" "" 'guard $scope "$act" "put T/m 1"' "open 0 T/n truncate"
    replaces $scope "changed by itself" "" : "put T/n mine" "open 0 T/n truncate"
    replaces $scope "replaced by itself" "" : "open 0 T/n truncate" "write 0 1" "close 0" \
        "open 0 T/n truncate" "close 0" "rename T/new T/n" "unlink T/n"
    replaces $scope "never read" "" "$other" "open 0 T/new truncate" "rename T/new T/m"
    replaces $scope "removed by the other" "open 0 T/n truncate: ESTALE" 'guard $scope "$act" "unlink T/n"' "open 0 T/n truncate"
    replaces $scope "replaced by the other" "unlink T/n: ESTALE" \
        'guard $scope "$act" "rename T/new T/n"' "unlink T/n"
    replaces $scope "changed by an unguarded program" "unlink T/n: ESTALE" "echo unguarded >T/n" \
        "unlink T/n"
    replaces $scope "the same size and time" "unlink T/n: ESTALE" \
        'cp -p T/n keep; guard $scope "$act" "put T/n 1"; touch -r keep T/n' "unlink T/n"
    replaces $scope "a file with the same content in its place" "unlink T/n: ESTALE" \
        'cp -p T/n T/copy; guard $scope mv T/copy T/n' "unlink T/n"
    # What a process does itself, in other files and in this one, must not hide what others do.
    replaces $scope "and it changes another file" "open 0 T/n truncate: ESTALE" "$other" "put T/m 1" \
        "open 0 T/n truncate"
    replaces $scope "half changed by one who was killed" "open 0 T/n truncate: ESTALE" \
        'guard $scope "$act" "open 1 T/n truncate" "write 1 half" "raise 9"' "put T/m 1" \
        "open 0 T/n truncate"
    replaces $scope "changed by its child" "open 0 T/n truncate: ESTALE" : "put T/m 1" fork \
        "put T/n child" end wait "open 0 T/n truncate"
    replaces $scope "changed by its child, in its own session" "open 0 T/n truncate: ESTALE" : \
        "open 1 T/m create" "write 1 more" fork "put T/n child" end wait "close 1" "open 0 T/n truncate"
    replaces $scope "renamed and made anew by itself" "" "$other" "cat T/n" "rename T/n T/m" "put T/n 1" \
        "open 0 T/n truncate" "close 0" "unlink T/m"
    policy=report
    replaces $scope "only reported" "" "$other" "open 0 T/n truncate"
    unset policy
done

# Under `process` there is one session, and under `command` one owner.
fresh
same "process: never" "" "$(guard process "$act" "cat T/n" "put T/n 1" "unlink T/n")"

# Some that read, add and rewrite three files in two sessions, in whatever way: what is refused can be
# done again, nothing is lost.
cat >"$work.py" <<'END'
import errno, os, random, sys

def replace(name, rename):
    number = int(open(name).read())
    new = '%s.%d' % (name, os.getpid())
    with open(new, 'w') as file:
        file.write(str(number + 1))
    rename(new, name)

def rewrite(name):
    number = int(open(name).read())
    with open(name, 'w') as file:
        file.write(str(number + 1))

def rewrite_in_place(name):
    with open(name, 'r+') as file:
        number = int(file.read())
        file.seek(0)
        file.write(str(number + 1))
        file.truncate()

ways = [lambda name: replace(name, os.rename), lambda name: replace(name, os.replace)]
if sys.argv[1] == 'session': # under `call` others read between two calls
    ways += [rewrite, rewrite_in_place]
done = 0
for attempt in range(20000):
    if done == 100:
        break
    try:
        random.choice(ways)('T/' + random.choice('abc'))
        done += 1
    except OSError as error:
        if error.errno != errno.ESTALE:
            raise
END
for scope in session call; do
    for on_crash in report rollback; do
        fresh
        tee T/a T/b T/c <T/n >/dev/null
        for _ in 1 2 3; do
            LOCKSHIM_ON_CRASH=$on_crash guard $scope "$python" "$work.py" $scope 2>/dev/null &
        done
        wait
        same "$scope, $on_crash: three that read and rewrite in two sessions each lose nothing" 300 \
            "$(($(cat T/a) + $(cat T/b) + $(cat T/c)))"
    done
done

# Under `call` reading locks nothing: what another changes before the file is closed was not read.
fresh
guard call "$python" -c '
import os
with open("T/n") as file:
    file.read()
    os.system("LOCKSHIM_SCOPE=call '"$act"' \"put T/n changed\"")
try:
    open("T/n", "w")
except OSError as error:
    print(error.strerror)' >out 2>/dev/null
same "call: changed between reading and closing" "Stale file handle changed" "$(xargs <out) $(cat T/n)"

rm -f "$work.py"
finish
