#!/bin/bash
# A set-user-ID program into which the shim gets nevertheless (by /etc/ld.so.preload, or linked to it)
# does not do what its caller's environment says: no lock file is made with its rights.
# shellcheck disable=SC2016,SC2317
# shellcheck source=tests/e2e/lockctl-common.sh
. "$(dirname "$(realpath "$0")")/lockctl-common.sh"
if [ "$(id -u)" != 0 ] || ! command -v setpriv >/dev/null; then
    skip "a set-user-ID program: not root"
    finish
fi
as_nobody() { setpriv --reuid 65534 --regid 65534 --clear-groups -- "$@"; }
chmod 755 .
cp "$BUILD/liblockshim.so" .
echo '#include <fcntl.h>
int main(int count, char **words) { return open(words[count - 1], O_RDWR | O_CREAT, 0666) < 0; }' >touch.c
gcc -o plain touch.c -Wl,--no-as-needed -L. -llockshim -Wl,-rpath,"$work"
cp plain secure
chmod 4755 secure
touch() { as_nobody env LOCKSHIM_TABLE="$work/$1-table" "./$1" "$work/$1-table/f"; }
mkdir -m 777 plain-table secure-table
chmod 1777 .
check "an ordinary program does" touch plain
check "it has locked" test -e plain-table.lock
check "a set-user-ID program works" touch secure
check "it has made the file with its rights" test "$(stat -c %u secure-table/f)" = 0
refute "it has not locked" test -e secure-table.lock
refute "and left no registry" test -e secure-table.lock.registry
finish
