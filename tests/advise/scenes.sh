#!/bin/bash
# lockctl advise: what it does to the table and leaves behind, its statuses, and what it says of
# programs that real.sh has none of.
# shellcheck disable=SC2016,SC2317
# shellcheck source=tests/e2e/lockctl-common.sh
. "$(dirname "$(realpath "$0")")/../e2e/lockctl-common.sh"
past=$BUILD/advise/past
past_static=$BUILD/advise/past-static
export TMPDIR=$work/tmp
mkdir "$TMPDIR"

# advise ARGUMENT...: JSON in ./advice, complaints and the command's output in ./errors.
advise() {
    timeout 60 "$lockctl" advise --json "$@" >advice 2>errors </dev/null
}
# says EXPRESSION VALUE NAME: of the advice.
says() {
    local got
    got=$(python3 -c "import json; a = json.load(open('advice')); print(($1))" 2>&1)
    if [ "$got" = "$2" ]; then ok "$3"; else not_ok "$3" "$1 is $got, not $2; $(head -c 500 errors)"; fi
}
scope='a["scope"], a["reason"]'
nothing_left() {
    if [ -z "$(ls -A "$TMPDIR")" ]; then ok "nothing is left behind: $1"; else
        not_ok "nothing is left behind: $1" "$(ls -A "$TMPDIR")"
        chmod -R u+rwX "$TMPDIR" && rm -rf "$TMPDIR" && mkdir "$TMPDIR"
    fi
}
fresh() {
    chmod -R u+rwX table 2>/dev/null
    rm -rf table table.lock* && mkdir table && echo 1 >table/count
}
increment='n=$(cat table/count); echo $((n + 1)) >table/count'

# --- the table, the copy, the status ------------------------------------------------------------

fresh
mkdir table/below && echo x >table/below/file && chmod 640 table/count && ln -s count table/link
advise --table table -- sh -c "$increment; cat table/count >&2; stat -c %a table/count; readlink table/link; cat table/below/file"
check "there is advice" [ $? = 0 ]
says "$scope" "('command', 'several-processes')" "a script needs the scope command"
check "the table is as it was" [ "$(cat table/count)" = 1 ]
check "the command had a copy, and prints to stderr" [ "$(tr '\n' ' ' <errors)" = "2 640 count x " ]
says 'a["way"], a["status"]' "('copy', 0)" "the way and the status are told"
nothing_left "a copy"

cd table || exit 1
advise --table . -- sh -c 'cd below && echo new >file && pwd >&2'
check "from within the table: the copy is there" [ "$(cat errors)" = "$work/table/below" ]
mv advice errors ..
cd "$work" || exit 1
check "from within the table: it is as it was" [ "$(cat table/below/file)" = x ]

fresh
advise --table table -- sh -c 'echo 2 >table/count; exit 3'
check "a command that fails: there is advice" [ $? = 0 ]
says 'a["status"]' 3 "a command that fails: its status is told"
advise --table table -- sh -c 'echo 2 >table/count; kill -9 $$'
says 'a["status"]' 137 "a command that is killed: its status is told"
advise --table table -- true
check "a command that does not touch the table: 1" [ $? = 1 ]
says "$scope" "(None, 'untouched')" "a command that does not touch the table: no scope"
advise --table table -- ./nowhere
check "a command that is not there: 127" [ $? = 127 ]
echo '#!/bin/sh' >plain
advise --table table -- ./plain
check "a command that is not executable: 126" [ $? = 126 ]
one_line "no command" 2 "no command to run" "$lockctl" advise --table table
one_line "no table" 2 "no table" "$lockctl" advise --config /dev/null -- true
one_line "two tables" 2 "one table at a time" "$lockctl" advise --table a --table b -- true
one_line "two ways" 2 "exclude each other" "$lockctl" advise --in-place --read-only --table table -- true
one_line "a timeout that is none" 2 "no number of seconds" "$lockctl" advise --timeout x --table table -- true
one_line "a table that can be none" 78 "is a device" "$lockctl" advise --table /dev/null -- true
one_line "no shim" 78 "cannot be loaded" "$lockctl" advise --shim ./plain --table table -- true
check "options of the command are the command's" advise --table table -- ls -l --all table
nothing_left "errors"

# The lock is held while the copy is made, not longer.
fresh
exec 9>table.lock
flock 9
advise --table table -- sh -c "$increment" 9>&- &
sleep 0.3
check "the copy waits for the lock" [ ! -s advice ]
flock -u 9
wait $!
check "then it goes on" [ $? = 0 ]
flock 9
flock -u 9
advise --table table -- flock -n table.lock sh -c "$increment"
says 'a["status"]' 0 "the lock is free while the command runs"
advise --in-place --table table -- sh -c "$increment; flock -n $work/table.lock true || echo locked >table/told"
check "in place: the table is changed" [ "$(cat table/count)" = 2 ]
says "$scope" "('command', 'several-processes')" "in place: the same advice"
nothing_left "in place"
exec 9>&-

