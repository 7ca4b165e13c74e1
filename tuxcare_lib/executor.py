# SPDX-License-Identifier: Apache-2.0
"""Carries out what was planned: runs a dialogue over the transport, and programs of the system. Knows steps, no features."""

import os
import subprocess
from typing import Any, Callable, List, NamedTuple, Optional, Sequence

from tuxcare_lib.enrolment import Dialogue, Question, Received
from tuxcare_lib.errors import CommandError
from tuxcare_lib.model import Request, Response, Token
from tuxcare_lib.rootfs import Root

# Nothing of the user's environment reaches a program: neither PATH nor a secret, and its words are English.
_ENVIRONMENT = {'PATH': '/usr/sbin:/usr/bin:/sbin:/bin', 'LC_ALL': 'C', 'HOME': '/root'}

# Seconds for an answer; what makes initial file systems anew takes longer.
_LIMIT = 60


def converse(dialogue: Dialogue, send: Callable[[Request], Response], ask: Callable[[str], bool],
             keep: Callable[[Token], None] = lambda token: None) -> Any:
    """Run a dialogue to its end and return its result; whatever `send`, `ask` and `keep` raise is thrown into it."""
    try:
        step = next(dialogue)
        while True:
            turn = _Turn(dialogue)
            with turn:
                if isinstance(step, Received):
                    keep(step.token)
                else:
                    turn.answer = ask(step.text) if isinstance(step, Question) else send(step)
            step = turn.next_step if turn.failed else dialogue.send(turn.answer)
    except StopIteration as end:
        return end.value


class _Turn:
    """One question and its answer; an exception goes to the dialogue, which may have something to put right first."""

    def __init__(self, dialogue: Dialogue) -> None:
        self._dialogue = dialogue
        self.answer: Any = None
        self.next_step: Any = None
        self.failed = False

    def __enter__(self) -> '_Turn':
        return self

    def __exit__(self, kind: object, error: Optional[BaseException], trace: object) -> bool:
        if error is None:
            return False
        self.failed = True
        self.next_step = self._dialogue.throw(error)
        return True


class Ended(NamedTuple):
    """How a program ended, and what it printed."""

    status: int
    stdout: str
    stderr: str


def run(root: Root, argv: Sequence[str], limit: float = _LIMIT) -> str:
    """Run a program of the system as `ended` does. Returns its standard output.

    Raises CommandError, where it failed with the last line that it printed.
    """
    done = ended(root, argv, limit)
    if done.status:
        last = (done.stderr.strip() or done.stdout.strip()).split('\n')[-1].rstrip('.')
        raise CommandError('`{}` failed with status {}: {}.'.format(' '.join(argv), done.status, last or 'no output'),
                           'Mend the cause and run the command again.')
    return done.stdout


def ended(root: Root, argv: Sequence[str], limit: float = _LIMIT) -> Ended:
    """Run a program inside the root (chroot where it is not the running one).

    Raises CommandError where it cannot be run, or does not end within `limit` seconds: then it is killed.
    """
    command: List[str] = list(argv) if root.is_host else ['chroot', root.path] + list(argv)
    try:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   env=_ENVIRONMENT)
    except OSError as error:
        raise CommandError('{} cannot be run: {}.'.format(argv[0], os.strerror(error.errno or 0)),
                           'Install the package that has it.')
    with process:
        try:
            stdout, stderr = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            raise CommandError('`{}` did not end within {} s, and was killed.'.format(' '.join(argv), limit),
                               'Mend the cause and run the command again.')
        finally:
            process.kill()  # at an interrupt, too; and no more is read: what it started itself may hold the pipes open
    return Ended(process.returncode, stdout.decode('utf-8', 'replace'), stderr.decode('utf-8', 'replace'))
