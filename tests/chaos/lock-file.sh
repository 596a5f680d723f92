#!/bin/bash
# The lock file is unlinked, overwritten or renamed away hundreds of times, each time while nobody is
# inside: two are never inside at once.
# shellcheck source=tests/e2e/common.sh
. "$(dirname "$(realpath "$0")")/../e2e/common.sh"
for change in "rm -f T.lock" "mv T.lock away" "mv other T.lock"; do
    fresh
    for i in 1 2 3; do
        guard session "$act" "plod 1000 T/n" >>out 2>&1 &
        all[i]=$!
    done
    while [ ! -e stop ]; do
        : >other
        # shellcheck disable=SC2086
        flock -w 3 T.lock $change && echo >>count
        sleep 0.00$((RANDOM % 4))
    done 2>/dev/null &
    changer=$!
    wait "${all[@]}"
    : >stop
    wait $changer
    same "$change: nothing is lost" " 3000" "$(cat out) $(cat T/n)"
    below "$change: there was enough of it" "$(wc -l <count)" 30
done
finish
