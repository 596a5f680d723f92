#!/bin/bash
# lockctl stats: what it counts is what happened.
# shellcheck disable=SC2015,SC2016,SC2086,SC2317
# shellcheck source=tests/registry-tools/common.sh
. "$(dirname "$(realpath "$0")")/common.sh"

stats() { "$lockctl" stats --config /dev/null "$@"; }
fresh
same "a lock that nobody has used" "None None" "$(json \
    "'%s %s' % (data['stats'][0]['acquisitions'], data['stats'][0]['wait_p50_seconds'])" stats --json T)"
status "is no mistake" 0 "" stats T
same "and nothing is made" "" "$(find . -name '*.lock*')"
guard session "$act" "sessions 10 T/n"
same "ten acquisitions" "10 10 0" "$(stats --raw --noheadings -o acquisitions,holds,contended T)"
fits "JSON" stats stats --json T
same "of a lock file too" 10 "$(stats --raw --noheadings -o acquisitions T.lock)"
same "the table is known by its registry" "$work/T" "$(stats --raw --noheadings -o table T.lock)"

# A wait of 300 ms, held for 400 ms.
fresh
guard session "$act" "open 0 T/n rw" "mark held" "await held+" "sleep 0.3" "close 0" &
at held
guard session "$act" "mark waits" "open 0 T/n rw" "close 0" &
at waits
sleep 0.1
began=$(now)
go held
wait
waited=$(json "data['stats'][0]['wait_p50_seconds']" stats --json T)
longest=$(json "data['stats'][0]['wait_max_seconds']" stats --json T)
below "a wait is no shorter than it was" "$waited" 0.375 # 0.4, less 1/16
below "nor longer" "$(awk "BEGIN { print ($longest) * 17 / 16 + 0.001 }")" "$waited"
below "the longest is plausible" 1.5 "$longest"
below "the time went by" 5 "$(since "$began")"
same "one wait, one contended" "1 1 2" "$(stats --raw --noheadings -o waits,contended,holds T)"

# Without a name: what the configuration has, and what is in use.
fresh
guard process "$act" "cat T/n" "mark held" "await held+" >/dev/null &
at held
printf '[table %s]\n' "$work/U" >tables.conf
check "without a name: a table in use" grep -qx "$work/T 1" <(stats --raw --noheadings -o table,acquisitions)
same "and those of the configuration, once each" "$work/U $work/T" \
    "$("$lockctl" stats --config tables.conf --raw --noheadings -o table | grep "^$work" | xargs)"
go held
wait

# Timeouts, and holds of a whole process and a whole command.
fresh
guard session "$act" "open 0 T/n rw" "mark held" "await held+" &
at held
for _ in 1 2 3; do LOCKSHIM_TIMEOUT=0.02 guard session "$act" "cat T/n" >/dev/null 2>&1; done
go held
wait
same "three timeouts" "3" "$(stats --raw --noheadings -o timeouts T)"
for scope in process command; do
    fresh
    : >no.conf
    options="--scope $scope" run "$act" "cat T/n" "sleep 0.2"
    hold=$(json "data['stats'][0]['hold_max_seconds']" stats --json T)
    below "scope $scope: held to the end" "$hold" 0.2
    below "scope $scope: and no longer" 2 "$hold"
done

# A crash, and more than the head's list of latest holds.
fresh
guard process "$act" "put T/n 1" "raise 9" 2>/dev/null
guard session "$act" "cat T/n" >/dev/null
same "a crash" 1 "$(stats --raw --noheadings -o crashes T)"
guard session "$act" "sessions 500 T/n"
same "501 holds" 501 "$(stats --raw --noheadings -o holds T)"

# The page.
stats T >page
check "the page has the counters" grep -q '^  acquisitions  *502  *contended  *0$' page
check "and the times" grep -Eq '^  holds: 501, mean .*, p50 .*, p90 .*, p99 .*, max ' page
check "and bars of plain characters" grep -Eq '^ .* to .* [0-9]+ #+$' page
refute "nothing else" grep -q '[^ -~]' page
for width in 40 80 200; do
    COLUMNS=$width stats T >page
    same "no line is longer than $width" 0 "$(awk -v w=$width 'length > w && !/lock file|holds:|waits:|^\// && !/acquis|timeo|crash|fenced|lost|roll/' page | wc -l)"
done
same "blocks in UTF-8" yes "$(LC_ALL=C.UTF-8 stats T | grep -q '█' && echo yes)"
status "an unknown column" 2 "'nonsense' is no column" stats -o nonsense T
status "an unknown option" 2 "'--nonsense' is no option" stats --nonsense T
status "no such table" 78 "neither a table nor a lock file" stats V
# What others on this machine have in use is not in the list of a PID namespace.
if unshare -pf --mount-proc true 2>/dev/null; then
    status "nothing to tell of" 2 "no lock to tell of" \
        unshare -pf --mount-proc "$lockctl" stats --config /dev/null
else
    skip "nothing to tell of: needs a PID namespace"
fi
printf '[table %s]\n' "$work/T" >some.conf
same "the configuration's tables" 502 "$("$lockctl" stats --config some.conf --raw --noheadings -o acquisitions | head -1)"
writes_told stats stats T
writes_told "stats --json" stats --json T
chmod 600 T.lock.registry
status "may not be read" 5 "may not be read" as_ordinary "$lockctl" stats --config /dev/null T
chmod 644 T.lock.registry
status "an ordinary user" 0 "" as_ordinary "$lockctl" stats --config /dev/null T
finish
