#!/bin/bash
# Breaking a lock from the screen of lockctl top: what is said before, the question, what comes of it.
# shellcheck source=tests/top/common.sh
. "$(dirname "$(realpath "$0")")/common.sh"

fresh
open_terminal 120 30
start_top T
keys b
seen "nobody holds it: nothing to break" 'Nobody holds it'

holder T.lock 1
seen "held" "^$work/T +exclusive +$holding .*healthy"
keys b
seen "a healthy holder is not broken" "It can't be broken, or not without force"
seen "as break says" 'takes?.* the lock away from a program that works|a break would take the lock'
keys y
seen "whatever is answered" "^$work/T +exclusive +$holding .*healthy"

kill -STOP "$holding"
seen "stopped" "^$work/T +exclusive +$holding .*stopped"
keys b
seen "first what would be done" 'would free the lock'
seen "then the question" '^Break it\?'
keys n
seen "no" 'Nothing was done'
check "nothing was done" is_held
keys b
seen "asked again" '^Break it\?'
keys Escape
seen "Esc is no" 'Nothing was done'
check "nothing was done then" is_held

# Somebody else has it when the answer comes.
keys b
seen "asked a third time" '^Break it\?'
kill -KILL "$holding"
wait "$holding" 2>/dev/null
check "the holder is gone" patient is_free
holder T.lock 2
kill -STOP "$holding"
keys y
seen "it is another's now: nothing is done" 'Somebody else holds it now'
check "that one still has it" is_held

seen "stopped, too" "^$work/T +exclusive +$holding .*stopped"
keys b
seen "asked for this one" '^Break it\?'
keys y
seen "done" '^Done\. Any key'
seen "as break says that it is" 'freed in'
check "the lock is free" patient is_free
keys x
seen "and is shown so" "^$work/T +- .*free"
keys q
restored "after a break" 0
kill -KILL "$holding"
wait
finish
