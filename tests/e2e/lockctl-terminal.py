"""A shell with job control, reduced to what a test needs: starts `lockctl run` as a foreground job
on a pseudo-terminal, types control characters, and prints a line `ok NAME` or `failed NAME` a check.
"""
import os
import pty
import select
import signal
import sys
import time

LOCKCTL = sys.argv[1]
COMMAND = r'''
trap 'echo got-INT' INT; trap 'echo got-QUIT' QUIT; trap 'echo got-TERM; exit 5' TERM
trap 'echo got-CONT' CONT; trap 'echo got-WINCH' WINCH
echo "command $$"; while :; do read -r -t 0.1 <>fifo; done
'''


def shell(reports):
    """The session leader: runs the job, reports what wait() says, continues it when told."""
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    job = os.fork()
    if job == 0:
        os.setpgid(0, 0)
        os.tcsetpgrp(0, os.getpid())
        signal.signal(signal.SIGTTOU, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.execv(LOCKCTL, [LOCKCTL, 'run', '--table', 'table', 'bash', '-c', COMMAND])
    os.write(reports, b'job %d\n' % job)
    while True:
        _, status = os.waitpid(job, os.WUNTRACED)
        if os.WIFSTOPPED(status):
            os.write(reports, b'stopped %d\n' % os.WSTOPSIG(status))
            os.tcsetpgrp(0, os.getpgrp())
            time.sleep(0.3)
            os.tcsetpgrp(0, job)
            os.killpg(job, signal.SIGCONT)
        else:
            os.write(reports, b'ended %d\n' % os.waitstatus_to_exitcode(status))
            os._exit(0)


class Reader:
    """Collects what a descriptor gives, and waits for texts in it."""

    def __init__(self, descriptor):
        self.descriptor = descriptor
        self.text = ''

    def collect(self, seconds):
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if select.select([self.descriptor], [], [], left)[0]:
                try:
                    self.text += os.read(self.descriptor, 4096).decode()
                except OSError:
                    return

    def await_text(self, text, seconds=30.0):
        end = time.monotonic() + seconds
        while text not in self.text and time.monotonic() < end:
            self.collect(0.05)
        return text in self.text

    def await_count(self, text, count, seconds=30.0):
        """Whether the text comes that often."""
        end = time.monotonic() + seconds
        while self.text.count(text) < count and time.monotonic() < end:
            self.collect(0.05)
        return self.text.count(text) >= count

    def comes_exactly(self, text, count):
        """Whether the text comes that often, and not once more."""
        self.await_count(text, count)
        self.collect(0.5)
        return self.text.count(text) == count

    def number_after(self, word):
        self.await_text(word)
        self.collect(0.1)
        return int(self.text.split(word)[1].split()[0])


def check(name, good):
    print('ok' if good else 'failed', name, flush=True)


def main():
    receive, reports = os.pipe()
    leader, terminal = pty.fork()
    if leader == 0:
        shell(reports)
    os.close(reports)
    screen, told = Reader(terminal), Reader(receive)
    command = screen.number_after('command ')
    job = told.number_after('job ')
    check('the command is in the same process group', os.getpgid(command) == job)
    time.sleep(0.2)

    os.write(terminal, b'\x03')
    check('Ctrl-C reaches the command', screen.await_text('got-INT'))
    check('Ctrl-C reaches it once', screen.comes_exactly('got-INT', 1))
    check('and does not end lockctl', 'ended' not in told.text)
    os.write(terminal, b'\x1c')
    check('Ctrl-\\ reaches the command', screen.await_text('got-QUIT'))
    check('Ctrl-\\ reaches it once', screen.comes_exactly('got-QUIT', 1))
    os.kill(job, signal.SIGINT)
    check('SIGINT to lockctl alone is passed on once', screen.comes_exactly('got-INT', 2))

    os.write(terminal, b'\x1a')
    check('Ctrl-Z stops lockctl by SIGTSTP', told.await_text(f'stopped {int(signal.SIGTSTP)}\n'))
    check('fg continues the command', screen.await_text('got-CONT'))
    screen.collect(0.3)
    os.write(terminal, b'\x03')
    check('it still has the terminal', screen.comes_exactly('got-INT', 3))
    continued = screen.text.count('got-CONT')
    os.write(terminal, b'\x1a')
    check('it stops and continues again', told.comes_exactly('stopped', 2) and
          screen.await_count('got-CONT', continued + 1))
    screen.collect(0.5)
    continued = screen.text.count('got-CONT')
    os.kill(job, signal.SIGTSTP)
    check('SIGTSTP to lockctl alone stops both', told.comes_exactly('stopped', 3) and
          screen.await_count('got-CONT', continued + 1))

    os.kill(job, signal.SIGTERM)
    check('SIGTERM is passed on', screen.await_text('got-TERM'))
    check('the status is passed on', told.await_text('ended 5\n'))
    os.waitpid(leader, 0)


main()
