"""One process with much of something: tables, open descriptors, deep paths, threads."""
import resource

from harness import guards, report
from harness.race import race

TITLE = "one process with much of something"
LIMIT = 1.03  # as for any call that is no table's


def run(bench):
    place = bench.workspace.directory("scale")
    (place / "plain").mkdir()
    (place / "table").mkdir()
    for directory in ("plain", "table"):
        (place / directory / "file").write_bytes(bytes(100))
    subjects = [*tables(bench, place), *descriptors(bench, place), *depths(bench, place), *threads(bench, place)]
    for subject, commands, promised in subjects:
        measure = bench.measure(subject, "bare")
        race(measure, commands, seconds=bench.seconds / len(subjects), leave_out=bench.leave_out,
             bursts=2 if bench.quick else 5, least=2 if bench.quick else 3)
        report.tell(measure)
        if promised:
            bench.target(f"{subject}, lockshim", LIMIT, measure, "lockshim")


def pair(bench, words, table, scope="process"):
    return {"bare": guards.bare(words), "lockshim": guards.lockshim(bench.build, words, table, scope)}


def tables(bench, place):
    """The names are short and relative, as 128 KB are all that Linux passes on in one variable."""
    counts = (100, 10000) if bench.quick else (1, 100, 10000)
    many = place / "many"
    many.mkdir()
    for number in range(max(counts)):
        (many / str(number)).mkdir()
    (place / "plain" / "file.a").touch()
    for count in counts:
        names = [str(number) for number in range(count)]
        for subject, words, promised in (
                (f"{count} tables: open+close of no table's", [bench.program("calls"), "open+close", place / "plain"], True),
                (f"{count} tables: a session on the last", [bench.program("session"), "bare", many / names[-1],
                                                           place / "hand", 100], False)):
            commands = pair(bench, words, names, "session")
            commands["lockshim"].directory = many
            yield subject, commands, promised
        start = [bench.program("start"), f"LD_PRELOAD={bench.build}/liblockshim.so",
                 "LOCKSHIM_TABLES=" + "\n".join(names), "/bin/true"]
        commands = {"bare": guards.bare([bench.program("start"), "/bin/true"]), "lockshim": guards.bare(start)}
        commands["lockshim"].directory = many
        yield f"{count} tables: start of a program", commands, False


def may_open(count):
    """Root may not where the limit is somebody else's: in a container."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, max(hard, count + 1000)))
    except (OSError, ValueError):
        return False
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return True


def descriptors(bench, place):
    for count in (10000,) if bench.quick else (10, 10000, 500000):
        if not may_open(count):
            bench.leave_out("descriptors", f"{count} descriptors", "a process may not have so many here")
            continue
        words = [bench.program("scale"), "descriptors", count, place / "plain" / "file"]
        yield f"{count} descriptors: open+close of no table's", pair(bench, words, place / "table"), True
        words = [bench.program("scale"), "descriptors", count, place / "table" / "file"]
        yield f"{count} descriptors of a table: open+close in it", pair(bench, words, place / "table", "session"), False


def depths(bench, place):
    for depth in (10, 100) if bench.quick else (1, 10, 100):
        deep = place / "deep" / "/".join("d" for _ in range(depth))
        deep.mkdir(parents=True, exist_ok=True)
        for name in ("file", "file.a"):
            (deep / name).touch()
        words = [bench.program("calls"), "open+close", deep]
        yield f"paths {depth} deep: open+close of no table's", pair(bench, words, place / "table"), True


def threads(bench, place):
    for count in (8,) if bench.quick else (1, 2, 4, 8, 16, 32):
        for subject, directory, promised in (("no table's", "plain", True), ("the table's", "table", False)):
            words = [bench.program("scale"), "threads", count, place / directory / "file"]
            yield (f"{count} threads: open+close of {subject} (100 times {count})",
                   pair(bench, words, place / "table", "session"), promised)
