#!/usr/bin/python3
"""The README's table of costs, written anew between its two marks from what the benchmark measured last:

    costs.py [--readme FILE] RESULTS.JSON...

Of a figure that several files have, the last counts. Ratios are medians of rounds; none is made up: what
was not measured is a dash."""
import argparse
import json
import pathlib
import re
import sys

README = pathlib.Path(__file__).resolve().parents[2] / "README.md"
BEGIN, END = "<!-- costs: make costs -->", "<!-- end of costs -->"
PEERS = ["eatmydata", "fakechroot", "nocache", "socket_wrapper"]
# What is done, which measure has it (section, subject), what it is held against, ours, and others.
ROWS = [
    ("`write` to a file of no table's", "calls", "write", "bare", ["lockshim"], PEERS),
    ("`open` + `close`, no table's", "calls", "open+close", "bare", ["lockshim"], PEERS),
    ("the same by a relative path", "calls", "open+close-relative", "bare", ["lockshim"], PEERS),
    ("`fork`", "calls", "fork", "bare", ["lockshim"], PEERS),
    ("start of `/bin/true`", "calls", "exec", "bare", ["lockshim"], PEERS),
    ("`flock FILE true`", "start", "true", "flock LOCKFILE", ["lockctl run", "lockctl run, process"], []),
    ("open, write, close in a table", "session", "open, write 100 bytes, close", "flock",
     ["lockshim, session", "lockshim, process"], ["open+flock", "fcntl", "SQLite, wal", "SQLite, delete"]),
    ("50 commands at once, an operation", "crowd", "commands of 50 processes, 5000 records", "flock LOCKFILE",
     ["lockshim, process", "lockctl run"], ["--self-lock", "sqlite3", "dotlockfile", "lockfile"]),
    ("50 workers at once, an operation", "crowd", "workers: 50 processes, 5000 records", "flock",
     ["lockshim, session"], ["fcntl", "SQLite"]),
    ("500 workers", "crowd", "workers: 500 processes, 5000 records", "flock", ["lockshim, session"], ["fcntl", "SQLite"]),
    ("handing over to one that waits", "handover", "released, 1 waiter", "flock", ["lockshim, session"], ["fcntl"]),
    ("… to one of 49", "handover", "released, 49 waiters", "flock", ["lockshim, session"], ["fcntl"]),
]
# What one process does is told by its processor time, which others on the machine disturb less than the clock.
BY_PROCESSOR = ("calls", "session", "start")
AGAINST = {"bare": "no shim", "flock": "`flock` by hand", "flock LOCKFILE": "`flock FILE command`"}


def middle(values):
    values = sorted(values)
    half = len(values) // 2
    return values[half] if len(values) % 2 else (values[half - 1] + values[half]) / 2


def samples(measure, variant):
    wanted = 1 if measure["section"] in BY_PROCESSOR else 0
    for found in measure["variants"]:
        if found["variant"] == variant and len(found["metrics"]) > wanted:
            return found["metrics"][wanted]["samples"]
    return []


def ratio(measure, variant, baseline):
    """By rounds where both were in each of them, as figures.py does."""
    mine, theirs = samples(measure, variant), samples(measure, baseline)
    if not mine or not theirs:
        return None
    if len(mine) == len(theirs):
        return middle([one / other for one, other in zip(mine, theirs)])
    return middle(mine) / middle(theirs)


def shown(value):
    return "-" if value is None else f"{value:.2f}" if value < 9.95 else f"{value:.0f}"


def cells(measure, variants, baseline):
    told = [(name, shown(ratio(measure, name, baseline))) for name in variants]
    return ", ".join(f"{name} {value}" for name, value in told if value != "-")


def line(row, measures):
    what, section, subject, baseline, ours, others = row
    measure = measures.get((section, subject))
    if measure is None:
        return None
    own = [(name, shown(ratio(measure, name, baseline))) for name in ours]
    mine = own[0][1] if len(own) == 1 else ", ".join(f"{name.removeprefix('lockshim, ')} {value}" for name, value in own)
    return f"| {what} | {AGAINST[baseline]} | {mine} | {cells(measure, others, baseline)} |"


def main():
    parser = argparse.ArgumentParser(description="The README's table of costs, from what the benchmark measured.")
    parser.add_argument("results", nargs="+", type=pathlib.Path, metavar="RESULTS.JSON")
    parser.add_argument("--readme", type=pathlib.Path, default=README)
    given = parser.parse_args()
    results = [json.loads(path.read_text(encoding="utf-8")) for path in given.results]
    measures = {(measure["section"], measure["subject"]): measure for result in results for measure in result["measures"]}
    lines = [found for row in ROWS if (found := line(row, measures))]
    if not lines:
        sys.exit("costs.py: nothing of what the table has was measured")
    machine = results[-1]["machine"]
    table = "\n".join(["| what | against | lockshim | others |", "| --- | --- | --- | --- |", *lines, "",
                       "Ratios, medians of interleaved rounds: processor time of what one process does, else wall time; "
                       f"{machine['processors']} processors, Linux {machine['kernel'].split('-')[0]}, {machine['libc']}."])
    text = given.readme.read_text(encoding="utf-8")
    marked = re.compile(re.escape(BEGIN) + ".*?" + re.escape(END), re.DOTALL)
    if not marked.search(text):
        sys.exit(f"costs.py: {given.readme.name} has no place for it")
    given.readme.write_text(marked.sub(lambda _: f"{BEGIN}\n{table}\n{END}", text), encoding="utf-8")


if __name__ == "__main__":
    main()
