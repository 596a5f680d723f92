#!/usr/bin/env python3
"""Runs the examples of the documentation as they stand there, and compares what they print.

    examples.py PAGE...     manual pages (their section EXAMPLES) and Markdown files

An example is a literal block of a manual page, or all those of a section of a Markdown file, with
lines that begin with "$ ": a command, which goes on after a backslash or up to the end of a
here-document, and is followed by what it prints. Numbers, times, runs of blanks, and whether a process
runs or sleeps may differ; "..." stands for anything. A command is to end with 0 unless the next one is
"echo $?".
Paths below /srv, /backup and /etc are those of a scratch directory. Behind a command that ends in "&"
is waited until it holds or waits for a lock. Called by make, which tells BUILD.
"""
import getpass
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile

BUILD = os.path.realpath(os.environ.get("BUILD", "build"))
ROOTS = "srv", "backup", "etc"
# What an example calls and is no program of this machine's: a report that reads a table, changes it,
# and takes its time over the rest.
PROGRAMS = {
    "nightly-report": """#!/bin/sh
read -r n </srv/db/n
exec 3>>/srv/db/report
echo "report $n" >&3
while :; do sleep 0.2; done
""",
    "add-entry": """#!/bin/sh
read -r n </srv/db/n
sleep 0.5 # so that it can be seen
echo $((n + 1)) >/srv/db/n
""",
}


def manual_blocks(text):
    """The literal displays of the section EXAMPLES, as a reader sees them."""
    section = re.search(r"^\.Sh EXAMPLES\n(.*?)(?=^\.Sh |\Z)", text, re.M | re.S)
    if section is None:
        return
    for block in re.findall(r"^\.Bd -literal.*?\n(.*?)^\.Ed", section[1], re.M | re.S):
        for escape, character in ((r"\e", "\\"), (r"\&", ""), (r"\(aq", "'"), (r"\(ga", "`")):
            block = block.replace(escape, character)
        yield block.splitlines()


def markdown_blocks(text):
    """What is indented; the blocks of one section go on from one another, and so are one."""
    for section in re.split(r"^##? ", text, flags=re.M):
        lines = []
        for block in re.findall(r"(?:^(?: {4}.*)?\n)+", section, re.M):
            block = [line[4:] for line in block.strip("\n").splitlines()]
            if any(line.startswith("$ ") for line in block):
                lines += block
        yield lines


def steps_of(lines):
    """[(command, what it prints)], or nothing for a block that is no example."""
    steps = []
    lines = iter(lines)
    for line in lines:
        if line.startswith("$ "):
            command = line[2:]
            while command.endswith("\\"):
                command += "\n" + next(lines)
            here = re.search(r"<<'?(\w+)", command)
            while here and not command.endswith("\n" + here[1]):
                command += "\n" + next(lines)
            steps.append((command, []))
        elif steps:
            steps[-1][1].append(line)
    return steps


def placed(text, work):
    return re.sub(r"(?<![\w/.])/(%s)(?=/|\b)" % "|".join(ROOTS), lambda m: f"{work}/{m[1]}", text)


SETTLE = r"""
__locks() { { lockctl holders -nr -o PID,LOCK; lockctl waiters -nr -o PID,LOCK; } 2>/dev/null | grep -cF "$PWD/"; }
__settled() { for __i in $(seq 200); do [ "$(__locks)" -gt "$__before" ] && return; sleep 0.05; done; return 1; }
"""


def script_of(steps, work):
    """A bash script that runs the steps, each followed by a line with its status."""
    script = [SETTLE]
    for command, _ in steps:
        starts = command.endswith("&")
        if starts:
            script.append("__before=$(__locks)")
        script.append(placed(command, work))
        if starts:
            script.append("__settled")
        script.append("__status=$?; printf '\\n\\001%d\\n' $__status; (exit $__status)")
    return "\n".join(script) + "\n"


def plain(line):
    line = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)?", "DATE", line)
    line = re.sub(r"\d+(\.\d+)? ?(ns|µs|us|ms|s|min|h|d)\b", "TIME", line)
    line = re.sub(r"\d+", "N", line)
    return re.sub(r" [RS] ", " S ", re.sub(r"\s+", " ", line)).strip()


def agrees(wanted, got):
    """Are the lines the same, up to what may differ?"""
    pattern = r"\n".join(
        ".*?" if line == "..." else r"\.\.\.".join(map(re.escape, plain(line).split("..."))).replace(r"\.\.\.", ".*?")
        for line in wanted)
    return re.fullmatch(pattern, "\n".join(map(plain, got)), re.S) is not None


def run(script, work):
    """What the script printed. Whatever it left running is ended."""
    environment = {name: value for name, value in os.environ.items()
                   if name != "LD_PRELOAD" and not name.startswith(("LOCKSHIM_", "LOCKCTL_"))}
    environment |= {"PATH": f"{work}/bin:{BUILD}:{environment['PATH']}", "LC_ALL": "C", "TZ": "UTC"}
    with open(f"{work}/output", "w+b") as output:
        shell = subprocess.Popen(["bash", "-c", script], cwd=work, env=environment, stdin=subprocess.DEVNULL,
                                 stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            shell.wait(60)
        except subprocess.TimeoutExpired:
            output.write("\nit hangs\n".encode())
        try:
            os.killpg(shell.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        shell.wait()
        output.seek(0)
        return output.read().decode(errors="replace")


def try_block(steps, work):
    """The first thing that is not as the page says, or None."""
    printed = re.split(r"\n?\n\001(\d+)\n", run(script_of(steps, work), work))
    for number, (command, wanted) in enumerate(steps):
        if 2 * number + 1 >= len(printed):
            return f"{command}\n" + printed[-1]
        got = printed[2 * number].replace(work, "").replace(getpass.getuser(), "root").strip("\n")
        got = [line for line in got.split("\n") if line]
        wanted = [line for line in wanted if line]
        if not agrees(wanted, got):
            return f"{command}\nthe page says:\n  " + "\n  ".join(wanted) + "\nit prints:\n  " + "\n  ".join(got)
        status_matters = number + 1 == len(steps) or steps[number + 1][0] != "echo $?"
        if status_matters and printed[2 * number + 1] != "0":
            return f"{command}\nends with {printed[2 * number + 1]}"
    return None


def prepare(work):
    for root in ROOTS + ("bin",):
        os.mkdir(f"{work}/{root}")
    os.mkdir(f"{work}/srv/db")
    with open(f"{work}/srv/db/n", "w") as file:
        file.write("1\n")
    for name, text in PROGRAMS.items():
        with open(f"{work}/bin/{name}", "w") as file:
            file.write(placed(text, work))
        os.chmod(file.name, 0o755)


def main():
    passed = failed = 0
    for page in sys.argv[1:]:
        with open(page) as file:
            text = file.read()
        blocks = markdown_blocks(text) if page.endswith(".md") else manual_blocks(text)
        examples = [steps for steps in map(steps_of, blocks) if steps]
        if not examples:
            failed += 1
            print(f"not ok {page}: has no examples")
        work = tempfile.mkdtemp(prefix="examples-")
        prepare(work)
        for steps in examples:
            wrong = try_block(steps, work)
            if wrong is None:
                passed += 1
                print(f"ok {page}: {steps[0][0]}")
            else:
                failed += 1
                print(f"not ok {page}: an example is not as it says\n    " + wrong.replace("\n", "\n    "))
        shutil.rmtree(work)
    print(f"{passed} passed, {failed} failed")
    return failed != 0


sys.exit(main())
