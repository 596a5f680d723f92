#!/usr/bin/env python3
"""Breaks holders that are Python programs, in states that are hard to break: orphaned through several
children, forking and executing all the time, traced by somebody else, with thousands of descriptors,
with files that can't be put on fresh inodes. Where break says that it has freed the lock, nothing of
theirs may change the table any more, while another one has it; where it refuses, they go on unharmed."""
import contextlib
import ctypes
import fcntl
import json
import os
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time

BUILD = os.path.realpath(os.environ.get("BUILD", "build"))
LOCKCTL, SHIM = BUILD + "/lockctl", BUILD + "/liblockshim.so"
PYTHON = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable
RACES = int(os.environ.get("SCENE_RACES", "8"))  # breaks of holders that fork or execute all the time
SETTLINGS = int(os.environ.get("SCENE_SETTLINGS", "12"))  # breaks at different moments of a rollback
F_OFD_SETLK = 37
SYS_PIDFD_GETFD = 438
BREAK_OFFSET = (1 << 61) + 2 * 32  # LOCK_BREAK_OFFSET of shim/lock/lock.h
GUARDED = ["session", "process", "command"]

# What every holder begins with: its table is T; steady() does something again and again, to the end.
PRELUDE = """
import ctypes, fcntl, mmap, os, random, resource, signal, socket, sys, time
T = sys.argv[1]
TEXT = open("/proc/self/cmdline").read().split("\\0")[2]
def up():
    if len(sys.argv) < 3:
        print("up", flush=True)
def lock():
    descriptor = os.open(T + ".lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return descriptor
def write(name):
    return open(T + "/" + name, "wb", buffering=0)
def steady(act):
    while True:
        try:
            act()
        except OSError:
            pass
        time.sleep(0.002)
def scribble(*files):
    def act():
        for file in files:
            try:
                file.write(b"X")
            except OSError:
                pass
    up()
    steady(act)
"""

passed = failed = skipped = 0
work = tempfile.mkdtemp(prefix="lockshim-test-")
started = []


def report(well, name, details=""):
    global passed, failed
    passed, failed = passed + well, failed + (not well)
    print(("ok " if well else "not ok ") + name)
    if not well:
        print("    " + str(details).strip().replace("\n", "\n    "))


def skip(name):
    global skipped
    skipped += 1
    print("skip " + name)


def environment(**more):
    kept = {k: v for k, v in os.environ.items() if not k.startswith("LOCKSHIM_") and k != "LD_PRELOAD"}
    return dict(kept, **more)


def fresh(name="T"):
    table = os.path.join(tempfile.mkdtemp(dir=work), name)
    os.mkdir(table)
    with open(table + "/n", "w", encoding="utf-8") as file:
        file.write("0")
    return table


def options(settings):
    """LOCKSHIM_ON_CRASH="rollback" and the like, as lockctl run says it."""
    return [word for name, value in settings.items()
            for word in ("--" + name.removeprefix("LOCKSHIM_").lower().replace("_", "-"), value)]


def hold(scope, text, table, **settings):
    """A holder in a session of its own, when it says that it is up."""
    words, around = [PYTHON, "-c", PRELUDE + text, table], environment()
    if scope == "command":
        words = [LOCKCTL, "run", "--table", table, *options(settings), "--"] + words
    elif scope == "unguarded":
        words = ["flock", "-F", table + ".lock"] + words
    elif scope != "bare":
        around.update(LD_PRELOAD=SHIM, LOCKSHIM_TABLE=table, LOCKSHIM_SCOPE=scope, **settings)
    holder = subprocess.Popen(words, env=around, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              start_new_session=True)
    started.append(holder)
    if holder.stdout.readline() != "up\n":
        raise SystemExit("not ok a holder has not started\n    " + holder.stderr.read())
    return holder


def end(holder):
    for process in subprocess.run(["pgrep", "-s", str(holder.pid)], capture_output=True, text=True,
                                  check=False).stdout.split() + [holder.pid]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(process), signal.SIGKILL)
    holder.wait()


def stop(holder):
    os.killpg(holder.pid, signal.SIGSTOP)
    for _ in range(500):
        with open("/proc/%d/stat" % holder.pid, encoding="utf-8") as file:
            if file.read().rsplit(")", 1)[1].split()[0] == "T":
                return
        time.sleep(0.01)


