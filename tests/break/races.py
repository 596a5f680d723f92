#!/usr/bin/env python3
"""Breaks holders in the midst of writing, BREAKS times: afterwards, to their end, not a byte of
theirs may reach the table. Whoever waits gets the lock, soon."""
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
LOCKCTL, SHIM = BUILD + "/lockctl", BUILD + "/liblockshim.so"
WRITER, ACT = BUILD + "/break/writer", BUILD + "/e2e/act"
MODES = [["stdio"], ["raw"], ["mapped"], ["stdio", "raw", "mapped"], ["passed", "raw"], ["names", "stdio"], ["names"]]
SCOPES = ["session", "process", "command", "unguarded"]
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
    """None for what vanishes while it is looked at: a holder that was not broken goes on."""
    found = {}
    for name in sorted(os.listdir(table)):
        try:
            with open(os.path.join(table, name), "rb") as file:
                found[name] = file.read()
        except FileNotFoundError:
            found[name] = None
    return found


def processes_of(session):
    return [int(p) for p in subprocess.run(["pgrep", "-s", str(session)], capture_output=True,
                                           text=True, check=False).stdout.split()]


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


def race(number, work, started):
    scope, modes = SCOPES[number % len(SCOPES)], MODES[number // len(SCOPES) % len(MODES)]
    if scope == "unguarded" and modes[0] == "names":
        modes = ["raw"]  # names are what nobody can keep an unguarded one from
    table = os.path.join(work, "T%d" % number)
    os.mkdir(table)
    what = "%d: %s, %s" % (number, scope, "+".join(modes))
    holder = start_holder(scope, table, modes)
    started.append(holder)
    waiter = None
    if number % 3 == 0:
        environment = clean_environment()
        environment.update(LD_PRELOAD=SHIM, LOCKSHIM_TABLE=table, LOCKSHIM_SCOPE="session")
        waiter = subprocess.Popen([ACT, "put %s/next N" % table], env=environment)
        started.append(waiter)
        time.sleep(0.05)
    time.sleep(random.random() * 0.02)
    options = ["--force"]
    if number % 5 == 4:
        kill_all(holder, signal.SIGSTOP)
    if number % 7 == 6 and scope != "command":
        options.append("--kill")
    # One that lets go and takes the lock anew all the time is refused, or found free: once more.
    for _ in range(50):
        done = subprocess.run([LOCKCTL, "break"] + options + [table], capture_output=True, text=True,
                              check=False, env=clean_environment())
        if "\nfreed" in done.stdout or modes != ["names"]:
            break
    waited = None
    if waiter is not None:
        if waiter.wait(timeout=30) != 0:
            return what + ": the next holder failed", None
        found = re.search(r", ([0-9.]+) (\S+) later, has got", done.stdout)
        waited = float(found.group(1)) * UNITS[found.group(2)] if found else None
    before = contents(table)
    kill_all(holder, signal.SIGCONT)
    time.sleep(0.01)
    kill_all(holder, signal.SIGTERM)
    deadline = time.monotonic() + 30
    while holder.poll() is None:
        # lockctl run stops with its command: it may do so after it was continued.
        kill_all(holder, signal.SIGCONT)
        if time.monotonic() > deadline:
            kill_all(holder, signal.SIGKILL)
            return what + ": the holder does not end", None
        time.sleep(0.005)
    kill_all(holder, signal.SIGKILL)
    after = contents(table)
    if "\nfreed" not in done.stdout and modes != ["names"]:
        return "%s: status %d: %s%s" % (what, done.returncode, done.stdout, done.stderr), waited
    if before != after and "\nfreed" in done.stdout:
        names = [n for n in set(before) | set(after) if before.get(n) != after.get(n)]
        return "%s: bytes of the old holder in %s\n%s" % (what, " ".join(names), done.stdout), waited
    subprocess.run(["rm", "-rf", table], check=True)
    return None, waited


def main():
    random.seed(7)
    wrong, waits = [], []
    with tempfile.TemporaryDirectory(prefix="lockshim-test-", ignore_cleanup_errors=True) as work:
        for number in range(BREAKS):
            error, waited = one(number, work)
            if error:
                wrong.append(error)
                print("not ok " + error.replace("\n", "\n    "))
            if waited is not None:
                waits.append(waited)
    if not wrong:
        print("ok %d breaks in the midst of writing: no byte of the old holder afterwards" % BREAKS)
    if waits:
        waits.sort()
        median = statistics.median(waits)
        text = "the next holder has it after %.1f ms (median of %d; 90 %%: %.1f ms, most: %.1f ms)" % (
            median, len(waits), waits[len(waits) * 9 // 10], waits[-1])
        if median >= 10:
            wrong.append(text)
        print(("ok " if median < 10 else "not ok ") + text)
    print("%d passed, %d failed" % (BREAKS + 1 - len(wrong), len(wrong)))
    return 1 if wrong else 0


sys.exit(main())
