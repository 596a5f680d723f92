#!/usr/bin/python3
"""What a look costs, beside lslocks and beside the mere reading of /proc/locks. Ratios of one run: the best
of several on each side, as other work on the machine comes and goes."""
import subprocess
import time

from common import LOCKCTL, lock, main, ok, skip, state, work


def best(*words, times=5):
    found = []
    for _ in range(times):
        begin = time.monotonic()
        subprocess.run(words, stdout=subprocess.DEVNULL, check=True)
        found.append(time.monotonic() - begin)
    return min(found)


def directory():
    (work / "D").mkdir()
    return "D"


def one_of_many():
    state("many", "10000", directory())
    assert lock("D/77")["verdict"] == "healthy"
    mine = best(LOCKCTL, "status", "D/77")
    bare = best("cat", "/proc/locks")
    ok(f"one lock among 10,000 of one process: {mine * 1000:.0f} ms, of which the kernel's list takes "
       f"{bare * 1000:.0f}: below 50 ms, or twice the list", mine < max(0.05, 2 * bare))


def all_of_one_process():
    state("many", "1000", directory())
    mine = best(LOCKCTL, "status", times=9)
    theirs = best("lslocks", times=2)
    ok(f"1,000 locks of one process: {mine * 1000:.0f} ms, {theirs / mine:.0f} times faster than lslocks (100)",
       theirs / mine >= 100)


def many_processes():
    state("processes", "2000", directory())
    mine = best(LOCKCTL, "status", times=3)
    theirs = best("lslocks", times=1)
    ok(f"2,000 processes with a lock each: {mine * 1000:.0f} ms, {theirs / mine:.0f} times faster than lslocks "
       "(5)", theirs / mine >= 5)


if __name__ == "__main__":
    if subprocess.run(["lslocks"], stdout=subprocess.DEVNULL, check=False).returncode != 0:
        skip("lslocks does not work here")
        main()
    main(one_of_many, all_of_one_process, many_processes)
