#!/bin/bash
# From letting go to the next holder's entering: within a millisecond where the holder is guarded,
# within fifty where it is not. The bounds leave room for a busy machine.
# shellcheck source=tests/e2e/common.sh
. "$(dirname "$(realpath "$0")")/common.sh"
handover=$BUILD/e2e/handover
rounds=${ROUNDS:-60}

# judge NAME BOUND-IN-MS: reads median, 90 % and maximum (us) from `figures`.
judge() {
    local median most maximum
    read -r median most maximum <figures
    echo "  $1: median $median us, 90 % $most us, maximum $maximum us"
    below "$1: median in us" $(($2 * 1000)) "${median:-99999999}"
}
for kind in session process; do
    fresh
    guard $kind "$handover" hold $kind T/n shared "$rounds" &
    guard session "$handover" wait T/n shared "$rounds" >figures
    wait
    judge "holder: $kind, waiter: session" 5
done
fresh
for ((i = 1; i <= rounds / 2; i++)); do
    "$lockctl" run --table T -- "$handover" once "$i" T/n shared
done &
guard session "$handover" wait T/n shared $((rounds / 2)) >figures
wait
judge "holder: command, waiter: session" 10
fresh
"$handover" hold flock T.lock shared "$rounds" &
guard session "$handover" wait T/n shared "$rounds" >figures
wait
judge "holder: unguarded flock, waiter: session" 60
finish
