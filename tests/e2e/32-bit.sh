#!/bin/bash
# Programs of 32 and of 64 bits on one table: each loader takes the shim of its own width, they count
# together and lose nothing, see one another in the registry, and lockctl (64 bits) breaks a 32-bit
# holder's lock as any other's. Where there is no shim of the other width, the lock is taken first.
# shellcheck disable=SC2016,SC2317  # much is for a shell inside
# shellcheck source=tests/e2e/lockctl-common.sh
. "$(dirname "$(realpath "$0")")/lockctl-common.sh"
cc=i686-linux-gnu-gcc
if [ ! -e "$BUILD/i386/liblockshim.so" ] || ! command -v $cc >/dev/null; then
    skip "32-bit programs: no compiler for them (gcc-i686-linux-gnu, libc6-dev-i386-cross)"
    finish
fi
cat >raise.c <<'END'
#include <errno.h>
#include <stdio.h>
#include <string.h>
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
# Holds a file open, with something in the stream's buffer, until it is told to go on.
cat >keep.c <<'END'
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
int main(int count, char **words)
{
    FILE *file = fopen(words[count - 1], "a");
    char byte;
    if (file == NULL || fprintf(file, "late\n") < 0 || puts("holds") < 0 || fflush(stdout) != 0)
        return 1;
    if (read(0, &byte, 1) < 0)
        return 1;
    fclose(file);
    file = fopen(words[count - 1], "a");
    puts(file == NULL ? strerror(errno) : "opened");
    return 0;
}
END
cat >start.c <<'END'
#include <stdlib.h>
int main(int count, char **words) { return count > 1 && system(words[1]) != 0; }
END
# The sister that clears the environment before it executes a program.
cat >bare.c <<'END'
#include <unistd.h>
int main(int count, char **words)
{
    char *none[] = {NULL};
    (void)count;
    execve(words[1], words + 1, none);
    return 127;
}
END
# Touches, then waits for a child.
cat >parent-start.c <<'END'
#include <fcntl.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>
int main(int count, char **words)
{
    int status = 1;
    if (count < 2 || open("table/n", O_RDONLY) < 0)
        return 1;
    if (fork() == 0) {
        execl(words[1], words[1], "table/n", (char *)NULL);
        _exit(127);
    }
    wait(&status);
    return status != 0;
}
END
for name in raise keep start bare parent-start; do
    $cc -O1 -Wall $name.c -o $name || not_ok "a 32-bit program is built"
    gcc -O1 -Wall $name.c -o $name-64 || not_ok "a 64-bit program is built"
done
$cc -O1 -D_FILE_OFFSET_BITS=64 -D_TIME_BITS=64 raise.c -o raise-time64 || not_ok "one with 64-bit times is built"
./start 2>/dev/null
if [ $? = 126 ] || [ $? = 127 ]; then
    skip "32-bit programs: they don't run here (libc6-i386)"
    finish
fi
run() { "$lockctl" run --table table "$@"; }

: >said
for scope in command process; do
    echo 0 >table/n
    for ((i = 0; i < 10; i++)); do
        for program in raise raise-64 raise-time64; do
            run --scope $scope ./$program table/n >>said 2>&1 &
        done
    done
    wait
    check "32 and 64 bits count together, scope $scope" test "$(cat table/n)" = 30
done
echo 0 >table/n
expect "below a 64-bit shell" 0 '' run sh -c './raise table/n && ./raise-64 table/n'
expect "a 64-bit program below a 32-bit one" 0 '' run ./start 'n=$(cat table/n); ./raise table/n; [ $((n + 1)) = "$(cat table/n)" ]'
expect "the count" 0 3 cat table/n
check "nothing is said on the way" test ! -s said
expect "the lock is free before a 32-bit program touches" 0 '' run ./start 'flock -n table.lock true'
expect "a 64-bit program without the preload is out of a 32-bit one's reach: the lock is taken" 0 '' \
    run ./bare "$(command -v sh)" -c '! flock -n table.lock true'

