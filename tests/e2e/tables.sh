#!/bin/bash
# Which paths belong to which table: several tables, nested ones, one-file tables, tables that come
# and go under guard, and very many of them.
# shellcheck disable=SC2016
# shellcheck source=tests/e2e/common.sh
. "$(dirname "$(realpath "$0")")/common.sh"
with() { # TABLES STEP...
    local tables=$1
    shift
    within env LD_PRELOAD="$shim" LOCKSHIM_TABLES="$tables" LOCKSHIM_SCOPE=process "$act" "$@"
}
# holds NAME TABLES LOCKS STEP...: after the steps exactly these lock files are held.
holds() {
    local name=$1 tables=$2 locks=$3 held="" lock
    shift 3
    rm -f stage stage+
    with "$tables" "$@" "mark stage" "await stage+" &
    at stage
    for lock in $(find . -name '*.lock' | sort); do
        if is_held "$lock"; then held+=" ${lock#./}"; fi
    done
    same "$name" "$locks" "${held# }"
    go stage
    wait
}
nest() { fresh && mkdir -p T/in/deep && echo 0 >T/in/n && echo 0 >T/in/deep/n && echo 0 >one; }
nest
both="$work/T
$work/T/in"
holds "nested: the outer" "$both" "T.lock" "cat T/n"
holds "nested: the inner" "$both" "T/in.lock" "cat T/in/n"
holds "nested: deep inside" "$both" "T/in.lock" "cat T/in/deep/n"
holds "nested: from one to the other" "$both" "T.lock T/in.lock" "rename T/in/n T/moved"
holds "nested: the inner directory itself" "$both" "T/in.lock" "ask T/in"
holds "nested: its lock file is in the outer, but no part of it" "$both" "" "cat T/in.lock"
holds "nested: named in the other order" "$work/T/in
$work/T" "T/in.lock" "cat T/in/deep/n"
nest
holds "one file" "$work/one" "one.lock" "cat one"
holds "one file: not its neighbours" "$work/one" "" "cat T/n" "put one.old 1"
holds "one file: replaced by rename" "$work/one" "one.lock" "put new 1" "rename new one"
holds "one file in a table of its own" "$work/T
$work/T/n" "T/n.lock" "cat T/n"
nest
ln -s T link
ln -s ../../one T/in/out
ln -s T/n into
for path in link/n ./T//n T/../T/n "$work/T/n" into T/in/../n /proc/self/cwd/T/n; do
    holds "in disguise: $path" "$work/T" "T.lock" "cat $path"
done
for path in link/n ./T//n into T/in/../n; do
    for mode in r re rb+ w; do
        holds "in disguise, as a stream ($mode): $path" "$work/T" "T.lock" "fopen 1 $path $mode"
    done
done
holds "a stream on no table's file" "$work/T" "" "fopen 1 one r" "fclose 1"
holds "named by a symlink, used by its own name" "$work/link" "T.lock" "cat T/n"
holds "a link out of the table is a touch of the link" "$work/T" "T.lock" "cat T/in/out"

# Tables that come and go.
fresh
rmdir T 2>/dev/null || rm -r T
holds "not there: asking" "$work/T" "T.lock" "ask T/n"
holds "not there: made" "$work/T" "T.lock" "mkdir T" "put T/n 1"
holds "there now" "$work/T" "T.lock" "cat T/n"
holds "renamed away" "$work/T" "T.lock" "rename T T.old"
holds "gone: its old content is nobody's" "$work/T" "" "cat T.old/n"
holds "renamed into place" "$work/T" "T.lock" "rename T.old T"
holds "removed" "$work/T" "T.lock" "unlink T/n" "rmdir T"
rm -rf deeper deeper.lock
holds "in a directory that is not there either" "$work/deeper/table" "" "cat U/n"
mkdir deeper
holds "which is there later" "$work/deeper/table" "deeper/table.lock" "mkdir deeper/table" "put deeper/table/n 1"
for ((i = 0; i < 20; i++)); do
    with "$work/new" "mkdir new" "put new/n-$i 1" "cat new/n-$i" | grep -v "mkdir new: EEXIST" &
done >out
wait
same "made by twenty at once" " 20" "$(cat out) $(find new -type f | wc -l)"

# One lock file for several.
fresh
shared="$work/T lock=$work/one.lock
$work/U lock=$work/one.lock"
holds "one lock file for two" "$shared" "one.lock" "cat U/n"
holds "both touched" "$shared" "one.lock" "cat U/n" "put T/n 1" "rename T/n U/m"
mv U/m T/n
for _ in 1 2; do
    for _ in 1 2 3 4; do with "$shared" "add 10 T/n" & done
    wait
done
same "one critical section" 81 "$(cat T/n)"
mixed="$work/T lock=$work/one.lock scope=session
$work/U lock=$work/one.lock scope=process"
holds "one lock file, the shorter scope" "$mixed" "" "cat T/n"
holds "one lock file, the longer scope" "$mixed" "one.lock" "cat U/n" "cat T/n"
holds "named twice: once" "$work/T
$work/T" "T.lock" "cat T/n" "put T/n 1"

# Very many. A variable of the environment has 128 KB at most: relative paths make room for 10,000.
# lockctl has a descriptor for each, as far as the hard limit goes.
TIMEFORMAT='%U %S'
descriptors=$(ulimit -Hn)
[ "$descriptors" != unlimited ] || descriptors=1000000
for count in 1000 10000; do
    fresh
    mkdir many
    cd many && seq "$count" | xargs mkdir
    began=$(now)
    same "$count tables: touched and not" "" "$(with "$(seq "$count")" "put 1/n 1" "cat 1/n" \
        "put $count/n 1" "cat ../T/n" 2>&1)"
    same "$count tables: their locks" "1.lock $count.lock" "$(find . -name '*.lock' -printf '%f\n' | sort |
        xargs)"
    below "$count tables: in time" 10 "$(since "$began")"
    seq -f "[table $PWD/%.0f]" "$count" >../conf
    # Processor time: how long so many files take to be made is the disk's affair.
    { time "$lockctl" run --config ../conf -- sh -c "$act 'put 2/n 1'; cat 2/n >/dev/null" \
        >../out 2>../err; } 2>../took
    status=$?
    [ $status != 1 ] || [ "$descriptors" -ge $((count + 2000)) ] || status=78
    if [ $status = 78 ] && [ "$(wc -l <../err)" = 1 ] && [ ! -e 2/n ]; then
        ok "$count tables: lockctl run: refused in one line"
        sed 's/^/  /' ../err | cut -c1-150
    else
        same "$count tables: lockctl run" "0 0 1" "$status $(cat ../out ../err | wc -l) $(cat 2/n)"
    fi
    below "$count tables: lockctl run in time" 10 "$(awk '{ print $1 + $2 }' ../took)"
    cd "$work" || exit 1
done
finish
