# Sourced by the tests of the shim's behaviour: a directory with two tables T and U, processes that
# stop at stages, checks that are counted, the summary.
# shellcheck shell=bash disable=SC2034
here=$(dirname "$(realpath "$0")")
BUILD=$(realpath "${BUILD:-build}")
lockctl=$BUILD/lockctl
shim=$BUILD/liblockshim.so
act=$BUILD/e2e/act
[ -x "$act" ] || { echo "not ok there is no $act" && exit 1; }
umask 022
unset LD_PRELOAD
for name in $(compgen -e LOCKSHIM_); do unset "$name"; done
python=/usr/bin/python3
[ -x $python ] || python=$(command -v python3)
work=$(mktemp -d /tmp/lockshim-test-XXXXXX)
passed=0 failed=0 skipped=0
clean_up() {
    trap - EXIT
    local process
    for process in $(jobs -p); do kill -KILL "$process" 2>/dev/null; done
    # Whoever still works in our directory was left behind by a test that failed.
    for process in /proc/[0-9]*; do
        [ "$(readlink "$process/cwd")" = "$work" ] && [ "${process#/proc/}" != $$ ] &&
            kill -KILL "${process#/proc/}" 2>/dev/null
    done
    chmod -R u+rwX "$work" 2>/dev/null
    cd / && rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 1' INT TERM
cd "$work" || exit 1

ok() { passed=$((passed + 1)) && echo "ok $1"; }
not_ok() {
    failed=$((failed + 1))
    echo "not ok $1"
    [ -z "${2-}" ] || printf '%s\n' "$2" | sed 's/^/    /'
}
skip() { skipped=$((skipped + 1)) && echo "skip $1"; }

# todo NAME REASON: a known gap, told and not counted among what failed.
todo() { echo "known gap: $1 ($2)"; }

# check NAME COMMAND...: the command succeeds. refute NAME COMMAND...: it fails.
check() {
    local name=$1 output
    shift
    if output=$("$@" 2>&1); then ok "$name"; else not_ok "$name" "$output"; fi
}
refute() {
    local name=$1
    shift
    if "$@" >/dev/null 2>&1; then not_ok "$name"; else ok "$name"; fi
}
# same NAME EXPECTED ACTUAL; below NAME BOUND ACTUAL (decimal numbers).
same() {
    if [ "$2" = "$3" ]; then ok "$1"; else not_ok "$1" "expected: $2
     got: $3"; fi
}
below() {
    if awk "BEGIN { exit !($3 < $2) }"; then ok "$1 ($3 < $2)"; else not_ok "$1" "$3, not below $2"; fi
}

# Empty tables, no lock files, no stages.
fresh() {
    rm -rf "${work:?}"/*
    mkdir T U
    echo 0 >T/n
    echo 0 >U/n
}

# within COMMAND...: what hangs is ended some time, and says so; how long something takes on a busy
# machine is no matter here.
within() {
    local status=0
    timeout -k 1 "${limit:-150}" "$@" || status=$?
    [ $status != 124 ] || echo "hangs"
    return $status
}
# guard SCOPE COMMAND...: under a bare preload, table T. guard_both: T and U.
guard() {
    local scope=$1
    shift
    within env LD_PRELOAD="$shim" LOCKSHIM_TABLE="$work/T" LOCKSHIM_SCOPE="$scope" "$@"
}
guard_both() {
    local scope=$1
    shift
    within env LD_PRELOAD="$shim" LOCKSHIM_TABLES="$work/T
$work/U" LOCKSHIM_SCOPE="$scope" "$@"
}
# run COMMAND...: below lockctl run, table T; the options come in $options.
run() {
    # shellcheck disable=SC2086
    within "$lockctl" run --table T ${options-} -- "$@"
}

# soon COMMAND...: it succeeds, within half a minute at the latest.
soon() {
    local i
    for ((i = 0; i < 1500; i++)); do
        "$@" && return 0
        sleep 0.02
    done
    return 1
}
# A process says "mark NAME" and "await NAME+": at NAME waits for the one, go NAME does the other.
at() {
    soon test -e "$1" || not_ok "stage $1 is reached"
}
go() { : >"$1+"; }
# A stranger that asks the kernel alone.
is_free() { flock -n "${1:-T.lock}" true; }
is_held() { ! is_free "$@"; }
stays_held() { is_held "$@" && sleep 0.1 && is_held "$@"; }
# now: seconds since some time ago, as a decimal number; since START.
now() { awk '{ print $1 }' /proc/uptime; }
since() { awk "BEGIN { print $(now) - $1 }"; }

finish() {
    echo "$passed passed, $failed failed, $skipped skipped"
    [ "$failed" = 0 ]
    exit
}
