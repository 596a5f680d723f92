#!/usr/bin/python3
"""The benchmark works: a run of a second or two leaves results of the right shape, and nothing else. What
the figures are is no matter here."""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
failed = 0


def ok(name, good, details=""):
    global failed
    failed += not good
    print("ok" if good else "not ok", name)
    if not good:
        print("    " + str(details).replace("\n", "\n    "))


with tempfile.TemporaryDirectory() as scratch:
    places = pathlib.Path(scratch) / "places"
    places.mkdir()
    done = subprocess.run(["python3", HERE / "bench.py", "--quick", "--seconds", "1", "--output", scratch,
                           "session", "start"], env={**os.environ, "TMPDIR": str(places)},
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    ok("a short run is carried through", done.returncode == 0, done.stdout[-2000:])
    ok("its directory is gone", not list(places.iterdir()), list(places.iterdir()))
    told = json.loads((pathlib.Path(scratch) / "results.json").read_text(encoding="utf-8"))
    subjects = {(measure["section"], measure["subject"]): measure for measure in told["measures"]}
    ok("every subject is there", len(subjects) == 3, list(subjects))
    for (section, subject), measure in subjects.items():
        names = [variant["variant"] for variant in measure["variants"]]
        ok(f"{section}, {subject}: the baseline and lockshim were measured",
           measure["baseline"] in names and any("lock" in name and name != measure["baseline"] for name in names), names)
        figures = [metric for variant in measure["variants"] for metric in variant["metrics"]]
        ok(f"{section}, {subject}: every sample is above nought, and has its ratio",
           figures and all(min(metric["samples"]) > 0 and metric["unit"] == "ns" and metric["ratios"] and
                           len(metric["ratio_quartiles"]) == 3 for metric in figures), figures)
    ok("targets are judged", told["targets"] and all(target["met"] in (True, False) for target in told["targets"]),
       told["targets"])
    readme = pathlib.Path(scratch) / "README.md"
    readme.write_text("before\n<!-- costs: make costs -->\nold\n<!-- end of costs -->\nafter\n", encoding="utf-8")
    costs = subprocess.run(["python3", HERE / "costs.py", "--readme", readme, pathlib.Path(scratch) / "results.json"],
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    written = readme.read_text(encoding="utf-8")
    rows = [line.split("|")[1:-1] for line in written.splitlines() if line.startswith("|")]
    ok("the README's table is written from them", costs.returncode == 0 and "old" not in written and
       written.startswith("before\n") and written.endswith("after\n") and len(rows) == 4, costs.stdout + written)
    ok("it has a ratio in each row", all(re.search(r"\d\.\d\d", row[2]) for row in rows[2:]), written)
    wrong = subprocess.run(["python3", HERE / "bench.py", "nonsense"], stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL, check=False)
    ok("a section that is none is refused", wrong.returncode == 2, wrong.returncode)
print(f"{7 + 2 * len(subjects) - failed} passed, {failed} failed, 0 skipped")
sys.exit(failed != 0)
