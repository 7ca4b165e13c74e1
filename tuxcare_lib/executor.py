# SPDX-License-Identifier: Apache-2.0
"""Carries out what was planned: runs a dialogue over the transport, and programs of the system. Knows steps, no features."""

import os
import subprocess
from typing import Any, Callable, List, Sequence

from tuxcare_lib.enrolment import Dialogue, Question
from tuxcare_lib.errors import CommandError, TuxcareError
from tuxcare_lib.model import Request, Response
from tuxcare_lib.rootfs import Root

# Nothing of the user's environment reaches a program: neither PATH nor a secret, and its words are English.
_ENVIRONMENT = {'PATH': '/usr/sbin:/usr/bin:/sbin:/bin', 'LC_ALL': 'C', 'HOME': '/root'}


def converse(dialogue: Dialogue, send: Callable[[Request], Response], ask: Callable[[str], bool]) -> Any:
    """Run a dialogue to its end and return its result; errors of `send` and `ask`, and Ctrl-C, are thrown into it."""
    try:
        step = next(dialogue)
        while True:
            try:
                answer: Any = ask(step.text) if isinstance(step, Question) else send(step)
            except (TuxcareError, KeyboardInterrupt) as error:
                step = dialogue.throw(error)
            else:
                step = dialogue.send(answer)
    except StopIteration as end:
        return end.value


def run(root: Root, argv: Sequence[str]) -> str:
    """Run a program of the system inside the root (chroot where it is not the running one). Returns its standard output.

    Raises CommandError with the last line that it printed.     """
    command: List[str] = list(argv) if root.is_host else ['chroot', root.path] + list(argv)
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              env=_ENVIRONMENT, universal_newlines=True)
    except OSError as error:
        raise CommandError('{} cannot be run: {}.'.format(argv[0], os.strerror(error.errno or 0)),
                           'Install the package that has it.')
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip()).split('\n')[-1]
        raise CommandError('`{}` failed with status {}: {}'.format(' '.join(argv), done.returncode, last or 'no output.'),
                           'Mend the cause and run the command again.')
    return done.stdout
