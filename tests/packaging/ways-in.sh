#!/bin/bash
# The recipes of doc/ways-in.md, where they need no server: a first line, a shell session, a unit's
# environment, a crontab's line, and process 1 of a container. Called by make, which tells BUILD.
# shellcheck disable=SC2016,SC2317  # much is for a shell inside, and called by its name
# shellcheck source=tests/e2e/common.sh
. "$(dirname "$(realpath "$0")")/../e2e/common.sh"
PATH=$BUILD:$PATH
# raise: reads the count and writes it again, with a pause between.
raise='n=$(cat T/n); sleep 0.02; echo $((n + 1)) >T/n'
# ten COMMAND...: ten times at once; the count says whether they waited for one another.
ten() {
    fresh_count
    for _ in 1 2 3 4 5 6 7 8 9 10; do "$@" & done
    wait
    [ "$(cat T/n)" = 10 ]
}
fresh_count() { mkdir -p T && echo 0 >T/n; }

fresh
printf '#!/usr/bin/env -S lockctl run --table %s/T -- sh\n%s\n' "$work" "$raise" >script
chmod +x script
check "a script that names its guard in the first line" ten ./script

lockctl env --table "$work/T" >guard.env
check "a shell session" ten sh -c 'set -a; . ./guard.env; set +a; exec perl -e "open F, q(T/n); \$n = <F>; close F; select undef, undef, undef, 0.02; open F, q(>T/n); print F \$n + 1"'
refute "the same unguarded" ten sh -c "$raise"

# What systemd makes of EnvironmentFile=: lines of NAME="value", a backslash before a dollar.
lockctl env --table "$work/T" --scope session >session.env
refute "a line that systemd would not take" grep -qvE '^[A-Z_]+="([^"\\$`]|\\[$"\\`])*"$' session.env
if command -v systemd-analyze >/dev/null; then
    mkdir -p unit/app.service.d
    printf '[Service]\nExecStart=/bin/true\n' >unit/app.service
    printf '[Service]\nEnvironmentFile=%s/session.env\nExecStart=\nExecStart=%s/lockctl run --table %s/T -- /bin/true\n' \
        "$work" "$BUILD" "$work" >unit/app.service.d/guard.conf
    same "systemd-analyze verify" "" "$(SYSTEMD_UNIT_PATH=$work/unit: systemd-analyze verify "$work/unit/app.service" 2>&1 | grep -F "$work")"
else
    skip "systemd-analyze verify: it is not here"
fi

check "a crontab's line" ten env -i PATH=/usr/bin:/bin HOME=/ SHELL=/bin/sh \
    /bin/sh -c "cd $work && $BUILD/lockctl run --table $work/T --timeout 240 -- /bin/sh -c '$raise'"

# A container's ENTRYPOINT: process 1 of a PID namespace, which passes on the signal that ends it.
if unshare --map-root-user --pid --fork true 2>/dev/null; then
    check "process 1 of a container" ten unshare --map-root-user --pid --fork --mount-proc \
        lockctl run --table "$work/T" -- sh -c "$raise"
    unshare --map-root-user --pid --fork --kill-child --mount-proc lockctl run --table "$work/T" -- \
        sh -c 'trap "echo ended >T/ended; exit 3" TERM; : >1; while :; do sleep 0.05; done' &
    outer=$!
    at 1
    kill -TERM "$(pgrep -P $outer)"
    wait $outer
    same "its signal reaches the command, and its status comes out" "3 ended" "$? $(cat T/ended)"
else
    skip "process 1 of a container: no PID namespace may be made here"
fi
finish
