"""lockctl: looking at one lock and at all of them, beside lslocks, lsof and fuser; and what a live view
costs those who work meanwhile."""
import os
import shutil
import subprocess
import time

from harness import guards, report
from harness.figures import WALL
from harness.race import Failed, race, rounds, run_once
from sections.crowd import Stores

TITLE = "looking at locks"
# What runs for longer is not waited for; the longest serves one target.
LONGEST = {True: 2, False: 60}
PEERS = {"lslocks": "lslocks", "lsof": "lsof", "fuser": "fuser"}


def run(bench):
    subjects = [("locks of one process", "many", count) for count in ((10, 1000, 10000))]
    subjects.append(("processes with a lock each", "processes", 200 if bench.quick else 2000))
    for number, (subject, kind, count) in enumerate(subjects):
        look(bench, f"{count} {subject}", kind, count, bench.seconds * 0.15, number)
    beside(bench, bench.seconds * 0.4)


def look(bench, subject, kind, count, seconds, number):
    place = bench.workspace.directory(f"lockctl/{number}")
    state = subprocess.Popen([str(bench.build / "inspect/state"), kind, str(count), str(place)],
                             stdout=subprocess.PIPE, start_new_session=True)
    try:
        if state.stdout.readline() != b"ready\n":
            bench.leave_out(subject, "all", "the state could not be made")
            return
        measure = bench.measure(subject, "lockctl status, one")
        one, lockctl = place / "7", bench.build / "lockctl"
        ways = {"lockctl status, one": [lockctl, "status", one], "lockctl status, all": [lockctl, "status"],
                "reading /proc/locks": ["cat", "/proc/locks"], "lslocks": ["lslocks"], "lsof, one": ["lsof", one],
                "fuser, one": ["fuser", "-s", one]}
        longest = LONGEST[bench.quick]
        runs = {}
        for name, words in ways.items():
            if shutil.which(str(words[0])):
                runs[name] = lambda words=words: timed(words, longest)
            else:
                bench.leave_out(measure, name, "not installed (make deps-bench)")
        rounds([(measure, runs)], seconds=seconds, leave_out=bench.leave_out, most=9, least=2)
        report.tell(measure)
        judge(bench, measure, longest)
    finally:
        state.kill()
        state.wait()
        bench.workspace.end_processes()


def timed(words, longest):
    begin = time.monotonic()
    try:
        done = subprocess.run([str(word) for word in words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                              text=True, timeout=longest, check=False)
    except subprocess.TimeoutExpired as error:
        raise Failed(f"not done in {longest} seconds") from error
    if done.returncode != 0:
        raise Failed(f"it ended with status {done.returncode}: {done.stderr.strip()[:200]}")
    return {"time": (time.monotonic() - begin) * 1e9}


def judge(bench, measure, longest):
    """Where lslocks was not waited for, that is a bound."""
    if not measure.subject.startswith("10000 "):
        return
    text = "lockctl status of one of 10,000 against lslocks"
    ratios = measure.ratios("lockctl status, one", WALL, "lslocks")
    mine = measure.samples("lockctl status, one", WALL)
    if ratios:
        bench.target_ratios(text, 0.001, ratios)
    elif mine and shutil.which("lslocks"):
        value = sorted(mine)[len(mine) // 2] / (longest * 1e9)
        bench.target_value(text, 0.001, value if value <= 0.001 else None, bound=True)
    else:
        bench.target_value(text, 0.001, None)


def beside(bench, seconds):
    """Fifty workers at one table, with a live view beside them and without."""
    measure = bench.measure("50 workers at a table, beside", "nothing")
    stores = Stores(bench)
    lockctl = str(bench.build / "lockctl")
    table = str(bench.workspace.path / "crowd/run/table")
    often = f"while :; do {lockctl} metrics {table}; sleep 0.1; done"
    views = {"nothing": None, "lockctl top -b": [lockctl, "top", "-b", table],
             "lockctl metrics ten times a second": ["sh", "-c", often],
             "lockctl status ten times a second": ["sh", "-c", often.replace("metrics", "status")],
             "lslocks ten times a second": ["sh", "-c", "while :; do lslocks; sleep 0.1; done"]}
    rounds([(measure, {name: lambda words=words: work_beside(bench, stores, words) for name, words in views.items()})],
           seconds=seconds, leave_out=bench.leave_out, least=2)
    measure.metrics = [metric for metric in measure.metrics if metric is WALL]
    report.tell(measure)


def work_beside(bench, stores, words):
    place = stores.fresh(5000)
    command = guards.lockshim(bench.build, [bench.program("crowd_store"), "none", place / "table", place / "hand", 50,
                                            10 if bench.quick else 40, 5000, 30], place / "table", "session")
    view = words and subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                      env={**os.environ, "TERM": "dumb"}, start_new_session=True)
    try:
        return {"time": run_once(command, 60)["operation"]}
    finally:
        if view:
            os.killpg(view.pid, 9)
            view.wait()
