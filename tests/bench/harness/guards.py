"""The ways to start a program: bare, below lockshim, below its peers (by the variables that
their own commands set)."""
import functools
import os
import pathlib
import shutil
import subprocess

from harness.race import Command


def bare(words):
    return Command(list(words))


def lockshim(build, words, table, scope, **settings):
    """By a bare preload. `settings` are variables without their prefix, in small letters; more than one
    table are a list."""
    variables = {"LOCKSHIM_" + name.upper(): str(value) for name, value in settings.items()}
    if isinstance(table, list):
        variables["LOCKSHIM_TABLES"] = "\n".join(map(str, table))
    else:
        variables["LOCKSHIM_TABLE"] = str(table)
    shim = str(build / "liblockshim.so")
    return Command(list(words), {"LD_PRELOAD": shim, "LOCKSHIM_SCOPE": scope, **variables}, shim)


def peers(words, directory, leave_out):
    """The other shims that are installed, by name. One that is missing is told by leave_out(name, why)."""
    found = {}
    for name, library in (("eatmydata", "libeatmydata"), ("fakechroot", "libfakechroot"),
                          ("nocache", "nocache.so")):
        if shutil.which(name):
            found[name] = Command(list(words), _variables_by(name), library)
        else:
            leave_out(name, "not installed (make deps-bench)")
    if _socket_wrapper():
        found["socket_wrapper"] = Command(list(words), {
            "LD_PRELOAD": _socket_wrapper(), "SOCKET_WRAPPER_DIR": str(directory)}, "libsocket_wrapper")
    else:
        leave_out("socket_wrapper", "not installed (make deps-bench)")
    return found


@functools.cache
def _variables_by(launcher):
    """What a shim's own command sets for the program that it starts; it may stay as its parent."""
    done = subprocess.run([launcher, "cat", "/proc/self/environ"], stdout=subprocess.PIPE, text=True, check=False)
    pairs = [entry.partition("=") for entry in done.stdout.split("\0")]
    return {name: value for name, _, value in pairs if name and os.environ.get(name) != value}


def _socket_wrapper():
    for folder in (*pathlib.Path("/usr/lib").glob("*-linux-gnu*"), pathlib.Path("/usr/lib")):
        if (folder / "libsocket_wrapper.so").exists():
            return str(folder / "libsocket_wrapper.so")
    return None
