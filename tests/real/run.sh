#!/bin/bash
# Real, unmodified programs, fifty of them at once on one store: what do they lose without a
# guard, and with one?
#
#   run.sh [--guard G] [--rounds N] [--keep] [--list] [NAME | required | breadth] ...
#
# Without --guard the whole test of each program: first the race is shown to be real (unguarded
# tries until something is lost; a program that loses nothing within the bound fails, as the
# rounds after it would prove nothing), then rounds under `lockctl run --table DIR --`, then under
# a bare preload with the scopes that must be right for this program. --guard runs that one alone,
# on the programs for which it must be right: none, flock, command, process or session. GUARD=flock in the environment puts flock(1) in
# the place of lockctl, to test the tests themselves.
#
# A program is one small file in required/ or breadth/. It sets
#   needs       commands that must be there (else the program is skipped, and that is told)
#   right       scopes beside `command` under which nothing may be lost
#   refused     scopes under which an operation may fail, but never lose in silence
#   size        entries of the store at the start (1000)
#   cycles      names that each worker inserts, for programs that live long (1)
#   limit       seconds that a round may take (60)
#   slow=yes    each process takes a tenth of a second and more to start: one round in breadth/
#   locks=yes   it locks by itself: no race to be shown, the guard must do no harm
# and defines
#   available   succeeds when what `needs` cannot say is there, e.g. a Python module
#   prepare     what is made once and is no part of the store: scripts, compiled programs
#   setup       makes the store in $TABLE, with the entries that old_names prints
#   insert NAME ..., and perhaps delete NAME: one operation, by `run COMMAND ...`, which becomes
#               the command under the guard. With delete, every second worker deletes.
#   list        prints the names of all entries, one a line, by the program's own reader
#   settle      waits for what goes on after the commands have ended
#   teardown    ends what the program leaves running, such as a key agent
# or, in place of insert and delete, `operation WORKER`; of names, `expected WORKER ...`, which
# prints what `list` must print when those workers have done their work.
set -u
export LC_ALL=C
HERE=$(cd "$(dirname "$0")" && pwd)
BUILD=$(cd "${BUILD:-build}" 2>/dev/null && pwd) || {
    echo "run.sh: no build directory: run make first" >&2
    exit 2
}
WORKERS=50
ROUNDS=${ROUNDS:-10}                 # required programs, under the command scope
BREADTH_ROUNDS=${BREADTH_ROUNDS:-2}  # the others
SCOPE_ROUNDS=${SCOPE_ROUNDS:-2}      # required programs under other scopes
TRIES=${TRIES:-20}                   # unguarded, until something is lost
GUARD=${GUARD:-command}
only=
keep=

usage()
{
    sed -n '2,/^set -u/{/^set -u/d;s/^# \{0,1\}//;p}' "$0"
    exit "$1"
}

# --- what a program file may use ------------------------------------------------------------

# The names of the entries that the store has at the start.
old_names()
{
    seq -f 'old%04g' "$size"
}

# The names that worker $1 inserts, and the one that it deletes.
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

# Becomes COMMAND under the guard of this round.
run()
{
    case $guard in
    none) exec "$@" ;;
    flock) exec flock "$TABLE.lock" "$@" ;;
    command) exec "$BUILD/lockctl" run --table "$TABLE" -- "$@" ;;
    *)
        export LOCKSHIM_TABLE=$TABLE LOCKSHIM_SCOPE=$guard
        LD_PRELOAD=$BUILD/liblockshim.so exec "$@"
        ;;
    esac
}

# Makes the executable file $WORK/NAME of what comes on standard input.
script()
{
    cat >"$WORK/$1" && chmod +x "$WORK/$1"
}

# --- defaults of a program file -------------------------------------------------------------

defaults()
{
    needs='' right='' refused='' slow=no size=1000 cycles=1 limit=60 locks=no
}
available()
{
    :
}
prepare()
{
    :
}
settle()
{
    :
}
teardown()
{
    :
}
deletes()
{
    declare -F delete >/dev/null && (($1 % 2 == 0))
}
operation()
{
    local names
    if deletes "$1"; then
        delete "$(victim "$1")"
    else
        mapfile -t names < <(new_names "$1")
        insert "${names[@]}"
    fi
}
expected()
{
    local worker
    for worker; do
        if deletes "$worker"; then
            victim "$worker"
        fi
    done >"$WORK/victims"
    old_names | grep -vxFf "$WORK/victims"
    for worker; do
        deletes "$worker" || new_names "$worker"
    done
}

