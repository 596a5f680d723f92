"""Handing over: from one holder's release to the next one's first instruction below the lock."""
from harness import guards, report
from harness.figures import Metric
from harness.race import race

TITLE = "handing over a lock"
METRICS = (Metric("time", "ns"), Metric("time90", "ns"))
HOLD_MICROSECONDS = 1000


def run(bench):
    subjects = {"released, 1 waiter": by_release, "released, 49 waiters": by_release,
                "the holder has ended": by_end, "the holder was killed": by_end}
    for subject, variants in subjects.items():
        measure = bench.measure(subject, "flock", METRICS)
        end = {"by_release": "release"}.get(variants.__name__) or ("kill" if "killed" in subject else "exit")
        processes = 50 if "49" in subject else 2
        race(measure, variants(bench, end, processes), seconds=bench.seconds / len(subjects),
             leave_out=bench.leave_out, bursts=3, count=30 if bench.quick else 100)
        report.tell(measure)
        for variant in measure.variants():
            if variant.startswith("lockshim"):
                bench.target(f"{subject}, {variant}", 1.05, measure, variant)


def by_release(bench, end, processes):
    return {**by_hand(bench, end, processes, ("flock", "open+flock", "fcntl")),
            **guarded(bench, end, processes, ("session",))}


def by_end(bench, end, processes):
    return {**by_hand(bench, end, processes, ("flock", "fcntl")),
            **guarded(bench, end, processes, ("process", "session"))}


def words(bench, lock, end, processes, name):
    table = bench.workspace.directory(f"handover/{end}-{processes}-{name}/table")
    return [bench.program("handover"), lock, end, table, table.with_suffix(".hand"), HOLD_MICROSECONDS, processes]


def by_hand(bench, end, processes, locks):
    return {lock: guards.bare(words(bench, lock, end, processes, lock)) for lock in locks}


def guarded(bench, end, processes, scopes):
    found = {}
    for scope in scopes:
        for timeout in ({}, {"timeout": 60}):
            name = f"lockshim, {scope}" + (", timeout" if timeout else "")
            command = words(bench, "none", end, processes, name.replace(", ", "-"))
            found[name] = guards.lockshim(bench.build, command, command[3], scope, **timeout)
    return found
