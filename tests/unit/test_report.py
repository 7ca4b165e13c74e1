# SPDX-License-Identifier: Apache-2.0
"""What people and programs get to see: plans, errors, tables."""

import json
from pathlib import Path

import pytest

from tests.unit.samples import BASEOS, TOKEN, almalinux, registration_changes
from tuxcare_lib import errors, report
from tuxcare_lib.errors import ConfigurationError, ConflictError, Problem, TuxcareError
from tuxcare_lib.model import Change, Image, Plan

OLD, NEW = Image(b'a\nb\n', 0o644), Image(b'a\nc\n', 0o640)


def test_a_plan_as_lines() -> None:
    same, other = Change('/g', Image(b'a\nb\nc\n', 0o644), Image(b'a\nc\nc\n', 0o640)), Change('/h', OLD, Image(b'a\n', 0o644))
    plan = Plan(('POST https://x/',), (Change('/f', OLD, NEW), same, other), ('Install a-1',), (('grubby', '--x'),), ('A note.',))
    found = report.plan_report('v', plan)
    assert found.lines == (
        'Request: POST https://x/',
        'Package: Install a-1',
        'Command: grubby --x',
        '--- /f',
        '+++ /f',
        '@@ -1,2 +1,2 @@',
        ' a',
        '-b',
        '+c',
        'File: /g (change, the same lines as /f)',
        '--- /h',
        '+++ /h',
        '@@ -1,2 +1 @@',
        ' a',
        '-b',
        'A note.',
        'Dry run: nothing was changed.',
    )
    assert found.status == 0
    assert found.document['dry_run'] is True and found.document['commands'] == [['grubby', '--x']]
    assert found.document['files'][0] == {
        'path': '/f', 'action': 'change', 'mode': '0640', 'diff': '\n'.join(found.lines[3:9]) + '\n'}
    assert '+++ /g' in found.document['files'][1]['diff']


def test_a_plan_without_anything_says_so() -> None:
    assert report.plan_report('v', Plan()).lines == ('Nothing to do.', 'Dry run: nothing was changed.')


@pytest.mark.parametrize('before, after, action', [(None, NEW, 'create'), (OLD, None, 'remove'), (OLD, NEW, 'change')])
def test_what_becomes_of_a_file(before: Image, after: Image, action: str) -> None:
    assert report.change_document(Change('/f', before, after))['action'] == action
    assert report.change_lines(Change('/f', before, after, True)) == ['File: /f ({})'.format(action)]


def test_the_plan_of_a_registration_never_shows_the_token(tmp_path: Path) -> None:
    changes = registration_changes(almalinux(tmp_path))
    found = report.plan_report('register', Plan(changes=tuple(changes)))
    text = '\n'.join(found.lines) + report.to_json(found.document)
    assert TOKEN not in text and '/etc/dnf/vars/tuxcare_token' in text
    assert '+++ ' + BASEOS in text
    assert len(found.document['files']) == len(changes)


def test_json_is_ascii_sorted_and_has_its_schema() -> None:
    text = report.to_json({'b': '\u00e4', 'a': 1})
    assert json.loads(text) == {'a': 1, 'b': '\u00e4', 'schema': report.SCHEMA}
    assert text.encode('ascii').endswith(b'}\n') and text.index('"a"') < text.index('"b"')


KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, TuxcareError)]


def made(kind: type) -> TuxcareError:
    return kind([Problem('/f', 3, 'bad')] if issubclass(kind, ConfigurationError) else 'It failed.', 'Mend it.')


@pytest.mark.parametrize('kind', KINDS, ids=lambda kind: kind.__name__)
def test_every_error_for_programs(kind: type) -> None:
    error = made(kind)
    found = report.error_document(error, 'register')
    assert found['command'] == 'register' and found['exit_status'] == error.status
    assert found['error']['code'] == error.code and found['error']['remedy'] == 'Mend it.'
    assert str(error).endswith('Mend it.') and '\n' not in str(error)
    json.loads(report.to_json(found))


def test_every_error_has_a_code_of_its_own_a_place_in_the_tree_and_a_status_of_the_table() -> None:
    codes = [kind.code for kind in KINDS]
    assert len(codes) == len(set(codes))
    assert {kind.status for kind in KINDS} == {1, 3, 5, 200}
    assert all(kind.__name__ in (errors.__doc__ or '') for kind in KINDS)
    assert (errors.NotRegisteredError.status, errors.RecoveryError.status, errors.LockedError.status) == (3, 5, 200)


def test_errors_with_more_to_tell() -> None:
    found = report.error_document(ConfigurationError([Problem('/f', 3, 'bad'), Problem('/g', 0, 'worse')]), 'v')
    assert found['error']['problems'] == [{'path': '/f', 'line': 3, 'text': 'bad'}, {'path': '/g', 'line': 0, 'text': 'worse'}]
    assert found['error']['message'] == '/f:3: bad; /g: worse.'
    assert report.error_document(ConflictError('x', diff='--- a'), 'v')['error']['diff'] == '--- a'


def test_a_table() -> None:
    assert report.table((('A', 'x'), ('Long', 'y\nz'), ('E', ''))) == ('A     x', 'Long  y', '      z', 'E')
