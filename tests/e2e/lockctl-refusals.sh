#!/bin/bash
# What lockctl does not start: programs that can't be reached, tables and lock files that can't be
# used, a shim that can't be loaded. Each is one line that names it, and nothing runs unguarded.
# shellcheck disable=SC2016,SC2317
# shellcheck source=tests/e2e/lockctl-common.sh
. "$(dirname "$(realpath "$0")")/lockctl-common.sh"
alone=()
run() { "$lockctl" run "${alone[@]}" --table table "$@"; }
as_nobody() { setpriv --reuid 65534 --regid 65534 --clear-groups -- "$@"; }

# --- programs ---

echo 'int main(void) { return 4; }' >program.c
printf 'package main\nimport "os"\nfunc main() { os.Exit(4) }\n' >program.go
printf 'package main\nimport "os"\n// int four(void) { return 4; }\nimport "C"\nfunc main() { os.Exit(int(C.four())) }\n' >cgo.go
export GOCACHE=$work/go-cache GO111MODULE=off

unreached() { # NAME TEXT BUILD-COMMAND...
    local name=$1 text=$2
    shift 2
    if ! "$@" >build.log 2>&1; then
        skip "$name: cannot be built here"
        return
    fi
    for scope in process session call; do
        one_line "$name is refused, $scope" 126 "program.* $text; use --scope command" \
            run --scope $scope ./program
    done
    expect "$name runs under command, which says so" 4 \
        "[0-9TZ:.-]+ lockctl\[[0-9]+\] $work/table: locked before the command starts: $no_newline$text" \
        run --log stderr ./program
    printf '#!/usr/bin/env -S FOO=1 ./program\n' >script && chmod +x script
    one_line "$name behind a script and env is refused" 126 "program.* $text; use" \
        run --scope process ./script
    expect "$name may be exempt" 4 '' run --scope process --exempt x,program ./program
}
unreached "a static program" 'is statically linked' gcc -static program.c -o program
unreached "a static pie" 'is statically linked' gcc -static-pie -fPIE program.c -o program
unreached "a Go program" 'is a Go program.*' go build -o program program.go
unreached "a Go program with cgo" 'is a Go program.*' env CGO_ENABLED=1 go build -o program cgo.go
cat >held.c <<'END'
#include <stdlib.h>
int main(void) { return system("env -u LD_PRELOAD flock -n table.lock true") != 0; }
END
if gcc -static held.c -o held 2>/dev/null; then
    expect "the lock is held while a static program runs" 1 '' run ./held
    expect "but not if it is exempt" 0 '' run --exempt held ./held
    expect "and free afterwards" 0 '' flock -n table.lock true
    flock --no-fork table.lock sleep 60 &
    holder=$!
    while flock -n table.lock true; do sleep 0.01; done
    for option in --eager --log=none; do
        one_line "no lock, no start ($option)" 1 'table.lock' run "$option" --timeout 0 ./held
    done
    kill "$holder"
    wait "$holder" 2>/dev/null
fi
if [ -e /lib/ld-musl-x86_64.so.1 ]; then
    # A shim by itself: none for musl beside it.
    cp "$BUILD/liblockshim.so" . && alone=(--shim "$work/liblockshim.so")
    unreached "a musl program" 'is linked to another C library' musl-gcc program.c -o program
    alone=()
else
    skip "a musl program"
fi
if [ "$(id -u)" = 0 ]; then
    gcc program.c -o program && chmod 4755 program
    expect "root's own set-user-ID program is guarded" 4 '' run --scope process ./program
    setcap cap_net_bind_service+ep program 2>/dev/null
    expect "capabilities mean nothing to root" 4 '' run --scope process ./program
    chmod 755 . && chmod 777 table && touch table.lock && chmod 666 table.lock*
    # The build directory may be closed to others.
    cp "$lockctl" "$BUILD/liblockshim.so" . && chmod 755 lockctl liblockshim.so
    gcc program.c -o program && chmod 4755 program
    one_line "a set-user-ID program" 126 'program is set-user-ID.*use --scope command' \
        as_nobody ./lockctl run --table table --scope process ./program
    chmod 755 program
    if setcap cap_net_bind_service+ep program 2>/dev/null; then
        one_line "a program with capabilities" 126 'program has file capabilities' \
            as_nobody ./lockctl run --table table --scope process ./program
    else
        skip "a program with capabilities"
    fi
    chmod 711 program && setcap -r program 2>/dev/null
    one_line "an unreadable program" 126 'program cannot be read' \
        as_nobody ./lockctl run --table table --scope process ./program
else
    skip "set-user-ID, capabilities, unreadable: only root can make them"
fi

# --- tables and lock files ---

one_line "an empty table" 78 "table '': is empty" "$lockctl" run --table '' true
one_line "the root directory" 78 "table '/' is the root" "$lockctl" run --table / true
one_line "a device" 78 "table '/dev/null' is a device" "$lockctl" run --table /dev/null true
mkfifo fifo
one_line "a pipe" 78 "table 'fifo' is a pipe" "$lockctl" run --table fifo true
if command -v python3 >/dev/null; then
    python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("socket")'
    one_line "a socket" 78 "table 'socket' is a socket" "$lockctl" run --table socket true
fi
ln -s loop loop
one_line "a loop of links" 78 "table 'loop': Too many levels" "$lockctl" run --table loop true
one_line "below a file" 78 "table 'program.c/x': Not a directory" "$lockctl" run --table program.c/x true
one_line "a table named twice" 78 "is named twice" \
    "$lockctl" run --table table --table ./table/../table/ true
