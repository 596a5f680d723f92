#!/bin/sh
# processes.sh: fifty processes at once on one table. Unguarded it breaks, and verify says so; with a
# hand-placed lock, or under lockctl, nothing is lost, no id is given out twice, and it stays sound.
#   processes.sh [ROUNDS]   (10 by default, for each table size and lock)
# shellcheck source=tests/store/common.sh
. "$(dirname "$0")/common.sh"
rounds=${1:-10}
processes=50
lockctl=$top/$BUILD/lockctl

# Runs tablestore as the mode says.
run() {
    case $mode in
    unguarded) exec "$tablestore" "$@" ;;
    self-lock) exec "$tablestore" --self-lock table.lock "$@" ;;
    guarded) exec "$lockctl" run --table table -- "$tablestore" "$@" ;;
    esac
}

make_table() {
    rm -rf table
    "$tablestore" create table name:str n:int x:float
    awk -v records="$1" 'BEGIN { print "name,n,x"; for (i = 0; i < records; i++) print "r" i "," i ",0.5" }' |
        "$tablestore" import table --csv --quiet >/dev/null
}

# Process i: a selection, then in one go an insert, an update in place or by moving, or a deletion.
act() {
    (run count table --where "n = $1") >"count.$1" 2>&1
    case $(($1 % 4)) in
    0 | 1) (run insert table "name=new $1" "n=-$1") ;;
    2) (run update table --where "n = $1" "name=moved $1" "x=$1") ;;
    3) (run delete table --where "n = $1") ;;
    esac >"result.$1" 2>&1 || echo "$1" >>failed
}

start_all() {
    rm -f failed count.* result.*
    i=1
    while [ $i -le $processes ]; do
        act $i &
        i=$((i + 1))
    done
    wait
}

# Says what is wrong after a round, if anything.
judge() {
    [ ! -s failed ] || echo "$(wc -l <failed) processes failed: $(cat "result.$(head -1 failed)")"
    "$tablestore" verify table >findings 2>&1 || echo "$(wc -l <findings) findings, such as: $(head -1 findings)"
    inserted=0 changed=0 deleted=0
    i=1
    while [ $i -le $processes ]; do
        case $((i % 4)) in
        0 | 1) inserted=$((inserted + 1)) ;;
        2) changed=$((changed + 1)) ;;
        3) deleted=$((deleted + 1)) ;;
        esac
        i=$((i + 1))
    done
    [ "$("$tablestore" count table 2>&1)" = $(($1 + inserted - deleted)) ] || echo "the number of records is wrong"
    [ "$("$tablestore" count table --where 'name ~ "^new "' 2>&1)" = $inserted ] || echo "inserts were lost"
    [ "$("$tablestore" count table --where 'name ~ "^moved "' 2>&1)" = $changed ] || echo "updates were lost"
    [ "$(cat result.* | wc -l)" = $processes ] || echo "not one line of result from each"
    [ "$(for i in $(seq $processes); do [ $((i % 4)) -gt 1 ] || cat "result.$i"; done | sort -u | wc -l)" = \
        $inserted ] || echo "an id was given out twice"
}

for size in 5000 10000; do
    mode=unguarded
    broke=
    for round in $(seq 20); do
        make_table $size
        start_all
        broke=$(judge $size)
        [ -z "$broke" ] || break
    done
    if [ -n "$broke" ]; then
        pass
        echo "unguarded, $size records, round $round: $(echo "$broke" | head -1)"
    else
        fail "unguarded, $size records: 20 rounds, and it did not break: the test proves nothing"
    fi
    for mode in self-lock guarded; do
        if [ $mode = guarded ] && [ ! -x "$lockctl" ]; then
            skip "$mode, $size records: there is no $BUILD/lockctl"
            continue
        fi
        for round in $(seq "$rounds"); do
            make_table $size
            start_all
            wrong=$(judge $size)
            is "" "$wrong" "$mode, $size records, round $round"
        done
    done
done

# All operations mixed, also those that change or replace the table as a whole. A process may find that
# there is no table, field or record at the moment, and say so; the table stays sound at every moment.
mixed() {
    case $(($1 % 14)) in
    0) (run create table name:str n:int x:float) ;;
    1 | 2) (run insert table "name=new $1") ;;
    3) (run select table --where "n < 10") ;;
    4) (run get table 0 1) ;;
    5) (run count table) ;;
    6) (run update table --where "n < 5" "name=moved $1") ;;
    7) (run update table 1 2 "n=$1") ;;
    8) (run delete table --where "n = $1") ;;
    9) (run cleanup table) ;;
    10) (run add-field table "extra$1:str=some") ;;
    11) (run drop-field table "extra$(($1 - 1))") ;;
    12) (run set-default table "n=$1") ;;
    13) if [ $(($1 % 4)) = 1 ]; then (run destroy table); else (run verify table); fi ;;
    esac >"result.$1" 2>"complaint.$1" || {
        [ -s "complaint.$1" ] || cp "result.$1" "complaint.$1" # findings of verify
        grep -v -e 'there is no such table' -e 'no field named' -e 'there is no record' -e 'there is already' \
            "complaint.$1" >"failed.$1" || :
    }
}
for mode in self-lock guarded; do
    if [ $mode = guarded ] && [ ! -x "$lockctl" ]; then
        skip "$mode, all operations: there is no $BUILD/lockctl"
        continue
    fi
    for round in $(seq "$rounds"); do
        make_table 500
        rm -f result.* failed.* complaint.*
        for i in $(seq 100 $((99 + processes))); do
            mixed "$i" &
        done
        wait
        is "" "$(cat failed.* 2>&1 | head -3)" "$mode, all operations, round $round"
        if [ -e table ]; then
            expect 0 "$tablestore" verify table
        else
            pass
        fi
    done
done
finish
