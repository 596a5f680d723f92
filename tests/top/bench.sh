#!/bin/bash
# What lockctl top costs fifty processes that work on one table: rounds with and without it in turn,
# so that what else the machine does hits both alike. Prints the acquisitions of each and the ratio
# of their sums; nothing is judged here.
set -eu
build=$(readlink -f "${BUILD:-build}")
rounds=${BENCH_ROUNDS:-20}
seconds=${BENCH_SECONDS:-2}
processes=${BENCH_PROCESSES:-50}
work=$(mktemp -d)
workers=()
clean_up() {
    kill "${workers[@]}"
    wait
    rm -rf "$work"
}
trap clean_up EXIT
cd "$work"
mkdir T
echo 0 >T/n

# Each adds to a counter, a session at a time, and does not end by itself.
for ((i = 0; i < processes; i++)); do
    LD_PRELOAD=$build/liblockshim.so LOCKSHIM_TABLE=$work/T LOCKSHIM_SCOPE=session \
        "$build/e2e/act" "add 1000000000 T/n" &
    workers+=($!)
done
acquisitions() { "$build/lockctl" stats --raw --noheadings -o ACQUISITIONS T; }
# Stopped, top costs nothing: so no round has a start of it in it.
"$build/lockctl" top -b T >/dev/null &
top=$!
workers+=("$top")
measure() {
    local before
    before=$(acquisitions)
    sleep "$seconds"
    echo $(($(acquisitions) - before))
}
with() { kill -CONT $top && measure; }
without() { kill -STOP $top && measure; }
sleep 2
echo "     with  without"
for ((round = 0; round < rounds; round++)); do
    if ((round % 2)); then
        without=$(without)
        with=$(with)
    else
        with=$(with)
        without=$(without)
    fi
    printf '%9d %8d\n' "$with" "$without"
done | tee figures
kill -CONT $top
read -r -a fields <"/proc/$top/stat"
echo "hundredths of a second of processor time that top took: $((fields[13] + fields[14]))"
awk '{ with += $1; without += $2; ratio[NR] = $1 / $2 }
    END {
        n = asort(ratio)
        printf "with / without: %.3f, median of rounds %.3f\n", with / without, ratio[int((n + 1) / 2)]
    }' figures
