#!/usr/bin/env python3
"""Fifty programs add entries to three stores, guarded, under --on-crash rollback, while some are killed,
stopped and resumed, and their locks broken, all at random.

torture.py BUILD SECONDS [SEED]: tablestore, recutils and Python's dbm.dumb, a third of the programs each,
in scope process or as commands of lockctl run. Every few seconds all come to rest: then each store must
be sound by its own program's judgement and hold every entry whose program has ended with 0, none half-done,
none that was never added; no journal and no process may be left. Whose lock was broken is told that its
calls fail, but may have made its last one before: what that has acknowledged is not counted.
"""
import collections
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

BUILD, SECONDS = os.path.realpath(sys.argv[1]), float(sys.argv[2])
SEED = int(sys.argv[3]) if len(sys.argv) > 3 else random.randrange(1 << 30)
LOCKCTL, SHIM, TABLESTORE = BUILD + "/lockctl", BUILD + "/liblockshim.so", BUILD + "/tablestore"
PYTHON = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable
PROGRAMS = int(os.environ.get("PROGRAMS", "50"))
ROUND = float(os.environ.get("ROUND", "4"))  # seconds from one rest to the next
HANGS = 60.0  # seconds that no program needs for one entry, nor for coming to rest

DUMB_ADD = """import dbm.dumb, sys
with dbm.dumb.open(sys.argv[1], "c") as store:
    store[sys.argv[2]] = sys.argv[2] * 50
"""
DUMB_READ = """import dbm.dumb, json, os, sys
found = []
if os.path.exists(sys.argv[1] + ".dir"):
    with dbm.dumb.open(sys.argv[1], "r") as store:
        found = [key.decode() for key in store.keys()]
        assert all(store[key].decode() == key * 50 for key in found)
print(json.dumps(found))
"""
figures = collections.Counter()


class Wrong(Exception):
    pass


class Store:
    """A table, and by which programs entries get into it and are read."""

    def __init__(self, work):
        self.work = tempfile.mkdtemp(dir=work)
        self.temporary = self.work + "/tmp"  # of programs that are killed before they remove theirs
        os.mkdir(self.temporary)
        self.added, self.acknowledged = set(), set()
        self.running = {}  # session: Addition
        self.ended = []
        self.guard = threading.Lock()
        self.prepare()

    def note(self, *words):
        """For whoever wants to know how it came to what is wrong."""
        with open(self.work + "/history", "a", encoding="utf-8", errors="replace") as file:
            file.write(" ".join(["%.4f" % time.monotonic(), *map(str, words)]) + "\n")

    def fail(self, why):
        raise Wrong("%s: %s\nits history: %s/history" % (self.name, why, self.work))

    def read(self, *command):
        done = subprocess.run(command, env=self.environment("process"), capture_output=True, text=True, check=False,
                              timeout=HANGS)
        if done.returncode != 0:
            self.fail("not sound: %s: status %d: %s" % (" ".join(command), done.returncode, done.stderr))
        return done.stdout

    def environment(self, scope):
        kept = {k: v for k, v in os.environ.items() if not k.startswith("LOCKSHIM_") and k != "LD_PRELOAD"}
        kept["TMPDIR"] = self.temporary
        if scope == "process":
            kept.update(LD_PRELOAD=SHIM, LOCKSHIM_TABLE=self.table, LOCKSHIM_SCOPE=scope,
                        LOCKSHIM_ON_CRASH="rollback")
        return kept

    def check(self):
        for addition, said in self.ended:
            addition.judge(said)
        self.ended.clear()
        found = self.entries()
        if len(found) != len(set(found)):
            self.fail("entries are there twice")
        found = set(found)
        if self.acknowledged - found:
            self.fail("acknowledged and lost: %s" % sorted(self.acknowledged - found))
        if found - self.added:
            self.fail("never added: %s" % sorted(found - self.added))
        if os.path.exists(self.table + ".lock.undo"):
            self.fail("a journal is left")
        figures["checks"] += 1


class TableStore(Store):
    name = "tablestore"

    def prepare(self):
        self.table = self.work + "/people"
        subprocess.run([TABLESTORE, "create", self.table, "name:str"], check=True, capture_output=True)

    def add(self, key):
        return [TABLESTORE, "insert", self.table, "name=" + key]

    def entries(self):
        self.read(TABLESTORE, "verify", self.table)
        return re.findall(r"k[0-9]+x", self.read(TABLESTORE, "select", self.table, "--json"))


