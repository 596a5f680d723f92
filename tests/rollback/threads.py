#!/usr/bin/env python3
"""A program whose threads all change the same few files is killed in the midst of it, and so is one of
several processes: the table must be what it was, to the byte, whatever they were at.

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
PROCESSES = ("apart", "together")  # processes of one command, at files of their own or the same ones
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
    names = ["f%d" % i for i in range(6)] + ["own%d.%d" % (i, j) for i in range(THREADS) for j in range(6)]
    for name in ["held"] + [name for name in names if chance.random() < 0.8]:
        with open(os.path.join(table, name), "wb") as file:
            file.write(chance.randbytes(chance.choice(SIZES)))


def start(scope, table, seed):
    words, around = [BUILD + "/rollback/threads", table, str(THREADS), str(seed)], dict(CLEAN)
    if scope in PROCESSES:
        words.append(scope)
    if scope == "command" or scope in PROCESSES:
        words = [LOCKCTL, "run", "--table", table, "--on-crash", "rollback", "--"] + words
    else:
        around.update(LD_PRELOAD=SHIM, LOCKSHIM_TABLE=table, LOCKSHIM_SCOPE=scope, LOCKSHIM_ON_CRASH="rollback")
    return subprocess.Popen(words, env=around, stdout=subprocess.PIPE, start_new_session=True)


def children(process):
    with open("/proc/%d/task/%d/children" % (process, process), encoding="ascii") as file:
        return [int(word) for word in file.read().split()]


def kill(scope, program):
    """The program, and its processes, but not the lockctl above it."""
    victims = [program.pid]
    if scope == "command" or scope in PROCESSES:
        victims = children(program.pid)
        victims += [child for victim in victims for child in children(victim)]
    for victim in victims:
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
    for scope in ("session", "process", "command", *PROCESSES):
        bad = []
        with tempfile.TemporaryDirectory(prefix="lockshim-test-") as work:
            for _ in range(RUNS):
                differs, said = run(scope, work, chance)
                if differs or said:
                    bad.append("%s %s" % (differs, said.strip()))
        failed += bool(bad)
        print("%s %s: %d programs killed, of %d at once (seed %d)" % ("not ok" if bad else "ok", scope, RUNS, THREADS, SEED))
        for line in bad[:5]:
            print("    " + line)
    print("%d passed, %d failed, 0 skipped" % (5 - failed, failed))
    return 1 if failed else 0


sys.exit(main())
