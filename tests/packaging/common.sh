# Sourced by the tests of what leaves the source tree: the sources as the current directory, $BUILD, a
# directory of its own $work, checks that are counted, the summary.
# shellcheck shell=sh disable=SC2034
set -u
cd "$(dirname "$0")/../.." || exit 1
BUILD=${BUILD:-build}
subject=$(basename "$0" .sh)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0
failed=0

# passes; fails NAME TEXT: one check, and why.
passes() { passed=$((passed + 1)); }
fails() {
    failed=$((failed + 1))
    printf 'FAIL %s: %s\n' "$subject" "$1"
    printf '%s\n' "$2" | sed 's/^/    /'
}

# check NAME COMMAND...: the command succeeds. same NAME WANTED GOT.
check() {
    name=$1
    shift
    if output=$("$@" 2>&1); then passes; else fails "$name" "$output"; fi
}
same() {
    if [ "$2" = "$3" ]; then passes; else fails "$1" "wanted: $2
got:    $3"; fi
}

# words: what comes in, each word once, sorted, in a line.
words() { tr -s ' \n' '\n' | grep . | sort -u | xargs; }

finish() {
    echo "$subject: $passed passed, $failed failed"
    [ "$failed" -eq 0 ]
    exit
}