fresh
advise --read-only --table table -- sh -c "$increment"
check "read-only: there is advice" [ $? = 0 ]
says "$scope" "('command', 'several-processes')" "read-only: the same advice"
says '[x["access"] for p in a["processes"] for x in p["accesses"]]' "['refused', 'read']" \
    "read-only: the attempt is told"
check "read-only: the table is as it was" [ "$(cat table/count)" = 1 ]
advise --read-only --table table -- "$past_static" raw table/count
says 'a["status"]' 1 "read-only: nor does a static program write"
check "read-only: the table is as it was" [ "$(cat table/count)" = 1 ]
nothing_left "read-only"

# A file as the table: what replaces it may be renamed over it.
echo 1 >store
advise --table store -- sh -c 'cat store >new && mv new store && cat store'
says "$scope" "('command', 'several-processes')" "a file: a script"
says 'a["status"]' 0 "a file: it can be renamed over"
says '"dropped with the copy" in str(a["notes"])' False "a file: nothing else was written"
advise --table store -- sh -c 'cat store >new; echo more >store'
says '"dropped with the copy" in str(a["notes"])' True "a file: what was written beside it is told"
check "a file: it is as it was" [ "$(cat store)" = 1 ]
check "a file: so is what is beside it" [ ! -e new ]
advise --table store -- "$past_static" raw store
says "$scope" "('command', 'out-of-reach')" "a file: accesses past the shim are seen"
advise --table later -- sh -c 'mkdir later && echo 1 >later/a; cat later/a >&2'
check "a table that is not there yet" [ "$(cat errors)" = 1 ]
check "… nor afterwards" [ ! -e later ]
nothing_left "a file"

# --- programs that others have none of ----------------------------------------------------------

fresh
python=/usr/bin/python3
advise --table table -- "$python" -c 'open("table/log", "a").write("x")'
says "$scope" "('call', 'appends')" "one that only appends"
advise --table table -- sh -c 'echo x >>table/log; date >>table/log'
says "$scope" "('call', 'appends')" "several that only append"
advise --table table -- cat table/count
says "$scope, a['shared']" "('session', 'reads', True)" "one that reads"
echo 2 >table/other
advise --table table -- cat table/count table/other
says "$scope, a['shared']" "('process', 'reads-in-parts', True)" "one that reads in parts"
advise --table table -- sh -c 'cat table/count; cat table/other'
says "$scope, a['shared']" "('command', 'reads-in-parts', True)" "several that read"
advise --table table -- "$python" -c 'open("table/count", "w").write("3")'
says "$scope" "('session', 'reads-nothing')" "one that writes blindly"
advise --table table -- "$python" -c '
with open("table/count", "r+") as file:
    number = int(file.read()); file.seek(0); file.write(str(number + 1))'
says "$scope" "('session', 'keeps-open')" "one that keeps it open"
advise --table table -- "$python" -c '
number = int(open("table/count").read())
with open("table/count", "w") as file: file.write(str(number + 1))'
says "$scope" "('process', 'remembers')" "one that remembers"
says 'a["scopes"]["session"]["verdict"]' refuses "… and would be refused under session"
advise --table table -- "$python" -c '
number = int(open("table/count").read())
with open("table/other", "w") as file: file.write(str(number + 1))'
says "$scope" "('process', 'remembers')" "one that writes another file by what it remembers"
says 'a["scopes"]["session"]["verdict"]' wrong "… and nothing would refuse that"
advise --table table -- "$python" -c '
import os
if os.path.exists("table/count"): open("table/count", "w").write("0")'
says "$scope" "('process', 'remembers')" "one that asks, and then writes"
advise --table table -- "$python" -c '
import subprocess
with open("table/count", "r+") as file:
    number = int(subprocess.run(["cat", "table/other"], capture_output=True).stdout)
    file.write(str(number))'
says "$scope" "('command', 'several-processes')" "one with a child"
says 'a["scopes"]["process"]["verdict"]' "right by joining" "… that would join it"
advise --table table -- sh -c "$increment & wait"
says "$scope" "('command', 'several-processes')" "a job in the background"

