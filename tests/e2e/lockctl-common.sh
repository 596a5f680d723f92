# Sourced by the lockctl tests: a directory of their own, checks that are counted, the summary.
# shellcheck shell=bash disable=SC2034
here=$(dirname "$(realpath "$0")")
BUILD=$(realpath "${BUILD:-build}")
lockctl=$BUILD/lockctl
[ -x "$lockctl" ] || { echo "not ok there is no $lockctl" && exit 1; }
# What LD_PRELOAD gets: the shim, or where there is one for musl as well, the entry for both.
preload=$BUILD/liblockshim.so
[ ! -e "$BUILD/lockshim/\$LIB/liblockshim.so" ] || preload=$BUILD/lockshim/\$LIB/liblockshim.so
work=$(mktemp -d /tmp/lockctl-test-XXXXXX)
passed=0 failed=0 skipped=0
clean_up() { chmod -R u+rwX "$work" 2>/dev/null; rm -rf "$work"; }
trap clean_up EXIT
umask 022
unset LD_PRELOAD
for name in $(compgen -e LOCKSHIM_); do unset "$name"; done
cd "$work" || exit 1
mkdir table

ok() { passed=$((passed + 1)) && echo "ok $1"; }
not_ok() {
    failed=$((failed + 1))
    echo "not ok $1"
    [ -z "${2-}" ] || printf '%s\n' "$2" | sed 's/^/    /'
}
skip() { skipped=$((skipped + 1)) && echo "skip $1"; }

# expect NAME STATUS PATTERN COMMAND...: the exit status, and all that is printed matches PATTERN
# (an extended regular expression for the whole of it; '' for nothing).
expect() {
    local name=$1 status=$2 pattern=$3 output got
    shift 3
    output=$("$@" 2>&1 </dev/null)
    got=$?
    if [ "$got" != "$status" ]; then
        not_ok "$name" "status $got, not $status: $output"
    elif ! [[ $output =~ ^$pattern$ ]]; then
        not_ok "$name" "printed: $output"
    else
        ok "$name"
    fi
}

no_newline="[^"$'\n'"]*"
# one_line NAME STATUS PATTERN COMMAND...: the same for a complaint: one line, PATTERN is in it.
one_line() {
    local name=$1 status=$2 pattern=$3
    shift 3
    expect "$name" "$status" "lockctl: $no_newline$pattern$no_newline" "$@"
}

# check NAME COMMAND...: the command succeeds.
check() {
    local name=$1 output
    shift
    if output=$("$@" 2>&1); then ok "$name"; else not_ok "$name" "$output"; fi
}

# refute NAME COMMAND...: it fails.
refute() {
    local name=$1
    shift
    if "$@" >/dev/null 2>&1; then not_ok "$name"; else ok "$name"; fi
}

finish() {
    echo "$passed passed, $failed failed, $skipped skipped"
    [ "$failed" = 0 ]
    exit
}
