# SPDX-License-Identifier: Apache-2.0
"""Asking a person, on a real terminal or none."""

import io
import os
import pty
import sys
from typing import Iterator, Optional

import pytest

from tuxcare_lib.console import Console
from tuxcare_lib.errors import DeclinedError


def console(assume: Optional[bool] = None) -> Console:
    return Console(lambda text: None, lambda text: None, assume)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A pseudo terminal as standard input and error; what the test writes is what the person types."""
    person, program = pty.openpty()
    stdin, stderr = os.fdopen(os.dup(program)), os.fdopen(os.dup(program), 'w')
    monkeypatch.setattr(sys, 'stdin', stdin)
    monkeypatch.setattr(sys, 'stderr', stderr)
    yield person
    stdin.close()
    stderr.close()
    os.close(program)
    os.close(person)


@pytest.mark.parametrize('typed, answer', [(b'y\n', True), (b'YES\n', True), (b' y \n', True), (b'n\n', False), (b'\n', False),
                                           (b'yep\n', False), (b'\x04', False)], ids=repr)
def test_a_person_answers(terminal: int, typed: bytes, answer: bool) -> None:
    os.write(terminal, typed)
    assert console().ask('Go on?') is answer
    assert b'Go on? [y/N]: ' in os.read(terminal, 4096)


@pytest.mark.parametrize('assume', [True, False])
def test_dnfs_own_options_answer_without_asking(terminal: int, assume: bool) -> None:
    os.write(terminal, b'n\n' if assume else b'y\n')
    assert console(assume).ask('Go on?') is assume


def test_what_yes_must_not_decide_is_asked_all_the_same(terminal: int) -> None:
    os.write(terminal, b'n\n')
    assert console(True).ask_person('Go on?') is False


@pytest.mark.parametrize('stdin', [io.StringIO('y\n'), None], ids=['a-pipe', 'closed'])
def test_without_a_terminal_nothing_waits(monkeypatch: pytest.MonkeyPatch, stdin: 'Optional[io.StringIO]') -> None:
    monkeypatch.setattr(sys, 'stdin', stdin)
    with pytest.raises(DeclinedError) as caught:
        console().ask('Go on?')
    assert 'Go on?' in str(caught.value) and caught.value.status == 1
    with pytest.raises(DeclinedError):
        console(True).ask_person('Go on?')
    assert console().secret('Key: ') is None
    assert console(True).ask('Go on?') is True


def test_a_terminal_in_front_alone_is_not_enough(terminal: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, 'stderr', io.StringIO())
    assert not Console.is_interactive()
