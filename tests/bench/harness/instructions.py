"""Instructions that one operation takes in user mode, as valgrind counts them: they do not drift. Two
runs that differ by how often they repeat it give the operation without what is around it."""
import concurrent.futures
import os
import re
import shutil
import subprocess

FEW, MANY = 1000, 3000


def _collected(command, count):
    words = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
    program = next(i for i, word in enumerate(command.words) if "/" in str(word))
    words = [*command.words[:program], *words, *command.words[program:], count]
    done = subprocess.run([str(word) for word in words], env={**os.environ, **command.environment},
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, timeout=120, check=False)
    found = re.findall(r"Collected : (\d+)", done.stderr)
    if done.returncode != 0 or not found:
        raise ValueError(f"valgrind: status {done.returncode}")
    return int(found[-1])


def count(measure, commands, leave_out, alone=False):
    """Adds the fact to each of the measure's variants. `alone`: two of them would disturb one another."""
    if not shutil.which("valgrind"):
        leave_out(measure, "instructions", "valgrind is not installed (make deps-bench)")
        return
    with concurrent.futures.ThreadPoolExecutor(1 if alone else 2) as pool:
        runs = {name: [pool.submit(_collected, command, times) for times in (FEW, MANY)]
                for name, command in commands.items()}
        for name, (few, many) in runs.items():
            try:
                taken = (many.result() - few.result()) / (MANY - FEW)
            except (ValueError, OSError, subprocess.SubprocessError) as why:
                leave_out(measure, f"instructions of {name}", str(why))
                continue
            measure.facts.setdefault(name, {})["instructions"] = round(taken, 1)