def wait_for(condition):
    for _ in range(500):
        with contextlib.suppress(OSError):
            if condition():
                return True
        time.sleep(0.01)
    return False


def break_lock(*words, before=()):
    done = subprocess.run([*before, LOCKCTL, "break", *words], capture_output=True, text=True, check=False,
                          env=environment(), timeout=120)
    done.said = done.stdout + done.stderr
    return done


def contents(table):
    found = {}
    for directory, _, names in os.walk(table):
        for name in names:
            path = os.path.join(directory, name)
            status = os.lstat(path)
            with contextlib.suppress(OSError):
                found[path] = (status.st_ino, status.st_mode, open(path, "rb").read()
                               if os.path.isfile(path) and not os.path.islink(path) else None)
    return found


def is_free(table):
    return subprocess.run(["flock", "-n", table + ".lock", "true"], check=False).returncode == 0


def frees(name, done, table, count=None):
    """The lock is free, nothing changes any more, and so many files are on fresh inodes."""
    before = contents(table)
    time.sleep(0.1)
    after = contents(table)
    changed = [path for path in before.keys() | after.keys() if before.get(path) != after.get(path)]
    well = "\nfreed" in done.said and not changed and is_free(table)
    if count is not None:
        well = well and "; %d file" % count in done.said
    report(well, name, done.said + "changed: %s" % changed)


def refuses(name, done, status, text):
    report(done.returncode == status and re.search(text, done.said) is not None, name,
           "status %d, wanted %d and '%s'\n%s" % (done.returncode, status, text, done.said))


# --- orphaned ---

def orphaned():
    table = fresh()
    holder = hold("bare", """
lock()
for i in range(3):
    if os.fork() == 0:
        if i == 1:
            os.setsid()
        if i == 2:
            os.kill(os.getpid(), signal.SIGSTOP)
        file = write("f%d" % i)
        if i == 0:
            up()
        steady(lambda: file.write(b"X"))
os._exit(0)
""", table)
    time.sleep(0.2)
    frees("orphaned, kept by three children, one in another session, one stopped", break_lock(table), table, 2)
    for process in subprocess.run(["pgrep", "-f", table], capture_output=True, text=True,
                                  check=False).stdout.split():
        os.kill(int(process), signal.SIGKILL)
    end(holder)


# --- what it has open ---

def files():
    for scope in ("session", "unguarded"):
        table = fresh()
        holder = hold(scope, """
os.makedirs(T + "/a/b/c")
files = [write(name) for name in ("a/b/c/deep", "top", "gone", "old", "linked")]
os.unlink(T + "/gone")
os.rename(T + "/old", T + "/a/new")
os.link(T + "/linked", T + "/a/linked")
os.link(T + "/linked", T + "-outside")
maps = []
for name in ("a/b/c/deep", "top", "a/new", "linked"):
    with open(T + "/" + name, "r+b") as file:
        file.truncate(4096)
        maps.append(mmap.mmap(file.fileno(), 4096))
def act():
    for map in maps:
        map[random.randrange(4096)] = 88
    for file in files:
        file.write(b"X")
up()
steady(act)
""", table)
        frees(scope + ": in subdirectories, renamed, linked, mapped", break_lock("--force", table), table, 4)
        report(os.stat(table + "/linked").st_ino == os.stat(table + "/a/linked").st_ino !=
               os.stat(table + "-outside").st_ino, scope + ": links within the table go on together")
        end(holder)
        table = fresh()
        holder = hold(scope, """
os.mkfifo(T + "/fifo")
held = os.open(T + "/fifo", os.O_RDWR)
server = socket.socket(socket.AF_UNIX)
server.bind(T + "/socket")
os.symlink("w", T + "/symlink")
scribble(write("w"))
""", table)
        kinds = {n: os.lstat(table + "/" + n).st_mode for n in ("fifo", "socket", "symlink")}
        frees(scope + ": a fifo, a socket and a symlink in the table", break_lock("--force", table), table, 1)
        report(kinds == {n: os.lstat(table + "/" + n).st_mode for n in kinds}, scope + ": are what they were")
        end(holder)
    table = fresh()
    holder = hold("unguarded", """
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 6000), hard))
scribble(*[write("f%d" % i) for i in range(min(hard - 100, 5000))])
""", table)
    frees("thousands of files", break_lock("--force", table), table, len(os.listdir(table)) - 1)
    end(holder)


