#!/bin/sh
# Runs checks, quiet about what is well and loud about what is not.
#
#   report.sh GROUP NAME=COMMAND...   each command's output goes to $BUILD/check/GROUP/NAME.log, and one
#                                     line tells how it went; then, if it did not go well, what is wrong
#                                     and the end of the log, and behind the last one all of that in short
#   report.sh --start                 forgets what earlier runs left
#   report.sh --recap                 once more, in short, all that went wrong since then
#
# A check says "not ok" or "FAIL" and what failed, the details behind it indented; "skip" and why; "known
# gap:" and which; and in the end "N passed, N failed, N skipped". What cmocka says is understood as well.
set -u
logs=${BUILD:-build}/check

# The lines of a log that tell what failed, each with its details.
failures() {
    awk '/^(not ok|FAIL(ED)?:?) |^  [a-z]+ +FAIL: |^\[ +(ERROR|LINE|FAILED) +\]|^make.*\*\*\*/ {
            if (heading != "") print heading
            heading = ""; shown = 1; print; next
        }
        shown && /^    / { print; next }
        { shown = 0; heading = /^[^ ]+: / && !/(passed|failed),/ ? $0 : /^ / ? heading : "" }' "$1"
}

skips() {
    sed -nE 's/^(skip|SKIP|skipped:|  skipped) +//p' "$1"
}

# Adds up the summaries in a log.
counts() {
    awk 'match($0, /[0-9]+ passed, [0-9]+ failed(, [0-9]+ skipped)?$/) {
            split(substr($0, RSTART), n, /[^0-9]+/); passed += n[1]; failed += n[2]; skipped += n[3]; told = 1
        }
        match($0, /^\[  PASSED  \] [0-9]+ test/) { passed += $4; told = 1 }
        match($0, /^\[  FAILED  \] [0-9]+ test/) { failed += $4; told = 1 }
        /^known gap: / { gaps++ }
        function tell(n, what) { if (n) { printf "%s%d %s", comma, n, what; comma = ", " } }
        END {
            if (!told) printf "done"
            tell(passed, "passed"); tell(failed, "failed"); tell(skipped, "skipped")
            tell(gaps, gaps == 1 ? "known gap" : "known gaps")
        }' "$1"
}

recap() {
    for list; do
        [ -e "$list" ] || continue
        [ -n "$recapped" ] || echo "== what failed"
        recapped=yes
        head -n 30 "$list"
    done
}

# one NAME COMMAND: fails as the command does.
one() {
    log=$logs/$1.log
    mkdir -p "${log%/*}"
    rm -f "$logs/$1.failed"
    began=$(date +%s%N)
    # The same everywhere: no input, no make above it, no signal ignored (as below nohup).
    env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL --default-signal sh -c "$2" >"$log" 2>&1 </dev/null
    status=$?
    tenths=$((($(date +%s%N) - began) / 100000000))
    word=ok
    [ $status = 0 ] || word=FAIL
    line=$(printf '%-5s %-26s %s   (%d.%d s)' $word "$1" "$(counts "$log")" $((tenths / 10)) $((tenths % 10)))
    if [ $status = 0 ]; then
        echo "$line"
        skips "$log" | sed 's/^/        skipped: /'
        return 0
    fi
    {
        echo "$line"
        failures "$log"
        echo "    status $status; all of it: $log"
    } >"$logs/$1.failed"
    head -n 100 "$logs/$1.failed"
    echo "    its last lines:"
    tail -n 15 "$log" | sed 's/^/      | /'
    return 1
}

recapped=
case $1 in
--start)
    [ ! -d "$logs" ] || find "$logs" -name '*.failed' -delete
    exit
    ;;
--recap)
    recap "$logs"/*/*.failed
    [ -z "$recapped" ]
    exit
    ;;
esac
group=$1 failed=0
shift
for check; do
    one "$group/${check%%=*}" "${check#*=}" || failed=1
done
if [ $failed = 1 ] && [ $# -gt 1 ]; then
    for check; do recap "$logs/$group/${check%%=*}.failed"; done
fi
exit $failed
