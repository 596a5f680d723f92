#!/bin/bash
# The lock file in other people's hands: unlinked, replaced, renamed, truncated, forbidden, in odd
# places. Whoever acquires locks the file that is at the path.
# shellcheck disable=SC2016
# shellcheck source=tests/e2e/common.sh
. "$(dirname "$(realpath "$0")")/common.sh"
limit=100

# The program goes from one session to the next while the lock file changes.
for change in "rm T.lock" "mv T.lock away" "mv other T.lock" "truncate -s 100 T.lock" \
    "rm T.lock; : >T.lock" "mv T.lock away; : >T.lock" ": >T.lock" "cp other T.lock"; do
    fresh
    echo something >other
    guard session "$act" "cat T/n" "mark 1" "await 1+" "sleep 0.02" "open 0 T/n r" "mark 2" "await 2+" \
        "close 0" "mark 3" "await 3+" &
    at 1
    eval "$change"
    go 1
    at 2
    check "$change: between sessions: the one at the path is locked" stays_held
    go 2
    at 3
    check "$change: and let go" is_free
    go 3
    wait
done

# Within a millisecond of the last session, the program doing it itself; a new lock file, and one that
# has lain there for a while.
for age in 0 0.05; do
    for change in "rename T.lock away" "rename other T.lock" "unlink T.lock"; do
        fresh
        : >other
        : >T.lock
        sleep $age
        guard session "$act" "cat T/n" "cat T/n" "$change" "open 0 T/n r" "mark 2" "await 2+" \
            "close 0" >out &
        at 2
        check "$change, $age s old: at once: the one at the path is locked" stays_held
        go 2
        wait
        same "$change, $age s old: at once: and nothing fails" "" "$(cat out)"
    done
done

# While it is held: whoever comes later has the new one, and the old holder ends in peace.
for change in "rm T.lock" "mv other T.lock"; do
    fresh
    : >other
    guard process "$act" "put T/n 1" "mark 1" "await 1+" "put T/n 2" >out 2>&1 &
    at 1
    guard session "$act" "cat T/n" "mark 2" &
    sleep 0.2
    refute "$change: while held: a waiter waits" test -e 2
    eval "$change"
    check "$change: who comes later has the new one" guard session "$act" "cat T/n" "mark 3"
    go 1
    at 2
    ok "$change: the waiter enters when the holder has ended"
    wait
    same "$change: the holder is not disturbed" "" "$(cat out)"
done
fresh
guard process "$act" "put T/n 1" "mark 1" "await 1+" &
at 1
: >T.lock
check "truncated while held: still held" stays_held
go 1
wait

# Under a command: replaced before the first touch. The members can't all share the new one: those
# that can't are refused.
fresh
run sh -c ": >1; while [ ! -e 1+ ]; do sleep 0.02; done; $act 'put T/n 5'; $act 'put T/n 6'" \
    >out 2>/dev/null &
at 1
rm T.lock
go 1
wait
case $(cat out T/n) in
"put T/n 6: ENOLCK
5" | 6) ok "command: unlinked before the first touch: shared or refused" ;;
*) not_ok "command: unlinked before the first touch: shared or refused" "$(cat out T/n)" ;;
esac

# In a tight loop: fifty sessions at a time are not disturbed.
for change in "rm -f T.lock" "truncate -s 0 T.lock" "cp other fresh && mv fresh T.lock"; do
    fresh
    : >other
    (while [ ! -e stop ]; do eval "$change" && sleep 0.01; done 2>/dev/null) &
    changer=$!
    for ((i = 0; i < 50; i++)); do guard session "$act" "sessions 20 T/log-$i" >>out 2>&1 & all[i]=$!; done
    wait "${all[@]}"
    : >stop
    wait $changer
    same "in a loop: $change" " 1000" "$(cat out) $(cat T/log-* | wc -c)"
done