@contextlib.contextmanager
def mounted(*words):
    where = words[-1]
    done = subprocess.run(["mount", *words], capture_output=True, check=False)
    try:
        yield done.returncode == 0
    finally:
        if done.returncode == 0:
            subprocess.run(["umount", "-l", where], check=False)


def cannot_copy(scope, text, table, why, count):
    holder = hold(scope, text, table)
    stop(holder)
    refuses("%s: %s: refused" % (scope, why), break_lock(table), 4, "file 'w' of the table: " + why)
    names = sorted(os.listdir(table))
    os.killpg(holder.pid, signal.SIGCONT)
    time.sleep(0.05)
    before = contents(table)[table + "/w"]
    time.sleep(0.1)
    report(not is_free(table) and (count == 0 or contents(table)[table + "/w"] != before),
           "%s: %s: the holder goes on" % (scope, why), before)
    report(not [n for n in names if n.startswith(".lockctl")], "%s: %s: nothing is left" % (scope, why), names)
    done = break_lock("--force", table)
    report("not promised" in done.said and is_free(table) and "; %d file" % count in done.said,
           "%s: %s: forced, the others are kept out" % (scope, why), done.said)
    end(holder)


def no_room():
    for scope in ("session", "unguarded"):
        where = tempfile.mkdtemp(dir=work)
        with mounted("-t", "tmpfs", "-o", "size=1m", "lockshim-test", where) as there:
            if not there:
                return skip("a full file system: none can be mounted here")
            table = where + "/T"
            os.mkdir(table)
            cannot_copy(scope, """
large, small = write("w"), write("small")
large.write(bytes(700000))
up()
steady(lambda: os.pwrite(large.fileno(), str(time.time()).encode(), 0))
""", table, "No space left on device", 1)
            table = where + "/R"
            os.mkdir(table)
            holder = hold(scope, "file = write('w')\nup()\nsteady(lambda: None)\n", table)
            with mounted("--bind", table, table) as bound:
                subprocess.run(["mount", "-o", "remount,bind,ro", table], check=bound)
                stop(holder)
                refuses(scope + ": read-only by now: refused", break_lock(table), 4,
                        "file 'w' of the table: Read-only file system")
                end(holder)
    return None


# --- others that take part ---

def traced():
    for scope in ("unguarded", "session"):
        table = fresh()
        holder = hold(scope, "scribble(write('w'))\n", table)
        tracer = subprocess.Popen([PYTHON, "-c", """
import ctypes, sys, time
print(ctypes.CDLL(None).ptrace(0x4206, int(sys.argv[1]), 0, 0), flush=True) # PTRACE_SEIZE
time.sleep(100)
""", str(holder.pid)], stdout=subprocess.PIPE, text=True)
        started.append(tracer)
        if tracer.stdout.readline() != "0\n":
            skip(scope + ", traced by another: may not be")
        elif scope == "session":
            frees("guarded, traced by another", break_lock("--force", table), table, 1)
        else:
            refuses("unguarded, traced by another: refused", break_lock("--stuck-after=0", table), 4,
                    "healthy|process %d traces it" % tracer.pid)
            done = break_lock("--force", table)
            frees("unguarded, traced by another, forced", done, table, 1)
            report("process %d traces it" % tracer.pid in done.said, "it is told by whom", done.said)
        tracer.kill()
        tracer.wait()
        end(holder)


def elsewhere():
    table = fresh()
    holder = hold("session", "scribble(write('w'))\n", table)
    inside = ["unshare", "--pid", "--fork", "--mount-proc"]
    if subprocess.run([*inside, "true"], capture_output=True, check=False).returncode != 0:
        skip("from within another PID namespace: none can be made here")
    else:
        refuses("from within another PID namespace: refused", break_lock("--force", table, before=inside), 4,
                "not visible from here")
        report(not is_free(table), "from within another PID namespace: still held")
    end(holder)


