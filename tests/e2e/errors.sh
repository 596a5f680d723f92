#!/bin/bash
# What a refused program sees: the errno of each cause, one line on stderr for the first, none where
# stderr is closed or the program's own; and wrong settings, which end it at the start.
# shellcheck disable=SC2016
# shellcheck source=tests/e2e/common.sh
. "$(dirname "$(realpath "$0")")/common.sh"

fresh
flock T.lock sh -c ': >1; while [ ! -e 1+ ]; do sleep 0.02; done' &
at 1
export LOCKSHIM_TIMEOUT=0
all=("open 0 T/n r" "open 0 T/n truncate" "fopen 0 T/n r" "fopen 0 T/n w" "rename T/n T/m" "unlink T/n"
    "remove T/n" "truncate T/n 0" "mkdir T/d" "rmdir T/d" "ask T/n")
said=$(guard process "$act" "${all[@]}" 2>err)
same "EAGAIN from every call" "$(printf '%s: EAGAIN\n' "${all[@]}")" "$said"
same "one line for all" 1 "$(wc -l <err)"
check "it names program's table, lock file and cause" grep -q "^lockshim: $work/T: .*$work/T.lock" err
same "each process has its line" 2 "$(guard process sh -c "$act 'cat T/n'; $act 'cat T/n'" 2>&1 >/dev/null |
    wc -l)"
same "stderr closed: the call fails as ever" "cat T/n: EAGAIN" "$(guard process "$act" "cat T/n" 2>&-)"
# What the program opens as descriptor 2 is its own.
guard process sh -c "exec 2>&-; exec 2>mine; exec $act 'cat T/n'" >/dev/null
same "stderr reopened before exec is the new program's stderr" 1 "$(wc -l <mine)"
guard process "$act" "close-all" "open 0 own create" "open 1 own create" "open 2 own create" \
    "cat T/n" >/dev/null 2>&1
same "descriptor 2 reopened by the program: nothing of ours in its file" 0 "$(grep -c lockshim own)"
guard process "$act" "cat T/n" >/dev/null 2>/dev/full
same "stderr full: no harm" 0 $?
same "errno is kept by calls that succeed" "" "$(guard process "$act" "cat U/n" 2>&1)"
go 1
wait
unset LOCKSHIM_TIMEOUT

fresh
export LOCKSHIM_SHARED=1
said=$(guard process "$act" "put T/n 1" "open 0 T/n truncate" "fopen 0 T/n a" "unlink T/n" \
    "rename T/n T/m" "mkdir T/d" "truncate T/n 0" "cat T/n" 2>err)
same "EROFS for changes under shared, reading goes on" "put T/n 1: EROFS
open 0 T/n truncate: EROFS
fopen 0 T/n a: EROFS
unlink T/n: EROFS
rename T/n T/m: EROFS
mkdir T/d: EROFS
truncate T/n 0: EROFS" "$said"
same "one line" 1 "$(wc -l <err)"
guard process "$act" "cat T/n" "mark 1" "await 1+" &
guard session "$act" "open 0 T/n r" "mark 2" "await 2+" &
at 1
at 2
ok "shared holders do not exclude one another"
check "they exclude others" stays_held
check "but not flock -s" flock -s -n T.lock true
unset LOCKSHIM_SHARED
guard session "$act" "put T/n 1" "mark 3" &
sleep 0.2
refute "a guarded writer waits for both" test -e 3
go 1
sleep 0.1
refute "and for the second" test -e 3
go 2
at 3
wait

# Wrong settings.
for setting in LOCKSHIM_SCOPE=none LOCKSHIM_SCOPE= LOCKSHIM_TIMEOUT=soon LOCKSHIM_TIMEOUT=-1 \
    LOCKSHIM_ON_CRASH=panic LOCKSHIM_DEPENDENTS=x LOCKSHIM_LOST_UPDATE=x LOCKSHIM_SHARED=maybe \
    "LOCKSHIM_TABLES=$work/T color=red" LOCKSHIM_TABLE=/ LOCKSHIM_TABLE= LOCKSHIM_TABLE=/dev/null; do
    env LD_PRELOAD="$shim" LOCKSHIM_TABLE="$work/T" "$setting" "$act" "put T/n 5" >out 2>err
    same "$setting: exit 78, one line" "78 1 0" "$? $(wc -l <err) $(wc -c <out)"
    value=${setting#*=}
    check "$setting: it is named" grep -qF -e "${setting%%=*}" -e "${value##* }" err
done
same "nothing was done" 1 "$(cat T/n)"
mkfifo fifo
"$python" -c "import socket; socket.socket(socket.AF_UNIX).bind('socket')"
for table in fifo socket; do
    env LD_PRELOAD="$shim" LOCKSHIM_TABLE="$work/$table" "$act" "cat T/n" 2>err
    same "a table that is a $table: exit 78, one line" "78 1" "$? $(wc -l <err)"
done
name=$(printf 'a\nb\033[31m')
mkdir "$name" && echo 0 >"$name/n"
same "a table with a newline in its name" "" "$(LD_PRELOAD=$shim LOCKSHIM_TABLE="$work/$name" "$act" \
    "cat $name/n" 2>&1)"
check "its lock file" test -e "$name.lock"
flock "$name.lock" env LD_PRELOAD="$shim" LOCKSHIM_TABLE="$work/$name" LOCKSHIM_TIMEOUT=0 \
    flock -u 3 true 2>/dev/null
flock --no-fork "$name.lock" sleep 60 &
soon is_held "$name.lock"
LD_PRELOAD=$shim LOCKSHIM_TABLE="$work/$name" LOCKSHIM_TIMEOUT=0 "$act" "cat T/n" "ask $name" >out 2>err
same "it is told in one line without control characters" "1 0" "$(wc -l <err) $(grep -c '[[:cntrl:]]' err)"
kill $!
wait $! 2>/dev/null
deep=$work
while [ ${#deep} -lt 3860 ]; do
    deep=$deep/$(printf '%0200d' 0)
    mkdir "$deep"
done
deep=$deep/
while [ ${#deep} -lt 4074 ]; do deep=${deep}x; done
mkdir "$deep"
LD_PRELOAD=$shim LOCKSHIM_TABLE="$deep" "$act" "put $deep/n 1" >out 2>err
same "a table with the longest path that has room for its lock file" "0 " "$? $(cat out)"
LD_PRELOAD=$shim LOCKSHIM_TABLE="${deep}xxxxxxxxxxxxxxxxxxx" "$act" "cat T/n" >out 2>err
same "a path too long: exit 78, one line" "78 1" "$? $(wc -l <err)"
LD_PRELOAD=$shim LOCKSHIM_TABLE="$work/$(printf '%04095d' 0)" "$act" "cat T/n" >out 2>err
same "a longer one: exit 78, one line" "78 1" "$? $(wc -l <err)"
finish