advise --table table -- sh -c 'exec 3<table/count; cat <&3'
says "$scope, a['shared']" "('command', 'reads-in-parts', True)" "one that hands a descriptor on"
advise --table table -- sh -c 'exec 3<table/count; cat /dev/null; read n <&3; echo $((n + 1)) >table/count'
says "$scope" "('session', 'keeps-open')" "one that has children which leave it alone"
cp /bin/cat table/program
advise --table table -- table/program table/count
says "$scope" "('session', 'reads')" "a program in the table is not its data"
rm table/program

advise --table table -- sh -c "$past_static raw table/count"
says "$scope" "('command', 'out-of-reach')" "a static helper"
says 'a["unseen"][0]["file"], a["unseen"][0]["why"]' "('count', 'is statically linked')" \
    "… is named, with what it did"
advise --table table -- sh -c "$past_static raw elsewhere; cat table/count"
says "$scope" "('session', 'reads')" "a static helper that has nothing to do with the table"
says '"did not touch the table" in str(a["notes"])' True "… is told"
advise --table table -- "$past_static" raw table/count
says "$scope" "('command', 'out-of-reach')" "a static command"
advise --table table -- "$past" raw table/count
says "$scope, a['eager']" "('command', 'unseen', True)" "a program that makes system calls itself"
says 'a["unseen"][0]["why"]' "makes system calls itself" "… is told"
advise --table table -- env -i /bin/sh -c 'echo 1 >table/count'
says "$scope, a['eager']" "('command', 'unseen', True)" "a program with a cleared environment"
"$past" uring table/count 2>/dev/null
if [ $? = 77 ]; then
    skip "io_uring: not here"
else
    fresh
    advise --table table -- "$past" uring table/count
    says "$scope, a['eager']" "('command', 'unseen', True)" "a program that uses io_uring"
    says 'a["unseen"][0]["why"]' "uses io_uring" "… is told"
