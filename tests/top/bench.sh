#!/bin/bash
# What lockctl top costs fifty processes that work on one table: rounds with and without it in turn,
# so that what else the machine does hits both alike. Prints the acquisitions of each and the ratio
# of their sums; nothing is judged here.
set -eu
build=$(readlink -f "${BUILD:-build}")
rounds=${BENCH_ROUNDS:-12}
seconds=${BENCH_SECONDS:-2}
processes=${BENCH_PROCESSES:-50}
work=$(mktemp -d)
clean_up() {
    touch "$work/over"
    wait
    rm -rf "$work"
}
trap clean_up EXIT
cd "$work"
mkdir T
echo 0 >T/n

# Each adds to a counter, a session at a time.
for ((i = 0; i < processes; i++)); do
    while [ ! -e over ]; do
        LD_PRELOAD=$build/liblockshim.so LOCKSHIM_TABLE=$work/T LOCKSHIM_SCOPE=session \
            "$build/e2e/act" "add 2000 T/n"
    done &
done
acquisitions() { "$build/lockctl" stats --raw --noheadings -o ACQUISITIONS T; }
# measure: acquisitions while the command in its arguments runs, or nothing does.
measure() {
    local process=0 before
    if [ $# -gt 0 ]; then
        "$@" >/dev/null &
        process=$!
        sleep 0.3
    fi
    before=$(acquisitions)
    sleep "$seconds"
    echo $(($(acquisitions) - before))
    [ $process = 0 ] || { kill $process && wait $process; } 2>/dev/null || :
}
sleep 1
echo "     with  without"
for ((round = 0; round < rounds; round++)); do
    if ((round % 2)); then
        without=$(measure)
        with=$(measure "$build/lockctl" top -b T)
    else
        with=$(measure "$build/lockctl" top -b T)
        without=$(measure)
    fi
    printf '%9d %8d\n' "$with" "$without"
done | tee figures
awk '{ with += $1; without += $2; ratio[NR] = $1 / $2 }
    END {
        n = asort(ratio)
        printf "with / without: %.3f, median of rounds %.3f\n", with / without, ratio[int((n + 1) / 2)]
    }' figures
