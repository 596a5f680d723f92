#!/usr/bin/python3
"""Every verdict against a state that deserves it, and against neighbours that do not."""
import os
import shutil
import signal
import time

from common import (ACT, act, at, finish, go, kill, lock, look, main, ok, run, same, soon, start,
                    state, waiting, work)

HOLD = ("open 0 L create", "flock 0 ex", "mark 1", "await 1+")


def stop(process):
    kill(process, signal.SIGSTOP)
    assert soon(lambda: open(f"/proc/{process.pid}/stat").read().split(")")[1][1] == "T")


def free_and_healthy():
    (work / "L").touch()
    told = lock("L")
    same("a lock file that nobody locks is free", ("free", None, []),
         (told["verdict"], told["mode"], told["holders"]))
    told = lock("T")
    same("a table without a lock file is free", ("free", None, str(work / "T.lock"), str(work / "T")),
         (told["verdict"], told["inode"], told["lock"], told["table"]))
    process = act(*HOLD)
    at("1")
    told = lock("L")
    ok("its state", told["holders"][0]["state"] in ("R", "S"), told)
    same("a living holder", ("healthy", "exclusive", [process.pid]),
         (told["verdict"], told["mode"], [h["pid"] for h in told["holders"]]))
    same("inode and device are stat's", (os.stat("L").st_ino, os.stat("L").st_dev),
         (told["inode"], told["device"]))
    same("times of an unguarded holder are not guessed", (None, None),
         (told["held_seconds"], told["holders"][0]["held_seconds"]))
    same("check: all is well", 0, run("check", "L").returncode)


def stopped():
    one, other = act("open 0 L create", "flock 0 sh", "mark 1", "await 1+"), \
        act("open 0 L create", "flock 0 sh", "mark 2", "await 1+")
    at("1")
    at("2")
    stop(one)
    same("one of two shared holders is stopped", "healthy", lock("L")["verdict"])
    stop(other)
    told = lock("L")
    same("both are", ("stopped", "shared", {one.pid, other.pid}),
         (told["verdict"], told["mode"], {h["pid"] for h in told["holders"]}))
    done = run("check", "L", status=3)
    ok("check says so in one line", done.stdout.count(b"\n") == 1 and b"stopped" in done.stdout,
       done.stdout)
    kill(one, signal.SIGCONT)
    same("one goes on", "healthy", soon(lambda: lock("L")["verdict"] == "healthy") and "healthy")
    process = start(ACT, "cat T/n", "mark 3", "await 3+", guard="process")
    at("3")
    stop(process)
    told = lock("T")
    same("a guarded holder is stopped", ("stopped", True, "T"),
         (told["verdict"], told["holders"][0]["guarded"], told["holders"][0]["state"]))


def orphaned():
    parent = act("open 0 L create", "flock 0 ex", "fork", "mark 1", "await 1+", "end", "mark 2", "_exit 0")
    at("1")
    at("2")
    parent.wait()
    told = lock("L")
    row = look("holders", "L")["holders"][0]
    ok("the taker is gone, its child keeps the lock", told["verdict"] == "orphaned", told)
    ok("the holder is the child", told["holders"][0]["pid"] not in (None, parent.pid), told)
    same("the taker is named, too", parent.pid, row["taker"])
    child = told["holders"][0]["pid"]
    said = run("status", "L").stdout.decode()
    ok("both are named in the reason", f"process {parent.pid} took it" in said
       and f"process {child} keeps it" in said, said)
    go("1")
    same("the child ends: free", True, soon(lambda: lock("L")["verdict"] == "free"))
    # The taker lives, and has closed its own copy.
    parent = act("open 0 L create", "flock 0 ex", "fork", "mark 3", "await 3+", "end", "close 0", "mark 4",
                 "await 4+")
    at("3")
    at("4")
    told = lock("L")
    ok("the taker has closed its copy: the child is the holder", told["verdict"] == "orphaned"
       and told["holders"][0]["pid"] not in (None, parent.pid), told)


def outage():
    """A stopped grandchild keeps an inherited lock, forty processes wait."""
    parent = act("open 0 L create", "flock 0 ex", "fork", "fork", "mark 1", "raise 19", "await 1+", "end",
                 "_exit 0", "end", "_exit 0")
    at("1")
    parent.wait()
    for _ in range(40):
        start("flock", "L", "true")
    assert waiting("L", 40)
    told = lock("L")
    culprit = [int(p) for p in os.listdir("/proc") if p.isdigit() and p != str(os.getpid())
               and os.path.exists(f"/proc/{p}/cwd") and os.readlink(f"/proc/{p}/cwd") == str(work)
               and open(f"/proc/{p}/comm").read() == "act\n"]
    same("an outage: the grandchild is shown", ("orphaned", culprit, ["T"], 40),
         (told["verdict"], [h["pid"] for h in told["holders"]], [h["state"] for h in told["holders"]],
          told["waiter_count"]))
    said = run("status").stdout.decode()
    ok("one command shows the process at fault, and that it is stopped",
       f"process {culprit[0]} keeps it by an inherited descriptor, and is stopped" in said, said)
    ok("and what ends it", "`lockctl break LOCK` frees a lock" in said and "recover" not in said, said)
    ok("help tells where to look", "which process is at fault, stands below" in run("status", "--help").stdout.decode())
    os.kill(culprit[0], signal.SIGCONT)