# --- one round ------------------------------------------------------------------------------

# Everything that a round starts carries this in its environment, so that what is left of it can
# be found, however it daemonized.
export REAL_TEST_RUN="$$.$RANDOM$RANDOM"

ours()
{
    env -u REAL_TEST_RUN grep -lzxF "REAL_TEST_RUN=$REAL_TEST_RUN" \
        /proc/[0-9]*/environ 2>/dev/null |
        while IFS=/ read -r _ _ pid _; do
            echo "$pid"
        done
}

kill_ours()
{
    local pids
    mapfile -t pids < <(ours)
    ((${#pids[@]} == 0)) || kill -KILL "${pids[@]}" 2>/dev/null
}

# Who has the lock, and what hangs, on what: a few of each kind.
describe_hang()
{
    local pid pids lock
    pids=$(ours)
    lock=$(stat -c %i "$TABLE.lock" 2>/dev/null) &&
        grep ":$lock " /proc/locks | head -n 3 | sed 's/^/      /'
    for pid in $pids; do
        printf '      %s: state %s, in %s, system call %s: %s\n' "$pid" \
            "$(sed -n 's/^State:[[:blank:]]*\(.\).*/\1/p' "/proc/$pid/status")" \
            "$(cat "/proc/$pid/wchan")" "$(cut -d' ' -f1-3 "/proc/$pid/syscall")" \
            "$(tr '\0' ' ' <"/proc/$pid/cmdline" | sed "s,$WORK/,,g" | cut -c1-60)"
    done | sort -s -k5,5 | awk '{ key = $5 " " $8 } seen[key]++ < 3' | head -n 16
} 2>/dev/null

worker()
{
    local go
    read -r -u 9 go
    exec 9>&- </dev/null >"$WORK/out/$1" 2>&1
    operation "$1"
}

# Waits for as long as a round may take, then describes and ends what has not ended yet.
watchdog()
{
    trap 'kill $!; exit' TERM
    exec 9>&-
    sleep "$limit" &
    wait
    describe_hang >"$WORK/hang"
    kill -KILL "$@"
    kill_ours
} 2>/dev/null

# Runs all workers at once on a fresh store. Sets done_workers, failed_workers; fails on a hang.
round()
{
    local i dog pids=()
    done_workers=()
    failed_workers=()
    rm -rf "$TABLE" "$WORK/out" "$WORK/gate" "$WORK/hang"
    cp -a "$WORK/master" "$TABLE"
    mkdir "$WORK/out"
    mkfifo "$WORK/gate"
    exec 9<>"$WORK/gate"
    for ((i = 1; i <= WORKERS; i++)); do
        worker "$i" &
        pids[i]=$!
    done
    watchdog "${pids[@]}" &
    dog=$!
    printf '\n%.0s' "${pids[@]}" >&9
    exec 9>&-
    for ((i = 1; i <= WORKERS; i++)); do
        # Some programs ignore that a call has failed; but then the shim has said so.
        if wait "${pids[i]}" && ! grep -q '^lockshim: ' "$WORK/out/$i"; then
            done_workers+=("$i")
        else
            failed_workers+=("$i")
        fi
    done 2>/dev/null
    kill "$dog" 2>/dev/null
    wait "$dog" 2>/dev/null
    if [ -e "$WORK/hang" ]; then
        problem="hangs: ${#failed_workers[@]} of $WORKERS not done after $limit s"
        mv "$WORK/hang" "$WORK/details"
        return 1
    fi
    settle
}

# The last words of some operations that failed.
describe_failures()
{
    local i
    for i in "${failed_workers[@]:0:3}"; do
        printf '      worker %s: %s\n' "$i" \
            "$(tail -n 3 "$WORK/out/$i" | tr '\n' ' ' | cut -c1-300)"
    done
}

# Is the store what the workers that succeeded should have made of it?
# What the others have done, or not done, is taken either way.
check()
{
    local missing surplus
    : >"$WORK/details"
    if ! list >"$WORK/list.raw" 2>"$WORK/list.err"; then
        problem="the store cannot be read any more: $(tail -n 1 "$WORK/list.err" | cut -c1-100)"
        return 1
    fi
    sort "$WORK/list.raw" >"$WORK/list"
    expected "${done_workers[@]}" | sort >"$WORK/expected"
    expected "${done_workers[@]}" "${failed_workers[@]}" | sort >"$WORK/expected.all"
    comm -23 "$WORK/expected" "$WORK/list" | comm -12 - "$WORK/expected.all" >"$WORK/missing"
    comm -13 "$WORK/expected" "$WORK/list" | comm -23 - "$WORK/expected.all" >"$WORK/surplus"
    missing=$(wc -l <"$WORK/missing")
    surplus=$(wc -l <"$WORK/surplus")
    ((missing + surplus > 0)) || return 0
    if (($(wc -l <"$WORK/expected.all") == 1)); then
        problem="expected $(cat "$WORK/expected"), found $(head -n 1 "$WORK/list")"
        return 1
    fi
    problem="$missing entries lost"
    ((surplus == 0)) || problem="$problem, $surplus that should not be there"
    {
        sed 's/^/      lost: /' "$WORK/missing" | head -n 3
        sed 's/^/      too much: /' "$WORK/surplus" | head -n 3
    } >"$WORK/details"
    return 1
}

# A daemon that is meant to stay is ended by teardown; anything else that stays is a fault.
left_behind()
{
    local i pids
    teardown
    for ((i = 0; i < 20; i++)); do
        pids=$(ours)
        [ -n "$pids" ] || return 1
        sleep 0.1
    done
    [ -n "$problem" ] ||
        problem="left running: $(ps -o args= -p "${pids//$'\n'/,}" | head -n 2 | cut -c1-100)"
    kill_ours
    return 0
}

# --- one program ----------------------------------------------------------------------------

say()
{
    printf '  %-10s %s\n' "$1" "$2"
    [ -z "${3-}" ] || cat "$3"
}

result()
{
    echo "$1" >>"$RESULTS"
}

seconds()
{
    printf '%d.%d s' $(($1 / 1000000)) $(($1 / 100000 % 10))
}

now()
{
    echo "${EPOCHREALTIME//[.,]/}"
}

unguarded()
{
    local try start guard=none limit=$limit
    ((limit <= 20)) || limit=20 # a crowd can stop some of them for ever
    start=$(now)
    for ((try = 1; try <= TRIES; try++)); do
        problem=
        if round && check && ((${#failed_workers[@]} > 0)); then
            problem="${#failed_workers[@]} of $WORKERS operations failed"
        elif [[ $problem == hangs:* ]] && check; then
            problem= # slow, perhaps, but nothing is lost
        fi
        (left_behind)
        if [ -n "$problem" ]; then
            say unguarded "$problem (try $try, $(seconds $(($(now) - start))))"
            result pass
            return
        fi
    done
    if [ "$locks" = yes ]; then
        say unguarded "nothing lost in $TRIES tries: it locks by itself"
        result pass
    else
        say unguarded "FAIL: nothing lost in $TRIES tries, so what follows would prove nothing"
        result fail
    fi
}

# guarded GUARD ROUNDS STRICT: with STRICT no operation may fail either.
guarded()
{
    local guard=$1 rounds=$2 strict=$3 n start refusals=0
    start=$(now)
    for ((n = 1; n <= rounds; n++)); do
        problem=
        if round && check && [ "$strict" = strict ] && ((${#failed_workers[@]} > 0)); then
            problem="${#failed_workers[@]} of $WORKERS operations failed"
            describe_failures >"$WORK/details"
        fi
        refusals=$((refusals + ${#failed_workers[@]}))
        if [ -n "$problem" ] || { : >"$WORK/details" && left_behind; }; then
            say "$guard" "FAIL: $problem (round $n)" "$WORK/details"
            left_behind
            result fail
            return
        fi
    done
    problem="$rounds rounds, nothing lost"
    [ "$strict" = strict ] || problem="$problem in silence, $refusals operations refused"
    say "$guard" "$problem ($(seconds $(($(now) - start))))"
    result pass
}

test_program()
{
    local file=$1 rounds=$2 scope_rounds=$3 command scope problem='' guard=none
    local done_workers failed_workers
    defaults
    # shellcheck source=/dev/null
    . "$file"
    [[ $slow = no || $file = */required/* ]] || rounds=1
    echo "$(basename "$file" .sh): $(sed -n '1s/^# //p' "$file")"
    for command in $needs; do
        if ! command -v "$command" >/dev/null; then
            say skipped "there is no $command here"
            result skip
            return
        fi
    done
    if ! available >/dev/null 2>&1; then
        say skipped "not so here: $(declare -f available | sed -n '3s/^ *//;3s/;$//;3p')"
        result skip
        return
    fi
    mkdir "$TABLE"
    if ! { prepare && setup && teardown; } >"$WORK/setup" 2>&1; then
        say setup 'FAIL: the store could not be made' "$WORK/setup"
        result fail
        return
    fi
    mv "$TABLE" "$WORK/master"
    if [ -n "$only" ]; then
        case " none flock command $right " in
        *" $only "*) guarded "$only" "$rounds" strict ;;
        *) [[ " $refused " != *" $only "* ]] || guarded "$only" "$rounds" lenient ;;
        esac
        return
    fi
    unguarded
    guarded "$GUARD" "$rounds" strict
    [ "$GUARD" = command ] || return
    for scope in $right; do
        guarded "$scope" "$scope_rounds" strict
    done
    for scope in $refused; do
        guarded "$scope" "$scope_rounds" lenient
    done
}

main()
{
    local file rounds scope_rounds chosen=() listing=
    while (($# > 0)); do
        case $1 in
        --guard) only=${2?} && shift ;;
        --rounds) ROUNDS=${2?} BREADTH_ROUNDS=${2?} && shift ;;
        --keep) keep=yes ;;
        --list) listing=yes ;;
        --help) usage 0 ;;
        -*) usage 2 >&2 ;;
        required | breadth) chosen+=("$HERE/$1"/*.sh) ;;
        *) chosen+=("$HERE"/*/"$1".sh) ;;
        esac
        shift
    done
    ((${#chosen[@]} > 0)) || chosen=("$HERE/required"/*.sh "$HERE/breadth"/*.sh)
    base=$(mktemp -d "${TMPDIR:-/tmp}/real.XXXXXX") || exit 2
    RESULTS=$base/results
    : >"$RESULTS"
    if [ -z "$keep" ]; then
        trap 'kill_ours; rm -rf "$base"' EXIT
    fi
    trap 'exit 130' INT
    trap 'exit 143' TERM
    for file in "${chosen[@]}"; do
        if [ ! -r "$file" ]; then
            echo "run.sh: no program of this name: ${file##*/}" >&2
            exit 2
        fi
        if [ -n "$listing" ]; then
            printf '%-9s %-20s %s\n' "$(basename "$(dirname "$file")")" \
                "$(basename "$file" .sh)" "$(sed -n '1s/^# //p' "$file")"
            continue
        fi
        case $file in
        */required/*) rounds=$ROUNDS scope_rounds=$SCOPE_ROUNDS ;;
        *) rounds=$BREADTH_ROUNDS scope_rounds=1 ;;
        esac
        WORK=$base/$(basename "$file" .sh)
        TABLE=$WORK/table
        mkdir "$WORK"
        (test_program "$file" "$rounds" "$scope_rounds")
        [ -n "$keep" ] || rm -rf "$WORK"
    done
    [ -z "$keep" ] || echo "kept: $base"
    [ -n "$listing" ] || printf '%d passed, %d failed, %d skipped\n' \
        "$(grep -c pass "$RESULTS")" "$(grep -c fail "$RESULTS")" "$(grep -c skip "$RESULTS")"
    ! grep -q fail "$RESULTS"
}

main "$@"