# Odd places.
fresh
export LOCKSHIM_LOCK=$work/T/lock
guard process "$act" "put T/n 1" "mark 1" "await 1+" &
at 1
check "in the table itself: held" stays_held T/lock
check "it is no part of the table" guard process "$act" "cat T/lock"
go 1
wait
unset LOCKSHIM_LOCK
fresh
mkdir locks
: >locks/one
ln -s locks/one T.lock
guard process "$act" "cat T/n" "mark 1" "await 1+" &
at 1
check "a symlink: the file behind it is locked" stays_held locks/one
go 1
wait
fresh
mkdir T.lock
same "a directory as lock file" "" "$(guard process "$act" "cat T/n" 2>&1)"
fresh
mkfifo T.lock
same "a fifo as lock file: ENOLCK" "cat T/n: ENOLCK" "$(guard process "$act" "cat T/n" 2>/dev/null)"
fresh
ln -s T.lock T.lock
guard process "$act" "cat T/n" 2>err
same "a symlink to itself: the program does not start" "78 1" "$? $(wc -l <err)"
fresh
for where in "$work/none/lock" "$work/T/n/lock" "/dev/null" "/proc/lock"; do
    same "lock file $where: ENOLCK" "put T/n 1: ENOLCK" \
        "$(LOCKSHIM_LOCK=$where guard process "$act" "put T/n 1" 2>err)"
    same "lock file $where: one line" 1 "$(wc -l <err)"
    check "lock file $where: that says why" grep -E "directory|regular|Permission|No such|No locks" err
done
same "nothing was changed unlocked" 0 "$(cat T/n)"
guard process "$act" "cat T/n"
for mode in 755 770 700; do
    fresh
    chmod $mode T
    guard process "$act" "cat T/n"
    same "its mode is that of a table with $mode" "$(printf %o $((0$mode & 0666)))" "$(stat -c %a T.lock)"
done

# Rights: as a user who may not do all.
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null && setpriv --reuid=65534 --clear-groups true; then
    as_nobody() { within setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; }
    chmod 755 "$work"
    nobody() {
        as_nobody env LD_PRELOAD="$work/liblockshim.so" LOCKSHIM_TABLE="$work/T" "$work/act" "$@" \
            2>/dev/null
    }
    again() { fresh && install -m 755 "$shim" "$act" "$work" && chmod 777 T && chmod 666 T/n; }
    again
    : >T.lock
    chmod 0 T.lock
    same "mode 0: ENOLCK" "cat T/n: ENOLCK" "$(nobody "cat T/n")"
    chmod 444 T.lock
    same "may only be read: enough for flock" "" "$(nobody "put T/n 1")"
    again
    same "an unwritable directory and no lock file: ENOLCK" "put T/n 2: ENOLCK" "$(nobody "put T/n 2")"
    again
    guard process "$act" "cat T/n"
    same "made by root for a table of all: usable by all" "" "$(nobody "put T/n 3")"
    again
    mkdir -m 1777 sticky
    export LOCKSHIM_LOCK=$work/sticky/lock
    same "in a sticky directory: made by one" "" "$(nobody "put T/n 4")"
    same "in a sticky directory: used by the other" "" "$(guard process "$act" "put T/n 5" 2>&1)"
    unset LOCKSHIM_LOCK
    rm -rf T.lock "$work/liblockshim.so" "$work/act"
else
    skip "rights: needs root and setpriv"
fi

# Read-only and full file systems.
fresh
mkdir fs
cat >script <<END
mount -t tmpfs -o size=1m tmpfs fs && mkdir fs/T && echo 0 >fs/T/n || exit 1
cat /dev/zero >fs/full 2>/dev/null
export LD_PRELOAD=$shim LOCKSHIM_TABLE=fs/T
echo "full: \$($act "cat fs/T/n" 2>&1)"
rm -f fs/full fs/T.lock*
mount -o remount,ro fs
echo "read-only, no lock file: \$($act "cat fs/T/n" 2>/dev/null)"
mount -o remount,rw fs
: >fs/T.lock
mount -o remount,ro fs
echo "read-only: \$($act "cat fs/T/n" "put fs/T/n 1" 2>&1)"
END
if said=$(unshare -m sh script 2>/dev/null); then
    same "full and read-only file systems" "full: 
read-only, no lock file: cat fs/T/n: ENOLCK
read-only: put fs/T/n 1: EROFS" "$said"
else
    skip "full and read-only file systems: needs a mount namespace"
fi
finish
