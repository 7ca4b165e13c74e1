# SPDX-License-Identifier: Apache-2.0
"""Dialogues run to their end, programs of the system run without the user's environment."""

import os
import time
from pathlib import Path
from typing import Any, List

import pytest

from tests.unit.samples import TOKEN, almalinux, catalogue, gather, settings
from tuxcare_lib import enrolment, executor, planner
from tuxcare_lib.enrolment import Dialogue, Question
from tuxcare_lib.errors import CommandError, DeclinedError, TransportError
from tuxcare_lib.model import LicenceKey, Request, Response
from tuxcare_lib.planner import Wish
from tuxcare_lib.rootfs import Root

HOST = Root('/')


def dialogue() -> Dialogue:
    """A request, then a question; a failed request is answered for."""
    try:
        response = yield Request('GET', 'https://x/', 'try')
    except TransportError:
        response = Response(0, b'')
    sure = yield Question('sure?')
    return response.status, sure


def test_answers_go_where_they_belong() -> None:
    assert executor.converse(dialogue(), lambda request: Response(204, b''), lambda text: text == 'sure?') == (204, True)


def test_an_error_is_thrown_into_the_dialogue() -> None:
    def lost(request: Request) -> Response:
        raise TransportError('lost')

    assert executor.converse(dialogue(), lost, lambda text: False) == (0, False)


def test_what_the_dialogue_does_not_catch_goes_on() -> None:
    def nobody(text: str) -> bool:
        raise DeclinedError('nobody')

    with pytest.raises(DeclinedError):
        executor.converse(dialogue(), lambda request: Response(200, b''), nobody)


@pytest.mark.parametrize(
    'error', [KeyboardInterrupt(), MemoryError(), UnicodeError('odd')], ids=lambda error: type(error).__name__
)
def test_whatever_ends_an_enrolment_after_the_token_gives_the_seat_back(tmp_path: Path, error: BaseException) -> None:
    """DESIGN 4, rule 6: a registration that fails gives back the seat where it got a token."""
    facts = gather(almalinux(tmp_path))
    host = planner.check_host(facts, catalogue(), Wish())
    trees = planner.check_repositories(facts, catalogue(), host.family)
    enquiry = planner.enquiry(facts, catalogue(), settings(), host, trees, Wish(), None)
    sent: List[Request] = []

    def send(request: Request) -> Response:
        sent.append(request)
        if len(sent) == 1:
            return Response(200, '{{"token": "{}"}}'.format(TOKEN).encode('ascii'))
        if request.method == 'GET':
            raise error
        return Response(200, b'{}')

    with pytest.raises(type(error)):
        executor.converse(enrolment.enrol(enquiry, LicenceKey('ESU-1')), send, lambda text: False)
    assert sent[-1].url == settings().unregister_url
    assert sent[-1].json == {'token': TOKEN, 'host_name': 'web1.example.com'}


def test_a_program_gets_nothing_of_the_users_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('TUXCARE_LICENSE_KEY', 'SECRET')
    monkeypatch.setenv('LD_PRELOAD', '')
    lines = executor.run(HOST, ['env']).split()
    assert {line.partition('=')[0] for line in lines} <= {'PATH', 'LC_ALL', 'LANG', 'HOME', 'PWD', 'SHLVL', '_'}
    assert 'LC_ALL=C' in lines or 'LC_ALL=C.UTF-8' in lines


def test_a_program_reads_nothing_from_the_terminal() -> None:
    assert executor.run(HOST, ['cat']) == ''


def test_output_that_is_not_utf_8_is_no_hindrance() -> None:
    assert executor.run(HOST, ['sh', '-c', r"printf 'a\377b'"]).startswith('a')


@pytest.mark.parametrize(
    'script, words',
    [
        ('echo first; echo second >&2; exit 3', 'status 3: second'),
        ('echo out; exit 1', 'status 1: out'),
        ('exit 1', 'no output'),
        ('echo one >&2; echo two >&2; exit 2', 'status 2: two'),
        ('kill -9 $$', 'failed'),
    ],
    ids=['stderr', 'stdout', 'silent', 'last-line', 'killed'],
)
def test_a_program_that_fails_is_one_line(script: str, words: str) -> None:
    with pytest.raises(CommandError) as caught:
        executor.run(HOST, ['sh', '-c', script])
    assert words in str(caught.value) and '\n' not in str(caught.value) and caught.value.remedy


def test_a_program_that_does_not_end_is_killed() -> None:
    """What it started itself has the pipe open for longer."""
    began = time.monotonic()
    with pytest.raises(CommandError, match='did not end within 0.2 s'):
        executor.run(HOST, ['sh', '-c', 'sleep 20 & wait'], 0.2)
    assert time.monotonic() - began < 10


@pytest.mark.parametrize('argv', [['no-such-program-here'], ['/etc/passwd']], ids=['missing', 'not-executable'])
def test_a_program_that_cannot_be_run(argv: List[str]) -> None:
    with pytest.raises(CommandError) as caught:
        executor.run(HOST, argv)
    assert argv[0] in str(caught.value)


@pytest.mark.skipif(os.geteuid() != 0, reason='chroot needs root')
def test_below_an_image_its_own_programs_run(tmp_path: Path) -> None:
    with pytest.raises(CommandError) as caught:
        executor.run(Root(str(tmp_path)), ['true'])
    assert 'true' in str(caught.value)


def test_the_end_of_a_dialogue_without_requests() -> None:
    def nothing() -> Any:
        return 5
        yield

    assert executor.converse(nothing(), lambda request: Response(200, b''), lambda text: True) == 5
