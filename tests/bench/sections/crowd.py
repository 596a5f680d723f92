"""Many processes at one table of tablestore's: commands, as scripts run them, and long-lived workers."""
import shutil
import subprocess

from harness import guards, report
from harness.figures import Metric
from harness.race import Failed, rounds, run_once

TITLE = "many processes at one table"
METRICS = (Metric("operation", "ns"), Metric("processor", "ns"), Metric("wait50", "ns"), Metric("wait99", "ns"),
           Metric("waitmax", "ns"), Metric("fairness", ""))
RECORDS = (5000, 10000)
QUICK_RECORDS = (5000,)
POLLERS = ("dotlockfile", "lockfile")  # they look once a second: a run of theirs takes as long as it is let
POLLER_SECONDS = 5
GROWTH = (1, 2, 5, 10, 20, 50, 100, 200, 500)
QUICK_GROWTH = (50, 500)


def run(bench):
    least = 1 if bench.quick else 3
    stores = Stores(bench)
    commands = [(bench.measure(f"commands of 50 processes, {records} records", "--self-lock", METRICS),
                 command_runs(bench, stores, records))
                for records in (QUICK_RECORDS if bench.quick else RECORDS)]
    rounds(commands, seconds=bench.seconds * 0.5, leave_out=bench.leave_out, least=least)
    for measure, _ in commands:
        report.tell(measure)
        judge_commands(bench, measure)
    sizes = QUICK_GROWTH if bench.quick else GROWTH
    growth = [(bench.measure(f"workers: {size} processes, 5000 records", "flock", METRICS),
               worker_runs(bench, stores, 5000, size)) for size in sizes]
    rounds(growth, seconds=bench.seconds * 0.5, leave_out=bench.leave_out, least=least)
    for measure, _ in growth:
        report.tell(measure)
    judge_growth(bench, dict(zip(sizes, (measure for measure, _ in growth))))


def judge_commands(bench, measure):
    operation = METRICS[0]
    for variant in ("lockshim, process", "lockshim, session", "lockctl run"):
        bench.target(f"{measure.subject}: {variant} against --self-lock", 1.05, measure, variant, metric=operation)
        bench.target(f"{measure.subject}: {variant} against flock LOCKFILE", 1.0, measure, variant,
                     to="flock LOCKFILE", metric=operation)


def judge_growth(bench, measures):
    """The same variant, many against few, by rounds: each operation is to take as long as before."""
    operation = METRICS[0]
    for variant in ("lockshim, session", "flock"):
        ratios = [many[variant][operation.name] / few[variant][operation.name]
                  for many, few in zip(measures[500].rounds, measures[50].rounds)
                  if variant in many and variant in few]
        bench.target_ratios(f"workers: {variant}, an operation with 500 processes against 50", 1.2, ratios)


