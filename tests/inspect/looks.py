#!/usr/bin/python3
"""What is told, to whom: columns, times, hostile names, ordinary users, namespaces, crowds."""
import json
import os
import re
import shutil
import subprocess
import time

import common
from common import (ACT, LOCKCTL, SHIM, act, at, kill, lock, look, main, ok, run, same, skip, soon, start, state,
                    waiting, work)

HOLD = ("open 0 L create", "flock 0 ex", "mark 1", "await 1+")
SLACK = 0.05


def between(name, low, value, high):
    ok(f"{name}: within 50 ms", value is not None and low - SLACK <= value <= high + SLACK,
       f"{low} <= {value} <= {high}")


def times():
    before = time.monotonic()
    holder = start(ACT, "cat T/n", "mark 1", "await 1+", guard="process")
    at("1")
    held = time.monotonic()
    started = time.monotonic()
    waiter = start(ACT, "cat T/n", guard="process")
    assert waiting("T", 1)
    queued = time.monotonic()
    time.sleep(0.7)
    asked = time.monotonic()
    told = lock("T")
    answered = time.monotonic()
    between("held", asked - held, told["holders"][0]["held_seconds"], answered - before)
    between("waited", asked - queued, told["waiters"][0]["waited_seconds"], answered - started)
    same("of the lock", (told["holders"][0]["held_seconds"], told["waiters"][0]["waited_seconds"]),
         (told["held_seconds"], told["longest_wait_seconds"]))
    same("who", ([holder.pid], [waiter.pid], True, True),
         ([h["pid"] for h in told["holders"]], [w["pid"] for w in told["waiters"]],
          told["holders"][0]["guarded"], told["waiters"][0]["guarded"]))
    same("what", (f"{ACT} cat T/n mark 1 await 1+", "root", 0),
         tuple(told["holders"][0][key] for key in ("command", "user", "uid")))
    ok("a guarded holder can be fenced", told["holders"][0]["fenceable"])
    same("table", str(work / "T"), told["table"])


def columns():
    process = act(*HOLD)
    at("1")
    help_text = run("status", "--help").stdout.decode()
    names = re.findall(r"^  ([A-Z]+) ", help_text.split("Columns:")[1], re.M)
    same("help is within 80 columns", [], [k for k in help_text.splitlines() if len(k) > 80])
    for command in ("status", "holders", "waiters", "deadlocks"):
        text = run(command, "--help").stdout.decode()
        for name in re.findall(r"^  ([A-Z]+) ", text.split("Columns:")[1], re.M):
            done = run(command, "-o", name, *(["L"] if command != "deadlocks" else []), status=0)
            ok(f"{command} -o {name}", not done.stderr and
               (done.stdout.decode().split() or [name])[0] == name, done)
    lines = run("status", "-o", "+INODE", "L").stdout.decode().splitlines()
    ok("-o + adds one", lines[0].split()[-1] == "INODE" and lines[1].split()[-1] ==
       str(os.stat("L").st_ino), lines)
    command = f"{ACT} {' '.join(HOLD)}"
    for name, value in (("COMMAND", command), ("user", "root"), ("Uid", "0"), ("PID,uID", f"{process.pid} 0")):
        same(f"-o {name} alone", value, " ".join(run("status", "-n", "-o", name, "L").stdout.decode().split()))
        same(f"-o {name} alone, in JSON", [value], [
            " ".join(map(str, k.values())) for k in json.loads(run("status", "-J", "-o", name, "L").stdout)["locks"]])
    same("--raw and --noheadings", f"{process.pid} exclusive\n",
         run("status", "-nr", "-o", "PID,MODE", "L").stdout.decode())
    same("-o with --json", {"locks": [{"pid": process.pid, "verdict": "healthy"}]},
         json.loads(run("status", "-J", "-o", "PID,VERDICT", "L").stdout))
    same("LOCKCTL_COLUMNS", "PID MODE", " ".join(run("status", "L", env=dict(
        os.environ, LOCKCTL_COLUMNS="PID,MODE")).stdout.decode().splitlines()[0].split()))
    same("a column that is none", (2, b"lockctl: status: 'X' is no column; --help lists them\n"),
         (lambda d: (d.returncode, d.stderr))(run("status", "-o", "X", status=2)))
    same("no such lock", 78, run("status", "nothing.lock", status=78).returncode)
    ok("every column has a heading in help", len(names) > 10, names)


