#!/bin/sh
# Every interposed symbol under every scope, lock free and taken by another, against what libc does
# without the shim. Prints each call that fails, then the numbers of all.
set -u
cd "$(dirname "$0")/../.." || exit 1
BUILD=${BUILD:-build}
shim=$PWD/$BUILD/liblockshim.so
base=$(mktemp -d -p /dev/shm 2>/dev/null || mktemp -d) # thousands of small files
base=$(realpath "$base")
holder=
trap 'stop_holding; rm -rf "$base"' EXIT

passed=0
failed=0

# Takes the lock as a stranger does, until stop_holding.
hold() {
    mkfifo "$base/held"
    flock --no-fork "$base/T.lock" sh -c "echo held >'$base/held'; exec sleep 600" &
    holder=$!
    read -r _ <"$base/held"
    rm "$base/held"
}

stop_holding() {
    [ -n "$holder" ] || return 0
    kill "$holder"
    wait "$holder" 2>/dev/null
    holder=
}

fresh() {
    rm -rf "$base/T" "$base/O" "$base/B"
    mkdir "$base/T" "$base/O" "$base/B"
}

# run PROGRAM CONDITION AREA [VARIABLE=VALUE …]
run() {
    program=$1 condition=$2 area=$3
    shift 3
    fresh
    env "$@" timeout 300 "$BUILD/tests/surface/surface-$program" "$condition" "$base/$area" "$base/B" \
        "$base/T.lock" "$base/record" >"$base/output" 2>"$base/errors"
    status=$?
    grep '^FAIL' "$base/output" | sed "s|$base/||g; s|^FAIL|FAIL $program $*|; s|LD_PRELOAD=[^ ]*||"
    last=$(tail -n 1 "$base/output")
    case $last in
    *' passed, '*' failed')
        counts=${last#*: }
        passed=$((passed + ${counts%% *}))
        counts=${counts#*, }
        failed=$((failed + ${counts%% *}))
        ;;
    *)
        [ "$condition" = record ] && [ "$status" = 0 ] && return
        echo "FAIL $program $condition $*: ended with status $status"
        tail -n 3 "$base/output" "$base/errors"
        failed=$((failed + 1))
        ;;
    esac
}

for program in plain fortified; do
    rm -f "$base/record"
    run "$program" record T
    # A forked child joins its parent once that waits for it: not at once.
    free="LD_PRELOAD=$shim LOCKSHIM_TIMEOUT=20"
    guarded="LD_PRELOAD=$shim LOCKSHIM_TIMEOUT=0"
    table="LOCKSHIM_TABLE=$base/T"
    # shellcheck disable=SC2086 # several words
    {
        run "$program" same T $free
        run "$program" same T $free $table LOCKSHIM_SCOPE=process
        run "$program" same T $free $table LOCKSHIM_SCOPE=command
        run "$program" session-free T $free $table LOCKSHIM_SCOPE=session
        run "$program" call-free T $free $table LOCKSHIM_SCOPE=call
        run "$program" shared T $free $table LOCKSHIM_SHARED=1
        hold
        run "$program" same O $guarded $table LOCKSHIM_SCOPE=process
        run "$program" process-held T $guarded $table LOCKSHIM_SCOPE=process
        [ "$program" = fortified ] || {
            run "$program" process-held T $guarded $table LOCKSHIM_SCOPE=command
            run "$program" session-held T $guarded $table LOCKSHIM_SCOPE=session
            run "$program" call-held T $guarded $table LOCKSHIM_SCOPE=call
        }
        stop_holding
    }
done
echo "surface: $passed passed, $failed failed, 0 skipped"
[ "$failed" = 0 ]
