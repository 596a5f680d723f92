#!/bin/bash
# Fifty at work on one store while some are killed, stopped and continued, the lock file is unlinked
# between operations and the registry cut off: what was acknowledged is there, and the store sound.
# shellcheck disable=SC2317
# shellcheck source=tests/e2e/common.sh
. "$(dirname "$(realpath "$0")")/../e2e/common.sh"
ledger=$BUILD/e2e/ledger
seconds=${SECONDS_OF_CHAOS:-4}
# lockctl stops when its command does, and does not see that somebody else continues that.
continue_all() { pkill -CONT -f "^($ledger T/ledger|sh -c cat T/ledger|$lockctl run --table T -- sh)"; }
trap 'continue_all; clean_up' EXIT

# worker NUMBER COMMAND…: adds a key after the other; an acknowledged one is written down.
worker() {
    local number=$1 key=0
    shift
    while [ ! -e stop ]; do
        key=$((key + 1))
        "$@" "$number-$key" 2>>errors && echo "$number-$key" >>"acknowledged-$number"
    done
}
by_process() { LD_PRELOAD=$shim LOCKSHIM_TABLE=$work/T LOCKSHIM_SCOPE=process "$ledger" T/ledger "$1"; }
by_session() { LD_PRELOAD=$shim LOCKSHIM_TABLE=$work/T LOCKSHIM_SCOPE=session "$ledger" T/ledger "$1"; }
# shellcheck disable=SC2016
by_command() {
    "$lockctl" run --table T -- sh -c 'cat T/ledger >T/new.$$; echo "$1" >>T/new.$$
        mv T/new.$$ T/ledger' sh "$1"
}

victim() { pgrep -f "^($ledger T/ledger|sh -c cat T/ledger|cat T/ledger)" | shuf -n 1; }
trouble() {
    local process
    while [ ! -e stop ]; do
        process=$(victim)
        case $1-$((RANDOM % 6)) in
        kill-*) [ -n "$process" ] && kill -KILL "$process" ;;
        stop-*)
            [ -n "$process" ] && kill -STOP "$process" && sleep 0.05
            continue_all ;;
        unlink-*) flock -w 1 T.lock rm -f T.lock ;;
        registry-[012]) : >T.lock.registry ;;
        registry-3) rm -f T.lock.registry ;;
        registry-*) head -c 20000 /dev/urandom >T.lock.registry ;;
        esac
        sleep 0.0$((RANDOM % 10))
    done 2>/dev/null
}

# chaos NAME WORKER COUNT TROUBLE…
chaos() {
    local name=$1 work_of=$2 count=$3 kind i
    shift 3
    fresh
    : >T/ledger
    for ((i = 0; i < count; i++)); do worker "$i" "$work_of" & done 2>/dev/null
    for kind in "$@"; do trouble "$kind" & done
    sleep "$seconds"
    : >stop
    sleep 0.2
    continue_all
    wait 2>/dev/null
    sort -u acknowledged-* >acknowledged
    sort T/ledger >found
    same "$name: nothing acknowledged is lost" "" "$(comm -23 acknowledged found | head -5)"
    same "$name: nothing is there twice" "" "$(uniq -d found | head -5)"
    same "$name: the store is sound" "" "$(grep -vE '^[0-9]+-[0-9]+$' T/ledger | head -5)"
    check "$name: there was something to do ($(wc -l <acknowledged) acknowledged)" \
        [ "$(wc -l <acknowledged)" -gt 20 ]
    # What is left of a command that was killed is refused, and says so.
    same "$name: no call failed" "" "$(grep -v -e Killed -e "was killed, and its lock is gone" \
        -e "Stale file handle" errors | head -5)"
    check "$name: the lock is free" soon is_free
}

chaos "process, kills and stops" by_process 50 kill stop
chaos "session, kills, stops, unlinks" by_session 50 kill stop unlink
chaos "session, the registry" by_session 50 registry stop
chaos "process, all of it" by_process 50 kill stop unlink registry
chaos "command, kills and stops" by_command 20 kill stop
finish