def command_is_no_orphan():
    # Another lock on the machine whose taker is gone: then all processes are looked at.
    other = start("sh", "-c", "exec 9>elsewhere; flock 9; : >2; exec sleep 60")
    at("2")
    process = start(str(run.__globals__["LOCKCTL"]), "run", "--table", "T", "--", "sh", "-c",
                    "cat T/n >/dev/null; : >1; while [ ! -e 1+ ]; do sleep 0.02; done")
    at("1")
    told = lock("T")
    same("a command whose member took the lock and ended", ("healthy", [process.pid], True),
         (told["verdict"], [h["pid"] for h in told["holders"]], told["holders"][0]["guarded"]))
    ok("its time is known", told["held_seconds"] is not None, told)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    told = lock("T")
    same("lockctl run is killed, the command goes on", "healthy", told["verdict"])
    ok("and is guarded", all(h["guarded"] and h["pid"] for h in told["holders"]), told)
    go("1")
    same("its end frees the lock", True, soon(lambda: not lock("T")["holders"]))
    kill(other)


def stuck():
    process = state("vfork", "L")
    assert soon(lambda: open(f"/proc/{process.pid}/stat").read().split(")")[1][1] == "D")
    told = lock("L")
    same("in uninterruptible sleep", ("stuck", [process.pid], ["D"]),
         (told["verdict"], [h["pid"] for h in told["holders"]], [h["state"] for h in told["holders"]]))
    holder = start(ACT, "cat T/n", "mark 1", "await 1+", guard="process")
    at("1")
    time.sleep(1.3)
    same("held long, but nobody waits", "healthy", lock("T", "--stuck-after", "1")["verdict"])
    start(ACT, "cat T/n", guard="process")
    assert waiting("T", 1)
    told = lock("T", "--stuck-after", "1")
    same("held long without a touch while others wait", ("stuck", [holder.pid]),
         (told["verdict"], [h["pid"] for h in told["holders"]]))
    same("not yet so long", "healthy", lock("T", "--stuck-after", "100")["verdict"])
    done = run("check", "--stuck-after", "1", "T", status=3)
    ok("the text says that session may be meant", b"scope session may be meant" in done.stdout, done.stdout)


def busy_is_not_stuck():
    start("sh", "-c", "cat T/n; : >1; while :; do cat T/n >/dev/null; sleep 0.05; done", guard="command",
          stdout=-3)
    at("1")
    start(ACT, "cat T/n", guard="process")
    assert waiting("T", 1)
    time.sleep(3)
    same("a holder that goes on touching is not stuck", "healthy", lock("T", "--stuck-after", "2")["verdict"])


def split():
    act(*HOLD)
    at("1")
    old = os.stat("L").st_ino
    start("flock", "L", "true")
    assert waiting("L", 1)
    os.unlink("L")
    (work / "L").touch()
    locks = look("status", "L")["locks"]
    same("the lock file was replaced", [("free", os.stat("L").st_ino, str(work / "L"), 0),
                                        ("split", old, str(work / "L") + " (deleted)", 1)],
         sorted((k["verdict"], k["inode"], k["lock"], k["waiter_count"]) for k in locks))
    everything = {k["lock"]: k["verdict"] for k in look("status")["locks"]}
    same("found without a name as well", "split", everything.get(str(work / "L") + " (deleted)"))
    start("flock", "L", "sleep", "60")
    assert soon(lambda: len(look("holders", "L")["holders"]) == 2)
    same("both files have a holder", ["healthy", "split"],
         sorted(k["verdict"] for k in look("status", "L")["locks"]))
    same("check", 3, run("check", "L", status=3).returncode)


def deleted_by_name():
    """What is named may have been deleted while it was held: it is found all the same, by any of its names."""
    for name, words in (("L", ["L"]), ("U.lock", ["U", "U.lock"])):
        shutil.rmtree("U", ignore_errors=True)
        taker = act(f"open 0 {name} create", "flock 0 ex", "fork", f"mark {name}1", "await never", "end", f"mark {name}2",
                    f"await {name}2+", "_exit 0")
        at(f"{name}1")
        at(f"{name}2")
        waiter = start("flock", name, "true")
        assert waiting(name, 1)
        os.unlink(name)
        for word in words:
            told = lock(word)
            same(f"{word}: deleted while it was held", ("split", str(work / name) + " (deleted)", [waiter.pid], 1),
                 (told["verdict"], told["lock"], [w["pid"] for w in told["waiters"]], len(told["holders"])))
            same(f"{word}: check", 3, run("check", word, status=3).returncode)
        go(f"{name}2")
        taker.wait()
        told = lock(words[0])
        same(f"{words[0]}: and its taker has ended", ("split", 1, None), (told["verdict"], len(told["holders"]),
             next((h["pid"] for h in told["holders"] if h["pid"] in (None, taker.pid)), None)))
        kill(taker)
        kill(waiter)
        assert soon(lambda word=words[0]: run("status", word, status=None).returncode == 78)
    same("a word that means nothing", b"lockctl: there is neither a table nor a lock file 'L'\n",
         run("holders", "L", status=78).stderr)


