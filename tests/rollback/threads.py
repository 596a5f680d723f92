#!/usr/bin/env python3
"""A program whose threads all change the same few files is killed in the midst of it: the table must be
what it was, to the byte, whatever they were at.

threads.py BUILD RUNS [SEED]
"""
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

BUILD, RUNS = os.path.realpath(sys.argv[1]), int(sys.argv[2])
SEED = int(sys.argv[3]) if len(sys.argv) > 3 else random.randrange(1 << 30)
LOCKCTL, SHIM = BUILD + "/lockctl", BUILD + "/liblockshim.so"
THREADS = 6
SIZES = (0, 10, 3000, 20000, 80000)
CLEAN = {k: v for k, v in os.environ.items() if not k.startswith("LOCKSHIM_") and k != "LD_PRELOAD"}


def contents(table):
    found = {}
    for name in os.listdir(table):
        with open(os.path.join(table, name), "rb") as file:
            found[name] = file.read()
    return found


def fill(table, chance):
    os.mkdir(table)
    for name in ["held"] + ["f%d" % i for i in range(6) if chance.random() < 0.8]:
        with open(os.path.join(table, name), "wb") as file:
            file.write(chance.randbytes(chance.choice(SIZES)))


def start(scope, table, seed):
    words, around = [BUILD + "/rollback/threads", table, str(THREADS), str(seed)], dict(CLEAN)
    if scope == "command":
        words = [LOCKCTL, "run", "--table", table, "--on-crash", "rollback", "--"] + words
    else:
        around.update(LD_PRELOAD=SHIM, LOCKSHIM_TABLE=table, LOCKSHIM_SCOPE=scope, LOCKSHIM_ON_CRASH="rollback")
    return subprocess.Popen(words, env=around, stdout=subprocess.PIPE, start_new_session=True)


def kill(scope, program):
    """The program, and not the lockctl above it."""
    victim = program.pid
    if scope == "command":
        with open("/proc/%d/task/%d/children" % (victim, victim), encoding="ascii") as file:
            victim = int(file.read().split()[0])
    os.kill(victim, signal.SIGKILL)
    program.wait()


def run(scope, work, chance):
    """What differs, and what was said, when the next one has come; both empty if all is well."""
    table = os.path.join(work, "T")
    fill(table, chance)
    before = contents(table)
    program = start(scope, table, chance.randrange(1 << 20))
    well = program.stdout.readline() == b"up\n"
    time.sleep(chance.random() * 0.03)
    kill(scope, program)
    program.stdout.close()
    looked = subprocess.run([LOCKCTL, "run", "--table", table, "--on-crash", "rollback", "--", "ls", table],
                            env=CLEAN, capture_output=True, text=True, check=False, timeout=60)
    after = contents(table)
    differs = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    if os.path.exists(table + ".lock.undo"):
        differs.append("a journal is left")
    shutil.rmtree(table)
    return differs, looked.stderr if well and looked.returncode == 0 else "it failed: " + looked.stderr


def main():
    chance = random.Random(SEED)
    failed = 0
    for scope in ("session", "process", "command"):
        bad = []
        with tempfile.TemporaryDirectory(prefix="lockshim-test-") as work:
            for _ in range(RUNS):
                differs, said = run(scope, work, chance)
                if differs or said:
                    bad.append("%s %s" % (differs, said.strip()))
        failed += bool(bad)
        print("%s %s: %d programs of %d threads killed (seed %d)" % ("not ok" if bad else "ok", scope, RUNS, THREADS, SEED))
        for line in bad[:5]:
            print("    " + line)
    print("%d passed, %d failed, 0 skipped" % (3 - failed, failed))
    return 1 if failed else 0


sys.exit(main())
