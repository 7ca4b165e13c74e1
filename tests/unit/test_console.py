# SPDX-License-Identifier: Apache-2.0
"""Asking a person, on a real terminal or none."""

import contextlib
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


@contextlib.contextmanager
def terminal(typed: bytes) -> Iterator[int]:
    """A pseudo terminal as standard input and error, on which a person has typed; what is said comes out of its other end."""
    person, program = pty.openpty()
    kept = sys.stdin, sys.stderr
    sys.stdin, sys.stderr = os.fdopen(os.dup(program)), os.fdopen(os.dup(program), 'w')
    os.write(person, typed)
    try:
        yield person
    finally:
        sys.stdin.close()
        sys.stderr.close()
        sys.stdin, sys.stderr = kept
        os.close(program)
        os.close(person)


@pytest.mark.parametrize('typed, answer', [(b'y\n', True), (b'YES\n', True), (b' y \n', True), (b'n\n', False), (b'\n', False),
                                           (b'yep\n', False), (b'\x04', False)], ids=repr)
def test_a_person_answers(typed: bytes, answer: bool) -> None:
    with terminal(typed) as person:
        assert console().ask('Go on?') is answer
        said = b''
        while b'Go on? [y/N]: ' not in said:  # the echo of what was typed comes in between
            said += os.read(person, 4096)


def test_dnfs_own_options_answer_without_asking() -> None:
    with terminal(b'n\n'):
        assert console(True).ask('Go on?') is True
    with terminal(b'y\n'), pytest.raises(DeclinedError) as caught:
        console(False).ask('Go on?', 'It cannot be undone.')
    assert '--assumeno' in str(caught.value) and 'It cannot be undone. Go on?' in str(caught.value)


def test_what_yes_must_not_decide_is_asked_all_the_same() -> None:
    with terminal(b'n\n'):
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


@pytest.mark.parametrize('error, key', [(EOFError(), ''), (UnicodeDecodeError('utf-8', b'\xe4', 0, 1, ''), '\ufffd')], ids=repr)
def test_what_is_no_line_of_text_is_no_key(monkeypatch: pytest.MonkeyPatch, error: Exception, key: str) -> None:
    """Ctrl-D, and a byte of another encoding; as getpass tells them, which drops what was typed before it asks."""
    def ended(prompt: str) -> str:
        raise error

    monkeypatch.setattr('getpass.getpass', ended)
    with terminal(b''):
        assert console().secret('Key: ') == key


def test_a_terminal_in_front_alone_is_not_enough() -> None:
    with terminal(b''):
        assert Console.is_interactive()
        kept, sys.stderr = sys.stderr, io.StringIO()
        assert not Console.is_interactive()
        sys.stderr = kept
