#!/bin/sh
# Every interposed symbol under every scope, lock free and taken by another, against what libc does
# without the shim. Prints each call that fails, then the numbers of all.
set -u
cd "$(dirname "$0")/../.." || exit 1
BUILD=${BUILD:-build}
base=$(mktemp -d -p /dev/shm 2>/dev/null || mktemp -d) # thousands of small files
base=$(realpath "$base")
holder=
trap 'stop_holding; rm -rf "$base"' EXIT

passed=0
failed=0
skipped=0

skip() {
    echo "skip $*"
    skipped=$((skipped + 1))
}

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

for program in plain fortified plain-i386 fortified-i386; do
    shim=$PWD/$BUILD/liblockshim.so
    case $program in
    *-i386)
        shim="$PWD/$BUILD/lockshim/\$LIB/liblockshim.so"
        if [ ! -e "$BUILD/i386/liblockshim.so" ]; then
            skip "$program: no compiler for 32-bit programs (gcc-i686-linux-gnu)"
            continue
        fi
        "$BUILD/tests/surface/surface-$program" >/dev/null 2>&1
        if [ $? -ge 126 ]; then
            skip "$program: 32-bit programs do not run here (libc6-i386)"
            continue
        fi
        ;;
    esac
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
        [ "$program" = fortified-i386 ] || {
            run "$program" same T $free $table LOCKSHIM_SCOPE=command
            run "$program" session-free T $free $table LOCKSHIM_SCOPE=session
            run "$program" call-free T $free $table LOCKSHIM_SCOPE=call
            run "$program" shared T $free $table LOCKSHIM_SHARED=1
        }
        hold
        run "$program" same O $guarded $table LOCKSHIM_SCOPE=process
        run "$program" process-held T $guarded $table LOCKSHIM_SCOPE=process
        [ "${program%-i386}" = fortified ] || {
            # The rows execute 64-bit programs without the preload, which to a 32-bit one are out of
            # reach: it takes the lock for them first (tests/e2e/32-bit.sh).
            [ "$program" = plain-i386 ] ||
                run "$program" process-held T $guarded $table LOCKSHIM_SCOPE=command
            run "$program" session-held T $guarded $table LOCKSHIM_SCOPE=session
            run "$program" call-held T $guarded $table LOCKSHIM_SCOPE=call
        }
        stop_holding
    }
done
echo "surface: $passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
