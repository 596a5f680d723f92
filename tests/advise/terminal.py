#!/usr/bin/python3
"""
lockctl advise on a terminal: Ctrl-C ends the command, and gives advice; Ctrl-Z stops all of it,
and it goes on. Called with lockctl's path.
"""
import fcntl
import json
import os
import pty
import signal
import sys
import tempfile
import time

lockctl = os.path.realpath(sys.argv[1])
failed = 0


def check(name, condition, told=""):
    global failed
    print(("ok " if condition else "not ok ") + name)
    if not condition:
        failed += 1
        print("    " + str(told))


def lead(work, script):
    """What a shell does for a job: a group in the foreground; one that stops goes on after a while."""
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    job = os.fork()
    if job == 0:
        os.setpgid(0, 0)
        os.tcsetpgrp(0, os.getpid())
        signal.signal(signal.SIGTTOU, signal.SIG_DFL)
        os.chdir(work)
        os.environ["TMPDIR"] = work + "/tmp"
        out = os.open("advice", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(out, 1)
        os.execv(lockctl, [lockctl, "advise", "--json", "--table", "table", "--", "sh", "-c", script])
    while True:
        _, status = os.waitpid(job, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            os._exit(os.WEXITSTATUS(status) if os.WIFEXITED(status) else 255)
        os.write(1, b"stopped\n")
        time.sleep(0.5)
        os.killpg(job, signal.SIGCONT)


def start(work, script):
    """A job on a terminal; its JSON goes to a file."""
    pid, terminal = pty.fork()
    if pid == 0:
        lead(work, script)
    return pid, terminal


def read_until(terminal, word, seconds=20):
    text = b""
    fcntl.fcntl(terminal, fcntl.F_SETFL, os.O_NONBLOCK)
    end = time.monotonic() + seconds
    while word not in text and time.monotonic() < end:
        try:
            text += os.read(terminal, 4096)
        except BlockingIOError:
            time.sleep(0.02)
        except OSError:
            break
    return text


def wait_for(pid, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return status
        time.sleep(0.02)
    os.kill(pid, signal.SIGKILL)
    return None


with tempfile.TemporaryDirectory() as work:
    os.mkdir(work + "/table")
    os.mkdir(work + "/tmp")
    with open(work + "/table/count", "w") as file:
        file.write("1\n")

    pid, terminal = start(work, "cat table/count; echo ready; exec sleep 61")
    check("it runs", b"ready" in read_until(terminal, b"ready"))
    os.write(terminal, b"\x03")
    status = wait_for(pid)
    check("Ctrl-C: it ends in order", status is not None and os.waitstatus_to_exitcode(status) == 0, status)
    advice = json.load(open(work + "/advice"))
    check("Ctrl-C: there is advice", advice["interrupted"] and advice["scope"] == "session", advice)
    check("Ctrl-C: the command was ended by it", advice["status"] == 130, advice["status"])
    check("Ctrl-C: nothing is left behind", os.listdir(work + "/tmp") == [], os.listdir(work + "/tmp"))
    os.close(terminal)

    pid, terminal = start(work, "cat table/count; echo ready; sleep 1; cat table/count; echo end")
    read_until(terminal, b"ready")
    os.write(terminal, b"\x1a")
    told = read_until(terminal, b"stopped")
    check("Ctrl-Z: it stops", b"stopped" in told and b"end" not in told, told)
    status = wait_for(pid)
    check("continued: it ends in order", status is not None and os.waitstatus_to_exitcode(status) == 0, status)
    advice = json.load(open(work + "/advice"))
    check("continued: the advice is that of all of it", advice["status"] == 0 and not advice["interrupted"]
          and len(advice["processes"]) == 2, advice)
    check("continued: nothing is left behind", os.listdir(work + "/tmp") == [])
    os.close(terminal)

sys.exit(1 if failed else 0)