def by_mapping():
    """No descriptor has the lock, so it can't be taken over: then nothing is touched without it."""
    table = fresh()
    died = subprocess.run([PYTHON, "-c", "import os, sys; open(sys.argv[1] + '/n', 'w').write('1'); os.abort()", table],
                          env=environment(LD_PRELOAD=SHIM, LOCKSHIM_TABLE=table, LOCKSHIM_SCOPE="process",
                                          LOCKSHIM_ON_CRASH="rollback"), check=False)
    report(died.returncode == -signal.SIGABRT and os.path.exists(table + ".lock.undo"), "there is something to undo")
    holder = hold("bare", """
descriptor = lock()
libc = ctypes.CDLL(None)
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + 3 * [ctypes.c_int] + [ctypes.c_long]
os.ftruncate(descriptor, 4096)
libc.mmap(None, 4096, mmap.PROT_READ, mmap.MAP_SHARED, descriptor, 0) # mmap.mmap() keeps a descriptor
os.close(descriptor)
up()
time.sleep(1000)
""", table)
    refuses("held by a mapping alone: refused", break_lock("--force", table), 4, "no descriptor of process")
    before = contents(table)
    done = break_lock("--force", "--kill", table)
    time.sleep(0.1)
    report(done.returncode == 0 and holder.poll() == -signal.SIGKILL, "killed instead", done.said)
    report(contents(table) == before and os.path.exists(table + ".lock.undo"),
           "what somebody else may hold by then is left alone", done.said)


# --- who forks and executes all the time ---

FORKS = """
file = write("w")
up()
while True:
    child = os.fork()
    if child == 0:
        for i in range(20):
            try:
                file.write(b"X")
                with open(T + "/new", "w") as new:
                    new.write(str(os.getpid()))
            except OSError:
                pass
        os._exit(0)
    os.waitpid(child, 0)
"""
EXECUTES = """
descriptor = os.open(T + "/w", os.O_RDWR | os.O_CREAT)
os.set_inheritable(descriptor, True) # the session goes on
up()
for i in range(random.randrange(200)):
    try:
        os.pwrite(descriptor, os.urandom(8), 0)
    except OSError:
        pass
os.execv(sys.executable, [sys.executable, "-c", TEXT, T, "again"])
"""


def break_until_in(waiter, table):
    """Who is broken in the midst of executing another program may take the lock anew with that, before an
    unguarded waiter is awake: then that one is broken in turn."""
    for _ in range(20):
        done = break_lock("--force", table)
        if "\nfreed" not in done.said or select.select([waiter.stdout], [], [], 2)[0]:
            return done
    done.said = "the waiter does not get in: " + done.said.replace("freed", "FREED")
    return done


def restless():
    """An unguarded one waits: while it has the lock nobody else may change anything."""
    for what, text in (("forks", FORKS), ("executes", EXECUTES)):
        for scope in GUARDED:
            wrong = []
            for number in range(RACES):
                table = fresh()
                holder = hold(scope, text, table)
                waiter = subprocess.Popen(["flock", table + ".lock", "sh", "-c", "echo up; exec sleep 100"],
                                          stdout=subprocess.PIPE, text=True, start_new_session=True)
                started.append(waiter)
                time.sleep(0.02 + number * 0.003)
                done = break_until_in(waiter, table)
                if "\nfreed" not in done.said:
                    wrong.append(done.said)
                else:
                    waiter.stdout.readline()
                    before = contents(table)
                    time.sleep(0.04)
                    if contents(table) != before:
                        wrong.append(done.said)
                end(holder)
                end(waiter)
            report(not wrong, "%s: one who %s all the time, %d times" % (scope, what, RACES), "\n".join(wrong))


