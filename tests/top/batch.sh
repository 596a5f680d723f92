#!/bin/bash
# lockctl top where there is no screen: plain tables, wrong usage.
# shellcheck source=tests/top/common.sh
. "$(dirname "$(realpath "$0")")/common.sh"

top() { timeout -k 1 60 "$lockctl" top "$@"; }
fresh
holder T.lock 1 $'\e[31mred\e]0;title\a'

top -b -n 2 -d 0.1 T >out 2>&1
same "--batch --count: status" 0 $?
same "so many looks" 2 "$(grep -c '^lockctl top [0-9:]*: 1 lock, 1 held, 0 waiting, 0 not well$' out)"
same "a table each" 2 "$(grep -cE "^$work/T +exclusive +$holding .* healthy " out)"
refute "no control characters" grep -q $'[\001-\010\013-\037\177]' out
same "no terminal: the same without --batch" 1 "$(top -n 1 T | grep -cE "^$work/T +exclusive +$holding ")"
same "nor a keyboard" 1 "$(top -n 1 T <&- | grep -cE "^$work/T +exclusive +$holding ")"
same "-o" "exclusive $holding" "$(top -b -n 1 -o MODE,pid T | sed -n 3p | tr -s ' ')"
same "-o +REASON" 1 "$(top -b -n 1 -o +REASON T | grep -c 'held by process')"
kill -STOP "$holding"
soon in_state T "$holding"
same "why it is not well stands below" \
    "$work/T.lock: stopped: process $holding is stopped by a signal (SIGCONT continues it)." \
    "$(top -b -n 1 T | tail -n 1)"
same "--filter stale" 1 "$(top -b -n 1 -f stale T U | grep -c '^/.* exclusive ')"
kill -CONT "$holding"
same "--filter stale: none" 0 "$(top -b -n 1 -f stale T U | grep -c '^/')"
same "--filter waited: none" 0 "$(top -b -n 1 -f waited T U | grep -c '^/')"
same "--filter all" 2 "$(top -b -n 1 -f all T U | grep -c '^/')"
tables() { top -b -n 1 "$@" T U | sed -n 's,^.*/\([TU]\) .*,\1,p' | xargs; }
same "--sort table" "T U" "$(tables --sort table)"
same "--sort -table" "U T" "$(tables --sort -TABLE)"
same "by default the worst first" "T U" "$(tables)"
same "what is not known comes last" "T U" "$(tables --sort pid)"
same "also the other way round" "T U" "$(tables --sort -pid)"
same "without names: all locks" 1 "$(top -b -n 1 | grep -cE "^$work/T\.lock +exclusive +$holding |^$work/T +exclusive +$holding ")"

# Who keeps a lock whose taker is gone is found by every look, not by the first alone.
flock U.lock sh -c ': >o; while [ ! -e o+ ]; do sleep 0.05; done' &
at o
kill -KILL $!
wait $! 2>/dev/null
for delay in 0.1 1.1; do
    top -b -n 4 -d $delay U >out
    same "an orphan, every $delay s" 4 "$(grep -cE "^$work/U +exclusive +[0-9]+ .* orphaned " out)"
done
go o

# A terminal that can't move its cursor; the output's reader goes.
same "TERM=dumb: plain" 1 "$(TERM=dumb script -qec "$lockctl top -n 1 -o PID,VERDICT T" /dev/null </dev/null |
    grep -cE "^ *$holding +healthy")"
same "an unknown terminal: plain" 1 "$(TERM=no-such-terminal script -qec "$lockctl top -n 1 -o PID,VERDICT T" /dev/null </dev/null |
    grep -cE "^ *$holding +healthy")"
refute "TERM=dumb: no escape sequences" grep -q $'\e' <(TERM=dumb script -qec "$lockctl top -n 1 T" /dev/null </dev/null)
{
    timeout -k 1 60 "$lockctl" top -b -d 0.1 T 2>err
    echo $? >status
} | head -n 1 >/dev/null
same "a reader that goes: it ends" 0 "$(cat status)"
same "quietly" "" "$(cat err)"
began=$(now)
{
    timeout -k 1 60 "$lockctl" top -b -d 1000 T 2>err
    echo $? >status
} | head -n 1 >/dev/null
same "at once, however long the delay" 0 "$(cat status)"
same "quietly too" "" "$(cat err)"
below "(seconds)" 40 "$(since "$began")"
top -b -n 1 T >/dev/full 2>err
same "a full disk: status" 1 $?
same "and a line" 1 "$(grep -c 'could not be written' err)"
top -b -n 1 T >&- 2>err
same "a closed output does no harm" 0 $?

# wrong NAME PATTERN WORD...: status 2, one line.
wrong() {
    local name=$1 pattern=$2
    shift 2
    top "$@" >out 2>err
    same "$name: status" 2 $?
    same "$name: one line" 1 "$(grep -cE "^lockctl: .*$pattern" err)"
    same "$name: no more" "1 0" "$(wc -l <err) $(wc -c <out)"
}
wrong "a delay of 0" "delay: '0'" --delay 0
wrong "a delay that is none" "delay: 'x'" --delay x
wrong "a count of 0" "count: '0'" -n 0
wrong "a negative count" "count: '-1'" --count=-1
wrong "no such column to sort by" "sort: 'x[^']*2Jy'" --sort $'x\e[2Jy'
wrong "no such column" "'NONE' is no column" -o NONE
wrong "no such filter" "filter: 'x'" --filter x
wrong "no such option" "'--nonsense' is no option" --nonsense
top nowhere 2>err
same "no such table: status" 78 $?
go 1
wait
finish
