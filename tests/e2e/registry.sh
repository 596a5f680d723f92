#!/bin/bash
# The registry wrong, missing, cut off, hostile or not to be had: nobody is let in beside a holder,
# nothing crashes, hangs or is lost.
# shellcheck disable=SC2016,SC2034,SC2086,SC2317
# shellcheck source=tests/e2e/common.sh
. "$(dirname "$(realpath "$0")")/common.sh"
registry=T.lock.registry
small() { [ "$(stat -c %s $registry)" -lt 300000 ]; }

garbage() { head -c 400000 /dev/urandom >$registry; }
valid_garbage() { # the head of a registry, the rest hostile
    guard session "$act" "cat T/n"
    size=$(stat -c %s $registry)
    head -c $((size - 64)) /dev/"$1" | dd of=$registry bs=1 seek=64 conv=notrunc status=none \
        iflag=fullblock 2>/dev/null
}
ones() { tr '\0' '\377' </dev/zero | head -c 300000 | dd of=$registry bs=64 seek=1 conv=notrunc status=none; }
for state in "rm -f $registry" ": >$registry" "garbage" "mkdir $registry" "mkfifo $registry" \
    "ln -s victim $registry; echo precious >victim" "ln -s none $registry" \
    "guard session \"$act\" 'cat T/n'; truncate -s 5000 $registry" \
    "guard session \"$act\" 'cat T/n'; truncate -s 9M $registry" \
    "guard session \"$act\" 'cat T/n'; chmod 0 $registry" \
    "guard session \"$act\" 'cat T/n'; valid_garbage urandom" \
    "guard session \"$act\" 'cat T/n'; dd if=/dev/zero of=$registry bs=4096 count=50 conv=notrunc status=none" \
    "guard session \"$act\" 'cat T/n'; ones"; do
    name=$(printf '%s' "${state#guard*; }" | cut -c1-40)
    fresh
    eval "$state" >/dev/null 2>&1
    for ((i = 0; i < 6; i++)); do
        guard session "$act" "add 30 T/n" >>out 2>&1 &
        guard process "$act" "add 5 T/n" >>out 2>&1 &
    done
    run "$act" "add 5 T/n" >>out 2>&1
    wait
    same "$name: nothing is lost" " 215" "$(cat out) $(cat T/n)"
    [ ! -e victim ] || same "$name: is not followed" precious "$(cat victim)"
done
same "a dangling symlink is not followed" "" "$(find . -name none)"

# Hands on it while programs run.
for change in ": >$registry" "rm -f $registry" "truncate -s 9M $registry" "dd if=/dev/zero of=$registry \
    bs=4096 count=1 conv=notrunc status=none" "head -c 300000 /dev/urandom | dd of=$registry bs=64 seek=1 \
    conv=notrunc status=none"; do
    fresh
    : >out
    guard session "$act" "cat T/n"
    for ((i = 0; i < 8; i++)); do
        guard session "$act" "await start" "add 400 T/n" >>out 2>&1 &
        all[i]=$!
    done
    : >start
    for _ in 1 2 3 4; do
        eval "$change" 2>/dev/null
        sleep 0.02
    done
    for process in "${all[@]}"; do wait "$process" || echo "status $?"; done >ends 2>/dev/null
    name="$(printf '%s' "$change" | cut -c1-40) while they run"
    same "$name" " 3200" "$(cat out) $(cat T/n)"
done

# Hostile words: a holder that is none, a joined one that is not counted, a waiter in front of all.
fresh
guard session sh -c "exec 3<T/n; $act 'cat T/n' 'open 0 T/n rw' 'mark 1' 'await 1+' & wait" &
at 1
head -c 300000 /dev/zero | dd of=$registry bs=64 seek=1 conv=notrunc status=none
guard session "$act" "put U/n 1" "cat T/n" "mark 2" &
sleep 0.4
refute "a registry wiped while one has joined: strangers stay out" test -e 2
go 1
at 2
wait
fresh
guard process perl -e 'open(F, ">", "pid"); print F $$; open(F, "<", "T/n"); my $c = fork();
    if (!$c) { exec(@ARGV); } $SIG{ALRM} = sub { exit 0 }; waitpid($c, 0)' "$act" "open 0 T/n rw" "mark 1" "await 1+" &
holder=$!
at 1
kill -ALRM "$(cat pid)"
wait $holder
head -c 300000 /dev/zero | dd of=$registry bs=64 seek=1 conv=notrunc status=none
for scope in process session; do guard $scope "$act" "cat T/n" "mark 2-$scope" & done
sleep 0.4
refute "the same when the holder has ended" test -e 2-session
refute "nor does scope process go in" test -e 2-process
go 1
at 2-process
at 2-session
wait

# A registry that was cut off is made whole again, by the next who comes a little later.
fresh
guard session "$act" "cat T/n"
whole=$(stat -c %s $registry)
: >$registry
guard session "$act" "cat T/n"
check "cut off just now: left alone" small
sleep 3.1
guard session "$act" "cat T/n"
same "cut off some time ago: made whole" "$whole" "$(stat -c %s $registry)"
echo "somebody's notes" >$registry
sleep 3.1
guard session "$act" "cat T/n"
same "what is no registry is left alone" "somebody's notes" "$(cat $registry)"
same "nothing else is left beside it" "T T.lock T.lock.registry U" "$(find . -mindepth 1 -maxdepth 1 \
    -printf '%f\n' | sort | xargs)"

# No room, no right.
fresh
mkdir fs
cat >script <<END
mount -t tmpfs -o size=100k tmpfs fs && mkdir fs/T && echo 0 >fs/T/n || exit 1
export LD_PRELOAD=$shim LOCKSHIM_TABLE=fs/T LOCKSHIM_SCOPE=session
$act "add 20 fs/T/n" & $act "add 20 fs/T/n" & $act "add 20 fs/T/n" & wait
unset LD_PRELOAD
echo "\$(cat fs/T/n) \$(cd fs && echo *)"
END
if said=$(unshare -m sh script 2>&1); then
    same "no room for the registry" "60 T T.lock" "$said"
else
    skip "no room for the registry: needs a mount namespace"
fi
finish
