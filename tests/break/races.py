#!/usr/bin/env python3
"""Breaks holders in the midst of writing, BREAKS times: every one is broken or found free, and killed
only if asked for; afterwards, to its end, not a byte of it may reach the table. Whoever waits gets
the lock, soon."""
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time

BUILD = os.path.realpath(os.environ.get("BUILD", "build"))
BREAKS = int(os.environ.get("BREAKS", "120"))
FIRST = int(os.environ.get("FIRST", "0"))  # which of them: each number is a scene of its own
LOCKCTL, SHIM = BUILD + "/lockctl", BUILD + "/liblockshim.so"
WRITER, ACT = BUILD + "/break/writer", BUILD + "/e2e/act"
MODES = [["stdio"], ["raw"], ["mapped"], ["stdio", "raw", "mapped"], ["passed", "raw"], ["names", "stdio"],
         ["names"], ["appended", "copied"], ["stdio", "raw", "mapped", "forked"],
         ["stdio", "raw", "mapped", "threads"], ["names", "appended", "threads"]]
SCOPES = ["session", "process", "command", "unguarded"]
WAITERS = [None, None, "session", "process", "command", "unguarded"]
BOUND = 10.0  # ms, for the next holder
UNITS = {"ns": 1e-6, "us": 1e-3, "\u00b5s": 1e-3, "ms": 1.0, "s": 1e3}


def clean_environment():
    return {k: v for k, v in os.environ.items() if not k.startswith("LOCKSHIM_") and k != "LD_PRELOAD"}


def start_holder(scope, table, modes):
    environment = clean_environment()
    words = [WRITER, "X", table] + modes
    if scope == "command":
        words = [LOCKCTL, "run", "--table", table, "--"] + words
    elif scope == "unguarded":
        words = ["flock", "-F", table + ".lock"] + words
    else:
        environment.update(LD_PRELOAD=SHIM, LOCKSHIM_TABLE=table, LOCKSHIM_SCOPE=scope)
    holder = subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              start_new_session=True)
    if holder.stdout.readline() != b"up\n":
        raise SystemExit("the writer has not started: " + " ".join(words))
    return holder


def contents(table):
    """Each name with its inode and bytes; None for what vanishes while it is looked at: a holder
    that was not broken goes on."""
    found = {}
    for name in sorted(os.listdir(table)):
        try:
            with open(os.path.join(table, name), "rb") as file:
                found[name] = (os.fstat(file.fileno()).st_ino, file.read())
        except FileNotFoundError:
            found[name] = None
    return found


def processes_of(session):
    return [int(p) for p in subprocess.run(["pgrep", "-s", str(session)], capture_output=True,
                                           text=True, check=False).stdout.split()]


def is_at_work(process):
    try:
        with open("/proc/%d/stat" % process, encoding="utf-8") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def kill_all(holder, number):
    for process in processes_of(holder.pid):
        try:
            os.kill(process, number)
        except ProcessLookupError:
            pass


def one(number, work):
    started = []
    try:
        return race(number, work, started)
    finally:
        for process in started:
            kill_all(process, signal.SIGKILL)
            process.kill()


def start_waiter(kind, table):
    environment = clean_environment()
    words = [ACT, "put %s/next N" % table]
    if kind == "command":
        words = [LOCKCTL, "run", "--table", table, "--"] + words
    elif kind == "unguarded":
        words = ["flock", table + ".lock"] + words
    else:
        environment.update(LD_PRELOAD=SHIM, LOCKSHIM_TABLE=table, LOCKSHIM_SCOPE=kind)
    waiter = subprocess.Popen(words, env=environment, start_new_session=True)
    time.sleep(0.05)
    return waiter


def do_break(options, table):
    """One look may find it free between two sessions: that is an answer too, but not what is tried here."""
    for _ in range(20):
        done = subprocess.run([LOCKCTL, "break"] + options + [table], capture_output=True, text=True,
                              check=False, env=clean_environment())
        if "\nfreed" in done.stdout or done.returncode != 0:
            break
    return done


def is_stopped(process):
    try:
        for thread in os.listdir("/proc/%d/task" % process):
            with open("/proc/%d/task/%s/stat" % (process, thread), encoding="utf-8") as file:
                if file.read().rsplit(")", 1)[1].split()[0] not in "TtZX":
                    return False
    except (FileNotFoundError, ProcessLookupError):
        pass
    return True