# A holder that waits for its child lets it in, whichever is the wider; so does one that waits at a pipe.
for pair in 'start raise-64' 'start-64 raise' 'start raise'; do
    first=${pair% *} second=${pair#* }
    echo 0 >table/n
    expect "$first under process waits for its child $second" 0 '' \
        run --scope process --timeout 20 ./parent-"$first" ./"$second"
    expect "which has counted" 0 1 cat table/n
done

# They see one another: who waits, and for whom. Both ways.
echo 3 >table/n
n=3
for pair in 'keep raise-64' 'keep-64 raise'; do
    holder=${pair% *} waiter=${pair#* }
    mkfifo go
    run --scope process ./"$holder" table/log <go >"$holder.said" &
    exec 7>go
    until grep -q holds "$holder.said" 2>/dev/null; do sleep 0.01; done
    run --scope process ./"$waiter" table/n &
    until [ "$("$lockctl" waiters -nr -o PID table | wc -l)" = 1 ]; do sleep 0.01; done
    expect "$waiter waits behind $holder" 0 '' sh -c "$lockctl holders --tree table | grep -q 'waits .*$waiter '"
    echo >&7
    exec 7>&-
    wait
    check "$waiter has got it then" test "$(cat table/n)" = $((++n))
    rm go
    expect "$holder went on undisturbed" 0 'holds
opened' cat "$holder.said"
done
rm -f table/log

# A break: the holder's next call fails, and what it had buffered does not come to the table.
mkfifo go
run --scope process ./keep table/log <go >keep.said 2>keep.errors &
exec 7>go
until grep -q holds keep.said 2>/dev/null; do sleep 0.01; done
pid=$("$lockctl" holders -nr -o PID table)
kill -STOP "$pid"
until [ "$(ps -o stat= -p "$pid" | cut -c1)" = T ]; do sleep 0.01; done
check "the lock of a stopped 32-bit holder is stopped" test "$("$lockctl" status -nr -o VERDICT table)" = stopped
"$lockctl" break table >break.said 2>&1
check "and is broken" test $? = 0
check "with its fence" grep -q 'is broken' break.said
expect "others get it" 0 '' run --timeout 0 ./raise table/n
kill -CONT "$pid"
echo >&7
exec 7>&-
wait
expect "its next call fails" 0 'holds
Stale file handle' cat keep.said
check "its late output is not in the table" sh -c '! grep -q late table/log'

# Under rollback, by a 32-bit program that dies, undone by a 64-bit one; and the other way.
echo before >table/n
for pair in 'start start-64' 'start-64 start'; do
    first=${pair% *} second=${pair#* }
    cat >die.c <<'END'
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>
int main(void)
{
    int file = open("table/n", O_WRONLY | O_TRUNC);
    (void)!write(file, "half", 4);
    unlink("table/other");
    return raise(SIGKILL);
}
END
    case $first in *-64) gcc die.c -o die ;; *) $cc die.c -o die ;; esac
    touch -d '2001-02-03 04:05:06.789' table/n
    echo other >table/other
    run --scope process --on-crash rollback ./die 2>/dev/null
    expect "what $first's sister left is undone for $second" 0 'before
other' run --scope process --on-crash rollback ./"$second" 'cat table/n table/other'
    expect "with its time" 0 '2001-02-03 04:05:06.789' sh -c "date -r table/n '+%F %T.%3N'"
done

# Without a shim for 32 bits they are refused, or stood in for.
mkdir -p part/lockshim/lib64 part/lockshim/lib 'part/lockshim/$LIB'
cp "$BUILD/liblockshim.so" part
ln -sr part/liblockshim.so part/lockshim/lib64
ln -sr part/liblockshim.so part/lockshim/lib
cp "$BUILD/liblockshim.so" 'part/lockshim/$LIB'
one_line "without one for 32 bits such a program is refused" 126 'another architecture or word size' \
    "$lockctl" run --shim part/liblockshim.so --scope process --table table ./start
# Its loader says that it ignores the other's; what 64-bit programs it starts it is there for.
check "or stood in for" "$lockctl" run --shim part/liblockshim.so --table table ./start '! flock -n table.lock true'
# What lies in lib is no shim for 32 bits, whatever the loader would take from there.
mkdir -p part/lockshim/lib32
cp "$BUILD/liblockshim.so" part/lockshim/lib32
one_line "a library of the wrong width is none" 126 'another architecture or word size' \
    "$lockctl" run --shim part/liblockshim.so --scope process --table table ./start
finish
