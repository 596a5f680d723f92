#!/usr/bin/python3
"""Who waits behind whom, and in rings."""
import os
import re
import struct
import subprocess
import time

from common import ACT, LOCKCTL, act, at, kill, look, main, ok, run, same, soon, start, waiting, work

WAITERS, BLOCKED = 36864, 640  # where they begin in a registry


def ring(count):
    """Each holds a lock and waits for the next one's."""
    processes = [act(f"open 0 {i} create", f"open 1 {(i + 1) % count} create", "flock 0 ex", f"mark m{i}",
                     "await go", "flock 1 ex") for i in range(count)]
    for i in range(count):
        at(f"m{i}")
    (work / "go").touch()
    told = soon(lambda: look("deadlocks", status=None)["deadlocks"])
    pids = [p.pid for p in processes]
    same(f"a cycle of {count}", [sorted(pids)], [sorted(w["pid"] for w in d["waits"]) for d in told])
    waits = told[0]["waits"]
    same(f"a cycle of {count}: each waits for the next", True,
         all(w["behind"] == waits[(i + 1) % count]["pid"] for i, w in enumerate(waits)))
    same(f"a cycle of {count}: and for its lock", True,
         all(w["lock"] == str(work / str((pids.index(w["pid"]) + 1) % count)) for w in waits))
    same(f"a cycle of {count}: the exit status", 3, run("deadlocks", status=3).returncode)
    same(f"a cycle of {count}: verdicts", {"deadlock"},
         {k["verdict"] for k in look("status", *map(str, range(count)))["locks"]})
    act("open 0 apart create", "flock 0 ex", "mark apart+", "await never")
    at("apart+")
    start("flock", "apart", "true")
    assert waiting("apart", 1)
    for i in range(min(count, 3)):
        told = look("status", str(i))["locks"]
        same(f"a cycle of {count}: by the name of one lock", [("deadlock", str(work / str(i)))],
             [(k["verdict"], k["lock"]) for k in told])
    same("another lock is in none", "healthy", look("status", "apart")["locks"][0]["verdict"])


def rings_of_two():
    ring(2)


def rings_of_three():
    ring(3)


def rings_of_ten():
    ring(10)


def live():
    """A live view tells of a ring at once if it begins with it, else when it has seen it twice."""
    def looks(count):
        return subprocess.Popen([LOCKCTL, "top", "--batch", "-d", "0.4", "-n", str(count), "T", "U"],
                                stdout=subprocess.PIPE, text=True)

    def verdicts(process):
        return re.findall(r"\b(deadlock|healthy)\b", process.communicate(timeout=60)[0])

    for table in "TU":
        start(ACT, f"cat {table}/n", f"mark {table}1", f"await {table}+", guard="process", table=table)
        at(f"{table}1")
    records = {}
    for table in "TU":
        with open(f"{table}.lock.registry", "rb") as registry:
            records[table] = registry.read(512)[384:]

    def forge(waits):
        """Whoever holds the one table is said to wait for the other, or no longer."""
        for table, other in ("TU", "UT"):
            holder = records[other]
            number, _, start_time, since = struct.unpack_from("<iIQQ", holder)
            namespace, = struct.unpack_from("<Q", holder, 32)
            boot, = struct.unpack_from("<Q", holder, 64)
            waiter = struct.pack("<iIQQQIiQiIQ", number if waits else 0, 1, start_time, since, namespace, 0, 0,
                                 boot, number, 1, 0)
            with open(f"{table}.lock.registry", "r+b") as registry:
                registry.seek(WAITERS)
                registry.write(waiter)
                registry.seek(32)
                registry.write(struct.pack("<I", 1 if waits else 0))

    top = looks(16)
    for _ in range(8):
        time.sleep(0.55)
        forge(True)
        time.sleep(0.2)
        forge(False)
    same("what is seen but once is no ring", set(), set(verdicts(top)) - {"healthy"})
    forge(True)
    ok("a ring at the first look", "deadlock" in verdicts(looks(1)))
    forge(False)
    top = looks(8)
    time.sleep(0.6)
    forge(True)
    told = verdicts(top)
    ok("a ring later", "deadlock" in told[-3:] and told[:1] == ["healthy"], told)