longest=$work/$(printf 'x/%.0s' {1..3000})
one_line "a path of 4,095 bytes" 78 'File name too long' \
    "$lockctl" run --table "${longest:0:4095}" true
one_line "a path of 5,000 bytes" 78 'File name too long' "$lockctl" run --table "${longest:0:5000}" true
one_line "a name of 300 bytes" 78 'File name too long' \
    "$lockctl" run --table "$(printf 'x%.0s' {1..300})" true
one_line "a lock file in no directory" 78 "lock file '$work/no/lock': No such file" \
    run --lock no/lock true
one_line "a lock file that is the table" 78 'is the table itself' run --lock table true
one_line "a lock file that is a pipe" 78 'is no regular file' run --lock fifo true
one_line "a log file in no directory" 78 "log file '$work/no/log'" run --log no/log true
one_line "a table in no directory" 78 "lock file '$work/a/b/c.lock': No such" \
    "$lockctl" run --table a/b/c true
expect "a table that does not exist yet" 0 '' "$lockctl" run --table not-yet true
expect "names with newlines" 0 '' "$lockctl" run --table $'new\nline' true
expect "a link to a table has the table's lock" 0 '' sh -c \
    "ln -s table linked && $lockctl run --table linked true && [ ! -e linked.lock ]"
expect "so has every other spelling" 0 '' sh -c \
    "cd table && $lockctl run --table . true && [ ! -e ..lock ]"
if [ "$(id -u)" = 0 ]; then
    mkdir closed && mkdir closed/table && chmod 755 closed
    one_line "a lock file that may not be made" 5 "lock file .*closed/table.lock': Permission denied" \
        as_nobody ./lockctl run --table closed/table true
    chmod 700 closed
    one_line "a table that may not be reached" 5 "table 'closed/table': Permission denied" \
        as_nobody ./lockctl run --table closed/table true
    expect "a read-only file system" 0 "lockctl: lock file '$no_newline': Read-only file system" \
        unshare -m sh -c "mkdir -p ro && mount -t tmpfs none ro && mkdir ro/table &&
            mount -o remount,ro ro && { $lockctl run --table ro/table touch started; [ \$? = 1 ]; }"
    expect "a full file system" 0 "" \
        unshare -m sh -c "mkdir -p full && mount -t tmpfs -o size=64k none full && mkdir full/table &&
            { cat /dev/zero >full/filler 2>/dev/null; $lockctl run --table full/table true; }"
    expect "a shim on a file system mounted noexec" 0 "lockctl: the shim .* mounted noexec" \
        unshare -m sh -c "mkdir -p noexec && mount -t tmpfs -o noexec none noexec &&
            cp $BUILD/liblockshim.so noexec/ &&
            { $lockctl run --shim noexec/liblockshim.so --table table touch started; [ \$? = 78 ]; }"
    refute "nothing was started" test -e started
else
    skip "permissions and mounts: only root can make them"
fi

# --- the shim ---

shim() { "$lockctl" run --shim "$@" --table table sh -c 'echo started'; }
one_line "no shim" 78 "the shim .*none' cannot be loaded: .*No such file" shim none
one_line "an empty shim" 78 'is empty' shim table.lock
one_line "a directory" 78 'is no regular file' shim table
one_line "no library" 78 'is no shared library' shim program.c
one_line "a program" 78 'is a program' shim "$lockctl"
libm=$(ldconfig -p 2>/dev/null | sed -n 's/.*libm.so.6 .*64.* => //p' | head -1)
one_line "another library" 78 'is another library' shim "${libm:-/lib/libm.so.6}"
cp "$BUILD/liblockshim.so" other.so
printf '\001' | dd of=other.so bs=1 seek=4 conv=notrunc status=none
one_line "a shim of another word size" 78 'is for another architecture' shim other.so
for name in 'a b' 'a:b' 'a$b'; do
    cp "$BUILD/liblockshim.so" "$name.so"
    one_line "a shim called '$name.so'" 78 'LD_PRELOAD cannot express' shim "$name.so"
done
mkdir empty && cp "$lockctl" empty/
one_line "no shim beside lockctl" 78 'the shim .*/lib.*/liblockshim.so. cannot be loaded' \
    empty/lockctl run --table table true
one_line "a limit on the size of files that leaves no room for its memory" 1 \
    "memory file 'lockshim-command': File too large" bash -c 'ulimit -f 0; "$@"' - "$lockctl" run --table table true
cp "$BUILD/liblockshim.so" empty/
mkdir table-of-copy
expect "lockctl's copies find one another" 0 'free' \
    env PATH="$PWD/empty:$PATH" lockctl status --raw -n -o VERDICT table-of-copy
check "it finds the shim beside it" sh -c \
    'PATH=$PWD/empty:$PATH lockctl doctor table-of-copy | grep "shim .*$PWD/empty/liblockshim.so, loads"'

# Without the library that draws tables, what draws none still works.
library=$(ldconfig -p | awk '$1 == "libsmartcols.so.1" { print $NF; exit }')
if unshare --mount mount --bind /dev/null "$library" 2>/dev/null; then
    without() { unshare --mount sh -c 'mount --bind /dev/null "$1" && shift && exec "$@"' - "$library" "$@"; }
    one_line "no libsmartcols" 1 'to draw tables: .*libsmartcols.so.1: ' \
        without "$lockctl" status --raw -o VERDICT table-of-copy
    expect "status for a file, without libsmartcols" 0 'free' without "$lockctl" status -n -o VERDICT table-of-copy
    expect "status for programs, without libsmartcols" 0 '.*"verdict": "free".*' without "$lockctl" status --json table-of-copy
else
    skip "no libsmartcols: nothing may be mounted here"
fi
finish