def at_once():
    """Several breaks of one lock: who comes too late must not undo what the first has done."""
    for scope in ("session", "process"):
        wrong = []
        for number in range(RACES):
            table = fresh()
            holder = hold(scope, """
file = write("w")
def act():
    for i in range(100):
        file.write(b"X")
        with open(T + "/new", "w") as new:
            new.write(str(time.time()))
up()
steady(act)
""", table)
            waiter = subprocess.Popen(["flock", table + ".lock", "sh", "-c", "echo up; exec sleep 100"],
                                      stdout=subprocess.PIPE, text=True, start_new_session=True)
            started.append(waiter)
            time.sleep(0.02)
            breaks = []
            for _ in range(3):
                breaks.append(subprocess.Popen([LOCKCTL, "break", "--force", table], env=environment(), text=True,
                                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT))
                time.sleep(number % 4 * 0.001)
            # One that looks when the first is done finds the waiter healthy, and breaks it as well.
            said = "".join(one.communicate()[0] for one in breaks)
            before = contents(table)
            time.sleep(0.04)
            if "\nfreed" not in said or contents(table) != before:
                wrong.append(said)
            end(holder)
            end(waiter)
        report(not wrong, "%s: three breaks at once, %d times" % (scope, RACES), "\n".join(wrong))


# --- looking only ---

def state_of(table, process):
    """All that a break could change: the files but for when they were read, and the shim's memory."""
    found = []
    for path in sorted([table, table + ".lock", table + ".lock.registry", *contents(table)]):
        if os.path.exists(path):
            s = os.lstat(path)
            found.append((path, s.st_ino, s.st_mode, s.st_nlink, s.st_size, s.st_mtime_ns, s.st_ctime_ns,
                          open(path, "rb").read() if os.path.isfile(path) else None))
    with open("/proc/%d/maps" % process, encoding="utf-8") as maps, open("/proc/%d/mem" % process, "rb") as memory:
        for line in maps:
            if "/liblockshim.so" in line and " rw" in line:
                begin, finish = (int(word, 16) for word in line.split()[0].split("-"))
                memory.seek(begin)
                found.append(memory.read(finish - begin))
    return found


def settling():
    """A command was killed in the midst of its changes, and its lockctl is undoing them: it is let finish, or
    kept from beginning; never made to stand still with the journal in its hands, where it would be given up."""
    changes = """
for i in range(2000):
    with open(T + "/%d" % i, "wb", buffering=0) as file:
        file.write(b"new" * 300)
print("up", flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    for number in range(SETTLINGS):
        table = fresh()
        for i in range(2000):
            with open("%s/%d" % (table, i), "wb") as file:
                file.write(b"old")
        holder = subprocess.Popen([LOCKCTL, "run", "--table", table, "--on-crash", "rollback", "--", PYTHON, "-c",
                                   PRELUDE + changes, table], env=environment(), stdout=subprocess.PIPE, text=True,
                                  start_new_session=True)
        started.append(holder)
        holder.stdout.readline()
        time.sleep(0.01 * number)
        kill = ["--kill"] if number % 2 == 1 else []
        try:
            done = break_lock("--force", *kill, table)
        except subprocess.TimeoutExpired as error:
            report(False, "a break while a command is rolled back comes to an end", error)
            continue
        # The next holder: what it writes must stay, whoever believes to be undoing something.
        with open(table + "/next", "wb") as file:
            written = subprocess.run([LOCKCTL, "run", "--table", table, "--on-crash", "rollback", "--", PYTHON, "-c",
                                      "import sys, time\nfor i in range(2000):\n"
                                      " open('%s/%d' % (sys.argv[1], i), 'w').write('next')\ntime.sleep(0.3)", table],
                                     env=environment(), check=False).returncode
        holder.wait()
        found = {open("%s/%d" % (table, i), "rb").read() for i in range(2000)}
        report(done.returncode == 0 and written == 0 and found == {b"next"} and
               not os.path.exists(table + ".lock.undo"),
               "a break %d ms after a command was killed, while it is rolled back%s" % (10 * number, ", " * len(kill) + "".join(kill)),
               "%s, %s, %s\n%s" % (done.returncode, written, found, done.said))


def beside():
    """A break that is under way has a copy of what the holder has: it is no holder beside others, and nobody
    kills it."""
    for scene in ("nobody", "a child"):
        table = fresh()
        holder = hold("bare", """
lock()
if %d and os.fork() == 0:
    up()
    time.sleep(1000)
if not %d:
    up()