def hostile():
    names = [b"esc\x1b[31m\x07", b"new\nline", b"bad\xff\xfe\x80", "ünï\u009b31m".encode(), b'quo"te\\',
             b"x (deleted)", b"%s%n%d"]
    for name in names:
        path = b"L" + name
        process = start("flock", path, "sh", "-c", ": >1; exec sleep 60", b"\x1b]0;evil\x07\n" + name)
        at("1")
        os.unlink("1")
        told = lock(path)
        same(f"{name!r}: JSON", (os.path.join(os.fsencode(work), path).decode(errors="replace"),
                                 "healthy", process.pid),
             (told["lock"], told["verdict"], told["holders"][0]["pid"]))
        for words in (["status", path], ["holders", path], ["status", "-r", path], ["check", path],
                      ["holders", "--tree", path], ["status"]):
            out = run(*words).stdout
            bad = [b for b in out.replace(b"\n", b"") if b < 32 or b == 127]
            ok(f"{name!r}: {words[0]}: no control characters", not bad and b"\xc2\x9b" not in out, out)
        ok(f"{name!r}: a line a lock", run("status", "-n", path).stdout.count(b"\n") == 1)
    long = "x" * 100000
    start("flock", "L", "sh", "-c", ": >1; sleep 60", long)
    at("1")
    ok("a long command line is whole in JSON", long in lock("L")["holders"][0]["command"])
    ok("and in holders' JSON", long in look("holders", "L")["holders"][0]["command"])


def layout():
    """What goes into a pipe is laid out as on a terminal that is wide enough, byte by byte."""
    for name in (b"plain", "ünï漢e\u0301".encode(), b"bad\xff\xfe\x80", b"back\\x41", b"new\nline"):
        start("flock", b"L" + name, "sh", "-c", "sleep 60", b"argument " + name)
    start("flock", "Lplain", "true")
    soon(lambda: run("status", "-n").stdout.count(str(work).encode()) >= 5 and waiting("Lplain", 1))
    for words in ("status -o LOCK,MODE,PID,USER,WAITERS,VERDICT,COMMAND", "status -o PID,LOCK,USER,UID", "holders -o LOCK,PID",
                  "waiters -n -o PID,COMMAND,LOCK", "status -o COMMAND"):
        command = f"stty cols 2000; {LOCKCTL} {words} {work}/L*"
        done = subprocess.run(["script", "-qec", f"sh -c '{command}'", "/dev/null"], stdout=subprocess.PIPE, timeout=60,
                              stdin=subprocess.DEVNULL, check=True)
        there = [line.rstrip() for line in done.stdout.replace(b"\r", b"").splitlines()]
        here = [line.rstrip() for line in subprocess.run(["sh", "-c", command.split("; ")[1]], stdout=subprocess.PIPE,
                                                         timeout=60, check=True).stdout.splitlines()]
        same(words, there, here)


MANY = """
import fcntl, os
files = []
numbered = [f"{i:03}" for i in range(100)]  # the others among them: the list is made after the first few
for name in numbered[:50] + ["linked", "deleted", "replaced", "renamed", "../elsewhere"] + numbered[50:]:
    files.append(os.open(f"many/{name}", os.O_CREAT | os.O_RDWR))
    fcntl.flock(files[-1], fcntl.LOCK_EX)
for i in range(8):
    os.link("many/linked", f"many/another name {i}")
os.unlink("many/deleted")
os.rename("many/000", "many/replaced")
os.rename("many/renamed", "many/new name")
open("1", "w").close()
input()
"""


def many_in_one_directory():
    """Names are found by the list of the directory, where that tells the truth; with a registry among them, too."""
    (work / "many/table").mkdir(parents=True)
    (work / "many/table/n").touch()
    holder = start("/usr/bin/python3", "-c", MANY, stdin=subprocess.PIPE)
    at("1")
    expected = {str(work / f"many/{i:03}"): "healthy" for i in range(1, 100)}
    expected |= {str(work / "many/linked"): "healthy", str(work / "many/deleted") + " (deleted)": "split",
                 str(work / "many/replaced") + " (deleted)": "split", str(work / "many/replaced"): "healthy",
                 str(work / "many/new name"): "healthy", str(work / "elsewhere"): "healthy"}
    for registry in (False, True):
        if registry:
            guarded = start(ACT, "cat many/table/n", "mark 2", "await 2+", guard="process", table="many/table")
            at("2")
            expected[str(work / "many/table.lock")] = "healthy"
            shutil.copy("many/table.lock.registry", "many/095.registry")
        locks = [k for k in look("status")["locks"] if (k["lock"] or "").startswith(str(work))]
        same(f"each by its name, {'with' if registry else 'without'} a registry", expected,
             {k["lock"]: k["verdict"] for k in locks})
        same("registries are read", [str(work / "many/095"), str(work / "many/table.lock")] if registry else [],
             sorted(k["lock"] for k in locks if k["generation"] is not None))
        same("all holders", {holder.pid, guarded.pid} if registry else {holder.pid},
             {h["pid"] for k in locks for h in k["holders"]})


