# shellcheck shell=sh
# common.sh: what the shell tests of the store share; sourced with BUILD set, from the top of the tree.
# Everything happens in a directory of its own, which is removed at the end.
set -eu
BUILD=${BUILD:-build}
top=$(pwd)
tablestore=$top/$BUILD/tablestore
tests=$top/tests/store
export tablestore tests
# In a sanitizer build: the texts of complaints live until the program ends, which is no leak.
export ASAN_OPTIONS="${ASAN_OPTIONS:-detect_leaks=0}"
passed=0 failures=0 skipped=0
work=$(mktemp -d "${TMPDIR:-/tmp}/tablestore-test-XXXXXX")
trap 'cd /; rm -rf "$work"' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
cd "$work"

pass() {
    passed=$((passed + 1))
}

fail() {
    echo "FAILED: $*" >&2
    failures=$((failures + 1))
}

skip() {
    echo "skipped: $*"
    skipped=$((skipped + 1))
}

# expect STATUS COMMAND...: the exit status, and for a failure one line on stderr.
expect() {
    wanted=$1
    shift
    got=0
    "$@" >out 2>err </dev/null || got=$?
    if [ "$got" != "$wanted" ]; then
        fail "status $got, not $wanted: $* ($(cat err))"
    elif [ "$wanted" != 0 ] && [ ! -s out ] && [ "$(wc -l <err)" != 1 ]; then
        fail "not one line of complaint: $* ($(cat err))"
    else
        pass
    fi
}

# is EXPECTED ACTUAL WHAT
is() {
    if [ "$1" = "$2" ]; then
        pass
    else
        fail "$3: expected '$1', got '$2'"
    fi
}

finish() {
    echo "$passed passed, $failures failed, $skipped skipped"
    [ "$failures" = 0 ]
}
