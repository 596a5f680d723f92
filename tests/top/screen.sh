#!/bin/bash
# The screen of lockctl top: what is on it, keys, sizes, colours, foreign text.
# shellcheck disable=SC2317  # functions that are called by name
# shellcheck source=tests/top/common.sh
. "$(dirname "$(realpath "$0")")/common.sh"

waiting() { [ "$("$lockctl" top -b -n 1 -o WAITERS "$1" | sed -n 's/^ *\([0-9]*\)$/\1/p')" = "$2" ]; }
first_is() { [ "$(screen | sed -n 4p | cut -d' ' -f1)" = "$1" ]; }

# --- one lock, its holder and those behind it ---
fresh
holder T.lock 1
flock T.lock true &
waiter=$!
check "one waits" patient waiting T 1
open_terminal 120 30
start_top T
seen "the table" "^$work/T "
seen "the holder's pid, and the verdict" "^$work/T +exclusive +$holding .*healthy"
seen "the summary" '^lockctl top [0-9:]+: 1 lock, 1 held, 1 waiting, 0 not well'
seen "holder below" "^$holding +holds"
seen "and behind it the waiter" "^└─$waiter +waits"
keys Enter
gone "Enter shows the processes alone" '^TABLE '
seen "the verdict in words" "^healthy: held by "
seen "and those behind" "^└─$waiter +waits"
keys Enter
seen "Enter goes back" '^TABLE '
keys '?'
seen "help" 'break the selected lock'
keys x
gone "any key ends it" 'break the selected lock'

kill -STOP "$holding"
seen "a stopped holder" "^$work/T +exclusive .*stopped"
seen "is counted" ' 1 not well'
seen "and explained" '^stopped: '
kill -CONT "$holding"
seen "and is well again" "^$work/T +exclusive .*healthy"

# --- resizing ---
terminal resize-window -x 70 -y 20 >/dev/null
seen "narrower: the width is used" '^TABLE.{0,65}$'
check "narrower: no line is left over" [ "$(screen | awk '{ if (length($0) > 70) n++ } END { print n + 0 }')" = 0 ]
seen "narrower: holder" "^$holding +holds"
terminal resize-window -x 60 -y 8 >/dev/null
gone "too low for the processes" "^$holding +holds"
seen "too low: the table" '^TABLE '
terminal resize-window -x 10 -y 2 >/dev/null
check "tiny: it lives" patient alternate 1
terminal resize-window -x 150 -y 40 >/dev/null
seen "larger again" "^$work/T +exclusive +$holding .*healthy +flock -o T.lock"
seen "larger: holder" "^$holding +holds"

go 1
seen "let go" "^$work/T +- .*free"
keys q
restored "q" 0
wait

# --- several locks: order, choice, scrolling ---
fresh
for name in a b c; do
    mkdir $name
    holder $name.lock hold-$name
done
flock b.lock true &
flock c.lock true &
flock c.lock true &
check "two wait" patient waiting c 2
open_terminal 120 30
start_top "--sort table $work/c $work/a $work/b"
check "--sort TABLE" patient first_is "$work/a"
keys r
check "r: the other way round" patient first_is "$work/c"
seen "which is said" '^by TABLE \(reversed\)'
keys r
check "and back" patient first_is "$work/a"
# TABLE MODE PID USER HELD WAITERS
for column in MODE PID USER HELD WAITERS; do
    keys '>'
    seen "> sorts by $column" "^by $column,"
done
check "most waiters first" patient first_is "$work/c"
keys r
check "fewest waiters first" patient first_is "$work/a"
keys '<'
seen "< goes back" '^by HELD,'
keys Left Left Left Left Left
seen "around the left end" '^by COMMAND,'
keys Right
seen "around the right end" '^by TABLE,'
keys f
seen "f: those held" '^Shown: held'
keys f
gone "f: those waited for" "^$work/a "
seen "are there" "^$work/b "
keys f
seen "f: those not well: none" '^ *nothing to show'
keys f
seen "f: all" "^$work/a "
keys /
seen "/ asks" '^Search for: _'
keys -l "/b.lo"
seen "only what is found" "^$work/b "
gone "and nothing else" "^$work/a "
keys Enter
seen "the search is told" "shown: all with '/b.lo'"
seen "the processes are those of the lock that is left" "^$work/b.lock"
keys /
keys Escape
seen "Esc ends the search" "^$work/a "
keys Down
seen "down: the next" "^$work/b.lock"
keys End
seen "end: the last" "^$work/c.lock"
seen "its waiters" '^├─[0-9]+ +waits'
keys Home
seen "home: the first" "^$work/a.lock"
# The selection stays with its lock.
keys j
seen "b is selected" "^$work/b.lock"
keys r
check "the order changes" patient first_is "$work/c"
keys Space
seen "b stays selected" "^$work/b.lock"
terminal resize-window -x 100 -y 5 >/dev/null
keys End
seen "a small screen scrolls to the end" "^$work/a "
keys Home
seen "and back" "^$work/c "
keys C-c
restored "Ctrl-C" 0
go hold-a
go hold-b
go hold-c
wait

# --- foreign text ---
fresh
evil=$'x\e]0;owned\a\e[31mred\e[2J\rend\t\x80\xff'
holder T.lock 1 "$evil"
mkdir wide
holder wide.lock 2 $'\e[31m ü漢字 end'
open_terminal 200 30
title=$(terminal display-message -p '#{pane_title}')
start_top "--sort table T wide"
seen "hostile command line, harmless" 'healthy +flock -o T\.lock .*owned'
same "it sets no title" "$title" "$(terminal display-message -p '#{pane_title}')"
check "nor colours" [ -z "$(coloured_screen | grep -F $'\e[31m')" ]
seen "wide characters are as they are" 'ü漢字'
# Cut in the midst of characters that are two columns wide.
for width in 119 120 121 122 123 124 125; do
    terminal resize-window -x $width -y 10 >/dev/null
    seen "width $width" "^TABLE"
    check "width $width: a line a lock" [ "$(screen | sed -n 6p)" = "" ]
done
go 1
go 2
keys q
restored "q" 0
wait

# --- colours ---
fresh
holder T.lock 1
# TMUX's own prompt line has none; what is drawn is.
coloured() { coloured_screen | grep -qE $'\e\\[[0-9;]*3[0-7]m'; }
open_terminal 120 30
start_top T
check "colours on a terminal" patient coloured
keys q
restored "colours" 0
open_terminal 120 30 NO_COLOR=1
start_top T
seen "NO_COLOR: all is there" healthy
refute "NO_COLOR: no colours" coloured
keys q
restored "NO_COLOR" 0
go 1
wait
finish