class RecUtils(Store):
    name = "recutils"
    FIXED = 200

    def prepare(self):
        self.table = self.work + "/books.rec"
        with open(self.table, "w", encoding="ascii") as file:
            file.write("%rec: Book\n%key: Id\n\n" + "".join(
                "Id: fixed%d\nText: %s\n\n" % (i, "x" * 300) for i in range(self.FIXED)))

    def add(self, key):
        return ["recins", "-t", "Book", "-f", "Id", "-v", key, self.table]

    def entries(self):
        self.read("recfix", "--check", self.table)
        words = self.read("recsel", "-t", "Book", "-P", "Id", self.table).split()
        if len([word for word in words if word.startswith("fixed")]) != self.FIXED:
            self.fail("entries of the start are lost")
        return [word for word in words if not word.startswith("fixed")]


class DumbStore(Store):
    name = "dbm.dumb"

    def prepare(self):
        self.table = self.work + "/D"
        os.mkdir(self.table)

    def add(self, key):
        return [PYTHON, "-S", "-c", DUMB_ADD, self.table + "/db", key]

    def entries(self):
        return json.loads(self.read(PYTHON, "-S", "-c", DUMB_READ, self.table + "/db"))


class Addition:
    """One program that adds an entry: in a session of its own, by which its processes are known."""
    numbers = iter(range(1 << 62))

    def __init__(self, store, chance):
        self.store, self.troubled, self.broken = store, False, False
        self.key = "k%dx" % next(self.numbers)
        scope = chance.choice(["process", "command"])
        command = store.add(self.key)
        if scope == "command":
            command = [LOCKCTL, "run", "--table", store.table, "--on-crash", "rollback", "--", *command]
        with store.guard:
            store.added.add(self.key)
            self.process = subprocess.Popen(command, env=store.environment(scope), stdout=subprocess.DEVNULL,
                                            stderr=subprocess.PIPE, text=True, start_new_session=True)
            store.running[self.process.pid] = self
            store.note(self.key, "begins as", self.process.pid, scope)

    def wait(self):
        try:
            _, said = self.process.communicate(timeout=HANGS)
        except subprocess.TimeoutExpired:
            self.store.fail("a program hangs: %s" % subprocess.run(
                ["ps", "-o", "pid,stat,wchan,args", "-s", str(self.process.pid)], capture_output=True, text=True,
                check=False).stdout)
        # Its lockctl may be gone, and it itself go on: it is a program that runs all the same.
        end = time.monotonic() + HANGS
        while self.process.returncode < 0 and processes_of({self.process.pid}):
            if time.monotonic() > end:
                self.store.fail("what is left of a program hangs")
            time.sleep(0.01)
        with self.store.guard:
            del self.store.running[self.process.pid]
            self.store.ended.append((self, said))
            self.store.note(self.key, "has ended:", self.process.returncode)

    def judge(self, said):
        """At rest: what was done to it may have been learnt after its end."""
        status = self.process.returncode
        if self.broken:
            figures["undecided"] += 1
        elif status == 0:
            self.store.acknowledged.add(self.key)
            figures["acknowledged"] += 1
        elif self.troubled:
            figures["failed"] += 1
        else:
            self.store.fail("%s: status %d: %s" % (self.key, status, said))


