"""Variants of an operation, each a program of its own that waits for the driver's word, take turns in
short bursts. Every round starts new programs, as where the loader puts things decides small differences."""
import contextlib
import dataclasses
import os
import pathlib
import select
import subprocess
import tempfile
import time

ANSWER_SECONDS = 20


class Failed(Exception):
    """A variant can't be measured; says why."""


@dataclasses.dataclass
class Command:
    """How a variant is started. `loads`: a library that must be found in the process, as one that was
    not loaded costs nothing. `directory`: to start it in. `fresh` is called before each start."""
    words: list
    environment: dict = dataclasses.field(default_factory=dict)
    loads: str = ""
    directory: object = None
    fresh: object = None


def pairs(line):
    """The figures of a line such as 'time 120.5 processor 119'."""
    words = line.split()
    return {name: float(value) for name, value in zip(words[::2], words[1::2])}


class Worker:
    def __init__(self, command):
        if command.fresh:
            command.fresh()
        self.errors = tempfile.TemporaryFile()
        try:
            self.process = subprocess.Popen(
                [str(word) for word in command.words], env={**os.environ, **command.environment},
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, start_new_session=True,
                cwd=command.directory)
        except OSError as error:
            raise Failed(str(error)) from error
        self.command = command
        self.checked = not command.loads

    def burst(self, count):
        """The figures that so many operations came to, by name."""
        try:
            self.process.stdin.write(b"%d\n" % count)
            self.process.stdin.flush()
        except OSError:
            pass  # it has ended: the answer will tell
        line = b""
        deadline = time.monotonic() + ANSWER_SECONDS
        while not line.endswith(b"\n"):
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
                raise Failed(f"no answer in {ANSWER_SECONDS} seconds")
            piece = os.read(self.process.stdout.fileno(), 4096)
            if not piece:
                raise Failed(self._last_words())
            line += piece
        if not self.checked:
            maps = pathlib.Path(f"/proc/{self.process.pid}/maps").read_text(encoding="utf-8")
            if self.command.loads not in maps:
                raise Failed(f"{self.command.loads} was not loaded")
            self.checked = True
        return pairs(line.decode())

    def _last_words(self):
        status = self.process.wait()
        self.errors.seek(0)
        lines = self.errors.read().decode(errors="replace").strip().splitlines()
        return f"it ended with status {status}" + (f": {lines[-1][:200]}" if lines else "")

    def close(self):
        with contextlib.suppress(BrokenPipeError):  # it ended before it read all
            self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.errors.close()


def race(measure, commands, *, seconds, leave_out, bursts=5, burst_seconds=0.01, count=0, least=3, most=101):
    """Adds rounds to the measure until the time is over. A round's figure is its quickest burst's, for
    one operation: what disturbs only ever adds. `count`: of operations in a burst, where that is not
    chosen by `burst_seconds`, once for each variant."""
    commands, counts = dict(commands), {}
    deadline = time.monotonic() + seconds
    for number in range(most):
        if not commands or (number >= least and time.monotonic() > deadline):
            break
        workers = {}
        try:
            figures = {}
            for name in list(commands):
                try:
                    workers[name] = Worker(commands[name])
                    if name not in counts:
                        counts[name] = count or _calibrated(workers[name], burst_seconds)
                    workers[name].burst(max(1, counts[name] // 10))
                except Failed as why:
                    _fail(name, why, commands, workers, measure, leave_out)
            for turn in range(bursts):
                _turn(turn + number, workers, counts, figures, commands, measure, leave_out)
            measure.rounds.append(figures)
        finally:
            for worker in workers.values():
                worker.close()


def _calibrated(worker, burst_seconds):
    count = 1
    while True:
        wall = worker.burst(count)["time"] * count
        if wall >= burst_seconds * 5e8 or count >= 1 << 24:
            return max(1, int(count * burst_seconds * 1e9 / wall))
        count *= 4 if wall < burst_seconds * 1e8 else 2


def _turn(turn, workers, counts, figures, commands, measure, leave_out):
    names = list(workers)
    start = turn % len(names) if names else 0
    for name in names[start:] + names[:start]:
        try:
            told = workers[name].burst(counts[name])
        except Failed as why:
            figures.pop(name, None)
            _fail(name, why, commands, workers, measure, leave_out)
            continue
        best = figures.setdefault(name, told)
        figures[name] = {metric: min(best[metric], told[metric]) for metric in told}


def rounds(races, *, seconds, leave_out, least=3, most=101):
    """Adds rounds to measures until the time is over; in a round all variants of all of them take their
    turns. `races`: pairs of a measure and, for each variant, what gives its figures of one round by name,
    or raises Failed."""
    races = [(measure, dict(runs)) for measure, runs in races]
    deadline = time.monotonic() + seconds
    for number in range(most):
        if number >= least and time.monotonic() > deadline:
            break
        for measure, runs in races:
            figures = {}
            names = list(runs)
            start = number % len(names) if names else 0
            for name in names[start:] + names[:start]:
                try:
                    figures[name] = runs[name]()
                except Failed as why:
                    leave_out(measure, name, str(why))
                    del runs[name]
                    measure.drop(name)
            measure.rounds.append({name: figures[name] for name in names if name in figures})


def run_once(command, seconds):
    """A program that measures by itself, and prints one line of figures."""
    if command.fresh:
        command.fresh()
    try:
        done = subprocess.run([str(word) for word in command.words], env={**os.environ, **command.environment},
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              timeout=seconds, check=False, start_new_session=True, cwd=command.directory)
    except subprocess.TimeoutExpired as error:
        raise Failed(f"not done in {seconds:.0f} seconds") from error
    except OSError as error:
        raise Failed(str(error)) from error
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or [""]
        raise Failed(f"it ended with status {done.returncode}: {lines[-1][:200]}")
    return pairs(done.stdout)


def _fail(name, why, commands, workers, measure, leave_out):
    leave_out(measure, name, str(why))
    commands.pop(name, None)
    worker = workers.pop(name, None)
    if worker:
        worker.process.kill()
        worker.close()
    measure.drop(name)
