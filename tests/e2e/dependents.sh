#!/bin/bash
# Those for whom the holder waits: they join it (or get EDEADLK, under `wait`); they exclude one
# another; strangers wait for them too. Who is not waited for waits like a stranger.
# shellcheck disable=SC2016
# shellcheck source=tests/e2e/common.sh
. "$(dirname "$(realpath "$0")")/common.sh"
limit=100

# joins NAME COMMAND...: under process and session, the holder's dependents go in, and soon.
joins() {
    local name=$1 scope began
    shift
    for scope in process session; do
        fresh
        began=$(now)
        guard $scope "$@" >out 2>err
        same "$scope: $name" "0 done" "$? $(cat T/done 2>/dev/null)"
        below "$scope: $name: without waiting" 5 "$(since "$began")"
        check "$scope: $name: free afterwards" is_free
    done
}
inner="$act 'cat T/n' 'put T/done done'"
joins "a shell's child" sh -c "exec 3<T/n; $inner"
joins "a grandchild" sh -c "exec 3<T/n; sh -c \"$inner; true\"; true"
joins "a pipe from a child" sh -c "exec 3<T/n; $inner | cat"
joins "command substitution" sh -c "exec 3<T/n; x=\$($inner); true"
joins "system" perl -e "open(F, '<', 'T/n'); system(qq{$inner})"
joins "popen" perl -e "open(F, '<', 'T/n'); open(P, '-|', qq{$inner}); my @l = <P>; close(P)"
joins "xargs" sh -c "exec 3<T/n; echo x | xargs -I{} $act 'cat T/n' 'put T/done done'"
joins "xargs -P" sh -c "exec 3<T/n; echo | xargs -P 3 -n 1 $act 'cat T/n' 'put T/done done'"
printf 'all:\n\t@%s\n' "$inner" >"$work.mk"
trap 'rm -f "$work.mk" "$work.py"; clean_up' EXIT
joins "make" sh -c "exec 3<T/n; make -s -f $work.mk"
joins "make -j" sh -c "exec 3<T/n; make -s -j3 -f $work.mk"
joins "make that holds" bash -c 'exec 3<T/n; exec make -s -f '"$work.mk"
joins "make -j that holds" bash -c 'exec 3<T/n; exec make -s -j3 -f '"$work.mk"
for call in "subprocess.run(c)" "subprocess.run(c, capture_output=True)" "os.system(shlex.join(c))" \
    "os.popen(shlex.join(c)).read()" "subprocess.Popen(c, stdin=-1).communicate(b'x')" \
    "os.posix_spawn(c[0], c, os.environ); os.wait()" "subprocess.check_output(c, text=True)" \
    "signal.pthread_sigmask(0, [17]); p = subprocess.Popen(c); signal.sigwait([17]); p.wait()" \
    "signal.signal(17, print); signal.signal(14, print); p = subprocess.Popen(c); [signal.pause() for _ in iter(lambda: (signal.alarm(1), p.poll())[1], 0)]"; do
    joins "python: $call" "$python" -c "
import os, shlex, signal, subprocess
held = open('T/n')
c = ['$act', 'cat T/n', 'put T/done done']
$call"
done

# Who may not see what the holder waits in still learns that it waits for it: the holder tells of one
# child, and where another thread may wait for somebody else any is meant.
may_be_others=
if [ "$(id -u)" = 0 ] && setpriv --reuid=65534 --clear-groups true 2>/dev/null; then
    may_be_others=yes
else
    skip "children of another user: not root, or no setpriv here"
fi
for call in ${may_be_others:+"subprocess.run(c)" "subprocess.check_output(c)" "os.system(shlex.join(c))" \
    "p = subprocess.Popen(c); os.waitid(os.P_PID, p.pid, os.WEXITED)" \
    "subprocess.run(['true']); os.system(shlex.join(c))" \
    "s = sleeps(); threading.Thread(target=s.wait).start(); time.sleep(0.1); subprocess.check_output(c); s.kill()" \
    "s = sleeps(); threading.Thread(target=s.wait).start(); time.sleep(0.1); subprocess.run(c); s.kill()"}; do
    joins "python, another user's child: $call" "$python" -c "