time.sleep(1000)
""" % (scene == "a child", scene == "a child"), table)
        # It waits for another one, which is us.
        with open(table + ".lock", "rb+") as file:
            fcntl.fcntl(file, F_OFD_SETLK, struct.pack("hhqqiq", fcntl.F_WRLCK, os.SEEK_SET, BREAK_OFFSET, 1, 0, 0))
            first = subprocess.Popen([LOCKCTL, "break", "--force", table], env=environment(), text=True,
                                     stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
            started.append(first)
            copied = wait_for(lambda: any(os.stat("/proc/%d/fd/%s" % (first.pid, number)).st_ino ==
                                          os.fstat(file.fileno()).st_ino
                                          for number in os.listdir("/proc/%d/fd" % first.pid)))
            os.kill(first.pid, signal.SIGSTOP)
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()
        told = subprocess.run([LOCKCTL, "status", "--json", table], capture_output=True, text=True, check=False,
                              env=environment()).stdout
        holders = [one["pid"] for one in json.loads(told)["locks"][0]["holders"]]
        report(copied and (first.pid in holders) == (scene == "nobody") and len(holders) == 1,
               "%s keeps it beside a break: who is shown" % scene, told)
        done = break_lock("--kill", "--force", table)
        report(done.returncode == 0 and first.poll() is None and is_free(table),
               "%s keeps it beside a break: which is not killed" % scene, done.said)
        os.kill(first.pid, signal.SIGCONT)
        said = first.communicate()[0]
        report(first.returncode == 0 and ("let go" in said or "nobody holds it" in said), "%s keeps it beside a break: which ends well" % scene, said)
        end(holder)


@contextlib.contextmanager
def journal_locked(table):
    """We have the journal, and so a break gives up, 5 s after it has raised its fences."""
    with open(table + ".lock.undo/journal", "rb+") as journal:
        fcntl.fcntl(journal, F_OFD_SETLK, struct.pack("hhqqiq", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0, 0))
        yield


def given_up():
    """A holder ends its session, or itself, while a break is under way that comes to nothing: what it did
    counts, and nobody has the lock any more."""
    fenced = """
file = write('n')
file.write(b'1')
up()
try:
    while True:
        file.write(b'X')
        time.sleep(0.002)
except OSError:
    pass