def stop(holder):
    """Until all of its threads stand still: one that still runs makes it a healthy holder."""
    kill_all(holder, signal.SIGSTOP)
    deadline = time.monotonic() + 10
    while not all(is_stopped(process) for process in processes_of(holder.pid)):
        if time.monotonic() > deadline:
            raise SystemExit("the holder does not stop")
        time.sleep(0.001)


def end(holder):
    """Lets it go on, asks it to end, and waits: its buffers are flushed meanwhile."""
    kill_all(holder, signal.SIGCONT)
    time.sleep(0.01)
    kill_all(holder, signal.SIGTERM)
    deadline = time.monotonic() + 30
    while any(is_at_work(process) for process in processes_of(holder.pid)):
        # lockctl run stops with its command: it may do so after it was continued.
        kill_all(holder, signal.SIGCONT)
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


def race(number, work, started):
    chance = random.Random(number)
    modes, scope = MODES[number % len(MODES)], SCOPES[number // len(MODES) % len(SCOPES)]
    if scope == "unguarded" and "names" in modes:
        modes = ["raw"]  # names are what nobody can keep an unguarded one from
    kind = chance.choice(WAITERS) if "forked" not in modes else None  # its child waits first
    stopped, killed = chance.random() < 0.2, chance.random() < 0.14 and scope != "command"
    options = ["--force"] * (not stopped or chance.random() < 0.5) + ["--kill"] * killed
    table = os.path.join(work, "T%d" % number)
    os.mkdir(table)
    what = "%d: %s, %s, %s, waiter %s" % (number, scope, "+".join(modes),
                                          "stopped" if stopped else "running", kind)
    holder = start_holder(scope, table, modes)
    started.append(holder)
    waiter = None
    if kind is not None:
        waiter = start_waiter(kind, table)
        started.append(waiter)
    time.sleep(chance.random() * 0.02)
    if stopped:
        stop(holder)
    done = do_break(options, table)
    freed = "\nfreed" in done.stdout
    before = contents(table)
    waited = None
    if waiter is not None and done.returncode == 0:
        if waiter.wait(timeout=30) != 0:
            return what + ": the next holder failed", None
        found = re.search(r", ([0-9.]+) (\S+) later, has got", done.stdout)
        waited = float(found.group(1)) * UNITS[found.group(2)] if found else None
        before["next"] = contents(table).get("next")
    if not end(holder):
        return what + ": the holder does not end", None
    after = contents(table)
    # A holder that was stopped between two sessions has left the lock free.
    if not freed and not (done.returncode == 0 and modes == ["names"]):
        return "%s: status %d: %s%s" % (what, done.returncode, done.stdout, done.stderr), waited
    if before != after and freed:
        names = [n for n in set(before) | set(after) if before.get(n) != after.get(n)]
        return "%s: bytes of the old holder in %s\n%s" % (what, " ".join(names), done.stdout), waited
    if "\nkilling" in done.stdout and not stopped:
        return "%s: killed\n%s" % (what, done.stdout), waited
    subprocess.run(["rm", "-rf", table], check=True)
    freed_in = re.search(r"^freed in ([0-9.]+) ([^;\s]+)", done.stdout, re.M)
    took = float(freed_in.group(1)) * UNITS[freed_in.group(2)] if freed_in else None
    return None, waited, took


def tell(wrong, waits, took):
    took.sort()
    print("broken in %.1f ms (median; 90 %%: %.1f ms, most: %.1f ms)" % (
        statistics.median(took), took[len(took) * 9 // 10], took[-1]))
    waits.sort()
    median, most = statistics.median(waits), waits[len(waits) * 9 // 10]
    text = "the next holder has it after %.1f ms (median of %d; 90 %%: %.1f ms, most: %.1f ms)" % (
        median, len(waits), most, waits[-1])
    if most >= BOUND:
        wrong.append(text)
    print(("ok " if most < BOUND else "not ok ") + text)


def main():
    wrong, waits, took = [], [], []
    with tempfile.TemporaryDirectory(prefix="lockshim-test-", ignore_cleanup_errors=True) as work:
        for number in range(FIRST, FIRST + BREAKS):
            error, *figures = one(number, work)
            if error:
                wrong.append(error)
                print("not ok " + error.replace("\n", "\n    "))
            for figure, into in zip(figures, (waits, took)):
                if figure is not None:
                    into.append(figure)
    if not wrong:
        print("ok %d breaks in the midst of writing: no byte of the old holder afterwards" % BREAKS)
    tell(wrong, waits, took)
    print("%d passed, %d failed" % (BREAKS + 1 - len(wrong), len(wrong)))
    return 1 if wrong else 0


sys.exit(main())