class Stores:
    """A table and a database of each size, to be copied for every run."""

    def __init__(self, bench):
        self.bench = bench
        self.tablestore = bench.build / "tablestore"
        self.templates = bench.workspace.directory("crowd/templates")
        for records in RECORDS:
            self._fill(records)

    def _fill(self, records):
        rows = [(f"r{i}", i, 0.5) for i in range(records)]
        table = self.templates / f"table{records}"
        self._do([self.tablestore, "create", table, "name:str", "n:int", "x:float"])
        self._do([self.tablestore, "import", table, "--csv", "--quiet"],
                 "name,n,x\n" + "".join(f"{name},{n},{x}\n" for name, n, x in rows))
        if shutil.which("sqlite3"):
            values = ",".join(f"('{name}',{n},{x})" for name, n, x in rows)
            self._do(["sqlite3", self.templates / f"database{records}"],
                     f"PRAGMA journal_mode = wal; CREATE TABLE t (name TEXT, n INT, x REAL); INSERT INTO t VALUES {values};")

    @staticmethod
    def _do(words, text=""):
        subprocess.run([str(word) for word in words], input=text, text=True, check=True, stdout=subprocess.DEVNULL)

    def fresh(self, records):
        """A directory with the table `table` and the database `database`, and no lock files."""
        place = self.bench.workspace.directory("crowd/run")
        shutil.copytree(self.templates / f"table{records}", place / "table")
        if (self.templates / f"database{records}").exists():
            shutil.copy(self.templates / f"database{records}", place / "database")
        return place

    def sound(self, place):
        done = subprocess.run([str(self.tablestore), "verify", "--quiet", str(place / "table")],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        return done.returncode == 0


def play(bench, stores, measure_facts, records, make, wrong=False):
    """One run, as what gives the figures of a round. `wrong`: that it breaks the table is no failure."""
    place = stores.fresh(records)
    figures = run_once(make(place), 120)
    asked, done, failed = (int(figures.pop(name)) for name in ("asked", "done", "failed"))
    sound = stores.sound(place)
    if not wrong and (failed or not sound):
        raise Failed(f"{failed} of {asked} operations failed" if failed else "the table is not sound behind it")
    if wrong and not sound:
        measure_facts["broken"] = measure_facts.get("broken", 0) + 1
    if asked != done + failed:
        measure_facts["not done"] = asked - done - failed
    return figures


# ---- Commands ----

def prefixes(bench, place):
    """For each variant the variables, the words in front of the command, and tablestore's own options."""
    table, hand = place / "table", place / "hand"
    shim = {"LD_PRELOAD": bench.build / "liblockshim.so", "LOCKSHIM_TABLE": table}
    dotted = ["dotlockfile", "-l", "-p", "-r", "-1", "-i", "1", place / "dotted", "-P"]
    by_hand = ["sh", "-c", f'lockfile -1 {place}/lockfile && "$@"; s=$?; rm -f {place}/lockfile; exit $s', "sh"]
    return {
        "--self-lock": ({}, [], ["--self-lock", hand]),
        "unguarded": ({}, [], []),
        "lockshim, process": ({**shim, "LOCKSHIM_SCOPE": "process"}, [], []),
        "lockshim, session": ({**shim, "LOCKSHIM_SCOPE": "session"}, [], []),
        "lockctl run": ({}, [bench.build / "lockctl", "run", "--table", table, "--"], []),
        "flock LOCKFILE": ({}, ["flock", hand], []),
        "dotlockfile": ({}, dotted, []),
        "lockfile": ({}, by_hand, []),
    }


def crowd_words(bench, variables, commands, seconds=20):
    words = [bench.program("crowd_commands"), 50, 1 if bench.quick else 4, 5000, seconds]
    words += [f"{name}={value}" for name, value in variables.items()]
    for command in commands:
        words += ["::", *command]
    return guards.bare(words)


def tablestore_commands(bench, place, variant):
    variables, front, options = prefixes(bench, place)[variant]
    command = [*front, bench.build / "tablestore", *options]
    table = place / "table"
    return crowd_words(bench, variables, [
        [*command, "count", table, "--where", "n = @K"], [*command, "insert", table, "name=new", "n=-@W"],
        [*command, "update", table, "--where", "n = @K", "name=new"],
        [*command, "delete", table, "--where", "n = @K"]], POLLER_SECONDS if variant in POLLERS else 20)


def sqlite_commands(bench, place):
    command = ["sqlite3", "-cmd", ".timeout 600000", place / "database"]
    return crowd_words(bench, {}, [
        [*command, "SELECT count(*) FROM t WHERE n = @K"],
        [*command, "PRAGMA synchronous = off; INSERT INTO t VALUES ('new', -@W, NULL)"],
        [*command, "PRAGMA synchronous = off; UPDATE t SET name = 'new' WHERE n = @K"],
        [*command, "PRAGMA synchronous = off; DELETE FROM t WHERE n = @K"]])


def command_runs(bench, stores, records):
    subject = f"commands of 50 processes, {records} records"
    runs = {}
    for variant, (_, front, _) in prefixes(bench, stores.templates).items():
        if variant in POLLERS and bench.quick:
            bench.leave_out(subject, variant, "slow: it looks once a second; not in a quick run")
            continue
        tool = {"lockfile": "lockfile"}.get(variant, front[0] if front else "sh")
        if not shutil.which(tool):
            bench.leave_out(subject, variant, "not installed (make deps-bench)")
            continue
        runs[variant] = player(bench, stores, subject, variant, records,
                               lambda place, variant=variant: tablestore_commands(bench, place, variant))
    if shutil.which("sqlite3"):
        runs["sqlite3"] = player(bench, stores, subject, "sqlite3", records,
                                 lambda place: sqlite_commands(bench, place))
    else:
        bench.leave_out(subject, "sqlite3", "not installed (make deps-bench)")
    return runs


def player(bench, stores, subject, variant, records, make):
    def figures():
        measure = next(measure for measure in bench.measures if measure.subject == subject)
        facts = measure.facts.setdefault(variant, {})
        return play(bench, stores, facts, records, make, wrong=variant == "unguarded")
    return figures


# ---- Workers ----

def worker_words(bench, place, lock, records, processes):
    return [bench.program("crowd_store"), lock, place / "table", place / "hand", processes,
            3 if bench.quick else 20, records, 5 if bench.quick else 30]


def worker_runs(bench, stores, records, processes):
    subject = f"workers: {processes} processes, {records} records"
    makers = {"flock": lambda place: guards.bare(worker_words(bench, place, "flock", records, processes)),
              "unguarded": lambda place: guards.bare(worker_words(bench, place, "none", records, processes)),
              "fcntl": lambda place: guards.bare(worker_words(bench, place, "fcntl", records, processes)),
              "lockshim, session": lambda place: guards.lockshim(
                  bench.build, worker_words(bench, place, "none", records, processes), place / "table", "session")}
    if bench.program("crowd_sqlite").exists() and shutil.which("sqlite3"):
        makers["SQLite"] = lambda place: guards.bare(
            [bench.program("crowd_sqlite"), place / "database", *worker_words(bench, place, "", records, processes)[4:]])
    else:
        bench.leave_out(subject, "SQLite", "not installed (make deps-bench)")
    return {variant: player(bench, stores, subject, variant, records, make) for variant, make in makers.items()}
