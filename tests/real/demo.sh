#!/bin/bash
# What lockshim is for, in under a minute: three programs that nobody wrote for several processes
# at once, fifty of each at once, without a guard and with one; then who waits for whom.
set -u
export LC_ALL=C
BUILD=$(cd "${BUILD:-build}" 2>/dev/null && pwd) || {
    echo "demo.sh: no build directory: run make first" >&2
    exit 2
}
WORKERS=50
bold='' red='' green='' plain=''
if [ -t 1 ] && [ -z "${NO_COLOR-}" ]; then
    bold=$'\e[1m' red=$'\e[31m' green=$'\e[32m' plain=$'\e[m'
fi
WORK=$(mktemp -d "${TMPDIR:-/tmp}/demo.XXXXXX") || exit 2
TABLE=$WORK/table
trap 'rm -rf "$WORK"' EXIT
trap 'exit 130' INT TERM
guarded=("$BUILD/lockctl" run --table "$TABLE" --)
failed=0

# --- the programs: a store, one operation, and how many there are by the program's own reader ----

recutils_title='GNU recutils: a text database, which each insert writes anew'
recutils_needs='recins recsel'
recutils_shown='recins -f Name -v ... table/items.rec'
recutils_start=500
recutils_setup()
{
    seq -f 'Name: old%g' "$recutils_start" | sed G >"$TABLE/items.rec"
}
recutils_operation()
{
    "${guard[@]}" recins -f Name -v "new$1" "$TABLE/items.rec"
}
recutils_count()
{
    recsel -c "$TABLE/items.rec"
}

dumbdbm_title="Python's dbm.dumb: an index, written anew when the store is closed"
dumbdbm_needs='/usr/bin/python3'
dumbdbm_shown="python3: with dbm.dumb.open('table/db') as db: db[key] = value"
dumbdbm_start=300
dumbdbm_setup()
{
    /usr/bin/python3 -c 'import dbm.dumb, sys
with dbm.dumb.open(sys.argv[1]) as db:
    for n in range(int(sys.argv[2])):
        db["old%d" % n] = "value"' "$TABLE/db" "$dumbdbm_start"
}
dumbdbm_operation()
{
    "${guard[@]}" /usr/bin/python3 -c 'import dbm.dumb, sys
with dbm.dumb.open(sys.argv[1]) as db:
    db[sys.argv[2]] = "value"' "$TABLE/db" "new$1"
}
dumbdbm_count()
{
    /usr/bin/python3 -c 'import dbm.dumb, sys
with dbm.dumb.open(sys.argv[1], "r") as db:
    print(len(db.keys()))' "$TABLE/db"
}

counter_title='A shell script that counts'
counter_needs='sh'
counter_shown='sh: n=$(cat table/count); echo $((n + 1)) >table/count'
counter_start=1000
counter_setup()
{
    echo "$counter_start" >"$TABLE/count"
}
counter_operation()
{
    "${guard[@]}" sh -c 'n=$(cat "$1"); echo $((n + 1)) >"$1"' count "$TABLE/count"
}
counter_count()
{
    cat "$TABLE/count"
}

# --- fifty at once -------------------------------------------------------------------------------

now()
{
    echo "${EPOCHREALTIME//[.,]/}"
}

seconds()
{
    printf '%d.%02d s' $(($1 / 1000000)) $(($1 / 10000 % 100))
}

# fifty PROGRAM: runs it on a fresh store under ${guard[@]}; sets found and took.
fifty()
{
    local i start
    rm -rf "$TABLE"
    mkdir "$TABLE"
    "$1_setup"
    start=$(now)
    for ((i = 1; i <= WORKERS; i++)); do
        "$1_operation" "$i" </dev/null >>"$WORK/messages" 2>&1 &
    done
    wait
    took=$(($(now) - start))
    # Unguarded, two writers may leave a torn number in two lines: what a reader would take is first.
    found=$("$1_count" 2>/dev/null | grep -m1 -x '[0-9][0-9]*') || found=0
    found=$((10#$found))
}

row()
{
    local lost=$(($2 - $3)) colour=$green
    ((lost == 0)) || colour=$red
    ((lost >= 0)) || lost=0
    printf '  %-28s %8d %8d   %s%4d lost%s %5d.%d s\n' "$1" "$2" "$3" "$colour" "$lost" "$plain" \
        $(($4 / 1000000)) $(($4 / 100000 % 10))
}

demonstrate()
{
    local title=$1_title needs=$1_needs shown=$1_shown start=$1_start
    local program expected try found took guard
    printf '%s%s%s\n' "$bold" "${!title}" "$plain"
    for program in ${!needs}; do
        if ! command -v "$program" >/dev/null; then
            printf '  left out: there is no %s here\n\n' "$program"
            return
        fi
    done
    expected=$((${!start} + WORKERS))
    printf '  %d times at once: %s\n\n' "$WORKERS" "${!shown}"
    printf '  %-28s %8s %8s\n' '' expected found
    guard=()
    for try in 1 2 3 4 5; do # now and then a crowd gets through unharmed
        fifty "$1"
        ((found == expected)) || break
    done
    row "without a guard" "$expected" "$found" "$took"
    guard=("${guarded[@]}")
    fifty "$1"
    row "lockctl run --table table" "$expected" "$found" "$took"
    ((found == expected)) || failed=1
    echo
}

# --- who waited for whom -------------------------------------------------------------------------

# Each clerk notes when it came, when it had read, and when it was done.
queue()
{
    local clerk came read_at done_at before='' n=0
    printf '%sWho waits for whom%s\n' "$bold" "$plain"
    printf '  four clerks, each of whom reads the count, thinks for half a second and writes it\n\n'
    rm -rf "$TABLE"
    mkdir "$TABLE"
    echo 0 >"$TABLE/count"
    cat >"$WORK/clerk" <<'BASH'
came=${EPOCHREALTIME//[.,]/}
n=$(<"$2")
read_at=${EPOCHREALTIME//[.,]/}
sleep 0.5
echo $((n + 1)) >"$2"
echo "$1 $came $read_at ${EPOCHREALTIME//[.,]/}" >>"$3"
BASH
    for clerk in ann bob cat dan; do
        "${guarded[@]}" bash "$WORK/clerk" "$clerk" "$TABLE/count" "$WORK/times" </dev/null &
    done
    if "$BUILD/lockctl" --help | grep -q '^ *waiters '; then
        sleep 0.25
        printf '  after a quarter of a second, lockctl waiters --tree tells:\n\n'
        "$BUILD/lockctl" waiters --tree -o PID,DOES,FOR,STATE,COMMAND "$TABLE" | sed "s,$WORK/,,g;s/^/    /"
        echo
    fi
    wait
    sort -n -k4 "$WORK/times" | while read -r clerk came read_at done_at; do
        if [ -z "$before" ]; then
            printf '    %s found the table free, and was done after %s\n' "$clerk" \
                "$(seconds $((done_at - came)))"
        else
            printf '    %s waited %s behind %s, and was done after %s\n' "$clerk" \
                "$(seconds $((read_at - came)))" "$before" "$(seconds $((done_at - came)))"
        fi
        before="$before${before:+, }$clerk"
    done
    n=$(cat "$TABLE/count")
    printf '\n  and the count is %s\n' "$n"
    [ "$n" = 4 ] || failed=1
}

demonstrate recutils
demonstrate dumbdbm
demonstrate counter
queue
exit "$failed"