SCATTERED = """
import fcntl, os, sys, time
files = {}
for i in range(600):
    file = os.open(f"D/{i}", os.O_CREAT | os.O_RDWR)
    fcntl.flock(file, fcntl.LOCK_EX)
    if i % 3 == 0:
        high = fcntl.fcntl(file, fcntl.F_DUPFD_CLOEXEC, 700 + i // 3)
        os.close(file)
        file = high
    files[i] = file
child = os.fork()
if child == 0:
    for i, file in files.items():
        if i not in (40, 42):
            os.close(file)
    time.sleep(600)
os.close(files[40])
os.close(files[42])
print(child, flush=True)
time.sleep(600)
"""


def scattered_descriptors():
    """Wherever among its descriptors a process has its many locks, and those that only its child still has."""
    (work / "D").mkdir()
    holder = start("/usr/bin/python3", "-c", SCATTERED, stdout=subprocess.PIPE)
    child = int(holder.stdout.readline())
    expected = {str(work / f"D/{i}"): [child] if i in (40, 42) else [holder.pid] for i in range(600)}
    same("the holders of 600 locks of one process and its child", expected,
         {k["lock"]: [h["pid"] for h in k["holders"]] for k in look("status")["locks"]
          if (k["lock"] or "").startswith(str(work))})


def as_nobody(*words):
    command = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", LOCKCTL, *words]
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, check=False)


def can_be_nobody():
    globals()["LOCKCTL"] = common.LOCKCTL
    if as_nobody("--version").returncode == 0:
        return True
    # What was built lies where nobody may go.
    copy = work / "lockctl"
    for suffix in ("", "-inspect"):
        shutil.copy(common.LOCKCTL + suffix, f"{copy}{suffix}")
        os.chmod(f"{copy}{suffix}", 0o755)
    globals()["LOCKCTL"] = str(copy)
    return as_nobody("--version").returncode == 0


def ordinary_user():
    if not can_be_nobody():
        skip("an ordinary user: no way to run as one")
        return
    process = act(*HOLD)
    at("1")
    guarded = start(ACT, "cat T/n", "mark 2", "await 2+", guard="process")
    at("2")
    os.chmod("T.lock.registry", 0o644)
    told = json.loads(as_nobody("status", "--json", "L").stdout)["locks"][0]
    same("an ordinary user sees who holds a named lock", ("healthy", process.pid, "root", 0),
         (told["verdict"], told["holders"][0]["pid"], told["holders"][0]["user"],
          told["holders"][0]["uid"]))
    told = json.loads(as_nobody("status", "--json", "T").stdout)["locks"][0]
    same("and a guarded one", (guarded.pid, True),
         (told["holders"][0]["pid"], told["holders"][0]["guarded"]))
    done = as_nobody("status")
    ok("without a name the file is not known, which is said", f"inode {os.stat('L').st_ino} on device"
       in done.stdout.decode() and b"only their user or root can look" in done.stdout, done)
    kill(process)
    parent = act("open 0 L create", "flock 0 ex", "fork", "mark 3", "await 3+", "end", "_exit 0")
    at("3")
    parent.wait()
    done = as_nobody("status", "--json", "L")
    told = json.loads(done.stdout)["locks"][0]
    same("an orphan's heir is not guessed", ("orphaned", None),
         (told["verdict"], told["holders"][0]["pid"]))
    ok("it is said not to be visible", b"not visible from here" in as_nobody("status", "L").stdout)


def namespaces():
    if subprocess.run(["unshare", "-pf", "--mount-proc", "true"], check=False).returncode != 0:
        skip("PID namespaces: not allowed here")
        return
    inside = ["unshare", "-pf", "--mount-proc", "--"]

    def look_inside(*words):
        done = subprocess.run([*inside, LOCKCTL, "status", "--json", *words], stdout=subprocess.PIPE,
                              timeout=60, check=False)
        return json.loads(done.stdout)["locks"]

    start(ACT, "cat T/n", "mark 1", "await 1+", guard="process")
    at("1")
    told = look_inside("T")[0]
    same("from inside, a guarded holder outside", ("healthy", [None], "exclusive"),
         (told["verdict"], [h["pid"] for h in told["holders"]], told["mode"]))
    ok("its time is known", told["held_seconds"] is not None)
    said = subprocess.run([*inside, LOCKCTL, "status", "T"], stdout=subprocess.PIPE, check=False).stdout
    ok("it is said not to be visible", b"not visible from here" in said, said)
    process = start(*inside, ACT, "cat U/n", "mark 2", "await 2+", guard="process", table="U")
    at("2")
    waiter = start(*inside, ACT, "cat U/n", guard="process", table="U")
    told = soon(lambda: [k for k in look("status", "U")["locks"] if k["waiter_count"] == 1])
    ok("from outside, holder and waiter inside", told and told[0]["holders"][0]["guarded"] and
       told[0]["holders"][0]["pid"] > process.pid and told[0]["waiters"][0]["pid"] > waiter.pid and
       told[0]["verdict"] == "healthy", told)
    os.chmod("U.lock.registry", 0o644)
    if can_be_nobody():
        done = as_nobody("waiters", "--json", "U")
        same("an ordinary user sees who waits inside", [told[0]["waiters"][0]["pid"]],
             [row["pid"] for row in json.loads(done.stdout)["waiters"]])
    script = (f"{ACT} 'open 0 M create' 'flock 0 ex' fork 'mark 3' 'await 3+' end '_exit 0';"
              f"while [ ! -e 3 ]; do sleep 0.02; done; {LOCKCTL} status --json M >out")
    subprocess.run([*inside, "sh", "-c", script], timeout=60, check=True)
    told = json.loads((work / "out").read_text())["locks"][0]
    ok("inside, where the kernel's list leaves it out: an orphan", told["verdict"] == "orphaned"
       and told["holders"][0]["command"].startswith(ACT), told)


