#!/bin/bash
# Programs of glibc and of musl in one command: each loader takes the shim of its own libc, and says
# nothing of the other's; where there is none, the lock is taken before the program starts.
# shellcheck disable=SC2016,SC2317  # much is for a shell inside
# shellcheck source=tests/e2e/lockctl-common.sh
. "$(dirname "$(realpath "$0")")/lockctl-common.sh"
set="$BUILD/lockshim"
if [ ! -e "$set/\$LIB/liblockshim.so" ] || ! command -v musl-gcc >/dev/null; then
    skip "musl: no compiler for it"
    finish
fi
cat >raise.c <<'END'
#include <stdio.h>
#include <unistd.h>
int main(int count, char **words)
{
    int n = 0;
    FILE *file = fopen(words[count - 1], "r");
    if (file == NULL || fscanf(file, "%d", &n) != 1 || fclose(file) != 0)
        return 1;
    usleep(5000);
    file = fopen(words[count - 1], "w");
    return file == NULL || fprintf(file, "%d\n", n + 1) < 0 || fclose(file) != 0;
}
END
cat >start.c <<'END'
#include <stdlib.h>
int main(int count, char **words) { return count > 1 && system(words[1]) != 0; }
END
musl-gcc -O1 raise.c -o raise || not_ok "a musl program is built"
musl-gcc -O1 start.c -o start || not_ok "a musl program is built"
run() { "$lockctl" run --table table "$@"; }

# raised NAME COMMAND...: twenty at once, and each has counted.
raised() {
    local name=$1 i
    shift
    echo 0 >table/n
    for ((i = 0; i < 20; i++)); do "$@" >>said 2>&1 & done
    wait
    check "$name" test "$(cat table/n)" = 20
}
: >said
for scope in command process; do
    raised "a musl program counts, scope $scope" run --scope $scope ./raise table/n
done
raised "a musl program by a bare preload" env LD_PRELOAD="$set/\$LIB/liblockshim.so" \
    LOCKSHIM_TABLE="$work/table" ./raise table/n
raised "below a glibc shell" run sh -c './raise table/n'
raised "a glibc program below a musl one" run ./start 'n=$(cat table/n); sleep 0.005; echo $((n + 1)) >table/n'
raised "half by the one, half by the other" run sh -c 'n=$(cat table/n) && ./raise table/n && [ "$(cat table/n)" = $((n + 1)) ]'
check "nothing is said on the way" test ! -s said

# Reached, not stood in for: no touch, no lock.
expect "the lock is free before a musl program touches" 0 '' run ./start 'flock -n table.lock true'
expect "and held after it has" 0 '' run ./start ': >table/x; ! flock -n table.lock true'
expect "the musl shim passes on to glibc's" 0 '' \
    run --scope process ./start 'sh -c ": >table/x; ! flock -n table.lock true"'

# A set without the build for musl is none.
mkdir -p part/lockshim/lib64 part/lockshim/lib
cp "$BUILD/liblockshim.so" part
ln -sr part/liblockshim.so part/lockshim/lib64
ln -sr part/liblockshim.so part/lockshim/lib
expect "without one for musl the shim itself is preloaded" 0 "LD_PRELOAD=$work/part/liblockshim.so" \
    sh -c "$lockctl run --shim part/liblockshim.so --table table env | grep LD_PRELOAD"
one_line "and a musl program is refused" 126 'start is linked to another C library' \
    "$lockctl" run --shim part/liblockshim.so --scope process --table table ./start
expect "or stood in for" 0 '' "$lockctl" run --shim part/liblockshim.so --table table ./start '! flock -n table.lock true'
expect "also below a shell" 0 '' "$lockctl" run --shim part/liblockshim.so --table table \
    sh -c "flock -n table.lock true && ./start '! flock -n table.lock true'"
finish
