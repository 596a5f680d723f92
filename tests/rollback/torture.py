"""Random kills of real programs under --on-crash rollback.

torture.py BUILD SECONDS: tablestore, recutils and Python's dbm.dumb, several processes of each at once on
one table, each adding one entry; most are killed (SIGKILL) at a random moment. After every batch the
table must be sound by its own program's judgement, must hold every entry whose program ended with 0, and
nothing that was never added; and no journal may be left.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

BUILD = os.path.realpath(sys.argv[1])
SECONDS = float(sys.argv[2])
BATCH = int(os.environ.get("TORTURE_BATCH", "6"))
SCOPE = os.environ.get("SCOPE", "process")
RENEW = 150  # entries, after which a fresh table is taken

DUMB_ADD = """import dbm.dumb, sys
with dbm.dumb.open(sys.argv[1], "c") as store:
    store[sys.argv[2]] = sys.argv[2] * 50
"""
DUMB_READ = """import dbm.dumb, json, sys
with dbm.dumb.open(sys.argv[1], "r") as store:
    found = {key.decode(): store[key].decode() for key in store.keys()}
for key, value in found.items():
    assert value == key * 50, (key, value)
print(json.dumps(sorted(found)))
"""


class Store:
    """One kind of store: how an entry is added, and how all of them are read."""

    def __init__(self, name):
        self.name = name
        self.work = None
        self.kills = self.acknowledged_ever = self.checks = 0
        self.duration = 0.1

    def renew(self):
        if self.work is not None:
            shutil.rmtree(self.work)
        self.work = tempfile.mkdtemp(prefix=f"lockshim-torture-{self.name}-")
        self.temporary = f"{self.work}/tmp"  # of programs that are killed before they remove theirs
        os.mkdir(self.temporary)
        self.added, self.acknowledged = set(), set()
        self.prepare()

    def environment(self):
        return dict(os.environ, TMPDIR=self.temporary, LD_PRELOAD=f"{BUILD}/liblockshim.so",
                    LOCKSHIM_TABLE=self.table(), LOCKSHIM_SCOPE=SCOPE, LOCKSHIM_ON_CRASH="rollback")

    def read(self, command):
        result = subprocess.run(command, env=self.environment(), capture_output=True, check=False,
                                cwd=self.work)
        if result.returncode != 0:
            self.fail(f"{command[0]}: status {result.returncode}: {result.stdout.decode()}"
                      f"{result.stderr.decode()}")
        return result.stdout.decode()

    def fail(self, why):
        sys.exit(f"not ok {self.name}: {why}\n    kept in {self.work}")

    def check(self):
        found = self.entries()
        lost = self.acknowledged - found
        if lost:
            self.fail(f"acknowledged and lost: {sorted(lost)}")
        if not found <= self.added:
            self.fail(f"never added: {sorted(found - self.added)}")
        left = [name for name in os.listdir(self.work) if name.endswith(".undo")]
        if left:
            self.fail(f"left behind: {left}")
        self.checks += 1


class TableStore(Store):
    def table(self):
        return f"{self.work}/people"

    def prepare(self):
        subprocess.run([f"{BUILD}/tablestore", "create", self.table(), "name:str"], check=True,
                       capture_output=True)

    def add(self, key):
        return [f"{BUILD}/tablestore", "insert", self.table(), f"name={key}"]

    def entries(self):
        self.read([f"{BUILD}/tablestore", "verify", self.table()])
        rows = self.read([f"{BUILD}/tablestore", "select", self.table(), "--json"])
        found = [key for key in self.added if f'"{key}"' in rows]
        return set(found)


class RecUtils(Store):
    def table(self):
        return f"{self.work}/books.rec"

    def prepare(self):
        with open(self.table(), "w", encoding="ascii") as file:
            file.write("%rec: Book\n%key: Id\n\n" + "".join(
                f"Id: fixed{i}\nText: {'x' * 300}\n\n" for i in range(200)))

    def add(self, key):
        return ["recins", "-t", "Book", "-f", "Id", "-v", key, self.table()]

    def entries(self):
        self.read(["recfix", "--check", self.table()])
        words = self.read(["recsel", "-t", "Book", "-P", "Id", self.table()]).split()
        if len([word for word in words if word.startswith("fixed")]) != 200:
            self.fail("entries of the start are lost")
        return {word for word in words if not word.startswith("fixed")}


class DumbStore(Store):
    def table(self):
        return f"{self.work}/D"

    def prepare(self):
        os.mkdir(self.table())

    def add(self, key):
        return [sys.executable, "-S", "-c", DUMB_ADD, f"{self.table()}/db", key]

    def entries(self):
        if not os.path.exists(f"{self.table()}/db.dir"):
            self.read(["ls", self.table()])
            return set() if not os.path.exists(f"{self.table()}/db.dir") else self.entries()
        return set(json.loads(self.read([sys.executable, "-S", "-c", DUMB_READ,
                                         f"{self.table()}/db"])))


def run_batch(store, number):
    """Starts some, kills most of them, each at a moment of its own."""
    running = []
    begin = time.monotonic()
    for index in range(BATCH):
        key = f"k{number}x{index}"
        store.added.add(key)
        process = subprocess.Popen(store.add(key), env=store.environment(), cwd=store.work,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        doomed = random.random() < 0.8
        moment = begin + random.random() * store.duration * (BATCH + 1) if doomed else None
        running.append((moment, process, key))
    for moment, process, key in sorted(running, key=lambda item: (item[0] is None, item[0] or 0)):
        if moment is None:
            continue
        time.sleep(max(0.0, moment - time.monotonic()))
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
    for moment, process, key in running:
        status = process.wait()
        if status == -signal.SIGKILL:
            store.kills += 1
        elif status == 0:
            store.acknowledged.add(key)
            store.acknowledged_ever += 1
        else:
            store.fail(f"{store.add(key)}: status {status}")
    if all(moment is None for moment, _, _ in running):
        store.duration = 0.9 * store.duration + 0.1 * (time.monotonic() - begin) / BATCH
    store.check()


def measure(store):
    begin = time.monotonic()
    for index in range(3):
        key = f"m{index}"
        store.added.add(key)
        subprocess.run(store.add(key), env=store.environment(), check=True, cwd=store.work,
                       stdout=subprocess.DEVNULL)
        store.acknowledged.add(key)
    store.duration = (time.monotonic() - begin) / 3


def main():
    stores = [TableStore("tablestore"), RecUtils("recutils"), DumbStore("dbm.dumb")]
    if shutil.which("recins") is None:
        stores.pop(1)
    for store in stores:
        store.renew()
        measure(store)
    end = time.monotonic() + SECONDS
    number = 0
    while time.monotonic() < end:
        number += 1
        for store in stores:
            if len(store.added) > RENEW:
                store.renew()
            run_batch(store, number)
    for store in stores:
        print(f"ok {store.name}, scope {SCOPE}: {store.kills} killed, {store.acknowledged_ever} "
              f"acknowledged and none lost; sound in each of {store.checks} checks")
        shutil.rmtree(store.work)


main()
