#!/bin/bash
# What `lockctl advise` says of the real programs of tests/real, each on a store of its own.
#
#   real.sh [--show] [NAME | required | breadth] ...
#
# Whatever it says must be a scope under which that program was seen to lose nothing (`command`, or
# one that its file or tests/advise/verdicts names as right), and what the latter expects. --show prints
# the verdicts instead.
set -u
export LC_ALL=C
VERDICTS=$(cd "$(dirname "$0")" && pwd)/verdicts
HERE=$(cd "$(dirname "$0")/../real" && pwd)
BUILD=$(cd "${BUILD:-build}" && pwd) || exit 2
export WORKERS=50
show=

# --- what a program file may use, as tests/real/run.sh has it ---------------------------------
old_names()
{
    seq -f 'old%04g' "$size"
}
new_names()
{
    if ((cycles == 1)); then
        printf 'new%02d\n' "$1"
    else
        seq -f "new$(printf '%02d' "$1").%g" "$cycles"
    fi
}
victim()
{
    printf 'old%04d\n' $(($1 * size / (WORKERS + 1)))
}
script()
{
    cat >"$WORK/$1" && chmod +x "$WORK/$1"
}
run()
{
    exec "$BUILD/lockctl" advise --json --linger 4 --timeout 20 --table "$TABLE" -- "$@"
}
defaults()
{
    export needs='' right='' refused='' slow=no size=1000 cycles=1 limit=60 locks=no guard=command
}
available()
{
    :
}
prepare()
{
    :
}
teardown()
{
    :
}
operation()
{
    local names
    mapfile -t names < <(new_names "$1")
    insert "${names[@]}"
}
# --- one program --------------------------------------------------------------------------------

# One that is guarded (company, outer-flock), and does not follow (tail-f).
worker=9

verdict_of()
{
    /usr/bin/python3 -c '
import json, sys
advice = json.load(open(sys.argv[1]))
scopes = advice["scopes"]
print(advice["scope"], advice["reason"], "eager" if advice["eager"] else "-",
      "shared" if advice["shared"] else "-", advice["status"], len(advice["unseen"]))
' "$1"
}

judge()
{
    local name=$1 verdict=$2 scope reason eager shared status rest expected proof
    read -r scope reason eager shared status rest <<<"$verdict"
    read -r expected proof < <(awk -v name="$name" \
        '$1 == name { print $2 "," $3 "," $4 "," $5, $6 }' "$VERDICTS")
    if [ -n "$show" ]; then
        printf '%s %s %s %s %s | status %s, %s unseen; right: %s\n' "$name" "$scope" "$reason" \
            "$eager" "$shared" "$status" "$rest" "command $right"
        return
    fi
    if [ "$status" != 0 ]; then
        echo "$name: FAIL: the command ended with status $status"
        return 1
    fi
    if [[ " command $right " != *" $scope "* && -z $proof ]]; then
        echo "$name: FAIL: advises $scope, and right are: command $right"
        return 1
    fi
    if [ "$scope,$reason,$eager,$shared" != "$expected" ]; then
        echo "$name: FAIL: says '$scope,$reason,$eager,$shared', expected '$expected'"
        return 1
    fi
    echo "$name: $scope ($reason)"
}

# One operation; what comes before and after is for all.
advise_operation()
{
    local name=$1 operation=$2 verdict
    ("$operation" "$(victim "$worker")") </dev/null >"$WORK/advice.json" 2>"$WORK/errors"
    if ! verdict=$(verdict_of "$WORK/advice.json" 2>/dev/null); then
        echo "$name: FAIL: no advice"
        tail -n 5 "$WORK/errors"
        return 1
    fi
    if ! diff -r --no-dereference "$WORK/master" "$TABLE" >/dev/null; then
        echo "$name: FAIL: the table itself was changed"
        return 1
    fi
    judge "$name" "$verdict"
}
first_operation()
{
    operation "$worker"
}

advise_program()
{
    local file=$1 name command result=0
    name=$(basename "$file" .sh)
    defaults
    # shellcheck source=/dev/null
    . "$file"
    for command in $needs; do
        command -v "$command" >/dev/null || {
            echo "$name: skipped: there is no $command here"
            return
        }
    done
    available >/dev/null 2>&1 || {
        echo "$name: skipped: not so here"
        return
    }
    mkdir "$TABLE"
    { prepare && setup && teardown; } >"$WORK/setup" 2>&1 || {
        echo "$name: FAIL: the store could not be made"
        cat "$WORK/setup"
        return 1
    }
    cp -a "$TABLE" "$WORK/master"
    advise_operation "$name" first_operation || result=1
    if declare -F delete >/dev/null; then
        advise_operation "$name.delete" delete || result=1
    fi
    teardown >/dev/null 2>&1
    return "$result"
}

chosen=()
for name; do
    case $name in
    --show) show=yes ;;
    required | breadth) chosen+=("$HERE/$name"/*.sh) ;;
    *) chosen+=("$HERE"/*/"$name".sh) ;;
    esac
done
((${#chosen[@]} > 0)) || chosen=("$HERE/required"/*.sh)
base=$(mktemp -d "${TMPDIR:-/tmp}/advise-real.XXXXXX") || exit 2
trap 'rm -rf "$base"' EXIT
for file in "${chosen[@]}"; do
    WORK=$base/$(basename "$file" .sh)
    TABLE=$WORK/table
    mkdir "$WORK"
    (advise_program "$file") | tee -a "$base/told"
    [ -n "${KEEP-}" ] || rm -rf "$WORK"
done
[ -z "${KEEP-}" ] || trap - EXIT
[ -z "$show" ] || exit 0
failed=$(grep -c ': FAIL: ' "$base/told")
skipped=$(grep -c ': skipped: ' "$base/told")
echo "$(($(grep -c '^[^ ]*: ' "$base/told") - failed - skipped)) passed, $failed failed, $skipped skipped"
((failed == 0))
