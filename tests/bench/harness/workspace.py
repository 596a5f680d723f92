"""A directory of the run's own, the processes that it starts, and their end: whatever way the run ends,
nothing of it stays but build/bench/. Descendants that lose their parent become the driver's, and loop
mounts live in a mount namespace of the driver's own, which the kernel takes down with it."""
import contextlib
import ctypes
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

PR_SET_CHILD_SUBREAPER = 36
CLONE_NEWNS = 0x20000
MS_REC, MS_PRIVATE = 0x4000, 0x40000
libc = ctypes.CDLL(None, use_errno=True)


class Workspace:
    def __init__(self):
        libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._interrupted)
        for name in list(os.environ):
            if name.startswith("LOCKSHIM_") or name in ("LD_PRELOAD", "LOCKCTL_COLUMNS"):
                del os.environ[name]
        os.environ["LC_ALL"] = "C.UTF-8"
        os.environ["PATH"] += ":/usr/sbin:/sbin"  # where mkfs is
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="lockshim-bench-")).resolve()
        self.path.chmod(0o755)
        self.mounts = []
        self.private = False

    @staticmethod
    def _interrupted(number, _):
        sys.exit(128 + number)

    def directory(self, name):
        """A fresh directory of that name."""
        path = self.path / name
        if path.exists():
            shutil.rmtree(path)
        path.mkdir(parents=True)
        return path

    def mount(self, kind, megabytes):
        """A fresh file system of that kind in a file; raises OSError or CalledProcessError where there
        can be none."""
        if not self.private:
            if libc.unshare(CLONE_NEWNS) != 0 or libc.mount(None, b"/", None, MS_REC | MS_PRIVATE, None) != 0:
                raise OSError(ctypes.get_errno(), "no mount namespace of its own")
            self.private = True
        image, point = self.path / f"{kind}.image", self.directory(f"mounted-{kind}")
        with open(image, "wb") as file:
            file.truncate(megabytes << 20)
        options = {"ext4": ["-F"], "xfs": ["-f"], "btrfs": ["-f"]}[kind]
        for words in ([f"mkfs.{kind}", "-q", *options, str(image)],
                      ["mount", "-o", "loop", str(image), str(point)]):
            subprocess.run(words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.mounts.append(point)
        return point

    def end_processes(self):
        """Ends every descendant. As orphans come to the driver, none is missed in the end."""
        while True:
            children = _children()
            if not children:
                return
            for child in children:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
            for child in children:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(child, 0)

    def close(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        self.end_processes()
        os.chdir("/")
        for point in reversed(self.mounts):
            subprocess.run(["umount", str(point)], check=False)
        shutil.rmtree(self.path, ignore_errors=True)


def _children():
    found = []
    for thread in os.listdir("/proc/self/task"):
        with contextlib.suppress(OSError):
            text = pathlib.Path(f"/proc/self/task/{thread}/children").read_text(encoding="ascii")
            found += [int(word) for word in text.split()]
    return found
