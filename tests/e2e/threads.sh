#!/bin/bash
# Programs of several threads, which are one owner: they take the lock together, and settle together
# what they did. Nothing of theirs is undone, nobody else comes in between, and no descriptor of the
# program is touched.
# shellcheck source=tests/e2e/common.sh
. "$(dirname "$(realpath "$0")")/common.sh"
threads=$BUILD/e2e/threads
count=6

# numbers: what stands in the table's files in the end, as whoever comes next finds it.
# shellcheck disable=SC2016
numbers() { guard session sh -c 'for file in T/*/[0-9]*; do cat "$file"; echo; done' | sort | uniq -c; }

# together NAME START...: three programs at once, each with a directory of its own in the table.
together() {
    local name=$1 program processes=() process status=0
    shift
    fresh
    mkdir -p T/a T/b T/c
    for program in a b c; do echo common >T/$program/common; done
    for program in a b c; do
        echo | "$@" "$threads" "$work/T/$program" $count 200 ${signals:+"$signals"} 2>>said &
        processes+=($!)
    done
    for process in "${processes[@]}"; do wait "$process" || status=1; done
    if [ $status = 0 ]; then ok "$name: all is found as it was left"; else not_ok "$name: all is found as it was left" "$(sort said | uniq -c | tail)"; fi
    same "$name: and so by whoever comes next" "$((3 * count)) 200" "$(numbers | awk '{ print $1, $2 }')"
    rm -f said
}

for LOCKSHIM_ON_CRASH in report fail rollback; do
    export LOCKSHIM_ON_CRASH
    for scope in call session process; do
        for signals in '' 700; do
            together "$scope, $LOCKSHIM_ON_CRASH${signals:+, with signals}" guard $scope
        done
    done
    signals=
    together "command, $LOCKSHIM_ON_CRASH" "$lockctl" run --table T --
done

# One opens a pipe in the table, and waits for its reader, which first makes a file there.
cat >"$work.py" <<'END'
import os, threading, time
os.mkfifo('T/pipe')
def write():
    with open('T/pipe', 'w') as pipe:
        pipe.write('through')
thread = threading.Thread(target=write)
thread.start()
time.sleep(0.2)
with open('T/made', 'w') as file:
    file.write('made')
print(open('T/pipe').read())
thread.join()
END
fresh
limit=20
same "rollback: a pipe in the table keeps no other thread from its changes" through \
    "$(LOCKSHIM_ON_CRASH=rollback guard process "$python" "$work.py" 2>&1)"
rm -f "$work.py"

# Threads that are the first to touch, all at once: often, as it is a matter of a moment.
export LOCKSHIM_ON_CRASH=report
fresh
mkdir T/a
echo common >T/a/common
started=0
for _ in $(seq 300); do
    rm -f T/a/[0-9]*
    echo | guard session "$threads" "$work/T/a" 4 1 2>>said && started=$((started + 1))
done
same "300 programs whose threads touch for the first time at once" 300 $started
same "none of them says anything" "" "$(sort said | uniq -c | head)"
finish
