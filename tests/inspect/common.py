"""For the tests of inspection: a directory of their own, processes in exact states, lockctl's JSON
held against the schema, checks that are counted."""
import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import jsonschema

HERE = pathlib.Path(__file__).resolve().parent
BUILD = pathlib.Path(os.environ.get("BUILD", "build")).resolve()
LOCKCTL, SHIM = str(BUILD / "lockctl"), str(BUILD / "liblockshim.so")
ACT, STATE = str(BUILD / "e2e/act"), str(BUILD / "inspect/state")
SCHEMA = json.loads((HERE / "schema.json").read_text())
for name in list(os.environ):
    if name.startswith("LOCKSHIM_") or name in ("LD_PRELOAD", "LOCKCTL_COLUMNS"):
        del os.environ[name]
os.environ["LC_ALL"] = "C.UTF-8"

work = pathlib.Path(tempfile.mkdtemp(prefix="lockshim-inspect-")).resolve()
work.chmod(0o755)
os.chdir(work)
passed = failed = 0
started = []


def ok(name, good, details=""):
    global passed, failed
    if good:
        passed += 1
        print("ok", name)
        return
    failed += 1
    print("not ok", name)
    for line in str(details).splitlines():
        print("   ", line)


def same(name, expected, actual):
    ok(name, expected == actual, f"expected: {expected!r}\n     got: {actual!r}")


def skip(name):
    print("skip", name)


def soon(condition, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        result = condition()
        if result:
            return result
        time.sleep(0.01)
    return condition()


def start(*words, guard=None, table="T", **more):
    """Starts a process (in a group of its own); `guard` is a scope, under which `table` is guarded."""
    environment = dict(os.environ)
    if guard:
        environment |= {"LD_PRELOAD": SHIM, "LOCKSHIM_TABLE": str(work / table), "LOCKSHIM_SCOPE": guard}
    process = subprocess.Popen(words, env=environment, start_new_session=True, **more)
    started.append(process)
    return process


def act(*steps, **more):
    return start(ACT, *steps, **more)


def state(*words):
    process = start(STATE, *words, stdout=subprocess.PIPE)
    line = process.stdout.readline()
    assert line == b"ready\n", line
    return process


def at(mark):
    assert soon(lambda: os.path.exists(mark)), f"stage {mark} is not reached"


def go(mark):
    pathlib.Path(mark + "+").touch()


def kill(process, how=signal.SIGKILL):
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, how)


def fresh():
    """Ends what is left, and gives a directory with an empty table T and no lock files."""
    for process in started:
        kill(process, signal.SIGCONT)
        kill(process)
    for process in started:
        process.wait()
    started.clear()
    for entry in work.iterdir():
        shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
    for name in "TU":
        (work / name).mkdir()
        (work / name / "n").write_text("0\n")


def run(*words, status=0, **more):
    done = subprocess.run([LOCKCTL, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=60, check=False, **more)
    if status is not None and done.returncode != status:
        ok(f"lockctl {' '.join(map(str, words))} exits with {status}", False,
           f"status {done.returncode}: {done.stdout[-500:]!r} {done.stderr!r}")
    return done


def look(command, *words, status=0, **more):
    """The JSON of a command, valid by the schema."""
    done = run(command, "--json", *words, status=status, **more)
    try:
        told = json.loads(done.stdout)
        jsonschema.validate(told, {"definitions": SCHEMA["definitions"], **SCHEMA["commands"][command]})
    except (ValueError, jsonschema.ValidationError) as error:
        ok(f"the JSON of {command} is as the schema has it", False, error)
        raise
    return told


def lock(*words, **more):
    """What status tells of the only lock that the words mean."""
    locks = look("status", *words, **more)["locks"]
    assert len(locks) == 1, locks
    return locks[0]


def waiting(name, count):
    """Until so many wait for the lock."""
    return soon(lambda: look("status", name)["locks"][0]["waiter_count"] == count)


def finish():
    fresh()
    os.chdir("/")
    shutil.rmtree(work)
    print(f"{passed} passed, {failed} failed, 0 skipped")
    sys.exit(failed != 0)


def main(*tests):
    for test in tests:
        fresh()
        try:
            test()
        except Exception as error:  # the others are still worth a try
            ok(f"{test.__name__} is carried through", False, f"{type(error).__name__}: {error}")
    finish()
