"""Kills at every system call: of one who changes a table, and of one who rolls that back.

every-call.py BUILD [KIND...]: for each kind of change, and each N: a fresh table, a process killed as
it enters its N-th system call, and the table must be as before, or as after if the process had let go;
metadata too. For some N the next to come is killed as well, at its first call, the one after it at its
second, and so on until one gets through. Nothing of a journal may be left.
"""

import hashlib
import os
import shutil
import stat
import subprocess
import sys
import tempfile

KINDS = ["in-place", "replace", "names", "shared", "directories", "streams", "mapping", "large",
         "parts", "mixed", "sessions", "family"]
EVERY = int(os.environ.get("RECOVERY_EVERY", "9"))  # for which N the recovery is killed too
SCOPES = os.environ.get("SCOPES", "process").split()


def content(path):
    with open(path, "rb") as file:
        return hashlib.sha1(file.read()).hexdigest()


def snapshot(root, times):
    """What there is, by path: type, mode, owner, link count, content, and the times of files."""
    found = {}
    for directory, directories, files in os.walk(root):
        for name in directories + files:
            path = os.path.join(directory, name)
            status = os.lstat(path)
            entry = [stat.filemode(status.st_mode), status.st_uid, status.st_gid]
            if stat.S_ISREG(status.st_mode):
                entry += [content(path), status.st_nlink,
                          sorted((key, os.getxattr(path, key)) for key in os.listxattr(path))]
            if stat.S_ISLNK(status.st_mode):
                entry.append(os.readlink(path))
            if times and not stat.S_ISLNK(status.st_mode):
                entry.append(status.st_mtime_ns)
            found[os.path.relpath(path, root)] = entry
    return found


def make_table(root):
    os.makedirs(f"{root}/sub")
    os.makedirs(f"{root}/empty")
    os.makedirs(f"{root}/deep/deeper")
    for number, name in enumerate(["a", "c", "sub/b", "sub/d", "deep/deeper/leaf", "twin1", "big"]):
        with open(f"{root}/{name}", "w", encoding="ascii") as file:
            file.write(name * (20000 if name == "big" else 40))
        os.chmod(f"{root}/{name}", 0o640 + number % 5)
    for name in ["wide", "broad", "broad2"]:
        with open(f"{root}/{name}", "w", encoding="ascii") as file:
            file.writelines(f"{name} {line}\n" for line in range(20000))
    os.link(f"{root}/twin1", f"{root}/twin2")
    os.symlink("sub/b", f"{root}/link")
    with open(f"{root}/sparse", "wb") as file:
        file.seek(3 << 20)
        file.write(b"end")
    os.setxattr(f"{root}/a", "user.note", b"kept")
    if os.geteuid() == 0:
        os.chown(f"{root}/c", 12, 34)
    os.chmod(f"{root}/empty", 0o711)
    for directory, directories, files in os.walk(root):
        for name in directories + files:
            path = os.path.join(directory, name)
            if not os.path.islink(path):
                os.utime(path, ns=(10**18, 10**18 + 123456789))


def in_memory():
    """A file system in memory, where making a table anew costs no disk, if it has attributes."""
    if "TMPDIR" in os.environ:
        return None
    try:
        with tempfile.NamedTemporaryFile(dir="/dev/shm") as file:
            os.setxattr(file.name, "user.note", b"kept")
        return "/dev/shm"
    except OSError:
        return None


class Test:
    def __init__(self, build, scope):
        self.build = build
        self.work = tempfile.mkdtemp(prefix="lockshim-every-call-", dir=in_memory())
        self.pristine = f"{self.work}/pristine"
        self.table = f"{self.work}/T"
        make_table(self.pristine)
        self.before = snapshot(self.pristine, True)
        self.environment = dict(os.environ, LD_PRELOAD=f"{build}/liblockshim.so",
                                LOCKSHIM_TABLE=self.table, LOCKSHIM_SCOPE=scope,
                                LOCKSHIM_ON_CRASH="rollback")
        self.environment.update(item.split("=") for item in os.environ.get("EXTRA", "").split())

    def fresh(self):
        for name in os.listdir(self.work):
            if name != "pristine":
                path = f"{self.work}/{name}"
                shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)
        subprocess.run(["cp", "-a", self.pristine, self.table], check=True)
        with open(f"{self.work}/incoming", "w", encoding="ascii") as file:
            file.write("from outside")

    def run(self, command, kill_at=None):
        if kill_at is not None:
            command = [f"{self.build}/rollback/kill_at", str(kill_at)] + command
            environment = dict(os.environ)
            command[2:2] = ["env"] + [f"{key}={self.environment[key]}" for key in self.environment
                                      if key.startswith(("LOCKSHIM_", "LD_PRELOAD"))]
        else:
            environment = self.environment
        return subprocess.run(command, env=environment, capture_output=True, check=False)

    def change(self, kind, kill_at=None):
        result = self.run([f"{self.build}/rollback/change", kind, self.table], kill_at)
        if result.returncode not in (0, 9):
            sys.exit(f"not ok {kind}: {result.returncode}: {result.stderr.decode()}")
        return result.returncode == 9

    def recover(self, kill_at=None):
        result = self.run([f"{self.build}/e2e/act", f"open 0 {self.table}/c r"], kill_at)
        return result.returncode == 9

    def judge(self, what, after):
        left = sorted(name for name in os.listdir(self.work) if name.endswith(".undo"))
        now = snapshot(self.table, True)
        if now == self.before:
            verdict = "before"
        elif snapshot(self.table, False) == after:
            verdict = "after"
        else:
            verdict = "between"
        if verdict == "between" or left:
            print(f"not ok {what}: {verdict} {left}")
            for path in sorted(set(now) | set(self.before)):
                if now.get(path) != self.before.get(path):
                    print(f"    {path}: {self.before.get(path)} -> {now.get(path)}")
            print(f"    kept in {self.work}")
            sys.exit(1)
        return verdict


def stable(found):
    """Without the names that mkstemp makes up."""
    return {path: entry for path, entry in found.items() if not path.startswith(("tmp-", "dir-"))}


def check_kind(test, kind, scope):
    test.fresh()
    if test.change(kind):
        sys.exit(f"not ok {kind}: killed without being asked to")
    after = snapshot(test.table, False)
    seen = {"before": 0, "after": 0}
    recoveries = 0
    number = 0
    while True:
        number += 1
        test.fresh()
        killed = test.change(kind, number)
        if number % EVERY == 0:
            recovery = 0
            while test.recover(recovery + 1):  # each goes on where the last one was killed
                recovery += 1
                recoveries += 1
        test.recover()
        if kind == "names":
            now = stable(snapshot(test.table, False))
            verdict = "after" if now == stable(after) else test.judge(f"{kind} at {number}", after)
            left = [name for name in os.listdir(test.work) if name.endswith(".undo")]
            if left:
                sys.exit(f"not ok {kind} at {number}: {left} is left")
        else:
            verdict = test.judge(f"{scope}, {kind}, killed at {number}", after)
        seen[verdict] += 1
        if not killed:
            break
    if seen["before"] == 0 or seen["after"] == 0:
        sys.exit(f"not ok {kind}: {seen}")
    print(f"ok {scope}, {kind}: killed at each of {number - 1} calls: "
          f"{seen['before']} times as before, {seen['after']} as after; "
          f"{recoveries} recoveries killed")
    sys.stdout.flush()


def main():
    build = os.path.realpath(sys.argv[1])
    for scope in SCOPES:
        test = Test(build, scope)
        for kind in sys.argv[2:] or KINDS:
            check_kind(test, kind, scope)
        shutil.rmtree(test.work)


main()
