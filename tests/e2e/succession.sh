#!/bin/bash
# A holder and one who joined it: who answers for what both changed. Whoever leaves in order leaves
# it to the other one; the last one out settles it; one who dies inside is found by the next.
# shellcheck disable=SC2016
# shellcheck source=tests/e2e/common.sh
. "$(dirname "$(realpath "$0")")/common.sh"
limit=60

# A holder that waits for its child, the one who joins. SIGALRM ends it in order; SIGUSR1 has it
# close its session and wait on; SIGUSR2 has it change the table first.
holder='open(F, ">", "pid.new"); print F $$; close F; rename("pid.new", "pid");
open(H, "+<", "T/n"); my $c = fork(); if (!$c) { exec(@ARGV); }
open(F, ">", "joined.new"); print F $c; close F; rename("joined.new", "joined");
$SIG{ALRM} = sub { exit 0 }; $SIG{USR1} = sub { close(H); open(F, ">", "closed"); };
$SIG{USR2} = sub { open(O, ">", "T/own"); print O "held"; close(O); open(F, ">", "changed"); };
1 until waitpid($c, 0) == $c; open(F, ">", "alone"); close(F); sleep 60 while -e "stay";'

# begin SCOPE: the one who joined stands inside, with T/n open, and has changed nothing.
begin() {
    fresh
    touch stay
    guard "$1" perl -e "$holder" \
        "$act" "open 0 T/n rw" "mark 1" "await 1+" "write 0 joined" "mark 2" "await 2+" "close 0" &
    began=$!
    at 1
}
joined_changes() { go 1 && at 2; }
joined_ends() { go 2 && soon gone "$(cat joined)"; }
joined_dies() { kill -KILL "$(cat joined)" && soon gone "$(cat joined)"; }
# shellcheck disable=SC2317  # called by soon
gone() {
    local state
    state=$(ps -o stat= "$1") || return 0
    [ "${state#Z}" != "$state" ]
}
holder_changes() { kill -USR2 "$(cat pid)" && at changed; }
holder_closes() { kill -USR1 "$(cat pid)" && at closed; }
holder_ends() { kill -ALRM "$(cat pid)" && wait $began; }
holder_dies() { kill -KILL "$(cat pid)" && soon gone "$(cat pid)" && ! wait $began 2>/dev/null; }

# What whoever comes next finds: "TEXT" it reads, or the errno; "crash" if it is told of one.
next() {
    local out crashes before
    before=$(crashes)
    out=$(guard "$scope" "$act" "open 0 T/n r" "read 0" "close 0" 2>/dev/null | head -n 1)
    crashes=$(crashes)
    [ "$crashes" = "$before" ] && echo "$out" || echo "$out crash"
}
crashes() { "$lockctl" stats --json T 2>/dev/null | awk -F'[:,]' '/"(crashes|rollbacks)"/ { n += $2 } END { print n + 0 }'; }
# outcome NAME REPORT FAIL ROLLBACK: what each policy makes of it.
outcome() {
    local expected
    case $LOCKSHIM_ON_CRASH in
    report) expected=$2 ;;
    fail) expected=$3 ;;
    *) expected=$4 ;;
    esac
    same "$LOCKSHIM_ON_CRASH, $scope: $1" "$expected" "$(next)"
    refute "$LOCKSHIM_ON_CRASH, $scope: $1: no journal is left" test -e T.lock.undo
    rm -f stay
    [ ! -e pid ] || kill -KILL "$(cat pid)" 2>/dev/null
    wait $began 2>/dev/null
}
refused="open 0 T/n r: EOWNERDEAD crash"

for LOCKSHIM_ON_CRASH in report fail rollback; do
    export LOCKSHIM_ON_CRASH
    for scope in process session; do
        begin $scope && joined_changes && joined_ends && holder_ends
        outcome "both end in order" joined joined joined

        begin $scope && holder_ends && joined_changes && joined_ends
        outcome "the holder ends first" joined joined joined

        begin $scope && joined_changes && holder_ends && joined_ends
        outcome "the holder ends first, when all is changed" joined joined joined

        begin $scope && holder_changes && joined_changes && holder_ends && joined_ends
        outcome "the holder ends first, both have changed" joined joined joined
        same "$LOCKSHIM_ON_CRASH, $scope: and what it changed is there" held "$(cat T/own)"

        begin $scope && holder_ends && joined_changes && joined_dies
        outcome "the one who joined dies when the holder has ended" "joined crash" "$refused" "0 crash"

        begin $scope && joined_changes && holder_ends && joined_dies
        outcome "it dies, having changed before the holder ended" "joined crash" "$refused" "0 crash"

        begin $scope && joined_changes && joined_dies && holder_ends
        outcome "it dies, and the holder, who knows, ends in order" joined joined joined

        begin $scope && joined_changes && joined_ends && holder_dies
        outcome "it ends in order, and the holder dies" "joined crash" "$refused" "0 crash"

        begin $scope && holder_changes && holder_dies && joined_changes && joined_ends
        outcome "the holder dies, having changed, and it ends in order" "joined crash" "$refused" "0 crash"
    done
    scope=session
    begin $scope && joined_changes && holder_closes && joined_ends
    outcome "the holder closes first" joined joined joined

    begin $scope && joined_changes && holder_closes && joined_dies
    outcome "it dies when the holder has closed" "joined crash" "$refused" "0 crash"
done
finish
