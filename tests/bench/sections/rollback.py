"""Rollback: what the journal costs a session, by bytes changed, by the table's size, by file system."""
import os
import subprocess

from harness import guards, report
from harness.race import race

TITLE = "sessions that can be rolled back"
SYSTEMS = ("ext4", "xfs", "btrfs")
BYTES = (100, 4096, 65536, 1048576)
FILES = (4096, 1 << 20, 64 << 20)


def run(bench):
    places = {"here": bench.workspace.directory("rollback")}
    for kind in SYSTEMS:
        if os.geteuid() != 0:
            bench.leave_out("all", kind, "only root may mount")
            continue
        try:
            places[kind] = bench.workspace.mount(kind, 512)
        except (OSError, subprocess.CalledProcessError) as why:
            told = getattr(why, "stderr", None)
            bench.leave_out("all", kind, f"{why}" + (f": {told.decode().strip()[:200]}" if told else ""))
    plain = places.pop("here")
    places = places or {"the temporary directory": plain}
    subjects = [(f"{changed} bytes changed of a file of 1 MB", changed, 1 << 20) for changed in BYTES]
    subjects += [(f"100 bytes changed of a file of {size >> 10} KB", 100, size) for size in FILES if size != 1 << 20]
    if bench.quick:
        subjects = subjects[:1] + subjects[-1:]
    for system, place in places.items():
        for number, (subject, changed, size) in enumerate(subjects):
            compare(bench, f"{system}: {subject}", place / str(number), changed, size,
                    bench.seconds / len(subjects) / len(places))


def compare(bench, subject, place, changed, size, seconds):
    measure = bench.measure(subject, "report")
    commands = {}
    for policy in ("bare", "report", "rollback"):
        table = place / policy
        table.mkdir(parents=True)
        (table / "data").write_bytes(os.urandom(size))
        words = [bench.program("session"), "bare", table, place / f"{policy}.hand", changed]
        commands[policy] = guards.bare(words) if policy == "bare" else \
            guards.lockshim(bench.build, words, table, "session", on_crash=policy)
    race(measure, commands, seconds=seconds, leave_out=bench.leave_out, bursts=2, burst_seconds=0.02,
         least=2 if bench.quick else 3)
    report.tell(measure)
