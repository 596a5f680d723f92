#!/usr/bin/python3
"""Who waits behind whom, and in rings."""
from common import act, at, look, main, ok, run, same, soon, start, waiting, work


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


def rings_of_two():
    ring(2)


def rings_of_three():
    ring(3)


def rings_of_ten():
    ring(10)


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
    main(rings_of_two, rings_of_three, rings_of_ten, no_ring, with_oneself, through_commands,
         guarded_in_a_ring, behind_several)
