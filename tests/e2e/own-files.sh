#!/bin/bash
# Three programs at once in one table, each at a file of its own, faster than the times of files can
# tell: whatever way they rewrite it in, none is refused for what nobody else has changed.
# shellcheck source=tests/e2e/common.sh
. "$(dirname "$(realpath "$0")")/common.sh"
program=$here/own-files.py

# three NAME COMMAND... FILE TIMES: under each scope that refuses, with and without a journal.
three() {
    local name=$1 scope on_crash own
    shift
    for scope in session call; do
        for on_crash in report rollback; do
            fresh
            for own in 1 2 3; do
                LOCKSHIM_ON_CRASH=$on_crash guard "$scope" "$@" T/own-$own 40 >said-$own 2>&1 &
            done
            wait
            same "$scope, $on_crash: $name" "0 0 0" "$(awk 1 said-* | xargs)"
        done
    done
}
for way in $("$python" "$program" ways); do
    three "$way" "$python" "$program" "$way"
done
three "by streams" "$BUILD/e2e/own_stream"
finish
