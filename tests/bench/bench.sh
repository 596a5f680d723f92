#!/bin/bash
# What guarding costs: the same program with and without the shim, in interleaved runs, so that what
# else the machine does hits both alike. Prints medians and their ratio to the baseline.
set -eu
build=$(readlink -f "${BUILD:-build}")
rounds=${BENCH_ROUNDS:-9}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/plain" "$work/table"
: >"$work/plain/file"
: >"$work/plain/file.a"
calls=$build/bench/calls

measure() { # OPERATION GUARD
    case $2 in
    bare) "$calls" "$1" "$work/plain" "$work/table" ;;
    *) LD_PRELOAD=$build/liblockshim.so LOCKSHIM_TABLE=$work/table LOCKSHIM_SCOPE=$2 \
        "$calls" "$1" "$work/plain" "$work/table" ;;
    esac
}

median() {
    sort -n "$1" | awk '{value[NR] = $1} END {print value[int((NR + 1) / 2)]}'
}

# compare LABEL OPERATION GUARD BASELINE-OPERATION BASELINE-GUARD
compare() {
    : >"$work/a"
    : >"$work/b"
    for ((round = 0; round < rounds; round++)); do
        measure "$2" "$3" >>"$work/a"
        measure "$4" "$5" >>"$work/b"
    done
    guarded=$(median "$work/a")
    baseline=$(median "$work/b")
    awk -v label="$1" -v g="$guarded" -v b="$baseline" \
        'BEGIN {printf "%-44s %12.1f %12.1f %8.3f\n", label, g, b, g / b}'
}

printf '%-44s %12s %12s %8s\n' "operation" "guarded ns" "baseline ns" "ratio"
for operation in write pread open+close open+close-relative fopen+fclose stat rename fork exec; do
    compare "$operation, no table's (process)" "$operation" process "$operation" bare
done
compare "open+write+close, session vs flock" session session session-flock bare
compare "open+write+close, session vs open+flock" session session session-open-flock bare
compare "open+write+close, process vs bare" session process session bare
