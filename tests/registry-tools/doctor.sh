#!/bin/bash
# lockctl doctor: what would keep a table from being guarded is said, and what to do; nothing else.
# shellcheck disable=SC2015,SC2016,SC2086,SC2317
# shellcheck source=tests/registry-tools/common.sh
. "$(dirname "$(realpath "$0")")/common.sh"

doctor() { "$lockctl" doctor --config /dev/null "$@"; }
# result CHECK COMMAND...: the worst result of the table's checks of that name.
result() {
    local name=$1
    shift
    json "max((c['result'] for c in data['checks'] if c['check'] == '$name'), key=['ok', 'warning', 'problem'].index)" "$@"
}
fresh
status "a table that can be guarded" 0 "" doctor T
fits "JSON" doctor doctor --json T
same "it can" True "$(json "data['guardable']" doctor --json T)"
for name in kernel shim settings "lock file" registry flock table; do
    same "$name" ok "$(result "$name" doctor --json T)"
done
same "nothing is made" "T U json.err json.out stderr.out" "$(find . -mindepth 1 -maxdepth 1 -printf '%f\n' | sort | xargs)"
guard session "$act" "cat T/n" >/dev/null
status "one that is guarded already" 0 "" doctor T
doctor T >page
check "the page has a line a check" grep -Eq '^  ok +flock +keeps processes apart$' page
flock T.lock sleep 30 &
holder=$!
soon is_held
status "one that is held" 0 "" timeout 5 "$lockctl" doctor --config /dev/null T
pkill -P $holder
wait
status "without a table, of the system" 0 "" doctor

# The shim.
status "no shim" 1 "" doctor --shim /nonexistent T
same "is a problem" problem "$(result shim doctor --shim /nonexistent --json T)"
check "and is told" grep -q nonexistent json.out
cp "$shim" shim.so
head -c 3000 "$shim" >cut.so
cat "$shim" >>cut.so
same "a damaged shim" problem "$(result shim doctor --shim "$work/cut.so" --json T)"
same "a shim elsewhere" ok "$(result shim doctor --shim "$work/shim.so" --json T)"

# Permissions.
chmod 755 .
fresh
chmod 755 T
: >T.lock
chmod 600 T.lock
same "others may use the table, but not open the lock file" problem "$(result "lock file" doctor --json T)"
status "so it can't be guarded" 1 "" doctor T
check "what to do is told" grep -q 'chmod o+rw' <(doctor T)
chmod 700 T
same "nobody else may use the table" ok "$(result "lock file" doctor --json T)"
rm T.lock && mkfifo T.lock
same "a pipe for a lock file" problem "$(result "lock file" doctor --json T)"
rm T.lock
mkdir T.lock.registry
same "a directory for a registry" warning "$(result registry doctor --json T)"
mkdir open && chmod 777 open && mkdir open/T
same "a directory where all may remove it" warning "$(result directory doctor --json open/T)"
chmod 1777 open
expected=$([ "$(cat /proc/sys/fs/protected_regular)" = 0 ] && echo ok || echo warning)
same "a sticky directory" "$expected" "$(result directory doctor --json open/T)"
same "a lock file inside of the table" warning "$(printf '[table %s]\nlock = %s\n' "$work/T" "$work/T/lock" >c; \
    result settings "$lockctl" doctor --config c --json)"
same "a directory that is not there" problem "$(printf '[table %s]\nlock = %s\n' "$work/T" "$work/no/lock" >c; \
    result directory "$lockctl" doctor --config c --json)"
if [ "$(id -u)" = 0 ]; then
    fresh
    chmod 755 T
    same "an ordinary user can't make the lock file" problem "$(json "max((c['result'] for c in data['checks'] if c['check'] == 'lock file'), key=['ok', 'warning', 'problem'].index)" as_ordinary "$lockctl" doctor --config /dev/null --json T)"
    fits "JSON as an ordinary user" doctor as_ordinary "$lockctl" doctor --config /dev/null --json T
    chown $ordinary T
    same "nor can its owner, says root" warning "$(result "lock file" doctor --json T)"
fi

# File systems, by name.
if unshare -m true 2>/dev/null; then
    mkdir -p fs low up/u up/w
    unshare -m sh -c 'mount -t tmpfs none fs && mkdir fs/T && "$0" doctor --config /dev/null --json fs/T >tmpfs.out
        mount -o remount,ro fs; "$0" doctor --config /dev/null --json fs/T >ro.out
        mount -t tmpfs none up && mkdir up/u up/w && mkdir low/T
        mount -t overlay -o lowerdir=low,upperdir=up/u,workdir=up/w none fs && "$0" doctor --config /dev/null --json fs/T >overlay.out
        true' "$lockctl"
    same "tmpfs" ok "$(result "file system" cat tmpfs.out)"
    check "by name" grep -q '"finding": "tmpfs"' tmpfs.out
    same "read-only" False "$(json "data['guardable'] and all(c['result'] == 'ok' for c in data['checks'])" cat ro.out)"
    if [ -s overlay.out ]; then
        same "overlay" warning "$(result "file system" cat overlay.out)"
        check "overlay by name" grep -q '"finding": "overlay: ' overlay.out
    else
        skip "overlay can't be mounted here"
    fi
    # Who cleans: rules of our own in place of the system's.
    mkdir -p etc
    printf 'q %s 1777 root root 10d\n' "$work" >etc/x.conf
    unshare -m sh -c 'mkdir -p /etc/tmpfiles.d && mount --bind etc /etc/tmpfiles.d && "$0" doctor --config /dev/null --json T >cleaned.out
        echo "x $1/T.lock*" >>etc/x.conf; "$0" doctor --config /dev/null --json T >excepted.out' "$lockctl" "$work"
    same "a cleaner" warning "$(result cleaners cat cleaned.out)"
    check "with its age" grep -q 'older than 10d from' cleaned.out
    same "a cleaner that leaves it alone" ok "$(result cleaners cat excepted.out)"
    echo /lib/none.so >preload
    unshare -m sh -c 'touch /etc/ld.so.preload 2>/dev/null && mount --bind preload /etc/ld.so.preload && "$0" doctor --config /dev/null --json T' \
        "$lockctl" >preload.out 2>/dev/null
    [ -s /etc/ld.so.preload ] || rm -f /etc/ld.so.preload
    same "a preload for all programs" warning "$(result ld.so.preload cat preload.out)"
else
    skip "file systems: needs a mount namespace"
fi
echo "[nonsense]" >c
status "a wrong configuration" 78 "is no section" "$lockctl" doctor --config c
status "an unknown option" 2 "is no option" doctor --nonsense
writes_told doctor doctor T
finish
