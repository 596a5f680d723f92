#!/bin/bash
# Which ends are deaths: every way in which a program can end in the midst of a table, in each scope;
# a power cut; several who die one after the other; what the verdict says, and lockctl recover.
# shellcheck disable=SC2016,SC2034
# shellcheck source=tests/e2e/common.sh
. "$(dirname "$(realpath "$0")")/../e2e/common.sh"
ends=$BUILD/break/ends
limit=60
at_mark_process="" at_mark_start_time="" at_mark_boot=""
eval "$("$BUILD/break/layout" | sed 's/^/at_/')"

# The lock's state as --on-crash fail, or the verdict of lockctl, has it: clean or died.
found() {
    case $(LOCKSHIM_ON_CRASH=fail guard process "$act" "cat T/n" 2>/dev/null) in
    "") echo clean ;;
    "cat T/n: EOWNERDEAD") echo died ;;
    *) echo strange ;;
    esac
}
verdict() { "$lockctl" status --raw --noheadings -o VERDICT T; }
# Both, as one line.
outcome() {
    local verdict
    verdict=$(verdict)
    echo "$(found) $verdict"
}

# --- every way to end ---
"$ends" >ways
ways=()
while read -r way; do ways+=("$way"); done <ways
for scope in process session command; do
    wrong=""
    for way in "${ways[@]}"; do
        wanted="clean free, 1"
        [ "${way#-}" = "$way" ] || wanted="died crashed, 0"
        fresh
        (guard $scope "$ends" T/n "$way") >/dev/null 2>&1
        got=$(outcome)
        fresh
        (LOCKSHIM_ON_CRASH=rollback guard $scope "$ends" T/n "$way") >/dev/null 2>&1
        got="$got, $(LOCKSHIM_ON_CRASH=rollback guard process cat T/n)"
        [ ! -e T.lock.undo ] || got="$got and a journal"
        [ "$got" = "$wanted" ] || wrong="$wrong
$way: $got"
    done
    same "$scope: ${#ways[@]} ways to end: found in order or dead, rolled back or not" "" "$wrong"
done
# Members: the last that changed decides, and the command itself.
wrong=""
for way in "${ways[@]}"; do
    wanted=clean
    [ "${way#-}" = "$way" ] || wanted=died
    fresh
    (run sh -c '"$0" T/n "$1"; true' "$ends" "$way") >/dev/null 2>&1
    got=$(found)
    [ "$got" = $wanted ] || wrong="$wrong
$way, the last member to change: $got"
    fresh
    (run sh -c '"$0" T/n "$1"; echo 2 >T/n' "$ends" "$way") >/dev/null 2>&1
    got=$(found)
    [ "$got" = clean ] || wrong="$wrong
$way, before another member changes: $got"
    fresh
    (run "$ends" T/n "$way") >/dev/null 2>&1
    got=$(found)
    [ "$got" = $wanted ] || wrong="$wrong
$way, the command itself: $got"
done
same "command: ${#ways[@]} ways for a member to end, the last one, an earlier one, and the command itself" "" "$wrong"

# --- lockctl run is killed ---
for policy in fail rollback; do
    fresh
    options="--on-crash $policy" run "$act" "put T/n 1" "mark 1" "await 1+" "put T/n 2" >/dev/null 2>&1 &
    at 1
    kill -KILL "$(pgrep -f "^$lockctl run --table T" | head -1)"
    check "lockctl run killed, $policy: the command keeps the lock" is_held
    go 1
    wait
    soon is_free
    same "lockctl run killed, $policy: the command has ended in order" "2, clean" \
        "$(LOCKSHIM_ON_CRASH=$policy guard process cat T/n), $(found)"
    fresh
    options="--on-crash $policy" run "$act" "put T/n 1" "mark 1" "await 1+" >/dev/null 2>&1 &
    at 1
    pkill -KILL -f "^($lockctl run --table T|$act put T/n 1 mark)"
    wait 2>/dev/null
    soon is_free
    wanted="EOWNERDEAD"
    [ $policy = fail ] || wanted=0
    same "lockctl run and its command killed, $policy" "$wanted" \
        "$(LOCKSHIM_ON_CRASH=$policy guard process "$act" "open 0 T/n r" "read 0" 2>/dev/null |
            sed 's/^open .*: //; /^read/d')"
