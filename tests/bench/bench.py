#!/usr/bin/python3
"""The benchmark of lockshim: what it costs and what it gains beside its peers, in one interleaved run.

    bench.py [--quick] [--seconds N] [--output DIRECTORY] [SECTION ...]

Tables go to the terminal; results.json and the plots to build/bench/. BUILD names the build directory."""
import argparse
import importlib
import json
import os
import pathlib
import platform
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from harness import figures, plots, report, workspace  # noqa: E402

# In the order of the run, each with its share of the time.
SECTIONS = {"calls": 4, "session": 1, "crowd": 5, "handover": 2, "start": 1, "scale": 4, "lockctl": 4, "rollback": 3}
FULL_SECONDS, QUICK_SECONDS = 1500, 50


class Bench:
    """What a section is given, and where its results go. `seconds` is its share of the time."""

    def __init__(self, place, quick):
        self.workspace, self.quick = place, quick
        self.build = pathlib.Path(os.environ.get("BUILD", "build")).resolve()
        self.section, self.seconds = "", 0.0
        self.measures, self.targets, self.left_out = [], [], []

    def program(self, name):
        return self.build / "bench" / name

    def measure(self, subject, baseline, metrics=(figures.WALL, figures.PROCESSOR)):
        measure = figures.Measure(self.section, subject, baseline, list(metrics))
        self.measures.append(measure)
        return measure

    def leave_out(self, measure, what, why):
        entry = {"section": self.section, "subject": getattr(measure, "subject", measure), "what": what, "why": why}
        if entry not in self.left_out:
            self.left_out.append(entry)
            print(f"left out: {what} ({entry['subject']}): {why}", file=sys.stderr)

    def target(self, text, limit, measure, variant, *, to=None, metric=figures.WALL):
        """The ratio of the medians by round is at most the limit."""
        self.target_ratios(text, limit, measure.ratios(variant, metric, to))

    def target_ratios(self, text, limit, ratios):
        spread = figures.quartiles(ratios) if ratios else None
        self.targets.append(figures.Target(self.section, text, limit, spread[1] if spread else None, spread))

    def target_value(self, text, limit, value, bound=False):
        self.targets.append(figures.Target(self.section, text, limit, value, None, bound))

    def as_json(self, seconds):
        return {"format": 1, "quick": self.quick, "seconds": round(seconds, 1),
                "machine": {"kernel": platform.release(), "architecture": platform.machine(),
                            "processors": len(os.sched_getaffinity(0)), "libc": " ".join(platform.libc_ver())},
                "measures": [measure.as_json() for measure in self.measures],
                "targets": [target.as_json() for target in self.targets],
                "left_out": self.left_out}


def arguments():
    parser = argparse.ArgumentParser(description="What lockshim costs and gains, beside its peers.")
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=" ".join(SECTIONS))
    parser.add_argument("--quick", action="store_true", help="less of everything")
    parser.add_argument("--seconds", type=float, help="for all sections together; about")
    parser.add_argument("--output", type=pathlib.Path, help="the directory of the results (build/bench)")
    given = parser.parse_args()
    for name in given.sections:
        if name not in SECTIONS:
            parser.error(f"there is no section '{name}': {' '.join(SECTIONS)}")
    given.sections = given.sections or list(SECTIONS)
    given.seconds = given.seconds or (QUICK_SECONDS if given.quick else FULL_SECONDS) * \
        sum(SECTIONS[name] for name in given.sections) / sum(SECTIONS.values())
    return given


def run(bench, given, keep):
    """`keep` is called after each section: what comes later may fail."""
    shares = sum(SECTIONS[name] for name in given.sections)
    for name in given.sections:
        section = importlib.import_module(f"sections.{name}")
        bench.section, bench.seconds = name, given.seconds * SECTIONS[name] / shares
        print(f"\n== {name}: {section.TITLE}", flush=True)
        begin = time.monotonic()
        section.run(bench)
        bench.workspace.end_processes()
        print(f"\n{name}: {time.monotonic() - begin:.0f} seconds", flush=True)
        keep()


def main():
    given = arguments()
    place = workspace.Workspace()
    bench = Bench(place, given.quick)
    begin = time.monotonic()
    output = given.output or bench.build / "bench"
    output.mkdir(parents=True, exist_ok=True)

    def keep():
        told = bench.as_json(time.monotonic() - begin)
        (output / "results.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")

    try:
        run(bench, given, keep)
    finally:
        place.close()
    plots.draw(bench, output)
    report.tell_targets(bench.targets)
    report.tell_left_out(bench.left_out)
    keep()
    print(f"\n{time.monotonic() - begin:.0f} seconds; {output / 'results.json'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
