#!/bin/bash
# What rollback costs: sessions and processes that change one small file of a 400 KB table, with
# --on-crash rollback and without, in interleaved runs; and the same beside a large file that nobody
# touches.
set -eu
build=$(readlink -f "${BUILD:-build}")
rounds=${BENCH_ROUNDS:-7}
base=${COST_DIRECTORY:-${TMPDIR:-/tmp}}
work=$(mktemp -d "$base/lockshim-cost-XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir "$work/plain" "$work/table"
: >"$work/plain/file"
for ((i = 0; i < 10; i++)); do head -c 40960 /dev/urandom >"$work/table/data$i"; done
head -c 1000 /dev/urandom >"$work/table/file"
export LOCKSHIM_TABLE=$work/table LOCKSHIM_SCOPE=session

sessions() { LOCKSHIM_ON_CRASH=$1 LD_PRELOAD=$build/liblockshim.so "$build/bench/session" bare "$work/table" "$work/table.hand" 100 20000; }
# One process that opens a file, writes 100 bytes into it, and ends: nanoseconds.
processes() {
    local begin end i
    begin=$(date +%s%N)
    for ((i = 0; i < 50; i++)); do
        LOCKSHIM_SCOPE=process LOCKSHIM_ON_CRASH=$1 LD_PRELOAD=$build/liblockshim.so \
            "$build/e2e/act" "open 0 $work/table/file rw" "write 0 text" "close 0"
    done
    end=$(date +%s%N)
    echo $(((end - begin) / 50))
}
median() { sort -n "$1" | awk '{value[NR] = $1} END {print value[int((NR + 1) / 2)]}'; }
compare() { # LABEL MEASURE POLICY OTHER-POLICY
    : >"$work/a"
    : >"$work/b"
    for ((round = 0; round < rounds; round++)); do
        "$2" "$3" >>"$work/a"
        "$2" "$4" >>"$work/b"
    done
    awk -v label="$1" -v a="$(median "$work/a")" -v b="$(median "$work/b")" \
        'BEGIN {printf "%-52s %10.0f %10.0f ns %7.3f\n", label, a, b, a / b}'
}
compare "process, one small file changed: rollback/report" processes rollback report
compare "session, one small file changed: rollback/report" sessions rollback report
truncate -s 0 "$work/table/large"
head -c 100000000 /dev/zero >"$work/table/large"
compare "process, beside 100 MB untouched: rollback/report" processes rollback report
compare "session, beside 100 MB untouched: rollback/report" sessions rollback report
