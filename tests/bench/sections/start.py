"""Starting a command below the lock: what each way adds to the command itself."""
from harness import guards, report
from harness.race import race

TITLE = "a command from its start to its end, uncontended"


def run(bench):
    place = bench.workspace.directory("start")
    table = place / "table"
    table.mkdir()
    (table / "data").write_text("text\n", encoding="utf-8")
    shim = [f"LD_PRELOAD={bench.build}/liblockshim.so", f"LOCKSHIM_TABLE={table}"]
    lockctl = [bench.build / "lockctl", "run", "--table", table]
    for subject, words in (("true", ["/bin/true"]), ("cat of the table's file", ["/bin/cat", table / "data"])):
        ways = {"bare": words, "flock LOCKFILE": ["/usr/bin/flock", place / "hand", *words],
                "preload, process": [*shim, "LOCKSHIM_SCOPE=process", *words],
                "lockctl run": [*lockctl, "--", *words],
                "lockctl run, process": [*lockctl, "--scope", "process", "--", *words]}
        measure = bench.measure(subject, "flock LOCKFILE")
        race(measure, {name: guards.bare([bench.program("start"), *way]) for name, way in ways.items()},
             seconds=bench.seconds / 2, leave_out=bench.leave_out, burst_seconds=0.03)
        report.tell(measure)
