#!/bin/bash
# lockctl top gives the terminal back, whatever ends it or makes it stand still.
# shellcheck disable=SC2317  # functions that are called by name
# shellcheck source=tests/top/common.sh
. "$(dirname "$(realpath "$0")")/common.sh"

fresh
holder T.lock 1
open_terminal 100 24

for signal in INT TERM HUP QUIT SEGV ABRT; do
    # Cores are of no use here.
    type_line 'ulimit -c 0'
    start_top T
    kill -$signal "$(top_process)"
    [ $signal = INT ] && status=0 || status=$((128 + $(kill -l $signal)))
    restored "SIG$signal" "$status"
done

# By the keys, as a person does it.
start_top T
keys C-c
restored "Ctrl-C" 0
start_top T
keys "C-\\"
restored "Ctrl-backslash" 131

# Suspended: the shell has the terminal, as it was; continued, the screen is there again.
rm -f before after
type_line "clear; stty -a >before; $lockctl top T"
seen "suspending: top comes up" '^lockctl top [0-9]'
for round in 1 2; do
    process=$(top_process)
    keys C-z
    check "Ctrl-Z $round: stops" patient in_state T "$process"
    seen "Ctrl-Z $round: the shell is back" 'Stopped .*top'
    check "Ctrl-Z $round: the alternate screen is left" patient alternate 0
    type_line 'stty -a >stopped'
    patient test -s stopped
    same "Ctrl-Z $round: modes as before" "$(modes before)" "$(modes stopped)"
    rm stopped
    type_line "clear; fg"
    seen "fg $round: all is drawn" "^$work/T "
    check "fg $round: on the alternate screen" patient alternate 1
    keys '?'
    seen "fg $round: keys work" 'break the selected lock'
    keys x
    gone "fg $round: keys still work" 'break the selected lock'
done
# Continued in the background it stands still again as soon as it draws.
keys C-z
check "stops again" patient in_state T "$process"
seen "the shell is back again" 'Stopped .*top'
type_line 'clear; bg'
seen "bg: it stands still" '^\[1\]\+'
type_line 'jobs'
seen "bg: it stands still, says the shell" 'Stopped.* top'
check "bg: the shell has its screen" alternate 0
type_line 'clear; fg'
seen "fg after bg: all is drawn" "^$work/T "
check "fg after bg: on the alternate screen" patient alternate 1

# Stopped by force, and continued.
kill -STOP "$process"
check "SIGSTOP: stops" patient in_state T "$process"
seen "SIGSTOP: the shell is back" 'Stopped'
type_line 'fg'
seen "SIGSTOP, fg: all is drawn anew" '^TABLE '
gone "SIGSTOP, fg: nothing of the shell is left" 'Stopped|ready>'
kill -TSTP "$process"
check "SIGTSTP from outside: stops" patient in_state T "$process"
check "SIGTSTP from outside: the alternate screen is left" patient alternate 0
type_line 'clear; fg; stty -a >after; echo status $?'
seen "and goes on" "^$work/T "
keys q
restored "at last" 0

# The terminal goes away.
start_top T
process=$(top_process)
terminal kill-server >/dev/null
gone_away() { ! kill -0 "$process" 2>/dev/null; }
check "without a terminal it ends" patient gone_away

# Whatever is ignored stays ignored.
open_terminal 100 24
type_line "trap '' HUP TERM"
start_top T
process=$(top_process)
kill -HUP "$process"
kill -TERM "$process"
keys '?'
seen "ignored signals do not end it" 'break the selected lock'
keys x
keys q
restored "with ignored signals" 0
go 1
wait
finish