import os, shlex, subprocess, threading, time
for path, mode in ('.', 0o755), ('T', 0o777), ('T/n', 0o666): os.chmod(path, mode)
held = open('T/n')
c = ['setpriv', '--reuid=65534', '--clear-groups', '$act', 'cat T/n', 'put T/done done']
def sleeps(): return subprocess.Popen(['sleep', '60'])
$call"
done

# Those who wait for a child without waiting in wait(): they ask again and again, or for its pidfd.
for call in "subprocess.run(c, timeout=60)" "
while p().poll() is None: time.sleep(0.02)" "
p()
while os.waitpid(-1, os.WNOHANG)[0] == 0: select.select([], [], [], 0.02)" "
while os.waitid(os.P_PID, p().pid, os.WEXITED | os.WNOHANG) is None: time.sleep(0.02)" "
q = subprocess.Popen(['sleep', '1'])
while None in [x.poll() for x in (p(), q)]: time.sleep(0.02)" \
    "s = select.poll(); s.register(os.pidfd_open(p().pid)); s.poll()" \
    "s = select.epoll(); s.register(os.pidfd_open(p().pid)); s.poll(60)" \
    "signal.signal(17, lambda *_: os._exit(0)); p(); select.select([os.pipe()[0]], [], [])"; do
    joins "python: ${call//$'\n'/ }" "$python" -c "
import functools, os, select, signal, subprocess, time
held = open('T/n')
c = ['$act', 'cat T/n', 'put T/done done']
p = functools.lru_cache(lambda: subprocess.Popen(c))
$call"
done
joins "perl: waitpid with WNOHANG" perl -e "use POSIX ':sys_wait_h'; open(F, '<', 'T/n'); my \$c = fork;
    exec qq{$inner} unless \$c; select(undef, undef, undef, 0.02) while waitpid(\$c, WNOHANG) == 0"
