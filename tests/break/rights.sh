#!/bin/bash
# lockctl break: who may, and what a forged registry can make it do: nothing.
# shellcheck source=tests/e2e/common.sh
. "$(dirname "$(realpath "$0")")/../e2e/common.sh"
writer=$BUILD/break/writer
at_fence="" at_start_time="" at_acquisition=""
eval "$("$BUILD/break/layout" | sed 's/^/at_/')"

# forge FIELD NUMBER: 64 bits of the registry.
forge() {
    $python - "$1" "$2" <<'PYTHON'
import struct, sys
with open("T.lock.registry", "r+b") as registry:
    registry.seek(int(sys.argv[1]))
    registry.write(struct.pack("<Q", int(sys.argv[2])))
PYTHON
}
# write_letters SCOPE MODE...: a guarded writer of X in the background.
write_letters() {
    local scope=$1
    shift
    LD_PRELOAD=$shim LOCKSHIM_TABLE=$work/T LOCKSHIM_SCOPE=$scope "$writer" X "$work/T" "$@" >lines 2>errors &
    holder=$!
    soon grep -q up lines
}
# What the old holder does from now on leaves the table as it is, to its end.
changes_nothing() {
    cksum T/* >before
    sleep 0.1
    kill -TERM "$holder"
    wait "$holder" 2>/dev/null
    cksum T/* >after
    check "$1: nothing more reaches the table" cmp before after
}

# --- an ordinary user ---
fresh
chmod 755 "$work"
if command -v setpriv >/dev/null && [ "$(id -u)" = 0 ]; then
    cp "$lockctl" . && chmod 755 lockctl
    write_letters process raw
    cp T.lock.registry before.registry
    setpriv --reuid=65534 --regid=65534 --clear-groups "$work/lockctl" break --force "$work/T" >out 2>&1
    same "another user's holder: no permission" 5 $?
    check "another user's holder: the missing right is named" grep -q "CAP_SYS_PTRACE" out
    check "another user's holder: still held" is_held
    same "another user's holder: one line" 1 "$(grep -c "no permission to break process $holder: it belongs to user" out)"
    kill -KILL $holder
    wait $holder 2>/dev/null

    # One's own holder needs no more than to be its owner, unless the system says so.
    fresh
    cp "$lockctl" . && cp "$shim" ./liblockshim.so && cp "$writer" ./writer && chmod 755 lockctl writer
    chown -R 65534:65534 T "$work"
    LD_PRELOAD=$work/liblockshim.so LOCKSHIM_TABLE=$work/T LOCKSHIM_SCOPE=process \
        setpriv --reuid=65534 --regid=65534 --clear-groups ./writer X "$work/T" raw >lines 2>errors &
    soon grep -q up lines
    holder=$(pgrep -f "^./writer X $work/T raw")
    setpriv --reuid=65534 --regid=65534 --clear-groups ./lockctl break --force T >out 2>&1
    same "one's own holder, as an ordinary user" 0 $?
    same "one's own holder: whose files they are" 65534 "$(stat -c %u T/raw)"
    changes_nothing "one's own holder"
    chown -R 0:0 "$work"
else
    skip "an ordinary user: needs root and setpriv"
fi

# --- a forged address ---
fresh
write_letters process decoy
forge "$at_fence" "$(sed -n 's/^decoy //p' lines)"
"$lockctl" break --force T >out 2>&1
same "a forged address: it is broken all the same" 0 $?
changes_nothing "a forged address"
same "a forged address: nothing was written there" untouched "$(tail -1 lines)"
for address in 0 1 8 4096 140737488355328 18446744073709551608; do
    fresh
    write_letters process raw
    forge "$at_fence" $address
    "$lockctl" break --force T >out 2>&1
    same "an address of $address" 0 $?
    changes_nothing "an address of $address"
done

# --- another process's identity ---
fresh
write_letters session raw
forge "$at_start_time" 12345
"$lockctl" break --force T >out 2>&1
same "a start time that does not fit: the kernel's word counts" 0 $?
changes_nothing "a start time that does not fit"
fresh
write_letters session raw
forge "$at_acquisition" 4711
"$lockctl" break --force T >out 2>&1
same "a forged acquisition: what the process says counts" 1 "$(grep -c "acquisition 1 is broken" out)"
changes_nothing "a forged acquisition"
fresh
write_letters session raw
: >T.lock.registry
"$lockctl" break --force T >out 2>&1
same "a registry that was cut off" 0 $?
changes_nothing "a registry that was cut off"
fresh
write_letters session raw
rm T.lock.registry
"$lockctl" break --force T >out 2>&1
same "no registry" 0 $?
changes_nothing "no registry"

# --- a name that looks like a table's file ---
fresh
mkdir outside
echo precious >outside/raw
write_letters session raw
rm T/raw && ln -s "$work/outside/raw" T/raw
"$lockctl" break --force T >out 2>&1
same "a symlink in its place" 0 $?
same "a symlink in its place: left alone" "precious" "$(cat outside/raw)"
check "a symlink in its place: still one" test -L T/raw
kill -KILL $holder
wait $holder 2>/dev/null
fresh
write_letters session raw
chmod 6755 T/raw
ln T/raw T/link
ln T/raw outside-link
touch -d 2001-02-03 T/raw
"$lockctl" break --force T >out 2>&1
same "hard links: still one file" "$(stat -c %i T/link)" "$(stat -c %i T/raw)"
refute "hard links: on another inode" [ "$(stat -c %i T/raw)" = "$(stat -c %i outside-link)" ]
same "no set-id bits on what others have written" 755 "$(stat -c %a T/raw)"
changes_nothing "hard links"
same "nothing is left behind in the table" "link n raw" "$(cd T && find . -mindepth 1 -printf '%f\n' | sort | xargs)"
fresh
write_letters session raw
if chattr +i T/raw 2>/dev/null; then
    "$lockctl" break T.lock --force --dry-run >/dev/null
    kill -STOP $holder
    soon grep -q ') T ' /proc/$holder/stat
    "$lockctl" break T >out 2>&1
    same "a file that can't be replaced: no permission" 5 $?
    check "a file that can't be replaced: it is named" grep -q "file 'raw' of the table" out
    check "a file that can't be replaced: still held" is_held
    "$lockctl" break --force T >out 2>&1
    same "a file that can't be replaced, forced" 0 $?
    check "a file that can't be replaced, forced: says what is not promised" grep -q "not promised" out
    chattr -i T/raw
else
    skip "a file that can't be replaced: no chattr here"
fi
kill -KILL $holder
wait $holder 2>/dev/null

# --- calls under way ---
# Without a registry nobody tells which descriptor of the holder is the shim's own: it is made to
# stand still, but not in the middle of a call, which would never end then.
fresh
write_letters process names
rm T.lock.registry
"$lockctl" break --force T >out 2>&1
same "calls by name, no registry" 0 $?
refute "calls by name, no registry: they end" grep -q "^killing" out
changes_nothing "calls by name, no registry"

# --- never a newer acquisition ---
# The holder lets go and takes it anew all the time: what is broken is what was named, or nothing.
fresh
LD_PRELOAD=$shim LOCKSHIM_TABLE=$work/T LOCKSHIM_SCOPE=session "$act" "sessions 100000000 T/log" >lines 2>errors &
holder=$!
soon test -s T/log
tries=0 unharmed=0 killed=0
while ((tries++ < 300)); do
    "$lockctl" break --force T >out 2>&1
    status=$?
    [ $status = 0 ] || not_ok "a busy holder: status $status" "$(cat out)"
    if grep -q "^killing" out; then killed=$((killed + 1)); fi
    if grep -q "^freed" out; then break; fi
    if kill -0 $holder && ! grep -q ESTALE lines; then unharmed=$((unharmed + 1)); fi
done
check "a busy holder: broken in the end" grep -q "^freed" out
same "a busy holder: what is not broken goes on unharmed" $((tries - 1)) $unharmed
same "a busy holder: none of its calls goes on for ever" 0 $killed
check "a busy holder: nobody else has got it" grep -q "^nobody waits for it" out
check "a busy holder: broken for good" soon grep -q ESTALE lines
cksum T/* >before
sleep 0.1
cksum T/* >after
check "a busy holder: nothing more reaches the table" cmp before after
kill -KILL $holder 2>/dev/null
wait $holder 2>/dev/null
finish
