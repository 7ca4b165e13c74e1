# SPDX-License-Identifier: Apache-2.0
"""A command on a pseudo-terminal, and what a person types there."""
import os
import pty
import select
import subprocess
import time
from typing import NamedTuple, Sequence, Tuple

from tests.sandbox.host import Host


class Session(NamedTuple):
    """How it ended; `shown` is everything that stood on the terminal, echo included."""

    status: int
    shown: str


def typed(host: Host, args: Sequence[str], answers: Sequence[Tuple[str, str]], timeout: float = 60) -> Session:
    """Runs dnf of the host on a terminal; each answer is typed once its prompt stands there."""
    script = host.directory / "on-terminal"
    host.write_wrapper(script, ["dnf"] if host.slash else host.dnf_command())
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        # A controlling terminal: getpass opens /dev/tty.
        ["setsid", "--ctty", "--wait", str(script), *args], stdin=theirs, stdout=theirs, stderr=theirs, cwd="/",
        env={"TERM": "dumb", "PATH": os.environ["PATH"]},
    )
    os.close(theirs)
    try:
        shown = _converse(ours, answers, time.monotonic() + timeout)
        return Session(process.wait(timeout), shown)
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def _converse(terminal: int, answers: Sequence[Tuple[str, str]], deadline: float) -> str:
    shown = b""
    waiting, seen = list(answers), 0
    while True:
        assert time.monotonic() < deadline, shown
        if waiting and waiting[0][0].encode() in shown[seen:]:
            # getpass empties the queue when it turns the echo off: what is typed before that would be lost.
            time.sleep(0.1)
            seen = len(shown)
            os.write(terminal, waiting.pop(0)[1].encode())
        if not select.select([terminal], [], [], 0.5)[0]:
            continue
        piece = _read(terminal)
        if not piece:
            assert not waiting, shown
            return shown.decode("utf-8", "replace")
        shown += piece


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # the last process on it has ended
        return b""
