#!/bin/bash
# The supervisor between its parent and the command: signals, the terminal, job control, its own
# death.
# shellcheck disable=SC2016,SC2317
# shellcheck source=tests/e2e/lockctl-common.sh
. "$(dirname "$(realpath "$0")")/lockctl-common.sh"

# soon COMMAND...: it succeeds, within half a minute at the latest.
soon() {
    for _ in $(seq 600); do
        "$@" && return 0
        sleep 0.05
    done
    return 1
}
await() { soon grep -q -s -e "$2" "$1"; }
lock_is_free() { flock -n table.lock true; }
is_stopped() { [ "$(awk '/^State/ { print $2 }' "/proc/$1/status")" = T ]; }

# A command that writes down each signal that it gets, and ends with 9 after SIGTERM.
cat >recorder <<'END'
#!/bin/bash
for signal in HUP INT QUIT USR1 USR2 WINCH RTMIN+2; do
    trap "echo $signal >>record" "$signal"
done
trap 'echo TERM >>record; exit 9' TERM
echo a >table/touched
echo "ready $$" >>record
while :; do read -r -t 0.1 <>fifo; done
END
chmod +x recorder
mkfifo fifo
supervisor=0 command=0

# Starts lockctl in the background; the numbers of both processes are left in variables. A shell
# without job control lets its background processes ignore SIGINT and SIGQUIT, and who started this
# test may have let it ignore more (nohup).
begin() {
    rm -f record
    env --default-signal "$lockctl" run --table table "$@" 2>/dev/null &
    supervisor=$!
    await record ready
    command=$(sed -n 's/ready //p' record)
}
# ends_with STATUS NAME: waits for lockctl.
ends_with() {
    wait "$supervisor" 2>/dev/null
    check "$2" [ $? = "$1" ]
}

for signal in USR1 HUP INT QUIT USR2 WINCH RTMIN+2; do
    begin ./recorder
    kill -"$signal" "$supervisor"
    check "SIG$signal is passed on" await record "^$signal\$"
    kill -TERM "$supervisor"
    ends_with 9 "its status after SIGTERM ($signal)"
    check "each came once ($signal)" [ "$(grep -c -x -F -e "$signal" -e TERM record)" = 2 ]
done

begin ./recorder
env kill --queue 5 -s USR1 "$supervisor"
check "a queued signal is passed on" await record '^USR1$'
kill -STOP "$command"
check "the command is stopped from elsewhere" soon is_stopped "$command"
sleep 0.2
refute "it does not stop with it" is_stopped "$supervisor"
refute "and the lock is held" lock_is_free
kill -CONT "$command"
kill -USR2 "$supervisor"
check "continued alone, it goes on" await record '^USR2$'
kill -TERM "$supervisor"
ends_with 9 "the status is still passed on"
check "the lock is free" lock_is_free

# The dispositions and the mask are the command's own.
expect "ignored signals stay ignored" 0 'SigIgn:.*[13579bdf]' \
    bash -c "trap '' HUP INT; $lockctl run --table table grep SigIgn /proc/self/status"
expect "nothing else is changed" 0 "$(grep -E '^Sig(Blk|Ign)' /proc/self/status)" \
    "$lockctl" run --table table grep -E '^Sig(Blk|Ign)' /proc/self/status
expect "SIGCHLD ignored by the parent" 3 '' \
    perl -e '$SIG{CHLD} = "IGNORE"; exec @ARGV' "$lockctl" run --table table sh -c 'exit 3'
expect "SIGCHLD blocked by the parent" 3 '' perl -MPOSIX -e \
    'sigprocmask(SIG_BLOCK, POSIX::SigSet->new(SIGCHLD)); exec @ARGV' \
    "$lockctl" run --table table sh -c 'exit 3'

# A background member that has touched keeps the lock, though the command has ended.
rm -f record
expect "a command with a member in the background" 0 '' "$lockctl" run --table table bash -c \
    '{ read -r <table/touched; : >in; sleep 0.5; echo end >>record; } & until [ -e in ]; do sleep 0.01; done'
check "it waits for members that touched" grep -x end record
check "and lets go then" lock_is_free

# SIGKILL to the supervisor: the command goes on, guarded.
begin ./recorder
kill -KILL "$supervisor"
ends_with 137 "killed"
check "killed: the command goes on" kill -0 "$command"
refute "killed: it is still guarded" lock_is_free
kill -TERM "$command"
check "killed: the lock is free when it ends" soon lock_is_free

# The same with a lock taken early and a command that never touches.
begin --eager sh -c 'echo "ready $$" >record; exec sleep 60'
refute "eager: held before the first touch" lock_is_free
kill -KILL "$supervisor"
ends_with 137 "eager: killed"
refute "eager: held after that" lock_is_free
kill -TERM "$command"
check "eager: free when the command ends" soon lock_is_free

if command -v python3 >/dev/null; then
    while read -r result name; do
        if [ "$result" = ok ]; then ok "$name"; else not_ok "$result $name"; fi
    done < <(timeout 300 python3 "$here/lockctl-terminal.py" "$lockctl" 2>&1 || echo "status $?")
else
    skip "terminal and job control: no python3"
fi
finish