def processes_of(sessions):
    """All that run in one of these sessions: {pid: session}."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open("/proc/%s/stat" % name, encoding="utf-8", errors="replace") as file:
                    fields = file.read().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if fields[0] != "Z" and int(fields[3]) in sessions:
                found[int(name)] = int(fields[3])
    return found


def family_of(sessions):
    """The same, quickly: without those whose parent is gone."""
    found = {}
    for session in sessions:
        waiting = [session]
        while waiting:
            pid = waiting.pop()
            try:
                with open("/proc/%d/task/%d/children" % (pid, pid), encoding="ascii") as file:
                    waiting += map(int, file.read().split())
            except OSError:
                continue
            found[pid] = session
    return found


class Torture:
    def __init__(self, work):
        self.work = work
        self.resting, self.over, self.error = threading.Event(), threading.Event(), None
        self.stores = [kind(work) for kind in (TableStore, RecUtils, DumbStore)
                       if kind is not RecUtils or shutil.which("recins")]

    def run(self, body, *arguments):
        """In a thread; what goes wrong there ends all."""
        def guarded():
            try:
                body(*arguments)
            except Exception as error:  # whatever it is, it is told
                self.error = self.error or error
                self.over.set()
        thread = threading.Thread(target=guarded)
        thread.start()
        return thread

    def work_on(self, index):
        chance = random.Random(SEED + index)
        while not self.over.is_set() and not self.resting.is_set():
            Addition(self.stores[index % len(self.stores)], chance).wait()

    def victims(self, chance):
        store = chance.choice(self.stores)
        with store.guard:
            sessions = dict(store.running)
        return store, sessions, family_of(sessions)

    def trouble(self, seed, kind):
        chance = random.Random(SEED + seed)
        while not self.over.is_set() and not self.resting.is_set():
            store, sessions, processes = self.victims(chance)
            if processes:
                process = chance.choice(list(processes))
                kind(self, chance, store, sessions, processes, process)
            time.sleep(chance.random() * (0.02 if kind is Torture.break_lock else 0.1))

    def signal(self, sessions, processes, process, number):
        sessions[processes[process]].troubled = True
        sessions[processes[process]].store.note("signal", number, "to", process, "of", processes[process])
        try:
            os.kill(process, number)
        except ProcessLookupError:
            return False
        return True

    def kill(self, _chance, _store, sessions, processes, process):
        figures["kills"] += self.signal(sessions, processes, process, signal.SIGKILL)

    def stop(self, chance, _store, sessions, processes, process):
        """lockctl run stops with its command, so all of the session are resumed."""
        figures["stops"] += self.signal(sessions, processes, process, signal.SIGSTOP)
        time.sleep(chance.random() * 0.2)
        session = processes[process]
        for other in processes_of({session}):
            figures["resumes"] += self.signal(sessions, {other: session}, other, signal.SIGCONT)

    def break_lock(self, chance, store, sessions, processes, _process):
        words = chance.choice([[], ["--kill"], ["--force"], ["--force"], ["--force", "--kill"]])
        with store.guard:
            before = len(store.ended)
            store.note("break", *words)
        done = subprocess.run([LOCKCTL, "break", *words, store.table], capture_output=True, text=True, check=False,
                              env=store.environment("none"), timeout=HANGS)
        if done.returncode not in (0, 4):
            store.fail("break %s: status %d: %s%s" % (words, done.returncode, done.stdout, done.stderr))
        store.note("break:", done.returncode, done.stdout, done.stderr)
        # Named are those that it has been at; who was not broken after all is harmed by no doubt.
        named = [int(pid) for pid in re.findall(r"^  process ([0-9]+)", done.stdout, re.M)]
        with store.guard:
            around = {**sessions, **store.running, **{a.process.pid: a for a, _ in store.ended[before:]}}
        processes = {**family_of(around), **processes}
        for pid in named:
            session = processes.get(pid, pid)
            # One that came and went meanwhile may have been any of them.
            for addition in [around[session]] if session in around else around.values():
                addition.broken = addition.troubled = True
        figures["breaks"] += "\nfreed" in done.stdout
        figures["refused"] += done.returncode == 4
        figures["killed by break"] += "\nkilling" in done.stdout

    def one_round(self):
        self.resting.clear()
        threads = [self.run(self.work_on, index) for index in range(PROGRAMS)]
        kinds = [Torture.kill, Torture.stop, Torture.stop] + 4 * [Torture.break_lock]
        seed = random.randrange(1 << 30)
        threads += [self.run(self.trouble, seed + i, kind) for i, kind in enumerate(kinds)]
        self.over.wait(ROUND)
        self.resting.set()
        for thread in threads:
            thread.join()
        if self.error is not None:
            raise self.error
        for index, store in enumerate(self.stores):
            store.check()
            if len(store.added) > 300:
                shutil.rmtree(store.work)
                self.stores[index] = type(store)(self.work)


def main():
    random.seed(SEED)
    work = tempfile.mkdtemp(prefix="lockshim-torture-")
    torture = Torture(work)
    end = time.monotonic() + SECONDS
    try:
        while time.monotonic() < end or figures["checks"] == 0:
            torture.one_round()
    except Wrong as wrong:
        print("not ok seed %d: %s\n    kept in %s" % (SEED, str(wrong).replace("\n", "\n    "), work))
        print("0 passed, 1 failed")
        return 1
    finally:
        for store in torture.stores:
            for process in processes_of(set(store.running)):
                os.kill(process, signal.SIGKILL)
    shutil.rmtree(work)
    print("ok %d programs at a time, seed %d: %d killed, %d stopped, %d resumed, %d locks broken (%d refused), %d "
          "programs killed by break" % (PROGRAMS, SEED, figures["kills"], figures["stops"], figures["resumes"],
                                        figures["breaks"], figures["refused"], figures["killed by break"]))
    print("ok %d entries acknowledged, none lost; %d undecided, %d failed; no store half-done in %d checks" % (
        figures["acknowledged"], figures["undecided"], figures["failed"], figures["checks"]))
    print("2 passed, 0 failed")
    return 0


sys.exit(main())