"""
    ends = {"closes": "file.close()\nprint('closed', flush=True)\ntime.sleep(1000)\n",
            "exits": "sys.exit(0)\n",
            "executes another program": "os.execv('/bin/true', ['true'])\n"}
    for scope, way in [("session", "closes"), ("session", "exits"), ("process", "exits"), ("command", "exits"),
                       ("process", "executes another program"), ("command", "executes another program")]:
        table = fresh()
        holder = hold(scope, fenced + ends[way], table, LOCKSHIM_ON_CRASH="rollback")
        name = "%s: a holder %s while a break gives up" % (scope, way)
        with journal_locked(table):
            done = break_lock("--force", table)
        refuses(name + ": which it does", done, 4, "at work on its undo journal")
        well = holder.stdout.readline() == "closed\n" if way == "closes" else holder.wait() == 0
        report(well and wait_for(lambda t=table: is_free(t)), name + ": the lock is free", holder.poll())
        next_one = subprocess.run([LOCKCTL, "run", "--table", table, "--on-crash", "rollback", "--timeout", "5", "--",
                                   "cat", table + "/n"], capture_output=True, check=False, env=environment(), timeout=60)
        report(next_one.stdout.startswith(b"1X"), name + ": what it did counts", next_one)
        end(holder)


def journal_taken():
    """Who has the journal and does not let go of it makes a break give up, not wait for ever."""
    table = fresh()
    holder = hold("process", "file = write('n')\nfile.write(b'1')\nup()\nsteady(lambda: file.write(b'X'))\n", table,
                  LOCKSHIM_ON_CRASH="rollback")
    with journal_locked(table):
        try:
            refuses("the undo journal is somebody else's", break_lock("--force", table), 4, "at work on its undo journal")
        except subprocess.TimeoutExpired as error:
            report(False, "the undo journal is somebody else's", error)
    size = os.stat(table + "/n").st_size
    report(wait_for(lambda: os.stat(table + "/n").st_size > size), "its holder goes on unharmed")
    frees("the undo journal is free again", break_lock("--force", table), table)
    end(holder)
    report(open(table + "/n", encoding="utf-8").read() == "0", "the table is as it was before its holder came")


def unmarked():
    """A command has lost its lock, and nobody has told it so (its member was gone before it could be asked
    which command it is in): what the next holder does is not the command's to settle, nor what that has
    left when it was killed."""
    for order in ("ends first", "is killed first"):
        table = fresh()
        first = hold("command", "write('n').write(b'first')\nup()\nsys.stdin.readline()\n", table,
                     LOCKSHIM_ON_CRASH="rollback")
        unlock_behind_its_back(first, table)
        subprocess.run([LOCKCTL, "recover", "--rollback", table], check=False, env=environment(), capture_output=True)
        report(is_free(table), "a command has lost its lock unawares")
        second = hold("process", "write('n').write(b'second')\nup()\ntime.sleep(1000)\n", table,
                      LOCKSHIM_ON_CRASH="rollback")
        if order == "is killed first":
            end(second)
        first.stdin.close()
        report(first.wait() == 0 and os.path.exists(table + ".lock.undo/journal"),
               "it ends, and leaves the next holder's journal alone, which %s" % order.replace("ends first", "lives"))
        end(second)
        done = subprocess.run([LOCKCTL, "run", "--table", table, "--on-crash", "rollback", "--", "cat", table + "/n"],
                              capture_output=True, check=False, env=environment(), timeout=60)
        report(done.stdout == b"0", "the next holder %s, and is rolled back" % order.replace("ends first", "is killed then"),
               done)


def unlock_behind_its_back(holder, table):
    """As a break does: a copy of the description, and LOCK_UN."""
    libc = ctypes.CDLL(None, use_errno=True)
    owner = os.pidfd_open(holder.pid)
    for number in os.listdir("/proc/%d/fd" % holder.pid):
        if os.path.realpath("/proc/%d/fd/%s" % (holder.pid, number)) == os.path.realpath(table + ".lock"):
            copy = libc.syscall(SYS_PIDFD_GETFD, owner, int(number), 0)
            fcntl.flock(copy, fcntl.LOCK_UN)
            os.close(copy)
    os.close(owner)


def dry_run():
    for scope in [*GUARDED, "unguarded"]:
        for stopped in (False, True):
            table = fresh()
            holder = hold(scope, "file = write('w')\nup()\ntime.sleep(1000)\n", table)
            if stopped:
                stop(holder)
            before = state_of(table, holder.pid)
            done = break_lock("--dry-run", "--force", table)
            report(done.returncode == 0 and "would free the lock" in done.said and
                   state_of(table, holder.pid) == before and not is_free(table),
                   "%s, %s: a dry run changes nothing" % (scope, "stopped" if stopped else "running"), done.said)
            end(holder)


def order():
    """What is done comes after it was logged: looked at from outside."""
    if shutil.which("strace") is None:
        return skip("the order of steps: there is no strace")
    table = fresh()
    holder = hold("session", "scribble(write('w'))\n", table)
    trace = table + "-trace"
    calls = "connect,pwrite64,process_vm_writev,renameat,flock"
    done = break_lock("--force", table, before=["strace", "-o", trace, "-y", "-e", "trace=" + calls])
    with open(trace, encoding="utf-8") as file:
        lines = file.read().split("\n")

    def first(pattern):
        return next((i for i, line in enumerate(lines) if re.search(pattern, line)), len(lines))

    steps = [first(p) for p in (r"connect.*/dev/log", r"pwrite64.*registry>, .*, 64,", r"pwrite64.*/mem>",
                                r"renameat", r"LOCK_UN")]
    report(steps == sorted(steps) and steps[-1] < len(lines), "syslog, the event, the fence, the files, the lock",
           "%s\n%s\n%s" % (steps, done.said, "\n".join(lines[-30:])))
    report(first("process_vm_writev") == len(lines), "memory is not written to by a pid, which may stand for another")
    end(holder)
    return None


def main():
    try:
        for scene in (orphaned, files, no_room, traced, elsewhere, by_mapping, restless, at_once, beside, settling, given_up,
                      journal_taken, unmarked, dry_run, order):
            if scene.__name__ in os.environ.get("SCENES", scene.__name__).split():
                scene()
    finally:
        for process in started:
            if process.poll() is None:
                end(process)
        shutil.rmtree(work, ignore_errors=True)
    print("%d passed, %d failed, %d skipped" % (passed, failed, skipped))
    return 1 if failed else 0


sys.exit(main())
