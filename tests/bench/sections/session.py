"""A guarded session that nobody contends: open, write, close; beside locks placed by hand."""
from harness import guards, instructions, report
from harness.race import race

TITLE = "a session on a table, uncontended"
FORMS = ("flock", "open+flock", "fcntl")


def run(bench):
    commands = {}
    for form in ("bare", *FORMS):
        commands[form] = guards.bare(words(bench, form, form))
    for scope in ("session", "call", "process"):
        name = f"lockshim, {scope}"
        commands[name] = guards.lockshim(bench.build, words(bench, "bare", scope), table(bench, scope), scope)
    counted = dict(commands)
    measure = bench.measure("open, write 100 bytes, close", "flock")
    if bench.program("sqlite").exists():
        for mode in ("delete", "wal"):
            commands[f"SQLite, {mode}"] = guards.bare([bench.program("sqlite"), mode, table(bench, mode) / "data"])
    else:
        bench.leave_out(measure, "SQLite", "not built: its headers are missing (make deps-bench)")
    race(measure, commands, seconds=bench.seconds * 0.8, leave_out=bench.leave_out, bursts=5 if bench.quick else 9)
    instructions.count(measure, counted, bench.leave_out)
    report.tell(measure)
    bench.target("guarded session against flock by hand (on an open descriptor)", 1.10, measure, "lockshim, session")
    bench.target("guarded session against flock by hand (open, flock, close)", 1.10, measure, "lockshim, session",
                 to="open+flock")


def table(bench, name):
    path = bench.workspace.path / "session" / name
    path.mkdir(parents=True, exist_ok=True)
    return path


def words(bench, form, name):
    """Each variant has a table of its own: `process` keeps its lock while the others take their turns."""
    return [bench.program("session"), form, table(bench, name), table(bench, name).with_suffix(".hand"), 100]