echo "import subprocess; subprocess.run(['$act', 'cat T/n', 'put T/done done'], timeout=60)" >"$work.py"
joins "below a shell that waits for one that asks" sh -c "exec 3<T/n; $python $work.py; true"
sed -i '1iheld = open("T/n")' "$work.py"
joins "behind one that has joined, and asks" sh -c "exec 3<T/n; $python $work.py; true"
node=$(command -v node) || skip "node: there is none"
for call in "spawn('sh', ['-c', c], {stdio: 'inherit'}).on('exit', end)" \
    "spawn('sh', ['-c', c], {stdio: 'ignore'}).on('exit', end)" "exec(c, end)" \
    "execSync(c, {stdio: 'inherit'}), end()"; do
    [ -z "$node" ] || joins "node: $call" "$node" -e "
        const fs = require('fs'), held = fs.openSync('T/n'), end = () => fs.closeSync(held),
            c = \`$inner\`;
        require('child_process').$call"
done

# … or for a semaphore, an event or a barrier in memory that they share.
cat >"$work.py" <<'END'
import multiprocessing as m, sys

def put():
    with open('T/done', 'w') as file:
        file.write('done')

def put_and(tell):
    put()
    tell()

def served(queue):
    queue.get()
    put()
    queue.task_done()

def event():
    told = m.Event()
    m.Process(target=put_and, args=(told.set,)).start()
    told.wait()

def semaphore():
    told = m.Semaphore(0)
    m.Process(target=put_and, args=(told.release,)).start()
    told.acquire()

def barrier():
    told = m.Barrier(2)
    m.Process(target=put_and, args=(told.wait,)).start()
    told.wait()

def queue():
    tasks = m.JoinableQueue()
    m.Process(target=served, args=(tasks,), daemon=True).start()
    tasks.put(1)
    tasks.join()

held = open('T/n')
globals()[sys.argv[1]]()
END
for way in event semaphore barrier queue; do
    joins "python: $way" "$python" "$work.py" $way
done
# … while another thread of the holder is never at rest.
sed -i 's/^held = .*/&\nimport threading, time\nthreading.Thread(target=lambda: [time.sleep(0.02) for _ in iter(int, 1)], daemon=True).start()/' "$work.py"
joins "python: event, beside a thread that does something else" "$python" "$work.py" event
adding="
def add(pause):
    with open('T/n', 'r+') as file:
        number = int(file.read())
        pause()
        file.seek(0)
        file.write(str(number + 1))
"
# Workers of a pool that wait for their next task, under `process` with the lock that they have had.
{ echo "$adding" && cat; } >"$work.py" <<'END'
import multiprocessing, sys, time

def add_one(number):
    add(lambda: time.sleep(0.01))

if sys.argv[3:]:
    held = open('T/n')
with multiprocessing.Pool(int(sys.argv[1])) as pool:
    pool.map(add_one, range(int(sys.argv[2])), chunksize=1)
END
for scope in process session; do
    fresh
    guard $scope "$python" "$work.py" 4 12
    same "$scope: a pool's workers go on, one by one" "0 12" "$? $(cat T/n)"
    fresh
    guard $scope "$python" "$work.py" 16 64 held
    same "$scope: sixteen workers, and their parent holds it" "0 64" "$? $(cat T/n)"
done

# A parent that sleeps in the middle of what it does waits for nobody, though it has asked about its
# children, as each start of another one does, or would hear of their end; nor does one that waits for a
# lock in shared memory that somebody else lets go of in a moment, or for another child.
{ echo "$adding" && cat; } >"$work.py" <<'END'
import multiprocessing, os, select, signal, subprocess, sys, time

def begin_and_sleep():
    for child in children:
        child.start()
    for _ in range(3):
        [child.is_alive() for child in children]
        time.sleep(0.005)
    time.sleep(0.4)

def begin_and_select():
    signal.signal(signal.SIGCHLD, lambda *_: None)
    for child in children:
        child.start()
    select.select([], [], [], 0.4)

def begin_and_alarm():
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGALRM, lambda *_: 1 / 0)
    for child in children:
        child.start()
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    try:
        select.select([], [], [])
    except ZeroDivisionError:
        pass

def begin_and_lock():
    multiprocessing.Process(target=keep, args=(lock, kept)).start()
    kept.wait()
    for child in children:
        child.start()
    with lock:
        pass

def begin_and_wait(wait):
    if user:  # whom it waits for in vfork() such a one can't see
        other = subprocess.Popen(['sleep', '0.3'])
    for child in children:
        child.start()
    if not user:
        other = subprocess.Popen(['sleep', '0.1'])
    wait(other)

def begin_and_waitpid():
    begin_and_wait(lambda other: os.waitpid(other.pid, 0))

def begin_and_waitid():
    begin_and_wait(lambda other: os.waitid(os.P_PID, other.pid, os.WEXITED))

def begin_and_pidfd():
    begin_and_wait(lambda other: os.waitid(os.P_PIDFD, os.pidfd_open(other.pid), os.WEXITED))

def keep(lock, kept):
    with lock:
        kept.set()
        time.sleep(0.1)

lock, kept = multiprocessing.Lock(), multiprocessing.Event()
def add_as(user):
    if user:
        os.setgroups([])
        os.setresuid(user, user, user)
    add(lambda: time.sleep(0.005))

user = int(sys.argv[2]) if len(sys.argv) > 2 else 0
children = [multiprocessing.Process(target=add_as, args=(user,)) for _ in range(5)]
add({'sleep': begin_and_sleep, 'select': begin_and_select, 'alarm': begin_and_alarm, 'lock': begin_and_lock,
     'waitpid': begin_and_waitpid, 'waitid': begin_and_waitid, 'pidfd': begin_and_pidfd}[sys.argv[1]])
for child in children:
    child.join()
END
for scope in process session; do
    for way in sleep select alarm lock waitpid waitid pidfd; do
        fresh
        guard $scope "$python" "$work.py" $way
        same "$scope: a parent in its $way is not gone past" "0 6" "$? $(cat T/n)"
    done
    # Who may not see in which system call it is goes by what it tells of itself.
    for way in ${may_be_others:+waitpid waitid}; do
        fresh
        chmod 755 "$work"
        chmod -R a+rwX T
        guard $scope "$python" "$work.py" "$way" 65534
        same "$scope: a parent in its $way is not gone past by another user's" "0 6" "$? $(cat T/n)"
    done
done

# Nor is one who waits for a message that is about to come, by those who have merely inherited the other
# end of the pipe.
{ echo "$adding" && cat; } >"$work.py" <<'END'
import multiprocessing, time

def begin():
    begun.set()
    here.recv()

here, there = multiprocessing.Pipe()
begun = multiprocessing.Event()
first = multiprocessing.Process(target=add, args=(begin,))
others = [multiprocessing.Process(target=add, args=(lambda: time.sleep(0.005),)) for _ in range(5)]
first.start()
begun.wait()
for other in others:
    other.start()
time.sleep(0.1)
there.send('go on')
for process in others + [first]:
    process.join()
END
for scope in process session; do
    fresh
    guard $scope "$python" "$work.py"
    same "$scope: one who waits for a message is not gone past" "0 6" "$? $(cat T/n)"
done

# Pipelines: both ends touch.
for scope in process session; do
    fresh
    seq 20000 | shuf >T/a
    guard $scope sh -c 'sort T/a | tee T/b >/dev/null'
    same "$scope: sort T/a | tee T/b" "0 20000" "$? $(wc -l <T/b)"
    fresh
    mkdir T/d
    (cd T/d && seq 3000 | xargs touch)
    guard $scope sh -c 'find T/d -type f | xargs rm'
    same "$scope: find T | xargs rm" "0 0" "$? $(find T/d -type f | wc -l)"
    through=0
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12; do
        guard $scope sh -c 'cat T/n T/n | cat - T/n | sort - T/n | tee T/out >/dev/null' || break
        [ "$(wc -l <T/out)" = 4 ] && through=$((through + 1))
    done
    same "$scope: a longer pipeline, twelve times" 12 $through
done

# A server behind a Unix socket, on whose answer the holder is blocked, as a key agent.
cat >"$work.py" <<'END'
import os, socket, sys
if sys.argv[1] == 'serve':
    server = socket.socket(socket.AF_UNIX)
    server.bind('socket.new')
    server.listen()
    os.rename('socket.new', 'socket')  # who sees it can connect
    while True:
        client, _ = server.accept()
        word = client.recv(10)
        open('T/keys', 'a').write('key\n')
        client.send(b'made')
        client.close()
else:
    held = open('T/n')
    client = socket.socket(socket.AF_UNIX)
    client.connect('socket')
    client.send(b'make')
    print(client.recv(10).decode())
END
for scope in process session; do
    fresh
    limit=200 guard session "$python" "$work.py" serve &
    server=$!
    soon test -S socket
    same "$scope: the server of a holder" made "$(guard $scope "$python" "$work.py" ask)"
    same "$scope: again" made "$(guard $scope "$python" "$work.py" ask)"
    kill $server
    wait
    same "$scope: it has written" 2 "$(wc -l <T/keys)"
done

# Those who joined exclude one another, and nothing of theirs is lost.
for scope in process session; do
    fresh
    guard $scope sh -c "exec 3<T/n; for i in 1 2 3 4 5 6; do $act 'add 50 T/n' & done; wait"
    same "$scope: six who joined lose nothing" 300 "$(cat T/n)"
    fresh
    guard $scope sh -c "exec 3<T/n; seq 12 | xargs -P 6 -I{} $act 'add 30 T/n'"
    same "$scope: xargs -P: nothing is lost" 360 "$(cat T/n)"
    # The holder waits for any of them, and goes on for a moment each time that one ends.
    fresh
    began=$(now)
    guard $scope sh -c "exec 3<T/n; for i in \$(seq 50); do $act 'add 1 T/n' & done; wait"
    same "$scope: fifty who joined at once" 50 "$(cat T/n)"
    below "$scope: fifty who joined at once: soon" 20 "$(since "$began")"
done

# The holder ends while one who joined is inside: strangers wait for that one.
fresh
guard process "$act" "cat T/n" fork exec "$act" "open 0 T/n rw" "mark 1" "await 1+" &
holder=$!
wait $holder 2>/dev/null
at 1
check "a child that nobody waits for waits like a stranger, then enters" is_held
go 1
fresh
guard process perl -e 'open(F, ">", "pid"); print F $$; open(F, "<", "T/n"); my $c = fork();
    if (!$c) { exec(@ARGV); } $SIG{ALRM} = sub { exit 0 }; waitpid($c, 0)' "$act" "open 0 T/n rw" "mark 1" "await 1+" &
holder=$!
at 1
kill -ALRM "$(cat pid)"
wait $holder
check "the holder has ended, for the kernel the lock is free" is_free
for scope in process session; do
    guard $scope "$act" "cat T/n" "mark 2-$scope" &
done
guard session "$act" "put U/n 1" "cat T/n" "cat T/n" "mark 2-again" &
sleep 0.3
same "guarded strangers wait for the one who joined" "" "$(find . -name '2-*')"
go 1
at 2-process
at 2-session
at 2-again
ok "and enter when it is out"
wait

# Who reads together with others is joined by its child only when the others are out: guarded ones,
# whole commands, and flock(1).
with_reader() { # NAME COMMAND...: the other reader, which stands inside at stage 1
    local name=$1
    shift
    "$@" &
    at 1
    "${joining[@]}" "$act" "put T/n child" "mark 2" &
    sleep 0.5
    refute "$name: the child does not write while another reads" test -e 2
    go 1
    at 2
    ok "$name: but then"
    wait
}
reads=("$act" "open 0 T/n r" "mark 1" "await 1+" "close 0")
for scope in process session; do
    joining=(guard "$scope" env LOCKSHIM_SHARED=1
        perl -e 'open(H, "<", "T/n"); system("env", "-u", "LOCKSHIM_SHARED", @ARGV)')
    fresh
    with_reader "$scope, shared" guard $scope env LOCKSHIM_SHARED=1 "${reads[@]}"
    fresh
    options=--shared with_reader "$scope, a shared command" run "${reads[@]}"
    fresh
    with_reader "$scope, flock -s" within flock -s T.lock "${reads[@]}"
done

# --dependents wait.
export LOCKSHIM_DEPENDENTS=wait
for scope in process session; do
    fresh
    began=$(now)
    same "$scope, wait: EDEADLK where the holder waits" "cat T/n: EDEADLK" \
        "$(guard $scope sh -c "exec 3<T/n; $act 'cat T/n'; true" 2>/dev/null)"
    below "$scope, wait: at once" 3 "$(since "$began")"
    same "$scope, wait: through a pipe" "cat T/n: EDEADLK" \
        "$(guard $scope sh -c "exec 3<T/n; $act 'cat T/n' | cat; true" 2>/dev/null)"
done
unset LOCKSHIM_DEPENDENTS

# A holder that does not wait for the other: that one waits, and is not let in.
fresh
guard process sh -c "read -r n <T/n; $act 'cat T/n' 'mark 2' & : >1; while [ ! -e 1+ ]; do :; done" &
at 1
sleep 0.3
refute "a child of a holder that works is not let in" test -e 2
go 1
at 2
ok "but when that has ended"
wait
fresh
guard process "$act" "open 0 T/n rw" fork "put T/done x" end fork "await go" end "vfork 0.5" "mark 1" "await 1+" "mark go" &
at 1
refute "a child is not let in because another one is in its parent's memory" test -e T/done
go 1
soon test -e T/done
wait
for waiting in "signal.pause()" "signal.sigwait([10])"; do
    fresh
    guard process "$python" -c "
import signal, subprocess
held = open('T/n')
signal.signal(10, lambda *_: None)
subprocess.Popen(['$act', 'cat T/n', 'mark 2'])
open('1', 'w').write(str(__import__('os').getpid()))
$waiting" &
    soon test -s 1
    sleep 0.3
    refute "$waiting: who waits for another signal does not wait for its child" test -e 2
    kill -USR1 "$(cat 1)"
    at 2
    ok "$waiting: the child goes on when that has ended"
    wait
done
finish