done

# --- a power cut ---
# Pids begin anew: the one in the mark may be anybody's by then, even with the same start time.
forge() {
    $python - "$1" "$2" "$3" <<'PYTHON'
import struct, sys
with open("T.lock.registry", "r+b") as registry:
    registry.seek(int(sys.argv[1]))
    registry.write(struct.pack(sys.argv[2], int(sys.argv[3])))
PYTHON
}
fresh
(guard process "$act" "put T/n 1" "raise 9") >/dev/null 2>&1
sleep 60 &
alive=$!
forge "$at_mark_process" "<i" $alive
forge "$at_mark_start_time" "<Q" "$(sed 's/.*) //' /proc/$alive/stat | cut -d" " -f20)"
same "the mark of one who lives" "clean free" "$(outcome)"
fresh
(guard process "$act" "put T/n 1" "raise 9") >/dev/null 2>&1
forge "$at_mark_process" "<i" $alive
forge "$at_mark_start_time" "<Q" "$(sed 's/.*) //' /proc/$alive/stat | cut -d" " -f20)"
forge "$at_mark_boot" "<Q" 4711
same "the mark of an earlier boot, by a pid and start time that somebody has by now" "died crashed" "$(outcome)"
kill $alive
wait $alive 2>/dev/null

# --- one after the other ---
for scope in process session command; do
    fresh
    for i in 1 2 3 4 5; do
        (guard $scope "$act" "open 0 T/n rw" "write 0 $i" "raise 9") >/dev/null 2>&1
    done
    same "$scope: five die one after the other" "died crashed" "$(outcome)"
    same "$scope: all are counted" 5 "$("$lockctl" stats --json T | tr -d ' \n' | sed 's/.*"crashes"://; s/[,}].*//')"
    guard $scope "$act" "put T/n 7"
    same "$scope: who ends in order ends it" "clean free" "$(outcome)"
    fresh
    for i in 1 2 3 4 5; do
        (LOCKSHIM_ON_CRASH=rollback guard $scope "$act" "open 0 T/n rw" "write 0 $i" "put T/new$i 1" "raise 9") >/dev/null 2>&1
    done
    same "$scope, rollback: five die one after the other" "0 n" \
        "$(LOCKSHIM_ON_CRASH=rollback guard process cat T/n) $(ls T)"
    # One that dies while it is kept out has done nothing.
    fresh
    (guard $scope "$act" "open 0 T/n rw" "write 0 1" "raise 9") >/dev/null 2>&1
    (LOCKSHIM_ON_CRASH=fail guard $scope "$act" "open 0 T/n rw" "write 0 2" "raise 9") >/dev/null 2>&1
    same "$scope, fail: one that was kept out and dies changes nothing" "died crashed 1" "$(outcome) $(cat T/n)"
done

# --- recover ---
fresh
(guard process "$act" "put T/n 1" "raise 9") >/dev/null 2>&1
check "recover --list changes nothing" "$lockctl" recover --list T
same "then it is still crashed" "died crashed" "$(outcome)"
refute "recover --rollback without a journal fails" "$lockctl" recover --rollback T
same "then it is still crashed, too" "died crashed" "$(outcome)"
flock -s -F T.lock sleep 60 &
sharer=$!
soon is_held
refute "recover --accept while somebody has the lock fails" "$lockctl" recover --accept T
kill $sharer
wait $sharer 2>/dev/null
same "recover --accept" "T.lock: the table is accepted as it is" "$("$lockctl" recover --accept T | sed "s|.*/||")"
same "then all are let in" "clean free 1" "$(outcome) $(cat T/n)"
same "recover --accept once more" "T.lock: there is nothing to accept" "$("$lockctl" recover --accept T | sed "s|.*/||")"
for i in 1 2 3; do
    (guard process "$act" "put T/n $i" "raise 9") >/dev/null 2>&1
    "$lockctl" recover --accept T >/dev/null
done
same "die and accept, three times" "clean free" "$(outcome)"
(LOCKSHIM_ON_CRASH=rollback guard process "$act" "put T/n 5" "raise 9") >/dev/null 2>&1
check "recover --accept with a journal" "$lockctl" recover --accept T
same "then it is dropped" "clean free 5" "$(outcome) $(LOCKSHIM_ON_CRASH=rollback guard process cat T/n)"
finish