fi
if [ "$(id -u)" = 0 ]; then
    cp "$(command -v cat)" setuid-cat && chown 65534 setuid-cat && chmod 4755 setuid-cat
    chmod 755 "$work" && chmod 644 table/*
    advise --table table -- sh -c './setuid-cat table/count; echo 1 >table/count'
    says "$scope" "('command', 'out-of-reach')" "a set-user-ID program"
    says 'a["unseen"][0]["why"]' "is set-user-ID or set-group-ID, or runs as such" "… is told"
fi
nothing_left "programs out of reach"

# --- names that are not meant well, a hole, a place that is none -------------------------------

fresh
escape=$(printf '\033')
echo x >"table/${escape}[31m"$'\n"\\'
check "hostile names do not reach a terminal" [ "$("$lockctl" advise --table table -- sh -c 'cat table/*' 2>/dev/null |
    grep -c "$escape")" = 0 ]
advise --table table -- sh -c 'cat table/*'
says '[x["file"] for p in a["processes"] for x in p["accesses"] if x["access"] == "read"][0]' "${escape}[31m"$'\n"\\' "… and are whole in JSON"
truncate -s 100G table/hole
before=$(df --output=used -k "$TMPDIR" | tail -n 1)
advise --table table -- stat -c %s,%b table/hole
check "a hole stays a hole" [ "$(cat errors)" = 107374182400,0 ]
check "… and takes no room" [ $(($(df --output=used -k "$TMPDIR" | tail -n 1) - before)) -lt 1000000 ]
one_line "a copy in the table itself" 78 "set TMPDIR" env TMPDIR="$work/table" "$lockctl" advise --table table -- true
if unshare -Ur sh -c 'echo 0 >/proc/sys/user/max_user_namespaces' 2>/dev/null; then
    forbidden() {
        unshare -Ur sh -c 'echo 0 >/proc/sys/user/max_user_namespaces; exec setpriv --bounding-set=-all --inh-caps=-all "$@"' sh "$@"
    }
    one_line "no namespaces" 5 "not to be had here: a mount namespace.*--in-place" \
        forbidden "$lockctl" advise --table table -- cat table/count
    check "no namespaces: in place it can be done" forbidden "$lockctl" advise --in-place --table table -- cat table/count
    check "no namespaces: the table is as it was" [ "$(cat table/count)" = 1 ]
else
    skip "no namespaces: they can't be forbidden here"
fi
nothing_left "what could not be done"

# Interrupted while it waits for the lock.
exec 9>table.lock
flock 9
env --default-signal "$lockctl" advise --table table -- cat table/count >advice 2>errors 9>&- &
advisor=$!
sleep 0.3
kill -INT $advisor
wait $advisor
check "interrupted before it runs: 130" [ $? = 130 ]
exec 9>&-
nothing_left "an interrupt before it runs"

# --- time ---------------------------------------------------------------------------------------

fresh
seq 10 >table/log
advise --timeout 0.5 --table table -- tail -f table/log
check "one that follows: there is advice" [ $? = 0 ]
says "$scope" "('call', 'follows')" "one that follows: call"
says 'a["timed_out"]' True "… and its time was over"
advise --timeout 1 --table table -- "$python" -c '
import time
while True:
    with open("table/count", "r+") as file: n = file.read(); file.seek(0); file.write(n)
    time.sleep(0.1)'
says "$scope" "('session', 'reads-anew')" "one that goes in and out"
says '"runs for long" in str(a["notes"])' True "… with a warning"
advise --timeout 1 --table table -- "$python" -c '
import time
while True:
    n = open("table/count").read()
    open("table/count", "w").write(n)
    time.sleep(0.1)'
says "$scope" "('process', 'remembers')" "one that goes in and out, and remembers"
says '"others wait for its end" in str(a["notes"])' True "… with a warning"
advise --linger 0.5 --table table -- sh -c "$increment; setsid sh -c 'cat table/count; sleep 50' & sleep 0.2"
says 'a["left_behind"] > 0' True "what is left running is told"
refute "… and ended" pgrep -f "sleep 5[0]"
advise --timeout 0.3 --table table -- sh -c 'trap "" TERM INT; cat table/count; while :; do sleep 51; done'
says 'a["timed_out"]' True "one that will not end is ended"
refute "… with all that it has started" pgrep -f "sleep 5[1]"
nothing_left "what runs for ever"

# An interrupt from a terminal goes to all of them; from elsewhere to lockctl alone.
env --default-signal timeout 60 "$lockctl" advise --json --table table -- sh -c 'cat table/count; echo ready >ready; sleep 52' \
    >advice 2>errors </dev/null &
advisor=$!
for _ in $(seq 200); do
    [ ! -e ready ] || break
    sleep 0.05
done
pkill -INT -P $advisor -x lockctl
wait $advisor
check "interrupted: there is advice" [ $? = 0 ]
says 'a["interrupted"], a["scope"]' "(True, 'session')" "interrupted: by what it did until then"
refute "interrupted: the command is ended" pgrep -f "sleep 5[2]"
nothing_left "an interrupt"

# Killed: the command is ended all the same.
env --default-signal timeout 60 "$lockctl" advise --table table -- sh -c 'echo again >ready; sleep 53' \
    >advice 2>errors </dev/null &
advisor=$!
disown
for _ in $(seq 200); do
    ! grep -q again ready || break
    sleep 0.05
done
pkill -KILL -P $advisor -x lockctl
for _ in $(seq 100); do
    [ -n "$(ls -A "$TMPDIR")" ] || break
    sleep 0.05
done
refute "killed: the command is ended" pgrep -f "sleep 5[3]"
nothing_left "after SIGKILL"

# --- without the rights of root -----------------------------------------------------------------

fresh
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null && grep -q '^nobody:' /etc/passwd; then
    chmod 755 "$work" && chown -R nobody table && chmod 777 "$work" "$TMPDIR"
    as_nobody=(setpriv --reuid=nobody --clear-groups --no-new-privs --inh-caps=-all)
    cp "$lockctl" "$BUILD/liblockshim.so" "$past_static" "$past" "$work/"
    if "${as_nobody[@]}" unshare --user --mount true 2>/dev/null; then
        lockctl=("${as_nobody[@]}" "$work/lockctl")
        advise_as_nobody() {
            timeout 60 "${lockctl[@]}" advise --json "$@" >advice 2>errors </dev/null
        }
        advise_as_nobody --table table -- sh -c "$increment"
        says "$scope, a['watch']" "('command', 'several-processes', 'inotify')" "nobody: a script"
        check "nobody: the table is as it was" [ "$(cat table/count)" = 1 ]
        advise_as_nobody --table table -- sh -c "./past-static raw table/count"
        says "$scope" "('command', 'out-of-reach')" "nobody: a static helper"
        advise_as_nobody --table table -- ./past-static raw table/count
        says "$scope" "('command', 'out-of-reach')" "nobody: a static command"
        advise_as_nobody --table table -- ./past raw table/count
        says "$scope, a['eager']" "('command', 'unseen', True)" "nobody: system calls made by itself"
        echo 1 >store && chown nobody store
        advise_as_nobody --table store -- "$python" -c 'n = open("store").read(); open("store", "w").write(n)'
        says "$scope" "('process', 'remembers')" "nobody: a file"
        nothing_left "nobody"
    else
        skip "nobody: user namespaces are not for everybody here"
    fi
else
    skip "nobody: needs root to become nobody"
fi
finish
