"""Calls that are no table's: what a shim costs a program that wants nothing from it."""
from harness import guards, instructions, report
from harness.race import race

TITLE = "calls that are no table's"
OPERATIONS = {"write": 1.01, "pread": 1.01, "open+close": 1.03, "open+close-relative": 1.03, "fopen+fclose": None,
              "stat": None, "rename": None, "fork": 1.05, "exec": 1.10}
# Where the number of tables could tell.
BY_PATH = ("open+close", "open+close-relative")
FEWER_INSTRUCTIONS = 10


def run(bench):
    place = bench.workspace.directory("calls")
    plain, sockets = place / "plain", place / "sockets"
    tables = [place / f"table{i}" for i in range(100)]
    for directory in (plain, sockets, *tables):
        directory.mkdir()
    (plain / "file").write_bytes(bytes(100))
    (plain / "file.a").touch()
    for operation, limit in OPERATIONS.items():
        measure = bench.measure(operation, "bare")
        words = [bench.program("calls"), operation, plain]
        commands = {"bare": guards.bare(words), "lockshim": guards.lockshim(bench.build, words, tables[0], "process")}
        if operation in BY_PATH:
            commands["lockshim, 100 tables"] = guards.lockshim(bench.build, words, tables, "process")
        mine = dict(commands)
        commands |= guards.peers(words, sockets, lambda name, why: bench.leave_out("all", name, why))
        race(measure, commands, seconds=bench.seconds / len(OPERATIONS) * 0.7, leave_out=bench.leave_out,
             bursts=3 if bench.quick else 7)
        if operation not in ("fork", "exec") and not (bench.quick and limit is None):
            instructions.count(measure, mine if bench.quick else commands, bench.leave_out, alone=operation == "rename")
        report.tell(measure)
        judge(bench, measure, operation, limit)


def judge(bench, measure, operation, limit):
    if limit is None:
        return
    for variant in measure.variants():
        if variant.startswith("lockshim"):
            bench.target(f"{operation}, {variant}", limit, measure, variant)
    if operation in ("write", "pread"):
        taken = [measure.facts.get(name, {}).get("instructions") for name in ("lockshim", "bare")]
        bench.target_value(f"{operation}: more instructions", FEWER_INSTRUCTIONS,
                           None if None in taken else round(taken[0] - taken[1], 1))