def undisturbed():
    """lockctl under the shim, with the table held: it neither waits nor touches nor leaves a file."""
    start(ACT, "cat T/n", "mark 1", "await 1+", guard="process")
    at("1")
    before = sorted(os.listdir(work)) + sorted(os.listdir(work / "T"))
    environment = dict(os.environ, LD_PRELOAD=SHIM, LOCKSHIM_TABLE=str(work / "T"), LOCKSHIM_TIMEOUT="0")
    for words in (["status"], ["status", "T"], ["holders", "T"], ["check", "T"], ["deadlocks"]):
        done = run(*words, status=None, env=environment)
        ok(f"under the shim: {' '.join(words)}", done.returncode in (0, 3) and not done.stderr, done)
    for words in (["status", "U"], ["check", "U"], ["waiters", "U"]):
        run(*words)
    same("no file is left", before, sorted(os.listdir(work)) + sorted(os.listdir(work / "T")))


def forged_registry():
    start(ACT, "cat T/n", "mark 1", "await 1+", guard="process")
    at("1")
    size = os.path.getsize("T.lock.registry")
    for fill in (b"", b"\0" * size, b"\xff" * size, os.urandom(size)):
        with open("T.lock.registry", "rb+") as registry:
            head = registry.read(24)
            registry.seek(0)
            registry.truncate(0 if not fill else size)
            registry.write(head[:24 if fill else 0] + fill[24:])
        told = lock("T")
        same("a registry of other bytes: the kernel's holder stays", (1, "exclusive"),
             (len([h for h in told["holders"] if h["pid"]]), told["mode"]))
        os.unlink("T.lock.registry")
        with open("T.lock.registry", "wb") as registry:
            registry.write(head)
    os.unlink("T.lock.registry")
    told = lock("T")
    same("without a registry", (1, None, True),
         (len(told["holders"]), told["held_seconds"], told["holders"][0]["guarded"]))


def crowds():
    holder = state("waiters", "1500", "L")
    soon(lambda: lock("L")["waiter_count"] == 1500, 60)
    told = lock("L")
    same("1,500 children wait, and the holder does not wait for them", (1500, [holder.pid], "healthy"),
         (told["waiter_count"], [h["pid"] for h in told["holders"]], told["verdict"]))
    # A list of one long record, behind others that come and go.
    busy = [start("/usr/bin/python3", "-c", "import fcntl\nwith open('M', 'w') as f:\n while 1:\n"
                  "  fcntl.flock(f, fcntl.LOCK_EX); fcntl.flock(f, fcntl.LOCK_UN)") for _ in range(2)]
    time.sleep(0.2)
    same("nor is it left out, or told twice, while others come and go", {1500},
         {lock("L")["waiter_count"] for _ in range(15)})
    for process in busy:
        kill(process)
    rows = look("waiters", "L")["waiters"]
    same("a row each", (1500, 1500), (len(rows), len({row["pid"] for row in rows})))
    common.fresh()
    workers = [start(ACT, "add 100000 T/n", guard="session") for _ in range(25)]
    workers += [start("sh", "-c", "while :; do flock M true; done") for _ in range(25)]
    time.sleep(0.5)
    stale = set()
    for _ in range(30):
        stale |= {(k["lock"], k["verdict"]) for k in look("status", "T", "M")["locks"]
                  if k["verdict"] not in ("free", "healthy")}
    same("fifty at work: nothing stale in thirty looks", set(), stale)
    ok("they are seen to wait", look("status", "T")["locks"][0]["waiter_count"] > 5)
    for _ in range(5):
        done = run("check", status=None)
        ok("check of everything, meanwhile", str(work).encode() not in done.stdout, done.stdout)
    for worker in workers:
        kill(worker)


if __name__ == "__main__":
    main(times, columns, hostile, layout, many_in_one_directory, scattered_descriptors, ordinary_user, namespaces, undisturbed, forged_registry, crowds)