def guarded_by_one_name():
    """A ring of two guarded, of whom one is named: what it waits for stands in the registry of what it holds."""
    holders = {}
    for table, other in ("TU", "UT"):
        (work / f"{other}.lock").touch()
        holders[table] = start(ACT, f"open 0 {other}.lock r", f"cat {table}/n", f"mark {table}1", f"await {table}+",
                               guard="process", table=table)
        at(f"{table}1")
    records = {table: (work / f"{table}.lock.registry").read_bytes()[384:512] for table in "TU"}
    for table, other in ("TU", "UT"):
        number, _, start_time, since = struct.unpack_from("<iIQQ", records[table])
        status = os.stat(f"{other}.lock")
        descriptor = next(int(name) for name in os.listdir(f"/proc/{number}/fd")
                          if os.readlink(f"/proc/{number}/fd/{name}") == str(work / f"{other}.lock"))
        with open(f"{table}.lock.registry", "r+b") as registry:
            registry.seek(BLOCKED)
            registry.write(struct.pack("<iiQQQQ", number, descriptor, start_time, status.st_dev, status.st_ino, since))
    for table in "TU":
        same(f"guarded, by the name of {table}", "deadlock", look("status", table)["locks"][0]["verdict"])


def without_queue():
    """Who waits while it holds something says so there, too: the other registry may be gone."""
    holder = act("open 0 U.lock create", "flock 0 ex", "mark 1", "await 1+")
    at("1")
    tables = f"{work}/T\n{work}/U"
    waiter = start("env", "-u", "LOCKSHIM_TABLE", f"LOCKSHIM_TABLES={tables}", ACT, "cat T/n", "cat U/n",
                   guard="process")
    assert waiting("U", 1)
    os.unlink("U.lock.registry")
    told = [(row["pid"], row["guarded"], row["waited_seconds"] is not None)
            for row in look("waiters")["waiters"] if row["lock"] == str(work / "U.lock")]
    same("a waiter whose registry is gone", [(waiter.pid, True, True)], told)
    kill(holder)
    assert soon(lambda: waiter.poll() is not None)


def no_ring():
    act("open 0 A create", "open 1 B create", "flock 0 ex", "mark 1", "await 1+", "flock 1 ex")
    at("1")
    act("open 0 B create", "flock 0 ex", "mark 2", "await 2+")
    at("2")
    (work / "1+").touch()
    assert waiting("B", 1)
    same("a chain is no ring", ([], 0), (look("deadlocks")["deadlocks"], run("deadlocks").returncode))
    lines = run("waiters", "--tree").stdout.decode()
    ok("the tree has the chain", "└─" in lines and str(work / "B") in lines, lines)


def with_oneself():
    process = act("open 0 A create", "open 1 A r", "flock 0 ex", "mark 1", "flock 1 ex")
    at("1")
    assert waiting("A", 1)
    told = look("deadlocks", status=3)["deadlocks"]
    same("with oneself", [[process.pid]], [[w["pid"] for w in d["waits"]] for d in told])


def through_commands():
    for one, other in ("AB", "BA"):
        start("flock", one, "sh", "-c", f": >{one}+; while [ ! -e {other}+ ]; do sleep 0.02; done; flock {other} true")
    told = soon(lambda: look("deadlocks", status=None)["deadlocks"])
    ok("flock(1) waits for its command, and that for the other lock",
       len(told) == 1 and len(told[0]["waits"]) == 2 and all(w["through"] for w in told[0]["waits"]), told)


def guarded_in_a_ring():
    """One is guarded, the other is not: neither gets EDEADLK at once."""
    start("flock", "U.lock", "sh", "-c", ": >1; while [ ! -e 2 ]; do sleep 0.02; done; flock T.lock true")
    at("1")
    holder = start(str(run.__globals__["ACT"]), "cat T/n", "mark 2", "await 2+", guard="process")
    at("2")
    assert waiting("T", 1)
    same("a guarded holder that does not wait is in no ring", [], look("deadlocks")["deadlocks"])
    (work / "2+").touch()
    holder.wait()


def behind_several():
    holders = [act("open 0 L create", "flock 0 sh", f"mark {i}", "await x") for i in range(3)]
    for i in range(3):
        at(str(i))
    start("flock", "L", "true")
    assert waiting("L", 1)
    row = look("waiters", "L")["waiters"][0]
    same("behind all of three shared holders", sorted(p.pid for p in holders),
         sorted(map(int, row["behind"].split(","))))
    told = look("status", "L")["locks"][0]
    same("mode and holders", ("shared", 3, "exclusive"),
         (told["mode"], len(told["holders"]), told["waiters"][0]["mode"]))
    tree = run("holders", "--tree", "L").stdout.decode()
    same("the tree shows it behind each", 3, tree.count("└─"))


if __name__ == "__main__":
    main(live, guarded_by_one_name, without_queue, rings_of_two, rings_of_three, rings_of_ten, no_ring, with_oneself, through_commands,
         guarded_in_a_ring, behind_several)
