#!/bin/bash
# lockctl run below lockctl run: the outer tables stay guarded, nothing is preloaded twice, nothing
# stale is handed on.
# shellcheck source=tests/e2e/lockctl-common.sh
. "$(dirname "$(realpath "$0")")/lockctl-common.sh"
mkdir outer inner

"$lockctl" run --table outer --scope session "$lockctl" run --table inner env >text
check "the inner table comes first" grep "^LOCKSHIM_TABLES=$work/inner scope=command" text
check "the outer table stays as it was" grep "^$work/outer scope=session" text
check "the shim is preloaded once" grep -F -x "LD_PRELOAD=$preload" text

"$lockctl" run --table outer --timeout 7 "$lockctl" run --table ./outer --scope call env >text
check "what is said inside goes before" grep "^LOCKSHIM_TABLES=$work/outer scope=call" text
refute "for the same table" grep 'timeout' text

LOCKSHIM_TABLE=outer LOCKSHIM_SCOPE=session LOCKSHIM_TIMEOUT=9 LOCKSHIM_EAGER=1 \
    "$lockctl" run --table inner env >text
check "a table of the environment stays" grep "^$work/outer scope=session .*timeout=9" text
refute "its variables do not" grep -E '^LOCKSHIM_(TABLE|SCOPE|TIMEOUT|EAGER)=' text
expect "the environment alone is enough" 0 'LOCKSHIM_TABLES=.*/outer scope=process .*' \
    sh -c "LOCKSHIM_TABLE=outer $lockctl run --config /dev/null env | grep TABLES"
one_line "a wrong variable" 78 "LOCKSHIM_SCOPE 'x' is not a scope" \
    env LOCKSHIM_TABLE=outer LOCKSHIM_SCOPE=x "$lockctl" run --table inner true

cp "$BUILD/liblockshim.so" copy.so
ln -s "$BUILD/liblockshim.so" linked.so
LD_PRELOAD=$work/linked.so "$lockctl" run --table inner env >text
check "the shim by another name is the shim" grep -F -x "LD_PRELOAD=$preload" text
for scope in command process; do
    expect "three deep, $scope" 6 'inside' "$lockctl" run --table outer --scope $scope \
        "$lockctl" run --table inner --scope $scope "$lockctl" run --table outer --scope $scope \
        sh -c 'echo a >outer/f; echo b >inner/f; [ -e outer/f ] && echo inside; exit 6'
    expect "free afterwards, $scope" 0 '' flock -n outer.lock flock -n inner.lock true
done
expect "eager outside, a touch inside" 0 'a' timeout 20 "$lockctl" run --table outer --eager \
    "$lockctl" run --table inner sh -c 'echo a >outer/g; cat outer/g'
expect "dependents that must wait" 0 'a' timeout 20 "$lockctl" run --table outer --dependents wait \
    "$lockctl" run --table outer --dependents wait sh -c 'echo a >outer/g; cat outer/g'
finish