def table_without_lock_file():
    """The same by the name of a table, which is there: its lock file was deleted, and replaced, and an heir of
    its taker holds the old one."""
    taker = act("open 0 T.lock create", "flock 0 ex", "fork", "mark 1", "await never", "end", "await 1+", "_exit 0")
    at("1")
    os.unlink("T.lock")
    go("1")
    taker.wait()
    for state in ("deleted", "replaced"):
        for word in ("T", "T.lock") if state == "replaced" else ("T",):
            told = [k for k in look("status", word)["locks"] if k["verdict"] != "free"]
            same(f"{word}: its lock file was {state} while it was held", [("split", str(work / "T.lock") + " (deleted)", 1)],
                 [(k["verdict"], k["lock"], len(k["holders"])) for k in told])
            same(f"{word}: {state}, holders", 1, len(look("holders", word)["holders"]))
            same(f"{word}: {state}, check", 3, run("check", word, status=3).returncode)
        (work / "T.lock").touch()
    kill(taker)
    assert soon(lambda: run("check", "T", status=None).returncode == 0)
    os.unlink("T.lock")


def many_other_takers():
    """One that was replaced is found among whoever holds something there."""
    others = [act(f"open 0 other{i}.lock create", "flock 0 ex", f"mark o{i}", "await never") for i in range(100)]
    holder = act("open 0 T.lock create", "flock 0 ex", "mark 1", "await never")
    at("1")
    for i in range(100):
        at(f"o{i}")
    os.unlink("T.lock")
    (work / "T.lock").touch()
    same("among a hundred", ["free", "split"], sorted(k["verdict"] for k in look("status", "T")["locks"]))
    for process in others + [holder]:
        kill(process)
    os.unlink("T.lock")


def a_directory_itself():
    process = act("open 0 T directory", "flock 0 sh", "mark 1", "await 1+")
    at("1")
    same("a directory that is locked itself, beside its lock file",
         [(str(work / "T"), "healthy", [process.pid]), (str(work / "T.lock"), "free", [])],
         sorted((k["lock"], k["verdict"], [h["pid"] for h in k["holders"]]) for k in look("status", "T")["locks"]))
    kill(process)
    same("and one that is not", [str(work / "T.lock")], [k["lock"] for k in look("status", "T")["locks"]])


def split_guarded():
    first = start(ACT, "cat T/n", "mark 1", "await 1+", guard="process")
    at("1")
    os.unlink("T.lock")
    second = start(ACT, "cat T/n", "mark 2", "await 2+", guard="process")
    at("2")
    told = {k["verdict"]: [h["pid"] for h in k["holders"]] for k in look("status", "T")["locks"]}
    same("guarded, two holders on two files", {"healthy": [second.pid], "split": [first.pid]}, told)
    os.rename("T.lock", "elsewhere")
    (work / "T.lock").touch()
    told = {k["lock"]: k["verdict"] for k in look("status", "T")["locks"]}
    same("the path's file is free now", "free", told.get(str(work / "T.lock")))


def crashed():
    process = start(ACT, "cat T/n", "put T/n 1", "mark 1", "await 1+", guard="process")
    at("1")
    same("before", "healthy", lock("T")["verdict"])
    kill(process)
    process.wait()
    told = lock("T")
    same("the holder died inside", ("crashed", []), (told["verdict"], told["holders"]))
    same("check", 3, run("check", "T", status=3).returncode)
    said = run("status", "T").stdout.decode()
    ok("what to do about it", "`lockctl recover LOCK`" in said and "break" not in said, said)
    start(ACT, "cat T/n", "mark 2", "await 2+", guard="process")
    at("2")
    same("held again", "healthy", lock("T")["verdict"])
    fine = start(ACT, "put U/n 1", guard="process", table="U")
    fine.wait()
    same("ended in order", "free", lock("U")["verdict"])


def first_thread_has_ended():
    process = state("leaderless", "L")
    time.sleep(0.1)
    told = lock("L")
    same("the first thread has ended, another goes on", ("healthy", [process.pid], ["S"]),
         (told["verdict"], [h["pid"] for h in told["holders"]], [h["state"] for h in told["holders"]]))
    kill(process, signal.SIGSTOP)
    same("and stops", True, soon(lambda: lock("L")["verdict"] == "stopped"))
    other = state("stopped-thread", "M")
    told = lock("M")
    same("taken by another thread", ("healthy", [other.pid]),
         (told["verdict"], [h["pid"] for h in told["holders"]]))


if __name__ == "__main__":
    main(free_and_healthy, stopped, orphaned, outage, command_is_no_orphan, stuck, busy_is_not_stuck, split,
         deleted_by_name, table_without_lock_file, many_other_takers, a_directory_itself, split_guarded, crashed,
         first_thread_has_ended)
